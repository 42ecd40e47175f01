"""The pictures of a recorded training: losses, and each layer's figures over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fastinit.lab.report.languages import _, number
from fastinit.lab.report.pictures.style import (
    INK,
    PALETTE,
    log_axis,
    new_figure,
    shorten,
    whole_numbers,
)

if TYPE_CHECKING:
    from fastinit.lab.recording import Recording

__all__ = ["by_depth", "heat", "losses"]

DECADES = 12
"""Powers of ten that the colours of a heat map tell apart, from the largest value down."""

LABELS = 14
"""Layers that are named; of more, not all fit."""


def losses(found: Recording) -> Figure:
    """Draw the loss of the training, and that on the batch that the recorder looks with.

    Parameters
    ----------
    found : Recording

    Returns
    -------
    Figure
    """
    figure, axes = new_figure(4.9, 3.2)
    drawn = False
    curves = (
        (found.losses, _("training batch"), PALETTE[2], "o"),
        (found.probe_losses, _("the recorder's batch"), PALETTE[3], "s"),
    )
    for values, label, colour, marker in curves:
        known = np.where(np.isfinite(values) & (values > 0), values, np.nan)
        if np.isnan(known).all():
            continue
        drawn = True
        axes.plot(
            found.steps,
            known,
            color=colour,
            label=label,
            linewidth=1.8,
            marker=marker,
            markersize=4.5,
            markevery=max(1, len(known) // 8),
        )
    axes.set_xlabel(_("step"))
    axes.set_ylabel(_("loss"))
    whole_numbers(axes.xaxis)
    log_axis(axes.yaxis)
    if drawn:
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return figure


def heat(found: Recording, values: NDArray[np.float64], *, log: bool) -> Figure:
    """Draw a figure of each layer at each time as colours, the first layer at the top.

    Parameters
    ----------
    found : Recording
    values : ndarray, shape (records, layers)
    log : bool
        Whether colours are powers of ten; else they are a share, of 0 to 1.

    Returns
    -------
    Figure
    """
    names = found.layers
    figure, axes = new_figure(4.9, min(6.0, max(3.2, 0.9 + 0.2 * len(names))))
    shown = np.where(np.isfinite(values), values, np.nan)
    norm: Any = Normalize(0.0, 1.0)
    if log:
        shown = np.where(shown > 0, shown, np.nan)
        top = np.nanmax(shown) if np.isfinite(shown).any() else 1.0
        low = np.nanmin(shown) if np.isfinite(shown).any() else 0.1
        norm = LogNorm(max(low, top / 10.0**DECADES, 1e-300), max(top, low * 10), clip=True)
    axes.grid(visible=False)
    image = axes.pcolormesh(
        _edges(found.steps.astype(float)),
        np.arange(len(names) + 1) - 0.5,
        shown.T,
        norm=norm,
        cmap=colormaps["viridis"],
        rasterized=True,
    )
    step = -(-len(names) // LABELS)
    axes.set_yticks(range(0, len(names), step), [shorten(name, 18) for name in names[::step]])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(_("step"))
    whole_numbers(axes.xaxis)
    bar = figure.colorbar(image, ax=axes, aspect=24, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=INK, labelsize=9, length=3)
    bar.ax.minorticks_off()
    if log:
        powers = np.arange(np.ceil(np.log10(norm.vmin)), np.floor(np.log10(norm.vmax)) + 1)
        ticks = (10.0 ** powers[:: -(-len(powers) // 7)]).tolist() if len(powers) else [top]
        bar.set_ticks(ticks, labels=[number(tick, ".3g") for tick in ticks])
    else:
        ticks = [0.0, 0.25, 0.5, 0.75, 1.0]
        bar.set_ticks(ticks, labels=[number(100 * tick, ".0f") for tick in ticks])
    return figure


def by_depth(found: Recording, values: NDArray[np.float64]) -> Figure:
    """Draw a figure layer by layer at the first record, in the middle and at the last.

    Parameters
    ----------
    found : Recording
    values : ndarray, shape (records, layers)

    Returns
    -------
    Figure
    """
    figure, axes = new_figure(4.9, 3.2)
    places = np.arange(1, len(found.layers) + 1)
    times = sorted({0, len(found.steps) // 2, len(found.steps) - 1})
    for time, colour, marker in zip(times, (3, 4, 5), "osD", strict=False):
        line = values[time]
        axes.plot(
            places,
            np.where(np.isfinite(line) & (line > 0), line, np.nan),
            color=PALETTE[colour],
            marker=marker,
            markersize=5,
            linewidth=1.8,
            label=_("step {step}").format(step=number(int(found.steps[time]), ",d")),
        )
    axes.set_xlabel(_("layer"))
    whole_numbers(axes.xaxis)
    log_axis(axes.yaxis)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return figure


def _edges(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where the cells of the records begin and end: half-way between them."""
    if len(steps) == 1:
        return np.array([steps[0] - 0.5, steps[0] + 0.5])
    middles = (steps[1:] + steps[:-1]) / 2
    first, last = 2 * steps[0] - middles[0], 2 * steps[-1] - middles[-1]
    return np.concatenate([[first], middles, [last]])
