"""Activations of a dense layer, forward and backward, written into arrays that the caller gives.

``f(z, out)`` writes the activations of the pre-activations `z`. ``f_backward(output, grad_out,
grad_in)`` takes what the forward pass wrote and the gradient of the loss in it, and writes the
gradient of the loss in `z`. All derivatives here are functions of the output alone, so the forward
pass may overwrite its input (``out`` may be ``z``), and the backward pass likewise (``grad_in`` may
be ``grad_out``).

Arrays have the shape ``(batch, units)``; empty ones are left alone. Those of a call are all float32
or all float64. A NaN stays a NaN.
"""

from __future__ import annotations

import numpy as np

from fastinit.errors import ArgumentError
from fastinit.kernels.jit import FloatArray, njit

__all__ = [
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "tanh",
    "tanh_backward",
]

LOG2_E = 1.4426950408889634
# ln 2 in two parts: the first has so few bits that its product with an exponent is exact.
LN2_HIGH = float.fromhex("0x1.62e42feep-1")
LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
# Adding 1.5 * 2**52 rounds to an integer and leaves that integer in the low bits.
ROUNDER = 6755399441055744.0


@njit
def _exp_parts(x: float) -> tuple[float, float]:
    """Return (s, p) such that exp(x) = s + s * p, with s a power of two and p = exp(r) - 1.

    Here |r| <= ln(2) / 2, and the Taylor series of exp(r) - 1 to the 13th power errs by less than
    1e-17. In plain arithmetic, unlike ``math.exp``, so that loops over it vectorize: this is what
    makes tanh ten times faster. `x` is held within [-708, 709], where s neither under- nor
    overflows.
    """
    x = -708.0 if x < -708.0 else x
    x = 709.0 if x > 709.0 else x
    shifted = x * LOG2_E + ROUNDER
    k = shifted - ROUNDER
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * (r * r) + r
    bits = np.float64(shifted).view(np.int64)
    s = np.int64((bits + 1023) << 52).view(np.float64)
    return s, p


@njit
def linear(z: FloatArray, out: FloatArray) -> None:
    """Write the activations ``out = z``.

    Parameters
    ----------
    z : ndarray, shape (batch, units)
        Pre-activations, float32 or float64.
    out : ndarray, shape (batch, units)
        Overwritten with the activations; may be `z`.

    Raises
    ------
    ArgumentError
        If the shapes differ.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> z, out = numpy.array([[-2.0, 3.0]]), numpy.empty((1, 2))
    >>> kernels.linear(z, out)
    >>> out.round(3).tolist()
    [[-2.0, 3.0]]
    """
    if out.shape != z.shape:
        raise ArgumentError("out must have the shape of z")
    rows, units = z.shape
    for i in range(rows):
        for j in range(units):
            out[i, j] = z[i, j]


@njit
def linear_backward(output: FloatArray, grad_out: FloatArray, grad_in: FloatArray) -> None:
    """Write the gradient through `linear`: ``grad_in = grad_out``.

    Parameters
    ----------
    output : ndarray, shape (batch, units)
        What `linear` wrote, float32 or float64.
    grad_out : ndarray, shape (batch, units)
        Gradient of the loss in `output`.
    grad_in : ndarray, shape (batch, units)
        Overwritten with the gradient of the loss in `z`; may be `grad_out`.

    Raises
    ------
    ArgumentError
        If the shapes differ.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> z, grad = numpy.array([[-2.0, 3.0]]), numpy.ones((1, 2))
    >>> kernels.linear(z, z)
    >>> kernels.linear_backward(z, grad, grad)
    >>> grad.round(3).tolist()
    [[1.0, 1.0]]
    """
    if not output.shape == grad_out.shape == grad_in.shape:
        raise ArgumentError("output, grad_out and grad_in must have the same shape")
    rows, units = output.shape
    for i in range(rows):
        for j in range(units):
            grad_in[i, j] = grad_out[i, j]


@njit
def relu(z: FloatArray, out: FloatArray) -> None:
    """Write the activations ``max(z, 0)``.

    Parameters
    ----------
    z : ndarray, shape (batch, units)
        Pre-activations, float32 or float64.
    out : ndarray, shape (batch, units)
        Overwritten with the activations; may be `z`.

    Raises
    ------
    ArgumentError
        If the shapes differ.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> z, out = numpy.array([[-2.0, 3.0]]), numpy.empty((1, 2))
    >>> kernels.relu(z, out)
    >>> out.round(3).tolist()
    [[0.0, 3.0]]
    """
    if out.shape != z.shape:
        raise ArgumentError("out must have the shape of z")
    rows, units = z.shape
    zero = z.dtype.type(0)
    for i in range(rows):
        for j in range(units):
            out[i, j] = zero if z[i, j] <= zero else z[i, j]


@njit
def relu_backward(output: FloatArray, grad_out: FloatArray, grad_in: FloatArray) -> None:
    """Write the gradient through `relu`: `grad_out` where ``output > 0``, else 0.

    Parameters
    ----------
    output : ndarray, shape (batch, units)
        What `relu` wrote, float32 or float64.
    grad_out : ndarray, shape (batch, units)
        Gradient of the loss in `output`.
    grad_in : ndarray, shape (batch, units)
        Overwritten with the gradient of the loss in `z`; may be `grad_out`.

    Raises
    ------
    ArgumentError
        If the shapes differ.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> z, grad = numpy.array([[-2.0, 3.0]]), numpy.ones((1, 2))
    >>> kernels.relu(z, z)
    >>> kernels.relu_backward(z, grad, grad)
    >>> grad.round(3).tolist()
    [[0.0, 1.0]]
    """
    if not output.shape == grad_out.shape == grad_in.shape:
        raise ArgumentError("output, grad_out and grad_in must have the same shape")
    rows, units = output.shape
    zero = output.dtype.type(0)
    for i in range(rows):
        for j in range(units):
            g = grad_out[i, j]
            grad_in[i, j] = zero if output[i, j] <= zero else g


@njit
def leaky_relu(z: FloatArray, out: FloatArray, alpha: float) -> None:
    """Write the activations ``z if z > 0 else alpha * z``.

    Parameters
    ----------
    z : ndarray, shape (batch, units)
        Pre-activations, float32 or float64.
    out : ndarray, shape (batch, units)
        Overwritten with the activations; may be `z`.
    alpha : float
        Slope for negative `z`, not negative itself. PyTorch's default is 0.01; Keras' was 0.3 and
        is 0.2 since version 3.

    Raises
    ------
    ArgumentError
        If the shapes differ.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> z, out = numpy.array([[-2.0, 3.0]]), numpy.empty((1, 2))
    >>> kernels.leaky_relu(z, out, 0.1)
    >>> out.round(3).tolist()
    [[-0.2, 3.0]]
    """
    if out.shape != z.shape:
        raise ArgumentError("out must have the shape of z")
    rows, units = z.shape
    zero, slope = z.dtype.type(0), z.dtype.type(alpha)
    for i in range(rows):
        for j in range(units):
            out[i, j] = slope * z[i, j] if z[i, j] <= zero else z[i, j]


@njit
def leaky_relu_backward(
    output: FloatArray, grad_out: FloatArray, grad_in: FloatArray, alpha: float
) -> None:
    """Write the gradient through `leaky_relu`: `grad_out`, times `alpha` where ``output <= 0``.

    Parameters
    ----------
    output : ndarray, shape (batch, units)
        What `leaky_relu` wrote, float32 or float64.
    grad_out : ndarray, shape (batch, units)
        Gradient of the loss in `output`.
    grad_in : ndarray, shape (batch, units)
        Overwritten with the gradient of the loss in `z`; may be `grad_out`.
    alpha : float
        The slope that the forward pass was given.

    Raises
    ------
    ArgumentError
        If the shapes differ.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> z, grad = numpy.array([[-2.0, 3.0]]), numpy.ones((1, 2))
    >>> kernels.leaky_relu(z, z, 0.1)
    >>> kernels.leaky_relu_backward(z, grad, grad, 0.1)
    >>> grad.round(3).tolist()
    [[0.1, 1.0]]
    """
    if not output.shape == grad_out.shape == grad_in.shape:
        raise ArgumentError("output, grad_out and grad_in must have the same shape")
    rows, units = output.shape
    zero, slope = output.dtype.type(0), output.dtype.type(alpha)
    for i in range(rows):
        for j in range(units):
            g = grad_out[i, j]
            grad_in[i, j] = slope * g if output[i, j] <= zero else g


@njit
def tanh(z: FloatArray, out: FloatArray) -> None:
    """Write the activations ``tanh(z)``.

    Parameters
    ----------
    z : ndarray, shape (batch, units)
        Pre-activations, float32 or float64.
    out : ndarray, shape (batch, units)
        Overwritten with the activations; may be `z`.

    Raises
    ------
    ArgumentError
        If the shapes differ.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> z, out = numpy.array([[-2.0, 3.0]]), numpy.empty((1, 2))
    >>> kernels.tanh(z, out)
    >>> out.round(3).tolist()
    [[-0.964, 0.995]]
    """
    if out.shape != z.shape:
        raise ArgumentError("out must have the shape of z")
    rows, units = z.shape
    for i in range(rows):
        for j in range(units):
            s, p = _exp_parts(2.0 * z[i, j])
            minus_1 = s * p + (s - 1.0)  # exp(2 z) - 1, without cancellation near 0
            out[i, j] = minus_1 / (minus_1 + 2.0)


@njit
def tanh_backward(output: FloatArray, grad_out: FloatArray, grad_in: FloatArray) -> None:
    """Write the gradient through `tanh`: ``grad_out * (1 - output**2)``.

    Parameters
    ----------
    output : ndarray, shape (batch, units)
        What `tanh` wrote, float32 or float64.
    grad_out : ndarray, shape (batch, units)
        Gradient of the loss in `output`.
    grad_in : ndarray, shape (batch, units)
        Overwritten with the gradient of the loss in `z`; may be `grad_out`.

    Raises
    ------
    ArgumentError
        If the shapes differ.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> z, grad = numpy.array([[-2.0, 3.0]]), numpy.ones((1, 2))
    >>> kernels.tanh(z, z)
    >>> kernels.tanh_backward(z, grad, grad)
    >>> grad.round(3).tolist()
    [[0.071, 0.01]]
    """
    if not output.shape == grad_out.shape == grad_in.shape:
        raise ArgumentError("output, grad_out and grad_in must have the same shape")
    rows, units = output.shape
    one = output.dtype.type(1)
    for i in range(rows):
        for j in range(units):
            y = output[i, j]
            grad_in[i, j] = grad_out[i, j] * (one - y * y)


@njit
def sigmoid(z: FloatArray, out: FloatArray) -> None:
    """Write the activations ``1 / (1 + exp(-z))``, without overflow for any `z`.

    Parameters
    ----------
    z : ndarray, shape (batch, units)
        Pre-activations, float32 or float64.
    out : ndarray, shape (batch, units)
        Overwritten with the activations; may be `z`.

    Raises
    ------
    ArgumentError
        If the shapes differ.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> z, out = numpy.array([[-2.0, 3.0]]), numpy.empty((1, 2))
    >>> kernels.sigmoid(z, out)
    >>> out.round(3).tolist()
    [[0.119, 0.953]]
    """
    if out.shape != z.shape:
        raise ArgumentError("out must have the shape of z")
    rows, units = z.shape
    for i in range(rows):
        for j in range(units):
            s, p = _exp_parts(-np.float64(z[i, j]))
            out[i, j] = 1.0 / (1.0 + (s + s * p))


@njit
def sigmoid_backward(output: FloatArray, grad_out: FloatArray, grad_in: FloatArray) -> None:
    """Write the gradient through `sigmoid`: ``grad_out * output * (1 - output)``.

    Parameters
    ----------
    output : ndarray, shape (batch, units)
        What `sigmoid` wrote, float32 or float64.
    grad_out : ndarray, shape (batch, units)
        Gradient of the loss in `output`.
    grad_in : ndarray, shape (batch, units)
        Overwritten with the gradient of the loss in `z`; may be `grad_out`.

    Raises
    ------
    ArgumentError
        If the shapes differ.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> z, grad = numpy.array([[-2.0, 3.0]]), numpy.ones((1, 2))
    >>> kernels.sigmoid(z, z)
    >>> kernels.sigmoid_backward(z, grad, grad)
    >>> grad.round(3).tolist()
    [[0.105, 0.045]]
    """
    if not output.shape == grad_out.shape == grad_in.shape:
        raise ArgumentError("output, grad_out and grad_in must have the same shape")
    rows, units = output.shape
    one = output.dtype.type(1)
    for i in range(rows):
        for j in range(units):
            y = output[i, j]
            grad_in[i, j] = grad_out[i, j] * y * (one - y)


@njit
def softmax(z: FloatArray, out: FloatArray) -> None:
    """Write the activations ``exp(z) / sum(exp(z))``, row by row.

    The row's maximum is subtracted first, so nothing overflows.

    Parameters
    ----------
    z : ndarray, shape (batch, units)
        Pre-activations, float32 or float64.
    out : ndarray, shape (batch, units)
        Overwritten with the activations; may be `z`.

    Raises
    ------
    ArgumentError
        If the shapes differ.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> z, out = numpy.array([[-2.0, 3.0]]), numpy.empty((1, 2))
    >>> kernels.softmax(z, out)
    >>> out.round(3).tolist()
    [[0.007, 0.993]]
    """
    if out.shape != z.shape:
        raise ArgumentError("out must have the shape of z")
    rows, units = z.shape
    for i in range(rows):
        largest = -np.inf
        for j in range(units):
            largest = max(largest, np.float64(z[i, j]))
        for j in range(units):
            s, p = _exp_parts(z[i, j] - largest)
            out[i, j] = s + s * p
        total = 0.0
        for j in range(units):
            total += out[i, j]
        scale = z.dtype.type(1.0 / total)
        for j in range(units):
            out[i, j] *= scale


@njit
def softmax_backward(output: FloatArray, grad_out: FloatArray, grad_in: FloatArray) -> None:
    """Write the gradient through `softmax`: ``output * (grad_out - sum(grad_out * output))``.

    Parameters
    ----------
    output : ndarray, shape (batch, units)
        What `softmax` wrote, float32 or float64.
    grad_out : ndarray, shape (batch, units)
        Gradient of the loss in `output`.
    grad_in : ndarray, shape (batch, units)
        Overwritten with the gradient of the loss in `z`; may be `grad_out`.

    Raises
    ------
    ArgumentError
        If the shapes differ.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> z, grad = numpy.zeros((1, 2)), numpy.array([[1.0, 0.0]])
    >>> kernels.softmax(z, z)
    >>> kernels.softmax_backward(z, grad, grad)
    >>> grad.tolist()
    [[0.25, -0.25]]
    """
    if not output.shape == grad_out.shape == grad_in.shape:
        raise ArgumentError("output, grad_out and grad_in must have the same shape")
    rows, units = output.shape
    for i in range(rows):
        total = output.dtype.type(0)
        for j in range(units):
            total += output[i, j] * grad_out[i, j]
        for j in range(units):
            grad_in[i, j] = output[i, j] * (grad_out[i, j] - total)
