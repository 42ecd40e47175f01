"""Contests: what is compared takes turns in one process."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

__all__ = ["LEAST_ROUNDS", "Fill", "Fills", "measure", "rest"]

Fill: TypeAlias = Callable[[], Any]
"""What is measured: one call of one contestant."""

Fills: TypeAlias = dict[str, Fill]
"""Name of a contestant -> its call."""

LEAST_ROUNDS = 3
"""So many are measured even when they last too long: fewer have no spread."""


def measure(
    fills: Mapping[str, Fill],
    rounds: int,
    repeats: int = 1,
    seconds: float = math.inf,
    warm_up: bool = True,
) -> dict[str, list[float]]:
    """Measure contestants in turns, so that whatever else the machine does is done to all of them.

    Parameters
    ----------
    fills : mapping
        Name -> call. Where one has an attribute ``start``, that is called before each sample, and
        is not measured.
    rounds : int
        Samples of each contestant.
    repeats : int, default 1
        Calls in a sample.
    seconds : float, optional
        After so long no other round begins, if there were `LEAST_ROUNDS`.
    warm_up : bool, default True
        Whether one more sample comes first, and does not count: it compiles, and touches the pages.

    Returns
    -------
    dict
        Name -> seconds a call, one number a round.

    Examples
    --------
    >>> from fastinit.bench.contests import measure
    >>> times = measure({"sum": lambda: sum(range(100)), "nothing": lambda: None}, rounds=3)
    >>> {name: len(samples) for name, samples in times.items()}
    {'sum': 3, 'nothing': 3}
    """
    times: dict[str, list[float]] = {name: [] for name in fills}
    begin = time.perf_counter()
    for turn in range(0 if warm_up else 1, rounds + 1):
        if turn > LEAST_ROUNDS and time.perf_counter() - begin > seconds:
            break
        for name, fill in fills.items():
            getattr(fill, "start", lambda: None)()
            rest()
            start = time.perf_counter()
            for _ in range(repeats):
                fill()
            if turn:
                times[name].append((time.perf_counter() - start) / repeats)
    return times


def rest() -> None:
    """Wait until the threads of the one before have stopped spinning, OpenBLAS' after 0.1 s."""
    for _ in range(100):
        busy = time.process_time()
        time.sleep(0.005)
        if time.process_time() - busy < 0.001:
            return
