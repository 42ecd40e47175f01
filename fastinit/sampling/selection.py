"""Subsets of a fixed size: which elements of each column of a matrix are kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastinit.sampling import backend, threads

__all__ = ["WIDTH", "thin"]

# Columns that are chosen in together, at most 512; the values depend on it.
WIDTH = 512
# Bytes of `out`, or of scratch, a call of the backend: less than a millisecond of work, after which
# Ctrl-C comes through.
BYTES = 2**21


def thin(
    out: NDArray[Any], shape: tuple[int, ...], places: tuple[range, ...], kept: int, key: int
) -> None:
    """Zero all but `kept` elements of each column of a matrix, all choices of them as likely.

    `out` is the part at `places`, ascending, of a matrix of `shape`. Of a part too, the rows are
    gone through from the first: of n that are left, of which k are still to be kept, the next one
    is with probability k / n (selection sampling, Knuth's algorithm S).
    """
    rows, columns = places
    first = columns[0] // WIDTH
    most = BYTES // (WIDTH * out.itemsize)
    choose = backend.load().choose

    def thin_block(i: int) -> None:
        start = (first + i) * WIDTH
        width = min(WIDTH, shape[1] - start)
        some, of_row = _within(columns, start, width)
        lacking = np.full(width, kept, np.uint32)
        for row in range(0, rows[-1] + 1, most):
            number = min(most, shape[0] - row)
            others, of_column = _within(rows, row, number)
            part = out[others, some]
            whole = part.shape == (number, width)
            block = part if whole else np.empty((number, width), out.dtype)
            if not whole:
                block[of_column, of_row] = part
            choose(block, lacking, shape[0] - row, key, start * shape[0] + row * width)
            if not whole:
                part[...] = block[of_column, of_row]

    threads.run(thin_block, columns[-1] // WIDTH + 1 - first)


def _within(places: range, start: int, size: int) -> tuple[slice, slice]:
    """Return which of `places` lie in the `size` ones from `start` on, and where there."""
    first, last = (
        min(max(0, -(-(end - places.start) // places.step)), len(places))
        for end in (start, start + size)
    )
    begin = places.start + first * places.step - start
    return slice(first, last), slice(begin, begin + (last - first) * places.step, places.step)
