"""Saying that kernels are being compiled, which happens once on a machine and takes a while.

Numba tells when it compiles; it tells nothing when it finds machine code in its cache. So the first
training says what it waits for, and later ones, also those of other processes, are quiet.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from numba.core import event

__all__ = ["Announcer", "hand_back", "hand_over"]

# Seconds of compiling in all before anything is said; and between two looks at a terminal's line,
# and between two lines where there is no terminal.
PATIENCE = 0.5
TERMINAL_SECONDS = 0.2
LOG_SECONDS = 20.0


class Announcer(event.Listener):
    """Shows on standard error that kernels are being compiled, how many, and for how long.

    On a terminal it is a line that changes, and vanishes in the end; else a line at the beginning
    and every 20 seconds. What is compiled for a function of someone else's is not announced, nor
    what a worker process compiles, nor anything where FASTINIT_QUIET is set to other than 0.

    Attributes
    ----------
    compiled : int
        How many kernels this process has compiled.
    seconds : float
        How long that took.
    """

    def __init__(self) -> None:
        self.compiled, self.seconds = 0, 0.0
        self.forget()
        self._said = -LOG_SECONDS  # at how many seconds the last line was written to a log
        self._shows: list[Callable[[str], None]] = []

    def forget(self) -> None:
        """Start anew in a forked child: who held the lock, or was compiling, is not there."""
        self._lock = threading.RLock()
        self._compiling: list[Any] = []  # the functions under way, the innermost last
        self._done = threading.Event()
        self._drawn = False

    def on_start(self, event: Any) -> None:
        """Be called when Numba begins to compile a function."""
        with contextlib.suppress(Exception), self._lock:
            function = event.data["dispatcher"].py_func
            ours = function.__module__.startswith("fastinit.")
            if not ours or (not self._compiling and _is_quiet()):
                return
            if not self._compiling:
                self._started, self._done = time.perf_counter(), threading.Event()
                threading.Thread(target=self._watch, args=(self._done,), daemon=True).start()
            self._compiling.append(function)

    def on_end(self, event: Any) -> None:
        """Be called when Numba has compiled a function."""
        with contextlib.suppress(Exception), self._lock:
            if event.data["dispatcher"].py_func not in self._compiling:
                return
            self._compiling.remove(event.data["dispatcher"].py_func)
            self.compiled += 1
            if not self._compiling:
                self.seconds += time.perf_counter() - self._started
                self._done.set()
                self._show("")

    def hand_over(self, show: Callable[[str], None]) -> None:
        """Let `show` show the line, until `hand_back`: it draws on the terminal itself."""
        with self._lock:
            self._shows.append(show)

    def hand_back(self, show: Callable[[str], None]) -> None:
        """Undo `hand_over`."""
        with self._lock:
            self._shows.remove(show)

    def _watch(self, done: threading.Event) -> None:
        """Show the line as long as it takes to compile a function and what it calls."""
        wait = max(0.0, PATIENCE - self.seconds)
        with contextlib.suppress(Exception):
            while not done.wait(wait):
                with self._lock:
                    if done.is_set():
                        return
                    seconds = self.seconds + time.perf_counter() - self._started
                    self._show(
                        f"compiling kernels, once on this machine: {self.compiled} done, "
                        f"{seconds:.0f} s ({self._compiling[-1].__name__})",
                        seconds,
                    )
                wait = TERMINAL_SECONDS

    def _show(self, text: str, seconds: float = 0.0) -> None:
        """Show a line, or none any more."""
        if self._shows:
            self._shows[-1](text)
            return
        text = text and f"fastinit: {text}"
        if sys.stderr.isatty():
            self._draw(text)
        elif text and seconds - self._said >= LOG_SECONDS:
            self._said = seconds
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()

    def _draw(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        if text or self._drawn:
            sys.stderr.write(f"\r{' ' * width}\r{text[:width]}")
            sys.stderr.flush()
        self._drawn = bool(text)


def _is_quiet() -> bool:
    """Return whether to say nothing: so asked, or because whoever started this worker speaks."""
    worker = multiprocessing.current_process().name != "MainProcess"
    return worker or os.environ.get("FASTINIT_QUIET", "0") != "0"


_announcer = Announcer()
hand_over, hand_back = _announcer.hand_over, _announcer.hand_back
event.register("numba:compile", _announcer)  # type: ignore[no-untyped-call]
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_announcer.forget)
