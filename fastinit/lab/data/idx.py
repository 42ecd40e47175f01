"""IDX files, the format of MNIST and its kin: images and labels in files of customary names.

A file is a header and numbers, all big-endian: two zero bytes, a byte for the type, a byte for the
number of dimensions, four bytes for the length of each, and the elements in C order. See LeCun,
Cortes and Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from fastinit.errors import ArgumentError
from fastinit.lab.data.dataset import Dataset, TaskName, from_arrays, one_line

__all__ = ["is_idx", "load_idx", "read_idx"]

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

NAME = re.compile(r"(.*?)(train|t10k|test)-(images|labels)[-.]idx\d-ubyte(?:\.gz)?")
"""What precedes, as in ``emnist-letters-train-images-idx3-ubyte``; the part; what it holds."""


def is_idx(path: Path) -> bool:
    """Return whether a file has the name of an IDX file.

    Parameters
    ----------
    path : path

    Returns
    -------
    bool

    Examples
    --------
    >>> from pathlib import Path
    >>> from fastinit.lab.data.idx import is_idx
    >>> is_idx(Path("mnist/train-images-idx3-ubyte.gz")), is_idx(Path("mnist.csv"))
    (True, False)
    """
    return NAME.fullmatch(path.name) is not None


def read_idx(path: Path) -> np.ndarray:
    """Read one IDX file, plain or compressed with gzip.

    Parameters
    ----------
    path : path

    Returns
    -------
    ndarray
        Of the shape and type that the header states, in the machine's byte order.

    Raises
    ------
    ArgumentError
        If it is no IDX file, or is shorter or longer than its header says.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            header = stream.read(4)
            if len(header) < 4 or header[:2] != b"\0\0" or header[2] not in DTYPES or not header[3]:
                raise ArgumentError(f"{path} is no IDX file: it begins with {header!r}")
            dtype, dimensions = np.dtype(DTYPES[header[2]]), header[3]
            lengths = stream.read(4 * dimensions)
            if len(lengths) < 4 * dimensions:
                raise ArgumentError(f"{path} is truncated: it ends within its header")
            shape = tuple(int(length) for length in np.frombuffer(lengths, ">u4"))
            size = math.prod(shape) * dtype.itemsize
            data = _read_up_to(stream, size + 1)  # one more than the header says, to see excess
    except (OSError, EOFError, zlib.error) as error:
        raise ArgumentError(f"{path} cannot be read as IDX: {one_line(error)}") from error
    if len(data) != size:
        what = "is truncated" if len(data) < size else "goes on after its last element"
        raise ArgumentError(f"{path} {what}: the shape {shape} is {size} bytes")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _read_up_to(stream: BinaryIO | gzip.GzipFile, size: int) -> bytes:
    """Read so many bytes, or all; piece by piece, since a wrong header may ask for terabytes."""
    data = bytearray()
    while len(data) < size and (piece := stream.read(min(2**20, size - len(data)))):
        data += piece
    return bytes(data)


def load_idx(path: Path, task: TaskName | None = None) -> Dataset:
    """Read the images and labels of MNIST or its kin.

    Parameters
    ----------
    path : path
        A folder that holds such files once, or the file of the train images. The labels, and the
        test part if there is one, are the files beside it of the corresponding names:
        ``train-images-idx3-ubyte`` and ``train-labels-idx1-ubyte``, ``t10k-`` or ``test-``
        likewise, a dot for the second hyphen, with ``.gz`` or without, and any prefix.
    task : {"classification", "regression"}, optional
        As in :func:`from_arrays`.

    Returns
    -------
    Dataset

    Raises
    ------
    ArgumentError
        If a file is missing or cannot be used, or the folder holds several such data sets.
    """
    folder = path if path.is_dir() else path.parent
    found: dict[tuple[str, str, str], Path] = {}
    for file in sorted(folder.iterdir(), reverse=True):  # x before x.gz: the plain one is kept
        if (match := NAME.fullmatch(file.name)) and file.is_file():
            prefix, part, kind = match.groups()
            found[prefix, "train" if part == "train" else "test", kind] = file
    prefix = _prefix(path, found)
    name = prefix.rstrip("-_.") or folder.resolve().name
    needed = [(prefix, "train", kind) for kind in ("images", "labels")]
    test = [(prefix, "test", kind) for kind in ("images", "labels")]
    if any(key in found for key in test):
        needed += test
    for _, part, kind in [key for key in needed if key not in found]:
        shown = "t10k" if part == "test" else part
        digit = 3 if kind == "images" else 1
        raise ArgumentError(
            f"{folder} has no {prefix}{shown}-{kind}-idx{digit}-ubyte, plain or .gz"
        )
    return from_arrays(name, *(read_idx(found[key]) for key in needed), task=task)


def _prefix(path: Path, found: dict[tuple[str, str, str], Path]) -> str:
    """Return what precedes "train-images" in the names of the data set that is meant."""
    if not path.is_dir():
        match = NAME.fullmatch(path.name)
        if match is None or match[2] != "train" or match[3] != "images":
            raise ArgumentError(f"of IDX files, name the one of the train images, got {path}")
        return match[1]
    prefixes = sorted({prefix for prefix, _, _ in found})
    if not prefixes:
        raise ArgumentError(
            f"the folder {path} has no IDX files: train-images-idx3-ubyte, "
            "train-labels-idx1-ubyte, plain or .gz"
        )
    if len(prefixes) > 1:
        several = ", ".join(map(repr, prefixes))
        raise ArgumentError(
            f"the folder {path} holds several data sets, called {several}: "
            "name the file of the train images"
        )
    return prefixes[0]
