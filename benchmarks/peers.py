"""The training loops that `training.py` times: fastinit's, and each peer's as an expert writes it.

All train one `Problem` with Adam, from the same initial weights and in the same number of steps of
the same numbers of rows, taken in a new order every epoch, in float32 and in the framework's own
arrays. Every loop returns the mean loss of its last epoch.

PyTorch is eager, with its fused Adam, and shuffles by one index_select an epoch; Keras runs on JAX,
the tuned one with steps_per_execution= an epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from targets import missing

import fastinit
from fastinit import nn

LEARNING_RATE, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.999, 1e-7


class Problem(NamedTuple):
    """What is learnt: dense layers with ReLU between them, or an LSTM layer and a dense one.

    `weights` are kernel and bias of each layer, in Keras' layout and order, those of an LSTM layer
    kernel, recurrent kernel and bias. One output is trained with the binary cross-entropy from
    logits, more with the categorical one.
    """

    x: np.ndarray
    y: np.ndarray
    weights: list[np.ndarray]
    batch: int
    epochs: int

    @property
    def binary(self) -> bool:
        return self.weights[-1].size == 1

    @property
    def recurrent(self) -> bool:
        return self.x.ndim == 3

    @property
    def sizes(self) -> list[int]:
        """Numbers of units of the layers."""
        return [w.size for w in self.weights if w.ndim == 1]


class Contestant:
    """A fill for `targets.measure`: `start` sets the weights back, unmeasured; a call trains."""

    def __init__(self, start: Callable[[], Any], fit: Callable[[], float]) -> None:
        self.start, self.fit = start, fit

    def __call__(self) -> None:
        self.result = self.fit()


def all_of(problem: Problem) -> dict[str, Contestant]:
    """Return the contestants that are there, fastinit's first."""
    makers: dict[str, Callable[[], Contestant]] = {
        "fastinit": lambda: ours(problem, 2),
        "fastinit, 1 thread": lambda: ours(problem, 1),
        "PyTorch, 1 thread": lambda: pytorch(problem, 1),
        "PyTorch, 2 threads": lambda: pytorch(problem, 2),
        "NumPy, 1 thread": lambda: numpy(problem, 1),
        "NumPy, 2 threads": lambda: numpy(problem, 2),
        "JAX scan": lambda: jax_scan(problem),
        "Keras": lambda: keras_fit(problem, 1),
        "tuned Keras": lambda: keras_fit(problem, -(-len(problem.x) // problem.batch)),
    }
    if problem.recurrent:
        makers = {name: make for name, make in makers.items() if not name.startswith("NumPy")}
    return installed(makers)


def installed(makers: dict[str, Callable[[], Contestant]]) -> dict[str, Contestant]:
    contestants = {}
    for name, make in makers.items():
        try:
            contestants[name] = make()
        except ImportError as error:
            missing.add(error.name or str(error))
    return contestants


# ---------------------------------------------------------------- fastinit


def compiled(problem: Problem, seed: int) -> nn.Sequential:
    *hidden, outputs = problem.sizes
    layers = [nn.Dense(units, "relu", kernel_initializer="he_normal") for units in hidden]
    if problem.recurrent:
        layers = [nn.LSTM(problem.weights[1].shape[0])]
    network = nn.Sequential([*layers, nn.Dense(outputs, kernel_initializer="he_normal")], seed=seed)
    loss = "binary_crossentropy" if problem.binary else "categorical_crossentropy"
    network.compile(loss=loss, optimizer=nn.Adam(LEARNING_RATE), metrics=())
    return network


def trained(network: nn.Sequential, problem: Problem) -> float:
    x, y, _, batch, epochs = problem
    history = network.fit(x, y, epochs=epochs, batch_size=batch, verbose=0)
    return history.history["loss"][-1]


def ours(problem: Problem, threads: int) -> Contestant:
    network = compiled(problem, seed=0)

    def start() -> None:
        fastinit.set_num_threads(threads)
        # The weights of `problem` (but for an LSTM layer's), and no moments.
        network.build(problem.x.shape[1:] if problem.recurrent else problem.x.shape[1])

    return Contestant(start, lambda: trained(network, problem))


# ---------------------------------------------------------------- PyTorch


def pytorch(problem: Problem, threads: int) -> Contestant:
    import torch

    x, y = torch.from_numpy(problem.x), torch.from_numpy(problem.y)
    model = torch_model(problem)
    parameters = list(model.parameters())
    initial = [torch.from_numpy(w.T.copy()) for w in problem.weights]
    if problem.recurrent:
        initial.insert(3, torch.zeros_like(initial[2]))  # a second bias
    functional = torch.nn.functional
    loss_of = (
        functional.binary_cross_entropy_with_logits if problem.binary else functional.cross_entropy
    )
    adam: dict[str, Any] = {"lr": LEARNING_RATE, "betas": (BETA_1, BETA_2), "eps": EPSILON}
    optimizer = torch.optim.Adam(parameters, **adam, fused=True)

    def start() -> None:
        torch.set_num_threads(threads)
        with torch.no_grad():
            for parameter, value in zip(parameters, initial, strict=True):
                parameter.copy_(value)
        optimizer.state.clear()

    def epoch() -> float:
        order, losses, sizes = torch.randperm(len(x)), [], []
        batches = (a.index_select(0, order).split(problem.batch) for a in (x, y))
        for inputs, target in zip(*batches, strict=True):
            loss = loss_of(model(inputs), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
            sizes.append(len(target))
        return float(torch.stack(losses) @ torch.tensor(sizes, dtype=x.dtype)) / len(x)

    return Contestant(start, lambda: [epoch() for _ in range(problem.epochs)][-1])


def torch_model(problem: Problem) -> Any:
    from torch import nn as layers

    if problem.recurrent:
        features, units = problem.x.shape[-1], problem.weights[1].shape[0]

        class Recurrent(layers.Module):
            def __init__(self) -> None:
                super().__init__()
                self.lstm = layers.LSTM(features, units, batch_first=True)
                self.head = layers.Linear(units, problem.sizes[-1])

            def forward(self, x: Any) -> Any:
                return self.head(self.lstm(x)[0][:, -1])

        return Recurrent()
    stack: list[layers.Module] = []
    for kernel in problem.weights[::2]:
        stack += [layers.Linear(*kernel.shape), layers.ReLU()]
    return layers.Sequential(*stack[:-1])


# ---------------------------------------------------------------- NumPy


def numpy(problem: Problem, threads: int) -> Contestant:
    from threadpoolctl import ThreadpoolController

    controller = ThreadpoolController()
    network = NumPyNetwork(problem)

    def fit() -> float:
        with controller.limit(limits=threads, user_api="blas"):
            return [network.epoch() for _ in range(problem.epochs)][-1]

    return Contestant(network.start, fit)


class NumPyNetwork:
    """Backpropagation by hand; all parameters in one array, so that Adam is one pass a formula."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.generator = np.random.default_rng(0)
        size = sum(w.size for w in problem.weights)
        self.flat, self.flat_gradient, self.m, self.v, self.work = np.zeros((5, size), np.float32)
        self.weights, self.gradients = self.views(self.flat), self.views(self.flat_gradient)

    def views(self, flat: np.ndarray) -> list[np.ndarray]:
        shapes = [w.shape for w in self.problem.weights]
        parts = np.split(flat, np.cumsum([np.prod(shape) for shape in shapes])[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def start(self) -> None:
        for view, value in zip(self.weights, self.problem.weights, strict=True):
            view[...] = value
        self.m[:] = self.v[:] = 0
        self.steps = 0

    def epoch(self) -> float:
        x, y, batch = self.problem.x, self.problem.y, self.problem.batch
        order = self.generator.permutation(len(x))
        x, y, total = x[order], y[order], 0.0
        for start in range(0, len(x), batch):
            target = y[start : start + batch]
            total += self.gradient(x[start : start + batch], target) * len(target)
            self.adam()
        return total / len(x)

    def gradient(self, x: np.ndarray, y: np.ndarray) -> float:
        activations, last = [x], len(self.weights) - 2
        for i in range(0, last + 2, 2):
            z = activations[-1] @ self.weights[i]
            z += self.weights[i + 1]
            if i < last:
                np.maximum(z, 0, out=z)
            activations.append(z)
        loss, grad = (binary if self.problem.binary else categorical)(activations.pop(), y)
        for i in range(last, -1, -2):
            a = activations.pop()
            np.matmul(a.T, grad, out=self.gradients[i])
            grad.sum(axis=0, out=self.gradients[i + 1])
            if i:
                grad = grad @ self.weights[i].T
                grad *= a > 0
        return loss

    def adam(self) -> None:
        gradient, m, v, work = self.flat_gradient, self.m, self.v, self.work
        self.steps += 1
        rate = LEARNING_RATE * (1 - BETA_2**self.steps) ** 0.5 / (1 - BETA_1**self.steps)
        m *= BETA_1
        np.multiply(gradient, 1 - BETA_1, out=work)
        m += work
        v *= BETA_2
        np.multiply(gradient, gradient, out=work)
        work *= 1 - BETA_2
        v += work
        np.sqrt(v, out=work)
        work += EPSILON
        np.divide(m, work, out=work)
        work *= rate
        self.flat -= work


def binary(z: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    e = np.exp(-np.abs(z))
    loss = (np.maximum(z, 0) - z * y + np.log1p(e)).mean()
    grad = (np.where(z >= 0, 1, e) / (1 + e) - y) / np.float32(z.size)
    return float(loss), grad


def categorical(z: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    rows = np.arange(len(z))
    z = z - z.max(axis=1, keepdims=True)
    grad = np.exp(z)
    sums = grad.sum(axis=1, keepdims=True)
    loss = (np.log(sums[:, 0]) - z[rows, y]).mean()
    grad /= sums
    grad[rows, y] -= 1
    grad /= len(z)
    return float(loss), grad


# ---------------------------------------------------------------- JAX


def jax_scan(problem: Problem) -> Contestant:
    import jax
    from jax import numpy as jnp

    x, y = jnp.asarray(problem.x), jnp.asarray(problem.y)
    rows, batch = len(x), problem.batch
    whole = rows // batch * batch
    forward = jax_lstm if problem.recurrent else jax_dense
    state: Any = None
    generator = np.random.default_rng(0)

    def loss_of(weights: Any, x: Any, y: Any) -> Any:
        z = forward(weights, x)
        if problem.binary:
            return (jax.nn.softplus(z) - z * y).mean()
        return (jax.nn.logsumexp(z, axis=1) - z[jnp.arange(len(z)), y]).mean()

    def step(state: Any, data: Any) -> Any:
        weights, m, v, steps = state
        loss, gradient = jax.value_and_grad(loss_of)(weights, *data)
        steps = steps + 1
        rate = LEARNING_RATE * jnp.sqrt(1 - BETA_2**steps) / (1 - BETA_1**steps)
        m = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, m, gradient)
        v = jax.tree.map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, v, gradient)
        change = jax.tree.map(lambda m, v: rate * m / (jnp.sqrt(v) + EPSILON), m, v)
        return (jax.tree.map(jnp.subtract, weights, change), m, v, steps), loss

    def epoch(state: Any, x: Any, y: Any, order: Any) -> Any:
        x, y = x[order], y[order]
        batches = [a[:whole].reshape(-1, batch, *a.shape[1:]) for a in (x, y)]
        state, losses = jax.lax.scan(step, state, batches)
        total = losses.sum() * batch
        if whole < rows:  # the smaller last batch is a step of its own
            state, loss = step(state, (x[whole:], y[whole:]))
            total += loss * (rows - whole)
        return state, total / rows

    jitted = jax.jit(epoch, donate_argnums=0)

    def start() -> None:
        nonlocal state
        weights = [jnp.array(w) for w in problem.weights]
        zeros = [[jnp.zeros_like(w) for w in weights] for _ in range(2)]
        state = jax.block_until_ready((weights, *zeros, jnp.zeros(())))

    def fit() -> float:
        nonlocal state
        for _ in range(problem.epochs):
            state, loss = jitted(state, x, y, generator.permutation(rows).astype(np.int32))
        return float(jax.block_until_ready((loss, state))[0])

    return Contestant(start, fit)


def jax_dense(weights: Any, x: Any) -> Any:
    import jax

    for i in range(0, len(weights) - 2, 2):
        x = jax.nn.relu(x @ weights[i] + weights[i + 1])
    return x @ weights[-2] + weights[-1]


def jax_lstm(weights: Any, x: Any) -> Any:
    import jax
    from jax import numpy as jnp

    kernel, recurrent, bias, head, head_bias = weights

    def step(carry: Any, projected: Any) -> Any:
        h, c = carry
        i, f, g, o = jnp.split(projected + h @ recurrent, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    zeros = jnp.zeros((len(x), recurrent.shape[0]), x.dtype)
    (h, _), _ = jax.lax.scan(step, (zeros, zeros), jnp.swapaxes(x, 0, 1) @ kernel + bias)
    return h @ head + head_bias


# ---------------------------------------------------------------- Keras


def keras_fit(problem: Problem, steps: int) -> Contestant:
    import keras

    *hidden, outputs = problem.sizes
    layers: list[Any] = [keras.layers.Dense(units, activation="relu") for units in hidden]
    if problem.recurrent:
        layers = [keras.layers.LSTM(problem.weights[1].shape[0])]
    inputs = keras.Input(problem.x.shape[1:])
    model = keras.Sequential([inputs, *layers, keras.layers.Dense(outputs)])
    losses = keras.losses
    kind = losses.BinaryCrossentropy if problem.binary else losses.SparseCategoricalCrossentropy
    optimizer = keras.optimizers.Adam(LEARNING_RATE, BETA_1, BETA_2, EPSILON)
    loss = kind(from_logits=True)
    model.compile(optimizer, loss, jit_compile=True, steps_per_execution=steps)
    optimizer.build(model.trainable_variables)
    moments = [np.array(v) for v in optimizer.variables]

    def start() -> None:
        model.set_weights(problem.weights)
        for variable, value in zip(optimizer.variables, moments, strict=True):
            variable.assign(value)

    def fit() -> float:
        history = model.fit(
            problem.x, problem.y, batch_size=problem.batch, epochs=problem.epochs, verbose=0
        )
        return float(history.history["loss"][-1])

    return Contestant(start, fit)
