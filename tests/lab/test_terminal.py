"""The table of a comparison on a terminal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from fastinit import lab
from fastinit.lab import cells, terminal

LONG = "truncated_normal(mean=0.0, std=0.0125)"
INITIALIZERS = ("zeros", "normal(std=1e6)", LONG, "he_normal")


@pytest.fixture(scope="module")
def found():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    x = rng.normal(size=(60, 4)) + 4 * y[:, None]
    return lab.compare(
        INITIALIZERS,
        activations=["relu", "tanh"],
        hidden=[[16, 16], [8]],
        normalization=["none", "batch"],
        data=(x, y),
        epochs=3,
        batch_size=8,
        learning_rate=0.03,
        seeds=3,
        jobs=1,
    )


def test_the_table_fits_80_columns(found):
    lines = found.table().splitlines()
    assert max(map(len, lines)) <= 80
    for name in (INITIALIZERS[0], INITIALIZERS[1], INITIALIZERS[3]):
        assert sum(line.startswith(name + " ") for line in lines) == 8
    # The long one goes on in the next lines of its cell, and nothing of it is lost.
    names = "".join(line.split("  ")[0].strip() for line in lines if ": " not in line)
    assert names.replace(" ", "").count(LONG.replace(" ", "")) == 8
    assert "…" not in found.table()


def table_lines(group, goal=0.9):
    console = Console(width=80, color_system=None)
    with console.capture() as captured:
        console.print(terminal._table(group, goal))
    return captured.get().splitlines()


@pytest.mark.parametrize("rate", ["given", "chosen"])
def test_the_widest_row_fits_80_columns(found, rate):
    """The widest figures that there can be, under the longest of the default names."""
    wide = replace(
        found.records[0],
        initializer="normal(std=0.01)",
        train_loss=1.5e-38,
        test_score=0.512,
        test_score_low=0.389,
        test_score_high=0.635,
        differs="noise",
        epochs_to_goal=1000,
        gradient_ratio=1e-45,
        signal_ratio=1e38,
        idle_start=0.99,
        idle_end=1.0,
        learning_rate=3.16e-05,
        rate=rate,
        verdict="symmetric",
    )
    group = lab.Group(wide.network._replace(activation="sigmoid"), (wide, wide), ())
    lines = table_lines(group)
    assert max(map(len, lines)) <= 80
    text = " ".join(lines)
    for figure in ("51.2 ± 12.3≈", "1e-45", "99→100", "symmetric"):
        assert figure in text
    assert ("3.2e-05" in text) == (rate == "chosen")
    if rate == "given":
        assert "normal(std=0.01)" in text


def test_marks_stand_behind_the_score(found):
    group = found.groups[0]
    marked = [
        replace(record, differs=word)
        for record, word in zip(group.records, ("best", "noise", "differs", "differs"), strict=True)
    ]
    lines = table_lines(lab.Group(group.network, tuple(marked), ()))
    assert cells.score(marked[0]) + "*" in lines[3]
    assert cells.score(marked[1]) + "≈" in lines[4]
    assert not {"*", "≈"} & set("".join(lines[5:]))


def test_titles_name_what_varies(found):
    assert cells.titles(found.groups)[:2] == [
        "relu, hidden layers 16-16, no normalization",
        "relu, hidden layers 16-16, batch normalization",
    ]
    assert cells.titles(found.groups[:2], brief=True) == [
        "no normalization",
        "batch normalization",
    ]
    rates = [
        replace(group, network=group.network._replace(learning_rate=rate, optimizer="adam"))
        for group, rate in zip(found.groups[:3:2], (0.1, None), strict=True)
    ]
    assert cells.titles(rates) == [
        "relu, hidden layers 16-16, learning rate 0.1",
        "tanh, hidden layers 16-16, tuned learning rates",
    ]
    assert len(set(cells.titles(found.groups, brief=True))) == len(found.groups)


def test_describe_names_what_is_the_same(found):
    words = cells.describe(found)
    assert words.startswith("arrays: 45 train and 15 test rows, 4 features, 3 classes. sgd, ")
    assert words.endswith("learning rate 0.03, batches of 8, 3 epochs, 3 seeds.")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (float("nan"), "-"),
        (float("inf"), "inf"),
        (1e-3, "0.001"),
        (9.99e-4, "1e-03"),
        (0.0999, "0.1"),
        (99.99, "99.99"),
        (99.999, "100"),
        (9999.4, "9999"),
        (9999.6, "1e+04"),
    ],
)
def test_short(value, text):
    assert cells.short(value) == text


def test_one_seed_gets_no_star(found):
    runs = tuple(run for run in found.runs if run.seed == 0)
    text = lab.Comparison(found.plan, runs).table()
    assert text.count(cells.TOO_FEW_SEEDS) == len(found.groups)
    assert "*" not in text[: text.index("train loss, test score (%)")]
