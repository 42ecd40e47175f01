"""Files made again from the seed and compared: `verify`."""

from __future__ import annotations

import json
import math
import threading
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastinit.checkpoints.checksums import combine
from fastinit.checkpoints.description import (
    ENTRY,
    Description,
    Layout,
    describe,
    seed_of,
    whole,
)
from fastinit.checkpoints.files import Checkpoint, PathLike, open_checkpoint
from fastinit.checkpoints.writing import Progress
from fastinit.errors import ArgumentError
from fastinit.keys import Seed, key_bits
from fastinit.recipes import Recipe
from fastinit.registry import InitializerLike
from fastinit.sampling import Distribution, fill
from fastinit.sampling.threads import run

__all__ = ["Fault", "Verification", "verify"]

# Elements that are made and compared at once.
PIECE = 2**18
# Tensors that a summary names.
SHOWN = 10


@dataclass(frozen=True)
class Fault:
    """A tensor that is not what its rule makes of the seed.

    Parameters
    ----------
    name : str
        The tensor.
    index : tuple of int
        The first element that differs.
    found, expected : float
        What is there, and what would be.
    differing, compared : int
        How many elements differ, and of how many that were compared.

    Examples
    --------
    >>> from fastinit.checkpoints import Fault
    >>> print(Fault("kernel", (3, 1), found=0.5, expected=0.25, differing=1, compared=12))
    kernel[3, 1]
      is 0.5, expected 0.25; 1 of 12 elements differ
    """

    name: str
    index: tuple[int, ...]
    found: float
    expected: float
    differing: int
    compared: int

    def __str__(self) -> str:
        at = ", ".join(map(str, self.index))
        return (
            f"{self.name}[{at}]\n  is {self.found:.9g}, expected {self.expected:.9g}; "
            f"{self.differing:,} of {self.compared:,} elements differ"
        )


@dataclass(frozen=True)
class Verification:
    """What `verify` found.

    Parameters
    ----------
    tensors, compared, parameters : int
        How many tensors there are, how many of their elements were compared, and of how many.
    faults : list of Fault
        Tensors that differ.
    damaged : list of str
        Tensors whose bytes do not have the checksum that the file states.
    checked : int
        How many tensors' checksums were compared.

    Examples
    --------
    >>> from fastinit.checkpoints import Verification
    >>> print(Verification(2, 100, 100, [], [], 2))
    2 tensors, 100 elements (all) compared
    all are those of the seed, and 2 checksums hold
    """

    tensors: int
    compared: int
    parameters: int
    faults: list[Fault]
    damaged: list[str]
    checked: int

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not (self.faults or self.damaged)

    def __str__(self) -> str:
        lines = [str(fault) for fault in self.faults]
        lines += [f"{name} is damaged: its checksum does not hold" for name in self.damaged]
        if len(lines) > SHOWN:
            lines[SHOWN:] = [f"... and {len(lines) - SHOWN} more"]
        if self.faults and self.checked and not self.damaged:
            lines.append("all checksums hold: made from another seed or recipe, or trained")
        share = "all" if self.compared == self.parameters else f"of {self.parameters:,}"
        lines.append(f"{self.tensors} tensors, {self.compared:,} elements ({share}) compared")
        if self.ok:
            held = f", and {self.checked} checksums hold" if self.checked else ""
            lines.append(f"all are those of the seed{held}")
        else:
            wrong = len({fault.name for fault in self.faults} | set(self.damaged))
            lines.append(f"{wrong} of {self.tensors} tensors differ")
        return "\n".join(lines)


def verify(
    checkpoint: PathLike,
    recipe: InitializerLike | Recipe | None = None,
    seed: Seed = None,
    *,
    sample: float = 1.0,
    dtype: DTypeLike | None = None,
    layout: Layout | None = None,
    exclude: Sequence[str] = (),
    progress: Progress | None = None,
) -> Verification:
    """Make the tensors of a checkpoint again, and compare them bit for bit.

    Parameters
    ----------
    checkpoint : str or path
        A file, an index or a folder; see `describe`.
    recipe : initializer, mapping of str to initializer, or Mixed, optional
        See `describe`; files that `write` made say it themselves.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`. By default the one that the files hold.
    sample : float, default 1.0
        Which share of each tensor to compare, above 0 to 1: that many pieces of 2**18 elements,
        at random, and one at least. With 1 the checksums are compared as well.
    dtype : dtype-like, optional
        What the checkpoint has to be of; by default it is what it is.
    layout : {"torch", "keras"}, optional
        See `describe`, also for the default.
    exclude : sequence of str, default ()
        Patterns of names to leave out.
    progress : callable, optional
        Called with the elements that are done and those of all, on several threads in turn.

    Returns
    -------
    Verification
        What differs, if anything.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If the checkpoint cannot be read, or neither it nor the arguments say how it was made.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastinit import checkpoints
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "x.safetensors")
    ...     _ = checkpoints.write({"kernel": (784, 10)}, file, "he_normal", seed=0)
    ...     print(checkpoints.verify(file))
    ...     checkpoints.verify(file, seed=1).ok
    1 tensors, 7,840 elements (all) compared
    all are those of the seed, and 1 checksums hold
    False
    """
    if not 0 < sample <= 1:
        raise ArgumentError(f"sample must be above 0 and at most 1, got {sample!r}")
    files = open_checkpoint(checkpoint)
    description = describe(files, recipe, layout=layout, exclude=exclude)
    for name, tensor in describe(description, dtype=dtype).items():
        if tensor.dtype is not description[name].dtype:
            raise ArgumentError(
                f"{name!r} is of {description[name].dtype.name}, expected {tensor.dtype.name}"
            )
    used = seed_of(description, seed)
    comparison = _Comparison(files, description, used, progress)
    comparison.run(sample)
    crcs = _stated(files) if sample == 1 else {}
    checked = {name: comparison.crc(name) for name in description if name in crcs}
    return Verification(
        len(description),
        comparison.compared,
        description.parameters,
        comparison.faults(),
        [name for name, crc in checked.items() if crc != crcs[name]],
        len(checked),
    )


class _Part(NamedTuple):
    """What was compared: how many elements differ, the first of them, and the bytes' CRC-32."""

    stop: int
    differing: int
    first: int
    found: float
    expected: float
    crc: int


class _Buffers(threading.local):
    """Memory of a thread, so that there is as much of it at the end as at the beginning."""

    def __init__(self) -> None:
        self.held, self.made = np.empty(PIECE, np.uint64), np.empty(PIECE, np.uint64)
        self.wrong = np.empty(PIECE, np.bool_)


class _Comparison:
    """Pieces of tensors compared on several threads."""

    def __init__(
        self, files: Checkpoint, description: Description, seed: Seed, progress: Progress | None
    ) -> None:
        self._files, self._description, self._seed = files, description, seed
        self._progress, self._lock = progress, threading.Lock()
        self._buffers = _Buffers()
        self._parts: dict[str, dict[int, _Part]] = defaultdict(dict)
        self.compared = 0

    def run(self, sample: float) -> None:
        tasks: list[tuple[str, Distribution, int, int]] = []
        wholes: list[str] = []
        chance = np.random.default_rng()
        for name, tensor in self._description.items():
            law = tensor.law
            if law is None:
                wholes.append(name)
                continue
            count = -(-tensor.size // PIECE)
            picks = np.arange(count)
            if sample < 1:
                picks = np.sort(chance.choice(count, math.ceil(sample * count), replace=False))
            for i in picks.tolist():
                tasks.append((name, law, i * PIECE, min((i + 1) * PIECE, tensor.size)))
        self._total = sum(stop - start for _, _, start, stop in tasks)
        self._total += sum(self._description[name].size for name in wholes)

        def compare(i: int) -> None:
            name, law, start, stop = tasks[i]
            tensor = self._description[name]
            made = self._buffers.made.view(tensor.dtype.storage)[: stop - start]
            fill(made, law, key_bits(self._seed, name), start, dtype=tensor.dtype)
            self._compare(name, start, made)

        run(compare, len(tasks))
        for name in wholes:  # one by one: each takes memory
            made = whole(self._description[name], key_bits(self._seed, name))
            for start in range(0, made.size, PIECE):
                self._compare(name, start, made[start : start + PIECE])

    def _compare(self, name: str, start: int, made: NDArray[Any]) -> None:
        held = self._buffers.held.view(made.dtype)[: made.size]
        self._files[name].read(start, held)
        bits = np.dtype(f"u{made.itemsize}")
        wrong = self._buffers.wrong[: made.size]
        np.not_equal(held.view(bits), made.view(bits), out=wrong)
        differing, first = int(np.count_nonzero(wrong)), int(wrong.argmax())
        dtype = self._description[name].dtype.name
        found, expected = (float(as_numbers(a[first : first + 1], dtype)[0]) for a in (held, made))
        part = _Part(start + made.size, differing, start + first, found, expected, zlib.crc32(held))
        with self._lock:
            self._parts[name][start] = part
            self.compared += made.size
            if self._progress is not None:
                self._progress(self.compared, self._total)

    def crc(self, name: str) -> int:
        """Return the CRC-32 of a tensor that was compared as a whole."""
        size = self._description[name].dtype.storage.itemsize
        whole = 0
        for start, part in sorted(self._parts[name].items()):
            whole = combine(whole, part.crc, (part.stop - start) * size)
        return whole

    def faults(self) -> list[Fault]:
        found = []
        for name, tensor in self._description.items():
            parts = [part for _, part in sorted(self._parts[name].items())]
            wrong = [part for part in parts if part.differing]
            if wrong:
                index = tuple(map(int, np.unravel_index(wrong[0].first, tensor.shape)))
                compared = sum(part.stop - start for start, part in self._parts[name].items())
                differing = sum(part.differing for part in wrong)
                found.append(
                    Fault(name, index, wrong[0].found, wrong[0].expected, differing, compared)
                )
        return found


def as_numbers(stored: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Return what is stored in 16 bits as numbers; other arrays as they are."""
    if dtype == "float16":
        return stored.view(np.float16)
    if dtype == "bfloat16":
        return (stored.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return stored


def _stated(files: Checkpoint) -> dict[str, int]:
    """Return the checksums that the files state."""
    crcs = {}
    for metadata in files.metadata.values():
        if ENTRY in metadata:
            for name, text in json.loads(metadata[ENTRY])["crc32"].items():
                try:
                    crcs[name] = int(text, 16)
                except ValueError:
                    raise ArgumentError(f"{name!r}: {text!r} is no checksum") from None
    return crcs
