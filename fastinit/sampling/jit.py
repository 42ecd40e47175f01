"""The one place where Numba's options are set.

``nogil`` lets threads run kernels side by side. NumPy's error model makes a division by zero yield
an infinity or a NaN, not an exception. Never ``parallel=True`` (its pools abort when two Python
threads enter at once, or in a forked child), never eager signatures (a second at import), no
``fastmath`` (the order of additions is part of the result).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.extending import overload

__all__ = ["cached", "inlined", "merged", "replaced", "template"]

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_MERGED: Any = {
    "forceinline": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    **_OPTIONS,
}


def cached(function: Function) -> Function:
    """Compile at the first call with new types, and keep the machine code between processes.

    Where there is no folder to keep it in (a read-only installation without a home directory), it
    is compiled in every process.
    """
    try:
        return cast(Function, numba.njit(cache=True, **_OPTIONS)(function))
    except RuntimeError:
        return cast(Function, numba.njit(**_OPTIONS)(function))


def template(function: Function) -> Function:
    """Compile as a part of the compiled functions that call it."""
    return cast(Function, numba.njit(**_OPTIONS)(function))


def merged(function: Function) -> Function:
    """Compile as a part of its callers' machine code, whatever its length: their loops vectorize.

    For compiled callers alone: without what Python calls, it compiles in a third of the time.
    """
    return cast(Function, numba.njit(**_MERGED)(function))


def replaced(function: Callable[..., Any]) -> Callable[[Function], Function]:
    """Decorate what returns, for the types of the arguments, the code to compile for `function`.

    That code is `merged` into the callers.
    """
    return cast(Callable[[Function], Function], overload(function, jit_options=_MERGED))


def inlined(function: Function) -> Function:
    """Copy into the compiled functions that call it, before they are typed."""
    return cast(Function, numba.njit(inline="always", **_OPTIONS)(function))
