"""The gain of an activation: by what factor weights must grow to make up for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastinit.errors import ArgumentError, ArgumentTypeError, unknown_name

__all__ = ["ACTIVATIONS", "Activation", "gain"]

Activation: TypeAlias = "str | Callable[[NDArray[np.float64]], Any]"


def _sigmoid(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 * (1.0 + np.tanh(0.5 * z))


def _softplus(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.logaddexp(z, 0.0)


def _silu(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return z * _sigmoid(z)


def _normal_cdf(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([0.5 * math.erfc(-x / math.sqrt(2.0)) for x in z])


# Activations without a customary closed form; each maps an array of float64 to one.
ACTIVATIONS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "elu": lambda z: np.where(z > 0.0, z, np.expm1(z)),
    "gelu": lambda z: z * _normal_cdf(z),
    "mish": lambda z: z * np.tanh(_softplus(z)),
    "silu": _silu,
    "softplus": _softplus,
    "swish": _silu,
}
# The values in use, as torch.nn.init.calculate_gain returns them. Those of tanh and selu are
# conventions: 1/sqrt(E[phi(z)^2]) would be 1.593 and 1.
_CUSTOMARY = {
    "linear": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3.0,
    "relu": math.sqrt(2.0),
    "selu": 0.75,
}


def gain(activation: Activation, param: float | None = None) -> float:
    r"""Return the factor that weights of standard deviation 1/sqrt(fan_in) need for an activation.

    The customary values: 1 for linear and sigmoid, 5/3 for tanh, :math:`\sqrt 2` for relu,
    :math:`\sqrt{2 / (1 + a^2)}` for leaky_relu with negative slope `a`, 3/4 for selu. For any
    other activation :math:`\phi` the gain that keeps the second moment,

    .. math:: g = 1 / \sqrt{E[\phi(z)^2]}, \qquad z \sim N(0, 1),

    by numerical quadrature.

    Parameters
    ----------
    activation : str or callable
        linear, sigmoid, tanh, relu, leaky_relu, selu, elu, gelu (exact), mish, silu (alias swish),
        softplus, or a function from an array of float64 to an array of the same shape.
    param : float, optional
        The negative slope of leaky_relu, 0.01 by default. Nothing else takes one.

    Returns
    -------
    float
        Greater than 0.

    Raises
    ------
    UnknownNameError
        If no activation has this name.
    ArgumentError
        If `param` is not finite or is given to an activation that takes none, or if the second
        moment of a callable is zero or not finite.

    References
    ----------
    He, Zhang, Ren, Sun: Delving deep into rectifiers. arXiv:1502.01852 (2015).

    Examples
    --------
    >>> import fastinit
    >>> round(fastinit.gain("relu"), 4), round(fastinit.gain("gelu"), 4)
    (1.4142, 1.5335)
    >>> round(fastinit.gain(lambda z: abs(z)), 4)
    1.0
    """
    if activation == "leaky_relu":
        slope = 0.01 if param is None else float(param)
        if not math.isfinite(slope):
            raise ArgumentError(f"the negative slope must be finite, got {param!r}")
        return math.sqrt(2.0 / (1.0 + slope**2))
    if param is not None:
        raise ArgumentError(f"only leaky_relu takes a param, got {param!r} for {activation!r}")
    if isinstance(activation, str):
        if activation in _CUSTOMARY:
            return _CUSTOMARY[activation]
        if activation not in ACTIVATIONS:
            raise unknown_name("activation", activation, {*_CUSTOMARY, *ACTIVATIONS, "leaky_relu"})
        return _quadrature_gain(ACTIVATIONS[activation], activation)
    if not callable(activation):
        raise ArgumentTypeError(f"activation must be a name or a function, got {activation!r}")
    return _quadrature_gain(activation, repr(activation))


def _quadrature_gain(activation: Callable[[NDArray[np.float64]], Any], description: str) -> float:
    # Gauss-Legendre on short intervals, since most activations have a kink at zero; the normal
    # density is below 1e-31 beyond the ends.
    nodes, weights = np.polynomial.legendre.leggauss(20)
    edges = np.linspace(-12.0, 12.0, 49)
    half = 0.5 * (edges[1] - edges[0])
    z = (edges[:-1, None] + half * (1.0 + nodes)).ravel()
    density = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    values = np.asarray(activation(z), np.float64)
    if values.shape != z.shape:
        raise ArgumentError(
            f"activation {description} maps shape {z.shape} to {values.shape}, expected the same"
        )
    moment = float(np.sum(half * np.tile(weights, len(edges) - 1) * density * values**2))
    if not (moment > 0.0 and math.isfinite(moment)):
        raise ArgumentError(
            f"the mean square of activation {description} must be positive and finite, got {moment}"
        )
    return 1.0 / math.sqrt(moment)
