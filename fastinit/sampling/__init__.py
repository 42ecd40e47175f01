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
from numpy.typing import NDArray

from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.sampling import backend, threads
from fastinit.sampling.distributions import (
    Constant,
    Distribution,
    Normal,
    TruncatedNormal,
    Uniform,
)
from fastinit.sampling.regions import Region, contiguous_strides, region_of, runs_of

__all__ = [
    "Constant",
    "Distribution",
    "Normal",
    "Region",
    "TruncatedNormal",
    "Uniform",
    "fill",
    "region_of",
]

DTYPES = {np.dtype(np.float32): "float32", np.dtype(np.float64): "float64"}

# Elements a task: a few milliseconds of work at most, so that threads finish together and Ctrl-C
# comes through; and a whole number of the kernels' blocks.
TASK = 2**21
# Runs a task at most, since the start of each takes memory.
RUNS = 2**14
# Below this many elements, waking another thread costs more than it saves.
SERIAL = 10**5


def fill(
    out: NDArray[Any],
    distribution: Distribution,
    key: int,
    start: int = 0,
    strides: tuple[int, ...] | None = None,
) -> None:
    """Fill `out` with elements of the tensor of values that `distribution` and `key` define.

    Parameters
    ----------
    out : ndarray of float32 or float64
        Writable, of any shape.
    distribution : Distribution
        The law of each element.
    key : int
        64 bits.
    start : int, default 0
        Which element of the tensor comes first.
    strides : tuple of int, optional
        By how many elements of the tensor a step along each axis of `out` moves on; by default as
        in C order, so that `out` holds the elements start, start + 1, ...

    Raises
    ------
    ArgumentError
        If `out` is read-only, its dtype is too small for the distribution's parameters, or `start`
        is negative.
    ArgumentTypeError
        If `out` is not an array of float32 or float64.
    """
    if not isinstance(out, np.ndarray) or out.dtype not in DTYPES:
        got = f"{out.dtype} array" if isinstance(out, np.ndarray) else type(out).__name__
        raise ArgumentTypeError(f"out must be a float32 or float64 array, got {got}")
    if not out.flags.writeable:
        raise ArgumentError("out is read-only")
    if start < 0:
        raise ArgumentError(f"start must not be negative, got {start}")
    if isinstance(distribution, Constant):
        _fill_constant(out, distribution.value)
        return
    kernel, parameters = _plan(distribution, out.dtype)
    if out.size == 0:
        return
    region = Region(out.shape, start, contiguous_strides(out.shape) if strides is None else strides)
    runs = runs_of(region)
    target = out if out.flags.c_contiguous else np.empty(out.shape, out.dtype)
    rows = target.reshape(runs.number, runs.length)
    seed = np.uint64(key)

    if out.size <= SERIAL:
        kernel(rows, seed, runs.starts(0, runs.number), parameters)
    elif runs.length >= TASK:
        pieces = -(-runs.length // TASK)

        def fill_piece(task: int) -> None:
            run, piece = divmod(task, pieces)
            first = piece * TASK
            starts = runs.starts(run, run + 1) + np.uint64(first)
            kernel(rows[run : run + 1, first : first + TASK], seed, starts, parameters)

        threads.run(fill_piece, runs.number * pieces)
    else:
        group = min(TASK // runs.length, RUNS)

        def fill_runs(task: int) -> None:
            first = task * group
            last = min(first + group, runs.number)
            kernel(rows[first:last], seed, runs.starts(first, last), parameters)

        threads.run(fill_runs, -(-runs.number // group))
    if target is not out:
        out[...] = target


@lru_cache(maxsize=4096)
def _plan(distribution: Distribution, dtype: np.dtype[Any]) -> tuple[Callable[..., None], Any]:
    """Return the kernel that draws, and its parameters."""
    name, parameters = distribution.plan(dtype)
    return getattr(backend.load(), f"{name}_{DTYPES[dtype]}"), parameters


def _fill_constant(out: NDArray[Any], value: float) -> None:
    if out.size <= SERIAL or not out.flags.c_contiguous:
        out[...] = value
        return
    flat = out.reshape(-1)

    def fill_piece(task: int) -> None:
        flat[task * TASK : (task + 1) * TASK] = value

    threads.run(fill_piece, -(-flat.size // TASK))
