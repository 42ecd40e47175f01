"""What a comparison runs: its axes, the check of its arguments, its tasks, how rates are tuned."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, overload

import numpy as np

import fastinit
from fastinit import nn
from fastinit.errors import ArgumentError, ArgumentTypeError, unknown_name
from fastinit.lab.checks import as_between
from fastinit.lab.data import Dataset, load_data
from fastinit.lab.imports import import_object, names_object
from fastinit.lab.runs import NORMALIZATIONS, Network, Run, Task, Training
from fastinit.nn.checks import as_count
from fastinit.nn.optimizers import OPTIMIZERS
from fastinit.structured import FunctionInitializer

__all__ = [
    "DEFAULT_ACTIVATIONS",
    "DEFAULT_DEPTH",
    "DEFAULT_HIDDEN",
    "DEFAULT_INITIALIZERS",
    "DEFAULT_WIDTH",
    "TUNING_FACTORS",
    "TUNING_SEEDS",
    "Axes",
    "Plan",
    "Tasks",
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

DEFAULT_DEPTH, DEFAULT_WIDTH = 5, 64

DEFAULT_HIDDEN = (DEFAULT_WIDTH,) * DEFAULT_DEPTH
"""Deep enough that a factor per layer becomes a verdict."""

TUNING_FACTORS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""The learning rates that are tried, unless they are given: these times the optimizer's default.

Two a decade: from any rate between them, the nearest one is within a factor of 1.8."""

TUNING_SEEDS = (2**31, 2**31 + 1, 2**31 + 2)
"""The seeds of the runs that try a learning rate: none of them is that of a run that counts."""

STEP_BACK = 0.05
"""Mean validation score that is given up for a rate that is not the last one before divergence."""


@dataclass(frozen=True)
class Axes:
    """What is varied; a comparison runs every combination.

    Attributes
    ----------
    hidden : tuple of tuple of int
    activations, normalizations : tuple of str
    dropouts : tuple of float
    rates : tuple of (str, float or None)
        Optimizer and learning rate; None where each initializer has its own, from tuning.
    initializers : tuple of str
    seeds : sequence of int
    """

    hidden: tuple[tuple[int, ...], ...]
    activations: tuple[str, ...]
    normalizations: tuple[str, ...]
    dropouts: tuple[float, ...]
    rates: tuple[tuple[str, float | None], ...]
    initializers: tuple[str, ...]
    seeds: Sequence[int]

    @property
    def lengths(self) -> tuple[int, ...]:
        """Number of values of each axis, in the order of the attributes: the first varies last."""
        return (
            len(self.hidden),
            len(self.activations),
            len(self.normalizations),
            len(self.dropouts),
            len(self.rates),
            len(self.initializers),
            len(self.seeds),
        )


@dataclass(frozen=True)
class Tasks(Sequence[Task]):
    """Every combination of the axes, made when it is asked for: a million tasks need no memory.

    Attributes
    ----------
    axes : Axes
        The last axis, the seeds, varies fastest.
    kernel_initializers : mapping
        Name of an initializer -> the initializer.
    rate : {"given", "tried", "chosen"}
        As in :class:`fastinit.lab.Task`.
    chosen : mapping
        ``(network, initializer) -> learning rate``, for the axes' rates that are None.

    Examples
    --------
    >>> from fastinit.lab.plan import make_plan
    >>> tasks = make_plan(["zeros", "he_normal"], data="moons", seeds=10**6).tasks
    >>> len(tasks), tasks[-1].initializer, tasks[-1].seed
    (6000000, 'he_normal', 999999)
    """

    axes: Axes
    kernel_initializers: Mapping[str, Any] = field(repr=False)
    rate: str = "given"
    chosen: Mapping[tuple[Network, str], float] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return math.prod(self.axes.lengths)

    @overload
    def __getitem__(self, index: int) -> Task: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Task, ...]: ...
    def __getitem__(self, index: int | slice) -> Task | tuple[Task, ...]:
        if isinstance(index, slice):
            return tuple(self._task(i) for i in range(len(self))[index])
        try:
            return self._task(range(len(self))[index])
        except IndexError:
            raise IndexError(f"task {index} of {len(self)}") from None

    def __iter__(self) -> Iterator[Task]:
        return map(self._task, range(len(self)))

    def _task(self, index: int) -> Task:
        axes, places = self.axes, []
        for length in reversed(axes.lengths):
            index, place = divmod(index, length)
            places.append(place)
        seed, name, rate, dropout, normalization, activation, hidden = places
        initializer, (optimizer, learning_rate) = axes.initializers[name], axes.rates[rate]
        network = Network(
            activation=axes.activations[activation],
            hidden=axes.hidden[hidden],
            normalization=axes.normalizations[normalization],
            dropout=axes.dropouts[dropout],
            optimizer=optimizer,
            learning_rate=learning_rate,
        )
        if learning_rate is None:
            if (network, initializer) not in self.chosen:
                raise ArgumentError("the learning rates are not chosen yet: see Plan.tuning")
            learning_rate = self.chosen[network, initializer]
        return Task(
            **network._replace(learning_rate=learning_rate)._asdict(),
            initializer=initializer,
            seed=axes.seeds[seed],
            kernel_initializer=self.kernel_initializers[initializer],
            rate=self.rate,
            histograms=seed == 0 and self.rate != "tried",
        )


@dataclass(frozen=True)
class Plan:
    """A comparison that was checked and can be run: :func:`make_plan` makes it.

    Attributes
    ----------
    data : Dataset
        What the networks are trained on.
    training : Training
        How.
    tasks : sequence of Task
        Every network to train, those that differ only in the seed side by side.
    axes : Axes
        What is varied.
    candidates : mapping
        Optimizer -> the learning rates of which each initializer gets its best, in ascending
        order; empty unless the rates are tuned.

    Examples
    --------
    >>> from fastinit.lab.plan import make_plan
    >>> plan = make_plan(["zeros", "he_normal"], activations=["relu"], hidden=[16], seeds=3)
    >>> len(plan.tasks), plan.tune, plan.tasks[0].initializer
    (6, False, 'zeros')
    """

    data: Dataset
    training: Training
    tasks: Sequence[Task]
    axes: Axes
    candidates: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def tune(self) -> bool:
        """Whether learning rates are yet to be chosen, with :meth:`tuning` and :meth:`tuned`."""
        return bool(self.candidates) and isinstance(self.tasks, Tasks) and not self.tasks.chosen

    def tuning(self) -> Plan:
        """Return the runs that choose the learning rates.

        Every network is trained from every initializer at every candidate rate, with seeds of
        their own, on three quarters of the train rows, and scored on the other quarter: the test
        rows are not looked at. The runs are as long as those that count, since the best rate
        depends on the length; with the nine default rates and three seeds, tuning takes 27 runs a
        network and initializer.

        Returns
        -------
        Plan
            To be run like any other; its runs go to :meth:`tuned`.
        """
        tasks = self._tuning_tasks
        return Plan(self.data.validation(), self.training, tasks, tasks.axes)

    def tuned(self, runs: Iterable[Run]) -> Plan:
        """Return the plan with the learning rates that did best.

        For each network and initializer that is the rate with the best mean score on the
        validation rows; of equals the one with the smaller train loss, then the smaller rate. A
        rate at which more runs diverged than at another is worse than that, whatever its score.

        Where a run diverged at the next greater rate tried, the chosen one is close to where
        training breaks, and three seeds do not show how often it will: the next smaller rate is
        taken, unless more runs diverged there or its mean score is lower by more than 0.05.

        Parameters
        ----------
        runs : iterable of Run
            Those of :meth:`tuning`, all of them, in any order.

        Returns
        -------
        Plan
            Ready to be run.

        Raises
        ------
        ArgumentError
            If runs are missing.
        """
        tried: dict[tuple[Network, str], dict[float, list[tuple[bool, float, float]]]]
        tried = defaultdict(lambda: defaultdict(list))
        count = 0
        for run in runs:
            count += 1
            diverged = run.verdict == "diverged"
            score = -math.inf if math.isnan(run.final_score) else run.final_score
            tried[run.case][run.learning_rate].append((diverged, score, run.final_loss))
        expected = len(self._tuning_tasks)
        if count != expected:
            raise ArgumentError(f"tuning has {expected} runs, got {count}")
        chosen = {
            case: _best_rate({rate: rates[rate] for rate in sorted(rates)})
            for case, rates in tried.items()
        }
        return replace(self, tasks=replace(self._tasks, rate="chosen", chosen=chosen))

    @property
    def _tuning_tasks(self) -> Tasks:
        rates = [(name, rate) for name, tried in self.candidates.items() for rate in tried]
        axes = replace(self.axes, rates=tuple(rates), seeds=TUNING_SEEDS)
        return replace(self._tasks, axes=axes, rate="tried")

    @property
    def _tasks(self) -> Tasks:
        assert isinstance(self.tasks, Tasks)
        return self.tasks


def _best_rate(tried: Mapping[float, list[tuple[bool, float, float]]]) -> float:
    """Return the best of rates in ascending order, or the one before it if that is safer."""
    badness = {rate: _badness(rate, runs) for rate, runs in tried.items()}
    best = min(tried, key=lambda rate: badness[rate])
    rates = list(tried)
    place = rates.index(best)
    if place == 0 or place + 1 == len(rates):
        return best
    smaller, greater = rates[place - 1], rates[place + 1]
    (broken, score, *_), (broken_before, score_before, *_) = badness[best], badness[smaller]
    close = badness[greater][0] > broken >= broken_before
    return smaller if close and score_before - score <= STEP_BACK * len(tried[best]) else best


def _badness(rate: float, runs: list[tuple[bool, float, float]]) -> tuple[float, ...]:
    diverged, scores, losses = zip(*runs, strict=True)
    # Sorted, so that the sums do not depend on the order in which the runs ended.
    loss = sum(sorted(math.inf if math.isnan(loss) else loss for loss in losses))
    return sum(diverged), -sum(sorted(scores)), loss, rate


def make_plan(
    initializers: Sequence[Any] = DEFAULT_INITIALIZERS,
    *,
    activations: Sequence[str] = DEFAULT_ACTIVATIONS,
    hidden: Sequence[Any] | None = None,
    depths: int | Sequence[int] | None = None,
    widths: int | Sequence[int] | None = None,
    normalization: str | Sequence[str] = "none",
    dropout: float | Sequence[float] = 0.0,
    data: Any = "digits",
    target: str | Sequence[str] | None = None,
    task: Any = None,
    epochs: int = 20,
    batch_size: int = 32,
    optimizer: str | Sequence[str] = "sgd",
    learning_rate: float | Sequence[float] | None = None,
    tune: bool = False,
    seeds: int | Sequence[int] = 3,
    goal: float = 0.9,
) -> Plan:
    """Check the arguments of :func:`compare` and return what is to be run.

    Every combination is run. Hidden layers vary slowest, then activation, normalization, dropout,
    optimizer, learning rate, initializer; the seed varies fastest.

    Parameters
    ----------
    initializers, activations, hidden, depths, widths, normalization, dropout, data, target, task, \
epochs, batch_size, optimizer, learning_rate, tune, seeds, goal
        As in :func:`compare`.

    Returns
    -------
    Plan

    Raises
    ------
    ArgumentError
        As in :func:`compare`.

    Examples
    --------
    >>> from fastinit.lab.plan import make_plan
    >>> plan = make_plan(["he_normal"], activations=["relu"], depths=[2, 4], widths=16,
    ...                  dropout=[0, 0.5], seeds=2)
    >>> [(task.hidden, task.dropout, task.seed) for task in plan.tasks[:3]]
    [((16, 16), 0.0, 0), ((16, 16), 0.0, 1), ((16, 16), 0.5, 0)]
    """
    named = _values("initializers", initializers, _initializer)
    _refuse_equal_initializers(named)
    optimizers = tuple(_values("optimizer", _several(optimizer), _optimizer))
    axes = Axes(
        hidden=_architectures(hidden, depths, widths),
        activations=tuple(_values("activations", activations, _activation)),
        normalizations=tuple(_values("normalization", _several(normalization), _normalization)),
        dropouts=tuple(_values("dropout", _several(dropout), _dropout)),
        rates=tuple(_rates(optimizers, learning_rate, tune)),
        initializers=tuple(named),
        seeds=_seeds(seeds),
    )
    training = Training(
        epochs=as_count("epochs", epochs),
        batch_size=as_count("batch_size", batch_size),
        goal=as_between("goal", goal, 0.0, 1.0),
    )
    if training.batch_size == 1 and "batch" in axes.normalizations:
        raise ArgumentError("normalization 'batch' needs batches of 2 rows or more, got 1")
    dataset = load_data(data, target, task)
    _require_goal(training.goal, dataset)
    _try_functions(named, (dataset.x_train.shape[1], axes.hidden[0][0]))
    return Plan(
        dataset,
        training,
        Tasks(axes, named),
        axes,
        _candidates(optimizers, learning_rate) if tune else {},
    )


def _values(name: str, values: Any, check: Callable[[Any], tuple[Any, Any]]) -> dict[Any, Any]:
    """Return label -> value for each of the values; refuse one that comes twice."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ArgumentTypeError(f"{name} must be a sequence, got {values!r}")
    checked: dict[Any, Any] = {}
    for value in values:
        label, result = check(value)
        if label in checked:
            raise ArgumentError(f"{name} has {label!r} twice")
        checked[label] = result
    if not checked:
        raise ArgumentError(f"{name} must not be empty")
    return checked


def _several(value: Any) -> Any:
    """Return one value as a sequence of one, and several as they are."""
    return [value] if isinstance(value, str) or not isinstance(value, Iterable) else value


def _initializer(spec: Any) -> tuple[str, Any]:
    if isinstance(spec, str) and names_object(spec):
        return spec, fastinit.get(import_object(spec))
    initializer = fastinit.get(spec)
    label = spec if isinstance(spec, str) else repr(initializer).removesuffix("()")
    return label, initializer


def _refuse_equal_initializers(named: Mapping[str, Any]) -> None:
    labels = list(named)
    for i, label in enumerate(labels):
        for other in labels[:i]:
            if named[label] == named[other]:
                raise ArgumentError(f"initializers: {label!r} is the same as {other!r}")


def _activation(name: str) -> tuple[str, str]:
    nn.Dense(1, name)  # nn knows the names and says so
    return name, name


def _normalization(name: Any) -> tuple[str, str]:
    if not isinstance(name, str) or name not in ("none", *NORMALIZATIONS):
        raise unknown_name("normalization", name, ("none", *NORMALIZATIONS))
    return name, name


def _optimizer(name: Any) -> tuple[str, str]:
    if not isinstance(name, str) or name not in OPTIMIZERS:
        raise unknown_name("optimizer", name, OPTIMIZERS)
    return name, name


def _dropout(share: Any) -> tuple[float, float]:
    return (value := as_between("dropout", share, 0.0, 1.0, closed=True)), value


def _learning_rate(rate: Any) -> tuple[float, float]:
    return (value := as_between("learning_rate", rate, 0.0, math.inf)), value


def _rates(
    optimizers: tuple[str, ...], learning_rate: Any, tune: bool
) -> Iterator[tuple[str, float | None]]:
    """Yield optimizers with learning rates: their own by default, None where it is tuned."""
    given = None if learning_rate is None else _learning_rates(learning_rate)
    for name in optimizers:
        if tune:
            yield name, None
        else:
            yield from ((name, rate) for rate in given or (_default_rate(name),))


def _candidates(optimizers: tuple[str, ...], learning_rate: Any) -> dict[str, tuple[float, ...]]:
    """Return the rates to choose from for each optimizer."""
    if learning_rate is not None:
        given = tuple(sorted(_learning_rates(learning_rate)))
        if len(given) < 2:
            raise ArgumentError(
                f"tune chooses among learning rates: give several or none, got {given[0]:g}"
            )
        return dict.fromkeys(optimizers, given)
    # Rounded, so that tables show 0.003 and not 0.003 times a rounding error.
    return {
        name: tuple(float(f"{factor * _default_rate(name):.1g}") for factor in TUNING_FACTORS)
        for name in optimizers
    }


def _learning_rates(learning_rate: Any) -> tuple[float, ...]:
    return tuple(_values("learning_rate", _several(learning_rate), _learning_rate))


def _default_rate(optimizer: str) -> float:
    rate = OPTIMIZERS[optimizer]().learning_rate
    assert isinstance(rate, float)  # no schedule
    return rate


def _seeds(seeds: Any) -> Sequence[int]:
    """Return the seeds: so many from 0 on, or those given."""
    if not isinstance(seeds, Iterable) or isinstance(seeds, str):
        return range(as_count("seeds", seeds))
    if not (isinstance(seeds, range) and len(seeds)):  # a range of a million stays one
        seeds = tuple(_values("seeds", seeds, _seed))
    for seed in (seeds[0], seeds[-1]) if isinstance(seeds, range) else seeds:
        if not 0 <= seed < TUNING_SEEDS[0]:
            raise ArgumentError(f"seeds must be from 0 to {TUNING_SEEDS[0] - 1}, got {seed}")
    found: Sequence[int] = seeds
    return found


def _seed(seed: Any) -> tuple[int, int]:
    return (value := as_count("seeds", seed, 0)), value


def _architectures(hidden: Any, depths: Any, widths: Any) -> tuple[tuple[int, ...], ...]:
    if hidden is not None and (depths is not None or widths is not None):
        raise ArgumentError("give either hidden, or depths and widths")
    if hidden is None:
        if depths is None and widths is None:
            return (DEFAULT_HIDDEN,)
        deep = _counts("depths", DEFAULT_DEPTH if depths is None else depths)
        wide = _counts("widths", DEFAULT_WIDTH if widths is None else widths)
        return tuple((width,) * depth for depth in deep for width in wide)
    if isinstance(hidden, str) or not isinstance(hidden, Sequence) or not len(hidden):
        raise ArgumentTypeError(f"hidden must be numbers of units, like (64, 64), got {hidden!r}")
    several = all(isinstance(units, Sequence) and not isinstance(units, str) for units in hidden)
    architectures = hidden if several else [hidden]
    if not all(len(units) for units in architectures):
        raise ArgumentError(f"hidden needs at least one layer, got {hidden!r}")
    units = [tuple(as_count("hidden", units) for units in layers) for layers in architectures]
    return tuple(_values("hidden", units, lambda layers: (layers, layers)))


def _counts(name: str, values: Any) -> tuple[int, ...]:
    return tuple(
        _values(name, _several(values), lambda value: ((number := as_count(name, value)), number))
    )


def _require_goal(goal: float, data: Dataset) -> None:
    if goal > data.constant_score:
        return
    raise ArgumentError(
        f"goal is {goal}, and always answering with the commonest class of {data.name} "
        f"has the test accuracy {data.constant_score:.3f}; choose a goal above it"
    )


def _try_functions(named: Mapping[str, Any], shape: tuple[int, int]) -> None:
    """Draw once from the user's own functions, so that a fault in them shows before the runs."""
    for label, initializer in named.items():
        if not isinstance(initializer, FunctionInitializer):
            continue
        try:
            drawn = initializer(shape, seed=0)
        except Exception as error:  # the user's code may raise anything
            raise ArgumentError(
                f"the initializer {label!r} failed on the shape {shape}: "
                f"{type(error).__name__}: {error}"
            ) from error
        if not np.isfinite(drawn).all():
            raise ArgumentError(f"the initializer {label!r} gave numbers that are not finite")
