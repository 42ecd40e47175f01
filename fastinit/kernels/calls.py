"""Calls of compiled functions by their addresses.

Numba compiles what a function calls into the function, and optimizes it again there: in a large
program the same kernels are compiled over and over, also those that it never comes to. Called by
address, each is compiled once, by itself, and only where it is used.
"""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils, types

from fastinit.kernels.jit import intrinsic

__all__ = ["address_of", "call"]


def address_of(function: Any, *arguments: Any) -> int:
    """Return the address of a compiled function of arguments of these types.

    Parameters
    ----------
    function : compiled function
        One that returns nothing and, but for what its author could not foresee, raises nothing:
        an exception is printed and does not reach the caller.
    *arguments
        Examples of its arguments.

    Returns
    -------
    int
        What `call` takes; valid in this process.
    """
    signature = tuple(numba.typeof(argument) for argument in arguments)
    function.compile(signature)
    result = function.overloads[signature]
    return int(result.library.get_pointer_to_function(result.fndesc.llvm_cfunc_wrapper_name))


@intrinsic
def call(typing: Any, address: Any, arguments: Any) -> Any:
    """Call, inside compiled code, the function at an address with a tuple of arguments.

    Their types must be those that `address_of` was given: nothing checks it.
    """

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        parts = cgutils.unpack_tuple(builder, values[1], len(arguments))
        function = ir.FunctionType(ir.VoidType(), [part.type for part in parts])
        builder.call(builder.inttoptr(values[0], function.as_pointer()), parts)
        return context.get_dummy_value()

    return types.void(types.uint64, arguments), codegen
