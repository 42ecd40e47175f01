"""How numbers are distributed layer by layer: a ridge a layer, the first at the top."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from fastinit.lab.figures import BOUNDS
from fastinit.lab.observation import Histogram
from fastinit.lab.report.languages import _, number
from fastinit.lab.report.pictures.style import INK, PALETTE, new_figure, shorten

if TYPE_CHECKING:
    from fastinit.lab.comparison import Group
    from fastinit.lab.diagnosis import Diagnosis
    from fastinit.lab.recording import Recording

__all__ = ["Panel", "activations", "ridges", "then_and_later", "with_cure"]

WIDTH = 4.9

RIDGES = 14
"""Layers that are drawn; of more, so many evenly spaced ones."""

HEIGHT = 0.86
"""Of the highest bin; 1 is the distance between two layers."""

TAIL = 0.005
"""This share of a layer's numbers at either end may lie outside of the picture."""


class Panel(NamedTuple):
    """The layers of one network at one time.

    Attributes
    ----------
    title, colour : str
    layers : sequence of Histogram or None
    """

    title: str
    colour: str
    layers: Sequence[Histogram | None]


def ridges(
    panels: Sequence[Panel],
    names: Sequence[str],
    *,
    columns: int,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draw a panel for each network or time, and in it a ridge for each layer.

    Parameters
    ----------
    panels : sequence of Panel
    names : sequence of str
        Of the layers.
    columns : int
        Panels in a row.
    limits : (low, high), optional
        Of the horizontal axis in all panels; by default each has its own.

    Returns
    -------
    Figure
    """
    shown = np.unique(np.linspace(0, len(names) - 1, min(len(names), RIDGES)).round().astype(int))
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    height = rows * (0.62 + max(0.23 * len(shown), 0.95)) + 0.1
    figure, grid = new_figure(WIDTH, height, ncols=columns, nrows=rows, sharey=True, squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        layers = [panel.layers[place] for place in shown]
        reach = limits or _reach(layers)
        for row, layer in enumerate(layers):
            if layer is not None:
                _ridge(axes, row, layer, reach, panel.colour)
        axes.set_xlim(*reach)
        axes.set_title(panel.title)
        axes.xaxis.set_major_locator(MaxNLocator(4 if columns < 3 else 2, steps=[1, 2, 2.5, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(_tick))
        axes.tick_params(axis="x", labelsize=9)
        axes.tick_params(axis="y", left=False, labelsize=9)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="y", alpha=0.2)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    first = grid.flat[0]
    first.set_yticks(range(len(shown)), [shorten(names[place], 14) for place in shown])
    first.set_ylim(len(shown) - 0.8, -1.0)
    return figure


def activations(group: Group, order: Mapping[str, int]) -> Figure | None:
    """Draw the activations before training, a panel an initializer, of the first seed.

    Parameters
    ----------
    group : Group
        Its runs.
    order : mapping
        Initializer -> its place in the comparison, which decides the colour.

    Returns
    -------
    Figure or None
        None where no run has kept its histograms.
    """
    kept = {run.initializer: run.histograms for run in group.runs if run.histograms}
    panels = [
        Panel(
            shorten(record.initializer, 18),
            PALETTE[order[record.initializer] % len(PALETTE)],
            [Histogram.of(one) for one in kept[record.initializer]],
        )
        for record in group.records
        if record.initializer in kept
    ]
    if not panels:
        return None
    names = [_("layer {place}").format(place=i + 1) for i in range(len(group.hidden))]
    limits = BOUNDS.get(group.activation)
    if limits is None:
        ends = np.median([_reach(panel.layers) for panel in panels], axis=0)
        limits = (float(ends[0]), float(ends[1]))
    return ridges(panels, names, columns=3, limits=limits)


def with_cure(found: Diagnosis, figure: str = "histogram") -> Figure | None:
    """Draw the outputs, or the weights, as they stand and with the cure.

    Parameters
    ----------
    found : Diagnosis
    figure : {"histogram", "weight_histogram"}, default "histogram"

    Returns
    -------
    Figure or None
        None where there is none.
    """
    before = [layer for layer in found.before.layers if getattr(layer, figure) is not None]
    if not before:
        return None
    panels = [
        Panel(_("as it stands"), PALETTE[3], [getattr(layer, figure) for layer in before]),
    ]
    if found.cure is not None:
        after = {layer.name: getattr(layer, figure) for layer in found.cure.after.layers}
        layers = [after.get(layer.name) for layer in before]
        panels.append(Panel(shorten(found.cure.name, 24), PALETTE[5], layers))
    return ridges(panels, [layer.name for layer in before], columns=2)


def then_and_later(found: Recording, figure: str = "histogram") -> Figure | None:
    """Draw the outputs, or the weights, at the first record, half-way and at the last.

    Parameters
    ----------
    found : Recording
    figure : {"histogram", "weight_histogram"}, default "histogram"

    Returns
    -------
    Figure or None
        None where the file has none.
    """
    times = sorted({0, len(found.steps) // 2, len(found.steps) - 1})
    seen = [found.histograms(time, figure) for time in times]
    having = [place for place in range(len(found.layers)) if any(one[place] for one in seen)]
    if not having:
        return None
    panels = [
        Panel(
            _("step {step}").format(step=number(int(found.steps[time]), ",d")),
            PALETTE[colour],
            [one[place] for place in having],
        )
        for time, colour, one in zip(times, (3, 4, 5), seen, strict=False)
    ]
    reaches = [_reach(panel.layers) for panel in panels]
    limits = min(low for low, _high in reaches), max(high for _low, high in reaches)
    return ridges(panels, [found.layers[place] for place in having], columns=3, limits=limits)


def _ridge(axes: Any, row: int, layer: Histogram, reach: tuple[float, float], colour: str) -> None:
    if not any(layer.counts):
        middle = (reach[0] + reach[1]) / 2
        text = _("not finite")
        axes.text(middle, row - 0.1, text, color=INK, fontsize=9, ha="center", alpha=0.75)
        return
    low, high = layer.low, layer.high
    thinnest = 0.012 * (reach[1] - reach[0])  # what is narrower could not be seen
    if high - low < thinnest:
        middle = (low + high) / 2
        edges = np.array([middle - thinnest / 2, middle + thinnest / 2])
        heights = np.ones(1)
    else:
        edges = np.linspace(low, high, len(layer.counts) + 1)
        heights = np.sqrt(np.array(layer.counts) / max(layer.counts))
    top = row - HEIGHT * heights
    area = to_rgba(colour, 0.45)
    axes.stairs(top, edges, baseline=row, fill=True, fc=area, ec=colour, linewidth=1)


def _reach(layers: Sequence[Histogram | None]) -> tuple[float, float]:
    """Return from where to where an axis goes on which all layers but their tails are seen."""
    ends = [_without_tails(layer) for layer in layers if layer is not None and any(layer.counts)]
    if not ends:
        return 0.0, 1.0
    if len(ends) > 2:  # logits are far wider than what the hidden layers put out
        largest = max(abs(end) for pair in ends[:-1] for end in pair)
        ends[-1] = max(ends[-1][0], -largest), min(ends[-1][1], largest)
    low, high = min(low for low, _high in ends), max(high for _low, high in ends)
    if not high - low > 1e-12 * max(abs(low), abs(high)):  # they are all the same
        around = abs(low) or 1.0
        return low - around, low + around
    margin = 0.03 * (high - low)
    return low - margin, high + margin


def _without_tails(layer: Histogram) -> tuple[float, float]:
    edges = np.linspace(layer.low, layer.high, len(layer.counts) + 1)
    below = np.cumsum(layer.counts) / sum(layer.counts)
    first = int(np.searchsorted(below, TAIL, side="right"))
    last = int(np.searchsorted(below, 1.0 - TAIL))
    return float(edges[first]), float(edges[min(last, len(layer.counts) - 1) + 1])


def _tick(value: float, _place: int | None = None) -> str:
    if not math.isfinite(value):
        return ""
    return number(0.0 if abs(value) < 1e-300 else value, ".3g")
