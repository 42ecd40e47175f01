"""Mean field: closed forms, the papers' numbers, and simulated wide networks."""

import math

import numpy as np
import pytest
from scipy import stats

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError, UnknownNameError
from fastinit.gains import ACTIVATIONS
from fastinit.meanfield import chi, correlation_map, edge_of_chaos, fixed_point, variance_map


def arc_cosine(c):
    """Cho & Saul 2009: the correlation map of relu at its edge of chaos."""
    return (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / math.pi


def arc_sine(q, c):
    """Williams 1998: E[erf(u1) erf(u2)]."""
    return 2 / math.pi * math.asin(2 * q * c / (1 + 2 * q))


@pytest.mark.parametrize("q", [0.01, 1.0, 30.0])
def test_edges_in_closed_form(q):
    assert edge_of_chaos("relu", q) == (pytest.approx(math.sqrt(2), rel=1e-9), 0.0)
    assert edge_of_chaos("linear", q) == (pytest.approx(1.0, rel=1e-9), 0.0)
    slope = math.sqrt(2 / (1 + 0.01**2))
    assert edge_of_chaos("leaky_relu", q) == (pytest.approx(slope, rel=1e-9), 0.0)
    square_w = math.pi / 4 * math.sqrt(1 + 4 * q)
    square_b = q - square_w * arc_sine(q, 1.0)
    expected = (math.sqrt(square_w), math.sqrt(square_b))
    assert edge_of_chaos("erf", q) == pytest.approx(expected, rel=1e-7)


def test_the_edge_of_tanh_is_the_published_one():
    """With biases of variance 0.05 the critical weights have 1.76 (Schoenholz et al. 2016)."""
    low, high = 0.1, 2.0
    while high - low > 1e-9:
        q = 0.5 * (low + high)
        low, high = (q, high) if edge_of_chaos("tanh", q)[1] ** 2 < 0.05 else (low, q)
    assert edge_of_chaos("tanh", q)[0] ** 2 == pytest.approx(1.76, abs=0.005)
    # and without biases 1, at variance 0
    assert edge_of_chaos("tanh", 1e-8) == pytest.approx((1.0, 0.0), abs=1e-7)


@pytest.mark.parametrize("name", ["tanh", "gelu", "silu", "selu", "hard_tanh"])
def test_the_edge_is_a_fixed_point_of_slope_one(name):
    q = 0.8
    sigma_w, sigma_b = edge_of_chaos(name, q)
    assert variance_map(name, sigma_w, sigma_b, q) == pytest.approx(q, rel=1e-9)
    assert chi(name, sigma_w, q) == pytest.approx(1.0, rel=1e-9)
    small = 1e-6
    slope = (1.0 - correlation_map(name, sigma_w, sigma_b, q, 1.0 - small)) / small
    assert slope == pytest.approx(1.0, rel=5e-3)
    by_function = edge_of_chaos(lambda z: ACTIVATIONS[name](z), q)
    assert by_function == (sigma_w, sigma_b)


@pytest.mark.parametrize("c", [-1.0, -0.4, 0.0, 0.5, 0.99, 0.999999, 1.0])
def test_correlation_maps_in_closed_form(c):
    for q in (0.3, 5.0):
        relu = correlation_map("relu", math.sqrt(2), 0.0, q, c)
        assert relu == pytest.approx(arc_cosine(c), abs=1e-9)
        erf = correlation_map("erf", 1.3, 0.4, q, c)
        expected = (1.69 * arc_sine(q, c) + 0.16) / (1.69 * arc_sine(q, 1.0) + 0.16)
        assert erf == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("kink", "q"), [(0.3, 1.0), (-1.2, 2.2), (2.0, 0.5)])
def test_kinks_may_be_anywhere(kink, q):
    z = kink / math.sqrt(q)
    found = chi(lambda u: np.maximum(u - kink, 0.0), 1.0, q)
    assert found == pytest.approx(stats.norm.sf(z), rel=2e-5)


def test_fixed_points():
    assert fixed_point("relu", 1.0, 1.0) == pytest.approx(2.0, rel=1e-9)
    assert fixed_point("relu", math.sqrt(2), 0.0, 3.0) == pytest.approx(3.0, rel=1e-9)
    assert fixed_point("tanh", 0.9, 0.0) == pytest.approx(0.0, abs=1e-9)
    assert fixed_point("tanh", 1.0, 0.0) == pytest.approx(0.0, abs=1e-5)
    q = fixed_point("erf", 1.5, 0.3)
    assert 1.5**2 * arc_sine(q, 1.0) + 0.09 == pytest.approx(q, rel=1e-9)
    with pytest.raises(ArgumentError, match="do not come to rest"):
        fixed_point("relu", 1.5, 0.0)
    with pytest.raises(ArgumentError, match="do not come to rest"):
        fixed_point("relu", math.sqrt(2), 0.1)


def simulate(name, sigma_w, sigma_b, q, c, depth, width=1500):
    """Return variances and correlations of two inputs' pre-activations, layer by layer."""
    phi, root = ACTIVATIONS[name], math.sqrt(q)
    z = fastinit.normal((2, width), 0.0, 1.0, seed=0, dtype="float64")
    z = root * np.stack((z[0], c * z[0] + math.sqrt(1 - c * c) * z[1]))
    variances, correlations = [], []
    for layer in range(depth):
        w = fastinit.lecun_normal((width, width), seed=fastinit.key(1, f"w{layer}"))
        b = fastinit.normal(width, 0.0, 1.0, seed=fastinit.key(1, f"b{layer}"))
        z = sigma_w * phi(z) @ w + sigma_b * b
        squares = (z * z).mean(axis=1)
        variances.append(float(squares.mean()))
        correlations.append(float((z[0] * z[1]).mean() / math.sqrt(squares.prod())))
    return variances, correlations


@pytest.mark.parametrize(
    ("name", "sigma_w", "sigma_b"), [("tanh", 2.0, 0.3), ("tanh", 1.0, 0.5), ("gelu", 1.4, 0.2)]
)
def test_a_wide_network_does_what_the_maps_say(name, sigma_w, sigma_b):
    q, c, depth = 2.0, 0.4, 6
    variances, correlations = simulate(name, sigma_w, sigma_b, q, c, depth)
    for variance, correlation in zip(variances, correlations, strict=True):
        c = correlation_map(name, sigma_w, sigma_b, q, c)
        q = variance_map(name, sigma_w, sigma_b, q)
        assert variance == pytest.approx(q, rel=0.12)
        assert correlation == pytest.approx(c, abs=0.08)
    wrong = variance_map(name, 1.2 * sigma_w, sigma_b, q)  # a control that must be seen
    assert variances[-1] != pytest.approx(wrong, rel=0.12)


def test_correlations_approach_one_at_the_rate_chi():
    """Schoenholz et al. 2016: 1 - c shrinks by chi_1 a layer in the ordered phase."""
    sigma_w, sigma_b = 1.1, 0.3
    q = fixed_point("tanh", sigma_w, sigma_b)
    rate = chi("tanh", sigma_w, q)
    assert rate < 0.95
    _, correlations = simulate("tanh", sigma_w, sigma_b, q, 0.9, 12)
    rests = 1.0 - np.array(correlations)
    found = (rests[-1] / rests[3]) ** (1 / 8)
    assert found == pytest.approx(rate, abs=0.03)
    # In the chaotic phase they leave 1, at the rate that chi says there.
    _, chaotic = simulate("tanh", 2.5, sigma_b, fixed_point("tanh", 2.5, sigma_b), 0.9999, 3)
    growth = ((1 - chaotic[2]) / 1e-4) ** (1 / 3)
    expected = chi("tanh", 2.5, fixed_point("tanh", 2.5, sigma_b))
    assert expected > 1.5
    assert growth == pytest.approx(expected, rel=0.1)


def test_signals_reach_deepest_at_the_edge():
    """The difference of two inputs after 30 layers: lost on either side, kept at the edge."""
    q, depth, width = 0.5, 30, 500
    sigma_w, sigma_b = edge_of_chaos("tanh", q)
    rests = {}
    for factor in (0.7, 1.0, 1.5):
        _, correlations = simulate("tanh", factor * sigma_w, sigma_b, q, 0.6, depth, width)
        rests[factor] = 1.0 - correlations[-1]
    assert rests[0.7] < 1e-4
    assert 1e-3 < rests[1.0] < 0.2
    assert rests[1.5] > 0.4


BAD = [
    (lambda: edge_of_chaos("tahn"), UnknownNameError, "'tahn'; did you mean 'tanh'"),
    (lambda: edge_of_chaos(3), ArgumentTypeError, "got 3"),
    (lambda: edge_of_chaos("tanh", 0.0), ArgumentError, "q must be positive, got 0.0"),
    (lambda: edge_of_chaos("tanh", math.nan), ArgumentError, "q must be a number"),
    (lambda: edge_of_chaos("sigmoid"), ArgumentError, "no edge of chaos at q=1.0.* -5.54"),
    (lambda: edge_of_chaos(np.sign), ArgumentError, "no jumps"),
    (lambda: edge_of_chaos(np.floor), ArgumentError, "no jumps"),
    (lambda: edge_of_chaos(lambda z: np.where(z > 0.3, z, z - 1)), ArgumentError, "no jumps"),
    (lambda: edge_of_chaos(lambda z: 0 * z + 1), ArgumentError, "is constant"),
    (lambda: edge_of_chaos(lambda z: z * math.nan), ArgumentError, "must be finite"),
    (lambda: chi(lambda z: z[:3], 1.0, 1.0), ArgumentError, r"to \(3,\), expected the same"),
    (lambda: chi("tanh", -1.0, 1.0), ArgumentError, "sigma_w must not be negative, got -1.0"),
    (lambda: variance_map("tanh", 1.0, -0.1, 1.0), ArgumentError, "sigma_b must not be negative"),
    (lambda: variance_map(lambda z: z / 0.0, 1.0, 0.1, 1.0), ArgumentError, "mean square"),
    (lambda: correlation_map("tanh", 1.0, 0.1, 1.0, 1.1), ArgumentError, "-1 to 1, got 1.1"),
    (lambda: correlation_map("tanh", 0.0, 0.0, 1.0, 0.5), ArgumentError, "variance 0"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_arguments_are_refused(call, error, message):
    with np.errstate(all="ignore"), pytest.raises(error, match=message):
        call()
