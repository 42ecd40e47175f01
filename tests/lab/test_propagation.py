"""Theory against closed forms and the exact maps; measured networks against both, and by hand."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import fastinit
from fastinit import get_num_threads, meanfield, set_num_threads
from fastinit.errors import ArgumentError, ArgumentTypeError, UnknownNameError
from fastinit.gains import ACTIVATIONS
from fastinit.lab import signals, theory
from fastinit.lab.propagation import phase_diagram, propagate, sigma_w_of
from fastinit.lab.report.pictures import propagation as pictures
from fastinit.lab.report.pictures import style
from fastinit.lab.signals import Draws, measure
from fastinit.lab.theory import maps_of, predict


def kinked(z):
    """A function of the user's: a kink where no grid has a point, and no parity."""
    return np.maximum(z - 0.37, 0.1 * z)


def one(value):
    return np.array([value])


# ---------------------------------------------------------------- theory


def test_relu_in_closed_form():
    """Cho & Saul 2009; every digit of 1 - c, also where c is nearly 1."""
    rest = 10.0 ** np.linspace(-12.0, math.log10(2.0), 60)
    angle = 2.0 * np.arcsin(np.sqrt(0.5 * rest))
    # 1 - (sin t + (pi - t) cos t) / pi, by its series where that cancels
    exact = 1.0 - (np.sin(angle) + (math.pi - angle) * np.cos(angle)) / math.pi
    series = angle**2 / 2 - angle**3 / (3 * math.pi) - angle**4 / 24
    exact = np.where(angle < 1e-2, series, exact)
    for q in (1e-30, 1e-6, 1.0, 30.0, 1e20):
        found = maps_of("relu").rest(
            np.full_like(rest, math.sqrt(2)), np.zeros_like(rest), np.full_like(rest, q), rest
        )
        np.testing.assert_allclose(found, exact, rtol=1e-5)
    q = np.array([0.0, 1e-20, 0.5, 40.0, 1e15])
    np.testing.assert_allclose(maps_of("relu").mean_square(q), q / 2, rtol=1e-4, atol=1e-300)


def test_erf_in_closed_form():
    """Williams 1998."""
    q, c = (part.ravel() for part in np.meshgrid([0.01, 0.7, 5.0, 25.0], np.linspace(-1, 1, 41)))
    square_w, square_b = 1.69, 0.16

    def arc_sine(c):
        return 2 / math.pi * np.arcsin(2 * q * c / (1 + 2 * q))

    after = square_w * arc_sine(1.0) + square_b
    exact = 1.0 - (square_w * arc_sine(c) + square_b) / after
    scales = np.full_like(q, 1.3), np.full_like(q, 0.4)
    found = maps_of("erf").rest(*scales, q, 1.0 - c)
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(maps_of("erf").variance(*scales, q), after, rtol=1e-9)
    slopes = 4 / math.pi / np.sqrt(1 + 4 * q)
    np.testing.assert_allclose(maps_of("erf").chi(scales[0], q), square_w * slopes, rtol=1e-6)


@pytest.mark.parametrize("activation", ["tanh", "elu", kinked])
def test_tables_hold_to_the_exact_maps(activation):
    maps, sigma_w, sigma_b = maps_of(activation), 1.4, 0.3
    for q in (0.02, 0.9, 11.0):
        variance = meanfield.variance_map(activation, sigma_w, sigma_b, q)
        assert maps.variance(one(sigma_w), one(sigma_b), one(q)) == pytest.approx(
            variance, rel=2e-5
        )
        chi = meanfield.chi(activation, sigma_w, q)
        assert maps.chi(one(sigma_w), one(q)) == pytest.approx(chi, rel=2e-5)
    for q, c in ((0.9, 0.6), (11.0, 0.98)):
        exact = 1.0 - meanfield.correlation_map(activation, sigma_w, sigma_b, q, c)
        found = maps.rest(one(sigma_w), one(sigma_b), one(q), one(1.0 - c))
        assert found == pytest.approx(exact, rel=2e-5)


def test_fixed_points_are_those_of_the_exact_maps():
    sigma_w, sigma_b = np.array([1.5, 1.1, 3.0, 0.8, 0.0]), np.array([0.1, 0.3, 0.0, 0.0, 0.3])
    q = maps_of("tanh").variance_at_rest(sigma_w, sigma_b, np.ones(5))
    for found, *scales in zip(q[:3], sigma_w, sigma_b, strict=False):
        assert found == pytest.approx(meanfield.fixed_point("tanh", *scales), rel=1e-8)
    assert q[3] == 0.0
    assert q[4] == pytest.approx(0.09)
    grown = maps_of("relu").variance_at_rest(np.array([2.0, 1.0]), np.full(2, 0.5), np.ones(2))
    assert grown.tolist() == [math.inf, pytest.approx(0.5)]


def test_the_edges_that_are_known():
    sigma_b = np.array([0.0, math.sqrt(0.05), 0.5])
    relu = maps_of("relu").edge(sigma_b, 0.5, 3.0)
    np.testing.assert_allclose(relu, math.sqrt(2), rtol=1e-5)
    tanh = maps_of("tanh").edge(sigma_b, 0.5, 3.0)
    assert tanh[0] == pytest.approx(1.0, abs=1e-4)
    assert tanh[1] ** 2 == pytest.approx(1.76, abs=0.005)  # Schoenholz et al. 2016
    for found, bias in zip(tanh[1:], sigma_b[1:], strict=True):
        q = meanfield.fixed_point("tanh", float(found), float(bias))
        assert meanfield.edge_of_chaos("tanh", q) == pytest.approx((found, bias), rel=1e-4)
    assert np.isnan(maps_of("tanh").edge(sigma_b, 2.0, 3.0)).all()


def test_the_phases():
    sigma_w = np.array([0.9, 1.2, 1.6, 2.5])
    found = predict("tanh", sigma_w, np.full(4, 0.2), 300)
    ordered = found.final_chi < 1.0
    assert ordered.tolist() == [True, True, False, False]
    assert (found.final_correlation[ordered] == 1.0).all()
    assert (found.final_correlation[~ordered] < 0.95).all()
    # what the maps go to, walked on foot
    np.testing.assert_allclose(found.variance[-1], found.final_variance, rtol=1e-6)
    np.testing.assert_allclose(found.correlation[-1], found.final_correlation, atol=1e-4)


def test_depth_scales_are_the_rates_of_the_maps():
    sigma_w, sigma_b = np.array([1.1, 1.8, 2.2]), np.full(3, 0.3)
    found = predict("tanh", sigma_w, sigma_b, 60)
    distance = np.abs(found.unlikeness - (1.0 - found.final_correlation))
    rate = (distance[40] / distance[30]) ** 0.1
    np.testing.assert_allclose(-1.0 / np.log(rate), found.depth_scale, rtol=2e-3)
    distance = np.abs(found.variance - found.final_variance)
    rate = (distance[9] / distance[6]) ** (1 / 3)
    np.testing.assert_allclose(-1.0 / np.log(rate), found.variance_depth_scale, rtol=0.05)


def test_the_depth_scale_diverges_at_the_edge():
    bias = 0.2
    edge = maps_of("tanh").edge(one(bias), 0.5, 3.0)[0]
    steps = np.array([0.1, 0.03, 0.01, 0.003, 0.001])
    for side in (-1.0, 1.0):
        scales = predict("tanh", edge + side * steps, np.full(5, bias), 2).depth_scale
        assert (np.diff(scales) > 0.0).all()
        # as the inverse of the distance
        assert scales[-1] / scales[-2] == pytest.approx(3.0, rel=0.1)
        assert scales[-1] > 300


def test_gradients_change_by_chi_a_layer():
    sigma_w, sigma_b, depth = 1.5, 0.1, 40
    q = meanfield.fixed_point("tanh", sigma_w, sigma_b)
    started = (q - sigma_b**2) / sigma_w**2
    found = predict("tanh", one(sigma_w), one(sigma_b), depth, variance=started)
    chi = meanfield.chi("tanh", sigma_w, q)
    assert found.gradient[0, 0] == pytest.approx(math.sqrt(chi) ** (depth - 1), rel=1e-5)
    assert found.gradient[-1, 0] == 1.0


@pytest.mark.parametrize("bad", [np.sign, lambda z: 0 * z + 1, lambda z: z / 0.0])
def test_functions_without_maps(bad):
    with np.errstate(all="ignore"), pytest.raises(ArgumentError):
        theory.Maps(bad)


# ---------------------------------------------------------------- measured


def by_hand(phi, draws, scale, sigma_b, variance, correlation):
    """Return variances, correlations and gradients of one network, gradients by differences."""
    inputs = draws.inputs(variance, correlation)
    direction = draws.vector("direction")
    kernels = [scale * draws.kernel(layer) for layer in range(draws.depth)]
    biases = [sigma_b * draws.vector(f"bias {layer}") for layer in range(draws.depth)]

    def onward(z, layer):
        for later in range(layer + 1, draws.depth):
            z = phi(z) @ kernels[later] + biases[later]
        return z

    z, variances, correlations, gradients = inputs, [], [], []
    for layer in range(draws.depth):
        z = (phi(z) if layer else z) @ kernels[layer] + biases[layer]
        variances.append((z * z).mean())
        correlations.append(z[0] @ z[1] / math.sqrt((z[0] @ z[0]) * (z[1] @ z[1])))
        nudges = 1e-6 * np.eye(draws.width)
        ends = [onward(z[0] + sign * nudges, layer) @ direction for sign in (1.0, -1.0)]
        gradients.append(math.sqrt(np.mean(((ends[0] - ends[1]) / 2e-6) ** 2)))
    return variances, correlations, np.array(gradients) / gradients[-1]


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu", "leaky_relu", "elu", kinked, "erf"])
def test_a_network_by_hand(activation):
    draws = Draws(fastinit.key(3), depth=4, width=12)
    phi = ACTIVATIONS.get(activation, activation)
    found = measure(
        activation, draws, np.array([0.1, 0.5]), np.array([0.0, 0.2]), variance=2.0, correlation=0.3
    )
    variances, correlations, gradients = by_hand(phi, draws, 0.5, 0.2, 2.0, 0.3)
    np.testing.assert_allclose(found.variance[:, 1], variances, rtol=1e-12)
    np.testing.assert_allclose(1.0 - found.unlikeness[:, 1], correlations, rtol=1e-9)
    np.testing.assert_allclose(found.gradient[:, 1], gradients, rtol=1e-5)


def test_inputs_are_exact():
    for correlation in (-1.0, 0.0, 0.7, 1.0):
        x = Draws(fastinit.key(0), depth=1, width=50).inputs(3.0, correlation)
        expected = 3.0 * np.array([[1.0, correlation], [correlation, 1.0]])
        np.testing.assert_allclose(x @ x.T / 50, expected, atol=1e-12)


def test_the_bits_do_not_depend_on_threads_parts_or_memory(monkeypatch):
    scale, sigma_b = np.linspace(0.05, 0.3, 23), np.linspace(0.0, 0.5, 23)

    def bits():
        draws = Draws(fastinit.key(0), depth=5, width=40)
        return b"".join(
            part.tobytes() for part in vars(measure("tanh", draws, scale, sigma_b)).values()
        )

    threads, whole = get_num_threads(), bits()
    monkeypatch.setattr(signals, "PART_NUMBERS", 5 * 40 * 3)
    try:
        for count in (1, 2, 5):
            set_num_threads(count)
            assert bits() == whole
    finally:
        set_num_threads(threads)
    monkeypatch.setattr(signals, "KEPT_NUMBERS", 0)
    assert bits() == whole


def test_overflow_is_a_result():
    draws = Draws(fastinit.key(0), depth=60, width=20)
    found = measure("relu", draws, np.array([1e6, 0.3]), np.zeros(2))
    assert found.variance[0, 0] < math.inf
    assert found.variance[-1].tolist() == [math.inf, pytest.approx(found.variance[-1, 1])]
    assert np.isnan(found.unlikeness[-1, 0])
    assert np.isnan(found.gradient[:, 0]).all()
    assert np.isfinite(found.gradient[:, 1]).all()
    nothing = measure("tanh", draws, np.zeros(1), np.zeros(1))
    assert (nothing.variance == 0.0).all()
    assert np.isnan(nothing.unlikeness).all()


def misses(found, theory):
    """Return by how many standard errors, and a bias of depth over width, measurements miss."""
    worst = 0.0
    for name in ("variance", "unlikeness", "gradient"):
        table = np.log(np.stack([getattr(one, name)[:, 0] for one in found]))
        error = table.std(axis=0, ddof=1) / math.sqrt(len(found))
        gap = np.abs(table.mean(axis=0) - np.log(getattr(theory, name)[:, 0]))
        allowed = error + 8 / 512 * np.arange(1, len(gap) + 1) / len(gap) + 1e-12
        worst = max(worst, float((gap / allowed).max()))
    return worst


@pytest.mark.parametrize(
    ("activation", "sigma_w", "sigma_b"),
    [("tanh", 1.5, 0.1), ("tanh", 1.0, 0.3), (kinked, 1.3, 0.2)],
)
def test_wide_networks_do_what_theory_says(activation, sigma_w, sigma_b):
    depth, width = 8, 512
    found = [
        measure(
            activation,
            Draws(fastinit.key(7, str(i)), depth, width),
            one(sigma_w / math.sqrt(width)),
            one(sigma_b),
        )
        for i in range(12)
    ]
    assert misses(found, predict(activation, one(sigma_w), one(sigma_b), depth)) < 4.5
    # controls that must be seen
    assert misses(found, predict(activation, one(1.07 * sigma_w), one(sigma_b), depth)) > 6.0
    wrong = predict(activation, one(sigma_w), one(sigma_b), depth, correlation=0.6)
    assert misses(found, wrong) > 6.0


# ---------------------------------------------------------------- propagate


@pytest.fixture(scope="module")
def ordered():
    return propagate("tanh", 1.1, 0.3, depth=30, width=64, networks=3)


def test_what_propagate_returns(ordered):
    assert ordered.phase == "ordered"
    assert "alike after about 19 layers" in ordered.verdict
    assert "by the factor 0.889 a layer" in ordered.verdict
    assert ordered.theory.unlikeness[17] > 0.01 > ordered.theory.unlikeness[18]
    for band in ordered.measured.values():
        assert band.mean.shape == (30,)
        assert (band.low <= band.mean).all()
        assert (band.mean <= band.high).all()
    frame = ordered.to_frame()
    assert len(frame) == 30
    np.testing.assert_array_equal(frame["gradient_mean"], ordered.measured["gradient"].mean)
    read = json.loads(ordered.to_json())
    assert read["phase"] == "ordered"
    assert read["layers"][-1]["layer"] == 30
    again = propagate("tanh", 1.1, 0.3, depth=30, width=64, networks=3)
    assert again.to_json() == ordered.to_json()
    other = propagate("tanh", 1.1, 0.3, depth=30, width=64, networks=3, seed=1)
    assert other.to_json() != ordered.to_json()


@pytest.mark.parametrize(
    ("arguments", "phase", "words"),
    [
        (
            ("relu", 1.0),
            "ordered",
            "signals fade, and gradients shrink by the factor 0.707 a layer",
        ),
        (("relu", 2.0), "chaotic", "grow without end, and gradients grow by the factor 1.41 a"),
        (("tanh", 2.0, 0.1), "chaotic", "end with the correlation 0.0"),
        (("tanh", 1.0, 0.0), "critical", "reach through all 20 layers"),
        (("tanh", 0.0, 0.0), "ordered", "signals fade"),
        (("tanh", 0.5, 0.5), "ordered", "alike after about 4 layers"),
    ],
)
def test_verdicts(arguments, phase, words):
    found = propagate(*arguments, depth=20, width=32, networks=1)
    assert found.phase == phase
    assert found.verdict.startswith(f"{phase}: ")
    assert words in found.verdict
    assert max(map(len, found.table().splitlines())) <= 80
    json.loads(found.to_json(), parse_constant=pytest.fail)


def test_initializers_have_their_places():
    found = propagate("relu", initializer="he_normal", depth=10, width=128, networks=2)
    assert found.initializer == "he_normal"
    assert found.sigma_w == pytest.approx(math.sqrt(2), rel=0.01)
    assert found.phase == "critical"
    assert sigma_w_of("glorot_uniform", 128) == pytest.approx(1.0, rel=0.01)
    assert sigma_w_of("orthogonal", 32) == pytest.approx(1.0, rel=1e-6)
    assert sigma_w_of("zeros") == 0.0
    # measured as drawn: an orthogonal kernel keeps a linear network's variance exactly
    exact = propagate("linear", initializer="orthogonal", depth=10, width=32, networks=2)
    np.testing.assert_allclose(exact.measured["variance"].high, 1.0, rtol=1e-5)
    np.testing.assert_allclose(exact.measured["gradient"].low, 1.0, rtol=1e-5)
    with pytest.raises(ArgumentError, match="the mean 0; those of constant"):
        sigma_w_of("constant(value=0.1)")


BAD = [
    (lambda: propagate("tahn", 1.0), UnknownNameError, "did you mean 'tanh'"),
    (lambda: propagate("tanh"), ArgumentTypeError, "sigma_w or initializer"),
    (lambda: propagate("tanh", 1.0, initializer="zeros"), ArgumentTypeError, "one of them"),
    (lambda: propagate("tanh", -1.0), ArgumentError, "sigma_w must not be negative"),
    (lambda: propagate("tanh", 1.0, math.nan), ArgumentError, "sigma_b must be a number"),
    (lambda: propagate("tanh", 1.0, depth=0), ArgumentError, "depth must be at least 1"),
    (lambda: propagate("tanh", 1.0, width=1), ArgumentError, "width must be at least 2"),
    (lambda: propagate("tanh", 1.0, networks=0), ArgumentError, "networks must be at least 1"),
    (lambda: propagate("tanh", 1.0, variance=0.0), ArgumentError, "variance must be positive"),
    (lambda: propagate("tanh", 1.0, correlation=1.5), ArgumentError, "correlation must be -1 to 1"),
    (lambda: propagate("tanh", initializer="hee_normal"), UnknownNameError, "hee_normal"),
    (lambda: phase_diagram("tanh", (2.0, 1.0)), ArgumentError, r"must rise .* got \(2.0, 1.0\)"),
    (lambda: phase_diagram("tanh", 1.0), ArgumentTypeError, r"a range \(low, high\), got 1.0"),
    (lambda: phase_diagram("tanh", points=1), ArgumentError, "points must be at least 2"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


# ---------------------------------------------------------------- the phase diagram


@pytest.fixture(scope="module")
def diagram():
    return phase_diagram("tanh", points=8, depth=30, width=64, networks=3)


def test_the_diagram_measured_is_the_diagram_predicted(diagram):
    assert diagram.correlation.shape == (8, 8)
    ordered = diagram.theory.depth_scale < 5
    ordered &= (diagram.theory.final_chi < 1) & (diagram.theory.final_variance > 0)
    assert ordered.sum() > 8
    assert (diagram.correlation[ordered] > 0.98).all()
    chaotic = diagram.theory.final_correlation < 0.3
    assert chaotic.sum() > 8
    assert (diagram.correlation[chaotic] < 0.8).all()
    gap = np.log(diagram.gradient / diagram.theory.gradient[0])
    assert np.abs(gap).max() < 2.5  # of e**-60 to e**20
    assert np.abs(gap).mean() < 0.5
    # a point of the grid is the network that propagate measures
    alone = propagate(
        "tanh", diagram.sigma_w[5], diagram.sigma_b[2], depth=30, width=64, networks=3
    )
    assert diagram.variance[2, 5] == pytest.approx(alone.measured["variance"].mean[-1], rel=1e-12)
    assert diagram.gradient[2, 5] == pytest.approx(alone.measured["gradient"].mean[0], rel=1e-12)
    assert diagram.edge[0] == pytest.approx(1.0, abs=1e-3)
    assert "edge of chaos: from sigma_w 1.000 (sigma_b 0) to 1.85" in diagram.verdict


def test_what_a_diagram_gives(diagram, tmp_path):
    marked = diagram.place(1.4, 0.0, "mine")
    assert marked.places == ((1.4, 0.0, "mine"),)
    assert diagram.places == ()
    assert len(marked.to_frame()) == 64
    read = json.loads(marked.to_json(), parse_constant=pytest.fail)
    assert read["places"][0]["label"] == "mine"
    assert max(map(len, marked.table().splitlines())) <= 80
    for name in ("a.svg", "a.png"):
        assert marked.plot(tmp_path / name).stat().st_size > 5000
    drawn = [text.get_text() for text in pictures.phases(marked).axes[0].texts]
    assert sorted(drawn) == ["chaotic", "mine", "ordered"]
    with pytest.raises(ArgumentError, match=r"ends in \.png or \.svg"):
        marked.plot(tmp_path / "a.pdf")
    predicted = phase_diagram("tanh", (0.2, 0.8), points=3, measured=False)
    assert predicted.correlation is None
    assert predicted.verdict == "no edge of chaos between sigma_w 0.2 and 0.8"
    assert predicted.networks == 0
    assert "|" not in predicted.table()
    predicted.plot(tmp_path / "predicted.png")


def test_pictures_take_their_ink_from_the_page(ordered, diagram):
    figures = pictures.layers(ordered), pictures.phases(diagram.place(9.0, 9.0, "outside"))
    for figure in figures:
        svg = style.inline_svg(figure, "x")
        root = ElementTree.fromstring(svg)
        texts = [element for element in root.iter() if element.tag.endswith("text")]
        assert texts
        for element in texts:
            ink = "currentColor" in element.get("style", "") or "currentColor" in str(
                [parent.get("style") for parent in root.iter() if element in list(parent)]
            )
            rimmed = "#ffffff" in str(
                [element.get("style")]
                + [parent.get("style") for parent in root.iter() if element in list(parent)]
            )
            assert ink or rimmed, element.text


def test_pictures_of_what_is_nowhere_finite_are_drawn(tmp_path):
    propagate("relu", 1e9, depth=40, width=16, networks=1).plot(tmp_path / "inf.png")
    propagate("tanh", 0.0, depth=1, width=16, networks=1).plot(tmp_path / "zero.png")
