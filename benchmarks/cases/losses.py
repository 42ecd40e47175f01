"""Losses with their gradients: sizes are numbers of rows. The result is (loss, gradient)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from cases import Run, case, empty, jax_call, normal, table, torch

SIZES = [32, 4096]
UNITS = 16


class Loss(NamedTuple):
    """`twin(z, y, grad)` is NumPy's; `kernel` and `functional` are names."""

    kernel: str
    functional: str
    twin: Callable[..., float]
    jax: Callable[[Any, Any], Any]


def arrays(name: str, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions or logits, and what they should be."""
    z = normal((rows, UNITS), 0.0, 2.0, 0)
    if name == "categorical_crossentropy":
        return z, np.arange(rows) % UNITS
    y = normal((rows, UNITS), 0.0, 1.0, 1)
    return z, (y > 0).astype(np.float32) if name == "binary_crossentropy" else y


# ---------------------------------------------------------------- NumPy


def mean_squared_error(z: Any, y: Any, grad: Any) -> float:
    np.subtract(z, y, out=grad)
    loss = np.dot(grad.ravel(), grad.ravel()) / grad.size
    grad *= np.float32(2 / grad.size)
    return loss


def mean_absolute_error(z: Any, y: Any, grad: Any) -> float:
    np.subtract(z, y, out=grad)
    loss = np.abs(grad).mean()
    np.sign(grad, out=grad)
    grad *= np.float32(1 / grad.size)
    return loss


def huber(z: Any, y: Any, grad: Any) -> float:
    error = np.subtract(z, y)
    np.clip(error, -1, 1, out=grad)
    error -= grad / 2
    error *= grad
    loss = error.mean()
    grad *= np.float32(1 / grad.size)
    return loss


def binary(z: Any, y: Any, grad: Any) -> float:
    e = np.exp(-np.abs(z))
    loss = (np.maximum(z, 0) - z * y + np.log1p(e)).mean()
    np.divide(np.where(z >= 0, np.float32(1), e), 1 + e, out=grad)
    grad -= y
    grad *= np.float32(1 / grad.size)
    return loss


def categorical(z: Any, y: Any, grad: Any) -> float:
    rows = np.arange(len(z))
    np.subtract(z, z.max(axis=1, keepdims=True), out=grad)
    right = grad[rows, y]
    np.exp(grad, out=grad)
    sums = grad.sum(axis=1, keepdims=True)
    loss = (np.log(sums[:, 0]) - right).mean()
    grad /= sums
    grad[rows, y] -= 1
    grad *= np.float32(1 / len(z))
    return loss


# ---------------------------------------------------------------- JAX


def jax_huber(z: Any, y: Any) -> Any:
    from jax import numpy as jnp

    error = abs(z - y)
    return jnp.where(error <= 1, error * error / 2, error - 0.5).mean()


def jax_binary(z: Any, y: Any) -> Any:
    import jax

    return (jax.nn.softplus(z) - z * y).mean()


def jax_categorical(z: Any, y: Any) -> Any:
    import jax

    return (jax.nn.logsumexp(z, axis=1) - z[jax.numpy.arange(len(z)), y]).mean()


LOSSES = {
    "mean_squared_error": Loss(
        "mean_squared_error", "mse_loss", mean_squared_error, lambda z, y: ((z - y) ** 2).mean()
    ),
    "mean_absolute_error": Loss(
        "mean_absolute_error", "l1_loss", mean_absolute_error, lambda z, y: abs(z - y).mean()
    ),
    "huber": Loss("huber", "huber_loss", huber, jax_huber),
    "binary_crossentropy": Loss(
        "binary_crossentropy_from_logits", "binary_cross_entropy_with_logits", binary, jax_binary
    ),
    "categorical_crossentropy": Loss(
        "categorical_crossentropy_from_logits", "cross_entropy", categorical, jax_categorical
    ),
}


def ours(name: str, rows: int) -> Run:
    from fastinit import kernels

    kernel, (z, y) = getattr(kernels, LOSSES[name].kernel), arrays(name, rows)
    grad = empty(z.shape)
    return lambda: (kernel(z, y, grad), grad)


def numpy(name: str, rows: int) -> Run:
    twin, (z, y) = LOSSES[name].twin, arrays(name, rows)
    grad = empty(z.shape)
    return lambda: (twin(z, y, grad), grad)


def pytorch(name: str, rows: int) -> Run:
    loss_of = getattr(torch().nn.functional, LOSSES[name].functional)
    z, y = map(torch().from_numpy, arrays(name, rows))
    z.requires_grad_()

    def run() -> tuple[Any, Any]:
        loss = loss_of(z, y)
        return loss.item(), *torch().autograd.grad(loss, z)

    return run


def jax(name: str, rows: int) -> Run:
    import jax

    return jax_call(jax.value_and_grad(LOSSES[name].jax), *arrays(name, rows))


MAKERS = {"fastinit": ours, "NumPy": numpy, "PyTorch": pytorch, "JAX": jax}
CASES = table(case(name, MAKERS, name) for name in LOSSES)
