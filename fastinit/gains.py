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


def _erf(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([math.erf(x) for x in z.ravel().tolist()]).reshape(z.shape)


def _gelu_tanh(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 * z * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (z + 0.044715 * z**3)))


def _hard_sigmoid(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(z / 6.0 + 0.5, 0.0, 1.0)


def _selu(z: NDArray[np.float64]) -> NDArray[np.float64]:
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return scale * np.where(z > 0.0, z, alpha * np.expm1(np.minimum(z, 0.0)))


# Each maps an array of float64 to one of the same shape.
ACTIVATIONS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "elu": lambda z: np.where(z > 0.0, z, np.expm1(np.minimum(z, 0.0))),
    "erf": _erf,
    "gelu": lambda z: 0.5 * z * (1.0 + _erf(z / math.sqrt(2.0))),
    "gelu_tanh": _gelu_tanh,
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": lambda z: z * _hard_sigmoid(z),
    "hard_tanh": lambda z: np.clip(z, -1.0, 1.0),
    "leaky_relu": lambda z: np.where(z > 0.0, z, 0.01 * z),
    "linear": lambda z: z,
    "mish": lambda z: z * np.tanh(_softplus(z)),
    "relu": lambda z: np.maximum(z, 0.0),
    "relu6": lambda z: np.clip(z, 0.0, 6.0),
    "selu": _selu,
    "sigmoid": _sigmoid,
    "silu": _silu,
    "softplus": _softplus,
    "softsign": lambda z: z / (1.0 + np.abs(z)),
    "swish": _silu,
    "tanh": np.tanh,
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
        linear, sigmoid, tanh, relu, leaky_relu, selu, elu, erf, gelu (exact), gelu_tanh (its usual
        approximation), hard_sigmoid (clipping z / 6 + 1/2), hard_silu, hard_tanh, mish, relu6, silu
        (alias swish), softplus, softsign, or a function from an array of float64 to an array of the
        same shape, which may have kinks and jumps.
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
    if isinstance(activation, str) and activation in _CUSTOMARY:
        return _CUSTOMARY[activation]
    return _quadrature_gain(activation)


def activation_of(activation: Activation) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Return an activation as a function, which says so if its result has another shape."""
    if isinstance(activation, str):
        if activation not in ACTIVATIONS:
            raise unknown_name("activation", activation, ACTIVATIONS)
        return ACTIVATIONS[activation]
    if not callable(activation):
        raise ArgumentTypeError(f"activation must be a name or a function, got {activation!r}")

    def checked(z: NDArray[np.float64]) -> NDArray[np.float64]:
        values = np.asarray(activation(z), np.float64)
        if values.shape != z.shape:
            raise ArgumentError(
                f"activation {activation!r} maps shape {z.shape} to {values.shape}, expected the "
                "same"
            )
        return values

    return checked


NODES, WEIGHTS = np.polynomial.legendre.leggauss(20)

# Where an interval is cut. Between its ends and the nodes next to them, 0.003 of its length, a rule
# sees no kink; the short pieces at the ends look there.
CUTS = np.array([0.0, 0.01, 0.5, 0.99, 1.0])


def expectation(function: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> float:
    """Return E[f(z)] for a standard normal z and an f that is smooth but for kinks and jumps.

    Gauss-Legendre on intervals that are cut where cutting them makes a difference, until they are
    shorter than 2e-10; the normal density is below 1e-31 beyond the ends. What is within 4e-5 of an
    end of an interval of length 1 may stay unseen: there, a jump may cost that share of its size.
    """
    left = np.arange(-12.0, 12.0)
    right = left + 1.0
    wholes = _integrals(function, left, right)
    tolerance, total = 1e-13 * float(np.abs(wholes).sum()), 0.0
    while left.size:
        bounds = left[:, None] + (right - left)[:, None] * CUTS
        lefts, rights = bounds[:, :-1], bounds[:, 1:]
        pieces = _integrals(function, lefts.ravel(), rights.ravel()).reshape(lefts.shape)
        sums = pieces.sum(axis=1)
        split = np.abs(sums - wholes) > tolerance  # nan is done with
        split &= right - left > 2e-10
        total += float(sums[~split].sum())
        left, right, wholes = (part[split].ravel() for part in (lefts, rights, pieces))
    return total


def _integrals(
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    left: NDArray[np.float64],
    right: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the integral of f times the normal density over each interval."""
    half: NDArray[np.float64] = 0.5 * (right - left)
    z = (left + half)[:, None] + half[:, None] * NODES
    density = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    values = function(z.ravel()).reshape(z.shape)
    return half * np.asarray((density * values) @ WEIGHTS)


def _quadrature_gain(activation: Activation) -> float:
    phi = activation_of(activation)
    moment = expectation(lambda z: phi(z) ** 2)
    if not (moment > 0.0 and math.isfinite(moment)):
        raise ArgumentError(
            f"the mean square of activation {activation!r} must be positive and finite, got "
            f"{moment}"
        )
    return 1.0 / math.sqrt(moment)
