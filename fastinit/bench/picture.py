"""The picture: time an element against the number of elements, a panel a law."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from fastinit.bench.results import Results
from fastinit.bench.table import size
from fastinit.lab.report.pictures.style import INK, line_style, log_axis, new_figure

__all__ = ["PLACES", "draw"]

PLACES = {"fastinit": 3, "NumPy": 2, "PyTorch": 4, "JAX": 5, "Keras": 1}
"""Library -> its place in the lab's palette and markers, the same whichever are there."""

MOST_TICKS = 6


def draw(found: Results) -> Figure:
    """Draw medians, with bands for the middle half of the samples, and the limit by the memory.

    Parameters
    ----------
    found : Results
        With one law at least.

    Returns
    -------
    Figure
    """
    laws = found.laws
    figure, panels = new_figure(
        3.4 * len(laws) + 0.6, 3.7, ncols=len(laws), sharex=True, sharey=True, squeeze=False
    )
    for axes, law in zip(panels[0], laws, strict=True):
        _law(axes, found, law)
        axes.set_title(law, loc="left", fontsize=10, color=INK)
        axes.set_xlabel("elements")
    log_axis(panels[0, 0].yaxis)
    _sizes(panels[0, 0].xaxis, [row.elements for law in laws for row in found.of(law)])
    panels[0, 0].set_ylabel("ns an element")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=len(labels), frameon=False,
        fontsize=10, labelcolor=INK,
    )  # fmt: skip
    return figure


def _law(axes: Any, found: Results, law: str) -> None:
    rows = [(row.elements, row.nanoseconds()) for row in found.of(law)]
    for library in dict.fromkeys(name for _, spreads in rows for name in spreads):
        points = [(n, *spreads[library]) for n, spreads in rows if library in spreads]
        sizes, low, median, high = zip(*points, strict=True)
        if library == "memory":
            axes.plot(sizes, median, color=INK, linewidth=1.4, linestyle=(0, (4, 3)), label=library)
            continue
        style = line_style(PLACES[library], len(sizes)) | {"markevery": 1}
        axes.fill_between(sizes, low, high, color=style["color"], alpha=0.25, linewidth=0)
        axes.plot(sizes, median, label=library, **style)


def _sizes(axis: Any, sizes: list[int]) -> None:
    """Label the sizes that were measured, as many as fit."""
    places = sorted(set(sizes))
    axis.axes.set_xscale("log", base=2)
    axis.set_major_locator(FixedLocator(places[:: -(-len(places) // MOST_TICKS)]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: size(round(value))))
