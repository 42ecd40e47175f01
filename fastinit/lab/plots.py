"""The four figures of a page section, as SVG that takes its text colour from the page."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from fastinit.lab.runs import Run

if TYPE_CHECKING:
    from fastinit.lab import comparison

__all__ = ["PALETTE", "VIEWS", "Plot", "View", "marks", "plots"]

PALETTE = (
    "#8d8d8d",
    "#b07aa1",
    "#3d9bd6",
    "#e0524f",
    "#d69c12",
    "#2aa36b",
    "#5468d4",
    "#12a3a3",
    "#a06d42",
    "#e377c2",
)
"""Line colours, readable on white and on near-black; markers differ too."""

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


@dataclass(frozen=True)
class Plot:
    """One figure of the page.

    Attributes
    ----------
    title : str
    caption : str
        How to read it.
    svg : str
        The figure, to be put into HTML.
    absent : tuple of str
        Initializers that have no point to draw on a logarithmic axis.
    """

    title: str
    caption: str
    svg: str
    absent: tuple[str, ...]


def marks(initializers: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return initializer -> colour and glyph, the same in every figure of a page.

    Parameters
    ----------
    initializers : sequence of str
        In the order of the comparison.

    Returns
    -------
    dict
    """
    glyphs = tuple(MARKERS.values())
    return {
        name: (PALETTE[i % len(PALETTE)], glyphs[i % len(glyphs)])
        for i, name in enumerate(initializers)
    }


@dataclass(frozen=True)
class View:
    """What one figure shows.

    Attributes
    ----------
    title, caption : str
    values : callable
        Run -> the points of its line.
    log : bool
        Whether the values are drawn on a logarithmic axis.
    layers : tuple of str, optional
        If the points are layers: what stands before the hidden ones and after them, "" for
        nothing. Otherwise they are epochs.
    level : callable, optional
        Run -> the height of a dashed line.
    """

    title: str
    caption: str
    values: Callable[[Run], tuple[float, ...]]
    log: bool
    layers: tuple[str, str] | None = None
    level: Callable[[Run], float] | None = None


VIEWS = (
    View(
        "Train loss",
        "Cross-entropy on all train rows, before training and after each epoch. On the dashed "
        "line the network knows no more than how common each class is. A line that ends early "
        "stopped being finite.",
        lambda run: run.train_loss,
        log=True,
        level=lambda run: run.constant_loss,
    ),
    View(
        "Test accuracy",
        "Share of the test rows that are classified rightly. The dashed line is the goal.",
        lambda run: run.test_accuracy,
        log=False,
        level=lambda run: run.goal,
    ),
    View(
        "Activation spread by layer",
        "Before training: how much the activations differ between rows (standard deviation over "
        "the rows, root mean square over the units). A level line passes the signal on; a falling "
        "one loses it, a rising one blows it up.",
        lambda run: run.activation_spread,
        log=True,
        layers=("input", "logits"),
    ),
    View(
        "Gradient size by layer",
        "Before training: root mean square gradient of each layer's kernel. Under a line that "
        "rises to the right, the first layers learn far slower than the last; a line that is low "
        "throughout moves no layer.",
        lambda run: run.gradient_size,
        log=True,
        layers=("", "last"),
    ),
)
"""Convergence, and activations and gradients by layer."""


def plots(group: comparison.Group, order: Sequence[str]) -> tuple[Plot, ...]:
    """Draw the :data:`VIEWS` of one network.

    Parameters
    ----------
    group : Group
    order : sequence of str
        The initializers of the whole comparison, which decide the colours.

    Returns
    -------
    tuple of Plot
    """
    return tuple(_plot(view, group, order) for view in VIEWS)


def _plot(view: View, group: comparison.Group, order: Sequence[str]) -> Plot:
    figure, axes = _figure(view.log)
    if view.level is not None:
        level = view.level(group.runs[0])
        axes.axhline(level, color=INK, alpha=0.6, linewidth=1, linestyle=(0, (5, 4)), zorder=1)
    absent = []
    for record in group.records:
        name = record.initializer
        band = _series(
            [view.values(run) for run in group.runs if run.initializer == name], view.log
        )
        _line(axes, order.index(name), *band)
        if np.isnan(band[0]).all():
            absent.append(name)
    if view.layers is None:
        axes.set_xlabel("epoch", color=INK, fontsize=10)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    else:
        axes.set_xlabel("layer", color=INK, fontsize=10)
        before, after = view.layers
        _name_layers(axes, [before, *map(str, range(1, len(group.hidden) + 1)), after])
    if view.log and axes.get_ylim()[1] < 30 * axes.get_ylim()[0]:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))  # too few powers of ten to label
    svg = _svg(figure, salt=f"{group.activation}{group.hidden}{view.title}")
    return Plot(view.title, view.caption, svg, tuple(absent))


def _name_layers(axes: Any, names: list[str]) -> None:
    names = [name for name in names if name]
    step = -(-len(names) // 9)  # a deep network's layers do not all fit as labels
    axes.set_xticks(range(0, len(names), step), names[::step])


_Band = tuple[np.ndarray, np.ndarray, np.ndarray]


def _series(runs: Sequence[tuple[float, ...]], log: bool) -> _Band:
    """Return median, least and greatest over the seeds; NaN where there is nothing to draw."""
    table = np.full((len(runs), max(map(len, runs))), np.nan)
    for row, values in zip(table, runs, strict=True):
        row[: len(values)] = values
    table[~np.isfinite(table) | ((table <= 0) & log)] = np.nan
    band = np.full((3, table.shape[1]), np.nan)
    known = ~np.isnan(table).all(axis=0)  # nanmedian warns of columns without a number
    band[0, known] = np.nanmedian(table[:, known], axis=0)
    band[1, known] = np.nanmin(table[:, known], axis=0)
    band[2, known] = np.nanmax(table[:, known], axis=0)
    return band[0], band[1], band[2]


def _figure(log: bool) -> tuple[Figure, Any]:
    figure = Figure(figsize=(5.4, 3.3))
    figure.subplots_adjust(left=0.115, right=0.985, top=0.975, bottom=0.155)
    FigureCanvasSVG(figure)
    figure.patch.set_alpha(0)
    axes: Any = figure.add_subplot()
    axes.patch.set_alpha(0)
    axes.spines[["top", "right"]].set_visible(False)
    for spine in axes.spines.values():
        spine.set_color(INK)
        spine.set_alpha(0.45)
    axes.grid(color=INK, alpha=0.12, linewidth=0.7)
    axes.tick_params(colors=INK, labelsize=10, length=3)
    if log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(numticks=7))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter("{x:g}")
    else:
        axes.set_ylim(0, 1.02)
    return figure, axes


def _line(axes: Any, index: int, middle: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    x = np.arange(len(middle))
    colour = PALETTE[index % len(PALETTE)]
    # Lines that lie on each other show their markers in turn.
    every = max(1, len(x) // 7)
    axes.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)
    axes.plot(
        x,
        middle,
        color=colour,
        linewidth=1.8,
        linestyle=LINES[index // len(PALETTE) % len(LINES)],
        marker=tuple(MARKERS)[index % len(MARKERS)],
        markersize=5,
        markevery=(index % every, every),
    )


def _svg(figure: Figure, salt: str) -> str:
    """Return the figure as an HTML fragment: no XML header, no links, text as text."""
    stream = io.StringIO()
    # A salt for each figure: their element ids must differ inside one page.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        empty = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(stream, format="svg", metadata=empty)
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg)
    return svg.replace(INK, "currentColor")
