"""``fastinit report`` and the options that the commands share."""

from __future__ import annotations

import shlex
import sys

import numpy as np
import pytest

from fastinit import lab, nn
from fastinit.cli import main
from fastinit.cli.arguments import command_line
from fastinit.lab.recording import Recorder


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 4)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    lab.compare(
        ["zeros", "he_normal"],
        activations=["relu"],
        hidden=[4],
        data=(x, y),
        epochs=2,
        seeds=2,
        jobs=1,
        runs=folder / "runs.jsonl",
    )
    model = nn.Sequential([nn.Dense(4, "relu"), nn.Dense(2)], seed=0)
    model.build(4)
    model.compile("categorical_crossentropy")
    with Recorder(folder / "training.jsonl", model, x, y, every=1) as recorder:
        recorder.step(0.5)
    return folder


def test_runs_become_a_page_beside_them(files, capsys):
    assert main(["report", str(files / "runs.jsonl")]) == 0
    page = (files / "runs.html").read_text("utf-8")
    assert "he_normal" in page
    assert "fastinit.lab.compare(" in page  # the call that runs it again
    assert capsys.readouterr().err == f"wrote {files / 'runs.html'}\n"


def test_runs_that_are_still_written(files, tmp_path):
    lines = (files / "runs.jsonl").read_bytes().splitlines(keepends=True)
    part = tmp_path / "part.jsonl"
    part.write_bytes(b"".join(lines[:3]) + lines[3][:20])
    assert main(["report", str(part)]) == 0
    assert "runs are missing" in (tmp_path / "part.html").read_text("utf-8")


def test_a_recording_in_a_language(files, tmp_path):
    target = tmp_path / "out"
    arguments = ["--out", str(target), "--format", "md", "--lang", "es"]
    assert main(["report", str(files / "training.jsonl"), *arguments]) == 0
    text = (target / "report.md").read_text("utf-8")
    assert "Gradiente a lo largo del tiempo" in text
    assert (target / "results.csv").exists()


@pytest.mark.parametrize("content", [b"", b"x,y\n1,2\n", b"[1]\n", b'{"a": 1}\n', b"\xff\xfe\x00"])
def test_files_of_something_else(tmp_path, capsys, content):
    path = tmp_path / "data.jsonl"
    path.write_bytes(content)
    assert main(["report", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "data.jsonl" in error
    assert "neither a recording" in error
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["none.jsonl"], "cannot read 'none.jsonl': No such file"),
        (["a.html"], "the report would replace 'a.html'; say where with --out"),
        (["a.jsonl", "--lang", "de"], "unknown language 'de'; the lab speaks en (English), pt"),
        (["a.jsonl", "--out", "x.md", "--format", "csv"], "the format is csv, and the file"),
        (["a.jsonl", "--out", "file/x.html"], "cannot write into the folder"),
    ],
)
def test_mistakes(tmp_path, monkeypatch, capsys, arguments, error):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert main(["report", *arguments]) == 2
    printed = capsys.readouterr().err
    assert error in printed
    assert printed.count("\n") == 1


def test_an_unknown_format(files, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["report", str(files / "runs.jsonl"), "--format", "pdf"])
    assert stopped.value.code == 2
    assert "pdf" in capsys.readouterr().err


def test_a_full_disk(files, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    assert main(["report", str(files / "runs.jsonl"), "--out", str(tmp_path / "a.csv")]) == 1
    assert "No space left" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_can_be_typed_again(monkeypatch):
    words = ["compare", "--init", "normal(std=0.5), he_normal", "--out", "my report"]
    monkeypatch.setattr(sys, "argv", ["/some/where/fastinit", *words])
    assert shlex.split(command_line()) == ["fastinit", *words]
