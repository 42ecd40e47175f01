"""Your own compiled training loop: ReLU units that die are drawn anew while it trains.

A ReLU unit is dead when it is 0 for every example: then its gradient is 0 too, and it stays dead.
Here one `@numba.njit` function trains a network on handwritten digits. After each epoch it looks
for units that were dead throughout, draws their incoming weights again and sets the outgoing ones
to zero, which leaves what the network computes unchanged and lets the unit learn from there.

    python examples/own_loop_numba.py
"""

import math
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
from sklearn.datasets import load_digits

import fastinit
from fastinit import kernels

INPUTS, HIDDEN, CLASSES = 64, 128, 10
EPOCHS, BATCH, PEAK_RATE, WARM_UP = 30, 32, 3e-3, 100


@numba.njit
def layers(flat):
    """Return the layers' parts of a flat array: one Adam step then serves them all."""
    a, b, c = INPUTS * HIDDEN, (INPUTS + 1) * HIDDEN, (INPUTS + 1 + CLASSES) * HIDDEN
    kernel_0, kernel_1 = flat[:a].reshape((INPUTS, HIDDEN)), flat[b:c].reshape((HIDDEN, CLASSES))
    return kernel_0, flat[a:b], kernel_1, flat[c:]


@numba.njit
def revive(dead, key, epoch, parameters, moments):
    """Draw the dead units' weights again: row (epoch, unit) of one tensor of normal numbers.

    So what a unit gets depends on the key, the epoch and the unit, not on which others died, and
    `fastinit.normal(shape, 0.0, 1.0, seed=key, index=(epoch, unit))` draws it outside this loop.
    """
    kernel_0, bias_0, kernel_1, _ = layers(parameters)
    weights = np.empty(INPUTS, parameters.dtype)
    for unit in range(HIDDEN):
        if dead[unit]:
            kernels.draws.fill_normal(weights, key, (epoch * HIDDEN + unit) * INPUTS)
            for i in range(INPUTS):
                kernel_0[i, unit] = weights[i] * math.sqrt(2 / INPUTS)  # He's scale
            bias_0[unit] = 0
            kernel_1[unit] = 0
            for k in range(2):  # what Adam remembers of the dead unit
                moment_0, moment_bias, moment_1, _ = layers(moments[k])
                moment_0[:, unit] = 0
                moment_bias[unit] = 0
                moment_1[unit] = 0


@numba.njit(nogil=True, cache=True)  # nogil: several may run at once, one on each thread
def train(x, labels, parameters, orders, key, reviving):
    """Train in place; return which share of the hidden units was dead in each epoch."""
    gradients, moments = np.empty_like(parameters), np.zeros((2, parameters.size), x.dtype)
    kernel_0, bias_0, kernel_1, bias_1 = layers(parameters)
    grad_kernel_0, grad_bias_0, grad_kernel_1, grad_bias_1 = layers(gradients)
    batch, batch_labels = np.empty((BATCH, INPUTS), x.dtype), np.empty(BATCH, labels.dtype)
    hidden, logits = np.empty((BATCH, HIDDEN), x.dtype), np.empty((BATCH, CLASSES), x.dtype)
    grad_hidden, grad_logits = np.empty_like(hidden), np.empty_like(logits)
    per_epoch, step, shares = len(x) // BATCH, 0, np.empty(len(orders))
    for epoch in range(len(orders)):
        dead = np.ones(HIDDEN, np.bool_)
        for first in range(0, per_epoch * BATCH, BATCH):
            for i in range(BATCH):
                example = orders[epoch, first + i]
                batch_labels[i] = labels[example]
                for j in range(INPUTS):  # compiles two seconds sooner than batch[i] = x[example]
                    batch[i, j] = x[example, j]
            kernels.dense_forward(batch, kernel_0, bias_0, hidden, kernels.RELU)
            kernels.dense_forward(hidden, kernel_1, bias_1, logits)
            kernels.categorical_crossentropy_from_logits(logits, batch_labels, grad_logits)
            kernels.dense_backward(
                hidden, kernel_1, grad_logits, grad_hidden, grad_kernel_1, grad_bias_1
            )
            kernels.relu_backward(hidden, grad_hidden, grad_hidden)
            kernels.dense_backward_parameters(batch, grad_hidden, grad_kernel_0, grad_bias_0)
            rate = kernels.cosine_decay(step, PEAK_RATE, len(orders) * per_epoch)
            rate = kernels.linear_warmup(step, 0.0, rate, WARM_UP)
            step += 1
            kernels.adam_step(
                parameters, gradients, moments[0], moments[1], step, rate, 0.9, 0.999, 1e-7
            )
            for i in range(BATCH):
                for unit in range(HIDDEN):
                    dead[unit] &= hidden[i, unit] == 0
        shares[epoch] = dead.mean()
        if reviving:
            revive(dead, key, epoch, parameters, moments)
    return shares


def run(seed, bias, reviving):
    """Train one network; return the share of dead units, first and last, and the test accuracy."""
    x, labels = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    split = fastinit.permutation(len(x), seed=fastinit.key(0, "split"))
    training, test = split[:1400], split[1400:]
    orders = fastinit.permutation((EPOCHS, 1400), seed=fastinit.key(seed, "order"))
    parameters = np.zeros((INPUTS + 1 + CLASSES) * HIDDEN + CLASSES, np.float32)
    kernel_0, bias_0, kernel_1, bias_1 = layers(parameters)
    fastinit.he_normal(kernel_0.shape, seed=fastinit.key(seed, "hidden"), out=kernel_0)
    fastinit.glorot_uniform(kernel_1.shape, seed=fastinit.key(seed, "output"), out=kernel_1)
    bias_0[:] = bias
    key = fastinit.key(seed, "revived")
    shares = train(x[training], labels[training], parameters, orders, key, reviving)
    hidden, logits = np.empty((len(test), HIDDEN), x.dtype), np.empty((len(test), CLASSES), x.dtype)
    kernels.dense_forward(x[test], kernel_0, bias_0, hidden, kernels.RELU)
    kernels.dense_forward(hidden, kernel_1, bias_1, logits)
    return shares[0], shares[-1], (logits.argmax(axis=1) == labels[test]).mean()


if __name__ == "__main__":
    print("first bias   dead units   first epoch   last epoch   test accuracy (5 seeds)")
    with ThreadPoolExecutor() as pool:
        for bias in (0.0, -2.0, -4.0):
            for reviving in (False, True):
                runs = pool.map(lambda seed: run(seed, bias, reviving), range(5))  # noqa: B023
                first, last, accuracy = np.mean(list(runs), axis=0)
                what = "drawn anew" if reviving else "stay"
                print(f"{bias:10.1f}   {what:10}{first:14.0%}{last:13.0%}{accuracy:16.1%}")
