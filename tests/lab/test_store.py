"""Runs in a file: nothing lost and nothing run twice, wherever the process was killed."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastinit import lab
from fastinit.errors import ArgumentError
from fastinit.lab import store
from fastinit.lab.plan import make_plan


def blobs(classes=3, rows=60, features=4):
    """Return classes that are easy to tell apart."""
    rng = np.random.default_rng(0)
    y = np.arange(rows) % classes
    return rng.normal(size=(rows, features)) + 4 * y[:, None], y


OPTIONS = {
    "initializers": ["zeros", "he_normal", "normal(std=1e20)"],  # the last overflows
    "activations": ["relu"],
    "hidden": [8],
    "data": blobs(),
    "epochs": 2,
    "batch_size": 8,
    "seeds": 4,
    "jobs": 1,
}


def bits(runs):
    """Return the runs as text in which every NaN is the same, and every other float itself."""
    return [repr(run) for run in runs]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return an uninterrupted comparison, and the file with its runs."""
    path = tmp_path_factory.mktemp("runs") / "runs.jsonl"
    return lab.compare(**OPTIONS, runs=path), path


@pytest.fixture
def trained(monkeypatch, whole):
    """Let training look its result up, and return the list of what was trained."""
    known = {run.identity: run for run in lab.compare(**OPTIONS).runs}
    seen = []

    def train(task, data, training):
        seen.append(task.identity)
        return known[task.identity]

    monkeypatch.setattr("fastinit.lab.sweep.train", train)
    return seen


def test_runs_in_a_file_are_those_in_memory(whole):
    found, _ = whole
    in_memory = lab.compare(**OPTIONS)
    assert not all(math.isfinite(loss) for run in in_memory.runs for loss in run.train_loss)
    assert bits(found.runs) == bits(in_memory.runs)
    assert repr(found.records) == repr(in_memory.records)
    assert found.table() == in_memory.table()
    assert [len(group.runs) for group in found.groups] == [12]
    assert repr(found.runs[-1]) == repr(in_memory.runs[-1])
    assert bits(found.runs[2:4]) == bits(in_memory.runs[2:4])


def test_the_file_is_strict_json_lines(whole):
    def refuse(name):
        raise AssertionError(name)

    header, *lines = whole[1].read_text().splitlines()
    assert json.loads(header)["axes"]["seeds"] == {"from": 0, "to": 4}
    entries = [json.loads(line, parse_constant=refuse) for line in lines]
    assert sorted(entry["number"] for entry in entries) == list(range(12))


def test_a_comparison_is_read_back(whole):
    found, path = whole
    again = lab.Comparison.load(path)
    assert again.plan is None
    assert again.total == found.total == 12
    assert bits(again.runs) == bits(found.runs)
    assert again.about["axes"]["seeds"] == range(4)
    assert again.about["data"].items() >= found.about["data"].items()
    assert again.table() == found.table()
    assert json.loads(again.to_json())["runs"] == json.loads(found.to_json())["runs"]


@settings(max_examples=25)
@given(data=st.data())
def test_a_file_that_was_cut_off_anywhere_is_gone_on_with(tmp_path_factory, whole, data):
    """A process that is killed leaves the beginning of what it would have written."""
    found, path = whole
    content = path.read_bytes()
    cut = tmp_path_factory.mktemp("cut") / "runs.jsonl"
    left = content[: data.draw(st.integers(0, len(content)))]
    cut.write_bytes(left)
    there = max(left.count(b"\n") - 1, 0)
    known = {run.identity: run for run in found.runs}
    seen = []

    def train(task, data, training):
        seen.append(task.identity)
        return known[task.identity]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastinit.lab.sweep.train", train)
        again = lab.compare(**OPTIONS, runs=cut)
    assert len(seen) == len(set(seen)) == 12 - there
    assert bits(again.runs) == bits(found.runs)
    assert sorted(cut.read_bytes().splitlines()) == sorted(content.splitlines())


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(("how", "jobs"), [(signal.SIGKILL, 1), (signal.SIGINT, 2)])
def test_a_command_that_is_killed_is_gone_on_with(tmp_path, how, jobs):
    """Ctrl-C reaches all processes of a terminal, so it goes to the group."""
    path, said = tmp_path / "runs.jsonl", tmp_path / "stderr"
    command = [sys.executable, "-m", "fastinit", "compare", "--init", "he_normal,zeros"]
    command += ["--activation", "relu", "--epochs", "3", "--hidden", "16", "--data", "moons"]
    command += ["--seeds", "300", "--jobs", str(jobs), "--runs", str(path)]
    with (
        said.open("wb") as stderr,
        subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=stderr
        ) as process,
    ):
        try:
            while not path.exists() or path.read_bytes().count(b"\n") < 20:
                assert process.poll() is None
                time.sleep(0.01)
            os.killpg(process.pid, how)
            process.wait(timeout=60)
        finally:
            process.kill()
    kept = bits(lab.Comparison.load(path).runs)
    assert 19 <= len(kept) < 600
    if how == signal.SIGINT:
        assert process.returncode == 130
        message = f"interrupted after {len(kept)} of 600 runs; the same command goes on from {path}"
        assert message in said.read_text()
    options = {"activations": ["relu"], "epochs": 3, "hidden": [16], "data": "moons"}
    found = lab.compare(["he_normal", "zeros"], **options, seeds=300, runs=path, jobs=1)
    assert set(kept) < set(bits(found.runs))
    assert len(found.runs) == 600
    lines = path.read_text().splitlines()[1:]
    assert sorted(json.loads(line)["number"] for line in lines) == list(range(600))


def test_tuning_is_gone_on_with_too(tmp_path, monkeypatch):
    path = tmp_path / "runs.jsonl"
    options = OPTIONS | {"seeds": 3, "tune": True, "learning_rate": [0.001, 0.1]}
    found = lab.compare(**options)
    real, seen = lab.sweep.train, []

    def train(task, data, training):
        if len(seen) == stop:
            raise KeyboardInterrupt
        seen.append(task.identity)
        return real(task, data, training)

    monkeypatch.setattr("fastinit.lab.sweep.train", train)
    stop = 5
    with pytest.raises(lab.Interrupted, match="while tuning, after 5 of 18 runs"):
        lab.compare(**options, runs=path)
    stop = 21
    with pytest.raises(lab.Interrupted, match="after 3 of 9 runs") as caught:
        lab.compare(**options, runs=path)
    assert bits(caught.value.comparison.runs) == bits(found.runs[:3])
    stop = -1
    again = lab.compare(**options, runs=path)
    assert len(seen) == len(set(seen)) == 27
    assert bits(again.runs) == bits(found.runs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 3}, "its epochs is 2, here it is 3"),
        ({"seeds": 5}, "its seeds is"),
        ({"activations": ["tanh"]}, "its activations is"),
        ({"data": blobs(rows=63)}, "its data"),
        ({"data": (blobs()[0] + 1e-3 * blobs()[0] ** 2, blobs()[1])}, "its data sha256 is"),
        ({"tune": True}, "its rates is"),
    ],
)
def test_another_comparison_is_refused(whole, trained, tmp_path, changes, message):
    path = tmp_path / "runs.jsonl"
    path.write_bytes(whole[1].read_bytes())
    with pytest.raises(ArgumentError, match=f"holds runs of another comparison: {message}"):
        lab.compare(**OPTIONS | changes, runs=path)
    assert trained == []
    assert path.read_bytes() == whole[1].read_bytes()


def test_a_function_that_was_edited_is_another_comparison(tmp_path):
    path, code = tmp_path / "runs.jsonl", tmp_path / "mine.py"
    options = OPTIONS | {"initializers": [f"{code}:draw"], "seeds": 1}
    text = "import numpy as np\ndef draw(shape, **_):\n    return np.full(shape, {}, np.float32)\n"
    code.write_text(text.format(0.1))
    lab.compare(**options, runs=path)
    code.write_text(text.format(0.25))
    with pytest.raises(ArgumentError, match="another comparison: its draws"):
        lab.compare(**options, runs=path)


@pytest.mark.parametrize(
    "content", [b"hello", b"hello\n", b'{"a": 1}\n', b"x,y\n1,2\n", b'{"fastinit-runs":99}\n']
)
def test_a_file_of_another_kind_is_left_alone(tmp_path, trained, content):
    path = tmp_path / "mine.txt"
    path.write_bytes(content)
    with pytest.raises(ArgumentError, match=r"mine\.txt"):
        lab.compare(**OPTIONS, runs=path)
    with pytest.raises(ArgumentError, match=r"mine\.txt"):
        lab.Comparison.load(path)
    assert path.read_bytes() == content
    assert trained == []


def test_a_damaged_line_is_named(whole, tmp_path):
    path = tmp_path / "runs.jsonl"
    lines = whole[1].read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], lines[3][:40] + b"\n", *lines[4:]]))
    with pytest.raises(ArgumentError, match="line 4: this is no run"):
        lab.compare(**OPTIONS, runs=path)


def test_a_file_that_cannot_be_written_is_refused_first(tmp_path, trained):
    with pytest.raises(ArgumentError, match=r"cannot write .*: No such file or directory"):
        lab.compare(**OPTIONS, runs=tmp_path / "none" / "runs.jsonl")
    with pytest.raises(ArgumentError, match=r"cannot write .*: Is a directory"):
        lab.compare(**OPTIONS, runs=tmp_path)
    assert trained == []


@pytest.mark.skipif(store.fcntl is None, reason="needs locks on files")
def test_two_at_once_are_refused(tmp_path):
    plan = make_plan(**{name: OPTIONS[name] for name in OPTIONS if name != "jobs"})
    path = tmp_path / "runs.jsonl"
    with (
        store.open_store(path, plan),
        pytest.raises(ArgumentError, match="is being written by another process"),
        store.open_store(path, plan),
    ):
        pass
    with store.open_store(path, plan):  # whoever has ended is not in the way
        pass


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is full")
def test_a_full_disk_keeps_what_was_there(whole, tmp_path, monkeypatch, trained):
    """The write that fails may have written a part."""
    path = tmp_path / "runs.jsonl"
    count = 0

    class Filling:
        def __init__(self, file):
            self.file = file

        def write(self, line):
            nonlocal count
            count += 1
            if count == 8:
                self.file.write(bytes(line)[:50])
                raise OSError(28, "No space left on device")
            return self.file.write(line)

        def __getattr__(self, name):
            return getattr(self.file, name)

    real = store.InFile._lock

    def lock(self):
        real(self)
        self._file = Filling(self._file)

    monkeypatch.setattr(store.InFile, "_lock", lock)
    with pytest.raises(OSError, match="No space left"):
        lab.compare(**OPTIONS, runs=path)
    monkeypatch.undo()
    assert path.read_bytes().endswith(b"}\n")
    assert bits(lab.Comparison.load(path).runs) == bits(whole[0].runs[:6])
    assert bits(lab.compare(**OPTIONS, runs=path).runs) == bits(whole[0].runs)


@example([math.inf, -math.inf, math.nan, -0.0], [5e-324], None, "nan")
@given(
    st.lists(st.floats(), max_size=4),
    st.lists(st.floats(width=32), min_size=1, max_size=4),
    st.one_of(st.none(), st.floats(0, 1)),
    st.text(max_size=8),
)
def test_a_run_comes_back_bit_for_bit(whole, losses, spread, idle, name):
    run = replace(
        whole[0].runs[0],
        initializer=name,
        train_loss=tuple(losses),
        activation_spread=tuple(spread),
        idle_start=idle,
    )
    line = json.dumps(store.encode(run), allow_nan=False)
    assert repr(store.decode(json.loads(line))) == repr(run)
