"""The data that networks are compared on: scikit-learn's digits, a CSV or NPZ file, or arrays.

Every source ends as a :class:`Dataset`: float32 features with the mean and standard deviation of
the train rows taken out, and labels ``0 .. n_classes - 1``. Whatever cannot be trained on is
refused here, with the place where it stands. Pandas and scikit-learn, seconds to import, are
imported where they are used: the processes that train have no use for them.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastinit.errors import ArgumentError, ArgumentTypeError

if TYPE_CHECKING:
    import pandas

__all__ = ["MIN_ROWS_PER_CLASS", "TEST_SHARE", "Dataset", "from_arrays", "load", "load_data"]

TEST_SHARE = 0.25
"""Share of the rows that is kept for the test, drawn class by class."""

MIN_ROWS_PER_CLASS = 4
"""Fewest rows of a class, so that a quarter of them is still a row."""

TARGET_NAMES = ("target", "label", "labels", "class", "y")
"""What the column of labels may be called for it to be found."""

SPLIT_SEED = 0
"""The split is always the same one: two comparisons on the same data can be compared."""


@dataclass(frozen=True)
class Dataset:
    """A classification problem, split and scaled.

    Attributes
    ----------
    name : str
        What the data is called in tables and pages.
    x_train, x_test : ndarray of float32, shape (rows, features)
        Features, scaled by the train rows' mean and standard deviation.
    y_train, y_test : ndarray of int64, shape (rows,)
        Labels, ``0 .. n_classes - 1``.
    classes : tuple of str
        What each label stands for.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: tuple[str, ...]

    @property
    def constant_loss(self) -> float:
        """Cross-entropy, on the train rows, of the best predictor that ignores its input.

        That predictor answers with the class shares p, so its loss is their entropy,
        ``-sum(p log p)``: log(10) = 2.3 for ten classes of one size.
        """
        shares = np.bincount(self.y_train, minlength=len(self.classes)) / self.y_train.size
        shares = shares[shares > 0]
        return float(-(shares * np.log(shares)).sum())

    @property
    def constant_accuracy(self) -> float:
        """Test accuracy of always answering with the commonest class of the train rows."""
        commonest = np.bincount(self.y_train).argmax()
        return float((self.y_test == commonest).mean())


def load_data(source: Any = "digits", target: str | None = None) -> Dataset:
    """Return the data that ``source`` stands for.

    Parameters
    ----------
    source : str, path, (x, y) or (x, y, x_test, y_test), or Dataset, default "digits"
        ``"digits"``; a file, see :func:`load`; arrays, see :func:`from_arrays`; or a data set
        made before, which is returned as it is.
    target : str, optional
        The CSV column that holds the labels.

    Returns
    -------
    Dataset

    Raises
    ------
    ArgumentError
        If the data cannot be read or cannot be trained on.
    ArgumentTypeError
        If ``source`` is none of these.

    Examples
    --------
    >>> from fastinit.lab.data import load_data
    >>> load_data("digits").x_train.shape
    (1347, 64)
    """
    if isinstance(source, Dataset):
        return source
    if isinstance(source, (str, Path)):
        return load(source, target)
    if isinstance(source, tuple) and len(source) in (2, 4):
        return from_arrays("arrays", *source)
    raise ArgumentTypeError(
        "data must be 'digits', a CSV or NPZ file, (x, y) or (x, y, x_test, y_test), "
        f"got {type(source).__name__}"
    )


def load(source: str | Path, target: str | None = None) -> Dataset:
    """Read ``"digits"``, a CSV file or an NPZ file.

    Parameters
    ----------
    source : str or path
        ``"digits"`` is scikit-learn's 1797 handwritten digits of 8 x 8 pixels, which needs no
        network. A ``.csv`` file has a header line, numeric features and one column of labels. An
        ``.npz`` file has the arrays ``x`` and ``y``, and may have ``x_test`` and ``y_test``;
        without them a quarter of the rows is split off as the test.
    target : str, optional
        The CSV column that holds the labels; by default the one called target, label, labels,
        class or y, or else the last. Refused for data that is no CSV file.

    Returns
    -------
    Dataset

    Raises
    ------
    ArgumentError
        If the file cannot be read, has missing or non-numeric features, missing labels, fewer
        than two classes, or a class with fewer than four rows.
    """
    if str(source) == "digits":
        from sklearn.datasets import load_digits

        _refuse_target(target, "digits")
        digits = load_digits()
        return from_arrays("digits", digits.images, digits.target)
    path = Path(source)
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".npz"):
        raise ArgumentError(f"data must be 'digits' or a .csv or .npz file, got {str(source)!r}")
    if not path.is_file():
        raise ArgumentError(f"no data file {str(source)!r}")
    if suffix == ".csv":
        return _read_csv(path, target)
    _refuse_target(target, "an NPZ file")
    return _read_npz(path)


def from_arrays(name: str, x: Any, y: Any, x_test: Any = None, y_test: Any = None) -> Dataset:
    """Check, split and scale a classification problem.

    Parameters
    ----------
    name : str
        What to call the data.
    x : array_like, shape (rows, features) or (rows, ...)
        Features. Each is scaled by itself; but the values of more than two dimensions, such as
        the pixels of images, are of one kind, and share one scale: a pixel that is hardly ever
        lit would be blown up by its own.
    y : array_like, shape (rows,) or (rows, 1)
        Labels: integers, strings or booleans.
    x_test, y_test : array_like, optional
        The test rows. Without them a quarter of the rows, drawn class by class with a fixed seed,
        is split off.

    Returns
    -------
    Dataset

    Raises
    ------
    ArgumentError
        If a feature is not a finite number, a label is missing, shapes do not go together, or
        there are too few classes or rows.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.lab.data import from_arrays
    >>> x = numpy.arange(16.0).reshape(8, 2)
    >>> data = from_arrays("steps", x, ["low"] * 4 + ["high"] * 4)
    >>> data.classes, data.x_train.shape, data.x_test.shape
    (('high', 'low'), (6, 2), (2, 2))
    """
    from sklearn.model_selection import train_test_split

    shared_scale = np.ndim(x) > 2
    x, y = _features(x, "x"), _labels(y, "y")
    _same_length(x, y, "x", "y")
    classes, counts = np.unique(y, return_counts=True)
    if len(classes) < 2:
        raise ArgumentError(
            f"{name}: at least 2 classes are needed, and every label is {_quoted(y)}"
        )
    if (x_test is None) != (y_test is None):
        raise ArgumentError(f"{name}: x_test and y_test are given together or not at all")
    if x_test is None:
        _enough_rows(name, classes, counts)
        x, x_test, y, y_test = train_test_split(
            x, y, test_size=TEST_SHARE, stratify=y, random_state=SPLIT_SEED
        )
    else:
        x_test, y_test = _features(x_test, "x_test"), _labels(y_test, "y_test")
        _same_length(x_test, y_test, "x_test", "y_test")
        _check_test(name, x, x_test, y_test, classes)
    x_train, x_test = _scale(x, x_test, shared_scale)
    return Dataset(
        name=name,
        x_train=x_train,
        y_train=np.searchsorted(classes, y),
        x_test=x_test,
        y_test=np.searchsorted(classes, y_test),
        classes=tuple(str(value) for value in classes),
    )


def _read_csv(path: Path, target: str | None) -> Dataset:
    import pandas

    try:
        frame = pandas.read_csv(path)
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise ArgumentError(f"{path} cannot be read as CSV: {_one_line(error)}") from error
    columns = [str(column) for column in frame.columns]
    name = path.name
    if target is None:
        target = _likely_target(columns)
        name += f" (labels: {target})"  # so that whoever did not say sees what was taken
    if target not in columns:
        raise ArgumentError(f"{path} has no column {target!r}; it has {columns}")
    if len(columns) == 1:
        raise ArgumentError(f"{path} has no column but the target {target!r}: no features")
    for column in frame.columns:
        _check_column(path, frame[column], numeric=column != target)
    labels = frame.pop(target).to_numpy()
    return from_arrays(name, frame.to_numpy(dtype=np.float64), labels)


def _likely_target(columns: list[str]) -> str:
    """Return the one column with the name of a target, or else the last."""
    named = [column for column in columns if column.lower() in TARGET_NAMES]
    return named[0] if len(named) == 1 else columns[-1]


def _check_column(path: Path, column: pandas.Series[Any], *, numeric: bool) -> None:
    """Refuse a column with a missing value, or a feature that is not a finite number."""
    import pandas

    missing = column.isna()
    if missing.any():
        raise ArgumentError(f"{path}: {_cell(column, missing)} is missing")
    if not numeric:
        return
    numbers = pandas.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    bad = pandas.Series(~np.isfinite(numbers))
    if bad.any():
        value = column.iloc[int(bad.argmax())]
        raise ArgumentError(
            f"{path}: {_cell(column, bad)} is {str(value)!r}; a feature is a finite number"
        )


def _cell(column: pandas.Series[Any], bad: pandas.Series[bool]) -> str:
    return f"the value in row {int(bad.argmax()) + 1}, column {str(column.name)!r},"


def _read_npz(path: Path) -> Dataset:
    try:
        with np.load(path) as archive:
            found = list(archive.files)
            wanted = ("x", "y", "x_test", "y_test")
            arrays = {name: archive[name] for name in wanted if name in found}
    except (OSError, ValueError, AttributeError, zipfile.BadZipFile, EOFError) as error:
        raise ArgumentError(f"{path} cannot be read as NPZ: {_one_line(error)}") from error
    if "x" not in arrays or "y" not in arrays:
        raise ArgumentError(f"{path} must hold the arrays x and y; it holds {found}")
    return from_arrays(path.name, **arrays)


def _features(values: Any, name: str) -> np.ndarray:
    try:
        x = np.asarray(values)
        x = x if x.dtype.kind in "biuf" else x.astype(np.float64, casting="same_kind")
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{name} must hold real numbers: {_one_line(error)}") from error
    if x.ndim < 2 or 0 in x.shape:
        raise ArgumentError(f"{name} must have the shape (rows, features), none 0, got {x.shape}")
    x = x.reshape(len(x), -1).astype(np.float64)
    bad = ~np.isfinite(x)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise ArgumentError(
            f"{name}[{row}, {column}] is {float(x[row, column])!r}; a feature is a finite number"
        )
    return x


def _labels(values: Any, name: str) -> np.ndarray:
    import pandas

    y = np.asarray(values)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise ArgumentError(f"{name} must have the shape (rows,), one label a row, got {y.shape}")
    missing = pandas.isna(y)
    if missing.any():
        raise ArgumentError(f"{name}[{int(missing.argmax())}] is missing; every row needs a label")
    # Labels of mixed types cannot be sorted; as text they can.
    return y.astype(str) if y.dtype.kind == "O" else y


def _same_length(x: np.ndarray, y: np.ndarray, x_name: str, y_name: str) -> None:
    if len(x) != len(y):
        raise ArgumentError(f"{x_name} has {len(x)} rows and {y_name} has {len(y)}")


def _enough_rows(name: str, classes: np.ndarray, counts: np.ndarray) -> None:
    rarest = int(counts.argmin())
    if counts[rarest] < MIN_ROWS_PER_CLASS:
        raise ArgumentError(
            f"{name}: too few rows: of the {len(classes)} classes, {str(classes[rarest])!r} has "
            f"{counts[rarest]} row(s) and each needs {MIN_ROWS_PER_CLASS}; "
            "labels must be classes, not measurements"
        )


def _check_test(
    name: str,
    x: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    classes: np.ndarray,
) -> None:
    if x.shape[1] != x_test.shape[1]:
        raise ArgumentError(
            f"{name}: x has {x.shape[1]} features a row and x_test has {x_test.shape[1]}"
        )
    unknown = ~np.isin(y_test, classes)
    if unknown.any():
        raise ArgumentError(f"{name}: y_test has the label {_quoted(y_test[unknown])}, y has not")


def _scale(x_train: np.ndarray, x_test: np.ndarray, shared: bool) -> tuple[np.ndarray, np.ndarray]:
    """Take out the train rows' mean, feature by feature, and their standard deviation."""
    mean, std = x_train.mean(axis=0), x_train.std(axis=0)
    # A feature that is the same in every row has nothing to divide by. Its computed std may be
    # a rounding error above zero.
    std[std <= 1e-12 * np.abs(x_train).max(axis=0)] = 0.0
    if shared:
        std[:] = np.sqrt(np.square(std).mean())
    std[std == 0] = 1.0

    def scale(x: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray((x - mean) / std, dtype=np.float32)

    return scale(x_train), scale(x_test)


def _refuse_target(target: str | None, source: str) -> None:
    if target is not None:
        raise ArgumentError(f"target {target!r} names a CSV column; {source} has none")


def _quoted(labels: np.ndarray) -> str:
    return repr(str(labels[0]))


def _one_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
