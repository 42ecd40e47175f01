"""The kernels inside a user's own compiled loop, and the examples of their docstrings."""

import doctest
import inspect

import numba
import numpy as np
import pytest

from fastinit import kernels


@numba.njit
def train(x, labels, kernel_0, bias_0, kernel_1, bias_1, epochs, learning_rate):
    rows, hidden = x.shape[0], kernel_0.shape[1]
    z = np.empty((rows, hidden), x.dtype)
    a, grad_a = np.empty_like(z), np.empty_like(z)
    logits = np.empty((rows, kernel_1.shape[1]), x.dtype)
    grad = np.empty_like(logits)
    grad_kernel_0, grad_bias_0 = np.empty_like(kernel_0), np.empty_like(bias_0)
    grad_kernel_1, grad_bias_1 = np.empty_like(kernel_1), np.empty_like(bias_1)
    losses = np.empty(epochs)
    for epoch in range(epochs):
        kernels.dense_forward(x, kernel_0, bias_0, z)
        kernels.tanh(z, a)
        kernels.dense_forward(a, kernel_1, bias_1, logits)
        losses[epoch] = kernels.categorical_crossentropy_from_logits(logits, labels, grad)
        kernels.dense_backward(a, kernel_1, grad, grad_a, grad_kernel_1, grad_bias_1)
        kernels.tanh_backward(a, grad_a, grad_a)
        kernels.dense_backward_parameters(x, grad_a, grad_kernel_0, grad_bias_0)
        kernels.sgd_step(kernel_0, grad_kernel_0, learning_rate)
        kernels.sgd_step(bias_0, grad_bias_0, learning_rate)
        kernels.sgd_step(kernel_1, grad_kernel_1, learning_rate)
        kernels.sgd_step(bias_1, grad_bias_1, learning_rate)
    return losses


def test_a_compiled_loop_equals_the_same_loop_in_python():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 2)).astype(np.float32)
    labels = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    start = [
        (0.5 * rng.standard_normal(shape)).astype(np.float32) for shape in ((2, 16), 16, (16, 2), 2)
    ]
    compiled = train(x, labels, *(array.copy() for array in start), 300, 1.0)
    interpreted = train.py_func(x, labels, *(array.copy() for array in start), 300, 1.0)
    np.testing.assert_array_equal(compiled, interpreted)
    assert compiled[0] > 0.6
    assert compiled[-1] < 0.2


@pytest.mark.parametrize("name", [name for name in kernels.__all__ if name != "draws"])
def test_examples(name):
    examples = doctest.DocTestParser().get_doctest(
        inspect.getdoc(getattr(kernels, name)), {}, name, None, None
    )
    assert examples.examples
    assert doctest.DocTestRunner().run(examples).failed == 0
