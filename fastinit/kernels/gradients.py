"""What is done to gradients before the optimizer's step: adding penalties, clipping.

Arrays are C-contiguous, of one shape, whatever that is, and of one dtype, float32 or float64.
Sums run in float64, in an order that the size alone decides: blocks of `BLOCK` elements, each
summed in interleaved parts, and the blocks' sums added from the first to the last. So a sum can be
cut between threads at blocks, by `block_squares` and `block_penalties`, and has the same bits.

To clip by the norm over all parameters of a network, hold their gradients in one flat array of
which each layer has a view. The optimizers' kernels take the penalties, the clipping by value and
the factor of the clipping by norm as options, and then need no pass of their own over the gradient.
"""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.np.numpy_support import carray

from fastinit.errors import ArgumentError
from fastinit.kernels.jit import FloatArray, intrinsic, njit
from fastinit.sampling.jit import template

__all__ = [
    "BLOCK",
    "add_penalty",
    "block_penalties",
    "block_squares",
    "clip_by_global_norm",
    "clip_by_value",
    "global_norm",
    "l1_l2_penalty",
    "norm_scale",
    "penalty",
]

BLOCK = 4096
LANES = 64


@njit
def l1_l2_penalty(parameter: FloatArray, gradient: FloatArray, l1: float, l2: float) -> float:
    """Return ``l1 * sum(abs(parameter)) + l2 * sum(parameter**2)``, and add its gradient.

    ``gradient += l1 * sign(parameter) + 2 * l2 * parameter``, with the sign of 0 being 0. Both
    factors above 0 are an elastic net. As in Keras; PyTorch's ``weight_decay`` of w, outside AdamW,
    is an `l2` of ``w / 2``.

    Parameters
    ----------
    parameter : ndarray
        The parameter, float32 or float64.
    gradient : ndarray
        Gradient of the loss in `parameter`, of its shape and dtype; added to.
    l1, l2 : float
        Factors of the penalties, not negative.

    Returns
    -------
    float
        The penalty. Like its gradient NaN where the parameter is NaN, and where it is infinite and
        a factor 0.

    Raises
    ------
    ArgumentError
        If the shapes differ.

    References
    ----------
    Zou and Hastie, "Regularization and Variable Selection via the Elastic Net", Journal of the
    Royal Statistical Society B 67 (2005).

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import gradients
    >>> gradient = numpy.zeros(2)
    >>> gradients.l1_l2_penalty(numpy.array([2.0, -4.0]), gradient, 0.5, 0.25)
    8.0
    >>> gradient.tolist()
    [1.5, -2.5]
    """
    add_penalty(parameter, gradient, l1, l2)
    return penalty(parameter, l1, l2)


@njit
def penalty(parameter: FloatArray, l1: float, l2: float) -> float:
    """Return ``l1 * sum(abs(parameter)) + l2 * sum(parameter**2)``.

    Parameters
    ----------
    parameter : ndarray
        The parameter, float32 or float64.
    l1, l2 : float
        Factors of the penalties, not negative.

    Returns
    -------
    float
        The penalty, as of `l1_l2_penalty`.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import gradients
    >>> gradients.penalty(numpy.array([2.0, -4.0]), 0.5, 0.25)
    8.0
    """
    p = parameter.reshape(parameter.size)
    total = 0.0
    for start in range(0, p.size, BLOCK):
        total += _block_penalty(p[start : start + BLOCK], l1, l2)
    return total


@njit
def add_penalty(parameter: FloatArray, gradient: FloatArray, l1: float, l2: float) -> None:
    """Add the gradient of a penalty: what `l1_l2_penalty` does, without the value.

    Parameters
    ----------
    parameter : ndarray
        The parameter, float32 or float64.
    gradient : ndarray
        Gradient of the loss in `parameter`, of its shape and dtype; added to.
    l1, l2 : float
        Factors of the penalties, not negative.

    Raises
    ------
    ArgumentError
        If the shapes differ.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import gradients
    >>> gradient = numpy.ones(3)
    >>> gradients.add_penalty(numpy.array([2.0, 0.0, -4.0]), gradient, 0.5, 0.25)
    >>> gradient.tolist()
    [2.5, 1.0, -1.5]
    """
    if parameter.shape != gradient.shape:
        raise ArgumentError("gradient must have the shape of parameter")
    p, g = parameter.reshape(parameter.size), gradient.reshape(gradient.size)
    dtype = p.dtype.type
    zero, step, slope = dtype(0), dtype(l1), dtype(2.0 * l2)
    for i in range(p.size):
        sign = step if p[i] > zero else (-step if p[i] < zero else zero)
        g[i] += sign + slope * p[i]


@njit
def clip_by_value(gradient: FloatArray, limit: float) -> None:
    """Bring every element into ``[-limit, limit]``: an infinite one too; a NaN stays.

    Parameters
    ----------
    gradient : ndarray
        Clipped in place, float32 or float64.
    limit : float
        Largest magnitude, at least 0.

    Raises
    ------
    ArgumentError
        If `limit` is negative or NaN.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import gradients
    >>> gradient = numpy.array([-3.0, 0.25])
    >>> gradients.clip_by_value(gradient, 0.5)
    >>> gradient.tolist()
    [-0.5, 0.25]
    """
    if not limit >= 0.0:
        raise ArgumentError("limit must be at least 0")
    g = gradient.reshape(gradient.size)
    high = g.dtype.type(limit)
    for i in range(g.size):
        lowered = high if g[i] > high else g[i]
        g[i] = -high if lowered < -high else lowered


@njit
def global_norm(gradient: FloatArray) -> float:
    """Return ``sqrt(sum(gradient**2))`` over all elements, 0 of none.

    It is what `clip_by_global_norm` compares. Squares of float32 do not overflow, since they are
    summed in float64; those of float64 do beyond 1e154, and the norm is infinite.

    Parameters
    ----------
    gradient : ndarray
        Any number of gradients in one array, float32 or float64.

    Returns
    -------
    float
        The norm; NaN if an element is NaN, else infinite if one is.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import gradients
    >>> gradients.global_norm(numpy.array([3.0, -4.0]))
    5.0
    """
    g = gradient.reshape(gradient.size)
    total = 0.0
    for start in range(0, g.size, BLOCK):
        total += _block_square(g[start : start + BLOCK])
    return math.sqrt(total)


@njit
def clip_by_global_norm(gradient: FloatArray, limit: float) -> float:
    """Shrink all elements alike so that their norm is at most `limit`, and return what it was.

    ``gradient *= limit / norm`` where ``norm = global_norm(gradient)`` is above `limit`; else not
    one bit changes. Where the norm is infinite or NaN there is no direction to keep, and all
    elements become NaN, as in Keras, so that the failure is seen; PyTorch makes the finite elements
    0 beside an infinite one.

    Parameters
    ----------
    gradient : ndarray
        Any number of gradients in one array, float32 or float64; scaled in place.
    limit : float
        Largest norm, above 0.

    Returns
    -------
    float
        The norm before.

    Raises
    ------
    ArgumentError
        If `limit` is not above 0.

    References
    ----------
    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks",
    arXiv:1211.5063.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import gradients
    >>> gradient = numpy.array([3.0, -4.0])
    >>> gradients.clip_by_global_norm(gradient, 2.5)
    5.0
    >>> gradient.tolist()
    [1.5, -2.0]
    """
    if not limit > 0.0:
        raise ArgumentError("limit must be above 0")
    norm = global_norm(gradient)
    scale = norm_scale(norm, limit)
    if scale != 1.0:
        g = gradient.reshape(gradient.size)
        factor = g.dtype.type(scale)
        for i in range(g.size):
            g[i] *= factor
    return norm


@njit
def norm_scale(norm: float, limit: float) -> float:
    """Return what gradients of that norm are multiplied with to clip them, 1 up to the limit.

    Parameters
    ----------
    norm : float
        The norm of all gradients.
    limit : float
        Largest norm, above 0.

    Returns
    -------
    float
        ``min(1, limit / norm)``; NaN if the norm is infinite or NaN.

    Examples
    --------
    >>> from fastinit.kernels import gradients
    >>> gradients.norm_scale(5.0, 1.0), gradients.norm_scale(0.5, 1.0)
    (0.2, 1.0)
    """
    if norm <= limit and norm < np.inf:
        return 1.0
    return limit / norm + (norm - norm)


@njit
def block_squares(
    gradient: FloatArray, first_block: int, last_block: int, sums: FloatArray
) -> None:
    """Write the sums of squares of some blocks. Nothing is checked.

    ``sqrt(sum(sums))``, added one after the other, is `global_norm`.

    Parameters
    ----------
    gradient : ndarray, shape (size,)
        The whole gradient.
    first_block, last_block : int
        From which block of `BLOCK` elements to which, the last one excluded.
    sums : ndarray of float64, shape (blocks,)
        The sum of block i is written into ``sums[i]``; the others are left alone.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import gradients
    >>> gradient, sums = numpy.ones(5000, numpy.float32), numpy.zeros(2)
    >>> gradients.block_squares(gradient, 0, 2, sums)
    >>> sums.tolist()
    [4096.0, 904.0]
    """
    for block in range(first_block, last_block):
        start = block * BLOCK
        sums[block] = _block_square(gradient[start : start + BLOCK])


@njit
def block_penalties(
    parameter: FloatArray,
    l1: float,
    l2: float,
    first_block: int,
    last_block: int,
    sums: FloatArray,
) -> None:
    """Write the penalties of some blocks. Nothing is checked.

    ``sum(sums)``, added one after the other, is `penalty`.

    Parameters
    ----------
    parameter : ndarray, shape (size,)
        The whole parameter.
    l1, l2 : float
        Factors of the penalties.
    first_block, last_block : int
        From which block of `BLOCK` elements to which, the last one excluded.
    sums : ndarray of float64, shape (blocks,)
        The penalty of block i is written into ``sums[i]``; the others are left alone.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import gradients
    >>> parameter, sums = numpy.full(5000, 2.0), numpy.zeros(2)
    >>> gradients.block_penalties(parameter, 0.0, 0.25, 1, 2, sums)
    >>> sums.tolist()
    [0.0, 904.0]
    """
    for block in range(first_block, last_block):
        start = block * BLOCK
        sums[block] = _block_penalty(parameter[start : start + BLOCK], l1, l2)


# A sum in one variable would be a chain that no compiler may cut. In LANES of them, on the stack,
# the loops below become vector instructions.


@intrinsic
def _stack(typing_context):
    """Return a pointer to LANES float64 in the frame of the calling function."""

    def generate(context, builder, signature, arguments):
        lanes = ir.ArrayType(ir.DoubleType(), LANES)
        return builder.bitcast(cgutils.alloca_once(builder, lanes), ir.DoubleType().as_pointer())

    return types.CPointer(types.float64)(), generate


@template
def _block_square(x):
    lanes = carray(_stack(), (LANES,))
    for lane in range(LANES):
        lanes[lane] = 0.0
    whole = x.size - x.size % LANES
    for i in range(0, whole, LANES):
        for lane in range(LANES):
            wide = np.float64(x[i + lane])
            lanes[lane] += wide * wide
    for lane in range(x.size - whole):
        wide = np.float64(x[whole + lane])
        lanes[lane] += wide * wide
    return _total(lanes)


@template
def _block_penalty(x, l1, l2):
    lanes = carray(_stack(), (LANES,))
    for lane in range(LANES):
        lanes[lane] = 0.0
    whole = x.size - x.size % LANES
    for i in range(0, whole, LANES):
        for lane in range(LANES):
            wide = np.float64(x[i + lane])
            lanes[lane] += l1 * abs(wide) + l2 * (wide * wide)
    for lane in range(x.size - whole):
        wide = np.float64(x[whole + lane])
        lanes[lane] += l1 * abs(wide) + l2 * (wide * wide)
    return _total(lanes)


@template
def _total(lanes):
    """Return the sum of the lanes, added by halves."""
    width = LANES // 2
    while width > 0:
        for lane in range(width):
            lanes[lane] += lanes[lane + width]
        width //= 2
    return lanes[0]
