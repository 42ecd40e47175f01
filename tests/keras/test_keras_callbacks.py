"""The callbacks of `fastinit.nn` against Keras', fed the same values."""

import types
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastinit import nn
from tests.frameworks import require

keras = require("keras")
# Keras' own way from PyTorch to NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

# Multiples of 1/8: differences of such numbers are exact in float32 and float64.
eighths = st.integers(-8, 8).map(lambda i: i / 8)
values = st.lists(eighths | st.just(float("nan")), min_size=1, max_size=12)
deltas = st.sampled_from([0.0, 0.125, 0.5])


class Model:
    """What callbacks need of a network: its weights are the number of the epoch."""

    def __init__(self):
        self.stop_training = False
        self.learning_rate = 1.0
        self.optimizer = types.SimpleNamespace(learning_rate=1.0)
        self.weights = None
        self.restored = None

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.restored = weights

    def rates(self, steps):
        return np.full(steps, self.learning_rate)


def train(callback, record):
    """Return what a training with these values of the loss leaves behind."""
    model, rates = Model(), []
    if isinstance(callback, nn.Callback):
        callback.model = model
    else:
        callback.set_model(model)
    callback.on_train_begin({})
    for epoch, loss in enumerate(record):
        callback.on_epoch_begin(epoch, {})
        model.weights = [epoch]
        logs = {} if loss is None else {"loss": loss}
        callback.on_epoch_end(epoch, logs)
        rates.append(logs.get("learning_rate"))
        ours = isinstance(callback, nn.Callback)
        rates.append(model.learning_rate if ours else model.optimizer.learning_rate)
        if model.stop_training:
            break
    callback.on_train_end({})
    return epoch, model.restored, getattr(callback, "best_epoch", None), np.array(rates, float)


def compare(name, record, **options):
    got = train(getattr(nn, name)("loss", **options), record)
    expected = train(getattr(keras.callbacks, name)("loss", **options), record)
    assert got[:3] == expected[:3]
    np.testing.assert_allclose(got[3], expected[3], rtol=1e-6)


@settings(max_examples=200)
@given(
    record=values,
    patience=st.integers(0, 3),
    mode=st.sampled_from(["auto", "min", "max"]),
    min_delta=deltas,
    baseline=st.none() | eighths,
    restore_best_weights=st.booleans(),
    start_from_epoch=st.integers(0, 2),
)
def test_early_stopping_stops_and_restores_as_keras_does(record, **options):
    compare("EarlyStopping", record, **options)


@settings(max_examples=100)
@given(
    record=values,
    patience=st.integers(0, 3),
    mode=st.sampled_from(["auto", "min", "max"]),
    min_delta=deltas,
    factor=st.sampled_from([0.5, 0.25]),
    cooldown=st.integers(0, 2),
    min_lr=st.sampled_from([0.0, 0.375]),
)
def test_the_rate_on_a_plateau_is_that_of_keras(record, **options):
    compare("ReduceLROnPlateau", record, **options)


@pytest.mark.parametrize("schedule", [lambda epoch, rate: rate * 0.5**epoch, lambda epoch: 0.1])
def test_a_scheduler_calls_its_function_as_keras_does(schedule):
    got = train(nn.LearningRateScheduler(schedule), [0.5] * 4)
    expected = train(keras.callbacks.LearningRateScheduler(schedule), [0.5] * 4)
    np.testing.assert_allclose(got[3], expected[3], rtol=1e-6)


@pytest.mark.parametrize("name", ["EarlyStopping", "ReduceLROnPlateau"])
def test_a_missing_value_is_warned_of_as_in_keras(name):
    for library in (nn, keras.callbacks):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            stopped, *_ = train(getattr(library, name)("loss", mode="min"), [None, None])
        assert stopped == 1
        assert [w.category for w in seen if "loss" in str(w.message)] == [UserWarning] * 2


def both(loss, units, **compiled):
    """Return a network of ours and Keras' own, with the same parameters."""
    ours = nn.Sequential([nn.Dense(4, "tanh"), nn.Dense(units)], seed=1)
    ours.compile("categorical_crossentropy" if units > 1 else loss, nn.SGD(0.0))
    ours.build(3)
    theirs = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(units)]
    )
    theirs.set_weights(ours.get_weights())
    theirs.compile(loss=loss, optimizer=keras.optimizers.SGD(0.0), **compiled)
    return ours, theirs


@pytest.mark.parametrize("weights", ["sample_weight", "class_weight", None])
@pytest.mark.parametrize("batch_size", [4, 100])
def test_weighted_losses_are_those_of_keras(weights, batch_size):
    x = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
    y = np.arange(10) % 3
    options = {
        "sample_weight": {"sample_weight": np.linspace(0, 2, 10, dtype=np.float32)},
        "class_weight": {"class_weight": {0: 3.0, 2: 0.5}},
        None: {},
    }[weights]
    entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    ours, theirs = both(entropy, 3, metrics=["accuracy"])
    share = {"validation_split": 0.3} if weights != "class_weight" else {}
    records = [
        network.fit(x, y, batch_size=batch_size, verbose=0, shuffle=False, **options, **share)
        for network in (ours, theirs)
    ]
    assert set(records[0].history) == set(records[1].history)
    for name, value in records[0].history.items():
        np.testing.assert_allclose(value, records[1].history[name], rtol=1e-5)


def stop_after_two(base, seen):
    class Stop(base):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(("batch", batch))
            self.model.stop_training = batch == 1

        def on_epoch_end(self, epoch, logs=None):
            seen.append(("epoch", epoch))

    return Stop()


def test_stopping_after_a_batch_is_at_once_as_in_keras():
    networks = both("mean_squared_error", 1)
    x, y = np.ones((10, 3), np.float32), np.ones((10, 1), np.float32)
    for network, base in zip(networks, (nn.Callback, keras.callbacks.Callback), strict=True):
        seen = []
        stop = stop_after_two(base, seen)
        record = network.fit(x, y, batch_size=2, epochs=3, verbose=0, callbacks=[stop])
        assert seen == [("batch", 0), ("batch", 1), ("epoch", 0)]
        assert record.epoch == [0]
