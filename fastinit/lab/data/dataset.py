"""What networks are compared on: a :class:`Dataset`, made from arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np

from fastinit.errors import ArgumentError

__all__ = [
    "MAX_CLASSES_OF_FLOATS",
    "MIN_ROWS",
    "MIN_ROWS_PER_CLASS",
    "TASKS",
    "TEST_SHARE",
    "Dataset",
    "TaskName",
    "from_arrays",
    "one_line",
]

TaskName: TypeAlias = Literal["classification", "regression"]

TASKS: tuple[TaskName, ...] = ("classification", "regression")

TEST_SHARE = 0.25
"""Share of the rows that is kept for the test; of a classification, drawn class by class."""

MIN_ROWS_PER_CLASS = 4
"""Fewest rows of a class, so that a quarter of them is still a row."""

MIN_ROWS = 8
"""Fewest rows of a regression, so that a quarter of them has a variance."""

MAX_CLASSES_OF_FLOATS = 20
"""Floating numbers of more distinct values than this are measurements, not labels."""

SPLIT_SEED = 0
"""The split is always the same one: two comparisons on the same data can be compared."""

VALIDATION_SEED = 1
"""Likewise for the validation rows, which are split off the train rows."""

BLOCK = 8192
"""Rows that are scaled at a time: images of bytes need no copy in float64 of all of them."""


@dataclass(frozen=True)
class Dataset:
    """A problem of classification or regression, split and scaled.

    Attributes
    ----------
    name : str
        What the data is called in tables and pages.
    x_train, x_test : ndarray of float32, shape (rows, features)
        Features, scaled by the train rows' mean and standard deviation.
    y_train, y_test : ndarray
        Labels ``0 .. n_classes - 1``, int64 of shape (rows,); of a regression float32 of shape
        (rows, outputs), scaled by the train rows' mean and standard deviation.
    classes : tuple of str
        What each label stands for; empty for a regression.
    task : {"classification", "regression"}
        Which of the two it is.

    Examples
    --------
    >>> from fastinit.lab import load_data
    >>> data = load_data("iris")
    >>> data.x_train.shape, data.classes, data.outputs
    ((112, 4), ('setosa', 'versicolor', 'virginica'), 3)
    >>> round(data.constant_loss, 3)  # three classes of one size: log(3)
    1.099
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: tuple[str, ...]
    task: TaskName = "classification"

    @property
    def outputs(self) -> int:
        """Units of the last layer: one a class, or one a column of the targets."""
        return len(self.classes) if self.task == "classification" else self.y_train.shape[1]

    @property
    def loss(self) -> str:
        """The loss to train with, a key of :data:`fastinit.nn.losses.LOSSES`."""
        regression = self.task == "regression"
        return "mean_squared_error" if regression else "categorical_crossentropy"

    @property
    def metric(self) -> str:
        """What the score is called: accuracy, or R² for a regression."""
        return "R²" if self.task == "regression" else "accuracy"

    @cached_property
    def constant_loss(self) -> float:
        """Loss, on the train rows, of the best predictor that ignores its input.

        Of a classification it answers with the class shares p, so its cross-entropy is
        ``-sum(p log p)``: log(10) = 2.3 for ten classes of one size. Of a regression it answers
        with the mean, so its mean squared error is the variance: 1, since targets are scaled.
        """
        if self.task == "regression":
            return _variance(self.y_train)
        shares = np.bincount(self.y_train, minlength=len(self.classes)) / self.y_train.size
        shares = shares[shares > 0]
        return float(-(shares * np.log(shares)).sum())

    @cached_property
    def test_variance(self) -> float:
        """Variance of the test targets, mean over the outputs; of a regression.

        It makes the score out of a mean squared error: ``R² = 1 - error / test_variance``, which
        for several outputs weights each by its variance.
        """
        return _variance(self.y_test)

    @cached_property
    def constant_score(self) -> float:
        """Test score of the predictor that ignores its input.

        Always answering with the commonest class of the train rows, or with the mean of the train
        targets; the latter is 0 or, where the test rows have another mean, below.
        """
        if self.task == "regression":
            mean = self.y_train.mean(axis=0, dtype=np.float64)
            return float(1 - np.square(self.y_test - mean).mean() / self.test_variance)
        commonest = np.bincount(self.y_train).argmax()
        return float((self.y_test == commonest).mean())

    def validation(self) -> Dataset:
        """Return the same problem without its test rows: a quarter of the train rows for a test.

        What is chosen with it, a learning rate for instance, has not seen the test rows. The
        scaling stays that of all train rows.

        Returns
        -------
        Dataset
            With another name.

        Raises
        ------
        ArgumentError
            If there are too few rows, or the test rows of a regression are all alike.

        Examples
        --------
        >>> from fastinit.lab import load_data
        >>> data = load_data("digits").validation()
        >>> data.x_train.shape, data.x_test.shape
        ((1010, 64), (337, 64))
        """
        x, x_test, y, y_test = _split(self.x_train, self.y_train, self.task, VALIDATION_SEED)
        if self.task == "regression" and not _variance(y_test) > 0:
            raise ArgumentError(
                f"{self.name}: too few train rows to split validation rows off: {len(x)}"
            )
        name = f"{self.name}, validation rows"
        return replace(self, name=name, x_train=x, y_train=y, x_test=x_test, y_test=y_test)


def from_arrays(
    name: str,
    x: Any,
    y: Any,
    x_test: Any = None,
    y_test: Any = None,
    *,
    task: TaskName | None = None,
) -> Dataset:
    """Check, split and scale a problem of classification or regression.

    Parameters
    ----------
    name : str
        What to call the data.
    x : array_like, shape (rows, features) or (rows, ...)
        Features. Each is scaled by itself; but the values of more than two dimensions, such as
        the pixels of images, are of one kind, and share one scale: a pixel that is hardly ever
        lit would be blown up by its own.
    y : array_like, shape (rows,) or (rows, 1); of a regression also (rows, outputs)
        Labels: integers, strings or booleans. Or measurements, to be predicted as such.
    x_test, y_test : array_like, optional
        The test rows. Without them a quarter of the rows, of a classification drawn class by
        class, is split off with a fixed seed.
    task : {"classification", "regression"}, optional
        By default a regression if `y` has floating numbers of more than 20 distinct values, and
        a classification otherwise.

    Returns
    -------
    Dataset
        Scaled, in float32.

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
    >>> data = from_arrays("line", x, x.sum(axis=1), task="regression")
    >>> data.task, data.outputs, round(data.constant_loss, 6)
    ('regression', 1, 1.0)
    """
    if task not in (None, *TASKS):
        raise ArgumentError(f"task must be 'classification' or 'regression', got {task!r}")
    shared_scale = np.ndim(x) > 2
    x = _features(x, "x")
    if (x_test is None) != (y_test is None):
        raise ArgumentError(f"{name}: x_test and y_test are given together or not at all")
    task = task or _task_of(y)
    read = _targets if task == "regression" else _labels
    y = read(y, "y")
    _same_length(x, y, "x", "y")
    classes: np.ndarray = np.empty(0)
    if task == "classification":
        classes, counts = np.unique(y, return_counts=True)
        if len(classes) < 2:
            raise ArgumentError(
                f"{name}: at least 2 classes are needed, and every label is {_quoted(y)}"
            )
    if x_test is None:
        if task == "classification":
            _enough_rows_of_each(name, classes, counts)
        elif len(x) < MIN_ROWS:
            raise ArgumentError(
                f"{name}: too few rows: a regression needs {MIN_ROWS}, got {len(x)}"
            )
        x, x_test, y, y_test = _split(x, y, task, SPLIT_SEED)
    else:
        x_test, y_test = _features(x_test, "x_test"), read(y_test, "y_test")
        _same_length(x_test, y_test, "x_test", "y_test")
        _check_test(name, x, x_test)
    x_train, x_test = _scale(x, x_test, shared_scale)
    if task == "regression":
        _check_test_targets(name, y, y_test)
        y, y_test = _scale(y, y_test, shared=False)
    else:
        _check_test_labels(name, y_test, classes)
        y, y_test = np.searchsorted(classes, y), np.searchsorted(classes, y_test)
    return Dataset(
        name=name,
        x_train=x_train,
        y_train=y,
        x_test=x_test,
        y_test=y_test,
        classes=tuple(str(value) for value in classes),
        task=task,
    )


def _task_of(y: Any) -> TaskName:
    """Return the task that the targets speak of: floating numbers of many values, or labels."""
    y = np.asarray(y)
    if y.dtype.kind == "f" and len(np.unique(y[np.isfinite(y)])) > MAX_CLASSES_OF_FLOATS:
        return "regression"
    return "classification"


def _features(values: Any, name: str) -> np.ndarray:
    """Return features as a matrix of their own dtype, in which every number is finite."""
    try:
        x = np.asarray(values)
        x = x if x.dtype.kind in "biuf" else x.astype(np.float64, casting="same_kind")
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{name} must hold real numbers: {one_line(error)}") from error
    if x.ndim < 2 or 0 in x.shape:
        raise ArgumentError(f"{name} must have the shape (rows, features), none 0, got {x.shape}")
    x = x.reshape(len(x), -1)
    for start in range(0, len(x) if x.dtype.kind == "f" else 0, BLOCK):
        bad = ~np.isfinite(x[start : start + BLOCK])
        if bad.any():
            row, column = (int(i) for i in np.argwhere(bad)[0])
            raise ArgumentError(
                f"{name}[{start + row}, {column}] is {float(x[start + row, column])!r}; "
                "a feature is a finite number"
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


def _targets(values: Any, name: str) -> np.ndarray:
    """Return the targets of a regression as a matrix, in which every number is finite."""
    try:
        y = np.asarray(values).astype(np.float64, casting="same_kind")
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"{name} must hold real numbers for a regression: {one_line(error)}"
        ) from error
    if y.ndim == 1:
        y = y[:, None]
    if y.ndim != 2 or 0 in y.shape:
        raise ArgumentError(
            f"{name} must have the shape (rows,) or (rows, outputs) for a regression, got {y.shape}"
        )
    bad = ~np.isfinite(y)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise ArgumentError(
            f"{name}[{row}, {column}] is {float(y[row, column])!r}; a target is a finite number"
        )
    return y


def _same_length(x: np.ndarray, y: np.ndarray, x_name: str, y_name: str) -> None:
    if len(x) != len(y):
        raise ArgumentError(f"{x_name} has {len(x)} rows and {y_name} has {len(y)}")


def _enough_rows_of_each(name: str, classes: np.ndarray, counts: np.ndarray) -> None:
    rarest = int(counts.argmin())
    if counts[rarest] < MIN_ROWS_PER_CLASS:
        raise ArgumentError(
            f"{name}: too few rows: of the {len(classes)} classes, {str(classes[rarest])!r} has "
            f"{counts[rarest]} row(s) and each needs {MIN_ROWS_PER_CLASS}; "
            "labels must be classes, not measurements (those are for task='regression')"
        )


def _check_test(name: str, x: np.ndarray, x_test: np.ndarray) -> None:
    if x.shape[1] != x_test.shape[1]:
        raise ArgumentError(
            f"{name}: x has {x.shape[1]} features a row and x_test has {x_test.shape[1]}"
        )


def _check_test_labels(name: str, y_test: np.ndarray, classes: np.ndarray) -> None:
    unknown = ~np.isin(y_test, classes)
    if unknown.any():
        raise ArgumentError(f"{name}: y_test has the label {_quoted(y_test[unknown])}, y has not")


def _check_test_targets(name: str, y: np.ndarray, y_test: np.ndarray) -> None:
    if y.shape[1] != y_test.shape[1]:
        raise ArgumentError(
            f"{name}: y has {y.shape[1]} outputs a row and y_test has {y_test.shape[1]}"
        )
    for rows, what in ((y, "train"), (y_test, "test")):
        constant = rows.min(axis=0) == rows.max(axis=0)
        if constant.any():
            column = int(constant.argmax())
            raise ArgumentError(
                f"{name}: every target of the {what} rows is {float(rows[0, column])!r} in column "
                f"{column}: there is nothing to predict"
            )


def _split(
    x: np.ndarray, y: np.ndarray, task: TaskName, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Split a quarter of the rows off, class by class where every class has two rows."""
    from sklearn.model_selection import train_test_split

    labels = None
    if task == "classification":
        _, counts = np.unique(y, return_counts=True)
        held = int(np.ceil(TEST_SHARE * len(y)))
        if counts.min() >= 2 and len(counts) <= min(held, len(y) - held):
            labels = y
    x, x_test, y, y_test = train_test_split(
        x, y, test_size=TEST_SHARE, stratify=labels, random_state=seed
    )
    return x, x_test, y, y_test


def _scale(x_train: np.ndarray, x_test: np.ndarray, shared: bool) -> tuple[np.ndarray, np.ndarray]:
    """Take out the train rows' mean, feature by feature, and their standard deviation."""
    blocks = [slice(start, start + BLOCK) for start in range(0, len(x_train), BLOCK)]
    mean = x_train.mean(axis=0, dtype=np.float64)
    squares = sum(np.square(x_train[rows] - mean).sum(axis=0) for rows in blocks)
    std = np.sqrt(squares / len(x_train))
    largest = np.maximum(x_train.max(axis=0).astype(float), -x_train.min(axis=0).astype(float))
    # A feature that is the same in every row has nothing to divide by. Its computed std may be
    # a rounding error above zero.
    std[std <= 1e-12 * largest] = 0.0
    if shared:
        std[:] = np.sqrt(np.square(std).mean())
    std[std == 0] = 1.0

    def scale(x: np.ndarray) -> np.ndarray:
        scaled = np.empty(x.shape, dtype=np.float32)
        for start in range(0, len(x), BLOCK):
            rows = slice(start, start + BLOCK)
            scaled[rows] = (x[rows] - mean) / std
        return scaled

    return scale(x_train), scale(x_test)


def _variance(values: np.ndarray) -> float:
    """Return the variance of each column, mean over the columns."""
    return float(values.var(axis=0, dtype=np.float64).mean())


def _quoted(labels: np.ndarray) -> str:
    return repr(str(labels[0]))


def one_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its name.

    Parameters
    ----------
    error : BaseException

    Returns
    -------
    str
    """
    return str(error).splitlines()[0] if str(error) else type(error).__name__
