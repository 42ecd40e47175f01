"""How kernels are compiled, and the array types that they are written for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numba.extending
import numpy as np
from numpy.typing import NDArray

from fastinit.sampling.jit import cached as njit

__all__ = ["FloatArray", "IntArray", "intrinsic", "njit"]

FloatArray: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.integer[Any]]


def intrinsic(function: Callable[..., Any]) -> Any:
    """Let compiled code call what `function` generates, without its first argument, the context."""
    return numba.extending.intrinsic(function)
