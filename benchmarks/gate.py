"""The gate: no kernel may become slower beside its NumPy twin than `floors.json` allows.

    python benchmarks/gate.py [--only PATTERN] [--record]

A row's figure is NumPy's time over fastinit's, on one thread and on data that stays in the cache.
The times are the processor's, so that other programs do not count, and the two take turns in this
process, so that what slows down the processor slows down both; the figure is the median of the
ratios of neighbours. A row below its floor is measured further, `ATTEMPTS` times as long, and fails
if all of it together is below. A floor is `ROOM` times what was recorded: a kernel that is twice as
slow fails, and one that is a fourth slower does not. Floors belong to the backend and instructions
found here, since wider vectors make fastinit faster than NumPy.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from cases import (
    Run,
    activations,
    catalogue,
    dense,
    losses,
    models,
    normalization,
    optimizers,
    sampling,
    training,
)

FLOORS = Path(__file__).parent / "floors.json"
ROOM = 0.7
ATTEMPTS = 3
ROUNDS = 41
SAMPLE = 0.001  # seconds of each contestant in a round, at least


class Row(NamedTuple):
    """What is compared: a case at a size."""

    cases: Mapping[str, Any]
    case: str
    size: tuple[Any, ...]

    def make(self, contestant: str) -> Run:
        return self.cases[self.case].make(contestant, *self.size)


def fill(law: str, dtype: str) -> Row:
    return Row(sampling.CASES, law, (dtype, 2**16, 1))


ROWS = {
    "float32 uniform": fill("uniform", "float32"),
    "float32 normal": fill("normal", "float32"),
    "float32 truncated normal": fill("truncated normal", "float32"),
    "float64 uniform": fill("uniform", "float64"),
    "float64 normal": fill("normal", "float64"),
    "float64 truncated normal": fill("truncated normal", "float64"),
    "he_normal, small": Row(catalogue.CASES, "he_normal", (32,)),
    "orthogonal": Row(catalogue.CASES, "orthogonal", (96,)),
    "initialize, small tree": Row(models.CASES, "small tree", (24,)),
    "dense forward": Row(dense.CASES, "forward", ((64, 256, 256),)),
    "dense backward": Row(dense.CASES, "backward", ((64, 256, 256),)),
    "relu": Row(activations.CASES, "relu", (128,)),
    "gelu": Row(activations.CASES, "gelu", (64,)),
    "gelu backward": Row(activations.GRADIENTS, "gelu", (64,)),
    "categorical crossentropy": Row(losses.CASES, "categorical_crossentropy", (512,)),
    "batch norm": Row(normalization.CASES, "batch_norm", (256,)),
    "batch norm backward": Row(normalization.CASES, "batch_norm_backward", (256,)),
    "adam": Row(optimizers.CASES, "adam", (2**14,)),
    "training, 20-64-1": Row(training.CASES, "20-64-1", (1,)),
}

# ---------------------------------------------------------------- measuring


def seconds(run: Run, calls: int) -> float:
    start = getattr(run, "start", None)
    if start is not None:
        start()
    begin = time.thread_time()
    for _ in range(calls):
        run()
    return (time.thread_time() - begin) / calls


def ratios(row: Row) -> list[float]:
    """Return NumPy's time over fastinit's, of rounds in which they take turns."""
    runs = [row.make("NumPy"), row.make("fastinit")]
    calls = []
    for run in runs:
        seconds(run, 1)  # compiles, and touches the pages
        once = seconds(run, 1)
        calls.append(1 if hasattr(run, "start") else max(1, round(SAMPLE / once)))
    rounds = [[seconds(run, n) for run, n in zip(runs, calls, strict=True)] for _ in range(ROUNDS)]
    return [theirs / ours for theirs, ours in rounds]


# ---------------------------------------------------------------- deciding


class Verdict(NamedTuple):
    name: str
    figure: float
    floor: float

    @property
    def passes(self) -> bool:
        return self.figure >= self.floor


def judge(name: str, floor: float, measure: Callable[[], list[float]]) -> Verdict:
    """Measure a row until it passes, at most `ATTEMPTS` times; all ratios count together."""
    found: list[float] = []
    for _ in range(ATTEMPTS):
        found += measure()
        verdict = Verdict(name, statistics.median(found), floor)
        if verdict.passes:
            break
    return verdict


def floors_of(machine: str, recorded: Mapping[str, Mapping[str, float]]) -> Mapping[str, float]:
    """Return the floors of this kind of machine, which must have all rows."""
    floors = recorded.get(machine, {})
    if absent := [name for name in ROWS if name not in floors]:
        raise SystemExit(
            f"{FLOORS.name} has no floor for {', '.join(absent)} on {machine}; on a quiet machine "
            "of this kind: python benchmarks/gate.py --record"
        )
    return floors


def machine() -> str:
    """Return the backend that draws, and the widest vectors that it and Numba can use here."""
    from llvmlite.binding import get_host_cpu_features

    from fastinit.sampling import backend

    features = get_host_cpu_features()
    wide = all(features.get(name) for name in ("avx512f", "avx512dq", "avx512bw", "avx512vl"))
    simd = "avx512" if wide else "avx2" if features.get("avx2") else platform.machine()
    return f"{backend.name()}, {simd}"


# ---------------------------------------------------------------- what is printed and written


def check(names: list[str], floors: Mapping[str, float]) -> list[Verdict]:
    """Measure and print the rows; return those that fail."""
    print(f"{'NumPy / fastinit':28}{'ratio':>8}{'floor':>8}")
    failed = []
    for name in names:
        verdict = judge(name, floors[name], partial(ratios, ROWS[name]))
        word = "" if verdict.passes else "  SLOWER"
        print(f"{name:28}{verdict.figure:8.2f}{verdict.floor:8.2f}{word}", flush=True)
        failed += [] if verdict.passes else [verdict]
    return failed


def record(names: list[str], kind: str, recorded: dict[str, dict[str, float]]) -> None:
    """Write `ROOM` times the median of some measurements as the floors of this kind of machine."""
    floors = recorded.setdefault(kind, {})
    for name in names:
        figures = [statistics.median(ratios(ROWS[name])) for _ in range(5)]
        floors[name] = round(ROOM * statistics.median(figures), 2)
        spread = ", ".join(f"{figure:.2f}" for figure in figures)
        print(f"{name:28}{floors[name]:8.2f}   of {spread}", flush=True)
    FLOORS.write_text(json.dumps(recorded, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="PATTERN", help="rows that match")
    parser.add_argument("--record", action="store_true", help=f"write {FLOORS.name}")
    options = parser.parse_args()
    names = [name for name in ROWS if re.search(options.only, name)]
    kind, recorded = machine(), json.loads(FLOORS.read_text()) if FLOORS.exists() else {}
    begin = time.perf_counter()
    print(f"{kind}, one thread")
    if options.record:
        record(names, kind, recorded)
        return
    failed = check(names, floors_of(kind, recorded))
    print(f"{len(names)} rows in {time.perf_counter() - begin:.0f} s")
    for name, figure, floor in failed:
        print(f"{name}: {figure:.2f} times as fast as NumPy, and must be {floor:.2f}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
