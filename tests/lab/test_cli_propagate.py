"""The command ``fastinit propagate``: what it prints, writes and refuses."""

from __future__ import annotations

import json

import pytest

from fastinit.cli import main

QUICK = ["--depth", "6", "--width", "24", "--networks", "2"]
ONE = ["propagate", "--activation", "tanh", *QUICK]


def test_a_table_of_80_columns(capsys):
    assert main([*ONE, "--sigma-w", "1.1", "--sigma-b", "0.3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "tanh, 6 layers of 24 units; networks measured: 2; sigma_w 1.1, sigma_b 0.3" in lines
    assert [line.split()[0] for line in lines[4:10]] == list("123456")
    assert any(line.startswith("ordered: inputs become alike after about") for line in lines)


def test_json(capsys):
    assert main([*ONE, "--init", "glorot_normal", "--json", "--seed", "3"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["initializer"] == "glorot_normal"
    assert found["sigma_w"] == pytest.approx(1.0, rel=0.05)
    assert len(found["layers"]) == 6


def test_a_phase_diagram_and_its_picture(capsys, tmp_path):
    picture = tmp_path / "phase.svg"
    places = ["--init", "glorot_normal", "--place", "2,0.5,mine"]
    diagram = ["--phase", "--points", "4", "--sigma-w", "0.5,2.5", "--out", str(picture)]
    assert main([*ONE, *diagram, *places]) == 0
    printed = capsys.readouterr()
    assert "edge of chaos: from sigma_w 1.000" in printed.out
    assert printed.err == f"wrote {picture}\n"
    assert picture.read_text().startswith("<?xml")
    assert main([*ONE, *diagram[:-2], *places, "--predict-only", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["networks"] == 0
    assert [place["label"] for place in found["places"]] == ["mine", "glorot_normal"]
    assert len(found["points"]) == 16


def test_reports(capsys, tmp_path):
    table = tmp_path / "layers.csv"
    assert main([*ONE, "--sigma-w", "1.5", "--out", str(table)]) == 0
    assert len(table.read_text().splitlines()) == 7
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert main([*ONE, "--sigma-w", "1.5", "--out", str(blocked / "x.png")]) == 1
    printed = capsys.readouterr()
    assert "only printing the results" in printed.err
    assert "critical" in printed.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --sigma-w or --init, one of them"),
        (["--sigma-w", "1", "--init", "zeros"], "give --sigma-w or --init, one of them"),
        (["--sigma-w", "x"], "--sigma-w must be a number, got 'x'"),
        (["--sigma-w", "1", "--points", "3"], "go with --phase"),
        (["--sigma-w", "-1"], "sigma_w must not be negative, got -1.0"),
        (["--init", "ones"], "weights with the mean 0"),
        (["--phase", "--sigma-w", "1.5"], "--sigma-w must be a range LOW,HIGH, got '1.5'"),
        (["--phase", "--place", "1"], "--place must be SIGMA_W,SIGMA_B,LABEL, got '1'"),
        (["--sigma-w", "1", "--activation", "tahn"], "did you mean 'tanh'"),
        (["--sigma-w", "1", "--lang", "de"], "unknown language 'de'"),
    ],
)
def test_mistakes_are_one_line(capsys, arguments, message):
    assert main([*ONE, *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("fastinit: error: ")
    assert error.count("\n") == 1
