"""``fastinit diagnose``: what it takes, what it prints, and its exit codes."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from fastinit import cli, nn

SOURCE = """
from fastinit import nn
import helper

def build(std=0.01):
    kernel = f"normal(std={std})"
    layers = [nn.Dense(16, "tanh", kernel) for _ in range(helper.DEPTH)]
    network = nn.Sequential([*layers, nn.Dense(10)], seed=0)
    network.build(64)
    return network

def unbuilt():
    return nn.Sequential([nn.Dense(10)])

def broken():
    raise RuntimeError("no such file\\nas that")

model, number = build(), 3
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "networks_of_mine.py").write_text(SOURCE)
    (tmp_path / "helper.py").write_text("DEPTH = 8\n")
    path = list(sys.path)
    yield
    assert sys.path == path
    for name in ("networks_of_mine", "helper"):
        sys.modules.pop(name, None)


def run(*arguments):
    """Return the exit code of the command, from argparse too."""
    try:
        return cli.main(["diagnose", *arguments])
    except SystemExit as stop:
        return stop.code


@pytest.mark.parametrize(
    "name", ["networks_of_mine:build", "networks_of_mine:model", "networks_of_mine.py:build"]
)
def test_a_model_of_ones_own(name, capsys):
    assert run(name, "--data", "digits", "--no-cure") == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[1] == "vanishing"
    assert "128 examples" in out
    assert err == ""


def test_a_saved_network(capsys):
    network = nn.Sequential([nn.Dense(16, "tanh", "normal(std=0.01)")] * 1 + [nn.Dense(3)], seed=0)
    network.build(5)
    network.save("net.safetensors")
    assert run("net.safetensors") == 0
    assert capsys.readouterr().out.splitlines()[1] == "healthy"


def test_json_alone_on_stdout(capsys):
    assert run("networks_of_mine:build", "--json", "--layers", "dense_[0-4]") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "vanishing"
    assert len(document["before"]["layers"]) == 5
    assert document["cure"]
    assert document["losses"] == []  # random inputs have no targets


def test_data_and_loss_of_ones_own(capsys):
    rng = np.random.default_rng(0)
    np.savez("mine.npz", x=rng.normal(size=(80, 64)), y=np.arange(80) % 10)
    loss = ("--loss", "categorical_crossentropy", "--examples", "40")
    assert run("networks_of_mine:build", "--data", "mine.npz", *loss, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["before"]["examples"] == 40
    assert document["before"]["loss"] == pytest.approx(np.log(10), rel=0.01)


def test_another_language(capsys):
    assert run("networks_of_mine:build", "--no-cure", "--lang", "pt") == 0
    assert ",0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["networks"], "module:name or file.py:name, got 'networks'"),
        (["missing.safetensors"], "cannot read 'missing.safetensors': No such file"),
        (["nowhere:build"], "'nowhere' cannot be imported: ModuleNotFoundError"),
        (["networks_of_mine:nothing"], "there is no 'nothing'"),
        (["networks_of_mine:number"], "is no model"),
        (["networks_of_mine:broken"], "'networks_of_mine:broken' failed: RuntimeError: no such"),
        (["builtins:list"], "returned no model of fastinit.nn, PyTorch or Keras, but a list"),
        (["networks_of_mine:unbuilt"], "pass --input-shape"),
        (["networks_of_mine:build", "--input-shape", "3,x"], "input-shape"),
        (["networks_of_mine:build", "--examples", "1"], "examples must be at least 2, got 1"),
        (["networks_of_mine:build", "--layers", "no*"], "no layer is named"),
        (["networks_of_mine:build", "--data", "nothing.csv"], "nothing.csv"),
        (["networks_of_mine:build", "--learning-rate", "0"], "learning_rate"),
        (["networks_of_mine:build", "--lang", "xx"], "xx"),
    ],
)
def test_mistakes_in_one_line(arguments, words, capsys):
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert len(err.splitlines()) == 1
