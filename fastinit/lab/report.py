"""The comparison on disk: a page that needs no network, and a CSV file."""

from __future__ import annotations

import os
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

import fastinit
from fastinit.errors import ArgumentError
from fastinit.lab import cells, rules
from fastinit.lab.figures import DISTINCT_TOLERANCE, IDLE_KIND, SATURATION_MARGIN
from fastinit.lab.plots import marks, plots
from fastinit.lab.runs import PROBE_ROWS

if TYPE_CHECKING:
    from fastinit.lab import comparison

__all__ = ["CSV_NAME", "PAGE_NAME", "check_writable", "page", "write"]

PAGE_NAME = "index.html"
CSV_NAME = "results.csv"


def page(found: comparison.Comparison) -> str:
    """Return the whole page as HTML.

    Parameters
    ----------
    found : Comparison

    Returns
    -------
    str
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    source = files("fastinit.lab").joinpath("templates", "compare.html").read_text("utf-8")
    goal = found.plan.training.goal
    initializers = list(dict.fromkeys(task.initializer for task in found.plan.tasks))
    networks = {group.hidden for group in found.groups}
    sections = [
        {
            "group": group,
            "title": cells.title(group),
            "short": group.activation if len(networks) == 1 else cells.title(group),
            "headings": [
                heading.strip().replace("\n", " ")
                for heading in cells.headings(group.activation, goal)
            ],
            "rows": [(record, cells.cells(record)) for record in group.records],
            "fastest": cells.fastest(group.records),
            "plots": plots(group, initializers),
        }
        for group in found.groups
    ]
    return environment.from_string(source).render(
        description=cells.describe(found),
        missing=len(found.plan.tasks) - len(found.runs),
        sections=sections,
        verdicts=found.verdicts,
        initializers=initializers,
        marks=marks(initializers),
        goal=cells.percent(goal),
        rules=rules.RULES,
        constant_loss=found.plan.data.constant_loss,
        probe_rows=min(PROBE_ROWS, len(found.plan.data.x_train)),
        idle_kind=IDLE_KIND,
        saturation_margin=cells.percent(SATURATION_MARGIN),
        distinct_tolerance=f"{DISTINCT_TOLERANCE:g}",
        version=fastinit.__version__,
    )


def write(found: comparison.Comparison, folder: Path) -> tuple[Path, Path]:
    """Write the page and the CSV file into a folder, each whole or not at all.

    Parameters
    ----------
    found : Comparison
    folder : path
        Made if it is not there.

    Returns
    -------
    tuple of path

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    targets = folder / PAGE_NAME, folder / CSV_NAME
    _write_whole(targets[0], page(found))
    _write_whole(targets[1], found.to_frame().to_csv(index=False, na_rep="nan"))
    return targets


def check_writable(folder: Path) -> None:
    """Make the folder and try to write into it, so that a long run is not lost for want of it.

    Parameters
    ----------
    folder : path

    Raises
    ------
    ArgumentError
        If it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise ArgumentError(f"cannot write into the folder {str(folder)!r}: {reason}") from error


def _write_whole(path: Path, text: str) -> None:
    """Write beside the file and rename: whoever reads it sees the old text or the new."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
        # mkstemp makes files that only their owner can read; a report is for others as well.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
