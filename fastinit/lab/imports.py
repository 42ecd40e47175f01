"""A user's own function, named on the command line: ``module:function`` or ``file.py:function``."""

from __future__ import annotations

import runpy
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from fastinit.errors import ArgumentError

__all__ = ["import_object", "names_object"]


def names_object(text: str) -> bool:
    """Return whether a text has the form ``module:name`` or ``file.py:name``.

    Parameters
    ----------
    text : str

    Returns
    -------
    bool

    Examples
    --------
    >>> from fastinit.lab.imports import names_object
    >>> names_object("numpy:zeros"), names_object("work/mine.py:draw"), names_object("he_normal")
    (True, True, False)
    """
    where, colon, name = text.rpartition(":")
    if not (colon and where and name.isidentifier()):
        return False
    return where.endswith(".py") or all(part.isidentifier() for part in where.split("."))


def import_object(text: str) -> Any:
    """Return what ``module:name`` or ``file.py:name`` names.

    A module that lies as a file in the working folder is that file. The file's folder, or the
    working folder, is added to the end of ``sys.path``, so that neighbours are found. What comes
    from a file is sent to other processes by value: machines of a cluster need not have it, but
    must have whatever it imports.

    Parameters
    ----------
    text : str
        The module or file, a colon, and a name in it. The module's code is run.

    Returns
    -------
    object

    Raises
    ------
    ArgumentError
        If there is no such module, file or name, or its code fails.

    Examples
    --------
    >>> from fastinit.lab.imports import import_object
    >>> import_object("math:sqrt")(9)
    3.0
    """
    where, _, name = text.rpartition(":")
    file = Path(where if where.endswith(".py") else f"{where}.py")
    is_file = where.endswith(".py") or file.is_file()
    folder = str(file.resolve().parent)
    if folder not in sys.path:  # stays, since processes that are started later get it, too
        sys.path.append(folder)
    try:
        if is_file:
            found = runpy.run_path(str(file), run_name=file.stem)
        else:
            found = vars(import_module(where))
    except Exception as error:  # the user's code may raise anything
        reason = str(error).splitlines()[0] if str(error) else ""
        raise ArgumentError(
            f"{text!r}: {where!r} cannot be imported: {type(error).__name__}: {reason}"
        ) from error
    if name not in found:
        raise ArgumentError(f"{text!r}: there is no {name!r} in {where!r}")
    return found[name]
