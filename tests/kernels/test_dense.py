import threading

import naive
import numba
import numpy as np
import pytest

import fastinit
from fastinit import kernels
from fastinit.errors import ArgumentError
from fastinit.kernels.activations import CODES
from fastinit.kernels.dense import OPERATIONS_OF_A_PART

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
    np.testing.assert_array_equal(buffer[:5], whole[:5])
    np.testing.assert_array_equal(buffer[5:], 99.0)


@both_dtypes
@pytest.mark.parametrize("name", sorted(set(CODES) - {"swish"}))
def test_the_activation_is_that_of_its_kernel(name, dtype):
    x, kernel, bias, grad_out = layer(9, 7, 19, dtype)
    z, expected, out = grad_out, np.empty_like(grad_out), np.empty_like(grad_out)
    kernels.dense_forward(x, kernel, bias, z)
    alpha = (0.3,) if name in ("elu", "leaky_relu") else ()
    getattr(kernels, name)(z, expected, *alpha)
    kernels.dense_forward(x, kernel, bias, out, getattr(kernels, name.upper()), *alpha)
    np.testing.assert_array_equal(out, expected)


@both_dtypes
def test_gradients_accumulate(dtype):
    x, kernel, _, grad_out = layer(33, 64, 10, dtype)
    halves = [(x[:20], grad_out[:20]), (x[20:], grad_out[20:])]
    whole = [np.empty_like(kernel), np.empty(10, dtype)]
    kernels.dense_backward_parameters(x, grad_out, *whole)
    for with_inputs in (False, True):
        parts = [np.full_like(array, np.nan) for array in whole]
        grad_in = np.full_like(x, np.nan)
        for i, (rows, grads) in enumerate(halves):
            if with_inputs:
                into = grad_in[: len(rows)]
                kernels.dense_backward(rows, kernel, grads, into, *parts, accumulate=i > 0)
            else:
                kernels.dense_backward_parameters(rows, grads, *parts, accumulate=i > 0)
        # A sum goes on where it stopped: not one bit tells that the batch came in two parts.
        np.testing.assert_array_equal(parts[0], whole[0])
        np.testing.assert_array_equal(parts[1], whole[1])


@numba.njit
def compiled(which, x, kernel, bias, grad_out, out, grad_in, grad_kernel, grad_bias):
    if which == "forward":
        kernels.dense_forward(x, kernel, bias, out, kernels.TANH)
    elif which == "parameters":
        kernels.dense_backward_parameters(x, grad_out, grad_kernel, grad_bias, accumulate=True)
    else:
        kernels.dense_backward(x, kernel, grad_out, grad_in, grad_kernel, grad_bias)


@both_dtypes
@pytest.mark.parametrize("sizes", [(1, 3, 5), (64, 96, 700), (3000, 90, 17)])
def test_threads_change_no_bit(sizes, dtype):
    """Called from Python rows are shared among threads, in compiled code they are not."""
    x, kernel, bias, grad_out = layer(*sizes, dtype)
    before = fastinit.get_num_threads()
    try:
        for which in ("forward", "parameters", "both"):
            expected = [np.ones_like(array) for array in (grad_out, x, kernel, bias)]
            compiled(which, x, kernel, bias, grad_out, *expected)
            for threads in (1, 2, 3):
                fastinit.set_num_threads(threads)
                results = [np.ones_like(array) for array in (grad_out, x, kernel, bias)]
                compiled.py_func(which, x, kernel, bias, grad_out, *results)
                for got, wanted in zip(results, expected, strict=True):
                    np.testing.assert_array_equal(got, wanted)
    finally:
        fastinit.set_num_threads(before)


def test_a_large_product_is_shared_and_a_small_one_is_not(monkeypatch):
    used = set()
    forward = kernels.dense._forward

    def recorded(*arguments):
        used.add((threading.get_ident(), len(arguments[0])))
        both.wait(timeout=60)
        forward(*arguments)

    monkeypatch.setattr(kernels.dense, "_forward", recorded)
    before = fastinit.get_num_threads()
    fastinit.set_num_threads(2)
    try:
        for sizes, threads in (((64, 64, 64), 1), ((96, 512, 512), 2)):
            x, kernel, bias, out = layer(*sizes, np.float32)
            both = threading.Barrier(threads)
            used.clear()
            kernels.dense_forward(x, kernel, bias, out)
            assert len({thread for thread, _ in used}) == threads
            assert sum(rows for _, rows in used) == len(x)
            assert (2.0 * x.size * kernel.shape[1] >= 2 * OPERATIONS_OF_A_PART) == (threads == 2)
    finally:
        fastinit.set_num_threads(before)


def test_two_threads_may_call_at_once():
    x, kernel, bias, grad_out = layer(96, 256, 256)
    expected = np.empty_like(grad_out)
    kernels.dense_forward(x, kernel, bias, expected)
    outs = [np.empty_like(grad_out) for _ in range(4)]
    threads = [
        threading.Thread(target=kernels.dense_forward, args=(x, kernel, bias, out)) for out in outs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for out in outs:
        np.testing.assert_array_equal(out, expected)


# The case, what differs from a layer (4, 3, 2), and what the error says.
WRONG = [
    ("forward", {"bias": (1,)}, "bias must have as many"),
    ("forward", {"kernel": (2, 2)}, "inputs must have as many"),
    ("forward", {"out": (3, 2)}, "outputs must have as many rows"),
    ("forward", {"out": (4, 1)}, "as many columns as the kernel"),
    ("parameters", {"grad_bias": (3,)}, "bias"),
    ("parameters", {"grad_out": (3, 2)}, "outputs"),
    ("parameters", {"grad_kernel": (4, 2)}, "inputs"),
    ("both", {"grad_in": (4, 2)}, "inputs"),
    ("both", {"grad_in": (3, 3)}, "outputs"),
    ("both", {"grad_kernel": (3, 1)}, "outputs"),
    ("both", {"x": (3, 3)}, "outputs"),
]


@pytest.mark.parametrize(("which", "wrong", "message"), WRONG)
def test_shapes_are_checked(which, wrong, message):
    shapes = {"x": (4, 3), "kernel": (3, 2), "bias": (2,), "grad_out": (4, 2), "out": (4, 2)}
    shapes |= {"grad_in": (4, 3), "grad_kernel": (3, 2), "grad_bias": (2,)}
    arrays = {name: np.full(shape, 99.0) for name, shape in (shapes | wrong).items()}
    for call in (compiled, compiled.py_func):
        with pytest.raises(ArgumentError, match=message):
            call(which, **arrays)
    for array in arrays.values():
        np.testing.assert_array_equal(array, 99.0)
