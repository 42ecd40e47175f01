"""The metrics that a network can be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fastinit.errors import ArgumentError, unknown_name
from fastinit.kernels.metrics import CODES
from fastinit.nn.losses import BinaryCrossentropy, CategoricalCrossentropy, Loss

__all__ = ["METRICS", "Metric", "choose_metrics"]


class Metric(NamedTuple):
    """A metric: its name in the records, number of the kernel, and the kernel's parameter."""

    name: str
    code: int
    parameter: float


_ERRORS = {"mae": "mean_absolute_error", "mse": "mean_squared_error"}
METRICS = (
    "accuracy",
    "binary_accuracy",
    "mae",
    "mean_absolute_error",
    "mean_squared_error",
    "mse",
    "top_k_categorical_accuracy",
)
"""Names; "accuracy" is what fits the loss, "top_k_categorical_accuracy" has k = 5."""


def choose_metrics(names: Sequence[str] | None, loss: Loss) -> tuple[Metric, ...]:
    """Return the metrics of those names for networks that are trained with a loss.

    Parameters
    ----------
    names : sequence of str, optional
        Of `METRICS`. Left out, it is the accuracy for the cross-entropies and nothing for the
        others, where it has no meaning.
    loss : Loss
        The loss.

    Returns
    -------
    tuple of Metric
        The metrics.

    Raises
    ------
    ArgumentError
        If a name is unknown, or the metric has no meaning with the loss.

    Examples
    --------
    >>> from fastinit.nn.losses import get_loss
    >>> from fastinit.nn.metrics import choose_metrics
    >>> [metric.name for metric in choose_metrics(None, get_loss("categorical_crossentropy"))]
    ['accuracy']
    """
    classes, yes_or_no = (
        isinstance(loss, c) for c in (CategoricalCrossentropy, BinaryCrossentropy)
    )
    if names is None:
        names = ("accuracy",) if classes or yes_or_no else ()
    if isinstance(names, str):
        raise ArgumentError(f"metrics must be a list of names, got the name {names!r}")
    chosen = []
    for name in names:
        if name not in METRICS:
            raise unknown_name("metric", name, METRICS)
        kernel = _ERRORS.get(name, name)
        if name == "accuracy" and yes_or_no:
            kernel = "binary_accuracy"
        fits = {
            "accuracy": classes,
            "top_k_categorical_accuracy": classes,
            "binary_accuracy": yes_or_no,
        }
        if not fits.get(kernel, not (classes or yes_or_no)):
            raise ArgumentError(f"{name} has no meaning for {loss.name}: pass metrics=()")
        # Both cross-entropies have logits for outputs, so that the threshold of 1/2 is 0 there.
        parameter = {"top_k_categorical_accuracy": 5.0}.get(kernel, 0.0)
        chosen.append(Metric(name, CODES[kernel], parameter))
    return tuple(chosen)
