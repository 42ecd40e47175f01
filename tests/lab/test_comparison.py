"""Small real comparisons: the verdicts that theory predicts, and what does not change them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import fastinit
from fastinit import get_num_threads, lab, set_num_threads
from fastinit.errors import ArgumentError, ArgumentTypeError, UnknownNameError
from fastinit.lab.data import load_data
from fastinit.lab.plan import DEFAULT_HIDDEN, DEFAULT_INITIALIZERS, make_plan
from fastinit.nn.optimizers import OPTIMIZERS

ZEROS, CONSTANT, SMALL, LARGE, _, GLOROT, HE = DEFAULT_INITIALIZERS


@pytest.fixture(scope="module")
def found():
    """Return the default networks of two activations, trained for a few epochs."""
    return lab.compare(
        [ZEROS, CONSTANT, SMALL, LARGE, GLOROT, HE],
        activations=["relu", "sigmoid"],
        epochs=16,
        seeds=2,
        jobs=1,
    )


def blobs(classes=3, rows=60, features=4):
    """Return classes that are easy to tell apart."""
    rng = np.random.default_rng(0)
    y = np.arange(rows) % classes
    return rng.normal(size=(rows, features)) + 4 * y[:, None], y


@pytest.fixture(scope="module")
def quick():
    """Return the arguments of a comparison that takes no time."""
    return {
        "data": blobs(),
        "activations": ["relu"],
        "hidden": [8],
        "epochs": 5,
        "batch_size": 4,
        "learning_rate": 0.1,
        "seeds": 2,
    }


@pytest.mark.parametrize(
    ("activation", "initializer", "expected"),
    [
        ("relu", ZEROS, "symmetric"),
        ("relu", CONSTANT, "symmetric"),
        ("relu", SMALL, "vanishing"),
        ("relu", LARGE, "diverged"),
        ("relu", GLOROT, "trains"),
        ("relu", HE, "trains"),
        ("sigmoid", ZEROS, "symmetric"),
        ("sigmoid", CONSTANT, "symmetric"),
        ("sigmoid", SMALL, "vanishing"),
    ],
)
def test_theory(found, activation, initializer, expected):
    assert found.verdicts[activation, DEFAULT_HIDDEN, initializer] == expected


def record(found, activation, initializer):
    return next(
        r for r in found.records if (r.activation, r.initializer) == (activation, initializer)
    )


def test_the_figures_behind_the_verdicts(found):
    assert record(found, "relu", ZEROS).distinct_units == 1
    assert record(found, "relu", CONSTANT).distinct_units == 1
    assert record(found, "relu", ZEROS).idle_start == 1.0
    assert math.isnan(record(found, "relu", ZEROS).gradient_ratio)  # 0/0
    assert record(found, "sigmoid", ZEROS).gradient_ratio == 0.0
    assert record(found, "sigmoid", SMALL).gradient_ratio < 1e-5
    # Equal factors shrink all gradients of a ReLU network alike: only the signal shows it.
    small = record(found, "relu", SMALL)
    assert small.gradient_ratio > 0.1
    assert small.signal_ratio < 1e-5
    # Each of the five layers multiplies by about sqrt(64 / 2).
    assert 5.66**4 < record(found, "relu", LARGE).signal_ratio < 5.66**6
    he = record(found, "relu", HE)
    assert he.distinct_units == 64
    assert he.test_score > 0.9
    assert 0 < he.epochs_to_goal <= 16


def test_large_weights_explode_under_adam_too():
    """Adam's steps do not grow with the gradient, so the loss stays finite and large."""
    found = lab.compare([LARGE], activations=["relu"], optimizer="adam", epochs=3, seeds=1, jobs=1)
    assert [r.verdict for r in found.records] == ["exploding"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_can_be_compared(quick, optimizer):
    found = lab.compare(["he_normal"], **quick | {"optimizer": optimizer}, jobs=1)
    assert found.records[0].verdict == "trains"


def test_networks_side_by_side_have_one_thread_each(monkeypatch):
    seen = []
    monkeypatch.setattr("fastinit.lab.sweep.train", lambda *_: seen.append(get_num_threads()))
    before = get_num_threads()
    set_num_threads(3)
    try:
        lab.sweep._work(0, None, load_data("digits"), None)
        assert (seen, get_num_threads()) == ([1], 3)
    finally:
        set_num_threads(before)


def test_tanh_trains_from_glorot():
    found = lab.compare([GLOROT], activations=["tanh"], epochs=5, seeds=1, jobs=1)
    assert [r.verdict for r in found.records] == ["trains"]


def test_jobs_do_not_change_the_results(quick):
    alone = lab.compare(["he_normal", "zeros"], **quick, jobs=1)
    together = lab.compare(["he_normal", "zeros"], **quick, jobs=2)
    assert alone.runs == together.runs
    assert alone.to_json() == together.to_json()


def test_seeds_do(quick):
    first, second = lab.compare(["he_normal"], **quick, jobs=1).runs
    assert first.train_loss != second.train_loss
    assert (first.seed, second.seed) == (0, 1)


def test_adding_an_initializer_leaves_the_others(quick):
    alone = lab.compare(["he_normal"], **quick, jobs=1)
    more = lab.compare(["zeros", "he_normal"], **quick, jobs=1)
    assert more.runs[-2:] == alone.runs


def test_several_architectures_and_labels(quick):
    found = lab.compare(
        ["he_normal", fastinit.get("normal(std=0.5)"), fastinit.get("zeros")],
        **quick | {"hidden": [[8], (4, 4)]},
        jobs=1,
    )
    assert list(found.verdicts) == [
        ("relu", hidden, name)
        for hidden in ((8,), (4, 4))
        for name in ("he_normal", "normal(std=0.5)", "zeros")
    ]
    assert [group.hidden for group in found.groups] == [(8,), (4, 4)]
    assert all(len(group.runs) == 6 for group in found.groups)


def test_an_activation_without_idle_units(quick):
    found = lab.compare(["he_normal"], **quick | {"activations": ["leaky_relu"]}, jobs=1)
    assert found.records[0].idle_end is None


def test_frame_has_the_columns_of_the_record(quick):
    frame = lab.compare(["he_normal", "zeros"], **quick, jobs=1).to_frame()
    assert list(frame.columns) == list(lab.Record.__dataclass_fields__)
    assert frame["hidden"].tolist() == ["8", "8"]
    assert frame["verdict"].tolist() == ["trains", "symmetric"]
    assert frame["epochs_to_goal"].isna().tolist() == [False, True]


def test_json_is_strict(found):
    def refuse(name):
        raise AssertionError(name)

    document = json.loads(found.to_json(), parse_constant=refuse)
    assert len(document["records"]) == 12
    assert len(document["runs"]) == 24
    assert any(run["train_loss"][-1] is None for run in document["runs"])  # the diverged ones


def test_a_broken_run_ends_early(found):
    runs = [r for r in found.runs if r.verdict == "diverged"]
    assert runs
    assert all(len(run.train_loss) < 13 for run in runs)


BAD = [
    ({"initializers": ["he_norml"]}, UnknownNameError, "did you mean 'he_normal'"),
    ({"initializers": []}, ArgumentError, "initializers must not be empty"),
    ({"initializers": "zeros"}, ArgumentTypeError, "initializers must be a sequence, got 'zeros'"),
    ({"activations": ["rellu"]}, UnknownNameError, "did you mean 'relu'"),
    ({"optimizer": "lbfgs"}, UnknownNameError, "Known: adagrad, adam, adamw, rmsprop, sgd"),
    ({"hidden": [0]}, ArgumentError, "hidden must be at least 1, got 0"),
    ({"hidden": []}, ArgumentTypeError, "hidden must be numbers of units"),
    ({"hidden": [[]]}, ArgumentError, "at least one layer"),
    ({"hidden": [8, [8]]}, ArgumentTypeError, "hidden must be"),
    ({"hidden": [1.5]}, ArgumentTypeError, "whole number, got 1.5"),
    ({"hidden": 8}, ArgumentTypeError, "hidden must be numbers of units"),
    ({"epochs": -1}, ArgumentError, "epochs must be at least 1, got -1"),
    ({"epochs": True}, ArgumentTypeError, "whole number, got True"),
    ({"batch_size": 0}, ArgumentError, "batch_size must be at least 1"),
    ({"seeds": 0}, ArgumentError, "seeds must be at least 1"),
    ({"learning_rate": -0.1}, ArgumentError, "learning_rate must be above 0"),
    ({"learning_rate": math.nan}, ArgumentError, "got nan"),
    ({"learning_rate": math.inf}, ArgumentError, "got inf"),
    ({"learning_rate": "fast"}, ArgumentTypeError, "must be a number, got 'fast'"),
    ({"goal": 1.0}, ArgumentError, "below 1, got 1.0"),
    ({"goal": 0.2}, ArgumentError, "commonest class of arrays has the test accuracy 0.333"),
]


@pytest.mark.parametrize(("changes", "error", "message"), BAD)
def test_bad_arguments(monkeypatch, changes, error, message):
    monkeypatch.setattr("fastinit.lab.sweep.train", None)  # nothing is computed
    arguments = {"data": blobs(), "jobs": 1} | changes
    with pytest.raises(error, match=message):
        lab.compare(**arguments)


def test_bad_jobs():
    with pytest.raises(ArgumentError, match="jobs must be at least 1, got 0"):
        lab.compare(["zeros"], data=blobs(), jobs=0)


def test_an_interrupt_keeps_what_was_found(monkeypatch, quick):
    real = lab.sweep.train

    def interrupted(task, data, training):
        if task.initializer == "zeros":
            raise KeyboardInterrupt
        return real(task, data, training)

    monkeypatch.setattr("fastinit.lab.sweep.train", interrupted)
    with pytest.raises(lab.Interrupted, match="interrupted after 2 of 4 runs") as caught:
        lab.compare(["he_normal", "zeros"], **quick, jobs=1)
    assert [r.initializer for r in caught.value.comparison.records] == ["he_normal"]


def test_runs_are_sorted_as_planned(quick):
    found = lab.compare(["he_normal", "zeros"], **quick, jobs=1)
    shuffled = lab.Comparison(found.plan, found.runs[::-1])
    assert shuffled.runs == found.runs


def test_plan_has_every_combination():
    plan = make_plan(
        ["zeros", "ones"],
        activations=["relu", "tanh"],
        hidden=[[8], [4, 4]],
        data=blobs(),
        target=None,
        epochs=1,
        batch_size=8,
        optimizer="adam",
        learning_rate=None,
        seeds=3,
        goal=0.9,
    )
    assert len(set(plan.tasks)) == len(plan.tasks) == 2 * 2 * 2 * 3
    assert {task.learning_rate for task in plan.tasks} == {0.001}


def test_a_rate_at_the_end_of_those_tried_is_named_where_something_learned(quick):
    options = quick | {"learning_rate": [0.001, 0.1], "tune": True, "seeds": 1}
    assert [name for _, name in lab.compare([HE], **options).at_edge] == [HE]
    hopeless = options | {"hidden": [8] * 6}  # any rate is as good as any other
    assert lab.compare(["normal(std=1e-06)"], **hopeless).at_edge == []
