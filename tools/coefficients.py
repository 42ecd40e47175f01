"""Derive the polynomial and rational coefficients of `fastinit/sampling/numba_fill.py`.

Every draw must have the same bits on every machine, so the elementary functions behind the
distributions are ratios of polynomials evaluated in a fixed order, not calls into a C library.
This program finds them (minimax, by Lawson's reweighting of the linearised problem) and prints each
with the error of the exact approximation, relative to the function it serves. The printed values
are frozen in the source as part of stream version 1: run this to see where they come from, not to
change them.

    pip install mpmath && python tools/coefficients.py
"""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp
import numpy as np

mp.mp.dps = 60
SQRT2 = mp.sqrt(2)
Function = Callable[[mp.mpf], mp.mpf]


def minimax(
    f: Function, scale: Function, low: mp.mpf, high: mp.mpf, n: int, d: int = 0
) -> tuple[mp.mpf, list[mp.mpf], list[mp.mpf]]:
    """Return (largest error over `scale`, numerator, denominator), lowest power first."""
    count = 5 * (n + d + 2)
    nodes = [mp.cos(mp.pi * (2 * i + 1) / (2 * count)) for i in range(count)]
    xs = [(low + high) / 2 + (high - low) / 2 * node for node in nodes]
    fs, scales = [f(x) for x in xs], [abs(scale(x)) for x in xs]
    weights = [mp.mpf(1)] * count
    denominators = [mp.mpf(1)] * count
    best = (mp.inf, [], [])
    for _ in range(20):
        matrix = mp.matrix(count, n + 1 + d)
        target = mp.matrix(count, 1)
        for i, x in enumerate(xs):
            factor = mp.sqrt(weights[i]) / abs(denominators[i] * scales[i])
            for k in range(n + 1):
                matrix[i, k] = factor * x**k
            for k in range(1, d + 1):
                matrix[i, n + k] = -factor * fs[i] * x**k
            target[i] = factor * fs[i]
        solution = list(mp.qr_solve(matrix, target)[0])
        numerator, denominator = solution[: n + 1], [mp.mpf(1), *solution[n + 1 :]]
        denominators = [mp.polyval(denominator[::-1], x) for x in xs]
        errors = [
            abs(mp.polyval(numerator[::-1], x) / q - y) / w
            for x, q, y, w in zip(xs, denominators, fs, scales, strict=True)
        ]
        largest = max(errors)
        if largest < best[0]:
            best = (largest, numerator, denominator)
        weights = [w * e / largest + mp.mpf(10) ** -9 for w, e in zip(weights, errors, strict=True)]
        top = max(weights)
        weights = [w / top for w in weights]
    return best


def survival(x: mp.mpf) -> mp.mpf:
    """Upper tail of the standard normal."""
    return mp.erfc(x / SQRT2) / 2


def quantile_of_log_tail(log_q: mp.mpf) -> mp.mpf:
    """Return x with log(survival(x)) = log_q, for x > 0."""
    start = mp.sqrt(-2 * (log_q + mp.log(2)))
    return mp.findroot(lambda x: mp.log(survival(x)) - log_q, start)


def log1p_rest(g: mp.mpf) -> mp.mpf:
    """(log(1+g) - g + g^2/2) / g^3."""
    return (mp.log1p(g) - g + g * g / 2) / g**3 if g else mp.mpf(1) / 3


def atanh_rest(t: mp.mpf) -> mp.mpf:
    """(2 atanh(s) - 2s) / s^3 with t = s^2, so that log(1+g) = 2s + s^3 R(s^2), s = g/(2+g)."""
    s = mp.sqrt(t)
    return (2 * mp.atanh(s) - 2 * s) / s**3 if t else mp.mpf(2) / 3


def sine(t: mp.mpf) -> mp.mpf:
    """sin(pi x/4) / x with t = x^2."""
    x = mp.sqrt(t)
    return mp.sin(mp.pi * x / 4) / x if t else mp.pi / 4


def cosine(t: mp.mpf) -> mp.mpf:
    """cos(pi x/4) with t = x^2."""
    return mp.cos(mp.pi * mp.sqrt(t) / 4)


# |z| = erf(2/sqrt 2): the centre reaches two standard deviations, and a hair over for rounding.
CENTRE = mp.mpf(np.float32(mp.erf(SQRT2) ** 2 * (1 + mp.mpf(10) ** -6)).item())
TAIL = mp.mpf(np.float32(mp.sqrt(-2 * mp.log(survival(mp.mpf(2))))).item())


# What is approximated is the small difference from something simple, so that its rounding errors
# are small in the sum: the quantile is z (MIDDLE + difference), and s + TAIL - difference.
MIDDLE = mp.mpf("1.75")


def centre(t: mp.mpf) -> mp.mpf:
    """Quantile at (1+z)/2 over z, with t = CENTRE - z^2."""
    z = mp.sqrt(CENTRE - t)
    return SQRT2 * mp.erfinv(z) / z if z else mp.sqrt(mp.pi / 2)


def centre_difference(t: mp.mpf) -> mp.mpf:
    """`centre` less MIDDLE."""
    return centre(t) - MIDDLE


def tail(s: mp.mpf) -> mp.mpf:
    """Quantile whose upper tail is q, with s = sqrt(-2 log q) - TAIL."""
    return quantile_of_log_tail(-((s + TAIL) ** 2) / 2)


def tail_difference(s: mp.mpf) -> mp.mpf:
    """By how much sqrt(-2 log q) exceeds the quantile."""
    return s + TAIL - tail(s)


def mills(t: mp.mpf) -> mp.mpf:
    """Mills' ratio times x, with t = 1/x^2."""
    if not t:
        return mp.mpf(1)
    x = 1 / mp.sqrt(t)
    return x * survival(x) * mp.sqrt(2 * mp.pi) * mp.exp(x * x / 2)


def main() -> None:
    """Print every table."""
    zero, one = mp.mpf(0), mp.mpf(1)
    low, high = mp.sqrt(one / 2) - 1, SQRT2 - 1
    s2 = (high / (2 + high)) ** 2
    tables = [
        ("LOG32", np.float32, log1p_rest, log1p_rest, low, high, 7, 0),
        ("SIN32", np.float32, sine, sine, zero, one, 3, 0),
        ("COS32", np.float32, cosine, cosine, zero, one, 4, 0),
        ("CENTRE32", np.float32, centre_difference, centre, zero, CENTRE, 5, 4),
        ("TAIL32", np.float32, tail_difference, tail, zero, mp.mpf(9), 3, 3),
        ("LOG64", np.float64, atanh_rest, atanh_rest, zero, s2, 6, 0),
        ("SIN64", np.float64, sine, sine, zero, one, 6, 0),
        ("COS64", np.float64, cosine, cosine, zero, one, 7, 0),
        ("CENTRE64", np.float64, centre_difference, centre, zero, CENTRE, 10, 9),
        ("TAIL64", np.float64, tail_difference, tail, zero, mp.mpf(9), 8, 7),
        ("MILLS64", np.float64, mills, mills, zero, one / 25, 13, 0),
    ]
    print(f"CENTRE = {np.float32(float(CENTRE))!r}; TAIL = {np.float32(float(TAIL))!r}")
    for name, dtype, f, scale, start, stop, n, d in tables:
        error, numerator, denominator = minimax(f, scale, start, stop, n, d)
        print(f"# {name}: error {mp.nstr(error, 2)}")
        print(f"{name}_P = {tuple(dtype(float(c)).item() for c in numerator)}")
        if d:
            print(f"{name}_Q = {tuple(dtype(float(c)).item() for c in denominator)}")


if __name__ == "__main__":
    main()
