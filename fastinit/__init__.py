"""Initial weights for neural networks at memory speed, the same bits everywhere.

`import fastinit` loads NumPy and nothing heavier. The compiled kernels (`fastinit.kernels`), the
networks (`fastinit.nn`) and the lab (`fastinit.lab`) load when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastinit.config import show_config
from fastinit.draws import bits, permutation, perturb
from fastinit.fans import compute_fans
from fastinit.gains import gain
from fastinit.initializers import (
    Initializer,
    constant,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    kaiming_normal,
    kaiming_uniform,
    lecun_normal,
    lecun_uniform,
    normal,
    ones,
    rademacher,
    truncated_normal,
    uniform,
    variance_scaling,
    xavier_normal,
    xavier_uniform,
    zeros,
)
from fastinit.keys import Key, key
from fastinit.registry import get, names, register
from fastinit.sampling.threads import get_num_threads, set_num_threads

if TYPE_CHECKING:
    from fastinit import kernels, lab, nn

__version__ = "0.1.0"

__all__ = [
    "Initializer",
    "Key",
    "__version__",
    "bits",
    "compute_fans",
    "constant",
    "gain",
    "get",
    "get_num_threads",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "kaiming_normal",
    "kaiming_uniform",
    "kernels",
    "key",
    "lab",
    "lecun_normal",
    "lecun_uniform",
    "names",
    "nn",
    "normal",
    "ones",
    "permutation",
    "perturb",
    "rademacher",
    "register",
    "set_num_threads",
    "show_config",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]


def __getattr__(name: str) -> Any:
    if name in ("kernels", "lab", "nn"):
        return import_module(f"fastinit.{name}")
    raise AttributeError(f"module 'fastinit' has no attribute {name!r}")
