"""One pass through a network, layer by layer if need be, to look at what it computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastinit.kernels.dropout import SCRATCH
from fastinit.kernels.jit import FloatArray
from fastinit.nn.compiled import engine, table
from fastinit.nn.compiled.parts import judge
from fastinit.nn.compiled.table import Batch, Target
from fastinit.nn.program import compile_program, lowest_that_learns

if TYPE_CHECKING:
    from fastinit.nn.network import Sequential

__all__ = ["Pass"]


class Pass:
    """A batch on its way through a built network.

    Parameters
    ----------
    network : Sequential
        The network. Its parameters are used where they are; its moving statistics stay as they are.
    x : ndarray, shape (examples, ...)
        Checked features.
    training : bool, default False
        Whether to compute as in a step of training: with the statistics of the batch, and with the
        mask of dropout of the step that comes next. Only then can it go backward.
    left_out : int, default -1
        An activation that the last layer leaves out.
    """

    def __init__(
        self, network: Sequential, x: FloatArray, training: bool = False, left_out: int = -1
    ) -> None:
        self.examples, self.training, self.step = len(x), training, network.steps
        program = compile_program(
            network.layers,
            network.shapes,
            network.memory,
            network.key,
            max(1, len(x)),
            training=training,
            keep=True,
            left_out=left_out,
        )
        self.program = program._replace(state=program.state.copy())
        self.program.work[: x.size] = x.reshape(x.size)
        self._counter, self._words = np.zeros(1, np.int64), np.empty(SCRATCH, np.uint32)
        self._shapes = [
            (self.examples, *shape) for shape in (*network.shapes, network.output_shape)
        ]

    def forward(self, first: int = 0, last: int | None = None) -> None:
        """Compute the layers from `first` to `last`, excluded, all by default."""
        last = len(self.program.layers) if last is None else last
        engine.run_forward(
            self.program, first, last, self.examples, self.step, self._counter, 0, 0, 1, self._words
        )

    def inputs(self, layer: int) -> FloatArray:
        """Return the inputs of a layer, where they stand."""
        return self._array(layer, table.X, self._shapes[layer])

    def pre_activations(self, layer: int) -> FloatArray:
        """Return what a layer gives its activation; its outputs where it has none."""
        kind = self.program.layers[layer, table.KIND]
        field = {table.DENSE: table.Z, table.ACTIVATION: table.X}.get(int(kind), table.OUT)
        return self._array(layer, field, self._shapes[layer + 1])

    def outputs(self, layer: int) -> FloatArray:
        """Return the outputs of a layer, where they stand."""
        return self._array(layer, table.OUT, self._shapes[layer + 1])

    def output_gradients(self, layer: int) -> FloatArray:
        """Return where the gradient of the loss in a layer's outputs stands."""
        return self._array(layer, table.GRAD_OUT, self._shapes[layer + 1])

    def judge(self, target: Target, batch: Batch) -> float:
        """Return the mean loss, and write its gradient for `backward`."""
        judge(self.program, target, batch, 1.0 / self.examples, 0, self.examples)
        return engine.total(batch.losses, self.examples) / self.examples

    def backward(self) -> None:
        """Compute all gradients from that of the last layer's outputs."""
        smallest = lowest_that_learns(self.program.layers)
        arguments = self.program, smallest, self.examples, self.step
        engine.run_backward(*arguments, self._counter, 0, 0, 1, self._words)
        engine.parameter_gradients(*arguments, 0, 1, self._words)
        engine.add_penalties(self.program, smallest)

    def _array(self, layer: int, field: int, shape: tuple[int, ...]) -> NDArray[Any]:
        start = int(self.program.layers[layer, field])
        return self.program.work[start : start + int(np.prod(shape))].reshape(shape)
