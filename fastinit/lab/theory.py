r"""The maps of `fastinit.meanfield` for many networks at once.

`fastinit.meanfield` integrates anew for each number it returns. The maps depend on the networks'
scales only through factors outside of the integrals, so three functions of the activation say it
all: :math:`V(q) = E[\phi(\sqrt q z)^2]`, :math:`X(q) = E[\phi'(\sqrt q z)^2]`, and how far apart a
pair of inputs is after the activation, for its angle :math:`\theta = \arccos c`,

.. math:: R(q, \theta) = \frac{E[(\phi(u_1) - \phi(u_2))^2]}{2 q (1 - c)}

which is `X` at :math:`\theta = 0` and smooth from there, with or without kinks, so that
:math:`1 - c` keeps its digits however small it gets. Here they are Chebyshev series in
:math:`\log q` and :math:`\theta`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.polynomial import chebyshev
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray

from fastinit import meanfield
from fastinit.gains import Activation, activation_of
from fastinit.kernels import activations
from fastinit.sampling import threads

__all__ = ["Maps", "Theory", "function_of", "kernel_of", "maps_of", "predict"]

Array = NDArray[np.float64]

LOW, HIGH = math.log(1e-9), math.log(1e6)
"""Between these log q is tabulated; beyond, the maps go on as powers of q."""

NODES_Q, NODES_ANGLE, NODES_CELL = 160, 30, 8
ROWS = 4096

# Where cells of an integral begin, besides kinks: an activation changes where its input is near 0.
BENDS = np.array([-8.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 8.0])
MOST_KINKS = 16
REACH = 8.5  # standard deviations; the normal density beyond is below 1e-16


@lru_cache(maxsize=32)
def maps_of(activation: Activation) -> Maps:
    """Return the maps of an activation; made once in a process, in a second or two.

    Parameters
    ----------
    activation : str or callable
        See `fastinit.gain`.

    Returns
    -------
    Maps
    """
    return Maps(activation)


def function_of(activation: Activation) -> Callable[[Array], Array]:
    """Return an activation as a function of an array, compiled where there is a kernel for it.

    Parameters
    ----------
    activation : str or callable

    Returns
    -------
    callable
    """
    plain = activation_of(activation)
    if activation == "erf":  # fastinit.gains has it by way of Python's floats
        from scipy.special import erf

        return cast("Callable[[Array], Array]", erf)
    if not isinstance(activation, str) or activation not in activations.CODES:
        return plain
    code, alpha = kernel_of(activation)

    def compiled(z: Array) -> Array:
        out = np.empty_like(z)
        activations.activate(code, alpha, z.reshape(1, -1), out.reshape(1, -1))
        return out

    return compiled


def kernel_of(name: str) -> tuple[int, float]:
    """Return a kernel's number and its parameter, as `fastinit.gain` understands the name.

    Parameters
    ----------
    name : str

    Returns
    -------
    int, float
    """
    return activations.CODES[name], 0.01 if name == "leaky_relu" else 1.0


class Maps:
    """The variance map, the correlation map and their slopes, for arrays of networks.

    Right to about 1e-5, of `1 - c` too, while the variance is below 100, and to 1e-3 up to 1e4.

    Parameters
    ----------
    activation : str or callable
        See `fastinit.meanfield.edge_of_chaos`.

    Raises
    ------
    UnknownNameError
        If no activation has this name.
    ArgumentError
        If the activation is constant, has jumps or is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from fastinit.lab.theory import maps_of
    >>> maps = maps_of("relu")
    >>> maps.mean_square(np.array([1.0, 4.0])).round(6).tolist()
    [0.5, 2.0]
    """

    def __init__(self, activation: Activation) -> None:
        meanfield.chi(activation, 1.0, 1.0)  # says what is wrong with an activation
        self._phi = function_of(activation)
        self._kinks = _kinks(self._phi)
        points_q, points = chebyshev.chebpts1(NODES_Q), chebyshev.chebpts2(NODES_ANGLE)
        roots = np.exp(0.5 * (0.5 * (HIGH - LOW) * (points_q + 1.0) + LOW))
        angles = math.pi * (0.5 * (points + 1.0)) ** 2
        squares, ratios = np.empty(NODES_Q), np.empty((NODES_Q, NODES_ANGLE))

        def work(i: int) -> None:
            squares[i] = self._mean_square(roots[i])
            ratios[i] = self._ratios(roots[i], angles)

        threads.run(work, NODES_Q)
        in_q = chebyshev.chebvander(points_q, NODES_Q - 1)
        in_angle = chebyshev.chebvander(points, NODES_ANGLE - 1)
        # Rows for closely spaced log q, each with the Chebyshev series in the angle.
        rows = chebyshev.chebvander(np.linspace(-1.0, 1.0, ROWS), NODES_Q - 1)
        self._log_square: Array = np.asarray(
            rows @ np.linalg.solve(in_q, np.log(squares)), np.float64
        )
        series = np.linalg.solve(in_angle, np.linalg.solve(in_q, ratios).T).T
        self._ratio: Array = np.asarray(rows @ series, np.float64)
        # By which power of q the mean square goes on beyond the two ends.
        ends = np.diff(self._log_square)[[0, -1]] * (ROWS - 1) / (HIGH - LOW)
        self._powers = np.round(ends, 4)

    def mean_square(self, q: Array) -> Array:
        r"""Return :math:`V(q)`.

        Parameters
        ----------
        q : ndarray
            Variances: not negative, maybe infinite.

        Returns
        -------
        ndarray
        """
        x, beyond = _place(q)
        with np.errstate(over="ignore"):
            logs = _interpolated(self._log_square, x)
            return np.asarray(np.exp(logs + self._powers[np.where(x > 0.5, 1, 0)] * beyond))

    def ratio(self, q: Array, rest: Array) -> Array:
        r"""Return :math:`R(q, \theta)`; at `rest` 0 it is :math:`X(q)`.

        Parameters
        ----------
        q : ndarray
            Variances.
        rest : ndarray
            1 less the correlation, 0 to 2; of the shape of `q`.

        Returns
        -------
        ndarray
        """
        x, _ = _place(q)
        angle = 2.0 * np.arcsin(np.sqrt(0.5 * rest))
        y = 2.0 * np.sqrt(angle / math.pi) - 1.0
        waves = np.cos(np.arccos(y)[..., None] * np.arange(NODES_ANGLE))
        return np.asarray((_interpolated(self._ratio, x) * waves).sum(axis=-1))

    def variance(self, sigma_w: Array, sigma_b: Array, q: Array) -> Array:
        """Return the variances of the next layer's pre-activations.

        Parameters
        ----------
        sigma_w, sigma_b, q : ndarray
            See `fastinit.meanfield.variance_map`.

        Returns
        -------
        ndarray
        """
        with np.errstate(over="ignore", invalid="ignore"):
            after = sigma_w**2 * self.mean_square(q) + sigma_b**2
        return np.where(sigma_w == 0.0, sigma_b**2, after)

    def rest(self, sigma_w: Array, sigma_b: Array, q: Array, rest: Array) -> Array:
        """Return 1 less the correlation after the next layer; NaN where it has no variance.

        Parameters
        ----------
        sigma_w, sigma_b, q : ndarray
            See `fastinit.meanfield.correlation_map`.
        rest : ndarray
            1 less the correlation in this layer.

        Returns
        -------
        ndarray
        """
        return rest * self._stretch(sigma_w, sigma_b, q, rest)

    def variance_at_rest(self, sigma_w: Array, sigma_b: Array, q: Array) -> Array:
        """Return where the variance map comes to rest: 0 and infinity included.

        Parameters
        ----------
        sigma_w, sigma_b : ndarray
        q : ndarray
            Where to start.

        Returns
        -------
        ndarray
        """
        for _ in range(80):
            first = self.variance(sigma_w, sigma_b, q)
            second = self.variance(sigma_w, sigma_b, first)
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                slope = (second - first) / (first - q)
                limit = first + (second - first) / (1.0 - slope)
                moving = np.abs(first - q) > 1e-12 * q
            # Aitken's extrapolation of geometric steps, where they shrink.
            after = np.where((slope > 0.0) & (slope < 1.0 - 1e-6), limit, second)
            after = np.where(after > 1e30, np.inf, np.where(after < 1e-30, 0.0, after))
            q = np.where(moving, after, q)
            if not moving.any():
                break
        return q

    def rest_at_rest(self, sigma_w: Array, sigma_b: Array, q: Array) -> tuple[Array, Array]:
        """Return 1 less the correlation at which the correlation map rests, and its slope there.

        Parameters
        ----------
        sigma_w, sigma_b : ndarray
        q : ndarray
            The variance at rest, `variance_at_rest`.

        Returns
        -------
        rest, slope : ndarray
        """

        def stretch(rest: Array) -> Array:
            return self._stretch(sigma_w, sigma_b, q, rest)

        # The map is convex in c: the stretch falls from that at c = 1, once through 1 or never.
        low, high = np.zeros_like(q), np.full_like(q, 2.0)
        ordered = stretch(low) <= 1.0 + 1e-6
        for _ in range(60):
            middle = 0.5 * (low + high)
            above = stretch(middle) > 1.0
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        rest, step = np.where(ordered, 0.0, low), 1e-4
        change = stretch(np.minimum(rest * (1.0 + step), 2.0)) - stretch(rest * (1.0 - step))
        return rest, np.where(ordered, stretch(rest), 1.0 + change / (2.0 * step))

    def chi(self, sigma_w: Array, q: Array) -> Array:
        r"""Return :math:`\chi_1`.

        Parameters
        ----------
        sigma_w, q : ndarray
            See `fastinit.meanfield.chi`.

        Returns
        -------
        ndarray
        """
        return np.asarray(sigma_w**2 * self.ratio(q, np.zeros_like(q)))

    def edge(self, sigma_b: Array, low: float, high: float, variance: float = 1.0) -> Array:
        r"""Return the `sigma_w` at which :math:`\chi_1` is 1; NaN where it is not in the range.

        Parameters
        ----------
        sigma_b : ndarray
        low, high : float
        variance : float, default 1.0
            Mean square of the inputs, which decides where there are several variances at rest.

        Returns
        -------
        ndarray
        """

        def chi(sigma_w: Array) -> Array:
            start = sigma_w**2 * variance + sigma_b**2
            rest = self.variance_at_rest(sigma_w, sigma_b, start)
            return self.chi(sigma_w, rest)

        left, right = np.full_like(sigma_b, low), np.full_like(sigma_b, high)
        crossed = (chi(left) <= 1.0) & (chi(right) > 1.0)
        for _ in range(24):
            middle = 0.5 * (left + right)
            beyond = chi(middle) > 1.0
            left, right = np.where(beyond, left, middle), np.where(beyond, middle, right)
        return np.where(crossed, right, np.nan)

    def _stretch(self, sigma_w: Array, sigma_b: Array, q: Array, rest: Array) -> Array:
        """Return by what factor 1 - c changes in a layer."""
        q = np.clip(q, math.exp(LOW), math.exp(HIGH))
        with np.errstate(divide="ignore", invalid="ignore"):
            after = self.variance(sigma_w, sigma_b, q)
            return np.asarray(sigma_w**2 * self.ratio(q, rest) * q / after)

    def _mean_square(self, root: float) -> float:
        z, weights = self._cells(root, np.zeros(1))
        return float((weights * self._phi(z.ravel()).reshape(z.shape) ** 2).sum())

    def _ratios(self, root: float, angles: Array) -> Array:
        """Return R for one variance and some angles."""
        # u = s a +- y with y = d b, for standard normal a and b: first along a, then along b.
        s, d = root * np.cos(0.5 * angles), root * np.sin(0.5 * angles)
        bends = np.abs(np.concatenate(([0.5, 2.0, 8.0], self._kinks)))
        with np.errstate(divide="ignore"):
            edges = np.minimum(bends / d[:, None], REACH)
        ends = np.broadcast_to([0.0, 2.0, 4.5, REACH], (len(d), 4))
        b, half = _gauss(np.sort(np.concatenate((ends, edges), axis=1), axis=1), 6)
        masses = half * b * b * np.exp(-0.5 * b * b)
        masses /= masses.sum(axis=1, keepdims=True)
        # A difference quotient stands for the slope where both inputs are the same.
        y = np.maximum(d[:, None] * b, 1e-6 * root).ravel()
        x, weights = self._cells(np.repeat(s, b.shape[1]), y)
        shift = y[:, None]
        up = self._phi((x + shift).ravel()).reshape(x.shape)
        quotient = (up - self._phi((x - shift).ravel()).reshape(x.shape)) / (2.0 * shift)
        means = (weights * quotient**2).sum(axis=1).reshape(b.shape)
        return np.asarray((means * masses).sum(axis=1))

    def _cells(self, s: Array | float, y: Array) -> tuple[Array, Array]:
        """Return nodes and weights of integrals over x = s a with a standard normal."""
        s = np.maximum(np.broadcast_to(np.asarray(s, np.float64), y.shape), 1e-30)
        bends = np.concatenate((BENDS, self._kinks))
        reach = REACH * s[:, None]
        # Along a, kinks lie where s a = kink -+ y.
        edges = np.concatenate(
            (
                np.linspace(-1.0, 1.0, 9) * reach,
                np.clip(bends + y[:, None], -reach, reach),
                np.clip(bends - y[:, None], -reach, reach),
            ),
            axis=1,
        )
        edges.sort(axis=1)
        x, half = _gauss(edges, NODES_CELL)
        a = x / s[:, None]
        density = np.exp(-0.5 * a * a) / (s[:, None] * math.sqrt(2.0 * math.pi))
        return x, density * half


@dataclass(frozen=True)
class Theory:
    r"""What a wide network does to two inputs and to gradients, layer by layer and in the end.

    Attributes
    ----------
    variance : ndarray, shape (depth, ...)
        Of each layer's pre-activations.
    correlation : ndarray, shape (depth, ...)
        Of the two inputs' pre-activations.
    unlikeness : ndarray, shape (depth, ...)
        1 less the correlation, with all its digits.
    chi : ndarray, shape (depth, ...)
        By which the mean square of gradients changes on its way back through each layer.
    gradient : ndarray, shape (depth, ...)
        Size of the gradient in each layer's pre-activations, root mean square, over that in the
        last layer's.
    final_variance : ndarray
        Where the variance comes to rest; may be 0 or infinite.
    final_correlation : ndarray
        Where the correlation does.
    final_chi : ndarray
        :math:`\chi_1` there: below 1 the network is ordered, above 1 chaotic.
    depth_scale : ndarray
        :math:`\xi_c = -1 / \log` of the correlation map's slope where it rests: over so many layers
        the correlation gets nearer to its end by the factor e. Where the variance goes to 0 or
        grows without end, :math:`1 / |\log \chi_1|`, over which that changes by e.
    variance_depth_scale : ndarray
        :math:`\xi_q`, the same of the variance map; infinite where the variance has no rest.
    """

    variance: Array
    correlation: Array
    unlikeness: Array
    chi: Array
    gradient: Array
    final_variance: Array
    final_correlation: Array
    final_chi: Array
    depth_scale: Array
    variance_depth_scale: Array


def predict(
    activation: Activation,
    sigma_w: Array,
    sigma_b: Array,
    depth: int,
    variance: float = 1.0,
    correlation: float = 0.5,
) -> Theory:
    """Return what the maps say of networks, all at once.

    Parameters
    ----------
    activation : str or callable
    sigma_w, sigma_b : ndarray
        One number a network, of the same shape.
    depth : int
        Layers.
    variance, correlation : float
        Mean square of the two inputs' numbers, and their correlation.

    Returns
    -------
    Theory

    Examples
    --------
    >>> import numpy as np
    >>> from fastinit.lab.theory import predict
    >>> theory = predict("relu", np.array(2**0.5), np.array(0.0), depth=3, correlation=0.0)
    >>> theory.correlation.round(4).tolist()
    [0.0, 0.3183, 0.4937]
    """
    maps = maps_of(activation)
    q = sigma_w**2 * variance + sigma_b**2
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = sigma_w**2 * variance * (1.0 - correlation) / q
    variances, rests = [q], [rest]
    for _ in range(depth - 1):
        rests.append(maps.rest(sigma_w, sigma_b, variances[-1], rests[-1]))
        variances.append(maps.variance(sigma_w, sigma_b, variances[-1]))
    final = maps.variance_at_rest(sigma_w, sigma_b, variances[-1])
    final_rest, slope = maps.rest_at_rest(sigma_w, sigma_b, final)
    chi = np.stack([maps.chi(sigma_w, q) for q in variances])
    final_chi = maps.chi(sigma_w, final)
    rests_somewhere = (final > 0.0) & np.isfinite(final)
    unlikeness = np.stack(rests)
    with np.errstate(over="ignore", divide="ignore", under="ignore"):
        logs = np.log(chi)[:-1][::-1].cumsum(axis=0)[::-1]
        gradient = np.exp(0.5 * np.concatenate((logs, np.zeros((1, *q.shape)))))
    return Theory(
        variance=np.stack(variances),
        correlation=1.0 - unlikeness,
        unlikeness=unlikeness,
        chi=chi,
        gradient=gradient,
        final_variance=final,
        final_correlation=1.0 - final_rest,
        final_chi=final_chi,
        depth_scale=_depth_scale(np.where(rests_somewhere, slope, final_chi)),
        variance_depth_scale=np.where(
            rests_somewhere, _depth_scale(_variance_slope(maps, sigma_w, sigma_b, final)), np.inf
        ),
    )


def _depth_scale(slope: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 / np.abs(np.log(np.abs(slope))))


def _variance_slope(maps: Maps, sigma_w: Array, sigma_b: Array, q: Array) -> Array:
    q, step = np.clip(q, math.exp(LOW), math.exp(HIGH)), 1e-4
    up, down = (maps.variance(sigma_w, sigma_b, q * factor) for factor in (1 + step, 1 - step))
    return (up - down) / (2.0 * step * q)


def _place(q: Array) -> tuple[Array, Array]:
    """Return where log q lies between LOW and HIGH, as 0 to 1, and by how much it is beyond."""
    with np.errstate(divide="ignore"):
        logs = np.log(q)
    inside = np.clip(logs, LOW, HIGH)
    beyond = np.clip(logs, -700.0, 700.0) - inside
    return (inside - LOW) / (HIGH - LOW), beyond


def _interpolated(table: Array, x: Array) -> Array:
    """Return rows between a table's equidistant rows, by cubics; x is 0 to 1."""
    place = x * (ROWS - 1)
    first = np.clip(place.astype(np.int64) - 1, 0, ROWS - 4)
    t = place - first
    weights = (
        (t - 1.0) * (t - 2.0) * (t - 3.0) / -6.0,
        t * (t - 2.0) * (t - 3.0) / 2.0,
        t * (t - 1.0) * (t - 3.0) / -2.0,
        t * (t - 1.0) * (t - 2.0) / 6.0,
    )
    shape = t.shape + (1,) * (table.ndim - 1)
    parts = [np.reshape(w, shape) * table[first + k] for k, w in enumerate(weights)]
    return np.asarray(parts[0] + parts[1] + parts[2] + parts[3])


def _gauss(edges: Array, count: int) -> tuple[Array, Array]:
    """Return nodes and weights of integrals over the cells between rows of edges."""
    half = 0.5 * np.diff(edges, axis=1)[:, :, None]
    nodes, weights = leggauss(count)
    x = edges[:, :-1, None] + half * (nodes + 1.0)
    return x.reshape(len(edges), -1), (half * weights).reshape(len(edges), -1)


def _kinks(phi: Callable[[Array], Array]) -> Array:
    """Return where halving a cell again and again does not make a function smooth."""
    edges = np.linspace(-20.123, 20.456, 42)
    left, right = edges[:-1], edges[1:]
    nodes, weights = leggauss(10)

    def integrals(left: Array, right: Array) -> Array:
        half = 0.5 * (right - left)
        z = (left + half)[:, None] + half[:, None] * nodes
        return half * (phi(z.ravel()).reshape(z.shape) @ weights)

    kinks, found = np.zeros(0), []
    for halvings in range(30):
        middle = 0.5 * (left + right)
        sums = integrals(left, middle) + integrals(middle, right)
        # Against rounding: of the values, and of the places where they are taken.
        rough = np.abs(sums - integrals(left, right)) > 1e-13 * (np.abs(sums) + right - left)
        # A kink has been closed in on where neither half of a rough cell is rough.
        if halvings > 9:
            found += kinks[~rough.reshape(2, -1).any(axis=0)].tolist()
        if halvings > 5 and rough.sum() > MOST_KINKS:  # it is smooth, but winding
            return np.array(found)
        kinks = middle[rough]
        left = np.concatenate((left[rough], kinks))
        right = np.concatenate((kinks, right[rough]))
    return np.unique(found + kinks.tolist())
