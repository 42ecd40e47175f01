"""Batch and layer normalization, forward and backward, written into arrays that the caller gives.

Both subtract a mean and divide by a standard deviation: of each column over the batch, or of each
row over its units. The variance is the biased one, the mean square of the differences.

All arrays of a call are C-contiguous and all float32 or all float64. What a forward pass keeps for
the backward pass is `inverse_std`, which is ``1 / sqrt(variance + epsilon)``, and `mean`, which
counts from the first number of the column or row: a float32 near 10000 has three digits after the
point, a difference of two of them all that the data have. Mean and variance are made of such
differences in two passes, so distance from zero costs nothing: the outputs err by a few units in
the last place of what is normalized, at 10000 rows of float32 by some tens.

Columns are summed row after row, rows in `lanes`: one order on every processor and for any cut of
the work, so the functions for a range of columns or a slice of rows, which threads may share out
and which check nothing, give the same bits as those for the whole.

A NaN or an infinity in a column, or in a row, makes all of that NaN.
"""

from __future__ import annotations

import numpy as np

from fastinit.errors import ArgumentError
from fastinit.kernels.jit import FloatArray, njit
from fastinit.kernels.lanes import LANES, first_lanes, keep_first, lanes, spread, total

__all__ = [
    "batch_norm_backward",
    "batch_norm_forward",
    "batch_norm_inference",
    "batch_norm_inference_backward",
    "layer_norm_backward",
    "layer_norm_forward",
]

# Loops over columns run over unsigned numbers: a negative index would count from the end, and the
# test for that keeps LLVM from vectorizing.

# ---------------------------------------------------------------- batch normalization


@njit
def batch_norm_columns(
    x: FloatArray,
    gamma: FloatArray,
    beta: FloatArray,
    out: FloatArray,
    mean: FloatArray,
    inverse_std: FloatArray,
    moving_mean: FloatArray,
    moving_variance: FloatArray,
    momentum: float,
    epsilon: float,
    first: int,
    last: int,
) -> None:
    """Do what `batch_norm_forward` does, unchecked, in the columns `first` to ``last - 1``."""
    rows = x.shape[0]
    if rows == 0:
        return
    columns = range(np.uint64(first), np.uint64(last))
    number = x.dtype.type
    zero, one, share = number(0), number(1), number(1.0 / rows)
    keep, take, least = number(momentum), number(1.0 - momentum), number(epsilon)
    for j in columns:
        mean[j] = zero
        inverse_std[j] = zero
        out[0, j] = zero
    for i in range(np.uint64(rows)):
        for j in columns:
            mean[j] += x[i, j] - x[0, j]
    for j in columns:
        mean[j] *= share
    for i in range(np.uint64(rows)):
        for j in columns:
            difference = (x[i, j] - x[0, j]) - mean[j]
            out[0, j] += difference  # what the rounding of the first sum left
            inverse_std[j] += difference * difference
    for j in columns:
        miss = out[0, j] * share
        mean[j] += miss
        variance = inverse_std[j] * share - miss * miss
        moving_mean[j] = keep * moving_mean[j] + take * (x[0, j] + mean[j])
        moving_variance[j] = keep * moving_variance[j] + take * variance
        inverse_std[j] = one / np.sqrt(variance + least)
    for i in range(np.uint64(rows)):
        for j in columns:
            normalized = ((x[i, j] - x[0, j]) - mean[j]) * inverse_std[j]
            out[i, j] = normalized * gamma[j] + beta[j]


@njit
def batch_norm_backward_columns(
    x: FloatArray,
    gamma: FloatArray,
    mean: FloatArray,
    inverse_std: FloatArray,
    grad_out: FloatArray,
    grad_in: FloatArray,
    grad_gamma: FloatArray,
    grad_beta: FloatArray,
    first: int,
    last: int,
) -> None:
    """Do what `batch_norm_backward` does, unchecked, in the columns `first` to ``last - 1``."""
    rows = x.shape[0]
    columns = range(np.uint64(first), np.uint64(last))
    zero, share = x.dtype.type(0), x.dtype.type(1.0 / max(rows, 1))
    for j in columns:
        grad_gamma[j] = zero
        grad_beta[j] = zero
    for i in range(np.uint64(rows)):
        for j in columns:
            normalized = ((x[i, j] - x[0, j]) - mean[j]) * inverse_std[j]
            grad_gamma[j] += grad_out[i, j] * normalized
            grad_beta[j] += grad_out[i, j]
    for i in range(np.uint64(rows)):
        for j in columns:
            normalized = ((x[i, j] - x[0, j]) - mean[j]) * inverse_std[j]
            through_statistics = (grad_beta[j] + normalized * grad_gamma[j]) * share
            grad_in[i, j] = (grad_out[i, j] - through_statistics) * (inverse_std[j] * gamma[j])


@njit
def batch_norm_inference_columns(
    x: FloatArray,
    gamma: FloatArray,
    beta: FloatArray,
    out: FloatArray,
    inverse_std: FloatArray,
    moving_mean: FloatArray,
    moving_variance: FloatArray,
    epsilon: float,
    first: int,
    last: int,
) -> None:
    """Do what `batch_norm_inference` does, unchecked, in the columns `first` to ``last - 1``."""
    columns = range(np.uint64(first), np.uint64(last))
    one, least = x.dtype.type(1), x.dtype.type(epsilon)
    for j in columns:
        inverse_std[j] = one / np.sqrt(moving_variance[j] + least)
    for i in range(np.uint64(x.shape[0])):
        for j in columns:
            normalized = (x[i, j] - moving_mean[j]) * inverse_std[j]
            out[i, j] = normalized * gamma[j] + beta[j]


@njit
def batch_norm_inference_backward_columns(
    gamma: FloatArray,
    inverse_std: FloatArray,
    grad_out: FloatArray,
    grad_in: FloatArray,
    first: int,
    last: int,
) -> None:
    """Do `batch_norm_inference_backward`, unchecked, in the columns `first` to ``last - 1``."""
    for i in range(np.uint64(grad_out.shape[0])):
        for j in range(np.uint64(first), np.uint64(last)):
            grad_in[i, j] = grad_out[i, j] * (inverse_std[j] * gamma[j])


@njit
def batch_norm_forward(
    x: FloatArray,
    gamma: FloatArray,
    beta: FloatArray,
    out: FloatArray,
    mean: FloatArray,
    inverse_std: FloatArray,
    moving_mean: FloatArray,
    moving_variance: FloatArray,
    momentum: float,
    epsilon: float,
) -> None:
    """Normalize each column by the mean and variance that it has in this batch, as in training.

    ``out = gamma * (x - mean(x)) / sqrt(var(x) + epsilon) + beta``, with the biased variance; and
    the moving statistics, which are for inference, become ``momentum * moving + (1 - momentum) *
    statistic``. Both as in Keras. PyTorch's momentum is one minus this one, and the variance that
    it lets move is the unbiased one, ``rows / (rows - 1)`` times larger.

    A column of equal numbers gives `beta` exactly, and so does a batch of one row. An empty batch
    changes nothing.

    Parameters
    ----------
    x : ndarray, shape (batch, units)
        The layer's inputs, C-contiguous, float32 or float64. The batch may be empty.
    gamma, beta : ndarray, shape (units,)
        The layer's scales and offsets, of the same dtype, as are all that follow.
    out : ndarray, shape (batch, units)
        Overwritten with the outputs; it may not be `x`.
    mean : ndarray, shape (units,)
        Overwritten with the mean of ``x - x[0]``, for the backward pass.
    inverse_std : ndarray, shape (units,)
        Overwritten with ``1 / sqrt(var(x) + epsilon)``, for the backward pass.
    moving_mean, moving_variance : ndarray, shape (units,)
        Moved towards this batch's mean and variance.
    momentum : float
        From 0 to 1; Keras' default is 0.99.
    epsilon : float
        Not negative; Keras' default is 0.001, PyTorch's 0.00001. With 0, a column of equal numbers
        gives NaN.

    Raises
    ------
    ArgumentError
        If the shapes do not fit one another, or `momentum` or `epsilon` is out of range or a NaN.

    References
    ----------
    Ioffe, Szegedy: Batch normalization: accelerating deep network training by reducing internal
    covariate shift. ICML (2015).

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import normalization
    >>> x, out = numpy.array([[1.0, 7.0], [3.0, 7.0]]), numpy.empty((2, 2))
    >>> gamma, beta, moving_mean, moving_variance = numpy.ones((4, 2))
    >>> mean, inverse_std = numpy.empty((2, 2))
    >>> normalization.batch_norm_forward(
    ...     x, gamma, beta, out, mean, inverse_std, moving_mean, moving_variance, 0.9, 0.001
    ... )
    >>> out.round(3).tolist()
    [[0.0, 1.0], [2.0, 1.0]]
    >>> moving_mean.round(3).tolist(), moving_variance.round(3).tolist()
    ([1.1, 1.6], [1.0, 0.9])
    """
    units = x.shape[1]
    if out.shape != x.shape:
        raise ArgumentError("out must have the shape of x")
    if not gamma.size == beta.size == mean.size == inverse_std.size == units:
        raise ArgumentError("gamma, beta, mean and inverse_std must have one element a column of x")
    if not moving_mean.size == moving_variance.size == units:
        raise ArgumentError("moving_mean and moving_variance must have one element a column of x")
    if not 0 <= momentum <= 1:
        raise ArgumentError("momentum must be from 0 to 1")
    if not epsilon >= 0:
        raise ArgumentError("epsilon must not be negative")
    batch_norm_columns(
        x,
        gamma,
        beta,
        out,
        mean,
        inverse_std,
        moving_mean,
        moving_variance,
        momentum,
        epsilon,
        0,
        units,
    )


@njit
def batch_norm_backward(
    x: FloatArray,
    gamma: FloatArray,
    mean: FloatArray,
    inverse_std: FloatArray,
    grad_out: FloatArray,
    grad_in: FloatArray,
    grad_gamma: FloatArray,
    grad_beta: FloatArray,
) -> None:
    """Write the gradients through `batch_norm_forward`, also through the batch's statistics.

    With ``n = (x - mean(x)) * inverse_std``, summed and averaged over the batch: ``grad_beta =
    sum(grad_out)``, ``grad_gamma = sum(grad_out * n)`` and ``grad_in = gamma * inverse_std *
    (grad_out - average(grad_out) - n * average(grad_out * n))``. An empty batch gives zeros.

    Parameters
    ----------
    x : ndarray, shape (batch, units)
        The inputs that the forward pass was given, C-contiguous, float32 or float64.
    gamma : ndarray, shape (units,)
        The layer's scales.
    mean, inverse_std : ndarray, shape (units,)
        What the forward pass wrote.
    grad_out : ndarray, shape (batch, units)
        Gradient of the loss in the outputs.
    grad_in : ndarray, shape (batch, units)
        Overwritten with the gradient of the loss in `x`; may be `grad_out`, not `x`.
    grad_gamma, grad_beta : ndarray, shape (units,)
        Overwritten with the gradients in `gamma` and `beta`.

    Raises
    ------
    ArgumentError
        If the shapes do not fit one another.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import normalization
    >>> x, out, grad = numpy.array([[1.0], [3.0]]), numpy.empty((2, 1)), numpy.array([[0.0], [1.0]])
    >>> gamma, beta, mean, inverse_std, grad_gamma, grad_beta = numpy.ones((6, 1))
    >>> normalization.batch_norm_forward(
    ...     x, gamma, beta, out, mean, inverse_std, numpy.zeros(1), numpy.ones(1), 0.99, 0.001
    ... )
    >>> normalization.batch_norm_backward(
    ...     x, gamma, mean, inverse_std, grad, grad, grad_gamma, grad_beta
    ... )
    >>> grad.round(4).tolist(), grad_gamma.round(4).tolist(), grad_beta.tolist()
    ([[-0.0005], [0.0005]], [0.9995], [1.0])
    """
    units = x.shape[1]
    if not x.shape == grad_out.shape == grad_in.shape:
        raise ArgumentError("x, grad_out and grad_in must have the same shape")
    if not gamma.size == mean.size == inverse_std.size == units:
        raise ArgumentError("gamma, mean and inverse_std must have one element a column of x")
    if not grad_gamma.size == grad_beta.size == units:
        raise ArgumentError("grad_gamma and grad_beta must have one element a column of x")
    batch_norm_backward_columns(
        x, gamma, mean, inverse_std, grad_out, grad_in, grad_gamma, grad_beta, 0, units
    )


@njit
def batch_norm_inference(
    x: FloatArray,
    gamma: FloatArray,
    beta: FloatArray,
    out: FloatArray,
    inverse_std: FloatArray,
    moving_mean: FloatArray,
    moving_variance: FloatArray,
    epsilon: float,
) -> None:
    """Normalize each column by the moving mean and variance, as after training.

    ``out = gamma * (x - moving_mean) / sqrt(moving_variance + epsilon) + beta``, with the
    statistics that `batch_norm_forward` gathered.

    Parameters
    ----------
    x : ndarray, shape (batch, units)
        The layer's inputs, C-contiguous, float32 or float64. The batch may be empty.
    gamma, beta : ndarray, shape (units,)
        The layer's scales and offsets, of the same dtype, as are all that follow.
    out : ndarray, shape (batch, units)
        Overwritten with the outputs; may be `x`.
    inverse_std : ndarray, shape (units,)
        Overwritten with ``1 / sqrt(moving_variance + epsilon)``.
    moving_mean, moving_variance : ndarray, shape (units,)
        What training left.
    epsilon : float
        Not negative.

    Raises
    ------
    ArgumentError
        If the shapes do not fit one another, or `epsilon` is negative or a NaN.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import normalization
    >>> x, (gamma, beta, inverse_std) = numpy.array([[5.0]]), numpy.ones((3, 1))
    >>> moving_mean, moving_variance = numpy.array([1.0]), numpy.array([4.0])
    >>> normalization.batch_norm_inference(
    ...     x, gamma, beta, x, inverse_std, moving_mean, moving_variance, 0.0
    ... )
    >>> x.tolist()
    [[3.0]]
    """
    units = x.shape[1]
    if out.shape != x.shape:
        raise ArgumentError("out must have the shape of x")
    if not gamma.size == beta.size == inverse_std.size == units:
        raise ArgumentError("gamma, beta and inverse_std must have one element a column of x")
    if not moving_mean.size == moving_variance.size == units:
        raise ArgumentError("moving_mean and moving_variance must have one element a column of x")
    if not epsilon >= 0:
        raise ArgumentError("epsilon must not be negative")
    batch_norm_inference_columns(
        x, gamma, beta, out, inverse_std, moving_mean, moving_variance, epsilon, 0, units
    )


@njit
def batch_norm_inference_backward(
    gamma: FloatArray, inverse_std: FloatArray, grad_out: FloatArray, grad_in: FloatArray
) -> None:
    """Write the gradient through `batch_norm_inference`: ``grad_out * gamma * inverse_std``.

    It is what trains the layers before a frozen batch normalization, whose statistics are fixed.

    Parameters
    ----------
    gamma : ndarray, shape (units,)
        The layer's scales, float32 or float64.
    inverse_std : ndarray, shape (units,)
        What `batch_norm_inference` wrote.
    grad_out : ndarray, shape (batch, units)
        Gradient of the loss in the outputs.
    grad_in : ndarray, shape (batch, units)
        Overwritten with the gradient of the loss in the inputs; may be `grad_out`.

    Raises
    ------
    ArgumentError
        If the shapes do not fit one another.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import normalization
    >>> gamma, inverse_std, grad = numpy.array([3.0]), numpy.array([0.5]), numpy.ones((1, 1))
    >>> normalization.batch_norm_inference_backward(gamma, inverse_std, grad, grad)
    >>> grad.tolist()
    [[1.5]]
    """
    units = grad_out.shape[1]
    if grad_in.shape != grad_out.shape:
        raise ArgumentError("grad_in must have the shape of grad_out")
    if not gamma.size == inverse_std.size == units:
        raise ArgumentError("gamma and inverse_std must have one element a column of grad_out")
    batch_norm_inference_backward_columns(gamma, inverse_std, grad_out, grad_in, 0, units)


# ---------------------------------------------------------------- layer normalization


@njit
def _row_statistics(numbers, start, units, share):
    """Return mean and variance of a row: `units` numbers from `start` on; `share` is 1 / units."""
    rest = units % LANES
    end = start + units - rest
    first, zero = spread(numbers[start]), spread(numbers.dtype.type(0))
    sums = zero
    for k in range(start, end, LANES):
        sums = sums + (lanes(numbers, k) - first)
    if rest > 0:
        sums = sums + keep_first(first_lanes(numbers, end, rest) - first, rest)
    mean = total(sums) * share
    center, squares = spread(mean), zero
    for k in range(start, end, LANES):
        differences = (lanes(numbers, k) - first) - center
        squares = squares + differences * differences
    if rest > 0:
        differences = (first_lanes(numbers, end, rest) - first) - center
        squares = squares + keep_first(differences * differences, rest)
    return mean, total(squares) * share


@njit
def _row_gradients(numbers, gamma, grad_out, start, units, share, mean, inverse_std):
    """Return the averages of ``grad_out * gamma`` and of its product with the normalized row."""
    rest = units % LANES
    full = units - rest
    first, center, scale = spread(numbers[start]), spread(mean), spread(inverse_std)
    sums = spread(numbers.dtype.type(0))
    products = sums
    for k in range(0, full, LANES):
        normalized = ((lanes(numbers, start + k) - first) - center) * scale
        grad = lanes(grad_out, start + k) * lanes(gamma, k)
        sums = sums + grad
        products = products + grad * normalized
    if rest > 0:
        normalized = ((first_lanes(numbers, start + full, rest) - first) - center) * scale
        grad = first_lanes(grad_out, start + full, rest) * first_lanes(gamma, full, rest)
        sums = sums + grad
        products = products + keep_first(grad * normalized, rest)
    return total(sums) * share, total(products) * share


@njit
def layer_norm_forward_rows(
    x: FloatArray,
    gamma: FloatArray,
    beta: FloatArray,
    out: FloatArray,
    mean: FloatArray,
    inverse_std: FloatArray,
    epsilon: float,
) -> None:
    """Do what `layer_norm_forward` does, unchecked: for any slice of rows, those of `mean` too."""
    if x.size == 0:
        return
    rows, units = x.shape
    numbers = x.reshape(x.size)
    one, least, share = x.dtype.type(1), x.dtype.type(epsilon), x.dtype.type(1.0 / units)
    for i in range(rows):
        first = x[i, 0]
        center, variance = _row_statistics(numbers, i * units, units, share)
        scale = one / np.sqrt(variance + least)
        for j in range(np.uint64(units)):
            out[i, j] = (((x[i, j] - first) - center) * scale) * gamma[j] + beta[j]
        mean[i] = center
        inverse_std[i] = scale


@njit
def layer_norm_backward_rows(
    x: FloatArray,
    gamma: FloatArray,
    mean: FloatArray,
    inverse_std: FloatArray,
    grad_out: FloatArray,
    grad_in: FloatArray,
) -> None:
    """Write the `grad_in` of `layer_norm_backward`, unchecked: for any slice of rows."""
    if x.size == 0:
        return
    rows, units = x.shape
    numbers, grads = x.reshape(x.size), grad_out.reshape(grad_out.size)
    share = x.dtype.type(1.0 / units)
    for i in range(rows):
        first, center, scale = x[i, 0], mean[i], inverse_std[i]
        start = i * units
        shift, slope = _row_gradients(numbers, gamma, grads, start, units, share, center, scale)
        for j in range(np.uint64(units)):
            normalized = ((x[i, j] - first) - center) * scale
            through_statistics = shift + normalized * slope
            grad_in[i, j] = (grad_out[i, j] * gamma[j] - through_statistics) * scale


@njit
def layer_norm_backward_columns(
    x: FloatArray,
    mean: FloatArray,
    inverse_std: FloatArray,
    grad_out: FloatArray,
    grad_gamma: FloatArray,
    grad_beta: FloatArray,
    first: int,
    last: int,
) -> None:
    """Write the gradients of `gamma` and `beta` in the columns `first` to ``last - 1``, unchecked.

    Over the whole batch, and before `grad_out` is overwritten.
    """
    columns = range(np.uint64(first), np.uint64(last))
    for j in columns:
        grad_gamma[j] = 0
        grad_beta[j] = 0
    for i in range(np.uint64(x.shape[0])):
        start, center, scale = x[i, 0], mean[i], inverse_std[i]
        for j in columns:
            normalized = ((x[i, j] - start) - center) * scale
            grad_gamma[j] += grad_out[i, j] * normalized
            grad_beta[j] += grad_out[i, j]


@njit
def layer_norm_forward(
    x: FloatArray,
    gamma: FloatArray,
    beta: FloatArray,
    out: FloatArray,
    mean: FloatArray,
    inverse_std: FloatArray,
    epsilon: float,
) -> None:
    """Normalize each row by its own mean and variance, in training and after it.

    ``out = gamma * (x - mean(x)) / sqrt(var(x) + epsilon) + beta``, with the biased variance. A row
    of equal numbers gives `beta` exactly.

    Parameters
    ----------
    x : ndarray, shape (batch, units)
        The layer's inputs, C-contiguous, float32 or float64. The batch may be empty.
    gamma, beta : ndarray, shape (units,)
        The layer's scales and offsets, of the same dtype, as are all that follow.
    out : ndarray, shape (batch, units)
        Overwritten with the outputs; may be `x` where no backward pass follows.
    mean : ndarray, shape (batch,)
        Overwritten with the mean of each row less its first number, for the backward pass.
    inverse_std : ndarray, shape (batch,)
        Overwritten with ``1 / sqrt(var(x) + epsilon)``, for the backward pass.
    epsilon : float
        Not negative; Keras' default is 0.001, PyTorch's 0.00001. With 0, a row of equal numbers
        gives NaN.

    Raises
    ------
    ArgumentError
        If the shapes do not fit one another, or `epsilon` is negative or a NaN.

    References
    ----------
    Ba, Kiros, Hinton: Layer normalization. arXiv:1607.06450 (2016).

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import normalization
    >>> x, gamma, beta = numpy.array([[1.0, 3.0], [9.0, 9.0]]), numpy.ones(2), numpy.ones(2)
    >>> out, mean, inverse_std = numpy.empty((2, 2)), numpy.empty(2), numpy.empty(2)
    >>> normalization.layer_norm_forward(x, gamma, beta, out, mean, inverse_std, 0.001)
    >>> out.round(3).tolist()
    [[0.0, 2.0], [1.0, 1.0]]
    """
    rows, units = x.shape
    if out.shape != x.shape:
        raise ArgumentError("out must have the shape of x")
    if not gamma.size == beta.size == units:
        raise ArgumentError("gamma and beta must have one element a column of x")
    if not mean.size == inverse_std.size == rows:
        raise ArgumentError("mean and inverse_std must have one element a row of x")
    if not epsilon >= 0:
        raise ArgumentError("epsilon must not be negative")
    layer_norm_forward_rows(x, gamma, beta, out, mean, inverse_std, epsilon)


@njit
def layer_norm_backward(
    x: FloatArray,
    gamma: FloatArray,
    mean: FloatArray,
    inverse_std: FloatArray,
    grad_out: FloatArray,
    grad_in: FloatArray,
    grad_gamma: FloatArray,
    grad_beta: FloatArray,
) -> None:
    """Write the gradients through `layer_norm_forward`.

    With ``n = (x - mean(x)) * inverse_std`` and ``h = grad_out * gamma``: ``grad_in = inverse_std *
    (h - average(h) - n * average(h * n))``, averaged over the row; summed over the batch,
    ``grad_beta = sum(grad_out)`` and ``grad_gamma = sum(grad_out * n)``. An empty batch
    gives zeros.

    Parameters
    ----------
    x : ndarray, shape (batch, units)
        The inputs that the forward pass was given, C-contiguous, float32 or float64.
    gamma : ndarray, shape (units,)
        The layer's scales.
    mean, inverse_std : ndarray, shape (batch,)
        What the forward pass wrote.
    grad_out : ndarray, shape (batch, units)
        Gradient of the loss in the outputs.
    grad_in : ndarray, shape (batch, units)
        Overwritten with the gradient of the loss in `x`; may be `grad_out`, not `x`.
    grad_gamma, grad_beta : ndarray, shape (units,)
        Overwritten with the gradients in `gamma` and `beta`.

    Raises
    ------
    ArgumentError
        If the shapes do not fit one another.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import normalization
    >>> x, out, gamma = numpy.array([[1.0, 3.0]]), numpy.empty((1, 2)), numpy.ones(2)
    >>> mean, inverse_std, grad = numpy.empty(1), numpy.empty(1), numpy.array([[0.0, 1.0]])
    >>> normalization.layer_norm_forward(x, gamma, gamma, out, mean, inverse_std, 0.001)
    >>> grad_gamma, grad_beta = numpy.empty((2, 2))
    >>> normalization.layer_norm_backward(
    ...     x, gamma, mean, inverse_std, grad, grad, grad_gamma, grad_beta
    ... )
    >>> grad.round(4).tolist(), grad_gamma.round(4).tolist(), grad_beta.tolist()
    ([[-0.0005, 0.0005]], [0.0, 0.9995], [0.0, 1.0])
    """
    rows, units = x.shape
    if not x.shape == grad_out.shape == grad_in.shape:
        raise ArgumentError("x, grad_out and grad_in must have the same shape")
    if not gamma.size == grad_gamma.size == grad_beta.size == units:
        raise ArgumentError("gamma, grad_gamma and grad_beta must have one element a column of x")
    if not mean.size == inverse_std.size == rows:
        raise ArgumentError("mean and inverse_std must have one element a row of x")
    layer_norm_backward_columns(x, mean, inverse_std, grad_out, grad_gamma, grad_beta, 0, units)
    layer_norm_backward_rows(x, gamma, mean, inverse_std, grad_out, grad_in)
