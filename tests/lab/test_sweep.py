"""Sweeps on every backend: the same runs, each once, whatever is killed or interrupted."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from fastinit.errors import ArgumentError, FastinitError, UnknownNameError
from fastinit.lab import sweep as module
from fastinit.lab.plan import make_plan
from fastinit.lab.sweep import check_backend, sweep


def blobs(classes=3, rows=60, features=4):
    """Return classes that are easy to tell apart."""
    rng = np.random.default_rng(0)
    y = np.arange(rows) % classes
    return rng.normal(size=(rows, features)) + 4 * y[:, None], y


@pytest.fixture(scope="module")
def plan():
    """Return a plan of 24 runs that take no time."""
    return make_plan(
        ["zeros", "he_normal", "normal(std=1)"],
        activations=["relu", "tanh"],
        hidden=[8],
        data=blobs(),
        epochs=2,
        batch_size=8,
        seeds=4,
    )


@pytest.fixture(scope="module")
def expected(plan):
    """Return the runs of the plan, one after another in this process."""
    return dict(sweep(enumerate(plan.tasks), plan.data, plan.training, jobs=1))


def run(plan, tasks=None, **options):
    """Return the runs by number, and fail where one comes twice."""
    tasks = enumerate(plan.tasks) if tasks is None else tasks
    found = list(sweep(tasks, plan.data, plan.training, **options))
    assert len({number for number, _ in found}) == len(found)
    return dict(found)


def installed(backend):
    needed = module.INSTALL.get(backend, ("joblib",))[0]
    if find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    return backend


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_backends_of_this_machine_give_the_same_runs(plan, expected, backend):
    assert run(plan, backend=backend, jobs=2) == expected


def test_large_data_goes_to_processes_as_files(monkeypatch, plan, expected, tmp_path):
    monkeypatch.setattr(module, "INLINE_BYTES", 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run(plan, jobs=2) == expected
    assert list(tmp_path.iterdir()) == []


def test_tasks_are_taken_as_they_are_needed(plan):
    """A sweep that is given up has taken few of a million tasks."""
    taken = []

    def tasks():
        for number in range(10**6):
            taken.append(number)
            yield number, plan.tasks[number % len(plan.tasks)]

    for options in ({"jobs": 1}, {"jobs": 2, "backend": "threading"}):
        taken.clear()
        running = sweep(tasks(), plan.data, plan.training, **options)
        for _ in zip(range(5), running, strict=False):
            pass
        running.close()
        assert len(taken) < 1000


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_process_that_is_killed_loses_nothing(plan, expected):
    from joblib.externals.loky import reusable_executor

    found = []
    tasks = ((n, plan.tasks[n % 24]) for n in range(240))
    for number, ended in sweep(tasks, plan.data, plan.training, jobs=2):
        found.append((number, ended))
        if len(found) == 5:
            os.kill(next(iter(reusable_executor._executor._processes)), signal.SIGKILL)
    assert sorted(number for number, _ in found) == list(range(240))
    assert all(ended == expected[number % 24] for number, ended in found)


class Suicide:
    """An initializer that kills the process it is called in."""

    def __call__(self, shape, *, seed=None, **_):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_processes_that_are_killed_again_and_again_end_the_sweep(plan):
    task = replace(plan.tasks[0], kernel_initializer=Suicide())
    with pytest.raises(FastinitError, match="killed before they have trained anything"):
        run(plan, enumerate([task, task]), jobs=2)


@pytest.fixture(scope="module")
def cluster():
    """Return a Dask cluster of two processes on this machine."""
    installed("dask")
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as running:
        yield running


def test_dask_gives_the_same_runs(plan, expected, cluster):
    assert run(plan, backend="dask", scheduler=cluster.scheduler_address) == expected


def test_a_dask_worker_that_is_killed_loses_nothing(plan, expected, cluster):
    """Nothing is lost, and nothing comes twice, though its data dies with it."""
    tasks = ((n, plan.tasks[n % 24]) for n in range(720))
    found, pids = [], []
    options = {"backend": "dask", "scheduler": cluster.scheduler_address}
    for number, ended in sweep(tasks, plan.data, plan.training, **options):
        found.append((number, ended))
        if len(found) in (5, 100):
            for nanny in list(cluster.workers.values())[: 1 if len(found) == 5 else 2]:
                pids.append(nanny.pid)
                os.kill(nanny.pid, signal.SIGKILL)
    assert len(pids) == 3
    assert sorted(number for number, _ in found) == list(range(720))
    assert all(ended == expected[number % 24] for number, ended in found)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_what_kills_every_dask_worker_ends_the_sweep(plan, cluster):
    """joblib waits for ever where Dask gives up on a task."""
    task = replace(plan.tasks[0], kernel_initializer=Suicide())
    options = {"backend": "dask", "scheduler": cluster.scheduler_address}
    with pytest.raises(FastinitError, match="killed before they have trained anything"):
        run(plan, enumerate([task]), **options)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("lokyy",), UnknownNameError, "did you mean 'loky'"),
        (("loky", None, "tcp://host:1"), ArgumentError, "a scheduler is for 'dask' and 'ray'"),
        (("dask", 2, "tcp://host:1"), ArgumentError, "knows its own workers"),
    ],
)
def test_backends_that_cannot_be_used(arguments, error, message):
    with pytest.raises(error, match=message):
        check_backend(*arguments)


def test_a_backend_that_is_not_installed_says_what_to_install(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ArgumentError, match=r"needs ray: pip install 'ray'"):
        check_backend("ray")
