"""Transfer: trained layers in another network."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike, DTypeLike

from fastinit.errors import ArgumentError, FastinitError
from fastinit.keys import Seed
from fastinit.nn.activations import default_alpha
from fastinit.nn.checks import as_count
from fastinit.nn.layers import Activation, Dense, Layer, Shape

if TYPE_CHECKING:
    from fastinit.nn.network import Sequential

__all__ = ["assemble", "with_head"]


def with_head(
    network: Sequential,
    head: Layer | Iterable[Layer],
    drop: int = 1,
    freeze: bool = True,
    seed: Seed = None,
) -> Sequential:
    """Return a new network: the trained layers of this one, and a new head in place of the last.

    The kept layers are copies with their names, parameters and statistics; this network does not
    change. The parameters of the head are drawn anew. To fine-tune afterwards, set
    ``layer.trainable = True`` for the layers that are to learn, too, and compile again with a
    smaller learning rate.

    Parameters
    ----------
    network : Sequential
        Built; this is a method of it.
    head : Layer or iterable of Layer
        The new last layers.
    drop : int, default 1
        How many of the last layers to leave out; 0 adds the head behind all.
    freeze : bool, default True
        Whether training is to leave the kept layers as they are. A frozen `BatchNorm` computes with
        its moving statistics, in training also.
    seed : int, Key, numpy.random.SeedSequence, numpy.random.Generator or None, default None
        The new network's, see `Sequential`.

    Returns
    -------
    Sequential
        Built, not compiled.

    Raises
    ------
    ArgumentError
        If no layer would be kept, or two layers have one name.
    ArgumentTypeError
        If `head` is not made of layers.
    FastinitError
        If the network is not built.

    Examples
    --------
    >>> from fastinit import nn
    >>> digits = nn.Sequential([nn.Dense(16, "relu"), nn.Dense(10)], seed=0)
    >>> digits.build(64)
    >>> letters = digits.with_head(nn.Dense(26, name="letters"), seed=1)
    >>> [(layer.name, layer.trainable) for layer in letters.layers]
    [('dense_0', False), ('letters', True)]
    """
    if network.input_shape is None:
        raise FastinitError("with_head needs a network with parameters: build or train it first")
    drop = as_count("drop", drop, 0)
    if drop >= len(network.layers):
        raise ArgumentError(
            f"drop must be below {len(network.layers)}, the number of layers, got {drop}"
        )
    trained = network.layers[: len(network.layers) - drop]
    added = [head] if isinstance(head, Layer) else list(head)
    new_of = {layer: _copy(layer) for layer in trained}
    made = type(network)([*new_of.values(), *added], seed=seed, dtype=network.dtype)
    made.allocate(network.input_shape)
    for layer, name in network._slots():
        if layer in new_of:
            setattr(new_of[layer], name, getattr(layer, name))
    for layer in new_of.values():
        layer.trainable = layer.trainable and not freeze
    for layer in added:
        layer.initialize(made.key)
    return made


def _copy(layer: Layer) -> Layer:
    """Return an equal layer that belongs to no network."""
    new = copy.copy(layer)
    new.taken = False
    return new


def assemble(
    pieces: Iterable[tuple[Layer, Mapping[str, ArrayLike]]],
    input_shape: int | Shape,
    seed: Seed,
    dtype: DTypeLike,
) -> Sequential:
    """Return a network of layers with given parameters and statistics, for the bridges.

    An activation behind a linear `Dense` becomes that layer's, so that one kernel computes both.

    Parameters
    ----------
    pieces : iterable of (Layer, mapping)
        New layers, each with its arrays by name.
    input_shape : int or tuple of int
        Shape of an example.
    seed : int, Key, numpy.random.SeedSequence, numpy.random.Generator or None
        Of what training draws.
    dtype : dtype
        float32 or float64.

    Returns
    -------
    Sequential
        Built, not compiled.

    Raises
    ------
    ArgumentError
        If the arrays do not fit the layers, or the layers one another.
    """
    from fastinit.nn.network import Sequential

    fused: list[tuple[Layer, Mapping[str, ArrayLike]]] = []
    for layer, arrays in pieces:
        before = fused[-1][0] if fused else None
        if (
            isinstance(layer, Activation)
            and layer.alpha == default_alpha(layer.code)
            and isinstance(before, Dense)
            and before.activation == "linear"
        ):
            before.activation, before.code = layer.activation, layer.code
        else:
            fused.append((layer, arrays))
    network = Sequential([layer for layer, _ in fused], seed=seed, dtype=dtype)
    network.allocate(input_shape)
    for layer, arrays in fused:
        for name, values in arrays.items():
            setattr(layer, name, values)
    return network
