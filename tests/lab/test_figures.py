"""The figures against cases whose answer is known by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastinit.lab.figures import (
    DISTINCT_TOLERANCE,
    distinct_units,
    idle_share,
    ratio,
    root_mean_square,
    spread,
)


def test_spread_sees_rows_and_not_units():
    units_differ = np.array([[1.0, 9.0], [1.0, 9.0]])
    rows_differ = np.array([[1.0, 9.0], [3.0, 9.0]])
    assert spread(units_differ) == 0.0
    assert spread(rows_differ) == pytest.approx(math.sqrt(0.5))


def test_overflow_is_a_result():
    huge = np.array([[1e200], [-1e200]])
    assert root_mean_square(huge) == math.inf
    assert spread(huge) == math.inf
    assert math.isnan(spread(np.array([[math.inf], [1.0]])))


def test_float32_does_not_overflow_early():
    assert root_mean_square(np.full(3, 1e30, np.float32)) == pytest.approx(1e30)


@pytest.mark.parametrize(
    ("first", "last", "expected"), [(1, 4, 0.25), (0, 2, 0.0), (2, 0, math.inf), (0, 0, math.nan)]
)
def test_ratio(first, last, expected):
    assert ratio(first, last) == pytest.approx(expected, nan_ok=True)


def column(*values):
    return np.array(values, np.float32)[:, None]


@pytest.mark.parametrize(
    ("activation", "unit", "idle"),
    [
        ("relu", column(0, 0, 0), True),
        ("relu", column(0, 0, 1e-6), False),
        ("relu", column(0, 0, math.nan), True),
        ("sigmoid", column(0.001, 0.999, 0.5), True),
        ("sigmoid", column(0.001, 0.5, 0.5), False),
        ("sigmoid", column(0.001, 0.999, 0.5, 0.5), False),  # half is not most
        ("sigmoid", column(0.011, 0.989), False),
        ("tanh", column(-0.99, 0.99), True),
        ("tanh", column(0.0, 0.01), False),
        ("tanh", column(0.97, -0.97), False),
    ],
)
def test_idle_unit(activation, unit, idle):
    assert idle_share(activation, [unit]) == float(idle)


def test_idle_share_counts_units_not_layers():
    dead, alive = column(0, 0), column(0, 1)
    assert idle_share("relu", [np.hstack([dead] * 3), alive]) == 0.75
    assert idle_share("leaky_relu", [dead]) is None


def test_distinct_units_of_random_and_equal_columns():
    random = np.random.default_rng(0).normal(size=(5, 40))
    assert distinct_units(random) == 40
    assert distinct_units(np.zeros((5, 40))) == 1
    assert distinct_units(np.repeat(random[:, :3], 4, axis=1)) == 3


def test_distinct_units_heeds_bias_and_tolerance():
    kernel = np.ones((3, 4))
    assert distinct_units(kernel, np.arange(4.0)) == 4
    assert distinct_units(kernel, np.zeros(4)) == 1
    kernel[0, 0] = 1 + 0.9 * DISTINCT_TOLERANCE
    assert distinct_units(kernel) == 1
    kernel[0, 0] = 1 + 1.1 * DISTINCT_TOLERANCE
    assert distinct_units(kernel) == 2


def test_copies_cannot_be_told_among_broken_weights():
    assert distinct_units(np.full((3, 4), np.nan)) == 4
