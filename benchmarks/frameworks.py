"""Every speed target of the adapters, measured against the frameworks' own initializers.

    python benchmarks/frameworks.py [--only PATTERN] [--rounds N] [--record]

Models of real size are built whole; a sample is one construction. Keras runs once on either of its
backends, in a process of its own. --record measures everything and records it in
benchmarks/frameworks.json, which benchmarks/pages.py makes a table of.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from targets import Contest, check, faster, print_checks, run, within

import fastinit
from fastinit.bench.contests import Fills
from fastinit.bench.machine import processor, versions
from fastinit.sampling import backend

THREADS = 2
ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "frameworks.json"
PACKAGES = ("torch", "keras", "jax", "numpy")
LARGE, SMALL = (4096, 4096), (64, 20)

# ---------------------------------------------------------------- PyTorch: whole models


# name in tests/torch/models.py: what it is at full size
MODELS = {"gpt": "GPT-2 (124 M)", "vit": "ViT-B/16 (86 M)", "resnet": "ResNet-50 (26 M)"}


def constructions(name: str, elements: int) -> Fills:
    import fastinit.torch

    sys.path.insert(0, str(ROOT))
    build = importlib.import_module("tests.torch.models").FULL_SIZE[name]

    def patched() -> None:
        with fastinit.torch.patch(seed=0):
            build()

    return {
        "materialize": lambda: fastinit.torch.materialize(build, seed=0),
        "patch": patched,
        "PyTorch": build,
    }


# ---------------------------------------------------------------- PyTorch: single tensors

# name in torch.nn.init: further arguments
RANDOM: dict[str, tuple[Any, ...]] = {
    "uniform_": (),
    "normal_": (),
    "trunc_normal_": (),
    "xavier_uniform_": (),
    "xavier_normal_": (),
    "kaiming_uniform_": (),
    "kaiming_normal_": (),
    "orthogonal_": (),
    "sparse_": (0.5,),
}
FIXED: dict[str, tuple[Any, ...]] = {
    "zeros_": (),
    "ones_": (),
    "constant_": (0.5,),
    "eye_": (),
}


def on_a_tensor(name: str, shape: tuple[int, ...], arguments: tuple[Any, ...], _: int) -> Fills:
    import torch

    import fastinit.torch

    tensor = torch.empty(shape)
    return {
        "fastinit.torch": partial(getattr(fastinit.torch, name), tensor, *arguments),
        "PyTorch": partial(getattr(torch.nn.init, name), tensor, *arguments),
    }


def torch_contests() -> Iterator[Contest]:
    for name, model in MODELS.items():
        yield Contest(f"PyTorch {model}", partial(constructions, name), (), elements=1)
    for name, arguments in {**RANDOM, **FIXED}.items():
        contestants = partial(on_a_tensor, name, SMALL, arguments)
        # A call of a few microseconds is measured to within a tenth.
        yield Contest(f"PyTorch {name} {SMALL}", contestants, (within("PyTorch", 1.1),), 1280, 300)
    for name, arguments in RANDOM.items():
        least = 1.0 if name == "orthogonal_" else 4.0
        contestants = partial(on_a_tensor, name, LARGE, arguments)
        yield Contest(f"PyTorch {name} {LARGE}", contestants, (faster("PyTorch", least),), 4096**2)
    for sparsity in (0.1, 0.5, 0.9):
        contestants = partial(on_a_tensor, "sparse_", (2000, 2000), (sparsity,))
        name = f"PyTorch sparse_ (2000, 2000) {sparsity}"
        yield Contest(name, contestants, (faster("PyTorch", 20),), 2000**2)


# ---------------------------------------------------------------- Keras and JAX


def keras_fills(name: str, shape: tuple[int, ...], _: int) -> Fills:
    import keras

    import fastinit.keras

    ours, theirs = getattr(fastinit.keras, name)(seed=1), getattr(keras.initializers, name)(seed=1)
    return {
        "fastinit.keras": lambda: waited_for(ours(shape)),
        "Keras": lambda: waited_for(theirs(shape)),
    }


def jax_fills(name: str, shape: tuple[int, ...], compiled: bool, _: int) -> Fills:
    import jax

    import fastinit.jax

    key, fills = jax.random.key(0), {}
    for who, module in (("fastinit.jax", fastinit.jax), ("JAX", jax.nn.initializers)):
        init = partial(getattr(module, name)(), shape=shape, dtype="float32")
        init = jax.jit(init) if compiled else init
        fills[who] = lambda init=init: waited_for(init(key))
    return fills


def waited_for(array: Any) -> Any:
    wait = getattr(array, "block_until_ready", None)  # JAX returns before it is done
    return wait() if wait else array


def keras_contests() -> Iterator[Contest]:
    on = f"Keras on {os.environ.get('KERAS_BACKEND', 'torch')}:"
    for name in ("HeNormal", "GlorotUniform", "RandomNormal", "Orthogonal"):
        targets = {"HeNormal": (faster("Keras", 8),)}.get(name, ())
        yield Contest(f"{on} {name} {LARGE}", partial(keras_fills, name, LARGE), targets, 4096**2)
    small = partial(keras_fills, "HeNormal", SMALL)
    yield Contest(f"{on} HeNormal {SMALL}", small, (within("Keras", 1.1),), 1280, 50)


def jax_contests() -> Iterator[Contest]:
    for compiled in (False, True):
        how = "jit" if compiled else "eager"
        for name in ("uniform", "normal", "truncated_normal", "he_normal", "glorot_uniform"):
            contestants = partial(jax_fills, name, LARGE, compiled)
            targets = (faster("JAX", 8),)
            yield Contest(f"JAX {how} {name} {LARGE}", contestants, targets, 4096**2)
    orthogonal = partial(jax_fills, "orthogonal", (2048, 2048), False)
    yield Contest("JAX eager orthogonal (2048, 2048)", orthogonal, (), 2048**2)
    small = partial(jax_fills, "he_normal", SMALL, False)
    yield Contest(f"JAX eager he_normal {SMALL}", small, (within("JAX", 1.1),), 1280, 50)


# ---------------------------------------------------------------- what is printed and written


def of_models(measured: list[Any]) -> list[dict[str, Any]]:
    """Return the checks of whole models: plain construction over that with fastinit."""
    checks = []
    for row in measured:
        ns = row["ns"]
        if "materialize" in ns:
            for how, least in (("materialize", 5), ("patch", 3)):
                figure = ns["PyTorch"] / ns[how]
                checks.append(check(f"{row['row']} {how}", "at least", least, "x", figure))
    return checks


def measured_by(group: str, only: str, rounds: int, **environment: str) -> dict[str, Any]:
    """Run a group of contests in a process of its own, and return its figures."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        options = ["--group", group, "--only", only, "--rounds", str(rounds), "--json", str(file)]
        command = [sys.executable, __file__, *options]
        subprocess.run(command, check=True, env={**os.environ, **environment})
        figures: dict[str, Any] = json.loads(file.read_text())
        return figures


GROUPS = {"torch": torch_contests, "keras": keras_contests, "jax": jax_contests}


def table(results: dict[str, Any]) -> str:
    """Return the table of the page."""
    names = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    lines = [
        f"{results['threads']} threads, {results['backend']} backend, {results['processor']}; "
        f"{names}. Medians of one interleaved run.\n",
        "| what | fastinit | the framework | times as fast |",
        "|---|---|---|---|",
    ]
    for row in results["rows"]:
        *ours, (_, theirs) = row["ns"].items()
        for name, ns in ours:
            how = f" {name}" if len(ours) > 1 else ""
            cells = (readable(ns * row["elements"]), readable(theirs * row["elements"]))
            lines.append(f"| {row['row']}{how} | {' | '.join(cells)} | {theirs / ns:.1f} |")
    return "\n".join(lines) + "\n"


def readable(ns: float) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns / 1e3:.3g} us"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--only", default="", metavar="PATTERN", help="rows that match")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    parser.add_argument("--record", action="store_true", help=f"write them to {RESULTS.name}")
    parser.add_argument("--group", choices=GROUPS, help="one framework's rows, in this process")
    options = parser.parse_args()
    if options.record and (options.only or options.group):
        parser.error("--record needs every row")
    fastinit.set_num_threads(THREADS)

    if options.group:
        rows = [c for c in GROUPS[options.group]() if re.search(options.only, c.name)]
        measured, checks = run(rows, 1, options.rounds)
        sizes = {contest.name: contest.elements for contest in rows}
        measured = [{**row, "elements": sizes[row["row"]]} for row in measured]
        results = {"rows": measured, "checks": of_models(measured) + checks}
    else:
        run_group = partial(measured_by, only=options.only, rounds=options.rounds)
        parts = [
            run_group("torch"),
            run_group("keras", KERAS_BACKEND="torch"),
            run_group("keras", KERAS_BACKEND="jax"),
            run_group("jax"),
        ]
        results: dict[str, Any] = {
            name: [row for part in parts for row in part[name]] for name in ("rows", "checks")
        }
        results |= {
            "threads": THREADS,
            "processor": processor(),
            "backend": backend.name(),
            "versions": versions(PACKAGES),
        }
        print_checks(results["checks"])
    for file in [options.json, RESULTS if options.record else None]:
        if file is not None:
            file.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
