"""The table of layers that compiled code walks over: what its columns mean, and what goes with it.

Offsets count elements: those of X, Z, OUT and their like into `Program.work`, those of KERNEL and
BIAS into `parameters` and `gradients`, that of STATE into `state`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastinit.kernels.jit import FloatArray, IntArray

__all__ = ["Batch", "Data", "Program", "Target", "Training"]

# Kinds of layers.
KINDS = 10
(
    IDENTITY,
    DENSE,
    ACTIVATION,
    DROPOUT,
    BATCH_NORM,
    MOVING_NORM,  # batch normalization with the moving statistics
    LAYER_NORM,
    RNN,
    LSTM,
    GRU,
) = range(KINDS)

# Phases: `Program.parts` has a function for each kind and phase, and then a few more.
PHASES = 3
FORWARD, BACKWARD, PARAMETERS = range(PHASES)
PARTS = KINDS * PHASES + 5
JUDGE, UPDATE, PRODUCT, ACTIVATE, ACTIVATE_BACKWARD = range(KINDS * PHASES, PARTS)

# Columns of Program.layers.
FIELDS = 25
(
    KIND,
    CODE,  # of the activation
    STEPS,  # rows that an example has: its time steps, or 1
    INPUTS,
    UNITS,
    X,
    Z,  # pre-activations; OUT where they are overwritten
    TAKEN,  # what the activation's backward pass takes: Z or OUT
    OUT,
    GRAD_OUT,
    GRAD_X,  # -1 where nobody wants it
    KERNEL,  # parameters stand as rows of COLUMNS: kernel, recurrent kernel, bias; gamma, beta
    BIAS,
    COLUMNS,
    ROWS,  # of parameters that learn, 0 for none
    PENALIZED,  # how many of them, the first, have a penalty
    STATE,  # moving mean and variance of batch normalization
    SAVED,  # statistics of normalization; gates of recurrent layers
    CELLS,
    HIDDEN,  # hidden states of all steps: OUT where the layer returns them
    GRAD_HIDDEN,
    SCRATCH_AT,
    SCRATCH_SIZE,  # for each thread
    FIRST_KEPT,  # of dropout
    KEY,
) = range(FIELDS)

# Columns of Program.numbers.
NUMBERS = 6
ALPHA, EPSILON, MOMENTUM, SCALE, L1, L2 = range(NUMBERS)

# Columns of batch and layer normalization are shared among threads in units of a cache line.
LINE = 16


class Program(NamedTuple):
    """A network with the arrays that it works on.

    Attributes
    ----------
    layers : ndarray of int64, shape (layers, FIELDS)
    numbers : ndarray of float64, shape (layers, NUMBERS)
    keys : ndarray of uint64
        Of the draws of dropout.
    parts : ndarray of uint64, shape (PARTS,)
        Addresses of the compiled functions, 0 for those that the network has no use for.
    parameters, gradients, state, work : ndarray, shape (size,)
        All parameters, their gradients, moving statistics, and what the passes write.
    trained : int
        How many parameters are real; constants that stand in for missing ones follow.
    capacity : int
        Examples that `work` has room for.
    """

    layers: IntArray
    numbers: FloatArray
    keys: IntArray
    parts: IntArray
    parameters: FloatArray
    gradients: FloatArray
    state: FloatArray
    work: FloatArray
    trained: int
    capacity: int


class Data(NamedTuple):
    """Examples: `x` (examples, size), `values` or `labels` (one is empty), `weights`."""

    x: FloatArray
    values: FloatArray
    labels: IntArray
    weights: FloatArray


class Target(NamedTuple):
    """Loss and metrics by number, with their parameters; the layer below which nothing learns."""

    loss: int
    loss_parameters: FloatArray
    metrics: IntArray
    metric_parameters: FloatArray
    smallest: int


class Training(NamedTuple):
    """How to train: the optimizer with what it remembers, and the order of the examples.

    `limit` is that of each element of a gradient, `norm_limit` that of the norm of all; `key` that
    of the order.
    """

    optimizer: int
    hyper: FloatArray
    first: FloatArray
    second: FloatArray
    weight_decay: float
    limit: float
    norm_limit: float
    batch_size: int
    shuffle: bool
    key: np.uint64
    stop_at_nan: bool


class Batch(NamedTuple):
    """Targets and results of a batch: `losses` (capacity,), `scores` (metrics, capacity).

    `order` is that of all examples; `sums` is scratch, a number for each block of parameters.
    """

    values: FloatArray
    labels: IntArray
    weights: FloatArray
    losses: FloatArray
    scores: FloatArray
    order: IntArray
    sums: FloatArray
