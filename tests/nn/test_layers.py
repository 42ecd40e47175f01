"""Every kind of layer: gradients against finite differences, shapes, options, errors."""

import architectures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastinit import nn
from fastinit.errors import ArgumentError, ArgumentTypeError, FastinitError, UnknownNameError
from fastinit.kernels.activations import CODES


@pytest.mark.parametrize("name", architectures.NETWORKS)
def test_gradients_are_derivatives_of_the_loss(name):
    network = architectures.make(name)
    x, y = architectures.examples(network, 7)
    before = network.get_weights()
    architectures.assert_gradients_are_differences(network, x, y)
    for weight, expected in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)  # the moving statistics, too
    for layer, gradients in zip(network.layers, network.gradients(x, y), strict=True):
        for gradient in gradients.values():
            assert gradient.any() == layer.trainable


@pytest.mark.parametrize("activation", CODES)
def test_gradients_through_every_activation(activation):
    layers = [nn.Dense(5, activation), nn.LayerNorm(), nn.Activation(activation), nn.Dense(2)]
    network = architectures.prepared(layers, (4,))
    architectures.assert_gradients_are_differences(network, *architectures.examples(network, 6))


LOSSES = [
    ("categorical_crossentropy", "linear"),
    ("categorical_crossentropy", "softmax"),
    (nn.CategoricalCrossentropy(label_smoothing=0.2), "softmax"),
    ("binary_crossentropy", "linear"),
    ("binary_crossentropy", "sigmoid"),
    (nn.BinaryCrossentropy(label_smoothing=0.2), "sigmoid"),
    ("mean_squared_error", "sigmoid"),
    ("mean_squared_error", "softmax"),
    ("mean_absolute_error", "tanh"),
    (nn.Huber(delta=0.7), "linear"),
]


@pytest.mark.parametrize(("loss", "last"), LOSSES)
@pytest.mark.parametrize("alone", [False, True])
def test_gradients_of_every_loss(loss, last, alone):
    end = [nn.Dense(3), nn.Activation(last)] if alone else [nn.Dense(3, last)]
    network = architectures.prepared([nn.Dense(5, "tanh"), *end], (4,), loss)
    architectures.assert_gradients_are_differences(network, *architectures.examples(network, 6))


def test_finite_differences_find_a_wrong_gradient():
    network = architectures.make("batch_norm")
    x, y = architectures.examples(network, 7)
    got, expected = network.gradients(x, y), architectures.numeric_gradients(network, x, y)
    got[1]["kernel"][0, 0] *= 1.0001
    assert architectures.relative_error(got[1], expected[1]) > 1e-6


def test_dropout_keeps_its_share_and_the_mean():
    network = architectures.prepared([nn.Dropout(0.25), nn.Dense(1)], (50,), seed=3)
    x = np.ones((200, 50))
    found = nn.network.Pass(network, x, training=True)
    found.forward()
    out = found.outputs(0)
    np.testing.assert_allclose(out[out != 0], 1 / 0.75)
    assert abs((out == 0).mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / out.size)
    np.testing.assert_array_equal(network.forward(x)[0][1], x)  # nothing in inference
    network.fit(x, np.ones(200), verbose=0)  # the next step has another mask
    again = nn.network.Pass(network, x, training=True)
    again.forward()
    assert (again.outputs(0) != out).mean() > 0.3


def test_moving_statistics_follow_the_batches():
    network = architectures.prepared([nn.BatchNorm(momentum=0.8), nn.Dense(1)], (3,), "mse", "sgd")
    x = np.random.default_rng(0).normal(2.0, 3.0, (20, 3))
    network.fit(x, np.zeros(20), batch_size=20, verbose=0)
    norm = network.layers[0]
    np.testing.assert_allclose(norm.moving_mean, 0.2 * x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(norm.moving_variance, 0.8 + 0.2 * x.var(axis=0), rtol=1e-12)
    z = network.forward(x)[0][1]
    expected = (x - norm.moving_mean) / np.sqrt(norm.moving_variance + 1e-3)
    np.testing.assert_allclose(z, norm.gamma * expected + norm.beta, rtol=1e-12, atol=1e-12)


def test_a_frozen_batch_norm_keeps_its_statistics_and_uses_them():
    network = architectures.prepared([nn.BatchNorm(), nn.Dense(1)], (3,))
    network.layers[0].trainable = False
    network.layers[0].moving_mean = [1.0, 2.0, 3.0]
    before = network.layers[0].moving_mean.copy(), network.layers[0].gamma.copy()
    x, y = architectures.examples(network, 20)
    network.fit(x, y, verbose=0)
    np.testing.assert_array_equal(network.layers[0].moving_mean, before[0])
    np.testing.assert_array_equal(network.layers[0].gamma, before[1])
    found = nn.network.Pass(network, x, training=True)
    found.forward()
    np.testing.assert_array_equal(found.outputs(0), network.forward(x)[0][1])


@pytest.mark.parametrize("optimizer", ["adam", nn.SGD(0.1, momentum=0.9, weight_decay=0.1)])
def test_training_changes_nothing_of_frozen_layers(optimizer):
    network = architectures.make("frozen", optimizer=optimizer)
    before = {layer: layer.kernel.copy() for layer in network.layers if hasattr(layer, "kernel")}
    network.fit(*architectures.examples(network, 20), epochs=2, verbose=0)
    for layer, kernel in before.items():
        assert (layer.kernel == kernel).all() == (not layer.trainable)


def test_a_layer_frozen_after_training_does_not_count_in_the_norm():
    histories = []
    for trained_before in (False, True):
        network = architectures.prepared(
            [nn.Dense(6, "tanh"), nn.Dense(6, "tanh"), nn.Dense(1)],
            (4,),
            optimizer=nn.SGD(0.1, global_clipnorm=0.05),
        )
        x, y = architectures.examples(network, 16)
        weights = network.get_weights()
        if trained_before:
            network.fit(x, 100 * y, verbose=0)
            network.set_weights(weights)
            network.compile(loss="mean_squared_error", optimizer=network.optimizer)
        network.layers[1].trainable = False
        histories.append(network.fit(x, y, epochs=3, verbose=0, shuffle=False).history["loss"])
    assert histories[0] == histories[1]


def test_shapes_through_a_network():
    network = architectures.make("sequences")
    assert network.input_shape == (5, 2)
    assert network.output_shape == (5, 2)
    assert network.predict(np.zeros((3, 5, 2))).shape == (3, 5, 2)
    assert [a.shape for _, a in network.forward(np.zeros((3, 5, 2)))] == [
        (3, 5, 4),
        (3, 5, 4),
        (3, 5, 3),
        (3, 5, 2),
    ]
    assert architectures.make("gru").predict(np.zeros((0, 5, 2))).shape == (0, 3)


def test_a_dense_layer_on_sequences_is_one_at_every_step():
    flat = architectures.prepared([nn.Dense(4, "tanh"), nn.LayerNorm(), nn.Dense(2)], (3,))
    network = architectures.prepared([nn.Dense(4, "tanh"), nn.LayerNorm(), nn.Dense(2)], (5, 3))
    network.set_weights(flat.get_weights())
    x, y = architectures.examples(network, 6)
    np.testing.assert_array_equal(
        network.predict(x), flat.predict(x.reshape(30, 3)).reshape(6, 5, 2)
    )
    ours, theirs = network.gradients(x, y), flat.gradients(x.reshape(30, 3), y.reshape(30, 2))
    for a, b in zip(ours, theirs, strict=True):
        assert architectures.relative_error(a, b) < 1e-12 if a else not b


def test_a_layer_can_be_made_again_from_its_configuration():
    for _, layers in architectures.NETWORKS.values():
        for layer in layers():
            again = type(layer)(**layer.get_config())
            assert again.get_config() == layer.get_config()
            if layer.trainable:
                assert repr(again) == repr(layer)


def test_layers_say_what_they_are():
    assert repr(nn.Dense(3)) == "Dense(3)"
    text = repr(nn.LSTM(4, kernel_initializer="he_normal", use_bias=False))
    assert text == "LSTM(4, kernel_initializer=he_normal(), use_bias=False)"
    assert repr(nn.Activation("elu", 0.5)) == "Activation('elu', alpha=0.5)"
    assert repr(nn.Dropout(0.5)) == "Dropout(0.5)"
    assert repr(nn.BatchNorm(scale=False)) == "BatchNorm(scale=False)"


@pytest.mark.parametrize(
    ("make_layer", "error", "message"),
    [
        (lambda: nn.Activation("rleu"), UnknownNameError, "'rleu'; did you mean 'relu'"),
        (lambda: nn.Activation("relu", 0.1), ArgumentError, "relu has no alpha, got alpha=0.1"),
        (lambda: nn.Activation("elu", -1.0), ArgumentError, "alpha must be at least 0 and finite"),
        (lambda: nn.Activation("elu", "1"), ArgumentTypeError, "alpha must be a number, got '1'"),
        (lambda: nn.Dropout(1.0), ArgumentError, "rate must be at least 0 and below 1, got 1.0"),
        (lambda: nn.Dropout(float("nan")), ArgumentError, "rate must be at least 0"),
        (lambda: nn.Dropout(None), ArgumentTypeError, "rate must be a number, got None"),
        (lambda: nn.BatchNorm(momentum=1.0), ArgumentError, "momentum must be .* got 1.0"),
        (lambda: nn.BatchNorm(epsilon=-1e-3), ArgumentError, "epsilon must be .* got -0.001"),
        (lambda: nn.LayerNorm(epsilon=np.inf), ArgumentError, "epsilon must be .* got inf"),
        (lambda: nn.LayerNorm(epsilon="x"), ArgumentTypeError, "epsilon must be a number"),
        (lambda: nn.LayerNorm(gamma_initializer="onse"), UnknownNameError, "ones"),
        (lambda: nn.RNN(0), ArgumentError, "units must be at least 1, got 0"),
        (lambda: nn.RNN(2, "gelu"), ArgumentError, "must be 'tanh' or 'relu', got 'gelu'"),
        (lambda: nn.LSTM(2.5), ArgumentTypeError, "units must be a whole number, got 2.5"),
        (lambda: nn.GRU(2, recurrent_initializer="x"), UnknownNameError, "'x'"),
        (lambda: nn.Regularizer(l1=-1.0), ArgumentError, "l1 must be at least 0 and finite"),
        (lambda: nn.Regularizer(l2="a"), ArgumentTypeError, "l2 must be a number, got 'a'"),
        (lambda: nn.Dense(2, kernel_regularizer=0.1), ArgumentTypeError, r"nn.Regularizer\(l1"),
        (lambda: nn.Huber(0.0), ArgumentError, "delta must be above 0 and finite, got 0.0"),
        (lambda: nn.Huber("a"), ArgumentTypeError, "delta must be a number, got 'a'"),
        (lambda: nn.BinaryCrossentropy(1.0), ArgumentError, "label_smoothing must be .* got 1.0"),
        (lambda: nn.CategoricalCrossentropy(-0.1), ArgumentError, "label_smoothing .* got -0.1"),
    ],
)
def test_bad_arguments_are_refused(make_layer, error, message):
    with pytest.raises(error, match=message):
        make_layer()


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_recurrent_layers_take_sequences_alone(kind):
    network = nn.Sequential([kind(3)])
    with pytest.raises(ArgumentError, match=rf"{kind.kind}_0 takes sequences.* got \(4,\)"):
        network.build(4)
    assert not network.layers[0].built
    network.compile(loss="mean_squared_error")
    with pytest.raises(ArgumentError, match="takes sequences"):
        network.fit(np.ones((5, 4)), np.ones((5, 3)), verbose=0)
    with pytest.raises(ArgumentError, match="rnn_1 takes sequences"):
        nn.Sequential([kind(3), nn.RNN(2)]).build((5, 2))
    network.build((5, 2))
    with pytest.raises(ArgumentError, match=r"\(examples, time, features\), got \(4, 5\)"):
        network.predict(np.ones((4, 5)))
    with pytest.raises(ArgumentError, match=r"x has \(6, 2\) features, but .* takes \(5, 2\)"):
        network.predict(np.ones((4, 6, 2)))


@pytest.mark.parametrize(
    ("shape", "error", "message"),
    [
        ((2, 3, 4), ArgumentError, r"features or \(time, features\), got \(2, 3, 4\)"),
        ((), ArgumentError, r"features or \(time, features\), got \(\)"),
        (0, ArgumentError, "input_shape must be at least 1, got 0"),
        ((5, 0), ArgumentError, "input_shape must be at least 1, got 0"),
        (2.5, ArgumentTypeError, "input_shape must be a whole number, got 2.5"),
    ],
)
def test_bad_shapes_are_refused(shape, error, message):
    with pytest.raises(error, match=message):
        nn.Sequential([nn.Dense(2)]).build(shape)


def test_classes_of_every_step_are_refused():
    network = nn.Sequential([nn.LSTM(3, return_sequences=True)])
    network.compile(loss="categorical_crossentropy")
    with pytest.raises(ArgumentError, match=r"one class an example.*\(5, 3\)"):
        network.fit(np.ones((4, 5, 2)), np.zeros(4), verbose=0)


def test_arrays_that_are_not_there():
    layer = nn.Dense(2, use_bias=False)
    with pytest.raises(FastinitError, match="has no parameters yet"):
        _ = layer.kernel
    nn.Sequential([layer]).build(3)
    assert layer.bias is None
    with pytest.raises(ArgumentError, match="dense_0 has no bias: it was made without"):
        layer.bias = np.zeros(2)
    frozen = architectures.prepared([nn.Dense(1, trainable=False)], (2,))
    with pytest.raises(FastinitError, match="nothing to train"):
        frozen.fit(np.ones((2, 2)), np.ones(2), verbose=0)


# Random architectures


@settings(max_examples=25)
@given(architectures.networks(), st.integers(2, 9))
def test_random_architectures_have_right_gradients(network, count):
    x, y = architectures.examples(network, count)
    architectures.assert_gradients_are_differences(network, x, y)


@settings(max_examples=25)
@given(architectures.networks(), st.integers(1, 20), st.integers(1, 25))
def test_random_architectures_train_and_predict(network, count, batch_size):
    x, y = architectures.examples(network, count)
    history = network.fit(x, y, epochs=2, batch_size=batch_size, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    whole = network.predict(x)
    np.testing.assert_array_equal(network.predict(x, batch_size), whole)
    np.testing.assert_array_equal(network.forward(x)[-1][1], whole)
    penalty = network.evaluate(x, whole)["loss"]
    alone = [network.evaluate(x[i : i + 1], y[i : i + 1])["loss"] for i in range(count)]
    together = network.evaluate(x, y, batch_size)["loss"]
    np.testing.assert_allclose(together - penalty, np.mean(alone) - penalty, rtol=1e-9, atol=1e-12)
    weights = network.get_weights()
    network.build(network.input_shape)
    network.set_weights(weights)
    np.testing.assert_array_equal(network.predict(x), whole)
