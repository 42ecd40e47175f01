"""Which initializers might cure a network, each of them tried: drawn anew, looked at, trained.

A proposal names an initializer for every kernel and bias; nothing is proposed unseen.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import fastinit
from fastinit import gains, meanfield
from fastinit.errors import ArgumentError, FastinitError
from fastinit.initializers import Initializer
from fastinit.lab import symptoms
from fastinit.lab.observation import Observation
from fastinit.lab.report.languages import N_, _
from fastinit.lab.symptoms import Finding

if TYPE_CHECKING:
    from fastinit.lab.subjects import Kernel, Subject

__all__ = ["Cure", "Proposal", "proposals", "rule_for", "unevenness"]

RULES: dict[str | None, str] = {
    **dict.fromkeys(("relu", "relu6", "leaky_relu"), "he_normal()"),
    **dict.fromkeys((None, "linear", "tanh", "sigmoid", "softsign", "erf"), "glorot_uniform()"),
    **dict.fromkeys(("hard_tanh", "hard_sigmoid"), "glorot_uniform()"),
    "selu": "lecun_normal()",
}
"""The customary rules; other activations get the gain that keeps their second moment."""

LATEST_STD = 0.02
"""Of transformers' kernels and embeddings, as in GPT-2."""

BRANCHES = N_("{rule}, branch ends / sqrt({count})")


@dataclass(frozen=True)
class Proposal:
    """A way to draw a network anew.

    Attributes
    ----------
    title : str
        Short, as the table shows it: an initializer, or an English phrase with ``{placeholders}``.
    what : str
        In a sentence.
    draw : mapping of str to Initializer
        By the names of parameters.
    on_data : bool
        Whether the weights are then scaled layer by layer on the examples, unit by unit, to mean 0
        and variance 1 (`data_dependent`).
    values : mapping
        What stands in place of the title's placeholders.
    """

    title: str
    what: str
    draw: Mapping[str, Initializer]
    on_data: bool = False
    values: Mapping[str, Any] = field(default_factory=dict)

    def drawn(self, subject: Subject, x: Any, seed: int) -> Subject:
        """Return a copy of a subject that is drawn so.

        Parameters
        ----------
        subject : Subject
        x : array_like
            The examples that `on_data` scales by.
        seed : int

        Returns
        -------
        Subject

        Raises
        ------
        FastinitError
            If a shape or the data does not suit.
        """
        drawn = subject.reinitialized(self.draw, seed)
        if self.on_data:
            drawn.scale_on_data(x, seed)
        return drawn


@dataclass(frozen=True)
class Cure:
    """A proposal that was tried.

    Attributes
    ----------
    title, what : str
        Of the proposal.
    values : mapping
        Of the title.
    draw : mapping of str to Initializer
        By the names of parameters.
    after : Observation
        The same look as before, at the network drawn so.
    findings : tuple of Finding
        What is wrong then.
    unevenness : float
        Powers of e by which spread and gradient change over the depth, all stretches together.
    losses : tuple of float
        Of the first steps of training; empty where there were no targets, or it was not trained.
    model : object
        The copy itself, untrained: ready to be used.
    """

    title: str
    what: str
    values: Mapping[str, Any]
    draw: Mapping[str, Initializer] = field(repr=False)
    after: Observation = field(repr=False)
    findings: tuple[Finding, ...]
    unevenness: float
    losses: tuple[float, ...] = field(repr=False)
    model: Any = field(repr=False, compare=False)

    @classmethod
    def of(cls, proposal: Proposal, subject: Subject, after: Observation) -> Cure:
        """Return a proposal with what one look at the network drawn so has shown."""
        return cls(
            proposal.title,
            proposal.what,
            proposal.values,
            proposal.draw,
            after,
            symptoms.findings(after),
            unevenness(after),
            (),
            subject.model,
        )

    @property
    def name(self) -> str:
        """The title, in the current language."""
        return _(self.title).format(**self.values)

    @property
    def count(self) -> int:
        """How many things are wrong then."""
        return len({one.name for one in self.findings})

    @property
    def verdict(self) -> str:
        """What :data:`fastinit.lab.symptoms.RULES` say of it."""
        return symptoms.verdict(self.findings)

    @property
    def initializers(self) -> dict[str, str]:
        """The initializers in words, by patterns of parameters' names."""
        return _patterns(self.draw)


def proposals(kernels: Sequence[Kernel], seen: Observation) -> Iterator[Proposal]:
    """Yield what might cure a network, the simplest first.

    Parameters
    ----------
    kernels : sequence of Kernel
        Its parameters.
    seen : Observation

    Yields
    ------
    Proposal
        The customary rule of each activation; orthogonal kernels at the edge of chaos; where there
        are residual branches, the rules with their ends scaled down by depth; where there are
        normalized blocks, GPT-2's; where there are recurrent layers, recurrent kernels that keep
        the state and inputs that do not fill it; last, kernels scaled on the data.
    """
    kernels = [kernel for kernel in kernels if kernel.trainable]
    biases = {one.name: fastinit.get("zeros") for one in kernels if one.role == "bias"}
    hidden = [one for one in kernels if one.role in ("kernel", "recurrent", "output")]
    if not hidden:
        return
    by_rule = {one.name: _by_rule(one) for one in hidden}
    name = _commonest(hidden, by_rule)
    ends = [one for one in hidden if one.branch_end]
    normalized = any(symptoms.is_normalization(layer) for layer in seen.layers)
    recurrent = [one for one in hidden if one.role == "recurrent"]
    if recurrent:
        yield from _recurrent(hidden, recurrent, biases, by_rule, seen)
    else:
        yield Proposal(
            name, N_("the customary rule for each activation, biases 0"), {**by_rule, **biases}
        )
    if ends:
        share = 1.0 / len(ends)
        scaled = {one.name: _by_rule(one, share) for one in ends}
        yield Proposal(
            BRANCHES,
            N_(
                "the customary rules; the last kernel of each residual branch divided by the root "
                "of their number, biases 0"
            ),
            {**by_rule, **scaled, **biases},
            values={"rule": name, "count": len(ends)},
        )
        if normalized:
            small = fastinit.get("normal", std=LATEST_STD)
            last = fastinit.get("normal", std=LATEST_STD / math.sqrt(len(ends)))
            everywhere = {
                one.name: small
                for one in kernels
                if one.role in ("kernel", "recurrent", "output", "embedding")
            }
            yield Proposal(
                BRANCHES,
                N_(
                    "GPT-2's: normal kernels and embeddings, the last kernel of each residual "
                    "branch divided by the root of their number, biases 0"
                ),
                {**everywhere, **{one.name: last for one in ends}, **biases},
                values={"rule": f"normal({LATEST_STD:g})", "count": len(ends)},
            )
    if not recurrent:
        yield Proposal(
            "orthogonal",
            N_("orthogonal kernels with the gain of the edge of chaos, biases 0"),
            {**{one.name: _orthogonal(one) for one in hidden}, **biases},
        )
        if any(len(one.shape) > 2 for one in hidden):
            yield Proposal(
                "delta_orthogonal",
                N_(
                    "orthogonal kernels at the centre of each window, with the gain of the edge "
                    "of chaos, biases 0"
                ),
                {**{one.name: _orthogonal(one, centred=True) for one in hidden}, **biases},
            )
        yield Proposal(
            "data_dependent",
            N_("each unit's input scaled and shifted on the examples to mean 0 and variance 1"),
            {**by_rule, **biases},
            on_data=True,
        )


def rule_for(activation: str | None) -> Initializer:
    """Return the customary initializer for kernels before an activation.

    Parameters
    ----------
    activation : str or None

    Returns
    -------
    Initializer

    Examples
    --------
    >>> from fastinit.lab.cures import rule_for
    >>> rule_for("relu"), rule_for("tanh"), rule_for("selu")
    (he_normal(), glorot_uniform(), lecun_normal())
    >>> rule_for("gelu")
    variance_scaling(scale=2.352, distribution='normal')
    """
    if activation in RULES:
        return fastinit.get(RULES[activation])
    scale = float(f"{_gain(activation) ** 2:.4g}")
    return fastinit.get("variance_scaling", scale=scale, distribution="normal")


def unevenness(seen: Observation) -> float:
    """Return by how many powers of e spread and gradient change over the depth.

    The greatest fall and the greatest growth of each, added up; infinity where one ends or
    overflows.

    Parameters
    ----------
    seen : Observation

    Returns
    -------
    float
    """
    look, total = symptoms.Look(seen), 0.0
    for values in (*look.spreads, *look.gradients):
        for down in (False, True):
            trend = symptoms.steepest(values, down=down)
            if trend is not None:
                total += abs(math.log(trend.total)) if trend.total > 0 else math.inf
    for layer in seen.layers:
        factor = layer.gradient_through_time
        if factor is not None and layer.steps:
            total += abs(math.log(factor)) * layer.steps if factor > 0 else math.inf
    return total


def _by_rule(kernel: Kernel, share: float = 1.0) -> Initializer:
    if kernel.role == "recurrent":
        return fastinit.get("orthogonal")
    rule = rule_for(None if kernel.role == "output" else kernel.activation)
    if share == 1.0:
        return rule
    scale = 2.0 if kernel.activation in ("relu", "relu6", "leaky_relu") else 1.0
    return fastinit.get("variance_scaling", scale=scale * share, distribution="normal")


def _orthogonal(kernel: Kernel, *, centred: bool = False) -> Initializer:
    if kernel.role == "recurrent":
        return fastinit.get("orthogonal")
    if centred and 2 < len(kernel.shape) < 6 and kernel.shape[-2] <= kernel.shape[-1]:
        wide = math.sqrt(kernel.shape[-1] / kernel.shape[-2])
        gain = _critical_gain(kernel.activation) * wide
        return fastinit.get("delta_orthogonal", gain=float(f"{gain:.4g}"))
    rows, columns = math.prod(kernel.shape[:-1]), kernel.shape[-1]
    # More outputs than inputs: each output has the variance that its fan calls for.
    wide = math.sqrt(max(1.0, columns / rows))
    gain = 1.0 if kernel.role == "output" else _critical_gain(kernel.activation)
    return fastinit.get("orthogonal", gain=float(f"{gain * wide:.4g}"))


def _critical_gain(activation: str | None) -> float:
    """Return sigma_w at the edge of chaos, with the biases 0 where there is such a point."""
    if activation is None or activation == "linear":
        return 1.0
    try:
        sigma_w, sigma_b = meanfield.edge_of_chaos(activation, 1e-2)
    except ArgumentError:
        return _gain(activation)
    return sigma_w if sigma_b < 0.1 else _gain(activation)


def _gain(activation: str | None) -> float:
    try:
        return gains.gain(activation or "linear")
    except FastinitError:  # a function of the user's own
        return 1.0


def _recurrent(
    hidden: Sequence[Kernel],
    recurrent: Sequence[Kernel],
    biases: Mapping[str, Initializer],
    by_rule: Mapping[str, Initializer],
    seen: Observation,
) -> Iterator[Proposal]:
    gated = [one for one in recurrent if _gates(one) > 1]
    steps = max((layer.steps or 1 for layer in seen.layers), default=1)
    layers = {one.layer for one in recurrent}
    forget = {name: fastinit.get("lstm_forget_bias") for name in _first_biases(recurrent, biases)}
    yield Proposal(
        N_("orthogonal recurrent, forget bias 1") if forget else N_("orthogonal recurrent"),
        N_(
            "orthogonal recurrent kernels, the customary rule for all others, biases 0 but those "
            "of forget gates"
        ),
        {**by_rule, **biases, **forget},
    )
    small = {
        one.name: fastinit.get("variance_scaling", scale=1.0 / steps, distribution="normal")
        for one in hidden
        if one.layer in layers and one.role == "kernel"
    }
    if gated:
        chrono = {
            name: fastinit.get("lstm_forget_bias", value=round(math.log(max(steps, 3) - 1.0), 3))
            for name in forget
        }
        if chrono:
            yield Proposal(
                N_("orthogonal recurrent, forget bias log(steps)"),
                N_(
                    "orthogonal recurrent kernels, forget gates open for as long as an example "
                    "lasts"
                ),
                {**by_rule, **biases, **chrono},
            )
        return
    of_layer = {layer.name: layer.activation for layer in seen.layers}
    relu = [one for one in recurrent if of_layer.get(one.layer, one.activation) == "relu"]
    keep = {one.name: fastinit.get("identity") for one in relu}
    yield Proposal(
        N_("{rule} recurrent, inputs / sqrt(steps)"),
        N_(
            "recurrent kernels that keep the state, and input kernels so small that the steps "
            "together do not fill it"
        ),
        {**by_rule, **small, **keep, **biases},
        values={"rule": "identity" if relu else "orthogonal"},
    )


def _gates(kernel: Kernel) -> int:
    return round(max(kernel.shape) / min(kernel.shape)) if min(kernel.shape) else 1


def _first_biases(recurrent: Sequence[Kernel], biases: Mapping[str, Initializer]) -> list[str]:
    """Return one bias for each LSTM: PyTorch adds two, and sums them."""
    first = []
    for kernel in recurrent:
        if "LSTM" not in kernel.kind:
            continue
        stem = kernel.name.replace("weight_hh", "bias_hh").replace("recurrent_kernel", "bias")
        if stem in biases:
            first.append(stem)
    return first


def _commonest(hidden: Sequence[Kernel], draw: Mapping[str, Initializer]) -> str:
    """Return the name of the initializer that most hidden kernels get."""
    inner = [one for one in hidden if one.role == "kernel"] or list(hidden)
    named = Counter(repr(draw[one.name]).removesuffix("()") for one in inner)
    return named.most_common(1)[0][0]


def _patterns(draw: Mapping[str, Initializer]) -> dict[str, str]:
    """Return the shortest mapping from patterns to initializers: one line for all that agree."""
    words = {name: repr(initializer) for name, initializer in draw.items()}
    patterns: dict[str, str] = {}
    for ending in dict.fromkeys(name.rpartition(".")[2] for name in words):
        members = {n: w for n, w in words.items() if n.rpartition(".")[2] == ending}
        common = Counter(members.values()).most_common(1)[0][0]
        patterns |= {n: w for n, w in members.items() if w != common}
        patterns[f"*.{ending}" if "." in next(iter(members)) else ending] = common
    return patterns
