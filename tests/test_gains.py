"""Gains: the customary values, and quadrature against integrals known in closed form."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import integrate, special, stats

from fastinit import gain
from fastinit.errors import ArgumentError, ArgumentTypeError, UnknownNameError
from fastinit.gains import ACTIVATIONS


@pytest.mark.parametrize(
    ("activation", "param", "value"),
    [
        ("linear", None, 1.0),
        ("sigmoid", None, 1.0),
        ("tanh", None, 5 / 3),
        ("relu", None, math.sqrt(2)),
        ("leaky_relu", None, math.sqrt(2 / (1 + 0.01**2))),
        ("leaky_relu", 0.3, math.sqrt(2 / 1.09)),
        ("selu", None, 0.75),
    ],
)
def test_customary_gains(activation, param, value):
    assert gain(activation, param) == pytest.approx(value, rel=1e-15)


REFERENCES = {
    "elu": lambda z: z if z > 0 else math.expm1(z),
    "erf": special.erf,
    "gelu": lambda z: z * stats.norm.cdf(z),
    "gelu_tanh": lambda z: 0.5 * z * (1 + math.tanh((2 / math.pi) ** 0.5 * (z + 0.044715 * z**3))),
    "hard_sigmoid": lambda z: min(max(z + 3, 0), 6) / 6,
    "hard_silu": lambda z: z * min(max(z + 3, 0), 6) / 6,
    "hard_tanh": lambda z: min(max(z, -1), 1),
    "mish": lambda z: z * math.tanh(math.log1p(math.exp(z))),
    "relu6": lambda z: min(max(z, 0), 6),
    "silu": lambda z: z * special.expit(z),
    "softsign": lambda z: z / (1 + abs(z)),
    "swish": lambda z: z * special.expit(z),
    "softplus": lambda z: math.log1p(math.exp(z)),
}


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_gains_by_quadrature(name):
    moment, _ = integrate.quad(
        lambda z: REFERENCES[name](z) ** 2 * stats.norm.pdf(z),
        -12,
        12,
        points=[-3.0, -1.0, 0.0, 1.0, 3.0],
        limit=200,
    )
    assert gain(name) == pytest.approx(moment**-0.5, rel=1e-9)


def test_gain_of_a_callable():
    assert gain(lambda z: z) == pytest.approx(1.0, rel=1e-12)
    assert gain(lambda z: np.maximum(z, 0.0)) == pytest.approx(math.sqrt(2), rel=1e-12)
    assert gain(lambda z: 3.0 * z**2) == pytest.approx(1 / math.sqrt(27), rel=1e-12)
    assert gain(np.sin) == pytest.approx((0.5 * (1 - math.exp(-2))) ** -0.5, rel=1e-12)


@given(st.floats(-4.0, 4.0))
@example(3.500685534593517)  # just beyond the middle of an interval
def test_kinks_and_jumps_may_be_anywhere(a):
    tail, density = stats.norm.sf(a), stats.norm.pdf(a)
    kink = (1 + a * a) * tail - a * density  # E[relu(z - a)^2]
    assert gain(lambda z: np.maximum(z - a, 0.0)) == pytest.approx(kink**-0.5, rel=1e-9)
    assert gain(lambda z: 1.0 * (z > a)) ** -2 == pytest.approx(tail, abs=5e-5 * density)


def test_named_activations_are_those_of_the_gains_in_closed_form():
    for name in ("linear", "relu", "leaky_relu"):
        assert gain(ACTIVATIONS[name]) == pytest.approx(gain(name), rel=1e-12)
    # Two customary values are no second moments.
    assert gain(ACTIVATIONS["tanh"]) == pytest.approx(1.5925, abs=1e-4)
    assert gain(ACTIVATIONS["selu"]) == pytest.approx(1.0, abs=1e-6)  # its fixed point


@pytest.mark.parametrize(
    ("activation", "param", "error", "message"),
    [
        ("reul", None, UnknownNameError, "'reul'; did you mean 'relu'"),
        ("relu", 0.1, ArgumentError, "only leaky_relu takes a param, got 0.1"),
        ("leaky_relu", math.nan, ArgumentError, "must be finite, got nan"),
        (3, None, ArgumentTypeError, "got 3"),
        (lambda z: 0 * z, None, ArgumentError, "positive and finite, got 0.0"),
        (lambda z: z[:5], None, ArgumentError, r"to \(5,\), expected the same"),
    ],
)
def test_bad_activations_are_refused(activation, param, error, message):
    with pytest.raises(error, match=message):
        gain(activation, param)
