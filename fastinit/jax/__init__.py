"""`jax.nn.initializers`, drawn by fastinit: change the import, and keep the code.

Every public name of ``jax.nn.initializers``, and Flax' ``zeros_init`` and ``ones_init``, with the
same parameters, the same meaning and the same results in shape, dtype and errors; and through
`initializer`, those that JAX lacks. The values are fastinit's: they depend on the words of the key,
the initializer and an element's place, and are the same bits eagerly and under ``jit``, ``vmap``
(to each key its own), ``scan`` and ``shard_map``, on any device. Half precision is float32 rounded.

A known key is drawn with at once, into memory that JAX takes over without a copy. A traced one
makes the compiled program call back: on the CPU with its own buffer, which is filled in place, and
elsewhere through ``jax.pure_callback``, which copies to the device. No gradient goes through a
draw. Over several CPU devices each draws its own shard, as the program's shardings have it; on
other devices one draws the whole. There `make_array`, `initialize` for a whole model, and
``out_sharding=`` outside of ``jit``, make the shards alone.

The parameters of the factories are numbers, not traced values. In Haiku, whose initializers get no
key, write ``lambda shape, dtype: init(hk.next_rng_key(), shape, dtype)``.
"""

from __future__ import annotations

try:
    import jax as _jax  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "jax":
        raise
    raise ImportError("fastinit.jax needs JAX: pip install 'fastinit[jax]'", name="jax") from error

from fastinit.jax.initializers import (
    Initializer,
    constant,
    delta_orthogonal,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    initializer,
    kaiming_normal,
    kaiming_uniform,
    lecun_normal,
    lecun_uniform,
    make_array,
    normal,
    ones,
    ones_init,
    orthogonal,
    truncated_normal,
    uniform,
    variance_scaling,
    xavier_normal,
    xavier_uniform,
    zeros,
    zeros_init,
)
from fastinit.jax.trees import initialize

__all__ = [
    "Initializer",
    "constant",
    "delta_orthogonal",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "initialize",
    "initializer",
    "kaiming_normal",
    "kaiming_uniform",
    "lecun_normal",
    "lecun_uniform",
    "make_array",
    "normal",
    "ones",
    "ones_init",
    "orthogonal",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
    "zeros_init",
]
