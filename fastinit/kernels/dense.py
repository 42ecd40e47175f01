"""A dense layer, forward and backward, written into arrays that the caller gives.

The matrix products run in the BLAS that SciPy ships, which wants contiguous arrays of one dtype:
every array here is C-contiguous, and all of a call are float32 or all float64. In compiled code
Numba must know it, too: leading rows ``a[:n]`` are fine, ``buffers[0]`` of a three-dimensional
array is, but unpacking one (``a, b = buffers``) yields arrays of unknown layout. ``kernel`` has the
shape ``(fan_in, fan_out)``, a batch has one row an example. An output array may not overlap any
other argument.
"""

from __future__ import annotations

import numpy as np

from fastinit.errors import ArgumentError
from fastinit.kernels.jit import FloatArray, njit

__all__ = ["dense_backward", "dense_backward_parameters", "dense_forward"]


@njit
def dense_forward(x: FloatArray, kernel: FloatArray, bias: FloatArray, out: FloatArray) -> None:
    """Write the pre-activations ``out = x @ kernel + bias``.

    Parameters
    ----------
    x : ndarray, shape (batch, fan_in)
        The layer's inputs, C-contiguous, float32 or float64. The batch may be empty.
    kernel : ndarray, shape (fan_in, fan_out)
        The layer's weights, of the same dtype, as are all that follow.
    bias : ndarray, shape (fan_out,)
        The layer's biases.
    out : ndarray, shape (batch, fan_out)
        Overwritten with the result.

    Raises
    ------
    ArgumentError
        If `bias` has another length than `out` has columns.
    ValueError
        If the shapes of `x`, `kernel` and `out` do not fit one another.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> x, kernel, out = numpy.ones((2, 3)), numpy.ones((3, 1)), numpy.empty((2, 1))
    >>> kernels.dense_forward(x, kernel, numpy.array([0.5]), out)
    >>> out.tolist()
    [[3.5], [3.5]]
    """
    rows, units = out.shape
    if bias.size != units:
        raise ArgumentError("bias must have as many elements as out has columns")
    np.dot(x, kernel, out)
    for i in range(rows):
        for j in range(units):
            out[i, j] += bias[j]


@njit
def dense_backward_parameters(
    x: FloatArray, grad_out: FloatArray, grad_kernel: FloatArray, grad_bias: FloatArray
) -> None:
    """Write the gradients of a layer's parameters, and not that of its inputs.

    ``grad_kernel = x.T @ grad_out`` and ``grad_bias = grad_out.sum(axis=0)``. This is all that the
    first layer of a network needs. An empty batch gives zeros.

    Parameters
    ----------
    x : ndarray, shape (batch, fan_in)
        The inputs that the forward pass was given, C-contiguous, float32 or float64.
    grad_out : ndarray, shape (batch, fan_out)
        Gradient of the loss in the layer's pre-activations.
    grad_kernel : ndarray, shape (fan_in, fan_out)
        Overwritten with the gradient in the kernel.
    grad_bias : ndarray, shape (fan_out,)
        Overwritten with the gradient in the bias.

    Raises
    ------
    ArgumentError
        If `grad_bias` has another length than `grad_out` has columns.
    ValueError
        If the shapes of the matrices do not fit one another.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> x, grad_out = numpy.array([[1.0, 2.0], [3.0, 4.0]]), numpy.ones((2, 1))
    >>> grad_kernel, grad_bias = numpy.empty((2, 1)), numpy.empty(1)
    >>> kernels.dense_backward_parameters(x, grad_out, grad_kernel, grad_bias)
    >>> grad_kernel.tolist(), grad_bias.tolist()
    ([[4.0], [6.0]], [2.0])
    """
    rows, units = grad_out.shape
    if grad_bias.size != units:
        raise ArgumentError("grad_bias must have as many elements as grad_out has columns")
    np.dot(x.T, grad_out, grad_kernel)
    grad_bias[:] = 0
    for i in range(rows):
        for j in range(units):
            grad_bias[j] += grad_out[i, j]


@njit
def dense_backward(
    x: FloatArray,
    kernel: FloatArray,
    grad_out: FloatArray,
    grad_in: FloatArray,
    grad_kernel: FloatArray,
    grad_bias: FloatArray,
) -> None:
    """Write the gradients of a layer's parameters and of its inputs.

    As `dense_backward_parameters`, and ``grad_in = grad_out @ kernel.T``.

    Parameters
    ----------
    x : ndarray, shape (batch, fan_in)
        The inputs that the forward pass was given, C-contiguous, float32 or float64.
    kernel : ndarray, shape (fan_in, fan_out)
        The layer's weights.
    grad_out : ndarray, shape (batch, fan_out)
        Gradient of the loss in the layer's pre-activations.
    grad_in : ndarray, shape (batch, fan_in)
        Overwritten with the gradient in `x`.
    grad_kernel : ndarray, shape (fan_in, fan_out)
        Overwritten with the gradient in `kernel`.
    grad_bias : ndarray, shape (fan_out,)
        Overwritten with the gradient in the bias.

    Raises
    ------
    ArgumentError
        If `grad_bias` has another length than `grad_out` has columns.
    ValueError
        If the shapes of the matrices do not fit one another.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> x, kernel, grad_out = numpy.ones((1, 2)), numpy.array([[2.0], [3.0]]), numpy.ones((1, 1))
    >>> grad_in, grad_kernel, grad_bias = numpy.empty((1, 2)), numpy.empty((2, 1)), numpy.empty(1)
    >>> kernels.dense_backward(x, kernel, grad_out, grad_in, grad_kernel, grad_bias)
    >>> grad_in.tolist()
    [[2.0, 3.0]]
    """
    dense_backward_parameters(x, grad_out, grad_kernel, grad_bias)
    np.dot(grad_out, kernel.T, grad_in)
