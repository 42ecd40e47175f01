"""Pictures of propagation: layer by layer, and phase diagrams; theory beside practice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from fastinit.lab.report.languages import _
from fastinit.lab.report.pictures.style import INK, PALETTE, log_axis, new_figure, whole_numbers

if TYPE_CHECKING:
    from fastinit.lab.propagation import PhaseDiagram, Place, Propagation

__all__ = ["layers", "phases"]

THEORY, PRACTICE = INK, PALETTE[2]

SMALLEST = 1e-12
"""What is drawn of 1 less a correlation: below, float64 has no digits of it."""

FAINTEST, GREATEST = 1e-100, 1e100
"""What is drawn of the others: beyond, axes have no room."""

# Their middles and ends are readable under white letters with a dark rim, on any page.
UNLIKE = LinearSegmentedColormap.from_list(
    "unlike", ["#f2d16b", "#a9c46c", "#46a39a", "#2f6f9f", "#2b3a67"]
)
CHANGE = LinearSegmentedColormap.from_list(
    "change", ["#24457a", "#4a8fc0", "#e9e4d8", "#dd7f5b", "#94283a"]
)
MARK = "#e0524f"


def layers(found: Propagation) -> Figure:
    """Draw variance, 1 less the correlation and gradients by layer: theory over what is measured.

    Parameters
    ----------
    found : Propagation

    Returns
    -------
    Figure
    """
    figure, panels = new_figure(5.4, 6.6, nrows=3, sharex=True)
    x = np.arange(1, found.depth + 1)
    titles = (
        ("variance", _("variance of the pre-activations")),
        ("unlikeness", _("1 - correlation of two inputs")),
        ("gradient", _("gradient size, over the last layer's")),
    )
    for axes, (name, title) in zip(panels, titles, strict=True):
        floor = SMALLEST if name == "unlikeness" else FAINTEST
        mean, low, high, theory = (
            _positive(values, floor)
            for values in (*found.measured[name], getattr(found.theory, name))
        )
        axes.fill_between(x, low, high, color=PRACTICE, alpha=0.25, linewidth=0)
        axes.plot(x, mean, color=PRACTICE, linewidth=1.8, label=_("measured: mean and range"))
        axes.plot(x, theory, color=THEORY, linewidth=1.4, linestyle=(0, (4, 3)), label=_("theory"))
        axes.set_title(title, loc="left", fontsize=10, color=INK)
        if np.isfinite(np.concatenate((mean, theory))).any():
            _level(axes, (low, high, theory))
    panels[0].legend(
        fontsize=9, frameon=False, labelcolor=INK, ncols=2, loc="best", borderaxespad=0.2
    )
    panels[-1].set_xlabel(_("layer"))
    whole_numbers(panels[-1].xaxis)
    panels[-1].set_xlim(1, max(found.depth, 2))
    return figure


def phases(found: PhaseDiagram) -> Figure:
    """Draw how unlike two inputs are after the last layer, predicted and measured, and the edge.

    Below them, likewise, how gradients change from the last layer to the first.

    Parameters
    ----------
    found : PhaseDiagram

    Returns
    -------
    Figure
    """
    measured = found.correlation is not None
    figure, panels = new_figure(
        5.4, 5.6, nrows=2, ncols=1 + measured, sharex=True, sharey=True, squeeze=False
    )
    unlike = None if found.correlation is None else 1.0 - found.correlation
    rows = (
        (
            _("1 - correlation after {depth} layers").format(depth=found.depth),
            (found.theory.unlikeness[-1], unlike),
            (-6, -3, 0),
            UNLIKE,
        ),
        (
            _("gradient, first layer over last"),
            (found.theory.gradient[0], found.gradient),
            (-6, -3, 0, 3, 6),
            CHANGE,
        ),
    )
    for row, (title, grids, powers, colours) in zip(panels, rows, strict=True):
        norm = LogNorm(10.0 ** powers[0], 10.0 ** powers[-1])
        for axes, values in zip(row, grids, strict=False):
            image = _heat(axes, found, values, norm, colours)
            _edge(axes, found)
        _bar(figure, image, row, title, powers)
    panels[0, 0].set_title(_("theory"), loc="left", fontsize=10, color=INK)
    if measured:
        panels[0, 1].set_title(_("measured"), loc="left", fontsize=10, color=INK)
    for axes in panels[:, 0]:
        axes.set_ylabel("$\\sigma_b$")
    for axes in panels[-1]:
        axes.set_xlabel("$\\sigma_w$")
    _name_phases(panels[0, 0], found)
    for i, mark in enumerate(sorted(found.places)):
        for axes in panels.flat:
            _place(axes, found, mark, i % 3)
    return figure


def _positive(values: Any, floor: float) -> Any:
    """Return what a logarithmic axis can show, NaN elsewhere."""
    values = np.array(values, np.float64)
    values[~((values >= floor) & (values <= GREATEST))] = np.nan
    return values


def _level(axes: Any, curves: tuple[Any, ...]) -> None:
    """Make an axis logarithmic, and not so fine that a level curve looks rugged."""
    values = np.concatenate(curves)
    low, high = np.nanmin(values), np.nanmax(values)
    middle = np.sqrt(low) * np.sqrt(high)
    axes.set_ylim(min(low / 1.15, middle / 2.0), max(high * 1.15, middle * 2.0))
    log_axis(axes.yaxis)


def _heat(axes: Any, found: PhaseDiagram, values: Any, norm: Any, colours: Any) -> Any:
    axes.grid(visible=False)
    axes.set_facecolor("none")
    shown = np.clip(np.where(np.isnan(values), norm.vmin, values), norm.vmin, norm.vmax)
    return axes.pcolormesh(
        found.sigma_w, found.sigma_b, shown, norm=norm, cmap=colours, shading="gouraud",
        rasterized=True,
    )  # fmt: skip


def _edge(axes: Any, found: PhaseDiagram) -> None:
    axes.plot(
        found.edge, found.sigma_b, color="white", linewidth=1.8,
        path_effects=[withStroke(linewidth=3.2, foreground="#00000088")],
    )  # fmt: skip


def _bar(figure: Figure, image: Any, row: Any, title: str, powers: tuple[int, ...]) -> None:
    bar = figure.colorbar(image, ax=list(row), aspect=18, pad=0.02, fraction=0.06)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=INK, labelsize=9, length=3)
    bar.set_label(title, color=INK, fontsize=10)
    bar.set_ticks([10.0**power for power in powers], labels=[_power(p) for p in powers])
    bar.ax.minorticks_off()


def _power(power: int) -> str:
    return f"$10^{{{power}}}$" if power else "1"


def _name_phases(axes: Any, found: PhaseDiagram) -> None:
    """Write the phases where they are, in the upper half: the biases of most networks are 0."""
    grid_w, grid_b = np.meshgrid(found.sigma_w, found.sigma_b)
    upper = grid_b >= 0.5 * (found.sigma_b[0] + found.sigma_b[-1])
    chaotic = found.theory.final_chi > 1.0
    for name, phase in ((_("ordered"), ~chaotic), (_("chaotic"), chaotic)):
        inside = phase & upper
        if inside.sum() > 0.12 * upper.sum():
            _write(axes, float(grid_w[inside].mean()), float(grid_b[inside].mean()), name)


def _place(axes: Any, found: PhaseDiagram, mark: Place, step: int) -> None:
    """Mark a network; labels stand at several heights, so that neighbours' do not meet."""
    x = float(np.clip(mark.sigma_w, found.sigma_w[0], found.sigma_w[-1]))
    y = float(np.clip(mark.sigma_b, found.sigma_b[0], found.sigma_b[-1]))
    axes.plot(
        x, y, marker="*", markersize=13, color=MARK, markeredgecolor="white", clip_on=False,
        zorder=5,
    )  # fmt: skip
    right = x > 0.5 * (found.sigma_w[0] + found.sigma_w[-1])
    above = y > 0.7 * found.sigma_b[-1] + 0.3 * found.sigma_b[0]
    rise = 8 + 13 * step
    axes.annotate(
        mark.label, (x, y), (-6 if right else 6, -rise - 2 if above else rise),
        textcoords="offset points", ha="right" if right else "left", color="white", fontsize=9,
        arrowprops={
            "arrowstyle": "-", "color": "white", "linewidth": 0.8, "shrinkA": 0, "shrinkB": 4,
            "relpos": (1.0 if right else 0.0, 1.0 if above else 0.0),
        },
        path_effects=[withStroke(linewidth=2.4, foreground="#000000aa")], zorder=4,
    )  # fmt: skip


def _write(axes: Any, x: float, y: float, text: str) -> None:
    axes.text(
        x, y, text, color="white", fontsize=10, ha="center", va="center",
        path_effects=[withStroke(linewidth=2.4, foreground="#000000aa")],
    )  # fmt: skip
