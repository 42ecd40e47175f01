"""What is tested: every law and dtype of the library, and every way in which streams could depend.

Each group of checks has a control: the same test of a stream with a fault, which must fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import ndtr

import fastinit
from fastinit.sampling import Bits, Normal, Permutation, Sign, TruncatedNormal, Uniform
from tests import naive
from tests.quality import p_values, streams
from tests.quality.streams import Stream, drawn, later, picked


@dataclass(frozen=True)
class Check:
    """A test that gives p-values; of a faulty stream if it is a control."""

    group: str
    name: str
    run: Callable[[], dict[str, float]]
    control: bool = False


Keys = Callable[[str], fastinit.Key]


def all_checks(draws: int, seed: int) -> list[Check]:
    """Return every check but dieharder's, with so many draws each, of keys that the seed gives."""

    def key(name: str) -> fastinit.Key:
        return fastinit.key(seed, "quality", name)

    return [
        *known_answers(),
        *laws(draws, key),
        *tails(10 * draws, key),
        *small_floats(draws, key),
        *signs_and_permutations(draws, key),
        *neighbours(draws, key),
        *other_streams(draws // 10, key, seed),
        *bits(draws // 10, key),
        *birthdays(draws, key, seed),
    ]


# ---------------------------------------------------------------- known answers

# Random123's published words of Philox4x32-10 for counter 0 under key 0.
PHILOX_ZERO = (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)


def known_answers() -> Iterator[Check]:
    """Philox's published words, and the library's words against those of plain NumPy."""
    for name, start in [("start", 0), ("element 2^34", 2**34 - 500), ("far", 2**61 + 3)]:
        yield Check("known answers", name, partial(_as_expected, fastinit.Key(0), start))
    run = partial(_as_expected, fastinit.Key(1), 0)
    yield Check("known answers", "another key", run, control=True)


def _as_expected(key: fastinit.Key, start: int) -> dict[str, float]:
    words = streams.words(key)
    published = tuple(int(word) for word in words(0, 64)[::16]) == PHILOX_ZERO
    expected = naive.words(0, start + np.arange(1000), 0)
    return {"equal": float(published and np.array_equal(words(start, 1000), expected))}


# ---------------------------------------------------------------- laws

Law = tuple[p_values.Function, p_values.Function]  # the masses below and above x
UNIFORM: Law = (lambda x: x, lambda x: 1 - x)
NORMAL: Law = (ndtr, lambda x: ndtr(-x))
EXPONENTIAL: Law = (lambda x: -np.expm1(-x), lambda x: np.exp(-x))


def truncated(lower: float, upper: float) -> Law:
    """Return the law of a standard normal between two bounds."""
    one_sided = lower >= 0  # then measured from above, where masses keep their bits
    mass = ndtr(-lower) - ndtr(-upper) if one_sided else ndtr(upper) - ndtr(lower)
    return (
        lambda x: (ndtr(-lower) - ndtr(-x) if one_sided else ndtr(x) - ndtr(lower)) / mass,
        lambda x: (ndtr(-x) - ndtr(-upper)) / mass,
    )


STANDARD_NORMAL = Normal(0.0, 1.0)
REAL = [
    ("uniform", Uniform(0.0, 1.0), UNIFORM),
    ("normal", STANDARD_NORMAL, NORMAL),
    *(
        (f"truncated {bounds[0]:g} {bounds[1]:g}", TruncatedNormal(0.0, 1.0, *bounds), law)
        for bounds in [(-2.0, 2.0), (-3.0, 3.0), (0.5, np.inf), (5.0, np.inf)]
        for law in [truncated(*bounds)]
    ),
]

# The pairs of Box and Muller's method: words 0 and 1, and words 2 and 3, of a lane.
FIRST_OF_PAIR = np.arange(64)[np.arange(64) // 16 % 2 == 0]
SECOND_OF_PAIR = FIRST_OF_PAIR + 16


def laws(draws: int, key: Keys) -> Iterator[Check]:
    """Kolmogorov-Smirnov and Anderson-Darling on the draws of every law."""
    cases: list[tuple[str, Stream, Law]] = []
    for dtype in ("float32", "float64"):
        for name, distribution, law in REAL:
            stream = drawn(distribution, key(f"{name} {dtype}"), dtype)
            cases.append((f"{name}, {dtype}", stream, law))
        normal = drawn(STANDARD_NORMAL, key(f"pairs {dtype}"), dtype)
        pair = picked(normal, FIRST_OF_PAIR), picked(normal, SECOND_OF_PAIR)
        cases.append((f"normal pair's radius, {dtype}", mapped(_half_square, *pair), EXPONENTIAL))
        cases.append((f"normal pair's direction, {dtype}", mapped(_direction, *pair), UNIFORM))
    # A complex law is that of the squared modulus, and of the direction.
    cut = stats.truncnorm(-2.0, 2.0).var() / (1 - 4 / np.expm1(4.0))
    beyond = np.exp(-4.0)
    within: Law = (
        lambda x: -np.expm1(-x) / (1 - beyond),
        lambda x: (np.exp(-x) - beyond) / (1 - beyond),
    )
    for dtype in ("complex64", "complex128"):
        for name, distribution, square, law in [
            ("uniform", Uniform(-1.0, 1.0), 2 / 3, UNIFORM),  # on the disk with the variance 1/3
            ("normal", STANDARD_NORMAL, 1.0, EXPONENTIAL),
            ("truncated -2 2", TruncatedNormal(0.0, 1.0, -2.0, 2.0), cut, within),
        ]:
            z = drawn(distribution, key(f"{name} {dtype}"), dtype)
            parts = mapped(np.real, z), mapped(np.imag, z)
            modulus = mapped(lambda x, y, square=square: 2 * _half_square(x, y) / square, *parts)
            cases.append((f"{name}, modulus, {dtype}", modulus, law))
            cases.append((f"{name}, direction, {dtype}", mapped(_direction, *parts), UNIFORM))
    word = streams.words(key("words"))
    cases.append(("words", mapped(lambda w: (w + 0.5) / 2.0**32, word), UNIFORM))
    for name, stream, law in cases:
        yield Check("laws", name, partial(_law, stream, draws, law))
    std = 1 + 12 / draws**0.5
    wrong = streams.scaled(drawn(STANDARD_NORMAL, key("scaled"), "float32"), std)
    yield Check("laws", f"std {std:.6g}", partial(_law, wrong, draws, NORMAL), control=True)


def mapped(function: Callable[..., Any], *parts: Stream) -> Stream:
    """Return a function of streams' elements, in float64 but for complex ones."""

    def stream(start: int, count: int) -> NDArray[Any]:
        values = (part(start, count) for part in parts)
        return function(*(x if x.dtype.kind == "c" else x.astype(np.float64) for x in values))

    return stream


def _half_square(x: Any, y: Any) -> Any:
    return (x * x + y * y) / 2


def _direction(x: Any, y: Any) -> Any:
    return np.arctan2(y, x) / (2 * np.pi) + 0.5


def _law(stream: Stream, draws: int, law: Law) -> dict[str, float]:
    sample = np.empty(draws, stream(0, 1).dtype)
    for start in range(0, draws, p_values.PIECE):
        piece = sample[start : start + p_values.PIECE]
        piece[...] = stream(start, piece.size)
    return p_values.of_law(sample, *law)


def tails(draws: int, key: Keys) -> Iterator[Check]:
    """How many normals lie beyond 3, 4 and 5 standard deviations."""
    for dtype in ("float32", "float64"):
        stream = drawn(STANDARD_NORMAL, key(f"tails {dtype}"), dtype)
        yield Check("tails", dtype, partial(p_values.of_tails, stream, draws, (3, 4, 5)))
    cut = streams.clipped(drawn(STANDARD_NORMAL, key("tails"), "float32"), 4.0)
    run = partial(p_values.of_tails, cut, draws, (3, 4, 5))
    yield Check("tails", "cut off at 4", run, control=True)


def small_floats(draws: int, key: Keys) -> Iterator[Check]:
    """float16 and bfloat16: to the bit the rounding of the float32 draws, which are tested above.

    That says more than a test of their law could: these have the law of float32, rounded.
    """
    for name, distribution, _ in [*REAL, ("sign", Sign(1.0), None)]:
        single = drawn(distribution, key(name), "float32")
        for dtype, nearest in naive.ROUND.items():
            run = partial(_equal, drawn(distribution, key(name), dtype), nearest, single, draws)
            yield Check("16 bits", f"{name}, {dtype}", run)
    single = drawn(STANDARD_NORMAL, key("normal"), "float32")
    stream = drawn(STANDARD_NORMAL, key("normal"), "bfloat16")
    run = partial(_equal, stream, lambda x: x.view(np.uint32) >> 16, single, draws)
    yield Check("16 bits", "cut, not rounded", run, control=True)


def _equal(
    short: Stream, nearest: Callable[[Any], Any], single: Stream, draws: int
) -> dict[str, float]:
    for start in range(0, draws, p_values.PIECE):
        size = min(p_values.PIECE, draws - start)
        if not np.array_equal(short(start, size).view(np.uint16), nearest(single(start, size))):
            return {"equal": 0.0}
    return {"equal": 1.0}


def signs_and_permutations(draws: int, key: Keys) -> Iterator[Check]:
    """Rademacher's signs; the orders of short permutations, and long ones as draws."""
    for dtype in ("float32", "float64"):
        sign = drawn(Sign(1.0), key(f"signs {dtype}"), dtype)
        yield Check("signs", dtype, partial(_halves, sign, draws))
    tilt = 10 / draws**0.5
    tilted = drawn(Uniform(-1.0, 1 + 4 * tilt), key("tilted"), "float32")
    yield Check("signs", f"P(+) = {0.5 + tilt:.6g}", partial(_halves, tilted, draws), control=True)
    for n in (2, 3, 4, 5, 6, 7, 8):
        if draws // 10 < 5 * n * factorial(n):  # fewer than five a cell: too few for chi-square
            continue
        rows = drawn(Permutation(n), key(f"permutations of {n}"), "int64")
        yield Check("permutations", f"orders of {n}", partial(_orders, rows, n, draws // 10))
    rows = drawn(Permutation(1000), key("permutations of 1000"), "int64")
    run = partial(_fixed_points, rows, 1000, draws // 1000)
    yield Check("permutations", "fixed points of 1000", run)
    long = mapped(lambda x: (x + 0.5) / 2.0**62, drawn(Permutation(2**62), key("long"), "int64"))
    yield Check("permutations", "law of 2^62", partial(_law, long, draws // 10, UNIFORM))
    run = partial(_orders, streams.shuffled_badly(4), 4, draws // 10)
    yield Check("permutations", "a biased shuffle", run, control=True)


def _halves(stream: Stream, draws: int) -> dict[str, float]:
    positive = 0
    for start in range(0, draws, p_values.PIECE):
        positive += np.count_nonzero(stream(start, min(p_values.PIECE, draws - start)) > 0)
    return {"count": p_values.of_count(stats.binom(draws, 0.5), positive)}


def _orders(rows: Stream, n: int, draws: int) -> dict[str, float]:
    many = draws // n
    digits = n ** np.arange(n)
    found = np.bincount(rows(0, many * n).reshape(many, n) @ digits, minlength=n**n)
    observed = found[np.array(list(permutations(range(n)))) @ digits]
    assert observed.sum() == many, "a row that is no permutation"
    return {"orders": p_values.of_cells(observed, np.full(observed.size, many / observed.size))}


def _fixed_points(rows: Stream, n: int, many: int) -> dict[str, float]:
    fixed = np.count_nonzero(rows(0, many * n).reshape(many, n) == np.arange(n))
    return {"count": p_values.of_count(stats.poisson(many), fixed)}


# ---------------------------------------------------------------- dependence

LAGS = (1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 128, 8192, 65536)
# Two laws with variance 1, and their fourth moments. A uniform draw is its word, moved and scaled.
UNIT_LAWS = {
    "uniform": (Uniform(-np.sqrt(3), np.sqrt(3)), 9 / 5),
    "normal": (STANDARD_NORMAL, 3.0),
}


def _sources(key: fastinit.Key) -> dict[str, Stream]:
    return {kind: drawn(law, key, "float32") for kind, (law, _) in UNIT_LAWS.items()}


def _correlation(kind: str, one: Stream, other: Stream, draws: int) -> Callable[[], Any]:
    return partial(p_values.of_correlation, one, other, draws, UNIT_LAWS[kind][1])


def neighbours(draws: int, key: Keys) -> Iterator[Check]:
    """Correlations within a stream: at lags, across the edge of a tile, within a pair."""
    for kind, x in _sources(key("neighbours")).items():
        for lag in LAGS:
            yield Check("lags", f"{kind}, {lag}", _correlation(kind, x, later(x, lag), draws))
        for name, here, there in [
            ("word 0 and 1 of a lane", FIRST_OF_PAIR, SECOND_OF_PAIR),
            ("a tile's last and its first", np.array([63]), np.array([0])),
            ("lanes 0 and 15", 16 * np.arange(4), 16 * np.arange(4) + 15),
        ]:
            many = draws * here.size // 64
            run = _correlation(kind, picked(x, here), picked(x, there), many)
            yield Check("lags", f"{kind}, {name}", run)
        last, first = picked(x, np.array([63])), picked(x, np.array([0]))
        run = _correlation(kind, last, later(first, 1), draws // 64)
        yield Check("lags", f"{kind}, across the edge of a tile", run)
    x = drawn(STANDARD_NORMAL, key("neighbours"), "float32")
    echo = streams.echoed(x, 16)
    run = _correlation("normal", echo, later(echo, 16), draws)
    yield Check("lags", "a copy every 64 elements", run, control=True)


def other_streams(draws: int, key: Keys, seed: int) -> Iterator[Check]:
    """Correlations of streams: of keys next to each other, of seeds, of names, of far elements.

    Adjacent keys are 0 and 1 and so on: the user may write them; those of seeds are hashes.
    """
    base = int(key("other streams"))
    pairs = [
        *((f"keys {n} and {n + 1}", fastinit.Key(n), fastinit.Key(n + 1)) for n in range(8)),
        *((f"keys differ in bit {bit}", fastinit.Key(base), fastinit.Key(base ^ 1 << bit))
          for bit in range(64)),
        *((f"seeds {n} and {n + 1}", fastinit.key(n), fastinit.key(n + 1))
          for n in range(seed, seed + 8)),
        ("names", fastinit.key(seed, "layer1"), fastinit.key(seed, "layer2")),
    ]  # fmt: skip
    for name, one, other in pairs:
        for kind, x in _sources(one).items():
            y = _sources(other)[kind]
            yield Check("streams", f"{kind}, {name}", _correlation(kind, x, y, draws))
    for kind, x in _sources(key("offsets")).items():
        for exponent in (31, 32, 33, 34, 35, 36, 40, 50, 60):
            y = later(x, 2**exponent)
            run = _correlation(kind, x, y, draws)
            yield Check("streams", f"{kind}, elements 2^{exponent} apart", run)
        # The counter's lower word overflows at element 2^34.
        around = later(x, 2**34 - draws // 2)
        run = _correlation(kind, around, later(around, 64), draws)
        yield Check("streams", f"{kind}, lag 64 over element 2^34", run)
    x = drawn(STANDARD_NORMAL, fastinit.Key(base), "float32")
    run = _correlation("normal", x, x, draws)
    yield Check("streams", "one key twice", run, control=True)


def bits(draws: int, key: Keys) -> Iterator[Check]:
    """Each bit of a word with each bit of another."""
    x = streams.words(key("bits"))
    for name, one, other in [
        ("of one word", x, x),
        *((f"lag {lag}", x, later(x, lag)) for lag in (1, 16, 32, 64)),
        ("keys 0 and 1", streams.words(fastinit.Key(0)), streams.words(fastinit.Key(1))),
        ("elements 2^34 apart", x, later(x, 2**34)),
        ("word and refinement", x, streams.refinement(key("bits"))),
    ]:
        yield Check("bits", name, partial(p_values.of_bits, one, other, draws))
    run = partial(p_values.of_bits, streams.randu, later(streams.randu, 1), draws)
    yield Check("bits", "RANDU", run, control=True)


# ---------------------------------------------------------------- birthday spacings


def birthdays(draws: int, key: Keys, seed: int) -> Iterator[Check]:
    """Birthday spacings: 4096 birthdays in 2^32 days, and 2^22 in 2^64."""
    x = streams.words(key("birthdays"))
    lane = np.array([0])
    small, large = max(1, draws // 20_000), max(1, draws // 5_000_000)
    for name, stream in [
        ("words", x),
        ("refinements", streams.refinement(key("birthdays"))),
        ("one element a tile", picked(x, lane)),
        ("4096 adjacent keys in turn", adjacent_keys()),
        ("4096 adjacent seeds in turn", adjacent_seeds(seed)),
    ]:
        run = partial(p_values.of_birthdays, stream, 2**12, small)
        yield Check("birthdays", name, run)
    run = partial(p_values.of_birthdays, drawn(Bits(), key("birthdays"), "uint64"), 2**22, large)
    yield Check("birthdays", "64 bits", run)
    run = partial(p_values.of_birthdays, streams.randu, 2**12, small)
    yield Check("birthdays", "RANDU", run, control=True)


def adjacent_keys() -> Stream:
    """Return the words of keys 0 to 4095 in turn."""
    return streams.interleaved([fastinit.Key(n) for n in range(4096)])


def adjacent_seeds(seed: int) -> Stream:
    """Return the words of the keys of 4096 seeds in turn."""
    return streams.interleaved([fastinit.key(seed + n) for n in range(4096)])


# ---------------------------------------------------------------- dieharder

# Those that take less than a minute each: birthdays, permutations of 5, ranks of two kinds of
# matrices, bit strings, ones in bytes, runs, craps, single bits, runs of bits, bytes, the discrete
# cosine transform, trees, blocks of bits.
SOME = (0, 1, 2, 3, 4, 8, 15, 16, 100, 101, 205, 206, 207, 209)


def dieharder_checks(seed: int, every: bool) -> list[Check]:
    """Return dieharder's tests of the raw words: of one key in order, of adjacent keys in turn."""
    checks = []
    for name, stream in [
        ("one key", streams.words(fastinit.key(seed, "dieharder"))),
        ("4096 adjacent keys in turn", adjacent_keys()),
    ]:
        for test in ["-a"] if every else SOME:
            run = partial(p_values.of_dieharder, stream, test)
            checks.append(Check("dieharder", f"{name}, {test}", run))
    run = partial(p_values.of_dieharder, streams.randu, 2)
    checks.append(Check("dieharder", "RANDU", run, control=True))
    return checks
