"""Theory beside practice: what mean-field theory says of a network, and what is measured."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.gains import Activation, activation_of
from fastinit.lab.files import as_json, write_whole
from fastinit.lab.report.languages import _, ngettext, number
from fastinit.lab.signals import Draws, measure
from fastinit.lab.theory import Theory, maps_of, predict
from fastinit.nn.checks import as_count
from fastinit.registry import InitializerLike
from fastinit.sampling.distributions import as_finite, as_scale

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Band",
    "PhaseDiagram",
    "Place",
    "Propagation",
    "phase_diagram",
    "propagate",
    "sigma_w_of",
]

Array = NDArray[np.float64]

ALIKE = 0.99
"""The correlation from which two inputs count as alike."""


class Band(NamedTuple):
    """One figure, layer by layer, over the networks that were measured.

    Attributes
    ----------
    mean, low, high : ndarray, shape (depth,)
        Their mean, of gradients the root mean square; the least and the greatest of them.
    """

    mean: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class Propagation:
    """What `propagate` returns.

    Attributes
    ----------
    activation : str
        Its name.
    initializer : str or None
        Its name; None where `sigma_w` was given.
    sigma_w, sigma_b : float
        Standard deviation of the weights times the root of fan_in, and that of the biases.
    depth, width, networks : int
        Layers, units of a layer, and how many random networks were measured.
    theory : Theory
        Its arrays have the shape (depth,), and () what holds in the end.
    measured : dict of str to Band
        ``"variance"``, ``"correlation"``, ``"unlikeness"`` (1 less the correlation, with all its
        digits) and ``"gradient"``.

    Examples
    --------
    >>> from fastinit import lab
    >>> found = lab.propagate("relu", initializer="he_normal", depth=10, width=64, networks=2)
    >>> found.phase, round(found.sigma_w, 1)
    ('critical', 1.4)
    >>> found.measured["variance"].mean.shape
    (10,)
    """

    activation: str
    initializer: str | None
    sigma_w: float
    sigma_b: float
    depth: int
    width: int
    networks: int
    theory: Theory = field(repr=False)
    measured: dict[str, Band] = field(repr=False)

    @property
    def phase(self) -> str:
        """``"ordered"``, ``"critical"`` or ``"chaotic"``.

        Critical is a network whose depth scale is not below its depth: near enough to the edge.
        """
        if float(self.theory.depth_scale) >= self.depth:
            return "critical"
        return "ordered" if float(self.theory.final_chi) < 1.0 else "chaotic"

    @property
    def verdict(self) -> str:
        """The phase, and what it means for this network, in a sentence."""
        factor = number(math.sqrt(float(self.theory.final_chi)), ".3g")
        if self.phase == "critical":
            return _(
                "critical: signals and gradients reach through all {depth} layers, though two "
                "inputs slowly change their likeness; gradients change by the factor {factor} a "
                "layer"
            ).format(depth=self.depth, factor=factor)
        end = float(self.theory.final_variance)
        if self.phase == "ordered" and end == 0.0:
            return _(
                "ordered: signals fade, and gradients shrink by the factor {factor} a layer"
            ).format(factor=factor)
        if self.phase == "ordered":
            layers = self._layers_until_alike()
            return ngettext(
                "ordered: inputs become alike after about {layers} layer; gradients shrink by the "
                "factor {factor} a layer",
                "ordered: inputs become alike after about {layers} layers; gradients shrink by the "
                "factor {factor} a layer",
                layers,
            ).format(layers=layers, factor=factor)
        if math.isinf(end):
            return _(
                "chaotic: signals grow without end, and gradients grow by the factor {factor} a "
                "layer"
            ).format(factor=factor)
        correlation = round(float(self.theory.final_correlation), 2) + 0.0  # never -0.00
        scale = max(1, round(float(self.theory.depth_scale)))
        return ngettext(
            "chaotic: inputs, however alike, end with the correlation {end} (depth scale: {scale} "
            "layer); gradients grow by the factor {factor} a layer",
            "chaotic: inputs, however alike, end with the correlation {end} (depth scale: {scale} "
            "layers); gradients grow by the factor {factor} a layer",
            scale,
        ).format(end=number(correlation, ".2f"), scale=scale, factor=factor)

    def _layers_until_alike(self) -> int:
        unlike = self.theory.unlikeness
        if not unlike[-1] > 1.0 - ALIKE:  # NaN, too: where nothing is left, all is alike
            return int(np.argmax(~(unlike > 1.0 - ALIKE))) + 1
        more = float(self.theory.depth_scale) * math.log(float(unlike[-1]) / (1.0 - ALIKE))
        return self.depth + math.ceil(more)

    def to_frame(self) -> pd.DataFrame:
        """Return a row a layer: theory, and mean and range of what was measured.

        Returns
        -------
        pandas.DataFrame
            Columns "layer", "chi", and of variance, correlation and gradient each "..._theory",
            "..._mean", "..._low" and "..._high".
        """
        import pandas as pd

        columns: dict[str, Any] = {"layer": np.arange(1, self.depth + 1), "chi": self.theory.chi}
        for name in ("variance", "correlation", "gradient"):
            columns[f"{name}_theory"] = getattr(self.theory, name)
            for part, values in self.measured[name]._asdict().items():
                columns[f"{name}_{part}"] = values
        return pd.DataFrame(columns)

    def to_json(self) -> str:
        """Return everything as JSON; what is not finite as null.

        Returns
        -------
        str
            One object.
        """
        return as_json(
            {
                "activation": self.activation,
                "initializer": self.initializer,
                "sigma_w": self.sigma_w,
                "sigma_b": self.sigma_b,
                "depth": self.depth,
                "width": self.width,
                "networks": self.networks,
                "phase": self.phase,
                "verdict": self.verdict,
                **_final(self.theory),
                "layers": self.to_frame().to_dict("records"),
            }
        )

    def table(self, width: int = 80) -> str:
        """Return theory beside practice for some of the layers, as text.

        Parameters
        ----------
        width : int, default 80
            Columns.

        Returns
        -------
        str
            Lines of at most `width` characters, in the current language.
        """
        from fastinit.lab.propagation_tables import propagation_table

        return propagation_table(self, width)

    def plot(self, path: str | Path) -> Path:
        """Draw variance, correlation and gradients by layer into a file.

        Parameters
        ----------
        path : str or path
            Ends in ``.png`` or ``.svg``.

        Returns
        -------
        path
            The file.

        Raises
        ------
        ArgumentError
            If the name ends in anything else.
        OSError
            If the file cannot be written.
        """
        from fastinit.lab.report.pictures.propagation import layers

        return _draw(layers(self), path)


class Place(NamedTuple):
    """A network on a phase diagram."""

    sigma_w: float
    sigma_b: float
    label: str


@dataclass(frozen=True)
class PhaseDiagram:
    """What `phase_diagram` returns. Grids have a row for each sigma_b, a column for each sigma_w.

    Attributes
    ----------
    activation : str
        Its name.
    sigma_w, sigma_b : ndarray, shape (points,)
        The axes of the grid, ascending.
    depth, width, networks : int
        Layers, units of a layer, and how many random networks were measured at a point; 0 if
        nothing was measured.
    theory : Theory
        Its arrays have the shape (depth, points, points), or (points, points).
    edge : ndarray, shape (points,)
        For each sigma_b the critical sigma_w; NaN where it is not in the range.
    variance, correlation, gradient : ndarray, shape (points, points), or None
        Measured: of the last layer, and the gradient's size in the first layer over that in the
        last. Means over the networks, of gradients the root mean square.
    places : tuple of Place
        Networks to mark.

    Examples
    --------
    >>> from fastinit import lab
    >>> diagram = lab.phase_diagram("relu", points=5, measured=False).place(2.0, 0.5, "mine")
    >>> [mark.label for mark in diagram.places], diagram.edge.round(3).tolist()
    (['mine'], [1.414, 1.414, 1.414, 1.414, 1.414])
    """

    activation: str
    sigma_w: Array
    sigma_b: Array
    depth: int
    width: int
    networks: int
    theory: Theory = field(repr=False)
    edge: Array = field(repr=False)
    variance: Array | None = field(repr=False)
    correlation: Array | None = field(repr=False)
    gradient: Array | None = field(repr=False)
    places: tuple[Place, ...] = ()

    def place(self, sigma_w: float, sigma_b: float, label: str = "") -> PhaseDiagram:
        """Return the diagram with one more network marked.

        Parameters
        ----------
        sigma_w, sigma_b : float
            Where it is; outside of the ranges it is marked at their border.
        label : str, default ""
            What to write beside the mark.

        Returns
        -------
        PhaseDiagram
            A new one; this one does not change.

        Raises
        ------
        ArgumentError, ArgumentTypeError
            If a number is negative, not finite, or no number.
        """
        mark = Place(as_scale("sigma_w", sigma_w), as_scale("sigma_b", sigma_b), label)
        return replace(self, places=(*self.places, mark))

    def to_frame(self) -> pd.DataFrame:
        """Return a row a grid point.

        Returns
        -------
        pandas.DataFrame
            Columns "sigma_w", "sigma_b", what holds in the end by theory, and of variance,
            correlation and gradient theory and, if it was measured, practice.
        """
        import pandas as pd

        grid_w, grid_b = np.meshgrid(self.sigma_w, self.sigma_b)
        columns = {
            "sigma_w": grid_w,
            "sigma_b": grid_b,
            **_final(self.theory),
            "variance_theory": self.theory.variance[-1],
            "correlation_theory": self.theory.correlation[-1],
            "gradient_theory": self.theory.gradient[0],
            "variance": self.variance,
            "correlation": self.correlation,
            "gradient": self.gradient,
        }
        return pd.DataFrame({k: v.ravel() for k, v in columns.items() if v is not None})

    def to_json(self) -> str:
        """Return everything as JSON; what is not finite as null.

        Returns
        -------
        str
            One object.
        """
        return as_json(
            {
                "activation": self.activation,
                "depth": self.depth,
                "width": self.width,
                "networks": self.networks,
                "edge": [
                    {"sigma_b": b, "sigma_w": w}
                    for b, w in zip(self.sigma_b.tolist(), self.edge.tolist(), strict=True)
                ],
                "places": [mark._asdict() for mark in self.places],
                "points": self.to_frame().to_dict("records"),
            }
        )

    @property
    def verdict(self) -> str:
        """Where the edge of chaos lies, in a sentence."""
        known = np.isfinite(self.edge)
        if not known.any():
            return _("no edge of chaos between sigma_w {low} and {high}").format(
                low=number(self.sigma_w[0]), high=number(self.sigma_w[-1])
            )
        first, last = np.flatnonzero(known)[[0, -1]]
        if first == last:
            return _("edge of chaos: at sigma_w {low} for sigma_b {first}").format(
                low=number(self.edge[first], ".3f"), first=number(self.sigma_b[first], ".3g")
            )
        return _(
            "edge of chaos: from sigma_w {low} (sigma_b {first}) to {high} (sigma_b {last})"
        ).format(
            low=number(self.edge[first], ".3f"),
            first=number(self.sigma_b[first], ".3g"),
            high=number(self.edge[last], ".3f"),
            last=number(self.sigma_b[last], ".3g"),
        )

    def table(self, width: int = 80) -> str:
        """Return theory beside practice for some of the grid, as text.

        Parameters
        ----------
        width : int, default 80
            Columns.

        Returns
        -------
        str
            Lines of at most `width` characters, in the current language.
        """
        from fastinit.lab.propagation_tables import phase_table

        return phase_table(self, width)

    def plot(self, path: str | Path) -> Path:
        """Draw the diagram into a file.

        Parameters
        ----------
        path : str or path
            Ends in ``.png`` or ``.svg``.

        Returns
        -------
        path
            The file.

        Raises
        ------
        ArgumentError
            If the name ends in anything else.
        OSError
            If the file cannot be written.
        """
        from fastinit.lab.report.pictures.propagation import phases

        return _draw(phases(self), path)


def propagate(
    activation: Activation,
    sigma_w: float | None = None,
    sigma_b: float = 0.0,
    *,
    depth: int = 50,
    width: int = 256,
    initializer: InitializerLike | None = None,
    variance: float = 1.0,
    correlation: float = 0.5,
    networks: int = 8,
    seed: int = 0,
) -> Propagation:
    r"""Say what mean-field theory predicts for a network, and measure random networks beside it.

    The networks are stacks of dense layers of one width, :math:`z_1 = W_1 x + b_1`,
    :math:`z_{l+1} = W_{l+1} \phi(z_l) + b_{l+1}`, the weights of standard deviation
    :math:`\sigma_w / \sqrt{\text{width}}`, the biases of :math:`\sigma_b`. Two inputs go through,
    and a gradient of random direction goes back from the last layer.

    Parameters
    ----------
    activation : str or callable
        See `fastinit.meanfield.edge_of_chaos`.
    sigma_w : float, optional
        Standard deviation of the weights times the root of fan_in; not negative. This or
        `initializer` must be given.
    sigma_b : float, default 0.0
        Standard deviation of the biases; not negative.
    depth : int, default 50
        Layers.
    width : int, default 256
        Units of a layer, at least 2. Theory is that of infinite width: what is measured strays from
        it by about the root of depth / width.
    initializer : str or callable, optional
        Draws the kernels, of the shape (width, width); see `fastinit.get`. `sigma_w` is then that
        of what it draws.
    variance, correlation : float, default 1.0 and 0.5
        The two inputs' mean square, positive, and their correlation, -1 to 1.
    networks : int, default 8
        How many to measure.
    seed : int, default 0
        Of the draws.

    Returns
    -------
    Propagation
        Theory, what was measured, and the phase.

    Raises
    ------
    UnknownNameError
        If no activation or initializer has this name.
    ArgumentError
        If a number is out of its range, the activation is constant, has jumps or is not finite;
        or the initializer's weights do not have the mean 0.
    ArgumentTypeError
        If neither `sigma_w` nor `initializer` is given, or both are.

    References
    ----------
    Poole, Lahiri, Raghu, Sohl-Dickstein, Ganguli: Exponential expressivity in deep neural networks
    through transient chaos. arXiv:1606.05340 (2016).

    Schoenholz, Gilmer, Ganguli, Sohl-Dickstein: Deep information propagation. arXiv:1611.01232
    (2016).

    Examples
    --------
    >>> from fastinit.lab.propagation import propagate
    >>> found = propagate("tanh", 1.1, 0.3, depth=20, width=64, networks=2)
    >>> found.phase, found.verdict[:52]
    ('ordered', 'ordered: inputs become alike after about 19 layers; ')
    """
    activation_of(activation)
    if (sigma_w is None) == (initializer is None):
        raise ArgumentTypeError("give sigma_w or initializer, one of them")
    depth, width = as_count("depth", depth), as_count("width", width, 2)
    networks, sigma_b = as_count("networks", networks), as_scale("sigma_b", sigma_b)
    variance, correlation = _inputs(variance, correlation)
    rule = None if initializer is None else fastinit.get(initializer)
    keys = [fastinit.key(seed, "lab.propagation", str(i)) for i in range(networks)]
    if rule is None:
        sigma_w = as_scale("sigma_w", sigma_w)
        scale = sigma_w / math.sqrt(width)
    else:
        sigma_w, scale = sigma_w_of(rule, width, seed=seed), 1.0
    one = np.array([sigma_w]), np.array([sigma_b])
    theory = predict(activation, *one, depth, variance, correlation)
    found = []
    for key in keys:
        draws = Draws(key, depth, width, rule)
        found.append(
            measure(
                activation,
                draws,
                np.array([scale]),
                one[1],
                variance=variance,
                correlation=correlation,
            )
        )
    unlikeness = _band([signals.unlikeness[:, 0] for signals in found])
    return Propagation(
        activation=_name(activation),
        initializer=None if rule is None else _name(initializer),
        sigma_w=sigma_w,
        sigma_b=sigma_b,
        depth=depth,
        width=width,
        networks=networks,
        theory=Theory(**{name: values[..., 0] for name, values in vars(theory).items()}),
        measured={
            "variance": _band([signals.variance[:, 0] for signals in found]),
            "correlation": Band(1.0 - unlikeness.mean, 1.0 - unlikeness.high, 1.0 - unlikeness.low),
            "unlikeness": unlikeness,
            "gradient": _band([signals.gradient[:, 0] for signals in found], squares=True),
        },
    )


def phase_diagram(
    activation: Activation,
    sigma_w: tuple[float, float] = (0.5, 3.0),
    sigma_b: tuple[float, float] = (0.0, 1.0),
    *,
    points: int = 50,
    depth: int = 50,
    width: int = 256,
    measured: bool = True,
    networks: int = 4,
    variance: float = 1.0,
    correlation: float = 0.5,
    places: Sequence[tuple[float, float, str]] = (),
    seed: int = 0,
    progress: bool = False,
) -> PhaseDiagram:
    """Map where networks are ordered and where chaotic, in theory and measured.

    All grid points are measured on the same draws, each with its own scales, so that neighbours
    differ by their scales alone.

    Parameters
    ----------
    activation : str or callable
        See `fastinit.meanfield.edge_of_chaos`.
    sigma_w : tuple of float, default (0.5, 3.0)
        Range of the weights' scales, the first the smaller and not negative.
    sigma_b : tuple of float, default (0.0, 1.0)
        That of the biases'.
    points : int, default 50
        Of the grid, along each axis; at least 2.
    depth, width : int, default 50 and 256
        See `propagate`.
    measured : bool, default True
        Whether to measure networks, or only predict.
    networks : int, default 4
        How many to measure at every grid point.
    variance, correlation : float, default 1.0 and 0.5
        See `propagate`.
    places : sequence of (sigma_w, sigma_b, label), optional
        Networks to mark; `PhaseDiagram.place` adds more.
    seed : int, default 0
        Of the draws.
    progress : bool, default False
        Whether to show a progress bar on stderr, if that is a terminal.

    Returns
    -------
    PhaseDiagram
        The grids and the edge of chaos.

    Raises
    ------
    UnknownNameError
        If no activation has this name.
    ArgumentError
        If a number is out of its range, or the activation is constant, has jumps or is not finite.

    References
    ----------
    See `propagate`.

    Examples
    --------
    >>> from fastinit.lab.propagation import phase_diagram
    >>> phase_diagram("relu", points=5, measured=False).verdict
    'edge of chaos: from sigma_w 1.414 (sigma_b 0) to 1.414 (sigma_b 1)'
    """
    activation_of(activation)
    points, depth = as_count("points", points, 2), as_count("depth", depth)
    width, networks = as_count("width", width, 2), as_count("networks", networks)
    axis_w, axis_b = (
        np.linspace(*_range(name, ends), points)
        for name, ends in (("sigma_w", sigma_w), ("sigma_b", sigma_b))
    )
    variance, correlation = _inputs(variance, correlation)
    marks = tuple(
        Place(as_scale("sigma_w", w), as_scale("sigma_b", b), text) for w, b, text in places
    )
    keys = [fastinit.key(seed, "lab.propagation", str(i)) for i in range(networks)]
    grid_w, grid_b = np.meshgrid(axis_w, axis_b)
    theory = predict(activation, grid_w, grid_b, depth, variance, correlation)
    means: dict[str, Array | None] = dict.fromkeys(("variance", "correlation", "gradient"))
    if measured:
        sums = np.zeros((3, points * points))
        with _bar(networks * points * points, progress) as done:
            for key in keys:
                signals = measure(
                    activation,
                    Draws(key, depth, width),
                    grid_w.ravel() / math.sqrt(width),
                    grid_b.ravel(),
                    variance=variance,
                    correlation=correlation,
                    done=done,
                )
                with np.errstate(over="ignore"):
                    sums += (
                        signals.variance[-1],
                        1.0 - signals.unlikeness[-1],
                        signals.gradient[0] ** 2,
                    )
        sums /= networks
        sums[2] = np.sqrt(sums[2])
        means = dict(zip(means, sums.reshape(3, points, points), strict=True))
    return PhaseDiagram(
        activation=_name(activation),
        sigma_w=axis_w,
        sigma_b=axis_b,
        depth=depth,
        width=width,
        networks=networks if measured else 0,
        theory=theory,
        edge=maps_of(activation).edge(axis_b, axis_w[0], axis_w[-1], variance),
        places=marks,
        **means,
    )


def sigma_w_of(initializer: InitializerLike, width: int = 256, *, seed: int = 0) -> float:
    r"""Return an initializer's place on a phase diagram, by its draws.

    .. math:: \sigma_w = \sqrt{\text{width} \cdot E[W_{ij}^2]}

    Parameters
    ----------
    initializer : str or callable
        See `fastinit.get`.
    width : int, default 256
        It draws kernels of the shape (width, width); at least 2.
    seed : int, default 0
        Of the draws.

    Returns
    -------
    float
        Of eight kernels.

    Raises
    ------
    UnknownNameError
        If no initializer has this name.
    ArgumentError
        If the weights do not have the mean 0.

    Examples
    --------
    >>> from fastinit.lab.propagation import sigma_w_of
    >>> round(sigma_w_of("orthogonal"), 6)
    1.0
    """
    rule, width = fastinit.get(initializer), as_count("width", width, 2)
    draws = Draws(fastinit.key(seed, "lab.propagation", "0"), 8, width, rule)
    kernels = [draws.kernel(layer) for layer in range(draws.depth)]
    mean = math.fsum(float(kernel.mean()) for kernel in kernels) / len(kernels)
    square = math.fsum(float((kernel * kernel).mean()) for kernel in kernels) / len(kernels)
    # A mean of the deviation's size over the root of the width moves as much as the weights do.
    if abs(mean) > 0.5 * math.sqrt(square / width):
        raise ArgumentError(
            f"theory is about weights with the mean 0; those of {_name(initializer)} have "
            f"{mean:.3g}, with the root mean square {math.sqrt(square):.3g}"
        )
    return math.sqrt(square * width)


def _inputs(variance: float, correlation: float) -> tuple[float, float]:
    if not as_scale("variance", variance):
        raise ArgumentError(f"variance must be positive, got {variance!r}")
    if not -1.0 <= as_finite("correlation", correlation) <= 1.0:
        raise ArgumentError(f"correlation must be -1 to 1, got {correlation!r}")
    return float(variance), float(correlation)


def _range(name: str, ends: tuple[float, float]) -> tuple[float, float]:
    try:
        low, high = ends
    except (TypeError, ValueError):
        raise ArgumentTypeError(f"{name} must be a range (low, high), got {ends!r}") from None
    if not as_scale(name, low) < as_scale(name, high):
        raise ArgumentError(f"{name} must rise from low to high, got {ends!r}")
    return float(low), float(high)


def _band(rows: Sequence[Array], squares: bool = False) -> Band:
    table = np.stack(rows)
    with np.errstate(over="ignore"):
        mean = np.sqrt((table**2).mean(axis=0)) if squares else table.mean(axis=0)
    return Band(mean, table.min(axis=0), table.max(axis=0))


def _name(what: Any) -> str:
    return what if isinstance(what, str) else getattr(what, "__name__", None) or repr(what)


def _final(theory: Theory) -> dict[str, Any]:
    names = ("final_variance", "final_correlation", "final_chi", "depth_scale")
    return {name: getattr(theory, name) for name in (*names, "variance_depth_scale")}


def _draw(figure: Any, path: str | Path) -> Path:
    from fastinit.lab.report.pictures import style

    path = Path(path)
    if path.suffix not in (".png", ".svg"):
        raise ArgumentError(f"a picture's file ends in .png or .svg, got {str(path)!r}")
    return write_whole(path, style.png(figure) if path.suffix == ".png" else style.svg_file(figure))


@contextlib.contextmanager
def _bar(total: int, shown: bool) -> Iterator[Callable[[int], None]]:
    """Yield what counts grid points, on a bar if there is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    from fastinit.nn import compiling

    console = Console(stderr=True)
    if not (shown and console.is_terminal):
        yield lambda points: None
        return
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task(_("measuring networks"), total=total)

        def note(what: str) -> None:
            progress.update(bar, description=what or _("measuring networks"))

        compiling.hand_over(note)
        try:
            yield lambda points: progress.update(bar, advance=points)
        finally:
            compiling.hand_back(note)
