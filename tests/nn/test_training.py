"""Training: what is learnt, what is recorded, what is refused."""

import copy
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import problems
import pytest

from fastinit import kernels, nn
from fastinit.errors import ArgumentError, ArgumentTypeError, FastinitError, UnknownNameError


def make(seed=0, initializer="glorot_uniform", activation="tanh", last="linear", units=3):
    hidden = [nn.Dense(16, activation, initializer) for _ in range(2)]
    network = nn.Sequential([*hidden, nn.Dense(units, last, initializer)], seed=seed)
    network.compile(optimizer=nn.Adam(learning_rate=0.01))
    return network


def fit(network, **options):
    x, y = problems.rings()
    return network.fit(x, y, verbose=0, **options)


def flat(gradients):
    return [gradient for layer in gradients for gradient in layer.values()]


def same_weights(a, b):
    return all(map(np.array_equal, a.get_weights(), b.get_weights()))


@pytest.mark.parametrize(
    ("loss", "last", "units"),
    [
        ("binary_crossentropy", "sigmoid", 1),
        ("mean_squared_error", "sigmoid", 1),
        ("categorical_crossentropy", "softmax", 2),
    ],
)
@pytest.mark.parametrize("optimizer", [nn.Adam(learning_rate=0.1), nn.SGD(learning_rate=2.0)])
def test_learns_xor(loss, last, units, optimizer):
    network = nn.Sequential([nn.Dense(8, "tanh"), nn.Dense(units, last)], seed=3)
    network.compile(loss, optimizer)
    network.fit(problems.XOR_X, problems.XOR_Y, epochs=400, batch_size=4, verbose=0)
    outputs = network.predict(problems.XOR_X)
    decisions = outputs.argmax(axis=1) if units == 2 else (outputs[:, 0] > 0.5).astype(int)
    np.testing.assert_array_equal(decisions, problems.XOR_Y)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh"])
def test_learns_rings_and_generalizes(activation):
    network = make(activation=activation, initializer="glorot_normal")
    history = fit(network, epochs=60, validation_data=problems.rings(200, seed=1)).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert history["val_accuracy"][-1] > 0.85


def test_the_same_seed_gives_the_same_bits():
    first, second, third = make(seed=5), make(seed=5), make(seed=6)
    records = [fit(network, epochs=3).history for network in (first, second, third)]
    assert records[0] == records[1] != records[2]
    assert same_weights(first, second)
    assert not same_weights(first, third)


def test_training_can_be_continued():
    whole, parts = make(), make()
    expected = fit(whole, epochs=5).history["loss"]
    got = fit(parts, epochs=2).history["loss"] + fit(parts, epochs=3).history["loss"]
    assert got == expected
    assert same_weights(whole, parts)


def test_building_anew_starts_anew():
    network, fresh = make(), make()
    fit(network, epochs=2)
    network.build(2)
    assert fit(network, epochs=2).history == fit(fresh, epochs=2).history


def test_one_optimizer_serves_many_networks():
    optimizer = nn.Adam()
    first, second = make(), make()
    first.compile(optimizer=optimizer)
    second.compile(optimizer=optimizer)
    assert fit(first, epochs=2).history == fit(second, epochs=2).history


def test_shuffling_changes_the_order_and_can_be_left_out():
    assert fit(make()).history != fit(make(), shuffle=False).history
    x, y = problems.rings()
    first, second = make(), make()
    order = np.argsort(y)
    first.fit(x[order], y[order], shuffle=False, verbose=0)
    second.fit(x, y, shuffle=False, verbose=0)
    assert not same_weights(first, second)


def test_one_full_batch_of_sgd_is_one_step_down_the_gradient():
    x, y = problems.rings(10)
    network = make()
    network.compile(optimizer=nn.SGD(learning_rate=0.25))
    gradients = flat(network.gradients(x, y))
    before = network.get_weights()
    network.fit(x, y, batch_size=10, verbose=0, shuffle=False)
    for after, start, gradient in zip(network.get_weights(), before, gradients, strict=True):
        np.testing.assert_allclose(after, start - 0.25 * gradient, rtol=0, atol=1e-7)


def test_full_batches_of_adam_are_its_steps():
    x, y = problems.rings(10)
    network = make()
    optimizer = nn.Adam(learning_rate=0.1, beta_1=0.5, beta_2=0.6, epsilon=0.01)
    network.compile(optimizer=optimizer)
    network.build(2)
    start = network.get_weights()
    moments = [(np.zeros_like(weight), np.zeros_like(weight)) for weight in start]
    for step in (1, 2, 3):
        weights = network.get_weights()
        gradients = flat(network.gradients(x, y))
        for weight, gradient, memory in zip(weights, gradients, moments, strict=True):
            flats = (array.reshape(-1) for array in (weight, gradient, *memory))
            kernels.adam_step(*flats, step, 0.1, 0.5, 0.6, 0.01, epsilon_hat=True)
        network.set_weights(weights)
    expected = network.get_weights()
    network.set_weights(start)
    network.fit(x, y, epochs=3, batch_size=10, verbose=0, shuffle=False)
    for got, weight in zip(network.get_weights(), expected, strict=True):
        np.testing.assert_allclose(got, weight, rtol=1e-5, atol=1e-6)


def test_every_epoch_has_a_new_order():
    network = make()
    network.compile(optimizer="sgd")
    network.build(2)
    start = network.get_weights()
    first = fit(network)
    network.set_weights(start)
    assert fit(network).history != first.history


@pytest.mark.parametrize("batch_size", [1, 7, 10, 64])
def test_every_example_counts_once(batch_size):
    x, y = problems.rings(10)
    network = make()
    network.compile(optimizer=nn.SGD(learning_rate=0.0))
    expected = network.evaluate(x, y)
    record = network.fit(x, y, batch_size=batch_size, verbose=0).history
    assert record["loss"] == [pytest.approx(expected["loss"], rel=1e-5)]
    assert record["accuracy"] == [expected["accuracy"]]


@pytest.mark.parametrize("initializer", ["zeros", "constant(0.3)"])
def test_equal_units_stay_equal(initializer):
    network = make(initializer=initializer)
    fit(network, epochs=5)
    for layer in network.layers[:-1]:
        np.testing.assert_allclose(layer.kernel, layer.kernel[:, :1].repeat(16, axis=1), rtol=1e-4)
        np.testing.assert_allclose(layer.bias, layer.bias[0], rtol=1e-4)


def test_random_units_differ():
    network = make()
    fit(network)
    assert len(np.unique(network.layers[0].kernel, axis=1).T) == 16


def test_history_has_one_value_an_epoch():
    record = fit(make(), epochs=4, validation_data=problems.rings(40, seed=1))
    assert record.epoch == [0, 1, 2, 3]
    assert list(record.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert {len(values) for values in record.history.values()} == {4}
    assert list(fit(make()).history) == ["loss", "accuracy"]
    network = make()
    network.compile(metrics=())
    assert list(fit(network).history) == ["loss"]


def test_validation_is_evaluation_after_the_epoch():
    network, held_out = make(), problems.rings(40, seed=1)
    record = fit(network, epochs=3, validation_data=held_out).history
    result = network.evaluate(*held_out)
    assert (record["val_loss"][-1], record["val_accuracy"][-1]) == tuple(result.values())


class StopAfter(nn.Callback):
    def __init__(self, epochs):
        self.epochs = epochs

    def on_epoch_end(self, epoch, logs):
        self.model.stop_training = epoch + 1 == self.epochs


def test_callbacks_are_called_and_can_stop():
    seen = []
    network = make()
    record = fit(
        network,
        epochs=9,
        callbacks=[StopAfter(3), lambda epoch, logs: seen.append((epoch, logs["loss"]))],
    )
    assert seen == list(enumerate(record.history["loss"]))
    assert record.epoch == [0, 1, 2]
    assert len(fit(network, epochs=2).epoch) == 2


def test_an_exploding_loss_is_recorded():
    network = nn.Sequential([nn.Dense(1, kernel_initializer="ones")])
    network.compile("mean_squared_error", nn.SGD(learning_rate=1e6))
    x = np.linspace(-100, 100, 64)[:, None]
    losses = network.fit(x, 2 * x, epochs=40, verbose=0).history["loss"]
    assert len(losses) == 40
    assert np.isfinite(losses[0])
    assert np.isnan(losses[-1])
    assert np.isnan(network.predict(x)).all()


@pytest.mark.parametrize(
    "labels",
    [
        np.uint8,
        np.int32,
        np.int64,
        np.float32,
        np.float64,
        lambda y: np.eye(3)[y],
        lambda y: list(y),
    ],
)
def test_every_form_of_labels_is_the_same_problem(labels):
    x, y = problems.rings(50)
    network, other = make(), make()
    network.fit(x, y, verbose=0)
    other.fit(x, np.asarray(y).astype(labels) if isinstance(labels, type) else labels(y), verbose=0)
    assert same_weights(network, other)


# Batches, weights, validation


class EveryBatch(nn.Callback):
    def __init__(self):
        self.logs = []

    def on_train_batch_end(self, batch, logs):
        self.logs.append((batch, logs))


@pytest.mark.parametrize("shuffle", [True, False])
def test_batches_one_by_one_give_the_same_bits(shuffle):
    whole, single, every = make(), make(), EveryBatch()
    options = {"epochs": 3, "batch_size": 70, "shuffle": shuffle}  # 300 examples: the last are 20
    records = [fit(whole, **options), fit(single, callbacks=[every], **options)]
    assert same_weights(whole, single)
    assert records[0].history == records[1].history
    assert [batch for batch, _ in every.logs] == [0, 1, 2, 3, 4] * 3
    for name in ("loss", "accuracy"):
        values = np.array([logs[name] for _, logs in every.logs]).reshape(3, 5)
        means = values @ [70, 70, 70, 70, 20] / 300
        np.testing.assert_allclose(means, records[0].history[name], rtol=1e-12)


def test_a_batch_larger_than_the_data_is_all_of_them():
    networks = [make() for _ in range(3)]
    for network, batch_size in zip(networks, (300, 301, 10**9), strict=True):
        fit(network, epochs=2, batch_size=batch_size)
        assert network.steps == 2
        assert same_weights(network, networks[0])


def test_validation_split_holds_back_the_last_examples():
    x, y = problems.rings(11)
    weights = np.linspace(0.5, 2.0, 11)
    first, second = make(), make()
    record = first.fit(x, y, verbose=0, sample_weight=weights, validation_split=0.3)
    held_back = x[7:], y[7:], weights[7:]  # int(11 * 0.7) = 7 are left, as in Keras
    expected = second.fit(
        x[:7], y[:7], verbose=0, sample_weight=weights[:7], validation_data=held_back
    )
    assert record.history == expected.history
    assert same_weights(first, second)


def test_weights_multiply_the_losses_and_not_the_metrics():
    x, y = problems.rings(10)
    network = make()
    network.compile(optimizer=nn.SGD(learning_rate=0.0))
    losses = [network.evaluate(x[i : i + 1], y[i : i + 1])["loss"] for i in range(10)]
    own, of_class = np.linspace(0, 3, 10), {0: 2.0, 2: 0.0}
    record = network.fit(
        x, y, batch_size=4, verbose=0, sample_weight=own, class_weight=of_class
    ).history
    weights = own * np.array([of_class.get(label, 1.0) for label in y])
    assert record["loss"] == [pytest.approx(np.dot(weights, losses) / 10, rel=1e-6)]
    assert record["accuracy"] == [network.evaluate(x, y)["accuracy"]]
    assert network.evaluate(x, y, sample_weight=own)["loss"] == pytest.approx(
        np.dot(own, losses) / 10, rel=1e-6
    )


def test_an_example_of_weight_two_is_two_examples():
    x, y = problems.rings(10)
    twice = np.repeat(np.arange(10), np.where(y == 1, 2, 1))
    gradients = []
    for data, options in (((x, y), {"class_weight": {1: 2.0}}), ((x[twice], y[twice]), {})):
        network = make()
        network.compile(optimizer=nn.SGD(learning_rate=len(data[0]) / 10))
        network.fit(*data, batch_size=100, shuffle=False, verbose=0, **options)
        gradients.append(network.get_weights())
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_no_form_of_the_data_compiles_anew():
    x, y = problems.rings(10)
    fit(make())
    before = len(nn.compiled.engine.train.signatures)
    fixed, apart = x.astype(np.float32), np.zeros(81, np.uint8)
    fixed.flags.writeable = False
    unaligned = apart[1:].view(np.float32).reshape(10, 2)
    for data in (fixed, unaligned, x[::-1], np.asfortranarray(x), x.tolist()):
        network = make()
        network.fit(data, y, batch_size=np.int32(4), shuffle=1, verbose=0)
        network.predict(data)
    assert len(nn.compiled.engine.train.signatures) == before


def test_bad_weights_splits_and_verbosity_are_refused():
    x, y = problems.rings(6)
    for options, message in (
        ({"sample_weight": [1.0] * 5}, r"shape \(6,\), got \(5,\)"),
        ({"sample_weight": [-1.0] * 6}, "at least 0, got -1.0"),
        ({"class_weight": {0: np.nan}}, "got nan"),
        ({"validation_split": 1.0}, "below 1, got 1.0"),
        ({"validation_split": 0.99}, "leaves a part empty"),
        ({"validation_split": 0.5, "validation_data": (x, y)}, "not both"),
        ({"verbose": 3}, "verbose must be 0, 1 or 2, got 3"),
    ):
        network = make()
        with pytest.raises(ArgumentError, match=message):
            network.fit(x, y, **options)
        assert network.steps == 0


# Callbacks that change the network; interrupts, threads, processes


def test_a_layer_frozen_during_training_is_frozen_in_the_next():
    class Freeze(nn.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.layers[0].trainable = False
            kernels.append(self.model.layers[0].kernel.copy())

    kernels = []
    network, other = make(), make()
    fit(network, epochs=2, callbacks=[Freeze()])
    fit(other, epochs=2)
    assert same_weights(network, other)
    fit(network, epochs=1, callbacks=[Freeze()])
    assert not np.array_equal(kernels[0], kernels[1])
    np.testing.assert_array_equal(kernels[1], kernels[2])


@pytest.mark.parametrize("what", ["fit", "build", "compile"])
def test_a_network_in_training_is_not_trained_or_built_anew(what):
    def again(epoch, logs):
        {"fit": lambda: fit(network), "build": lambda: network.build(2)}.get(
            what, network.compile
        )()

    network = make()
    with pytest.raises(FastinitError, match=f"{what} must not be called while.* in training"):
        fit(network, callbacks=[again])
    fit(network)


def test_one_network_is_not_trained_by_two_threads():
    inside, leave = threading.Event(), threading.Event()

    def wait(epoch, logs):
        inside.set()
        assert leave.wait(60)

    network, other = make(), make()
    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(fit, network, callbacks=[wait])
        assert inside.wait(60)
        try:
            with pytest.raises(FastinitError, match="from another thread"):
                fit(network)
            network.predict([[0.0, 0.0]])  # looking is allowed
            fit(other)
        finally:
            leave.set()
        training.result()
    assert same_weights(network, other)


def test_a_copy_made_during_training_can_be_trained():
    copies = []
    network, other = make(), make()
    fit(network, callbacks=[lambda epoch, logs: copies.append(copy.deepcopy(network))])
    fit(other)
    fit(copies[0])
    fit(other)
    assert same_weights(copies[0], other)


def test_networks_trained_in_threads_have_the_bits_of_those_trained_in_a_row():
    def train(seed):
        network = make(seed=seed)
        fit(network, epochs=5, batch_size=16)
        return network

    expected = [train(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        assert all(map(same_weights, pool.map(train, range(8)), expected))


def _train_in_child(network, queue):
    fit(network)
    queue.put(network.get_weights())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_trains_on():
    x = np.random.default_rng(0).normal(size=(512, 400))
    network = nn.Sequential([nn.Dense(400, "tanh"), nn.Dense(1)], seed=0)  # enough for two threads
    network.compile("mean_squared_error")
    network.fit(x, x[:, 0], batch_size=256, verbose=0)
    small = make()
    fit(small)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_train_in_child, args=(small, queue))
    child.start()
    weights = queue.get(timeout=60)
    child.join()
    assert child.exitcode == 0
    fit(small)
    assert all(map(np.array_equal, small.get_weights(), weights))


INTERRUPTED = """
import sys
import numpy as np
import fastinit
from fastinit import nn
fastinit.set_num_threads(2)
size = int(sys.argv[1])
x = np.random.default_rng(0).normal(size=(3000, size))
network = nn.Sequential([nn.Dense(size, "tanh"), nn.Dense(1)], seed=0)
network.compile("mean_squared_error", nn.SGD(1e-3))
network.fit(x, x[:, 0], verbose=0)
print("training", flush=True)
try:
    network.fit(x, x[:, 0], epochs=10**7, verbose=0)
except KeyboardInterrupt:
    print("interrupted", flush=True)
steps = network.steps
assert steps > 94 and network.history is not None
network.fit(x, x[:, 0], verbose=0)
assert network.steps == steps + 94 and np.isfinite(network.predict(x)).all()
print("trained again", flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="no process can be sent Ctrl-C alone")
@pytest.mark.parametrize("size", [4, 500], ids=["one thread", "two threads"])
def test_ctrl_c_comes_through_a_training(size):
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(size)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "training\n"
        time.sleep(0.7)
        process.send_signal(signal.SIGINT)
        start = time.perf_counter()
        assert process.stdout.readline() == "interrupted\n"
        assert time.perf_counter() - start < 5.0  # less than a second where nothing else runs
        assert process.stdout.readline() == "trained again\n"
    assert process.returncode == 0


X, Y = problems.rings(6)


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (Y[:-1], ArgumentError, "x has 6 examples, but y has 5"),
        ([0, 1, 2, 3, 0, 1], ArgumentError, r"label 3 at y\[3\] is out of range.*0 to 2"),
        ([0, 1, 2, -1, 0, 1], ArgumentError, r"label -1 at y\[3\]"),
        ([0, 1, 0.5, 2, 0, 1], ArgumentError, r"whole numbers, got 0.5 at y\[2\]"),
        ([0, 1, np.nan, 2, 0, 1], ArgumentError, r"whole numbers, got nan at y\[2\]"),
        (np.full((6, 3), 1 / 3), ArgumentError, "one-hot row"),
        (np.zeros((6, 3)), ArgumentError, "one-hot row"),
        (np.zeros((6, 2)), ArgumentError, r"got the shape \(6, 2\)"),
        (list("abcdef"), ArgumentTypeError, "y must hold real numbers"),
    ],
)
def test_bad_labels_are_refused_before_anything_is_computed(y, error, message):
    network = make()
    with pytest.raises(error, match=message):
        network.fit(X, y)
    assert network.input_shape is None


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        ("mean_squared_error", np.zeros((6, 2)), r"shape \(examples, 1\).*got \(6, 2\)"),
        ("mean_squared_error", [0, 1, np.inf, 0, 0, 0], r"got inf at y\[2, 0\]"),
        ("binary_crossentropy", [0, 1, 2, 0, 0, 0], "between 0 and 1, got 2.0 at row 2"),
    ],
)
def test_bad_targets_are_refused(loss, y, message):
    network = make(units=1)
    network.compile(loss)
    with pytest.raises(ArgumentError, match=message):
        network.fit(X, y)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": 0}, ArgumentError, "batch_size must be at least 1, got 0"),
        ({"batch_size": 2.0}, ArgumentTypeError, "batch_size must be a whole number"),
        ({"epochs": 0}, ArgumentError, "epochs must be at least 1, got 0"),
        ({"callbacks": [3]}, ArgumentTypeError, "got 3"),
        ({"validation_data": (X,)}, ArgumentTypeError, "validation_data must be"),
        ({"validation_data": (X, Y[:2])}, ArgumentError, "x has 6 examples, but y has 2"),
    ],
)
def test_bad_options_are_refused(options, error, message):
    network = make()
    before = network_weights(network)
    with pytest.raises(error, match=message):
        network.fit(X, Y, **options)
    assert all(map(np.array_equal, network.get_weights(), before))


def network_weights(network):
    network.build(2)
    return network.get_weights()


def test_training_on_nothing_is_refused():
    with pytest.raises(ArgumentError, match="at least one example"):
        make().fit(np.empty((0, 2)), [])


def test_using_a_loss_before_compile_is_refused():
    network = nn.Sequential([nn.Dense(3)])
    for use in (network.fit, network.evaluate, network.gradients):
        with pytest.raises(FastinitError, match=r"call compile\(loss"):
            use(X, Y)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"loss": "mean_square_error"}, UnknownNameError, "did you mean 'mean_squared_error'"),
        ({"loss": abs}, ArgumentTypeError, "loss must be a name"),
        ({"optimizer": "adm"}, UnknownNameError, "did you mean 'adam'"),
        ({"optimizer": nn.Adam}, ArgumentTypeError, "optimizer must be"),
        ({"metrics": ("acuracy",)}, UnknownNameError, "did you mean 'accuracy'"),
        ({"loss": "mean_squared_error", "metrics": ("accuracy",)}, ArgumentError, "no meaning"),
        ({"loss": "binary_crossentropy"}, ArgumentError, "'sigmoid' or 'linear'.*got 'softmax'"),
    ],
)
def test_bad_choices_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        make(last="softmax").compile(**options)


@pytest.mark.parametrize(
    ("make_optimizer", "error", "message"),
    [
        (lambda: nn.SGD(-0.1), ArgumentError, "learning_rate must be at least 0 and finite"),
        (lambda: nn.SGD(float("nan")), ArgumentError, "got nan"),
        (lambda: nn.Adam(float("inf")), ArgumentError, "got inf"),
        (lambda: nn.Adam("fast"), ArgumentTypeError, "learning_rate must be a number, got 'fast'"),
        (lambda: nn.Adam(beta_1=1.0), ArgumentError, "beta_1 must be at least 0 and below 1"),
        (lambda: nn.Adam(beta_2=-1), ArgumentError, "beta_2 .* got -1"),
        (lambda: nn.Adam(epsilon=-1e-8), ArgumentError, "epsilon"),
    ],
)
def test_bad_hyperparameters_are_refused(make_optimizer, error, message):
    with pytest.raises(error, match=message):
        make_optimizer()
