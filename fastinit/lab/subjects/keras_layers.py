"""What Keras' layers do with their parameters, and which layers are more than plumbing."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers as kl
from numpy.typing import NDArray

from fastinit.fans import Fans, compute_fans, convolution_fans, dense_fans, embedding_fans
from fastinit.gains import ACTIVATIONS

__all__ = [
    "NORMALIZATIONS",
    "Place",
    "activation_name",
    "activation_of",
    "inner_layers",
    "is_add",
    "main_place",
    "passes_on",
    "places_of",
]

TRANSPOSED = (kl.Conv1DTranspose, kl.Conv2DTranspose, kl.Conv3DTranspose)
DEPTHWISE = (kl.DepthwiseConv1D, kl.DepthwiseConv2D)
CONVOLUTIONS = (*TRANSPOSED, *DEPTHWISE, kl.Conv1D, kl.Conv2D, kl.Conv3D)
SEPARABLE = (kl.SeparableConv1D, kl.SeparableConv2D)
NORMALIZATIONS = (
    kl.BatchNormalization,
    kl.LayerNormalization,
    kl.GroupNormalization,
    kl.RMSNormalization,
    kl.UnitNormalization,
)
CLOSED = (kl.RNN, kl.TimeDistributed)
"""Layers that run their inner ones inside a loop, where nothing can be noted."""

GATES = {"LSTM": 4, "ConvLSTM1D": 4, "ConvLSTM2D": 4, "ConvLSTM3D": 4, "GRU": 3}
"""How many kernels those of a recurrent layer stack."""

PASSING = {"reshaping", "regularization", "preprocessing", "pooling", "masking", "identity"}
"""Where Keras keeps layers that hand on what they get, only elsewhere, or less of it."""

ROLES = {
    "kernel": "kernel",
    "pointwise_kernel": "kernel",
    "depthwise_kernel": "kernel",
    "recurrent_kernel": "recurrent",
    "embeddings": "embedding",
    "bias": "bias",
    "beta": "bias",
    "gamma": "scale",
    "scale": "scale",
}
MAIN = ("kernel", "pointwise_kernel", "embeddings")
"""The kernel that a layer's figures are of."""

LAYERS = {  # that are an activation and nothing else; Activation has its own
    kl.ReLU: "relu",
    kl.LeakyReLU: "leaky_relu",
    kl.ELU: "elu",
    kl.Softmax: "softmax",
}
# Keras' own names, as functions and as operations of a functional model, where ours differ.
NAMES = {"swish": "silu", "hard_swish": "hard_silu", "hardtanh": "hard_tanh", "relu6": "relu6"}


@dataclass(frozen=True, eq=False)
class Place:
    """A parameter, and how its layer uses it."""

    name: str
    variable: Any
    role: str
    shape: tuple[int, ...]  # (*window, in, out)
    fans: Fans | None
    axes: tuple[int, ...]  # those of the variable in the catalogue's order

    def matrix(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the values as (inputs, units)."""
        matrix = values.transpose(self.axes).reshape(self.shape)
        return matrix.reshape(-1, self.shape[-1])

    def own_layout(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values in the catalogue's order as the variable has them."""
        moved = values.reshape([self.variable.shape[axis] for axis in self.axes])
        return moved.transpose(np.argsort(self.axes))


def places_of(layer: Any) -> list[Place]:
    """Return a layer's own parameters; those of all that is closed up in it, too."""
    found = []
    for owner in layer._flatten_layers() if isinstance(layer, CLOSED) else [layer]:
        inner = owner is not layer and owner is not getattr(layer, "cell", None)
        for variable in getattr(owner, "_trainable_variables", ()):
            name = f"{owner.name}.{variable.name}" if inner else variable.name
            found.append(_place(owner, variable, name))
    return found


def _place(layer: Any, variable: Any, name: str) -> Place:
    shape, fans = tuple(variable.shape), None
    axes = tuple(range(len(shape)))
    role = ROLES.get(variable.name, "kernel" if len(shape) > 1 else "other")
    if role in ("kernel", "recurrent") and len(shape) > 1:
        axes, shape, fans = _kernel_layout(layer, variable)
    elif role == "embedding":
        fans = embedding_fans(shape)
    return Place(name, variable, role, shape, fans, axes)


def _kernel_layout(
    layer: Any, variable: Any
) -> tuple[tuple[int, ...], tuple[int, ...], Fans | None]:
    """Return a kernel's axes in the catalogue's order, its shape there, and its fans."""
    shape, kind = tuple(variable.shape), type(layer)
    axes, strides = tuple(range(len(shape))), getattr(layer, "strides", 1)
    fans: Fans
    if isinstance(layer, kl.EinsumDense):
        inputs, outputs = _einsum_axes(layer.equation)
        batch = tuple(axis for axis in axes if axis not in (*inputs, *outputs))
        fans = dense_fans(shape, inputs, outputs, batch)
        sizes = [math.prod(shape[axis] for axis in some) for some in (batch, inputs, outputs)]
        return (*batch, *inputs, *outputs), tuple(sizes if batch else sizes[1:]), fans
    if isinstance(layer, DEPTHWISE) or variable.name == "depthwise_kernel":
        *window, inputs, multiplier = shape
        fans = convolution_fans(shape, strides=strides, depthwise=True)
        return axes, (*window, 1, inputs * multiplier), fans
    if isinstance(layer, TRANSPOSED):
        swapped = (*axes[:-2], axes[-1], axes[-2])
        fans = convolution_fans(shape, strides=strides, transposed=True)
        return swapped, tuple(shape[axis] for axis in swapped), fans
    if isinstance(layer, SEPARABLE):
        return axes, shape, convolution_fans(shape)
    if isinstance(layer, CONVOLUTIONS):
        return axes, shape, convolution_fans(shape, groups=layer.groups, strides=strides)
    gates = next((n for name, n in GATES.items() if kind.__name__ in (name, f"{name}Cell")), 1)
    fan_in, fan_out = compute_fans(shape)
    return axes, shape, (fan_in, fan_out // gates)


def _einsum_axes(equation: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return which axes of the kernel are summed over, and which are there after."""
    inputs, rest = equation.replace("...", "").split(",")
    kernel, outputs = rest.split("->")
    return (
        tuple(i for i, letter in enumerate(kernel) if letter not in outputs),
        tuple(i for i, x in enumerate(kernel) if x in outputs and x not in inputs),
    )


def main_place(layer: Any) -> Place | None:
    """Return the parameter that a layer's figures are of: the kernel of its inputs."""
    places = places_of(layer)
    for name in MAIN:
        for place in places:
            if place.variable.name == name:
                return place
    return next((place for place in places if place.role == "kernel"), None)


def inner_layers(layer: Any) -> list[Any]:
    """Return the layers, and operations of a functional model, directly inside a layer."""
    if isinstance(layer, CLOSED):
        return []
    inner: Any
    if isinstance(layer, keras.Sequential) or not hasattr(layer, "operations"):
        inner = getattr(layer, "layers", None) or getattr(layer, "_layers", [])
    else:
        inner = layer.operations
    return [one for one in inner if not isinstance(one, kl.InputLayer)]


def passes_on(layer: Any) -> bool:
    """Say whether a layer hands on what it gets, only elsewhere, or less of it."""
    modules = [base.__module__.split(".") for base in type(layer).__mro__]
    return any(PASSING.intersection(parts) for parts in modules if parts[0] == "keras")


def is_add(layer: Any) -> bool:
    """Say whether it is Keras' layer or operation that adds."""
    return type(layer).__name__ == "Add" and type(layer).__module__.startswith("keras.")


def activation_of(layer: Any) -> tuple[str | None, bool]:
    """Return the name of a layer's activation, and whether it is nothing else."""
    for kind, name in LAYERS.items():
        if isinstance(layer, kind):
            return ("relu6" if getattr(layer, "max_value", None) == 6 else name), True
    if isinstance(layer, kl.Activation):
        return activation_name(layer.activation), True
    if not isinstance(layer, keras.layers.Layer):  # an operation of a functional model
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(layer).__name__).lower()
        name = NAMES.get(name, name)
        return (name, True) if name in ACTIVATIONS or name == "softmax" else (None, False)
    return activation_name(getattr(layer, "activation", None)), False


def activation_name(activation: Any) -> str | None:
    """Return the name that the catalogue, or a softmax, has; None for no activation or another."""
    if isinstance(activation, keras.layers.Layer):
        return activation_of(activation)[0]
    name = getattr(activation, "__name__", "linear")
    name = NAMES.get(name, name)
    return name if name != "linear" and (name in ACTIVATIONS or name == "softmax") else None
