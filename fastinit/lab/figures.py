"""What is measured on a network: spread, gradients, idle units, units that differ.

Everything here takes arrays and returns numbers; nothing knows of layers, runs or tables.
"""

from __future__ import annotations

import numpy as np

__all__ = [
    "DISTINCT_TOLERANCE",
    "IDLE_KIND",
    "SATURATION_MARGIN",
    "distinct_units",
    "idle_share",
    "ratio",
    "root_mean_square",
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

BOUNDS = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}


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
        cannot be told there.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.lab.figures import distinct_units
    >>> distinct_units(numpy.ones((3, 4))), distinct_units(numpy.eye(3))
    (1, 3)
    """
    rows = kernel if bias is None else np.vstack([kernel, bias])
    units = np.ascontiguousarray(rows.T, dtype=np.float64)
    if not np.isfinite(units).all():
        return len(units)
    tolerance = DISTINCT_TOLERANCE * np.abs(units).max()
    distinct = 0
    while len(units):
        same = np.abs(units - units[0]).max(axis=1) <= tolerance
        units = units[~same]
        distinct += 1
    return distinct
