"""``fastinit info``."""

from __future__ import annotations

import argparse

from fastinit import show_config

__all__ = ["add", "run"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser.

    Parameters
    ----------
    commands : argparse subparsers
    """
    commands.add_parser(
        "info",
        help="show the backend, the instruction set, threads and versions",
        description="Show the backend, the instruction set, threads and versions.",
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
    show_config()
    return 0
