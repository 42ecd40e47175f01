from types import SimpleNamespace

import naive_normalization
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import gradient

from fastinit.errors import ArgumentError
from fastinit.kernels import normalization

MOMENTUM, EPSILON = 0.9, 1e-3
NORMS = {"batch": naive_normalization.batch_norm, "layer": naive_normalization.layer_norm}
every_norm = pytest.mark.parametrize("norm", NORMS)
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def layer(norm, x, gamma=None, beta=None):
    """Return all arrays that the kernels want, where they write filled with NaN."""
    rows, units = x.shape
    kept = units if norm == "batch" else rows
    rng = np.random.default_rng(1)
    arrays = {
        "x": x,
        "gamma": rng.uniform(0.5, 1.5, units) if gamma is None else gamma,
        "beta": rng.standard_normal(units) if beta is None else beta,
        "grad_out": rng.standard_normal(x.shape),
        **{name: np.full(x.shape, np.nan) for name in ("out", "grad_in")},
        **{name: np.full(units, np.nan) for name in ("grad_gamma", "grad_beta")},
        **{name: np.full(kept, np.nan) for name in ("mean", "inverse_std")},
        "moving_mean": rng.standard_normal(units),
        "moving_variance": rng.uniform(0.5, 2, units),
    }
    return SimpleNamespace(**{name: a.astype(x.dtype) for name, a in arrays.items()})


def forward(norm, a):
    arrays = (a.x, a.gamma, a.beta, a.out, a.mean, a.inverse_std)
    if norm == "batch":
        moving = (a.moving_mean, a.moving_variance)
        normalization.batch_norm_forward(*arrays, *moving, MOMENTUM, EPSILON)
    else:
        normalization.layer_norm_forward(*arrays, EPSILON)
    return a.out


def backward(norm, a):
    kernel = getattr(normalization, f"{norm}_norm_backward")
    statistics, grads = (a.mean, a.inverse_std), (a.grad_in, a.grad_gamma, a.grad_beta)
    kernel(a.x, a.gamma, *statistics, a.grad_out, *grads)
    return grads


def inference(a):
    moving = (a.moving_mean, a.moving_variance)
    arrays = (a.x, a.gamma, a.beta, a.out, a.inverse_std)
    normalization.batch_norm_inference(*arrays, *moving, EPSILON)
    return a.out


def data(rows, units, dtype=np.float64, mean=0.0):
    return (np.random.default_rng(0).standard_normal((rows, units)) + mean).astype(dtype)


def test_known_answers():
    # mean 2 and variance 4 - epsilon: the outputs are exact
    x = np.array([[2 + np.sqrt(4 - EPSILON)], [2 - np.sqrt(4 - EPSILON)]])
    a = layer("batch", x, np.array([10.0]), np.array([1.0]))
    a.moving_mean[:], a.moving_variance[:] = 5, 8
    half = np.sqrt(4 - EPSILON) / 2
    np.testing.assert_allclose(forward("batch", a), [[1 + 10 * half], [1 - 10 * half]], rtol=1e-14)
    np.testing.assert_allclose(a.moving_mean, 0.9 * 5 + 0.1 * 2)
    np.testing.assert_allclose(a.moving_variance, 0.9 * 8 + 0.1 * (4 - EPSILON))
    np.testing.assert_allclose(a.inverse_std, 0.5)
    np.testing.assert_allclose(x[0] + a.mean, 2)

    b = layer("layer", x.T.copy(), np.array([10.0, 20.0]), np.array([1.0, 2.0]))
    np.testing.assert_allclose(forward("layer", b), [[1 + 10 * half, 2 - 20 * half]], rtol=1e-14)


@every_norm
@both_dtypes
@pytest.mark.parametrize("shape", [(5, 3), (33, 64), (7, 37), (64, 130), (3, 1)])
def test_agrees_with_numpy(norm, shape, dtype):
    a = layer(norm, data(*shape, dtype))
    arrays = (array.astype(np.float64) for array in (a.x, a.gamma, a.beta))
    tolerance = 32 * np.finfo(dtype).eps
    expected = NORMS[norm](*arrays, EPSILON)
    np.testing.assert_allclose(forward(norm, a), expected, rtol=tolerance, atol=tolerance)


@every_norm
@pytest.mark.parametrize("shape", [(6, 4), (5, 37), (3, 70)])
def test_backward_is_the_derivative(norm, shape):
    a = layer(norm, data(*shape))
    forward(norm, a)
    grads = backward(norm, a)

    def weighted_sum(x, gamma, beta):
        return np.sum(a.grad_out * forward(norm, layer(norm, x, gamma, beta)))

    numeric = (
        gradient(lambda x: weighted_sum(x, a.gamma, a.beta), a.x, 1e-5),
        gradient(lambda gamma: weighted_sum(a.x, gamma, a.beta), a.gamma, 1e-5),
        gradient(lambda beta: weighted_sum(a.x, a.gamma, beta), a.beta, 1e-5),
    )
    for got, expected in zip(grads, numeric, strict=True):
        error = np.linalg.norm(got - expected) / np.linalg.norm(expected)
        assert error < 1e-6


@both_dtypes
def test_inference(dtype):
    a = layer("batch", data(9, 37, dtype))
    arrays = (a.x, a.gamma, a.beta, a.moving_mean, a.moving_variance)
    expected = naive_normalization.batch_norm_inference(*map(np.float64, arrays), EPSILON)
    tolerance = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(inference(a), expected, rtol=tolerance, atol=tolerance)
    normalization.batch_norm_inference_backward(a.gamma, a.inverse_std, a.grad_out, a.grad_in)
    slope = a.gamma.astype(np.float64) / np.sqrt(a.moving_variance.astype(np.float64) + EPSILON)
    np.testing.assert_allclose(a.grad_in, a.grad_out * slope, rtol=tolerance)


def test_inference_is_training_with_the_batch_statistics():
    a = layer("batch", data(50, 8))
    trained = forward("batch", a).copy()
    a.moving_mean, a.moving_variance = a.x.mean(axis=0), a.x.var(axis=0)
    np.testing.assert_allclose(inference(a), trained, rtol=1e-12, atol=1e-12)


@every_norm
def test_data_far_from_zero_lose_nothing(norm):
    a = layer(norm, data(256, 256, np.float32, mean=1e4))
    arrays = (array.astype(np.float64) for array in (a.x, a.gamma, a.beta))
    error = np.abs(forward(norm, a) - NORMS[norm](*arrays, EPSILON)).max()
    assert error < 2e-6
    # A mean rounded to float32, as PyTorch keeps it, is off by up to half of 2**-10.
    mean = a.x.mean(axis=0, dtype=np.float64)
    assert np.abs(mean.astype(np.float32) - mean).max() > 1e-4

    # The gradients, too, are those of float64.
    b = layer(norm, a.x.astype(np.float64), a.gamma.astype(np.float64))
    b.grad_out = a.grad_out.astype(np.float64)
    forward(norm, b)
    for got, expected in zip(backward(norm, a), backward(norm, b), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


@every_norm
def test_an_outlier_in_front_spoils_nothing(norm):
    # The statistics count from the first number: here it is 1000 away from all others.
    x = data(256, 256, np.float32)
    x[0], x[:, 0] = 1000, 1000
    a = layer(norm, x)
    arrays = (array.astype(np.float64) for array in (a.x, a.gamma, a.beta))
    np.testing.assert_allclose(
        forward(norm, a), NORMS[norm](*arrays, EPSILON), rtol=3e-6, atol=3e-6
    )


def test_many_rows():
    a = layer("batch", data(20_000, 3, np.float32, mean=3.0))
    arrays = (array.astype(np.float64) for array in (a.x, a.gamma, a.beta))
    expected = naive_normalization.batch_norm(*arrays, EPSILON)
    np.testing.assert_allclose(forward("batch", a), expected, rtol=2e-5, atol=2e-6)


def test_an_outlier_before_very_many_rows():
    x = data(200_000, 1, np.float32)
    x[0] = 1e3 * np.sqrt(len(x))
    a = layer("batch", x)
    forward("batch", a)
    # The first sum is off by a third of a standard deviation, which the second makes good.
    np.testing.assert_allclose(a.inverse_std, 1 / x.std(axis=0, dtype=np.float64), rtol=5e-3)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 80), st.data())
def test_ranges_of_columns_and_slices_of_rows_equal_the_whole(rows, units, choice):
    x = data(rows, units, np.float32)
    cuts = sorted(choice.draw(st.lists(st.integers(0, units), max_size=3)))
    whole, parts = layer("batch", x), layer("batch", x)
    forward("batch", whole)
    backward("batch", whole)
    n, p = normalization, parts
    for first, last in zip([0, *cuts], [*cuts, units], strict=True):
        n.batch_norm_columns(
            x, p.gamma, p.beta, p.out, p.mean, p.inverse_std, p.moving_mean, p.moving_variance,
            MOMENTUM, EPSILON, first, last,
        )  # fmt: skip
        n.batch_norm_backward_columns(
            x, p.gamma, p.mean, p.inverse_std, p.grad_out, p.grad_in, p.grad_gamma, p.grad_beta,
            first, last,
        )  # fmt: skip
    assert_same(whole, parts)

    whole, p = layer("layer", x), layer("layer", x)
    forward("layer", whole)
    backward("layer", whole)
    for first, last in zip([0, *cuts], [*cuts, units], strict=True):
        here = slice(min(first, rows), min(last, rows) if last < units else rows)
        statistics = (p.mean[here], p.inverse_std[here])
        n.layer_norm_forward_rows(x[here], p.gamma, p.beta, p.out[here], *statistics, EPSILON)
        n.layer_norm_backward_rows(x[here], p.gamma, *statistics, p.grad_out[here], p.grad_in[here])
    for first, last in zip([0, *cuts], [*cuts, units], strict=True):
        n.layer_norm_backward_columns(
            x, p.mean, p.inverse_std, p.grad_out, p.grad_gamma, p.grad_beta, first, last
        )
    assert_same(whole, p)


def assert_same(a, b):
    for name, array in vars(a).items():
        np.testing.assert_array_equal(array, getattr(b, name), name)


@every_norm
@both_dtypes
def test_what_does_not_vary_gives_beta(norm, dtype):
    columns = data(1, 40, dtype, mean=1e4)
    x = columns.repeat(50, axis=0) if norm == "batch" else columns.T.repeat(50, axis=1)
    a = layer(norm, np.ascontiguousarray(x))
    np.testing.assert_array_equal(forward(norm, a), np.broadcast_to(a.beta, x.shape))
    np.testing.assert_allclose(a.inverse_std, 1 / np.sqrt(EPSILON), rtol=1e-6)
    grad_in, grad_gamma, _ = backward(norm, a)
    assert np.isfinite(grad_in).all()
    assert not grad_gamma.any()


def test_a_batch_of_one_row():
    a = layer("batch", data(1, 5))
    np.testing.assert_array_equal(forward("batch", a), [a.beta])
    grad_in, _, grad_beta = backward("batch", a)
    assert not grad_in.any()
    np.testing.assert_array_equal(grad_beta, a.grad_out[0])


@every_norm
def test_empty_batches(norm):
    a = layer(norm, np.empty((0, 5)))
    moving = a.moving_mean.copy(), a.moving_variance.copy()
    forward(norm, a)
    np.testing.assert_array_equal((a.moving_mean, a.moving_variance), moving)
    _, grad_gamma, grad_beta = backward(norm, a)
    assert not grad_gamma.any()
    assert not grad_beta.any()
    inference(layer("batch", a.x))
    forward(norm, layer(norm, np.empty((3, 0))))
    backward(norm, layer(norm, np.empty((3, 0))))


@every_norm
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 2])
def test_what_is_not_finite_spoils_its_column_or_row(norm, value, place):
    x = data(4, 40)
    x[place, place] = value
    a = layer(norm, x)
    spoilt = np.zeros((4, 40), bool)
    spoilt[(slice(None), place) if norm == "batch" else place] = True
    np.testing.assert_array_equal(np.isnan(forward(norm, a)), spoilt)
    np.testing.assert_array_equal(np.isnan(backward(norm, a)[0]), spoilt)
    if norm == "batch":
        assert np.isnan(a.moving_variance[place])
        assert np.isnan(a.moving_variance).sum() == 1


@every_norm
def test_the_gradient_may_overwrite_what_it_is_made_of(norm):
    a = layer(norm, data(9, 37))
    forward(norm, a)
    expected = [grad.copy() for grad in backward(norm, a)]
    a.grad_in = a.grad_out
    for got, wanted in zip(backward(norm, a), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_inference_may_overwrite_its_input():
    a = layer("batch", data(9, 37))
    expected = inference(a).copy()
    a.out = a.x
    np.testing.assert_array_equal(inference(a), expected)
    b = layer("layer", data(9, 37))
    expected = forward("layer", b).copy()
    b.out = b.x
    np.testing.assert_array_equal(forward("layer", b), expected)


@every_norm
@pytest.mark.parametrize("name", ["gamma", "beta", "out", "mean", "inverse_std", "moving_mean"])
def test_shapes_are_checked(norm, name):
    a = layer(norm, data(4, 4))
    setattr(a, name, getattr(a, name)[:3])
    if norm == "layer" and name == "moving_mean":
        return
    before = a.moving_variance.copy()
    with pytest.raises(ArgumentError, match=name):
        forward(norm, a)
    np.testing.assert_array_equal(a.moving_variance, before)
    if norm == "batch" and name != "mean":
        with pytest.raises(ArgumentError, match=name):
            inference(a)


@every_norm
@pytest.mark.parametrize("name", ["gamma", "mean", "grad_out", "grad_in", "grad_gamma"])
def test_shapes_are_checked_backward(norm, name):
    a = layer(norm, data(4, 4))
    setattr(a, name, getattr(a, name)[:3])
    with pytest.raises(ArgumentError, match=name):
        backward(norm, a)
    if name in ("gamma", "grad_out", "grad_in"):
        with pytest.raises(ArgumentError, match=name):
            normalization.batch_norm_inference_backward(
                a.gamma, a.inverse_std, a.grad_out, a.grad_in
            )


@pytest.mark.parametrize(
    ("name", "value"),
    [("MOMENTUM", -0.1), ("MOMENTUM", 1.1), ("MOMENTUM", np.nan), ("EPSILON", -1e-9),
     ("EPSILON", np.nan)],
)  # fmt: skip
def test_ranges_are_checked(name, value, monkeypatch):
    monkeypatch.setitem(globals(), name, value)
    with pytest.raises(ArgumentError, match=name.lower()):
        forward("batch", layer("batch", data(4, 4)))
    if name == "EPSILON":
        with pytest.raises(ArgumentError, match="epsilon"):
            forward("layer", layer("layer", data(4, 4)))
        with pytest.raises(ArgumentError, match="epsilon"):
            inference(layer("batch", data(4, 4)))
