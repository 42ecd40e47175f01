"""Initializers with structure: known answers, the frameworks as oracles, parts of the whole."""

import math
import os
import pickle
import subprocess
import sys
from functools import partial
from importlib.util import find_spec

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, signal, stats

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError, UnknownNameError
from fastinit.sampling import Bits, backend, fill, numba_fill, selection
from fastinit.sampling.exact import cosine, product
from fastinit.structured import STRUCTURED
from tests.frameworks import require

# name: shapes that it has
SHAPES = {
    "bilinear": [(4, 5, 3, 3), (3, 4, 1, 6), (4, 0, 3)],
    "convolution_orthogonal": [(3, 2, 3, 4), (3, 4, 4), (1, 2, 2, 3, 3), (3, 0, 4)],
    "delta_orthogonal": [(3, 2, 3, 5), (4, 4, 4), (3, 0, 4)],
    "dirac": [(3, 2, 3, 5), (4, 5, 3), (3, 0, 4)],
    "hadamard": [(5, 9), (9, 5), (3, 2, 3, 5), (0, 3)],
    "identity": [(5, 9), (9, 5), (0, 3)],
    "lstm_forget_bias": [(12,), (0,)],
    "orthogonal": [(5, 9), (9, 5), (3, 2, 3, 5), (4, 3, 2), (0, 3)],
    "sparse": [(5, 9), (300, 7), (0, 3), (3, 0)],
    "stft": [(8, 1, 5), (1, 1, 2), (0, 1, 3)],
}
CASES = [(name, shape) for name, shapes in SHAPES.items() for shape in shapes]
VARIANTS = [
    ("identity(gain=0.3)", (4, 6)),
    ("dirac(groups=2, in_axis=1, out_axis=0)", (6, 4, 3, 3)),
    ("hadamard(gain=0.3, in_axis=1, out_axis=0)", (9, 4, 3)),
    ("orthogonal(gain=0.3, column_axis=0)", (3, 4, 5)),
    ("orthogonal(column_axis=1)", (9, 4, 5)),
    ("delta_orthogonal(gain=0.3, in_axis=1, out_axis=0)", (5, 4, 3, 3)),
    ("convolution_orthogonal(in_axis=1, out_axis=0)", (5, 4, 3, 2)),
    ("sparse(sparsity=0.4, std=1.0)", (40, 300)),
    ("sparse(sparsity=0.6, std=1.0, axis=1)", (30, 20)),
    ("bilinear(in_axis=1, out_axis=0)", (3, 3, 4, 5)),
    ("stft(side='imag', window='hamming', scaling='spectrum', periodic=True)", (8, 1, 5)),
    ("stft(window=(1.0, 2.0, 3.0, 4.0), scaling=None)", (4, 1, 5)),
    ("lstm_forget_bias(value=0.3, gates='iofc')", (12,)),
]


def test_every_name_has_a_case():
    assert sorted(SHAPES) == sorted(STRUCTURED)


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_function_and_object_agree(name, shape):
    function, initializer = getattr(fastinit, name), fastinit.get(name)
    expected = initializer(shape, seed=4)
    assert expected.shape == shape
    assert expected.dtype == np.float32
    np.testing.assert_array_equal(function(shape, seed=4), expected)
    out = np.full((*shape, 2), 7.0, np.float32)[..., 0]
    assert function(shape, seed=4, out=out) is out
    np.testing.assert_array_equal(out, expected)
    out = np.full(shape[::-1], 7.0, np.float32).T
    np.testing.assert_array_equal(function(shape, seed=4, out=out), expected)


@pytest.mark.parametrize("spec", [*STRUCTURED, *(spec for spec, _ in VARIANTS)])
def test_objects_can_be_compared_pickled_and_written(spec):
    initializer = fastinit.get(spec)
    assert repr(initializer) == (spec if "(" in spec else f"{spec}()")
    assert fastinit.get(repr(initializer)) == initializer
    assert hash(initializer) == hash(fastinit.get(spec))
    assert pickle.loads(pickle.dumps(initializer)) == initializer


@pytest.mark.parametrize(("spec", "shape"), [*CASES, *VARIANTS])
def test_every_dtype_is_the_widest_rounded(spec, shape):
    initializer = fastinit.get(spec)
    single = initializer(shape, seed=1)
    double = initializer(shape, seed=1, dtype="float64")
    np.testing.assert_allclose(single, double, rtol=3e-6, atol=3e-7)
    for dtype in ("float16", "bfloat16"):
        half = initializer(shape, seed=1, dtype=dtype)
        np.testing.assert_array_equal(half, single.astype(half.dtype))
        out = np.empty(shape, np.uint16)
        initializer(shape, seed=1, dtype=dtype, out=out)
        np.testing.assert_array_equal(out, half.view(np.uint16))
    if "complex64" in initializer.dtypes:
        for dtype in ("complex64", "complex128"):
            wide = initializer(shape, seed=1, dtype=dtype)
            np.testing.assert_array_equal(wide != 0, single != 0)
            if not spec.startswith("sparse"):
                np.testing.assert_allclose(wide, double, rtol=1e-6, atol=1e-7)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_part_equals_that_part_of_the_whole(data):
    spec, shape = data.draw(st.sampled_from([*CASES, *VARIANTS]))
    bound = st.none() | st.integers(-12, 12)
    steps = st.none() | st.integers(-3, 3).filter(bool)
    pick = st.builds(slice, bound, bound, steps)
    index = tuple(
        data.draw(pick | st.integers(-size, size - 1) if size else pick)
        for size in shape[: data.draw(st.integers(0, len(shape)))]
    )
    dtype = data.draw(st.sampled_from(["float32", "float64", "bfloat16"]))
    initializer = fastinit.get(spec)
    whole = initializer(shape, seed=3, dtype=dtype)
    part = initializer(shape, seed=3, dtype=dtype, index=index)
    np.testing.assert_array_equal(part, whole[index])
    if part.ndim:
        out = np.zeros((*part.shape, 3), whole.dtype)[..., 1]
        initializer(shape, seed=3, dtype=dtype, index=index, out=out)
        np.testing.assert_array_equal(out, part)


LARGE = 2**20


@pytest.mark.parametrize("spec", ["identity", "hadamard", "sparse"])
def test_a_part_of_what_is_larger_than_memory(spec):
    rows = slice(5, 5 + (LARGE if spec == "sparse" else 3))
    part = fastinit.get(spec)((LARGE, LARGE), seed=0, index=(rows, slice(5, 7)))
    if spec == "sparse":
        whole = fastinit.sparse((LARGE, LARGE), seed=0, index=(slice(None), slice(0, 8)))
        np.testing.assert_array_equal(part, whole[rows, 5:7])
        assert ((whole == 0).sum(axis=0) == math.ceil(0.9 * LARGE)).all()
    else:
        np.testing.assert_array_equal(part, np.eye(3, 2))


def test_seeds_decide_what_is_random():
    for name in ("orthogonal", "delta_orthogonal", "convolution_orthogonal", "sparse"):
        shape = SHAPES[name][1]
        make = getattr(fastinit, name)
        np.testing.assert_array_equal(make(shape, seed=1), make(shape, seed=fastinit.key(1)))
        assert (make(shape, seed=1) != make(shape, seed=2)).any()
        assert (make(shape) != make(shape)).any()


def test_the_number_of_threads_decides_nothing():
    threads = fastinit.get_num_threads()
    wide = [fastinit.sparse((700, 900), 0.5, seed=0), fastinit.hadamard((700, 900))]
    fastinit.set_num_threads(5 - threads if threads in (1, 4) else 1)
    for before, name in zip(wide, ("sparse(sparsity=0.5)", "hadamard"), strict=True):
        np.testing.assert_array_equal(fastinit.get(name)((700, 900), seed=0), before)
    fastinit.set_num_threads(threads)


# ---- the identity, Dirac, Hadamard


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4)])
def test_identity(shape):
    np.testing.assert_array_equal(fastinit.identity(shape, 0.3), np.float32(0.3) * np.eye(*shape))
    torch = require("torch")
    np.testing.assert_array_equal(
        fastinit.eye(shape), torch.nn.init.eye_(torch.empty(shape)).numpy()
    )


@pytest.mark.parametrize(
    ("shape", "groups"),
    [((6, 4, 3), 1), ((6, 4, 3), 3), ((4, 6, 2, 5), 2), ((3, 3, 3, 4, 1), 1), ((8, 1, 3, 3), 8)],
)
def test_dirac_is_that_of_pytorch(shape, groups):
    torch = require("torch")
    expected = torch.nn.init.dirac_(torch.empty(shape), groups).numpy()
    w = fastinit.dirac(shape, groups, in_axis=1, out_axis=0)
    np.testing.assert_array_equal(w, expected)
    last = (*shape[2:], shape[1], shape[0])
    np.testing.assert_array_equal(
        fastinit.dirac(last, groups), np.moveaxis(expected, (0, 1), (-1, -2))
    )


def test_hadamard_is_the_matrix_of_the_paper():
    for inputs, outputs in [(3, 4), (5, 8), (4, 5), (1, 2), (7, 16), (6, 13)]:
        m = math.ceil(math.log2(outputs))
        expected = 2 ** (-(m - 1) / 2) * linalg.hadamard(2**m)[:inputs, :outputs]
        w = fastinit.hadamard((inputs, outputs), dtype="float64")
        np.testing.assert_allclose(w, expected, rtol=1e-15)
        torch_layout = fastinit.hadamard((outputs, inputs), in_axis=1, out_axis=0, dtype="float64")
        np.testing.assert_array_equal(torch_layout, w.T)
        np.testing.assert_array_equal(
            fastinit.hadamard((outputs, inputs)), np.eye(outputs, inputs, dtype=np.float32)
        )
        kernel = fastinit.hadamard((3, 5, inputs, outputs), dtype="float64")
        np.testing.assert_array_equal(kernel[1, 2], w)
        kernel[1, 2] = 0
        assert not kernel.any()


# ---- orthogonal matrices


def gram(matrix):
    matrix = matrix.astype(np.float64)
    return matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T


@pytest.mark.parametrize(
    ("shape", "axis"), [((7, 7), -1), ((9, 4), -1), ((4, 9), 0), ((3, 2, 5), -1), ((5, 3, 2), 0)]
)
def test_orthogonal_is_orthonormal_about_the_column_axis(shape, axis):
    w = fastinit.orthogonal(shape, 2.0, axis, seed=0, dtype="float64")
    matrix = np.moveaxis(w, axis, -1).reshape(-1, shape[axis])
    np.testing.assert_allclose(gram(matrix), 4.0 * np.eye(min(matrix.shape)), atol=1e-14)


def p_value(samples):
    return stats.kstest(samples, stats.beta(0.5, 1.5).cdf).pvalue


def test_orthogonal_is_uniform():
    """The square of an element of a random unit vector of length 4 has a beta distribution."""
    matrices = np.array([fastinit.orthogonal((4, 3), seed=i, dtype="float64") for i in range(1500)])
    for element in [(0, 0), (3, 0), (0, 2), (2, 2)]:
        assert p_value(matrices[(..., *element)] ** 2) > 1e-3
    # Without the correction of the signs, or of a uniform matrix, this would fail.
    wrong = np.linalg.qr(np.random.default_rng(0).uniform(0, 1, (1500, 4, 3)))[0]
    assert p_value(wrong[:, 0, 0] ** 2) < 1e-6


@pytest.mark.parametrize("shape", [(3, 4, 6), (4, 3, 2, 5), (2, 3, 4, 3, 3)])
def test_delta_orthogonal_has_its_matrix_where_jax_has_it(shape):
    w = fastinit.delta_orthogonal(shape, 2.0, seed=0, dtype="float64")
    centre = tuple((size - 1) // 2 for size in shape[:-2])
    np.testing.assert_allclose(gram(w[centre]), 4.0 * np.eye(shape[-2]), atol=1e-14)
    jax = require("jax")
    theirs = np.asarray(jax.nn.initializers.delta_orthogonal()(jax.random.key(0), shape))
    np.testing.assert_array_equal(theirs != 0, w != 0)


@pytest.mark.parametrize("shape", [(3, 4, 6), (4, 3, 2, 5), (2, 3, 3, 3, 3), (1, 2, 4, 4)])
def test_convolution_orthogonal_keeps_norms_under_circular_padding(shape):
    w = fastinit.convolution_orthogonal(shape, 2.0, seed=0, dtype="float64")
    assert (np.abs(w).max(axis=(-2, -1)) > 1e-4).all()
    # A circular convolution is a matrix for each frequency.
    window = range(len(shape) - 2)
    matrices = np.fft.fftn(w, [7] * len(window), axes=window).reshape(-1, *shape[-2:])
    isometry = matrices @ matrices.conj().swapaxes(1, 2)
    np.testing.assert_allclose(
        isometry, np.broadcast_to(4 * np.eye(shape[-2]), isometry.shape), atol=1e-13
    )
    swapped = fastinit.convolution_orthogonal(
        (shape[-1], shape[-2], *shape[:-2]), 2.0, 1, 0, seed=0, dtype="float64"
    )
    np.testing.assert_array_equal(np.moveaxis(swapped, (1, 0), (-2, -1)), w)


def test_a_product_is_right_and_the_same_whatever_the_order():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-1, 1, (20, 3000)), rng.uniform(-1, 1, (3000, 30))
    np.testing.assert_allclose(product(a, b), a @ b, atol=1e-12)
    columns = rng.permutation(2048)
    shuffled = np.concatenate([columns, np.arange(2048, 3000)])
    np.testing.assert_array_equal(product(a[:, shuffled], b[shuffled]), product(a, b))
    assert (a[:, shuffled] @ b[shuffled] != a @ b).any()  # as every BLAS does it


# ---- sparse


@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.25, 0.5, 0.55, 0.9, 0.999, 1.0])
@pytest.mark.parametrize("shape", [(40, 7), (1000, 30), (2, 300)])
def test_sparse_has_as_many_zeros_as_pytorch(shape, sparsity):
    torch = require("torch")
    theirs = torch.nn.init.sparse_(torch.empty(shape), sparsity).numpy()
    w = fastinit.sparse(shape, sparsity, seed=0)
    np.testing.assert_array_equal((w == 0).sum(axis=0), (theirs == 0).sum(axis=0))
    normal = fastinit.normal(shape, 0.0, 0.01, seed=0)
    np.testing.assert_array_equal(w, np.where(w == 0, 0, normal))
    by_rows = fastinit.sparse(shape[::-1], sparsity, axis=1, seed=0)
    np.testing.assert_array_equal((by_rows == 0).sum(axis=1), (theirs == 0).sum(axis=0))


def zeros_of(rows, columns, zeros):
    out = np.ones((rows, columns), np.uint16)
    selection.thin(out, out.shape, (range(rows), range(columns)), rows - zeros, 1)
    return out == 0


@pytest.mark.parametrize(("rows", "zeros"), [(6, 2), (6, 3), (5, 4), (2, 1), (7, 1)])
def test_every_choice_of_places_is_as_likely(rows, zeros):
    chosen = zeros_of(rows, 20000, zeros)
    assert (chosen.sum(axis=0) == zeros).all()
    _, counts = np.unique(chosen.T @ 2 ** np.arange(rows), return_counts=True)
    assert len(counts) == math.comb(rows, zeros)
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("zeros", [3, 100, 500, 900])
def test_zeros_lie_anywhere_and_in_no_order(zeros):
    chosen = zeros_of(1000, 2000, zeros).astype(float)
    share = zeros / 1000
    rows = chosen.sum(axis=1)
    squares = ((rows - 2000 * share) ** 2).sum() / (2000 * share * (1 - share))
    assert 1e-3 < stats.chi2(999).cdf(squares * 999 / 1000) < 1 - 1e-3
    # Neighbours in a column, and in a row, know nothing of each other.
    centred = (chosen - share) / math.sqrt(share * (1 - share))
    for a, b in ((centred[1:], centred[:-1]), (centred[:, 1:], centred[:, :-1])):
        assert abs((a * b).mean() + (1 / 999 if a.shape[0] == 999 else 0)) * math.sqrt(a.size) < 4


def choose(out, lacking, left, key, start, divisor=1):
    """Choose as the algorithm says, row by row."""
    words = np.empty(start + out.size, np.uint32)
    fill(words, Bits(), key)
    words = words[start:].reshape(out.shape).astype(np.uint64) // np.uint64(divisor)
    for row, word in zip(out, words, strict=True):
        keep = (word * np.uint64(left) >> np.uint64(32)) < lacking
        row[~keep] = 0
        lacking -= keep
        left -= 1


def test_a_biased_choice_would_be_noticed(monkeypatch):
    def counts(divisor):
        monkeypatch.setattr(backend.load(), "choose", partial(choose, divisor=divisor))
        return np.unique(zeros_of(6, 20000, 3).T @ 2 ** np.arange(6), return_counts=True)[1]

    assert stats.chisquare(counts(1)).pvalue > 1e-3
    assert stats.chisquare(counts(2)).pvalue < 1e-6


@pytest.mark.parametrize("width", [1, 3, 16, 45, 512])
@pytest.mark.parametrize("dtype", ["uint16", "float32", "float64", "complex64", "complex128"])
def test_both_backends_choose_as_the_algorithm_says(dtype, width):
    before = np.arange(1, 50 * width + 1).reshape(50, width).astype(dtype)
    if dtype.startswith("complex"):
        before += 1j
    lacking = np.arange(width, dtype=np.uint32) % 51
    expected, left = before.copy(), lacking.copy()
    choose(expected, left, 70, 5, 77)

    def check(module):
        for order in "CF":
            got, need = before.copy(order), lacking.copy()
            module.choose(got, need, 70, 5, 77)
            np.testing.assert_array_equal(got, expected)
            np.testing.assert_array_equal(need, left)
        wide = np.repeat(before, 2, axis=1)
        module.choose(wide[:, ::2], lacking.copy(), 70, 5, 77)
        np.testing.assert_array_equal(wide[:, ::2], expected)
        np.testing.assert_array_equal(wide[:, 1::2], before)

    check(numba_fill)
    if backend.name() == "cython":
        cython_fill = backend.load()
        used = cython_fill.simd()
        for level in cython_fill.available():
            cython_fill.use(level)
            check(cython_fill)
        cython_fill.use(used)


def test_the_compiled_choice_refuses_what_does_not_fit():
    if backend.name() != "cython":
        pytest.skip("Numba does not check")
    for out, lacking, left in [
        (np.ones((50, 3), "f4"), np.ones(3, np.uint32), 49),
        (np.ones((50, 3), "f4"), np.ones(4, np.uint32), 50),
        (np.ones((50, 3), "f4"), np.ones(3, np.uint64), 50),
        (np.ones((50, 3), "u1"), np.ones(3, np.uint32), 50),
        (np.ones((5, 513), "f4"), np.ones(513, np.uint32), 50),
        (np.ones(3, "f4"), np.ones(3, np.uint32), 50),
    ]:
        with pytest.raises(ValueError, match="a column for each"):
            backend.load().choose(out, lacking, left, 0, 0)


# ---- filters


def test_bilinear_is_that_of_fully_convolutional_networks():
    for size, expected in {
        1: [1],
        2: [0.5, 0.5],
        3: [0.5, 1, 0.5],
        4: [0.25, 0.75, 0.75, 0.25],
        5: [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3],
    }.items():
        one = fastinit.bilinear((size, 1, 1), dtype="float64")[:, 0, 0]
        np.testing.assert_allclose(one, expected, rtol=1e-15)
        both = fastinit.bilinear((size, 4, 3, 2), dtype="float64")
        square = np.multiply.outer(expected, [0.25, 0.75, 0.75, 0.25])
        for i in range(3):
            for o in range(2):
                np.testing.assert_allclose(both[:, :, i, o], square * (i == o), rtol=1e-15)
    depthwise = fastinit.bilinear((4, 1, 5))
    assert (depthwise[:, 0] == np.array([[0.25], [0.75], [0.75], [0.25]])).all()
    np.testing.assert_array_equal(fastinit.bilinear((4, 5, 1)), depthwise.swapaxes(1, 2))


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_bilinear_interpolates(factor):
    torch = require("torch")
    size = 2 * factor - factor % 2
    w = fastinit.bilinear((2, 2, size, size), in_axis=0, out_axis=1)
    x = torch.arange(2 * 6 * 5, dtype=torch.float32).reshape(1, 2, 6, 5) ** 2
    y = torch.nn.functional.conv_transpose2d(
        x, torch.from_numpy(w), stride=factor, padding=(size - factor) // 2
    )
    expected = torch.nn.functional.interpolate(x, scale_factor=factor, mode="bilinear")
    inside = slice(factor, -factor)
    np.testing.assert_allclose(
        y[..., inside, inside].numpy()[..., : 4 * factor, : 3 * factor],
        expected[..., inside, inside].numpy()[..., : 4 * factor, : 3 * factor],
        rtol=1e-5,
    )


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("window", ["hann", "hamming", "blackman", "boxcar", "bartlett"])
def test_windows_are_those_of_scipy(window, periodic):
    for length in (1, 2, 7, 512):
        w = fastinit.stft(
            (length, 1, 4), window=window, scaling=None, periodic=periodic, dtype="f8"
        )
        expected = signal.get_window(window, length, periodic)
        np.testing.assert_allclose(w[:, 0, 0], expected, atol=1e-15)


def test_cosines_are_right():
    for around in (1, 3, 8, 360, 2**20 + 1):
        turns = np.arange(-around, 2 * around, max(1, around // 1000))
        pi = np.longdouble("3.14159265358979323846264")
        expected = np.cos(2 * pi * turns / around)
        np.testing.assert_allclose(cosine(turns, around), expected, atol=2.5e-16)
    quarters = cosine(np.arange(8), 8)
    assert quarters[[0, 2, 4, 6]].tolist() == [1, 0, -1, 0]


KERAS = """
import itertools, sys, numpy as np, keras
choices = itertools.product(
    ("real", "imag"), ("hann", "blackman", None), ("density", "spectrum", None), (False, True))
np.savez(sys.argv[1], **{
    str(list(c)): keras.initializers.STFT(*c)((12, 1, 9), dtype="float64") for c in choices})
w = {"identity": keras.initializers.Identity(0.3)((4, 6))}
np.savez(sys.argv[2], **w)
"""


def test_stft_and_identity_are_those_of_keras(tmp_path):
    if os.environ.get("FASTINIT_REQUIRE_FRAMEWORKS") != "1" and not find_spec("keras"):
        pytest.skip("keras is not installed: pip install '.[keras]'")
    files = [str(tmp_path / name) for name in ("stft.npz", "identity.npz")]
    subprocess.run(
        [sys.executable, "-c", KERAS, *files],
        check=True,
        env=os.environ | {"KERAS_BACKEND": "numpy"},
    )
    theirs = np.load(files[0])
    assert len(theirs) == 36
    for choice in theirs:
        side, window, scaling, periodic = eval(choice)
        w = fastinit.stft((12, 1, 9), side, window, scaling, periodic, dtype="float64")
        np.testing.assert_allclose(w, theirs[choice], atol=1e-5)  # float32 inside
    np.testing.assert_array_equal(np.load(files[1])["identity"], fastinit.identity((4, 6), 0.3))


def test_forget_biases():
    assert fastinit.lstm_forget_bias(8, 2.0).tolist() == [0, 0, 2, 2, 0, 0, 0, 0]
    assert fastinit.lstm_forget_bias(8, 2.0, "igfo").tolist() == [0, 0, 0, 0, 2, 2, 0, 0]


def test_a_forget_gate_that_is_open_remembers():
    torch = require("torch")
    lstm = torch.nn.LSTM(1, 3)
    with torch.no_grad():
        for name, parameter in lstm.named_parameters():
            parameter.zero_()
            if name == "bias_ih_l0":
                parameter.copy_(torch.from_numpy(fastinit.lstm_forget_bias((12,), 100.0)))
        _, (_, cell) = lstm(torch.zeros(1, 1, 1), (torch.zeros(1, 1, 3), torch.ones(1, 1, 3)))
    assert cell.flatten().tolist() == [1.0, 1.0, 1.0]  # all is remembered


BAD = [
    (lambda: fastinit.identity((3, 3, 3)), ArgumentError, r"of 2 axes, got \(3, 3, 3\)"),
    (lambda: fastinit.identity((3, 3), math.nan), ArgumentError, "gain must be a number, got nan"),
    (lambda: fastinit.identity((3, 3), 1e5, dtype="float16"), ArgumentError, "100000.0 does not"),
    (lambda: fastinit.dirac((3, 3)), ArgumentError, r"of 3, 4 or 5 axes, got \(3, 3\)"),
    (lambda: fastinit.dirac((3, 3, 4), 3), ArgumentError, "4 outputs do not divide into 3 groups"),
    (lambda: fastinit.dirac((3, 3, 4), 0), ArgumentError, "groups must be at least 1, got 0"),
    (lambda: fastinit.dirac((3, 3, 4), 1.5), ArgumentTypeError, "got 1.5"),
    (lambda: fastinit.dirac((3, 3, 4), in_axis=-1), ArgumentError, "named twice"),
    (lambda: fastinit.dirac((3, 3, 4), in_axis=3), ArgumentError, "axis 3 does not exist"),
    (lambda: fastinit.dirac((3, 3, 4), in_axis=(0, 1)), ArgumentTypeError, "in_axis is one axis"),
    (lambda: fastinit.hadamard(3), ArgumentError, r"got \(3,\)"),
    (lambda: fastinit.orthogonal(3), ArgumentError, r"at least two axes, got shape \(3,\)"),
    (lambda: fastinit.orthogonal((3, 3), math.inf), ArgumentError, "gain must be finite, got inf"),
    (lambda: fastinit.orthogonal((3, 3), 1.0, 2), ArgumentError, "axis 2 does not exist"),
    (lambda: fastinit.orthogonal((3, 3), dtype="complex64"), ArgumentTypeError, "got complex64"),
    (lambda: fastinit.delta_orthogonal((3, 3)), ArgumentError, "3, 4 or 5 axes"),
    (lambda: fastinit.delta_orthogonal((3, 4, 3)), ArgumentError, "4 inputs and 3 outputs"),
    (lambda: fastinit.convolution_orthogonal((3, 4, 3)), ArgumentError, "4 inputs and 3 outputs"),
    (lambda: fastinit.sparse((3, 3), 1.1), ArgumentError, "sparsity must be 0 to 1, got 1.1"),
    (lambda: fastinit.sparse((3, 3), -0.1), ArgumentError, "sparsity must be 0 to 1, got -0.1"),
    (lambda: fastinit.sparse((3, 3), math.nan), ArgumentError, "sparsity must be a number"),
    (lambda: fastinit.sparse((3, 3), 0.5, -1), ArgumentError, "std must not be negative, got -1"),
    (lambda: fastinit.sparse((3, 3, 3), 0.5), ArgumentError, "of 2 axes"),
    (lambda: fastinit.sparse((3, 3), 0.5, axis=2), ArgumentError, "axis 2 does not exist"),
    (lambda: fastinit.sparse((2**33, 1), 0.5, index=0), ArgumentError, "2[*][*]32"),
    (lambda: fastinit.bilinear((3, 3)), ArgumentError, "3, 4 or 5 axes"),
    (lambda: fastinit.stft((8, 2, 5)), ArgumentError, r"got \(8, 2, 5\)"),
    (lambda: fastinit.stft((8, 1, 1)), ArgumentError, "at least two frequencies"),
    (lambda: fastinit.stft((8, 1, 5), "left"), UnknownNameError, "unknown side 'left'"),
    (lambda: fastinit.stft((8, 1, 5), window="hannn"), ArgumentError, "window='hannn'"),
    (lambda: fastinit.stft((8, 1, 5), window=3), ArgumentTypeError, "got 3"),
    (lambda: fastinit.stft((8, 1, 5), window=[1, 2]), ArgumentError, "has 2 numbers"),
    (lambda: fastinit.stft((8, 1, 5), window=[math.nan] * 8), ArgumentError, r"window\[0\]"),
    (lambda: fastinit.stft((8, 1, 5), scaling="l2"), UnknownNameError, "unknown scaling 'l2'"),
    (lambda: fastinit.stft((8, 1, 5), periodic=1), ArgumentTypeError, "True or False, got 1"),
    (lambda: fastinit.lstm_forget_bias((8, 8)), ArgumentError, "of 1 axes, got"),
    (lambda: fastinit.lstm_forget_bias(10), ArgumentError, "a multiple of 4 elements"),
    (lambda: fastinit.lstm_forget_bias(8, gates="ico"), ArgumentError, "name the forget gate f"),
    (lambda: fastinit.lstm_forget_bias(8, gates=4), ArgumentTypeError, "a string, got 4"),
    (lambda: fastinit.get("orthogonal").distribution((3, 3)), ArgumentTypeError, "no independent"),
    (
        lambda: fastinit.perturb(np.zeros((3, 3)), 1.0, "orthogonal"),
        ArgumentTypeError,
        "no independent draws",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("name", sorted(STRUCTURED))
def test_nothing_is_written_when_an_argument_is_bad(name):
    shape = SHAPES[name][0]
    out = np.full(shape, 7.0, np.float32)
    bad = ({"seed": -1}, {"index": 99}, {"dtype": np.float64}, {"out": out[:0]}, {"dtype": "int8"})
    for arguments in bad:
        with pytest.raises(fastinit.errors.FastinitError):
            getattr(fastinit, name)(shape, **{"out": out, **arguments})
    assert (out == 7.0).all()


def test_bfloat16_is_rounded_to_nearest():
    w = fastinit.identity((2, 2), 0.3, dtype=ml_dtypes.bfloat16)
    assert w[0, 0] == ml_dtypes.bfloat16(0.3)
