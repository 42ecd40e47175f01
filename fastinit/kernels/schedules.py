"""Learning rates that change with the number of the step.

The first step has the number 0, as in Keras. Rates are float64, computed by IEEE arithmetic and
square roots in a fixed order: the same bits on every system, which C's pow and cos do not promise.
"""

from __future__ import annotations

import math

from fastinit.errors import ArgumentError
from fastinit.kernels.jit import FloatArray, njit
from fastinit.sampling.jit import template

__all__ = [
    "CONSTANT",
    "COSINE",
    "EXPONENTIAL",
    "PIECEWISE",
    "cosine_decay",
    "exponential_decay",
    "fill_rates",
    "linear_warmup",
    "piecewise_constant_decay",
]

CONSTANT, PIECEWISE, EXPONENTIAL, COSINE = range(4)


@njit
def piecewise_constant_decay(step: int, boundaries: FloatArray, values: FloatArray) -> float:
    """Return ``values[i]`` where i is how many of the boundaries lie below `step`.

    So ``values[0]`` lasts until the step ``boundaries[0]``, included.

    Parameters
    ----------
    step : int
        Number of the step, from 0.
    boundaries : ndarray, shape (n,)
        Steps, in ascending order.
    values : ndarray, shape (n + 1,)
        Learning rates.

    Returns
    -------
    float
        The learning rate.

    Raises
    ------
    ArgumentError
        If there is not one value more than boundaries.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import schedules
    >>> boundaries, values = numpy.array([10.0]), numpy.array([0.5, 0.25])
    >>> [schedules.piecewise_constant_decay(step, boundaries, values) for step in (10, 11)]
    [0.5, 0.25]
    """
    if values.size != boundaries.size + 1:
        raise ArgumentError("values must have one element more than boundaries")
    passed = 0
    for boundary in boundaries:
        passed += step > boundary
    return float(values[passed])


@njit
def exponential_decay(
    step: int,
    initial_learning_rate: float,
    decay_steps: int,
    decay_rate: float,
    staircase: bool = False,
) -> float:
    """Return ``initial_learning_rate * decay_rate**(step / decay_steps)``.

    Parameters
    ----------
    step : int
        Number of the step, from 0.
    initial_learning_rate : float
        The learning rate of step 0.
    decay_steps : int
        After how many steps it is `decay_rate` times as large, at least 1.
    decay_rate : float
        The factor, not negative.
    staircase : bool, default False
        Whether to take only the whole part of ``step / decay_steps``: "step decay".

    Returns
    -------
    float
        The learning rate.

    Raises
    ------
    ArgumentError
        If `step` is below 0 or `decay_steps` below 1.

    Examples
    --------
    >>> from fastinit.kernels import schedules
    >>> [schedules.exponential_decay(step, 0.5, 10, 0.25) for step in (0, 5, 10)]
    [0.5, 0.25, 0.125]
    """
    if step < 0 or decay_steps < 1:
        raise ArgumentError("step must be at least 0 and decay_steps at least 1")
    return float(_exponential(step, initial_learning_rate, decay_steps, decay_rate, staircase))


@njit
def cosine_decay(
    step: int, initial_learning_rate: float, decay_steps: int, alpha: float = 0.0
) -> float:
    r"""Return a learning rate that falls along half a wave of the cosine, and then stays.

    .. math:: \eta_0 \left(\alpha + (1 - \alpha)
        \tfrac12 \left(1 + \cos(\pi \min(t / T, 1))\right)\right)

    Parameters
    ----------
    step : int
        Number of the step t, from 0.
    initial_learning_rate : float
        The learning rate of step 0.
    decay_steps : int
        Steps T until the lowest one, at least 1.
    alpha : float, default 0.0
        The lowest one, as a fraction of the initial one.

    Returns
    -------
    float
        The learning rate.

    Raises
    ------
    ArgumentError
        If `step` is below 0 or `decay_steps` below 1.

    References
    ----------
    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
    arXiv:1608.03983.

    Examples
    --------
    >>> from fastinit.kernels import schedules
    >>> [round(schedules.cosine_decay(step, 0.5, 10, 0.2), 3) for step in (0, 5, 10, 11)]
    [0.5, 0.3, 0.1, 0.1]
    """
    if step < 0 or decay_steps < 1:
        raise ArgumentError("step must be at least 0 and decay_steps at least 1")
    return float(_cosine(step, initial_learning_rate, decay_steps, alpha))


@njit
def linear_warmup(
    step: int, initial_learning_rate: float, warmup_target: float, warmup_steps: int
) -> float:
    """Return a learning rate that goes in equal steps to `warmup_target`, and then stays.

    Parameters
    ----------
    step : int
        Number of the step, from 0.
    initial_learning_rate : float
        The learning rate of step 0.
    warmup_target : float
        That of the step `warmup_steps` and of all after it.
    warmup_steps : int
        Number of steps, at least 0.

    Returns
    -------
    float
        The learning rate.

    Raises
    ------
    ArgumentError
        If `step` or `warmup_steps` is below 0.

    References
    ----------
    Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", arXiv:1706.02677.

    Examples
    --------
    >>> from fastinit.kernels import schedules
    >>> [schedules.linear_warmup(step, 0.0, 0.5, 4) for step in (0, 1, 4, 5)]
    [0.0, 0.125, 0.5, 0.5]
    """
    if step < 0 or warmup_steps < 0:
        raise ArgumentError("step and warmup_steps must be at least 0")
    return float(_warm(step, initial_learning_rate, warmup_target, warmup_steps))


@njit
def fill_rates(code: int, numbers: FloatArray, first_step: int, rates: FloatArray) -> None:
    """Write the learning rates of the steps from `first_step` on. Nothing is checked.

    Parameters
    ----------
    code : int
        The schedule: `CONSTANT`, `PIECEWISE`, `EXPONENTIAL` or `COSINE`.
    numbers : ndarray of float64
        The steps of a warm-up, 0 for none, and the learning rate that it starts from; then the
        schedule that follows, its steps counted from the end of the warm-up: the learning rate for
        `CONSTANT`; the boundaries and the values for `PIECEWISE`; initial_learning_rate,
        decay_steps, decay_rate and staircase, 0 or 1, for `EXPONENTIAL`; initial_learning_rate,
        decay_steps and alpha for `COSINE`.
    first_step : int
        Number of the first step, from 0.
    rates : ndarray of float64
        Overwritten.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import schedules
    >>> rates = numpy.empty(4)
    >>> schedules.fill_rates(schedules.CONSTANT, numpy.array([2.0, 0.0, 0.5]), 0, rates)
    >>> rates.tolist()
    [0.0, 0.25, 0.5, 0.5]
    """
    warmup_steps, start = int(numbers[0]), numbers[1]
    for i in range(rates.size):
        step = first_step + i
        rate = _rate(code, numbers[2:], max(step - warmup_steps, 0))
        rates[i] = _warm(step, start, rate, warmup_steps)


@template
def _rate(code, numbers, step):
    if code == PIECEWISE:
        boundaries = numbers.size // 2
        return piecewise_constant_decay(step, numbers[:boundaries], numbers[boundaries:])
    if code == EXPONENTIAL:
        return _exponential(step, numbers[0], int(numbers[1]), numbers[2], numbers[3] != 0.0)
    if code == COSINE:
        return _cosine(step, numbers[0], int(numbers[1]), numbers[2])
    return numbers[0]


@template
def _warm(step, start, target, warmup_steps):
    if step >= warmup_steps:
        return target
    return start + (target - start) * (step / warmup_steps)


@template
def _exponential(step, initial_learning_rate, decay_steps, decay_rate, staircase):
    """Multiply by the whole power, and by the roots that the binary digits of the rest ask for."""
    factor, base, whole = 1.0, decay_rate, step // decay_steps
    while whole > 0:
        if whole & 1:
            factor *= base
        base *= base
        whole >>= 1
    root, rest = decay_rate, step % decay_steps
    # 54 roots: those beyond would change nothing in float64.
    for _ in range(0 if staircase else 54):
        root = math.sqrt(root)
        rest *= 2
        if rest >= decay_steps:
            rest -= decay_steps
            factor *= root
    return initial_learning_rate * factor


@template
def _cosine(step, initial_learning_rate, decay_steps, alpha):
    """As (1 + cos(pi x)) / 2 = sin(pi (1 - x) / 2)**2, exact to the last bits at both ends."""
    passed = min(step, decay_steps)
    left = decay_steps - passed
    sine = _sine(min(passed, left) / decay_steps)
    height = sine * sine if left < passed else 1.0 - sine * sine
    return initial_learning_rate * ((1.0 - alpha) * height + alpha)


@template
def _sine(x):
    """Return sin(pi x / 2) for x in [0, 0.5], by Taylor's series to within 1e-16."""
    angle = x * (math.pi / 2.0)
    square = angle * angle
    term = total = angle
    for k in range(2, 17, 2):
        term *= -square / (k * (k + 1))
        total += term
    return total
