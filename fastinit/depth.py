r"""Rules that know more of the network than one tensor's shape: its depth, or its width.

Two of them are initializers, `small_init` and `siren_uniform`. The others return numbers to put
into one: a standard deviation, or factors by which the weights of a standard initializer (Glorot's,
He's) are multiplied, ``fastinit.glorot_normal(shape, ...) * factor``; and, where a rule has one,
what the forward pass must multiply by. `mimetic_attention` returns the four kernels of an attention
layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastinit.errors import ArgumentError, ArgumentTypeError, unknown_name
from fastinit.fans import Axes, Fans, Shape, compute_fans
from fastinit.initializers import Initializer, as_fans, call_of, normal, normalize_axes
from fastinit.keys import Seed, key
from fastinit.sampling import Distribution, Normal, Uniform
from fastinit.sampling.distributions import as_scale
from fastinit.sampling.dtypes import FLOATS, find

__all__ = [
    "DeepNorm",
    "Fixup",
    "MimeticAttention",
    "MuP",
    "TFixup",
    "branch_multiplier",
    "deepnorm",
    "fixup",
    "gpt2_residual_std",
    "mimetic_attention",
    "mup",
    "siren_uniform",
    "small_init",
    "t_fixup",
]

Method: TypeAlias = Literal["layerscale", "rezero", "skipinit"]
Role: TypeAlias = Literal["input", "hidden", "output"]
Optimizer: TypeAlias = Literal["adam", "sgd"]
METHODS, ROLES, OPTIMIZERS = get_args(Method), get_args(Role), get_args(Optimizer)


@dataclass(frozen=True, repr=False)
class SmallInit(Initializer):
    """Normal of variance 2 / (5 width); see `small_init`."""

    name: ClassVar[str] = "small_init"

    in_axis: Axes = -2
    out_axis: Axes = -1
    batch_axis: Axes = ()

    def __post_init__(self) -> None:
        normalize_axes(self)

    def distribution(self, shape: tuple[int, ...]) -> Distribution:
        """Return the distribution."""
        width = min(compute_fans(shape, self.in_axis, self.out_axis, self.batch_axis))
        return Normal(0.0, math.sqrt(0.4 / max(width, 1)))

    def __repr__(self) -> str:
        return call_of(self.name, self)


@dataclass(frozen=True, repr=False)
class SirenUniform(Initializer):
    """Uniform for layers with sine activations; see `siren_uniform`."""

    name: ClassVar[str] = "siren_uniform"

    first: bool = False
    omega: float = 30.0
    in_axis: Axes = -2
    out_axis: Axes = -1
    batch_axis: Axes = ()

    def __post_init__(self) -> None:
        if not isinstance(self.first, bool):
            raise ArgumentTypeError(f"first must be True or False, got {self.first!r}")
        omega = as_scale("omega", self.omega)
        if not omega:
            raise ArgumentError(f"omega must be positive, got {self.omega!r}")
        object.__setattr__(self, "omega", omega)
        normalize_axes(self)

    def distribution(self, shape: tuple[int, ...]) -> Distribution:
        """Return the distribution."""
        fan_in, _ = compute_fans(shape, self.in_axis, self.out_axis, self.batch_axis)
        fan_in = max(fan_in, 1)
        bound = 1.0 / fan_in if self.first else math.sqrt(6.0 / fan_in) / self.omega
        return Uniform(-bound, bound)

    def __repr__(self) -> str:
        return call_of(self.name, self)


def small_init(
    shape: Shape,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
) -> NDArray[Any]:
    r"""Return draws for the kernels of a transformer of width `d`: normal, variance 2 / (5 d).

    .. math:: w \sim N\left(0, \frac{2}{d + 4 d}\right)

    which is Glorot's variance for the feed-forward layers (d, 4 d), given to the attention layers
    (d, d), too. `d` is the smaller of fan_in and fan_out. Another form in use,
    :math:`U(\pm\sqrt{6 / (\text{fan\_in} + 4\,\text{fan\_out})})`, has the same variance where
    fan_in = fan_out, and another in feed-forward layers.

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole tensor, of at least two axes.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`; left out, the values are different every time.
    dtype : dtype-like, default float32
        float32, float64, float16, bfloat16 (by name, or ml_dtypes.bfloat16), complex64 or
        complex128; see `Initializer`.
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole.
    in_axis, out_axis, batch_axis : int or sequence of int, default -2, -1, ()
        Which axes are inputs, outputs and independent copies; see `fastinit.compute_fans`.

    Returns
    -------
    ndarray
        Of the shape `shape`, or of the part `index`; `out`, where it is given.

    Raises
    ------
    ArgumentError, ArgumentIndexError, ArgumentTypeError
        If an argument does not fit; nothing has been computed then.

    References
    ----------
    Nguyen, Salazar: Transformers without tears: improving the normalization of self-attention.
    arXiv:1910.05895 (2019).

    Examples
    --------
    >>> import fastinit
    >>> w = fastinit.small_init((250, 1000), seed=0)
    >>> bool(abs(w.std() / 0.04 - 1) < 0.01)
    True
    """
    rule = SmallInit(in_axis, out_axis, batch_axis)
    return rule(shape, seed=seed, dtype=dtype, out=out, index=index)


def siren_uniform(
    shape: Shape,
    first: bool = False,
    omega: float = 30.0,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
) -> NDArray[Any]:
    r"""Return draws for layers :math:`\sin(\omega\,(W x + b))`, as of a SIREN.

    .. math::
        w \sim U\left(\pm\frac{1}{\text{fan\_in}}\right) \text{ in the first layer,} \qquad
        w \sim U\left(\pm\frac{\sqrt{6 / \text{fan\_in}}}{\omega}\right) \text{ in the others}

    so that what the sines are taken of is normal at any depth, and the sines have nearly the
    arcsine distribution. The standard deviation of the former is 1 in the second layer, and then
    falls to 0.893, the root of the q for which :math:`q = 1 - e^{-2 q}`. Inputs lie in [-1, 1].

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole tensor, of at least two axes.
    first : bool, default False
        Whether it is the first layer, whose frequencies `omega` decides.
    omega : float, default 30.0
        The factor in the sine; positive. The first layer's draws do not depend on it.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`; left out, the values are different every time.
    dtype : dtype-like, default float32
        float32, float64, float16, bfloat16 (by name, or ml_dtypes.bfloat16), complex64 or
        complex128; see `Initializer`.
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole.
    in_axis, out_axis, batch_axis : int or sequence of int, default -2, -1, ()
        Which axes are inputs, outputs and independent copies; see `fastinit.compute_fans`.

    Returns
    -------
    ndarray
        Of the shape `shape`, or of the part `index`; `out`, where it is given.

    Raises
    ------
    ArgumentError, ArgumentIndexError, ArgumentTypeError
        If an argument does not fit; nothing has been computed then.

    References
    ----------
    Sitzmann, Martel, Bergman, Lindell, Wetzstein: Implicit neural representations with periodic
    activation functions. arXiv:2006.09661 (2020).

    Examples
    --------
    >>> import fastinit
    >>> first = fastinit.siren_uniform((2, 256), first=True, seed=0)
    >>> bool(abs(first).max() <= 0.5)
    True
    """
    rule = SirenUniform(first, omega, in_axis, out_axis, batch_axis)
    return rule(shape, seed=seed, dtype=dtype, out=out, index=index)


def gpt2_residual_std(layers: int, std: float = 0.02) -> float:
    r"""Return the standard deviation of the projections that add to GPT-2's residual stream.

    .. math:: \text{std} / \sqrt{2 \cdot \text{layers}}

    Each layer adds twice, after attention and after the feed-forward network, so that what all add
    together has the same variance at any depth.

    Parameters
    ----------
    layers : int
        How many blocks the network has.
    std : float, default 0.02
        That of all other kernels; finite, not negative.

    Returns
    -------
    float
        At most `std`.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If `layers` is no positive integer, or `std` is negative or not finite.

    References
    ----------
    Radford, Wu, Child, Luan, Amodei, Sutskever: Language models are unsupervised multitask
    learners (2019), section 2.3.

    Examples
    --------
    >>> from fastinit.depth import gpt2_residual_std
    >>> round(gpt2_residual_std(12), 6)
    0.004082
    """
    return as_scale("std", std) / math.sqrt(2.0 * _number("layers", layers))


class TFixup(NamedTuple):
    """Factors of T-Fixup: of the encoder's and the decoder's kernels, and of the embeddings.

    Parameters
    ----------
    encoder, decoder : float
        Factors of the kernels of each stack.
    embedding : float
        Factor of the embeddings.

    Examples
    --------
    See `t_fixup`, which makes them.

    >>> from fastinit.depth import t_fixup
    >>> factors = t_fixup(6)
    >>> factors.decoder == factors.embedding
    True
    """

    encoder: float
    decoder: float
    embedding: float


def t_fixup(layers: int) -> TFixup:
    r"""Return the factors of T-Fixup, with which transformers need neither warm-up nor LayerNorm.

    .. math::
        \text{encoder: } 0.67\,N^{-1/4}, \qquad \text{decoder, embedding: } (9 N)^{-1/4}

    All kernels are Glorot's; those of the value and the output projections of attention, and of the
    feed-forward layers, times the factor of their stack. Embeddings are normal with standard
    deviation :math:`\text{width}^{-1/2}`, times their factor. There is no LayerNorm.

    Parameters
    ----------
    layers : int
        `N`, how many layers the encoder has, and how many the decoder. If they differ, call twice.

    Returns
    -------
    TFixup
        The factors `encoder`, `decoder` and `embedding`; all in (0, 1).

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If `layers` is no positive integer.

    References
    ----------
    Huang, Pérez, Ba, Volkovs: Improving transformer optimization through better initialization.
    ICML (2020).

    Examples
    --------
    >>> from fastinit.depth import t_fixup
    >>> [round(factor, 4) for factor in t_fixup(6)]
    [0.4281, 0.3689, 0.3689]
    """
    number = _number("layers", layers)
    decoder = (9 * number) ** -0.25
    return TFixup(0.67 * number**-0.25, decoder, decoder)


class Fixup(NamedTuple):
    """Factors of Fixup's kernels, and where its scalars start.

    Parameters
    ----------
    inner : float
        Factor of the kernels within a branch.
    last : float, default 0.0
        Factor of the last kernel of a branch.
    multiplier, bias : float, default 1.0 and 0.0
        Where the scalars start.

    Examples
    --------
    See `fixup`, which makes them.

    >>> from fastinit.depth import Fixup
    >>> Fixup(inner=0.5)
    Fixup(inner=0.5, last=0.0, multiplier=1.0, bias=0.0)
    """

    inner: float
    last: float = 0.0
    multiplier: float = 1.0
    bias: float = 0.0


def fixup(blocks: int, layers: int = 2) -> Fixup:
    r"""Return the factors of Fixup, with which residual networks need no normalization.

    .. math:: \text{inner} = L^{-1 / (2 m - 2)}

    for the kernels within a residual branch, He's, but the last; that is zero, as is the
    classifier. Each branch ends with a scalar multiplier, and before each layer and activation
    stands a scalar bias. A step of gradient descent then changes the network's output by as much at
    any depth.

    Parameters
    ----------
    blocks : int
        `L`, how many residual branches the network has.
    layers : int, default 2
        `m`, how many layers a branch has; at least 2, since a single one is the last.

    Returns
    -------
    Fixup
        The factors `inner` and `last`, and where each branch's `multiplier` and the `bias` start.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If a number is no positive integer, or `layers` is less than 2.

    References
    ----------
    Zhang, Dauphin, Ma: Fixup initialization: residual learning without normalization.
    arXiv:1901.09321 (2019).

    Examples
    --------
    >>> from fastinit.depth import fixup
    >>> fixup(16, layers=3)
    Fixup(inner=0.5, last=0.0, multiplier=1.0, bias=0.0)
    """
    number = _number("blocks", blocks)
    if _number("layers", layers) < 2:
        raise ArgumentError(f"a branch's only layer is its last; layers must be 2, got {layers!r}")
    return Fixup(number ** (-1.0 / (2 * layers - 2)))


def branch_multiplier(method: Method, depth: int) -> float:
    r"""Return what the branches of x + a F(x) are multiplied by at first, to start near identity.

    =============  ==========================================  ==================================
    method         a                                           what it is
    =============  ==========================================  ==================================
    "rezero"       0                                           one trainable number a branch
    "skipinit"     0                                           the same, after a normalizing branch
    "layerscale"   0.1 up to depth 18, 1e-5 up to 24, 1e-6     a trainable vector, one a channel
    =============  ==========================================  ==================================

    Parameters
    ----------
    method : {"layerscale", "rezero", "skipinit"}
        The rule, as in the table.
    depth : int
        How many blocks the network has, at least 1.

    Returns
    -------
    float
        0 to 0.1.

    Raises
    ------
    UnknownNameError
        If there is no such method.
    ArgumentError, ArgumentTypeError
        If `depth` is no positive integer.

    References
    ----------
    Bachlechner, Majumder, Mao, Cottrell, McAuley: ReZero is all you need: fast convergence at large
    depth. arXiv:2003.04887 (2020).

    De, Smith: Batch normalization biases residual blocks towards the identity function in deep
    networks. arXiv:2002.10444 (2020), for SkipInit.

    Touvron, Cord, Sablayrolles, Synnaeve, Jégou: Going deeper with image transformers.
    arXiv:2103.17239 (2021), for LayerScale.

    Examples
    --------
    >>> from fastinit.depth import branch_multiplier
    >>> branch_multiplier("layerscale", 24)
    1e-05
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    number = _number("depth", depth)
    if method != "layerscale":
        return 0.0
    return 0.1 if number <= 18 else 1e-5 if number <= 24 else 1e-6


class DeepNorm(NamedTuple):
    """What a stack's residual streams are multiplied by, and its kernels.

    Parameters
    ----------
    alpha : float
        Factor of the residual stream, at least 1 for stacks of several layers.
    beta : float
        Factor of the kernels.

    Examples
    --------
    See `deepnorm`, which makes them.

    >>> from fastinit.depth import deepnorm
    >>> alpha, beta = deepnorm(encoder=2)["encoder"]
    >>> round(alpha * beta, 6)  # (2 N / 8 N)^(1/4)
    0.707107
    """

    alpha: float
    beta: float


def deepnorm(encoder: int = 0, decoder: int = 0) -> dict[str, DeepNorm]:
    r"""Return the numbers of DeepNorm, with which post-norm transformers can be 1000 layers deep.

    Each sublayer is :math:`x' = \text{LayerNorm}(\alpha x + F(x))`, and Glorot's kernels of the
    value and the output projections and of the feed-forward layers are multiplied by
    :math:`\beta`; those of queries and keys are not. For `N` encoder and `M` decoder layers:

    ========  ============================  ==============================  ========================
    stack     alone                         with the other, alpha           with the other, beta
    ========  ============================  ==============================  ========================
    encoder   (2 N)^(1/4), (8 N)^(-1/4)     0.81 (N^4 M)^(1/16)             0.87 (N^4 M)^(-1/16)
    decoder   (2 M)^(1/4), (8 M)^(-1/4)     (3 M)^(1/4)                     (12 M)^(-1/4)
    ========  ============================  ==============================  ========================

    Parameters
    ----------
    encoder, decoder : int, default 0
        How many layers each stack has; 0 where there is none.

    Returns
    -------
    dict of str to DeepNorm
        `alpha` and `beta` of each stack that there is: "encoder", "decoder".

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If there is no layer, or a number is no integer that is not negative.

    References
    ----------
    Wang, Ma, Dong, Huang, Zhang, Wei: DeepNet: scaling transformers to 1,000 layers.
    arXiv:2203.00555 (2022).

    Examples
    --------
    >>> from fastinit.depth import deepnorm
    >>> deepnorm(decoder=8)["decoder"].alpha
    2.0
    """
    n, m = _number("encoder", encoder, least=0), _number("decoder", decoder, least=0)
    if n and m:
        both = (n**4 * m) ** (1 / 16)
        return {
            "encoder": DeepNorm(0.81 * both, 0.87 / both),
            "decoder": DeepNorm((3 * m) ** 0.25, (12 * m) ** -0.25),
        }
    layers = _number("encoder + decoder", n + m)
    name = "encoder" if n else "decoder"
    return {name: DeepNorm((2 * layers) ** 0.25, (8 * layers) ** -0.25)}


class MuP(NamedTuple):
    """Factors of muP: of the base model's std and learning rate, and of the layer's output.

    Parameters
    ----------
    std : float
        Factor of the standard deviation of the initial weights.
    learning_rate : float
        Factor of the learning rate of the parameter.
    multiplier : float
        Factor of what the layer computes.

    Examples
    --------
    See `mup`, which makes them.

    >>> from fastinit.depth import mup
    >>> wide = mup("output", fans=(1024, 10), base_fans=(256, 10), optimizer="sgd")
    >>> wide.learning_rate, wide.multiplier
    (4.0, 0.25)
    """

    std: float
    learning_rate: float
    multiplier: float


def mup(role: Role, fans: Fans, base_fans: Fans, optimizer: Optimizer = "adam") -> MuP:
    r"""Return the factors of muP, with which a narrow model's hyperparameters serve wide ones.

    With :math:`r_\text{in}` and :math:`r_\text{out}` for how many times the fan_in and the fan_out
    of the base model a layer has:

    ========  ======================  ======  ======================  ======================
    role      std                     Adam    SGD                     multiplier
    ========  ======================  ======  ======================  ======================
    input     1                       1       r_out                   1
    hidden    :math:`r_in^{-1/2}`     1/r_in  r_out / r_in            1
    output    1                       1       r_in                    1/r_in
    ========  ======================  ======  ======================  ======================

    `std` multiplies the standard deviation that the parameter has in the base model, the columns
    Adam and SGD its learning rate there, and `multiplier` what the layer computes. So a step
    changes each activation by as much at any width. Besides, attention divides its logits by the
    size of a head instead of its root.

    Parameters
    ----------
    role : {"input", "hidden", "output"}
        Which fans grow with the width: the fan_out of an input, both of a hidden layer, the fan_in
        of an output. Embeddings, biases and the gains of a LayerNorm are inputs (fan_in 1).
    fans, base_fans : (float, float)
        fan_in and fan_out, of the model and of the base model; positive. See `fastinit.fans`.
    optimizer : {"adam", "sgd"}, default "adam"
        "adam" is for all that normalize each element of a gradient. A weight decay that the
        learning rate multiplies is divided by the factor of the learning rate.

    Returns
    -------
    MuP
        The factors `std`, `learning_rate` and `multiplier`; positive.

    Raises
    ------
    UnknownNameError
        If there is no such role or optimizer.
    ArgumentError, ArgumentTypeError
        If a fan is not positive, or one that does not grow in this role has grown.

    References
    ----------
    Yang, Hu, Babuschkin, Sidor, Liu, Farhi, Ryder, Pachocki, Chen, Gao: Tensor programs V: tuning
    large neural networks via zero-shot hyperparameter transfer. arXiv:2203.03466 (2022), table 8.

    Examples
    --------
    >>> from fastinit.depth import mup
    >>> mup("hidden", fans=(1024, 4096), base_fans=(256, 1024))
    MuP(std=0.5, learning_rate=0.25, multiplier=1.0)
    >>> mup("output", fans=(1024, 10), base_fans=(256, 10))
    MuP(std=1.0, learning_rate=1.0, multiplier=0.25)
    """
    for kind, value, known in (("role", role, ROLES), ("optimizer", optimizer, OPTIMIZERS)):
        if value not in known:
            raise unknown_name(kind, value, known)
    new, base = as_fans(fans), as_fans(base_fans)
    if not min(*new, *base) > 0.0:
        raise ArgumentError(f"fans must be positive, got {fans!r} and {base_fans!r}")
    r_in, r_out = new[0] / base[0], new[1] / base[1]
    fixed = {"input": r_in, "output": r_out}.get(role, 1.0)
    if fixed != 1.0:
        raise ArgumentError(
            f"of an {role}, only one fan grows with the width: got {fans!r} for {base_fans!r}"
        )
    adam = optimizer == "adam"
    if role == "input":
        return MuP(1.0, 1.0 if adam else r_out, 1.0)
    if role == "hidden":
        return MuP(r_in**-0.5, (1.0 if adam else r_out) / r_in, 1.0)
    return MuP(1.0, 1.0 if adam else r_in, 1.0 / r_in)


class MimeticAttention(NamedTuple):
    """The kernels of an attention layer, each (width, width): inputs, outputs.

    Parameters
    ----------
    query, key, value : ndarray
        Kernels of the three projections, their columns head by head.
    projection : ndarray
        Kernel of the projection back.

    Examples
    --------
    See `mimetic_attention`, which makes them.

    >>> from fastinit.depth import mimetic_attention
    >>> mimetic_attention(16, 2, seed=0)._fields
    ('query', 'key', 'value', 'projection')
    """

    query: NDArray[Any]
    key: NDArray[Any]
    value: NDArray[Any]
    projection: NDArray[Any]


def mimetic_attention(
    width: int, heads: int, *, seed: Seed = None, dtype: DTypeLike = np.float32
) -> MimeticAttention:
    r"""Return an attention layer's kernels, made so that their products look like trained ones.

    .. math::
        W_Q W_K^T \approx 0.7\,Z + 0.7\,I \text{ in each head,} \qquad
        W_V W_\text{proj} = 0.4\,Z' - 0.4\,I

    with normal :math:`Z, Z'` of variance 1 / width, by singular value decompositions: each factor
    has the roots of the singular values, and those of a head the greatest width / heads of them. So
    tokens attend to their like, and a layer takes some of its input away from the residual stream.

    For layers that compute ``x @ kernel``, as Keras' and Flax' dense ones; PyTorch's are
    transposed. The columns of the query, the key and the value stand head by head.

    Parameters
    ----------
    width : int
        Of the layer; a multiple of `heads`.
    heads : int
        How many there are; a decomposition each, in time that grows as the cube of the width.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`; left out, the values are different every time. Each head has a key of
        its own below it.
    dtype : dtype-like, default float32
        float32, float64, float16 or bfloat16. Computed in float64, by LAPACK: on another machine,
        the same values up to rounding.

    Returns
    -------
    MimeticAttention
        The kernels `query`, `key`, `value` and `projection`, each of the shape (width, width).

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If a number is no positive integer, or `heads` does not divide `width`.

    References
    ----------
    Trockman, Kolter: Mimetic initialization of self-attention layers. arXiv:2305.09828 (2023).

    Examples
    --------
    >>> from fastinit.depth import mimetic_attention
    >>> layer = mimetic_attention(64, 4, seed=0)
    >>> mean = (layer.value @ layer.projection).diagonal().mean()
    >>> bool(-0.45 < mean < -0.35)
    True
    """
    size, number = _number("width", width), _number("heads", heads)
    if size % number:
        raise ArgumentError(f"heads must divide width, got width={width!r}, heads={heads!r}")
    row, root, rank = find(dtype, FLOATS), key(seed), size // number
    pairs = [
        _factors(size, 0.7, 0.7, key(root, "query_key", str(head)), rank) for head in range(number)
    ]
    value, projection = _factors(size, 0.4, -0.4, key(root, "value_projection"), size)
    query, keys = (np.concatenate(side, axis=1) for side in zip(*pairs, strict=True))
    kernels = (query, keys, value, np.ascontiguousarray(projection.T))
    return MimeticAttention(*(kernel.astype(row.array) for kernel in kernels))


def _factors(
    size: int, noise: float, identity: float, seed: Seed, rank: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return A and B, of `rank` columns, for which A B^T is nearest to noise Z + identity I."""
    target = normal((size, size), 0.0, noise / math.sqrt(size), seed=seed, dtype=np.float64)
    target[np.diag_indices(size)] += identity
    left, values, right = np.linalg.svd(target)
    # A pair of vectors is determined but for its sign.
    signs = np.where(left.sum(axis=0) < 0.0, -1.0, 1.0)
    roots = (signs * np.sqrt(values))[:rank]
    return left[:, :rank] * roots, right.T[:, :rank] * roots


def _number(name: str, value: Any, least: int = 1) -> int:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise ArgumentTypeError(f"{name} must be an integer, got {value!r}")
    if value < least:
        raise ArgumentError(f"{name} must be at least {least}, got {value!r}")
    return int(value)


DEPTH: dict[str, type[Initializer]] = {kind.name: kind for kind in (SirenUniform, SmallInit)}
