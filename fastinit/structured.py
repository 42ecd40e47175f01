"""Initializers whose elements are no independent draws: identities, orthogonal, sparse, windows."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastinit.errors import ArgumentError, ArgumentTypeError, unknown_name
from fastinit.fans import Shape, as_axes, position_of
from fastinit.initializers import Initializer, call_of, target_of
from fastinit.keys import Key, Seed, key_bits
from fastinit.sampling import Constant, Distribution, Normal, fill, threads
from fastinit.sampling.distributions import as_finite, as_number, as_scale, normalize
from fastinit.sampling.dtypes import COMPLEX, FLOATS, DType, find
from fastinit.sampling.exact import cosine, product
from fastinit.sampling.orthogonal import fill_orthogonal
from fastinit.sampling.regions import contiguous_strides, places_of, slice_of
from fastinit.sampling.selection import thin

__all__ = [
    "STRUCTURED",
    "Structured",
    "bilinear",
    "convolution_orthogonal",
    "delta_orthogonal",
    "dirac",
    "eye",
    "hadamard",
    "identity",
    "lstm_forget_bias",
    "orthogonal",
    "sparse",
    "stft",
]

Places: TypeAlias = "tuple[range, ...]"
Side: TypeAlias = Literal["real", "imag"]
Scaling: TypeAlias = "Literal['density', 'spectrum'] | None"
SIDES = get_args(Side)
SCALINGS = ("density", "spectrum")

# Elements a task where NumPy computes them: its intermediate arrays stay in the second cache.
PIECE = 2**16


class Structured(Initializer):
    """Base class of initializers whose elements are no independent draws.

    A subclass defines `_check`, which refuses shapes that do not fit, and `_fill`, which writes a
    region. Seeds, dtypes, `out` and `index` then work as for every initializer of the library.

    Examples
    --------
    >>> import fastinit
    >>> isinstance(fastinit.get("orthogonal"), fastinit.structured.Structured)
    True
    """

    name: ClassVar[str] = ""
    dtypes: ClassVar[tuple[str, ...]] = (*FLOATS, *COMPLEX)

    def distribution(self, shape: tuple[int, ...]) -> Distribution:
        """Refuse: no distribution of single elements says what the tensor is."""
        raise ArgumentTypeError(f"the elements of {self!r} are no independent draws")

    def _drawn(
        self,
        shape: tuple[int, ...],
        seed: Seed,
        dtype: DTypeLike,
        out: NDArray[Any] | None,
        index: Any,
    ) -> NDArray[Any]:
        row = find(dtype, self.dtypes)
        self._check(shape, row)
        picks = places_of(shape, index)
        target = target_of(tuple(len(p) for p in picks if isinstance(p, range)), row, out)
        key = key_bits(seed)
        if target.size:
            # Those who fill see every axis, in ascending order; an integer selects one place of it.
            places = tuple(p if isinstance(p, range) else range(p, p + 1) for p in picks)
            whole = tuple(
                slice(None, None, 1 if p.step > 0 else -1) if isinstance(p, range) else None
                for p in picks
            )
            ascending = tuple(p if p.step > 0 else p[::-1] for p in places)
            self._fill(target.view(row.storage)[whole], shape, ascending, key, row)
        return target

    def _check(self, shape: tuple[int, ...], dtype: DType) -> None:
        """Refuse a shape, or parameters that the dtype cannot hold."""

    @abstractmethod
    def _fill(
        self, out: NDArray[Any], shape: tuple[int, ...], places: Places, key: int, dtype: DType
    ) -> None:
        """Write the elements of a tensor of `shape` at `places` into `out`, of `dtype.storage`."""

    def __repr__(self) -> str:
        return call_of(self.name, self)


def _rank(shape: tuple[int, ...], *ranks: int, what: str) -> None:
    if len(shape) not in ranks:
        *most, last = map(str, ranks)
        listed = f"{', '.join(most)} or {last}" if most else last
        raise ArgumentError(f"{what} needs a shape of {listed} axes, got {shape}")


def _axis(name: str, value: Any) -> int:
    axes = as_axes(value)
    if len(axes) != 1:
        raise ArgumentTypeError(f"{name} is one axis, got {value!r}")
    return axes[0]


def _channels(shape: tuple[int, ...], in_axis: int, out_axis: int) -> tuple[int, int]:
    """Return the axes of the inputs and the outputs, counted from the first."""
    axes = position_of(in_axis, shape), position_of(out_axis, shape)
    if axes[0] == axes[1]:
        raise ArgumentError(
            f"an axis of shape {shape} is named twice: in_axis={in_axis}, out_axis={out_axis}"
        )
    return axes


def _values(places: range) -> NDArray[np.int64]:
    return np.arange(places.start, places.stop, places.step, dtype=np.int64)


def _locate(values: NDArray[np.int64], places: range) -> tuple[Any, Any]:
    """Return where `values` lie among `places`: which of them do, and at which position."""
    steps, rest = np.divmod(values - places.start, places.step)
    found = (rest == 0) & (steps >= 0) & (steps < len(places))
    return np.flatnonzero(found), steps[found]


def _zero(out: NDArray[Any], dtype: DType) -> None:
    fill(out, Constant(0.0), 0, dtype=dtype)


def _centre(
    out: NDArray[Any], shape: tuple[int, ...], places: Places, channels: tuple[int, int], less: int
) -> NDArray[Any] | None:
    """Return the matrix (inputs, outputs) in `out` at the window's centre (n - less) // 2, if any.

    Of windows of even size, frameworks take either of the two middle places for the centre.
    """
    taps = []
    for axis, (size, place) in enumerate(zip(shape, places, strict=True)):
        if axis not in channels:
            if (size - less) // 2 not in place:
                return None
            taps.append(place.index((size - less) // 2))
    matrix: NDArray[Any] = np.moveaxis(out, channels, (-2, -1))[tuple(taps)]
    return matrix


def _put_identity(matrix: NDArray[Any], places: tuple[range, range], group: int, one: Any) -> None:
    """Write `one` where input i of a group of so many outputs meets its output i."""
    inputs, outputs = places
    found, positions = _locate(_values(outputs) % group, inputs)
    matrix[positions, found] = one


def _put_orthonormal(
    matrix: NDArray[Any],
    size: tuple[int, int],
    places: tuple[range, range],
    key: int,
    gain: float,
    dtype: DType,
) -> None:
    """Write part of a random matrix with orthonormal columns, or rows where it has fewer."""
    if places == (range(size[0]), range(size[1])):
        fill_orthogonal(matrix, key, gain, dtype=dtype)
        return
    axis = 1 if size[0] >= size[1] else 0
    first, last = places[axis][0], places[axis][-1] + 1
    sizes = (size[0], last - first) if axis else (last - first, size[1])
    vectors = np.empty(sizes, dtype.storage)
    fill_orthogonal(vectors, key, gain, dtype=dtype, start=first)
    picks = [slice_of(places[0]), slice_of(places[1])]
    picks[axis] = slice(0, last - first, places[axis].step)
    matrix[...] = vectors[tuple(picks)]


@dataclass(frozen=True, repr=False)
class Identity(Structured):
    """`gain` on the main diagonal; see `identity`."""

    name = "identity"

    gain: float = 1.0

    def __post_init__(self) -> None:
        normalize(self, gain=as_finite)

    def _check(self, shape: tuple[int, ...], dtype: DType) -> None:
        _rank(shape, 2, what="an identity")
        dtype.check(gain=self.gain)

    def _fill(
        self, out: NDArray[Any], shape: tuple[int, ...], places: Places, key: int, dtype: DType
    ) -> None:
        _zero(out, dtype)
        _put_identity(out, (places[0], places[1]), shape[1], dtype.stored(self.gain))


@dataclass(frozen=True, repr=False)
class Dirac(Structured):
    """The identity at the centre of a convolution's window; see `dirac`."""

    name = "dirac"

    groups: int = 1
    in_axis: int = -2
    out_axis: int = -1

    def __post_init__(self) -> None:
        normalize(self, groups=_count, in_axis=_axis, out_axis=_axis)

    def _check(self, shape: tuple[int, ...], dtype: DType) -> None:
        _rank(shape, 3, 4, 5, what="a Dirac convolution")
        _, out_axis = _channels(shape, self.in_axis, self.out_axis)
        if shape[out_axis] % self.groups:
            raise ArgumentError(
                f"{shape[out_axis]} outputs do not divide into {self.groups} groups, "
                f"got shape {shape}"
            )

    def _fill(
        self, out: NDArray[Any], shape: tuple[int, ...], places: Places, key: int, dtype: DType
    ) -> None:
        _zero(out, dtype)
        channels = _channels(shape, self.in_axis, self.out_axis)
        matrix = _centre(out, shape, places, channels, 0)
        if matrix is not None:
            part = places[channels[0]], places[channels[1]]
            _put_identity(matrix, part, shape[channels[1]] // self.groups, dtype.stored(1.0))


@dataclass(frozen=True, repr=False)
class Hadamard(Structured):
    """ZerO: an identity, or a Hadamard matrix where there are more outputs; see `hadamard`."""

    name = "hadamard"

    gain: float = 1.0
    in_axis: int = -2
    out_axis: int = -1

    def __post_init__(self) -> None:
        normalize(self, gain=as_finite, in_axis=_axis, out_axis=_axis)

    def _check(self, shape: tuple[int, ...], dtype: DType) -> None:
        _rank(shape, 2, 3, 4, 5, what="a ZerO initialization")
        _channels(shape, self.in_axis, self.out_axis)
        dtype.check(gain=math.sqrt(2.0) * self.gain)

    def _fill(
        self, out: NDArray[Any], shape: tuple[int, ...], places: Places, key: int, dtype: DType
    ) -> None:
        _zero(out, dtype)
        channels = _channels(shape, self.in_axis, self.out_axis)
        matrix = _centre(out, shape, places, channels, 0)
        if matrix is None:
            return
        part = places[channels[0]], places[channels[1]]
        number = shape[channels[1]]
        if number <= shape[channels[0]]:
            _put_identity(matrix, part, number, dtype.stored(self.gain))
            return
        # A power of two under the root, which is then rounded rightly everywhere.
        scale = self.gain * math.sqrt(2.0 ** (1 - (number - 1).bit_length()))
        signs = dtype.stored([scale, -scale])
        rows, columns = map(_values, part)
        most = max(1, PIECE // len(columns))

        def put(i: int) -> None:
            some = slice(i * most, (i + 1) * most)
            common = rows[some, np.newaxis] & columns
            for shift in (32, 16, 8, 4, 2, 1):
                common ^= common >> shift
            matrix[some] = signs[common & 1]

        threads.run(put, -(-len(rows) // most))


@dataclass(frozen=True, repr=False)
class Orthogonal(Structured):
    """Orthonormal columns or rows, uniformly at random; see `orthogonal`."""

    name = "orthogonal"
    dtypes = FLOATS

    gain: float = 1.0
    column_axis: int = -1

    def __post_init__(self) -> None:
        normalize(self, gain=as_finite, column_axis=_axis)

    def _check(self, shape: tuple[int, ...], dtype: DType) -> None:
        if len(shape) < 2:
            raise ArgumentError(f"an orthogonal tensor needs at least two axes, got shape {shape}")
        position_of(self.column_axis, shape)
        dtype.check(gain=self.gain)

    def _fill(
        self, out: NDArray[Any], shape: tuple[int, ...], places: Places, key: int, dtype: DType
    ) -> None:
        axis = position_of(self.column_axis, shape)
        *rest, columns = (*shape[:axis], *shape[axis + 1 :], shape[axis])
        *others, column = (*places[:axis], *places[axis + 1 :], places[axis])
        # The other axes are flattened to one; of the first of them a slab is made.
        inner = math.prod(rest[1:])
        first, last = others[0][0], others[0][-1] + 1
        part = range(first * inner, last * inner), column
        moved = np.moveaxis(out, axis, -1)
        matrix = moved.reshape(-1, len(column))
        direct = len(matrix) == len(part[0]) and np.may_share_memory(matrix, out)
        if not direct:
            matrix = np.empty((len(part[0]), len(column)), dtype.storage)
        _put_orthonormal(matrix, (math.prod(rest), columns), part, key, self.gain, dtype)
        if not direct:
            picks = slice(0, last - first, others[0].step), *map(slice_of, others[1:])
            moved[...] = matrix.reshape(last - first, *rest[1:], len(column))[picks]


@dataclass(frozen=True, repr=False)
class DeltaOrthogonal(Structured):
    """An orthogonal matrix at the centre of a convolution's window; see `delta_orthogonal`."""

    name = "delta_orthogonal"
    dtypes = FLOATS

    gain: float = 1.0
    in_axis: int = -2
    out_axis: int = -1

    def __post_init__(self) -> None:
        normalize(self, gain=as_finite, in_axis=_axis, out_axis=_axis)

    def _check(self, shape: tuple[int, ...], dtype: DType) -> None:
        _check_orthogonal_convolution(shape, self.in_axis, self.out_axis)
        dtype.check(gain=self.gain)

    def _fill(
        self, out: NDArray[Any], shape: tuple[int, ...], places: Places, key: int, dtype: DType
    ) -> None:
        _zero(out, dtype)
        channels = _channels(shape, self.in_axis, self.out_axis)
        matrix = _centre(out, shape, places, channels, 1)
        if matrix is not None:
            inputs, outputs = channels
            size, part = (shape[inputs], shape[outputs]), (places[inputs], places[outputs])
            _put_orthonormal(matrix, size, part, key, self.gain, dtype)


def _check_orthogonal_convolution(shape: tuple[int, ...], in_axis: int, out_axis: int) -> None:
    _rank(shape, 3, 4, 5, what="an orthogonal convolution")
    inputs, outputs = _channels(shape, in_axis, out_axis)
    if shape[inputs] > shape[outputs]:
        raise ArgumentError(
            "an orthogonal convolution has at least as many outputs as inputs, "
            f"got {shape[inputs]} inputs and {shape[outputs]} outputs in shape {shape}"
        )


@dataclass(frozen=True, repr=False)
class ConvolutionOrthogonal(Structured):
    """A convolution that keeps norms, in the whole window; see `convolution_orthogonal`."""

    name = "convolution_orthogonal"
    dtypes = FLOATS

    gain: float = 1.0
    in_axis: int = -2
    out_axis: int = -1

    def __post_init__(self) -> None:
        normalize(self, gain=as_finite, in_axis=_axis, out_axis=_axis)

    def _check(self, shape: tuple[int, ...], dtype: DType) -> None:
        _check_orthogonal_convolution(shape, self.in_axis, self.out_axis)
        dtype.check(gain=self.gain)

    def _fill(
        self, out: NDArray[Any], shape: tuple[int, ...], places: Places, key: int, dtype: DType
    ) -> None:
        channels = _channels(shape, self.in_axis, self.out_axis)
        window = [size for axis, size in enumerate(shape) if axis not in channels]
        inputs, outputs = (shape[axis] for axis in channels)
        matrix = np.empty((inputs, outputs))
        fill_orthogonal(matrix, key)
        kernel = matrix.reshape(*(1 for _ in window), inputs, outputs)
        # Each step convolves with a projection and its complement, side by side along one axis.
        for step in range(max(window) - 1):
            for axis, size in enumerate(window):
                if step < size - 1:
                    half = np.empty((outputs, outputs // 2))
                    fill_orthogonal(half, key_bits(Key(key), "projection", f"{step}.{axis}"))
                    kernel = _widened(kernel, half, axis)
        whole = np.moveaxis(kernel, (-2, -1), channels)
        out[...] = dtype.stored(self.gain * whole[tuple(map(slice_of, places))])


def _widened(kernel: NDArray[Any], half: NDArray[Any], axis: int) -> NDArray[Any]:
    """Convolve a kernel along `axis` with the pair (P, 1 - P), where P projects on `half`."""
    flat = kernel.reshape(-1, kernel.shape[-1])
    projected = product(product(flat, half), half.T).reshape(kernel.shape)
    before, after = [(0, 0)] * kernel.ndim, [(0, 0)] * kernel.ndim
    before[axis], after[axis] = (1, 0), (0, 1)
    wide: NDArray[Any] = np.pad(projected, after) + np.pad(kernel - projected, before)
    return wide


@dataclass(frozen=True, repr=False)
class Sparse(Structured):
    """Normal, but for a fixed number of zeros in each column; see `sparse`."""

    name = "sparse"

    sparsity: float = 0.9
    std: float = 0.01
    axis: int = 0

    def __post_init__(self) -> None:
        normalize(self, sparsity=as_number, std=as_scale, axis=_axis)
        if not 0.0 <= self.sparsity <= 1.0:
            raise ArgumentError(f"sparsity must be 0 to 1, got {self.sparsity!r}")

    def _check(self, shape: tuple[int, ...], dtype: DType) -> None:
        _rank(shape, 2, what="a sparse matrix")
        if shape[position_of(self.axis, shape)] >= 2**32:
            raise ArgumentError(f"a sparse column has less than 2**32 elements, got shape {shape}")
        dtype.check(std=self.std)

    def _fill(
        self, out: NDArray[Any], shape: tuple[int, ...], places: Places, key: int, dtype: DType
    ) -> None:
        strides = contiguous_strides(shape)
        start = sum(place.start * stride for place, stride in zip(places, strides, strict=True))
        steps = tuple(place.step * stride for place, stride in zip(places, strides, strict=True))
        fill(out, Normal(0.0, self.std), key, start, steps, dtype=dtype)
        if position_of(self.axis, shape) == 1:
            out, shape, places = out.T, shape[::-1], places[::-1]
        kept = shape[0] - math.ceil(self.sparsity * shape[0])
        thin(out, shape, places, kept, key_bits(Key(key), "choice"))


@dataclass(frozen=True, repr=False)
class Bilinear(Structured):
    """Linear interpolation in each direction of a window; see `bilinear`."""

    name = "bilinear"

    in_axis: int = -2
    out_axis: int = -1

    def __post_init__(self) -> None:
        normalize(self, in_axis=_axis, out_axis=_axis)

    def _check(self, shape: tuple[int, ...], dtype: DType) -> None:
        _rank(shape, 3, 4, 5, what="a bilinear upsampling")
        _channels(shape, self.in_axis, self.out_axis)

    def _fill(
        self, out: NDArray[Any], shape: tuple[int, ...], places: Places, key: int, dtype: DType
    ) -> None:
        _zero(out, dtype)
        channels = _channels(shape, self.in_axis, self.out_axis)
        filters = np.ones(())
        for axis, (size, place) in enumerate(zip(shape, places, strict=True)):
            if axis not in channels:
                distance = np.abs(_values(place) - (size - 1) / 2)
                filters = filters[..., np.newaxis] * (1.0 - distance / ((size + 1) // 2))
        taps = dtype.stored(filters)[..., np.newaxis]
        moved = np.moveaxis(out, channels, (-2, -1))
        if min(shape[axis] for axis in channels) == 1:
            moved[...] = taps[..., np.newaxis]
            return
        inputs, outputs = (places[axis] for axis in channels)
        found, positions = _locate(_values(outputs), inputs)
        moved[..., positions, found] = taps


# The coefficients of windows that are sums of cosines.
COSINES = {
    "boxcar": (1.0,),
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
}


@dataclass(frozen=True, repr=False)
class STFT(Structured):
    """The kernel of a short-time Fourier transform; see `stft`."""

    name = "stft"

    side: Side = "real"
    window: str | Sequence[float] | None = "hann"
    scaling: Scaling = "density"
    periodic: bool = False

    def __post_init__(self) -> None:
        if self.side not in SIDES:
            raise unknown_name("side", self.side, SIDES)
        if self.scaling is not None and self.scaling not in SCALINGS:
            raise unknown_name("scaling", self.scaling, SCALINGS)
        if not isinstance(self.periodic, bool):
            raise ArgumentTypeError(f"periodic must be True or False, got {self.periodic!r}")
        if isinstance(self.window, str):
            _window(self.window, 1, self.periodic)
        elif self.window is not None:
            normalize(self, window=_numbers)

    def _check(self, shape: tuple[int, ...], dtype: DType) -> None:
        if len(shape) != 3 or shape[1] != 1 or shape[2] == 1:
            raise ArgumentError(
                "a short-time Fourier transform needs a shape (frame length, 1, frequencies), "
                f"of at least two frequencies, got {shape}"
            )
        if isinstance(self.window, tuple) and len(self.window) != shape[0]:
            raise ArgumentError(f"the window has {len(self.window)} numbers, got shape {shape}")

    def _fill(
        self, out: NDArray[Any], shape: tuple[int, ...], places: Places, key: int, dtype: DType
    ) -> None:
        times, _, frequencies = places
        length = 2 * (shape[2] - 1)
        turn = np.arange(length, dtype=np.int64)
        # sin(-x) = cos(x + a quarter of a turn)
        wave = cosine(4 * turn + (0 if self.side == "real" else length), 4 * length)
        values = wave[_values(times)[:, np.newaxis] * _values(frequencies) % length]
        if self.window is not None:
            weights = _window(self.window, shape[0], self.periodic)
            values = values * weights[slice_of(times), np.newaxis] / self._divisor(weights)
        out[...] = dtype.stored(values)[:, np.newaxis]

    def _divisor(self, window: NDArray[Any]) -> float:
        if self.scaling == "density":
            return math.sqrt(math.fsum(window * window))
        return math.fsum(np.abs(window)) if self.scaling == "spectrum" else 1.0


def _numbers(name: str, values: Any) -> tuple[float, ...]:
    if not isinstance(values, (Sequence, np.ndarray)):
        raise ArgumentTypeError(
            f"{name} must be a name, a sequence of numbers or None, got {values!r}"
        )
    return tuple(as_finite(f"{name}[{i}]", value) for i, value in enumerate(values))


def _window(window: str | Sequence[float], length: int, periodic: bool) -> NDArray[Any]:
    """Return the values of a window."""
    if not isinstance(window, str):
        return np.array(window)
    if window not in COSINES:
        return _window_of_scipy(window, length, periodic)
    if length <= 1:
        return np.ones(length)
    turn = np.arange(length, dtype=np.int64)
    around = length if periodic else length - 1
    values = np.zeros(length)
    for k, coefficient in enumerate(COSINES[window]):
        term = coefficient * cosine(k * turn, around)
        values = values - term if k % 2 else values + term
    return values


def _window_of_scipy(name: str, length: int, periodic: bool) -> NDArray[Any]:
    from scipy.signal import get_window

    try:
        found: NDArray[Any] = get_window(name, length, periodic)
    except ValueError as error:
        raise ArgumentError(f"window={name!r}: {error}") from None
    return found


@dataclass(frozen=True, repr=False)
class LSTMForgetBias(Structured):
    """A bias that opens an LSTM's forget gate; see `lstm_forget_bias`."""

    name = "lstm_forget_bias"

    value: float = 1.0
    gates: str = "ifco"

    def __post_init__(self) -> None:
        normalize(self, value=as_finite)
        if not isinstance(self.gates, str):
            raise ArgumentTypeError(f"gates must be a string, got {self.gates!r}")
        if self.gates.count("f") != 1:
            raise ArgumentError(f"gates must name the forget gate f once, got {self.gates!r}")

    def _check(self, shape: tuple[int, ...], dtype: DType) -> None:
        _rank(shape, 1, what="a bias")
        if shape[0] % len(self.gates):
            raise ArgumentError(
                f"a bias of {len(self.gates)} gates has a multiple of {len(self.gates)} elements, "
                f"got shape {shape}"
            )
        dtype.check(value=self.value)

    def _fill(
        self, out: NDArray[Any], shape: tuple[int, ...], places: Places, key: int, dtype: DType
    ) -> None:
        _zero(out, dtype)
        units = shape[0] // len(self.gates)
        out[_values(places[0]) // units == self.gates.index("f")] = dtype.stored(self.value)


def _count(name: str, value: Any) -> int:
    number = _axis(name, value)
    if number < 1:
        raise ArgumentError(f"{name} must be at least 1, got {value!r}")
    return number


@dataclass(frozen=True, repr=False)
class FunctionInitializer(Structured):
    """A user's function ``f(shape, *, seed, dtype)`` as an initializer."""

    function: Callable[..., Any]

    def _fill(
        self, out: NDArray[Any], shape: tuple[int, ...], places: Places, key: int, dtype: DType
    ) -> None:
        values = np.asarray(self.function(shape, seed=Key(key), dtype=dtype.array))
        if values.shape != shape:
            raise ArgumentError(f"{self!r} returned shape {values.shape}, expected {shape}")
        out[...] = dtype.stored(values[tuple(map(slice_of, places))])

    def __repr__(self) -> str:
        return getattr(self.function, "__qualname__", repr(self.function))


STRUCTURED: dict[str, type[Structured]] = {
    kind.name: kind
    for kind in (
        Bilinear,
        ConvolutionOrthogonal,
        DeltaOrthogonal,
        Dirac,
        Hadamard,
        Identity,
        LSTMForgetBias,
        Orthogonal,
        Sparse,
        STFT,
    )
}


def identity(
    shape: Shape,
    gain: float = 1.0,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
) -> NDArray[Any]:
    """Return an identity matrix times `gain`: as many inputs as possible go through unchanged.

    The matrix need not be square; it has `gain` on its main diagonal and zeros elsewhere, as from
    Keras' ``Identity`` and PyTorch's ``eye_``. `eye` is the same function.

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole matrix, of two axes.
    gain : float, default 1.0
        Finite.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        Not used: there is nothing random.
    dtype : dtype-like, default float32
        float32, float64, float16, bfloat16 (by name, or ml_dtypes.bfloat16), complex64 or
        complex128; see `Initializer`.
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole, and costs no more than
        its own size.

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
    Le, Jaitly, Hinton: A simple way to initialize recurrent networks of rectified linear units.
    arXiv:1504.00941 (2015).

    Examples
    --------
    >>> import fastinit
    >>> fastinit.identity((2, 3), 0.5)
    array([[0.5, 0. , 0. ],
           [0. , 0.5, 0. ]], dtype=float32)
    """
    rule = Identity(gain)
    return rule(shape, seed=seed, dtype=dtype, out=out, index=index)


def dirac(
    shape: Shape,
    groups: int = 1,
    in_axis: int = -2,
    out_axis: int = -1,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
) -> NDArray[Any]:
    """Return a convolution kernel that passes its inputs through: one at the window's centre.

    Output channel i of a group is input channel i of it, as far as there is one; other outputs are
    zero. As PyTorch's ``dirac_``; of a window of even size n, the centre is element n // 2.

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole kernel: one to three window axes, inputs of a group, and outputs.
    groups : int, default 1
        Groups of the convolution; they divide the outputs.
    in_axis, out_axis : int, default -2 and -1
        Which axes are inputs and outputs; PyTorch's layout is in_axis=1, out_axis=0.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        Not used: there is nothing random.
    dtype : dtype-like, default float32
        float32, float64, float16, bfloat16 (by name, or ml_dtypes.bfloat16), complex64 or
        complex128; see `Initializer`.
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole, and costs no more than
        its own size.

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
    Zagoruyko, Komodakis: DiracNets: training very deep neural networks without skip-connections.
    arXiv:1706.00388 (2017).

    Examples
    --------
    >>> import fastinit
    >>> fastinit.dirac((3, 1, 1))[:, 0, 0]
    array([0., 1., 0.], dtype=float32)
    """
    rule = Dirac(groups, in_axis, out_axis)
    return rule(shape, seed=seed, dtype=dtype, out=out, index=index)


def hadamard(
    shape: Shape,
    gain: float = 1.0,
    in_axis: int = -2,
    out_axis: int = -1,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
) -> NDArray[Any]:
    r"""Return the weights of ZerO: an identity, or a Hadamard matrix where there are more outputs.

    With at most as many outputs as inputs, an identity, as far as it goes. With more, the leading
    part of Sylvester's Hadamard matrix of order :math:`2^m`, where
    :math:`m = \lceil \log_2 \text{outputs} \rceil`:

    .. math:: w_{ij} = 2^{-(m - 1) / 2} (-1)^{\text{number of ones in the bits of } i \wedge j}

    counting inputs and outputs from zero. A convolution has this matrix at its window's centre,
    element n // 2, and zeros elsewhere. There is nothing random, and yet units are not copies of
    each other. The factor is the paper's; its authors' program divides it by sqrt(2).

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole tensor: a matrix, or a kernel with one to three window axes.
    gain : float, default 1.0
        Finite; all is multiplied by it.
    in_axis, out_axis : int, default -2 and -1
        Which axes are inputs and outputs; PyTorch's layout is in_axis=1, out_axis=0.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        Not used: there is nothing random.
    dtype : dtype-like, default float32
        float32, float64, float16, bfloat16 (by name, or ml_dtypes.bfloat16), complex64 or
        complex128; see `Initializer`.
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole, and costs no more than
        its own size.

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
    Zhao, Schäfer, Anandkumar: ZerO initialization: initializing neural networks with only zeros and
    ones. arXiv:2110.12661 (2021).

    Examples
    --------
    >>> import fastinit
    >>> fastinit.hadamard((2, 4), 2**0.5)
    array([[ 1.,  1.,  1.,  1.],
           [ 1., -1.,  1., -1.]], dtype=float32)
    """
    rule = Hadamard(gain, in_axis, out_axis)
    return rule(shape, seed=seed, dtype=dtype, out=out, index=index)


def orthogonal(
    shape: Shape,
    gain: float = 1.0,
    column_axis: int = -1,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
) -> NDArray[Any]:
    r"""Return a random orthogonal matrix, or a part of one with orthonormal columns or rows.

    .. math:: W^T W = \text{gain}^2 I \quad \text{or} \quad W W^T = \text{gain}^2 I

    whichever is the smaller. The matrix is distributed uniformly (by Haar's measure): no rotation
    changes its distribution. Of a tensor of more than two axes, all but `column_axis` are flattened
    to rows, as in Keras and JAX.

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole tensor, of at least two axes.
    gain : float, default 1.0
        Finite; see `fastinit.gain`.
    column_axis : int, default -1
        The axis that holds the columns; 0 for PyTorch's layout.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`; left out, the values are different every time.
    dtype : dtype-like, default float32
        float32, float64, float16 or bfloat16 (by name, or ml_dtypes.bfloat16).
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole. Only those of the
        orthonormal vectors are returned that it needs, but they depend on each other, so that this
        can cost as much as the whole.

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
    Saxe, McClelland, Ganguli: Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks. arXiv:1312.6120 (2013). Mezzadri: How to generate random matrices from the
    classical compact groups. Notices of the AMS (2007).

    Examples
    --------
    >>> import fastinit
    >>> w = fastinit.orthogonal((5, 3), seed=0)
    >>> bool(abs(w.T @ w - fastinit.identity((3, 3))).max() < 1e-6)
    True
    """
    rule = Orthogonal(gain, column_axis)
    return rule(shape, seed=seed, dtype=dtype, out=out, index=index)


def delta_orthogonal(
    shape: Shape,
    gain: float = 1.0,
    in_axis: int = -2,
    out_axis: int = -1,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
) -> NDArray[Any]:
    """Return a convolution kernel with an orthogonal matrix at its centre, and zeros elsewhere.

    So a very deep convolutional network without skip connections keeps norms, and their gradients,
    in each direction. Of a window of even size n, the centre is element (n - 1) // 2, as in JAX.

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole kernel: one to three window axes, inputs, and at least as many
        outputs.
    gain : float, default 1.0
        Finite; the factor by which norms change.
    in_axis, out_axis : int, default -2 and -1
        Which axes are inputs and outputs; PyTorch's layout is in_axis=1, out_axis=0.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`; left out, the values are different every time.
    dtype : dtype-like, default float32
        float32, float64, float16 or bfloat16 (by name, or ml_dtypes.bfloat16).
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole. Only those of the
        orthonormal vectors are returned that it needs, but they depend on each other, so that this
        can cost as much as the whole.

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
    Xiao, Bahri, Sohl-Dickstein, Schoenholz, Pennington: Dynamical isometry and a mean field theory
    of CNNs. arXiv:1806.05393 (2018), algorithm 2.

    Examples
    --------
    >>> import fastinit
    >>> w = fastinit.delta_orthogonal((3, 3, 4, 8), seed=0)
    >>> bool(abs(w[1, 1] @ w[1, 1].T - fastinit.identity((4, 4))).max() < 1e-6)
    True
    """
    rule = DeltaOrthogonal(gain, in_axis, out_axis)
    return rule(shape, seed=seed, dtype=dtype, out=out, index=index)


def convolution_orthogonal(
    shape: Shape,
    gain: float = 1.0,
    in_axis: int = -2,
    out_axis: int = -1,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
) -> NDArray[Any]:
    """Return a convolution kernel that keeps norms and uses all of its window.

    With circular padding and stride 1, the convolution multiplies the norm of every input by
    `gain`, exactly; other paddings change it at the borders. The kernel is a random orthogonal
    matrix, convolved along each window axis of size k with k - 1 pairs of a random projection on
    half of the outputs and its complement.

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole kernel: one to three window axes, inputs, and at least as many
        outputs.
    gain : float, default 1.0
        Finite; the factor by which norms change.
    in_axis, out_axis : int, default -2 and -1
        Which axes are inputs and outputs; PyTorch's layout is in_axis=1, out_axis=0.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`; left out, the values are different every time.
    dtype : dtype-like, default float32
        float32, float64, float16 or bfloat16 (by name, or ml_dtypes.bfloat16).
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole, which is computed.

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
    Xiao, Bahri, Sohl-Dickstein, Schoenholz, Pennington: Dynamical isometry and a mean field theory
    of CNNs. arXiv:1806.05393 (2018), algorithm 1; TensorFlow 1's ``ConvolutionOrthogonal2D``.

    Examples
    --------
    >>> import fastinit
    >>> w = fastinit.convolution_orthogonal((3, 3, 4, 8), seed=0)
    >>> bool(abs(w.sum(axis=(0, 1)) @ w.sum(axis=(0, 1)).T - fastinit.eye((4, 4))).max() < 1e-6)
    True
    """
    rule = ConvolutionOrthogonal(gain, in_axis, out_axis)
    return rule(shape, seed=seed, dtype=dtype, out=out, index=index)


def sparse(
    shape: Shape,
    sparsity: float = 0.9,
    std: float = 0.01,
    axis: int = 0,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
) -> NDArray[Any]:
    r"""Return a matrix with the same number of zeros in each column, at random places.

    Exactly :math:`\lceil \text{sparsity} \cdot n \rceil` of the n elements of each column are zero;
    the others are those that ``normal(shape, 0, std, seed=seed)`` has there. As PyTorch's
    ``sparse_``. In the layout (inputs, outputs) each unit then has the same number of inputs, as in
    the paper; in PyTorch's (outputs, inputs), each input has the same number of units, and
    ``axis=1`` gives what the paper has.

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole matrix, of two axes.
    sparsity : float, default 0.9
        Which share of each column is zero, 0 to 1.
    std : float, default 0.01
        The standard deviation of the others; finite and not negative.
    axis : int, default 0
        The axis along which the zeros are counted; with 1, each row has its number of them.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`; left out, the values are different every time.
    dtype : dtype-like, default float32
        float32, float64, float16, bfloat16 (by name, or ml_dtypes.bfloat16), complex64 or
        complex128; see `Initializer`.
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole, and costs no more than
        the whole of its columns, and of up to 511 next to them.

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
    Martens: Deep learning via Hessian-free optimization. ICML (2010). Knuth: The art of
    computer programming 2, 3.4.2: algorithm S, by which the places are chosen.

    Examples
    --------
    >>> import fastinit
    >>> (fastinit.sparse((10, 4), 0.25, seed=0) == 0).sum(axis=0)
    array([3, 3, 3, 3])
    """
    rule = Sparse(sparsity, std, axis)
    return rule(shape, seed=seed, dtype=dtype, out=out, index=index)


def bilinear(
    shape: Shape,
    in_axis: int = -2,
    out_axis: int = -1,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
) -> NDArray[Any]:
    r"""Return the kernel with which a transposed convolution upsamples by linear interpolation.

    .. math:: w_{xy} = \left(1 - \frac{|x - c|}{f}\right) \left(1 - \frac{|y - c|}{f}\right),
        \qquad f = \lceil n / 2 \rceil, \quad c = (n - 1) / 2

    for a window of size n, and likewise with one or three window axes. Upsampling by a factor f
    takes a window of 2 f - f % 2 and the stride f. Each input channel goes to the output channel of
    the same number. Where there is one input channel or one output channel (a depthwise kernel),
    all others have the filter.

    MXNet's and Caffe's ``Bilinear`` have it at every pair of channels; where n is not of the form
    2 f - f % 2, theirs is not symmetric.

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the whole kernel: one to three window axes, and two of channels.
    in_axis, out_axis : int, default -2 and -1
        Which axes are inputs and outputs; PyTorch's layout is in_axis=1, out_axis=0.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        Not used: there is nothing random.
    dtype : dtype-like, default float32
        float32, float64, float16, bfloat16 (by name, or ml_dtypes.bfloat16), complex64 or
        complex128; see `Initializer`.
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole, and costs no more than
        its own size.

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
    Long, Shelhamer, Darrell: Fully convolutional networks for semantic segmentation.
    arXiv:1411.4038 (2014).

    Examples
    --------
    >>> import fastinit
    >>> fastinit.bilinear((4, 1, 1))[:, 0, 0]
    array([0.25, 0.75, 0.75, 0.25], dtype=float32)
    """
    rule = Bilinear(in_axis, out_axis)
    return rule(shape, seed=seed, dtype=dtype, out=out, index=index)


def stft(
    shape: Shape,
    side: Side = "real",
    window: str | Sequence[float] | None = "hann",
    scaling: Scaling = "density",
    periodic: bool = False,
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
) -> NDArray[Any]:
    r"""Return the convolution kernel of a short-time Fourier transform, its real or imaginary part.

    .. math:: w_{tf} = \frac{v_t}{s} \cos \frac{2 \pi t f}{N} \quad \text{or} \quad
        w_{tf} = -\frac{v_t}{s} \sin \frac{2 \pi t f}{N}, \qquad N = 2 (F - 1)

    for frame length T, F frequencies and a window v; s is its 2-norm (``"density"``) or 1-norm
    (``"spectrum"``). As Keras' ``STFT``.

    Parameters
    ----------
    shape : int or sequence of int
        (T, 1, F), with F at least 2.
    side : {"real", "imag"}, default "real"
        Which part.
    window : str, sequence of float or None, default "hann"
        "hann", "hamming", "blackman", "boxcar", another name that `scipy.signal.get_window` knows
        (its values are then those of the SciPy that is installed), or T numbers. Without a window
        there is no scaling.
    scaling : {"density", "spectrum"} or None, default "density"
        What the window is divided by.
    periodic : bool, default False
        Whether the window continues periodically, rather than being symmetric.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        Not used: there is nothing random.
    dtype : dtype-like, default float32
        float32, float64, float16, bfloat16 (by name, or ml_dtypes.bfloat16), complex64 or
        complex128; see `Initializer`.
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole, and costs no more than
        its own size.

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
    Allen, Rabiner: A unified approach to short-time Fourier analysis and synthesis. Proceedings of
    the IEEE 65 (1977).

    Examples
    --------
    >>> import fastinit
    >>> fastinit.stft((4, 1, 3), window=None)[:, 0]
    array([[ 1.,  1.,  1.],
           [ 1.,  0., -1.],
           [ 1., -1.,  1.],
           [ 1.,  0., -1.]], dtype=float32)
    """
    rule = STFT(side, window, scaling, periodic)
    return rule(shape, seed=seed, dtype=dtype, out=out, index=index)


def lstm_forget_bias(
    shape: Shape,
    value: float = 1.0,
    gates: str = "ifco",
    *,
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
    out: NDArray[Any] | None = None,
    index: Any = None,
) -> NDArray[Any]:
    """Return the bias of an LSTM's gates: `value` for the forget gate, and zeros.

    So the network remembers from the start, and gradients last. PyTorch adds two such biases; let
    one be zero.

    Parameters
    ----------
    shape : int or sequence of int
        The number of gates times that of the units.
    value : float, default 1.0
        Finite.
    gates : str, default "ifco"
        A letter a gate, in the order in which they are stacked, f for the forget gate; the default
        fits Keras, PyTorch and MXNet. Haiku's is "igfo", ONNX' "iofc".
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        Not used: there is nothing random.
    dtype : dtype-like, default float32
        float32, float64, float16, bfloat16 (by name, or ml_dtypes.bfloat16), complex64 or
        complex128; see `Initializer`.
    out : ndarray, optional
        Filled in place and returned; of the dtype `dtype` (or uint16 for 16 bits) and of the shape
        of the result.
    index : int, slice, Ellipsis or tuple of these, optional
        Make only this part of the tensor; it equals that part of the whole, and costs no more than
        its own size.

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
    Gers, Schmidhuber, Cummins: Learning to forget: continual prediction with LSTM. Neural
    Computation (2000). Jozefowicz, Zaremba, Sutskever: An empirical exploration of recurrent
    network architectures. ICML (2015).

    Examples
    --------
    >>> import fastinit
    >>> fastinit.lstm_forget_bias(8)
    array([0., 0., 1., 1., 0., 0., 0., 0.], dtype=float32)
    """
    rule = LSTMForgetBias(value, gates)
    return rule(shape, seed=seed, dtype=dtype, out=out, index=index)


eye = identity
