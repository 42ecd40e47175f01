"""Fills of one buffer: sizes are (dtype, elements, threads), the contestants those of `bench`."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from cases import CONTESTANTS, Case, Run, empty, table, use_this_tree

use_this_tree()

DTYPES = ["float32", "float64", "bfloat16"]
ELEMENTS = [64, 2**12, 2**16, 2**20, 2**24, 2**27]
THREADS = [1, 2, "all"]
SIZES = [("float32", 64, 1)]
THREADED = ("fastinit", "JAX")  # NumPy and PyTorch draw on one


def threads_of(library: str, threads: int | str) -> int:
    """Return the number; NotImplementedError says that another row has this one's figure."""
    from fastinit.sampling.threads import _processors

    cores = _processors()
    if (threads == "all" and cores <= 2) or (threads == 2 and cores < 2):
        raise NotImplementedError(f"{cores} cores: this is another row")
    if threads != 1 and library not in THREADED:
        raise NotImplementedError(f"{library} draws on one thread")
    return cores if threads == "all" else threads


def fill(library: str, law: str, dtype: str, elements: int, threads: int | str) -> Run:
    from fastinit.bench.fills import fills

    count = threads_of(library, threads)
    os.environ["NPROC"] = str(count)  # for JAX, which is not loaded yet
    out = empty(elements, bfloat16() if dtype == "bfloat16" else dtype)
    made = fills(law, out, count, [library])
    if not made:
        raise NotImplementedError(f"{library} does not draw {dtype}")
    *_, run = made.values()  # its fastest way
    getattr(run, "start", lambda: None)()  # tells the number of threads, which nobody changes here
    return lambda: run()


def bfloat16() -> Any:
    from ml_dtypes import bfloat16

    return bfloat16


CASES = table(
    [
        Case(law, {library: partial(fill, library, law) for library in CONTESTANTS}, random=True)
        for law in ("uniform", "normal", "truncated normal")
    ]
)
