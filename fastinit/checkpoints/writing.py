"""Initial weights written as they are made: `write`.

A file is cut into pieces of the same size. Each element depends on nothing but its place, so any
piece can be made by itself: several threads take them in turn, each fills a buffer of its own and
writes it, past the page cache where the system can. Nothing else takes memory.

While it is written, a file is called ``.NAME.part``, and a journal beside it has a line a finished
piece, with the CRC-32 of the bytes of each tensor in it. Whoever resumes reads those pieces and
makes the others. The header, which holds the tensors' checksums, comes last; then the files get
their names, and the index follows them.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import re
import shutil
import threading
import zlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastinit.checkpoints.checksums import combine
from fastinit.checkpoints.description import (
    ENTRY,
    STREAM,
    Description,
    Layout,
    Tensor,
    describe,
    seed_of,
    whole,
)
from fastinit.checkpoints.files import INDEX_SUFFIX, PathLike, header_bytes, open_checkpoint
from fastinit.errors import ArgumentError, ArgumentTypeError, FastinitError
from fastinit.initializers import Initializer
from fastinit.keys import Key, Seed, key_bits
from fastinit.recipes import Recipe
from fastinit.registry import InitializerLike, get
from fastinit.sampling import fill
from fastinit.sampling.threads import get_num_threads

__all__ = ["Progress", "as_bytes", "write"]

Progress = Callable[[int, int], None]

# Bytes: large enough for a disk, small enough that a buffer a thread is little.
PIECE = 2**23
# Elements that are drawn at once: what the waist draws on the thread that calls.
AT_ONCE = 2**20
# What memory, places and lengths are multiples of where the page cache is passed by.
BLOCK = 4096
# Bytes of a file in a folder, unless something else is said.
SHARD_SIZE = 5 * 10**9
UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def write(
    model: PathLike | Mapping[str, Any],
    out: PathLike,
    recipe: InitializerLike | Recipe | None = None,
    seed: Seed = None,
    *,
    dtype: DTypeLike | None = None,
    layout: Layout | None = None,
    exclude: Sequence[str] = (),
    shard_size: int | str | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write a model's initial weights into safetensors files, without holding them in memory.

    The tensor called `name` has, bit for bit, the values of
    ``fastinit.get(rule)(shape, seed=fastinit.key(seed, name), dtype=dtype)``: those of
    `fastinit.initialize` and, with the same rules, of `fastinit.torch.materialize`. The files say
    in their metadata how they were made, so that `verify` and `diff` need no more than them.

    What was interrupted or killed goes on where it was when the same call is made again, and ends
    in the same bytes. Until all is written, nothing bears its final name.

    Parameters
    ----------
    model : str, path, or mapping
        A JSON description, a ``config.json``, safetensors files, or shapes by name: see `describe`.
    out : str or path
        A file ``NAME.safetensors``; or a folder, in which the file is called
        ``model.safetensors``, or ``model-00001-of-00004.safetensors`` and so on, with
        ``model.safetensors.index.json``.
    recipe : initializer, mapping of str to initializer, or Mixed, optional
        See `describe`; by default the rules that `model` has.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`. By default the one that `model` holds.
    dtype : dtype-like, optional
        Of all tensors: float32, float64, float16 or bfloat16; by default what `model` says.
    layout : {"torch", "keras"}, optional
        How kernels lie: see `describe`, also for the default.
    exclude : sequence of str, default ()
        Patterns of names to leave out.
    shard_size : int or str, optional
        Bytes a file has at most, if its tensors allow, such as ``"5GB"``; by default that in a
        folder, and no limit for a file that is named.
    force : bool, default False
        Whether to replace what is there, or an interrupted write of something else.
    progress : callable, optional
        Called with the bytes that are done and those of all, on the thread that called.

    Returns
    -------
    Path
        The file, or the index: what to open.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If an argument does not fit, see `describe`; there is no seed; `out` is there already; or
        another process is writing it. Nothing has been written then.
    OSError
        If the disk is too small or fails. What was written is kept for the same call.

    Notes
    -----
    Memory is 8 MiB a thread, whatever the size of the model. A tensor whose elements are no
    independent draws (orthogonal, sparse, a function of one's own with a name) is made as a whole,
    and takes its own size and what its rule needs.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import fastinit
    >>> from fastinit import checkpoints
    >>> shapes, recipe = {"kernel": (784, 10), "bias": (10,)}, {"bias": "zeros", "*": "he_normal"}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = checkpoints.write(shapes, pathlib.Path(folder, "x.safetensors"), recipe, seed=0)
    ...     checkpoints.verify(file).ok
    True
    """
    description = describe(model, recipe, dtype=dtype, layout=layout, exclude=exclude)
    used = seed_of(description, seed)
    folder, stem, limit = _target(Path(out), shard_size)
    job = _Job(description, used, folder, stem, limit)
    folder.mkdir(parents=True, exist_ok=True)
    with _journal(job, force) as journal:
        if not journal.renaming:
            _check_room(job)
            _make(job, journal, progress or (lambda done, total: None))
            _finish(job, journal)
        return _rename(job, journal)


def as_bytes(size: int | str) -> int:
    """Return a size in bytes that is a number, or words such as ``"5GB"`` or ``"512 MiB"``.

    Parameters
    ----------
    size : int or str

    Returns
    -------
    int

    Raises
    ------
    ArgumentError
        If it is none, or not positive.

    Examples
    --------
    >>> from fastinit.checkpoints.writing import as_bytes
    >>> as_bytes("5GB"), as_bytes("1.5 KiB")
    (5000000000, 1536)
    """
    found = re.fullmatch(r"\s*(\d{1,18}(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(size))
    unit = UNITS.get(found[2].upper()) if found else None
    made = int(float(found[1]) * unit) if found and unit else 0
    if made < 1:
        raise ArgumentError(f"a size is a number of bytes, such as 5GB or 512MiB, got {size!r}")
    return made


def _target(out: Path, shard_size: int | str | None) -> tuple[Path, str, int | None]:
    """Return the folder, what the files' names begin with, and the bytes of each."""
    limit = None if shard_size is None else as_bytes(shard_size)
    if out.suffix == ".safetensors":
        if out.is_dir():
            raise ArgumentError(f"{str(out)!r} is a folder")
        return out.parent, out.stem, limit
    if out.is_file() or out.suffix == ".json":
        raise ArgumentError(f"out is a folder or a file NAME.safetensors, got {str(out)!r}")
    return out, "model", limit or SHARD_SIZE


# ---------------------------------------------------------------- what is to be written


class _Segment(NamedTuple):
    """The bytes of a tensor that lie in a piece, counted from the beginning of the file."""

    name: str
    tensor: int  # where the tensor begins
    begin: int
    end: int


@dataclass
class _Shard:
    """A file: its tensors and where they lie."""

    name: str
    tensors: dict[str, Tensor]
    metadata: Callable[[Mapping[str, int]], dict[str, str]]

    def __post_init__(self) -> None:
        self.header, self.spans = self.header_with({})
        self.size = max((end for _, end in self.spans.values()), default=len(self.header))
        self._full = [(name, *span) for name, span in self.spans.items() if span[0] < span[1]]
        self._ends = [end for _, _, end in self._full]

    def header_with(self, crcs: Mapping[str, int]) -> tuple[bytes, dict[str, tuple[int, int]]]:
        """Return the header with the tensors' checksums, whatever they are of the same length."""
        shapes = {name: (tensor.shape, tensor.dtype) for name, tensor in self.tensors.items()}
        return header_bytes(shapes, self.metadata(crcs))

    @property
    def pieces(self) -> int:
        return -(-self.size // PIECE)

    def segments(self, piece: int) -> Iterator[_Segment]:
        first, last = piece * PIECE, min((piece + 1) * PIECE, self.size)
        for name, begin, end in self._full[bisect_right(self._ends, first) :]:
            if begin >= last:
                return
            yield _Segment(name, begin, max(begin, first), min(end, last))


class _Job:
    """All that decides the bytes of the files."""

    def __init__(
        self, description: Description, seed: int | Key, folder: Path, stem: str, limit: int | None
    ) -> None:
        self.description, self.seed = description, seed
        self.folder, self.stem = folder, stem
        self.rules = _in_words(description)
        self.laws = {name: tensor.law for name, tensor in description.items()}
        self.keys = {name: key_bits(seed, name) for name in description}
        parts = _parts(description, limit)
        names = [f"{stem}.safetensors"]
        if len(parts) > 1:
            count = len(parts)
            names = [f"{stem}-{i:05}-of-{count:05}.safetensors" for i in range(1, count + 1)]
        self.shards = [
            _Shard(name, part, lambda crcs, part=part: self._metadata(part, crcs))  # type: ignore[misc]
            for name, part in zip(names, parts, strict=True)
        ]
        self.size = sum(shard.size for shard in self.shards)

    def _metadata(self, part: Mapping[str, Tensor], crcs: Mapping[str, int]) -> dict[str, str]:
        import fastinit

        entry = {
            "version": fastinit.__version__,
            "stream": STREAM,
            "seed": {"key": int(self.seed)} if isinstance(self.seed, Key) else self.seed,
            "layout": self.description.layout,
            "rules": {name: self.rules[name] for name in part},
            "crc32": {name: f"{crcs.get(name, 0):08x}" for name in part},
        }
        format = {"format": "pt"} if self.description.layout == "torch" else {}
        return {**format, ENTRY: json.dumps(entry, separators=(",", ":"))}

    @property
    def digest(self) -> str:
        """What tells this job from others."""
        digest = blake2b(digest_size=16)
        for shard in self.shards:
            digest.update(shard.name.encode() + shard.header)
        digest.update(PIECE.to_bytes(8, "little"))
        return digest.hexdigest()

    def part(self, shard: _Shard) -> Path:
        return self.folder / f".{shard.name}.part"

    @property
    def index(self) -> Path:
        return self.folder / f"{self.stem}{INDEX_SUFFIX}"

    def there(self) -> list[Path]:
        """Return the files of an earlier write, the index first."""
        return [self.index] * self.index.exists() + self._named("", "")

    def made(self) -> bool:
        """Say whether every file is there, by its final name or not."""
        return all(
            self.part(shard).exists() or (self.folder / shard.name).exists()
            for shard in self.shards
        )

    def parts_there(self) -> list[Path]:
        """Return the files of a write that is not finished."""
        return self._named(r"\.", r"\.part")

    def _named(self, before: str, after: str) -> list[Path]:
        shards = before + re.escape(self.stem) + r"(-\d{5,}-of-\d{5,})?\.safetensors" + after
        return sorted(file for file in self.folder.glob("*") if re.fullmatch(shards, file.name))


def _in_words(description: Description) -> dict[str, str]:
    """Return the rules as a file states them; few are different, and to read one takes its time."""
    rules: dict[str, str] = {}
    read: dict[str, Initializer | None] = {}
    for name, tensor in description.items():
        words = rules[name] = repr(tensor.initializer)
        if words not in read:
            read[words] = None
            with suppress(FastinitError):
                read[words] = get(words)
        if read[words] != tensor.initializer:
            raise ArgumentTypeError(
                f"{name!r}: a file can only state a rule that fastinit.get understands, which "
                f"{words} is not: give it a name with fastinit.register"
            )
    return rules


def _parts(description: Description, limit: int | None) -> list[dict[str, Tensor]]:
    """Return the tensors of each file: in order, as many as fit."""
    parts: list[dict[str, Tensor]] = [{}]
    taken = 0
    for name, tensor in description.items():
        if limit is not None and parts[-1] and taken + tensor.nbytes > limit:
            parts.append({})
            taken = 0
        parts[-1][name] = tensor
        taken += tensor.nbytes
    return parts


# ---------------------------------------------------------------- what has been written


class _Journal:
    """What is finished, in a file: a line for the job, one a piece, one before the files' renaming.

    A piece's line is ``[file, piece, [CRC-32 of each of its segments]]``. One more says that the
    files which are there may be replaced.
    """

    def __init__(self, stream: IO[bytes], done: dict[tuple[int, int], list[int]]) -> None:
        self._stream, self.done = stream, done
        self.renaming = self.renamed = False
        self._lock = threading.Lock()

    def note(self, line: Any) -> None:
        with self._lock:
            self._stream.write(json.dumps(line).encode() + b"\n")


@contextmanager
def _journal(job: _Job, force: bool) -> Iterator[_Journal]:
    """Open the journal of a job, if nobody else has; it goes away when all is done."""
    path = job.folder / f".{job.stem}.fastinit-write"
    there = job.there()
    known, replacing = path.exists(), force
    if there and not (known or replacing):
        raise _there(there)
    useless: list[Path] = []
    with ExitStack() as stack:
        stack.callback(_remove, useless)
        stream = stack.enter_context(open(path, "a+b", buffering=0))
        _lock(stream, path)
        stream.seek(0)
        head, *lines = stream.read().split(b"\n")
        own = json.dumps({"fastinit-write": 1, "job": job.digest}).encode()
        journal = _Journal(stream, {})
        if head == own:
            for line in lines:
                with suppress(ValueError, TypeError):  # the last one may be cut off
                    match json.loads(line):
                        case "replacing":
                            replacing = True
                        case "renaming":
                            journal.renaming = job.made()
                        case [int(shard), int(piece), list(crcs)]:
                            journal.done[shard, piece] = crcs
            if there and not (replacing or journal.renaming):
                raise _there(there)
            stream.write(b"\n")  # after a line that was cut off
        else:
            if known and head and not force:
                raise ArgumentError(
                    f"an interrupted write of another model, recipe, seed or dtype is in "
                    f"{str(job.folder)!r}: the same command goes on with it, "
                    f"--force (force=True) gives it up"
                )
            for file in job.parts_there():
                file.unlink()
            stream.truncate(0)
            stream.write(own + b"\n")
        if there and force:
            journal.note("replacing")
        try:
            yield journal
        finally:
            if journal.renamed or not journal.done:
                useless += [path, *job.parts_there()]


def _there(files: list[Path]) -> ArgumentError:
    return ArgumentError(f"{str(files[0])!r} is there already; --force (force=True) replaces it")


def _remove(files: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def _lock(stream: IO[bytes], path: Path) -> None:
    """Keep other processes from writing the same files, where the system has such locks."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ArgumentError(f"another process is writing into {str(path.parent)!r}") from None
    except OSError:  # a file system without locks
        return


def _check_room(job: _Job) -> None:
    taken = 0
    for shard in job.shards:
        with suppress(OSError, AttributeError):
            taken += job.part(shard).stat().st_blocks * 512
    free = shutil.disk_usage(job.folder).free
    if job.size - taken > free:
        raise OSError(
            errno.ENOSPC,
            f"{os.strerror(errno.ENOSPC)}: {job.size - taken} bytes are needed, {free} are free",
            str(job.folder),
        )


# ---------------------------------------------------------------- the work


def _make(job: _Job, journal: _Journal, progress: Progress) -> None:
    """Make every piece that is not there yet, on several threads."""
    for shard in job.shards:
        with open(job.part(shard), "ab") as stream:
            stream.truncate(shard.size)
    tasks = iter([(i, k) for i, shard in enumerate(job.shards) for k in range(shard.pieces)])
    wholes = _Wholes(job)
    one_at_a_time, stopped = threading.Lock(), threading.Event()
    news: SimpleQueue[int | BaseException | None] = SimpleQueue()

    def work() -> None:
        try:
            with _Hand(job, wholes) as hand:
                while not stopped.is_set():
                    with one_at_a_time:
                        task = next(tasks, None)
                    if task is None:
                        break
                    known = journal.done.get(task)
                    crcs = hand.do(*task, known)
                    if crcs != known:
                        journal.done[task] = crcs
                        journal.note([*task, crcs])
                    news.put(hand.length)
            news.put(None)
        except BaseException as error:
            news.put(error)

    # One more than there are processors: one waits for the disk.
    hands = [threading.Thread(target=work) for _ in range(get_num_threads() + 1)]
    done, working = 0, len(hands)
    try:
        for thread in hands:
            thread.start()
        while working:
            new = news.get()
            if isinstance(new, BaseException):
                raise new
            if new is None:
                working -= 1
            else:
                done += new
                progress(done, job.size)
    finally:
        stopped.set()
        for thread in hands:
            if thread.ident is not None:
                thread.join()


class _Wholes:
    """Tensors that are made as a whole, each from its first use to its last."""

    def __init__(self, job: _Job) -> None:
        self._job, self._made = job, dict[str, NDArray[Any]]()
        self._lock = threading.Lock()
        self._uses = Counter(
            segment.name
            for shard in job.shards
            if any(job.laws[name] is None for name in shard.tensors)
            for piece in range(shard.pieces)
            for segment in shard.segments(piece)
            if job.laws[segment.name] is None
        )

    def copy(self, name: str, start: int, out: NDArray[Any]) -> None:
        with self._lock:
            if name not in self._made:
                self._made[name] = whole(self._job.description[name], self._job.keys[name])
            out[...] = self._made[name][start : start + out.size]
            self._used(name)

    def skip(self, name: str) -> None:
        with self._lock:
            self._used(name)

    def _used(self, name: str) -> None:
        self._uses[name] -= 1
        if not self._uses[name]:
            self._made.pop(name, None)


class _Hand:
    """What a thread has: a buffer, and the file it is at."""

    def __init__(self, job: _Job, wholes: _Wholes) -> None:
        self._job, self._wholes = job, wholes
        self._memory = mmap.mmap(-1, PIECE)  # begins where a page does
        self._bytes = np.frombuffer(self._memory, np.uint8)
        self._shard = -1
        self._file: IO[bytes] | None = None
        self._direct = hasattr(os, "O_DIRECT")
        self.length = 0

    def __enter__(self) -> _Hand:
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()

    def do(self, shard: int, piece: int, known: list[int] | None) -> list[int]:
        """Make a piece and write it, unless it is there; return its checksums."""
        file = self._job.shards[shard]
        first = piece * PIECE
        self.length = min(PIECE, file.size - first)
        segments = list(file.segments(piece))
        if known is not None and self._read(shard, first):
            crcs = [self._crc(segment, first) for segment in segments]
            if crcs == known:
                for segment in segments:
                    if self._job.laws[segment.name] is None:
                        self._wholes.skip(segment.name)
                return crcs
        self._bytes[: max(len(file.header) - first, 0)] = 0
        for segment in segments:
            self._make(segment, first)
        self._write(shard, first)
        return [self._crc(segment, first) for segment in segments]

    def _crc(self, segment: _Segment, first: int) -> int:
        return zlib.crc32(self._bytes[segment.begin - first : segment.end - first])

    def _make(self, segment: _Segment, first: int) -> None:
        tensor, law = self._job.description[segment.name], self._job.laws[segment.name]
        storage = tensor.dtype.storage
        out = self._bytes[segment.begin - first : segment.end - first].view(storage)
        start = (segment.begin - segment.tensor) // storage.itemsize
        if law is None:
            self._wholes.copy(segment.name, start, out)
            return
        key = self._job.keys[segment.name]
        for i in range(0, out.size, AT_ONCE):
            fill(out[i : i + AT_ONCE], law, key, start + i, dtype=tensor.dtype)

    def _open(self, shard: int) -> IO[bytes]:
        if self._file is None or self._shard != shard:
            self.__exit__()
            path = self._job.part(self._job.shards[shard])
            self._file, self._shard = _open(path, self._direct), shard
        return self._file

    def _read(self, shard: int, first: int) -> bool:
        with open(self._job.part(self._job.shards[shard]), "rb", buffering=0) as stream:
            stream.seek(first)
            return stream.readinto(self._memory) == self.length

    def _write(self, shard: int, first: int) -> None:
        try:
            self._write_all(self._open(shard), first)
        except OSError as error:
            if not self._direct or error.errno != errno.EINVAL:
                raise
            self._direct, self._shard = False, -1  # a file system that cannot
            self._write_all(self._open(shard), first)

    def _write_all(self, stream: IO[bytes], first: int) -> None:
        # Whole blocks: what is too long at the end of the file is cut off when it gets its header.
        length = -(-self.length // BLOCK) * BLOCK if self._direct else self.length
        stream.seek(first)
        with memoryview(self._memory) as view:
            written = 0
            while written < length:
                written += stream.write(view[written:length])


def _open(path: Path, direct: bool) -> IO[bytes]:
    def opener(path: str, flags: int) -> int:
        return os.open(path, flags | (os.O_DIRECT if direct else 0))

    try:
        return open(path, "r+b", buffering=0, opener=opener)
    except OSError as error:
        if not direct or error.errno != errno.EINVAL:
            raise
        return open(path, "r+b", buffering=0)


# ---------------------------------------------------------------- the end


def _finish(job: _Job, journal: _Journal) -> None:
    """Give the files their headers, and see that they are on the disk."""
    for i, shard in enumerate(job.shards):
        crcs = dict.fromkeys(shard.tensors, 0)
        for piece in range(shard.pieces):
            for segment, crc in zip(shard.segments(piece), journal.done[i, piece], strict=True):
                length = segment.end - segment.begin
                crcs[segment.name] = combine(crcs[segment.name], crc, length)
        header, _ = shard.header_with(crcs)
        with open(job.part(shard), "r+b") as stream:
            stream.truncate(shard.size)
            stream.write(header)
            stream.flush()
            os.fsync(stream.fileno())
    journal.note("renaming")


def _rename(job: _Job, journal: _Journal) -> Path:
    """Give the files their names, the index last; what was there before goes away."""
    journal.renaming = True
    names = [shard.name for shard in job.shards]
    for file in job.there():
        if file == job.index or file.name not in names:
            file.unlink()
    for shard in job.shards:
        with suppress(FileNotFoundError):  # it has its name since before the process was killed
            os.replace(job.part(shard), job.folder / shard.name)
    made = job.folder / names[0]
    if len(names) > 1:
        made = job.index
        part = job.folder / f".{job.index.name}.part"
        with open(part, "w", encoding="utf-8") as stream:
            stream.write(_index_text(job))
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, made)
    open_checkpoint(made)  # complains if someone took a file away
    _sync(job.folder)
    journal.renamed = True
    return made


def _index_text(job: _Job) -> str:
    document = {
        "metadata": {
            "total_parameters": job.description.parameters,
            "total_size": job.description.nbytes,
        },
        "weight_map": {name: shard.name for shard in job.shards for name in shard.tensors},
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _sync(folder: Path) -> None:
    with suppress(OSError, AttributeError):  # Windows has no such thing
        handle = os.open(folder, os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
