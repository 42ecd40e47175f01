"""The README tells the truth: its code runs, its figures are the recorded ones."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_the_speed_table_is_the_recorded_one(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    benchmark = importlib.import_module("sampling")
    results = json.loads(benchmark.RESULTS.read_text())
    assert benchmark.START + benchmark.table(results) + benchmark.END in README


def test_the_benchmark_runs(tmp_path):
    path = tmp_path / "figures.json"
    options = ["--elements", "65536", "--rounds", "1", "--only", "float32 uniform", "--json", path]
    command = [sys.executable, ROOT / "benchmarks" / "sampling.py", *options]
    subprocess.run(command, check=True, capture_output=True)
    results = json.loads(path.read_text())
    figures = {row["what"]: row["figure"] for row in results["checks"]}
    assert figures["float32 uniform / NumPy"] > 0
    assert "float32 uniform" in [row["row"] for row in results["rows"]]


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "CONTRIBUTING.md",
        "docs/embedding.md",
        "docs/stream.md",
        "docs/guarantees.md",
        "benchmarks/README.md",
    ],
)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text()):
        assert (ROOT / page).parent.joinpath(target).exists(), target
