"""The safetensors format: where in which file a tensor lies, and the header of a new file.

A file is eight bytes, the header's length; the header, JSON; and the tensors' bytes, one after the
other without gaps. A model may be cut into several files: an index, JSON, then says which tensor
lies in which. https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastinit.errors import ArgumentError
from fastinit.sampling.dtypes import FLOATS, DType, find

__all__ = ["Checkpoint", "PathLike", "Place", "header_bytes", "open_checkpoint", "read_json"]

PathLike: TypeAlias = "str | os.PathLike[str]"

# Those that can be drawn, in the order in which safetensors sorts a file's tensors.
CODES = {"float64": "F64", "float32": "F32", "bfloat16": "BF16", "float16": "F16"}
NAMES = {code: name for name, code in CODES.items()}
# Bits of the others.
BITS = {"F64": 64, "F32": 32, "BF16": 16, "F16": 16, "C64": 64, "BOOL": 8}
BITS |= {f"{kind}{bits}": bits for kind in "IU" for bits in (8, 16, 32, 64)}
BITS |= {"F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4}

# Bytes; what the library of the format refuses, too.
LARGEST_HEADER = 100_000_000
LARGEST_INDEX = 1_000_000_000
METADATA = "__metadata__"
INDEX_SUFFIX = ".safetensors.index.json"


class Place(NamedTuple):
    """Where a tensor lies: its first byte counted from the beginning of the file."""

    path: Path
    code: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def dtype(self) -> DType | None:
        """What its numbers are; None where they are none that can be drawn."""
        return find(NAMES[self.code], FLOATS) if self.code in NAMES else None

    def read(self, start: int, out: NDArray[Any]) -> None:
        """Read the elements from `start` on of the flat tensor, as they are stored, into `out`."""
        with open(self.path, "rb", buffering=0) as stream:
            stream.seek(self.begin + start * out.itemsize)
            with memoryview(out.view(np.uint8)) as view:
                done = 0
                while done < len(view):
                    count = stream.readinto(view[done:])
                    if not count:
                        raise ArgumentError(f"{str(self.path)!r} became shorter while it was read")
                    done += count


class Checkpoint(Mapping[str, Place]):
    """The tensors of a file, or of several with an index, by name.

    Parameters
    ----------
    path : path
        The file or the index.
    places : dict of str to Place
        Where each tensor lies.
    metadata : dict of path to dict
        The metadata of each file.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastinit import checkpoints
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "model.safetensors")
    ...     _ = checkpoints.write({"kernel": (4, 8), "bias": (8,)}, file, "normal", seed=0)
    ...     list(checkpoints.open_checkpoint(file))
    ['bias', 'kernel']
    """

    def __init__(
        self, path: Path, places: dict[str, Place], metadata: dict[Path, dict[str, str]]
    ) -> None:
        self.path, self.places, self.metadata = path, places, metadata

    def __getitem__(self, name: str) -> Place:
        return self.places[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


def open_checkpoint(path: PathLike) -> Checkpoint:
    """Read the headers of a safetensors file, of an index, or of a folder that has one of these.

    Parameters
    ----------
    path : str or path
        ``*.safetensors``, ``*.index.json``, or a folder.

    Returns
    -------
    Checkpoint
        The tensors' places, in the files' order.

    Raises
    ------
    ArgumentError
        If there is no such file, or it does not keep to the format.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastinit import checkpoints
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "model.safetensors")
    ...     _ = checkpoints.write({"kernel": (4, 8)}, file, "he_normal", seed=0)
    ...     place = checkpoints.open_checkpoint(file)["kernel"]
    ...     place.code, place.shape, place.end - place.begin
    ('F32', (4, 8), 128)
    """
    path = _file_in(Path(path))
    if path.suffix == ".json":
        return _read_index(path)
    places, metadata = _read_file(path)
    return Checkpoint(path, places, {path: metadata})


def _file_in(path: Path) -> Path:
    if not path.is_dir():
        return path
    for pattern in f"*{INDEX_SUFFIX}", "*.safetensors":
        found = [file for file in sorted(path.glob(pattern)) if not file.name.startswith(".")]
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(file.name for file in found)
            raise ArgumentError(f"which file of the folder {str(path)!r}? It has {listed}")
    raise ArgumentError(f"the folder {str(path)!r} has no *.safetensors file")


def read_json(path: Path, largest: int = LARGEST_INDEX) -> Any:
    """Return what a JSON file holds; a key that stands twice is an error.

    Parameters
    ----------
    path : path
    largest : int
        Bytes that are read at most.

    Returns
    -------
    dict, list, str, number, bool or None

    Raises
    ------
    ArgumentError
        If it cannot be read, or is no JSON.
    """
    try:
        if path.stat().st_size > largest:
            raise ArgumentError(f"{str(path)!r} is too large for JSON")
        return _parse(path.read_bytes(), path)
    except OSError as error:
        raise ArgumentError(f"cannot read {str(path)!r}: {error.strerror}") from error


def _parse(text: bytes, path: Path) -> Any:
    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ArgumentError(f"{str(path)!r} is damaged, or no JSON: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} stands there twice")
    return made


# ---------------------------------------------------------------- reading


def _read_index(path: Path) -> Checkpoint:
    document = read_json(path)
    weights = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(weights, dict):
        raise ArgumentError(f"{str(path)!r} is no index: it has no weight_map")
    files: dict[str, Path] = {}
    for file in weights.values():
        if not isinstance(file, str) or Path(file).name != file:
            raise ArgumentError(f"{str(path)!r}: a file beside it has a plain name, got {file!r}")
        files[file] = path.parent / file
    held, metadata = {}, {}
    for name, file in files.items():
        held[name], metadata[file] = _read_file(file)
    places = {}
    for tensor, name in weights.items():
        if tensor not in held[name]:
            raise ArgumentError(f"{str(path)!r}: {name} has no tensor {tensor!r}")
        places[tensor] = held[name][tensor]
    for name, tensors in held.items():
        for tensor in tensors:
            if weights.get(tensor) != name:
                raise ArgumentError(f"{str(path)!r} does not know {tensor!r} of {name}")
    return Checkpoint(path, places, metadata)


def _read_file(path: Path) -> tuple[dict[str, Place], dict[str, str]]:
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            length = int.from_bytes(stream.read(8), "little")
            if size < 8 or not 2 <= length <= min(size - 8, LARGEST_HEADER):
                raise ArgumentError(f"{str(path)!r} is no safetensors file")
            text = stream.read(length)
    except OSError as error:
        raise ArgumentError(f"cannot read {str(path)!r}: {error.strerror}") from error
    header = _parse(text, path)
    if not isinstance(header, dict):
        raise ArgumentError(f"{str(path)!r} is no safetensors file: its header is {header!r:.40}")
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ArgumentError(f"{str(path)!r}: metadata is a mapping of strings")
    places = {name: _place(path, name, entry, 8 + length) for name, entry in header.items()}
    at = 8 + length
    for name, place in sorted(places.items(), key=lambda item: item[1][3:]):
        if place.begin != at:
            fault = "overlaps another" if place.begin < at else "begins after a gap"
            raise ArgumentError(f"{str(path)!r} is damaged: the tensor {name!r} {fault}")
        at = place.end
    if at != size:
        fault = "is cut off" if at > size else "has bytes that belong to no tensor"
        raise ArgumentError(f"{str(path)!r} is damaged: it {fault} ({size} bytes, expected {at})")
    return places, metadata


def _place(path: Path, name: str, entry: Any, data: int) -> Place:
    fault = ArgumentError(f"{str(path)!r} is damaged: the tensor {name!r} is {entry!r:.200}")
    if not isinstance(entry, dict):
        raise fault
    code: Any = entry.get("dtype")
    shape: Any = entry.get("shape")
    offsets: Any = entry.get("data_offsets")
    if not (isinstance(code, str) and _counts(shape) and _counts(offsets) and len(offsets) == 2):
        raise fault
    begin, end = offsets
    bits = BITS.get(code)  # a format of tomorrow may have others
    if begin > end or (bits is not None and math.prod(shape) * bits != (end - begin) * 8):
        raise fault
    return Place(path, code, tuple(shape), data + begin, data + end)


def _counts(numbers: Any) -> bool:
    return isinstance(numbers, list) and all(type(n) is int and n >= 0 for n in numbers)


# ---------------------------------------------------------------- writing


def header_bytes(
    tensors: Mapping[str, tuple[tuple[int, ...], DType]], metadata: Mapping[str, str]
) -> tuple[bytes, dict[str, tuple[int, int]]]:
    """Return the beginning of a file up to its first tensor, and where each tensor's bytes go.

    Parameters
    ----------
    tensors : mapping of str to (shape, dtype)
    metadata : mapping of str to str

    Returns
    -------
    header : bytes
        Its length, the header, and spaces up to a multiple of eight bytes.
    spans : dict of str to (int, int)
        The first byte of each tensor in the file and the one after its last, in the file's order,
        which is the official library's: of large numbers first, then by name.

    Raises
    ------
    ArgumentError
        If the header is too long.
    """
    order = list(CODES)
    entries: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    spans, at = {}, 0
    for name, (shape, dtype) in sorted(
        tensors.items(), key=lambda item: (order.index(item[1][1].name), item[0])
    ):
        end = at + math.prod(shape) * dtype.storage.itemsize
        spans[name] = at, end
        entries[name] = {
            "dtype": CODES[dtype.name],
            "shape": list(shape),
            "data_offsets": [at, end],
        }
        at = end
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > LARGEST_HEADER:
        raise ArgumentError(
            f"the header of a file would have {len(text)} bytes, more than {LARGEST_HEADER}: "
            "shards are to be smaller"
        )
    header = len(text).to_bytes(8, "little") + text
    return header, {name: (len(header) + a, len(header) + b) for name, (a, b) in spans.items()}
