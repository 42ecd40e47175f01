"""Keras models that are sick, each with a cure that works, and sound ones without an alarm."""

from __future__ import annotations

import pytest

from fastinit.lab.data import load_data
from fastinit.lab.diagnosis import diagnose
from tests.frameworks import require

keras = require("keras")

# Keras makes arrays of PyTorch's tensors without the keyword that NumPy 2 asks for.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def digits():
    data = load_data("digits")
    return data.x_train[:64].reshape(-1, 8, 8, 1), data.y_train[:64]


def convolutions(layers, std=None, channels=8, window=3):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8, 1))])
    for number in range(layers):
        kernel = (
            "glorot_uniform" if std is None else keras.initializers.RandomNormal(0, std, number)
        )
        model.add(
            keras.layers.Conv2D(
                channels, window, padding="same", activation="relu", kernel_initializer=kernel
            )
        )
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(10))
    return model


def test_convolutions_with_wrong_fans(digits):
    # Fans without the window of 5 x 5: five times too large a std, in each of six layers.
    found = diagnose(convolutions(6, std=(2 / 8) ** 0.5, window=5), *digits, steps=15)
    assert found.verdict.split(", ")[0] == "exploding"
    assert "fan_in 200 (its rule gives 0.1)" in found.sentences[0]
    assert found.cured
    assert found.cure.losses[-1] < 0.5 * found.losses[-1]


def test_one_initializer_for_all_draws_the_same(digits):
    one = keras.initializers.RandomNormal(stddev=0.15, seed=1)
    model = keras.Sequential([keras.Input((16,))])
    for _ in range(3):
        model.add(keras.layers.Dense(16, "relu", kernel_initializer=one))
    model.add(keras.layers.Dense(2))
    found = diagnose(model, digits[0].reshape(-1, 16), try_cure=False)
    assert found.verdict == "copied"


def test_no_alarm_for_what_keras_draws(digits):
    assert diagnose(convolutions(3), *digits).verdict == "healthy"
