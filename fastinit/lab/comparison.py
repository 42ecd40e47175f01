"""``compare``: train the same networks from several initializers and say what happened."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import joblib

from fastinit.lab import cells, rules, store, terminal
from fastinit.lab.files import as_json
from fastinit.lab.plan import DEFAULT_ACTIVATIONS, DEFAULT_INITIALIZERS, Plan, make_plan
from fastinit.lab.records import Record, summarise
from fastinit.lab.runs import Network, Run
from fastinit.lab.store import Stage, open_store
from fastinit.lab.sweep import LOCAL, check_backend, sweep
from fastinit.nn.checks import as_count

if TYPE_CHECKING:
    import pandas

__all__ = ["Comparison", "Group", "Interrupted", "compare"]


EDGE_MARGIN = 0.05
"""Share of the way from the constant predictor's score to 1 that is learning, not luck."""


@dataclass(frozen=True)
class Group:
    """The part of a comparison that one table shows: one network, every initializer.

    Attributes
    ----------
    network : Network
        What its runs have in common.
    records : tuple of Record
        One for each initializer.
    runs : sequence of Run
        Their runs, those of one initializer side by side.

    Examples
    --------
    >>> from fastinit import lab
    >>> result = lab.compare(["he_normal"], activations=["relu", "tanh"], hidden=[8], epochs=1,
    ...                      learning_rate=0.05, seeds=1, jobs=1)
    >>> [(group.activation, len(group.runs)) for group in result.groups]
    [('relu', 1), ('tanh', 1)]
    """

    network: Network
    records: tuple[Record, ...]
    runs: Sequence[Run]

    @property
    def activation(self) -> str:
        """The network's."""
        return self.network.activation

    @property
    def hidden(self) -> tuple[int, ...]:
        """The network's."""
        return self.network.hidden


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Attributes
    ----------
    plan : Plan or None
        What was run; None where the runs were read from a file.
    runs : sequence of Run
        Every training run, in the order of the plan. An interrupted comparison has fewer than
        the plan. Those that are kept in a file stay there, and are read when they are asked for.
    about : dict
        What was run, in plain values; see :func:`fastinit.lab.store.about`.

    Examples
    --------
    :func:`compare` makes them.

    >>> from fastinit import lab
    >>> result = lab.compare(["zeros", "he_normal"], activations=["relu"], hidden=[32], epochs=5,
    ...                      learning_rate=0.05, seeds=1, jobs=1)
    >>> print(result.table().splitlines()[0])
    digits: 1347 train and 450 test rows, 64 features, 10 classes. sgd, learning
    >>> result.to_frame()["verdict"].tolist()
    ['symmetric', 'trains']
    """

    plan: Plan | None = field(repr=False)
    runs: Sequence[Run] = field(repr=False)
    about: dict[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.plan is None:
            return
        object.__setattr__(self, "about", store.about(self.plan))
        if isinstance(self.runs, tuple) and self.runs:
            order = {task.identity: index for index, task in enumerate(self.plan.tasks)}
            runs = sorted(self.runs, key=lambda run: order[run.identity])
            object.__setattr__(self, "runs", tuple(runs))

    @classmethod
    def load(cls, path: str | Path) -> Comparison:
        """Return the comparison whose runs are kept in a file, as far as it has come.

        Parameters
        ----------
        path : str or path
            The file that was given as ``runs`` to :func:`compare`, or on the command line.

        Returns
        -------
        Comparison
            With fewer runs than were asked for, if it has not ended.

        Raises
        ------
        ArgumentError
            If it cannot be read, or is no such file.
        """
        about, runs = store.read(path)
        return cls(None, runs, about)

    @property
    def total(self) -> int:
        """The number of runs that there are when it has ended."""
        return math.prod(len(axis) for axis in self.about["axes"].values())

    @cached_property
    def at_edge(self) -> list[tuple[Network, str]]:
        """Network and initializer of those that trained best at an extreme of the rates tried.

        Only those that learned anything: at no rate is as well at one end as at the other.
        """
        candidates, learned = self.about["candidates"], self.about["data"]["constant_score"]
        return [
            (record.network, record.initializer)
            for record in self.records
            if record.rate == "chosen"
            and record.verdict != "symmetric"
            and record.test_score > learned + EDGE_MARGIN * (1 - learned)
            and record.learning_rate in (candidates[record.optimizer][i] for i in (0, -1))
        ]

    @cached_property
    def records(self) -> tuple[Record, ...]:
        """One :class:`Record` for each initializer in each network."""
        return tuple(summarise(self.runs))

    @property
    def verdicts(self) -> dict[tuple[Any, ...], str]:
        """``(activation, hidden, initializer) -> verdict``.

        Where networks differ in something else, too, ``(network, initializer) -> verdict``.
        """
        short = {(r.activation, r.hidden, r.initializer): r.verdict for r in self.records}
        if len(short) == len(self.records):
            return short
        cases = [(network, name) for network, name, _ in self._cases]
        return {case: r.verdict for case, r in zip(cases, self.records, strict=True)}

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The records and runs, network by network."""
        groups: list[Group] = []
        records, end = iter(self.records), 0
        for network, cases in groupby(self._cases, key=lambda case: case[0]):
            counts = [count for _, _, count in cases]
            begin, end = end, end + sum(counts)
            some = tuple(itertools.islice(records, len(counts)))
            groups.append(Group(network, some, self.runs[begin:end]))
        return tuple(groups)

    @cached_property
    def _cases(self) -> list[tuple[Network, str, int]]:
        """Network, initializer and number of runs of each record."""
        cases = groupby(self.runs, key=lambda run: run.case)
        return [(*case, sum(1 for _ in runs)) for case, runs in cases]

    def table(self, width: int = 80) -> str:
        """Return the tables that ``fastinit compare`` prints, as plain text.

        Parameters
        ----------
        width : int, default 80
            Columns to fit into.

        Returns
        -------
        str
            Lines of at most `width` characters, in the current language.
        """
        return terminal.text(self, width)

    def to_frame(self) -> pandas.DataFrame:
        """Return the records as a data frame, one row each; ``hidden`` as text, ``"64-64"``.

        Returns
        -------
        pandas.DataFrame
            Its columns are the fields of :class:`Record`.
        """
        import pandas

        frame = pandas.DataFrame([dataclasses.asdict(record) for record in self.records])
        frame["hidden"] = [cells.architecture(record.hidden) for record in self.records]
        return frame.astype({"epochs_to_goal": "Int64"})

    def to_json(self) -> str:
        """Return settings, rules, records and runs as one JSON object.

        Figures that are not finite become null: JSON has no name for them.

        Returns
        -------
        str
            The object.
        """
        document = {
            **{name: self.about[name] for name in ("fastinit", "data", "training")},
            "rules": {rule.verdict: rule.words for rule in rules.RULES},
            "records": [dataclasses.asdict(record) for record in self.records],
            "runs": [dataclasses.asdict(run) | {"verdict": run.verdict} for run in self.runs],
        }
        return as_json(document)

    def write(self, target: str | Path, **options: str) -> tuple[Path, ...]:
        """Write a report, by default ``index.html`` and ``results.csv`` in a folder.

        Parameters
        ----------
        target : str or path
            A folder, or a file whose name says the format.
        **options : str
            As of :func:`fastinit.lab.report.write`.

        Returns
        -------
        tuple of path
            The files.
        """
        from fastinit.lab import report  # loads Matplotlib, which the training has no use for

        return report.write(self, target, **options)


class Interrupted(KeyboardInterrupt):
    """The user interrupted a comparison; what had been done is not lost.

    Parameters
    ----------
    comparison : Comparison
        The runs that had ended; none of those that choose a learning rate.
    doing : str, optional
        What it was at; by default after how many runs.

    Attributes
    ----------
    comparison : Comparison
        As given.

    Examples
    --------
    >>> from fastinit import lab
    >>> result = lab.compare(["zeros"], activations=["relu"], hidden=[8], epochs=1, seeds=1,
    ...                      learning_rate=0.05, jobs=1)
    >>> try:
    ...     raise lab.Interrupted(result)  # as `compare` does at Ctrl-C
    ... except lab.Interrupted as interruption:
    ...     print(interruption, len(interruption.comparison.runs))
    interrupted after 1 of 1 runs 1
    """

    def __init__(self, comparison: Comparison, doing: str = "") -> None:
        doing = doing or f"after {len(comparison.runs)} of {comparison.total} runs"
        super().__init__(f"interrupted {doing}")
        self.comparison = comparison


def compare(
    initializers: Sequence[Any] = DEFAULT_INITIALIZERS,
    *,
    activations: Sequence[str] = DEFAULT_ACTIVATIONS,
    hidden: Sequence[Any] | None = None,
    depths: int | Sequence[int] | None = None,
    widths: int | Sequence[int] | None = None,
    normalization: str | Sequence[str] = "none",
    dropout: float | Sequence[float] = 0.0,
    data: Any = "digits",
    target: str | Sequence[str] | None = None,
    task: str | None = None,
    epochs: int = 20,
    batch_size: int = 32,
    optimizer: str | Sequence[str] = "sgd",
    learning_rate: float | Sequence[float] | None = None,
    tune: bool = False,
    seeds: int | Sequence[int] = 3,
    goal: float = 0.9,
    runs: str | Path | None = None,
    jobs: int | None = None,
    backend: str = "loky",
    scheduler: str | None = None,
    progress: bool = False,
) -> Comparison:
    """Train the same networks from each initializer and say what happened.

    Every combination of the initializers, the networks, the optimizers and the learning rates is
    trained from every seed.

    Parameters
    ----------
    initializers : sequence, optional
        Names, call-like strings such as ``"normal(std=0.01)"``, initializers or callables:
        whatever :func:`fastinit.get` takes; or functions of one's own as ``"module:function"`` or
        ``"file.py:function"``. By default the classic mistakes and the classic rules.
    activations : sequence of str, default ("relu", "tanh", "sigmoid")
        Activations of the hidden layers.
    hidden : sequence of int, or sequence of such, optional
        Units of the hidden layers of one architecture, or of several; by default
        (64, 64, 64, 64, 64).
    depths, widths : int or sequence of int, optional
        In place of `hidden`: numbers of hidden layers, by default 5, and of units in each, by
        default 64.
    normalization : {"none", "batch", "layer"} or sequence of these, default "none"
        Between the sums and the activation of each hidden layer.
    dropout : float or sequence of float, default 0
        Share of the units of each hidden layer that is dropped in training; below 1.
    data : "digits", path, (x, y), (x, y, x_test, y_test) or Dataset, default "digits"
        What to learn; see :func:`fastinit.lab.load_data`.
    target : str or sequence of str, optional
        The column that holds the labels, of data in a table.
    task : {"classification", "regression"}, optional
        By default what the data looks like.
    epochs : int, default 20
        Passes over the train rows, at least 1.
    batch_size : int, default 32
        Rows a step, at least 1.
    optimizer : {"sgd", "adagrad", "adam", "adamw", "rmsprop"} or sequence of these, default "sgd"
        Plain gradient descent shows what an initializer does; the others rescale each weight's
        gradient and hide part of it.
    learning_rate : float or sequence of float, optional
        Above 0; by default 0.01 for "sgd" and 0.001 for the others.
    tune : bool, default False
        Whether each initializer gets the learning rate that does best with it, of those in
        `learning_rate` or of nine around the default, on rows held back from the train rows; see
        :meth:`fastinit.lab.Plan.tuned`.
    seeds : int or sequence of int, default 3
        Runs of each network, with the seeds ``0 .. seeds - 1``; or the seeds.
    goal : float, default 0.9
        Test score that counts as trained, accuracy or R squared: below 1, above that of a
        predictor that ignores its input.
    runs : path, optional
        A file of JSON lines to which each run is added as it ends, so that memory does not grow
        with their number. If it has runs of the same comparison, which was interrupted or killed,
        only those that are missing are trained; runs of another comparison are refused.
    jobs : int, optional
        Processes; by default one for each core. The results do not depend on it.
    backend : {"loky", "threading", "dask", "ray"}, default "loky"
        Where the networks are trained: processes or threads of this machine, or a cluster.
    scheduler : str, optional
        Address of the Dask or Ray cluster; by default one is started on this machine.
    progress : bool, default False
        Whether to show a progress bar on stderr.

    Returns
    -------
    Comparison
        Every run, the records and the verdicts.

    Raises
    ------
    ArgumentError
        If an argument cannot be used; before anything is trained.
    UnknownNameError
        If there is no such initializer, activation, optimizer or backend.
    Interrupted
        If the user interrupts; a KeyboardInterrupt that has what was found until then.
    FastinitError
        If the processes that train are killed one after another.
    OSError
        If a run cannot be added to the file; those before it are kept.

    Examples
    --------
    >>> from fastinit.lab import compare
    >>> result = compare(["zeros", "he_normal"], activations=["relu"], hidden=[32], epochs=5,
    ...                  learning_rate=0.05, seeds=1, jobs=1)
    >>> [record.verdict for record in result.records]
    ['symmetric', 'trains']
    """
    plan = make_plan(
        initializers,
        activations=activations,
        hidden=hidden,
        depths=depths,
        widths=widths,
        normalization=normalization,
        dropout=dropout,
        data=data,
        target=target,
        task=task,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        learning_rate=learning_rate,
        tune=tune,
        seeds=seeds,
        goal=goal,
    )
    jobs = None if jobs is None else as_count("jobs", jobs)
    check_backend(backend, jobs, scheduler)
    place = _Place(backend, jobs, scheduler, progress)
    with open_store(runs, plan) as kept:
        if plan.tune:
            tuning, tried = plan.tuning(), kept.stage("tuning")
            try:
                plan = plan.tuned(place.train(tuning, tried))
            except KeyboardInterrupt:
                count = f"{len(tried.runs())} of {len(tuning.tasks)} runs"
                raise Interrupted(Comparison(plan, ()), f"while tuning, after {count}") from None
        final = kept.stage("final")
        try:
            return Comparison(plan, place.train(plan, final))
        except KeyboardInterrupt:
            raise Interrupted(Comparison(plan, final.runs())) from None


class _Place(NamedTuple):
    """Where and how networks are trained."""

    backend: str
    jobs: int | None
    scheduler: str | None
    progress: bool

    def train(self, plan: Plan, stage: Stage) -> Sequence[Run]:
        """Train what is missing, and return all runs."""
        total = len(plan.tasks)
        missing = sum(1 for _ in stage.missing(total))
        runs = self._added(plan, stage, missing) if missing else iter(())
        if self.progress:
            runs = terminal.track(runs, missing)
        deque(runs, maxlen=0)
        return stage.runs()

    def _added(self, plan: Plan, stage: Stage, missing: int) -> Iterator[Run]:
        jobs = self.jobs
        if self.backend in LOCAL:
            jobs = min(jobs or joblib.cpu_count(), missing)
        tasks = ((number, plan.tasks[number]) for number in stage.missing(len(plan.tasks)))
        ended = sweep(
            tasks,
            plan.data,
            plan.training,
            backend=self.backend,
            jobs=jobs,
            scheduler=self.scheduler,
        )
        with closing(ended):
            for number, run in ended:
                stage.add(number, run)
                yield run
