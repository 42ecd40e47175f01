"""A step of each optimizer: sizes are numbers of parameters. The result is the parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from cases import Run, case, empty, normal, table, torch

SIZES = [2**10, 2**18]
RATE, MOMENTUM, RHO, BETA_1, BETA_2, EPSILON, DECAY = 1e-3, 0.9, 0.99, 0.9, 0.999, 1e-7, 1e-2


class Optimizer(NamedTuple):
    """`twin(p, g, states, w, t)` is NumPy's, and `step(p, g, states, t)` JAX's."""

    states: int
    kernel: Callable[..., None]
    twin: Callable[..., None]
    torch: Callable[..., Any]
    step: Callable[..., Any]


class Arrays:
    """A parameter, its gradient, the optimizer's state and scratch."""

    def __init__(self, name: str, size: int) -> None:
        self.p = normal(size, 0.0, 1.0, 0)
        self.g = normal(size, 0.0, 1.0, 1)
        self.states = [empty(size) for _ in range(OPTIMIZERS[name].states)]
        self.work = empty(self.p.shape)
        self.t = 0


# ---------------------------------------------------------------- fastinit
# All arguments are given: it takes Numba longer to fill in the defaults than to take a small step.

PLAIN = 0.0, 0.0, 0.0, 1.0, np.inf  # no penalty, no weight decay, no clipping


def our_sgd(k: Any, p: Any, g: Any, s: Any, t: int) -> None:
    k.sgd_step(p, g, RATE, *PLAIN)


def our_momentum(k: Any, p: Any, g: Any, s: Any, t: int) -> None:
    k.momentum_step(p, g, *s, RATE, MOMENTUM, False, *PLAIN)


def our_adagrad(k: Any, p: Any, g: Any, s: Any, t: int) -> None:
    k.adagrad_step(p, g, *s, RATE, EPSILON, True, *PLAIN)


def our_rmsprop(k: Any, p: Any, g: Any, s: Any, t: int) -> None:
    k.rmsprop_step(p, g, *s, p[:0], RATE, RHO, 0.0, EPSILON, True, *PLAIN)


def our_adam(k: Any, p: Any, g: Any, s: Any, t: int, decay: float = 0.0) -> None:
    rest = 0.0, 0.0, decay, 1.0, np.inf
    k.adam_step(p, g, *s, t, RATE, BETA_1, BETA_2, EPSILON, False, *rest)


# ---------------------------------------------------------------- NumPy


def sgd(p: Any, g: Any, s: Any, w: Any, t: int) -> None:
    np.multiply(g, np.float32(RATE), out=w)
    p -= w


def momentum(p: Any, g: Any, s: Any, w: Any, t: int) -> None:
    (v,) = s
    v *= np.float32(MOMENTUM)
    np.multiply(g, np.float32(RATE), out=w)
    v -= w
    p += v


def adagrad(p: Any, g: Any, s: Any, w: Any, t: int) -> None:
    (a,) = s
    np.multiply(g, g, out=w)
    a += w
    np.sqrt(a, out=w)
    w += np.float32(EPSILON)
    np.divide(g, w, out=w)
    w *= np.float32(RATE)
    p -= w


def rmsprop(p: Any, g: Any, s: Any, w: Any, t: int) -> None:
    (v,) = s
    v *= np.float32(RHO)
    np.multiply(g, g, out=w)
    w *= np.float32(1 - RHO)
    v += w
    np.sqrt(v, out=w)
    w += np.float32(EPSILON)
    np.divide(g, w, out=w)
    w *= np.float32(RATE)
    p -= w


def adam(p: Any, g: Any, s: Any, w: Any, t: int, decay: float = 0.0) -> None:
    m, v = s
    if decay:
        p *= np.float32(1 - RATE * decay)
    m *= np.float32(BETA_1)
    np.multiply(g, np.float32(1 - BETA_1), out=w)
    m += w
    v *= np.float32(BETA_2)
    np.multiply(g, g, out=w)
    w *= np.float32(1 - BETA_2)
    v += w
    root = (1 - BETA_2**t) ** 0.5
    np.sqrt(v, out=w)
    w += np.float32(EPSILON * root)
    np.divide(m, w, out=w)
    w *= np.float32(RATE * root / (1 - BETA_1**t))
    p -= w


# ---------------------------------------------------------------- JAX


def jax_sgd(p: Any, g: Any, s: Any, t: Any) -> Any:
    return p - RATE * g, s


def jax_momentum(p: Any, g: Any, s: Any, t: Any) -> Any:
    v = MOMENTUM * s[0] - RATE * g
    return p + v, [v]


def jax_adagrad(p: Any, g: Any, s: Any, t: Any) -> Any:
    a = s[0] + g * g
    return p - RATE * g / (a**0.5 + EPSILON), [a]


def jax_rmsprop(p: Any, g: Any, s: Any, t: Any) -> Any:
    v = RHO * s[0] + (1 - RHO) * g * g
    return p - RATE * g / (v**0.5 + EPSILON), [v]


def jax_adam(p: Any, g: Any, s: Any, t: Any, decay: float = 0.0) -> Any:
    m, v = BETA_1 * s[0] + (1 - BETA_1) * g, BETA_2 * s[1] + (1 - BETA_2) * g * g
    change = m / (1 - BETA_1**t) / ((v / (1 - BETA_2**t)) ** 0.5 + EPSILON)
    return p * (1 - RATE * decay) - RATE * change, [m, v]


ADAM: dict[str, Any] = {"betas": (BETA_1, BETA_2), "eps": EPSILON, "fused": True}
OPTIMIZERS = {
    "sgd": Optimizer(0, our_sgd, sgd, lambda o, p: o.SGD(p, RATE, fused=True), jax_sgd),
    "momentum": Optimizer(
        1,
        our_momentum,
        momentum,
        lambda o, p: o.SGD(p, RATE, MOMENTUM, fused=True),
        jax_momentum,
    ),
    "adagrad": Optimizer(
        1, our_adagrad, adagrad, lambda o, p: o.Adagrad(p, RATE, eps=EPSILON), jax_adagrad
    ),
    "rmsprop": Optimizer(
        1, our_rmsprop, rmsprop, lambda o, p: o.RMSprop(p, RATE, RHO, EPSILON), jax_rmsprop
    ),
    "adam": Optimizer(2, our_adam, adam, lambda o, p: o.Adam(p, RATE, **ADAM), jax_adam),
    "adamw": Optimizer(
        2,
        partial(our_adam, decay=DECAY),
        partial(adam, decay=DECAY),
        lambda o, p: o.AdamW(p, RATE, weight_decay=DECAY, **ADAM),
        partial(jax_adam, decay=DECAY),
    ),
}

# ---------------------------------------------------------------- the contestants


def ours(name: str, size: int) -> Run:
    from fastinit import kernels

    a, step = Arrays(name, size), OPTIMIZERS[name].kernel

    def run() -> np.ndarray:
        a.t += 1
        step(kernels, a.p, a.g, a.states, a.t)
        return a.p

    return run


def numpy(name: str, size: int) -> Run:
    a, twin = Arrays(name, size), OPTIMIZERS[name].twin

    def run() -> np.ndarray:
        a.t += 1
        twin(a.p, a.g, a.states, a.work, a.t)
        return a.p

    return run


def pytorch(name: str, size: int) -> Run:
    a = Arrays(name, size)
    parameter = torch().nn.Parameter(torch().from_numpy(a.p))
    parameter.grad = torch().from_numpy(a.g)
    optimizer = OPTIMIZERS[name].torch(torch().optim, [parameter])

    def run() -> Any:
        optimizer.step()
        return parameter

    return run


def jax(name: str, size: int) -> Run:
    import jax

    a, step = Arrays(name, size), jax.jit(OPTIMIZERS[name].step, donate_argnums=(0, 2))
    g, state = jax.numpy.asarray(a.g), [jax.numpy.array(a.p), list(map(jax.numpy.array, a.states))]

    def run() -> Any:
        a.t += 1
        state[:] = jax.block_until_ready(step(state[0], g, state[1], a.t))
        return state[0]

    return run


MAKERS = {"fastinit": ours, "NumPy": numpy, "PyTorch": pytorch, "JAX": jax}
CASES = table(case(name, MAKERS, name) for name in OPTIMIZERS)
