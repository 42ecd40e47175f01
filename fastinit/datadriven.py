"""Initial weights scaled by what data makes of them: LSUV, and data-dependent initialization.

The algorithms only; `fastinit.nn`, `fastinit.torch` and `fastinit.keras` apply them to networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastinit.errors import ArgumentError
from fastinit.fans import as_shape
from fastinit.keys import Seed, key_bits
from fastinit.keys import key as make_key
from fastinit.sampling import Normal, fill
from fastinit.sampling.distributions import as_scale
from fastinit.sampling.orthogonal import fill_orthogonal

__all__ = ["Layer", "LayerScaling", "Scaler", "equalize_rates"]

Matrix = NDArray[np.float64]

# Passes of `equalize_rates` at most, and the relative spread of the rates that ends them.
PASSES, SPREAD = 10, 0.01


class Layer(Protocol):
    """What the algorithms ask of a layer that computes ``inputs @ kernel + bias``."""

    name: str  # of the weights, in the model

    def parameters(self) -> tuple[Matrix, Matrix | None]:
        """Return copies of the kernel, shape (inputs, channels), and of the bias, if any."""

    def assign(self, kernel: Matrix, bias: Matrix | None) -> None:
        """Write both back."""

    def output(self) -> NDArray[Any]:
        """Return what the layer makes of the data before any activation, channels last."""


@dataclass(frozen=True)
class LayerScaling:
    """What became of one layer.

    Attributes
    ----------
    name : str
        The name of the layer's weights.
    std_before, std_after : float
        Standard deviation of the layer's pre-activations over the data and all units: with the
        weights that it started from, and with those it was given.
    tries : int
        How often the weights were scaled.
    converged : bool
        Whether `std_after` is as near to 1 as was asked for.
    rate : float or None
        Root mean square of the gradient over that of the weights, if rates were equalized.

    Examples
    --------
    >>> from fastinit.datadriven import LayerScaling
    >>> LayerScaling("dense_0.kernel", 0.2, 1.0, 1, True).converged
    True
    """

    name: str
    std_before: float
    std_after: float
    tries: int
    converged: bool
    rate: float | None = None


class Scaler:
    """Scales layers one after the other, and undoes it all if one of them cannot be scaled.

    Parameters
    ----------
    per_channel : bool
        Whether each channel is given mean 0 and variance 1 by its own weights and bias
        (data-dependent initialization), or all weights are divided by one number (LSUV).
    tolerance : float
        Scale until abs(std - 1) is less.
    tries : int
        Scale so often at most.
    redraw : bool
        Start from orthonormal weights (LSUV) or standard normal ones, and from no bias.
    seed : int, Key, numpy.random.SeedSequence, numpy.random.Generator or None
        What decides these weights, together with their name.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If an argument does not fit.
    """

    def __init__(
        self, *, per_channel: bool, tolerance: float, tries: int, redraw: bool, seed: Seed
    ) -> None:
        self.per_channel, self.redraw = per_channel, redraw
        self.tolerance = as_scale("tolerance", tolerance)
        self.tries = as_shape(tries)[0]
        if not self.tries:
            raise ArgumentError("tries must be at least 1, got 0")
        key = make_key(seed)
        # One for all layers, also where a seed changes when it is read.
        self.seed = key if seed is None or isinstance(seed, np.random.Generator) else seed
        self.records: list[LayerScaling] = []
        self._before: list[tuple[Layer, tuple[Matrix, Matrix | None]]] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Put everything back if the block fails, or if it scales no layer."""
        try:
            yield
            if not self.records:
                raise ArgumentError("there is no layer to scale: none has trainable weights")
        except BaseException:
            for layer, parameters in self._before:
                layer.assign(*parameters)
            raise

    def scale(self, layer: Layer) -> None:
        """Give a layer weights under which its pre-activations have variance 1 on the data."""
        self._before.append((layer, layer.parameters()))
        if self.redraw:
            layer.assign(*self._start(layer))
        mean, std = _moments(layer)
        before, tries = _total(mean, std), 0
        while tries < self.tries and not self._done(layer, mean, std):
            self._divide(layer, mean, std)
            mean, std = _moments(layer)
            tries += 1
        done = self._done(layer, mean, std)
        self.records.append(LayerScaling(layer.name, before, _total(mean, std), tries, done))

    def _start(self, layer: Layer) -> tuple[Matrix, Matrix | None]:
        kernel, bias = layer.parameters()
        key = key_bits(self.seed, layer.name)
        if self.per_channel:
            fill(kernel, Normal(0.0, 1.0), key)
        else:
            fill_orthogonal(kernel, key)
        return kernel, None if bias is None else np.zeros_like(bias)

    def random_gradient(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return the gradient of outputs that `equalize_rates` is to be used with."""
        gradient = np.empty(shape, np.float32)
        fill(gradient, Normal(0.0, 1.0), key_bits(self.seed, "gradient"))
        return gradient

    def _divide(self, layer: Layer, mean: Matrix, std: Matrix) -> None:
        kernel, bias = layer.parameters()
        divisor = std if self.per_channel else _total(mean, std)
        if not np.all(divisor):
            raise ArgumentError(f"{layer.name}: its outputs are the same for all of the data")
        if bias is not None and self.per_channel:
            bias = (bias - mean) / std
        layer.assign(kernel / divisor, bias)

    def _done(self, layer: Layer, mean: Matrix, std: Matrix) -> bool:
        if not self.per_channel:
            return abs(_total(mean, std) - 1.0) < self.tolerance
        if layer.parameters()[1] is None:
            mean = np.zeros_like(mean)  # nothing can move it
        return bool(np.maximum(abs(mean), abs(std - 1.0)).max() < self.tolerance)


def _moments(layer: Layer) -> tuple[Matrix, Matrix]:
    """Return mean and standard deviation of each channel's pre-activations."""
    output = layer.output()
    if not output.size:
        raise ArgumentError(
            f"{layer.name}: there is no data, its outputs have shape {output.shape}"
        )
    values = output.reshape(-1, output.shape[-1])
    mean, std = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    if not (np.isfinite(mean).all() and np.isfinite(std).all()):
        raise ArgumentError(f"{layer.name}: its outputs are not finite")
    return mean, std


def _total(mean: Matrix, std: Matrix) -> float:
    """Return the standard deviation over all channels together."""
    return math.sqrt(float(np.mean(std**2) + np.var(mean)))


def equalize_rates(
    layers: Sequence[Layer],
    gradients: Callable[[], Sequence[NDArray[Any]]],
    records: Sequence[LayerScaling],
) -> list[LayerScaling]:
    """Scale each layer's weights so that all learn at one rate; return the records with the rates.

    The rate of a layer is the root mean square of its gradient over that of its weights. Where the
    layers are a chain, with activations that commute with positive factors (relu), a layer's
    factor sqrt(rate / geometric mean of the rates) makes them equal and leaves the outputs as
    they are, if a bias is multiplied by the factors of all layers up to its own.
    """
    rates: list[float] = []
    for passes in range(PASSES + 1):
        rates = [
            _rms(gradient, layer) / _rms(layer.parameters()[0], layer)
            for gradient, layer in zip(gradients(), layers, strict=True)
        ]
        ratios = np.array(rates) / math.exp(np.mean(np.log(rates)))
        if passes == PASSES or np.abs(np.log(ratios)).max() < SPREAD:
            break
        factors = np.sqrt(ratios)
        for layer, own, up_to_here in zip(layers, factors, np.cumprod(factors), strict=True):
            kernel, bias = layer.parameters()
            layer.assign(kernel * own, None if bias is None else bias * up_to_here)
    return [replace(record, rate=rate) for record, rate in zip(records, rates, strict=True)]


def _rms(values: NDArray[Any], layer: Layer) -> float:
    rms = math.sqrt(float(np.mean(np.square(values, dtype=np.float64))))
    if not 0.0 < rms < math.inf:
        raise ArgumentError(f"{layer.name}: its weights or their gradients are zero or not finite")
    return rms
