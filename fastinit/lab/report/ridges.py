"""Histograms layer by layer, as the reports show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastinit.lab.report.document import Picture
from fastinit.lab.report.languages import _

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ridges_picture"]


def ridges_picture(title: str, text: str, figure: Figure, description: str = "") -> Picture:
    """Return the picture of histograms, with what holds of all of them.

    Parameters
    ----------
    title, text, description : str
        As of `Picture`; there is a description for all that have none.
    figure : Figure
        Of :mod:`fastinit.lab.report.pictures.histograms`.

    Returns
    -------
    Picture
    """
    heights = _(
        "Heights are square roots of the counts, each ridge over its own highest bin, so that "
        "small shares can be seen."
    )
    return Picture(
        title,
        f"{text} {heights}",
        description or _("{title}: a ridge a layer.").format(title=title),
        lambda: figure,
    )
