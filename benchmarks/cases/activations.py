"""Activation functions and their gradients: sizes are numbers of rows, of 256 units each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from cases import Run, case, empty, jax_call, normal, table, torch

SIZES = [8, 512]
UNITS = 256
ALPHA = {"leaky_relu": 0.2, "elu": 1.0}
SCALE, ROOT_HALF, DENSITY, CUBIC = 1.0507009873554805, 0.5**0.5, 0.3989422804014327, 0.044715
SELU_ALPHA = 1.6732632423543772


class Twin(NamedTuple):
    """NumPy's formulas: `forward(z, y, w)` writes y, `backward(z, y, g, w)` overwrites g.

    `w` is scratch. As in fastinit, y is what the forward pass made of z.
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any]


def data(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pre-activations and the gradient of the outputs."""
    return tuple(normal((rows, UNITS), 0.0, 2.0, i) for i in range(2))


# ---------------------------------------------------------------- NumPy's formulas


def sigmoid(z: Any, y: Any, w: Any) -> None:
    np.negative(z, out=y)
    np.exp(y, out=y)
    y += 1
    np.reciprocal(y, out=y)


def sigmoid_backward(z: Any, y: Any, g: Any, w: Any) -> None:
    np.subtract(1, y, out=w)
    w *= y
    g *= w


def tanh_backward(z: Any, y: Any, g: Any, w: Any) -> None:
    np.multiply(y, y, out=w)
    np.subtract(1, w, out=w)
    g *= w


def relu_backward(z: Any, y: Any, g: Any, w: Any) -> None:
    g *= y > 0


def leaky_relu(z: Any, y: Any, w: Any) -> None:
    np.multiply(z, np.float32(ALPHA["leaky_relu"]), out=w)
    np.maximum(z, w, out=y)


def leaky_relu_backward(z: Any, y: Any, g: Any, w: Any) -> None:
    np.multiply(g, np.float32(ALPHA["leaky_relu"]), out=g, where=y <= 0)


def elu(z: Any, y: Any, w: Any, scale: float = 1.0, alpha: float = 1.0) -> None:
    np.minimum(z, 0, out=w)
    np.expm1(w, out=w)
    w *= np.float32(scale * alpha)
    np.maximum(z, 0, out=y)
    y *= np.float32(scale)
    y += w


def elu_backward(z: Any, y: Any, g: Any, w: Any, scale: float = 1.0, alpha: float = 1.0) -> None:
    np.add(y, np.float32(scale * alpha), out=w)
    np.copyto(w, np.float32(scale), where=y > 0)
    g *= w


def gelu(z: Any, y: Any, w: Any) -> None:
    from scipy.special import erf

    np.multiply(z, np.float32(ROOT_HALF), out=y)
    erf(y, out=y)
    y += 1
    y *= z
    y *= np.float32(0.5)


def gelu_backward(z: Any, y: Any, g: Any, w: Any) -> None:
    from scipy.special import erf

    np.multiply(z, z, out=w)
    w *= np.float32(-0.5)
    np.exp(w, out=w)
    w *= np.float32(DENSITY)
    w *= z
    cdf = np.multiply(z, np.float32(ROOT_HALF))
    erf(cdf, out=cdf)
    cdf += 1
    cdf *= np.float32(0.5)
    w += cdf
    g *= w


def bend(z: Any, w: Any) -> None:
    """Write the tanh of gelu_tanh."""
    np.multiply(z, z, out=w)
    w *= np.float32(CUBIC)
    w += 1
    w *= z
    w *= np.float32(2 * DENSITY)
    np.tanh(w, out=w)


def gelu_tanh(z: Any, y: Any, w: Any) -> None:
    bend(z, w)
    np.add(w, 1, out=y)
    y *= z
    y *= np.float32(0.5)


def gelu_tanh_backward(z: Any, y: Any, g: Any, w: Any) -> None:
    bend(z, w)
    slope = np.multiply(z, z)
    slope *= np.float32(3 * CUBIC)
    slope += 1
    slope *= z
    slope *= np.float32(2 * DENSITY)
    slope *= 1 - w * w
    slope += w
    slope += 1
    slope *= np.float32(0.5)
    g *= slope


def silu(z: Any, y: Any, w: Any) -> None:
    sigmoid(z, y, w)
    y *= z


def silu_backward(z: Any, y: Any, g: Any, w: Any) -> None:
    sigmoid(z, w, None)
    slope = np.subtract(1, w)
    slope *= z
    slope += 1
    slope *= w
    g *= slope


def softplus(z: Any, y: Any, w: Any) -> None:
    np.logaddexp(z, 0, out=y)


def softplus_backward(z: Any, y: Any, g: Any, w: Any) -> None:
    np.negative(y, out=w)  # the slope is the sigmoid of z, 1 - exp(-y)
    np.expm1(w, out=w)
    np.negative(w, out=w)
    g *= w


def mish(z: Any, y: Any, w: Any) -> None:
    np.logaddexp(z, 0, out=y)
    np.tanh(y, out=y)
    y *= z


def mish_backward(z: Any, y: Any, g: Any, w: Any) -> None:
    sigmoid(z, w, None)
    bent = np.logaddexp(z, 0)
    np.tanh(bent, out=bent)
    slope = np.multiply(bent, bent)
    np.subtract(1, slope, out=slope)
    slope *= w
    slope *= z
    slope += bent
    g *= slope


def softmax(z: Any, y: Any, w: Any) -> None:
    np.subtract(z, z.max(axis=1, keepdims=True), out=y)
    np.exp(y, out=y)
    y /= y.sum(axis=1, keepdims=True)


def softmax_backward(z: Any, y: Any, g: Any, w: Any) -> None:
    np.multiply(y, g, out=w)
    g -= w.sum(axis=1, keepdims=True)
    g *= y


def log_softmax(z: Any, y: Any, w: Any) -> None:
    np.subtract(z, z.max(axis=1, keepdims=True), out=y)
    np.exp(y, out=w)
    y -= np.log(w.sum(axis=1, keepdims=True))


def log_softmax_backward(z: Any, y: Any, g: Any, w: Any) -> None:
    np.exp(y, out=w)
    w *= g.sum(axis=1, keepdims=True)
    g -= w


TWINS = {
    "relu": Twin(lambda z, y, w: np.maximum(z, 0, out=y), relu_backward),
    "leaky_relu": Twin(leaky_relu, leaky_relu_backward),
    "elu": Twin(elu, elu_backward),
    "selu": Twin(
        partial(elu, scale=SCALE, alpha=SELU_ALPHA),
        partial(elu_backward, scale=SCALE, alpha=SELU_ALPHA),
    ),
    "gelu": Twin(gelu, gelu_backward),
    "gelu_tanh": Twin(gelu_tanh, gelu_tanh_backward),
    "silu": Twin(silu, silu_backward),
    "softplus": Twin(softplus, softplus_backward),
    "mish": Twin(mish, mish_backward),
    "tanh": Twin(lambda z, y, w: np.tanh(z, out=y), tanh_backward),
    "sigmoid": Twin(sigmoid, sigmoid_backward),
    "softmax": Twin(softmax, softmax_backward),
    "log_softmax": Twin(log_softmax, log_softmax_backward),
}

# ---------------------------------------------------------------- the contestants


def ours(name: str, rows: int) -> Run:
    from fastinit import kernels

    kernel, alpha = getattr(kernels, name), [ALPHA[name]] if name in ALPHA else []
    (z, _), out = data(rows), empty((rows, UNITS))

    def run() -> np.ndarray:
        kernel(z, out, *alpha)
        return out

    return run


def ours_backward(name: str, rows: int) -> Run:
    from fastinit import kernels
    from fastinit.kernels.activations import CODES, SAVES_INPUT

    kernel = getattr(kernels, f"{name}_backward")
    alpha = [ALPHA[name]] if name in ALPHA else []
    (z, grad), out = data(rows), empty((rows, UNITS))
    saved = z if CODES[name] in SAVES_INPUT else ours(name, rows)()

    def run() -> np.ndarray:
        kernel(saved, grad, out, *alpha)
        return out

    return run


def numpy(name: str, rows: int) -> Run:
    z, _ = data(rows)
    y, w = empty(z.shape), empty(z.shape)

    def run() -> np.ndarray:
        TWINS[name].forward(z, y, w)
        return y

    return run


def numpy_backward(name: str, rows: int) -> Run:
    z, grad = data(rows)
    y, w, g = empty(z.shape), empty(z.shape), empty(z.shape)
    TWINS[name].forward(z, y, w)

    def run() -> np.ndarray:
        np.copyto(g, grad)
        TWINS[name].backward(z, y, g, w)
        return g

    return run


def in_torch(name: str) -> Callable[[Any], Any]:
    functional = torch().nn.functional
    return {
        "leaky_relu": partial(functional.leaky_relu, negative_slope=ALPHA["leaky_relu"]),
        "gelu_tanh": partial(functional.gelu, approximate="tanh"),
        "softmax": partial(functional.softmax, dim=1),
        "log_softmax": partial(functional.log_softmax, dim=1),
        "tanh": torch().tanh,
        "sigmoid": torch().sigmoid,
    }.get(name) or getattr(functional, name)


def in_jax(name: str) -> Callable[[Any], Any]:
    import jax

    return {
        "leaky_relu": partial(jax.nn.leaky_relu, negative_slope=ALPHA["leaky_relu"]),
        "gelu": partial(jax.nn.gelu, approximate=False),
        "gelu_tanh": partial(jax.nn.gelu, approximate=True),
    }.get(name) or getattr(jax.nn, name)


def in_pytorch(name: str, rows: int) -> Run:
    function, z = in_torch(name), torch().from_numpy(data(rows)[0])
    return torch().inference_mode()(lambda: function(z).numpy())


def pytorch_backward(name: str, rows: int) -> Run:
    z, grad = map(torch().from_numpy, data(rows))
    out = in_torch(name)(z.requires_grad_())
    return lambda: torch().autograd.grad(out, z, grad, retain_graph=True)[0]


def jax(name: str, rows: int) -> Run:
    return jax_call(in_jax(name), data(rows)[0])


def jax_backward(name: str, rows: int) -> Run:
    from jax import vjp

    function = in_jax(name)
    return jax_call(lambda z, grad: vjp(function, z)[1](grad)[0], *data(rows))


FORWARD = {"fastinit": ours, "NumPy": numpy, "PyTorch": in_pytorch, "JAX": jax}
BACKWARD = {
    "fastinit": ours_backward,
    "NumPy": numpy_backward,
    "PyTorch": pytorch_backward,
    "JAX": jax_backward,
}

CASES, GRADIENTS = (
    table(case(name, makers, name) for name in TWINS) for makers in (FORWARD, BACKWARD)
)
