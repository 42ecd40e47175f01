"""Loading, and the error for each way in which data can be unusable."""

from __future__ import annotations

import gzip
import inspect
import math
import sys

import numpy as np
import pytest

from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.lab.data import from_arrays, load, load_data
from fastinit.lab.data.catalogue import CATALOGUE, REGRESSIONS
from fastinit.lab.data.idx import read_idx

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
    assert data.constant_score == pytest.approx(0.1, abs=0.01)
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
        ("digitz", None, "unknown data 'digitz'; did you mean 'digits'.*or a .csv, .npz or"),
        ("spiral(noise=1)", None, "unknown data 'spiral'; did you mean 'spirals'"),
        ("data.txt", None, "data must be a name such as 'digits', a .csv, .npz or .*'data.txt'"),
        ("nothere.csv", "y", "no data file 'nothere.csv'"),
        ("", None, "data must be a name such as 'digits', .* got ''"),
        ("digits", "y", "target 'y' names a column of .*; digits has none"),
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


# Regression


def line(rows=40, outputs=1):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, 3))
    return x, x @ rng.normal(size=(3, outputs)) * 50 + 7


def test_a_regression_is_scaled_by_its_train_rows():
    data = from_arrays("line", *line(outputs=2))
    assert (data.task, data.outputs, data.classes) == ("regression", 2, ())
    assert (data.loss, data.metric) == ("mean_squared_error", "R²")
    assert data.y_train.dtype == np.float32
    np.testing.assert_allclose(data.y_train.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(data.y_train.std(axis=0), 1, rtol=1e-6)
    assert data.constant_loss == pytest.approx(1)
    assert data.constant_score <= 0


def test_the_score_of_a_regression_is_r2():
    from sklearn.metrics import r2_score

    data = from_arrays("line", *line(outputs=2))
    guess = data.y_test + np.random.default_rng(0).normal(size=data.y_test.shape)
    loss = np.square(guess - data.y_test).mean()
    expected = r2_score(data.y_test, guess, multioutput="variance_weighted")
    assert 1 - loss / data.test_variance == pytest.approx(expected)
    mean = np.broadcast_to(data.y_train.mean(axis=0), data.y_test.shape)
    expected = r2_score(data.y_test, mean, multioutput="variance_weighted")
    assert data.constant_score == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("y", "task"),
    [
        (np.arange(80) % 20 + 0.5, "classification"),  # 20 values are still classes
        (np.arange(42) % 21 + 0.5, "regression"),
        (np.arange(40.0), "regression"),
        (np.arange(40) % 10, "classification"),
        (np.arange(80) // 4 * 1.0, "classification"),
    ],
)
def test_the_target_decides_the_task(y, task):
    x = np.random.default_rng(0).normal(size=(len(y), 2))
    assert from_arrays("x", x, y).task == task


def test_the_task_can_be_said(rng):
    x, y = rng.normal(size=(ROWS, 2)), np.arange(ROWS)
    with pytest.raises(ArgumentError, match="task='regression'"):
        from_arrays("x", x, y)
    assert from_arrays("x", x, y, task="regression").task == "regression"
    x, _ = line(rows=200)
    labels = np.arange(200) // 8 * 1.0
    assert from_arrays("x", x, labels).task == "regression"
    assert from_arrays("x", x, labels, task="classification").outputs == 25


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones((6, 1)), np.arange(6.0), "a regression needs 8, got 6"),
        (np.ones((9, 1)), np.ones(9), "every target of the train rows is 1.0 in column 0"),
        (np.ones((9, 1)), np.ones((9, 0)), r"\(rows, outputs\) for a regression, got \(9, 0\)"),
        (np.ones((9, 1)), np.r_[np.arange(8.0), np.inf], r"y\[8, 0\] is inf; a target is a finite"),
        (np.ones((9, 1)), np.array(["a"] * 9), "y must hold real numbers for a regression"),
        (np.ones((9, 1)), np.arange(8.0), "x has 9 rows and y has 8"),
    ],
)
def test_unusable_regressions(x, y, message):
    with pytest.raises(ArgumentError, match=message):
        from_arrays("x", x, y, task="regression")


def test_unusable_test_rows_of_a_regression():
    x, y = line()
    with pytest.raises(ArgumentError, match="y has 1 outputs a row and y_test has 2"):
        from_arrays("x", x, y, x[:4], np.c_[y, y][:4])
    with pytest.raises(ArgumentError, match="every target of the test rows"):
        from_arrays("x", x, y, x[:1], y[:1])
    with pytest.raises(ArgumentError, match="task must be 'classification' or 'regression'"):
        from_arrays("x", x, y, task="ranking")


def test_validation_rows_come_from_the_train_rows():
    data = load_data("digits")
    part = data.validation()
    rows = {row.tobytes() for row in data.x_train}
    assert len(part.x_train) + len(part.x_test) == len(data.x_train)
    assert all(row.tobytes() in rows for row in part.x_test)
    shares = np.bincount(part.y_test) / np.bincount(part.y_train)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.03)
    assert part.classes == data.classes
    again = data.validation()
    np.testing.assert_array_equal(part.x_test, again.x_test)


def test_validation_of_classes_with_a_single_row(rng):
    x = rng.normal(size=(20, 2))
    y = np.array(["a"] * 19 + ["b"])
    part = from_arrays("x", x, y, x[:2], y[-2:]).validation()
    assert len(part.x_test) == 5


def test_bytes_are_scaled_as_floats_are(rng):
    """Images of bytes are not copied whole in float64, and come out the same."""
    x = rng.integers(0, 256, size=(9000, 2, 2), dtype=np.uint8)  # more than one block
    y = np.arange(9000) % 2
    whole, floats = from_arrays("x", x, y), from_arrays("x", x.astype(np.float64), y)
    np.testing.assert_array_equal(whole.x_train, floats.x_train)
    plain = x.reshape(9000, -1).astype(float)
    assert abs(plain.mean() - 127) < 2
    assert np.square(whole.x_train.std(axis=0)).mean() == pytest.approx(1, rel=1e-5)


# Parquet


@pytest.fixture
def parquet(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")

    def write(**columns):
        path = tmp_path / "data.parquet"
        pandas.DataFrame(columns).to_parquet(path)
        return path

    return write


def test_parquet_is_what_the_same_csv_is(parquet, csv):
    columns = {
        "size": np.arange(ROWS),
        "weight": np.arange(ROWS) % 5 + 0.5,
        "kind": ["x", "y"] * 6,
    }
    one, other = load_data(parquet(**columns)), load_data(csv(HEADER, *LINES))
    assert one.name == "data.parquet (labels: kind)"
    np.testing.assert_array_equal(one.x_train, other.x_train)
    np.testing.assert_array_equal(one.y_test, other.y_test)
    assert one.classes == other.classes


def test_several_targets_of_a_table(parquet):
    x, y = line(outputs=2)
    path = parquet(a=x[:, 0], b=x[:, 1], up=y[:, 0], down=y[:, 1])
    data = load_data(path, "up, down")
    assert (data.task, data.outputs, data.x_train.shape[1]) == ("regression", 2, 2)
    np.testing.assert_array_equal(data.y_train, load_data(path, ["up", "down"]).y_train)
    with pytest.raises(ArgumentError, match="no column 'up,nowhere'"):
        load_data(path, "up,nowhere")


def test_unusable_parquet(parquet, tmp_path):
    times = np.arange(ROWS).astype("datetime64[s]")
    with pytest.raises(ArgumentError, match=r"row 1, column 'when', is '1970.*a finite number"):
        load_data(parquet(when=times, kind=["x", "y"] * 6))
    with pytest.raises(ArgumentError, match=r"column 'pair', is '\[1 2\]'"):
        load_data(parquet(pair=[[1, 2]] * ROWS, kind=["x", "y"] * 6))
    with pytest.raises(ArgumentError, match=r"row 2, column 'a', is missing"):
        load_data(parquet(a=[1, None, *range(10)], kind=["x", "y"] * 6))
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(ArgumentError, match="cannot be read as Parquet"):
        load_data(bad)


def test_parquet_without_an_engine(monkeypatch, parquet):
    def read(path):
        raise ImportError("no engine")

    path = parquet(a=[1.0], kind=["x"])
    monkeypatch.setattr("pandas.read_parquet", read)
    with pytest.raises(ArgumentError, match="Parquet needs pyarrow: pip install pyarrow"):
        load_data(path)


# IDX


CODES = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}


def idx(array):
    """Return an array as the bytes of an IDX file, number by number."""
    header = bytes([0, 0, CODES[array.dtype.name], array.ndim])
    lengths = b"".join(length.to_bytes(4, "big") for length in array.shape)
    return header + lengths + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture
def mnist(tmp_path, rng):
    """Return a folder with a small data set in the form of MNIST's."""
    for part, rows in (("train", 40), ("t10k", 12)):
        images = rng.integers(0, 256, size=(rows, 4, 4), dtype=np.uint8)
        labels = (np.arange(rows) % 10).astype(np.uint8)
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    return tmp_path


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("packed", [False, True])
def test_every_type_of_idx(tmp_path, dtype, packed):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    path = tmp_path / ("a.gz" if packed else "a")
    path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    found = read_idx(path)
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


def test_a_folder_of_idx_files(mnist):
    data = load_data(mnist)
    assert data.name == mnist.name
    assert (data.x_train.shape, data.x_test.shape) == ((40, 16), (12, 16))
    assert data.outputs == 10
    np.testing.assert_array_equal(data.y_test, np.arange(12) % 10)
    (mnist / "train-images-idx3-ubyte.gz").write_bytes(b"the plain one is read")
    by_file = load_data(mnist / "train-images-idx3-ubyte")
    np.testing.assert_array_equal(by_file.x_test, data.x_test)


def test_packed_files_with_prefix_and_no_test_part(mnist):
    folder = mnist / "more"
    folder.mkdir()
    for kind, other in (("images", "images.idx3"), ("labels", "labels.idx1")):
        digit = 3 if kind == "images" else 1
        packed = gzip.compress((mnist / f"train-{kind}-idx{digit}-ubyte").read_bytes())
        (folder / f"letters-train-{other}-ubyte.gz").write_bytes(packed)
    data = load_data(str(folder))
    assert data.name == "letters"
    assert (len(data.x_train), len(data.x_test)) == (30, 10)
    for file in mnist.iterdir():
        if file.is_file():
            file.rename(folder / file.name)
    with pytest.raises(ArgumentError, match="several data sets, called '', 'letters-'"):
        load_data(folder)
    assert load_data(folder / "letters-train-images.idx3-ubyte.gz").name == "letters"


GOOD = idx(np.zeros((2, 3), np.uint8))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no IDX file: it begins with b''"),
        (b"\0\0\x07\x02" + GOOD[4:], "is no IDX file"),
        (b"\1" + GOOD[1:], "is no IDX file"),
        (b"\0\0\x08\0", "is no IDX file"),
        (GOOD[:8], "truncated: it ends within its header"),
        (GOOD[:-1], r"is truncated: the shape \(2, 3\) is 6 bytes"),
        (GOOD + b"x", "goes on after its last element"),
        (GOOD[:4] + b"\xff" * 8, "is truncated"),  # 16 EiB
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_corrupt_idx(tmp_path, content, message, packed):
    path = tmp_path / ("a.gz" if packed else "a")
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(ArgumentError, match=message):
        read_idx(path)


def test_a_corrupt_gzip_of_idx(tmp_path):
    packed = gzip.compress(GOOD)
    for content in (packed[:-9], b"\x1f\x8b" + packed[:4:-1], b"nothing"):
        path = tmp_path / "a.gz"
        path.write_bytes(content)
        with pytest.raises(ArgumentError, match=r"a\.gz (cannot be read as|is no) IDX"):
            read_idx(path)


def test_missing_idx_files(mnist, tmp_path):
    (mnist / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(ArgumentError, match="has no t10k-labels-idx1-ubyte, plain or"):
        load_data(mnist)
    (mnist / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(ArgumentError, match="has no train-labels-idx1-ubyte"):
        load_data(mnist)
    with pytest.raises(ArgumentError, match="name the one of the train images"):
        load_data(mnist / "t10k-images-idx3-ubyte")
    with pytest.raises(ArgumentError, match="no data file"):
        load_data(tmp_path / "nowhere" / "train-images-idx3-ubyte")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArgumentError, match="has no IDX files: train-images-idx3-ubyte"):
        load_data(tmp_path / "empty")


# What comes along


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_data_set_that_comes_along(name):
    data, again = load_data(name), load_data(name)
    assert data.task == ("regression" if name in REGRESSIONS else "classification")
    np.testing.assert_array_equal(data.x_train, again.x_train)
    np.testing.assert_array_equal(data.y_test, again.y_test)
    parameters = inspect.signature(CATALOGUE[name]).parameters.values()
    arguments = ", ".join(f"{p.name}={p.default!r}" for p in parameters)
    assert f'"{name}({arguments})"'.replace("()", "") in " ".join(load.__doc__.split())


def test_data_sets_with_parameters():
    data = load_data("spirals(rows=300, classes=3, noise=0)")
    assert data.name == "spirals(rows=300, classes=3, noise=0)"
    assert (len(data.x_train), data.outputs) == (225, 3)
    assert load_data("regression(rows=100, outputs=2)").outputs == 2
    one, other = load_data("moons(rows=50)"), load_data("moons(rows=50, seed=1)")
    assert not np.array_equal(one.x_train, other.x_train)


def test_spirals_wind_as_they_say():
    from fastinit.lab.data.catalogue import _spirals

    x, y = _spirals(rows=600, classes=3, noise=0, turns=2)
    radius = np.hypot(*x.T)
    angle = np.arctan2(x[:, 1], x[:, 0])
    expected = 2 * np.pi * (2 * radius + y / 3)
    np.testing.assert_allclose(np.cos(angle - expected), 1, atol=1e-9)
    noisy, _ = _spirals(rows=600, classes=3, noise=0.1, turns=2)
    assert (noisy - x).std() == pytest.approx(0.1 / 6, rel=0.05)


def test_the_noise_of_a_regression_bounds_its_score():
    from sklearn.linear_model import LinearRegression

    data = load_data("regression(rows=4000, noise=0.5)")
    model = LinearRegression().fit(data.x_train, data.y_train)
    assert model.score(data.x_test, data.y_test) == pytest.approx(1 / 1.25, abs=0.03)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("spirals(row=3)", ArgumentTypeError, "it takes rows=1000, classes=2, noise=0.1"),
        ("digits(3)", ArgumentTypeError, "it takes no parameters"),
        ("spirals(rows=3)", ArgumentError, "rows must be at least 8, got 3"),
        ("moons(noise=-1)", ArgumentError, "noise must be at least 0"),
        ("circles(factor=1)", ArgumentError, "factor must be at least 0 and below 1"),
        ("regression(features=3)", ArgumentError, "informative is 10, and there are 3 features"),
        ("moons(noise='x')", ArgumentTypeError, "noise must be a number, got 'x'"),
    ],
)
def test_unusable_parameters(source, error, message):
    with pytest.raises(error, match=message):
        load_data(source)


# A user's own function


def test_a_function_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "place.py").write_text(
        "def pair():\n    return [[0], [1]] * 8, [0, 1] * 8"
    )
    (tmp_path / "own.py").write_text(
        "import numpy as np\n"
        "def pair():\n    return np.eye(8)[:, :3], [0, 1] * 4\n"
        "def four():\n    return np.eye(8), [0, 1] * 4, np.eye(8)[:2], [0, 1]\n"
        "def one():\n    return 3\n"
        "def fails():\n    raise KeyError('x')\n"
        "number = 3\n"
    )
    own = tmp_path / "own.py"
    assert load_data(f"{own}:pair").x_train.shape == (6, 3)
    assert len(load_data(f"{own}:four").x_train) == 8
    monkeypatch.chdir(tmp_path)
    assert load_data("own:pair").name == "own:pair"  # a file in the working folder
    assert load_data("some.place:pair").x_train.shape == (12, 1)
    for source, message in [
        ("own:one", "must return .*it returned int"),
        ("own:number", "is not a function, it is 3"),
        ("own:nothing", "there is no 'nothing' in 'own'"),
        ("nowhere_at_all:f", "'nowhere_at_all' cannot be imported: ModuleNotFoundError"),
        ("own:fails", "'own:fails' failed: KeyError: 'x'"),
    ]:
        with pytest.raises((ArgumentError, ArgumentTypeError), match=message):
            load_data(source)
    with pytest.raises(ArgumentError, match=r"names a column of .*; a function has none"):
        load_data("own:pair", "y")
