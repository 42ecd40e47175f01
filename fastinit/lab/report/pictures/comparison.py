"""The pictures of a comparison: convergence, scores, signal and gradient by layer, the phases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fastinit.lab.report.languages import _, number
from fastinit.lab.report.pictures.style import (
    INK,
    PALETTE,
    line_style,
    log_axis,
    name_layers,
    new_figure,
    shorten,
    whole_numbers,
)

if TYPE_CHECKING:
    from fastinit.lab.comparison import Group
    from fastinit.lab.runs import Run

__all__ = ["TOP", "absent", "by_epoch", "by_layer", "scores", "weights"]

REACH = 0.2
"""How far below the best a score is drawn; lower ones would press the others together."""

REACH_WEIGHTS = 5.0
"""A histogram shows weights up to this, times the root of fan_in."""

TOP = 100.0
"""A loss that is this many times the dashed line's leaves the picture."""

Values: TypeAlias = Callable[["Run"], tuple[float, ...]]
Order: TypeAlias = Mapping[str, int]
"""Initializer -> its place in the comparison, which decides colour and marker."""


def by_epoch(group: Group, order: Order, values: Values, *, level: float, log: bool) -> Figure:
    """Draw a figure that is known before training and after each epoch.

    Parameters
    ----------
    group : Group
    order : dict
    values : callable
        Run -> the points of its line.
    level : float
        Height of a dashed line.
    log : bool
        Whether on a logarithmic axis.

    Returns
    -------
    Figure
    """
    figure, axes = new_figure(4.9, 3.2)
    axes.axhline(level, color=INK, alpha=0.6, linewidth=1, linestyle=(0, (5, 4)), zorder=1)
    _bands(axes, group, order, values, log)
    axes.set_xlabel(_("epoch"))
    whole_numbers(axes.xaxis)
    if log:
        axes.set_yscale("log")
        axes.set_ylim(top=min(axes.get_ylim()[1], TOP * level))
        log_axis(axes.yaxis)
    else:
        axes.set_ylim(max(min(axes.get_ylim()[0], 0.0), -1.0), 1.02)
    return figure


def by_layer(
    group: Group, order: Order, before: Values, after: Values, names: Sequence[str]
) -> Figure:
    """Draw a figure of each layer, before training and after it, side by side.

    Parameters
    ----------
    group : Group
    order : dict
    before, after : callable
        Run -> the points of its line.
    names : sequence of str
        Of the layers.

    Returns
    -------
    Figure
    """
    figure, panels = new_figure(4.9, 3.2, ncols=2, sharey=True)
    titles = _("before training"), _("after training")
    for axes, values, title in zip(panels, (before, after), titles, strict=True):
        _bands(axes, group, order, values, log=True)
        axes.set_title(title)
        axes.set_xlabel(_("layer"))
        name_layers(axes.xaxis, names, most=6)
    log_axis(panels[0].yaxis)
    panels[1].tick_params(left=False)
    return figure


def scores(group: Group, order: Order, best: str) -> Figure:
    """Draw the test score of every seed, its mean and the interval around it.

    Parameters
    ----------
    group : Group
    order : dict
    best : str
        The initializer with the best mean, whose interval is drawn across; "" for none.

    Returns
    -------
    Figure
    """
    figure, axes = new_figure(4.9, max(3.2, 0.9 + 0.27 * len(group.records)))
    low = max((r.test_score for r in group.records), default=0.0) - REACH
    for row, record in enumerate(group.records):
        style = line_style(order[record.initializer], 1)
        colour = style["color"]
        if record.test_score < low:
            arrow = f"◂ {number(record.test_score, '.2f')}"
            axes.text(low, row, arrow, color=INK, fontsize=9, va="center", alpha=0.75)
            continue
        ends = [record.test_score_low, record.test_score_high]
        if record.initializer == best and np.isfinite(ends[0]):
            axes.axvspan(*ends, color=INK, alpha=0.09, linewidth=0)
        seeds = [run.final_score for run in group.runs if run.initializer == record.initializer]
        seeds = [score for score in seeds if score >= low]
        axes.plot(seeds, [row] * len(seeds), ".", color=colour, alpha=0.5, markersize=6)
        axes.plot(np.clip(ends, low, 1.0), [row, row], color=colour, linewidth=2.2)
        axes.plot(record.test_score, row, color=colour, marker=style["marker"], markersize=7)
    names = [shorten(record.initializer, 18) for record in group.records]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(left=low)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(_("test score"))
    return figure


def weights(samples: Mapping[str, NDArray[np.float64]], order: Order) -> Figure:
    """Draw histograms of weights times the root of fan_in.

    Parameters
    ----------
    samples : mapping
        Initializer -> such numbers.
    order : dict

    Returns
    -------
    Figure
    """
    figure, axes = new_figure(4.9, 3.2)
    bins = np.linspace(-REACH_WEIGHTS, REACH_WEIGHTS, 80)  # 0 is inside of one
    for name, values in samples.items():
        density = np.histogram(values, bins)[0] / (len(values) * (bins[1] - bins[0]))
        style = line_style(order[name], 1)
        axes.stairs(density, bins, color=style["color"], linewidth=1.6, baseline=None)
        peak = int(density.argmax())
        if density[peak] > 0:
            middle = 0.5 * (bins[peak] + bins[peak + 1])
            axes.plot(middle, density[peak], color=style["color"], marker=style["marker"])
    axes.set_xlabel(_("weight times the root of fan_in"))
    axes.set_ylabel(_("density"))
    axes.set_yscale("log")
    axes.set_ylim(1e-3, 20.0)
    log_axis(axes.yaxis)
    return figure


def absent(group: Group, *views: Values) -> list[str]:
    """Return the initializers that have no point on a logarithmic axis in any of the views.

    Parameters
    ----------
    group : Group
    *views : callable

    Returns
    -------
    list of str
    """
    drawn = {
        run.initializer
        for run in group.runs
        if any(0 < value < np.inf for values in views for value in values(run))
    }
    return [record.initializer for record in group.records if record.initializer not in drawn]


def _bands(axes: Any, group: Group, order: Order, values: Values, log: bool) -> None:
    for record in group.records:
        lines = [values(run) for run in group.runs if run.initializer == record.initializer]
        middle, low, high = _band(lines, log)
        x = np.arange(len(middle))
        index = order[record.initializer]
        colour = PALETTE[index % len(PALETTE)]
        axes.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)
        axes.plot(x, middle, **line_style(index, len(x)))


def _band(runs: Sequence[tuple[float, ...]], log: bool) -> NDArray[np.float64]:
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
    return band
