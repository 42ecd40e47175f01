"""LSUV and data-dependent initialization of `fastinit.nn` networks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastinit.datadriven import LayerScaling, Matrix, Scaler, equalize_rates
from fastinit.kernels.jit import FloatArray
from fastinit.keys import Seed
from fastinit.nn.checks import as_features
from fastinit.nn.layers import Dense
from fastinit.nn.network import Sequential
from fastinit.nn.passes import Pass

__all__ = ["data_dependent", "lsuv"]


class Step:
    """A layer with a kernel, in a pass that has come to it."""

    def __init__(self, found: Pass, number: int, layer: Any) -> None:
        self._pass, self._number, self.layer = found, number, layer
        self.name = f"{layer.name}.kernel"

    def parameters(self) -> tuple[Matrix, Matrix | None]:
        """Return copies of kernel and bias."""
        bias = self.layer.bias
        return self.layer.kernel.astype(np.float64), None if bias is None else bias.astype(float)

    def assign(self, kernel: Matrix, bias: Matrix | None) -> None:
        """Write them back."""
        self.layer.kernel = kernel
        if bias is not None:
            self.layer.bias = bias

    def output(self) -> FloatArray:
        """Return the pre-activations, one row an example and step."""
        self._pass.forward(self._number, self._number + 1)
        z = self._pass.pre_activations(self._number)
        return z.reshape(-1, z.shape[-1])


def lsuv(
    network: Sequential,
    x: ArrayLike,
    *,
    tolerance: float = 0.1,
    tries: int = 10,
    redraw: bool = True,
    seed: Seed = None,
) -> list[LayerScaling]:
    r"""Scale the weights so that each layer's pre-activations have variance 1 on data (LSUV).

    From the first layer to the last, orthonormal weights are divided by the standard deviation of
    what the layer makes of `x`, over all examples and units, until it is 1:

    .. math:: W \leftarrow W / \operatorname{std}(x W + b), \quad
        \text{until } |\operatorname{std} - 1| < \text{tolerance}

    Parameters
    ----------
    network : Sequential
        Built if it is not.
    x : array_like, shape (examples, features)
        Finite numbers; some hundred examples are enough.
    tolerance : float, default 0.1
        What deviation from 1 is left alone.
    tries : int, default 10
        How often a layer is scaled at most; without biases once is enough.
    redraw : bool, default True
        Start from orthonormal weights and zero biases; else from what the network has.
    seed : int, Key, numpy.random.SeedSequence, numpy.random.Generator or None, default None
        Decides the orthonormal weights: those of the initializer "orthogonal" in a network of that
        seed. None is the network's own.

    Returns
    -------
    list of LayerScaling
        For each layer its standard deviation before and after, and whether that is near enough.

    Raises
    ------
    ArgumentError
        If the data cannot be used, or a layer's outputs do not vary with them or are not finite;
        the parameters are then what they were.

    References
    ----------
    D. Mishkin and J. Matas, "All you need is a good init", arXiv:1511.06422.

    Examples
    --------
    >>> import fastinit
    >>> from fastinit import nn
    >>> layers = [nn.Dense(30, "tanh") for _ in range(8)]
    >>> x = fastinit.normal((200, 20), 0.0, 3.0, seed=1)
    >>> records = nn.lsuv(nn.Sequential(layers, seed=0), x)
    >>> all(abs(record.std_after - 1) < 0.1 for record in records)
    True
    """
    scaler = Scaler(
        per_channel=False,
        tolerance=tolerance,
        tries=tries,
        redraw=redraw,
        seed=network.seed if seed is None else seed,
    )
    with scaler.running():
        _scale(network, x, scaler)
    return scaler.records


def data_dependent(
    network: Sequential,
    x: ArrayLike,
    *,
    rates: bool = True,
    redraw: bool = True,
    seed: Seed = None,
) -> list[LayerScaling]:
    r"""Give each unit's pre-activations mean 0 and variance 1 on data; equalize learning rates.

    From the first layer to the last, normal weights with no bias are set to

    .. math:: W_c \leftarrow W_c / \sigma_c, \qquad b_c \leftarrow -\mu_c / \sigma_c

    for each unit c, whose pre-activations have mean :math:`\mu_c` and standard deviation
    :math:`\sigma_c`. Then each layer is multiplied by a number, so that the root mean squares of
    gradient and weights have the same ratio in all layers, for a random gradient of the last
    layer's pre-activations; exactly so with relu, whose outputs do not change by it.

    Parameters
    ----------
    network : Sequential
        Built if it is not.
    x : array_like, shape (examples, features)
        Finite numbers.
    rates : bool, default True
        Whether to do the second part.
    redraw : bool, default True
        Start from standard normal weights and zero biases; else from what the network has.
    seed : int, Key, numpy.random.SeedSequence, numpy.random.Generator or None, default None
        Decides the weights and the random gradient. None is the network's own.

    Returns
    -------
    list of LayerScaling
        For each layer its standard deviation before and after the first part, and its rate.

    Raises
    ------
    ArgumentError
        If the data cannot be used, or a unit's outputs do not vary with them or are not finite;
        the parameters are then what they were.

    References
    ----------
    P. Kraehenbuehl, C. Doersch, J. Donahue and T. Darrell, "Data-dependent initializations of
    convolutional neural networks", arXiv:1511.06856; the second part as in the authors' program.

    Examples
    --------
    >>> import fastinit
    >>> from fastinit import nn
    >>> network = nn.Sequential([nn.Dense(30, "relu"), nn.Dense(10)], seed=0)
    >>> records = nn.data_dependent(network, fastinit.normal((200, 20), 1.0, 3.0, seed=1))
    >>> abs(records[0].rate / records[1].rate - 1) < 0.02
    True
    """
    scaler = Scaler(
        per_channel=True,
        tolerance=0.01,
        tries=10,
        redraw=redraw,
        seed=network.seed if seed is None else seed,
    )
    with scaler.running():
        steps = _scale(network, x, scaler)
        if rates:
            _equalize(network, x, scaler, steps)
    return scaler.records


def _equalize(network: Sequential, x: ArrayLike, scaler: Scaler, steps: list[Step]) -> None:
    values, last = as_features(x, network.input_shape, network.dtype), len(network.layers) - 1
    # The gradient is one in the last layer's pre-activations.
    left_out = getattr(network.layers[last], "code", -1)
    found = Pass(network, values, training=True, left_out=left_out)
    gradient = scaler.random_gradient(found.outputs(last).shape)

    def gradients() -> list[FloatArray]:
        found.forward()
        found.output_gradients(last)[...] = gradient
        found.backward()
        return [step.layer.gradients()["kernel"] for step in steps]

    scaler.records = equalize_rates(steps, gradients, scaler.records)


def _scale(network: Sequential, x: ArrayLike, scaler: Scaler) -> list[Step]:
    values = as_features(x, network.input_shape, network.dtype)
    if network.input_shape is None:
        network.build(values.shape[1:])
    found = Pass(network, values)
    steps = []
    for number, layer in enumerate(network.layers):
        if isinstance(layer, Dense):
            step = Step(found, number, layer)
            scaler.scale(step)
            steps.append(step)
        found.forward(number, number + 1)
    return steps
