"""``fastinit bench``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fastinit.cli.arguments import (
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    accepted,
    command_line,
    deliver,
    fail,
    open_terminal,
    split_commas,
)
from fastinit.errors import ArgumentError

if TYPE_CHECKING:
    from fastinit.bench.results import Results

__all__ = ["add", "run"]

EXAMPLES = """\
examples:
  fastinit bench
  fastinit bench --quick
  fastinit bench --dtype bfloat16 --threads 1
  fastinit bench --sizes 1024,134217728 --out report
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser.

    Parameters
    ----------
    commands : argparse subparsers
    """
    parser = commands.add_parser(
        "bench",
        help="measure fastinit on this machine, beside NumPy and the frameworks installed",
        description="Measure fastinit on this machine, in turns with NumPy, PyTorch, JAX and\n"
        "Keras, those that are installed, and with writing to memory: two minutes.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--dtype",
        default="float32",
        metavar="NAME",
        help="of the buffers: float32, float64, float16 or bfloat16 (default: float32)",
    )
    parser.add_argument(
        "--sizes",
        metavar="N,...",
        help="numbers of elements (default: seven from 64 to 16777216)",
    )
    parser.add_argument(
        "--threads", type=int, metavar="N", help="(default: what `fastinit info` shows)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer sizes and rounds, no cold start: half a minute"
    )
    parser.add_argument(
        "--json", action="store_true", help="print JSON, with everything, in place of the tables"
    )
    parser.add_argument(
        "--out",
        metavar="FOLDER|FILE",
        type=Path,
        help="write a page and its figures into this folder, or a file .html, .png, .svg or .json",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : argparse.Namespace

    Returns
    -------
    int
        The exit status.
    """
    try:
        import fastinit.lab
    except ModuleNotFoundError as error:
        return fail(str(error), EXIT_USAGE)
    import fastinit
    from fastinit.bench import writing
    from fastinit.bench.results import Results
    from fastinit.bench.running import about, measured, planned
    from fastinit.bench.table import size

    threads = fastinit.get_num_threads()
    try:
        plan = planned(arguments.dtype, _sizes(arguments.sizes), arguments.threads, arguments.quick)
        out, status = accepted(arguments.out, writing.check)
        with _progress(len(plan)) as show:
            show("loading the libraries", 0)
            found = Results(about(arguments.dtype))
            try:
                for contest in plan:
                    show(f"{contest.what}, {size(contest.elements)} elements", len(found.rows))
                    found.rows.append(measured(contest))
            except KeyboardInterrupt:
                status = EXIT_INTERRUPTED
    finally:
        fastinit.set_num_threads(threads)
    if found.rows:
        _print(found, arguments.json)
    if status == EXIT_INTERRUPTED:
        done = f"{len(found.rows)} of {len(plan)} contests"
        return fail(f"interrupted after {done}; no file is written", status)
    if out is None:
        return status
    return deliver(lambda: writing.write(found, out, command_line()))


def _sizes(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(item) for item in split_commas(text)]
    except ValueError:
        raise ArgumentError(
            f"--sizes must be numbers of elements, like 64,4096, got {text!r}"
        ) from None


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str, int], None]]:
    """Yield what shows on stderr, if that is a terminal, what is done now and how much has been."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=total)
        yield lambda what, done: progress.update(bar, description=what, completed=done)


def _print(found: Results, as_json: bool) -> None:
    open_terminal()
    if as_json:
        print(found.to_json())
        return
    from rich.console import Console

    from fastinit.bench.table import render

    Console(highlight=False).print(render(found))
