"""Learning rates that change from step to step, with the words of Keras.

A schedule is hyperparameters alone. It is called with the number of a step, counted over all epochs
from 0, and gives the learning rate of that step; an optimizer takes one as its ``learning_rate``.
The rates are computed by `fastinit.kernels.schedules`, the same bits on every system.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastinit.errors import ArgumentError, ArgumentTypeError, unknown_name
from fastinit.kernels import schedules
from fastinit.nn.checks import as_count, as_number

__all__ = [
    "SCHEDULES",
    "CosineDecay",
    "ExponentialDecay",
    "LinearWarmup",
    "PiecewiseConstantDecay",
    "Schedule",
    "from_arguments",
    "get_schedule",
]

Made = TypeVar("Made")


@dataclass(frozen=True)
class Schedule(ABC):
    """Base of the schedules.

    Attributes
    ----------
    name : str
        Its key in `SCHEDULES`.

    Examples
    --------
    >>> from fastinit import nn
    >>> schedule = nn.ExponentialDecay(0.5, decay_steps=10, decay_rate=0.5)
    >>> isinstance(schedule, nn.Schedule), schedule(0), schedule(20)
    (True, 0.5, 0.125)
    """

    name: ClassVar[str]

    @abstractmethod
    def program(self) -> tuple[int, list[float]]:
        """Return the first two arguments of `fastinit.kernels.schedules.fill_rates`.

        Returns
        -------
        (int, list of float)
            The number of the schedule, and its numbers, those of the warm-up first.
        """

    def rates(self, first_step: int, count: int) -> NDArray[np.float64]:
        """Return the learning rates of some steps in a row.

        Parameters
        ----------
        first_step : int
            Number of the first one, from 0.
        count : int
            How many.

        Returns
        -------
        ndarray of float64, shape (count,)
            The learning rates.

        Raises
        ------
        ArgumentError
            If `first_step` or `count` is below 0.

        Examples
        --------
        >>> from fastinit.nn.schedules import ExponentialDecay
        >>> ExponentialDecay(0.5, decay_steps=2, decay_rate=0.25).rates(0, 4).tolist()
        [0.5, 0.25, 0.125, 0.0625]
        """
        first_step, count = as_count("first_step", first_step, 0), as_count("count", count, 0)
        code, numbers = self.program()
        rates = np.empty(count)
        schedules.fill_rates(code, np.array(numbers, np.float64), first_step, rates)
        return rates

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step.

        Parameters
        ----------
        step : int
            Its number, from 0.

        Returns
        -------
        float
            The learning rate.
        """
        return float(self.rates(as_count("step", step, 0), 1)[0])

    def get_config(self) -> dict[str, Any]:
        """Return what `get_schedule` makes an equal schedule from, of types that JSON knows.

        Returns
        -------
        dict
            The name and the arguments.
        """
        arguments = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"name": self.name, **arguments}


@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """``initial_learning_rate * decay_rate**(step / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float
        The learning rate of step 0; finite, not negative.
    decay_steps : int
        After how many steps it is `decay_rate` times as large, at least 1.
    decay_rate : float
        The factor; finite, not negative.
    staircase : bool, default False
        Whether to take only the whole part of ``step / decay_steps``: "step decay", PyTorch's
        ``StepLR``.

    Raises
    ------
    ArgumentError
        If a value is out of its range.
    ArgumentTypeError
        If a value has a type that cannot be used.

    Examples
    --------
    >>> from fastinit.nn.schedules import ExponentialDecay
    >>> ExponentialDecay(0.5, decay_steps=10, decay_rate=0.25)(5)
    0.25
    >>> ExponentialDecay(0.5, decay_steps=10, decay_rate=0.25, staircase=True)(5)
    0.5
    """

    name: ClassVar[str] = "exponential_decay"

    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False

    def __post_init__(self) -> None:
        _store(self, "initial_learning_rate", as_number)
        _store(self, "decay_steps", as_count)
        _store(self, "decay_rate", as_number)
        object.__setattr__(self, "staircase", bool(self.staircase))

    def program(self) -> tuple[int, list[float]]:
        """Return the arguments of `fastinit.kernels.schedules.fill_rates`."""
        numbers = [self.initial_learning_rate, self.decay_steps, self.decay_rate, self.staircase]
        return schedules.EXPONENTIAL, [0.0, 0.0, *numbers]


@dataclass(frozen=True)
class CosineDecay(Schedule):
    r"""Half a wave of the cosine, from a learning rate to a part of it, after a linear warm-up.

    .. math:: \eta_0 \left(\alpha + (1 - \alpha)
        \tfrac12 \left(1 + \cos(\pi \min(t / T, 1))\right)\right)

    for the step t after the warm-up.

    Parameters
    ----------
    initial_learning_rate : float
        The learning rate of step 0; finite, not negative.
    decay_steps : int
        Steps T from the end of the warm-up to the lowest learning rate, at least 1.
    alpha : float, default 0.0
        The lowest learning rate, as a fraction of the highest; finite, not negative.
    warmup_target : float, optional
        The learning rate after the warm-up, from which it decays. Left out, there is no warm-up.
    warmup_steps : int, default 0
        Steps of the warm-up.

    Raises
    ------
    ArgumentError
        If a value is out of its range, or there are `warmup_steps` and no `warmup_target`.
    ArgumentTypeError
        If a value has a type that cannot be used.

    References
    ----------
    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
    arXiv:1608.03983.

    Examples
    --------
    >>> from fastinit.nn.schedules import CosineDecay
    >>> schedule = CosineDecay(0.0, decay_steps=4, warmup_target=0.5, warmup_steps=2)
    >>> schedule.rates(0, 7).round(4).tolist()
    [0.0, 0.25, 0.5, 0.4268, 0.25, 0.0732, 0.0]
    """

    name: ClassVar[str] = "cosine_decay"

    initial_learning_rate: float
    decay_steps: int
    alpha: float = 0.0
    warmup_target: float | None = None
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        _store(self, "initial_learning_rate", as_number)
        _store(self, "decay_steps", as_count)
        _store(self, "alpha", as_number)
        object.__setattr__(self, "warmup_steps", as_count("warmup_steps", self.warmup_steps, 0))
        if self.warmup_target is not None:
            _store(self, "warmup_target", as_number)
        elif self.warmup_steps:
            raise ArgumentError(f"warmup_steps={self.warmup_steps} needs a warmup_target, got None")

    def program(self) -> tuple[int, list[float]]:
        """Return the arguments of `fastinit.kernels.schedules.fill_rates`."""
        start = self.initial_learning_rate
        top = start if self.warmup_target is None else self.warmup_target
        return schedules.COSINE, [self.warmup_steps, start, top, self.decay_steps, self.alpha]


@dataclass(frozen=True)
class PiecewiseConstantDecay(Schedule):
    """One learning rate up to each boundary, included, and one after the last.

    Parameters
    ----------
    boundaries : sequence of int
        Numbers of steps, in ascending order, not negative.
    values : sequence of float
        One more than boundaries; finite, not negative.

    Raises
    ------
    ArgumentError
        If a value is out of its range or their numbers do not fit.
    ArgumentTypeError
        If a value has a type that cannot be used.

    Examples
    --------
    >>> from fastinit.nn.schedules import PiecewiseConstantDecay
    >>> PiecewiseConstantDecay([1, 2], [0.5, 0.25, 0.125]).rates(0, 5).tolist()
    [0.5, 0.5, 0.25, 0.125, 0.125]
    """

    name: ClassVar[str] = "piecewise_constant_decay"

    boundaries: Sequence[int]
    values: Sequence[float]

    def __post_init__(self) -> None:
        for name in ("boundaries", "values"):
            if not isinstance(getattr(self, name), Sequence | np.ndarray):
                raise ArgumentTypeError(f"{name} must be a list, got {getattr(self, name)!r}")
        boundaries = [as_count("a boundary", boundary, 0) for boundary in self.boundaries]
        values = [as_number("a learning rate", value) for value in self.values]
        if len(values) != len(boundaries) + 1:
            raise ArgumentError(
                f"values must be one more than boundaries, got {len(values)} and {len(boundaries)}"
            )
        if any(a >= b for a, b in pairwise(boundaries)):
            raise ArgumentError(f"boundaries must be in ascending order, got {boundaries}")
        object.__setattr__(self, "boundaries", tuple(boundaries))
        object.__setattr__(self, "values", tuple(values))

    def program(self) -> tuple[int, list[float]]:
        """Return the arguments of `fastinit.kernels.schedules.fill_rates`."""
        return schedules.PIECEWISE, [0.0, 0.0, *self.boundaries, *self.values]


@dataclass(frozen=True)
class LinearWarmup(Schedule):
    """Equal steps up to a learning rate or to the beginning of another schedule, which follows.

    Parameters
    ----------
    learning_rate : float or Schedule
        What comes after the warm-up; its steps count from there.
    warmup_steps : int
        Number of steps until then, at least 0.
    initial_learning_rate : float, default 0.0
        The learning rate of step 0; finite, not negative.

    Raises
    ------
    ArgumentError
        If a value is out of its range, or the schedule has a warm-up of its own.
    ArgumentTypeError
        If a value has a type that cannot be used.

    References
    ----------
    Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", arXiv:1706.02677.

    Examples
    --------
    >>> from fastinit.nn.schedules import ExponentialDecay, LinearWarmup
    >>> LinearWarmup(ExponentialDecay(0.5, 1, 0.5), warmup_steps=2).rates(0, 5).tolist()
    [0.0, 0.25, 0.5, 0.25, 0.125]
    """

    name: ClassVar[str] = "linear_warmup"

    learning_rate: float | Schedule
    warmup_steps: int
    initial_learning_rate: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.learning_rate, Schedule):
            _store(self, "learning_rate", as_number)
        elif self.learning_rate.program()[1][0]:
            raise ArgumentError(f"{self.learning_rate!r} has a warm-up already")
        object.__setattr__(self, "warmup_steps", as_count("warmup_steps", self.warmup_steps, 0))
        _store(self, "initial_learning_rate", as_number)

    def program(self) -> tuple[int, list[float]]:
        """Return the arguments of `fastinit.kernels.schedules.fill_rates`."""
        warmup = [self.warmup_steps, self.initial_learning_rate]
        if not isinstance(self.learning_rate, Schedule):
            return schedules.CONSTANT, [*warmup, self.learning_rate]
        code, numbers = self.learning_rate.program()
        return code, warmup + numbers[2:]

    def get_config(self) -> dict[str, Any]:
        """Return what `get_schedule` makes an equal schedule from, of types that JSON knows."""
        config = super().get_config()
        if isinstance(self.learning_rate, Schedule):
            config["learning_rate"] = self.learning_rate.get_config()
        return config


SCHEDULES: dict[str, type[Schedule]] = {
    schedule.name: schedule
    for schedule in (CosineDecay, ExponentialDecay, LinearWarmup, PiecewiseConstantDecay)
}


def get_schedule(spec: float | Schedule | Mapping[str, Any]) -> float | Schedule:
    """Return a learning rate or a schedule from itself or from what `get_config` gave.

    Parameters
    ----------
    spec : float, Schedule or mapping
        The learning rate, a schedule, or the configuration of one.

    Returns
    -------
    float or Schedule
        The learning rate as a float, or the schedule.

    Raises
    ------
    ArgumentError
        If the number is negative or not finite, or the configuration has a wrong value.
    ArgumentTypeError
        If `spec` is none of these, or the configuration has wrong arguments.
    UnknownNameError
        If there is no schedule of that name; the nearest names are given.

    Examples
    --------
    >>> from fastinit.nn.schedules import CosineDecay, get_schedule
    >>> get_schedule(CosineDecay(0.1, decay_steps=100).get_config())
    CosineDecay(initial_learning_rate=0.1, decay_steps=100, alpha=0.0, warmup_target=None, \
warmup_steps=0)
    """
    if isinstance(spec, Schedule):
        return spec
    if not isinstance(spec, Mapping):
        return as_number("learning_rate", spec)
    arguments = dict(spec)
    name = arguments.pop("name", None)
    if name not in SCHEDULES:
        raise unknown_name("schedule", name, SCHEDULES)
    if isinstance(arguments.get("learning_rate"), Mapping):
        arguments["learning_rate"] = get_schedule(arguments["learning_rate"])
    return from_arguments(SCHEDULES[name], arguments)


def from_arguments(kind: type[Made], arguments: Mapping[str, Any]) -> Made:
    """Return ``kind(**arguments)``, or raise that these are not its arguments."""
    try:
        return kind(**arguments)
    except ArgumentTypeError:
        raise
    except TypeError as error:
        raise ArgumentTypeError(f"not the arguments of {kind.__name__}: {error}") from None


def _store(schedule: Schedule, name: str, check: Callable[[str, Any], float]) -> None:
    object.__setattr__(schedule, name, check(name, getattr(schedule, name)))
