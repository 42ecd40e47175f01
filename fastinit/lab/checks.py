"""A check that the arguments of the lab's functions share; counts are checked as in `nn`."""

from __future__ import annotations

from typing import Any

from fastinit.errors import ArgumentError, ArgumentTypeError

__all__ = ["as_between"]


def as_between(name: str, value: Any, low: float, high: float, *, closed: bool = False) -> float:
    """Return a number above `low` and below `high`.

    Parameters
    ----------
    name : str
        What the number is called in an error.
    value : float
        Or what ``float`` takes; no text and no bool.
    low, high : float
        The bounds, which are outside.
    closed : bool, default False
        Whether `low` itself is allowed.

    Returns
    -------
    float

    Raises
    ------
    ArgumentError
        If it is not between them; NaN never is.
    ArgumentTypeError
        If it is no number.

    Examples
    --------
    >>> from fastinit.lab.checks import as_between
    >>> as_between("dropout", 0, 0, 1, closed=True)
    0.0
    """
    try:
        number = None if isinstance(value, (str, bytes, bool)) else float(value)
    except (TypeError, ValueError):
        number = None
    if number is None:
        raise ArgumentTypeError(f"{name} must be a number, got {value!r}")
    if not (low < number < high or (closed and number == low)):
        bound = f"at least {low:g}" if closed else f"above {low:g}"
        raise ArgumentError(f"{name} must be {bound} and below {high:g}, got {value!r}")
    return number
