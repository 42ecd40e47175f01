"""A comparison in words: headings, cells and sentences that the terminal and the reports share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from fastinit.lab.figures import IDLE_KIND
from fastinit.lab.report.document import quoted
from fastinit.lab.report.languages import N_, _, ngettext, number

if TYPE_CHECKING:
    from fastinit.lab import comparison
    from fastinit.lab.records import Record
    from fastinit.lab.runs import Network

__all__ = [
    "TOO_FEW_SEEDS",
    "VERDICTS",
    "architecture",
    "cells",
    "describe",
    "fastest",
    "goal_sentence",
    "headings",
    "percent",
    "score",
    "short",
    "titles",
    "too_few_seeds",
    "verdict_name",
]

VERDICTS = {
    "trains": N_("trains"),
    "slow": N_("slow"),
    "vanishing": N_("vanishing"),
    "exploding": N_("exploding"),
    "symmetric": N_("symmetric"),
    "diverged": N_("diverged"),
}
"""What the rules say -> how it is written."""

TOO_FEW_SEEDS = N_("So few seeds cannot tell whether scores differ by more than chance: run more.")


def too_few_seeds(records: Iterable[Record]) -> bool:
    """Say whether nothing can be said of differences between the records.

    Parameters
    ----------
    records : iterable of Record
        Of one network.

    Returns
    -------
    bool
    """
    return any(record.differs == "too few seeds" for record in records)


def describe(found: comparison.Comparison) -> str:
    """Return a sentence or two on what was run.

    Parameters
    ----------
    found : Comparison

    Returns
    -------
    str
    """
    data, training = found.about["data"], found.about["training"]
    sentence = (
        _("{name}: {train_rows} train and {test_rows} test rows, {features} features, regression.")
        if data["task"] == "regression"
        else _(
            "{name}: {train_rows} train and {test_rows} test rows, {features} features, "
            "{classes} classes."
        )
    ).format(**data)
    networks = [group.network for group in found.groups]
    seeds = max((record.seeds for record in found.records), default=0)
    how = [
        *_common(networks[0], networks),
        _("batches of {size}").format(size=training["batch_size"]),
        ngettext("{count} epoch", "{count} epochs", training["epochs"]).format(
            count=training["epochs"]
        ),
        ngettext("{count} seed", "{count} seeds", seeds).format(count=seeds),
    ]
    return f"{sentence} {', '.join(how)}."


def titles(groups: Sequence[comparison.Group], *, brief: bool = False) -> list[str]:
    """Return what the networks are called.

    Parameters
    ----------
    groups : sequence of Group
        All of a comparison.
    brief : bool, default False
        Whether to leave out what they have in common; else activation and layers are always named.

    Returns
    -------
    list of str
    """
    networks = [group.network for group in groups]
    one = {
        field: len({getattr(network, field) for network in networks}) == 1
        for field in networks[0]._fields
    }
    if not brief or all(one.values()):
        one["activation"] = one["hidden"] = False
    return [", ".join(_facts(network, one, brief)) for network in networks]


def architecture(hidden: tuple[int, ...]) -> str:
    """Return hidden layers as text.

    Parameters
    ----------
    hidden : tuple of int

    Returns
    -------
    str

    Examples
    --------
    >>> from fastinit.lab.cells import architecture
    >>> architecture((128, 64)), architecture((64,) * 12)
    ('128-64', '12 x 64')
    """
    if len(hidden) > 6 and len(set(hidden)) == 1:
        return f"{len(hidden)} x {hidden[0]}"
    return "-".join(map(str, hidden))


def headings(group: comparison.Group, goal: float) -> tuple[str, ...]:
    """Return the column headings of one network's table in English, each of at most two lines.

    Parameters
    ----------
    group : Group
    goal : float
        The test score that counts as trained.

    Returns
    -------
    tuple of str
    """
    idle = "satur." if IDLE_KIND.get(group.activation) == "saturated" else "dead"
    rate = ("learn.\nrate",) if group.network.learning_rate is None else ()
    return (
        "\ninitializer",
        *rate,
        "train\nloss",
        "test\nscore",
        f"epochs\nto {percent(goal)}%",
        "grad.\nratio",
        "signal\nratio",
        f"{idle}\nunits",
        "\nverdict",
    )


def cells(record: Record) -> tuple[str, ...]:
    """Return the text of one row, in the order of :func:`headings`.

    Parameters
    ----------
    record : Record

    Returns
    -------
    tuple of str
    """
    rate = (number(record.learning_rate, ".2g"),) if record.rate == "chosen" else ()
    return (
        record.initializer,
        *rate,
        "nan" if math.isnan(record.train_loss) else short(record.train_loss),
        score(record),
        "-" if record.epochs_to_goal is None else str(record.epochs_to_goal),
        short(record.gradient_ratio),
        short(record.signal_ratio),
        _idle(record),
        verdict_name(record.verdict),
    )


def fastest(records: Iterable[Record]) -> list[Record]:
    """Return the records that train and reach the goal in the fewest epochs; equals together.

    Parameters
    ----------
    records : iterable of Record

    Returns
    -------
    list of Record
        Empty if none trains.
    """
    trained = [(r.epochs_to_goal, r) for r in records if r.verdict == "trains"]
    epochs = [count for count, _ in trained if count is not None]
    return [record for count, record in trained if epochs and count == min(epochs)]


def goal_sentence(group: comparison.Group, goal: float) -> str:
    """Return which initializers reach the goal first.

    Parameters
    ----------
    group : Group
    goal : float

    Returns
    -------
    str
        The names between backticks.
    """
    best = fastest(group.records)
    if not best:
        return _("No initializer trains to {goal} % test score.").format(goal=percent(goal))
    epochs = best[0].epochs_to_goal or 0
    return ngettext(
        "Fastest to {goal} % test score, in {epochs} epoch: {names}.",
        "Fastest to {goal} % test score, in {epochs} epochs: {names}.",
        epochs,
    ).format(
        goal=percent(goal), epochs=epochs, names=", ".join(quoted(r.initializer) for r in best)
    )


def verdict_name(verdict: str) -> str:
    """Return a verdict of :data:`fastinit.lab.rules.RULES` in the current language.

    Parameters
    ----------
    verdict : str

    Returns
    -------
    str
    """
    return _(VERDICTS.get(verdict, verdict))


def score(record: Record) -> str:
    """Return the mean test score in per cent, and how far its interval reaches.

    Parameters
    ----------
    record : Record

    Returns
    -------
    str
    """
    mean = number(100 * record.test_score, ".1f")
    if math.isnan(record.test_score_low):
        return mean
    reach = max(
        record.test_score_high - record.test_score, record.test_score - record.test_score_low
    )
    return f"{mean} ± {number(100 * reach, '.1f')}"


def percent(share: float) -> str:
    """Return a share as a number of per cent.

    Parameters
    ----------
    share : float

    Returns
    -------
    str

    Examples
    --------
    >>> from fastinit.lab.cells import percent
    >>> percent(0.9), percent(0.975)
    ('90', '97.5')
    """
    return number(100 * share, ".10g")


def short(value: float) -> str:
    """Return a figure in at most six characters; "-" for NaN, which stands for 0/0 or no figure.

    Parameters
    ----------
    value : float
        Not negative.

    Returns
    -------
    str

    Examples
    --------
    >>> from fastinit.lab.cells import short
    >>> [short(value) for value in (0.0, 2.3026, 0.00244, 3.1e-9, 707.4, 70700.0)]
    ['0', '2.30', '0.0024', '3e-09', '707', '7e+04']
    """
    if math.isnan(value):
        return "-"
    if value == 0 or math.isinf(value):
        return f"{value:g}"
    if value < 1e-3 or value >= 9999.5:
        return f"{value:.0e}"
    if value < 0.1:
        return number(value, ".2g")
    return number(value, ".2f" if value < 99.995 else ".0f")


def _idle(record: Record) -> str:
    if record.idle_start is None or record.idle_end is None:
        return "-"
    start, end = f"{100 * record.idle_start:.0f}", f"{100 * record.idle_end:.0f}"
    return start if start == end else f"{start}→{end}"


def _facts(network: Network, common: Mapping[str, bool], brief: bool) -> Iterator[str]:
    """Yield what a network is called by, without what is in common."""
    if not common["activation"]:
        yield network.activation
    if not common["hidden"]:
        units = architecture(network.hidden)
        yield units if brief else _("hidden layers {units}").format(units=units)
    kinds = {
        "none": _("no normalization"),
        "batch": _("batch normalization"),
        "layer": _("layer normalization"),
    }
    if not common["normalization"] or (network.normalization != "none" and not brief):
        yield kinds[network.normalization]
    if not common["dropout"] or (network.dropout and not brief):
        share = number(network.dropout)
        yield _("dropout {share}").format(share=share) if network.dropout else _("no dropout")
    if not common["optimizer"]:
        yield network.optimizer
    if not common["learning_rate"]:
        yield _rate(network)


def _common(network: Network, networks: Sequence[Network]) -> Iterator[str]:
    """Yield the optimizer and the learning rate, where all networks have the same."""
    if len({other.optimizer for other in networks}) == 1:
        yield network.optimizer
    if len({other.learning_rate for other in networks}) == 1:
        yield _rate(network)


def _rate(network: Network) -> str:
    if network.learning_rate is None:
        return _("tuned learning rates")
    return _("learning rate {rate}").format(rate=number(network.learning_rate))
