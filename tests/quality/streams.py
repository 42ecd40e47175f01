"""What is judged: streams of numbers; and the faulty ones that the same tests must reject.

A stream is a function of (start, count) that returns these elements of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

import fastinit
from fastinit import kernels
from fastinit.sampling import Bits, Distribution, fill

Stream = Callable[[int, int], NDArray[Any]]

# ---------------------------------------------------------------- the library's


def drawn(distribution: Distribution, key: fastinit.Key, dtype: str) -> Stream:
    """Return elements of the tensor that a distribution and a key define."""
    storage = np.dtype("uint16" if dtype == "bfloat16" else dtype)

    def stream(start: int, count: int) -> NDArray[Any]:
        out = np.empty(count, storage)
        fill(out, distribution, int(key), start, dtype=dtype)
        return out

    return stream


def words(key: fastinit.Key) -> Stream:
    """Return the raw 32-bit words."""
    return drawn(Bits(), key, "uint32")


def refinement(key: fastinit.Key) -> Stream:
    """Return the words of the other plane, which only float64 uses."""
    wide = drawn(Bits(), key, "uint64")
    return lambda start, count: wide(start, count).astype(np.uint32)


def interleaved(keys: list[fastinit.Key]) -> Stream:
    """Return word 0 of every key, then word 1 of every key, and so on."""
    numbers = np.array([int(key) for key in keys], np.uint64)
    return lambda start, count: _interleaved(numbers, start, np.empty(count, np.uint32))


@numba.njit
def _interleaved(keys, start, out):
    for i in range(out.size):
        element, which = divmod(start + i, keys.size)
        out[i] = kernels.draws.bits(keys[which], element)
    return out


# ---------------------------------------------------------------- parts of a stream


def later(stream: Stream, offset: int) -> Stream:
    """Return the stream without its first elements."""
    return lambda start, count: stream(start + offset, count)


def picked(stream: Stream, places: NDArray[Any]) -> Stream:
    """Return those elements alone that stand at these places of a tile of 64 elements."""

    def picked_stream(start: int, count: int) -> NDArray[Any]:
        first, last = start // places.size, -(-(start + count) // places.size)
        tiles = stream(64 * first, 64 * (last - first)).reshape(-1, 64)
        skip = start - first * places.size
        return tiles[:, places].reshape(-1)[skip : skip + count]

    return picked_stream


# ---------------------------------------------------------------- faults


def randu(start: int, count: int) -> NDArray[np.uint32]:
    """Return IBM's RANDU, x -> 65539 x mod 2^31, as the upper bits of words."""
    return _randu(pow(65539, start, 2**31), np.empty(count, np.uint32))


@numba.njit
def _randu(x, out):
    for i in range(out.size):
        x = 65539 * x % 2**31
        out[i] = x << 1
    return out


def echoed(stream: Stream, lag: int) -> Stream:
    """Return a stream of which one element in 64 is the one `lag` places before it."""

    def echo(start: int, count: int) -> NDArray[Any]:
        x = stream(start, count + lag)
        out, first = x[lag:].copy(), -start % 64
        out[first::64] = x[:count][first::64]
        return out

    return echo


def clipped(stream: Stream, bound: float) -> Stream:
    """Return a stream whose tails are cut off."""
    return lambda start, count: np.clip(stream(start, count), -bound, bound)


def scaled(stream: Stream, factor: float) -> Stream:
    """Return a stream whose standard deviation is a little wrong."""
    return lambda start, count: stream(start, count) * factor


def shuffled_badly(n: int) -> Stream:
    """Return permutations made by swapping each element with any other: not all equally likely."""

    def stream(start: int, count: int) -> NDArray[np.int64]:
        rows = np.tile(np.arange(n), (count // n, 1))
        generator, each = np.random.default_rng(start), np.arange(len(rows))
        for i in range(n):
            other = generator.integers(n, size=len(rows))
            rows[each, i], rows[each, other] = rows[each, other], rows[each, i].copy()
        return rows.reshape(-1)

    return stream
