"""The laws that a tensor's elements can follow, and the kernel and numbers that draw each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from typing import Any

import numpy as np

from fastinit.errors import ArgumentError, ArgumentTypeError

__all__ = ["Constant", "Distribution", "Normal", "TruncatedNormal", "Uniform"]

# Bounds of the three ways to draw a truncated normal, in standard deviations.
CENTRAL = 2.0
FAR = 5.0

_LARGEST = {np.dtype(t): float(np.finfo(t).max) for t in (np.float32, np.float64)}

Plan = tuple[str, tuple[Any, ...]]


def as_number(name: str, value: Any) -> float:
    """Return a parameter as a float that is not nan, or say what is wrong with it."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ArgumentTypeError(f"{name} must be a number, got {value!r}") from None
    if math.isnan(number):
        raise ArgumentError(f"{name} must be a number, got nan")
    return number


def as_finite(name: str, value: Any) -> float:
    """Return a parameter as a finite float."""
    number = as_number(name, value)
    if math.isinf(number):
        raise ArgumentError(f"{name} must be finite, got {number!r}")
    return number


def as_scale(name: str, value: Any) -> float:
    """Return a parameter as a finite float that is not negative."""
    number = as_finite(name, value)
    if number < 0.0:
        raise ArgumentError(f"{name} must not be negative, got {number!r}")
    return number


@dataclass(frozen=True)
class Distribution:
    """A law for one element; its subclasses say with which numbers."""

    def plan(self, dtype: np.dtype[Any]) -> Plan:
        """Return the name of the backend's kernel (without its dtype) and its parameters."""
        raise NotImplementedError

    def _normalize(self, **checks: Callable[[str, Any], float]) -> None:
        for name, check in checks.items():
            object.__setattr__(self, name, check(name, getattr(self, name)))


@dataclass(frozen=True)
class Constant(Distribution):
    """Every element equals `value`."""

    value: float = 0.0

    def __post_init__(self) -> None:
        self._normalize(value=as_number)


@dataclass(frozen=True)
class Uniform(Distribution):
    """Uniform on [low, high)."""

    low: float = -0.05
    high: float = 0.05

    def __post_init__(self) -> None:
        self._normalize(low=as_finite, high=as_finite)
        if self.low > self.high:
            raise ArgumentError(
                f"low must not exceed high, got low={self.low!r}, high={self.high!r}"
            )
        if not math.isfinite(self.high - self.low):
            raise ArgumentError(
                f"high - low must be finite, got low={self.low!r}, high={self.high!r}"
            )

    def plan(self, dtype: np.dtype[Any]) -> Plan:
        """Return kernel and parameters; see `Distribution.plan`."""
        low, high = _cast(dtype, low=self.low, high=self.high)
        if not low < high:  # or so close together that dtype cannot tell
            return "uniform", (low, dtype.type(0))
        # The draws are center + s * half_width, where s + 1/2 lies within +-2^31, and s is rounded
        # to dtype. The rounding of the ends is made up for here, once, so that no draw need be
        # compared with them.
        first, last = dtype.type(-(2.0**31) - 0.5), dtype.type(2.0**31 - 0.5)
        middle = self.low + (self.high - self.low) / 2
        reach = min(dtype.type(middle) - low, np.nextafter(high, low) - dtype.type(middle))
        half_width = max(reach, dtype.type(0)) * dtype.type(2.0**-31)
        while half_width:
            center = dtype.type(middle + float(half_width) / 2)
            if low <= center + first * half_width and center + last * half_width < high:
                return "uniform", (center, half_width)
            half_width = np.nextafter(half_width, dtype.type(0))
        return "uniform", (dtype.type(middle) if middle < high else low, half_width)


@dataclass(frozen=True)
class Normal(Distribution):
    """Normal with this mean and standard deviation."""

    mean: float = 0.0
    std: float = 0.05

    def __post_init__(self) -> None:
        self._normalize(mean=as_finite, std=as_scale)

    def plan(self, dtype: np.dtype[Any]) -> Plan:
        """Return kernel and parameters; see `Distribution.plan`."""
        return "normal", _cast(dtype, mean=self.mean, std=self.std)


@dataclass(frozen=True)
class TruncatedNormal(Distribution):
    """Normal, given that it falls within mean + std * [lower, upper].

    `std` is that of the normal before the truncation.
    """

    mean: float = 0.0
    std: float = 0.05
    lower: float = -2.0
    upper: float = 2.0

    def __post_init__(self) -> None:
        self._normalize(mean=as_finite, std=as_scale, lower=as_number, upper=as_number)
        if not self.lower < self.upper:
            raise ArgumentError(
                f"lower must be less than upper, got lower={self.lower!r}, upper={self.upper!r}"
            )
        if self.lower == math.inf or self.upper == -math.inf:
            raise ArgumentError(f"no mass between lower={self.lower!r} and upper={self.upper!r}")

    def plan(self, dtype: np.dtype[Any]) -> Plan:
        """Return kernel and parameters; see `Distribution.plan`."""
        mean, std, lower, upper = self.mean, self.std, self.lower, self.upper
        limits = _cast(dtype, mean=mean, std=std)
        # The bounds in the units of the output, rounded as the draws are.
        low, high = (
            limits[0] + limits[1] * dtype.type(bound) if limits[1] else limits[0]
            for bound in (lower, upper)
        )
        if upper <= 0.0:  # mirrored, so that a one-sided draw is always an upper tail
            lower, upper, std = -upper, -lower, -std
        if lower >= FAR:
            far = (mean, std, lower, *_masses_of_far_tail(lower, upper), low, high)
            return "truncated_far", tuple(np.float64(number) for number in far)
        one_sided = lower >= 0.0
        kernel = "truncated_central" if lower >= -CENTRAL and upper <= CENTRAL else "truncated_wide"
        numbers = (mean, std, *_masses(lower, upper, one_sided), one_sided)
        return kernel, (*(dtype.type(number) for number in numbers), low, high)


def _cast(dtype: np.dtype[Any], **numbers: float) -> tuple[Any, ...]:
    for name, number in numbers.items():
        if abs(number) > _LARGEST[dtype]:
            raise ArgumentError(f"{name}={number!r} does not fit {dtype.name}")
    return tuple(dtype.type(number) for number in numbers.values())


# The tails of the normal, in decimal arithmetic, because it is the same everywhere: the C library's
# erfc is not, and another last digit would be another stream.

_DECIMAL = Context(prec=50)
_SQRT_2_PI = Decimal("2.50662827463100050241576528481104525300698674060993831662992357634")


def _masses(lower: float, upper: float, one_sided: bool) -> tuple[float, float, float]:
    """Return the mass below lower (0 if one-sided), that above upper, and that between them."""
    with localcontext(_DECIMAL):
        above = _survival(upper)
        below = Decimal(0) if one_sided else _survival(-lower)
        between = (_survival(lower) if one_sided else 1 - below) - above
        return float(below), float(above), float(between)


def _masses_of_far_tail(lower: float, upper: float) -> tuple[float, float]:
    """Return which share of the tail above lower lies above upper, and which does not."""
    with localcontext(_DECIMAL):
        ratio = _survival(upper) / _survival(lower)
        return float(ratio), float(1 - ratio)


def _survival(x: float) -> Decimal:
    """Upper tail of the standard normal, to 30 digits."""
    if x == math.inf:
        return Decimal(0)
    if x < 0.0:
        return 1 - _survival(-x)
    z = Decimal(x)
    density = (-z * z / 2).exp() / _SQRT_2_PI
    if z >= 5:  # Laplace's continued fraction
        fraction = z
        for k in range(80, 0, -1):
            fraction = z + k / fraction
        return density / fraction
    term, total, k = z, z, 1  # the sum of x^k / (1 * 3 * 5 * ... * k) over odd k
    while term > Decimal("1e-45"):
        k += 2
        term = term * z * z / k
        total += term
    return Decimal("0.5") - density * total
