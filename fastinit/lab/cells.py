"""A comparison in words: headings, cells and sentences that the terminal and the page share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from fastinit.lab.figures import IDLE_KIND
from fastinit.lab.records import Record

if TYPE_CHECKING:
    from fastinit.lab import comparison

__all__ = [
    "architecture",
    "cells",
    "describe",
    "fastest",
    "headings",
    "percent",
    "short",
    "title",
]


def describe(found: comparison.Comparison) -> str:
    """Return one sentence on what was run.

    Parameters
    ----------
    found : Comparison

    Returns
    -------
    str
    """
    data, training = found.plan.data, found.plan.training
    seeds = len({task.seed for task in found.plan.tasks})
    return (
        f"{data.name}: {len(data.x_train)} train and {len(data.x_test)} test rows, "
        f"{data.x_train.shape[1]} features, {len(data.classes)} classes. "
        f"{training.optimizer}, learning rate {training.learning_rate:g}, "
        f"batches of {training.batch_size}, {_number(training.epochs, 'epoch')}, "
        f"{_number(seeds, 'seed')}."
    )


def title(group: comparison.Group) -> str:
    """Return what a network is called.

    Parameters
    ----------
    group : Group

    Returns
    -------
    str
    """
    return f"{group.activation}, hidden layers {architecture(group.hidden)}"


def architecture(hidden: tuple[int, ...]) -> str:
    """Return hidden layers as text.

    Parameters
    ----------
    hidden : tuple of int

    Returns
    -------
    str

    Examples
    --------
    >>> from fastinit.lab.cells import architecture
    >>> architecture((128, 64))
    '128-64'
    """
    return "-".join(map(str, hidden))


def headings(activation: str, goal: float) -> tuple[str, ...]:
    """Return the column headings, each of two lines, for one network's table.

    Parameters
    ----------
    activation : str
        Decides whether idle units are called dead or saturated.
    goal : float
        The test accuracy that counts as trained.

    Returns
    -------
    tuple of str
    """
    return (
        "\ninitializer",
        "train\nloss",
        "test\naccuracy",
        f"epochs\nto {percent(goal)}%",
        "grad.\nratio",
        "signal\nratio",
        f"{'satur.' if IDLE_KIND.get(activation) == 'saturated' else 'dead'}\nunits",
        "\nverdict",
    )


def cells(record: Record) -> tuple[str, ...]:
    """Return the text of one row, in the order of :func:`headings`.

    Parameters
    ----------
    record : Record

    Returns
    -------
    tuple of str
    """
    accuracy = f"{100 * record.test_accuracy:.1f}"
    if record.seeds > 1:
        accuracy += f" ± {100 * record.test_accuracy_std:.1f}"
    return (
        record.initializer,
        "nan" if math.isnan(record.train_loss) else short(record.train_loss),
        accuracy,
        "-" if record.epochs_to_goal is None else str(record.epochs_to_goal),
        short(record.gradient_ratio),
        short(record.signal_ratio),
        _idle(record),
        record.verdict,
    )


def fastest(records: Iterable[Record]) -> list[Record]:
    """Return the records that train and reach the goal in the fewest epochs; equals together.

    Parameters
    ----------
    records : iterable of Record

    Returns
    -------
    list of Record
        Empty if none trains.
    """
    trained = [(r.epochs_to_goal, r) for r in records if r.verdict == "trains"]
    epochs = [count for count, _ in trained if count is not None]
    return [record for count, record in trained if epochs and count == min(epochs)]


def percent(share: float) -> str:
    """Return a share as a number of per cent.

    Parameters
    ----------
    share : float

    Returns
    -------
    str

    Examples
    --------
    >>> from fastinit.lab.cells import percent
    >>> percent(0.9), percent(0.975)
    ('90', '97.5')
    """
    return f"{100 * share:.10g}"


def short(value: float) -> str:
    """Return a figure in at most six characters; "-" for NaN, which stands for 0/0 or no figure.

    Parameters
    ----------
    value : float
        Not negative.

    Returns
    -------
    str

    Examples
    --------
    >>> from fastinit.lab.cells import short
    >>> [short(value) for value in (0.0, 2.3026, 0.00244, 3.1e-9, 707.4, 70700.0)]
    ['0', '2.30', '0.0024', '3e-09', '707', '7e+04']
    """
    if math.isnan(value):
        return "-"
    if value == 0 or math.isinf(value):
        return f"{value:g}"
    if value < 1e-3 or value >= 9999.5:
        return f"{value:.0e}"
    if value < 0.1:
        return f"{value:.2g}"
    return f"{value:.2f}" if value < 99.995 else f"{value:.0f}"


def _idle(record: Record) -> str:
    if record.idle_start is None or record.idle_end is None:
        return "-"
    start, end = f"{100 * record.idle_start:.0f}", f"{100 * record.idle_end:.0f}"
    return start if start == end else f"{start}→{end}"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
