"""Regions of a tensor: what an index selects, and which runs of elements it is made of."""

from __future__ import annotations

import math
import operator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastinit.errors import ArgumentIndexError, ArgumentTypeError

__all__ = ["Region", "Runs", "region_of", "runs_of"]


class Region(NamedTuple):
    """Position p of an array of `shape` is element start + sum(p * strides) of the tensor."""

    shape: tuple[int, ...]
    start: int
    strides: tuple[int, ...]


def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides, in elements, of an array of `shape` in C order."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def region_of(shape: tuple[int, ...], index: Any) -> Region:
    """Return the region of a tensor of `shape` that a basic `index` selects, as NumPy would.

    `index` is None (all of it), or an integer, slice or Ellipsis, or a tuple of these. The tensor
    itself need not exist, so it may be larger than memory.
    """
    strides = contiguous_strides(shape)
    if index is None:
        return Region(shape, 0, strides)
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

    start, kept_shape, kept_strides = 0, [], []
    for axis, (pick, size, stride) in enumerate(zip(picks, shape, strides, strict=True)):
        if isinstance(pick, slice):
            if pick.step == 0:
                raise ArgumentIndexError(f"the step of a slice cannot be zero, got {pick!r}")
            positions = range(*pick.indices(size))
            start += positions.start * stride if positions else 0
            kept_shape.append(len(positions))
            kept_strides.append(positions.step * stride)
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
        start += position % size * stride
    return Region(tuple(kept_shape), start, tuple(kept_strides))


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
