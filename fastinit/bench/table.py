"""What was measured, on a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fastinit.bench.fills import PACKAGES
from fastinit.bench.results import Results, Row, Spread

__all__ = ["BUSY", "UNITS", "busy", "machine", "missing", "render", "short", "size", "summary"]

UNITS = {"he_normal": ("us", 1e6), "orthogonal": ("ms", 1e3), "cold start": ("s", 1.0)}
"""Call -> the unit of its times, and how many of them a second has."""

MEANINGS = {
    "he_normal": "a call for a kernel of (64, 20), from Python",
    "orthogonal": "a random orthogonal matrix of (512, 512)",
    "cold start": "Python starts, imports the library, and draws he_normal (4096, 4096)",
}
"""Call -> what it does."""

BUSY = 0.1
"""Where the middle half of the samples is typically wider than this share, figures mean little."""

MOST_SIZES = 10

LEGEND = """
Medians of interleaved rounds; after them what the middle half lies between, and
how many times fastinit's time it is. Each library is at its best: NumPy with
the faster of its generators, PyTorch's truncated normals (within 2 sigma) made
in the faster of its ways, JAX compiled. memory: nothing but writing, a plain
fill or a memset, which bounds every fill that leaves the caches.
he_normal: a call for (64, 20). orthogonal: of (512, 512). cold start: Python
starts, imports the library and draws he_normal (4096, 4096)."""


def render(found: Results) -> RenderableType:
    """Return the tables, and how to read them.

    Parameters
    ----------
    found : Results
        The rows that are there, not all need to be.

    Returns
    -------
    rich renderable
    """
    parts: list[RenderableType] = [Text(line, style="dim") for line in machine(found.about)]
    largest = [found.of(law)[-1] for law in found.laws]
    if largest:
        title = f"{size(largest[0].elements)} elements of {found.about['dtype']}: ns an element"
        columns = {row.what: row.nanoseconds() for row in largest}
        parts += [Text(f"\n{title}", style="bold"), _side_by_side(columns)]
    if "normal" in found.laws:
        parts += [Text("\nnormal, by number of elements: ns an element", style="bold")]
        parts.append(_by_size(found.of("normal")))
    if found.calls:
        columns = {_heading(row): _in_units(row) for row in found.calls}
        parts += [Text("\nwhole calls", style="bold"), _side_by_side(columns)]
    parts += [Text(""), *(Text(sentence) for sentence in (*summary(found), *busy(found)))]
    parts += [Text(sentence) for sentence in missing(found.about)]
    parts.append(Text(LEGEND, style="dim"))
    return Group(*parts)


def machine(about: Mapping[str, Any]) -> list[str]:
    """Return what the figures come from: the machine, and the libraries.

    Parameters
    ----------
    about : mapping
        `Results.about`.

    Returns
    -------
    list of str
    """
    threads = f"{about['threads']} thread{'s' * (about['threads'] != 1)}"
    return [
        f"{about['processor']}; {about['backend']} backend, {threads}",
        ", ".join(f"{library} {version}" for library, version in about["versions"].items()),
    ]


def missing(about: Mapping[str, Any]) -> list[str]:
    """Return a sentence on the libraries that are not installed, if any.

    Parameters
    ----------
    about : mapping
        `Results.about`.

    Returns
    -------
    list of str
    """
    if not about["absent"]:
        return []
    packages = " ".join(PACKAGES[library] for library in about["absent"])
    names = ", ".join(about["absent"])
    return [f"Left out, since not installed: {names} (pip install {packages})."]


def summary(found: Results) -> list[str]:
    """Return the most important in a sentence: what fastinit takes, and how many times that others.

    Parameters
    ----------
    found : Results

    Returns
    -------
    list of str
        Empty where no normals were measured.
    """
    if "normal" not in found.laws:
        return []
    rows = found.of("normal")
    ns = rows[-1].nanoseconds()
    ours = ns.pop("fastinit").median
    memory = ns.pop("memory", None)
    taken = f"{short(ours * rows[-1].elements / 1e6)} ms"
    sentence = f"fastinit draws {size(rows[-1].elements)} normals in {taken}."
    if ns:
        first, *others = [(library, short(s.median / ours)) for library, s in ns.items()]
        rest = "".join(f", {library} {times}" for library, times in others)
        sentence += f" {first[0]} takes {first[1]} times as long{rest}."
    if memory:
        sentence += f" Writing alone takes {short(memory.median / ours)} of it."
    return [sentence, *_fastest_from(rows)]


def _fastest_from(rows: list[Row]) -> list[str]:
    """Return from which size on nobody is faster, where there are others and it is so."""
    ahead = None
    for row in reversed(rows):
        ns = row.nanoseconds()
        others = [s.median for library, s in ns.items() if library not in ("fastinit", "memory")]
        if not others or ns["fastinit"].median > min(others):
            break
        ahead = row
    if ahead is None:
        return []
    if ahead is rows[0]:
        return ["It is the fastest at every size."]
    return [f"It is the fastest from {size(ahead.elements)} elements on."]


def busy(found: Results) -> list[str]:
    """Return a warning if the samples differ so much that the machine must do other work.

    Parameters
    ----------
    found : Results

    Returns
    -------
    list of str
    """
    if found.unrest <= BUSY:
        return []
    return [
        f"The machine is busy: samples of the same typically differ by {found.unrest:.0%}; "
        "measure again when it does nothing else."
    ]


def short(value: float) -> str:
    """Return three digits of a number.

    Examples
    --------
    >>> from fastinit.bench.table import short
    >>> short(0.7234), short(13.91), short(1234.5)
    ('0.72', '13.9', '1234')
    """
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def size(elements: int) -> str:
    """Return a number of elements in words, where it is a round one.

    Examples
    --------
    >>> from fastinit.bench.table import size
    >>> size(64), size(4096), size(2**24), size(1000)
    ('64', '4 Ki', '16 Mi', '1000')
    """
    for unit, bits in (("Gi", 30), ("Mi", 20), ("Ki", 10)):
        if elements >= 2**bits and elements % 2**bits == 0:
            return f"{elements >> bits} {unit}"
    return str(elements)


def _heading(row: Row) -> str:
    return f"{row.what}, {UNITS[row.what][0]}"


def _in_units(row: Row) -> dict[str, Spread]:
    factor = UNITS[row.what][1]
    return {library: s.times(factor) for library, s in row.libraries().items()}


def _table(first: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column(first, no_wrap=True)
    return table


def _side_by_side(columns: Mapping[str, Mapping[str, Spread]]) -> Table:
    table = _table("")
    for heading in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for library in dict.fromkeys(name for spreads in columns.values() for name in spreads):
        cells = [_cell(spreads, library) for spreads in columns.values()]
        table.add_row(Text(library), *cells, style="bold" if library == "fastinit" else "")
    return table


def _cell(spreads: Mapping[str, Spread], library: str) -> Text:
    if library not in spreads:
        return Text("")
    low, median, high = spreads[library]
    text = Text(f"{short(median):>4}")
    text.append(f" {short(low)}-{short(high)}".ljust(10), style="dim")
    times = median / spreads["fastinit"].median
    style = "" if library in ("fastinit", "memory") else "green" if times > 1 else "yellow"
    return text.append(f"{short(times):>5}x" if library != "fastinit" else " " * 6, style=style)


def _by_size(rows: list[Row]) -> Table:
    step = -(-len(rows) // MOST_SIZES)
    rows = rows[::-step][::-1]  # the largest is among them
    table = _table("")
    for row in rows:
        table.add_column(size(row.elements), justify="right", no_wrap=True)
    spreads = [row.nanoseconds() for row in rows]
    for library in dict.fromkeys(name for one in spreads for name in one):
        cells = [short(one[library].median) if library in one else "" for one in spreads]
        table.add_row(Text(library), *cells, style="bold" if library == "fastinit" else "")
    return table
