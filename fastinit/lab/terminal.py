"""The comparison on a terminal: the tables and the progress bar."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from fastinit.lab import cells
from fastinit.lab.runs import Run
from fastinit.nn import compiling

if TYPE_CHECKING:
    from fastinit.lab import comparison

__all__ = ["VERDICT_STYLE", "render", "text", "track"]

VERDICT_STYLE = {
    "trains": "green",
    "slow": "yellow",
    "vanishing": "magenta",
    "exploding": "red",
    "symmetric": "blue",
    "diverged": "bold red",
}

STARTING = "loading kernels (compiling them, the first time)"

STANDINGS = {"best": "*", "noise": "≈"}
"""How a score stands to the best of its network -> what is printed behind it."""

LEGEND = """
train loss, test score (%): after the last epoch; mean ± its 95 % interval over
the seeds. *: the best; ≈: the difference from the best may be noise.
grad. ratio: gradient size, first layer over last. signal ratio: spread of the
activations, last hidden layer over input. Both before training, best near 1.
units: % of hidden units that pass no gradient, before → after training.
verdict: of most seeds, ties to the worse; its rules: fastinit.lab.RULES."""


def render(found: comparison.Comparison) -> RenderableType:
    """Return the tables, one a network, and how to read them.

    Parameters
    ----------
    found : Comparison

    Returns
    -------
    rich renderable
    """
    goal = found.about["training"]["goal"]
    parts: list[RenderableType] = [Text(cells.describe(found), style="dim")]
    for group, title in zip(found.groups, cells.titles(found.groups), strict=True):
        parts += [Text(""), Text(title, style="bold"), _table(group, goal)]
        parts.append(Text(cells.goal_sentence(group, goal).replace("`", "")))
        if cells.too_few_seeds(group.records):
            parts.append(Text(cells.TOO_FEW_SEEDS))
    parts.append(Text(LEGEND, style="dim"))
    return Group(*parts)


def text(found: comparison.Comparison, width: int) -> str:
    """Return :func:`render` as plain text.

    Parameters
    ----------
    found : Comparison
    width : int
        Columns to fit into.

    Returns
    -------
    str
    """
    stream = io.StringIO()
    console = Console(file=stream, width=width, color_system=None, legacy_windows=False)
    console.print(render(found))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def track(runs: Iterable[Run], total: int) -> Iterator[Run]:
    """Yield the runs behind a progress bar on stderr, if that is a terminal.

    Parameters
    ----------
    runs : iterable of Run
    total : int
        How many there will be.

    Yields
    ------
    Run
    """
    console = Console(stderr=True)
    if not console.is_terminal:  # a log has no use for a bar
        yield from runs
        return
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    with progress:
        bar = progress.add_task(STARTING, total=total)

        def note(what: str) -> None:
            progress.update(bar, description=what or "training")

        compiling.hand_over(note)
        try:
            for run in runs:
                progress.update(bar, advance=1, description="training")
                yield run
        finally:
            compiling.hand_back(note)


def _table(group: comparison.Group, goal: float) -> Table:
    tuned = group.network.learning_rate is None
    gap = 0 if tuned else 1  # so that a column more fits 80 columns, too
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, gap, 0, 0), show_edge=False)
    first, *middle, last = cells.headings(group, goal)
    table.add_column(first, overflow="fold", min_width=len("initializer"))
    for heading in middle:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column(last, no_wrap=True)
    alone = len(group.records) == 1 or cells.too_few_seeds(group.records)
    marks = {} if alone else STANDINGS
    for record in group.records:
        *row, verdict = cells.cells(record)
        row[3 if tuned else 2] += marks.get(record.differs, " ")
        table.add_row(*row, Text(verdict, style=VERDICT_STYLE[record.verdict]))
    return table
