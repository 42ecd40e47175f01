"""Recurrent layers, forward and backward through time, written into arrays that the caller gives.

A batch of sequences has the shape ``(batch, time, features)`` and a layer's hidden states, which
are its output, ``(batch, time, units)``; the state before the first step is 0. `kernel` has the
shape ``(features, columns)`` and `recurrent_kernel` ``(units, columns)``, with a block of `units`
columns for each gate. Blocks are in the order of Keras, and `gates` holds one more for the GRU:

====== ========================= =============== ============= ===============================
cell   columns of the kernels    bias            gates         PyTorch's blocks
====== ========================= =============== ============= ===============================
simple one block                 (units,)        not kept      the same
LSTM   i, f, c, o                (4 * units,)    i, f, c, o    the same (its g is c)
GRU    z, r, h                   (2, 3 * units)  z, r, q, h    r, z, n: swap the first two
====== ========================= =============== ============= ===============================

PyTorch's ``weight_ih`` and ``weight_hh`` are `kernel` and `recurrent_kernel` transposed. Its
``bias_ih`` and ``bias_hh`` are the two rows of a GRU's bias; elsewhere bias is their sum. The GRU
is that of PyTorch, of cuDNN and of Keras with ``reset_after=True``.

Training takes four calls. The forward pass leaves in `gates` what the backward pass needs, which
puts in its place the gradient of the loss in what entered the gates. From that
`recurrent_backward_parameters` makes the gradients of the parameters and, where the layer below
wants it, `recurrent_backward_inputs` that of the inputs.

Each example of a batch is computed alone, but for the gradients of the parameters. So threads may
share a batch: each takes the examples ``[a:b]`` of all arrays that have them and a workspace of its
own; then rows of the parameters' gradients. The results are the same, bit for bit.

All arrays are C-contiguous, and those of a call all float32 or all float64. Batch and time may be
0. An output array may not overlap any other argument. A NaN stays a NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from fastinit.errors import ArgumentError
from fastinit.kernels.elementary import sigmoid, tanh
from fastinit.kernels.jit import FloatArray, intrinsic, njit
from fastinit.kernels.matmul import matmul, matmul_transposed, transpose
from fastinit.sampling.jit import inlined

__all__ = [
    "gru_backward",
    "gru_forward",
    "lstm_backward",
    "lstm_forward",
    "recurrent_backward_inputs",
    "recurrent_backward_parameters",
    "rnn_backward",
    "rnn_forward",
]

Shape2 = tuple[int, int]
Shape3 = tuple[int, int, int]


@njit
def rnn_forward(
    x: FloatArray,
    kernel: FloatArray,
    recurrent_kernel: FloatArray,
    bias: FloatArray,
    relu: bool,
    hidden: FloatArray,
) -> None:
    """Run a simple recurrent layer over a batch of sequences.

    With f = tanh or relu, at each step t::

        hidden[t] = f(x[t] @ kernel + hidden[t - 1] @ recurrent_kernel + bias)

    Parameters
    ----------
    x : ndarray, shape (batch, time, features)
        The sequences, C-contiguous, float32 or float64.
    kernel : ndarray, shape (features, units)
        Weights of the inputs, of the same dtype, as are all that follow.
    recurrent_kernel : ndarray, shape (units, units)
        Weights of the hidden state.
    bias : ndarray, shape (units,)
        Biases.
    relu : bool
        Whether f is relu; it is tanh otherwise.
    hidden : ndarray, shape (batch, time, units)
        Overwritten with the hidden states of all steps.

    Raises
    ------
    ArgumentError
        If the shapes do not fit one another.

    References
    ----------
    Elman, "Finding Structure in Time", Cognitive Science 14 (1990).

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> x, one, hidden = numpy.ones((1, 3, 1)), numpy.ones((1, 1)), numpy.empty((1, 3, 1))
    >>> kernels.rnn_forward(x, one, one, numpy.array([0.5]), True, hidden)
    >>> hidden[0, :, 0].tolist()
    [1.5, 3.0, 4.5]
    """
    _, time, units = hidden.shape
    _check_forward(x.shape, kernel.shape, recurrent_kernel.shape, hidden.shape, 1)
    if bias.size != units:
        raise ArgumentError("bias must have one element for each unit")
    for t in range(time):
        _enter(t, x, kernel, recurrent_kernel, hidden, hidden)
        _rnn_activate(t, hidden, bias, relu)


@njit
def rnn_backward(
    recurrent_kernel: FloatArray,
    relu: bool,
    hidden: FloatArray,
    grad_hidden: FloatArray,
    grad_gates: FloatArray,
    workspace: FloatArray,
) -> None:
    """Carry the gradient of the loss back through the steps of `rnn_forward`.

    Parameters
    ----------
    recurrent_kernel : ndarray, shape (units, units)
        Weights of the hidden state, C-contiguous, float32 or float64.
    relu : bool
        As in the forward pass.
    hidden : ndarray, shape (batch, time, units)
        What the forward pass wrote.
    grad_hidden : ndarray, shape (batch, time, units)
        Gradient of the loss in `hidden`: zeros but for the last step if only that one is used.
    grad_gates : ndarray, shape (batch, time, units)
        Overwritten with the gradient of the loss in the argument of f.
    workspace : ndarray, shape (size,)
        Scratch; size is at least ``recurrent_kernel.size + batch * units``.

    Raises
    ------
    ArgumentError
        If the shapes do not fit one another or `workspace` is too small.

    References
    ----------
    Werbos, "Backpropagation Through Time: What It Does and How to Do It", Proceedings of the IEEE
    78 (1990).

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> hidden, grad_hidden = numpy.ones((1, 3, 1)), numpy.array([[[0.0], [0.0], [1.0]]])
    >>> grad_gates, workspace = numpy.empty((1, 3, 1)), numpy.empty(2)
    >>> recurrent_kernel = numpy.array([[0.5]])
    >>> kernels.rnn_backward(recurrent_kernel, True, hidden, grad_hidden, grad_gates, workspace)
    >>> grad_gates[0, :, 0].tolist()
    [0.25, 0.5, 1.0]
    """
    batch, time, units = hidden.shape
    _check_backward(recurrent_kernel.shape, hidden.shape, grad_hidden.shape, grad_gates.shape, 1, 1)
    state = _start_backward(recurrent_kernel, batch * units, workspace)
    for t in range(time - 1, -1, -1):
        _rnn_differentiate(t, hidden, relu, grad_hidden, grad_gates, workspace, state)
        if t > 0:
            _backward_recurrent(t, grad_gates, recurrent_kernel.shape, workspace, False)


@njit
def lstm_forward(
    x: FloatArray,
    kernel: FloatArray,
    recurrent_kernel: FloatArray,
    bias: FloatArray,
    gates: FloatArray,
    cells: FloatArray,
    hidden: FloatArray,
) -> None:
    """Run a long short-term memory over a batch of sequences.

    At each step t, with the blocks of a row ``z[t]`` in the order i, f, c, o::

        z[t] = x[t] @ kernel + hidden[t - 1] @ recurrent_kernel + bias
        i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o)
        cells[t] = f * cells[t - 1] + i * tanh(z_c)
        hidden[t] = o * tanh(cells[t])

    Parameters
    ----------
    x : ndarray, shape (batch, time, features)
        The sequences, C-contiguous, float32 or float64.
    kernel : ndarray, shape (features, 4 * units)
        Weights of the inputs, of the same dtype, as are all that follow.
    recurrent_kernel : ndarray, shape (units, 4 * units)
        Weights of the hidden state.
    bias : ndarray, shape (4 * units,)
        Biases.
    gates : ndarray, shape (batch, time, 4 * units)
        Overwritten with i, f, tanh(z_c) and o, for the backward pass.
    cells : ndarray, shape (batch, time, units)
        Overwritten with the cells' states.
    hidden : ndarray, shape (batch, time, units)
        Overwritten with the hidden states.

    Raises
    ------
    ArgumentError
        If the shapes do not fit one another.

    References
    ----------
    Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 9 (1997); with the
    forget gate of Gers, Schmidhuber and Cummins, "Learning to Forget", Neural Computation 12
    (2000).

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> x, kernel, bias = numpy.ones((1, 2, 1)), numpy.zeros((1, 4)), numpy.array([50.0, 50, 1, 50])
    >>> gates, cells, hidden = (numpy.empty((1, 2, n)) for n in (4, 1, 1))
    >>> kernels.lstm_forward(x, kernel, kernel, bias, gates, cells, hidden)
    >>> cells[0, :, 0].round(3).tolist(), hidden[0, :, 0].round(3).tolist()
    ([0.762, 1.523], [0.642, 0.909])
    """
    batch, time, units = hidden.shape
    _check_forward(x.shape, kernel.shape, recurrent_kernel.shape, hidden.shape, 4)
    if bias.size != 4 * units:
        raise ArgumentError("bias must have four elements for each unit")
    if gates.shape != (batch, time, 4 * units) or cells.shape != hidden.shape:
        raise ArgumentError("gates must have the shape (batch, time, 4 * units), cells of hidden")
    for t in range(time):
        _enter(t, x, kernel, recurrent_kernel, hidden, gates)
        _lstm_activate(t, gates, cells, hidden, bias)


@njit
def lstm_backward(
    recurrent_kernel: FloatArray,
    cells: FloatArray,
    grad_hidden: FloatArray,
    gates: FloatArray,
    workspace: FloatArray,
) -> None:
    """Carry the gradient of the loss back through the steps of `lstm_forward`.

    Parameters
    ----------
    recurrent_kernel : ndarray, shape (units, 4 * units)
        Weights of the hidden state, C-contiguous, float32 or float64.
    cells : ndarray, shape (batch, time, units)
        What the forward pass wrote.
    grad_hidden : ndarray, shape (batch, time, units)
        Gradient of the loss in the hidden states: zeros but for the last step if only that one is
        used.
    gates : ndarray, shape (batch, time, 4 * units)
        What the forward pass wrote; overwritten with the gradient of the loss in ``z``.
    workspace : ndarray, shape (size,)
        Scratch; size is at least ``recurrent_kernel.size + 2 * batch * units``.

    Raises
    ------
    ArgumentError
        If the shapes do not fit one another or `workspace` is too small.

    References
    ----------
    Werbos, "Backpropagation Through Time: What It Does and How to Do It", Proceedings of the IEEE
    78 (1990).

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> recurrent_kernel, gates = numpy.ones((1, 4)), numpy.full((1, 1, 4), 0.5)
    >>> cells, grad_hidden = numpy.zeros((1, 1, 1)), numpy.ones((1, 1, 1))
    >>> kernels.lstm_backward(recurrent_kernel, cells, grad_hidden, gates, numpy.empty(6))
    >>> gates[0, 0].tolist()
    [0.0625, 0.0, 0.1875, 0.0]
    """
    batch, time, units = grad_hidden.shape
    _check_backward(recurrent_kernel.shape, cells.shape, grad_hidden.shape, gates.shape, 4, 4)
    state = _start_backward(recurrent_kernel, 2 * batch * units, workspace)
    for t in range(time - 1, -1, -1):
        _lstm_differentiate(t, gates, cells, grad_hidden, workspace, state, state + batch * units)
        if t > 0:
            _backward_recurrent(t, gates, recurrent_kernel.shape, workspace, False)


@njit
def gru_forward(
    x: FloatArray,
    kernel: FloatArray,
    recurrent_kernel: FloatArray,
    bias: FloatArray,
    gates: FloatArray,
    hidden: FloatArray,
) -> None:
    """Run a layer of gated recurrent units over a batch of sequences.

    At each step t, with the blocks of `kernel`, `recurrent_kernel` and of both rows of `bias` in
    the order z, r, h::

        a[t] = x[t] @ kernel + bias[0]
        b[t] = hidden[t - 1] @ recurrent_kernel + bias[1]
        z, r, q = sigmoid(a_z + b_z), sigmoid(a_r + b_r), b_h
        candidate = tanh(a_h + r * q)
        hidden[t] = z * hidden[t - 1] + (1 - z) * candidate

    The paper multiplies the hidden state by r before the product with `recurrent_kernel`; this is
    the form of cuDNN, of PyTorch and of Keras with ``reset_after=True``.

    Parameters
    ----------
    x : ndarray, shape (batch, time, features)
        The sequences, C-contiguous, float32 or float64.
    kernel : ndarray, shape (features, 3 * units)
        Weights of the inputs, of the same dtype, as are all that follow.
    recurrent_kernel : ndarray, shape (units, 3 * units)
        Weights of the hidden state.
    bias : ndarray, shape (2, 3 * units)
        Biases of the inputs' and of the hidden state's share.
    gates : ndarray, shape (batch, time, 4 * units)
        Overwritten with z, r, q and the candidate, for the backward pass.
    hidden : ndarray, shape (batch, time, units)
        Overwritten with the hidden states.

    Raises
    ------
    ArgumentError
        If the shapes do not fit one another.

    References
    ----------
    Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
    Translation", arXiv:1406.1078.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> x, kernel, bias = numpy.ones((1, 2, 1)), numpy.zeros((1, 3)), numpy.zeros((2, 3))
    >>> bias[0, 2] = 50.0
    >>> gates, hidden = numpy.empty((1, 2, 4)), numpy.empty((1, 2, 1))
    >>> kernels.gru_forward(x, kernel, kernel, bias, gates, hidden)
    >>> hidden[0, :, 0].round(3).tolist()
    [0.5, 0.75]
    """
    batch, time, units = hidden.shape
    _check_forward(x.shape, kernel.shape, recurrent_kernel.shape, hidden.shape, 3)
    if bias.shape != (2, 3 * units):
        raise ArgumentError("bias must have the shape (2, 3 * units)")
    if gates.shape != (batch, time, 4 * units):
        raise ArgumentError("gates must have the shape (batch, time, 4 * units)")
    for t in range(time):
        _gru_prepare(t, gates, bias)
        _enter(t, x, kernel, recurrent_kernel, hidden, gates)
        _gru_activate(t, gates, hidden, bias)


@njit
def gru_backward(
    recurrent_kernel: FloatArray,
    hidden: FloatArray,
    grad_hidden: FloatArray,
    gates: FloatArray,
    workspace: FloatArray,
) -> None:
    """Carry the gradient of the loss back through the steps of `gru_forward`.

    Parameters
    ----------
    recurrent_kernel : ndarray, shape (units, 3 * units)
        Weights of the hidden state, C-contiguous, float32 or float64.
    hidden : ndarray, shape (batch, time, units)
        What the forward pass wrote.
    grad_hidden : ndarray, shape (batch, time, units)
        Gradient of the loss in `hidden`: zeros but for the last step if only that one is used.
    gates : ndarray, shape (batch, time, 4 * units)
        What the forward pass wrote; overwritten with the gradient of the loss in ``a_z + b_z``,
        ``a_r + b_r``, ``b_h`` and ``a_h``.
    workspace : ndarray, shape (size,)
        Scratch; size is at least ``recurrent_kernel.size + 2 * batch * units``.

    Raises
    ------
    ArgumentError
        If the shapes do not fit one another or `workspace` is too small.

    References
    ----------
    Werbos, "Backpropagation Through Time: What It Does and How to Do It", Proceedings of the IEEE
    78 (1990).

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> recurrent_kernel, gates = numpy.ones((1, 3)), numpy.full((1, 1, 4), 0.5)
    >>> hidden, grad_hidden = numpy.ones((1, 1, 1)), numpy.ones((1, 1, 1))
    >>> kernels.gru_backward(recurrent_kernel, hidden, grad_hidden, gates, numpy.empty(5))
    >>> gates[0, 0].tolist()
    [-0.125, 0.046875, 0.1875, 0.375]
    """
    batch, time, units = hidden.shape
    _check_backward(recurrent_kernel.shape, hidden.shape, grad_hidden.shape, gates.shape, 3, 4)
    state = _start_backward(recurrent_kernel, 2 * batch * units, workspace)
    for t in range(time - 1, -1, -1):
        _gru_differentiate(t, gates, hidden, grad_hidden, workspace, state, state + batch * units)
        if t > 0:
            _backward_recurrent(t, gates, recurrent_kernel.shape, workspace, True)


@njit
def recurrent_backward_inputs(
    kernel: FloatArray, grad_gates: FloatArray, grad_x: FloatArray
) -> None:
    """Write the gradient of the loss in the inputs of a recurrent layer.

    ``grad_x = grad_gates @ kernel.T``, where a GRU's block ``b_h`` is left out. It follows
    `rnn_backward`, `lstm_backward` or `gru_backward`.

    Parameters
    ----------
    kernel : ndarray, shape (features, columns)
        Weights of the inputs, C-contiguous, float32 or float64.
    grad_gates : ndarray, shape (batch, time, columns) or (batch, time, columns + units)
        What the backward pass wrote; the wider form is the GRU's.
    grad_x : ndarray, shape (batch, time, features)
        Overwritten with the gradient in `x`.

    Raises
    ------
    ArgumentError
        If the shapes do not fit one another.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> kernel, grad_gates, grad_x = numpy.eye(2), numpy.ones((1, 3, 2)), numpy.empty((1, 3, 2))
    >>> kernels.recurrent_backward_inputs(kernel, grad_gates, grad_x)
    >>> grad_x.tolist()
    [[[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]]
    """
    features, columns = kernel.shape
    batch, time, width = grad_gates.shape
    if grad_x.shape != (batch, time, features):
        raise ArgumentError("grad_x must have the shape (batch, time, features)")
    if width != columns and 3 * width != 4 * columns:
        raise ArgumentError("grad_gates must be as wide as kernel, or a third wider")
    k, g, out = (
        kernel.reshape(kernel.size),
        grad_gates.reshape(grad_gates.size),
        grad_x.reshape(grad_x.size),
    )
    rows, extra = batch * time, width - columns
    shared = columns - extra
    matmul_transposed(
        rows, features, shared, g, 0, width, 1, k, 0, columns, out, 0, features, False
    )
    if extra:
        matmul_transposed(
            rows, features, extra, g, columns, width, 1, k, shared, columns, out, 0, features, True
        )


@njit
def recurrent_backward_parameters(
    x: FloatArray,
    hidden: FloatArray,
    grad_gates: FloatArray,
    first: int,
    last: int,
    grad_kernel: FloatArray,
    grad_recurrent_kernel: FloatArray,
    grad_bias: FloatArray,
) -> None:
    """Write the gradients of the loss in the parameters of a recurrent layer.

    Summed over the batch and over the steps t, ``grad_kernel`` is the sum of ``x[t].T @
    grad_gates[t]``, ``grad_recurrent_kernel`` that of ``hidden[t - 1].T @ grad_gates[t]`` and
    ``grad_bias`` that of ``grad_gates[t]``; of a GRU's blocks z, r, q, h the first and the first
    row of the last take z, r, h, the others z, r, q. It follows `rnn_backward`, `lstm_backward` or
    `gru_backward`.

    Threads may share the work: think of the three stacked, the kernel's rows above the recurrent
    kernel's and the bias as one row below. A call writes rows `first` to `last` - 1 of them.

    Parameters
    ----------
    x : ndarray, shape (batch, time, features)
        The sequences, C-contiguous, float32 or float64.
    hidden : ndarray, shape (batch, time, units)
        What the forward pass wrote.
    grad_gates : ndarray, shape (batch, time, columns) or (batch, time, columns + units)
        What the backward pass wrote; the wider form is the GRU's.
    first, last : int
        The rows to write; 0 and features + units + 1 for all.
    grad_kernel : ndarray, shape (features, columns)
        Overwritten with the gradient in `kernel`.
    grad_recurrent_kernel : ndarray, shape (units, columns)
        Overwritten with the gradient in `recurrent_kernel`.
    grad_bias : ndarray, shape (columns,) or (2, columns)
        Overwritten with the gradient in the bias; the latter form is the GRU's.

    Raises
    ------
    ArgumentError
        If the shapes do not fit one another or the rows do not exist.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import kernels
    >>> x, hidden = numpy.array([[[1.0], [2.0]]]), numpy.array([[[3.0], [4.0]]])
    >>> grad_gates, bias = numpy.array([[[5.0], [6.0]]]), numpy.empty(1)
    >>> kernel, recurrent_kernel = numpy.empty((1, 1)), numpy.empty((1, 1))
    >>> kernels.recurrent_backward_parameters(
    ...     x, hidden, grad_gates, 0, 3, kernel, recurrent_kernel, bias
    ... )
    >>> kernel.tolist(), recurrent_kernel.tolist(), bias.tolist()
    ([[17.0]], [[18.0]], [11.0])
    """
    batch, time, features = x.shape
    units = hidden.shape[2]
    columns, width = grad_kernel.shape[1], grad_gates.shape[2]
    extra = width - columns
    if hidden.shape[:2] != (batch, time) or grad_gates.shape[:2] != (batch, time):
        raise ArgumentError("x, hidden and grad_gates must have the same batch and time")
    if extra != 0 and (width != 4 * units or columns != 3 * units):
        raise ArgumentError("grad_gates must be as wide as grad_kernel, or a third wider")
    if grad_kernel.shape[0] != features or grad_recurrent_kernel.shape != (units, columns):
        raise ArgumentError("grad_kernel and grad_recurrent_kernel do not fit x and hidden")
    if grad_bias.size != (2 * columns if extra else columns):
        raise ArgumentError("grad_bias must have columns elements, 2 * columns for a GRU")
    if not 0 <= first <= last <= features + units + 1:
        raise ArgumentError("first and last must be rows, at most features + units + 1")
    rows, shared = batch * time, columns - extra
    xs, h, g = x.reshape(x.size), hidden.reshape(hidden.size), grad_gates.reshape(grad_gates.size)
    out = grad_kernel.reshape(grad_kernel.size)
    end = min(last, features)
    if first < end:
        m, at = end - first, first * columns
        matmul(m, shared, rows, xs, first, 1, features, g, 0, width, out, at, columns, False)
        if extra:
            matmul(
                m, extra, rows, xs, first, 1, features, g, columns, width,
                out, at + shared, columns, False,
            )  # fmt: skip
    start, end = max(first, features) - features, min(last, features + units) - features
    out = grad_recurrent_kernel.reshape(grad_recurrent_kernel.size)
    if start < end:
        m, at = end - start, start * columns
        out[at : end * columns] = 0
        for i in range(batch):
            before, after = i * time * units + start, (i * time + 1) * width
            matmul(
                m, columns, time - 1, h, before, 1, units, g, after, width, out, at, columns, True
            )
    if first <= features + units < last:
        total = grad_bias.reshape(grad_bias.size)
        zero: Any = np.int64(0)  # Numba would compile a function once more for a literal
        _sum_columns(g, rows, width, zero, shared, total, zero)
        if extra:
            _sum_columns(g, rows, width, columns, extra, total, shared)
            _sum_columns(g, rows, width, zero, columns, total, columns)


@inlined
def _check_forward(
    x: Shape3, kernel: Shape2, recurrent_kernel: Shape2, hidden: Shape3, blocks: int
) -> None:
    batch, time, units = hidden
    if x[0] != batch or x[1] != time:
        raise ArgumentError("x must have the batch and the time of hidden")
    if kernel != (x[2], blocks * units):
        raise ArgumentError("kernel must have the shape (features, blocks of gates * units)")
    if recurrent_kernel != (units, blocks * units):
        raise ArgumentError("recurrent_kernel must have the shape (units, blocks of gates * units)")


@inlined
def _check_backward(
    recurrent_kernel: Shape2,
    hidden: Shape3,
    grad_hidden: Shape3,
    gates: Shape3,
    blocks: int,
    kept: int,
) -> None:
    batch, time, units = hidden
    if grad_hidden != hidden:
        raise ArgumentError("grad_hidden must have the shape of the hidden states")
    if gates != (batch, time, kept * units):
        raise ArgumentError("gates must have the shape (batch, time, blocks of gates * units)")
    if recurrent_kernel != (units, blocks * units):
        raise ArgumentError("recurrent_kernel must have the shape (units, blocks of gates * units)")


@inlined
def _enter(
    t: int,
    x: FloatArray,
    kernel: FloatArray,
    recurrent_kernel: FloatArray,
    hidden: FloatArray,
    gates: FloatArray,
) -> None:
    """gates[t] = x[t] @ kernel + hidden[t - 1] @ recurrent_kernel, but for the biases.

    Step by step, since a step's gates stay in the cache. The GRU's last block of `kernel` goes
    into a block of its own, behind that of the hidden state's share.
    """
    batch, time, features = x.shape
    units, columns = recurrent_kernel.shape
    row = gates.shape[2] * time
    extra = gates.shape[2] - columns
    shared, at = columns - extra, t * gates.shape[2]
    xs, h, g = x.reshape(x.size), hidden.reshape(hidden.size), gates.reshape(gates.size)
    k, u = kernel.reshape(kernel.size), recurrent_kernel.reshape(recurrent_kernel.size)
    x_at, x_row, h_at, h_row = t * features, time * features, (t - 1) * units, time * units
    matmul(batch, shared, features, xs, x_at, x_row, 1, k, 0, columns, g, at, row, False)
    if extra:
        matmul(
            batch, extra, features, xs, x_at, x_row, 1, k, shared, columns,
            g, at + columns, row, False,
        )  # fmt: skip
    if t > 0:
        matmul(batch, columns, units, h, h_at, h_row, 1, u, 0, columns, g, at, row, True)


@inlined
def _start_backward(recurrent_kernel: FloatArray, states: int, workspace: FloatArray) -> int:
    """Put the transposed recurrent kernel and states of 0 in the workspace; return their place."""
    units, columns = recurrent_kernel.shape
    size = recurrent_kernel.size
    if workspace.size < size + states:
        raise ArgumentError("workspace is too small")
    zero: Any = np.int64(0)  # Numba would compile a function once more for a literal
    transpose(units, columns, recurrent_kernel.reshape(size), zero, columns, workspace, zero, units)
    workspace[size : size + states] = 0
    return size


@inlined
def _backward_recurrent(
    t: int, gates: FloatArray, shape: Shape2, workspace: FloatArray, accumulate: bool
) -> None:
    """State in the workspace (+)= gates[t] @ recurrent_kernel.T."""
    units, columns = shape
    batch, time, width = gates.shape
    g, at, state = gates.reshape(gates.size), t * width, units * columns
    matmul(
        batch, units, columns, g, at, time * width, 1, workspace, 0, units,
        workspace, state, units, accumulate,
    )  # fmt: skip


@njit
def _sum_columns(
    g: FloatArray, rows: int, width: int, first: int, count: int, out: FloatArray, start: int
) -> None:
    out[start : start + count] = 0
    at, n = np.uint64(start), np.uint64(count)
    for row in range(rows):
        source = np.uint64(row * width + first)
        for j in range(n):
            out[at + j] += g[source + j]


# The rest is the work on one step of all examples. Each loop goes over few arrays with unsigned
# indices, so that LLVM can tell the arrays apart and vectorizes it; and over all examples before
# the next begins, so that the processor need not wait for one example's results.


@intrinsic
def _opaque(typing, number):
    """Return an integer as it is, without LLVM knowing.

    It may check once, for all examples, that what a loop writes does not overlap what it reads;
    which fails, since the blocks of the examples take turns. So it must check each example.
    """

    def codegen(context, builder, signature, arguments):
        kind = ir.FunctionType(arguments[0].type, [arguments[0].type])
        return builder.asm(kind, "", "=r,0", arguments, side_effect=False)

    return number(number), codegen


@inlined
def _start(block, n):
    """Return where a block of n elements begins."""
    return _opaque(np.uint64(block) * n)


@njit
def _rnn_activate(t: int, hidden: FloatArray, bias: FloatArray, relu: bool) -> None:
    batch, time, units = hidden.shape
    h, n, zero = hidden.reshape(hidden.size), np.uint64(units), hidden.dtype.type(0)
    for row in range(t, batch * time, time):
        at = _start(row, n)
        if relu:
            for j in range(n):
                z = h[at + j] + bias[j]
                h[at + j] = zero if z <= zero else z
        else:
            for j in range(n):
                h[at + j] = tanh(h[at + j] + bias[j])


@njit
def _rnn_differentiate(
    t: int,
    hidden: FloatArray,
    relu: bool,
    grad_hidden: FloatArray,
    grad_gates: FloatArray,
    states: FloatArray,
    grad_h: int,
) -> None:
    batch, time, units = hidden.shape
    h, grads = hidden.reshape(hidden.size), grad_hidden.reshape(hidden.size)
    gates, n = grad_gates.reshape(hidden.size), np.uint64(units)
    zero, one = hidden.dtype.type(0), hidden.dtype.type(1)
    for i in range(batch):
        at, dh = _start(i * time + t, n), np.uint64(grad_h + i * units)
        if relu:
            for j in range(n):
                grad = grads[at + j] + states[dh + j]
                gates[at + j] = zero if h[at + j] <= zero else grad
        else:
            for j in range(n):
                grad = grads[at + j] + states[dh + j]
                gates[at + j] = grad * (one - h[at + j] * h[at + j])


@njit
def _lstm_activate(
    t: int, gates: FloatArray, cells: FloatArray, hidden: FloatArray, bias: FloatArray
) -> None:
    batch, time, units = hidden.shape
    g, c, h = gates.reshape(gates.size), cells.reshape(cells.size), hidden.reshape(hidden.size)
    n, rows = np.uint64(units), range(t, batch * time, time)
    for row in rows:
        entry = _start(4 * row, n)
        for j in range(n + n):
            g[entry + j] = sigmoid(g[entry + j] + bias[j])
    for row in rows:
        candidate = _start(4 * row + 2, n)
        for j in range(n):
            g[candidate + j] = tanh(g[candidate + j] + bias[n + n + j])
    for row in rows:
        output = _start(4 * row + 3, n)
        for j in range(n):
            g[output + j] = sigmoid(g[output + j] + bias[n + n + n + j])
    for row in rows:
        at, entry, forget = _start(row, n), _start(4 * row, n), _start(4 * row + 1, n)
        candidate = forget + n
        for j in range(n):
            c[at + j] = g[entry + j] * g[candidate + j]
        if t > 0:
            for j in range(n):
                c[at + j] += g[forget + j] * c[at - n + j]
    for row in rows:
        at, output = _start(row, n), _start(4 * row + 3, n)
        for j in range(n):
            h[at + j] = g[output + j] * tanh(c[at + j])


@njit
def _lstm_differentiate(
    t: int,
    gates: FloatArray,
    cells: FloatArray,
    grad_hidden: FloatArray,
    states: FloatArray,
    grad_h: int,
    grad_c: int,
) -> None:
    batch, time, units = cells.shape
    g, c = gates.reshape(gates.size), cells.reshape(cells.size)
    grads = grad_hidden.reshape(cells.size)
    n, zero, one = np.uint64(units), gates.dtype.type(0), gates.dtype.type(1)
    for i in range(batch):
        row, dh, dc = i * time + t, np.uint64(grad_h + i * units), np.uint64(grad_c + i * units)
        at, output = _start(row, n), _start(4 * row + 3, n)
        for j in range(n):
            grad, squashed, o = grads[at + j] + states[dh + j], tanh(c[at + j]), g[output + j]
            states[dc + j] += grad * o * (one - squashed * squashed)
            g[output + j] = grad * squashed * (o * (one - o))
    for i in range(batch):
        dc = np.uint64(grad_c + i * units)
        entry, candidate = _start(4 * (i * time + t), n), _start(4 * (i * time + t) + 2, n)
        for j in range(n):
            a, b = g[entry + j], g[candidate + j]
            g[entry + j] = states[dc + j] * b * (a * (one - a))
            g[candidate + j] = states[dc + j] * a * (one - b * b)
    for i in range(batch):
        row, dc = i * time + t, np.uint64(grad_c + i * units)
        at, forget = _start(row, n), _start(4 * row + 1, n)
        if t > 0:
            for j in range(n):
                f, grad = g[forget + j], states[dc + j]
                g[forget + j] = grad * c[at - n + j] * (f * (one - f))
                states[dc + j] = grad * f
        else:
            for j in range(n):
                g[forget + j] = zero


@njit
def _gru_prepare(t: int, gates: FloatArray, bias: FloatArray) -> None:
    """Begin the hidden state's share of the candidate by its bias."""
    batch, time, width = gates.shape
    g, b, n = gates.reshape(gates.size), bias.reshape(bias.size), np.uint64(width // 4)
    last = n + n + n + n + n  # block of the bias
    for row in range(t, batch * time, time):
        share = _start(4 * row + 2, n)
        for j in range(n):
            g[share + j] = b[last + j]


@njit
def _gru_activate(t: int, gates: FloatArray, hidden: FloatArray, bias: FloatArray) -> None:
    batch, time, units = hidden.shape
    g, h, b = gates.reshape(gates.size), hidden.reshape(hidden.size), bias.reshape(bias.size)
    n, one = np.uint64(units), gates.dtype.type(1)
    rows, second = range(t, batch * time, time), n + n + n  # row of the bias
    for row in rows:
        update = _start(4 * row, n)
        for j in range(n + n):
            g[update + j] = sigmoid(g[update + j] + (b[j] + b[second + j]))
    for row in rows:
        reset, candidate = _start(4 * row + 1, n), _start(4 * row + 3, n)
        share = reset + n
        for j in range(n):
            entered = g[candidate + j] + b[n + n + j]
            g[candidate + j] = tanh(entered + g[reset + j] * g[share + j])
    for row in rows:
        at, update, candidate = _start(row, n), _start(4 * row, n), _start(4 * row + 3, n)
        for j in range(n):
            h[at + j] = (one - g[update + j]) * g[candidate + j]
        if t > 0:
            for j in range(n):
                h[at + j] += g[update + j] * h[at - n + j]


@njit
def _gru_differentiate(
    t: int,
    gates: FloatArray,
    hidden: FloatArray,
    grad_hidden: FloatArray,
    states: FloatArray,
    grad_h: int,
    spare: int,
) -> None:
    batch, time, units = hidden.shape
    g, h = gates.reshape(gates.size), hidden.reshape(hidden.size)
    grads = grad_hidden.reshape(hidden.size)
    n, one = np.uint64(units), gates.dtype.type(1)
    for i in range(batch):
        at, dh = _start(i * time + t, n), np.uint64(grad_h + i * units)
        difference, candidate = np.uint64(spare + i * units), _start(4 * (i * time + t) + 3, n)
        for j in range(n):
            states[dh + j] += grads[at + j]
        for j in range(n):
            states[difference + j] = -g[candidate + j]
        if t > 0:
            for j in range(n):
                states[difference + j] += h[at - n + j]
    for i in range(batch):
        dh, difference = np.uint64(grad_h + i * units), np.uint64(spare + i * units)
        update, candidate = _start(4 * (i * time + t), n), _start(4 * (i * time + t) + 3, n)
        for j in range(n):
            z, a, grad = g[update + j], g[candidate + j], states[dh + j]
            g[update + j] = grad * states[difference + j] * (z * (one - z))
            g[candidate + j] = grad * (one - z) * (one - a * a)
            states[dh + j] = grad * z
    for i in range(batch):
        reset, candidate = _start(4 * (i * time + t) + 1, n), _start(4 * (i * time + t) + 3, n)
        share = reset + n
        for j in range(n):
            r, product = g[reset + j], g[share + j]
            g[reset + j] = g[candidate + j] * product * (r * (one - r))
            g[share + j] = g[candidate + j] * r
