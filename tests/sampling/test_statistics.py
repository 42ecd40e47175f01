"""The draws follow their law; seeds are fixed, and each test fails on a stream that is wrong."""

import math

import numpy as np
import pytest
from scipy import stats

from fastinit.keys import key
from fastinit.sampling import (
    Normal,
    Permutation,
    Sign,
    TruncatedNormal,
    Uniform,
    fill,
    layout,
)

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
    (TruncatedNormal(1.0, 2.0, 0.0, 3.0, absolute=True), stats.truncnorm(-0.5, 1.0, 1.0, 2.0)),
    (TruncatedNormal(0.0, 1.0, 1.5, 2.5, absolute=True), stats.truncnorm(1.5, 2.5)),
    (TruncatedNormal(0.5, 0.25, -9.0, 0.0, absolute=True), stats.truncnorm(-38, -2, 0.5, 0.25)),
    (TruncatedNormal(0.0, 0.125, 0.75, 1.0, absolute=True), stats.truncnorm(6, 8, 0.0, 0.125)),
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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("distribution", "law"), LAWS, ids=lambda value: repr(value)[:60])
def test_no_mass_lies_at_a_bound(distribution, law, dtype):
    sample = draws(distribution, dtype)
    for bound in law.support():
        if np.isfinite(bound):
            share = law.pdf(bound) * float(np.spacing(dtype(abs(bound) or 1.0)))
            assert (sample == dtype(bound)).sum() <= 3 + 3 * share * sample.size


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


# ---------------------------------------------------------------- complex numbers


def cut_modulus(bound):
    """CDF of the modulus of a complex normal of E|z|^2 = 1, cut at `bound`, and E|z|^2 then."""
    mass = -np.expm1(-(bound**2))
    return lambda r: -np.expm1(-(r**2)) / mass, 1 - bound**2 * np.exp(-(bound**2)) / mass


COMPLEX_LAWS = [  # the real law; CDF of |z - mean| in units in which E|z - mean|^2 = 1
    (Normal(1.0, 0.5), stats.norm(1.0, 0.5), lambda r: -np.expm1(-(r**2))),
    (Uniform(-1.0, 2.0), stats.uniform(-1.0, 3.0), lambda r: np.minimum(r**2 / 2, 1.0)),
    *(
        (
            TruncatedNormal(0.5, 2.0, -b, b),
            stats.truncnorm(-b, b, 0.5, 2.0),
            lambda r, b=b: cut_modulus(b)[0](r * np.sqrt(cut_modulus(b)[1])),
        )
        for b in (2.0, 0.5, 4.0)
    ),
]


def complex_p_values(z, law, cdf):
    """Modulus, direction, their independence, and that no quadrant has more of the variance."""
    z = (z - law.mean()) / law.std()
    u, turn = cdf(np.abs(z)), np.angle(z) / (2 * np.pi) + 0.5
    cells = (np.minimum(u, 1 - 1e-9) * 16).astype(int) * 16 + (turn * 16).astype(int) % 16
    excess = (np.abs(z) ** 2).mean() - 1
    return (
        stats.kstest(u[: 2**17], "uniform").pvalue,
        stats.kstest(turn[: 2**17], "uniform").pvalue,
        stats.chisquare(np.bincount(cells, minlength=256)).pvalue,
        2 * stats.norm.sf(abs(excess) / (np.abs(z) ** 2).std() * np.sqrt(z.size)),
        2 * stats.norm.sf(abs((z**2).real.mean()) / (z**2).real.std() * np.sqrt(z.size)),
        2 * stats.norm.sf(abs((z**2).imag.mean()) / (z**2).imag.std() * np.sqrt(z.size)),
    )


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize(("distribution", "law", "cdf"), COMPLEX_LAWS, ids=range(5))
def test_complex_draws_have_the_variance_of_the_real_law(distribution, law, cdf, dtype):
    z = draws(distribution, dtype).astype(np.complex128)
    assert min(complex_p_values(z, law, cdf)) > LEVEL
    for part, mean in ((z.real, law.mean()), (z.imag, 0.0)):
        assert abs(part.mean() - mean) < 4 * law.std() / np.sqrt(2 * COUNT)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_a_complex_normal_cut_close_to_the_mean_is_a_disk(dtype):
    distribution = TruncatedNormal(0.0, 1.0, -1e-4, 1e-4)
    z = draws(distribution, dtype).astype(np.complex128)
    disk = stats.uniform(-1e-4, 2e-4)
    assert min(complex_p_values(z, disk, COMPLEX_LAWS[1][2])) > LEVEL


def test_a_complex_law_that_is_slightly_wrong_is_noticed():
    distribution, law, cdf = COMPLEX_LAWS[2]
    z = draws(distribution, np.complex128)
    assert min(complex_p_values(0.5 + (z - 0.5) * np.sqrt(1.0187), law, cdf)) < 1e-12
    assert min(complex_p_values(0.5 + (z.real - 0.5) * 1.02 + 1j * z.imag, law, cdf)) < 1e-12
    assert min(complex_p_values(draws(Normal(0.5, law.std()), np.complex128), law, cdf)) < 1e-12


# ---------------------------------------------------------------- signs


def test_signs_are_balanced_and_independent():
    sample = draws(Sign(1.0))
    assert set(np.unique(sample)) == {-1.0, 1.0}
    assert stats.binomtest(int((sample > 0).sum()), COUNT).pvalue > LEVEL
    for lag in LAGS:
        assert abs(correlation_z(sample[:-lag], sample[lag:])) < 4
    biased = np.where(draws(Uniform(-1.0, 1.0)) > -0.01, 1.0, -1.0)
    assert stats.binomtest(int((biased > 0).sum()), COUNT).pvalue < 1e-12


# ---------------------------------------------------------------- permutations


def permutations(n, rows, seed="permutations"):
    out = np.empty((rows, n), np.int64)
    fill(out, Permutation(n), int(key(0, seed)))
    return out


def p_value_of_orders(rows):
    """Chi-square of how often each of the n! orders occurs."""
    n = rows.shape[1]
    rank = np.zeros(len(rows), int)
    for i in range(n):  # Lehmer code
        rank = rank * (n - i) + (rows[:, i + 1 :] < rows[:, i : i + 1]).sum(axis=1)
    return stats.chisquare(np.bincount(rank, minlength=math.factorial(n))).pvalue


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_all_orders_are_equally_likely(n):
    assert p_value_of_orders(permutations(n, 200 * math.factorial(n))) > LEVEL
    first = np.empty((20 * math.factorial(min(n, 5)), n), np.int64)
    for k, row in enumerate(first):
        fill(row, Permutation(n), k)
    if n < 6:
        assert p_value_of_orders(first) > LEVEL


def test_a_biased_shuffle_is_noticed():
    rng, rows = np.random.default_rng(0), np.tile(np.arange(4), (20000, 1))
    each = np.arange(len(rows))
    for i in range(4):  # swaps with any place, not with one that is left
        j = rng.integers(0, 4, len(rows))
        rows[each, i], rows[each, j] = rows[each, j].copy(), rows[:, i].copy()
    assert p_value_of_orders(rows) < 1e-12


def p_values_of_rows(rows):
    """Fixed points against Poisson's law, and the mean displacement."""
    n = rows.shape[1]
    fixed = np.bincount(np.minimum((rows == np.arange(n)).sum(axis=1), 5), minlength=6)
    poisson = stats.poisson(1).pmf(np.arange(5))
    moved = np.abs(rows - np.arange(n)).mean(axis=1)
    miss = (moved.mean() - (n**2 - 1) / (3 * n)) / (moved.std() + 1e-9) * np.sqrt(len(rows))
    return (
        stats.chisquare(fixed, len(rows) * np.array([*poisson, 1 - poisson.sum()])).pvalue,
        2 * stats.norm.sf(abs(miss)),
    )


def are_odd(rows):
    left, right = np.triu_indices(rows.shape[1], 1)
    return (rows[:, left] > rows[:, right]).sum(axis=1) % 2 == 1


def test_rows_of_a_thousand_are_random_permutations():
    rows = permutations(1000, 4000)
    np.testing.assert_array_equal(np.sort(rows, axis=1), np.tile(np.arange(1000), (4000, 1)))
    assert min(p_values_of_rows(rows)) > LEVEL
    near = np.where(rows % 2 == 0, rows, np.arange(1000))  # half of them stay
    assert min(p_values_of_rows(near)) < 1e-12


def test_both_parities_are_equally_likely():
    odd = are_odd(permutations(16, 20000))
    assert stats.binomtest(int(odd.sum()), odd.size).pvalue > LEVEL
    # Without the exchange of 0 and 1 every row would be even.
    assert not are_odd(np.array([[1, 0, 3, 2], [1, 2, 0, 3]])).any()
    assert are_odd(np.array([[1, 0, 2, 3], [1, 2, 3, 0]])).all()
