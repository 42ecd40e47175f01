"""What initializing a large model costs on many machines, from figures measured on one.

    python benchmarks/scaling.py                      # evaluates the recorded figures
    python benchmarks/scaling.py --model config.json --hosts 1,16,4096 --cut columns
    python benchmarks/scaling.py --cores 64 --bandwidth 200 --copy 25
    python benchmarks/scaling.py --measure NAME       # measures this machine, records it as NAME

A rank makes its own part of each parameter and asks nobody, so a host's time is

    start + tensors * overhead + elements / rate + bytes / copy

with the elements and the bytes of its own part. The rate is measured with all threads and into
fresh memory, as an initialization has it, and is smaller for runs as short as the cut leaves them.
`--cores` takes it to grow with the cores up to the memory's `--bandwidth`; `--copy` is what goes on
to an accelerator (both GB/s): these are assumptions, and no figures of this library.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

import fastinit
from fastinit.bench import machine
from fastinit.bench.contests import measure
from fastinit.checkpoints import describe
from fastinit.sampling import Normal, fill, threads

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).with_suffix(".json")
MODEL = Path(__file__).with_name("llama_70b.json")
HOSTS = (1, 8, 512)
CORES, BANDWIDTH = 64, 200e9  # of a host as large models have, bytes a second
Shapes: TypeAlias = "Mapping[str, tuple[int, ...]]"
Figures: TypeAlias = "dict[str, Any]"
Results: TypeAlias = "dict[str, Figures]"

ELEMENTS = 2**27  # far beyond the caches
RUNS = [2**i for i in range(4, 15)]  # lengths of consecutive elements
DTYPES = {"bfloat16": (np.uint16, 2), "float32": (np.float32, 4)}


# ---------------------------------------------------------------- one machine, measured


def measured(rounds: int) -> Figures:
    """Return the figures of this machine that the model takes."""
    return {
        "processor": machine.processor(),
        "rates": {dtype: speeds_of(dtype, rounds) for dtype in DTYPES},
        "bandwidth": bandwidth(rounds),
        "runs": run_rates(rounds),
        "tensor": tensor_overhead(rounds),
        "start": start_of_a_process(rounds),
    }


def thread_counts() -> list[int]:
    most = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return sorted({min(2**i, most) for i in range(11)})


def seconds(call: Callable[[], Any], rounds: int) -> float:
    return statistics.median(measure({"call": call}, rounds)["call"])


def speeds_of(dtype: str, rounds: int) -> dict[str, float]:
    """Elements a second of a normal draw into fresh memory, by the number of threads."""
    kind, _ = DTYPES[dtype]

    def draw() -> None:
        fill(np.empty(ELEMENTS, kind), Normal(0.0, 0.02), 1, dtype=dtype)

    found = {}
    for count in thread_counts():
        fastinit.set_num_threads(count)
        found[str(count)] = ELEMENTS / seconds(draw, rounds)
    return found


def bandwidth(rounds: int) -> dict[str, float]:
    """Bytes a second of nothing but writing into fresh memory, by the number of threads."""
    found = {}
    for count in thread_counts():
        fastinit.set_num_threads(count)

        def write(count: int = count) -> None:
            slices = np.array_split(np.empty(ELEMENTS, np.float32), count)
            threads.run(lambda i: slices[i].fill(1.0), count)

        found[str(count)] = 4 * ELEMENTS / seconds(write, rounds)
    return found


def run_rates(rounds: int) -> dict[str, float]:
    """Elements a second on one thread, bfloat16, where a part is runs of so many elements."""
    fastinit.set_num_threads(1)
    out = np.zeros(2**22, np.uint16)

    def draw(length: int) -> None:  # the second of eight columns
        rows = out.reshape(-1, length)
        fill(rows, Normal(0.0, 0.02), 1, length, (8 * length, 1), dtype="bfloat16")

    times = measure({str(length): partial(draw, length) for length in RUNS}, rounds)
    return {length: out.size / statistics.median(samples) for length, samples in times.items()}


def tensor_overhead(rounds: int) -> float:
    """Seconds a tensor beside its elements."""
    shapes = {f"model.layers.{i}.weight": (16,) for i in range(1000)}
    return seconds(partial(fastinit.initialize, shapes, "normal", 0), rounds) / len(shapes)


def start_of_a_process(rounds: int) -> float:
    """Seconds from starting Python to the first weights, without what Python itself takes."""

    def process(code: str) -> float:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)
        return time.perf_counter() - begin

    first = "import fastinit; fastinit.normal((64, 64), 0.0, 0.02, seed=0)"
    return min(process(first) for _ in range(rounds)) - min(process("") for _ in range(rounds))


# ---------------------------------------------------------------- many machines, on paper


class Cost(NamedTuple):
    """What one host does, of which all start together: seconds a term."""

    hosts: int
    bytes: float
    start: float
    tensors: float
    draw: float
    copy: float

    @property
    def total(self) -> float:
        return self.start + self.tensors + self.draw + self.copy


def part(shape: tuple[int, ...], hosts: int, cut: str) -> tuple[int, int]:
    """Return how many elements the first host holds of a tensor, and how many in a run.

    Where hosts do not divide a size, the first has the most.
    """
    size = math.prod(shape)
    if cut == "columns" and len(shape) > 1:
        columns = -(-shape[-1] // hosts)
        return size // shape[-1] * columns, columns
    elements = -(-shape[0] // hosts) * (size // shape[0])
    return elements, elements


class Host(NamedTuple):
    """A machine: elements a second by dtype, how much of it short runs keep, and seconds."""

    rates: dict[str, float]
    runs: dict[int, float]
    tensor: float
    start: float
    copy: float = math.inf


def measured_host(figures: Figures) -> Host:
    """Return the machine as it was measured, with all its threads."""
    rates = {name: speeds[max(speeds, key=int)] for name, speeds in figures["rates"].items()}
    longest = figures["runs"][max(figures["runs"], key=int)]
    runs = {int(length): speed / longest for length, speed in figures["runs"].items()}
    return Host(rates, runs, figures["tensor"], figures["start"])


def larger(figures: Figures, cores: int, bandwidth: float, copy: float = math.inf) -> Host:
    """Return a host of so many such cores, whose memory takes so many bytes a second."""
    host = measured_host(figures)
    measured_cores = max(map(int, figures["bandwidth"]))
    rates = {
        name: min(rate * cores / measured_cores, bandwidth / DTYPES[name][1])
        for name, rate in host.rates.items()
    }
    return host._replace(rates=rates, copy=copy)


def cost(host: Host, shapes: Shapes, hosts: int, cut: str, dtype: str) -> Cost:
    """Return what each of so many hosts takes for its part of a model."""
    elements, draw = 0, 0.0
    for shape in shapes.values():
        own, run = part(shape, hosts, cut)
        nearest = max((length for length in host.runs if length <= run), default=min(host.runs))
        elements += own
        draw += own / (host.rates[dtype] * host.runs[nearest])
    size = elements * DTYPES[dtype][1]
    return Cost(hosts, size, host.start, len(shapes) * host.tensor, draw, size / host.copy)


# ---------------------------------------------------------------- tables


def rates(results: Results) -> str:
    """Return the table of the rates that were measured."""
    lines = ["| threads | bfloat16 normal | float32 normal | writing alone |", "|---|---|---|---|"]
    for name, figures in results.items():
        lines.append(f"| **{name}** | | | |")
        for count, speed in figures["bandwidth"].items():
            drawn = [
                f"{speeds[count] / 1e9:.2f} G, {speeds[count] * DTYPES[dtype][1] / 1e9:.1f} GB"
                for dtype, speeds in figures["rates"].items()
            ]
            lines.append(f"| {count} | {' | '.join(drawn)} | {speed / 1e9:.1f} GB |")
    lines.append("")
    lines += [f"{name}: {figures['processor']}." for name, figures in results.items()]
    return "\n".join(lines) + "\n"


def hosts(results: Results) -> str:
    """Return the table of what `MODEL` costs on `HOSTS` hosts, as measured and as assumed."""
    shapes, columns = describe(MODEL).shapes, {}
    for name, figures in results.items():
        columns[name] = measured_host(figures)
        host = f"{CORES} cores as of {name}, {BANDWIDTH / 1e9:.0f} GB/s (assumed)"
        columns[host] = larger(figures, CORES, BANDWIDTH)
    lines = [
        f"| hosts | bytes a host | messages | {' | '.join(columns)} |",
        "|---" * (3 + len(columns)) + "|",
    ]
    for number in HOSTS:
        costs = [cost(host, shapes, number, "rows", "bfloat16") for host in columns.values()]
        cells = [f"{number}", f"{costs[0].bytes / 1e9:.2f} GB", "0", *map(spoken, costs)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def spoken(cost: Cost) -> str:
    """Return a host's seconds, and the largest of what they go to."""
    terms = {name: getattr(cost, name) for name in ("start", "tensors", "draw", "copy")}
    largest = max(terms, key=lambda name: terms[name])
    return f"{cost.total:.2f} s ({largest} {terms[largest] / cost.total:.0%})"


def runs(results: Results) -> str:
    """Return the table of what short runs keep of the rate."""
    by_name = {name: measured_host(figures).runs for name, figures in results.items()}
    lengths = list(next(iter(by_name.values())))
    lines = [f"| run | {' | '.join(map(str, lengths))} |", "|---" * (1 + len(lengths)) + "|"]
    for name, kept in by_name.items():
        lines.append(f"| {name} | {' | '.join(f'{share:.0%}' for share in kept.values())} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--measure", metavar="NAME", help="measure this machine, and record it")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE", help="the record")
    parser.add_argument("--model", type=Path, default=MODEL, help="what `describe` reads")
    parser.add_argument("--hosts", type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--cut", choices=["rows", "columns"], default="rows")
    parser.add_argument("--dtype", choices=list(DTYPES), default="bfloat16")
    parser.add_argument("--cores", type=int, help="of a larger host (assumed)")
    parser.add_argument("--bandwidth", type=float, default=math.inf, help="its memory's, GB/s")
    parser.add_argument("--copy", type=float, default=math.inf, help="to its accelerators, GB/s")
    options = parser.parse_args()
    results = json.loads(options.json.read_text()) if options.json.exists() else {}
    if options.measure:
        results[options.measure] = measured(options.rounds)
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    if not results:
        parser.error(f"{options.json} holds no machine; --measure NAME records this one")
    shapes = describe(options.model).shapes
    terms = "".join(f"{term:>8}" for term in ("start", "tensors", "draw", "copy", "sum, s"))
    print(f"{'':22}{'hosts':>7}{'GB each':>9}{terms}")
    for name, figures in results.items():
        host = measured_host(figures)._replace(copy=options.copy * 1e9)
        if options.cores:
            host = larger(figures, options.cores, options.bandwidth * 1e9, options.copy * 1e9)
        for number in options.hosts or HOSTS:
            row = cost(host, shapes, number, options.cut, options.dtype)
            print(
                f"{name:22}{number:7}{row.bytes / 1e9:9.2f}{row.start:8.2f}{row.tensors:8.3f}"
                f"{row.draw:8.2f}{row.copy:8.2f}{row.total:8.2f}"
            )


if __name__ == "__main__":
    main()
