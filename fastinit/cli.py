"""The command ``fastinit``."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from fastinit import __version__, show_config
from fastinit.errors import ArgumentError, FastinitError

if TYPE_CHECKING:
    from fastinit.lab import Comparison

__all__ = ["main", "split_commas"]

EXIT_OUTPUT, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130

EXAMPLES = """\
examples:
  fastinit compare
  fastinit compare --init he_normal,glorot_uniform --activation tanh --hidden 128,128
  fastinit compare --init 'normal(std=0.5)' --data iris.csv --target species --out report
"""


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
    run = {"compare": _compare, "info": _info}[arguments.command]
    try:
        return run(arguments)
    except FastinitError as error:
        return _fail(str(error), EXIT_USAGE)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)


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
    >>> from fastinit.cli import split_commas
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


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="fastinit", description="Initial weights for neural networks.")
    parser.add_argument("--version", action="version", version=f"fastinit {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    compare = commands.add_parser(
        "compare",
        help="train the same network from several initializers and show what each one does",
        description="Train the same network from several initializers and show what each one does.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,  # what is not given keeps lab.compare's default
    )
    for add in (_add_network_options, _add_training_options, _add_output_options):
        add(compare)
    commands.add_parser(
        "info",
        help="show the backend, the instruction set, threads and versions",
        description="Show the backend, the instruction set, threads and versions.",
    )
    return parser


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


def _info(arguments: argparse.Namespace) -> int:
    show_config()
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    try:
        from fastinit.lab import Interrupted, compare, report
    except ModuleNotFoundError as error:
        return _fail(str(error), EXIT_USAGE)
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
            folder, status = None, _fail(f"{error}; only printing the results", EXIT_OUTPUT)
    try:
        found = compare(**options, progress=True)
    except Interrupted as interrupt:
        if interrupt.comparison.runs:
            _print(interrupt.comparison, as_json)
        return _fail(str(interrupt), EXIT_INTERRUPTED)
    _print(found, as_json)
    if folder is None:
        return status
    try:
        page, table = found.write(folder)
    except OSError as error:
        return _fail(f"the results above were not written: {error}", EXIT_OUTPUT)
    print(f"wrote {page} and {table}", file=sys.stderr)
    return 0


def _print(found: Comparison, as_json: bool) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without the sign ±
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


def _fail(message: str, status: int) -> int:
    print(f"fastinit: error: {message}", file=sys.stderr)
    return status
