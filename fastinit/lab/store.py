"""Where the runs of a comparison are kept: in memory, or in a file that outlives the process.

The file is JSON lines: a header that says what is run, then one line a run, in the order in which
they ended. It is only ever added to, a line at a time, so a process that is killed at any moment
leaves whole lines and at most one broken one, the last; whoever opens the file for the same
comparison drops that one, and goes on with the runs that are missing. A float is written with as
many digits as it takes to read the same bits; what JSON has no number for is a string: "nan",
"inf", "-inf".
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, Protocol, overload

import numpy as np

import fastinit
from fastinit.errors import ArgumentError
from fastinit.initializers import Initializer
from fastinit.lab.data import Dataset
from fastinit.lab.plan import Axes, Plan, Tasks
from fastinit.lab.runs import Run

fcntl: Any = import_module("fcntl") if find_spec("fcntl") else None  # Windows has none

__all__ = [
    "FORMAT",
    "InFile",
    "InMemory",
    "Stage",
    "Store",
    "StoredRuns",
    "about",
    "header_of",
    "open_store",
    "read",
]

FORMAT = 1
"""Version of the file's format."""

NONE = -1  # where no run is


class Stage(Protocol):
    """The runs of one stage of a comparison, tuning or final, each under its number in the plan."""

    def missing(self, total: int) -> Iterator[int]:
        """Yield the numbers below `total` that no run has."""

    def add(self, number: int, run: Run) -> None:
        """Keep a run."""

    def runs(self) -> Sequence[Run]:
        """Return the runs that are there, in the order of their numbers."""


class Store(Protocol):
    """What keeps runs."""

    def stage(self, name: str) -> Stage:
        """Return the runs of a stage."""


@contextmanager
def open_store(path: str | Path | None, plan: Plan) -> Iterator[Store]:
    """Open what keeps the runs of a plan.

    Parameters
    ----------
    path : str or path, optional
        A file; by default they are kept in memory.
    plan : Plan

    Yields
    ------
    Store

    Raises
    ------
    ArgumentError
        If the file cannot be written, another process writes it, or it holds something else.
    """
    if path is None:
        yield InMemory()
        return
    with InFile(path, header_of(plan)) as store:
        yield store


class InMemory:
    """Keeps runs in memory."""

    def stage(self, name: str) -> Stage:
        """Return the runs of a stage, none so far."""
        return _InMemory()


class _InMemory:
    def __init__(self) -> None:
        self._runs: dict[int, Run] = {}

    def missing(self, total: int) -> Iterator[int]:
        return (number for number in range(total) if number not in self._runs)

    def add(self, number: int, run: Run) -> None:
        self._runs[number] = run

    def runs(self) -> Sequence[Run]:
        return tuple(self._runs[number] for number in sorted(self._runs))


class InFile:
    """Keeps runs in a file of JSON lines, and in memory only where each stands: 8 bytes a run.

    Parameters
    ----------
    path : path
        A new file, or one of an earlier call for the same comparison, which it goes on with.
    header : dict
        What is run; see :func:`header_of`.

    Raises
    ------
    ArgumentError
        If the file holds something else, or another process is writing it.
    OSError
        If it cannot be read or written.
    """

    def __init__(self, path: str | Path, header: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self._offsets: dict[str, array[int]] = {}
        try:
            self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115, closed by close()
        except OSError as error:
            raise ArgumentError(f"cannot write {str(path)!r}: {error.strerror}") from error
        try:
            self._lock()
            self._end = self._read(header)
            self._file.truncate(self._end)
            if not self._end:
                self._append({"fastinit-runs": FORMAT, **header})
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> InFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others write the file."""
        self._file.close()

    def stage(self, name: str) -> _StageInFile:
        """Return the part of the file that has the runs of a stage.

        Parameters
        ----------
        name : str

        Returns
        -------
        Stage
        """
        return _StageInFile(self, name)

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArgumentError(f"{self.path} is being written by another process") from None

    def _read(self, header: Mapping[str, Any]) -> int:
        """Note where the runs are; return where the last whole line ends."""
        end = 0
        with self.path.open("rb") as file:
            for count, line in enumerate(file, start=1):
                entry = _parse(line)
                if entry is None:
                    if file.readline() or not (end or _begins_header(line)):
                        raise ArgumentError(f"{self.path}, line {count}: this is no run")
                    break  # the last line, cut off
                if end == 0:
                    _same_comparison(self.path, entry, header)
                else:
                    self._note(entry, end, count)
                end += len(line)
        return end

    def _note(self, entry: dict[str, Any], offset: int, count: int) -> None:
        try:
            offsets = self.offsets(str(entry["stage"]))
            _put(offsets, int(entry["number"]), offset)
        except (KeyError, ValueError, TypeError):
            raise ArgumentError(f"{self.path}, line {count}: this is no run") from None

    def offsets(self, stage: str) -> array[int]:
        """Return where the runs of a stage begin, by number; below 0 where there is none."""
        return self._offsets.setdefault(stage, array("q"))

    def add(self, stage: str, number: int, run: Run) -> None:
        """Write a run at the end of the file.

        Raises
        ------
        OSError
            If there is no room; the runs before it are kept.
        """
        offset = self._end
        self._append({"stage": stage, "number": number, **encode(run)})
        _put(self.offsets(stage), number, offset)

    def _append(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._file.truncate(self._end)
            raise
        self._end += len(line)


class _StageInFile:
    def __init__(self, file: InFile, name: str) -> None:
        self._file, self._name = file, name
        self._offsets = file.offsets(name)

    def missing(self, total: int) -> Iterator[int]:
        known = self._offsets
        return (n for n in range(total) if n >= len(known) or known[n] == NONE)

    def add(self, number: int, run: Run) -> None:
        self._file.add(self._name, number, run)

    def runs(self) -> StoredRuns:
        present = array("q", (offset for offset in self._offsets if offset != NONE))
        return StoredRuns(self._file.path, present)


class StoredRuns(Sequence[Run]):
    """Runs in a file, each read when it is asked for.

    Parameters
    ----------
    path : path
    offsets : sequence of int
        Where in the file each begins.
    """

    def __init__(self, path: Path, offsets: Sequence[int]) -> None:
        self.path, self._offsets = path, offsets

    def __len__(self) -> int:
        return len(self._offsets)

    def __iter__(self) -> Iterator[Run]:
        with self.path.open("rb") as file:
            for offset in self._offsets:
                yield _run_at(file, offset)

    @overload
    def __getitem__(self, index: int) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> StoredRuns: ...
    def __getitem__(self, index: int | slice) -> Run | StoredRuns:
        if isinstance(index, slice):
            return StoredRuns(self.path, self._offsets[index])
        with self.path.open("rb") as file:
            return _run_at(file, self._offsets[index])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    def __repr__(self) -> str:
        return f"<{len(self)} runs in {str(self.path)!r}>"


def about(plan: Plan) -> dict[str, Any]:
    """Return what is run, in plain values.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    dict
        "fastinit", the version; "data", "training", "axes" and "candidates", each a dict.
    """
    data = plan.data
    return {
        "fastinit": fastinit.__version__,
        "data": {
            "name": data.name,
            "task": data.task,
            "train_rows": len(data.x_train),
            "test_rows": len(data.x_test),
            "features": data.x_train.shape[1],
            "classes": len(data.classes),
            "outputs": data.outputs,
            "constant_loss": data.constant_loss,
            "constant_score": data.constant_score,
        },
        "training": dataclasses.asdict(plan.training),
        "axes": {axis.name: getattr(plan.axes, axis.name) for axis in dataclasses.fields(Axes)},
        "candidates": dict(plan.candidates),
    }


def header_of(plan: Plan) -> dict[str, Any]:
    """Return what determines the runs of a plan, as the first line of a file has it.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    dict
        What :func:`about` says, with the SHA-256 of the data and a hash of what each initializer
        draws: the body of a function of one's own may change, or a version draw other numbers.
    """
    header = about(plan)
    header["data"]["sha256"] = _digest(plan.data)
    seeds = header["axes"]["seeds"]
    if isinstance(seeds, range):  # of a million, perhaps
        header["axes"]["seeds"] = {"from": seeds.start, "to": seeds.stop}
    shape = plan.data.x_train.shape[1], plan.axes.hidden[0][0]
    named = plan.tasks.kernel_initializers if isinstance(plan.tasks, Tasks) else {}
    header["draws"] = {name: _drawn(initializer, shape) for name, initializer in named.items()}
    plain: dict[str, Any] = json.loads(json.dumps(header))  # tuples become lists, as in the file
    return plain


def _drawn(initializer: Initializer, shape: tuple[int, int]) -> str:
    """Return what tells an initializer from others of its name: a function's body may change."""
    return hashlib.sha256(np.ascontiguousarray(initializer(shape, seed=0)).data).hexdigest()[:16]


def read(path: str | Path) -> tuple[dict[str, Any], StoredRuns]:
    """Return what a file says was run, and the runs in it.

    Parameters
    ----------
    path : str or path
        A file that `compare` wrote with ``runs=``; it may still be written to.

    Returns
    -------
    dict
        As of :func:`about`.
    StoredRuns
        In the order of the plan.

    Raises
    ------
    ArgumentError
        If it cannot be read, or is no such file.
    """
    path, offsets, end = Path(path), array("q"), 0
    header: dict[str, Any] = {}
    try:
        with path.open("rb") as file:
            for line in file:
                entry = _parse(line)
                if entry is None:
                    break
                header = header or entry
                if entry.get("stage") == "final":
                    _put(offsets, int(entry["number"]), end)
                end += len(line)
    except OSError as error:
        raise ArgumentError(f"cannot read {str(path)!r}: {error.strerror}") from error
    if header.get("fastinit-runs") != FORMAT:
        raise ArgumentError(f"{path} holds no runs that this version of fastinit compare wrote")
    seeds = header["axes"]["seeds"]
    if isinstance(seeds, dict):
        header["axes"]["seeds"] = range(seeds["from"], seeds["to"])
    return header, StoredRuns(path, array("q", (at for at in offsets if at != NONE)))


def encode(run: Run) -> dict[str, Any]:
    """Return a run as JSON has it.

    Parameters
    ----------
    run : Run

    Returns
    -------
    dict
    """
    values = {field.name: getattr(run, field.name) for field in dataclasses.fields(run)}
    return {name: _encode(value) for name, value in values.items()}


def decode(entry: Mapping[str, Any]) -> Run:
    """Undo :func:`encode`; what is not a run's is left out.

    Parameters
    ----------
    entry : mapping

    Returns
    -------
    Run
    """
    return Run(**{field.name: _decode(entry[field.name], field.name) for field in RUN_FIELDS})


RUN_FIELDS = dataclasses.fields(Run)
TEXTS = {field.name for field in RUN_FIELDS if field.type == "str"}


def _encode(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    return value


def _decode(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item, name) for item in value)
    if isinstance(value, str) and name not in TEXTS:
        return float(value)
    return value


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return what a line holds, or None if it is not whole."""
    if not line.endswith(b"\n"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _begins_header(line: bytes) -> bool:
    begin = b'{"fastinit-runs":'
    return line.startswith(begin[: len(line)])


def _put(offsets: array[int], number: int, offset: int) -> None:
    offsets.extend([NONE] * (number + 1 - len(offsets)))
    offsets[number] = offset


def _run_at(file: BinaryIO, offset: int) -> Run:
    file.seek(offset)
    return decode(json.loads(file.readline()))


def _same_comparison(path: Path, found: dict[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise unless the header of a file says that it holds runs of this comparison."""
    if found.pop("fastinit-runs", None) != FORMAT:
        raise ArgumentError(f"{path} is no file of runs that this version of fastinit wrote")
    flat, ours = _flat(found), _flat(wanted)
    for name in ours | flat:
        if flat.get(name) != ours.get(name):
            raise ArgumentError(
                f"{path} holds runs of another comparison: its {name} is "
                f"{_short(flat.get(name))}, here it is {_short(ours.get(name))}; "
                "choose another file"
            )


def _flat(header: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in header.items():
        if isinstance(value, Mapping):
            prefix = "" if name in ("axes", "training") else f"{name} "
            flat |= {f"{prefix}{key}": item for key, item in value.items()}
        else:
            flat[name] = value
    return flat


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _digest(data: Dataset) -> str:
    digest = hashlib.sha256(json.dumps([data.task, *data.classes]).encode())
    for values in (data.x_train, data.y_train, data.x_test, data.y_test):
        digest.update(f"{values.dtype.str}{values.shape}".encode())
        digest.update(memoryview(values).cast("B"))
    return digest.hexdigest()
