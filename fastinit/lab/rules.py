"""Which verdict a training run gets, and why: the rules, in the order in which they are asked.

The table, the page, the CSV file and the tests all read :data:`RULES`; nothing else decides.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from fastinit.lab.report.languages import N_

__all__ = [
    "EXPLODING_RATIO",
    "RULES",
    "SEVERITY",
    "VANISHING_RATIO",
    "Evidence",
    "Rule",
    "majority",
    "verdict",
]

VANISHING_RATIO = 1e-2
"""Below this, a quantity that should keep its size from layer to layer has vanished."""

EXPLODING_RATIO = 1e2
"""Above this, it has exploded."""

DIVERGED_FACTOR = 2.0
"""A loss that grew beyond this multiple of the constant predictor's has diverged."""


@dataclass(frozen=True)
class Evidence:
    """What the rules look at.

    Attributes
    ----------
    start_loss, final_loss : float
        Loss on the train rows before and after training.
    constant_loss : float
        Loss of the best predictor that ignores its input.
    epochs_to_goal : int or None
        Epochs until the test score, accuracy or R², first reached the goal; None if it never did.
    distinct_units : tuple of (int, int)
        For each hidden layer, how many of its units differ after training, and how many it has.
    gradient_ratio : float
        Root mean square kernel gradient before training, first layer over last. NaN if both are
        zero.
    signal_ratio : float
        Spread over the rows before training, last hidden layer over input.
    """

    start_loss: float
    final_loss: float
    constant_loss: float
    epochs_to_goal: int | None
    distinct_units: tuple[tuple[int, int], ...]
    gradient_ratio: float
    signal_ratio: float


@dataclass(frozen=True)
class Rule:
    """One verdict: its name, when it is given, in words and in code, and what to do about it.

    Attributes
    ----------
    verdict : str
        The name that tables show.
    when : str
        The condition in words, with names in braces for the numbers in `limits`.
    means : str
        What the verdict says about the network.
    holds : callable
        The condition: evidence -> bool.
    limits : mapping
        The numbers of the condition.

    Examples
    --------
    >>> from fastinit import lab
    >>> rule = next(rule for rule in lab.RULES if rule.verdict == "exploding")
    >>> rule.limits
    {'limit': 100.0}
    """

    verdict: str
    when: str
    means: str
    holds: Callable[[Evidence], bool]
    limits: Mapping[str, float] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """The condition in English, with its numbers."""
        return self.when.format(**{name: f"{value:g}" for name, value in self.limits.items()})


def _diverged(run: Evidence) -> bool:
    if not math.isfinite(run.final_loss):
        return True
    return run.final_loss > max(run.start_loss, DIVERGED_FACTOR * run.constant_loss)


def _symmetric(run: Evidence) -> bool:
    return any(distinct == 1 < units for distinct, units in run.distinct_units)


def _trains(run: Evidence) -> bool:
    return run.epochs_to_goal is not None


def _exploding(run: Evidence) -> bool:
    ratios = (run.signal_ratio, run.gradient_ratio)
    # An overflow is an explosion; NaN alone is 0/0, which is not.
    loud = not run.start_loss <= EXPLODING_RATIO * run.constant_loss
    return loud or any(ratio > EXPLODING_RATIO for ratio in ratios)


def _vanishing(run: Evidence) -> bool:
    return any(ratio < VANISHING_RATIO for ratio in (run.signal_ratio, run.gradient_ratio))


def _always(run: Evidence) -> bool:
    return True


RULES: tuple[Rule, ...] = (
    Rule(
        "diverged",
        N_(
            "The train loss stopped being finite, or ended above both its start and "
            "{factor} times the loss of a predictor that ignores its input."
        ),
        N_("Training made the network worse. Smaller weights or a smaller learning rate."),
        _diverged,
        {"factor": DIVERGED_FACTOR},
    ),
    Rule(
        "symmetric",
        N_(
            "After training, all units of some hidden layer (of two or more) still have the same "
            "incoming weights and bias."
        ),
        N_(
            "Equal units get equal gradients and stay copies: the layer is one unit wide. "
            "Draw the weights at random."
        ),
        _symmetric,
    ),
    Rule(
        "trains",
        N_("The test score reached the goal in some epoch."),
        N_("The network learns from this start, whatever its ratios say."),
        _trains,
    ),
    Rule(
        "exploding",
        N_(
            "The goal was not reached, and before training the signal ratio or the gradient ratio "
            "was above {limit}, or the loss was not finite or above {limit} times that of a "
            "predictor that ignores its input."
        ),
        N_(
            "Each layer multiplies what passes through it. Smaller weights: std near "
            "sqrt(2 / fan_in) for relu, sqrt(1 / fan_in) for tanh."
        ),
        _exploding,
        {"limit": EXPLODING_RATIO},
    ),
    Rule(
        "vanishing",
        N_(
            "The goal was not reached, and before training the signal ratio or the gradient ratio "
            "was below {limit}."
        ),
        N_(
            "Each layer shrinks what passes through it, so the far layers do not learn. Larger "
            "weights, or an activation with a steeper slope at zero than sigmoid's 1/4."
        ),
        _vanishing,
        {"limit": VANISHING_RATIO},
    ),
    Rule(
        "slow",
        N_("None of the above: signal and gradient keep their size, and the goal was not reached."),
        N_("More epochs or a larger learning rate may do; look at the share of idle units."),
        _always,
    ),
)
"""The rules. The first that holds gives the verdict.

*Signal ratio*: standard deviation over the rows, last hidden layer over input: how much of what
tells two rows apart reaches the output. *Gradient ratio*: root mean square kernel gradient, first
layer over last. Both are taken before training. Either can fail while the other looks well: in a
ReLU network whose layers are all too small by one factor, every layer's gradient is too small by
one factor too, and only the signal shows it; in a sigmoid network the signal is bounded, and only
the gradient can explode.

`diverged` and `symmetric` are asked first because nothing excuses them. `trains` is asked before
the two ratios because they are a forecast, and a network that reached the goal has refuted it.
"""

SEVERITY: tuple[str, ...] = ("trains", "slow", "vanishing", "exploding", "symmetric", "diverged")
"""The verdicts from best to worst; settles a tie between seeds."""


def verdict(run: Evidence) -> str:
    """Return the verdict on one run: that of the first rule that holds.

    Parameters
    ----------
    run : Evidence
        The figures of one training run.

    Returns
    -------
    str
        One of :data:`SEVERITY`.

    Examples
    --------
    >>> from fastinit.lab.rules import Evidence, verdict
    >>> verdict(Evidence(start_loss=2.3, final_loss=0.1, constant_loss=2.3, epochs_to_goal=4,
    ...                  distinct_units=((64, 64),), gradient_ratio=0.5, signal_ratio=0.5))
    'trains'
    """
    return next(rule.verdict for rule in RULES if rule.holds(run))


def majority(verdicts: Iterable[str]) -> str:
    """Return the commonest verdict; of equally common ones, the worst.

    Parameters
    ----------
    verdicts : iterable of str
        The verdicts on the seeds of one case; at least one.

    Returns
    -------
    str

    Examples
    --------
    >>> from fastinit.lab.rules import majority
    >>> majority(["trains", "trains", "slow"])
    'trains'
    >>> majority(["trains", "slow"])
    'slow'
    """
    counts = Counter(verdicts)
    return max(counts, key=lambda name: (counts[name], SEVERITY.index(name)))
