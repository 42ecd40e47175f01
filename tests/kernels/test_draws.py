"""Draws inside compiled code are the library's own."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastinit
from fastinit.errors import ArgumentError
from fastinit.kernels import draws
from tests import naive

KEY = fastinit.key(7, "draws")


@numba.njit
def elements(key, first, count):
    words, uniforms = np.empty(count, np.uint32), np.empty(count)
    normals = np.empty(count)
    for i in range(count):
        words[i] = draws.bits(key, first + i)
        uniforms[i] = draws.uniform(key, first + i)
        normals[i] = draws.normal(key, first + i)
    return words, uniforms, normals


@numba.njit
def fills(key, start, uniforms, normals):
    draws.fill_uniform(uniforms, key, start)
    draws.fill_normal(normals, key, start)


@pytest.mark.parametrize("first", [0, 37, 2**40 - 100])
def test_single_elements_equal_the_fill(first):
    words, uniforms, normals = elements(KEY, first, 200)
    index = slice(first, first + 200)
    np.testing.assert_array_equal(words, naive.words(int(KEY), first + np.arange(200), 0))
    for values, make in ((uniforms, fastinit.uniform), (normals, fastinit.normal)):
        expected = make(2**41, 0.0, 1.0, seed=KEY, dtype=np.float64, index=index)
        np.testing.assert_array_equal(values, expected)


def test_single_elements_from_python():
    assert draws.bits(KEY, 5) == naive.words(int(KEY), 5, 0)
    assert draws.normal(KEY, 5) == elements(KEY, 5, 1)[2][0]
    assert draws.normal(int(KEY), np.uint64(5)) == draws.normal(KEY, 5)


@settings(max_examples=30)
@given(st.integers(0, 2**64 - 1), st.integers(0, 2**50), st.integers(0, 300))
def test_compiled_fills_equal_those_from_python(key, start, size):
    for dtype in (np.float32, np.float64):
        inside, outside = np.empty((2, size), dtype), np.empty((2, size), dtype)
        fills(np.uint64(key), start, inside[0], inside[1])
        fills.py_func(key, start, outside[0], outside[1])
        np.testing.assert_array_equal(inside, outside)


def test_a_fill_of_more_axes():
    out, flat = np.empty((3, 5, 7)), np.empty(105)
    fills(KEY, 3, out, flat)
    normals = fastinit.normal(108, 0.0, 1.0, seed=KEY, dtype=np.float64)
    np.testing.assert_array_equal(flat, normals[3:])
    uniforms = fastinit.uniform(108, 0.0, 1.0, seed=KEY, dtype=np.float64)
    np.testing.assert_array_equal(out.ravel(), uniforms[3:])


def test_bad_arguments():
    with pytest.raises(ArgumentError, match=r"start must be 0 to 2\*\*63 - 1, got -1"):
        draws.fill_normal(np.empty(3), KEY, -1)
    with pytest.raises(ArgumentError, match="start must not be negative"):
        fills(KEY, -1, np.empty(3), np.empty(3))
    with pytest.raises(numba.TypingError, match="C-contiguous"):
        fills(KEY, 0, np.empty(6)[::2], np.empty(3))
    with pytest.raises(numba.TypingError, match="float32 or float64 array"):
        fills(KEY, 0, np.empty(6, np.int64), np.empty(3))
