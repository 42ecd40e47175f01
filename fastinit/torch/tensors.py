"""The bridge: a tensor's memory as a NumPy array, and the word of a generator that decides a draw.

Whatever cannot be written in place here is left to PyTorch: `memory_of` and `draw` say so. Of a
DTensor, the rank's own part is written, with the values that it has in the whole tensor.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.graph import increment_version

from fastinit.errors import ArgumentTypeError
from fastinit.sampling import Distribution, draw_of, fill, fill_whole
from fastinit.sampling.dtypes import COMPLEX, FLOATS, DType, find
from fastinit.torch.sharding import Part, is_distributed, local_of, part_of

__all__ = [
    "DTYPES",
    "Write",
    "copy_into",
    "draw",
    "memory_of",
    "plain",
    "row_of",
    "word",
    "written",
]

# (array, what is drawn, key, dtype=row of the table): `fastinit.sampling.fill`, or one like it. All
# but `fill` take shape= and index=, too, where the array is that part of a tensor of that shape.
Write: TypeAlias = Callable[..., None]

DTYPES: dict[torch.dtype, DType] = {
    getattr(torch, name): find(name, (*FLOATS, *COMPLEX)) for name in (*FLOATS, *COMPLEX)
}
# Other subclasses may keep their values anywhere (FakeTensor; DTensor, which we know).
PLAIN = (Tensor, torch.nn.Parameter, getattr(torch.nn, "Buffer", torch.nn.Parameter))


class _Thread(threading.local):
    """What each thread has of its own.

    What draws a word; where words come from instead; and, while it builds a model whose draws wait,
    what takes them down.
    """

    def __init__(self) -> None:
        array = np.zeros((), np.int64)
        with torch.inference_mode(False):  # else it could not be written to outside that mode
            random_ = torch.from_numpy(array).random_
        item = array.item

        def drawn(generator: torch.Generator | None = None) -> int:
            if generator is None:
                random_()
            else:
                random_(generator=generator)
            return item()

        self.drawn = drawn
        self.words: Iterator[int] | None = None
        self.later: Callable[[Tensor, Any, Write], bool] | None = None


thread = _Thread()


def word(generator: torch.Generator | None = None) -> int:
    """Return the 63 bits that decide a draw, and so advance the generator by one call.

    Parameters
    ----------
    generator : torch.Generator, optional
        Of any device. By default PyTorch's generator of the CPU, so that ``torch.manual_seed``
        decides; or, where this thread is inside ``fastinit.torch.patch(seed=...)``, the seed.

    Returns
    -------
    int
        A `fastinit.Key`'s value.
    """
    if generator is None:
        if thread.words is not None:
            return next(thread.words)
        return thread.drawn()
    if isinstance(generator, torch.Generator) and generator.device.type != "cpu":
        one = torch.empty((), dtype=torch.int64, device=generator.device)
        return int(one.random_(generator=generator))
    return thread.drawn(generator)


def plain(tensor: Tensor) -> bool:
    """Say whether a tensor is of no subclass that keeps its values where we do not know."""
    return type(tensor) in PLAIN or is_distributed(tensor)


def row_of(tensor: Tensor) -> DType | None:
    """Return the row of the table of dtypes, or None where the tensor is not one to write to."""
    return DTYPES.get(tensor.dtype) if type(tensor) in PLAIN and not tensor.is_meta else None


def memory_of(tensor: Tensor) -> NDArray[Any] | None:
    """Return a CPU tensor's memory as an array of its shape and strides, without a copy.

    bfloat16 comes as uint16. What is written there bypasses autograd: follow it with
    ``torch.autograd.graph.increment_version(tensor)``.

    Returns
    -------
    ndarray or None
        None where PyTorch would refuse an in-place operation (several elements share memory, or
        inference mode made the tensor and is over), and where the values are not simply there
        (sparse, quantized, conjugated, negated, inside ``torch.func`` transformations).
    """
    if tensor.is_inference() and not torch.is_inference_mode_enabled():
        return None
    try:
        if tensor.requires_grad:
            tensor = tensor.data
        if tensor.dtype is torch.bfloat16:
            tensor = tensor.view(torch.uint16)
        array: NDArray[Any] = tensor.numpy()
    except (RuntimeError, TypeError):
        return None
    if not array.flags.c_contiguous and any(
        step == 0 and size > 1 for size, step in zip(array.shape, array.strides, strict=True)
    ):
        return None
    return array


def copy_into(tensor: Tensor, array: NDArray[Any]) -> None:
    """Copy an array, with bfloat16 as uint16, into a tensor of the same shape on any device."""
    source = torch.from_numpy(array)
    if source.dtype == torch.uint16:
        source = source.view(tensor.dtype)
    with torch.no_grad():
        tensor.copy_(source)


def draw(
    tensor: Tensor, what: Any, generator: torch.Generator | None = None, write: Write = fill
) -> bool:
    """Fill a tensor in place, on the word that the generator gives; or return False.

    Parameters
    ----------
    tensor : Tensor
        Of any strides, requiring a gradient or not. On the CPU its memory is written; on another
        device a host array is, and copied there. The values are the same. Of a DTensor, the local
        tensor is filled, with its part of the whole tensor's values.
    what : Distribution, or what else `write` takes
    generator : torch.Generator, optional
        See `word`. It is not asked where the tensor is empty, or is not filled; but for a DTensor
        of which only this rank's part is empty, so that all ranks ask it as often.
    write : callable, default `fastinit.sampling.fill`
        Called as ``write(array, what, key, dtype=row)``.

    Returns
    -------
    bool
        Whether the tensor was filled, or will be where ``thread.later`` takes draws down. If not,
        nothing of it has changed.

    Raises
    ------
    ArgumentError
        If the tensor's dtype cannot hold the law's parameters.
    ArgumentTypeError
        If it is a DTensor of partial sums, or of a layout that is not known.
    """
    if thread.later is not None:
        return thread.later(tensor, what, write)
    if type(tensor) not in PLAIN:
        return is_distributed(tensor) and _draw_part(tensor, what, generator, write)
    row = DTYPES.get(tensor.dtype)
    if row is None:
        return False
    ready = None
    if write is fill:
        try:
            ready = draw_of(what, row)
        except ArgumentTypeError:  # a dtype that the law does not have
            return False
    if not tensor.is_cpu:
        return _draw_elsewhere(tensor, what, generator, write, row)
    array = memory_of(tensor)
    if array is None:
        return False
    if array.size:
        if ready is not None:
            fill_whole(array, ready, word(generator))
        else:
            write(array, what, word(generator), dtype=row)
        increment_version((tensor,))
    return True


def _draw_elsewhere(
    tensor: Tensor, what: Any, generator: torch.Generator | None, write: Write, row: DType
) -> bool:
    if tensor.is_meta or tensor.layout is not torch.strided:
        return False
    array = np.empty(tensor.shape, row.storage)
    if array.size:
        write(array, what, word(generator), dtype=row)
        copy_into(tensor, array)
    return True


def _draw_part(tensor: Tensor, what: Any, generator: torch.Generator | None, write: Write) -> bool:
    """Fill a DTensor's local tensor."""
    part, local = part_of(tensor), local_of(tensor)
    if local.is_meta:
        return True
    row = row_of(local)
    if row is None or (isinstance(what, Distribution) and row.name not in what.dtypes):
        return False
    if write is fill:
        draw_of(what, row)  # complains of numbers that the dtype cannot hold, on every rank
    if tensor.numel():
        written(local, part, what, word(generator), write, row)
        increment_version((tensor, local))
    return True


def written(
    tensor: Tensor, part: Part | None, what: Any, key: int, write: Write, row: DType
) -> None:
    """Write a draw, or a part of one, into a tensor on any device."""
    memory = memory_of(tensor) if tensor.is_cpu else None
    array = np.empty(tensor.shape, row.storage) if memory is None else memory
    if part is None:
        write(array, what, key, dtype=row)
    else:
        part.write(array, what, key, write, row)
    if memory is None:
        copy_into(tensor, array)
