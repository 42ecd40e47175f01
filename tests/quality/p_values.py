"""From numbers to p-values.

Every p-value is two-sided: small where the numbers fit worse than chance allows, and where they fit
better. Those of counts are mid-p-values, so that all are close to uniform for perfect numbers.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from tests.quality.streams import Stream

PIECE = 2**20

Function = Callable[[NDArray[Any]], NDArray[Any]]


def two_sided(below: float, above: float) -> float:
    """Return the p-value of a statistic from the mass below it and the mass above it."""
    return float(min(1.0, 2 * min(below, above)))


def of_count(law: Any, count: int) -> float:
    """Return the p-value of a count under a law of `scipy.stats`."""
    half = law.pmf(count) / 2
    return two_sided(law.cdf(count) - half, law.sf(count) + half)


def of_z(z: float) -> float:
    """Return the p-value of a standard normal statistic."""
    return two_sided(special.ndtr(z), special.ndtr(-z))


def of_cells(observed: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return Pearson's chi-square of counts in cells; of two cells, that of a count.

    Two cells are often equal to the last, which chi-square would find too good.
    """
    if observed.size == 2:
        law = stats.binom(observed.sum(), expected[0] / expected.sum())
        return of_count(law, observed[0])
    statistic = ((observed - expected) ** 2 / expected).sum()
    law = stats.chi2(observed.size - 1)
    return two_sided(law.cdf(statistic), law.sf(statistic))


def of_law(sample: NDArray[Any], cdf: Function, survival: Function) -> dict[str, float]:
    """Return Kolmogorov and Smirnov's, and Anderson and Darling's; sorts the sample in place.

    Both statistics are exact: over the sorted sample, piece by piece. A probability below 1/(2n) is
    taken as that, since a draw rounded to the very end of its law has probability 0 there.
    """
    sample.sort()
    n, distance, total = sample.size, 0.0, 0.0
    for first in range(0, n, PIECE):
        x = sample[first : first + PIECE].astype(np.float64)
        rank = np.arange(first, first + x.size)
        below, above = cdf(x), survival(x)
        distance = max(distance, (below - rank / n).max(), ((rank + 1) / n - below).max())
        left, right = (np.log(np.maximum(mass, 0.5 / n)) for mass in (below, above))
        total += ((2 * rank + 1) / n * left + (2 * (n - rank) - 1) / n * right).sum()
    survived = special.kolmogorov(np.sqrt(n) * distance)
    return {
        "KS": two_sided(1 - survived, survived),
        "AD": two_sided(*anderson_darling(-n - total)),
    }


def anderson_darling(z: float) -> tuple[float, float]:
    """Return the limiting law's mass below and above a statistic of Anderson and Darling.

    Marsaglia and Marsaglia's formula (Journal of Statistical Software 9(2), 2004); from 8 on, where
    its error would show, the leading term of the tail, sqrt(3) P(chi2_1 > 2 z).
    """
    if z >= 8:
        above = float(np.sqrt(3) * special.erfc(np.sqrt(z)))
        return 1 - above, above
    if z < 2:
        series = (2.00012, 0.247105, -0.0649821, 0.0347962, -0.011672, 0.00168691)
        below = np.exp(-1.2337141 / z) / np.sqrt(z) * np.polynomial.Polynomial(series)(z)
    else:
        series = (1.0776, -2.30695, 0.43424, -0.082433, 0.008056, -0.0003146)
        below = np.exp(-np.exp(np.polynomial.Polynomial(series)(z)))
    return float(below), float(1 - below)


def of_tails(stream: Stream, count: int, bounds: tuple[float, ...]) -> dict[str, float]:
    """Return the p-values of how many standard normals lie beyond each bound, on each side."""
    found = {sign * bound: 0 for bound in bounds for sign in (-1, 1)}
    for first in range(0, count, PIECE):
        x = stream(first, min(PIECE, count - first))
        for bound in found:
            found[bound] += np.count_nonzero(x > bound if bound > 0 else x < bound)
    return {
        f"beyond {bound:+g}": of_count(stats.binom(count, special.ndtr(-abs(bound))), number)
        for bound, number in found.items()
    }


def of_correlation(one: Stream, other: Stream, count: int, fourth: float) -> dict[str, float]:
    """Return the correlation's of two streams with mean 0 and variance 1, and of their squares.

    `fourth` is the fourth moment of their law.
    """
    products = squares = 0.0
    for first in range(0, count, PIECE):
        size = min(PIECE, count - first)
        sums = _products(one(first, size), other(first, size))
        products, squares = products + sums[0], squares + sums[1]
    return {
        "values": of_z(products / np.sqrt(count)),
        "squares": of_z(squares / (fourth - 1) / np.sqrt(count)),
    }


@numba.njit
def _products(x, y):
    products = squares = 0.0
    for i in range(x.size):
        a, b = np.float64(x[i]), np.float64(y[i])
        products += a * b
        squares += (a * a - 1) * (b * b - 1)
    return products, squares


def of_bits(one: Stream, other: Stream, count: int) -> dict[str, float]:
    """Return those of every bit of a stream's words with every bit of another's.

    Of one stream with itself: of the pairs of bits of a word, and of the bits themselves.
    """
    same = one is other
    agreement, sums = np.zeros((32, 32)), np.zeros(32)
    for first in range(0, count, PIECE):
        size = min(PIECE, count - first)
        x, y = (_signs(stream(first, size)) for stream in (one, other))
        agreement += x.T @ y  # exact: whole numbers below 2^24
        sums += x.sum(axis=0)
    z = np.append(agreement[np.triu_indices(32, 1)], sums) if same else agreement.ravel()
    z /= np.sqrt(count)
    squares = stats.chi2(z.size)
    # P(|z| < largest) of all at once
    log_below = z.size * np.log1p(-2 * special.ndtr(-np.abs(z).max()))
    return {
        "all": two_sided(squares.cdf(z @ z), squares.sf(z @ z)),
        "largest": two_sided(np.exp(log_below), -np.expm1(log_below)),
    }


def _signs(words: NDArray[np.uint32]) -> NDArray[np.float32]:
    bits = np.unpackbits(words.view(np.uint8), bitorder="little").reshape(-1, 32)
    return bits.astype(np.float32) * 2 - 1


def of_birthdays(stream: Stream, birthdays: int, repeats: int) -> dict[str, float]:
    """Return those of Marsaglia's birthday spacings: how many spacings occur more than once.

    Every value of a word is a day. The number is close to Poisson with mean m^3 / 4 days.
    """
    counts = np.empty(repeats, np.int64)
    batch = max(1, 2**22 // birthdays)
    for first in range(0, repeats, batch):
        size = min(batch, repeats - first)
        days = np.sort(stream(first * birthdays, size * birthdays).reshape(size, birthdays))
        spacings = np.sort(np.diff(days, axis=1))
        counts[first : first + size] = (np.diff(spacings, axis=1) == 0).sum(axis=1)
    mean = birthdays**3 / 4 / 2.0 ** (8 * days.itemsize)
    found = {"total": of_count(stats.poisson(repeats * mean), counts.sum())}
    law = stats.poisson(mean)
    most = int(law.isf(10 / repeats)) if repeats >= 100 else 0
    if most:
        cells = np.append(law.pmf(np.arange(most)), law.sf(most - 1)) * repeats
        observed = np.bincount(np.minimum(counts, most), minlength=most + 1)
        found["counts"] = of_cells(observed, cells)
    return found


def of_dieharder(stream: Stream, test: int | str) -> dict[str, float]:
    """Return those of a test of the program dieharder (or of all: "-a"), fed with words.

    It prints eight decimals: what it prints as 0 or 1 is taken as a p-value of 0.
    """
    select = [test] if isinstance(test, str) else ["-d", str(test)]
    command = ["dieharder", *select, "-g", "200"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        feeder = threading.Thread(target=_feed, args=(stream, process.stdin))
        feeder.start()
        found = dieharder_report(line.decode() for line in process.stdout)
        feeder.join()
    return found


def dieharder_report(lines: Iterable[str]) -> dict[str, float]:
    """Return the p-values of a report of dieharder, by test, tuple size and place."""
    rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    rows = [row for row in rows if len(row) == 6 and row[4] != "p-value"]
    return {
        f"{row[0]} {row[1]} ({place})": two_sided(float(row[4]), 1 - float(row[4]))
        for place, row in enumerate(rows)
    }


def _feed(stream: Stream, pipe: Any) -> None:
    start = 0
    try:
        while True:
            pipe.write(stream(start, PIECE).tobytes())
            start += PIECE
    except BrokenPipeError:
        pass  # it has read enough
    finally:
        with suppress(BrokenPipeError):
            pipe.close()
