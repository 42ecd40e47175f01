"""Where the threads of a compiled training loop wait for one another."""

from __future__ import annotations

import sys
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from fastinit.kernels.jit import intrinsic, njit

__all__ = ["CALLED_OFF", "gather", "wait"]

INT = ir.IntType(64)
# A thread that waits longer than this lets others run: on a busy machine they hold it up.
SPINS = 4000
# Put into the counter, it ends all waiting, and tells those who come to `gather` to go home.
CALLED_OFF = 2**62


@intrinsic
def _arrive(typing: Any, counter: Any) -> Any:
    """Add one to the first element, and see all that other threads wrote before they did."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, value=arguments[0])
        builder.atomic_rmw("add", array.data, INT(1), "acq_rel")
        return context.get_dummy_value()

    return types.void(counter), codegen


@intrinsic
def _arrived(typing: Any, counter: Any) -> Any:
    """Return the first element as other threads left it."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, value=arguments[0])
        return builder.load_atomic(array.data, "acquire", 8)

    return types.int64(counter), codegen


@intrinsic
def _let_others_run(typing: Any) -> Any:
    """Give the processor to another thread, where the system has a call for it by that name."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if sys.platform != "win32":
            signature = ir.FunctionType(ir.IntType(32), [])
            builder.call(
                cgutils.get_or_insert_function(builder.module, signature, "sched_yield"), []
            )
        return context.get_dummy_value()

    return types.void(), codegen


@njit
def wait(counter: Any, threads: int, meeting: int) -> None:
    """Return when all threads have called this for the same meeting.

    Parameters
    ----------
    counter : ndarray of int64, shape (1,)
        Shared by the threads; 0 before the first meeting.
    threads : int
        How many there are.
    meeting : int
        Number of the meeting, from 1.
    """
    if threads == 1:
        return
    _arrive(counter)
    spins = 0
    while _arrived(counter) < threads * meeting:
        spins += 1
        if spins > SPINS:
            _let_others_run()


@njit
def gather(counter: Any, threads: int) -> bool:
    """Return whether all threads are there: this is the first meeting.

    False where one of them will not come, and the counter was set to `CALLED_OFF`.

    Parameters
    ----------
    counter : ndarray of int64, shape (1,)
        Shared by the threads; 0 before.
    threads : int
        How many there are.
    """
    wait(counter, threads, 1)
    return threads == 1 or _arrived(counter) < CALLED_OFF
