"""What was measured, as a page."""

from __future__ import annotations

from fastinit.bench.picture import PLACES, draw
from fastinit.bench.results import Results, Row, Spread
from fastinit.bench.table import MEANINGS, UNITS, busy, machine, missing, short, size, summary
from fastinit.lab.report.document import (
    Cell,
    Document,
    Picture,
    Pictures,
    Section,
    Table,
    Terms,
)
from fastinit.lab.report.pictures.style import marks

__all__ = ["description", "document"]

WORDS = [
    ("median", "The middle one of the samples, which the contestants gave in turns."),
    ("a - b", "What the middle half of the samples lies between; the bands of the picture."),
    ("n x", "So many times fastinit's time it is."),
    (
        "memory",
        "Nothing but writing, on as many threads: the faster of a plain fill and a memset. No fill "
        "of a buffer beyond the caches can be faster.",
    ),
    (
        "NumPy, PyTorch, JAX, Keras",
        "Each at its best: NumPy with the faster of its generators, PyTorch's truncated normals "
        "in the faster of two ways, JAX compiled and with a donated buffer, Keras as it is called.",
    ),
    ("truncated normal", "Within two standard deviations."),
]


def document(found: Results, command: str) -> Document:
    """Return the report.

    Parameters
    ----------
    found : Results
        With one law at least.
    command : str
        What repeats it.

    Returns
    -------
    Document
    """
    place, libraries = machine(found.about)
    picture = Picture(
        "Time and size",
        f"Nanoseconds an element of {found.about['dtype']} against the number of elements, both "
        "logarithmic: lower is faster. On the left a call costs more than its elements, on the "
        "right the memory is the limit, which the broken line shows.",
        description(found),
        lambda: draw(found),
        wide=True,
    )
    sections = [Section("Filling a buffer", [Pictures([picture])])]
    if found.calls:
        terms = Terms([(Cell(row.what, code=True), MEANINGS[row.what]) for row in found.calls])
        sections.append(Section("Whole calls", [_of_calls(found.calls), terms]))
    sections += [
        Section(
            f"{law}: every size, nanoseconds an element", [_of_sizes(found.of(law))], folded=True
        )
        for law in found.laws
    ]
    return Document(
        kind="fastinit bench",
        title="What fastinit takes on this machine, and what others take",
        answer=summary(found),
        tone="good",
        run=f"{place}; {libraries}.",
        command=command,
        sections=[*sections, Section("How to read this", [Terms(WORDS)])],
        warnings=[*busy(found), *missing(found.about)],
    )


def description(found: Results) -> str:
    """Return the picture in words: every median.

    Parameters
    ----------
    found : Results

    Returns
    -------
    str
    """
    lines = []
    for law in found.laws:
        for row in found.of(law):
            figures = [f"{name} {short(s.median)}" for name, s in row.nanoseconds().items()]
            lines.append(f"{law}, {size(row.elements)} elements: {', '.join(figures)}")
    return f"Nanoseconds an element. {'; '.join(lines)}."


def _of_calls(rows: list[Row]) -> Table:
    """Return a table with a row a library."""
    names = dict.fromkeys(name for row in rows for name in row.libraries())
    glyphs = _marks()
    columns = []
    for row in rows:
        factor = UNITS[row.what][1]
        columns.append({name: s.times(factor) for name, s in row.libraries().items()})
    return Table(
        ["", *(f"{row.what}, {UNITS[row.what][0]}" for row in rows)],
        [
            [Cell(name, mark=glyphs.get(name)), *(_figures(spreads, name) for spreads in columns)]
            for name in names
        ],
    )


def _of_sizes(rows: list[Row]) -> Table:
    """Return a table with a row a number of elements."""
    columns = [row.nanoseconds() for row in rows]
    names = list(dict.fromkeys(name for spreads in columns for name in spreads))
    return Table(
        ["elements", *names],
        [
            [size(row.elements), *(_figures(spreads, name) for name in names)]
            for row, spreads in zip(rows, columns, strict=True)
        ],
    )


def _figures(spreads: dict[str, Spread], name: str) -> str:
    if name not in spreads:
        return "-"
    low, median, high = spreads[name]
    times = f", {short(median / spreads['fastinit'].median)}x" if name != "fastinit" else ""
    return f"{short(median)} ({short(low)} - {short(high)}){times}"


def _marks() -> dict[str, tuple[str, str]]:
    """Return what stands for the libraries in the picture."""
    of_places = list(marks([str(place) for place in range(max(PLACES.values()) + 1)]).values())
    return {library: of_places[place] for library, place in PLACES.items()}
