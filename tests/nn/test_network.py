"""Building a network and looking inside: parameters, passes, gradients."""

import copy
import pickle

import architectures
import numpy as np
import problems
import pytest

import fastinit
from fastinit import nn
from fastinit.errors import ArgumentError, ArgumentTypeError, FastinitError, UnknownNameError


def make(activation="tanh", last="linear", dtype=np.float64, **options):
    hidden = [nn.Dense(6, activation, **options), nn.Dense(5, activation, **options)]
    return nn.Sequential([*hidden, nn.Dense(3, last, **options)], seed=0, dtype=dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("initializer", ["he_normal", "glorot_uniform", "normal(std=0.01)"])
def test_parameters_are_what_the_catalogue_draws_for_their_names(initializer, dtype):
    network = nn.Sequential(
        [nn.Dense(6, kernel_initializer=initializer), nn.Dense(3, bias_initializer="uniform")],
        seed=7,
        dtype=dtype,
    )
    network.build(4)
    first, second = network.layers
    draw, key = fastinit.get(initializer), fastinit.key(7, "dense_0.kernel")
    np.testing.assert_array_equal(first.kernel, draw((4, 6), seed=key, dtype=dtype))
    assert not first.bias.any()
    expected = fastinit.uniform((3,), seed=fastinit.key(7, "dense_1.bias"), dtype=dtype)
    np.testing.assert_array_equal(second.bias, expected)
    assert first.kernel.dtype == second.bias.dtype == dtype


def test_a_name_of_ones_own_names_the_parameters():
    network = nn.Sequential([nn.Dense(3, name="head")], seed=1)
    network.build(2)
    expected = fastinit.glorot_uniform((2, 3), seed=fastinit.key(1, "head.kernel"))
    np.testing.assert_array_equal(network.layers[0].kernel, expected)


def test_float32_and_float64_are_the_same_network():
    narrow, wide = make(dtype=np.float32), make(dtype=np.float64)
    narrow.build(4), wide.build(4)
    for a, b in zip(narrow.get_weights(), wide.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("activation", problems.ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_forward_and_predict_agree_with_numpy(activation, dtype):
    network = make(activation, last=activation, dtype=dtype, bias_initializer="normal")
    x = np.random.default_rng(0).standard_normal((20, 4)).astype(dtype)
    passes = network.forward(x)
    tolerance = {"rtol": 100 * np.finfo(dtype).eps, "atol": 100 * np.finfo(dtype).eps}
    for got, expected in zip(passes, problems.forward(network, x), strict=True):
        np.testing.assert_allclose(got[0], expected[0], **tolerance)
        np.testing.assert_allclose(got[1], expected[1], **tolerance)
    for batch_size in (1, 7, 20, 1024):
        np.testing.assert_allclose(network.predict(x, batch_size), passes[-1][1], **tolerance)


def test_predicting_nothing_gives_nothing():
    assert make().predict(np.empty((0, 4))).shape == (0, 3)


def test_results_are_copies():
    network, x = make(), np.ones((2, 4))
    first = network.predict(x)
    passes = network.forward(x)
    network.forward(2 * x)
    passes[0][0][:] = 0
    np.testing.assert_array_equal(network.predict(x), first)


def _numeric_gradients(network, x, y, step=1e-6):
    gradients = []
    for parameter in _parameters(network):
        gradient = np.empty_like(parameter)
        for index in np.ndindex(parameter.shape):
            value = parameter[index]
            parameter[index] = value + step
            above = network.evaluate(x, y)["loss"]
            parameter[index] = value - step
            gradient[index] = (above - network.evaluate(x, y)["loss"]) / (2 * step)
            parameter[index] = value
        gradients.append(gradient)
    return gradients


def _parameters(network):
    return [p for layer in network.layers for p in (layer.kernel, layer.bias) if p is not None]


@pytest.mark.parametrize(
    ("loss", "last"),
    [
        ("categorical_crossentropy", "linear"),
        ("categorical_crossentropy", "softmax"),
        ("binary_crossentropy", "linear"),
        ("binary_crossentropy", "sigmoid"),
        ("mean_squared_error", "linear"),
        ("mean_squared_error", "sigmoid"),
        ("mean_squared_error", "softmax"),
    ],
)
@pytest.mark.parametrize("activation", ["tanh", "leaky_relu"])
@pytest.mark.parametrize("use_bias", [True, False])
def test_gradients_are_derivatives_of_the_loss(loss, last, activation, use_bias):
    rng = np.random.default_rng(1)
    network = make(activation, last, kernel_initializer="he_normal", use_bias=use_bias)
    network.compile(loss=loss)
    x, y = rng.standard_normal((7, 4)), rng.integers(0, 2, (7, 3))
    if loss == "categorical_crossentropy":
        y = rng.integers(0, 3, 7)
    network.build(4)
    before = network.get_weights()
    found = network.gradients(x, y)
    got = [gradient for gradients in found for gradient in gradients.values()]
    names = ["kernel", "bias"] if use_bias else ["kernel"]
    assert [list(gradients) for gradients in found] == [names] * 3
    for gradient, expected in zip(got, _numeric_gradients(network, x, y), strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-8)
    for weight, expected in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize(
    ("loss", "logits_layer", "probability_layer", "y"),
    [
        ("categorical_crossentropy", "linear", "softmax", [0, 1, 2]),
        ("binary_crossentropy", "linear", "sigmoid", [[0, 1, 1], [1, 1, 0], [0, 0, 0]]),
    ],
)
def test_logits_and_probabilities_are_the_same_problem(loss, logits_layer, probability_layer, y):
    x = np.random.default_rng(2).standard_normal((3, 4))
    networks = [make(last=logits_layer), make(last=probability_layer)]
    for network in networks:
        network.compile(loss=loss)
    assert networks[0].evaluate(x, y) == networks[1].evaluate(x, y)
    for a, b in zip(*(network.gradients(x, y) for network in networks), strict=True):
        np.testing.assert_array_equal(a["kernel"], b["kernel"])


def test_evaluate_agrees_with_numpy():
    x, labels = problems.rings(50)
    network = make(last="softmax")
    network.compile()
    probability = problems.forward(network_built(network, 2), x)[-1][1]
    result = network.evaluate(x, labels, batch_size=16)
    expected = -np.mean(np.log(probability[np.arange(50), labels]))
    assert result["loss"] == pytest.approx(expected, rel=1e-12)
    assert result["accuracy"] == np.mean(probability.argmax(axis=1) == labels)
    assert network.evaluate(x, np.eye(3)[labels], batch_size=16) == result


def network_built(network, input_shape):
    network.build(input_shape)
    return network


def test_binary_accuracy_counts_every_output():
    network = nn.Sequential([nn.Dense(2, "sigmoid", kernel_initializer="ones")])
    network.compile(loss="binary_crossentropy")
    assert network.evaluate([[0.1], [-0.1]], [[1, 1], [0, 1]])["accuracy"] == 0.75


def test_weights_can_be_read_and_written():
    network, other = network_built(make(), 4), network_built(make(last="softmax"), 4)
    other.layers[0].kernel *= 2
    other.layers[1].bias = np.arange(5)
    weights = other.get_weights()
    np.testing.assert_array_equal(weights[0], 2 * network.get_weights()[0])
    np.testing.assert_array_equal(weights[3], np.arange(5))
    network.set_weights(weights)
    weights[0][:] = 99
    for a, b in zip(network.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
def test_a_copy_trains_like_the_original(clone):
    x, y = problems.rings(60)
    network = make(dtype=np.float32)
    network.compile()
    network.fit(x, y, epochs=2, verbose=0)
    other = clone(network)
    assert other.fit(x, y, epochs=2, verbose=0).history == (
        network.fit(x, y, epochs=2, verbose=0).history
    )
    np.testing.assert_array_equal(other.predict(x), network.predict(x))


def test_summary_prints_what_it_returns(capsys):
    network = network_built(make(kernel_initializer="he_normal"), 4)
    text = network.summary()
    assert capsys.readouterr().out == text + "\n"
    lines = text.splitlines()
    assert lines[1].split() == ["dense_0", "(6,)", "tanh", "he_normal()", "30"]
    assert lines[-1].split() == ["total", str(30 + 35 + 18)]


def test_summary_of_layers_without_kernels_and_of_frozen_ones(capsys):
    layers = [nn.LSTM(3, return_sequences=True), nn.BatchNorm(), nn.Dropout(0.5), nn.Dense(2)]
    network = network_built(nn.Sequential(layers), (7, 4))
    network.layers[0].trainable = False
    lines = [line.split() for line in network.summary().splitlines()]
    assert lines[1] == ["lstm_0", "(7,", "3)", "glorot_uniform()", "96"]
    assert lines[2] == ["batch_norm_1", "(7,", "3)", "12"]
    assert lines[3] == ["dropout_2", "(7,", "3)", "0"]
    assert lines[5:] == [["total", "116"], ["not", "trained", str(96 + 6)]]
    assert capsys.readouterr().out == network.summary() + "\n"


@pytest.mark.parametrize(
    ("make_layer", "error", "message"),
    [
        (lambda: nn.Dense(0), ArgumentError, "units must be at least 1, got 0"),
        (lambda: nn.Dense(2.5), ArgumentTypeError, "units must be a whole number, got 2.5"),
        (lambda: nn.Dense(2, "rleu"), UnknownNameError, "'rleu'; did you mean 'relu'"),
        (lambda: nn.Dense(2, abs), ArgumentTypeError, "activation must be a name"),
        (lambda: nn.Dense(2, kernel_initializer="he_norml"), UnknownNameError, "he_normal"),
        (lambda: nn.Dense(2, name=3), ArgumentTypeError, "name must be a string, got 3"),
    ],
)
def test_bad_layers_are_refused(make_layer, error, message):
    with pytest.raises(error, match=message):
        make_layer()


def test_bad_networks_are_refused():
    with pytest.raises(ArgumentError, match="at least one layer"):
        nn.Sequential([])
    with pytest.raises(ArgumentTypeError, match="got 'relu'"):
        nn.Sequential([nn.Dense(2), "relu"])
    with pytest.raises(ArgumentError, match="two layers are named 'a'"):
        nn.Sequential([nn.Dense(2, name="a"), nn.Dense(2, name="a")])
    with pytest.raises(ArgumentError, match="float16"):
        nn.Sequential([nn.Dense(2)], dtype=np.float16)
    layer = nn.Dense(2)
    nn.Sequential([layer])
    with pytest.raises(ArgumentError, match="'dense_0' belongs to a network"):
        nn.Sequential([layer])
    with pytest.raises(ArgumentError, match="input_shape must be at least 1, got 0"):
        make().build(0)


def test_parameters_before_build_and_of_wrong_shape_are_refused():
    network = make()
    with pytest.raises(FastinitError, match=r"build\(input_shape\)"):
        network.get_weights()
    with pytest.raises(FastinitError, match="dense_0 has no parameters yet"):
        _ = network.layers[0].kernel
    weights = network_built(network, 4).get_weights()
    with pytest.raises(ArgumentError, match="6 parameters, got 5"):
        network.set_weights(weights[:-1])
    with pytest.raises(ArgumentError, match=r"dense_2.bias has the shape \(3,\), got \(4,\)"):
        network.set_weights([np.zeros_like(w) for w in weights[:-1]] + [np.zeros(4)])
    assert network.get_weights()[0].any()
    with pytest.raises(ArgumentError, match=r"dense_0.kernel has the shape \(4, 6\)"):
        network.layers[0].kernel = np.zeros((6, 4))


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.ones(4), ArgumentError, r"shape \(examples, features\), got \(4,\)"),
        (np.ones((2, 5)), ArgumentError, "x has 5 features, but the network takes 4"),
        ([[1.0, 2.0, np.nan, 4.0]], ArgumentError, r"got nan at x\[0, 2\]"),
        ([[1.0, 2.0, 3.0, 4.0], [-np.inf] * 4], ArgumentError, r"got -inf at x\[1, 0\]"),
        ([[1.0, 2.0, 3.0, 1e60]], ArgumentError, r"finite in float32, got 1e\+60 at x\[0, 3\]"),
        ([[1j] * 4], ArgumentTypeError, "complex"),
        ([["a"] * 4], ArgumentTypeError, "real numbers"),
    ],
)
def test_bad_input_is_refused(x, error, message):
    network = network_built(make(dtype=np.float32), 4)
    with pytest.raises(error, match=message):
        network.predict(x)
    with pytest.raises(error, match=message):
        network.forward(x)


def test_integers_booleans_and_read_only_arrays_are_taken():
    network = network_built(make(), 4)
    x = np.eye(4)
    expected = network.predict(x)
    x.flags.writeable = False
    for same in (x, x.astype(int), x.astype(bool), x.tolist(), np.asfortranarray(x)):
        np.testing.assert_array_equal(network.predict(same), expected)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
def test_a_copy_has_arrays_of_its_own(clone):
    network = architectures.make("batch_norm")
    other = clone(network)
    before = other.get_weights()
    network.fit(*architectures.examples(network, 8), verbose=0)
    for weight, expected in zip(other.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)
    other.layers[1].kernel *= 0
    x, y = architectures.examples(other, 8)
    assert not other.forward(x)[1][0].any()
    other.fit(x, y, verbose=0)
    assert other.layers[1].kernel.any()


@pytest.mark.parametrize("name", architectures.NETWORKS)
def test_the_parts_of_every_network(name):
    """What forward() shows, weights that are read and written, building anew."""
    network = architectures.make(name)
    x, _ = architectures.examples(network, 6)
    passes = network.forward(x)
    np.testing.assert_array_equal(passes[-1][1], network.predict(x))
    weights = network.get_weights()
    network.build(network.input_shape)
    fresh = network.get_weights()
    assert any((a != b).any() for a, b in zip(weights, fresh, strict=True))
    network.set_weights(weights)
    np.testing.assert_array_equal(network.predict(x), passes[-1][1])
    other = architectures.make(name)
    other.build(network.input_shape)
    for a, b in zip(other.get_weights(), fresh, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", architectures.NETWORKS)
def test_evaluate_is_the_mean_over_examples(name):
    network = architectures.make(name)
    x, y = architectures.examples(network, 11)
    alone = [network.evaluate(x[i : i + 1], y[i : i + 1])["loss"] for i in range(len(x))]
    for batch_size in (1, 4, 64):
        assert network.evaluate(x, y, batch_size)["loss"] == pytest.approx(np.mean(alone), 1e-12)


def test_what_was_not_compiled_or_built_is_refused():
    network = make()
    for call in (network.fit, network.evaluate, network.gradients):
        with pytest.raises(FastinitError, match=r"needs a loss: call compile"):
            call(np.ones((2, 4)), np.zeros(2))
    for call in (network.get_weights, network.summary, lambda: network.set_weights([])):
        with pytest.raises(FastinitError, match=r"call build\(input_shape\) first"):
            call()


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones((0, 4)), np.ones((0, 3)), "at least one example, got none"),
        (np.ones((3, 4)), np.ones((2, 3)), "x has 3 examples, but y has 2"),
        (np.ones((3, 4)), np.ones((3, 2)), r"shape \(examples, 3\).* got \(3, 2\)"),
        (np.ones((3, 4)), np.full((3, 3), np.nan), r"y must be finite in float64, got nan at y"),
        (np.full((3, 4), np.inf), np.ones((3, 3)), r"x must be finite in float64, got inf at x"),
    ],
)
def test_bad_examples_are_refused_and_nothing_is_built(x, y, message):
    network = make()
    network.compile(loss="mean_squared_error")
    for call in (network.fit, network.evaluate, network.gradients):
        with pytest.raises(ArgumentError, match=message):
            call(x, y)
    assert network.input_shape is None


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        ("categorical_crossentropy", [0, 1, 3], "label 3 at y.2. is out of range"),
        ("categorical_crossentropy", [0, -1, 2], "label -1 at y.1. is out of range"),
        ("categorical_crossentropy", [0, 0.5, 2], "whole numbers, got 0.5"),
        ("categorical_crossentropy", [[1, 0, 0], [1, 1, 0], [0, 0, 1]], "a one-hot row holds"),
        ("binary_crossentropy", [[0, 1, 0], [0, 2, 0], [0, 1, 1]], "between 0 and 1, got 2.0"),
    ],
)
def test_targets_out_of_range_are_refused(loss, y, message):
    network = make()
    network.compile(loss=loss)
    with pytest.raises(ArgumentError, match=message):
        network.fit(np.ones((3, 4)), y, verbose=0)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"loss": "mse_"}, UnknownNameError, "did you mean 'mse'"),
        ({"loss": 3}, ArgumentTypeError, "loss must be a name"),
        ({"optimizer": "adm"}, UnknownNameError, "did you mean 'adam"),
        ({"optimizer": 0.1}, ArgumentTypeError, "optimizer must be a name or an optimizer"),
        ({"metrics": ["acuracy"]}, UnknownNameError, "did you mean 'accuracy'"),
        ({"metrics": "accuracy"}, ArgumentError, "a list of names, got the name 'accuracy'"),
        ({"metrics": ["mae"]}, ArgumentError, "mae has no meaning for categorical_crossentropy"),
        ({"loss": "mse", "metrics": ["accuracy"]}, ArgumentError, "no meaning for mean_squared"),
        ({"loss": "binary_crossentropy", "metrics": ["mse"]}, ArgumentError, "mse has no meaning"),
    ],
)
def test_bad_choices_are_refused(options, error, message):
    network = make()
    with pytest.raises(error, match=message):
        network.compile(**options)
    assert network.loss is None


@pytest.mark.parametrize("last", [nn.Dense(3, "tanh"), nn.Activation("sigmoid")])
def test_a_last_layer_that_cannot_feed_the_loss_is_refused(last):
    network = nn.Sequential([nn.Dense(3), last])
    with pytest.raises(ArgumentError, match="'softmax' or 'linear'"):
        network.compile()
