"""Where initializers lie on the phase diagram, by theory alone."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fastinit.errors import ArgumentError
from fastinit.lab.report.languages import _
from fastinit.lab.report.pictures.style import INK, PALETTE, line_style, log_axis, new_figure
from fastinit.meanfield import edge_of_chaos

__all__ = ["SCALES", "edge", "places"]

SCALES = 0.05, 20.0
"""The sigma_w that the phase diagram shows."""


def edge(activation: str) -> NDArray[np.float64]:
    """Return the edge of chaos inside of the picture.

    Parameters
    ----------
    activation : str

    Returns
    -------
    ndarray of shape (points, 2)
        sigma_w and sigma_b, the latter not falling; no points where there is no edge.
    """
    found = []
    for variance in np.geomspace(1e-4, 1e2, 61).tolist():
        try:
            found.append(edge_of_chaos(activation, variance))
        except ArgumentError:  # none at this variance, or a function that theory does not cover
            continue
    points = np.array(sorted(found, key=lambda point: point[1])).reshape(-1, 2)
    points = points[points[:, 1] <= 1.0]
    if len(points) and points[-1, 1] < 1e-6:  # relu: the same scale whatever the biases
        points = np.array([points[-1], [points[-1, 0], 1.0]])
    return points


def places(
    points: NDArray[np.float64], order: Mapping[str, int], scales: Mapping[str, float]
) -> Figure:
    """Draw the edge of chaos, and where initializers lie whose biases are 0.

    Parameters
    ----------
    points : ndarray
        Of `edge`.
    order : mapping
        Initializer -> its place in the comparison, which decides colour and marker.
    scales : mapping
        Initializer -> sigma_w; those outside of the picture are drawn at its border.

    Returns
    -------
    Figure
    """
    low, high = SCALES
    figure, axes = new_figure(4.9, 3.2)
    text = {"color": INK, "fontsize": 10, "ha": "center", "alpha": 0.8}
    middle = high
    if len(points):
        weights, biases = points.T
        axes.fill_betweenx(biases, low, weights, color=PALETTE[2], alpha=0.13, linewidth=0)
        axes.fill_betweenx(biases, weights, high, color=PALETTE[3], alpha=0.1, linewidth=0)
        axes.plot(weights, biases, color=INK, linewidth=1.6)
        middle = float(weights.mean())
        axes.text(math.sqrt(high * middle), 0.8, _("chaotic"), **text)
    axes.text(math.sqrt(low * middle), 0.8, _("ordered"), **text)
    for name, scale in scales.items():
        style = line_style(order[name], 1)
        axes.plot(
            min(max(scale, low), high),
            0.0,
            color=style["color"],
            marker=style["marker"],
            markersize=8,
            clip_on=False,
            zorder=5,
        )
    axes.set_xlim(low, high)
    axes.set_ylim(0.0, 1.0)
    axes.set_xlabel(_("weights: sigma_w"))
    axes.set_ylabel(_("biases: sigma_b"))
    log_axis(axes.xaxis)
    return figure
