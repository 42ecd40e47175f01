"""Which backend draws: the compiled extension where it is built, else Numba.

A backend is a module with two functions. What ``kernel(law, dtype, add=False)`` returns is called
as ``kernel(out, key, starts, parameters)`` and fills the rows of `out`, one a start; with `add`, as
``kernel(out, key, starts, parameters, scale)``, and does ``out += scale * draw``.
``fill_many(tensors)`` fills whole contiguous tensors, each ``(kernel, out, key, parameters)``.
"""

from __future__ import annotations

import os
from functools import cache
from types import ModuleType

from fastinit.errors import BackendError, unknown_name

__all__ = ["load", "name", "reflections"]

NAMES = ("cython", "numba")


@cache
def load() -> ModuleType:
    """Return the backend, not imported before the first draw.

    The environment variable ``FASTINIT_BACKEND`` forces one.
    """
    asked = os.environ.get("FASTINIT_BACKEND", "")
    if asked and asked not in NAMES:
        raise unknown_name("FASTINIT_BACKEND", asked, NAMES)
    if asked != "numba":
        try:
            from fastinit.sampling import cython_fill

            return cython_fill
        except ImportError as error:
            if asked == "cython":
                raise BackendError(
                    f"FASTINIT_BACKEND is cython, but the compiled extension is missing: {error}; "
                    "installing with FASTINIT_REQUIRE_CYTHON=1 shows why it cannot be built"
                ) from error
    from fastinit.sampling import numba_fill

    return numba_fill


def reflections() -> ModuleType:
    """Return the backend's module for reflectors: `reflectors` makes them, `reflect` applies."""
    if name() == "cython":
        return load()
    from fastinit.sampling import numba_reflect

    return numba_reflect


def name() -> str:
    """Return the name of the backend in use."""
    return load().__name__.rpartition(".")[2].removesuffix("_fill")
