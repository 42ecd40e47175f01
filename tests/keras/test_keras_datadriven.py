"""LSUV and data-dependent initialization of Keras models."""

import numpy as np
import pytest

import fastinit
from fastinit.errors import ArgumentError
from tests.datadriven import FEATURES, X, spread
from tests.frameworks import require

keras = require("keras")
ours = pytest.importorskip("fastinit.keras")
layers = keras.layers
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
GRADIENTS = keras.backend.backend() in ("torch", "jax")
IMAGES = fastinit.normal((24, 6, 6, 3), 1.0, 3.0, seed=0)


@pytest.fixture(autouse=True)
def quickly_built():
    with ours.patch():  # JAX would compile each of Keras' draws
        yield


def perceptron(activation="relu", depth=5):
    hidden = [
        layers.Dense(40, activation, kernel_initializer="random_normal", name=f"dense_{i}")
        for i in range(depth)
    ]
    return keras.Sequential(
        [keras.Input((FEATURES,)), *hidden, layers.Dense(10, "softmax", name="last")], name="net"
    )


def pre_activations(model, x=X):
    """Return what a chain of dense layers makes of the data, in NumPy."""
    made = []
    for layer in model.layers:
        kernel, bias = layer.get_weights()
        made.append(x @ kernel + bias)
        x = np.maximum(made[-1], 0) if layer.activation.__name__ == "relu" else np.tanh(made[-1])
    return made


def convolutions():
    inputs = keras.Input((6, 6, 3))
    h = layers.Conv2D(12, 3, padding="same", activation="relu", name="conv")(inputs)
    h = layers.BatchNormalization(name="norm")(h)
    h = layers.Dropout(0.5)(h)
    h = layers.Conv2DTranspose(8, 3, activation="relu", name="up")(h)
    h = layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu", name="depthwise")(h)
    h = layers.Reshape((36, 16))(h)
    h = layers.EinsumDense("abc,cd->abd", (36, 8), bias_axes="d", name="einsum")(h)
    h = layers.MultiHeadAttention(2, 4, name="attention")(h, h)
    h = layers.Flatten()(h)
    return keras.Model(inputs, layers.Dense(4, "softmax", name="last")(h))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_lsuv_gives_every_layer_variance_one(activation):
    model = perceptron(activation)
    assert pre_activations(model)[-1].std() < 0.2
    records = ours.lsuv(model, X, seed=0)
    stds = [made.std() for made in pre_activations(model)]
    np.testing.assert_allclose(stds, 1.0, atol=0.1)
    np.testing.assert_allclose([r.std_after for r in records], stds, rtol=1e-3)
    kernel = model.layers[1].get_weights()[0]
    np.testing.assert_allclose(
        kernel.T @ kernel, np.mean(np.sum(kernel**2, axis=0)) * np.eye(40), atol=1e-4
    )
    again = perceptron(activation)
    ours.lsuv(again, lambda: X, seed=0)  # the names decide
    np.testing.assert_array_equal(again.layers[1].get_weights()[0], kernel)


def test_layers_of_all_kinds():
    model = convolutions()
    norm = [value.copy() for value in model.get_layer("norm").get_weights()]
    records = ours.lsuv(model, IMAGES, seed=0)
    names = [record.name for record in records]
    inner = [f"attention/{name}/kernel" for name in ("query", "key", "value", "attention_output")]
    one = ["conv/kernel", "up/kernel", "depthwise/kernel", "einsum/kernel"]
    assert names == [*one, *inner, "last/kernel"]
    assert all(record.converged for record in records)
    for before, after in zip(norm, model.get_layer("norm").get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert not any("call" in vars(layer) for layer in model.layers)
    assert model.get_layer("last").activation.__name__ == "softmax"


def test_data_dependent_normalizes_each_channel():
    model = convolutions()
    records = ours.data_dependent(model, IMAGES, rates=False, seed=0)
    assert all(record.converged for record in records)
    conv = model.get_layer("conv")
    conv.activation = None
    made = keras.ops.convert_to_numpy(conv(IMAGES))
    np.testing.assert_allclose(made.mean(axis=(0, 1, 2)), 0.0, atol=0.01)
    np.testing.assert_allclose(made.std(axis=(0, 1, 2)), 1.0, atol=0.01)


@pytest.mark.skipif(not GRADIENTS, reason="a backend with gradients")
def test_rates_become_equal_and_outputs_stay():
    model, control = perceptron(), perceptron()
    records = ours.data_dependent(model, X, seed=0)
    ours.data_dependent(control, X, rates=False, seed=0)
    assert spread([r.rate for r in records]) < 1.001
    np.testing.assert_allclose(
        pre_activations(model)[-1], pre_activations(control)[-1], rtol=1e-2, atol=1e-3
    )
    assert abs(pre_activations(model)[0].std() - pre_activations(control)[0].std()) > 0.1


@pytest.mark.skipif(GRADIENTS, reason="a backend without gradients")
def test_without_gradients_it_is_said():
    with pytest.raises(ArgumentError, match="rates=False"):
        ours.data_dependent(perceptron(), X)


def test_a_model_that_is_not_built_and_a_layer_that_is_frozen():
    model = keras.Sequential([layers.Dense(8, trainable=False), layers.Dense(4, name="b")])
    records = ours.lsuv(model, X, seed=0)
    assert [record.name.split("/")[-2] for record in records] == ["b"]


@pytest.mark.parametrize(
    ("model", "x", "words"),
    [
        (perceptron(), np.full((4, FEATURES), np.nan, np.float32), "finite"),
        (perceptron(), np.zeros((4, FEATURES), np.float32), "dense_0/kernel.*the same for all"),
        (keras.Sequential([keras.Input((FEATURES,)), layers.ReLU()]), X, "no layer"),
    ],
)
def test_errors_change_nothing(model, x, words):
    before = model.get_weights()
    with pytest.raises(ArgumentError, match=words):
        ours.lsuv(model, x, seed=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not any("call" in vars(layer) for layer in model.layers)
