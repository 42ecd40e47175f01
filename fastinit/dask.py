"""Initial weights as Dask arrays: lazy, the same values in any chunks, on any workers.

A chunk is made by itself, from the initializer, the seed and its place, when a worker needs it: no
array is in the graph, none goes over the network, and what a lost worker held is made again. So an
array may be larger than the memory of all workers, and be written to disk chunk by chunk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastinit.errors import ArgumentError
from fastinit.fans import Shape, as_shape
from fastinit.initializers import Initializer
from fastinit.keys import Key, Seed
from fastinit.keys import key as make_key
from fastinit.registry import InitializerLike, get
from fastinit.sampling.dtypes import COMPLEX, FLOATS, find

try:
    import dask.array as da
    from dask.base import tokenize
except ModuleNotFoundError as error:
    if error.name not in ("dask", "dask.array"):
        raise
    raise ImportError(
        "fastinit.dask needs Dask: pip install 'fastinit[dask]'", name="dask"
    ) from error

__all__ = ["array"]


def array(
    init: InitializerLike,
    shape: Shape,
    chunks: Any = "auto",
    seed: Seed = None,
    dtype: DTypeLike | None = None,
) -> da.Array:
    """Return a lazy Dask array with the values of an initializer.

    It has, bit for bit, the values of ``fastinit.get(init)(shape, seed=seed, dtype=dtype)``,
    whatever its chunks; so has each slice of it, which makes only the chunks that it touches.

    Parameters
    ----------
    init : str, Initializer, subclass of it, or callable
        As for `fastinit.get`. Structured initializers too make a chunk by itself, with these
        exceptions: of an orthogonal matrix a chunk makes whole vectors (columns, or rows if there
        are fewer) and keeps its piece; of `fastinit.convolution_orthogonal`, and of a function, it
        makes the whole.
    shape : int or sequence of int
        The shape of the whole array.
    chunks : int, tuple, "auto" or what else Dask takes, default "auto"
        How the array is cut: as for ``dask.array.from_array``.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`. It is read here, once: left out, all chunks share one fresh seed.
    dtype : dtype-like, optional
        float32, float64, float16, bfloat16, complex64 or complex128; float32 if left out.

    Returns
    -------
    dask.array.Array
        Of the same name for the same arguments, so that Dask knows it to be the same.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If an argument does not fit, or a chunk's size is nan; before anything is computed.
    ValueError
        If the chunks do not add up to the shape, from Dask.

    Examples
    --------
    >>> import fastinit, fastinit.dask
    >>> x = fastinit.dask.array("he_normal", (10**6, 10**5), chunks=(1000, 1000), seed=0)
    >>> x.nbytes / 10**9, x.npartitions
    (400.0, 100000)
    >>> part = x[123_456:123_460, :5].compute()
    >>> index = slice(123_456, 123_460), slice(5)
    >>> bool((part == fastinit.he_normal(x.shape, seed=0, index=index)).all())
    True
    """
    row = find(np.float32 if dtype is None else dtype, (*FLOATS, *COMPLEX))
    tensor = _Tensor(get(init), as_shape(shape), make_key(seed), row.array)
    empty = tensor[(slice(0, 0),) * tensor.ndim]
    dask: Any = da.core  # untyped
    # In figures, since what "auto" means may change between two calls.
    sizes = dask.normalize_chunks(chunks, tensor.shape, dtype=row.array)
    name = f"fastinit-{tokenize(tensor, sizes)}"
    lazy: da.Array = dask.from_array(
        tensor, sizes, name, asarray=False, fancy=False, meta=empty, inline_array=True
    )
    if lazy.shape != tensor.shape:
        raise ArgumentError(f"the sizes of chunks must be known, got {chunks!r}")
    return lazy


@dataclass(frozen=True)
class _Tensor:
    """An array that is made where it is read."""

    initializer: Initializer
    shape: tuple[int, ...]
    key: Key
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        return self.initializer(self.shape, seed=self.key, dtype=self.dtype, index=index)

    def __dask_tokenize__(self) -> Any:
        rule = tokenize(type(self.initializer), vars(self.initializer))
        return type(self).__name__, rule, self.shape, self.key.value, self.dtype.name
