"""What one look at a network holds: figures a layer, forward and backward.

The subjects (`fastinit.lab.subjects`) fill these in, one a framework; whatever judges, prints,
draws or stores them knows nothing of frameworks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["HISTOGRAMS", "Histogram", "LayerFigures", "Observation"]

HISTOGRAMS = "histogram", "weight_histogram"
"""The fields of :class:`LayerFigures` that are no single numbers."""


@dataclass(frozen=True)
class Histogram:
    """How numbers are distributed: counts in bins of one width.

    Attributes
    ----------
    low, high : float
        The least and the greatest number, where the first bin begins and the last one ends; NaN
        where no number is finite.
    counts : tuple of int
        Numbers in each bin, :data:`fastinit.lab.figures.BINS` of them. Where all numbers are the
        same, they are in the middle one.
    left_out : int
        Numbers that are not finite, which are in none.
    """

    low: float
    high: float
    counts: tuple[int, ...]
    left_out: int = 0

    @property
    def numbers(self) -> tuple[float, ...]:
        """All of it in one row, as files have it: low, high, left_out, counts."""
        return (self.low, self.high, self.left_out, *self.counts)

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Histogram:
        """Undo `numbers`.

        Parameters
        ----------
        numbers : sequence of float
            What `numbers` gave.

        Returns
        -------
        Histogram
            An equal one.
        """
        low, high, left_out, *counts = numbers
        return cls(float(low), float(high), tuple(map(int, counts)), int(left_out))


@dataclass(frozen=True)
class LayerFigures:
    """The figures of one layer. None stands for what the layer does not have.

    Attributes
    ----------
    name : str
        As the framework calls it: "dense_3", "blocks.0.mlp.fc1".
    kind : str
        Class of the layer: "Dense", "Linear", "Conv2d", "LSTM".
    activation : str or None
        Name, as `fastinit.gain` knows it, of the function that is applied to the layer's output.
    fan_in, fan_out : int or None
        Of its kernel.
    mean, std : float
        Of all numbers that the layer puts out, its activation included.
    spread : float
        How much of the difference between examples it passes on:
        `fastinit.lab.figures.spread`.
    zeros : float
        Share of its outputs that are exactly 0.
    dead, saturated : float or None
        Share of its units that are 0 on every example, where the activation can be dead; that are
        within a hundredth of a bound on more than half of them, where it has two bounds.
    effective_rank : float
        Of the outputs, examples by features and centred: between 1 and `rank_limit`; 0 where all
        examples give the same.
    rank_limit : int
        The largest effective rank there could be.
    correlation : float or None
        Mean correlation between the outputs of two examples, not centred: 1 where the layer answers
        all alike. None where an output is 0 or not finite.
    gradient : float or None
        Root mean square, over examples and units, of the loss's gradient by the layer's output,
        times the number of examples. None where no gradient arrives at all; 0 where it is 0.
    weight_std : float or None
        Of the kernel, as it stands.
    expected_std : float or None
        What the rule for its fan and activation would give: `fastinit.lab.figures.expected_std`.
    weight_gradient : float or None
        Root mean square gradient of the kernel.
    update_ratio : float or None
        Size of one step of gradient descent over that of the kernel, both root mean square.
    distinct_units : int or None
        Units whose incoming weights differ; `units` where all do.
    units : int or None
        Outputs of the kernel: units, or channels.
    bias_mean : float or None
        Mean of its bias.
    gradient_through_time : float or None
        Of a recurrent layer: the factor a step by which the gradient of the last step's output by
        the state, or the input, changes from each step to the one before it.
    features : int or None
        How many numbers the layer puts out for one example, all positions counted.
    steps : int or None
        Of a recurrent layer: how many steps an example has.
    histogram, weight_histogram : Histogram or None
        Of a part of its outputs, the activation included, and of the kernel's weights.

    Examples
    --------
    >>> import fastinit
    >>> from fastinit import lab, nn
    >>> network = nn.Sequential([nn.Dense(16, "relu", "zeros"), nn.Dense(2)], seed=0)
    >>> found = lab.diagnose(network, fastinit.normal((64, 8), 0.0, 1.0, seed=0), try_cure=False)
    >>> first = found.before.layers[0]
    >>> first.name, first.zeros, first.fan_in
    ('dense_0', 1.0, 8)
    """

    name: str
    kind: str
    activation: str | None
    fan_in: int | None
    fan_out: int | None
    mean: float
    std: float
    spread: float
    zeros: float
    dead: float | None
    saturated: float | None
    effective_rank: float
    rank_limit: int
    correlation: float | None
    gradient: float | None
    weight_std: float | None
    expected_std: float | None
    weight_gradient: float | None
    update_ratio: float | None
    distinct_units: int | None
    units: int | None
    bias_mean: float | None
    gradient_through_time: float | None
    features: int | None = None
    steps: int | None = None
    histogram: Histogram | None = None
    weight_histogram: Histogram | None = None


@dataclass(frozen=True)
class Observation:
    """One look at a network.

    Attributes
    ----------
    layers : tuple of LayerFigures
        In the order in which they run.
    examples : int
        How many examples went through.
    loss : float or None
        Mean loss; None where there was no target, and the gradient came from a random direction
        at the output.
    input_std, input_spread : float
        Of the examples; both 0 where they are whole numbers that an embedding reads.
    input_correlation : float or None
        Mean correlation between two examples.

    Examples
    --------
    >>> import fastinit
    >>> from fastinit import lab, nn
    >>> network = nn.Sequential([nn.Dense(16, "relu", "he_normal"), nn.Dense(2)], seed=0)
    >>> x = fastinit.normal((64, 8), 0.0, 1.0, seed=0)
    >>> seen = lab.diagnose(network, x, try_cure=False).before
    >>> seen.examples, [layer.name for layer in seen.layers], seen.loss is None
    (64, ['dense_0', 'dense_1'], True)
    """

    layers: tuple[LayerFigures, ...]
    examples: int
    loss: float | None
    input_std: float
    input_spread: float
    input_correlation: float | None
