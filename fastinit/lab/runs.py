"""One training run: build a network, measure it, train it, measure it again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from fastinit import nn
from fastinit.lab import figures, rules
from fastinit.lab.data import Dataset
from fastinit.nn.optimizers import OPTIMIZERS
from fastinit.nn.passes import Pass

__all__ = ["PROBE_ROWS", "Network", "Run", "Task", "Training", "train"]

PROBE_ROWS = 256
"""Spread, gradients and idle units are measured on this many rows, evenly spaced in the train
data, the same ones in every run."""


class Network(NamedTuple):
    """What a run is of, apart from the initializer and the seed.

    Attributes
    ----------
    activation : str
        Of the hidden layers.
    hidden : tuple of int
        Units of the hidden layers.
    normalization : {"none", "batch", "layer"}
        Between each hidden layer's sums and its activation.
    dropout : float
        Share of the units of each hidden layer that a step leaves out.
    optimizer : str
        A key of :data:`fastinit.nn.optimizers.OPTIMIZERS`.
    learning_rate : float or None
        None where each initializer has its own, chosen by tuning.

    Examples
    --------
    >>> from fastinit import lab
    >>> lab.Network("relu", (64, 64), dropout=0.5).optimizer
    'sgd'
    """

    activation: str
    hidden: tuple[int, ...]
    normalization: str = "none"
    dropout: float = 0.0
    optimizer: str = "sgd"
    learning_rate: float | None = None


@dataclass(frozen=True)
class Training:
    """How the networks of one comparison are trained, all of them alike.

    Attributes
    ----------
    epochs, batch_size : int
        Passes over the train rows, and how many of these a step takes.
    goal : float
        The test score that counts as trained; at most 1.

    Examples
    --------
    >>> from fastinit import lab
    >>> lab.Training(epochs=10, batch_size=32, goal=0.9)
    Training(epochs=10, batch_size=32, goal=0.9)
    """

    epochs: int
    batch_size: int
    goal: float


class _Identified:
    """What a task and its run are known by."""

    activation: str
    hidden: tuple[int, ...]
    initializer: str
    seed: int
    optimizer: str
    learning_rate: float
    normalization: str
    dropout: float
    rate: str

    @property
    def network(self) -> Network:
        """All but the initializer and the seed."""
        rate = self.learning_rate if self.rate == "given" else None
        return Network(
            self.activation, self.hidden, self.normalization, self.dropout, self.optimizer, rate
        )

    @property
    def case(self) -> tuple[Network, str]:
        """All but the seed: the runs of one record have it in common."""
        return self.network, self.initializer

    @property
    def identity(self) -> tuple[Any, ...]:
        """What no two runs of a comparison have in common."""
        return (*self.network, self.initializer, self.rate, self.learning_rate, self.seed)


NORMALIZATIONS: dict[str, Callable[[], nn.Layer]] = {
    "batch": nn.BatchNorm,
    "layer": nn.LayerNorm,
}


@dataclass(frozen=True)
class Task(_Identified):
    """One network to train.

    Attributes
    ----------
    activation : str
        Of the hidden layers; the last layer gives logits, or the numbers of a regression.
    hidden : tuple of int
        Units of the hidden layers.
    initializer : str
        What the initializer is called.
    seed : int
        Seed of the weights, of the order of the rows and of dropout.
    kernel_initializer : Initializer
        What draws the kernels; biases start at zero.
    optimizer : str
        A key of :data:`fastinit.nn.optimizers.OPTIMIZERS`.
    learning_rate : float
        Of its first step; positive.
    normalization : {"none", "batch", "layer"}
        Between each hidden layer's sums and its activation.
    dropout : float
        Share of the units of each hidden layer that a step leaves out.
    rate : {"given", "tried", "chosen"}
        Whether the learning rate was given; is tried, on rows held back from the train rows; or
        was chosen for this initializer.
    histograms : bool
        Whether to keep those of the activations: in a comparison for the first seed alone.

    Examples
    --------
    >>> import fastinit
    >>> from fastinit import lab
    >>> task = lab.Task("relu", (64,), "he_normal", 0, fastinit.get("he_normal"))
    >>> task.network.hidden, task.optimizer, task.learning_rate
    ((64,), 'sgd', 0.01)
    """

    activation: str
    hidden: tuple[int, ...]
    initializer: str
    seed: int
    kernel_initializer: Any = field(repr=False)
    optimizer: str = "sgd"
    learning_rate: float = 0.01
    normalization: str = "none"
    dropout: float = 0.0
    rate: str = "given"
    histograms: bool = False


@dataclass(frozen=True)
class Run(_Identified):
    """What one training run showed.

    Attributes
    ----------
    activation, initializer, optimizer, normalization, rate : str
        As in :class:`Task`, as are the next.
    hidden : tuple of int
        Units of the hidden layers.
    seed : int
        The seed.
    learning_rate, dropout : float
        The numbers of its training.
    goal : float
        The test score that counts as trained.
    constant_loss : float
        Loss of the best predictor that ignores its input.
    train_loss, test_score : tuple of float
        Before training and after each epoch, on all train and all test rows. The score is the
        accuracy; for a regression the share of the variance that is explained, R squared. A run
        whose loss stops being finite ends there.
    activation_spread, activation_spread_end : tuple of float
        Before and after training, :func:`fastinit.lab.figures.spread` of the input, of each hidden
        layer's activations and of the network's outputs.
    gradient_size, gradient_size_end : tuple of float
        Before and after training, root mean square gradient of each layer's kernel.
    idle_start, idle_end : float or None
        Share of dead or saturated hidden units before and after training.
    distinct_units : tuple of (int, int)
        For each hidden layer, the units that differ after training, and all its units.
    histograms : tuple of tuple of float
        Of each hidden layer's activations before training, as
        :meth:`fastinit.lab.observation.Histogram.of` reads them; empty unless the task asks.

    Examples
    --------
    >>> from fastinit import lab
    >>> result = lab.compare(["zeros"], activations=["relu"], hidden=[8], epochs=2, seeds=1,
    ...                      learning_rate=0.05, jobs=1)
    >>> run = result.runs[0]
    >>> run.verdict, len(run.train_loss), run.distinct_units
    ('symmetric', 3, ((1, 8),))
    """

    activation: str
    hidden: tuple[int, ...]
    initializer: str
    seed: int
    goal: float
    constant_loss: float
    train_loss: tuple[float, ...]
    test_score: tuple[float, ...]
    activation_spread: tuple[float, ...]
    gradient_size: tuple[float, ...]
    idle_start: float | None
    idle_end: float | None
    distinct_units: tuple[tuple[int, int], ...]
    optimizer: str = "sgd"
    learning_rate: float = 0.01
    normalization: str = "none"
    dropout: float = 0.0
    rate: str = "given"
    activation_spread_end: tuple[float, ...] = ()
    gradient_size_end: tuple[float, ...] = ()
    histograms: tuple[tuple[float, ...], ...] = ()

    @property
    def start_loss(self) -> float:
        """Train loss before training."""
        return self.train_loss[0]

    @property
    def final_loss(self) -> float:
        """Train loss after the last epoch."""
        return self.train_loss[-1]

    @property
    def final_score(self) -> float:
        """Test score after the last epoch."""
        return self.test_score[-1]

    @property
    def epochs_to_goal(self) -> int | None:
        """Epochs until the test score first reached the goal; None if it never did."""
        after = enumerate(self.test_score[1:], start=1)  # before training it can only be luck
        return next((epoch for epoch, score in after if score >= self.goal), None)

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
        self.test_score: list[float] = []

    def look(self, model: nn.Sequential) -> None:
        data = self.data
        self.train_loss.append(model.evaluate(data.x_train, data.y_train)["loss"])
        found = model.evaluate(data.x_test, data.y_test)
        if data.task == "regression":
            score = 1.0 - found["loss"] / data.test_variance
        else:
            score = found["accuracy"]
        self.test_score.append(score)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        self.look(self.model)
        if not math.isfinite(self.train_loss[-1]):
            self.model.stop_training = True


class _Probe(NamedTuple):
    """What a network does with a few rows."""

    activations: list[np.ndarray]  # of the hidden layers
    spread: tuple[float, ...]
    gradient_size: tuple[float, ...]


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
    model, ends = _network(task, data)
    rows = np.linspace(0, len(data.x_train) - 1, PROBE_ROWS).round().astype(np.intp)
    rows = np.unique(rows)  # fewer train rows than probes
    x, y = data.x_train[rows], data.y_train[rows]
    start = _probe(model, ends, x, y)
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
    end = _probe(model, ends, x, y)
    hidden = [layer for layer in model.layers if isinstance(layer, nn.Dense)][:-1]
    return Run(
        activation=task.activation,
        hidden=task.hidden,
        initializer=task.initializer,
        seed=task.seed,
        optimizer=task.optimizer,
        learning_rate=task.learning_rate,
        normalization=task.normalization,
        dropout=task.dropout,
        rate=task.rate,
        goal=training.goal,
        constant_loss=data.constant_loss,
        train_loss=tuple(watch.train_loss),
        test_score=tuple(watch.test_score),
        activation_spread=start.spread,
        gradient_size=start.gradient_size,
        activation_spread_end=end.spread,
        gradient_size_end=end.gradient_size,
        idle_start=figures.idle_share(task.activation, start.activations),
        idle_end=figures.idle_share(task.activation, end.activations),
        distinct_units=tuple(
            (figures.distinct_units(layer.kernel, layer.bias), layer.units) for layer in hidden
        ),
        histograms=_histograms(start.activations) if task.histograms else (),
    )


def _histograms(activations: list[np.ndarray]) -> tuple[tuple[float, ...], ...]:
    found = (figures.histogram(layer) for layer in activations)
    return tuple(one.numbers for one in found if one is not None)


def _network(task: Task, data: Dataset) -> tuple[nn.Sequential, list[int]]:
    """Return the network, and the places in it of the layers that are looked at."""
    layers: list[nn.Layer] = []
    ends: list[int] = []

    def dense(units: int, activation: str) -> nn.Dense:
        # Numbered by itself, so that normalization and dropout do not change what is drawn.
        name = f"dense_{len(ends)}"
        return nn.Dense(units, activation, task.kernel_initializer, name=name)

    for units in task.hidden:
        if task.normalization == "none":
            layers.append(dense(units, task.activation))
        else:
            layers += [dense(units, "linear"), NORMALIZATIONS[task.normalization]()]
            layers.append(nn.Activation(task.activation))
        ends.append(len(layers) - 1)
        if task.dropout:
            layers.append(nn.Dropout(task.dropout))
    layers.append(dense(data.outputs, "linear"))
    ends.append(len(layers) - 1)
    model = nn.Sequential(layers, seed=task.seed)
    model.build(data.x_train.shape[1])
    model.compile(
        loss=data.loss,
        optimizer=OPTIMIZERS[task.optimizer](learning_rate=task.learning_rate),
        metrics=() if data.task == "regression" else ("accuracy",),
    )
    return model, ends


def _probe(model: nn.Sequential, ends: list[int], x: np.ndarray, y: np.ndarray) -> _Probe:
    """Look at the network as it is in a step of training, except that dropout leaves none out."""
    dropouts = [(layer, layer.rate) for layer in model.layers if isinstance(layer, nn.Dropout)]
    for layer, _ in dropouts:
        layer.rate = 0.0
    looked = Pass(model, x, training=True)
    looked.forward()
    gradients = [layer["kernel"] for layer in model.gradients(x, y) if "kernel" in layer]
    for layer, rate in dropouts:
        layer.rate = rate
    layers = [x] + [looked.outputs(i) for i in ends]
    return _Probe(
        activations=layers[1:-1],
        spread=tuple(figures.spread(layer) for layer in layers),
        gradient_size=tuple(figures.root_mean_square(gradient) for gradient in gradients),
    )
