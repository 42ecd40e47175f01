"""What the commands share: reading lists, saying what went wrong."""

from __future__ import annotations

import argparse
import io
import shlex
import sys
from pathlib import Path

from fastinit.errors import ArgumentError

__all__ = [
    "EXIT_INTERRUPTED",
    "EXIT_OUTPUT",
    "EXIT_USAGE",
    "add_report_options",
    "command_line",
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
