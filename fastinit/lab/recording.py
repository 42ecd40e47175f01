"""Record a real training: the figures of each layer every k steps, into a file, and back.

The file has a line a record, each a JSON object of its own. The first line says what is recorded.
A number that is not finite is written as the text "nan", "inf" or "-inf", since JSON has no name
for it, and what a layer does not have as null. A histogram is the list of its least and greatest
number, of how many were left out, and of its counts.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import platform
import shlex
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import fastinit
from fastinit import nn
from fastinit.errors import ArgumentError, ArgumentTypeError, unknown_name
from fastinit.lab.figures import ratio, root_mean_square
from fastinit.lab.observation import HISTOGRAMS, Histogram, LayerFigures, Observation
from fastinit.lab.subjects import Subject, subject_of
from fastinit.nn.checks import as_count

if TYPE_CHECKING:
    import pandas

__all__ = ["FIGURES", "Recorder", "Recording"]

VERSION = 1
DIGITS = 7  # of a number in the file: what float32 has

FIXED = (
    *("name", "kind", "activation", "fan_in", "fan_out"),
    *("units", "features", "steps", "rank_limit", "expected_std"),
)
"""What does not change while a network trains, and stands in the first line once."""

FIGURES = tuple(
    one.name
    for one in dataclasses.fields(LayerFigures)
    if one.name not in FIXED and one.name not in HISTOGRAMS
)
"""The figures of a layer that each record holds; see :class:`fastinit.lab.LayerFigures`."""


class Recorder:
    """Looks at a network every k steps of its training, and writes what it sees into a file.

    It looks with a batch of its own, the same each time, so that what changes from record to
    record is the network alone. A look is a forward and a backward pass beside the training and
    leaves no trace in it: a network trains to the same bits with a recorder and without one. The
    first record is made before the first step and has the number 0, the last one after the last
    step.

    In a training loop of your own, write ``with`` and call :meth:`step`; where there is a ``fit``,
    pass it :meth:`callback`.

    Parameters
    ----------
    path : str or path
        The file, by custom ``.jsonl``; see :class:`Recording`. Its folder must be there.
    model : fastinit.nn.Sequential, torch.nn.Module or keras.Model
        The network that is going to be trained.
    x : array, tensor, or what the model is called with
        The batch to look with; some dozens of examples are enough.
    y : array or tensor, optional
        Their targets. Without, the gradients are those in a random direction at the output.
    every : int, default 50
        Steps from one record to the next.
    loss : callable, optional
        ``loss(outputs, y)`` in the framework; by default the compiled loss, else cross-entropy
        where `y` is whole numbers, and mean squared error where not.
    layers : str or sequence of str, optional
        Patterns of layers' names, as in file names: ``"encoder.*"``. By default all.
    append : bool, default False
        Whether to go on with a file that is there already, counting on from its last step.

    Attributes
    ----------
    path : path
    steps : int
        Steps so far, those of the file that was gone on with included.

    Raises
    ------
    ArgumentError
        If the file is there already and `append` is false, or it is no recording; or, at the first
        record, if it is one of other layers.
    OSError
        If the file cannot be opened. Once the training has begun, a file that cannot be written,
        as on a full disk, is warned of once, and the training goes on without being recorded.

    Notes
    -----
    The figures are those of :class:`fastinit.lab.LayerFigures`, but for ``update_ratio``: that is
    of the step which training really took last, whatever the optimizer; None in a record before
    the first step.

    Of several processes that train one model, let one record.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import fastinit
    >>> from fastinit import nn
    >>> from fastinit.lab.recording import Recorder, Recording
    >>> x = fastinit.normal((64, 5), 0.0, 1.0, seed=0)
    >>> y = (x[:, 0] > 0).astype("int64")
    >>> network = nn.Sequential([nn.Dense(8, "relu"), nn.Dense(2)], seed=0)
    >>> network.compile("categorical_crossentropy")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     recorder = Recorder(Path(folder) / "run.jsonl", network, x, y, every=4)
    ...     history = network.fit(x, y, epochs=5, verbose=0, callbacks=[recorder.callback()])
    ...     recording = Recording.load(recorder.path)
    >>> recording.steps.tolist(), recording.layers
    ([0, 4, 8, 10], ('dense_0', 'dense_1'))
    >>> recording.values("gradient").shape
    (4, 2)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        model: Any,
        x: Any,
        y: Any = None,
        *,
        every: int = 50,
        loss: Any = None,
        layers: str | Sequence[str] | None = None,
        append: bool = False,
    ) -> None:
        self.path = Path(path).absolute()
        self.every = as_count("every", every)
        self.steps = 0
        self._subject: Subject = subject_of(model)
        self._look = {"x": x, "y": y, "loss": loss, "layers": layers}
        self._names: list[str] | None = None  # of the layers, as they stand in the file
        self._recorded = -1  # the last step in the file
        self._last: tuple[Any, int | None] = None, None  # loss and epoch of the last step
        self._before: dict[str, NDArray[Any]] = {}  # kernels before the next step
        self._writes = True
        self._open(append)

    def _open(self, append: bool) -> None:
        """Make the file, or find out where the one that is there ends."""
        with open(self.path, "ab") as file:
            if not file.tell():
                return
        if not append:
            raise ArgumentError(
                f"{str(self.path)!r} is there already: pass append=True to go on with it, or "
                "another path"
            )
        end = 0
        for size, record in _records(self.path):
            end += size
            if self._names is None:
                self._names = [layer["name"] for layer in record["layers"]]
            else:
                self.steps = self._recorded = record["step"]
        os.truncate(self.path, end)  # drops what a killed process left of a line

    def __enter__(self) -> Recorder:
        self.begin()
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is None:
            self.end()

    def begin(self) -> None:
        """Make the record before the first step; ``with`` and the callback call this.

        Raises
        ------
        ArgumentError
            If the file is a recording of other layers.
        """
        found = self._subject.observe(**self._look)
        names = [layer.name for layer in found.layers]
        if self._names is None:
            self._names = names
            self._write(self._header(found))
        elif self._names != names:
            raise ArgumentError(
                f"{str(self.path)!r} is a recording of the layers {', '.join(self._names)}; these "
                f"are {', '.join(names)}"
            )
        if self.steps != self._recorded:
            self._write(self._figures(found, None, None))
        self._keep_kernels()

    def step(self, loss: Any = None, epoch: int | None = None) -> None:
        """Count a step of training, and make a record if it is the turn.

        Call it once a step, always at the same place of the loop.

        Parameters
        ----------
        loss : float or tensor, optional
            That of the step; read only where a record is made.
        epoch : int, optional
            The number of the epoch, from 0.
        """
        self._count(1, getattr(loss, "detach", lambda: loss)(), epoch)

    def _count(self, number: int, loss: Any, epoch: int | None) -> None:
        """Count some steps; make a record if a turn was among them."""
        if self._names is None:
            self.begin()
        turns = self.steps // self.every
        self.steps += number
        self._last = loss, epoch
        if number > 1:  # the kernels are not those before the last step
            self._before = {}
        if self.steps // self.every > turns:
            self._record()
        self._keep_kernels()

    def end(self) -> None:
        """Make the record after the last step; ``with`` and the callback call this."""
        if self.steps != self._recorded:
            self._record()
        self._before = {}
        self._last = None, None

    def callback(self) -> Any:
        """Return the callback for the ``fit`` of a ``fastinit.nn`` network or a Keras model.

        Returns
        -------
        fastinit.nn.Callback or keras.callbacks.Callback
            For one training.

        Raises
        ------
        ArgumentTypeError
            If the model is of PyTorch, which has no ``fit``.
        """
        if self._subject.framework == "torch":
            raise ArgumentTypeError(
                "a PyTorch module has no fit to call back from: write `with recorder:` around the "
                "loop, and recorder.step(loss) in it"
            )
        if self._subject.framework == "keras":
            base = sys.modules["keras"].callbacks.Callback
            return type("RecorderCallback", (_Calls, base), {})(self)
        return _NetworkCalls(self)

    # What stands in the file

    def _header(self, found: Observation) -> dict[str, Any]:
        model = self._subject.model
        return {
            "recording": VERSION,
            "framework": self._subject.framework,
            "model": str(getattr(model, "name", None) or type(model).__name__),
            "command": _command(),
            "versions": _versions(self._subject.framework),
            "every": self.every,
            "examples": found.examples,
            "layers": [{name: getattr(layer, name) for name in FIXED} for layer in found.layers],
        }

    def _record(self) -> None:
        if not self._writes:
            return
        loss, epoch = self._last
        found = self._subject.observe(**self._look)
        self._write(self._figures(found, None if loss is None else float(loss), epoch))

    def _figures(self, found: Observation, loss: float | None, epoch: int | None) -> dict[str, Any]:
        changes = self._changes()
        layers = {layer.name: layer for layer in found.layers}
        columns = {
            figure: [getattr(layers.get(name), figure, None) for name in self._names or ()]
            for figure in FIGURES
        }
        columns["update_ratio"] = [changes.get(name) for name in self._names or ()]
        histograms = {
            figure: [
                _numbers(getattr(layers.get(name), figure, None)) for name in self._names or ()
            ]
            for figure in HISTOGRAMS
        }
        self._recorded = self.steps
        return {
            "step": self.steps,
            "epoch": epoch,
            "loss": loss,
            "probe_loss": found.loss,
            "figures": columns,
            "histograms": histograms,
        }

    def _keep_kernels(self) -> None:
        """Copy the kernels, if the next step is the one before a record."""
        before = self._writes and (self.steps + 1) % self.every == 0
        self._before = self._subject.weights() if before else {}

    def _changes(self) -> dict[str, float]:
        """Return how much the last step changed each kernel, if they are known before it."""
        if not self._before or self.steps % self.every:
            return {}
        return {
            name: ratio(root_mean_square(kernel - self._before[name]), root_mean_square(kernel))
            for name, kernel in self._subject.weights().items()
            if name in self._before
        }

    def _write(self, record: Mapping[str, Any]) -> None:
        if not self._writes:
            return
        line = json.dumps(_encoded(record), allow_nan=False, separators=(",", ":"))
        try:
            with open(self.path, "ab") as file:
                file.write(line.encode() + b"\n")
        except OSError as error:
            self._writes = False
            warnings.warn(
                f"the training goes on, but is recorded no further: cannot write "
                f"{str(self.path)!r}: {error.strerror or error}",
                stacklevel=5,
            )


def _command() -> str:
    """Return the command line of this process, as one would type it."""
    program = ["python"] if sys.argv[0].endswith(".py") else []
    return shlex.join(program + sys.argv)


class _Calls:
    """What the callbacks of both ``fit`` have in common: the hooks, in Keras' words."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder, self._epoch, self._batch = recorder, 0, -1

    def on_train_begin(self, logs: Any = None) -> None:
        """Look at the network as it is initialized."""
        self._recorder.begin()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note the epoch."""
        self._epoch, self._batch = epoch, -1

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count the steps: Keras may take several at a time."""
        steps = (getattr(self, "params", None) or {}).get("steps")
        if steps:  # the last batches may be fewer than Keras says
            batch = min(batch, steps - 1)
        taken, self._batch = batch - self._batch, batch
        self._recorder._count(taken, (logs or {}).get("loss"), self._epoch)

    def on_train_end(self, logs: Any = None) -> None:
        """Look at the trained network."""
        self._recorder.end()


class _NetworkCalls(_Calls, nn.Callback):
    """The callback of a ``fastinit.nn`` network, called twice a turn: before its step and after."""

    @property
    def every(self) -> int:  # type: ignore[override]
        """Batches until the next call."""
        left = self._recorder.every - self._recorder.steps % self._recorder.every
        return max(left - 1, 1)

    def on_train_begin(self, logs: Any = None) -> None:
        """Look at the network as it is initialized."""
        super().on_train_begin(logs)
        self._begun = self.model.steps - self._recorder.steps

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count the steps since the last call."""
        taken = self.model.steps - self._begun - self._recorder.steps
        self._recorder._count(taken, (logs or {}).get("loss"), self._epoch)

    def on_train_end(self, logs: Any = None) -> None:
        """Count the steps since the last call, and look at the trained network."""
        taken = self.model.steps - self._begun - self._recorder.steps
        if taken:
            self._recorder._count(taken, None, self._epoch)  # the logs are of the whole epoch
        super().on_train_end(logs)


@dataclass(frozen=True)
class Recording:
    """What a :class:`Recorder` wrote.

    Attributes
    ----------
    path : path
        The file.
    framework : str
        "fastinit", "torch" or "keras".
    model : str
        Its name, or that of its class.
    command : str
        The command line of the process that began the recording.
    versions : dict of str to str
        Of Python and of the libraries.
    examples : int
        How many examples each look is made with.
    described : tuple of dict
        What does not change of each layer: name, kind, activation, fan_in, fan_out, units,
        features, steps, rank_limit, expected_std; None for what it does not have.
    steps : ndarray of int, shape (records,)
        The steps that had been taken.
    epochs : ndarray of float, shape (records,)
        The epoch of that step, from 0; NaN where it is not known.
    losses : ndarray of float, shape (records,)
        What the training had as its loss in that step; NaN where it did not tell.
    probe_losses : ndarray of float, shape (records,)
        Loss on the batch that the recorder looks with; NaN where that has no targets.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import fastinit
    >>> from fastinit import lab, nn
    >>> x = fastinit.normal((64, 5), 0.0, 1.0, seed=0)
    >>> network = nn.Sequential([nn.Dense(8, "relu"), nn.Dense(1)], seed=0)
    >>> network.compile("mean_squared_error")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     recorder = lab.Recorder(Path(folder) / "run.jsonl", network, x, x[:, :1], every=2)
    ...     history = network.fit(x, x[:, :1], epochs=2, verbose=0, callbacks=[recorder.callback()])
    ...     recording = lab.Recording.load(recorder.path)
    >>> recording.framework, recording.layers, recording.steps.tolist()
    ('fastinit', ('dense_0', 'dense_1'), [0, 2, 4])
    >>> recording.values("weight_std").shape
    (3, 2)
    """

    path: Path
    framework: str
    model: str
    command: str
    versions: Mapping[str, str]
    examples: int
    described: tuple[Mapping[str, Any], ...] = field(repr=False)
    steps: NDArray[np.int64] = field(repr=False)
    epochs: NDArray[np.float64] = field(repr=False)
    losses: NDArray[np.float64] = field(repr=False)
    probe_losses: NDArray[np.float64] = field(repr=False)
    _values: NDArray[np.float64] = field(repr=False)  # (records, figures, layers)
    _histograms: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recording:
        """Read a recording, also while it is being written, or after its process was killed.

        Parameters
        ----------
        path : str or path
            The file that the recorder was given.

        Returns
        -------
        Recording
            A last line without an end is left out.

        Raises
        ------
        ArgumentError
            If it is no recording, or damaged; it says where.
        OSError
            If it cannot be read.
        """
        records = _records(Path(path))
        _, header = next(records, (0, None))
        if header is None:
            raise ArgumentError(f"{str(path)!r} is empty: no record was made")
        scalars, values, histograms = [], [], []
        shape = len(FIGURES), len(header["layers"])
        for _, record in records:
            names = ("step", "epoch", "loss", "probe_loss")
            scalars.append([_decoded(record.get(name)) for name in names])
            columns = [record["figures"].get(name) or [None] * shape[1] for name in FIGURES]
            values.append([[_decoded(value) for value in column] for column in columns])
            histograms.append(_compact(record.get("histograms") or {}))
        steps, epochs, losses, probe_losses = np.array(scalars, float).reshape(-1, 4).T
        return cls(
            Path(path),
            header["framework"],
            header["model"],
            header["command"],
            header["versions"],
            header["examples"],
            tuple(header["layers"]),
            steps.astype(np.int64),
            epochs,
            losses,
            probe_losses,
            np.array(values, float).reshape(-1, *shape),
            tuple(histograms),
        )

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers, in the order in which they run."""
        return tuple(layer["name"] for layer in self.described)

    def values(self, figure: str) -> NDArray[np.float64]:
        """Return one figure of all layers at all times.

        Parameters
        ----------
        figure : str
            One of :data:`FIGURES`: "spread", "gradient", "update_ratio" ...

        Returns
        -------
        ndarray of float64, shape (records, layers)
            NaN also where a layer has no such figure.

        Raises
        ------
        UnknownNameError
            If there is no such figure.
        """
        if figure not in FIGURES:
            raise unknown_name("figure", figure, FIGURES)
        return self._values[:, FIGURES.index(figure)]

    def histograms(self, record: int, figure: str = "histogram") -> tuple[Histogram | None, ...]:
        """Return how the outputs, or the weights, of each layer were distributed at one time.

        Parameters
        ----------
        record : int
            Number of the record, from 0; -1 is the last.
        figure : {"histogram", "weight_histogram"}, default "histogram"
            Of a part of the outputs, or of the kernel's weights.

        Returns
        -------
        tuple of Histogram or None
            One a layer; None where it has none, or the file is from before there were any.

        Raises
        ------
        UnknownNameError
            If there is no such figure.
        """
        if figure not in HISTOGRAMS:
            raise unknown_name("figure", figure, HISTOGRAMS)
        kept = self._histograms[record].get(figure) or (None,) * len(self.layers)
        return tuple(None if one is None else Histogram.of(one.tolist()) for one in kept)

    def to_frame(self) -> pandas.DataFrame:
        """Return a data frame: a row for each layer at each step, a column for each figure.

        Returns
        -------
        pandas.DataFrame
            "step", "epoch", "loss", "layer", and the figures; NaN for what is not there.
        """
        import pandas

        count = len(self.layers)
        table = {
            "step": np.repeat(self.steps, count),
            "epoch": np.repeat(self.epochs, count),
            "loss": np.repeat(self.losses, count),
            "layer": np.tile(np.array(self.layers, object), len(self.steps)),
        }
        table |= {figure: self.values(figure).ravel() for figure in FIGURES}
        return pandas.DataFrame(table)

    def to_json(self) -> str:
        """Return all of it as one JSON object; numbers that are not finite as null.

        Returns
        -------
        str
            The object.
        """
        document = {
            "framework": self.framework,
            "model": self.model,
            "command": self.command,
            "versions": self.versions,
            "examples": self.examples,
            "layers": self.described,
            "steps": self.steps.tolist(),
            "epochs": _finite(self.epochs),
            "losses": _finite(self.losses),
            "probe_losses": _finite(self.probe_losses),
            "figures": {figure: _finite(self.values(figure)) for figure in FIGURES},
            "histograms": [
                {
                    name: [None if one is None else _finite(one) for one in record.get(name, ())]
                    for name in HISTOGRAMS
                }
                for record in self._histograms
            ],
        }
        return json.dumps(document, indent=1, allow_nan=False)


def _numbers(histogram: Histogram | None) -> tuple[float, ...] | None:
    return None if histogram is None else histogram.numbers


def _compact(histograms: Mapping[str, Any]) -> dict[str, Any]:
    """Return the histograms of a record in arrays: a long recording has many."""
    return {
        name: [None if one is None else np.array([*map(_decoded, one)], float) for one in some]
        for name, some in histograms.items()
    }


def _finite(values: NDArray[Any]) -> Any:
    finite = values.astype(object)
    finite[~np.isfinite(values)] = None
    return finite.tolist()


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the length in bytes and the content of each whole line; the first is the header."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                record = json.loads(line)
                known = "figures" in record if number > 1 else record["recording"] == VERSION
            except (ValueError, TypeError, KeyError):
                known = False
            if not known:
                what = "is damaged" if number > 1 else "is not a recording that this version reads"
                raise ArgumentError(f"{str(path)!r} {what}, line {number}: {line[:60]!r}")
            yield len(line), record


def _encoded(value: Any) -> Any:
    if value is None or isinstance(value, (int, str)):  # most of them: counts
        return value
    if isinstance(value, (list, tuple)):
        return [_encoded(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _encoded(item) for name, item in value.items()}
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else f"{value:g}"
    return value.item() if isinstance(value, np.generic) else value


def _decoded(value: float | str | None) -> float:
    return math.nan if value is None else float(value)


def _versions(framework: str) -> dict[str, str]:
    names = ("torch",) if framework == "torch" else ("keras", "jax", "torch")
    found = {"python": platform.python_version(), "fastinit": fastinit.__version__}
    for name in names if framework != "fastinit" else ():
        if name in sys.modules:
            found[name] = str(getattr(sys.modules[name], "__version__", ""))
    return found
