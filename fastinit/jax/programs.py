"""Draws in compiled programs: XLA's call into fastinit, each device its own part of the whole."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap
from jax.experimental.custom_partitioning import custom_partitioning
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from numpy.typing import NDArray

from fastinit.jax import custom_call
from fastinit.jax.draws import Draw

__all__ = ["compiled"]


@partial(jax.jit, static_argnums=0, inline=True)
def compiled(what: Draw, words: Any) -> Any:
    """Return the array that a program makes of the words of a key."""
    text = what.text() if custom_call.available else None

    def on_the_host(words: Any) -> Any:
        result = jax.ShapeDtypeStruct(what.shape, what.dtype)
        return jax.pure_callback(_Callback(what), result, words, vmap_method="expand_dims")

    if text is None:
        return on_the_host(words)
    return jax.lax.platform_dependent(words, cpu=_in_place(what, text), default=on_the_host)


@dataclass(frozen=True)
class _Callback:
    """A draw as a host callback; equal ones are compiled once."""

    what: Draw

    def __call__(self, words: Any) -> NDArray[Any]:
        words = np.asarray(words)
        out = np.empty((*words.shape[:-1], *self.what.shape), self.what.dtype)
        self.what(out, words)
        return out


def _in_place(what: Draw, text: str) -> Any:
    """Return a draw as a call; under `vmap` one call draws for all keys."""

    def draw(words: Any) -> Any:
        keys = words.ndim - 1
        shape = (*words.shape[:keys], *what.shape)
        # Within shard_map each device draws for itself; GSPMD, which Shardy has replaced, aborts.
        alone = jax.sharding.get_abstract_mesh().manual_axes
        if alone or not getattr(jax.config, "jax_use_shardy_partitioner", True):
            return _call(shape, what.dtype, text, words)
        # The text is an operand too, so that programs that draw something else look different.
        said = np.frombuffer(text.encode(), np.uint8)
        return _partitioned(shape, keys, what.dtype, text)(words, said)

    mapped = custom_vmap(draw)
    mapped.def_vmap(lambda size, batched, words: (mapped(words), True))
    return mapped


def _partitioned(shape: tuple[int, ...], keys: int, dtype: Any, text: str) -> Any:
    """Return a draw of `shape`, the axes of its `keys` first, that XLA may cut between devices."""

    def partition(_: Any, arguments: Any, result: Any) -> Any:
        # Whatever kind of sharding it is, the parts of an axis divide the number of devices.
        number = len(result.sharding.device_set)
        cuts = result.sharding.devices_indices_map((number,) * len(shape))
        places = [[range(number)[cut] for cut in place] for place in cuts.values()]
        local = tuple(
            -(-size * len(place) // number) for size, place in zip(shape, places[0], strict=True)
        )
        parts = [[place.start // len(place) for place in device] for device in places]
        devices = Mesh(np.array(list(cuts)), ("device",))

        def draw_part(words: Any, _: Any) -> Any:
            if local == shape:
                return _call(shape, dtype, text, words)
            part = jnp.array(parts, np.uint32)[jax.lax.axis_index("device")]
            return _call(local, dtype, text, words, part)

        everywhere = NamedSharding(devices, PartitionSpec())
        return devices, draw_part, result.sharding, (everywhere, everywhere)

    axes = [f"i{axis}" for axis in range(len(shape))]
    rule = f"{' '.join(axes[:keys])} words, text -> {' '.join(axes)}"
    whole = custom_partitioning(lambda words, _: _call(shape, dtype, text, words))
    whole.def_partition(partition, sharding_rule=rule)
    return whole


def _call(shape: tuple[int, ...], dtype: Any, text: str, *arguments: Any) -> Any:
    result = jax.ShapeDtypeStruct(shape, dtype)
    return jax.ffi.ffi_call(custom_call.TARGET, result)(*arguments, fill=text)
