"""Runs become records: known answers, and no more in memory than one network."""

from __future__ import annotations

import gc
import math
import weakref
from dataclasses import fields, replace

import numpy as np
import pytest

from fastinit.lab.records import Record, summarise
from fastinit.lab.runs import Network, Run, Task
from fastinit.lab.statistics import interval

PLAIN = Run(
    activation="relu",
    hidden=(8, 8),
    initializer="he_normal",
    seed=0,
    goal=0.9,
    constant_loss=2.3,
    train_loss=(2.5, 1.0, 0.4),
    test_score=(0.1, 0.7, 0.95),
    activation_spread=(1.0, 0.9, 0.8, 0.5),
    gradient_size=(0.2, 0.3, 0.4),
    idle_start=0.25,
    idle_end=0.5,
    distinct_units=((8, 8), (7, 8)),
)


def scored(*scores, **changes):
    """Return one run a score, with the seeds 0, 1, ..."""
    return [
        replace(PLAIN, seed=seed, test_score=(0.1, score), **changes)
        for seed, score in enumerate(scores)
    ]


def one(runs):
    [record] = summarise(runs)
    return record


def test_figures_by_hand():
    runs = scored(0.91, 0.95, 0.93)
    runs[1] = replace(
        runs[1], train_loss=(2.5, 0.7), idle_end=None, distinct_units=((8, 8), (3, 8))
    )
    record = one(runs)
    assert record.seeds == 3
    assert record.train_loss == pytest.approx((0.4 + 0.7 + 0.4) / 3)
    assert record.test_score == pytest.approx(0.93)
    assert record.test_score_std == pytest.approx(0.02)
    assert (record.test_score_low, record.test_score_high) == pytest.approx(
        interval([0.91, 0.95, 0.93])
    )
    assert record.epochs_to_goal == 1
    assert record.gradient_ratio == pytest.approx(0.5)
    assert record.signal_ratio == pytest.approx(0.8)
    assert (record.idle_start, record.idle_end) == (0.25, 0.5)
    assert record.distinct_units == 3
    assert (record.verdict, record.diverged) == ("trains", 0)
    assert (record.differs, record.p_value) == ("best", None)


def test_axes_are_those_of_the_runs():
    changes = {
        "activation": "tanh",
        "hidden": (4,),
        "optimizer": "adam",
        "learning_rate": 0.003,
        "normalization": "batch",
        "dropout": 0.5,
        "rate": "chosen",
    }
    record = one([replace(PLAIN, **changes)])
    assert {name: getattr(record, name) for name in changes} == changes
    assert record.network == replace(PLAIN, **changes).network
    assert record.network == Network("tanh", (4,), "batch", 0.5, "adam", None)
    assert one([PLAIN]).network.learning_rate == PLAIN.learning_rate


def test_every_axis_of_a_task_is_a_field():
    names = {field.name for field in fields(Record)}
    assert {f.name for f in fields(Task)} - {"kernel_initializer", "seed", "histograms"} <= names


def test_an_interval_stays_within_what_a_score_can_be():
    record = one(scored(0.99, 1.0, 0.9))
    assert record.test_score_high == 1.0
    record = one(scored(0.0, 0.5, 0.01))
    assert record.test_score_low == 0.0


def test_one_seed_has_no_interval():
    record = one([PLAIN])
    assert math.isnan(record.test_score_low)
    assert math.isnan(record.test_score_high)
    assert record.test_score_std == 0.0


def test_diverged_runs():
    """Scores count as 0, losses as they are; seeds that diverged are counted."""
    bad = {"train_loss": (2.5, math.nan)}
    runs = [*scored(0.9, 0.92), replace(PLAIN, seed=2, test_score=(0.0, -1e30), **bad)]
    record = one(runs)
    assert record.test_score == pytest.approx((0.9 + 0.92) / 3)
    assert math.isnan(record.train_loss)
    assert (record.verdict, record.diverged) == ("trains", 1)
    undefined = [replace(run, test_score=(0.0, math.nan), **bad) for run in runs]
    record = one(undefined)
    assert (record.test_score, record.verdict, record.diverged) == (0.0, "diverged", 3)


def test_initializers_of_one_network_are_compared():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.01, size=5)
    runs = [
        *scored(*(0.9 + noise), initializer="a"),
        *scored(*(0.9 + noise[::-1]), initializer="b"),
        *scored(*(0.5 + noise[::-1]), initializer="c"),
        *scored(*(0.6 + noise), initializer="a", activation="tanh"),
    ]
    records = list(summarise(runs))
    assert [r.differs for r in records] == ["best", "noise", "differs", "best"]
    assert records[1].p_value == 1.0
    assert records[2].p_value < 1e-4


def test_networks_differ_in_any_axis_and_cases_in_a_chosen_rate():
    runs = [
        PLAIN,
        replace(PLAIN, dropout=0.5),
        replace(PLAIN, dropout=0.5, learning_rate=0.1),
        replace(PLAIN, rate="chosen"),
        replace(PLAIN, rate="chosen", initializer="zeros", learning_rate=0.1),
    ]
    records = list(summarise(runs))
    assert len(records) == 5
    assert [r.differs for r in records] == ["best"] * 4 + ["too few seeds"]  # the last two: one


def test_rates_that_are_tried_are_records_of_their_own():
    runs = [replace(PLAIN, rate="tried", learning_rate=rate) for rate in (0.1, 0.01)]
    assert [r.learning_rate for r in summarise(runs)] == [0.1, 0.01]


def test_seeds_are_matched_by_number():
    """An interrupted case: the third seed of one initializer is missing."""
    a = scored(0.9, 0.5, 0.7, 0.91, initializer="a")
    b = scored(0.9, 0.5, 0.7, 0.91, initializer="b")
    records = list(summarise([*a, *(run for run in b if run.seed != 2)]))
    assert [r.seeds for r in records] == [4, 3]
    assert [r.differs for r in records] == ["noise", "best"]  # 0.77 on average, against 0.7525
    assert records[0].p_value == 1.0


def test_runs_are_let_go():
    """Of a long iterator no more than one case is held."""
    alive: weakref.WeakSet[Run] = weakref.WeakSet()
    most = 0

    def runs():
        nonlocal most
        for case in range(200):
            for seed in range(3):
                run = replace(PLAIN, seed=seed, hidden=(case // 4 + 1,), initializer=f"i{case % 4}")
                alive.add(run)
                yield run
                del run
            gc.collect(0)
            most = max(most, len(alive))

    assert sum(1 for _ in summarise(runs())) == 200
    assert most <= 2 * 3 + 1


def test_no_runs_no_records():
    assert list(summarise([])) == []
