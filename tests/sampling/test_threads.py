"""The values do not depend on threads, and threads, forks and interrupts do no harm."""

import math
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.sampling import threads

SIZE = 2**24 + 13  # nine tasks
FEW = 2**22 + 13  # three tasks, which draw the first of the same elements


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
    connection.send_bytes(draw(FEW).tobytes())
    connection.close()


def _draw_in_forked_child(expected):
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(sender,), daemon=True)
    child.start()
    assert receiver.poll(60), "the child hangs"
    values = np.frombuffer(receiver.recv_bytes(), np.float32)
    np.testing.assert_array_equal(values, expected[:FEW])
    child.join(30)
    assert child.exitcode == 0


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
ignore_fork_warning = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@forks
@ignore_fork_warning
def test_a_forked_daemonic_child_draws_the_same(expected):
    fastinit.set_num_threads(3)
    draw()  # the parent's pool is up
    _draw_in_forked_child(expected)
    np.testing.assert_array_equal(draw(), expected)  # and the parent's pool still works


@forks
@ignore_fork_warning
def test_a_child_forked_during_a_fill_draws_the_same(expected):
    fastinit.set_num_threads(2)
    stop, fills = threading.Event(), []

    def keep_drawing():
        while not stop.is_set():
            fills.append(draw(FEW))
            del fills[:-1]

    filler = threading.Thread(target=keep_drawing)
    filler.start()
    try:
        for _ in range(10):
            _draw_in_forked_child(expected)
    finally:
        stop.set()
        filler.join()
    np.testing.assert_array_equal(fills[-1], expected[:FEW])


@forks
@ignore_fork_warning
def test_a_child_forked_while_threads_are_started_draws_the_same(expected):
    fastinit.set_num_threads(2)
    draw()
    with threads._lock:
        _draw_in_forked_child(expected)


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


INTERRUPTED = """
import numpy, fastinit
fastinit.set_num_threads(2)
# Seconds of work, of which only the pages that are filled before the interrupt take memory.
law = fastinit.get("truncated_normal", lower=-4.0, upper=4.0)
law(10**6, seed=0)  # compiled
out = numpy.empty(10**9, numpy.float32)
print("filling", flush=True)
try:
    law(out.shape, seed=0, out=out)
    print("finished", flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
law(10**7, seed=0)
print("drew again", flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="no process can be sent Ctrl-C alone")
def test_ctrl_c_comes_through_a_fill_of_1e9_elements_within_a_second():
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "filling\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        start = time.perf_counter()
        assert process.stdout.readline() == "interrupted\n"
        assert time.perf_counter() - start < 1.0
        assert process.stdout.readline() == "drew again\n"
    assert process.returncode == 0


STRESSED = """
import faulthandler, random, signal, time, fastinit
from fastinit.sampling import threads

def interrupt(*_):
    raise KeyboardInterrupt

fastinit.set_num_threads(3)
random.seed(0)
signal.signal(signal.SIGALRM, interrupt)
faulthandler.dump_traceback_later(60, exit=True)
came, ran = 0, []
for i in range(3000):
    work = threads.run_together if i % 2 else threads.run
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 4e-4))
        while True:
            work(lambda *_: time.sleep(1e-5), 3)
    except KeyboardInterrupt:
        came += 1
threads.run(ran.append, 100)
print(came, sorted(ran) == list(range(100)))
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer here")
def test_interrupts_at_any_moment_leave_nothing_locked():
    result = subprocess.run(
        [sys.executable, "-c", STRESSED], capture_output=True, text=True, timeout=90, check=False
    )
    assert result.stdout == "3000 True\n", result.stderr


def run(code):
    code = "import atexit, threading, time, fastinit\nfastinit.set_num_threads(2)\n" + code
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def draw_at_exit(before):
    return (
        "draw = lambda: fastinit.uniform(10**7, seed=0)\n"
        f"{before}\n"
        "atexit.register(lambda: print('drew', draw().size))\n"
    )


@pytest.mark.parametrize("before", ["draw()", ""], ids=["threads up", "none yet"])
def test_drawing_while_the_interpreter_exits(before):
    assert run(draw_at_exit(before)) == "drew 10000000\n"


@pytest.mark.parametrize("daemon", [False, True])
def test_the_interpreter_exits_while_a_thread_draws(daemon):
    code = (
        "def keep_drawing():\n"
        f"    for _ in range({1000 if daemon else 10}):\n"
        "        fastinit.uniform(10**7, seed=0)\n"
        "    print('drew')\n"
        f"threading.Thread(target=keep_drawing, daemon={daemon}).start()\n"
        "time.sleep(0.1)\n"
    )
    assert run(code) == ("" if daemon else "drew\n")


# Tasks that run together


@pytest.fixture
def patient(monkeypatch):
    """Wait for threads however busy the machine is."""
    monkeypatch.setattr(threads, "JOINING_SECONDS", 30.0)


def together(count, task=lambda number, n: None, **options):
    """Return the numbers that the tasks were given, and how many there were said to be."""
    seen = []

    def noted(number, n):
        seen.append((number, n))
        task(number, n)

    threads.run_together(noted, count, **options)
    return sorted(seen)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_tasks_run_at_the_same_time_and_are_numbered(count, patient):
    fastinit.set_num_threads(5)
    barrier, idents = threading.Barrier(count, timeout=30), {}

    def task(number, n):
        barrier.wait()  # broken, if they do not run at the same time
        idents[number] = threading.get_ident()

    assert together(count, task) == [(i, count) for i in range(count)]
    assert len(set(idents.values())) == count
    assert idents[0] == threading.get_ident()


def test_no_more_tasks_than_threads(patient):
    fastinit.set_num_threads(2)
    assert together(7) == [(0, 2), (1, 2)]
    fastinit.set_num_threads(1)
    assert together(7) == [(0, 1)]


def test_fewer_tasks_run_together_while_the_threads_are_busy():
    fastinit.set_num_threads(3)
    together(3)
    size = threads._started
    leave, busy = threading.Event(), threading.Barrier(size + 1, timeout=30)

    def stay():
        busy.wait()
        leave.wait(30)

    threads._submit(stay, size)
    busy.wait()
    try:
        assert together(3) == [(0, 1)]
    finally:
        leave.set()
    assert len(together(3)) > 1  # those who came too late have gone home


def test_tasks_within_tasks_come_to_an_end():
    fastinit.set_num_threads(3)
    seen = together(3, lambda number, n: threads.run_together(lambda i, m: draw(FEW), 3))
    assert [number for number, _ in seen] == list(range(len(seen)))


def test_many_groups_of_tasks_at_once():
    fastinit.set_num_threads(3)

    def group(_):
        meeting = []

        def task(number, n):
            meeting.append(number)
            while len(meeting) < n:  # each waits for all
                time.sleep(1e-4)

        return together(3, task)

    with ThreadPoolExecutor(8) as pool:
        for seen in pool.map(group, range(200)):
            assert seen == [(i, len(seen)) for i in range(len(seen))]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_an_exception_comes_through_when_all_tasks_have_returned(which, patient):
    fastinit.set_num_threads(3)
    returned = []

    def task(number, n):
        if number == which:
            raise ValueError(f"task {number}")
        time.sleep(0.05)
        returned.append(number)

    with pytest.raises(ValueError, match=f"task {which}"):
        together(3, task)
    assert sorted(returned) == [i for i in range(3) if i != which]
    assert together(3) == [(0, 3), (1, 3), (2, 3)]


def test_an_interrupt_as_the_first_task_begins_calls_the_others_off(patient):
    fastinit.set_num_threads(3)
    called_off, came = threading.Event(), []

    def task(number, n):
        if number == 0:
            raise KeyboardInterrupt
        came.append(number)
        assert called_off.wait(30)

    with pytest.raises(KeyboardInterrupt):
        threads.run_together(task, 3, called_off.set)
    assert sorted(came) == [1, 2]


def test_an_interrupt_while_others_are_awaited_runs_nothing(monkeypatch):
    fastinit.set_num_threads(3)
    real, ran = threads._submit, []

    def submit(work, count):
        real(work, count)
        raise KeyboardInterrupt

    monkeypatch.setattr(threads, "_submit", submit)
    with pytest.raises(KeyboardInterrupt):
        threads.run_together(lambda number, n: ran.append(number), 3)
    monkeypatch.undo()
    together(3)
    assert ran == []


@pytest.mark.parametrize("started", [0, 1])
def test_tasks_that_cannot_all_get_a_thread_are_fewer(started, monkeypatch):
    fastinit.set_num_threads(3)
    real = threads._submit

    def submit(work, count):
        real(work, started)
        time.sleep(0.1)  # those that have a thread come
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "_submit", submit)
    slow = []

    def task(number, n):
        time.sleep(0.05 * number)
        slow.append(number)

    assert together(3, task) == [(i, started + 1) for i in range(started + 1)]
    assert sorted(slow) == list(range(started + 1))  # all were awaited


def _child_together(connection):
    connection.send(together(3))
    connection.close()


@forks
@ignore_fork_warning
def test_tasks_run_together_in_a_forked_child(patient):
    fastinit.set_num_threads(3)
    together(3)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_child_together, args=(sender,), daemon=True)
    child.start()
    assert receiver.poll(60), "the child hangs"
    assert receiver.recv() == [(0, 3), (1, 3), (2, 3)]
    child.join(30)
    assert child.exitcode == 0


def test_threads_need_no_executor():
    assert run("import sys; print('concurrent.futures' in sys.modules)") == "False\n"


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


def _system(root, groups, limits):
    """Write a system's files: the process's groups, and what each group's folder holds."""
    files = {"proc/self/cgroup": groups} | {f"sys/fs/cgroup/{k}": v for k, v in limits.items()}
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


V1 = "9:name=systemd:/job\n4:cpuset:/job\n3:cpu,cpuacct:/job\n0::/\n"
V2 = "0::/user/job\n"


@pytest.mark.parametrize(
    ("quota", "groups", "limits"),
    [
        (2.5, V2, {"user/job/cpu.max": "250000 100000\n"}),
        (0.5, V2, {"user/job/cpu.max": "max 100000", "user/cpu.max": "50000 100000"}),
        (1.5, V2, {"user/job/cpu.max": "300000 100000", "user/cpu.max": "150000 100000"}),
        (3, V2, {"cpu.max": "300000 100000"}),  # a container that sees only its own group
        (math.inf, V2, {"user/job/cpu.max": "max 100000"}),
        (math.inf, V2, {"else/cpu.max": "100000 100000"}),
        (2, V1, {"cpu/job/cpu.cfs_quota_us": "200000", "cpu/job/cpu.cfs_period_us": "100000"}),
        (4, V1, {"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "50000\n"}),
        (math.inf, V1, {"cpu/job/cpu.cfs_quota_us": "-1", "cpu/job/cpu.cfs_period_us": "100000"}),
        (math.inf, V1, {"cpu/job/cpu.cfs_quota_us": "100000"}),
        (math.inf, V1, {"cpuset/job/cpu.cfs_quota_us": "1", "cpuset/job/cpu.cfs_period_us": "1"}),
        (math.inf, V2, {}),
        (math.inf, "", {"cpu.max": "100000 100000"}),
        (math.inf, "no colons\n0::\n::\n", {}),
        (math.inf, "0::/../..\n", {}),
        (math.inf, b"\xff\xfe", {}),
        (math.inf, V2, {"user/job/cpu.max": "100000 0", "user/cpu.max": "few many", "cpu.max": ""}),
        (math.inf, V2, {"user/job/cpu.max": b"\xff\xfe", "user/cpu.max": "1 2 3"}),
        (math.inf, V2, {"user/job/cpu.max/folder": "100000 100000"}),
    ],
)
def test_the_quota_of_the_control_groups(quota, groups, limits, tmp_path):
    assert threads._quota(_system(tmp_path, groups, limits)) == quota


def test_a_system_without_control_groups_has_no_quota(tmp_path):
    assert threads._quota(tmp_path) == math.inf


@pytest.mark.parametrize(
    ("processors", "quota", "count"), [(4, math.inf, 4), (4, 2.5, 3), (4, 0.1, 1), (2, 8.0, 2)]
)
def test_the_default_is_what_both_processors_and_quota_grant(processors, quota, count, monkeypatch):
    monkeypatch.delenv("FASTINIT_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "_processors", lambda: processors)
    monkeypatch.setattr(threads, "_quota", lambda root: quota)
    assert threads._default_count() == count


class Handed:
    """What a caller hands over."""


def handed_over(run):
    """Return a weak reference to what two tasks had, when they are done."""
    handed = Handed()

    def task(_, *__):
        assert handed is not None

    run(task, 2)
    return weakref.ref(handed)


@pytest.mark.parametrize("run", [threads.run, threads.run_together])
def test_no_thread_keeps_what_was_handed_over(run):
    # One that lets a tensor of PyTorch go while Python ends aborts the process.
    fastinit.set_num_threads(2)
    assert [handed_over(run)() for _ in range(100)] == [None] * 100
    free = threading.Event()
    threads._submit(free.wait, threads._started)  # none has time, and so each comes too late
    try:
        assert handed_over(run)() is None
    finally:
        free.set()


def test_an_error_keeps_nothing_either():
    fastinit.set_num_threads(2)
    handed = Handed()
    known = weakref.ref(handed)

    def task(_, handed=handed):
        raise ValueError(handed)

    with pytest.raises(ValueError, match="Handed"):
        threads.run(task, 2)
    del handed, task
    assert known() is None
