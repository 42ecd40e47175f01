"""A document as a page of HTML that needs nothing else, and as Markdown with pictures beside it."""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

import fastinit
from fastinit.lab.report.document import (
    Cell,
    Code,
    Document,
    Part,
    Picture,
    Pictures,
    Table,
    Terms,
    quoted,
)
from fastinit.lab.report.languages import _, current, date

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["html", "machine", "markdown"]


def html(document: Document) -> str:
    """Return the whole page.

    Parameters
    ----------
    document : Document

    Returns
    -------
    str
    """
    import jinja2

    from fastinit.lab.report.pictures.style import inline_svg

    templates = files("fastinit.lab.report").joinpath("templates")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["inline"] = _inline
    environment.filters["kind"] = lambda part: type(part).__name__.lower()
    drawn = iter(range(10**6))

    def svg(picture: Picture) -> Markup:
        from markupsafe import Markup

        name = f"picture {next(drawn)} {picture.title}"
        return Markup(inline_svg(picture.draw(), name, picture.description))

    return environment.from_string(templates.joinpath("page.html").read_text("utf-8")).render(
        document=document,
        style=templates.joinpath("page.css").read_text("utf-8"),
        language=current(),
        machine=machine(),
        svg=svg,
        _=_,
    )


def markdown(document: Document, folder: str) -> tuple[str, dict[str, bytes]]:
    """Return the text of a Markdown file, and the pictures that it shows.

    Parameters
    ----------
    document : Document
    folder : str
        Of the pictures, beside the file.

    Returns
    -------
    text : str
    pictures : dict
        File name inside `folder` -> PNG.
    """
    pictures: dict[str, bytes] = {}

    def lines() -> Iterator[str]:
        yield f"# {_text(document.title)}"
        yield from (f"**{_text(warning)}**" for warning in document.warnings)
        yield "\n>\n".join(f"> {_text(sentence)}" for sentence in document.answer)
        yield _text(document.run)
        if document.command:
            yield _fence(document.command)
        for section in document.sections:
            yield f"## {_text(section.title)}"
            for part in section.parts:
                yield from _lines(part, folder, pictures)
        yield f"*{_text(machine())}*"

    return "\n\n".join(lines()) + "\n", pictures


def machine() -> str:
    """Return the versions, the machine and the time, in the current language."""
    return _(
        "fastinit {version}, Python {python}, NumPy {numpy}; {system}, {cores} cores; {date}"
    ).format(
        version=fastinit.__version__,
        python=platform.python_version(),
        numpy=np.__version__,
        system=f"{platform.system()} {platform.machine()}",
        cores=os.cpu_count(),
        date=date(datetime.datetime.now().astimezone()),
    )


def _inline(text: str) -> Markup:
    """Escape a text for HTML, and make a name of what stands between backticks."""
    from markupsafe import Markup

    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", escape(text)))


def _lines(part: Part, folder: str, pictures: dict[str, bytes]) -> Iterator[str]:
    """Yield the paragraphs of a part as Markdown, and add its pictures."""
    if isinstance(part, str):
        yield _text(part)
    elif isinstance(part, Code):
        yield _fence(part.text)
    elif isinstance(part, Table):
        lines = [part.headings, ["---"] * len(part.headings)]
        lines += [[_cell(cell) for cell in row] for row in part.cells]
        yield "\n".join("| " + " | ".join(line) + " |" for line in lines)
    elif isinstance(part, Terms):
        yield "\n".join(f"- **{_cell(term)}**: {_text(text)}" for term, text in part.cells)
    elif isinstance(part, Pictures):
        for picture in part.items:
            yield from _picture(picture, folder, pictures)
    else:
        yield ", ".join(f"{mark[1]} {_text(quoted(name))}" for name, mark in part.marks.items())


def _picture(picture: Picture, folder: str, pictures: dict[str, bytes]) -> Iterator[str]:
    from fastinit.lab.report.pictures.style import png

    name = f"{len(pictures) + 1:02d}.png"
    pictures[name] = png(picture.draw())
    description = escape(re.sub(r"[][\\`]", "", picture.description), quote=False)
    yield f"**{_text(picture.title)}**"
    yield f"![{description}]({folder}/{name})"
    yield _text(picture.reading)


def _cell(cell: Cell) -> str:
    glyph = f"{cell.mark[1]} " if cell.mark else ""
    text = f"`{cell.text.replace('`', chr(39))}`" if cell.code else _text(cell.text)
    return glyph + text.replace("|", r"\|").replace("\n", " ")


def _text(text: str) -> str:
    """Escape what Markdown or HTML would read as more than text, but not names in backticks."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a backtick that nothing closes
        parts = [text.replace("`", chr(39))]
    parts[::2] = [re.sub(r"([*_\[\]<\\])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


def _fence(text: str) -> str:
    return f"```\n{text.replace('```', chr(39) * 3)}\n```"
