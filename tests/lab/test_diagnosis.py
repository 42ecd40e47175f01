"""Networks that are sick come out with their name and a cure that works; sound ones with none."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

import fastinit
from fastinit import nn
from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.lab import cures
from fastinit.lab.data import load_data
from fastinit.lab.diagnosis import abridged, diagnose, shortened
from fastinit.lab.report.languages import language
from fastinit.lab.report.pictures.diagnosis import by_depth, learning


@pytest.fixture(scope="module")
def digits():
    data = load_data("digits")
    return data.x_train[:128], data.y_train[:128]


def stack(activation, kernel, depth, width=64, bias="zeros"):
    dense = [nn.Dense(width, activation, kernel, bias_initializer=bias) for _ in range(depth)]
    network = nn.Sequential([*dense, nn.Dense(10)], seed=0)
    network.build(64)
    return network


def learns(found):
    """Say whether the cured network clearly learns where the sick one does not."""
    return found.cure.losses[-1] < 0.5 * found.losses[-1] or not math.isfinite(found.losses[-1])


SICK = {
    "small sigmoid": (stack, "sigmoid", "normal(std=0.01)", 10, "vanishing", "sigmoid with std"),
    "small tanh": (stack, "tanh", "normal(std=0.01)", 10, "vanishing", "tanh with std 0.0099"),
    "glorot sigmoid": (stack, "sigmoid", "glorot_uniform", 10, "vanishing", "apart by 0.23, from"),
    "large relu": (stack, "relu", "normal(std=1.0)", 10, "exploding", "relu with std 0.99"),
    "positive": (stack, "relu", "uniform(low=0.0, high=1.0)", 6, "exploding", "with std 0.29"),
    "zeros": (stack, "relu", "zeros", 5, "symmetric", "all 64 units of dense_0"),
    "constant": (stack, "tanh", "constant(value=0.1)", 5, "symmetric", "all 64 units"),
    "deep linear": (stack, "linear", "normal(std=0.05)", 30, "vanishing", "linear with std 0.05"),
    "torch's rule": (
        stack,
        "relu",
        "variance_scaling(scale=0.3333, distribution='uniform')",
        20,
        "vanishing",
        "tells examples apart by 0.4, from input on",
    ),
}


@pytest.mark.parametrize("case", SICK)
def test_sick_networks(case, digits):
    make, activation, kernel, depth, expected, words = SICK[case]
    found = diagnose(make(activation, kernel, depth), *digits)
    assert found.verdict.split(", ")[0] == expected
    assert words in " ".join(found.sentences)
    assert found.cured
    assert learns(found)


def test_chaos_between_bounds(digits):
    found = diagnose(stack("tanh", "normal(std=0.4)", 24), *digits)
    assert "chaotic" in found.verdict
    assert found.cured
    assert learns(found)


def test_saturated(digits):
    found = diagnose(stack("tanh", "normal(std=1.0)", 4, 256), *digits)
    assert found.verdict.startswith("saturated")
    assert "100 % of the units" in found.sentences[0]
    assert found.cured
    assert learns(found)


def test_dead_by_a_large_negative_bias(digits):
    found = diagnose(stack("relu", "he_normal", 4, bias="constant(value=-10.0)"), *digits)
    assert found.verdict == "dead"
    assert "relu with biases of -10 on average" in found.sentences[0]
    assert found.cure.initializers["*.bias"] == "zeros()"
    assert found.cured
    assert learns(found)


def sequences(steps):
    x = fastinit.normal((64, steps, 4), 0.0, 1.0, seed=1)
    return x, (x[:, 0, 0] > 0).astype(int)  # what the first step says


@pytest.mark.parametrize(
    ("kernel", "expected", "words"),
    [
        ("normal(std=0.05)", "vanishing", " of them over its"),
        ("normal(std=0.6)", "exploding", ": by "),
    ],
)
def test_recurrent_networks_over_200_steps(kernel, expected, words):
    rnn = nn.RNN(24, recurrent_initializer=kernel)
    network = nn.Sequential([rnn, nn.Dense(2)], seed=0)
    found = diagnose(network, *sequences(200), steps=10)
    assert found.verdict == expected
    assert words in found.sentences[0]
    assert "over its 200 steps" in found.sentences[0]
    assert found.cured
    assert learns(found) or found.cure.losses[-1] < found.losses[-1]


HEALTHY = {
    "he relu": lambda: stack("relu", "he_normal", 8),
    "deep he relu": lambda: stack("relu", "he_normal", 30, 96),
    "glorot tanh": lambda: stack("tanh", "glorot_uniform", 5),
    "lecun selu": lambda: stack("selu", "lecun_normal", 12),
    "orthogonal linear": lambda: stack("linear", "orthogonal", 30),
    "shallow sigmoid": lambda: stack("sigmoid", "glorot_uniform", 2),
    "one layer of zeros": lambda: nn.Sequential([nn.Dense(10, kernel_initializer="zeros")]),
    "batch norm": lambda: nn.Sequential(
        [
            layer
            for _ in range(8)
            # Their scale is the normalization's affair.
            for layer in (nn.Dense(48, "linear", "normal(std=0.01)"), nn.BatchNorm())
        ]
        + [nn.Dense(10)],
        seed=0,
    ),
}


@pytest.mark.parametrize("case", HEALTHY)
def test_no_alarm(case, digits):
    found = diagnose(HEALTHY[case](), *digits)
    assert found.verdict == "healthy"
    assert found.tried == ()
    assert found.sentences == ("Signal and gradient keep their size from layer to layer.",)


def test_no_alarm_for_an_lstm():
    network = nn.Sequential([nn.LSTM(24), nn.Dense(2)], seed=0)
    assert diagnose(network, *sequences(20)).healthy


def test_the_network_is_not_changed(digits):
    network = stack("tanh", "normal(std=0.01)", 4)
    before = [layer.kernel.copy() for layer in network.layers]
    found = diagnose(network, *digits)
    assert all(
        np.array_equal(one, layer.kernel) for one, layer in zip(before, network.layers, strict=True)
    )
    assert not np.array_equal(found.cure.model.layers[0].kernel, network.layers[0].kernel)
    assert diagnose(found.cure.model, *digits).healthy  # the cure is there to be used


def test_the_same_every_time(digits):
    network = stack("tanh", "normal(std=0.01)", 6)
    assert diagnose(network, *digits).to_json() == diagnose(network, *digits).to_json()


def test_without_targets_and_without_cures(digits):
    network = stack("tanh", "normal(std=0.01)", 6)
    found = diagnose(network, digits[0])
    assert found.before.loss is None
    assert (found.losses, found.cure.losses) == ((), ())
    assert found.cured
    plain = diagnose(network, digits[0], try_cure=False)
    assert (plain.verdict, plain.cure, plain.advice) == ("vanishing", None, "")


def test_an_initializer_that_does_not_help_is_not_proposed(digits, monkeypatch):
    def only(kernels, seen):
        draw = {one.name: fastinit.get("zeros") for one in kernels}
        yield cures.Proposal("zeros", "", draw)

    monkeypatch.setattr(cures, "proposals", only)
    found = diagnose(stack("tanh", "normal(std=0.01)", 6), *digits)
    assert found.cure is None
    assert "None of 1 initializers" in found.advice
    assert found.after is None


@pytest.fixture(scope="module")
def sick(digits):
    return diagnose(stack("relu", "normal(std=0.03)", 40), *digits)


def test_table_in_80_columns(sick):
    text = sick.table()
    assert max(map(len, text.splitlines())) <= 80
    assert "vanishing" in text.splitlines()[1]
    assert "dense_0" in text
    assert "dense_1-" in text  # ranges of layers
    assert "dense_17" in sick.table(every=True)
    assert f"*.kernel: {sick.cure.initializers['*.kernel']}" in text


LONG = "transformer.blocks.{}.self_attention.output_projection"


@pytest.mark.parametrize("code", ["en", "pt", "es"])
@pytest.mark.parametrize(
    "names", ["dense_{}", LONG, "a_layer_of_a_really_long_name_{}_without_dots"]
)
@pytest.mark.parametrize("cure", [True, False])
def test_nothing_is_cut_off_in_80_columns(names, cure, code, sick):
    def renamed(seen):
        layers = [replace(one, name=names.format(i)) for i, one in enumerate(seen.layers)]
        return replace(seen, layers=tuple(layers))

    tried = [replace(one, after=renamed(one.after)) for one in sick.tried] if cure else ()
    found = replace(sick, before=renamed(sick.before), tried=tuple(tried))
    with language(code):
        for every in (False, True):
            lines = found.table(every=every).splitlines()
            assert max(map(len, lines)) <= 80
            assert not any("…" in line for line in lines)
            start = next(i for i, line in enumerate(lines) if line.startswith("─"))
            shown = [line.split() for line in lines[start + 1 :][: len(found.rows(every=every))]]
            for cells, line in zip(found.rows(every=every), shown, strict=True):
                figures = list(cells[2 : 7 if cure else 5])  # to the gradient: they always stay
                assert any(line[i : i + len(figures)] == figures for i in (1, 2)), line


def test_shortened_names_keep_their_numbers_and_ends():
    name = LONG.format(11)
    assert shortened(name, 99) == name
    assert shortened(name, 40) == "t.b.11.self_attention.output_projection"
    assert shortened(name, 30) == "t.b.11.s.output_projection"
    assert len(shortened(name, 20)) == 20
    assert shortened(name, 20).startswith("t.b.11.s..")


def test_ranges_hold_every_layer_once(sick):
    rows = abridged(sick.before.layers)
    assert len(rows) <= 24
    places = []
    for row in rows:
        first, _, last = row.name.removeprefix("dense_").partition("-")
        places += range(int(first), int(last or first) + 1)
    assert places == list(range(41))


def test_frame_and_json(sick):
    frame = sick.to_frame()
    assert len(frame) == 41
    assert (frame["spread"] < frame["after_spread"]).all()
    document = json.loads(sick.to_json())
    assert document["verdict"] == "vanishing"
    assert document["cure"] == sick.cure.name
    assert [one["name"] for one in document["tried"]] == [cure.name for cure in sick.tried]


def test_json_has_null_for_what_is_not_finite(digits):
    network = stack("relu", "he_normal", 3)
    network.layers[1].kernel[:] = np.nan
    found = diagnose(network, *digits)
    assert found.verdict.startswith("not finite")
    assert "the weights of dense_1 are not finite" in found.sentences[0]
    layers = json.loads(found.to_json())["before"]["layers"]
    assert layers[1]["weight_std"] is None
    assert found.cured


def test_pictures(sick, tmp_path):
    assert isinstance(by_depth(sick), Figure)
    assert len(by_depth(sick).axes) == 3
    assert isinstance(learning(sick), Figure)
    sick.plot(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    sick.plot(tmp_path / "picture.svg")
    with pytest.raises(ArgumentError, match=r"picture\.pdf"):
        sick.plot(tmp_path / "picture.pdf")


def test_in_other_languages(sick):
    with language("pt"):
        assert "0,0" in sick.table()
    with language("es"):
        assert sick.advice


@pytest.mark.parametrize(
    ("error", "arguments", "words"),
    [
        (ArgumentTypeError, {"model": 3}, "Sequential"),
        (ArgumentError, {"layers": "no*"}, "no layer is named 'no\\*'"),
        (ArgumentError, {"learning_rate": 0}, "learning_rate"),
        (ArgumentError, {"trial_rate": math.nan}, "trial_rate"),
        (ArgumentError, {"steps": 0}, "steps"),
        (ArgumentTypeError, {"seed": 0.5}, "seed"),
    ],
)
def test_mistakes(error, arguments, words, digits):
    given = {"model": stack("relu", "he_normal", 1), "x": digits[0]} | arguments
    with pytest.raises(error, match=words):
        diagnose(**given)


def test_only_some_layers(digits):
    found = diagnose(stack("tanh", "normal(std=0.01)", 8), *digits, layers="dense_[0-3]")
    assert [layer.name for layer in found.before.layers] == [f"dense_{i}" for i in range(4)]
    assert found.verdict == "vanishing"
