import naive
import numba
import numpy as np
import pytest
from naive_losses import row_losses

from fastinit.errors import ArgumentError
from fastinit.kernels import losses

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def values_like(rng, shape):
    return rng.standard_normal(shape)


def probabilities_like(rng, shape):
    target = rng.integers(0, 2, shape).astype(float)
    target[0, 0] = 0.3
    return target


def labels_like(rng, shape):
    return rng.integers(0, shape[1], shape[0])


# name: kernel, targets of a batch of that shape, name of the parameter
LOSSES = {
    "mean_squared_error": (losses.mean_squared_error, values_like, None),
    "mean_absolute_error": (losses.mean_absolute_error, values_like, None),
    "huber": (losses.huber, values_like, "delta"),
    "binary_crossentropy": (
        losses.binary_crossentropy_from_logits,
        probabilities_like,
        "label_smoothing",
    ),
    "categorical_crossentropy": (
        losses.categorical_crossentropy_from_logits,
        labels_like,
        "label_smoothing",
    ),
}
DEFAULTS = {"huber": 1.0}
CROSSENTROPIES = ["binary_crossentropy", "categorical_crossentropy"]
every_loss = pytest.mark.parametrize("name", LOSSES)
every_crossentropy = pytest.mark.parametrize("name", CROSSENTROPIES)
PARAMETERS = [(name, None) for name in LOSSES]
PARAMETERS += [("huber", 0.4), *((name, 0.2) for name in CROSSENTROPIES)]
every_parameter = pytest.mark.parametrize(("name", "parameter"), PARAMETERS)


def example(name, dtype=np.float64, shape=(7, 5)):
    rng = np.random.default_rng(0)
    prediction = (2 * rng.standard_normal(shape)).astype(dtype)
    target = LOSSES[name][1](rng, shape)
    return prediction, target.astype(dtype) if target.ndim == 2 else target


def double(target):
    return target.astype(float) if target.ndim == 2 else target


def call(name, prediction, target, grad=None, parameter=None, class_weights=None, **weights):
    """Call the kernel with all its arguments: each set of those left out is compiled anew."""
    grad = np.empty_like(prediction) if grad is None else grad
    arguments = {"sample_weights": np.ones(len(prediction)), **weights}
    if keyword := LOSSES[name][2]:
        arguments[keyword] = DEFAULTS.get(name, 0.0) if parameter is None else parameter
    if name in CROSSENTROPIES:
        arguments["class_weights"] = class_weights
    return LOSSES[name][0](prediction, target, grad, **arguments)


def call_rows(name, prediction, target, parameter, weights, scale, forward_only=False):
    """Return the losses and gradients that `loss_rows` writes."""
    values, labels = (
        (target, np.empty(0, np.int64)) if target.ndim == 2 else (prediction[:0], target)
    )
    grad, out = np.empty_like(prediction), np.empty(len(prediction))
    parameter = DEFAULTS.get(name, 0.0) if parameter is None else parameter
    losses.loss_rows(
        losses.CODES[name], np.array([parameter]), prediction, values, labels, weights, scale,
        grad[:0] if forward_only else grad, out,
    )  # fmt: skip
    return out, grad


@pytest.mark.parametrize(
    ("name", "prediction", "target", "loss", "grad"),
    [
        ("mean_squared_error", [[1.0, 4.0]], [[1.0, 2.0]], 2.0, [[0.0, 2.0]]),
        ("mean_absolute_error", [[1.0, 4.0, 0.0]], [[1.0, 2.0, 1.0]], 1.0, [[0, 1 / 3, -1 / 3]]),
        ("huber", [[0.5, 4.0], [-3.0, 1.0]], [[0.0, 2.0], [0.0, 1.0]], 4.125 / 4,
         [[0.125, 0.25], [-0.25, 0.0]]),
        ("binary_crossentropy", [[0.0], [0.0]], [[0.0], [1.0]], np.log(2), [[0.25], [-0.25]]),
        ("binary_crossentropy", [[np.log(3)]], [[1.0]], np.log(4 / 3), [[-0.25]]),
        ("categorical_crossentropy", [[0.0, np.log(3)]], [1], np.log(4 / 3), [[0.25, -0.25]]),
    ],
)  # fmt: skip
def test_known_answers(name, prediction, target, loss, grad):
    got = np.empty_like(prediction)
    value = LOSSES[name][0](np.array(prediction), np.array(target), got)
    assert value == pytest.approx(loss, rel=1e-15)
    np.testing.assert_allclose(got, grad, rtol=1e-15)


@every_parameter
@both_dtypes
def test_agrees_with_numpy(name, parameter, dtype):
    prediction, target = example(name, dtype)
    value = call(name, prediction, target, parameter=parameter)
    assert isinstance(value, float)
    expected = row_losses(name, prediction.astype(float), double(target), parameter)
    tolerance = 1e-6 if dtype == np.float32 and name in CROSSENTROPIES else 1e-13
    assert value == pytest.approx(expected.mean(), rel=tolerance)
    weights = np.linspace(0.0, 3.0, len(prediction))
    value = call(name, prediction, target, parameter=parameter, sample_weights=weights)
    assert value == pytest.approx((weights * expected).mean(), rel=tolerance)
    rows, _ = call_rows(name, prediction, target, parameter, weights, 1.0)
    np.testing.assert_allclose(rows, weights * expected, rtol=10 * tolerance)


@every_parameter
def test_gradient_is_the_derivative(name, parameter):
    prediction, target = example(name)
    weights = np.linspace(0.5, 2.0, len(prediction))
    grad = np.empty_like(prediction)
    call(name, prediction, target, grad, parameter, sample_weights=weights)
    numeric = naive.gradient(
        lambda p: (weights * row_losses(name, p, target, parameter)).mean(), prediction
    )
    np.testing.assert_allclose(grad, numeric, rtol=1e-6, atol=1e-9)


@every_parameter
@both_dtypes
def test_rows_are_the_terms_of_the_mean_and_do_not_depend_on_the_cut(name, parameter, dtype):
    prediction, target = example(name, dtype, (71, 5))
    weights = np.linspace(0.5, 2.0, 71)
    grad = np.empty_like(prediction)
    value = call(name, prediction, target, grad, parameter, sample_weights=weights)
    rows, row_grads = call_rows(name, prediction, target, parameter, weights, 1 / 71)
    assert rows.mean() == pytest.approx(value, rel=1e-14)
    np.testing.assert_array_equal(row_grads, grad)
    for cut in (1, 32, 70):
        halves = [
            call_rows(name, prediction[part], target[part], parameter, weights[part], 1 / 71)
            for part in (slice(cut), slice(cut, None))
        ]
        np.testing.assert_array_equal(np.concatenate([half[0] for half in halves]), rows)
        np.testing.assert_array_equal(np.concatenate([half[1] for half in halves]), row_grads)
    without_grad, _ = call_rows(name, prediction, target, parameter, weights, 0.0, True)
    np.testing.assert_array_equal(without_grad, rows)


@pytest.mark.parametrize("shape", [(300, 1), (2, 700)])
@every_loss
def test_short_and_long_rows(name, shape):
    prediction, target = example(name, np.float64, shape)
    expected = row_losses(name, prediction, target)
    for forward_only in (False, True):
        rows, grad = call_rows(
            name, prediction, target, None, np.ones(len(prediction)), 1.0, forward_only
        )
        np.testing.assert_allclose(rows, expected, rtol=1e-11, atol=1e-15)
        if not forward_only:
            some = [(0, 0), (shape[0] - 1, shape[1] - 1), (1, shape[1] // 2)]
            for place in some:
                up, down = prediction.copy(), prediction.copy()
                up[place] += 1e-6
                down[place] -= 1e-6
                difference = row_losses(name, up, target) - row_losses(name, down, target)
                assert grad[place] == pytest.approx(difference[place[0]] / 2e-6, rel=1e-4, abs=1e-8)


@every_loss
def test_float32_gradient_agrees_with_float64(name):
    prediction, target = example(name, np.float32)
    narrow, wide = np.empty_like(prediction), np.empty(prediction.shape)
    call(name, prediction, target, narrow)
    call(name, prediction.astype(float), double(target), wide)
    np.testing.assert_allclose(narrow, wide, rtol=1e-6, atol=1e-8)


@every_crossentropy
def test_confident_predictions_keep_their_digits_in_float32(name):
    logits = np.array([[12.0, -13.0]], np.float32)
    target = np.array([[1.0, 0.0]], np.float32) if name == "binary_crossentropy" else np.array([0])
    grad, wide = np.empty_like(logits), np.empty(logits.shape)
    value = call(name, logits, target, grad)
    exact = call(name, logits.astype(float), double(target), wide)
    assert value == pytest.approx(exact, rel=2e-6)
    np.testing.assert_allclose(grad, wide, rtol=2e-6)


@every_crossentropy
def test_class_weights(name):
    prediction, target = example(name)
    weights = np.array([0.5, 2.0, 1.0, 3.0, 0.25])
    if name == "binary_crossentropy":
        weights, target = weights[:2], np.round(target)
        # an element a row, so that the oracle can weight each
        expected = row_losses(name, prediction.reshape(-1, 1), target.reshape(-1, 1), 0.1)
        of_elements = weights[target.astype(int)].ravel()
    else:
        expected, of_elements = row_losses(name, prediction, target, 0.1), weights[target]
    samples = np.linspace(1.0, 2.0, len(prediction))
    repeated = np.repeat(samples, len(expected) // len(samples))
    grad, wide = np.empty_like(prediction), np.empty_like(prediction)
    value = call(name, prediction, target, grad, 0.1, class_weights=weights)
    assert value == pytest.approx((of_elements * expected).mean(), rel=1e-13)
    value = call(name, prediction, target, wide, 0.1, class_weights=weights, sample_weights=samples)
    assert value == pytest.approx((of_elements * repeated * expected).mean(), rel=1e-13)
    np.testing.assert_allclose(wide, samples[:, None] * grad, rtol=1e-14)


def test_binary_class_weights_interpolate():
    logits, target = np.array([[0.7]]), np.array([[0.25]])
    plain = losses.binary_crossentropy_from_logits(logits, target, logits.copy())
    weights = np.array([1.0, 3.0])
    value = losses.binary_crossentropy_from_logits(logits, target, logits.copy(), 0.0, weights)
    assert value == pytest.approx(1.5 * plain, rel=1e-15)


@every_loss
def test_the_gradient_may_replace_the_prediction(name):
    prediction, target = example(name)
    grad = np.empty_like(prediction)
    value = call(name, prediction, target, grad)
    assert call(name, prediction, target, prediction) == value
    np.testing.assert_array_equal(prediction, grad)


@both_dtypes
def test_crossentropies_stay_finite_for_large_logits(dtype):
    logits, grad = np.array([[1e4, -1e4]], dtype), np.empty((1, 2), dtype)
    value = losses.binary_crossentropy_from_logits(logits, np.array([[0.0, 0.0]], dtype), grad)
    assert value == 5e3
    assert grad.tolist() == [[0.5, 0.0]]
    value = losses.categorical_crossentropy_from_logits(logits, np.array([1]), grad)
    assert value == 2e4
    assert grad.tolist() == [[1.0, -1.0]]


def test_infinite_inputs():
    grad, one = np.empty((1, 3)), np.array([1])
    excluded = np.array([[0.0, 0.0, -np.inf]])
    categorical = losses.categorical_crossentropy_from_logits
    assert categorical(excluded, one, grad) == pytest.approx(np.log(2), rel=1e-15)
    assert grad.tolist() == [[0.5, -0.5, 0.0]]
    assert categorical(excluded, one + 1, grad) == np.inf
    assert grad.tolist() == [[0.5, 0.5, -1.0]]
    assert categorical(excluded, one, grad, 0.1) == np.inf
    assert np.isnan(categorical(-excluded, one, grad))
    assert np.isnan(categorical(np.full((1, 3), -np.inf), one, grad))
    huge, grad = np.array([[np.inf]]), np.empty((1, 1))
    binary = losses.binary_crossentropy_from_logits
    assert binary(huge, np.zeros((1, 1)), grad) == np.inf
    assert np.isnan(binary(huge, np.ones((1, 1)), grad))
    zero = np.zeros((1, 1))
    assert losses.mean_squared_error(huge, zero, grad) == np.inf
    assert losses.mean_absolute_error(-huge, zero, grad) == np.inf
    assert grad[0, 0] == -1.0
    assert losses.huber(-huge, zero, grad, 2.0) == np.inf
    assert grad[0, 0] == -2.0


@every_loss
@both_dtypes
def test_nan_makes_the_loss_nan(name, dtype):
    for column in (0, 3, 4):
        prediction, target = example(name, dtype)
        prediction[2, column] = np.nan
        grad = np.empty_like(prediction)
        assert np.isnan(call(name, prediction, target, grad))
        assert np.isnan(grad[2, column])
        assert np.isfinite(grad[[0, 1, 3, 4, 5, 6]]).all()
        rows, _ = call_rows(name, prediction, target, None, np.ones(7), 1.0, True)
        np.testing.assert_array_equal(np.isnan(rows), np.arange(7) == 2)


@every_loss
def test_the_mean_of_nothing_is_nan(name):
    _, target = example(name)
    assert np.isnan(call(name, np.empty((0, 5)), target[:0]))
    if name != "categorical_crossentropy":
        assert np.isnan(call(name, np.empty((7, 0)), target[:, :0].copy()))


@every_loss
def test_shapes_are_checked(name):
    prediction, target = example(name)
    with pytest.raises(ArgumentError, match="shape"):
        call(name, prediction, target, np.empty((6, 5)))
    with pytest.raises(ArgumentError, match=r"labels|target"):
        call(name, prediction, target[:6])
    with pytest.raises(ArgumentError, match="sample_weights"):
        call(name, prediction, target, sample_weights=np.ones(6))
    if name in CROSSENTROPIES:
        with pytest.raises(ArgumentError, match="class_weights"):
            call(name, prediction, target, class_weights=np.ones(3))


@pytest.mark.parametrize(
    ("name", "parameter"),
    [("huber", bad) for bad in (0.0, -1.0, np.nan)]
    + [(name, bad) for name in CROSSENTROPIES for bad in (-0.1, 1.0, np.nan)],
)
def test_parameters_are_checked(name, parameter):
    prediction, target = example(name)
    with pytest.raises(ArgumentError, match=LOSSES[name][2]):
        call(name, prediction, target, parameter=parameter)


@pytest.mark.parametrize("label", [-1, 5])
def test_a_label_that_is_no_class_is_refused(label):
    prediction, target = example("categorical_crossentropy")
    target[3] = label
    grad = np.full_like(prediction, 99.0)
    with pytest.raises(ArgumentError, match="label"):
        call("categorical_crossentropy", prediction, target, grad)
    np.testing.assert_array_equal(grad, 99.0)


def test_keywords_inside_compiled_functions():
    prediction, target = example("categorical_crossentropy")
    weights = np.linspace(1.0, 2.0, 7)

    @numba.njit
    def compiled(prediction, target, grad, weights):
        return losses.categorical_crossentropy_from_logits(
            prediction, target, grad, label_smoothing=0.1, sample_weights=weights
        )

    grad, expected_grad = np.empty_like(prediction), np.empty_like(prediction)
    expected = call("categorical_crossentropy", prediction, target, expected_grad, 0.1,
                    sample_weights=weights)  # fmt: skip
    assert compiled(prediction, target, grad, weights) == expected
    np.testing.assert_array_equal(grad, expected_grad)
