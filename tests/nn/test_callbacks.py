"""Callbacks: when they act, what they leave behind, what they refuse.

Patience, restoring and rates are compared with Keras' in tests/keras/test_keras_callbacks.py.
"""

import csv

import numpy as np
import problems
import pytest

from fastinit import nn
from fastinit.errors import ArgumentError, ArgumentTypeError

X, Y = problems.rings(50)
VALIDATION = problems.rings(30, seed=1)


def make(rate=0.01):
    layers = [nn.Dense(8, "tanh"), nn.BatchNorm(), nn.Dense(3)]
    network = nn.Sequential(layers, seed=0)
    network.compile(optimizer=nn.SGD(rate))
    return network


def fit(network, *callbacks, **options):
    options = {"epochs": 4, "verbose": 0, **options}
    return network.fit(X, Y, validation_data=VALIDATION, callbacks=callbacks, **options)


class Keep(nn.Callback):
    """Keeps the parameters and the logs of every epoch."""

    def __init__(self):
        self.weights, self.logs = [], []

    def on_epoch_end(self, epoch, logs):
        self.weights.append(self.model.get_weights())
        self.logs.append(dict(logs))


class Pretend(nn.Callback):
    """Logs values of its own under a name."""

    def __init__(self, name, values):
        self.name, self.values = name, values

    def on_epoch_end(self, epoch, logs):
        logs[self.name] = self.values[epoch]


def same(a, b):
    return all(map(np.array_equal, a, b))


def test_all_hooks_in_their_order():
    calls = []

    class All(nn.Callback):
        def on_train_begin(self, logs):
            calls.append(("train", logs))

        def on_epoch_begin(self, epoch, logs):
            calls.append(("epoch", epoch, logs))

        def on_train_batch_end(self, batch, logs):
            calls.append(("batch", batch, list(logs)))

        def on_epoch_end(self, epoch, logs):
            calls.append(("end", epoch, list(logs)))

        def on_train_end(self, logs):
            calls.append(("done", logs))

    record = make().fit(X, Y, batch_size=25, epochs=2, verbose=0, callbacks=[All()]).history
    batches = [("batch", i, ["loss", "accuracy"]) for i in range(2)]
    assert calls == [
        ("train", {}),
        *(
            call
            for epoch in range(2)
            for call in (("epoch", epoch, {}), *batches, ("end", epoch, ["loss", "accuracy"]))
        ),
        ("done", {name: values[-1] for name, values in record.items()}),
    ]


# Early stopping


@pytest.mark.parametrize("stops", [True, False])
def test_the_best_epoch_is_restored_with_its_moving_statistics(stops):
    keep, network = Keep(), make()
    stop = nn.EarlyStopping("val_loss", patience=2, mode="min", restore_best_weights=True)
    values = [0.5, 0.2, 0.4, 0.3] if stops else [0.5, 0.2, 0.4]
    record = fit(network, Pretend("val_loss", values), keep, stop, epochs=4 if stops else 3)
    assert record.history["val_loss"] == values
    assert (stop.best, stop.best_epoch, stop.stopped_epoch) == (0.2, 1, 3 if stops else 0)
    assert len(keep.weights[1]) == 8  # two layers' kernels and biases, and the normalization's four
    assert same(network.get_weights(), keep.weights[1])
    assert not same(keep.weights[1], keep.weights[2])


def test_without_restoring_the_last_epoch_stays():
    keep, network = Keep(), make()
    fit(network, Pretend("val_loss", [1.0, 2.0]), keep, nn.EarlyStopping())
    assert len(keep.weights) == 2
    assert same(network.get_weights(), keep.weights[-1])


def test_a_callback_serves_one_training_after_another():
    stop = nn.EarlyStopping("loss", patience=1)
    for values in ([1.0, 2.0], [5.0, 4.0, 6.0]):
        record = fit(make(), Pretend("loss", values), stop, epochs=9)
        assert len(record.epoch) == len(values)


def test_accuracies_shall_be_large_and_the_rest_small():
    for name, values in {
        "val_accuracy": [0.5, 0.6, 0.6],
        "top_k_categorical_accuracy": [0.5, 0.6, 0.6],
        "val_mae": [0.6, 0.5, 0.5],
        "loss": [0.6, 0.5, 0.5],
    }.items():
        stop = nn.EarlyStopping(name)
        assert len(fit(make(), Pretend(name, values), stop, epochs=9).epoch) == 3
        assert stop.best_epoch == 1


def test_a_missing_value_is_named_with_those_there_are():
    with pytest.warns(UserWarning, match="'val_mae'.*Known: loss, accuracy, val_loss") as seen:
        assert len(fit(make(), nn.EarlyStopping("val_mae"), epochs=2).epoch) == 2
    assert seen[0].filename == __file__


# Rates


def test_rates_are_set_before_the_epoch_and_recorded():
    schedule = nn.LearningRateScheduler(lambda epoch, rate: 0.5 if epoch < 2 else 0.0)
    keep, network = Keep(), make()
    record = fit(network, schedule, keep)
    assert record.history["learning_rate"] == [0.5, 0.5, 0.0, 0.0]
    assert network.learning_rate == 0.0
    kernels = [weights[0] for weights in keep.weights]
    assert not np.array_equal(kernels[0], kernels[1])
    np.testing.assert_array_equal(kernels[1], kernels[3])


def test_a_scheduler_begins_with_the_schedule_of_the_optimizer():
    rates = []
    network = make(nn.ExponentialDecay(0.5, decay_steps=2, decay_rate=0.5))
    scheduler = nn.LearningRateScheduler(lambda epoch, rate: rates.append(rate) or 0.25)
    fit(network, scheduler, epochs=2)
    assert rates == [0.5, 0.25]


def test_a_rate_changed_within_an_epoch_counts_from_the_next_batch():
    class Halt(nn.Callback):
        def on_train_batch_end(self, batch, logs):
            if batch == 0:
                self.model.learning_rate = 0.0
            weights.append(self.model.layers[0].kernel.copy())

    weights = []
    make().fit(X, Y, batch_size=10, verbose=0, callbacks=[Halt()])
    assert len(weights) == 5
    assert all(np.array_equal(weights[0], later) for later in weights[1:])


def test_a_plateau_lowers_the_rate():
    record = fit(
        make(0.5),
        Pretend("val_loss", [1.0] * 6),
        nn.ReduceLROnPlateau(factor=0.5, patience=2, min_lr=0.2),
        epochs=6,
    )
    assert record.history["learning_rate"] == [0.5, 0.5, 0.5, 0.25, 0.25, 0.2]


class Batches(nn.Callback):
    def __init__(self, *every):
        self.plan, self.calls, self.every = list(every[1:]), [], every[0]

    def on_train_batch_end(self, batch, logs):
        self.calls.append((self.model.steps, batch, logs["loss"]))
        self.every = self.plan.pop(0) if self.plan else self.every


def test_batches_between_calls_run_together():
    each, some, varied = Batches(1), Batches(4), Batches(3, 1)
    network = make()
    fit(network, each, some, varied, batch_size=8, epochs=3)  # 7 batches an epoch, the last smaller
    assert [step for step, _, _ in each.calls] == list(range(1, 22))
    assert [step for step, _, _ in some.calls] == [4, 8, 12, 16, 20]
    assert [batch for _, batch, _ in some.calls] == [3, 0, 4, 1, 5]
    assert [step for step, _, _ in varied.calls] == [3, *range(4, 22)]

    alone = Batches(4)
    together = make()
    fit(together, alone, batch_size=8, epochs=3)
    assert same(network.get_weights(), together.get_weights())
    losses = [loss for _, _, loss in each.calls]
    # Of batches 0 to 3; of 7, which ended at the epoch's end, nothing is left in the logs of 8.
    assert alone.calls[0][2] == pytest.approx(np.mean(losses[:4]))
    assert alone.calls[1][2] == pytest.approx(losses[7])


@pytest.mark.parametrize("every", [0, -1])
def test_no_callback_comes_less_than_once(every):
    with pytest.raises(ArgumentError, match=f"every must be at least 1, got {every}"):
        fit(make(), Batches(every))


# A loss that is no number


class Break(nn.Callback):
    def on_train_batch_end(self, batch, logs):
        if batch == 1:
            self.model.layers[0].kernel[0, 0] = np.nan


@pytest.mark.parametrize("terminate", [True, False])
def test_a_loss_that_is_no_number_ends_the_training_if_so_asked(terminate):
    network = make()
    callbacks = [Break(), *([nn.TerminateOnNaN()] if terminate else [])]
    record = fit(network, *callbacks, batch_size=10)
    assert record.epoch == ([0] if terminate else [0, 1, 2, 3])
    assert np.isnan(record.history["loss"]).all()
    assert network.steps == (3 if terminate else 20)


def test_the_compiled_loop_stops_after_the_batch():
    network = nn.Sequential([nn.Dense(1, kernel_initializer="ones")])
    network.compile("mean_squared_error", nn.SGD(learning_rate=1e6))
    x = np.linspace(-100, 100, 64)[:, None]
    record = network.fit(x, 2 * x, 100, verbose=0, callbacks=[nn.TerminateOnNaN()])
    assert not np.isfinite(record.history["loss"][-1])
    assert np.isfinite(record.history["loss"][:-1]).all()
    assert 0 < network.steps < 2 * len(record.epoch) + 1
    assert not np.isfinite(network.evaluate(x, 2 * x)["loss"])


# Files


def rows(path, delimiter=","):
    with open(path, newline="") as file:
        return list(csv.reader(file, delimiter=delimiter))


def test_every_line_is_in_the_file_when_its_epoch_has_ended(tmp_path):
    path, seen = tmp_path / "log.csv", []
    log = nn.CSVLogger(path, separator=";")
    record = fit(make(), log, lambda epoch, logs: seen.append(path.read_text()), epochs=3)
    header, *lines = rows(path, ";")
    assert header == ["epoch", *record.history]
    expected = np.column_stack([record.epoch, *record.history.values()])
    np.testing.assert_array_equal(np.array(lines, float), expected)
    assert [text.count("\n") for text in seen] == [2, 3, 4]
    assert all(text.endswith("\n") for text in seen)


def test_a_file_is_continued_or_begun_anew(tmp_path):
    path = tmp_path / "log.csv"
    log = nn.CSVLogger(path, append=True)
    fit(make(), log, epochs=2)
    whole = path.read_text()
    path.write_text(whole + "2,0.5,0.")  # as if the machine had stopped in the middle of a line
    fit(make(), Pretend("extra", [1.0]), log, epochs=1)
    assert path.read_text().startswith(whole)
    assert [row[0] for row in rows(path)] == ["epoch", "0", "1", "0"]
    assert len({len(row) for row in rows(path)}) == 1
    make().fit(X, Y, verbose=0, callbacks=[log])
    assert rows(path)[-1][-2:] == ["NA", "NA"]  # nothing to validate on this time
    fit(make(), nn.CSVLogger(path), epochs=1)
    assert [row[0] for row in rows(path)] == ["epoch", "0"]


def test_a_folder_that_is_not_there_is_known_before_the_training(tmp_path):
    network = make()
    with pytest.raises(FileNotFoundError):
        fit(network, nn.CSVLogger(tmp_path / "no" / "log.csv"))
    assert network.steps == 0


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_checkpoints_are_named_by_epoch_and_values_and_load(tmp_path):
    pytest.importorskip("safetensors")
    keep, network = Keep(), make()
    path = tmp_path / "new" / "{epoch:02d}-{val_loss:.2f}.safetensors"
    fit(network, keep, nn.ModelCheckpoint(path), epochs=3)
    assert names(tmp_path / "new") == [
        f"{epoch:02d}-{logs['val_loss']:.2f}.safetensors" for epoch, logs in enumerate(keep.logs, 1)
    ]
    for name, weights in zip(names(tmp_path / "new"), keep.weights, strict=True):
        assert same(nn.Sequential.load(tmp_path / "new" / name).get_weights(), weights)


def test_only_better_epochs_are_saved(tmp_path):
    pytest.importorskip("safetensors")
    keep, network, path = Keep(), make(), tmp_path / "best.safetensors"
    values = Pretend("val_accuracy", [0.5, 0.8, 0.8, 0.6])
    options = {"monitor": "val_accuracy", "save_best_only": True, "save_weights_only": True}
    checkpoint = nn.ModelCheckpoint(path, **options)
    fit(network, values, keep, checkpoint)
    assert checkpoint.best == 0.8
    network.load_weights(path)
    assert same(network.get_weights(), keep.weights[1])
    path.unlink()
    fit(network, Pretend("val_accuracy", [0.7]), checkpoint, epochs=1)  # 0.8 was better
    assert names(tmp_path) == []
    with pytest.warns(UserWarning, match="'val_mae'"):
        fit(network, nn.ModelCheckpoint(path, "val_mae", save_best_only=True), epochs=1)
    assert names(tmp_path) == ["best.safetensors"]


def test_checkpoints_after_batches(tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "{epoch}-{batch}.safetensors"
    options = {"batch_size": 20, "epochs": 2, "verbose": 0}
    make().fit(X, Y, callbacks=[nn.ModelCheckpoint(path, save_freq=2)], **options)
    assert names(tmp_path) == ["1-2.safetensors", "2-1.safetensors", "2-3.safetensors"]


def test_whole_epochs_run_compiled_unless_batches_are_asked_for(monkeypatch):
    runs = []
    run = nn.training.Trainer.run
    monkeypatch.setattr(nn.training.Trainer, "run", lambda self, n: runs.append(n) or run(self, n))
    checkpoint = nn.ModelCheckpoint("never", save_freq=10**9)
    for callback, expected in ((nn.EarlyStopping("loss"), [2]), (checkpoint, [1, 1])):
        runs.clear()
        fit(make(), callback, epochs=1)
        assert runs == expected


# Faults


def test_an_exception_of_a_callback_comes_through_and_the_network_goes_on():
    def fail(epoch, logs):
        if epoch == 1:
            raise RuntimeError("out of paper")

    network, other = make(), make()
    with pytest.raises(RuntimeError, match="out of paper"):
        fit(network, fail)
    assert len(network.history.epoch) == 1
    assert network.epochs == 2
    fit(other, epochs=2)
    assert same(network.get_weights(), other.get_weights())
    assert fit(network, epochs=1).history == fit(other, epochs=1).history
    assert same(network.get_weights(), other.get_weights())


@pytest.mark.parametrize(
    ("make_callback", "error", "message"),
    [
        (lambda: nn.EarlyStopping(patience=-1), ArgumentError, "patience must be at least 0"),
        (lambda: nn.EarlyStopping(patience=1.5), ArgumentTypeError, "patience must be a whole"),
        (lambda: nn.EarlyStopping(mode="least"), ArgumentError, "mode must be.*got 'least'"),
        (lambda: nn.EarlyStopping("val_f1"), ArgumentError, "'auto' does not know.*'val_f1'"),
        (lambda: nn.EarlyStopping(min_delta=-1), ArgumentError, "min_delta must be at least 0"),
        (lambda: nn.EarlyStopping(baseline="0"), ArgumentTypeError, "baseline must be a number"),
        (lambda: nn.ReduceLROnPlateau(factor=1), ArgumentError, "factor .* below 1, got 1"),
        (lambda: nn.ReduceLROnPlateau(cooldown=-1), ArgumentError, "cooldown"),
        (lambda: nn.LearningRateScheduler(0.1), ArgumentTypeError, "callable, got 0.1"),
        (lambda: nn.ModelCheckpoint("x", save_freq="batch"), ArgumentError, "save_freq.*'batch'"),
        (lambda: nn.ModelCheckpoint("x", save_freq=0), ArgumentError, "save_freq.*got 0"),
        (lambda: nn.ModelCheckpoint(None), TypeError, "NoneType"),
        (lambda: nn.CSVLogger("x", separator=", "), ArgumentError, "one character, got ', '"),
    ],
)
def test_bad_arguments_are_refused(make_callback, error, message):
    with pytest.raises(error, match=message):
        make_callback()


@pytest.mark.parametrize(
    ("callback", "error", "message"),
    [
        (nn.LearningRateScheduler(lambda epoch: None), ArgumentTypeError, "number, got None"),
        (nn.LearningRateScheduler(lambda epoch: -1), ArgumentError, "at least 0.*got -1"),
        (nn.ModelCheckpoint("{eopch}"), ArgumentError, "'{eopch}'.*Known: epoch, loss, accuracy"),
        (nn.ModelCheckpoint("{loss:q}"), ArgumentError, "cannot fill in the file name"),
    ],
)
def test_what_shows_only_in_training_is_refused_there(callback, error, message):
    with pytest.raises(error, match=message):
        fit(make(), callback)
