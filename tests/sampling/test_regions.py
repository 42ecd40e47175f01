"""Any part of a tensor equals that part of the whole."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastinit
from fastinit.errors import ArgumentIndexError, ArgumentTypeError

MAKERS = {
    "normal": lambda shape, **kw: fastinit.normal(shape, 0.0, 1.0, **kw),
    "uniform": lambda shape, **kw: fastinit.uniform(shape, -1.0, 1.0, **kw),
    "truncated_normal": lambda shape, **kw: fastinit.truncated_normal(shape, 0.0, 1.0, **kw),
}


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


@settings(max_examples=200, deadline=None)
@given(
    shapes_and_indices(), st.sampled_from(sorted(MAKERS)), st.sampled_from([np.float32, np.float64])
)
def test_a_slice_equals_the_slice_of_the_whole(case, maker, dtype):
    shape, index = case
    whole = MAKERS[maker](shape, seed=5, dtype=dtype)
    part = MAKERS[maker](shape, seed=5, dtype=dtype, index=index)
    expected = whole[index]
    assert part.shape == expected.shape
    assert part.dtype == dtype
    np.testing.assert_array_equal(part, expected)
    out = np.empty(expected.shape, dtype)
    assert MAKERS[maker](shape, seed=5, dtype=dtype, index=index, out=out) is out
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
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
