import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastinit
from fastinit.errors import ArgumentError
from fastinit.kernels.dropout import CENTER, HALF_WIDTH, dropout, dropout_backward, first_kept

KEY = fastinit.key(3, "dropout")
LARGEST = float(np.nextafter(np.float32(1), np.float32(0)))
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
rates = st.one_of(
    st.floats(0, LARGEST, width=32), st.sampled_from([0.0, 1e-45, 2.0**-24, 0.5, LARGEST])
)


def dropped(x, rate, key=KEY, start=0, kernel=dropout):
    out = np.full_like(x, np.nan)
    kernel(x, out, rate, key, start)
    return out


def kept(shape, rate, key=KEY, start=0):
    """Return the mask as its definition says: from the library's uniform draws."""
    whole = start + int(np.prod(shape))
    draws = fastinit.uniform(whole, 0.0, 1.0, seed=key, index=slice(start, whole))
    return (draws >= np.float32(rate)).reshape(shape)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9, LARGEST])
@pytest.mark.parametrize("start", [0, 5, 64, 2**40 + 63])
@both_dtypes
def test_the_mask_is_that_of_the_uniform_draws(rate, start, dtype):
    x = np.random.default_rng(0).standard_normal((67, 97)).astype(dtype)  # more than one scratch
    factor = dtype(1 / (1 - rate))
    expected = np.where(kept(x.shape, rate, start=start), x * factor, 0)
    for kernel in (dropout, dropout_backward):
        np.testing.assert_array_equal(dropped(x, rate, start=start, kernel=kernel), expected)


@settings(max_examples=200, deadline=None)
@given(rates)
def test_comparing_words_is_comparing_numbers(rate):
    def uniform(word):
        return CENTER + np.float32(word) * HALF_WIDTH

    word = first_kept(rate)
    assert -(2**31) <= word < 2**31
    assert uniform(word) >= np.float32(rate)
    assert word == -(2**31) or uniform(word - 1) < np.float32(rate)


def test_the_least_word_that_keeps_does_so():
    elements = np.arange(30_000)
    draws = fastinit.uniform(elements.size, 0.0, 1.0, seed=KEY)
    words = fastinit.bits(elements.size, seed=KEY).view(np.int32)
    least = [i for i in elements if first_kept(float(draws[i])) == words[i]]
    assert len(least) > 50
    for i in least:
        assert dropped(np.ones((1, 1)), float(draws[i]), start=i) > 0


def test_numbers_never_fall_as_words_rise():
    # The two roundings that the proof in `first_kept` needs, around every power of two and between.
    powers = 2 ** np.arange(0, 32, dtype=np.int64)
    near = powers[:, np.newaxis] + np.arange(-300, 301)
    words = np.unique(
        np.concatenate([near.ravel(), -near.ravel(), np.arange(-(2**31), 2**31, 99991)])
    )
    words = words[(words >= -(2**31)) & (words < 2**31)]
    numbers = CENTER + words.astype(np.float32) * HALF_WIDTH
    assert numbers.dtype == np.float32
    assert (np.diff(numbers) >= 0).all()
    assert numbers[-1] == LARGEST


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(0, 2**50), st.integers(0, 40), st.integers(1, 90))
def test_slices_of_rows_equal_the_whole(key, start, rows, units):
    x = np.random.default_rng(0).standard_normal((rows, units)).astype(np.float32)
    whole, parts = dropped(x, 0.3, np.uint64(key), start), np.full_like(x, np.nan)
    for here in (slice(0, rows // 3), slice(rows // 3, rows)):
        dropout(x[here], parts[here], 0.3, np.uint64(key), start + here.start * units)
    np.testing.assert_array_equal(parts, whole)


def share_is_credible(mask, rate):
    """Whether the number kept lies within five standard deviations of what it should be."""
    deviation = np.sqrt(rate * (1 - rate) / mask.size)
    return abs(mask.mean() - (1 - rate)) < 5 * deviation


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_share_kept_and_the_mean(rate):
    out = dropped(np.ones((1000, 1000), np.float32), rate)
    assert share_is_credible(out != 0, rate)
    assert not share_is_credible(out != 0, rate + 0.005)  # the control: half a percent is seen
    assert abs(out.mean(dtype=np.float64) - 1) < 5 * np.sqrt(rate / (1 - rate) / out.size)
    # Rows and columns are as good as the whole.
    for mask in (out[::100], np.ascontiguousarray(out[:, ::100])):
        assert share_is_credible(mask != 0, rate)


def test_keys_and_starts_give_masks_of_their_own():
    x = np.ones((100, 100), np.float32)
    masks = [
        dropped(x, 0.5, key, start) != 0
        for key in (KEY, fastinit.key(4, "dropout"), fastinit.key(3, "other"))
        for start in (0, x.size)
    ]
    for i, a in enumerate(masks):
        for b in masks[:i]:
            assert share_is_credible(a == b, 0.5)
    assert not share_is_credible(masks[0] == masks[0].copy(), 0.5)


def test_the_gradient_goes_where_the_input_went():
    x = np.random.default_rng(0).standard_normal((20, 30))
    weights = np.random.default_rng(1).standard_normal(x.shape)
    grad = dropped(weights, 0.4, kernel=dropout_backward)
    # The layer is linear, so its derivative is exact: <weights, f(x)> = <grad, x>.
    np.testing.assert_allclose(np.sum(grad * x), np.sum(weights * dropped(x, 0.4)), rtol=1e-12)
    np.testing.assert_array_equal(grad != 0, dropped(x, 0.4) != 0)


@both_dtypes
def test_in_place(dtype):
    x = np.random.default_rng(0).standard_normal((20, 30)).astype(dtype)
    expected = dropped(x, 0.4)
    dropout(x, x, 0.4, KEY, 0)
    np.testing.assert_array_equal(x, expected)


def test_what_is_dropped_is_zero_whatever_it_was():
    x = np.full((20, 30), np.nan)
    out, mask = dropped(x, 0.4), kept(x.shape, 0.4)
    assert np.isnan(out[mask]).all()
    assert not out[~mask].any()


def test_in_compiled_code():
    @numba.njit
    def masked(x, key):
        out = np.empty_like(x)
        dropout(x, out, 0.4, key, 7)
        return out

    x = np.random.default_rng(0).standard_normal((20, 30)).astype(np.float32)
    np.testing.assert_array_equal(masked(x, KEY), dropped(x, 0.4, start=np.uint64(7)))


def test_empty_batches():
    assert dropped(np.empty((0, 5)), 0.5).shape == (0, 5)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, 1 - 1e-9, np.nan, np.inf])
def test_rates_are_checked(rate):
    with pytest.raises(ArgumentError, match="rate"):
        dropped(np.ones((2, 2)), rate)
    with pytest.raises(ArgumentError, match="rate"):
        dropped(np.ones((2, 2)), rate, kernel=dropout_backward)


def test_other_arguments_are_checked():
    with pytest.raises(ArgumentError, match="out must have the shape of x"):
        dropout(np.ones((2, 2)), np.ones((2, 3)), 0.5, KEY, 0)
    with pytest.raises(ArgumentError, match="grad_in must have the shape of grad_out"):
        dropout_backward(np.ones((2, 2)), np.ones((2, 3)), 0.5, KEY, 0)
    with pytest.raises(ArgumentError, match="start"):
        dropped(np.ones((2, 2)), 0.5, start=-1)
