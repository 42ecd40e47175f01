"""``fastinit verify``."""

from __future__ import annotations

import argparse
from pathlib import Path

from fastinit.cli.arguments import EXIT_OUTPUT, open_terminal
from fastinit.cli.models import add_rule_options, bar, rules_of
from fastinit.errors import ArgumentError

__all__ = ["add", "run"]

EXAMPLES = """\
examples:
  fastinit verify checkpoint
  fastinit verify checkpoint --sample 0.01
  fastinit verify model.safetensors --seed 0 --recipe '*=normal(std=0.02)'
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser.

    Parameters
    ----------
    commands : argparse subparsers
    """
    parser = commands.add_parser(
        "verify",
        help="make the weights of a file again and compare them bit for bit",
        description="Make the weights of a file again from the seed, compare them bit for bit, "
        "and\ncheck the file's checksums. The exit status is 1 if anything differs.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file",
        metavar="FILE|FOLDER",
        type=Path,
        help="safetensors files; those that fastinit write made say themselves how",
    )
    add_rule_options(parser, "what the file says")
    parser.add_argument(
        "--sample",
        metavar="SHARE|all",
        default="all",
        help="which share of each tensor to compare, such as 0.01 (default: all)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : argparse.Namespace

    Returns
    -------
    int
        The exit status: 1 if anything differs.
    """
    from fastinit.checkpoints import verify

    with bar("comparing") as progress:
        found = verify(
            arguments.file,
            sample=_share(arguments.sample),
            progress=progress,
            **rules_of(arguments),
        )
    open_terminal()
    print(found)
    return 0 if found.ok else EXIT_OUTPUT


def _share(text: str) -> float:
    if text == "all":
        return 1.0
    try:
        return float(text)
    except ValueError:
        raise ArgumentError(
            f"--sample must be all, or a share such as 0.01, got {text!r}"
        ) from None
