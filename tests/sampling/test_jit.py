"""Kernels work where nothing can be cached, and are cached elsewhere."""

import os
import subprocess
import sys

import pytest


def run(code, **environment):
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"FASTINIT_BACKEND": "numba"} | environment,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_without_a_folder_for_the_cache():
    run(
        "from numba.core import caching\n"
        "name = 'CacheImpl' if hasattr(caching, 'CacheImpl') else '_CacheImpl'\n"
        "getattr(caching, name)._locator_classes = []\n"  # as where no folder can be written
        "import fastinit, fastinit.nn\n"
        "assert fastinit.he_normal((3, 4), seed=0).shape == (3, 4)\n"
        "network = fastinit.nn.Sequential([fastinit.nn.Dense(2)], seed=0)\n"
        "assert network.predict([[1.0, 2.0]]).shape == (1, 2)\n"
    )


@pytest.mark.parametrize("name", ["uniform", "normal", "truncated_normal"])
def test_the_second_process_does_not_compile(name, tmp_path):
    code = (
        "import fastinit\n"
        "from fastinit.sampling import numba_fill\n"
        f"fastinit.{name}(10, seed=0)\n"
        "kernels = [getattr(numba_fill, name) for name in dir(numba_fill)]\n"
        "stats = [kernel.stats for kernel in kernels if hasattr(kernel, 'stats')]\n"
        "stats = [s for s in stats if s.cache_path]\n"  # parts of other kernels are not kept
        "print(sum(len(s.cache_hits) for s in stats), sum(len(s.cache_misses) for s in stats))\n"
    )
    assert run(code, NUMBA_CACHE_DIR=str(tmp_path)).split() == ["0", "1"]
    assert run(code, NUMBA_CACHE_DIR=str(tmp_path)).split() == ["1", "0"]
