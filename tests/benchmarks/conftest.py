"""The folder of the benchmarks is where their programs look for each other."""

import os
import sys
from pathlib import Path

import pytest

import fastinit

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    """Undo what measuring changes: numbers of threads, and what frameworks read."""
    limits = pytest.importorskip("threadpoolctl").threadpool_limits(None, "blas")
    threads = fastinit.get_num_threads()
    environment = dict(os.environ)
    yield
    fastinit.set_num_threads(threads)
    limits.restore_original_limits()
    os.environ.clear()
    os.environ.update(environment)
