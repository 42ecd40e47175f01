"""Keras' initializers with Keras' signatures, configurations and checks, drawn by fastinit."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import initializers as theirs

from fastinit import registry
from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.fans import as_shape, compute_fans
from fastinit.initializers import TRUNCATED_STD, Elementwise
from fastinit.initializers import Initializer as Catalogued
from fastinit.keras.tensors import draw
from fastinit.sampling import Normal, Uniform
from fastinit.sampling import TruncatedNormal as Truncated

__all__ = [
    "NAMES",
    "STFT",
    "Constant",
    "FastInit",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "get",
    "patch",
]

# Not exported: the base class of all that have a seed.
RandomInitializer: Any = theirs.RandomNormal.__base__

serializable = keras.saving.register_keras_serializable(package="fastinit")


class NegativeStddevError(ArgumentError, RuntimeError):
    """A negative standard deviation: PyTorch, and so Keras on it, raises a RuntimeError."""


class Drawn:
    """What a class of Keras' is mixed with, so that fastinit draws its values."""

    seed: Any

    def rule(self, shape: tuple[int, ...]) -> Catalogued:
        """Return the initializer of the catalogue that draws a tensor of `shape`.

        Parameters
        ----------
        shape : tuple of int
            That of the whole tensor.

        Returns
        -------
        fastinit.Initializer
            What `fastinit.get` would make.

        Raises
        ------
        ArgumentError
            If there is none, because a parameter or the shape does not fit.
        """
        raise NotImplementedError

    def __call__(self, shape: Any, dtype: Any = None, layout: Any = None) -> Any:
        """Return initial values.

        Parameters
        ----------
        shape : sequence of int
            That of the tensor.
        dtype : str or dtype, optional
            float32, float64, float16, bfloat16, complex64 or complex128; ``keras.config.floatx()``
            if left out.
        layout : keras.distribution.TensorLayout or jax.sharding.Sharding, optional
            With JAX, each device's part is then drawn by itself; Keras passes it.

        Returns
        -------
        tensor of the backend
            Of this shape and dtype.
        """
        sizes = as_shape(shape)
        return draw(self.rule(sizes), sizes, dtype, self.seed, layout)


@serializable
class Constant(theirs.Constant):
    """All elements equal `value`; Keras' own class, under fastinit's name.

    Parameters
    ----------
    value : number or array, default 0.0
        What broadcasts to the shape.

    Examples
    --------
    >>> from fastinit.keras import Constant
    >>> float(Constant(2.0)(()))
    2.0
    """


@serializable
class Zeros(theirs.Zeros):
    """Zeros; Keras' own class, under fastinit's name.

    Examples
    --------
    >>> from fastinit.keras import Zeros
    >>> float(Zeros()(()))
    0.0
    """


@serializable
class Ones(theirs.Ones):
    """Ones; Keras' own class, under fastinit's name.

    Examples
    --------
    >>> from fastinit.keras import Ones
    >>> float(Ones()(()))
    1.0
    """


@serializable
class Identity(theirs.Identity):
    """The identity matrix times `gain`; Keras' own class, under fastinit's name.

    Parameters
    ----------
    gain : float, default 1.0
        What the matrix is multiplied by; finite.

    Examples
    --------
    >>> from fastinit.keras import Identity
    >>> float(Identity(3.0)((2, 2))[1, 1])
    3.0
    """


@serializable
class STFT(theirs.STFT):
    """The kernel of a short-time Fourier transform; Keras' own class, under fastinit's name.

    See `fastinit.stft` for the formula.

    Parameters
    ----------
    side : {"real", "imag"}, default "real"
        Which part of the transform.
    window : str, array or None, default "hann"
        The name of one of SciPy's windows, its values, or None for none.
    scaling : {"density", "spectrum"} or None, default "density"
        How the window is scaled: by its L2 norm, by its sum, or not.
    periodic : bool, default False
        Whether the window is periodic; it is symmetric otherwise.

    Examples
    --------
    >>> import keras
    >>> from fastinit.keras import STFT
    >>> keras.ops.shape(STFT()((128, 1, 65)))[-1]
    65
    """


@serializable
class RandomNormal(Drawn, theirs.RandomNormal):
    """Normal with this mean and standard deviation, not truncated.

    Parameters
    ----------
    mean : float, default 0.0
        Finite.
    stddev : float, default 0.05
        Not negative.
    seed : int or keras.random.SeedGenerator, optional
        An integer gives the same values at each call, those of the core's functions with that
        seed. Left out, it is an integer drawn at construction, which
        ``keras.utils.set_random_seed`` decides. A SeedGenerator gives others at each call.

    Raises
    ------
    ArgumentError
        When called, if `stddev` is negative.

    Examples
    --------
    >>> import fastinit
    >>> from fastinit.keras import RandomNormal
    >>> float(RandomNormal(seed=0)((2, 3))[1, 2]) == float(fastinit.normal((2, 3), seed=0)[1, 2])
    True
    """

    def rule(self, shape: tuple[int, ...]) -> Catalogued:
        """Return the normal."""
        return Elementwise(Normal(self.mean, _stddev(self.stddev)))


@serializable
class TruncatedNormal(Drawn, theirs.TruncatedNormal):
    """Normal, given that it falls within two standard deviations of the mean.

    `stddev` is that of the normal before the truncation, as in Keras: the values' own is 0.8796
    times it.

    Parameters
    ----------
    mean : float, default 0.0
        Finite.
    stddev : float, default 0.05
        Not negative.
    seed : int or keras.random.SeedGenerator, optional
        See `RandomNormal`.

    Raises
    ------
    ArgumentError
        When called, if `stddev` is negative.

    Examples
    --------
    >>> import keras
    >>> from fastinit.keras import TruncatedNormal
    >>> bool(keras.ops.max(TruncatedNormal(stddev=0.5)((100, 100))) <= 1.0)
    True
    """

    def rule(self, shape: tuple[int, ...]) -> Catalogued:
        """Return the truncated normal."""
        return Elementwise(Truncated(self.mean, _stddev(self.stddev)))


@serializable
class RandomUniform(Drawn, theirs.RandomUniform):
    """Uniform on [minval, maxval).

    Parameters
    ----------
    minval : float, default -0.05
        Finite.
    maxval : float, default 0.05
        Not less than `minval`.
    seed : int or keras.random.SeedGenerator, optional
        See `RandomNormal`.

    Raises
    ------
    ArgumentError
        When called, if `minval` exceeds `maxval`.

    Examples
    --------
    >>> import keras
    >>> from fastinit.keras import RandomUniform
    >>> bool(keras.ops.min(RandomUniform(2.0, 3.0)((100, 100))) >= 2.0)
    True
    """

    def rule(self, shape: tuple[int, ...]) -> Catalogued:
        """Return the uniform distribution."""
        return Elementwise(Uniform(self.minval, self.maxval))


@serializable
class VarianceScaling(Drawn, theirs.VarianceScaling):
    """Mean 0 and variance `scale` / n, where n is fan_in, fan_out or their mean.

    The fans are Keras': the two last axes are the inputs and the outputs, all others the window; a
    shape of one axis has both fans equal to its size; with `input_axes` and `output_axes`, the
    fans are the products of those axes. For other fans see `FastInit`. Special cases, by their
    papers, are `GlorotUniform`, `HeNormal`, `LecunNormal` and their like.

    Parameters
    ----------
    scale : float, default 1.0
        Positive.
    mode : {"fan_in", "fan_out", "fan_avg"}, default "fan_in"
        What n is.
    distribution : str, default "truncated_normal"
        "truncated_normal" (cut at two standard deviations, and widened so that the variance is
        what it should be), "untruncated_normal" or "uniform"; "normal" means "truncated_normal".
    seed : int or keras.random.SeedGenerator, optional
        See `RandomNormal`.
    input_axes, output_axes : list of int, optional
        Both or none.

    Raises
    ------
    ValueError
        As Keras does, if an argument does not fit.

    Examples
    --------
    >>> import keras
    >>> from fastinit.keras import VarianceScaling
    >>> weights = VarianceScaling(2.0, "fan_out", "uniform", seed=0)((300, 200))
    >>> round(float(keras.ops.std(weights)), 3)
    0.1
    """

    def rule(self, shape: tuple[int, ...]) -> Catalogued:
        """Return the law whose variance is scale / n."""
        inputs, outputs = getattr(self, "input_axes", None), getattr(self, "output_axes", None)
        fan_in, fan_out = keras_fans(shape, inputs, outputs)
        n = {"fan_in": fan_in, "fan_out": fan_out}.get(self.mode, (fan_in + fan_out) / 2)
        std = math.sqrt(self.scale / max(1.0, n))
        if self.distribution == "uniform":
            return Elementwise(Uniform(-math.sqrt(3.0) * std, math.sqrt(3.0) * std))
        if self.distribution == "untruncated_normal":
            return Elementwise(Normal(0.0, std))
        return Elementwise(Truncated(0.0, std / TRUNCATED_STD))


@serializable
class GlorotUniform(VarianceScaling, theirs.GlorotUniform):
    """Uniform with variance 2 / (fan_in + fan_out).

    Parameters
    ----------
    seed : int or keras.random.SeedGenerator, optional
        See `RandomNormal`.
    input_axes, output_axes : list of int, optional
        See `VarianceScaling`.

    References
    ----------
    Glorot, Bengio: Understanding the difficulty of training deep feedforward neural networks.
    AISTATS (2010).

    Examples
    --------
    >>> import keras
    >>> from fastinit.keras import GlorotUniform
    >>> layer = keras.layers.Dense(8, kernel_initializer=GlorotUniform(seed=0))
    """


@serializable
class GlorotNormal(VarianceScaling, theirs.GlorotNormal):
    """Truncated normal with variance 2 / (fan_in + fan_out).

    Parameters
    ----------
    seed : int or keras.random.SeedGenerator, optional
        See `RandomNormal`.
    input_axes, output_axes : list of int, optional
        See `VarianceScaling`.

    References
    ----------
    Glorot, Bengio: Understanding the difficulty of training deep feedforward neural networks.
    AISTATS (2010).

    Examples
    --------
    >>> import keras
    >>> from fastinit.keras import GlorotNormal
    >>> layer = keras.layers.Dense(8, kernel_initializer=GlorotNormal(seed=0))
    """


@serializable
class LecunNormal(VarianceScaling, theirs.LecunNormal):
    """Truncated normal with variance 1 / fan_in.

    Parameters
    ----------
    seed : int or keras.random.SeedGenerator, optional
        See `RandomNormal`.
    input_axes, output_axes : list of int, optional
        See `VarianceScaling`.

    References
    ----------
    LeCun, Bottou, Orr, Müller: Efficient BackProp. Neural Networks: Tricks of the Trade (1998).

    Klambauer, Unterthiner, Mayr, Hochreiter: Self-normalizing neural networks. arXiv:1706.02515
    (2017).

    Examples
    --------
    >>> import keras
    >>> from fastinit.keras import LecunNormal
    >>> layer = keras.layers.Dense(8, kernel_initializer=LecunNormal(seed=0))
    """


@serializable
class LecunUniform(VarianceScaling, theirs.LecunUniform):
    """Uniform with variance 1 / fan_in.

    Parameters
    ----------
    seed : int or keras.random.SeedGenerator, optional
        See `RandomNormal`.
    input_axes, output_axes : list of int, optional
        See `VarianceScaling`.

    References
    ----------
    LeCun, Bottou, Orr, Müller: Efficient BackProp. Neural Networks: Tricks of the Trade (1998).

    Examples
    --------
    >>> import keras
    >>> from fastinit.keras import LecunUniform
    >>> layer = keras.layers.Dense(8, kernel_initializer=LecunUniform(seed=0))
    """


@serializable
class HeNormal(VarianceScaling, theirs.HeNormal):
    """Truncated normal with variance 2 / fan_in.

    Parameters
    ----------
    seed : int or keras.random.SeedGenerator, optional
        See `RandomNormal`.
    input_axes, output_axes : list of int, optional
        See `VarianceScaling`.

    References
    ----------
    He, Zhang, Ren, Sun: Delving deep into rectifiers: surpassing human-level performance on
    ImageNet classification. ICCV (2015).

    Examples
    --------
    >>> import keras
    >>> from fastinit.keras import HeNormal
    >>> layer = keras.layers.Dense(8, "relu", kernel_initializer=HeNormal(seed=0))
    >>> layer = keras.layers.Dense(8, "relu", kernel_initializer="fastinit>HeNormal")
    """


@serializable
class HeUniform(VarianceScaling, theirs.HeUniform):
    """Uniform with variance 2 / fan_in.

    Parameters
    ----------
    seed : int or keras.random.SeedGenerator, optional
        See `RandomNormal`.
    input_axes, output_axes : list of int, optional
        See `VarianceScaling`.

    References
    ----------
    He, Zhang, Ren, Sun: Delving deep into rectifiers: surpassing human-level performance on
    ImageNet classification. ICCV (2015).

    Examples
    --------
    >>> import keras
    >>> from fastinit.keras import HeUniform
    >>> layer = keras.layers.Dense(8, "relu", kernel_initializer=HeUniform(seed=0))
    """


@serializable
class Orthogonal(Drawn, theirs.Orthogonal):
    """A random orthogonal matrix times `gain`, uniform over all of them.

    More than two axes are flattened to (all but the last, last). The columns are orthogonal, or
    the rows if there are fewer of them. In 16 bits too, where Keras' own needs a decomposition
    that its backends lack.

    Parameters
    ----------
    gain : float, default 1.0
        What the matrix is multiplied by; finite.
    seed : int or keras.random.SeedGenerator, optional
        See `RandomNormal`.

    Raises
    ------
    ArgumentError
        When called, if the shape has fewer than two axes.

    References
    ----------
    Saxe, McClelland, Ganguli: Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks. arXiv:1312.6120 (2013).

    Examples
    --------
    >>> import keras
    >>> from fastinit.keras import Orthogonal
    >>> q = Orthogonal(seed=0)((5, 3))
    >>> bool(keras.ops.max(keras.ops.abs(keras.ops.transpose(q) @ q - keras.ops.eye(3))) < 1e-5)
    True
    """

    def rule(self, shape: tuple[int, ...]) -> Catalogued:
        """Return the catalogue's."""
        if len(shape) < 2:
            raise ArgumentError(f"an orthogonal tensor has at least two axes, got shape {shape}")
        return registry.get("orthogonal", gain=self.gain)


@serializable
class FastInit(Drawn, RandomInitializer):
    """Any initializer of fastinit's catalogue, those that Keras lacks among them.

    By string, in a layer: ``{"class_name": "fastinit>FastInit", "config": {"spec": "..."}}``.

    Parameters
    ----------
    spec : str or Initializer
        What `fastinit.get` takes: a name such as "delta_orthogonal", or a call of one such as
        "sparse(sparsity=0.9)"; of an initializer, its written form is kept. It must be known
        where a model is loaded: `fastinit.register` your own.
    seed : int or keras.random.SeedGenerator, optional
        See `RandomNormal`.

    Raises
    ------
    UnknownNameError, ArgumentError, ArgumentTypeError
        If there is no such initializer, or it cannot be written as a string.

    Examples
    --------
    >>> import keras
    >>> from fastinit.keras import FastInit
    >>> layer = keras.layers.Conv2D(8, 3, kernel_initializer=FastInit("delta_orthogonal", seed=0))
    >>> sorted({round(float(w), 2) for w in FastInit("rademacher(scale=0.5)")((40,))})
    [-0.5, 0.5]
    """

    def __init__(self, spec: str | Catalogued, seed: Any = None) -> None:
        self._rule = registry.get(spec)
        self.spec = spec if isinstance(spec, str) else _written(self._rule)
        super().__init__(seed=seed)

    def rule(self, shape: tuple[int, ...]) -> Catalogued:
        """Return the initializer."""
        return self._rule

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor takes.

        Returns
        -------
        dict
            "spec" and "seed".
        """
        return {"spec": self.spec, **super().get_config()}


def keras_fans(
    shape: tuple[int, ...], input_axes: list[int] | None, output_axes: list[int] | None
) -> tuple[int, int]:
    """Return the fans by Keras' rules."""
    if input_axes is not None and output_axes is not None:
        fan_in = math.prod(shape[axis] for axis in input_axes)
        return fan_in, math.prod(shape[axis] for axis in output_axes)
    if len(shape) < 2:
        return math.prod(shape), math.prod(shape)
    return compute_fans(shape)


def _stddev(stddev: Any) -> Any:
    if stddev < 0:
        raise NegativeStddevError(f"stddev must not be negative, got {stddev!r}")
    return stddev


def _written(rule: Catalogued) -> str:
    text = repr(rule)
    try:
        if registry.get(text) == rule:
            return text
    except ArgumentError:
        pass
    raise ArgumentTypeError(
        f"{text} cannot be saved with a model: give it a name with fastinit.register, and pass that"
    )


OURS = {
    ours.__name__: ours
    for ours in (
        Constant,
        GlorotNormal,
        GlorotUniform,
        HeNormal,
        HeUniform,
        Identity,
        LecunNormal,
        LecunUniform,
        Ones,
        Orthogonal,
        RandomNormal,
        RandomUniform,
        STFT,
        TruncatedNormal,
        VarianceScaling,
        Zeros,
    )
}
# Every name under which Keras knows one of these: its module's, and four that only strings have.
NAMES: dict[str, Any] = {
    name: OURS[known.__name__]
    for name, known in vars(theirs).items()
    if isinstance(known, type) and known.__name__ in OURS
} | {"normal": RandomNormal, "one": Ones, "uniform": RandomUniform, "zero": Zeros}
# So that "fastinit>he_normal" works as "fastinit>HeNormal" does.
keras.saving.get_custom_objects().update({f"fastinit>{name}": ours for name, ours in NAMES.items()})


def get(identifier: Any) -> Any:
    """Return an initializer from what ``keras.initializers.get`` takes, or a name of fastinit's.

    Parameters
    ----------
    identifier : str, dict, callable, array or None
        Keras' names, "he_normal" or "HeNormal", give the classes of this module; fastinit's, such
        as "sparse(sparsity=0.9)", give `FastInit`; all else goes to Keras.

    Returns
    -------
    callable or None
        None for None.

    Raises
    ------
    ValueError
        If there is no such initializer.

    Examples
    --------
    >>> import fastinit.keras
    >>> type(fastinit.keras.get("he_normal")).__name__
    'HeNormal'
    >>> fastinit.keras.get("rademacher(scale=0.1)").spec
    'rademacher(scale=0.1)'
    """
    if not isinstance(identifier, str):
        return theirs.get(identifier)
    if identifier in NAMES:
        return NAMES[identifier]()
    try:
        return theirs.get(identifier)
    except ValueError:
        return FastInit(identifier)


def patch() -> Any:
    """Return a context in which Keras' names of initializers stand for fastinit's.

    Layers made in it, by other people's code too, have their initializers given by strings and
    by default from fastinit, with the same meaning. It is a ``keras.saving.custom_object_scope``,
    and another such scope within takes its place.

    Returns
    -------
    context manager
        For a ``with`` statement.

    Examples
    --------
    >>> import fastinit.keras, keras
    >>> with fastinit.keras.patch():
    ...     layer = keras.layers.Dense(8)
    >>> isinstance(layer.kernel_initializer, fastinit.keras.GlorotUniform)
    True
    """
    return keras.saving.custom_object_scope(NAMES)
