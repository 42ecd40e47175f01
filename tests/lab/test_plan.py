"""What is run: every combination in the stated order, checked first, and the best rates."""

from __future__ import annotations

import math
import pickle
import sys
import textwrap
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError, UnknownNameError
from fastinit.lab.data import from_arrays
from fastinit.lab.plan import TUNING_FACTORS, TUNING_SEEDS, Tasks, make_plan
from fastinit.lab.runs import Network, Run


def blobs(classes=3, rows=60, features=4):
    rng = np.random.default_rng(0)
    y = np.arange(rows) % classes
    return rng.normal(size=(rows, features)) + 4 * y[:, None], y


@pytest.fixture(scope="module")
def data():
    return from_arrays("blobs", *blobs())


@pytest.fixture
def small(data):
    """Return the arguments of a plan of two tasks."""
    return {
        "initializers": ["zeros", "he_normal"],
        "activations": ["relu"],
        "hidden": [8],
        "data": data,
        "seeds": 1,
    }


# Order


def test_every_combination_in_the_stated_order(data):
    axes = {
        "hidden": [(4,), (4, 4)],
        "activations": ["relu", "tanh"],
        "normalization": ["none", "batch", "layer"],
        "dropout": [0.0, 0.25],
        "optimizer": ["sgd", "adam"],
        "learning_rate": [0.1, 0.01],
        "initializers": ["zeros", "he_normal"],
        "seeds": [7, 3],
    }
    tasks = make_plan(**axes, data=data).tasks
    expected = list(product(*axes.values()))
    assert len(tasks) == len(expected) == 2 * 2 * 3 * 2 * 2 * 2 * 2 * 2
    found = [
        (
            task.hidden,
            task.activation,
            task.normalization,
            task.dropout,
            task.optimizer,
            task.learning_rate,
            task.initializer,
            task.seed,
        )
        for task in tasks
    ]
    assert found == expected
    assert all(t.kernel_initializer == fastinit.get(t.initializer) for t in tasks[:4])
    assert {task.rate for task in tasks} == {"given"}


def test_tasks_are_a_sequence(small):
    tasks = make_plan(**small | {"seeds": 5}).tasks
    listed = list(tasks)
    assert [tasks[i] for i in range(len(tasks))] == listed
    assert tasks[-1] == listed[-1]
    assert tasks[2:9:3] == tuple(listed[2:9:3])
    assert tasks[np.int64(3)] == listed[3]
    assert list(reversed(tasks)) == listed[::-1]
    assert listed[4] in tasks
    assert tasks.index(listed[4]) == 4
    with pytest.raises(IndexError, match="task 10 of 10"):
        tasks[10]
    assert pickle.loads(pickle.dumps(tasks)) == tasks


def test_a_million_tasks_are_made_when_asked_for(small, monkeypatch):
    made = []
    real = Tasks._task
    monkeypatch.setattr(Tasks, "_task", lambda self, i: made.append(i) or real(self, i))
    plan = make_plan(**small | {"seeds": 10**6, "activations": ["relu", "tanh"]})
    assert len(plan.tasks) == 4 * 10**6
    assert (plan.tasks[-1].activation, plan.tasks[-1].seed) == ("tanh", 10**6 - 1)
    assert len(made) <= 2
    assert sys.getsizeof(pickle.dumps(plan.tasks)) < 10_000


def test_depths_and_widths_make_the_hidden_layers(small):
    del small["hidden"]
    plan = make_plan(**small, depths=[1, 3], widths=[8, 16])
    assert plan.axes.hidden == ((8,), (16,), (8, 8, 8), (16, 16, 16))
    assert make_plan(**small, depths=2).axes.hidden == ((64, 64),)
    assert make_plan(**small, widths=8).axes.hidden == ((8,) * 5,)
    assert make_plan(**small).axes.hidden == ((64,) * 5,)


def test_each_optimizer_has_its_own_default_rate(small):
    plan = make_plan(**small, optimizer=["sgd", "adam"])
    assert plan.axes.rates == (("sgd", 0.01), ("adam", 0.001))


def test_one_value_or_several(small):
    one = make_plan(**small, optimizer="adam", dropout=0.5, normalization="layer")
    several = make_plan(**small, optimizer=["adam"], dropout=(0.5,), normalization=["layer"])
    assert one.axes == several.axes


# Mistakes

BAD = [
    ({"initializers": ["zeros", "ones", "zeros"]}, ArgumentError, "initializers has 'zeros' twice"),
    (
        {"initializers": ["he_normal", "kaiming_normal"]},
        ArgumentError,
        "'kaiming_normal' is the same as 'he_normal'",
    ),
    ({"activations": ["relu", "relu"]}, ArgumentError, "activations has 'relu' twice"),
    ({"activations": "relu"}, ArgumentTypeError, "activations must be a sequence, got 'relu'"),
    ({"hidden": [[8], (8,)]}, ArgumentError, r"hidden has \(8,\) twice"),
    ({"depths": 2}, ArgumentError, "give either hidden, or depths and widths"),
    ({"hidden": None, "depths": [2, 2]}, ArgumentError, "depths has 2 twice"),
    ({"hidden": None, "widths": 0}, ArgumentError, "widths must be at least 1, got 0"),
    ({"hidden": None, "depths": []}, ArgumentError, "depths must not be empty"),
    ({"normalization": "group"}, UnknownNameError, "unknown normalization 'group'"),
    ({"normalization": None}, UnknownNameError, "Known: batch, layer, none"),
    ({"normalization": "batch", "batch_size": 1}, ArgumentError, "batches of 2 rows or more"),
    ({"dropout": 1.0}, ArgumentError, "dropout must be at least 0 and below 1, got 1.0"),
    ({"dropout": [0.5, -0.1]}, ArgumentError, "dropout must be at least 0"),
    ({"dropout": [0, False]}, ArgumentTypeError, "dropout must be a number, got False"),
    ({"dropout": [0, 0.0]}, ArgumentError, "dropout has 0.0 twice"),
    ({"optimizer": ["sgd", "adm"]}, UnknownNameError, "did you mean 'adam'"),
    ({"optimizer": []}, ArgumentError, "optimizer must not be empty"),
    ({"learning_rate": [0.1, math.nan]}, ArgumentError, "learning_rate must be above 0"),
    ({"learning_rate": [0.1, 0.1]}, ArgumentError, "learning_rate has 0.1 twice"),
    ({"learning_rate": 0.1, "tune": True}, ArgumentError, "give several or none, got 0.1"),
    ({"seeds": [1, 1]}, ArgumentError, "seeds has 1 twice"),
    ({"seeds": []}, ArgumentError, "seeds must not be empty"),
    ({"seeds": range(0)}, ArgumentError, "seeds must not be empty"),
    ({"seeds": [0, -1]}, ArgumentError, "seeds must be at least 0, got -1"),
    ({"seeds": range(-2, 2)}, ArgumentError, "seeds must be from 0 to 2147483647, got -2"),
    ({"seeds": [TUNING_SEEDS[0]]}, ArgumentError, "seeds must be from 0 to 2147483647"),
    ({"seeds": "3"}, ArgumentTypeError, "seeds must be a whole number, got '3'"),
    ({"seeds": [0.5]}, ArgumentTypeError, "seeds must be a whole number, got 0.5"),
    ({"task": "ranking", "data": (1, 2)}, ArgumentError, "task must be 'classification' or"),
    ({"task": "regression"}, ArgumentError, "task is 'regression', and the Dataset is a classif"),
]


@pytest.mark.parametrize(("changes", "error", "message"), BAD)
def test_mistakes(small, changes, error, message):
    with pytest.raises(error, match=message):
        make_plan(**small | changes)


def test_the_goal_of_a_regression_lies_above_the_mean(small):
    plan = make_plan(**small | {"data": "friedman(rows=100)", "goal": 0.01})
    assert plan.data.constant_score < plan.training.goal


# A user's own initializer


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "neighbour_of_own.py").write_text("SIZE = 1.0")
    path = tmp_path / "own.py"
    path.write_text(
        textwrap.dedent(
            """
            import numpy as np
            import fastinit
            from neighbour_of_own import SIZE

            def checkered(shape, *, seed, dtype):
                return (SIZE * (np.indices(shape).sum(axis=0) % 2)).astype(dtype)

            ready = fastinit.get("normal(std=0.5)")

            def wrong(shape, *, seed, dtype):
                return np.zeros(3)

            def endless(shape, *, seed, dtype):
                return np.full(shape, np.inf)

            def without_seed(shape):
                return np.zeros(shape)

            number = 3
            """
        )
    )
    return str(path)


def test_an_initializer_from_a_file(small, own, tmp_path, monkeypatch):
    plan = make_plan(**small | {"initializers": [f"{own}:checkered", f"{own}:ready", "zeros"]})
    first, second, _ = plan.tasks
    assert first.initializer == f"{own}:checkered"
    drawn = first.kernel_initializer((2, 2), seed=0)
    assert drawn.tolist() == [[0.0, 1.0], [1.0, 0.0]]
    assert second.kernel_initializer == fastinit.get("normal(std=0.5)")
    monkeypatch.chdir(tmp_path)
    [task] = make_plan(**small | {"initializers": ["own:checkered"]}).tasks
    assert task.initializer == "own:checkered"


def test_an_initializer_from_a_file_reaches_other_processes(small, own):
    """Workers import nothing of the file: cloudpickle sends what lies in it."""
    import subprocess

    import cloudpickle

    [task] = make_plan(**small | {"initializers": [f"{own}:checkered"]}).tasks
    code = (
        "import sys, cloudpickle\n"
        "task = cloudpickle.loads(sys.stdin.buffer.read())\n"
        "print(task.kernel_initializer((1, 4), seed=0).tolist())\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], input=cloudpickle.dumps(task), capture_output=True, check=True
    )
    assert result.stdout.decode().strip() == "[[0.0, 1.0, 0.0, 1.0]]"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "there is no 'nothing' in"),
        ("number", "an initializer is a name, an Initializer or a function, got 3"),
        ("wrong", r"wrong' failed on the shape \(4, 8\): ArgumentError: .*returned shape \(3,\)"),
        ("endless", "endless' gave numbers that are not finite"),
        ("without_seed", r"failed on the shape \(4, 8\): TypeError: .*unexpected keyword"),
    ],
)
def test_a_faulty_initializer_is_found_before_the_runs(small, own, name, message):
    with pytest.raises((ArgumentError, ArgumentTypeError), match=message):
        make_plan(**small | {"initializers": [f"{own}:{name}"]})


def test_a_function_as_an_initializer(small):
    def halves(shape, *, seed, dtype):
        return np.full(shape, 0.5, dtype)

    [task] = make_plan(**small | {"initializers": [halves]}).tasks
    assert task.initializer.endswith("halves")
    assert task.kernel_initializer((1, 1)).item() == 0.5


# Tuning


def run_of(task, score, loss=0.5, constant_loss=1.0):
    """Return a run that ended so."""
    return Run(
        activation=task.activation,
        hidden=task.hidden,
        initializer=task.initializer,
        seed=task.seed,
        goal=0.9,
        constant_loss=constant_loss,
        train_loss=(1.0, loss),
        test_score=(0.1, score),
        activation_spread=(1.0, 1.0, 1.0),
        gradient_size=(1.0, 1.0),
        idle_start=None,
        idle_end=None,
        distinct_units=((8, 8),),
        optimizer=task.optimizer,
        learning_rate=task.learning_rate,
        normalization=task.normalization,
        dropout=task.dropout,
        rate=task.rate,
    )


def chosen(plan, outcome):
    """Return initializer -> chosen rate, where ``outcome(task) -> (score, loss)``."""
    runs = [run_of(task, *outcome(task)) for task in plan.tuning().tasks]
    tuned = plan.tuned(runs)
    assert tuned == plan.tuned(runs[::-1])  # whatever the order
    return {task.initializer: task.learning_rate for task in tuned.tasks}


def test_the_tuning_stage(small):
    plan = make_plan(**small | {"seeds": 3}, optimizer=["sgd", "adam"], tune=True)
    assert plan.tune
    assert len(plan.tasks) == 2 * 2 * 3  # known before the rates are
    with pytest.raises(ArgumentError, match="not chosen yet"):
        plan.tasks[0]
    stage = plan.tuning()
    assert not stage.tune
    assert len(stage.tasks) == 2 * 2 * len(TUNING_FACTORS) * len(TUNING_SEEDS)
    assert {task.rate for task in stage.tasks} == {"tried"}
    assert {task.seed for task in stage.tasks} == set(TUNING_SEEDS)
    rates = {task.learning_rate for task in stage.tasks if task.optimizer == "adam"}
    assert sorted(rates) == [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1]


def test_tuning_does_not_see_the_test_rows(small):
    plan = make_plan(**small, tune=True)
    seen = plan.tuning().data
    train = {row.tobytes() for row in plan.data.x_train}
    assert {row.tobytes() for row in (*seen.x_train, *seen.x_test)} == train
    assert not train & {row.tobytes() for row in plan.data.x_test}
    held = {row.tobytes() for row in seen.x_test}
    assert not held & {row.tobytes() for row in seen.x_train}


def test_each_initializer_gets_its_own_best_rate(small):
    plan = make_plan(**small, learning_rate=[0.1, 0.001, 0.01], tune=True)
    assert plan.candidates == {"sgd": (0.001, 0.01, 0.1)}
    best = {"zeros": 0.01, "he_normal": 0.1}
    found = chosen(plan, lambda t: (0.9 if t.learning_rate == best[t.initializer] else 0.5, 0.5))
    assert found == best


def test_rates_are_chosen_by_the_mean_of_the_seeds_then_the_loss_then_the_smaller(small):
    plan = make_plan(**small, learning_rate=[0.01, 0.1], tune=True)

    def mean(task):  # 0.1 is best on one seed, 0.01 on average
        if task.learning_rate == 0.01:
            return 0.7, 0.5
        return (0.9 if task.seed == TUNING_SEEDS[0] else 0.3), 0.1

    assert set(chosen(plan, mean).values()) == {0.01}
    assert set(chosen(plan, lambda t: (0.5, 1 - t.learning_rate)).values()) == {0.1}
    assert set(chosen(plan, lambda t: (0.5, 0.5)).values()) == {0.01}


def test_a_rate_that_diverges_loses(small):
    plan = make_plan(**small, learning_rate=[0.01, 0.1], tune=True)

    def one_seed(task):
        bad = task.learning_rate == 0.1 and task.seed == TUNING_SEEDS[1]
        return (0.9, math.nan if bad else 0.1) if task.learning_rate == 0.1 else (0.2, 0.9)

    assert set(chosen(plan, one_seed).values()) == {0.01}
    assert set(chosen(plan, lambda t: (math.nan, math.nan)).values()) == {0.01}  # all of them


@pytest.mark.parametrize(
    ("scores", "diverged", "rate"),
    [
        ((0.80, 0.90, 0.92, 0.1), {1.0}, 0.1),  # 0.3 is the last one that holds
        ((0.80, 0.86, 0.92, 0.1), {1.0}, 0.3),  # but that much better
        ((0.80, 0.90, 0.92, 0.1), set(), 0.3),
        ((0.80, 0.90, 0.92, 0.1), {0.1, 1.0}, 0.3),
        ((0.88, 0.90, 0.91, 0.92), {0.3, 1.0}, 0.03),
        ((0.80, 0.90, 0.91, 0.92), set(), 1.0),
        ((0.95, 0.90, 0.91, 0.92), {0.1}, 0.03),
    ],
)
def test_a_rate_beside_one_that_diverges_gives_way_to_a_smaller(small, scores, diverged, rate):
    plan = make_plan(**small, learning_rate=[0.03, 0.1, 0.3, 1.0], tune=True)
    score = dict(zip(plan.candidates["sgd"], scores, strict=True))

    def outcome(task):
        bad = task.learning_rate in diverged and task.seed == TUNING_SEEDS[1]
        return score[task.learning_rate], math.nan if bad else 0.1

    assert set(chosen(plan, outcome).values()) == {rate}


def test_the_final_runs_use_the_chosen_rates(small):
    plan = make_plan(**small | {"seeds": 3}, learning_rate=[0.01, 0.1], tune=True)
    stage = plan.tuning()
    tuned = plan.tuned(run_of(task, task.learning_rate) for task in stage.tasks)
    assert not tuned.tune
    assert len(tuned.tasks) == len(plan.tasks)
    assert [task.seed for task in tuned.tasks[:3]] == [0, 1, 2]
    assert {task.rate for task in tuned.tasks} == {"chosen"}
    assert {task.learning_rate for task in tuned.tasks} == {0.1}
    assert tuned.tasks[0].network == Network("relu", (8,), optimizer="sgd")
    assert pickle.loads(pickle.dumps(tuned)).tasks == tuned.tasks


def test_missing_tuning_runs(small):
    plan = make_plan(**small, learning_rate=[0.01, 0.1], tune=True)
    runs = [run_of(task, 0.5) for task in plan.tuning().tasks]
    with pytest.raises(ArgumentError, match="tuning has 12 runs, got 11"):
        plan.tuned(runs[1:])
    assert not replace(plan, candidates={}).tune


def test_tuning_makes_a_comparison_fair():
    """Really trained: at one rate for both the small weights lose, at its own each learns."""
    from fastinit.lab.runs import train

    plan = make_plan(
        ["glorot_uniform", "normal(std=2)"],
        activations=["tanh"],
        hidden=[16],
        data="moons(rows=240)",
        epochs=6,
        batch_size=16,
        learning_rate=[1e-4, 0.03, 0.5],
        tune=True,
        seeds=1,
        goal=0.8,
    )
    stage = plan.tuning()
    tuned = plan.tuned([train(task, stage.data, stage.training) for task in stage.tasks])
    assert 1e-4 not in {task.learning_rate for task in tuned.tasks}
    scores = [train(task, tuned.data, tuned.training).final_score for task in tuned.tasks]
    worst = replace(tuned.tasks[0], learning_rate=1e-4)
    assert min(scores) > train(worst, tuned.data, tuned.training).final_score
