"""Recurrent layers in plain NumPy, written for reading; and the kernels behind one signature."""

from itertools import pairwise

import numpy as np

from fastinit.kernels import recurrent

BLOCKS = {"tanh": 1, "relu": 1, "lstm": 4, "gru": 3}


def sigmoid(z):
    return np.exp(-np.logaddexp(0.0, -z))


def hidden_states(cell, x, kernel, recurrent_kernel, bias):
    """All steps' hidden states, as Keras' documentation defines the cells."""
    h = c = np.zeros((len(x), len(recurrent_kernel)))
    steps = []
    for t in range(x.shape[1]):
        if cell == "gru":
            z_x, r_x, candidate_x = np.split(x[:, t] @ kernel + bias[0], 3, axis=1)
            z_h, r_h, candidate_h = np.split(h @ recurrent_kernel + bias[1], 3, axis=1)
            z, r = sigmoid(z_x + z_h), sigmoid(r_x + r_h)
            h = z * h + (1 - z) * np.tanh(candidate_x + r * candidate_h)
        elif cell == "lstm":
            i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent_kernel + bias, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            z = x[:, t] @ kernel + h @ recurrent_kernel + bias
            h = np.tanh(z) if cell == "tanh" else np.where(z <= 0, 0.0, z)
        steps.append(h)
    return np.stack(steps, axis=1)


def parameters(cell, features, units, dtype=np.float64):
    """Kernel, recurrent kernel and bias."""
    rng = np.random.default_rng(1)
    columns = BLOCKS[cell] * units
    bias_shape = (2, columns) if cell == "gru" else (columns,)
    shapes = (features, columns), (units, columns), bias_shape
    return [(rng.standard_normal(shape) / np.sqrt(units)).astype(dtype) for shape in shapes]


def forward(cell, x, kernel, recurrent_kernel, bias, examples=(0, None)):
    """Hidden states by the kernels, and what the backward pass needs.

    `examples` says where the batch is cut into parts that are computed one by one.
    """
    shape, units = x.shape[:2], len(recurrent_kernel)
    hidden, cells = np.full((2, *shape, units), np.nan, x.dtype)
    gates = np.full((*shape, 4 * units), np.nan, x.dtype)
    for part in (slice(*ends) for ends in pairwise(examples)):
        given = x[part], kernel, recurrent_kernel, bias
        if cell == "lstm":
            recurrent.lstm_forward(*given, gates[part], cells[part], hidden[part])
        elif cell == "gru":
            recurrent.gru_forward(*given, gates[part], hidden[part])
        else:
            recurrent.rnn_forward(*given, cell == "relu", hidden[part])
    return hidden, gates, cells


def gradients(
    cell, x, kernel, recurrent_kernel, bias, grad_hidden, examples=(0, None), rows=(0, None)
):
    """Gradients in x, kernel, recurrent_kernel and bias by the kernels, cut in parts likewise."""
    hidden, gates, cells = forward(cell, x, kernel, recurrent_kernel, bias, examples)
    grad_gates = gates if cell in ("lstm", "gru") else np.full_like(hidden, np.nan)
    grads = [np.full_like(array, np.nan) for array in (x, kernel, recurrent_kernel, bias)]
    for part in (slice(*ends) for ends in pairwise(examples)):
        steps = grad_hidden[part]
        size = recurrent_kernel.size + 2 * len(steps) * len(recurrent_kernel)
        workspace = np.full(size, np.nan, x.dtype)
        if cell == "lstm":
            recurrent.lstm_backward(recurrent_kernel, cells[part], steps, gates[part], workspace)
        elif cell == "gru":
            recurrent.gru_backward(recurrent_kernel, hidden[part], steps, gates[part], workspace)
        else:
            recurrent.rnn_backward(
                recurrent_kernel, cell == "relu", hidden[part], steps, grad_gates[part], workspace
            )
        recurrent.recurrent_backward_inputs(kernel, grad_gates[part], grads[0][part])
    count = len(kernel) + len(recurrent_kernel) + 1
    for first, last in pairwise([count if end is None else end for end in rows]):
        recurrent.recurrent_backward_parameters(x, hidden, grad_gates, first, last, *grads[1:])
    return grads
