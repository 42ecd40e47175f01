"""The picture of where networks lie on the phase diagram, for reports on other things."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastinit.lab.report.document import Picture, quoted
from fastinit.lab.report.languages import _, number

__all__ = ["absent_sentence", "phase_picture"]


def phase_picture(
    activation: str, order: Mapping[str, int], scales: Mapping[str, float | None]
) -> Picture:
    """Return the phase diagram of an activation with networks on it whose biases are 0.

    Parameters
    ----------
    activation : str
    order : mapping
        Name -> its place among what is compared, which decides colour and marker.
    scales : mapping
        Name -> sigma_w, None where theory does not cover the weights.

    Returns
    -------
    Picture
    """
    from fastinit.lab.report.pictures import phases

    edge = phases.edge(activation)
    known = {name: scale for name, scale in scales.items() if scale is not None}
    sides = (
        _(
            "Left of the line, in the ordered phase, differences between inputs and gradients "
            "shrink from layer to layer; right of it, in the chaotic phase, they grow. Signals "
            "reach deepest near the line."
        )
        if len(edge)
        else _(
            "All of it is ordered: whatever the weights, differences between inputs shrink from "
            "layer to layer."
        )
    )
    return Picture(
        _("Where theory puts them"),
        _(
            "The phase diagram of very wide networks with this activation: sigma_w is the "
            "weights' standard deviation times the square root of fan_in, sigma_b the biases'."
        )
        + f" {sides} "
        + _("All biases start at 0 here.")
        + absent_sentence([name for name, scale in scales.items() if scale is None]),
        _(
            "Phase diagram of {activation} networks with the edge between order and chaos, and "
            "{places} on it."
        ).format(
            activation=activation,
            places=", ".join(f"{n} (sigma_w {number(s, '.3g')})" for n, s in known.items()),
        ),
        lambda: phases.places(edge, order, known),
    )


def absent_sentence(names: Sequence[str]) -> str:
    """Return a space and which names are not drawn; nothing if all are.

    Parameters
    ----------
    names : sequence of str

    Returns
    -------
    str
    """
    if not names:
        return ""
    return " " + _("Not drawn, since it has no place on these axes: {names}.").format(
        names=", ".join(quoted(name) for name in names)
    )
