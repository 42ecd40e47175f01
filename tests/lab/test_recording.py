"""Recordings of real trainings of `fastinit.nn`, and the file itself."""

import json
import math
import shlex
import sys

import numpy as np
import pytest

import fastinit
from fastinit import nn
from fastinit.errors import ArgumentError, ArgumentTypeError, UnknownNameError
from fastinit.lab.recording import FIGURES, Recorder, Recording

X = fastinit.normal((40, 6), 0.0, 1.0, seed=1)
Y = (X[:, 0] > 0).astype(np.int64)


def network(units=5, rate=0.1):
    layers = [nn.Dense(units, "tanh", name="first"), nn.Dense(2, name="out")]
    made = nn.Sequential(layers, seed=0)
    made.compile("categorical_crossentropy", nn.SGD(learning_rate=rate))
    return made


def train(made, recorder, epochs=3, **options):
    callbacks = [] if recorder is None else [recorder.callback()]
    return made.fit(X, Y, epochs=epochs, batch_size=8, verbose=0, callbacks=callbacks, **options)


def test_a_training_is_recorded_and_not_changed(tmp_path):
    alone, watched = network(), network()
    train(alone, None)
    recorder = Recorder(tmp_path / "run.jsonl", watched, X, Y, every=4)
    history = train(watched, recorder)
    for mine, theirs in zip(watched.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)

    found = Recording.load(tmp_path / "run.jsonl")
    assert found.steps.tolist() == [0, 4, 8, 12, 15]
    np.testing.assert_array_equal(found.epochs, [math.nan, 0, 1, 2, 2])
    assert (found.framework, found.layers, found.examples) == ("fastinit", ("first", "out"), 40)
    assert found.described[0]["fan_in"] == 6
    assert found.command == shlex.join(sys.argv)
    assert found.probe_losses[-1] == pytest.approx(watched.evaluate(X, Y)["loss"], rel=1e-5)
    assert np.isfinite(found.losses[1:]).all()
    assert len(history.history["loss"]) == 3
    # Each figure is that of a look at the same network.
    again = recorder._subject.observe(X, Y)
    for figure in ("spread", "gradient", "weight_std"):
        expected = [getattr(layer, figure) for layer in again.layers]
        np.testing.assert_allclose(found.values(figure)[-1], expected, rtol=1e-6)
    with pytest.raises(UnknownNameError, match="spraed"):
        found.values("spraed")


@pytest.mark.parametrize("every", [1, 3])
def test_the_update_is_the_one_that_training_made(tmp_path, every):
    made, kernels = network(), []

    class Keep(nn.Callback):
        def on_train_batch_end(self, batch, logs):
            kernels.append(made.layers[0].kernel.copy())

    recorder = Recorder(tmp_path / "run.jsonl", made, X, Y, every=every)
    made.compile("categorical_crossentropy", nn.Adam(learning_rate=0.01))
    made.build(6)
    kernels.append(made.layers[0].kernel.copy())
    made.fit(X, Y, batch_size=8, epochs=2, verbose=0, callbacks=[Keep(), recorder.callback()])
    found = Recording.load(recorder.path)
    ratios = found.values("update_ratio")[:, 0]
    assert math.isnan(ratios[0])
    for step, ratio in zip(found.steps.tolist()[1:], ratios[1:], strict=True):
        if step % every:
            assert math.isnan(ratio)
            continue
        change = np.linalg.norm(kernels[step] - kernels[step - 1])
        assert ratio == pytest.approx(change / np.linalg.norm(kernels[step]), rel=1e-5)


def test_numbers_that_are_not_finite_survive(tmp_path):
    made = network()
    recorder = Recorder(tmp_path / "run.jsonl", made, X, Y, every=5)

    class Breaks(nn.Callback):
        def on_epoch_end(self, epoch, logs):
            made.layers[0].kernel[0, 0] = np.inf

    with np.errstate(all="ignore"):
        made.fit(X, Y, epochs=3, batch_size=8, verbose=0, callbacks=[Breaks(), recorder.callback()])
    lines = (tmp_path / "run.jsonl").read_text().splitlines()

    def strict(name):
        raise AssertionError(f"{name} is no JSON")

    records = [json.loads(line, parse_constant=strict) for line in lines]
    assert records[-1]["figures"]["weight_std"][0] == "nan"
    assert records[1]["figures"]["gradient_through_time"] == [None, None]
    found = Recording.load(tmp_path / "run.jsonl")
    assert not np.isfinite(found.values("weight_std")[-1]).all()
    document = json.loads(found.to_json(), parse_constant=strict)
    assert document["figures"]["weight_std"][-1][0] is None
    assert len(document["steps"]) == len(found.steps)


def test_a_killed_training_is_read_and_gone_on_with(tmp_path):
    path, made = tmp_path / "run.jsonl", network()
    train(made, Recorder(path, made, X, Y, every=5))
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])  # the process died while it wrote
    assert Recording.load(path).steps.tolist() == [0, 5, 10]
    with pytest.raises(ArgumentError, match="append=True"):
        Recorder(path, made, X, Y)
    recorder = Recorder(path, made, X, Y, every=5, append=True)
    assert recorder.steps == 10
    train(made, recorder, epochs=1)
    assert Recording.load(path).steps.tolist() == [0, 5, 10, 15]
    assert path.read_bytes().startswith(whole[: whole.rindex(b'{"step":15')])

    other = network(units=4)
    other.layers[0].name = "another"
    before = path.read_bytes()
    with pytest.raises(ArgumentError, match="recording of the layers first, out; these are"):
        train(other, Recorder(path, other, X, Y, append=True))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("loss,1\n", "not a recording that this version reads"),
        ('{"recording":2}\n', "not a recording"),
        ("[1]\n", "not a recording"),
        ('{"recording":1,"layers":[]}\nbroken\n', "damaged, line 2"),
        ('{"recording":1,"layers":[]}\n{"step":1}\n', "damaged, line 2"),
    ],
)
def test_files_that_are_no_recordings(tmp_path, text, message):
    path = tmp_path / "run.jsonl"
    path.write_text(text)
    with pytest.raises(ArgumentError, match=message):
        Recording.load(path)


def test_a_full_disk_does_not_stop_the_training():
    made = network()
    recorder = Recorder("/dev/full", made, X, Y, every=2)
    with pytest.warns(UserWarning, match="recorded no further: cannot write '/dev/full'") as found:
        history = train(made, recorder)
    assert len(found) == 1
    assert len(history.history["loss"]) == 3
    assert recorder.steps == 15


def test_some_layers_and_wrong_arguments(tmp_path):
    made = network()
    train(made, Recorder(tmp_path / "run.jsonl", made, X, layers="o*"))
    found = Recording.load(tmp_path / "run.jsonl")
    assert found.layers == ("out",)
    assert np.isnan(found.probe_losses).all()
    assert (found.values("gradient") > 0).all()
    with pytest.raises(ArgumentError, match="every must be at least 1"):
        Recorder(tmp_path / "a.jsonl", made, X, every=0)
    with pytest.raises(OSError, match="nowhere"):
        Recorder(tmp_path / "nowhere" / "a.jsonl", made, X)
    with pytest.raises(ArgumentTypeError):
        Recorder(tmp_path / "b.jsonl", "network", X)
    assert not (tmp_path / "b.jsonl").exists()


def test_a_frame(tmp_path):
    made = network()
    train(made, Recorder(tmp_path / "run.jsonl", made, X, Y, every=5))
    frame = Recording.load(tmp_path / "run.jsonl").to_frame()
    assert list(frame.columns) == ["step", "epoch", "loss", "layer", *FIGURES]
    assert frame["layer"].tolist() == ["first", "out"] * 4
    assert frame["step"].tolist() == [0, 0, 5, 5, 10, 10, 15, 15]
