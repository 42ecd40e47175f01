"""fan_in and fan_out, from Python and inside @njit."""

import math

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastinit
from fastinit import compute_fans
from fastinit.errors import ArgumentError, ArgumentTypeError, UnknownNameError
from fastinit.fans import convolution_fans, dense_fans, embedding_fans

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


LAYERS = [
    (dense_fans((784, 128)), (784, 128)),
    (dense_fans((512, 8, 64), 0, (1, 2)), (512, 512)),  # queries of 8 heads
    (dense_fans((8, 64, 512), (0, 1), 2), (512, 512)),  # and the projection back
    (dense_fans((6, 20, 30), batch_axis=0), (20, 30)),
    (dense_fans((1536, 512), 1, 0, parts=3), (512, 512)),  # torch: in_proj_weight
    (dense_fans((512, 3, 8, 64), 0, (1, 2, 3), parts=3), (512, 512)),
    (dense_fans((1024, 100), 1, 0, parts=4), (100, 256)),  # torch: LSTM.weight_ih_l0
    (dense_fans((100, 768), parts=3), (100, 256)),  # keras: GRU
    (dense_fans((0, 8), parts=2), (0, 4)),
    (embedding_fans((50257, 768)), (1, 768)),
    (embedding_fans((50257, 12, 64)), (1, 768)),
    (convolution_fans((3, 3, 64, 128)), (576, 1152)),
    (convolution_fans((3, 3, 64, 128), "jax", strides=2), (576, 288)),
    (convolution_fans((3, 3, 64, 128), strides=(3, 1)), (576, 384)),
    (convolution_fans((5, 64, 128), strides=3), (320, 640 / 3)),
    (convolution_fans((3, 3, 4, 128), groups=16), (36, 72)),
    (convolution_fans((3, 3, 64, 2), depthwise=True), (9, 18)),
    (convolution_fans((3, 3, 1, 128), "jax", groups=64), (9, 18)),
    (convolution_fans((4, 4, 32, 64), transposed=True, strides=2), (256, 512)),
    (convolution_fans((4, 4, 64, 32), "jax", transposed=True, strides=2), (256, 512)),
    (convolution_fans((128, 64, 3, 3), "torch"), (576, 1152)),
    (convolution_fans((128, 4, 3, 3), "torch", groups=16, strides=2), (36, 18)),
    (convolution_fans((64, 32, 4, 4), "torch", transposed=True, strides=2), (256, 512)),
    (convolution_fans((64, 8, 3), "torch", transposed=True, strides=2, groups=4), (24.0, 24)),
    (convolution_fans((64, 8, 2), "torch", transposed=True, strides=3), (128 / 3, 16)),
    (convolution_fans((3, 3, 0, 1), depthwise=True), (0, 9)),
]


@pytest.mark.parametrize(("found", "expected"), LAYERS)
def test_known_fans_of_layers(found, expected):
    assert found == expected
    whole = [isinstance(fan, int) for fan in found]
    assert whole == [isinstance(fan, int) or fan == int(fan) for fan in expected]


@given(
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(1, 5),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.integers(1, 3),
    st.booleans(),
)
def test_layouts_agree(groups, inputs, outputs, window, stride, transposed):
    """The same layer has the same fans in the layout of each framework that has it."""
    stacked, rest = (inputs, outputs) if transposed else (outputs, inputs)
    shape = (stacked * groups, rest, *window)
    options = {"strides": stride, "transposed": transposed}
    fans = convolution_fans(shape, "torch", groups=groups, **options)
    # A transposed convolution is the way back through the convolution of the same kernel.
    back = convolution_fans(
        shape, "torch", groups=groups, strides=stride, transposed=not transposed
    )
    assert fans == back[::-1]
    if not transposed:
        jax = (*window, inputs, outputs * groups)
        assert fans == convolution_fans(jax, "jax", groups=groups, **options)
        assert fans == convolution_fans(jax, "keras", groups=groups, **options)
        if inputs == 1:
            keras = (*window, groups, outputs)
            assert fans == convolution_fans(keras, depthwise=True, **options)
    elif groups == 1:
        assert fans == convolution_fans((*window, inputs, outputs), "jax", **options)
        assert fans == convolution_fans((*window, outputs, inputs), "keras", **options)


def test_a_convolution_is_counted_right():
    """The mean number of terms of an output, counted in the matrix that the layer is."""
    kernel, stride, length = 5, 3, 300
    matrix = np.zeros((length, length // stride))
    for position in range(matrix.shape[1]):
        matrix[position * stride : position * stride + kernel, position] = 1
    fan_in, fan_out = convolution_fans((kernel, 1, 1), strides=stride)
    terms, uses = matrix.sum(axis=0)[10:-10], matrix.sum(axis=1)[30:-30]
    assert terms.mean() == fan_in
    assert uses.mean() == pytest.approx(fan_out, rel=1e-14)
    assert convolution_fans((kernel, 1, 1), strides=stride, transposed=True) == (fan_out, fan_in)


def moment(x):
    return float(np.mean(np.square(x)))


def test_multiplied_kernels_keep_the_variance_both_ways():
    x = fastinit.normal((400, 96), 0.0, 1.0, seed=0, dtype="float64")
    shape = (96, 8, 40)
    fans = dense_fans(shape, 0, (1, 2))
    w = fastinit.lecun_normal(shape, fans=fans, seed=1, dtype="float64")
    y = np.einsum("be,ehd->bhd", x, w)
    assert moment(y) == pytest.approx(1.0, rel=0.05)
    w = fastinit.variance_scaling(shape, 1.0, "fan_out", fans=fans, seed=1, dtype="float64")
    g = fastinit.normal(y.shape, 0.0, 1.0, seed=2, dtype="float64")
    assert moment(np.einsum("bhd,ehd->be", g, w)) == pytest.approx(1.0, rel=0.05)
    # By default the frameworks take the first axis for a window: 8 heads times too many inputs.
    wrong = fastinit.lecun_normal(shape, seed=1, dtype="float64")
    assert moment(np.einsum("be,ehd->bhd", x, wrong)) == pytest.approx(1 / 8, rel=0.05)


def test_batch_axes_count_for_nothing():
    x = fastinit.normal((50, 6, 64), 0.0, 1.0, seed=0)
    shape = (6, 64, 80)
    right = fastinit.lecun_normal(shape, fans=dense_fans(shape, batch_axis=0), seed=1)
    assert moment(np.einsum("bni,nio->bno", x, right)) == pytest.approx(1.0, rel=0.05)
    wrong = fastinit.lecun_normal(shape, seed=1)
    assert moment(np.einsum("bni,nio->bno", x, wrong)) == pytest.approx(1 / 6, rel=0.05)


def test_a_lookup_has_the_variance_of_the_table():
    shape = (3000, 64)
    fans = embedding_fans(shape)
    rows = np.arange(0, 3000, 3)
    right = fastinit.lecun_normal(shape, fans=fans, seed=0)
    assert moment(right[rows]) == pytest.approx(1.0, rel=0.05)
    wrong = fastinit.lecun_normal(shape, seed=0)  # Keras' and JAX' fans
    assert moment(wrong[rows]) == pytest.approx(1 / 3000, rel=0.05)
    # fan_out is the fan_in of an output layer that shares the table.
    tied = fastinit.variance_scaling(shape, 1.0, "fan_out", fans=fans, seed=0)
    hidden = fastinit.normal((100, 64), 0.0, 1.0, seed=1)
    assert moment(hidden @ tied.T) == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("law", ["uniform", "normal", "truncated_normal"])
@pytest.mark.parametrize(
    ("mode", "n"), [("fan_in", 0.25), ("fan_out", 9), ("fan_avg", 4.625), ("fan_geo_avg", 1.5)]
)
def test_given_fans_count_instead_of_the_shape(mode, n, law):
    w = fastinit.variance_scaling(90000, 3.0, mode, law, fans=(0.25, 9), seed=0)
    assert moment(w) == pytest.approx(3.0 / n, rel=0.05)


@pytest.mark.parametrize("name", ["glorot_normal", "he_uniform", "kaiming_normal", "lecun_uniform"])
def test_given_fans_in_functions_and_names(name):
    fans = np.array([90, 45])
    given = fastinit.get(name, fans=tuple(fans))
    expected = getattr(fastinit, name)((90, 45), seed=0)
    np.testing.assert_array_equal(given(90 * 45, seed=0), expected.ravel())
    flat = getattr(fastinit, name)(90 * 45, seed=0, fans=[90.0, 45.0])
    np.testing.assert_array_equal(flat, expected.ravel())
    assert repr(given).endswith("(fans=(90.0, 45.0))")
    assert fastinit.get(repr(given)) == given != fastinit.get(name)


BAD = [
    (lambda: dense_fans((4, 5, 6)), ArgumentError, r"each axis of shape \(4, 5, 6\) must be"),
    (lambda: dense_fans((4, 5, 6), (0, 1), 1), ArgumentError, "named twice"),
    (lambda: dense_fans((4, 5), 0, 2), ArgumentError, "axis 2 does not exist"),
    (lambda: dense_fans((4, 8), parts=3), ArgumentError, "8 outputs are not 3 equal parts"),
    (lambda: dense_fans((4, 8), parts=0), ArgumentError, "parts must be positive, got 0"),
    (lambda: dense_fans((4, 8), parts=2.0), ArgumentTypeError, r"got \(2.0,\)"),
    (lambda: embedding_fans(5), ArgumentError, r"at least two axes, got \(5,\)"),
    (lambda: convolution_fans((4, 5)), ArgumentError, r"at least three axes, got \(4, 5\)"),
    (lambda: convolution_fans((3, 4, 5), "oihw"), UnknownNameError, "unknown layout 'oihw'"),
    (lambda: convolution_fans((3, 4, 5), groups=2), ArgumentError, "5 channels .* 2 equal groups"),
    (lambda: convolution_fans((3, 4, 5), strides=(1, 2)), ArgumentError, r"got \(1, 2\)"),
    (lambda: convolution_fans((3, 4, 5), strides=0), ArgumentError, "positive integers, got 0"),
    (lambda: convolution_fans((3, 4, 5), strides=0.5), ArgumentTypeError, "got 0.5"),
    (
        lambda: convolution_fans((3, 4, 4), "jax", groups=4, transposed=True),
        ArgumentError,
        "only torch has",
    ),
    (
        lambda: convolution_fans((4, 1, 3), "torch", depthwise=True),
        ArgumentError,
        "layout='torch'",
    ),
    (lambda: fastinit.he_normal(4, fans=5), ArgumentTypeError, "fan_out.*got 5"),
    (lambda: fastinit.he_normal(4, fans=(1, 2, 3)), ArgumentTypeError, r"got \(1, 2, 3\)"),
    (lambda: fastinit.he_normal(4, fans=(1, "a")), ArgumentTypeError, "fan_out must be a number"),
    (lambda: fastinit.he_normal(4, fans=(-1, 1)), ArgumentError, "fan_in must not be negative"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_layers_that_do_not_exist_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
