"""Any part of a tensor equals that part of the whole."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import fastinit
from fastinit.errors import ArgumentError, ArgumentIndexError, ArgumentTypeError
from fastinit.sampling import Normal, region_of
from tests import naive

MAKERS = {
    "normal": lambda shape, **kw: fastinit.normal(shape, 0.0, 1.0, **kw),
    "uniform": lambda shape, **kw: fastinit.uniform(shape, -1.0, 1.0, **kw),
    "truncated_normal": lambda shape, **kw: fastinit.truncated_normal(shape, 0.0, 1.0, **kw),
    "rademacher": lambda shape, **kw: fastinit.rademacher(shape, **kw),
}
DTYPES = ["float32", "float64", "float16", "bfloat16", "complex64", "complex128"]


@st.composite
def shapes_and_indices(draw):
    shape = tuple(draw(st.lists(st.integers(0, 40), min_size=1, max_size=3)))
    picks = []
    for size in shape[: draw(st.integers(0, len(shape)))]:
        bound = st.none() | st.integers(-size - 2, size + 2)
        step = st.none() | st.integers(-5, 5).filter(bool)
        kinds = st.builds(slice, bound, bound, step)
        if size:
            kinds = kinds | st.integers(-size, size - 1)
        picks.append(draw(kinds))
    if draw(st.booleans()):
        picks.insert(draw(st.integers(0, len(picks))), Ellipsis)
        # what follows an ellipsis selects from the last axes: keep the integers within bounds
        picks = [p if not isinstance(p, int) else slice(p, None) for p in picks]
    return shape, tuple(picks)


@settings(max_examples=200)
@given(shapes_and_indices(), st.sampled_from(sorted(MAKERS)), st.sampled_from(DTYPES))
def test_a_slice_equals_the_slice_of_the_whole(case, maker, dtype):
    shape, index = case
    assume(maker != "rademacher" or not dtype.startswith("complex"))
    whole = MAKERS[maker](shape, seed=5, dtype=dtype)
    part = MAKERS[maker](shape, seed=5, dtype=dtype, index=index)
    expected = whole[index]
    assert part.shape == expected.shape
    assert part.dtype == dtype
    np.testing.assert_array_equal(part, expected)
    out = np.empty(expected.shape, dtype)
    assert MAKERS[maker](shape, seed=5, dtype=dtype, index=index, out=out) is out
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(
    ("index", "step"), [((-1, slice(-3, None)), 1), ((slice(-3, None), -1), 2**32)], ids=str
)
def test_the_last_elements_there_can_be(index, step):
    drawn = fastinit.normal((2**31, 2**32), 0.0, 1.0, seed=fastinit.Key(1), index=index)
    elements = np.array([2**63 - 1 - k * step for k in (2, 1, 0)], np.uint64)
    expected = naive.values(Normal(0.0, 1.0), 1, elements, "float32")
    np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize("index", [(-1, slice(-3, None)), (0, 0)], ids=str)
def test_more_elements_than_can_be_numbered_are_refused(index):
    shape = (2**32, 2**32)
    with pytest.raises(ArgumentError, match=r"at most 2\*\*63 elements, got shape \(4294967296,"):
        fastinit.normal(shape, seed=1, index=index)


@pytest.mark.parametrize("dtype", DTYPES)
def test_large_random_slices_cross_task_boundaries(dtype):
    size = 3 * 2**21 + 77
    whole = fastinit.normal(size, seed=1, dtype=dtype)
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = sorted(rng.integers(0, size, 2))
        part = fastinit.normal(size, seed=1, dtype=dtype, index=slice(int(a), int(b)))
        np.testing.assert_array_equal(part, whole[a:b])


def test_many_short_runs_equal_the_whole():
    whole = fastinit.uniform((2**17, 9), seed=1)
    np.testing.assert_array_equal(
        fastinit.uniform((2**17, 9), seed=1, index=(slice(None), 4)), whole[:, 4]
    )
    np.testing.assert_array_equal(
        fastinit.uniform((2**17, 9), seed=1, index=(slice(None, None, -1), slice(1, 4))),
        whole[::-1, 1:4],
    )


def test_a_slice_of_a_tensor_larger_than_memory():
    shape = (2**20, 2**20)
    tracemalloc.start()
    rows = fastinit.normal(shape, seed=0, index=slice(2**19, 2**19 + 2))
    corner = fastinit.normal(shape, seed=0, index=(2**19 + 1, slice(-3, None)))
    column = fastinit.normal(shape, seed=0, index=(slice(2**19, 2**19 + 2), -1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(corner, rows[1, -3:])
    np.testing.assert_array_equal(column, rows[:, -1])
    assert peak < 2 * rows.nbytes


def test_the_values_do_not_depend_on_the_shape_of_out():
    flat = fastinit.normal(600, seed=2)
    np.testing.assert_array_equal(fastinit.normal((20, 30), seed=2).ravel(), flat)


def test_out_may_be_strided():
    buffer = np.zeros((50, 60), np.float32)
    out = buffer[::2, 10:30]
    assert fastinit.he_normal((25, 20), seed=3, out=out) is out
    np.testing.assert_array_equal(out, fastinit.he_normal((25, 20), seed=3))
    assert not buffer[1::2].any()
    assert not buffer[:, :10].any()


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "complex128"])
def test_strided_out_of_any_shape(dtype):
    shape = (5, 300, 7, 40)
    whole = fastinit.normal(shape, seed=3, dtype=dtype)
    for axes in ((0, 1, 2, 3), (3, 1, 0, 2), (1, 0, 2, 3)):
        memory = np.zeros([shape[axis] for axis in axes], dtype)
        out = memory.transpose(np.argsort(axes))
        assert out.shape == shape
        fastinit.normal(shape, seed=3, dtype=dtype, out=out)
        np.testing.assert_array_equal(out, whole)
    backwards = np.zeros(shape, dtype)[::-1, :, ::-1]
    fastinit.normal(shape, seed=3, dtype=dtype, out=backwards)
    np.testing.assert_array_equal(backwards, whole)


def memory_above(call):
    """Peak memory of a call that Python's allocator sees, NumPy's arrays included."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize(
    ("make", "shape", "index", "dtype", "view"),
    [
        (fastinit.normal, (4096, 4096), None, "float32", np.transpose),
        (fastinit.normal, (4096, 8192), None, "float32", lambda a: a[:, ::2]),
        (fastinit.normal, (4096, 4096), None, "float16", np.transpose),
        (fastinit.normal, (2048, 2048), None, "complex128", np.transpose),
        (fastinit.zeros, (4096, 4096), None, "float32", np.transpose),
        (fastinit.normal, (4096, 4096), None, "bfloat16", lambda a: a),
        (fastinit.uniform, (2**26, 2), (slice(None, 2**24), 1), "float32", lambda a: a),
        (fastinit.uniform, (64, 2**20), (..., slice(None, None, -4)), "float32", lambda a: a),
    ],
)
def test_a_fill_needs_little_memory_above_its_output(make, shape, index, dtype, view):
    part = region_of(shape, index).shape
    out = view(np.empty((part[0], 2 * part[1]) if shape == (4096, 8192) else part, dtype))
    region_shape = out.shape if index is None else shape
    make(region_shape, seed=0, dtype=dtype, out=out, index=index)  # loads what is loaded once
    peak = memory_above(lambda: make(region_shape, seed=0, dtype=dtype, out=out, index=index))
    assert peak < 2 * 2**20 * fastinit.get_num_threads()


def test_perturbing_needs_little_memory_above_its_output():
    for out in (np.zeros((4096, 4096), np.float32), np.zeros((4096, 4096), np.float16).T):
        fastinit.perturb(out, 1.0, seed=0)
        peak = memory_above(lambda out=out: fastinit.perturb(out, 1.0, seed=0))
        assert peak < 2 * 2**20 * fastinit.get_num_threads()


def test_a_second_array_would_be_noticed():
    out = np.empty((4096, 1024), np.float32)
    peak = memory_above(lambda: out.__setitem__(..., fastinit.normal((4096, 1024), seed=0)))
    assert peak > 2 * 2**20 * fastinit.get_num_threads()


def test_empty_and_scalar_tensors():
    assert fastinit.normal((0, 5), seed=0).shape == (0, 5)
    assert fastinit.he_uniform((5, 0), seed=0).shape == (5, 0)
    scalar = fastinit.normal((), seed=0)
    assert scalar.shape == ()
    assert scalar == fastinit.normal(1, seed=0)[0]


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        (4, ArgumentIndexError, "index 4 is out of bounds for axis 0"),
        ((0, -6), ArgumentIndexError, "index -6 is out of bounds for axis 1"),
        ((0, 0, 0), ArgumentIndexError, "has 3 entries"),
        ((..., ...), ArgumentIndexError, "one ellipsis"),
        (1.5, ArgumentTypeError, "got 1.5"),
        ([0, 1], ArgumentTypeError, r"got \[0, 1\]"),
        ((True,), ArgumentTypeError, "got True"),
        (slice(None, None, 0), ArgumentIndexError, "step"),
    ],
)
def test_bad_indices_are_refused(index, error, message):
    with pytest.raises(error, match=message):
        fastinit.normal((4, 5), seed=0, index=index)
