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
from fastinit.lab.observation import HISTOGRAMS
from fastinit.lab.recording import FIGURES, Recorder, Recording

X = fastinit.normal((40, 6), 0.0, 1.0, seed=1)
Y = (X[:, 0] > 0).astype(np.int64)


def network(units=5, rate=0.1):
    layers = [nn.Dense(units, "tanh", name="first"), nn.Dense(2, name="out")]
    made = nn.Sequential(layers, seed=0)
    made.compile("categorical_crossentropy", nn.SGD(learning_rate=rate))
    return made


def train(made, recorder, epochs=3, stop=None, **options):
    callbacks = [] if recorder is None else [recorder.callback()]
    callbacks += [] if stop is None else [stop]
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
    assert found.command.endswith(shlex.join(sys.argv))
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


class Kernels(nn.Callback):
    """Keeps the first kernel before training and after each step."""

    def __init__(self, made):
        made.build(6)
        self.kept = [made.layers[0].kernel.copy()]

    def on_train_batch_end(self, batch, logs):
        self.kept.append(self.model.layers[0].kernel.copy())

    def check(self, found, every):
        """Each update is that of the one step before the record."""
        for step, ratio in zip(found.steps, found.values("update_ratio")[:, 0], strict=True):
            if step == 0 or step % every:
                assert math.isnan(ratio)
                continue
            change = np.linalg.norm(self.kept[step] - self.kept[step - 1])
            assert ratio == pytest.approx(change / np.linalg.norm(self.kept[step]), rel=1e-5)


@pytest.mark.parametrize(("every", "steps"), [(2, [*range(0, 15, 2), 15]), (7, [0, 7, 14, 15])])
def test_batches_between_records_run_together(tmp_path, every, steps):
    """An epoch has 5 batches: the records fall where they fall, whoever else is called between."""
    made, watched = network(), network()
    alone = Recorder(tmp_path / "alone.jsonl", made, X, Y, every=every)
    calls = []
    callback = alone.callback()
    called = callback.on_train_batch_end
    callback.on_train_batch_end = lambda *arguments: (calls.append(alone.steps), called(*arguments))
    made.fit(X, Y, epochs=3, batch_size=8, verbose=0, callbacks=[callback])
    assert len(calls) <= 2 * (15 // every) + 1
    found = Recording.load(alone.path)
    assert found.steps.tolist() == steps

    beside, kernels = Recorder(tmp_path / "b.jsonl", watched, X, Y, every=every), Kernels(watched)
    each = [kernels, beside.callback()]
    watched.fit(X, Y, epochs=3, batch_size=8, verbose=0, callbacks=each)
    again = Recording.load(beside.path)
    kernels.check(again, every)
    for figure in FIGURES:
        np.testing.assert_array_equal(found.values(figure), again.values(figure))
    turns = found.steps % every == 0
    np.testing.assert_array_equal(found.losses[turns], again.losses[turns])
    assert np.isfinite(found.losses[turns][1:]).all()


def test_a_training_that_stops_early(tmp_path):
    made = network()
    recorder = Recorder(tmp_path / "run.jsonl", made, X, Y, every=4)

    class Stop(nn.Callback):
        every = 7

        def on_train_batch_end(self, batch, logs):
            self.model.stop_training = True

    train(made, recorder, stop=Stop())
    assert Recording.load(recorder.path).steps.tolist() == [0, 4, 7]

    class Break(nn.TerminateOnNaN):
        def on_epoch_end(self, epoch, logs):
            self.model.layers[1].kernel[:] = np.nan

    made = network()
    recorder = Recorder(tmp_path / "nan.jsonl", made, X, Y, every=4)
    train(made, recorder, stop=Break())
    assert Recording.load(recorder.path).steps.tolist() == [0, 4, 6]


def test_one_callback_for_two_trainings_and_a_file_gone_on_with(tmp_path):
    made = network()
    kernels = Kernels(made)
    path = tmp_path / "run.jsonl"
    callback = Recorder(path, made, X, Y, every=4).callback()
    for _ in range(2):  # 5 steps each
        made.fit(X, Y, epochs=1, batch_size=8, verbose=0, callbacks=[callback, kernels])
    assert Recording.load(path).steps.tolist() == [0, 4, 5, 8, 10]
    recorder = Recorder(path, made, X, Y, every=4, append=True)
    made.fit(X, Y, epochs=2, batch_size=8, verbose=0, callbacks=[recorder.callback(), kernels])
    found = Recording.load(path)
    assert found.steps.tolist() == [0, 4, 5, 8, 10, 12, 16, 20]
    kernels.check(found, every=4)


def test_steps_taken_together_have_no_update_of_one_step(tmp_path):
    """As Keras takes them, with ``steps_per_execution``."""
    made = network()
    made.build(6)
    recorder = Recorder(tmp_path / "run.jsonl", made, X, Y, every=1)
    recorder.begin()
    for number in (1, 3, 1):
        made.layers[0].kernel[0, 0] += 1.0
        recorder._count(number, None, None)
    found = Recording.load(recorder.path)
    assert found.steps.tolist() == [0, 1, 4, 5]
    assert np.isnan(found.values("update_ratio")[:, 0]).tolist() == [True, False, True, False]


def test_histograms_are_those_of_a_look(tmp_path):
    made = network()
    recorder = Recorder(tmp_path / "run.jsonl", made, X, Y, every=5)
    first = recorder._subject.observe(X, Y)
    train(made, recorder)
    last = recorder._subject.observe(X, Y)
    found = Recording.load(recorder.path)
    for figure in HISTOGRAMS:
        for record, look in ((0, first), (-1, last)):
            for kept, layer in zip(found.histograms(record, figure), look.layers, strict=True):
                expected = getattr(layer, figure)
                assert kept.counts == expected.counts
                assert (kept.low, kept.high) == pytest.approx((expected.low, expected.high), 1e-6)
    assert found.histograms(0) != found.histograms(-1)
    with pytest.raises(UnknownNameError, match="histogarm"):
        found.histograms(0, "histogarm")
    assert len(json.loads(found.to_json())["histograms"]) == len(found.steps)
    assert not set(found.to_frame()) & set(HISTOGRAMS)

    lines = [json.loads(line) for line in recorder.path.read_text().splitlines()]
    for line in lines[1:]:
        del line["histograms"]  # a file from before there were any
    recorder.path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    found = Recording.load(recorder.path)
    assert found.histograms(0) == (None, None)
    assert json.loads(found.to_json())["figures"]["spread"]


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


def test_the_command_is_what_one_would_type(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["my train.py", "--steps", "9"])
    made = network()
    train(made, Recorder(tmp_path / "run.jsonl", made, X, Y))
    assert Recording.load(tmp_path / "run.jsonl").command == "python 'my train.py' --steps 9"
