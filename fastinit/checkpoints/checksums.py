"""CRC-32 of bytes whose parts are read in any order, by several threads."""

from __future__ import annotations

from functools import lru_cache

__all__ = ["combine"]

POLYNOMIAL = 0xEDB88320  # of zlib's CRC-32, its bits reversed: bit 31 is x^0
ONE, X8 = 1 << 31, 1 << 23


def combine(first: int, second: int, length: int) -> int:
    """Return the CRC-32 of two stretches of bytes one after the other.

    A CRC is the remainder of a polynomial over GF(2), so bytes that follow multiply it by x^8 each.

    Parameters
    ----------
    first, second : int
        The CRC-32 of each.
    length : int
        Of the second, in bytes.

    Returns
    -------
    int

    Examples
    --------
    >>> import zlib
    >>> from fastinit.checkpoints.checksums import combine
    >>> combine(zlib.crc32(b"initial "), zlib.crc32(b"values"), 6) == zlib.crc32(b"initial values")
    True
    """
    return _times(_shift(length), first) ^ second


@lru_cache(maxsize=1024)
def _shift(length: int) -> int:
    """Return x^(8 length) modulo the polynomial, by repeated squaring."""
    power, square = ONE, X8
    while length:
        if length & 1:
            power = _times(power, square)
        square = _times(square, square)
        length >>= 1
    return power


def _times(a: int, b: int) -> int:
    product, bit = 0, ONE
    while bit:
        if a & bit:
            product ^= b
        b = b >> 1 ^ (POLYNOMIAL if b & 1 else 0)
        bit >>= 1
    return product
