"""``fastinit compare``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastinit.cli.arguments import (
    EXIT_INTERRUPTED,
    EXIT_OUTPUT,
    EXIT_USAGE,
    accepted,
    add_report_options,
    command_line,
    deliver,
    fail,
    open_terminal,
    split_commas,
)
from fastinit.errors import ArgumentError

if TYPE_CHECKING:
    from fastinit.lab import Comparison

__all__ = ["add", "run"]

LISTS: dict[str, Callable[[str], Any]] = {
    "initializers": str,
    "activations": str,
    "depths": int,
    "widths": int,
    "normalization": str,
    "dropout": float,
    "optimizer": str,
    "learning_rate": float,
}
"""The options that are lists, and what their items are."""

EXAMPLES = """\
examples:
  fastinit compare
  fastinit compare --init he_normal,zeros --activation tanh --hidden 128,128
  fastinit compare --init 'normal(std=0.5)' --data iris.csv --target species
  fastinit compare --depths 2,8,32 --normalization none,batch --out report
  fastinit compare --seeds 100 --runs runs.jsonl
  fastinit compare --seeds 100 --backend dask --scheduler tcp://host:8786
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
    for add_options in (
        _add_network_options,
        _add_data_options,
        _add_training_options,
        _add_machine_options,
        _add_output_options,
    ):
        add_options(parser)


def _add_network_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "what is compared", "Every combination is trained; an option with commas may be repeated."
    )
    group.add_argument(
        "--init",
        dest="initializers",
        metavar="NAME,...",
        action="append",
        help="initializers, such as he_normal, 'normal(std=0.01)' or your own module:function "
        "(default: seven classic ones)",
    )
    group.add_argument(
        "--activation",
        dest="activations",
        metavar="NAME,...",
        action="append",
        help="activations of the hidden layers (default: relu,tanh,sigmoid)",
    )
    group.add_argument(
        "--hidden",
        metavar="UNITS,...",
        action="append",
        help="units of the hidden layers; repeat it for several networks (default: 64,64,64,64,64)",
    )
    group.add_argument(
        "--depths",
        metavar="N,...",
        action="append",
        help="in place of --hidden, numbers of hidden layers (default: 5)",
    )
    group.add_argument(
        "--widths",
        metavar="N,...",
        action="append",
        help="in place of --hidden, units of each hidden layer (default: 64)",
    )
    group.add_argument(
        "--normalization",
        metavar="NAME,...",
        action="append",
        help="of the hidden layers: none, batch or layer (default: none)",
    )
    group.add_argument(
        "--dropout",
        metavar="SHARE,...",
        action="append",
        help="share of the hidden units that is dropped in training (default: 0)",
    )


def _add_data_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("on which data")
    group.add_argument(
        "--data",
        metavar="digits|FILE",
        help="a CSV, Parquet, NPZ or IDX file, or a made-up problem such as moons or spirals "
        "(default: digits)",
    )
    group.add_argument(
        "--target",
        metavar="COLUMN,...",
        help="the column with the labels (default: one called target, label, labels, "
        "class or y, or else the last)",
    )
    group.add_argument(
        "--task",
        metavar="NAME",
        help="classification or regression (default: what the labels look like)",
    )


def _add_training_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how the networks are trained")
    group.add_argument("--epochs", type=int, metavar="N", help="(default: 20)")
    group.add_argument("--batch-size", type=int, metavar="N", help="(default: 32)")
    group.add_argument(
        "--optimizer",
        metavar="NAME,...",
        action="append",
        help="sgd, adagrad, adam, adamw or rmsprop (default: sgd)",
    )
    group.add_argument(
        "--lr",
        dest="learning_rate",
        metavar="RATE,...",
        action="append",
        help="learning rates (default: 0.01 for sgd, 0.001 for the others)",
    )
    group.add_argument(
        "--tune",
        action="store_true",
        help="give each initializer the learning rate that is best for it, of those of --lr or "
        "of nine around the default; one at the edge of divergence is passed over",
    )
    group.add_argument("--seeds", type=int, metavar="N", help="runs of each network (default: 3)")
    group.add_argument(
        "--goal",
        type=float,
        metavar="SCORE",
        help="test score, accuracy or R², that counts as trained (default: 0.9)",
    )


def _add_machine_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where it runs, and what is kept")
    group.add_argument("--jobs", type=int, metavar="N", help="processes (default: one a core)")
    group.add_argument(
        "--backend",
        metavar="NAME",
        help="loky or threading on this machine, or a dask or ray cluster (default: loky)",
    )
    group.add_argument("--scheduler", metavar="ADDRESS", help="of the cluster")
    group.add_argument(
        "--runs",
        metavar="FILE",
        help="keep every run in this file (JSON lines); the same command goes on where it "
        "was interrupted or killed",
    )


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is written")
    add_report_options(group)
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
        from fastinit.lab.report.languages import language
    except ModuleNotFoundError as error:
        return fail(str(error), EXIT_USAGE)
    options = _options(arguments)
    as_json, target = options.pop("json"), options.pop("out")
    style = {name: options.pop(name) for name in ("format", "lang")}
    with language(style["lang"]):  # refuses one that there is not
        pass
    if target is None and style["format"] is not None:
        raise ArgumentError(f"format is {style['format']!r}, but of what? say where with --out")
    out, status = accepted(target, lambda path: report.check_target(path, style["format"]))
    try:
        found = compare(**options, progress=True)
    except Interrupted as interrupt:
        if interrupt.comparison.runs:
            _print(interrupt.comparison, as_json)
        kept = f"; the same command goes on from {options['runs']}" if "runs" in options else ""
        return fail(f"{interrupt}{kept}", EXIT_INTERRUPTED)
    except OSError as error:
        if "runs" not in options:
            raise
        kept = "the runs before it are kept, and the same command goes on from there"
        return fail(f"{options['runs']}: {error.strerror}; {kept}", EXIT_OUTPUT)
    _print(found, as_json)
    if out is None:
        return status
    return deliver(lambda: report.write(found, out, command=command_line(), **style)[:1])


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the options as Python values."""
    options = vars(arguments)
    del options["command"]
    for name, read in LISTS.items():
        if name in options:
            items = [item for text in options[name] for item in split_commas(text)]
            options[name] = [_value(name, item, read) for item in items]
    if "hidden" in options:
        options["hidden"] = [_units(text) for text in options["hidden"]]
    if "," in options.get("target", ""):
        options["target"] = split_commas(options["target"])
    return options


def _print(found: Comparison, as_json: bool) -> None:
    open_terminal()
    if as_json:
        print(found.to_json())
        return
    from rich.console import Console

    from fastinit.lab.terminal import render

    Console(highlight=False).print(render(found))


def _value(name: str, text: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(text)
    except ValueError:
        raise ArgumentError(f"{name} must be numbers, got {text!r}") from None


def _units(text: str) -> list[int]:
    try:
        return [int(item) for item in split_commas(text)]
    except ValueError:
        raise ArgumentError(f"hidden must be numbers of units, like 64,64, got {text!r}") from None
