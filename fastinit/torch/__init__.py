"""PyTorch: ``torch.nn.init`` as a drop-in, and whole models, on fastinit's draws.

``from fastinit.torch import init`` takes the place of ``from torch.nn import init``; its functions
are here too. What is the same as in PyTorch, and what is not, stands in `fastinit.torch.init`.
"""

from __future__ import annotations

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ImportError(
        "fastinit.torch needs PyTorch: pip install 'fastinit[torch]'", name="torch"
    ) from error

from fastinit.torch import layers, recipes
from fastinit.torch.bridge import Recurrent, from_torch, to_torch
from fastinit.torch.checking import check
from fastinit.torch.datadriven import data_dependent, lsuv
from fastinit.torch.init import (
    apply_,
    calculate_gain,
    constant,
    constant_,
    dirac,
    dirac_,
    eye,
    eye_,
    kaiming_normal,
    kaiming_normal_,
    kaiming_uniform,
    kaiming_uniform_,
    lecun_normal_,
    lecun_uniform_,
    normal,
    normal_,
    ones_,
    orthogonal,
    orthogonal_,
    shard_,
    sparse,
    sparse_,
    trunc_normal_,
    trunc_normal_tf_,
    uniform,
    uniform_,
    variance_scaling_,
    xavier_normal,
    xavier_normal_,
    xavier_uniform,
    xavier_uniform_,
    zeros_,
)
from fastinit.torch.materializing import materialize
from fastinit.torch.patching import patch

__all__ = [
    "Recurrent",
    "apply_",
    "calculate_gain",
    "check",
    "constant",
    "constant_",
    "data_dependent",
    "dirac",
    "dirac_",
    "eye",
    "eye_",
    "from_torch",
    "kaiming_normal",
    "kaiming_normal_",
    "kaiming_uniform",
    "kaiming_uniform_",
    "layers",
    "lecun_normal_",
    "lecun_uniform_",
    "lsuv",
    "materialize",
    "normal",
    "normal_",
    "ones_",
    "orthogonal",
    "orthogonal_",
    "patch",
    "recipes",
    "shard_",
    "sparse",
    "sparse_",
    "to_torch",
    "trunc_normal_",
    "trunc_normal_tf_",
    "uniform",
    "uniform_",
    "variance_scaling_",
    "xavier_normal",
    "xavier_normal_",
    "xavier_uniform",
    "xavier_uniform_",
    "zeros_",
]
