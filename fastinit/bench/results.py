"""What a measurement found: rows of contestants, the machine, and the JSON that holds them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from fastinit.bench.fills import LAWS, MEMORY, PACKAGES
from fastinit.errors import ArgumentError
from fastinit.lab.files import as_json

__all__ = ["Results", "Row", "Spread", "spread"]


class Spread(NamedTuple):
    """The middle of several samples, and between what the middle half of them lies."""

    low: float
    median: float
    high: float

    def times(self, factor: float) -> Spread:
        """Return it in another unit."""
        return Spread(*(factor * value for value in self))


def spread(samples: Iterable[float]) -> Spread:
    """Return the quartiles of samples.

    Parameters
    ----------
    samples : iterable of float
        One at least.

    Returns
    -------
    Spread

    Examples
    --------
    >>> from fastinit.bench.results import spread
    >>> spread([5.0, 1.0, 2.0, 3.0, 4.0])
    Spread(low=2.0, median=3.0, high=4.0)
    """
    return Spread(*(float(q) for q in np.quantile(list(samples), (0.25, 0.5, 0.75))))


@dataclass(frozen=True)
class Row:
    """What one contest gave.

    Attributes
    ----------
    what : str
        One of the laws, or what was called.
    elements : int
        Of the tensor that each call makes.
    seconds : mapping
        Name of a contestant -> Spread of the seconds a call.
    """

    what: str
    elements: int
    seconds: Mapping[str, Spread]

    def libraries(self) -> dict[str, Spread]:
        """Return library -> the faster of its ways; what only writes is called ``"memory"``."""
        found = {}
        for library in (*PACKAGES, "memory"):
            names = MEMORY if library == "memory" else (library,)
            ways = [s for name, s in self.seconds.items() if name.startswith(names)]
            if ways:
                found[library] = min(ways, key=lambda way: way.median)
        return found

    def nanoseconds(self) -> dict[str, Spread]:
        """Return :meth:`libraries`, in nanoseconds an element."""
        factor = 1e9 / self.elements
        return {library: s.times(factor) for library, s in self.libraries().items()}


@dataclass(frozen=True)
class Results:
    """All rows of a run, and what they were measured on.

    Attributes
    ----------
    about : dict
        ``processor``, ``backend``, ``threads``, ``dtype``, ``versions`` (library -> version),
        ``absent`` (library -> why it was left out).
    rows : sequence of Row
    """

    about: Mapping[str, Any]
    rows: list[Row] = field(default_factory=list)

    def of(self, what: str) -> list[Row]:
        """Return the rows of a law or a call, by size."""
        return sorted((r for r in self.rows if r.what == what), key=lambda row: row.elements)

    @property
    def laws(self) -> list[str]:
        """The laws that were measured."""
        return [law for law in LAWS if self.of(law)]

    @property
    def calls(self) -> list[Row]:
        """The rows of what is no law."""
        return [row for row in self.rows if row.what not in LAWS]

    @property
    def unrest(self) -> float:
        """How wide the middle half of samples typically is, as a share of the median."""
        widths = [(s.high - s.low) / s.median for row in self.rows for s in row.seconds.values()]
        return float(np.median(widths)) if widths else 0.0

    def to_json(self) -> str:
        """Return everything as JSON, which :meth:`from_json` reads."""
        rows = [
            {"what": row.what, "elements": row.elements, "seconds": dict(row.seconds)}
            for row in self.rows
        ]
        return as_json({"about": dict(self.about), "rows": rows})

    @classmethod
    def from_json(cls, text: str) -> Results:
        """Read what :meth:`to_json` wrote.

        Parameters
        ----------
        text : str

        Returns
        -------
        Results

        Raises
        ------
        ArgumentError
            If it is something else.
        """
        try:
            document = json.loads(text)
            rows = [
                Row(
                    row["what"],
                    row["elements"],
                    {name: Spread(*three) for name, three in row["seconds"].items()},
                )
                for row in document["rows"]
            ]
            return cls(document["about"], rows)
        except (ValueError, KeyError, TypeError) as error:
            raise ArgumentError(f"these are no results of fastinit bench: {error!r}") from error
