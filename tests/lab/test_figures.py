"""The figures against cases whose answer is known by hand."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastinit
from fastinit.lab.figures import (
    BINS,
    DISTINCT_TOLERANCE,
    correlation,
    dead_share,
    distinct_units,
    effective_rank,
    expected_std,
    factor_a_step,
    histogram,
    idle_share,
    layer_figures,
    ratio,
    root_mean_square,
    sample,
    saturated_share,
    spread,
)
from fastinit.lab.observation import Histogram


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


def test_distinct_units_beyond_the_first_sieve():
    """Units that agree in the weights that are looked at first, and differ elsewhere."""
    random = np.random.default_rng(1).normal(size=(200, 30)).astype(np.float32)
    copies = np.repeat(random[:, :1], 30, axis=1)
    assert distinct_units(copies) == 1
    copies[1] = random[1]  # not among the 31 evenly spaced inputs
    assert distinct_units(copies) == 30
    mixed = np.hstack([random, random[:, :7]])
    assert distinct_units(mixed) == 30
    many = np.random.default_rng(2).normal(size=(3, 2000)).astype(np.float32)
    assert distinct_units(many) == 2000
    assert distinct_units(np.ones((3, 2000), np.float32)) == 1


def slow_rank(rows):
    """As the formula stands: singular values of the centred matrix, squared."""
    squares = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False) ** 2
    shares = squares[squares > 1e-12 * squares.sum()] / squares.sum()
    return math.exp(-sum(p * math.log(p) for p in shares))


@pytest.mark.parametrize("shape", [(20, 50), (100, 7), (128, 128), (2, 3)])
def test_effective_rank_is_that_of_the_singular_values(shape):
    rows = np.random.default_rng(0).normal(size=shape) * np.linspace(0.1, 3.0, shape[1]) + 5.0
    rank, limit = effective_rank(rows)
    assert rank == pytest.approx(slow_rank(rows), rel=1e-6)
    assert limit == min(shape[0] - 1, shape[1])


def test_effective_rank_at_the_ends():
    assert effective_rank(np.ones((8, 5)))[0] == 0.0
    assert effective_rank(np.zeros((8, 5)))[0] == 0.0
    line = np.linspace(-1, 1, 8)[:, None] * np.arange(1.0, 6.0)
    assert effective_rank(line)[0] == pytest.approx(1.0)
    assert math.isnan(effective_rank(np.full((8, 5), np.nan))[0])
    assert effective_rank(1e-30 * line)[0] == pytest.approx(1.0)  # of what vanishes, too
    assert effective_rank(np.ones((1, 5))) == (0.0, 0)


def test_correlation_is_the_mean_cosine_of_all_pairs():
    rows = np.random.default_rng(0).normal(size=(30, 12)) + 0.5
    cosines = [
        a @ b / math.sqrt((a @ a) * (b @ b)) for i, a in enumerate(rows) for b in rows[i + 1 :]
    ]
    assert correlation(rows) == pytest.approx(np.mean(cosines))
    assert correlation(1e-30 * rows.astype(np.float32)) == pytest.approx(np.mean(cosines), rel=1e-5)
    assert correlation(np.ones((5, 3))) == pytest.approx(1.0)
    assert correlation(np.array([[1.0, 0.0], [0.0, 0.0]])) is None
    assert correlation(np.array([[1.0, np.inf], [0.0, 1.0]])) is None
    assert correlation(np.ones((1, 3))) is None


def test_expected_std_is_the_customary_rule():
    assert expected_std("relu", 200, 7) == pytest.approx(math.sqrt(2 / 200))
    assert expected_std("gelu", 200, 7) == pytest.approx(math.sqrt(2 / 200))
    assert expected_std("selu", 200, 7) == pytest.approx(math.sqrt(1 / 200))
    for bounded in (None, "linear", "tanh", "sigmoid", "softsign"):
        assert expected_std(bounded, 200, 100) == pytest.approx(math.sqrt(2 / 300))


@pytest.mark.parametrize(
    ("sizes", "factor"),
    [
        (0.5 ** np.arange(9.0)[::-1], 0.5),
        (1.1 ** np.arange(200.0)[::-1], 1.1),
        (np.array([0.0, 0.0, 1.0]), 0.0),
        (np.array([0.0, 0.0, 0.25, 0.5, 1.0]), 0.5),  # as far as float32 holds it
        (np.array([np.inf, 4.0, 2.0, 1.0]), 2.0),
        (np.array([1.0]), None),
        (np.array([1.0, 0.0]), None),
        (np.array([]), None),
    ],
)
def test_factor_a_step(sizes, factor):
    found = factor_a_step(sizes)
    assert found == (None if factor is None else pytest.approx(factor))


def test_dead_and_saturated_only_where_there_is_such_a_thing():
    rows = np.array([[0.0, 1.0, 0.999], [0.0, 0.0, 0.999], [0.0, 0.0, -0.999]])
    assert dead_share("relu", rows) == pytest.approx(1 / 3)
    assert dead_share("gelu", rows) is None is dead_share(None, rows)
    assert saturated_share("tanh", rows) == pytest.approx(1 / 3)
    assert saturated_share("relu", rows) is None


@given(st.tuples(st.integers(1, 400), st.integers(1, 400), st.integers(1, 1500)))
@settings(max_examples=60, deadline=None)
def test_a_sample_is_small_and_evenly_spaced(shape):
    taken = [len(range(n)[part]) for n, part in zip(shape, sample(shape), strict=True)]
    assert all(1 <= some <= n for some, n in zip(taken, shape, strict=True))
    assert taken[0] <= 256
    assert taken[2] <= 256
    assert math.prod(taken) <= 65_536
    if math.prod(shape) <= 65_536 and shape[0] <= 256 and shape[2] <= 256:
        assert taken == list(shape)  # nothing is left out without need


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=60),
    st.integers(0, 3),
)
@settings(max_examples=50, deadline=None)
def test_a_histogram_is_numpys(values, broken):
    rows = np.array([[*values, *[math.nan] * broken]])
    found = histogram(rows)
    low, high = min(values), max(values)
    assert (found.low, found.high, found.left_out) == (low, high, broken)
    assert len(found.counts) == BINS
    assert sum(found.counts) == len(values)
    if high - low > 1e-9 * max(abs(low), abs(high)):
        expected = np.histogram(values, BINS)[0]
        # A number at an edge may go to either side of it.
        assert np.abs(np.cumsum(expected) - np.cumsum(found.counts)).max() <= np.sum(
            [abs(v - e) < 1e-6 * (high - low) for v in values for e in np.linspace(low, high, 32)]
        )
    assert Histogram.of(found.numbers) == found


def test_histograms_of_odd_numbers():
    same = histogram(np.full((3, 2), 2.5))
    assert (same.low, same.high, same.counts[BINS // 2], sum(same.counts)) == (2.5, 2.5, 6, 6)
    wide = histogram(np.array([[1.5e308, -1.5e308, 0.0]]))
    assert (wide.counts[0], wide.counts[BINS // 2], wide.counts[-1]) == (1, 1, 1)
    narrow = histogram(np.array([[0.0, 5e-324]]))
    assert sum(narrow.counts) == 2
    none = histogram(np.array([[np.inf, np.nan]]))
    assert math.isnan(none.low)
    assert (sum(none.counts), none.left_out) == (0, 2)
    assert histogram(np.zeros((0, 4))) is None
    halves = histogram(np.array([[1, 2, 3]], np.float16))
    assert (halves.low, halves.high) == (1.0, 3.0)
    large = histogram(fastinit.normal((500, 300), 0.0, 1.0, seed=0))
    assert 3_000 < sum(large.counts) <= 4_096
    assert np.argmax(large.counts) in range(12, 19)


def test_the_histograms_of_a_layer():
    outputs = np.maximum(np.linspace(-1, 1, 80).reshape(20, 1, 4), 0.0)
    found = layer_figures("a", "A", outputs, kernel=np.linspace(2.0, 3.0, 12).reshape(3, 4))
    assert (found.histogram.low, found.histogram.high) == (0.0, 1.0)
    assert found.histogram.counts[0] >= 40  # what relu cut off
    assert found.weight_histogram.counts == histogram(np.linspace(2.0, 3.0, 12)[None]).counts
    assert layer_figures("a", "A", outputs).weight_histogram is None


def numbers(found):
    return {
        name: value for name, value in dataclasses.asdict(found).items() if isinstance(value, float)
    }


@given(st.integers(0, 2**31), st.sampled_from(["relu", "tanh", None]))
@settings(max_examples=25, deadline=None)
def test_the_order_of_examples_does_not_matter(seed, activation):
    rng = np.random.default_rng(seed)
    outputs = np.maximum(rng.normal(size=(20, 3, 6)), -0.5)
    one = layer_figures("a", "A", outputs, activation=activation)
    other = layer_figures("a", "A", outputs[rng.permutation(20)], activation=activation)
    assert numbers(one) == pytest.approx(numbers(other), rel=1e-9, abs=1e-12)


def test_what_is_not_finite_is_a_result():
    for bad in (np.nan, np.inf):
        outputs = np.ones((4, 1, 3), np.float32)
        outputs[0, 0, 0] = bad
        found = layer_figures(
            "a", "A", outputs, activation="relu", kernel=np.full((3, 3), bad), kernel_gradient=bad
        )
        assert not math.isfinite(found.mean)
        assert math.isnan(found.effective_rank)
        assert found.correlation is None
        assert found.dead == pytest.approx(1 / 3)
        assert found.distinct_units == 3
    large = layer_figures("a", "A", np.array([[[1e38, -1e38]], [[3e38, 3e38]]], np.float32))
    assert math.isfinite(large.std)
    assert large.effective_rank > 0
