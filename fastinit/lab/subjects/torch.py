"""Looking into a PyTorch module, without rewriting it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.fans import Fans
from fastinit.initializers import Initializer, VarianceScaling
from fastinit.keys import key_bits
from fastinit.lab.figures import expected_std, layer_figures, one_thread
from fastinit.lab.observation import LayerFigures, Observation
from fastinit.lab.subjects import (
    Kernel,
    Patterns,
    as_patterns,
    direction,
    input_figures,
    require_names,
    require_selection,
    selected,
)
from fastinit.lab.subjects.torch_trace import (
    INPUT,
    NORMS,
    Step,
    Trace,
    first_tensor,
    is_layer,
    norm,
)
from fastinit.torch import data_dependent
from fastinit.torch import layers as torch_layers
from fastinit.torch.recipes import apply_recipe, check_recipe
from fastinit.torch.tensors import thread

__all__ = ["TorchSubject"]

Loss: TypeAlias = "Callable[[Any, Any], Tensor] | None"


class TorchSubject:
    """A ``torch.nn.Module``, see `fastinit.lab.subjects.Subject`.

    Its leaf modules are the layers, under their qualified names, in the order in which they run; a
    module that runs again is "fc@2". An activation, module or function, is folded into the layer
    before it. The additions of a residual stream are layers of the kind "Add": "blocks.0.add". What
    a kernel's activation is, and in which branch it stands, is known once examples went through.

    A module in evaluation mode is looked at in training mode; submodules that are in evaluation
    mode while the whole is not stay so. Dropout is left out. What the pass changes (modes, running
    statistics, generators) is put back afterwards; gradients and parameters are not touched.

    Parameters
    ----------
    model : Module
        With real parameters, on any device.

    Raises
    ------
    ArgumentError
        If a parameter is on the meta device or lazy.
    ArgumentTypeError
        If it is no module.

    Examples
    --------
    >>> import torch
    >>> from fastinit.lab.subjects.torch import TorchSubject
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> found = TorchSubject(model).observe(torch.eye(4), torch.tensor([0, 1, 0, 1]))
    >>> [(layer.name, layer.activation, layer.fan_in) for layer in found.layers]
    [('0', 'relu', 4), ('2', None, 8)]
    """

    framework = "torch"

    def __init__(self, model: nn.Module) -> None:
        if not isinstance(model, nn.Module):
            raise ArgumentTypeError(f"model must be a torch.nn.Module, got {type(model)}")
        for what, fault in (("on the meta device", _is_meta), ("lazy", nn.parameter.is_lazy)):
            names = [name for name, tensor in model.named_parameters() if fault(tensor)]
            if names:
                raise ArgumentError(f"parameters without values, {what}: {', '.join(names)}")
        self.model = model
        self._steps: tuple[Step, ...] = ()
        self._last: Step | None = None

    def observe(
        self,
        x: Any,
        y: Any = None,
        *,
        loss: Loss = None,
        learning_rate: float = 0.01,
        layers: Patterns = None,
    ) -> Observation:
        """Look at one forward and one backward pass; see `fastinit.lab.subjects.Subject.observe`.

        Parameters
        ----------
        x : Tensor, array_like, tuple or mapping
            A batch; several arguments as a tuple, or a mapping by name.
        y : Tensor or array_like, optional
            Targets.
        loss : callable, optional
            ``loss(outputs, y)``, given what the model returns.
        learning_rate, layers
            As there.

        Returns
        -------
        Observation
        """
        patterns = as_patterns(layers)
        model = getattr(self.model, "_orig_mod", self.model)
        inputs = _inputs(model, x)
        examples = _examples(inputs)
        trace = Trace(model, lambda name: selected(name, patterns))
        with _as_it_was(model), torch.enable_grad():
            trace.mark(inputs.values() if isinstance(inputs, dict) else inputs)
            with trace:
                outputs = _call(model, inputs)
            out = first_tensor(outputs)
            if out is None:
                raise ArgumentError(f"the model returns no floating tensor, but {outputs!r:.80}")
            value, objective = _objective(outputs, out, y, loss, examples)
            gradients = _gradients(model, trace, objective)
            trace.go_back_through_time()
        mark = getattr(out, "_fastinit_mark", None)
        self._steps, self._last = tuple(trace.steps), None if mark is None else mark[0]
        wanted = [step for step in trace.steps if step.wanted and step.part is not None]
        require_selection(bool(wanted), layers, (step.name for step in trace.steps))
        with one_thread(), np.errstate(all="ignore"):
            figures = tuple(
                self._figures(step, gradients, examples, learning_rate) for step in wanted
            )
        for step in trace.steps:
            step.forget()
        first = _first(inputs)
        array = _array(first) if first.is_floating_point() else np.zeros(1, int)
        return Observation(figures, examples, value, *input_figures(array))

    def kernels(self) -> list[Kernel]:
        """Return the parameters, in the order in which their layers ran last."""
        runs = {
            id(step.module): step
            for step in reversed(self._steps)
            if isinstance(step.module, nn.Module)
        }
        branches, ends = self._branches()
        last = self._output()
        found: list[tuple[float, int, Kernel]] = []
        for module, name, names, parameter in torch_layers.places(self.model):
            step = runs.get(id(module))
            fans = _fans(module, name)
            role = _role(module, name, parameter, fans)
            if role == "kernel" and step is not None and step is last:
                role = "output"
            branch = None if step is None else branches.get(step.number)
            kernel = Kernel(
                name=names[0],
                layer=names[0].rpartition(".")[0] if step is None else step.name,
                kind=type(module).__name__,
                shape=_catalogue_shape(module, parameter),
                fan_in=None if fans is None else fans[0],
                fan_out=None if fans is None else fans[1],
                activation=None if step is None else self._activation_behind(step),
                role=role,
                branch=branch,
                branch_end=step is not None and step.number in ends,
                trainable=parameter.requires_grad,
            )
            found.append((math.inf if step is None else step.number, len(found), kernel))
        return [kernel for _, _, kernel in sorted(found, key=lambda one: one[:2])]

    def weights(self) -> dict[str, NDArray[Any]]:
        """Return a copy of each layer's main kernel."""
        found: dict[str, NDArray[Any]] = {}
        for path, module in self.model.named_modules():
            if is_layer(module) and (weight := _weight(module)) is not None:
                found[path or "model"] = _array(_matrix(module, weight)).copy()
        return found

    def reinitialized(self, draw: Mapping[str, Initializer], seed: int) -> TorchSubject:
        """Return a copy, some of whose parameters are drawn anew.

        The values are those that ``fastinit.torch.materialize(build, seed, draw)`` would give.
        """
        places = {
            names[0]: (module, name) for module, name, names, _ in torch_layers.places(self.model)
        }
        require_names(draw, places)
        twin = TorchSubject(copy.deepcopy(self.model))
        for name, rule in draw.items():
            fans = _fans(*places[name])
            if type(rule) is VarianceScaling and rule.fans is None and fans is not None:
                rule = replace(rule, fans=fans)
            before, thread.words = thread.words, iter([key_bits(seed, name)])
            try:
                apply_recipe(twin.model, check_recipe({_escaped(name): rule}))
            finally:
                thread.words = before
        twin._follow(self)
        return twin

    def train(
        self, x: Any, y: Any, *, steps: int, learning_rate: float, loss: Loss = None, seed: int = 0
    ) -> list[float]:
        """Train a copy for some steps of Adam; return the loss of each."""
        model = copy.deepcopy(getattr(self.model, "_orig_mod", self.model))
        inputs = _inputs(model, x)
        examples = _examples(inputs)
        optimizer = torch.optim.Adam(
            [one for one in model.parameters() if one.requires_grad], lr=learning_rate
        )
        target = _target(y, _first(inputs).device)
        losses: list[float] = []
        size = min(64, examples)
        with _generators(model), torch.enable_grad():
            torch.manual_seed(seed)
            model.train()
            while len(losses) < steps:
                key = fastinit.key(seed, "lab.order", str(len(losses)))
                order = torch.from_numpy(
                    np.asarray(fastinit.permutation(examples, seed=key), np.int64)
                )
                for begin in range(0, examples - size + 1, size):
                    if len(losses) == steps:
                        break
                    rows = order[begin : begin + size]
                    outputs = _call(model, _taken(inputs, rows))
                    out = first_tensor(outputs)
                    assert out is not None
                    value = _loss(outputs, out, _taken(target, rows), loss)
                    losses.append(float(value.detach()))
                    optimizer.zero_grad()
                    value.backward()
                    optimizer.step()
        return losses

    def scale_on_data(self, x: Any, seed: int) -> None:
        """Scale the kernels in place by `fastinit.torch.data_dependent`."""
        data_dependent(self.model, torch.as_tensor(x), rates=False, seed=seed)

    def loss_called(self, name: str) -> Loss:
        """Return a function of ``torch.nn.functional``."""
        found: Loss = getattr(torch.nn.functional, name, None)
        if not callable(found):
            raise ArgumentError(f"torch.nn.functional has no loss {name!r}")
        return found

    def input_shape(self) -> tuple[int, ...] | None:
        """Return the shape of one example, known where the first layer is linear."""
        first = self.kernels()[:1]
        return (first[0].shape[-2],) if first and first[0].kind == "Linear" else None

    # What the trace tells of the structure

    def _follow(self, other: TorchSubject) -> None:
        """Take another subject's trace for one's own: the model is a copy of its."""
        modules = dict(self.model.named_modules())
        copies = {INPUT.number: INPUT}
        for step in other._steps:
            mine = copies[step.number] = copy.copy(step)
            if isinstance(step.module, nn.Module):
                mine.module = modules.get(step.path)
        self._steps = tuple(copies[step.number] for step in other._steps)
        for step in self._steps:
            step.before = None if step.before is None else copies[step.before.number]
            step.sides = tuple(copies[one.number] for one in step.sides)
        self._last = None if other._last is None else copies[other._last.number]

    def _activation_behind(self, step: Step) -> str | None:
        """Return what a layer's output goes through, behind a normalization or not."""
        if step.activation is not None:
            return step.activation
        for other in self._steps[step.number + 1 :]:
            if other.before is step and isinstance(other.module, NORMS):
                return other.activation
        return None

    def _output(self) -> Step | None:
        """Return the layer whose kernel makes the model's output, None where a sum does."""
        last = () if self._last is None else self._last.history()
        for step in last:
            if step.kind == "Add":
                return None
            if isinstance(step.module, nn.Module) and _weight(step.module) is not None:
                return step
        return None

    def _branches(self) -> tuple[dict[int, str], set[int]]:
        """Return which steps stand in which residual branch, and which kernels end one."""
        branches: dict[int, str] = {}
        ends: set[int] = set()
        for step in self._steps:
            if len(step.sides) != 2:
                continue
            ways = [list(side.history()) for side in step.sides]
            meeting = {one.number for one in ways[0]} & {one.number for one in ways[1]}
            own = [[one for one in way if one.number not in meeting] for way in ways]
            branch = max(own, key=len)
            kernels = [
                one
                for one in branch
                if isinstance(one.module, nn.Module) and _weight(one.module) is not None
            ]
            if meeting <= {INPUT.number} and min(map(len, own)):  # two inputs, no stream
                continue
            for one in branch:
                branches.setdefault(one.number, step.name)
            if kernels:
                ends.add(kernels[0].number)
        return branches, ends

    def _figures(
        self,
        step: Step,
        gradients: Mapping[int, float | None],
        examples: int,
        learning_rate: float,
    ) -> LayerFigures:
        module: Any = step.module
        kernel = bias = recurrent = gradient = fans = expected = None
        weight = _weight(module) if isinstance(module, nn.Module) else None
        if weight is not None:
            name, parameter = weight
            kernel, fans = _array(_matrix(module, weight)), _fans(module, name)
            gradient = gradients.get(id(parameter))
            if fans is not None and not isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
                expected = expected_std(self._activation_behind(step), *fans)
            if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
                other = getattr(module, name.replace("weight_ih", "weight_hh"))
                recurrent = _array(other.detach().T)
            given = _bias(module, name)
            if given is not None and given.numel() == kernel.shape[1]:
                bias = _array(given.detach())
        return layer_figures(
            step.name,
            step.kind,
            step.outputs(),
            activation=step.activation,
            gradient=step.gradient(examples),
            kernel=kernel,
            recurrent=recurrent,
            bias=bias,
            kernel_gradient=gradient,
            fans=fans,
            expected=expected,
            learning_rate=learning_rate,
            features=step.shape[1] * step.shape[2],
            gradient_through_time=step.factor(),
            steps=step.steps,
        )


# ---------------------------------------------------------------- parameters


def _is_meta(tensor: Tensor) -> bool:
    return bool(tensor.is_meta)


def _inputs_first(module: nn.Module) -> bool:
    """Say whether a matrix is (in, out), as in the Conv1D of GPT-2's code."""
    return type(module).__name__ == "Conv1D" and hasattr(module, "nf")


def _weight(module: nn.Module) -> tuple[str, Tensor] | None:
    """Return name and value of a layer's main kernel: "weight", else the first matrix."""
    own = getattr(module, "weight", None)
    if isinstance(own, Tensor) and own.ndim > 1:
        return "weight", own
    if isinstance(own, Tensor) or isinstance(module, NORMS):
        return None
    named = module.named_parameters(recurse=False)
    return next(((name, one) for name, one in named if one.ndim > 1), None)


def _fans(module: nn.Module, name: str) -> Fans | None:
    if _inputs_first(module) and name == "weight":
        rows, columns = module.get_parameter(name).shape
        return rows, columns
    return torch_layers.fans(module, name)


def _catalogue_shape(module: nn.Module, parameter: Tensor) -> tuple[int, ...]:
    if _inputs_first(module):
        return tuple(parameter.shape)
    return torch_layers.catalogue_shape(module, parameter)


def _matrix(module: nn.Module, weight: tuple[str, Tensor]) -> Tensor:
    """Return a kernel as (inputs, units), the window among the inputs."""
    value = weight[1].detach()
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)) or _inputs_first(module):
        return value
    if torch_layers.transposed(module):
        value = value.transpose(0, 1)
    return value.flatten(1).T


def _bias(module: nn.Module, name: str) -> Tensor | None:
    """Return the bias that belongs to a kernel; of two that are added, the sum."""
    if not isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        own = getattr(module, "in_proj_bias" if name.startswith("in_proj") else "bias", None)
        return own if isinstance(own, Tensor) else None
    if isinstance(module, (nn.GRU, nn.GRUCell)):  # its two do different things
        return None
    one, other = (
        getattr(module, name.replace("weight_ih", f"bias_{way}"), None) for way in ("ih", "hh")
    )
    return None if one is None or other is None else one + other


def _array(tensor: Tensor) -> NDArray[Any]:
    if tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.float()
    return np.asarray(tensor.detach().cpu().numpy())


def _role(module: nn.Module, name: str, parameter: Tensor, fans: Fans | None) -> str:
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
        return "embedding"
    if "bias" in name:
        return "bias"
    if isinstance(module, NORMS):
        return "scale"
    if isinstance(module, (nn.RNNBase, nn.RNNCellBase)) and name.startswith("weight_hh"):
        return "recurrent"
    return "kernel" if fans is not None else "other"


def _escaped(name: str) -> str:
    """Return a pattern that fits a name alone."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


# ---------------------------------------------------------------- a pass


def _inputs(model: nn.Module, x: Any) -> Any:
    """Return the model's inputs as tensors, on its device and in its dtype."""
    parameters = list(model.parameters())
    device = parameters[0].device if parameters else None
    dtype = next((one.dtype for one in parameters if one.is_floating_point()), None)
    looks_up = any(isinstance(one, (nn.Embedding, nn.EmbeddingBag)) for one in model.modules())

    def tensor(value: Any) -> Any:
        if value is None or isinstance(value, (bool, str)):
            return value
        made = value.detach() if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value))
        if made.is_floating_point() or (dtype is not None and not looks_up):
            made = made.to(dtype)
        return made.to(device)

    if isinstance(x, Mapping):
        return {name: tensor(value) for name, value in x.items()}
    if isinstance(x, tuple):
        return tuple(tensor(value) for value in x)
    return (tensor(x),)


def _first(inputs: Any) -> Tensor:
    values = inputs.values() if isinstance(inputs, dict) else inputs
    found = next((one for one in values if isinstance(one, Tensor) and one.ndim), None)
    if found is None or not len(found):
        raise ArgumentError("x must hold at least one example, got none")
    return found


def _examples(inputs: Any) -> int:
    return len(_first(inputs))


def _call(model: nn.Module, inputs: Any) -> Any:
    return model(**inputs) if isinstance(inputs, dict) else model(*inputs)


def _taken(values: Any, rows: Tensor) -> Any:
    """Return some of the examples."""
    if isinstance(values, Tensor):
        return values[rows.to(values.device)] if values.ndim else values
    if isinstance(values, Mapping):
        return {name: _taken(value, rows) for name, value in values.items()}
    if isinstance(values, tuple):
        return tuple(_taken(value, rows) for value in values)
    return values


def _target(y: Any, device: Any) -> Any:
    if isinstance(y, Mapping):
        return {name: _target(value, device) for name, value in y.items()}
    if isinstance(y, tuple):
        return tuple(_target(value, device) for value in y)
    tensor = y.detach() if isinstance(y, Tensor) else torch.as_tensor(np.asarray(y))
    return tensor.to(device)


def _objective(
    outputs: Any, out: Tensor, y: Any, loss: Loss, examples: int
) -> tuple[float | None, Tensor]:
    """Return the loss, None without targets, and what the gradient is of."""
    if y is None:
        way = torch.from_numpy(direction(tuple(out.shape))).to(out.device, out.dtype)
        return None, (out * way).sum() / examples
    value = _loss(outputs, out, _target(y, out.device), loss)
    return float(value.detach()), value


def _loss(outputs: Any, out: Tensor, y: Any, loss: Loss) -> Tensor:
    if loss is not None:
        return loss(outputs, y)
    functional = nn.functional
    if y.is_floating_point():
        y = y.to(out.dtype)
        return functional.mse_loss(out, y.reshape(out.shape) if y.numel() == out.numel() else y)
    if out.numel() == y.numel():  # one number for each target: yes or no
        return functional.binary_cross_entropy_with_logits(out, y.reshape(out.shape).to(out.dtype))
    if out.ndim > 2 and out.shape[:-1] == y.shape:
        return functional.cross_entropy(out.flatten(0, -2), y.flatten().long())
    return functional.cross_entropy(out, y.squeeze(1).long() if y.ndim == out.ndim else y.long())


def _gradients(model: nn.Module, trace: Trace, objective: Tensor) -> dict[int, float | None]:
    """Return the root mean square gradient of each parameter, by its id; hooks see the others."""
    if not objective.requires_grad:
        return {}
    parameters = [one for one in model.parameters() if one.requires_grad]
    entrances = trace.entrances()
    found = torch.autograd.grad(
        objective,
        [*parameters, *entrances],
        allow_unused=True,
        retain_graph=any(step.sequence is not None for step in trace.steps),
    )
    return {
        id(parameter): None if gradient is None else _size(gradient)
        for parameter, gradient in zip(parameters, found, strict=False)
    }


def _size(gradient: Tensor) -> float:
    number = gradient.numel()
    values = gradient.coalesce().values() if gradient.is_sparse else gradient
    return float(norm(values)) / math.sqrt(max(1, number))


# ---------------------------------------------------------------- leaving all as it was


@contextmanager
def _as_it_was(model: nn.Module) -> Iterator[None]:
    """Put a model in training mode without dropout; put back all that a pass changes."""
    modules = list(model.modules())
    modes = [module.training for module in modules]
    buffers = [
        (module, name, buffer, None if buffer is None else buffer.detach().clone())
        for module in modules
        for name, buffer in module._buffers.items()
    ]
    dropouts: list[tuple[Any, float]] = [
        (module, module.dropout)
        for module in modules
        if isinstance(module, (nn.RNNBase, nn.MultiheadAttention))
    ]
    try:
        with _generators(model):
            torch.manual_seed(0)
            if not model.training:
                model.train()
            for module in modules:
                if type(module).__name__ in ("DropPath", "StochasticDepth"):
                    module.training = False
            for module, _ in dropouts:
                module.dropout = 0.0
            yield
    finally:
        for module, training in zip(modules, modes, strict=True):
            module.training = training
        for module, rate in dropouts:
            module.dropout = rate
        with torch.no_grad():
            for module, name, buffer, values in buffers:
                module._buffers[name] = buffer
                if buffer is not None and not torch.equal(buffer, values):
                    buffer.copy_(values)


@contextmanager
def _generators(model: nn.Module) -> Iterator[None]:
    """Put PyTorch's generators back afterwards."""
    devices = {one.device for one in model.parameters() if one.device.type == "cuda"}
    with torch.random.fork_rng(devices=[device.index for device in devices]):
        yield
