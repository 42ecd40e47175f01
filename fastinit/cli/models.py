"""What the commands on checkpoints share: the options that describe a model, and the bar."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastinit.cli.arguments import split_commas
from fastinit.errors import ArgumentError

__all__ = ["add_rule_options", "bar", "rules_of"]


def add_rule_options(parser: argparse.ArgumentParser, seed: str) -> None:
    """Add the options that say how tensors are made.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    seed : str
        What stands in the seed's place by default.
    """
    parser.add_argument("--seed", type=int, metavar="N", help=f"(default: {seed})")
    parser.add_argument(
        "--recipe",
        metavar="FILE|PATTERN=INIT,...",
        action="append",
        default=[],
        help="initializers by patterns of names, such as '*.bias=zeros,*=normal(std=0.02)', or a "
        "JSON file of them; the first that fits decides, before the model's own; may be repeated",
    )
    parser.add_argument(
        "--dtype",
        metavar="NAME",
        help="of all tensors: float32, float64, float16 or bfloat16 (default: what the model says)",
    )
    parser.add_argument(
        "--layout",
        choices=("torch", "keras"),
        help="how kernels lie, for rules that scale by a fan: torch is (out, in, window), keras "
        "(window, in, out) (default: what the model says)",
    )
    parser.add_argument(
        "--exclude",
        metavar="PATTERN",
        action="append",
        default=[],
        help="leave out tensors of such names; may be repeated",
    )


def rules_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the options of `add_rule_options` as the functions take them.

    Parameters
    ----------
    arguments : argparse.Namespace

    Returns
    -------
    dict

    Raises
    ------
    ArgumentError
        If a recipe cannot be read.
    """
    return {
        "seed": arguments.seed,
        "recipe": _recipe(arguments.recipe) or None,
        "dtype": arguments.dtype,
        "layout": arguments.layout,
        "exclude": tuple(arguments.exclude),
    }


def _recipe(texts: Sequence[str]) -> dict[str, str]:
    recipe: dict[str, str] = {}
    for text in texts:
        for pattern, rule in _lines(text):
            recipe.setdefault(pattern, rule)
    return recipe


def _lines(text: str) -> Iterator[tuple[str, str]]:
    if text.endswith(".json"):
        from fastinit.checkpoints.files import read_json

        document = read_json(Path(text))
        if not isinstance(document, dict):
            raise ArgumentError(f"{text!r}: a recipe is an object of patterns and initializers")
        yield from document.items()
        return
    for line in split_commas(text):
        pattern, sign, rule = line.partition("=")
        if not (pattern and sign and rule):
            raise ArgumentError(
                f"a recipe is PATTERN=INITIALIZER or a .json file, got {line!r}; one for all "
                f"tensors is '*={line}'"
            )
        yield pattern, rule


@contextmanager
def bar(title: str, *, of_bytes: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Show how much is done on standard error, where it is a terminal and rich is installed.

    Parameters
    ----------
    title : str
    of_bytes : bool, default False
        Whether bytes are counted, with the rate.

    Yields
    ------
    callable
        To be called with what is done, and with all that is to be done.
    """
    try:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
    except ImportError:
        yield lambda done, total: None
        return
    console = Console(stderr=True)
    if not console.is_terminal:  # a log has no use for a bar
        yield lambda done, total: None
        return
    counted = (DownloadColumn(), TransferSpeedColumn()) if of_bytes else (TaskProgressColumn(),)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), *counted)
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
