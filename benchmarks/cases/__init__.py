"""What is timed, and who takes part: the table that the suites of asv and the gate read.

A module holds a group, and its `CASES` the rows. A contestant is made for a size, and then called:

    run = activations.CASES["gelu"].make("NumPy", 256)
    run()

Making loads what the contestant needs, and nothing that another one needs; a call returns what was
computed, so that the tests can tell whether all compute the same. All use one thread, if nothing
else is said.
"""

from __future__ import annotations

import importlib.util
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastinit

Run = Callable[[], Any]
"""One call of what is timed. Where it has `start`, that prepares a call, and is not timed."""

Maker = Callable[..., Run]

CONTESTANTS = ("fastinit", "NumPy", "PyTorch", "JAX", "Keras")
TREE = Path(__file__).parents[2]


class Case(NamedTuple):
    """A row; `random` says that contestants agree in their moments, not in their values."""

    name: str
    makers: Mapping[str, Maker]
    random: bool = False

    def make(self, contestant: str, *size: Any) -> Run:
        """Return the call; NotImplementedError says what is missing, as asv wants it."""
        if contestant not in self.makers:
            raise NotImplementedError(f"{contestant} has no {self.name}")
        one_thread()
        try:
            return self.makers[contestant](*size)
        except ImportError as error:  # a framework, or what an older commit does not have
            raise NotImplementedError(f"{contestant}: {error}") from error


def case(name: str, makers: Mapping[str, Maker], *first: Any, random: bool = False) -> Case:
    """Return a row of makers that take these arguments before the size."""
    return Case(name, {who: partial(make, *first) for who, make in makers.items()}, random)


def table(cases: Iterable[Case]) -> dict[str, Case]:
    return {case.name: case for case in cases}


def one_thread() -> None:
    """Let everybody that listens use one thread; PyTorch is told where it is loaded."""
    from threadpoolctl import threadpool_limits

    os.environ |= {"NPROC": "1", "JAX_PLATFORMS": "cpu"}  # read by JAX when it is loaded
    os.environ.setdefault("KERAS_BACKEND", "jax" if importlib.util.find_spec("jax") else "torch")
    fastinit.set_num_threads(1)
    threadpool_limits(1, "blas")  # of NumPy's matrix products


def empty(shape: Any, dtype: Any = np.float32) -> np.ndarray:
    """Return an array that begins where a line of the cache does.

    NumPy's begin at any multiple of 16 bytes, on which the time of a simple kernel depends.
    """
    size = math.prod(shape) if isinstance(shape, tuple) else shape
    room = np.zeros(size * np.dtype(dtype).itemsize + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + size * np.dtype(dtype).itemsize].view(dtype).reshape(shape)


def normal(shape: Any, mean: float, std: float, seed: int) -> np.ndarray:
    return fastinit.normal(shape, mean, std, seed=seed, out=empty(shape))


def torch() -> Any:
    """Return PyTorch, told to use one thread."""
    import torch

    torch.set_num_threads(1)
    return torch


def jax_call(function: Callable[..., Any], *arrays: Any) -> Run:
    """Return the call of a function that JAX has compiled, on arrays that it has."""
    import jax

    compiled, arrays = jax.jit(function), tuple(map(jax.numpy.asarray, arrays))
    return lambda: jax.block_until_ready(compiled(*arrays))


def use_this_tree() -> None:
    """Take `fastinit.bench` and the programs from this tree, whichever commit is installed.

    So older commits, which do not have them, are measured with the same contestants.
    """
    folder = TREE / "fastinit" / "bench"
    spec = importlib.util.spec_from_file_location(
        "fastinit.bench", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if "fastinit.bench" not in sys.modules:
        module = sys.modules["fastinit.bench"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
