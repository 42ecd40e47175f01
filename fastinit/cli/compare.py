"""``fastinit compare``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fastinit.cli.arguments import (
    EXIT_INTERRUPTED,
    EXIT_OUTPUT,
    EXIT_USAGE,
    fail,
    open_terminal,
    split_commas,
)
from fastinit.errors import ArgumentError

if TYPE_CHECKING:
    from fastinit.lab import Comparison

__all__ = ["add", "run"]

EXAMPLES = """\
examples:
  fastinit compare
  fastinit compare --init he_normal,glorot_uniform --activation tanh --hidden 128,128
  fastinit compare --init 'normal(std=0.5)' --data iris.csv --target species --out report
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser.

    Parameters
    ----------
    commands : argparse subparsers
    """
    parser = commands.add_parser(
        "compare",
        help="train the same network from several initializers and show what each one does",
        description="Train the same network from several initializers and show what each one does.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,  # what is not given keeps lab.compare's default
    )
    for add_options in (_add_network_options, _add_training_options, _add_output_options):
        add_options(parser)


def _add_network_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is compared")
    group.add_argument(
        "--init",
        dest="initializers",
        metavar="NAME,...",
        action="append",
        help="initializers, such as he_normal or 'normal(std=0.01)'; may be repeated "
        "(default: seven classic ones)",
    )
    group.add_argument(
        "--activation",
        dest="activations",
        metavar="NAME,...",
        action="append",
        help="activations of the hidden layers; may be repeated (default: relu,tanh,sigmoid)",
    )
    group.add_argument(
        "--hidden",
        metavar="UNITS,...",
        action="append",
        help="units of the hidden layers; repeat it for several networks (default: 64,64,64,64,64)",
    )
    group.add_argument(
        "--data",
        metavar="digits|FILE",
        help="a .csv or .npz file with a classification problem (default: digits)",
    )
    group.add_argument(
        "--target",
        metavar="COLUMN",
        help="the CSV column with the labels (default: one called target, label, labels, "
        "class or y, or else the last)",
    )


def _add_training_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how the networks are trained")
    group.add_argument("--epochs", type=int, metavar="N", help="(default: 20)")
    group.add_argument("--batch-size", type=int, metavar="N", help="(default: 32)")
    group.add_argument(
        "--optimizer",
        metavar="NAME",
        help="sgd, adagrad, adam, adamw or rmsprop (default: sgd)",
    )
    group.add_argument(
        "--lr",
        dest="learning_rate",
        type=float,
        metavar="RATE",
        help="learning rate (default: 0.01 for sgd, 0.001 for the others)",
    )
    group.add_argument("--seeds", type=int, metavar="N", help="runs of each network (default: 3)")
    group.add_argument(
        "--goal",
        type=float,
        metavar="ACCURACY",
        help="test accuracy that counts as trained (default: 0.9)",
    )
    group.add_argument("--jobs", type=int, metavar="N", help="processes (default: one a core)")


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is written")
    group.add_argument(
        "--out",
        metavar="FOLDER",
        type=Path,
        default=None,
        help="write index.html and results.csv into this folder",
    )
    group.add_argument(
        "--json",
        action="store_true",
        default=False,
        help="print JSON, with every run's figures, in place of the table",
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
        from fastinit.lab import Interrupted, compare, report
    except ModuleNotFoundError as error:
        return fail(str(error), EXIT_USAGE)
    options = vars(arguments)
    folder, as_json = options.pop("out"), options.pop("json")
    del options["command"]
    for name in ("initializers", "activations"):
        if name in options:
            options[name] = [item for text in options[name] for item in split_commas(text)]
    if "hidden" in options:
        options["hidden"] = [_units(text) for text in options["hidden"]]
    status = 0
    if folder is not None:
        try:
            report.check_writable(folder)
        except ArgumentError as error:  # said at once; the results are printed all the same
            folder, status = None, fail(f"{error}; only printing the results", EXIT_OUTPUT)
    try:
        found = compare(**options, progress=True)
    except Interrupted as interrupt:
        if interrupt.comparison.runs:
            _print(interrupt.comparison, as_json)
        return fail(str(interrupt), EXIT_INTERRUPTED)
    _print(found, as_json)
    if folder is None:
        return status
    try:
        page, table = found.write(folder)
    except OSError as error:
        return fail(f"the results above were not written: {error}", EXIT_OUTPUT)
    print(f"wrote {page} and {table}", file=sys.stderr)
    return 0


def _print(found: Comparison, as_json: bool) -> None:
    open_terminal()
    if as_json:
        print(found.to_json())
        return
    from rich.console import Console

    from fastinit.lab.terminal import render

    Console(highlight=False).print(render(found))


def _units(text: str) -> list[int]:
    try:
        return [int(item) for item in split_commas(text)]
    except ValueError:
        raise ArgumentError(f"hidden must be numbers of units, like 64,64, got {text!r}") from None
