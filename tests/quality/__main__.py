"""Judge the quality of fastinit's random numbers.

Every law and dtype against its distribution (Kolmogorov-Smirnov, Anderson-Darling, tails), streams
against themselves and each other (correlations, bits, birthday spacings), and the raw words by the
program dieharder, where it is installed. Each test must also reject a faulty stream. Exits with 1
if a p-value is below 1e-10, if all together are not uniform, or if a faulty stream passes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import fastinit
from tests.quality import verdict
from tests.quality.checks import Check, all_checks, dieharder_checks
from tests.quality.verdict import Row

RESULTS = Path(__file__).parent / "results.json"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.quality", description=__doc__)
    parser.add_argument("--draws", type=float, default=1e8, metavar="N", help="(default: 1e8)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="(default: 0)")
    parser.add_argument("--only", nargs="+", metavar="GROUP", help="such as laws or birthdays")
    parser.add_argument(
        "--dieharder",
        choices=("none", "some", "all"),
        default="some",
        help="which of its tests; all take an hour for each order of the words (default: some)",
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="save every p-value, in place of those that FILE holds of the same groups",
    )
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    options = parser.parse_args()
    draws = int(options.draws)
    checks = all_checks(draws, options.seed)
    if options.dieharder != "none" and (not options.only or "dieharder" in options.only):
        if shutil.which("dieharder"):
            checks += dieharder_checks(options.seed, options.dieharder == "all")
        else:
            print("dieharder is not installed: left out", file=sys.stderr)
    if options.only:
        groups = {check.group for check in checks}
        if unknown := set(options.only) - groups:
            parser.error(f"no group {', '.join(unknown)}; there are {', '.join(sorted(groups))}")
        checks = [check for check in checks if check.group in options.only]
    rows = run(checks)
    if options.json is not None:
        rows = save(options.json, rows, draws, options.seed)
    if options.markdown:
        print(verdict.markdown(rows, draws), end="")
    else:
        show(rows)
    return 1 if verdict.faults(rows) else 0


def run(checks: list[Check]) -> list[Row]:
    """Run the checks and return what they gave; what is suspicious is said at once."""
    rows = []
    columns = (TextColumn("{task.description:32.32}"), BarColumn(20), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=len(checks))
        for check in checks:
            progress.update(task, description=f"{check.group}: {check.name}")
            start = time.perf_counter()
            p = check.run()
            rows.append(Row(check.group, check.name, check.control, p, time.perf_counter() - start))
            for fault in verdict.faults(rows[-1:]):
                progress.console.print(fault, highlight=False)
            progress.advance(task)
    return rows


def show(rows: list[Row]) -> None:
    """Print the table and the verdict."""
    console = Console(width=80, highlight=False)
    table = Table(*verdict.HEADER, caption="p-values of fastinit's numbers, and of a faulty stream")
    for line in verdict.table(rows):
        table.add_row(*line)
    console.print(table)
    console.print(f"That the p-values are uniform: p = {verdict.uniformity(rows):.2g}.")
    for fault in verdict.faults(rows):
        console.print(fault)
    console.print("Verdict: fail." if verdict.faults(rows) else "Verdict: pass.")


def save(path: Path, rows: list[Row], draws: int, seed: int) -> list[Row]:
    """Write the results, with those that the file holds of other groups, and return them all."""
    if path.exists():
        new = {row.group for row in rows}
        rows = [*(row for row in load(path) if row.group not in new), *rows]
    results = {
        "fastinit": fastinit.__version__,
        "draws": draws,
        "seed": seed,
        "rows": [asdict(row) for row in rows],
    }
    temporary = path.with_suffix(".partial")
    temporary.write_text(json.dumps(results, indent=1) + "\n")
    os.replace(temporary, path)
    return rows


def load(path: Path) -> list[Row]:
    """Return the rows that `save` wrote."""
    return [Row(**row) for row in json.loads(path.read_text())["rows"]]


if __name__ == "__main__":
    sys.exit(main())
