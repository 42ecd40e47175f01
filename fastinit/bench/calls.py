"""The contestants in what is not a matter of bandwidth: small calls, structure, a fresh process."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np

import fastinit
from fastinit.bench.contests import Fills
from fastinit.bench.fills import absent

__all__ = ["fresh", "orthogonal", "process", "small"]


def small(shape: tuple[int, int]) -> Fills:
    """Return calls of `he_normal`, each as a user of the library writes it.

    Parameters
    ----------
    shape : tuple of int

    Returns
    -------
    dict
        Library -> call.
    """
    generator, std = np.random.default_rng(0), np.float32(math.sqrt(2 / shape[0]))
    calls: Fills = {
        "fastinit": lambda: fastinit.he_normal(shape),
        "NumPy": lambda: generator.standard_normal(shape, np.float32) * std,
    }
    if "PyTorch" not in absent():
        import torch

        calls["PyTorch"] = lambda: torch.nn.init.kaiming_normal_(torch.empty(shape))
    if "JAX" not in absent():
        import jax

        with jax.default_device(jax.devices("cpu")[0]):
            key = jax.random.key(0)
        calls["JAX"] = lambda: jax.nn.initializers.he_normal()(key, shape).block_until_ready()
    if "Keras" not in absent():
        import keras

        def he_normal() -> None:
            with keras.device("cpu:0"):
                made = keras.initializers.HeNormal()(shape)
            getattr(made, "block_until_ready", lambda: None)()

        calls["Keras"] = he_normal
    return calls


def orthogonal(shape: tuple[int, int]) -> Fills:
    """Return what makes a random orthogonal matrix of float32, with each library.

    Parameters
    ----------
    shape : tuple of int
        Not wider than tall.

    Returns
    -------
    dict
        Library -> call, which returns the matrix.
    """
    generator = np.random.default_rng(0)

    def numpy() -> object:
        q, r = np.linalg.qr(generator.standard_normal(shape, np.float32))
        return q * np.sign(np.diag(r))

    calls: Fills = {"fastinit": lambda: fastinit.orthogonal(shape), "NumPy": numpy}
    if "PyTorch" not in absent():
        import torch

        calls["PyTorch"] = lambda: torch.nn.init.orthogonal_(torch.empty(shape))
    if "JAX" not in absent():
        import jax

        make = jax.jit(jax.nn.initializers.orthogonal(), static_argnums=1)
        with jax.default_device(jax.devices("cpu")[0]):
            key = jax.random.key(0)
        calls["JAX"] = lambda: make(key, shape).block_until_ready()
    return calls


CODE = {
    "fastinit": "import fastinit; fastinit.he_normal({shape})",
    "NumPy": (
        "import numpy\n"
        "w = numpy.random.default_rng().standard_normal({shape}, numpy.float32)\n"
        "w *= numpy.float32((2 / {shape}[0]) ** 0.5)"
    ),
    "PyTorch": "import torch; torch.nn.init.kaiming_normal_(torch.empty({shape}))",
    "JAX": (
        "import jax\n"
        "jax.nn.initializers.he_normal()(jax.random.key(0), {shape}).block_until_ready()"
    ),
    "Keras": "import keras; keras.ops.convert_to_numpy(keras.initializers.HeNormal()({shape}))",
}
"""Library -> a program that draws he_normal of a shape."""


def fresh(shape: tuple[int, int], count: int) -> Fills:
    """Return what starts Python, imports a library and draws `he_normal` once.

    Parameters
    ----------
    shape : tuple of int
    count : int
        Threads of fastinit's.

    Returns
    -------
    dict
        Library -> call, which waits for the process.
    """
    return {
        library: partial(process, code.format(shape=shape), count)
        for library, code in CODE.items()
        if library not in absent()
    }


def process(code: str, count: int) -> str:
    """Run Python code in a fresh process with this fastinit, and return what it prints.

    Parameters
    ----------
    code : str
    count : int
        Threads of fastinit's.

    Returns
    -------
    str

    Raises
    ------
    subprocess.CalledProcessError
        If the code fails; ``stderr`` says how.

    Examples
    --------
    >>> from fastinit.bench.calls import process
    >>> process("import fastinit; print(fastinit.get_num_threads())", 3).strip()
    '3'
    """
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(fastinit.__file__).parent.parent),
        "FASTINIT_NUM_THREADS": str(count),
        "JAX_PLATFORMS": "cpu",
        "CUDA_VISIBLE_DEVICES": "",
    }
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    ).stdout
