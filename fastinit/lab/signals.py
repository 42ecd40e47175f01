"""Two inputs and a gradient in random networks of one width, layer by layer, as they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import fastinit
from fastinit.gains import Activation
from fastinit.initializers import Initializer
from fastinit.kernels import activations
from fastinit.keys import Key
from fastinit.lab.compiled.signals import scaled_layer
from fastinit.lab.theory import function_of, kernel_of
from fastinit.sampling import threads

__all__ = ["Draws", "Signals", "measure"]

Array = NDArray[np.float64]

KEPT_NUMBERS = 2**25
"""Kernels of so many numbers are kept while all grid points pass; others are drawn each time."""

PART_NUMBERS = 2**20
"""What a part of the grid keeps for the way back: 8 MiB."""


@dataclass(frozen=True)
class Signals:
    """What was measured, layer by layer.

    Attributes
    ----------
    variance : ndarray, shape (depth, points)
        Mean square of the pre-activations, over units and the two inputs.
    unlikeness : ndarray, shape (depth, points)
        1 less the two inputs' correlation, not centred; NaN where a variance is 0 or infinite.
    gradient : ndarray, shape (depth, points)
        Root mean square, over units, of the gradient in the pre-activations, over that of the last
        layer, which has a random direction; NaN where the variance is not finite.
    """

    variance: Array
    unlikeness: Array
    gradient: Array


class Draws:
    """The standard kernels, biases, inputs and direction of one random network.

    Parameters
    ----------
    key : Key
    depth, width : int
    initializer : Initializer, optional
        Of the kernels; by default standard normal.
    """

    def __init__(
        self, key: Key, depth: int, width: int, initializer: Initializer | None = None
    ) -> None:
        self.key, self.depth, self.width = key, depth, width
        self.initializer = initializer
        self._kept: list[tuple[Array, Array]] = []
        if depth * width * width <= KEPT_NUMBERS:
            self._kept = [self._pair(layer) for layer in range(depth)]

    def kernels(self, layer: int) -> tuple[Array, Array]:
        """Return a layer's kernel and its transpose, both C-contiguous."""
        return self._kept[layer] if self._kept else self._pair(layer)

    def kernel(self, layer: int) -> Array:
        """Return a layer's kernel as it is drawn."""
        shape, key = (self.width, self.width), fastinit.key(self.key, "kernel", str(layer))
        if self.initializer is not None:
            return self.initializer(shape, seed=key, dtype=np.float64)
        return fastinit.normal(shape, 0.0, 1.0, seed=key, dtype=np.float64)

    def vector(self, name: str) -> Array:
        """Return standard normal numbers, one a unit."""
        key = fastinit.key(self.key, name)
        return fastinit.normal(self.width, 0.0, 1.0, seed=key, dtype=np.float64)

    def inputs(self, variance: float, correlation: float) -> Array:
        """Return two inputs that have this mean square and this correlation exactly."""
        first, second = self.vector("first input"), self.vector("second input")
        second -= first * (first @ second) / (first @ first)
        first, second = (v * math.sqrt(self.width / (v @ v)) for v in (first, second))
        rest = math.sqrt((1.0 - correlation) * (1.0 + correlation))
        return math.sqrt(variance) * np.stack((first, correlation * first + rest * second))

    def _pair(self, layer: int) -> tuple[Array, Array]:
        kernel = self.kernel(layer)
        return kernel, np.ascontiguousarray(kernel.T)


class _Pointwise:
    """An activation, and what multiplies a gradient on its way back through it."""

    def __init__(self, activation: Activation) -> None:
        self._phi = function_of(activation)
        self._kernel: tuple[int, float] | None = None
        self.saves_input = True
        if isinstance(activation, str) and activation in activations.CODES:
            self._kernel = kernel_of(activation)
            self.saves_input = self._kernel[0] in activations.SAVES_INPUT

    def forward(self, z: Array, out: Array) -> None:
        if self._kernel:
            activations.activate(*self._kernel, z, out)
        else:
            out[...] = self._phi(z)

    def backward(self, saved: Array, gradient: Array) -> None:
        if self._kernel:
            activations.activate_backward(*self._kernel, saved, gradient, gradient)
            return
        step = 1e-6 * np.maximum(np.abs(saved), 1.0)
        gradient *= (self._phi(saved + step) - self._phi(saved - step)) / (2.0 * step)


def measure(
    activation: Activation,
    draws: Draws,
    scale: Array,
    sigma_b: Array,
    *,
    variance: float = 1.0,
    correlation: float = 0.5,
    done: Callable[[int], None] = lambda points: None,
) -> Signals:
    """Measure networks that differ in their scales alone, all from the same draws.

    The results are the same bits for any number of threads, and for each network the same with or
    without the others.

    Parameters
    ----------
    activation : str or callable
    draws : Draws
    scale : ndarray, shape (points,)
        By which each network multiplies the kernels.
    sigma_b : ndarray, shape (points,)
        By which each multiplies the biases, which are drawn standard normal.
    variance, correlation : float
        Of the two inputs.
    done : callable, optional
        Is told, from any thread, how many networks are done since it was called last.

    Returns
    -------
    Signals

    Examples
    --------
    >>> import fastinit
    >>> import numpy as np
    >>> from fastinit.lab.signals import Draws, measure
    >>> draws = Draws(fastinit.key(0), depth=3, width=100)
    >>> measure("linear", draws, np.array([0.1]), np.zeros(1)).variance.shape
    (3, 1)
    """
    points = len(scale)
    results = [np.empty((draws.depth, points)) for _ in range(3)]
    pointwise, inputs = _Pointwise(activation), draws.inputs(variance, correlation)
    biases = [draws.vector(f"bias {layer}") for layer in range(draws.depth)]
    size = max(1, PART_NUMBERS // (draws.depth * draws.width))
    starts = range(0, points, size)

    def work(part: int) -> None:
        here = slice(starts[part], min(starts[part] + size, points))
        with np.errstate(all="ignore"):  # overflow is a result
            parts = _walk(pointwise, draws, inputs, biases, scale[here], sigma_b[here])
        for whole, values in zip(results, parts, strict=True):
            whole[:, here] = values
        done(here.stop - here.start)

    threads.run(work, len(starts))
    return Signals(*results)


def _walk(
    pointwise: _Pointwise,
    draws: Draws,
    inputs: Array,
    biases: list[Array],
    scale: Array,
    sigma_b: Array,
) -> tuple[Array, Array, Array]:
    """Go forward with both inputs, and back with the first."""
    points, width, depth = len(scale), draws.width, draws.depth
    variance, unlikeness, gradient = (np.empty((depth, points)) for _ in range(3))
    zeros, no_shift = np.zeros(width), np.zeros(points)
    scales, shifts = np.tile(scale, 2), np.tile(sigma_b, 2)
    x = np.repeat(inputs, points, axis=0)
    z, saved = np.empty_like(x), np.empty((depth, points, width))
    for layer in range(depth):
        kernel, _ = draws.kernels(layer)
        scaled_layer(x, kernel, biases[layer], scales, shifts, zeros, z)
        variance[layer], unlikeness[layer] = _likeness(z[:points], z[points:])
        pointwise.forward(z, x)
        saved[layer] = (z if pointwise.saves_input else x)[:points]
    grad = np.repeat(draws.vector("direction")[None], points, axis=0)
    last = gradient[-1] = _mean_square(grad)
    before = np.empty_like(grad)
    for layer in range(depth - 2, -1, -1):
        _, transposed = draws.kernels(layer + 1)
        scaled_layer(grad, transposed, zeros, scale, no_shift, zeros, before)
        pointwise.backward(saved[layer], before)
        gradient[layer] = _mean_square(before)
        grad, before = before, grad
    gradient = np.sqrt(gradient / last)
    gradient[:, ~np.isfinite(variance[-1])] = np.nan
    return variance, unlikeness, gradient


def _likeness(first: Array, second: Array) -> tuple[Array, Array]:
    """Return mean squares, and 1 less the correlation: by differences, so that it keeps digits."""
    one, other, apart = (_mean_square(rows) for rows in (first, second, first - second))
    roots = np.sqrt(one), np.sqrt(other)
    rest = (apart - (roots[0] - roots[1]) ** 2) / (2.0 * roots[0] * roots[1])
    variance = 0.5 * (one + other)
    finite = np.isfinite(variance)
    rest = np.where(finite, np.clip(rest, 0.0, 2.0), np.nan)
    return np.where(finite, variance, np.inf), rest


def _mean_square(rows: Array) -> Array:
    return np.asarray((rows * rows).mean(axis=1))
