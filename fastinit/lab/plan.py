"""What a comparison runs: its defaults, the check of its arguments, its tasks and processes."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import joblib

import fastinit
from fastinit import nn
from fastinit.errors import ArgumentError, ArgumentTypeError, unknown_name
from fastinit.lab.data import Dataset, load_data
from fastinit.lab.runs import Run, Task, Training, train
from fastinit.nn.optimizers import OPTIMIZERS
from fastinit.sampling.threads import get_num_threads, set_num_threads

__all__ = [
    "DEFAULT_ACTIVATIONS",
    "DEFAULT_HIDDEN",
    "DEFAULT_INITIALIZERS",
    "Plan",
    "as_count",
    "make_plan",
]

DEFAULT_INITIALIZERS = (
    "zeros",
    "constant(0.1)",
    "normal(std=0.01)",
    "normal(std=1)",
    "uniform",
    "glorot_uniform",
    "he_normal",
)
"""The classic mistakes, the naive default and the two rules that theory gives."""

DEFAULT_ACTIVATIONS = ("relu", "tanh", "sigmoid")

DEFAULT_HIDDEN = (64, 64, 64, 64, 64)
"""Deep enough that a factor per layer becomes a verdict."""


@dataclass(frozen=True)
class Plan:
    """A comparison that was checked and can be run: :func:`make_plan` makes it.

    Attributes
    ----------
    data : Dataset
    training : Training
    tasks : tuple of Task
        Every network to train, those that differ only in the seed side by side.
    """

    data: Dataset
    training: Training
    tasks: tuple[Task, ...]

    def run(self, jobs: int | None = None) -> Iterator[Run]:
        """Train the networks and yield each run as it ends.

        Parameters
        ----------
        jobs : int, optional
            Processes to train in; by default one for each core. The results do not depend on it,
            only their order does.

        Yields
        ------
        Run
        """
        workers = min(joblib.cpu_count() if jobs is None else jobs, len(self.tasks))
        if workers == 1:
            yield from (train(task, self.data, self.training) for task in self.tasks)
            return
        # max_nbytes=None: joblib would share large arrays through files, which an interrupt leaves.
        with joblib.parallel_config("loky", inner_max_num_threads=1, max_nbytes=None):
            pool = joblib.Parallel(n_jobs=workers, batch_size=1, return_as="generator_unordered")
            yield from pool(
                joblib.delayed(_train_alone)(task, self.data, self.training) for task in self.tasks
            )


def _train_alone(task: Task, data: Dataset, training: Training) -> Run:
    """Train on one thread: the other cores have networks of their own."""
    threads = get_num_threads()
    set_num_threads(1)
    try:
        return train(task, data, training)
    finally:
        set_num_threads(threads)


def make_plan(
    initializers: Sequence[Any],
    *,
    activations: Sequence[str],
    hidden: Sequence[Any],
    data: Any,
    target: str | None,
    epochs: int,
    batch_size: int,
    optimizer: str,
    learning_rate: float | None,
    seeds: int,
    goal: float,
) -> Plan:
    """Check the arguments of :func:`compare` and return what is to be run.

    Parameters
    ----------
    initializers, activations, hidden, data, target, epochs, batch_size, optimizer, \
learning_rate, seeds, goal
        As in :func:`compare`.

    Returns
    -------
    Plan

    Raises
    ------
    ArgumentError
        As in :func:`compare`.
    """
    named = _unique("initializers", initializers, _initializer)
    names = _unique("activations", activations, _activation)
    networks = _unique("hidden", _architectures(hidden), lambda units: (units, units))
    if optimizer not in OPTIMIZERS:
        raise unknown_name("optimizer", optimizer, OPTIMIZERS)
    rate = OPTIMIZERS[optimizer]().learning_rate if learning_rate is None else learning_rate
    training = Training(
        epochs=as_count("epochs", epochs),
        batch_size=as_count("batch_size", batch_size),
        optimizer=optimizer,
        learning_rate=_between("learning_rate", rate, 0.0, math.inf),
        goal=_between("goal", goal, 0.0, 1.0),
    )
    seeds = as_count("seeds", seeds)
    dataset = load_data(data, target)
    if training.goal <= dataset.constant_accuracy:
        raise ArgumentError(
            f"goal is {goal}, and always answering with the commonest class of {dataset.name} "
            f"has the test accuracy {dataset.constant_accuracy:.3f}; choose a goal above it"
        )
    tasks = tuple(
        Task(activation, units, name, seed, initializer)
        for units in networks
        for activation in names
        for name, initializer in named.items()
        for seed in range(seeds)
    )
    return Plan(dataset, training, tasks)


def _unique(
    name: str, values: Sequence[Any], check: Callable[[Any], tuple[Any, Any]]
) -> dict[Any, Any]:
    """Return label -> value for each of the values, the first where two have one label."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ArgumentTypeError(f"{name} must be a sequence, got {values!r}")
    checked: dict[Any, Any] = {}
    for value in values:
        label, result = check(value)
        checked.setdefault(label, result)
    if not checked:
        raise ArgumentError(f"{name} must not be empty")
    return checked


def _initializer(spec: Any) -> tuple[str, Any]:
    initializer = fastinit.get(spec)
    label = spec if isinstance(spec, str) else repr(initializer).removesuffix("()")
    return label, initializer


def _activation(name: str) -> tuple[str, str]:
    nn.Dense(1, name)  # nn knows the names and says so
    return name, name


def _architectures(hidden: Sequence[Any]) -> list[tuple[int, ...]]:
    if isinstance(hidden, str) or not isinstance(hidden, Sequence) or not len(hidden):
        raise ArgumentTypeError(f"hidden must be numbers of units, like (64, 64), got {hidden!r}")
    several = all(isinstance(units, Sequence) and not isinstance(units, str) for units in hidden)
    architectures = hidden if several else [hidden]
    if not all(len(units) for units in architectures):
        raise ArgumentError(f"hidden needs at least one layer, got {hidden!r}")
    return [tuple(as_count("hidden", units) for units in layers) for layers in architectures]


def as_count(name: str, value: Any) -> int:
    """Return a whole number of at least 1.

    Parameters
    ----------
    name : str
        What the number is called in an error.
    value : int
        Or anything that is exactly one, such as ``numpy.int64(3)``; not a bool.

    Returns
    -------
    int

    Raises
    ------
    ArgumentError
        If it is below 1.
    ArgumentTypeError
        If it is no whole number.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise ArgumentTypeError(f"{name} must be a whole number, got {value!r}")
    if number < 1:
        raise ArgumentError(f"{name} must be at least 1, got {number}")
    return number


def _between(name: str, value: Any, low: float, high: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ArgumentTypeError(f"{name} must be a number, got {value!r}") from None
    if not low < number < high:
        raise ArgumentError(f"{name} must be above {low:g} and below {high:g}, got {value!r}")
    return number
