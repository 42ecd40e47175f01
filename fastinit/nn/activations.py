"""The activations that a layer can name, and the kernels behind the names."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fastinit import kernels
from fastinit.errors import ArgumentTypeError, unknown_name
from fastinit.kernels.jit import FloatArray

__all__ = ["ACTIVATIONS", "Activation", "get_activation"]

# PyTorch's slope, and the one that fastinit.gain("leaky_relu") assumes.
LEAKY_RELU_ALPHA = 0.01


class Activation(NamedTuple):
    """The two kernels of an activation: ``forward(z, out)``, ``backward(output, grad, grad)``."""

    forward: Callable[[FloatArray, FloatArray], None]
    backward: Callable[[FloatArray, FloatArray, FloatArray], None]


def _leaky_relu(z: FloatArray, out: FloatArray) -> None:
    kernels.leaky_relu(z, out, LEAKY_RELU_ALPHA)


def _leaky_relu_backward(output: FloatArray, grad_out: FloatArray, grad_in: FloatArray) -> None:
    kernels.leaky_relu_backward(output, grad_out, grad_in, LEAKY_RELU_ALPHA)


ACTIVATIONS = {
    "leaky_relu": Activation(_leaky_relu, _leaky_relu_backward),
    "linear": Activation(kernels.linear, kernels.linear_backward),
    "relu": Activation(kernels.relu, kernels.relu_backward),
    "sigmoid": Activation(kernels.sigmoid, kernels.sigmoid_backward),
    "softmax": Activation(kernels.softmax, kernels.softmax_backward),
    "tanh": Activation(kernels.tanh, kernels.tanh_backward),
}


def get_activation(name: str) -> Activation:
    """Return the activation of that name.

    Parameters
    ----------
    name : str
        A key of `ACTIVATIONS`.

    Returns
    -------
    Activation
        Its forward and its backward kernel.

    Raises
    ------
    ArgumentTypeError
        If `name` is not a string.
    UnknownNameError
        If there is no activation of that name; the nearest names are given.

    Examples
    --------
    >>> from fastinit import kernels
    >>> from fastinit.nn.activations import get_activation
    >>> get_activation("tanh").forward is kernels.tanh
    True
    """
    if not isinstance(name, str):
        raise ArgumentTypeError(f"activation must be a name such as 'relu', got {name!r}")
    if name not in ACTIVATIONS:
        raise unknown_name("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]
