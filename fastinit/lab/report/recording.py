"""The report on a recorded training."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastinit.lab import symptoms
from fastinit.lab.observation import LayerFigures, Observation
from fastinit.lab.report.document import (
    Cell,
    Document,
    Picture,
    Pictures,
    Row,
    Section,
    Table,
    Terms,
)
from fastinit.lab.report.languages import _, listing, number
from fastinit.lab.report.ridges import ridges_picture

if TYPE_CHECKING:
    from fastinit.lab.recording import Recording

__all__ = ["document"]

TYPES = {field.name: str(field.type) for field in dataclasses.fields(LayerFigures)}

WHOLE = {name for name, kind in TYPES.items() if kind.startswith("int")}
"""Figures that are whole numbers."""

ALWAYS = {name for name, kind in TYPES.items() if kind == "float"}
"""Figures that every layer has."""

KERNEL = {"weight_std", "weight_gradient"}
"""Those that a layer with a kernel has."""


def document(found: Recording, command: str) -> Document:
    """Return the report on a recording.

    Parameters
    ----------
    found : Recording
    command : str
        What made it; by default the command that it has kept.

    Returns
    -------
    Document
    """
    count = len(found.steps)
    run = _(
        "{model} ({framework}): {layers} layers, {records} records from step {first} to {last}, "
        "{examples} examples a look."
    ).format(
        model=found.model,
        framework=found.framework,
        layers=len(found.layers),
        records=count,
        first=number(int(found.steps[0]), ",d") if count else "-",
        last=number(int(found.steps[-1]), ",d") if count else "-",
        examples=found.examples,
    )
    title = _("How {model} trained").format(model=found.model)
    if not count:
        answer = [_("The recording holds no record yet.")]
        return Document("fastinit report", title, answer, run, command or found.command, [])
    first, last = (symptoms.findings(_observation(found, place)) for place in (0, -1))
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    return Document(
        kind="fastinit report",
        title=title,
        answer=_answer(found, first, last),
        tone="good" if not last else "bad",
        run=f"{run} {versions}",
        command=command or found.command,
        sections=[_over_time(found), _by_layer(found), _words()],
    )


def _answer(
    found: Recording, first: tuple[symptoms.Finding, ...], last: tuple[symptoms.Finding, ...]
) -> list[str]:
    """Return what the rules say of the first and of the last record, and what the loss did."""

    def names(findings: tuple[symptoms.Finding, ...]) -> str:
        return listing([_(name) for name in symptoms.verdict(findings).split(", ")])

    answer = [
        _("The verdict at step {first}: {before}; at step {last}: {after}.").format(
            first=number(int(found.steps[0]), ",d"),
            before=names(first),
            last=number(int(found.steps[-1]), ",d"),
            after=names(last),
        )
    ]
    for losses in (found.probe_losses, found.losses):
        known = losses[~np.isnan(losses)]
        if len(known) > 1:
            answer.append(
                _("The loss went from {start} to {end}.").format(
                    start=number(known[0], ".4g"), end=number(known[-1], ".4g")
                )
            )
            break
    blamed = last or first
    place = len(found.steps) - 1 if last else 0
    answer += [
        _("Step {step}: {evidence}.").format(
            step=number(int(found.steps[place]), ",d"), evidence=one.evidence
        )
        for one in blamed[:2]
    ]
    return answer


def _observation(found: Recording, place: int) -> Observation:
    """Return one record as a look at the network, for the rules."""
    from fastinit.lab.recording import FIGURES

    layers = []
    for index, fixed in enumerate(found.described):
        figures = {name: float(found.values(name)[place, index]) for name in FIGURES}
        # In a recording NaN stands for what a layer does not have, too.
        broken = math.isnan(figures["spread"])
        kept = ALWAYS | (KERNEL if fixed["fan_in"] is not None else set())
        layers.append(
            LayerFigures(
                **fixed,
                **{
                    name: _plain(name, value, keep=name in kept or (broken and name == "gradient"))
                    for name, value in figures.items()
                },
            )
        )
    return Observation(tuple(layers), found.examples, None, 0.0, 0.0, None)


def _plain(name: str, value: float, *, keep: bool) -> Any:
    if math.isnan(value):
        return value if keep else None
    return int(value) if name in WHOLE else value


def _over_time(found: Recording) -> Section:
    from fastinit.lab.report.pictures import recording as pictures

    reading = _(
        "Each row is a layer, the first at the top; time runs to the right. A dark row is a layer "
        "that the signal, or the gradient, hardly reaches. Empty is 0, or no figure."
    )
    views = [
        (
            _("Gradient over time"),
            found.values("gradient"),
            True,
            _("Size of the loss's gradient by the layer's output.") + " " + reading,
        ),
        (
            _("Activation spread over time"),
            found.values("spread"),
            True,
            _("How much the layer's outputs differ between examples.") + " " + reading,
        ),
        (
            _("Update ratio over time"),
            found.values("update_ratio"),
            True,
            _(
                "Size of the step that training took last, over that of the layer's weights. About "
                "0.001 is customary; near 1 the weights are thrown about, below 1e-6 they stand "
                "still."
            ),
        ),
        (
            _("Idle units over time, %"),
            _idle(found),
            False,
            _("Units that are dead, 0 on every example, or saturated, at a bound on most."),
        ),
    ]
    items = [
        Picture(
            _("Loss"),
            _(
                "Of the batch that training was at, and of the batch that the recorder looks with, "
                "the same each time."
            ),
            _("Lines of the loss by step."),
            lambda: pictures.losses(found),
        )
    ]
    for title, values, log, text in views:
        if np.isfinite(values).any():
            items.append(_heat(found, title, values, log, text))
    items += [
        _depth(found, _("Gradient by depth, then and later"), found.values("gradient")),
        _depth(found, _("Spread by depth, then and later"), found.values("spread")),
    ]
    items += _histograms(found)
    return Section(_("What happened while it trained"), [Pictures(items)])


def _histograms(found: Recording) -> Iterator[Picture]:
    from fastinit.lab.report.pictures import histograms

    views = (
        (
            "histogram",
            _("Histograms of the outputs"),
            _(
                "What each layer puts out, the first at the top, at the first record, half-way, "
                "and at the last one. A ridge that becomes a spike has gone silent; heaps at both "
                "ends are saturated units."
            ),
        ),
        (
            "weight_histogram",
            _("Histograms of the weights"),
            _(
                "What each layer's kernel holds, at the same times: what learns grows wider than "
                "it was drawn."
            ),
        ),
    )
    for name, title, text in views:
        figure = histograms.then_and_later(found, name)
        if figure is not None:
            yield ridges_picture(title, text, figure)


def _heat(
    found: Recording, title: str, values: NDArray[np.float64], log: bool, text: str
) -> Picture:
    from fastinit.lab.report.pictures import recording as pictures

    known = values[np.isfinite(values)]
    return Picture(
        title,
        text,
        _("Heat map by step and layer: {title}, from {low} to {high}.").format(
            title=title, low=number(known.min(), ".3g"), high=number(known.max(), ".3g")
        ),
        lambda: pictures.heat(found, values, log=log),
    )


def _depth(found: Recording, title: str, values: NDArray[np.float64]) -> Picture:
    from fastinit.lab.report.pictures import recording as pictures

    return Picture(
        title,
        _("From the first layer to the last, at the first record, half-way, and at the last one."),
        _("Lines by layer at three times."),
        lambda: pictures.by_depth(found, values),
    )


def _idle(found: Recording) -> NDArray[np.float64]:
    """Return the share of idle units, whichever kind a layer can have."""
    dead = found.values("dead")
    return np.where(np.isnan(dead), found.values("saturated"), dead)


def _by_layer(found: Recording) -> Section:
    """Return each layer at the first and at the last record."""
    headings = [_("layer"), _("kind")]
    columns = [
        (_("spread"), found.values("spread")),
        (_("gradient"), found.values("gradient")),
        (_("weight std"), found.values("weight_std")),
        (_("idle units, %"), 100 * _idle(found)),
        (_("rank"), found.values("effective_rank")),
    ]
    after = _("after")
    headings += [f"{name} → {after}" for name, _values in columns]
    rows: list[Row] = [
        [
            Cell(layer["name"], code=True),
            str(layer["kind"]),
            *(f"{_short(values[0, i])} → {_short(values[-1, i])}" for _name, values in columns),
        ]
        for i, layer in enumerate(found.described)
    ]
    return Section(_("Each layer, before and after"), [Table(headings, rows)])


def _short(value: float) -> str:
    return "-" if math.isnan(value) else number(value, ".2g" if abs(value) < 100 else ".0f")


def _words() -> Section:
    items = [
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
        (_("weight std"), _("Standard deviation of the layer's weights.")),
        (
            _("idle units, %"),
            _("Units that are dead, 0 on every example, or saturated, at a bound on most."),
        ),
        (_("rank"), _("How many directions the outputs of all examples spread over.")),
    ]
    return Section(_("How to read this"), [Terms(items)])
