"""One training run: build a network, measure it, train it, measure it again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import numpy as np

from fastinit import nn
from fastinit.lab import figures, rules
from fastinit.lab.data import Dataset
from fastinit.nn.optimizers import OPTIMIZERS

__all__ = ["PROBE_ROWS", "Run", "Task", "Training", "train"]

PROBE_ROWS = 256
"""Spread, gradients and idle units are measured on this many rows, evenly spaced in the train
data, the same ones in every run."""


@dataclass(frozen=True)
class Training:
    """How the networks of one comparison are trained.

    Attributes
    ----------
    epochs, batch_size : int
    optimizer : str
        A key of :data:`fastinit.nn.optimizers.OPTIMIZERS`.
    learning_rate : float
    goal : float
        The test accuracy that counts as trained.
    """

    epochs: int
    batch_size: int
    optimizer: str
    learning_rate: float
    goal: float


@dataclass(frozen=True)
class Task:
    """One network to train.

    Attributes
    ----------
    activation : str
        Of the hidden layers; the last layer gives logits.
    hidden : tuple of int
        Units of the hidden layers.
    initializer : str
        What the initializer is called.
    seed : int
        Seed of the weights and of the order of the rows.
    kernel_initializer : Initializer
        What draws the kernels; biases start at zero.
    """

    activation: str
    hidden: tuple[int, ...]
    initializer: str
    seed: int
    kernel_initializer: Any = field(repr=False)


@dataclass(frozen=True)
class Run:
    """What one training run showed.

    Attributes
    ----------
    activation, hidden, initializer, seed
        As in :class:`Task`.
    goal : float
        The test accuracy that counts as trained.
    constant_loss : float
        Loss of the best predictor that ignores its input.
    train_loss, test_accuracy : tuple of float
        Before training and after each epoch, on all train and all test rows. A run whose loss
        stops being finite ends there.
    activation_spread : tuple of float
        Before training, :func:`fastinit.lab.figures.spread` of the input, of each hidden layer's
        activations and of the logits.
    gradient_size : tuple of float
        Before training, root mean square gradient of each layer's kernel.
    idle_start, idle_end : float or None
        Share of dead or saturated hidden units before and after training.
    distinct_units : tuple of (int, int)
        For each hidden layer, the units that differ after training, and all its units.
    """

    activation: str
    hidden: tuple[int, ...]
    initializer: str
    seed: int
    goal: float
    constant_loss: float
    train_loss: tuple[float, ...]
    test_accuracy: tuple[float, ...]
    activation_spread: tuple[float, ...]
    gradient_size: tuple[float, ...]
    idle_start: float | None
    idle_end: float | None
    distinct_units: tuple[tuple[int, int], ...]

    @property
    def start_loss(self) -> float:
        """Train loss before training."""
        return self.train_loss[0]

    @property
    def final_loss(self) -> float:
        """Train loss after the last epoch."""
        return self.train_loss[-1]

    @property
    def final_accuracy(self) -> float:
        """Test accuracy after the last epoch."""
        return self.test_accuracy[-1]

    @property
    def epochs_to_goal(self) -> int | None:
        """Epochs until the test accuracy first reached the goal; None if it never did."""
        reached = (e for e, accuracy in enumerate(self.test_accuracy) if accuracy >= self.goal)
        return next(reached, None)

    @property
    def gradient_ratio(self) -> float:
        """Gradient size before training, first layer over last; NaN if both are zero."""
        return figures.ratio(self.gradient_size[0], self.gradient_size[-1])

    @property
    def signal_ratio(self) -> float:
        """Activation spread before training, last hidden layer over input."""
        return figures.ratio(self.activation_spread[-2], self.activation_spread[0])

    @cached_property
    def verdict(self) -> str:
        """The verdict of :data:`fastinit.lab.rules.RULES` on this run."""
        return rules.verdict(
            rules.Evidence(
                start_loss=self.start_loss,
                final_loss=self.final_loss,
                constant_loss=self.constant_loss,
                epochs_to_goal=self.epochs_to_goal,
                distinct_units=self.distinct_units,
                gradient_ratio=self.gradient_ratio,
                signal_ratio=self.signal_ratio,
            )
        )


class _Watch(nn.Callback):
    """Evaluates the network before training and after each epoch; stops it when it diverged."""

    def __init__(self, data: Dataset) -> None:
        super().__init__()
        self.data = data
        self.train_loss: list[float] = []
        self.test_accuracy: list[float] = []

    def look(self, model: nn.Sequential) -> None:
        data = self.data
        loss = float(model.evaluate(data.x_train, data.y_train)["loss"])
        accuracy = float(model.evaluate(data.x_test, data.y_test)["accuracy"])
        self.train_loss.append(loss)
        self.test_accuracy.append(accuracy)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        self.look(self.model)
        if not math.isfinite(self.train_loss[-1]):
            self.model.stop_training = True


def train(task: Task, data: Dataset, training: Training) -> Run:
    """Train one network and measure it.

    The result depends on the arguments alone, not on the number of threads.

    Parameters
    ----------
    task : Task
        The network.
    data : Dataset
        What it learns.
    training : Training
        How it learns.

    Returns
    -------
    Run
    """
    model = _network(task, data, training)
    rows = np.linspace(0, len(data.x_train) - 1, PROBE_ROWS).round().astype(np.intp)
    rows = np.unique(rows)  # fewer train rows than probes
    x, y = data.x_train[rows], data.y_train[rows]
    layers = [x] + [a for _, a in model.forward(x)]
    gradients = [layer["kernel"] for layer in model.gradients(x, y)]
    watch = _Watch(data)
    watch.look(model)
    model.fit(
        data.x_train,
        data.y_train,
        epochs=training.epochs,
        batch_size=training.batch_size,
        verbose=0,
        callbacks=[watch],
    )
    trained = [a for _, a in model.forward(x)]
    hidden = cast(list[nn.Dense], model.layers[:-1])
    return Run(
        activation=task.activation,
        hidden=task.hidden,
        initializer=task.initializer,
        seed=task.seed,
        goal=training.goal,
        constant_loss=data.constant_loss,
        train_loss=tuple(watch.train_loss),
        test_accuracy=tuple(watch.test_accuracy),
        activation_spread=tuple(figures.spread(layer) for layer in layers),
        gradient_size=tuple(figures.root_mean_square(gradient) for gradient in gradients),
        idle_start=figures.idle_share(task.activation, layers[1:-1]),
        idle_end=figures.idle_share(task.activation, trained[:-1]),
        distinct_units=tuple(
            (figures.distinct_units(layer.kernel, layer.bias), layer.units) for layer in hidden
        ),
    )


def _network(task: Task, data: Dataset, training: Training) -> nn.Sequential:
    def dense(units: int, activation: str) -> nn.Dense:
        return nn.Dense(units, activation, kernel_initializer=task.kernel_initializer)

    model = nn.Sequential(
        [dense(units, task.activation) for units in task.hidden]
        + [dense(len(data.classes), "linear")],
        seed=task.seed,
    )
    model.build(data.x_train.shape[1])
    model.compile(
        loss="categorical_crossentropy",
        optimizer=OPTIMIZERS[training.optimizer](learning_rate=training.learning_rate),
        metrics=("accuracy",),
    )
    return model
