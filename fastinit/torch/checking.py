"""`check`: what looks wrong about a model's parameters before it is trained."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fastinit.errors import ArgumentTypeError
from fastinit.fans import Fans
from fastinit.initializers import Initializer
from fastinit.sampling import Constant, Distribution, Normal, Sign, TruncatedNormal, Uniform
from fastinit.torch import layers
from fastinit.torch.recipes import Checked, Recipe, check_recipe, initializer_for
from fastinit.torch.sharding import is_distributed

__all__ = ["Finding", "Report", "check"]

# Without a recipe: by what factor a kernel's std may differ from 1 / sqrt(fan_in). Laws in use lie
# within it (N(0, 0.02) on any width from 32 on, residual projections of 100 layers, gains up to 5).
LEAST, MOST = 1 / 50, 8.0
# An estimate further than this many standard errors away is no accident.
SIGMAS = 6.0
# With a recipe, smaller deviations do not matter.
TOLERANCE = 0.02
# What no law draws, but memory that nobody has written to holds.
SMALLEST, LARGEST = 2.0**-126, 1e10


@dataclass(frozen=True)
class Finding:
    """Something about one parameter.

    `kind` is ``"uninitialized"``, ``"non-finite"``, ``"identical"``, ``"symmetric"``, ``"scale"``
    or ``"zero"``; the last is no problem by itself. `std`, `expected` and `fans` are None where
    they play no part.
    """

    name: str
    kind: str
    detail: str
    shape: tuple[int, ...] = ()
    fans: Fans | None = None
    std: float | None = None
    expected: float | None = None

    @property
    def problem(self) -> bool:
        """Whether it needs mending."""
        return self.kind != "zero"

    @property
    def factor(self) -> float | None:
        """How many times the expected standard deviation the parameter's is."""
        return self.std / self.expected if self.std is not None and self.expected else None


@dataclass(frozen=True)
class Report:
    """What `check` found: a sequence of findings, true where none is a problem, printed as a table.

    Examples
    --------
    >>> from fastinit.torch.checking import Report
    >>> print(Report((), 2))
    2 parameters: nothing found
    """

    findings: tuple[Finding, ...]
    parameters: int

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not any(finding.problem for finding in self.findings)

    def __bool__(self) -> bool:
        return self.ok

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __str__(self) -> str:
        if not self.findings:
            return f"{self.parameters} parameters: nothing found"
        problems = sum(finding.problem for finding in self.findings)
        rows = [("parameter", "finding", "fan_in", "std", "expected", "factor")]
        for one in self.findings:
            fan = "" if one.fans is None else _short(one.fans[0])
            numbers = (_short(one.std), _short(one.expected), _short(one.factor))
            rows.append((one.name, one.kind, fan, *numbers))
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        widths[0] = min(widths[0], WIDTH - sum(widths[1:]) - 2 * (len(widths) - 1))
        notes = len(self) - problems
        lines = [f"{self.parameters} parameters; problems: {problems}, notes: {notes}"]
        for number, row in enumerate(rows):
            cells = [_cut(row[0], widths[0]).ljust(widths[0]), row[1].ljust(widths[1])]
            cells += [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
            lines.append("  ".join(cells).rstrip())
            if number:
                lines.append("  " + _cut(self.findings[number - 1].detail, WIDTH - 2, end=True))
        return "\n".join(lines)

    __repr__ = __str__


WIDTH = 80


def check(model: nn.Module, recipe: Recipe | None = None) -> Report:
    r"""List what looks wrong about a model's parameters, best right after they were initialized.

    =============  =================================================================================
    kind           what it is
    =============  =================================================================================
    uninitialized  on the meta device, or lazy; or holding what no law draws but memory that nobody
                   wrote to does: numbers below 2^-126 that are not 0, or above 1e10
    non-finite     NaN or infinity
    identical      the same values as another parameter that is not tied to it; constants, and
                   vectors such as biases, aside
    symmetric      units of one layer with the same inputs and the same weights, so that they learn
                   the same
    scale          a kernel whose standard deviation is not the expected one
    zero           a kernel of zeros: right for the last one of a residual branch or a classifier,
                   and a mistake in most others. A note, no problem
    =============  =================================================================================

    The standard deviation that is expected is `recipe`'s where that has an initializer for the
    parameter; a finding is then a deviation of more than 2 percent and six standard errors.
    Otherwise it is 1 / sqrt(fan_in), with the fan that the layer really has
    (`fastinit.torch.layers.fans`); there are good reasons to be far from it, and a finding is a
    factor below 1/50 or above 8, also after six standard errors.

    DTensors are gathered, one after the other: all ranks must call it, and get the same report.

    Memory that nothing wrote to cannot be told from small random numbers where it holds such, or
    zeros. `fastinit.torch.materialize` knows it.

    Parameters
    ----------
    model : Module
        On any device; it is not changed.
    recipe : mapping, optional
        See `fastinit.torch.recipes`.

    Returns
    -------
    Report
        True where there is no problem (also as ``.ok``); a sequence of findings, in the order of
        the parameters; printed, a table.

    Raises
    ------
    ArgumentTypeError
        If `model` is no module, or `recipe` no recipe.

    Examples
    --------
    >>> import torch
    >>> from fastinit.torch import check, materialize
    >>> layer = materialize(lambda: torch.nn.Linear(300, 200), 0, {"weight": "normal(std=2)"})
    >>> print(check(layer))
    2 parameters; problems: 1, notes: 0
    parameter  finding  fan_in  std  expected  factor
    weight     scale       300    2    0.0577    34.7
      of shape (200, 300): more than 8 times 1 / sqrt(fan_in)
    """
    if not isinstance(model, nn.Module):
        raise ArgumentTypeError(f"model must be a module, got {type(model).__name__}")
    rules = check_recipe(recipe)
    findings: list[Finding] = []
    order: dict[str, int] = {}
    alike: dict[tuple[object, ...], list[tuple[str, Tensor]]] = defaultdict(list)
    with torch.no_grad():
        for module, name, names, parameter in layers.places(model):
            order[names[0]] = len(order)
            lazy = nn.parameter.is_lazy(parameter)
            if lazy or parameter.is_meta:
                what = "lazy: it has no shape yet" if lazy else "on the meta device"
                findings.append(Finding(names[0], "uninitialized", what))
                continue
            values = _gathered(parameter.detach())
            if not values.numel() or not values.is_floating_point():
                continue
            found = _fault(names[0], values) or _symmetry(module, name, names[0], values)
            if found is None:
                found = _scale(rules, module, name, names, values)
            if found is not None:
                findings.append(found)
            if values.ndim > 1 and (found is None or found.kind != "zero"):
                start = tuple(values.flatten()[:8].tolist())
                alike[values.dtype, tuple(values.shape), start].append(
                    (names[0], parameter.detach())
                )
        for group in alike.values():
            findings += _identical(group)
    findings.sort(key=lambda finding: order[finding.name])
    return Report(tuple(findings), len(order))


def _gathered(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if is_distributed(tensor) else tensor


def _fault(name: str, values: Tensor) -> Finding | None:
    shape = tuple(values.shape)
    size = values.abs()
    if not math.isfinite(size.max()):
        number = int((~torch.isfinite(values)).sum())
        detail = f"{number} of {values.numel()} values are not finite"
        return Finding(name, "non-finite", detail, shape)
    odd = ((size > 0) & (size < SMALLEST)) | (size > LARGEST)
    if odd.any():
        example = float(values[odd][0])
        detail = f"{int(odd.sum())} of {values.numel()} values are like {example:.3g}"
        return Finding(name, "uninitialized", detail, shape)
    return None


def _symmetry(module: nn.Module, name: str, qualified: str, values: Tensor) -> Finding | None:
    """Find units of a layer that have the same inputs and the same weights."""
    fans = layers.fans(module, name)
    if fans is None or values.ndim < 2:
        return None
    shape = tuple(values.shape)
    if not values.any():
        detail = f"of shape {shape}: gradients pass on when it has learned"
        return Finding(qualified, "zero", detail, shape, fans, 0.0)
    grouped = layers.groups_of(module)
    channels_first = layers.transposed(module) and not _looks_up(module)
    # (groups, units, weights): of a transposed convolution, the units lie along the second axis.
    if channels_first:
        units = values.unflatten(0, (grouped, -1)).transpose(1, 2).flatten(2)
    else:
        units = values.unflatten(0, (grouped, -1)).flatten(2)
    bits = -math.log2(torch.finfo(values.dtype).eps) + 1
    if units.shape[1] < 2 or units.shape[2] * bits < 2 * math.log2(units.shape[1]) + 20:
        return None  # so few bits that it is no wonder
    weights = torch.linspace(1.0, 2.0, units.shape[2], dtype=torch.float64).sqrt()
    marks = units.double().cpu() @ weights
    ordered, where = marks.sort(dim=1)
    same = ordered[:, 1:] == ordered[:, :-1]
    pairs = 0
    for group, at in same.nonzero().tolist():
        one, other = units[group, where[group, at]], units[group, where[group, at + 1]]
        pairs += bool(torch.equal(one, other) and one.any())
    if not pairs:
        return None
    number = units.shape[0] * units.shape[1]
    return Finding(
        qualified, "symmetric", f"{pairs} of {number} units are copies of another", shape, fans
    )


def _looks_up(module: nn.Module) -> bool:
    return isinstance(module, (nn.Embedding, nn.EmbeddingBag))


def _scale(
    rules: Checked, module: nn.Module, name: str, names: tuple[str, ...], values: Tensor
) -> Finding | None:
    """Compare a parameter's standard deviation with the one that is expected."""
    shape, fans = tuple(values.shape), layers.fans(module, name)
    number = values.numel()
    std, error = _std(values)
    rule = initializer_for(rules, module, name, names, values)
    expected = None if rule is None else _std_of(rule, layers.catalogue_shape(module, values))
    if expected is not None:
        slack = SIGMAS * error + TOLERANCE * expected
        if abs(std - expected) <= slack:
            return None
        detail = f"of shape {shape}: the recipe has {rule!r}"
        return Finding(names[0], "scale", detail, shape, fans, std, expected)
    if rule is not None or fans is None or number < 2 or fans[0] <= 0:
        return None
    expected = 1.0 / math.sqrt(fans[0])
    if std - SIGMAS * error > MOST * expected:
        detail = f"of shape {shape}: more than {MOST:g} times 1 / sqrt(fan_in)"
    elif std + SIGMAS * error < LEAST * expected * (0.1 if _looks_up(module) else 1.0):
        detail = f"of shape {shape}: less than {LEAST:g} times 1 / sqrt(fan_in)"
    else:
        return None
    return Finding(names[0], "scale", detail, shape, fans, std, expected)


def _std(values: Tensor) -> tuple[float, float]:
    """Return the root mean square about the mean, and its standard error."""
    wide = values.to(torch.promote_types(values.dtype, torch.float32))
    largest = float((wide - wide.mean()).abs().max())
    if not largest:
        return 0.0, 0.0
    square = ((wide - wide.mean()) / largest).square()  # so that no fourth power is too small
    variance = float(square.mean())
    kurtosis = float(square.square().mean()) / variance**2
    std = largest * math.sqrt(variance)
    return std, std * math.sqrt(max(kurtosis - 1.0, 0.0) / (4 * values.numel()))


def _std_of(rule: Initializer, shape: tuple[int, ...]) -> float | None:
    """Return the standard deviation that an initializer gives, where it is known."""
    try:
        return _std_of_law(rule.distribution(shape))
    except ArgumentTypeError:  # it has no law
        return None


def _std_of_law(law: Distribution) -> float | None:
    match law:
        case Constant():
            return 0.0
        case Normal():
            return law.std
        case Uniform():
            return (law.high - law.low) / math.sqrt(12.0)
        case Sign():
            return law.scale
        case TruncatedNormal():
            lower, upper = law.lower, law.upper
            if law.absolute and law.std:
                lower, upper = ((bound - law.mean) / law.std for bound in (lower, upper))
            return law.std * _truncated_std(lower, upper)
    return None


def _truncated_std(lower: float, upper: float) -> float:
    mass = 0.5 * (math.erfc(lower / math.sqrt(2)) - math.erfc(upper / math.sqrt(2)))
    if mass < 1e-6:
        return math.nan  # a far tail: this formula loses it
    below, above = (math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi) for z in (lower, upper))
    first = (below - above) / mass
    second = sum(
        sign * z * density
        for sign, z, density in ((1, lower, below), (-1, upper, above))
        if math.isfinite(z)
    )
    return math.sqrt(max(1.0 + second / mass - first**2, 0.0))


def _identical(group: list[tuple[str, Tensor]]) -> Iterator[Finding]:
    """Find parameters with another's values, among those that begin alike."""
    if len(group) > 1:
        group = [(name, _gathered(values)) for name, values in group]
    for i, (name, values) in enumerate(group if len(group) > 1 else []):
        if (values == values.flatten()[0]).all():
            continue
        for other, theirs in group[:i]:
            if theirs.device == values.device and torch.equal(theirs, values):
                detail = f"of shape {tuple(values.shape)}: the values of {other}"
                yield Finding(name, "identical", detail, tuple(values.shape))
                break


def _short(number: float | None) -> str:
    return "" if number is None else f"{number:.3g}"


def _cut(text: str, width: int, end: bool = False) -> str:
    if len(text) <= width:
        return text
    return text[: width - 3] + "..." if end else "..." + text[len(text) - width + 3 :]
