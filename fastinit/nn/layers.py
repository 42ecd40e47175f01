"""Layers: what a network is made of.

A layer knows the shapes of its parameters, how they are drawn, and how to describe itself to the
compiled engine, which alone computes. Its arrays belong to its network.
"""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError, FastinitError
from fastinit.initializers import Initializer
from fastinit.kernels.dropout import first_kept
from fastinit.kernels.jit import FloatArray
from fastinit.keys import Key
from fastinit.nn.activations import activation_code, default_alpha
from fastinit.nn.checks import as_count, as_number
from fastinit.nn.compiled import table
from fastinit.nn.program import Row
from fastinit.registry import InitializerLike

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Activation",
    "BatchNorm",
    "Dense",
    "Dropout",
    "Layer",
    "LayerNorm",
]

Shape = tuple[int, ...]


class Array:
    """A parameter or a statistic of a layer: read it, change it in place or assign an array."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, layer: Any, owner: type) -> Any:
        return self if layer is None else layer._array(self.name)

    def __set__(self, layer: Any, value: ArrayLike) -> None:
        target = layer._array(self.name)
        if target is None:
            raise ArgumentError(f"{layer.name} has no {self.name}: it was made without")
        array = np.asarray(value)
        if array.shape != target.shape:
            raise ArgumentError(
                f"{layer.name}.{self.name} has the shape {target.shape}, got an array of shape "
                f"{array.shape}"
            )
        target[...] = array


class Layer(ABC):
    """What all layers have in common.

    Parameters
    ----------
    name : str, optional
        Name of the layer in its network; "dense_0", "dense_1" ... by kind and position if left out.
        The initial values depend on it, see `Sequential.build`.
    trainable : bool, default True
        Whether training changes the layer. Set it at any time, also to freeze what was trained.

    Attributes
    ----------
    name, trainable
        As given; a layer without a name takes one from its network.
    built, taken : bool
        Whether the layer has parameters, and whether it belongs to a network.

    Raises
    ------
    ArgumentTypeError
        If `name` is not a string.

    Examples
    --------
    >>> from fastinit import nn
    >>> network = nn.Sequential([nn.Dense(4, name="hidden"), nn.Dense(2)], seed=0)
    >>> network.build(3)
    >>> [layer.name for layer in network.layers]
    ['hidden', 'dense_1']
    >>> network.layers[0].trainable = False  # freeze it
    """

    kind: ClassVar[str]

    def __init__(self, name: str | None = None, trainable: bool = True) -> None:
        if name is not None and not isinstance(name, str):
            raise ArgumentTypeError(f"name must be a string, got {name!r}")
        self.name = name
        self.trainable = bool(trainable)
        self.taken = False
        self._arrays: dict[str, FloatArray] = {}
        self.built = False

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self)).parameters
        options = []
        for name, value in self.get_config().items():
            default = defaults[name].default
            if name.endswith("initializer"):
                default = repr(fastinit.get(default))
            if default is inspect.Parameter.empty:
                options.append(repr(value))
            elif value != default:
                options.append(f"{name}={value if name.endswith('initializer') else repr(value)}")
        return f"{type(self).__name__}({', '.join(options)})"

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of an example behind the layer.

        Parameters
        ----------
        shape : tuple of int
            The shape of an example before it: (features,) or (time, features).

        Returns
        -------
        tuple of int
            Its shape behind the layer.

        Raises
        ------
        ArgumentError
            If the layer cannot take such examples.
        """
        return shape

    def parameter_shapes(self, shape: Shape) -> dict[str, Shape]:
        """Return the shape of each trained parameter, in the order of `Sequential.get_weights`.

        Parameters
        ----------
        shape : tuple of int
            Of an example before the layer.

        Returns
        -------
        dict
            Name of the parameter to its shape.
        """
        return {}

    def state_shapes(self, shape: Shape) -> dict[str, Shape]:
        """Return the shape of each array that training changes without a gradient.

        Parameters
        ----------
        shape : tuple of int
            Of an example before the layer.

        Returns
        -------
        dict
            Name to shape.
        """
        return {}

    def constants(self, shape: Shape) -> dict[str, int]:
        """Return the size of each parameter that the layer does without.

        Parameters
        ----------
        shape : tuple of int
            Of an example before the layer.

        Returns
        -------
        dict
            "gamma", which is then one, or the name of a bias, which is zero, to the size.
        """
        return {}

    @property
    def initializers(self) -> dict[str, Initializer]:
        """What draws each of the arrays that the functions above name."""
        return {}

    @abstractmethod
    def describe(self, row: Row, shape: Shape) -> None:
        """Say to the engine what the layer is and what room it needs.

        Parameters
        ----------
        row : Row
            The layer's row in the table.
        shape : tuple of int
            Of an example before the layer.
        """

    @abstractmethod
    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer, but for its name, as JSON knows them.

        Returns
        -------
        dict
            Name of each argument to its value.
        """

    def attach(self, arrays: Mapping[str, FloatArray], gradients: Mapping[str, FloatArray]) -> None:
        """Let the layer show arrays that its network owns.

        Parameters
        ----------
        arrays, gradients : mapping
            The arrays of all parameters and statistics, and the gradients of the parameters.
        """
        self._arrays, self._gradients = dict(arrays), dict(gradients)
        self.built = True

    def initialize(self, key: Callable[[str], Key]) -> None:
        """Draw the parameters anew.

        Parameters
        ----------
        key : callable
            Key of the parameter of a name: ``key("dense_0.kernel")``.
        """
        for name, out in self._arrays.items():
            draw = self.initializers[name]
            draw(out.shape, seed=key(f"{self.name}.{name}"), dtype=out.dtype, out=out)

    def gradients(self) -> dict[str, FloatArray]:
        """Return copies of the gradients that were computed last.

        Returns
        -------
        dict
            Name of each parameter to its gradient.
        """
        return {name: gradient.copy() for name, gradient in self._gradients.items()}

    def _array(self, name: str) -> FloatArray | None:
        if not self.built:
            raise FastinitError(
                f"{self.name or 'the layer'} has no parameters yet: build its network first"
            )
        return self._arrays.get(name)


def _features(shape: Shape) -> tuple[int, int]:
    """Return how many rows of features an example has, and how many features."""
    return math.prod(shape[:-1]), shape[-1]


class Regularizer:
    """Penalty on a kernel, added to the loss: ``l1 * sum(abs(w)) + l2 * sum(w**2)``.

    See `fastinit.kernels.l1_l2_penalty` for its gradient.

    Parameters
    ----------
    l1, l2 : float, default 0
        Factors; finite, not negative. The elastic net has both.

    Raises
    ------
    ArgumentError
        If a factor is out of its range.
    ArgumentTypeError
        If a factor is not a number.

    Examples
    --------
    >>> from fastinit import nn
    >>> nn.Dense(64, kernel_regularizer=nn.Regularizer(l2=1e-4)).kernel_regularizer
    Regularizer(l1=0.0, l2=0.0001)
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = as_number("l1", l1), as_number("l2", l2)

    def __repr__(self) -> str:
        return f"Regularizer(l1={self.l1!r}, l2={self.l2!r})"

    def get_config(self) -> dict[str, float] | None:
        """Return the factors, as `Regularizer` takes them.

        Returns
        -------
        dict or None
            None where both are 0.
        """
        return {"l1": self.l1, "l2": self.l2} if self.l1 or self.l2 else None


def _regularizer(value: Regularizer | Mapping[str, float] | None) -> Regularizer:
    if value is None:
        return Regularizer()
    if isinstance(value, Mapping):
        return Regularizer(**value)
    if not isinstance(value, Regularizer):
        raise ArgumentTypeError(
            f"kernel_regularizer must be nn.Regularizer(l1=..., l2=...), got {value!r}"
        )
    return value


class Dense(Layer):
    """A fully connected layer: ``activation(x @ kernel + bias)``, at each step of a sequence alike.

    Parameters
    ----------
    units : int
        Number of outputs, at least 1.
    activation : str, default "linear"
        "linear", "relu", "leaky_relu" (slope 0.01), "elu", "selu", "gelu", "gelu_tanh", "silu",
        "softplus", "mish", "tanh", "sigmoid", "softmax" or "log_softmax".
    kernel_initializer : str, Initializer or callable, default "glorot_uniform"
        Anything that `fastinit.get` takes.
    bias_initializer : str, Initializer or callable, default "zeros"
        Likewise, for the bias; it is given the shape ``(units,)``, which has no fans.
    use_bias : bool, default True
        Whether the layer adds a bias.
    name : str, optional
        See `Layer`.
    kernel_regularizer : Regularizer, optional
        Penalty on the kernel.
    trainable : bool, default True
        See `Layer`.

    Attributes
    ----------
    units, activation, use_bias, name, kernel_regularizer, trainable
        As given.
    kernel_initializer, bias_initializer : Initializer
        The initializers.

    Raises
    ------
    ArgumentError
        If `units` is below 1, or a name is unknown.
    ArgumentTypeError
        If an argument has a type that cannot be used.

    Examples
    --------
    >>> from fastinit import nn
    >>> nn.Dense(64, activation="relu", kernel_initializer="he_normal").units
    64
    """

    kind = "dense"
    kernel = Array("The weights, shape ``(inputs, units)``: change them or assign an array.")
    bias = Array("The biases, shape ``(units,)``, None without: change them or assign an array.")

    def __init__(
        self,
        units: int,
        activation: str = "linear",
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        use_bias: bool = True,
        name: str | None = None,
        kernel_regularizer: Regularizer | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name, trainable)
        self.units = as_count("units", units)
        self.activation, self.code = activation, activation_code(activation)
        self.kernel_initializer: Initializer = fastinit.get(kernel_initializer)
        self.bias_initializer: Initializer = fastinit.get(bias_initializer)
        self.use_bias = bool(use_bias)
        self.kernel_regularizer = _regularizer(kernel_regularizer)

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape with `units` features."""
        return (*shape[:-1], self.units)

    def parameter_shapes(self, shape: Shape) -> dict[str, Shape]:
        """Return the shapes of kernel and bias.

        Parameters
        ----------
        shape : tuple of int
            Of an example before the layer.

        Returns
        -------
        dict
            Name of the parameter to its shape.

        Examples
        --------
        >>> from fastinit import nn
        >>> nn.Dense(5).parameter_shapes((3,))
        {'kernel': (3, 5), 'bias': (5,)}
        """
        shapes: dict[str, Shape] = {"kernel": (shape[-1], self.units)}
        if self.use_bias:
            shapes["bias"] = (self.units,)
        return shapes

    def constants(self, shape: Shape) -> dict[str, int]:
        """Return the size of a missing bias."""
        return {} if self.use_bias else {"bias": self.units}

    @property
    def initializers(self) -> dict[str, Initializer]:
        """What draws kernel and bias."""
        return {"kernel": self.kernel_initializer, "bias": self.bias_initializer}

    def describe(self, row: Row, shape: Shape) -> None:
        """Say to the engine what the layer is and what room it needs."""
        steps, inputs = _features(shape)
        row.set(table.DENSE, steps, inputs, self.units)
        row.parameters(self, "kernel", "bias", rows=inputs + 1, columns=self.units)
        row.penalty(self.kernel_regularizer, inputs)
        row.activation(self.code, default_alpha(self.code))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer, but for its name."""
        return {
            "units": self.units,
            "activation": self.activation,
            "kernel_initializer": repr(self.kernel_initializer),
            "bias_initializer": repr(self.bias_initializer),
            "use_bias": self.use_bias,
            "kernel_regularizer": self.kernel_regularizer.get_config(),
        }


class Activation(Layer):
    """An activation by itself, for instance behind a normalization.

    The formulas are those of `fastinit.kernels.relu`, `fastinit.kernels.gelu` and so on.

    Parameters
    ----------
    activation : str
        Any that `Dense` takes.
    alpha : float, optional
        Slope of "leaky_relu" for negative numbers, 0.01 if left out; limit of "elu", 1 if left out.
    name : str, optional
        See `Layer`.

    Raises
    ------
    ArgumentError
        If the name is unknown, or the activation has no such parameter.
    ArgumentTypeError
        If an argument has a type that cannot be used.

    Examples
    --------
    >>> from fastinit import nn
    >>> layers = [nn.Dense(64, use_bias=False), nn.BatchNorm(), nn.Activation("relu")]
    """

    kind = "activation"

    def __init__(
        self, activation: str, alpha: float | None = None, name: str | None = None
    ) -> None:
        super().__init__(name)
        self.activation, self.code = activation, activation_code(activation)
        self.alpha = default_alpha(self.code)
        if alpha is not None:
            if not self.alpha:
                raise ArgumentError(f"{activation} has no alpha, got alpha={alpha!r}")
            self.alpha = as_number("alpha", alpha)

    def describe(self, row: Row, shape: Shape) -> None:
        """Say to the engine what the layer is and what room it needs."""
        steps, units = _features(shape)
        row.set(table.ACTIVATION, steps, units, units)
        row.activation(self.code, self.alpha, alone=True)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer, but for its name."""
        alpha = None if self.alpha == default_alpha(self.code) else self.alpha
        return {"activation": self.activation, "alpha": alpha}


class Dropout(Layer):
    """Sets a share of its inputs to 0 in training, and divides the others by what is left of 1.

    The mask is drawn by counter and never stored: it depends on the seed of the network, the name
    of the layer, the number of the step and the place in the batch.

    Parameters
    ----------
    rate : float
        The share, at least 0, below 1.
    name : str, optional
        See `Layer`.

    Raises
    ------
    ArgumentError
        If `rate` is out of its range.
    ArgumentTypeError
        If an argument has a type that cannot be used.

    References
    ----------
    Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 15
    (2014).

    Examples
    --------
    >>> from fastinit import nn
    >>> layers = [nn.Dense(64, "relu"), nn.Dropout(0.5), nn.Dense(10)]
    """

    kind = "dropout"

    def __init__(self, rate: float, name: str | None = None) -> None:
        super().__init__(name)
        self.rate = as_number("rate", rate, below=1.0)

    def describe(self, row: Row, shape: Shape) -> None:
        """Say to the engine what the layer is and what room it needs."""
        steps, units = _features(shape)
        if not row.training:
            row.set(table.IDENTITY, steps, units, units)
            row.fields[table.OUT] = row.fields[table.X]
            return
        row.set(table.DROPOUT, steps, units, units)
        row.output()
        row.fields[table.FIRST_KEPT] = first_kept(self.rate)
        row.numbers[table.SCALE] = 1.0 / (1.0 - self.rate)
        row.draws(self)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer, but for its name."""
        return {"rate": self.rate}


class Normalization(Layer):
    """What batch and layer normalization have in common."""

    gamma = Array("The scales, shape ``(features,)``, None without.")
    beta = Array("The centers, shape ``(features,)``, None without.")

    def __init__(
        self,
        epsilon: float,
        center: bool,
        scale: bool,
        beta_initializer: InitializerLike,
        gamma_initializer: InitializerLike,
        name: str | None,
        trainable: bool,
    ) -> None:
        super().__init__(name, trainable)
        self.epsilon = as_number("epsilon", epsilon)
        self.center, self.scale = bool(center), bool(scale)
        self.beta_initializer = fastinit.get(beta_initializer)
        self.gamma_initializer = fastinit.get(gamma_initializer)

    def parameter_shapes(self, shape: Shape) -> dict[str, Shape]:
        """Return the shapes of gamma and beta, of those that there are."""
        wanted = (("gamma", self.scale), ("beta", self.center))
        return {name: (shape[-1],) for name, there in wanted if there}

    def constants(self, shape: Shape) -> dict[str, int]:
        """Return the sizes of a missing gamma and a missing beta."""
        wanted = (("gamma", self.scale), ("beta", self.center))
        return {name: shape[-1] for name, there in wanted if not there}

    @property
    def initializers(self) -> dict[str, Initializer]:
        """What draws gamma and beta."""
        return {"gamma": self.gamma_initializer, "beta": self.beta_initializer}

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer, but for its name."""
        return {
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": repr(self.beta_initializer),
            "gamma_initializer": repr(self.gamma_initializer),
        }


class BatchNorm(Normalization):
    """Batch normalization: over the batch each feature gets mean 0, variance 1, then gamma, beta.

    In inference, and where ``trainable`` is False, the moving mean and variance take the place of
    the batch's, as in Keras; see `fastinit.kernels.batch_norm_forward` for the formulas.

    Parameters
    ----------
    momentum : float, default 0.99
        How much of the moving statistics each batch leaves; at least 0, below 1. PyTorch's is one
        minus this, 0.1.
    epsilon : float, default 0.001
        Added to the variance; PyTorch has 1e-5.
    center, scale : bool, default True
        Whether the layer has `beta` and `gamma`.
    beta_initializer, gamma_initializer : str, Initializer or callable, default "zeros" and "ones"
        Anything that `fastinit.get` takes.
    name : str, optional
        See `Layer`.
    trainable : bool, default True
        See `Layer`.

    Raises
    ------
    ArgumentError
        If a value is out of its range.
    ArgumentTypeError
        If an argument has a type that cannot be used.

    References
    ----------
    Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal
    Covariate Shift", arXiv:1502.03167.

    Examples
    --------
    >>> from fastinit import nn
    >>> nn.BatchNorm(momentum=0.9)
    BatchNorm(momentum=0.9)
    """

    kind = "batch_norm"
    moving_mean = Array("Mean of each feature over past batches, shape ``(features,)``.")
    moving_variance = Array("Variance of each feature over past batches, likewise.")

    def __init__(
        self,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(
            epsilon, center, scale, beta_initializer, gamma_initializer, name, trainable
        )
        self.momentum = as_number("momentum", momentum, below=1.0)

    def state_shapes(self, shape: Shape) -> dict[str, Shape]:
        """Return the shapes of the moving statistics."""
        return {"moving_mean": (shape[-1],), "moving_variance": (shape[-1],)}

    @property
    def initializers(self) -> dict[str, Initializer]:
        """What draws the parameters and starts the moving statistics."""
        start = {"moving_mean": fastinit.get("zeros"), "moving_variance": fastinit.get("ones")}
        return super().initializers | start

    def describe(self, row: Row, shape: Shape) -> None:
        """Say to the engine what the layer is and what room it needs."""
        steps, units = _features(shape)
        learns = row.training and self.trainable
        row.set(table.BATCH_NORM if learns else table.MOVING_NORM, steps, units, units)
        row.output()
        row.parameters(self, "gamma", "beta", rows=2, columns=units)
        row.state(self, "moving_mean")
        row.room(table.SAVED, 2 * units)
        row.numbers[table.EPSILON] = self.epsilon
        row.numbers[table.MOMENTUM] = self.momentum

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer, but for its name."""
        return {"momentum": self.momentum, **super().get_config()}


class LayerNorm(Normalization):
    """Layer normalization: each example gets mean 0 and variance 1 over its features, then scale.

    See `fastinit.kernels.layer_norm_forward` for the formulas.

    Parameters
    ----------
    epsilon : float, default 0.001
        Added to the variance; PyTorch has 1e-5.
    center, scale : bool, default True
        Whether the layer has `beta` and `gamma`.
    beta_initializer, gamma_initializer : str, Initializer or callable, default "zeros" and "ones"
        Anything that `fastinit.get` takes.
    name : str, optional
        See `Layer`.
    trainable : bool, default True
        See `Layer`.

    Raises
    ------
    ArgumentError
        If a value is out of its range.
    ArgumentTypeError
        If an argument has a type that cannot be used.

    References
    ----------
    Ba, Kiros and Hinton, "Layer Normalization", arXiv:1607.06450.

    Examples
    --------
    >>> from fastinit import nn
    >>> nn.LayerNorm(epsilon=1e-5)
    LayerNorm(epsilon=1e-05)
    """

    kind = "layer_norm"

    def __init__(
        self,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(
            epsilon, center, scale, beta_initializer, gamma_initializer, name, trainable
        )

    def describe(self, row: Row, shape: Shape) -> None:
        """Say to the engine what the layer is and what room it needs."""
        steps, units = _features(shape)
        row.set(table.LAYER_NORM, steps, units, units)
        row.output()
        row.parameters(self, "gamma", "beta", rows=2, columns=units)
        row.rows_of_room(table.SAVED, 2 * steps)
        row.numbers[table.EPSILON] = self.epsilon


class Recurrent(Layer):
    """What the recurrent layers have in common: a scan over the steps of sequences, from zeros."""

    kernel = Array("The weights of the inputs, shape ``(features, blocks * units)``.")
    recurrent_kernel = Array("The weights of the states, shape ``(units, blocks * units)``.")
    bias = Array("The biases, None without.")
    blocks: ClassVar[int]  # of the kernels: gates
    kept: ClassVar[int]  # blocks that the backward pass needs
    states: ClassVar[int]  # scratch of the backward pass: rows of units, an example
    bias_rows: ClassVar[int] = 1
    number: ClassVar[int]

    def __init__(
        self,
        units: int,
        kernel_initializer: InitializerLike,
        recurrent_initializer: InitializerLike,
        bias_initializer: InitializerLike,
        use_bias: bool,
        return_sequences: bool,
        name: str | None,
        kernel_regularizer: Regularizer | None,
        trainable: bool,
    ) -> None:
        super().__init__(name, trainable)
        self.units = as_count("units", units)
        self.kernel_initializer = fastinit.get(kernel_initializer)
        self.recurrent_initializer = fastinit.get(recurrent_initializer)
        self.bias_initializer = fastinit.get(bias_initializer)
        self.use_bias, self.return_sequences = bool(use_bias), bool(return_sequences)
        self.kernel_regularizer = _regularizer(kernel_regularizer)

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of all hidden states, or of the last."""
        if len(shape) != 2:
            raise ArgumentError(
                f"{self.name} takes sequences, examples of the shape (time, features), got {shape}"
            )
        return (shape[0], self.units) if self.return_sequences else (self.units,)

    def parameter_shapes(self, shape: Shape) -> dict[str, Shape]:
        """Return the shapes of both kernels and the bias."""
        columns = self.blocks * self.units
        shapes: dict[str, Shape] = {
            "kernel": (shape[-1], columns),
            "recurrent_kernel": (self.units, columns),
        }
        if self.use_bias:
            shapes["bias"] = (columns,) if self.bias_rows == 1 else (self.bias_rows, columns)
        return shapes

    def constants(self, shape: Shape) -> dict[str, int]:
        """Return the size of a missing bias."""
        return {} if self.use_bias else {"bias": self.bias_rows * self.blocks * self.units}

    @property
    def initializers(self) -> dict[str, Initializer]:
        """What draws both kernels and the bias."""
        return {
            "kernel": self.kernel_initializer,
            "recurrent_kernel": self.recurrent_initializer,
            "bias": self.bias_initializer,
        }

    def describe(self, row: Row, shape: Shape) -> None:
        """Say to the engine what the layer is and what room it needs."""
        steps, inputs = _features(shape)
        columns = self.blocks * self.units
        row.set(self.number, steps, inputs, self.units)
        row.parameters(self, "kernel", "bias", rows=inputs + self.units + 1, columns=columns)
        row.penalty(self.kernel_regularizer, inputs)
        row.rows_of_room(table.SAVED, self.kept * steps * self.units)
        row.rows_of_room(table.CELLS, steps * self.units)
        row.sequences(self.return_sequences)
        row.scratch(self.units * columns, self.states * self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer, but for its name."""
        return {
            "units": self.units,
            "kernel_initializer": repr(self.kernel_initializer),
            "recurrent_initializer": repr(self.recurrent_initializer),
            "bias_initializer": repr(self.bias_initializer),
            "use_bias": self.use_bias,
            "return_sequences": self.return_sequences,
            "kernel_regularizer": self.kernel_regularizer.get_config(),
        }


class RNN(Recurrent):
    """A simple recurrent layer: ``h[t] = f(x[t] @ kernel + h[t-1] @ recurrent_kernel + bias)``.

    It starts from zeros; see `fastinit.kernels.rnn_forward`.

    Parameters
    ----------
    units : int
        Width of the hidden state, at least 1.
    activation : {"tanh", "relu"}, default "tanh"
        The activation.
    kernel_initializer : str, Initializer or callable, default "glorot_uniform"
        Anything that `fastinit.get` takes.
    recurrent_initializer : str, Initializer or callable, default "orthogonal"
        Likewise, for the weights of the hidden state.
    bias_initializer : str, Initializer or callable, default "zeros"
        Likewise, for the bias.
    use_bias : bool, default True
        Whether the layer adds a bias.
    return_sequences : bool, default False
        Whether the layer returns the hidden states of all steps, or the last alone.
    name : str, optional
        See `Layer`.
    kernel_regularizer : Regularizer, optional
        Penalty on `kernel`.
    trainable : bool, default True
        See `Layer`.

    Raises
    ------
    ArgumentError
        If `units` is below 1, or a name is unknown.
    ArgumentTypeError
        If an argument has a type that cannot be used.

    Examples
    --------
    >>> from fastinit import nn
    >>> network = nn.Sequential([nn.RNN(8), nn.Dense(1)], seed=0)
    >>> network.build((20, 3))  # 20 steps of 3 features
    """

    kind = "rnn"
    blocks = kept = states = 1
    number = table.RNN

    def __init__(
        self,
        units: int,
        activation: str = "tanh",
        kernel_initializer: InitializerLike = "glorot_uniform",
        recurrent_initializer: InitializerLike = "orthogonal",
        bias_initializer: InitializerLike = "zeros",
        use_bias: bool = True,
        return_sequences: bool = False,
        name: str | None = None,
        kernel_regularizer: Regularizer | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(
            units, kernel_initializer, recurrent_initializer, bias_initializer, use_bias,
            return_sequences, name, kernel_regularizer, trainable,
        )  # fmt: skip
        if activation not in ("tanh", "relu"):
            raise ArgumentError(
                f"activation of an RNN must be 'tanh' or 'relu', got {activation!r}"
            )
        self.activation = activation

    def describe(self, row: Row, shape: Shape) -> None:
        """Say to the engine what the layer is and what room it needs."""
        super().describe(row, shape)
        row.fields[table.CODE] = self.activation == "relu"

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer, but for its name."""
        units, *rest = super().get_config().items()
        return dict([units, ("activation", self.activation), *rest])


class LSTM(Recurrent):
    """Long short-term memory; the gates come in Keras' order, i, f, c, o.

    See `fastinit.kernels.lstm_forward` for the formulas and for PyTorch's order.

    Parameters
    ----------
    units : int
        Width of the hidden state, at least 1.
    kernel_initializer : str, Initializer or callable, default "glorot_uniform"
        As of `RNN`.
    recurrent_initializer : str, Initializer or callable, default "orthogonal"
        As of `RNN`.
    bias_initializer : str, Initializer or callable, default "lstm_forget_bias"
        Zeros, but ones for the forget gate.
    use_bias, return_sequences : bool, default True and False
        As of `RNN`.
    name : str, optional
        See `Layer`.
    kernel_regularizer : Regularizer, optional
        Penalty on `kernel`.
    trainable : bool, default True
        See `Layer`.

    Raises
    ------
    ArgumentError
        If `units` is below 1, or a name is unknown.
    ArgumentTypeError
        If an argument has a type that cannot be used.

    References
    ----------
    Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 9 (1997).

    Examples
    --------
    >>> from fastinit import nn
    >>> network = nn.Sequential([nn.LSTM(8, return_sequences=True), nn.LSTM(8), nn.Dense(1)])
    >>> network.build((20, 3))  # 20 steps of 3 features
    """

    kind = "lstm"
    blocks = kept = 4
    states = 2
    number = table.LSTM

    def __init__(
        self,
        units: int,
        kernel_initializer: InitializerLike = "glorot_uniform",
        recurrent_initializer: InitializerLike = "orthogonal",
        bias_initializer: InitializerLike = "lstm_forget_bias",
        use_bias: bool = True,
        return_sequences: bool = False,
        name: str | None = None,
        kernel_regularizer: Regularizer | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(
            units, kernel_initializer, recurrent_initializer, bias_initializer, use_bias,
            return_sequences, name, kernel_regularizer, trainable,
        )  # fmt: skip


class GRU(Recurrent):
    """Gated recurrent units; the gates come in Keras' order, z, r, h.

    The reset gate acts behind the recurrent product, as in PyTorch, cuDNN and Keras with
    ``reset_after=True``. See `fastinit.kernels.gru_forward` for the formulas and PyTorch's order.

    Parameters
    ----------
    units : int
        Width of the hidden state, at least 1.
    kernel_initializer : str, Initializer or callable, default "glorot_uniform"
        As of `RNN`.
    recurrent_initializer : str, Initializer or callable, default "orthogonal"
        As of `RNN`.
    bias_initializer : str, Initializer or callable, default "zeros"
        As of `RNN`; the bias has the shape ``(2, 3 * units)``.
    use_bias, return_sequences : bool, default True and False
        As of `RNN`.
    name : str, optional
        See `Layer`.
    kernel_regularizer : Regularizer, optional
        Penalty on `kernel`.
    trainable : bool, default True
        See `Layer`.

    Raises
    ------
    ArgumentError
        If `units` is below 1, or a name is unknown.
    ArgumentTypeError
        If an argument has a type that cannot be used.

    References
    ----------
    Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
    Translation", arXiv:1406.1078.

    Examples
    --------
    >>> from fastinit import nn
    >>> network = nn.Sequential([nn.GRU(8), nn.Dense(1)])
    >>> network.build((20, 3))  # 20 steps of 3 features
    """

    kind = "gru"
    blocks, kept, states, bias_rows = 3, 4, 2, 2
    number = table.GRU

    def __init__(
        self,
        units: int,
        kernel_initializer: InitializerLike = "glorot_uniform",
        recurrent_initializer: InitializerLike = "orthogonal",
        bias_initializer: InitializerLike = "zeros",
        use_bias: bool = True,
        return_sequences: bool = False,
        name: str | None = None,
        kernel_regularizer: Regularizer | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(
            units, kernel_initializer, recurrent_initializer, bias_initializer, use_bias,
            return_sequences, name, kernel_regularizer, trainable,
        )  # fmt: skip
