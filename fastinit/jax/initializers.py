"""The factories of ``jax.nn.initializers``, and fastinit's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import jax
from jax.nn.initializers import Initializer, constant, ones, zeros

import fastinit.initializers as core
from fastinit.errors import ArgumentError
from fastinit.fans import as_shape
from fastinit.initializers import NAMED_SCALINGS, VarianceScaling
from fastinit.jax.arrays import as_dtype, concrete, draw, is_key, make, words_of
from fastinit.jax.draws import Draw, key_of
from fastinit.keys import key as make_key
from fastinit.registry import InitializerLike, get
from fastinit.sampling import Normal, TruncatedNormal, Uniform
from fastinit.sampling.dtypes import COMPLEX
from fastinit.structured import DeltaOrthogonal, Orthogonal

__all__ = [
    "Initializer",
    "constant",
    "delta_orthogonal",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "initializer",
    "kaiming_normal",
    "kaiming_uniform",
    "lecun_normal",
    "lecun_uniform",
    "make_array",
    "normal",
    "ones",
    "ones_init",
    "orthogonal",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
    "zeros_init",
]

Axes: TypeAlias = "int | Sequence[int]"


@dataclass(frozen=True)
class Init:
    """An init function of JAX that draws with a fastinit initializer; made by the factories.

    Two with the same parameters are equal, so that modules that hold them can be compared, hashed
    and compiled once.
    """

    initializer: core.Initializer
    dtype: Any = None
    unitary: Any = field(
        default=None, compare=False, repr=False
    )  # JAX' own, where dtype is complex

    def __call__(
        self, key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None
    ) -> jax.Array:
        """Return an array of values that the key decides.

        Parameters
        ----------
        key : jax.Array
            One key, of the new style or the old, of any implementation.
        shape : sequence of int
            The shape of the array.
        dtype : dtype-like, optional
            float32, float64, float16, bfloat16, complex64 or complex128; by default the factory's
            `dtype`, and else JAX's default.
        out_sharding : NamedSharding or PartitionSpec, optional
            As in JAX, over explicit mesh axes. Each shard is made on its own.

        Returns
        -------
        jax.Array

        Raises
        ------
        ArgumentError
            A ValueError: if the shape or the dtype does not fit, or there are several keys.
        TypeError
            If `key` is no key, or a size no integer.
        """
        wanted = as_dtype(self.dtype if dtype is None else dtype)
        if self.unitary is not None and wanted.name in COMPLEX:
            return self.unitary(key, shape, wanted, out_sharding)
        return draw(Draw(self.initializer, as_shape(shape), wanted), key, out_sharding)


def uniform(scale: float = 1e-2, dtype: Any = None) -> Init:
    """Return an initializer that draws uniformly from [0, scale).

    The mean is scale / 2: to draw about zero, take ``fastinit.jax.initializer("uniform")``.

    Parameters
    ----------
    scale : float, default 0.01
        Finite. If it is negative, the draws lie in [scale, 0).
    dtype : dtype-like, optional
        What the init function returns where it is not told.

    Returns
    -------
    Init
        ``init(key, shape, dtype=None, out_sharding=None)``.

    Raises
    ------
    ArgumentError
        If `scale` is not finite.

    Examples
    --------
    >>> import jax, fastinit.jax
    >>> w = fastinit.jax.uniform(10.0)(jax.random.key(42), (64, 20))
    >>> bool((w >= 0).all() and (w < 10).all() and w.max() > 9)
    True
    """
    return Init(core.Elementwise(Uniform(min(scale, 0.0), max(scale, 0.0))), dtype)


def normal(stddev: float = 1e-2, dtype: Any = None) -> Init:
    """Return an initializer that draws from the normal distribution of mean 0.

    Parameters
    ----------
    stddev : float, default 0.01
        Finite, not negative.
    dtype : dtype-like, optional
        What the init function returns where it is not told.

    Returns
    -------
    Init
        ``init(key, shape, dtype=None, out_sharding=None)``.

    Raises
    ------
    ArgumentError
        If `stddev` is negative or not finite.

    Examples
    --------
    >>> import jax, fastinit.jax
    >>> init = fastinit.jax.normal(5.0)
    >>> w = init(jax.random.key(42), (64, 20))
    >>> bool((w == jax.jit(init, static_argnums=1)(jax.random.key(42), (64, 20))).all())
    True
    """
    return Init(core.Elementwise(Normal(0.0, stddev)), dtype)


def truncated_normal(
    stddev: float = 1e-2, dtype: Any = None, lower: float = -2.0, upper: float = 2.0
) -> Init:
    """Return an initializer that draws from a normal distribution, cut off at both ends.

    Parameters
    ----------
    stddev : float, default 0.01
        That of the normal before the cut: with the default bounds, that of the draws is 0.8796
        times as large. Finite, not negative.
    dtype : dtype-like, optional
        What the init function returns where it is not told.
    lower, upper : float, default -2.0 and 2.0
        In units of `stddev`, lower less than upper.

    Returns
    -------
    Init
        ``init(key, shape, dtype=None, out_sharding=None)``.

    Raises
    ------
    ArgumentError
        If `stddev` is negative or not finite, or `lower` is not less than `upper`.

    Examples
    --------
    >>> import jax, fastinit.jax
    >>> w = fastinit.jax.truncated_normal(0.02)(jax.random.key(42), (64, 20))
    >>> bool(abs(w).max() <= 0.04)
    True
    """
    return Init(core.Elementwise(TruncatedNormal(0.0, stddev, lower, upper)), dtype)


def variance_scaling(
    scale: float,
    mode: str,
    distribution: str,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    dtype: Any = None,
) -> Init:
    r"""Return an initializer of zero-mean draws whose variance is `scale` over a fan.

    .. math:: \operatorname{Var}[w] = \text{scale} / n

    The uniform distribution has the bounds :math:`\pm\sqrt{3\,\text{scale}/n}`; the truncated
    normal is cut off at two standard deviations and widened by 1/0.8796, so that its variance is
    right. Special cases, by their papers, are `glorot_uniform`, `he_normal` and `lecun_normal`.
    Complex draws are uniform on a disk, or cut by their modulus. JAX computes the standard
    deviation in the dtype of the array; here it is computed in float64, whatever the dtype.

    Parameters
    ----------
    scale : float
        Not negative.
    mode : {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"}
        What `n` is: the inputs, the outputs, or their arithmetic or geometric mean.
    distribution : {"truncated_normal", "normal", "uniform"}
        "normal" is not truncated.
    in_axis, out_axis, batch_axis : int or sequence of int, default -2, -1, ()
        Which axes are inputs, outputs and independent copies; all others are the window of a
        convolution. See `fastinit.compute_fans`.
    dtype : dtype-like, optional
        What the init function returns where it is not told.

    Returns
    -------
    Init
        ``init(key, shape, dtype=None, out_sharding=None)``.

    Raises
    ------
    ArgumentError
        If `scale` is negative, or there is no such mode or distribution; from the init function,
        if the shape has fewer than two axes or not those that are named.

    Examples
    --------
    >>> import jax, fastinit.jax
    >>> init = fastinit.jax.variance_scaling(2.0, "fan_out", "normal")
    >>> abs(float(init(jax.random.key(42), (300, 500)).std()) - (2 / 500) ** 0.5) < 1e-3
    True
    """
    rule = VarianceScaling(scale, mode, distribution, in_axis, out_axis, batch_axis)  # type: ignore[arg-type]
    return Init(rule, dtype)


def glorot_uniform(
    in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None
) -> Init:
    """Return Glorot's uniform initializer: U(-a, a), a = sqrt(6 / (fan_in + fan_out)).

    Parameters
    ----------
    in_axis, out_axis, batch_axis : int or sequence of int, default -2, -1, ()
        As those of `variance_scaling`.
    dtype : dtype-like, optional
        What the init function returns where it is not told.

    Returns
    -------
    Init
        ``init(key, shape, dtype=None, out_sharding=None)``.

    Raises
    ------
    ArgumentError
        From the init function, if the shape has fewer than two axes or not those that are named.

    References
    ----------
    Glorot and Bengio: Understanding the difficulty of training deep feedforward neural networks.
    AISTATS 2010.

    Examples
    --------
    >>> import jax, fastinit.jax
    >>> fastinit.jax.glorot_uniform()(jax.random.key(42), (64, 20)).shape
    (64, 20)
    """
    return _scaling("glorot_uniform", "uniform", in_axis, out_axis, batch_axis, dtype)


def glorot_normal(
    in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None
) -> Init:
    """Return Glorot's normal initializer: variance 2 / (fan_in + fan_out), cut off at two sigma.

    Parameters
    ----------
    in_axis, out_axis, batch_axis : int or sequence of int, default -2, -1, ()
        As those of `variance_scaling`.
    dtype : dtype-like, optional
        What the init function returns where it is not told.

    Returns
    -------
    Init
        ``init(key, shape, dtype=None, out_sharding=None)``.

    Raises
    ------
    ArgumentError
        From the init function, if the shape has fewer than two axes or not those that are named.

    References
    ----------
    Glorot and Bengio: Understanding the difficulty of training deep feedforward neural networks.
    AISTATS 2010.

    Examples
    --------
    >>> import jax, fastinit.jax
    >>> fastinit.jax.glorot_normal()(jax.random.key(42), (64, 20)).shape
    (64, 20)
    """
    return _scaling("glorot_normal", "truncated_normal", in_axis, out_axis, batch_axis, dtype)


def lecun_uniform(
    in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None
) -> Init:
    """Return LeCun's uniform initializer: U(-a, a), a = sqrt(3 / fan_in).

    Parameters
    ----------
    in_axis, out_axis, batch_axis : int or sequence of int, default -2, -1, ()
        As those of `variance_scaling`.
    dtype : dtype-like, optional
        What the init function returns where it is not told.

    Returns
    -------
    Init
        ``init(key, shape, dtype=None, out_sharding=None)``.

    Raises
    ------
    ArgumentError
        From the init function, if the shape has fewer than two axes or not those that are named.

    References
    ----------
    LeCun, Bottou, Orr, Müller: Efficient BackProp. Neural Networks: Tricks of the Trade, 1998.

    Examples
    --------
    >>> import jax, fastinit.jax
    >>> fastinit.jax.lecun_uniform()(jax.random.key(42), (64, 20)).shape
    (64, 20)
    """
    return _scaling("lecun_uniform", "uniform", in_axis, out_axis, batch_axis, dtype)


def lecun_normal(
    in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None
) -> Init:
    """Return LeCun's normal initializer: variance 1 / fan_in, cut off at two sigma.

    Parameters
    ----------
    in_axis, out_axis, batch_axis : int or sequence of int, default -2, -1, ()
        As those of `variance_scaling`.
    dtype : dtype-like, optional
        What the init function returns where it is not told.

    Returns
    -------
    Init
        ``init(key, shape, dtype=None, out_sharding=None)``.

    Raises
    ------
    ArgumentError
        From the init function, if the shape has fewer than two axes or not those that are named.

    References
    ----------
    LeCun, Bottou, Orr, Müller: Efficient BackProp. Neural Networks: Tricks of the Trade, 1998.

    Examples
    --------
    >>> import jax, fastinit.jax
    >>> fastinit.jax.lecun_normal()(jax.random.key(42), (64, 20)).shape
    (64, 20)
    """
    return _scaling("lecun_normal", "truncated_normal", in_axis, out_axis, batch_axis, dtype)


def he_uniform(
    in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None
) -> Init:
    """Return He's uniform initializer: U(-a, a), a = sqrt(6 / fan_in).

    Parameters
    ----------
    in_axis, out_axis, batch_axis : int or sequence of int, default -2, -1, ()
        As those of `variance_scaling`.
    dtype : dtype-like, optional
        What the init function returns where it is not told.

    Returns
    -------
    Init
        ``init(key, shape, dtype=None, out_sharding=None)``.

    Raises
    ------
    ArgumentError
        From the init function, if the shape has fewer than two axes or not those that are named.

    References
    ----------
    He, Zhang, Ren, Sun: Delving deep into rectifiers. ICCV 2015.

    Examples
    --------
    >>> import jax, fastinit.jax
    >>> fastinit.jax.he_uniform()(jax.random.key(42), (64, 20)).shape
    (64, 20)
    """
    return _scaling("he_uniform", "uniform", in_axis, out_axis, batch_axis, dtype)


def he_normal(
    in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None
) -> Init:
    """Return He's normal initializer: variance 2 / fan_in, cut off at two sigma.

    Parameters
    ----------
    in_axis, out_axis, batch_axis : int or sequence of int, default -2, -1, ()
        As those of `variance_scaling`.
    dtype : dtype-like, optional
        What the init function returns where it is not told.

    Returns
    -------
    Init
        ``init(key, shape, dtype=None, out_sharding=None)``.

    Raises
    ------
    ArgumentError
        From the init function, if the shape has fewer than two axes or not those that are named.

    References
    ----------
    He, Zhang, Ren, Sun: Delving deep into rectifiers. ICCV 2015.

    Examples
    --------
    >>> import jax, fastinit.jax
    >>> fastinit.jax.he_normal()(jax.random.key(42), (64, 20)).shape
    (64, 20)
    """
    return _scaling("he_normal", "truncated_normal", in_axis, out_axis, batch_axis, dtype)


def _scaling(name: str, law: str, *others: Any) -> Init:
    """Return a named rule: the core's scale and mode, and the law that the name has in JAX."""
    scale, mode, _ = NAMED_SCALINGS[name]
    return variance_scaling(scale, mode, law, *others)


xavier_uniform, xavier_normal = glorot_uniform, glorot_normal
kaiming_uniform, kaiming_normal = he_uniform, he_normal


def orthogonal(scale: float = 1.0, column_axis: int = -1, dtype: Any = None) -> Init:
    """Return an initializer of orthogonal matrices, uniformly distributed, times `scale`.

    All axes but `column_axis` are flattened to the rows of a matrix, whose columns are orthonormal;
    or its rows, where there are fewer of them. In float16 and bfloat16 too, in which JAX has none;
    complex ones are JAX' own.

    Parameters
    ----------
    scale : float, default 1.0
        Finite.
    column_axis : int, default -1
        The axis that holds the columns.
    dtype : dtype-like, optional
        What the init function returns where it is not told.

    Returns
    -------
    Init
        ``init(key, shape, dtype=None, out_sharding=None)``.

    Raises
    ------
    ArgumentError
        From the init function, if the shape has fewer than two axes or not that of the columns.

    References
    ----------
    Saxe, McClelland, Ganguli: Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks. ICLR 2014.

    Examples
    --------
    >>> import jax, fastinit.jax
    >>> w = fastinit.jax.orthogonal()(jax.random.key(42), (64, 20))
    >>> bool(abs(w.T @ w - jax.numpy.eye(20)).max() < 1e-5)
    True
    """
    unitary = jax.nn.initializers.orthogonal(scale, column_axis)
    return Init(Orthogonal(scale, column_axis), dtype, unitary)


def delta_orthogonal(scale: float = 1.0, column_axis: int = -1, dtype: Any = None) -> Init:
    r"""Return an initializer of convolutions with an orthogonal matrix at the centre, else zeros.

    Such a convolution keeps the norm of its input. Complex ones are JAX' own.

    Parameters
    ----------
    scale : float, default 1.0
        Finite.
    column_axis : int, default -1
        Has no effect on the distribution, since the rows of the matrix are orthonormal either way.
    dtype : dtype-like, optional
        What the init function returns where it is not told.

    Returns
    -------
    Init
        ``init(key, shape, dtype=None, out_sharding=None)``, for shapes (\*window, in, out) of
        three to five axes.

    Raises
    ------
    ArgumentError
        From the init function, if the shape has not three to five axes, or there are more inputs
        than outputs.

    References
    ----------
    Xiao, Bahri, Sohl-Dickstein, Schoenholz, Pennington: Dynamical isometry and a mean field theory
    of CNNs. ICML 2018.

    Examples
    --------
    >>> import jax, fastinit.jax
    >>> w = fastinit.jax.delta_orthogonal()(jax.random.key(42), (3, 8, 8))
    >>> bool(abs(w[1].T @ w[1] - jax.numpy.eye(8)).max() < 1e-5)
    True
    >>> int(abs(w[0]).sum() + abs(w[2]).sum())
    0
    """
    unitary = jax.nn.initializers.delta_orthogonal(scale, column_axis)
    return Init(DeltaOrthogonal(scale), dtype, unitary)


def zeros_init() -> Any:
    """Return the initializer of zeros, as Flax' function of this name.

    Returns
    -------
    callable
        ``jax.nn.initializers.zeros``, in which nothing is drawn.

    Examples
    --------
    >>> import jax, fastinit.jax
    >>> fastinit.jax.zeros_init()(jax.random.key(0), (3,))
    Array([0., 0., 0.], dtype=float32)
    """
    return zeros


def ones_init() -> Any:
    """Return the initializer of ones, as Flax' function of this name.

    Returns
    -------
    callable
        ``jax.nn.initializers.ones``, in which nothing is drawn.

    Examples
    --------
    >>> import jax, fastinit.jax
    >>> fastinit.jax.ones_init()(jax.random.key(0), (3,))
    Array([1., 1., 1.], dtype=float32)
    """
    return ones


def initializer(spec: InitializerLike, dtype: Any = None, **params: Any) -> Init:
    """Return any initializer of fastinit as an init function of JAX.

    Under the names that both have, this is fastinit's: ``uniform`` is about zero, and the named
    normals are not truncated. The other functions of this module are as in JAX.

    Parameters
    ----------
    spec : str, fastinit.Initializer, subclass of it, or callable
        As for `fastinit.get`. In a compiled program a function must be picklable, or JAX calls it
        back, which takes longer and cannot be cached on disk.
    dtype : dtype-like, optional
        What the init function returns where it is not told.
    **params
        The initializer's own parameters.

    Returns
    -------
    Init
        ``init(key, shape, dtype=None, out_sharding=None)``. For the key ``jax.random.key(s)`` of a
        seed below 2**32 the values are those of ``seed=s`` in fastinit, as long as JAX' keys are
        threefry's.

    Raises
    ------
    UnknownNameError, ArgumentError, ArgumentTypeError
        As from `fastinit.get`.

    Examples
    --------
    >>> import fastinit, jax, fastinit.jax
    >>> init = fastinit.jax.initializer("rademacher", scale=0.5)
    >>> w = init(jax.random.key(5), (64, 20))
    >>> bool((w == fastinit.rademacher((64, 20), 0.5, seed=5)).all())
    True
    """
    return Init(get(spec, **params), dtype)


def make_array(
    shape: Any, sharding: Any, init: Init | InitializerLike, seed: Any = None, dtype: Any = None
) -> jax.Array:
    """Return an array over several devices, each shard made where it lives.

    The values are those of the whole array on one device, bit for bit, whatever the mesh. A process
    makes the shards of its own devices alone, one at a time, each of them once, and needs no word
    from the others: neither a device nor the host ever holds the whole array.

    Structured initializers too make a part by itself, with these exceptions: of an orthogonal
    matrix a shard makes whole vectors (columns, or rows if there are fewer) and keeps its piece;
    of `convolution_orthogonal`, and of a function, it makes the whole.

    Parameters
    ----------
    shape : sequence of int
        The shape of the whole array.
    sharding : jax.sharding.Sharding or PartitionSpec
        Over any devices, those of other processes too; a spec is over the mesh of ``jax.set_mesh``.
        JAX wants each axis to be divided evenly.
    init : Init, or whatever `fastinit.get` takes
        A name such as ``"normal(std=0.02)"``, an initializer, or one of this module's init
        functions, ``fastinit.jax.he_normal()``.
    seed : int, Key, numpy.random.Generator, numpy.random.SeedSequence or JAX key, optional
        See `fastinit.key`; under a JAX key, what an init function would return for it. The same in
        every process: left out, for a fresh seed, only where there is but one.
    dtype : dtype-like, optional
        As for the init functions.

    Returns
    -------
    jax.Array
        Of this shape and sharding.

    Raises
    ------
    ArgumentError
        If the shape or the dtype does not fit, or `seed` is None in one of several processes.
    ValueError
        If the sharding does not divide the shape.

    Examples
    --------
    >>> import jax, fastinit, fastinit.jax
    >>> mesh = jax.make_mesh((1,), ("x",))
    >>> sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
    >>> w = fastinit.jax.make_array((64, 20), sharding, "he_normal", seed=0)
    >>> bool((w == fastinit.he_normal((64, 20), seed=0)).all())
    True
    """
    if not isinstance(init, Init):
        init = initializer(init)
    if seed is None and jax.process_count() > 1:
        raise ArgumentError("seed is None, and each process would draw another; give a number")
    what = Draw(init.initializer, as_shape(shape), as_dtype(init.dtype if dtype is None else dtype))
    key = key_of(words_of(seed)) if is_key(seed) else make_key(seed)
    return make(what, key, concrete(sharding))
