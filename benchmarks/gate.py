"""The gate: no kernel may become slower beside its NumPy twin than `gate.json` allows.

    python benchmarks/gate.py [--only PATTERN] [--record]

A row's figure is NumPy's time over fastinit's, on one thread and on data that stays in the cache.
The times are the processor's, so that other programs do not count, and the two take turns in this
process, so that what slows down the processor slows down both; the figure is the median of the
ratios of neighbours. A row below its floor is measured again, up to `ATTEMPTS` times with a pause
before each, since noise comes in bursts; it fails if all of it together is below.

A floor is `ROOM` times the recorded figure: a kernel that is twice as slow fails, and one that is
a third slower does not. Figures belong to a backend and the vectors it finds, since wide ones make
fastinit faster than NumPy. With another processor, NumPy or BLAS, floors are `ELSEWHERE` times the
recorded figures, or the lowest of all where these vectors have none: no machine fails for being
another one.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
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

RECORDED = Path(__file__).parent / "gate.json"
ROOM, ELSEWHERE = 0.62, 0.4
ATTEMPTS = 5
PAUSE = 4.0  # seconds
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
    return Row(sampling.CASES, law, (dtype, {"float32": 2**16, "float64": 2**14}[dtype], 1))


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


def floors_of(kind: str, place: str, recorded: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return the floors for a backend with its vectors at a place, see the top."""
    own = recorded.get(kind, {"on": None})
    room = ROOM if own["on"] == place else ELSEWHERE
    known = [own] if own["on"] else recorded.values()
    return {name: room * min(one["ratios"][name] for one in known) for name in ROWS}


def kind_of_machine() -> str:
    """Return the backend that draws, and the widest vectors that it and Numba can use here."""
    from llvmlite.binding import get_host_cpu_features

    from fastinit.sampling import backend

    features = get_host_cpu_features()
    wide = all(features.get(name) for name in ("avx512f", "avx512dq", "avx512bw", "avx512vl"))
    simd = "avx512" if wide else "avx2" if features.get("avx2") else platform.machine()
    return f"{backend.name()}, {simd}"


def place_of_machine() -> str:
    """Return what else ratios depend on: the processor, NumPy, and the BLAS it was built with."""
    from fastinit.bench.machine import processor

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]
    version = ".".join(np.__version__.split(".")[:2])
    return f"{processor().rpartition(', ')[0]}; NumPy {version} with {blas}"


# ---------------------------------------------------------------- what is printed and written


def check(names: list[str], floors: Mapping[str, float]) -> dict[str, float]:
    """Measure and print the rows; return the figures of those that fail."""
    print(f"{'NumPy / fastinit':28}{'ratio':>8}{'floor':>8}")
    found: dict[str, list[float]] = {name: [] for name in names}
    below = dict.fromkeys(names, 0.0)
    for attempt in range(ATTEMPTS):
        if attempt and below:
            time.sleep(PAUSE)
        for name in list(below):
            found[name] += ratios(ROWS[name])
            below[name] = statistics.median(found[name])
            line = f"{name:28}{below[name]:8.2f}{floors[name]:8.2f}"
            if below[name] >= floors[name]:
                del below[name]
            else:
                line += "  SLOWER" if attempt == ATTEMPTS - 1 else "  again"
            print(line, flush=True)
    return below


ADVICE = """
Each computes what its NumPy twin does, see benchmarks/cases. Measure one again, or find the commit:

    python benchmarks/gate.py --only 'NAME'
    cd benchmarks && asv continuous GOOD BAD --bench PATTERN

If it had to become slower, or NumPy has become faster, record the ratio anew on a quiet machine:

    python benchmarks/gate.py --record --only 'NAME'"""


def record(names: list[str], kind: str, place: str, recorded: dict[str, Any]) -> None:
    """Write the median of some measurements as the ratios of this machine."""
    own = recorded.get(kind, {"on": None})
    if own["on"] != place and names != list(ROWS):
        raise SystemExit(f"--only: the other rows were recorded on {own['on']}, not on {place}")
    found = own.get("ratios", {})
    for name in names:
        figures = [statistics.median(ratios(ROWS[name])) for _ in range(5)]
        found[name] = round(statistics.median(figures), 2)
        spread = ", ".join(f"{figure:.2f}" for figure in figures)
        print(f"{name:28}{found[name]:8.2f}   of {spread}", flush=True)
    recorded[kind] = {"on": place, "ratios": found}
    RECORDED.write_text(json.dumps(recorded, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="PATTERN", help="rows that match")
    parser.add_argument("--record", action="store_true", help=f"write {RECORDED.name}")
    options = parser.parse_args()
    names = [name for name in ROWS if re.search(options.only, name)]
    kind, place, recorded = kind_of_machine(), place_of_machine(), json.loads(RECORDED.read_text())
    begin = time.perf_counter()
    print(f"{kind}, one thread; {place}")
    if options.record:
        record(names, kind, place, recorded)
        return
    if recorded.get(kind, {"on": None})["on"] != place:
        print(f"Recorded elsewhere: a row fails below {ELSEWHERE} of the ratio, not {ROOM}.")
        print("--record writes the ratios of this machine.")
    floors = floors_of(kind, place, recorded)
    failed = check(names, floors)
    print(f"{len(names)} rows in {time.perf_counter() - begin:.0f} s")
    for name, figure in failed.items():
        print(f"{name}: {figure:.2f} times as fast as NumPy, and must be {floors[name]:.2f}")
    if failed:
        sys.exit(ADVICE)


if __name__ == "__main__":
    main()
