"""Code for fresh processes, where nothing is loaded or compiled: a string a contestant.

What is timed is the code, without the start of Python; Numba's cache of compiled kernels and the
files in memory are there, as from the second use on a machine.
"""

from __future__ import annotations

from cases import use_this_tree

use_this_tree()

from fastinit.bench.calls import CODE as COLD_START  # noqa: E402, F401  # with a {shape}
from fastinit.bench.fills import PACKAGES  # noqa: E402

IMPORTS = {library: f"import {package}" for library, package in PACKAGES.items()}

FIRST_KERNEL = {
    "fastinit": """
import numpy
from fastinit import kernels
x, kernel, bias, out = (numpy.ones(s, numpy.float32) for s in ((32, 64), (64, 64), 64, (32, 64)))
kernels.dense_forward(x, kernel, bias, out, kernels.RELU)
""",
    "NumPy": """
import numpy
x, kernel, bias, out = (numpy.ones(s, numpy.float32) for s in ((32, 64), (64, 64), 64, (32, 64)))
numpy.matmul(x, kernel, out=out)
out += bias
numpy.maximum(out, 0, out=out)
""",
    "PyTorch": """
import torch
x, kernel, bias = (torch.ones(s) for s in ((32, 64), (64, 64), 64))
torch.relu(torch.nn.functional.linear(x, kernel, bias))
""",
    "JAX": """
import jax
x, kernel, bias = (jax.numpy.ones(s) for s in ((32, 64), (64, 64), 64))
jax.jit(lambda x, kernel, bias: jax.nn.relu(x @ kernel + bias))(x, kernel, bias).block_until_ready()
""",
}

FIRST_FIT = {
    "fastinit": """
import numpy
from fastinit import nn
x, y = numpy.ones((64, 20), numpy.float32), numpy.arange(64) % 2
network = nn.Sequential([nn.Dense(32, "relu"), nn.Dense(2)], seed=0)
network.compile(loss="categorical_crossentropy", optimizer=nn.Adam(1e-3))
network.fit(x, y, epochs=1, verbose=0)
""",
    "PyTorch": """
import torch
from torch import nn
x, y = torch.ones(64, 20), torch.arange(64) % 2
model = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 2))
optimizer = torch.optim.Adam(model.parameters(), 1e-3)
for rows in (slice(0, 32), slice(32, 64)):
    loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
""",
    "Keras": """
import keras, numpy
x, y = numpy.ones((64, 20), numpy.float32), numpy.arange(64) % 2
model = keras.Sequential([keras.layers.Dense(32, "relu"), keras.layers.Dense(2)])
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.Adam(1e-3), loss)
model.fit(x, y, epochs=1, verbose=0)
""",
    "NumPy": """
import numpy as np
x, y, rows = np.ones((64, 20), np.float32), np.arange(64) % 2, np.arange(32)
g = np.random.default_rng(0)
p = [g.standard_normal((20, 32), np.float32), np.zeros(32, np.float32)]
p += [g.standard_normal((32, 2), np.float32), np.zeros(2, np.float32)]
m, v = [np.zeros_like(a) for a in p], [np.zeros_like(a) for a in p]
for t, part in enumerate((slice(0, 32), slice(32, 64)), 1):
    h = np.maximum(x[part] @ p[0] + p[1], 0)
    z = np.exp(h @ p[2] + p[3])
    z /= z.sum(axis=1, keepdims=True)
    z[rows, y[part]] -= 1
    z /= 32
    d = z @ p[2].T * (h > 0)
    for i, d in enumerate((x[part].T @ d, d.sum(0), h.T @ z, z.sum(0))):
        m[i] += 0.1 * (d - m[i])
        v[i] += 0.001 * (d * d - v[i])
        p[i] -= 1e-3 * m[i] / (1 - 0.9**t) / (np.sqrt(v[i] / (1 - 0.999**t)) + 1e-7)
""",
}

SHAPES = [(64, 20), (4096, 4096)]
