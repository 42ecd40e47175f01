"""Optimizers: hyperparameters alone, so that one object can serve any number of networks.

Where Keras and PyTorch define an optimizer differently these are Keras'; the kernels that they name
say how PyTorch differs.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastinit.errors import ArgumentError, ArgumentTypeError, unknown_name
from fastinit.kernels import optimizers
from fastinit.nn.checks import as_number
from fastinit.nn.schedules import Schedule, from_arguments, get_schedule

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "get_optimizer",
]


@dataclass(frozen=True, repr=False)
class Optimizer(ABC):
    """A rule that turns a gradient into a change of the parameters.

    The network keeps what the rule remembers between steps. A subclass has the arguments
    `weight_decay`, `clipvalue` and `global_clipnorm`, by keyword, besides its own.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        Size of a step; finite, not negative.
    weight_decay : float, default 0.0
        What part of every parameter is taken off at a step, in units of the learning rate, besides
        what the gradient does ("decoupled"); finite, not negative.
    clipvalue : float, optional
        Largest magnitude of an element of the gradient, above 0.
    global_clipnorm : float, optional
        Largest norm of the gradient in all parameters, above 0; see
        `fastinit.kernels.clip_by_global_norm` for one that is not finite. It excludes `clipvalue`.

    Attributes
    ----------
    name : str
        Its key in `OPTIMIZERS`.
    code : int
        The number of the rule in `fastinit.kernels.optimizers`.

    Raises
    ------
    ArgumentError
        If a value is out of its range, or both limits are given.
    ArgumentTypeError
        If a value is not a number.

    Examples
    --------
    >>> from fastinit import nn
    >>> optimizer = nn.Adam(nn.CosineDecay(0.01, decay_steps=1000), global_clipnorm=1.0)
    >>> isinstance(optimizer, nn.Optimizer), optimizer.slots
    (True, 2)
    """

    name: ClassVar[str]
    code: ClassVar[int]

    learning_rate: float | Schedule = 0.001
    _: KW_ONLY
    weight_decay: float = 0.0
    clipvalue: float | None = None
    global_clipnorm: float | None = None

    def __post_init__(self) -> None:
        self._set("learning_rate", get_schedule(self.learning_rate))
        self._check("weight_decay")
        for name in ("clipvalue", "global_clipnorm"):
            if getattr(self, name) is not None:
                self._check(name)
                if getattr(self, name) == 0.0:
                    raise ArgumentError(f"{name} must be above 0 or None, got 0")
        if self.clipvalue is not None and self.global_clipnorm is not None:
            raise ArgumentError(
                f"only one of clipvalue and global_clipnorm can be set, got {self.clipvalue} and "
                f"{self.global_clipnorm}"
            )

    def __repr__(self) -> str:
        shown = [
            f"{field.name}={getattr(self, field.name)!r}"
            for field in fields(self)
            if field.name == "learning_rate" or getattr(self, field.name) != field.default
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _check(self, name: str, below: float = math.inf) -> None:
        """Store the hyperparameter as a float, if it is in range."""
        self._set(name, as_number(name, getattr(self, name), below))

    @abstractmethod
    def hyper(self) -> NDArray[np.float64]:
        """Return the hyperparameters as `fastinit.kernels.optimizers.prepare_step` takes them.

        Returns
        -------
        ndarray of float64
            Their order is the rule's own.
        """

    @property
    @abstractmethod
    def slots(self) -> int:
        """How many arrays of the size of the parameters the rule remembers: 0, 1 or 2."""

    @property
    def slot_value(self) -> float:
        """What stands in all of them before the first step."""
        return 0.0

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

        Examples
        --------
        >>> from fastinit import nn
        >>> nn.SGD(learning_rate=0.5).rates(0, 3).tolist()
        [0.5, 0.5, 0.5]
        """
        if isinstance(self.learning_rate, Schedule):
            return self.learning_rate.rates(first_step, count)
        return np.full(count, self.learning_rate)

    def get_config(self) -> dict[str, Any]:
        """Return what `get_optimizer` makes an equal optimizer from, of types that JSON knows.

        Returns
        -------
        dict
            The name and the arguments.

        Examples
        --------
        >>> from fastinit.nn.optimizers import SGD
        >>> SGD(momentum=0.9).get_config()["momentum"]
        0.9
        """
        config = {field.name: getattr(self, field.name) for field in fields(self)}
        if isinstance(self.learning_rate, Schedule):
            config["learning_rate"] = self.learning_rate.get_config()
        return {"name": self.name, **config}


@dataclass(frozen=True, repr=False)
class SGD(Optimizer):
    """Gradient descent, with or without momentum.

    See `fastinit.kernels.sgd_step` and `fastinit.kernels.momentum_step` for the formulas.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.01
        Size of a step; finite, not negative.
    momentum : float, default 0.0
        What is kept of the last step; at least 0, below 1.
    nesterov : bool, default False
        Whether the momentum looks ahead by one step.
    weight_decay : float, default 0.0
        See `Optimizer`, as for the following.
    clipvalue, global_clipnorm : float, optional
        See `Optimizer`; only one of the two.

    Raises
    ------
    ArgumentError
        If a value is out of its range.
    ArgumentTypeError
        If a value is not a number.

    Examples
    --------
    >>> from fastinit import nn
    >>> nn.SGD(learning_rate=0.1)
    SGD(learning_rate=0.1)
    """

    name: ClassVar[str] = "sgd"
    code: ClassVar[int] = optimizers.SGD

    learning_rate: float | Schedule = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("momentum", 1.0)
        self._set("nesterov", bool(self.nesterov))

    def hyper(self) -> NDArray[np.float64]:
        """Return momentum and nesterov."""
        return np.array([self.momentum, self.nesterov])

    @property
    def slots(self) -> int:
        """The last step, if there is momentum."""
        return int(self.momentum > 0.0)


@dataclass(frozen=True, repr=False)
class Adagrad(Optimizer):
    """Adagrad: steps that become smaller as the squares of the gradient add up.

    See `fastinit.kernels.adagrad_step` for the formula.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        Size of a step; finite, not negative.
    initial_accumulator_value : float, default 0.1
        What the sums of squares start from; finite, not negative.
    epsilon : float, default 1e-7
        Keeps a step finite where the gradient has been 0; finite, not negative.
    weight_decay : float, default 0.0
        See `Optimizer`, as for the following.
    clipvalue, global_clipnorm : float, optional
        See `Optimizer`; only one of the two.

    Raises
    ------
    ArgumentError
        If a value is out of its range.
    ArgumentTypeError
        If a value is not a number.

    References
    ----------
    Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization", JMLR 12 (2011).

    Examples
    --------
    >>> from fastinit.nn.optimizers import Adagrad
    >>> Adagrad(learning_rate=0.1).slot_value
    0.1
    """

    name: ClassVar[str] = "adagrad"
    code: ClassVar[int] = optimizers.ADAGRAD

    initial_accumulator_value: float = 0.1
    epsilon: float = 1e-7

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("initial_accumulator_value")
        self._check("epsilon")

    def hyper(self) -> NDArray[np.float64]:
        """Return epsilon, which is added in the root."""
        return np.array([self.epsilon, False])

    @property
    def slots(self) -> int:
        """The sums of squares."""
        return 1

    @property
    def slot_value(self) -> float:
        """What the sums of squares start from."""
        return self.initial_accumulator_value


@dataclass(frozen=True, repr=False)
class RMSprop(Optimizer):
    """RMSprop: gradients divided by the root of the running mean of their squares.

    See `fastinit.kernels.rmsprop_step` for the formula. Keras' ``centered`` is left out.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        Size of a step; finite, not negative.
    rho : float, default 0.9
        Decay of the running mean; at least 0, below 1.
    momentum : float, default 0.0
        What is kept of the last step; at least 0, below 1.
    epsilon : float, default 1e-7
        Keeps a step finite where the gradient has been 0; finite, not negative.
    weight_decay : float, default 0.0
        See `Optimizer`, as for the following.
    clipvalue, global_clipnorm : float, optional
        See `Optimizer`; only one of the two.

    Raises
    ------
    ArgumentError
        If a value is out of its range.
    ArgumentTypeError
        If a value is not a number.

    References
    ----------
    Tieleman and Hinton, "Lecture 6.5: rmsprop", COURSERA: Neural Networks for Machine Learning,
    2012.

    Examples
    --------
    >>> from fastinit.nn.optimizers import RMSprop
    >>> RMSprop(momentum=0.9).slots
    2
    """

    name: ClassVar[str] = "rmsprop"
    code: ClassVar[int] = optimizers.RMSPROP

    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-7

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("rho", 1.0)
        self._check("momentum", 1.0)
        self._check("epsilon")

    def hyper(self) -> NDArray[np.float64]:
        """Return rho, momentum and epsilon, which is added in the root."""
        return np.array([self.rho, self.momentum, self.epsilon, False])

    @property
    def slots(self) -> int:
        """The mean squares and, if there is momentum, the last step."""
        return 1 + (self.momentum > 0.0)


@dataclass(frozen=True, repr=False)
class Adam(Optimizer):
    """Adam: steps of about ``learning_rate`` whatever the size of the gradient.

    See `fastinit.kernels.adam_step` for the formula; epsilon is added as Keras does it
    (``epsilon_hat``).

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        Size of a step; finite, not negative.
    beta_1, beta_2 : float, default 0.9 and 0.999
        Decay of the running means of the gradient and of its square; at least 0, below 1.
    epsilon : float, default 1e-7
        Keeps a step finite where the gradient has been 0; finite, not negative. Keras' default;
        the paper and PyTorch have 1e-8.
    weight_decay : float, default 0.0
        See `Optimizer`, as for the following.
    clipvalue, global_clipnorm : float, optional
        See `Optimizer`; only one of the two.

    Raises
    ------
    ArgumentError
        If a value is out of its range.
    ArgumentTypeError
        If a value is not a number.

    References
    ----------
    Kingma and Ba, "Adam: A Method for Stochastic Optimization", arXiv:1412.6980.

    Examples
    --------
    >>> from fastinit import nn
    >>> nn.Adam(learning_rate=0.01).beta_1
    0.9
    """

    name: ClassVar[str] = "adam"
    code: ClassVar[int] = optimizers.ADAM

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("beta_1", 1.0)
        self._check("beta_2", 1.0)
        self._check("epsilon")

    def hyper(self) -> NDArray[np.float64]:
        """Return beta_1, beta_2 and epsilon, which is added before the correction."""
        return np.array([self.beta_1, self.beta_2, self.epsilon, True])

    @property
    def slots(self) -> int:
        """Both moments."""
        return 2


@dataclass(frozen=True, repr=False)
class AdamW(Adam):
    """Adam with decoupled weight decay.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        Size of a step; finite, not negative.
    weight_decay : float, default 0.004
        What part of every parameter is taken off at a step, in units of the learning rate; finite,
        not negative. Keras' default; PyTorch has 0.01.
    beta_1, beta_2 : float, default 0.9 and 0.999
        See `Adam`.
    epsilon : float, default 1e-7
        See `Adam`.
    clipvalue, global_clipnorm : float, optional
        See `Optimizer`; only one of the two.

    Raises
    ------
    ArgumentError
        If a value is out of its range.
    ArgumentTypeError
        If a value is not a number.

    References
    ----------
    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", arXiv:1711.05101.

    Examples
    --------
    >>> from fastinit.nn.optimizers import AdamW
    >>> AdamW(0.01, 0.1)
    AdamW(learning_rate=0.01, weight_decay=0.1)
    """

    name: ClassVar[str] = "adamw"

    weight_decay: float = 0.004


OPTIMIZERS: dict[str, type[Optimizer]] = {
    optimizer.name: optimizer for optimizer in (Adagrad, Adam, AdamW, RMSprop, SGD)
}


def get_optimizer(spec: str | Optimizer | Mapping[str, Any]) -> Optimizer:
    """Return an optimizer from its name, from itself or from what `Optimizer.get_config` gave.

    Parameters
    ----------
    spec : str, Optimizer or mapping
        A key of `OPTIMIZERS`, for the defaults, an optimizer, or the configuration of one.

    Returns
    -------
    Optimizer
        The optimizer.

    Raises
    ------
    ArgumentError
        If the configuration has a wrong value.
    ArgumentTypeError
        If `spec` is none of these, or the configuration has wrong arguments.
    UnknownNameError
        If there is no optimizer of that name; the nearest names are given.

    Examples
    --------
    >>> from fastinit.nn.optimizers import get_optimizer
    >>> get_optimizer("sgd")
    SGD(learning_rate=0.01)
    """
    if isinstance(spec, Optimizer):
        return spec
    if not isinstance(spec, str | Mapping):
        raise ArgumentTypeError(
            f"optimizer must be a name or an optimizer such as nn.Adam(), got {spec!r}"
        )
    arguments: dict[str, Any] = {"name": spec} if isinstance(spec, str) else dict(spec)
    name = arguments.pop("name", None)
    if name not in OPTIMIZERS:
        raise unknown_name("optimizer", name, OPTIMIZERS)
    return from_arguments(OPTIMIZERS[name], arguments)
