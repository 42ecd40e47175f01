"""Dropout whose mask is drawn again when it is needed, and never stored.

Whether element i is kept depends on ``(key, i)`` alone: it is, where element i of
``fastinit.uniform(..., 0.0, 1.0, seed=key)`` in float32 is at least `rate`. So the backward pass
draws the mask of the forward pass again, and any rows of a batch have the mask that they have in
the whole, on any thread. A training loop gives each layer a key, and each batch elements of its
own, by `start`: with the same key and `start`, the mask is the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastinit.errors import ArgumentError
from fastinit.kernels.jit import FloatArray, IntArray, njit
from fastinit.sampling.distributions import Uniform
from fastinit.sampling.layout import TILE
from fastinit.sampling.numba_fill import VALUE_PLANE, _words

__all__ = ["dropout", "dropout_backward"]

CENTER, HALF_WIDTH = Uniform(0.0, 1.0).plan(np.dtype(np.float32))[1]
# Words drawn at once: few enough to stay in the first cache, with what they are applied to.
SCRATCH = 64 * TILE


@njit
def first_kept(rate: float) -> int:
    """Return the least word, as a signed integer, that keeps an element.

    The uniform number of a word s is ``CENTER + float32(s) * HALF_WIDTH``: no step of this falls as
    s rises, so the words that keep an element are those from some word on, and comparing words is
    the same as comparing numbers. That word is found by halving. The largest word gives the
    largest float32 below 1, so for every rate below 1 there is one.
    """
    least, below, above = np.float32(rate), -(2**31) - 1, 2**31 - 1
    while above - below > 1:
        middle = (above + below) // 2
        if CENTER + np.float32(middle) * HALF_WIDTH >= least:
            above = middle
        else:
            below = middle
    return above


@njit
def drop(
    x: FloatArray,
    out: FloatArray,
    first: int,
    scale: float,
    key: int,
    start: int,
    words: IntArray,
) -> None:
    """Write ``scale * x`` where the mask keeps an element, else 0, without any check.

    `x` and `out` are one-dimensional, of the elements from `start` on; `first` is `first_kept` of
    the rate, `scale` is ``1 / (1 - rate)``; `words` is scratch, uint32, a multiple of TILE long.
    """
    factor, zero = x.dtype.type(scale), x.dtype.type(0)
    limit = np.int32(first)
    begin: Any = np.int64(start)  # an unsigned one would turn into floats below
    tile, before = begin // TILE, begin % TILE
    position, size = 0, x.size
    while position < size:
        tiles = min(words.size // TILE, (before + size - position + TILE - 1) // TILE)
        _words(words, np.uint64(key), VALUE_PLANE, np.uint64(tile), tiles)
        count = min(tiles * TILE - before, size - position)
        part, target, drawn = x[position:], out[position:], words[before:]
        for i in range(np.uint64(count)):
            target[i] = part[i] * factor if np.int32(drawn[i]) >= limit else zero
        position += count
        tile += tiles
        before = 0


@njit
def dropout(x: FloatArray, out: FloatArray, rate: float, key: int, start: int) -> None:
    """Write ``x / (1 - rate)`` where an element is kept, else 0.

    Each is kept with probability ``1 - rate``, independently, so the mean stays what it was. An
    element that is dropped is 0 even if it was infinite or a NaN. For inference there is nothing to
    do.

    Parameters
    ----------
    x : ndarray, shape (batch, units)
        The layer's inputs, C-contiguous, float32 or float64. The batch may be empty.
    out : ndarray, shape (batch, units)
        Overwritten with the outputs, of the same dtype; may be `x`.
    rate : float
        The probability to be dropped, as a float32 from 0 and below 1.
    key : Key or int
        64 bits, as `fastinit.key` makes them.
    start : int
        Which element of the mask comes first: that of row i of a larger batch is ``i * units``.

    Raises
    ------
    ArgumentError
        If the shapes differ, `rate` is out of range or a NaN, or `start` is negative.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov: Dropout: a simple way to prevent
    neural networks from overfitting. JMLR 15 (2014).

    Examples
    --------
    >>> import numpy, fastinit
    >>> from fastinit.kernels.dropout import dropout
    >>> x, out = numpy.ones((1, 6)), numpy.empty((1, 6))
    >>> dropout(x, out, 0.5, fastinit.key(0, "dropout"), 0)
    >>> out.tolist()
    [[2.0, 2.0, 2.0, 0.0, 2.0, 2.0]]
    """
    if out.shape != x.shape:
        raise ArgumentError("out must have the shape of x")
    if not 0 <= np.float32(rate) < 1:
        raise ArgumentError("rate must be at least 0 and, as a float32, below 1")
    if start < 0:
        raise ArgumentError("start must not be negative")
    words = np.empty(min(SCRATCH, (x.size // TILE + 2) * TILE), np.uint32)
    drop(
        x.reshape(x.size),
        out.reshape(x.size),
        first_kept(rate),
        1.0 / (1.0 - rate),
        key,
        start,
        words,
    )


@njit
def dropout_backward(
    grad_out: FloatArray, grad_in: FloatArray, rate: float, key: int, start: int
) -> None:
    """Write the gradient through `dropout`: ``grad_out / (1 - rate)`` where it kept, else 0.

    The mask is that of `dropout` with the same `rate`, `key` and `start`.

    Parameters
    ----------
    grad_out : ndarray, shape (batch, units)
        Gradient of the loss in the outputs, C-contiguous, float32 or float64.
    grad_in : ndarray, shape (batch, units)
        Overwritten with the gradient of the loss in `x`; may be `grad_out`.
    rate : float
        The probability to be dropped, as a float32 from 0 and below 1.
    key : Key or int
        64 bits, as `fastinit.key` makes them.
    start : int
        Which element of the mask comes first.

    Raises
    ------
    ArgumentError
        If the shapes differ, `rate` is out of range or a NaN, or `start` is negative.

    Examples
    --------
    >>> import numpy, fastinit
    >>> from fastinit.kernels.dropout import dropout_backward
    >>> grad = numpy.ones((1, 6))
    >>> dropout_backward(grad, grad, 0.5, fastinit.key(0, "dropout"), 0)
    >>> grad.tolist()
    [[2.0, 2.0, 2.0, 0.0, 2.0, 2.0]]
    """
    if grad_in.shape != grad_out.shape:
        raise ArgumentError("grad_in must have the shape of grad_out")
    dropout(grad_out, grad_in, rate, key, start)
