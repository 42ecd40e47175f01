"""Findings follow from the stated rules, on observations made by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastinit.lab import symptoms
from fastinit.lab.observation import LayerFigures, Observation
from fastinit.lab.report.languages import language
from fastinit.lab.symptoms import RULES, findings, steepest, verdict

ORDINARY = {
    "kind": "Dense",
    "activation": "relu",
    "fan_in": 64,
    "fan_out": 64,
    "mean": 0.3,
    "std": 1.0,
    "spread": 1.0,
    "zeros": 0.5,
    "dead": 0.0,
    "saturated": None,
    "effective_rank": 20.0,
    "rank_limit": 64,
    "correlation": 0.5,
    "gradient": 0.1,
    "weight_std": 0.18,
    "expected_std": 0.177,
    "weight_gradient": 0.1,
    "update_ratio": 1e-3,
    "distinct_units": 64,
    "units": 64,
    "bias_mean": 0.0,
    "gradient_through_time": None,
    "features": 64,
}


def network(*changes, **everywhere):
    """Return an observation of as many layers as there are changes to an ordinary one."""
    layers = []
    for i, change in enumerate(changes):
        figures = {"name": f"fc{i}"} | ORDINARY | everywhere | change
        if "spread" in change and "std" not in change:
            figures |= {"std": change["spread"], "mean": 0.0}
        # Each layer's weights are its own: equal digits would be copies.
        figures |= {"fan_in": 64 + i} if "copy" not in figures else {}
        figures.pop("copy", None)
        layers.append(LayerFigures(**figures))
    return Observation(
        tuple(layers), 128, 2.3, input_std=1.0, input_spread=1.0, input_correlation=0.0
    )


def falling(figure, factor, layers=8, **everywhere):
    """Return layers whose figure is multiplied by a factor from each to the next."""
    values = [factor**i for i in range(layers)]
    return network(*({figure: value} for value in values), **everywhere)


def name_of(seen):
    return verdict(findings(seen))


BAD = dict.fromkeys(("weight_std", "spread", "gradient"), math.nan)
NORM = {"kind": "BatchNorm", "weight_std": None, "expected_std": None, "distinct_units": None}
ADD = {"kind": "Add", "weight_std": None, "expected_std": None, "distinct_units": None}

CASES = [
    (network(*[{}] * 8), "healthy"),
    (network(), "healthy"),
    (network({}), "healthy"),
    # spread and gradient over the depth: 7 layers, 1e-3 and 1e3 in all are the limits
    (falling("spread", 0.33), "healthy"),
    (falling("spread", 0.30), "vanishing"),
    (falling("spread", 2.5), "healthy"),
    (falling("spread", 3.5), "exploding"),
    (falling("gradient", 3.5), "vanishing"),  # from the last layer down it shrinks
    (falling("gradient", 0.3), "exploding"),
    (falling("gradient", 0.3, activation="tanh", dead=None, saturated=0.0), "chaotic"),
    (falling("gradient", 2.2), "healthy"),
    # one odd layer of many decides nothing
    (network({}, {}, {"spread": 0.05}, {}, {}), "healthy"),
    (network({}, {}, {"gradient": 0.9}, {}, {}), "healthy"),
    # but one that stops everything does
    (network({}, {}, *[{"spread": 0.0, "std": 0.0}] * 3), "vanishing"),
    (network(*[{"gradient": 0.0}] * 3, {}, {}), "vanishing"),
    # what a normalization rescales at once is not looked at
    (network(*[{"spread": 1e-5, "gradient": 1e4}, NORM] * 4, {}), "healthy"),
    (network(*[{"spread": 1e-5}, {}] * 4, {}), "exploding, vanishing"),  # without: a control
    # branches that start at zero stop nothing
    (network({}, *[{}, {"spread": 0.0, "std": 0.0, "weight_std": 0.0}] * 4, {}), "healthy"),
    (network({}, *[{"gradient": 0.0}, {}] * 4, {}), "healthy"),
    # nor does a head that does
    (network(*[{"gradient": 0.0}] * 4, {"weight_std": 0.0, "distinct_units": 1}), "healthy"),
    (network({}, {}, {"spread": 1e-9, "gradient": 1e9}), "healthy"),
    # the stream of a residual network, apart from its branches
    (network({}, *[{"spread": 0.01}, ADD] * 4, {}), "healthy"),
    (network({}, *[x for i in range(8) for x in ({}, ADD | {"spread": 3.0**i})], {}), "exploding"),
    # numbers
    (network({}, {"weight_std": math.nan}, {}), "not finite"),
    (network({}, {"spread": math.inf, "std": math.inf}, {}), "not finite, exploding"),
    (network({"gradient": math.nan}, {}, {}), "not finite"),
    # copies of units, and of layers
    (network(*[{"distinct_units": 1, "weight_std": 0.0}] * 3), "symmetric"),
    (network({"distinct_units": 1, "weight_std": 0.0}, {}, {}), "healthy"),  # the next parts them
    (network({"copy": 1}, {"copy": 1}, {}), "copied"),
    # idle units
    (network({"dead": 1.0}, {}, {}), "dead"),
    (network({"dead": 0.6}, {}, {}), "healthy"),
    (network({"dead": 0.6}, {"dead": 0.6}, {}), "dead"),
    (network({"saturated": 0.6, "dead": None}, {}, {}), "saturated"),
    (network({}, {}, {"saturated": 0.9, "dead": None}), "healthy"),  # the last layer's answers
    # one answer to everything
    (network({}, {"mean": 200.0}, {"mean": 200.0}), "collapsed"),
    (network({"mean": 200.0}, {}, {}), "healthy"),  # told apart again
    (network({}, {"effective_rank": 1.2}, {}), "collapsed"),
    (network({}, {"effective_rank": 1.3}, {}), "healthy"),
    (network({"effective_rank": 2.0}, {"effective_rank": 1.2}, {}), "healthy"),  # as its data
    # time
    (network({"gradient_through_time": 0.5, "steps": 20}, {}), "healthy"),
    (network({"gradient_through_time": 0.5, "steps": 200}, {}), "vanishing"),
    (network({"gradient_through_time": 1.2, "steps": 20}, {}), "healthy"),
    (network({"gradient_through_time": 1.2, "steps": 200}, {}), "exploding"),
    # weights behind a normalization, in a residual stream
    (network(*[NORM, {"weight_std": 0.5}, {"weight_std": 0.51}, ADD] * 3, {}), "mis-scaled"),
    (network(*[NORM, {"weight_std": 0.3}, {"weight_std": 0.31}, ADD] * 3, {}), "healthy"),
    # steps
    (network({}, {"update_ratio": 1.5}, {}), "unstable"),
    (network(*[{"update_ratio": 1e-9}] * 3), "frozen"),
]


@pytest.mark.parametrize(("seen", "expected"), CASES)
def test_verdict(seen, expected):
    assert name_of(seen) == expected


def test_every_rule_is_tested_and_has_words():
    given = {name for _seen, expected in CASES for name in expected.split(", ")}
    assert given == {"healthy", *(rule.name for rule in RULES)}
    for rule in RULES:
        assert rule.when.format(**rule.limits)
        assert rule.means


def test_where_it_begins_and_how_fast():
    values = [1.0, 1.05, 0.95] + [0.3**i for i in range(1, 8)]
    seen = network(*({"spread": value} for value in values), {})
    (found,) = findings(seen)
    assert found.trend.first == "fc2"
    assert found.trend.last == "fc9"
    assert found.trend.factor == pytest.approx(0.3, rel=0.02)
    assert found.layers == tuple(f"fc{i}" for i in range(2, 10))
    assert found.evidence == (
        "each layer multiplies what tells examples apart by 0.3, from fc2 on, to 0.00023 of it at "
        "fc9: relu with std 0.18, fan_in 69 (its rule gives 0.18)"
    )


def test_gradients_travel_down():
    seen = falling("gradient", 4.0, layers=8)
    (found,) = findings(seen)
    assert (found.trend.first, found.trend.last) == ("fc6", "fc0")
    assert found.trend.factor == pytest.approx(0.25)
    assert found.evidence.startswith("each layer multiplies the gradients by 0.25, from fc6 down")


def test_a_norm_counts_all_units():
    # A layer of a quarter of the units whose gradients are twice as large passes on as much.
    values = [{"gradient": 2.0**i, "features": 4 ** (12 - i)} for i in range(12)]
    assert name_of(network(*values, {})) == "healthy"
    assert name_of(network(*({"gradient": one["gradient"]} for one in values), {})) == "vanishing"


def test_the_language_is_that_of_the_moment():
    (found,) = findings(falling("spread", 0.3))
    with language("pt"):
        assert "0,3" in found.evidence
    assert "0.3" in found.evidence


@given(
    factor=st.floats(0.05, 0.7),
    layers=st.integers(3, 40),
    flat=st.integers(0, 5),
)
def test_a_geometric_fall_is_found_exactly(factor, layers, flat):
    values = [1.0] * flat + [factor**i for i in range(layers)]
    trend = steepest([(str(i), value) for i, value in enumerate(values)], down=True)
    assert trend.first == str(flat)
    assert trend.last == str(flat + layers - 1)
    assert trend.factor == pytest.approx(factor)
    assert trend.total == pytest.approx(factor ** (layers - 1))
    back = steepest([(str(i), 1.0 / value) for i, value in enumerate(values)], down=False)
    assert back.total == pytest.approx(1.0 / trend.total)


@given(st.lists(st.floats(1e-30, 1e30), min_size=2, max_size=30))
def test_no_stretch_changes_more(values):
    for down in (True, False):
        trend = steepest([(str(i), value) for i, value in enumerate(values)], down=down)
        ratios = [values[j] / values[i] for j in range(len(values)) for i in range(j)]
        best = min(ratios) if down else max(ratios)
        change = 1.0 if trend is None else trend.total
        slack = math.exp(2 * symptoms.MARGIN)  # what counts as chance
        assert change <= best * slack if down else change >= best / slack


def test_one_odd_layer_does_not_bend_the_factor():
    values = [0.5**i for i in range(20)]
    values[10] *= 100.0
    trend = steepest([(str(i), value) for i, value in enumerate(values)], down=True)
    assert symptoms.factor(values) == pytest.approx(0.5, rel=0.03)
    assert trend is not None


@pytest.mark.parametrize(
    ("kind", "name"), [("LSTM", "healthy"), ("GRU", "healthy"), ("RNN", "vanishing")]
)
def test_gates_learn_to_keep_more(kind, name):
    def seen(factor):
        return network({"kind": kind, "gradient_through_time": factor, "steps": 100}, {})

    assert name_of(seen(0.65)) == name  # 3e-19 over the steps: what the frameworks draw
    assert name_of(seen(0.6)) == "vanishing"
