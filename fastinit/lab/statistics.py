"""What several seeds say: how sure a mean is, and whether two initializers differ or it is noise.

Runs of different initializers with one seed share the order of the rows and what is drawn beside
the weights, so that initializers are compared seed by seed, on the differences. Of a comparison of
k initializers the best is chosen by what was measured, which makes it look better than it is; so
all k (k - 1) / 2 pairs are counted in the correction for asking many questions, not only the k - 1
with the best in them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from functools import cache
from itertools import combinations
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastinit.errors import ArgumentError, unknown_name

__all__ = [
    "ALPHA",
    "BOOTSTRAP_FROM",
    "LEVEL",
    "MIN_SEEDS",
    "STANDINGS",
    "Standing",
    "Test",
    "holm",
    "interval",
    "paired_p_values",
    "standings",
    "usable",
]

Floats: TypeAlias = NDArray[np.float64]

Test: TypeAlias = Literal["t", "wilcoxon", "permutation"]

TESTS: tuple[Test, ...] = get_args(Test)

ALPHA = 0.05
"""Share of the networks without any difference in which one is found all the same, at most."""

LEVEL = 0.95
"""Share of the confidence intervals that hold the true mean."""

MIN_SEEDS = 3
"""Fewer seeds in common say nothing about a difference."""

BOOTSTRAP_FROM = 30
"""From so many values on an interval is bootstrapped: of fewer, resampling knows the tails less
well than Student's t does (0.85 of the intervals of 5 normal values hold the mean, not 0.95)."""

RESAMPLES = 2000

STANDINGS = ("best", "differs", "noise", "too few seeds")
"""What can be said of an initializer: it has the best mean; it differs from the best; whatever
lies between them may be chance; there are fewer than three seeds."""


class Standing(NamedTuple):
    """How one initializer stands to the best of its network.

    Attributes
    ----------
    word : str
        One of :data:`STANDINGS`.
    p_value : float or None
        Of the paired test against the best, corrected; None for the best, and of too few seeds.
    """

    word: str
    p_value: float | None


def usable(scores: ArrayLike) -> Floats:
    """Return scores as they enter the statistics: one below 0 or undefined counts as 0.

    A diverged run has an R² that is hugely negative or not defined; nobody would use its network
    rather than the mean of the targets, which has 0. Accuracies stay as they are.

    Parameters
    ----------
    scores : array_like of float

    Returns
    -------
    ndarray of float64

    Examples
    --------
    >>> from fastinit.lab.statistics import usable
    >>> usable([0.9, -3e20, float("nan")]).tolist()
    [0.9, 0.0, 0.0]
    """
    values = np.asarray(scores, dtype=np.float64)
    return np.where(values > 0, values, 0.0)


def interval(values: ArrayLike, level: float = LEVEL) -> tuple[float, float]:
    """Return a confidence interval of the mean.

    Student's, ``mean ± t sqrt(variance / n)``; from 30 values on the bias-corrected and
    accelerated bootstrap of Efron 1987, "Better bootstrap confidence intervals", which knows skew.

    Parameters
    ----------
    values : array_like of float, shape (n,)
        Finite.
    level : float, default 0.95
        Between 0 and 1.

    Returns
    -------
    tuple of float
        (NaN, NaN) for fewer than two values.

    Raises
    ------
    ArgumentError
        If `level` is not between 0 and 1.

    Examples
    --------
    >>> from fastinit.lab.statistics import interval
    >>> low, high = interval([0.95, 0.96, 0.97])
    >>> f"{low:.3f} {high:.3f}"
    '0.935 0.985'
    """
    if not 0 < level < 1:
        raise ArgumentError(f"level must be between 0 and 1, got {level!r}")
    sample = np.asarray(values, dtype=np.float64)
    if sample.size < 2:
        return math.nan, math.nan
    mean = float(sample.mean())
    if _same(sample):
        return mean, mean
    if sample.size >= BOOTSTRAP_FROM:
        from scipy import stats

        with warnings.catch_warnings():  # of samples too odd for the acceleration: NaN
            warnings.simplefilter("ignore")
            found = stats.bootstrap(
                (sample,),
                np.mean,
                confidence_level=level,
                n_resamples=RESAMPLES,
                rng=np.random.default_rng(0),
            ).confidence_interval
        if math.isfinite(found.low) and math.isfinite(found.high):
            return float(found.low), float(found.high)
    half = _quantile((1 + level) / 2, sample.size - 1) * sample.std(ddof=1) / sample.size**0.5
    return float(mean - half), float(mean + half)


@cache
def _quantile(probability: float, degrees: int) -> float:
    """Return the quantile of Student's distribution; a table asks for the same one in each row."""
    from scipy import stats

    return float(stats.t.ppf(probability, degrees))


def paired_p_values(differences: ArrayLike, test: Test = "t") -> Floats:
    """Return, for each row of differences, how likely one so far from 0 is by chance; two-sided.

    Differences that are all equal leave the t test nothing to estimate its error from; their
    probability is that of n equal signs, ``2 / 2**n``, and 1 where they are all 0.

    Parameters
    ----------
    differences : array_like of float, shape (comparisons, seeds)
        One initializer minus the other, seed by seed; NaN where either has no run.
    test : {"t", "wilcoxon", "permutation"}, default "t"
        Student's paired t test; Wilcoxon's signed ranks; or all changes of signs, drawn at random
        where they are many. The latter two assume less, and of n seeds find nothing less likely
        than ``2 / 2**n``, which for five seeds is 0.06.

    Returns
    -------
    ndarray of float64, shape (comparisons,)
        NaN for a row of fewer than three differences.

    Raises
    ------
    UnknownNameError
        If there is no such test.

    Examples
    --------
    >>> from fastinit.lab.statistics import paired_p_values
    >>> paired_p_values([[0.1, 0.12, 0.11], [0.1, -0.12, 0.03]]).round(3).tolist()
    [0.003, 0.964]
    """
    if test not in TESTS:
        raise unknown_name("test", test, TESTS)
    table = np.atleast_2d(np.asarray(differences, dtype=np.float64))
    found = np.full(len(table), np.nan)
    plain = np.isfinite(table).sum(axis=1) >= MIN_SEEDS
    for row in np.flatnonzero(plain):
        values = table[row][np.isfinite(table[row])]
        if _same(values):
            found[row] = 1.0 if values[0] == 0 else 2.0 ** (1 - len(values))
            plain[row] = False
    if plain.any():
        found[plain] = _scipy_test(table[plain], test)
    return found


def _scipy_test(table: Floats, test: Test) -> Floats:
    from scipy import stats

    if test == "t":
        return np.asarray(stats.ttest_1samp(table, 0.0, axis=1, nan_policy="omit").pvalue)
    rows = [row[np.isfinite(row)] for row in table]
    if test == "wilcoxon":
        with warnings.catch_warnings():  # of the normal approximation where there are ties
            warnings.simplefilter("ignore", UserWarning)
            return np.array([stats.wilcoxon(row).pvalue for row in rows])
    rng = np.random.default_rng(0)
    return np.array(
        [
            stats.permutation_test(
                (row,),
                np.mean,
                permutation_type="samples",
                vectorized=True,
                n_resamples=RESAMPLES,
                rng=rng,
            ).pvalue
            for row in rows
        ]
    )


def holm(p_values: ArrayLike) -> Floats:
    """Return p-values corrected for their number: any below alpha by chance with at most alpha.

    The i-th smallest of m is multiplied by m - i + 1 and is at least the one before: Holm 1979,
    "A simple sequentially rejective multiple test procedure". The tests may depend on each other.

    Parameters
    ----------
    p_values : array_like of float, shape (m,)
        NaN stands for a test that was not made: it stays, and does not count.

    Returns
    -------
    ndarray of float64, shape (m,)

    Examples
    --------
    >>> from fastinit.lab.statistics import holm
    >>> holm([0.01, 0.04, 0.03]).round(4).tolist()
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given)[: np.isfinite(given).sum()]  # NaN is sorted last
    factors = np.arange(len(order), 0, -1)
    corrected = np.full(given.shape, np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(factors * given[order]), 1.0)
    return corrected


def standings(
    scores: Sequence[Sequence[float]] | Floats, alpha: float = ALPHA, test: Test = "t"
) -> list[Standing]:
    """Say which initializer is the best, and of each other whether it differs or that is noise.

    The best is the one with the greatest mean, the first of equals. Every pair of initializers is
    tested on the seeds that both have, and the p-values are corrected together by :func:`holm`, so
    that where there is no difference at all, one is found with at most the probability `alpha`.

    Parameters
    ----------
    scores : array_like of float, shape (initializers, seeds)
        A column holds what one seed gave; NaN where there is no run. See :func:`usable`.
    alpha : float, default 0.05
        Between 0 and 1.
    test : {"t", "wilcoxon", "permutation"}, default "t"
        As in :func:`paired_p_values`.

    Returns
    -------
    list of Standing
        One for each initializer.

    Raises
    ------
    ArgumentError
        If `alpha` is not between 0 and 1, or an initializer has no score.
    UnknownNameError
        If there is no such test.

    Examples
    --------
    >>> from fastinit.lab.statistics import standings
    >>> found = standings([[0.95, 0.96, 0.94], [0.951, 0.957, 0.941], [0.41, 0.44, 0.40]])
    >>> [standing.word for standing in found]
    ['best', 'noise', 'differs']
    """
    if not 0 < alpha < 1:
        raise ArgumentError(f"alpha must be between 0 and 1, got {alpha!r}")
    table = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    if not np.isfinite(table).any(axis=1).all():
        raise ArgumentError("every initializer needs a score")
    best = int(np.nanmean(table, axis=1).argmax())
    pairs = list(combinations(range(len(table)), 2))
    found = [Standing("best", None)] * len(table)
    if not pairs:
        return found
    left, right = (list(side) for side in zip(*pairs, strict=True))
    corrected = holm(paired_p_values(table[left] - table[right], test))
    for pair, p_value in zip(pairs, corrected.tolist(), strict=True):
        if best not in pair:
            continue
        other = pair[0] if pair[1] == best else pair[1]
        if math.isnan(p_value):
            found[other] = Standing("too few seeds", None)
        else:
            found[other] = Standing("differs" if p_value < alpha else "noise", p_value)
    return found


def _same(values: Floats) -> bool:
    """Return whether values are equal but for rounding."""
    return bool(np.ptp(values) <= 1e-9 * np.abs(values).max())
