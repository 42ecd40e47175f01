"""From a JAX key to a JAX array: eagerly, in compiled programs, and shard by shard."""

from __future__ import annotations

from functools import partial
from typing import Any
from warnings import warn

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding
from numpy.typing import NDArray

from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.jax.draws import Draw, key_of
from fastinit.jax.programs import compiled
from fastinit.keys import Key
from fastinit.sampling.dtypes import COMPLEX, FLOATS
from fastinit.sampling.memory import aligned

__all__ = ["as_dtype", "concrete", "draw", "is_key", "make", "words_of"]


def as_dtype(dtype: Any) -> np.dtype[Any]:
    """Return the dtype that JAX makes of a dtype-like, by default that of a float."""
    if dtype is None:
        dtype = float
    wanted = np.dtype(dtype)
    given: np.dtype[Any] = np.dtype(jax.dtypes.canonicalize_dtype(dtype))
    if given.name not in (*FLOATS, *COMPLEX):
        raise ArgumentError(f"dtype must be {', '.join((*FLOATS, *COMPLEX))}, got {given.name}")
    if wanted != given and dtype not in (float, complex):
        warn(
            f"{wanted.name} is not available without jax_enable_x64; the array is {given.name}",
            UserWarning,
            stacklevel=3,
        )
    return given


def is_key(value: Any) -> bool:
    """Say whether a value is a key of JAX, of the new style or the old."""
    return isinstance(value, jax.Array) and (
        jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
        or (value.dtype == np.uint32 and value.ndim > 0)
    )


def words_of(key: Any) -> Any:
    """Return the words of one key, traced or not; JAX itself says what is no key."""
    words = jax.random.key_data(key)
    if words.ndim != 1:
        raise ArgumentError(
            f"an initializer takes a single key, got keys of shape {words.shape[:-1]}; "
            "use jax.vmap for batching"
        )
    return words


def draw(what: Draw, key: Any, out_sharding: Any) -> jax.Array:
    """Return the array, made now if the key is known, else by the program being compiled."""
    words = words_of(key)
    if out_sharding is not None:
        out_sharding = _explicit(what, out_sharding)
    if isinstance(words, jax.core.Tracer):
        what.check()
        program = partial(compiled, what)
        if out_sharding is not None:
            program = jax.sharding.auto_axes(program, out_sharding=out_sharding)
        return program(words)
    if out_sharding is None:
        return make(what, key_of(words), _place(words))
    return make(what, key_of(words), concrete(out_sharding))


def concrete(sharding: Any) -> Any:
    """Return a sharding over devices: those of ``jax.set_mesh`` where it names mesh axes alone."""
    if isinstance(sharding, PartitionSpec):
        spec = sharding
    elif isinstance(sharding, NamedSharding) and not isinstance(sharding.mesh, Mesh):
        spec = sharding.spec
    elif sharding is None or isinstance(sharding, Sharding):
        return sharding
    else:
        raise ArgumentTypeError(f"expected a Sharding or a PartitionSpec, got {sharding!r:.80}")
    mesh = jax.sharding.get_mesh()
    if mesh.empty:
        raise ArgumentError(f"{spec} names axes of a mesh, and there is none: use jax.set_mesh")
    return NamedSharding(mesh, spec)


def _explicit(what: Draw, out_sharding: Any) -> NamedSharding:
    """Return the sharding that JAX takes an `out_sharding` for; its errors are JAX's."""
    zeros = partial(jnp.zeros, what.shape, what.dtype, out_sharding=out_sharding)
    found = jax.eval_shape(zeros).sharding
    return out_sharding if isinstance(out_sharding, NamedSharding) else found


def _place(words: jax.Array) -> Any:
    """Return where JAX would compute with a key: on the devices it is bound to, if on any."""
    if isinstance(words.sharding, NamedSharding):
        return NamedSharding(words.sharding.mesh, PartitionSpec())
    return words.sharding if words.committed else None


def make(what: Draw, key: Key, sharding: Any) -> jax.Array:
    """Return an array of which each process makes those shards that live on its devices."""

    def part(index: Any = None) -> NDArray[Any]:
        shape = what.shape
        if index is not None:
            shape = tuple(
                len(range(*one.indices(size))) for one, size in zip(index, what.shape, strict=True)
            )
        out = aligned(shape, what.dtype)
        what.fill(out, key, index)
        return out

    if sharding is None or len(sharding.device_set) == 1:
        return jax.device_put(part(), sharding)
    holders: dict[tuple[Any, ...], list[Any]] = {}
    for device, index in sharding.addressable_devices_indices_map(what.shape).items():
        holders.setdefault(tuple((one.start, one.stop) for one in index), []).append(device)
    shards: list[jax.Array] = []
    for place, devices in holders.items():
        values = part(tuple(slice(*one) for one in place))
        kinds = [
            SingleDeviceSharding(device, memory_kind=sharding.memory_kind) for device in devices
        ]
        shards += jax.block_until_ready([jax.device_put(values, kind) for kind in kinds])
    return jax.make_array_from_single_device_arrays(what.shape, sharding, shards, dtype=what.dtype)
