"""Networks that go over to Keras and come back: the same outputs, statistics and settings."""

import importlib
import subprocess
import sys

import numpy as np
import pytest

from fastinit import nn
from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.kernels.activations import CODES
from tests.bridged import CELLS, FEATURES, STEPS, every_layer, inputs, recurrent
from tests.frameworks import require

keras = require("keras")
bridge = importlib.import_module("fastinit.keras")
layers = keras.layers
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
# JAX has no float64 unless it is told so; Keras multiplies matrices in float32 in any case.
DTYPES = [np.float32] if keras.backend.backend() == "jax" else [np.float32, np.float64]


def outputs_of(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


def same(network, model, x):
    expected = outputs_of(model, x)
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(network.predict(x), expected, rtol=1e-5, atol=1e-5)


def equal(a, b):
    assert [(x.name, repr(x), x.trainable) for x in a.layers] == [
        (x.name, repr(x), x.trainable) for x in b.layers
    ]
    for x, y in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_layer_there_and_back(dtype):
    network, x = every_layer(dtype), inputs((FEATURES,), dtype)
    model = bridge.to_keras(network)
    same(network, model, x)
    again = bridge.from_keras(model)
    np.testing.assert_array_equal(again.predict(x), network.predict(x))
    equal(again, network)


def test_every_activation():
    """All of them in one model, each on the inputs of a wide range that a Dense makes."""
    made = []
    for activation in CODES:
        dense = nn.Dense(4, activation, kernel_initializer="normal(std=2)", name=f"d_{activation}")
        made += [dense, nn.Activation(activation, name=f"a_{activation}"), nn.LayerNorm()]
    network = nn.Sequential(made, seed=0)
    network.build(FEATURES)
    model, x = bridge.to_keras(network), inputs((FEATURES,))
    for ours, (z, a) in zip(network.layers, network.forward(x), strict=True):
        if ours.kind == "activation":
            theirs = outputs_of(model.get_layer(ours.name), keras.ops.convert_to_tensor(z))
            np.testing.assert_allclose(a, theirs, rtol=1e-5, atol=1e-5)
    same(network, model, x)
    again = bridge.from_keras(model)
    np.testing.assert_array_equal(again.predict(x), network.predict(x))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("return_sequences", [False, True])
def test_recurrent_layers(cell, return_sequences):
    network = recurrent(cell, return_sequences, use_bias=not return_sequences)
    x = inputs((STEPS, FEATURES))
    model = bridge.to_keras(network)
    same(network, model, x)
    equal(bridge.from_keras(model), network)


def test_normalization_of_sequences_and_half_of_it():
    network = nn.Sequential(
        [nn.BatchNorm(scale=False), nn.LayerNorm(center=False), nn.RNN(3, "relu")], seed=0
    )
    network.build((STEPS, FEATURES))
    network.layers[0].moving_mean = np.arange(4.0)
    network.layers[0].moving_variance = np.arange(1.0, 5.0)
    model = bridge.to_keras(network)
    same(network, model, inputs((STEPS, FEATURES)))
    equal(bridge.from_keras(model), network)


def test_layers_of_keras_own_making():
    model = keras.Sequential(
        [
            keras.Input((FEATURES,)),
            layers.Dense(6, "leaky_relu", name="first"),
            layers.ReLU(negative_slope=0.1),
            layers.Dense(5, bias_initializer="normal"),
            layers.ReLU(),
            layers.LeakyReLU(negative_slope=0.3),
            layers.Activation("leaky_relu"),
            layers.BatchNormalization(axis=1, epsilon=0.1),
            layers.Dense(5, kernel_regularizer=keras.regularizers.L2(0.01), trainable=False),
            layers.Softmax(),
            layers.Dense(2, kernel_regularizer="l1"),
        ]
    )
    network = bridge.from_keras(model, seed=4)
    same(network, model, inputs((FEATURES,)))
    assert [layer.name for layer in network.layers[:2]] == ["first", "first_activation"]
    kinds = "dense activation activation dense activation activation batch_norm dense dense"
    assert [layer.kind for layer in network.layers] == kinds.split()
    frozen, last = network.layers[-2:]
    assert (frozen.activation, frozen.trainable, network.seed) == ("softmax", False, 4)
    assert frozen.kernel_regularizer.l2 == pytest.approx(0.01)
    assert last.kernel_regularizer.l1 == pytest.approx(0.01)
    again = bridge.to_keras(network)
    np.testing.assert_array_equal(outputs_of(again, inputs((4,))), outputs_of(model, inputs((4,))))
    penalty, expected = (keras.ops.convert_to_numpy(sum(m.losses)) for m in (again, model))
    assert penalty == pytest.approx(expected, rel=1e-5)


def test_a_model_goes_through_a_file_of_keras(tmp_path):
    network = nn.Sequential([nn.Dense(3, "gelu_tanh"), nn.Activation("gelu_tanh")], seed=0)
    network.build(FEATURES)
    bridge.to_keras(network).save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    same(network, model, inputs((FEATURES,)))
    assert bridge.from_keras(model).layers[0].activation == "gelu_tanh"


class Own(layers.Dense):
    pass


REFUSED = [
    (layers.Flatten(), "Flatten"),
    (Own(3, name="own"), "'own'.*Own"),
    (layers.Dense(3, activation="relu6"), "activation=.*relu6"),
    (layers.Dense(3, kernel_regularizer="orthogonal_regularizer"), "kernel_regularizer"),
    (layers.Dense(3, bias_regularizer="l2"), "bias_regularizer"),
    (layers.Dense(3, kernel_constraint="non_neg"), "kernel_constraint"),
    (layers.ReLU(max_value=6), "max_value"),
    (layers.LSTM(3, dropout=0.5), "dropout"),
    (layers.LSTM(3, activation="relu"), "activation"),
    (layers.GRU(3, reset_after=False), "reset_after"),
    (layers.GRU(3, recurrent_activation="hard_sigmoid"), "recurrent_activation"),
    (layers.SimpleRNN(3, activation="sigmoid"), "activation"),
    (layers.LSTM(3, go_backwards=True), "go_backwards"),
    (layers.BatchNormalization(axis=1), "axis"),
    (layers.LayerNormalization(axis=[1, 2]), "axis"),
    (layers.Softmax(axis=1), "axis"),
]


@pytest.mark.parametrize(("layer", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_layers_without_counterpart_are_named(layer, message):
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), layer])
    with pytest.raises(ValueError, match=f"no counterpart.*{message}|{message}.*no counterpart"):
        bridge.from_keras(model)


def test_other_refusals():
    with pytest.raises(ValueError, match="no weights yet"):
        bridge.from_keras(keras.Sequential([layers.Dense(2)]))
    with pytest.raises(ArgumentTypeError, match=r"must be a keras\.Sequential"):
        bridge.from_keras(layers.Dense(2))
    mixed = keras.Sequential([keras.Input((4,)), layers.Dense(2, dtype="mixed_bfloat16")])
    with pytest.raises(ArgumentError, match=r"all layers must be float32, or all float64"):
        bridge.from_keras(mixed)
    endless = keras.Sequential([keras.Input((None, 4)), layers.GRU(2)])
    with pytest.raises(ArgumentError, match="fixed input shape"):
        bridge.from_keras(endless)
    with pytest.raises(ValueError, match="call build"):
        bridge.to_keras(nn.Sequential([nn.Dense(2)]))

    class OwnDense(nn.Dense):
        pass

    network = nn.Sequential([OwnDense(2)])
    network.build(3)
    with pytest.raises(ArgumentError, match=r"'dense_0'.*no counterpart"):
        bridge.to_keras(network)


def test_importing_the_adapter_does_not_load_the_networks():
    code = "import fastinit.keras, sys; assert 'fastinit.nn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
