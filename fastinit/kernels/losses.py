"""Losses: each returns the mean over the batch and writes its gradient into an array of the caller.

``loss(prediction, target, grad)`` returns a float and writes d(mean loss) / d(prediction). The
cross-entropies take logits, the outputs of a last layer without its sigmoid or softmax: together
they are stable for large logits and their gradient is a difference.

A row's loss is the mean over its units, or its categorical cross-entropy. Weights multiply it, and
the batch's loss is the sum over the rows divided by their *number*, as in Keras. PyTorch's
``cross_entropy(weight=)`` divides by the sum of the rows' class weights instead: its loss and
gradient are ours times ``batch / sum(weights)``. With label smoothing the two differ further: here
a row has the weight of its label, there each class's share in the smoothed target has its own.

Arrays are C-contiguous; those of one call, but for labels and weights, are all float32 or all
float64. Exponentials and logarithms of elements have that precision; sums run in float64, in the
order of the columns, then of the rows. A NaN in the input gives a NaN loss, and so does a weight of
zero on a loss that is not finite. An empty batch gives NaN, the mean of nothing, and touches no
gradient.

`loss_rows` is all of them for a loop over batches that is split among threads: chosen by number,
unchecked, one loss a row.
"""

from __future__ import annotations

import numba
import numpy as np
from llvmlite import ir
from numba.core import types

from fastinit.errors import ArgumentError
from fastinit.kernels.elementary import exp, log, log1p
from fastinit.kernels.jit import FloatArray, IntArray, intrinsic, njit
from fastinit.sampling.jit import merged

__all__ = [
    "binary_crossentropy_from_logits",
    "categorical_crossentropy_from_logits",
    "huber",
    "loss_rows",
    "mean_absolute_error",
    "mean_squared_error",
]

MEAN_SQUARED_ERROR = 0
MEAN_ABSOLUTE_ERROR = 1
HUBER = 2
BINARY_CROSSENTROPY = 3
CATEGORICAL_CROSSENTROPY = 4

# Elements that are computed in one vectorized loop before they are summed.
CHUNK = 256

CODES = {
    "mean_squared_error": MEAN_SQUARED_ERROR,
    "mean_absolute_error": MEAN_ABSOLUTE_ERROR,
    "huber": HUBER,
    "binary_crossentropy": BINARY_CROSSENTROPY,
    "categorical_crossentropy": CATEGORICAL_CROSSENTROPY,
}


# The losses are the three functions ``_..._rows``: each writes the gradients, times the weights and
# `scale`, and returns the weighted sum of the rows' losses, which `losses` takes unless it is None.
# A `grad` of size 0 is not written.


@merged
def _weight(weights, i):
    if weights is None:
        return 1.0
    return np.float64(weights[i])


@merged
def _write(losses, i, loss):
    if losses is not None:
        losses[i] = loss


@merged
def _error(code, delta, output, value):
    """Return an element's loss and its derivative, float64."""
    difference = np.float64(output) - np.float64(value)
    size = abs(difference)
    if code == MEAN_SQUARED_ERROR:
        return difference * difference, 2.0 * difference
    if code == MEAN_ABSOLUTE_ERROR:
        sign = 1.0 if difference > 0.0 else (-1.0 if difference < 0.0 else difference)
        return size, sign
    near = delta if size > delta else size
    return near * (size - 0.5 * near), (-near if difference < 0.0 else near)


@merged
def _error_rows(code, delta, output, target, sample_weights, scale, grad, losses):
    rows, units = output.shape
    scale /= units
    total = 0.0
    for i in range(np.uint64(rows)):
        weight = _weight(sample_weights, i)
        factor = scale * weight
        row = 0.0
        for j in range(np.uint64(units)):
            loss, derivative = _error(code, delta, output[i, j], target[i, j])
            row += loss
            if grad.size > 0:
                grad[i, j] = factor * derivative
        row = weight * (row / units)
        _write(losses, i, row)
        total += row
    return total


@intrinsic
def _room(typing, array):
    """Return the address of `CHUNK` elements of the array's dtype on the stack."""

    def code(context, builder, signature, arguments):
        element = context.get_data_type(array.dtype)
        with builder.goto_entry_block():
            room = builder.alloca(ir.ArrayType(element, CHUNK))
        return builder.bitcast(room, element.as_pointer())

    return types.CPointer(array.dtype)(array), code


@merged
def _binary(smoothing, z, target):
    """Return an element's loss and its derivative, in the dtype of its logit.

    With q = sigmoid(-|z|), and d how far the target is from 1 if z is positive, else from 0, the
    loss is d |z| - log(1 - q): nothing cancels, as it would in sigmoid(z) - target near 1.
    """
    one, smoothing = type(z)(1), type(z)(smoothing)
    distance = one - target if z > 0 else target
    distance = distance * (one - smoothing) + type(z)(0.5) * smoothing
    e = exp(-abs(z))
    derivative = distance - e / (one + e)
    return distance * abs(z) + log1p(e), (derivative if z > 0 else -derivative)


@merged
def _binary_rows(smoothing, logits, target, class_weights, sample_weights, scale, grad, losses):
    weight_0, weight_1 = _weight(class_weights, 0), _weight(class_weights, 1)
    z, t, g = logits.reshape(-1), target.reshape(-1), grad.reshape(-1)
    elements, slopes = numba.carray(_room(grad), CHUNK), numba.carray(_room(grad), CHUNK)
    units = np.uint64(logits.shape[1])
    scale /= units
    total = row = 0.0
    i = j = np.uint64(0)
    for start in range(0, z.size, CHUNK):
        first, count = np.uint64(start), np.uint64(min(CHUNK, z.size - start))
        for k in range(count):  # vectorizes, also where rows are short
            elements[k], slopes[k] = _binary(smoothing, z[first + k], t[first + k])
        for k in range(count):
            at = first + k
            weight = _weight(sample_weights, i) * (weight_0 + t[at] * (weight_1 - weight_0))
            row += weight * elements[k]
            if g.size > 0:
                g[at] = scale * weight * slopes[k]
            j += np.uint64(1)
            if j == units:
                _write(losses, i, row / units)
                total += row
                row = 0.0
                i += np.uint64(1)
                j = np.uint64(0)
    return total / units


@merged
def _distance(smoothing, logits, i, label):
    """Return a row's largest logit, and how far the target's mean logit is below that."""
    classes = np.uint64(logits.shape[1])
    largest = logits[i, np.uint64(0)]
    for j in range(classes):
        z = logits[i, j]
        largest = z if z > largest else largest
    distance = (1.0 - smoothing) * (np.float64(largest) - np.float64(logits[i, label]))
    # Without smoothing a class that minus infinity excludes must not count. The loop has a bound
    # since a branch around it would double the time of short rows.
    counted = classes if smoothing > 0.0 else np.uint64(0)
    total = 0.0
    for j in range(counted):
        total += np.float64(largest) - np.float64(logits[i, j])
    distance += smoothing * (total / classes)
    return largest, distance


@merged
def _log_sum(logits, i, largest):
    """Return the logarithm of a row's sum of exponentials, as `_normalize` does."""
    exponentials = numba.carray(_room(logits), CHUNK)
    total = 0.0
    for start in range(0, logits.shape[1], CHUNK):
        first, count = np.uint64(start), np.uint64(min(CHUNK, logits.shape[1] - start))
        for k in range(count):
            exponentials[k] = exp(logits[i, first + k] - largest)
        for k in range(count):
            total += np.float64(exponentials[k])
    return log(total)


@merged
def _normalize(smoothing, i, label, factor, grad):
    """Turn a row's exponentials into its gradient, and return the logarithm of their sum."""
    classes = np.uint64(grad.shape[1])
    total = 0.0
    for j in range(classes):
        total += np.float64(grad[i, j])
    inverse, share = 1.0 / total, smoothing / classes
    at_label = np.float64(grad[i, label]) * inverse - (1.0 - smoothing) - share
    scale, shift = grad.dtype.type(factor * inverse), grad.dtype.type(factor * share)
    for j in range(classes):
        grad[i, j] = grad[i, j] * scale - shift
    grad[i, label] = factor * at_label
    return log(total)


@merged
def _categorical_rows(
    smoothing, logits, labels, class_weights, sample_weights, scale, grad, losses
):
    total = 0.0
    rows = np.uint64(logits.shape[0])
    for i in range(rows):
        label = np.uint64(labels[i])
        weight = _weight(class_weights, label) * _weight(sample_weights, i)
        largest, distance = _distance(smoothing, logits, i, label)
        loss = weight * distance
        if grad.size == 0:
            loss += weight * _log_sum(logits, i, largest)
        else:
            for j in range(np.uint64(logits.shape[1])):
                grad[i, j] = logits[i, j] - largest
        _write(losses, i, loss)
        total += loss
    if grad.size == 0:
        return total
    flat = grad.reshape(-1)
    for k in range(np.uint64(flat.size)):  # vectorizes, also where rows are short
        flat[k] = exp(flat[k])
    for i in range(rows):
        label = np.uint64(labels[i])
        weight = _weight(class_weights, label) * _weight(sample_weights, i)
        loss = weight * _normalize(smoothing, i, label, scale * weight, grad)
        if losses is not None:
            losses[i] += loss
        total += loss
    return total


@merged
def _check_sample_weights(sample_weights, rows):
    if sample_weights is not None and sample_weights.shape != (rows,):
        raise ArgumentError("sample_weights must have the shape (batch,)")


@merged
def _check_smoothing(label_smoothing):
    if not 0.0 <= label_smoothing < 1.0:
        raise ArgumentError("label_smoothing must be at least 0 and below 1")


@merged
def _mean_error(code, delta, prediction, target, grad, sample_weights):
    if not prediction.shape == target.shape == grad.shape:
        raise ArgumentError("prediction, target and grad must have the same shape")
    rows = len(prediction)
    _check_sample_weights(sample_weights, rows)
    scale = 1.0 / rows
    total = _error_rows(code, delta, prediction, target, sample_weights, scale, grad, None)
    return total / rows


@njit
def loss_rows(
    code: int,
    parameters: FloatArray,
    output: FloatArray,
    values: FloatArray,
    labels: IntArray,
    weights: FloatArray,
    scale: float,
    grad: FloatArray,
    losses: FloatArray,
) -> None:
    """Write each row's weighted loss, and its gradient; nothing is checked.

    ``losses[i] = weights[i] * loss_i``, where ``loss_i`` is the mean over the row's units or its
    categorical cross-entropy; ``grad[i] = scale * weights[i] * d(loss_i) / d(output[i])``. No row
    depends on another, so threads may each take a slice of rows.

    Parameters
    ----------
    code : int
        The loss, of `CODES`.
    parameters : ndarray of float64, shape (1,)
        ``delta`` of Huber's loss, ``label_smoothing`` of the cross-entropies; others ignore it.
    output : ndarray, shape (batch, units)
        Predictions or logits, float32 or float64.
    values : ndarray, shape (batch, units)
        Targets, of the dtype of `output`; ignored, and of any size, for the categorical loss.
    labels : ndarray of int64, shape (batch,)
        Classes, for the categorical loss; ignored, and of any size, for others.
    weights : ndarray of float64, shape (batch,)
        Weight of each row.
    scale : float
        What the gradient is multiplied by: 1 / batch for that of the mean.
    grad : ndarray, shape (batch, units)
        Overwritten with the gradient in `output`, which it may be; of size 0 to do without.
    losses : ndarray of float64, shape (batch,)
        Overwritten with the rows' losses.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels.losses import CODES, loss_rows
    >>> output, values, labels = numpy.array([[1.0, 4.0]]), numpy.ones((1, 2)), numpy.empty(0, int)
    >>> grad, losses, one = numpy.empty((1, 2)), numpy.empty(1), numpy.ones(1)
    >>> loss_rows(CODES["mean_squared_error"], one, output, values, labels, one, 1.0, grad, losses)
    >>> losses.tolist(), grad.tolist()
    ([4.5], [[0.0, 3.0]])
    """
    parameter = parameters[0]
    if code == CATEGORICAL_CROSSENTROPY:
        _categorical_rows(parameter, output, labels, None, weights, scale, grad, losses)
    elif code == BINARY_CROSSENTROPY:
        _binary_rows(parameter, output, values, None, weights, scale, grad, losses)
    else:
        _error_rows(code, parameter, output, values, weights, scale, grad, losses)


@njit
def mean_squared_error(
    prediction: FloatArray,
    target: FloatArray,
    grad: FloatArray,
    sample_weights: FloatArray | None = None,
) -> float:
    """Return the mean of ``(prediction - target)**2`` over all elements, and write its gradient.

    ``grad = 2 * (prediction - target) / prediction.size``; row i of both counts
    ``sample_weights[i]`` times.

    Parameters
    ----------
    prediction : ndarray, shape (batch, units)
        The network's outputs, float32 or float64.
    target : ndarray, shape (batch, units)
        What they should be.
    grad : ndarray, shape (batch, units)
        Overwritten with the gradient in `prediction`, which it may be.
    sample_weights : ndarray, shape (batch,), optional
        Weight of each row; 1 where not given.

    Returns
    -------
    float
        The mean loss.

    Raises
    ------
    ArgumentError
        If the shapes do not fit.

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
    return float(_mean_error(MEAN_SQUARED_ERROR, 0.0, prediction, target, grad, sample_weights))


@njit
def mean_absolute_error(
    prediction: FloatArray,
    target: FloatArray,
    grad: FloatArray,
    sample_weights: FloatArray | None = None,
) -> float:
    """Return the mean of ``abs(prediction - target)`` over all elements, and write its gradient.

    ``grad = sign(prediction - target) / prediction.size``, 0 where they are equal; row i of both
    counts ``sample_weights[i]`` times.

    Parameters
    ----------
    prediction : ndarray, shape (batch, units)
        The network's outputs, float32 or float64.
    target : ndarray, shape (batch, units)
        What they should be.
    grad : ndarray, shape (batch, units)
        Overwritten with the gradient in `prediction`, which it may be.
    sample_weights : ndarray, shape (batch,), optional
        Weight of each row; 1 where not given.

    Returns
    -------
    float
        The mean loss.

    Raises
    ------
    ArgumentError
        If the shapes do not fit.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels.losses import mean_absolute_error
    >>> grad = numpy.empty((1, 2))
    >>> mean_absolute_error(numpy.array([[1.0, 4.0]]), numpy.array([[1.0, 2.0]]), grad)
    1.0
    >>> grad.tolist()
    [[0.0, 0.5]]
    """
    return float(_mean_error(MEAN_ABSOLUTE_ERROR, 0.0, prediction, target, grad, sample_weights))


@njit
def huber(
    prediction: FloatArray,
    target: FloatArray,
    grad: FloatArray,
    delta: float = 1.0,
    sample_weights: FloatArray | None = None,
) -> float:
    """Return Huber's loss, quadratic for small errors and linear for large ones, and its gradient.

    With d the difference ``prediction - target`` of an element, ``d**2 / 2`` where ``abs(d) <=
    delta``, else ``delta * (abs(d) - delta / 2)``; the mean over all elements. ``grad = clip(d,
    -delta, delta) / prediction.size``; row i of both counts ``sample_weights[i]`` times.

    Parameters
    ----------
    prediction : ndarray, shape (batch, units)
        The network's outputs, float32 or float64.
    target : ndarray, shape (batch, units)
        What they should be.
    grad : ndarray, shape (batch, units)
        Overwritten with the gradient in `prediction`, which it may be.
    delta : float, default 1.0
        The largest error that is squared, above 0.
    sample_weights : ndarray, shape (batch,), optional
        Weight of each row; 1 where not given.

    Returns
    -------
    float
        The mean loss.

    Raises
    ------
    ArgumentError
        If the shapes do not fit or `delta` is not above 0.

    References
    ----------
    P. J. Huber, "Robust Estimation of a Location Parameter", Annals of Mathematical Statistics 35,
    1964.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels.losses import huber
    >>> grad = numpy.empty((1, 2))
    >>> huber(numpy.array([[1.0, 4.0]]), numpy.array([[0.0, 2.0]]), grad)
    1.0
    >>> grad.tolist()
    [[0.5, 0.5]]
    """
    if not delta > 0.0:
        raise ArgumentError("delta must be above 0")
    return float(_mean_error(HUBER, float(delta), prediction, target, grad, sample_weights))


@njit
def binary_crossentropy_from_logits(
    logits: FloatArray,
    target: FloatArray,
    grad: FloatArray,
    label_smoothing: float = 0.0,
    class_weights: FloatArray | None = None,
    sample_weights: FloatArray | None = None,
) -> float:
    """Return the mean cross-entropy of independent yes-or-no outputs, and write its gradient.

    For each element ``-t log(s) - (1 - t) log(1 - s)`` with ``s = sigmoid(logit)``, computed
    without cancellation or overflow; ``grad = (s - t) / logits.size``.

    Parameters
    ----------
    logits : ndarray, shape (batch, units)
        Outputs before the sigmoid, float32 or float64. An infinite one makes the loss infinite or
        NaN.
    target : ndarray, shape (batch, units)
        Probabilities in [0, 1], mostly 0 or 1, of the dtype of `logits`.
    grad : ndarray, shape (batch, units)
        Overwritten with the gradient in `logits`, which it may be.
    label_smoothing : float, default 0.0
        In [0, 1): the loss is that of the target ``t * (1 - label_smoothing) + label_smoothing /
        2``.
    class_weights : ndarray, shape (2,), optional
        Weights of the elements whose target is 0 and 1, one between them by interpolation. PyTorch
        has the second, relative to the first, as `pos_weight`.
    sample_weights : ndarray, shape (batch,), optional
        Weight of each row, multiplied with the former; 1 where not given.

    Returns
    -------
    float
        The mean loss over all elements.

    Raises
    ------
    ArgumentError
        If the shapes do not fit or `label_smoothing` is out of range.

    References
    ----------
    C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision",
    arXiv:1512.00567 (label smoothing).

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
    rows = len(logits)
    _check_sample_weights(sample_weights, rows)
    _check_smoothing(label_smoothing)
    if class_weights is not None and class_weights.shape != (2,):
        raise ArgumentError("class_weights must have the shape (2,), the weights of 0 and of 1")
    total = _binary_rows(
        label_smoothing, logits, target, class_weights, sample_weights, 1.0 / rows, grad, None
    )
    return float(total / rows)


@njit
def categorical_crossentropy_from_logits(
    logits: FloatArray,
    labels: IntArray,
    grad: FloatArray,
    label_smoothing: float = 0.0,
    class_weights: FloatArray | None = None,
    sample_weights: FloatArray | None = None,
) -> float:
    """Return the mean cross-entropy of one class out of many, and write its gradient.

    For each row ``log(sum(exp(z))) - z[label]``, the largest logit subtracted from all first;
    ``grad = (softmax(z) - one_hot(label)) / batch``.

    Parameters
    ----------
    logits : ndarray, shape (batch, classes)
        Outputs before the softmax, float32 or float64. Minus infinity excludes a class: the loss
        is infinite if that is the label, or with label smoothing. Plus infinity makes it NaN.
    labels : ndarray of int, shape (batch,)
        The class of each row, from 0 to ``classes - 1``.
    grad : ndarray, shape (batch, classes)
        Overwritten with the gradient in `logits`, which it may be.
    label_smoothing : float, default 0.0
        In [0, 1): the loss is that of the target ``one_hot(label) * (1 - label_smoothing) +
        label_smoothing / classes``.
    class_weights : ndarray, shape (classes,), optional
        Weight of the rows of each label; 1 where not given.
    sample_weights : ndarray, shape (batch,), optional
        Weight of each row, multiplied with the former; 1 where not given.

    Returns
    -------
    float
        The mean loss over the rows: the weighted sum divided by their number, not by the sum of
        the weights as in PyTorch's ``cross_entropy(weight=)``.

    Raises
    ------
    ArgumentError
        If the shapes do not fit, `label_smoothing` is out of range, or a label is not the number of
        a class.

    References
    ----------
    C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision",
    arXiv:1512.00567 (label smoothing).

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
    if grad.shape != logits.shape or labels.shape != (rows,):
        raise ArgumentError("grad must have the shape of logits, labels one element a row")
    _check_sample_weights(sample_weights, rows)
    _check_smoothing(label_smoothing)
    if class_weights is not None and class_weights.shape != (classes,):
        raise ArgumentError("class_weights must have the shape (classes,)")
    for label in labels:
        if label < 0 or label >= classes:
            raise ArgumentError("every label must be at least 0 and below the number of classes")
    total = _categorical_rows(
        label_smoothing, logits, labels, class_weights, sample_weights, 1.0 / rows, grad, None
    )
    return float(total / rows)
