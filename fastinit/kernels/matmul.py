"""Matrix products whose every element is one chain of fused multiply-adds, in the order of the sum.

So an element does not depend on how a product is cut into tiles or over threads, nor on the
processor, as long as it has the fused multiply-add (x86-64 since 2013, every aarch64). BLAS
promises neither, and small products are faster here: there is nothing to dispatch or to pack.

A, B and C are regions of flat arrays, so time steps, transposes and rows of larger matrices need
no copy. A tile of C, 6 rows by 4 vectors (2 where the processor has 16 registers), stays in
registers while A and B pass by. Where B is large, 128 of its rows at a time are copied into a panel
of so many columns, on the stack: rows far apart would fall upon each other in the cache.

`matmul` is what kernels are built from; it checks nothing.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types

from fastinit.kernels.jit import FloatArray, intrinsic, njit
from fastinit.sampling.jit import inlined

__all__ = ["matmul", "matmul_plus_bias", "matmul_transposed", "product", "transpose"]

TILE_ROWS = 6
LOW_TILE_ROWS = 2  # for the last rows, where there are no more than 4
PANEL_ROWS = 128
PANEL_BYTES = 32768  # PANEL_ROWS rows of 4 vectors of 64 bytes
# From so many elements of B, and so many rows that use them, a panel pays.
PANEL_FROM_ELEMENTS = 30000
PANEL_FROM_ROWS = 16

INT = ir.IntType(64)
INT32 = ir.IntType(32)


class Processor:
    """What the code is compiled for: width of its vectors, registers, instructions."""

    def __init__(self, context: Any) -> None:
        features = context.codegen()._tm_features
        arm = context.codegen()._tm.triple.startswith(("aarch64", "arm64"))
        avx, avx512 = "+avx2" in features, "+avx512f" in features
        self.vector_bytes = 64 if avx512 else 32 if avx else 16
        self.tile_vectors = 4 if avx512 or arm else 2
        self.has_fma = arm or "+fma" in features
        self.has_masks = avx


class Vector:
    """Builds the instructions on one vector of the elements of an array."""

    def __init__(self, context: Any, builder: Any, array: Any) -> None:
        self.builder, self.processor = builder, Processor(context)
        self.element = context.get_data_type(array.dtype)
        self.bytes = array.dtype.bitwidth // 8
        self.lanes = self.processor.vector_bytes // self.bytes
        self.type = ir.VectorType(self.element, self.lanes)
        self.suffix = f"v{self.lanes}f{array.dtype.bitwidth}"

    def load(self, pointer: Any) -> Any:
        """Return the vector at an address of any alignment."""
        return self.builder.load(self._cast(pointer), align=self.bytes)

    def store(self, value: Any, pointer: Any) -> None:
        """Store a vector at an address of any alignment."""
        self.builder.store(value, self._cast(pointer), align=self.bytes)

    def mask(self, count: Any) -> Any:
        """Return a mask of the first `count` lanes."""
        lanes = ir.VectorType(INT, self.lanes)
        numbers = ir.Constant(lanes, [ir.Constant(INT, i) for i in range(self.lanes)])
        return self.builder.icmp_signed("<", numbers, self._splat(count, lanes))

    def load_masked(self, pointer: Any, mask: Any) -> Any:
        """Return the vector at an address, with zeros where the mask is off and no access."""
        operands = [self._cast(pointer), ir.Constant(INT32, self.bytes), mask, self.zero()]
        return self._call("masked.load", self.type, operands, ".p0")

    def store_masked(self, value: Any, pointer: Any, mask: Any) -> None:
        """Store the lanes where the mask is on."""
        operands = [value, self._cast(pointer), ir.Constant(INT32, self.bytes), mask]
        self._call("masked.store", ir.VoidType(), operands, ".p0")

    def broadcast(self, pointer: Any) -> Any:
        """Return a vector all of whose lanes are the element at an address."""
        return self._splat(self.builder.load(pointer, align=self.bytes), self.type)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """Return a * b + c, rounded once where the processor can."""
        if self.processor.has_fma:
            return self._call("fma", self.type, [a, b, c])
        return self.builder.fadd(self.builder.fmul(a, b), c)

    def interleave(self, a: Any, b: Any) -> tuple[Any, Any]:
        """Return the lanes of two vectors, one of `a`, one of `b` and so on, as two vectors."""
        order = [i // 2 + (i % 2) * self.lanes for i in range(2 * self.lanes)]
        halves = order[: self.lanes], order[self.lanes :]
        low, high = (
            self.builder.shuffle_vector(
                a, b, ir.Constant(ir.VectorType(INT32, self.lanes), [INT32(i) for i in half])
            )
            for half in halves
        )
        return low, high

    def zero(self) -> Any:
        """Return a vector of zeros."""
        return ir.Constant(self.type, None)

    def _cast(self, pointer: Any) -> Any:
        return self.builder.bitcast(pointer, self.type.as_pointer())

    def _splat(self, value: Any, vector: Any) -> Any:
        undefined = ir.Constant(vector, ir.Undefined)
        first = self.builder.insert_element(undefined, value, ir.Constant(INT32, 0))
        zeros = ir.Constant(ir.VectorType(INT32, self.lanes), None)
        return self.builder.shuffle_vector(first, undefined, zeros)

    def _call(self, name: str, result: Any, operands: list[Any], pointers: str = "") -> Any:
        signature = ir.FunctionType(result, [operand.type for operand in operands])
        function = cgutils.get_or_insert_function(
            self.builder.module, signature, f"llvm.{name}.{self.suffix}{pointers}"
        )
        return self.builder.call(function, operands)


def _address(context: Any, builder: Any, array: types.Array, value: Any, index: Any) -> Any:
    """Return the address of an element of a flat array."""
    return builder.gep(context.make_array(array)(context, builder, value=value).data, [index])


def _tile(tile_rows: int, vectors_of: Any, masked: bool) -> Any:
    """Return the code of one tile: `tile_rows` rows by ``vectors_of(processor)`` vectors.

    Of a tile that has fewer rows the last is computed several times over. A masked tile is one
    vector wide, of which `columns` lanes are used.
    """

    @intrinsic
    def tile(
        typing, rows, columns, k, a, a_start, a_row, a_column, b, b_start, b_row,
        initial, initial_start, initial_row, from_initial, c, c_start, c_row,
    ):  # fmt: skip
        index = types.intp
        signature = types.void(
            index, index, index, a, index, index, index, b, index, index,
            initial, index, index, types.boolean, c, index, index,
        )  # fmt: skip

        def codegen(context, builder, signature, arguments):
            (
                rows, columns, k, a, a_start, a_row, a_column, b, b_start, b_row,
                initial, initial_start, initial_row, from_initial, c, c_start, c_row,
            ) = arguments  # fmt: skip
            arrays = signature.args
            vector = Vector(context, builder, arrays[3])
            vectors = range(vectors_of(vector.processor))
            mask = vector.mask(columns) if masked else None
            partial_b = masked and vector.processor.has_masks

            def load(pointer, partial=masked):
                return vector.load_masked(pointer, mask) if partial else vector.load(pointer)

            def offset(start, row, row_step, v=0):
                lane = ir.Constant(INT, v * vector.lanes)
                return builder.add(builder.add(start, builder.mul(row, row_step)), lane)

            last = builder.sub(rows, INT(1))
            chosen = [
                builder.select(builder.icmp_signed("<", INT(r), last), INT(r), last)
                for r in range(tile_rows)
            ]
            sums = [[cgutils.alloca_once(builder, vector.type) for _ in vectors] for _ in chosen]
            with builder.if_else(from_initial) as (then, otherwise):
                with then:
                    for row, row_sums in zip(chosen, sums, strict=True):
                        for v, total in zip(vectors, row_sums, strict=True):
                            at = offset(initial_start, row, initial_row, v)
                            pointer = _address(context, builder, arrays[10], initial, at)
                            builder.store(load(pointer), total)
                with otherwise:
                    for total in (total for row_sums in sums for total in row_sums):
                        builder.store(vector.zero(), total)
            a_rows = [
                _address(context, builder, arrays[3], a, offset(a_start, row, a_row))
                for row in chosen
            ]
            b_first = _address(context, builder, arrays[7], b, b_start)
            with cgutils.for_range(builder, k) as loop:
                b_here = builder.gep(b_first, [builder.mul(loop.index, b_row)])
                lanes = [INT(v * vector.lanes) for v in vectors]
                bs = [load(builder.gep(b_here, [lane]), partial_b) for lane in lanes]
                a_step = builder.mul(loop.index, a_column)
                for pointer, row_sums in zip(a_rows, sums, strict=True):
                    factor = vector.broadcast(builder.gep(pointer, [a_step]))
                    for other, total in zip(bs, row_sums, strict=True):
                        builder.store(vector.fma(factor, other, builder.load(total)), total)
            for row, row_sums in zip(chosen, sums, strict=True):
                for v, total in zip(vectors, row_sums, strict=True):
                    at = offset(c_start, row, c_row, v)
                    pointer = _address(context, builder, arrays[14], c, at)
                    if masked:
                        vector.store_masked(builder.load(total), pointer, mask)
                    else:
                        vector.store(builder.load(total), pointer)
            return context.get_dummy_value()

        return signature, codegen

    return tile


_wide_tile = _tile(TILE_ROWS, lambda processor: processor.tile_vectors, masked=False)
_low_tile = _tile(LOW_TILE_ROWS, lambda processor: processor.tile_vectors, masked=False)
_vector_tile = _tile(TILE_ROWS, lambda processor: 1, masked=False)
_ragged_tile = _tile(TILE_ROWS, lambda processor: 1, masked=True)


@intrinsic
def _lanes(typing, array):
    """Return how many elements a vector holds."""

    def codegen(context, builder, signature, arguments):
        return INT(Vector(context, builder, signature.args[0]).lanes)

    return types.intp(array), codegen


@intrinsic
def _tile_vectors(typing, array):
    """Return how many vectors a wide tile spans."""

    def codegen(context, builder, signature, arguments):
        return INT(Processor(context).tile_vectors)

    return types.intp(array), codegen


@intrinsic
def _has_masks(typing, array):
    """Return whether loading a part of a vector is one instruction."""

    def codegen(context, builder, signature, arguments):
        return ir.Constant(ir.IntType(1), int(Processor(context).has_masks))

    return types.boolean(array), codegen


@intrinsic
def _panel(typing, array):
    """Return the address of `PANEL_BYTES` bytes on the calling function's stack."""

    def codegen(context, builder, signature, arguments):
        element = context.get_data_type(signature.args[0].dtype)
        count = PANEL_BYTES // (signature.args[0].dtype.bitwidth // 8)
        with builder.goto_entry_block():
            room = builder.alloca(ir.ArrayType(element, count))
            room.align = 64
        return builder.bitcast(room, element.as_pointer())

    return types.CPointer(array.dtype)(array), codegen


@intrinsic
def _copy_vectors(typing, count, a, a_start, out, out_start):
    """Copy so many whole vectors, at most 4."""
    index = types.intp

    def codegen(context, builder, signature, arguments):
        count, a, a_start, out, out_start = arguments
        vector = Vector(context, builder, signature.args[1])
        source = _address(context, builder, signature.args[1], a, a_start)
        target = _address(context, builder, signature.args[3], out, out_start)
        for v in range(Processor(context).tile_vectors):
            with builder.if_then(builder.icmp_signed("<", INT(v), count)):
                at = [INT(v * vector.lanes)]
                vector.store(vector.load(builder.gep(source, at)), builder.gep(target, at))
        return context.get_dummy_value()

    return types.void(index, a, index, out, index), codegen


@intrinsic
def _transpose_block(typing, a, a_start, a_row, out, out_start, out_row):
    """Transpose a square block, as wide as a vector, in registers."""
    index = types.intp

    def codegen(context, builder, signature, arguments):
        a, a_start, a_row, out, out_start, out_row = arguments
        vector = Vector(context, builder, signature.args[0])
        source = _address(context, builder, signature.args[0], a, a_start)
        target = _address(context, builder, signature.args[3], out, out_start)
        rows = [
            vector.load(builder.gep(source, [builder.mul(INT(i), a_row)]))
            for i in range(vector.lanes)
        ]
        # Interleaving the halves of the list log2(lanes) times is the transposition.
        for _ in range(vector.lanes.bit_length() - 1):
            half = vector.lanes // 2
            pairs = zip(rows[:half], rows[half:], strict=True)
            rows = [row for a_row, b_row in pairs for row in vector.interleave(a_row, b_row)]
        for i, row in enumerate(rows):
            vector.store(row, builder.gep(target, [builder.mul(INT(i), out_row)]))
        return context.get_dummy_value()

    return types.void(a, index, index, out, index, index), codegen


@njit
def transpose(
    rows: int,
    columns: int,
    a: FloatArray,
    a_start: int,
    a_row: int,
    out: FloatArray,
    out_start: int,
    out_row: int,
) -> None:
    """Write ``out[j, i] = A[i, j]``, for flat arrays.

    Parameters
    ----------
    rows, columns : int
        Shape of A.
    a : ndarray, shape (size,)
        Holds ``A[i, j]`` at ``a_start + i * a_row + j``.
    a_start, a_row : int
        Where A begins, and how far apart its rows are.
    out : ndarray, shape (size,)
        Gets ``A[i, j]`` at ``out_start + j * out_row + i``; must not overlap A.
    out_start, out_row : int
        Likewise.
    """
    lanes = _lanes(a)
    whole_rows, whole_columns = rows - rows % lanes, columns - columns % lanes
    for i in range(0, whole_rows, lanes):
        for j in range(0, whole_columns, lanes):
            _transpose_block(
                a, a_start + i * a_row + j, a_row, out, out_start + j * out_row + i, out_row
            )
        for j in range(whole_columns, columns):
            for r in range(i, i + lanes):
                out[out_start + j * out_row + r] = a[a_start + r * a_row + j]
    for i in range(whole_rows, rows):
        for j in range(columns):
            out[out_start + j * out_row + i] = a[a_start + i * a_row + j]


@njit
def _fill_panel(panel, width, columns, k, b, b_start, b_row):
    """Copy k rows of `columns` elements to the panel, whose rows are `width` apart."""
    lanes = _lanes(b)
    vectors = columns // lanes
    for p in range(k):
        _copy_vectors(vectors, b, b_start + p * b_row, panel, p * width)
        for j in range(vectors * lanes, columns):
            panel[p * width + j] = b[b_start + p * b_row + j]


@njit
def _tiles(
    m, n, k, a, a_start, a_row, a_column, b, b_start, b_row,
    initial, initial_start, initial_row, from_initial, c, c_start, c_row,
):  # fmt: skip
    """Compute a product of at most a wide tile's columns and a panel's depth."""
    lanes = _lanes(a)
    j = 0
    if n == _tile_vectors(a) * lanes:
        high = m - m % TILE_ROWS if m % TILE_ROWS <= 2 * LOW_TILE_ROWS else m
        for i in range(0, high, TILE_ROWS):
            _wide_tile(
                m - i, n, k, a, a_start + i * a_row, a_row, a_column, b, b_start, b_row,
                initial, initial_start + i * initial_row, initial_row, from_initial,
                c, c_start + i * c_row, c_row,
            )  # fmt: skip
        for i in range(high, m, LOW_TILE_ROWS):
            _low_tile(
                m - i, n, k, a, a_start + i * a_row, a_row, a_column, b, b_start, b_row,
                initial, initial_start + i * initial_row, initial_row, from_initial,
                c, c_start + i * c_row, c_row,
            )  # fmt: skip
        j = n
    while j + lanes <= n:
        for i in range(0, m, TILE_ROWS):
            _vector_tile(
                m - i, lanes, k, a, a_start + i * a_row, a_row, a_column, b, b_start + j, b_row,
                initial, initial_start + i * initial_row + j, initial_row, from_initial,
                c, c_start + i * c_row + j, c_row,
            )  # fmt: skip
        j += lanes
    if j < n:
        for i in range(0, m, TILE_ROWS):
            _ragged_tile(
                m - i, n - j, k, a, a_start + i * a_row, a_row, a_column, b, b_start + j, b_row,
                initial, initial_start + i * initial_row + j, initial_row, from_initial,
                c, c_start + i * c_row + j, c_row,
            )  # fmt: skip


@njit
def product(
    m, n, k, a, a_start, a_row, a_column, b, b_start, b_row, transposed, c, c_start, c_row,
    from_initial, initial, initial_start, initial_row,
):  # fmt: skip
    """Do what `matmul` does, or `matmul_transposed`: the one that is compiled.

    With `from_initial` a sum begins with ``initial[initial_start + i * initial_row + j]``: what C
    holds, or a bias, the same for all rows.
    """
    if n == 1 < m and c_row == 1 and not transposed and (a_row == 1 or a_column == 1):
        # One column would waste all lanes but one: compute its transpose, a row.
        if from_initial:
            for i in range(m):
                c[c_start + i] = initial[initial_start + i * initial_row]
        m, n, c_row, transposed = n, m, m, a_row != 1
        a, a_start, a_column, b, b_start, b_row = (
            b,
            b_start,
            b_row,
            a,
            a_start,
            max(a_row, a_column),
        )
        initial, initial_start, initial_row = c, c_start, c_row
    width = _tile_vectors(a) * _lanes(a)
    panel, top = numba.carray(_panel(a), PANEL_ROWS * width), np.int64(0)
    large = k * b_row >= PANEL_FROM_ELEMENTS and m >= PANEL_FROM_ROWS
    # With k = 0 there is one round, which writes what the sums begin with.
    for p in range(0, max(k, 1), PANEL_ROWS):
        depth = min(PANEL_ROWS, k - p)
        a_here = a_start + p * a_column
        if p > 0:
            from_initial, initial, initial_start, initial_row = True, c, c_start, c_row
        for j in range(0, n, width):
            columns = min(width, n - j)
            ragged = columns % _lanes(a) != 0 and not _has_masks(a)
            rows, rows_start, rows_row = b, b_start + p * b_row + j, b_row
            if transposed:
                transpose(columns, depth, b, b_start + j * b_row + p, b_row, panel, top, width)
            elif large or ragged:
                _fill_panel(panel, width, columns, depth, b, rows_start, b_row)
            if transposed or large or ragged:
                rows, rows_start, rows_row = panel, top, width
            _tiles(
                m, columns, depth, a, a_here, a_row, a_column, rows, rows_start, rows_row,
                initial, initial_start + j, initial_row, from_initial, c, c_start + j, c_row,
            )  # fmt: skip


@inlined
def matmul(
    m: int,
    n: int,
    k: int,
    a: FloatArray,
    a_start: int,
    a_row: int,
    a_column: int,
    b: FloatArray,
    b_start: int,
    b_row: int,
    c: FloatArray,
    c_start: int,
    c_row: int,
    accumulate: bool,
) -> None:
    """Write ``C = A @ B``, or add it to C, for flat arrays.

    Every element is ``fma(A[i, k-1], B[k-1, j], ... fma(A[i, 0], B[0, j], C[i, j] or 0))``.

    Parameters
    ----------
    m, n, k : int
        C is (m, n), A is (m, k), B is (k, n); any may be 0.
    a : ndarray, shape (size,)
        Holds ``A[i, p]`` at ``a_start + i * a_row + p * a_column``. All arrays are of one dtype,
        float32 or float64.
    a_start, a_row, a_column : int
        Where A begins, and how far apart its rows and its columns are: ``(k, 1)`` for a whole
        matrix, ``(1, m)`` for the transpose of one.
    b : ndarray, shape (size,)
        Holds ``B[p, j]`` at ``b_start + p * b_row + j``.
    b_start, b_row : int
        Likewise.
    c : ndarray, shape (size,)
        Gets ``C[i, j]`` at ``c_start + i * c_row + j``; C must not overlap A or B.
    c_start, c_row : int
        Likewise.
    accumulate : bool
        Whether to add to what C holds.
    """
    # Numba would compile a product for each literal among the arguments.
    product(
        np.int64(m), np.int64(n), np.int64(k), a, np.int64(a_start), np.int64(a_row),
        np.int64(a_column), b, np.int64(b_start), np.int64(b_row), np.bool_(False),
        c, np.int64(c_start), np.int64(c_row), np.bool_(accumulate),
        c, np.int64(c_start), np.int64(c_row),
    )  # fmt: skip


@inlined
def matmul_plus_bias(
    m: int,
    n: int,
    k: int,
    a: FloatArray,
    b: FloatArray,
    bias: FloatArray,
    c: FloatArray,
) -> None:
    """Write ``C = A @ B + bias`` for whole matrices: every sum begins with its bias.

    Parameters
    ----------
    m, n, k : int
        C is (m, n), A is (m, k), B is (k, n).
    a, b, c : ndarray, shape (size,)
        The elements of the matrices, row after row.
    bias : ndarray, shape (n,)
        Added to every row.
    """
    zero, one = np.int64(0), np.int64(1)
    rows, columns, depth = np.int64(m), np.int64(n), np.int64(k)
    product(
        rows, columns, depth, a, zero, depth, one, b, zero, columns, np.bool_(False),
        c, zero, columns, np.bool_(True), bias, zero, zero,
    )  # fmt: skip


@inlined
def matmul_transposed(
    m: int,
    n: int,
    k: int,
    a: FloatArray,
    a_start: int,
    a_row: int,
    a_column: int,
    b: FloatArray,
    b_start: int,
    b_row: int,
    c: FloatArray,
    c_start: int,
    c_row: int,
    accumulate: bool,
) -> None:
    """Write ``C = A @ B.T``, or add it to C: as `matmul`, but B is (n, k).

    Parameters
    ----------
    m, n, k, a, a_start, a_row, a_column, c, c_start, c_row, accumulate
        As `matmul`.
    b : ndarray, shape (size,)
        Holds ``B[j, p]`` at ``b_start + j * b_row + p``.
    b_start, b_row : int
        Where B begins, and how far apart its rows are.
    """
    # Numba would compile a product for each literal among the arguments.
    product(
        np.int64(m), np.int64(n), np.int64(k), a, np.int64(a_start), np.int64(a_row),
        np.int64(a_column), b, np.int64(b_start), np.int64(b_row), np.bool_(True),
        c, np.int64(c_start), np.int64(c_row), np.bool_(accumulate),
        c, np.int64(c_start), np.int64(c_row),
    )  # fmt: skip
