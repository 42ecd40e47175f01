"""What is written: strict JSON, files that are whole or not there, folders that can be written."""

from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fastinit.errors import ArgumentError

__all__ = ["as_json", "check_writable", "write_whole"]


def as_json(document: Any) -> str:
    """Return a document as strict JSON, which has no numbers that are not finite: they are null.

    Parameters
    ----------
    document : dict, list, tuple, ndarray, str, number, bool or None
        Of such, to any depth.

    Returns
    -------
    str
        Indented by one blank a level.

    Examples
    --------
    >>> from fastinit.lab.files import as_json
    >>> print(as_json({"loss": [0.5, float("nan")]}))
    {
     "loss": [
      0.5,
      null
     ]
    }
    """
    return json.dumps(_finite(document), indent=1, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return _finite(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def write_whole(path: str | Path, content: str | bytes) -> Path:
    """Write a file beside its place and rename it: whoever reads it sees the old or the new.

    Parameters
    ----------
    path : str or path
        Its folder must be there.
    content : str or bytes
        Text is written as UTF-8, its ends of line as they are.

    Returns
    -------
    path
        The file.

    Raises
    ------
    OSError
        If it cannot be written; what stood there before stays.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from fastinit.lab.files import write_whole
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder) / "notes.txt", "whole").read_text()
    'whole'
    """
    path = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        # mkstemp makes files that only their owner can read; a report is for others as well.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return path


def check_writable(folder: str | Path) -> None:
    """Make the folder and try to write into it, so that a long run is not lost for want of it.

    Parameters
    ----------
    folder : str or path
        Made, with those above it, if it is not there.

    Raises
    ------
    ArgumentError
        If it cannot be made or written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from fastinit.lab.files import check_writable
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     check_writable(Path(folder) / "reports")
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise ArgumentError(f"cannot write into the folder {str(folder)!r}: {reason}") from error
