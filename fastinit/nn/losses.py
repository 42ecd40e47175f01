"""The losses that a network can name: kernel, form of the targets, what counts as right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastinit import kernels
from fastinit.errors import ArgumentError, ArgumentTypeError, unknown_name
from fastinit.kernels.jit import FloatArray
from fastinit.nn.checks import as_labels, as_probabilities, as_values

__all__ = ["LOSSES", "Loss", "get_loss"]


class Loss(NamedTuple):
    """One loss.

    Attributes
    ----------
    name : str
        Its name.
    kernel : callable
        ``kernel(output, target, grad)`` returns the mean loss and writes its gradient.
    prepare : callable
        ``prepare(y, units, dtype)`` returns checked targets, one example a row.
    logits_of : str or None
        The activation whose inputs the kernel takes in place of its outputs.
    correct : callable or None
        ``correct(logits, target)`` returns how many targets are met, where that has a meaning.
    """

    name: str
    kernel: Callable[[FloatArray, Any, FloatArray], float]
    prepare: Callable[[ArrayLike, int, np.dtype[Any]], NDArray[Any]]
    logits_of: str | None
    correct: Callable[[FloatArray, NDArray[Any]], int] | None

    def require_output(self, activation: str) -> None:
        """Raise unless the loss can follow a last layer of that activation.

        Parameters
        ----------
        activation : str
            Activation of the network's last layer.

        Raises
        ------
        ArgumentError
            If the loss takes logits and the last layer does not give them.
        """
        if self.logits_of is not None and activation not in ("linear", self.logits_of):
            raise ArgumentError(
                f"{self.name} takes a last layer whose activation is {self.logits_of!r} or "
                f"'linear' (logits), got {activation!r}"
            )


def _prepare_labels(y: ArrayLike, units: int, dtype: np.dtype[Any]) -> NDArray[np.int64]:
    return as_labels(y, units)


def _binary_correct(logits: FloatArray, target: NDArray[Any]) -> int:
    return int(np.count_nonzero((logits > 0) == (target > 0.5)))


def _categorical_correct(logits: FloatArray, labels: NDArray[Any]) -> int:
    return int(np.count_nonzero(logits.argmax(axis=1) == labels))


LOSSES = {
    loss.name: loss
    for loss in (
        Loss("mean_squared_error", kernels.mean_squared_error, as_values, None, None),
        Loss(
            "binary_crossentropy",
            kernels.binary_crossentropy_from_logits,
            as_probabilities,
            "sigmoid",
            _binary_correct,
        ),
        Loss(
            "categorical_crossentropy",
            kernels.categorical_crossentropy_from_logits,
            _prepare_labels,
            "softmax",
            _categorical_correct,
        ),
    )
}


def get_loss(name: str) -> Loss:
    """Return the loss of that name.

    Parameters
    ----------
    name : str
        A key of `LOSSES`.

    Returns
    -------
    Loss
        The loss.

    Raises
    ------
    ArgumentTypeError
        If `name` is not a string.
    UnknownNameError
        If there is no loss of that name; the nearest names are given.

    Examples
    --------
    >>> from fastinit.nn.losses import get_loss
    >>> get_loss("categorical_crossentropy").logits_of
    'softmax'
    """
    if not isinstance(name, str):
        raise ArgumentTypeError(f"loss must be a name such as 'mean_squared_error', got {name!r}")
    if name not in LOSSES:
        raise unknown_name("loss", name, LOSSES)
    return LOSSES[name]
