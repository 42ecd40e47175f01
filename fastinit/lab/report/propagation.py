"""The reports on signal propagation: one network in depth, and the phase diagram."""

from __future__ import annotations

import numpy as np

from fastinit.lab.propagation import PhaseDiagram, Propagation
from fastinit.lab.propagation_tables import describe, short
from fastinit.lab.report.document import (
    Cell,
    Document,
    Part,
    Picture,
    Pictures,
    Row,
    Section,
    Table,
    Terms,
)
from fastinit.lab.report.languages import _, number

__all__ = ["document"]

ROWS = 16


def document(found: Propagation | PhaseDiagram, command: str) -> Document:
    """Return the report on a propagation or a phase diagram.

    Parameters
    ----------
    found : Propagation or PhaseDiagram
    command : str
        What repeats it.

    Returns
    -------
    Document
    """
    if isinstance(found, Propagation):
        title, sections = _("What depth does to a signal"), [_by_layer(found)]
        tone = "good" if found.phase == "critical" else "fair"
        call = (
            f"fastinit.lab.propagate({found.activation!r}, {found.sigma_w:g}, {found.sigma_b:g}, "
            f"depth={found.depth}, width={found.width}, networks={found.networks})"
        )
    else:
        title, sections, tone = _("Order and chaos"), [_map(found)], ""
        call = (
            f"fastinit.lab.phase_diagram({found.activation!r}, "
            f"({found.sigma_w[0]:g}, {found.sigma_w[-1]:g}), "
            f"({found.sigma_b[0]:g}, {found.sigma_b[-1]:g}), points={len(found.sigma_w)}, "
            f"depth={found.depth}, width={found.width}, networks={found.networks})"
        )
    answer = found.verdict
    return Document(
        kind="fastinit propagate",
        title=title,
        answer=[answer[:1].upper() + answer[1:] + "."],
        tone=tone,
        run=describe(found),
        command=command or call,
        sections=[*sections, _words()],
    )


def _by_layer(found: Propagation) -> Section:
    from fastinit.lab.report.pictures.propagation import layers

    places = np.unique(np.linspace(0, found.depth - 1, min(ROWS, found.depth)).round().astype(int))
    names = ("variance", "correlation", "gradient")
    rows = [
        [
            str(place + 1),
            *(
                short(float(values[place]))
                for name in names
                for values in (getattr(found.theory, name), found.measured[name].mean)
            ),
        ]
        for place in places
    ]
    headings, sources = [_("layer")], (_("theory"), _("measured"))
    for name in (_("variance"), _("correlation"), _("gradient")):
        headings += [f"{name}: {source}" for source in sources]
    picture = Picture(
        _("Layer by layer"),
        _(
            "Lines are the theory of infinitely wide networks, bands what networks of this width "
            "did, from the least to the greatest. Level lines mean that signals and gradients keep "
            "their size, and two inputs their likeness."
        ),
        _("Lines of variance, correlation and gradient over {depth} layers.").format(
            depth=found.depth
        ),
        lambda: layers(found),
    )
    return Section(_("Theory beside practice"), [Pictures([picture]), Table(headings, rows)])


def _map(found: PhaseDiagram) -> Section:
    from fastinit.lab.report.pictures.propagation import phases

    picture = Picture(
        _("The phase diagram"),
        _(
            "Each point is a network with these scales of weights and biases; the colour says how "
            "unlike two inputs are after the last layer, and below how gradients change on their "
            "way back. In the ordered phase all inputs end alike and gradients shrink; in the "
            "chaotic phase the smallest difference grows, and gradients with it. Networks on the "
            "line between them can be trained deepest. A star marks a network that was asked for."
        ),
        _("Heat maps by sigma_w and sigma_b with the edge of chaos. {verdict}").format(
            verdict=found.verdict
        ),
        lambda: phases(found),
    )
    known = np.flatnonzero(np.isfinite(found.edge))
    some = known[np.unique(np.linspace(0, len(known) - 1, min(ROWS, len(known))).astype(int))]
    rows = [[number(found.sigma_b[i], ".3g"), number(found.edge[i], ".4f")] for i in some]
    parts: list[Part] = [Pictures([picture])]
    if rows:
        headings = [_("biases: sigma_b"), _("sigma_w at the edge of chaos")]
        parts.append(Table(headings, rows, grid=True))
    if found.places:
        headings = [_("network"), "sigma_w", "sigma_b"]
        marked: list[Row] = [
            [Cell(p.label or "-", code=True), number(p.sigma_w, ".4g"), number(p.sigma_b, ".4g")]
            for p in found.places
        ]
        parts.append(Table(headings, marked))
    return Section(_("Where networks are ordered, and where chaotic"), parts)


def _words() -> Section:
    items = [
        (
            "sigma_w, sigma_b",
            _(
                "The weights' standard deviation times the square root of fan_in, and the biases' "
                "standard deviation."
            ),
        ),
        (_("variance"), _("Of a layer's pre-activations: what its activation is applied to.")),
        (
            _("correlation"),
            _("Between two inputs' pre-activations: 1 when they can no longer be told apart."),
        ),
        (
            _("gradient"),
            _("Size of the gradient in a layer's pre-activations, over that in the last layer's."),
        ),
        (
            _("depth scale"),
            _("So many layers it takes the correlation to get nearer to its end by the factor e."),
        ),
    ]
    return Section(_("How to read this"), [Terms(items)])
