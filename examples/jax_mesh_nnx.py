"""A small transformer over eight devices: each makes its own shards of the initial weights.

    pip install 'fastinit[jax]' flax
    python jax_mesh_nnx.py

The eight devices are those of a mesh, 4 for the data and 2 for the model; here they are simulated.
The model says how its weights are cut, its shapes are found without making them, and a recipe says
by name what they are. Whatever the mesh, the weights are the same.
"""

import os

os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import AxisType, PartitionSpec

import fastinit
import fastinit.jax

WIDTH, HEADS, LAYERS, WORDS, LENGTH, BATCH = 64, 4, 2, 32, 16, 32

RECIPE = {
    "embed.embedding": "normal(std=0.02)",
    "*.down.kernel": f"normal(std={0.02 / (2 * LAYERS) ** 0.5})",  # writes to the residual stream
    "*.kernel": "normal(std=0.02)",
    "*.scale": "ones",
    "*": "zeros",  # biases
}


def linear(inputs, outputs, *axes, rngs):
    """Return a layer whose kernel is cut along these axes of the mesh."""
    kernel = nnx.with_partitioning(nnx.initializers.lecun_normal(), axes)
    return nnx.Linear(inputs, outputs, kernel_init=kernel, rngs=rngs)


class Block(nnx.Module):
    """Attention, then two layers, each added to its input."""

    def __init__(self, rngs):
        self.norm1, self.norm2 = (nnx.LayerNorm(WIDTH, rngs=rngs) for _ in range(2))
        self.attention = linear(WIDTH, 3 * WIDTH, None, "model", rngs=rngs)
        self.merge = linear(WIDTH, WIDTH, "model", None, rngs=rngs)
        self.up = linear(WIDTH, 4 * WIDTH, None, "model", rngs=rngs)
        self.down = linear(4 * WIDTH, WIDTH, "model", None, rngs=rngs)

    def __call__(self, x):  # noqa: D102
        heads = self.attention(self.norm1(x)).reshape(*x.shape[:2], 3, HEADS, WIDTH // HEADS)
        query, key, value = jnp.moveaxis(heads, 2, 0)
        mixed = jax.nn.dot_product_attention(query, key, value, is_causal=True)
        x = x + self.merge(mixed.reshape(x.shape))
        return x + self.down(jax.nn.gelu(self.up(self.norm2(x))))


class Transformer(nnx.Module):
    """From words to the logits of each next word."""

    def __init__(self, rngs):
        self.embed = nnx.Embed(WORDS, WIDTH, rngs=rngs)
        self.blocks = nnx.List([Block(rngs) for _ in range(LAYERS)])
        self.norm = nnx.LayerNorm(WIDTH, rngs=rngs)
        self.head = linear(WIDTH, WORDS, None, "model", rngs=rngs)

    def __call__(self, words):  # noqa: D102
        x = self.embed(words)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def loss_of(model, words):
    """Return the cross entropy of each next word."""
    logits = model(words[:, :-1])
    return optax.softmax_cross_entropy_with_integer_labels(logits, words[:, 1:]).mean()


@nnx.jit
def step(model, optimizer, words):
    """Train one step, and return the loss before it."""
    loss, gradients = nnx.value_and_grad(loss_of)(model, words)
    optimizer.update(model, gradients)
    return loss


def initialized(mesh):
    """Return the model with its weights over a mesh."""
    with jax.set_mesh(mesh):
        graph, shapes = nnx.split(nnx.eval_shape(lambda: Transformer(nnx.Rngs(0))))
        return nnx.merge(graph, fastinit.jax.initialize(shapes, RECIPE, seed=0))


def mesh_of(*sizes):
    """Return a mesh of so many devices for the data and for the model."""
    return jax.make_mesh(sizes, ("data", "model"), axis_types=(AxisType.Auto,) * 2)


mesh = mesh_of(4, 2)
model = initialized(mesh)
kernel = model.blocks[0].up.kernel.get_value()
print(f"devices: {len(jax.devices())}, mesh {dict(mesh.shape)}")
cut = kernel.sharding.shard_shape(kernel.shape)
print(f"blocks.0.up.kernel: {kernel.shape}, on each device {cut}")

same = all(
    np.array_equal(a, b)
    for sizes in [(1, 8)]
    for a, b in zip(
        jax.tree.leaves(nnx.state(model)),
        jax.tree.leaves(nnx.state(initialized(mesh_of(*sizes)))),
        strict=True,
    )
)
print("over other meshes:", "the same weights" if same else "OTHER WEIGHTS")
alone = fastinit.normal(kernel.shape, std=0.02, seed=fastinit.key(0, "blocks.0.up.kernel"))
print("in NumPy by its name:", "the same weights" if np.array_equal(kernel, alone) else "OTHER")

# Words that count up, from anywhere and by a step of 1 to 3.
random = np.random.default_rng(0)
with jax.set_mesh(mesh):
    optimizer = nnx.Optimizer(model, optax.adam(3e-3), wrt=nnx.Param)
    losses = []
    for _ in range(40):
        first, by = random.integers(0, WORDS, (BATCH, 1)), random.integers(1, 4, (BATCH, 1))
        words = (first + by * np.arange(LENGTH + 1)) % WORDS
        batch = jax.device_put(words, jax.NamedSharding(mesh, PartitionSpec("data")))
        losses.append(float(step(model, optimizer, batch)))
print(
    f"loss: {losses[0]:.2f} at first (log {WORDS} = {np.log(WORDS):.2f}), {losses[-1]:.2f} trained"
)
