import naive
import numba
import numpy as np
import pytest

from fastinit.errors import ArgumentError
from fastinit.gains import ACTIVATIONS as GAINS
from fastinit.kernels import activations
from fastinit.kernels.activations import CODES, SAVES_INPUT

ALPHA = 0.1
NAMES = sorted(CODES.keys() - {"swish"})
ROWS = ("softmax", "log_softmax")
ELEMENTWISE = [name for name in NAMES if name not in ROWS]
# Their factor of z, such as sigmoid(z), is zero at minus infinity: zero times infinity.
GATED = [name for name in NAMES if CODES[name] in SAVES_INPUT]
ARGUMENTS = {"leaky_relu": (ALPHA,), "elu": (ALPHA,)}
every_activation = pytest.mark.parametrize("name", NAMES)
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def forward(name, z, out):
    getattr(activations, name)(z, out, *ARGUMENTS.get(name, ()))


def backward(name, saved, grad_out, grad_in):
    kernel = getattr(activations, f"{name}_backward")
    kernel(saved, grad_out, grad_in, *ARGUMENTS.get(name, ()))


def oracle(name, z):
    return getattr(naive, name)(z, *ARGUMENTS.get(name, ()))


def run(name, z):
    out = np.full_like(z, 99)
    forward(name, z, out)
    return out


def saved_by(name, z):
    return z if CODES[name] in SAVES_INPUT else run(name, z)


def gradient(name, z, grad_out):
    grad_in = np.full_like(z, 99)
    backward(name, saved_by(name, z), grad_out, grad_in)
    return grad_in


@pytest.mark.parametrize(
    ("name", "z", "expected"),
    [
        ("linear", [-2.0, 0.0, 3.0], [-2.0, 0.0, 3.0]),
        ("relu", [-2.0, 0.0, 3.0], [0.0, 0.0, 3.0]),
        ("leaky_relu", [-2.0, 0.0, 3.0], [-0.2, 0.0, 3.0]),
        ("elu", [-np.log(2), 0.0, 3.0], [-0.05, 0.0, 3.0]),
        ("selu", [-np.log(2), 0.0, 1.0], [-0.8790496704236883, 0.0, 1.0507009873554805]),
        ("gelu", [-1.0, 0.0, 2.0], [-0.15865525393145705, 0.0, 1.9544997361036416]),
        ("gelu_tanh", [-1.0, 0.0, 2.0], [-0.15880800939172324, 0.0, 1.954597694087775]),
        ("silu", [-np.log(3), 0.0, np.log(3)], [-np.log(3) / 4, 0.0, np.log(3) * 3 / 4]),
        ("softplus", [-np.log(3), 0.0, np.log(3)], [np.log(4 / 3), np.log(2), np.log(4)]),
        ("mish", [0.0, np.log(2)], [0.0, np.log(2) * 0.8]),
        ("tanh", [np.log(2) / 2, 0.0, -50.0], [1 / 3, 0.0, -1.0]),
        ("sigmoid", [np.log(3), 0.0, -np.log(3)], [0.75, 0.5, 0.25]),
        ("softmax", [np.log(5), np.log(3), np.log(2)], [0.5, 0.3, 0.2]),
        ("log_softmax", [np.log(5), np.log(3), np.log(2)], np.log([0.5, 0.3, 0.2])),
    ],
)
def test_known_answers(name, z, expected):
    np.testing.assert_allclose(run(name, np.array([z])), [expected], rtol=1e-15, atol=1e-16)


@every_activation
@both_dtypes
def test_forward_agrees_with_numpy(name, dtype):
    rng = np.random.default_rng(0)
    scales = 10.0 ** rng.uniform(-6, 2, size=(40, 37))  # 37: not a multiple of a vector
    z = (rng.standard_normal((40, 37)) * scales).astype(dtype)
    expected = oracle(name, z.astype(np.float64))
    # exp() turns the rounding of its argument, here up to 300, into that many eps; and the oracle
    # of the normal distribution squares its argument, up to 38.
    loose = {"gelu": 1500, "gelu_tanh": 700, **dict.fromkeys(("silu", "sigmoid", "softmax"), 300)}
    rtol = loose.get(name, 8) * np.finfo(dtype).eps
    atol = np.finfo(dtype).tiny * 100  # flushed to zero, times z
    if name == "log_softmax":  # the logarithm of a sum that is rounded near 1
        atol = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(run(name, z), expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize("name", sorted(GAINS.keys() & CODES.keys()))
def test_an_activation_is_what_its_gain_is_made_for(name):
    z = np.random.default_rng(1).standard_normal((5, 7))
    out = np.empty_like(z)
    activations.activate(CODES[name], {"leaky_relu": 0.01, "elu": 1.0}.get(name, 0.0), z, out)
    np.testing.assert_allclose(out, GAINS[name](z), rtol=1e-12)


@every_activation
@both_dtypes
def test_no_finite_input_overflows(name, dtype):
    largest = np.finfo(dtype).max
    # half of it, as selu multiplies by 1.05 and log_softmax takes a difference
    z = np.array([[largest / 2, -largest / 2, 0.0, 1.0]], dtype)
    out = run(name, z)
    assert np.isfinite(out).all()
    limits = {"linear": (z[0, 0], z[0, 1]), "leaky_relu": (z[0, 0], ALPHA * z[0, 1])}
    limits |= {"elu": (z[0, 0], -ALPHA), "tanh": (1, -1), "log_softmax": (0, -largest)}
    limits |= {"selu": (1.0507009873554805 * z[0, 0], -1.7580993408473766)}
    limits |= dict.fromkeys(("sigmoid", "softmax"), (1, 0))
    np.testing.assert_allclose(out[0, :2], limits.get(name, (z[0, 0], 0)), rtol=1e-6)
    assert np.isfinite(gradient(name, z, np.ones_like(z))).all()


@pytest.mark.parametrize("name", ELEMENTWISE)
@both_dtypes
def test_infinities_take_the_limits(name, dtype):
    far = run(name, np.array([[np.inf, -np.inf]], dtype))
    near = run(name, np.array([[1e30, -1e30]], dtype))
    expected = np.where(abs(near) > 1e20, np.copysign(np.inf, near), near)
    expected[0, 1] = np.nan if name in GATED else expected[0, 1]
    np.testing.assert_array_equal(far, expected)


@pytest.mark.parametrize("name", ELEMENTWISE)
@both_dtypes
def test_nan_stays_nan_and_alone(name, dtype):
    z = np.array([[np.nan, 1.0], [2.0, -1.0]], dtype)
    np.testing.assert_array_equal(np.isnan(run(name, z)), np.isnan(z))
    np.testing.assert_array_equal(np.isnan(gradient(name, np.ones_like(z), z)), np.isnan(z))


@pytest.mark.parametrize("name", ROWS)
def test_nan_fills_its_row(name):
    out = run(name, np.array([[1.0, np.nan], [2.0, -1.0], [np.inf, 1.0]]))
    np.testing.assert_array_equal(np.isnan(out[:2]), [[True, True], [False, False]])
    assert np.isnan(out[2, 0])  # infinity over infinity


@both_dtypes
def test_softmax_rows_sum_to_one_and_ignore_a_shift(dtype):
    z = np.random.default_rng(1).standard_normal((8, 5)).astype(dtype)
    out = run("softmax", z)
    np.testing.assert_allclose(out.sum(axis=1), 1, rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(run("softmax", z + dtype(64)), out, rtol=100 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", ROWS)
@both_dtypes
def test_long_rows(name, dtype):
    z = np.random.default_rng(5).standard_normal((3, 1003)).astype(dtype)
    rtol = 40 * np.finfo(dtype).eps
    np.testing.assert_allclose(run(name, z), oracle(name, z.astype(np.float64)), rtol=rtol)


@every_activation
def test_backward_is_the_derivative(name):
    rng = np.random.default_rng(2)
    z, weights = rng.standard_normal((5, 7)) * 2, rng.standard_normal((5, 7))
    z[np.abs(z) < 1e-3] = 0.5  # away from the kink of relu

    def weighted_sum(z):
        return np.sum(weights * run(name, z))

    grad = gradient(name, z, weights)
    expected = naive.gradient(weighted_sum, z)
    assert np.linalg.norm(grad - expected) < 1e-6 * np.linalg.norm(expected)
    np.testing.assert_allclose(grad, expected, rtol=1e-6, atol=1e-8)


@every_activation
def test_float32_backward_agrees_with_float64(name):
    rng = np.random.default_rng(3)
    z, grad_out = rng.standard_normal((2, 5, 7)) * 3
    wide = gradient(name, z, grad_out)
    narrow = gradient(name, z.astype(np.float32), grad_out.astype(np.float32))
    np.testing.assert_allclose(narrow, wide, rtol=1e-5, atol=1e-6)


@every_activation
@both_dtypes
def test_both_passes_may_run_in_place(name, dtype):
    rng = np.random.default_rng(4)
    z, grad = (rng.standard_normal((6, 9)).astype(dtype) for _ in range(2))
    output, expected, saved = run(name, z), gradient(name, z, grad), saved_by(name, z).copy()
    forward(name, z, z)
    np.testing.assert_array_equal(z, output)
    backward(name, saved, grad, grad)
    np.testing.assert_array_equal(grad, expected)


@every_activation
@both_dtypes
@pytest.mark.parametrize("shape", [(6, 9), (1, 37), (32, 1), (0, 3), (3, 0)])
def test_by_code_is_the_same_as_by_name(name, dtype, shape):
    rng = np.random.default_rng(6)
    z, grad_out = rng.standard_normal((2, *shape)).astype(dtype)
    out, grad_in = np.full_like(z, 99), np.full_like(z, 99)
    activations.activate(CODES[name], ALPHA, z, out)
    np.testing.assert_array_equal(out, run(name, z))
    saved = saved_by(name, z)
    activations.activate_backward(CODES[name], ALPHA, saved, grad_out, grad_in)
    np.testing.assert_array_equal(grad_in, gradient(name, z, grad_out))
    activations.activate(CODES[name], ALPHA, z, z)
    np.testing.assert_array_equal(z, out)


def test_codes_are_the_modules_constants():
    assert {name.upper(): code for name, code in CODES.items() if name != "swish"} == {
        name: value
        for name, value in vars(activations).items()
        if name.lower() in NAMES and name.isupper()
    }
    assert sorted(CODES[name] for name in NAMES) == list(range(len(NAMES)))
    assert CODES["swish"] == CODES["silu"]


def test_arrays_need_not_be_contiguous_and_kernels_can_be_embedded():
    @numba.njit
    def both(z, out):
        activations.tanh(z, out)
        activations.softmax(out, out)

    z = np.random.default_rng(7).standard_normal((4, 12)).astype(np.float32)
    out, expected = np.zeros((12, 4), np.float32), np.empty((4, 12), np.float32)
    both(z, expected)
    both(z, out.T)
    np.testing.assert_array_equal(out.T, expected)


@pytest.mark.parametrize(
    ("name", "slope"),
    [("relu", 0), ("leaky_relu", ALPHA), ("elu", ALPHA), ("selu", 1.7580993408473766)],
)
def test_the_kink_takes_the_left_slope(name, slope):
    zero = np.zeros((1, 1))
    assert gradient(name, zero, zero + 1).item() == slope


@every_activation
@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_nothing_is_left_alone(name, shape):
    empty = np.empty(shape)
    forward(name, empty, empty)
    backward(name, empty, empty, empty)


@every_activation
def test_shapes_are_checked(name):
    z, short = np.zeros((2, 3)), np.full((1, 3), 99.0)
    with pytest.raises(ArgumentError, match="shape"):
        forward(name, z, short)
    with pytest.raises(ArgumentError, match="shape"):
        backward(name, z, z, short)
    with pytest.raises(ArgumentError, match="shape"):
        backward(name, z, short, z)
    np.testing.assert_array_equal(short, 99.0)
