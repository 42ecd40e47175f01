r"""What an activation does to the signals of a wide random network, layer by layer.

In a network whose weights have mean 0 and variance :math:`\sigma_w^2 / \text{fan\_in}` and whose
biases have variance :math:`\sigma_b^2`, the pre-activations of a wide layer are normal. Two numbers
say how a pair of inputs fares: their variance `q`, and the correlation `c` between the two. Each
layer maps them by functions of the activation :math:`\phi` alone:

.. math::
    q' = \sigma_w^2\,E[\phi(\sqrt q\,z)^2] + \sigma_b^2, \qquad
    c' = \frac{\sigma_w^2\,E[\phi(u_1) \phi(u_2)] + \sigma_b^2}{q'}

where `z` is standard normal, and :math:`u_1, u_2` are normal with variance `q` and correlation `c`.
The slope of the second map at `c` = 1 is :math:`\chi_1`: below 1 inputs become alike and gradients
vanish, above 1 they lose all likeness and gradients explode; at 1, the edge of chaos, signals reach
deepest.

The expectations are integrals over normal densities, right to about 1e-9 of their value; those of a
slope, by differences, to about 1e-5 where the activation has kinks elsewhere than at 0.

References
----------
Poole, Lahiri, Raghu, Sohl-Dickstein, Ganguli: Exponential expressivity in deep neural networks
through transient chaos. arXiv:1606.05340 (2016).

Schoenholz, Gilmer, Ganguli, Sohl-Dickstein: Deep information propagation. arXiv:1611.01232 (2016).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastinit.errors import ArgumentError
from fastinit.gains import Activation, activation_of, expectation
from fastinit.sampling.distributions import as_finite, as_scale

__all__ = ["chi", "correlation_map", "edge_of_chaos", "fixed_point", "variance_map"]

Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def edge_of_chaos(activation: Activation, q: float = 1.0) -> tuple[float, float]:
    r"""Return the weights' and the biases' scale at which signals reach deepest.

    .. math::
        \sigma_w^2 = 1 / E[\phi'(\sqrt q\,z)^2], \qquad
        \sigma_b^2 = q - \sigma_w^2\,E[\phi(\sqrt q\,z)^2]

    so that pre-activations keep the variance `q` and :math:`\chi_1 = 1`. Draw weights of standard
    deviation :math:`\sigma_w / \sqrt{\text{fan\_in}}` and biases of :math:`\sigma_b`.

    Parameters
    ----------
    activation : str or callable
        A name that `fastinit.gain` knows (leaky_relu has the slope 0.01), or a function from an
        array of float64 to an array of the same shape: continuous, with kinks at most.
    q : float, default 1.0
        The variance of the pre-activations; positive. For relu and leaky_relu it does not matter.

    Returns
    -------
    sigma_w : float
        That of weights, in units of 1 / sqrt(fan_in).
    sigma_b : float
        That of biases.

    Raises
    ------
    UnknownNameError
        If no activation has this name.
    ArgumentError
        If `q` is not positive, the activation is constant, has jumps or is not finite; or if
        there is no such pair for this `q`, since :math:`\sigma_b^2` would be negative.

    References
    ----------
    Poole, Lahiri, Raghu, Sohl-Dickstein, Ganguli: Exponential expressivity in deep neural networks
    through transient chaos. arXiv:1606.05340 (2016).

    Examples
    --------
    >>> from fastinit.meanfield import edge_of_chaos
    >>> [round(sigma, 4) for sigma in edge_of_chaos("relu")]
    [1.4142, 0.0]
    >>> [round(sigma, 4) for sigma in edge_of_chaos("tanh", q=0.5)]
    [1.2992, 0.195]
    """
    phi, variance = activation_of(activation), _positive("q", q)
    square_w = 1.0 / _mean_square_slope(phi, variance, activation)
    square_b = variance - square_w * _mean_square(phi, variance, activation)
    if square_b < -1e-8 * variance:
        raise ArgumentError(
            f"{activation!r} has no edge of chaos at q={q!r}: the biases' variance would be "
            f"{square_b:.3g}"
        )
    # What the integrals' rounding leaves of a zero is a zero.
    return math.sqrt(square_w), math.sqrt(square_b) if square_b > 1e-8 * variance else 0.0


def variance_map(activation: Activation, sigma_w: float, sigma_b: float, q: float) -> float:
    r"""Return the variance of the next layer's pre-activations.

    .. math:: q' = \sigma_w^2\,E[\phi(\sqrt q\,z)^2] + \sigma_b^2

    Parameters
    ----------
    activation : str or callable
        See `edge_of_chaos`; here it may have jumps, too.
    sigma_w, sigma_b : float
        Of the weights, times the root of fan_in, and of the biases; not negative.
    q : float
        The variance of this layer's pre-activations; not negative.

    Returns
    -------
    float
        Not negative.

    Raises
    ------
    UnknownNameError
        If no activation has this name.
    ArgumentError
        If a number is negative or not finite, or the activation's mean square is not finite.

    Examples
    --------
    >>> from fastinit.meanfield import variance_map
    >>> round(variance_map("relu", 1.0, 0.5, 3.0), 6)
    1.75
    """
    phi, variance = activation_of(activation), as_scale("q", q)
    scale_w, scale_b = as_scale("sigma_w", sigma_w), as_scale("sigma_b", sigma_b)
    return scale_w**2 * _mean_square(phi, variance, activation) + scale_b**2


def correlation_map(
    activation: Activation, sigma_w: float, sigma_b: float, q: float, c: float
) -> float:
    r"""Return the correlation of two inputs' pre-activations after the next layer.

    .. math:: c' = \frac{\sigma_w^2\,E[\phi(u_1) \phi(u_2)] + \sigma_b^2}{q'}

    where :math:`u_1, u_2` are normal with variance `q` and correlation `c`, and `q'` is the
    `variance_map` of `q`.

    Parameters
    ----------
    activation : str or callable
        See `edge_of_chaos`; here it may have jumps, too.
    sigma_w, sigma_b : float
        Of the weights, times the root of fan_in, and of the biases; not negative.
    q : float
        The variance of this layer's pre-activations; positive.
    c : float
        Their correlation, -1 to 1.

    Returns
    -------
    float
        -1 to 1.

    Raises
    ------
    UnknownNameError
        If no activation has this name.
    ArgumentError
        If a number is out of its range, or the next variance is 0 or not finite.

    References
    ----------
    Cho, Saul: Kernel methods for deep learning. NIPS (2009), where the map is known for relu.

    Examples
    --------
    >>> from fastinit.meanfield import correlation_map
    >>> round(correlation_map("relu", 2**0.5, 0.0, 1.0, 0.0), 4)  # 1 / pi
    0.3183
    """
    correlation = as_finite("c", c)
    if not -1.0 <= correlation <= 1.0:
        raise ArgumentError(f"c must be -1 to 1, got {c!r}")
    after = variance_map(activation, sigma_w, sigma_b, _positive("q", q))
    if not after:
        raise ArgumentError("no correlation: the next layer's pre-activations have variance 0")
    phi, root = activation_of(activation), math.sqrt(q)
    rest = math.sqrt((1.0 - correlation) * (1.0 + correlation))
    offsets, masses = _normal_nodes()

    def product(z: NDArray[np.float64]) -> NDArray[np.float64]:
        other = correlation * z[:, None] + rest * offsets
        return phi(root * z) * (phi(root * other.ravel()).reshape(other.shape) @ masses)

    # Without a rest, the second factor has the kinks of the first mirrored, and needs no mean.
    if rest < 1e-6:
        covariance = expectation(lambda z: phi(root * z) * phi(correlation * root * z))
    else:
        covariance = expectation(product)
    return min(max((float(sigma_w) ** 2 * covariance + float(sigma_b) ** 2) / after, -1.0), 1.0)


def chi(activation: Activation, sigma_w: float, q: float) -> float:
    r"""Return :math:`\chi_1`, by which a layer multiplies small differences and gradients.

    .. math:: \chi_1 = \sigma_w^2\,E[\phi'(\sqrt q\,z)^2]

    Where `q` is a fixed point of the variance map, this is the slope of the correlation map at
    `c` = 1: correlations approach 1 (if :math:`\chi_1 < 1`) as :math:`\chi_1^l` over `l` layers,
    and the mean square of gradients grows by :math:`\chi_1` a layer on the way back.

    Parameters
    ----------
    activation : str or callable
        See `edge_of_chaos`.
    sigma_w : float
        Standard deviation of the weights times the root of fan_in; not negative.
    q : float
        The variance of the pre-activations; positive.

    Returns
    -------
    float
        Not negative: below 1 in the ordered phase, above 1 in the chaotic one.

    Raises
    ------
    UnknownNameError
        If no activation has this name.
    ArgumentError
        If a number is out of its range, or the activation is constant, has jumps or is not finite.

    Examples
    --------
    >>> from fastinit.meanfield import chi
    >>> round(chi("relu", 1.0, 1.0), 6)
    0.5
    """
    phi, variance = activation_of(activation), _positive("q", q)
    return as_scale("sigma_w", sigma_w) ** 2 * _mean_square_slope(phi, variance, activation)


def fixed_point(activation: Activation, sigma_w: float, sigma_b: float, q: float = 1.0) -> float:
    """Return the variance at which the variance map, applied again and again, comes to rest.

    Parameters
    ----------
    activation : str or callable
        See `edge_of_chaos`; here it may have jumps, too.
    sigma_w, sigma_b : float
        Of the weights, times the root of fan_in, and of the biases; not negative.
    q : float, default 1.0
        Where to start, positive; it decides where there are several such variances, and for relu at
        its edge of chaos, where every variance rests.

    Returns
    -------
    float
        Not negative; right to 1e-9 where variances approach it geometrically. They do not at the
        edge of chaos of tanh with `sigma_b` 0, where they approach 0 by a power of the depth, and
        1e-6 may stand for 0.

    Raises
    ------
    UnknownNameError
        If no activation has this name.
    ArgumentError
        If a number is out of its range, or the variances grow without end.

    Examples
    --------
    >>> from fastinit.meanfield import fixed_point
    >>> round(fixed_point("relu", 1.0, 1.0), 6)
    2.0
    """
    before = _positive("q", q)
    for _ in range(500):
        first = variance_map(activation, sigma_w, sigma_b, before)
        if abs(first - before) <= 1e-12 * (1.0 + before):
            return first
        second = variance_map(activation, sigma_w, sigma_b, first)
        if second > 1e30:
            break
        # Aitken's extrapolation of geometric steps, where they shrink.
        slope = (second - first) / (first - before)
        limit = first + (second - first) / (1.0 - slope) if 0.0 < slope < 1.0 - 1e-6 else second
        before = max(limit, 0.0)
    raise ArgumentError(
        f"the variances of {activation!r} with sigma_w={sigma_w!r}, sigma_b={sigma_b!r} "
        f"do not come to rest: from q={q!r} they went to {before:.3g}"
    )


def _positive(name: str, value: float) -> float:
    number = as_scale(name, value)
    if not number:
        raise ArgumentError(f"{name} must be positive, got {value!r}")
    return number


def _mean_square(phi: Function, q: float, activation: Activation) -> float:
    root = math.sqrt(q)
    moment = expectation(lambda z: phi(root * z) ** 2)
    if not math.isfinite(moment):
        raise ArgumentError(f"the mean square of activation {activation!r} at q={q!r} is {moment}")
    return moment


def _mean_square_slope(phi: Function, q: float, activation: Activation) -> float:
    """Return E[phi'(sqrt(q) z)^2], by central differences."""
    root, step = math.sqrt(q), 2.0**-17

    def slope(z: NDArray[np.float64]) -> NDArray[np.float64]:
        z = np.copysign(np.maximum(np.abs(z), step), z)  # not across a kink at 0
        return (phi(root * (z + step)) - phi(root * (z - step))) / (2.0 * step * root)

    moment = expectation(lambda z: slope(z) ** 2)
    # Stein's lemma: the mean slope is E[z phi] / sqrt(q), jumps included, which differences miss.
    jumps = expectation(lambda z: z * phi(root * z) / root) - expectation(slope)
    if not abs(jumps) <= 1e-4 * math.sqrt(moment):
        raise ArgumentError(f"activation {activation!r} must be finite and have no jumps")
    if not moment > 0.0:
        raise ArgumentError(f"activation {activation!r} is constant")
    return moment


def _normal_nodes() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return nodes and weights of an integral over the standard normal."""
    nodes, weights = np.polynomial.legendre.leggauss(8)
    half = 0.25
    centers = np.arange(-8.0 + half, 8.0, 2.0 * half)
    z = (centers[:, None] + half * nodes).ravel()
    density = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return z, half * np.tile(weights, len(centers)) * density
