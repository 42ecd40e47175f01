"""Matrix products: every element is one chain of fused multiply-adds, however they are cut."""

from fractions import Fraction

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.registry import cpu_target

from fastinit.kernels import elementary, matmul

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
# Where the processor cannot fuse, the kernels multiply and add.
FUSED = matmul.Processor(cpu_target.target_context).has_fma
GUARD = 7


@numba.njit
def product(transposed, sizes, a, a_layout, b, b_layout, c, c_layout, accumulate):
    m, n, k = sizes
    a_start, a_row, a_column = a_layout
    if transposed:
        matmul.matmul_transposed(
            m, n, k, a, a_start, a_row, a_column, b, b_layout[0], b_layout[1],
            c, c_layout[0], c_layout[1], accumulate,
        )  # fmt: skip
    else:
        matmul.matmul(
            m, n, k, a, a_start, a_row, a_column, b, b_layout[0], b_layout[1],
            c, c_layout[0], c_layout[1], accumulate,
        )  # fmt: skip


@numba.njit
def fma(a, b, c, out):
    for i in range(a.size):
        out[i] = elementary.fma(a[i], b[i], c[i])


def two_sum(a, b):
    """Return a + b, rounded, and the rounding error."""
    total = a + b
    other = total - a
    return total, (a - (total - other)) + (b - other)


def split(a):
    """Return the upper and the lower half of the digits of each number."""
    digits = np.finfo(a.dtype).nmant + 1
    scaled = a * a.dtype.type(2 ** ((digits + 1) // 2) + 1)
    upper = scaled - (scaled - a)
    return upper, a - upper


def naive_fma(a, b, c):
    """a * b + c rounded once: Boldo and Melquiond, "Emulation of FMA and correctly rounded sums".

    The product and the sums are carried with their errors; what is left of them is rounded so that
    its last digit is odd where it is not exact, and then rounding the total is right.
    """
    (a_upper, a_lower), (b_upper, b_lower) = split(a), split(b)
    product = a * b
    error = ((a_upper * b_upper - product) + a_upper * b_lower + a_lower * b_upper) + (
        a_lower * b_lower
    )
    below, lowest = two_sum(c, error)
    total, rest = two_sum(product, below)
    odd, missed = two_sum(rest, lowest)
    integers = np.int32 if a.dtype == np.float32 else np.int64
    even = odd.view(integers) % 2 == 0
    away = np.where((missed > 0) == (odd > 0), 1, -1).astype(integers)
    step = np.where((missed != 0) & even, away, 0).astype(integers)
    return total + (odd.view(integers) + step).view(a.dtype)


def chain(a, b, start):
    """Each element of start + A @ B as one chain over k."""
    total = start.copy()
    for p in range(a.shape[1]):
        column, row = np.repeat(a[:, p : p + 1], b.shape[1], 1), np.repeat(b[p : p + 1], len(a), 0)
        total = naive_fma(column, row, total) if FUSED else column * row + total
    return total


def place(matrix, pad, column_major=False, fill=np.nan):
    """Return a matrix as a region of a flat array, and its start, row step and column step."""
    stored = matrix.T if column_major else matrix
    buffer = np.full((stored.shape[0], stored.shape[1] + pad), fill, matrix.dtype)
    buffer[:, : stored.shape[1]] = stored
    guard = np.full(GUARD, fill, matrix.dtype)
    flat = np.concatenate([guard, buffer.ravel(), guard])
    row, column = buffer.shape[1], 1
    return flat, (GUARD, column, row) if column_major else (GUARD, row, column)


def compute(a, b, start=None, transposed=False, column_major=False, pad=0):
    """Return A @ B, or that added to `start`; nothing but C may be read or written."""
    sizes = a.shape[0], b.shape[1], a.shape[1]
    flat_a, a_layout = place(a, pad, column_major)
    flat_b, b_layout = place(b.T if transposed else b, pad)
    before = np.full((sizes[0], sizes[1]), np.nan, a.dtype) if start is None else start
    flat_c, c_layout = place(before, pad, fill=99.0)
    product(
        transposed, sizes, flat_a, a_layout, flat_b, b_layout[:2], flat_c, c_layout[:2],
        start is not None,
    )  # fmt: skip
    row = sizes[1] + pad
    body = flat_c[GUARD : flat_c.size - GUARD].reshape(sizes[0], row)
    outside = np.concatenate([flat_c[:GUARD], body[:, sizes[1] :].ravel(), flat_c[-GUARD:]])
    np.testing.assert_array_equal(outside, 99.0)
    return body[:, : sizes[1]].copy()


def normals(seed, *shapes, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def nearest(value, dtype):
    """The number of a dtype nearest to a fraction; ties do not occur below."""
    guess = dtype(float(value))
    near = [guess, *(np.nextafter(guess, dtype(end), dtype=dtype) for end in (-np.inf, np.inf))]
    return min(near, key=lambda number: abs(Fraction(float(number)) - value))


@both_dtypes
def test_fma_rounds_once(dtype):
    scales = (2.0 ** np.random.default_rng(1).integers(-30, 30, 1000)).astype(dtype)
    a, b, c = normals(0, 1000, 1000, 1000, dtype=dtype)
    c = np.concatenate([c[:500] * scales[:500], -(a * b)[500:]])  # the last: what cancels
    out = np.empty_like(a)
    fma(a, b, c, out)
    numbers = [[Fraction(float(x)) for x in array] for array in (a, b, c)]
    exact = [nearest(x * y + z, dtype) for x, y, z in zip(*numbers, strict=True)]
    np.testing.assert_array_equal(naive_fma(a, b, c), exact)  # the oracle
    np.testing.assert_array_equal(out, exact)
    assert (a * b + c != exact).mean() > 0.3  # and two roundings would be seen


@both_dtypes
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(
    "sizes",
    [(0, 3, 2), (3, 0, 2), (3, 2, 0), (1, 1, 1), (6, 64, 5), (7, 65, 129), (5, 37, 128),
     (13, 3, 300), (70, 1, 150), (1, 70, 150)],
)  # fmt: skip
def test_every_element_is_a_chain(sizes, transposed, dtype):
    m, n, k = sizes
    a, b, start = normals(0, (m, k), (k, n), (m, n), dtype=dtype)
    for column_major, pad in ((False, 0), (False, 3), (True, 0), (True, 3)):
        options = {"transposed": transposed, "column_major": column_major, "pad": pad}
        np.testing.assert_array_equal(compute(a, b, **options), chain(a, b, np.zeros_like(start)))
        np.testing.assert_array_equal(compute(a, b, start, **options), chain(a, b, start))


@both_dtypes
@pytest.mark.parametrize("transposed", [False, True])
def test_a_product_through_panels_is_the_same_chain(transposed, dtype):
    a, b, start = normals(0, (17, 300), (300, 101), (17, 101), dtype=dtype)
    assert matmul.PANEL_FROM_ELEMENTS <= 300 * 101
    assert len(a) >= matmul.PANEL_FROM_ROWS
    for pad in (0, 3):
        got = compute(a, b, start, transposed=transposed, pad=pad)
        np.testing.assert_array_equal(got, chain(a, b, start))
        # Fewer rows do not use a panel.
        np.testing.assert_array_equal(compute(a[:15], b, start[:15], pad=pad), got[:15])


@numba.njit
def product_plus_bias(a, b, bias, c):
    m, n = c.shape
    matmul.matmul_plus_bias(
        m, n, a.shape[1], a.reshape(a.size), b.reshape(b.size), bias, c.reshape(c.size)
    )


@both_dtypes
@pytest.mark.parametrize(
    "sizes", [(0, 3, 2), (3, 2, 0), (3, 1, 0), (20, 1, 40), (7, 70, 129), (17, 101, 300)]
)
def test_a_sum_begins_with_its_bias(sizes, dtype):
    m, n, k = sizes
    a, b, bias = normals(0, (m, k), (k, n), n, dtype=dtype)
    out = np.full((m, n), np.nan, dtype)
    product_plus_bias(a, b, bias, out)
    np.testing.assert_array_equal(out, chain(a, b, np.tile(bias, (m, 1))))


@settings(max_examples=60)
@given(
    st.tuples(st.integers(0, 20), st.integers(0, 140), st.integers(0, 140)),
    st.booleans(),
    st.booleans(),
    st.integers(0, 5),
    st.sampled_from([np.float32, np.float64]),
)
def test_products_of_integers_are_exact(sizes, transposed, column_major, pad, dtype):
    m, n, k = sizes
    rng = np.random.default_rng(n)
    a, b, start = (rng.integers(-9, 10, shape) for shape in ((m, k), (k, n), (m, n)))
    got = compute(
        a.astype(dtype), b.astype(dtype), start.astype(dtype), transposed, column_major, pad
    )
    np.testing.assert_array_equal(got, start + a @ b)


@settings(max_examples=60)
@given(st.data(), st.sampled_from([np.float32, np.float64]), st.booleans())
def test_bits_do_not_depend_on_how_a_product_is_cut(data, dtype, transposed):
    m, n, k = (data.draw(st.integers(1, most)) for most in (40, 150, 300))
    a, b = normals(m, (m, k), (k, n), dtype=dtype)
    whole = compute(a, b, transposed=transposed)
    i, j, p = (data.draw(st.integers(0, size)) for size in (m, n, k))
    parts = [
        [compute(rows, columns, transposed=transposed) for columns in (b[:, :j], b[:, j:])]
        for rows in (a[:i], a[i:])
    ]
    np.testing.assert_array_equal(np.block(parts), whole)
    first = compute(a[:, :p], b[:p], transposed=not transposed)
    np.testing.assert_array_equal(compute(a[:, p:], b[p:], first, transposed), whole)


def test_what_is_not_finite_stays_in_its_row_and_column():
    a, b = np.ones((8, 5)), np.ones((5, 70))
    a[2, 1], b[3, 66] = np.inf, np.nan
    expected = np.full((8, 70), 5.0)
    expected[2], expected[:, 66] = np.inf, np.nan
    np.testing.assert_array_equal(compute(a, b), expected)
    b[:] = 0
    expected[:], expected[2] = 0.0, np.nan  # infinity times 0
    np.testing.assert_array_equal(compute(a, b), expected)


@both_dtypes
@settings(max_examples=40)
@given(st.integers(0, 70), st.integers(0, 70), st.integers(0, 3))
def test_transpose(dtype, rows, columns, pad):
    (a,) = normals(rows, (rows, columns), dtype=dtype)
    flat_a, (a_start, a_row, _) = place(a, pad)
    before = np.full((columns, rows), np.nan, dtype)
    flat, (start, row, _) = place(before, pad, fill=99.0)
    expected, _ = place(np.ascontiguousarray(a.T), pad, fill=99.0)
    matmul.transpose(rows, columns, flat_a, a_start, a_row, flat, start, row)
    np.testing.assert_array_equal(flat, expected)
