"""Regions of a tensor: what an index selects, which runs of elements it has, how work is cut."""

from __future__ import annotations

import math
import operator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastinit.errors import ArgumentError, ArgumentIndexError, ArgumentTypeError

__all__ = ["Cut", "Region", "Runs", "cut", "places_of", "region_of", "runs_of", "slice_of"]


class Region(NamedTuple):
    """Position p of an array of `shape` is element start + sum(p * strides) of the tensor.

    Parameters
    ----------
    shape : tuple of int
        That of the array.
    start : int
        Which element of the tensor comes first.
    strides : tuple of int
        By how many elements of the tensor a step along each axis moves on; they may be negative.

    Examples
    --------
    >>> from fastinit.sampling import Region
    >>> Region(shape=(2, 3), start=4, strides=(12, 1)).start
    4
    """

    shape: tuple[int, ...]
    start: int
    strides: tuple[int, ...]


def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides, in elements, of an array of `shape` in C order."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def region_of(shape: tuple[int, ...], index: Any) -> Region:
    """Return the region of a tensor of `shape` that a basic `index` selects, as NumPy would.

    The tensor itself need not exist, so it may be larger than memory; its elements are numbered in
    63 bits.

    Parameters
    ----------
    shape : tuple of int
        That of the whole tensor.
    index : int, slice, Ellipsis, tuple of these or None
        What to select; None is all of it.

    Returns
    -------
    Region
        Its shape, its first element and its strides.

    Raises
    ------
    ArgumentError
        If the tensor has 2**63 elements or more.
    ArgumentIndexError
        If the index does not fit the shape.
    ArgumentTypeError
        If it is made of anything else.

    Examples
    --------
    >>> from fastinit.sampling import region_of
    >>> region_of((100, 50), (slice(10, 20), 7))
    Region(shape=(10,), start=507, strides=(50,))
    """
    strides = contiguous_strides(shape)
    if index is None:
        _check_numbers(shape)
        return Region(shape, 0, strides)
    start, kept_shape, kept_strides = 0, [], []
    for place, stride in zip(places_of(shape, index), strides, strict=True):
        if isinstance(place, int):
            start += place * stride
            continue
        start += place.start * stride if place else 0
        kept_shape.append(len(place))
        kept_strides.append(place.step * stride)
    return Region(tuple(kept_shape), start, tuple(kept_strides))


def places_of(shape: tuple[int, ...], index: Any) -> tuple[range | int, ...]:
    """Return which positions along each axis a basic `index` selects: a range, or one of them."""
    _check_numbers(shape)
    if index is None:
        return tuple(map(range, shape))
    picks = list(index) if isinstance(index, tuple) else [index]
    ellipses = sum(pick is Ellipsis for pick in picks)
    if ellipses > 1:
        raise ArgumentIndexError(f"an index can have one ellipsis, got {index!r}")
    if len(picks) - ellipses > len(shape):
        raise ArgumentIndexError(
            f"index {index!r} has {len(picks) - ellipses} entries for shape {shape}"
        )
    fill = [slice(None)] * (len(shape) - len(picks) + ellipses)
    at = picks.index(Ellipsis) if ellipses else len(picks)
    picks[at : at + ellipses] = fill

    places: list[range | int] = []
    for axis, (pick, size) in enumerate(zip(picks, shape, strict=True)):
        if isinstance(pick, slice):
            if pick.step == 0:
                raise ArgumentIndexError(f"the step of a slice cannot be zero, got {pick!r}")
            places.append(range(*pick.indices(size)))
            continue
        if isinstance(pick, (bool, np.bool_)) or not hasattr(pick, "__index__"):
            raise ArgumentTypeError(
                f"an index is made of integers, slices and Ellipsis, got {pick!r}"
            )
        position = operator.index(pick)
        if not -size <= position < size:
            raise ArgumentIndexError(
                f"index {position} is out of bounds for axis {axis} of shape {shape}"
            )
        places.append(position % size)
    return tuple(places)


def slice_of(places: range) -> slice:
    """Return the slice that selects these positions, downwards too."""
    if not places:
        return slice(0, 0)
    return slice(places.start, places.stop if places.stop >= 0 else None, places.step)


def _check_numbers(shape: tuple[int, ...]) -> None:
    if math.prod(shape) > 2**63:
        raise ArgumentError(f"a tensor has at most 2**63 elements, got shape {shape}")


class Runs(NamedTuple):
    """A region as runs of `length` consecutive elements each."""

    number: int
    length: int
    start: int
    outer_shape: tuple[int, ...]
    outer_strides: tuple[int, ...]

    def starts(self, first: int, last: int) -> NDArray[np.uint64]:
        """Return the first element of each of the runs ``first`` to ``last - 1``."""
        if not self.outer_shape:
            return np.array([self.start], np.uint64)
        starts = np.full(last - first, self.start, np.int64)
        positions = np.unravel_index(np.arange(first, last), self.outer_shape)
        for position, stride in zip(positions, self.outer_strides, strict=True):
            starts += position * stride
        return starts.astype(np.uint64)


def runs_of(region: Region) -> Runs:
    """Merge the trailing axes of a region that are contiguous in the tensor into one run."""
    length = 1
    outer = list(zip(region.shape, region.strides, strict=True))
    while outer and (outer[-1][0] == 1 or outer[-1][1] == length):
        length *= outer.pop()[0]
    shape, strides = tuple(size for size, _ in outer), tuple(stride for _, stride in outer)
    return Runs(math.prod(shape), length, region.start, shape, strides)


class Cut(NamedTuple):
    """An array of `shape` in pieces: all the positions on its first axes, a slice of the next."""

    shape: tuple[int, ...]
    axis: int
    step: int

    @property
    def number(self) -> int:
        """How many pieces there are."""
        return math.prod(self.shape[: self.axis]) * -(-self.shape[self.axis] // self.step)

    def piece(self, i: int) -> tuple[Any, ...]:
        """Return the integers and the slice that select piece number i."""
        place, part = divmod(i, -(-self.shape[self.axis] // self.step))
        picks: list[Any] = []
        for size in reversed(self.shape[: self.axis]):
            place, position = divmod(place, size)
            picks.append(position)
        first = part * self.step
        last = min(first + self.step, self.shape[self.axis])
        return (*reversed(picks), slice(first, last))


def cut(shape: tuple[int, ...], most: int) -> Cut:
    """Cut an array of at least one axis into pieces of at most `most` elements."""
    axis, inner = len(shape) - 1, 1
    while axis > 0 and inner * shape[axis] <= most:
        inner *= shape[axis]
        axis -= 1
    return Cut(shape, axis, max(1, most // max(inner, 1)))
