"""Constants of stream version 1: how the elements of a tensor map to the generator's words.

Element ``i`` belongs to tile ``i // TILE``. A tile is made of ``LANES`` consecutive counters, each
of which gives four words, stored word-major: word ``w`` of lane ``l`` stands at ``w * LANES + l``.
So element ``i`` is word ``(i % TILE) // LANES`` of counter ``(i // TILE) * LANES + i % LANES``, and
a loop over the lanes computes and stores whole SIMD vectors. And how work on an array is cut.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

LANES = 16
TILE = 4 * LANES


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
