"""Derive the coefficients of `fastinit/kernels/elementary.py`.

Minimax polynomials and ratios of polynomials, each with the error of the exact approximation
relative to the function that it serves: below a tenth of a unit in the last place. The coefficients
are part of what a training run computes: another last digit is another run.

    pip install mpmath && python tools/elementary_coefficients.py
"""

from __future__ import annotations

import mpmath as mp
import numpy as np
from coefficients import atanh_rest, minimax, survival

TINY = mp.mpf(10) ** -15


def exp_rest(r: mp.mpf) -> mp.mpf:
    """(exp(r) - 1 - r) / r^2."""
    return (mp.expm1(r) - r) / r**2 if abs(r) > TINY else mp.mpf(1) / 2 + r / 6


def exp_scale(r: mp.mpf) -> mp.mpf:
    """(exp(r) - 1) / r^2, so that the error is relative to exp(r) - 1."""
    return mp.expm1(r) / r**2 if abs(r) > TINY else 1 / TINY


def log_rest(f: mp.mpf) -> mp.mpf:
    """(log(1+f) - f + f^2/2) / f^3."""
    return (mp.log1p(f) - f + f * f / 2) / f**3 if abs(f) > TINY else mp.mpf(1) / 3 - f / 4


def log_scale(f: mp.mpf) -> mp.mpf:
    """log(1+f) / f^3, so that the error is relative to log(1+f)."""
    return mp.log1p(f) / f**3 if abs(f) > TINY else 1 / TINY**2


def atanh_scale(t: mp.mpf) -> mp.mpf:
    """2 atanh(s) / s^3 with t = s^2, so that the error is relative to log(1+f)."""
    s = mp.sqrt(t)
    return 2 * mp.atanh(s) / s**3 if t > TINY**2 else 1 / TINY**2


def erf_ratio(t: mp.mpf) -> mp.mpf:
    """erf(x) / x with t = x^2."""
    x = mp.sqrt(t)
    return mp.erf(x) / x if t else 2 / mp.sqrt(mp.pi)


def erf_rest(t: mp.mpf) -> mp.mpf:
    """(erf(x) - x) / x with t = x^2: its first coefficient loses less when it is rounded."""
    return erf_ratio(t) - 1


def mills(x: mp.mpf) -> mp.mpf:
    """Upper tail of the standard normal times exp(x^2 / 2)."""
    return survival(x) * mp.exp(x * x / 2)


def main() -> None:
    """Print every table."""
    zero, one = mp.mpf(0), mp.mpf(1)
    half_ln2 = mp.log(2) / 2 * (1 + mp.mpf(10) ** -6)
    low, high = mp.sqrt(one / 2) - 1 - mp.mpf(10) ** -6, mp.sqrt(2) - 1 + mp.mpf(10) ** -6
    s2 = (high / (2 + high)) ** 2
    tables = [
        ("EXP32", np.float32, exp_rest, exp_scale, -half_ln2, half_ln2, 4, 0),
        ("EXP64", np.float64, exp_rest, exp_scale, -half_ln2, half_ln2, 9, 0),
        ("LOG32", np.float32, log_rest, log_scale, low, high, 7, 0),
        ("LOG64", np.float64, atanh_rest, atanh_scale, zero, s2, 6, 0),
        ("ERF32", np.float32, erf_rest, erf_ratio, zero, one, 6, 0),
        ("ERF64", np.float64, erf_rest, erf_ratio, zero, one, 12, 0),
        ("TAIL32", np.float32, mills, mills, zero, mp.mpf(14), 4, 5),
        ("TAIL64", np.float64, mills, mills, zero, mp.mpf(39), 10, 11),
    ]
    for name, dtype, f, scale, start, stop, n, d in tables:
        error, numerator, denominator = minimax(f, scale, start, stop, n, d)
        print(f"# {name}: error {mp.nstr(error, 2)}")
        print(f"{name}_P = {tuple(dtype(float(c)).item() for c in numerator)}")
        if d:
            print(f"{name}_Q = {tuple(dtype(float(c)).item() for c in denominator)}")


if __name__ == "__main__":
    main()
