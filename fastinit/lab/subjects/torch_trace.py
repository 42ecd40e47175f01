"""One pass through a PyTorch module: which layers run, what they put out, what comes back.

Leaf modules are seen by hooks, what is called between them (activations, residual additions) by a
mode that all functions of PyTorch go through. A tensor carries the layer that made it as a mark, so
that an activation is attributed to the layer before it, and an addition knows its two sides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from fastinit.lab.figures import factor_a_step, sample
from fastinit.lab.subjects import direction

__all__ = ["INPUT", "NORMS", "Step", "Trace", "first_tensor", "is_layer", "norm"]

NORMS = (
    nn.LayerNorm,
    nn.RMSNorm,
    nn.GroupNorm,
    nn.LocalResponseNorm,
    nn.CrossMapLRN2d,
    nn.modules.batchnorm._NormBase,
)
WHOLE = (nn.MultiheadAttention, nn.RNNBase, nn.RNNCellBase)
"""Modules that are one layer, whatever they are made of."""

CHANNELS_FIRST = (
    nn.modules.conv._ConvNd,
    nn.GroupNorm,
    nn.modules.batchnorm._NormBase,
)
CALLS = 32
"""Of a module that is called over and over, so many calls are layers of their own."""

MARK = "_fastinit_mark"

# Names of functions to those of activations.
ACTIVATIONS = {
    "relu": "relu",
    "relu6": "relu6",
    "leaky_relu": "leaky_relu",
    "prelu": "leaky_relu",
    "elu": "elu",
    "selu": "selu",
    "gelu": "gelu",
    "silu": "silu",
    "mish": "mish",
    "softplus": "softplus",
    "hardswish": "hard_silu",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "hardsigmoid": "hard_sigmoid",
    "softsign": "softsign",
    "erf": "erf",
}
BOUNDS_OF_CLAMP: Any = (("min", "max"), (None, None))
CLIPPED: dict[Any, str] = {(-1, 1): "hard_tanh", (0, 6): "relu6", (0, None): "relu"}
ADDITIONS = frozenset({"add", "__add__", "__radd__", "__iadd__"})
DROPOUTS = frozenset(
    {
        "dropout",
        "dropout1d",
        "dropout2d",
        "dropout3d",
        "alpha_dropout",
        "feature_dropout",
        "feature_alpha_dropout",
    }
)
# What leaves the values, or the larger ones of them, as they are.
TRANSPARENT = frozenset(
    {
        "view", "reshape", "flatten", "unflatten", "transpose", "permute", "movedim", "swapaxes",
        "contiguous", "squeeze", "unsqueeze", "t", "clone", "to", "float", "half", "bfloat16",
        "double", "type", "type_as", "view_as", "max_pool1d", "max_pool2d", "max_pool3d",
        "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d",
        "adaptive_max_pool1d", "adaptive_max_pool2d", "boolean_dispatch", "_max_pool1d",
        "_max_pool2d",
    }
)  # fmt: skip
# What is asked of tensors all the time and makes none.
PLAIN = frozenset({"__get__", "__set__", "size", "dim", "stride", "numel", "is_floating_point"})


class Step:
    """A layer that ran, or an addition.

    Attributes
    ----------
    name, kind : str
        As `LayerFigures` has them.
    number : int
        Its place in the order of running.
    module : Module or None
        None for an addition.
    path : str
        The module's qualified name.
    before : Step or None
        What it took its input from.
    sides : tuple of Step
        Of an addition: what was added, that which is the stream first.
    activation : str or None
        What its output went through.
    wanted : bool
        Whether it is looked at.
    shape : tuple of int
        Of its output: examples, positions, features.
    """

    def __init__(self, name: str, kind: str, number: int, path: str, module: Any = None) -> None:
        self.name, self.kind, self.number, self.path, self.module = name, kind, number, path, module
        self.before: Step | None = None
        self.sides: tuple[Step, ...] = ()
        self.activation: str | None = None
        self.wanted = True
        self.layout: tuple[int, int] | None = None  # axes and channels, where these come second
        self.shape = (0, 0, 0)
        self.stage = 0
        self.part: Tensor | None = None
        self.norm: Tensor | None = None  # of the gradient by the output
        self.state_norm: Tensor | None = None  # of that by a recurrent layer's last state
        self.size = 1
        self.steps: int | None = None
        self.of_last_step = True
        self.sequence: Tensor | None = None
        self.entrance: Tensor | None = None
        self.back: list[Tensor] = []  # the norms of the gradient by the input of each step

    def outputs(self) -> NDArray[Any]:
        """Return the part of the outputs that is looked at."""
        assert self.part is not None
        return np.asarray(self.part.cpu().numpy())

    def gradient(self, examples: int) -> float | None:
        """Return the root mean square of the gradient by the output, times the examples."""
        norm = self.norm if self.norm is not None else self.state_norm
        return None if norm is None else float(norm) / math.sqrt(self.size) * examples

    def factor(self) -> float | None:
        """Return the factor a step of the gradient on its way back through time."""
        return factor_a_step(np.array([float(norm) for norm in self.back]))

    def forget(self) -> None:
        """Let go of all tensors."""
        self.part = self.norm = self.state_norm = self.sequence = self.entrance = None
        self.back = []

    def history(self) -> Iterator[Step]:
        """Yield the layer and those before it, along the way that its input came."""
        step: Step | None = self
        while step is not None:
            yield step
            step = step.before


INPUT = Step("input", "Input", -1, "")
"""What the examples are marked with: a stream may begin there."""


class Trace(TorchFunctionMode):  # type: ignore[misc]
    """What is seen of one forward and one backward pass.

    Parameters
    ----------
    model : Module
        The module.
    wanted : callable
        Whether a layer of a name is to be looked at.

    Attributes
    ----------
    steps : list of Step
        In the order of running.
    """

    def __init__(self, model: nn.Module, wanted: Callable[[str], bool]) -> None:
        super().__init__()
        self._model, self._wanted = model, wanted
        self.steps: list[Step] = []
        self._calls: dict[str, int] = {}
        self._paths: list[str] = []
        self._inside = 0  # of how many layers
        self._cells: dict[str, Step] = {}
        self._handles: list[Any] = []
        self._entrance: Tensor | None = None
        self._listening = True

    def __enter__(self) -> Trace:
        leaf = ""
        for path, module in self._model.named_modules():
            if leaf and path.startswith(leaf):
                continue
            leaf = ""
            if is_layer(module):
                leaf = f"{path}." if path else "."
                before, after = self._enter_layer(path), self._leave_layer(path)
            else:
                before, after = self._enter(path), self._leave
            self._handles.append(module.register_forward_pre_hook(before))
            self._handles.append(module.register_forward_hook(after))
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for handle in self._handles:
            handle.remove()

    # Modules

    def _enter(self, path: str) -> Callable[..., None]:
        def enter(module: nn.Module, args: Any) -> None:
            self._paths.append(path)

        return enter

    def _leave(self, module: nn.Module, args: Any, out: Any) -> None:
        self._paths.pop()

    def _enter_layer(self, path: str) -> Callable[..., Any]:
        def enter(module: nn.Module, args: Any) -> Any:
            self._inside += 1
            if self._inside == 1 and isinstance(module, nn.RNNBase) and args:
                first = args[0]
                if isinstance(first, Tensor) and first.is_floating_point() and first.ndim == 3:
                    mark = getattr(first, MARK, None)
                    if first.requires_grad:
                        first = first.view_as(first)  # its gradient is by this layer alone
                    else:
                        first = first.detach().requires_grad_()
                    _set_mark(first, mark)
                    self._entrance = first
                    return (first, *args[1:])
            return None

        return enter

    def _leave_layer(self, path: str) -> Callable[..., None]:
        def leave(module: nn.Module, args: Any, out: Any) -> None:
            self._inside -= 1
            if self._inside:
                return
            tensor = first_tensor(out)
            if tensor is None:
                return
            cell = isinstance(module, nn.RNNCellBase)
            step = self._cells.get(path) if cell else None
            if step is None:
                step = self._begin(path or "model", type(module).__name__, path, module)
                if step is None:
                    return
                step.before = _newest(args)
                if isinstance(module, (nn.RNN, nn.RNNCell)):
                    step.activation = module.nonlinearity
                if cell:
                    self._cells[path] = step
            self._watch(step, tensor)
            if cell:
                self._watch_cell(step, tensor)
            elif isinstance(module, nn.RNNBase):
                self._watch_sequence(step, module, tensor, out)

        return leave

    def _begin(self, path: str, kind: str, module_path: str, module: Any) -> Step | None:
        calls = self._calls[path] = self._calls.get(path, 0) + 1
        if calls > CALLS:
            return None
        name = path if calls == 1 else f"{path}@{calls}"
        step = Step(name, kind, len(self.steps), module_path, module)
        step.wanted = self._wanted(name)
        self.steps.append(step)
        return step

    def _watch(self, step: Step, out: Tensor) -> None:
        """Take a part of a layer's outputs, and ask for the gradient by them."""
        _set_mark(out, (step, True))
        if isinstance(step.module, CHANNELS_FIRST) and not step.stage:
            step.layout = out.ndim, out.shape[1] if out.ndim > 1 else 0
        step.stage += 1
        if not step.wanted:
            return
        rows = _rows(out.detach(), step)
        step.shape = rows.shape[0], rows.shape[1], rows.shape[2]
        part = rows[sample(step.shape)]
        kept = torch.float64 if part.dtype == torch.float64 else torch.float32
        step.part = part.to(kept, copy=True, memory_format=torch.contiguous_format)
        step.size = out.numel()
        stage = step.stage

        def back(gradient: Tensor | None) -> None:
            if gradient is not None and step.stage == stage and self._listening:
                step.norm = norm(gradient)

        if out.requires_grad:
            out.register_hook(back)

    # Recurrent layers

    def _watch_sequence(self, step: Step, module: Any, out: Tensor, outputs: Any) -> None:
        if not step.wanted:
            return
        entrance = self._entrance
        time = 1 if module.batch_first else 0
        if entrance is None or not isinstance(outputs[0], Tensor):
            return
        self._entrance = None
        step.steps, step.entrance, step.sequence = out.shape[time], entrance, out
        state = first_tensor(outputs[1])

        def back(gradient: Tensor | None) -> None:
            if gradient is None or not self._listening:  # PyTorch passes None on
                return
            earlier = gradient.narrow(time, 0, gradient.shape[time] - 1)
            step.of_last_step &= not bool(earlier.any())

        def back_to_state(gradient: Tensor | None) -> None:
            if gradient is not None:
                step.state_norm = norm(gradient)

        def back_at_entrance(gradient: Tensor | None) -> None:
            if gradient is not None:
                step.back = _norms(gradient, time)

        if out.requires_grad:
            out.register_hook(back)
            entrance.register_hook(back_at_entrance)
        if state is not None and state.requires_grad:
            state.register_hook(back_to_state)

    def _watch_cell(self, step: Step, out: Tensor) -> None:
        number = step.steps or 0
        step.steps = number + 1
        nothing = torch.zeros((), dtype=torch.float64, device=out.device)
        step.back.append(nothing)

        def back(gradient: Tensor | None) -> None:
            if gradient is not None:
                step.back[number] = norm(gradient)

        if step.wanted and out.requires_grad:
            out.register_hook(back)

    def mark(self, inputs: Iterable[Any]) -> None:
        """Let the examples be known as the beginning of what follows."""
        for one in inputs:
            if isinstance(one, Tensor) and one.is_floating_point():
                _set_mark(one, (INPUT, False))

    def entrances(self) -> list[Tensor]:
        """Return the inputs of recurrent layers by which a gradient is wanted that needs none."""
        found = (step.entrance for step in self.steps)
        return [one for one in found if one is not None and one.is_leaf]

    def go_back_through_time(self) -> None:
        """Look at the gradient of the last step's outputs, where the loss's is of others, too."""
        self._listening = False
        for step in self.steps:
            out, entrance = step.sequence, step.entrance
            if out is None or entrance is None or not out.requires_grad:
                continue
            both = step.norm is not None and step.state_norm is not None
            if not step.back or both or not step.of_last_step or not float(step.back[-1]) > 0:
                time = 1 if step.module.batch_first else 0
                last = out.select(time, out.shape[time] - 1)
                way = torch.from_numpy(direction(tuple(last.shape))).to(last.device, last.dtype)
                (gradient,) = torch.autograd.grad(last, entrance, way, retain_graph=True)
                step.back = _norms(gradient, time)
            step.sequence = step.entrance = None

    # Functions

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call a function, and see what it does to marked tensors."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in PLAIN:
            return func(*args, **kwargs)
        bare = name.rstrip("_") if not name.startswith("_") else name
        if bare in DROPOUTS:
            return args[0] if args else kwargs["input"]
        if bare == "scaled_dot_product_attention":
            args, kwargs = (*args[:4], *((0.0,) if len(args) > 4 else ()), *args[5:]), dict(kwargs)
            if "dropout_p" in kwargs:
                kwargs["dropout_p"] = 0.0
        marks = None if self._inside else _marks(args, kwargs)
        out = func(*args, **kwargs)
        if marks:
            self._after(bare, args, kwargs, marks, out)
        return out

    def _after(
        self, name: str, args: Any, kwargs: Any, marks: list[tuple[Step, bool]], out: Any
    ) -> None:
        if isinstance(out, (tuple, list)):
            newest = max((mark[0] for mark in marks), key=_number)
            for one in out:
                if isinstance(one, Tensor):
                    _set_mark(one, (newest, False))
            return
        if not isinstance(out, Tensor) or not out.is_floating_point():
            return
        activation = _activation(name, args, kwargs)
        if activation is not None and len(marks) == 1:
            step, direct = marks[0]
            if direct and step.activation is None:
                step.activation = activation
                self._watch(step, out)
                return
        if name in ADDITIONS and len(marks) == 2 and _is_stream(args, out):
            self._add(marks, out)
            return
        newest = max((mark[0] for mark in marks), key=_number)
        direct = name in TRANSPARENT and all(mark[1] for mark in marks)
        _set_mark(out, (newest, direct))

    def _add(self, marks: list[tuple[Step, bool]], out: Tensor) -> None:
        place = self._paths[-1] if self._paths else ""
        step = self._begin(f"{place}.add" if place else "add", "Add", place, None)
        if step is None:
            _set_mark(out, (max((mark[0] for mark in marks), key=_number), False))
            return
        one, other = marks[0][0], marks[1][0]
        if other in one.history():
            one, other = other, one
        step.sides, step.before = (one, other), max(one, other, key=_number)
        layouts = {one.layout, other.layout}
        step.layout = next((each for each in layouts if each == _layout(out)), None)
        self._watch(step, out)


def is_layer(module: nn.Module) -> bool:
    """Say whether a module is looked at as one layer: it has parameters and no modules inside."""
    if isinstance(module, (*WHOLE, *NORMS)):
        return True
    if isinstance(module, nn.PReLU):
        return False
    inside = [name for name, _ in module.named_children() if name != "parametrizations"]
    return not inside and any(True for _ in module.parameters())


def first_tensor(out: Any) -> Tensor | None:
    """Return the first floating tensor of what a module returns: its logits if it names some."""
    if isinstance(out, Tensor):
        return out if out.is_floating_point() else None
    if isinstance(out, nn.utils.rnn.PackedSequence):
        return out.data
    logits = out.get("logits") if isinstance(out, dict) else getattr(out, "logits", None)
    if isinstance(logits, Tensor) and logits.is_floating_point():
        return logits
    if isinstance(out, dict):
        values: Any = out.values()
    elif isinstance(out, (tuple, list)):
        values = out
    else:
        values = getattr(out, "__dict__", {}).values()
    return next((found for one in values if (found := first_tensor(one)) is not None), None)


def _rows(out: Tensor, step: Step) -> Tensor:
    """Return an output as (examples, positions, features)."""
    module = step.module
    if isinstance(module, nn.RNNBase) and not module.batch_first and out.ndim == 3:
        out = out.transpose(0, 1)
    if out.ndim < 2:
        return out.reshape(-1, 1, 1)
    if out.ndim == 2:
        return out[:, None]
    if out.ndim > 2 and step.layout == _layout(out):
        return out.flatten(2).transpose(1, 2)
    return out.flatten(1, -2)


def _layout(out: Tensor) -> tuple[int, int]:
    return out.ndim, out.shape[1]


def _number(step: Step) -> int:
    return step.number


def _set_mark(tensor: Tensor, mark: tuple[Step, bool] | None) -> None:
    if mark is not None:
        setattr(tensor, MARK, mark)


def _marks(args: Any, kwargs: dict[str, Any]) -> list[tuple[Step, bool]]:
    """Return the marks of the tensors among a function's arguments."""
    found = []
    for one in (*args, *kwargs.values()):
        for tensor in one if isinstance(one, (tuple, list)) else (one,):
            mark = getattr(tensor, "__dict__", {}).get(MARK) if isinstance(tensor, Tensor) else None
            if mark is not None:
                found.append(mark)
    return found


def _newest(args: Any) -> Step | None:
    marks = _marks(args, {})
    return max((mark[0] for mark in marks), key=_number) if marks else None


def _is_stream(args: Any, out: Tensor) -> bool:
    """Say whether an addition's operands are both as large as its result, or one broadcast."""
    return out.ndim >= 2 and any(
        isinstance(one, Tensor) and one.shape == out.shape for one in args[:2]
    )


def _activation(name: str, args: Any, kwargs: dict[str, Any]) -> str | None:
    """Return the name of the activation that a function is, None where it is none."""
    if name == "gelu" and kwargs.get("approximate") == "tanh":
        return "gelu_tanh"
    if name in ("hardtanh", "clamp", "clip"):
        keys, missing = (("min_val", "max_val"), (-1, 1)) if name == "hardtanh" else BOUNDS_OF_CLAMP
        given = (*args[1:3], *missing[len(args[1:3]) :])
        low, high = (kwargs.get(key, one) for key, one in zip(keys, given, strict=True))
        return CLIPPED.get((low, high)) if not isinstance(low, Tensor) else None
    return ACTIVATIONS.get(name)


def norm(gradient: Tensor) -> Tensor:
    """Return the Euclidean norm, in float64 where a vanishing gradient's squares are no float32."""
    values = gradient.detach()
    if values.is_cpu and values.dtype == torch.float32:  # many times as fast
        found = torch.linalg.vector_norm(values)
        if 1e-15 * math.sqrt(values.numel()) < float(found) < 1e18:
            return found
    return torch.linalg.vector_norm(values, dtype=torch.float64)


def _norms(gradient: Tensor, time: int) -> list[Tensor]:
    """Return the norm at each step."""
    other = tuple(axis for axis in range(gradient.ndim) if axis != time)
    return list(torch.linalg.vector_norm(gradient.detach(), dim=other, dtype=torch.float64))
