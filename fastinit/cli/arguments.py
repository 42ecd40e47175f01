"""What the commands share: reading lists, saying what went wrong."""

from __future__ import annotations

import argparse
import io
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from fastinit.errors import ArgumentError

__all__ = [
    "EXIT_INTERRUPTED",
    "EXIT_OUTPUT",
    "EXIT_USAGE",
    "accepted",
    "add_report_options",
    "command_line",
    "deliver",
    "fail",
    "open_terminal",
    "split_commas",
]

EXIT_OUTPUT, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


def add_report_options(parser: argparse._ActionsContainer, default: str = "none") -> None:
    """Add the options that say where a report goes, as what, and in which language.

    Parameters
    ----------
    parser : argparse parser or group
    default : str, default "none"
        Where it goes if nothing is said.
    """
    parser.add_argument(
        "--out",
        metavar="FOLDER|FILE",
        type=Path,
        default=None,
        help="write a report into this folder, or into this .html, .md, .json or .csv file "
        f"(default: {default})",
    )
    parser.add_argument(
        "--format",
        choices=("html", "md", "json", "csv"),
        default=None,
        help="of the report (default: what the file's name says, html in a folder)",
    )
    parser.add_argument(
        "--lang",
        metavar="en|pt|es",
        default="en",
        help="language of the report: English, Portuguese or Spanish (default: en)",
    )


def command_line() -> str:
    """Return the command that this process was started with, to be typed again."""
    return shlex.join(["fastinit", *sys.argv[1:]])


def fail(message: str, status: int) -> int:
    """Print an error to stderr.

    Parameters
    ----------
    message : str
    status : int

    Returns
    -------
    int
        The status, for the command to return.
    """
    print(f"fastinit: error: {message}", file=sys.stderr)
    return status


def accepted(target: Path | None, check: Callable[[Path], None]) -> tuple[Path | None, int]:
    """Return where results will be written, and the exit status so far.

    Parameters
    ----------
    target : path, optional
        Where they shall be.
    check : callable
        Raises ArgumentError if they cannot be: then it is said at once, and the results will be
        printed all the same.

    Returns
    -------
    path or None
    int
    """
    if target is not None:
        try:
            check(target)
        except ArgumentError as error:
            return None, fail(f"{error}; only printing the results", EXIT_OUTPUT)
    return target, 0


def deliver(write: Callable[[], Iterable[Path]]) -> int:
    """Write results that were printed.

    Parameters
    ----------
    write : callable
        Writes them, and returns the files to be named.

    Returns
    -------
    int
        The exit status.
    """
    try:
        written = write()
    except OSError as error:
        return fail(f"the results above were not written: {error}", EXIT_OUTPUT)
    print(f"wrote {', '.join(map(str, written))}", file=sys.stderr)
    return 0


def open_terminal() -> None:
    """Let stdout print a question mark for what its encoding lacks, such as the sign ±."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def split_commas(text: str) -> list[str]:
    """Split a list at its commas, but not at those inside parentheses.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of str
        The items without spaces around them.

    Raises
    ------
    ArgumentError
        If an item is empty.

    Examples
    --------
    >>> from fastinit.cli.arguments import split_commas
    >>> split_commas("zeros,normal(mean=0, std=0.5)")
    ['zeros', 'normal(mean=0, std=0.5)']
    """
    items, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            items.append("")
        else:
            items[-1] += character
    items = [item.strip() for item in items]
    if not all(items):
        raise ArgumentError(f"empty item in the list {text!r}")
    return items
