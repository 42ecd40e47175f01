"""The one place where Numba's options are set.

``nogil`` lets threads run kernels side by side. NumPy's error model makes a division by zero yield
an infinity or a NaN, not an exception. Never ``parallel=True`` (its pools abort when two Python
threads enter at once, or in a forked child), never eager signatures (a second at import), no
``fastmath`` (the order of additions is part of the result).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba import _dispatcher
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
        compiled = _with_plain_defaults(numba.njit(cache=True, **_OPTIONS)(function))
    except RuntimeError:
        return cast(Function, _with_plain_defaults(numba.njit(**_OPTIONS)(function)))
    # Numba keeps code until the function's own file changes, but it holds code and constants of
    # other files, too.
    file = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if file is not None:
        folder = Path(inspect.getsourcefile(function) or __file__).parent
        file._source_stamp = (file._source_stamp, *_stamps(folder))
    return cast(Function, compiled)


def _with_plain_defaults(compiled: Any) -> Any:
    """Let calls from Python pass a default as they would pass the same value themselves.

    Numba passes it as an argument of a type of its own, that of an omitted 0.9, say, but looks its
    type up as that of the first omitted number of the process: all others are found by searching
    anew, a tenth of a millisecond a call. Compiled callers go another way.
    """
    defaults = compiled.py_func.__defaults__
    if defaults:
        names = tuple(inspect.signature(compiled.py_func).parameters)
        _dispatcher.Dispatcher.__init__(
            compiled,
            compiled._tm.get_pointer(),
            len(names),
            compiled._fold_args,
            names,
            defaults,
            False,  # no object mode to fall back to
            False,  # no *args
            False,  # numbers are converted where that loses nothing
        )
    return compiled


@cache
def _stamps(folder: Path) -> tuple[tuple[str, float, int], ...]:
    """Return what changes when a compiled file of a folder, or of those that it uses, does."""
    package = Path(__file__).parent.parent
    folders = [package / "sampling", package / "kernels"]
    if folder in folders:
        folders = folders[: folders.index(folder)]
    files = sorted(file for place in (*folders, folder) for file in place.glob("*.py"))
    statuses = [(file.name, file.stat()) for file in files]
    return tuple((name, status.st_mtime, status.st_size) for name, status in statuses)


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
