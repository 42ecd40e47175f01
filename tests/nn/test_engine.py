"""One training run has the same bits, however it is cut: into threads, spans or batches."""

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import architectures
import numpy as np
import pytest
from hypothesis import given, settings
from llvmlite.binding import get_host_cpu_features

import fastinit
from fastinit import nn
from fastinit.nn import training
from fastinit.nn.compiled import barrier
from fastinit.sampling import threads

THREADS = (2, 3, 5)


@pytest.fixture(autouse=True)
def _small_work_is_shared(monkeypatch):
    """Let small networks use all threads, and wait for these however busy the machine is."""
    monkeypatch.setattr(training, "OPERATIONS_OF_A_THREAD", 1e-3)
    monkeypatch.setattr(threads, "JOINING_SECONDS", 30.0)
    before = fastinit.get_num_threads()
    yield
    fastinit.set_num_threads(before)


def run(network, count=29, batch_size=8, epochs=2, **options):
    """Train and use a network; return all that came out, as bytes."""
    x, y = architectures.examples(network, count)
    history = network.fit(x, y, epochs, batch_size, verbose=0, **options).history
    logs = [*history.values(), list(network.evaluate(x, y, batch_size).values())]
    arrays = [*network.get_weights(), network.predict(x, batch_size), *map(np.array, logs)]
    return [array.tobytes() for array in arrays]


OPTIMIZERS = {
    "adam": nn.Adam(0.01),
    "norm": nn.SGD(0.1, momentum=0.9, nesterov=True, global_clipnorm=0.1),
    "value": nn.RMSprop(0.01, clipvalue=0.01, weight_decay=0.1),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", architectures.NETWORKS)
def test_any_number_of_threads_gives_the_same_bits(name, dtype):
    for optimizer in OPTIMIZERS.values():
        results = []
        for count in (1, *THREADS):
            fastinit.set_num_threads(count)
            results.append(run(architectures.make(name, optimizer=optimizer, dtype=dtype)))
        assert all(result == results[0] for result in results)


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "binary_crossentropy", nn.Huber()])
@pytest.mark.parametrize(("count", "batch_size"), [(1, 1), (3, 2), (40, 40)])
def test_few_rows_and_every_loss(loss, count, batch_size):
    results = []
    for number in (1, *THREADS):
        fastinit.set_num_threads(number)
        results.append(run(architectures.make("batch_norm", loss), count, batch_size))
    assert all(result == results[0] for result in results)


def test_threads_are_used_and_would_be_seen(monkeypatch):
    """The negative control: what depends on the number of threads does not pass."""
    used, real = [], nn.compiled.engine.train

    def train(*arguments):
        used.append(arguments[-2:])
        real(*arguments)
        if arguments[-2:] == (1, 3):
            arguments[0].parameters[0] = np.nextafter(arguments[0].parameters[0], 2.0)

    monkeypatch.setattr(nn.compiled.engine, "train", train)
    fastinit.set_num_threads(1)
    alone = run(architectures.make("dense"))
    assert set(used) == {(0, 1)}
    used.clear()
    fastinit.set_num_threads(3)
    assert run(architectures.make("dense")) != alone
    assert set(used) == {(0, 3), (1, 3), (2, 3)}


@settings(max_examples=15)
@given(architectures.networks(dtype=np.float32))
def test_random_architectures_have_the_same_bits_on_three_threads(network):
    weights, x = network.get_weights(), None
    results = []
    for count in (1, 3):
        fastinit.set_num_threads(count)
        network.set_weights(weights)
        network.compile(loss="mean_squared_error")
        x, y = architectures.examples(network, 19)
        network.fit(x, y, epochs=2, batch_size=8, verbose=0)
        results.append([array.tobytes() for array in (*network.get_weights(), network.predict(x))])
    assert results[0] == results[1]


@pytest.mark.parametrize("name", ["rnn", "gru"])
def test_a_smaller_last_batch_waits_for_the_others(name, monkeypatch):
    """In it a thread has rows that another had before: chance decides who is late."""
    real = nn.compiled.engine.infer

    def infer(program, *arguments):
        begin, end = arguments[-4:-2]
        assert end - begin < program.capacity or (end - begin) % program.capacity == 0
        real(program, *arguments)

    monkeypatch.setattr(nn.compiled.engine, "infer", infer)
    network = architectures.make(name)
    x, y = architectures.examples(network, 8 * 6 + 5)
    fastinit.set_num_threads(1)
    expected, loss = network.predict(x, 8), network.evaluate(x, y, 8)
    fastinit.set_num_threads(3)
    for _ in range(20):
        np.testing.assert_array_equal(network.predict(x, 8), expected)
        assert network.evaluate(x, y, 8) == loss


class EveryBatch(nn.Callback):
    """Makes batches run one by one."""

    def on_train_batch_end(self, batch, logs):
        pass


class EveryEpoch(nn.Callback):
    """Makes epochs run one by one."""

    def on_epoch_end(self, epoch, logs):
        pass


@pytest.mark.parametrize("name", ["batch_norm", "layer_norm", "gru"])
def test_how_the_steps_are_cut_changes_nothing(name, monkeypatch):
    fastinit.set_num_threads(2)
    whole = run(architectures.make(name, optimizer=OPTIMIZERS["norm"]))
    for callback in (EveryBatch(), EveryEpoch()):
        network = architectures.make(name, optimizer=OPTIMIZERS["norm"])
        assert run(network, callbacks=[callback]) == whole
    monkeypatch.setattr(training, "FIRST_SPAN_OPERATIONS", 0.0)
    monkeypatch.setattr(training, "SPAN_SECONDS", 0.0)
    assert run(architectures.make(name, optimizer=OPTIMIZERS["norm"])) == whole


def test_two_fits_are_one():
    whole, network = architectures.make("lstm"), architectures.make("lstm")
    x, y = architectures.examples(whole, 20)
    whole.fit(x, y, epochs=4, verbose=0)
    for _ in range(2):
        network.fit(x, y, epochs=2, verbose=0)
    for a, b in zip(whole.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_seed_decides():
    results = [run(architectures.make("layer_norm", seed=seed)) for seed in (1, 1, 2)]
    assert results[0] == results[1] != results[2]


def test_an_interrupt_leaves_a_network_that_can_go_on(monkeypatch):
    """Ctrl-C when the first task is about to begin, while the others wait for it."""
    fastinit.set_num_threads(2)
    network, other = architectures.make("dense"), architectures.make("dense")
    x, y = architectures.examples(network, 20)
    network.fit(x, y, epochs=1, verbose=0)
    real, came = nn.compiled.engine.train, threading.Event()

    def train(*arguments):
        if arguments[-2] == 0:
            assert came.wait(30)
            raise KeyboardInterrupt
        came.set()
        real(*arguments)

    monkeypatch.setattr(nn.compiled.engine, "train", train)
    with pytest.raises(KeyboardInterrupt):
        network.fit(x, y, epochs=1, verbose=0)
    monkeypatch.setattr(nn.compiled.engine, "train", real)
    assert (network.steps, network.epochs) == (1, 1)
    network.fit(x, y, epochs=1, verbose=0)
    other.fit(x, y, epochs=2, verbose=0)
    for a, b in zip(network.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_interrupt_after_steps_counts_them(monkeypatch):
    network, other = architectures.make("dense"), architectures.make("dense")
    x, y = architectures.examples(network, 20)
    real = nn.compiled.engine.train

    def train(*arguments):
        real(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(nn.compiled.engine, "train", train)
    with pytest.raises(KeyboardInterrupt):
        network.fit(x, y, epochs=3, verbose=0)
    monkeypatch.setattr(nn.compiled.engine, "train", real)
    assert (network.steps, network.epochs) == (3, 3)
    other.fit(x, y, epochs=3, verbose=0)
    np.testing.assert_array_equal(network.predict(x), other.predict(x))


# The barrier


def test_threads_wait_for_one_another():
    count, meetings = 4, 200
    counter, seen = np.zeros(1, np.int64), np.zeros((meetings, count), np.int64)
    arrived = [0] * count

    def go(number):
        for meeting in range(meetings):
            arrived[number] = meeting + 1
            barrier.wait(counter, count, meeting + 1)
            seen[meeting, number] = min(arrived)

    workers = [threading.Thread(target=go, args=(i,)) for i in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert counter[0] == count * meetings
    assert (seen >= np.arange(1, meetings + 1)[:, np.newaxis]).all()


def test_one_thread_waits_for_nobody():
    counter = np.zeros(1, np.int64)
    barrier.wait(counter, 1, 1)
    assert barrier.gather(counter, 1)
    assert counter[0] == 0


def test_threads_go_home_when_called_off():
    counter, results = np.zeros(1, np.int64), []
    worker = threading.Thread(target=lambda: results.append(barrier.gather(counter, 2)))
    worker.start()
    counter[0] = barrier.CALLED_OFF
    worker.join(30)
    assert results == [False]
    counter[0] = 1
    assert barrier.gather(counter, 2)


# Another processor

ELSEWHERE = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
import test_engine
print(test_engine.elsewhere())
"""
HASWELL = "+64bit,+avx,+avx2,+bmi,+bmi2,+cx16,+cx8,+f16c,+fma,+fxsr,+lzcnt,+mmx,+movbe,+popcnt"
HASWELL += ",+sahf,+sse,+sse2,+sse3,+sse4.1,+sse4.2,+ssse3"


def elsewhere():
    """Train a small network and return the digest of what came out."""
    layers = [nn.Dense(13, "gelu"), nn.BatchNorm(), nn.Dropout(0.2), nn.Dense(3)]
    network = architectures.prepared(layers, (4,), dtype=np.float32)
    return hashlib.sha256(b"".join(run(network))).hexdigest()


@pytest.mark.skipif(
    not get_host_cpu_features().get("fma"), reason="the processor is no x86-64 of 2013 or later"
)
def test_code_for_another_processor_gives_the_same_bits(tmp_path):
    """Compile for the first processor with fused multiply-add, with vectors half as wide."""
    environment = {
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": HASWELL,
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    result = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent.parent,
        env=os.environ | environment,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == elsewhere()
