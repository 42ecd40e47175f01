"""Files as they are written: the values, in little memory, and whole or not there."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections import namedtuple
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastinit
from fastinit.checkpoints import describe, open_checkpoint, verify, write, writing
from fastinit.errors import ArgumentError, ArgumentTypeError

official = pytest.importorskip("safetensors.numpy")
pytest.importorskip("ml_dtypes")  # with which it reads bfloat16

SHAPES = {
    "wte.weight": (300, 64),
    "h.0.kernel": (64, 192),
    "h.0.bias": (192,),
    "h.0.square": (48, 48),
    "h.1.kernel": (64, 191),
    "h.1.scale": (),
    "none": (0, 5),
}
RECIPE = {"*.bias": "zeros", "*.scale": "constant(0.5)", "*.square": "orthogonal"}
RECIPE |= {"h.*": "he_normal", "*": "truncated_normal(std=0.02)"}


@contextmanager
def pieces_of(size):
    whole, writing.PIECE = writing.PIECE, size
    try:
        yield
    finally:
        writing.PIECE = whole


def bits(array):
    return np.ascontiguousarray(array).reshape(-1).view(f"u{array.itemsize}")


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def loaded(path):
    if path.suffix == ".safetensors":
        return official.load_file(path)
    arrays = {}
    for name in set(json.loads(path.read_text())["weight_map"].values()):
        arrays |= official.load_file(path.parent / name)
    return arrays


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].shape == array.shape
        assert found[name].dtype == array.dtype
        assert (bits(found[name]) == bits(array)).all(), name


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
def test_values_are_those_of_initialize(dtype, tmp_path):
    path = write(SHAPES, tmp_path / "x.safetensors", RECIPE, seed=3, dtype=dtype)
    expected = fastinit.initialize(SHAPES, RECIPE, 3, dtype=dtype)
    same(loaded(path), expected)
    alone = fastinit.get("he_normal")((64, 191), seed=fastinit.key(3, "h.1.kernel"), dtype=dtype)
    assert (bits(loaded(path)["h.1.kernel"]) == bits(alone)).all()


DTYPES = st.sampled_from(["float32", "bfloat16", "float16", "float64"])


@settings(max_examples=25)
@given(
    tensors=st.lists(st.tuples(st.lists(st.integers(0, 40), max_size=3), DTYPES), max_size=6),
    words=st.integers(1, 400),
    limit=st.none() | st.integers(1, 20_000),
)
def test_no_size_of_pieces_or_shards_changes_a_value(tensors, words, limit, tmp_path_factory):
    model = {
        str(i): np.empty(shape, fastinit.zeros(0, dtype=dtype).dtype)
        for i, (shape, dtype) in enumerate(tensors)
    }
    recipe = {"0": "zeros", "*": "normal"}
    folder = tmp_path_factory.mktemp("pieces")
    # Without the page cache, pieces are whole blocks of the disk.
    with pieces_of(8 * words), pytest.MonkeyPatch.context() as patch:
        patch.delattr(os, "O_DIRECT", raising=False)
        patch.setattr(writing, "AT_ONCE", 1 + words // 3)
        path = write(model, folder / "x.safetensors", recipe, seed=1, shard_size=limit)
    same(loaded(path), fastinit.initialize(model, recipe, 1))
    assert verify(path).ok
    if limit is not None:
        for file in folder.glob("*.safetensors"):
            held = open_checkpoint(file)
            assert len(held) <= 1 or sum(p.end - p.begin for p in held.values()) <= limit


def test_neither_threads_nor_the_page_cache_change_a_byte(tmp_path, monkeypatch):
    threads = fastinit.get_num_threads()
    files = []
    for count, direct in (1, True), (4, True), (3, False):
        fastinit.set_num_threads(count)
        if not direct:
            monkeypatch.delattr(os, "O_DIRECT", raising=False)
        with pieces_of(4096):
            path = write(SHAPES, tmp_path / f"{count}.safetensors", RECIPE, seed=0)
        files.append(path.read_bytes())
    fastinit.set_num_threads(threads)
    assert files[0] == files[1] == files[2]


def test_a_file_system_that_cannot_do_without_the_page_cache(tmp_path, monkeypatch):
    if not hasattr(os, "O_DIRECT"):
        pytest.skip("this system always has it")
    write(SHAPES, tmp_path / "x.safetensors", RECIPE, seed=0)
    real, refusals = writing._Hand._write_all, []

    def refuse(hand, stream, first):
        if hand._direct:
            refusals.append(first)
            raise OSError(errno.EINVAL, "Invalid argument")
        real(hand, stream, first)

    monkeypatch.setattr(writing._Hand, "_write_all", refuse)
    write(SHAPES, tmp_path / "y.safetensors", RECIPE, seed=0)
    assert refusals
    assert (tmp_path / "x.safetensors").read_bytes() == (tmp_path / "y.safetensors").read_bytes()


def test_names_of_files_and_the_index(tmp_path):
    path = write(SHAPES, tmp_path / "new" / "folder", RECIPE, 0, shard_size="64KiB")
    assert path == tmp_path / "new" / "folder" / "model.safetensors.index.json"
    assert sorted(content(path.parent)) == [
        "model-00001-of-00003.safetensors",
        "model-00002-of-00003.safetensors",
        "model-00003-of-00003.safetensors",
        "model.safetensors.index.json",
    ]
    index = json.loads(path.read_text())
    description = describe(SHAPES, RECIPE)
    assert index["metadata"] == {
        "total_size": description.nbytes,
        "total_parameters": description.parameters,
    }
    assert list(index["weight_map"]) == list(SHAPES)
    same(loaded(path), fastinit.initialize(SHAPES, RECIPE, 0))
    assert verify(path.parent).ok
    assert dict(describe(path)) == dict(description)
    single = write(SHAPES, tmp_path / "one", RECIPE, 0)
    assert sorted(content(single.parent)) == ["model.safetensors"]
    named = write(SHAPES, tmp_path / "two" / "gpt.safetensors", RECIPE, 0, shard_size=1)
    assert named.name == "gpt.safetensors.index.json"
    assert len(content(named.parent)) == 8


def test_a_file_as_a_template(tmp_path):
    official.save_file({"a": np.ones((4, 3), np.float16)}, tmp_path / "x.safetensors")
    path = write(tmp_path / "x.safetensors", tmp_path / "y.safetensors", {"*": "normal"}, 9)
    same(loaded(path), fastinit.initialize({"a": (4, 3)}, "normal", 9, dtype="float16"))
    again = write(path, tmp_path / "z.safetensors")
    assert again.read_bytes() == path.read_bytes()


def test_progress_counts_every_byte(tmp_path):
    seen = []
    with pieces_of(4096):
        path = write(
            *(SHAPES, tmp_path / "x.safetensors", RECIPE, 0),
            progress=lambda *counts: seen.append(counts),
        )
    size = path.stat().st_size
    assert [total for _, total in seen] == [size] * len(seen)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1][0] == size


# ---------------------------------------------------------------- what is there already


def test_nothing_is_replaced_unasked(tmp_path):
    write(SHAPES, tmp_path, RECIPE, 0, shard_size="64KiB")
    before = content(tmp_path)
    for shard_size in "64KiB", "1GB":
        with pytest.raises(ArgumentError, match="is there already; --force"):
            write(SHAPES, tmp_path, RECIPE, 1, shard_size=shard_size)
    assert content(tmp_path) == before
    write(SHAPES, tmp_path, RECIPE, 1, force=True)
    assert list(content(tmp_path)) == ["model.safetensors"]
    assert verify(tmp_path, seed=1).ok
    write(SHAPES, tmp_path, RECIPE, 0, shard_size="64KiB", force=True)
    assert content(tmp_path) == before


def test_what_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.safetensors").mkdir()
    for out, words in [("file", "a folder or a file"), ("folder.safetensors", "is a folder")]:
        with pytest.raises(ArgumentError, match=words):
            write(SHAPES, tmp_path / out, RECIPE, 0)
    for size in "5 gigs", 0, "-1GB", "", "9" * 400:
        with pytest.raises(ArgumentError, match="a size is a number of bytes"):
            write(SHAPES, tmp_path / "x", RECIPE, 0, shard_size=size)
    with pytest.raises(ArgumentError, match="no seed is given"):
        write(SHAPES, tmp_path / "x", RECIPE)

    def own(shape, *, seed, dtype):
        return np.ones(shape, dtype)

    with pytest.raises(ArgumentTypeError, match=r"'wte.weight': .* fastinit.get understands"):
        write(SHAPES, tmp_path / "x", own, 0)
    with pytest.raises(ArgumentError, match="__metadata__"):
        write({"__metadata__": (2,)}, tmp_path / "x", "zeros", 0)
    with pytest.raises(ArgumentError, match="must be Unicode"):
        write({"\ud800": (2,)}, tmp_path / "x", "zeros", 0)
    assert not (tmp_path / "x").exists()


# ---------------------------------------------------------------- what goes wrong on the way


def interrupted(out, pieces, error=None, **options):
    """Let so many pieces be written, then fail."""
    real, left = writing._Hand._write_all, iter(range(pieces))
    error = error or OSError(errno.ENOSPC, "No space left")

    def write_all(hand, stream, first):
        if next(left, None) is None:
            raise error
        real(hand, stream, first)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing._Hand, "_write_all", write_all)
        with pytest.raises(type(error)):
            write(SHAPES, out, RECIPE, 0, **options)


def part_of(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_a_full_disk_leaves_nothing_that_looks_whole(error, tmp_path, monkeypatch):
    with pieces_of(4096):
        expected = write(SHAPES, tmp_path / "a" / "x.safetensors", RECIPE, 0).read_bytes()
        interrupted(tmp_path / "b" / "x.safetensors", 20, error)
        assert part_of(tmp_path / "b") == [".x.fastinit-write", ".x.safetensors.part"]
        with pytest.raises(ArgumentError, match="is no safetensors file"):
            open_checkpoint(tmp_path / "b" / ".x.safetensors.part")
        with pytest.raises(ArgumentError, match="an interrupted write of another model"):
            write(SHAPES, tmp_path / "b" / "x.safetensors", RECIPE, 1)
        lines = (tmp_path / "b" / ".x.fastinit-write").read_text().splitlines()
        assert len(lines) == 21
        written = counted(monkeypatch)
        path = write(SHAPES, tmp_path / "b" / "x.safetensors", RECIPE, 0)
    assert path.read_bytes() == expected
    assert part_of(tmp_path / "b") == ["x.safetensors"]
    assert len(written) == -(-len(expected) // 4096) - 20


def counted(monkeypatch):
    real, written = writing._Hand._write_all, []

    def write_all(hand, stream, first):
        written.append(first)
        real(hand, stream, first)

    monkeypatch.setattr(writing._Hand, "_write_all", write_all)
    return written


def test_pieces_that_were_lost_are_made_again(tmp_path, monkeypatch):
    out = tmp_path / "x.safetensors"
    with pieces_of(4096):
        interrupted(out, 20)
        journal = tmp_path / ".x.fastinit-write"
        done = [json.loads(line)[1] for line in journal.read_text().splitlines()[1:]]
        with open(tmp_path / ".x.safetensors.part", "r+b") as stream:
            stream.seek(done[3] * 4096 + 4090)
            stream.write(b"\x55")
        with open(journal, "a") as stream:
            stream.write("[0, 21, [1")  # a line that was cut off
        written = counted(monkeypatch)
        write(SHAPES, out, RECIPE, 0)
    assert done[3] * 4096 in written
    assert not {piece * 4096 for piece in done} - {done[3] * 4096} & set(written)
    assert verify(out).ok


def test_another_write_is_given_up_with_force(tmp_path):
    out = tmp_path / "x.safetensors"
    interrupted(out, 0)
    assert part_of(tmp_path) == []
    with pieces_of(4096):
        interrupted(out, 5)
    with pytest.raises(ArgumentError, match="an interrupted write of another"):
        write(SHAPES, out, RECIPE, 1)
    write(SHAPES, out, RECIPE, 1, force=True)
    assert verify(out, seed=1).ok
    assert part_of(tmp_path) == ["x.safetensors"]


@pytest.mark.parametrize("renamed", [0, 1, 3])
def test_a_kill_between_the_renamings(renamed, tmp_path, monkeypatch):
    expected = tmp_path / "expected"
    write(SHAPES, expected, RECIPE, 0, shard_size="64KiB")
    left = iter(range(renamed))
    real = os.replace

    def replace(*names):
        if next(left, None) is None:
            raise KeyboardInterrupt
        real(*names)

    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", replace)
        with pytest.raises(KeyboardInterrupt):
            write(SHAPES, out, RECIPE, 0, shard_size="64KiB")
    assert not (out / "model.safetensors.index.json").exists()
    write(SHAPES, out, RECIPE, 0, shard_size="64KiB")
    assert content(out) == content(expected)


def test_what_was_taken_away_after_a_kill_is_made_again(tmp_path, monkeypatch):
    expected = write(SHAPES, tmp_path / "expected", RECIPE, 0).read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "_sync", lambda folder: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            write(SHAPES, tmp_path / "out", RECIPE, 0)
    (tmp_path / "out" / "model.safetensors").unlink()
    assert write(SHAPES, tmp_path / "out", RECIPE, 0).read_bytes() == expected
    assert part_of(tmp_path / "out") == ["model.safetensors"]


def test_what_came_there_after_a_kill_is_not_replaced_unasked(tmp_path):
    out = tmp_path / "x.safetensors"
    with pieces_of(4096):
        interrupted(out, 5)
        out.write_text("someone else's")
        with pytest.raises(ArgumentError, match="is there already; --force"):
            write(SHAPES, out, RECIPE, 0)
        assert out.read_text() == "someone else's"
        interrupted(out, 5, force=True)
        assert out.read_text() == "someone else's"
        write(SHAPES, out, RECIPE, 0)  # which has been allowed
    assert verify(out).ok


def test_room_is_looked_for_first(tmp_path, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(writing.shutil, "disk_usage", lambda folder: usage(1000))
    with pytest.raises(OSError, match=r"bytes are needed, 1000 are free") as caught:
        write(SHAPES, tmp_path / "x.safetensors", RECIPE, 0)
    assert caught.value.errno == errno.ENOSPC
    assert part_of(tmp_path) == []


def test_two_processes_do_not_write_the_same(tmp_path):
    pytest.importorskip("fcntl")

    def again(done, total):
        with pytest.raises(ArgumentError, match="another process is writing"):
            write(SHAPES, tmp_path / "x.safetensors", RECIPE, 0)
        tried.append(done)

    tried = []
    write(SHAPES, tmp_path / "x.safetensors", RECIPE, 0, progress=again)
    assert tried


# Runs the command with small pieces that take their time.
SLOWLY = """
import sys, time
from fastinit import cli
from fastinit.checkpoints import writing
writing.PIECE = 4096
real = writing._Hand._write_all
def slowly(hand, stream, first):
    time.sleep(0.01)
    real(hand, stream, first)
writing._Hand._write_all = slowly
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_a_killed_process_is_resumed_to_the_same_bytes(tmp_path):
    model = tmp_path / "model.json"
    model.write_text(json.dumps({"tensors": SHAPES, "recipe": RECIPE}))
    command = ["write", str(model), str(tmp_path / "out"), "--shard-size", "64KiB", "--seed", "4"]
    journal = tmp_path / "out" / ".model.fastinit-write"
    counts = []
    for kill, status in (signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130):
        process = subprocess.Popen(
            [sys.executable, "-c", SLOWLY, *command], stderr=subprocess.PIPE, text=True
        )
        enough = 12 + sum(counts)
        while not (journal.exists() and journal.read_bytes().count(b"[") >= 2 * enough):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.005)
        process.send_signal(kill)
        _, err = process.communicate(timeout=30)
        assert process.returncode == status
        assert err == "" or "the same command goes on from there" in err
        counts.append(enough)
        assert not [name for name in part_of(tmp_path / "out") if name[0] != "."]
    with pieces_of(4096):
        path = write(model, tmp_path / "out", seed=4, shard_size="64KiB")
        write(model, tmp_path / "expected", seed=4, shard_size="64KiB")
    assert content(tmp_path / "out") == content(tmp_path / "expected")
    same(loaded(path), fastinit.initialize(SHAPES, RECIPE, 4))


PEAK = """
import sys
from pathlib import Path
from fastinit import cli
assert cli.main(sys.argv[1:]) == 0
words = Path("/proc/self/status").read_text().split()
print(int(words[words.index("VmHWM:") + 1]) / 1024)
assert not {"numba", "scipy", "torch", "pandas", "ml_dtypes"} & set(sys.modules)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="Linux alone says it")
def test_memory_does_not_grow_with_the_model(tmp_path):
    if fastinit.show_config("dicts")["backend"] != "cython":
        pytest.skip("Numba alone takes more")
    model = tmp_path / "model.json"
    shapes = {f"h.{i}.kernel": (4096, 8192) for i in range(8)}  # a gigabyte
    model.write_text(json.dumps({"tensors": shapes, "recipe": {"*": "normal(std=0.02)"}}))
    command = ["write", str(model), str(tmp_path / "out"), "--shard-size", "300MB"]
    result = subprocess.run(
        [sys.executable, "-c", PEAK, *command], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    size = sum(file.stat().st_size for file in (tmp_path / "out").iterdir())
    for file in (tmp_path / "out").iterdir():
        file.unlink()
    assert size > 2**30
    megabytes = float(result.stdout.split()[-1])
    assert megabytes < 60 + 8.4 * (fastinit.get_num_threads() + 1)
