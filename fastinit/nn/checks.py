"""What a network accepts from outside: every check of data and of counts, before any computing."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.kernels.jit import FloatArray

__all__ = [
    "as_count",
    "as_features",
    "as_labels",
    "as_probabilities",
    "as_values",
    "as_weights",
    "same_length",
]


def as_count(name: str, value: Any, least: int = 1) -> int:
    """Return `value` as an int that is at least `least`, or raise naming the argument `name`."""
    try:
        count = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        count = None
    if count is None:
        raise ArgumentTypeError(f"{name} must be a whole number, got {value!r}")
    if count < least:
        raise ArgumentError(f"{name} must be at least {least}, got {value!r}")
    return count


def as_number(name: str, value: Any, below: float = math.inf, least: float = 0.0) -> float:
    """Return `value` as a float within limits, or raise naming the argument `name`."""
    if not isinstance(value, Real):
        raise ArgumentTypeError(f"{name} must be a number, got {value!r}")
    number = float(value)
    if not least <= number < below:
        lowest = "at least 0" if least == 0.0 else "above 0"
        limit = "finite" if below == math.inf else f"below {below:g}"
        raise ArgumentError(f"{name} must be {lowest} and {limit}, got {value!r}")
    return number


def as_features(x: ArrayLike, shape: tuple[int, ...] | None, dtype: np.dtype[Any]) -> FloatArray:
    """Return `x` as a finite, C-contiguous array of one example a row.

    `shape` is that of an example, None before the network is built.
    """
    array = _real_array("x", x)
    if shape is None and array.ndim not in (2, 3):
        raise ArgumentError(
            "x must have the shape (examples, features) or (examples, time, features), got "
            f"{array.shape}"
        )
    if shape is not None and array.ndim != 1 + len(shape):
        wanted = "(examples, features)" if len(shape) == 1 else "(examples, time, features)"
        raise ArgumentError(f"x must have the shape {wanted}, got {array.shape}")
    if shape is not None and array.shape[1:] != shape:
        what, got = (shape, array.shape[1:]) if len(shape) > 1 else (shape[0], array.shape[1])
        raise ArgumentError(f"x has {got} features, but the network takes {what}")
    return _finite("x", array, dtype)


def same_length(x: FloatArray, y: ArrayLike) -> None:
    """Raise unless `x` and `y` hold the same number of examples, and at least one."""
    length = len(np.atleast_1d(np.asarray(y)))
    if len(x) != length:
        raise ArgumentError(f"x has {len(x)} examples, but y has {length}")
    if length == 0:
        raise ArgumentError("x and y must hold at least one example, got none")


def as_values(y: ArrayLike, units: int, dtype: np.dtype[Any]) -> FloatArray:
    """Return the targets of a regression as a finite matrix of `units` columns."""
    array = _real_array("y", y)
    if array.ndim == 1 and units == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2 or array.shape[1] != units:
        raise ArgumentError(
            f"y must have the shape (examples, {units}), one column for each unit of the last "
            f"layer, got {array.shape}"
        )
    return _finite("y", array, dtype)


def as_probabilities(y: ArrayLike, units: int, dtype: np.dtype[Any]) -> FloatArray:
    """Return the targets of yes-or-no outputs as a matrix of `units` columns within [0, 1]."""
    target = as_values(y, units, dtype)
    outside = (target < 0) | (target > 1)
    if outside.any():
        i, j = np.argwhere(outside)[0]
        raise ArgumentError(
            f"binary_crossentropy takes targets between 0 and 1, got {target[i, j]} at row {i}"
        )
    return target


def as_labels(y: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Return the class number of each example, from class numbers or from one-hot rows."""
    array = _real_array("y", y)
    if array.ndim == 2 and array.shape[1] == classes:
        return _labels_of_one_hot(array)
    if array.ndim != 1:
        raise ArgumentError(
            f"y must hold class numbers, shape (examples,), or one-hot rows, shape "
            f"(examples, {classes}), got the shape {array.shape}"
        )
    whole = np.isfinite(array) & (array == np.floor(array))
    if not whole.all():
        i = np.argmin(whole)
        raise ArgumentError(f"class labels must be whole numbers, got {array[i]} at y[{i}]")
    known = (array >= 0) & (array < classes)
    if not known.all():
        i = np.argmin(known)
        raise ArgumentError(
            f"label {array[i]} at y[{i}] is out of range: the last layer has {classes} units, so "
            f"labels go from 0 to {classes - 1}"
        )
    labels: NDArray[np.int64] = array.astype(np.int64)
    return labels


def _labels_of_one_hot(array: NDArray[Any]) -> NDArray[np.int64]:
    one_hot = (np.isin(array, (0, 1)).all(axis=1)) & (np.count_nonzero(array, axis=1) == 1)
    if not one_hot.all():
        i = np.argmin(one_hot)
        raise ArgumentError(f"a one-hot row holds one 1 and else 0, got {array[i]} at y[{i}]")
    labels: NDArray[np.int64] = array.argmax(axis=1).astype(np.int64)
    return labels


def _real_array(name: str, value: ArrayLike) -> NDArray[Any]:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ArgumentTypeError(f"{name} must hold real numbers, got the dtype {array.dtype}")
    return array


def _finite(name: str, array: NDArray[Any], dtype: np.dtype[Any]) -> FloatArray:
    with np.errstate(over="ignore"):  # what overflows is reported below, with its position
        # Writable, since a read-only array is another type, for which all would compile again.
        result: FloatArray = np.require(array, dtype, ["C", "A", "W"])
    finite = np.isfinite(result)
    if not finite.all():
        at = tuple(np.argwhere(~finite)[0].tolist())
        raise ArgumentError(
            f"{name} must be finite in {dtype}, got {array[at]} at {name}{list(at)}"
        )
    return result


def as_weights(
    sample_weight: ArrayLike | None,
    class_weight: Mapping[int, float] | None,
    target: NDArray[Any],
) -> NDArray[np.float64]:
    """Return the weight of each example, from its own and from that of its class."""
    weights = np.ones(len(target))
    if sample_weight is not None:
        own = _real_array("sample_weight", sample_weight)
        if own.shape != weights.shape:
            raise ArgumentError(
                f"sample_weight must have the shape {weights.shape}, got {own.shape}"
            )
        weights *= own
    if class_weight is not None:
        classes = target[:, 0] if target.ndim == 2 and target.shape[1] == 1 else target
        if classes.ndim != 1 or (not np.isin(classes, np.arange(2)).all() and target.ndim == 2):
            raise ArgumentError(
                "class_weight takes targets that are classes: numbers or one-hot rows, or 0 and 1 "
                "for a single unit"
            )
        for number, weight in class_weight.items():
            weights[classes == number] *= as_number(f"class_weight[{number!r}]", weight)
    good = np.isfinite(weights) & (weights >= 0)
    if not good.all():
        i = int(np.argmin(good))
        raise ArgumentError(f"weights must be finite and at least 0, got {weights[i]} at {i}")
    return weights
