"""What a network accepts from outside: every check of data and of counts, before any computing."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.kernels.jit import FloatArray

__all__ = ["as_count", "as_features", "as_labels", "as_probabilities", "as_values", "same_length"]


def as_count(name: str, value: int, least: int = 1) -> int:
    """Return `value` as an int that is at least `least`, or raise naming the argument `name`."""
    try:
        count = operator.index(value)
    except TypeError:
        raise ArgumentTypeError(f"{name} must be an integer, got {value!r}") from None
    if count < least:
        raise ArgumentError(f"{name} must be at least {least}, got {value!r}")
    return count


def as_features(x: ArrayLike, columns: int | None, dtype: np.dtype[Any]) -> FloatArray:
    """Return `x` as a finite, C-contiguous matrix of one example a row.

    `columns` is the number of features that the network takes, None before it is built.
    """
    array = _real_array("x", x)
    if array.ndim != 2:
        raise ArgumentError(f"x must have the shape (examples, features), got {array.shape}")
    if columns is not None and array.shape[1] != columns:
        raise ArgumentError(f"x has {array.shape[1]} features, but the network takes {columns}")
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
        result: FloatArray = np.ascontiguousarray(array, dtype)
    finite = np.isfinite(result)
    if not finite.all():
        i, j = np.argwhere(~finite)[0]
        raise ArgumentError(
            f"{name} must be finite in {dtype}, got {array[i, j]} at {name}[{i}, {j}]"
        )
    return result
