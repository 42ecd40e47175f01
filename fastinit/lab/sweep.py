"""Many trainings at once: on the cores of this machine, or on a Dask or Ray cluster, by joblib.

However a task is run, its result is the same. Here a process has a core and one thread; the data
goes to each process once, not with each task; and joblib hands tasks over in batches of a fraction
of a second, so that little time is lost between them.
"""

from __future__ import annotations

import itertools
import tempfile
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, fields, replace
from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import joblib
import numpy as np
from joblib.externals.loky.process_executor import TerminatedWorkerError

from fastinit.errors import ArgumentError, FastinitError, unknown_name
from fastinit.lab.data import Dataset
from fastinit.lab.runs import Run, Task, Training, train
from fastinit.sampling.threads import get_num_threads, set_num_threads

__all__ = ["BACKENDS", "LOCAL", "check_backend", "sweep"]

INLINE_BYTES = 2**20
"""Data of fewer bytes travels with each batch of tasks: a thousandth of the batch's time."""

WAVE = 64
"""Tasks for each process that Ray gets at a time. joblib returns what ran on Ray only when all of
it is there, so this bounds the memory and what an interrupt loses."""

Numbered: TypeAlias = tuple[int, Task]
Ended: TypeAlias = tuple[int, Run]
# What runs tasks, and what stands for the data in them.
Pool: TypeAlias = tuple[Callable[[Iterator[Any]], Generator[Ended, None, None]], Any]


def sweep(
    tasks: Iterable[Numbered],
    data: Dataset,
    training: Training,
    *,
    backend: str = "loky",
    jobs: int | None = None,
    scheduler: str | None = None,
) -> Generator[Ended, None, None]:
    """Train networks, and yield each run as it ends.

    Tasks are taken as they are needed and no run is kept, so the memory does not grow with their
    number. Each is yielded once, also where a process or a worker of the cluster was killed: what
    it had under way is run again by another.

    Parameters
    ----------
    tasks : iterable of (int, Task)
        What to train, each with a number of its own by which its run is known.
    data : Dataset
    training : Training
    backend : {"loky", "threading", "dask", "ray"}, default "loky"
        Processes or threads of this machine, or a cluster.
    jobs : int, optional
        Processes or threads of this machine; by default one for each core. One is this process.
    scheduler : str, optional
        The address of the cluster; by default one is started on this machine.

    Yields
    ------
    (int, Run)
        In the order in which they end.

    Raises
    ------
    ArgumentError
        If the backend cannot be used.
    FastinitError
        If processes are killed faster than runs end, as they are where the memory is too small.
    """
    check_backend(backend, jobs, scheduler)
    if jobs == 1 and backend in LOCAL:
        for number, task in tasks:
            yield number, train(task, data, training)
        return
    under_way: dict[int, Task] = {}
    rest = iter(tasks)

    def calls(share: Any) -> Iterator[Any]:
        for number, task in itertools.chain(list(under_way.items()), rest):
            under_way[number] = task
            yield joblib.delayed(_work)(number, task, share, training)

    while True:
        ended = 0
        try:
            with (
                BACKENDS[backend](data, jobs, scheduler) as (run_all, share),
                closing(run_all(calls(share))) as results,
            ):
                for number, run in results:
                    if under_way.pop(number, None) is not None:
                        ended += 1
                        yield number, run
            return
        except TerminatedWorkerError as error:
            if not ended:
                raise FastinitError(
                    "processes are killed before they have trained anything: is there too little "
                    "memory? fewer jobs need less"
                ) from error


def check_backend(backend: str, jobs: int | None = None, scheduler: str | None = None) -> None:
    """Check that a backend can be used, before anything is computed.

    Parameters
    ----------
    backend, jobs, scheduler
        As of :func:`sweep`.

    Raises
    ------
    UnknownNameError
        If there is no such backend.
    ArgumentError
        If it is not installed, or does not take the other two.
    """
    if backend not in BACKENDS:
        raise unknown_name("backend", backend, BACKENDS)
    if backend in LOCAL and scheduler is not None:
        raise ArgumentError(
            f"scheduler is {scheduler!r}, but backend {backend!r} trains on this machine: "
            "a scheduler is for 'dask' and 'ray'"
        )
    if scheduler is not None and jobs is not None:
        raise ArgumentError(
            f"jobs is {jobs}, but the cluster at {scheduler!r} knows its own workers"
        )
    module, package = INSTALL.get(backend, ("joblib", "joblib"))
    if find_spec(module) is None:
        raise ArgumentError(f"backend {backend!r} needs {module}: pip install '{package}'")


def _work(number: int, task: Task, share: Any, training: Training) -> Ended:
    """Train one network where the others have cores of their own: on one thread."""
    data = share if isinstance(share, Dataset) else share.load()
    threads = get_num_threads()
    set_num_threads(1)
    try:
        return number, train(task, data, training)
    finally:
        set_num_threads(threads)


def _streaming(jobs: int | None) -> Callable[[Iterator[Any]], Generator[Ended, None, None]]:
    """Return what runs calls on joblib's current backend and yields results as they come."""
    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")

    def run_all(calls: Iterator[Any]) -> Generator[Ended, None, None]:
        results = parallel(calls)
        try:
            for ended in results:  # noqa: UP028, "yield from" would close them unseen
                yield ended
        finally:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", r"\d+ tasks (which were|have been) ")
                results.close()

    return run_all


@contextmanager
def _loky(data: Dataset, jobs: int | None, scheduler: str | None) -> Iterator[Pool]:
    with tempfile.TemporaryDirectory(prefix="fastinit-", ignore_cleanup_errors=True) as folder:
        # max_nbytes=None: joblib would share large arrays through files of its own.
        with joblib.parallel_config("loky", inner_max_num_threads=1, max_nbytes=None):
            run_all = _streaming(jobs or joblib.cpu_count())
        yield run_all, data if _size(data) < INLINE_BYTES else _OnDisk(data, folder)


@contextmanager
def _threading(data: Dataset, jobs: int | None, scheduler: str | None) -> Iterator[Pool]:
    with joblib.parallel_config("threading"):
        run_all = _streaming(jobs or joblib.cpu_count())
    yield run_all, data


@contextmanager
def _dask(data: Dataset, jobs: int | None, scheduler: str | None) -> Iterator[Pool]:
    distributed: Any = import_module("distributed")
    with ExitStack() as stack:
        if scheduler is None:
            options = {"n_workers": jobs, "threads_per_worker": 1, "dashboard_address": None}
            scheduler = stack.enter_context(distributed.LocalCluster(**options))
        try:
            client = stack.enter_context(distributed.Client(scheduler, set_as_default=False))
        except (OSError, ValueError) as error:
            raise ArgumentError(f"no Dask scheduler answers at {scheduler!r}: {error}") from error
        with joblib.parallel_config(_dask_backend()(client=client)):
            run_all = _streaming(-1)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph")
            # A task, not a scattered value: the scheduler can make it again where the workers that
            # hold it are gone.
            share = client.submit(_itself, data, pure=False)
        yield run_all, share


@cache
def _dask_backend() -> Any:
    """Return joblib's backend, made to end where Dask gives up on what it was sent.

    That is so where worker after worker died of it. joblib notes the error but waits on.
    """
    base: Any = import_module("joblib._dask").DaskDistributedBackend

    class Backend(base):  # type: ignore[misc]
        def submit(self, func: Any, callback: Any = None) -> Any:
            future = super().submit(func, callback)

            def tell(done: Any) -> None:
                if (error := done.exception()) is None:
                    return
                killed = type(error).__name__ == "KilledWorker"
                callback(TerminatedWorkerError(str(error)) if killed else error)

            future.add_done_callback(tell)
            return future

    return Backend


def _itself(data: Dataset) -> Dataset:
    return data


@contextmanager
def _ray(data: Dataset, jobs: int | None, scheduler: str | None) -> Iterator[Pool]:
    ray: Any = import_module("ray")
    ours = not ray.is_initialized()
    if ours:
        try:
            ray.init(address=scheduler, num_cpus=jobs, include_dashboard=False, log_to_driver=False)
        except (ConnectionError, ValueError) as error:
            raise ArgumentError(f"no Ray cluster answers at {scheduler!r}: {error}") from error
    import_module("ray.util.joblib").register_ray()
    with joblib.parallel_config("ray"):
        parallel = joblib.Parallel(n_jobs=-1)
    workers = int(ray.cluster_resources()["CPU"])

    def run_all(calls: Iterator[Any]) -> Generator[Ended, None, None]:
        while wave := list(itertools.islice(calls, WAVE * workers)):
            yield from parallel(wave)

    try:
        yield run_all, _OnRay(ray.put(data))
    finally:
        if ours:
            ray.shutdown()


LOCAL = ("loky", "threading")

BACKENDS: dict[str, Callable[..., AbstractContextManager[Pool]]] = {
    "loky": _loky,
    "threading": _threading,
    "dask": _dask,
    "ray": _ray,
}
"""Where a sweep can run."""

INSTALL = {"dask": ("distributed", "dask[distributed]"), "ray": ("ray", "ray")}

ARRAYS = tuple(field.name for field in fields(Dataset) if field.type == "np.ndarray")


class _OnDisk:
    """Data in files, which the processes of a machine map into their memory."""

    def __init__(self, data: Dataset, folder: str) -> None:
        self.folder = folder
        arrays = {name: getattr(data, name) for name in ARRAYS}
        for name, array in arrays.items():
            np.save(_file(folder, name), array)
        self.without = _with_arrays(data, {name: array[:0] for name, array in arrays.items()})

    def load(self) -> Dataset:
        return _with_arrays(self.without, _mapped(self.folder))


@lru_cache(maxsize=1)
def _mapped(folder: str) -> dict[str, np.ndarray]:
    # Written on, a page would become the process's own: for Numba, arrays that are read-only are
    # of another type, for which all kernels would be compiled again.
    return {name: np.load(_file(folder, name), mmap_mode="c").view(np.ndarray) for name in ARRAYS}


def _file(folder: str, name: str) -> Path:
    return Path(folder, f"{name}.npy")


def _with_arrays(data: Dataset, arrays: dict[str, Any]) -> Dataset:
    return replace(data, **arrays)


def _size(data: Dataset) -> int:
    return sum(getattr(data, name).nbytes for name in ARRAYS)


@dataclass(frozen=True)
class _OnRay:
    """Data in Ray's store."""

    reference: Any

    def load(self) -> Dataset:
        return _fetch(self.reference)


@lru_cache(maxsize=1)
def _fetch(reference: Any) -> Dataset:
    data: Dataset = import_module("ray").get(reference)
    # Ray's arrays are read-only, and would be copied at each use.
    return _with_arrays(data, {name: getattr(data, name).copy() for name in ARRAYS})
