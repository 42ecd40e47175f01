"""Propagation and phase diagrams on a terminal."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

import numpy as np

from fastinit.lab.report.languages import _, number

if TYPE_CHECKING:
    from fastinit.lab.propagation import PhaseDiagram, Propagation

__all__ = ["describe", "phase_table", "propagation_table", "short"]

ROWS = 12  # of a table, at most
COLUMNS = 5  # of a map


def propagation_table(found: Propagation, width: int = 80) -> str:
    """Return theory beside practice for some of the layers, and the verdict.

    Parameters
    ----------
    found : Propagation
    width : int, default 80

    Returns
    -------
    str
    """
    names = (_("variance"), _("correlation"), _("gradient"))
    lines = [
        " " * 6 + "".join(name.center(24) for name in names).rstrip(),
        _("layer").rjust(6) + "".join(_cell(_("theory"), _("measured"), "±") for _name in names),
    ]
    for layer in _some(found.depth, ROWS):
        line = str(layer + 1).rjust(6)
        for name, form in (("variance", short), ("unlikeness", _correlation), ("gradient", short)):
            mean, low, high = (float(values[layer]) for values in found.measured[name])
            theory = float(getattr(found.theory, name)[layer])
            line += _cell(form(theory), form(mean), _rough(0.5 * (high - low)))
        lines.append(line)
    legend = _(
        "variance: of the pre-activations; correlation: of two inputs; gradient: its size over "
        "that in the last layer. ±: half of the range of the measured networks."
    )
    return _text(describe(found), lines, (found.verdict, legend), width)


def phase_table(found: PhaseDiagram, width: int = 80) -> str:
    """Return correlations in the last layer for some of the grid, predicted and measured.

    Parameters
    ----------
    found : PhaseDiagram
    width : int, default 80

    Returns
    -------
    str
    """
    columns = _some(len(found.sigma_w), COLUMNS)
    lines = [
        _("sigma_w").rjust(8)
        + "".join(number(found.sigma_w[column], ".3g").rjust(14) for column in columns),
        _("sigma_b").rjust(8),
    ]
    for row in _some(len(found.sigma_b), ROWS // 2):
        line = number(found.sigma_b[row], ".3g").rjust(8)
        for column in columns:
            text = _two(found.theory.correlation[-1, row, column])
            if found.correlation is not None:
                text += " | " + _two(found.correlation[row, column])
            line += text.rjust(14)
        lines.append(line)
    legend = _("correlation of two inputs after {depth} layers: theory").format(depth=found.depth)
    if found.networks:
        legend += " | " + _("measured")
    return _text(describe(found), lines, (found.verdict, legend), width)


def describe(found: Propagation | PhaseDiagram) -> str:
    """Return in one sentence what was predicted and measured.

    Parameters
    ----------
    found : Propagation or PhaseDiagram

    Returns
    -------
    str
    """
    size = _("{activation}, {depth} layers of {width} units; networks measured: {networks}").format(
        activation=found.activation, depth=found.depth, width=found.width, networks=found.networks
    )
    if not isinstance(found.sigma_w, float):
        return size
    scales = f"sigma_w {number(found.sigma_w, '.4g')}, sigma_b {number(found.sigma_b, '.4g')}"
    initializer = getattr(found, "initializer", None)
    return f"{size}; {initializer + ': ' if initializer else ''}{scales}"


def short(value: float) -> str:
    """Return a figure in at most eight characters; "-" for NaN.

    Parameters
    ----------
    value : float

    Returns
    -------
    str

    Examples
    --------
    >>> from fastinit.lab.propagation_tables import short
    >>> [short(value) for value in (0.0, 0.8133, -0.0216, 3.1e-9, 707.4, 7.07e10, float("nan"))]
    ['0', '0.813', '-0.0216', '3.1e-09', '707', '7.1e+10', '-']
    """
    if math.isnan(value):
        return "-"
    size = abs(value)
    if size != 0.0 and not math.isinf(size) and not 1e-3 <= size < 9999.5:
        return number(value, ".1e")
    return number(value, ".3g" if size < 999.5 or math.isinf(size) else ".0f")


def _rough(value: float) -> str:
    """Return a spread, of which one digit is enough."""
    return "-" if math.isnan(value) else number(value, ".1g" if value < 9.5 else ".0f")


def _correlation(unlikeness: float) -> str:
    """Return a correlation, written so that it keeps a digit where it is nearly 1."""
    if unlikeness < 5e-4:
        return f"1-{number(unlikeness, '.0e')}" if unlikeness > 1e-15 else number(1.0)
    return "-" if math.isnan(unlikeness) else number(round(1.0 - unlikeness, 3) + 0.0, ".3f")


def _two(correlation: float) -> str:
    return "-" if math.isnan(correlation) else number(round(float(correlation), 2) + 0.0, ".2f")


def _cell(theory: str, measured: str, spread: str) -> str:
    return theory.rjust(8) + measured.rjust(9) + spread.rjust(7)


def _some(count: int, most: int) -> list[int]:
    """Return indices from first to last, evenly spaced, at most so many."""
    places = np.linspace(0, count - 1, min(count, most))
    return sorted({round(place) for place in places.tolist()})


def _text(title: str, lines: list[str], below: tuple[str, ...], width: int) -> str:
    title, *rest = (textwrap.fill(part, width) for part in (title, *below))
    return "\n\n".join((title, "\n".join(lines), *rest)) + "\n"
