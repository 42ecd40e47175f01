import naive
import numpy as np
import pytest

from fastinit import kernels
from fastinit.errors import ArgumentError

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def layer(batch, fan_in, fan_out, dtype=np.float64):
    rng = np.random.default_rng(0)
    shapes = ((batch, fan_in), (fan_in, fan_out), (fan_out,), (batch, fan_out))
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def test_known_answer():
    x, kernel = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0, 5.0], [6.0, 7.0, 8.0]])
    out = np.empty((1, 3))
    kernels.dense_forward(x, kernel, np.array([100.0, 200.0, 300.0]), out)
    assert out.tolist() == [[115.0, 218.0, 321.0]]


@both_dtypes
@pytest.mark.parametrize("sizes", [(5, 4, 3), (1, 7, 1), (33, 64, 10), (1, 1, 1)])
def test_agrees_with_numpy(sizes, dtype):
    x, kernel, bias, grad_out = layer(*sizes, dtype)
    tolerance = {"rtol": 64 * np.finfo(dtype).eps, "atol": 64 * np.finfo(dtype).eps}
    out = np.full_like(grad_out, np.nan)
    kernels.dense_forward(x, kernel, bias, out)
    np.testing.assert_allclose(out, naive.dense_forward(x, kernel, bias), **tolerance)

    grads = [np.full_like(array, np.nan) for array in (x, kernel, bias)]
    kernels.dense_backward(x, kernel, grad_out, *grads)
    for got, expected in zip(grads, naive.dense_backward(x, kernel, grad_out), strict=True):
        np.testing.assert_allclose(got, expected, **tolerance)

    parameters = [np.full_like(array, np.nan) for array in (kernel, bias)]
    kernels.dense_backward_parameters(x, grad_out, *parameters)
    np.testing.assert_array_equal(parameters[0], grads[1])
    np.testing.assert_array_equal(parameters[1], grads[2])


def test_backward_is_the_derivative():
    x, kernel, bias, weights = layer(4, 3, 2)

    def weighted_sum(x, kernel, bias):
        out = np.empty_like(weights)
        kernels.dense_forward(x, kernel, bias, out)
        return np.sum(weights * out)

    grads = [np.empty_like(array) for array in (x, kernel, bias)]
    kernels.dense_backward(x, kernel, weights, *grads)
    numeric = (
        naive.gradient(lambda x: weighted_sum(x, kernel, bias), x),
        naive.gradient(lambda kernel: weighted_sum(x, kernel, bias), kernel),
        naive.gradient(lambda bias: weighted_sum(x, kernel, bias), bias),
    )
    for got, expected in zip(grads, numeric, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-8)


def test_an_empty_batch_has_no_output_and_no_gradient():
    x, kernel, bias, grad_out = layer(0, 3, 2)
    kernels.dense_forward(x, kernel, bias, np.empty((0, 2)))
    grad_kernel, grad_bias = np.full_like(kernel, np.nan), np.full_like(bias, np.nan)
    kernels.dense_backward(x, kernel, grad_out, np.empty((0, 3)), grad_kernel, grad_bias)
    assert not grad_kernel.any()
    assert not grad_bias.any()


def test_nan_propagates():
    x, kernel, bias, _ = layer(2, 3, 2)
    x[0, 0] = np.nan
    out = np.empty((2, 2))
    kernels.dense_forward(x, kernel, bias, out)
    np.testing.assert_array_equal(np.isnan(out), [[True, True], [False, False]])


def test_leading_rows_of_a_buffer_can_be_used():
    x, kernel, bias, _ = layer(8, 3, 2)
    whole, buffer = np.empty((8, 2)), np.full((8, 2), 99.0)
    kernels.dense_forward(x, kernel, bias, whole)
    kernels.dense_forward(x[:5], kernel, bias, buffer[:5])
    np.testing.assert_allclose(buffer[:5], whole[:5], rtol=1e-14)
    np.testing.assert_array_equal(buffer[5:], 99.0)


def test_shapes_are_checked():
    x, kernel, bias, grad_out = layer(4, 3, 2)
    with pytest.raises(ArgumentError, match="bias"):
        kernels.dense_forward(x, kernel, bias[:1], np.empty((4, 2)))
    with pytest.raises(ValueError, match="incompatible"):
        kernels.dense_forward(x, kernel[:2], bias, np.empty((4, 2)))
    with pytest.raises(ValueError, match=r"array size not compatible|incompatible"):
        kernels.dense_forward(x, kernel, bias, np.empty((3, 2)))
    with pytest.raises(ArgumentError, match="grad_bias"):
        kernels.dense_backward_parameters(x, grad_out, np.empty((3, 2)), np.empty(3))
