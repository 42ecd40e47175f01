"""Metrics: how good outputs are, one number a row, for the loop over the batches of a network.

Nothing is trained on these, so there are no gradients. Like `fastinit.kernels.losses.loss_rows`,
`metric_rows` chooses by number and checks nothing; the mean over the rows is the caller's, weighted
or not. An output that is NaN is wrong: it counts 0 among the hits, and makes an error NaN.
"""

from __future__ import annotations

import numpy as np

from fastinit.kernels.jit import FloatArray, IntArray, njit
from fastinit.sampling.jit import merged

__all__ = ["metric_rows"]

ACCURACY = 0
TOP_K_CATEGORICAL_ACCURACY = 1
BINARY_ACCURACY = 2
MEAN_ABSOLUTE_ERROR = 3
MEAN_SQUARED_ERROR = 4

CODES = {
    "accuracy": ACCURACY,
    "top_k_categorical_accuracy": TOP_K_CATEGORICAL_ACCURACY,
    "binary_accuracy": BINARY_ACCURACY,
    "mean_absolute_error": MEAN_ABSOLUTE_ERROR,
    "mean_squared_error": MEAN_SQUARED_ERROR,
}


@merged
def _rank(output, i, label):
    """Return how many classes go before the label: larger, equal and to its left, or NaN."""
    at_label = output[i, label]
    before = 0
    for j in range(label):
        before += not at_label > output[i, j]
    for j in range(label + np.uint64(1), np.uint64(output.shape[1])):
        before += not at_label >= output[i, j]
    return before if at_label == at_label else output.shape[1]


@merged
def _element(code, threshold, output, value):
    if code == BINARY_ACCURACY:
        right = (output > threshold) == (value > 0.5)
        return np.float64(right & (output == output))  # not NaN
    difference = np.float64(output) - np.float64(value)
    return abs(difference) if code == MEAN_ABSOLUTE_ERROR else difference * difference


@njit
def metric_rows(
    code: int,
    parameter: float,
    output: FloatArray,
    values: FloatArray,
    labels: IntArray,
    out: FloatArray,
) -> None:
    """Write the metric of each row; nothing is checked.

    "accuracy": 1 where the largest output is the label's, else 0; of equal outputs the first is the
    largest. "top_k_categorical_accuracy": 1 where fewer than `parameter` outputs go before the
    label's, by that rule; Keras' counts labels that tie with the k-th as hits on some backends.
    "binary_accuracy": the share of the units with ``(output > parameter) == (value > 0.5)``, where
    `parameter` is 0.5 for probabilities and 0 for logits. "mean_absolute_error" and
    "mean_squared_error": means over the units.

    Parameters
    ----------
    code : int
        The metric, of `CODES`.
    parameter : float
        What is said above; others ignore it.
    output : ndarray, shape (batch, units)
        Outputs of the network, float32 or float64.
    values : ndarray, shape (batch, units)
        Targets, of the dtype of `output`; ignored, and of any size, where `labels` count.
    labels : ndarray of int64, shape (batch,)
        Classes, for "accuracy" and "top_k_categorical_accuracy"; ignored, and of any size, for
        others.
    out : ndarray of float64, shape (batch,)
        Overwritten with the rows' metrics.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels.metrics import CODES, metric_rows
    >>> output, labels = numpy.array([[1.0, 3.0], [2.0, 0.0]]), numpy.array([1, 1])
    >>> out = numpy.empty(2)
    >>> metric_rows(CODES["accuracy"], 0.0, output, output, labels, out)
    >>> out.tolist()
    [1.0, 0.0]
    """
    rows, units = output.shape
    if code in (ACCURACY, TOP_K_CATEGORICAL_ACCURACY):
        places = 1.0 if code == ACCURACY else parameter
        for i in range(np.uint64(rows)):
            out[i] = 1.0 if _rank(output, i, np.uint64(labels[i])) < places else 0.0
    else:
        for i in range(np.uint64(rows)):
            total = 0.0
            for j in range(np.uint64(units)):
                total += _element(code, parameter, output[i, j], values[i, j])
            out[i] = total / units
