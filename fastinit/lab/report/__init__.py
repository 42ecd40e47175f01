"""Reports: what the lab found, as a page that needs no network, or as Markdown, JSON or CSV."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.lab.files import check_writable, write_whole
from fastinit.lab.report.languages import language

if TYPE_CHECKING:
    from fastinit.lab.report.document import Document

__all__ = ["CSV_NAME", "FORMATS", "PAGE_NAME", "check_target", "check_writable", "page", "write"]

PAGE_NAME = "index.html"
CSV_NAME = "results.csv"

FORMATS = {"html": PAGE_NAME, "md": "report.md", "json": "results.json", "csv": CSV_NAME}
"""Format -> what its file is called in a folder."""

KINDS = {
    "Comparison": "comparison",
    "Diagnosis": "diagnosis",
    "PhaseDiagram": "propagation",
    "Propagation": "propagation",
    "Recording": "recording",
}
"""Class of a result -> the module here that reports on it."""


def page(result: Any, *, lang: str = "en", command: str = "") -> str:
    """Return the report as one page of HTML that needs nothing else.

    Parameters
    ----------
    result : Comparison, Diagnosis, Recording, Propagation or PhaseDiagram
        What to report on.
    lang : {"en", "pt", "es"}, default "en"
        The language of its words.
    command : str, optional
        What repeats it; by default the call that does.

    Returns
    -------
    str
        The page, its pictures within.

    Raises
    ------
    ArgumentError
        If there is no such language.
    ArgumentTypeError
        If it is no result of the lab.

    Examples
    --------
    >>> from fastinit import lab
    >>> diagram = lab.phase_diagram("relu", points=5, measured=False)
    >>> lab.report.page(diagram, lang="pt")[:15]
    '<!doctype html>'
    """
    from fastinit.lab.report.rendering import html

    with language(lang):
        return html(_document(result, command))


def write(
    result: Any,
    target: str | Path,
    *,
    format: str | None = None,
    lang: str = "en",
    command: str = "",
) -> tuple[Path, ...]:
    """Write a report, each file whole or not at all.

    Parameters
    ----------
    result : Comparison, Diagnosis, Recording, Propagation or PhaseDiagram
        What to report on.
    target : str or path
        A folder, made if it is not there; or, if it ends in ``.html``, ``.md``, ``.json`` or
        ``.csv``, the file to write, whose folder must be there. Files of the same names are
        replaced.
    format : {"html", "md", "json", "csv"}, optional
        By default what the file's name says, and ``"html"`` for a folder.
    lang : {"en", "pt", "es"}, default "en"
        The language of the words in the page, the Markdown and their pictures.
    command : str, optional
        What repeats it; by default the call that does.

    Returns
    -------
    tuple of path
        The report, and what was written with it: into a folder, beside a page or a Markdown file,
        ``results.csv``; the pictures of a Markdown file stand in a folder of their own.

    Raises
    ------
    ArgumentError
        If there is no such format or language; before anything is drawn.
    ArgumentTypeError
        If it is no result of the lab.
    OSError
        If a file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from fastinit import lab
    >>> diagram = lab.phase_diagram("relu", points=5, measured=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in lab.report.write(diagram, folder)]
    ['index.html', 'results.csv']
    """
    path, format = _target(Path(target), format)
    with language(lang):
        if path.suffix.lower() != f".{format}":
            path.mkdir(parents=True, exist_ok=True)
            file, beside = path / FORMATS[format], [path / CSV_NAME]
        else:
            file, beside = path, []
        if format == "csv":
            return (write_whole(file, _csv(result)),)
        if format == "json":
            return (write_whole(file, result.to_json() + "\n"),)
        written = _write_document(_document(result, command), file, format)
        return (*written, *(write_whole(place, _csv(result)) for place in beside))


def check_target(target: str | Path, format: str | None = None, lang: str = "en") -> None:
    """Make sure that a report can be written there, before the work whose result it will hold.

    Parameters
    ----------
    target : str or path
        As for :func:`write`.
    format : {"html", "md", "json", "csv"}, optional
        As for :func:`write`.
    lang : {"en", "pt", "es"}, default "en"
        As for :func:`write`.

    Raises
    ------
    ArgumentError
        If it cannot.

    Examples
    --------
    >>> from fastinit import lab
    >>> try:
    ...     lab.report.check_target("report.html", format="csv")
    ... except ValueError as error:
    ...     print(error)
    the format is csv, and the file is called 'report.html'
    """
    path, format = _target(Path(target), format)
    with language(lang):  # refuses one that there is not
        pass
    check_writable(path.parent if path.suffix.lower() == f".{format}" else path)


def _target(path: Path, format: str | None) -> tuple[Path, str]:
    """Return the path, and the format that is asked for or that its name says."""
    suffix = path.suffix.lower().removeprefix(".")
    named = suffix if suffix in FORMATS and not path.is_dir() else None
    if format is None:
        return path, named or "html"
    if format not in FORMATS:
        raise ArgumentError(f"format must be one of {', '.join(FORMATS)}, got {format!r}")
    if named not in (None, format):
        raise ArgumentError(f"the format is {format}, and the file is called {path.name!r}")
    return path, format


def _document(result: Any, command: str) -> Document:
    for kind in type(result).__mro__:
        if kind.__name__ in KINDS and kind.__module__.startswith("fastinit.lab."):
            module = import_module(f"fastinit.lab.report.{KINDS[kind.__name__]}")
            document: Document = module.document(result, command)
            return document
    raise ArgumentTypeError(
        f"there are reports on a {', '.join(sorted(KINDS))}, not on a {type(result).__name__}"
    )


def _write_document(document: Document, file: Path, format: str) -> list[Path]:
    from fastinit.lab.report import rendering

    if format == "html":
        return [write_whole(file, rendering.html(document))]
    folder = file.with_name(f"{file.stem}_pictures")
    text, pictures = rendering.markdown(document, folder.name)
    folder.mkdir(exist_ok=True)
    drawn = [write_whole(folder / name, picture) for name, picture in pictures.items()]
    return [write_whole(file, text), *drawn]  # last, so that it shows no picture that is missing


def _csv(result: Any) -> str:
    text: str = result.to_frame().to_csv(index=False, na_rep="nan")
    return text
