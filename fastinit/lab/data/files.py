"""CSV, Parquet and NPZ files."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastinit.errors import ArgumentError
from fastinit.lab.data.dataset import Dataset, TaskName, from_arrays, one_line

if TYPE_CHECKING:
    import pandas

__all__ = ["SUFFIXES", "read_npz", "read_table"]

SUFFIXES = (".csv", ".npz", ".parquet", ".pq")

TARGET_NAMES = ("target", "label", "labels", "class", "y")
"""What the column of labels may be called for it to be found."""


def read_table(
    path: Path, target: str | Sequence[str] | None = None, task: TaskName | None = None
) -> Dataset:
    """Read a CSV or Parquet file: numeric features, and one column of labels.

    Parameters
    ----------
    path : path
    target : str or sequence of str, optional
        The column of the labels or targets, or several for a regression; a text may name several
        with commas between. By default the one called target, label, labels, class or y, or else
        the last.
    task : {"classification", "regression"}, optional
        As in :func:`from_arrays`.

    Returns
    -------
    Dataset

    Raises
    ------
    ArgumentError
        If the file cannot be read, has no such column, or a cell of it cannot be used.
    """
    frame = _read_frame(path)
    columns = [str(column) for column in frame.columns]
    if len(set(columns)) < len(columns):
        twice = next(column for column in columns if columns.count(column) > 1)
        raise ArgumentError(f"{path} has two columns {twice!r}")
    frame.columns = columns
    name = path.name
    if target is None and columns:
        target = _likely_target(columns)
        name += f" (labels: {target})"  # so that whoever did not say sees what was taken
    targets = _target_columns(target, columns)
    for column in targets:
        if column not in columns:
            raise ArgumentError(f"{path} has no column {column!r}; it has {columns}")
    if len(columns) == len(targets):
        raise ArgumentError(
            f"{path} has no column but the target {', '.join(map(repr, targets))}: no features"
        )
    for column in columns:
        _check_column(path, frame[column], numeric=column not in targets)
    y = frame[targets[0]] if len(targets) == 1 else frame[targets]
    x = frame.drop(columns=targets).to_numpy(dtype=np.float64)
    return from_arrays(name, x, y.to_numpy(), task=task)


def _read_frame(path: Path) -> pandas.DataFrame:
    import pandas

    csv = path.suffix.lower() == ".csv"
    try:
        return pandas.read_csv(path) if csv else pandas.read_parquet(path)
    except ImportError as error:
        raise ArgumentError(f"{path}: Parquet needs pyarrow: pip install pyarrow") from error
    except (OSError, ValueError, KeyError, NotImplementedError) as error:
        # pandas' parser errors are ValueErrors, and pyarrow's derive from these.
        kind = "CSV" if csv else "Parquet"
        raise ArgumentError(f"{path} cannot be read as {kind}: {one_line(error)}") from error


def _target_columns(target: str | Sequence[str] | None, columns: list[str]) -> list[str]:
    if target is None:  # a file without any column
        return []
    if not isinstance(target, str):
        return list(dict.fromkeys(target))
    if target in columns:
        return [target]
    several = [name.strip() for name in target.split(",")]
    return list(dict.fromkeys(several)) if set(several) <= set(columns) else [target]


def _likely_target(columns: list[str]) -> str:
    """Return the one column with the name of a target, or else the last."""
    named = [column for column in columns if column.lower() in TARGET_NAMES]
    return named[0] if len(named) == 1 else columns[-1]


def _check_column(path: Path, column: pandas.Series[Any], *, numeric: bool) -> None:
    """Refuse a column with a missing value, or a feature that is not a finite number."""
    import pandas

    missing = column.isna().to_numpy()
    if missing.any():
        raise ArgumentError(f"{path}: {_cell(column, missing)} is missing")
    if not numeric:
        return
    if getattr(column.dtype, "kind", "O") in "mM":  # to_numeric would count their nanoseconds
        numbers = np.full(len(column), np.nan)
    else:
        try:
            numbers = pandas.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
        except (TypeError, ValueError):  # lists and other objects
            numbers = np.full(len(column), np.nan)
    bad = ~np.isfinite(numbers)
    if bad.any():
        value = column.iloc[int(bad.argmax())]
        raise ArgumentError(
            f"{path}: {_cell(column, bad)} is {str(value)!r}; a feature is a finite number"
        )


def _cell(column: pandas.Series[Any], bad: np.ndarray) -> str:
    return f"the value in row {int(bad.argmax()) + 1}, column {str(column.name)!r},"


def read_npz(path: Path, task: TaskName | None = None) -> Dataset:
    """Read the arrays ``x`` and ``y``, and perhaps ``x_test`` and ``y_test``, of an NPZ file.

    Parameters
    ----------
    path : path
    task : {"classification", "regression"}, optional
        As in :func:`from_arrays`.

    Returns
    -------
    Dataset

    Raises
    ------
    ArgumentError
        If the file cannot be read or lacks `x` or `y`.
    """
    try:
        with np.load(path) as archive:
            found = list(archive.files)
            wanted = ("x", "y", "x_test", "y_test")
            arrays = {name: archive[name] for name in wanted if name in found}
    except (OSError, ValueError, AttributeError, zipfile.BadZipFile, EOFError) as error:
        raise ArgumentError(f"{path} cannot be read as NPZ: {one_line(error)}") from error
    if "x" not in arrays or "y" not in arrays:
        raise ArgumentError(f"{path} must hold the arrays x and y; it holds {found}")
    return from_arrays(path.name, **arrays, task=task)
