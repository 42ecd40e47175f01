"""Known answers of the generator, and every kernel against the oracle, to the last bit."""

import decimal
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fastinit.keys import key
from fastinit.sampling import (
    Bits,
    Normal,
    Permutation,
    Sign,
    TruncatedNormal,
    Uniform,
    backend,
    fill,
    numba_fill,
)
from fastinit.sampling.dtypes import COMPLEX, FLOATS, find
from tests import naive

ONES = 0xFFFFFFFF
KNOWN = [  # counter, key, words: Random123's published answers for philox4x32-10
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]

KEYS = [0, 0x299F31D0A4093822, 2**64 - 1]
DISTRIBUTIONS = [
    Uniform(-1.0, 1.0),
    Uniform(0.0, 1.0),
    Uniform(3.0, 3.25),
    Normal(0.0, 1.0),
    Normal(-2.0, 0.03),
    TruncatedNormal(0.0, 1.0),
    TruncatedNormal(0.5, 2.0, -1.0, 1.5),
    TruncatedNormal(0.0, 1.0, -3.0, 3.0),
    TruncatedNormal(0.0, 1.0, -0.25, np.inf),
    TruncatedNormal(0.0, 1.0, 1.0, 4.5),
    TruncatedNormal(1.0, 0.1, -np.inf, -2.5),
    TruncatedNormal(0.0, 1.0, -np.inf, np.inf),
    TruncatedNormal(0.3, 1.0, -0.5, 0.5, absolute=True),
    TruncatedNormal(0.3, 0.5, 1.0, np.inf, absolute=True),
    TruncatedNormal(2.0, 0.0, 1.0, 2.0, absolute=True),
    Sign(0.7),
]


@pytest.mark.parametrize(("counter", "key_words", "expected"), KNOWN)
def test_philox_known_answers(counter, key_words, expected):
    assert tuple(int(word) for word in naive.philox(counter, key_words)) == expected
    drawn = numba_fill._philox(*(np.uint64(word) for word in (*counter, *key_words)))
    assert tuple(int(word) & ONES for word in drawn) == expected


COMPLEX_LAWS = [
    Uniform(-1.0, 3.0),
    Normal(0.5, 2.0),
    TruncatedNormal(0.0, 1.0),
    TruncatedNormal(-1.0, 0.3, -0.5, 0.5),
    TruncatedNormal(0.0, 1.0, -np.inf, np.inf),
    TruncatedNormal(0.0, 1.0, -1e-5, 1e-5),
]
PERMUTATIONS = [Permutation(n) for n in (1, 2, 3, 5, 16, 17, 1000, 2**33 + 7, 2**62)]
CASES = [
    *((law, dtype) for law in DISTRIBUTIONS for dtype in FLOATS),
    *((law, dtype) for law in COMPLEX_LAWS for dtype in COMPLEX),
    *((law, dtype) for law in (Bits(), *PERMUTATIONS) for dtype in law.dtypes),
]
STARTS = [0, 5, 64, 2**36 - 700, 2**62 + 11]


def same_bits(one, other):
    assert one.dtype == other.dtype
    np.testing.assert_array_equal(*(np.ascontiguousarray(a).view(np.uint8) for a in (one, other)))


@pytest.mark.parametrize(("distribution", "dtype"), CASES, ids=repr)
@pytest.mark.parametrize("start", STARTS)
def test_kernels_match_the_oracle_bit_for_bit(distribution, dtype, start):
    for bits in KEYS:
        out = np.empty(3000, find(dtype, (dtype,)).storage)
        fill(out, distribution, bits, start, dtype=dtype)
        same_bits(out, naive.values(distribution, bits, start + np.arange(3000), dtype))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=repr)
@pytest.mark.parametrize("start", STARTS)
def test_adding_matches_the_oracle_bit_for_bit(distribution, dtype, start):
    row = find(dtype, FLOATS)
    before = np.empty(3000, row.storage)
    fill(before, Normal(0.0, 3.0), 11, dtype=dtype)
    for scale in (1.0, -0.3):
        out = before.copy()
        fill(out, distribution, KEYS[1], start, dtype=dtype, scale=scale)
        elements = start + np.arange(3000)
        same_bits(out, naive.added(before, scale, distribution, KEYS[1], elements, dtype))


@pytest.mark.parametrize("dtype", [*FLOATS, *COMPLEX])
def test_large_fills_are_made_of_chunks_that_fit(dtype):
    """More than a chunk of the 16-bit kernels and more than a block, in long and in short rows."""
    row = find(dtype, (dtype,))
    whole = np.empty(2**18 + 5, row.storage)
    fill(whole, Normal(0.0, 1.0), 3, 7, dtype=dtype)
    same_bits(whole, naive.values(Normal(0.0, 1.0), 3, 7 + np.arange(whole.size), dtype))
    short = np.empty((2**12, 33), row.storage)
    fill(short, Normal(0.0, 1.0), 3, 7, (50, 1), dtype=dtype)
    elements = 7 + 50 * np.arange(2**12)[:, None] + np.arange(33)
    same_bits(short.ravel(), naive.values(Normal(0.0, 1.0), 3, elements.ravel(), dtype))


@pytest.mark.parametrize(("distribution", "dtype"), CASES, ids=repr)
def test_no_array_is_kept(distribution, dtype):
    out, starts = np.empty((2, 50), find(dtype, (dtype,)).storage), np.zeros(2, np.uint64)
    law, parameters = distribution.plan(dtype)
    kernel = backend.load().kernel(law, dtype)
    kernel(out, np.uint64(0), starts, parameters)
    before = sys.getrefcount(out), sys.getrefcount(starts)
    for _ in range(3):
        kernel(out, np.uint64(0), starts, parameters)
    assert (sys.getrefcount(out), sys.getrefcount(starts)) == before


def test_the_oracle_notices_one_element_too_many():
    out = np.empty(100, np.int64)
    fill(out, Permutation(17), 0, 1)
    assert not np.array_equal(out, naive.values(Permutation(17), 0, np.arange(100), "int64"))


def test_counter_carries_into_its_upper_word():
    # Element 2**34 * k is block 2**32 * k: only the upper counter word differs from element 0.
    first, later = np.empty(64, np.float32), np.empty(64, np.float32)
    fill(first, Uniform(0.0, 1.0), 7, 0)
    fill(later, Uniform(0.0, 1.0), 7, 2**34)
    assert not np.array_equal(first, later)


REFINEMENT = [  # largest difference, and that of 999 in 1000; docs/stream.md states them
    (Uniform(-1.0, 1.0), 1.0, 1.0),
    (Uniform(0.0, 1.0), 1.0, 1.0),
    (Normal(0.0, 1.0), 60.0, 2.0),
    (TruncatedNormal(0.0, 1.0), 3.0, 2.0),
    (TruncatedNormal(0.0, 1.0, -3.0, 3.0), 3.0, 2.0),
    (TruncatedNormal(0.0, 1.0, 1.0, np.inf), 100.0, 2.0),
    (TruncatedNormal(0.0, 1.0, 6.0, np.inf), 50.0, 2.0),
]


@pytest.mark.parametrize(("distribution", "largest", "usual"), REFINEMENT, ids=repr)
def test_float64_refines_float32(distribution, largest, usual):
    single, double = np.empty(2**22, np.float32), np.empty(2**22, np.float64)
    fill(single, distribution, int(key(0)))
    fill(double, distribution, int(key(0)))
    unit = np.spacing(np.maximum(np.abs(double), 1.0).astype(np.float32))
    difference = np.abs(single - double) / unit
    assert difference.max() < largest
    assert np.quantile(difference, 0.999) < usual
    assert len(np.unique(double[: 2**18])) == 2**18  # the second plane's bits are there


def test_uniform_stays_below_high_in_float32():
    out = np.empty(2**24, np.float32)
    fill(out, Uniform(-1.0, 1.0), 1)
    assert out.max() < 1.0
    assert out.min() >= -1.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(st.floats(-1e30, 1e30), st.floats(1e-28, 1e30))
def test_no_uniform_draw_leaves_the_interval(dtype, low, width):
    low, high = dtype(low), dtype(low + width)
    _, (center, half_width) = Uniform(low, high).plan(np.dtype(dtype))
    first, last = dtype(-(2.0**31) - 0.5), dtype(2.0**31 - 0.5)  # the ends of s, as rounded
    lowest, highest = center + first * half_width, center + last * half_width
    assert low <= lowest <= highest
    assert highest < high or low == high == highest
    spacing = float(np.spacing(max(abs(low), abs(high))))
    assert float(highest) - float(lowest) >= float(high) - float(low) - 4 * spacing


@pytest.mark.parametrize(
    ("lower", "upper"),
    [(-2.0, 2.0), (-0.3, 7.0), (1.0, 4.5), (-np.inf, -1.0), (4.9, 5.1), (-3.0, np.inf)],
)
def test_masses_agree_with_scipy_and_depend_on_nothing_else(lower, upper):
    distribution = TruncatedNormal(0.0, 1.0, lower, upper)
    _, plan = distribution.plan(np.dtype(np.float64))
    mirrored = (lower, upper) if upper > 0 else (-upper, -lower)
    below, above, between = (
        0.0 if mirrored[0] >= 0 else stats.norm.cdf(mirrored[0]),
        stats.norm.sf(mirrored[1]),
        stats.norm.sf(mirrored[0]) - stats.norm.sf(mirrored[1]),
    )
    np.testing.assert_allclose(plan[2:5], (below, above, between), rtol=1e-13)
    with decimal.localcontext() as context:
        context.prec = 3  # a user's own setting
        assert distribution.plan(np.dtype(np.float64))[1] == plan


def test_masses_of_a_far_tail():
    _, plan = TruncatedNormal(0.0, 1.0, 6.0, 6.5).plan(np.dtype(np.float64))
    ratio = stats.norm.sf(6.5) / stats.norm.sf(6.0)
    np.testing.assert_allclose(plan[3:5], (ratio, 1 - ratio), rtol=1e-12)
    _, plan = TruncatedNormal(0.0, 1.0, -50.0, -40.0).plan(np.dtype(np.float64))
    assert plan[3] == pytest.approx(np.exp(stats.norm.logsf(50) - stats.norm.logsf(40)), rel=1e-10)


def test_degenerate_distributions_are_constant():
    out = np.empty(100, np.float32)
    fill(out, Uniform(0.3, 0.3), 1)
    assert (out == np.float32(0.3)).all()
    fill(out, Normal(-1.5, 0.0), 1)
    assert (out == -1.5).all()
    fill(out, TruncatedNormal(2.0, 0.0, -np.inf, 1.0), 1)
    assert (out == 2.0).all()
