"""Your own training loop in plain NumPy: an LSTM that reads handwritten digits row by row.

The kernels are called from Python and write into arrays that are made once, before the loop; what
they do not offer stands between them in NumPy: here an activation of one's own, a sine.

    python examples/own_loop_numpy.py
"""

import numpy as np
from sklearn.datasets import load_digits

import fastinit
from fastinit import kernels

TIME, FEATURES, UNITS, CLASSES = 8, 8, 64, 10  # 8 rows of 8 pixels
EPOCHS, BATCH, TRAINING, RATE = 15, 28, 1400, 1e-2

x, labels = load_digits(return_X_y=True)
x = (x / 16).astype(np.float32).reshape(-1, TIME, FEATURES)
order = fastinit.permutation(len(x), seed=0)
x, labels = x[order], labels[order]

# Parameters, their gradients and what Adam remembers, each in one flat array with a view a layer.
SHAPES = [(FEATURES, 4 * UNITS), (UNITS, 4 * UNITS), (4 * UNITS,), (UNITS, CLASSES), (CLASSES,)]
ENDS = np.cumsum([np.prod(shape) for shape in SHAPES])
parameters, gradients, first_moment, second_moment = np.zeros((4, ENDS[-1]), np.float32)


def views(flat):
    """Return the layers' parts of a flat array."""
    return [part.reshape(s) for part, s in zip(np.split(flat, ENDS[:-1]), SHAPES, strict=True)]


kernel, recurrent_kernel, bias, out_kernel, out_bias = views(parameters)
grad_kernel, grad_recurrent_kernel, grad_bias, grad_out_kernel, grad_out_bias = views(gradients)
fastinit.glorot_uniform(kernel.shape, seed=fastinit.key(0, "kernel"), out=kernel)
fastinit.orthogonal(recurrent_kernel.shape, seed=fastinit.key(0, "rec"), out=recurrent_kernel)
fastinit.glorot_uniform(out_kernel.shape, seed=fastinit.key(0, "out"), out=out_kernel)
bias[UNITS : 2 * UNITS] = 1  # the gates' order is i, f, c, o: begin by remembering

batch = np.empty((BATCH, TIME, FEATURES), np.float32)
gates = np.empty((BATCH, TIME, 4 * UNITS), np.float32)
cells, hidden = np.empty((2, BATCH, TIME, UNITS), np.float32)
grad_hidden = np.zeros_like(hidden)  # but for the last step it stays 0
last, grad_last = np.empty((2, BATCH, UNITS), np.float32)
logits, grad_logits = np.empty((2, BATCH, CLASSES), np.float32)
workspace = np.empty(recurrent_kernel.size + 2 * BATCH * UNITS, np.float32)


def forward(n):
    """Compute the logits of the first n rows of the batch."""
    kernels.lstm_forward(
        batch[:n], kernel, recurrent_kernel, bias, gates[:n], cells[:n], hidden[:n]
    )
    last[:n] = np.sin(hidden[:n, -1])  # an activation of one's own; also makes the rows contiguous
    kernels.dense_forward(last[:n], out_kernel, out_bias, logits[:n])


def accuracy():
    """Return the share of the test pictures that are recognized."""
    right = 0
    for first in range(TRAINING, len(x), BATCH):
        n = len(x[first : first + BATCH])
        batch[:n] = x[first : first + n]
        forward(n)
        right += np.sum(logits[:n].argmax(axis=1) == labels[first : first + n])
    return right / (len(x) - TRAINING)


def main():
    """Train, and print the loss and the accuracy after every third epoch."""
    step = 0
    for epoch in range(EPOCHS):
        order = fastinit.permutation(TRAINING, seed=fastinit.key(0, "order", str(epoch)))
        losses = []
        for first in range(0, TRAINING, BATCH):
            chosen = order[first : first + BATCH]
            np.take(x, chosen, axis=0, out=batch)
            noise = fastinit.key(0, "noise", str(step))
            fastinit.perturb(batch, 0.1, "rademacher", seed=noise)  # batch += 0.1 * (-1 or 1)
            forward(BATCH)
            loss = kernels.categorical_crossentropy_from_logits(logits, labels[chosen], grad_logits)
            kernels.dense_backward(
                last, out_kernel, grad_logits, grad_last, grad_out_kernel, grad_out_bias
            )
            grad_hidden[:, -1] = grad_last * np.cos(hidden[:, -1])
            kernels.lstm_backward(recurrent_kernel, cells, grad_hidden, gates, workspace)
            kernels.recurrent_backward_parameters(
                batch, hidden, gates, 0, FEATURES + UNITS + 1,
                grad_kernel, grad_recurrent_kernel, grad_bias,
            )  # fmt: skip
            kernels.clip_by_global_norm(gradients, 1.0)
            step += 1
            kernels.adam_step(
                parameters, gradients, first_moment, second_moment, step, RATE, 0.9, 0.999, 1e-7
            )
            losses.append(loss)
        if epoch % 3 == 2:
            print(f"epoch {epoch + 1:2}: loss {np.mean(losses):.3f}, test {accuracy():.1%}")


if __name__ == "__main__":
    main()
