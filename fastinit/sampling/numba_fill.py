"""Philox and every fill loop of the Numba backend, in one file.

One file because Numba's on-disk cache of a kernel does not see edits in another one.

The pieces, bottom up: the generator (`_philox`, `_words`), the elementary functions, one
transform a distribution and precision (words of a few tiles -> their values), the driver that walks
a region block by block (`_filler`), the compiled entry points, one a transform, and `kernel`, which
composes of them what rounds to 16 bits or adds.

Two rules shape the code. Bits must not depend on the compiler: only IEEE add, subtract, multiply,
divide, sqrt, conversions and integer operations, in the written order, never fused. And LLVM must
vectorize the lane loops: counters live in 64-bit lanes whose upper halves hold rubbish that each
multiplication masks away (one instruction a product); array indices are unsigned, since a signed
one carries a wraparound test; every 32-bit integer result is cast back, since Numba widens it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastinit.sampling.distributions import Uniform
from fastinit.sampling.jit import cached, inlined, template
from fastinit.sampling.layout import LANES, TILE
from fastinit.sampling.regions import cut

U16, U32, U64, I32, I64 = np.uint16, np.uint32, np.uint64, np.int32, np.int64
F32, F64 = np.float32, np.float64

# ---------------------------------------------------------------- generator

MULTIPLIER_0, MULTIPLIER_1 = U64(0xD2511F53), U64(0xCD9E8D57)
WEYL_0, WEYL_1 = U64(0x9E3779B9), U64(0xBB67AE85)
LOW, HALF_WORD = U64(0xFFFFFFFF), U64(32)
LANES_U, TILE_U = U64(LANES), U64(TILE)
PAIRS = TILE // 2  # complex elements a tile

# How many elements are worked on at once: enough to spread the cost of starting a block (a fifth of
# a microsecond), and few enough for the words, where there are any, to stay in the first cache.
BLOCK = 128 * TILE
BLOCK_WITHOUT_WORDS = 1024 * TILE


@inlined
def _philox(c0, c1, c2, c3, k0, k1):
    """Philox4x32-10. Only the lower 32 bits of the four results are the words."""
    for _ in range(10):
        p0 = MULTIPLIER_0 * (c0 & LOW)
        p1 = MULTIPLIER_1 * (c2 & LOW)
        c0, c1, c2, c3 = (p1 >> HALF_WORD) ^ c1 ^ k0, p1, (p0 >> HALF_WORD) ^ c3 ^ k1, p0
        k0 += WEYL_0
        k1 += WEYL_1
    return c0, c1, c2, c3


@template
def _words(words, key, plane, first_tile, tiles):
    """Write the words of some tiles: word w of lane l of a tile stands at w * LANES + l."""
    k0, k1 = key & LOW, key >> HALF_WORD
    for t in range(tiles):
        a = U64(t) * TILE_U
        counter = (first_tile + U64(t)) * LANES_U
        counter_high = counter >> HALF_WORD
        for lane in range(LANES):
            i = a + U64(lane)
            w0, w1, w2, w3 = _philox(counter + U64(lane), counter_high, plane, U64(0), k0, k1)
            words[i] = U32(w0)
            words[i + LANES_U] = U32(w1)
            words[i + U64(2) * LANES_U] = U32(w2)
            words[i + U64(3) * LANES_U] = U32(w3)


VALUE_PLANE, REFINEMENT_PLANE = U64(0), U64(1)

# (center, half_width) of draws from [0, 1)
STANDARD_UNIFORM_64 = Uniform(0.0, 1.0).plan(np.dtype(np.float64))[1]

# ---------------------------------------------------------------- elementary functions


# Minimax coefficients, lowest power first, P over Q where rational; tools/coefficients.py derives
# them. They belong to stream version 1: another last digit is another stream.


def _single(*coefficients):
    return tuple(F32(c) for c in coefficients)


def _double(*coefficients):
    return tuple(F64(c) for c in coefficients)


# fmt: off
LOG32_P = _single(
    0.3333333, -0.25000304, 0.20001195, -0.16641575, 0.14210035, -0.12989472, 0.12655054,
    -0.07972765,
)
SIN32_P = _single(0.7853982, -0.08074543, 0.002490001, -3.5950587e-05)
COS32_P = _single(1.0, -0.30842513, 0.015854323, -0.00032593656, 3.5287903e-06)
CENTRE32_P = _single(0.34534195, 1.9152625, -16.158045, -77.8218, -53.644848, -1.0248348)
CENTRE32_Q = _single(1.0, 16.933153, 84.01971, 130.5359, 46.60272)
TAIL32_P = _single(0.7507033, 0.24888079, 0.01577277, 4.1672065e-05)
TAIL32_Q = _single(1.0, 0.5434125, 0.08286229, 0.0030474786)
LOG64_P = _double(
    0.666666666666667, 0.3999999999989891, 0.28571428626130047, 0.222222111153705,
    0.1818289036053394, 0.15331684304062454, 0.14616872325611252,
)
SIN64_P = _double(
    0.7853981633974483, -0.08074551218828054, 0.002490394570188732, -3.6576204158450064e-05,
    3.133616216587221e-07, -1.757149292298087e-09, 6.877100504674189e-12,
)
COS64_P = _double(
    1.0, -0.30842513753404244, 0.01585434424381541, -0.0003259918869266874, 3.590860445885716e-06,
    -2.461136382637514e-08, 1.1500497029868293e-10, -3.8577622758926423e-13,
)
CENTRE64_P = _double(
    0.34534198639059976, 8.959691036238615, 67.22445671450117, -67.21099161913006,
    -3134.7269836069836, -15195.607544118817, -30720.41487421076, -27580.898814161912,
    -9854.233974089568, -1003.7372247301804, -2.52629140486769,
)
CENTRE64_Q = _double(
    1.0, 37.33162692468158, 557.7430721863124, 4290.91153969722, 18281.800058193978,
    43412.54174335644, 55365.749646572476, 34885.729151347274, 9243.359592411114,
    710.5387354425849,
)
TAIL64_P = _double(
    0.7507032992528536, 0.8321581544836693, 0.36664353248862014, 0.08001598257710237,
    0.008692032990223798, 0.00041763809225629284, 6.576129664470623e-06, 6.953327022648453e-09,
    -1.8903577659794846e-11,
)
TAIL64_Q = _double(
    1.0, 1.3203883402109307, 0.7148736800442704, 0.20209603987361643, 0.03125324509052883,
    0.0025208912298320825, 9.178105700250927e-05, 1.060951015999661e-06,
)
MILLS64_P = _double(
    0.9999999999999998, -0.9999999999981734, 2.9999999968897106, -14.999997902101867,
    104.99925662565116, -944.840677593342, 10372.55690164554, -132941.718642636,
    1872497.751213051, -26359246.8611689, 328227361.50426126, -3159673980.4685874,
    19934315496.656483, -60143221673.23853,
)
# fmt: on

# The centre reaches two standard deviations: CENTRE_Z2 = P(|x| < 2)^2. Where less than TAIL_MASS is
# left above, the tail's formula takes over; TAIL_START = sqrt(-2 log TAIL_MASS).
CENTRE_Z2 = 0.91107064
MIDDLE = 1.75
TAIL_START = 2.7507033
TAIL_MASS = 0.02275

LN2_32, LN2_64 = F32(0.6931471805599453), F64(0.6931471805599453)
TWO_M31, TWO_M32 = F64(2.0**-31), F64(2.0**-32)
MAGNITUDE, SIGN, SWAP = U32(0x7FFFFFFF), U32(0x80000000), U32(0x40000000)
ONE_BITS_32, ROOT_HALF_BITS_32 = I32(0x3F800000), I32(0x3F3504F3)
ROOT_HALF_BITS_64 = I64(0x3FE6A09E667F3BCD)


@inlined
def _horner(x, coefficients):
    value = coefficients[len(coefficients) - 1]
    for k in range(len(coefficients) - 2, -1, -1):
        value = value * x + coefficients[k]
    return value


@inlined
def _odd(word):
    """Signed odd integer nearest a word: symmetric about zero, never zero, 31 random bits."""
    return I32(I32(U32(word)) | I32(1))


@inlined
def _fold(word):
    """Sign mask (-1 below the median, 0 above) and odd distance to the nearer end, in 2^-32."""
    below = I32(I32(U32(word)) >> I32(31))
    distance = I32(U32(U32(U32(word) ^ U32(~below)) & MAGNITUDE) | U32(1))
    return below, distance


@inlined
def _log32(y, rest):
    """log(y + rest) for y in (0, 1] and a rest below its last place."""
    bits = F32(y).view(I32)
    exponent = I32(I32(bits - ROOT_HALF_BITS_32) >> I32(23))
    mantissa = I32(bits - I32(exponent << I32(23))).view(F32)
    g = (mantissa - F32(1)) + rest
    square = g * g
    log1p = g + (square * g * _horner(g, LOG32_P) - F32(0.5) * square)
    return log1p + F32(exponent) * LN2_32


@inlined
def _log64(y, rest):
    """As _log32, through log(1+g) = 2 atanh(g / (2+g))."""
    bits = F64(y).view(I64)
    exponent = (bits - ROOT_HALF_BITS_64) >> I64(52)
    mantissa = I64(bits - (exponent << I64(52))).view(F64)
    g = (mantissa - F64(1)) + rest
    half_square = F64(0.5) * (g * g)
    s = g / (F64(2) + g)
    t = s * s
    log1p = g - (half_square - s * (half_square + t * _horner(t, LOG64_P)))
    return log1p + F64(I32(exponent)) * LN2_64


@inlined
def _uniform_parts32(word):
    """Sign mask, p in (0, 1/2], and y + rest = u in (0, 1): p = min(u, 1-u), none loses bits."""
    below, distance = _fold(word)
    p = F32(distance) * F32(TWO_M32)
    end = I32(~below & ONE_BITS_32).view(F32)
    signed = end - p
    return below, p, abs(signed), (end - signed) - p


@inlined
def _uniform_parts64(word, refinement):
    """As _uniform_parts32, with 32 more bits below the first."""
    below, distance = _fold(word)
    p = (F64(distance) + F64(_odd(refinement)) * TWO_M31) * TWO_M32
    end = F64(I32(below + I32(1)))
    signed = end - p
    return below, p, abs(signed), (end - signed) - p


@inlined
def _radius32(y, rest):
    """sqrt(-2 log(y + rest)): of a uniform number, the length of a pair of normals."""
    return np.sqrt(F32(-2) * _log32(y, rest))


@inlined
def _radius64(y, rest):
    return np.sqrt(F64(-2) * _log64(y, rest))


@inlined
def _angle(word):
    """Thirty bits of a quarter turn about zero, as an odd multiple of 2^-30."""
    return I32(U32(U32(word) << U32(2)) | U32(2))


@inlined
def _direction32(word):
    """Point on the unit circle: an angle within a quarter turn, a sign and a swap."""
    t = F32(_angle(word)) * F32(TWO_M31)
    square = t * t
    sine = t * _horner(square, SIN32_P)
    cosine = U32(F32(_horner(square, COS32_P)).view(U32) ^ U32(U32(word) & SIGN)).view(F32)
    swap = U32(U32(word) & SWAP) != U32(0)
    return (sine if swap else cosine), (cosine if swap else sine)


@inlined
def _direction64(word, refinement):
    t = (F64(_angle(word)) + F64(2) * (F64(_odd(refinement)) * TWO_M31)) * TWO_M31
    square = t * t
    sine = t * _horner(square, SIN64_P)
    cosine = _horner(square, COS64_P)
    cosine = -cosine if U32(U32(word) & SIGN) != U32(0) else cosine
    swap = U32(U32(word) & SWAP) != U32(0)
    return (sine if swap else cosine), (cosine if swap else sine)


@inlined
def _clip(x, low, high):
    x = low if x < low else x
    return high if x > high else x


# A quantile in the upper half, from its upper tail q in (0, 1/2]. The ratios of polynomials give
# the small difference from something simple, so that their rounding errors are small in the sum.
# With z = 1 - 2q, t = CENTRE_Z2 - z^2 is computed from q: no cancellation where it would matter.


@inlined
def _central_quantile32(q):
    """Return the quantile within two standard deviations."""
    z = (F32(0.5) - q) * F32(2)
    t = F32(4) * q * (F32(1) - q) - F32(1 - CENTRE_Z2)
    return z * (F32(MIDDLE) + _horner(t, CENTRE32_P) / _horner(t, CENTRE32_Q))


@inlined
def _central_quantile64(q):
    z = (F64(0.5) - q) * F64(2)
    t = F64(4) * q * (F64(1) - q) - F64(1 - CENTRE_Z2)
    return z * (F64(MIDDLE) + _horner(t, CENTRE64_P) / _horner(t, CENTRE64_Q))


@inlined
def _upper_quantile32(q):
    """Return any quantile: the centre's formula or the tail's, and no branch."""
    r = _radius32(q, F32(0))
    s = r - F32(TAIL_START)
    tail = r - _horner(s, TAIL32_P) / _horner(s, TAIL32_Q)
    return _central_quantile32(q) if q > F32(TAIL_MASS) else tail


@inlined
def _upper_quantile64(q):
    r = _radius64(q, F64(0))
    s = r - F64(TAIL_START)
    tail = r - _horner(s, TAIL64_P) / _horner(s, TAIL64_Q)
    return _central_quantile64(q) if q > F64(TAIL_MASS) else tail


@inlined
def _far_excess(u, start, ratio, drop):
    """Excess over `start` (>= 5) at which the upper tail has fallen to ratio + u * drop of its own.

    Newton's iteration on the logarithm of the survival function: density / x times a slowly varying
    factor (x times Mills' ratio, a function of 1/x^2). The first guess neglects how that factor and
    x vary; three steps reach the last place of float64.
    """
    fall = -_log64(ratio + u * drop, F64(0))
    log_mills_start = _log64(_horner(F64(1) / (start * start), MILLS64_P), F64(0))
    excess = F64(2) * fall / (start + np.sqrt(start * start + F64(2) * fall))
    for _ in range(3):
        x = start + excess
        mills = _horner(F64(1) / (x * x), MILLS64_P)
        drift = _log64(start / x, F64(0)) + (_log64(mills, F64(0)) - log_mills_start)
        miss = excess * (start + F64(0.5) * excess) - drift - fall
        excess = excess - miss * (mills / x)
    return excess


# ---------------------------------------------------------------- transforms
# Each writes tiles * TILE values of one distribution to out[offset:]; words and more are scratch.


@template
def _uniform_tiles32(out, offset, key, tile, tiles, parameters, words, more):
    # The one fused loop: next to no arithmetic per word, so a pass over scratch would show.
    center, half_width = parameters
    k0, k1 = key & LOW, key >> HALF_WORD
    for t in range(tiles):
        a = offset + U64(t) * TILE_U
        counter = (tile + U64(t)) * LANES_U
        counter_high = counter >> HALF_WORD
        for lane in range(LANES):
            i = a + U64(lane)
            w0, w1, w2, w3 = _philox(counter + U64(lane), counter_high, VALUE_PLANE, U64(0), k0, k1)
            out[i] = center + F32(I32(U32(w0))) * half_width
            out[i + LANES_U] = center + F32(I32(U32(w1))) * half_width
            out[i + U64(2) * LANES_U] = center + F32(I32(U32(w2))) * half_width
            out[i + U64(3) * LANES_U] = center + F32(I32(U32(w3))) * half_width


@template
def _uniform_tiles64(out, offset, key, tile, tiles, parameters, words, more):
    center, half_width = parameters
    _words(words, key, VALUE_PLANE, tile, tiles)
    _words(more, key, REFINEMENT_PLANE, tile, tiles)
    for i in range(U64(tiles) * TILE_U):
        signed = F64(I32(words[i])) + F64(_odd(more[i])) * TWO_M32
        out[offset + i] = center + signed * half_width


@template
def _normal_tiles32(out, offset, key, tile, tiles, parameters, words, more):
    mean, std = parameters
    _words(words, key, VALUE_PLANE, tile, tiles)
    for pair in range(U64(2 * tiles)):
        a = U64(pair) * U64(2) * LANES_U
        b = a + LANES_U
        for lane in range(LANES):
            i = U64(lane)
            _, _, u, rest = _uniform_parts32(words[a + i])
            radius = _radius32(u, rest)
            x, y = _direction32(words[b + i])
            out[offset + a + i] = mean + std * (radius * x)
            out[offset + b + i] = mean + std * (radius * y)


@template
def _normal_tiles64(out, offset, key, tile, tiles, parameters, words, more):
    mean, std = parameters
    _words(words, key, VALUE_PLANE, tile, tiles)
    _words(more, key, REFINEMENT_PLANE, tile, tiles)
    for pair in range(U64(2 * tiles)):
        a = U64(pair) * U64(2) * LANES_U
        b = a + LANES_U
        for lane in range(LANES):
            i = U64(lane)
            _, _, u, rest = _uniform_parts64(words[a + i], more[a + i])
            radius = _radius64(u, rest)
            x, y = _direction64(words[b + i], more[b + i])
            out[offset + a + i] = mean + std * (radius * x)
            out[offset + b + i] = mean + std * (radius * y)


@inlined
def _nearer_tail(parts, parameters, half):
    """Sign of a draw between the bounds, and its tail mass q <= 1/2 on that side of the mean.

    Bounds on both sides of the mean: measured from the end that `below` names, by p. Both bounds
    above it: from the far end, by u. Either way a small mass keeps its bits.
    """
    below, p, u, _ = parts
    _, _, mass_below, mass_above, mass, one_sided, _, _ = parameters
    from_above = one_sided > half
    negative = below != I32(0) and not from_above
    q = (mass_below if negative else mass_above) + (u if from_above else p) * mass
    past_mean = q > half
    return negative != past_mean, ((half - q) + half if past_mean else q)


@template
def _central_tiles32(out, offset, key, tile, tiles, parameters, words, more):
    """Truncated normal within two standard deviations: no tail, so no logarithm."""
    mean, std, _, _, _, _, low, high = parameters
    _words(words, key, VALUE_PLANE, tile, tiles)
    for i in range(U64(tiles) * TILE_U):
        negative, q = _nearer_tail(_uniform_parts32(words[i]), parameters, F32(0.5))
        x = _central_quantile32(q)
        out[offset + i] = _clip(mean + std * (-x if negative else x), low, high)


@template
def _wide_tiles32(out, offset, key, tile, tiles, parameters, words, more):
    """Truncated normal with any bounds but far ones."""
    mean, std, _, _, _, _, low, high = parameters
    _words(words, key, VALUE_PLANE, tile, tiles)
    for i in range(U64(tiles) * TILE_U):
        negative, q = _nearer_tail(_uniform_parts32(words[i]), parameters, F32(0.5))
        x = _upper_quantile32(q)
        out[offset + i] = _clip(mean + std * (-x if negative else x), low, high)


@template
def _central_tiles64(out, offset, key, tile, tiles, parameters, words, more):
    mean, std, _, _, _, _, low, high = parameters
    _words(words, key, VALUE_PLANE, tile, tiles)
    _words(more, key, REFINEMENT_PLANE, tile, tiles)
    for i in range(U64(tiles) * TILE_U):
        negative, q = _nearer_tail(_uniform_parts64(words[i], more[i]), parameters, F64(0.5))
        x = _central_quantile64(q)
        out[offset + i] = _clip(mean + std * (-x if negative else x), low, high)


@template
def _wide_tiles64(out, offset, key, tile, tiles, parameters, words, more):
    mean, std, _, _, _, _, low, high = parameters
    _words(words, key, VALUE_PLANE, tile, tiles)
    _words(more, key, REFINEMENT_PLANE, tile, tiles)
    for i in range(U64(tiles) * TILE_U):
        negative, q = _nearer_tail(_uniform_parts64(words[i], more[i]), parameters, F64(0.5))
        x = _upper_quantile64(q)
        out[offset + i] = _clip(mean + std * (-x if negative else x), low, high)


@template
def _far_tiles32(out, offset, key, tile, tiles, parameters, words, more):
    """Both bounds beyond five standard deviations; rare, so in float64 whatever the output."""
    mean, std, start, ratio, drop, low, high = parameters
    _words(words, key, VALUE_PLANE, tile, tiles)
    for i in range(U64(tiles) * TILE_U):
        u = (F64(_odd(words[i])) + F64(2.0**31)) * TWO_M32
        x = start + _far_excess(u, start, ratio, drop)
        out[offset + i] = F32(_clip(mean + std * x, low, high))


@template
def _far_tiles64(out, offset, key, tile, tiles, parameters, words, more):
    mean, std, start, ratio, drop, low, high = parameters
    _words(words, key, VALUE_PLANE, tile, tiles)
    _words(more, key, REFINEMENT_PLANE, tile, tiles)
    for i in range(U64(tiles) * TILE_U):
        _, _, u, _ = _uniform_parts64(words[i], more[i])
        x = start + _far_excess(u, start, ratio, drop)
        out[offset + i] = _clip(mean + std * x, low, high)


@template
def _sign_tiles(out, offset, key, tile, tiles, parameters, words, more):
    (scale,) = parameters
    _words(words, key, VALUE_PLANE, tile, tiles)
    for i in range(U64(tiles) * TILE_U):
        out[offset + i] = scale if I32(words[i]) >= I32(0) else -scale


@template
def _bits_tiles32(out, offset, key, tile, tiles, parameters, words, more):
    _words(out[offset:], key, VALUE_PLANE, tile, tiles)


@template
def _bits_tiles64(out, offset, key, tile, tiles, parameters, words, more):
    _words(words, key, VALUE_PLANE, tile, tiles)
    _words(more, key, REFINEMENT_PLANE, tile, tiles)
    for i in range(U64(tiles) * TILE_U):
        out[offset + i] = (U64(words[i]) << HALF_WORD) | U64(more[i])


# A complex element has a pair of words, for its distance from the mean and for its direction.


def _complex_tiles32(distance):
    @template
    def tiles32(out, offset, key, tile, tiles, parameters, words, more):
        mean, scale = parameters[0], parameters[1]
        _words(words, key, VALUE_PLANE, tile, tiles)
        for pair in range(U64(2 * tiles)):
            a = U64(pair) * U64(2) * LANES_U
            b = a + LANES_U
            for lane in range(LANES):
                i = U64(lane)
                _, _, y, rest = _uniform_parts32(words[a + i])
                r = distance(y, rest, parameters)
                x, y = _direction32(words[b + i])
                value = complex(mean + scale * (r * x), scale * (r * y))
                out[offset + U64(pair) * LANES_U + i] = value

    return tiles32


def _complex_tiles64(distance):
    @template
    def tiles64(out, offset, key, tile, tiles, parameters, words, more):
        mean, scale = parameters[0], parameters[1]
        _words(words, key, VALUE_PLANE, tile, tiles)
        _words(more, key, REFINEMENT_PLANE, tile, tiles)
        for pair in range(U64(2 * tiles)):
            a = U64(pair) * U64(2) * LANES_U
            b = a + LANES_U
            for lane in range(LANES):
                i = U64(lane)
                _, _, y, rest = _uniform_parts64(words[a + i], more[a + i])
                r = distance(y, rest, parameters)
                x, y = _direction64(words[b + i], more[b + i])
                value = complex(mean + scale * (r * x), scale * (r * y))
                out[offset + U64(pair) * LANES_U + i] = value

    return tiles64


@inlined
def _normal_distance32(y, rest, parameters):
    return _radius32(y, rest)


@inlined
def _normal_distance64(y, rest, parameters):
    return _radius64(y, rest)


@inlined
def _disk_distance(y, rest, parameters):
    return np.sqrt(y)


@inlined
def _cut_distance32(y, rest, parameters):
    _, _, ratio, drop = parameters
    return _radius32(ratio + y * drop, F32(0))


@inlined
def _cut_distance64(y, rest, parameters):
    _, _, ratio, drop = parameters
    return _radius64(ratio + y * drop, F64(0))


# ---------------------------------------------------------------- permutations

PERMUTATION_PLANE = U64(2)
ROUNDS = 16
MIX_0, MIX_1, SIXTEEN = U32(0x85EBCA6B), U32(0xC2B2AE35), U32(16)


@inlined
def _mixed(half, key):
    """Return a hash of half a number: the finish of MurmurHash3, without its ends."""
    h = U32(U32(U32(half) ^ key) * MIX_0)
    h = U32(h ^ U32(h >> SIXTEEN))
    return U32(h * MIX_1)


@template
def _row_keys(keys, key, row):
    """Write the keys of a row's permutation: one a round, and one for what goes before them."""
    k0, k1 = key & LOW, key >> HALF_WORD
    for j in range(0, keys.size, 4):
        w = _philox(row, row >> HALF_WORD, PERMUTATION_PLANE, U64(j // 4), k0, k1)
        keys[j], keys[j + 1], keys[j + 2], keys[j + 3] = U32(w[0]), U32(w[1]), U32(w[2]), U32(w[3])


@template
def _permuted(x, n, right_bits, left_shift, right_shift, keys):
    """Return the place of x in a permutation of 0 to n - 1.

    A Feistel network permutes the numbers of as many bits as n - 1 has; where it leaves the range,
    it goes on until it is back. It is an even permutation of any number of bits above 2, so 0 and 1
    change places before it with probability 1/2.
    """
    mask = (U64(1) << right_bits) - U64(1)
    while True:
        if x < U64(2):
            x ^= U64(keys[ROUNDS] >> U32(31))
        left, right = U32(x >> right_bits), U32(x & mask)
        for r in range(0, ROUNDS, 2):
            left = U32(left ^ U32(_mixed(right, keys[r]) >> left_shift))
            right = U32(right ^ U32(_mixed(left, keys[r + 1]) >> right_shift))
        x = (U64(left) << right_bits) | U64(right)
        if x < n:
            return x


# ---------------------------------------------------------------- the driver


def _filler(draw, planes, size=TILE):
    """Return what fills a region by a transform that takes some planes of words, `size` a tile.

    Row r of out holds the elements starts[r], starts[r] + 1, ... A block of tiles that lies within
    a row is written there; one that sticks out, to `edge`, and what the row needs is copied. No
    generator, though it would be shorter: Numba never frees the arrays that one is given.
    """
    most = (BLOCK if planes else BLOCK_WITHOUT_WORDS) // TILE

    @template
    def fill(out, key, starts, parameters):
        length = out.shape[1]
        most_tiles = min(most, length // size + 2)  # so that short rows stay cheap
        words = np.empty(most_tiles * TILE if planes > 0 else 0, U32)
        more = np.empty(most_tiles * TILE if planes > 1 else 0, U32)
        edge = np.empty(most_tiles * size, out.dtype)
        for run in range(out.shape[0]):
            row = out[run]
            tile = starts[run] // U64(size)
            position = -I64(starts[run] % U64(size))
            while position < length:
                tiles = min(most_tiles, (length - position + size - 1) // size)
                end = position + tiles * size
                inside = position >= 0 and end <= length
                target = row if inside else edge
                offset = U64(position) if inside else U64(0)
                draw(target, offset, key, tile, tiles, parameters, words, more)
                if not inside:
                    for i in range(max(0, position), min(end, length)):
                        row[i] = edge[i - position]
                position = end
                tile += U64(tiles)

    return fill


_uniform_float32 = _filler(_uniform_tiles32, 0)
_uniform_float64 = _filler(_uniform_tiles64, 2)
_normal_float32 = _filler(_normal_tiles32, 1)
_normal_float64 = _filler(_normal_tiles64, 2)
_truncated_central_float32 = _filler(_central_tiles32, 1)
_truncated_central_float64 = _filler(_central_tiles64, 2)
_truncated_wide_float32 = _filler(_wide_tiles32, 1)
_truncated_wide_float64 = _filler(_wide_tiles64, 2)
_truncated_far_float32 = _filler(_far_tiles32, 1)
_truncated_far_float64 = _filler(_far_tiles64, 2)
_sign_float32 = _filler(_sign_tiles, 1)
_sign_float64 = _filler(_sign_tiles, 1)
_bits_uint32 = _filler(_bits_tiles32, 0)
_bits_uint64 = _filler(_bits_tiles64, 2)
_normal_complex64 = _filler(_complex_tiles32(_normal_distance32), 1, PAIRS)
_normal_complex128 = _filler(_complex_tiles64(_normal_distance64), 2, PAIRS)
_disk_complex64 = _filler(_complex_tiles32(_disk_distance), 1, PAIRS)
_disk_complex128 = _filler(_complex_tiles64(_disk_distance), 2, PAIRS)
_truncated_modulus_complex64 = _filler(_complex_tiles32(_cut_distance32), 1, PAIRS)
_truncated_modulus_complex128 = _filler(_complex_tiles64(_cut_distance64), 2, PAIRS)


# ---------------------------------------------------------------- entry points
# out: (runs, length), C-contiguous; key: uint64; starts: uint64 (runs,); parameters: a tuple of
# scalars, in the dtype of out or of its parts, but float64 for the far tail and an integer for the
# permutation. They are spelled out because Numba does not cache a function to which its transform
# is passed.


@cached
def uniform_float32(out, key, starts, parameters):
    _uniform_float32(out, key, starts, parameters)


@cached
def uniform_float64(out, key, starts, parameters):
    _uniform_float64(out, key, starts, parameters)


@cached
def normal_float32(out, key, starts, parameters):
    _normal_float32(out, key, starts, parameters)


@cached
def normal_float64(out, key, starts, parameters):
    _normal_float64(out, key, starts, parameters)


@cached
def truncated_central_float32(out, key, starts, parameters):
    _truncated_central_float32(out, key, starts, parameters)


@cached
def truncated_central_float64(out, key, starts, parameters):
    _truncated_central_float64(out, key, starts, parameters)


@cached
def truncated_wide_float32(out, key, starts, parameters):
    _truncated_wide_float32(out, key, starts, parameters)


@cached
def truncated_wide_float64(out, key, starts, parameters):
    _truncated_wide_float64(out, key, starts, parameters)


@cached
def truncated_far_float32(out, key, starts, parameters):
    _truncated_far_float32(out, key, starts, parameters)


@cached
def truncated_far_float64(out, key, starts, parameters):
    _truncated_far_float64(out, key, starts, parameters)


@cached
def sign_float32(out, key, starts, parameters):
    _sign_float32(out, key, starts, parameters)


@cached
def sign_float64(out, key, starts, parameters):
    _sign_float64(out, key, starts, parameters)


@cached
def bits_uint32(out, key, starts, parameters):
    _bits_uint32(out, key, starts, parameters)


@cached
def bits_uint64(out, key, starts, parameters):
    _bits_uint64(out, key, starts, parameters)


@cached
def normal_complex64(out, key, starts, parameters):
    _normal_complex64(out, key, starts, parameters)


@cached
def normal_complex128(out, key, starts, parameters):
    _normal_complex128(out, key, starts, parameters)


@cached
def disk_complex64(out, key, starts, parameters):
    _disk_complex64(out, key, starts, parameters)


@cached
def disk_complex128(out, key, starts, parameters):
    _disk_complex128(out, key, starts, parameters)


@cached
def truncated_modulus_complex64(out, key, starts, parameters):
    _truncated_modulus_complex64(out, key, starts, parameters)


@cached
def truncated_modulus_complex128(out, key, starts, parameters):
    _truncated_modulus_complex128(out, key, starts, parameters)


@cached
def permutation_int64(out, key, starts, parameters):
    n = U64(parameters[0])
    bits = 4  # fewer would not be mixed
    while bits < 62 and (n - U64(1)) >> U64(bits):
        bits += 1
    right_bits = U64(bits - bits // 2)
    left_shift, right_shift = U32(32 - bits // 2), U32(32 - (bits - bits // 2))
    keys = np.empty(20, U32)
    for run in range(out.shape[0]):
        row, x = starts[run] // n, starts[run] % n
        _row_keys(keys, key, row)
        for i in range(out.shape[1]):
            if x == n:
                row, x = row + U64(1), U64(0)
                _row_keys(keys, key, row)
            out[run, i] = I64(_permuted(x, n, right_bits, left_shift, right_shift, keys))
            x += U64(1)


# ---------------------------------------------------------------- subsets of a fixed size
# Selection sampling (Knuth's algorithm S) in all columns at once; see `choose_rows` in simd/fill.h.


@cached
def choose_rows(out, words, lacking, left):
    many = U64(left)
    zero = out.dtype.type(0)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            keep = U32(U64(words[i, j]) * many >> U64(32)) < lacking[j]
            lacking[j] = U32(lacking[j] - U32(keep))
            out[i, j] = out[i, j] if keep else zero
        many -= U64(1)


def choose(out: Any, lacking: Any, left: int, key: int, start: int) -> None:
    """Zero elements of the columns of a matrix; see simd/fills.h."""
    rows, columns = out.shape
    most = CHUNK // columns
    for row in range(0, rows, most):
        part = out[row : row + most]
        words = np.empty(part.shape, U32)
        starts = np.array([start + row * columns], U64)
        bits_uint32(words.reshape(1, part.size), U64(key), starts, ())
        choose_rows(part, words, lacking, left - row)


# ---------------------------------------------------------------- finishing: add, round to 16 bits
# What is drawn into scratch is added to what is there, or rounded, or both.


@inlined
def _to_bfloat16(x):
    """Return the 16 bits of a float32 rounded to nearest even; NaN stays one."""
    b = F32(x).view(U32)
    rounded = U32(U32(b + U32(0x7FFF) + U32(U32(b >> U32(16)) & U32(1))) >> U32(16))
    quiet = U32(U32(b >> U32(16)) | U32(0x40))
    return U16(quiet if U32(b & MAGNITUDE) > U32(0x7F800000) else rounded)


@inlined
def _from_bfloat16(h):
    return U32(U32(h) << U32(16)).view(F32)


@inlined
def _to_float16(x):
    """Return the 16 bits of a float32 rounded to nearest even: exact subnormals, infinity, NaN."""
    b = F32(x).view(U32)
    sign, magnitude = U32(U32(b >> U32(16)) & U32(0x8000)), U32(b & MAGNITUDE)
    odd = U32(U32(magnitude >> U32(13)) & U32(1))
    # Normal: the exponent's bias falls from 127 to 15; the carry may lead to infinity.
    normal = U32(U32(magnitude + U32(0xC8000FFF) + odd) >> U32(13))
    # Subnormal: at a float32 of 1/2 the last place is what the smallest float16 stands for.
    subnormal = U32(F32(U32(magnitude).view(F32) + F32(0.5)).view(U32) - U32(0x3F000000))
    value = subnormal if magnitude < U32(0x38800000) else normal
    value = U32(0x7C00) if magnitude >= U32(0x47800000) else value
    nan = U32(U32(0x7E00) | U32(U32(magnitude >> U32(13)) & U32(0x3FF)))
    return U16(sign | (nan if magnitude > U32(0x7F800000) else value))


@inlined
def _from_float16(h):
    sign, magnitude = U32(U32(U32(h) & U32(0x8000)) << U32(16)), U32(U32(h) & U32(0x7FFF))
    # The exponent's bias rises by 112; 113 then, for the subtraction makes a subnormal exact.
    shifted = U32(U32(magnitude << U32(13)) + U32(0x38000000))
    least = F32(U32(shifted + U32(0x00800000)).view(F32) - F32(2.0**-14)).view(U32)
    value = least if magnitude < U32(0x0400) else shifted
    value = U32(value + U32(0x38000000)) if magnitude >= U32(0x7C00) else value
    return U32(sign | value).view(F32)


@cached
def add_float(out, draws, scale):
    for i in range(out.size):
        out[i] = out[i] + scale * draws[i]


@cached
def round_float16(out, draws):
    for i in range(out.size):
        out[i] = _to_float16(draws[i])


@cached
def round_bfloat16(out, draws):
    for i in range(out.size):
        out[i] = _to_bfloat16(draws[i])


@cached
def add_float16(out, draws, scale):
    for i in range(out.size):
        out[i] = _to_float16(_from_float16(out[i]) + scale * draws[i])


@cached
def add_bfloat16(out, draws, scale):
    for i in range(out.size):
        out[i] = _to_bfloat16(_from_bfloat16(out[i]) + scale * draws[i])


FINISHES: dict[tuple[str, bool], Callable[..., None]] = {
    ("float16", False): round_float16,
    ("bfloat16", False): round_bfloat16,
    ("float16", True): add_float16,
    ("bfloat16", True): add_bfloat16,
    ("float32", True): add_float,
    ("float64", True): add_float,
}
CHUNK = 2**15


def kernel(law: str, dtype: str, add: bool = False) -> Callable[..., None]:
    """Return the function that draws a law in a dtype, or adds to what is there.

    It is called with ``(out, key, starts, parameters)``, and with a scale where it adds; see the
    entry points.
    """
    entries = globals()
    finish = FINISHES.get((dtype, add))
    if finish is None:
        entry: Callable[..., None] = entries[f"{law}_{dtype}"]
        return entry
    drawn = np.dtype(np.float64 if dtype == "float64" else np.float32)
    draw = entries[f"{law}_{drawn.name}"]

    def composed(out: Any, key: Any, starts: Any, parameters: Any, *scale: Any) -> None:
        pieces = cut(out.shape, CHUNK)
        scratch = np.empty(min(CHUNK, out.size), drawn)
        for i in range(pieces.number):
            *run, part = pieces.piece(i)
            if run:  # a part of one run
                target = out[run[0], part]
                first = starts[run[0] : run[0] + 1] + np.uint64(part.start)
            else:
                target, first = out[part].reshape(-1), starts[part]
            draws = scratch[: target.size]
            rows = draws.reshape(first.size, target.size // first.size)
            draw(rows, key, first, parameters)
            finish(target, draws, *scale)

    return composed


def fill_many(tensors: list[tuple[Callable[..., None], Any, int, Any]]) -> None:
    """Fill whole tensors, each ``(kernel, out, key, parameters)``.

    In Python, since a list of tensors of many laws and dtypes has no type that Numba compiles; a
    call of a kernel costs one or two microseconds.
    """
    starts = np.zeros(1, U64)
    for draw, out, key, parameters in tensors:
        draw(out.reshape(1, out.size), U64(key), starts, parameters)


# ---------------------------------------------------------------- single elements
# For code that is itself compiled: one element costs a block of the generator, some 20 ns.


@inlined
def _block_of(key, plane, i):
    """Return the four words of the block that element i belongs to, and which is its own."""
    place = i % TILE_U
    counter = (i // TILE_U) * LANES_U + place % LANES_U
    k0, k1 = key & LOW, key >> HALF_WORD
    return _philox(counter, counter >> HALF_WORD, plane, U64(0), k0, k1), place // LANES_U


@inlined
def _word(words, which):
    low = words[1] if which == U64(1) else words[0]
    high = words[3] if which == U64(3) else words[2]
    return U32(high if which > U64(1) else low)


@cached
def bits(key, i):
    """Return the random word of element i: 32 bits, from which its value in float32 is made.

    Parameters
    ----------
    key : Key or int
        64 bits.
    i : int
        Number of the element, from 0; below 2**63.

    Returns
    -------
    uint32
        Uniform over all of its values.

    References
    ----------
    Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3. SC (2011).

    Examples
    --------
    >>> import fastinit
    >>> from fastinit.kernels import draws
    >>> key = fastinit.key(0, "noise")
    >>> int(draws.bits(key, 7)) == int(fastinit.bits(8, seed=key)[7])
    True
    """
    words, which = _block_of(U64(key), VALUE_PLANE, U64(i))
    return _word(words, which)


@cached
def uniform(key, i):
    """Return element i of the tensor of draws from [0, 1), in float64; see `bits`.

    Parameters
    ----------
    key : Key or int
        64 bits.
    i : int
        Number of the element, from 0; below 2**63.

    Returns
    -------
    float64
        At least 0, below 1.

    Examples
    --------
    >>> import fastinit
    >>> from fastinit.kernels import draws
    >>> key = fastinit.key(0, "noise")
    >>> u = fastinit.uniform(8, 0.0, 1.0, seed=key, dtype="float64")
    >>> float(draws.uniform(key, 7)) == float(u[7])
    True
    """
    words, which = _block_of(U64(key), VALUE_PLANE, U64(i))
    more, _ = _block_of(U64(key), REFINEMENT_PLANE, U64(i))
    signed = F64(I32(_word(words, which))) + F64(_odd(_word(more, which))) * TWO_M32
    return STANDARD_UNIFORM_64[0] + signed * STANDARD_UNIFORM_64[1]


@cached
def normal(key, i):
    """Return element i of the tensor of standard normal draws, in float64; see `bits`.

    Parameters
    ----------
    key : Key or int
        64 bits.
    i : int
        Number of the element, from 0; below 2**63.

    Returns
    -------
    float64
        Finite.

    Examples
    --------
    >>> import fastinit
    >>> from fastinit.kernels import draws
    >>> key = fastinit.key(0, "noise")
    >>> x = fastinit.normal(8, 0.0, 1.0, seed=key, dtype="float64")
    >>> float(draws.normal(key, 7)) == float(x[7])
    True
    """
    words, which = _block_of(U64(key), VALUE_PLANE, U64(i))
    more, _ = _block_of(U64(key), REFINEMENT_PLANE, U64(i))
    first = which & ~U64(1)
    _, _, u, rest = _uniform_parts64(_word(words, first), _word(more, first))
    radius = _radius64(u, rest)
    x, y = _direction64(_word(words, first + U64(1)), _word(more, first + U64(1)))
    return radius * (x if which == first else y)
