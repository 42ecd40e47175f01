"""The report on a diagnosis."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastinit.errors import FastinitError
from fastinit.lab import symptoms
from fastinit.lab.report.document import (
    Cell,
    Code,
    Document,
    Part,
    Picture,
    Pictures,
    Row,
    Section,
    Table,
    Terms,
)
from fastinit.lab.report.languages import N_, _, number
from fastinit.lab.report.phases import phase_picture
from fastinit.lab.report.ridges import ridges_picture

if TYPE_CHECKING:
    from fastinit.lab.diagnosis import Diagnosis
    from fastinit.lab.observation import Observation

__all__ = ["document"]

VERDICTS = (
    N_("not finite"),
    N_("symmetric"),
    N_("copied"),
    N_("dead"),
    N_("saturated"),
    N_("exploding"),
    N_("chaotic"),
    N_("vanishing"),
    N_("collapsed"),
    N_("mis-scaled"),
    N_("unstable"),
    N_("frozen"),
)
"""The names of :data:`fastinit.lab.symptoms.RULES`, for the catalogues."""

BEFORE, AFTER = 3, 5
"""Places in the palette: red and green, as in the lines by depth."""

SENTENCES = 3
"""So many findings stand at the top; all of them further down."""


def document(found: Diagnosis, command: str) -> Document:
    """Return the report on a diagnosis.

    Parameters
    ----------
    found : Diagnosis
    command : str
        What repeats it.

    Returns
    -------
    Document
    """
    findings = found.sentences[: len(found.findings)] if found.findings else found.sentences
    answer = [*findings[:SENTENCES], *([found.advice] if found.advice else [])]
    parts = [_layers(found), _tried(found), _words(), _rules()]
    return Document(
        kind="fastinit diagnose",
        title=_("Diagnosis of {model}").format(model=found.model),
        answer=answer,
        tone="good" if found.healthy else "fair" if found.cured else "bad",
        run=found.description,
        command=command
        or f"fastinit.lab.diagnose(model, x, y, learning_rate={found.learning_rate:g}, "
        f"steps={found.steps}, trial_rate={found.trial_rate:g}, seed={found.seed})",
        sections=[section for section in parts if section is not None],
    )


def _layers(found: Diagnosis) -> Section:
    from fastinit.lab.report.pictures import diagnosis as pictures

    cured = found.cure is not None
    verdict = ", ".join(_(name) for name in found.verdict.split(", "))
    parts: list[Part] = [
        Pictures(
            [
                Picture(
                    _("Layer by layer"),
                    _(
                        "From the first layer to the last: how much of what tells examples apart "
                        "is left in the layer's output, how large the loss's gradient is there, "
                        "and how many units are idle. Level lines pass signal and gradient on; "
                        "lines that fall or rise over many powers of ten do not."
                    ),
                    _(
                        "Lines of spread, gradient and idle units by layer; the verdict is: "
                        "{verdict}."
                    ).format(verdict=verdict),
                    lambda: pictures.by_depth(found),
                    wide=True,
                )
            ]
        )
    ]

    def pair(name: str) -> list[str]:
        after = _("{figure}, after").format(figure=name)
        return [name, after] if cured else [name]

    headings = [
        _("layer"),
        _("activation"),
        _("std over its rule"),
        *pair(_("spread")),
        *pair(_("gradient")),
        *pair(_("idle units, %")),
        _("correlation"),
        _("rank"),
        _("step"),
    ]
    rows: list[Row] = [[Cell(name, code=True), *cells] for name, *cells in found.rows()]
    parts.append(Table(headings, rows))
    beside = list(_beside(found))
    if beside:
        parts.append(Pictures(beside))
    if len(found.findings) > SENTENCES:
        parts += found.sentences[SENTENCES : len(found.findings)]
    return Section(_("Signal and gradient by depth"), parts)


def _beside(found: Diagnosis) -> Iterator[Picture]:
    from fastinit.lab.report.pictures import diagnosis as pictures

    figure = pictures.learning(found)
    if figure is not None:
        yield Picture(
            _("Does it learn?"),
            _(
                "Loss in the first {steps} steps of training with Adam, as it stands and with the "
                "cure."
            ).format(steps=found.steps),
            _("Lines of the loss by step; as it stands it ends at {loss}.").format(
                loss=number(found.losses[-1], ".3g") if found.losses else "-"
            ),
            lambda: figure,
        )
    yield from _histograms(found)
    activation = _activation(found.before)
    if activation is not None:
        names = {_("as it stands"): found.before}
        if found.cure is not None:
            names[found.cure.name] = found.cure.after
        order = dict(zip(names, (BEFORE, AFTER), strict=False))
        scales = {name: _scale(seen) for name, seen in names.items()}
        try:
            yield phase_picture(activation, order, scales)
        except FastinitError:  # theory does not know the activation
            return


def _histograms(found: Diagnosis) -> Iterator[Picture]:
    from fastinit.lab.report.pictures import histograms

    views = (
        (
            "histogram",
            _("Histograms of the outputs"),
            _(
                "What each layer puts out, the first at the top. Ridges that narrow to a spike "
                "lose the signal, those that widen without end blow it up, and heaps at both ends "
                "are saturated units. Mind the scales: each panel has its own."
            ),
        ),
        (
            "weight_histogram",
            _("Histograms of the weights"),
            _("What each layer's kernel holds. A lone spike is a constant."),
        ),
    )
    for name, title, text in views:
        figure = histograms.with_cure(found, name)
        if figure is not None:
            yield ridges_picture(title, text, figure)


def _activation(seen: Observation) -> str | None:
    """Return the activation that most layers have, if theory is about such networks."""
    if any("Norm" in layer.kind or layer.kind == "Add" or layer.steps for layer in seen.layers):
        return None
    names = Counter(layer.activation for layer in seen.layers if layer.weight_std is not None)
    names.pop(None, None)
    names.pop("linear", None)
    return names.most_common(1)[0][0] if len(names) == 1 else None


def _scale(seen: Observation) -> float | None:
    """Return the median sigma_w of the layers."""
    scales = sorted(
        layer.weight_std * math.sqrt(layer.fan_in)
        for layer in seen.layers
        if layer.weight_std is not None and layer.fan_in is not None
    )
    return scales[len(scales) // 2] or None if scales else None


def _tried(found: Diagnosis) -> Section | None:
    """Return what was tried as a cure, the best first."""
    if not found.tried:
        return None
    rows: list[Row] = [
        [
            Cell(cure.name, code=True),
            _(cure.what),
            number(cure.losses[-1], ".3g") if cure.losses else "-",
            Cell(
                ", ".join(_(name) for name in cure.verdict.split(", ")),
                "bad" if cure.findings else "good",
            ),
        ]
        for cure in found.tried
    ]
    headings = [_("initializer"), _("what it does"), _("loss after training"), _("verdict")]
    parts: list[Part] = [Table(headings, rows)]
    if found.cure is not None:
        drawn = "\n".join(f"{name}: {rule}" for name, rule in found.cure.initializers.items())
        parts += [_("The cure, by the names of parameters:"), Code(drawn)]
    return Section(_("What was tried"), parts)


def _words() -> Section:
    items = [
        (
            _("std over its rule"),
            _(
                "Standard deviation of the layer's weights, over what its fan and activation call "
                "for; 1 is right."
            ),
        ),
        (
            _("spread"),
            _(
                "How much the outputs differ between examples: standard deviation over the "
                "examples, root mean square over the units."
            ),
        ),
        (
            _("gradient"),
            _("Size of the loss's gradient by the layer's output, for one example."),
        ),
        (
            _("idle units, %"),
            _("Units that are dead, 0 on every example, or saturated, at a bound on most."),
        ),
        (
            _("correlation"),
            _("Mean correlation between the outputs of two examples: 1 answers all alike."),
        ),
        (_("rank"), _("How many directions the outputs of all examples spread over.")),
        (_("step"), _("One step of gradient descent, over the size of the weights.")),
    ]
    return Section(_("How to read this"), [Terms(items)])


def _rules() -> Section:
    opening = _("Each rule looks at all layers; a network that none of them blames is healthy.")
    items = [
        (Cell(_(rule.name), "bad"), f"{_filled(rule.when, rule)} {_filled(rule.means, rule)}")
        for rule in symptoms.RULES
    ]
    return Section(_("The rules behind the verdicts"), [opening, Terms(items)])


def _filled(text: str, rule: symptoms.Rule) -> str:
    return _(text).format(**{name: number(value) for name, value in rule.limits.items()})
