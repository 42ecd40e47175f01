"""Which dtypes are accepted, and how the kernels' 16-bit numbers are rounded."""

import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.sampling import (
    Bits,
    Normal,
    Permutation,
    Sign,
    TruncatedNormal,
    Uniform,
    fill,
    numba_fill,
)
from fastinit.sampling.dtypes import COMPLEX
from tests import naive

SHORT = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        ("float32", "float32"),
        ("f8", "float64"),
        (float, "float64"),
        (np.float16, "float16"),
        (np.dtype(np.float16), "float16"),
        ("bfloat16", "bfloat16"),
        (ml_dtypes.bfloat16, "bfloat16"),
        (np.dtype(ml_dtypes.bfloat16), "bfloat16"),
        (complex, "complex128"),
        ("c8", "complex64"),
    ],
    ids=repr,
)
def test_dtype_likes(dtype, name):
    w = fastinit.normal((3, 4), seed=0, dtype=dtype)
    assert w.dtype.name == name
    same = fastinit.normal((3, 4), seed=0, dtype=name)
    np.testing.assert_array_equal(w.view(np.uint8), same.view(np.uint8))


@pytest.mark.parametrize(
    ("dtype", "message"),
    [
        (np.int32, "complex64 or complex128, got int32"),
        ("floaty", "got 'floaty'"),
        (">f4", "got '>f4'"),
        (np.dtype(">c8"), "got '>c8'"),
        (["f4"], r"got \['f4'\]"),
        (ml_dtypes.float8_e5m2, "got float8_e5m2"),
        (np.uint16, "got uint16"),
    ],
)
def test_other_dtypes_are_refused(dtype, message):
    for make in (fastinit.normal, fastinit.zeros, fastinit.he_normal):
        with pytest.raises(ArgumentTypeError, match=message):
            make((3, 4), dtype=dtype)


def test_without_ml_dtypes_a_view_of_16_bits_does():
    code = (
        "import sys; sys.modules['ml_dtypes'] = None\n"
        "import numpy, fastinit\n"
        "out = numpy.empty((3, 4), numpy.uint16)\n"
        "assert fastinit.he_normal((3, 4), seed=0, dtype='bfloat16', out=out) is out\n"
        "print(out.tolist())\n"
        "try:\n    fastinit.he_normal((3, 4), dtype='bfloat16')\n"
        "except fastinit.errors.ArgumentTypeError as error:\n    print(error)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    values, error = result.stdout.splitlines()
    expected = fastinit.he_normal((3, 4), seed=0, dtype="bfloat16").view(np.uint16)
    assert values == str(expected.tolist())
    assert "pip install ml_dtypes" in error


@pytest.mark.parametrize("name", SHORT)
def test_16_bits_are_the_float32_values_rounded(name):
    single = fastinit.glorot_uniform((300, 70), seed=1)
    short = fastinit.glorot_uniform((300, 70), seed=1, dtype=name)
    np.testing.assert_array_equal(short.view(np.uint16), single.astype(SHORT[name]).view(np.uint16))
    view = np.zeros((300, 140), np.uint16)[:, ::2]
    fastinit.glorot_uniform((300, 70), seed=1, dtype=name, out=view)
    np.testing.assert_array_equal(view, short.view(np.uint16))
    own = np.zeros((300, 70), SHORT[name])
    assert fastinit.glorot_uniform((300, 70), seed=1, dtype=name, out=own) is own
    np.testing.assert_array_equal(own, short)


@pytest.mark.parametrize("name", SHORT)
@pytest.mark.parametrize("value", [0.1, 1.0, -2.5, 65504.0, 1e-7, 3e-39, np.inf])
def test_constants_are_rounded_too(name, value):
    w = fastinit.constant(5, value, dtype=name)
    assert w.dtype == SHORT[name]
    assert (w == np.float32(value).astype(SHORT[name])).all()
    view = np.empty(5, np.uint16)
    fastinit.constant(5, value, dtype=name, out=view)
    np.testing.assert_array_equal(view, w.view(np.uint16))


def float32_values():
    """Every kind of float32: all upper halves, midpoints and neighbours, and random bits."""
    upper = np.arange(2**16, dtype=np.uint32) << 16
    bits = [upper, upper + 0x7FFF, upper + 0x8000, upper + 0x8001]
    half = np.arange(2**15, dtype=np.uint16).view(np.float16).astype(np.float32)
    with np.errstate(all="ignore"):
        middle = ((half[:-1].astype(float) + half[1:]) / 2).astype(np.float32)
        near = [middle, np.nextafter(middle, np.float32(0)), np.nextafter(middle, np.float32(9))]
    random = np.random.default_rng(0).integers(0, 2**32, 2**20, np.uint32)
    return np.concatenate([*(b.view(np.float32) for b in (*bits, random)), half, *near])


@pytest.mark.parametrize("name", SHORT)
def test_rounding_is_exact_for_every_kind_of_number(name):
    x = float32_values()
    out = np.empty(x.size, np.uint16)
    getattr(numba_fill, f"round_{name}")(out, x)
    with np.errstate(all="ignore"):
        expected = x.astype(SHORT[name])
        nan = np.isnan(x)
    np.testing.assert_array_equal(out[~nan], expected.view(np.uint16)[~nan])
    np.testing.assert_array_equal(np.isnan(out.view(SHORT[name]).astype(np.float32)), nan)
    oracle = naive.ROUND[name](x[~nan])
    np.testing.assert_array_equal(out[~nan], oracle)


@pytest.mark.parametrize("name", SHORT)
def test_adding_zero_keeps_every_16_bit_number(name):
    every = np.arange(2**16, dtype=np.uint16)
    out = every.copy()
    getattr(numba_fill, f"add_{name}")(out, np.full(2**16, -0.0, np.float32), np.float32(1))
    nan = np.isnan(every.view(SHORT[name]).astype(np.float32))
    np.testing.assert_array_equal(out[~nan], every[~nan])
    assert np.isnan(out[nan].view(SHORT[name]).astype(np.float32)).all()


def test_parameters_that_do_not_fit_are_refused():
    for call in (
        lambda: fastinit.normal(3, std=1e5, dtype="float16"),
        lambda: fastinit.uniform(3, 0.0, 1e5, dtype="float16"),
        lambda: fastinit.constant(3, 1e5, dtype="float16"),
        lambda: fastinit.rademacher(3, 1e5, dtype="float16"),
        lambda: fastinit.truncated_normal(3, mean=1e5, dtype="float16"),
    ):
        with pytest.raises(ArgumentError, match=r"=100000\.0 does not fit float16"):
            call()
    with pytest.raises(ArgumentError, match="does not fit complex64"):
        fastinit.normal(3, std=1e39, dtype="complex64")
    assert np.isfinite(fastinit.normal(3, std=1e5, dtype="bfloat16", seed=0).astype(float)).all()


@pytest.mark.parametrize("name", SHORT)
def test_rounding_may_reach_the_ends_of_an_interval(name):
    w = fastinit.uniform(2**16, 0.0, 1.0, seed=0, dtype=name).astype(np.float32)
    assert w.max() == 1.0
    w = fastinit.truncated_normal(2**18, 0.0, 1.0, -1.001, 1.001, seed=0, dtype=name)
    ulp = 2.0 ** (-10 if name == "float16" else -7)
    assert np.abs(w.astype(np.float32)).max() <= 1.001 + ulp / 2


@pytest.mark.parametrize(
    ("law", "dtypes"),
    [
        (Sign(), ["complex64", "uint32"]),
        (Permutation(3), ["int32", "float64"]),
        (Normal(), ["int64", "uint32"]),
        (Bits(), ["float32", "int64"]),
    ],
    ids=repr,
)
def test_laws_have_their_dtypes(law, dtypes):
    for dtype in dtypes:
        with pytest.raises(ArgumentTypeError, match=f"dtype must be .* got {dtype}"):
            fill(np.empty(3, dtype), law, 0)


def test_the_dtype_of_an_array_must_be_the_one_asked_for():
    with pytest.raises(ArgumentTypeError, match="got uint16"):
        fill(np.empty(3, np.uint16), Uniform(), 0)
    with pytest.raises(ArgumentTypeError, match="out has dtype uint16, expected float32"):
        fill(np.empty(3, np.uint16), Uniform(), 0, dtype="float32")
    with pytest.raises(ArgumentTypeError, match="out has dtype bfloat16, expected float16"):
        fill(np.empty(3, ml_dtypes.bfloat16), Uniform(), 0, dtype="float16")


def test_complex_bounds_must_be_symmetric():
    for bounds in ((-1.0, 2.0), (0.5, 1.0), (-np.inf, 1.0)):
        with pytest.raises(ArgumentError, match=f"lower={bounds[0]}, upper={bounds[1]}"):
            TruncatedNormal(0.0, 1.0, *bounds).plan("complex64")
    absolute = TruncatedNormal(1.0, 0.5, 0.0, 2.0, absolute=True)
    assert absolute.plan("complex64") == TruncatedNormal(1.0, 0.5, -2.0, 2.0).plan("complex64")


@pytest.mark.parametrize("bound", [1e-300, 1e-30, 1e-9, 1e-3, 0.1, 2.0, 39.0, 41.0, np.inf])
def test_complex_cuts_of_any_size_have_a_plan(bound):
    for dtype in COMPLEX:
        _, parameters = TruncatedNormal(0.0, 1.0, -bound, bound).plan(dtype)
        assert np.isfinite(parameters).all()
        assert parameters[1] > 0.0 or bound < 1e-40


@pytest.mark.parametrize(
    "arguments",
    [
        (0.0, 0.0, 1.0, 2.0),
        (5.0, 0.0, 1.0, 2.0),
        (0.0, 1.0, 2.0, 2.0),
        (0.0, 1e-320, 1.0, 2.0),
        (1e17, 1.0, 1.0, 2.0),
    ],
)
def test_absolute_bounds_without_mass_are_refused(arguments):
    with pytest.raises(ArgumentError, match=r"lower=.*upper="):
        TruncatedNormal(*arguments, absolute=True)
    with pytest.raises(ArgumentTypeError, match="absolute must be True or False, got 1"):
        TruncatedNormal(0.0, 1.0, absolute=1)


def test_far_bounds_have_a_plan_however_far():
    for start in (50.0, 1e4, 1e12, 1e200):
        out = np.empty(1000)
        fill(out, TruncatedNormal(0.0, 1.0, start, np.inf), 0)
        assert (out >= start).all()
        assert out.max() <= start + 20 / start + np.spacing(start)
