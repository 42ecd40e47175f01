"""Bits, permutations and perturbations."""

import math

import ml_dtypes
import numpy as np
import pytest

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError, UnknownNameError
from fastinit.sampling.dtypes import FLOATS
from tests import naive

TYPES = {name: ml_dtypes.bfloat16 if name == "bfloat16" else np.dtype(name) for name in FLOATS}
KEY = fastinit.key(3)


def bytes_of(array):
    return np.ascontiguousarray(array).view(np.uint8)


# ---------------------------------------------------------------- bits


def test_bits_are_the_words_of_the_stream():
    w, v = (naive.words(int(KEY), np.arange(600), plane) for plane in (0, 1))
    single = fastinit.bits((20, 30), seed=KEY)
    assert single.dtype == np.uint32
    np.testing.assert_array_equal(single.ravel(), w)
    double = fastinit.bits((20, 30), seed=KEY, dtype=np.uint64)
    assert double.dtype == np.uint64
    np.testing.assert_array_equal(double.ravel(), w.astype(np.uint64) * 2**32 + v)
    np.testing.assert_array_equal(fastinit.bits((20, 30), seed=KEY, index=(3, ...)), single[3])


def test_every_bit_is_set_half_the_time():
    words = fastinit.bits(2**20, seed=0, dtype="uint64")
    for bit in range(64):
        ones = int((words >> np.uint64(bit) & np.uint64(1)).sum())
        assert abs(ones - 2**19) < 4.5 * math.sqrt(2**18)


# ---------------------------------------------------------------- permutations


@pytest.mark.parametrize("n", [1, 2, 3, 5, 16, 17, 1000, 100_003])
def test_rows_are_permutations(n):
    rows = fastinit.permutation((3, n), seed=KEY)
    assert rows.dtype == np.int64
    np.testing.assert_array_equal(np.sort(rows, axis=1), np.tile(np.arange(n), (3, 1)))
    np.testing.assert_array_equal(fastinit.permutation(n, seed=KEY), rows[0])
    if n > 100:
        assert not np.array_equal(rows[0], rows[1])


def test_any_part_of_a_permutation_can_be_made():
    whole = fastinit.permutation((4, 7, 1001), seed=KEY)
    for index in (
        (2, slice(None), 5),
        (..., slice(None, None, -3)),
        (slice(None, None, 2), slice(1, 6), slice(990, None)),
    ):
        part = fastinit.permutation((4, 7, 1001), seed=KEY, index=index)
        np.testing.assert_array_equal(part, whole[index])
    out = np.zeros((4, 7, 2002), np.int64)[..., ::2]
    assert fastinit.permutation((4, 7, 1001), seed=KEY, out=out) is out
    np.testing.assert_array_equal(out, whole)


def test_parts_of_a_permutation_larger_than_memory():
    n = 2**40
    ends = [
        fastinit.permutation((2**20, n), seed=KEY, index=(2**19, part))
        for part in (slice(0, 1000), slice(n - 1000, None), slice(2**33, 2**33 + 1000))
    ]
    together = np.concatenate(ends)
    assert len(np.unique(together)) == 3000
    assert together.min() >= 0
    assert together.max() < n
    assert abs(together.mean() / n - 0.5) < 4 / math.sqrt(12 * 3000)


def test_empty_permutations():
    assert fastinit.permutation(0).shape == (0,)
    assert fastinit.permutation((3, 0)).shape == (3, 0)
    assert fastinit.permutation((0, 3)).shape == (0, 3)


# ---------------------------------------------------------------- perturb

SPECS = [
    "normal(std=1.0)",
    "rademacher",
    "uniform(low=-1.0, high=2.0)",
    "truncated_normal(std=1.0)",
    "truncated_normal(std=1.0, lower=-3.0)",
    "truncated_normal(std=1.0, lower=6.0, upper=7.0)",
    "constant(0.5)",
    "he_normal",
]


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("spec", SPECS)
def test_it_adds_what_the_initializer_gives(spec, name):
    shape, dtype = (300, 401), TYPES[name]
    start = fastinit.normal(shape, 0.0, 1.0, seed=1, dtype=dtype)
    compute = np.float64 if name == "float64" else np.float32
    draws = fastinit.get(spec)(shape, seed=KEY, dtype=compute)
    expected = (start.astype(compute) + compute(0.3) * draws).astype(dtype)
    out = start.copy()
    assert fastinit.perturb(out, 0.3, spec, seed=KEY) is out
    np.testing.assert_array_equal(bytes_of(out), bytes_of(expected))
    strided = np.zeros((300, 802), dtype)[:, ::2]
    strided[...] = start
    fastinit.perturb(strided, 0.3, fastinit.get(spec), seed=KEY)
    np.testing.assert_array_equal(bytes_of(strided), bytes_of(expected))


@pytest.mark.parametrize("name", FLOATS)
def test_part_of_a_tensor_is_perturbed_as_in_the_whole(name):
    whole = fastinit.perturb(np.zeros((40, 500), TYPES[name]), 2.0, "he_normal", seed=KEY)
    for index in ((slice(3, 9),), (slice(None), slice(None, None, -7)), (5, slice(100, 400))):
        part = np.zeros(whole[index].shape, TYPES[name])
        fastinit.perturb(part, 2.0, "he_normal", seed=KEY, shape=(40, 500), index=index)
        np.testing.assert_array_equal(bytes_of(part), bytes_of(whole[index]))


def spacing(x, name):
    """The unit in the last place of numbers of this magnitude."""
    digits, least = {
        "float16": (10, -14),
        "bfloat16": (7, -126),
        "float32": (23, -126),
        "float64": (52, -1022),
    }[name]
    exponent = np.frexp(np.abs(x.astype(np.float64)))[1] - 1
    return np.ldexp(1.0, np.maximum(exponent, least) - digits)


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("scale", [1e-3, 0.3, 100.0])
def test_it_can_be_undone_up_to_rounding(name, scale):
    start = fastinit.normal(2**18, 0.0, 1.0, seed=1, dtype=TYPES[name])
    moved = fastinit.perturb(start.copy(), scale, seed=KEY)
    back = fastinit.perturb(moved.copy(), -scale, seed=KEY)
    unit = np.maximum(spacing(start, name), spacing(moved, name))
    miss = np.abs(back.astype(np.float64) - start.astype(np.float64)) / unit
    assert miss.max() <= 1.0
    assert miss.max() > 0.0
    other = fastinit.perturb(moved.copy(), -scale, seed=fastinit.key(4))
    assert (np.abs(other.astype(np.float64) - start.astype(np.float64)) / unit).max() > 1.0


def test_what_is_not_a_number_stays_so():
    for dtype in TYPES.values():
        out = np.array([np.nan, np.inf, -np.inf, 0.0], dtype)
        fastinit.perturb(out, 1.0, seed=0)
        assert np.isnan(out[0].astype(float))
        assert out[1] == np.inf
        assert out[2] == -np.inf


BAD = [
    (
        lambda: fastinit.bits(3, dtype=np.float32),
        ArgumentTypeError,
        "uint32 or uint64, got float32",
    ),
    (lambda: fastinit.bits(3, out=np.empty(3)), ArgumentTypeError, "float64, expected uint32"),
    (lambda: fastinit.permutation(()), ArgumentError, r"at least one axis, got shape \(\)"),
    (lambda: fastinit.permutation(-1), ArgumentError, "got"),
    (lambda: fastinit.permutation((2, 2**62 + 1), index=(0, 0)), ArgumentError, "2[*][*]62"),
    (lambda: fastinit.permutation(3, out=np.empty(3)), ArgumentTypeError, "expected int64"),
    (lambda: fastinit.perturb([0.0]), ArgumentTypeError, "must be an array, got list"),
    (lambda: fastinit.perturb(np.zeros(3, complex)), ArgumentTypeError, "got complex128"),
    (lambda: fastinit.perturb(np.zeros(3, np.uint16)), ArgumentTypeError, "got uint16"),
    (lambda: fastinit.perturb(np.zeros(3), math.nan), ArgumentError, "scale must be a number"),
    (lambda: fastinit.perturb(np.zeros(3), math.inf), ArgumentError, "scale must be finite"),
    (lambda: fastinit.perturb(np.zeros(3, "f4"), 1e39), ArgumentError, "does not fit float32"),
    (lambda: fastinit.perturb(np.zeros(3), 1.0, "norml"), UnknownNameError, "'normal'"),
    (lambda: fastinit.perturb(np.zeros(3), 1.0, "he_normal"), ArgumentError, "two axes"),
    (lambda: fastinit.perturb(np.zeros(3), 1.0, np.zeros_like), ArgumentTypeError, "independent"),
    (lambda: fastinit.perturb(np.zeros(3), shape=4), ArgumentError, r"\(3,\), expected \(4,\)"),
    (lambda: fastinit.perturb(np.zeros(3), shape=4, index=0), ArgumentError, r"expected \(\)"),
    (lambda: fastinit.perturb(np.broadcast_to(1.0, 3)), ArgumentError, "read-only"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=range(len(BAD)))
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
