"""How kernels are compiled, and the array types that they are written for."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastinit.sampling.jit import cached as njit

__all__ = ["FloatArray", "IntArray", "njit"]

FloatArray: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.integer[Any]]
