"""Vectors of `LANES` numbers, for sums along a row that are vectorized and have one order.

LLVM may not reorder the additions of a loop, so a plain sum runs at one number every four cycles,
and a sum that it may reorder has another order on every processor. Here the order is written down:
number j of a row belongs to lane ``j % LANES``, each lane is summed in order, and `total` adds the
lanes by halves. A processor with shorter vectors computes a `Lanes` in parts, to the same bits.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import models, overload, register_model

from fastinit.kernels.jit import intrinsic

__all__ = ["LANES", "first_lanes", "keep_first", "lanes", "spread", "total"]

LANES = 32
I32 = ir.IntType(32)


class Lanes(types.Type):
    """The type, inside compiled code, of `LANES` numbers of one dtype."""

    def __init__(self, dtype: types.Type) -> None:
        self.dtype = dtype
        super().__init__(name=f"Lanes({dtype})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes_type: Lanes) -> None:
        number = manager.lookup(lanes_type.dtype).get_value_type()
        super().__init__(manager, lanes_type, ir.VectorType(number, LANES))


def _address(context: Any, builder: Any, array_type: Any, array: Any, start: Any) -> Any:
    """Return where element `start` of a contiguous one-dimensional array begins, as a vector."""
    data = context.make_array(array_type)(context, builder, array).data
    vector = context.get_value_type(Lanes(array_type.dtype)).as_pointer()
    return builder.bitcast(builder.gep(data, [start]), vector)


def _bytes_of(array_type: Any) -> int:
    return int(array_type.dtype.bitwidth) // 8


@intrinsic
def lanes(typing: Any, array: Any, start: Any) -> Any:
    """Return the elements `start` to ``start + LANES - 1`` of a one-dimensional C array."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _address(context, builder, array, args[0], args[1])
        return builder.load(address, align=_bytes_of(array))

    return Lanes(array.dtype)(array, types.intp), generate


def _are_first(builder: Any, count: Any) -> Any:
    """Return which lanes have a number below `count`."""
    numbers = ir.Constant(ir.VectorType(I32, LANES), list(range(LANES)))
    return builder.icmp_signed("<", numbers, _spread(builder, builder.trunc(count, I32)))


@intrinsic
def first_lanes(typing: Any, array: Any, start: Any, count: Any) -> Any:
    """Return `count` elements from `start` on, then zeros. Nothing beyond them is read."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _address(context, builder, array, args[0], args[1])
        wanted = _are_first(builder, args[2])
        zeros = ir.Constant(context.get_value_type(signature.return_type), None)
        name = f"llvm.masked.load.v{LANES}f{8 * _bytes_of(array)}.p0"
        arguments = [address, ir.Constant(I32, _bytes_of(array)), wanted, zeros]
        kind = ir.FunctionType(zeros.type, [argument.type for argument in arguments])
        load = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(load, arguments)

    return Lanes(array.dtype)(array, types.intp, types.intp), generate


@intrinsic
def keep_first(typing: Any, vector: Any, count: Any) -> Any:
    """Return a vector with all but the first `count` lanes replaced by zeros."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zeros = ir.Constant(args[0].type, None)
        return builder.select(_are_first(builder, args[1]), args[0], zeros)

    return vector(vector, types.intp), generate


def _spread(builder: Any, number: Any) -> Any:
    undefined = ir.Constant(ir.VectorType(number.type, LANES), ir.Undefined)
    one = builder.insert_element(undefined, number, ir.Constant(I32, 0))
    everywhere = ir.Constant(ir.VectorType(I32, LANES), [0] * LANES)
    return builder.shuffle_vector(one, undefined, everywhere)


@intrinsic
def spread(typing: Any, number: Any) -> Any:
    """Return a number in all lanes."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _spread(builder, args[0])

    return Lanes(number)(number), generate


@intrinsic
def total(typing: Any, vector: Any) -> Any:
    """Return the sum of the lanes: the upper half is added to the lower until one is left."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value, width = args[0], LANES
        while width > 1:
            width //= 2
            halves = (range(width), range(width, 2 * width))
            low, high = (
                builder.shuffle_vector(
                    value, value, ir.Constant(ir.VectorType(I32, width), list(h))
                )
                for h in halves
            )
            value = builder.fadd(low, high)
        return builder.extract_element(value, ir.Constant(I32, 0))

    return vector.dtype(vector), generate


def _arithmetic(operation: Any, instruction: str) -> None:
    """Let `operation` take two vectors, by an instruction of LLVM's."""

    @intrinsic
    def apply(typing: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(builder, instruction)(*args)

        return a(a, b), generate

    @overload(operation, inline="always")
    def typed(a, b):
        if isinstance(a, Lanes) and a == b:
            return lambda a, b: apply(a, b)
        return None


_arithmetic(operator.add, "fadd")
_arithmetic(operator.sub, "fsub")
_arithmetic(operator.mul, "fmul")
