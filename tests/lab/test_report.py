"""The report on a comparison, and what is written of any report."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas
import pytest

from fastinit import lab
from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.lab import report
from fastinit.lab.report import languages
from fastinit.lab.report.languages import language
from fastinit.lab.report.pictures.style import PALETTE, marks
from fastinit.lab.rules import RULES
from tests.lab.pages import check_page, svgs

LONG = "truncated_normal(mean=0.0, std=0.0125)"
INITIALIZERS = ("zeros", "normal(std=1e6)", LONG, "he_normal")
PICTURES = 7  # of a network


@pytest.fixture(scope="module")
def found():
    """Return a comparison that has a diverged run and one that trains."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    x = rng.normal(size=(60, 4)) + 4 * y[:, None]
    return lab.compare(
        INITIALIZERS,
        activations=["relu", "tanh"],
        hidden=[[16, 16]],
        data=(x, y),
        epochs=8,
        batch_size=4,
        learning_rate=0.03,
        seeds=3,
        jobs=1,
    )


def part(found, count):
    """Return a comparison that has only the first networks."""
    networks = [group.network for group in found.groups[:count]]
    runs = tuple(run for run in found.runs if run.network in networks)
    return lab.Comparison(found.plan, runs)


@pytest.fixture(scope="module")
def few(found):
    """Return only the first network, for one page quickly drawn."""
    return part(found, 1)


@pytest.fixture(scope="module")
def page(found):
    return report.page(found, command="fastinit compare --init 'a<b'")


def test_the_page_is_whole(found, page):
    elements = check_page(page)
    assert elements.count("svg") == PICTURES * len(found.groups) + 1
    assert "fastinit compare --init &#39;a&lt;b&#39;" in page
    for rule in RULES:
        assert rule.words in page
    for name in INITIALIZERS:
        assert name in page


def test_the_answer_comes_first(page):
    answer = page[page.index('class="answer') : page.index("Run it again")]
    assert "<code>he_normal</code> fits" in answer
    assert "Not to be used: <code>zeros</code>" in answer


@pytest.mark.parametrize("lang", ["pt", "es"])
def test_other_languages(few, lang):
    page = report.page(few, lang=lang)
    check_page(page, lang)
    for english in ("Train loss", "before training", "The rules", "Fastest", "epoch<", "cores"):
        assert english not in page
    assert {"pt": "época", "es": "época"}[lang] in page
    assert ",".join(f"{100 * few.records[-1].test_score:.1f}".split(".")) in page


def test_an_unknown_language(found, tmp_path):
    with pytest.raises(ArgumentError, match=r"'fr'.*en \(English\), pt .*, es"):
        report.write(found, tmp_path / "out", lang="fr")
    assert not (tmp_path / "out").exists()


def test_names_are_escaped(found, few):
    evil = "<script>alert('`|*')</script>"
    runs = [replace(run, initializer=evil) for run in few.runs if run.initializer == "zeros"]
    axes = replace(found.plan.axes, initializers=(evil,))
    tasks = tuple(
        replace(t, initializer=evil) for t in found.plan.tasks if t.initializer == "zeros"
    )
    hostile = lab.Comparison(replace(found.plan, tasks=tasks, axes=axes), tuple(runs))
    check_page(report.page(hostile, command=evil))


def test_hostile_names_in_markdown(found, tmp_path):
    evil = "<script>|`*"
    runs = tuple(
        replace(run, initializer=evil) for run in part(found, 1).runs if run.initializer == "zeros"
    )
    axes = replace(found.plan.axes, initializers=(evil,))
    tasks = tuple(
        replace(t, initializer=evil) for t in found.plan.tasks if t.initializer == "zeros"
    )
    hostile = lab.Comparison(replace(found.plan, tasks=tasks, axes=axes), runs)
    text = report.write(hostile, tmp_path / "a.md", command=evil)[0].read_text("utf-8")
    outside = "".join(text.split("```")[::2])  # what is not a block of code
    outside = "".join(outside.replace("\n", " ").split("`")[::2])
    assert "<script>" not in outside.replace(r"\<", "")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace(r"\|", "").count("|") for line in table}) == 1


def test_colours_stay_with_their_initializer(page):
    colour, _ = marks(INITIALIZERS)["he_normal"]
    assert colour == PALETTE[3]
    for svg in svgs(page):
        assert svg.count(colour) >= 1  # a line or its marker


def test_zeros_are_named_where_they_cannot_be_drawn(page):
    assert "no place on these axes: <code>zeros</code>." in page


def test_a_page_with_nothing_but_zeros(found):
    """Most of its figures have no point to draw; Matplotlib must not warn of that."""
    runs = tuple(run for run in part(found, 1).runs if run.initializer == "zeros")
    page = report.page(lab.Comparison(found.plan, runs))
    check_page(page)
    assert "No initializer trains" in page


def test_one_seed_claims_nothing(found):
    runs = tuple(run for run in part(found, 1).runs if run.seed == 0)
    page = report.page(lab.Comparison(found.plan, runs))
    assert "So few seeds cannot tell" in page
    assert "noise of the seeds" not in page


def test_written_files(few, tmp_path):
    folder = tmp_path / "a" / "b"
    page, csv = few.write(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["index.html", "results.csv"]
    assert page.read_text("utf-8").rstrip().endswith("</html>")
    frame = pandas.read_csv(csv)
    assert list(frame.columns) == list(lab.Record.__dataclass_fields__)
    assert len(frame) == len(few.records) == 4
    assert frame["verdict"].tolist() == [record.verdict for record in few.records]
    assert {"symmetric", "diverged", "trains"} <= set(frame["verdict"])


def test_markdown(found, tmp_path):
    text, *pictures, csv = report.write(part(found, 1), tmp_path, format="md", command="run me")
    assert text == tmp_path / "report.md"
    assert csv.name == "results.csv"
    written = text.read_text("utf-8")
    assert len(pictures) == PICTURES + 1
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert f"({picture.parent.name}/{picture.name})" in written
    assert "```\nrun me\n```" in written
    assert r"| ✚ `he_normal`" in written or "`he_normal`" in written


@pytest.mark.parametrize("name", ["x.json", "x.csv"])
def test_data_formats(found, tmp_path, name):
    [path] = report.write(found, tmp_path / name)
    text = path.read_text("utf-8")
    if name == "x.json":
        assert json.loads(text) == json.loads(found.to_json())
    else:
        frame = pandas.read_csv(path)
        assert frame["test_score"].tolist() == [record.test_score for record in found.records]
    [path] = report.write(found, tmp_path / "folder", format=name[2:])
    assert path.read_text("utf-8") == text


def test_formats_that_cannot_be(found, tmp_path):
    with pytest.raises(ArgumentError, match=r"html, md, json, csv, got 'pdf'"):
        report.write(found, tmp_path, format="pdf")
    with pytest.raises(ArgumentError, match=r"format is csv, and the file is called 'a.md'"):
        report.write(found, tmp_path / "a.md", format="csv")
    with pytest.raises(ArgumentTypeError, match="not on a dict"):
        report.write({}, tmp_path / "a.html")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_files(found, tmp_path, monkeypatch):
    report.write(found, tmp_path, format="csv")
    before = (tmp_path / "results.csv").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        report.write(part(found, 1), tmp_path, format="csv")
    assert [path.name for path in tmp_path.iterdir()] == ["results.csv"]
    assert (tmp_path / "results.csv").read_bytes() == before


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArgumentError, match=r"cannot write into the folder .*file.out"):
        report.check_writable(tmp_path / "file" / "out")
    with pytest.raises(ArgumentError, match=r"cannot write into the folder .*file'"):
        report.check_target(tmp_path / "file" / "page.html")


def test_check_target_leaves_nothing_behind(tmp_path):
    report.check_target(tmp_path / "out")
    assert list(Path(tmp_path / "out").iterdir()) == []
    report.check_target(tmp_path / "out" / "a.md")
    assert list(Path(tmp_path / "out").iterdir()) == []


def test_an_interrupted_comparison_says_so(found):
    few = lab.Comparison(found.plan, found.runs[:3])
    assert f"{len(found.runs) - 3} runs are missing" in report.page(few)


def test_the_language_ends_with_the_report(found, tmp_path):
    report.write(found, tmp_path / "a.csv", lang="pt")
    assert languages.current() == "en"
    with pytest.raises(ArgumentTypeError), language("es"):
        report.page({}, lang="pt")
    assert languages.current() == "en"


def luminance(colour):
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (
        c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast(page):
    """WCAG: 3 to 1 for lines, 4.5 to 1 for text, in the light and in the dark scheme."""
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)
    style = page[page.index(":root") : page.index("@media print")]
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#\w{6})", part))
        for part in style.split("@media (prefers-color-scheme: dark)")[:2]
    )
    for scheme in (light, dark):
        for colour in PALETTE:
            assert contrast(colour, scheme["card"]) >= 3
        for name in ("ink", "soft", "accent", "good", "fair", "bad"):
            for paper in ("paper", "card"):
                assert contrast(scheme[name], scheme[paper]) >= 4.5
        for name in ("good", "fair", "bad"):
            assert contrast(scheme[name], scheme[f"{name}-paper"]) >= 4.5
