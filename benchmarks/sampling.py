"""Time of a fill against NumPy's, into one given buffer: interleaved in one run, medians, ratios.

    python benchmarks/sampling.py [--elements 33554432] [--rounds 9] [--readme]

--readme also records the figures in benchmarks/sampling.json and writes the README's table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fastinit

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "sampling.json"
START, END = (
    "<!-- speed table: written by benchmarks/sampling.py --readme -->\n",
    "<!-- end of speed",
)

Fill = Callable[[], Any]


def contestants(out: np.ndarray) -> dict[str, tuple[Fill, Fill]]:
    """Return, for each kind of values, NumPy's and fastinit's fill of the same buffer."""
    generator = np.random.Generator(np.random.PCG64(0))  # NumPy's default
    fastest = np.random.Generator(np.random.SFC64(0))
    theirs = {"out": out, "dtype": out.dtype}
    ours = {"out": out, "dtype": out.dtype, "seed": fastinit.key(0)}
    std, clipped = np.sqrt(2 / 4096), np.empty_like(out)

    def numpy_he_normal() -> None:
        generator.standard_normal(**theirs)
        np.multiply(out, out.dtype.type(std), out=out)

    def numpy_truncated_normal() -> None:
        # NumPy has none: the quantile of uniform draws is not in NumPy either, so redraw.
        generator.standard_normal(**theirs)
        while (outside := np.flatnonzero(np.abs(out, out=clipped) > 2)).size:
            out[outside] = generator.standard_normal(outside.size, out.dtype)

    shape, dense = out.shape, (4096, out.size // 4096)
    in_dense = {**ours, "out": out.reshape(dense)}
    return {
        "uniform": (
            lambda: generator.random(**theirs),
            lambda: fastinit.uniform(shape, 0.0, 1.0, **ours),
        ),
        "uniform (SFC64)": (
            lambda: fastest.random(**theirs),
            lambda: fastinit.uniform(shape, 0.0, 1.0, **ours),
        ),
        "normal": (
            lambda: generator.standard_normal(**theirs),
            lambda: fastinit.normal(shape, 0.0, 1.0, **ours),
        ),
        "normal (SFC64)": (
            lambda: fastest.standard_normal(**theirs),
            lambda: fastinit.normal(shape, 0.0, 1.0, **ours),
        ),
        "truncated normal": (
            numpy_truncated_normal,
            lambda: fastinit.truncated_normal(shape, 0.0, 1.0, **ours),
        ),
        "he_normal": (numpy_he_normal, lambda: fastinit.he_normal(dense, **in_dense)),
        "ones": (lambda: out.fill(1.0), lambda: fastinit.ones(shape, out=out, dtype=out.dtype)),
    }


def measure(elements: int, rounds: int) -> dict[str, Any]:
    """Return the median nanoseconds an element of every fill."""
    rows = []
    for dtype in ("float32", "float64"):
        out = np.empty(elements, dtype)
        for name, fills in contestants(out).items():
            times: tuple[list[float], list[float]] = ([], [])
            for turn in range(rounds + 1):
                for fill, seconds in zip(fills, times, strict=True):
                    start = time.perf_counter()
                    fill()
                    if turn:  # the first compiles, and touches the pages
                        seconds.append(time.perf_counter() - start)
            numpy_ns, fastinit_ns = (statistics.median(t) / elements * 1e9 for t in times)
            rows.append({"fill": name, "dtype": dtype, "numpy": numpy_ns, "fastinit": fastinit_ns})
            print(
                f"{dtype} {name:18}{numpy_ns:8.2f}{fastinit_ns:8.2f}{numpy_ns / fastinit_ns:7.1f}x"
            )
    return {
        "elements": elements,
        "threads": fastinit.get_num_threads(),
        "processor": processor(),
        "numpy": np.__version__,
        "rows": rows,
    }


def processor() -> str:
    """Return the model of the processor and how many cores this process may use."""
    model = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        flags = next(line for line in cpuinfo.read_text().splitlines() if line.startswith("flags"))
        model += ", AVX-512" if "avx512f" in flags else ", AVX2" if "avx2" in flags else ""
    return f"{model}, {len(os.sched_getaffinity(0))} cores"


def table(results: dict[str, Any]) -> str:
    """Return the README's table of the results."""
    lines = [
        f"Nanoseconds per element, {results['elements'] // 2**20} Mi elements into one buffer, "
        f"against NumPy {results['numpy']}\n(PCG64 where nothing is said, one thread as ever; "
        f"fastinit: {results['threads']} threads; {results['processor']}).\nNumPy has no "
        "truncated normal: its normals are redrawn until all lie within +-2 sigma.\n",
        "| fill | NumPy | fastinit | ratio | NumPy, float64 | fastinit | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row["fill"] for row in results["rows"]):
        cells = [name]
        for row in (row for row in results["rows"] if row["fill"] == name):
            ratio = row["numpy"] / row["fastinit"]
            cells += [f"{row['numpy']:.2f}", f"{row['fastinit']:.2f}", f"{ratio:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--elements", type=int, default=2**25)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--readme", action="store_true")
    options = parser.parse_args()
    results = measure(options.elements, options.rounds)
    if options.readme:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        readme = ROOT / "README.md"
        before, rest = readme.read_text().split(START)
        readme.write_text(before + START + table(results) + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
