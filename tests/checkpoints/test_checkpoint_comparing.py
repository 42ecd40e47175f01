"""What `verify` and `diff` find in files: nothing where there is nothing, and each thing done."""

import json
import math

import numpy as np
import pytest

import fastinit
from fastinit.checkpoints import describe, diff, verify, verifying, write
from fastinit.checkpoints.difference import PIECE
from fastinit.errors import ArgumentError, ArgumentTypeError

official = pytest.importorskip("safetensors.numpy")
pytest.importorskip("ml_dtypes")  # with which it reads bfloat16

SHAPES = {"head.kernel": (300, 40), "head.bias": (40,), "square": (32, 32), "none": (0,)}
RECIPE = {"*.bias": "zeros", "square": "orthogonal", "*": "normal(std=0.1)"}


@pytest.fixture
def file(tmp_path):
    return write(SHAPES, tmp_path / "x.safetensors", RECIPE, seed=0)


def place_of(path, name):
    header = path.read_bytes()[8:]
    length = int.from_bytes(path.read_bytes()[:8], "little")
    return 8 + length + json.loads(header[:length])[name]["data_offsets"][0]


def damage(path, at, value=0x7F):
    with open(path, "r+b") as stream:
        stream.seek(at)
        old = stream.read(1)
        stream.seek(at)
        stream.write(bytes([old[0] ^ value]))


# ---------------------------------------------------------------- verify


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
def test_a_written_file_is_what_it_says(dtype, tmp_path):
    path = write(SHAPES, tmp_path / "x.safetensors", RECIPE, seed=2, dtype=dtype)
    found = verify(path)
    assert found.ok
    assert (found.tensors, found.compared, found.parameters, found.checked) == (4, 13064, 13064, 4)
    assert "all are those of the seed, and 4 checksums hold" in str(found)


def test_a_damaged_byte_is_found(file):
    at = place_of(file, "head.kernel") + 4 * (7 * 40 + 3)
    damage(file, at + 2)
    found = verify(file)
    expected = fastinit.normal((300, 40), std=0.1, seed=fastinit.key(0, "head.kernel"))
    (fault,) = found.faults
    assert (fault.name, fault.index, fault.differing) == ("head.kernel", (7, 3), 1)
    assert fault.expected == pytest.approx(float(expected[7, 3]))
    assert fault.found != fault.expected
    assert found.damaged == ["head.kernel"]
    assert not found.ok
    assert "head.kernel[7, 3]\n  is" in str(found)
    assert "head.kernel is damaged: its checksum does not hold" in str(found)


@pytest.mark.parametrize("name", ["head.bias", "square"])
def test_a_damaged_byte_is_found_in_every_kind_of_tensor(name, file):
    damage(file, place_of(file, name), 0x80 if name == "square" else 1)
    assert [fault.name for fault in verify(file).faults] == [name]


def test_minus_zero_is_not_zero(file):
    damage(file, place_of(file, "head.bias") + 3, 0x80)
    assert [fault.index for fault in verify(file).faults] == [(0,)]


def test_a_wrong_checksum_is_found(file):
    data = file.read_bytes()
    at = data.index(b"crc32")
    digit = data.index(b"head.kernel", at) + len(b'head.kernel\\":\\"')
    damage(file, digit, 1)
    found = verify(file)
    assert (found.faults, found.damaged) == ([], ["head.kernel"])
    assert verify(file, sample=0.5).ok  # which looks at no checksum


def test_another_seed_or_recipe_is_found(file):
    found = verify(file, seed=1)
    assert {fault.name for fault in found.faults} == {"head.kernel", "square"}
    assert found.damaged == []
    assert "all checksums hold: made from another seed or recipe" in str(found)
    found = verify(file, {"*.bias": "ones"})
    assert [(fault.name, fault.found, fault.expected) for fault in found.faults] == [
        ("head.bias", 0, 1)
    ]
    with pytest.raises(ArgumentError, match="is of float32, expected float16"):
        verify(file, dtype="float16")


def test_a_sample_has_a_piece_of_each_tensor(tmp_path, monkeypatch):
    monkeypatch.setattr(verifying, "PIECE", 1000)
    path = write(SHAPES, tmp_path / "x.safetensors", RECIPE, seed=0)
    found = verify(path, sample=0.25)
    assert found.compared == 3000 + 40 + 1024
    assert found.ok
    assert not verify(path, seed=1, sample=1e-6).ok
    assert verify(path).ok  # all pieces, and the checksums that are put together from theirs
    assert verify(path).checked == 4
    for share in 0, -1, 1.5, math.nan:
        with pytest.raises(ArgumentError, match="sample must be above 0"):
            verify(path, sample=share)


def test_a_file_of_someone_else(tmp_path):
    path = tmp_path / "x.safetensors"
    official.save_file(fastinit.initialize(SHAPES, RECIPE, 5), path)
    with pytest.raises(ArgumentError, match="no rule fits it"):
        verify(path)
    with pytest.raises(ArgumentError, match="no seed"):
        verify(path, RECIPE)
    found = verify(path, RECIPE, 5)
    assert found.ok
    assert found.checked == 0


def test_a_summary_stays_short(tmp_path):
    path = write({str(i): (2,) for i in range(40)}, tmp_path / "x.safetensors", "normal", 0)
    assert len(str(verify(path, seed=1)).splitlines()) < 30


# ---------------------------------------------------------------- diff


def test_figures_are_those_of_the_definitions():
    weights = fastinit.initialize(SHAPES, RECIPE, 0)
    rng = np.random.default_rng(0)
    begun = {name: array.astype(np.float64) for name, array in weights.items()}
    weights["head.kernel"][:100] += rng.normal(0, 0.01, (100, 40)).astype(np.float32)
    weights["head.bias"] += 0.5
    found = diff(weights, RECIPE, 0)
    assert list(found) == list(SHAPES)
    change, a = found["head.kernel"], begun["head.kernel"]
    b = weights["head.kernel"].astype(np.float64)
    assert change.initial == pytest.approx(np.sqrt((a * a).mean()), rel=1e-12)
    assert change.final == pytest.approx(np.sqrt((b * b).mean()), rel=1e-12)
    assert change.change == pytest.approx(np.sqrt(((b - a) ** 2).mean()), rel=1e-12)
    assert change.relative == pytest.approx(np.linalg.norm(b - a) / np.linalg.norm(a), rel=1e-12)
    cosine = (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)
    assert change.cosine == pytest.approx(cosine, rel=1e-12)
    assert change.largest == np.abs(b - a).max()
    assert change.unchanged == (a == b).mean()
    bias = found["head.bias"]
    assert (bias.relative, bias.unchanged, bias.largest) == (math.inf, 0, 0.5)
    assert math.isnan(bias.cosine)
    assert (found["square"].relative, found["square"].unchanged) == (0, 1)
    norms = [np.linalg.norm(weights[name] - begun[name]) ** 2 for name in SHAPES]
    count = sum(math.prod(shape) for shape in SHAPES.values())
    assert found.total.change == pytest.approx(math.sqrt(sum(norms) / count), rel=1e-12)


def test_pieces_and_threads_do_not_matter():
    shapes = {"a": (3, PIECE // 2 + 7)}
    weights = fastinit.initialize(shapes, "normal", 1)
    threads = fastinit.get_num_threads()
    found = []
    for count in 1, 3:
        fastinit.set_num_threads(count)
        found.append(diff(weights, "normal", 0)["a"])
    fastinit.set_num_threads(threads)
    assert found[0] == found[1]
    begun = fastinit.initialize(shapes, "normal", 0)["a"].astype(np.float64)
    expected = np.linalg.norm(weights["a"] - begun) / np.linalg.norm(begun)
    assert found[0].relative == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
def test_files_and_arrays_are_the_same(dtype, tmp_path):
    path = write(SHAPES, tmp_path / "x.safetensors", RECIPE, seed=0, dtype=dtype)
    begun = diff(path)
    assert {change.unchanged for change in begun.values()} == {1.0}
    arrays = official.load_file(path)
    arrays["head.kernel"] = (arrays["head.kernel"] * 2).astype(arrays["head.kernel"].dtype)
    official.save_file(arrays, tmp_path / "trained.safetensors")
    trained = diff(tmp_path / "trained.safetensors", model=path)
    assert trained["head.kernel"].relative == 1
    assert trained["head.kernel"].cosine == pytest.approx(1, abs=1e-12)
    assert diff(arrays, model=path).to_json() != begun.to_json()
    assert dict(diff(arrays, model=describe(path)))["head.kernel"] == trained["head.kernel"]
    assert dict(diff(tmp_path / "trained.safetensors", RECIPE, 0)).keys() == SHAPES.keys()


def test_a_training_in_more_digits_than_it_began_with(tmp_path):
    path = write(SHAPES, tmp_path / "x.safetensors", RECIPE, seed=0, dtype="bfloat16")
    weights = {n: a.astype(np.float32) for n, a in official.load_file(path).items()}
    assert diff(weights, model=path).total.unchanged == 1
    assert diff(weights, RECIPE, 0).total.unchanged < 0.5  # where it is float32 that began
    assert diff(weights, RECIPE, 0, dtype="bfloat16").total.unchanged == 1


def test_what_cannot_be_compared(tmp_path):
    weights = fastinit.initialize(SHAPES, RECIPE, 0)
    with pytest.raises(ArgumentError, match=r"'head\.kernel': no rule fits it, .*'\*\.bias'"):
        diff(weights, {"*.bias": "zeros"}, 0)
    with pytest.raises(ArgumentError, match="no seed"):
        diff(weights, RECIPE)
    with pytest.raises(ArgumentError, match=r"'square' has the shape \(32, 32\), in the model"):
        diff(weights, RECIPE, 0, model=SHAPES | {"square": (16, 64)})
    with pytest.raises(ArgumentError, match="unknown tensor 'none'"):
        diff(weights, RECIPE, 0, model={n: SHAPES[n] for n in list(SHAPES)[:3]})
    with pytest.raises(ArgumentTypeError, match="'x': expected an array"):
        diff({"x": "weights"}, RECIPE, 0)
    weights["steps"] = np.arange(3)
    found = diff(weights, RECIPE, 0, exclude=["square"])
    assert (list(found), found.skipped) == (["head.kernel", "head.bias", "none"], ["steps"])


def test_nan_does_not_hide():
    weights = fastinit.initialize(SHAPES, RECIPE, 0)
    weights["head.kernel"][3, 3] = np.nan
    found = diff(weights, RECIPE, 0)
    assert math.isnan(found["head.kernel"].change)
    assert math.isnan(found["head.kernel"].largest)
    assert found["head.kernel"].unchanged == 1 - 1 / 12000
    assert json.loads(found.to_json())["tensors"][0]["change"] is None


def test_infinities_do_not_stop_it():
    weights = fastinit.initialize({"kernel": (2, 2**17)}, "normal", 0)
    first, second = weights["kernel"]
    first[first.argmax()] = second[second.argmin()] = np.inf  # products of both signs
    change = diff(weights, "normal", 0)["kernel"]
    assert change.change == change.relative == change.largest == np.inf
    assert math.isnan(change.cosine)
    weights["kernel"][:] = np.nan
    assert math.isnan(diff(weights, "zeros", 0)["kernel"].relative)
    weights = {"kernel": np.full(2**18, 4e151)}  # the sum of each piece is finite
    assert diff(weights, "zeros", 0)["kernel"].final == np.inf


def test_tables():
    shapes = {"a.very.long.name.of.a.layer.in.a.deep.model." * 3 + "kernel": (40, 30), "b": (5,)}
    weights = fastinit.initialize(shapes, {"b": "zeros", "*": "normal"}, 0)
    found = diff(weights, {"b": "zeros", "*": "normal"}, 1)
    lines = found.table().splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines] == ["tensor", lines[1].split()[0], "b", "all"]
    assert lines[1].startswith("…")
    assert "model.kernel" in lines[1]
    frame = found.to_frame()
    assert list(frame["name"]) == list(shapes)
    assert frame["relative"][0] == found[next(iter(shapes))].relative
    document = json.loads(found.to_json())
    assert document["tensors"][1]["initializer"] == "zeros()"
    assert document["total"]["unchanged"] == found.total.unchanged
    assert diff({}, "zeros", 0).total.unchanged == 1


def test_rewinding_to_the_beginning_with_a_mask():
    weights = fastinit.initialize(SHAPES, RECIPE, 0)
    begun = {name: array.copy() for name, array in weights.items()}
    for array in weights.values():
        array *= 1.5
        array += 0.1
    masks = {name: np.abs(array) > 0.05 for name, array in weights.items()}
    fastinit.initialize(weights, RECIPE, 0, out=weights)
    for name in weights:
        weights[name] *= masks[name]
        assert (weights[name] == begun[name] * masks[name]).all()
    assert diff(begun, RECIPE, 0).total.change == 0
