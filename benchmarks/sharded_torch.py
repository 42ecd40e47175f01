"""Initialization of a GPT under FSDP2, at 1, 2 and 4 ranks: fastinit beside PyTorch.

    python benchmarks/sharded_torch.py [--ranks 1 2 4] [--blocks N] [--width N] [--rounds N]
                                       [--json FILE]

The model is built and sharded on the meta device, which is not timed, and then given its values:

    fastinit  materialize(model): each rank its parts of the whole model's values
    PyTorch   to_empty and every module's reset_parameters: each rank values of its own
    whole     PyTorch's, on every rank the whole model, from one seed, of which each rank then keeps
              its shards: the usual way to the same values on any number of ranks

All ranks begin together, the last one to end counts, and the contestants take turns; the medians of
the rounds are compared. The ranks share the processor's cores.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import fastinit
from fastinit.bench.machine import processor
from fastinit.torch import materialize

WORDS, LENGTH = 50257, 1024
NAMES = ("fastinit", "PyTorch", "whole")


class Layers(nn.ModuleDict):
    """Named layers; FSDP2 wants a module that can be called."""

    def forward(self) -> None:
        """Do nothing: no model is run here."""


def block(width: int) -> Layers:
    return Layers(
        {
            "ln_1": nn.LayerNorm(width),
            "c_attn": nn.Linear(width, 3 * width),
            "attn_c_proj": nn.Linear(width, width),
            "ln_2": nn.LayerNorm(width),
            "c_fc": nn.Linear(width, 4 * width),
            "mlp_c_proj": nn.Linear(4 * width, width),
        }
    )


def gpt(blocks: int, width: int) -> Layers:
    """Return a GPT-2 on the default device; 12 blocks of width 768 have 124 million parameters."""
    return Layers(
        {
            "wte": nn.Embedding(WORDS, width),
            "wpe": nn.Embedding(LENGTH, width),
            "h": nn.ModuleList(block(width) for _ in range(blocks)),
            "ln_f": nn.LayerNorm(width),
        }
    )


def sharded(model: Any, mesh: Any) -> Any:
    """Return the model under FSDP2."""
    for one in model["h"]:
        fully_shard(one, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def contestants(blocks: int, width: int, mesh: Any) -> dict[str, Callable[[], Callable[[], Any]]]:
    """Return what prepares a round of each, and returns what is timed."""

    def empty() -> Any:
        with torch.device("meta"):
            return sharded(gpt(blocks, width), mesh)

    def ours() -> Callable[[], Any]:
        model = empty()
        return lambda: materialize(model, seed=0)

    def theirs() -> Callable[[], Any]:
        model = empty()

        def run() -> None:
            torch.manual_seed(0)
            model.to_empty(device="cpu")
            for module in model.modules():
                if hasattr(module, "reset_parameters"):
                    module.reset_parameters()

        return run

    def whole() -> Callable[[], Any]:
        def run() -> None:
            torch.manual_seed(0)
            sharded(gpt(blocks, width), mesh)

        return run

    return dict(zip(NAMES, (ours, theirs, whole), strict=True))


def measure(rank: int, ranks: int, arguments: argparse.Namespace, folder: str) -> None:
    """Time every contestant on one rank; the first writes what the slowest took."""
    cores = len(os.sched_getaffinity(0))
    fastinit.set_num_threads(max(1, cores // ranks))
    torch.set_num_threads(max(1, cores // ranks))
    warnings.filterwarnings("ignore", message="DTensor random operators")
    store = f"file://{folder}/store{ranks}"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=ranks)
    mesh = init_device_mesh("cpu", (ranks,))
    seconds: dict[str, list[float]] = {name: [] for name in NAMES}
    for number in range(arguments.rounds + 1):
        for name, prepare in contestants(arguments.blocks, arguments.width, mesh).items():
            run = prepare()
            dist.barrier()
            begin = time.perf_counter()
            run()
            took = torch.tensor(time.perf_counter() - begin, dtype=torch.float64)
            dist.all_reduce(took, dist.ReduceOp.MAX)
            del run
            if number:  # the first round warms up
                seconds[name].append(took.item())
    if rank == 0:
        Path(folder, f"{ranks}.json").write_text(json.dumps(seconds))
    dist.destroy_process_group()


def measured(ranks: int, arguments: argparse.Namespace, folder: str) -> dict[str, list[float]]:
    """Return the seconds of each contestant, measured by so many processes."""
    spawn = multiprocessing.get_context("spawn")
    processes = [
        spawn.Process(target=measure, args=(rank, ranks, arguments, folder))
        for rank in range(ranks)
    ]
    for one in processes:
        one.start()
    for one in processes:
        one.join()
    if any(one.exitcode for one in processes):
        raise SystemExit(f"{ranks} ranks: one of them failed")
    seconds: dict[str, list[float]] = json.loads(Path(folder, f"{ranks}.json").read_text())
    return seconds


def main() -> None:
    """Measure, print a table, and write what was measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="where the seconds of all rounds go")
    arguments = parser.parse_args()
    blocks, width = arguments.blocks, arguments.width
    total = (WORDS + LENGTH + 2) * width + blocks * (12 * width + 13) * width
    print(f"{total / 1e6:.0f} million parameters, float32; {processor()}")
    heads = "  ".join(f"{name:>10}" for name in NAMES)
    print(f"{'ranks':>5}  {heads}  PyTorch/ours  whole/ours", flush=True)
    found: dict[int, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for ranks in arguments.ranks:
            seconds = found[ranks] = measured(ranks, arguments, folder)
            ours, theirs, whole = (statistics.median(seconds[name]) for name in NAMES)
            cells = "  ".join(f"{value:8.3f} s" for value in (ours, theirs, whole))
            ratios = f"{theirs / ours:12.1f}  {whole / ours:10.1f}"
            print(f"{ranks:>5}  {cells}  {ratios}", flush=True)
    if arguments.json:
        about = {"processor": processor(), "parameters": total, "rounds": arguments.rounds}
        arguments.json.write_text(json.dumps({"about": about, "seconds": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
