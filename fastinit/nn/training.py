"""Training: how the compiled loop is fed, how long it runs at a time, and what comes out."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastinit.kernels.gradients import BLOCK
from fastinit.nn.compiled import barrier, engine
from fastinit.nn.compiled.table import Batch, Data, Target, Training
from fastinit.nn.losses import Loss
from fastinit.nn.metrics import Metric
from fastinit.nn.program import lowest_that_learns
from fastinit.sampling import threads

if TYPE_CHECKING:
    from fastinit.nn.network import Sequential

__all__ = ["History", "Trainer", "batch_of", "mean_logs", "target_of", "threads_for"]

# Seconds for which the compiled loop runs without looking at Ctrl-C or a progress bar.
SPAN_SECONDS = 0.2
# Operations that a step must have for each thread: meeting twice a step costs a microsecond or two.
OPERATIONS_OF_A_THREAD = 2e6
FIRST_SPAN_OPERATIONS = 1e9


class History:
    """The record of a training run.

    Attributes
    ----------
    history : dict of str to list of float
        One value an epoch of "loss", of each metric and, where there are validation data, of
        "val_loss" and so on. Values that overflowed are kept as they are: infinity or NaN.
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


def threads_for(operations: float) -> int:
    """Return how many threads pay for so many floating-point operations between two meetings."""
    return max(1, min(threads.get_num_threads(), int(operations / OPERATIONS_OF_A_THREAD)))


def _limit(value: float | None) -> float:
    return math.inf if value is None else float(value)


def target_of(loss: Loss, metrics: tuple[Metric, ...], smallest: int = 0) -> Target:
    """Return loss and metrics as the engine takes them."""
    return Target(
        loss.code,
        np.array([loss.parameter]),
        np.array([metric.code for metric in metrics], np.int64),
        np.array([metric.parameter for metric in metrics], np.float64),
        smallest,
    )


def batch_of(data: Data, units: int, capacity: int, metrics: int, size: int) -> Batch:
    """Return room for the targets and the results of a batch.

    Parameters
    ----------
    data : Data
        All examples.
    units : int
        Outputs of the network.
    capacity : int
        Examples of a batch.
    metrics : int
        Number of metrics.
    size : int
        Number of parameters.
    """
    return Batch(
        np.zeros((capacity, units), data.x.dtype),
        np.zeros(capacity, np.int64),
        np.ones(capacity),
        np.zeros(capacity),
        np.zeros((metrics, capacity)),
        np.arange(len(data.x), dtype=np.int64),
        np.zeros(size // BLOCK + 1),
    )


class Trainer:
    """A training under way: takes steps, and keeps the sums of losses and metrics.

    Parameters
    ----------
    network : Sequential
        Built and compiled.
    data : Data
        The examples.
    batch_size : int
        Examples of a step.
    shuffle : bool
        Whether every epoch has an order of its own.
    stop_at_nan : bool
        Whether to stop after a batch whose loss is not finite.

    Attributes
    ----------
    steps_of_an_epoch : int
        Steps that an epoch has.
    diverged : bool
        Whether a loss was not finite.
    finished : list of ndarray
        The mean loss and metrics of each epoch completed.
    """

    def __init__(
        self,
        network: Sequential,
        data: Data,
        batch_size: int,
        shuffle: bool,
        stop_at_nan: bool,
    ) -> None:
        loss, optimizer = network.loss, network.optimizer
        assert loss is not None
        assert optimizer is not None
        self._network, self._data = network, data
        examples = len(data.x)
        batch_size = min(batch_size, examples)
        self.steps_of_an_epoch = -(-examples // batch_size)
        self.diverged = False
        self._operations = network.operations(batch_size, backward=True)
        self._threads = threads_for(self._operations)
        self._program = network.program(
            batch_size, threads=self._threads, training=True, left_out=loss.left_out
        )
        smallest = lowest_that_learns(self._program.layers)
        self._target = target_of(loss, network.metrics, smallest)
        self._batch = batch_of(
            data, network.output_size, batch_size, len(network.metrics), network.memory.trained
        )
        network.memory.gradients[...] = 0  # those of layers that were frozen since count in norms
        first, second = network.moments()
        self._training = Training(
            optimizer.code,
            optimizer.hyper(),
            first,
            second,
            optimizer.weight_decay,
            _limit(optimizer.clipvalue),
            _limit(optimizer.global_clipnorm),
            batch_size,
            bool(shuffle),
            np.uint64(int(network.key("order"))),
            stop_at_nan,
        )
        self._number = 0  # the next batch of the epoch
        self._sums = np.zeros(1 + len(network.metrics))
        self.finished: list[NDArray[np.float64]] = []
        self._span = max(1, int(FIRST_SPAN_OPERATIONS / max(self._operations, 1.0)))

    def run(self, steps: int) -> int:
        """Take at most so many steps; return how many, fewer where they would take long.

        Parameters
        ----------
        steps : int
            At least 1.

        Returns
        -------
        int
            The steps taken.
        """
        network = self._network
        steps = min(steps, self._span)
        rates = network.rates(steps)
        entered = (self._number + steps - 1) // self.steps_of_an_epoch + 1
        totals = np.zeros((entered, self._sums.size))
        totals[0] = self._sums
        position = np.array([network.steps, network.epochs, self._number], np.int64)
        control, counter = np.zeros(2, np.int64), np.zeros(1, np.int64)

        def work(thread: int, count: int) -> None:
            engine.train(
                self._program, self._data, self._target, self._training, self._batch, rates,
                position, totals, control, counter, thread, count,
            )  # fmt: skip

        def call_off() -> None:
            counter[0] = barrier.CALLED_OFF

        started = time.perf_counter()
        try:
            threads.run_together(work, self._threads, call_off)
        finally:  # Ctrl-C leaves the network as it is after the last step
            taken = int(control[0])
            self._count(taken, totals)
        seconds = time.perf_counter() - started
        self.diverged = self.diverged or bool(control[1])
        self._span = max(1, min(2 * self._span, int(taken * SPAN_SECONDS / max(seconds, 1e-6))))
        return taken

    def _count(self, taken: int, totals: NDArray[np.float64]) -> None:
        """Note the steps taken, and what they added to the epochs that they entered."""
        network = self._network
        network.steps += taken
        completed, self._number = divmod(self._number + taken, self.steps_of_an_epoch)
        network.epochs += completed
        self.finished += list(totals[:completed] / len(self._data.x))
        still_open = completed < len(totals)
        self._sums = totals[completed] if still_open else np.zeros_like(self._sums)

    def sums(self) -> NDArray[np.float64]:
        """Return the sums of loss and metrics over the examples of the epoch under way."""
        return self._sums.copy()

    @property
    def mean_loss(self) -> float:
        """The mean loss of the epoch under way; of the one before where it has just begun."""
        if not self._number:
            return float(self.finished[-1][0]) if self.finished else math.nan
        return float(self._sums[0]) / (self._number * self._training.batch_size)

    def last_batches(self, count: int, before: NDArray[np.float64]) -> tuple[int, dict[str, float]]:
        """Return the number of the last batch, and the logs of the last `count`, all of one epoch.

        `before` has the sums before them.
        """
        size, examples = self._training.batch_size, len(self._data.x)
        number = (self._number or self.steps_of_an_epoch) - 1
        after = self._sums if self._number else self.finished[-1] * examples
        rows = min(size * count, examples - (number + 1 - count) * size)
        return number, mean_logs(self._network, (after - before) / rows)

    def close_epoch(self) -> None:
        """Count the epoch under way as it is, where it ended early."""
        if self._number:
            done = self._number * self._training.batch_size
            self.finished.append(self._sums / done)
            self._network.epochs += 1
            self._number = 0


def mean_logs(network: Any, means: NDArray[np.float64]) -> dict[str, float]:
    """Return means of loss and metrics under their names."""
    names = ("loss", *(metric.name for metric in network.metrics))
    return dict(zip(names, means.tolist(), strict=True))
