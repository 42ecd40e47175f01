"""``fastinit diagnose``."""

from __future__ import annotations

import argparse

from fastinit.cli.arguments import (
    EXIT_USAGE,
    accepted,
    add_report_options,
    command_line,
    deliver,
    fail,
    open_terminal,
)
from fastinit.errors import ArgumentError

__all__ = ["add", "run"]

EXAMPLES = """\
examples:
  fastinit diagnose network.safetensors --data digits
  fastinit diagnose models.py:Net --data mine.csv --target species
  fastinit diagnose package.models:build --input-shape 3,32,32 --layers 'stem.*'

The exit code is 0 whatever the verdict, and 2 for a mistake in the arguments.
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser.

    Parameters
    ----------
    commands : argparse subparsers
    """
    parser = commands.add_parser(
        "diagnose",
        help="say what is wrong with a network's weights, and which initializer puts it right",
        description="Say what is wrong with a network's weights, layer by layer, and try which\n"
        "initializer puts it right. The network: of fastinit.nn, PyTorch or Keras.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a .safetensors file that a fastinit.nn network was saved into; or module:name or "
        "file.py:name, a model, its class or a function that returns one",
    )
    _add_input_options(parser.add_argument_group("what goes through it"))
    _add_output_options(parser.add_argument_group("what is shown"))


def _add_input_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--data",
        metavar="NAME|FILE",
        help="examples and targets, as for fastinit compare: digits, a .csv, .npz or .parquet "
        "file, module:function (default: standard normal inputs, and no targets)",
    )
    group.add_argument("--target", metavar="COLUMN", help="the column with the targets")
    group.add_argument(
        "--input-shape",
        metavar="N,...",
        help="of one example, without the batch (default: the model's, where it has one)",
    )
    group.add_argument(
        "--examples", type=int, default=128, metavar="N", help="how many (default: 128)"
    )
    group.add_argument(
        "--loss",
        metavar="NAME",
        help="a loss of the model's framework, or module:function of outputs and targets "
        "(default: the model's own, or cross-entropy for labels, squared error for numbers)",
    )
    group.add_argument(
        "--learning-rate",
        type=float,
        default=0.01,
        metavar="RATE",
        help="of the step whose size beside the weights is judged (default: 0.01)",
    )
    group.add_argument("--no-cure", action="store_true", help="try no initializers")


def _add_output_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--layers",
        metavar="PATTERN",
        action="append",
        help="only layers of such names, as in the shell: 'blocks.*.fc'; may be repeated",
    )
    group.add_argument("--all", action="store_true", help="every layer of a deep network")
    group.add_argument("--json", action="store_true", help="JSON in place of the table")
    add_report_options(group)


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
        from fastinit.lab import loading, report
        from fastinit.lab.diagnosis import diagnose
        from fastinit.lab.report.languages import language
    except ModuleNotFoundError as error:
        return fail(str(error), EXIT_USAGE)
    with language(arguments.lang):
        subject = loading.load_subject(arguments.model)
        x, y = loading.load_examples(
            subject,
            arguments.data,
            target=arguments.target,
            shape=_as_shape(arguments.input_shape),
            count=arguments.examples,
        )
        out, status = accepted(
            arguments.out, lambda path: report.check_target(path, arguments.format)
        )
        found = diagnose(
            subject,
            x,
            y,
            loss=loading.load_loss(subject, arguments.loss),
            learning_rate=arguments.learning_rate,
            layers=arguments.layers,
            try_cure=not arguments.no_cure,
        )
        open_terminal()
        if arguments.json:
            print(found.to_json())
        else:
            from rich.console import Console

            console = Console(highlight=False)
            console.print(found.render(console.width, every=arguments.all))
    if out is None:
        return status
    style = {"format": arguments.format, "lang": arguments.lang}
    return deliver(lambda: report.write(found, out, command=command_line(), **style))


def _as_shape(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        shape = tuple(int(item) for item in text.split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise ArgumentError(f"input-shape must be numbers such as 3,32,32, got {text!r}")
    return shape
