"""Data sets that need no file: scikit-learn's real ones, and made ones with parameters.

Each is a function of its parameters, whose signature is what :func:`make` accepts in
``"spirals(rows=300, noise=0.2)"``, and returns features and labels or targets. The made ones are
the same in every process: their seeds are parameters.
"""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.lab.checks import as_between
from fastinit.lab.data.dataset import Dataset, TaskName, from_arrays
from fastinit.nn.checks import as_count

__all__ = ["CATALOGUE", "make", "parse"]

Pair: TypeAlias = "tuple[np.ndarray, np.ndarray]"


def _digits() -> Pair:
    """1797 handwritten digits of 8 x 8 pixels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return digits.images, digits.target


def _iris() -> Pair:
    """150 flowers of 3 kinds by 4 lengths."""
    from sklearn.datasets import load_iris

    return _named(load_iris())


def _wine() -> Pair:
    """178 wines of 3 cultivars by 13 measurements."""
    from sklearn.datasets import load_wine

    return _named(load_wine())


def _breast_cancer() -> Pair:
    """569 tumours, malignant or benign, by 30 measurements."""
    from sklearn.datasets import load_breast_cancer

    return _named(load_breast_cancer())


def _diabetes() -> Pair:
    """442 patients: the progress of their disease from 10 measurements; a regression."""
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes()
    return bunch.data, bunch.target


def _spirals(
    rows: int = 1000, classes: int = 2, noise: float = 0.1, turns: float = 1.5, seed: int = 0
) -> Pair:
    """Arms of one spiral, wound into each other.

    Row i of a class lies at the radius r = sqrt(u), u even in (0, 1), at the angle
    2 pi (turns * r + class / classes), with normal noise of the std `noise` times the distance
    between arms.
    """
    rows, classes = as_count("rows", rows, 8), as_count("classes", classes, 2)
    turns = as_between("turns", turns, 0, math.inf)
    y = np.arange(rows) % classes
    count = -(-rows // classes)
    radius = np.sqrt((np.arange(rows) // classes + 0.5) / count)
    angle = 2 * np.pi * (turns * radius + y / classes)
    x = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    key = fastinit.key(as_count("seed", seed, 0), "lab.data.spirals")
    spread = _noise(noise) / (turns * classes)
    return x + spread * fastinit.normal(x.shape, std=1.0, seed=key, dtype=np.float64), y


def _moons(rows: int = 1000, noise: float = 0.1, seed: int = 0) -> Pair:
    """Two half circles that reach into each other, with normal noise of the std `noise`."""
    from sklearn.datasets import make_moons

    rows, noise, seed = as_count("rows", rows, 8), _noise(noise), as_count("seed", seed, 0)
    made: Pair = make_moons(rows, noise=noise, random_state=seed)
    return made


def _circles(rows: int = 1000, noise: float = 0.1, factor: float = 0.5, seed: int = 0) -> Pair:
    """Return a circle of the radius `factor` in one of the radius 1, with normal noise."""
    from sklearn.datasets import make_circles

    rows, noise, seed = as_count("rows", rows, 8), _noise(noise), as_count("seed", seed, 0)
    factor = as_between("factor", factor, 0, 1, closed=True)
    made: Pair = make_circles(rows, noise=noise, factor=factor, random_state=seed)
    return made


def _blobs(
    rows: int = 1000, classes: int = 3, features: int = 2, std: float = 1.0, seed: int = 0
) -> Pair:
    """Return normal clouds of the spread `std` around centres in a box of the side 20."""
    from sklearn.datasets import make_blobs

    rows, classes = as_count("rows", rows, 8), as_count("classes", classes, 2)
    features, seed = as_count("features", features), as_count("seed", seed, 0)
    std = as_between("std", std, 0, math.inf)
    x, y = make_blobs(rows, features, centers=classes, cluster_std=std, random_state=seed)
    return x, y


def _regression(
    rows: int = 1000,
    features: int = 20,
    informative: int = 10,
    outputs: int = 1,
    noise: float = 0.1,
    seed: int = 0,
) -> Pair:
    """Linear functions of some of the features, with noise: its std is that share of the signal's.

    The best R² that a network can reach is about 1 / (1 + noise**2).
    """
    from sklearn.datasets import make_regression

    rows, features = as_count("rows", rows, 8), as_count("features", features)
    outputs, seed = as_count("outputs", outputs), as_count("seed", seed, 0)
    informative = as_count("informative", informative)
    if informative > features:
        raise ArgumentError(f"informative is {informative}, and there are {features} features")
    x, y = make_regression(
        rows, features, n_informative=informative, n_targets=outputs, random_state=seed
    )
    y = y.reshape(rows, outputs)
    key = fastinit.key(seed, "lab.data.regression")
    errors = fastinit.normal(y.shape, std=1.0, seed=key, dtype=np.float64)
    return x, y + _noise(noise) * y.std(axis=0) * errors


def _friedman(rows: int = 1000, features: int = 10, noise: float = 1.0, seed: int = 0) -> Pair:
    """Friedman's first function: 10 sin(pi x0 x1) + 20 (x2 - 0.5)**2 + 10 x3 + 5 x4 + noise."""
    from sklearn.datasets import make_friedman1

    rows, features = as_count("rows", rows, 8), as_count("features", features, 5)
    noise, seed = _noise(noise), as_count("seed", seed, 0)
    made: Pair = make_friedman1(rows, features, noise=noise, random_state=seed)
    return made


CATALOGUE: dict[str, Callable[..., Pair]] = {
    "digits": _digits,
    "iris": _iris,
    "wine": _wine,
    "breast_cancer": _breast_cancer,
    "diabetes": _diabetes,
    "spirals": _spirals,
    "moons": _moons,
    "circles": _circles,
    "blobs": _blobs,
    "regression": _regression,
    "friedman": _friedman,
}

REGRESSIONS = ("diabetes", "regression", "friedman")


def parse(source: str) -> tuple[str, tuple[Any, ...], dict[str, Any]] | None:
    """Return name and arguments of ``"spirals(rows=300)"`` or ``"digits"``; None for other text.

    Parameters
    ----------
    source : str

    Returns
    -------
    tuple or None

    Examples
    --------
    >>> from fastinit.lab.data.catalogue import parse
    >>> parse("spirals(300, noise=0.2)")
    ('spirals', (300,), {'noise': 0.2})
    >>> parse("data.csv")
    """
    try:
        call = ast.parse(source.strip(), mode="eval").body
        if isinstance(call, ast.Name):
            return call.id, (), {}
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
            return None
        arguments = tuple(ast.literal_eval(value) for value in call.args)
        named = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
    except (SyntaxError, ValueError):
        return None
    return call.func.id, arguments, named


def make(
    source: str,
    name: str,
    arguments: tuple[Any, ...],
    named: dict[str, Any],
    task: TaskName | None = None,
) -> Dataset:
    """Make a data set of the catalogue.

    Parameters
    ----------
    source : str
        What to call it.
    name, arguments, named
        As :func:`parse` returns them; the name is one of :data:`CATALOGUE`.
    task : {"classification", "regression"}, optional
        By default what the data set is made for.

    Returns
    -------
    Dataset

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If the arguments do not fit.
    """
    function = CATALOGUE[name]
    signature = inspect.signature(function)
    try:
        signature.bind(*arguments, **named)
    except TypeError as error:
        accepted = ", ".join(f"{p.name}={p.default!r}" for p in signature.parameters.values())
        raise ArgumentTypeError(
            f"{name}: {error}; it takes {accepted or 'no parameters'}"
        ) from None
    x, y = function(*arguments, **named)
    default: TaskName = "regression" if name in REGRESSIONS else "classification"
    return from_arrays(source.strip(), x, y, task=task or default)


def _named(bunch: Any) -> Pair:
    return bunch.data, bunch.target_names[bunch.target]


def _noise(noise: float) -> float:
    return as_between("noise", noise, 0, math.inf, closed=True)
