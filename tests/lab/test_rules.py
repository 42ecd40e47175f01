"""The verdicts follow from the stated rules, at their borders too."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from fastinit.lab.plan import make_plan
from fastinit.lab.rules import (
    DIVERGED_FACTOR,
    EXPLODING_RATIO,
    RULES,
    SEVERITY,
    VANISHING_RATIO,
    Evidence,
    majority,
    verdict,
)
from fastinit.lab.runs import train

ORDINARY = Evidence(
    start_loss=2.4,
    final_loss=1.0,
    constant_loss=2.3,
    epochs_to_goal=None,
    distinct_units=((64, 64), (64, 64)),
    gradient_ratio=0.5,
    signal_ratio=0.5,
)

CASES = [
    ({}, "slow"),
    ({"epochs_to_goal": 3}, "trains"),
    ({"epochs_to_goal": 20}, "trains"),
    # diverged: not finite, or above the start and twice the constant predictor's
    ({"final_loss": math.nan}, "diverged"),
    ({"final_loss": math.inf}, "diverged"),
    ({"final_loss": 4.6}, "slow"),
    ({"final_loss": 4.61}, "diverged"),
    ({"final_loss": 50.0, "start_loss": 51.0}, "slow"),
    ({"final_loss": 52.0, "start_loss": 51.0}, "diverged"),
    ({"final_loss": math.nan, "distinct_units": ((1, 64),)}, "diverged"),
    ({"final_loss": math.nan, "epochs_to_goal": 2}, "diverged"),
    # symmetric: one distinct unit out of several, in any layer
    ({"distinct_units": ((64, 64), (1, 64))}, "symmetric"),
    ({"distinct_units": ((2, 64),)}, "slow"),
    ({"distinct_units": ((1, 1),)}, "slow"),
    ({"distinct_units": ((1, 64),), "epochs_to_goal": 5}, "symmetric"),
    ({"distinct_units": ((1, 64),), "gradient_ratio": 0.0}, "symmetric"),
    # the ratios, each alone and at the border
    ({"gradient_ratio": VANISHING_RATIO}, "slow"),
    ({"gradient_ratio": VANISHING_RATIO * 0.99}, "vanishing"),
    ({"gradient_ratio": 0.0}, "vanishing"),
    ({"signal_ratio": VANISHING_RATIO * 0.99}, "vanishing"),
    ({"gradient_ratio": EXPLODING_RATIO}, "slow"),
    ({"gradient_ratio": EXPLODING_RATIO * 1.01}, "exploding"),
    ({"gradient_ratio": math.inf}, "exploding"),
    # the loss at the start, beside the constant predictor's 2.3
    ({"start_loss": 229.0}, "slow"),
    ({"start_loss": 231.0, "final_loss": 200.0}, "exploding"),
    ({"start_loss": 231.0, "epochs_to_goal": 3}, "trains"),
    ({"signal_ratio": EXPLODING_RATIO * 1.01}, "exploding"),
    ({"signal_ratio": 1e4, "gradient_ratio": 1e-4}, "exploding"),
    ({"start_loss": math.inf}, "exploding"),
    # 0/0 says nothing
    ({"gradient_ratio": math.nan}, "slow"),
    ({"gradient_ratio": math.nan, "signal_ratio": 0.0}, "vanishing"),
    # an extreme ratio is a forecast, and reaching the goal refutes it
    ({"gradient_ratio": 1e-6, "epochs_to_goal": 9}, "trains"),
    ({"signal_ratio": 1e6, "epochs_to_goal": 9}, "trains"),
]


@pytest.mark.parametrize(("changes", "expected"), CASES)
def test_verdict(changes, expected):
    assert verdict(replace(ORDINARY, **changes)) == expected


def test_every_rule_has_a_severity_and_words():
    assert {rule.verdict for rule in RULES} == set(SEVERITY)
    assert all(rule.when and rule.means for rule in RULES)
    assert {expected for _, expected in CASES} == set(SEVERITY)


def test_the_words_state_the_thresholds():
    words = {rule.verdict: rule.words for rule in RULES}
    assert f"{VANISHING_RATIO:g}" in words["vanishing"]
    assert f"{EXPLODING_RATIO:g}" in words["exploding"]
    assert f"{DIVERGED_FACTOR:g} times" in words["diverged"]
    assert not any("{" in text for text in words.values())


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["trains"], "trains"),
        (["trains", "trains", "diverged"], "trains"),
        (["trains", "slow"], "slow"),
        (["diverged", "symmetric", "trains"], "diverged"),
        (["vanishing", "exploding", "exploding", "vanishing"], "exploding"),
    ],
)
def test_majority_gives_ties_to_the_worse(verdicts, expected):
    assert majority(verdicts) == expected
    assert majority(reversed(verdicts)) == expected


@pytest.mark.parametrize(
    ("initializer", "expected"),
    [
        ("he_normal", "trains"),
        ("zeros", "symmetric"),
        ("normal(std=0.001)", "vanishing"),
        ("normal(std=2)", "diverged"),
    ],
)
def test_the_rules_hold_for_a_regression(initializer, expected):
    """Really trained: the goal is an R² there, and the constant predictor's loss the variance."""
    plan = make_plan(
        [initializer],
        activations=["relu"],
        hidden=[16, 16, 16],
        data="regression(rows=600, features=8, informative=4)",
        epochs=20,
        learning_rate=0.05,
        seeds=1,
        goal=0.8,
    )
    run = train(plan.tasks[0], plan.data, plan.training)
    assert run.constant_loss == pytest.approx(1)
    assert run.verdict == expected
    assert (run.final_score > 0.8) == (expected == "trains")
