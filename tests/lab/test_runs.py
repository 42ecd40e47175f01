"""One training: what is built, what is measured, and that figures mean what they say."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import fastinit
from fastinit import get_num_threads, nn, set_num_threads
from fastinit.lab import figures, runs
from fastinit.lab.data import from_arrays
from fastinit.lab.runs import Network, Task, Training, train

TRAINING = Training(epochs=3, batch_size=16, goal=0.9)


@pytest.fixture(scope="module")
def classes():
    """Return three classes that are easy to tell apart."""
    rng = np.random.default_rng(0)
    y = np.arange(300) % 3
    return from_arrays("blobs", rng.normal(size=(300, 5)) + 3 * y[:, None], y)


@pytest.fixture(scope="module")
def line():
    """Return a regression of two targets, one of which is noise."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 4))
    y = np.stack([x.sum(axis=1), rng.normal(size=400)], axis=1)
    return from_arrays("line", x, y, task="regression")


def task(initializer="he_normal", **changes):
    options = {"activation": "relu", "hidden": (12, 8), "seed": 0, "learning_rate": 0.1}
    drawn = fastinit.get(initializer)
    return Task(**options | changes, initializer=initializer, kernel_initializer=drawn)


def test_known_answers_of_a_classification(classes):
    """Against a network built and trained by hand."""
    run = train(task(), classes, TRAINING)
    names = ("dense_0", "dense_1", "dense_2")
    network = nn.Sequential(
        [
            nn.Dense(units, activation, "he_normal", name=name)
            for units, activation, name in zip(
                (12, 8, 3), ("relu", "relu", "linear"), names, strict=True
            )
        ],
        seed=0,
    )
    network.compile(optimizer=nn.SGD(learning_rate=0.1))
    network.build(5)
    probes = classes.x_train  # fewer rows than a probe takes
    first = network.gradients(probes, classes.y_train)
    spread = [figures.spread(out) for _, out in network.forward(probes)]
    network.fit(classes.x_train, classes.y_train, epochs=3, batch_size=16, verbose=0)
    last = network.evaluate(classes.x_test, classes.y_test)
    assert run.final_loss == network.evaluate(classes.x_train, classes.y_train)["loss"]
    assert run.final_score == last["accuracy"] > 0.9
    assert len(run.train_loss) == len(run.test_score) == 4
    assert run.activation_spread[1:] == pytest.approx(spread, rel=1e-6)
    sizes = [figures.root_mean_square(layer["kernel"]) for layer in first]
    assert run.gradient_size == pytest.approx(sizes, rel=1e-6)
    after = [figures.spread(out) for _, out in network.forward(probes)]
    assert run.activation_spread_end[1:] == pytest.approx(after, rel=1e-6)
    after = network.gradients(probes, classes.y_train)
    sizes = [figures.root_mean_square(layer["kernel"]) for layer in after]
    assert run.gradient_size_end == pytest.approx(sizes, rel=1e-6)


def test_the_score_of_a_regression_is_r_squared(line):
    """One target of two is a line, the other noise: half of the variance can be explained."""
    run = train(task(learning_rate=0.05), line, Training(epochs=30, batch_size=16, goal=0.3))
    assert run.constant_loss == pytest.approx(1.0)
    assert 0.3 < run.final_score < 0.6
    assert run.verdict == "trains"
    model, _ = runs._network(task(), line)
    wrong = model.predict(line.x_test) - line.y_test
    variance = np.square(line.y_test - line.y_test.mean(axis=0)).mean()
    r_squared = 1 - np.square(wrong).mean() / variance
    assert run.test_score[0] == pytest.approx(r_squared, rel=1e-4)


def test_a_regression_that_diverges_ends(line):
    run = train(task("normal(std=1e10)", learning_rate=10.0), line, TRAINING)
    assert run.verdict == "diverged"
    assert not math.isfinite(run.final_loss)


@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_normalization_stands_before_the_activation(classes, normalization):
    model, ends = runs._network(task(normalization=normalization), classes)
    kinds = [layer.kind for layer in model.layers]
    norm = {"batch": nn.BatchNorm, "layer": nn.LayerNorm}[normalization].kind
    assert kinds == ["dense", norm, "activation"] * 2 + ["dense"]
    assert [model.layers[i].kind for i in ends] == ["activation", "activation", "dense"]


def test_normalization_undoes_what_is_too_small(classes):
    """The spread is taken with the statistics of the batch, as in a step of training."""
    plain = train(task("normal(std=0.05)"), classes, TRAINING)
    normal = train(task("normal(std=0.05)", normalization="batch"), classes, TRAINING)
    assert plain.signal_ratio < 0.05
    assert 0.3 < normal.signal_ratio < 1
    assert normal.verdict == "trains"


def test_normalization_and_dropout_do_not_change_what_is_drawn(classes):
    plain, *others = (
        runs._network(task(**changes), classes)[0]
        for changes in ({}, {"normalization": "batch"}, {"dropout": 0.5})
    )
    for other in others:
        kernels = [layer.kernel for layer in other.layers if isinstance(layer, nn.Dense)]
        for layer, kernel in zip(plain.layers, kernels, strict=True):
            assert np.array_equal(layer.kernel, kernel)


def test_dropout_drops_in_training_and_not_where_it_is_looked_at(classes):
    plain, dropped = (train(task(dropout=share), classes, TRAINING) for share in (0.0, 0.5))
    assert dropped.activation_spread == plain.activation_spread
    assert dropped.gradient_size == plain.gradient_size
    assert dropped.train_loss[0] == plain.train_loss[0]
    assert dropped.train_loss[1] != plain.train_loss[1]
    model, _ = runs._network(task(dropout=0.5), classes)
    runs._probe(model, [0], classes.x_train, classes.y_train)
    assert {layer.rate for layer in model.layers if layer.kind == "dropout"} == {0.5}


def test_threads_do_not_change_the_run(classes):
    wide = task(hidden=(256, 256), normalization="batch", dropout=0.2)
    before = get_num_threads()
    try:
        found = [set_num_threads(count) or train(wide, classes, TRAINING) for count in (1, 3)]
    finally:
        set_num_threads(before)
    assert found[0] == found[1]


def test_what_a_run_is_known_by():
    given, chosen = task(), task(rate="chosen")
    assert given.network == Network("relu", (12, 8), "none", 0.0, "sgd", 0.1)
    assert chosen.network == given.network._replace(learning_rate=None)
    assert given.case == (given.network, "he_normal")
    names = ("seed", "learning_rate", "rate", "dropout", "normalization", "optimizer")
    others = [task(**{name: "other"}) for name in names]
    assert len({other.identity for other in (given, *others)}) == len(names) + 1


def test_the_goal_is_reached_by_training_not_by_luck_before_it(classes):
    run = train(task(), classes, TRAINING)
    assert replace(run, test_score=(0.95, 0.5, 0.92)).epochs_to_goal == 2
    assert replace(run, test_score=(0.95, 0.5, 0.6)).epochs_to_goal is None
