"""The speed targets of the lab: the tutorial comparison, the phase diagram, a large sweep.

    python benchmarks/lab.py [--tutorial] [--phase] [--sweep [N]] [--keras N] [--jobs N]

Without a choice all three are measured, one after another:

    tutorial  7 initializers x 3 activations x 5 seeds of 64-64-64-10 on the digits, 10 epochs;
              beside Keras on JAX, one `fit` for each training: the median of N of them but
              the first, times 105
    phase     the phase diagram of tanh, 50 x 50 places, width 256, depth 50, measured
    sweep     N trainings (by default 10,000) into a file: the memory of all processes, and how busy
              they keep the cores
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from targets import check, print_checks

import fastinit
from fastinit import lab
from fastinit.bench.machine import processor
from fastinit.lab.plan import make_plan
from fastinit.lab.runs import train

TUTORIAL: dict[str, Any] = {
    "hidden": (64, 64),
    "epochs": 10,
    "batch_size": 32,
    "learning_rate": 0.01,
}

KERAS = """
import os, sys, time
os.environ["KERAS_BACKEND"] = "jax"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
from fastinit.lab import load_data

data = load_data("digits")
random = keras.initializers
kinds = ["zeros", random.Constant(0.1), random.RandomNormal(stddev=0.01),
         random.RandomNormal(stddev=1.0), "random_uniform", "glorot_uniform", "he_normal"]
places = [(a, k) for k in kinds[::-1] for a in ("relu", "tanh", "sigmoid")]
for activation, kind in places[: int(sys.argv[1])]:
    begin = time.perf_counter()
    dense = [keras.layers.Dense(64, activation, kernel_initializer=kind) for _ in range(2)]
    model = keras.Sequential([keras.Input((64,)), *dense,
                              keras.layers.Dense(10, kernel_initializer=kind)])
    model.compile(keras.optimizers.SGD(0.01),
                  keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                  metrics=["accuracy"])
    model.fit(data.x_train, data.y_train, epochs=10, batch_size=32, verbose=0,
              validation_data=(data.x_test, data.y_test))
    print(time.perf_counter() - begin, flush=True)
"""


def tutorial(trainings: int, jobs: int | None) -> list[dict[str, Any]]:
    seconds = []
    for turn in range(4):
        begin = time.perf_counter()
        found = lab.compare(**TUTORIAL, seeds=5, jobs=jobs)
        seconds.append(time.perf_counter() - begin)
        print(f"tutorial: {len(found.runs)} trainings in {seconds[-1]:.2f} s", end="")
        print("; starts the processes" if turn == 0 else "")
    ours = statistics.median(seconds[1:])
    checks = [check("tutorial, warm", "at most", 15, " s", ours)]
    if trainings:
        command = [sys.executable, "-c", KERAS, str(trainings)]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        first, *rest = map(float, lines)
        counted = rest or [first]  # the first one also starts JAX
        theirs = len(found.runs) * statistics.median(counted)
        print(f"Keras: a training in {statistics.median(counted):.2f} s (median of {len(counted)})")
        checks.append(check("tutorial / Keras on JAX", "at least", 40, "x", theirs / ours))
    return checks


def phase() -> list[dict[str, Any]]:
    lab.phase_diagram("tanh", points=3, depth=5, width=64)  # compiles
    begin = time.perf_counter()
    lab.phase_diagram("tanh", points=50, depth=50, width=256)
    seconds = time.perf_counter() - begin
    return [check("phase diagram, 50 x 50", "at most", 20, " s", seconds)]


class Watch(threading.Thread):
    """Samples the memory and the processor time of this process and its children."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.resident = 0
        self.seconds: dict[int, float] = {}
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(1.0):
            resident = 0
            this = psutil.Process()
            for process in (this, *this.children(recursive=True)):
                try:
                    memory, times = process.memory_info(), process.cpu_times()
                except psutil.Error:
                    continue
                resident += memory.rss
                self.seconds[process.pid] = times.user + times.system
            self.resident = max(self.resident, resident)


def sweep(count: int, jobs: int | None) -> list[dict[str, Any]]:
    options = TUTORIAL | {"activations": ["relu"], "seeds": -(-count // 7)}
    plan = make_plan(**options)
    share = one_training(plan)
    cores = jobs or len(os.sched_getaffinity(0))
    watch = Watch()
    watch.start()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "runs.jsonl")
        begin = time.perf_counter()
        found = lab.compare(**options, runs=path, jobs=jobs)
        seconds = time.perf_counter() - begin
        records = len(found.records)
        size = path.stat().st_size
    watch.ended.set()
    watch.join()
    trainings = len(found.runs)
    workers = sum(cpu for pid, cpu in watch.seconds.items() if pid != os.getpid())
    print(
        f"sweep: {trainings} trainings in {seconds:.1f} s, {records} records, {size / 1e6:.0f} MB\n"
        f"  memory of all processes: {watch.resident / 2**20:.0f} MiB resident\n"
        f"  processor time of the workers: {workers:.1f} s, {workers / seconds / cores:.1%} of "
        f"{cores} cores; of this process: {watch.seconds[os.getpid()]:.1f} s\n"
        f"  a training alone: {share * 1e3:.1f} ms of processor time; "
        f"{share * trainings / workers:.1%} of what the workers used"
    )
    return [
        check("memory of a sweep", "at most", 1, " GiB", watch.resident / 2**30),
        check("cores busy training", "at least", 0.95, "", workers / seconds / cores),
    ]


def one_training(plan: lab.Plan) -> float:
    """Return the processor seconds of a training on one thread, where nothing else is done."""
    fastinit.set_num_threads(1)
    tasks = [plan.tasks[i] for i in np.linspace(0, len(plan.tasks) - 1, 70).astype(int)]
    train(tasks[0], plan.data, plan.training)
    begin = time.process_time()
    for task in tasks:
        train(task, plan.data, plan.training)
    return (time.process_time() - begin) / len(tasks)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tutorial", action="store_true")
    parser.add_argument("--phase", action="store_true")
    parser.add_argument("--sweep", type=int, nargs="?", const=10_000, metavar="N")
    parser.add_argument("--keras", type=int, default=7, metavar="N", help="0 leaves it out")
    parser.add_argument("--jobs", type=int, metavar="N")
    chosen = parser.parse_args()
    everything = not (chosen.tutorial or chosen.phase or chosen.sweep)
    print(processor())
    checks: list[dict[str, Any]] = []
    if chosen.tutorial or everything:
        checks += tutorial(chosen.keras, chosen.jobs)
    if chosen.phase or everything:
        checks += phase()
    if chosen.sweep or everything:
        checks += sweep(chosen.sweep or 10_000, chosen.jobs)
    print_checks(checks)


if __name__ == "__main__":
    main()
