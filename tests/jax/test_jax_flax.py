"""Models of Flax, linen and nnx, with fastinit's init functions: built, compiled, trained."""

from functools import partial

import numpy as np
import pytest

import fastinit
from tests.frameworks import require

jax = require("jax")
linen = require("flax.linen")
nnx = require("flax.nnx")
jnp = jax.numpy

import fastinit.jax as ours  # noqa: E402 - once JAX is known to be there

theirs = jax.nn.initializers
X = jnp.asarray(fastinit.normal((256, 12), 0.0, 1.0, seed=1))
Y = (X[:, :4].sum(axis=1) > 0).astype(jnp.float32)


class Net(linen.Module):
    module: object

    @linen.compact
    def __call__(self, x):
        x = linen.Dense(32, kernel_init=self.module.he_normal(), bias_init=self.module.zeros)(x)
        x = linen.relu(x).reshape(-1, 32, 1)
        x = linen.Conv(6, (3,), kernel_init=self.module.delta_orthogonal())(x)
        x = x + linen.DenseGeneral(6, kernel_init=self.module.orthogonal())(x)
        x = x.reshape(len(x), -1)
        bias = self.param("bias", self.module.uniform(0.1), (1,), jnp.float32)
        last = self.module.variance_scaling(1.0, "fan_avg", "normal")
        return linen.Dense(1, kernel_init=last)(x) + bias


def loss_of(apply, parameters):
    logits = apply(parameters, X)[:, 0]
    return jnp.mean(jnp.logaddexp(0.0, logits) - Y * logits)


def trained(loss, parameters, steps=60):
    @jax.jit
    def step(parameters):
        value, gradient = jax.value_and_grad(loss)(parameters)
        return jax.tree.map(lambda p, g: p - 0.1 * g, parameters, gradient), value

    values = []
    for _ in range(steps):
        parameters, value = step(parameters)
        values.append(float(value))
    return values


def test_linen():
    key = jax.random.key(3)
    drawn = Net(ours).init(key, X)
    compiled = jax.jit(Net(ours).init)(key, X)
    jax.tree.map(np.testing.assert_array_equal, drawn, compiled)
    shapes = jax.eval_shape(Net(ours).init, key, X)
    like = jax.eval_shape(Net(theirs).init, key, X)
    assert shapes == like
    flat = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(drawn) if leaf.std() > 0]
    assert len(set(flat)) == len(flat) >= 4  # to each parameter its own key
    values = trained(partial(loss_of, Net(ours).apply), drawn)
    assert values[-1] < 0.5 * values[0]


def test_linen_members_of_an_ensemble_differ():
    keys = jax.random.split(jax.random.key(0), 3)
    mapped = jax.vmap(lambda key: Net(ours).init(key, X))(keys)
    one = Net(ours).init(keys[1], X)
    jax.tree.map(lambda many, single: np.testing.assert_array_equal(many[1], single), mapped, one)


class Cell(linen.Module):
    @linen.compact
    def __call__(self, x, _):
        return linen.Dense(12, kernel_init=ours.orthogonal())(x), None


class Stack(linen.Module):
    @linen.compact
    def __call__(self, x):
        options = {"variable_axes": {"params": 0}, "split_rngs": {"params": True}, "length": 3}
        return linen.scan(Cell, **options)()(x, None)[0]


def test_linen_layers_of_a_scan_differ():
    variables = jax.jit(Stack().init)(jax.random.key(0), X)
    kernels = np.asarray(variables["params"]["ScanCell_0"]["Dense_0"]["kernel"])
    assert kernels.shape == (3, 12, 12)
    assert not np.array_equal(kernels[0], kernels[1])
    np.testing.assert_allclose(kernels[2] @ kernels[2].T, np.eye(12), atol=1e-5)


class Model(nnx.Module):
    def __init__(self, rngs, module):
        self.first = nnx.Linear(12, 64, kernel_init=module.he_normal(), rngs=rngs)
        self.last = nnx.Linear(64, 1, kernel_init=module.glorot_uniform(), rngs=rngs)
        self.table = nnx.Embed(10, 64, embedding_init=module.normal(0.02), rngs=rngs)

    def __call__(self, x):
        return self.last(nnx.relu(self.first(x)) + self.table(jnp.zeros(len(x), int)))


def test_nnx():
    model = Model(nnx.Rngs(5), ours)
    compiled = nnx.jit(lambda: Model(nnx.Rngs(5), ours))()
    jax.tree.map(np.testing.assert_array_equal, nnx.state(model), nnx.state(compiled))
    abstract = nnx.eval_shape(lambda: Model(nnx.Rngs(5), ours))
    assert abstract.first.kernel.shape == (12, 64)
    definition, state = nnx.split(model)
    values = trained(partial(loss_of, lambda state, x: nnx.merge(definition, state)(x)), state)
    assert values[-1] < 0.6 * values[0]
    assert model.first.kernel[...].std() == pytest.approx(np.sqrt(2 / 12), rel=0.1)


def test_nnx_many_at_once():
    @nnx.vmap(in_axes=(0,), out_axes=0)
    def build(rngs):
        return nnx.Linear(12, 8, kernel_init=ours.he_normal(), rngs=rngs)

    many = build(nnx.Rngs(0).split(4))
    kernels = np.asarray(many.kernel[...])
    assert kernels.shape == (4, 12, 8)
    assert len({kernel.tobytes() for kernel in kernels}) == 4
