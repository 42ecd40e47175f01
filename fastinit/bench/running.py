"""What `fastinit bench` measures, and in which order."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

import fastinit
from fastinit.bench import calls, contests, fills, machine
from fastinit.bench.contests import Fills
from fastinit.bench.results import Row, spread
from fastinit.errors import ArgumentError
from fastinit.sampling import backend
from fastinit.sampling.dtypes import FLOATS, find

__all__ = ["QUICK_SIZES", "SIZES", "Contest", "about", "measured", "planned"]

SIZES = tuple(8**power for power in range(2, 9))
"""64 to 16 Mi elements: from a bias to an embedding, from the first cache to the memory."""

QUICK_SIZES = tuple(16**power for power in range(2, 6))
LARGEST = 2**31

ROUNDS, QUICK_ROUNDS = 7, 3
SECONDS = 4.0
"""A contest, before it gets fewer rounds."""

SAMPLE = 2**19
"""Elements that a sample draws at least, in several calls where one draws fewer."""

MOST_CALLS = 100


class Contest(NamedTuple):
    """One row to be measured."""

    what: str
    elements: int
    contestants: Callable[[], Fills]
    repeats: int = 1
    rounds: int = ROUNDS
    warm_up: bool = True


def planned(
    dtype: str = "float32",
    sizes: Sequence[int] | None = None,
    threads: int | None = None,
    quick: bool = False,
) -> list[Contest]:
    """Return the contests of a run, after checking that they can be measured.

    Parameters
    ----------
    dtype : {"float32", "float64", "float16", "bfloat16"}, default "float32"
        Of the buffers that are filled.
    sizes : sequence of int, optional
        Their elements; by default `SIZES`.
    threads : int, optional
        By default as many as a large fill uses anyway. From now on fastinit uses so many.
    quick : bool, default False
        Fewer sizes and rounds, and nothing in fresh processes.

    Returns
    -------
    list of Contest

    Raises
    ------
    ArgumentError
        If a size or the number of threads is out of range.
    ArgumentTypeError
        If there is no such dtype, or no arrays of it here.

    Examples
    --------
    >>> from fastinit.bench.running import planned
    >>> [contest.what for contest in planned(sizes=[64], quick=True)]
    ['uniform', 'normal', 'truncated normal', 'he_normal', 'orthogonal']
    """
    array = find(dtype, FLOATS).array
    sizes = sorted(set(sizes or (QUICK_SIZES if quick else SIZES)))
    for size in sizes:
        if not 1 <= size <= LARGEST:
            raise ArgumentError(f"a size must be 1 to 2^31 elements, got {size}")
    if threads is not None:
        fastinit.set_num_threads(threads)
    count = fastinit.get_num_threads()
    rounds = QUICK_ROUNDS if quick else ROUNDS
    rows = [
        Contest(
            law,
            size,
            partial(_of_one_buffer, law, array, size, count),
            max(1, min(MOST_CALLS, SAMPLE // size)),
            rounds,
        )
        for law in fills.LAWS
        for size in sizes
    ]
    shape, square, large = (64, 20), (512, 512), (4096, 4096)
    rows += [
        Contest("he_normal", 64 * 20, partial(calls.small, shape), MOST_CALLS, rounds),
        Contest("orthogonal", 512**2, partial(calls.orthogonal, square), 1, rounds),
    ]
    if not quick:
        fresh = partial(calls.fresh, large, count)
        rows.append(Contest("cold start", 4096**2, fresh, 1, QUICK_ROUNDS, warm_up=False))
    return rows


def about(dtype: str) -> dict[str, object]:
    """Load the libraries, and return what figures of now come from.

    Parameters
    ----------
    dtype : str

    Returns
    -------
    dict
        As `Results.about`.
    """
    # For JAX, which has as many threads as this says when it is first used.
    os.environ.setdefault("NPROC", str(fastinit.get_num_threads()))
    absent = fills.absent()
    there = {name: package for name, package in fills.PACKAGES.items() if name not in absent}
    versions = machine.versions(there.values())
    named = {name: versions.get(package, "") for name, package in there.items()}
    if "Keras" in named:
        named["Keras"] += f" on {os.environ['KERAS_BACKEND']}"
    return {
        "processor": machine.processor(),
        "backend": backend.name(),
        "threads": fastinit.get_num_threads(),
        "dtype": dtype,
        "versions": named,
        "absent": absent,
    }


def measured(contest: Contest) -> Row:
    """Measure a contest.

    Parameters
    ----------
    contest : Contest

    Returns
    -------
    Row

    Examples
    --------
    >>> from fastinit.bench.running import Contest, measured
    >>> row = measured(Contest("nothing", 1, lambda: {"fastinit": lambda: None}))
    >>> row.seconds["fastinit"].median < 1.0
    True
    """
    times = contests.measure(
        contest.contestants(), contest.rounds, contest.repeats, SECONDS, contest.warm_up
    )
    return Row(
        contest.what,
        contest.elements,
        {name: spread(samples) for name, samples in times.items()},
    )


def _of_one_buffer(law: str, dtype: np.dtype[np.generic], size: int, count: int) -> Fills:
    return fills.fills(law, np.empty(size, dtype), count)
