"""The waist: every random value of the library goes through `fill`.

A draw is a distribution, a key and a region of a tensor. Element ``i`` of a tensor depends on
``(key, i)`` and the distribution alone, so any region can be made by itself, on any thread, process
or machine, and has the values it has in the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.sampling import backend, threads
from fastinit.sampling.distributions import (
    Bits,
    Constant,
    Distribution,
    Normal,
    Permutation,
    Sign,
    TruncatedNormal,
    Uniform,
)
from fastinit.sampling.dtypes import FLOATS, DType, find
from fastinit.sampling.regions import Region, contiguous_strides, cut, region_of, runs_of

__all__ = [
    "Bits",
    "Constant",
    "Distribution",
    "Normal",
    "Permutation",
    "Region",
    "Sign",
    "TruncatedNormal",
    "Uniform",
    "fill",
    "region_of",
]

# Elements a task: a few milliseconds of work at most, so that threads finish together and Ctrl-C
# comes through.
TASK = 2**21
# Runs a task at most, since the start of each takes memory.
RUNS = 2**13
# Bytes of scratch a task where `out` is not contiguous: they stay in the second cache.
SCRATCH = 2**18
# Below this many elements, waking another thread costs more than it saves.
SERIAL = 10**5

FROM_THE_FIRST = np.zeros(1, np.uint64)


def fill(
    out: NDArray[Any],
    distribution: Distribution,
    key: int,
    start: int = 0,
    strides: tuple[int, ...] | None = None,
    *,
    dtype: DTypeLike | DType | None = None,
    scale: float | None = None,
) -> None:
    """Fill `out` with elements of the tensor of values that `distribution` and `key` define.

    Beyond `out`, at most 2 MiB a thread are used.

    Parameters
    ----------
    out : ndarray
        Writable, of any shape and strides. Where several of its elements share memory, each is
        written, in no particular order.
    distribution : Distribution
        The law of each element.
    key : int
        64 bits.
    start : int, default 0
        Which element of the tensor comes first.
    strides : tuple of int, optional
        By how many elements of the tensor a step along each axis of `out` moves on; by default as
        in C order, so that `out` holds the elements start, start + 1, ...
    dtype : dtype-like, optional
        What `out` holds, by default what its own dtype says; float16 or bfloat16 for an `out` of
        uint16. A row of the table of dtypes that `distribution` is known to have spares the search.
    scale : float, optional
        Add `scale` times the elements to `out`, instead of writing them there.

    Raises
    ------
    ArgumentError
        If `out` is read-only, its dtype is too small for the distribution's parameters, or `start`
        is negative.
    ArgumentTypeError
        If `out` is not an array of a dtype that the distribution has.
    """
    row = _row_of(out, distribution.dtypes if scale is None else FLOATS, dtype)
    if not out.flags.writeable:
        raise ArgumentError("out is read-only")
    if not 0 <= start < 2**63:
        raise ArgumentError(f"start must be 0 to 2**63 - 1, got {start}")
    if scale is not None and abs(scale) > row.largest:
        raise ArgumentError(f"scale={scale!r} does not fit {row.name}")
    if out.dtype != row.storage:
        out = out.view(row.storage)
    if scale is None and isinstance(distribution, Constant):
        value, _ = distribution.plan(row.name)[1]
        _fill_constant(out, row.stored(value))
        return
    kernel, parameters = _plan(distribution, row.name, scale is not None)
    arguments = (parameters,) if scale is None else (parameters, row.compute.type(scale))
    seed = np.uint64(key)
    if out.size <= SERIAL and strides is None and out.flags.c_contiguous:
        if out.size:
            starts = np.array([start], np.uint64) if start else FROM_THE_FIRST
            kernel(out.reshape(1, out.size), seed, starts, *arguments)
        return
    steps = contiguous_strides(out.shape) if strides is None else strides

    def fill_part(part: NDArray[Any], first: int, steps: tuple[int, ...]) -> None:
        runs = runs_of(Region(part.shape, first, steps))
        rows = part if part.flags.c_contiguous else np.empty(part.shape, part.dtype)
        if scale is not None and rows is not part:
            rows[...] = part
        starts = runs.starts(0, runs.number)
        kernel(rows.reshape(runs.number, runs.length), seed, starts, *arguments)
        if rows is not part:
            part[...] = rows

    most = TASK if out.flags.c_contiguous else SCRATCH // out.itemsize
    most = min(most, RUNS * runs_of(Region(out.shape, start, steps)).length)
    if out.size <= min(most, SERIAL):
        if out.size:
            fill_part(out, start, steps)
        return
    pieces = cut(out.shape, most)

    def fill_piece(i: int) -> None:
        *place, part = pieces.piece(i)
        first = start + sum(p * s for p, s in zip((*place, part.start), steps, strict=False))
        fill_part(out[(*place, part)], first, steps[pieces.axis :])

    if out.size <= SERIAL:
        for i in range(pieces.number):
            fill_piece(i)
    else:
        threads.run(fill_piece, pieces.number)


def _row_of(out: NDArray[Any], dtypes: tuple[str, ...], dtype: DTypeLike | DType | None) -> DType:
    if not isinstance(out, np.ndarray):
        raise ArgumentTypeError(f"out must be an array, got {type(out).__name__}")
    if dtype is None:
        dtype = out.dtype
    row = dtype if isinstance(dtype, DType) else find(dtype, dtypes)
    if not row.holds(out.dtype):
        raise ArgumentTypeError(f"out has dtype {out.dtype.name}, expected {row.name}")
    return row


@lru_cache(maxsize=4096)
def _plan(distribution: Distribution, dtype: str, add: bool) -> tuple[Callable[..., None], Any]:
    """Return the kernel that draws, and its parameters."""
    law, parameters = distribution.plan(dtype)
    return backend.load().kernel(law, dtype, add), parameters


def _fill_constant(out: NDArray[Any], value: Any) -> None:
    if out.size <= SERIAL:
        out[...] = value
        return
    pieces = cut(out.shape, TASK)

    def fill_piece(i: int) -> None:
        out[pieces.piece(i)] = value

    threads.run(fill_piece, pieces.number)
