"""The losses that a network can be given: number of the kernel, form of the targets."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastinit.errors import ArgumentError, ArgumentTypeError, unknown_name
from fastinit.kernels import activations
from fastinit.kernels.losses import CODES
from fastinit.nn.checks import as_labels, as_number, as_probabilities, as_values

__all__ = [
    "LOSSES",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Huber",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "get_loss",
]


@dataclass(frozen=True)
class Loss(ABC):
    """A loss: the mean over the examples, each times its weight, as in Keras.

    Attributes
    ----------
    name : str
        Its name.
    left_out : int
        The activation whose inputs, logits, the loss takes in place of its outputs; -1 for none.

    Examples
    --------
    >>> from fastinit import nn
    >>> isinstance(nn.Huber(), nn.Loss), nn.Huber().name
    (True, 'huber')
    """

    name: ClassVar[str]
    left_out: ClassVar[int] = -1
    takes_labels: ClassVar[bool] = False

    @property
    def code(self) -> int:
        """The number of the kernel."""
        return CODES[self.name]

    @property
    def parameter(self) -> float:
        """The kernel's parameter, 0 where it has none."""
        return 0.0

    @abstractmethod
    def prepare(self, y: ArrayLike, units: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return checked targets, one example a row.

        Parameters
        ----------
        y : array_like
            The targets.
        units : int
            Outputs of the network.
        dtype : numpy.dtype
            That of the network.

        Returns
        -------
        ndarray
            Values, shape (examples, units), or labels, shape (examples,).

        Raises
        ------
        ArgumentError
            If they cannot be used.
        """

    def require_output(self, code: int, name: str) -> None:
        """Raise unless the loss can follow a last layer of that activation.

        Parameters
        ----------
        code : int
            Number of the activation.
        name : str
            Its name.

        Raises
        ------
        ArgumentError
            If the loss takes logits and the last layer does not give them.
        """
        if self.left_out >= 0 and code not in (activations.LINEAR, self.left_out):
            wanted = next(n for n, c in activations.CODES.items() if c == self.left_out)
            raise ArgumentError(
                f"{self.name} takes a last layer whose activation is {wanted!r} or 'linear' "
                f"(logits), got {name!r}"
            )


class _Regression(Loss):
    def prepare(self, y: ArrayLike, units: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return the targets as a finite matrix."""
        return as_values(y, units, dtype)


@dataclass(frozen=True)
class MeanSquaredError(_Regression):
    """The mean of ``(prediction - target)**2`` over units and examples.

    Examples
    --------
    >>> from fastinit import nn
    >>> nn.Sequential([nn.Dense(1)]).compile(loss=nn.MeanSquaredError())
    """

    name = "mean_squared_error"


@dataclass(frozen=True)
class MeanAbsoluteError(_Regression):
    """The mean of ``abs(prediction - target)`` over units and examples.

    Examples
    --------
    >>> from fastinit import nn
    >>> nn.Sequential([nn.Dense(1)]).compile(loss=nn.MeanAbsoluteError())
    """

    name = "mean_absolute_error"


@dataclass(frozen=True)
class Huber(_Regression):
    """Half the square of errors up to `delta`, then a straight line: ``delta * (abs - delta / 2)``.

    The mean over units and examples; see `fastinit.kernels.huber`.

    Parameters
    ----------
    delta : float, default 1
        Where the line begins; above 0, finite.

    Raises
    ------
    ArgumentError
        If `delta` is out of its range.
    ArgumentTypeError
        If it is not a number.

    Examples
    --------
    >>> from fastinit import nn
    >>> nn.Sequential([nn.Dense(1)]).compile(loss=nn.Huber(delta=0.5))
    """

    delta: float = 1.0
    name = "huber"

    def __post_init__(self) -> None:
        _check(self, "delta", math.nextafter(0.0, 1.0), math.inf)

    @property
    def parameter(self) -> float:
        """The kernel's parameter."""
        return self.delta


@dataclass(frozen=True)
class BinaryCrossentropy(Loss):
    """Cross-entropy of independent yes-or-no outputs, computed from their logits.

    See `fastinit.kernels.binary_crossentropy_from_logits` for the formula.

    Parameters
    ----------
    label_smoothing : float, default 0
        A target t counts as ``t * (1 - label_smoothing) + label_smoothing / 2``; in [0, 1).

    Raises
    ------
    ArgumentError
        If `label_smoothing` is out of its range.
    ArgumentTypeError
        If it is not a number.

    Examples
    --------
    >>> from fastinit import nn
    >>> nn.Sequential([nn.Dense(1, "sigmoid")]).compile(loss=nn.BinaryCrossentropy())
    """

    label_smoothing: float = 0.0
    name = "binary_crossentropy"
    left_out = activations.SIGMOID

    def __post_init__(self) -> None:
        _check(self, "label_smoothing", 0.0, 1.0)

    @property
    def parameter(self) -> float:
        """The kernel's parameter."""
        return self.label_smoothing

    def prepare(self, y: ArrayLike, units: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return the targets as a matrix within [0, 1]."""
        return as_probabilities(y, units, dtype)


@dataclass(frozen=True)
class CategoricalCrossentropy(Loss):
    """Cross-entropy of one class out of many, computed from logits.

    See `fastinit.kernels.categorical_crossentropy_from_logits` for the formula.

    Parameters
    ----------
    label_smoothing : float, default 0
        Share of the probability that is spread evenly over all classes; in [0, 1).

    Raises
    ------
    ArgumentError
        If `label_smoothing` is out of its range.
    ArgumentTypeError
        If it is not a number.

    Examples
    --------
    >>> from fastinit import nn
    >>> network = nn.Sequential([nn.Dense(10)])
    >>> network.compile(loss=nn.CategoricalCrossentropy(label_smoothing=0.1))
    """

    label_smoothing: float = 0.0
    name = "categorical_crossentropy"
    left_out = activations.SOFTMAX
    takes_labels = True

    def __post_init__(self) -> None:
        _check(self, "label_smoothing", 0.0, 1.0)

    @property
    def parameter(self) -> float:
        """The kernel's parameter."""
        return self.label_smoothing

    def prepare(self, y: ArrayLike, units: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return the number of each example's class, from class numbers or from one-hot rows."""
        return as_labels(y, units)


def _check(loss: Loss, name: str, least: float, below: float) -> None:
    object.__setattr__(loss, name, as_number(name, getattr(loss, name), below, least))


LOSSES: dict[str, type[Loss]] = {
    "binary_crossentropy": BinaryCrossentropy,
    "categorical_crossentropy": CategoricalCrossentropy,
    "huber": Huber,
    "mae": MeanAbsoluteError,
    "mean_absolute_error": MeanAbsoluteError,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "sparse_categorical_crossentropy": CategoricalCrossentropy,
}
"""Name to class; Keras' other names are there, too."""


def get_loss(spec: str | Loss) -> Loss:
    """Return a loss from its name or from itself.

    Parameters
    ----------
    spec : str or Loss
        A key of `LOSSES`, for the defaults, or a loss.

    Returns
    -------
    Loss
        The loss.

    Raises
    ------
    ArgumentTypeError
        If `spec` is neither.
    UnknownNameError
        If there is no loss of that name; the nearest names are given.

    Examples
    --------
    >>> from fastinit.nn.losses import get_loss
    >>> get_loss("huber")
    Huber(delta=1.0)
    """
    if isinstance(spec, Loss):
        return spec
    if not isinstance(spec, str):
        raise ArgumentTypeError(
            f"loss must be a name such as 'mean_squared_error' or a loss such as nn.Huber(), "
            f"got {spec!r}"
        )
    if spec not in LOSSES:
        raise unknown_name("loss", spec, LOSSES)
    return LOSSES[spec]()
