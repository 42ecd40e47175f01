"""`fastinit.compute_fans` inside @njit functions.

Numba loads this file by itself, through the entry point in pyproject.toml, when it first compiles;
so `fastinit.compute_fans` needs no import of Numba, and a user's compiled code no other name.
"""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.core.errors import TypingError
from numba.extending import overload, register_jitable

from fastinit.fans import compute_fans

__all__ = ["register_overloads"]


@register_jitable
def _take(sizes, free, axes):
    """Return the product of the sizes of some axes, and mark the axes as taken."""
    product = 1
    for axis in axes:
        position = axis + len(sizes) if axis < 0 else axis
        if position < 0 or position >= len(sizes):
            raise ValueError("compute_fans: an axis does not exist in the shape")
        if not free[position]:
            raise ValueError("compute_fans: an axis is named twice")
        free[position] = False
        product *= sizes[position]
    return product


@register_jitable
def _none(sizes, free, axes):
    return 1


@register_jitable
def _one(sizes, free, axis):
    return _take(sizes, free, (axis,))


def _taker(axes: Any) -> Any:
    if isinstance(axes, types.Integer | types.Omitted | int):
        return _one if not _is_empty(axes) else _none
    if isinstance(axes, types.BaseTuple | tuple):
        return _take if len(axes) else _none
    return None


def _is_empty(axes: Any) -> bool:
    return isinstance(axes, types.Omitted) and axes.value == ()


def register_overloads() -> None:
    """Do nothing: Numba calls this after it has imported the module, which registers."""


@overload(compute_fans)
def _compute_fans(shape, in_axis=-2, out_axis=-1, batch_axis=()):
    takers = _taker(in_axis), _taker(out_axis), _taker(batch_axis)
    integer_tuple = isinstance(shape, types.UniTuple) and isinstance(shape.dtype, types.Integer)
    if not integer_tuple or None in takers:
        return None
    if shape.count < 2:
        raise TypingError("compute_fans needs a shape of at least two axes")
    take_in, take_out, take_batch = takers
    all_free = (True,) * shape.count

    def implementation(shape, in_axis=-2, out_axis=-1, batch_axis=()):
        free = list(all_free)
        for size in shape:
            if size < 0:
                raise ValueError("compute_fans: a shape has no negative size")
        inputs = take_in(shape, free, in_axis)
        outputs = take_out(shape, free, out_axis)
        take_batch(shape, free, batch_axis)
        receptive_field = 1
        for axis in range(len(shape)):
            if free[axis]:
                receptive_field *= shape[axis]
        return inputs * receptive_field, outputs * receptive_field

    return implementation
