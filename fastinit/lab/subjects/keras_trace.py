"""What runs when a Keras model does: its layers' calls, and how they hang together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras
from keras import layers as kl

from fastinit.lab.subjects.keras_layers import (
    NORMALIZATIONS,
    activation_of,
    is_add,
    main_place,
    passes_on,
    places_of,
)

__all__ = ["Call", "Row", "Tape", "is_float", "output_of"]


@dataclass(eq=False)
class Call:
    """One call of a layer, or of an operation in a functional model."""

    name: str
    layer: Any
    sources: list[int | None]  # the calls that its inputs came from
    shape: tuple[int, ...]
    tensor: int  # which of the tape's tensors it put out
    activation: str | None
    alone: bool  # it is an activation and nothing else
    inside: range  # the calls inside of it
    steps: int | None = None
    sequences: int | None = None  # which of the tape's tensors a recurrent layer reads


@dataclass(frozen=True, eq=False)
class Row:
    """A layer that figures are made of, with the activation that was folded into it."""

    name: str
    kind: str
    layer: Any
    call: int
    tensor: int
    activation: str | None
    shape: tuple[int, ...]


@dataclass(eq=False)
class Tape:
    """Notes what the layers put out while a model runs.

    Parameters
    ----------
    tap : callable
        ``tap(number, tensor)`` returns a tensor of the same value, by which the gradient is taken.
    through_time : callable
        ``through_time(layer, call, args, kwargs)`` returns sizes of gradients.
    """

    tap: Callable[[int, Any], Any]
    through_time: Callable[..., Any]
    calls: list[Call] = field(default_factory=list)
    tensors: list[Any] = field(default_factory=list)
    gaps: dict[int, Any] = field(default_factory=dict)  # of blocks to their input plus something
    times: dict[int, Any] = field(default_factory=dict)
    added: set[int] = field(default_factory=set)  # the blocks without a gap
    _sources: dict[int, int | None] = field(default_factory=dict)
    _kept: list[Any] = field(default_factory=list)  # a tensor's id is another's once it is gone

    @contextmanager
    def watching(self, named: list[tuple[str, Any]]) -> Iterator[None]:
        """Let each layer's ``call`` come here first, for the time of the block."""
        with ExitStack() as stack:
            for name, layer in named:
                own = vars(layer)  # not setattr, of which Keras and PyTorch keep books
                stack.callback(_restore, own, own.get("call"))
                own["call"] = partial(self._watch, name, layer, layer.call)
            yield

    def forget(self) -> None:
        """Drop the tensors."""
        self.tensors, self._sources, self._kept = [], {}, []
        self.gaps, self.times = {}, {}

    def _tapped(self, tensor: Any) -> Any:
        made = self.tap(len(self.tensors), tensor)
        self.tensors.append(made)
        return made

    def _note(self, tensor: Any, source: int | None) -> None:
        self._sources[id(tensor)] = source
        self._kept.append(tensor)

    def _watch(
        self, name: str, layer: Any, call: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        if isinstance(layer, kl.BatchNormalization):
            kwargs["training"] = True
        given = [one for one in keras.tree.flatten((args, kwargs)) if keras.ops.is_tensor(one)]
        sources = [self._sources.get(id(one)) for one in given]
        first, number = len(self.calls), None
        if isinstance(layer, kl.RNN) and given and len(given[0].shape) == 3:
            times = None
            if layer.return_sequences or layer.stateful:
                times = self.through_time(layer, call, args, kwargs)
            else:
                number = len(self.tensors)
                args = (self._tapped(args[0]), *args[1:]) if args else args
        made = call(*args, **kwargs)
        tensor = output_of(made)
        if tensor is None or not is_float(tensor) or id(tensor) in self._sources:
            return made
        if passes_on(layer):
            self._note(tensor, sources[0] if sources else None)
            return made
        index, calls = len(self.calls), sum(one.layer is layer for one in self.calls)
        inside = range(first, index)
        if len(inside) and given and given[0].shape == tensor.shape:
            self._compare(index, given[0], tensor, inside)
        tapped, at = self._tapped(tensor), len(self.tensors) - 1
        activation, alone = activation_of(layer)
        self.calls.append(
            Call(
                name if not calls else f"{name}@{calls + 1}",
                layer,
                sources,
                tuple(tensor.shape),
                at,
                activation,
                alone,
                inside,
            )
        )
        if isinstance(layer, kl.RNN) and len(given[0].shape) == 3:
            self.calls[-1].steps, self.calls[-1].sequences = given[0].shape[1], number
            if number is None:
                self.times[index] = times
        self._note(tapped, index)
        self._kept.append(tensor)
        return keras.tree.map_structure(lambda one: tapped if one is tensor else one, made)

    def _compare(self, index: int, given: Any, tensor: Any, inside: range) -> None:
        """Note by how much a block's output is not its input plus what was made in it last."""
        ops = keras.ops
        last = next((i for i in reversed(inside) if self.calls[i].shape == tensor.shape), None)
        if last is not None:
            branch = self.tensors[self.calls[last].tensor]
            gap = ops.max(ops.abs(tensor[:1] - given[:1] - branch[:1]))
            self.gaps[index] = ops.stack([gap, ops.max(ops.abs(branch[:1]))])

    # What the notes say

    def consumers(self) -> list[list[int]]:
        """Return for each call those that read its output."""
        found: list[list[int]] = [[] for _ in self.calls]
        for index, call in enumerate(self.calls):
            for source in dict.fromkeys(call.sources):
                if source is not None:
                    found[source].append(index)
        return found

    def rows(self) -> list[Row]:
        """Return what figures are made of, in the order in which it runs."""
        consumers, folded, rows = self.consumers(), set(), []
        for index, call in enumerate(self.calls):
            kind = "Add" if index in self.added else type(call.layer).__name__
            parameters = bool(places_of(call.layer))
            normal = isinstance(call.layer, NORMALIZATIONS)
            stays = parameters or normal or kind == "Add"
            single = call.alone and not parameters
            if index in folded or not (stays or (single and call.activation != "softmax")):
                continue
            last = call
            if call.activation is None and not single and len(consumers[index]) == 1:
                behind = self.calls[consumers[index][0]]
                if behind.alone and not places_of(behind.layer):
                    last = behind
                    folded.add(consumers[index][0])
            rows.append(
                Row(call.name, kind, call.layer, index, last.tensor, last.activation, last.shape)
            )
        return rows

    def activation_behind(self, row: Row) -> str | None:
        """Return what a layer's output goes through, behind normalizations or not."""
        if row.activation is not None:
            return row.activation
        consumers, at = self.consumers(), row.call
        while len(consumers[at]) == 1:
            at = consumers[at][0]
            call = self.calls[at]
            if call.alone:
                return call.activation
            if not isinstance(call.layer, NORMALIZATIONS):
                break
        return None

    def activation_of(self, tensor: Any) -> str | None:
        """Return the activation of the layer that put out a tensor."""
        source = self._sources.get(id(tensor))
        return None if source is None else self.calls[source].activation

    def branches(self) -> dict[Any, tuple[str, bool]]:
        """Return layer -> the addition whose branch it is in, and whether it is the last there."""
        found: dict[Any, tuple[str, bool]] = {}
        for index, call in enumerate(self.calls):
            if index in self.added:
                branch = set(call.inside)
            elif is_add(call.layer) and len(call.sources) == 2:
                left, right = (self._before(source) for source in call.sources)
                branch = max(left - right, right - left, key=self._kernels_in)
            else:
                continue
            inner = [i for i in sorted(branch) if main_place(self.calls[i].layer) is not None]
            for i in inner:
                found.setdefault(self.calls[i].layer, (call.name, i == inner[-1]))
        return found

    def _kernels_in(self, calls: set[int]) -> int:
        return sum(main_place(self.calls[i].layer) is not None for i in calls)

    def _before(self, source: int | None) -> set[int]:
        """Return a call and all that led to it."""
        found: set[int] = set()
        waiting = [source]
        while waiting:
            at = waiting.pop()
            if at is not None and at not in found:
                found.add(at)
                waiting += self.calls[at].sources
        return found


def _restore(own: dict[str, Any], before: Any) -> None:
    if before is None:
        del own["call"]
    else:
        own["call"] = before


def output_of(made: Any) -> Any:
    """Return what counts of what a layer or a model puts out: its first tensor of floats."""
    logits = made.get("logits") if isinstance(made, dict) else getattr(made, "logits", None)
    tensors = [one for one in keras.tree.flatten(made) if keras.ops.is_tensor(one)]
    return logits if logits is not None else next(filter(is_float, tensors), None)


def is_float(tensor: Any) -> bool:
    """Say whether a tensor holds floating-point numbers."""
    return "float" in keras.backend.standardize_dtype(tensor.dtype)
