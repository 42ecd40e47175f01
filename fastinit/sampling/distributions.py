"""The laws that a tensor's elements can follow, and the kernel and numbers that draw each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.sampling.dtypes import COMPLEX, FLOATS, DType, find

__all__ = [
    "Bits",
    "Constant",
    "Distribution",
    "Normal",
    "Permutation",
    "Sign",
    "TruncatedNormal",
    "Uniform",
]

# Bounds of the three ways to draw a truncated normal, in standard deviations.
CENTRAL = 2.0
FAR = 5.0

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


def normalize(instance: Any, **checks: Callable[[str, Any], Any]) -> None:
    """Replace fields of a frozen dataclass by what their checks make of them."""
    for name, check in checks.items():
        object.__setattr__(instance, name, check(name, getattr(instance, name)))


@dataclass(frozen=True)
class Distribution:
    """A law for one element; its subclasses say with which numbers.

    A complex element has the real law's mean, its variance, and a distribution about the mean that
    no rotation changes, as in JAX.

    Attributes
    ----------
    dtypes : tuple of str
        What it can be drawn in; an attribute of the class.

    Examples
    --------
    >>> from fastinit.sampling import Distribution, Normal
    >>> isinstance(Normal(0.0, 1.0), Distribution)
    True
    """

    dtypes: ClassVar[tuple[str, ...]] = (*FLOATS, *COMPLEX)

    def plan(self, dtype: DTypeLike) -> Plan:
        """Return what draws the law in a dtype.

        Parameters
        ----------
        dtype : dtype-like
            One of `dtypes`.

        Returns
        -------
        (str, tuple)
            The name of the backend's kernel, without its dtype, and its parameters.

        Raises
        ------
        ArgumentError
            If a parameter does not fit the dtype.
        ArgumentTypeError
            If the law cannot be drawn in the dtype.
        """
        return self._plan(find(dtype, self.dtypes))

    def _plan(self, dtype: DType) -> Plan:
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(Distribution):
    """Every element equals `value`.

    Parameters
    ----------
    value : float, default 0.0
        Infinities are allowed.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If `value` is nan, or not a number.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.sampling import Constant, fill
    >>> out = numpy.empty(2)
    >>> fill(out, Constant(0.5), key=0)
    >>> out.tolist()
    [0.5, 0.5]
    """

    value: float = 0.0

    def __post_init__(self) -> None:
        normalize(self, value=as_number)

    def _plan(self, dtype: DType) -> Plan:
        if math.isfinite(self.value):
            _cast(dtype, value=self.value)
        number = dtype.compute.type
        return "uniform", (number(self.value), number(0))


@dataclass(frozen=True)
class Uniform(Distribution):
    """Uniform on [low, high).

    Parameters
    ----------
    low, high : float, default -0.05 and 0.05
        Finite, as is their difference; the draws are never `high`, unless the two are equal.

    Raises
    ------
    ArgumentError
        If `low` exceeds `high`, or a number is not finite.
    ArgumentTypeError
        If one is not a number.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.sampling import Uniform, fill
    >>> out = numpy.empty(1000)
    >>> fill(out, Uniform(-1.0, 1.0), key=0)
    >>> bool(out.min() >= -1.0 and out.max() < 1.0)
    True
    """

    low: float = -0.05
    high: float = 0.05

    def __post_init__(self) -> None:
        normalize(self, low=as_finite, high=as_finite)
        if self.low > self.high:
            raise ArgumentError(
                f"low must not exceed high, got low={self.low!r}, high={self.high!r}"
            )
        if not math.isfinite(self.high - self.low):
            raise ArgumentError(
                f"high - low must be finite, got low={self.low!r}, high={self.high!r}"
            )

    def _plan(self, dtype: DType) -> Plan:
        middle = self.low + (self.high - self.low) / 2
        if dtype.name in COMPLEX:  # on a disk, the variance is half the square of the radius
            return "disk", _cast(dtype, mean=middle, radius=_over_root(self.high, 6, self.low))
        number = dtype.compute.type
        low, high = _cast(dtype, low=self.low, high=self.high)
        if not low < high:  # or so close together that dtype cannot tell
            return "uniform", (low, number(0))
        # The draws are center + s * half_width, where s + 1/2 lies within +-2^31, and s is rounded
        # to dtype. The rounding of the ends is made up for here, once, so that no draw need be
        # compared with them.
        first, last = number(-(2.0**31) - 0.5), number(2.0**31 - 0.5)
        reach = min(number(middle) - low, np.nextafter(high, low) - number(middle))
        half_width = max(reach, number(0)) * number(2.0**-31)
        while half_width:
            center = number(middle + float(half_width) / 2)
            if low <= center + first * half_width and center + last * half_width < high:
                return "uniform", (center, half_width)
            half_width = np.nextafter(half_width, number(0))
        return "uniform", (number(middle) if middle < high else low, half_width)


@dataclass(frozen=True)
class Normal(Distribution):
    """Normal with this mean and standard deviation.

    Parameters
    ----------
    mean : float, default 0.0
        Finite.
    std : float, default 0.05
        Finite, not negative; with 0, every element is `mean`.

    Raises
    ------
    ArgumentError
        If a number is out of its range.
    ArgumentTypeError
        If one is not a number.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.sampling import Normal, fill
    >>> out = numpy.empty(10_000)
    >>> fill(out, Normal(mean=3.0, std=0.1), key=0)
    >>> round(float(out.mean()), 2), round(float(out.std()), 2)
    (3.0, 0.1)
    """

    mean: float = 0.0
    std: float = 0.05

    def __post_init__(self) -> None:
        normalize(self, mean=as_finite, std=as_scale)

    def _plan(self, dtype: DType) -> Plan:
        numbers = _cast(dtype, mean=self.mean, std=self.std)
        if dtype.name in COMPLEX:  # half the variance each for the real and the imaginary part
            return "normal", _cast(dtype, mean=self.mean, std=_over_root(self.std, 2))
        return "normal", numbers


@dataclass(frozen=True)
class TruncatedNormal(Distribution):
    """Normal, given that it falls within mean + std * [lower, upper].

    Parameters
    ----------
    mean : float, default 0.0
        That of the normal before the truncation; finite.
    std : float, default 0.05
        Likewise; finite, not negative.
    lower, upper : float, default -2.0 and 2.0
        In standard deviations from the mean, or themselves if `absolute`; either may be infinite.
    absolute : bool, default False
        Whether the bounds are `lower` and `upper` themselves.

    Raises
    ------
    ArgumentError
        If a number is out of its range, `lower` is not below `upper`, or the normal has no mass
        between them.
    ArgumentTypeError
        If an argument has a type that cannot be used.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.sampling import TruncatedNormal, fill
    >>> out = numpy.empty(10_000)
    >>> fill(out, TruncatedNormal(0.0, 1.0, lower=4.0, upper=5.0), key=0)
    >>> bool(4.0 <= out.min() and out.max() <= 5.0)
    True
    """

    mean: float = 0.0
    std: float = 0.05
    lower: float = -2.0
    upper: float = 2.0
    absolute: bool = False

    def __post_init__(self) -> None:
        normalize(self, mean=as_finite, std=as_scale, lower=as_number, upper=as_number)
        if not isinstance(self.absolute, bool):
            raise ArgumentTypeError(f"absolute must be True or False, got {self.absolute!r}")
        bounds = f"lower={self.lower!r} and upper={self.upper!r}"
        if not self.lower < self.upper:
            raise ArgumentError(
                f"lower must be less than upper, got lower={self.lower!r}, upper={self.upper!r}"
            )
        if not self.std:
            if self.absolute and not self.lower <= self.mean <= self.upper:
                raise ArgumentError(f"no mass between {bounds}: std is 0, mean={self.mean!r}")
            return
        lower, upper = self._standard_bounds()
        if not lower < upper or lower == math.inf or upper == -math.inf:
            raise ArgumentError(f"no mass between {bounds}")

    def _standard_bounds(self) -> tuple[float, float]:
        """Return the bounds in standard deviations from the mean."""
        if not self.absolute:
            return self.lower, self.upper
        if not self.std:
            return -math.inf, math.inf
        return _ratio(self.lower - self.mean, self.std), _ratio(self.upper - self.mean, self.std)

    def _plan(self, dtype: DType) -> Plan:
        mean, std = self.mean, self.std
        lower, upper = self._standard_bounds()
        limits = _cast(dtype, mean=mean, std=std)
        if dtype.name in COMPLEX:
            return self._complex_plan(dtype, lower, upper)
        number = dtype.compute.type
        # The bounds in the units of the output, rounded as the draws are.
        if self.absolute:
            low, high = (_rounded(dtype, bound) for bound in (self.lower, self.upper))
        else:
            low, high = (
                limits[0] + limits[1] * number(bound) if limits[1] else limits[0]
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
        return kernel, (*(number(value) for value in numbers), low, high)

    def _complex_plan(self, dtype: DType, lower: float, upper: float) -> Plan:
        if lower != -upper:
            raise ArgumentError(
                "complex draws are cut by their distance from the mean, so the bounds must be as "
                f"far below it as above, got lower={self.lower!r}, upper={self.upper!r}"
            )
        per_radius, per_part, ratio, drop = _squares_of_a_cut(upper)
        if upper < np.finfo(dtype.compute).eps ** 0.25:
            # So flat that a disk is as good; and `ratio` would leave few different radii.
            return "disk", _cast(dtype, mean=self.mean, radius=_over_root(self.std, per_radius))
        std = _over_root(self.std, per_part)
        return "truncated_modulus", _cast(dtype, mean=self.mean, std=std, ratio=ratio, drop=drop)


@dataclass(frozen=True)
class Sign(Distribution):
    """`scale` or `-scale`, each with probability 1/2 (Rademacher).

    Parameters
    ----------
    scale : float, default 1.0
        Finite, not negative.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If `scale` is out of its range, or not a number.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.sampling import Sign, fill
    >>> out = numpy.empty(100)
    >>> fill(out, Sign(0.5), key=0)
    >>> sorted(set(out.tolist()))
    [-0.5, 0.5]
    """

    dtypes = FLOATS

    scale: float = 1.0

    def __post_init__(self) -> None:
        normalize(self, scale=as_scale)

    def _plan(self, dtype: DType) -> Plan:
        return "sign", _cast(dtype, scale=self.scale)


@dataclass(frozen=True)
class Bits(Distribution):
    """Random bits: an integer uniform over all that the dtype can hold; see `fastinit.bits`.

    Examples
    --------
    >>> import fastinit, numpy
    >>> from fastinit.sampling import Bits, fill
    >>> out = numpy.empty(4, numpy.uint32)
    >>> fill(out, Bits(), key=int(fastinit.key(0)))
    >>> bool((out == fastinit.bits(4, seed=0)).all())
    True
    """

    dtypes = ("uint32", "uint64")

    def _plan(self, dtype: DType) -> Plan:
        return "bits", ()


@dataclass(frozen=True)
class Permutation(Distribution):
    """Rows of n elements, each a random permutation of 0 to n - 1; see `fastinit.permutation`.

    Parameters
    ----------
    n : int
        1 to 2**62.

    Raises
    ------
    ArgumentError
        If `n` is out of its range.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.sampling import Permutation, fill
    >>> out = numpy.empty((2, 3), numpy.int64)
    >>> fill(out, Permutation(3), key=0)
    >>> numpy.sort(out).tolist()
    [[0, 1, 2], [0, 1, 2]]
    """

    dtypes = ("int64",)

    n: int

    def __post_init__(self) -> None:
        if not 1 <= self.n <= 2**62:
            raise ArgumentError(f"n must be 1 to 2**62, got {self.n!r}")

    def _plan(self, dtype: DType) -> Plan:
        return "permutation", (self.n,)


def _cast(dtype: DType, **numbers: float) -> tuple[Any, ...]:
    dtype.check(**numbers)
    return tuple(dtype.compute.type(number) for number in numbers.values())


def _rounded(dtype: DType, bound: float) -> Any:
    """Return a bound in the dtype; one too large for it bounds nothing."""
    largest = float(np.finfo(dtype.compute).max)
    return dtype.compute.type(bound if abs(bound) <= largest else math.copysign(math.inf, bound))


def _ratio(numerator: float, denominator: float) -> float:
    """Divide, and let what is too large be infinite."""
    with np.errstate(over="ignore"):
        return float(np.float64(numerator) / np.float64(denominator))


# The tails of the normal, in decimal arithmetic, because it is the same everywhere: the C library's
# erfc is not, and another last digit would be another stream.

_DECIMAL = Context(prec=50)
_SQRT_2_PI = Decimal("2.50662827463100050241576528481104525300698674060993831662992357634")


def _over_root(number: float, square: Decimal | int, less: float = 0.0) -> float:
    """Return (number - less) / sqrt(square)."""
    with localcontext(_DECIMAL):
        return float((Decimal(number) - Decimal(less)) / Decimal(square).sqrt())


def _masses(lower: float, upper: float, one_sided: bool) -> tuple[float, float, float]:
    """Return the mass below lower (0 if one-sided), that above upper, and that between them."""
    with localcontext(_DECIMAL):
        above = _survival(upper)
        below = Decimal(0) if one_sided else _survival(-lower)
        between = (_survival(lower) if one_sided else 1 - below) - above
        return float(below), float(above), float(between)


def _masses_of_far_tail(lower: float, upper: float) -> tuple[float, float]:
    """Return which share of the tail above lower lies above upper, and which does not."""
    if upper == math.inf:
        return 0.0, 1.0
    with localcontext(_DECIMAL):
        a, b = Decimal(lower), Decimal(upper)
        ratio = ((a - b) * (a + b) / 2).exp() * _inverse_mills(a) / _inverse_mills(b)
        return float(ratio), float(1 - ratio)


def _squares_of_a_cut(bound: float) -> tuple[Decimal, Decimal, float, float]:
    """Return what a complex draw has to be divided by the root of, and two shares of its law.

    A standard normal cut at +-bound has a variance; a disk has the same if its radius is one over
    the root of the first, and a complex normal whose modulus is cut at `bound` of its standard
    deviations if that of each part was one over the root of the second. The shares are those of the
    complex normal beyond the bound, and within it.
    """
    if bound > 40.0:  # beyond which lies less than float64 can tell
        return Decimal("0.5"), Decimal(2), 0.0, 1.0
    with localcontext(_DECIMAL) as context:
        z = Decimal(bound)
        context.prec += 4 * max(0, -z.adjusted())  # the differences from 1 cancel
        term, total, k = z, z, 1  # as in _survival
        while term > total.scaleb(-context.prec):
            k += 2
            term = term * z * z / k
            total += term
        real = 1 - z / total
        ratio = (-z * z).exp()
        whole = 1 - z * z * ratio / (1 - ratio)
        return 1 / (2 * real), 2 * whole / real, float(ratio), float(1 - ratio)


def _survival(x: float) -> Decimal:
    """Upper tail of the standard normal, to 30 digits."""
    if x == math.inf:
        return Decimal(0)
    if x < 0.0:
        return 1 - _survival(-x)
    z = Decimal(x)
    density = (-z * z / 2).exp() / _SQRT_2_PI
    if z >= 5:
        return density / _inverse_mills(z)
    term, total, k = z, z, 1  # the sum of x^k / (1 * 3 * 5 * ... * k) over odd k
    while term > Decimal("1e-45"):
        k += 2
        term = term * z * z / k
        total += term
    return Decimal("0.5") - density * total


def _inverse_mills(z: Decimal) -> Decimal:
    """Density over survival function from z on, for z >= 5: Laplace's continued fraction."""
    fraction = z
    for k in range(80, 0, -1):
        fraction = z + k / fraction
    return fraction
