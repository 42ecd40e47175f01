"""From a JAX key to a JAX array: eagerly, in compiled programs, and shard by shard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from warnings import warn

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from numpy.typing import NDArray

from fastinit.errors import ArgumentError
from fastinit.jax import custom_call
from fastinit.jax.draws import Draw, key_of
from fastinit.keys import Key
from fastinit.sampling.dtypes import COMPLEX, FLOATS
from fastinit.sampling.memory import aligned

__all__ = ["as_dtype", "draw", "is_key", "make", "words_of"]


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
        jnp.issubdtype(value.dtype, jax.dtypes.prng_key) or value.dtype == np.uint32
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
        program = partial(_compiled, what)
        if out_sharding is not None:
            program = jax.sharding.auto_axes(program, out_sharding=out_sharding)
        return program(words)
    if out_sharding is None:
        return make(what, key_of(words), _place(words))
    if not isinstance(out_sharding.mesh, Mesh):
        out_sharding = NamedSharding(jax.sharding.get_mesh(), out_sharding.spec)
    return make(what, key_of(words), out_sharding)


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

    if sharding is None or sharding.is_fully_replicated:
        return jax.device_put(part(), sharding)
    return jax.make_array_from_callback(what.shape, sharding, _once(part))


def _once(part: Callable[[Any], NDArray[Any]]) -> Callable[[Any], NDArray[Any]]:
    """Make each shard once, though several devices hold it."""
    made: dict[tuple[Any, ...], NDArray[Any]] = {}

    def get(index: Any) -> NDArray[Any]:
        place = tuple((one.start, one.stop) for one in index)
        if place not in made:
            made[place] = part(index)
        return made[place]

    return get


@partial(jax.jit, static_argnums=0, inline=True)
def _compiled(what: Draw, words: Any) -> Any:
    result = jax.ShapeDtypeStruct(what.shape, what.dtype)
    text = what.text() if custom_call.available else None

    def in_place(words: Any) -> Any:
        call = jax.ffi.ffi_call(custom_call.TARGET, result, vmap_method="expand_dims")
        return call(words, fill=text)

    def on_the_host(words: Any) -> Any:
        return jax.pure_callback(_Callback(what), result, words, vmap_method="expand_dims")

    if text is None:
        return on_the_host(words)
    return jax.lax.platform_dependent(words, cpu=in_place, default=on_the_host)


@dataclass(frozen=True)
class _Callback:
    """A draw as a host callback; equal ones are compiled once."""

    what: Draw

    def __call__(self, words: Any) -> NDArray[Any]:
        words = np.asarray(words)
        out = np.empty((*words.shape[:-1], *self.what.shape), self.what.dtype)
        self.what(words, out)
        return out
