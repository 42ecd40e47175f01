"""The compiled heart of `fastinit.nn`: it walks over the table of layers, batch after batch.

One function serves every network of a dtype, so a new architecture compiles nothing but the kinds
of layers that were not used before. Several threads may run `train` or `infer` on one program at
once; they share the work:

- What concerns each example alone, the forward pass and the gradients of activations, each does for
  its own rows of the batch.
- What sums over the examples, the statistics of a batch and the gradients of parameters, each does
  for its own columns or rows of the parameters, which it then updates.

They meet between the two. Every number is the same for any number of threads, since each sum is
computed by one of them, in one order.
"""

from __future__ import annotations

import math

import numpy as np

from fastinit.kernels.calls import call
from fastinit.kernels.dropout import SCRATCH
from fastinit.kernels.gradients import (
    BLOCK,
    add_penalty,
    block_penalties,
    block_squares,
    norm_scale,
)
from fastinit.kernels.jit import FloatArray, IntArray, njit
from fastinit.kernels.matmul import TILE_ROWS
from fastinit.kernels.optimizers import STEP_VALUES, prepare_step
from fastinit.kernels.views import view
from fastinit.nn.compiled.barrier import gather, wait
from fastinit.nn.compiled.parts import share
from fastinit.nn.compiled.table import (
    BACKWARD,
    BATCH_NORM,
    COLUMNS,
    FORWARD,
    JUDGE,
    KERNEL,
    KIND,
    L1,
    L2,
    OUT,
    PARAMETERS,
    PENALIZED,
    PHASES,
    ROWS,
    UPDATE,
    Batch,
    Data,
    Program,
    Target,
    Training,
)
from fastinit.sampling.jit import inlined
from fastinit.sampling.layout import TILE
from fastinit.sampling.numba_fill import VALUE_PLANE, _words

TWO_M53 = 2.0**-53

__all__ = [
    "infer",
    "parameter_gradients",
    "penalty_of",
    "run_backward",
    "run_forward",
    "total",
    "train",
]


@inlined
def _run_part(program, phase, number, examples, step, thread, threads, words):
    part = program.parts[program.layers[number, KIND] * PHASES + phase]
    call(part, (program, number, examples, step, thread, threads, words))


@njit
def run_forward(
    program: Program,
    first_layer: int,
    last_layer: int,
    examples: int,
    step: int,
    counter: IntArray,
    meeting: int,
    thread: int,
    threads: int,
    words: IntArray,
) -> int:
    """Run layers on the batch that stands in `work`; return the number of the last meeting."""
    for i in range(first_layer, last_layer):
        if program.layers[i, KIND] == BATCH_NORM:
            wait(counter, threads, meeting + 1)
        _run_part(program, FORWARD, i, examples, step, thread, threads, words)
        if program.layers[i, KIND] == BATCH_NORM:
            wait(counter, threads, meeting + 2)
            meeting += 2
    return meeting


@njit
def run_backward(
    program: Program,
    smallest: int,
    examples: int,
    step: int,
    counter: IntArray,
    meeting: int,
    thread: int,
    threads: int,
    words: IntArray,
) -> int:
    """Compute the gradients of activations from that of the output; return the last meeting."""
    for i in range(len(program.layers) - 1, smallest - 1, -1):
        if program.layers[i, KIND] == BATCH_NORM:
            wait(counter, threads, meeting + 1)
        _run_part(program, BACKWARD, i, examples, step, thread, threads, words)
        if program.layers[i, KIND] == BATCH_NORM:
            wait(counter, threads, meeting + 2)
            meeting += 2
    return meeting


@njit
def parameter_gradients(
    program: Program,
    smallest: int,
    examples: int,
    step: int,
    thread: int,
    threads: int,
    words: IntArray,
) -> None:
    """Compute this thread's share of the gradients of parameters, after `run_backward`."""
    for i in range(smallest, len(program.layers)):
        if program.layers[i, ROWS] > 0:
            _run_part(program, PARAMETERS, i, examples, step, thread, threads, words)


# Penalties, and the norm of the gradients


@inlined
def _blocks(size):
    return (size + BLOCK - 1) // BLOCK


@inlined
def _is_penalized(program, i):
    numbers = program.numbers[i]
    return program.layers[i, PENALIZED] > 0 and (numbers[L1] != 0.0 or numbers[L2] != 0.0)


@inlined
def _penalized_region(program, i):
    start = program.layers[i, KERNEL]
    return start, start + program.layers[i, PENALIZED] * program.layers[i, COLUMNS]


@njit
def penalty_of(program: Program, sums: FloatArray) -> float:
    """Return the penalties of all parameters; `sums` is scratch, a number a block."""
    result = 0.0
    for i in range(len(program.layers)):
        if _is_penalized(program, i):
            start, stop = _penalized_region(program, i)
            l1, l2, blocks = program.numbers[i, L1], program.numbers[i, L2], _blocks(stop - start)
            parameters = view(program.parameters, start, (stop - start,))
            block_penalties(parameters, l1, l2, 0, blocks, sums)
            result += total(sums, blocks)
    return result


@njit
def add_penalties(program: Program, smallest: int) -> None:
    """Add the gradients of the penalties to those of the parameters that learn."""
    for i in range(smallest, len(program.layers)):
        if program.layers[i, ROWS] > 0 and _is_penalized(program, i):
            start, stop = _penalized_region(program, i)
            l1, l2 = program.numbers[i, L1], program.numbers[i, L2]
            parameters = view(program.parameters, start, (stop - start,))
            add_penalty(parameters, view(program.gradients, start, (stop - start,)), l1, l2)


@njit
def _scale_by_norm(
    program: Program,
    smallest: int,
    limit: float,
    sums: FloatArray,
    counter: IntArray,
    meeting: int,
    thread: int,
    threads: int,
) -> float:
    """Add the penalties to the gradients, and return by what these are to be multiplied."""
    wait(counter, threads, meeting + 1)
    if thread == 0:
        add_penalties(program, smallest)
    wait(counter, threads, meeting + 2)
    blocks = _blocks(program.trained)
    first, last = share(blocks, 1, thread, threads)
    block_squares(view(program.gradients, 0, (program.trained,)), first, last, sums)
    wait(counter, threads, meeting + 3)
    return norm_scale(math.sqrt(total(sums, blocks)), limit)


# Batches


@njit
def total(values: FloatArray, count: int) -> float:
    """Return the sum of the first of the values, one after the other."""
    result = 0.0
    for i in range(count):
        result += values[i]
    return result


@inlined
def _take_rows(x, order, start, first, last, out):
    """Copy rows of a matrix, in the order of the batch."""
    for i in range(first, last):
        row = order[start + i]
        for j in range(x.shape[1]):
            out[i, j] = x[row, j]


@njit
def _take(
    program: Program,
    data: Data,
    batch: Batch,
    order: IntArray,
    start: int,
    first: int,
    last: int,
) -> None:
    """Copy examples with their targets: those that stand in `order` from `start` on."""
    size = data.x.shape[1]
    x = view(program.work, 0, (program.capacity, size))
    _take_rows(data.x, order, start, first, last, x)
    if data.values.shape[0] > 0:
        _take_rows(data.values, order, start, first, last, batch.values)
    for i in range(first, last):
        batch.weights[i] = data.weights[order[start + i]]
    if data.labels.size > 0:
        for i in range(first, last):
            batch.labels[i] = data.labels[order[start + i]]


@njit
def _reorder(training: Training, epoch: int, order: IntArray) -> None:
    """Write the order of the examples in an epoch: Fisher and Yates' shuffle."""
    rows = order.size
    for i in range(rows):
        order[i] = i
    if not training.shuffle:
        return
    tiles = (2 * rows + TILE - 1) // TILE
    words = np.empty(tiles * TILE, np.uint32)
    _words(words, training.key, VALUE_PLANE, np.uint64(epoch) * np.uint64(tiles), tiles)
    for i in range(rows - 1, 0, -1):
        # 53 random bits: the i + 1 positions are equally likely but for 1e-16 i.
        high, low = np.uint64(words[2 * i]), np.uint64(words[2 * i + 1])
        share_of_one = np.float64((high << np.uint64(32) | low) >> np.uint64(11)) * TWO_M53
        j = np.int64(share_of_one * (i + 1))
        order[i], order[j] = order[j], order[i]


@njit
def train(
    program: Program,
    data: Data,
    target: Target,
    training: Training,
    batch: Batch,
    rates: FloatArray,
    position: IntArray,
    totals: FloatArray,
    control: IntArray,
    counter: IntArray,
    thread: int,
    threads: int,
) -> None:
    """Take as many steps as there are `rates`.

    Parameters
    ----------
    program, data, target, training, batch
        See the classes.
    rates : ndarray of float64, shape (steps,)
        The learning rate of each step.
    position : ndarray of int64, shape (3,)
        Steps that the network has taken; epochs that it has; the batch of the epoch to begin with.
    totals : ndarray of float64, shape (epochs, 1 + metrics)
        To row e are added the losses and metrics of the examples of the e-th epoch entered.
    control : ndarray of int64, shape (2,)
        Gets the steps taken; and 1 if a loss was not finite, which ends the training if so asked.
    counter : ndarray of int64, shape (1,)
        Zero; shared by the threads. `barrier.CALLED_OFF` makes those return that have not begun.
    thread, threads : int
        Number of this one, from 0, and how many there are.
    """
    examples, layers, smallest = data.x.shape[0], len(program.layers), target.smallest
    taken, epoch, number = position[0], position[1], position[2]
    words, values = np.empty(SCRATCH, np.uint32), np.empty(STEP_VALUES, np.float64)
    by_norm, penalized = training.norm_limit < np.inf, False
    for i in range(layers):
        penalized = penalized or _is_penalized(program, i)
    if not gather(counter, threads):
        return
    meeting, entered, in_order = 1, 0, False
    for i in range(rates.size):
        if not in_order:
            if thread == 0:
                _reorder(training, epoch, batch.order)
            meeting += 1
            wait(counter, threads, meeting)
            in_order = True
        step, start = taken + i, number * training.batch_size
        rows = min(training.batch_size, examples - start)
        first, last = share(rows, TILE_ROWS, thread, threads)
        _take(program, data, batch, batch.order, start, first, last)
        meeting = run_forward(
            program, 0, layers, rows, step, counter, meeting, thread, threads, words
        )
        call(program.parts[JUDGE], (program, target, batch, 1.0 / rows, first, last))
        meeting = run_backward(
            program, smallest, rows, step, counter, meeting, thread, threads, words
        )
        penalty = penalty_of(program, batch.sums) if penalized and thread == 0 else 0.0
        meeting += 1
        wait(counter, threads, meeting)
        parameter_gradients(program, smallest, rows, step, thread, threads, words)
        if thread == 0:
            loss = total(batch.losses, rows) + rows * penalty
            totals[entered, 0] += loss
            for metric in range(target.metrics.size):
                totals[entered, 1 + metric] += total(batch.scores[metric], rows)
            control[0] = i + 1
            if not math.isfinite(loss):
                control[1] = 1
        scale = 1.0
        if by_norm:
            scale = _scale_by_norm(
                program,
                smallest,
                training.norm_limit,
                batch.sums,
                counter,
                meeting,
                thread,
                threads,
            )
            meeting += 3
        prepare_step(training.optimizer, training.hyper, step + 1, rates[i], values)
        call(
            program.parts[UPDATE],
            (program, training, values, not by_norm, scale, smallest, thread, threads),
        )
        meeting += 1
        wait(counter, threads, meeting)
        if training.stop_at_nan and control[1] == 1:
            return
        number += 1
        if start + rows == examples:
            epoch, number, entered, in_order = epoch + 1, 0, entered + 1, False


@njit
def infer(
    program: Program,
    data: Data,
    target: Target,
    batch: Batch,
    output: FloatArray,
    losses: FloatArray,
    scores: FloatArray,
    begin: int,
    end: int,
    thread: int,
    threads: int,
) -> None:
    """Run examples through the network, and judge the results if there are targets.

    Each thread runs all layers on rows of its own: nobody waits. So all batches must have as many
    rows: the smaller one that is left is to be run by itself.

    Parameters
    ----------
    program, data, target, batch
        See the classes; `batch.order` counts from 0.
    output : ndarray, shape (examples, size) or (0, size)
        Gets the network's outputs.
    losses : ndarray of float64, shape (examples,) or (0,)
        Gets the weighted losses.
    scores : ndarray of float64, shape (metrics, examples)
        Gets the metrics.
    begin, end : int
        Which examples to run: some times `program.capacity`, or fewer than that.
    thread, threads : int
        Number of this one, from 0, and how many there are.
    """
    layers = len(program.layers)
    words, size = np.empty(SCRATCH, np.uint32), batch.values.shape[1]
    for start in range(begin, end, program.capacity):
        rows = min(program.capacity, end - start)
        first, last = share(rows, TILE_ROWS, thread, threads)
        _take(program, data, batch, batch.order, start, first, last)
        for i in range(layers):
            _run_part(program, FORWARD, i, rows, 0, thread, threads, words)
        if output.shape[0] > 0:
            out = view(program.work, program.layers[layers - 1, OUT], (rows, size))
            for i in range(first, last):
                for j in range(size):  # to assign whole rows would take seconds to compile
                    output[start + i, j] = out[i, j]
        if losses.size > 0:
            call(program.parts[JUDGE], (program, target, batch, 0.0, first, last))
            for i in range(first, last):
                losses[start + i] = batch.losses[i]
                for metric in range(target.metrics.size):
                    scores[metric, start + i] = batch.scores[metric, i]
