"""Elementary functions of one number, for compiled loops: the same bits on every processor.

``exp, expm1, log, log1p, tanh, sigmoid, softplus, erf, normal_cdf`` and `normal_parts` are called
inside ``@njit`` functions (and from Python, for a look). A float32 is computed in float32
arithmetic throughout, anything else in float64. A loop over an array vectorizes: there are no
branches, no tables and no calls into a C library, only IEEE arithmetic in a fixed order with fused
multiply-adds that are written as such.

A NaN gives a NaN, and infinities what the limit is. Results below the smallest normal number may be
flushed to zero (`exp` does, so that what is made of it is not slow).

The largest errors, in units in the last place, of all float32 numbers: exp 1.1, expm1 1.6, log 1.0,
log1p 1.6, tanh 2.0, sigmoid 2.5, softplus 1.8, erf 1.5, normal_cdf 6.6 (2.5 above zero). Found in
float64: exp 1.1, expm1 2.2, log 1.2, log1p 1.8, tanh 2.1, sigmoid 2.1, softplus 2.1, erf 1.2,
normal_cdf 5.8.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
from numba.core import types

from fastinit.kernels.jit import intrinsic
from fastinit.sampling.jit import merged, replaced, template

__all__ = [
    "erf",
    "exp",
    "expm1",
    "fma",
    "log",
    "log1p",
    "normal_cdf",
    "normal_parts",
    "polynomial",
    "sigmoid",
    "softplus",
    "tanh",
]


@intrinsic
def fma(typing_context, a, b, c):
    """Return ``a * b + c``, rounded once, of three floats of one type."""

    def code(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return a(a, a, a), code


@intrinsic
def polynomial(typing_context, x, coefficients):
    """Return the polynomial with a tuple of coefficients, lowest power first, by Horner's rule."""

    def code(context, builder, signature, arguments):
        point, values = arguments
        terms = [builder.extract_value(values, i) for i in range(coefficients.count)]
        return functools.reduce(lambda value, term: builder.fma(value, point, term), terms[::-1])

    return x(x, coefficients), code


class Precision(NamedTuple):
    """All that differs between float32 and float64."""

    float: Any
    int: Any
    mantissa: int  # bits stored
    bias: int  # of the exponent
    exp: tuple[float, ...]  # (exp(r) - 1 - r) / r^2 for |r| <= log(2) / 2
    erf: tuple[float, ...]  # erf(x) / x - 1 for |x| <= 1, of x^2
    tail_p: tuple[float, ...]  # exp(x^2 / 2) times the normal upper tail, over ...
    tail_q: tuple[float, ...]  # ... this, for 0 <= x <= far
    far: float  # where the tail is zero
    exp_lowest: str  # the smallest x with a normal exp(x)
    exp_highest: str  # the largest with a finite one
    minus_one: float  # below, expm1(x) is -1
    ln2_low: float  # what log(2) is more than its rounded value
    log1p: Callable[[float], float]  # for sqrt(1/2) <= 1 + f <= sqrt(2)


# Minimax coefficients, lowest power first; tools/elementary_coefficients.py derives them.
# fmt: off
LOG32 = tuple(map(np.float32, (
    0.3333333134651184, -0.2500081956386566, 0.20001234114170074, -0.16623429954051971,
    0.1420179009437561, -0.13159486651420593, 0.12760378420352936, -0.0763450637459755,
)))
LOG64 = (
    0.6666666666666733, 0.39999999999421276, 0.28571428740973503, 0.22222198712697236,
    0.1818355734669062, 0.15314222814366749, 0.14794283065416744,
)


@merged
def _log1p32(f):
    half = np.float32(0.5)
    return fma(f * f, fma(f, polynomial(f, LOG32), -half), f)


@merged
def _log1p64(f):
    """Through log(1 + f) = 2 atanh(s)."""
    half_square = 0.5 * (f * f)
    s = f / (2.0 + f)
    t = s * s
    return f - (half_square - s * fma(t, polynomial(t, LOG64), half_square))


SINGLE = Precision(
    np.float32, np.int32, mantissa=23, bias=127,
    exp=(
        0.4999999701976776, 0.1666654348373413, 0.041667189449071884, 0.00836646743118763,
        0.001388360047712922,
    ),
    erf=(
        0.12837916612625122, -0.3761262595653534, 0.1128358468413353, -0.026853803545236588,
        0.005188317969441414, -0.0008010129677131772, 7.853691204218194e-05,
    ),
    tail_p=(
        0.5, 0.43748143315315247, 0.18263956904411316, 0.04043448343873024, 0.004087374545633793,
    ),
    tail_q=(
        1.0, 1.672847867012024, 1.2000139951705933, 0.46790003776550293, 0.101360984146595,
        0.010245400480926037,
    ),
    far=14.0, exp_lowest="-0x1.5d589ep+6", exp_highest="0x1.62e42ep+6", minus_one=-18.0,
    ln2_low=-1.9046542e-09, log1p=_log1p32,
)
DOUBLE = Precision(
    np.float64, np.int64, mantissa=52, bias=1023,
    exp=(
        0.5000000000000006, 0.16666666666666596, 0.04166666666657666, 0.008333333333383566,
        0.0013888888931550554, 0.00019841269732847057, 2.4801505318105327e-05,
        2.755739462594197e-06, 2.7626014190436384e-07, 2.505799042567562e-08,
    ),
    erf=(
        0.1283791670955126, -0.3761263890318375, 0.11283791670954857, -0.02686617064507288,
        0.005223977624780751, -0.0008548326978737076, 0.00012055331036747256,
        -1.4925593503770105e-05, 1.6460972772826127e-06, -1.6350024797729563e-07,
        1.4657877200088646e-08, -1.1365656390160626e-09, 5.945246423604878e-11,
    ),
    tail_p=(
        0.5, 0.828370883979257, 0.6803135656046282, 0.3578944507272808, 0.1323185672462342,
        0.03576147720156845, 0.007145972240319078, 0.0010438002011322455, 0.00010707459384038066,
        7.015206987725944e-06, 2.256975373479862e-07,
    ),
    tail_q=(
        1.0, 2.4546263287613796, 2.819135581468171, 2.0037820126050776, 0.9816922249158418,
        0.349054615871716, 0.09222198024759674, 0.018179560783227574, 0.0026340036136110385,
        0.0002689619442404721, 1.758451618785188e-05, 5.657398286309236e-07,
    ),
    far=39.0, exp_lowest="-0x1.6232bdd7abcd2p+9", exp_highest="0x1.62e42fefa39efp+9",
    minus_one=-38.0, ln2_low=2.3190468138462996e-17, log1p=_log1p64,
)
# fmt: on


def _functions(precision: Precision) -> dict[str, Callable[..., Any]]:
    """Return the functions below in one precision, by name; they call each other as below."""
    FLOAT, INT = precision.float, precision.int
    MANTISSA, BIAS = INT(precision.mantissa), INT(precision.bias)
    ZERO, HALF, ONE, INFINITY, NAN = FLOAT(0), FLOAT(0.5), FLOAT(1), FLOAT(np.inf), FLOAT(np.nan)
    MAGNITUDE, SIGN = INT(np.iinfo(INT).max), INT(np.iinfo(INT).min)
    LOG2_E, LN2 = FLOAT(1.4426950408889634), FLOAT(0.6931471805599453)
    LN2_LOW = FLOAT(precision.ln2_low)
    # Adding it rounds to an integer and leaves that integer in the low bits.
    ROUNDER = FLOAT(1.5 * 2**precision.mantissa)
    EXP, ERF = tuple(map(FLOAT, precision.exp)), tuple(map(FLOAT, precision.erf))
    TAIL_P, TAIL_Q = tuple(map(FLOAT, precision.tail_p)), tuple(map(FLOAT, precision.tail_q))
    LOWEST, HIGHEST = map(FLOAT, map(float.fromhex, (precision.exp_lowest, precision.exp_highest)))
    FAR, MINUS_ONE = FLOAT(precision.far), FLOAT(precision.minus_one)
    TOO_HIGH = HIGHEST + FLOAT(0.25)  # exp overflows, but half of it does not
    ROOT_HALF = FLOAT(np.sqrt(0.5)).view(INT)
    SMALLEST, NEGLIGIBLE = np.finfo(FLOAT).tiny, FLOAT(2.0 ** -(precision.mantissa + 3))
    LIFT, LIFTED = FLOAT(2.0**precision.mantissa), FLOAT(precision.mantissa)
    ROOT_TWO, DENSITY = FLOAT(np.sqrt(2.0)), FLOAT(0.3989422804014327)
    log1p_near = precision.log1p

    @merged
    def exp_parts(x):
        """Return k in the low bits of an integer, and exp(r) - 1, with x = k log(2) + r."""
        shifted = fma(x, LOG2_E, ROUNDER)
        k = shifted - ROUNDER
        r = fma(-k, LN2_LOW, fma(-k, LN2, x))
        return FLOAT(shifted).view(INT), fma(r * r, polynomial(r, EXP), r)

    def _exp(x):
        k, p = exp_parts(x)
        y = INT(FLOAT(ONE + p).view(INT) + INT(k << MANTISSA)).view(FLOAT)
        y = y if x <= HIGHEST else x * INFINITY
        return ZERO if x < LOWEST else y

    @merged
    def half_expm1(x):
        """Return halves of exp(x) - 1 and exp(x) + 1, where they neither over- nor underflow."""
        k, p = exp_parts(x)
        s = INT(INT(k + BIAS - INT(1)) << MANTISSA).view(FLOAT)
        return fma(s, p, s - HALF), fma(s, p, s + HALF)

    def _expm1(x):
        clipped = MINUS_ONE if x < MINUS_ONE else x
        clipped = TOO_HIGH if clipped > TOO_HIGH else clipped
        half, _ = half_expm1(clipped)
        return x if abs(x) < NEGLIGIBLE else half + half

    @merged
    def with_sign(x, signed):
        return INT((FLOAT(x).view(INT) & MAGNITUDE) | (FLOAT(signed).view(INT) & SIGN)).view(FLOAT)

    def _tanh(x):
        doubled = FLOAT(-2) * abs(x)
        minus, plus = half_expm1(MINUS_ONE if doubled < MINUS_ONE else doubled)
        return with_sign(minus / plus, x)

    def _sigmoid(x):
        return ONE / (ONE + exp(-x))

    @merged
    def split(u):
        """Return k, k in the exponent's bits, and f with u = 2**k (1 + f)."""
        bits = FLOAT(u).view(INT)
        k = INT(INT(bits - ROOT_HALF) >> MANTISSA)
        shifted = INT(k << MANTISSA)
        return FLOAT(np.int32(k)), shifted, INT(bits - shifted).view(FLOAT) - ONE

    @merged
    def logarithm(k, f, u):
        """Return log(2**k (1 + f)), or what it is where u is not a finite positive number."""
        y = fma(k, LN2, fma(k, LN2_LOW, log1p_near(f)))
        limit = u if u > ZERO else (-INFINITY if u == ZERO else NAN)
        return y if u > ZERO and u < INFINITY else limit

    def _log(x):
        small = x < SMALLEST
        u = x * LIFT if small else x
        k, _, f = split(u)
        return logarithm(k - LIFTED if small else k, f, u)

    def _log1p(x):
        u = ONE + x
        rest = x - (u - ONE) if x < ONE else ONE - (u - x)
        k, shifted, f = split(u)
        twice_scale = INT(INT((BIAS + INT(1)) << MANTISSA) - shifted).view(FLOAT)  # 2**(1 - k)
        y = logarithm(k, f + HALF * rest * twice_scale, u)
        return x if abs(x) < NEGLIGIBLE else y

    def _softplus(x):
        e = exp(-abs(x))  # at most 1, so its logarithm needs no exponent
        upper = e > ROOT_TWO - ONE
        y = log1p_near(HALF * (e - ONE) if upper else e) + (LN2 if upper else ZERO)
        return (x if x > ZERO else ZERO) + y

    @merged
    def normal_tail(x):
        """Return the upper tail of the standard normal beyond |x|, and exp(-x**2 / 2)."""
        x = abs(x)
        x = FAR if x > FAR else x
        square = x * x
        e = exp(-HALF * square)
        e = fma(e, -HALF * fma(x, x, -square), e)  # what rounding the square lost
        return e * polynomial(x, TAIL_P) / polynomial(x, TAIL_Q), e

    def _normal_parts(x):
        tail, e = normal_tail(x)
        return (tail if x < ZERO else ONE - tail), DENSITY * e

    def _normal_cdf(x):
        return normal_parts(x)[0]

    def _erf(x):
        tail, _ = normal_tail(ROOT_TWO * x)
        near = fma(x, polynomial(x * x, ERF), x)
        return near if abs(x) < ONE else with_sign(ONE - (tail + tail), x)

    return {name[1:]: value for name, value in locals().items() if name[0] == "_"}


_SINGLE, _DOUBLE = _functions(SINGLE), _functions(DOUBLE)


@functools.cache
def _compiled(name: str, single: bool) -> Callable[[Any], Any]:
    return template((_SINGLE if single else _DOUBLE)[name])


def _from_python(name: str, x: float) -> float:
    single = isinstance(x, np.float32)
    return cast(float, _compiled(name, single)(x if single else float(x)))


def exp(x: float) -> float:
    """Return ``e**x``; zero where that is below the smallest normal number.

    Examples
    --------
    >>> from fastinit.kernels.elementary import exp
    >>> round(exp(1.0), 4)
    2.7183
    """
    return _from_python("exp", x)


def expm1(x: float) -> float:
    """Return ``e**x - 1``, without cancellation near zero.

    Examples
    --------
    >>> from fastinit.kernels.elementary import expm1
    >>> round(expm1(1e-9), 10)
    1e-09
    """
    return _from_python("expm1", x)


def log(x: float) -> float:
    """Return the natural logarithm; minus infinity of zero, NaN of what is negative.

    Examples
    --------
    >>> from fastinit.kernels.elementary import log
    >>> round(log(10.0), 4)
    2.3026
    """
    return _from_python("log", x)


def log1p(x: float) -> float:
    """Return ``log(1 + x)``, without cancellation near zero.

    Examples
    --------
    >>> from fastinit.kernels.elementary import log1p
    >>> round(log1p(1e-9), 10)
    1e-09
    """
    return _from_python("log1p", x)


def tanh(x: float) -> float:
    """Return the hyperbolic tangent.

    Examples
    --------
    >>> from fastinit.kernels.elementary import tanh
    >>> round(tanh(1.0), 4)
    0.7616
    """
    return _from_python("tanh", x)


def sigmoid(x: float) -> float:
    """Return ``1 / (1 + exp(-x))``, to full relative accuracy on both sides.

    Examples
    --------
    >>> from fastinit.kernels.elementary import sigmoid
    >>> round(sigmoid(-1.0), 4)
    0.2689
    """
    return _from_python("sigmoid", x)


def softplus(x: float) -> float:
    """Return ``log(1 + exp(x))``, without overflow.

    Examples
    --------
    >>> from fastinit.kernels.elementary import softplus
    >>> round(softplus(1.0), 4)
    1.3133
    """
    return _from_python("softplus", x)


def erf(x: float) -> float:
    """Return the error function, ``2 / sqrt(pi)`` times the integral of ``exp(-t**2)`` to x.

    Examples
    --------
    >>> from fastinit.kernels.elementary import erf
    >>> round(erf(1.0), 4)
    0.8427
    """
    return _from_python("erf", x)


def normal_cdf(x: float) -> float:
    """Return the standard normal distribution function, relatively accurate in its tail.

    Examples
    --------
    >>> from fastinit.kernels.elementary import normal_cdf
    >>> round(normal_cdf(-6.0), 10)
    1e-09
    """
    return _from_python("normal_cdf", x)


def normal_parts(x: float) -> tuple[float, float]:
    """Return `normal_cdf` and the standard normal density, which share an exponential.

    Examples
    --------
    >>> from fastinit.kernels.elementary import normal_parts
    >>> [round(part, 4) for part in normal_parts(1.0)]
    [0.8413, 0.242]
    """
    return cast("tuple[float, float]", _from_python("normal_parts", x))


def _register(function: Callable[..., Any]) -> None:
    """Tell Numba what to compile in the place of one of the above."""
    single, double = _SINGLE[function.__name__], _DOUBLE[function.__name__]
    replaced(function)(lambda x: {types.float32: single, types.float64: double}.get(x))


for _function in (exp, expm1, log, log1p, tanh, sigmoid, softplus, erf, normal_cdf, normal_parts):
    _register(_function)
