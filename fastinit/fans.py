"""How many inputs and outputs a unit has: fan_in and fan_out, from a shape and its axes."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, SupportsIndex, TypeAlias

import numpy as np

from fastinit.errors import ArgumentError, ArgumentTypeError

__all__ = ["Axes", "Shape", "as_axes", "as_shape", "compute_fans"]

Shape: TypeAlias = "SupportsIndex | Sequence[SupportsIndex]"
Axes: TypeAlias = "SupportsIndex | Sequence[SupportsIndex]"


def compute_fans(
    shape: Shape, in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = ()
) -> tuple[int, int]:
    r"""Return fan_in and fan_out of a weight tensor.

    .. math::
        \text{fan\_in} = r \prod_{a \in \text{in}} n_a, \qquad
        \text{fan\_out} = r \prod_{a \in \text{out}} n_a

    where `r`, the receptive field size, is the product of all axes that are neither input, output
    nor batch axes (the window of a convolution). Batch axes stand for independent copies and count
    for nothing. It can be called inside ``@njit`` functions too, with integers and tuples of them.

    Parameters
    ----------
    shape : int or sequence of int
        At least two axes. The default axes fit dense kernels (in, out) and convolution kernels
        (\*window, in, out), as in Keras and JAX.
    in_axis, out_axis : int or sequence of int, default -2 and -1
        The axes that hold the inputs and the outputs.
    batch_axis : int or sequence of int, default ()
        The axes along which independent kernels are stacked.

    Returns
    -------
    fan_in, fan_out : int

    Raises
    ------
    ArgumentError
        If the shape has fewer than two axes or a negative size, an axis does not exist, or the same
        axis is named twice.
    ArgumentTypeError
        If a size or an axis is not an integer.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.compute_fans((784, 128))
    (784, 128)
    >>> fastinit.compute_fans((3, 3, 64, 32))
    (576, 288)
    >>> fastinit.compute_fans((32, 64, 3, 3), in_axis=1, out_axis=0)
    (576, 288)
    """
    sizes = as_shape(shape)
    if len(sizes) < 2:
        raise ArgumentError(f"fan_in and fan_out need a shape of at least two axes, got {sizes}")
    groups = [
        [_position(axis, sizes) for axis in as_axes(axes)]
        for axes in (in_axis, out_axis, batch_axis)
    ]
    named = [axis for group in groups for axis in group]
    if len(set(named)) < len(named):
        raise ArgumentError(
            f"an axis of shape {sizes} is named twice: in_axis={in_axis!r}, "
            f"out_axis={out_axis!r}, batch_axis={batch_axis!r}"
        )
    inputs, outputs, _ = (math.prod(sizes[axis] for axis in group) for group in groups)
    receptive_field = math.prod(size for axis, size in enumerate(sizes) if axis not in named)
    return inputs * receptive_field, outputs * receptive_field


def as_shape(shape: Shape) -> tuple[int, ...]:
    """Return a shape as a tuple of Python integers, or say what is wrong with it."""
    sizes = _integers(shape, "a shape")
    if sizes and min(sizes) < 0:
        raise ArgumentError(f"a shape has no negative size, got {shape!r}")
    return sizes


def as_axes(axes: Axes) -> tuple[int, ...]:
    """Return one axis or several as a tuple of Python integers."""
    return _integers(axes, "an axis")


def _integers(value: Any, what: str) -> tuple[int, ...]:
    if type(value) is int:  # the two usual cases, in a tenth of the time
        return (value,)
    if type(value) is tuple:
        for item in value:
            if type(item) is not int:
                break
        else:
            return value
    items = (value,) if np.ndim(value) == 0 else tuple(value)
    try:
        if any(isinstance(item, (bool, np.bool_)) for item in items):
            raise TypeError
        return tuple(operator.index(item) for item in items)
    except TypeError:
        raise ArgumentTypeError(
            f"{what} is an integer or a sequence of them, got {value!r}"
        ) from None


def _position(axis: int, sizes: tuple[int, ...]) -> int:
    if not -len(sizes) <= axis < len(sizes):
        raise ArgumentError(f"axis {axis} does not exist in shape {sizes}")
    return axis % len(sizes)
