"""The compiled functions behind the layers: forward, backward, gradients of the parameters.

All have one signature, so that the engine can call them by address, and each is compiled when the
first network needs it::

    part(program, number, examples, step, thread, threads, words)

Each computes a thread's share of layer `number`: its rows of the batch, or its columns or rows of
the parameters. `step` is the number of the step, for dropout, and `words` scratch for its bits.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

from fastinit.kernels.activations import LINEAR, activate, activate_backward
from fastinit.kernels.calls import address_of, call
from fastinit.kernels.dropout import drop
from fastinit.kernels.jit import FloatArray, IntArray, njit
from fastinit.kernels.losses import loss_rows
from fastinit.kernels.matmul import TILE_ROWS, product
from fastinit.kernels.metrics import metric_rows
from fastinit.kernels.normalization import (
    batch_norm_backward_columns,
    batch_norm_columns,
    batch_norm_inference_backward_columns,
    batch_norm_inference_columns,
    layer_norm_backward_columns,
    layer_norm_backward_rows,
    layer_norm_forward_rows,
)
from fastinit.kernels.optimizers import optimizer_step
from fastinit.kernels.recurrent import (
    gru_backward,
    gru_forward,
    lstm_backward,
    lstm_forward,
    recurrent_backward_inputs,
    recurrent_backward_parameters,
    rnn_backward,
    rnn_forward,
)
from fastinit.kernels.views import view
from fastinit.nn.compiled.table import (
    ACTIVATE,
    ACTIVATE_BACKWARD,
    ACTIVATION,
    ALPHA,
    BATCH_NORM,
    BIAS,
    CELLS,
    CODE,
    COLUMNS,
    DENSE,
    DROPOUT,
    EPSILON,
    FIRST_KEPT,
    GRAD_HIDDEN,
    GRAD_OUT,
    GRAD_X,
    GRU,
    HIDDEN,
    IDENTITY,
    INPUTS,
    JUDGE,
    KERNEL,
    KEY,
    KIND,
    L1,
    L2,
    LAYER_NORM,
    LINE,
    LSTM,
    MOMENTUM,
    MOVING_NORM,
    OUT,
    PARTS,
    PENALIZED,
    PHASES,
    PRODUCT,
    RNN,
    ROWS,
    SAVED,
    SCALE,
    SCRATCH_AT,
    SCRATCH_SIZE,
    STATE,
    STEPS,
    TAKEN,
    UNITS,
    UPDATE,
    Batch,
    Program,
    Target,
    Training,
    X,
    Z,
)
from fastinit.sampling.jit import inlined

__all__ = ["addresses", "share"]


@inlined
def share(size, unit, thread, threads):
    """Return which part of a range a thread does, cut at multiples of `unit`."""
    first, last = 0, size
    if threads > 1:  # divisions are slow, for a small network
        units = (size + unit - 1) // unit
        first = min(units * thread // threads * unit, size)
        last = min(units * (thread + 1) // threads * unit, size)
    return first, last


# Dense layers


@inlined
def _through_activation(program, number, saved, grad):
    """Turn the gradient of activations into that of pre-activations."""
    code, alpha = program.layers[number, CODE], program.numbers[number, ALPHA]
    call(program.parts[ACTIVATE_BACKWARD], (code, alpha, saved, grad, grad))


@njit
def dense_forward(program, number, examples, step, thread, threads, words):
    """Write ``x @ kernel + bias``, and what the activation makes of it."""
    layer, work = program.layers[number], program.work
    first, last = share(examples, TILE_ROWS, thread, threads)
    inputs, units = layer[INPUTS], layer[UNITS]
    before, rows = first * layer[STEPS], (last - first) * layer[STEPS]
    start = layer[Z] + before * units
    call(
        program.parts[PRODUCT],
        (
            rows, units, inputs, work, layer[X] + before * inputs, inputs, 1,
            program.parameters, layer[KERNEL], units, False, work, start, units,
            True, program.parameters, layer[BIAS], 0,
        ),
    )  # fmt: skip
    if layer[CODE] != LINEAR or layer[OUT] != layer[Z]:
        z = view(work, start, (rows, units))
        out = view(work, layer[OUT] + before * units, (rows, units))
        call(program.parts[ACTIVATE], (layer[CODE], program.numbers[number, ALPHA], z, out))


@njit
def dense_backward(program, number, examples, step, thread, threads, words):
    """Turn the gradient of the outputs into that of the pre-activations, write that of `x`."""
    layer, work = program.layers[number], program.work
    first, last = share(examples, TILE_ROWS, thread, threads)
    inputs, units = layer[INPUTS], layer[UNITS]
    before, rows = first * layer[STEPS], (last - first) * layer[STEPS]
    start = layer[GRAD_OUT] + before * units
    if layer[CODE] != LINEAR:
        saved = view(work, layer[TAKEN] + before * units, (rows, units))
        _through_activation(program, number, saved, view(work, start, (rows, units)))
    if layer[GRAD_X] >= 0:
        call(
            program.parts[PRODUCT],
            (
                rows, inputs, units, work, start, units, 1, program.parameters, layer[KERNEL],
                units, True, work, layer[GRAD_X] + before * inputs, inputs,
                False, work, 0, 0,
            ),
        )  # fmt: skip


@njit
def dense_parameters(program, number, examples, step, thread, threads, words):
    """Write this thread's rows of the gradient of kernel and bias."""
    layer, work = program.layers[number], program.work
    inputs, units, rows = layer[INPUTS], layer[UNITS], examples * layer[STEPS]
    first, last = share(layer[ROWS], TILE_ROWS, thread, threads)
    call(
        program.parts[PRODUCT],
        (
            max(0, min(last, inputs) - first), units, rows, work, layer[X] + first, 1, inputs,
            work, layer[GRAD_OUT], units, False,
            program.gradients, layer[KERNEL] + first * units, units,
            False, work, 0, 0,
        ),
    )  # fmt: skip
    if first <= inputs < last:
        grad = view(work, layer[GRAD_OUT], (rows, units))
        grad_bias = view(program.gradients, layer[BIAS], (units,))
        grad_bias[:] = 0
        for i in range(rows):
            for j in range(units):
                grad_bias[j] += grad[i, j]


# Activations and dropout


@njit
def activation_forward(program, number, examples, step, thread, threads, words):
    """Write the activations."""
    layer, work = program.layers[number], program.work
    first, last = share(examples, TILE_ROWS, thread, threads)
    units, rows = layer[UNITS], (last - first) * layer[STEPS]
    before = first * layer[STEPS] * units
    z = view(work, layer[X] + before, (rows, units))
    out = view(work, layer[OUT] + before, (rows, units))
    call(program.parts[ACTIVATE], (layer[CODE], program.numbers[number, ALPHA], z, out))


@njit
def activation_backward(program, number, examples, step, thread, threads, words):
    """Turn the gradient of the outputs into that of the inputs."""
    layer, work = program.layers[number], program.work
    first, last = share(examples, TILE_ROWS, thread, threads)
    units, rows = layer[UNITS], (last - first) * layer[STEPS]
    before = first * layer[STEPS] * units
    saved = view(work, layer[TAKEN] + before, (rows, units))
    _through_activation(program, number, saved, view(work, layer[GRAD_OUT] + before, (rows, units)))


@inlined
def _drop_rows(program, number, source, target, examples, step, thread, threads, words):
    """Drop elements of `work` from `source` on, into `target`: those of the mask of the step."""
    layer = program.layers[number]
    first, last = share(examples, TILE_ROWS, thread, threads)
    size = layer[STEPS] * layer[UNITS]
    before, after = first * size, last * size
    drop(
        view(program.work, source + before, (after - before,)),
        view(program.work, target + before, (after - before,)),
        layer[FIRST_KEPT],
        program.numbers[number, SCALE],
        program.keys[layer[KEY]],
        step * program.capacity * size + before,
        words,
    )


@njit
def dropout_forward(program, number, examples, step, thread, threads, words):
    """Write what is kept."""
    source, target = program.layers[number, X], program.layers[number, OUT]
    _drop_rows(program, number, source, target, examples, step, thread, threads, words)


@njit
def dropout_backward(program, number, examples, step, thread, threads, words):
    """Turn the gradient of the outputs into that of the inputs."""
    grad = program.layers[number, GRAD_OUT]
    _drop_rows(program, number, grad, grad, examples, step, thread, threads, words)


# Normalization


@inlined
def _statistics(program, number):
    layer = program.layers[number]
    start, units = layer[SAVED], layer[UNITS]
    return view(program.work, start, (units,)), view(program.work, start + units, (units,))


@inlined
def _moving(program, number):
    layer = program.layers[number]
    start, units = layer[STATE], layer[UNITS]
    return view(program.state, start, (units,)), view(program.state, start + units, (units,))


@inlined
def _parameters(flat, layer):
    units = layer[UNITS]
    return view(flat, layer[KERNEL], (units,)), view(flat, layer[BIAS], (units,))


@njit
def batch_norm_forward(program, number, examples, step, thread, threads, words):
    """Normalize this thread's columns of the whole batch."""
    layer, work = program.layers[number], program.work
    units, rows = layer[UNITS], examples * layer[STEPS]
    first, last = share(units, LINE, thread, threads)
    gamma, beta = _parameters(program.parameters, layer)
    mean, inverse_std = _statistics(program, number)
    moving_mean, moving_variance = _moving(program, number)
    batch_norm_columns(
        view(work, layer[X], (rows, units)), gamma, beta, view(work, layer[OUT], (rows, units)),
        mean, inverse_std, moving_mean, moving_variance,
        program.numbers[number, MOMENTUM], program.numbers[number, EPSILON], first, last,
    )  # fmt: skip


@njit
def batch_norm_backward(program, number, examples, step, thread, threads, words):
    """Write all gradients of this thread's columns."""
    layer, work = program.layers[number], program.work
    units, rows = layer[UNITS], examples * layer[STEPS]
    first, last = share(units, LINE, thread, threads)
    gamma, _ = _parameters(program.parameters, layer)
    grad_gamma, grad_beta = _parameters(program.gradients, layer)
    mean, inverse_std = _statistics(program, number)
    target = layer[GRAD_OUT] if layer[GRAD_X] < 0 else layer[GRAD_X]
    batch_norm_backward_columns(
        view(work, layer[X], (rows, units)), gamma, mean, inverse_std,
        view(work, layer[GRAD_OUT], (rows, units)), view(work, target, (rows, units)),
        grad_gamma, grad_beta, first, last,
    )  # fmt: skip


@njit
def moving_norm_forward(program, number, examples, step, thread, threads, words):
    """Normalize rows with the moving statistics."""
    layer, work = program.layers[number], program.work
    first, last = share(examples, TILE_ROWS, thread, threads)
    units, rows = layer[UNITS], (last - first) * layer[STEPS]
    before = first * layer[STEPS] * units
    gamma, beta = _parameters(program.parameters, layer)
    _, inverse_std = _statistics(program, number)
    moving_mean, moving_variance = _moving(program, number)
    batch_norm_inference_columns(
        view(work, layer[X] + before, (rows, units)), gamma, beta,
        view(work, layer[OUT] + before, (rows, units)), inverse_std, moving_mean, moving_variance,
        program.numbers[number, EPSILON], 0, units,
    )  # fmt: skip


@njit
def moving_norm_backward(program, number, examples, step, thread, threads, words):
    """Write the gradient of the inputs of rows."""
    layer, work = program.layers[number], program.work
    if layer[GRAD_X] < 0:
        return
    first, last = share(examples, TILE_ROWS, thread, threads)
    units, rows = layer[UNITS], (last - first) * layer[STEPS]
    before = first * layer[STEPS] * units
    gamma, _ = _parameters(program.parameters, layer)
    _, inverse_std = _statistics(program, number)
    batch_norm_inference_backward_columns(
        gamma, inverse_std, view(work, layer[GRAD_OUT] + before, (rows, units)),
        view(work, layer[GRAD_X] + before, (rows, units)), 0, units,
    )  # fmt: skip


@inlined
def _row_statistics(program, layer, first, last):
    """Return the saved statistics of the rows of examples."""
    start, end = layer[SAVED] + first * layer[STEPS], layer[SAVED] + last * layer[STEPS]
    further = program.capacity * layer[STEPS]
    rows = end - start
    return view(program.work, start, (rows,)), view(program.work, start + further, (rows,))


@njit
def layer_norm_forward(program, number, examples, step, thread, threads, words):
    """Normalize rows."""
    layer, work = program.layers[number], program.work
    first, last = share(examples, TILE_ROWS, thread, threads)
    units, rows = layer[UNITS], (last - first) * layer[STEPS]
    before = first * layer[STEPS] * units
    gamma, beta = _parameters(program.parameters, layer)
    mean, inverse_std = _row_statistics(program, layer, first, last)
    layer_norm_forward_rows(
        view(work, layer[X] + before, (rows, units)), gamma, beta,
        view(work, layer[OUT] + before, (rows, units)), mean, inverse_std,
        program.numbers[number, EPSILON],
    )  # fmt: skip


@njit
def layer_norm_backward(program, number, examples, step, thread, threads, words):
    """Write the gradient of the inputs of rows."""
    layer, work = program.layers[number], program.work
    if layer[GRAD_X] < 0:
        return
    first, last = share(examples, TILE_ROWS, thread, threads)
    units, rows = layer[UNITS], (last - first) * layer[STEPS]
    before = first * layer[STEPS] * units
    gamma, _ = _parameters(program.parameters, layer)
    mean, inverse_std = _row_statistics(program, layer, first, last)
    layer_norm_backward_rows(
        view(work, layer[X] + before, (rows, units)), gamma, mean, inverse_std,
        view(work, layer[GRAD_OUT] + before, (rows, units)),
        view(work, layer[GRAD_X] + before, (rows, units)),
    )  # fmt: skip


@njit
def layer_norm_parameters(program, number, examples, step, thread, threads, words):
    """Write this thread's columns of the gradients of gamma and beta."""
    layer, work = program.layers[number], program.work
    units, rows = layer[UNITS], examples * layer[STEPS]
    first, last = share(units, LINE, thread, threads)
    grad_gamma, grad_beta = _parameters(program.gradients, layer)
    mean, inverse_std = _row_statistics(program, layer, 0, examples)
    layer_norm_backward_columns(
        view(work, layer[X], (rows, units)), mean, inverse_std,
        view(work, layer[GRAD_OUT], (rows, units)), grad_gamma, grad_beta, first, last,
    )  # fmt: skip


# Recurrent layers


@inlined
def _sequences(program, layer, first, last):
    """Return inputs, hidden states, both kernels and the bias of a recurrent layer."""
    steps, inputs, units, columns = layer[STEPS], layer[INPUTS], layer[UNITS], layer[COLUMNS]
    rows, start = last - first, layer[KERNEL]
    x = view(program.work, layer[X] + first * steps * inputs, (rows, steps, inputs))
    hidden = view(program.work, layer[HIDDEN] + first * steps * units, (rows, steps, units))
    kernel = view(program.parameters, start, (inputs, columns))
    recurrent = view(program.parameters, start + inputs * columns, (units, columns))
    return x, hidden, kernel, recurrent


@inlined
def _gates(program, layer, width, first, last):
    steps, start = layer[STEPS], layer[SAVED]
    return view(program.work, start + first * steps * width, (last - first, steps, width))


@inlined
def _cells(program, layer, first, last):
    steps, units, start = layer[STEPS], layer[UNITS], layer[CELLS]
    return view(program.work, start + first * steps * units, (last - first, steps, units))


@inlined
def _return_last(program, layer, hidden, first):
    """Write the last hidden states where the layer returns no others."""
    if layer[OUT] != layer[HIDDEN]:
        rows, steps, units = hidden.shape
        out = view(program.work, layer[OUT] + first * units, (rows, units))
        for i in range(rows):
            for j in range(units):
                out[i, j] = hidden[i, steps - 1, j]


@inlined
def _gradients_of_states(program, layer, first, last):
    """Return the gradient of the hidden states: zero but for the last where that is the output."""
    steps, units, rows = layer[STEPS], layer[UNITS], last - first
    grad = view(program.work, layer[GRAD_HIDDEN] + first * steps * units, (rows, steps, units))
    if layer[OUT] != layer[HIDDEN]:
        grad_out = view(program.work, layer[GRAD_OUT] + first * units, (rows, units))
        grad[:] = 0
        for i in range(rows):
            for j in range(units):
                grad[i, steps - 1, j] = grad_out[i, j]
    return grad


@inlined
def _scratch(program, layer, thread):
    start = layer[SCRATCH_AT] + thread * layer[SCRATCH_SIZE]
    return view(program.work, start, (layer[SCRATCH_SIZE],))


@inlined
def _gradient_of_sequences(program, layer, kernel, gates, first, last):
    if layer[GRAD_X] >= 0:
        steps, inputs = layer[STEPS], layer[INPUTS]
        start = layer[GRAD_X] + first * steps * inputs
        grad_x = view(program.work, start, (last - first, steps, inputs))
        recurrent_backward_inputs(kernel, gates, grad_x)


@njit
def rnn_forward_part(program, number, examples, step, thread, threads, words):
    """Run a simple recurrent layer over rows."""
    layer = program.layers[number]
    first, last = share(examples, TILE_ROWS, thread, threads)
    x, hidden, kernel, recurrent = _sequences(program, layer, first, last)
    bias = view(program.parameters, layer[BIAS], (layer[COLUMNS],))
    rnn_forward(x, kernel, recurrent, bias, layer[CODE] != 0, hidden)
    _return_last(program, layer, hidden, first)


@njit
def rnn_backward_part(program, number, examples, step, thread, threads, words):
    """Go back through time over rows."""
    layer = program.layers[number]
    first, last = share(examples, TILE_ROWS, thread, threads)
    _, hidden, kernel, recurrent = _sequences(program, layer, first, last)
    grad_hidden = _gradients_of_states(program, layer, first, last)
    gates = _gates(program, layer, layer[COLUMNS], first, last)
    scratch = _scratch(program, layer, thread)
    rnn_backward(recurrent, layer[CODE] != 0, hidden, grad_hidden, gates, scratch)
    _gradient_of_sequences(program, layer, kernel, gates, first, last)


@njit
def lstm_forward_part(program, number, examples, step, thread, threads, words):
    """Run an LSTM over rows."""
    layer = program.layers[number]
    first, last = share(examples, TILE_ROWS, thread, threads)
    x, hidden, kernel, recurrent = _sequences(program, layer, first, last)
    bias = view(program.parameters, layer[BIAS], (layer[COLUMNS],))
    gates = _gates(program, layer, layer[COLUMNS], first, last)
    lstm_forward(x, kernel, recurrent, bias, gates, _cells(program, layer, first, last), hidden)
    _return_last(program, layer, hidden, first)


@njit
def lstm_backward_part(program, number, examples, step, thread, threads, words):
    """Go back through time over rows."""
    layer = program.layers[number]
    first, last = share(examples, TILE_ROWS, thread, threads)
    _, _, kernel, recurrent = _sequences(program, layer, first, last)
    grad_hidden = _gradients_of_states(program, layer, first, last)
    gates = _gates(program, layer, layer[COLUMNS], first, last)
    cells, scratch = _cells(program, layer, first, last), _scratch(program, layer, thread)
    lstm_backward(recurrent, cells, grad_hidden, gates, scratch)
    _gradient_of_sequences(program, layer, kernel, gates, first, last)


@njit
def gru_forward_part(program, number, examples, step, thread, threads, words):
    """Run gated recurrent units over rows."""
    layer = program.layers[number]
    first, last = share(examples, TILE_ROWS, thread, threads)
    x, hidden, kernel, recurrent = _sequences(program, layer, first, last)
    bias = view(program.parameters, layer[BIAS], (2, layer[COLUMNS]))
    gates = _gates(program, layer, layer[COLUMNS] + layer[UNITS], first, last)
    gru_forward(x, kernel, recurrent, bias, gates, hidden)
    _return_last(program, layer, hidden, first)


@njit
def gru_backward_part(program, number, examples, step, thread, threads, words):
    """Go back through time over rows."""
    layer = program.layers[number]
    first, last = share(examples, TILE_ROWS, thread, threads)
    _, hidden, kernel, recurrent = _sequences(program, layer, first, last)
    grad_hidden = _gradients_of_states(program, layer, first, last)
    gates = _gates(program, layer, layer[COLUMNS] + layer[UNITS], first, last)
    gru_backward(recurrent, hidden, grad_hidden, gates, _scratch(program, layer, thread))
    _gradient_of_sequences(program, layer, kernel, gates, first, last)


@njit
def recurrent_parameters(program, number, examples, step, thread, threads, words):
    """Write this thread's rows of the gradients of both kernels and the bias."""
    layer, gradients = program.layers[number], program.gradients
    inputs, units, columns = layer[INPUTS], layer[UNITS], layer[COLUMNS]
    first, last = share(layer[ROWS], TILE_ROWS, thread, threads)
    x, hidden, _, _ = _sequences(program, layer, 0, examples)
    of_gru = layer[KIND] == GRU
    recurrent_backward_parameters(
        x, hidden, _gates(program, layer, columns + (units if of_gru else 0), 0, examples),
        first, last,
        view(gradients, layer[KERNEL], (inputs, columns)),
        view(gradients, layer[KERNEL] + inputs * columns, (units, columns)),
        view(gradients, layer[BIAS], ((2 if of_gru else 1) * columns,)),
    )  # fmt: skip


# What follows the last layer, and the optimizer


@njit
def judge(
    program: Program, target: Target, batch: Batch, scale: float, first: int, last: int
) -> None:
    """Write losses and metrics of rows, and the gradient of the output unless `scale` is 0."""
    layer = program.layers[len(program.layers) - 1]
    rows, size = last - first, batch.values.shape[1]
    output = view(program.work, layer[OUT] + first * size, (rows, size))
    there = rows if scale != 0.0 else 0
    grad = view(program.work, layer[GRAD_OUT] + first * size, (there, size))
    values, labels = batch.values[first:last], batch.labels[first:last]
    loss_rows(
        target.loss, target.loss_parameters, output, values, labels, batch.weights[first:last],
        scale, grad, batch.losses[first:last],
    )  # fmt: skip
    for metric in range(target.metrics.size):
        metric_rows(
            target.metrics[metric], target.metric_parameters[metric], output, values, labels,
            batch.scores[metric][first:last],
        )  # fmt: skip


@inlined
def _region(program, i, part, thread, threads):
    """Return where a thread's share of a layer's parameters begins and ends.

    Of three parts: rows with a penalty, rows without, and what may be missing, bias or beta.
    """
    layer = program.layers[i]
    kind, rows, columns = layer[KIND], layer[ROWS], layer[COLUMNS]
    start, stop = layer[KERNEL], layer[KERNEL]
    if kind in (BATCH_NORM, LAYER_NORM):
        first, last = share(columns, LINE, thread, threads)
        if part > 0:
            start = layer[KERNEL] if part == 1 else layer[BIAS]
            start, stop = start + first, start + last
    else:
        first, last = share(rows, TILE_ROWS, thread, threads)
        if part == 2:
            start = stop = layer[BIAS]
            if first < rows == last:
                stop += 2 * columns if kind == GRU else columns
        else:
            middle = min(layer[PENALIZED], rows - 1)
            lowest, highest = (0, middle) if part == 0 else (middle, rows - 1)
            stop = start + max(lowest, min(last, highest)) * columns
            start += max(lowest, min(first, highest)) * columns
    return (start, stop) if rows > 0 and start < program.trained else (start, start)


@njit
def update(
    program: Program,
    training: Training,
    values: FloatArray,
    penalties: bool,
    scale: float,
    smallest: int,
    thread: int,
    threads: int,
) -> None:
    """Update the parameters whose gradients this thread computed.

    Parameters that lie side by side, and have the same penalty, take one pass.
    """
    start, stop, l1, l2 = 0, 0, 0.0, 0.0
    layers = len(program.layers)
    for number in range(3 * smallest, 3 * layers + 1):
        i, part = number // 3, number % 3
        first, last, more_l1, more_l2 = -1, -1, 0.0, 0.0
        if i < layers:
            first, last = _region(program, i, part, thread, threads)
            if first == last:
                continue
            if part == 0 and penalties:
                more_l1, more_l2 = program.numbers[i, L1], program.numbers[i, L2]
        if first == stop and more_l1 == l1 and more_l2 == l2:
            stop = last
            continue
        if start < stop:
            size = (stop - start,)
            slots = min(start, training.first.size), min(start, training.second.size)
            optimizer_step(
                training.optimizer, values,
                view(program.parameters, start, size), view(program.gradients, start, size),
                view(training.first, slots[0], (min(size[0], training.first.size),)),
                view(training.second, slots[1], (min(size[0], training.second.size),)),
                l1, l2, training.weight_decay, scale, training.limit,
            )  # fmt: skip
        start, stop, l1, l2 = first, last, more_l1, more_l2


@njit
def nothing(program, number, examples, step, thread, threads, words):
    """Do nothing."""


PARTS_OF = {
    IDENTITY: (nothing, nothing, nothing),
    DENSE: (dense_forward, dense_backward, dense_parameters),
    ACTIVATION: (activation_forward, activation_backward, nothing),
    DROPOUT: (dropout_forward, dropout_backward, nothing),
    BATCH_NORM: (batch_norm_forward, batch_norm_backward, nothing),
    MOVING_NORM: (moving_norm_forward, moving_norm_backward, nothing),
    LAYER_NORM: (layer_norm_forward, layer_norm_backward, layer_norm_parameters),
    RNN: (rnn_forward_part, rnn_backward_part, recurrent_parameters),
    LSTM: (lstm_forward_part, lstm_backward_part, recurrent_parameters),
    GRU: (gru_forward_part, gru_backward_part, recurrent_parameters),
}


@cache
def _address(part: int, dtype: str) -> int:
    """Return the address of a part for networks of a dtype, compiling it if need be."""
    numbers, matrix_of_numbers, whole = np.empty(0), np.empty((0, 0)), np.empty(0, np.int64)
    words, flat = np.empty(0, np.uint64), np.empty(0, dtype)
    square = flat.reshape(0, 0)
    program = Program(
        whole.reshape(0, 0), matrix_of_numbers, words, words, flat, flat, flat, flat, 0, 0
    )
    target = Target(0, numbers, whole, numbers, 0)
    batch = Batch(square, whole, numbers, numbers, matrix_of_numbers, whole, numbers)
    rule = Training(0, numbers, flat, flat, 0.0, 0.0, 0.0, 0, True, np.uint64(0), True)
    if part == JUDGE:
        return address_of(judge, program, target, batch, 0.0, 0, 0)
    if part == UPDATE:
        return address_of(update, program, rule, numbers, True, 0.0, 0, 0, 1)
    if part == PRODUCT:
        at = flat, 0, 0
        return address_of(product, 0, 0, 0, *at, 0, *at, True, *at, True, *at)
    if part == ACTIVATE:
        return address_of(activate, 0, 0.0, square, square)
    if part == ACTIVATE_BACKWARD:
        return address_of(activate_backward, 0, 0.0, square, square, square)
    kind, phase = divmod(part, PHASES)
    bits = np.empty(0, np.uint32)
    return address_of(PARTS_OF[kind][phase], program, 0, 0, 0, 0, 1, bits)


def addresses(kinds: Iterable[int], dtype: np.dtype[Any], training: bool) -> IntArray:
    """Return the addresses of the parts that a network uses, compiling what is not compiled yet.

    Parameters
    ----------
    kinds : iterable of int
        Kinds of its layers.
    dtype : numpy.dtype
        Its dtype.
    training : bool
        Whether it goes backward.

    Returns
    -------
    ndarray of uint64, shape (PARTS,)
        For `Program.parts`.
    """
    parts = np.zeros(PARTS, np.uint64)
    phases = range(PHASES if training else 1)
    wanted = {kind * PHASES + phase for kind in kinds for phase in phases} | {JUDGE}
    if not {DENSE, ACTIVATION}.isdisjoint(kinds):
        wanted |= {PRODUCT, ACTIVATE} | ({ACTIVATE_BACKWARD} if training else set())
    if training:
        wanted.add(UPDATE)
    for part in wanted:
        parts[part] = _address(part, str(dtype))
    return parts
