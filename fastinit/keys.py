"""Keys: what a seed and a name turn into, and what counts as a seed."""

from __future__ import annotations

import operator
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, SupportsIndex, TypeAlias

import numpy as np

from fastinit.errors import ArgumentError, ArgumentTypeError

if TYPE_CHECKING:
    from hashlib import blake2b

__all__ = ["Key", "Seed", "key", "key_bits"]


@dataclass(frozen=True, order=True)
class Key:
    """The 64 bits that decide a tensor's random values; made by `key`.

    Parameters
    ----------
    value : int
        0 to 2**64 - 1.

    Raises
    ------
    ArgumentError
        If `value` is out of its range.
    ArgumentTypeError
        If `value` is not an integer.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.key(0, "layer1.kernel") == fastinit.key(0, "layer1.kernel")
    True
    >>> int(fastinit.Key(5))
    5
    """

    value: int

    def __post_init__(self) -> None:
        try:
            value = operator.index(self.value)
        except TypeError:
            raise ArgumentTypeError(f"a key is an integer, got {self.value!r}") from None
        if not 0 <= value < 2**64:
            raise ArgumentError(f"a key lies in 0 to 2**64 - 1, got {value}")
        object.__setattr__(self, "value", value)

    def __int__(self) -> int:
        return self.value

    __index__ = __int__

    def __repr__(self) -> str:
        return f"Key(0x{self.value:016x})"


Seed: TypeAlias = "SupportsIndex | Key | np.random.Generator | np.random.SeedSequence | None"


def key(seed: Seed = None, *names: str) -> Key:
    """Return the key of the parameter called `names` under `seed`.

    The key, and so every value drawn with it, is a function of the seed and the names alone: it
    does not depend on the order in which parameters are made, nor on which others exist. It is the
    first 64 bits of a BLAKE2b hash, so adjacent seeds and similar names have unrelated keys.

    Parameters
    ----------
    seed : int, Key, numpy.random.Generator, numpy.random.SeedSequence or None, optional
        A non-negative integer of any size. A `Key`: without names it is returned as it is, with
        names a key below it is made. A ``Generator`` is drawn from, so that it advances, as with
        NumPy's own methods. A ``SeedSequence`` is read and does not change. None stands for fresh
        entropy of the operating system.
    *names : str
        The parameter's name, or the steps of a path to it.

    Returns
    -------
    Key
        The 64 bits.

    Raises
    ------
    ArgumentError
        If `seed` is a negative integer.
    ArgumentTypeError
        If `seed` is of another type, or a name is not a string.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.key(0, "layer1.kernel")
    Key(0x...)
    """
    if isinstance(seed, Key) and not names:
        return seed
    return Key(key_bits(seed, *names))


def key_bits(seed: Seed = None, *names: str) -> int:
    """Return the value of ``key(seed, *names)``.

    Parameters
    ----------
    seed : int, Key, numpy.random.Generator, numpy.random.SeedSequence or None, optional
        As of `key`.
    *names : str
        As of `key`.

    Returns
    -------
    int
        0 to 2**64 - 1.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        As `key`.

    Examples
    --------
    >>> from fastinit.keys import key, key_bits
    >>> key_bits(0, "layer1.kernel") == int(key(0, "layer1.kernel"))
    True
    """
    if not names:
        if seed is None:
            return int.from_bytes(os.urandom(8), "little")
        if isinstance(seed, Key):
            return seed.value
    for name in names:
        if not isinstance(name, str):
            raise ArgumentTypeError(f"a name is a string, got {name!r}")
    digest = _hash_of(seed)
    for name in names:
        digest.update(_part(b"n" + name.encode()))
    return int.from_bytes(digest.digest(), "little")


def keys_below(seed: Seed, names: Iterable[str]) -> list[int]:
    """Return ``key_bits(seed, name)`` of each name; the seed is read once, for all of them."""
    above, digests = _hash_of(seed), []
    for name in names:
        digest = above.copy()
        digest.update(_part(b"n" + name.encode()))
        digests.append(digest.digest())
    return list(struct.unpack(f"<{len(digests)}Q", b"".join(digests)))


def _hash_of(seed: Seed) -> blake2b:
    digest = _empty_hash().copy()
    digest.update(_part(_seed_bytes(seed)))
    return digest


def _part(text: bytes) -> bytes:
    return len(text).to_bytes(8, "little") + text


@cache
def _empty_hash() -> blake2b:
    from hashlib import blake2b  # not at the top: it loads OpenSSL, a third of `import fastinit`

    return blake2b(digest_size=8, person=b"fastinit key v1")


def _seed_bytes(seed: Seed) -> bytes:
    """Return bytes that tell any two seeds apart: a letter for the kind, then the value."""
    if isinstance(seed, Key):
        return b"k" + seed.value.to_bytes(8, "little")
    if hasattr(seed, "__index__") and not isinstance(seed, (bool, np.bool_)):
        number = operator.index(seed)  # type: ignore[arg-type]  # it has the method
        if number < 0:
            raise ArgumentError(f"seed must not be negative, got {number}")
        return b"i" + number.to_bytes((number.bit_length() + 7) // 8, "little")
    if seed is None:
        return b"e" + os.urandom(16)
    if isinstance(seed, np.random.Generator):
        return b"g" + seed.bytes(16)
    if isinstance(seed, np.random.SeedSequence):
        return b"s" + seed.generate_state(4, np.uint32).astype("<u4").tobytes()
    raise ArgumentTypeError(
        "seed must be an integer, a fastinit.Key, a numpy.random.Generator, "
        f"a numpy.random.SeedSequence or None, got {seed!r}"
    )
