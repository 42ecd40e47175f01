"""The languages in which the lab speaks: English in the source, others in ``catalogues/``."""

from __future__ import annotations

import datetime
import gettext
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.resources import files

from fastinit.errors import ArgumentError

__all__ = ["LANGUAGES", "N_", "_", "current", "date", "language", "listing", "ngettext", "number"]

LANGUAGES = {"en": "English", "pt": "Português", "es": "Español"}
"""Code -> what its speakers call it."""

_current: ContextVar[str] = ContextVar("fastinit.lab.language", default="en")


@contextmanager
def language(code: str) -> Iterator[None]:
    """Speak a language until the block ends.

    Parameters
    ----------
    code : {"en", "pt", "es"}

    Raises
    ------
    ArgumentError
        If there is no such language.

    Examples
    --------
    >>> from fastinit.lab.report.languages import _, language, number
    >>> with language("pt"):
    ...     _("layer"), number(0.25, ".2f")
    ('camada', '0,25')
    """
    if code not in LANGUAGES:
        known = ", ".join(f"{key} ({name})" for key, name in LANGUAGES.items())
        raise ArgumentError(f"unknown language {code!r}; the lab speaks {known}")
    token = _current.set(code)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> str:
    """Return the code of the language that is spoken now."""
    return _current.get()


def _(text: str) -> str:
    """Return a text in the current language; the text itself where it has no translation.

    Parameters
    ----------
    text : str
        In English, with named ``{placeholders}``, which the caller fills afterwards.

    Returns
    -------
    str
    """
    return _translations(_current.get()).gettext(text)


def ngettext(singular: str, plural: str, count: int) -> str:
    """Return the form of a text that goes with a number, in the current language.

    Parameters
    ----------
    singular, plural : str
        In English.
    count : int

    Returns
    -------
    str
    """
    return _translations(_current.get()).ngettext(singular, plural, count)


def N_(text: str) -> str:  # noqa: N802 - what gettext calls it
    """Mark a constant for translation, which :func:`_` does when it is shown.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        The text as it is.
    """
    return text


def number(value: float, spec: str = "g") -> str:
    """Format a number in the current language: 0.25, or 0,25.

    Parameters
    ----------
    value : float
    spec : str, default "g"
        As for :func:`format`.

    Returns
    -------
    str
    """
    text = format(value, spec)
    point, comma = _separators(_current.get())
    return text.translate({ord("."): point, ord(","): comma})


def date(moment: datetime.datetime) -> str:
    """Format a day and time in the current language.

    Parameters
    ----------
    moment : datetime

    Returns
    -------
    str
    """
    from babel.dates import format_datetime

    return format_datetime(moment, "long", locale=_current.get())


def listing(items: Sequence[str]) -> str:
    """Join items as a sentence of the current language does: "a, b, and c".

    Parameters
    ----------
    items : sequence of str

    Returns
    -------
    str
    """
    from babel.lists import format_list

    return format_list(items, locale=_current.get())


@cache
def _translations(code: str) -> gettext.NullTranslations:
    if code == "en":
        return gettext.NullTranslations()
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    source = files("fastinit.lab.report").joinpath("catalogues", f"{code}.po").read_bytes()
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(source), locale=code))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


@cache
def _separators(code: str) -> tuple[str, str]:
    if code == "en":
        return ".", ","
    from babel.numbers import get_decimal_symbol, get_group_symbol

    return get_decimal_symbol(code), get_group_symbol(code)
