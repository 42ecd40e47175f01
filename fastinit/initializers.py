"""The catalogue: initializers as objects, and as functions that fill a tensor."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastinit.errors import ArgumentError, ArgumentTypeError, unknown_name
from fastinit.fans import Axes, Fans, Shape, as_axes, as_shape, compute_fans
from fastinit.keys import Seed, key_bits
from fastinit.sampling import (
    Constant,
    Distribution,
    Normal,
    Sign,
    TruncatedNormal,
    Uniform,
    fill,
    region_of,
)
from fastinit.sampling.distributions import as_scale
from fastinit.sampling.dtypes import DType, find

__all__ = [
    "Elementwise",
    "Initializer",
    "VarianceScaling",
    "constant",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "kaiming_normal",
    "kaiming_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "rademacher",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]

Mode: TypeAlias = Literal["fan_in", "fan_out", "fan_avg", "fan_geo_avg"]
Law: TypeAlias = Literal["uniform", "normal", "truncated_normal"]
MODES, LAWS = get_args(Mode), get_args(Law)

# Standard deviation of a standard normal truncated to +-2.
TRUNCATED_STD = 0.8796256610342398


class Initializer(ABC):
    """Base class of initializers: a rule that says which distribution a shape's elements follow.

    A subclass defines `distribution`; seeds, dtypes, `out`, `index` and threads then work as for
    every initializer of the library. Make it a frozen dataclass, and it can be compared and pickled
    and has a ``repr``. Pass it wherever a name is accepted, or `fastinit.register` it.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import fastinit
    >>> from fastinit.sampling import Normal
    >>> @dataclass(frozen=True)
    ... class SmallWorld(fastinit.Initializer):
    ...     scale: float = 1.0
    ...
    ...     def distribution(self, shape):
    ...         return Normal(0.0, self.scale / shape[0])
    >>> SmallWorld(0.5)((4, 3), seed=0).shape
    (4, 3)
    """

    @abstractmethod
    def distribution(self, shape: tuple[int, ...]) -> Distribution:
        """Return the distribution of the elements of a tensor of `shape`.

        Parameters
        ----------
        shape : tuple of int
            That of the whole tensor.

        Returns
        -------
        fastinit.sampling.Distribution
            The law that every element follows, independently of the others.
        """

    def __call__(
        self,
        shape: Shape,
        *,
        seed: Seed = None,
        dtype: DTypeLike = np.float32,
        out: NDArray[Any] | None = None,
        index: Any = None,
    ) -> NDArray[Any]:
        """Return initial values for a tensor of `shape`.

        Parameters
        ----------
        shape : int or sequence of int
            The shape of the whole tensor.
        seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
            See `fastinit.key`.
        dtype : dtype-like, default float32
            float32, float64, float16, bfloat16 (by name, or ml_dtypes.bfloat16), complex64 or
            complex128. In 16 bits, the values of float32 rounded to nearest. Complex values have
            the mean and the variance of the real ones, and a law about the mean that no rotation
            changes, as in JAX.
        out : ndarray, optional
            Filled in place and returned; of the dtype `dtype` (or uint16, for 16 bits) and of the
            shape of the result. It need not be contiguous; where its elements share memory, which
            of their values stays is not defined.
        index : int, slice, Ellipsis or tuple of these, optional
            Make only this part of the tensor; it equals that part of the whole.

        Returns
        -------
        ndarray
            Of the shape `shape`, or of the part `index`; `out`, where it is given.

        Raises
        ------
        ArgumentError, ArgumentIndexError, ArgumentTypeError
            If an argument does not fit; nothing has been computed then.
        """
        return self._drawn(as_shape(shape), seed, dtype, out, index)

    def _drawn(
        self,
        shape: tuple[int, ...],
        seed: Seed,
        dtype: DTypeLike,
        out: NDArray[Any] | None,
        index: Any,
    ) -> NDArray[Any]:
        """Return the values; those whose elements are no independent draws override this."""
        return drawn(law_of(self, shape), shape, seed, dtype, out, index)


def law_of(initializer: Initializer, shape: tuple[int, ...]) -> Distribution:
    """Return an initializer's distribution for `shape`, and say so where it is none."""
    law = initializer.distribution(shape)
    if not isinstance(law, Distribution):
        raise ArgumentTypeError(f"{initializer!r}.distribution returned {law!r}, no Distribution")
    return law


def drawn(
    law: Distribution,
    shape: tuple[int, ...],
    seed: Seed,
    dtype: DTypeLike,
    out: NDArray[Any] | None,
    index: Any,
) -> NDArray[Any]:
    """Return the part `index` of a tensor of `shape` whose elements follow `law`."""
    row = find(dtype, law.dtypes)
    if index is None:
        target = target_of(shape, row, out)
        fill(target, law, key_bits(seed), dtype=row)
        return target
    region = region_of(shape, index)
    target = target_of(region.shape, row, out)
    fill(target, law, key_bits(seed), region.start, region.strides, dtype=row)
    return target


def target_of(shape: tuple[int, ...], dtype: DType, out: NDArray[Any] | None) -> NDArray[Any]:
    """Return the array to fill: `out` if it fits, else a new one."""
    if out is None:
        return np.empty(shape, dtype.array)
    if not isinstance(out, np.ndarray):
        raise ArgumentTypeError(f"out must be an array, got {type(out).__name__}")
    if out.shape != shape:
        raise ArgumentError(f"out has shape {out.shape}, expected {shape}")
    if not dtype.holds(out.dtype):
        raise ArgumentTypeError(f"out has dtype {out.dtype.name}, expected {dtype.name}")
    if not out.flags.writeable:
        raise ArgumentError("out is read-only")
    return out


@dataclass(frozen=True, repr=False)
class Elementwise(Initializer):
    """The same distribution whatever the shape: zeros, ones, constant, uniform, normal, ...

    Parameters
    ----------
    law : fastinit.sampling.Distribution
        What each element follows.

    Examples
    --------
    >>> import fastinit
    >>> from fastinit.initializers import Elementwise
    >>> from fastinit.sampling import Normal
    >>> Elementwise(Normal(0.0, 0.02)) == fastinit.get("normal", std=0.02)
    True
    """

    law: Distribution

    def distribution(self, shape: tuple[int, ...]) -> Distribution:
        """Return `law`."""
        return self.law

    def __repr__(self) -> str:
        match self.law:
            case Constant(0.0):
                return "zeros()"
            case Constant(1.0):
                return "ones()"
        for name, law in ELEMENTWISE.items():
            if type(self.law) is law:
                return call_of(name, self.law)
        return f"Elementwise({self.law!r})"


ELEMENTWISE: dict[str, type[Distribution]] = {
    "constant": Constant,
    "normal": Normal,
    "rademacher": Sign,
    "truncated_normal": TruncatedNormal,
    "uniform": Uniform,
}

# name: (scale, mode, law). Glorot & Bengio 2010, He et al. 2015, LeCun et al. 1998.
NAMED_SCALINGS: dict[str, tuple[float, Mode, Law]] = {
    "glorot_normal": (1.0, "fan_avg", "normal"),
    "glorot_uniform": (1.0, "fan_avg", "uniform"),
    "he_normal": (2.0, "fan_in", "normal"),
    "he_uniform": (2.0, "fan_in", "uniform"),
    "lecun_normal": (1.0, "fan_in", "normal"),
    "lecun_uniform": (1.0, "fan_in", "uniform"),
}


@dataclass(frozen=True, repr=False)
class VarianceScaling(Initializer):
    """Variance `scale` / n, where n is a mean of fan_in and fan_out; see `variance_scaling`.

    Parameters
    ----------
    scale : float, default 1.0
        Finite, not negative.
    mode : {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"}, default "fan_in"
        What n is: a fan, or the arithmetic or the geometric mean of both.
    law : {"truncated_normal", "normal", "uniform"}, default "truncated_normal"
        The distribution, which has this variance after the truncation.
    in_axis, out_axis, batch_axis : int or sequence of int, default -2, -1, ()
        Which axes are inputs, outputs and independent copies; see `fastinit.compute_fans`.
    fans : (float, float), optional
        fan_in and fan_out, in the place of those of the shape; see `fastinit.fans`.

    Raises
    ------
    UnknownNameError
        If there is no such mode or law.
    ArgumentError, ArgumentTypeError
        If another argument does not fit.

    Examples
    --------
    >>> import fastinit
    >>> from fastinit.initializers import VarianceScaling
    >>> VarianceScaling(2.0, "fan_in", "normal")
    he_normal()
    >>> VarianceScaling(2.0, "fan_in", "normal").distribution((50, 10))
    Normal(mean=0.0, std=0.2)
    """

    scale: float = 1.0
    mode: Mode = "fan_in"
    law: Law = "truncated_normal"
    in_axis: Axes = -2
    out_axis: Axes = -1
    batch_axis: Axes = ()
    fans: Fans | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", as_scale("scale", self.scale))
        if self.mode not in MODES:
            raise unknown_name("mode", self.mode, MODES)
        if self.law not in LAWS:
            raise unknown_name("distribution", self.law, LAWS)
        normalize_axes(self)
        if self.fans is not None:
            object.__setattr__(self, "fans", as_fans(self.fans))

    @lru_cache(maxsize=4096)  # noqa: B019 - initializers are small, and few
    def distribution(self, shape: tuple[int, ...]) -> Distribution:
        """Return the distribution of variance scale / n."""
        fan_in, fan_out = self.fans or compute_fans(
            shape, self.in_axis, self.out_axis, self.batch_axis
        )
        fans = {
            "fan_in": float(fan_in),
            "fan_out": float(fan_out),
            "fan_avg": 0.5 * (fan_in + fan_out),
            "fan_geo_avg": math.sqrt(fan_in * fan_out),
        }
        # A fan of zero means that the tensor is empty, or has no inputs to speak of.
        std = math.sqrt(self.scale / (fans[self.mode] or 1.0))
        if self.law == "uniform":
            return Uniform(-math.sqrt(3.0) * std, math.sqrt(3.0) * std)
        if self.law == "normal":
            return Normal(0.0, std)
        return TruncatedNormal(0.0, std / TRUNCATED_STD)

    def __repr__(self) -> str:
        layout = ("in_axis", "out_axis", "batch_axis", "fans")
        given = {name: getattr(self, name) for name in layout}
        for name, numbers in NAMED_SCALINGS.items():
            if numbers == (self.scale, self.mode, self.law):
                return call_of(name, VarianceScaling(**given))
        return call_of("variance_scaling", self).replace("law=", "distribution=")


def normalize_axes(initializer: Any) -> None:
    """Write the axes of a frozen initializer as integers, or tuples of them."""
    for name in ("in_axis", "out_axis", "batch_axis"):
        axes = as_axes(getattr(initializer, name))
        object.__setattr__(initializer, name, axes[0] if len(axes) == 1 else axes)


def as_fans(fans: Any) -> tuple[float, float]:
    """Return fan_in and fan_out as floats, or say what is wrong with them."""
    if not (isinstance(fans, Sequence) and len(fans) == 2):
        raise ArgumentTypeError(f"fans must be (fan_in, fan_out), got {fans!r}")
    fan_in, fan_out = fans
    return as_scale("fan_in", fan_in), as_scale("fan_out", fan_out)


def named_scaling(
    name: str,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    fans: Fans | None = None,
) -> VarianceScaling:
    """Return the initializer of a name in NAMED_SCALINGS."""
    try:
        return _named_scaling(name, in_axis, out_axis, batch_axis, fans)  # type: ignore[arg-type]
    except TypeError:  # a list of axes cannot be remembered, and a wrong one is an error again
        return VarianceScaling(*NAMED_SCALINGS[name], in_axis, out_axis, batch_axis, fans)


@lru_cache(typed=True)  # True is no axis, though it equals 1
def _named_scaling(name: str, *layout: Any) -> VarianceScaling:
    return VarianceScaling(*NAMED_SCALINGS[name], *layout)


def call_of(name: str, parameters: Any) -> str:
    """Write a call of `name` with those fields of a dataclass that are not at their defaults."""
    shown = (
        f"{field.name}={getattr(parameters, field.name)!r}"
        for field in fields(parameters)
        if getattr(parameters, field.name) != field.default
    )
    return f"{name}({', '.join(shown)})"


def zeros(
    shape: Shape,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
) -> NDArray[Any]:
    """Return zeros.

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole tensor.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`.
    dtype : dtype-like, default float32
        float32, float64, float16, bfloat16 (by name, or ml_dtypes.bfloat16), complex64 or
        complex128; see `Initializer`.
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole.

    Returns
    -------
    ndarray
        Of the shape `shape`, or of the part `index`; `out`, where it is given.

    Raises
    ------
    ArgumentError, ArgumentIndexError, ArgumentTypeError
        If an argument does not fit; nothing has been computed then.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.zeros(3)
    array([0., 0., 0.], dtype=float32)
    """
    return Elementwise(Constant(0.0))(shape, seed=seed, dtype=dtype, out=out, index=index)


def ones(
    shape: Shape,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
) -> NDArray[Any]:
    """Return ones.

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole tensor.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`.
    dtype : dtype-like, default float32
        float32, float64, float16, bfloat16 (by name, or ml_dtypes.bfloat16), complex64 or
        complex128; see `Initializer`.
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole.

    Returns
    -------
    ndarray
        Of the shape `shape`, or of the part `index`; `out`, where it is given.

    Raises
    ------
    ArgumentError, ArgumentIndexError, ArgumentTypeError
        If an argument does not fit; nothing has been computed then.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.ones(3)
    array([1., 1., 1.], dtype=float32)
    """
    return Elementwise(Constant(1.0))(shape, seed=seed, dtype=dtype, out=out, index=index)


def constant(
    shape: Shape,
    value: float = 0.0,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
) -> NDArray[Any]:
    """Return a tensor whose elements all equal `value`.

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole tensor.
    value : float, default 0.0
        Any number but nan.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`.
    dtype : dtype-like, default float32
        float32, float64, float16, bfloat16 (by name, or ml_dtypes.bfloat16), complex64 or
        complex128; see `Initializer`.
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole.

    Returns
    -------
    ndarray
        Of the shape `shape`, or of the part `index`; `out`, where it is given.

    Raises
    ------
    ArgumentError, ArgumentIndexError, ArgumentTypeError
        If an argument does not fit; nothing has been computed then.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.constant(2, 0.5)
    array([0.5, 0.5], dtype=float32)
    """
    return Elementwise(Constant(value))(shape, seed=seed, dtype=dtype, out=out, index=index)


def uniform(
    shape: Shape,
    low: float = -0.05,
    high: float = 0.05,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
) -> NDArray[Any]:
    """Return draws from the uniform distribution on [low, high).

    The mean is (low + high) / 2 and the standard deviation (high - low) / sqrt(12). In float16 and
    bfloat16 a draw may be rounded to `high`. Complex draws are uniform on a disk about the mean, of
    radius (high - low) / sqrt(6).

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole tensor.
    low, high : float, default -0.05 and 0.05
        Finite, low not above high.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`.
    dtype : dtype-like, default float32
        float32, float64, float16, bfloat16 (by name, or ml_dtypes.bfloat16), complex64 or
        complex128; see `Initializer`.
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole.

    Returns
    -------
    ndarray
        Of the shape `shape`, or of the part `index`; `out`, where it is given.

    Raises
    ------
    ArgumentError, ArgumentIndexError, ArgumentTypeError
        If an argument does not fit; nothing has been computed then.

    Examples
    --------
    >>> import fastinit
    >>> w = fastinit.uniform((64, 20), -1.0, 1.0, seed=0)
    >>> bool((w >= -1.0).all() and (w < 1.0).all())
    True
    """
    return Elementwise(Uniform(low, high))(shape, seed=seed, dtype=dtype, out=out, index=index)


def normal(
    shape: Shape,
    mean: float = 0.0,
    std: float = 0.05,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
) -> NDArray[Any]:
    """Return draws from the normal distribution.

    A complex draw has a standard deviation of std / sqrt(2) in its real and in its imaginary part.

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole tensor.
    mean, std : float, default 0.0 and 0.05
        Finite, std not negative.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`.
    dtype : dtype-like, default float32
        float32, float64, float16, bfloat16 (by name, or ml_dtypes.bfloat16), complex64 or
        complex128; see `Initializer`.
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole.

    Returns
    -------
    ndarray
        Of the shape `shape`, or of the part `index`; `out`, where it is given.

    Raises
    ------
    ArgumentError, ArgumentIndexError, ArgumentTypeError
        If an argument does not fit; nothing has been computed then.

    Examples
    --------
    >>> import fastinit
    >>> whole = fastinit.normal((1000, 8), seed=0)
    >>> part = fastinit.normal((1000, 8), seed=0, index=slice(500, 600))
    >>> bool((part == whole[500:600]).all())
    True
    """
    return Elementwise(Normal(mean, std))(shape, seed=seed, dtype=dtype, out=out, index=index)


def rademacher(
    shape: Shape,
    scale: float = 1.0,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
) -> NDArray[Any]:
    """Return random signs: `scale` or `-scale`, each with probability 1/2.

    The mean is 0 and the standard deviation `scale`. The signs are the same at every precision.

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole tensor.
    scale : float, default 1.0
        Finite, not negative.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`.
    dtype : dtype-like, default float32
        float32, float64, float16 or bfloat16 (by name, or ml_dtypes.bfloat16).
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole.

    Returns
    -------
    ndarray
        Of the shape `shape`, or of the part `index`; `out`, where it is given.

    Raises
    ------
    ArgumentError, ArgumentIndexError, ArgumentTypeError
        If an argument does not fit; nothing has been computed then.

    References
    ----------
    Spall: Multivariate stochastic approximation using a simultaneous perturbation gradient
    approximation. IEEE Transactions on Automatic Control 37 (1992), which perturbs by such signs.

    Examples
    --------
    >>> import fastinit
    >>> signs = fastinit.rademacher((64, 20), 0.5, seed=0)
    >>> bool((abs(signs) == 0.5).all())
    True
    """
    return Elementwise(Sign(scale))(shape, seed=seed, dtype=dtype, out=out, index=index)


def truncated_normal(
    shape: Shape,
    mean: float = 0.0,
    std: float = 0.05,
    lower: float = -2.0,
    upper: float = 2.0,
    absolute: bool = False,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
) -> NDArray[Any]:
    """Return draws from a normal distribution cut off at mean + std * [lower, upper].

    The bounds are in units of `std`, which is the standard deviation before the cut: with the
    default bounds that of the result is 0.8796 * std. With `absolute`, they are values, as those of
    PyTorch's ``trunc_normal_``. No draw is moved to a bound; but the rounding to float16 or
    bfloat16 may move one by half a unit in its last place, also beyond a bound.

    A complex draw is cut by its distance from the mean, at `upper` standard deviations of what is
    cut there; it has the variance that the real draw has. The bounds must be as far below the mean
    as above it.

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole tensor.
    mean, std : float, default 0.0 and 0.05
        Of the normal distribution before the cut; finite, std not negative.
    lower, upper : float, default -2.0 and 2.0
        In units of std, lower less than upper; infinite for no bound on that side.
    absolute : bool, default False
        The bounds are `lower` and `upper` themselves. If std is 0, they must not exclude the mean.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`.
    dtype : dtype-like, default float32
        float32, float64, float16, bfloat16 (by name, or ml_dtypes.bfloat16), complex64 or
        complex128; see `Initializer`.
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole.

    Returns
    -------
    ndarray
        Of the shape `shape`, or of the part `index`; `out`, where it is given.

    Raises
    ------
    ArgumentError, ArgumentIndexError, ArgumentTypeError
        If an argument does not fit; nothing has been computed then.

    Examples
    --------
    >>> import fastinit
    >>> w = fastinit.truncated_normal((64, 20), std=0.02, seed=0)
    >>> bool(abs(w).max() <= 0.04)
    True
    """
    return Elementwise(TruncatedNormal(mean, std, lower, upper, absolute))(
        shape, seed=seed, dtype=dtype, out=out, index=index
    )


def variance_scaling(
    shape: Shape,
    scale: float = 1.0,
    mode: Mode = "fan_in",
    distribution: Law = "truncated_normal",
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    fans: Fans | None = None,
) -> NDArray[Any]:
    r"""Return zero-mean draws whose variance is `scale` over a fan.

    .. math:: \operatorname{Var}[w] = \text{scale} / n

    where `n` is fan_in, fan_out, their mean (fan_avg) or their geometric mean (fan_geo_avg). The
    uniform distribution has the bounds :math:`\pm\sqrt{3\,\text{scale}/n}`; the truncated normal is
    cut off at two standard deviations and widened by 1/0.8796, so that its variance is right.
    `glorot_uniform`, `he_normal` and `lecun_normal` are special cases, by their papers.

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole tensor, of at least two axes unless `fans` are given.
    scale : float, default 1.0
        Not negative.
    mode : {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"}, default "fan_in"
        What `n` is.
    distribution : {"uniform", "normal", "truncated_normal"}, default "truncated_normal"
        "normal" is not truncated (in Keras' VarianceScaling and in JAX' named initializers it is).
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`.
    dtype : dtype-like, default float32
        float32, float64, float16, bfloat16 (by name, or ml_dtypes.bfloat16), complex64 or
        complex128; see `Initializer`.
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole.
    in_axis, out_axis, batch_axis : int or sequence of int, default -2, -1, ()
        Which axes are inputs, outputs and independent copies; see `fastinit.compute_fans`.
    fans : (float, float), optional
        fan_in and fan_out themselves, for layers whose shape does not tell (see `fastinit.fans`);
        the axes count for nothing then, and any shape will do.

    Returns
    -------
    ndarray
        Of the shape `shape`, or of the part `index`; `out`, where it is given.

    Raises
    ------
    ArgumentError, ArgumentIndexError, ArgumentTypeError
        If an argument does not fit; nothing has been computed then.

    Examples
    --------
    >>> import fastinit
    >>> w = fastinit.variance_scaling((400, 300), 2.0, "fan_out", "uniform", seed=0)
    >>> bool(abs(w.std() / (2.0 / 300) ** 0.5 - 1) < 0.02)
    True
    """
    rule = VarianceScaling(scale, mode, distribution, in_axis, out_axis, batch_axis, fans)
    return rule(shape, seed=seed, dtype=dtype, out=out, index=index)


def glorot_uniform(
    shape: Shape,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    fans: Fans | None = None,
) -> NDArray[Any]:
    r"""Return draws from Glorot's (Xavier's) uniform initializer: variance 2 / (fan_in + fan_out).

    .. math:: w \sim U(-a, a), \qquad a = \sqrt{6 / (\text{fan\_in} + \text{fan\_out})}

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole tensor, of at least two axes unless `fans` are given.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`.
    dtype : dtype-like, default float32
        float32, float64, float16, bfloat16 (by name, or ml_dtypes.bfloat16), complex64 or
        complex128; see `Initializer`.
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole.
    in_axis, out_axis, batch_axis : int or sequence of int, default -2, -1, ()
        Which axes are inputs, outputs and independent copies; see `fastinit.compute_fans`.
    fans : (float, float), optional
        fan_in and fan_out themselves, for layers whose shape does not tell (see `fastinit.fans`);
        the axes count for nothing then, and any shape will do.

    Returns
    -------
    ndarray
        Of the shape `shape`, or of the part `index`; `out`, where it is given.

    Raises
    ------
    ArgumentError, ArgumentIndexError, ArgumentTypeError
        If an argument does not fit; nothing has been computed then.

    References
    ----------
    Glorot, Bengio: Understanding the difficulty of training deep feedforward neural networks.
    AISTATS (2010).

    Examples
    --------
    >>> import fastinit
    >>> fastinit.glorot_uniform((784, 128), seed=0).shape
    (784, 128)
    """
    rule = named_scaling("glorot_uniform", in_axis, out_axis, batch_axis, fans)
    return rule(shape, seed=seed, dtype=dtype, out=out, index=index)


def glorot_normal(
    shape: Shape,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    fans: Fans | None = None,
) -> NDArray[Any]:
    r"""Return draws from Glorot's (Xavier's) normal initializer: variance 2 / (fan_in + fan_out).

    .. math:: w \sim N(0, 2 / (\text{fan\_in} + \text{fan\_out}))

    Not truncated, as in PyTorch; Keras and JAX truncate at two standard deviations.

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole tensor, of at least two axes unless `fans` are given.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`.
    dtype : dtype-like, default float32
        float32, float64, float16, bfloat16 (by name, or ml_dtypes.bfloat16), complex64 or
        complex128; see `Initializer`.
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole.
    in_axis, out_axis, batch_axis : int or sequence of int, default -2, -1, ()
        Which axes are inputs, outputs and independent copies; see `fastinit.compute_fans`.
    fans : (float, float), optional
        fan_in and fan_out themselves, for layers whose shape does not tell (see `fastinit.fans`);
        the axes count for nothing then, and any shape will do.

    Returns
    -------
    ndarray
        Of the shape `shape`, or of the part `index`; `out`, where it is given.

    Raises
    ------
    ArgumentError, ArgumentIndexError, ArgumentTypeError
        If an argument does not fit; nothing has been computed then.

    References
    ----------
    Glorot, Bengio: Understanding the difficulty of training deep feedforward neural networks.
    AISTATS (2010).

    Examples
    --------
    >>> import fastinit
    >>> fastinit.glorot_normal((784, 128), seed=0).shape
    (784, 128)
    """
    rule = named_scaling("glorot_normal", in_axis, out_axis, batch_axis, fans)
    return rule(shape, seed=seed, dtype=dtype, out=out, index=index)


def he_uniform(
    shape: Shape,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    fans: Fans | None = None,
) -> NDArray[Any]:
    r"""Return draws from He's (Kaiming's) uniform initializer for relu: variance 2 / fan_in.

    .. math:: w \sim U(-a, a), \qquad a = \sqrt{6 / \text{fan\_in}}

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole tensor, of at least two axes unless `fans` are given.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`.
    dtype : dtype-like, default float32
        float32, float64, float16, bfloat16 (by name, or ml_dtypes.bfloat16), complex64 or
        complex128; see `Initializer`.
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole.
    in_axis, out_axis, batch_axis : int or sequence of int, default -2, -1, ()
        Which axes are inputs, outputs and independent copies; see `fastinit.compute_fans`.
    fans : (float, float), optional
        fan_in and fan_out themselves, for layers whose shape does not tell (see `fastinit.fans`);
        the axes count for nothing then, and any shape will do.

    Returns
    -------
    ndarray
        Of the shape `shape`, or of the part `index`; `out`, where it is given.

    Raises
    ------
    ArgumentError, ArgumentIndexError, ArgumentTypeError
        If an argument does not fit; nothing has been computed then.

    References
    ----------
    He, Zhang, Ren, Sun: Delving deep into rectifiers. arXiv:1502.01852 (2015).

    Examples
    --------
    >>> import fastinit
    >>> fastinit.he_uniform((784, 128), seed=0).shape
    (784, 128)
    """
    rule = named_scaling("he_uniform", in_axis, out_axis, batch_axis, fans)
    return rule(shape, seed=seed, dtype=dtype, out=out, index=index)


def he_normal(
    shape: Shape,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    fans: Fans | None = None,
) -> NDArray[Any]:
    r"""Return draws from He's (Kaiming's) normal initializer for relu: variance 2 / fan_in.

    .. math:: w \sim N(0, 2 / \text{fan\_in})

    Not truncated, as in the paper and PyTorch; Keras and JAX truncate at two standard deviations.

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole tensor, of at least two axes unless `fans` are given.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`.
    dtype : dtype-like, default float32
        float32, float64, float16, bfloat16 (by name, or ml_dtypes.bfloat16), complex64 or
        complex128; see `Initializer`.
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole.
    in_axis, out_axis, batch_axis : int or sequence of int, default -2, -1, ()
        Which axes are inputs, outputs and independent copies; see `fastinit.compute_fans`.
    fans : (float, float), optional
        fan_in and fan_out themselves, for layers whose shape does not tell (see `fastinit.fans`);
        the axes count for nothing then, and any shape will do.

    Returns
    -------
    ndarray
        Of the shape `shape`, or of the part `index`; `out`, where it is given.

    Raises
    ------
    ArgumentError, ArgumentIndexError, ArgumentTypeError
        If an argument does not fit; nothing has been computed then.

    References
    ----------
    He, Zhang, Ren, Sun: Delving deep into rectifiers. arXiv:1502.01852 (2015).

    Examples
    --------
    >>> import fastinit
    >>> fastinit.he_normal((784, 128), seed=0).shape
    (784, 128)
    """
    rule = named_scaling("he_normal", in_axis, out_axis, batch_axis, fans)
    return rule(shape, seed=seed, dtype=dtype, out=out, index=index)


def lecun_uniform(
    shape: Shape,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    fans: Fans | None = None,
) -> NDArray[Any]:
    r"""Return draws from LeCun's uniform initializer: variance 1 / fan_in.

    .. math:: w \sim U(-a, a), \qquad a = \sqrt{3 / \text{fan\_in}}

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole tensor, of at least two axes unless `fans` are given.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`.
    dtype : dtype-like, default float32
        float32, float64, float16, bfloat16 (by name, or ml_dtypes.bfloat16), complex64 or
        complex128; see `Initializer`.
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole.
    in_axis, out_axis, batch_axis : int or sequence of int, default -2, -1, ()
        Which axes are inputs, outputs and independent copies; see `fastinit.compute_fans`.
    fans : (float, float), optional
        fan_in and fan_out themselves, for layers whose shape does not tell (see `fastinit.fans`);
        the axes count for nothing then, and any shape will do.

    Returns
    -------
    ndarray
        Of the shape `shape`, or of the part `index`; `out`, where it is given.

    Raises
    ------
    ArgumentError, ArgumentIndexError, ArgumentTypeError
        If an argument does not fit; nothing has been computed then.

    References
    ----------
    LeCun, Bottou, Orr, Müller: Efficient BackProp. Neural networks: tricks of the trade (1998).

    Examples
    --------
    >>> import fastinit
    >>> fastinit.lecun_uniform((784, 128), seed=0).shape
    (784, 128)
    """
    rule = named_scaling("lecun_uniform", in_axis, out_axis, batch_axis, fans)
    return rule(shape, seed=seed, dtype=dtype, out=out, index=index)


def lecun_normal(
    shape: Shape,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    fans: Fans | None = None,
) -> NDArray[Any]:
    r"""Return draws from LeCun's normal initializer: variance 1 / fan_in.

    .. math:: w \sim N(0, 1 / \text{fan\_in})

    Not truncated; Keras and JAX truncate at two standard deviations. The one for selu networks.

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole tensor, of at least two axes unless `fans` are given.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`.
    dtype : dtype-like, default float32
        float32, float64, float16, bfloat16 (by name, or ml_dtypes.bfloat16), complex64 or
        complex128; see `Initializer`.
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole.
    in_axis, out_axis, batch_axis : int or sequence of int, default -2, -1, ()
        Which axes are inputs, outputs and independent copies; see `fastinit.compute_fans`.
    fans : (float, float), optional
        fan_in and fan_out themselves, for layers whose shape does not tell (see `fastinit.fans`);
        the axes count for nothing then, and any shape will do.

    Returns
    -------
    ndarray
        Of the shape `shape`, or of the part `index`; `out`, where it is given.

    Raises
    ------
    ArgumentError, ArgumentIndexError, ArgumentTypeError
        If an argument does not fit; nothing has been computed then.

    References
    ----------
    LeCun, Bottou, Orr, Müller: Efficient BackProp. Neural networks: tricks of the trade (1998).

    Examples
    --------
    >>> import fastinit
    >>> fastinit.lecun_normal((784, 128), seed=0).shape
    (784, 128)
    """
    rule = named_scaling("lecun_normal", in_axis, out_axis, batch_axis, fans)
    return rule(shape, seed=seed, dtype=dtype, out=out, index=index)


xavier_uniform = glorot_uniform
xavier_normal = glorot_normal
kaiming_uniform = he_uniform
kaiming_normal = he_normal
