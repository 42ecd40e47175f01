"""What the commands share: reading lists, saying what went wrong."""

from __future__ import annotations

import io
import sys

from fastinit.errors import ArgumentError

__all__ = ["EXIT_INTERRUPTED", "EXIT_OUTPUT", "EXIT_USAGE", "fail", "open_terminal", "split_commas"]

EXIT_OUTPUT, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


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
