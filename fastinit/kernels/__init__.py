"""Compiled kernels for dense networks, to build training loops on.

Every kernel is called alike from Python and from your own ``@numba.njit`` code, allocates nothing
and writes its results into arrays that you give, so a loop over batches allocates once. Numba
compiles a kernel at the first call with new array types and keeps the machine code on disk.
"""

from fastinit.kernels import draws
from fastinit.kernels.activations import (
    leaky_relu,
    leaky_relu_backward,
    linear,
    linear_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    softmax,
    softmax_backward,
    tanh,
    tanh_backward,
)
from fastinit.kernels.dense import dense_backward, dense_backward_parameters, dense_forward
from fastinit.kernels.losses import (
    binary_crossentropy_from_logits,
    categorical_crossentropy_from_logits,
    mean_squared_error,
)
from fastinit.kernels.optimizers import adam_step, sgd_step

__all__ = [
    "adam_step",
    "binary_crossentropy_from_logits",
    "categorical_crossentropy_from_logits",
    "dense_backward",
    "dense_backward_parameters",
    "dense_forward",
    "draws",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "mean_squared_error",
    "relu",
    "relu_backward",
    "sgd_step",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "tanh",
    "tanh_backward",
]
