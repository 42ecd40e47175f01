import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastinit.errors import ArgumentError, ArgumentTypeError, UnknownNameError
from fastinit.kernels import schedules as kernels
from fastinit.nn.schedules import (
    CosineDecay,
    ExponentialDecay,
    LinearWarmup,
    PiecewiseConstantDecay,
    get_schedule,
)

SCHEDULES = [
    ExponentialDecay(0.1, 30, 0.5),
    ExponentialDecay(0.1, 30, 0.5, staircase=True),
    CosineDecay(0.1, 50, 0.25),
    CosineDecay(0.01, 50, 0.25, 0.1, 20),
    PiecewiseConstantDecay([10, 30], [0.3, 0.2, 0.1]),
    LinearWarmup(0.2, 10),
    LinearWarmup(ExponentialDecay(0.1, 30, 0.5), 20, 0.05),
]


def cosine(t, steps):
    return 0.5 * (1 + math.cos(math.pi * min(t / steps, 1)))


# The definitions, one step at a time
ORACLES = [
    lambda t: 0.1 * 0.5 ** (t / 30),
    lambda t: 0.1 * 0.5 ** (t // 30),
    lambda t: 0.1 * (0.75 * cosine(t, 50) + 0.25),
    lambda t: 0.01 + 0.09 * t / 20 if t < 20 else 0.1 * (0.75 * cosine(t - 20, 50) + 0.25),
    lambda t: 0.3 if t <= 10 else 0.2 if t <= 30 else 0.1,
    lambda t: min(0.02 * t, 0.2),
    lambda t: 0.05 + 0.05 * t / 20 if t < 20 else 0.1 * 0.5 ** ((t - 20) / 30),
]
CASES = list(zip(SCHEDULES, ORACLES, strict=True))


@pytest.mark.parametrize(("schedule", "oracle"), CASES, ids=map(str, SCHEDULES))
def test_rates_follow_the_definition(schedule, oracle):
    rates = schedule.rates(0, 120)
    assert rates.dtype == np.float64
    np.testing.assert_allclose(rates, [oracle(t) for t in range(120)], rtol=1e-13, atol=1e-17)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_rates_do_not_depend_on_where_they_start(schedule):
    rates = schedule.rates(0, 90)
    np.testing.assert_array_equal(schedule.rates(17, 40), rates[17:57])
    assert [schedule(t) for t in (0, 10, 20, 89)] == rates[[0, 10, 20, 89]].tolist()
    assert type(schedule(3)) is float
    assert schedule.rates(5, 0).shape == (0,)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_a_configuration_makes_an_equal_schedule(schedule):
    assert get_schedule(json.loads(json.dumps(schedule.get_config()))) == schedule


@settings(max_examples=60)
@given(
    step=st.integers(0, 10**6),
    decay_steps=st.integers(1, 10**5),
    base=st.floats(0.5, 1.5),
)
def test_powers_to_the_last_digits(step, decay_steps, base):
    logarithm = step / decay_steps * math.log(base)
    if abs(logarithm) < 600:
        got = kernels.exponential_decay(step, 1.0, decay_steps, base)
        # The error of a power grows with it, in the oracle too.
        assert got == pytest.approx(math.exp(logarithm), rel=1e-13 + 1e-15 * step / decay_steps)


@settings(max_examples=60)
@given(step=st.integers(0, 10**6), decay_steps=st.integers(1, 10**6))
def test_the_cosine_to_the_last_digits(step, decay_steps):
    got = kernels.cosine_decay(step, 1.0, decay_steps)
    left = max(decay_steps - step, 0) / decay_steps
    assert got == pytest.approx(math.sin(math.pi / 2 * left) ** 2, rel=1e-15, abs=1e-300)


def test_known_answers():
    assert kernels.exponential_decay(0, 0.1, 7, 0.3) == 0.1
    assert kernels.exponential_decay(5, 0.5, 10, 0.0) == 0.0
    assert kernels.exponential_decay(9, 0.5, 10, 0.0, True) == 0.5
    assert kernels.exponential_decay(20, 0.5, 10, 0.5, True) == 0.125
    assert kernels.cosine_decay(0, 0.1, 7) == 0.1
    assert kernels.cosine_decay(7, 0.1, 7) == kernels.cosine_decay(10**9, 0.1, 7) == 0.0
    assert kernels.linear_warmup(3, 0.0, 0.1, 0) == 0.1


def test_the_bits_are_frozen():
    """Of the same bits on every system, since no C library has a part in them."""
    assert ExponentialDecay(0.1, 1000, 0.96)(12345).hex() == "0x1.eee99193ec638p-5"
    assert CosineDecay(0.1, 1000)(777).hex() == "0x1.81e3ccbed08b2p-7"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ExponentialDecay(-0.1, 1, 0.5), ArgumentError, "initial_learning_rate .* -0.1"),
        (lambda: ExponentialDecay(0.1, 0, 0.5), ArgumentError, "decay_steps must be at least 1"),
        (lambda: ExponentialDecay(0.1, 1.5, 0.5), ArgumentTypeError, "decay_steps .* whole number"),
        (lambda: ExponentialDecay(0.1, 1, math.nan), ArgumentError, "decay_rate .* nan"),
        (lambda: CosineDecay("0.1", 1), ArgumentTypeError, "must be a number, got '0.1'"),
        (lambda: CosineDecay(0.1, 1, math.inf), ArgumentError, "alpha .* inf"),
        (lambda: CosineDecay(0.1, 1, warmup_steps=2), ArgumentError, "needs a warmup_target"),
        (lambda: PiecewiseConstantDecay([1], [0.1]), ArgumentError, "one more .* 1 and 1"),
        (lambda: PiecewiseConstantDecay([2, 2], [1, 2, 3]), ArgumentError, "ascending"),
        (lambda: PiecewiseConstantDecay(1, [0.1]), ArgumentTypeError, "boundaries must be a list"),
        (lambda: PiecewiseConstantDecay([1], [1, -1]), ArgumentError, "a learning rate .* -1"),
        (lambda: LinearWarmup(LinearWarmup(0.1, 3), 3), ArgumentError, "a warm-up already"),
        (lambda: LinearWarmup(None, 3), ArgumentTypeError, "learning_rate must be a number"),
        (lambda: CosineDecay(0.1, 1).rates(-1, 1), ArgumentError, "first_step .* -1"),
        (lambda: CosineDecay(0.1, 1)(-1), ArgumentError, "step must be at least 0"),
        (lambda: get_schedule({"name": "cosine"}), UnknownNameError, "mean 'cosine_decay'"),
        (lambda: get_schedule({"name": "cosine_decay"}), ArgumentTypeError, "CosineDecay"),
        (lambda: kernels.cosine_decay(-1, 0.1, 5), ArgumentError, "step"),
        (lambda: kernels.exponential_decay(1, 0.1, 0, 0.5), ArgumentError, "decay_steps"),
        (lambda: kernels.linear_warmup(1, 0.1, 0.2, -1), ArgumentError, "warmup_steps"),
        (
            lambda: kernels.piecewise_constant_decay(1, np.ones(2), np.ones(2)),
            ArgumentError,
            "one element more",
        ),
    ],
)
def test_bad_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
