"""Runs that differ only in their seed, brought together: one record a row of the table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from fastinit.lab import rules
from fastinit.lab.runs import Run

__all__ = ["Record", "summarise"]


@dataclass(frozen=True)
class Record:
    """One initializer in one network: its figures over the seeds.

    Attributes
    ----------
    activation : str
    hidden : tuple of int
    initializer : str
    seeds : int
        Number of runs behind the figures.
    train_loss, train_loss_std : float
        After the last epoch: mean and sample standard deviation over the seeds.
    test_accuracy, test_accuracy_std : float
        Likewise.
    epochs_to_goal : int or None
        Median over the seeds, one that never reached the goal counting as last; None if the
        median one never did.
    gradient_ratio, signal_ratio : float
        Median over the seeds; see :class:`fastinit.lab.Run`. NaN stands for 0/0.
    idle_start, idle_end : float or None
        Mean share of dead or saturated units before and after training.
    distinct_units : int
        Fewest units that differ in any hidden layer after training, over all seeds.
    verdict : str
        The commonest verdict of the seeds; of equally common ones, the worst.
    """

    activation: str
    hidden: tuple[int, ...]
    initializer: str
    seeds: int
    train_loss: float
    train_loss_std: float
    test_accuracy: float
    test_accuracy_std: float
    epochs_to_goal: int | None
    gradient_ratio: float
    signal_ratio: float
    idle_start: float | None
    idle_end: float | None
    distinct_units: int
    verdict: str


def summarise(runs: Iterable[Run]) -> tuple[Record, ...]:
    """Return one record for each initializer in each network, in the order of the runs.

    Parameters
    ----------
    runs : iterable of Run
        Those of one record stand side by side.

    Returns
    -------
    tuple of Record
    """
    cases = groupby(runs, key=lambda run: (run.activation, run.hidden, run.initializer))
    return tuple(_record(list(case)) for _, case in cases)


def _record(runs: Sequence[Run]) -> Record:
    first = runs[0]
    loss, loss_std = _mean_std([run.final_loss for run in runs])
    accuracy, accuracy_std = _mean_std([run.final_accuracy for run in runs])
    return Record(
        activation=first.activation,
        hidden=first.hidden,
        initializer=first.initializer,
        seeds=len(runs),
        train_loss=loss,
        train_loss_std=loss_std,
        test_accuracy=accuracy,
        test_accuracy_std=accuracy_std,
        epochs_to_goal=_median_epochs([run.epochs_to_goal for run in runs]),
        gradient_ratio=_median([run.gradient_ratio for run in runs]),
        signal_ratio=_median([run.signal_ratio for run in runs]),
        idle_start=_share([run.idle_start for run in runs]),
        idle_end=_share([run.idle_end for run in runs]),
        distinct_units=min(distinct for run in runs for distinct, _ in run.distinct_units),
        verdict=rules.majority(run.verdict for run in runs),
    )


def _mean_std(values: list[float]) -> tuple[float, float]:
    with np.errstate(all="ignore"):  # a diverged run has an infinite or undefined loss
        mean = float(np.mean(values))
        std = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return mean, std


def _median(values: list[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return statistics.median(defined) if defined else math.nan


def _median_epochs(values: list[int | None]) -> int | None:
    # The upper median: a tie between reaching the goal and not goes to the worse, as in verdicts.
    median = statistics.median_high(math.inf if value is None else value for value in values)
    return None if math.isinf(median) else int(median)


def _share(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
