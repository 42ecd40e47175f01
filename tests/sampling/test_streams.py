"""Known answers of the generator, and every kernel against the oracle, to the last bit."""

import decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fastinit.keys import key
from fastinit.sampling import (
    Normal,
    TruncatedNormal,
    Uniform,
    fill,
    numba_fill,
)
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
]


@pytest.mark.parametrize(("counter", "key_words", "expected"), KNOWN)
def test_philox_known_answers(counter, key_words, expected):
    assert tuple(int(word) for word in naive.philox(counter, key_words)) == expected
    drawn = numba_fill._philox(*(np.uint64(word) for word in (*counter, *key_words)))
    assert tuple(int(word) & ONES for word in drawn) == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=repr)
@pytest.mark.parametrize("start", [0, 5, 64, 2**36 - 700, 2**62 + 11])
def test_kernels_match_the_oracle_bit_for_bit(distribution, dtype, start):
    for bits in KEYS:
        out = np.empty(3000, dtype)
        fill(out, distribution, bits, start)
        expected = naive.values(distribution, bits, start + np.arange(3000), dtype)
        assert expected.dtype == dtype
        np.testing.assert_array_equal(
            out.view(f"u{out.itemsize}"), expected.view(f"u{out.itemsize}")
        )


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
