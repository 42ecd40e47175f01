"""The data that networks are compared on: sets that come along, files, functions, or arrays.

Every source ends as a :class:`Dataset`: float32 features with the mean and standard deviation of
the train rows taken out, and labels ``0 .. n_classes - 1`` or, for a regression, targets scaled
likewise. Whatever cannot be trained on is refused here, with the place where it stands. Pandas and
scikit-learn, seconds to import, are imported where they are used: the processes that train have no
use for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastinit.errors import ArgumentError, ArgumentTypeError, UnknownNameError, unknown_name
from fastinit.lab.data.catalogue import CATALOGUE, make, parse
from fastinit.lab.data.dataset import (
    MIN_ROWS_PER_CLASS,
    TEST_SHARE,
    Dataset,
    TaskName,
    from_arrays,
)
from fastinit.lab.data.files import SUFFIXES, read_npz, read_table
from fastinit.lab.data.idx import is_idx, load_idx
from fastinit.lab.imports import import_object, names_object

__all__ = ["MIN_ROWS_PER_CLASS", "TEST_SHARE", "Dataset", "from_arrays", "load", "load_data"]

KINDS = "a .csv, .npz or .parquet file, a folder of IDX files, or module:function"


def load_data(
    source: Any = "digits",
    target: str | Sequence[str] | None = None,
    task: TaskName | None = None,
) -> Dataset:
    """Return the data that ``source`` stands for.

    Parameters
    ----------
    source : str, path, (x, y) or (x, y, x_test, y_test), or Dataset, default "digits"
        A name such as ``"digits"``, a call in words such as ``"spirals(noise=0.2)"``, a file or
        folder, or ``"module:function"``, see :func:`load`; arrays, see :func:`from_arrays`; or a
        data set made before, which is returned as it is.
    target : str or sequence of str, optional
        The column of a CSV or Parquet file that holds the labels or targets.
    task : {"classification", "regression"}, optional
        By default a regression if the target has floating numbers of more than 20 distinct
        values, and a classification otherwise.

    Returns
    -------
    Dataset
        Its train and test rows, scaled.

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
    >>> load_data("friedman(rows=200)").task
    'regression'
    """
    if isinstance(source, Dataset):
        _refuse_target(target, "a Dataset")
        if task not in (None, source.task):
            raise ArgumentError(f"task is {task!r}, and the Dataset is a {source.task}")
        return source
    if isinstance(source, (str, Path)):
        return load(source, target, task)
    if isinstance(source, tuple) and len(source) in (2, 4):
        _refuse_target(target, "a tuple of arrays")
        return from_arrays("arrays", *source, task=task)
    raise ArgumentTypeError(
        f"data must be a name such as 'digits', {KINDS}, (x, y) or (x, y, x_test, y_test), "
        f"got {type(source).__name__}"
    )


def load(
    source: str | Path,
    target: str | Sequence[str] | None = None,
    task: TaskName | None = None,
) -> Dataset:
    """Make a data set that comes along, read a file, or call a function.

    Parameters
    ----------
    source : str or path
        - Real sets of scikit-learn, which need no network: ``"digits"`` (1797 handwritten digits
          of 8 x 8 pixels), ``"iris"``, ``"wine"``, ``"breast_cancer"``, and the regression
          ``"diabetes"``.
        - Made sets, with their parameters and defaults: ``"spirals(rows=1000, classes=2,
          noise=0.1, turns=1.5, seed=0)"``, ``"moons(rows=1000, noise=0.1, seed=0)"``,
          ``"circles(rows=1000, noise=0.1, factor=0.5, seed=0)"``, ``"blobs(rows=1000, classes=3,
          features=2, std=1.0, seed=0)"``, and the regressions ``"regression(rows=1000,
          features=20, informative=10, outputs=1, noise=0.1, seed=0)"`` and
          ``"friedman(rows=1000, features=10, noise=1.0, seed=0)"``.
        - A ``.csv`` file with a header line, or a ``.parquet`` (``.pq``) file: numeric features and
          a column of labels, or one or more of targets.
        - An ``.npz`` file with the arrays ``x`` and ``y``, and perhaps ``x_test`` and ``y_test``.
        - A folder of IDX files, such as MNIST's, or the one of the train images.
        - ``"module:function"`` or ``"file.py:function"``, a function of no arguments that returns
          ``(x, y)``, ``(x, y, x_test, y_test)`` or a :class:`Dataset`.

        Where no test rows are given, a quarter of the rows is split off.
    target : str or sequence of str, optional
        The column of a CSV or Parquet file that holds the labels; by default the one called
        target, label, labels, class or y, or else the last. Several columns, with commas between,
        for a regression of several outputs. Refused for other data.
    task : {"classification", "regression"}, optional
        As in :func:`load_data`.

    Returns
    -------
    Dataset
        Its train and test rows, scaled.

    Raises
    ------
    ArgumentError
        If the file cannot be read, has missing or non-numeric features, missing labels, fewer
        than two classes, or a class with fewer than four rows.
    UnknownNameError
        If there is no such data.

    Examples
    --------
    >>> from fastinit.lab.data import load
    >>> data = load("moons(rows=200, noise=0.2)")
    >>> data.x_train.shape, data.classes, data.task
    ((150, 2), ('0', '1'), 'classification')
    """
    text, path = str(source), Path(source)
    if source == "":  # which is not the working folder
        raise ArgumentError(f"data must be a name such as 'digits', {KINDS}, got ''")
    suffix = path.suffix.lower()
    parsed = None if isinstance(source, Path) else parse(text)
    if parsed is not None and parsed[0] in CATALOGUE:
        _refuse_target(target, parsed[0])
        return make(text, *parsed, task=task)
    if suffix in SUFFIXES:
        if not path.is_file():
            raise ArgumentError(f"no data file {text!r}")
        if suffix != ".npz":
            return read_table(path, target, task)
        _refuse_target(target, "an NPZ file")
        return read_npz(path, task)
    if path.is_dir() or is_idx(path):
        if not path.exists():
            raise ArgumentError(f"no data file {text!r}")
        _refuse_target(target, "an IDX file")
        return load_idx(path, task)
    if names_object(text):
        _refuse_target(target, "a function")
        return _call(text, task)
    if parsed is not None:
        error = unknown_name("data", parsed[0], CATALOGUE)
        raise UnknownNameError(f"{error}; or {KINDS}")
    raise ArgumentError(f"data must be a name such as 'digits', {KINDS}, got {text!r}")


def _call(text: str, task: TaskName | None) -> Dataset:
    """Call a user's function and take what it returns."""
    function = import_object(text)
    if not callable(function):
        raise ArgumentTypeError(f"{text!r} is not a function, it is {function!r}")
    try:
        found = function()
    except Exception as error:  # the user's code may raise anything
        raise ArgumentError(f"{text!r} failed: {type(error).__name__}: {error}") from error
    if isinstance(found, Dataset):
        return load_data(found, task=task)
    if not (isinstance(found, (tuple, list)) and len(found) in (2, 4)):
        raise ArgumentTypeError(
            f"{text!r} must return (x, y), (x, y, x_test, y_test) or a Dataset, "
            f"it returned {type(found).__name__}"
        )
    return from_arrays(text, *found, task=task)


def _refuse_target(target: str | Sequence[str] | None, source: str) -> None:
    if target is not None:
        raise ArgumentError(
            f"target {target!r} names a column of a CSV or Parquet file; {source} has none"
        )
