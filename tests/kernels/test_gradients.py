import math

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastinit.errors import ArgumentError
from fastinit.kernels import gradients
from fastinit.kernels.gradients import BLOCK

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def sample(size, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).standard_normal(size).astype(dtype)


def penalty(parameter, l1, l2):
    return l1 * np.abs(parameter).sum() + l2 * (parameter**2).sum()


@both_dtypes
@pytest.mark.parametrize("shape", [(0,), (1,), (63,), (64,), (65,), (3, 1371), (2, 3, 1000)])
def test_sums_are_those_of_numpy(shape, dtype):
    x = sample(shape, dtype)
    wide = x.astype(float)
    assert gradients.global_norm(x) == pytest.approx(np.sqrt((wide**2).sum()), rel=1e-13)
    assert gradients.penalty(x, 0.3, 0.7) == pytest.approx(penalty(wide, 0.3, 0.7), rel=1e-13)
    assert gradients.penalty(x, 0.3, 0.0) == pytest.approx(0.3 * np.abs(wide).sum(), rel=1e-13)


@both_dtypes
def test_every_element_counts_once(dtype):
    for size in (2 * BLOCK + 70, 70):
        for i in (0, 63, 64, size - 7, size - 1):
            x = np.ones(size, dtype)
            x[i] = 1024.0
            assert gradients.global_norm(x) ** 2 == pytest.approx(size - 1 + 2.0**20, rel=1e-15)
            assert gradients.penalty(x, 1.0, 0.0) == size - 1 + 1024.0


@settings(max_examples=25)
@given(
    size=st.integers(1, 3 * BLOCK),
    cut=st.integers(0, 3),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 99),
)
def test_blocks_on_several_threads_give_the_same_bits(size, cut, dtype, seed):
    x = sample(size, dtype, seed)
    blocks = -(-size // BLOCK)
    cut = min(cut, blocks)
    squares, penalties = np.full((2, blocks), np.nan)
    for first, last in ((cut, blocks), (0, cut)):
        gradients.block_squares(x, first, last, squares)
        gradients.block_penalties(x, 0.3, 0.7, first, last, penalties)
    assert math.sqrt(sum(squares)) == gradients.global_norm(x)
    assert sum(penalties) == gradients.penalty(x, 0.3, 0.7)


def in_lanes(x):
    total = 0.0
    for start in range(0, x.size, BLOCK):
        lanes = np.zeros(64)
        for i, value in enumerate(x[start : start + BLOCK]):
            lanes[i % 64] += value * value
        while lanes.size > 1:
            lanes = lanes[: lanes.size // 2] + lanes[lanes.size // 2 :]
        total += lanes[0]
    return total


def test_the_order_of_the_sum_is_as_written_down():
    samples = [sample(BLOCK + 100, seed=seed) for seed in range(8)]
    expected = [in_lanes(x) for x in samples]
    assert [gradients.penalty(x, 0.0, 1.0) for x in samples] == expected
    assert [gradients.global_norm(x) for x in samples] == np.sqrt(expected).tolist()
    # in another order the bits are others
    assert [np.cumsum(x * x)[-1] for x in samples] != expected


@pytest.mark.parametrize(("l1", "l2"), [(0.3, 0.0), (0.0, 0.7), (0.3, 0.7)])
def test_the_penalty_and_its_gradient(l1, l2):
    parameter, start = sample((5, 8)), sample((5, 8), seed=1)
    gradient, again = start.copy(), start.copy()
    value = gradients.l1_l2_penalty(parameter, gradient, l1, l2)
    assert value == pytest.approx(penalty(parameter, l1, l2), rel=1e-14)
    expected = naive.gradient(lambda p: penalty(p, l1, l2), parameter)
    np.testing.assert_allclose(gradient - start, expected, rtol=1e-6)
    gradients.add_penalty(parameter, again, l1, l2)
    np.testing.assert_array_equal(again, gradient)


def test_the_penalty_is_flat_at_zero():
    gradient = np.ones(2, np.float32)
    gradients.add_penalty(np.array([0.0, -0.0], np.float32), gradient, 0.5, 0.5)
    np.testing.assert_array_equal(gradient, 1.0)


def test_float32_arithmetic_is_not_widened():
    parameter, gradient = sample((2, 1000), np.float32)
    expected = gradient + (np.float32(0.3) * np.sign(parameter) + np.float32(1.4) * parameter)
    gradients.add_penalty(parameter, gradient, 0.3, 0.7)
    np.testing.assert_array_equal(gradient, expected)


@both_dtypes
def test_clipping_by_value(dtype):
    gradient = np.array([[-3, -0.5, 0.2], [np.inf, -np.inf, np.nan]], dtype)
    gradients.clip_by_value(gradient, 0.5)
    low, high = dtype(-0.5), dtype(0.5)
    np.testing.assert_array_equal(gradient, [[low, low, dtype(0.2)], [high, low, np.nan]])


@both_dtypes
def test_clipping_by_norm(dtype):
    gradient = sample((40, 120), dtype)
    start, norm = gradient.copy(), gradients.global_norm(gradient)
    assert gradients.clip_by_global_norm(gradient, norm) == norm
    assert gradient.tobytes() == start.tobytes()
    assert gradients.clip_by_global_norm(gradient, 2.0) == norm
    assert gradients.global_norm(gradient) == pytest.approx(2.0, rel=float(4 * np.finfo(dtype).eps))
    np.testing.assert_allclose(gradient, start * (2.0 / norm), rtol=4 * np.finfo(dtype).eps)


def test_squares_of_float32_do_not_overflow():
    gradient = np.full(4, 1e38, np.float32)
    assert gradients.clip_by_global_norm(gradient, 1.0) == pytest.approx(2e38)
    np.testing.assert_allclose(gradient, 0.5, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_a_norm_that_is_not_finite_makes_all_nan(bad):
    gradient = np.ones(100)
    gradient[70] = bad
    norm = gradients.clip_by_global_norm(gradient, 1.0)
    assert math.isnan(norm) if math.isnan(bad) else norm == math.inf
    assert np.isnan(gradient).all()
    assert math.isnan(gradients.norm_scale(norm, np.inf))


def test_nothing_is_left_alone():
    empty = np.empty((0, 3))
    assert gradients.clip_by_global_norm(empty, 1.0) == 0.0
    assert gradients.l1_l2_penalty(empty, empty, 1.0, 1.0) == 0.0
    gradients.clip_by_value(empty, 1.0)
    assert gradients.norm_scale(0.0, 1.0) == 1.0


@pytest.mark.parametrize("limit", [-1.0, np.nan, 0.0])
def test_bad_arguments_are_refused(limit):
    gradient = np.ones(3)
    with pytest.raises(ArgumentError, match="limit must be above 0"):
        gradients.clip_by_global_norm(gradient, limit)
    if limit != 0.0:
        with pytest.raises(ArgumentError, match="limit must be at least 0"):
            gradients.clip_by_value(gradient, limit)
    for kernel in (gradients.add_penalty, gradients.l1_l2_penalty):
        with pytest.raises(ArgumentError, match="shape"):
            kernel(np.ones(2), gradient, 0.1, 0.1)
    np.testing.assert_array_equal(gradient, 1.0)
