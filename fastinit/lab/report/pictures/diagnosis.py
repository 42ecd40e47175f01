"""The picture of a diagnosis: what becomes of signal and gradient over the depth."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastinit.lab.observation import LayerFigures, Observation
from fastinit.lab.report.languages import _
from fastinit.lab.report.pictures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastinit.lab.diagnosis import Diagnosis

__all__ = ["by_depth", "learning"]

BEFORE, AFTER = style.PALETTE[3], style.PALETTE[5]
"""Red and green; the markers differ, too."""


def by_depth(found: Diagnosis) -> Figure:
    """Draw spread, gradient and idle units layer by layer, before and after the cure.

    Parameters
    ----------
    found : Diagnosis

    Returns
    -------
    matplotlib.figure.Figure
        Three axes beside each other.
    """
    figure, axes = style.new_figure(11.0, 3.3, ncols=3)
    views: tuple[tuple[str, Callable[[LayerFigures], float | None], bool], ...] = (
        (_("what tells examples apart"), lambda layer: layer.spread, True),
        (_("gradient at the layer's output"), _gradient, True),
        (_("idle units, %"), _idle, False),
    )
    for one, (title, figure_of, log) in zip(axes, views, strict=True):
        one.set_title(title, color=style.INK, fontsize=11)
        one.set_xlabel(_("layer"), color=style.INK, fontsize=10)
        drawn = _draw(one, found.before, figure_of, log, BEFORE, "o", _("as it stands"))
        if found.cure is not None:
            drawn |= _draw(one, found.cure.after, figure_of, log, AFTER, "s", found.cure.name)
        if not log:
            one.set_ylim(-3, 103)
        elif drawn:
            style.log_axis(one.yaxis)
        if not drawn:
            nothing = _("no layer has units that can be idle") if not log else _("nothing to draw")
            one.text(0.5, 0.5, nothing, ha="center", transform=one.transAxes, color=style.INK)
        one.set_xlim(0.5, len(found.before.layers) + 0.5)
        style.whole_numbers(one.xaxis)
    if found.cure is not None:
        legend = axes[0].legend(frameon=False, fontsize=9, labelcolor=style.INK)
        legend.set_zorder(5)
    return figure


def learning(found: Diagnosis) -> Figure | None:
    """Draw the loss of the first steps of training, before and after the cure.

    Parameters
    ----------
    found : Diagnosis

    Returns
    -------
    matplotlib.figure.Figure or None
        None where nothing was trained.
    """
    curves = [(found.losses, BEFORE, _("as it stands"))]
    if found.cure is not None:
        curves.append((found.cure.losses, AFTER, found.cure.name))
    curves = [(losses, colour, name) for losses, colour, name in curves if losses]
    if not curves:
        return None
    figure, axes = style.new_figure()
    for losses, colour, name in curves:
        known = [loss if math.isfinite(loss) and loss > 0 else math.nan for loss in losses]
        axes.plot(range(1, len(known) + 1), known, color=colour, linewidth=1.8, label=name)
    axes.set_xlabel(_("step"), color=style.INK, fontsize=10)
    axes.set_ylabel(_("loss"), color=style.INK, fontsize=10)
    style.log_axis(axes.yaxis)
    axes.legend(frameon=False, fontsize=9, labelcolor=style.INK)
    return figure


def _draw(
    axes: Any,
    seen: Observation,
    figure_of: Callable[[LayerFigures], float | None],
    log: bool,
    colour: str,
    marker: str,
    name: str,
) -> bool:
    """Draw one line; say whether there was anything to draw."""
    points = [
        (place, value)
        for place, layer in enumerate(seen.layers, 1)
        if (value := figure_of(layer)) is not None
        and math.isfinite(value)
        and (value > 0 or not log)
    ]
    if not points:
        return False
    # Lines that lie on each other, before and after, both show.
    wide = 3.0 if marker == "o" else 1.6
    axes.plot(
        *zip(*points, strict=True),
        color=colour,
        linewidth=wide,
        alpha=0.9,
        marker=marker,
        markersize=5,
        markevery=max(1, len(points) // 9),
        label=name,
    )
    return True


def _gradient(layer: LayerFigures) -> float | None:
    """Return the norm of an example's gradient, which rules by fan_in keep."""
    return None if layer.gradient is None else layer.gradient * math.sqrt(layer.features or 1)


def _idle(layer: LayerFigures) -> float | None:
    share = layer.dead if layer.dead is not None else layer.saturated
    return None if share is None else 100 * share
