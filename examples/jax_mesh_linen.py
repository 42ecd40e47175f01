"""A Linen model over eight devices, initialized by a compiled program as Flax' own guides do it.

    pip install 'fastinit[jax]' flax
    python jax_mesh_linen.py

Only the init functions are fastinit's. Under `jax.jit` with shardings for its results, each of the
(simulated) devices draws its own shards, and they are those of the weights drawn on one device.
"""

import os

os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import fastinit.jax

mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)


class Network(nn.Module):
    """Two wide layers, cut between the devices, and one small one."""

    @nn.compact
    def __call__(self, x):  # noqa: D102
        for width, axes in ((512, (None, "model")), (512, ("model", None))):
            kernel = nn.with_partitioning(fastinit.jax.he_normal(), axes)
            x = nn.relu(nn.Dense(width, kernel_init=kernel)(x))
        return nn.Dense(4, kernel_init=fastinit.jax.lecun_normal())(x)


network, key = Network(), jax.random.key(0)
x, labels = np.random.default_rng(0).normal(size=(256, 16)).astype("float32"), np.arange(256) % 4
x[:, :4] += 3 * np.eye(4)[labels]
cut = NamedSharding(mesh, PartitionSpec("data"))
x, labels = jax.device_put(x, cut), jax.device_put(labels, cut)

shardings = nn.get_sharding(jax.eval_shape(network.init, key, x), mesh)
variables = nn.unbox(jax.jit(network.init, out_shardings=shardings)(key, x))
kernel = variables["params"]["Dense_1"]["kernel"]
print(f"devices: {len(jax.devices())}, mesh {dict(mesh.shape)}")
print(f"Dense_1.kernel: {kernel.shape}, on each device {kernel.sharding.shard_shape(kernel.shape)}")

alone = nn.unbox(network.init(key, np.zeros((1, 16), "float32")))
same = jax.tree.map(np.array_equal, variables, alone)
print("on one device:", "the same weights" if all(jax.tree.leaves(same)) else "OTHER WEIGHTS")

optimizer = optax.adam(1e-3)


@jax.jit
def step(variables, state):
    """Train one step, and return the loss and the accuracy before it."""

    def loss_of(variables):
        logits = network.apply(variables, x)
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
        return loss, jnp.mean(logits.argmax(-1) == labels)

    (loss, accuracy), gradients = jax.value_and_grad(loss_of, has_aux=True)(variables)
    updates, state = optimizer.update(gradients, state)
    return optax.apply_updates(variables, updates), state, loss, accuracy


state, losses = optimizer.init(variables), []
for _ in range(30):
    variables, state, loss, accuracy = step(variables, state)
    losses.append(float(loss))
print(f"loss: {losses[0]:.2f} at first, {losses[-1]:.2f} trained; accuracy {accuracy:.0%}")
