"""The values do not depend on threads, and threads, forks and interrupts do no harm."""

import _thread
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.sampling import threads

SIZE = 2**24 + 13  # nine tasks


@pytest.fixture(autouse=True)
def _restore_thread_count():
    before = fastinit.get_num_threads()
    yield
    fastinit.set_num_threads(before)


def draw(size=SIZE, dtype=np.float32):
    return fastinit.normal(size, 0.0, 1.0, seed=11, dtype=dtype)


@pytest.fixture(scope="module")
def expected():
    fastinit.set_num_threads(1)
    return draw()


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_any_thread_count_gives_the_same_bits(count, expected):
    fastinit.set_num_threads(count)
    np.testing.assert_array_equal(draw(), expected)


def test_work_is_shared():
    fastinit.set_num_threads(3)
    seen, barrier = set(), threading.Barrier(3, timeout=30)

    def task(_):
        barrier.wait()
        seen.add(threading.get_ident())

    threads.run(task, 3)
    assert len(seen) == 3


def test_many_python_threads_at_once(expected):
    fastinit.set_num_threads(2)
    with ThreadPoolExecutor(16) as pool:
        for result in pool.map(lambda _: draw(), range(16)):
            np.testing.assert_array_equal(result, expected)


def _child(connection):
    connection.send_bytes(draw().tobytes())
    connection.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_draws_the_same(expected):
    fastinit.set_num_threads(3)
    draw()  # the parent's pool is up
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(sender,), daemon=True)
    child.start()
    assert receiver.poll(60), "the child hangs"
    np.testing.assert_array_equal(np.frombuffer(receiver.recv_bytes(), np.float32), expected)
    child.join(30)
    assert child.exitcode == 0
    np.testing.assert_array_equal(draw(), expected)  # and the parent's pool still works


def test_an_exception_in_a_task_comes_through_and_stops_the_rest():
    fastinit.set_num_threads(2)
    done = []

    def task(i):
        if i == 3:
            raise ValueError("task 3")
        done.append(i)

    with pytest.raises(ValueError, match="task 3"):
        threads.run(task, 10**6)
    assert len(done) < 10**5


def test_an_interrupt_comes_through_within_a_second():
    fastinit.set_num_threads(2)
    out = np.empty(2**26, np.float64)
    draw(10**6, np.float64)  # compiled

    def fill_for_minutes():
        for _ in range(1000):
            fastinit.normal(out.shape, seed=0, dtype=np.float64, out=out)

    timer = threading.Timer(0.05, _thread.interrupt_main)
    timer.start()
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        fill_for_minutes()
    assert time.perf_counter() - start < 1.05
    timer.join()


def test_drawing_while_the_interpreter_exits():
    code = (
        "import atexit, fastinit\n"
        "fastinit.set_num_threads(2)\n"
        "draw = lambda: fastinit.uniform(10**6, seed=0)\n"
        "atexit.register(lambda: print('drew', draw().size))\n"
        "draw()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert (result.returncode, result.stdout.strip()) == (0, "drew 1000000"), result.stderr


@pytest.mark.parametrize("count", [0, -1, "0"])
def test_too_few_threads_are_refused(count, monkeypatch):
    with pytest.raises(ArgumentError, match=f"at least 1, got {count!r}"):
        _set(count, monkeypatch)


@pytest.mark.parametrize("count", [1.5, None, "many"])
def test_a_count_that_is_no_number_is_refused(count, monkeypatch):
    with pytest.raises(ArgumentTypeError, match=f"whole number, got {count!r}"):
        _set(count, monkeypatch)


def _set(count, monkeypatch):
    """Through the environment if it is text, else through the function."""
    if not isinstance(count, str):
        fastinit.set_num_threads(count)
    monkeypatch.setenv("FASTINIT_NUM_THREADS", count)
    monkeypatch.setattr(threads, "_threads", None)
    fastinit.get_num_threads()


def test_the_environment_sets_the_count(monkeypatch):
    monkeypatch.setenv("FASTINIT_NUM_THREADS", "5")
    monkeypatch.setattr(threads, "_threads", None)
    assert fastinit.get_num_threads() == 5
