"""What a report consists of, before it is a page or a Markdown file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "Cell",
    "Code",
    "Document",
    "Legend",
    "Mark",
    "Part",
    "Picture",
    "Pictures",
    "Row",
    "Section",
    "Table",
    "Terms",
    "quoted",
]

Mark: TypeAlias = tuple[str, str]
"""Colour and glyph of one of the things that are compared."""


def quoted(name: str) -> str:
    """Return a name as it stands in a sentence: between backticks, with none of its own.

    Parameters
    ----------
    name : str

    Returns
    -------
    str
    """
    return "`{}`".format(name.replace("`", "'"))


LONGEST_FIGURE = 20
"""Characters; what is longer in a table is words."""


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes
    ----------
    text : str
    tone : {"", "good", "fair", "bad"}
        Of a verdict.
    mark : Mark, optional
        What stands for it in the pictures.
    code : bool
        Whether it is a name.
    """

    text: str
    tone: str = ""
    mark: Mark | None = None
    code: bool = False


Row: TypeAlias = Sequence[Cell | str]


@dataclass(frozen=True)
class Table:
    """A table; its first column names the rows.

    Attributes
    ----------
    headings : sequence of str
    rows : sequence of Row
    grid : bool
        Whether it stays a grid on a narrow screen, where others show a card a row.
    """

    headings: Sequence[str]
    rows: Sequence[Row]
    grid: bool = False

    @property
    def cells(self) -> list[list[Cell]]:
        """The rows, with nothing but cells in them."""
        return [[c if isinstance(c, Cell) else Cell(c) for c in row] for row in self.rows]

    @property
    def texts(self) -> list[bool]:
        """For each column whether it holds words, not figures."""
        return [
            any(cell.tone or cell.code or len(cell.text) > LONGEST_FIGURE for cell in column)
            for column in zip(*self.cells, strict=True)
        ] or [True] * len(self.headings)


@dataclass(frozen=True)
class Terms:
    """Words and what they mean.

    Attributes
    ----------
    items : sequence of (str or Cell, str)
    """

    items: Sequence[tuple[str | Cell, str]]

    @property
    def cells(self) -> list[tuple[Cell, str]]:
        """The items, with nothing but cells for words."""
        return [(t if isinstance(t, Cell) else Cell(t), text) for t, text in self.items]


@dataclass(frozen=True)
class Legend:
    """Which mark stands for what, in all pictures of a section."""

    marks: Mapping[str, Mark]


@dataclass(frozen=True)
class Code:
    """What is typed."""

    text: str


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes
    ----------
    title : str
    reading : str
        How to read it.
    description : str
        What it shows, for those who cannot see it.
    draw : callable
        Makes the figure.
    wide : bool
        Whether it stands alone in its row.
    """

    title: str
    reading: str
    description: str
    draw: Callable[[], Figure]
    wide: bool = False


@dataclass(frozen=True)
class Pictures:
    """Pictures beside each other."""

    items: Sequence[Picture]


Part: TypeAlias = str | Table | Terms | Legend | Code | Pictures
"""A text is a paragraph; what stands in it between backticks is a name."""


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it.

    Attributes
    ----------
    title : str
    parts : sequence of Part
    folded : bool
        Whether a page shows it only on request.
    """

    title: str
    parts: Sequence[Part]
    folded: bool = False


@dataclass(frozen=True)
class Document:
    """A report.

    Attributes
    ----------
    kind : str
        What made it: "fastinit compare".
    title : str
    answer : sequence of str
        Sentences that say what was found, the most important first.
    tone : {"", "good", "fair", "bad"}
        Of the answer.
    run : str
        What was run, in a sentence or two.
    command : str
        What repeats it.
    sections : sequence of Section
    warnings : sequence of str
        What is not as it should be.
    """

    kind: str
    title: str
    answer: Sequence[str]
    run: str
    command: str
    sections: Sequence[Section]
    tone: str = ""
    warnings: Sequence[str] = field(default=())
