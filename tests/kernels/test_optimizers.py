import naive
import numpy as np
import pytest

from fastinit import kernels
from fastinit.errors import ArgumentError

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
DEFAULTS = (0.001, 0.9, 0.999, 1e-8)


def moments(parameter):
    return np.zeros_like(parameter), np.zeros_like(parameter)


@both_dtypes
@pytest.mark.parametrize("shape", [(5,), (3, 4)])
def test_sgd_descends(shape, dtype):
    parameter, gradient = np.full(shape, 3, dtype), np.full(shape, 2, dtype)
    kernels.sgd_step(parameter, gradient, 0.25)
    np.testing.assert_array_equal(parameter, 2.5)
    assert parameter.dtype == dtype


@pytest.mark.parametrize("gradient", [1e-3, 1.0, -1e6])
def test_the_first_step_of_adam_is_the_learning_rate(gradient):
    parameter = np.zeros(3)
    kernels.adam_step(parameter, np.full(3, gradient), *moments(parameter), 1, *DEFAULTS)
    np.testing.assert_allclose(parameter, -0.001 * np.sign(gradient), rtol=1e-4)


@both_dtypes
@pytest.mark.parametrize("shape", [(7,), (3, 5)])
def test_adam_follows_the_paper(shape, dtype):
    rng = np.random.default_rng(0)
    start, gradients = rng.standard_normal(shape), rng.standard_normal((20, *shape))
    parameter = start.astype(dtype)
    first, second = moments(parameter)
    settings = (0.05, 0.8, 0.99, 1e-3)
    for step, gradient in enumerate(gradients.astype(dtype), start=1):
        kernels.adam_step(parameter, gradient, first, second, step, *settings)
    expected = naive.adam_steps(start, gradients, *settings)
    np.testing.assert_allclose(parameter, expected, rtol=0, atol=20 * np.finfo(dtype).eps)


def test_float32_arithmetic_is_not_widened():
    rng = np.random.default_rng(1)
    start, gradient = rng.standard_normal((2, 1000)).astype(np.float32)
    parameter = start.copy()
    kernels.sgd_step(parameter, gradient, 0.3)
    np.testing.assert_array_equal(parameter, start - np.float32(0.3) * gradient)
    assert (parameter != (start - 0.3 * gradient.astype(float)).astype(np.float32)).any()

    first, second = moments(parameter)
    kernels.adam_step(parameter, gradient, first, second, 1, 0.001, 0.9, 0.7, 1e-8)
    np.testing.assert_array_equal(second, np.float32(1.0 - 0.7) * (gradient * gradient))


def test_a_zero_gradient_changes_nothing_at_first():
    parameter = np.ones(3)
    kernels.adam_step(parameter, np.zeros(3), *moments(parameter), 1, *DEFAULTS)
    np.testing.assert_array_equal(parameter, 1.0)


def test_moments_do_not_linger_in_the_subnormal_numbers():
    parameter = np.ones(1, np.float32)
    first, second = moments(parameter)
    gradient = np.ones(1, np.float32)
    seen = []
    for step in range(1, 1000):
        kernels.adam_step(parameter, gradient, first, second, step, *DEFAULTS)
        gradient[:] = 0
        seen.append(first.item())
    assert seen[-1] == 0.0
    assert min(value for value in seen if value) >= np.finfo(np.float32).tiny


def test_nan_gradient_makes_its_parameter_nan():
    parameter = np.ones(2)
    gradient = np.array([np.nan, 1.0])
    kernels.adam_step(parameter, gradient, *moments(parameter), 1, *DEFAULTS)
    np.testing.assert_array_equal(np.isnan(parameter), [True, False])


def test_bad_arguments_are_refused():
    parameter = np.ones(3)
    with pytest.raises(ArgumentError, match="shape"):
        kernels.sgd_step(parameter, np.ones(2), 0.1)
    with pytest.raises(ArgumentError, match="shape"):
        kernels.adam_step(parameter, np.ones(3), np.ones(2), np.ones(3), 1, *DEFAULTS)
    with pytest.raises(ArgumentError, match="step"):
        kernels.adam_step(parameter, np.ones(3), *moments(parameter), 0, *DEFAULTS)
    np.testing.assert_array_equal(parameter, 1.0)


def test_nothing_is_left_alone():
    empty = np.empty(0)
    kernels.sgd_step(empty, empty, 0.1)
    kernels.adam_step(empty, empty, empty, empty, 1, *DEFAULTS)
