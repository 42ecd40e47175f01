"""Every speed target of the library, measured: interleaved in one run, medians, ratios.

    python benchmarks/sampling.py [--only PATTERN] [--json FILE] [--record]

Peers that are not installed are left out, and a line says which. --record measures everything and
records it in benchmarks/sampling.json, which benchmarks/pages.py makes a table of.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from targets import Contest, Target, check, faster, missing, print_checks, run, within

import fastinit
from fastinit.bench.calls import CODE, fresh, process, small
from fastinit.bench.contests import Fills
from fastinit.bench.fills import PACKAGES as LIBRARIES
from fastinit.bench.fills import absent, fills, ours
from fastinit.bench.machine import processor, versions
from fastinit.sampling import TruncatedNormal, Uniform, backend

THREADS = 2
PACKAGES = ("numpy", "torch", "jax", "keras", "mkl_random", "numba")
RESULTS = Path(__file__).parent / "sampling.json"

Parameters = Callable[[Any], tuple[Any, ...]]

# ---------------------------------------------------------------- what is measured


def filling(dtype: str, law: str, *targets: Target) -> Contest:
    written = {"float32": 4, "float64": 8, "bfloat16": 2}[dtype]
    return Contest(f"{dtype} {law}", partial(fills_of, law, dtype), targets, written=written)


def calling(name: str, contestants: Callable[[int], Fills], size: int, repeats: int) -> Contest:
    return Contest(name, contestants, (within("NumPy", 0.6),), size, repeats)


def backends(law: str, dtype: str, parameters: Parameters, add: bool) -> Contest:
    name = f"Cython {dtype} {law}{' +=' * add}"
    contestants = partial(kernels, law, dtype, parameters, add)
    return Contest(name, contestants, (faster("Numba", 0.9),), 2**20)


def contests() -> list[Contest]:
    """Return the rows, in the order of the issue that set the targets."""
    uniform = [faster("NumPy", 9), faster("PyTorch", 9), within("plain fill", 2.5)]
    normal = [faster("NumPy", 12), faster("PyTorch", 4.5), faster("JAX", 15)]
    return [
        filling("float32", "uniform", *uniform, faster("1 thread", 1.85)),
        filling("float32", "normal", *normal, faster("1 thread", 1.85)),
        filling("float32", "truncated normal", faster("PyTorch", 6), faster("JAX", 12)),
        filling("bfloat16", "normal", faster("PyTorch", 6)),
        filling("float64", "uniform"),
        filling("float64", "normal", faster("NumPy", 6), faster("oneMKL", 2.5)),
        filling("float64", "truncated normal"),
        calling("he_normal((64, 20))", small_calls, 64 * 20, 200),
        calling("he_normal((64, 20), seed=0)", partial(small_calls, seed=0), 64 * 20, 200),
        calling("fresh he_normal((4096, 4096))", processes, 4096**2, 1),
        *(backends(*kernel) for kernel in every_kernel()),
    ]


# ---------------------------------------------------------------- fills of one buffer


def fills_of(law: str, dtype: str, elements: int) -> Fills:
    """Return fastinit's fill, on one thread too, the peers', and plain ones, all of one buffer."""
    if dtype == "bfloat16":
        try:
            import ml_dtypes  # noqa: F401 - it makes NumPy know bfloat16
        except ImportError:
            missing.add("ml_dtypes")
            return {}
    out = np.empty(elements, dtype)
    contestants = ours(law, out, THREADS) | {"1 thread": ours(law, out, 1)["fastinit"]}
    try:
        contestants |= mkl_fills(law, dtype, out)
    except ImportError as error:
        missing.add(error.name or str(error))
    return contestants | fills(law, out, THREADS)


def mkl_fills(law: str, dtype: str, out: np.ndarray) -> Fills:
    """Return oneMKL's fastest method, with its default and its fastest generator; no out=."""
    if (law, dtype) != ("normal", "float64"):
        return {}
    from mkl_random import MKLRandomState

    return {
        f"oneMKL {bits}": partial(
            MKLRandomState(0, brng=bits).standard_normal, out.size, method="ICDF"
        )
        for bits in ("MT19937", "PHILOX4X32X10")
    }


# ---------------------------------------------------------------- calls and processes


def small_calls(elements: int, **seed: int) -> Fills:
    return {
        "fastinit": lambda: fastinit.he_normal((64, 20), **seed),
        "NumPy": small((64, 20))["NumPy"],
    }


def processes(elements: int) -> Fills:
    made = fresh((4096, 4096), THREADS)
    return {library: made[library] for library in ("fastinit", "NumPy")}


FRESH = CODE["fastinit"].format(shape=(4096, 4096))
MEMORY = """
import resource, numpy, fastinit
outs = [numpy.ones({elements}, dtype) for dtype in ("float32", "float64")]
laws = [fastinit.get(law) for law in ("uniform", "normal", "truncated_normal")]
laws.append(fastinit.get("truncated_normal", lower=-4.0, upper=4.0))
for out in outs:
    for law in laws:
        law(1000, seed=0, dtype=out.dtype)  # loaded, and compiled where there is no cache
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
more = numpy.ones(2**26)  # so that the peak is now, whatever compiling took
before = peak()
for out in outs:
    for law in laws:
        law(out.shape, seed=0, dtype=out.dtype, out=out)
print(peak() - before)
"""


def memory(elements: int) -> float:
    """Return by how many MiB a thread the fills raise the peak of the memory in use."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, else KiB
    return int(process(MEMORY.format(elements=elements), THREADS)) * unit / 2**20 / THREADS


# ---------------------------------------------------------------- backends


def of_law(law: Any) -> Parameters:
    return lambda number: law.plan(np.dtype(number))[1]


def given(*numbers: float) -> Parameters:
    return lambda number: tuple(number(x) for x in numbers)


REAL = ("float32", "float64", "float16", "bfloat16")
COMPLEX = ("complex64", "complex128")
ROOT_HALF, RATIO = math.sqrt(0.5), math.exp(-4.0)
# law, dtypes, its parameters as numbers of the dtype computed in
LAWS: list[tuple[str, tuple[str, ...], Parameters]] = [
    ("uniform", REAL, of_law(Uniform(0.0, 1.0))),
    ("normal", REAL, given(0, 1)),
    ("truncated_central", REAL, of_law(TruncatedNormal(0.0, 1.0))),
    ("truncated_wide", REAL, of_law(TruncatedNormal(0.0, 1.0, -4.0, 4.0))),
    ("truncated_far", REAL, of_law(TruncatedNormal(0.0, 1.0, 6.0, 7.0))),
    ("sign", REAL, given(1)),
    ("normal", COMPLEX, given(0, ROOT_HALF)),
    ("disk", COMPLEX, given(0, 1)),
    ("truncated_modulus", COMPLEX, given(0, ROOT_HALF, RATIO, 1 - RATIO)),
    ("bits", ("uint32", "uint64"), given()),
    ("permutation", ("int64",), lambda number: (10**6,)),
]


def every_kernel() -> Iterator[tuple[str, str, Parameters, bool]]:
    for law, dtypes, parameters in LAWS:
        for dtype in dtypes:
            yield law, dtype, parameters, False
            if dtypes is REAL:
                yield law, dtype, parameters, True


def kernels(law: str, dtype: str, parameters: Parameters, add: bool, elements: int) -> Fills:
    """Return both backends' fill of a law, on this thread."""
    try:
        from fastinit.sampling import cython_fill, numba_fill
    except ImportError:
        missing.add("the Cython extension")
        return {}
    double = dtype in ("float64", "complex128")
    number = np.float64 if double else np.float32
    out = np.zeros((1, elements), np.uint16 if dtype in ("float16", "bfloat16") else dtype)
    arguments = [out, np.uint64(0), np.zeros(1, np.uint64), parameters(number)]
    arguments += [number(1e-3)] if add else []
    return {
        name: partial(module.kernel(law, dtype, add=add), *arguments)
        for name, module in (("Cython", cython_fill), ("Numba", numba_fill))
    }


def other_checks(only: re.Pattern[str], elements: int) -> list[dict[str, Any]]:
    """Return what is counted, not timed."""
    checks = []
    what = "memory above the output, a thread"
    if only.search(what):
        try:
            checks.append(check(what, "at most", 2, " MiB", memory(elements)))
        except subprocess.CalledProcessError as error:
            missing.add(f"memory: {error.stderr.splitlines()[-1]}")
    what = "Numba loaded by a fresh process"
    if only.search(what) and backend.name() == "cython":
        loaded = "True" in process(f"import sys; {FRESH}; print('numba' in sys.modules)", THREADS)
        checks.append(check(what, "at most", 0, " times", loaded))
    return checks


# ---------------------------------------------------------------- what is printed and written


PEERS = {
    "NumPy": "numpy",
    "PyTorch": "torch",
    "JAX": "jax",
    "Keras": "keras",
    "oneMKL": "mkl_random",
    "plain fill": "",
}


def table(results: dict[str, Any]) -> str:
    """Return the table of the results."""
    installed = results["versions"]
    names = [f"{peer} {installed[p]}" for peer, p in PEERS.items() if p in installed]
    caption = (
        f"Nanoseconds per element, {results['elements'] // 2**20} Mi elements into one buffer, and "
        f"in parentheses how many times fastinit's time that is. {results['threads']} threads, "
        f"{results['backend']} backend, {results['processor']}; {', '.join(names)}. NumPy, oneMKL "
        "and PyTorch draw on one thread, NumPy with its faster generator. Truncated normals lie "
        "within two sigma: NumPy's are redrawn until they do, PyTorch's made in the faster of its "
        "two ways."
    )
    lines = [
        textwrap.fill(caption, 100) + "\n",
        f"| fill | fastinit | {' | '.join(PEERS)} |",
        "|---" * (len(PEERS) + 2) + "|",
    ]
    calls = []
    for row in results["rows"]:
        ours, *_ = row["ns"].values()
        if row["bandwidth"]:
            cells = [row["row"], f"{ours:.2f}"]
            for peer in PEERS:
                times = [t for name, t in row["ns"].items() if name.startswith(peer)]
                cells.append(f"{min(times):.2f} ({min(times) / ours:.1f}x)" if times else "")
            lines.append(f"| {' | '.join(cells)} |")
        elif "NumPy" in row["ns"]:
            calls.append(f"`{row['row']}` {ours / row['ns']['NumPy']:.2f}")
    shares = f"Small calls and cold starts, as a share of NumPy's time: {', '.join(calls)}."
    lines.append("\n" + textwrap.fill(shares, 100))
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--elements", type=int, default=2**25)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", type=re.compile, metavar="PATTERN", help="rows that match")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    parser.add_argument("--record", action="store_true", help=f"write them to {RESULTS.name}")
    options = parser.parse_args()
    if options.record and options.only:
        parser.error("--record needs every row, so not --only")
    only = options.only or re.compile("")

    fastinit.set_num_threads(THREADS)
    os.environ["NPROC"] = str(THREADS)  # for JAX, which is not imported yet
    rows = [contest for contest in contests() if only.search(contest.name)]
    measured, checks = run(rows, options.elements, options.rounds)
    checks += other_checks(only, options.elements)
    missing.update(LIBRARIES[library] for library in absent())
    print_checks(checks)
    results = {
        "elements": options.elements,
        "threads": THREADS,
        "processor": processor(),
        "backend": backend.name(),
        "versions": versions(PACKAGES),
        "rows": measured,
        "checks": checks,
    }
    for file in [options.json, RESULTS if options.record else None]:
        if file is not None:
            file.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
