"""A dense layer, forward and backward, written into arrays that the caller gives.

In compiled code these run on the calling thread; called from Python, a large product is shared by
the library's threads (`fastinit.set_num_threads`). The results are the same bits either way.

Every array is C-contiguous, and all of a call are float32 or all float64. In compiled code Numba
must know it, too: leading rows ``a[:n]`` are fine, ``buffers[0]`` of a three-dimensional array is,
but unpacking one (``a, b = buffers``) yields arrays of unknown layout. ``kernel`` has the shape
``(fan_in, fan_out)``, a batch has one row an example. An output array may not overlap any other
argument.
"""

from __future__ import annotations

from collections.abc import Callable

from numba.extending import overload

from fastinit.errors import ArgumentError
from fastinit.kernels.activations import LINEAR, activate
from fastinit.kernels.jit import FloatArray, njit
from fastinit.kernels.matmul import TILE_ROWS, matmul, matmul_plus_bias, matmul_transposed
from fastinit.sampling import threads

__all__ = ["dense_backward", "dense_backward_parameters", "dense_forward"]

# Operations that pay for handing a part to another thread.
OPERATIONS_OF_A_PART = 4e6


def _in_parts(rows: int, operations: float, work: Callable[[int, int], None]) -> None:
    """Call ``work(first, last)`` for all rows, in as many parts as there are threads for."""
    tiles = -(-rows // TILE_ROWS)
    most = min(threads.get_num_threads(), tiles, int(operations / OPERATIONS_OF_A_PART))
    parts = max(1, most)
    cuts = [min(rows, tiles * i // parts * TILE_ROWS) for i in range(parts + 1)]
    threads.run(lambda i: work(cuts[i], cuts[i + 1]), parts)


def dense_forward(
    x: FloatArray,
    kernel: FloatArray,
    bias: FloatArray,
    out: FloatArray,
    activation: int = LINEAR,
    alpha: float = 0.0,
) -> None:
    """Write ``out = activation(x @ kernel + bias)``.

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
    activation : int, default kernels.LINEAR
        Its number, for instance ``kernels.RELU``.
    alpha : float, default 0
        Slope of ``kernels.LEAKY_RELU`` for negative numbers, limit of ``kernels.ELU``.

    Raises
    ------
    ArgumentError
        If the shapes do not fit one another.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> x, kernel, out = numpy.ones((2, 3)), numpy.ones((3, 1)), numpy.empty((2, 1))
    >>> kernels.dense_forward(x, kernel, numpy.array([0.5]), out)
    >>> out.tolist()
    [[3.5], [3.5]]
    >>> kernels.dense_forward(x, -kernel, numpy.array([0.5]), out, kernels.RELU)
    >>> out.tolist()
    [[0.0], [0.0]]
    """
    _check(x.shape, kernel.shape, bias.shape, out.shape)
    _in_parts(
        len(x),
        2.0 * len(x) * kernel.size,
        lambda first, last: _forward(
            x[first:last], kernel, bias, out[first:last], activation, alpha
        ),
    )


def dense_backward_parameters(
    x: FloatArray,
    grad_out: FloatArray,
    grad_kernel: FloatArray,
    grad_bias: FloatArray,
    accumulate: bool = False,
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
    accumulate : bool, default False
        Whether to add to both instead of overwriting them.

    Raises
    ------
    ArgumentError
        If the shapes do not fit one another.

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
    _check(x.shape, grad_kernel.shape, grad_bias.shape, grad_out.shape)
    _backward_bias(grad_out, grad_bias, accumulate)
    _in_parts(
        len(grad_kernel),
        2.0 * len(x) * grad_kernel.size,
        lambda first, last: _backward_kernel(x, grad_out, grad_kernel, first, last, accumulate),
    )


def dense_backward(
    x: FloatArray,
    kernel: FloatArray,
    grad_out: FloatArray,
    grad_in: FloatArray,
    grad_kernel: FloatArray,
    grad_bias: FloatArray,
    accumulate: bool = False,
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
    accumulate : bool, default False
        Whether to add to the gradients of the parameters instead of overwriting them.

    Raises
    ------
    ArgumentError
        If the shapes do not fit one another.

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
    _check(grad_in.shape, kernel.shape, grad_bias.shape, grad_out.shape)
    dense_backward_parameters(x, grad_out, grad_kernel, grad_bias, accumulate)
    _in_parts(
        len(grad_in),
        2.0 * grad_in.shape[0] * kernel.size,
        lambda first, last: _backward_input(kernel, grad_out[first:last], grad_in[first:last]),
    )


@njit
def _check(
    x: tuple[int, int], kernel: tuple[int, int], bias: tuple[int], out: tuple[int, int]
) -> None:
    if x[1] != kernel[0]:
        raise ArgumentError("the inputs must have as many columns as the kernel has rows")
    if out != (x[0], kernel[1]):
        raise ArgumentError(
            "the outputs must have as many rows as the inputs, as many columns as the kernel"
        )
    if bias[0] != kernel[1]:
        raise ArgumentError("the bias must have as many elements as the kernel has columns")


@njit
def _forward(x, kernel, bias, out, activation, alpha):
    rows, units = out.shape
    matmul_plus_bias(
        rows, units, x.shape[1],
        x.reshape(x.size), kernel.reshape(kernel.size), bias, out.reshape(out.size),
    )  # fmt: skip
    activate(activation, alpha, out, out)


@njit
def _backward_bias(grad_out, grad_bias, accumulate):
    if not accumulate:
        grad_bias[:] = 0
    for i in range(grad_out.shape[0]):
        for j in range(grad_out.shape[1]):
            grad_bias[j] += grad_out[i, j]


@njit
def _backward_kernel(x, grad_out, grad_kernel, first, last, accumulate):
    """Compute rows of the kernel's gradient."""
    inputs, units = grad_kernel.shape
    matmul(
        last - first, units, x.shape[0], x.reshape(x.size), first, 1, inputs,
        grad_out.reshape(grad_out.size), 0, units,
        grad_kernel.reshape(grad_kernel.size), first * units, units, accumulate,
    )  # fmt: skip


@njit
def _backward_input(kernel, grad_out, grad_in):
    inputs, units = kernel.shape
    matmul_transposed(
        grad_in.shape[0], inputs, units, grad_out.reshape(grad_out.size), 0, units, 1,
        kernel.reshape(kernel.size), 0, units, grad_in.reshape(grad_in.size), 0, inputs, False,
    )  # fmt: skip


@overload(dense_forward)
def _dense_forward(x, kernel, bias, out, activation=LINEAR, alpha=0.0):
    def implementation(x, kernel, bias, out, activation=LINEAR, alpha=0.0):
        _check(x.shape, kernel.shape, bias.shape, out.shape)
        _forward(x, kernel, bias, out, activation, alpha)

    return implementation


@overload(dense_backward_parameters)
def _dense_backward_parameters(x, grad_out, grad_kernel, grad_bias, accumulate=False):
    def implementation(x, grad_out, grad_kernel, grad_bias, accumulate=False):
        _check(x.shape, grad_kernel.shape, grad_bias.shape, grad_out.shape)
        _backward_bias(grad_out, grad_bias, accumulate)
        _backward_kernel(x, grad_out, grad_kernel, 0, grad_kernel.shape[0], accumulate)

    return implementation


@overload(dense_backward)
def _dense_backward(x, kernel, grad_out, grad_in, grad_kernel, grad_bias, accumulate=False):
    def implementation(x, kernel, grad_out, grad_in, grad_kernel, grad_bias, accumulate=False):
        _check(grad_in.shape, kernel.shape, grad_bias.shape, grad_out.shape)
        _check(x.shape, grad_kernel.shape, grad_bias.shape, grad_out.shape)
        _backward_bias(grad_out, grad_bias, accumulate)
        _backward_kernel(x, grad_out, grad_kernel, 0, grad_kernel.shape[0], accumulate)
        _backward_input(kernel, grad_out, grad_in)

    return implementation
