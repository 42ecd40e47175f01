"""Fans, gains and keys: small computations that every initialization makes. No sizes."""

from __future__ import annotations

import hashlib
import math
from functools import partial
from typing import Any

import numpy as np

import fastinit
from cases import Case, Run, table, torch

SHAPE = (3, 3, 64, 128)


def fans() -> Run:
    return lambda: tuple(fastinit.compute_fans(SHAPE))


def numpy_fans() -> Run:
    def run() -> tuple[int, int]:
        window = math.prod(SHAPE[:-2])
        return window * SHAPE[-2], window * SHAPE[-1]

    return run


def torch_fans() -> Run:
    tensor = torch().empty(*SHAPE[:1:-1], *SHAPE[:2])
    return partial(torch().nn.init._calculate_fan_in_and_fan_out, tensor)


def jax_fans() -> Run:
    from jax._src.nn.initializers import _compute_fans

    return partial(_compute_fans, SHAPE)


def keras_fans() -> Run:
    from keras.src.initializers.random_initializers import compute_fans

    return partial(compute_fans, SHAPE)


def gelu(z: np.ndarray) -> np.ndarray:
    from scipy.special import erf

    return z * (1 + erf(z * math.sqrt(0.5))) / 2


def gain(activation: Any) -> Run:
    return partial(fastinit.gain, activation)


def numpy_gain() -> Run:
    """Return Gauss-Hermite quadrature of 1 / sqrt(E[gelu(z)^2]), with nodes made in advance."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    weights /= weights.sum()
    return lambda: float(1 / np.sqrt(weights @ gelu(nodes) ** 2))


def key() -> Run:
    return lambda: fastinit.key(0, "layers.3.kernel")


def numpy_key() -> Run:
    """Return what a NumPy user does for a stream a name: hash it into a seed sequence."""

    def run() -> np.random.SeedSequence:
        digest = hashlib.blake2b(b"layers.3.kernel", digest_size=8).digest()
        return np.random.SeedSequence([0, int.from_bytes(digest, "little")])

    return run


def jax_key() -> Run:
    import jax

    root = jax.random.key(0)
    return lambda: jax.block_until_ready(
        jax.random.fold_in(root, int.from_bytes(hashlib.blake2b(b"layers.3.kernel").digest()[:4]))
    )


CASES = table(
    [
        Case(
            "compute_fans",
            {
                "fastinit": fans,
                "NumPy": numpy_fans,
                "PyTorch": torch_fans,
                "JAX": jax_fans,
                "Keras": keras_fans,
            },
        ),
        Case("gain of a name", {"fastinit": partial(gain, "gelu"), "NumPy": numpy_gain}),
        Case("gain of a function", {"fastinit": partial(gain, gelu), "NumPy": numpy_gain}),
        Case("key", {"fastinit": key, "NumPy": numpy_key, "JAX": jax_key}, random=True),
    ]
)
