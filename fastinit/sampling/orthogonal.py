"""Random orthogonal matrices: Haar-distributed, in panels of columns, the same bits everywhere.

The Q of a Gaussian matrix is a product of Householder reflectors, and the vector of each is again
Gaussian and independent of the others. So the vectors are drawn, and their reflectors applied to
the identity: nothing is factorized, which halves the work, and a column is made without the others.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.sampling import _target, backend, fill, threads
from fastinit.sampling.distributions import Normal
from fastinit.sampling.dtypes import FLOATS, DType

__all__ = ["fill_orthogonal"]

NORMAL = Normal(0.0, 1.0)
# Vectors that stand side by side in memory, and that are applied at once: they decide the values.
GROUP, BLOCK = 16, 64
# Bytes of a row of a panel, so that a panel of some thousand rows stays in the second cache.
WIDTH = 256
# Rows copied at once, so that they stay in the first cache where `out` is transposed.
ROWS = 128
# Below this many multiplications, waking another thread costs more than it saves.
SERIAL = 2**25


def fill_orthogonal(
    out: NDArray[Any],
    key: int,
    gain: float = 1.0,
    *,
    dtype: DTypeLike | DType | None = None,
    start: int = 0,
) -> None:
    """Fill a matrix with random orthonormal vectors, times `gain`.

    The vectors are the columns of an `out` that has no more columns than rows, else its rows: then
    ``out.T @ out``, or ``out @ out.T``, is the identity times ``gain**2``. The law is Haar's: no
    rotation of the vectors changes it, and it is that of the Q of a QR factorization of a Gaussian
    matrix where R's diagonal is positive.

    Vector j depends on the key, its length and j alone. So the first vectors are the same however
    many there are, and `start` makes any of them by themselves, in the time that they take in the
    whole and that of drawing what comes before. The values depend on no machine, backend or number
    of threads; float32 differs from float64 by rounding alone.

    Beyond `out`, its vectors and those before them, in sixteens, take their memory once more (half
    of it where `out` is square; in float32 where it has 16 bits), and 64 vectors a thread.

    Parameters
    ----------
    out : ndarray
        Writable, with two axes, of any strides: vectors of length ``max(out.shape)``.
    key : int
        64 bits.
    gain : float, default 1.0
        The length of each vector; finite.
    dtype : dtype-like, optional
        What `out` holds, by default what its own dtype says; float16 or bfloat16 for an `out` of
        uint16, which are the float32 values rounded to nearest, ties to even.
    start : int, default 0
        Which vector comes first; ``start + min(out.shape)`` is at most the length.

    Raises
    ------
    ArgumentError
        If `out` has not two axes or is read-only, `gain` is not finite or too large for the dtype,
        or there are no such vectors.
    ArgumentTypeError
        If `out` is not an array of float32, float64, float16 or bfloat16, or an argument is not a
        number.

    References
    ----------
    Stewart, "The efficient generation of random orthogonal matrices with an application to
    condition estimators" (1980); Mezzadri, "How to generate random matrices from the classical
    compact groups" (2007).

    Examples
    --------
    >>> import numpy as np
    >>> from fastinit.sampling.orthogonal import fill_orthogonal
    >>> q = np.empty((5, 3))
    >>> fill_orthogonal(q, key=1)
    >>> np.allclose(q.T @ q, np.eye(3))
    True
    >>> last = np.empty((5, 1))
    >>> fill_orthogonal(last, key=1, start=2)
    >>> np.array_equal(last, q[:, 2:])
    True
    """
    out, row = _target(out, dtype, FLOATS)
    if out.ndim != 2:
        raise ArgumentError(f"out must have two axes, got shape {out.shape}")
    try:
        factor, first = float(gain), operator.index(start)
    except (TypeError, ValueError):
        raise ArgumentTypeError(
            f"gain must be a number and start a whole one, got {gain!r} and {start!r}"
        ) from None
    if not abs(factor) <= row.largest:
        raise ArgumentError(f"gain must be finite and fit {row.name}, got {gain!r}")
    columns = out if out.shape[0] >= out.shape[1] else out.T
    length, count = columns.shape
    if first < 0 or first + count > length:
        raise ArgumentError(
            f"there are {length} orthonormal vectors of length {length}, not vectors {start} to "
            f"{start} + {count}"
        )
    if count:
        _Vectors(columns, key, factor, row, first).fill()


class _Vectors:
    """The vectors first, first + 1, ..., to be written to the columns of `out`."""

    def __init__(self, out: NDArray[Any], key: int, gain: float, row: DType, first: int) -> None:
        self.out, self.key, self.gain, self.row, self.first = out, key, gain, row, first
        self.length, self.count = out.shape
        self.last = first + self.count
        self.kernels = backend.reflections()
        self.blocks: list[tuple[NDArray[Any], NDArray[Any]]] = [(out, out)] * -(-self.last // BLOCK)
        self.leading = np.empty(-(-self.last // GROUP) * GROUP, row.compute)
        self.memory: list[NDArray[Any]] = []  # of panels that are done

    def fill(self) -> None:
        """Make all the reflectors, then apply them to a panel of columns of the identity each."""
        most = WIDTH // self.row.compute.itemsize
        if self.length * self.count * self.last <= SERIAL:
            self.width = most
            for block in range(len(self.blocks)):
                self.make_block(block)
            for panel in range(-(-self.count // most)):
                self.make_panel(panel)
            return
        share = -(-self.count // (2 * threads.get_num_threads()))
        self.width = min(most, -(-share // GROUP) * GROUP)
        threads.run(self.make_block, len(self.blocks))
        threads.run(self.make_panel, -(-self.count // self.width))

    def make_block(self, block: int) -> None:
        """Draw up to BLOCK vectors and make reflectors of them; see `docs/stream.md`."""
        top = block * BLOCK
        groups = -(-min(BLOCK, self.last - top) // GROUP)
        vectors = np.empty((groups, self.length - top, GROUP), self.row.compute)
        start = (top // GROUP * self.length + top) * GROUP
        fill(vectors, NORMAL, self.key, start, (self.length * GROUP, GROUP, 1))
        system = np.zeros((groups * GROUP, groups * GROUP), self.row.compute)
        self.kernels.reflectors(vectors, system)
        self.blocks[block] = vectors, system
        for group in range(groups):
            at = group * GROUP
            leading = vectors[group, at : at + GROUP].reshape(-1)[:: GROUP + 1]
            self.leading[top + at : top + at + len(leading)] = leading

    def make_panel(self, panel: int) -> None:
        """Make some of the columns; the dearest panels, which are the last, come first."""
        left = (self.count - 1) // self.width * self.width - panel * self.width
        right = min(left + self.width, self.count)
        width = -(-(right - left) // GROUP) * GROUP
        try:
            memory = self.memory.pop()
        except IndexError:
            memory = np.empty(self.length * self.width, self.row.compute)
        numbers = memory[: self.length * width]
        numbers[:] = 0
        top, live = self.first + left, self.first + right  # rows from `live` on are still zero
        # The diagonal of R, which a reflector takes to be of the other sign.
        signs = -np.copysign(1, self.leading[top:live])
        numbers[top * width : live * width : width + 1] = signs
        columns = numbers.reshape(self.length, width)
        for block in range((live - 1) // BLOCK, -1, -1):
            above = block * BLOCK
            self.kernels.reflect(*self.blocks[block], columns[above:], live - above)
            live = self.length
        self._store(columns, left, right)
        self.memory.append(memory)

    def _store(self, columns: NDArray[Any], left: int, right: int) -> None:
        if self.gain != 1:
            columns *= self.row.compute.type(self.gain)
        for top in range(0, self.length, ROWS):
            part = columns[top : top + ROWS, : right - left]
            self.out[top : top + ROWS, left:right] = self.row.stored(part)
