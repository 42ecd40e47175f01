"""Subsets of a fixed size: which elements of each column of a matrix are kept."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fastinit.sampling import backend, fill
from fastinit.sampling.distributions import Bits

__all__ = ["WIDTH", "masks"]

# Columns that are chosen in together; the values depend on it.
WIDTH = 512
# Rows at once: what belongs to them stays in the second cache.
ROWS = 128


def masks(
    shape: tuple[int, ...], kept: int, block: int, key: int
) -> Iterator[tuple[int, NDArray[np.int32]]]:
    """Keep `kept` elements of each column of a matrix, all choices of them as likely.

    Yields, for some rows at a time of the columns from ``block * WIDTH`` on, the first row's number
    and the masks: -1 (all bits set) is kept, 0 is not. They are overwritten by the next.

    The rows are gone through in order: of n that are left, of which k are still to be kept, the
    next one is with probability k / n (selection sampling, Knuth's algorithm S).
    """
    rows, columns = shape
    first = block * WIDTH
    lacking = np.full(min(WIDTH, columns - first), kept, np.uint32)
    words = np.empty((ROWS, len(lacking)), np.uint32)
    choose = backend.load().choose
    for row in range(0, rows, ROWS):
        part = words[: rows - row]
        fill(part, Bits(), key, first * rows + row * len(lacking))
        choose(part, lacking, rows - row)
        yield row, part.view(np.int32)
