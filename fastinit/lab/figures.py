"""What is measured on a network: spread, gradients, idle units, units that differ.

Everything here takes arrays and returns numbers; nothing knows of layers, runs or tables.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from fastinit.fans import Fans
from fastinit.gains import gain
from fastinit.lab.observation import Histogram, LayerFigures

__all__ = [
    "BINS",
    "DISTINCT_TOLERANCE",
    "IDLE_KIND",
    "SATURATION_MARGIN",
    "correlation",
    "dead_share",
    "distinct_units",
    "effective_rank",
    "expected_std",
    "factor_a_step",
    "histogram",
    "idle_share",
    "layer_figures",
    "one_thread",
    "ratio",
    "root_mean_square",
    "sample",
    "saturated_share",
    "spread",
]

SATURATION_MARGIN = 0.01
"""A bounded activation within this share of its range from a bound is at the bound.

For the sigmoid: below 0.01 or above 0.99, where the slope is under 4 % of its greatest.
"""

DISTINCT_TOLERANCE = 1e-3
"""Units whose incoming weights differ by less than this share of the largest are the same.

Copies drift apart by rounding, about 1e-6 in training; units drawn at random differ by about 1.
"""

IDLE_KIND = {"relu": "dead", "sigmoid": "saturated", "tanh": "saturated"}
"""What a unit that passes no gradient is called; other activations have no such state."""

BOUNDS = {
    "sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "erf": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
}
RECTIFIERS = ("relu", "relu6")
"""Activations whose units pass no gradient where they are 0."""

EXAMPLES, FEATURES, NUMBERS = 256, 256, 65_536
"""So many examples, features and numbers of a layer's output are looked at, at most."""

RANK_ROWS = 128
"""The effective rank is that of so many rows of features."""

PAIRED = 64
"""Each of so many examples is compared with each other."""

KERNEL_SIDE = 256
"""The spread of a kernel is that of so many of its inputs and units, at most."""

BINS = 31
"""Of a histogram: odd, so that numbers around 0 as often above it as below have a middle bin."""

COUNTED = 4_096
"""Each histogram is that of so many numbers, at most."""

TINY = 1e-36
"""Gradients below it are rounded: float32 ends at 1e-45, and loses digits from 1e-38 down."""

UNITS = 512
"""So many units are compared with each other."""


def root_mean_square(values: np.ndarray) -> float:
    """Return ``sqrt(mean(values**2))``.

    For a gradient this is its Euclidean norm over the square root of its size, so that layers of
    different sizes can be compared.

    Parameters
    ----------
    values : ndarray
        Any shape, at least one element.

    Returns
    -------
    float
        Infinity where float64 overflows, NaN where `values` has one.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.lab.figures import root_mean_square
    >>> root_mean_square(numpy.array([[2.0, -2.0]]))
    2.0
    """
    with np.errstate(all="ignore"):  # an exploding network is a result, not a fault
        return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def spread(activations: np.ndarray) -> float:
    """Return how much of the difference between rows a layer passes on.

    The standard deviation over the rows of each unit, root mean square over the units. A layer
    whose units differ from each other, and answer every row alike, has the spread 0.

    Parameters
    ----------
    activations : ndarray, shape (rows, units)

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy
    >>> from fastinit.lab.figures import spread
    >>> spread(numpy.array([[1.0, 5.0], [1.0, 5.0]]))
    0.0
    """
    with np.errstate(all="ignore"):
        values = activations.astype(np.float64)
        return root_mean_square(values - values.mean(axis=0))


def ratio(first: float, last: float) -> float:
    """Return ``first / last``: NaN for 0/0, infinity for x/0.

    Parameters
    ----------
    first, last : float
        Neither is negative.

    Returns
    -------
    float

    Examples
    --------
    >>> from fastinit.lab.figures import ratio
    >>> ratio(1.0, 4.0), ratio(0.0, 0.0)
    (0.25, nan)
    """
    with np.errstate(all="ignore"):
        return float(np.float64(first) / np.float64(last))


def idle_share(activation: str, activations: list[np.ndarray]) -> float | None:
    """Return the share of hidden units that pass no gradient, dead or saturated.

    A ReLU unit is dead if it is zero on every row. A sigmoid or tanh unit is saturated if it is
    within :data:`SATURATION_MARGIN` of a bound on more than half of the rows.

    Parameters
    ----------
    activation : str
        Name of the activation of these layers.
    activations : list of ndarray, each of shape (rows, units)
        One array a hidden layer.

    Returns
    -------
    float or None
        Between 0 and 1; None if the activation is none of these three. A unit that is not finite
        counts as idle: nothing can be learnt from it.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.lab.figures import idle_share
    >>> idle_share("relu", [numpy.array([[0.0, 1.0], [0.0, 0.0]])])
    0.5
    """
    if activation not in IDLE_KIND:
        return None
    idle = [_idle(activation, layer) for layer in activations]
    return float(np.concatenate(idle).mean())


def _idle(activation: str, layer: np.ndarray) -> np.ndarray:
    if activation == "relu":
        idle = np.asarray((layer <= 0).all(axis=0))
    else:
        low, high = BOUNDS[activation]
        margin = SATURATION_MARGIN * (high - low)
        at_bound = (layer < low + margin) | (layer > high - margin)
        idle = np.asarray(at_bound.mean(axis=0) > 0.5)
    idle[~np.isfinite(layer).all(axis=0)] = True
    return idle


def distinct_units(kernel: np.ndarray, bias: np.ndarray | None = None) -> int:
    """Count the units of a layer whose incoming weights differ.

    Two units are the same if every weight, bias included, agrees within
    :data:`DISTINCT_TOLERANCE` of the layer's largest absolute weight.

    Parameters
    ----------
    kernel : ndarray, shape (fan_in, units)
    bias : ndarray, shape (units,), optional

    Returns
    -------
    int
        Between 1 and ``units``. A layer with a weight that is not finite has ``units``: copies
        cannot be told there. Of more than 512 units, as many evenly spaced ones are compared: if
        all of them differ, it is ``units``, else the number that differ among them.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.lab.figures import distinct_units
    >>> distinct_units(numpy.ones((3, 4))), distinct_units(numpy.eye(3))
    (1, 3)
    """
    whole = int(kernel.shape[1])
    columns = slice(None, None, -(-whole // UNITS) or 1)
    units = kernel[:, columns].T
    biases = np.zeros(len(units)) if bias is None else bias[columns]
    largest = max(_largest(units), _largest(biases))
    if not math.isfinite(largest):
        return whole
    tolerance = DISTINCT_TOLERANCE * largest
    near = _near(units, biases, tolerance)
    distinct = len(near) - int(np.count_nonzero(near))
    if distinct == len(near):
        return whole
    rest = np.column_stack([units[near], biases[near]]).astype(np.float64)
    while len(rest):
        same = np.abs(rest - rest[0]).max(axis=1) <= tolerance
        rest = rest[~same]
        distinct += 1
    return distinct


def _largest(values: NDArray[Any]) -> float:
    return max(float(values.max(initial=0.0)), -float(values.min(initial=0.0)))


def _near(units: NDArray[Any], biases: NDArray[Any], tolerance: float) -> NDArray[np.bool_]:
    """Return which units have another one that may be the same, by some of their weights."""
    if tolerance == 0.0:
        return np.ones(len(units), bool)
    few = np.column_stack([thinned(units.T, 31).T, biases]).astype(np.float32)
    few /= np.float32(tolerance)  # those of the same are no further apart than 1
    squares = np.square(few).sum(axis=1)
    apart = few @ few.T
    apart *= -2.0
    apart += squares
    apart += squares[:, None]
    np.fill_diagonal(apart, np.inf)
    limit = few.shape[1] + 1e-5 * float(squares.max())  # and what float32 rounds
    return np.asarray(apart.min(axis=1) <= limit)


# ---------------------------------------------------------------- a whole layer


def sample(shape: tuple[int, ...]) -> tuple[slice, slice, slice]:
    """Return which part of a layer's output is looked at: evenly spaced, the same every time.

    Parameters
    ----------
    shape : (examples, positions, features)
        Of the output. The positions are the pixels of an image, the tokens of a text, the steps of
        a sequence; 1 where there are none.

    Returns
    -------
    tuple of three slices
        At most 256 examples and 256 features, and as many positions as make 65,536 numbers.

    Examples
    --------
    >>> from fastinit.lab.figures import sample
    >>> sample((256, 1, 1024))
    (slice(None, None, 1), slice(None, None, 1), slice(None, None, 4))
    """
    examples, positions, features = shape
    steps = [-(-examples // EXAMPLES) or 1, 1, -(-features // FEATURES) or 1]
    rest = NUMBERS // max(1, -(-examples // steps[0]) * -(-features // steps[2]))
    steps[1] = -(-positions // max(1, rest)) or 1
    first, second, third = (slice(None, None, step) for step in steps)
    return first, second, third


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


def one_thread() -> AbstractContextManager[Any]:
    """Let NumPy's products use one thread meanwhile.

    Those of the figures are small, and a framework's threads, which still spin after its pass, make
    them wait for one another: ten times as long was measured.

    Returns
    -------
    context manager

    Examples
    --------
    >>> import numpy
    >>> from fastinit.lab.figures import effective_rank, one_thread
    >>> with one_thread():
    ...     rank, limit = effective_rank(numpy.eye(3))
    """
    found: AbstractContextManager[Any] = _libraries().limit(limits=1, user_api="blas")
    return found


def thinned(values: NDArray[Any], most: int) -> NDArray[Any]:
    """Return at most so many evenly spaced rows."""
    return values[:: -(-len(values) // most) or 1]


def dead_share(activation: str | None, rows: NDArray[Any]) -> float | None:
    """Return the share of units that are 0 on every row, for relu and relu6; None for others.

    Parameters
    ----------
    activation : str or None
        What the units went through.
    rows : ndarray, shape (rows, units)

    Returns
    -------
    float or None
        A unit that is not finite counts as dead.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.lab.figures import dead_share
    >>> dead_share("relu", numpy.array([[0.0, 1.0], [0.0, 0.0]]))
    0.5
    """
    if activation not in RECTIFIERS:
        return None
    return float(_idle("relu", rows).mean())


def saturated_share(activation: str | None, rows: NDArray[Any]) -> float | None:
    """Return the share of units that are at a bound on more than half of the rows.

    Parameters
    ----------
    activation : str or None
        What the units went through.
    rows : ndarray, shape (rows, units)

    Returns
    -------
    float or None
        None where the activation has no two bounds. A unit that is not finite counts.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.lab.figures import saturated_share
    >>> saturated_share("tanh", numpy.array([[1.0, 0.5], [-1.0, 0.0]]))
    0.5
    """
    if activation not in BOUNDS:
        return None
    return float(_idle(activation, rows).mean())


def effective_rank(rows: NDArray[Any]) -> tuple[float, int]:
    r"""Return how many directions the rows spread over, and the most there could be.

    With the eigenvalues :math:`\lambda_i` of the rows' covariance,

    .. math:: r = \exp\left(-\sum_i p_i \ln p_i\right), \qquad
              p_i = \lambda_i / \textstyle\sum_j \lambda_j

    of at most 128 evenly spaced rows.

    Parameters
    ----------
    rows : ndarray, shape (rows, features)
        Each position of an example is a row of its own.

    Returns
    -------
    rank : float
        Between 1 and `limit`; 0 where all rows are the same, NaN where a number is not finite.
    limit : int
        The lesser of the features and of one less than the rows.

    References
    ----------
    O. Roy and M. Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO
    (2007); there of a matrix's singular values, which are a covariance's eigenvalues.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.lab.figures import effective_rank
    >>> rank, limit = effective_rank(numpy.vstack([numpy.eye(3), -numpy.eye(3)]))
    >>> round(rank, 6), limit
    (3.0, 3)
    """
    few = thinned(rows, RANK_ROWS)
    limit = max(0, min(len(few) - 1, few.shape[1]))
    with np.errstate(all="ignore"):
        largest = float(np.abs(few).max(initial=0.0))
        if not math.isfinite(largest):
            return math.nan, limit
        if largest == 0.0:
            return 0.0, limit
        centred = few.astype(np.float64) / largest
        centred -= centred.mean(axis=0)
        if float(np.abs(centred).max()) < 1e-7:  # what rounding leaves of rows that are the same
            return 0.0, limit
        wide = centred.shape[0] <= centred.shape[1]
        gram = centred @ centred.T if wide else centred.T @ centred
        shares = np.linalg.eigvalsh(gram / np.trace(gram))
        shares = shares[shares > 1e-12]
        rank = float(np.exp(-(shares * np.log(shares)).sum() / shares.sum()))
        return max(1.0, min(rank, float(limit))), limit


def correlation(examples: NDArray[Any]) -> float | None:
    """Return the mean cosine between two examples, over all pairs of at most 64 of them.

    Parameters
    ----------
    examples : ndarray, shape (examples, numbers)
        All positions and features of an example in one row.

    Returns
    -------
    float or None
        None where there is one example alone, one is 0 or a number is not finite.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.lab.figures import correlation
    >>> correlation(numpy.array([[3.0, 0.0], [2.0, 0.0]])), correlation(numpy.eye(2))
    (1.0, 0.0)
    """
    few = thinned(examples, PAIRED)
    with np.errstate(all="ignore"):
        values = few.astype(np.float64)
        values /= np.abs(values).max(axis=1, keepdims=True, initial=0.0)
        values /= np.sqrt(np.square(values).sum(axis=1, keepdims=True))
        if len(values) < 2 or not np.isfinite(values).all():
            return None
        total = float(np.square(values.sum(axis=0)).sum())  # of all pairs, and each with itself
        return min(1.0, (total - len(values)) / (len(values) * (len(values) - 1)))


def expected_std(activation: str | None, fan_in: float, fan_out: float) -> float:
    r"""Return the standard deviation that the customary rule for an activation gives a kernel.

    ====================================================================  ======================
    activation                                                            rule
    ====================================================================  ======================
    relu, relu6, leaky_relu, elu, gelu, silu, mish, softplus and others   He, sqrt(2 / fan_in)
    selu                                                                  LeCun, sqrt(1 / fan_in)
    none, tanh, sigmoid and what else has two bounds                      Glorot,
                                                                          sqrt(2 / (in + out))
    ====================================================================  ======================

    Parameters
    ----------
    activation : str or None
        What the layer's output goes through.
    fan_in, fan_out : float
        Of the kernel.

    Returns
    -------
    float

    References
    ----------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    AISTATS (2010); He et al., arXiv:1502.01852; Klambauer et al., arXiv:1706.02515, for selu.

    Examples
    --------
    >>> from fastinit.lab.figures import expected_std
    >>> expected_std("relu", 50, 10), expected_std("tanh", 50, 10) == expected_std(None, 10, 50)
    (0.2, True)
    """
    if activation == "selu":
        return math.sqrt(1.0 / fan_in)
    if activation is None or activation == "linear" or activation in BOUNDS:
        return math.sqrt(2.0 / (fan_in + fan_out))
    return gain("relu") / math.sqrt(fan_in)


def factor_a_step(sizes: NDArray[Any]) -> float | None:
    """Return by what factor a step a gradient changes on its way back through time.

    Parameters
    ----------
    sizes : ndarray, shape (steps,)
        Its root mean square at each step, the first to the last.

    Returns
    -------
    float or None
        The geometric mean of the factors from each step to the one before it, back to the last
        one that float32 holds; 0 where nothing gets past a step, infinity or NaN where what does
        is not finite; None where there is one step alone or nothing starts.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.lab.figures import factor_a_step
    >>> factor_a_step(numpy.array([0.25, 0.5, 1.0]))
    0.5
    """
    if len(sizes) < 2 or not sizes[-1] > 0.0:
        return None
    back = np.asarray(sizes, np.float64)[::-1]
    held = np.isfinite(back) & (back > TINY)
    last = len(back) - 1 if held.all() else int(np.argmin(held)) - 1
    if last < 1:
        return float(back[1] / back[0]) if back[1] > 0.0 or math.isnan(back[1]) else 0.0
    return float((back[last] / back[0]) ** (1.0 / last))


def histogram(rows: NDArray[Any]) -> Histogram | None:
    """Return how the numbers of at most 4,096 / columns evenly spaced rows are distributed.

    Parameters
    ----------
    rows : ndarray, shape (rows, columns)

    Returns
    -------
    Histogram or None
        Its bins reach from the least to the greatest number; None where there is no number.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.lab.figures import histogram
    >>> found = histogram(numpy.array([[0.0, 0.0, 1.0, numpy.inf]]))
    >>> found.low, found.high, found.counts[0], found.counts[-1], found.left_out
    (0.0, 1.0, 2, 1, 1)
    """
    if not rows.size:
        return None
    few = thinned(rows, max(1, COUNTED // rows.shape[1])).astype(np.float64).ravel()
    count = len(few)
    low, high = float(few.min()), float(few.max())
    if not math.isfinite(low) or not math.isfinite(high):
        few = few[np.isfinite(few)]
        if not len(few):
            return Histogram(math.nan, math.nan, (0,) * BINS, count)
        low, high = float(few.min()), float(few.max())
    if math.isinf(high - low):
        few, start, width = few * 0.5, low * 0.5, high * 0.5 - low * 0.5
    else:
        start, width = low, high - low
    if width > 1e-300:
        few -= start
        few *= BINS / width
        np.minimum(few, BINS - 1, out=few)
    else:
        few = np.full(len(few), BINS // 2)
    counts = np.bincount(few.astype(np.intp), minlength=BINS)
    return Histogram(low, high, tuple(counts.tolist()), count - len(few))


def layer_figures(
    name: str,
    kind: str,
    outputs: NDArray[Any],
    *,
    activation: str | None = None,
    gradient: float | None = None,
    kernel: NDArray[Any] | None = None,
    recurrent: NDArray[Any] | None = None,
    bias: NDArray[Any] | None = None,
    kernel_gradient: float | None = None,
    fans: Fans | None = None,
    expected: float | None = None,
    learning_rate: float = 0.01,
    features: int | None = None,
    gradient_through_time: float | None = None,
    steps: int | None = None,
) -> LayerFigures:
    """Return the figures of one layer, from what a framework computed.

    Parameters
    ----------
    name, kind, activation, gradient, features, gradient_through_time, steps
        As of `LayerFigures`. The gradient is best measured on all of it, not on a part.
    outputs : ndarray, shape (examples, positions, features)
        A part of the output, as `sample` says.
    kernel : ndarray, shape (inputs, units), optional
        The whole kernel; the window and the inputs of a convolution in one axis.
    recurrent : ndarray, shape (states, units), optional
        Of a recurrent layer: units whose weights differ in either kernel differ.
    bias : ndarray, shape (units,), optional
        The bias.
    kernel_gradient : float, optional
        Root mean square of the kernel's gradient.
    fans : (fan_in, fan_out), optional
        As the layer uses its kernel.
    expected : float, optional
        The kernel's expected standard deviation, see `expected_std`.
    learning_rate : float, default 0.01
        Of the step that `update_ratio` is about.

    Returns
    -------
    LayerFigures
        Numbers that are not finite are results, too.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.lab.figures import layer_figures
    >>> found = layer_figures("dense", "Dense", numpy.eye(4)[:, None], activation="relu")
    >>> found.zeros, found.dead, found.rank_limit
    (0.75, 0.0, 3)
    """
    rows = outputs.reshape(-1, outputs.shape[2])
    flat = outputs.reshape(len(outputs), -1)
    rank, limit = effective_rank(rows)
    with np.errstate(all="ignore"):
        mean = float(outputs.mean(dtype=np.float64)) if outputs.size else math.nan
        std = root_mean_square(outputs.astype(np.float64) - mean) if outputs.size else math.nan
    weight_std = update_ratio = bias_mean = distinct = number = weights = None
    if kernel is not None and kernel.size:
        few = thinned(thinned(kernel, KERNEL_SIDE).T, KERNEL_SIDE).astype(np.float64)
        with np.errstate(all="ignore"):
            weight_std = float(few.std())
            weights = histogram(few)
        if kernel_gradient is not None:
            update_ratio = ratio(learning_rate * kernel_gradient, root_mean_square(few))
        number = kernel.shape[1]
        both = kernel if recurrent is None else np.vstack([kernel, recurrent])
        distinct = distinct_units(both, bias)
    if bias is not None and bias.size:
        with np.errstate(all="ignore"):
            bias_mean = float(bias.mean(dtype=np.float64))
    return LayerFigures(
        name=name,
        kind=kind,
        activation=activation,
        fan_in=None if fans is None else round(fans[0]),
        fan_out=None if fans is None else round(fans[1]),
        mean=mean,
        std=std,
        spread=spread(flat) if outputs.size else math.nan,
        zeros=float((outputs == 0).mean()) if outputs.size else math.nan,
        dead=dead_share(activation, rows),
        saturated=saturated_share(activation, rows),
        effective_rank=rank,
        rank_limit=limit,
        correlation=correlation(flat),
        gradient=gradient,
        weight_std=weight_std,
        expected_std=expected,
        weight_gradient=kernel_gradient,
        update_ratio=update_ratio,
        distinct_units=distinct,
        units=number,
        bias_mean=bias_mean,
        gradient_through_time=gradient_through_time,
        features=features,
        steps=steps,
        histogram=histogram(rows),
        weight_histogram=weights,
    )
