"""Results in files: a page, a picture, JSON."""

from __future__ import annotations

from pathlib import Path

from fastinit.bench.results import Results
from fastinit.lab.files import check_writable, write_whole

__all__ = ["check", "write"]

FILES = (".html", ".png", ".svg", ".json")


def check(target: Path) -> None:
    """Make sure that results can be written there, before they are measured.

    Parameters
    ----------
    target : path
        A folder, or a file by its suffix.

    Raises
    ------
    ArgumentError
        If they cannot.
    """
    check_writable(target.parent if target.suffix.lower() in FILES else target)


def write(found: Results, target: Path, command: str) -> list[Path]:
    """Write results, each file whole or not at all.

    Parameters
    ----------
    found : Results
    target : path
        A folder, which gets ``index.html`` and ``results.json``; or a file that ends in ``.html``,
        ``.png``, ``.svg`` or ``.json``.
    command : str
        What repeats it.

    Returns
    -------
    list of path

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    if target.suffix.lower() in FILES:
        return [write_whole(target, _content(found, target.suffix.lower(), command))]
    target.mkdir(parents=True, exist_ok=True)
    files = {"index.html": ".html", "results.json": ".json"}
    return [write_whole(target / name, _content(found, s, command)) for name, s in files.items()]


def _content(found: Results, suffix: str, command: str) -> str | bytes:
    from fastinit.bench.page import document
    from fastinit.bench.picture import draw
    from fastinit.lab.report.pictures.style import png, svg_file
    from fastinit.lab.report.rendering import html

    if suffix == ".json":
        return found.to_json() + "\n"
    if suffix == ".html":
        return html(document(found, command))
    return png(draw(found)) if suffix == ".png" else svg_file(draw(found))
