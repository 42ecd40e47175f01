"""Random orthogonal matrices: the oracles, every backend and instruction set, and Haar's law."""

import math

import ml_dtypes
import numpy as np
import pytest
from scipy import stats

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.sampling import Normal, backend, fill, numba_reflect
from fastinit.sampling.orthogonal import fill_orthogonal
from tests import naive
from tests.sampling.reflections import BLOCKS, KEY, run_block

# On and around the edges of groups of 16 vectors, blocks of 64, and sums of 128.
SHAPES = [(1, 1), (2, 2), (5, 3), (3, 17), (16, 16), (63, 63), (64, 64), (65, 65), (127, 96)]
SHAPES += [(128, 128), (129, 130), (300, 1), (1, 40), (513, 70), (20, 390)]
BITS = {"float16": np.uint16, "bfloat16": np.uint16, "float32": np.uint32, "float64": np.uint64}


def make(shape, dtype="float32", key=KEY, **options):
    out = np.full(shape, 7, BITS[dtype] if dtype.endswith("16") else dtype)
    fill_orthogonal(out, key, dtype=dtype, **options)
    return out


def columns(matrix):
    return matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T


def assert_same_bits(ours, theirs):
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(
        np.ascontiguousarray(ours).view(np.uint8), np.ascontiguousarray(theirs).view(np.uint8)
    )


def loss(matrix):
    """How far the vectors are from orthonormal."""
    q = columns(matrix).astype(float)
    return np.abs(q.T @ q - np.eye(q.shape[1])).max()


@pytest.fixture
def threads():
    before = fastinit.get_num_threads()
    yield fastinit.set_num_threads
    fastinit.set_num_threads(before)


# ---------------------------------------------------------------- values


def product_of_reflectors(length, count):
    """One Householder matrix after the other, in float64."""
    x = np.empty((-(-count // 16), length, 16))
    fill(x, Normal(0.0, 1.0), KEY)
    q = np.eye(length, count)
    for k in reversed(range(count)):
        v = x[k // 16, k:, k % 16].copy()
        side = math.copysign(1, v[0])
        v[0] += side * np.linalg.norm(v)
        q[k:] -= np.outer(v, v @ q[k:]) * (2 / (v @ v))
        q[:, k] *= -side
    return q


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_against_the_product_of_the_reflectors(shape):
    expected = product_of_reflectors(max(shape), min(shape))
    np.testing.assert_allclose(columns(make(shape, "float64")), expected, atol=1e-14)
    np.testing.assert_allclose(columns(make(shape)), expected, atol=1e-5)


def test_against_a_qr_factorization():
    """The vectors x_k are what the reflectors before them leave of Gaussian columns."""
    length, count = 40, 23
    x = np.empty((2, length, 16))
    fill(x, Normal(0.0, 1.0), KEY)
    gaussian = np.zeros((length, count))
    for k in reversed(range(count)):
        v = x[k // 16, k:, k % 16].copy()
        gaussian[k:, k] = v
        v[0] += math.copysign(np.linalg.norm(v), v[0])
        gaussian[k:, k + 1 :] -= np.outer(v, v @ gaussian[k:, k + 1 :]) * (2 / (v @ v))
    q, r = np.linalg.qr(gaussian)
    np.testing.assert_allclose(
        make((length, count), "float64"), q * np.sign(np.diag(r)), atol=1e-12
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bits_are_the_contract_s(shape, dtype):
    expected = naive.orthogonal(KEY, max(shape), min(shape), dtype)
    assert_same_bits(columns(make(shape, dtype)), expected)


@pytest.mark.parametrize(
    ("shape", "dtype", "most"),
    [
        ((1024, 1024), "float32", 2e-6),
        ((3000, 20), "float32", 2e-6),
        ((96, 2100), "float32", 2e-6),
        ((520, 520), "float64", 1e-14),
    ],
    ids=str,
)
def test_vectors_are_orthonormal(shape, dtype, most):
    assert loss(make(shape, dtype)) < most


def test_float32_is_float64_but_for_rounding():
    difference = make((400, 400)) - make((400, 400), "float64")
    assert 0 < np.abs(difference).max() < 2e-6


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("shape", [(70, 70), (33, 200)], ids=str)
def test_16_bits_are_float32_rounded(shape, dtype):
    scalar = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}[dtype]
    expected = make(shape, gain=1.7).astype(scalar).view(np.uint16)
    assert_same_bits(make(shape, dtype, gain=1.7), expected)
    own = np.empty(shape, scalar)
    fill_orthogonal(own, KEY, 1.7)
    assert_same_bits(own.view(np.uint16), expected)


@pytest.mark.parametrize("gain", [0.0, -2.0, math.sqrt(2), 1e-30, 3e38])
def test_gain_multiplies_the_float32_values(gain):
    expected = make((70, 40)) * np.float32(gain)
    assert_same_bits(make((70, 40), gain=gain), expected)


def test_keys_differ():
    q, other = make((64, 64)), make((64, 64), key=KEY + 1)
    assert np.abs(q - other).max() > 0.1
    assert abs(np.trace(q.T @ other)) < 5


# ---------------------------------------------------------------- regions, memory, threads


@pytest.mark.parametrize("shape", [(150, 150), (150, 131), (131, 150)], ids=str)
def test_any_vectors_can_be_made_by_themselves(shape):
    whole = columns(make(shape))
    for start, stop in ((0, 1), (0, 64), (63, 65), (15, 17), (70, 131), (130, 131), (5, 118)):
        part = make((150, stop - start), start=start)
        assert_same_bits(part, whole[:, start:stop].copy())
        part = make((stop - start, 150), start=start)
        assert_same_bits(part.T, whole[:, start:stop].copy())


def test_any_strides():
    expected = make((90, 70))
    for dtype in (np.float32, np.float64):
        memory = np.full((180, 280), 7, dtype)
        out = memory[::2, ::-4]
        fill_orthogonal(out, KEY)
        np.testing.assert_allclose(out, expected, atol=1e-6)
        out[...] = 7
        assert (memory == 7).all()
    fortran = np.empty((90, 70), np.float32, order="F")
    fill_orthogonal(fortran, KEY)
    assert_same_bits(fortran, expected)
    unaligned = np.empty(90 * 70 * 4 + 1, np.uint8)[1:].view(np.float32).reshape(90, 70)
    fill_orthogonal(unaligned, KEY)
    assert_same_bits(unaligned, expected)


@pytest.mark.parametrize("shape", [(330, 330), (10000, 60), (80, 6000), (1100, 257)], ids=str)
def test_threads_change_no_bit(shape, threads):
    threads(1)
    expected = make(shape)
    for count in (2, 3, 8):
        threads(count)
        assert_same_bits(make(shape), expected)


# ---------------------------------------------------------------- backends


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_instruction_sets_agree_with_numba(dtype):
    compiled = pytest.importorskip("fastinit.sampling.cython_fill")
    before = compiled.simd()
    for block in BLOCKS:
        expected = run_block(numba_reflect, dtype, *block)
        for level in compiled.available():
            compiled.use(level)
            try:
                results = run_block(compiled, dtype, *block)
            finally:
                compiled.use(before)
            for ours, theirs in zip(results, expected, strict=True):
                assert_same_bits(ours, theirs)


@pytest.mark.parametrize("shape", [(130, 130), (70, 400)], ids=str)
def test_backends_agree(shape, monkeypatch):
    expected = make(shape), make(shape, "float64")
    monkeypatch.setattr(backend, "reflections", lambda: numba_reflect)
    for ours, dtype in zip(expected, ("float32", "float64"), strict=True):
        assert_same_bits(ours, make(shape, dtype))


def test_arguments_that_would_leave_memory_are_refused():
    compiled = pytest.importorskip("fastinit.sampling.cython_fill")
    vectors, system, panel = np.zeros((2, 40, 16)), np.zeros((32, 32)), np.zeros((40, 16))
    single = np.float32
    for wrong in (vectors[0], vectors[:, :, :15].copy(), np.zeros((5, 40, 16)), vectors[:0]):
        with pytest.raises(ValueError, match="vectors must have the shape"):
            compiled.reflectors(wrong, system)
    for wrong in (system[:16], system[:16, :16].copy(), system.astype(single), system[0]):
        with pytest.raises(ValueError, match="system must be square"):
            compiled.reflectors(vectors, wrong)
    short, odd, wide = np.zeros((39, 16)), np.zeros((40, 8)), np.zeros((40, 80))
    for wrong in (short, odd, wide, panel.astype(single), panel[0]):
        with pytest.raises(ValueError, match="panel must have the rows of vectors"):
            compiled.reflect(vectors, system, wrong, 1)
    with pytest.raises(ValueError, match="panel must have the rows of vectors"):
        compiled.reflect(vectors, system, panel, 41)
    with pytest.raises(ValueError, match="not C-contiguous"):
        compiled.reflect(vectors, system, np.zeros((16, 40)).T, 1)


# ---------------------------------------------------------------- edges


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)], ids=str)
def test_nothing_to_fill(shape):
    make(shape)


def test_one_element_is_a_sign():
    assert {make((1, 1), key=key, gain=2.5).item() for key in range(20)} == {-2.5, 2.5}


@pytest.mark.parametrize(
    "kernels", [backend.reflections(), numba_reflect], ids=lambda k: k.__name__
)
def test_a_vector_of_zeros_reflects_nothing(kernels):
    vectors, system = np.zeros((1, 20, 16), np.float32), np.full((16, 16), 7, np.float32)
    vectors[0, :, 3] = 1
    kernels.reflectors(vectors, system)
    assert np.isfinite(vectors).all()
    assert (np.diag(system) > 0).tolist() == [k == 3 for k in range(16)]
    panel = np.eye(20, 16, dtype=np.float32)
    kernels.reflect(vectors, system, panel, 20)
    np.testing.assert_allclose(panel.T @ panel, np.eye(16), atol=1e-6)
    np.testing.assert_array_equal(panel[:3], np.eye(3, 16))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(3), KEY), r"two axes, got shape \(3,\)"),
        ((np.zeros((3, 3, 3)), KEY), "two axes"),
        ((np.broadcast_to(np.zeros(3), (3, 3)), KEY), "read-only"),
        ((np.zeros((3, 3)), KEY, math.nan), "gain must be finite and fit float64, got nan"),
        ((np.zeros((3, 3)), KEY, -math.inf), "gain must be finite"),
        ((np.zeros((3, 3), np.float16), KEY, 70000), "fit float16, got 70000"),
        ((np.zeros((3, 3), np.float32), KEY, 1e39), "fit float32"),
    ],
    ids=str,
)
def test_what_cannot_be_filled_is_refused(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        fill_orthogonal(*arguments)


def test_vectors_that_do_not_exist_are_refused():
    for start in (-1, 4):
        with pytest.raises(ArgumentError, match=f"5 orthonormal .* not vectors {start} to"):
            make((5, 2), start=start)


def test_wrong_types_are_refused():
    for wrong in ([[1.0]], np.zeros((3, 3), int), np.zeros((3, 3), complex)):
        with pytest.raises(ArgumentTypeError):
            fill_orthogonal(wrong, KEY)
    for options in ({"gain": "high"}, {"gain": None}, {"gain": 1j}, {"start": 1.5}):
        with pytest.raises(ArgumentTypeError, match="gain must be a number"):
            make((3, 3), **options)


# ---------------------------------------------------------------- Haar's law

SIZE, MATRICES = 6, 4000


def drawn():
    return np.stack([make((SIZE, SIZE), "float64", key=key) for key in range(MATRICES)])


def without_the_signs():
    """What np.linalg.qr gives: the signs are LAPACK's, not random."""
    normal = np.empty((MATRICES, SIZE, SIZE))
    fill(normal, Normal(0.0, 1.0), KEY)
    return np.linalg.qr(normal)[0]


def mean_is(expected, values, deviation):
    z = (np.mean(values) - expected) / (deviation / math.sqrt(len(values)))
    return 2 * stats.norm.sf(abs(z))


def entries(values, size=SIZE):
    """The coordinate of a uniform unit vector: its square has a beta distribution."""
    return stats.kstest(values, lambda x: stats.beta((size - 1) / 2, (size - 1) / 2, -1, 2).cdf(x))


def p_values(q):
    """Of statements that hold for the uniform law on the orthogonal matrices of SIZE."""
    power = np.linalg.matrix_power
    traces = {k: np.trace(power(q, k), axis1=1, axis2=2) for k in (1, 2, 3)}
    turn = np.linalg.qr(np.arange(SIZE * SIZE).reshape(SIZE, SIZE) % 7 + np.eye(SIZE))[0]
    positive = int((np.linalg.det(q) > 0).sum())
    return {
        "determinant": stats.binomtest(positive, len(q)).pvalue,
        # Diaconis and Shahshahani (1994): of the powers up to half the size.
        "trace": mean_is(0, traces[1], 1),
        "trace squared": mean_is(1, traces[1] ** 2, math.sqrt(2)),
        "trace of the square": mean_is(1, traces[2], math.sqrt(2)),
        "trace of the cube": mean_is(0, traces[3], math.sqrt(3)),
        "first entry": entries(q[:, 0, 0]).pvalue,
        "last entry": entries(q[:, -1, -1]).pvalue,
        "corner": entries(q[:, 0, -1]).pvalue,
        "other corner": entries(q[:, -1, 0]).pvalue,
        "turned from the left": entries((turn @ q)[:, 1, 0]).pvalue,
        "turned from the right": entries((q @ turn)[:, 2, 5]).pvalue,
        "trace of a turned one": mean_is(0, np.trace(turn @ q, axis1=1, axis2=2), 1),
    }


def test_the_law_is_haar_s():
    p = p_values(drawn())
    assert min(p.values()) > 1e-3, p


def test_the_checks_see_a_missing_sign():
    p = p_values(without_the_signs())
    for name in ("determinant", "trace", "first entry", "trace of a turned one"):
        assert p[name] < 1e-9, name


def test_eigenvalues_are_those_of_haar_s_law():
    """Angles of eigenvalues against SciPy's matrices, and their repulsion against independence."""

    def gaps(q):
        angles = np.sort(np.angle(np.linalg.eigvals(q)), axis=1)
        return angles[:, 3], angles[:, 4] - angles[:, 3]

    theirs = stats.ortho_group(SIZE, seed=1).rvs(MATRICES)
    for ours, expected in zip(gaps(drawn()), gaps(theirs), strict=True):
        assert stats.ks_2samp(ours, expected).pvalue > 1e-3
    for ours, expected in zip(gaps(without_the_signs()), gaps(theirs), strict=True):
        assert stats.ks_2samp(ours, expected).pvalue < 1e-9


@pytest.mark.parametrize("shape", [(7, 3), (3, 7)], ids=str)
def test_vectors_of_a_part_are_uniform(shape):
    q = np.stack([columns(make(shape, "float64", key=key)) for key in range(MATRICES)])
    for row, column in ((0, 0), (6, 0), (2, 2), (6, 2), (0, 2)):
        assert entries(q[:, row, column], 7).pvalue > 1e-3
    np.testing.assert_allclose(np.abs(q.mean(axis=0)).max(), 0, atol=4.5 / math.sqrt(7 * MATRICES))
