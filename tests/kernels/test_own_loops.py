"""The kernels inside a user's own compiled loop, and the examples of their docstrings."""

import inspect

import numba
import numpy as np
import pytest

import fastinit
from fastinit import kernels

KEY = fastinit.key(7, "own loops")


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


# What each kernel is called with: shapes of arrays, numbers, and what else may be given by name.
MATRIX, PARAMETER, ROWS = (5, 7), (3, 9), (5,)
STEP_OPTIONS = {"l1": 0.1, "l2": 0.2, "weight_decay": 0.3, "scale": 0.5, "limit": 0.4}
ELEMENTWISE = ("gelu", "gelu_tanh", "linear", "log_softmax", "mish", "relu", "selu", "sigmoid")
ELEMENTWISE += ("silu", "softmax", "softplus", "tanh")
SEQUENCE, HIDDEN, GATES = (2, 3, 5), (2, 3, 4), (2, 3, 16)
CASES = {
    **{name: ([MATRIX, MATRIX], {}) for name in ELEMENTWISE},
    **{f"{name}_backward": ([MATRIX] * 3, {}) for name in ELEMENTWISE},
    **{name: ([MATRIX, MATRIX, 0.3], {}) for name in ("elu", "leaky_relu")},
    **{f"{name}_backward": ([MATRIX] * 3 + [0.3], {}) for name in ("elu", "leaky_relu")},
    "dense_forward": (
        [MATRIX, (7, 4), (4,), (5, 4)],
        {"activation": kernels.LEAKY_RELU, "alpha": 0.3},
    ),
    "dense_backward": ([MATRIX, (7, 4), (5, 4), MATRIX, (7, 4), (4,)], {"accumulate": True}),
    "dense_backward_parameters": ([MATRIX, (5, 4), (7, 4), (4,)], {"accumulate": True}),
    "mean_squared_error": ([MATRIX] * 3, {"sample_weights": ROWS}),
    "mean_absolute_error": ([MATRIX] * 3, {"sample_weights": ROWS}),
    "huber": ([MATRIX] * 3, {"delta": 0.5, "sample_weights": ROWS}),
    "binary_crossentropy_from_logits": (
        [MATRIX] * 3,
        {"label_smoothing": 0.1, "class_weights": (2,), "sample_weights": ROWS},
    ),
    "categorical_crossentropy_from_logits": (
        [MATRIX, ROWS, MATRIX],
        {"label_smoothing": 0.1, "class_weights": (7,), "sample_weights": ROWS},
    ),
    "batch_norm_forward": ([MATRIX, (7,), (7,), MATRIX, (7,), (7,), (7,), (7,), 0.9, 0.1], {}),
    "batch_norm_backward": ([MATRIX, *[(7,)] * 3, MATRIX, MATRIX, (7,), (7,)], {}),
    "batch_norm_inference": ([MATRIX, (7,), (7,), MATRIX, (7,), (7,), (7,), 0.1], {}),
    "batch_norm_inference_backward": ([(7,), (7,), MATRIX, MATRIX], {}),
    "layer_norm_forward": ([MATRIX, (7,), (7,), MATRIX, ROWS, ROWS, 0.1], {}),
    "layer_norm_backward": ([MATRIX, (7,), ROWS, ROWS, MATRIX, MATRIX, (7,), (7,)], {}),
    "dropout": ([MATRIX, MATRIX, 0.4, KEY, 3], {}),
    "dropout_backward": ([MATRIX, MATRIX, 0.4, KEY, 3], {}),
    "sgd_step": ([PARAMETER, PARAMETER, 0.1], STEP_OPTIONS),
    "momentum_step": ([PARAMETER] * 3 + [0.1, 0.9], {"nesterov": True, **STEP_OPTIONS}),
    "adagrad_step": ([PARAMETER] * 3 + [0.1, 1e-7], {"epsilon_outside": True, **STEP_OPTIONS}),
    "rmsprop_step": (
        [PARAMETER] * 4 + [0.1, 0.9, 0.5, 1e-7],
        {"epsilon_outside": True, **STEP_OPTIONS},
    ),
    "adam_step": (
        [PARAMETER] * 4 + [3, 0.1, 0.9, 0.99, 1e-7],
        {"epsilon_hat": True, **STEP_OPTIONS},
    ),
    "add_penalty": ([PARAMETER, PARAMETER, 0.1, 0.2], {}),
    "l1_l2_penalty": ([PARAMETER, PARAMETER, 0.1, 0.2], {}),
    "clip_by_value": ([PARAMETER, 0.5], {}),
    "clip_by_global_norm": ([PARAMETER, 0.5], {}),
    "global_norm": ([PARAMETER], {}),
    "piecewise_constant_decay": ([4, (2,), (3,)], {}),
    "exponential_decay": ([4, 0.1, 3, 0.9], {"staircase": True}),
    "cosine_decay": ([4, 0.1, 9], {"alpha": 0.2}),
    "linear_warmup": ([4, 0.1, 0.3, 9], {}),
    "rnn_forward": ([SEQUENCE, (5, 4), (4, 4), (4,), True, HIDDEN], {}),
    "rnn_backward": ([(4, 4), True, HIDDEN, HIDDEN, HIDDEN, (24,)], {}),
    "lstm_forward": ([SEQUENCE, (5, 16), (4, 16), (16,), GATES, HIDDEN, HIDDEN], {}),
    "lstm_backward": ([(4, 16), HIDDEN, HIDDEN, GATES, (80,)], {}),
    "gru_forward": ([SEQUENCE, (5, 12), (4, 12), (2, 12), GATES, HIDDEN], {}),
    "gru_backward": ([(4, 12), HIDDEN, HIDDEN, GATES, (80,)], {}),
    "recurrent_backward_inputs": ([(5, 16), GATES, SEQUENCE], {}),
    "recurrent_backward_parameters": (
        [SEQUENCE, HIDDEN, GATES, 0, 10, (5, 16), (4, 16), (16,)],
        {},
    ),
}
KERNELS = [name for name in kernels.__all__ if callable(getattr(kernels, name))]
NOT_NEGATIVE = {"accumulator", "second_moment", "mean_square", "moving_variance"}


def values_of(given, dtype):
    """Return arguments: arrays of random numbers that fit what the parameters are called."""
    rng = np.random.default_rng(0)

    def value(parameter, what):
        if not isinstance(what, tuple):
            return what
        if parameter == "labels":
            return rng.integers(0, 4, what)
        array = rng.standard_normal(what).astype(dtype)
        return abs(array) if parameter in NOT_NEGATIVE else array

    return [value(parameter, what) for parameter, what in given]


def caller_of(names, with_options):
    """Return a function that calls kernels one after the other, and what it calls them with."""
    parameters, calls, given = [], [], []
    for name in names:
        kernel = getattr(kernels, name)
        known = list(inspect.signature(getattr(kernel, "py_func", kernel)).parameters)
        places, options = CASES[name]
        assert set(known[len(places) :]) == set(options)
        options = options if with_options else {}
        own = [f"{name}__{parameter}" for parameter in [*known[: len(places)], *options]]
        by_name = [f"{option}={name}__{option}" for option in options]
        calls.append(f"kernels.{name}({', '.join(own[: len(places)] + by_name)})")
        parameters += own
        given += [*zip(known, places, strict=False), *options.items()]
    namespace = {"kernels": kernels}
    exec(f"def caller({', '.join(parameters)}): return ({', '.join(calls)},)", namespace)
    return namespace["caller"], parameters, given


def test_every_kernel_has_a_case():
    assert set(CASES) == set(KERNELS)


@pytest.mark.parametrize(("dtype", "with_options"), [(np.float32, True), (np.float64, False)])
@pytest.mark.parametrize("first", range(0, len(CASES), 6))
def test_python_and_compiled_code_get_the_same(first, dtype, with_options):
    names = list(CASES)[first : first + 6]  # some at a time: that compiles sooner than one by one
    caller, parameters, given = caller_of(names, with_options)
    before, inside, outside = (values_of(given, dtype) for _ in range(3))
    inside_results, outside_results = numba.njit(caller)(*inside), caller(*outside)
    did = {name for name, result in zip(names, inside_results, strict=True) if result is not None}
    np.testing.assert_equal(inside_results, outside_results, str(names))
    for parameter, old, new, other in zip(parameters, before, inside, outside, strict=True):
        np.testing.assert_array_equal(new, other, parameter)
        if not np.array_equal(old, new):
            did |= {name for name in names if parameter.startswith(f"{name}__")}
    assert did == set(names)


@pytest.mark.parametrize("name", ["sgd_step", "momentum_step", "adam_step", "huber"])
def test_a_call_with_defaults_finds_its_code_at_once(name, monkeypatch):
    kernel = getattr(kernels, name)
    known = zip(inspect.signature(kernel.py_func).parameters, CASES[name][0], strict=False)
    places = values_of(known, np.float64)
    kernel(*places)

    def search(*arguments):  # Numba's way for types that it does not know, a hundred times longer
        raise AssertionError(arguments)

    monkeypatch.setattr(kernel, "_compile_for_args", search)
    kernel(*places)
    with pytest.raises(AssertionError):
        kernel(*(p.astype(np.float16) if isinstance(p, np.ndarray) else p for p in places))
