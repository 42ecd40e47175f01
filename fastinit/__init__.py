"""Initial weights for neural networks at memory speed, the same bits everywhere.

`import fastinit` loads NumPy and nothing heavier. The rest of the catalogue (`fastinit.structured`,
`fastinit.depth`), the compiled kernels (`fastinit.kernels`), the networks (`fastinit.nn`), the lab
(`fastinit.lab`), files of weights (`fastinit.checkpoints`) and the adapters (`fastinit.torch`,
`fastinit.keras`, `fastinit.jax`, `fastinit.dask`) load when they are first used.
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
from fastinit.recipes import Mixed
from fastinit.registry import get, names, register
from fastinit.sampling.threads import get_num_threads, set_num_threads
from fastinit.trees import initialize

if TYPE_CHECKING:
    from fastinit import checkpoints, kernels, lab, nn
    from fastinit.checkpoints import diff
    from fastinit.depth import siren_uniform, small_init
    from fastinit.structured import (
        bilinear,
        convolution_orthogonal,
        delta_orthogonal,
        dirac,
        eye,
        hadamard,
        identity,
        lstm_forget_bias,
        orthogonal,
        sparse,
        stft,
    )

__version__ = "0.1.0"

__all__ = [
    "Initializer",
    "Key",
    "Mixed",
    "__version__",
    "bilinear",
    "bits",
    "checkpoints",
    "compute_fans",
    "constant",
    "convolution_orthogonal",
    "delta_orthogonal",
    "diff",
    "dirac",
    "eye",
    "gain",
    "get",
    "get_num_threads",
    "glorot_normal",
    "glorot_uniform",
    "hadamard",
    "he_normal",
    "he_uniform",
    "identity",
    "initialize",
    "kaiming_normal",
    "kaiming_uniform",
    "kernels",
    "key",
    "lab",
    "lecun_normal",
    "lecun_uniform",
    "lstm_forget_bias",
    "names",
    "nn",
    "normal",
    "ones",
    "orthogonal",
    "permutation",
    "perturb",
    "rademacher",
    "register",
    "set_num_threads",
    "show_config",
    "siren_uniform",
    "small_init",
    "sparse",
    "stft",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]


MODULES = (
    "checkpoints",
    "dask",
    "depth",
    "jax",
    "keras",
    "kernels",
    "lab",
    "meanfield",
    "nn",
    "structured",
    "torch",
)
HOMES = {"diff": "checkpoints", "siren_uniform": "depth", "small_init": "depth"}


def __getattr__(name: str) -> Any:
    if name in MODULES:
        return import_module(f"fastinit.{name}")
    if name in __all__:  # what else the catalogue has
        return getattr(import_module(f"fastinit.{HOMES.get(name, 'structured')}"), name)
    raise AttributeError(f"module 'fastinit' has no attribute {name!r}")
