"""The library's own threads: how many, and how work is handed to them.

Numba's and OpenMP's pools are not used: the first aborts the process when two Python threads enter
at once, the second aborts a forked child. The kernels release the GIL, so plain Python threads do.
"""

from __future__ import annotations

import contextlib
import math
import operator
import os
import threading
from _thread import start_new_thread
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import SupportsIndex

from fastinit.errors import ArgumentError, ArgumentTypeError

__all__ = ["get_num_threads", "run", "run_together", "set_num_threads"]


def _count(value: SupportsIndex | str, source: str) -> int:
    try:
        count = int(value) if isinstance(value, str) else operator.index(value)
    except (TypeError, ValueError):
        raise ArgumentTypeError(f"{source} must be a whole number, got {value!r}") from None
    if count < 1:
        raise ArgumentError(f"{source} must be at least 1, got {value!r}")
    return count


def _default_count() -> int:
    asked = os.environ.get("FASTINIT_NUM_THREADS")
    if asked is not None:
        return _count(asked, "FASTINIT_NUM_THREADS")
    return math.ceil(min(_processors(), _quota(Path("/"))))


def _processors() -> int:
    """Return how many processors this process may run on."""
    if hasattr(os, "process_cpu_count"):  # Python 3.13
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(root: Path) -> float:
    """Return how many processors' time Linux's control groups grant; inf where they set no limit.

    Every group's limit counts, from the top to the process's own. In a container the path may be
    the host's, of which the container sees the top alone: its own limit.
    """
    lowest = math.inf
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, ValueError):
        return lowest
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if line.startswith("0::"):  # version 2
            top, files = root / "sys/fs/cgroup", ["cpu.max"]
        elif "cpu" in controllers.split(","):  # version 1
            top, files = root / "sys/fs/cgroup/cpu", ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        else:
            continue
        own = top / group.lstrip("/")
        for folder in (own, *own.parents):
            try:
                text = " ".join((folder / file).read_text() for file in files)
                quota, period = (int(number) for number in text.split())
            except (OSError, ValueError):  # no such file, or "max"
                continue
            if quota > 0 and period > 0:
                lowest = min(lowest, quota / period)
    return lowest


# How long run_together() waits for a thread to come: one that is idle needs a hundredth of it.
JOINING_SECONDS = 0.01
# How often it looks whether all have returned, where nobody tells it.
LOST_SECONDS = 0.1

_lock = threading.Lock()
_threads: int | None = None
_started = 0
_waiting: SimpleQueue[Callable[[], None]] = SimpleQueue()


def get_num_threads() -> int:
    """Return how many threads a large fill uses.

    Returns
    -------
    int
        What `set_num_threads` set, else the environment variable ``FASTINIT_NUM_THREADS``, else the
        number of processors that this process may use, or fewer where its control group (a
        container's CPU limit) grants less time than theirs, rounded up.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.get_num_threads() >= 1
    True
    """
    global _threads
    if _threads is None:
        _threads = _default_count()
    return _threads


def set_num_threads(count: int) -> None:
    """Set how many threads a large fill uses. The values drawn do not depend on it.

    Parameters
    ----------
    count : int
        At least 1, which keeps all the work on the calling thread.

    Raises
    ------
    ArgumentError
        If `count` is less than 1.
    ArgumentTypeError
        If `count` is not a whole number.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.set_num_threads(2)
    >>> fastinit.get_num_threads()
    2
    """
    global _threads
    _threads = _count(count, "the number of threads")


def run(task: Callable[[int], None], count: int) -> None:
    """Call ``task(0)``, ..., ``task(count - 1)``, each once, and return when all are done.

    The calling thread works too, so nothing waits for a busy pool, and an exception or Ctrl-C comes
    through after the tasks then under way.
    """
    helpers = min(get_num_threads(), count) - 1
    if helpers < 1:
        for i in range(count):
            task(i)
        return

    numbers = iter(range(count))
    one_at_a_time = threading.Lock()
    stopped = False

    def work(_: int) -> None:
        nonlocal stopped
        try:
            while not stopped:
                with one_at_a_time:
                    i = next(numbers, None)
                if i is None:
                    return
                task(i)
        except BaseException:
            stopped = True
            raise

    def stop() -> None:
        nonlocal stopped
        stopped = True

    _work(_Party(work), work, helpers, stop)


def run_together(
    task: Callable[[int, int], None], count: int, call_off: Callable[[], None] = lambda: None
) -> None:
    """Call ``task(0, n)``, ..., ``task(n - 1, n)`` at the same time, on as many threads.

    So the tasks may wait for one another. Where fewer than `count` threads are free, n is smaller;
    the calling thread always does task 0. Where that raises, or Ctrl-C comes before it begins, then
    ``call_off()`` is to make the others return; the exception comes through when they have.
    """
    wanted = min(get_num_threads(), count)
    if wanted < 2:
        task(0, 1)
        return

    party = _Party()
    complete, decided = SimpleQueue[None](), SimpleQueue[None]()
    go = False

    def lead(number: int) -> None:
        nonlocal go
        with contextlib.suppress(Empty):
            complete.get(timeout=JOINING_SECONDS)
        party.close()
        go = True
        decided.put(None)
        task(number, party.joined)

    def follow(number: int) -> None:
        if number == wanted - 1:
            complete.put(None)
        decided.get()
        decided.put(None)  # for the next one
        if go:
            task(number, party.joined)

    def give_up() -> None:
        call_off()
        decided.put(None)

    party.work = follow
    _work(party, lead, wanted - 1, give_up)


class _Party:
    """The thread that called, number 0, and those that have joined it to do `work`.

    Locks and queues are those written in C: what Ctrl-C interrupts leaves none of them behind.

    The work is let go when nobody joins any more, and by those who did before they say that they
    are back: never does a thread of ours hold the last reference to what the caller handed over. A
    tensor of PyTorch that it let go while Python ends would abort the process.
    """

    def __init__(self, work: Callable[[int], None] | None = None) -> None:
        self.work = work
        self.joined, self.returned = 1, 0
        self.door = threading.Lock()
        self.came_back = SimpleQueue[None]()
        self.errors: list[BaseException] = []

    def join(self) -> None:
        """Do the work on the thread that calls, unless it comes too late."""
        with self.door:
            work = self.work
            if work is None:
                return
            number = self.joined
            self.joined += 1
        try:
            work(number)
        except BaseException as error:
            self.errors.append(error)
        del work
        with self.door:
            self.returned += 1
        self.came_back.put(None)

    def close(self) -> None:
        """Let nobody join any more."""
        with self.door:
            self.work = None

    def wait(self) -> None:
        """Wait until all that joined have returned."""
        while self.returned < self.joined - 1:
            with contextlib.suppress(Empty):  # an interrupt may have taken what was there
                self.came_back.get(timeout=LOST_SECONDS)


def _work(
    party: _Party,
    mine: Callable[[int], None],
    helpers: int,
    give_up: Callable[[], None],
) -> None:
    """Call ``mine(0)`` here and the party's work on as many threads as come, at most `helpers`.

    Returns, or raises the first error, when all that came have returned. Where `mine` raises, or
    Ctrl-C comes before it begins, ``give_up()`` is to make the others return.
    """
    try:
        # Refused when the interpreter shuts down or no thread can be started: then work alone.
        with contextlib.suppress(RuntimeError):
            _submit(party.join, helpers)
        mine(0)
    except BaseException as error:
        party.errors.append(error)
        give_up()
    waiting = True
    while waiting:  # whatever interrupts
        try:
            party.close()
            party.wait()
            waiting = False
        except BaseException as error:
            party.errors.append(error)
    if party.errors:
        try:
            raise party.errors[0]
        finally:
            party.errors.clear()  # else the error would hold itself, and all that was handed over


def _submit(work: Callable[[], None], count: int) -> None:
    """Have `work` called `count` times by the library's threads, of which there are that many."""
    global _started
    with _lock:
        while _started < count:
            # Not threading.Thread, nor an executor: Ctrl-C at the wrong moment would leave one of
            # their locks, which are written in Python, closed for ever.
            start_new_thread(_serve, (_waiting,))
            _started += 1
    for _ in range(count):
        _waiting.put(work)


def _serve(waiting: SimpleQueue[Callable[[], None]]) -> None:
    while True:
        waiting.get()()


def _forget_threads() -> None:
    """Start anew in a forked child: the parent's threads, and who held the lock, are not there."""
    global _lock, _started, _waiting
    _lock = threading.Lock()
    _started, _waiting = 0, SimpleQueue()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
