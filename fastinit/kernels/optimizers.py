"""One step of an optimizer, in place, in one pass over a parameter.

Parameters, gradients and moments are C-contiguous arrays of one shape, whichever it is, and of one
dtype, float32 or float64, in which the arithmetic runs too. Empty arrays are left alone.
"""

from __future__ import annotations

import math

import numpy as np

from fastinit.errors import ArgumentError
from fastinit.kernels.jit import FloatArray, njit

__all__ = ["adam_step", "sgd_step"]


@njit
def sgd_step(parameter: FloatArray, gradient: FloatArray, learning_rate: float) -> None:
    """Take one step of gradient descent: ``parameter -= learning_rate * gradient``.

    Parameters
    ----------
    parameter : ndarray
        Updated in place; C-contiguous, float32 or float64.
    gradient : ndarray
        Gradient of the loss in `parameter`, of its shape and dtype.
    learning_rate : float
        Size of the step.

    Raises
    ------
    ArgumentError
        If the shapes differ.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> parameter = numpy.array([1.0, 2.0])
    >>> kernels.sgd_step(parameter, numpy.array([1.0, -1.0]), 0.5)
    >>> parameter.tolist()
    [0.5, 2.5]
    """
    if parameter.shape != gradient.shape:
        raise ArgumentError("gradient must have the shape of parameter")
    p, g = parameter.reshape(parameter.size), gradient.reshape(gradient.size)
    rate = p.dtype.type(learning_rate)
    for i in range(p.size):
        p[i] -= rate * g[i]


@njit
def adam_step(
    parameter: FloatArray,
    gradient: FloatArray,
    first_moment: FloatArray,
    second_moment: FloatArray,
    step: int,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """Take one step of Adam, as its paper states it.

    With the gradient g at step t::

        first_moment  = beta_1 * first_moment  + (1 - beta_1) * g
        second_moment = beta_2 * second_moment + (1 - beta_2) * g**2
        parameter    -= learning_rate * (first_moment / (1 - beta_1**t))
                        / (sqrt(second_moment / (1 - beta_2**t)) + epsilon)

    A moment below the smallest normal number of the dtype (1e-38 in float32) is set to 0.

    Parameters
    ----------
    parameter : ndarray
        Updated in place; C-contiguous, float32 or float64.
    gradient : ndarray
        Gradient of the loss in `parameter`, of its shape and dtype.
    first_moment, second_moment : ndarray
        Running means of the gradient and of its square, of the shape and dtype of `parameter`,
        zero before the first step; updated in place.
    step : int
        Number of this step, from 1.
    learning_rate : float
        Size of the step; 0.001 in the paper.
    beta_1, beta_2 : float
        Decay of the running means, in [0, 1); 0.9 and 0.999 in the paper.
    epsilon : float
        Keeps the quotient finite where the gradient has been 0; 1e-8 in the paper.

    Raises
    ------
    ArgumentError
        If the shapes differ or `step` is below 1.

    References
    ----------
    Kingma and Ba, "Adam: A Method for Stochastic Optimization", arXiv:1412.6980, algorithm 1.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> parameter, first, second = numpy.ones(1), numpy.zeros(1), numpy.zeros(1)
    >>> gradient = numpy.array([7.0])
    >>> kernels.adam_step(parameter, gradient, first, second, 1, 0.001, 0.9, 0.999, 1e-8)
    >>> parameter.round(6).tolist()
    [0.999]
    """
    shape = parameter.shape
    if not shape == gradient.shape == first_moment.shape == second_moment.shape:
        raise ArgumentError("parameter, gradient and both moments must have the same shape")
    if step < 1:
        raise ArgumentError("step must be at least 1")
    size, dtype = parameter.size, parameter.dtype.type
    p, g = parameter.reshape(size), gradient.reshape(size)
    m, v = first_moment.reshape(size), second_moment.reshape(size)
    # Scalars of the arrays' dtype: Numba would widen float32 arithmetic to float64 otherwise.
    rate = dtype(learning_rate / (1.0 - beta_1**step))
    root_scale = dtype(1.0 / math.sqrt(1.0 - beta_2**step))
    decay_1, decay_2 = dtype(beta_1), dtype(beta_2)
    gain_1, gain_2 = dtype(1.0 - beta_1), dtype(1.0 - beta_2)
    offset, zero = dtype(epsilon), dtype(0)
    # Where a gradient has become 0, its moments decay into the subnormal numbers, on which
    # processors are so slow that 5 % of them made the step take eight times as long.
    normal = dtype(np.finfo(p.dtype).tiny)
    for i in range(size):
        mean = decay_1 * m[i] + gain_1 * g[i]
        square = decay_2 * v[i] + gain_2 * (g[i] * g[i])
        mean = zero if abs(mean) < normal else mean
        square = zero if square < normal else square
        p[i] -= rate * mean / (math.sqrt(square) * root_scale + offset)
        m[i], v[i] = mean, square
