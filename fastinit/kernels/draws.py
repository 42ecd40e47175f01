"""Random values inside compiled code: the same ones as from Python.

Element ``i`` of the tensor of a key depends on nothing but ``(key, i)``, so a loop may draw what
it needs when it needs it, on any thread, and draw it again later. A `fastinit.Key` can be passed to
any compiled function; there it is a ``uint64``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.core.errors import TypingError
from numba.extending import overload, typeof_impl

from fastinit.errors import ArgumentError
from fastinit.kernels.jit import FloatArray
from fastinit.keys import Key
from fastinit.sampling import Distribution, Normal, Uniform, fill, numba_fill
from fastinit.sampling.numba_fill import bits, normal, uniform

__all__ = ["bits", "fill_normal", "fill_uniform", "normal", "uniform"]

STANDARD_NORMAL, STANDARD_UNIFORM = Normal(0.0, 1.0), Uniform(0.0, 1.0)


@typeof_impl.register(Key)
def _type_of_a_key(value: Key, context: Any) -> types.Type:
    return types.uint64


def fill_uniform(out: FloatArray, key: int | Key, start: int = 0) -> None:
    """Fill `out` with draws from [0, 1): the elements start, start + 1, ... of the tensor of `key`.

    In compiled code on the calling thread; called from Python, on all, as `fastinit.uniform`. What
    the values are made of is told at `bits`.

    Parameters
    ----------
    out : ndarray
        Overwritten, in C order; in compiled code it must be C-contiguous, of float32 or float64.
    key : Key or int
        64 bits.
    start : int, default 0
        Which element of the tensor comes first.

    Raises
    ------
    ArgumentError
        If `start` is negative, or `out` read-only.
    ArgumentTypeError
        If `out` is not an array of a dtype that can be drawn.

    Examples
    --------
    >>> import numba, numpy, fastinit
    >>> from fastinit.kernels import draws
    >>> @numba.njit
    ... def noisy(x, key):
    ...     noise = numpy.empty_like(x)
    ...     draws.fill_uniform(noise, key)
    ...     return x + noise
    >>> key = fastinit.key(0, "noise")
    >>> expected = fastinit.uniform(5, 0.0, 1.0, seed=key)
    >>> bool((noisy(numpy.zeros(5, numpy.float32), key) == expected).all())
    True
    """
    fill(out, STANDARD_UNIFORM, int(key), start)


def fill_normal(out: FloatArray, key: int | Key, start: int = 0) -> None:
    """Fill `out` with standard normal draws; otherwise as `fill_uniform`.

    Parameters
    ----------
    out : ndarray
        Overwritten, in C order; in compiled code it must be C-contiguous, of float32 or float64.
    key : Key or int
        64 bits.
    start : int, default 0
        Which element of the tensor comes first.

    Raises
    ------
    ArgumentError
        If `start` is negative, or `out` read-only.
    ArgumentTypeError
        If `out` is not an array of a dtype that can be drawn.

    Examples
    --------
    >>> import numpy, fastinit
    >>> from fastinit.kernels import draws
    >>> out = numpy.empty(5)
    >>> draws.fill_normal(out, fastinit.key(0), start=10)
    >>> whole = fastinit.normal(15, 0.0, 1.0, seed=fastinit.key(0), dtype=numpy.float64)
    >>> bool((out == whole[10:]).all())
    True
    """
    fill(out, STANDARD_NORMAL, int(key), start)


def _compiled_fill(name: str, distribution: Distribution, out: Any) -> Any:
    """Return what Numba compiles in the place of `name` for an array of the type `out`."""
    if not (isinstance(out, types.Array) and out.dtype in (types.float32, types.float64)):
        raise TypingError(f"{name}: out must be a float32 or float64 array, got {out}")
    if out.layout != "C":
        raise TypingError(f"{name}: out must be C-contiguous, got {out}")
    law, parameters = distribution.plan(str(out.dtype))
    kernel = numba_fill.kernel(law, str(out.dtype))

    def implementation(out, key, start=0):
        if start < 0:
            raise ArgumentError("start must not be negative")
        rows, starts = out.reshape((1, out.size)), np.full(1, np.uint64(start))
        kernel(rows, np.uint64(key), starts, parameters)

    return implementation


@overload(fill_uniform)
def _fill_uniform(out, key, start=0):
    return _compiled_fill("fill_uniform", STANDARD_UNIFORM, out)


@overload(fill_normal)
def _fill_normal(out, key, start=0):
    return _compiled_fill("fill_normal", STANDARD_NORMAL, out)
