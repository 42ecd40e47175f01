"""What comes out of training, and what can be called during it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from fastinit.errors import ArgumentTypeError

if TYPE_CHECKING:
    from fastinit.nn.network import Sequential

__all__ = ["Callback", "EpochEnd", "History", "epoch_end", "progress_line"]

EpochEnd = Callable[[int, Mapping[str, float]], Any]


class History:
    """The record of a training run.

    Attributes
    ----------
    history : dict of str to list of float
        One value an epoch of "loss" and, where they were asked for, "accuracy", "val_loss" and
        "val_accuracy". Values that overflowed are kept as they are: infinity or NaN.
    epoch : list of int
        Numbers of the epochs, from 0.

    Examples
    --------
    >>> from fastinit import nn
    >>> nn.History().history
    {}
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def append(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Add the values of one epoch.

        Parameters
        ----------
        epoch : int
            Number of the epoch.
        logs : mapping of str to float
            Its values.
        """
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)


class Callback:
    """Base of objects that are called during training; override what you need.

    Attributes
    ----------
    model : Sequential
        The network that is being trained. ``self.model.stop_training = True`` ends the training
        after the epoch.

    Examples
    --------
    >>> from fastinit import nn
    >>> class StopWhenGood(nn.Callback):
    ...     def on_epoch_end(self, epoch, logs):
    ...         self.model.stop_training = logs["loss"] < 0.1
    """

    model: Sequential

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Be called after every epoch.

        Parameters
        ----------
        epoch : int
            Number of the epoch, from 0.
        logs : mapping of str to float
            Its loss and metrics.
        """


def epoch_end(callback: Any, model: Sequential) -> EpochEnd:
    """Return what to call after an epoch, and tell a `Callback` its network.

    Parameters
    ----------
    callback : Callback, object with ``on_epoch_end``, or callable
        As given to ``fit``.
    model : Sequential
        The network that is about to be trained.

    Returns
    -------
    callable
        To be called with the number of the epoch and its values.

    Raises
    ------
    ArgumentTypeError
        If `callback` is nothing that can be called.
    """
    if isinstance(callback, Callback):
        callback.model = model
    hook = getattr(callback, "on_epoch_end", callback)
    if not callable(hook):
        raise ArgumentTypeError(
            f"a callback must be callable or have a method on_epoch_end, got {callback!r}"
        )
    return hook  # type: ignore[no-any-return]


def progress_line(epoch: int, epochs: int, seconds: float, logs: Mapping[str, float]) -> str:
    """Return the line that ``fit(verbose=1)`` prints after an epoch.

    Parameters
    ----------
    epoch : int
        Number of the epoch, from 0.
    epochs : int
        Number of epochs.
    seconds : float
        Time that the epoch took.
    logs : mapping of str to float
        Its values.

    Returns
    -------
    str
        One line.

    Examples
    --------
    >>> from fastinit.nn.training import progress_line
    >>> progress_line(0, 10, 0.125, {"loss": 0.5, "accuracy": 0.75})
    'Epoch  1/10 - 0.12s - loss: 0.5000 - accuracy: 0.7500'
    """
    values = "".join(f" - {name}: {value:.4f}" for name, value in logs.items())
    return f"Epoch {epoch + 1:{len(str(epochs))}}/{epochs} - {seconds:.2f}s{values}"
