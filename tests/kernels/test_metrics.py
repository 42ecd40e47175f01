import numpy as np
import pytest

from fastinit.kernels import metrics

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def rows_of(name, output, target, parameter=0.0):
    output, target = np.array(output), np.array(target)
    values, labels = (output, target) if target.ndim == 1 else (target, np.empty(0, np.int64))
    out = np.empty(len(output))
    metrics.metric_rows(metrics.CODES[name], parameter, output, values, labels, out)
    return out


@both_dtypes
@pytest.mark.parametrize("shape", [(50, 7), (50, 1)])
def test_agrees_with_numpy(dtype, shape):
    rng = np.random.default_rng(0)
    output = rng.standard_normal(shape).astype(dtype)
    labels, values = rng.integers(0, shape[1], 50), rng.standard_normal(shape).astype(dtype)
    np.testing.assert_array_equal(rows_of("accuracy", output, labels), output.argmax(1) == labels)
    for k in (1, 3, 10):
        best = np.argsort(-output, axis=1)[:, :k]
        np.testing.assert_array_equal(
            rows_of("top_k_categorical_accuracy", output, labels, k),
            (best == labels[:, None]).any(axis=1),
        )
    for threshold in (0.0, 0.5):
        np.testing.assert_allclose(
            rows_of("binary_accuracy", output, values, threshold),
            ((output > threshold) == (values > 0.5)).mean(axis=1),
            rtol=1e-15,
        )
    difference = output.astype(float) - values
    for name, expected in (
        ("mean_absolute_error", np.abs(difference).mean(axis=1)),
        ("mean_squared_error", (difference**2).mean(axis=1)),
    ):
        np.testing.assert_allclose(rows_of(name, output, values), expected, rtol=1e-14)


def test_of_equal_outputs_the_first_is_the_largest():
    output = [[1.0, 1.0, 0.0]] * 3
    assert rows_of("accuracy", output, [0, 1, 2]).tolist() == [1.0, 0.0, 0.0]
    best_two = rows_of("top_k_categorical_accuracy", output, [0, 1, 2], 2)
    assert best_two.tolist() == [1.0, 1.0, 0.0]


def test_nan_is_never_right():
    nan = np.nan
    output = [[nan, 0.0], [0.0, nan], [nan, 0.0], [nan, nan]]
    for name, parameter in (("accuracy", 0.0), ("top_k_categorical_accuracy", 1)):
        assert rows_of(name, output, [0, 0, 1, 0], parameter).tolist() == [0.0] * 4
    assert rows_of("accuracy", [[nan]], [0]).tolist() == [0.0]
    assert rows_of("binary_accuracy", output, np.zeros((4, 2))).tolist() == [0.5, 0.5, 0.5, 0.0]
    assert np.isnan(rows_of("mean_squared_error", output, np.zeros((4, 2)))).all()


def test_edges_of_the_thresholds_and_of_infinity():
    output, target = [[0.0], [0.0], [1e-30]], [[0.0], [1.0], [1.0]]
    assert rows_of("binary_accuracy", output, target).tolist() == [1.0, 0.0, 1.0]
    infinite = [[np.inf, 1.0], [-np.inf, 1.0]]
    assert rows_of("accuracy", infinite, [0, 1]).tolist() == [1.0, 1.0]


def test_an_empty_batch_writes_nothing():
    assert rows_of("accuracy", np.empty((0, 3)), np.empty(0, np.int64)).size == 0
