import naive
import numpy as np
import pytest

from fastinit import kernels
from fastinit.errors import ArgumentError

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])

# name: kernel, oracle, targets of a batch of that shape
LOSSES = {
    "mean_squared_error": (
        kernels.mean_squared_error,
        naive.mean_squared_error,
        lambda rng, shape: rng.standard_normal(shape),
    ),
    "binary_crossentropy": (
        kernels.binary_crossentropy_from_logits,
        naive.binary_crossentropy,
        lambda rng, shape: rng.integers(0, 2, shape).astype(float),
    ),
    "categorical_crossentropy": (
        kernels.categorical_crossentropy_from_logits,
        naive.categorical_crossentropy,
        lambda rng, shape: rng.integers(0, shape[1], shape[0]),
    ),
}
every_loss = pytest.mark.parametrize("name", LOSSES)


def example(name, dtype=np.float64, shape=(6, 4)):
    kernel, oracle, make_target = LOSSES[name]
    rng = np.random.default_rng(0)
    prediction, target = rng.standard_normal(shape).astype(dtype), make_target(rng, shape)
    return kernel, oracle, prediction, target.astype(dtype) if target.ndim == 2 else target


@pytest.mark.parametrize(
    ("name", "prediction", "target", "loss", "grad"),
    [
        ("mean_squared_error", [[1.0, 4.0]], [[1.0, 2.0]], 2.0, [[0.0, 2.0]]),
        ("binary_crossentropy", [[0.0], [0.0]], [[0.0], [1.0]], np.log(2), [[0.25], [-0.25]]),
        ("binary_crossentropy", [[np.log(3)]], [[1.0]], np.log(4 / 3), [[-0.25]]),
        ("categorical_crossentropy", [[0.0, np.log(3)]], [1], np.log(4 / 3), [[0.25, -0.25]]),
    ],
)
def test_known_answers(name, prediction, target, loss, grad):
    got = np.empty_like(prediction)
    value = LOSSES[name][0](np.array(prediction), np.array(target), got)
    assert value == pytest.approx(loss, rel=1e-15)
    np.testing.assert_allclose(got, grad, rtol=1e-15)


@every_loss
@both_dtypes
def test_agrees_with_numpy(name, dtype):
    kernel, oracle, prediction, target = example(name, dtype)
    value = kernel(prediction, target, np.empty_like(prediction))
    assert isinstance(value, float)
    assert value == pytest.approx(oracle(prediction.astype(float), target), rel=1e-12)


@every_loss
def test_gradient_is_the_derivative(name):
    kernel, oracle, prediction, target = example(name)
    grad = np.empty_like(prediction)
    kernel(prediction, target, grad)
    numeric = naive.gradient(lambda p: oracle(p, target), prediction)
    np.testing.assert_allclose(grad, numeric, rtol=1e-6, atol=1e-9)


@every_loss
def test_float32_gradient_agrees_with_float64(name):
    kernel, _, prediction, target = example(name, np.float32)
    narrow, wide = np.empty_like(prediction), np.empty(prediction.shape)
    kernel(prediction, target, narrow)
    kernel(prediction.astype(float), target.astype(float) if target.ndim == 2 else target, wide)
    np.testing.assert_allclose(narrow, wide, rtol=1e-6, atol=1e-8)


@every_loss
def test_the_gradient_may_replace_the_prediction(name):
    kernel, _, prediction, target = example(name)
    grad = np.empty_like(prediction)
    value = kernel(prediction, target, grad)
    assert kernel(prediction, target, prediction) == value
    np.testing.assert_array_equal(prediction, grad)


@both_dtypes
def test_crossentropies_stay_finite_for_large_logits(dtype):
    logits, grad = np.array([[1e4, -1e4]], dtype), np.empty((1, 2), dtype)
    value = kernels.binary_crossentropy_from_logits(logits, np.array([[0.0, 0.0]], dtype), grad)
    assert value == 5e3
    assert grad.tolist() == [[0.5, 0.0]]
    value = kernels.categorical_crossentropy_from_logits(logits, np.array([1]), grad)
    assert value == 2e4
    assert grad.tolist() == [[1.0, -1.0]]


@every_loss
def test_nan_makes_the_loss_nan(name):
    kernel, _, prediction, target = example(name)
    prediction[2, 3] = np.nan
    grad = np.empty_like(prediction)
    assert np.isnan(kernel(prediction, target, grad))
    assert np.isnan(grad[2, 3])
    assert np.isfinite(grad[[0, 1, 3, 4, 5]]).all()


@every_loss
def test_the_mean_of_an_empty_batch_is_nan(name):
    kernel, _, _, target = example(name)
    assert np.isnan(kernel(np.empty((0, 4)), target[:0], np.empty((0, 4))))


@every_loss
def test_shapes_are_checked(name):
    kernel, _, prediction, target = example(name)
    with pytest.raises(ArgumentError, match="shape"):
        kernel(prediction, target, np.empty((5, 4)))
    with pytest.raises(ArgumentError, match=r"labels|target"):
        kernel(prediction, target[:5], np.empty((6, 4)))


@pytest.mark.parametrize("label", [-1, 4])
def test_a_label_that_is_no_class_is_refused(label):
    kernel, _, prediction, target = example("categorical_crossentropy")
    target[3] = label
    grad = np.full_like(prediction, 99.0)
    with pytest.raises(ArgumentError, match="label"):
        kernel(prediction, target, grad)
    np.testing.assert_array_equal(grad, 99.0)
