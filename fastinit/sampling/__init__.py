"""The waist: every random value of the library goes through `fill`.

A draw is a distribution, a key and a region of a tensor. Element ``i`` of a tensor depends on
``(key, i)`` and the distribution alone, so any region can be made by itself, on any thread, process
or machine, and has the values it has in the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.sampling import backend, threads
from fastinit.sampling.distributions import (
    Bits,
    Constant,
    Distribution,
    Normal,
    Permutation,
    Sign,
    TruncatedNormal,
    Uniform,
)
from fastinit.sampling.dtypes import FLOATS, DType, find
from fastinit.sampling.regions import Region, contiguous_strides, cut, region_of, runs_of

__all__ = [
    "Bits",
    "Constant",
    "Distribution",
    "Draw",
    "Normal",
    "Permutation",
    "Region",
    "Sign",
    "TruncatedNormal",
    "Uniform",
    "draw_of",
    "fill",
    "fill_many",
    "fill_whole",
    "region_of",
]

# Elements a task: a few milliseconds of work at most, so that threads finish together and Ctrl-C
# comes through.
TASK = 2**21
# Runs a task at most, since the start of each takes memory.
RUNS = 2**13
# Bytes of scratch a task where `out` is not contiguous: they stay in the second cache.
SCRATCH = 2**18
# Below this many elements, waking another thread costs more than it saves.
SERIAL = 10**5
# Elements a task of many small tensors: some 150 us of work, for less no thread is worth waking.
GROUP = 2**17

Work = tuple[int, Callable[[int], None]]  # in how many pieces, and what fills one of them


class Draw(NamedTuple):
    """A distribution in a dtype, ready to be drawn; made by `draw_of`.

    Parameters
    ----------
    dtype : DType
        A row of the table of dtypes.
    kernel : callable or None
        What the backend draws with; None for a constant.
    parameters : tuple or scalar
        What the kernel takes; of a constant, its value as it stands in memory.

    Examples
    --------
    >>> from fastinit.sampling import Constant, draw_of
    >>> from fastinit.sampling.dtypes import FLOATS, find
    >>> draw_of(Constant(0.5), find("float32", FLOATS)).kernel is None
    True
    """

    dtype: DType
    kernel: Callable[..., None] | None  # None for a constant,
    parameters: Any  # which is then its value as it stands in memory


def draw_of(distribution: Distribution, dtype: DType) -> Draw:
    """Prepare to draw, and say so where the parameters do not fit the dtype.

    Parameters
    ----------
    distribution : Distribution
        The law of each element.
    dtype : DType
        What it is drawn in, as `fastinit.sampling.dtypes.find` gives it.

    Returns
    -------
    Draw
        What `fill_whole` and `fill_many` take.

    Raises
    ------
    ArgumentError
        If a parameter is too large for the dtype.
    ArgumentTypeError
        If the law cannot be drawn in the dtype.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.sampling import Normal, draw_of, fill_whole
    >>> from fastinit.sampling.dtypes import FLOATS, find
    >>> ready, out = draw_of(Normal(0.0, 1.0), find("float64", FLOATS)), numpy.empty((2, 3))
    >>> for key in range(3):  # checked once, drawn three times
    ...     fill_whole(out, ready, key)
    """
    if isinstance(distribution, Constant):  # not remembered: -0.0 equals 0.0
        return Draw(dtype, None, dtype.stored(distribution.plan(dtype.name)[1][0]))
    return _plan(distribution, dtype, False)


def fill(
    out: NDArray[Any],
    distribution: Distribution,
    key: int,
    start: int = 0,
    strides: tuple[int, ...] | None = None,
    *,
    dtype: DTypeLike | DType | None = None,
    scale: float | None = None,
) -> None:
    """Fill `out` with elements of the tensor of values that `distribution` and `key` define.

    Beyond `out`, at most 2 MiB a thread are used.

    Parameters
    ----------
    out : ndarray
        Writable, of any shape and strides. Where several of its elements share memory, each is
        written, in no particular order.
    distribution : Distribution
        The law of each element.
    key : int
        64 bits.
    start : int, default 0
        Which element of the tensor comes first.
    strides : tuple of int, optional
        By how many elements of the tensor a step along each axis of `out` moves on; by default as
        in C order, so that `out` holds the elements start, start + 1, ...
    dtype : dtype-like, optional
        What `out` holds, by default what its own dtype says; float16 or bfloat16 for an `out` of
        uint16. A row of the table of dtypes that `distribution` is known to have spares the search.
    scale : float, optional
        Add `scale` times the elements to `out`, instead of writing them there.

    Raises
    ------
    ArgumentError
        If `out` is read-only, its dtype is too small for the distribution's parameters, or `start`
        is negative.
    ArgumentTypeError
        If `out` is not an array of a dtype that the distribution has.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.sampling import Uniform, fill
    >>> whole, part = numpy.empty(1000), numpy.empty(10)
    >>> fill(whole, Uniform(0.0, 1.0), key=5)
    >>> fill(part, Uniform(0.0, 1.0), key=5, start=990)
    >>> bool((part == whole[990:]).all())
    True
    """
    out, row = _target(out, dtype, distribution.dtypes if scale is None else FLOATS)
    if not 0 <= start < 2**63:
        raise ArgumentError(f"start must be 0 to 2**63 - 1, got {start}")
    if strides is not None and strides == contiguous_strides(out.shape):
        strides = None
    if scale is None:
        ready = draw_of(distribution, row)
        if strides is None and not start:
            fill_whole(out, ready, key)
            return
        _, kernel, parameters = ready
        arguments: tuple[Any, ...] = (parameters,)
    else:
        row.check(scale=scale)
        _, kernel, parameters = _plan(distribution, row, True)
        arguments = (parameters, row.compute.type(scale))
    if kernel is None:
        number, fill_piece = _constant_work(out, parameters)
    elif out.size <= SERIAL and strides is None and out.flags.c_contiguous:
        if out.size:
            starts = np.array([start], np.uint64)
            kernel(out.reshape(1, out.size), np.uint64(key), starts, *arguments)
        return
    else:
        number, fill_piece = _work(out, start, strides, kernel, np.uint64(key), arguments)
    if out.size <= SERIAL:
        for i in range(number):
            fill_piece(i)
    else:
        threads.run(fill_piece, number)


def fill_whole(out: NDArray[Any], draw: Draw, key: int) -> None:
    """Fill a whole tensor, as `fill_many` would; what is small and plain at once.

    Parameters
    ----------
    out : ndarray
        Writable, of any shape and strides, and of the draw's dtype.
    draw : Draw
        What `draw_of` made.
    key : int
        64 bits.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If `out` is read-only or not an array of the draw's dtype.

    Examples
    --------
    >>> import fastinit, numpy
    >>> from fastinit.sampling import Normal, draw_of, fill_whole
    >>> from fastinit.sampling.dtypes import FLOATS, find
    >>> out = numpy.empty((2, 3), numpy.float32)
    >>> fill_whole(out, draw_of(Normal(0.0, 1.0), find("float32", FLOATS)), int(fastinit.key(0)))
    >>> bool((out == fastinit.normal((2, 3), 0.0, 1.0, seed=0)).all())
    True
    """
    dtype, kernel, parameters = draw
    if (
        kernel is not None
        and out.dtype is dtype.storage
        and out.flags.carray
        and out.size <= SERIAL
    ):
        backend.load().fill_many([(kernel, out, key, parameters)])
    else:
        fill_many([(out, draw, key)])


def fill_many(tensors: Sequence[tuple[NDArray[Any], Draw, int]]) -> None:
    """Fill many whole tensors in one pass over the threads, each as `fill` would.

    What is large is cut into pieces as there; what is small goes to the backend in groups.

    Parameters
    ----------
    tensors : sequence of (out, draw, key)
        As for `fill`. No two may share memory.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If an `out` is read-only or not an array of its draw's dtype, before anything is drawn.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.sampling import Normal, draw_of, fill_many
    >>> from fastinit.sampling.dtypes import FLOATS, find
    >>> ready = draw_of(Normal(0.0, 0.02), find("float32", FLOATS))
    >>> kernels = [numpy.empty((64, 64), numpy.float32) for _ in range(3)]
    >>> fill_many([(kernel, ready, i) for i, kernel in enumerate(kernels)])
    >>> all(0.01 < kernel.std() < 0.03 for kernel in kernels)
    True
    """
    pieces: list[Callable[[], None]] = []
    groups: list[tuple[list[Any], list[Any]]] = [([], [])]
    elements = waiting = 0
    for out, (dtype, kernel, parameters), key in tensors:
        plain = type(out) is np.ndarray and out.dtype is dtype.storage and out.flags.carray
        if not plain:
            out, _ = _target(out, dtype)
        size = out.size
        elements += size
        if size > SERIAL or not (plain or out.flags.c_contiguous):
            if kernel is None:
                number, fill_piece = _constant_work(out, parameters)
            else:
                number, fill_piece = _work(out, 0, None, kernel, np.uint64(key), (parameters,))
            pieces += [partial(fill_piece, i) for i in range(number)]
            continue
        draws, constants = groups[-1]
        if kernel is None:
            constants.append((out, parameters))
        else:
            draws.append((kernel, out, key, parameters))
        waiting += size
        if waiting >= GROUP:
            groups.append(([], []))
            waiting = 0
    tasks = pieces + [partial(_fill_group, *group) for group in groups]  # the longest first
    if elements <= SERIAL:
        for task in tasks:
            task()
    else:
        threads.run(lambda i: tasks[i](), len(tasks))


def _fill_group(draws: list[Any], constants: list[Any]) -> None:
    for out, value in constants:
        out[...] = value
    if draws:
        backend.load().fill_many(draws)


def _target(
    out: NDArray[Any], dtype: DTypeLike | DType | None, dtypes: tuple[str, ...] = ()
) -> tuple[NDArray[Any], DType]:
    """Return `out` as the kernels see it, and the row of what it holds."""
    if type(dtype) is DType and type(out) is np.ndarray and out.dtype is dtype.storage:
        if not out.flags.writeable:
            raise ArgumentError("out is read-only")
        return out, dtype
    if not isinstance(out, np.ndarray):
        raise ArgumentTypeError(f"out must be an array, got {type(out).__name__}")
    if dtype is None:
        dtype = out.dtype
    row = dtype if isinstance(dtype, DType) else find(dtype, dtypes)
    if not row.holds(out.dtype):
        raise ArgumentTypeError(f"out has dtype {out.dtype.name}, expected {row.name}")
    if not out.flags.writeable:
        raise ArgumentError("out is read-only")
    return (out if out.dtype == row.storage else out.view(row.storage)), row


@lru_cache(maxsize=4096)
def _plan(distribution: Distribution, dtype: DType, add: bool) -> Draw:
    law, parameters = distribution.plan(dtype.name)
    return Draw(dtype, backend.load().kernel(law, dtype.name, add), parameters)


def _work(
    out: NDArray[Any],
    start: int,
    strides: tuple[int, ...] | None,
    kernel: Callable[..., None],
    seed: np.uint64,
    arguments: tuple[Any, ...],
) -> Work:
    """Cut a draw into pieces; with a scale among the arguments it adds to what is there."""
    steps = contiguous_strides(out.shape) if strides is None else strides
    adds = len(arguments) > 1

    def fill_part(part: NDArray[Any], first: int, steps: tuple[int, ...]) -> None:
        runs = runs_of(Region(part.shape, first, steps))
        rows = part if part.flags.c_contiguous else np.empty(part.shape, part.dtype)
        if adds and rows is not part:
            rows[...] = part
        starts = runs.starts(0, runs.number)
        kernel(rows.reshape(runs.number, runs.length), seed, starts, *arguments)
        if rows is not part:
            part[...] = rows

    most = TASK if out.flags.c_contiguous else SCRATCH // out.itemsize
    most = min(most, RUNS * runs_of(Region(out.shape, start, steps)).length)
    if out.size <= min(most, SERIAL):
        return min(out.size, 1), lambda _: fill_part(out, start, steps)
    pieces = cut(out.shape, most)

    def fill_piece(i: int) -> None:
        *place, part = pieces.piece(i)
        first = start + sum(p * s for p, s in zip((*place, part.start), steps, strict=False))
        fill_part(out[(*place, part)], first, steps[pieces.axis :])

    return pieces.number, fill_piece


def _constant_work(out: NDArray[Any], value: Any) -> Work:
    """Cut the writing of one value into pieces."""
    if out.size <= SERIAL:
        return 1, lambda _: np.copyto(out, value)
    pieces = cut(out.shape, TASK)

    def fill_piece(i: int) -> None:
        out[pieces.piece(i)] = value

    return pieces.number, fill_piece
