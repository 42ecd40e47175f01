"""Passes forward and back through a Keras model, on the backends jax and torch."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import keras

from fastinit.lab.subjects import direction
from fastinit.lab.subjects.keras_layers import main_place
from fastinit.lab.subjects.keras_trace import Tape, output_of

if TYPE_CHECKING:
    from fastinit.lab.subjects.keras import KerasSubject

__all__ = ["PASSES"]

FEW = 8
"""Gradients through time are of so many examples, where they need a pass of their own."""


class _Pass:
    """A forward and a backward pass with one choice of layers and loss.

    Called with the values of the variables that are trained, of the others, and the examples, it
    returns the loss and, for each row, what figures are made of; without `look` the
    loss and the gradients by the variables.
    """

    def __init__(self, subject: KerasSubject, loss: Any, look: bool) -> None:
        self.subject, self.loss, self.look = subject, loss, look
        self.tape: Any = None

    def trace(self, trained: Any, others: Any, x: Any) -> Tape:
        """Return what runs for such examples."""
        raise NotImplementedError

    def seen(self, tape: Tape, by_variables: Any, by_tensors: Any) -> dict[str, dict[str, Any]]:
        """Return of each row its output and the gradients by it, by its kernel, through time."""
        trained = self.subject.split()[0]
        places = {id(variable): number for number, variable in enumerate(trained)}
        tape.added = set(tape.gaps)  # which are none is known when the pass has run
        found = {}
        for row in tape.rows():
            call, main = tape.calls[row.call], main_place(row.layer)
            one = {"outputs": tape.tensors[row.tensor], "gradient": by_tensors[row.tensor]}
            if main is not None and id(main.variable) in places:
                one["kernel"] = by_variables[places[id(main.variable)]]
            if call.sequences is not None:
                one["through_time"] = by_tensors[call.sequences]
            elif row.call in tape.times:
                one["through_time"] = tape.times[row.call]
            found[row.name] = {name: value for name, value in one.items() if value is not None}
        return found


class _TorchPass(_Pass):
    def trace(self, trained: Any, others: Any, x: Any) -> Tape:
        """Return what runs for such examples, without a way back."""
        import torch

        tape = Tape(_no_tap, _no_times)
        with torch.no_grad():
            self.subject.run(tape, trained, others, x, None, None)
        return _kept(tape)

    def __call__(self, trained: Any, others: Any, x: Any, y: Any) -> Any:
        import torch

        leaves = [tensor.detach().requires_grad_() for tensor in trained]
        tape = Tape(_torch_tap if self.look else _no_tap, _torch_through_time)
        with torch.enable_grad():
            loss = self.subject.run(tape, leaves, others, x, y, self.loss)
            wanted = [*leaves, *tape.tensors] if self.look else leaves
            found = torch.autograd.grad(loss, wanted, allow_unused=True)
        with torch.no_grad():
            if not self.look:
                pairs = zip(leaves, found, strict=True)
                return loss, [torch.zeros_like(a) if b is None else b for a, b in pairs]
            seen = self.seen(tape, found[: len(leaves)], found[len(leaves) :])
            gaps = dict(tape.gaps)
        tape.forget()
        self.tape = tape
        return loss, (seen, gaps)


def _torch_tap(number: int, tensor: Any) -> Any:
    """Return the tensor; a new leaf where nothing before it learns."""
    # A view, since two layers may read what is one tensor.
    return tensor.view_as(tensor) if tensor.requires_grad else tensor.detach().requires_grad_()


def _torch_through_time(layer: Any, call: Any, args: Any, kwargs: Any) -> Any:
    import torch

    args, kwargs = _fewer(layer, args, kwargs)
    sequences = args[0].detach().requires_grad_()
    with torch.enable_grad():
        last = _last_step(layer, call(sequences, *args[1:], **kwargs))
        wanted = keras.ops.convert_to_tensor(direction(tuple(last.shape)))
        (gradient,) = torch.autograd.grad((last * wanted).sum(), sequences)
    return gradient


class _JaxPass(_Pass):
    _compiled: Any = None

    def __call__(self, trained: Any, others: Any, x: Any, y: Any) -> Any:
        import jax

        if self._compiled is None:
            shapes = self._shapes(trained, others, x, y)
            self._compiled = jax.jit(partial(self._differentiate, shapes))
        return self._compiled(trained, others, x, y)

    def trace(self, trained: Any, others: Any, x: Any) -> Tape:
        """Return what runs for such examples, without running it."""
        import jax

        tape = Tape(_no_tap, _no_times)
        jax.eval_shape(partial(self.subject.run, tape, loss=None), trained, others, x, None)
        return _kept(tape)

    def _shapes(self, *values: Any) -> list[Any]:
        """Return shapes and dtypes of what the layers put out."""
        import jax

        found: list[Any] = []

        def tap(number: int, tensor: Any) -> Any:
            found.append(jax.ShapeDtypeStruct(tensor.shape, tensor.dtype))
            return tensor

        if self.look:
            jax.eval_shape(partial(self.subject.run, Tape(tap, _no_times), loss=self.loss), *values)
        return found

    def _differentiate(self, shapes: list[Any], trained: Any, others: Any, x: Any, y: Any) -> Any:
        import jax

        def run(trained: Any, taps: list[Any]) -> Any:
            tap = _no_tap if not self.look else lambda i, tensor: tensor + taps[i]
            tape = Tape(tap, _jax_through_time)
            loss = self.subject.run(tape, trained, others, x, y, self.loss)
            kept.append(tape)
            return loss, (tape.tensors, tape.gaps, tape.times)

        kept: list[Tape] = []
        zeros = [jax.numpy.zeros(shape.shape, shape.dtype) for shape in shapes]
        differentiate = jax.value_and_grad(run, (0, 1), has_aux=True)
        (loss, aux), (by_variables, by_tensors) = differentiate(trained, zeros)
        tape = kept[-1]
        tape.tensors, tape.gaps, tape.times = aux
        if not self.look:
            return loss, by_variables
        seen, gaps = self.seen(tape, by_variables, by_tensors), dict(tape.gaps)
        tape.forget()
        self.tape = tape
        return loss, (seen, gaps)


def _jax_through_time(layer: Any, call: Any, args: Any, kwargs: Any) -> Any:
    import jax

    args, kwargs = _fewer(layer, args, kwargs)

    def total(sequences: Any) -> Any:
        last = _last_step(layer, call(sequences, *args[1:], **kwargs))
        return (last * direction(tuple(last.shape))).sum()

    return jax.lax.stop_gradient(jax.grad(total)(args[0]))


PASSES = {"jax": _JaxPass, "torch": _TorchPass}


def _no_tap(number: int, tensor: Any) -> Any:
    return tensor


def _no_times(*call: Any) -> None:
    """Leave the gradients through time out."""


def _kept(tape: Tape) -> Tape:
    """Return a tape without its tensors; blocks count as additions where they may be."""
    tape.added = set(tape.gaps)
    tape.forget()
    return tape


def _fewer(layer: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """Return the arguments of a recurrent layer for a few examples alone."""
    if layer.stateful:
        return args, kwargs
    is_tensor = keras.ops.is_tensor
    fewer: tuple[Any, Any] = keras.tree.map_structure(
        lambda one: one[:FEW] if is_tensor(one) else one, (args, kwargs)
    )
    return fewer


def _last_step(layer: Any, made: Any) -> Any:
    output = output_of(made)
    return output[:, -1] if layer.return_sequences else output
