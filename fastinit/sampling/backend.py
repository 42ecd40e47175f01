"""Which backend draws: the only place that imports one, and not before the first draw."""

from __future__ import annotations

from functools import cache
from types import ModuleType

__all__ = ["load"]


@cache
def load() -> ModuleType:
    """Return the backend: a module of kernels ``{plan}_{dtype}(out, key, starts, parameters)``."""
    from fastinit.sampling import numba_fill

    return numba_fill
