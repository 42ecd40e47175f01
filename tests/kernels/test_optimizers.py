import math
from itertools import pairwise

import naive
import naive_optimizers
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastinit import kernels
from fastinit.errors import ArgumentError
from fastinit.kernels import gradients, optimizers

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
DEFAULTS = (0.001, 0.9, 0.999, 1e-8)
OPTIONS = {"l1": 0.01, "l2": 0.05, "scale": 0.7, "limit": 1.2, "weight_decay": 0.3}
CHOICES = [{}, OPTIONS, *({name: value} for name, value in OPTIONS.items())]
ADAM = (0.8, 0.99, 1e-3)
# code, hyperparameters, arrays that are remembered and what they start from, oracle
RULES = {
    "sgd": (optimizers.SGD, (0.0, 0), 0, 0.0, naive_optimizers.sgd),
    "momentum": (optimizers.SGD, (0.9, 0), 1, 0.0, naive_optimizers.momentum),
    "nesterov": (optimizers.SGD, (0.9, 1), 1, 0.0, naive_optimizers.momentum),
    "adagrad": (optimizers.ADAGRAD, (1e-3, 0), 1, 0.1, naive_optimizers.adagrad),
    "adagrad outside": (optimizers.ADAGRAD, (1e-3, 1), 1, 0.0, naive_optimizers.adagrad),
    "rmsprop": (optimizers.RMSPROP, (0.9, 0.0, 1e-3, 0), 1, 0.0, naive_optimizers.rmsprop),
    "rmsprop outside": (optimizers.RMSPROP, (0.9, 0.0, 1e-3, 1), 1, 0.0, naive_optimizers.rmsprop),
    "rmsprop momentum": (optimizers.RMSPROP, (0.8, 0.7, 1e-3, 0), 2, 0.0, naive_optimizers.rmsprop),
    "adam": (optimizers.ADAM, (*ADAM, 0), 2, 0.0, naive_optimizers.adam),
    "adam hat": (optimizers.ADAM, (*ADAM, 1), 2, 0.0, naive_optimizers.adam),
}
KERNELS = {
    "sgd": lambda p, g, memory, t, *hyper: optimizers.sgd_step(p, g, *hyper),
    "momentum": lambda p, g, memory, t, *hyper: optimizers.momentum_step(p, g, *memory, *hyper),
    "adagrad": lambda p, g, memory, t, *hyper: optimizers.adagrad_step(p, g, *memory, *hyper),
    "rmsprop": lambda p, g, memory, t, *hyper: optimizers.rmsprop_step(p, g, *memory, *hyper),
    "adam": lambda p, g, memory, t, *hyper: optimizers.adam_step(p, g, *memory, t, *hyper),
}


def moments(parameter):
    return np.zeros_like(parameter), np.zeros_like(parameter)


def memory_of(rule, parameter):
    """Return the arrays that the engine keeps, always two."""
    _, _, slots, value, _ = RULES[rule]
    full, none = np.full_like(parameter, value), parameter[:0].copy()
    return full if slots else none, full.copy() if slots == 2 else none


def prepared(rule, step, learning_rate=0.05):
    values = np.empty(optimizers.STEP_VALUES)
    code, hyper = RULES[rule][:2]
    optimizers.prepare_step(code, np.array(hyper, float), step, learning_rate, values)
    return code, values


def engine_step(rule, step, parameter, gradient, first, second, **options):
    numbers = {"l1": 0.0, "l2": 0.0, "weight_decay": 0.0, "scale": 1.0, "limit": np.inf} | options
    arrays = parameter, gradient, first, second
    optimizers.optimizer_step(*prepared(rule, step), *arrays, *numbers.values())


@both_dtypes
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("options", CHOICES, ids=["plain", "all", *OPTIONS])
def test_rules_follow_their_definitions_at_every_step(rule, options, dtype):
    rng = np.random.default_rng(0)
    start, gradients_ = rng.standard_normal(37), rng.standard_normal((15, 37))
    start[3] = 0.0  # the sign of 0 is 0
    _, hyper, _, value, oracle = RULES[rule]
    definition = oracle(0.05) if rule == "sgd" else oracle(0.05, *hyper)
    state = value, 0.0
    expected = naive_optimizers.steps(definition, start, gradients_, 0.05, state, **options)
    parameter = start.astype(dtype)
    memory = memory_of(rule, parameter)
    for t, gradient in enumerate(gradients_.astype(dtype), start=1):
        engine_step(rule, t, parameter, gradient, *memory, **options)
        tolerance = 40 * np.finfo(dtype).eps
        np.testing.assert_allclose(parameter, expected[t - 1], rtol=0, atol=tolerance)


@pytest.mark.parametrize("rule", RULES)
def test_the_kernels_are_the_steps_of_the_engine(rule):
    rng = np.random.default_rng(1)
    shape = 3, 7
    parameter, gradient = rng.standard_normal((2, *shape)).astype(np.float32)
    _, hyper, slots, value, _ = RULES[rule]
    kind = "momentum" if rule == "nesterov" else rule.split()[0]
    arrays = [np.full(shape, value, np.float32) for _ in range(slots)]
    if rule.startswith("rmsprop") and slots == 1:
        arrays.append(np.empty((0, 7), np.float32))
    hyper = () if rule == "sgd" else (*hyper[:-1], bool(hyper[-1]))
    p, memory = parameter.ravel().copy(), memory_of(rule, parameter.ravel())
    for t in (1, 2, 3):
        options = (OPTIONS[name] for name in ("l1", "l2", "weight_decay", "scale", "limit"))
        KERNELS[kind](parameter, gradient, arrays, t, 0.05, *hyper, *options)
        engine_step(rule, t, p, gradient.ravel(), *memory, **OPTIONS)
    assert parameter.tobytes() == p.tobytes()
    for array, flat in zip(arrays, memory, strict=False):
        assert array.tobytes() == flat.tobytes()


@settings(max_examples=30)
@given(
    rule=st.sampled_from(list(RULES)),
    size=st.integers(0, 200),
    cuts=st.lists(st.integers(0, 200), max_size=4),
    dtype=st.sampled_from([np.float32, np.float64]),
    options=st.sampled_from([{}, OPTIONS]),
    seed=st.integers(0, 99),
)
def test_slices_equal_the_whole(rule, size, cuts, dtype, options, seed):
    rng = np.random.default_rng(seed)
    whole = rng.standard_normal(size).astype(dtype)
    gradient = (rng.standard_normal(size) * 10.0 ** rng.uniform(-30, 3, size)).astype(dtype)
    parts = whole.copy()
    memory, memory_parts = memory_of(rule, whole), memory_of(rule, parts)
    edges = [0, *sorted(min(cut, size) for cut in cuts), size]
    for t in (1, 2):
        engine_step(rule, t, whole, gradient, *memory, **options)
        for a, b in pairwise(edges):
            pieces = (array[a:b] for array in (parts, gradient, *memory_parts))
            engine_step(rule, t, *pieces, **options)
    for x, y in zip((whole, *memory), (parts, *memory_parts), strict=True):
        assert x.tobytes() == y.tobytes()


@pytest.mark.parametrize("hat", [False, True])
@pytest.mark.parametrize("step", [1, 2, 1000, 65537, 10**9])
def test_the_correction_of_the_bias_is_right_for_any_step(step, hat):
    values = np.empty(optimizers.STEP_VALUES)
    hyper = np.array([0.9, 0.999, 1e-7, hat])
    optimizers.prepare_step(optimizers.ADAM, hyper, step, 0.01, values)
    c1, c2 = -math.expm1(step * math.log(0.9)), -math.expm1(step * math.log(0.999))
    expected = (0.01 * math.sqrt(c2) / c1, 1.0) if hat else (0.01 / c1, 1 / math.sqrt(c2))
    np.testing.assert_allclose(values[5:7], expected, rtol=1e-12)


def test_the_penalty_before_is_the_penalty_within():
    """With clipping by norm it has to be added before, and must be the same."""
    rng = np.random.default_rng(2)
    parameter, gradient = rng.standard_normal((2, 50)).astype(np.float32)
    other, full = parameter.copy(), gradient.copy()
    kernels.sgd_step(parameter, gradient, 0.1, 0.02, 0.03)
    gradients.add_penalty(other, full, 0.02, 0.03)
    kernels.sgd_step(other, full, 0.1)
    assert parameter.tobytes() == other.tobytes()


@pytest.mark.parametrize("rule", RULES)
def test_a_nan_stays_where_it_is(rule):
    parameter = np.ones(20, np.float32)
    gradient = parameter.copy()
    gradient[5] = np.nan
    memory = memory_of(rule, parameter)
    engine_step(rule, 1, parameter, gradient, *memory, limit=0.5)
    assert np.flatnonzero(np.isnan(parameter)).tolist() == [5]


@pytest.mark.parametrize("rule", RULES)
def test_clipping_tames_infinite_gradients(rule):
    parameter = np.ones(4)
    gradient = np.array([np.inf, -np.inf, 0.25, -0.25])
    other, clipped = parameter.copy(), np.clip(gradient, -0.5, 0.5)
    engine_step(rule, 1, parameter, gradient, *memory_of(rule, parameter), limit=0.5)
    engine_step(rule, 1, other, clipped, *memory_of(rule, other))
    np.testing.assert_array_equal(parameter, other)
    assert np.isfinite(parameter).all()


@both_dtypes
@pytest.mark.parametrize("rule", ["momentum", "rmsprop", "rmsprop momentum", "adam"])
def test_nothing_lingers_in_the_subnormal_numbers(rule, dtype):
    tiny = np.finfo(dtype).tiny
    parameter, gradient = np.ones(2, dtype), np.ones(2, dtype)
    memory = memory_of(rule, parameter)
    for step in range(1, 7500):
        engine_step(rule, step, parameter, gradient, *memory)
        gradient[:] = 0, tiny**0.5 / 100  # too small to be squared
        for array in memory:
            assert ((array == 0) | (np.abs(array) >= tiny)).all()
    assert memory[0][0] == 0


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
    np.testing.assert_array_equal(first, np.float32(1.0 - 0.9) * gradient)


def test_the_order_of_the_arithmetic_is_as_written_down():
    rng = np.random.default_rng(4)
    start, gradient = rng.standard_normal((2, 1000)).astype(np.float32)
    rate, decay, epsilon = np.float32([0.01 / (1 - 0.9), 0.01 * 0.3, 1e-3])
    mean = np.float32(1 - 0.9) * gradient
    root = np.sqrt(np.float32(1 - 0.7) * (gradient * gradient)) * np.float32((1 - 0.7) ** -0.5)
    change = rate * mean / (root + epsilon)
    parameter, memory = start.copy(), moments(start)
    kernels.adam_step(parameter, gradient, *memory, 1, 0.01, 0.9, 0.7, 1e-3, weight_decay=0.3)
    np.testing.assert_array_equal(parameter, start - (decay * start + change))


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
    with pytest.raises(ArgumentError, match="velocity must have the same shape"):
        optimizers.momentum_step(parameter, np.ones(3), np.ones(2), 0.1, 0.9)
    with pytest.raises(ArgumentError, match="accumulator must have the same shape"):
        optimizers.adagrad_step(parameter, np.ones(3), np.ones(2), 0.1, 1e-7)
    with pytest.raises(ArgumentError, match="mean_square must have the same shape"):
        optimizers.rmsprop_step(parameter, np.ones(3), np.ones(2), np.ones(3), 0.1, 0.9, 0.0, 1e-7)
    with pytest.raises(ArgumentError, match="or momentum must be 0"):
        optimizers.rmsprop_step(parameter, np.ones(3), np.ones(3), np.ones(0), 0.1, 0.9, 0.5, 1e-7)
    with pytest.raises(ArgumentError, match="step"):
        kernels.adam_step(parameter, np.ones(3), *moments(parameter), 0, *DEFAULTS)
    np.testing.assert_array_equal(parameter, 1.0)


def test_nothing_is_left_alone():
    empty = np.empty(0)
    kernels.sgd_step(empty, empty, 0.1)
    optimizers.momentum_step(empty, empty, empty, 0.1, 0.9)
    optimizers.adagrad_step(empty, empty, empty, 0.1, 1e-7)
    optimizers.rmsprop_step(empty, empty, empty, empty, 0.1, 0.9, 0.5, 1e-7)
    kernels.adam_step(empty, empty, empty, empty, 1, *DEFAULTS)
