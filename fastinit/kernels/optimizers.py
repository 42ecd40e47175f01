"""One step of an optimizer, in place, in one pass over a parameter.

Parameters, gradients and what an optimizer remembers are C-contiguous arrays of one shape, whatever
that is, and of one dtype, float32 or float64, in which the arithmetic runs too. Empty arrays are
left alone. Every element is computed by itself, so that a step over slices equals the step over the
whole, bit for bit. An infinite or NaN gradient makes its parameter infinite or NaN; an infinite
parameter becomes NaN.

All kernels take the same options at their end, and start from the gradient ::

    g = clip(scale * gradient + l1 * sign(parameter) + 2 * l2 * parameter, -limit, limit)

that is, the penalties ``l1 * sum(abs(parameter)) + l2 * sum(parameter**2)`` are part of the loss.
The weight decay is not: it takes ``learning_rate * weight_decay * parameter`` off the parameter
besides what the gradient does ("decoupled"; Loshchilov and Hutter, "Decoupled Weight Decay
Regularization", arXiv:1711.05101).

Running means that decay below the smallest normal number of the dtype (1e-38 in float32) are set
to 0, and so are squares of gradients that would add less to them. Where a gradient has become 0 the
means would linger in the subnormal numbers, on which processors are so slow that 5 % of them made a
step take eight times as long, and where it has vanished to 1e-19, twenty times.

`prepare_step` and `optimizer_step` are the same steps for a training loop that is told the
optimizer by a number: they check nothing.
"""

from __future__ import annotations

import math

import numpy as np

from fastinit.errors import ArgumentError
from fastinit.kernels.jit import FloatArray, njit
from fastinit.sampling.jit import template

__all__ = [
    "ADAGRAD",
    "ADAM",
    "RMSPROP",
    "SGD",
    "STEP_VALUES",
    "adagrad_step",
    "adam_step",
    "momentum_step",
    "optimizer_step",
    "prepare_step",
    "rmsprop_step",
    "sgd_step",
]

SGD, ADAGRAD, RMSPROP, ADAM = range(4)
# Length of the array that `prepare_step` writes.
STEP_VALUES = 8


@njit
def sgd_step(
    parameter: FloatArray,
    gradient: FloatArray,
    learning_rate: float,
    l1: float = 0.0,
    l2: float = 0.0,
    weight_decay: float = 0.0,
    scale: float = 1.0,
    limit: float = np.inf,
) -> None:
    """Take one step of gradient descent: ``parameter -= learning_rate * gradient``.

    Parameters
    ----------
    parameter : ndarray
        Updated in place; C-contiguous, float32 or float64.
    gradient : ndarray
        Gradient of the loss in `parameter`, of its shape and dtype.
    learning_rate : float
        Size of the step.
    l1, l2 : float, default 0.0
        Factors of the penalties.
    weight_decay : float, default 0.0
        Decoupled weight decay, in units of the learning rate.
    scale : float, default 1.0
        What the gradient is multiplied with first.
    limit : float, default infinity
        Largest magnitude of an element of the gradient, penalties included.

    Raises
    ------
    ArgumentError
        If the shapes differ.

    References
    ----------
    Robbins and Monro, "A Stochastic Approximation Method", Annals of Mathematical Statistics 22
    (1951).

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
    _sgd(p, g, learning_rate, (l1, l2, learning_rate * weight_decay, scale, limit))


@njit
def momentum_step(
    parameter: FloatArray,
    gradient: FloatArray,
    velocity: FloatArray,
    learning_rate: float,
    momentum: float,
    nesterov: bool = False,
    l1: float = 0.0,
    l2: float = 0.0,
    weight_decay: float = 0.0,
    scale: float = 1.0,
    limit: float = np.inf,
) -> None:
    """Take one step of gradient descent with momentum, as in Keras.

    ::

        velocity   = momentum * velocity - learning_rate * g
        parameter += momentum * velocity - learning_rate * g if nesterov else velocity

    PyTorch multiplies with the learning rate last: its buffer is ``-velocity / learning_rate``. The
    steps are the same until the learning rate changes; then the past steps keep their size here,
    and there they change with it. The Nesterov form is the same in both.

    Parameters
    ----------
    parameter : ndarray
        Updated in place; C-contiguous, float32 or float64.
    gradient : ndarray
        Gradient of the loss in `parameter`, of its shape and dtype.
    velocity : ndarray
        The last step, of the shape and dtype of `parameter`, zero before the first; updated in
        place.
    learning_rate : float
        Size of the step.
    momentum : float
        What is kept of the last step, in [0, 1]; mostly 0.9.
    nesterov : bool, default False
        Whether to look ahead by one step.
    l1, l2 : float, default 0.0
        Factors of the penalties.
    weight_decay : float, default 0.0
        Decoupled weight decay, in units of the learning rate.
    scale : float, default 1.0
        What the gradient is multiplied with first.
    limit : float, default infinity
        Largest magnitude of an element of the gradient, penalties included.

    Raises
    ------
    ArgumentError
        If the shapes differ.

    References
    ----------
    Sutskever, Martens, Dahl and Hinton, "On the importance of initialization and momentum in deep
    learning", ICML 2013.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import optimizers
    >>> parameter, velocity, gradient = numpy.array([1.0]), numpy.zeros(1), numpy.array([2.0])
    >>> for step in range(2):
    ...     optimizers.momentum_step(parameter, gradient, velocity, 0.25, 0.5)
    >>> velocity.item(), parameter.item()
    (-0.75, -0.25)
    """
    if not parameter.shape == gradient.shape == velocity.shape:
        raise ArgumentError("parameter, gradient and velocity must have the same shape")
    size = parameter.size
    p, g, v = parameter.reshape(size), gradient.reshape(size), velocity.reshape(size)
    options = l1, l2, learning_rate * weight_decay, scale, limit
    _momentum(p, g, v, learning_rate, momentum, nesterov, options)


@njit
def adagrad_step(
    parameter: FloatArray,
    gradient: FloatArray,
    accumulator: FloatArray,
    learning_rate: float,
    epsilon: float,
    epsilon_outside: bool = False,
    l1: float = 0.0,
    l2: float = 0.0,
    weight_decay: float = 0.0,
    scale: float = 1.0,
    limit: float = np.inf,
) -> None:
    """Take one step of Adagrad, as in Keras.

    ::

        accumulator += g**2
        parameter   -= learning_rate * g / sqrt(accumulator + epsilon)

    PyTorch adds epsilon to the root, as `epsilon_outside` does, and starts from accumulators of 0.

    Parameters
    ----------
    parameter : ndarray
        Updated in place; C-contiguous, float32 or float64.
    gradient : ndarray
        Gradient of the loss in `parameter`, of its shape and dtype.
    accumulator : ndarray
        Sums of the squared gradients, of the shape and dtype of `parameter`; updated in place. Not
        negative before the first step: 0.1 in Keras.
    learning_rate : float
        Size of the step.
    epsilon : float
        Keeps the quotient finite where the gradient has been 0; 1e-7 in Keras, 1e-10 in PyTorch.
    epsilon_outside : bool, default False
        Whether to divide by ``sqrt(accumulator) + epsilon``.
    l1, l2 : float, default 0.0
        Factors of the penalties.
    weight_decay : float, default 0.0
        Decoupled weight decay, in units of the learning rate.
    scale : float, default 1.0
        What the gradient is multiplied with first.
    limit : float, default infinity
        Largest magnitude of an element of the gradient, penalties included.

    Raises
    ------
    ArgumentError
        If the shapes differ.

    References
    ----------
    Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization", JMLR 12 (2011).

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import optimizers
    >>> parameter, accumulator = numpy.array([1.0]), numpy.zeros(1)
    >>> optimizers.adagrad_step(parameter, numpy.array([4.0]), accumulator, 0.5, 0.0)
    >>> parameter.item(), accumulator.item()
    (0.5, 16.0)
    """
    if not parameter.shape == gradient.shape == accumulator.shape:
        raise ArgumentError("parameter, gradient and accumulator must have the same shape")
    size = parameter.size
    p, g, a = parameter.reshape(size), gradient.reshape(size), accumulator.reshape(size)
    options = l1, l2, learning_rate * weight_decay, scale, limit
    _adagrad(p, g, a, learning_rate, epsilon, epsilon_outside, options)


@njit
def rmsprop_step(
    parameter: FloatArray,
    gradient: FloatArray,
    mean_square: FloatArray,
    velocity: FloatArray,
    learning_rate: float,
    rho: float,
    momentum: float,
    epsilon: float,
    epsilon_outside: bool = False,
    l1: float = 0.0,
    l2: float = 0.0,
    weight_decay: float = 0.0,
    scale: float = 1.0,
    limit: float = np.inf,
) -> None:
    """Take one step of RMSprop, as in Keras.

    ::

        mean_square = rho * mean_square + (1 - rho) * g**2
        velocity    = momentum * velocity + learning_rate * g / sqrt(mean_square + epsilon)
        parameter  -= velocity

    PyTorch adds epsilon to the root, as `epsilon_outside` does, and multiplies with the learning
    rate last, see `momentum_step`.

    Parameters
    ----------
    parameter : ndarray
        Updated in place; C-contiguous, float32 or float64.
    gradient : ndarray
        Gradient of the loss in `parameter`, of its shape and dtype.
    mean_square : ndarray
        Running mean of the squared gradient, of the shape and dtype of `parameter`, zero before the
        first step; updated in place.
    velocity : ndarray
        The last step, likewise; or one of size 0 if `momentum` is 0, which is faster.
    learning_rate : float
        Size of the step.
    rho : float
        Decay of the running mean, in [0, 1); 0.9 in Keras, 0.99 in PyTorch.
    momentum : float
        What is kept of the last step, in [0, 1].
    epsilon : float
        Keeps the quotient finite where the gradient has been 0; 1e-7 in Keras, 1e-8 in PyTorch.
    epsilon_outside : bool, default False
        Whether to divide by ``sqrt(mean_square) + epsilon``.
    l1, l2 : float, default 0.0
        Factors of the penalties.
    weight_decay : float, default 0.0
        Decoupled weight decay, in units of the learning rate.
    scale : float, default 1.0
        What the gradient is multiplied with first.
    limit : float, default infinity
        Largest magnitude of an element of the gradient, penalties included.

    Raises
    ------
    ArgumentError
        If the shapes differ, or `velocity` is empty and `momentum` is not 0.

    References
    ----------
    Tieleman and Hinton, "Lecture 6.5: rmsprop", COURSERA: Neural Networks for Machine Learning,
    2012.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import optimizers
    >>> parameter, mean_square, none = numpy.array([1.0]), numpy.zeros(1), numpy.empty(0)
    >>> gradient = numpy.array([4.0])
    >>> optimizers.rmsprop_step(parameter, gradient, mean_square, none, 0.25, 0.75, 0.0, 0.0)
    >>> parameter.item(), mean_square.item()
    (0.5, 4.0)
    """
    if not parameter.shape == gradient.shape == mean_square.shape:
        raise ArgumentError("parameter, gradient and mean_square must have the same shape")
    size = parameter.size
    if velocity.size != size and not (velocity.size == 0 and momentum == 0.0):
        raise ArgumentError("velocity must have the shape of parameter, or momentum must be 0")
    p, g, v = parameter.reshape(size), gradient.reshape(size), mean_square.reshape(size)
    options = l1, l2, learning_rate * weight_decay, scale, limit
    if velocity.size == 0:
        _rmsprop(p, g, v, learning_rate, rho, epsilon, epsilon_outside, options)
    else:
        u = velocity.reshape(size)
        _rmsprop_momentum(
            p, g, v, u, learning_rate, rho, momentum, epsilon, epsilon_outside, options
        )


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
    epsilon_hat: bool = False,
    l1: float = 0.0,
    l2: float = 0.0,
    weight_decay: float = 0.0,
    scale: float = 1.0,
    limit: float = np.inf,
) -> None:
    """Take one step of Adam, as its paper states it and PyTorch does it; with weight decay, AdamW.

    With the gradient g at step t::

        first_moment  = beta_1 * first_moment  + (1 - beta_1) * g
        second_moment = beta_2 * second_moment + (1 - beta_2) * g**2
        parameter    -= learning_rate * (first_moment / (1 - beta_1**t))
                        / (sqrt(second_moment / (1 - beta_2**t)) + epsilon)

    Keras takes the last line as the end of the paper's section 2 has it, as `epsilon_hat` does::

        parameter    -= learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)
                        * first_moment / (sqrt(second_moment) + epsilon)

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
        Keeps the quotient finite where the gradient has been 0; 1e-8 in the paper and PyTorch, 1e-7
        in Keras.
    epsilon_hat : bool, default False
        Whether to add epsilon before the correction of the second moment's bias, as Keras does.
    l1, l2 : float, default 0.0
        Factors of the penalties.
    weight_decay : float, default 0.0
        Decoupled weight decay, in units of the learning rate: 0.004 in Keras' AdamW, 0.01 in
        PyTorch's.
    scale : float, default 1.0
        What the gradient is multiplied with first.
    limit : float, default infinity
        Largest magnitude of an element of the gradient, penalties included.

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
    size = parameter.size
    p, g = parameter.reshape(size), gradient.reshape(size)
    m, v = first_moment.reshape(size), second_moment.reshape(size)
    rate, root_scale = _adam_rates(step, learning_rate, beta_1, beta_2, epsilon_hat)
    options = l1, l2, learning_rate * weight_decay, scale, limit
    _adam(p, g, m, v, rate, root_scale, beta_1, beta_2, epsilon, options)


@njit
def prepare_step(
    code: int, hyper: FloatArray, step: int, learning_rate: float, values: FloatArray
) -> None:
    """Write into `values` what `optimizer_step` needs: what is the same for all parameters.

    Parameters
    ----------
    code : int
        The optimizer: `SGD`, `ADAGRAD`, `RMSPROP` or `ADAM`.
    hyper : ndarray of float64
        For `SGD` momentum and nesterov; for `ADAGRAD` epsilon and epsilon_outside; for `RMSPROP`
        rho, momentum, epsilon and epsilon_outside; for `ADAM` beta_1, beta_2, epsilon and
        epsilon_hat: the arguments of the kernels above, booleans as 0 and 1.
    step : int
        Number of the step, from 1.
    learning_rate : float
        The learning rate of this step.
    values : ndarray of float64, shape (STEP_VALUES,)
        Overwritten.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels import optimizers
    >>> values = numpy.empty(optimizers.STEP_VALUES)
    >>> optimizers.prepare_step(optimizers.SGD, numpy.array([0.0, 0.0]), 1, 0.5, values)
    >>> parameter, none = numpy.array([1.0, 2.0]), numpy.empty(0)
    >>> penalties, decay, scale, limit = (0.0, 0.0), 0.0, 1.0, numpy.inf
    >>> gradient = numpy.array([1.0, -1.0])
    >>> optimizers.optimizer_step(
    ...     0, values, parameter, gradient, none, none, *penalties, decay, scale, limit
    ... )
    >>> parameter.tolist()
    [0.5, 2.5]
    """
    values[0] = learning_rate
    for i in range(hyper.size):
        values[1 + i] = hyper[i]
    if code == ADAM:
        values[5], values[6] = _adam_rates(step, learning_rate, hyper[0], hyper[1], hyper[3] != 0.0)


@njit
def optimizer_step(
    code: int,
    values: FloatArray,
    parameter: FloatArray,
    gradient: FloatArray,
    first: FloatArray,
    second: FloatArray,
    l1: float,
    l2: float,
    weight_decay: float,
    scale: float,
    limit: float,
) -> None:
    """Take one step of the optimizer of that number. Nothing is checked.

    Parameters
    ----------
    code : int
        The optimizer.
    values : ndarray of float64, shape (STEP_VALUES,)
        What `prepare_step` wrote.
    parameter, gradient : ndarray, shape (size,)
        A parameter, or a part of one, updated in place, and its gradient.
    first, second : ndarray, shape (size,) or (0,)
        What the optimizer remembers, in the order of the kernels' arguments; of size 0 what it does
        not need: `SGD` without momentum nothing, `RMSPROP` without momentum no second one.
    l1, l2, weight_decay, scale, limit : float
        As of the kernels above.

    See Also
    --------
    prepare_step : Has an example.
    """
    rate, a, b, c, d = values[0], values[1], values[2], values[3], values[4]
    options = l1, l2, rate * weight_decay, scale, limit
    if code == SGD and first.size == 0:
        _sgd(parameter, gradient, rate, options)
    elif code == SGD:
        _momentum(parameter, gradient, first, rate, a, b != 0.0, options)
    elif code == ADAGRAD:
        _adagrad(parameter, gradient, first, rate, a, b != 0.0, options)
    elif code == RMSPROP and second.size == 0:
        _rmsprop(parameter, gradient, first, rate, a, c, d != 0.0, options)
    elif code == RMSPROP:
        _rmsprop_momentum(parameter, gradient, first, second, rate, a, b, c, d != 0.0, options)
    else:
        rate, root_scale = values[5], values[6]
        _adam(parameter, gradient, first, second, rate, root_scale, a, b, c, options)


# Loops over flat arrays. Their scalars are turned into the arrays' dtype first, since Numba would
# widen float32 arithmetic to float64 otherwise.


@template
def _sgd(p, g, learning_rate, options):
    rate, options = p.dtype.type(learning_rate), _in_dtype(p, options)
    for i in range(p.size):
        _descend(p, i, rate * _gradient(p[i], g[i], options), options[2])


@template
def _momentum(p, g, v, learning_rate, momentum, nesterov, options):
    dtype = p.dtype.type
    rate, kept, options = dtype(learning_rate), dtype(momentum), _in_dtype(p, options)
    # The step is a * velocity + b * change: no branch in the loop.
    a, b = (kept, dtype(1)) if nesterov else (dtype(1), dtype(0))
    normal = dtype(np.finfo(p.dtype).tiny)
    for i in range(p.size):
        change = rate * _gradient(p[i], g[i], options)
        velocity = _normal(kept * v[i] - change, normal)
        _descend(p, i, b * change - a * velocity, options[2])
        v[i] = velocity


@template
def _adagrad(p, g, accumulator, learning_rate, epsilon, epsilon_outside, options):
    dtype = p.dtype.type
    rate, options = dtype(learning_rate), _in_dtype(p, options)
    inside, outside = _split_epsilon(p, epsilon, epsilon_outside)
    least = dtype(math.sqrt(np.finfo(p.dtype).tiny))
    for i in range(p.size):
        gradient = _gradient(p[i], g[i], options)
        visible = _normal(gradient, least)
        total = accumulator[i] + visible * visible
        _descend(p, i, rate * gradient / (math.sqrt(total + inside) + outside), options[2])
        accumulator[i] = total


@template
def _rmsprop(p, g, v, learning_rate, rho, epsilon, epsilon_outside, options):
    dtype = p.dtype.type
    rate, options = dtype(learning_rate), _in_dtype(p, options)
    inside, outside = _split_epsilon(p, epsilon, epsilon_outside)
    decay, gain, least, normal = _means(p, rho)
    for i in range(p.size):
        gradient = _gradient(p[i], g[i], options)
        visible = _normal(gradient, least)
        square = _normal(decay * v[i] + gain * (visible * visible), normal)
        _descend(p, i, rate * gradient / (math.sqrt(square + inside) + outside), options[2])
        v[i] = square


@template
def _rmsprop_momentum(p, g, v, u, learning_rate, rho, momentum, epsilon, epsilon_outside, options):
    dtype = p.dtype.type
    rate, kept, options = dtype(learning_rate), dtype(momentum), _in_dtype(p, options)
    inside, outside = _split_epsilon(p, epsilon, epsilon_outside)
    decay, gain, least, normal = _means(p, rho)
    for i in range(p.size):
        gradient = _gradient(p[i], g[i], options)
        visible = _normal(gradient, least)
        square = _normal(decay * v[i] + gain * (visible * visible), normal)
        change = rate * gradient / (math.sqrt(square + inside) + outside)
        velocity = _normal(kept * u[i] + change, normal)
        _descend(p, i, velocity, options[2])
        v[i], u[i] = square, velocity


@template
def _adam(p, g, m, v, rate, root_scale, beta_1, beta_2, epsilon, options):
    l1, l2, decay, scale, limit = _in_dtype(p, options)
    # The commonest loop computes nothing in vain, which makes it a quarter faster.
    if l1 == 0.0 and l2 == 0.0 and scale == 1.0 and limit == np.inf:
        _adam_loop(p, g, m, v, rate, root_scale, beta_1, beta_2, epsilon, decay, None)
    else:
        options = l1, l2, decay, scale, limit
        _adam_loop(p, g, m, v, rate, root_scale, beta_1, beta_2, epsilon, decay, options)


@template
def _adam_loop(p, g, m, v, rate, root_scale, beta_1, beta_2, epsilon, decay, options):
    dtype = p.dtype.type
    rate, root_scale, offset = dtype(rate), dtype(root_scale), dtype(epsilon)
    decay_1, gain_1, _, normal = _means(p, beta_1)
    decay_2, gain_2, least, _ = _means(p, beta_2)
    for i in range(p.size):
        gradient = _gradient(p[i], g[i], options)
        visible = _normal(gradient, least)
        mean = _normal(decay_1 * m[i] + gain_1 * gradient, normal)
        square = _normal(decay_2 * v[i] + gain_2 * (visible * visible), normal)
        _descend(p, i, rate * mean / (math.sqrt(square) * root_scale + offset), decay)
        m[i], v[i] = mean, square


# Parts of the loops


@template
def _in_dtype(p, options):
    """Return l1, 2 * l2, decay, scale and limit in the dtype of `p`."""
    l1, l2, decay, scale, limit = options
    dtype = p.dtype.type
    return dtype(l1), dtype(2.0 * l2), dtype(decay), dtype(scale), dtype(limit)


@template
def _gradient(p, g, options):
    """Return the gradient to use: with the penalties, then clipped. A NaN stays."""
    if options is None:
        return g
    l1, l2, _, scale, limit = options
    zero = type(p)(0)
    sign = l1 if p > zero else (-l1 if p < zero else zero)
    total = scale * g + (sign + l2 * p)
    total = limit if total > limit else total
    return -limit if total < -limit else total


@template
def _descend(p, i, change, decay):
    """Take `change` and the weight decay off one parameter, in one rounding."""
    p[i] -= decay * p[i] + change


@template
def _normal(x, least):
    """Return `x`, or 0 if it is closer to it than `least`; a NaN stays."""
    return type(x)(0) if abs(x) < least else x


@template
def _means(p, decay):
    """Return how a running mean decays and grows; what is 0 to a square and to itself."""
    dtype, tiny = p.dtype.type, np.finfo(p.dtype).tiny
    gain = 1.0 - decay
    return dtype(decay), dtype(gain), dtype(math.sqrt(tiny / gain)), dtype(tiny)


@template
def _split_epsilon(p, epsilon, outside):
    """Return what is added in the root and what to it."""
    zero, offset = p.dtype.type(0), p.dtype.type(epsilon)
    return (zero, offset) if outside else (offset, zero)


@template
def _adam_rates(step, learning_rate, beta_1, beta_2, epsilon_hat):
    """Return what the first moment is multiplied with, and the second one's root."""
    rate = learning_rate / (1.0 - _power(beta_1, step))
    root = math.sqrt(1.0 - _power(beta_2, step))
    return (rate * root, 1.0) if epsilon_hat else (rate, 1.0 / root)


@template
def _power(base, exponent):
    """Return ``base**exponent`` by multiplications: the same on every system, unlike C's pow."""
    result = 1.0
    while exponent > 0:
        if exponent & 1:
            result *= base
        base *= base
        exponent >>= 1
    return result
