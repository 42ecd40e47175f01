"""The command ``fastinit``: one module a command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from fastinit import __version__
from fastinit.cli import bench, compare, diagnose, diff, info, propagate, report, verify, write
from fastinit.cli.arguments import EXIT_INTERRUPTED, EXIT_USAGE, fail
from fastinit.errors import FastinitError

__all__ = ["main"]

COMMANDS = {
    "compare": compare,
    "diagnose": diagnose,
    "propagate": propagate,
    "report": report,
    "write": write,
    "verify": verify,
    "diff": diff,
    "bench": bench,
    "info": info,
}


class _Parser(argparse.ArgumentParser):
    """Reports a mistake in one line; ``--help`` has the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"{self.prog}: error: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command ``fastinit``.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    int
        0; 1 if the results were printed but could not be written to the output folder; 2 for a
        mistake in the arguments or the data; 130 if interrupted.

    Raises
    ------
    SystemExit
        With the status 2, if the arguments cannot be parsed.
    """
    arguments = _parser().parse_args(argv)
    try:
        status: int = COMMANDS[arguments.command].run(arguments)
        return status
    except FastinitError as error:
        return fail(str(error), EXIT_USAGE)
    except KeyboardInterrupt:
        return fail("interrupted", EXIT_INTERRUPTED)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="fastinit", description="Initial weights for neural networks.")
    parser.add_argument("--version", action="version", version=f"fastinit {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS.values():
        command.add(commands)
    return parser
