"""Optimizers: hyperparameters alone, so that one object can serve any number of networks."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Real

import numpy as np

from fastinit import kernels
from fastinit.errors import ArgumentError, ArgumentTypeError, unknown_name
from fastinit.kernels.jit import FloatArray

__all__ = ["OPTIMIZERS", "SGD", "Adam", "Optimizer", "get_optimizer"]


class Optimizer(ABC):
    """A rule that turns a gradient into a change of the parameters.

    The network keeps what the rule remembers between steps, and hands it back at each.
    """

    @abstractmethod
    def start(self, parameters: FloatArray) -> tuple[FloatArray, ...]:
        """Return the arrays that the rule remembers, as they are before the first step.

        Parameters
        ----------
        parameters : ndarray, shape (size,)
            All parameters of the network.

        Returns
        -------
        tuple of ndarray
            None, one or more arrays.
        """

    @abstractmethod
    def update(
        self,
        parameters: FloatArray,
        gradients: FloatArray,
        memory: tuple[FloatArray, ...],
        step: int,
    ) -> None:
        """Change the parameters and the memory in place.

        Parameters
        ----------
        parameters, gradients : ndarray, shape (size,)
            All parameters of the network, and the gradient of the loss in them.
        memory : tuple of ndarray
            What `start` returned.
        step : int
            Number of this step, from 1.
        """


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent: ``parameter -= learning_rate * gradient``.

    Parameters
    ----------
    learning_rate : float, default 0.01
        Size of a step; finite, not negative.

    Raises
    ------
    ArgumentError
        If a value is out of its range.
    ArgumentTypeError
        If a value is not a number.

    Examples
    --------
    >>> from fastinit import nn
    >>> nn.SGD(learning_rate=0.1)
    SGD(learning_rate=0.1)
    """

    learning_rate: float = 0.01

    def __post_init__(self) -> None:
        _check_number(self, "learning_rate", math.inf)

    def start(self, parameters: FloatArray) -> tuple[FloatArray, ...]:
        """Return nothing: the rule remembers nothing."""
        return ()

    def update(
        self,
        parameters: FloatArray,
        gradients: FloatArray,
        memory: tuple[FloatArray, ...],
        step: int,
    ) -> None:
        """Take one step, see `fastinit.kernels.sgd_step`."""
        kernels.sgd_step(parameters, gradients, self.learning_rate)


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam: steps of about ``learning_rate`` whatever the size of the gradient.

    See `fastinit.kernels.adam_step` for the formula.

    Parameters
    ----------
    learning_rate : float, default 0.001
        Size of a step; finite, not negative.
    beta_1, beta_2 : float, default 0.9 and 0.999
        Decay of the running means of the gradient and of its square; at least 0, below 1.
    epsilon : float, default 1e-7
        Keeps a step finite where the gradient has been 0; finite, not negative. Keras' default;
        the paper and PyTorch have 1e-8.

    Raises
    ------
    ArgumentError
        If a value is out of its range.
    ArgumentTypeError
        If a value is not a number.

    References
    ----------
    Kingma and Ba, "Adam: A Method for Stochastic Optimization", arXiv:1412.6980.

    Examples
    --------
    >>> from fastinit import nn
    >>> nn.Adam(learning_rate=0.01).beta_1
    0.9
    """

    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    def __post_init__(self) -> None:
        _check_number(self, "learning_rate", math.inf)
        _check_number(self, "beta_1", 1.0)
        _check_number(self, "beta_2", 1.0)
        _check_number(self, "epsilon", math.inf)

    def start(self, parameters: FloatArray) -> tuple[FloatArray, ...]:
        """Return both moments, zero."""
        return np.zeros_like(parameters), np.zeros_like(parameters)

    def update(
        self,
        parameters: FloatArray,
        gradients: FloatArray,
        memory: tuple[FloatArray, ...],
        step: int,
    ) -> None:
        """Take one step, see `fastinit.kernels.adam_step`."""
        first_moment, second_moment = memory
        kernels.adam_step(
            parameters,
            gradients,
            first_moment,
            second_moment,
            step,
            self.learning_rate,
            self.beta_1,
            self.beta_2,
            self.epsilon,
        )


OPTIMIZERS: dict[str, type[Optimizer]] = {"adam": Adam, "sgd": SGD}


def get_optimizer(spec: str | Optimizer) -> Optimizer:
    """Return an optimizer from its name or from itself.

    Parameters
    ----------
    spec : str or Optimizer
        A key of `OPTIMIZERS`, for the defaults, or an optimizer.

    Returns
    -------
    Optimizer
        The optimizer.

    Raises
    ------
    ArgumentTypeError
        If `spec` is neither.
    UnknownNameError
        If there is no optimizer of that name; the nearest names are given.

    Examples
    --------
    >>> from fastinit.nn.optimizers import get_optimizer
    >>> get_optimizer("sgd")
    SGD(learning_rate=0.01)
    """
    if isinstance(spec, Optimizer):
        return spec
    if not isinstance(spec, str):
        raise ArgumentTypeError(
            f"optimizer must be a name or an optimizer such as nn.Adam(), got {spec!r}"
        )
    if spec not in OPTIMIZERS:
        raise unknown_name("optimizer", spec, OPTIMIZERS)
    return OPTIMIZERS[spec]()


def _check_number(optimizer: Optimizer, name: str, below: float) -> None:
    """Store the hyperparameter as a float (kernels compile anew for an int), if it is in range."""
    value = getattr(optimizer, name)
    if not isinstance(value, Real):
        raise ArgumentTypeError(f"{name} must be a number, got {value!r}")
    number = float(value)
    if not 0.0 <= number < below:
        limit = "finite" if below == math.inf else f"below {below:g}"
        raise ArgumentError(f"{name} must be at least 0 and {limit}, got {value!r}")
    object.__setattr__(optimizer, name, number)
