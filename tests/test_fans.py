"""fan_in and fan_out, from Python and inside @njit."""

import math

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastinit
from fastinit import compute_fans
from fastinit.errors import ArgumentError, ArgumentTypeError

KNOWN = [
    ((784, 128), {}, (784, 128)),
    ((3, 3, 64, 32), {}, (576, 288)),
    ((32, 64, 3, 3), {"in_axis": 1, "out_axis": 0}, (576, 288)),
    ((8, 16, 4, 64), {"in_axis": 1, "out_axis": (2, 3), "batch_axis": 0}, (16, 256)),
    ((4, 5, 6, 7), {"in_axis": (0, 1), "out_axis": (-2, -1)}, (20, 42)),
    ((0, 5), {}, (0, 5)),
    ((3, 0, 5), {}, (0, 15)),
]


@pytest.mark.parametrize(("shape", "axes", "fans"), KNOWN)
def test_known_fans(shape, axes, fans):
    assert compute_fans(shape, **axes) == fans
    assert compute_fans(list(shape), **axes) == fans
    assert compute_fans(np.array(shape), **axes) == fans


@given(st.lists(st.integers(1, 9), min_size=2, max_size=5), st.data())
def test_fans_are_products(shape, data):
    order = data.draw(st.permutations(range(len(shape))))
    cuts = sorted(data.draw(st.integers(0, len(shape))) for _ in range(3))
    ins, outs, batch = (tuple(order[a:b]) for a, b in zip([0, *cuts], cuts, strict=False))
    fan_in, fan_out = compute_fans(shape, ins, outs, batch)
    window = math.prod(shape) // math.prod(shape[axis] for axis in (*ins, *outs, *batch))
    assert fan_in == window * math.prod(shape[axis] for axis in ins)
    assert fan_out == window * math.prod(shape[axis] for axis in outs)


def test_fans_inside_njit():
    @numba.njit
    def default(shape):
        return compute_fans(shape)

    @numba.njit
    def torch_layout(shape):
        return fastinit.compute_fans(shape, 1, 0)

    @numba.njit
    def heads(shape):
        return compute_fans(shape, in_axis=1, out_axis=(2, 3), batch_axis=0)

    @numba.njit
    def initialize(kernel):
        fan_in, _ = compute_fans(kernel.shape)
        kernel[:] = 1.0 / fan_in

    assert default((784, 128)) == (784, 128)
    assert default((3, 3, 64, 32)) == (576, 288)
    assert torch_layout((32, 64, 3, 3)) == (576, 288)
    assert heads((8, 16, 4, 64)) == (16, 256)
    kernel = np.empty((4, 2))
    initialize(kernel)
    assert (kernel == 0.25).all()
    with pytest.raises(ValueError, match="named twice"):
        numba.njit(lambda shape: compute_fans(shape, 0, 0))((2, 3))
    with pytest.raises(ValueError, match="does not exist"):
        numba.njit(lambda shape: compute_fans(shape, 2))((2, 3))
    with pytest.raises(ValueError, match="negative"):
        default((-2, 3))
    with pytest.raises(numba.TypingError, match="at least two axes"):
        default((2,))


@pytest.mark.parametrize(
    ("shape", "axes", "error", "message"),
    [
        ((5,), {}, ArgumentError, r"at least two axes, got \(5,\)"),
        ((), {}, ArgumentError, "at least two axes"),
        (5, {}, ArgumentError, r"at least two axes, got \(5,\)"),
        ((3, -1), {}, ArgumentError, r"no negative size, got \(3, -1\)"),
        ((3, 2.0), {}, ArgumentTypeError, r"got \(3, 2.0\)"),
        ((3, True), {}, ArgumentTypeError, r"got \(3, True\)"),
        ("34", {}, ArgumentTypeError, "got '34'"),
        ((3, 4), {"in_axis": 2}, ArgumentError, "axis 2 does not exist"),
        ((3, 4), {"in_axis": 1}, ArgumentError, "named twice"),
        ((3, 4), {"out_axis": 1.5}, ArgumentTypeError, "got 1.5"),
    ],
)
def test_bad_shapes_and_axes_are_refused(shape, axes, error, message):
    with pytest.raises(error, match=message):
        compute_fans(shape, **axes)
