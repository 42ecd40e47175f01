"""What a training shows while it runs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from fastinit.errors import ArgumentError
from fastinit.nn import compiling

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["Display", "progress_line"]

# Seconds of an epoch before a bar is worth its cost: drawing it takes a millisecond or two.
PATIENCE = 0.2


class Display:
    """The progress of a training on the terminal.

    Parameters
    ----------
    verbose : {0, 1, 2}
        0 shows nothing, 2 prints a line an epoch, 1 also shows a bar during epochs that take long,
        where standard output is a terminal and rich is installed.
    epochs : int
        Number of epochs.

    Raises
    ------
    ArgumentError
        If `verbose` is something else.
    """

    def __init__(self, verbose: int, epochs: int) -> None:
        if verbose not in (0, 1, 2):
            raise ArgumentError(f"verbose must be 0, 1 or 2, got {verbose!r}")
        self.shown, self._epochs = bool(verbose), epochs
        self._may_draw = verbose == 1 and _is_terminal()
        self._bar: Progress | None = None

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            compiling.hand_back(self._note)
            self._bar.stop()
            self._bar = None

    def begin_epoch(self, epoch: int, steps: int) -> None:
        """Note that an epoch of so many steps begins."""
        self._started = time.perf_counter()
        self._epoch, self._steps, self._done = epoch, steps, 0
        if self._bar is not None:
            self._bar.reset(self._task, total=steps, description=self._title(), values="")
            self._bar.refresh()

    def advance(self, steps: int, loss: float) -> None:
        """Show that steps were taken, and the mean loss of the epoch so far."""
        if not self._may_draw:
            return
        self._done += steps
        if self._bar is None:
            late = time.perf_counter() - self._started >= PATIENCE
            if not late or self._done == self._steps:
                return
            self._draw()
        if self._bar is None:
            return
        self._bar.update(self._task, completed=self._done, values=f"loss: {loss:.4f}")
        self._bar.refresh()

    def end_epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Print the line of an epoch."""
        if not self.shown:
            return
        line = progress_line(epoch, self._epochs, time.perf_counter() - self._started, logs)
        if self._bar is None:
            print(line)
        else:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _title(self) -> str:
        return f"Epoch {self._epoch + 1:{len(str(self._epochs))}}/{self._epochs}"

    def _draw(self) -> None:
        try:  # only now: it takes a twentieth of a second
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
            from rich.progress import TimeRemainingColumn as Remaining
        except ImportError:
            self._may_draw = False
            return
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            Remaining(compact=True, elapsed_when_finished=True),
            TextColumn("{task.fields[values]}"),
            auto_refresh=False,  # drawn when there is news, and by no thread of its own
            transient=True,
            expand=True,
        )
        self._task = self._bar.add_task(self._title(), total=self._steps, values="")
        self._bar.start()
        compiling.hand_over(self._note)

    def _note(self, text: str) -> None:
        """Show a note in place of the epoch's title."""
        bar = self._bar
        if bar is not None:
            bar.update(self._task, description=text or self._title(), values="")
            bar.refresh()


def _is_terminal() -> bool:
    isatty = getattr(sys.stdout, "isatty", bool)
    return bool(isatty()) and os.environ.get("TERM") != "dumb"


def progress_line(epoch: int, epochs: int, seconds: float, logs: Mapping[str, float]) -> str:
    """Return the line of an epoch.

    Parameters
    ----------
    epoch : int
        Number of the epoch, from 0.
    epochs : int
        Number of epochs.
    seconds : float
        Time that the epoch took.
    logs : mapping of str to float
        Its values.

    Returns
    -------
    str
        One line.

    Examples
    --------
    >>> from fastinit.nn.progress import progress_line
    >>> progress_line(0, 10, 0.125, {"loss": 0.5, "accuracy": 0.75})
    'Epoch  1/10 - 0.12s - loss: 0.5000 - accuracy: 0.7500'
    """
    values = "".join(f" - {name}: {_number(value)}" for name, value in logs.items())
    return f"Epoch {epoch + 1:{len(str(epochs))}}/{epochs} - {seconds:.2f}s{values}"


def _number(value: float) -> str:
    """Return a number with four digits behind the point, or as many significant if it is small."""
    return f"{value:.4f}" if value == 0 or abs(value) >= 1e-3 else f"{value:.4e}"
