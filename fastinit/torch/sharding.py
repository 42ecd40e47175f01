"""DTensors: which elements of the whole tensor a rank holds, and how to write them there.

A rank's part is found from shape, mesh and placements alone, so no rank waits for another. Along
each axis it is a list of runs: one where the axis is whole or cut once or several times, more where
FSDP cuts what tensor parallelism has cut already. Their products are boxes, each a basic index of
the whole tensor, and every initializer can make the elements of such an index by themselves.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterable, Sequence
from itertools import accumulate, product
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fastinit.errors import ArgumentTypeError
from fastinit.sampling import fill, region_of
from fastinit.sampling.dtypes import DType

__all__ = [
    "Part",
    "distributes",
    "held",
    "is_distributed",
    "local_of",
    "part_of",
    "write_part",
    "zero_row",
]

Index = tuple[Any, ...]  # slices


def distributes(kind: type) -> bool:
    """Say whether a class is that of DTensors, without loading what defines it (a second)."""
    theirs = getattr(sys.modules.get("torch.distributed.tensor"), "DTensor", None)
    return theirs is not None and issubclass(kind, theirs)


def is_distributed(tensor: Any) -> bool:
    """Say whether a tensor is a DTensor."""
    return distributes(type(tensor))


def local_of(tensor: Tensor) -> Tensor:
    """Return a DTensor's local tensor, in the same memory; any other tensor as it is."""
    if not is_distributed(tensor):
        return tensor
    with torch.no_grad():
        local: Tensor = tensor.to_local()
    return local


class Part(NamedTuple):
    """Which elements of a tensor of `shape` a local tensor holds.

    `boxes` are pairs of indices (here, there): ``local[here]`` is ``whole[there]``.
    """

    shape: tuple[int, ...]
    boxes: tuple[tuple[Index, Index], ...]

    def write(self, array: NDArray[Any], what: Any, key: int, write: Any, dtype: DType) -> None:
        """Fill the array that the local tensor is with its elements of the whole."""
        if not self.boxes:  # what is wrong with the shape is wrong on every rank
            nothing = (slice(0, 0),) * len(self.shape)
            array = np.empty((0,) * len(self.shape), array.dtype)
            write_part(array, what, key, write, dtype, self.shape, nothing)
        for here, there in self.boxes:
            write_part(array[(*here, ...)], what, key, write, dtype, self.shape, there)


def write_part(
    array: NDArray[Any],
    what: Any,
    key: int,
    write: Any,
    dtype: DType,
    shape: tuple[int, ...],
    index: Index,
) -> None:
    """Fill an array with the elements `index` of the tensor of `shape` that `write` would fill."""
    if write is fill:
        region = region_of(shape, index)
        fill(array, what, key, region.start, region.strides, dtype=dtype)
    else:
        write(array, what, key, dtype=dtype, shape=shape, index=index)


def part_of(tensor: Tensor) -> Part:
    """Return which elements of the whole a DTensor's local tensor holds on this rank.

    Raises
    ------
    ArgumentTypeError
        If a placement is neither replicated nor sharded, or the local tensor has not the shape that
        the placements give it.
    """
    distributed: Any = tensor
    mesh, placements = distributed.device_mesh, distributed.placements
    shape, local = tuple(tensor.shape), tuple(local_of(tensor).shape)
    place = mesh.get_coordinate()
    if place is None:  # this rank is not on the mesh
        return Part(shape, ())
    runs = held(shape, tuple(mesh.shape), place, placements, _order(distributed))
    sizes = tuple(sum(map(len, axis)) for axis in runs)
    if sizes != local and (0 not in sizes or 0 not in local):
        raise ArgumentTypeError(
            f"the local tensor of a DTensor of shape {shape} with placements {placements} on a "
            f"mesh of shape {tuple(mesh.shape)} has shape {local} at {tuple(place)}, expected "
            f"{sizes}"
        )
    if 0 in local:
        return Part(shape, ())
    boxes = product(*(list(_here_and_there(axis)) for axis in runs))
    return Part(shape, tuple((tuple(h for h, _ in b), tuple(t for _, t in b)) for b in boxes))


def zero_row(tensor: Tensor, row: int) -> None:
    """Set one row of a DTensor to zero, on the ranks that hold some of it."""
    local = local_of(tensor)
    with torch.no_grad():
        for here, (rows, *_) in part_of(tensor).boxes:
            if rows.start <= row < rows.stop:
                local[here][row - rows.start].zero_()


def _here_and_there(runs: Iterable[range]) -> Iterable[tuple[slice, slice]]:
    first = 0
    for run in runs:
        yield slice(first, first + len(run)), slice(run.start, run.stop)
        first += len(run)


def _order(distributed: Any) -> list[int] | None:
    """Return in which order mesh axes cut the tensor, where that is not from left to right."""
    spec, placements = distributed._spec, distributed.placements
    if any(map(_is_strided, placements)):
        if getattr(spec, "use_strided_shard_as_shard_order", True) is False:
            return None
        return _order_of_strided(tuple(distributed.device_mesh.shape), placements)
    entries = getattr(spec, "shard_order", None)
    return [axis for entry in entries for axis in entry.mesh_dims] if entries else None


def _order_of_strided(mesh: Sequence[int], placements: Sequence[Any]) -> list[int] | None:
    """Return the order in which FSDP2 has cut; None where the placements are those of no order.

    The factor of a strided placement is the number of pieces that the cuts before it have made.
    """
    orders: dict[int, list[int]] = {}
    for i in reversed(range(len(mesh))):
        if not placements[i].is_replicate():
            order = orders.setdefault(placements[i].dim, [])
            pieces = accumulate((mesh[axis] for axis in order), operator.mul, initial=1)
            factor = getattr(placements[i], "split_factor", 1)
            at = next((at for at, made in enumerate(pieces) if made == factor), None)
            if at is None:
                return None
            order.insert(at, i)
    return [axis for order in orders.values() for axis in order]


def held(
    shape: Sequence[int],
    mesh: Sequence[int],
    place: Sequence[int],
    placements: Sequence[Any],
    order: Sequence[int] | None = None,
) -> tuple[tuple[range, ...], ...]:
    """Return the runs of positions along each axis that the rank at `place` of a mesh holds.

    Parameters
    ----------
    shape : sequence of int
        Of the whole tensor.
    mesh, place : sequence of int
        The mesh's shape, and the rank's position there.
    placements : sequence of torch.distributed.tensor.Placement
        One an axis of the mesh.
    order : sequence of int, optional
        The mesh's axes in the order in which they cut the tensor, strided placements as others; by
        default from left to right.

    Returns
    -------
    tuple of tuple of range
        For each axis of the tensor, in the order in which the local tensor has them.

    Raises
    ------
    ArgumentTypeError
        If a placement is neither replicated nor sharded.

    Examples
    --------
    >>> from torch.distributed.tensor import Replicate, Shard
    >>> from fastinit.torch.sharding import held
    >>> held((5, 4), (2, 2), (1, 0), (Shard(0), Replicate()))
    ((range(3, 5),), (range(0, 4),))
    """
    axes: list[list[range]] = [[range(size)] for size in shape]
    for placement in placements:
        if not (placement.is_replicate() or _is_shard(placement)):
            raise ArgumentTypeError(
                f"a DTensor's values are given by Replicate and Shard, got placements "
                f"{tuple(placements)}: redistribute it first"
            )
    for i in range(len(mesh)) if order is None else order:
        if not placements[i].is_replicate():
            axis = placements[i].dim
            pieces = getattr(placements[i], "split_factor", 1) if order is None else 1
            # Where it is strided, the tensor is taken to be in pieces, each of which is cut.
            before = [_chunk(axes[axis], pieces, piece) for piece in range(pieces)]
            axes[axis] = [run for one in before for run in _chunk(one, mesh[i], place[i])]
    return tuple(tuple(_merged(runs)) for runs in axes)


def _is_shard(placement: Any) -> bool:
    return placement.is_shard() or _is_strided(placement)  # FSDP2's own is no Shard


def _is_strided(placement: Any) -> bool:
    return hasattr(placement, "split_factor")


def _chunk(runs: list[range], number: int, which: int) -> list[range]:
    """Return the positions that `torch.chunk` would give to chunk `which` of so many."""
    size = -(-sum(map(len, runs)) // number)
    first, last = which * size, (which + 1) * size
    found = []
    for run in runs:
        found.append(run[max(first, 0) : max(last, 0)])
        first, last = first - len(run), last - len(run)
    return [run for run in found if run]


def _merged(runs: list[range]) -> Iterable[range]:
    """Join runs that go on where the one before ends."""
    joined: range | None = None
    for run in runs:
        if joined is not None and joined.stop == run.start:
            joined = range(joined.start, run.stop)
            continue
        if joined is not None:
            yield joined
        joined = run
    if joined is not None:
        yield joined
