"""The contestants that fill one buffer: fastinit, NumPy, the frameworks, and what bounds them all.

Each library is at its best: where it has two ways, both take part; it may write where it can write
into memory that is already there. All draw on the processor, whatever else the machine has.
"""

from __future__ import annotations

import ctypes
import importlib
import math
import os
from collections.abc import Iterable
from functools import cache, partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastinit
from fastinit.bench.contests import Fills
from fastinit.errors import ArgumentError
from fastinit.sampling import SERIAL, threads

__all__ = ["LAWS", "MEMORY", "PACKAGES", "absent", "fills", "ours"]

LAWS = ("uniform", "normal", "truncated normal")
"""The last one lies within two standard deviations."""

PACKAGES = {"fastinit": "fastinit", "NumPy": "numpy", "PyTorch": "torch", "JAX": "jax"}
PACKAGES |= {"Keras": "keras"}
"""Library -> what it is installed as. Its contestants' names begin like it."""

MEMORY = ("plain fill", "memset")
"""The contestants that only write; the faster of them bounds all others."""


@cache
def absent() -> dict[str, str]:
    """Return the libraries that cannot be loaded here, and why; loads all others.

    Keras runs on the backend that ``KERAS_BACKEND`` names; where nothing is said, on the first of
    TensorFlow, JAX and PyTorch that is installed.

    Returns
    -------
    dict
        Library -> what importing it says.
    """
    backends = filter(find_spec, ("tensorflow", "jax", "torch"))
    os.environ.setdefault("KERAS_BACKEND", next(backends, "tensorflow"))
    missing = {}
    for library, package in PACKAGES.items():
        try:
            importlib.import_module(package)
        except ImportError as error:
            missing[library] = str(error)
    return missing


def fills(law: str, out: NDArray[Any], count: int, libraries: Iterable[str] | None = None) -> Fills:
    """Return what fills `out`: name of a contestant -> its call, fastinit's first.

    Parameters
    ----------
    law : {"uniform", "normal", "truncated normal"}
        On [0, 1), or with mean 0 and standard deviation 1.
    out : ndarray
        C-contiguous, one-dimensional, of float32, float64, float16 or bfloat16.
    count : int
        Threads of those that have threads for it.
    libraries : iterable of str, optional
        Of `PACKAGES`, or ``"memory"``; no other one is loaded. By default all that can be.

    Returns
    -------
    dict
        A library that does not draw this is not in it. Names begin with the
        library's, as in ``"NumPy SFC64"``; `MEMORY` come last.

    Raises
    ------
    ArgumentError
        If there is no such law.
    ImportError
        If one of `libraries` is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from fastinit.bench.fills import fills
    >>> out = np.zeros(100, np.float32)
    >>> contestants = fills("normal", out, 1, ["NumPy"])
    >>> bool(contestants["NumPy SFC64"]()[0] == out[0] != 0)
    True
    """
    if law not in LAWS:
        raise ArgumentError(f"law must be one of {', '.join(LAWS)}, got {law!r}")
    makers = {
        "fastinit": ours,
        "NumPy": _numpy,
        "PyTorch": _torch,
        "JAX": _jax,
        "Keras": _keras,
        "memory": _memory,
    }
    made: Fills = {}
    if libraries is None:
        libraries = [name for name in makers if name not in absent()]
    for library in libraries:
        made |= makers[library](law, out, count)
    return made


def ours(law: str, out: NDArray[Any], count: int) -> Fills:
    """Return fastinit's fill alone; see :func:`fills`.

    Parameters
    ----------
    law : {"uniform", "normal", "truncated normal"}
    out : ndarray
    count : int
        Threads.

    Returns
    -------
    dict
    """
    draw = getattr(fastinit, law.replace(" ", "_"))
    options = {"seed": fastinit.key(0), "dtype": out.dtype, "out": out}
    fill: Any = partial(draw, out.shape, 0.0, 1.0, **options)
    fill.start = partial(fastinit.set_num_threads, count)  # before a sample, unmeasured
    return {"fastinit": fill}


def _numpy(law: str, out: NDArray[Any], count: int) -> Fills:
    """Return NumPy's fills with its default and its fastest generator; it has one thread."""
    if out.dtype not in (np.float32, np.float64):
        return {}
    pcg, sfc = (np.random.Generator(bits(0)) for bits in (np.random.PCG64, np.random.SFC64))
    options: dict[str, Any] = {"dtype": out.dtype, "out": out}
    if law != "truncated normal":
        name = {"uniform": "random", "normal": "standard_normal"}[law]
        return {
            "NumPy PCG64": partial(getattr(pcg, name), **options),
            "NumPy SFC64": partial(getattr(sfc, name), **options),
        }
    size = np.empty_like(out)

    def redraw() -> Any:  # NumPy has no truncated normal
        sfc.standard_normal(**options)
        while (outside := np.flatnonzero(np.abs(out, out=size) > 2)).size:
            out[outside] = sfc.standard_normal(outside.size, out.dtype)
        return out

    return {"NumPy SFC64, redrawn": redraw}


def _torch(law: str, out: NDArray[Any], count: int) -> Fills:
    import torch

    torch.set_num_threads(count)
    integers = out.view(f"int{out.dtype.itemsize * 8}")  # since it knows no ml_dtypes
    tensor = torch.from_numpy(integers).view(getattr(torch, out.dtype.name))
    if law != "truncated normal":
        return {"PyTorch": {"uniform": tensor.uniform_, "normal": tensor.normal_}[law]}
    reach = math.erf(2 / math.sqrt(2))

    def invert() -> Any:  # as trunc_normal_ did before it rejected; that is many times slower
        return tensor.uniform_(-reach, reach).erfinv_().mul_(math.sqrt(2)).clamp_(-2, 2)

    reject = partial(torch.nn.init.trunc_normal_, tensor)
    return {"PyTorch trunc_normal_": reject, "PyTorch erfinv_": invert}


def _jax(law: str, out: NDArray[Any], count: int) -> Fills:
    if out.dtype == np.float64:  # not by default
        return {}
    import jax

    draw: Any = {
        "uniform": jax.random.uniform,
        "normal": jax.random.normal,
        "truncated normal": partial(jax.random.truncated_normal, lower=-2.0, upper=2.0),
    }[law]
    # JAX fills no buffer, but the result takes the place of one that is donated.
    compiled = jax.jit(
        lambda key, buffer: draw(key=key, shape=out.shape, dtype=out.dtype),
        donate_argnums=1,
        keep_unused=True,
    )
    with jax.default_device(jax.devices("cpu")[0]):
        key, buffers = jax.random.key(0), [jax.numpy.zeros(out.shape, out.dtype)]

    def fill() -> Any:
        buffers.append(compiled(key, buffers.pop()).block_until_ready())
        return buffers[-1]

    return {"JAX": fill}


def _keras(law: str, out: NDArray[Any], count: int) -> Fills:
    """Return Keras' draw, which is a new array."""
    import keras

    if out.dtype == np.float64 and keras.config.backend() == "jax":
        return {}
    draw = getattr(keras.random, law.replace(" ", "_"))
    shape, options = out.shape, {"dtype": out.dtype.name, "seed": 0}

    def fill() -> Any:
        with keras.device("cpu:0"):
            made = draw(shape, **options)
        getattr(made, "block_until_ready", lambda: None)()  # JAX returns before it is done
        return made

    return {"Keras": fill}


def _memory(law: str, out: NDArray[Any], count: int) -> Fills:
    """Return what bounds every fill: nothing but writing, on as many threads."""
    if out.size < SERIAL:
        writers: list[Any] = [
            partial(out.fill, 1),
            partial(ctypes.memset, out.ctypes.data, 0, out.nbytes),
        ]
        return dict(zip(MEMORY, writers, strict=True))
    parts = np.array_split(out, count)

    def fill(part: int) -> None:
        parts[part].fill(1)

    def memset(part: int) -> None:
        ctypes.memset(parts[part].ctypes.data, 0, parts[part].nbytes)

    writers = [partial(threads.run, task, count) for task in (fill, memset)]
    for writer in writers:
        writer.start = partial(fastinit.set_num_threads, count)
    return dict(zip(MEMORY, writers, strict=True))
