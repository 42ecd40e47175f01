"""Recording what Keras' `fit` does."""

import math

import numpy as np
import pytest

import fastinit
from fastinit.lab.recording import Recorder, Recording
from tests.frameworks import require

keras = require("keras")
if keras.backend.backend() not in ("jax", "torch"):
    pytest.skip("only jax and torch are looked into", allow_module_level=True)

# Keras' own way from PyTorch to NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

X = fastinit.normal((40, 6), 0.0, 1.0, seed=1)
Y = (X[:, 0] > 0).astype(np.int64)


def model(**options):
    layers = [
        keras.layers.Dense(5, "tanh", kernel_initializer=keras.initializers.HeNormal(1), name="a"),
        keras.layers.Dropout(0.5, seed=1),
        keras.layers.Dense(2, kernel_initializer=keras.initializers.HeNormal(2), name="out"),
    ]
    made = keras.Sequential([keras.Input((6,)), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    made.compile(keras.optimizers.Adam(0.01), loss, **options)
    return made


def fit(made, callbacks=()):
    made.fit(X, Y, batch_size=8, epochs=3, shuffle=False, verbose=0, callbacks=list(callbacks))
    return made.get_weights()


class Keep(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.kernels = []

    def on_train_batch_end(self, batch, logs=None):
        self.kernels.append(np.array(self.model.get_layer("a").kernel))


def test_a_training_is_recorded_and_not_changed(tmp_path):
    expected = fit(model())
    made, keep = model(), Keep()
    recorder = Recorder(tmp_path / "run.jsonl", made, X, Y, every=4)
    for mine, theirs in zip(fit(made, [keep, recorder.callback()]), expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    found = Recording.load(recorder.path)
    assert (found.framework, found.layers) == ("keras", ("a", "out"))
    assert found.steps.tolist() == [0, 4, 8, 12, 15]
    np.testing.assert_array_equal(found.epochs, [math.nan, 0, 1, 2, 2])
    assert np.isfinite(found.losses[1:]).all()
    assert found.probe_losses[-1] == pytest.approx(made.evaluate(X, Y, verbose=0), rel=1e-5)
    changes = found.values("update_ratio")[:, 0]
    for record, step in ((1, 4), (2, 8), (3, 12)):
        after, before = keep.kernels[step - 1], keep.kernels[step - 2]
        ratio = np.linalg.norm(after - before) / np.linalg.norm(after)
        assert changes[record] == pytest.approx(ratio, rel=1e-4)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="takes one step at a time")
def test_several_steps_at_a_time(tmp_path):
    made = model(steps_per_execution=2)
    recorder = Recorder(tmp_path / "run.jsonl", made, X, Y, every=3)
    fit(made, [recorder.callback()])
    found = Recording.load(recorder.path)
    assert found.steps[-1] == 15
    assert len(found.steps) == 6
