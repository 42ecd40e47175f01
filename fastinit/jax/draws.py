"""What a JAX program draws, and how it is written into a compiled one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.initializers import Initializer
from fastinit.keys import Key, key_bits
from fastinit.registry import get

__all__ = ["Draw", "key_of", "read"]


@dataclass(frozen=True)
class Draw:
    """What to draw: everything but the key."""

    initializer: Initializer
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __call__(
        self, out: NDArray[Any], words: NDArray[np.uint32], part: NDArray[np.uint32] | None = None
    ) -> None:
        """Fill ``out[i]`` with the values of the key ``words[i]``, whatever axes `i` has.

        Where that is cut into parts as large as `out`, `part` says which of them it is, counted
        along each axis; the last ones may reach beyond the end, and are filled as far as that.
        """
        keys, index = words.ndim - 1, None
        if part is not None:
            sizes = (*words.shape[:-1], *self.shape)
            places = [
                range(size)[number * step : (number + 1) * step]
                for number, step, size in zip(part.tolist(), out.shape, sizes, strict=True)
            ]
            index = tuple(slice(place.start, place.stop) for place in places)
            words, out = words[index[:keys]], out[tuple(slice(len(place)) for place in places)]
            index = index[keys:]
        for i in np.ndindex(words.shape[:-1]):
            self.fill(out[(*i, ...)], key_of(words[i]), index)

    def fill(self, out: NDArray[Any], key: Key, index: Any = None) -> None:
        """Fill `out` with the part `index` of the values of a key."""
        self.initializer(self.shape, seed=key, dtype=self.dtype, out=out, index=index)

    def check(self) -> None:
        """Raise what drawing would raise; a program being compiled is too late for that."""
        none = (slice(0, 0),) * len(self.shape)
        empty = np.empty((0,) * len(self.shape), self.dtype)
        self.fill(empty, Key(0), none)

    def text(self) -> str | None:
        """Return what `read` reads; None where the initializer has no such words."""
        words = repr(self.initializer)
        try:
            if get(words) != self.initializer:
                return None
        except (ArgumentError, ArgumentTypeError):  # a user's own, or with an infinite bound
            return None
        return json.dumps([words, self.shape, self.dtype.name])


@lru_cache(maxsize=4096)
def read(text: str) -> Draw:
    """Return the draw that a text stands for."""
    words, shape, dtype = json.loads(text)
    return Draw(get(words), tuple(shape), jnp.dtype(dtype))


def key_of(words: Any) -> Key:
    """Return the key under which fastinit draws for a JAX key of these words.

    The words are read as one large integer, which is taken for fastinit's seed: the key that JAX
    makes of a small seed stands for that seed.
    """
    seed = int.from_bytes(np.asarray(words).astype(">u4").tobytes(), "big")
    return Key(key_bits(seed))
