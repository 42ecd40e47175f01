from functools import partial

import naive
import numpy as np
import pytest

from fastinit import kernels
from fastinit.errors import ArgumentError

ALPHA = 0.1


def _with_alpha(kernel):
    return lambda *arrays: kernel(*arrays, ALPHA)


# name: forward kernel, backward kernel, oracle
ACTIVATIONS = {
    "linear": (kernels.linear, kernels.linear_backward, naive.linear),
    "relu": (kernels.relu, kernels.relu_backward, naive.relu),
    "leaky_relu": (
        _with_alpha(kernels.leaky_relu),
        _with_alpha(kernels.leaky_relu_backward),
        partial(naive.leaky_relu, alpha=ALPHA),
    ),
    "tanh": (kernels.tanh, kernels.tanh_backward, naive.tanh),
    "sigmoid": (kernels.sigmoid, kernels.sigmoid_backward, naive.sigmoid),
    "softmax": (kernels.softmax, kernels.softmax_backward, naive.softmax),
}
ELEMENTWISE = sorted(ACTIVATIONS.keys() - {"softmax"})
every_activation = pytest.mark.parametrize("name", ACTIVATIONS)
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def run(name, z):
    out = np.full_like(z, 99)
    ACTIVATIONS[name][0](z, out)
    return out


@pytest.mark.parametrize(
    ("name", "z", "expected"),
    [
        ("linear", [-2.0, 0.0, 3.0], [-2.0, 0.0, 3.0]),
        ("relu", [-2.0, 0.0, 3.0], [0.0, 0.0, 3.0]),
        ("leaky_relu", [-2.0, 0.0, 3.0], [-0.2, 0.0, 3.0]),
        ("tanh", [np.log(2) / 2, 0.0, -50.0], [1 / 3, 0.0, -1.0]),
        ("sigmoid", [np.log(3), 0.0, -np.log(3)], [0.75, 0.5, 0.25]),
        ("softmax", [np.log(5), np.log(3), np.log(2)], [0.5, 0.3, 0.2]),
    ],
)
def test_known_answers(name, z, expected):
    np.testing.assert_allclose(run(name, np.array([z])), [expected], rtol=1e-15, atol=1e-16)


@every_activation
@both_dtypes
def test_forward_agrees_with_numpy(name, dtype):
    rng = np.random.default_rng(0)
    scales = 10.0 ** rng.uniform(-6, 2, size=(40, 37))  # 37: not a multiple of a vector
    z = (rng.standard_normal((40, 37)) * scales).astype(dtype)
    expected = ACTIVATIONS[name][2](z.astype(np.float64))
    # exp() turns the rounding of a difference of logits, here up to 300, into that many eps.
    rtol = (300 if name in ("sigmoid", "softmax") else 4) * np.finfo(dtype).eps
    np.testing.assert_allclose(run(name, z), expected, rtol=rtol, atol=np.finfo(dtype).tiny)


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
@both_dtypes
def test_own_exponential_is_accurate_everywhere(name, dtype):
    z = np.concatenate([np.linspace(-80, 80, 20001), np.logspace(-30, 0, 1000)])
    z = z.astype(dtype)[np.newaxis]
    expected = ACTIVATIONS[name][2](z.astype(np.float64))
    # The oracle of sigmoid multiplies its rounding by |z|.
    rtol = (4 if name == "tanh" else 60) * np.finfo(np.float64).eps + np.finfo(dtype).eps
    np.testing.assert_allclose(run(name, z), expected, rtol=rtol, atol=0)


@every_activation
@both_dtypes
def test_no_finite_input_overflows(name, dtype):
    largest = np.finfo(dtype).max
    out = run(name, np.array([[largest, -largest, 0.0, 1.0]], dtype))
    assert np.isfinite(out).all()
    if name in ("sigmoid", "softmax"):
        np.testing.assert_allclose(out[0, :2], [1.0, 0.0], atol=np.finfo(dtype).tiny * 2)


@pytest.mark.parametrize("name", ELEMENTWISE)
@both_dtypes
def test_nan_stays_nan_and_alone(name, dtype):
    out = run(name, np.array([[np.nan, 1.0], [2.0, -1.0]], dtype))
    np.testing.assert_array_equal(np.isnan(out), [[True, False], [False, False]])


def test_nan_fills_its_softmax_row():
    out = run("softmax", np.array([[1.0, np.nan], [2.0, -1.0]]))
    np.testing.assert_array_equal(np.isnan(out), [[True, True], [False, False]])


@both_dtypes
def test_softmax_rows_sum_to_one_and_ignore_a_shift(dtype):
    z = np.random.default_rng(1).standard_normal((8, 5)).astype(dtype)
    out = run("softmax", z)
    np.testing.assert_allclose(out.sum(axis=1), 1, rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(run("softmax", z + dtype(64)), out, rtol=100 * np.finfo(dtype).eps)


@every_activation
def test_backward_is_the_derivative(name):
    backward = ACTIVATIONS[name][1]
    rng = np.random.default_rng(2)
    z, weights = rng.standard_normal((5, 7)), rng.standard_normal((5, 7))
    z[np.abs(z) < 1e-3] = 0.5  # away from the kink of relu

    def weighted_sum(z):
        return np.sum(weights * run(name, z))

    output, grad = run(name, z), np.full_like(z, 99)
    backward(output, weights, grad)
    np.testing.assert_allclose(grad, naive.gradient(weighted_sum, z), rtol=1e-6, atol=1e-8)


@every_activation
def test_float32_backward_agrees_with_float64(name):
    backward = ACTIVATIONS[name][1]
    rng = np.random.default_rng(3)
    output, grad_out = run(name, rng.standard_normal((5, 7))), rng.standard_normal((5, 7))
    wide, narrow = np.empty((5, 7)), np.empty((5, 7), np.float32)
    backward(output, grad_out, wide)
    backward(output.astype(np.float32), grad_out.astype(np.float32), narrow)
    np.testing.assert_allclose(narrow, wide, rtol=1e-5, atol=1e-6)


@every_activation
@both_dtypes
def test_both_passes_may_run_in_place(name, dtype):
    forward, backward, _ = ACTIVATIONS[name]
    rng = np.random.default_rng(4)
    z, grad = (rng.standard_normal((6, 9)).astype(dtype) for _ in range(2))
    output, expected = run(name, z), np.empty_like(z)
    backward(output, grad, expected)
    forward(z, z)
    np.testing.assert_array_equal(z, output)
    backward(z, grad, grad)
    np.testing.assert_array_equal(grad, expected)


@pytest.mark.parametrize("slope_at_zero", [("relu", 0.0), ("leaky_relu", ALPHA)])
def test_the_kink_takes_the_left_slope(slope_at_zero):
    name, slope = slope_at_zero
    grad = np.empty((1, 1))
    ACTIVATIONS[name][1](np.zeros((1, 1)), np.ones((1, 1)), grad)
    assert grad.item() == slope


@every_activation
@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_nothing_is_left_alone(name, shape):
    forward, backward, _ = ACTIVATIONS[name]
    empty = np.empty(shape)
    forward(empty, empty)
    backward(empty, empty, empty)


@every_activation
def test_shapes_are_checked(name):
    forward, backward, _ = ACTIVATIONS[name]
    z, short = np.zeros((2, 3)), np.full((1, 3), 99.0)
    with pytest.raises(ArgumentError, match="shape"):
        forward(z, short)
    with pytest.raises(ArgumentError, match="shape"):
        backward(z, z, short)
    with pytest.raises(ArgumentError, match="shape"):
        backward(z, short, z)
    np.testing.assert_array_equal(short, 99.0)
