"""Networks of any framework, looked at in one way: what the diagnosis stands on.

One file a framework, which is imported only when such a model comes. A subject gives numbers
(`fastinit.lab.observation`), says which parameters there are, and makes copies whose parameters are
drawn anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.initializers import Initializer
from fastinit.lab.figures import correlation, sample, spread
from fastinit.lab.observation import Observation

__all__ = ["Kernel", "Patterns", "Subject", "as_patterns", "direction", "selected", "subject_of"]

Patterns: TypeAlias = "str | Sequence[str] | None"


@dataclass(frozen=True)
class Kernel:
    r"""A parameter of a network, and what an initializer has to know of it.

    Attributes
    ----------
    name : str
        Of the parameter: "dense_0.kernel", "blocks.0.fc.weight". A tied one has its first name.
    layer : str
        Of the layer that it belongs to, as `fastinit.lab.observation.LayerFigures` has it.
    kind : str
        Class of the layer.
    shape : tuple of int
        In the catalogue's order, (\*window, in, out), whatever the framework's.
    fan_in, fan_out : float or None
        As the layer uses it; None where it is no kernel. Of stacked kernels, such as the gates of
        an LSTM or packed queries, keys and values, those of each.
    activation : str or None
        Name, as `fastinit.gain` knows it, of the function that the layer's output goes through,
        normalizations between them or not; None where there is none.
    role : str
        "kernel"; "output", that of the last layer; "recurrent", of the state; "embedding"; "bias";
        "scale", of a normalization; or "other".
    branch : str or None
        Name of the residual branch that it is in: of the layer that adds it to the stream.
    branch_end : bool
        Whether it is the last kernel of that branch.
    trainable : bool
        Whether training changes it.
    """

    name: str
    layer: str
    kind: str
    shape: tuple[int, ...]
    fan_in: float | None
    fan_out: float | None
    activation: str | None
    role: str
    branch: str | None = None
    branch_end: bool = False
    trainable: bool = True


class Subject(Protocol):
    """A network that can be looked at, drawn anew and trained for a few steps.

    Attributes
    ----------
    framework : str
        "fastinit", "torch" or "keras".
    model : object
        The network itself. Only `scale_on_data` changes it.
    """

    framework: str
    model: Any

    def observe(
        self,
        x: Any,
        y: Any = None,
        *,
        loss: Any = None,
        learning_rate: float = 0.01,
        layers: Patterns = None,
    ) -> Observation:
        """Look at one forward and one backward pass, as in training but without dropout.

        Parameters
        ----------
        x : array_like
            A batch, first axis examples.
        y : array_like, optional
            Targets. Without them the gradient is that of a fixed random direction at the output.
        loss : callable, optional
            ``loss(outputs, y)`` of the framework; by default the model's own if it has one, else
            the cross-entropy of logits for whole numbers, the mean squared error for others.
        learning_rate : float, default 0.01
            Of the step that `LayerFigures.update_ratio` asks for.
        layers : str or sequence of str, optional
            Patterns of the names of the layers to look at, as of the shell: "blocks.*.fc"; all by
            default.

        Returns
        -------
        Observation
        """

    def kernels(self) -> list[Kernel]:
        """Return the parameters, in the order in which the layers run where it is known."""

    def weights(self) -> dict[str, NDArray[Any]]:
        """Return a copy of each layer's main kernel, that which `LayerFigures.weight_std` is of."""

    def reinitialized(self, draw: Mapping[str, Initializer], seed: int) -> Subject:
        """Return a copy, some of whose parameters are drawn anew.

        Parameters
        ----------
        draw : mapping of str to Initializer
            By parameters' names. An initializer that scales by a fan and has none of its own gets
            the layer's.
        seed : int
            The parameter of a name is drawn with the key ``fastinit.key(seed, name)``.

        Returns
        -------
        Subject
        """

    def train(
        self,
        x: Any,
        y: Any,
        *,
        steps: int,
        learning_rate: float,
        loss: Any = None,
        seed: int = 0,
    ) -> list[float]:
        """Train a copy for some steps of Adam on batches of up to 64 examples; return the losses.

        Parameters
        ----------
        x, y : array_like
            Examples and their targets.
        steps : int
            How many; as many losses come back, each of the batch before the step.
        learning_rate : float
            Adam's.
        loss : callable, optional
            As of `observe`.
        seed : int, default 0
            Of the order of the examples.

        Returns
        -------
        list of float
        """

    def scale_on_data(self, x: Any, seed: int) -> None:
        """Scale the model's kernels in place, layer by layer, by the framework's `data_dependent`.

        Parameters
        ----------
        x : array_like
            A batch.
        seed : int
            Of what it draws.
        """

    def loss_called(self, name: str) -> Any:
        """Return the framework's loss of a name.

        Parameters
        ----------
        name : str
            In ``torch.nn.functional``, ``keras.losses`` or `fastinit.nn`.

        Returns
        -------
        callable or str
            What `observe` takes.

        Raises
        ------
        ArgumentError
            If there is none.
        """

    def input_shape(self) -> tuple[int, ...] | None:
        """Return the shape of one example, None where the model does not know it."""


def subject_of(model: Any) -> Subject:
    """Return the subject of a model, whatever its framework; that alone is imported.

    Parameters
    ----------
    model : fastinit.nn.Sequential, torch.nn.Module, keras.Model or Subject
        The network, built.

    Returns
    -------
    Subject

    Raises
    ------
    ArgumentTypeError
        If it is none of these.

    Examples
    --------
    >>> from fastinit import nn
    >>> from fastinit.lab.subjects import subject_of
    >>> network = nn.Sequential([nn.Dense(2)])
    >>> network.build(3)
    >>> subject_of(network).framework
    'fastinit'
    """
    if isinstance(getattr(model, "framework", None), str) and hasattr(model, "observe"):
        subject: Subject = model
        return subject
    roots = [base.__module__.partition(".")[0] for base in type(model).__mro__]
    if "keras" in roots:  # before torch: on that backend its layers are torch's modules, too
        from fastinit.lab.subjects.keras import KerasSubject

        return KerasSubject(model)
    if "torch" in roots:
        from fastinit.lab.subjects.torch import TorchSubject

        return TorchSubject(model)
    from fastinit.lab.subjects.network import NetworkSubject

    return NetworkSubject(model)


# ---------------------------------------------------------------- what the subjects share


def as_patterns(layers: Patterns) -> tuple[str, ...]:
    """Return patterns of layers' names as a tuple; all names where none is given."""
    patterns = (layers,) if isinstance(layers, str) else ("*",) if layers is None else tuple(layers)
    if not all(isinstance(pattern, str) for pattern in patterns):
        raise ArgumentTypeError(f"layers must be patterns of names such as 'fc*', got {layers!r}")
    return patterns


def selected(name: str, patterns: Iterable[str]) -> bool:
    """Say whether a layer is to be looked at; a second call, "fc@2", goes by "fc" as well."""
    return any(
        fnmatchcase(name, one) or fnmatchcase(name.partition("@")[0], one) for one in patterns
    )


def require_selection(found: bool, layers: Patterns, names: Iterable[str]) -> None:
    """Raise where no layer has a name that fits."""
    if not found:
        raise ArgumentError(f"no layer is named {layers!r}; there are {', '.join(names) or 'none'}")


def require_names(draw: Mapping[str, Initializer], names: Iterable[str]) -> None:
    """Raise where an initializer is for a parameter that there is not, or is none."""
    there = set(names)
    for name, rule in draw.items():
        if name not in there:
            raise ArgumentError(f"no parameter is named {name!r}; there are {', '.join(there)}")
        if not isinstance(rule, Initializer):
            raise ArgumentTypeError(f"draw[{name!r}] must be an Initializer, got {rule!r}")


def input_figures(x: NDArray[Any]) -> tuple[float, float, float | None]:
    """Return std, spread and correlation of the examples, as `Observation` has them."""
    if x.dtype.kind not in "f":
        return 0.0, 0.0, None
    flat = x.reshape(len(x), 1, -1)
    few = flat[sample(flat.shape)].astype(np.float64)
    with np.errstate(all="ignore"):
        return float(few.std()), spread(few[:, 0]), correlation(few[:, 0])


DRAWS = 65521
"""As many numbers a random direction has at most, then again: a prime, so that no two examples have
the same ones."""


def direction(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the fixed direction at the output that stands in for a loss where there is no target.

    Standard normal numbers, the same for the same shape everywhere.
    """
    size = int(np.prod(shape))
    drawn = fastinit.normal((min(size, DRAWS),), seed=fastinit.key(0, "lab.direction"))
    return np.resize(np.asarray(drawn, np.float32), shape)
