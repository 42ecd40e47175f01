"""Keras' initializers, drawn by fastinit: import this instead of ``keras.initializers``.

The classes are subclasses of Keras' own, with their signatures, defaults, checks and
configurations. They are registered: a model saved with them loads where this module is imported.
In a layer they work as objects and by name: ``kernel_initializer="fastinit>HeNormal"``, or
``"fastinit>he_normal"``. They run on the backends torch, jax and numpy.
"""

from __future__ import annotations

try:
    from keras.initializers import Initializer, deserialize, serialize
except ModuleNotFoundError as error:
    if error.name != "keras":
        raise
    raise ImportError(
        "fastinit.keras needs Keras: pip install 'fastinit[keras]'", name="keras"
    ) from error

from fastinit.keras.bridge import from_keras, gelu_tanh, to_keras
from fastinit.keras.datadriven import data_dependent, lsuv
from fastinit.keras.initializers import (
    NAMES,
    STFT,
    Constant,
    FastInit,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Identity,
    LecunNormal,
    LecunUniform,
    Ones,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    Zeros,
    get,
    patch,
)

constant = Constant
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform
identity = IdentityInitializer = Identity
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
ones = Ones
orthogonal = OrthogonalInitializer = Orthogonal
random_normal = RandomNormal
random_uniform = RandomUniform
stft = STFTInitializer = STFT
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
zeros = Zeros

__all__ = [
    "NAMES",
    "STFT",
    "Constant",
    "FastInit",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomNormal",
    "RandomUniform",
    "STFTInitializer",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "data_dependent",
    "deserialize",
    "from_keras",
    "gelu_tanh",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "lsuv",
    "ones",
    "orthogonal",
    "patch",
    "random_normal",
    "random_uniform",
    "serialize",
    "stft",
    "to_keras",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]
