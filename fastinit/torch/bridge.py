"""Networks of `fastinit.nn` as modules of PyTorch, and back, with the same outputs.

===================== ==========================================================================
fastinit.nn           torch.nn
===================== ==========================================================================
Dense                 Linear, then its activation
Activation            ReLU, LeakyReLU, ELU, SELU, GELU (both), SiLU, Softplus, Mish, Tanh, Sigmoid,
                      Softmax, LogSoftmax; Identity for "linear"
Dropout               Dropout
BatchNorm             BatchNorm1d, where an example is a row of features
LayerNorm             LayerNorm over the features
RNN, LSTM, GRU        `Recurrent` around RNN, LSTM, GRU
===================== ==========================================================================

Parameters, moving statistics, epsilon, momentum (PyTorch's is one minus ours) and what is frozen go
over; initializers, regularizers, loss and optimizer stay behind. Training differs in this:
PyTorch's moving variance is the unbiased one, both biases of its RNN and LSTM, whose sum is ours,
learn, and a frozen normalization of it computes with the batch's statistics, but in evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.keys import Seed

if TYPE_CHECKING:  # at run time inside functions: it loads Numba, which the rest here does not need
    from fastinit.nn import Layer, Sequential

__all__ = ["Recurrent", "from_torch", "to_torch"]

Arrays: TypeAlias = "dict[str, NDArray[Any]]"


class Recurrent(nn.Module):
    """A recurrent layer of PyTorch that returns its hidden states alone: fit for ``nn.Sequential``.

    Parameters
    ----------
    cells : torch.nn.RNN, torch.nn.LSTM or torch.nn.GRU
        The layer, with ``batch_first=True``.
    return_sequences : bool, default False
        Whether to return the hidden states of all steps, shape (batch, time, units), or of the
        last, shape (batch, units).

    Raises
    ------
    ValueError
        If `cells` does not have ``batch_first=True``.

    Examples
    --------
    >>> import torch
    >>> import fastinit.torch
    >>> cells = torch.nn.LSTM(3, 8, batch_first=True)
    >>> model = torch.nn.Sequential(fastinit.torch.Recurrent(cells), torch.nn.Linear(8, 1))
    >>> model(torch.zeros(5, 20, 3)).shape
    torch.Size([5, 1])
    """

    def __init__(self, cells: nn.RNNBase, return_sequences: bool = False) -> None:
        super().__init__()
        if not cells.batch_first:
            raise ArgumentError(f"cells must have batch_first=True, got {cells}")
        self.cells = cells
        self.return_sequences = return_sequences

    def forward(self, x: Tensor) -> Tensor:
        """Return the hidden states.

        Parameters
        ----------
        x : Tensor, shape (batch, time, features)
            The sequences.

        Returns
        -------
        Tensor
            Of all steps, or of the last.
        """
        states = self.cells(x)[0]
        return states if self.return_sequences else states[:, -1]

    def extra_repr(self) -> str:
        """Return what the cells do not tell.

        Returns
        -------
        str
            Part of the module's ``repr``.
        """
        return f"return_sequences={self.return_sequences}"


# ---------------------------------------------------------------- activations

ACTIVATIONS: dict[str, Callable[[float], nn.Module]] = {
    "linear": lambda alpha: nn.Identity(),
    "relu": lambda alpha: nn.ReLU(),
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": lambda alpha: nn.SELU(),
    "gelu": lambda alpha: nn.GELU(),
    "gelu_tanh": lambda alpha: nn.GELU(approximate="tanh"),
    "silu": lambda alpha: nn.SiLU(),
    "swish": lambda alpha: nn.SiLU(),
    "softplus": lambda alpha: nn.Softplus(),
    "mish": lambda alpha: nn.Mish(),
    "tanh": lambda alpha: nn.Tanh(),
    "sigmoid": lambda alpha: nn.Sigmoid(),
    "softmax": lambda alpha: nn.Softmax(dim=-1),
    "log_softmax": lambda alpha: nn.LogSoftmax(dim=-1),
}
PLAIN = {
    nn.Identity: "linear",
    nn.ReLU: "relu",
    nn.SELU: "selu",
    nn.SiLU: "silu",
    nn.Mish: "mish",
    nn.Tanh: "tanh",
    nn.Sigmoid: "sigmoid",
}


def _activation_of(where: str, module: Any, rank: int) -> tuple[str, float | None] | None:
    """Return name and alpha of an activation, None for another module."""
    kind = type(module)
    if kind in PLAIN:
        return PLAIN[kind], None
    if kind is nn.LeakyReLU:
        return "leaky_relu", module.negative_slope
    if kind is nn.ELU:
        return "elu", module.alpha
    if kind is nn.GELU:
        return "gelu" if module.approximate == "none" else "gelu_tanh", None
    if kind is nn.Softplus:
        _require(where, module, "beta", module.beta == 1)
        _require(where, module, "threshold", module.threshold >= 20)
        return "softplus", None
    if kind in (nn.Softmax, nn.LogSoftmax):
        _require(where, module, "dim", module.dim in (-1, rank))
        return "softmax" if kind is nn.Softmax else "log_softmax", None
    return None


# ---------------------------------------------------------------- to PyTorch


def to_torch(network: Sequential) -> nn.Sequential:
    """Return a module of PyTorch with the network's layers and parameters.

    Parameters
    ----------
    network : fastinit.nn.Sequential
        Built.

    Returns
    -------
    torch.nn.Sequential
        On the CPU, of the network's dtype, in evaluation mode: it gives what ``network.predict``
        gives. Its children have the names of the layers; an activation stands behind its layer as
        "dense_0_activation". What is frozen needs no gradient. It shares no memory.

    Raises
    ------
    ValueError
        If a layer has no counterpart, or the network is not built.

    Examples
    --------
    >>> import fastinit.torch
    >>> from fastinit import nn
    >>> network = nn.Sequential([nn.Dense(3, "relu", name="hidden"), nn.Dense(2)], seed=0)
    >>> network.build(4)
    >>> fastinit.torch.to_torch(network)
    Sequential(
      (hidden): Linear(in_features=4, out_features=3, bias=True)
      (hidden_activation): ReLU()
      (dense_1): Linear(in_features=3, out_features=2, bias=True)
    )
    """
    if network.input_shape is None:
        raise ArgumentError("the network has no parameters yet: call build(input_shape) first")
    made = nn.Sequential()
    dtype = getattr(torch, network.dtype.name)
    for layer, shape in zip(network.layers, network.shapes, strict=True):
        for name, module in _modules_of(layer, shape):
            if name in dict(made.named_children()):
                raise ArgumentError(f"two modules would be named {name!r}: rename {layer.name!r}")
            made.add_module(name, module.to(dtype))
    return made.eval()


def _modules_of(layer: Any, shape: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    """Yield the modules of a layer with their names."""
    from fastinit import nn as ours
    from fastinit.nn.activations import default_alpha

    name, features, kind = layer.name, shape[-1], type(layer)
    if kind is ours.Dense:
        module = nn.Linear(features, layer.units, bias=layer.use_bias)
        yield name, _filled(module, layer, {"weight": layer.kernel.T, "bias": layer.bias})
        if layer.activation != "linear":
            yield f"{name}_activation", ACTIVATIONS[layer.activation](default_alpha(layer.code))
    elif kind is ours.Activation:
        yield name, ACTIVATIONS[layer.activation](layer.alpha)
    elif kind is ours.Dropout:
        yield name, nn.Dropout(layer.rate)
    elif kind is ours.BatchNorm:
        if len(shape) > 1:
            raise ArgumentError(
                f"{name!r} normalizes sequences, for which torch.nn.BatchNorm1d wants the order "
                "(batch, features, time): it has no counterpart here"
            )
        normalization = nn.BatchNorm1d(features, layer.epsilon, 1.0 - layer.momentum)
        statistics = {"running_mean": layer.moving_mean, "running_var": layer.moving_variance}
        yield name, _normalization(normalization, layer, statistics)
    elif kind is ours.LayerNorm:
        yield name, _normalization(nn.LayerNorm(features, layer.epsilon), layer, {})
    elif kind in (ours.RNN, ours.LSTM, ours.GRU):
        yield name, Recurrent(_cells_of(layer, features), layer.return_sequences)
    else:
        raise ArgumentError(f"{name!r}, {layer!r}, has no counterpart in PyTorch")


def _normalization(module: nn.Module, layer: Any, statistics: Arrays) -> nn.Module:
    _filled(module, layer, {"weight": layer.gamma, "bias": layer.beta, **statistics})
    for name, there in (("weight", layer.scale), ("bias", layer.center)):
        if not there:  # one or zero, as PyTorch made it, and to stay so
            getattr(module, name).requires_grad_(False)
    return module


def _cells_of(layer: Any, features: int) -> nn.RNNBase:
    kind = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[layer.kind]
    options = {"nonlinearity": layer.activation} if kind is nn.RNN else {}
    cells = kind(features, layer.units, bias=layer.use_bias, batch_first=True, **options)
    arrays = {"weight_ih_l0": layer.kernel, "weight_hh_l0": layer.recurrent_kernel}
    if layer.use_bias:
        bias = layer.bias if kind is nn.GRU else (layer.bias, np.zeros_like(layer.bias))
        arrays["bias_ih_l0"], arrays["bias_hh_l0"] = bias
    return _filled(cells, layer, {n: _reorder(kind, a).T for n, a in arrays.items()})


def _reorder(kind: type, columns: NDArray[Any]) -> NDArray[Any]:
    """Swap the first two gates of a GRU: z, r, h here, r, z, n in PyTorch."""
    if kind is not nn.GRU:
        return columns
    first, second, third = np.split(columns, 3, axis=-1)
    return np.concatenate([second, first, third], axis=-1)


def _filled(module: Any, layer: Layer, arrays: dict[str, Any]) -> Any:
    """Return the module with these parameters and buffers; what is None stays."""
    state = {name: torch.from_numpy(a) for name, a in arrays.items() if a is not None}
    module.to(next(iter(state.values())).dtype if state else None)
    module.load_state_dict(state, strict=False)
    return module.requires_grad_(layer.trainable)


# ---------------------------------------------------------------- from PyTorch


def from_torch(
    module: nn.Sequential, input_shape: int | tuple[int, ...], seed: Seed = None
) -> Sequential:
    """Return a network with the modules' parameters.

    Parameters
    ----------
    module : torch.nn.Sequential
        Of the modules in the table of `fastinit.torch.bridge`, nested or not, in float32 or
        float64. A recurrent layer stands in a `Recurrent`; several stacked ones become as many.
    input_shape : int or tuple of int
        Shape of an example: features, or (time, features).
    seed : int, Key, numpy.random.SeedSequence, numpy.random.Generator or None, default None
        Of the order of the examples and of dropout in training, see `fastinit.nn.Sequential`.

    Returns
    -------
    fastinit.nn.Sequential
        Built, not compiled; its layers have the names of the modules, but for numbers. An
        activation behind a linear layer is that layer's own. A layer is frozen if none of its
        parameters needs a gradient. It shares no memory.

    Raises
    ------
    ValueError
        If a module has no counterpart, or does not take examples of that shape.
    TypeError
        If `module` is no ``torch.nn.Sequential``.

    Examples
    --------
    >>> import torch
    >>> import fastinit.torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    >>> network = fastinit.torch.from_torch(model, 4)
    >>> network.layers
    [Dense(3, activation='relu'), Dense(2)]
    """
    from fastinit.nn.transfer import assemble

    if not isinstance(module, nn.Sequential):
        raise ArgumentTypeError(f"module must be a torch.nn.Sequential, got {type(module)}")
    found = {p.dtype for p in module.state_dict().values() if p.is_floating_point()}
    if len(found) > 1 or not found <= {torch.float32, torch.float64}:
        raise ArgumentError(f"all parameters must be float32, or all float64, got {found}")
    dtype = np.float64 if torch.float64 in found else np.float32
    rank = len(input_shape) if isinstance(input_shape, tuple) else 1
    return assemble(_pieces(module, "", rank), input_shape, seed, dtype)


def _pieces(module: nn.Sequential, prefix: str, rank: int) -> Iterator[tuple[Layer, Arrays]]:
    """Yield layers with their arrays; `rank` is that of an example before the module."""
    for name, child in module.named_children():
        where = f"{prefix}{name}"
        if type(child) is nn.Sequential:
            for layer, arrays in _pieces(child, f"{where}.", rank):
                rank = _rank_behind(layer, rank)
                yield layer, arrays
            continue
        numbers = all(part.isdigit() for part in where.split("."))
        for layer, arrays in _layers_of(where, child, rank):
            layer.name = layer.name or (None if numbers else where)
            parameters = list(child.parameters())
            layer.trainable = not parameters or any(p.requires_grad for p in parameters)
            rank = _rank_behind(layer, rank)
            yield layer, arrays


def _rank_behind(layer: Layer, rank: int) -> int:
    return rank if getattr(layer, "return_sequences", True) else 1


def _layers_of(where: str, module: Any, rank: int) -> Iterator[tuple[Layer, Arrays]]:
    """Yield the layers that a module becomes, with their arrays by name."""
    from fastinit import nn as ours

    kind = type(module)
    activation = _activation_of(where, module, rank)
    if activation is not None:
        yield ours.Activation(*activation), {}
    elif kind is nn.Linear:
        layer = ours.Dense(module.out_features, use_bias=module.bias is not None)
        yield layer, _present(kernel=_array(module.weight).T, bias=_array(module.bias))
    elif kind is nn.Dropout:
        yield ours.Dropout(module.p), {}
    elif kind is nn.BatchNorm1d:
        _require(where, module, "momentum", module.momentum is not None)
        _require(where, module, "track_running_stats", module.running_mean is not None)
        _require(where, module, "the order of a sequence's axes", rank == 1)
        arrays = _present(gamma=_array(module.weight), beta=_array(module.bias))
        options: Any = {"scale": "gamma" in arrays, "center": "beta" in arrays}
        arrays["moving_mean"] = _array(module.running_mean)
        arrays["moving_variance"] = _array(module.running_var)
        yield ours.BatchNorm(1.0 - module.momentum, module.eps, **options), arrays
    elif kind is nn.LayerNorm:
        _require(where, module, "normalized_shape", len(module.normalized_shape) == 1)
        arrays = _present(gamma=_array(module.weight), beta=_array(module.bias))
        yield ours.LayerNorm(module.eps, center="beta" in arrays, scale="gamma" in arrays), arrays
    elif kind is Recurrent:
        yield from _recurrent_layers(where, module)
    else:
        hint = ": wrap it in fastinit.torch.Recurrent" if isinstance(module, nn.RNNBase) else ""
        raise ArgumentError(f"{where!r}, {module}, has no counterpart in fastinit.nn{hint}")


def _recurrent_layers(where: str, module: Recurrent) -> Iterator[tuple[Layer, Arrays]]:
    from fastinit import nn as ours

    cells: Any = module.cells
    kind = type(cells)
    _require(where, cells, "a recurrent layer of its own", kind in (nn.RNN, nn.LSTM, nn.GRU))
    _require(where, cells, "bidirectional", not cells.bidirectional)
    _require(where, cells, "proj_size", not cells.proj_size)
    make: Any = {nn.RNN: ours.RNN, nn.LSTM: ours.LSTM, nn.GRU: ours.GRU}[kind]
    options = {"activation": cells.nonlinearity} if kind is nn.RNN else {}
    last = cells.num_layers - 1
    for i in range(cells.num_layers):
        layer = make(
            cells.hidden_size,
            use_bias=cells.bias,
            return_sequences=module.return_sequences or i < last,
            **options,
        )
        if last and not where.rpartition(".")[2].isdigit():
            layer.name = f"{where}_{i}"
        yield layer, _recurrent_arrays(cells, i)
        if cells.dropout and i < last:
            yield ours.Dropout(cells.dropout, name=layer.name and f"{layer.name}_dropout"), {}


def _recurrent_arrays(cells: Any, i: int) -> Arrays:
    def columns(name: str) -> NDArray[Any]:
        return _reorder(type(cells), _array(getattr(cells, f"{name}_l{i}")).T)

    arrays = {"kernel": columns("weight_ih"), "recurrent_kernel": columns("weight_hh")}
    if cells.bias:
        biases = np.stack([columns("bias_ih"), columns("bias_hh")])
        arrays["bias"] = biases if type(cells) is nn.GRU else biases.sum(axis=0)
    return arrays


def _array(tensor: Tensor | None) -> Any:
    return None if tensor is None else tensor.detach().cpu().numpy()


def _present(**arrays: Any) -> Arrays:
    return {name: array for name, array in arrays.items() if array is not None}


def _require(where: str, module: nn.Module, what: str, met: bool) -> None:
    if not met:
        raise ArgumentError(f"{where!r}, {module}, has no counterpart in fastinit.nn: {what}")
