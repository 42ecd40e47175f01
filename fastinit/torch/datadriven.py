"""LSUV and data-dependent initialization of PyTorch modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from fastinit.datadriven import LayerScaling, Matrix, Scaler, equalize_rates
from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.keys import Seed
from fastinit.torch.sharding import is_distributed

__all__ = ["data_dependent", "lsuv"]

KINDS = (nn.Linear, _ConvNd)


class Step:
    """A linear or convolution layer with the inputs that it gets."""

    def __init__(
        self, name: str, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.name, self.module, self.args, self.kwargs = name, module, args, kwargs

    def parameters(self) -> tuple[Matrix, Matrix | None]:
        """Return copies of the weight, as (inputs, channels), and of the bias."""
        weight = _array(self.module.weight)
        if isinstance(self.module, _ConvTransposeNd):  # (inputs, channels of a group, *window)
            groups, channels = self.module.groups, self.module.out_channels
            parts = weight.reshape(groups, -1, channels // groups, *weight.shape[2:])
            matrix = np.moveaxis(parts, (0, 2), (-2, -1)).reshape(-1, channels)
        else:
            matrix = weight.reshape(len(weight), -1).T
        bias = self.module.bias
        return np.ascontiguousarray(matrix), None if bias is None else _array(bias)

    def assign(self, kernel: Matrix, bias: Matrix | None) -> None:
        """Write them back."""
        weight = self.module.weight
        if isinstance(self.module, _ConvTransposeNd):
            groups, channels = self.module.groups, self.module.out_channels
            inputs, _, *window = weight.shape
            parts = kernel.reshape(inputs // groups, *window, groups, channels // groups)
            values = np.moveaxis(parts, (-2, -1), (0, 2)).reshape(weight.shape)
        else:
            values = kernel.T.reshape(weight.shape)
        with torch.no_grad():
            weight.copy_(torch.from_numpy(np.ascontiguousarray(values)))
            if bias is not None:
                self.module.bias.copy_(torch.from_numpy(bias))

    def output(self) -> NDArray[Any]:
        """Return what the layer makes of its inputs."""
        made = self.forward()
        window = len(self.module.kernel_size) if isinstance(self.module, _ConvNd) else 0
        return made.detach().movedim(-1 - window, -1).float().cpu().numpy()

    def forward(self) -> Tensor:
        """Run the layer."""
        return self.module.forward(*self.args, **self.kwargs)


def lsuv(
    model: nn.Module,
    x: Any,
    *,
    tolerance: float = 0.1,
    tries: int = 10,
    redraw: bool = True,
    seed: Seed = None,
) -> list[LayerScaling]:
    r"""Scale the weights so that each layer's outputs have variance 1 on data (LSUV).

    In the order in which the model calls them, linear and convolution layers (transposed ones too)
    are given orthonormal weights, divided by the standard deviation of what the layer makes of
    `x`, over all examples, places and channels, until it is 1:

    .. math:: W \leftarrow W / \operatorname{std}(W x + b), \quad
        \text{until } |\operatorname{std} - 1| < \text{tolerance}

    The model runs once, as for evaluation: without dropout, and with the statistics that its batch
    normalizations have, which stay as they are. Left alone are layers that it does not call,
    frozen weights, weights that a layer before has, and those that are computed (``weight_norm``).

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place.
    x : Tensor, tuple, dict or callable
        The model's input; a tuple or a dict is unpacked into its arguments, and a callable without
        arguments returns one of these. Some hundred examples are enough.
    tolerance : float, default 0.1
        What deviation from 1 is left alone.
    tries : int, default 10
        How often a layer is scaled at most; without biases once is enough.
    redraw : bool, default True
        Start from orthonormal weights and zero biases; else from what the model has.
    seed : int, Key, numpy.random.SeedSequence, numpy.random.Generator or None, default None
        Decides the orthonormal weights, together with the parameter's qualified name.

    Returns
    -------
    list of fastinit.datadriven.LayerScaling
        For each layer its standard deviation before and after, and whether that is near enough.

    Raises
    ------
    ArgumentError
        If there is no layer to scale, the data are not finite, or a layer's outputs do not vary
        with them or are not finite; the parameters are then what they were.
    ArgumentTypeError
        If a parameter is a DTensor: scale the model before it is sharded.

    References
    ----------
    D. Mishkin and J. Matas, "All you need is a good init", arXiv:1511.06422.

    Examples
    --------
    >>> import torch, fastinit.torch
    >>> from torch import nn
    >>> model = nn.Sequential(nn.Linear(20, 50), nn.Tanh(), nn.Linear(50, 9))
    >>> records = fastinit.torch.lsuv(model, 3 * torch.randn(200, 20), seed=0)
    >>> [record.name for record in records]
    ['0.weight', '2.weight']
    >>> all(abs(record.std_after - 1) < 0.1 for record in records)
    True
    """
    scaler = Scaler(per_channel=False, tolerance=tolerance, tries=tries, redraw=redraw, seed=seed)
    with scaler.running(), _evaluating(model):
        _scale(model, _arguments(x), scaler)
    return scaler.records


def data_dependent(
    model: nn.Module, x: Any, *, rates: bool = True, redraw: bool = True, seed: Seed = None
) -> list[LayerScaling]:
    r"""Give each channel's outputs mean 0 and variance 1 on data; equalize learning rates.

    In the order in which the model calls them, linear and convolution layers are given normal
    weights, no bias, and then

    .. math:: W_c \leftarrow W_c / \sigma_c, \qquad b_c \leftarrow -\mu_c / \sigma_c

    for each channel c, whose outputs have mean :math:`\mu_c` and standard deviation
    :math:`\sigma_c`. Then each layer is multiplied by a number, so that the root mean squares of
    gradient and weights have the same ratio in all layers, for a random gradient of the last
    layer's outputs. Where the layers are a chain, with relu and pooling between them, this is
    exact and changes no output of the model; elsewhere it is tried ten times, and the records say
    which rates came out.

    Parameters
    ----------
    model : torch.nn.Module
        Run for evaluation; which layers are left alone, see `lsuv`.
    x : Tensor, tuple, dict or callable
        As for `lsuv`.
    rates : bool, default True
        Whether to do the second part.
    redraw : bool, default True
        Start from standard normal weights and zero biases; else from what the model has.
    seed : int, Key, numpy.random.SeedSequence, numpy.random.Generator or None, default None
        Decides the weights, together with the parameter's qualified name, and the random gradient.

    Returns
    -------
    list of fastinit.datadriven.LayerScaling
        For each layer its standard deviation before and after the first part, and its rate.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        As for `lsuv`.

    References
    ----------
    P. Kraehenbuehl, C. Doersch, J. Donahue and T. Darrell, "Data-dependent initializations of
    convolutional neural networks", arXiv:1511.06856; the second part as in the authors' program.

    Examples
    --------
    >>> import torch, fastinit.torch
    >>> from torch import nn
    >>> model = nn.Sequential(nn.Linear(20, 50), nn.ReLU(), nn.Linear(50, 9))
    >>> first, last = fastinit.torch.data_dependent(model, torch.randn(200, 20), seed=0)
    >>> abs(first.rate / last.rate - 1) < 0.02
    True
    """
    scaler = Scaler(per_channel=True, tolerance=0.01, tries=10, redraw=redraw, seed=seed)
    arguments = _arguments(x)
    with scaler.running(), _evaluating(model):
        steps = _scale(model, arguments, scaler)
        if rates and steps:
            last = steps[-1].module
            weights = [step.module.weight for step in steps]

            def gradients() -> list[NDArray[Any]]:
                made: list[Tensor] = []
                with torch.enable_grad(), _hooked([last], lambda *call: made.append(call[-1])):
                    model(*arguments[0], **arguments[1])
                    random = torch.from_numpy(scaler.random_gradient(tuple(made[0].shape)))
                    found = torch.autograd.grad(
                        made[0], weights, random.to(made[0]), allow_unused=True
                    )
                return [np.zeros(1) if grad is None else _array(grad) for grad in found]

            scaler.records = equalize_rates(steps, gradients, scaler.records)
    return scaler.records


def _scale(
    model: nn.Module, arguments: tuple[tuple[Any, ...], dict[str, Any]], scaler: Scaler
) -> list[Step]:
    """Run the model, and scale each layer when its turn comes."""
    sharded = [name for name, one in model.named_parameters() if is_distributed(one)]
    if sharded:
        raise ArgumentTypeError(
            "the layers must be whole: scale the model before it is sharded, and give the shards "
            f"its state dict; DTensors are {', '.join(sharded)}"
        )
    names = {module: name for name, module in model.named_modules() if isinstance(module, KINDS)}
    steps: list[Step] = []

    def scale(module: Any, args: Any, kwargs: Any, output: Tensor) -> Tensor:
        weight = module._parameters.get("weight")
        if weight is None or not weight.requires_grad:
            return output
        if any(step.module.weight is weight for step in steps):
            return output
        step = Step(f"{names[module]}.weight".lstrip("."), module, args, kwargs)
        scaler.scale(step)
        steps.append(step)
        return step.forward()

    with torch.no_grad(), _hooked(list(names), scale):
        model(*arguments[0], **arguments[1])
    for step in steps:
        step.args, step.kwargs = (), {}  # what the data was is not needed any more
    return steps


@contextmanager
def _hooked(modules: list[nn.Module], hook: Callable[..., Any]) -> Iterator[None]:
    handles = [module.register_forward_hook(hook, with_kwargs=True) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, was in training.items():
            module.training = was


def _arguments(x: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return what the model is called with; it must be finite."""
    if callable(x) and not isinstance(x, Tensor):
        x = x()
    args = x if isinstance(x, tuple) else () if isinstance(x, Mapping) else (torch.as_tensor(x),)
    kwargs = dict(x) if isinstance(x, Mapping) else {}
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor) and not value.isfinite().all():
            raise ArgumentError("x must be finite, got nan or inf in it")
    return args, kwargs


def _array(tensor: Tensor) -> Matrix:
    return tensor.detach().cpu().double().numpy().copy()
