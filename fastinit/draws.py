"""Random values that are no initial weights: bits, permutations, and seeded perturbations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.fans import Shape, as_shape
from fastinit.initializers import drawn, law_of
from fastinit.keys import Seed, key_bits
from fastinit.registry import InitializerLike, get
from fastinit.sampling import Bits, Permutation, fill, region_of
from fastinit.sampling.distributions import as_finite

__all__ = ["bits", "permutation", "perturb"]


def bits(
    shape: Shape,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.uint32,
    out: NDArray[Any] | None = None,
    index: Any = None,
) -> NDArray[Any]:
    """Return random bits: integers uniform over all that the dtype can hold.

    They are the words from which every other draw of the same key is made; the upper half of each
    in uint64 is that in uint32. See docs/stream.md.

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole tensor.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`.
    dtype : dtype-like, default uint32
        uint32 or uint64.
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` and of the shape of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole.

    Returns
    -------
    ndarray
        Of the shape `shape`, or of the part `index`; `out`, where it is given.

    Raises
    ------
    ArgumentError, ArgumentIndexError, ArgumentTypeError
        If an argument does not fit; nothing has been computed then.

    References
    ----------
    Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3. SC (2011).

    Examples
    --------
    >>> import fastinit
    >>> words = fastinit.bits(1000, seed=0)
    >>> bool((fastinit.bits(1000, seed=0, dtype="uint64") >> 32 == words).all())
    True
    """
    return drawn(Bits(), as_shape(shape), seed, dtype, out, index)


def permutation(
    shape: Shape,
    *,
    seed: Seed = None,
    out: NDArray[Any] | None = None,
    index: Any = None,
) -> NDArray[Any]:
    """Return random permutations of 0 to n - 1, one a row, where n is the size of the last axis.

    The rows are independent. Each place is computed by itself, by a block cipher of n numbers, so
    that any part can be made alone, also of a permutation too large for memory. As far as tests can
    tell all n! permutations are equally likely; from n = 21 on there are more of them than keys.

    Parameters
    ----------
    shape : int or sequence of int
        The number n, or a shape whose last axis is n, at most 2**62.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`.
    out : ndarray of int64, optional
        Filled in place and returned; of the shape of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole.

    Returns
    -------
    ndarray of int64
        Of the shape `shape`, or of the part `index`; `out`, where it is given.

    Raises
    ------
    ArgumentError, ArgumentIndexError, ArgumentTypeError
        If an argument does not fit; nothing has been computed then.

    References
    ----------
    Black, Rogaway: Ciphers with arbitrary finite domains. CT-RSA (2002).

    Examples
    --------
    >>> import fastinit
    >>> sorted(fastinit.permutation(5, seed=0).tolist())
    [0, 1, 2, 3, 4]
    >>> part = fastinit.permutation((10, 2**40), seed=0, index=(3, slice(7, 9)))
    >>> part.shape
    (2,)
    """
    sizes = as_shape(shape)
    if not sizes:
        raise ArgumentError("a permutation needs at least one axis, got shape ()")
    if sizes[-1] > 2**62:
        raise ArgumentError(f"the last axis must not exceed 2**62, got shape {sizes}")
    return drawn(Permutation(max(sizes[-1], 1)), sizes, seed, np.int64, out, index)


def perturb(
    out: NDArray[Any],
    scale: float = 1.0,
    initializer: InitializerLike = "normal(std=1.0)",
    *,
    seed: Seed = None,
    shape: Shape | None = None,
    index: Any = None,
) -> NDArray[Any]:
    r"""Add seeded random values to an array in place, without a second array.

    .. math::
        \text{out} \leftarrow \text{out} + \text{scale} \cdot \text{draw}

    where `draw` is what the initializer gives for the same seed and shape. float16 and bfloat16 are
    added in float32, to draws that are not rounded, and the sum is rounded.

    Perturbing by `-scale` with the same seed restores the array up to rounding: to within one unit
    in the last place of x and of x + scale * draw, whichever is larger in magnitude.

    Parameters
    ----------
    out : ndarray of float32, float64, float16 or bfloat16
        Changed in place; it need not be contiguous, but its elements must not share memory.
    scale : float, default 1.0
        Finite.
    initializer : str or Initializer, default "normal(std=1.0)"
        As for `fastinit.get`; one whose elements are independent draws.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`.
    shape : int or sequence of int, optional
        The shape of the whole tensor, by default that of `out`.
    index : int, slice, Ellipsis or tuple of these, optional
        Which part of the whole tensor `out` is.

    Returns
    -------
    ndarray
        `out`.

    Raises
    ------
    ArgumentError, ArgumentIndexError, ArgumentTypeError
        If an argument does not fit; nothing has been changed then.

    References
    ----------
    Salimans, Ho, Chen, Sidor, Sutskever: Evolution strategies as a scalable alternative to
    reinforcement learning. arXiv:1703.03864 (2017). Malladi et al.: Fine-tuning language models
    with just forward passes. NeurIPS (2023), which draws the same perturbation again from its seed.

    Examples
    --------
    >>> import fastinit
    >>> weights = fastinit.zeros((64, 20))
    >>> _ = fastinit.perturb(weights, 0.5, "rademacher", seed=0)
    >>> bool((abs(weights) == 0.5).all())
    True
    >>> float(abs(fastinit.perturb(weights, -0.5, "rademacher", seed=0)).max())
    0.0
    """
    if not isinstance(out, np.ndarray):
        raise ArgumentTypeError(f"out must be an array, got {type(out).__name__}")
    number = as_finite("scale", scale)
    sizes = out.shape if shape is None else as_shape(shape)
    law = law_of(get(initializer), sizes)
    region = region_of(sizes, index)
    if region.shape != out.shape:
        raise ArgumentError(f"out has shape {out.shape}, expected {region.shape}")
    fill(out, law, key_bits(seed), region.start, region.strides, scale=number)
    return out
