"""The library's exceptions, and the one way in which an unknown name is reported."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "ArgumentError",
    "ArgumentIndexError",
    "ArgumentTypeError",
    "BackendError",
    "FastinitError",
    "UnknownNameError",
    "unknown_name",
]


class FastinitError(Exception):
    """Base class of every error that fastinit raises on purpose.

    Examples
    --------
    >>> import fastinit
    >>> from fastinit.errors import FastinitError
    >>> try:
    ...     fastinit.he_normal((3, -4))
    ... except FastinitError as error:
    ...     print(error)
    a shape has no negative size, got (3, -4)
    """


class ArgumentError(FastinitError, ValueError):
    """An argument has the right type and a value that cannot be used.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.key(-1)
    Traceback (most recent call last):
    fastinit.errors.ArgumentError: seed must not be negative, got -1
    """


class ArgumentTypeError(FastinitError, TypeError):
    """An argument has a type that cannot be used.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.key(0, 1)
    Traceback (most recent call last):
    fastinit.errors.ArgumentTypeError: a name is a string, got 1
    """


class ArgumentIndexError(FastinitError, IndexError):
    """An index that does not fit the shape.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.zeros((2, 3), index=5)
    Traceback (most recent call last):
    fastinit.errors.ArgumentIndexError: index 5 is out of bounds for axis 0 of shape (2, 3)
    """


class BackendError(FastinitError, ImportError):
    """The backend that ``FASTINIT_BACKEND`` asks for is not there.

    Examples
    --------
    >>> from fastinit.errors import BackendError
    >>> issubclass(BackendError, ImportError)
    True
    """


class UnknownNameError(ArgumentError):
    """A name that nothing is registered under.

    Examples
    --------
    >>> import fastinit
    >>> try:
    ...     fastinit.get("he_norml")
    ... except fastinit.errors.UnknownNameError as error:
    ...     print(str(error).split(";")[0])
    unknown initializer 'he_norml'
    """


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """Return the error for an unknown name, with the nearest known ones.

    Parameters
    ----------
    kind : str
        What the name should have named, for instance ``"initializer"``.
    name : object
        What was given.
    known : iterable of str
        Every name that would have been accepted.

    Returns
    -------
    UnknownNameError
        To be raised by the caller.

    Examples
    --------
    >>> from fastinit.errors import unknown_name
    >>> print(unknown_name("initializer", "he_norml", ["he_normal", "zeros"]))
    unknown initializer 'he_norml'; did you mean 'he_normal'? Known: he_normal, zeros
    """
    names = sorted(known)
    near = get_close_matches(str(name), names, n=3, cutoff=0.6)
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ";"
    return UnknownNameError(f"unknown {kind} {name!r}{hint} Known: {', '.join(names)}")
