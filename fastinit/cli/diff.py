"""``fastinit diff``."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from fastinit.cli.arguments import open_terminal
from fastinit.cli.models import add_rule_options, bar, rules_of

__all__ = ["add", "run"]

EXAMPLES = """\
examples:
  fastinit diff trained --model config.json --seed 0
  fastinit diff trained.safetensors --model initial.safetensors
  fastinit diff trained.safetensors --recipe '*.bias=zeros,*=he_normal' --seed 0
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser.

    Parameters
    ----------
    commands : argparse subparsers
    """
    parser = commands.add_parser(
        "diff",
        help="show how far training has moved each tensor from its initial value",
        description="Show how far training has moved each tensor from its initial value, which is\n"
        "made again from the seed: root mean square of the initial values and of the\n"
        "change, the change relative to them, the cosine, the largest change, and the\n"
        "share that is the same.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file", metavar="FILE|FOLDER", type=Path, help="the trained model's safetensors files"
    )
    parser.add_argument(
        "--model",
        type=Path,
        metavar="MODEL",
        help="where the rules are, as for fastinit write, or the file that it wrote "
        "(default: the file itself)",
    )
    add_rule_options(parser, "what the model says")
    parser.add_argument("--json", action="store_true", help="JSON in place of the table")


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
    from fastinit.checkpoints import diff

    with bar("comparing") as progress:
        found = diff(
            arguments.file, model=arguments.model, progress=progress, **rules_of(arguments)
        )
    open_terminal()
    width = shutil.get_terminal_size((80, 24)).columns
    if arguments.json:
        print(found.to_json())
        return 0
    print(found.table(width), end="")
    for name in found.skipped:
        print(f"not compared, since it is of another dtype: {name}")
    return 0
