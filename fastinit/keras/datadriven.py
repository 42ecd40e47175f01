"""LSUV and data-dependent initialization of Keras models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from fastinit.datadriven import LayerScaling, Matrix, Scaler, equalize_rates
from fastinit.errors import ArgumentError
from fastinit.keys import Seed

__all__ = ["data_dependent", "lsuv"]

TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
CONVOLUTIONS = (*TRANSPOSED, *DEPTHWISE, layers.Conv1D, layers.Conv2D, layers.Conv3D)
KINDS = (layers.Dense, layers.EinsumDense, *CONVOLUTIONS)


class Step:
    """A dense or convolution layer with the inputs that it gets."""

    def __init__(self, layer: Any, call: Callable[..., Any], args: Any, kwargs: Any) -> None:
        self.layer, self.call, self.args, self.kwargs = layer, call, args, kwargs
        self.name = layer.kernel.path
        self.kernel_axes, self.output_axes = _channel_axes(layer)

    def parameters(self) -> tuple[Matrix, Matrix | None]:
        """Return copies of the kernel, as (inputs, channels), and of the bias, if it is theirs."""
        kernel = _channels_last(_array(self.layer.kernel), self.kernel_axes)
        kernel = kernel.reshape(-1, kernel.shape[-1]).copy()
        bias = None if self.layer.bias is None else _array(self.layer.bias).ravel()
        return kernel, bias if bias is not None and len(bias) == kernel.shape[1] else None

    def assign(self, kernel: Matrix, bias: Matrix | None) -> None:
        """Write them back."""
        axes, last = self.kernel_axes, range(-len(self.kernel_axes), 0)
        moved = np.moveaxis(np.broadcast_to(0.0, self.layer.kernel.shape), axes, last)
        self.layer.kernel.assign(np.moveaxis(kernel.reshape(moved.shape), last, axes))
        if bias is not None:
            self.layer.bias.assign(bias.reshape(self.layer.bias.shape))

    def output(self) -> NDArray[Any]:
        """Return what the layer makes of its inputs before the activation."""
        return _channels_last(_array(self.pre_activation()), self.output_axes)

    def pre_activation(self) -> Any:
        """Run the layer without its activation."""
        activation = self.layer.activation
        self.layer.activation = None
        try:
            return self.call(*self.args, **self.kwargs)
        finally:
            self.layer.activation = activation


def lsuv(
    model: Any,
    x: Any,
    *,
    tolerance: float = 0.1,
    tries: int = 10,
    redraw: bool = True,
    seed: Seed = None,
) -> list[LayerScaling]:
    r"""Scale the kernels so that each layer's pre-activations have variance 1 on data (LSUV).

    In the order in which the model calls them, dense, einsum-dense and convolution layers
    (transposed and depthwise ones too) are given orthonormal kernels, divided by the standard
    deviation of what the layer makes of `x` before its activation, over all examples, places and
    channels, until it is 1:

    .. math:: W \leftarrow W / \operatorname{std}(x W + b), \quad
        \text{until } |\operatorname{std} - 1| < \text{tolerance}

    The model runs once, with ``training=False``. Left alone are layers that it does not call,
    kernels that are not trainable, and the kernels of recurrent and separable layers.

    Parameters
    ----------
    model : keras.Model
        Built if it is not.
    x : array, tensor, structure of these, or callable
        What the model is called with, or a function without arguments that returns it.
    tolerance : float, default 0.1
        What deviation from 1 is left alone.
    tries : int, default 10
        How often a layer is scaled at most; without biases once is enough.
    redraw : bool, default True
        Start from orthonormal kernels and zero biases; else from what the model has.
    seed : int, Key, numpy.random.SeedSequence, numpy.random.Generator or None, default None
        Decides the orthonormal kernels, together with their ``path``: give layers names of your
        own, since Keras numbers the others differently each time.

    Returns
    -------
    list of fastinit.datadriven.LayerScaling
        For each layer its standard deviation before and after, and whether that is near enough.

    Raises
    ------
    ArgumentError
        If there is no layer to scale, the data are not finite, or a layer's outputs do not vary
        with them or are not finite; the variables are then what they were.

    References
    ----------
    D. Mishkin and J. Matas, "All you need is a good init", arXiv:1511.06422.

    Examples
    --------
    >>> import fastinit.keras, keras
    >>> layers = [keras.layers.Dense(30, "tanh", name=f"dense_{i}") for i in range(8)]
    >>> model = keras.Sequential([keras.Input((20,)), *layers])
    >>> records = fastinit.keras.lsuv(model, keras.random.normal((200, 20), seed=1), seed=0)
    >>> all(abs(record.std_after - 1) < 0.1 for record in records)
    True
    """
    scaler = Scaler(per_channel=False, tolerance=tolerance, tries=tries, redraw=redraw, seed=seed)
    inputs = _inputs(x)
    with scaler.running():
        _scale(model, inputs, scaler)
    return scaler.records


def data_dependent(
    model: Any, x: Any, *, rates: bool = True, redraw: bool = True, seed: Seed = None
) -> list[LayerScaling]:
    r"""Give each channel's pre-activations mean 0, variance 1 on data; equalize learning rates.

    In the order in which the model calls them, dense and convolution layers are given normal
    kernels, no bias, and then

    .. math:: W_c \leftarrow W_c / \sigma_c, \qquad b_c \leftarrow -\mu_c / \sigma_c

    for each channel c, whose pre-activations have mean :math:`\mu_c` and standard deviation
    :math:`\sigma_c`. Then each layer is multiplied by a number, so that the root mean squares of
    gradient and kernel have the same ratio in all layers, for a random gradient of the last
    layer's pre-activations. Where the layers are a chain, with relu and pooling between them, this
    is exact and changes no output of the model; elsewhere it is tried ten times, and the records
    say which rates came out.

    Parameters
    ----------
    model : keras.Model
        Built if it is not; which layers are left alone, see `lsuv`.
    x : array, tensor, structure of these, or callable
        As for `lsuv`.
    rates : bool, default True
        Whether to do the second part; it needs the backend torch or jax.
    redraw : bool, default True
        Start from standard normal kernels and zero biases; else from what the model has.
    seed : int, Key, numpy.random.SeedSequence, numpy.random.Generator or None, default None
        Decides the kernels, together with their ``path``, and the random gradient.

    Returns
    -------
    list of fastinit.datadriven.LayerScaling
        For each layer its standard deviation before and after the first part, and its rate.

    Raises
    ------
    ArgumentError
        As for `lsuv`; or if the backend has no gradients.

    References
    ----------
    P. Kraehenbuehl, C. Doersch, J. Donahue and T. Darrell, "Data-dependent initializations of
    convolutional neural networks", arXiv:1511.06856; the second part as in the authors' program.

    Examples
    --------
    >>> import fastinit.keras, keras
    >>> layers = [keras.layers.Dense(30, "relu"), keras.layers.Dense(10)]
    >>> model = keras.Sequential([keras.Input((20,)), *layers])
    >>> x = keras.random.normal((200, 20), seed=1)
    >>> first, last = fastinit.keras.data_dependent(model, x, seed=0)
    >>> abs(first.rate / last.rate - 1) < 0.02
    True
    """
    scaler = Scaler(per_channel=True, tolerance=0.01, tries=10, redraw=redraw, seed=seed)
    backend = keras.backend.backend()
    if rates and backend not in GRADIENTS:
        raise ArgumentError(f"the backend {backend} has no gradients here: pass rates=False")
    inputs = _inputs(x)
    with scaler.running():
        steps = _scale(model, inputs, scaler)
        if rates and steps:
            last = steps[-1]

            def outputs() -> Any:
                """Return the last layer's pre-activations."""
                made: list[Any] = []

                def keep(layer: Any, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
                    made.append(Step(layer, call, args, kwargs).pre_activation())
                    return layer.activation(made[-1]) if layer.activation else made[-1]

                with _wrapped([last.layer], keep):
                    model(inputs, training=False)
                return made[0]

            random = keras.ops.convert_to_tensor(
                scaler.random_gradient(tuple(keras.ops.shape(outputs())))
            )
            kernels = [step.layer.kernel for step in steps]
            scaler.records = equalize_rates(
                steps,
                lambda: [_array(grad) for grad in GRADIENTS[backend](outputs, random, kernels)],
                scaler.records,
            )
    return scaler.records


def _torch_gradients(outputs: Callable[[], Any], random: Any, kernels: list[Any]) -> Any:
    import torch

    values = [kernel.value for kernel in kernels]
    with torch.enable_grad():
        total = (outputs() * random).sum()
    return torch.autograd.grad(total, values, materialize_grads=True)


def _jax_gradients(outputs: Callable[[], Any], random: Any, kernels: list[Any]) -> Any:
    import jax

    def total(values: Any) -> Any:
        with keras.StatelessScope(list(zip(kernels, values, strict=True))):
            return (outputs() * random).sum()

    return jax.grad(total)([kernel.value for kernel in kernels])


GRADIENTS = {"jax": _jax_gradients, "torch": _torch_gradients}


def _scale(model: Any, inputs: Any, scaler: Scaler) -> list[Step]:
    """Run the model, and scale each layer when its turn comes."""
    if not model.built:
        model(inputs, training=False)
    steps: list[Step] = []

    def scale(layer: Any, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if layer.kernel.trainable and all(step.layer is not layer for step in steps):
            step = Step(layer, call, args, kwargs)
            scaler.scale(step)
            step.args, step.kwargs = (), {}  # what the data was is not needed any more
            steps.append(step)
        return call(*args, **kwargs)

    found = [layer for layer in _layers_in(model) if isinstance(layer, KINDS)]
    with _wrapped(found, scale):
        model(inputs, training=False)
    return steps


def _layers_in(layer: Any) -> Iterator[Any]:
    yield layer
    for inner in getattr(layer, "_layers", ()):
        yield from _layers_in(inner)


@contextmanager
def _wrapped(layers: list[Any], wrapper: Callable[..., Any]) -> Iterator[None]:
    """Let ``wrapper(layer, call, args, kwargs)`` stand for each layer's ``call``."""
    with ExitStack() as stack:
        for layer in dict.fromkeys(layers):
            call = layer.call

            def wrapped(*args: Any, _layer: Any = layer, _call: Any = call, **kwargs: Any) -> Any:
                return wrapper(_layer, _call, args, kwargs)

            layer.call = wrapped
            stack.callback(delattr, layer, "call")
        yield


def _channel_axes(layer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return which axes of the kernel, and which of the outputs, hold the channels."""
    if isinstance(layer, layers.EinsumDense):
        inputs, rest = layer.equation.split(",")
        kernel, outputs = rest.split("->")
        channels = [letter for letter in kernel if letter in outputs and letter not in inputs]
        letters = outputs.replace("...", ".")
        after = letters.find(".")  # what comes before an ellipsis is counted from the front
        places = (letters.index(letter) for letter in channels)
        return (
            tuple(map(kernel.index, channels)),
            tuple(i - len(letters) if i > after else i for i in places),
        )
    first = getattr(layer, "data_format", "channels_last") == "channels_first"
    outputs_axes = (1 if first else -1,)
    if isinstance(layer, DEPTHWISE):
        return (-2, -1), outputs_axes
    return ((-2,) if isinstance(layer, TRANSPOSED) else (-1,)), outputs_axes


def _channels_last(array: NDArray[Any], axes: tuple[int, ...]) -> NDArray[Any]:
    moved = np.moveaxis(array, axes, range(-len(axes), 0))
    return moved.reshape(*moved.shape[: moved.ndim - len(axes)], -1)


def _inputs(x: Any) -> Any:
    inputs = x() if callable(x) and not keras.ops.is_tensor(x) else x
    for value in keras.tree.flatten(inputs):
        if not np.isfinite(_array(value)).all():
            raise ArgumentError("x must be finite, got nan or inf in it")
    return inputs


def _array(tensor: Any) -> Matrix:
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32")), np.float64)
