"""Runs that differ only in their seed, brought together: one record a row of the table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from fastinit.lab import rules
from fastinit.lab.runs import Network, Run
from fastinit.lab.statistics import Test, interval, standings, usable

__all__ = ["Record", "summarise"]


@dataclass(frozen=True)
class Record:
    """One initializer in one network: its figures over the seeds.

    Attributes
    ----------
    activation : str
        Of the hidden layers.
    hidden : tuple of int
        Their units.
    initializer : str
        What it is called.
    seeds : int
        Number of runs behind the figures.
    train_loss, train_loss_std : float
        After the last epoch: mean and sample standard deviation over the seeds. Infinite or NaN
        if a run's loss is.
    test_score, test_score_std : float
        Likewise, accuracy or R²; one below 0 or undefined counts as 0, see
        :func:`fastinit.lab.statistics.usable`.
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
    test_score_low, test_score_high : float
        Confidence interval of the mean test score, 95 %, within 0 and 1; NaN for a single seed.
        See :func:`fastinit.lab.statistics.interval`.
    differs : {"best", "differs", "noise", "too few seeds"}
        How its test score stands to the best of the network, by a test paired over the seeds and
        corrected for all pairs; see :func:`fastinit.lab.statistics.standings`.
    p_value : float or None
        Of that test, corrected; None for the best, and of too few seeds.
    diverged : int
        Number of runs with this verdict.
    optimizer, normalization : str
        As in :class:`fastinit.lab.Task`, as are the next.
    learning_rate, dropout : float
        The numbers of its training.
    rate : {"given", "tried", "chosen"}
        Where the learning rate comes from.

    Examples
    --------
    >>> from fastinit import lab
    >>> result = lab.compare(["zeros"], activations=["relu"], hidden=[8], epochs=2, seeds=2,
    ...                      learning_rate=0.05, jobs=1)
    >>> record = result.records[0]
    >>> record.initializer, record.seeds, record.verdict
    ('zeros', 2, 'symmetric')
    """

    activation: str
    hidden: tuple[int, ...]
    initializer: str
    seeds: int
    train_loss: float
    train_loss_std: float
    test_score: float
    test_score_std: float
    epochs_to_goal: int | None
    gradient_ratio: float
    signal_ratio: float
    idle_start: float | None
    idle_end: float | None
    distinct_units: int
    verdict: str
    test_score_low: float = math.nan
    test_score_high: float = math.nan
    differs: str = "too few seeds"
    p_value: float | None = None
    diverged: int = 0
    optimizer: str = "sgd"
    learning_rate: float = 0.01
    normalization: str = "none"
    dropout: float = 0.0
    rate: str = "given"

    @property
    def network(self) -> Network:
        """All but the initializer; the learning rate is None if it was chosen for each."""
        rate = self.learning_rate if self.rate == "given" else None
        return Network(
            self.activation, self.hidden, self.normalization, self.dropout, self.optimizer, rate
        )


def summarise(runs: Iterable[Run], test: Test = "t") -> Iterator[Record]:
    """Yield one record for each initializer in each network, in the order of the runs.

    No more than the runs of one record, and the scores and records of one network, are held at a
    time.

    Parameters
    ----------
    runs : iterable of Run
        Those of one record stand side by side, and those of one network.
    test : {"t", "wilcoxon", "permutation"}, default "t"
        How initializers are compared; see :func:`fastinit.lab.statistics.standings`.

    Yields
    ------
    Record
    """
    for _, network in groupby(runs, key=lambda run: run.network):
        records, scores = [], []
        for _, case in groupby(network, key=lambda run: (run.initializer, run.learning_rate)):
            of_seeds = list(case)
            records.append(_record(of_seeds))
            scores.append({run.seed: float(usable(run.final_score)) for run in of_seeds})
        for record, standing in zip(records, standings(_table(scores), test=test), strict=True):
            yield replace(record, differs=standing.word, p_value=standing.p_value)


def _table(scores: Sequence[dict[int, float]]) -> np.ndarray:
    """Return one row an initializer, one column a seed; NaN where there is no run."""
    seeds = sorted(set().union(*scores))
    return np.array([[case.get(seed, math.nan) for seed in seeds] for case in scores])


def _record(runs: Sequence[Run]) -> Record:
    first = runs[0]
    loss, loss_std = _mean_std([run.final_loss for run in runs])
    scores = usable([run.final_score for run in runs])
    score, score_std = _mean_std(scores)
    low, high = interval(scores)
    verdicts = [run.verdict for run in runs]
    return Record(
        activation=first.activation,
        hidden=first.hidden,
        initializer=first.initializer,
        seeds=len(runs),
        train_loss=loss,
        train_loss_std=loss_std,
        test_score=score,
        test_score_std=score_std,
        epochs_to_goal=_median_epochs([run.epochs_to_goal for run in runs]),
        gradient_ratio=_median([run.gradient_ratio for run in runs]),
        signal_ratio=_median([run.signal_ratio for run in runs]),
        idle_start=_share([run.idle_start for run in runs]),
        idle_end=_share([run.idle_end for run in runs]),
        distinct_units=min(distinct for run in runs for distinct, _ in run.distinct_units),
        verdict=rules.majority(verdicts),
        test_score_low=float(np.maximum(low, 0.0)),  # NaN stays
        test_score_high=float(np.minimum(high, 1.0)),
        diverged=verdicts.count("diverged"),
        optimizer=first.optimizer,
        learning_rate=first.learning_rate,
        normalization=first.normalization,
        dropout=first.dropout,
        rate=first.rate,
    )


def _mean_std(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
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
