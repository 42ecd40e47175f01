"""The README tells the truth: its code runs, its figures and those of docs/ are recorded ones."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fastinit.bench import running

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_python_blocks_run(capsys):
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 3
    namespace = {}
    for block in blocks:
        exec(block, namespace)  # one after the other, as a reader would type them
    [shown] = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
    assert shown.split() == capsys.readouterr().out.split()  # folded in the README
    assert namespace["w"].shape == (784, 128)
    assert namespace["shard"].shape == (2, 2**20)
    assert (namespace["fan_in"], namespace["fan_out"]) == (576, 288)
    assert round(namespace["gain"], 4) == 1.5335


@pytest.fixture
def pages(monkeypatch):
    """The program that writes tables and picture."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("pages")


def test_figures_are_the_recorded_ones(pages):
    marked = [page for page in pages.pages() if "<!-- table: " in page.read_text()]
    assert {ROOT / "README.md", ROOT / "docs" / "frameworks.md"} <= set(marked)
    for page in marked:
        assert pages.filled(page.read_text()) == page.read_text(), f"{page}: {pages.__doc__}"


def test_a_changed_figure_or_an_unknown_table_is_noticed(pages):
    ours = re.search(r"\| normal, ns an element \| ([\d.]+)", README)
    changed = README[: ours.start(1)] + "0.01" + README[ours.end(1) :]
    assert pages.filled(changed) == README
    with pytest.raises(KeyError, match="speeed"):
        pages.filled("<!-- table: speeed -->\n<!-- end of table: speeed -->")


def test_the_picture_shows_the_recorded_figures(pages):
    """It says in words what it shows."""
    assert f"]({pages.PICTURE.relative_to(ROOT)})" in README.replace("\n", " ")
    drawn = pages.PICTURE.read_text()
    found = pages.Results.from_json(pages.SPEED.read_text())
    assert f"<desc>{pages.description(found)}</desc>" in drawn
    assert "prefers-color-scheme: dark" in drawn
    curves = sum(len(found.of(law)[-1].libraries()) for law in found.laws)
    assert len(re.findall(r'clip-path="[^"]*" style="fill: none; stroke', drawn)) >= curves
    for row in found.rows:  # as README says of it
        if row.what in found.laws and row.elements >= 2**15:
            ns = {name: s.median for name, s in row.nanoseconds().items() if name != "memory"}
            assert min(ns, key=lambda name: ns[name]) == "fastinit"


def test_the_recorded_figures_are_those_of_the_command(pages):
    """README says so: every library took part, and all sizes were measured."""
    found = pages.Results.from_json(pages.SPEED.read_text())
    assert found.about["absent"] == {}
    assert [row.elements for row in found.of("normal")] == list(running.SIZES)
    assert {row.what for row in found.calls} == set(pages.UNITS)


def test_the_missed_targets_are_named(pages):
    document = {
        "checks": [
            {"what": "a / NumPy", "target": "at least 9x", "figure": 8.31, "met": False},
            {"what": "b / NumPy", "target": "at least 9x", "figure": 9.5, "met": True},
        ],
        "rows": [
            {"row": "a", "ns": {"fastinit": 2.0, "NumPy": 16.0, "memset": 1.0}},
            {"row": "b", "ns": {"fastinit": 4.0, "NumPy": 3.0, "JAX": 9.0}},
        ],
    }
    assert pages.missed(document).splitlines()[2:] == [
        "| a / NumPy | at least 9x | 8.31 |",
        "| b | nobody faster | NumPy: 0.75 of fastinit's time |",
    ]
    assert pages.missed({"checks": [], "rows": []}) == "None.\n"


def test_the_benchmark_runs(tmp_path):
    path = tmp_path / "figures.json"
    options = ["--elements", "65536", "--rounds", "1", "--only", "float32 uniform", "--json", path]
    command = [sys.executable, ROOT / "benchmarks" / "sampling.py", *options]
    subprocess.run(command, check=True, capture_output=True)
    results = json.loads(path.read_text())
    figures = {row["what"]: row["figure"] for row in results["checks"]}
    assert figures["float32 uniform / NumPy"] > 0
    assert "float32 uniform" in [row["row"] for row in results["rows"]]
