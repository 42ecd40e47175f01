"""Random orthogonal matrices, measured against the frameworks' own: time and orthogonality.

    python benchmarks/orthogonal.py [--only PATTERN] [--rounds N]

A row is a shape and a dtype. The contestants take turns in one process, each call making a whole
matrix; the figures are the median time and the largest |Q^T Q - I|. What is not installed is left
out.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from targets import Contest, checks_of, faster, measure, missing, print_checks

import fastinit
from fastinit.bench.contests import Fills
from fastinit.sampling import numba_reflect, orthogonal

THREADS = 2
SHAPES = [(256, 256), (1024, 1024), (2048, 2048), (4096, 4096), (8192, 512), (512, 8192)]
MOST_FOR_ALL = 2**22  # elements, above which the slow ones take minutes

Make = Callable[[], np.ndarray]


def contestants(shape: tuple[int, int], dtype: str) -> dict[str, Make]:
    """Return what makes one matrix, under the name of each library."""
    makers = {**ours(shape, dtype)}
    for peer in (torchs, numpys, jaxs):
        try:
            makers |= peer(shape, dtype)
        except ImportError as error:
            missing.add(error.name or str(error))
    return makers


def ours(shape: tuple[int, int], dtype: str) -> dict[str, Make]:
    out = np.empty(shape, dtype)

    def make(threads: int, reflections: Callable[[], Any]) -> np.ndarray:
        fastinit.set_num_threads(threads)
        before, orthogonal.backend.reflections = orthogonal.backend.reflections, reflections
        orthogonal.fill_orthogonal(out, 1)
        orthogonal.backend.reflections = before
        return out

    own = orthogonal.backend.reflections
    return {
        "fastinit": partial(make, THREADS, own),
        "fastinit, 1 thread": partial(make, 1, own),
        "fastinit, Numba": partial(make, THREADS, lambda: numba_reflect),
    }


def torchs(shape: tuple[int, int], dtype: str) -> dict[str, Make]:
    import torch

    torch.set_num_threads(THREADS)
    out = torch.empty(shape, dtype=getattr(torch, dtype))
    return {"PyTorch": lambda: torch.nn.init.orthogonal_(out).numpy()}


def numpys(shape: tuple[int, int], dtype: str) -> dict[str, Make]:
    generator = np.random.default_rng(1)
    tall = max(shape), min(shape)

    def make() -> np.ndarray:
        q, r = np.linalg.qr(generator.standard_normal(tall, dtype))
        q *= np.sign(np.diag(r))
        return q if q.shape == shape else q.T

    return {"NumPy": make}


def jaxs(shape: tuple[int, int], dtype: str) -> dict[str, Make]:
    if np.prod(shape) > MOST_FOR_ALL or dtype != "float32":
        return {}
    import jax

    init = jax.jit(jax.nn.initializers.orthogonal(), static_argnums=1)
    return {"JAX": lambda: np.asarray(init(jax.random.key(1), shape).block_until_ready())}


def loss(matrix: np.ndarray) -> float:
    """Return how far the vectors are from orthonormal."""
    q = matrix.astype(float) if matrix.shape[0] >= matrix.shape[1] else matrix.T.astype(float)
    return float(np.abs(q.T @ q - np.eye(q.shape[1])).max())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--only", type=re.compile, default=re.compile(""), metavar="PATTERN", help="rows that match"
    )
    options = parser.parse_args()
    os.environ["NPROC"] = str(THREADS)  # for JAX, which is not imported yet
    rows = [(shape, "float32") for shape in SHAPES] + [((1024, 1024), "float64")]
    checks = []
    for shape, dtype in rows:
        name = f"{dtype} {shape[0]} x {shape[1]}"
        if not options.only.search(name):
            continue
        makers = contestants(shape, dtype)
        fills: Fills = {**makers}
        contest = Contest(name, lambda _, fills=fills: fills, (faster("PyTorch", 1),), shape[0])
        ns = measure(contest, shape[0], options.rounds)
        print(f"\n{name:30}{'ms':>10}{'ratio':>8}{'|QQ - 1|':>12}")
        for maker, time in ns.items():
            error = loss(makers[maker]())
            milliseconds = time * shape[0] / 1e6
            print(f"  {maker:28}{milliseconds:10.2f}{time / ns['fastinit']:7.2f}x{error:12.1e}")
        checks += checks_of(contest, ns)
    print_checks(checks)
    if missing:
        print(f"\nleft out, not there: {', '.join(sorted(missing))}")


if __name__ == "__main__":
    main()
