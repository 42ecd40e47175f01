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

    def __call__(self, words: NDArray[np.uint32], out: NDArray[Any]) -> None:
        """Fill ``out[i]`` with the values of the key ``words[i]``, whatever axes `i` has."""
        keys = words.reshape(-1, words.shape[-1])
        parts = out.reshape(len(keys), *self.shape)
        for i, key in enumerate(keys):
            self.fill(parts[i, ...], key_of(key))

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
