"""Every speed target of training, measured against PyTorch, NumPy, JAX and Keras.

    python benchmarks/training.py [--jobs 1,2,4] [--rounds N] [--quick] [--json FILE] [--record]

A sample is one `fit` of all epochs, shuffling included, from the same initial weights; nothing is
compiled in it. The jobs:

    1  20-64-1, batch 32, 1000 rows, 10 epochs: two clusters of points
    2  64-128-128-10, batch 64, 1792 of scikit-learn's digits, 10 epochs
    3  64-(30 layers of 64)-10, the same
    4  784-512-512-10, batch 128, 6400 rows: ten clusters; beside the rate of np.dot
    5  200 networks 64-64-64-10 on the digits, batch 32, 10 epochs: two workers beside one
    6  LSTM over a sequence of 64, width 64, batch 32: a training step
    7  the forward pass of a dense layer with bias and gelu, 256 x 1024 x 1024

--record measures every job at full length and records it in benchmarks/training.json, which
benchmarks/pages.py makes a table of.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from peers import Contestant, Problem, all_of, compiled, installed, trained
from targets import (
    Contest,
    Target,
    check,
    checks_of,
    faster,
    measure,
    print_checks,
    within,
)
from threadpoolctl import threadpool_limits

import fastinit
from fastinit.bench.machine import processor, versions
from fastinit.bench.table import short
from fastinit.kernels import GELU, dense_forward

THREADS = 2
RESULTS = Path(__file__).parent / "training.json"
PACKAGES = ("torch", "keras", "jax", "numpy", "numba")
DIGITS = 1792  # rows, a multiple of both batch sizes


class Job(NamedTuple):
    """A row of the table; `contestants(quick)` come with fastinit's first."""

    name: str
    contestants: Callable[[bool], dict[str, Contestant]]
    targets: tuple[Target, ...]
    steps: int = 1  # what a time is divided by
    flops: int = 0  # of the matrix products
    share: float = 0.0  # of the rate of np.dot that they must reach
    repeats: int = 1
    rounds: int = 9  # at most


# ---------------------------------------------------------------- the jobs

RECIPE = {
    "lstm_0.kernel": "glorot_uniform",
    "lstm_0.recurrent_kernel": "orthogonal",
    "lstm_0.bias": "lstm_forget_bias",
    "*.kernel": "he_normal",
    "*.bias": "zeros",
}


def drawn(shapes: dict[str, tuple[int, ...]]) -> list[np.ndarray]:
    """Return the parameters that a network of the seed 0 begins with."""
    return list(fastinit.initialize(shapes, RECIPE, 0).values())


def dense(sizes: list[int]) -> list[np.ndarray]:
    shapes: dict[str, tuple[int, ...]] = {}
    for i, (inputs, units) in enumerate(pairwise(sizes)):
        shapes |= {f"dense_{i}.kernel": (inputs, units), f"dense_{i}.bias": (units,)}
    return drawn(shapes)


def clusters(shape: tuple[int, ...], classes: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Return normal draws around a centre a class, and the classes."""
    y = np.arange(shape[0]) % classes
    centres = fastinit.normal((classes, shape[-1]), 0.0, spread, seed=1)
    x = fastinit.normal(shape, 0.0, 1.0, seed=2)
    x += centres[y].reshape(shape[0], *[1] * (len(shape) - 2), shape[-1])
    return x, y[:, np.newaxis].astype(np.float32) if classes == 2 else y


def digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    data = load_digits()
    return (data.data[:DIGITS] / 16).astype(np.float32), data.target[:DIGITS]


def small(quick: bool) -> dict[str, Contestant]:
    return all_of(Problem(*clusters((1000, 20), 2, 0.6), dense([20, 64, 1]), 32, 10))


def on_digits(sizes: list[int], quick: bool) -> dict[str, Contestant]:
    return all_of(Problem(*digits(), dense(sizes), 64, 10))


def large(quick: bool) -> dict[str, Contestant]:
    data = clusters((6400, 784), 10, 0.2)
    return all_of(Problem(*data, dense([784, 512, 512, 10]), 128, 1))


def lstm(quick: bool) -> dict[str, Contestant]:
    parameters = drawn(
        {
            "lstm_0.kernel": (64, 4 * 64),
            "lstm_0.recurrent_kernel": (64, 4 * 64),
            "lstm_0.bias": (4 * 64,),
            "dense_1.kernel": (64, 10),
            "dense_1.bias": (10,),
        }
    )
    return all_of(Problem(*clusters((320, 64, 64), 10, 1.0), parameters, 32, 3))


def side_by_side(quick: bool) -> dict[str, Contestant]:
    """Return two workers, and one; each network is built and trained on one thread."""
    problem = Problem(*digits(), dense([64, 64, 64, 10]), 32, 10)
    networks = 20 if quick else 200

    def train(seed: int) -> float:
        return trained(compiled(problem, seed), problem)

    def fit(workers: int) -> float:
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(workers) as pool:
            return sum(pool.map(train, range(networks))) / networks

    def start() -> None:
        fastinit.set_num_threads(1)

    return {
        "fastinit, 2 workers": Contestant(start, lambda: fit(2)),
        "fastinit, 1 worker": Contestant(start, lambda: fit(1)),
    }


def forward(quick: bool) -> dict[str, Contestant]:
    x = fastinit.normal((256, 1024), 0.0, 1.0, seed=0)
    kernel = fastinit.he_normal((1024, 1024), seed=1)
    bias = fastinit.normal(1024, 0.0, 0.1, seed=2)

    def ours() -> Contestant:
        out = np.empty_like(x)

        def fused() -> np.ndarray:
            dense_forward(x, kernel, bias, out, GELU)
            return out

        return Contestant(lambda: fastinit.set_num_threads(THREADS), fused)

    def pytorch() -> Contestant:
        import torch
        from torch.nn.functional import gelu, linear

        tensors = [torch.from_numpy(a) for a in (x, kernel.T.copy(), bias)]
        eager = torch.inference_mode()(lambda: gelu(linear(*tensors)))
        return Contestant(lambda: torch.set_num_threads(THREADS), eager)

    def jax_jit() -> Contestant:
        import jax

        arrays = [jax.numpy.asarray(a) for a in (x, kernel, bias)]
        jitted = jax.jit(lambda x, kernel, bias: jax.nn.gelu(x @ kernel + bias, approximate=False))
        return Contestant(lambda: None, lambda: jitted(*arrays).block_until_ready())

    makers = {"fastinit": ours, "PyTorch": pytorch, "JAX": jax_jit}
    return installed(makers)


def flops(sizes: list[int], rows: int) -> int:
    """Return the operations of the products: the first layer's input needs no gradient."""
    products = [a * b for a, b in pairwise(sizes)]
    return 2 * rows * (3 * sum(products) - products[0])


DEEP, LSTM_STEPS = [64] * 31 + [10], 30
JOBS = {
    1: Job(
        "20-64-1, batch 32",
        small,
        (faster("Keras", 25), faster("PyTorch", 30), faster("NumPy", 8), faster("JAX", 1.7)),
        flops=flops([20, 64, 1], 10 * 1000),
        repeats=5,
    ),
    2: Job(
        "64-128-128-10, batch 64",
        partial(on_digits, [64, 128, 128, 10]),
        (faster("PyTorch", 20), faster("NumPy", 5), faster("JAX", 1.3)),
        flops=flops([64, 128, 128, 10], 10 * DIGITS),
    ),
    3: Job(
        "64-(30 layers of 64)-10",
        partial(on_digits, DEEP),
        (faster("PyTorch", 4), faster("NumPy", 2), faster("JAX", 1.3)),
        flops=flops(DEEP, 10 * DIGITS),
        rounds=5,
    ),
    4: Job(
        "784-512-512-10, batch 128",
        large,
        tuple(faster(peer, 1.2) for peer in ("PyTorch", "JAX", "Keras", "tuned Keras", "NumPy")),
        flops=flops([784, 512, 512, 10], 6400),
        share=0.55,
    ),
    5: Job(
        "200 networks 64-64-64-10", side_by_side, (faster("fastinit, 1 worker", 1.9),), rounds=3
    ),
    6: Job("LSTM, training step", lstm, (faster("PyTorch", 1.5),), LSTM_STEPS),
    7: Job(
        "dense forward, bias and gelu",
        forward,
        (within("PyTorch", 1.0),),
        flops=2 * 256 * 1024 * 1024,
        repeats=20,
    ),
}

# ---------------------------------------------------------------- what is measured and printed


def product_rate() -> float:
    """Return the GFLOP/s of NumPy's float32 matrix product, the best of several."""
    a, b = (fastinit.normal((2048, 2048), 0.0, 1.0, seed=seed) for seed in (0, 1))
    out, best = np.empty_like(a), math.inf
    for _ in range(8):
        start = time.perf_counter()
        np.dot(a, b, out=out)
        best = min(best, time.perf_counter() - start)
    return 2 * 2048**3 / best / 1e9


def run_job(job: Job, options: argparse.Namespace) -> dict[str, Any] | None:
    """Measure a job and print its table, if anyone takes part."""
    contestants = {
        name: contestant
        for name, contestant in job.contestants(options.quick).items()
        if re.search(options.contestants, name)
    }
    if not contestants:
        return None
    contest = Contest(job.name, lambda _: {**contestants}, job.targets, job.steps, job.repeats)
    rates = [product_rate()]
    ns = measure(contest, job.steps, min(2 if options.quick else options.rounds, job.rounds))
    rates.append(product_rate())
    row = {"row": job.name, "ns": ns, "product_rate": max(rates)}
    row["results"] = {name: result_of(contestant) for name, contestant in contestants.items()}
    row["gflops"] = {name: job.flops / t for name, t in ns.items() if job.flops}
    columns = f"{'GFLOP/s':>9}{f'of {max(rates):.0f}':>9}" if job.flops else ""
    print(f"\n{job.name:33}{'ms':>10}{'ratio':>8}{'result':>9}{columns}")
    first = next(iter(ns.values()))
    for name, t in ns.items():
        gflops = row["gflops"].get(name)
        columns = f"{gflops:9.1f}{gflops / max(rates):9.0%}" if gflops else ""
        figures = f"{t / 1e6:10.3f}{t / first:7.2f}x{row['results'][name]:9.4f}"
        print(f"  {name:31}{figures}{columns}", flush=True)
    return row


def result_of(contestant: Contestant) -> float:
    """Return the loss, or of an array its mean magnitude."""
    return float(np.abs(np.asarray(contestant.result)).mean())


def checks_of_job(job: Job, row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what became of the job's targets, and whether all have learnt the same."""
    contest, checks = Contest(job.name, lambda _: {}, job.targets), []
    if next(iter(row["ns"])).startswith("fastinit"):
        checks = checks_of(contest, row["ns"])
    if checks and job.share:
        share = row["gflops"]["fastinit"] / row["product_rate"]
        checks.append(check(f"{job.name} / rate of np.dot", "at least", job.share, "", share))
    # Nobody may be fast by learning less; the orders of the examples differ.
    results = row["results"].values()
    what = f"{job.name} / largest result"
    return [*checks, check(what, "at most", 3, "x", max(results) / min(results))]


PEERS = ("PyTorch", "NumPy", "JAX", "Keras", "tuned Keras")


def table(results: dict[str, Any]) -> str:
    """Return the table of the results."""
    names = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    lines = [
        f"{results['threads']} threads, {results['processor']}; {names}. Milliseconds a training, "
        "step or call: the faster of one thread and two, medians of one interleaved run. In "
        "parentheses how many times fastinit's time it is.\n",
        f"| what | fastinit | {' | '.join(PEERS)} |",
        "|---" * (len(PEERS) + 2) + "|",
    ]
    for row in results["rows"]:
        ms = {name: t / 1e6 for name, t in row["ns"].items()}
        ours = min(t for name, t in ms.items() if name.startswith("fastinit"))
        cells = [row["row"], short(ours)]
        for peer in PEERS:
            times = [t for name, t in ms.items() if name.startswith(peer)]
            cells.append(f"{short(min(times))} ({min(times) / ours:.1f}x)" if times else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def job_numbers(text: str) -> list[int]:
    numbers = [int(number) for number in text.split(",")]
    if unknown := set(numbers) - set(JOBS):
        raise argparse.ArgumentTypeError(f"there is no job {min(unknown)}")
    return numbers


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=job_numbers, default=list(JOBS), metavar="1,2,4")
    parser.add_argument("--contestants", default="", metavar="PATTERN", help="those that match")
    parser.add_argument("--rounds", type=int, default=9, help="samples a contestant, at most")
    parser.add_argument("--quick", action="store_true", help="two rounds, and 20 networks for 200")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    parser.add_argument("--record", action="store_true", help=f"write them to {RESULTS.name}")
    options = parser.parse_args()
    if options.record and (options.quick or options.contestants or options.jobs != list(JOBS)):
        parser.error("--record needs every job at full length")
    # For JAX and Keras, which are not imported yet.
    os.environ |= {"NPROC": str(THREADS), "JAX_PLATFORMS": "cpu", "KERAS_BACKEND": "jax"}
    threadpool_limits(THREADS, "blas")

    rows, checks = [], []
    for job in map(JOBS.__getitem__, options.jobs):
        row = run_job(job, options)
        if row is not None:
            rows.append(row)
            checks += checks_of_job(job, row)
    print_checks(checks)
    results = {
        "rows": rows,
        "checks": checks,
        "threads": THREADS,
        "processor": processor(),
        "versions": versions(PACKAGES),
    }
    for file in [options.json, RESULTS if options.record else None]:
        if file is not None:
            file.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
