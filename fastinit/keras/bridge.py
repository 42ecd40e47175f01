"""Networks of `fastinit.nn` as models of Keras, and back, with the same outputs.

===================== ==========================================================================
fastinit.nn           keras.layers
===================== ==========================================================================
Dense                 Dense, with its activation
Activation            Activation, ReLU, LeakyReLU, ELU, Softmax
Dropout               Dropout
BatchNorm             BatchNormalization over the last axis
LayerNorm             LayerNormalization over the last axis
RNN, LSTM, GRU        SimpleRNN, LSTM, GRU with ``reset_after=True``
===================== ==========================================================================

Parameters, moving statistics, epsilon, momentum, L1 and L2 penalties of kernels and what is frozen
go over; initializers, loss and optimizer stay behind. The functions work on each backend of Keras.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import keras
from keras import activations, layers
from numpy.typing import NDArray

from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.keys import Seed

if TYPE_CHECKING:  # at run time inside functions: it loads Numba, which the rest here does not need
    from fastinit.nn import Layer, Regularizer, Sequential

__all__ = ["from_keras", "gelu_tanh", "to_keras"]

Arrays: TypeAlias = "dict[str, NDArray[Any]]"


@keras.saving.register_keras_serializable("fastinit")
def gelu_tanh(x: Any) -> Any:
    """Return ``keras.activations.gelu(x, approximate=True)``, for which Keras has no name.

    The formula is that of `fastinit.kernels.gelu_tanh`.

    Parameters
    ----------
    x : tensor
        Pre-activations.

    Returns
    -------
    tensor
        The activations.

    Examples
    --------
    >>> import keras
    >>> import fastinit.keras
    >>> layer = keras.layers.Dense(3, activation=fastinit.keras.gelu_tanh)
    """
    return activations.gelu(x, approximate=True)


# Those with a parameter, and Keras' other forms of the same, stand in the functions below.
ACTIVATIONS = {
    "linear": activations.linear,
    "relu": activations.relu,
    "elu": activations.elu,
    "selu": activations.selu,
    "gelu": activations.gelu,
    "gelu_tanh": gelu_tanh,
    "silu": activations.silu,
    "softplus": activations.softplus,
    "mish": activations.mish,
    "tanh": activations.tanh,
    "sigmoid": activations.sigmoid,
    "softmax": activations.softmax,
    "log_softmax": activations.log_softmax,
}
NAMES = {function: name for name, function in ACTIVATIONS.items()}
KERAS_SLOPE = 0.2  # of activations.leaky_relu


# ---------------------------------------------------------------- to Keras


def to_keras(network: Sequential) -> keras.Sequential:
    """Return a model of Keras with the network's layers and parameters.

    Parameters
    ----------
    network : fastinit.nn.Sequential
        Built.

    Returns
    -------
    keras.Sequential
        Built, not compiled, of the network's dtype. Its layers have the names of the network's;
        "leaky_relu" of a Dense stands behind it as "dense_0_activation".

    Raises
    ------
    ValueError
        If a layer has no counterpart, or the network is not built.

    Examples
    --------
    >>> import fastinit.keras
    >>> from fastinit import nn
    >>> network = nn.Sequential([nn.Dense(3, "relu", name="hidden"), nn.Dense(2)], seed=0)
    >>> network.build(4)
    >>> model = fastinit.keras.to_keras(network)
    >>> [layer.name for layer in model.layers], model.output_shape
    (['hidden', 'dense_1'], (None, 2))
    """
    if network.input_shape is None:
        raise ArgumentError("the network has no parameters yet: call build(input_shape) first")
    dtype = network.dtype.name
    made = keras.Sequential([keras.Input(network.input_shape, dtype=dtype)])
    for layer, shape in zip(network.layers, network.shapes, strict=True):
        names = [*layer.parameter_shapes(shape), *layer.state_shapes(shape)]
        for i, theirs in enumerate(_layers_of(layer, dtype)):
            theirs.trainable = bool(layer.trainable)
            made.add(theirs)
            if i == 0 and names:
                theirs.set_weights([getattr(layer, name) for name in names])
    return made


def _layers_of(layer: Any, dtype: str) -> Iterator[Any]:
    """Yield the layers of Keras for one of ours, that with the parameters first."""
    from fastinit import nn
    from fastinit.nn.activations import default_alpha

    kind, options = type(layer), {"name": layer.name, "dtype": dtype}
    if kind is nn.Dense:
        slope = layer.activation == "leaky_relu"
        function = None if slope else ACTIVATIONS[_plain(layer.activation)]
        yield layers.Dense(
            layer.units,
            function,
            use_bias=layer.use_bias,
            kernel_regularizer=_penalty_of(layer),
            **options,
        )
        if slope:
            options["name"] += "_activation"
            yield layers.LeakyReLU(default_alpha(layer.code), **options)
    elif kind is nn.Activation and layer.activation == "leaky_relu":
        yield layers.LeakyReLU(layer.alpha, **options)
    elif kind is nn.Activation and layer.activation == "elu":
        yield layers.ELU(layer.alpha, **options)
    elif kind is nn.Activation:
        yield layers.Activation(ACTIVATIONS[_plain(layer.activation)], **options)
    elif kind is nn.Dropout:
        yield layers.Dropout(layer.rate, **options)
    elif kind in (nn.BatchNorm, nn.LayerNorm):
        options |= {"epsilon": layer.epsilon, "center": layer.center, "scale": layer.scale}
        if kind is nn.BatchNorm:
            yield layers.BatchNormalization(momentum=layer.momentum, **options)
        else:
            yield layers.LayerNormalization(**options)
    elif kind in (nn.RNN, nn.LSTM, nn.GRU):
        options |= {"use_bias": layer.use_bias, "return_sequences": layer.return_sequences}
        if kind is nn.RNN:
            options["activation"] = layer.activation
        make = {"rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}[layer.kind]
        yield make(layer.units, kernel_regularizer=_penalty_of(layer), **options)
    else:
        raise ArgumentError(f"{layer.name!r}, {layer!r}, has no counterpart in Keras")


def _plain(name: str) -> str:
    return "silu" if name == "swish" else name


def _penalty_of(layer: Any) -> Any:
    config = layer.kernel_regularizer.get_config()
    return config and keras.regularizers.L1L2(**config)


# ---------------------------------------------------------------- from Keras


def from_keras(model: keras.Sequential, seed: Seed = None) -> Sequential:
    """Return a network with the model's layers and parameters.

    Parameters
    ----------
    model : keras.Sequential
        Built, of the layers in the table of `fastinit.keras.bridge`, in float32 or float64.
    seed : int, Key, numpy.random.SeedSequence, numpy.random.Generator or None, default None
        Of the order of the examples and of dropout in training, see `fastinit.nn.Sequential`.

    Returns
    -------
    fastinit.nn.Sequential
        Built, not compiled; its layers have the names of the model's. An activation behind a linear
        layer is that layer's own.

    Raises
    ------
    ValueError
        If a layer, or an option of one, has no counterpart, or the model is not built.
    TypeError
        If `model` is no ``keras.Sequential``.

    Examples
    --------
    >>> import keras
    >>> import fastinit.keras
    >>> hidden = keras.layers.Dense(3, "relu", name="hidden")
    >>> model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(2, name="head")])
    >>> fastinit.keras.from_keras(model).layers
    [Dense(3, activation='relu'), Dense(2)]
    """
    from fastinit.nn.transfer import assemble

    if not isinstance(model, keras.Sequential):
        raise ArgumentTypeError(f"model must be a keras.Sequential, got {type(model)}")
    if not model.built:
        raise ArgumentError("the model has no weights yet: build it or give it a keras.Input")
    found = {dtype for layer in model.layers for dtype in (layer.compute_dtype, layer.dtype)}
    if len(found) != 1 or not found <= {"float32", "float64"}:
        raise ArgumentError(f"all layers must be float32, or all float64, got {sorted(found)}")
    shape = tuple(model.input_shape[1:])
    if None in shape:
        raise ArgumentError(f"the model must have a fixed input shape, got {model.input_shape}")
    pieces = [piece for layer in model.layers for piece in _pieces(layer)]
    return assemble(pieces, shape, seed, found.pop())


# Options that no layer of ours has, with the values that stand for not using them.
UNUSED: dict[str, Any] = {
    **dict.fromkeys(("noise_shape", "max_value", "lora_rank"), None),
    **dict.fromkeys(("threshold", "dropout", "recurrent_dropout"), 0.0),
    **dict.fromkeys(("return_state", "go_backwards", "stateful", "renorm", "synchronized"), False),
    "reset_after": True,
    "recurrent_activation": activations.sigmoid,
}
PARTS = ("kernel", "recurrent", "bias", "beta", "gamma", "activity")
REGULARIZERS = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)


def _pieces(layer: Any) -> Iterator[tuple[Layer, Arrays]]:
    """Yield the layers of ours that a layer of Keras becomes, that with the arrays first."""
    for option, unused in UNUSED.items():
        _require(layer, option, getattr(layer, option, unused) == unused)
    for option in (f"{part}_{what}" for part in PARTS for what in ("regularizer", "constraint")):
        if option != "kernel_regularizer":
            _require(layer, option, getattr(layer, option, None) is None)
    arrays = {weight.name: keras.ops.convert_to_numpy(weight) for weight in layer.weights}
    for i, ours in enumerate(_ours(layer)):
        ours.name = layer.name + "_activation" * i
        ours.trainable = bool(layer.trainable)
        yield ours, {} if i else arrays


def _ours(layer: Any) -> Iterator[Layer]:
    from fastinit import nn

    kind = type(layer)
    if kind is layers.Dense:
        options = {"use_bias": layer.use_bias, "kernel_regularizer": _regularizer_of(layer)}
        if layer.activation is activations.leaky_relu:
            yield nn.Dense(layer.units, **options)
            yield nn.Activation("leaky_relu", KERAS_SLOPE)
        else:
            yield nn.Dense(layer.units, _name_of(layer), **options)
    elif kind is layers.Activation and layer.activation is activations.leaky_relu:
        yield nn.Activation("leaky_relu", KERAS_SLOPE)
    elif kind is layers.Activation:
        yield nn.Activation(_name_of(layer))
    elif kind is layers.ReLU:
        slope = layer.negative_slope
        yield nn.Activation("leaky_relu", slope) if slope else nn.Activation("relu")
    elif kind is layers.LeakyReLU:
        yield nn.Activation("leaky_relu", layer.negative_slope)
    elif kind is layers.ELU:
        yield nn.Activation("elu", layer.alpha)
    elif kind is layers.Softmax:
        _require_last_axis(layer)
        yield nn.Activation("softmax")
    elif kind is layers.Dropout:
        yield nn.Dropout(layer.rate)
    elif kind in (layers.BatchNormalization, layers.LayerNormalization):
        _require_last_axis(layer)
        options = {"epsilon": layer.epsilon, "center": layer.center, "scale": layer.scale}
        if kind is layers.BatchNormalization:
            yield nn.BatchNorm(layer.momentum, **options)
        else:
            yield nn.LayerNorm(**options)
    elif kind in (layers.SimpleRNN, layers.LSTM, layers.GRU):
        options = {"kernel_regularizer": _regularizer_of(layer), "use_bias": layer.use_bias}
        options["return_sequences"] = layer.return_sequences
        name = _name_of(layer)
        if kind is layers.SimpleRNN:
            _require(layer, "activation", name in ("tanh", "relu"))
            yield nn.RNN(layer.units, name, **options)
        else:
            _require(layer, "activation", name == "tanh")
            yield {layers.LSTM: nn.LSTM, layers.GRU: nn.GRU}[kind](layer.units, **options)
    else:
        raise ArgumentError(f"{layer.name!r}, {layer}, has no counterpart in fastinit.nn")


def _name_of(layer: Any) -> str:
    name = NAMES.get(layer.activation)
    _require(layer, f"activation={layer.activation!r}", name is not None)
    return str(name)


def _regularizer_of(layer: Any) -> Regularizer | None:
    from fastinit import nn

    penalty = layer.kernel_regularizer
    if penalty is None:
        return None
    _require(layer, f"kernel_regularizer={penalty!r}", type(penalty) in REGULARIZERS)
    return nn.Regularizer(*(float(getattr(penalty, factor, 0.0)) for factor in ("l1", "l2")))


def _require_last_axis(layer: Any) -> None:
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    last = len(layer.output.shape) - 1
    _require(layer, f"axis={layer.axis}", axes in ([-1], [last]))


def _require(layer: Any, what: str, met: bool) -> None:
    if not met:
        raise ArgumentError(f"{layer.name!r}, {layer}, has no counterpart in fastinit.nn: {what}")
