"""How many inputs and outputs a unit has: fan_in and fan_out.

`compute_fans` reads them off a shape and its axes, as every framework does. That is right for dense
kernels and plain convolutions. For the layers whose shape does not tell, the other functions return
the fans for which

- weights of variance 1 / fan_in turn independent inputs of mean square 1 into outputs of mean
  square 1, and
- weights of variance 1 / fan_out do the same to the gradients on their way back,

away from the borders that a convolution pads. Give them to any initializer that scales by a fan:
``fastinit.he_normal(shape, fans=fans.convolution_fans(shape, "torch", groups=32))``.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, Literal, SupportsIndex, TypeAlias, get_args

import numpy as np

from fastinit.errors import ArgumentError, ArgumentTypeError, unknown_name

__all__ = [
    "Axes",
    "Fans",
    "Shape",
    "as_axes",
    "as_shape",
    "compute_fans",
    "convolution_fans",
    "dense_fans",
    "embedding_fans",
    "position_of",
]

Shape: TypeAlias = "SupportsIndex | Sequence[SupportsIndex]"
Axes: TypeAlias = "SupportsIndex | Sequence[SupportsIndex]"
Fans: TypeAlias = "tuple[float, float]"
Layout: TypeAlias = Literal["keras", "jax", "torch"]
LAYOUTS = get_args(Layout)


def compute_fans(
    shape: Shape, in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = ()
) -> tuple[int, int]:
    r"""Return fan_in and fan_out of a weight tensor.

    .. math::
        \text{fan\_in} = r \prod_{a \in \text{in}} n_a, \qquad
        \text{fan\_out} = r \prod_{a \in \text{out}} n_a

    where `r`, the receptive field size, is the product of all axes that are neither input, output
    nor batch axes (the window of a convolution). Batch axes stand for independent copies and count
    for nothing. It can be called inside ``@njit`` functions too, with integers and tuples of them.

    Parameters
    ----------
    shape : int or sequence of int
        At least two axes. The default axes fit dense kernels (in, out) and convolution kernels
        (\*window, in, out), as in Keras and JAX.
    in_axis, out_axis : int or sequence of int, default -2 and -1
        The axes that hold the inputs and the outputs.
    batch_axis : int or sequence of int, default ()
        The axes along which independent kernels are stacked.

    Returns
    -------
    fan_in : int
        How many inputs an output has.
    fan_out : int
        How many outputs an input has.

    Raises
    ------
    ArgumentError
        If the shape has fewer than two axes or a negative size, an axis does not exist, or the same
        axis is named twice.
    ArgumentTypeError
        If a size or an axis is not an integer.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.compute_fans((784, 128))
    (784, 128)
    >>> fastinit.compute_fans((3, 3, 64, 32))
    (576, 288)
    >>> fastinit.compute_fans((32, 64, 3, 3), in_axis=1, out_axis=0)
    (576, 288)
    """
    sizes = as_shape(shape)
    if len(sizes) < 2:
        raise ArgumentError(f"fan_in and fan_out need a shape of at least two axes, got {sizes}")
    groups = [
        [position_of(axis, sizes) for axis in as_axes(axes)]
        for axes in (in_axis, out_axis, batch_axis)
    ]
    named = [axis for group in groups for axis in group]
    if len(set(named)) < len(named):
        raise ArgumentError(
            f"an axis of shape {sizes} is named twice: in_axis={in_axis!r}, "
            f"out_axis={out_axis!r}, batch_axis={batch_axis!r}"
        )
    inputs, outputs, _ = (math.prod(sizes[axis] for axis in group) for group in groups)
    receptive_field = math.prod(size for axis, size in enumerate(sizes) if axis not in named)
    return inputs * receptive_field, outputs * receptive_field


def dense_fans(
    shape: Shape,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    *,
    parts: int = 1,
) -> tuple[int, int]:
    r"""Return fan_in and fan_out of a kernel that is multiplied, however many axes it has.

    .. math::
        \text{fan\_in} = \prod_{a \in \text{in}} n_a, \qquad
        \text{fan\_out} = \frac{1}{\text{parts}} \prod_{a \in \text{out}} n_a

    For matrices, kernels of several input or output axes (per-head attention, Keras' EinsumDense,
    Flax' DenseGeneral), and matrices stacked along their output axis: packed query-key-value, the
    gates of an LSTM (4) or a GRU (3). Such a stack is `parts` layers side by side, so that each
    part has the fan_out that it would have alone.

    The frameworks' initializers, left to themselves, take all but two axes for a window, and count
    all parts of a stack. Only the EinsumDense of Keras 3.15 tells its initializer the axes; and
    Flax' DenseGeneral gives its own a matrix, but takes batch axes for inputs.

    Parameters
    ----------
    shape : int or sequence of int
        Every axis is an input, an output or a batch axis; there is no window.
    in_axis, out_axis : int or sequence of int, default -2 and -1
        The axes that are summed over, and those that are there after.
    batch_axis : int or sequence of int, default ()
        The axes that inputs and outputs both have: one independent kernel for each element.
    parts : int, default 1
        How many kernels of the same size are stacked along the output axes. Stacked kernels of
        different sizes (grouped-query attention) have no common fan_out: initialize each by itself.

    Returns
    -------
    fan_in : int
        How many terms an output sums.
    fan_out : int
        How many outputs of its part an input feeds.

    Raises
    ------
    ArgumentError
        If an axis is named twice, is not named or does not exist, or `parts` does not divide the
        outputs.
    ArgumentTypeError
        If a size, an axis or `parts` is not an integer.

    Examples
    --------
    Queries of 8 heads, (E, heads, dim), and the projection back, (heads, dim, E):

    >>> from fastinit.fans import dense_fans
    >>> dense_fans((512, 8, 64), in_axis=0, out_axis=(1, 2))
    (512, 512)
    >>> dense_fans((8, 64, 512), in_axis=(0, 1), out_axis=2)
    (512, 512)

    PyTorch's ``in_proj_weight`` (3 E, E), and a Keras LSTM's ``kernel`` (in, 4 units):

    >>> dense_fans((1536, 512), in_axis=1, out_axis=0, parts=3)
    (512, 512)
    >>> dense_fans((100, 1024), parts=4)
    (100, 256)
    """
    sizes = as_shape(shape)
    ins, outs, batch = (as_axes(axes) for axes in (in_axis, out_axis, batch_axis))
    if len(ins) + len(outs) + len(batch) < len(sizes):
        raise ArgumentError(
            f"each axis of shape {sizes} must be an input, an output or a batch axis, got "
            f"in_axis={in_axis!r}, out_axis={out_axis!r}, batch_axis={batch_axis!r}"
        )
    fan_in, fan_out = compute_fans(sizes, ins, outs, batch)
    number = _count("parts", parts)
    if fan_out % number:
        raise ArgumentError(f"{fan_out} outputs are not {number} equal parts")
    return fan_in, fan_out // number


def convolution_fans(
    shape: Shape,
    layout: Layout = "keras",
    *,
    groups: int = 1,
    strides: Axes = 1,
    transposed: bool = False,
    depthwise: bool = False,
) -> Fans:
    r"""Return fan_in and fan_out of a convolution: grouped, depthwise, strided or transposed.

    With `g` groups, :math:`k = \prod_i k_i` the size of the window and :math:`s = \prod_i s_i` that
    of the strides,

    .. math::
        \text{fan\_in} = \frac{k\,n_\text{in}}{g}, \qquad
        \text{fan\_out} = \frac{k\,n_\text{out}}{g\,s}

    and for a transposed convolution, which is the way back through a convolution,

    .. math::
        \text{fan\_in} = \frac{k\,n_\text{in}}{g\,s}, \qquad
        \text{fan\_out} = \frac{k\,n_\text{out}}{g}.

    Where a stride does not divide its side of the window, some elements get more terms than
    others, and this is the mean. Dilation changes neither. Keras, JAX and PyTorch know neither
    groups nor strides: their fan_out is `g s` times too large, and their fan_in of a transposed
    convolution `s` times. Keras and PyTorch also swap the two where a transposed kernel has its
    channels the other way round, and Keras' fan_in of a depthwise kernel counts all channels, which
    makes the outputs' standard deviation :math:`1 / \sqrt{n_\text{in}}`.

    Parameters
    ----------
    shape : sequence of int
        In the framework's own layout, with one to any number of window axes (``*k``):

        ======  ================  ================  ======================
        layout  convolution       transposed        depthwise
        ======  ================  ================  ======================
        keras   (\*k, in/g, out)  (\*k, out, in)    (\*k, in, multiplier)
        jax     (\*k, in/g, out)  (\*k, in, out)
        torch   (out, in/g, \*k)  (in, out/g, \*k)
        ======  ================  ================  ======================

        JAX and PyTorch write a depthwise kernel as one of as many groups as inputs.
    layout : {"keras", "jax", "torch"}, default "keras"
        "jax" is Flax, too; its ConvTranspose with ``transpose_kernel=True`` has Keras' layout.
    groups : int, default 1
        In "jax", ``feature_group_count``. Where depthwise kernels have no layout of their own, they
        have as many groups as inputs. Keras' and JAX' transposed convolutions have none.
    strides : int or sequence of int, default 1
        One for all sides of the window, or one for each.
    transposed : bool, default False
        Whether the layer is a transposed convolution.
    depthwise : bool, default False
        Whether the kernel is that of Keras' DepthwiseConv, or the depthwise one of SeparableConv.

    Returns
    -------
    fan_in : int or float
        How many terms an output sums; a float where strides make it a fraction.
    fan_out : int or float
        How many outputs an input feeds; likewise.

    Raises
    ------
    ArgumentError
        If the shape has fewer than three axes, there are not as many strides as sides, the groups
        do not divide the channels, or the framework has no such convolution.
    ArgumentTypeError
        If a size, a stride or `groups` is not an integer.

    Examples
    --------
    >>> from fastinit.fans import convolution_fans
    >>> convolution_fans((3, 3, 64, 128))
    (576, 1152)
    >>> convolution_fans((128, 4, 3, 3), "torch", groups=32, strides=2)
    (36, 9)
    >>> convolution_fans((64, 32, 4, 4), "torch", strides=2, transposed=True)
    (256, 512)
    >>> convolution_fans((3, 3, 64, 1), depthwise=True)
    (9, 9)
    """
    sizes = as_shape(shape)
    if layout not in LAYOUTS:
        raise unknown_name("layout", layout, LAYOUTS)
    if len(sizes) < 3:
        raise ArgumentError(f"a convolution's kernel has at least three axes, got {sizes}")
    if depthwise and (layout != "keras" or transposed or groups != 1):
        raise ArgumentError(
            "depthwise=True is for Keras' depthwise kernels alone; others have as many groups as "
            f"inputs, got layout={layout!r}, transposed={transposed!r}, groups={groups!r}"
        )
    if transposed and groups != 1 and layout != "torch":
        raise ArgumentError(f"only torch has transposed convolutions in groups, got {groups!r}")
    # One axis counts the channels of all groups, and one those of a group.
    if layout == "torch":
        of_all, of_group, *window = sizes
    else:
        *window, of_group, of_all = sizes
    number = _count("groups", groups)
    if depthwise:
        of_all, of_group = of_group, of_all
        number = of_all or 1
    if of_all % number:
        raise ArgumentError(f"{of_all} channels of shape {sizes} are not {number} equal groups")
    taps, step = math.prod(window), _step(strides, len(window))
    inputs, outputs = taps * of_group, taps * of_all // number
    if depthwise or (transposed and layout != "jax"):
        inputs, outputs = outputs, inputs
    return (_ratio(inputs, step), outputs) if transposed else (inputs, _ratio(outputs, step))


def embedding_fans(shape: Shape) -> tuple[int, int]:
    r"""Return fan_in and fan_out of an embedding table: 1, and the number of features.

    A lookup sums nothing, so that fan_in is 1 and the outputs have the variance of the weights.
    fan_out is the number of outputs that an input feeds, and also the fan_in of an output layer
    that shares the table. PyTorch takes the number of features and the vocabulary for the fans;
    Keras and JAX the vocabulary and the number of features, so that a larger vocabulary makes
    smaller vectors.

    Parameters
    ----------
    shape : sequence of int
        (vocabulary, \*features), as in every framework.

    Returns
    -------
    fan_in : int
        1.
    fan_out : int
        The number of features.

    Raises
    ------
    ArgumentError
        If the shape has fewer than two axes.
    ArgumentTypeError
        If a size is not an integer.

    Examples
    --------
    >>> from fastinit.fans import embedding_fans
    >>> embedding_fans((50257, 768))
    (1, 768)
    """
    sizes = as_shape(shape)
    if len(sizes) < 2:
        raise ArgumentError(f"an embedding table has at least two axes, got {sizes}")
    return 1, math.prod(sizes[1:])


def _count(name: str, value: Any) -> int:
    (number,) = _integers((value,), name)
    if number < 1:
        raise ArgumentError(f"{name} must be positive, got {value!r}")
    return number


def _step(strides: Any, sides: int) -> int:
    """Return by how many positions of the input a step over the output moves on, in all."""
    steps = _integers(strides, "a stride")
    steps = steps * sides if len(steps) == 1 else steps
    if len(steps) != sides or min(steps) < 1:
        raise ArgumentError(f"strides must be one or {sides} positive integers, got {strides!r}")
    return math.prod(steps)


def _ratio(number: int, divisor: int) -> float:
    return number / divisor if number % divisor else number // divisor


def as_shape(shape: Shape) -> tuple[int, ...]:
    """Return a shape as a tuple of Python integers, or say what is wrong with it.

    Parameters
    ----------
    shape : int or sequence of int
        The sizes of the axes; NumPy's integers will do.

    Returns
    -------
    tuple of int
        The sizes; one for a single integer.

    Raises
    ------
    ArgumentError
        If a size is negative.
    ArgumentTypeError
        If a size is not an integer.

    Examples
    --------
    >>> import numpy
    >>> from fastinit.fans import as_shape
    >>> as_shape(numpy.array([3, 4])), as_shape(5)
    ((3, 4), (5,))
    """
    sizes = _integers(shape, "a shape")
    if sizes and min(sizes) < 0:
        raise ArgumentError(f"a shape has no negative size, got {shape!r}")
    return sizes


def as_axes(axes: Axes) -> tuple[int, ...]:
    """Return one axis or several as a tuple of Python integers.

    Parameters
    ----------
    axes : int or sequence of int
        Counted from the front, or from the back where negative.

    Returns
    -------
    tuple of int
        The same numbers.

    Raises
    ------
    ArgumentTypeError
        If one is not an integer.

    Examples
    --------
    >>> from fastinit.fans import as_axes
    >>> as_axes(-1), as_axes([0, 1])
    ((-1,), (0, 1))
    """
    return _integers(axes, "an axis")


def _integers(value: Any, what: str) -> tuple[int, ...]:
    if type(value) is int:  # the two usual cases, in a tenth of the time
        return (value,)
    if type(value) is tuple:
        for item in value:
            if type(item) is not int:
                break
        else:
            return value
    items = (value,) if np.ndim(value) == 0 else tuple(value)
    try:
        if any(isinstance(item, (bool, np.bool_)) for item in items):
            raise TypeError
        return tuple(operator.index(item) for item in items)
    except TypeError:
        raise ArgumentTypeError(
            f"{what} is an integer or a sequence of them, got {value!r}"
        ) from None


def position_of(axis: int, sizes: tuple[int, ...]) -> int:
    """Return where an axis stands in a shape, counted from 0, or say that it does not.

    Parameters
    ----------
    axis : int
        Counted from the front, or from the back where negative.
    sizes : tuple of int
        The shape.

    Returns
    -------
    int
        0 to ``len(sizes) - 1``.

    Raises
    ------
    ArgumentError
        If the shape has no such axis.

    Examples
    --------
    >>> from fastinit.fans import position_of
    >>> position_of(-1, (3, 3, 64, 32))
    3
    """
    if not -len(sizes) <= axis < len(sizes):
        raise ArgumentError(f"axis {axis} does not exist in shape {sizes}")
    return axis % len(sizes)
