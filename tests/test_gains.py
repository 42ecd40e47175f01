"""Gains: the customary values, and quadrature against integrals known in closed form."""

import math

import numpy as np
import pytest
from scipy import integrate, special, stats

from fastinit import gain
from fastinit.errors import ArgumentError, ArgumentTypeError, UnknownNameError


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
    "gelu": lambda z: z * stats.norm.cdf(z),
    "mish": lambda z: z * math.tanh(math.log1p(math.exp(z))),
    "silu": lambda z: z * special.expit(z),
    "swish": lambda z: z * special.expit(z),
    "softplus": lambda z: math.log1p(math.exp(z)),
}


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_gains_by_quadrature(name):
    moment, _ = integrate.quad(
        lambda z: REFERENCES[name](z) ** 2 * stats.norm.pdf(z), -12, 12, points=[0.0], limit=200
    )
    assert gain(name) == pytest.approx(moment**-0.5, rel=1e-9)


def test_gain_of_a_callable():
    assert gain(lambda z: z) == pytest.approx(1.0, rel=1e-12)
    assert gain(lambda z: np.maximum(z, 0.0)) == pytest.approx(math.sqrt(2), rel=1e-12)
    assert gain(lambda z: 3.0 * z**2) == pytest.approx(1 / math.sqrt(27), rel=1e-12)
    assert gain(np.sin) == pytest.approx((0.5 * (1 - math.exp(-2))) ** -0.5, rel=1e-12)


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
