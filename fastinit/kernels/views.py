"""Parts of flat arrays, as arrays, inside compiled code."""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.np.arrayobj import make_array, populate_array

from fastinit.kernels.jit import intrinsic

__all__ = ["view"]


@intrinsic
def view(typing: Any, flat: Any, start: Any, shape: Any) -> Any:
    """Return the elements of a flat array from `start` on, in a shape, C-contiguous.

    Slicing and reshaping do the same, but count references, which threads that share an array slow
    down, and check what is known. The array must outlive the view; nothing is checked.
    """
    result = types.Array(flat.dtype, len(shape), "C")

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        flat_value, start_value, shape_value = values
        source = context.make_array(signature.args[0])(context, builder, value=flat_value)
        sizes = cgutils.unpack_tuple(builder, shape_value, len(shape))
        size = context.get_abi_sizeof(context.get_data_type(flat.dtype))
        itemsize = context.get_constant(types.intp, size)
        strides = [itemsize]
        for length in reversed(sizes[1:]):
            strides.insert(0, builder.mul(strides[0], length))
        array = make_array(result)(context, builder)
        populate_array(
            array,
            data=builder.gep(source.data, [start_value]),
            shape=sizes,
            strides=strides,
            itemsize=itemsize,
            meminfo=None,
        )
        return array._getvalue()

    return result(flat, types.intp, types.UniTuple(types.intp, len(shape))), codegen
