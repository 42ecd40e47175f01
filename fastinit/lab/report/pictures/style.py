"""What all pictures share: colours, markers, axes; and how a figure gets into a page or a file."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from fastinit.lab.report.languages import number

__all__ = [
    "INK",
    "LINES",
    "MARKERS",
    "PALETTE",
    "inline_svg",
    "line_style",
    "log_axis",
    "marks",
    "name_layers",
    "new_figure",
    "png",
    "shorten",
    "style_axes",
    "svg_file",
    "whole_numbers",
]

PALETTE = (
    "#8d8d8d",
    "#b07aa1",
    "#3d9bd6",
    "#e0524f",
    "#bd8708",
    "#2aa36b",
    "#5468d4",
    "#12a3a3",
    "#a06d42",
    "#d65fb3",
)
"""Line colours, 3 to 1 at least against white and near-black; markers differ too."""

MARKERS = {
    "o": "●",
    "s": "■",
    "D": "◆",
    "^": "▲",
    "v": "▼",
    "P": "✚",
    "X": "✖",
    "<": "◀",
    ">": "▶",
    "p": "⬟",
}
"""Matplotlib's markers and how the page writes them."""

LINES = ("-", "--", ":")

INK = "#010203"
"""Stands for the page's text colour: no other part of a figure has this colour."""


def new_figure(width: float = 5.4, height: float = 3.3, **axes: Any) -> tuple[Figure, Any]:
    """Return a transparent figure and its axes, in the lab's style.

    Parameters
    ----------
    width, height : float
        Inches; 72 of the page's pixels each.
    **axes
        For ``Figure.subplots``: ``ncols=2``, ``sharey=True`` ...

    Returns
    -------
    Figure, Axes or array of Axes
    """
    layout = ConstrainedLayoutEngine(w_pad=0.04, h_pad=0.04)
    figure = Figure(figsize=(width, height), layout=layout)
    figure.patch.set_alpha(0)
    made: Any = figure.subplots(**axes)
    for one in made.flat if hasattr(made, "flat") else [made]:
        style_axes(one)
    return figure, made


def style_axes(axes: Any) -> None:
    """Give axes the lab's style: ink, a light grid, no box, numbers in the language.

    Parameters
    ----------
    axes : Axes
    """
    axes.patch.set_alpha(0)
    axes.spines[["top", "right"]].set_visible(False)
    for spine in axes.spines.values():
        spine.set_color(INK)
        spine.set_alpha(0.45)
    axes.grid(color=INK, alpha=0.12, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=10, length=3)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(INK)
        axis.label.set_fontsize(10)
        axis.set_major_formatter(FuncFormatter(_tick))
    axes.title.set_color(INK)
    axes.title.set_fontsize(10)


def log_axis(axis: Any) -> None:
    """Make an axis logarithmic, with powers of ten that do not crowd.

    Parameters
    ----------
    axis : Axis
        ``axes.xaxis`` or ``axes.yaxis``, after everything is drawn.
    """
    name = axis.axis_name
    if not math.isfinite(axis.get_minpos()):  # nothing is drawn that is above 0
        getattr(axis.axes, f"set_{name}lim")(0.1, 10.0)
    getattr(axis.axes, f"set_{name}scale")("log")
    low, high = axis.get_view_interval()
    if high < 10 * low:  # what hardly changes shall look level
        low, high = math.sqrt(low * high / 10), math.sqrt(low * high * 10)
        getattr(axis.axes, f"set_{name}lim")(low, high)
    axis.set_major_locator(
        LogLocator(subs=(1, 2, 5)) if high < 30 * low else LogLocator(numticks=7)
    )
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(_tick))


def whole_numbers(axis: Any) -> None:
    """Label an axis with whole numbers only: epochs, steps.

    Parameters
    ----------
    axis : Axis
    """
    axis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def name_layers(axis: Any, names: Sequence[str], most: int = 9) -> None:
    """Label the places 0, 1, 2 ... of an axis; of a deep network not all fit.

    Parameters
    ----------
    axis : Axis
    names : sequence of str
    most : int, default 9
    """
    step = -(-len(names) // most)
    axis.set_ticks(range(0, len(names), step), names[::step])


def shorten(name: str, most: int) -> str:
    """Leave out the middle of a name that is too long for a picture.

    Parameters
    ----------
    name : str
    most : int
        Characters that fit.

    Returns
    -------
    str
    """
    if len(name) <= most:
        return name
    end = (most - 1) // 2
    return f"{name[: most - 1 - end]}…{name[-end:]}"


def line_style(index: int, points: int) -> dict[str, Any]:
    """Return how ``axes.plot`` draws the line of the index-th thing that is compared.

    Parameters
    ----------
    index : int
    points : int
        How many points the line has.

    Returns
    -------
    dict
    """
    every = max(1, points // 7)
    return {
        "color": PALETTE[index % len(PALETTE)],
        "linewidth": 1.8,
        "linestyle": LINES[index // len(PALETTE) % len(LINES)],
        "marker": tuple(MARKERS)[index % len(MARKERS)],
        "markersize": 5,
        # Lines that lie on each other show their markers in turn.
        "markevery": (index % every, every),
    }


def marks(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return name -> colour and glyph, the same in every figure of a page.

    Parameters
    ----------
    names : sequence of str
        In the order of the comparison.

    Returns
    -------
    dict
    """
    glyphs = tuple(MARKERS.values())
    return {
        name: (PALETTE[i % len(PALETTE)], glyphs[i % len(glyphs)]) for i, name in enumerate(names)
    }


def inline_svg(figure: Figure, name: str, description: str = "") -> str:
    """Return a figure as an HTML fragment: no header, no links, text as text in the page's colour.

    Parameters
    ----------
    figure : Figure
    name : str
        Unlike those of the page's other figures: the ids of its elements come from it.
    description : str, optional
        For those who cannot see it.

    Returns
    -------
    str
    """
    svg = _svg(figure, name)
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    for attribute in ("width", "height"):
        svg = re.sub(rf'(<svg[^>]*?) {attribute}="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    # A hundredth of a pixel is enough, and half the size of a page.
    places = re.compile(r"(\.\d\d)\d+")
    svg = re.sub(r' (?:d|x|y|transform)="[^"]*"', lambda found: places.sub(r"\1", found[0]), svg)
    label = f' role="img" aria-label="{_escape(description)}"' if description else ""
    return svg.replace("<svg", f"<svg{label}", 1).replace(INK, "currentColor")


def svg_file(figure: Figure) -> str:
    """Return a figure as an SVG file of its own, dark on white.

    Parameters
    ----------
    figure : Figure

    Returns
    -------
    str
    """
    return _svg(figure, "figure", facecolor="white")


def png(figure: Figure, dpi: int = 150) -> bytes:
    """Return a figure as a PNG file, dark on white.

    Parameters
    ----------
    figure : Figure
    dpi : int, default 150
        Pixels an inch.

    Returns
    -------
    bytes
    """
    FigureCanvasAgg(figure)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return stream.getvalue()


def _svg(figure: Figure, salt: str, **options: Any) -> str:
    FigureCanvasSVG(figure)
    stream = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        empty = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(stream, format="svg", metadata=empty, **options)
    return stream.getvalue()


def _tick(value: float, _place: int | None = None) -> str:
    return number(0.0 if abs(value) < 1e-300 else value, ".6g")


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
