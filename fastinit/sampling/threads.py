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
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, SupportsIndex

from fastinit.errors import ArgumentError, ArgumentTypeError

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

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
_pool: ThreadPoolExecutor | None = None
_pool_size = 0


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
    stopped = threading.Event()

    def work() -> None:
        try:
            while not stopped.is_set():
                with one_at_a_time:
                    i = next(numbers, None)
                if i is None:
                    return
                task(i)
        except BaseException:
            stopped.set()
            raise

    futures: list[Future[None]] = []
    try:
        # Refused when the interpreter shuts down or no thread can be started: then work alone.
        with contextlib.suppress(RuntimeError):
            pool = _pool_of(helpers)
            for _ in range(helpers):
                futures.append(pool.submit(work))
        work()
    finally:
        stopped.set()
        errors = [future.exception() for future in futures if not future.cancel()]
    for error in errors:
        if error is not None:
            raise error


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

    joined, returned = 1, 0
    open_to_join, go = True, False
    door = threading.Lock()
    # Not events: these are written in C, and what Ctrl-C interrupts leaves no lock behind.
    complete, decided, done = (SimpleQueue[None]() for _ in range(3))
    errors: list[BaseException] = []

    def work() -> None:
        nonlocal joined, returned
        with door:
            if not open_to_join:
                return
            number = joined
            joined += 1
            if joined == wanted:
                complete.put(None)
        decided.get()
        decided.put(None)  # for the next one
        if not go:
            return
        try:
            task(number, joined)
        except BaseException as error:
            errors.append(error)
        with door:
            returned += 1
        done.put(None)

    try:
        with contextlib.suppress(RuntimeError):  # as in run()
            pool = _pool_of(wanted - 1)
            for _ in range(wanted - 1):
                pool.submit(work)
            with contextlib.suppress(Empty):
                complete.get(timeout=JOINING_SECONDS)
        with door:
            open_to_join = False
        go = True
        decided.put(None)
        task(0, joined)
    except BaseException as error:
        errors.append(error)
        call_off()
    while True:  # whatever interrupts, until the others have returned
        try:
            decided.put(None)
            while go and returned < joined - 1:
                with contextlib.suppress(Empty):  # an interrupt may have taken what was there
                    done.get(timeout=LOST_SECONDS)
            break
        except BaseException as error:
            errors.append(error)
    if errors:
        raise errors[0]


def _pool_of(size: int) -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # takes milliseconds: not before it is used

    global _pool, _pool_size
    with _lock:
        if _pool is None or _pool_size < size:
            if _pool is not None:
                _pool.shutdown(wait=False)
            _pool = ThreadPoolExecutor(size, thread_name_prefix="fastinit")
            _pool_size = size
        return _pool


def _forget_pool() -> None:
    """Start anew in a forked child: the parent's threads, and who held the lock, are not there."""
    global _lock, _pool, _pool_size
    _lock = threading.Lock()
    _pool, _pool_size = None, 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
