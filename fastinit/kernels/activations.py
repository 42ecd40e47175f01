"""Activations of a dense layer, forward and backward, written into arrays that the caller gives.

``f(z, out)`` writes the activations of the pre-activations `z`; ``out`` may be ``z``.
``f_backward(saved, grad_out, grad_in)`` takes what the forward pass saved and the gradient of the
loss in its output, and writes the gradient of the loss in `z`; ``grad_in`` may be ``grad_out``.
What is saved is the output where the derivative is a function of it, so that the forward pass may
overwrite its input; for gelu, gelu_tanh, silu and mish it is `z`.

Arrays have the shape ``(batch, units)``; empty ones are left alone. Those of a call are all float32
or all float64. A NaN stays a NaN. The values do not depend on the processor.

`activate` and `activate_backward` are all of these behind an integer, for code that learns only
when it runs which activation a layer has: ``CODES["tanh"]``. ``SAVES_INPUT`` holds the codes of
those that save `z`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from fastinit.errors import ArgumentError
from fastinit.kernels import elementary
from fastinit.kernels.jit import FloatArray, njit
from fastinit.sampling.jit import merged

__all__ = [
    "CODES",
    "ELU",
    "GELU",
    "GELU_TANH",
    "LEAKY_RELU",
    "LINEAR",
    "LOG_SOFTMAX",
    "MISH",
    "RELU",
    "SAVES_INPUT",
    "SELU",
    "SIGMOID",
    "SILU",
    "SOFTMAX",
    "SOFTPLUS",
    "TANH",
    "activate",
    "activate_backward",
    "elu",
    "elu_backward",
    "gelu",
    "gelu_backward",
    "gelu_tanh",
    "gelu_tanh_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "log_softmax",
    "log_softmax_backward",
    "mish",
    "mish_backward",
    "relu",
    "relu_backward",
    "selu",
    "selu_backward",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softmax",
    "softmax_backward",
    "softplus",
    "softplus_backward",
    "tanh",
    "tanh_backward",
]

LINEAR, RELU, LEAKY_RELU, ELU, SELU, GELU, GELU_TANH = range(7)
SILU, SOFTPLUS, MISH, TANH, SIGMOID, SOFTMAX, LOG_SOFTMAX = range(7, 14)

CODES: dict[str, int] = {
    "linear": LINEAR,
    "relu": RELU,
    "leaky_relu": LEAKY_RELU,
    "elu": ELU,
    "selu": SELU,
    "gelu": GELU,
    "gelu_tanh": GELU_TANH,
    "silu": SILU,
    "swish": SILU,
    "softplus": SOFTPLUS,
    "mish": MISH,
    "tanh": TANH,
    "sigmoid": SIGMOID,
    "softmax": SOFTMAX,
    "log_softmax": LOG_SOFTMAX,
}
SAVES_INPUT: frozenset[int] = frozenset({GELU, GELU_TANH, SILU, MISH})

# ---------------------------------------------------------------- one element
# f(z) -> activation, and f_slope(what was saved, gradient) -> gradient; where a formula is one call
# of an elementary function, it stands where it is used.

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
GELU_SLOPE, GELU_CUBIC = 2 * 0.7978845608028654, 0.044715  # twice sqrt(2 / pi): tanh as a sigmoid
FAR = 32.0  # from here on gelu_tanh is its limit
MISH_FAR = 40.0  # and mish, before its exponentials overflow


@merged
def _linear(z):
    return z


@merged
def _linear_slope(y, g):
    return g


@merged
def _leaky_relu(z, alpha):
    return alpha * z if z <= type(z)(0) else z


@merged
def _leaky_relu_slope(y, g, alpha):
    return alpha * g if y <= type(y)(0) else g


@merged
def _relu(z):
    zero = type(z)(0)
    return zero if z <= zero else z


@merged
def _relu_slope(y, g):
    zero = type(y)(0)
    return zero if y <= zero else g


@merged
def _elu(z, alpha):
    return alpha * elementary.expm1(z) if z <= type(z)(0) else z


@merged
def _elu_slope(y, g, alpha):
    return g * (y + alpha) if y <= type(y)(0) else g


@merged
def _selu(z):
    return type(z)(SELU_SCALE) * _elu(z, type(z)(SELU_ALPHA))


@merged
def _selu_slope(y, g):
    scale, bottom = type(y)(SELU_SCALE), type(y)(SELU_SCALE * SELU_ALPHA)
    return g * (y + bottom if y <= type(y)(0) else scale)


@merged
def _gelu(z):
    return z * elementary.normal_cdf(z)


@merged
def _gelu_slope(z, g):
    cdf, density = elementary.normal_parts(z)
    return g * (cdf + z * density)


@merged
def _gelu_tanh(z):
    slope, cubic = type(z)(GELU_SLOPE), type(z)(GELU_SLOPE * GELU_CUBIC)
    return z * elementary.sigmoid(z * (slope + cubic * (z * z)))


@merged
def _gelu_tanh_slope(z, g):
    slope, cubic, far = type(z)(GELU_SLOPE), type(z)(GELU_SLOPE * GELU_CUBIC), type(z)(FAR)
    z = -far if z < -far else z
    z = far if z > far else z
    square = z * z
    s = elementary.sigmoid(z * (slope + cubic * square))
    steepness = slope + type(z)(3) * cubic * square
    return g * (s + z * steepness * (s * (type(z)(1) - s)))


@merged
def _silu(z):
    return z * elementary.sigmoid(z)


@merged
def _silu_slope(z, g):
    one, s = type(z)(1), elementary.sigmoid(z)
    return g * (s * (one + z * (one - s)))


@merged
def _softplus_slope(y, g):
    return g * -elementary.expm1(-y)


@merged
def _mish(z):
    """tanh(log(1 + e)) = n / (n + 2) with n = e (e + 2)."""
    far, two = type(z)(MISH_FAR), type(z)(2)
    e = elementary.exp(far if z > far else z)
    n = e * (e + two)
    return z * (n / (n + two))


@merged
def _mish_slope(z, g):
    far, one, two = type(z)(MISH_FAR), type(z)(1), type(z)(2)
    z = far if z > far else z
    e = elementary.exp(z)
    n = e * (e + two)
    r = one / (n + two)
    return g * (n * r + z * ((two + two) * (e * (one + e) * r) * r))


@merged
def _tanh_slope(y, g):
    return g * (type(y)(1) - y * y)


@merged
def _sigmoid_slope(y, g):
    return g * y * (type(y)(1) - y)


# ---------------------------------------------------------------- all elements
# The loops read and write one array: of two, LLVM would vectorize a loop only for the case that
# they do not overlap, and a layer's activations usually take the place of its pre-activations.


@merged
def _check_shapes(saved, grad_out, grad_in):
    if not saved.shape == grad_out.shape == grad_in.shape:
        raise ArgumentError("output or z, grad_out and grad_in must have the same shape")


@merged
def _forward(element, z, out):
    if out.shape != z.shape:
        raise ArgumentError("out must have the shape of z")
    rows, units = z.shape
    for i in range(rows):
        for j in range(units):
            out[i, j] = z[i, j]
        for j in range(units):
            out[i, j] = element(out[i, j])


@merged
def _backward(slope, saved, grad_out, grad_in):
    _check_shapes(saved, grad_out, grad_in)
    rows, units = saved.shape
    for i in range(rows):
        for j in range(units):
            grad_in[i, j] = grad_out[i, j]
        for j in range(units):
            grad_in[i, j] = slope(saved[i, j], grad_in[i, j])


@merged
def _backward_with(alpha, slope, saved, grad_out, grad_in):
    _check_shapes(saved, grad_out, grad_in)
    rows, units = saved.shape
    alpha = saved.dtype.type(alpha)
    for i in range(rows):
        for j in range(units):
            grad_in[i, j] = grad_out[i, j]
        for j in range(units):
            grad_in[i, j] = slope(saved[i, j], grad_in[i, j], alpha)


@merged
def _forward_with(alpha, element, z, out):
    if out.shape != z.shape:
        raise ArgumentError("out must have the shape of z")
    rows, units = z.shape
    alpha = z.dtype.type(alpha)
    for i in range(rows):
        for j in range(units):
            out[i, j] = z[i, j]
        for j in range(units):
            out[i, j] = element(out[i, j], alpha)


# ---------------------------------------------------------------- rows
# A row is folded into eight sums, or maxima, of every eighth element, so that an addition need not
# wait for the one before it; the order is the same everywhere.


@merged
def _sum(total, a, b):
    return total + a


@merged
def _sum_of_products(total, a, b):
    return total + a * b


@merged
def _sum_of_exponentials(total, a, b):
    return total + elementary.exp(a)


@merged
def _largest(largest, a, b):
    return a if a > largest else largest


@merged
def _fold(step, joined, start, a, b, i):
    """Fold row i of a (and b) by `step`, and the eight results by `joined`."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = a.dtype.type(start)
    units = np.uint64(a.shape[1])
    eights = units & ~np.uint64(7)
    for j in range(np.uint64(0), eights, np.uint64(8)):
        s0 = step(s0, a[i, j], b[i, j])
        s1 = step(s1, a[i, j + np.uint64(1)], b[i, j + np.uint64(1)])
        s2 = step(s2, a[i, j + np.uint64(2)], b[i, j + np.uint64(2)])
        s3 = step(s3, a[i, j + np.uint64(3)], b[i, j + np.uint64(3)])
        s4 = step(s4, a[i, j + np.uint64(4)], b[i, j + np.uint64(4)])
        s5 = step(s5, a[i, j + np.uint64(5)], b[i, j + np.uint64(5)])
        s6 = step(s6, a[i, j + np.uint64(6)], b[i, j + np.uint64(6)])
        s7 = step(s7, a[i, j + np.uint64(7)], b[i, j + np.uint64(7)])
    for j in range(eights, units):
        s0 = step(s0, a[i, j], b[i, j])
    left = joined(joined(s0, s4, s4), joined(s2, s6, s6), s0)
    right = joined(joined(s1, s5, s5), joined(s3, s7, s7), s0)
    return joined(left, right, s0)


@merged
def _below_largest(z, out):
    """Write each row less its largest element, so that no exponential overflows."""
    rows, units = z.shape
    for i in range(rows):
        largest = _fold(_largest, _largest, -np.inf, z, z, i)
        for j in range(units):
            out[i, j] = z[i, j] - largest


@merged
def _exp_rows(a):
    rows, units = a.shape
    for i in range(rows):
        for j in range(units):
            a[i, j] = elementary.exp(a[i, j])


@merged
def _softmax(z, out, all_in_one_row):
    """Write the softmax; the exponentials are taken in the view of `out` that is the quickest."""
    _below_largest(z, out)
    _exp_rows(all_in_one_row)
    rows, units = z.shape
    for i in range(rows):
        scale = z.dtype.type(1) / _fold(_sum, _sum, 0.0, out, out, i)
        for j in range(units):
            out[i, j] *= scale


@merged
def _softmax_slope(y, grad_out, grad_in):
    rows, units = y.shape
    for i in range(rows):
        total = _fold(_sum_of_products, _sum, 0.0, y, grad_out, i)
        for j in range(units):
            grad_in[i, j] = y[i, j] * (grad_out[i, j] - total)


@merged
def _log_softmax(z, out):
    _below_largest(z, out)
    rows, units = z.shape
    for i in range(rows):
        log_total = elementary.log(_fold(_sum_of_exponentials, _sum, 0.0, out, out, i))
        for j in range(units):
            out[i, j] -= log_total


@merged
def _log_softmax_slope(y, grad_out, grad_in):
    rows, units = y.shape
    for i in range(rows):
        total = _fold(_sum, _sum, 0.0, grad_out, grad_out, i)
        for j in range(units):
            grad_in[i, j] = grad_out[i, j] - total * elementary.exp(y[i, j])


# ---------------------------------------------------------------- by code


@merged
def _copy(a, b):
    if a.ctypes.data != b.ctypes.data:
        for k in range(a.size):
            b[k] = a[k]


@njit
def activate(code: int, alpha: float, z: FloatArray, out: FloatArray) -> None:
    """Write the activations of any of these kernels, for the innermost loops: nothing is checked.

    Parameters
    ----------
    code : int
        One of the values of `CODES`.
    alpha : float
        That of leaky_relu and elu; the others do not look at it.
    z : ndarray, shape (batch, units)
        Pre-activations, float32 or float64, C-contiguous.
    out : ndarray, shape (batch, units)
        Overwritten with the activations; may be `z`. C-contiguous.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z = numpy.array([[-2.0, 3.0]])
    >>> activations.activate(activations.CODES["relu"], 0.0, z, z)
    >>> z.tolist()
    [[0.0, 3.0]]
    """
    size, slope = z.size, z.dtype.type(alpha)
    y = out.reshape(size)
    _copy(z.reshape(size), y)
    if code == SOFTMAX:
        _softmax(out, out, out.reshape((1, size)))
    elif code == LOG_SOFTMAX:
        _log_softmax(out, out)
    elif code == RELU:
        for k in range(size):
            y[k] = _relu(y[k])
    elif code == LEAKY_RELU:
        for k in range(size):
            y[k] = _leaky_relu(y[k], slope)
    elif code == ELU:
        for k in range(size):
            y[k] = _elu(y[k], slope)
    elif code == SELU:
        for k in range(size):
            y[k] = _selu(y[k])
    elif code == GELU:
        for k in range(size):
            y[k] = _gelu(y[k])
    elif code == GELU_TANH:
        for k in range(size):
            y[k] = _gelu_tanh(y[k])
    elif code == SILU:
        for k in range(size):
            y[k] = _silu(y[k])
    elif code == SOFTPLUS:
        for k in range(size):
            y[k] = elementary.softplus(y[k])
    elif code == MISH:
        for k in range(size):
            y[k] = _mish(y[k])
    elif code == TANH:
        for k in range(size):
            y[k] = elementary.tanh(y[k])
    elif code == SIGMOID:
        for k in range(size):
            y[k] = elementary.sigmoid(y[k])


@njit
def activate_backward(
    code: int, alpha: float, saved: FloatArray, grad_out: FloatArray, grad_in: FloatArray
) -> None:
    """Write the gradient through any of these kernels; nothing is checked.

    Parameters
    ----------
    code : int
        One of the values of `CODES`.
    alpha : float
        What the forward pass was given.
    saved : ndarray, shape (batch, units)
        The pre-activations if `code` is in `SAVES_INPUT`, else the activations. C-contiguous.
    grad_out : ndarray, shape (batch, units)
        Gradient of the loss in the activations. C-contiguous.
    grad_in : ndarray, shape (batch, units)
        Overwritten with the gradient of the loss in `z`; may be `grad_out`. C-contiguous.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> output, grad = numpy.array([[0.0, 3.0]]), numpy.ones((1, 2))
    >>> activations.activate_backward(activations.CODES["relu"], 0.0, output, grad, grad)
    >>> grad.tolist()
    [[0.0, 1.0]]
    """
    size, slope = saved.size, saved.dtype.type(alpha)
    x, d = saved.reshape(size), grad_in.reshape(size)
    _copy(grad_out.reshape(size), d)
    if code == SOFTMAX:
        _softmax_slope(saved, grad_in, grad_in)
    elif code == LOG_SOFTMAX:
        _log_softmax_slope(saved, grad_in, grad_in)
    elif code == RELU:
        for k in range(size):
            d[k] = _relu_slope(x[k], d[k])
    elif code == LEAKY_RELU:
        for k in range(size):
            d[k] = _leaky_relu_slope(x[k], d[k], slope)
    elif code == ELU:
        for k in range(size):
            d[k] = _elu_slope(x[k], d[k], slope)
    elif code == SELU:
        for k in range(size):
            d[k] = _selu_slope(x[k], d[k])
    elif code == GELU:
        for k in range(size):
            d[k] = _gelu_slope(x[k], d[k])
    elif code == GELU_TANH:
        for k in range(size):
            d[k] = _gelu_tanh_slope(x[k], d[k])
    elif code == SILU:
        for k in range(size):
            d[k] = _silu_slope(x[k], d[k])
    elif code == SOFTPLUS:
        for k in range(size):
            d[k] = _softplus_slope(x[k], d[k])
    elif code == MISH:
        for k in range(size):
            d[k] = _mish_slope(x[k], d[k])
    elif code == TANH:
        for k in range(size):
            d[k] = _tanh_slope(x[k], d[k])
    elif code == SIGMOID:
        for k in range(size):
            d[k] = _sigmoid_slope(x[k], d[k])


# ---------------------------------------------------------------- by name

FORWARD = """Parameters
----------
z : ndarray, shape (batch, units)
    Pre-activations, float32 or float64.
out : ndarray, shape (batch, units)
    Overwritten with the activations; may be `z`.
"""
BACKWARD = """Parameters
----------
{saved} : ndarray, shape (batch, units)
    {meaning}, float32 or float64.
grad_out : ndarray, shape (batch, units)
    Gradient of the loss in the activations.
grad_in : ndarray, shape (batch, units)
    Overwritten with the gradient of the loss in `z`; may be `grad_out`.
"""
MEANING = {"output": "What the forward pass wrote", "z": "The pre-activations"}
ALPHA = """alpha : float
    Slope or limit, as above; not negative, the same in both passes.
"""
RAISES = """
Raises
------
ArgumentError
    If the shapes differ.

"""
Kernel = TypeVar("Kernel", bound=Callable[..., None])


def _kernel(function: Kernel) -> Kernel:
    """Compile a kernel, its docstring completed by what all of them share."""
    arguments = inspect.getfullargspec(function).args
    saved = arguments[0]
    shared = BACKWARD.format(saved=saved, meaning=MEANING[saved])
    shared = shared if "grad_in" in arguments else FORWARD
    shared += ALPHA if "alpha" in arguments else ""
    own = inspect.cleandoc(function.__doc__ or "")
    before, title, after = own.partition("References\n" if "References\n" in own else "Examples\n")
    function.__doc__ = f"{before}{shared}{RAISES}{title}{after}\n"
    return njit(function)


@_kernel
def linear(z: FloatArray, out: FloatArray) -> None:
    """Write the activations ``out = z``.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, out = numpy.array([[-2.0, 3.0]]), numpy.empty((1, 2))
    >>> activations.linear(z, out)
    >>> out.round(3).tolist()
    [[-2.0, 3.0]]
    """
    _forward(_linear, z, out)


@_kernel
def linear_backward(output: FloatArray, grad_out: FloatArray, grad_in: FloatArray) -> None:
    """Write the gradient through `linear`: ``grad_in = grad_out``.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, grad = numpy.array([[-2.0, 3.0]]), numpy.ones((1, 2))
    >>> activations.linear(z, z)
    >>> activations.linear_backward(z, grad, grad)
    >>> grad.round(3).tolist()
    [[1.0, 1.0]]
    """
    _backward(_linear_slope, output, grad_out, grad_in)


@_kernel
def relu(z: FloatArray, out: FloatArray) -> None:
    """Write the activations ``max(z, 0)``.

    References
    ----------
    Glorot, Bordes, Bengio: Deep sparse rectifier neural networks. AISTATS (2011).

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, out = numpy.array([[-2.0, 3.0]]), numpy.empty((1, 2))
    >>> activations.relu(z, out)
    >>> out.round(3).tolist()
    [[0.0, 3.0]]
    """
    _forward(_relu, z, out)


@_kernel
def relu_backward(output: FloatArray, grad_out: FloatArray, grad_in: FloatArray) -> None:
    """Write the gradient through `relu`: `grad_out` where ``output > 0``, else 0.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, grad = numpy.array([[-2.0, 3.0]]), numpy.ones((1, 2))
    >>> activations.relu(z, z)
    >>> activations.relu_backward(z, grad, grad)
    >>> grad.round(3).tolist()
    [[0.0, 1.0]]
    """
    _backward(_relu_slope, output, grad_out, grad_in)


@_kernel
def leaky_relu(z: FloatArray, out: FloatArray, alpha: float) -> None:
    """Write the activations ``z if z > 0 else alpha * z``.

    `alpha` is the slope for negative `z`, not negative itself. PyTorch's default is 0.01; Keras'
    was 0.3 and is 0.2 since version 3.

    References
    ----------
    Maas, Hannun, Ng: Rectifier nonlinearities improve neural network acoustic models. ICML (2013).

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, out = numpy.array([[-2.0, 3.0]]), numpy.empty((1, 2))
    >>> activations.leaky_relu(z, out, 0.1)
    >>> out.round(3).tolist()
    [[-0.2, 3.0]]
    """
    _forward_with(alpha, _leaky_relu, z, out)


@_kernel
def leaky_relu_backward(
    output: FloatArray, grad_out: FloatArray, grad_in: FloatArray, alpha: float
) -> None:
    """Write the gradient through `leaky_relu`: `grad_out`, times `alpha` where ``output <= 0``.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, grad = numpy.array([[-2.0, 3.0]]), numpy.ones((1, 2))
    >>> activations.leaky_relu(z, z, 0.1)
    >>> activations.leaky_relu_backward(z, grad, grad, 0.1)
    >>> grad.round(3).tolist()
    [[0.1, 1.0]]
    """
    _backward_with(alpha, _leaky_relu_slope, output, grad_out, grad_in)


@_kernel
def elu(z: FloatArray, out: FloatArray, alpha: float) -> None:
    """Write the activations ``z if z > 0 else alpha * (exp(z) - 1)``.

    `alpha` is not negative; the paper's and the frameworks' is 1.

    References
    ----------
    Clevert, Unterthiner, Hochreiter: Fast and accurate deep network learning by exponential linear
    units. arXiv:1511.07289 (2015).

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, out = numpy.array([[-2.0, 3.0]]), numpy.empty((1, 2))
    >>> activations.elu(z, out, 1.0)
    >>> out.round(3).tolist()
    [[-0.865, 3.0]]
    """
    _forward_with(alpha, _elu, z, out)


@_kernel
def elu_backward(
    output: FloatArray, grad_out: FloatArray, grad_in: FloatArray, alpha: float
) -> None:
    """Write the gradient through `elu`: `grad_out`, times ``output + alpha`` where ``output <= 0``.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, grad = numpy.array([[-2.0, 3.0]]), numpy.ones((1, 2))
    >>> activations.elu(z, z, 1.0)
    >>> activations.elu_backward(z, grad, grad, 1.0)
    >>> grad.round(3).tolist()
    [[0.135, 1.0]]
    """
    _backward_with(alpha, _elu_slope, output, grad_out, grad_in)


@_kernel
def selu(z: FloatArray, out: FloatArray) -> None:
    """Write the activations ``1.0507 * (z if z > 0 else 1.6733 * (exp(z) - 1))``.

    With the constants in full, that keep mean 0 and variance 1.

    References
    ----------
    Klambauer, Unterthiner, Mayr, Hochreiter: Self-normalizing neural networks. arXiv:1706.02515
    (2017).

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, out = numpy.array([[-2.0, 3.0]]), numpy.empty((1, 2))
    >>> activations.selu(z, out)
    >>> out.round(3).tolist()
    [[-1.52, 3.152]]
    """
    _forward(_selu, z, out)


@_kernel
def selu_backward(output: FloatArray, grad_out: FloatArray, grad_in: FloatArray) -> None:
    """Write the gradient through `selu`.

    `grad_out` times 1.0507 where ``output > 0``, else times ``output + 1.7581``.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, grad = numpy.array([[-2.0, 3.0]]), numpy.ones((1, 2))
    >>> activations.selu(z, z)
    >>> activations.selu_backward(z, grad, grad)
    >>> grad.round(3).tolist()
    [[0.238, 1.051]]
    """
    _backward(_selu_slope, output, grad_out, grad_in)


@_kernel
def gelu(z: FloatArray, out: FloatArray) -> None:
    """Write the activations ``z * Phi(z)``, with the standard normal distribution function.

    Exact, not the approximation by tanh.

    References
    ----------
    Hendrycks, Gimpel: Gaussian error linear units (GELUs). arXiv:1606.08415 (2016).

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, out = numpy.array([[-2.0, 3.0]]), numpy.empty((1, 2))
    >>> activations.gelu(z, out)
    >>> out.round(3).tolist()
    [[-0.046, 2.996]]
    """
    _forward(_gelu, z, out)


@_kernel
def gelu_backward(z: FloatArray, grad_out: FloatArray, grad_in: FloatArray) -> None:
    """Write the gradient through `gelu`: ``grad_out * (Phi(z) + z * phi(z))``.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, grad = numpy.array([[-2.0, 3.0]]), numpy.ones((1, 2))
    >>> activations.gelu_backward(z, grad, grad)
    >>> grad.round(3).tolist()
    [[-0.085, 1.012]]
    """
    _backward(_gelu_slope, z, grad_out, grad_in)


@_kernel
def gelu_tanh(z: FloatArray, out: FloatArray) -> None:
    """Write the activations ``z / 2 * (1 + tanh(sqrt(2 / pi) * (z + 0.044715 * z**3)))``.

    The usual approximation of `gelu`, from the same paper.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, out = numpy.array([[-2.0, 3.0]]), numpy.empty((1, 2))
    >>> activations.gelu_tanh(z, out)
    >>> out.round(3).tolist()
    [[-0.045, 2.996]]
    """
    _forward(_gelu_tanh, z, out)


@_kernel
def gelu_tanh_backward(z: FloatArray, grad_out: FloatArray, grad_in: FloatArray) -> None:
    """Write the gradient through `gelu_tanh`: `grad_out` times its derivative.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, grad = numpy.array([[-2.0, 3.0]]), numpy.ones((1, 2))
    >>> activations.gelu_tanh_backward(z, grad, grad)
    >>> grad.round(3).tolist()
    [[-0.086, 1.012]]
    """
    _backward(_gelu_tanh_slope, z, grad_out, grad_in)


@_kernel
def silu(z: FloatArray, out: FloatArray) -> None:
    """Write the activations ``z / (1 + exp(-z))``, also called swish.

    References
    ----------
    Elfwing, Uchibe, Doya: Sigmoid-weighted linear units for neural network function approximation
    in reinforcement learning. arXiv:1702.03118 (2017).

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, out = numpy.array([[-2.0, 3.0]]), numpy.empty((1, 2))
    >>> activations.silu(z, out)
    >>> out.round(3).tolist()
    [[-0.238, 2.858]]
    """
    _forward(_silu, z, out)


@_kernel
def silu_backward(z: FloatArray, grad_out: FloatArray, grad_in: FloatArray) -> None:
    """Write the gradient through `silu`.

    ``grad_out * s * (1 + z * (1 - s))`` with ``s = sigmoid(z)``.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, grad = numpy.array([[-2.0, 3.0]]), numpy.ones((1, 2))
    >>> activations.silu_backward(z, grad, grad)
    >>> grad.round(3).tolist()
    [[-0.091, 1.088]]
    """
    _backward(_silu_slope, z, grad_out, grad_in)


@_kernel
def softplus(z: FloatArray, out: FloatArray) -> None:
    """Write the activations ``log(1 + exp(z))``, without overflow.

    PyTorch's are linear above a threshold of 20, where the difference is below 3e-9.

    References
    ----------
    Dugas, Bengio, Bélisle, Nadeau, Garcia: Incorporating second-order functional knowledge for
    better option pricing. NIPS (2000).

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, out = numpy.array([[-2.0, 3.0]]), numpy.empty((1, 2))
    >>> activations.softplus(z, out)
    >>> out.round(3).tolist()
    [[0.127, 3.049]]
    """
    _forward(elementary.softplus, z, out)


@_kernel
def softplus_backward(output: FloatArray, grad_out: FloatArray, grad_in: FloatArray) -> None:
    """Write the gradient through `softplus`: ``grad_out * (1 - exp(-output))``.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, grad = numpy.array([[-2.0, 3.0]]), numpy.ones((1, 2))
    >>> activations.softplus(z, z)
    >>> activations.softplus_backward(z, grad, grad)
    >>> grad.round(3).tolist()
    [[0.119, 0.953]]
    """
    _backward(_softplus_slope, output, grad_out, grad_in)


@_kernel
def mish(z: FloatArray, out: FloatArray) -> None:
    """Write the activations ``z * tanh(log(1 + exp(z)))``.

    References
    ----------
    Misra: Mish: a self regularized non-monotonic activation function. arXiv:1908.08681 (2019).

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, out = numpy.array([[-2.0, 3.0]]), numpy.empty((1, 2))
    >>> activations.mish(z, out)
    >>> out.round(3).tolist()
    [[-0.253, 2.987]]
    """
    _forward(_mish, z, out)


@_kernel
def mish_backward(z: FloatArray, grad_out: FloatArray, grad_in: FloatArray) -> None:
    """Write the gradient through `mish`: `grad_out` times its derivative.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, grad = numpy.array([[-2.0, 3.0]]), numpy.ones((1, 2))
    >>> activations.mish_backward(z, grad, grad)
    >>> grad.round(3).tolist()
    [[-0.108, 1.021]]
    """
    _backward(_mish_slope, z, grad_out, grad_in)


@_kernel
def tanh(z: FloatArray, out: FloatArray) -> None:
    """Write the activations ``tanh(z)``.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, out = numpy.array([[-2.0, 3.0]]), numpy.empty((1, 2))
    >>> activations.tanh(z, out)
    >>> out.round(3).tolist()
    [[-0.964, 0.995]]
    """
    _forward(elementary.tanh, z, out)


@_kernel
def tanh_backward(output: FloatArray, grad_out: FloatArray, grad_in: FloatArray) -> None:
    """Write the gradient through `tanh`: ``grad_out * (1 - output**2)``.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, grad = numpy.array([[-2.0, 3.0]]), numpy.ones((1, 2))
    >>> activations.tanh(z, z)
    >>> activations.tanh_backward(z, grad, grad)
    >>> grad.round(3).tolist()
    [[0.071, 0.01]]
    """
    _backward(_tanh_slope, output, grad_out, grad_in)


@_kernel
def sigmoid(z: FloatArray, out: FloatArray) -> None:
    """Write the activations ``1 / (1 + exp(-z))``, without overflow for any `z`.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, out = numpy.array([[-2.0, 3.0]]), numpy.empty((1, 2))
    >>> activations.sigmoid(z, out)
    >>> out.round(3).tolist()
    [[0.119, 0.953]]
    """
    _forward(elementary.sigmoid, z, out)


@_kernel
def sigmoid_backward(output: FloatArray, grad_out: FloatArray, grad_in: FloatArray) -> None:
    """Write the gradient through `sigmoid`: ``grad_out * output * (1 - output)``.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, grad = numpy.array([[-2.0, 3.0]]), numpy.ones((1, 2))
    >>> activations.sigmoid(z, z)
    >>> activations.sigmoid_backward(z, grad, grad)
    >>> grad.round(3).tolist()
    [[0.105, 0.045]]
    """
    _backward(_sigmoid_slope, output, grad_out, grad_in)


@_kernel
def softmax(z: FloatArray, out: FloatArray) -> None:
    """Write the activations ``exp(z) / sum(exp(z))``, row by row.

    The row's maximum is subtracted first, so nothing overflows.

    References
    ----------
    Bridle: Probabilistic interpretation of feedforward classification network outputs, with
    relationships to statistical pattern recognition. Neurocomputing, Springer (1990).

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, out = numpy.array([[-2.0, 3.0]]), numpy.empty((1, 2))
    >>> activations.softmax(z, out)
    >>> out.round(3).tolist()
    [[0.007, 0.993]]
    """
    if out.shape != z.shape:
        raise ArgumentError("out must have the shape of z")
    _softmax(z, out, out)


@_kernel
def softmax_backward(output: FloatArray, grad_out: FloatArray, grad_in: FloatArray) -> None:
    """Write the gradient through `softmax`: ``output * (grad_out - sum(grad_out * output))``.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, grad = numpy.zeros((1, 2)), numpy.array([[1.0, 0.0]])
    >>> activations.softmax(z, z)
    >>> activations.softmax_backward(z, grad, grad)
    >>> grad.round(3).tolist()
    [[0.25, -0.25]]
    """
    _check_shapes(output, grad_out, grad_in)
    _softmax_slope(output, grad_out, grad_in)


@_kernel
def log_softmax(z: FloatArray, out: FloatArray) -> None:
    """Write the activations ``z - log(sum(exp(z)))``, row by row: the logarithm of `softmax`.

    The row's maximum is subtracted first, so nothing overflows.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, out = numpy.array([[-2.0, 3.0]]), numpy.empty((1, 2))
    >>> activations.log_softmax(z, out)
    >>> out.round(3).tolist()
    [[-5.007, -0.007]]
    """
    if out.shape != z.shape:
        raise ArgumentError("out must have the shape of z")
    _log_softmax(z, out)


@_kernel
def log_softmax_backward(output: FloatArray, grad_out: FloatArray, grad_in: FloatArray) -> None:
    """Write the gradient through `log_softmax`: ``grad_out - exp(output) * sum(grad_out)``.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import activations
    >>> z, grad = numpy.zeros((1, 2)), numpy.array([[1.0, 0.0]])
    >>> activations.log_softmax(z, z)
    >>> activations.log_softmax_backward(z, grad, grad)
    >>> grad.round(3).tolist()
    [[0.5, -0.5]]
    """
    _check_shapes(output, grad_out, grad_in)
    _log_softmax_slope(output, grad_out, grad_in)
