"""From a network to the table of layers that the engine walks over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastinit.kernels.activations import LINEAR, SAVES_INPUT
from fastinit.kernels.jit import FloatArray, IntArray
from fastinit.nn.compiled import table
from fastinit.nn.compiled.parts import addresses
from fastinit.nn.compiled.table import Program
from fastinit.sampling.memory import aligned

if TYPE_CHECKING:
    from fastinit.nn.layers import Layer, Regularizer

__all__ = ["Memory", "Row", "compile_program", "lowest_that_learns"]

ALIGNMENT = 16  # elements: arrays begin on cache lines, and no two threads write to one


class Memory:
    """All parameters, gradients and statistics of a network, each in one flat array.

    Behind the parameters stand constants in the place of those that layers do without: ones where
    there is no gamma, zeros where there is no bias. Their gradients have room and no use.

    Parameters
    ----------
    layers : sequence of Layer
        The network's layers.
    shapes : sequence of tuple of int
        The shape of an example before each.
    dtype : numpy.dtype
        Of all arrays.

    Attributes
    ----------
    parameters, gradients, state : ndarray, shape (size,)
        The arrays.
    trained : int
        How many parameters are real.
    """

    def __init__(
        self, layers: Sequence[Layer], shapes: Sequence[tuple[int, ...]], dtype: np.dtype[Any]
    ) -> None:
        self._starts: dict[tuple[Layer, str], int] = {}
        sizes = [0, 0]
        named = [
            (layer, layer.parameter_shapes(shape), layer.state_shapes(shape))
            for layer, shape in zip(layers, shapes, strict=True)
        ]
        for layer, *groups in named:
            for which, group in enumerate(groups):
                for name, shape in group.items():
                    self._starts[layer, name] = sizes[which]
                    sizes[which] += int(np.prod(shape))
        self.trained = sizes[0]
        constants: list[tuple[int, int, float]] = []
        for layer, shape in zip(layers, shapes, strict=True):
            for name, width in layer.constants(shape).items():
                self._starts[layer, name] = sizes[0]
                constants.append((sizes[0], width, float(name == "gamma")))
                sizes[0] += width
        self.parameters, self.gradients = (aligned((sizes[0],), dtype) for _ in range(2))
        self.state = aligned((sizes[1],), dtype)
        for array in (self.parameters, self.gradients, self.state):
            array[...] = 0
        for start, width, value in constants:
            self.parameters[start : start + width] = value
        self._named = named
        self.attach()

    def start(self, layer: Layer, name: str) -> int:
        """Return where an array begins."""
        return self._starts[layer, name]

    def attach(self) -> None:
        """Let the layers show their parts of the arrays."""
        for layer, parameters, states in self._named:
            views: list[dict[str, FloatArray]] = []
            for flat, group in (
                (self.parameters, parameters),
                (self.gradients, parameters),
                (self.state, states),
            ):
                views.append(
                    {
                        name: flat[start : start + int(np.prod(shape))].reshape(shape)
                        for name, shape in group.items()
                        for start in (self._starts[layer, name],)
                    }
                )
            layer.attach(views[0] | views[2], views[1])


class Row:
    """A layer's row in the table, while it is written: `Layer.describe` calls these.

    Attributes
    ----------
    fields : ndarray of int64, shape (table.FIELDS,)
    numbers : ndarray of float64, shape (table.NUMBERS,)
    training : bool
        Whether the program is for training.
    """

    def __init__(self, builder: _Builder, layer: Layer, fields: IntArray, numbers: FloatArray):
        self._builder, self.fields, self.numbers = builder, fields, numbers
        self.training = builder.training
        fields[table.X] = builder.output

    def set(self, kind: int, steps: int, inputs: int, units: int) -> None:
        """Say what the layer is, and how many rows and columns an example has."""
        self.fields[[table.KIND, table.STEPS, table.INPUTS, table.UNITS]] = (
            kind, steps, inputs, units,
        )  # fmt: skip

    def parameters(self, layer: Layer, kernel: str, bias: str, rows: int, columns: int) -> None:
        """Say where the parameters are: `rows` of them with the bias as the last."""
        memory = self._builder.memory
        starts = memory.start(layer, kernel), memory.start(layer, bias)
        self.fields[table.KERNEL], self.fields[table.BIAS] = starts
        learns = layer.trainable and min(starts) < memory.trained
        self.fields[table.ROWS] = rows if learns else 0
        self.fields[table.COLUMNS] = columns

    def penalty(self, regularizer: Regularizer, rows: int) -> None:
        """Say what penalty the first rows of the parameters have."""
        self.fields[table.PENALIZED] = rows
        self.numbers[table.L1], self.numbers[table.L2] = regularizer.l1, regularizer.l2

    def state(self, layer: Layer, name: str) -> None:
        """Say where the moving statistics begin."""
        self.fields[table.STATE] = self._builder.memory.start(layer, name)

    def draws(self, layer: Layer) -> None:
        """Give the layer a key of its own."""
        self.fields[table.KEY] = self._builder.key_of(layer)

    def activation(self, code: int, alpha: float, alone: bool = False) -> None:
        """Say which activation the outputs go through, and where its backward pass finds them."""
        code = LINEAR if code == self._builder.left_out else code
        self.fields[table.CODE], self.numbers[table.ALPHA] = code, alpha
        self.output()
        out = z = self.fields[table.OUT]
        if alone:
            z = self.fields[table.X]
        elif code in SAVES_INPUT or self._builder.keep:
            z = self._builder.take(self.fields[table.STEPS] * self.fields[table.UNITS])
        self.fields[table.Z], self.fields[table.TAKEN] = z, z if code in SAVES_INPUT else out

    def output(self) -> None:
        """Make room for the outputs."""
        self.rows_of_room(table.OUT, self.fields[table.STEPS] * self.fields[table.UNITS])

    def room(self, field: int, size: int) -> None:
        """Make room for a number of elements."""
        self.fields[field] = self._builder.take(size, examples=1)

    def rows_of_room(self, field: int, size: int) -> None:
        """Make room for a number of elements an example."""
        self.fields[field] = self._builder.take(size)

    def sequences(self, returned: bool) -> None:
        """Make room for hidden states, which are the outputs if all are returned."""
        size = self.fields[table.STEPS] * self.fields[table.UNITS]
        self.rows_of_room(table.HIDDEN, size)
        self.fields[table.OUT] = self.fields[table.HIDDEN]
        if not returned:
            self.rows_of_room(table.OUT, self.fields[table.UNITS])
            if self._builder.training:
                self.rows_of_room(table.GRAD_HIDDEN, size)

    def scratch(self, size: int, of_an_example: int) -> None:
        """Make room that each thread has for itself in the backward pass."""
        if self._builder.training:
            size += of_an_example * self._builder.capacity
            size += -size % ALIGNMENT
            self.fields[table.SCRATCH_SIZE] = size
            self.room(table.SCRATCH_AT, size * self._builder.threads)


class _Builder:
    """What the rows of one program share."""

    def __init__(
        self, memory: Memory, capacity: int, threads: int, training: bool, keep: bool
    ) -> None:
        self.memory, self.capacity, self.threads = memory, capacity, threads
        self.training, self.keep = training, keep
        self.left_out = -1  # the activation of the present layer that the loss computes itself
        self.output = 0  # of the layer before
        self.size = 0
        self.layers_with_keys: list[Layer] = []

    def take(self, size: int, examples: int | None = None) -> int:
        """Return where room for so many elements begins, for each of all examples by default."""
        start = self.size
        self.size += int(size) * (self.capacity if examples is None else examples)
        self.size += -self.size % ALIGNMENT
        return start

    def key_of(self, layer: Layer) -> int:
        """Return the number of a layer's key."""
        self.layers_with_keys.append(layer)
        return len(self.layers_with_keys) - 1


def compile_program(
    layers: Sequence[Layer],
    shapes: Sequence[tuple[int, ...]],
    memory: Memory,
    key: Any,
    capacity: int,
    *,
    threads: int = 1,
    training: bool = False,
    keep: bool = False,
    left_out: int = -1,
) -> Program:
    """Return the table of a network's layers, with room for what they compute.

    Parameters
    ----------
    layers : sequence of Layer
        The network's layers.
    shapes : sequence of tuple of int
        The shape of an example before each.
    memory : Memory
        Their parameters.
    key : callable
        ``key(name)`` is the key of the draws of that name.
    capacity : int
        Examples that are computed at once.
    threads : int, default 1
        How many may run the program together.
    training : bool, default False
        Whether to make room for gradients.
    keep : bool, default False
        Whether to keep the pre-activations of all layers.
    left_out : int, default -1
        An activation that the last layer is to leave out, because the loss takes its input.

    Returns
    -------
    Program
        The program.
    """
    builder = _Builder(memory, capacity, threads, training, keep)
    builder.take(int(np.prod(shapes[0])))
    rows = np.zeros((len(layers), table.FIELDS), np.int64)
    numbers = np.zeros((len(layers), table.NUMBERS), np.float64)
    for i, (layer, shape) in enumerate(zip(layers, shapes, strict=True)):
        builder.left_out = left_out if i == len(layers) - 1 else -1
        row = Row(builder, layer, rows[i], numbers[i])
        layer.describe(row, shape)
        builder.output = int(rows[i, table.OUT])
    if training:
        _make_room_for_gradients(builder, rows)
    keys = [key(f"{layer.name}.mask") for layer in builder.layers_with_keys]
    return Program(
        rows,
        numbers,
        np.array([int(k) for k in keys], np.uint64),
        addresses(set(rows[:, table.KIND].tolist()), memory.parameters.dtype, training),
        memory.parameters,
        memory.gradients,
        memory.state,
        aligned((builder.size,), memory.parameters.dtype),
        memory.trained,
        capacity,
    )


def lowest_that_learns(rows: IntArray) -> int:
    """Return the first layer of a table with parameters that learn: no gradient is wanted below."""
    learning = np.flatnonzero(rows[:, table.ROWS])
    return int(learning[0]) if learning.size else len(rows)


def _make_room_for_gradients(builder: _Builder, rows: NDArray[Any]) -> None:
    """Set where the gradient of each layer's output stands, and that of its input."""
    smallest = lowest_that_learns(rows)
    after = -1
    for i in range(len(rows) - 1, -1, -1):
        row = rows[i]
        if after < 0:
            after = builder.take(_output_size(row))
        row[table.GRAD_OUT] = after
        if row[table.OUT] == row[table.HIDDEN] and row[table.KIND] in RECURRENT:
            row[table.GRAD_HIDDEN] = after
        if row[table.KIND] in IN_PLACE:
            row[table.GRAD_X] = after
            continue
        row[table.GRAD_X] = -1
        if i > smallest:
            after = builder.take(row[table.STEPS] * row[table.INPUTS])
            row[table.GRAD_X] = after
        else:
            after = 0  # nobody asks for it


# Layers that turn the gradient of their output into that of their input, where it stands.
IN_PLACE = (table.ACTIVATION, table.DROPOUT)
RECURRENT = (table.RNN, table.LSTM, table.GRU)


def _output_size(row: NDArray[Any]) -> int:
    steps = 1 if row[table.OUT] != row[table.HIDDEN] and row[table.KIND] in RECURRENT else None
    return int((row[table.STEPS] if steps is None else steps) * row[table.UNITS])
