"""The report on a comparison."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import fastinit
from fastinit.errors import FastinitError
from fastinit.lab import cells, rules
from fastinit.lab.figures import DISTINCT_TOLERANCE, IDLE_KIND, SATURATION_MARGIN
from fastinit.lab.report.document import (
    Cell,
    Document,
    Legend,
    Mark,
    Part,
    Picture,
    Pictures,
    Row,
    Section,
    Table,
    Terms,
    quoted,
)
from fastinit.lab.report.languages import N_, _, listing, ngettext, number
from fastinit.lab.report.phases import absent_sentence, phase_picture
from fastinit.lab.report.ridges import ridges_picture
from fastinit.lab.runs import PROBE_ROWS

if TYPE_CHECKING:
    from fastinit.lab.comparison import Comparison, Group
    from fastinit.lab.records import Record

__all__ = ["document"]

Facts: TypeAlias = Mapping[str, Any]
"""What was run: :attr:`fastinit.lab.Comparison.about`."""

TONES = {"trains": "good", "slow": "fair"}
"""Verdict -> tone; the others are bad."""

AGAINST_BEST = {
    "best": N_("best"),
    "noise": N_("may be noise"),
    "differs": N_("worse"),
}
"""How a score compares with the best of its network -> how that is written."""

FOLDED = 3
"""A comparison of more networks than this shows the first and folds the others."""

HISTOGRAM = 2**16
"""So many weights make a smooth histogram."""

PICTURED = 96
"""So many initializers are drawn, all networks together: more make a page too large to open."""


def document(found: Comparison, command: str) -> Document:
    """Return the report on a comparison.

    Parameters
    ----------
    found : Comparison
    command : str
        What repeats it.

    Returns
    -------
    Document
    """
    from fastinit.lab.report.pictures.style import marks

    groups = list(found.groups)
    names = list(dict.fromkeys(r.initializer for group in groups for r in group.records))
    marked = marks(names)
    missing = found.total - len(found.runs)
    interrupted = ngettext(
        "Interrupted: {count} run is missing.", "Interrupted: {count} runs are missing.", missing
    ).format(count=missing)
    sections = [_overview(groups, marked)] if len(groups) > 1 else []
    facts = found.about
    for index, (group, title) in enumerate(zip(groups, cells.titles(groups), strict=True)):
        parts = list(
            _network(
                group, facts, marked, pictured=(index + 1) * len(names) <= max(PICTURED, len(names))
            )
        )
        sections.append(Section(title, parts, folded=len(groups) > FOLDED and index > 0))
    sections.append(_weights(groups[0], facts, marked))
    opening = _("The same networks, trained from different initial weights and nothing else.")
    return Document(
        kind="fastinit compare",
        title=_("What the initial weights do"),
        answer=list(_answer(facts, groups)),
        tone="good" if any(map(_fitting, groups)) else "bad",
        run=f"{opening} {cells.describe(found)}",
        command=command or _call(facts),
        sections=[*sections, _reading(facts), _verdicts()],
        warnings=[*([interrupted] if missing else []), *_edges(found)],
    )


def _call(facts: Facts) -> str:
    """Return the call that runs the comparison again."""
    axes, seeds = facts["axes"], facts["axes"]["seeds"]
    rates = list(dict.fromkeys(rate for _, rate in axes["rates"]))
    name = facts["data"]["name"]
    arguments = {
        "activations": list(axes["activations"]),
        "hidden": [list(units) for units in axes["hidden"]],
        "normalization": list(axes["normalizations"]),
        "dropout": list(axes["dropouts"]),
        "optimizer": list(dict.fromkeys(optimizer for optimizer, _ in axes["rates"])),
        **({"tune": True} if rates == [None] else {"learning_rate": rates}),
        **facts["training"],
        "seeds": len(seeds) if list(seeds) == list(range(len(seeds))) else list(seeds),
    }
    data = "(x, y)" if name == "arrays" else repr(name)
    words = "".join(f",\n    {key}={value!r}" for key, value in arguments.items())
    return f"fastinit.lab.compare(\n    {list(axes['initializers'])},\n    data={data}{words},\n)"


def _edges(found: Comparison) -> Iterator[str]:
    if names := dict.fromkeys(name for _network, name in found.at_edge):
        yield _(
            "The best learning rate is the least or the greatest that was tried for {names}; try "
            "more beyond it."
        ).format(names=_listed(list(names)))


def _answer(facts: Facts, groups: Sequence[Group]) -> Iterator[str]:
    """Yield which initializer fits, why, and which cannot."""
    goal = cells.percent(facts["training"]["goal"])
    records = [record for group in groups for record in group.records]
    fitting = [_fitting(group) for group in groups]
    counts = Counter(name for names in fitting for name in names)
    everywhere = [name for name, count in counts.items() if count == len(groups)]
    if not counts:
        best = max(records, key=_rank)
        yield _(
            "No initializer trains to {goal} % test score here; {name} comes closest, with {score}."
        ).format(goal=goal, name=quoted(best.initializer), score=f"{cells.score(best)} %")
    elif not everywhere:
        found = zip(cells.titles(groups, brief=True), fitting, strict=True)
        none = _("none")
        lines = [f"{title}: {_listed(names) if names else none}" for title, names in found]
        yield "{opening} {lines}{end}".format(
            opening=_("Which initializer fits depends on the network:"),
            lines="; ".join(lines[:6]),
            end="; …" if len(lines) > 6 else ".",
        )
    else:
        yield ngettext(
            "{names} fits: it trains to {goal} % test score in every network here.",
            "{names} fit: they train to {goal} % test score in every network here.",
            len(everywhere),
        ).format(names=_listed(everywhere), goal=goal)
        yield _sure(cells.too_few_seeds(records), len(everywhere))
    yield from _reasons(records, everywhere)


def _sure(few_seeds: bool, fitting: int) -> str:
    """Return whether the seeds tell the initializers apart."""
    if few_seeds:
        return _(cells.TOO_FEW_SEEDS)
    return ngettext(
        "No other initializer scores better beyond the noise of the seeds.",
        "Their scores differ by no more than the noise of the seeds.",
        fitting,
    )


def _reasons(records: Sequence[Record], fitting: Sequence[str]) -> Iterator[str]:
    failed = [record for record in records if record.verdict in ("vanishing", "exploding")]
    if fitting and failed:
        bad = max(failed, key=_loss)
        good = next(r for r in records if r.initializer == fitting[0] and _alike(r, bad))
        yield _(
            "Before training, {good} gives a signal ratio of {signal} (last hidden layer over "
            "input) and a gradient ratio of {gradient} (first layer over last), where 1 is ideal; "
            "{bad} gives {bad_signal} and {bad_gradient}."
        ).format(
            good=quoted(good.initializer),
            signal=cells.short(good.signal_ratio),
            gradient=cells.short(good.gradient_ratio),
            bad=quoted(bad.initializer),
            bad_signal=cells.short(bad.signal_ratio),
            bad_gradient=cells.short(bad.gradient_ratio),
        )
    if never := dict.fromkeys(r.initializer for r in records if r.verdict == "symmetric"):
        yield _(
            "Not to be used: {names}. All units of a layer start alike, get the same gradient and "
            "stay copies of one another."
        ).format(names=_listed(list(never)))


def _fitting(group: Group) -> list[str]:
    """Return the initializers that train and are not worse than the best beyond noise."""
    return [
        r.initializer for r in group.records if r.verdict == "trains" and r.differs != "differs"
    ]


def _alike(one: Record, other: Record) -> bool:
    return (one.activation, one.hidden) == (other.activation, other.hidden)


def _rank(record: Record) -> float:
    return record.test_score if math.isfinite(record.test_score) else -math.inf


def _loss(record: Record) -> float:
    """Return how far from 1 the ratios of a record are, in powers of ten."""
    ratios = (record.signal_ratio, record.gradient_ratio)
    return sum(abs(math.log10(ratio)) for ratio in ratios if 0 < ratio < math.inf)


def _listed(names: Sequence[str]) -> str:
    return listing([quoted(name) for name in names])


def _overview(groups: Sequence[Group], marked: dict[str, Mark]) -> Section:
    """Return the verdicts of all networks in one table, the longer list down."""
    records = {(g, r.initializer): r for g, group in enumerate(groups) for r in group.records}
    titles = cells.titles(groups, brief=True)

    def cell(place: int, name: str) -> Cell:
        record = records.get((place, name))
        if record is None:
            return Cell("-")
        text = cells.verdict_name(record.verdict)
        return Cell(text, TONES.get(record.verdict, "bad"))

    named = {name: Cell(name, mark=mark, code=True) for name, mark in marked.items()}
    if len(groups) <= len(named):
        headings = [_("initializer"), *titles]
        rows = [[named[n], *(cell(g, n) for g in range(len(groups)))] for n in named]
    else:
        headings = [_("network"), *named]
        rows = [[Cell(t), *(cell(g, n) for n in named)] for g, t in enumerate(titles)]
    return Section(_("At a glance"), [Table(headings, rows, grid=True)])


def _network(group: Group, facts: Facts, marked: dict[str, Mark], pictured: bool) -> Iterator[Part]:
    goal = facts["training"]["goal"]
    saturated = IDLE_KIND.get(group.activation) == "saturated"
    tuned = group.network.learning_rate is None
    headings = [
        _("initializer"),
        *([_("learning rate")] if tuned else []),
        _("train loss"),
        _("test score, %"),
        _("epochs to {goal} %").format(goal=cells.percent(goal)),
        _("gradient ratio"),
        _("signal ratio"),
        _("saturated units, %") if saturated else _("dead units, %"),
        _("distinct units"),
        _("against the best"),
        _("verdict"),
    ]
    few = cells.too_few_seeds(group.records)
    rows: list[Row] = []
    for record in group.records:
        _name, *figures, _verdict = cells.cells(record)
        rows.append(
            [
                Cell(record.initializer, mark=marked[record.initializer], code=True),
                *figures,
                str(record.distinct_units),
                "-" if few else _(AGAINST_BEST[record.differs]),
                Cell(cells.verdict_name(record.verdict), TONES.get(record.verdict, "bad")),
            ]
        )
    yield cells.goal_sentence(group, goal) + (f" {_(cells.TOO_FEW_SEEDS)}" if few else "")
    yield Table(headings, rows)
    if pictured:
        yield Legend({record.initializer: marked[record.initializer] for record in group.records})
        yield Pictures(list(_pictures(group, facts, list(marked))))
    else:
        yield _("Only the first networks have pictures, so that the page stays small.")


def _pictures(group: Group, facts: Facts, names: Sequence[str]) -> Iterator[Picture]:
    from fastinit.lab.report.pictures import comparison as pictures
    from fastinit.lab.report.pictures import histograms

    group = replace(group, runs=list(group.runs))  # those in a file are read once
    order = {name: index for index, name in enumerate(names)}
    regression = facts["data"]["task"] == "regression"
    best = max(group.records, key=_rank)
    ends = {
        "best": best.initializer,
        "score": f"{number(100 * best.test_score, '.1f')} %",
        "count": len(group.records),
    }
    known = (
        _("On the dashed line the network knows no more than the mean of the targets.")
        if regression
        else _("On the dashed line the network knows no more than how common each class is.")
    )
    yield Picture(
        _("Train loss"),
        _("On all train rows, before training and after each epoch.")
        + f" {known} "
        + _(
            "A line that ends early stopped being finite; one that leaves at the top is worse than "
            "{times} times the dashed line."
        ).format(times=number(pictures.TOP)),
        _("Lines of the train loss by epoch for {count} initializers.").format(**ends),
        lambda: pictures.by_epoch(
            group, order, lambda run: run.train_loss, level=facts["data"]["constant_loss"], log=True
        ),
    )
    yield Picture(
        _("Test score"),
        (
            _("Share of the variance of the test targets that is explained (R²).")
            if regression
            else _("Share of the test rows that are classified rightly.")
        )
        + " "
        + _("The dashed line is the goal."),
        _(
            "Lines of the test score by epoch for {count} initializers; {best} ends highest, at "
            "{score}."
        ).format(**ends),
        lambda: pictures.by_epoch(
            group, order, lambda run: run.test_score, level=facts["training"]["goal"], log=False
        ),
    )
    yield Picture(
        _("Is the difference noise?"),
        _(
            "Test score after the last epoch: a dot a seed, a bar for the 95 % interval of the "
            "mean. Where a bar reaches into the grey one of the best, more seeds may turn the "
            "order round."
        ),
        _(
            "Test scores of every seed for {count} initializers; the best mean is that of {best}, "
            "{score}."
        ).format(**ends),
        lambda: pictures.scores(group, order, best.initializer),
    )
    layers = list(map(str, range(1, len(group.hidden) + 1)))
    yield Picture(
        _("Activation spread by layer"),
        _(
            "How much the activations differ between rows. A level line passes the signal on; a "
            "falling one loses it, a rising one blows it up."
        )
        + absent_sentence(pictures.absent(group, lambda run: run.activation_spread)),
        _(
            "Lines of the activation spread by layer, before and after training, for {count} "
            "initializers."
        ).format(**ends),
        lambda: pictures.by_layer(
            group,
            order,
            lambda run: run.activation_spread,
            lambda run: run.activation_spread_end,
            [_("input"), *layers, _("output")],
        ),
    )
    yield Picture(
        _("Gradient size by layer"),
        _(
            "Root mean square gradient of each layer's kernel. Where a line rises to the right, "
            "the first layers learn far slower than the last; a line that is low throughout moves "
            "no layer."
        )
        + absent_sentence(pictures.absent(group, lambda run: run.gradient_size)),
        _(
            "Lines of the gradient size by layer, before and after training, for {count} "
            "initializers."
        ).format(**ends),
        lambda: pictures.by_layer(
            group,
            order,
            lambda run: run.gradient_size,
            lambda run: run.gradient_size_end,
            [*layers, _("last")],
        ),
    )
    ridges = histograms.activations(group, order)
    if ridges is not None:
        yield ridges_picture(
            _("Histograms of the activations"),
            _(
                "Before training, with the first seed: a panel an initializer, a ridge a hidden "
                "layer, the first at the top. Ridges of about one width pass the signal on. Where "
                "they narrow to a spike, the examples look alike to the layers below; where they "
                "pile up at the ends, units are saturated."
            ),
            ridges,
            _("Histograms of the activations by layer for {count} initializers.").format(**ends),
        )
    if group.network.normalization == "none" and not group.network.dropout:
        fan_in = _fan_in(group, facts)
        scales = {r.initializer: _scale(r.initializer, fan_in) for r in group.records}
        yield phase_picture(group.activation, order, scales)


def _kernel(initializer: str, fan_in: int, seed: int = 0) -> NDArray[np.float64] | None:
    """Return weights as a hidden layer gets them, None if the initializer is a user's own."""
    try:
        return np.asarray(fastinit.get(initializer)((fan_in, fan_in), seed=seed), np.float64)
    except FastinitError:
        return None


def _scale(initializer: str, fan_in: int) -> float | None:
    """Return sigma_w of an initializer, None if it has none or its weights have another mean."""
    kernel = _kernel(initializer, fan_in)
    if kernel is None:
        return None
    square = float(np.square(kernel).mean())
    if abs(float(kernel.mean())) > 0.5 * math.sqrt(square / fan_in):
        return None
    return math.sqrt(square * fan_in) or None


def _fan_in(group: Group, facts: Facts) -> int:
    """Return the fan_in of a hidden layer that reads another, if there is one."""
    return int(group.hidden[0] if len(group.hidden) > 1 else facts["data"]["features"])


def _weights(group: Group, facts: Facts, marked: dict[str, Mark]) -> Section:
    """Return the histograms of what the initializers draw."""
    from fastinit.lab.report.pictures import comparison as pictures

    fan_in = _fan_in(group, facts)
    seeds = range(-(-HISTOGRAM // fan_in**2))
    samples: dict[str, NDArray[np.float64]] = {}
    for name in marked:
        kernels = [kernel for seed in seeds if (kernel := _kernel(name, fan_in, seed)) is not None]
        if kernels:
            samples[name] = np.concatenate(kernels).ravel() * math.sqrt(fan_in)
    order = {name: index for index, name in enumerate(marked)}
    picture = Picture(
        _("Histogram of the weights"),
        _(
            "What each initializer draws for a hidden layer with fan_in {fan_in}, times the root "
            "of fan_in: a standard deviation near 1 keeps the size of a signal under tanh, near "
            "1.4 under relu. A spike is a constant; what is wider than the picture leaves it."
        ).format(fan_in=fan_in)
        + absent_sentence([name for name in marked if name not in samples]),
        _("Histograms of the weights from {count} initializers.").format(count=len(samples)),
        lambda: pictures.weights(samples, order),
    )
    return Section(_("The weights at the start"), [Legend(marked), Pictures([picture])])


def _reading(facts: Facts) -> Section:
    data, goal = facts["data"], cells.percent(facts["training"]["goal"])
    rows = min(PROBE_ROWS, data["train_rows"])
    loss = (
        _("Mean squared error on all train rows after the last epoch, mean over the seeds.")
        if data["task"] == "regression"
        else _("Cross-entropy on all train rows after the last epoch, mean over the seeds.")
    )
    score = (
        _("Per cent of the variance of the test targets that is explained (R²).")
        if data["task"] == "regression"
        else _("Per cent of the test rows that are classified rightly.")
    )
    items = [
        (
            _("train loss"),
            loss
            + " "
            + _("A predictor that ignores its input has {loss}.").format(
                loss=number(data["constant_loss"], ".3f")
            ),
        ),
        (
            _("test score"),
            score
            + " "
            + _(
                "After the last epoch: the mean over the seeds ± how far its 95 % interval reaches."
            ),
        ),
        (
            _("against the best"),
            _(
                "Whether the score differs from the best of its network, by a paired test over the "
                "seeds, or the difference may be noise, which more seeds would tell."
            ),
        ),
        (
            _("epochs to {goal} %").format(goal=goal),
            _("Epochs until the test score first reached {goal} %; the median seed.").format(
                goal=goal
            ),
        ),
        (
            _("gradient ratio"),
            _(
                "Before training: root mean square gradient of the first layer's kernel, over "
                "that of the last layer's. Root mean square, so that a layer's size does not "
                "matter. A dash stands for 0/0."
            ),
        ),
        (
            _("signal ratio"),
            _(
                "Before training: spread of the activations over the rows in the last hidden "
                "layer, over that of the input."
            ),
        ),
        (
            _("dead units, saturated units"),
            _(
                "Per cent of the hidden units that pass no gradient, before → after training. A "
                "relu unit is dead if it is zero on all these rows. A sigmoid or tanh unit is "
                "saturated if, on more than half of them, it is within {margin} % of its range "
                "from a bound. Other activations have no such state."
            ).format(margin=cells.percent(SATURATION_MARGIN)),
        ),
        (
            _("distinct units"),
            _(
                "Units whose incoming weights differ after training, in the hidden layer and the "
                "seed with the fewest. Two units are the same if all their weights agree within "
                "{tolerance} of the layer's largest."
            ).format(tolerance=number(DISTINCT_TOLERANCE)),
        ),
    ]
    opening = _(
        "Lines are medians over the seeds, bands reach from the least to the greatest. Figures "
        "taken before training are taken on {rows} train rows, the same ones in every run."
    ).format(rows=rows)
    return Section(_("How to read this"), [opening, Terms(items)])


def _verdicts() -> Section:
    opening = _(
        "Each run gets the verdict of the first rule that holds. A row shows the commonest verdict "
        "of its seeds; of equally common ones, the worst."
    )
    items = [
        (
            Cell(cells.verdict_name(rule.verdict), TONES.get(rule.verdict, "bad")),
            f"{_filled(rule.when, rule)} {_filled(rule.means, rule)}",
        )
        for rule in rules.RULES
    ]
    return Section(_("The rules behind the verdicts"), [opening, Terms(items)])


def _filled(text: str, rule: rules.Rule) -> str:
    return _(text).format(**{name: number(value) for name, value in rule.limits.items()})
