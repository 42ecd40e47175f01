"""How far training has moved a model's parameters from where they began: `diff`."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastinit.checkpoints.description import (
    Description,
    Layout,
    Tensor,
    describe,
    dtype_name,
    seed_of,
    whole,
)
from fastinit.checkpoints.files import Checkpoint, PathLike, Place, open_checkpoint
from fastinit.checkpoints.verifying import as_numbers
from fastinit.checkpoints.writing import Progress
from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.keys import Seed, key_bits
from fastinit.recipes import Recipe, matches
from fastinit.registry import InitializerLike
from fastinit.sampling import fill
from fastinit.sampling.dtypes import FLOATS
from fastinit.sampling.threads import run

if TYPE_CHECKING:
    import pandas

__all__ = ["Change", "Difference", "diff"]

Sums: TypeAlias = "NDArray[np.float64]"

# Elements at once: their float64 copies stay in the second cache.
PIECE = 2**16


@dataclass(frozen=True)
class Change:
    r"""How far one tensor has moved from its initial value.

    Parameters
    ----------
    name : str
        The tensor.
    shape : tuple of int
        Its shape.
    initializer : str
        The rule.
    initial, final : float
        Root mean squares of the initial values `a` and of the present ones `b`.
    change : float
        Root mean square of :math:`b - a`.
    relative : float
        :math:`\lVert b - a\rVert / \lVert a\rVert`; inf where all began at zero.
    cosine : float
        :math:`a \cdot b / (\lVert a\rVert \lVert b\rVert)`; nan where one of them is zero or
        infinite.
    largest : float
        The largest change of an element.
    unchanged : float
        Share of the elements that are what they were.

    Examples
    --------
    >>> import fastinit
    >>> from fastinit import checkpoints
    >>> kernel = 2 * fastinit.normal((4, 8), seed=fastinit.key(0, "kernel"))
    >>> change = checkpoints.diff({"kernel": kernel}, "normal", seed=0)["kernel"]
    >>> change.relative, change.unchanged
    (1.0, 0.0)
    """

    name: str
    shape: tuple[int, ...]
    initializer: str
    initial: float
    final: float
    change: float
    relative: float
    cosine: float
    largest: float
    unchanged: float


class Difference(Mapping[str, Change]):
    """What `diff` found: the `Change` of each tensor by name, in the checkpoint's order.

    Parameters
    ----------
    changes : mapping of str to Change
        Of each tensor.
    total : Change
        Of all tensors as one vector.
    skipped : list of str
        Tensors that are not of float64, float32, float16 or bfloat16.

    Examples
    --------
    >>> import fastinit
    >>> from fastinit import checkpoints
    >>> shapes = {"kernel": (100, 10), "bias": (10,)}
    >>> recipe = {"bias": "zeros", "*": "normal(std=0.1)"}
    >>> weights = fastinit.initialize(shapes, recipe, seed=0)
    >>> weights["kernel"] *= 0.5
    >>> found = checkpoints.diff(weights, recipe, seed=0)
    >>> found["kernel"].relative, found["kernel"].cosine, found["bias"].unchanged
    (0.5, 1.0, 1.0)
    """

    def __init__(self, changes: Mapping[str, Change], total: Change, skipped: list[str]) -> None:
        self._changes, self.total, self.skipped = dict(changes), total, skipped

    def __getitem__(self, name: str) -> Change:
        return self._changes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._changes)

    def __len__(self) -> int:
        return len(self._changes)

    def __repr__(self) -> str:
        return f"Difference({len(self)} tensors, relative change {self.total.relative:.3g})"

    def table(self, width: int = 80) -> str:
        """Return a line a tensor, and one for all, as text.

        Parameters
        ----------
        width : int, default 80
            Columns; long names are shortened at their beginning.

        Returns
        -------
        str
            Lines, the last of which ends, too.
        """
        head = ["initial", "change", "relative", "cosine", "largest", "same"]
        rows = [[change.name, *_figures(change)] for change in (*self.values(), self.total)]
        columns = zip(head, *(row[1:] for row in rows), strict=True)
        widths = [max(map(len, column)) for column in columns]
        room = max(12, width - sum(widths) - 2 * len(widths))
        room = min(room, max(6, *(len(row[0]) for row in rows)))
        lines = [["tensor", *head], *rows]
        text = ""
        for name, *figures in lines:
            short = name if len(name) <= room else "…" + name[1 - room :]
            cells = "".join(f"  {figure:>{w}}" for figure, w in zip(figures, widths, strict=True))
            text += f"{short:<{room}}{cells}\n"
        return text

    def to_frame(self) -> pandas.DataFrame:
        """Return the figures as a data frame, a row a tensor.

        Returns
        -------
        pandas.DataFrame
            The fields of `Change`.
        """
        import pandas

        names = [field.name for field in fields(Change)]
        return pandas.DataFrame([asdict(change) for change in self.values()], columns=names)

    def to_json(self) -> str:
        """Return everything as JSON; what is not finite as null.

        Returns
        -------
        str
            An object with "tensors", a list, "total" and "skipped".
        """
        document = {
            "tensors": [_finite(change) for change in self.values()],
            "total": _finite(self.total),
            "skipped": self.skipped,
        }
        return json.dumps(document, indent=1, allow_nan=False)


def _figures(change: Change) -> list[str]:
    return [
        f"{change.initial:.3g}",
        f"{change.change:.3g}",
        "-" if math.isinf(change.relative) else f"{change.relative:.3g}",
        "-" if math.isnan(change.cosine) else f"{change.cosine:.4f}",
        f"{change.largest:.3g}",
        f"{change.unchanged:.0%}",
    ]


def _finite(change: Change) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in asdict(change).items()
    }


def diff(
    checkpoint: PathLike | Mapping[str, Any],
    recipe: InitializerLike | Recipe | None = None,
    seed: Seed = None,
    *,
    model: PathLike | Mapping[str, Any] | None = None,
    dtype: DTypeLike | None = None,
    layout: Layout | None = None,
    exclude: Sequence[str] = (),
    progress: Progress | None = None,
) -> Difference:
    """Compare a model's parameters with their initial values, which are made again from the seed.

    Nothing but the seed and the rules has to be kept from the beginning of a training. Both sides
    are read in pieces, so a checkpoint may be larger than memory.

    Parameters
    ----------
    checkpoint : str, path, or mapping of str to array
        A safetensors file, an index or a folder; or arrays by name, such as a ``state_dict`` of
        PyTorch, in any floating dtype.
    recipe : initializer, mapping of str to initializer, or Mixed, optional
        As for `fastinit.initialize`. By default what `model` says, or the checkpoint itself, where
        it is as `write` made it.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`. By default the one that `model` or the checkpoint holds.
    model : path, mapping or Description, optional
        Where the rules are: a ``config.json``, a JSON description, or the file that the training
        began with; see `fastinit.checkpoints.describe`. It must have all tensors of the checkpoint.
    dtype : dtype-like, optional
        Of the initial values; by default that of `model`, else of the checkpoint.
    layout : {"torch", "keras"}, optional
        How kernels lie: see `fastinit.checkpoints.describe`, also for the default.
    exclude : sequence of str, default ()
        Patterns of names to leave out.
    progress : callable, optional
        Called with the elements that are done and those of all.

    Returns
    -------
    Difference
        The figures, by name.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If the checkpoint cannot be read, there is no seed, no rule fits a tensor, or a shape is not
        that of `model`; the message names the tensor.

    Notes
    -----
    Sums are in float64, and do not depend on the number of threads.

    References
    ----------
    Frankle, Carbin: The lottery ticket hypothesis: finding sparse, trainable neural networks.
    arXiv:1803.03635 (2018), for going back to initial values. Zhang, Bengio, Singer: Are all layers
    created equal? arXiv:1902.01996 (2019), for which layers move.

    Examples
    --------
    >>> import fastinit
    >>> from fastinit import checkpoints
    >>> shapes = {"kernel": (100, 10), "bias": (10,)}
    >>> recipe = {"bias": "zeros", "*": "normal(std=0.1)"}
    >>> weights = fastinit.initialize(shapes, recipe, seed=0)
    >>> weights["bias"] += 0.01
    >>> print(checkpoints.diff(weights, recipe, seed=0).table(), end="")
    tensor  initial    change  relative  cosine  largest  same
    kernel    0.104         0         0  1.0000        0  100%
    bias          0      0.01         -       -     0.01    0%
    all       0.103  0.000995   0.00962  1.0000     0.01   99%
    """
    held: Mapping[str, Any]
    held = checkpoint if isinstance(checkpoint, Mapping) else open_checkpoint(checkpoint)
    held = _without(held, [n for n in held if any(matches(pattern, n) for pattern in exclude)])
    skipped = [name for name, array in held.items() if _dtype(name, array) not in FLOATS]
    held = _without(held, skipped)
    if model is None:
        begun = describe(held, recipe, dtype=dtype, layout=layout)
    else:
        begun = describe(model, recipe, dtype=dtype, layout=layout, exclude=exclude)
    used = seed_of(begun, seed)
    tensors = {name: _same(name, begun, held[name]) for name in held}
    total, done = sum(tensor.size for tensor in tensors.values()), 0
    changes, every = {}, [np.zeros((0, len(SUMS)))]
    for name, tensor in tensors.items():
        every.append(_sums(tensor, key_bits(used, name), _reader(name, held[name])))
        changes[name] = _change(name, tensor.shape, repr(tensor.initializer), every[-1])
        done += tensor.size
        if progress is not None:
            progress(done, total)
    return Difference(changes, _change("all", (total,), "", np.concatenate(every)), skipped)


def _without(held: Mapping[str, Any], names: list[str]) -> Mapping[str, Any]:
    without = set(names)
    left = {name: array for name, array in held.items() if name not in without}
    return Checkpoint(held.path, left, held.metadata) if isinstance(held, Checkpoint) else left


def _dtype(name: str, array: Any) -> str:
    if isinstance(array, Place):
        return array.code if array.dtype is None else array.dtype.name
    found = dtype_name(array)
    if found is None:
        raise ArgumentTypeError(f"{name!r}: expected an array, got {array!r:.80}")
    return found


def _same(name: str, begun: Description, array: Any) -> Tensor:
    tensor, shape = begun[name], tuple(array.shape)
    if tensor.shape != shape:
        raise ArgumentError(f"{name!r} has the shape {shape}, in the model {tensor.shape}")
    return tensor


# ---------------------------------------------------------------- the numbers

Reader: TypeAlias = "Callable[[int, int], NDArray[Any]]"


def _reader(name: str, array: Any) -> Reader:
    """Return what reads elements of a flat tensor as NumPy's numbers."""
    if isinstance(array, Place):
        return partial(_read_numbers, array)
    if hasattr(array, "detach"):  # PyTorch, which is not imported for it
        array = array.detach()
    flat = array.reshape(-1)

    def read(start: int, stop: int) -> NDArray[Any]:
        part = flat[start:stop]
        if hasattr(part, "cpu"):
            part = part.cpu()
            if dtype_name(part) == "bfloat16":  # which NumPy does not have
                part = part.float()
        return np.asarray(part)

    try:
        read(0, 0)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ArgumentTypeError(f"{name!r} cannot be read as an array: {error}") from error
    return read


def _read_numbers(place: Place, start: int, stop: int) -> NDArray[Any]:
    assert place.dtype is not None
    stored = np.empty(stop - start, place.dtype.storage)
    place.read(start, stored)
    return as_numbers(stored, place.dtype.name)


class _Buffers(threading.local):
    """Memory of a thread: to ask for it anew for each piece takes as long as the arithmetic."""

    def __init__(self) -> None:
        self.stored = np.empty(PIECE, np.uint64)
        self.a, self.b, self.d = np.empty((3, PIECE))


SUMS = ("elements", "a a", "b b", "a b", "d d", "largest", "same")


def _sums(tensor: Tensor, key: int, read: Reader) -> Sums:
    """Return a row of sums for each piece of a tensor."""
    law = tensor.law
    made = whole(tensor, key) if law is None else None
    buffers = _Buffers()
    rows = np.zeros((-(-tensor.size // PIECE), len(SUMS)))

    def add(i: int) -> None:
        start, stop = i * PIECE, min((i + 1) * PIECE, tensor.size)
        if made is None:
            assert law is not None
            stored = buffers.stored.view(tensor.dtype.storage)[: stop - start]
            fill(stored, law, key, start, dtype=tensor.dtype)
        else:
            stored = made[start:stop]
        a, b, d = (array[: stop - start] for array in (buffers.a, buffers.b, buffers.d))
        a[...] = as_numbers(stored, tensor.dtype.name)
        b[...] = read(start, stop)
        np.subtract(b, a, out=d)
        rows[i] = (
            *(stop - start, _dot(a, a), _dot(b, b), _dot(a, b), _dot(d, d)),
            *(max(d.max(), -d.min()), np.count_nonzero(a == b)),
        )

    run(add, len(rows))
    return rows


def _dot(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.einsum("i,i", a, b))  # no BLAS, whose sums depend on the number of threads


def _total(column: Sums) -> float:
    try:
        return math.fsum(column)
    except (OverflowError, ValueError):  # infinite, or infinities of both signs
        with np.errstate(all="ignore"):
            return float(column.sum())


def _change(name: str, shape: tuple[int, ...], initializer: str, rows: Sums) -> Change:
    count, aa, bb, ab, dd, _, same = map(_total, rows.T)
    largest = float(rows[:, SUMS.index("largest")].max(initial=0.0))
    product = math.sqrt(aa) * math.sqrt(bb)
    return Change(
        name=name,
        shape=shape,
        initializer=initializer,
        initial=math.sqrt(aa / max(count, 1)),
        final=math.sqrt(bb / max(count, 1)),
        change=math.sqrt(dd / max(count, 1)),
        relative=math.sqrt(dd / aa) if aa else (math.inf * dd if dd else 0.0),
        cosine=min(max(ab / product, -1.0), 1.0) if 0 < product < math.inf else math.nan,
        largest=largest,
        unchanged=same / count if count else 1.0,
    )
