r"""``torch.nn.init`` on fastinit's draws: the same names, signatures, meaning, errors, warnings.

Every function fills its tensor in place, outside autograd, and returns it. `generator`, else
PyTorch's default generator and so ``torch.manual_seed``, gives one 63-bit word a call, which is
used as a `fastinit.Key`: the element whose place in C order is `i` depends on the word, the law and
`i`, and on nothing else. The numbers therefore differ from PyTorch's, and do not depend on the
device, the strides or the number of threads; float16 and bfloat16 are the float32 draws rounded.

Filled by fastinit: float32, float64, float16, bfloat16 and, for centred normals, complex64 and
complex128; of any strides, on the CPU in place, on another device by way of host memory (the word
then comes from the given generator, of whichever device, else from the CPU's default generator). Of
a DTensor, each rank fills the part that it holds with the values that the part has in the whole
tensor, and waits for no other; give all ranks the same word, by the same seed. A meta tensor stays
as it is. Everything else, and every argument that fastinit cannot draw with, goes to PyTorch's own
function: other dtypes and layouts, subclasses of Tensor other than Parameter, Buffer and DTensor,
elements that share memory. There PyTorch decides what is drawn or raised.

``zeros_``, ``ones_``, ``constant_``, ``eye_`` and ``dirac_`` draw nothing and are PyTorch's own,
but for the last two of a DTensor, which PyTorch's functions spoil.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.autograd.graph import increment_version
from torch.nn import init as _torch
from torch.nn.init import constant_, ones_, zeros_

from fastinit.errors import ArgumentError, ArgumentIndexError, ArgumentTypeError
from fastinit.fans import Shape, as_shape
from fastinit.gains import Activation, gain
from fastinit.initializers import Initializer, Law, Mode, VarianceScaling, law_of
from fastinit.keys import Key, Seed, key_bits
from fastinit.registry import InitializerLike, get
from fastinit.sampling import Normal, TruncatedNormal, Uniform, fill
from fastinit.sampling.dtypes import FLOATS, DType
from fastinit.sampling.orthogonal import fill_orthogonal
from fastinit.sampling.regions import places_of, slice_of
from fastinit.structured import Dirac, Identity, Orthogonal, Sparse
from fastinit.torch.sharding import is_distributed, local_of, part_of, write_part
from fastinit.torch.tensors import (
    DTYPES,
    Write,
    copy_into,
    draw,
    memory_of,
    plain,
    row_of,
    thread,
)

__all__ = [
    "apply_",
    "calculate_gain",
    "constant",
    "constant_",
    "dirac",
    "dirac_",
    "eye",
    "eye_",
    "kaiming_normal",
    "kaiming_normal_",
    "kaiming_uniform",
    "kaiming_uniform_",
    "lecun_normal_",
    "lecun_uniform_",
    "normal",
    "normal_",
    "ones_",
    "orthogonal",
    "orthogonal_",
    "shard_",
    "sparse",
    "sparse_",
    "trunc_normal_",
    "trunc_normal_tf_",
    "uniform",
    "uniform_",
    "variance_scaling_",
    "xavier_normal",
    "xavier_normal_",
    "xavier_uniform",
    "xavier_uniform_",
    "zeros_",
]

# PyTorch's own, as they were before `fastinit.torch.patch`.
_torch_uniform_ = _torch.uniform_
_torch_normal_ = _torch.normal_
_torch_trunc_normal_ = _torch._no_grad_trunc_normal_
_torch_kaiming_uniform_ = _torch.kaiming_uniform_
_torch_orthogonal_ = _torch.orthogonal_
_torch_sparse_ = _torch.sparse_
_torch_eye_ = _torch.eye_
_torch_dirac_ = _torch.dirac_
_no_grad_fill_ = _torch._no_grad_fill_
_no_grad_zero_ = _torch._no_grad_zero_

_has_torch_function: Callable[[Tensor], bool] = torch._C._has_torch_function_unary


class RealUniform(Uniform):
    """The uniform law of real numbers: PyTorch's complex one fills a square, fastinit's a disk."""

    dtypes = FLOATS


class RealNormal(Normal):
    """The normal law of real numbers: in complex tensors PyTorch adds the mean to both parts."""

    dtypes = FLOATS


class RealTruncatedNormal(TruncatedNormal):
    """The truncated normal law of real numbers: PyTorch has no complex one."""

    dtypes = FLOATS


Axis = TypeVar("Axis")

_NUMBERS = frozenset((float, int))


def law(kind: Callable[..., Any], *numbers: Any) -> Any:
    """Return the law with these parameters, or None where there is none: PyTorch then decides."""
    if not _NUMBERS.issuperset(map(type, numbers)):
        try:  # what PyTorch takes for a number too, such as a 0-d tensor, but no string
            numbers = tuple(math.ldexp(number, 0) for number in numbers)
        except TypeError:
            return None
    return _law(kind, *numbers)


@lru_cache(maxsize=4096)
def _law(kind: Callable[..., Any], *numbers: float) -> Any:
    try:
        return kind(*numbers)
    except (ArgumentError, ArgumentTypeError):
        return None


def gaussian(mean: float, std: float) -> Normal:
    """Return the normal law, for complex numbers too if it is centred."""
    return RealNormal(mean, std) if mean else Normal(mean, std)


def truncated(mean: float, std: float, a: float, b: float) -> RealTruncatedNormal:
    """Return the normal law cut at a and b; as in PyTorch, `std` must not be 0."""
    if std == 0.0:
        raise ArgumentError("std must not be 0")
    return RealTruncatedNormal(mean, std, a, b, absolute=True)


def filled(
    tensor: Tensor, what: Any, generator: Generator | None = None, write: Write = fill
) -> bool:
    """Fill a tensor, see `draw`; or return False, for PyTorch to fill it or say what is wrong."""
    try:
        return what is not None and draw(tensor, what, generator, write)
    except ArgumentError:  # such as a number that the dtype cannot hold
        return False


def calculate_gain(nonlinearity: Activation, param: float | None = None) -> float:
    r"""Return the gain of an activation: PyTorch's where it has one, else `fastinit.gain`'s.

    Parameters
    ----------
    nonlinearity : str or callable
        linear, conv1d, ..., conv_transpose3d, sigmoid, tanh, relu, leaky_relu, selu; and gelu,
        silu, mish and whatever else `fastinit.gain` takes.
    param : float, optional
        The negative slope of leaky_relu, 0.01 by default. The others ignore it, as in PyTorch.

    Returns
    -------
    float
        The factor of the standard deviation.

    Raises
    ------
    ValueError
        If there is no such activation, or the slope is no number.

    Examples
    --------
    >>> calculate_gain("leaky_relu", 0.2)
    1.3867504905630728
    >>> round(calculate_gain("gelu"), 4)
    1.5335
    """
    if nonlinearity == "leaky_relu":
        if param is None:
            param = 0.01
        elif isinstance(param, bool) or not isinstance(param, (int, float)):
            raise ArgumentError(f"negative_slope {param!r} not a valid number")
        return math.sqrt(2.0 / (1.0 + param**2))
    if nonlinearity in _LINEAR:
        return 1.0
    return _gain(nonlinearity)


_LINEAR = {"linear", *(f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3))}


@lru_cache(maxsize=64)
def _gain(nonlinearity: Activation) -> float:
    try:
        return gain(nonlinearity)
    except ArgumentError as error:
        raise ArgumentError(f"Unsupported nonlinearity {nonlinearity}: {error}") from None


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    r"""Fill a tensor with draws from :math:`U(a, b)`.

    Parameters
    ----------
    tensor : Tensor
        Filled in place.
    a, b : float, default 0 and 1
        The bounds. `b` is not drawn, but in 16 bits a draw may round to it.
    generator : torch.Generator, optional
        Gives the word that decides the values; by default PyTorch's own.

    Returns
    -------
    Tensor
        The same object.

    Examples
    --------
    >>> w = uniform_(torch.empty(3, 5))
    >>> bool(w.min() >= 0.0) and bool(w.max() < 1.0)
    True
    """
    if _has_torch_function(tensor) and plain(tensor):  # a TorchFunctionMode wants to see the call
        return torch.overrides.handle_torch_function(
            uniform_, (tensor,), tensor=tensor, a=a, b=b, generator=generator
        )
    if filled(tensor, law(RealUniform, a, b), generator):
        return tensor
    return _torch_uniform_(tensor, a, b, generator)


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    r"""Fill a tensor with draws from :math:`N(\text{mean}, \text{std}^2)`.

    Parameters
    ----------
    tensor : Tensor
        Filled in place.
    mean, std : float, default 0 and 1
        Its mean and standard deviation; in a complex tensor, the real and the imaginary part have
        half the variance each.
    generator : torch.Generator, optional
        Gives the word that decides the values; by default PyTorch's own.

    Returns
    -------
    Tensor
        The same object.

    Examples
    --------
    >>> w = torch.nn.Parameter(torch.empty(3, 5))
    >>> normal_(w, std=0.02) is w
    True
    """
    if _has_torch_function(tensor) and plain(tensor):
        return torch.overrides.handle_torch_function(
            normal_, (tensor,), tensor=tensor, mean=mean, std=std, generator=generator
        )
    if filled(tensor, law(gaussian, mean, std), generator):
        return tensor
    return _torch_normal_(tensor, mean, std, generator)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    r"""Fill a tensor with draws from :math:`N(\text{mean}, \text{std}^2)` given that a <= w <= b.

    The bounds are absolute: with ``std=0.02`` and the default bounds nothing is cut. For bounds in
    standard deviations, as in Keras and JAX, see `trunc_normal_tf_`.

    Parameters
    ----------
    tensor : Tensor
        Filled in place.
    mean, std : float, default 0 and 1
        Of the normal law before it is cut.
    a, b : float, default -2 and 2
        The bounds.
    generator : torch.Generator, optional
        Gives the word that decides the values; by default PyTorch's own.

    Returns
    -------
    Tensor
        The same object.

    Warns
    -----
    UserWarning
        If the mean lies more than two standard deviations outside the bounds, as PyTorch warns.
        The values are drawn from that tail, as exactly as any.

    Examples
    --------
    >>> w = trunc_normal_(torch.empty(300, 500), std=0.02, a=-0.04, b=0.04)
    >>> bool(w.abs().max() <= 0.04)
    True
    """
    return _no_grad_trunc_normal_(tensor, mean, std, a, b, generator)


def _no_grad_uniform_(
    tensor: Tensor, a: float, b: float, generator: Generator | None = None
) -> Tensor:
    if filled(tensor, law(RealUniform, a, b), generator):
        return tensor
    with torch.no_grad():
        return tensor.uniform_(a, b, generator=generator)


def _no_grad_normal_(
    tensor: Tensor, mean: float, std: float, generator: Generator | None = None
) -> Tensor:
    if filled(tensor, law(gaussian, mean, std), generator):
        return tensor
    with torch.no_grad():
        return tensor.normal_(mean, std, generator=generator)


def _no_grad_trunc_normal_(
    tensor: Tensor,
    mean: float,
    std: float,
    a: float,
    b: float,
    generator: Generator | None = None,
) -> Tensor:
    cut = law(truncated, mean, std, a, b)
    if cut is None or not plain(tensor) or tensor.is_meta:
        return _torch_trunc_normal_(tensor, mean, std, a, b, generator)
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            f"Every value comes from that tail: mean={mean}, std={std}, a={a}, b={b}",
            stacklevel=3,
        )
    if filled(tensor, cut, generator):
        return tensor
    return _torch_trunc_normal_(tensor, mean, std, a, b, generator)


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    shape = tensor.shape
    if len(shape) < 2:
        raise ArgumentError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions, "
            f"got shape {tuple(shape)}"
        )
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return fan_in if mode == "fan_in" else fan_out


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    r"""Fill a tensor with draws from Glorot's uniform initializer.

    .. math:: w \sim U(-a, a), \qquad a = \text{gain} \sqrt{6 / (\text{fan\_in} + \text{fan\_out})}

    Parameters
    ----------
    tensor : Tensor
        Filled in place; of shape (out, in, \*window).
    gain : float, default 1
        See `calculate_gain`.
    generator : torch.Generator, optional
        Gives the word that decides the values; by default PyTorch's own.

    Returns
    -------
    Tensor
        The same object.

    Raises
    ------
    ValueError
        If the tensor has fewer than two dimensions.

    References
    ----------
    Glorot, Bengio: Understanding the difficulty of training deep feedforward neural networks.
    AISTATS (2010).

    Examples
    --------
    >>> xavier_uniform_(torch.empty(3, 5), gain=calculate_gain("relu")).shape
    torch.Size([3, 5])
    """
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    a = math.sqrt(3.0) * (gain * math.sqrt(2.0 / (fan_in + fan_out)))
    return _no_grad_uniform_(tensor, -a, a, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    r"""Fill a tensor with draws from Glorot's normal initializer, not truncated.

    .. math:: w \sim N(0, \text{gain}^2 \cdot 2 / (\text{fan\_in} + \text{fan\_out}))

    Parameters
    ----------
    tensor : Tensor
        Filled in place; of shape (out, in, \*window).
    gain : float, default 1
        See `calculate_gain`.
    generator : torch.Generator, optional
        Gives the word that decides the values; by default PyTorch's own.

    Returns
    -------
    Tensor
        The same object.

    Raises
    ------
    ValueError
        If the tensor has fewer than two dimensions.

    References
    ----------
    Glorot, Bengio: Understanding the difficulty of training deep feedforward neural networks.
    AISTATS (2010).

    Examples
    --------
    >>> xavier_normal_(torch.empty(3, 5)).shape
    torch.Size([3, 5])
    """
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return _no_grad_normal_(tensor, 0.0, gain * math.sqrt(2.0 / (fan_in + fan_out)), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: Activation = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    r"""Fill a tensor with draws from He's uniform initializer.

    .. math:: w \sim U(-b, b), \qquad b = \text{gain} \sqrt{3 / \text{fan}}

    Parameters
    ----------
    tensor : Tensor
        Filled in place; of shape (out, in, \*window).
    a : float, default 0
        The negative slope, where `nonlinearity` is leaky_relu. PyTorch's layers pass ``sqrt(5)``,
        for which b is :math:`1/\sqrt{\text{fan\_in}}`.
    mode : {"fan_in", "fan_out"}, default "fan_in"
        Which fan: the one keeps the variance of the outputs, the other that of the gradients.
    nonlinearity : str or callable, default "leaky_relu"
        Whose gain; see `calculate_gain`.
    generator : torch.Generator, optional
        Gives the word that decides the values; by default PyTorch's own.

    Returns
    -------
    Tensor
        The same object.

    Raises
    ------
    ValueError
        If the tensor has fewer than two dimensions, or there is no such mode or activation.

    Warns
    -----
    UserWarning
        If the tensor has no elements; then nothing happens.

    References
    ----------
    He, Zhang, Ren, Sun: Delving deep into rectifiers. arXiv:1502.01852 (2015).

    Examples
    --------
    >>> kaiming_uniform_(torch.empty(3, 5), mode="fan_out", nonlinearity="gelu").shape
    torch.Size([3, 5])
    """
    if _has_torch_function(tensor):
        return torch.overrides.handle_torch_function(
            kaiming_uniform_ if plain(tensor) else _torch_kaiming_uniform_,
            (tensor,),
            tensor=tensor,
            a=a,
            mode=mode,
            nonlinearity=nonlinearity,
            generator=generator,
        )
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    fan = _calculate_correct_fan(tensor, mode)
    bound = math.sqrt(3.0) * (calculate_gain(nonlinearity, a) / math.sqrt(fan))
    return _no_grad_uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: Activation = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    r"""Fill a tensor with draws from He's normal initializer, not truncated.

    .. math:: w \sim N(0, \text{gain}^2 / \text{fan})

    Parameters
    ----------
    tensor : Tensor
        Filled in place; of shape (out, in, \*window).
    a : float, default 0
        The negative slope, where `nonlinearity` is leaky_relu.
    mode : {"fan_in", "fan_out"}, default "fan_in"
        Which fan: the one keeps the variance of the outputs, the other that of the gradients.
    nonlinearity : str or callable, default "leaky_relu"
        Whose gain; see `calculate_gain`.
    generator : torch.Generator, optional
        Gives the word that decides the values; by default PyTorch's own.

    Returns
    -------
    Tensor
        The same object.

    Raises
    ------
    ValueError
        If the tensor has fewer than two dimensions, or there is no such mode or activation.

    Warns
    -----
    UserWarning
        If the tensor has no elements; then nothing happens.

    References
    ----------
    He, Zhang, Ren, Sun: Delving deep into rectifiers. arXiv:1502.01852 (2015).

    Examples
    --------
    >>> kaiming_normal_(torch.empty(64, 3, 7, 7), nonlinearity="relu").shape
    torch.Size([64, 3, 7, 7])
    """
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    fan = _calculate_correct_fan(tensor, mode)
    return _no_grad_normal_(
        tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(fan), generator
    )


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    r"""Fill a tensor with a random orthogonal matrix, times `gain`.

    The tensor counts as a matrix of size(0) rows. The rows are orthonormal where there are no more
    of them than columns, else the columns are; the law is Haar's. Unlike PyTorch's, any strides
    will do, and float16 and bfloat16, where it is the float32 matrix rounded.

    Parameters
    ----------
    tensor : Tensor
        Filled in place; of at least two dimensions.
    gain : float, default 1
        The factor.
    generator : torch.Generator, optional
        Gives the word that decides the values; by default PyTorch's own.

    Returns
    -------
    Tensor
        The same object.

    Raises
    ------
    ValueError
        If the tensor has fewer than two dimensions.

    References
    ----------
    Saxe, McClelland, Ganguli: Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks. arXiv:1312.6120 (2013).

    Examples
    --------
    >>> w = orthogonal_(torch.empty(3, 5))
    >>> torch.allclose(w @ w.T, torch.eye(3), atol=1e-5)
    True
    """
    if tensor.ndimension() < 2:
        raise ArgumentError(
            f"Only tensors with 2 or more dimensions are supported, got shape {tuple(tensor.shape)}"
        )
    if tensor.dtype.is_floating_point and filled(tensor, gain, generator, _write_orthogonal):
        return tensor
    return _torch_orthogonal_(tensor, gain, generator)


def _write_orthogonal(
    array: NDArray[Any],
    gain: float,
    key: int,
    *,
    dtype: DType,
    shape: tuple[int, ...] = (),
    index: tuple[slice, ...] | None = None,
) -> None:
    if index is not None:
        _write_orthogonal_part(array, gain, key, dtype, shape, index)
        return
    matrix = array if array.ndim == 2 else array.reshape(len(array), -1)
    fill_orthogonal(matrix, key, gain, dtype=dtype)
    if matrix is not array and not np.may_share_memory(matrix, array):  # strides no reshape keeps
        array[...] = matrix.reshape(array.shape)


def _write_orthogonal_part(
    array: NDArray[Any],
    gain: float,
    key: int,
    dtype: DType,
    shape: tuple[int, ...],
    index: tuple[slice, ...],
) -> None:
    """Make the rows, and the slab of the other axes' first, that hold a part; and take it there."""
    rows, first, *rest = index
    inner = math.prod(shape[2:])
    columns = slice(first.start * inner, first.stop * inner)
    slab = np.empty((len(array), array.shape[1] * inner), dtype.storage)
    Orthogonal(gain)(
        (shape[0], shape[1] * inner),
        seed=Key(key),
        dtype=dtype.name,
        out=slab,
        index=(rows, columns),
    )
    array[...] = slab.reshape(*array.shape[:2], *shape[2:])[(slice(None), slice(None), *rest)]


def sparse_(
    tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None
) -> Tensor:
    r"""Fill a matrix with normal draws, and set the same number of elements of each column to 0.

    In each column, :math:`\lceil \text{sparsity} \cdot \text{rows} \rceil` elements, chosen at
    random, are 0. Unlike in PyTorch, `generator` decides which.

    Parameters
    ----------
    tensor : Tensor
        Filled in place; of two dimensions.
    sparsity : float
        The share of zeros in each column.
    std : float, default 0.01
        The standard deviation of the others.
    generator : torch.Generator, optional
        Gives the word that decides the values; by default PyTorch's own.

    Returns
    -------
    Tensor
        The same object.

    Raises
    ------
    ValueError
        If the tensor does not have two dimensions.

    References
    ----------
    Martens: Deep learning via Hessian-free optimization. ICML (2010).

    Examples
    --------
    >>> w = sparse_(torch.empty(10, 5), sparsity=0.25)
    >>> (w == 0.0).sum(dim=0).tolist()
    [3, 3, 3, 3, 3]
    """
    if tensor.ndimension() != 2:
        raise ArgumentError(
            f"Only tensors with 2 dimensions are supported, got shape {tuple(tensor.shape)}"
        )
    rule = law(Sparse, sparsity, std)
    if filled(tensor, rule, generator, _write_by_rule):
        return tensor
    return _torch_sparse_(tensor, sparsity, std, generator)


def _write_by_rule(
    array: NDArray[Any],
    rule: Initializer,
    key: int,
    *,
    dtype: DType,
    shape: tuple[int, ...] | None = None,
    index: tuple[slice, ...] | None = None,
) -> None:
    whole = array.shape if shape is None else shape
    rule(whole, seed=Key(key), dtype=dtype.name, out=array, index=index)


def eye_(tensor: Tensor) -> Tensor:
    r"""Fill a matrix with the identity: 1 on the main diagonal, 0 elsewhere; see `fastinit.eye`.

    Parameters
    ----------
    tensor : Tensor
        Filled in place; of two dimensions.

    Returns
    -------
    Tensor
        The same object.

    Raises
    ------
    ValueError
        If the tensor does not have two dimensions.

    Examples
    --------
    >>> eye_(torch.empty(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if not is_distributed(tensor):
        return _torch_eye_(tensor)
    return _constructed(tensor, Identity())


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    r"""Fill a convolution's weight so that it passes on its inputs: 1 at the window's centre.

    See `fastinit.dirac`, which has the axes of Keras and JAX.

    Parameters
    ----------
    tensor : Tensor
        Filled in place; of shape (out, in, \*window), with three to five dimensions.
    groups : int, default 1
        Into so many groups of outputs the inputs are copied.

    Returns
    -------
    Tensor
        The same object.

    Raises
    ------
    ValueError
        If the tensor has another number of dimensions, or `groups` does not divide the outputs.

    Examples
    --------
    >>> dirac_(torch.empty(2, 2, 3))[:, :, 1]
    tensor([[1., 0.],
            [0., 1.]])
    """
    if not is_distributed(tensor):
        return _torch_dirac_(tensor, groups)
    return _constructed(tensor, Dirac(groups, in_axis=1, out_axis=0))


def _constructed(tensor: Tensor, rule: Initializer) -> Tensor:
    """Fill a DTensor by a rule that draws nothing; each rank its part."""
    part, local = part_of(tensor), local_of(tensor)
    row = DTYPES.get(tensor.dtype)
    if row is None:
        raise ArgumentTypeError(f"cannot fill a DTensor of dtype {tensor.dtype}")
    if not local.is_meta:
        array = np.empty(local.shape, row.storage)
        part.write(array, rule, 0, _write_by_rule, row)
        copy_into(local, array)
    return tensor


def variance_scaling_(
    tensor: Tensor,
    scale: float = 1.0,
    mode: Mode = "fan_in",
    distribution: Law = "normal",
    generator: Generator | None = None,
) -> Tensor:
    r"""Fill a tensor with zero-mean draws whose variance is `scale` over a fan.

    See `fastinit.variance_scaling`; the name and the order of the parameters are timm's.

    Parameters
    ----------
    tensor : Tensor
        Filled in place; of shape (out, in, \*window).
    scale : float, default 1
        Not negative.
    mode : {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"}, default "fan_in"
        Which fan.
    distribution : {"normal", "truncated_normal", "uniform"}, default "normal"
        "normal" is not truncated; "truncated_normal" is, at two standard deviations, and widened so
        that its variance is right.
    generator : torch.Generator, optional
        Gives the word that decides the values; by default PyTorch's own.

    Returns
    -------
    Tensor
        The same object.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If an argument does not fit, or the tensor is one that fastinit cannot fill.

    Examples
    --------
    >>> w = variance_scaling_(torch.empty(400, 300), 2.0, "fan_out", "uniform")
    >>> bool(abs(w.std() / (2.0 / 400) ** 0.5 - 1) < 0.02)
    True
    """
    return apply_(tensor, VarianceScaling(scale, mode, distribution), generator=generator)


def lecun_normal_(tensor: Tensor, generator: Generator | None = None) -> Tensor:
    r"""Fill a tensor with draws of variance 1 / fan_in from a truncated normal law.

    As timm's and Flax', truncated at two standard deviations and widened so that the variance is
    right; `fastinit.lecun_normal` is not truncated.

    Parameters
    ----------
    tensor : Tensor
        Filled in place; of shape (out, in, \*window).
    generator : torch.Generator, optional
        Gives the word that decides the values; by default PyTorch's own.

    Returns
    -------
    Tensor
        The same object.

    References
    ----------
    LeCun, Bottou, Orr, Müller: Efficient BackProp. Neural networks: tricks of the trade (1998).

    Examples
    --------
    >>> w = lecun_normal_(torch.empty(300, 400))
    >>> bool(abs(w.std() * 400**0.5 - 1) < 0.02)
    True
    """
    return variance_scaling_(tensor, 1.0, "fan_in", "truncated_normal", generator)


def lecun_uniform_(tensor: Tensor, generator: Generator | None = None) -> Tensor:
    r"""Fill a tensor with draws from :math:`U(-a, a)`, :math:`a = \sqrt{3 / \text{fan\_in}}`.

    Parameters
    ----------
    tensor : Tensor
        Filled in place; of shape (out, in, \*window).
    generator : torch.Generator, optional
        Gives the word that decides the values; by default PyTorch's own.

    Returns
    -------
    Tensor
        The same object.

    References
    ----------
    LeCun, Bottou, Orr, Müller: Efficient BackProp. Neural networks: tricks of the trade (1998).

    Examples
    --------
    >>> w = lecun_uniform_(torch.empty(300, 400))
    >>> bool(w.abs().max() <= (3.0 / 400) ** 0.5)
    True
    """
    return variance_scaling_(tensor, 1.0, "fan_in", "uniform", generator)


def trunc_normal_tf_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    r"""Fill a tensor with truncated normal draws whose bounds are in standard deviations.

    .. math:: w = \text{mean} + \text{std} \cdot z, \qquad z \sim N(0, 1)
              \text{ given that } a \le z \le b

    As in TensorFlow, Keras and JAX; the name is timm's. `trunc_normal_` has absolute bounds.

    Parameters
    ----------
    tensor : Tensor
        Filled in place.
    mean, std : float, default 0 and 1
        Of the normal law before it is cut.
    a, b : float, default -2 and 2
        The bounds of `z`.
    generator : torch.Generator, optional
        Gives the word that decides the values; by default PyTorch's own.

    Returns
    -------
    Tensor
        The same object.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If an argument does not fit, or the tensor is one that fastinit cannot fill.

    Examples
    --------
    >>> w = trunc_normal_tf_(torch.empty(300, 500), std=0.02)
    >>> bool(w.abs().max() <= 0.04)
    True
    """
    return _drawn(tensor, TruncatedNormal(mean, std, a, b), generator)


def apply_(
    tensor: Tensor, initializer: InitializerLike, *, generator: Generator | None = None
) -> Tensor:
    r"""Fill a tensor by any initializer of the catalogue.

    The catalogue counts axes as (\*window, in, out), a PyTorch layer as (out, in, \*window). A
    tensor of two or more dimensions is therefore taken as a layer's weight and shown to the
    initializer with its axes in the catalogue's order, so that fans and structure are right, and an
    initializer's own axes count there. For a parameter in another layout, pass a view whose axes
    are (out, in, \*window), ``apply_(w.permute(...), ...)``: a view is filled in place.

    Parameters
    ----------
    tensor : Tensor
        Filled in place.
    initializer : str, Initializer, subclass of Initializer, or callable
        See `fastinit.get`.
    generator : torch.Generator, optional
        Gives the word that decides the values; by default PyTorch's own.

    Returns
    -------
    Tensor
        The same object.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If an argument does not fit, or the tensor is one that fastinit cannot fill.

    Examples
    --------
    >>> layer = torch.nn.Conv2d(16, 32, 3)
    >>> apply_(layer.weight, "glorot_uniform") is layer.weight
    True
    >>> apply_(layer.bias, "constant(0.5)")[0].item()
    0.5
    """
    what, write = _drawn_by(get(initializer), as_shape(tuple(tensor.shape)))
    return _drawn(tensor, what, generator, write)


def _drawn_by(rule: Initializer, shape: tuple[int, ...]) -> tuple[Any, Write]:
    """Return what is drawn for a tensor of `shape`, and what writes it."""
    try:
        return law_of(rule, _catalogue_order(shape)), fill
    except ArgumentTypeError:  # its elements are no independent draws
        return rule, _write_as_catalogued


def shard_(
    tensor: Tensor,
    initializer: InitializerLike,
    shape: Shape,
    index: Any,
    *,
    seed: Seed,
) -> Tensor:
    r"""Fill a tensor with part of a larger one, which no rank has: ``tensor = whole[index]``.

    For parameters that are cut by hand: tensor parallelism of one's own, the flat parameters of
    FSDP1 and ZeRO. A DTensor knows its part, and every function here fills it. With the seed
    ``fastinit.key(seed, name)``, the whole is what `fastinit.torch.materialize` makes of that
    parameter by this rule.

    Parameters
    ----------
    tensor : Tensor
        Filled in place; of the shape of ``whole[index]``.
    initializer : str, Initializer, subclass of Initializer, or callable
        See `apply_`. Fans are those of the whole.
    shape : int or sequence of int
        Of the whole tensor, (out, in, \*window).
    index : int, slice, Ellipsis or tuple of these; or range
        Which part it is. A range, of step 1, counts the elements of the flattened whole, and
        `tensor` is then one-dimensional.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence
        The same on all ranks; None, which would be another on each, is refused.

    Returns
    -------
    Tensor
        The same object.

    Raises
    ------
    ArgumentError, ArgumentIndexError, ArgumentTypeError
        If an argument does not fit, or the tensor is one that fastinit cannot fill.

    Notes
    -----
    Independent elements are made by themselves, at no cost for the others. Of an initializer with
    structure a range is made in whole rows, and an orthogonal part takes the memory of the vectors
    before it, too.

    Examples
    --------
    >>> import fastinit
    >>> key = fastinit.key(0, "layer1.weight")
    >>> whole = shard_(torch.empty(6, 4), "he_normal", (6, 4), ..., seed=key)
    >>> rows = shard_(torch.empty(3, 4), "he_normal", (6, 4), slice(3, 6), seed=key)
    >>> flat = shard_(torch.empty(10), "he_normal", (6, 4), range(5, 15), seed=key)
    >>> torch.equal(rows, whole[3:6]), torch.equal(flat, whole.flatten()[5:15])
    (True, True)
    """
    rule, whole, row = get(initializer), as_shape(shape), row_of(tensor)
    if seed is None:
        raise ArgumentError("seed must be the same on all ranks, got None")
    what, write = _drawn_by(rule, whole)
    expected, part = (_run if isinstance(index, range) else _box)(whole, index)
    if tuple(tensor.shape) != expected:
        raise ArgumentError(f"the part has shape {expected}, got a tensor of {tuple(tensor.shape)}")
    if tensor.is_meta:
        return tensor
    if row is None:
        raise _cannot_fill(tensor)
    memory = memory_of(tensor) if tensor.is_cpu and thread.later is None else None
    array = np.empty(expected, row.storage) if memory is None else memory
    part(array, what, key_bits(seed), write, row)
    if memory is None:
        copy_into(tensor, array)
    else:
        increment_version((tensor,))
    return tensor


def _box(whole: tuple[int, ...], index: Any) -> tuple[tuple[int, ...], Callable[..., None]]:
    """Return the shape of a basic index, and what writes it."""
    places = places_of(whole, index)
    axes = tuple(slice(None) if isinstance(place, range) else None for place in places)
    there = tuple(
        slice_of(place if isinstance(place, range) else range(place, place + 1)) for place in places
    )
    shape = tuple(len(place) for place in places if isinstance(place, range))

    def write_box(array: NDArray[Any], what: Any, key: int, write: Write, row: DType) -> None:
        write_part(array[(*axes, ...)], what, key, write, row, whole, there)

    return shape, write_box


def _run(whole: tuple[int, ...], index: range) -> tuple[tuple[int, ...], Callable[..., None]]:
    """Return the shape of a range of the flattened tensor, and what writes it."""
    if index.step != 1 or not 0 <= index.start <= index.stop <= math.prod(whole):
        raise ArgumentIndexError(
            f"index must be a range of step 1 within the {math.prod(whole)} elements of shape "
            f"{whole}, got {index!r}"
        )
    inner = math.prod(whole[1:])

    def write_run(array: NDArray[Any], what: Any, key: int, write: Write, row: DType) -> None:
        if write is fill:
            fill(array, what, key, index.start, dtype=row)
            return
        first, last = index.start // max(inner, 1), -(-index.stop // max(inner, 1))
        rows = np.empty((last - first, *whole[1:]), row.storage)
        there = (slice(first, last), *(slice(0, size) for size in whole[1:]))
        write_part(rows, what, key, write, row, whole, there)
        array[...] = rows.reshape(-1)[index.start - first * inner : index.stop - first * inner]

    return (len(index),), write_run


def _write_as_catalogued(
    array: NDArray[Any],
    rule: Initializer,
    key: int,
    *,
    dtype: DType,
    shape: tuple[int, ...] | None = None,
    index: tuple[slice, ...] | None = None,
) -> None:
    _write_by_rule(
        array.transpose(_catalogue_order(tuple(range(array.ndim)))),
        rule,
        key,
        dtype=dtype,
        shape=None if shape is None else _catalogue_order(shape),
        index=None if index is None else _catalogue_order(index),
    )


def _catalogue_order(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """Order (out, in, *window) as (*window, in, out)."""
    return (*axes[2:], *reversed(axes[:2]))


def _drawn(tensor: Tensor, what: Any, generator: Generator | None, write: Write = fill) -> Tensor:
    """Fill a tensor for which PyTorch has no function of its own."""
    if not tensor.is_meta and not draw(tensor, what, generator, write):
        raise _cannot_fill(tensor)
    return tensor


def _cannot_fill(tensor: Tensor) -> ArgumentTypeError:
    return ArgumentTypeError(
        f"cannot fill this tensor in place: {type(tensor).__name__} of dtype {tensor.dtype}, "
        f"layout {tensor.layout}, strides {tensor.stride()}"
    )


def _deprecated(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    new, old = function.__name__, function.__name__[:-1]

    def deprecated(*args: Any, **kwargs: Any) -> Tensor:
        warnings.warn(
            f"`nn.init.{old}` is now deprecated in favor of `nn.init.{new}`.",
            FutureWarning,
            stacklevel=2,
        )
        return function(*args, **kwargs)

    deprecated.__name__ = deprecated.__qualname__ = old
    deprecated.__doc__ = f"""Call `{new}`, with a FutureWarning, as PyTorch does under this name.

    Parameters
    ----------
    *args, **kwargs
        Those of `{new}`.

    Returns
    -------
    Tensor
        What `{new}` returns.
    """
    return deprecated


uniform = _deprecated(uniform_)
normal = _deprecated(normal_)
constant = _deprecated(constant_)
eye = _deprecated(eye_)
dirac = _deprecated(dirac_)
xavier_uniform = _deprecated(xavier_uniform_)
xavier_normal = _deprecated(xavier_normal_)
kaiming_uniform = _deprecated(kaiming_uniform_)
kaiming_normal = _deprecated(kaiming_normal_)
orthogonal = _deprecated(orthogonal_)
sparse = _deprecated(sparse_)
