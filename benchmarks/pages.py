"""The tables and the picture of README and docs, written from the recorded figures.

    python benchmarks/pages.py                      # writes them from the recorded files
    python benchmarks/pages.py --measure speed      # measures README's anew first: two minutes
    python benchmarks/pages.py --measure            # everything: a quarter of an hour

A table stands on a page between `<!-- table: speed -->` and `<!-- end of table: speed -->`. A test
holds that pages, picture and files agree.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

import frameworks
import sampling
import scaling
import training

from fastinit.bench.fills import MEMORY
from fastinit.bench.page import description
from fastinit.bench.picture import draw
from fastinit.bench.results import Results, Row
from fastinit.bench.table import UNITS, machine, short
from fastinit.lab.report.pictures.style import INK, svg_file

ROOT = Path(__file__).parent.parent
SPEED = ROOT / "benchmarks" / "speed.json"
PICTURE = ROOT / "docs" / "images" / "speed.svg"


def speed(document: Any) -> str:
    """Return README's table."""
    found = Results.from_json(json.dumps(document))
    row = found.of("normal")[-1]
    libraries = [name for name in row.libraries() if name != "fastinit"]
    place, versions = machine(found.about)
    lines = [
        f"{place}; {versions}.\n",
        f"| | fastinit | {' | '.join(libraries)} |",
        "|---" * (len(libraries) + 2) + "|",
    ]
    rows = [*(found.of(law)[-1] for law in found.laws), *found.calls]
    lines += [f"| {' | '.join(_cells(row, libraries))} |" for row in rows]
    return "\n".join(lines) + "\n"


def _cells(row: Row, libraries: list[str]) -> Iterator[str]:
    unit, scale = UNITS.get(row.what, ("ns an element", 1e9 / row.elements))
    yield f"{row.what}, {unit}"
    medians = {name: s.median * scale for name, s in row.libraries().items()}
    ours = medians["fastinit"]
    yield short(ours)
    for name in libraries:
        yield f"{short(medians[name])} ({short(medians[name] / ours)}x)" if name in medians else ""


OURS = ("fastinit", "materialize", "patch", "1 thread", "Cython", "Numba")


def missed(*documents: Any) -> str:
    """Return the table of targets that are not met, and of rows in which another one is faster."""
    lines = []
    for document in documents:
        for check in document["checks"]:
            if not check["met"]:
                lines.append(f"| {check['what']} | {check['target']} | {check['figure']:.3g} |")
        for row in document["rows"]:
            bounds = (*OURS, *MEMORY)
            others = {name: t for name, t in row["ns"].items() if not name.startswith(bounds)}
            ours = min(t for name, t in row["ns"].items() if name.startswith(OURS))
            name = min(others, key=lambda name: others[name], default="")
            if name and others[name] < ours:
                share = f"{others[name] / ours:.2f} of fastinit's time"
                lines.append(f"| {row['row']} | nobody faster | {name}: {share} |")
    if not lines:
        return "None.\n"
    return "\n".join(["| what | target | measured |", "|---|---|---|", *lines]) + "\n"


# A page is light or dark as the reader's system is; so is the picture, with a ground of its own.
DARK = f"""<style>@media (prefers-color-scheme: dark) {{
[style*="fill: #ffffff"] {{ fill: #0d1117 !important }}
[style*="fill: {INK}"] {{ fill: #e6edf3 !important }}
[style*="stroke: {INK}"] {{ stroke: #e6edf3 !important }}
}}</style>"""


def picture(document: Any) -> str:
    """Return README's picture, which says in words what it shows."""
    found = Results.from_json(json.dumps(document))
    words = f"<desc>{escape(description(found))}</desc>"
    svg = re.sub(r"(\.\d\d)\d+", r"\1", svg_file(draw(found)))  # a hundredth of a pixel is enough
    before, opening, rest = re.split(r"(<svg[^>]*>)", svg, maxsplit=1)
    return before + opening + words + DARK + rest


def sharded(document: Any) -> str:
    """Return the table of `sharded_torch.py`."""
    about = document["about"]
    lines = [
        f"{about['parameters'] / 1e6:.0f} million parameters, float32; {about['processor']}.\n",
        "| ranks | fastinit | PyTorch | the whole on every rank |",
        "|---|---|---|---|",
    ]
    for ranks, seconds in document["seconds"].items():
        ours, *others = (statistics.median(samples) for samples in seconds.values())
        cells = [f"{took:.2f} s ({took / ours:.1f}x)" for took in others]
        lines.append(f"| {ranks} | {ours:.2f} s | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def checkpoints(document: Any) -> str:
    """Return the table of `checkpoints.py`."""
    steps = ("disk", "cores", "write", "verify", "diff")
    lines = [
        f"{document['processor']}, {document['threads']} threads.\n",
        "| | disk alone | cores alone | `write` | `verify` | `diff` |",
        "|---" * (1 + len(steps)) + "|",
    ]
    for dtype in ("float32", "bfloat16"):
        found = document[dtype]
        cells = [f"{dtype}, {found['bytes'] / 1e9:.1f} GB"]
        for step in steps:
            peak = f", {found['peak'][step] / 1e6:.0f} MB" if step in found["peak"] else ""
            cells.append(f"{found['seconds'][step]:.1f} s{peak}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


class Table(NamedTuple):
    """A table of the pages: how it is made, from which files, and what measures it anew."""

    write: Callable[..., str]
    files: list[Path]
    command: list[str] | None = None

    def text(self) -> str:
        if not all(file.exists() for file in self.files):
            return "Not recorded yet.\n"
        return self.write(*(json.loads(file.read_text()) for file in self.files))


def recorded(module: Any) -> Table:
    """Return the table of a program that has one."""
    command = [sys.executable, module.__file__, "--record"]
    return Table(module.table, [module.RESULTS], command)


BENCH = [sys.executable, "-m", "fastinit", "bench", "--threads", "2", "--out", str(SPEED)]
PROGRAMS = (sampling, frameworks, training)
TABLES = {
    "speed": Table(speed, [SPEED], BENCH),
    **{program.__name__: recorded(program) for program in PROGRAMS},
    "missed": Table(missed, [program.RESULTS for program in PROGRAMS]),
    "scaling_rates": Table(scaling.rates, [scaling.RESULTS]),
    "scaling_hosts": Table(scaling.hosts, [scaling.RESULTS]),
    "scaling_runs": Table(scaling.runs, [scaling.RESULTS]),
    "sharded": Table(sharded, [ROOT / "benchmarks" / "sharded_torch.json"]),
    "checkpoints": Table(checkpoints, [ROOT / "benchmarks" / "checkpoints.json"]),
}


def pages() -> list[Path]:
    """Return the pages that may hold tables."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def filled(text: str) -> str:
    """Return a page with its tables as the recorded files have them."""
    for name in re.findall(r"^<!-- table: (.+) -->$", text, re.MULTILINE):
        start, end = f"<!-- table: {name} -->\n", f"<!-- end of table: {name} -->"
        before, rest = text.split(start)
        text = before + start + TABLES[name].text() + end + rest.split(end)[1]
    return text


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    measurable = {name: table.command for name, table in TABLES.items() if table.command}
    parser.add_argument(
        "--measure",
        nargs="*",
        choices=measurable,
        metavar="TABLE",
        help=f"record anew, first: {', '.join(measurable)}; by default all",
    )
    options = parser.parse_args()
    if options.measure is not None:
        for name in options.measure or measurable:
            subprocess.run(measurable[name], check=True)
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture(json.loads(SPEED.read_text())))
    for page in pages():
        text = page.read_text()
        if filled(text) != text:
            page.write_text(filled(text))
            print(f"wrote {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
