"""The optimizers and schedules of `fastinit.nn`, step by step against Keras'."""

import math

import numpy as np
import pytest

from fastinit.kernels import gradients, optimizers
from fastinit.nn import optimizers as ours
from fastinit.nn import schedules
from tests.frameworks import require

keras = require("keras")
# Keras' own way from PyTorch to NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STEPS, SIZE = 15, 40
DECAY = {"initial_learning_rate": 0.05, "decay_steps": 4, "decay_rate": 0.5}
CASES = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.6, "nesterov": True, "weight_decay": 0.1}),
    ("Adagrad", {}),
    ("Adagrad", {"epsilon": 0.05, "initial_accumulator_value": 0.01}),
    ("RMSprop", {}),
    ("RMSprop", {"rho": 0.7, "momentum": 0.8, "epsilon": 0.05, "weight_decay": 0.1}),
    ("Adam", {}),
    ("Adam", {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1}),
    ("Adam", {"clipvalue": 0.3}),
    ("Adam", {"global_clipnorm": 2.0, "epsilon": 0.1}),
    ("AdamW", {}),
    ("AdamW", {"weight_decay": 0.5}),
]


def problem():
    rng = np.random.default_rng(0)
    return rng.standard_normal((1 + STEPS, SIZE)).astype(np.float32)


def keras_steps(name, arguments):
    start, *steps = problem()
    optimizer = getattr(keras.optimizers, name)(**arguments)
    parameter = keras.Variable(start)
    optimizer.build([parameter])
    for gradient in steps:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [parameter])
        yield keras.ops.convert_to_numpy(parameter.value)


def our_steps(optimizer):
    parameter, *steps = problem()
    memory = [np.full_like(parameter, optimizer.slot_value) for _ in range(optimizer.slots)]
    memory += [parameter[:0]] * (2 - optimizer.slots)
    values = np.empty(optimizers.STEP_VALUES)
    limit = optimizer.clipvalue or np.inf
    for t, (gradient, rate) in enumerate(zip(steps, optimizer.rates(0, STEPS), strict=True), 1):
        optimizers.prepare_step(optimizer.code, optimizer.hyper(), t, rate, values)
        norm = gradients.global_norm(gradient)
        scale = gradients.norm_scale(norm, optimizer.global_clipnorm or math.inf)
        options = 0.0, 0.0, optimizer.weight_decay, scale, limit
        optimizers.optimizer_step(optimizer.code, values, parameter, gradient, *memory, *options)
        yield parameter


def check(name, theirs, mine):
    pairs = zip(keras_steps(name, theirs), our_steps(mine), strict=True)
    for expected, got in pairs:
        np.testing.assert_allclose(got, expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_every_step_is_that_of_keras(name, arguments):
    arguments = {"learning_rate": 0.02, **arguments}
    check(name, arguments, getattr(ours, name)(**arguments))


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "RMSprop", "Adam", "AdamW"])
def test_the_defaults_are_those_of_keras(name):
    check(name, {}, getattr(ours, name)())
    config = getattr(keras.optimizers, name)().get_config()
    for key, value in getattr(ours, name)().get_config().items():
        if key != "name":
            assert (value or 0.0) == pytest.approx(config[key] or 0.0, rel=1e-6), key


def test_a_changing_rate_meets_the_momentum_as_in_keras():
    theirs = keras.optimizers.schedules.ExponentialDecay(**DECAY)
    mine = schedules.ExponentialDecay(**DECAY)
    check(
        "SGD",
        {"learning_rate": theirs, "momentum": 0.9},
        ours.SGD(learning_rate=mine, momentum=0.9),
    )
    with pytest.raises(AssertionError):
        check("SGD", {"learning_rate": theirs, "momentum": 0.9}, ours.SGD(0.05, momentum=0.9))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ExponentialDecay", DECAY),
        ("ExponentialDecay", {**DECAY, "staircase": True}),
        ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 20, "alpha": 0.1}),
        (
            "CosineDecay",
            {
                "initial_learning_rate": 0.01,
                "decay_steps": 20,
                "warmup_target": 0.2,
                "warmup_steps": 7,
            },
        ),
        ("PiecewiseConstantDecay", {"boundaries": [3, 9], "values": [0.3, 0.2, 0.1]}),
    ],
)
def test_the_schedules_are_those_of_keras(name, arguments):
    theirs = getattr(keras.optimizers.schedules, name)(**arguments)
    mine = getattr(schedules, name)(**arguments)
    expected = [float(keras.ops.convert_to_numpy(theirs(step))) for step in range(30)]
    np.testing.assert_allclose(mine.rates(0, 30), expected, rtol=3e-6, atol=1e-8)
