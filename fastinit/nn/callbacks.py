"""What can be called during training."""

from __future__ import annotations

import csv
import inspect
import io
import os
import warnings
from collections.abc import Callable, Iterable
from numbers import Real
from typing import TYPE_CHECKING, Any

from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.kernels.jit import FloatArray
from fastinit.nn.checks import as_count, as_number
from fastinit.nn.metrics import METRICS

if TYPE_CHECKING:
    from fastinit.nn.network import Sequential

__all__ = [
    "CSVLogger",
    "Callback",
    "Callbacks",
    "EarlyStopping",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]

Logs = dict[str, float]


class Callback:
    """Base of objects that are called during training; override what you need.

    Attributes
    ----------
    model : Sequential
        The network that is being trained. ``self.model.stop_training = True`` ends the training
        after the epoch, or at once where it is set after a batch.
    every : int
        How many batches there are from one call of `on_train_batch_end` to the next, across epochs:
        1, unless a callback sets it. It is read after each call; the batches between run compiled.
    stop_at_nan : bool
        Class attribute: whether training is to end after a batch whose loss is not finite.

    Examples
    --------
    >>> from fastinit import nn
    >>> class StopWhenGood(nn.Callback):
    ...     def on_epoch_end(self, epoch, logs):
    ...         self.model.stop_training = logs["loss"] < 0.1
    """

    model: Sequential
    every = 1
    stop_at_nan = False

    def on_train_begin(self, logs: Logs) -> None:
        """Be called before the first epoch.

        Parameters
        ----------
        logs : dict of str to float
            Empty.
        """

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        """Be called before every epoch.

        Parameters
        ----------
        epoch : int
            Number of the epoch, from 0.
        logs : dict of str to float
            Empty.
        """

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        """Be called after every batch, or every so many; see `every`.

        Parameters
        ----------
        batch : int
            Number of the batch in its epoch, from 0.
        logs : dict of str to float
            The batch's own loss and metrics; the means over the last batches that ran together.
        """

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Be called after every epoch.

        Parameters
        ----------
        epoch : int
            Number of the epoch, from 0.
        logs : dict of str to float
            Its loss and metrics. What a callback adds is recorded and shown, too.
        """

    def on_train_end(self, logs: Logs) -> None:
        """Be called after the last epoch.

        Parameters
        ----------
        logs : dict of str to float
            What was recorded of it.
        """


class _Monitor(Callback):
    """What callbacks that watch one of the logged values share.

    Parameters
    ----------
    monitor : str
        Name of the value.
    mode : {"auto", "min", "max"}
        Whether it shall become small or large; "auto" knows it of the library's own values.
    min_delta : float
        A smaller change is no improvement.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise ArgumentError(f"mode must be 'auto', 'min' or 'max', got {mode!r}")
        metric = monitor.removeprefix("val_")
        if mode == "auto" and metric not in (*METRICS, "loss", "learning_rate"):
            raise ArgumentError(
                f"mode='auto' does not know whether {monitor!r} shall become small or large: pass "
                "mode='min' or mode='max'"
            )
        self.monitor, self.mode = monitor, mode
        self.min_delta = as_number("min_delta", min_delta)
        self._sign = 1.0 if mode == "max" or (mode == "auto" and "accuracy" in metric) else -1.0
        self.best: float | None = None

    def current(self, logs: Logs) -> float | None:
        """Return the monitored value, or warn that there is none.

        Parameters
        ----------
        logs : dict of str to float
            What was measured.

        Returns
        -------
        float or None
            The value; None where it is missing.
        """
        value = logs.get(self.monitor)
        if value is None:
            warnings.warn(
                f"{type(self).__name__} monitors {self.monitor!r}, which there is not. Known: "
                f"{', '.join(logs)}",
                stacklevel=6,  # the line that called fit
            )
        return value

    def improves(self, value: float, best: float | None) -> bool:
        """Return whether a value is better than another.

        Parameters
        ----------
        value : float
            The new one.
        best : float or None
            The best so far; None before the first.

        Returns
        -------
        bool
            Whether it is better, by more than `min_delta`.
        """
        return best is None or self._sign * value - self.min_delta > self._sign * best


class EarlyStopping(_Monitor):
    """Stops the training when a value no longer improves.

    Parameters
    ----------
    monitor : str, default "val_loss"
        Name of the value in the history: "loss", "val_loss", "val_accuracy" ...
    min_delta : float, default 0
        A change of at most this is no improvement.
    patience : int, default 0
        Epochs without improvement after which to stop, at least 0; 0 and 1 both stop at the first.
    mode : {"auto", "min", "max"}, default "auto"
        Whether the value shall become small or large. "auto": accuracies large, all else small.
    baseline : float, optional
        As long as no value was better than this, the epochs without success go on counting.
    restore_best_weights : bool, default False
        Whether the network shall in the end have the parameters and the moving statistics of its
        best epoch, whatever stopped the training. They are kept from the first epoch counted on.
    start_from_epoch : int, default 0
        Epochs not to be looked at.

    Attributes
    ----------
    best : float or None
        The best value.
    best_epoch, stopped_epoch : int
        The epoch of the best value, and that after which training stopped; 0 if it did not.

    Raises
    ------
    ArgumentError
        If a value cannot be used.
    ArgumentTypeError
        If an argument has a type that cannot be used.

    Warns
    -----
    UserWarning
        After every epoch in which the value is missing; nothing stops then.

    References
    ----------
    Prechelt, "Early Stopping - But When?", Neural Networks: Tricks of the Trade (1998).

    Examples
    --------
    >>> from fastinit import nn
    >>> stop = nn.EarlyStopping(monitor="val_accuracy", patience=5, restore_best_weights=True)
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = as_count("patience", patience, least=0)
        self.baseline = None if baseline is None else _as_real("baseline", baseline)
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = as_count("start_from_epoch", start_from_epoch, least=0)
        self._restart()

    def _restart(self) -> None:
        self.best = None
        self.best_epoch = self.stopped_epoch = self._wait = 0
        self._best_weights: list[FloatArray] | None = None

    def on_train_begin(self, logs: Logs) -> None:
        """Forget the training before."""
        self._restart()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Compare the value with the best one."""
        value = self.current(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        self._wait += 1
        if self.improves(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self._best_weights = self.model.get_weights()
            if self.baseline is None or self.improves(value, self.baseline):
                self._wait = 0
        elif self._wait >= self.patience:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs) -> None:
        """Restore the best parameters, if so asked."""
        if self._best_weights is not None:
            self.model.set_weights(self._best_weights)
            self._best_weights = None


class ReduceLROnPlateau(_Monitor):
    """Multiplies the learning rate by a factor when a value no longer improves.

    The logs get the value "learning_rate", that of the epoch.

    Parameters
    ----------
    monitor : str, default "val_loss"
        Name of the value.
    factor : float, default 0.1
        At least 0 and below 1.
    patience : int, default 10
        Epochs without improvement after which to reduce, at least 0.
    mode : {"auto", "min", "max"}, default "auto"
        As for `EarlyStopping`.
    min_delta : float, default 1e-4
        A change of at most this is no improvement.
    cooldown : int, default 0
        Epochs after a reduction in which none is counted, at least 0.
    min_lr : float, default 0
        The rate is not reduced below this.

    Raises
    ------
    ArgumentError
        If a value cannot be used.
    ArgumentTypeError
        If an argument has a type that cannot be used.

    Warns
    -----
    UserWarning
        After every epoch in which the value is missing.

    Examples
    --------
    >>> from fastinit import nn
    >>> reduce = nn.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=3)
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.factor = as_number("factor", factor, below=1.0)
        self.min_lr = as_number("min_lr", min_lr)
        self.patience = as_count("patience", patience, least=0)
        self.cooldown = as_count("cooldown", cooldown, least=0)
        self._wait = self._cooling = 0

    def on_train_begin(self, logs: Logs) -> None:
        """Forget the training before."""
        self.best, self._wait, self._cooling = None, 0, 0

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Compare the value with the best one."""
        rate = logs["learning_rate"] = _rate_of(self.model)
        value = self.current(logs)
        if value is None:
            return
        if self._cooling > 0:
            self._cooling -= 1
        if self.improves(value, self.best):
            self.best, self._wait = value, 0
        elif self._cooling == 0:
            self._wait += 1
            if self._wait >= self.patience and rate > self.min_lr:
                self.model.learning_rate = max(rate * self.factor, self.min_lr)
                self._cooling, self._wait = self.cooldown, 0


class LearningRateScheduler(Callback):
    """Sets the learning rate before every epoch.

    For a rate that changes every step, give the optimizer a schedule such as `CosineDecay`: then
    no Python runs between epochs. The logs get the value "learning_rate", that of the epoch.

    Parameters
    ----------
    schedule : callable
        ``schedule(epoch, rate)`` or ``schedule(epoch)`` returns the rate, given the number of the
        epoch, from 0, and the rate before.

    Raises
    ------
    ArgumentError
        If it returns what is negative or not finite.
    ArgumentTypeError
        If it cannot be called, or returns no number.

    Examples
    --------
    >>> from fastinit import nn
    >>> halve = nn.LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch >= 10 else rate)
    """

    def __init__(self, schedule: Callable[..., float]) -> None:
        if not callable(schedule):
            raise ArgumentTypeError(f"schedule must be callable, got {schedule!r}")
        self.schedule = schedule
        try:
            inspect.signature(schedule).bind(0, 0.0)
            self._takes_rate = True
        except TypeError:
            self._takes_rate = False
        except ValueError:  # a function of C that does not tell
            self._takes_rate = True

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        """Set the rate."""
        arguments = (epoch, _rate_of(self.model)) if self._takes_rate else (epoch,)
        self.model.learning_rate = as_number("what schedule returns", self.schedule(*arguments))

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Record the rate."""
        logs["learning_rate"] = _rate_of(self.model)


class TerminateOnNaN(Callback):
    """Stops the training after the first batch whose loss is not finite.

    The compiled loop looks after every batch, at no cost. The parameters are those after that
    batch's step, thus most often NaN themselves.

    Examples
    --------
    >>> from fastinit import nn
    >>> nn.TerminateOnNaN().stop_at_nan
    True
    """

    stop_at_nan = True


class ModelCheckpoint(_Monitor):
    """Saves the network during training.

    A file appears whole or not at all (see `Sequential.save`). Missing folders are made.

    Parameters
    ----------
    filepath : str or os.PathLike
        Where to. It may hold fields such as ``{epoch:02d}``, counted from 1, ``{val_loss:.2f}``
        and, if saved by batches, ``{batch}``; else every file replaces the one before.
    monitor : str, default "val_loss"
        Name of the value for `save_best_only`.
    save_best_only : bool, default False
        Whether to save after epochs that are better than all before only.
    save_weights_only : bool, default False
        Whether to call `Sequential.save_weights` instead of `Sequential.save`.
    mode : {"auto", "min", "max"}, default "auto"
        As for `EarlyStopping`.
    save_freq : "epoch" or int, default "epoch"
        A number saves after so many batches, which then run one by one; the values are those of the
        last batch.

    Attributes
    ----------
    best : float or None
        The best value.

    Raises
    ------
    ArgumentError
        If a value cannot be used, or the file name has an unknown field.
    ArgumentTypeError
        If an argument has a type that cannot be used.
    OSError
        If the file cannot be written.

    Warns
    -----
    UserWarning
        If the value to be monitored is missing; the network is saved then.

    Examples
    --------
    >>> from fastinit import nn
    >>> keep = nn.ModelCheckpoint("{epoch:02d}-{val_loss:.2f}.safetensors", save_best_only=True)
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
    ) -> None:
        super().__init__(monitor, mode)
        self.filepath = os.fspath(filepath)
        self.save_best_only, self.save_weights_only = save_best_only, save_weights_only
        if isinstance(save_freq, str):
            if save_freq != "epoch":
                raise ArgumentError(f"save_freq must be 'epoch' or a number, got {save_freq!r}")
        else:
            save_freq = as_count("save_freq", save_freq)
            self.on_train_batch_end = self._after_batch  # type: ignore[method-assign]
        self.save_freq = save_freq
        self._epoch = self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        """Remember the epoch."""
        self._epoch = epoch

    def _after_batch(self, batch: int, logs: Logs) -> None:
        self._batches += 1
        if self._batches == self.save_freq:
            self._batches = 0
            self._save(logs, batch=batch + 1)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Save the network, if it is to be saved."""
        if self.save_freq == "epoch":
            self._save(logs)

    def _save(self, logs: Logs, **fields: int) -> None:
        fields["epoch"] = self._epoch + 1
        try:
            path = self.filepath.format(**{**logs, **fields})
        except (LookupError, ValueError) as error:
            raise ArgumentError(
                f"cannot fill in the file name {self.filepath!r}: {error}. Known: "
                f"{', '.join((*fields, *logs))}"
            ) from None
        if self.save_best_only:
            value = self.current(logs)
            if value is not None:
                if not self.improves(value, self.best):
                    return
                self.best = value
        folder = os.path.dirname(path)
        if folder:
            os.makedirs(folder, exist_ok=True)
        save = self.model.save_weights if self.save_weights_only else self.model.save
        save(path)


class CSVLogger(Callback):
    """Writes loss and metrics of every epoch to a CSV file, a line an epoch.

    The first line names the columns: "epoch", counted from 0, and the values in the order of the
    history. Every line is written at once when its epoch ends, so that the file can be read during
    the training.

    Parameters
    ----------
    filename : str or os.PathLike
        The file; its folder must exist.
    separator : str, default ","
        One character between the columns.
    append : bool, default False
        Whether to keep what the file holds, and its columns; a last line without an end is dropped.
        Otherwise every training starts the file anew.

    Raises
    ------
    ArgumentError
        If the separator cannot be used.
    OSError
        If the file cannot be written; before the training, if it can be known then.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastinit import nn
    >>> network = nn.Sequential([nn.Dense(1, kernel_initializer="zeros")])
    >>> network.compile("mean_squared_error", nn.SGD(learning_rate=0.0))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "log.csv")
    ...     history = network.fit([[1.0]], [2.0], verbose=0, callbacks=[nn.CSVLogger(path)])
    ...     print(path.read_text().rstrip())
    epoch,loss
    0,4.0
    """

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        if not isinstance(separator, str) or len(separator) != 1 or separator in '"\r\n':
            raise ArgumentError(f"separator must be one character, got {separator!r}")
        self.filename, self.separator, self.append = os.fspath(filename), separator, append
        self._columns: list[str] = []

    def on_train_begin(self, logs: Logs) -> None:
        """Open the file, and find its columns where it is continued."""
        self._columns = []
        mode = "a+" if self.append else "w"
        with open(self.filename, mode, encoding="utf-8", newline="") as file:
            if self.append:
                file.seek(0)
                whole = "".join(line for line in file if line.endswith("\n"))
                file.seek(0)
                self._columns = next(csv.reader(whole.splitlines(), delimiter=self.separator), [])
                file.truncate(len(whole.encode()))

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Write the line of the epoch."""
        row = {"epoch": epoch, **logs}
        lines = io.StringIO()
        writer = csv.writer(lines, delimiter=self.separator, lineterminator="\n")
        if not self._columns:
            self._columns = list(row)
            writer.writerow(self._columns)
        writer.writerow([row.get(column, "NA") for column in self._columns])
        with open(self.filename, "a", encoding="utf-8", newline="") as file:
            file.write(lines.getvalue())


def _as_real(name: str, value: Any) -> float:
    if not isinstance(value, Real):
        raise ArgumentTypeError(f"{name} must be a number, got {value!r}")
    return float(value)


def _rate_of(model: Sequential) -> float:
    """Return the learning rate of the next step."""
    return float(model.rates(1)[0])


class _EpochEnd(Callback):
    """A function, or another object's method, to be called after every epoch."""

    def __init__(self, hook: Any) -> None:
        self.on_epoch_end = hook  # type: ignore[method-assign]


class Callbacks:
    """All callbacks of a training, called in their order.

    Parameters
    ----------
    callbacks : iterable
        `Callback` objects, objects with a method ``on_epoch_end``, or callables.
    model : Sequential
        The network that is about to be trained.

    Attributes
    ----------
    of_epochs, of_batches : bool
        Whether one is to be called at epochs or between batches.

    Raises
    ------
    ArgumentTypeError
        If one is nothing that can be called.
    """

    def __init__(self, callbacks: Iterable[Any], model: Sequential) -> None:
        self._callbacks = [_as_callback(callback) for callback in callbacks]
        for callback in self._callbacks:
            callback.model = model
        idle = Callback.on_train_batch_end
        self._between = [
            callback
            for callback in self._callbacks
            if getattr(callback.on_train_batch_end, "__func__", None) is not idle
        ]
        self._left = [as_count("every", callback.every) for callback in self._between]
        self.of_batches = bool(self._between)
        self.of_epochs = bool(self._callbacks)
        self.stop_at_nan = any(c.stop_at_nan for c in self._callbacks)

    def call(self, hook: str, *arguments: Any) -> None:
        """Call one hook of all.

        Parameters
        ----------
        hook : str
            Its name.
        *arguments
            What it is called with.
        """
        for callback in self._callbacks:
            getattr(callback, hook)(*arguments)

    def batches(self) -> int:
        """Return how many batches may run until one is to be called."""
        return min(self._left)

    def after_batches(self, count: int, batch: int, logs: Logs) -> None:
        """Count batches, and call those whose turn it is.

        Parameters
        ----------
        count : int
            How many have run.
        batch : int
            Number of the last in its epoch, from 0.
        logs : dict of str to float
            Their loss and metrics.
        """
        for i, callback in enumerate(self._between):
            self._left[i] -= count
            if not self._left[i]:
                callback.on_train_batch_end(batch, logs)
                self._left[i] = as_count("every", callback.every)


def _as_callback(callback: Any) -> Callback:
    if isinstance(callback, Callback):
        return callback
    hook = getattr(callback, "on_epoch_end", callback)
    if not callable(hook):
        raise ArgumentTypeError(
            f"a callback must be callable or have a method on_epoch_end, got {callback!r}"
        )
    return _EpochEnd(hook)
