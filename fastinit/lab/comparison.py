"""``compare``: train the same networks from several initializers and say what happened."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastinit
from fastinit.lab import cells, rules, terminal
from fastinit.lab.plan import (
    DEFAULT_ACTIVATIONS,
    DEFAULT_HIDDEN,
    DEFAULT_INITIALIZERS,
    Plan,
    as_count,
    make_plan,
)
from fastinit.lab.records import Record, summarise
from fastinit.lab.runs import Run, Task

if TYPE_CHECKING:
    import pandas

__all__ = ["Comparison", "Group", "Interrupted", "compare"]


@dataclass(frozen=True)
class Group:
    """The part of a comparison that one table shows: one network, every initializer.

    Attributes
    ----------
    activation : str
    hidden : tuple of int
    records : tuple of Record
    runs : tuple of Run
    """

    activation: str
    hidden: tuple[int, ...]
    records: tuple[Record, ...]
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Attributes
    ----------
    plan : Plan
        What was run.
    runs : tuple of Run
        Every training run, in the order of the plan. An interrupted comparison has fewer than
        the plan.
    """

    plan: Plan = field(repr=False)
    runs: tuple[Run, ...] = field(repr=False)

    def __post_init__(self) -> None:
        order = {_identity(task): index for index, task in enumerate(self.plan.tasks)}
        runs = sorted(self.runs, key=lambda run: order[_identity(run)])
        object.__setattr__(self, "runs", tuple(runs))

    @cached_property
    def records(self) -> tuple[Record, ...]:
        """One :class:`Record` for each initializer in each network."""
        return summarise(self.runs)

    @property
    def verdicts(self) -> dict[tuple[str, tuple[int, ...], str], str]:
        """``(activation, hidden, initializer) -> verdict``."""
        return {(r.activation, r.hidden, r.initializer): r.verdict for r in self.records}

    @property
    def groups(self) -> tuple[Group, ...]:
        """The records and runs, network by network."""

        def network(item: Record | Run) -> tuple[str, tuple[int, ...]]:
            return item.activation, item.hidden

        runs = {key: tuple(found) for key, found in groupby(self.runs, key=network)}
        return tuple(
            Group(*key, records=tuple(found), runs=runs[key])
            for key, found in groupby(self.records, key=network)
        )

    def table(self, width: int = 80) -> str:
        """Return the tables that ``fastinit compare`` prints, as plain text.

        Parameters
        ----------
        width : int, default 80
            Columns to fit into.

        Returns
        -------
        str
        """
        return terminal.text(self, width)

    def to_frame(self) -> pandas.DataFrame:
        """Return the records as a data frame, one row each; ``hidden`` as text, ``"64-64"``."""
        import pandas

        frame = pandas.DataFrame([dataclasses.asdict(record) for record in self.records])
        frame["hidden"] = [cells.architecture(record.hidden) for record in self.records]
        return frame.astype({"epochs_to_goal": "Int64"})

    def to_json(self) -> str:
        """Return settings, rules, records and runs as one JSON object.

        Figures that are not finite become null: JSON has no name for them.
        """
        document = {
            "fastinit": fastinit.__version__,
            "data": {
                "name": self.plan.data.name,
                "train_rows": len(self.plan.data.x_train),
                "test_rows": len(self.plan.data.x_test),
                "features": self.plan.data.x_train.shape[1],
                "classes": list(self.plan.data.classes),
                "constant_loss": self.plan.data.constant_loss,
                "constant_accuracy": self.plan.data.constant_accuracy,
            },
            "training": dataclasses.asdict(self.plan.training),
            "rules": {rule.verdict: rule.when for rule in rules.RULES},
            "records": [dataclasses.asdict(record) for record in self.records],
            "runs": [dataclasses.asdict(run) | {"verdict": run.verdict} for run in self.runs],
        }
        return json.dumps(_finite(document), indent=2, allow_nan=False)

    def write(self, folder: str | Path) -> tuple[Path, Path]:
        """Write ``index.html`` and ``results.csv``, each whole or not at all.

        Parameters
        ----------
        folder : str or path
            Made if it is not there; files of these names in it are replaced.

        Returns
        -------
        tuple of path
            The two files.

        Raises
        ------
        OSError
            If the folder cannot be written.
        """
        from fastinit.lab import report  # loads Matplotlib, which the training has no use for

        return report.write(self, Path(folder))


class Interrupted(KeyboardInterrupt):
    """The user interrupted a comparison.

    Attributes
    ----------
    comparison : Comparison
        The runs that had ended.
    """

    def __init__(self, comparison: Comparison) -> None:
        total = len(comparison.plan.tasks)
        super().__init__(f"interrupted after {len(comparison.runs)} of {total} runs")
        self.comparison = comparison


def compare(
    initializers: Sequence[Any] = DEFAULT_INITIALIZERS,
    *,
    activations: Sequence[str] = DEFAULT_ACTIVATIONS,
    hidden: Sequence[Any] = DEFAULT_HIDDEN,
    data: Any = "digits",
    target: str | None = None,
    epochs: int = 20,
    batch_size: int = 32,
    optimizer: str = "sgd",
    learning_rate: float | None = None,
    seeds: int = 3,
    goal: float = 0.9,
    jobs: int | None = None,
    progress: bool = False,
) -> Comparison:
    """Train the same networks from each initializer and say what happened.

    Parameters
    ----------
    initializers : sequence, optional
        Names, call-like strings such as ``"normal(std=0.01)"``, initializers or callables:
        whatever :func:`fastinit.get` takes. By default the classic mistakes and the classic rules.
    activations : sequence of str, default ("relu", "tanh", "sigmoid")
        Activations of the hidden layers; each makes a network of its own.
    hidden : sequence of int, or sequence of such, default (64, 64, 64, 64, 64)
        Units of the hidden layers of one architecture, or of several.
    data : "digits", path, (x, y), (x, y, x_test, y_test) or Dataset, default "digits"
        What to learn; see :func:`fastinit.lab.load_data`.
    target : str, optional
        The CSV column that holds the labels.
    epochs : int, default 20
        Passes over the train rows, at least 1.
    batch_size : int, default 32
        Rows a step, at least 1.
    optimizer : {"sgd", "adagrad", "adam", "adamw", "rmsprop"}, default "sgd"
        Plain gradient descent shows what an initializer does; the others rescale each weight's
        gradient and hide part of it.
    learning_rate : float, optional
        Above 0; by default 0.01 for "sgd" and 0.001 for the others.
    seeds : int, default 3
        Runs of each network, with the seeds ``0 .. seeds - 1``.
    goal : float, default 0.9
        Test accuracy that counts as trained: below 1, above what always answering with the
        commonest class reaches.
    jobs : int, optional
        Processes; by default one for each core. The results do not depend on it.
    progress : bool, default False
        Whether to show a progress bar on stderr.

    Returns
    -------
    Comparison

    Raises
    ------
    ArgumentError
        If an argument cannot be used; before anything is trained.
    UnknownNameError
        If there is no such initializer, activation or optimizer.
    Interrupted
        If the user interrupts; a KeyboardInterrupt that has what was found until then.

    Examples
    --------
    >>> from fastinit.lab import compare
    >>> result = compare(["zeros", "he_normal"], activations=["relu"], hidden=[32], epochs=5,
    ...                  seeds=1, jobs=1)
    >>> [record.verdict for record in result.records]
    ['symmetric', 'trains']
    """
    plan = make_plan(
        initializers,
        activations=activations,
        hidden=hidden,
        data=data,
        target=target,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        learning_rate=learning_rate,
        seeds=seeds,
        goal=goal,
    )
    runs: Iterable[Run] = plan.run(None if jobs is None else as_count("jobs", jobs))
    if progress:
        runs = terminal.track(runs, len(plan.tasks))
    finished: list[Run] = []
    try:
        finished.extend(runs)
    except KeyboardInterrupt:
        raise Interrupted(Comparison(plan, tuple(finished))) from None
    return Comparison(plan, tuple(finished))


def _identity(item: Task | Run) -> tuple[object, ...]:
    return item.activation, item.hidden, item.initializer, item.seed


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
