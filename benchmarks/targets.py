"""The contests of this folder's programs, what fastinit must reach in each, and what is printed."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from fastinit.bench import contests
from fastinit.bench.contests import Fills
from fastinit.bench.fills import MEMORY

# What is not installed, and so left out.
missing: set[str] = set()


class Target(NamedTuple):
    """What fastinit must reach: "at least" so many times a peer's speed, or "at most" of its time.

    A peer stands for the fastest of the contestants whose names begin like it.
    """

    peer: str
    kind: str
    bound: float


class Contest(NamedTuple):
    """A row: `contestants(elements)` gives a fill a name; the first is fastinit's."""

    name: str
    contestants: Callable[[int], Fills]
    targets: tuple[Target, ...]
    elements: int | None = None  # by default those of --elements
    repeats: int = 1  # calls a sample
    written: int = 0  # bytes an element, where it makes sense to compare with the memory


def faster(peer: str, times: float) -> Target:
    return Target(peer, "at least", times)


def within(peer: str, share: float) -> Target:
    return Target(peer, "at most", share)


def measure(contest: Contest, elements: int, rounds: int) -> dict[str, float]:
    """Return the median nanoseconds an element of every contestant."""
    size = contest.elements or elements
    times = contests.measure(contest.contestants(size), rounds, contest.repeats)
    return {name: statistics.median(t) / size * 1e9 for name, t in times.items()}


def figure_of(target: Target, ns: dict[str, float]) -> float | None:
    """Return the ratio that a target is about, or None if the peer is not there."""
    theirs = [t for name, t in ns.items() if name.startswith(target.peer)]
    if not theirs:
        return None
    ours = next(iter(ns.values()))
    return min(theirs) / ours if target.kind == "at least" else ours / min(theirs)


def check(what: str, kind: str, bound: float, unit: str, figure: float) -> dict[str, Any]:
    met = figure >= bound if kind == "at least" else figure <= bound
    return {"what": what, "target": f"{kind} {bound:g}{unit}", "figure": figure, "met": met}


def checks_of(contest: Contest, ns: dict[str, float]) -> list[dict[str, Any]]:
    """Return what became of a contest's targets, where the peer is there."""
    figures = [(target, figure_of(target, ns)) for target in contest.targets]
    return [
        check(f"{contest.name} / {target.peer}", target.kind, target.bound, "x", figure)
        for target, figure in figures
        if figure is not None
    ]


def run(rows: Iterable[Contest], elements: int, rounds: int) -> tuple[list[Any], list[Any]]:
    """Measure and print every row; return the rows, and what became of their targets."""
    measured, checks = [], []
    for contest in rows:
        ns = measure(contest, elements, rounds)
        if not ns:
            continue
        ours = next(iter(ns.values()))
        limit = min((ns[name] for name in MEMORY if name in ns), default=0.0)
        bandwidth = contest.written / limit if limit else None  # GB/s
        share = f"of {bandwidth:.1f} GB/s" if bandwidth else ""
        print(f"\n{contest.name:44}{'ns/element':>12}{'ratio':>8}{share:>14}")
        for name, t in ns.items():
            share = f"{limit / t:.0%}" if bandwidth else ""
            print(f"  {name:42}{t:12.3f}{t / ours:7.2f}x{share:>14}")
        measured.append({"row": contest.name, "ns": ns, "bandwidth": bandwidth})
        checks += checks_of(contest, ns)
    return measured, checks


def print_checks(checks: Iterable[dict[str, Any]]) -> None:
    print(f"\n{'':46}{'target':15}{'figure':>9}")
    for row in checks:
        verdict = "met" if row["met"] else "MISSED"
        print(f"{row['what']:46}{row['target']:15}{row['figure']:9.2f}{verdict:>9}")
    if missing:
        print(f"\nleft out, not there: {', '.join(sorted(missing))}")
