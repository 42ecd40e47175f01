"""Losses: each returns the mean over the batch and writes its gradient into an array of the caller.

``loss(prediction, target, grad)`` returns a float and writes d(mean loss) / d(prediction). The
cross-entropies take logits, the outputs of a last layer without its sigmoid or softmax: together
they are stable for large logits and their gradient is a difference. Sums run in float64 whatever
the arrays' dtype. A NaN in the input gives a NaN loss; an empty batch gives NaN, the mean of
nothing, and touches no gradient.
"""

from __future__ import annotations

import math

import numpy as np

from fastinit.errors import ArgumentError
from fastinit.kernels.jit import FloatArray, IntArray, njit

__all__ = [
    "binary_crossentropy_from_logits",
    "categorical_crossentropy_from_logits",
    "mean_squared_error",
]


@njit
def mean_squared_error(prediction: FloatArray, target: FloatArray, grad: FloatArray) -> float:
    """Return the mean of ``(prediction - target)**2`` over all elements, and write its gradient.

    ``grad = 2 * (prediction - target) / prediction.size``.

    Parameters
    ----------
    prediction : ndarray, shape (batch, units)
        The network's outputs, float32 or float64.
    target : ndarray, shape (batch, units)
        What they should be.
    grad : ndarray, shape (batch, units)
        Overwritten with the gradient in `prediction`, which it may be.

    Returns
    -------
    float
        The mean loss.

    Raises
    ------
    ArgumentError
        If the shapes differ.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> grad = numpy.empty((1, 2))
    >>> kernels.mean_squared_error(numpy.array([[1.0, 4.0]]), numpy.array([[1.0, 2.0]]), grad)
    2.0
    >>> grad.tolist()
    [[0.0, 2.0]]
    """
    if not prediction.shape == target.shape == grad.shape:
        raise ArgumentError("prediction, target and grad must have the same shape")
    rows, units = prediction.shape
    scale = 2.0 / prediction.size
    total = 0.0
    for i in range(rows):
        for j in range(units):
            difference = np.float64(prediction[i, j]) - target[i, j]
            total += difference * difference
            grad[i, j] = scale * difference
    return total / prediction.size


@njit
def binary_crossentropy_from_logits(
    logits: FloatArray, target: FloatArray, grad: FloatArray
) -> float:
    """Return the mean cross-entropy of independent yes-or-no outputs, and write its gradient.

    For each element ``-t log(s) - (1 - t) log(1 - s)`` with ``s = sigmoid(logit)``, computed as
    ``max(z, 0) - z t + log(1 + exp(-|z|))``; ``grad = (s - t) / logits.size``.

    Parameters
    ----------
    logits : ndarray, shape (batch, units)
        Outputs before the sigmoid, float32 or float64.
    target : ndarray, shape (batch, units)
        Probabilities in [0, 1], mostly 0 or 1, of the dtype of `logits`.
    grad : ndarray, shape (batch, units)
        Overwritten with the gradient in `logits`, which it may be.

    Returns
    -------
    float
        The mean loss over all elements.

    Raises
    ------
    ArgumentError
        If the shapes differ.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> logits, target, grad = numpy.zeros((1, 1)), numpy.ones((1, 1)), numpy.empty((1, 1))
    >>> round(kernels.binary_crossentropy_from_logits(logits, target, grad), 4)
    0.6931
    >>> grad.tolist()
    [[-0.5]]
    """
    if not logits.shape == target.shape == grad.shape:
        raise ArgumentError("logits, target and grad must have the same shape")
    rows, units = logits.shape
    scale = 1.0 / logits.size
    total = 0.0
    for i in range(rows):
        for j in range(units):
            z, t = np.float64(logits[i, j]), np.float64(target[i, j])
            e = math.exp(-abs(z))  # at most 1
            total += (0.0 if z <= 0.0 else z) - z * t + math.log1p(e)
            grad[i, j] = scale * ((e if z < 0.0 else 1.0) / (1.0 + e) - t)
    return total / logits.size


@njit
def categorical_crossentropy_from_logits(
    logits: FloatArray, labels: IntArray, grad: FloatArray
) -> float:
    """Return the mean cross-entropy of one class out of many, and write its gradient.

    For each row ``log(sum(exp(z))) - z[label]``, the largest logit subtracted from all first;
    ``grad = (softmax(z) - one_hot(label)) / batch``.

    Parameters
    ----------
    logits : ndarray, shape (batch, classes)
        Outputs before the softmax, float32 or float64.
    labels : ndarray of int, shape (batch,)
        The class of each row, from 0 to ``classes - 1``.
    grad : ndarray, shape (batch, classes)
        Overwritten with the gradient in `logits`, which it may be.

    Returns
    -------
    float
        The mean loss over the rows.

    Raises
    ------
    ArgumentError
        If `grad` has another shape than `logits`, `labels` another length, or a label is not the
        number of a class.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> logits, labels, grad = numpy.zeros((1, 2)), numpy.array([1]), numpy.empty((1, 2))
    >>> round(kernels.categorical_crossentropy_from_logits(logits, labels, grad), 4)
    0.6931
    >>> grad.tolist()
    [[0.5, -0.5]]
    """
    rows, classes = logits.shape
    if grad.shape != logits.shape or labels.size != rows:
        raise ArgumentError("grad must have the shape of logits, labels one element a row")
    for label in labels:
        if label < 0 or label >= classes:
            raise ArgumentError("every label must be at least 0 and below the number of classes")
    total = 0.0
    for i in range(rows):
        largest = -np.inf
        for j in range(classes):
            largest = max(largest, np.float64(logits[i, j]))
        at_label = np.float64(logits[i, labels[i]])
        normalizer = 0.0
        for j in range(classes):
            e = math.exp(logits[i, j] - largest)
            normalizer += e
            grad[i, j] = e
        total += (largest - at_label) + math.log(normalizer)
        scale = 1.0 / (normalizer * rows)
        for j in range(classes):
            grad[i, j] *= scale
        grad[i, labels[i]] -= 1.0 / rows
    return float(total / rows)
