"""Every initializer of the catalogue, and LSUV: sizes are numbers of units.

A contestant makes a new array at each call, as a model that is built does. What nobody else has is
drawn by NumPy alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import fastinit
from cases import Case, Maker, Run, case, table, torch

SIZES = [32, 512]
GENERATOR = np.random.Generator(np.random.SFC64(0))  # NumPy's fastest
Shape = tuple[int, ...]


class Row(NamedTuple):
    """`twin(shape)` is NumPy's way; the others are names in the frameworks, with arguments."""

    shape: Callable[[int], Shape]
    twin: Callable[[Shape], np.ndarray]
    torch: tuple[Any, ...] = ()
    jax: tuple[Any, ...] = ()
    keras: tuple[Any, ...] = ()
    random: bool = True


def square(units: int) -> Shape:
    return units, units


def window(units: int) -> Shape:
    """Return the shape of a convolution with about as many elements as a square matrix."""
    return 3, 3, units // 4, units // 2


# ---------------------------------------------------------------- NumPy


def normal(std: Callable[[Shape], float], shape: Shape) -> np.ndarray:
    w = GENERATOR.standard_normal(shape, np.float32)
    w *= np.float32(std(shape))
    return w


def uniform(bound: Callable[[Shape], float], shape: Shape) -> np.ndarray:
    w = GENERATOR.random(shape, np.float32)
    w -= np.float32(0.5)
    w *= np.float32(2 * bound(shape))
    return w


def truncated(std: Callable[[Shape], float], shape: Shape) -> np.ndarray:
    w = GENERATOR.standard_normal(shape, np.float32)
    flat = w.reshape(-1)
    while (outside := np.flatnonzero(np.abs(flat) > 2)).size:
        flat[outside] = GENERATOR.standard_normal(outside.size, np.float32)
    w *= np.float32(std(shape))
    return w


def fan_in(scale: float) -> Callable[[Shape], float]:
    return lambda shape: math.sqrt(scale / math.prod(shape[:-1]))


def glorot(scale: float) -> Callable[[Shape], float]:
    return lambda shape: math.sqrt(scale / (shape[0] + shape[1]))


def given(value: float) -> Callable[[Shape], float]:
    return lambda shape: value


def rademacher(shape: Shape) -> np.ndarray:
    w = GENERATOR.integers(0, 2, shape, np.int8).astype(np.float32)
    w *= 2
    w -= 1
    return w


def orthogonal(shape: Shape) -> np.ndarray:
    q, r = np.linalg.qr(GENERATOR.standard_normal(shape, np.float32))
    q *= np.sign(np.diag(r))
    return q


def delta_orthogonal(shape: Shape) -> np.ndarray:
    *window, inputs, outputs = shape
    w = np.zeros(shape, np.float32)
    w[tuple((n - 1) // 2 for n in window)] = orthogonal((outputs, inputs)).T
    return w


def convolution_orthogonal(shape: Shape) -> np.ndarray:
    """Return an orthogonal matrix, convolved with pairs of projections along each axis."""
    *window, inputs, outputs = shape
    w = orthogonal((outputs, inputs)).T.reshape((1,) * len(window) + (inputs, outputs))
    for axis, size in enumerate(window):
        for _ in range(size - 1):
            half = orthogonal((outputs, outputs // 2))
            kept = (w @ half) @ half.T
            before, after = ([(0, 0)] * w.ndim for _ in range(2))
            before[axis], after[axis] = (1, 0), (0, 1)
            w = np.pad(kept, after) + np.pad(w - kept, before)
    return w


def sparse(shape: Shape) -> np.ndarray:
    w = normal(given(0.01), shape)
    order = GENERATOR.random(shape, np.float32).argpartition(zeros := int(0.9 * shape[0]), axis=0)
    np.put_along_axis(w, order[:zeros], 0, axis=0)
    return w


def dirac(shape: Shape) -> np.ndarray:
    *window, inputs, outputs = shape
    w = np.zeros(shape, np.float32)
    both = np.arange(min(inputs, outputs))
    w[(*(n // 2 for n in window), both, both)] = 1
    return w


def hadamard(shape: Shape) -> np.ndarray:
    from scipy.linalg import hadamard

    inputs, outputs = shape
    m = math.ceil(math.log2(outputs))
    w = hadamard(2**m, np.float32)[:inputs, :outputs]
    return w * np.float32(2 ** (-(m - 1) / 2))


def bilinear(shape: Shape) -> np.ndarray:
    *window, inputs, outputs = shape
    w, filters = np.zeros(shape, np.float32), np.ones((), np.float32)
    for n in window:
        f, c = math.ceil(n / 2), (n - 1) / 2
        filters = np.multiply.outer(filters, 1 - np.abs(np.arange(n) - c) / f)
    both = np.arange(min(inputs, outputs))
    w[..., both, both] = filters[..., np.newaxis]
    return w


def stft(shape: Shape) -> np.ndarray:
    from scipy.signal import get_window

    length, _, frequencies = shape
    v = get_window("hann", length, fftbins=False)
    angles = np.outer(np.arange(length), np.arange(frequencies)) * (np.pi / (frequencies - 1))
    np.cos(angles, out=angles)
    angles *= (v / np.linalg.norm(v))[:, np.newaxis]
    return angles[:, np.newaxis].astype(np.float32)


def lstm_forget_bias(shape: Shape) -> np.ndarray:
    w = np.zeros(shape, np.float32)
    units = shape[0] // 4
    w[units : 2 * units] = 1
    return w


ROWS = {
    "zeros": Row(
        square, partial(np.zeros, dtype=np.float32), ("zeros_",), ("zeros",), ("Zeros",), False
    ),
    "ones": Row(
        square, partial(np.ones, dtype=np.float32), ("ones_",), ("ones",), ("Ones",), False
    ),
    "constant": Row(
        square,
        lambda shape: np.full(shape, 0, np.float32),
        ("constant_", 0.0),
        ("constant", 0.0),
        ("Constant", 0.0),
        False,
    ),
    "normal": Row(
        square,
        partial(normal, given(0.05)),
        ("normal_", 0.0, 0.05),
        ("normal", 0.05),
        ("RandomNormal",),
    ),
    "uniform": Row(
        square, partial(uniform, given(0.05)), ("uniform_", -0.05, 0.05), (), ("RandomUniform",)
    ),
    "truncated_normal": Row(
        square,
        partial(truncated, given(0.05)),
        ("trunc_normal_", 0.0, 0.05, -0.1, 0.1),
        ("truncated_normal", 0.05),
        ("TruncatedNormal",),
    ),
    "rademacher": Row(square, rademacher),
    "variance_scaling": Row(
        square,
        partial(truncated, lambda shape: fan_in(1.0)(shape) / 0.8796256610342398),
        (),
        ("variance_scaling", 1.0, "fan_in", "truncated_normal"),
        ("VarianceScaling",),
    ),
    "glorot_normal": Row(
        square,
        partial(normal, glorot(2.0)),
        ("xavier_normal_",),
        ("glorot_normal",),
        ("GlorotNormal",),
    ),
    "glorot_uniform": Row(
        square,
        partial(uniform, glorot(6.0)),
        ("xavier_uniform_",),
        ("glorot_uniform",),
        ("GlorotUniform",),
    ),
    "he_normal": Row(
        square, partial(normal, fan_in(2.0)), ("kaiming_normal_",), ("he_normal",), ("HeNormal",)
    ),
    "he_uniform": Row(
        square,
        partial(uniform, fan_in(6.0)),
        ("kaiming_uniform_",),
        ("he_uniform",),
        ("HeUniform",),
    ),
    "lecun_normal": Row(
        square, partial(normal, fan_in(1.0)), (), ("lecun_normal",), ("LecunNormal",)
    ),
    "lecun_uniform": Row(
        square, partial(uniform, fan_in(3.0)), (), ("lecun_uniform",), ("LecunUniform",)
    ),
    "siren_uniform": Row(square, partial(uniform, lambda shape: fan_in(6.0)(shape) / 30)),
    "small_init": Row(square, partial(normal, fan_in(0.4))),
    "orthogonal": Row(square, orthogonal, ("orthogonal_",), ("orthogonal",), ("Orthogonal",)),
    "delta_orthogonal": Row(window, delta_orthogonal, (), ("delta_orthogonal",)),
    "convolution_orthogonal": Row(window, convolution_orthogonal),
    "sparse": Row(square, sparse, ("sparse_", 0.9)),
    "identity": Row(
        square, lambda shape: np.eye(*shape, dtype=np.float32), ("eye_",), (), ("Identity",), False
    ),
    "dirac": Row(window, dirac, ("dirac_",), random=False),
    "hadamard": Row(lambda units: (units, 2 * units), hadamard, random=False),
    "bilinear": Row(window, bilinear, random=False),
    "stft": Row(lambda units: (2 * units, 1, units + 1), stft, random=False),
    "lstm_forget_bias": Row(lambda units: (4 * units,), lstm_forget_bias, random=False),
}

# ---------------------------------------------------------------- the contestants


def ours(name: str, units: int) -> Run:
    return partial(fastinit.get(name), ROWS[name].shape(units))


def numpy(name: str, units: int) -> Run:
    return partial(ROWS[name].twin, ROWS[name].shape(units))


def pytorch(name: str, units: int) -> Run:
    """Return PyTorch's, made in its layout and shown in the others'."""
    function, *arguments = ROWS[name].torch
    *window, inputs, outputs = ROWS[name].shape(units)
    shape, init = (outputs, inputs, *window), getattr(torch().nn.init, function)
    empty, axes = torch().empty, (*range(2, len(shape)), 1, 0)
    return lambda: init(empty(shape), *arguments).permute(axes).numpy()


def jax(name: str, units: int) -> Run:
    import jax

    function, *arguments = ROWS[name].jax
    init, shape = getattr(jax.nn.initializers, function), ROWS[name].shape(units)
    init = init(*arguments) if name not in ("zeros", "ones") else init
    compiled = jax.jit(lambda key: init(key, shape, jax.numpy.float32))
    key = jax.random.key(0)
    return lambda: jax.block_until_ready(compiled(key))


def keras(name: str, units: int) -> Run:
    import keras

    function, *arguments = ROWS[name].keras
    init, shape = getattr(keras.initializers, function)(*arguments), ROWS[name].shape(units)

    def run() -> Any:
        made = init(shape)
        getattr(made, "block_until_ready", lambda: None)()  # JAX returns before it is done
        return keras.ops.convert_to_numpy(made)

    return run


def case_of(name: str, row: Row) -> Case:
    makers: dict[str, Maker] = {"fastinit": ours, "NumPy": numpy}
    makers |= {"PyTorch": pytorch} if row.torch else {}
    makers |= {"JAX": jax} if row.jax else {}
    makers |= {"Keras": keras} if row.keras else {}
    return case(name, makers, name, random=row.random)


# ---------------------------------------------------------------- LSUV


LAYERS, ROWS_OF_DATA = 4, 256


def lsuv(units: int) -> Run:
    from fastinit import nn

    network = nn.Sequential([nn.Dense(units, "tanh") for _ in range(LAYERS)], seed=0)
    x = fastinit.normal((ROWS_OF_DATA, units), 0.0, 1.0, seed=0)
    network.build(units)

    def run() -> list[np.ndarray]:
        nn.lsuv(network, x, seed=0)
        return network.get_weights()[::2]

    return run


def numpy_lsuv(units: int) -> Run:
    x = fastinit.normal((ROWS_OF_DATA, units), 0.0, 1.0, seed=0)

    def run() -> list[np.ndarray]:
        a, kernels = x, []
        for _ in range(LAYERS):
            kernel = orthogonal((units, units))
            for _ in range(10):
                z = a @ kernel
                std = z.std()
                if abs(std * std - 1) <= 0.1:
                    break
                kernel /= std
            kernels.append(kernel)
            a = np.tanh(z, out=z)
        return kernels

    return run


CASES = table(
    [
        *(case_of(name, row) for name, row in ROWS.items()),
        case("lsuv", {"fastinit": lsuv, "NumPy": numpy_lsuv}, random=True),
    ]
)
