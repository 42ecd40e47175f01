"""``diagnose``: look at a network, say what is wrong with it, and try what would cure it."""

from __future__ import annotations

import dataclasses
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

import fastinit
from fastinit.errors import ArgumentError, FastinitError
from fastinit.lab import cures, symptoms
from fastinit.lab.cures import Cure
from fastinit.lab.files import as_json
from fastinit.lab.observation import HISTOGRAMS, LayerFigures, Observation
from fastinit.lab.report.languages import N_, _, number
from fastinit.lab.subjects import Patterns, Subject, subject_of
from fastinit.lab.symptoms import RULES, Finding, Look, Trend
from fastinit.nn.checks import as_count

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

__all__ = ["Diagnosis", "diagnose"]

LOWER = 0.9
"""A loss at most this share of the one without the cure has clearly fallen below it."""

MOST_ROWS = 24
"""Layers that the short table shows one by one; of more, those that repeat become ranges."""

NAMES = 24
"""Columns that layers' names get before figures are left out for them."""

GIVEN_UP = (1, -2, 8, -3)
"""Columns that make room, the first one first: the activation, which the sentences name; the rank;
idle units after the cure; the correlation. The data frame has them all."""


@dataclass(frozen=True)
class Diagnosis:
    """What was found in a network.

    Attributes
    ----------
    model : str
        Class of the network.
    framework : str
        "fastinit", "torch" or "keras".
    parameters : int
        How many numbers the network learns.
    before : Observation
        The network as it stands.
    findings : tuple of Finding
        What is wrong, by :data:`fastinit.lab.symptoms.RULES`; empty where nothing is.
    tried : tuple of Cure
        The initializers that were tried, the best first; empty where the network is healthy or no
        cure was asked for.
    losses : tuple of float
        Of the first steps of training as it stands; empty where there were no targets.
    steps : int
        How many such steps.
    trial_rate : float
        Adam's learning rate in them.
    learning_rate : float
        Of the step of gradient descent that ``update_ratio`` asks for.
    seed : int
        Of the draws of the cures, and of random directions at the output.

    Examples
    --------
    :func:`diagnose` makes them.

    >>> import fastinit
    >>> from fastinit import lab, nn
    >>> layers = [nn.Dense(32, "tanh", "normal(std=0.01)") for _ in range(8)]
    >>> network = nn.Sequential([*layers, nn.Dense(3)], seed=0)
    >>> found = lab.diagnose(network, fastinit.normal((64, 32), 0.0, 1.0, seed=1))
    >>> found.healthy, found.verdict, found.cure.name
    (False, 'vanishing', 'glorot_uniform')
    >>> list(found.to_frame().columns[:4])
    ['name', 'kind', 'activation', 'fan_in']
    """

    model: str
    framework: str
    parameters: int
    before: Observation = field(repr=False)
    findings: tuple[Finding, ...]
    tried: tuple[Cure, ...] = field(repr=False)
    losses: tuple[float, ...] = field(repr=False)
    steps: int
    trial_rate: float
    learning_rate: float
    seed: int

    @property
    def verdict(self) -> str:
        """``"healthy"``, or the names of what is wrong, joined by commas."""
        return symptoms.verdict(self.findings)

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    @property
    def cure(self) -> Cure | None:
        """The best of what was tried, if it helps; ``cure.model`` is the network drawn so."""
        best = self.tried[0] if self.tried else None
        return best if best is not None and self._helps(best) else None

    @property
    def cured(self) -> bool:
        """Whether nothing is wrong any more with the cure."""
        return self.cure is not None and not self.cure.findings

    @property
    def after(self) -> Observation | None:
        """The network with the cure; None where there is none."""
        return None if self.cure is None else self.cure.after

    def _helps(self, cure: Cure) -> bool:
        if not cure.findings:
            return True
        if self.losses and cure.losses:
            return _end(cure.losses) < LOWER * _end(self.losses)
        return cure.unevenness < 0.5 * cures.unevenness(self.before)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The findings, one sentence each, and what the cure makes of them; in the language."""
        if self.healthy:
            return (_("Signal and gradient keep their size from layer to layer."),)
        lines = [f"{_(one.name)}: {one.evidence}{self._with_cure(one)}" for one in self.findings]
        return (*lines, *([] if not self.tried else [self.advice]))

    def _with_cure(self, finding: Finding) -> str:
        """Return how a sentence goes on: what became of the same figure with the cure."""
        if self.cure is None or finding.trend is None:
            return ""
        factor = followed(self.cure.after, finding)
        if factor is None:
            return ""
        text = _("; with {initializer} the factor is {factor}")
        return text.format(initializer=self.cure.name, factor=number(factor, ".2g"))

    @property
    def advice(self) -> str:
        """What to do, in the current language; empty where no cure was looked for."""
        if not self.tried:
            return ""
        if self.cure is None:
            return _(
                "None of {count} initializers that were tried cures it. Change the network: an "
                "activation with a steeper slope, normalization, residual connections, or fewer "
                "layers."
            ).format(count=len(self.tried))
        cure = self.cure
        values = {
            "initializer": cure.name,
            "verdict": ", ".join(_(one) for one in cure.verdict.split(", ")),
            "steps": self.steps,
        }
        if self.losses and cure.losses:
            values |= {
                "before": number(_end(self.losses), ".3g"),
                "after": number(_end(cure.losses), ".3g"),
            }
            if cure.findings:
                template = N_(
                    "{initializer} helps, but does not cure: it is {verdict} still; after {steps} "
                    "steps the loss is {after}, in place of {before}"
                )
            elif _end(cure.losses) < LOWER * _end(self.losses):
                template = N_(
                    "{initializer} cures it: {verdict}; after {steps} steps the loss is {after}, "
                    "in place of {before}"
                )
            else:
                template = N_(
                    "with {initializer} it is {verdict}, but {steps} steps do not show it yet: the "
                    "loss is {after}, in place of {before}"
                )
        elif cure.findings:
            template = N_("{initializer} helps, but does not cure: it is {verdict} still")
        else:
            template = N_("{initializer} cures it: {verdict}")
        return _(template).format(**values)

    def table(self, width: int = 80, *, every: bool = False) -> str:
        """Return verdict, figures and cure as plain text.

        Parameters
        ----------
        width : int, default 80
            Columns to fit into.
        every : bool, default False
            Whether a deep network's layers are all shown; else those that repeat are shown as
            ranges.

        Returns
        -------
        str
            Lines of at most `width` characters, in the current language.
        """
        stream = io.StringIO()
        console = Console(file=stream, width=width, color_system=None, legacy_windows=False)
        console.print(self.render(width, every=every))
        return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"

    def render(self, width: int = 80, *, every: bool = False) -> RenderableType:
        """Return what `table` shows, for a rich console.

        Parameters
        ----------
        width : int, default 80
            As of `table`.
        every : bool, default False
            As of `table`.

        Returns
        -------
        rich renderable
            For ``rich.console.Console().print``.
        """
        style = "bold green" if self.healthy else "bold red"
        names = ", ".join(_(one) for one in self.verdict.split(", "))
        parts: list[RenderableType] = [
            Text(self.description, style="dim"),
            Text(names, style=style),
            *(Text(f"- {sentence}") for sentence in self.sentences),
            Text(""),
            self._figures(width, every),
            Text(_legend(self.cure), style="dim"),
        ]
        if self.cure is not None:
            lines = [f"  {name}: {rule}" for name, rule in self.cure.initializers.items()]
            parts.append(Text("\n".join([_("the cure, by parameters:"), *lines])))
        return Group(*parts)

    @property
    def description(self) -> str:
        """What was looked at, in one line in the current language."""
        return _(
            "{model} ({framework}): {layers} layers, {parameters} parameters, {examples} examples"
        ).format(
            model=self.model,
            framework=self.framework,
            layers=len(self.before.layers),
            parameters=number(self.parameters, ","),
            examples=self.before.examples,
        )

    def rows(self, *, every: bool = False) -> list[tuple[str, ...]]:
        """Return the cells of the table, in the order of :func:`headings`.

        Parameters
        ----------
        every : bool, default False
            As for `table`.

        Returns
        -------
        list of tuple of str
            A tuple a layer, or a range of layers.
        """
        before, after = [
            list(seen.layers) if every else abridged(seen.layers)
            for seen in (self.before, self.after or self.before)
        ]
        others = {one.name: one for one in after}
        return [_cells(one, others.get(one.name), self.cure is not None) for one in before]

    def _figures(self, width: int, every: bool) -> Table:
        heads, rows = headings(self.cure), self.rows(every=every)
        columns = [c for c in range(len(heads)) if any(row[c] for row in rows)]
        widths = [_width(heads[c], *(row[c] for row in rows)) for c in range(len(heads))]

        def room() -> int:
            return width - sum(1 + widths[c] for c in columns[1:])

        for spare in GIVEN_UP:
            if room() < min(NAMES, widths[0]) and spare % len(heads) in columns:
                columns.remove(spare % len(heads))
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0, show_edge=False)
        for c in columns:
            table.add_column(heads[c], justify="right" if c > 1 else "left", no_wrap=True)
        for row in rows:
            table.add_row(shortened(row[0], room()), *(row[c] for c in columns[1:]))
        return table

    def to_frame(self) -> pandas.DataFrame:
        """Return the figures as a data frame, one row a layer.

        The fields of :class:`fastinit.lab.observation.LayerFigures`, but the histograms; with a
        cure, the same after it with ``after_`` before their names.

        Returns
        -------
        pandas.DataFrame
            Numbers, and None for what a layer does not have.
        """
        import pandas

        rows = [_scalars(layer) for layer in self.before.layers]
        if self.after is not None:
            after = {one.name: one for one in self.after.layers}
            for row in rows:
                other = after.get(row["name"])
                figures = {} if other is None else _scalars(other)
                row |= {
                    f"after_{key}": value
                    for key, value in figures.items()
                    if key not in ("name", "kind")
                }
        return pandas.DataFrame(rows)

    def to_json(self) -> str:
        """Return everything but the models as one JSON object.

        Figures that are not finite become null: JSON has no name for them.

        Returns
        -------
        str
            One object.
        """
        document = {
            "fastinit": fastinit.__version__,
            "model": self.model,
            "framework": self.framework,
            "parameters": self.parameters,
            "verdict": self.verdict,
            "advice": self.advice,
            "findings": [_finding(one) for one in self.findings],
            "before": dataclasses.asdict(self.before),
            "losses": list(self.losses),
            "cure": None if self.cure is None else self.cure.name,
            "cured": self.cured,
            "tried": [
                {
                    "name": cure.name,
                    "what": cure.what,
                    "initializers": cure.initializers,
                    "verdict": cure.verdict,
                    "findings": [_finding(one) for one in cure.findings],
                    "unevenness": cure.unevenness,
                    "losses": list(cure.losses),
                    "after": dataclasses.asdict(cure.after),
                }
                for cure in self.tried
            ],
            "steps": self.steps,
            "trial_rate": self.trial_rate,
            "learning_rate": self.learning_rate,
            "seed": self.seed,
            "rules": {rule.name: rule.when.format(**rule.limits) for rule in RULES},
        }
        return as_json(document)

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw spread, gradient and idle units by depth, before and after the cure.

        Parameters
        ----------
        path : str or path, optional
            Where to write it, a PNG or an SVG file.

        Returns
        -------
        matplotlib.figure.Figure
            The picture, written or not.

        Raises
        ------
        ArgumentError
            If the file's name ends in neither.
        """
        from fastinit.lab.files import write_whole
        from fastinit.lab.report.pictures import style
        from fastinit.lab.report.pictures.diagnosis import by_depth

        figure = by_depth(self)
        if path is not None:
            suffix = Path(path).suffix.lower()
            if suffix not in (".png", ".svg"):
                raise ArgumentError(f"a picture is a .png or .svg file, got {str(path)!r}")
            content = style.png(figure) if suffix == ".png" else style.svg_file(figure)
            write_whole(Path(path), content)
        return figure


def diagnose(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    loss: Any = None,
    learning_rate: float = 0.01,
    layers: Patterns = None,
    try_cure: bool = True,
    steps: int = 40,
    trial_rate: float = 0.001,
    seed: int = 0,
) -> Diagnosis:
    """Say what is wrong with a network's weights, and which initializer puts it right.

    The network is looked at in one forward and one backward pass and judged by
    :data:`fastinit.lab.symptoms.RULES`. If something is wrong, initializers that suit its
    activations and its kind are tried on copies: drawn, looked at and, where there are targets,
    trained for a few steps. The one with the fewest findings is proposed; of equal ones, that with
    the lowest loss after those steps or, without targets, that whose spread and gradient are the
    most even over the depth; of nearly equal ones, the simplest. Nothing of the model itself
    changes.

    Parameters
    ----------
    model : fastinit.nn.Sequential, torch.nn.Module, keras.Model or Subject
        The network, built.
    x : array_like
        A batch of inputs, first axis examples; some 64 to 256 of them.
    y : array_like, optional
        Their targets. Without them the gradient is that of a fixed random direction at the output,
        and cures are looked at but not trained.
    loss : callable, optional
        ``loss(outputs, y)`` of the framework; by default the model's own if it was compiled with
        one, else the cross-entropy of logits for whole numbers, the mean squared error for others.
    learning_rate : float, default 0.01
        Of the step of gradient descent whose size beside the weights is judged.
    layers : str or sequence of str, optional
        Patterns of the names of the layers to look at, "blocks.*.fc"; all by default.
    try_cure : bool, default True
        Whether to look for a cure.
    steps : int, default 40
        Steps of training with and without it.
    trial_rate : float, default 0.001
        Adam's learning rate in them.
    seed : int, default 0
        Of the weights that are drawn and the order of the examples.

    Returns
    -------
    Diagnosis
        The findings, the figures of each layer, and the cure if one helps.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If an argument cannot be used; nothing has been computed then.

    Examples
    --------
    >>> import fastinit
    >>> from fastinit import nn
    >>> from fastinit.lab.diagnosis import diagnose
    >>> small = fastinit.get("normal", std=0.01)
    >>> network = nn.Sequential([nn.Dense(64, "tanh", small) for _ in range(10)] + [nn.Dense(3)])
    >>> found = diagnose(network, fastinit.normal((128, 64), seed=1))
    >>> found.verdict, found.cure.name, found.cured
    ('vanishing', 'glorot_uniform', True)
    """
    as_count("steps", steps)
    seed = as_count("seed", seed, 0)
    for name, rate in (("learning_rate", learning_rate), ("trial_rate", trial_rate)):
        if not (isinstance(rate, (int, float)) and 0 < rate < math.inf):
            raise ArgumentError(f"{name} must be a number above 0, got {rate!r}")
    subject = subject_of(model)

    def look(at: Subject) -> Observation:
        return at.observe(x, y, loss=loss, learning_rate=learning_rate, layers=layers)

    def trained(one: Subject) -> tuple[float, ...]:
        if y is None:
            return ()
        # What is so large that the loss overflows is a finding, not a fault.
        return tuple(one.train(x, y, steps=steps, learning_rate=trial_rate, loss=loss, seed=seed))

    before = look(subject)
    findings = symptoms.findings(before)
    kernels = subject.kernels()
    tried: list[Cure] = []
    losses: tuple[float, ...] = ()
    if findings and try_cure:
        losses = trained(subject)
        for proposal in cures.proposals(kernels, before):
            if proposal.on_data and any(not cure.findings for cure in tried):
                break  # a rule that needs no data does it
            try:
                copy = proposal.drawn(subject, x, seed)
                after = look(copy)
            except FastinitError:  # it does not suit a shape, or the data
                continue
            tried.append(Cure.of(proposal, copy, after))
        best = sorted(tried, key=lambda cure: (cure.count, cure.unevenness))[:TRAINED]
        tried = [
            dataclasses.replace(cure, losses=trained(subject_of(cure.model)))
            if cure in best
            else cure
            for cure in tried
        ]
        tried = _ranked(tried)
    return Diagnosis(
        model=type(subject.model).__name__,
        framework=subject.framework,
        parameters=sum(math.prod(kernel.shape) for kernel in kernels if kernel.trainable),
        before=before,
        findings=findings,
        tried=tuple(tried),
        losses=losses,
        steps=steps,
        trial_rate=trial_rate,
        learning_rate=float(learning_rate),
        seed=seed,
    )


TRAINED = 2
"""How many of the proposals that look best are trained, too."""

SIMPLER = 1.25
"""A proposal that comes earlier is preferred if its loss, or its unevenness, is at most this
multiple of the least."""


def _ranked(tried: Sequence[Cure]) -> list[Cure]:
    """Return what was tried, the best first."""
    if not tried:
        return []
    fewest = min(cure.count for cure in tried)
    fit = [cure for cure in tried if cure.count == fewest]
    if any(cure.losses for cure in fit):
        fit = [cure for cure in fit if cure.losses]
        least = min(_end(cure.losses) for cure in fit)
        start = max(cure.losses[0] for cure in fit)
        near = [one for one in fit if _end(one.losses) <= SIMPLER * least + 0.01 * start]
    else:
        least = min(cure.unevenness for cure in fit)
        near = [one for one in fit if one.unevenness <= SIMPLER * least + 1.0]
    best = (near or fit)[0]
    others = sorted(
        (cure for cure in tried if cure is not best), key=lambda one: (one.count, one.unevenness)
    )
    return [best, *others]


def _end(losses: Sequence[float]) -> float:
    """Return the mean loss of the last quarter of the steps; infinity if one is not finite."""
    last = losses[-max(1, len(losses) // 4) :]
    mean = sum(last) / len(last)
    return mean if math.isfinite(mean) else math.inf


def followed(after: Observation, finding: Finding) -> float | None:
    """Return the factor a layer that a finding's trend has in another look at the same network.

    Parameters
    ----------
    after : Observation
    finding : Finding

    Returns
    -------
    float or None
        None where the figure is not there.
    """
    trend = finding.trend
    assert trend is not None
    look = Look(after)
    if finding.figure == "gradient_through_time":
        return next((one.gradient_through_time for one in look.named(trend.layers)), None)
    for values in look.spreads if finding.figure == "spread" else look.gradients:
        some = [(name, value) for name, value in values if name in trend.layers]
        if len(some) > 1:
            return symptoms.factor([value for _name, value in some])
    return None


def headings(cure: Cure | None) -> tuple[str, ...]:
    """Return the column headings of the table, each of two lines.

    Parameters
    ----------
    cure : Cure or None
        With one there are columns of what it makes of spread, gradient and idle units.

    Returns
    -------
    tuple of str
    """
    after = _("\nafter")
    pairs = [_("spr-\nead"), _("grad-\nient"), _("idle\n%")]
    figures = [one for pair in pairs for one in ((pair, after) if cure else (pair,))]
    return (
        _("\nlayer"),
        _("act-\nivation"),
        _("std/\nrule"),
        *figures,
        _("cor-\nrel."),
        _("\nrank"),
        _("\nstep"),
    )


def _width(heading: str, *cells: str) -> int:
    return max(map(len, (*heading.split("\n"), *cells)))


def shortened(name: str, letters: int) -> str:
    """Return a layer's name in at most so many letters.

    Its first words become their first letters, as many as need be; what is still too long loses
    its middle.

    Parameters
    ----------
    name : str
    letters : int

    Returns
    -------
    str

    Examples
    --------
    >>> from fastinit.lab.diagnosis import shortened
    >>> shortened("transformer.blocks.11.attention.c_proj", 24)
    't.b.11.attention.c_proj'
    >>> shortened("a_layer_with_a_very_long_name", 15)
    'a_laye..ng_name'
    """
    words = name.split(".")
    for place in range(len(words) - 1):
        if len(".".join(words)) <= letters:
            break
        if not words[place][:1].isdigit():
            words[place] = words[place][:1]
    short = ".".join(words)
    if len(short) <= letters:
        return short
    start = max(1, (letters - 2) // 2)
    return f"{short[:start]}..{short[start + 2 - letters :]}"


def abridged(layers: Sequence[LayerFigures]) -> list[LayerFigures]:
    """Return the rows of a short table: of a deep network, ranges of layers in their place.

    Layers whose names differ by their first number alone are one run. The first and the last of a
    run stay; those between become a few ranges, "dense_1-12", with the median of each figure.

    Parameters
    ----------
    layers : sequence of LayerFigures

    Returns
    -------
    list of LayerFigures
    """
    if len(layers) <= MOST_ROWS:
        return list(layers)
    runs: dict[tuple[str, str, str], list[int]] = {}
    for layer in layers:
        before, place, after = _parts(layer.name)
        if place not in runs.setdefault((before, after, layer.kind), []):
            runs[before, after, layer.kind].append(place)
    # Those few that are in no run get a row each; the runs share the rest.
    chunks = max(1, (MOST_ROWS - len(layers) % 2) // max(1, len(runs)) - 2)
    rows: dict[tuple[Any, ...], list[LayerFigures]] = {}
    for layer in layers:
        before, place, after = _parts(layer.name)
        places = runs[before, after, layer.kind]
        index, inner = places.index(place), len(places) - 2
        chunk = index if index in (0, inner + 1) else -1 - (index - 1) * chunks // inner
        rows.setdefault((before, after, layer.kind, chunk), []).append(layer)
    return [_middle(members) for members in rows.values()]


def _parts(name: str) -> tuple[str, int, str]:
    """Return what stands before a name's first number, the number, and what follows."""
    found = re.search(r"\d+", name)
    if found is None:
        return name, -1, ""
    return name[: found.start()], int(found.group()), name[found.end() :]


def _scalars(layer: LayerFigures) -> dict[str, Any]:
    fields = dataclasses.asdict(layer)
    return {name: value for name, value in fields.items() if name not in HISTOGRAMS}


def _middle(members: Sequence[LayerFigures]) -> LayerFigures:
    """Return one row for a range of layers, with the median of each figure."""
    first = members[0]
    if len(members) == 1:
        return first
    before, start, after = _parts(first.name)
    figures: dict[str, Any] = {}
    for one in dataclasses.fields(LayerFigures):
        values = [getattr(layer, one.name) for layer in members]
        known = [value for value in values if isinstance(value, (int, float))]
        if known and one.name not in ("name", "kind", "activation"):
            figures[one.name] = sorted(known)[len(known) // 2]
    name = f"{before}{start}-{_parts(members[-1].name)[1]}{after}"
    return dataclasses.replace(first, name=name, **figures)


def _cells(layer: LayerFigures, after: LayerFigures | None, cure: bool) -> tuple[str, ...]:
    ratio = None
    if layer.weight_std is not None and layer.expected_std:
        ratio = layer.weight_std / layer.expected_std
    cells = [layer.name, layer.activation or "", _short(ratio)]
    for figure in (lambda one: one.spread, lambda one: one.gradient, _idle):
        cells.append(_short(figure(layer)))
        if cure:
            cells.append("" if after is None else _short(figure(after)))
    rest = (layer.correlation, layer.effective_rank, layer.update_ratio)
    return (*cells, *map(_short, rest))


def _idle(layer: LayerFigures) -> float | None:
    share = layer.dead if layer.dead is not None else layer.saturated
    return None if share is None else round(100 * share)


def _short(value: float | None) -> str:
    """Return a figure in at most five characters; nothing where there is none."""
    if value is None or math.isnan(value):
        return "" if value is None else "nan"
    size = abs(value)
    if value == int(value) and size < 1e4 if math.isfinite(value) else False:
        return number(value, ".0f")
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if size < 1e-2 or size >= 9999.5:
        mantissa, exponent = f"{value:.0e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    if size < 9.995:
        return number(value, ".2f")
    return number(value, ".1f" if size < 99.95 else ".0f")


def _legend(cure: Cure | None) -> str:
    lines = [
        _(
            "std / rule: spread of the weights, over what fan and activation call for. spread, "
            "gradient: what tells examples apart, and the loss's gradient, at the layer's output; "
            "best when level. idle: units that are dead or saturated. correl.: of two examples' "
            "outputs. rank: directions that the outputs spread over. step: of gradient descent, "
            "over the weights."
        )
    ]
    if cure is not None:
        lines.append(_("after: the same with {initializer}.").format(initializer=cure.name))
    return " ".join(lines)


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "name": finding.name,
        "layers": list(finding.layers),
        "evidence": finding.evidence,
        "values": dict(finding.values),
        "cause": None if finding.cause is None else dict(finding.cause),
        "figure": finding.figure,
        "trend": None if finding.trend is None else _trend(finding.trend),
    }


def _trend(trend: Trend) -> dict[str, Any]:
    return dataclasses.asdict(trend)
