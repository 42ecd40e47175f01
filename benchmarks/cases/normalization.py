"""Batch and layer normalization: sizes are numbers of rows, of 256 units each."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from cases import Run, case, empty, jax_call, normal, table, torch

SIZES = [32, 1024]
UNITS, MOMENTUM, EPSILON = 256, 0.99, 1e-3


class Layer:
    """The arrays of a layer, as the kernels of fastinit have them."""

    def __init__(self, kind: str, rows: int) -> None:
        self.axis = 0 if kind == "batch" else 1
        self.x = normal((rows, UNITS), 1.0, 2.0, 0)
        self.grad = normal((rows, UNITS), 0.0, 1.0, 1)
        self.gamma = normal(UNITS, 1.0, 0.2, 2)
        self.beta = normal(UNITS, 0.0, 1.0, 3)
        self.out = empty(self.x.shape)
        self.mean, self.inverse_std = np.empty((2, UNITS if kind == "batch" else rows), np.float32)
        self.moving = np.zeros(UNITS, np.float32), np.ones(UNITS, np.float32)
        self.gradients = empty(self.x.shape), empty(self.beta.shape), empty(self.beta.shape)


# ---------------------------------------------------------------- fastinit


def ours(kind: str, rows: int) -> Run:
    from fastinit import kernels

    a = Layer(kind, rows)
    arrays = a.x, a.gamma, a.beta, a.out, a.mean, a.inverse_std

    def run() -> np.ndarray:
        if kind == "batch":
            kernels.batch_norm_forward(*arrays, *a.moving, MOMENTUM, EPSILON)
        else:
            kernels.layer_norm_forward(*arrays, EPSILON)
        return a.out

    run.layer = a
    return run


def ours_backward(kind: str, rows: int) -> Run:
    from fastinit import kernels

    backward = getattr(kernels, f"{kind}_norm_backward")
    forward = ours(kind, rows)
    forward()
    a = forward.layer
    arrays = a.x, a.gamma, a.mean, a.inverse_std, a.grad

    def run() -> tuple[np.ndarray, ...]:
        backward(*arrays, *a.gradients)
        return a.gradients

    return run


def ours_inference(kind: str, rows: int) -> Run:
    from fastinit.kernels import batch_norm_inference

    a = Layer(kind, rows)

    def run() -> np.ndarray:
        batch_norm_inference(a.x, a.gamma, a.beta, a.out, a.inverse_std, *a.moving, EPSILON)
        return a.out

    return run


# ---------------------------------------------------------------- NumPy


def numpy(kind: str, rows: int) -> Run:
    a = Layer(kind, rows)
    moving_mean, moving_variance = a.moving
    centred = empty(a.x.shape)

    def run() -> np.ndarray:
        mean = a.x.mean(axis=a.axis, keepdims=True)
        np.subtract(a.x, mean, out=centred)
        variance = np.square(centred, out=a.out).mean(axis=a.axis, keepdims=True)
        if kind == "batch":
            for moving, new in ((moving_mean, mean[0]), (moving_variance, variance[0])):
                moving *= MOMENTUM
                moving += (1 - MOMENTUM) * new
        a.inverse_std = 1 / np.sqrt(variance + np.float32(EPSILON))
        np.multiply(centred, a.inverse_std, out=a.out)
        a.out *= a.gamma
        a.out += a.beta
        return a.out

    run.layer, run.centred = a, centred
    return run


def numpy_backward(kind: str, rows: int) -> Run:
    forward = numpy(kind, rows)
    forward()
    a, centred = forward.layer, forward.centred
    grad_in, grad_gamma, grad_beta = a.gradients
    scaled, work = empty(a.x.shape), empty(a.x.shape)

    def run() -> tuple[np.ndarray, ...]:
        np.multiply(centred, a.inverse_std, out=scaled)
        a.grad.sum(axis=0, out=grad_beta)
        np.multiply(a.grad, scaled, out=work)
        work.sum(axis=0, out=grad_gamma)
        np.multiply(a.grad, a.gamma, out=grad_in)
        np.multiply(grad_in, scaled, out=work)
        np.subtract(grad_in, grad_in.mean(axis=a.axis, keepdims=True), out=grad_in)
        np.multiply(scaled, work.mean(axis=a.axis, keepdims=True), out=work)
        np.subtract(grad_in, work, out=grad_in)
        np.multiply(grad_in, a.inverse_std, out=grad_in)
        return a.gradients

    return run


def numpy_inference(kind: str, rows: int) -> Run:
    a = Layer(kind, rows)
    moving_mean, moving_variance = a.moving

    def run() -> np.ndarray:
        scale = a.gamma / np.sqrt(moving_variance + np.float32(EPSILON))
        np.multiply(a.x, scale, out=a.out)
        a.out += a.beta - moving_mean * scale
        return a.out

    return run


# ---------------------------------------------------------------- PyTorch


def torch_call(kind: str, training: bool, *tensors: Any) -> Any:
    functional = torch().nn.functional
    x, gamma, beta, *moving = tensors
    if kind == "layer":
        return functional.layer_norm(x, (UNITS,), gamma, beta, EPSILON)
    return functional.batch_norm(x, *moving, gamma, beta, training, 1 - MOMENTUM, EPSILON)


def tensors(a: Layer) -> list[Any]:
    return [torch().from_numpy(v) for v in (a.x, a.gamma, a.beta, *a.moving)]


def pytorch(kind: str, rows: int, training: bool = True) -> Run:
    given = tensors(Layer(kind, rows))
    return torch().inference_mode()(lambda: torch_call(kind, training, *given).numpy())


def pytorch_backward(kind: str, rows: int) -> Run:
    a = Layer(kind, rows)
    given, grad = tensors(a), torch().from_numpy(a.grad)
    leaves = [tensor.requires_grad_() for tensor in given[:3]]
    out = torch_call(kind, True, *given)
    return lambda: torch().autograd.grad(out, leaves, grad, retain_graph=True)


# ---------------------------------------------------------------- JAX


def in_jax(axis: int, x: Any, gamma: Any, beta: Any) -> tuple[Any, Any, Any]:
    from jax import numpy as jnp

    mean = x.mean(axis, keepdims=True)
    variance = x.var(axis, keepdims=True)
    return gamma * (x - mean) / jnp.sqrt(variance + EPSILON) + beta, mean, variance


def jax(kind: str, rows: int) -> Run:
    a = Layer(kind, rows)

    def forward(x: Any, gamma: Any, beta: Any, *moving: Any) -> Any:
        out, *found = in_jax(a.axis, x, gamma, beta)
        if kind == "layer":
            return (out,)
        pairs = zip(moving, found, strict=True)
        return out, *(MOMENTUM * m + (1 - MOMENTUM) * new[0] for m, new in pairs)

    call = jax_call(forward, a.x, a.gamma, a.beta, *a.moving)
    return lambda: call()[0]


def jax_backward(kind: str, rows: int) -> Run:
    from jax import vjp

    a = Layer(kind, rows)

    def backward(x: Any, gamma: Any, beta: Any, grad: Any) -> Any:
        return vjp(lambda *given: in_jax(a.axis, *given)[0], x, gamma, beta)[1](grad)

    return jax_call(backward, a.x, a.gamma, a.beta, a.grad)


def jax_inference(kind: str, rows: int) -> Run:
    from jax import numpy as jnp

    a = Layer(kind, rows)
    return jax_call(
        lambda x, gamma, beta, mean, variance: (
            gamma * (x - mean) / jnp.sqrt(variance + EPSILON) + beta
        ),
        *(a.x, a.gamma, a.beta, *a.moving),
    )


FORWARD = {"fastinit": ours, "NumPy": numpy, "PyTorch": pytorch, "JAX": jax}
BACKWARD = {
    "fastinit": ours_backward,
    "NumPy": numpy_backward,
    "PyTorch": pytorch_backward,
    "JAX": jax_backward,
}
INFERENCE = {
    "fastinit": ours_inference,
    "NumPy": numpy_inference,
    "PyTorch": partial(pytorch, training=False),
    "JAX": jax_inference,
}

CASES = table(
    [
        case("batch_norm", FORWARD, "batch"),
        case("batch_norm_backward", BACKWARD, "batch"),
        case("batch_norm_inference", INFERENCE, "batch"),
        case("layer_norm", FORWARD, "layer"),
        case("layer_norm_backward", BACKWARD, "layer"),
    ]
)
