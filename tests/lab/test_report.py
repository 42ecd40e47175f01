"""What is printed and what is written."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas
import pytest

from fastinit import lab
from fastinit.errors import ArgumentError
from fastinit.lab import cells, report, terminal
from fastinit.lab.plots import PALETTE, marks, plots
from fastinit.lab.rules import RULES

LONG = "truncated_normal(mean=0.0, std=0.0125)"
INITIALIZERS = ("zeros", "normal(std=1e6)", LONG, "he_normal")


@pytest.fixture(scope="module")
def found():
    """Return a comparison that has a diverged run and one that trains."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    x = rng.normal(size=(60, 4)) + 4 * y[:, None]
    return lab.compare(
        INITIALIZERS,
        activations=["relu", "tanh", "leaky_relu"],
        hidden=[[16, 16], [8]],
        data=(x, y),
        epochs=8,
        batch_size=4,
        learning_rate=0.03,
        seeds=2,
        jobs=1,
    )


class Elements(HTMLParser):
    """Collects the elements of a page, and complains of one that is not closed."""

    VOID = frozenset({"meta", "path", "use", "rect", "line"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(found):
    return report.page(found)


def test_the_table_fits_80_columns(found):
    lines = found.table().splitlines()
    assert max(map(len, lines)) <= 80
    for name in (INITIALIZERS[0], INITIALIZERS[1], INITIALIZERS[3]):
        assert sum(line.startswith(name + " ") for line in lines) == 6
    # The long one goes on in the next lines of its cell, and nothing of it is lost.
    names = "".join(line.split("  ")[0].strip() for line in lines)
    assert names.replace(" ", "").count(LONG.replace(" ", "")) == 6
    assert "…" not in found.table()


def test_the_default_table_fits_80_columns(found):
    """The widest figures that there can be, under the longest of the default names."""
    wide = replace(
        found.records[0],
        initializer="normal(std=0.01)",
        train_loss=1.5e-38,
        test_accuracy=0.512,
        test_accuracy_std=0.123,
        epochs_to_goal=1000,
        gradient_ratio=1e-45,
        signal_ratio=1e38,
        idle_start=0.99,
        idle_end=1.0,
        verdict="symmetric",
    )
    group = lab.Group("sigmoid", (64,), (wide,), ())
    [row] = [line for line in table_text(group) if "normal" in line]
    assert len(row) <= 80
    for text in ("normal(std=0.01)", "51.2 ± 12.3", "1e-45", "99→100", "symmetric"):
        assert text in row


def table_text(group):
    from rich.console import Console

    console = Console(width=80, color_system=None)
    with console.capture() as captured:
        console.print(terminal._table(group, 0.975))
    return captured.get().splitlines()


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


def test_the_page_needs_no_network(page):
    assert "http" not in page
    assert "url(#" in page or "href=" in page  # clip paths stay inside the page
    for tag, attributes in Elements(page).found:
        assert tag not in {"script", "link", "img", "iframe"}
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#")
    assert "@import" not in page


def test_the_page_is_whole(found, page):
    elements = Elements(page)
    assert elements.open == []
    assert page.lstrip().startswith("<!doctype html>")
    assert sum(tag == "svg" for tag, _ in elements.found) == 4 * len(found.groups)
    for rule in RULES:
        assert rule.when in page
    for name in INITIALIZERS:
        assert name in page


def test_ids_of_the_figures_are_their_own(page):
    """Two figures with one id would show each other's clip paths."""
    svgs = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    clips = [set(re.findall(r'<clipPath id="([^"]*)"', svg)) for svg in svgs]
    assert all(clips)
    assert len(set.union(*clips)) == sum(map(len, clips))


def test_names_are_escaped(found):
    evil = "<script>alert(1)</script>"
    runs = [replace(run, initializer=evil) for run in found.runs if run.initializer == "zeros"]
    tasks = tuple(
        replace(task, initializer=evil) for task in found.plan.tasks if task.initializer == "zeros"
    )
    hostile = lab.Comparison(replace(found.plan, tasks=tasks), tuple(runs))
    assert "<script" not in report.page(hostile)


def test_colours_stay_with_their_initializer(found):
    order = list(INITIALIZERS)
    colour, _ = marks(order)["he_normal"]
    assert colour == PALETTE[3]
    for group in found.groups:
        for plot in plots(group, order):
            assert plot.svg.count(colour) >= 2  # the line and its markers


def test_zeros_are_named_where_they_cannot_be_drawn(found):
    gradient = plots(found.groups[0], list(INITIALIZERS))[3]
    assert gradient.absent == ("zeros",)


def test_a_page_with_nothing_but_zeros(found):
    """Most of its figures have no point to draw; Matplotlib must not warn of that."""
    runs = tuple(run for run in found.runs if run.initializer == "zeros")
    assert report.page(lab.Comparison(found.plan, runs)).count("not drawn: zeros") >= 6


def test_written_files(found, tmp_path):
    folder = tmp_path / "a" / "b"
    page, csv = found.write(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["index.html", "results.csv"]
    assert page.read_text("utf-8").rstrip().endswith("</html>")
    frame = pandas.read_csv(csv)
    assert list(frame.columns) == list(lab.Record.__dataclass_fields__)
    assert len(frame) == len(found.records) == 24
    assert frame["verdict"].tolist() == [record.verdict for record in found.records]
    assert {"symmetric", "diverged", "trains"} <= set(frame["verdict"])


def test_a_failed_write_leaves_the_old_files(found, tmp_path, monkeypatch):
    found.write(tmp_path)
    before = (tmp_path / "results.csv").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        found.write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.html", "results.csv"]
    assert (tmp_path / "results.csv").read_bytes() == before


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArgumentError, match=r"cannot write into the folder .*file.out"):
        report.check_writable(tmp_path / "file" / "out")


def test_check_writable_leaves_nothing_behind(tmp_path):
    report.check_writable(tmp_path / "out")
    assert list(Path(tmp_path / "out").iterdir()) == []


def test_an_interrupted_comparison_says_so(found):
    part = lab.Comparison(found.plan, found.runs[:3])
    assert f"{len(found.runs) - 3} runs are missing" in report.page(part)
    assert len(part.records) == 2
