"""Slow, readable oracle of stream version 1: the value of any element, in plain NumPy.

It shares no code with the backends but the coefficients and the three constants of the layout.
Every operation is an IEEE one on float32 or float64 arrays in the order in which the contract
states it, so a backend must agree to the last bit.
"""

import math

import numpy as np

from fastinit.sampling import Normal, layout, numba_fill

U32, U64 = np.uint32, np.uint64


def philox(counter, key, rounds=10):
    """Philox4x32 of four counter words (arrays or ints) under two key words."""
    c0, c1, c2, c3 = (np.asarray(c, U64) for c in counter)
    k0, k1 = (int(k) for k in key)
    low = U64(0xFFFFFFFF)
    for _ in range(rounds):
        p0, p1 = U64(0xD2511F53) * c0, U64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (
            (p1 >> U64(32)) ^ c1 ^ U64(k0),
            p1 & low,
            (p0 >> U64(32)) ^ c3 ^ U64(k1),
            p0 & low,
        )
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return tuple(c.astype(U32) for c in (c0, c1, c2, c3))


def words(key, elements, plane, shift=0):
    """The word of each element (or that of its neighbour `shift` words on in the same block)."""
    elements = np.asarray(elements, U64)
    tile, place = elements // U64(layout.TILE), elements % U64(layout.TILE)
    word, lane = place // U64(layout.LANES), place % U64(layout.LANES)
    block = tile * U64(layout.LANES) + lane
    counter = (block & U64(0xFFFFFFFF), block >> U64(32), U64(plane), U64(0))
    results = philox(np.broadcast_arrays(*counter), (key & 0xFFFFFFFF, key >> 32))
    return np.choose((word + np.asarray(shift).astype(U64)).astype(int), results)


class Arithmetic:
    """The functions of one precision."""

    def __init__(self, dtype):
        self.f = np.dtype(dtype).type
        self.bits = 32 if dtype == np.float32 else 64
        self.ints = np.dtype(f"i{self.bits // 8}").type

    def coefficients(self, name):
        return getattr(numba_fill, f"{name.split('_')[0]}{self.bits}_{name.split('_')[1]}")

    def polynomial(self, name, x):
        value = np.zeros_like(x)
        for k, c in enumerate(reversed(self.coefficients(name))):
            value = np.full_like(x, c) if k == 0 else value * x + c
        return value

    def odd(self, w):
        return (w | U32(1)).view(np.int32)

    def refined(self, integers, w, scale=1.0):
        """An integer below 2^31, and in float64 32 more bits from the word of the other plane."""
        if self.bits == 32:
            return integers.astype(np.float32)
        return integers + scale * (self.odd(w) * 2.0**-31)

    def log(self, y, rest):
        root_half = self.f(math.sqrt(0.5)).view(self.ints) + (self.bits == 64)
        shift = self.ints(23 if self.bits == 32 else 52)
        bits = y.view(self.ints)
        exponent = (bits - root_half) >> shift
        g = ((bits - (exponent << shift)).view(self.f) - self.f(1)) + rest
        if self.bits == 32:
            square = g * g
            log1p = g + (square * g * self.polynomial("LOG_P", g) - self.f(0.5) * square)
        else:
            half_square = 0.5 * (g * g)
            s = g / (2.0 + g)
            log1p = g - (half_square - s * (half_square + s * s * self.polynomial("LOG_P", s * s)))
        return log1p + exponent.astype(self.f) * self.f(math.log(2.0))

    def parts(self, w, v):
        """(u < 1/2, p = min(u, 1-u), y, rest) with u = y + rest."""
        below = w >= U32(2**31)
        distance = np.where(below, w & U32(2**31 - 1), ~w & U32(2**31 - 1)) | U32(1)
        p = self.refined(distance.view(np.int32), v) * self.f(2.0**-32)
        end = np.where(below, self.f(0), self.f(1))
        signed = end - p
        return below, p, np.abs(signed), (end - signed) - p

    def upper_quantile(self, q, tails):
        one, half = self.f(1), self.f(0.5)
        z = (half - q) * self.f(2)
        t = self.f(4) * q * (one - q) - self.f(1 - numba_fill.CENTRE_Z2)
        with np.errstate(all="ignore"):
            ratio = self.polynomial("CENTRE_P", t) / self.polynomial("CENTRE_Q", t)
            centre = z * (self.f(numba_fill.MIDDLE) + ratio)
            if not tails:
                return centre
            r = np.sqrt(self.f(-2) * self.log(q, self.f(0)))
            s = r - self.f(numba_fill.TAIL_START)
            tail = r - self.polynomial("TAIL_P", s) / self.polynomial("TAIL_Q", s)
        return np.where(q > self.f(numba_fill.TAIL_MASS), centre, tail)


def values(distribution, key, elements, dtype):
    """Elements of the tensor of `key` under a distribution, as the stream contract defines them.

    `dtype` is the name of one; float16 and bfloat16 are returned as the uint16 of the same bits.
    """
    law, parameters = distribution.plan(dtype)
    if law == "permutation":
        return permuted(*parameters, key, elements)
    w, v = words(key, elements, 0), words(key, elements, 1)
    if law == "bits":
        return w if dtype == "uint32" else w.astype(U64) << U64(32) | v
    if dtype.startswith("complex"):
        return _complex(law, parameters, key, elements, dtype)
    if dtype in ROUND:
        return ROUND[dtype](_real(law, parameters, key, elements, "float32"))
    return _real(law, parameters, key, elements, dtype)


def added(out, scale, distribution, key, elements, dtype):
    """`out` + scale * values, in float32 where `out` is the uint16 of 16-bit numbers."""
    law, parameters = distribution.plan(dtype)
    if dtype in ROUND:
        draws = _real(law, parameters, key, elements, "float32")
        return ROUND[dtype](WIDEN[dtype](out) + np.float32(scale) * draws)
    return out + out.dtype.type(scale) * _real(law, parameters, key, elements, dtype)


def _real(law, parameters, key, elements, dtype):
    a = Arithmetic(np.dtype(dtype))
    w, v = words(key, elements, 0), words(key, elements, 1)
    if law == "sign":
        (scale,) = parameters
        return np.where(w < U32(2**31), scale, -scale)
    if law == "uniform":
        center, half_width = parameters
        return center + a.refined(w.view(np.int32), v, scale=0.5) * half_width
    if law == "normal":
        mean, std = parameters
        return mean + std * _standard_normal(a, key, elements)
    assert law != "truncated_far", "tested against SciPy instead"
    mean, std, mass_below, mass_above, mass, one_sided, low, high = parameters
    below, p, u, _ = a.parts(w, v)
    negative = below & (not one_sided)
    q = np.where(negative, mass_below, mass_above) + (u if one_sided else p) * mass
    past_mean = q > a.f(0.5)
    q = np.where(past_mean, (a.f(0.5) - q) + a.f(0.5), q)
    x = a.upper_quantile(q, tails=law == "truncated_wide")
    return np.clip(mean + std * np.where(negative != past_mean, -x, x), low, high)


def _standard_normal(a, key, elements):
    """Box-Muller: words 0 and 2 of a block give a radius, the word after them a direction."""
    odd_word = (np.asarray(elements) % layout.TILE) // layout.LANES % 2
    w_radius, v_radius = (words(key, elements, plane, -odd_word) for plane in (0, 1))
    w_angle, v_angle = (words(key, elements, plane, 1 - odd_word) for plane in (0, 1))
    _, _, y, rest = a.parts(w_radius, v_radius)
    radius = np.sqrt(a.f(-2) * a.log(y, rest))
    x, y = _direction(a, w_angle, v_angle)
    return radius * np.where(odd_word, y, x)


def _direction(a, w, v):
    """A point on the unit circle: an angle in a quarter turn, the cosine's sign, and a swap."""
    quarter = ((w << U32(2)) | U32(2)).view(np.int32)
    t = a.refined(quarter, v, scale=2.0) * a.f(2.0**-31)
    sine = t * a.polynomial("SIN_P", t * t)
    cosine = a.polynomial("COS_P", t * t)
    cosine = np.where(w & U32(2**31), -cosine, cosine)
    swap = (w & U32(2**30)) != 0
    return np.where(swap, sine, cosine), np.where(swap, cosine, sine)


def _complex(law, parameters, key, elements, dtype):
    """A tile is 32 elements: word 2p of a block gives a distance, the next a direction."""
    a = Arithmetic(np.dtype(f"f{np.dtype(dtype).itemsize // 2}"))
    elements = np.asarray(elements, U64)
    tile, place = elements // U64(32), elements % U64(32)
    p, lane = place // U64(16), place % U64(16)
    first = tile * U64(64) + U64(2) * p * U64(16) + lane  # the element whose word is the distance
    _, _, y, rest = a.parts(*(words(key, first, plane) for plane in (0, 1)))
    if law == "normal":
        mean, scale = parameters
        r = np.sqrt(a.f(-2) * a.log(y, rest))
    elif law == "disk":
        mean, scale = parameters
        r = np.sqrt(y)
    else:
        mean, scale, ratio, drop = parameters
        r = np.sqrt(a.f(-2) * a.log(ratio + y * drop, a.f(0)))
    x, y = _direction(a, *(words(key, first, plane, 1) for plane in (0, 1)))
    out = np.empty(elements.shape, dtype)
    out.real, out.imag = mean + scale * (r * x), scale * (r * y)
    return out


def permuted(n, key, elements):
    """Element i is the place of i % n in permutation number i // n."""
    elements = np.asarray(elements, U64)
    row, x = elements // U64(n), elements % U64(n)
    low, k = U64(2**32 - 1), (key & 0xFFFFFFFF, key >> 32)
    keys = [
        word.astype(U64)
        for j in range(5)
        for word in philox(np.broadcast_arrays(row & low, row >> U64(32), U64(2), U64(j)), k)
    ]
    bits = max(4, (n - 1).bit_length())
    left_bits, right_bits = bits // 2, bits - bits // 2

    def mix(half, key):
        h = ((half ^ key) * U64(0x85EBCA6B)) & low
        return ((h ^ (h >> U64(16))) * U64(0xC2B2AE35)) & low

    walking = np.ones(x.shape, bool)
    while walking.any():
        moved = np.where(x < 2, x ^ (keys[16] >> U64(31)), x)
        left, right = moved >> U64(right_bits), moved & U64(2**right_bits - 1)
        for r in range(16):
            if r % 2 == 0:
                left = left ^ (mix(right, keys[r]) >> U64(32 - left_bits))
            else:
                right = right ^ (mix(left, keys[r]) >> U64(32 - right_bits))
        x = np.where(walking, left << U64(right_bits) | right, x)
        walking &= x >= n
    return x.astype(np.int64)


def _to_bfloat16(x):
    """Round float32 to 8 significant bits, fewer below 2**-126, ties to even."""
    wide = x.astype(np.float64)
    with np.errstate(all="ignore"):
        exponent = np.maximum(np.frexp(wide)[1] - 1, -126)
        rounded = np.ldexp(np.rint(np.ldexp(wide, 7 - exponent)), exponent - 7)
        return (rounded.astype(np.float32).view(U32) >> U32(16)).astype(np.uint16)


def _to_float16(x):
    with np.errstate(over="ignore"):
        return x.astype(np.float16).view(np.uint16)


ROUND = {"float16": _to_float16, "bfloat16": _to_bfloat16}
WIDEN = {
    "float16": lambda bits: bits.view(np.float16).astype(np.float32),
    "bfloat16": lambda bits: (bits.astype(U32) << U32(16)).view(np.float32),
}


# ---------------------------------------------------------------- orthogonal


def orthogonal(key, length, count, dtype):
    """The first `count` orthonormal vectors of a length, as columns."""
    groups = -(-count // 16)
    draws = values(Normal(0.0, 1.0), key, np.arange(groups * length * 16), dtype)
    x = draws.reshape(groups, length, 16).transpose(1, 0, 2).reshape(length, groups * 16)
    blocks = [_reflectors(x[k:, k : min(k + 64, count)]) for k in range(0, count, 64)]
    signs = np.concatenate([-np.sign(v.diagonal()) for v, _ in blocks])
    q = np.eye(length, count, dtype=dtype) * signs
    for first, (v, system) in reversed(list(zip(range(0, count, 64), blocks, strict=True))):
        part = q[first:]  # times 1 - V system^-1 V^T
        y = _in_parts([row[:, None] * columns for row, columns in zip(v, part, strict=True)])
        for k in reversed(range(len(y))):
            for other in range(k + 1, len(y)):
                y[k] = y[k] - system[k, other] * y[other]
            y[k] = y[k] * system[k, k]
        part -= sum(v[:, k, None] * y[k] for k in range(len(y)))
    return q


def _reflectors(x):
    """Householder vectors of the columns below the diagonal, and the system of their products."""
    v = np.tril(x)
    squares = _in_parts(np.tril(x, -1).astype(float) ** 2)
    lead = x.diagonal().astype(float)
    np.fill_diagonal(v, lead + np.copysign(np.sqrt(lead * lead + squares), lead))
    squares += v.diagonal().astype(float) ** 2
    system = _in_parts([row[:, None] * row for row in v])
    np.fill_diagonal(system, 2 / squares)
    if v.shape[0] == v.shape[1]:  # the last vector is one number: no reflection
        v[-1, -1], system[-1, -1] = -x[-1, -1], 0
    return v, system


def _in_parts(terms):
    """The sum of terms, in order, of which each 128 are summed by themselves."""
    return sum(sum(terms[first : first + 128]) for first in range(0, len(terms), 128))
