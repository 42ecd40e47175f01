"""Loading, and the error for each way in which data can be unusable."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.lab.data import from_arrays, load_data

ROWS = 12


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def good(rng):
    return rng.normal(size=(ROWS, 3)), np.array(["a", "b", "c"] * 4)


@pytest.fixture
def csv(tmp_path):
    """Return a function that writes lines into a CSV file."""

    def write(*lines):
        path = tmp_path / "data.csv"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


@pytest.fixture
def npz(tmp_path):
    """Return a function that writes arrays into an NPZ file."""

    def write(**arrays):
        path = tmp_path / "data.npz"
        np.savez(path, **arrays)
        return path

    return write


HEADER = "size,weight,kind"
LINES = [f"{i},{i % 5}.5,{'xy'[i % 2]}" for i in range(ROWS)]


def test_digits():
    data = load_data("digits")
    assert data.x_train.shape == (1347, 64)
    assert data.x_test.shape == (450, 64)
    assert data.classes == tuple("0123456789")
    assert data.x_train.dtype == np.float32
    assert data.constant_loss == pytest.approx(math.log(10), abs=1e-3)
    assert data.constant_accuracy == pytest.approx(0.1, abs=0.01)
    shares = np.bincount(data.y_test) / np.bincount(data.y_train)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.02)


def test_scaling_is_the_train_rows(good):
    data = from_arrays("good", *good)
    np.testing.assert_allclose(data.x_train.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(data.x_train.std(axis=0), 1, rtol=1e-6)
    assert abs(data.x_test.mean(axis=0)).max() > 1e-3


def test_a_feature_without_variance_becomes_zero(good):
    x, y = good
    data = from_arrays("good", np.c_[x, np.full(ROWS, 0.1)], y)
    np.testing.assert_allclose(data.x_train[:, 3], 0, atol=1e-12)


def test_images_share_one_scale(rng):
    images = rng.normal(size=(ROWS, 2, 2)) * [1, 2]
    data = from_arrays("images", images, np.arange(ROWS) % 3)
    np.testing.assert_allclose(data.x_train.mean(axis=0), 0, atol=1e-6)
    std = data.x_train.std(axis=0)
    assert std[1] / std[0] > 1.2
    assert np.square(std).mean() == pytest.approx(1)


def test_the_split_is_always_the_same(good):
    first, second = from_arrays("good", *good), from_arrays("good", *good)
    np.testing.assert_array_equal(first.x_test, second.x_test)
    np.testing.assert_array_equal(first.y_test, second.y_test)


def test_csv_with_classes_as_text(csv):
    data = load_data(str(csv(HEADER, *LINES)), "kind")
    assert data.name == "data.csv"
    assert data.classes == ("x", "y")
    assert data.x_train.shape == (9, 2)


@pytest.mark.parametrize(
    ("header", "label"),
    [("size,weight,kind", "kind"), ("size,Label,kind", "Label"), ("y,target,kind", "kind")],
)
def test_the_likely_column_of_labels(csv, header, label):
    columns = [range(ROWS), [i % 2 for i in range(ROWS)], [i % 3 for i in range(ROWS)]]
    lines = [",".join(map(str, row)) for row in zip(*columns, strict=True)]
    data = load_data(csv(header, *lines))
    assert data.name == f"data.csv (labels: {label})"
    assert len(data.classes) == (2 if label == "Label" else 3)


def test_csv_with_classes_as_numbers(csv):
    data = load_data(csv("label,a", *[f"{i % 3},{i}" for i in range(ROWS)]), "label")
    assert data.classes == ("0", "1", "2")


@pytest.mark.parametrize(
    ("lines", "target", "message"),
    [
        (LINES, "sort", r"no column 'sort'; it has \['size', 'weight', 'kind'\]"),
        (["1,,x", *LINES], "kind", r"row 1, column 'weight', is missing"),
        ([*LINES, "1,2.5,"], "kind", r"row 13, column 'kind', is missing"),
        ([LINES[0], "1,heavy,y", *LINES], "kind", r"row 2, column 'weight', is 'heavy'"),
        ([*LINES, "inf,2.5,x"], "kind", r"row 13, column 'size', is 'inf'"),
        (["1,2,x"] * ROWS, "kind", r"every label is 'x'"),
        ([], "kind", r"\(rows, features\), none 0, got \(0, 2\)"),
        (LINES[:3], "kind", r"too few rows: .* 'y' has 1 row"),
        ([*LINES, "1,2,3,4,5"], "kind", r"cannot be read as CSV"),
    ],
)
def test_unusable_csv(csv, lines, target, message):
    with pytest.raises(ArgumentError, match=message):
        load_data(csv(HEADER, *lines), target)


def test_csv_with_measurements_as_labels(csv):
    with pytest.raises(ArgumentError, match=r"of the 12 classes, .* must be classes, not measure"):
        load_data(csv("a,b", *[f"{i},{i / 7}" for i in range(ROWS)]), "b")


def test_csv_with_nothing_but_labels(csv):
    with pytest.raises(ArgumentError, match="no features"):
        load_data(csv("kind", *"xyxyxyxy"), "kind")


def test_empty_file(csv):
    with pytest.raises(ArgumentError, match="cannot be read as CSV"):
        load_data(csv(), "kind")


def test_npz_is_split(npz, good):
    x, y = good
    data = load_data(npz(x=x.reshape(ROWS, 3, 1), y=y[:, None], extra=x))
    assert data.x_train.shape == (9, 3)
    assert data.classes == ("a", "b", "c")


def test_npz_with_a_test_part(npz, good):
    x, y = good
    data = load_data(npz(x=x, y=y, x_test=x[:2], y_test=y[1:3]))
    assert len(data.x_train) == ROWS
    np.testing.assert_array_equal(data.x_test, data.x_train[:2])
    np.testing.assert_array_equal(data.y_test, [1, 2])


def bad_npz(x, y):
    broken = x.copy()
    broken[4, 1] = np.nan
    missing = np.where(y == "b", np.nan, 1.0)
    return {
        "it holds \\['x', 'a'\\]": {"x": x, "a": y},
        "x\\[4, 1\\] is nan": {"x": broken, "y": y},
        "y\\[1\\] is missing": {"x": x, "y": missing},
        "x has 12 rows and y has 11": {"x": x, "y": y[1:]},
        "x must have the shape \\(rows, features\\), none 0, got \\(12,\\)": {"x": x[:, 0], "y": y},
        "y must have the shape \\(rows,\\)": {"x": x, "y": np.eye(ROWS)},
        "x must hold real numbers": {"x": x * 1j, "y": y},
        "x_test and y_test are given together": {"x": x, "y": y, "x_test": x},
        "x has 3 features a row and x_test has 2": {
            "x": x,
            "y": y,
            "x_test": x[:, :2],
            "y_test": y,
        },
        "y_test has the label 'z', y has not": {"x": x, "y": y, "x_test": x[:1], "y_test": ["z"]},
        "cannot be read as NPZ": {"x": x, "y": y.astype(object)},
    }


@pytest.mark.parametrize("message", bad_npz(np.ones((ROWS, 3)), np.array(["a", "b", "c"] * 4)))
def test_unusable_npz(npz, good, message):
    with pytest.raises(ArgumentError, match=message):
        load_data(npz(**bad_npz(*good)[message]))


def test_a_file_that_is_no_npz(tmp_path):
    path = tmp_path / "data.npz"
    path.write_text("x")
    with pytest.raises(ArgumentError, match="cannot be read as NPZ"):
        load_data(path)


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("digitz", None, "'digits' or a .csv or .npz file, got 'digitz'"),
        ("nothere.csv", "y", "no data file 'nothere.csv'"),
        ("digits", "y", "target 'y' names a CSV column; digits has none"),
    ],
)
def test_unusable_source(source, target, message):
    with pytest.raises(ArgumentError, match=message):
        load_data(source, target)


def test_unusable_type():
    with pytest.raises(ArgumentTypeError, match="got int"):
        load_data(3)


def test_arrays_and_data_sets(good):
    data = load_data(good)
    assert data.name == "arrays"
    assert load_data(data) is data
