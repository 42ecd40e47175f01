"""Many tensors at once: `fastinit.initialize` beside separate calls and a NumPy loop.

    python benchmarks/trees.py [--only PATTERN] [--rounds N]

An "element" of the tables is a whole tensor, so that a thousand nanoseconds of one are a
microsecond of work: key, array and values. The limit is what cannot be spared: an empty array and
the hash of its name for each tensor, and one call of the backend that draws them all.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from targets import Contest, print_checks, run, within

import fastinit
from fastinit.bench.contests import Fills
from fastinit.bench.machine import processor
from fastinit.keys import keys_below
from fastinit.sampling import backend, draw_of
from fastinit.sampling.dtypes import find

THREADS = 2
Shapes = dict[str, tuple[int, ...]]


def contests() -> list[Contest]:
    kernels = {f"layers.{i}.kernel": (64, 20) for i in range(100)}
    sizes = {f"layers.{i}.kernel": (64, 20 + i) for i in range(100)}
    biases = {f"layers.{i}.bias": (20,) for i in range(1000)}
    both = kernels | {f"layers.{i}.bias": (20,) for i in range(100)}
    large = {f"blocks.{i}.kernel": (768, 3072) for i in range(24)}
    half = within("one by one", 0.5)
    return [
        contest("100 he_normal (64, 20)", kernels, "he_normal", half),
        contest("100 he_normal of other shapes", sizes, "he_normal"),
        contest("1000 uniform (20,)", biases, "uniform", half),
        contest("1000 zeros (20,)", biases, "zeros", half),
        contest("100 kernels, 100 biases", both, {"*.bias": "zeros", "*": "he_normal"}, half),
        contest("24 he_normal (768, 3072)", large, "he_normal", within("one by one", 1.05)),
    ]


def contest(name: str, shapes: Shapes, recipe: Any, *targets: Any) -> Contest:
    repeats = 20 if len(shapes) * np.prod(next(iter(shapes.values()))) < 10**6 else 1
    return Contest(name, partial(fills, shapes, recipe), targets, len(shapes), repeats)


def fills(shapes: Shapes, recipe: Any, _: int) -> Fills:
    fastinit.set_num_threads(THREADS)
    out = {name: np.empty(shape, np.float32) for name, shape in shapes.items()}
    mixed = fastinit.Mixed(recipe if isinstance(recipe, dict) else {"*": recipe})
    initializers = mixed.for_names(shapes)
    generator = np.random.default_rng(0)

    def one_by_one() -> None:
        made = []
        for (name, shape), initializer in zip(shapes.items(), initializers, strict=True):
            made.append(initializer(shape, seed=fastinit.key(0, name)))

    def numpy() -> None:
        made = []
        for shape, initializer in zip(shapes.values(), initializers, strict=True):
            if repr(initializer) == "zeros()":
                made.append(np.zeros(shape, np.float32))
            elif repr(initializer) == "uniform()":
                made.append(generator.random(shape, np.float32))
            else:
                made.append(generator.standard_normal(shape, np.float32) * np.float32(0.1))

    together: Callable[[], Any] = partial(fastinit.initialize, shapes, recipe, 0)
    return {
        "fastinit.initialize": together,
        "in place (out=)": partial(together, out=out),
        "one by one": one_by_one,
        "NumPy": numpy,
        "limit": limit(shapes, initializers),
    }


def limit(shapes: Shapes, initializers: list[fastinit.Initializer]) -> Callable[[], None]:
    row = find("float32", ("float32",))
    draws = [
        draw_of(initializer.distribution(shape), row)
        for shape, initializer in zip(shapes.values(), initializers, strict=True)
    ]
    fill_many = backend.load().fill_many

    def least() -> None:
        arrays = [np.empty(shape, np.float32) for shape in shapes.values()]
        tensors = []
        for out, draw, key in zip(arrays, draws, keys_below(0, shapes), strict=True):
            if draw.kernel is None:
                out[...] = draw.parameters
            else:
                tensors.append((draw.kernel, out, key, draw.parameters))
        fill_many(tensors)

    return least


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", type=re.compile, metavar="PATTERN", help="rows that match")
    options = parser.parse_args()
    only = options.only or re.compile("")
    print(f"{backend.name()} backend, {THREADS} threads, {processor()}")
    rows = [contest for contest in contests() if only.search(contest.name)]
    _, checks = run(rows, 1, options.rounds)
    print_checks(checks)


if __name__ == "__main__":
    main()
