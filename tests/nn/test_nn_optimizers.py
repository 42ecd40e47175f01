"""What the optimizers of `nn` are made of; their steps are tested with the kernels and Keras."""

import json
import math

import numpy as np
import pytest

from fastinit.errors import ArgumentError, ArgumentTypeError, UnknownNameError
from fastinit.kernels import optimizers as kernels
from fastinit.nn.optimizers import (
    OPTIMIZERS,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    RMSprop,
    get_optimizer,
)
from fastinit.nn.schedules import CosineDecay, LinearWarmup

ALL = [
    SGD(),
    SGD(0.1, 0.9, True, clipvalue=0.5),
    Adagrad(0.1, 0.0, weight_decay=0.1),
    RMSprop(CosineDecay(0.1, 10), 0.5),
    RMSprop(momentum=0.9, global_clipnorm=1.0),
    Adam(LinearWarmup(CosineDecay(0.1, 10), 5)),
    AdamW(0.01, 0.1, 0.5),
]


@pytest.mark.parametrize("optimizer", ALL, ids=str)
def test_a_configuration_makes_an_equal_optimizer(optimizer):
    assert get_optimizer(json.loads(json.dumps(optimizer.get_config()))) == optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_name_makes_the_defaults(name):
    assert get_optimizer(name) == OPTIMIZERS[name]()
    assert get_optimizer(name).name == name


def test_what_the_engine_is_told():
    assert [(o.code, o.slots, o.slot_value) for o in ALL] == [
        (kernels.SGD, 0, 0.0),
        (kernels.SGD, 1, 0.0),
        (kernels.ADAGRAD, 1, 0.0),
        (kernels.RMSPROP, 1, 0.0),
        (kernels.RMSPROP, 2, 0.0),
        (kernels.ADAM, 2, 0.0),
        (kernels.ADAM, 2, 0.0),
    ]
    assert Adagrad().slot_value == 0.1
    assert SGD(0.1, 0.9, True).hyper().tolist() == [0.9, 1.0]
    assert all(o.hyper().dtype == np.float64 for o in ALL)
    assert (AdamW().weight_decay, Adam().weight_decay) == (0.004, 0.0)


def test_learning_rates_of_steps():
    assert SGD(0.5).rates(3, 2).tolist() == [0.5, 0.5]
    schedule = CosineDecay(0.1, 10)
    assert Adam(schedule).rates(2, 5).tolist() == schedule.rates(2, 5).tolist()


def test_what_is_not_the_default_is_shown():
    assert repr(SGD(0.1)) == "SGD(learning_rate=0.1)"
    assert repr(AdamW(clipvalue=1)) == "AdamW(learning_rate=0.001, clipvalue=1.0)"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SGD(momentum=1.0), ArgumentError, "momentum must be at least 0 and below 1"),
        (lambda: SGD(momentum="much"), ArgumentTypeError, "momentum must be a number, got 'much'"),
        (lambda: Adagrad(initial_accumulator_value=-1), ArgumentError, "accumulator.* got -1"),
        (lambda: RMSprop(rho=1), ArgumentError, "rho"),
        (lambda: RMSprop(epsilon=math.inf), ArgumentError, "epsilon .* finite"),
        (lambda: AdamW(weight_decay=-0.1), ArgumentError, "weight_decay .* -0.1"),
        (lambda: SGD(clipvalue=0), ArgumentError, "clipvalue must be above 0"),
        (lambda: SGD(global_clipnorm=-1), ArgumentError, "global_clipnorm .* -1"),
        (lambda: SGD(clipvalue=1, global_clipnorm=2), ArgumentError, "only one .* 1.0 and 2.0"),
        (lambda: SGD(None), ArgumentTypeError, "learning_rate must be a number, got None"),
        (lambda: get_optimizer({"name": "adamm"}), UnknownNameError, "did you mean 'adam"),
        (lambda: get_optimizer({"learning_rate": 1}), UnknownNameError, "optimizer None"),
        (lambda: get_optimizer({"name": "sgd", "beta": 1}), ArgumentTypeError, "SGD.*'beta'"),
        (lambda: get_optimizer({"name": "sgd", "momentum": 2}), ArgumentError, "momentum"),
        (lambda: get_optimizer(3), ArgumentTypeError, "optimizer must be a name"),
    ],
)
def test_bad_hyperparameters_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
