"""What the suites share: one benchmark of asv for a table of cases."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any

from cases import CONTESTANTS, Case

with suppress(ImportError):  # of an older commit
    import fastinit.kernels  # noqa: F401  # before a process is forked for each figure

os.environ["FASTINIT_QUIET"] = "1"  # whether it compiles is no news here

SAMPLE = 0.005  # seconds, at least, in which the calls of a sample are measured


class Suite(ABC):
    """Times `cases` at `sizes`; `version` changes when old figures mean something else.

    `setup` makes the contestant and calls it, which compiles and touches the pages. asv calls
    `setup` again before each sample; then only what must be as before, such as the weights of a
    training run, is made anew.
    """

    timeout = 600
    repeat = (2, 10, 2.0)  # samples: at least, at most, and seconds
    warmup_time = 0.0
    version = "1"

    @property
    @abstractmethod
    def cases(self) -> dict[str, Case]:
        """The table."""

    def setup(self, name: str, *rest: Any) -> None:
        *size, contestant = rest
        if getattr(self, "made", None) != (name, rest):
            self.run = self.cases[name].make(contestant, *size)
            self.warm()
            self.made = name, rest
        self.start()

    def warm(self) -> None:
        """Call twice, and choose how many calls a sample has by the second."""
        self.start()
        self.run()
        self.start()
        begin = time.perf_counter()
        self.run()
        seconds = time.perf_counter() - begin
        self.number = 1 if hasattr(self.run, "start") else max(1, int(SAMPLE / seconds))

    def start(self) -> None:
        getattr(self.run, "start", lambda: None)()


def some(cases: dict[str, Case], *names: str) -> dict[str, Case]:
    """Return these rows of a table."""
    return {name: cases[name] for name in names}


def by_contestant(cases: dict[str, Case], *sizes: list[Any]) -> list[list[Any]]:
    """Return asv's `params`: the rows, the sizes, and whoever takes part in one of the rows."""
    there = {who for case in cases.values() for who in case.makers}
    return [list(cases), *sizes, [who for who in CONTESTANTS if who in there]]
