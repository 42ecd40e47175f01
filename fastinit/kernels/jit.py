"""The one place where Numba's options are set, and the array types that kernels are written for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["FloatArray", "IntArray", "njit"]

FloatArray: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.integer[Any]]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def njit(function: _Function) -> _Function:
    """Compile a kernel, lazily, with the options that every kernel of the library shares.

    ``nogil`` lets threads run kernels side by side, ``cache`` keeps the machine code between
    processes, and NumPy's error model makes a division by zero yield an infinity or a NaN, not an
    exception. There is no ``fastmath``: NaN and infinity keep their meaning, and additions keep
    the order in which they are written.

    Parameters
    ----------
    function : callable
        A function in the subset of Python that Numba compiles.

    Returns
    -------
    callable
        The dispatcher that compiles `function` at the first call with new argument types.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.kernels.jit import njit
    >>> @njit
    ... def total(x):
    ...     result = 0.0
    ...     for value in x:
    ...         result += value
    ...     return result
    >>> total.py_func(numpy.ones(3))
    3.0
    """
    compiled = numba.njit(nogil=True, cache=True, error_model="numpy")(function)
    return cast(_Function, compiled)
