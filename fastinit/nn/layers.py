"""Layers: what a network is made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

import fastinit
from fastinit import kernels
from fastinit.errors import ArgumentError, ArgumentTypeError, FastinitError
from fastinit.initializers import Initializer
from fastinit.kernels.jit import FloatArray
from fastinit.keys import Key
from fastinit.nn.activations import get_activation
from fastinit.nn.checks import as_count
from fastinit.registry import InitializerLike

__all__ = ["Dense"]


class Dense:
    """A fully connected layer: ``activation(x @ kernel + bias)``.

    Parameters
    ----------
    units : int
        Number of outputs, at least 1.
    activation : str, default "linear"
        "linear", "relu", "leaky_relu" (slope 0.01), "tanh", "sigmoid" or "softmax".
    kernel_initializer : str, Initializer or callable, default "glorot_uniform"
        Anything that `fastinit.get` takes.
    bias_initializer : str, Initializer or callable, default "zeros"
        Likewise, for the bias; it is given the shape ``(units,)``, which has no fans.
    use_bias : bool, default True
        Whether the layer adds a bias.
    name : str, optional
        Name of the layer in its network; "dense_0", "dense_1" ... by position if left out. The
        initial values depend on it, see `Sequential.build`.

    Attributes
    ----------
    units, activation, use_bias, name
        As given; a layer without a name takes one from its network.
    kernel_initializer, bias_initializer : Initializer
        The initializers.
    built, taken : bool
        Whether the layer has parameters, and whether it belongs to a network.

    Raises
    ------
    ArgumentError
        If `units` is below 1, or a name is unknown.
    ArgumentTypeError
        If an argument has a type that cannot be used.

    Examples
    --------
    >>> from fastinit import nn
    >>> nn.Dense(64, activation="relu", kernel_initializer="he_normal")
    Dense(64, activation='relu', kernel_initializer=he_normal())
    """

    kind = "dense"

    def __init__(
        self,
        units: int,
        activation: str = "linear",
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        use_bias: bool = True,
        name: str | None = None,
    ) -> None:
        if name is not None and not isinstance(name, str):
            raise ArgumentTypeError(f"name must be a string, got {name!r}")
        self.units = as_count("units", units)
        self._activation = get_activation(activation)
        self.activation = activation
        self.kernel_initializer: Initializer = fastinit.get(kernel_initializer)
        self.bias_initializer: Initializer = fastinit.get(bias_initializer)
        self.use_bias = bool(use_bias)
        self.name = name
        self.built = False
        self.taken = False

    def __repr__(self) -> str:
        options = f"activation={self.activation!r}, kernel_initializer={self.kernel_initializer!r}"
        return f"Dense({self.units}, {options})"

    @property
    def kernel(self) -> FloatArray:
        """The weights, shape ``(inputs, units)``: change them in place or assign an array."""
        self._require_built()
        return self._kernel

    @kernel.setter
    def kernel(self, value: ArrayLike) -> None:
        self._require_built()
        self._kernel[...] = _of_shape(f"{self.name}.kernel", value, self._kernel.shape)

    @property
    def bias(self) -> FloatArray | None:
        """The biases, shape ``(units,)``, None without: change in place or assign an array."""
        self._require_built()
        return self._bias if self.use_bias else None

    @bias.setter
    def bias(self, value: ArrayLike) -> None:
        self._require_built()
        if not self.use_bias:
            raise ArgumentError(f"{self.name} has no bias: it was made with use_bias=False")
        self._bias[...] = _of_shape(f"{self.name}.bias", value, self._bias.shape)

    def parameter_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of each trained parameter.

        Parameters
        ----------
        inputs : int
            Number of columns of the layer's input.

        Returns
        -------
        dict
            Name of the parameter to its shape.

        Examples
        --------
        >>> from fastinit import nn
        >>> nn.Dense(5).parameter_shapes(3)
        {'kernel': (3, 5), 'bias': (5,)}
        """
        shapes: dict[str, tuple[int, ...]] = {"kernel": (inputs, self.units)}
        if self.use_bias:
            shapes["bias"] = (self.units,)
        return shapes

    def attach(self, parameters: dict[str, FloatArray], gradients: dict[str, FloatArray]) -> None:
        """Let the layer work on arrays that its network owns.

        Parameters
        ----------
        parameters, gradients : dict
            An array for each name of `parameter_shapes`.
        """
        self._kernel, self._kernel_gradient = parameters["kernel"], gradients["kernel"]
        # Without a bias the kernels are given zeros, which no optimizer sees.
        unused = np.zeros((2, self.units), self._kernel.dtype)
        self._bias = parameters.get("bias", unused[0])
        self._bias_gradient = gradients.get("bias", unused[1])
        self.built = True

    def initialize(self, key: Callable[[str], Key]) -> None:
        """Draw the parameters anew.

        Parameters
        ----------
        key : callable
            Key of the parameter of a name: ``key("dense_0.kernel")``.
        """
        parameters = [("kernel", self.kernel_initializer, self._kernel)]
        if self.use_bias:
            parameters.append(("bias", self.bias_initializer, self._bias))
        for name, draw, out in parameters:
            draw(out.shape, seed=key(f"{self.name}.{name}"), dtype=out.dtype, out=out)

    def forward(self, x: FloatArray, z: FloatArray, a: FloatArray) -> None:
        """Write the pre-activations in `z` and the activations in `a`.

        Parameters
        ----------
        x : ndarray, shape (batch, inputs)
            The layer's inputs.
        z, a : ndarray, shape (batch, units)
            Overwritten.
        """
        kernels.dense_forward(x, self._kernel, self._bias, z)
        self._activation.forward(z, a)

    def backward(
        self,
        x: FloatArray,
        a: FloatArray,
        grad: FloatArray,
        grad_x: FloatArray | None,
        from_logits: bool = False,
    ) -> None:
        """Write the gradients of the parameters, and of the inputs where they are wanted.

        Parameters
        ----------
        x, a : ndarray
            Inputs and activations of the forward pass.
        grad : ndarray, shape (batch, units)
            Gradient of the loss in `a`; overwritten with that in the pre-activations.
        grad_x : ndarray, shape (batch, inputs), or None
            Overwritten with the gradient of the loss in `x`.
        from_logits : bool, default False
            Whether `grad` is the gradient in the pre-activations already.
        """
        if not from_logits:
            self._activation.backward(a, grad, grad)
        if grad_x is None:
            kernels.dense_backward_parameters(x, grad, self._kernel_gradient, self._bias_gradient)
        else:
            kernels.dense_backward(
                x, self._kernel, grad, grad_x, self._kernel_gradient, self._bias_gradient
            )

    def gradients(self) -> tuple[FloatArray, FloatArray | None]:
        """Return copies of what `backward` wrote last.

        Returns
        -------
        tuple of ndarray
            The gradient in the kernel and that in the bias, None without one.
        """
        bias_gradient = self._bias_gradient.copy() if self.use_bias else None
        return self._kernel_gradient.copy(), bias_gradient

    def _require_built(self) -> None:
        if not self.built:
            raise FastinitError(
                f"{self.name or 'the layer'} has no parameters yet: build its network first"
            )


def _of_shape(name: str, value: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    array = np.asarray(value)
    if array.shape != shape:
        raise ArgumentError(f"{name} has the shape {shape}, got an array of shape {array.shape}")
    return array
