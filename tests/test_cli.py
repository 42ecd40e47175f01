"""The command line: what it prints, and its exit codes."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import fastinit
from fastinit import cli, lab
from fastinit.nn.optimizers import OPTIMIZERS

QUICK = ["compare", "--init", "zeros,he_normal", "--activation", "relu", "--hidden", "16"]
QUICK += ["--epochs", "2", "--seeds", "1", "--jobs", "1"]


def run(*arguments):
    """Return the exit code of the command, from argparse too."""
    try:
        return cli.main(arguments)
    except SystemExit as stop:
        return stop.code


def test_table_on_stdout(capsys):
    assert run(*QUICK) == 0
    out, err = capsys.readouterr()
    assert re.search(r"^zeros .* symmetric", out, re.MULTILINE)
    assert re.search(r"^he_normal ", out, re.MULTILINE)
    assert max(map(len, out.splitlines())) <= 80
    assert err == ""


def test_json_alone_on_stdout(capsys):
    assert run(*QUICK, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert [record["initializer"] for record in document["records"]] == ["zeros", "he_normal"]
    assert document["fastinit"] == fastinit.__version__


def test_files(tmp_path, capsys):
    assert run(*QUICK, "--out", str(tmp_path / "report")) == 0
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [
        "index.html",
        "results.csv",
    ]
    out, err = capsys.readouterr()
    assert "wrote" not in out
    assert "index.html" in err


def test_data_of_ones_own(tmp_path, capsys):
    path = tmp_path / "mine.csv"
    rows = [f"{i % 2 + i / 100},{'ny'[i % 2]}" for i in range(40)]
    path.write_text("\n".join(["size,answer", *rows]))
    assert run(*QUICK, "--data", str(path), "--target", "answer") == 0
    assert "mine.csv: 30 train and 10 test rows, 1 features, 2 classes" in _flat(capsys)

    np.savez(tmp_path / "mine.npz", x=np.arange(80.0).reshape(40, 2), y=np.arange(40) % 2)
    assert run(*QUICK, "--data", str(tmp_path / "mine.npz")) == 0
    assert "mine.npz: 30 train and 10 test rows" in _flat(capsys)


def _flat(capsys):
    return " ".join(capsys.readouterr().out.split())


def test_options_reach_compare(monkeypatch):
    parameters = set(inspect.signature(lab.compare).parameters)
    seen = {}

    def compare(**options):
        seen.update(options)
        raise fastinit.errors.ArgumentError("enough")

    monkeypatch.setattr(lab, "compare", compare)
    run(
        *["compare", "--init", "zeros, normal(mean=0, std=0.5)", "--init", "ones"],
        *["--activation", "relu,tanh", "--hidden", "8,8", "--hidden", "4", "--epochs", "5"],
        *["--batch-size", "16", "--optimizer", "adam", "--lr", "0.5", "--seeds", "4"],
        *["--goal", "0.8", "--data", "x.npz", "--target", "t", "--jobs", "2"],
        *["--depths", "2,3", "--widths", "8", "--normalization", "none,batch", "--tune"],
        *["--dropout", "0,0.5", "--task", "regression", "--runs", "r.jsonl"],
        *["--backend", "dask", "--scheduler", "tcp://host:8786"],
    )
    assert seen == {
        "initializers": ["zeros", "normal(mean=0, std=0.5)", "ones"],
        "activations": ["relu", "tanh"],
        "hidden": [[8, 8], [4]],
        "epochs": 5,
        "batch_size": 16,
        "optimizer": ["adam"],
        "learning_rate": [0.5],
        "seeds": 4,
        "goal": 0.8,
        "data": "x.npz",
        "target": "t",
        "jobs": 2,
        "depths": [2, 3],
        "widths": [8],
        "normalization": ["none", "batch"],
        "dropout": [0.0, 0.5],
        "task": "regression",
        "tune": True,
        "runs": "r.jsonl",
        "backend": "dask",
        "scheduler": "tcp://host:8786",
        "progress": True,
    }
    assert set(seen) == parameters


@pytest.mark.parametrize("command", ["", *sorted(cli.COMMANDS)])
def test_help_fits_a_terminal(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert run(*command.split(), "--help") == 0
    assert max(len(line) for line in capsys.readouterr().out.splitlines()) <= 80


def test_help_states_the_defaults(capsys):
    assert run("compare", "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    signature = inspect.signature(lab.comparison.compare).parameters
    for name, option in [
        ("epochs", "--epochs N"),
        ("batch_size", "--batch-size N"),
        ("optimizer", "--optimizer NAME,... sgd, adagrad, adam, adamw or rmsprop"),
        ("seeds", "--seeds N runs of each network"),
        ("goal", "that counts as trained"),
        ("data", "such as moons or spirals"),
        ("backend", "a dask or ray cluster"),
        ("normalization", "none, batch or layer"),
    ]:
        assert f"{option} (default: {signature[name].default})" in text
    for values, option in [
        (lab.plan.DEFAULT_ACTIVATIONS, "activations of the hidden layers"),
        (lab.plan.DEFAULT_HIDDEN, "several networks"),
        ((lab.plan.DEFAULT_DEPTH,), "numbers of hidden layers"),
        ((lab.plan.DEFAULT_WIDTH,), "units of each hidden layer"),
    ]:
        assert f"{option} (default: {','.join(map(str, values))})" in text
    rates = {name: kind().learning_rate for name, kind in OPTIMIZERS.items()}
    assert f"{rates.pop('sgd')} for sgd, {rates['adam']} for the others" in text
    assert set(rates.values()) == {rates["adam"]}
    assert all(name in text for name in rates)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--init", "he_norml"], "unknown initializer 'he_norml'; did you mean 'he_normal'"),
        (["--init", "zeros,,ones"], "empty item in the list 'zeros,,ones'"),
        (["--init", "normal(std=)"], "normal(std=)"),
        (["--activation", "rellu"], "unknown activation 'rellu'; did you mean"),
        (["--hidden", "0"], "hidden must be at least 1, got 0"),
        (["--hidden", "a,b"], "hidden must be numbers of units, like 64,64, got 'a,b'"),
        (["--epochs", "-1"], "epochs must be at least 1, got -1"),
        (["--epochs", "many"], "argument --epochs: invalid int value: 'many'"),
        (["--lr", "nan"], "learning_rate must be above 0"),
        (["--lr", "-1"], "learning_rate must be above 0"),
        (["--lr", "0.1,fast"], "learning_rate must be numbers, got 'fast'"),
        (["--backend", "dsk"], "unknown backend 'dsk'; did you mean 'dask'"),
        (["--scheduler", "tcp://host:1"], "scheduler is 'tcp://host:1', but backend 'loky'"),
        (["--goal", "90"], "goal must be above 0 and below 1, got 90.0"),
        (["--optimizer", "adm"], "unknown optimizer 'adm'; did you mean 'adam"),
        (["--data", "none.csv"], "no data file 'none.csv'"),
        (["--bogus"], "unrecognized arguments: --bogus"),
    ],
)
def test_mistakes(monkeypatch, capsys, arguments, message):
    monkeypatch.setattr("fastinit.lab.sweep.train", None)  # nothing is computed
    assert run("compare", "--jobs", "1", *arguments) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert err.count("\n") == 1
    assert out == ""


def test_a_folder_that_cannot_be_written_is_reported_first(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    said_before_training = []
    real = lab.sweep.train

    def train(*arguments):
        said_before_training.append(capsys.readouterr().err)
        return real(*arguments)

    monkeypatch.setattr(lab.sweep, "train", train)
    assert run(*QUICK, "--out", str(tmp_path / "file")) == 1
    assert "cannot write into the folder" in said_before_training[0]
    assert "symmetric" in capsys.readouterr().out  # the results are printed all the same


def test_results_are_printed_even_if_they_cannot_be_written(monkeypatch, tmp_path, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    assert run(*QUICK, "--out", str(tmp_path)) == 1
    out, err = capsys.readouterr()
    assert "symmetric" in out
    assert "No space left on device" in err
    assert list(tmp_path.iterdir()) == []


def test_interrupt(monkeypatch, capsys):
    real = lab.sweep.train

    def interrupted(task, data, training):
        if task.initializer == "he_normal":
            raise KeyboardInterrupt
        return real(task, data, training)

    monkeypatch.setattr("fastinit.lab.sweep.train", interrupted)
    assert run(*QUICK) == 130
    out, err = capsys.readouterr()
    assert "symmetric" in out
    assert err == "fastinit: error: interrupted after 1 of 2 runs\n"


def test_a_missing_extra_says_what_to_install():
    """In a process of its own, where scikit-learn seems not to be installed."""
    code = (
        "import importlib.util as u, sys\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'sklearn' else find(name, *a)\n"
        "from fastinit.cli import main\n"
        "sys.exit(main(['compare']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    message = "fastinit: error: fastinit.lab needs sklearn: pip install 'fastinit[lab]'\n"
    assert done.stderr == message


def test_module_and_version():
    """``python -m fastinit --version`` answers without loading Numba or the lab."""
    code = "import runpy, sys; sys.argv = ['fastinit', '--version']\n"
    code += "try: runpy.run_module('fastinit', run_name='__main__')\n"
    code += "finally: print(sorted({'numba', 'pandas', 'fastinit.lab'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == f"fastinit {fastinit.__version__}\n[]\n"
    assert done.returncode == 0


def test_info(capsys):
    assert run("info") == 0
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert shown["fastinit"] == fastinit.__version__
    assert shown["backend"] in ("cython", "numba")
    assert shown["threads"] == str(fastinit.get_num_threads())


def test_info_without_the_backend_asked_for():
    code = (
        "import sys\n"
        "sys.modules['fastinit.sampling.cython_fill'] = None\n"
        "from fastinit.cli import main\n"
        "sys.exit(main(['info']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "FASTINIT_BACKEND": "cython"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("fastinit: error: FASTINIT_BACKEND is cython, but")


def test_no_command():
    assert run() == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--lang", "xx"), "unknown language 'xx'"),
        (("--format", "md"), "format is 'md', but of what? say where with --out"),
    ],
)
def test_report_options_are_checked_without_a_report_too(capsys, options, message):
    assert run(*QUICK, *options) == 2
    assert message in capsys.readouterr().err
