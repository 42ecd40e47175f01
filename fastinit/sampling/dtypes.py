"""Which dtypes can be drawn, and in what the kernels compute and store each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastinit.errors import ArgumentError, ArgumentTypeError

__all__ = ["COMPLEX", "FLOATS", "DType", "find"]


@dataclass(frozen=True, eq=False)
class DType:
    """A row of the table; there is one object of each.

    Kernels write arrays of the dtype `storage`; the parameters of a law, and a draw before it is
    rounded to 16 bits, are of the dtype `compute`. No finite number above `largest` fits.
    """

    name: str
    storage: np.dtype[Any]
    compute: np.dtype[Any]
    largest: float

    @cached_property
    def array(self) -> np.dtype[Any]:
        """The dtype of a new array."""
        if self.name != "bfloat16":
            return np.dtype(self.name)
        try:
            import ml_dtypes
        except ImportError:
            raise ArgumentTypeError(
                "an array of bfloat16 needs a package: pip install ml_dtypes; "
                "without it, give a uint16 array as out"
            ) from None
        found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return found

    def holds(self, dtype: np.dtype[Any]) -> bool:
        """Say whether an array of `dtype` can be filled: this one, or 16 bits that stand for it."""
        return dtype == self.storage or _row(dtype) is self

    def check(self, **numbers: float) -> None:
        """Say which of some finite parameters is too large to be held."""
        for name, number in numbers.items():
            if abs(number) > self.largest:
                raise ArgumentError(f"{name}={number!r} does not fit {self.name}")

    def stored(self, values: Any) -> NDArray[Any]:
        """Return numbers as they stand in memory: rounded to `compute`, then to 16 bits."""
        if self.storage != np.uint16:
            return np.asarray(values).astype(self.storage, copy=False)
        numbers = np.asarray(values).astype(self.compute, copy=False)
        if self.name == "float16":
            return numbers.astype(np.float16).view(np.uint16)
        bits = numbers.view(np.uint32)
        kept = bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))
        return (kept >> np.uint32(16)).astype(np.uint16)


def _rows() -> dict[str, DType]:
    single, double, short = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.uint16)
    ranges = {name: float(np.finfo(name).max) for name in ("float16", "float32", "float64")}
    rows = [
        DType("float32", single, single, ranges["float32"]),
        DType("float64", double, double, ranges["float64"]),
        DType("float16", short, single, ranges["float16"]),
        DType("bfloat16", short, single, (2 - 2.0**-7) * 2.0**127),
        DType("complex64", np.dtype(np.complex64), single, ranges["float32"]),
        DType("complex128", np.dtype(np.complex128), double, ranges["float64"]),
        *(
            DType(dtype.name, dtype, dtype, float(np.iinfo(dtype).max))
            for dtype in (np.dtype(np.uint32), np.dtype(np.uint64), np.dtype(np.int64))
        ),
    ]
    return {row.name: row for row in rows}


_ROWS = _rows()
FLOATS = ("float32", "float64", "float16", "bfloat16")
COMPLEX = ("complex64", "complex128")


@lru_cache
def _row(dtype: DTypeLike) -> DType | None:
    if isinstance(dtype, str) and dtype in _ROWS:  # "bfloat16" without ml_dtypes
        return _ROWS[dtype]
    found = np.dtype(dtype)
    return _ROWS.get(found.name) if found.isnative else None


def find(dtype: DTypeLike, names: tuple[str, ...]) -> DType:
    """Return the row of a dtype-like, which must stand for one of `names`."""
    try:
        row = _row(dtype)  # type: ignore[arg-type]  # unhashable: no dtype that is drawn
    except TypeError:
        row, got = None, repr(dtype)
    else:
        if row is not None and row.name in names:
            return row
        found = np.dtype(dtype)
        got = found.name if found.isnative else repr(found.str)
    *most, last = names
    listed = f"{', '.join(most)} or {last}" if most else last
    raise ArgumentTypeError(f"dtype must be {listed}, got {got}")
