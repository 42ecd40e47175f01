"""Looking into `fastinit.nn` networks, against the same written out by hand in NumPy."""

from __future__ import annotations

import dataclasses
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastinit
from fastinit import nn
from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.lab.observation import HISTOGRAMS
from fastinit.lab.subjects import direction, selected, subject_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 5))
LABELS = RNG.integers(0, 3, 30)


def small(activation="relu", **options):
    layers = [nn.Dense(7, activation, **options), nn.Dense(4, "tanh"), nn.Dense(3)]
    network = nn.Sequential(layers, seed=1, dtype=np.float64)
    network.build(5)
    return network


def by_hand(network, x, labels):
    """Return outputs, their gradients and the kernels' of relu, tanh, linear, cross-entropy."""
    (w1, b1, w2, b2, w3, b3) = network.get_weights()
    h1 = np.maximum(x @ w1 + b1, 0)
    h2 = np.tanh(h1 @ w2 + b2)
    z = h2 @ w3 + b3
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(len(x)), labels]).mean()
    g3 = (p - np.eye(3)[labels]) / len(x)
    g2 = g3 @ w3.T
    z2 = g2 * (1 - h2**2)
    g1 = z2 @ w2.T
    z1 = g1 * (h1 > 0)
    return loss, [h1, h2, z], [g1, g2, g3], [x.T @ z1, h1.T @ z2, h2.T @ g3]


def rms(values):
    return math.sqrt(np.mean(np.square(values)))


def test_every_figure_of_a_small_network_by_hand():
    network = small()
    found = subject_of(network).observe(X, LABELS, learning_rate=0.1)
    loss, outputs, gradients, kernels = by_hand(network, X, LABELS)
    assert found.loss == pytest.approx(loss)
    assert found.examples == 30
    assert found.input_std == pytest.approx(X.std())
    assert [layer.name for layer in found.layers] == ["dense_0", "dense_1", "dense_2"]
    assert [layer.activation for layer in found.layers] == ["relu", "tanh", None]
    for layer, part, out, gradient, kernel_gradient in zip(
        found.layers, network.layers, outputs, gradients, kernels, strict=True
    ):
        kernel = part.kernel
        assert layer.kind == "Dense"
        assert (layer.fan_in, layer.fan_out) == kernel.shape
        assert layer.units == layer.features == layer.distinct_units == kernel.shape[1]
        assert layer.mean == pytest.approx(out.mean())
        assert layer.std == pytest.approx(out.std())
        assert layer.spread == pytest.approx(rms(out - out.mean(axis=0)))
        assert layer.zeros == pytest.approx((out == 0).mean())
        assert layer.gradient == pytest.approx(rms(gradient) * 30)
        assert layer.weight_std == pytest.approx(kernel.std())
        assert layer.weight_gradient == pytest.approx(rms(kernel_gradient))
        assert layer.update_ratio == pytest.approx(0.1 * rms(kernel_gradient) / rms(kernel))
        assert layer.bias_mean == 0.0
        unit = out / np.sqrt(np.square(out).sum(axis=1, keepdims=True))
        cosines = unit @ unit.T
        assert layer.correlation == pytest.approx(cosines[~np.eye(30, dtype=bool)].mean())
        shares = np.linalg.svd(out - out.mean(axis=0), compute_uv=False) ** 2
        shares = shares[shares > 1e-12 * shares.sum()] / shares.sum()
        assert layer.effective_rank == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
    first, second, last = found.layers
    assert first.dead == (outputs[0] == 0).all(axis=0).mean()
    assert second.saturated == ((np.abs(outputs[1]) > 0.98).mean(axis=0) > 0.5).mean()
    assert first.saturated is second.dead is last.dead is None
    assert first.expected_std == pytest.approx(math.sqrt(2 / 5))
    assert second.expected_std == pytest.approx(math.sqrt(2 / (7 + 4)))


def test_the_gradient_by_an_output_is_a_difference_quotient():
    """Adding to a bias behind a linear layer is adding to its output, for all examples at once."""
    network = nn.Sequential([nn.Dense(4), nn.Dense(3)], seed=0, dtype=np.float64)
    network.build(5)
    subject, layer = subject_of(network), network.layers[0]
    one = subject.observe(X[:1], LABELS[:1]).layers[0].gradient
    slopes = []
    for unit in range(4):
        losses = []
        for step in (1e-5, -1e-5):
            layer.bias[unit] += step
            losses.append(subject.observe(X[:1], LABELS[:1]).loss)
            layer.bias[unit] -= step
        slopes.append((losses[0] - losses[1]) / 2e-5)
    assert one == pytest.approx(rms(slopes), rel=1e-6)


def test_without_targets_the_gradient_is_of_a_fixed_direction():
    network = small()
    found = subject_of(network).observe(X)
    assert found.loss is None
    last = found.layers[-1]
    assert last.gradient == pytest.approx(rms(direction((30, 3))))
    assert found == subject_of(network).observe(X)


def state(network):
    memory = network.memory
    arrays = (memory.parameters, memory.gradients, memory.state)
    return [array.copy() for array in arrays], network.steps, network.epochs, network.loss


def test_a_look_changes_nothing():
    layers = [nn.Dense(6, "relu"), nn.BatchNorm(), nn.Dropout(0.5), nn.LayerNorm(), nn.Dense(3)]
    network = nn.Sequential(layers, seed=0)
    network.compile()
    network.fit(X, LABELS, epochs=1, verbose=0)
    before = state(network)
    subject_of(network).observe(X, LABELS)
    subject_of(network).observe(X)
    with pytest.raises(ArgumentError):
        subject_of(network).observe(X, LABELS + 5)
    for one, other in zip(before[0], state(network)[0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert before[1:] == state(network)[1:]


def test_activations_are_folded_and_dropout_is_off():
    layers = [nn.Dense(6), nn.BatchNorm(), nn.Activation("tanh"), nn.Dropout(0.9), nn.Dense(3)]
    network = nn.Sequential(layers, seed=0)
    network.build(5)
    found = subject_of(network).observe(X, LABELS).layers
    assert [(one.name, one.kind, one.activation) for one in found] == [
        ("dense_0", "Dense", None),
        ("batch_norm_1", "BatchNorm", "tanh"),
        ("dense_4", "Dense", None),
    ]
    assert found[1].zeros == 0.0
    assert found[1].saturated == 0.0
    kernels = {one.name: one for one in subject_of(network).kernels()}
    assert kernels["dense_0.kernel"].activation == "tanh"  # behind the normalization
    assert kernels["dense_0.kernel"].role == "kernel"
    assert kernels["dense_4.kernel"].role == "output"
    assert kernels["batch_norm_1.gamma"].role == "scale"
    awake = nn.Sequential([nn.Dense(6), nn.Dense(3, name="dense_4")], seed=0)
    asleep = nn.Sequential([nn.Dense(6), nn.Dropout(0.9), nn.Dense(3, name="dense_4")], seed=0)
    one, other = (subject_of(network).observe(X, LABELS) for network in (awake, asleep))
    assert one == other
    alone = nn.Sequential([nn.Dense(6), nn.Activation("relu"), nn.Dense(3)], seed=0)
    own = nn.Sequential([nn.Dense(6, "relu"), nn.Dense(3, name="dense_2")], seed=0)
    one, other = (subject_of(network).observe(X, LABELS) for network in (alone, own))
    assert one == other


def test_dead_saturated_and_symmetric_layers_are_seen():
    dead = small(bias_initializer="constant(-50)")
    found = subject_of(dead).observe(X, LABELS).layers[0]
    assert found.dead == found.zeros == 1.0
    assert found.gradient == pytest.approx(0.0, abs=1.0)
    assert found.weight_gradient == 0.0
    assert found.effective_rank == 0.0
    assert found.correlation is None
    full = subject_of(small("sigmoid", kernel_initializer="normal(std=100)")).observe(X, LABELS)
    assert full.layers[0].saturated > 0.9
    same = subject_of(small(kernel_initializer="constant(0.1)")).observe(X, LABELS)
    assert same.layers[0].distinct_units == 1


def test_an_exploding_network_is_a_result():
    layers = [nn.Dense(8, "relu", kernel_initializer="normal(std=1e9)") for _ in range(9)]
    network = nn.Sequential([*layers, nn.Dense(3)], seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = subject_of(network).observe(X, LABELS)
    assert not math.isfinite(found.layers[-1].std)
    assert math.isfinite(found.layers[0].std)


@pytest.mark.parametrize("cell", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("sequences", [True, False])
def test_the_gradient_through_time_is_a_difference_quotient(cell, sequences):
    """Of the last step's output in the fixed direction, by the input of the first and last step."""
    steps, features = 6, 2
    network = nn.Sequential([cell(3, return_sequences=sequences)], seed=0, dtype=np.float64)
    network.build((steps, features))
    x = np.random.default_rng(3).normal(size=(1, steps, features))
    [found] = subject_of(network).observe(x).layers
    assert found.steps == steps
    way = direction((1, 3)).astype(np.float64)

    def size(step):
        slopes = []
        for feature in range(features):
            ends = []
            for by in (1e-5, -1e-5):
                moved = x.copy()
                moved[0, step, feature] += by
                out = network.predict(moved)
                ends.append(float(((out[:, -1] if sequences else out) * way).sum()))
            slopes.append((ends[0] - ends[1]) / 2e-5)
        return rms(slopes)

    expected = (size(0) / size(steps - 1)) ** (1 / (steps - 1))
    assert found.gradient_through_time == pytest.approx(expected, rel=1e-5)


def test_frozen_layers_get_no_gradient():
    network = small()
    network.layers[0].trainable = False
    first, second, _ = subject_of(network).observe(X, LABELS).layers
    assert first.gradient is first.weight_gradient is first.update_ratio is None
    assert second.gradient > 0
    assert first.std > 0
    for layer in network.layers:
        layer.trainable = False
    assert all(one.gradient is None for one in subject_of(network).observe(X, LABELS).layers)


def test_layers_are_chosen_by_name():
    subject = subject_of(small())
    whole = subject.observe(X, LABELS)
    chosen = subject.observe(X, LABELS, layers=["*_0", "dense_2"])
    assert chosen.layers == (whole.layers[0], whole.layers[2])
    with pytest.raises(ArgumentError, match=r"no layer is named 'conv\*'; there are dense_0"):
        subject.observe(X, LABELS, layers="conv*")
    with pytest.raises(ArgumentTypeError, match="layers must be patterns"):
        subject.observe(X, layers=[3])
    assert selected("fc@2", ["fc"])
    assert not selected("fc@2", ["fc@3"])


def test_drawn_anew_by_name_and_nothing_else():
    network = nn.Sequential([nn.Dense(6, "relu"), nn.LSTM(4), nn.Dense(3)], seed=0)
    network = nn.Sequential([nn.LSTM(4), nn.Dense(6, "relu"), nn.Dense(3)], seed=0)
    network.build((7, 5))
    before = network.get_weights()
    rules = {
        "dense_1.kernel": fastinit.get("he_normal"),
        "lstm_0.kernel": fastinit.get("glorot_normal"),
    }
    twin = subject_of(network).reinitialized(rules, 9).model
    for one, other in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    expected = fastinit.he_normal((4, 6), seed=fastinit.key(9, "dense_1.kernel"))
    np.testing.assert_array_equal(twin.layers[1].kernel, expected)
    gate = math.sqrt(2 / (5 + 4))  # the fans of one gate, not of the stack
    assert twin.layers[0].kernel.std() == pytest.approx(gate, rel=0.25)
    np.testing.assert_array_equal(twin.layers[2].kernel, network.layers[2].kernel)
    np.testing.assert_array_equal(twin.layers[0].bias, network.layers[0].bias)
    with pytest.raises(ArgumentError, match=r"no parameter is named 'dense_9\.kernel'"):
        subject_of(network).reinitialized({"dense_9.kernel": fastinit.get("zeros")}, 0)
    with pytest.raises(ArgumentTypeError, match="must be an Initializer"):
        subject_of(network).reinitialized({"dense_1.kernel": "zeros"}, 0)


def test_training_a_copy_learns_and_leaves_the_network_alone():
    network = small()
    before = network.get_weights()
    x = np.vstack([X, X, X])
    y = (x[:, 0] > 0).astype(int)
    losses = subject_of(network).train(x, y, steps=60, learning_rate=0.01)
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:5])
    assert losses == subject_of(network).train(x, y, steps=60, learning_rate=0.01)
    for one, other in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_loss_is_the_networks_own_or_fits_the_targets():
    network = small()
    subject, values = subject_of(network), RNG.normal(size=(30, 3))
    squares = subject.observe(X, values).loss
    assert squares == pytest.approx(np.mean((network.predict(X) - values) ** 2))
    network.compile(loss="mean_absolute_error")
    absolute = np.abs(network.predict(X) - values).mean()
    assert subject.observe(X, values).loss == pytest.approx(absolute)
    assert subject.observe(X, values, loss="mean_squared_error").loss == pytest.approx(squares)
    yes = nn.Sequential([nn.Dense(1, "sigmoid")], seed=0)
    assert subject_of(yes).observe(X, LABELS % 2).loss > 0


@given(st.integers(0, 2**31))
@settings(max_examples=10, deadline=None)
def test_the_order_of_the_examples_does_not_matter(seed):
    network, order = small(), np.random.default_rng(seed).permutation(30)
    one = subject_of(network).observe(X, LABELS)
    other = subject_of(network).observe(X[order], LABELS[order])
    for left, right in zip(one.layers, other.layers, strict=True):
        for field, value in dataclasses.asdict(left).items():
            if field in HISTOGRAMS:  # rounding may move a number to the next bin
                continue
            found = getattr(right, field)
            assert found == (pytest.approx(value) if isinstance(value, float) else value), field


def test_what_is_no_network_is_refused():
    with pytest.raises(ArgumentTypeError, match=r"must be a fastinit\.nn\.Sequential"):
        subject_of(object())
    subject = subject_of(small())
    assert subject_of(subject) is subject
    with pytest.raises(ArgumentError, match="at least one example"):
        subject.observe(X[:0])
