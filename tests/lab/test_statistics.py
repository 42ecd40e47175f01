"""Intervals hold the mean as often as they say, and noise is called noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fastinit.errors import ArgumentError, UnknownNameError
from fastinit.lab.statistics import (
    BOOTSTRAP_FROM,
    holm,
    interval,
    paired_p_values,
    standings,
    usable,
)

SIMULATED = 2000


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def tables(rng, initializers, seeds, count=SIMULATED, gaps=0.0):
    """Return scores that differ by `gaps` and by noise; the seed moves all initializers alike."""
    scores = rng.normal(0.9, 0.01, size=(count, initializers, seeds))
    return scores + rng.normal(0, 0.02, size=(count, 1, seeds)) + np.reshape(gaps, (-1, 1))


def alarms(scores):
    """Return the share of the tables in which some initializer is said to differ."""
    return np.mean([any(s.word == "differs" for s in standings(table)) for table in scores])


# Calibration


def test_two_equal_initializers_differ_as_often_as_alpha_says(rng):
    """Of two, the corrected test is the test itself: false alarms come at the rate alpha."""
    share = alarms(tables(rng, 2, seeds=5))
    assert abs(share - 0.05) < 3 * math.sqrt(0.05 * 0.95 / SIMULATED)


@pytest.mark.parametrize("seeds", [3, 10])
def test_seven_equal_initializers_seldom_differ(rng, seeds):
    share = alarms(tables(rng, 7, seeds, count=600))
    assert 0.005 < share < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 600)


def test_without_correction_the_best_of_seven_would_look_better_than_it_is(rng):
    """The control: correcting for too little, or not at all, cries wolf far above alpha."""
    scores = tables(rng, 7, seeds=10, count=600)
    found = {"none": 0, "the best alone": 0}
    for table in scores:
        best = table.mean(axis=1).argmax()
        p_values = paired_p_values(table[best] - np.delete(table, best, axis=0))
        found["none"] += p_values.min() < 0.05
        found["the best alone"] += holm(p_values).min() < 0.05
    assert found["none"] / 600 > 0.3
    assert found["the best alone"] / 600 > 0.09


def test_a_true_difference_is_found(rng):
    """Three standard deviations of the noise, below what the seeds alone vary by, at five seeds."""
    scores = tables(rng, 3, seeds=5, count=300, gaps=[0, 0, -0.06])
    words = [[s.word for s in standings(table)] for table in scores]
    assert np.mean([found[2] == "differs" for found in words]) > 0.9
    false = np.mean(["differs" in found[:2] for found in words])
    assert false < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)


def test_pairing_by_seed_is_what_finds_it(rng):
    """The control: the same scores, each initializer's seeds shuffled, hide most of it."""
    scores = tables(rng, 2, seeds=5, count=300, gaps=[0, -0.03])
    paired = alarms(scores)
    unpaired = alarms(rng.permuted(scores, axis=2))
    assert paired > 0.8
    assert unpaired < paired - 0.3


@pytest.mark.parametrize("n", [3, 10, BOOTSTRAP_FROM])
def test_intervals_hold_the_mean(rng, n):
    count = 400 if n >= BOOTSTRAP_FROM else SIMULATED
    found = np.array([interval(sample) for sample in rng.normal(0.5, 0.1, size=(count, n))])
    share = np.mean((found[:, 0] <= 0.5) & (found[:, 1] >= 0.5))
    assert abs(share - 0.95) < 3.5 * math.sqrt(0.05 * 0.95 / count)


def test_a_bootstrap_of_five_would_not(rng):
    """The control, and why small samples get Student's interval."""
    samples = rng.normal(0.5, 0.1, size=(500, 5))
    found = stats.bootstrap((samples,), np.mean, axis=1, n_resamples=500, rng=rng)
    low, high = found.confidence_interval
    assert np.mean((low <= 0.5) & (high >= 0.5)) < 0.9


# Known answers


def test_interval_is_scipys():
    sample = [0.91, 0.95, 0.93, 0.96]
    expected = stats.t.interval(0.9, 3, loc=np.mean(sample), scale=stats.sem(sample))
    assert interval(sample, 0.9) == pytest.approx(expected)


def test_the_bootstrapped_interval_is_the_same_every_time_and_leans_with_the_sample(rng):
    sample = 1 - 0.05 * rng.lognormal(size=50)
    low, high = interval(sample)
    assert (low, high) == interval(sample)
    assert sample.mean() - low > high - sample.mean()  # the long tail is to the left


@pytest.mark.parametrize("values", [[0.5] * 3, [0.0] * 50, [0.1 + 0.2, 0.3, 0.3]])
def test_equal_values_have_no_width(values):
    low, high = interval(values)
    assert low == high == pytest.approx(values[0])


def test_of_one_value_nothing_is_known():
    assert all(map(math.isnan, interval([0.5])))
    with pytest.raises(ArgumentError, match="level must be between 0 and 1, got 95"):
        interval([1, 2], 95)


def test_the_tests_are_scipys(rng):
    table = rng.normal(0.3, 1, size=(4, 8))
    for test, oracle in (
        ("t", lambda row: stats.ttest_1samp(row, 0).pvalue),
        ("wilcoxon", lambda row: stats.wilcoxon(row).pvalue),
    ):
        expected = [oracle(row) for row in table]
        np.testing.assert_allclose(paired_p_values(table, test), expected)


def test_the_permutation_test_counts_the_signs():
    row = np.array([0.1, 0.2, 0.4, -0.05])
    signs = np.array(np.meshgrid(*[[1, -1]] * 4)).reshape(4, -1)
    means = row @ signs / 4
    expected = np.mean(np.abs(means) >= row.mean() - 1e-12)
    assert paired_p_values([row], "permutation")[0] == pytest.approx(expected)


def test_five_seeds_are_too_few_for_signs_alone():
    row = [0.5, 0.6, 0.7, 0.4, 0.5]
    assert paired_p_values([row], "t")[0] < 0.001
    assert paired_p_values([row], "wilcoxon")[0] == pytest.approx(2 / 2**5)
    assert paired_p_values([row], "permutation")[0] == pytest.approx(2 / 2**5)


def test_differences_without_spread():
    """The t test would divide by zero: equal differences count as equal signs."""
    table = [[0.0] * 5, [0.002] * 5, [0.3 - 0.1, 0.2, 0.2, 0.2, 0.2], [-0.1] * 5]
    np.testing.assert_allclose(paired_p_values(table), [1, 2 / 2**5, 2 / 2**5, 2 / 2**5])


def test_missing_runs_are_left_out(rng):
    row = rng.normal(1, 1, size=5)
    table = np.array([np.r_[row, np.nan], np.r_[row[:2], [np.nan] * 4]])
    found = paired_p_values(table)
    assert found[0] == pytest.approx(stats.ttest_1samp(row, 0).pvalue)
    assert math.isnan(found[1])


def test_an_unknown_test():
    with pytest.raises(UnknownNameError, match="unknown test 'welch'"):
        paired_p_values([[1, 2, 3]], "welch")


def test_holm_by_hand():
    # 5 tests made: 0.005 * 5, 0.01 * 4, 0.03 * 3, max(0.04 * 2, the one before), 0.9
    given_p = [0.04, 0.005, math.nan, 0.9, 0.01, 0.03]
    expected = [0.09, 0.025, math.nan, 0.9, 0.04, 0.09]
    np.testing.assert_allclose(holm(given_p), expected)
    assert holm([]).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_no_correction_and_bonferronis(p_values):
    found = holm(p_values)
    assert (found >= p_values).all()
    assert (found <= np.minimum(1, len(p_values) * np.array(p_values)) + 1e-15).all()
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(found[order]) >= 0).all()


# Standings


def words(scores, **options):
    return [standing.word for standing in standings(scores, **options)]


def test_the_best_is_the_greatest_mean_and_the_first_of_equals():
    assert words([[0.5, 0.5, 0.5], [0.9, 0.9, 0.9], [0.9, 0.9, 0.9]])[1] == "best"
    assert words([[0.7]]) == ["best"]


def test_too_few_seeds():
    found = standings([[0.9, 0.91], [0.1, 0.11]])
    assert [s.word for s in found] == ["best", "too few seeds"]
    assert found[1].p_value is None


def test_only_seeds_in_common_count():
    nan = math.nan
    scores = [[0.9, 0.92, 0.91, nan], [0.1, 0.12, 0.13, 0.1], [0.1, nan, nan, 0.1]]
    assert words(scores) == ["best", "differs", "too few seeds"]


def test_twins_are_noise_with_the_probability_one():
    found = standings([[0.9, 0.95, 0.91]] * 2)
    assert found[1] == ("noise", 1.0)


def test_mistakes():
    with pytest.raises(ArgumentError, match="alpha must be between 0 and 1, got 5"):
        standings([[1, 2, 3]], alpha=5)
    with pytest.raises(ArgumentError, match="every initializer needs a score"):
        standings([[1, 2, 3], [math.nan] * 3])


def test_what_cannot_be_used_counts_as_zero():
    assert usable([0.5, -1e30, math.nan, -math.inf, 0.0]).tolist() == [0.5, 0, 0, 0, 0]
    assert usable(0.25) == 0.25
