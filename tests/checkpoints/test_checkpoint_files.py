"""The safetensors format: what the official library reads and writes, and what is refused."""

import json
import zlib

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastinit.checkpoints import open_checkpoint, write
from fastinit.checkpoints.checksums import combine
from fastinit.checkpoints.files import BITS, header_bytes
from fastinit.errors import ArgumentError
from fastinit.sampling.dtypes import FLOATS, find

official = pytest.importorskip("safetensors.numpy")

# Names, of which the order and the way they are written in JSON matter, and their dtypes.
TENSORS = {
    "z": ((3,), "float32"),
    'é.\n"weight"': ((2, 2), "float16"),
    "a": ((2,), "float64"),
    "ab": ((), "bfloat16"),
    "Empty": ((0, 3), "float32"),
    "b": ((5, 3), "float32"),
}


def header_of(path):
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :], length


def test_a_file_is_that_of_the_official_library(tmp_path):
    model = {name: np.empty(shape, find(d, FLOATS).array) for name, (shape, d) in TENSORS.items()}
    ours, theirs = tmp_path / "ours.safetensors", tmp_path / "theirs.safetensors"
    write(model, ours, "normal", seed=0)
    arrays = official.load_file(ours)
    metadata = header_of(ours)[0]["__metadata__"]
    official.save_file(arrays, theirs, metadata)
    assert ours.read_bytes() == theirs.read_bytes()


def test_a_header_begins_its_data_at_a_multiple_of_eight():
    for extra in range(9):
        tensors = {"x" * (extra + 1): ((1,), find("float32", FLOATS))}
        header, spans = header_bytes(tensors, {})
        assert len(header) % 8 == 0
        assert spans["x" * (extra + 1)] == (len(header), len(header) + 4)


def test_every_dtype_of_the_official_library_is_read(tmp_path):
    kinds = [np.bool_, np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.int64]
    kinds += [np.uint64, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, np.complex64]
    path = tmp_path / "x.safetensors"
    official.save_file({str(i): np.ones((2, 3), kind) for i, kind in enumerate(kinds)}, path)
    found = open_checkpoint(path)
    assert all(place.code in BITS and place.dtype is None for place in found.values())
    assert [found[str(i)].end - found[str(i)].begin for i in range(len(kinds))] == [
        6 * np.dtype(kind).itemsize for kind in kinds
    ]


def entry(begin, end, shape=None, dtype="U8"):
    return {"dtype": dtype, "shape": [end - begin] if shape is None else shape} | {
        "data_offsets": [begin, end]
    }


def file_of(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


# What is wrong with a file, and words of the message.
DAMAGED = {
    "empty": (b"", "no safetensors file"),
    "short": (b"\0\0\0", "no safetensors file"),
    "header longer than the file": (file_of({}, length=3), "no safetensors file"),
    "header of 2**63 bytes": (file_of({}, length=2**63), "no safetensors file"),
    "no JSON": (file_of(b"{]"), "damaged"),
    "no UTF-8": (file_of(b'{"\xff": 1}'), "damaged"),
    "deep": (file_of(b"[" * 100_000), "damaged"),
    "a list": (file_of([]), "no safetensors file"),
    "a name twice": (file_of(b'{"a": 1, "a": 1}'), "twice"),
    "no entry": (file_of({"a": 7}), "damaged: the tensor 'a' is 7"),
    "no offsets": (file_of({"a": {"dtype": "U8", "shape": []}}), "the tensor 'a'"),
    "negative": (file_of({"a": entry(0, 4, [-4])}, b"1234"), "the tensor 'a'"),
    "a truth value": (file_of({"a": entry(0, 1, [True])}, b"1"), "the tensor 'a'"),
    "a fraction": (file_of({"a": entry(0, 4, [4.0])}, b"1234"), "the tensor 'a'"),
    "another size": (file_of({"a": entry(0, 4, [1], "F16")}, b"1234"), "the tensor 'a'"),
    "overflow": (file_of({"a": entry(0, 0, [2**62, 4])}), "the tensor 'a'"),
    "backwards": (file_of({"a": entry(4, 0, [0])}, b"1234"), "the tensor 'a'"),
    "overlap": (file_of({"a": entry(0, 4), "b": entry(3, 6)}, b"123456"), "'b' overlaps"),
    "gap": (file_of({"a": entry(0, 2), "b": entry(3, 6)}, b"123456"), "'b' begins after a gap"),
    "cut off": (file_of({"a": entry(0, 4)}, b"123"), "is cut off"),
    "too long": (file_of({"a": entry(0, 4)}, b"12345"), "belong to no tensor"),
    "metadata": (file_of({"__metadata__": {"a": 1}}), "mapping of strings"),
    "metadata that say nonsense": (file_of({"__metadata__": {"fastinit": "{}"}}), "damaged"),
    "another stream": (
        file_of(
            {
                "__metadata__": {
                    "fastinit": '{"stream": 2, "rules": {}, "crc32": {}, "seed": 0, "layout": null}'
                }
            }
        ),
        "version 2 of the random stream",
    ),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_file_is_refused(what, tmp_path):
    data, words = DAMAGED[what]
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    with pytest.raises(ArgumentError, match=words):
        write(path, tmp_path / "y.safetensors", "zeros", seed=0)
    assert not (tmp_path / "y.safetensors").exists()


@given(st.binary(max_size=200), st.integers(0, 60))
def test_no_bytes_do_anything_but_be_refused(tmp_path_factory, noise, at):
    path = tmp_path_factory.mktemp("noise") / "x.safetensors"
    good = file_of({"a": entry(0, 4), "__metadata__": {"b": "c"}}, b"1234")
    path.write_bytes(good[:at] + noise + good[at + len(noise) :])
    try:
        found = open_checkpoint(path)
    except ArgumentError:
        return
    assert all(place.end <= path.stat().st_size for place in found.values())


INDICES = {
    "no index": ({"x": 1}, "no weight_map"),
    "another folder": ({"weight_map": {"a": "../x.safetensors"}}, "plain name"),
    "no file": ({"weight_map": {"a": "y.safetensors"}}, "cannot read"),
    "no tensor": ({"weight_map": {"b": "x.safetensors"}}, "no tensor 'b'"),
    "a tensor more": ({"weight_map": {"b": "x.safetensors"}}, "no tensor 'b'"),
    "nothing": ({"weight_map": []}, "no weight_map"),
}


@pytest.mark.parametrize("what", INDICES)
def test_a_wrong_index_is_refused(what, tmp_path):
    document, words = INDICES[what]
    (tmp_path / "x.safetensors").write_bytes(file_of({"a": entry(0, 4)}, b"1234"))
    (tmp_path / "m.safetensors.index.json").write_text(json.dumps(document))
    with pytest.raises(ArgumentError, match=words):
        open_checkpoint(tmp_path / "m.safetensors.index.json")


def test_a_tensor_that_the_index_lacks_is_refused(tmp_path):
    header = {"a": entry(0, 2), "b": entry(2, 4)}
    (tmp_path / "x.safetensors").write_bytes(file_of(header, b"1234"))
    index = {"weight_map": {"a": "x.safetensors"}}
    (tmp_path / "m.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ArgumentError, match="does not know 'b'"):
        open_checkpoint(tmp_path)


def test_a_folder_with_several_files_is_ambiguous(tmp_path):
    with pytest.raises(ArgumentError, match=r"no \*.safetensors"):
        open_checkpoint(tmp_path)
    for name in "ab":
        (tmp_path / f"{name}.safetensors").write_bytes(file_of({}))
    with pytest.raises(ArgumentError, match=r"It has a\.safetensors, b\.saf"):
        open_checkpoint(tmp_path)


@given(st.binary(max_size=100), st.binary(max_size=100), st.binary(max_size=3))
def test_checksums_of_parts_are_those_of_the_whole(first, second, third):
    crc = combine(zlib.crc32(first), zlib.crc32(second), len(second))
    assert crc == zlib.crc32(first + second)
    assert combine(crc, zlib.crc32(third), len(third)) == zlib.crc32(first + second + third)
