"""Whole models' parameters at once: sizes are numbers of layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import fastinit
from cases import Run, case, table, torch

SIZES = [2, 12]
Shapes = dict[str, tuple[int, ...]]
RECIPE = {"*.kernel": "he_normal", "*.bias": "zeros"}


def perceptron(inputs: int, outputs: int, layers: int) -> Shapes:
    shapes: Shapes = {}
    for i in range(layers):
        shapes |= {f"layers.{i}.kernel": (inputs, outputs), f"layers.{i}.bias": (outputs,)}
    return shapes


SMALL, LARGE = partial(perceptron, 64, 20), partial(perceptron, 768, 3072)
Tree = Callable[[int], Shapes]

# ---------------------------------------------------------------- trees of arrays


def ours(tree: Tree, layers: int) -> Run:
    return partial(fastinit.initialize, tree(layers), RECIPE, 0)


def numpy(tree: Tree, layers: int) -> Run:
    shapes = tree(layers)
    generator = np.random.Generator(np.random.SFC64(0))

    def run() -> dict[str, np.ndarray]:
        made = {}
        for name, shape in shapes.items():
            if len(shape) == 1:
                made[name] = np.zeros(shape, np.float32)
            else:
                made[name] = generator.standard_normal(shape, np.float32)
                made[name] *= np.float32(math.sqrt(2 / shape[0]))
        return made

    return run


def pytorch(tree: Tree, layers: int) -> Run:
    shapes, init, empty = tree(layers), torch().nn.init, torch().empty

    def run() -> dict[str, Any]:
        return {
            name: init.zeros_(empty(shape))
            if len(shape) == 1
            else init.kaiming_normal_(empty(shape[::-1])).T
            for name, shape in shapes.items()
        }

    return run


def jax_tree(tree: Tree, layers: int) -> Run:
    import jax

    shapes, init = tree(layers), jax.nn.initializers
    laws = {1: init.zeros, 2: init.variance_scaling(2.0, "fan_in", "normal")}

    @jax.jit
    def make(key: Any) -> dict[str, Any]:
        keys = jax.random.split(key, len(shapes))
        named = zip(keys, shapes.items(), strict=True)
        return {name: laws[len(shape)](k, shape, jax.numpy.float32) for k, (name, shape) in named}

    key = jax.random.key(0)
    return lambda: jax.block_until_ready(make(key))


def keras_tree(tree: Tree, layers: int) -> Run:
    import keras

    init, shapes = keras.initializers, tree(layers)

    def run() -> dict[str, Any]:
        return {
            name: keras.ops.convert_to_numpy(
                (init.Zeros() if len(shape) == 1 else init.HeNormal())(shape)
            )
            for name, shape in shapes.items()
        }

    return run


TREE = {
    "fastinit": ours,
    "NumPy": numpy,
    "PyTorch": pytorch,
    "JAX": jax_tree,
    "Keras": keras_tree,
}

# ---------------------------------------------------------------- models of the frameworks
# NumPy's twin draws arrays of the same shapes: what a model would cost beside its framework.

WIDTH = 256


def torch_model(layers: int) -> Any:
    """Return transformer's layers, as their library makes and initializes them."""
    nn = torch().nn
    layer = partial(nn.TransformerEncoderLayer, WIDTH, 4, 4 * WIDTH, batch_first=True)
    return nn.ModuleList([layer() for _ in range(layers)])


def numpy_of(model: Callable[[int], Any], layers: int) -> Run:
    shapes = {
        str(i): tuple(parameter.shape) for i, parameter in enumerate(model(layers).parameters())
    }
    return numpy(lambda _: shapes, layers)


def plain_torch(layers: int) -> Run:
    torch()  # tells it to use one thread
    return partial(torch_model, layers)


def materialize(layers: int) -> Run:
    torch()
    import fastinit.torch

    return lambda: fastinit.torch.materialize(partial(torch_model, layers), seed=0)


def patch(layers: int) -> Run:
    torch()
    import fastinit.torch

    def run() -> Any:
        with fastinit.torch.patch(seed=0):
            return torch_model(layers)

    return run


def keras_model(initializers: Any, options: Any, layers: int) -> Any:
    import keras

    dense = keras.layers.Dense
    stack = [
        dense(4 * WIDTH, kernel_initializer=initializers.HeNormal(**options)) for _ in range(layers)
    ]
    return keras.Sequential([keras.Input((WIDTH,)), *stack])


def ours_in_keras(layers: int) -> Run:
    import fastinit.keras

    return partial(keras_model, fastinit.keras, {"seed": 0}, layers)


def plain_keras(layers: int) -> Run:
    import keras

    return partial(keras_model, keras.initializers, {}, layers)


def numpy_of_keras(layers: int) -> Run:
    """Return the draws alone, of the shapes that the model has."""

    def shapes(layers: int) -> Shapes:
        first, rest = perceptron(WIDTH, 4 * WIDTH, 1), perceptron(4 * WIDTH, 4 * WIDTH, layers - 1)
        return {**{f"0.{name}": s for name, s in first.items()}, **rest}

    return numpy(shapes, layers)


def large_kernels(layers: int) -> Shapes:
    return {name: shape for name, shape in LARGE(layers).items() if len(shape) == 2}


def jax_module(module: Callable[[], Any], layers: int) -> Run:
    """Return large kernels one by one, with a module that has the names of jax.nn.initializers."""
    import jax

    init, shapes = module().he_normal(), large_kernels(layers)
    keys = jax.random.split(jax.random.key(0), len(shapes))

    def run() -> list[Any]:
        named = zip(keys, shapes.values(), strict=True)
        return jax.block_until_ready([init(key, shape) for key, shape in named])

    return run


def ours_for_jax() -> Any:
    import fastinit.jax

    return fastinit.jax


def theirs_for_jax() -> Any:
    import jax

    return jax.nn.initializers


IN_TORCH = {"NumPy": partial(numpy_of, torch_model), "PyTorch": plain_torch}
IN_KERAS = {"fastinit": ours_in_keras, "NumPy": numpy_of_keras, "Keras": plain_keras}
IN_JAX = {
    "fastinit": partial(jax_module, ours_for_jax),
    "NumPy": partial(numpy, large_kernels),
    "JAX": partial(jax_module, theirs_for_jax),
}
CASES = table(
    [
        case("small tree", TREE, SMALL, random=True),
        case("large tree", TREE, LARGE, random=True),
        case("PyTorch, materialize", {"fastinit": materialize, **IN_TORCH}, random=True),
        case("PyTorch, patch", {"fastinit": patch, **IN_TORCH}, random=True),
        case("Keras model", IN_KERAS, random=True),
        case("JAX kernels", IN_JAX, random=True),
    ]
)
