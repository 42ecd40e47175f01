"""From p-values to a verdict, and to the table that says why.

Perfect numbers give p-values that are uniform on [0, 1]. The stream fails if one of them is below
SMALLEST: that happens to perfect numbers once in ten million runs, with the thousand p-values that
a run has (Bonferroni). It fails too if all together are far from uniform. And the run is worth
nothing, so it fails, if a test let its faulty stream pass.
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats

SMALLEST = 1e-10
FAR_FROM_UNIFORM = 1e-6

# Numbers that must be equal have p-values of 0 or 1. And dieharder's, which it computes by
# approximations, are good enough to be judged one by one, but not to be uniform.
EXACT = {"known answers", "16 bits"}
NOT_UNIFORM = {*EXACT, "dieharder"}


@dataclass(frozen=True)
class Row:
    """What a check gave."""

    group: str
    name: str
    control: bool
    p: dict[str, float]
    seconds: float = 0.0


def faults(rows: list[Row]) -> list[str]:
    """Return what is wrong, a line each."""
    found = [
        f"{row.group}: {row.name}: {statistic}: p = {p:.2g}"
        for row in rows
        if not row.control
        for statistic, p in row.p.items()
        if not p >= SMALLEST  # nan is a fault
    ]
    found += [
        f"{row.group}: the control was let pass: {row.name}: p = {min(row.p.values()):.2g}"
        for row in rows
        if row.control and not min(row.p.values()) < SMALLEST
    ]
    if (p := uniformity(rows)) < FAR_FROM_UNIFORM:
        found.append(f"the p-values together are not uniform: p = {p:.2g}")
    return found


def uniformity(rows: list[Row]) -> float:
    """Return the p-value of Kolmogorov and Smirnov's test of the p-values."""
    rows = [row for row in rows if not row.control and row.group not in NOT_UNIFORM]
    p = [value for row in rows for value in row.p.values()]
    return float(stats.kstest(p, "uniform").pvalue) if p else 1.0


HEADER = ("test", "p-values", "smallest", "faulty stream", "its p")


def table(rows: list[Row]) -> list[tuple[str, ...]]:
    """Return a line a group: how many p-values, the smallest, and the faulty stream's."""
    lines = []
    for group in dict.fromkeys(row.group for row in rows if not row.control):
        ours = [row for row in rows if row.group == group and not row.control]
        control = next(row for row in rows if row.group == group and row.control)
        p = [value for row in ours for value in row.p.values()]
        figures = (_shown(min(p), group), control.name, _shown(min(control.p.values()), group))
        lines.append((group, str(len(p)), *figures))
    return lines


def _shown(p: float, group: str) -> str:
    if group in EXACT:
        return "equal" if p == 1.0 else "not equal"
    return f"{p:.2g}" if p >= 1e-99 else "< 1e-99"


def markdown(rows: list[Row], draws: int) -> str:
    """Return the table of docs/quality.md."""
    lines = [f"| {' | '.join(cells)} |" for cells in (HEADER, ("---",) * len(HEADER), *table(rows))]
    number = sum(len(row.p) for row in rows if not row.control)
    said = "fail" if faults(rows) else "pass"
    lines += ["", f"{draws:,} draws a law; {number} p-values in all, uniform with p = "]
    lines[-1] += f"{uniformity(rows):.2g}. Verdict: {said}."
    return "\n".join(lines) + "\n"
