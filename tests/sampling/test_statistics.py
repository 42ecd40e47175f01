"""The draws follow their law; seeds are fixed, and each test fails on a stream that is wrong."""

import numpy as np
import pytest
from scipy import stats

from fastinit.keys import key
from fastinit.sampling import Normal, TruncatedNormal, Uniform, fill, layout

COUNT = 2**20
LEVEL = 1e-3  # each p-value, with a fixed seed; the negative controls are below 1e-12

LAWS = [
    (Uniform(-1.0, 1.0), stats.uniform(-1.0, 2.0)),
    (Uniform(2.0, 5.0), stats.uniform(2.0, 3.0)),
    (Normal(0.0, 1.0), stats.norm()),
    (Normal(3.0, 0.5), stats.norm(3.0, 0.5)),
    (TruncatedNormal(0.0, 1.0), stats.truncnorm(-2.0, 2.0)),
    (TruncatedNormal(1.0, 2.0, -1.0, 0.5), stats.truncnorm(-1.0, 0.5, 1.0, 2.0)),
    (TruncatedNormal(0.0, 1.0, -3.0, 3.0), stats.truncnorm(-3.0, 3.0)),
    (TruncatedNormal(0.0, 1.0, 0.5, 4.0), stats.truncnorm(0.5, 4.0)),
    (TruncatedNormal(0.0, 1.0, -np.inf, -1.0), stats.truncnorm(-np.inf, -1.0)),
    (TruncatedNormal(0.0, 1.0, 4.9, np.inf), stats.truncnorm(4.9, np.inf)),
    (TruncatedNormal(0.0, 1.0, 5.0, np.inf), stats.truncnorm(5.0, np.inf)),
    (TruncatedNormal(0.0, 1.0, -9.0, -6.0), stats.truncnorm(-9.0, -6.0)),
    (TruncatedNormal(0.0, 1.0, 30.0, 30.1), stats.truncnorm(30.0, 30.1)),
]


def draws(distribution, dtype=np.float64, seed="statistics", count=COUNT):
    out = np.empty(count, dtype)
    fill(out, distribution, int(key(0, seed)))
    return out


def p_values(sample, law):
    """Kolmogorov-Smirnov, chi-square over 256 equal cells, and the tails alone."""
    u = law.cdf(sample[: 2**17].astype(np.float64))
    cells = np.bincount(np.minimum((u * 256).astype(int), 255), minlength=256)
    tails = int(((u < 0.005) | (u > 0.995)).sum())
    return (
        stats.kstest(u, "uniform").pvalue,
        stats.chisquare(cells).pvalue,
        stats.binomtest(tails, u.size, 0.01).pvalue,
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("distribution", "law"), LAWS, ids=lambda value: repr(value)[:60])
def test_draws_follow_their_law(distribution, law, dtype):
    sample = draws(distribution, dtype)
    assert min(p_values(sample, law)) > LEVEL
    wide = sample.astype(np.float64)
    error = law.std() / np.sqrt(COUNT)
    assert abs(wide.mean() - law.mean()) < 4 * error
    low, high = law.support()
    assert (wide >= dtype(low)).all()
    assert (wide <= dtype(high)).all()


def test_a_law_that_is_slightly_wrong_is_noticed():
    assert min(p_values(draws(Normal(0.0, 1.05)), stats.norm())) < 1e-12
    assert min(p_values(draws(Normal(0.0, 1.0)), stats.truncnorm(-2.0, 2.0))) < 1e-12
    clipped = np.clip(draws(Normal(0.0, 1.0)), -2.0, 2.0)
    assert min(p_values(clipped, stats.truncnorm(-2.0, 2.0))) < 1e-12
    assert min(p_values(draws(Uniform(0.0, 0.99)), stats.uniform())) < 1e-12


def test_far_tails_have_their_share():
    sample = draws(Normal(0.0, 1.0), np.float32, count=2**24)
    for bound in (3.0, 4.0, 5.0):
        beyond = int((np.abs(sample) > bound).sum())
        assert stats.binomtest(beyond, sample.size, 2 * stats.norm.sf(bound)).pvalue > LEVEL
    clipped = np.clip(sample, -4.0, 4.0)
    assert stats.binomtest(int((np.abs(clipped) > 4.0).sum()), clipped.size, 6.33e-5).pvalue < 1e-12


def correlation_z(a, b):
    """Correlation of two zero-mean samples, in its standard errors."""
    return float(np.mean(a * b) / (a.std() * b.std()) * np.sqrt(a.size))


LAGS = [1, 2, layout.LANES, 2 * layout.LANES, layout.TILE, 1024]


@pytest.mark.parametrize("lag", LAGS)
def test_neighbours_lanes_and_tiles_are_uncorrelated(lag):
    for distribution in (Uniform(-1.0, 1.0), Normal(0.0, 1.0)):
        x = draws(distribution)
        assert abs(correlation_z(x[:-lag], x[lag:])) < 4
        square = x**2 - np.mean(x**2)  # the two normals of a pair share a radius
        assert abs(correlation_z(square[:-lag], square[lag:])) < 4


def test_a_correlation_between_neighbours_is_noticed():
    x = draws(Normal(0.0, 1.0))
    assert abs(correlation_z(x[1:] + 0.02 * x[:-1], x[:-1])) > 8


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((0,), (1,)),
        ((0, "a"), (0, "b")),
        ((0, "layer1"), (0, "layer2")),
        ((2**32,), (2**32 + 1,)),
    ],
)
def test_adjacent_seeds_and_names_are_uncorrelated(one, other):
    x, y = np.empty(COUNT), np.empty(COUNT)
    fill(x, Normal(0.0, 1.0), int(key(*one)))
    fill(y, Normal(0.0, 1.0), int(key(*other)))
    assert abs(correlation_z(x, y)) < 4


def test_adjacent_keys_are_uncorrelated():
    x, y = np.empty(COUNT), np.empty(COUNT)
    fill(x, Normal(0.0, 1.0), 0)
    for neighbour in (1, 2**32, 2**63):
        fill(y, Normal(0.0, 1.0), neighbour)
        assert abs(correlation_z(x, y)) < 4
    fill(y, Normal(0.0, 1.0), 0)
    assert correlation_z(x, y) > 100
