"""Cosines and matrix products in float64 that are the same bits on every machine."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["cosine", "product"]


def cosine(turns: NDArray[np.int64], around: int) -> NDArray[Any]:
    """Return the cosine of 2 pi turns / around, the same bits everywhere.

    Integers bring the angle into half a quadrant, and the series of the sine or of the cosine,
    which no C library makes in its own way, does the rest.
    """
    octants, rest = np.divmod(8 * (turns % around), around)
    rest = np.where(octants % 2, around - rest, rest)
    angle = rest / around * (math.pi / 4)
    square = angle * angle
    cosine, sine = np.zeros_like(angle), np.zeros_like(angle)
    for k in range(18, -2, -2):
        sign = -1.0 if k % 4 else 1.0
        cosine = cosine * square + sign / math.factorial(k)
        sine = sine * square + sign / math.factorial(k + 1)
    values = np.where(np.isin(octants, (0, 3, 4, 7)), cosine, sine * angle)
    return np.where(np.isin(octants, (2, 3, 4, 5)), -values, values) + 0.0  # no -0


def product(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Return the matrix product of float64 numbers up to 1, the same bits on every machine.

    Both are cut into slices of 20 bits, so that each sum of products of slices is exact, and its
    order, which every BLAS chooses for itself, does not matter (Ozaki et al. 2012).
    """
    result = np.zeros((len(a), b.shape[1]))
    for first in range(0, len(b), 2**11):
        left, right = _slices(a[:, first : first + 2**11]), _slices(b[first : first + 2**11])
        for i, j in ((2, 0), (1, 1), (0, 2), (1, 0), (0, 1), (0, 0)):
            result += left[i] @ right[j]
    return result


def _slices(a: NDArray[Any]) -> list[NDArray[Any]]:
    """Cut numbers into three multiples of 2^-20, 2^-40 and 2^-60, each as near as it can be."""
    slices = []
    for bits in (20, 40, 60):
        part = np.rint(a * 2.0**bits) * 2.0**-bits
        a = a - part
        slices.append(part)
    return slices
