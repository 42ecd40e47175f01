"""``fastinit report``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fastinit.cli.arguments import EXIT_OUTPUT, EXIT_USAGE, add_report_options, fail
from fastinit.errors import ArgumentError

if TYPE_CHECKING:
    from fastinit.lab.comparison import Comparison
    from fastinit.lab.recording import Recording

__all__ = ["add", "run"]

EXAMPLES = """\
examples:
  fastinit compare --seeds 30 --runs runs.jsonl
  fastinit report runs.jsonl --out page.html
  fastinit report training.jsonl --format md --lang pt
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser.

    Parameters
    ----------
    commands : argparse subparsers
    """
    parser = commands.add_parser(
        "report",
        help="draw what a file holds: a recorded training, or the runs of a comparison",
        description="Draw what a file holds: a training that fastinit.lab.Recorder recorded, or\n"
        "the runs that fastinit compare --runs keeps, also while it is being written.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="the recording, or the runs")
    add_report_options(parser, default="the FILE's name and folder")


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
        from fastinit.lab import report
    except ModuleNotFoundError as error:
        return fail(str(error), EXIT_USAGE)
    file: Path = arguments.file
    target = arguments.out or file.with_suffix(f".{arguments.format or 'html'}")
    if target == file:
        raise ArgumentError(f"the report would replace {str(file)!r}; say where with --out")
    report.check_target(target, arguments.format, arguments.lang)
    found, command = _read(file)
    try:
        written = report.write(
            found, target, format=arguments.format, lang=arguments.lang, command=command
        )
    except OSError as error:
        return fail(f"the report was not written: {error}", EXIT_OUTPUT)
    print(f"wrote {written[0]}", file=sys.stderr)
    return 0


def _read(file: Path) -> tuple[Comparison | Recording, str]:
    """Return what the file holds, by its first line, and the command that made it, if it says."""
    try:
        with file.open("rb") as stream:
            header = json.loads(stream.readline())
    except OSError as error:
        raise ArgumentError(f"cannot read {str(file)!r}: {error.strerror}") from error
    except ValueError:  # not JSON, not even text
        header = None
    if isinstance(header, dict) and "recording" in header:
        from fastinit.lab.recording import Recording

        recording = Recording.load(file)
        return recording, recording.command
    if isinstance(header, dict) and "fastinit-runs" in header:
        from fastinit.lab.comparison import Comparison

        return Comparison.load(file), ""
    raise ArgumentError(
        f"{str(file)!r} is neither a recording of fastinit.lab.Recorder nor the runs of fastinit "
        f"compare --runs"
    )
