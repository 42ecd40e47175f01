"""From an initializer of the catalogue to a tensor of Keras' backend."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from fastinit.initializers import Initializer
from fastinit.keys import Key
from fastinit.keys import key as make_key
from fastinit.sampling.memory import aligned

__all__ = ["draw", "key_of"]

# Up to so many bytes it is quicker to let JAX copy an array than to have it take it over.
COPIED = 2**16
ONE = np.float32(1.0)


def draw(
    initializer: Initializer, shape: tuple[int, ...], dtype: Any, seed: Any, layout: Any = None
) -> Any:
    """Return a tensor of initial values, on the device and of the dtype that Keras would choose.

    `seed` is an integer or a ``keras.random.SeedGenerator``, which is advanced.
    """
    name = keras.backend.standardize_dtype(dtype)
    backend = keras.backend.backend()
    if backend == "torch":
        return _draw_torch(initializer, shape, name, seed)
    if backend == "jax":
        return _draw_jax(initializer, shape, name, seed, layout)
    words = seed if isinstance(seed, int) else keras.ops.convert_to_numpy(seed.next())
    values = initializer(shape, seed=key_of(words), dtype=name)
    return keras.ops.convert_to_tensor(values, dtype=name)


def key_of(words: Any) -> Key:
    """Return the key of a seed: an integer, or the two words of a SeedGenerator's state.

    The first draw of ``SeedGenerator(s)`` equals those of the integer s, as in Keras; negative
    numbers stand for their last 32 bits.
    """
    if isinstance(words, int):
        return make_key(int(words) if words >= 0 else words & 0xFFFFFFFF)
    seed, count = (int(word) & 0xFFFFFFFF for word in np.asarray(words))
    return make_key(seed, f"draw {count}") if count else make_key(seed)


def _draw_torch(initializer: Initializer, shape: tuple[int, ...], dtype: str, seed: Any) -> Any:
    import torch

    tensor = keras.ops.empty(shape, dtype=dtype)
    if tensor.is_meta:  # Keras only wants to know the shape
        return tensor
    host = tensor if tensor.device.type == "cpu" else torch.empty_like(tensor, device="cpu")
    # NumPy has no bfloat16
    array = host.view(torch.int16).numpy().view(np.uint16) if dtype == "bfloat16" else host.numpy()
    words = seed if isinstance(seed, int) else seed.next().tolist()
    initializer(shape, seed=key_of(words), dtype=dtype, out=array)
    return tensor if host is tensor else tensor.copy_(host)


def _draw_jax(
    initializer: Initializer, shape: tuple[int, ...], name: str, seed: Any, layout: Any
) -> Any:
    import jax

    dtype = jax.dtypes.canonicalize_dtype(name)
    words = seed if isinstance(seed, int) else seed.next()

    def values(words: Any, index: Any = None, out: NDArray[Any] | None = None) -> NDArray[Any]:
        return initializer(shape, seed=key_of(words), dtype=dtype, out=out, index=index)

    if layout is not None:  # each device's part is made by itself
        sharding = _concrete(getattr(layout, "backend_layout", layout))
        return jax.make_array_from_callback(shape, sharding, lambda index: values(words, index))
    if isinstance(words, jax.core.Tracer):
        like = jax.ShapeDtypeStruct(shape, dtype)
        return jax.pure_callback(values, like, words, vmap_method="sequential")
    if isinstance(jax.numpy.negative(ONE), jax.core.Tracer):
        # Values in the program itself would be a constant of the tensor's size, drawn even if only
        # the shape is asked for.
        return jax.pure_callback(lambda: values(words), jax.ShapeDtypeStruct(shape, dtype))
    size = math.prod(shape) * dtype.itemsize
    if size <= COPIED:
        return jax.numpy.asarray(values(words))
    return jax.device_put(values(words, out=aligned(shape, dtype)))


def _concrete(sharding: Any) -> Any:
    """Return a sharding over real devices: Keras names the mesh it has set by its shape alone."""
    import jax

    if isinstance(getattr(sharding, "mesh", None), jax.sharding.AbstractMesh):
        return jax.sharding.NamedSharding(jax.sharding.get_mesh(), sharding.spec)
    return sharding
