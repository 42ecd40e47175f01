"""Time of a fill against NumPy's: one run, interleaved, medians and their ratio.

    python benchmarks/sampling.py [--elements 33554432] [--rounds 7]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

import fastinit


def contestants(dtype: type, out: np.ndarray) -> dict[str, tuple[Callable, Callable]]:
    """Return, for each fill, (NumPy's, fastinit's) into the same buffer."""
    pcg64 = np.random.Generator(np.random.PCG64(0))
    sfc64 = np.random.Generator(np.random.SFC64(0))
    shape, key = out.shape, fastinit.key(0)
    keywords = {"seed": key, "dtype": dtype, "out": out}
    ours = {
        "uniform": lambda: fastinit.uniform(shape, 0.0, 1.0, **keywords),
        "normal": lambda: fastinit.normal(shape, 0.0, 1.0, **keywords),
    }
    return {
        "uniform, PCG64": (lambda: pcg64.random(out=out, dtype=dtype), ours["uniform"]),
        "uniform, SFC64": (lambda: sfc64.random(out=out, dtype=dtype), ours["uniform"]),
        "normal, PCG64": (lambda: pcg64.standard_normal(out=out, dtype=dtype), ours["normal"]),
        "normal, SFC64": (lambda: sfc64.standard_normal(out=out, dtype=dtype), ours["normal"]),
        "truncated normal": (
            None,
            lambda: fastinit.truncated_normal(shape, 0.0, 1.0, **keywords),
        ),
        "constant": (lambda: out.fill(1.0), lambda: fastinit.ones(shape, dtype=dtype, out=out)),
    }


def seconds(call: Callable) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--elements", type=int, default=2**25)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    print(f"{options.elements} elements, {fastinit.get_num_threads()} threads, ns per element")
    print(f"{'':26}{'NumPy':>8}{'fastinit':>10}{'ratio':>8}")
    for dtype in (np.float32, np.float64):
        out = np.empty(options.elements, dtype)
        for name, (theirs, ours) in contestants(dtype, out).items():
            ours()  # compiles, and touches the pages
            times: dict[str, list[float]] = {"numpy": [], "fastinit": []}
            for _ in range(options.rounds):
                if theirs:
                    times["numpy"].append(seconds(theirs))
                times["fastinit"].append(seconds(ours))
            mine = statistics.median(times["fastinit"]) / options.elements * 1e9
            line = f"{np.dtype(dtype).name + ' ' + name:26}"
            if theirs:
                other = statistics.median(times["numpy"]) / options.elements * 1e9
                print(f"{line}{other:8.2f}{mine:10.3f}{other / mine:8.1f}")
            else:
                print(f"{line}{'':8}{mine:10.3f}")


if __name__ == "__main__":
    main()
