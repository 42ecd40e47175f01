"""Blocks of Householder reflectors, and their product applied to the columns of a panel.

The Numba backend's part of `fastinit.sampling.orthogonal`, with the functions of simd/reflect.h:
each element is the sum of the same terms in the same order. The innermost loops run over columns of
the panel, so LLVM vectorizes them without reordering a sum; several terms are taken in one pass,
and two rows share what is read.

A block is up to four groups of 16 vectors, each group an array of rows of 16 numbers; vector k
begins in row k. Its `system` is square: the products v_k v_l above the diagonal, 2 / v_k v_k on it.
"""

from __future__ import annotations

import numpy as np

from fastinit.sampling.jit import cached, inlined

U64, F64 = np.uint64, np.float64
U1, U2, U3, U4 = U64(1), U64(2), U64(3), U64(4)

GROUP = U64(16)
SUM = 128  # rows that are summed by themselves


@inlined
def _products(sums, vectors, groups, panel, live):
    """Set sums[k] to the product of vector k and each column, whose first `live` rows count."""
    width = U64(panel.shape[1])
    size = groups * GROUP
    part = np.empty((size, width), sums.dtype)
    sums[:] = 0
    for first in range(0, live, SUM):
        last = U64(min(first + SUM, live))
        part[:] = 0
        for g in range(groups):
            i = U64(first)
            while i + U4 <= last:
                for r in range(U64(0), GROUP, U2):
                    a0, a1 = vectors[g, i, r], vectors[g, i + U1, r]
                    a2, a3 = vectors[g, i + U2, r], vectors[g, i + U3, r]
                    b0, b1 = vectors[g, i, r + U1], vectors[g, i + U1, r + U1]
                    b2, b3 = vectors[g, i + U2, r + U1], vectors[g, i + U3, r + U1]
                    k = g * GROUP + r
                    for j in range(width):
                        x0, x1 = panel[i, j], panel[i + U1, j]
                        x2, x3 = panel[i + U2, j], panel[i + U3, j]
                        part[k, j] = (((part[k, j] + a0 * x0) + a1 * x1) + a2 * x2) + a3 * x3
                        part[k + U1, j] = (
                            ((part[k + U1, j] + b0 * x0) + b1 * x1) + b2 * x2
                        ) + b3 * x3
                i += U4
            while i < last:
                for r in range(GROUP):
                    a0 = vectors[g, i, r]
                    k = g * GROUP + r
                    for j in range(width):
                        part[k, j] += a0 * panel[i, j]
                i += U1
        for k in range(size):
            for j in range(width):
                sums[k, j] += part[k, j]


@inlined
def _solve(sums, system):
    """Solve for the columns of sums, from the last row up."""
    size, width = U64(sums.shape[0]), U64(sums.shape[1])
    for back in range(size):
        k = size - U1 - back
        m = k + U1
        while m + U4 <= size:
            a0, a1, a2, a3 = system[k, m], system[k, m + U1], system[k, m + U2], system[k, m + U3]
            for j in range(width):
                sums[k, j] = (
                    ((sums[k, j] - a0 * sums[m, j]) - a1 * sums[m + U1, j]) - a2 * sums[m + U2, j]
                ) - a3 * sums[m + U3, j]
            m += U4
        while m < size:
            a0 = system[k, m]
            for j in range(width):
                sums[k, j] -= a0 * sums[m, j]
            m += U1
        a0 = system[k, k]
        for j in range(width):
            sums[k, j] *= a0


@inlined
def _update(panel, vectors, sums):
    """Take the vectors, times their rows of sums, off the panel."""
    rows, width = U64(panel.shape[0]), U64(panel.shape[1])
    groups = U64(vectors.shape[0])
    part = np.empty((2, width), panel.dtype)
    p0, p1 = U64(0), U64(1)
    i = U64(0)
    while i < rows:
        other = min(i + U1, rows - U1)  # a last row by itself is computed twice
        part[:] = 0
        for g in range(groups):
            for r in range(U64(0), GROUP, U4):
                k = g * GROUP + r
                a0, a1 = vectors[g, i, r], vectors[g, i, r + U1]
                a2, a3 = vectors[g, i, r + U2], vectors[g, i, r + U3]
                b0, b1 = vectors[g, other, r], vectors[g, other, r + U1]
                b2, b3 = vectors[g, other, r + U2], vectors[g, other, r + U3]
                for j in range(width):
                    x0, x1, x2, x3 = sums[k, j], sums[k + U1, j], sums[k + U2, j], sums[k + U3, j]
                    part[p0, j] = (((part[p0, j] + a0 * x0) + a1 * x1) + a2 * x2) + a3 * x3
                    part[p1, j] = (((part[p1, j] + b0 * x0) + b1 * x1) + b2 * x2) + b3 * x3
        for j in range(width):
            panel[i, j] -= part[p0, j]
        if other != i:
            for j in range(width):
                panel[other, j] -= part[p1, j]
        i += U2


@cached
def reflect(vectors, system, panel, live):
    """Apply the reflectors H_1 H_2 ... of a block to a panel; its rows from `live` on are zero."""
    sums = np.empty((system.shape[0], panel.shape[1]), panel.dtype)
    _products(sums, vectors, U64(vectors.shape[0]), panel, live)
    _solve(sums, system)
    _update(panel, vectors, sums)


@cached
def reflectors(vectors, system):
    """Make reflectors of a block of normal numbers, and their system.

    x_k begins in row k; v_k is x_k with its length, signed like its first number, added to that. An
    x_k of one number is negated and reflects nothing, so that one number alone is exactly 1 or -1.
    """
    rows = vectors.shape[1]
    squares, part = np.empty(GROUP, F64), np.empty(GROUP, F64)
    for g in range(U64(vectors.shape[0])):
        top = g * GROUP
        squares[:] = 0  # below the first number
        for first in range(0, rows, SUM):
            part[:] = 0
            for i in range(U64(first), U64(min(first + SUM, rows))):
                if i < top + GROUP:
                    for k in range(GROUP):
                        if i < top + k:
                            vectors[g, i, k] = 0
                        elif i > top + k:
                            part[k] += F64(vectors[g, i, k]) * F64(vectors[g, i, k])
                else:
                    for k in range(GROUP):
                        part[k] += F64(vectors[g, i, k]) * F64(vectors[g, i, k])
            for k in range(GROUP):
                squares[k] += part[k]
        for k in range(GROUP):
            i = top + k
            if i + U1 < U64(rows):
                x = F64(vectors[g, i, k])
                length = np.sqrt(x * x + squares[k])
                vectors[g, i, k] = x - length if x < 0 else x + length
                x = F64(vectors[g, i, k])
                squares[k] += x * x
            else:
                if i + U1 == U64(rows):
                    vectors[g, i, k] = -vectors[g, i, k]
                squares[k] = 0
        products = np.empty((top + GROUP, GROUP), vectors.dtype)
        _products(products, vectors, g + U1, vectors[g], rows)
        for k in range(top + GROUP):
            for j in range(GROUP):
                system[k, top + j] = products[k, j]
        for k in range(GROUP):
            system[top + k, top + k] = F64(2) / squares[k] if squares[k] > 0 else F64(0)
