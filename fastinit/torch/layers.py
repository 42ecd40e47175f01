"""What PyTorch's layers do with their parameters, and so their fans."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from fastinit.errors import ArgumentError
from fastinit.fans import Fans, convolution_fans, dense_fans, embedding_fans

__all__ = ["catalogue_shape", "fans", "groups_of", "places", "transposed", "unwrapped"]

# The gates that a recurrent layer's kernels stack along their output axis.
GATES: dict[type[nn.Module], int] = {
    nn.LSTM: 4,
    nn.LSTMCell: 4,
    nn.GRU: 3,
    nn.GRUCell: 3,
    nn.RNN: 1,
    nn.RNNCell: 1,
}


def fans(module: nn.Module, name: str = "weight") -> Fans | None:
    """Return fan_in and fan_out of a layer's parameter, as the layer uses it.

    They are the fans for which weights of variance 1 / fan_in turn inputs of mean square 1 into
    outputs of mean square 1, and weights of variance 1 / fan_out do so to the gradients on their
    way back; see `fastinit.fans`. ``torch.nn.init`` has the shape alone, and so is wrong about
    groups, strides, transposed convolutions, embeddings and stacked kernels.

    ==============================  ===================================  ========================
    layer                           parameters                           what counts
    ==============================  ===================================  ========================
    Linear                          weight
    Bilinear                        weight                               fan_in is in1 in2; both
                                                                         ways back, their mean
    Conv1d ... ConvTranspose3d      weight                               groups, strides, window
    Embedding, EmbeddingBag         weight                               fan_in is 1
    MultiheadAttention              in_proj_weight, {q,k,v}_proj_weight  3 kernels in the first
    LSTM, GRU, RNN and their cells  weight_ih*, weight_hh*, weight_hr*   4, 3, 1 stacked kernels
    ==============================  ===================================  ========================

    Parameters
    ----------
    module : Module
        A layer, or a subclass of one.
    name : str, default "weight"
        The parameter's own name there.

    Returns
    -------
    (fan_in, fan_out) or None
        None where the parameter is no kernel that a known layer multiplies by: biases, the scales
        of normalizations, other modules' parameters.

    Raises
    ------
    ArgumentError
        If the module has no parameter of this name.

    Examples
    --------
    >>> from torch import nn
    >>> from fastinit.torch.layers import fans
    >>> fans(nn.Conv2d(64, 64, 3, groups=64))
    (9, 9)
    >>> fans(nn.MultiheadAttention(512, 8), "in_proj_weight")
    (512, 512)
    >>> fans(nn.LSTM(100, 256), "weight_ih_l0")
    (100, 256)
    """
    parameter = getattr(module, name, None)
    if not isinstance(parameter, Tensor):
        raise ArgumentError(f"{type(module).__name__} has no parameter {name!r}")
    shape = tuple(parameter.shape)
    match module:
        case _ConvNd() if name == "weight":
            return convolution_fans(
                shape,
                "torch",
                groups=module.groups,
                strides=module.stride,
                transposed=isinstance(module, _ConvTransposeNd),
            )
        case nn.Linear() if name == "weight":
            return dense_fans(shape, in_axis=1, out_axis=0)
        case nn.Bilinear() if name == "weight":
            out, in1, in2 = shape
            return in1 * in2, out * math.sqrt(in1 * in2)
        case nn.Embedding() | nn.EmbeddingBag() if name == "weight":
            return embedding_fans(shape)
        case nn.MultiheadAttention() if name in ATTENTION:
            return dense_fans(shape, in_axis=1, out_axis=0, parts=ATTENTION[name])
        case nn.RNNBase() | nn.RNNCellBase() if name.startswith("weight_hr"):
            return dense_fans(shape, in_axis=1, out_axis=0)
        case nn.RNNBase() | nn.RNNCellBase() if name.startswith("weight_"):
            return dense_fans(shape, in_axis=1, out_axis=0, parts=_gates(module))
    return None


ATTENTION = {"in_proj_weight": 3, "q_proj_weight": 1, "k_proj_weight": 1, "v_proj_weight": 1}


def _gates(module: nn.Module) -> int:
    return next((n for kind, n in GATES.items() if isinstance(module, kind)), 1)


def transposed(module: nn.Module) -> bool:
    """Say whether a layer's weight has its inputs first: (in, out, ...), not (out, in, ...).

    Parameters
    ----------
    module : Module
        A layer.

    Returns
    -------
    bool
        True for transposed convolutions and embeddings.

    Examples
    --------
    >>> from torch import nn
    >>> from fastinit.torch.layers import transposed
    >>> transposed(nn.Linear(3, 2)), transposed(nn.Embedding(3, 2))
    (False, True)
    """
    return isinstance(module, (_ConvTransposeNd, nn.Embedding, nn.EmbeddingBag))


def catalogue_shape(module: nn.Module, parameter: Tensor) -> tuple[int, ...]:
    """Return a parameter's shape as the catalogue has it: ``(*window, in, out)``.

    Parameters
    ----------
    module : Module
        The layer.
    parameter : Tensor
        One of its parameters.

    Returns
    -------
    tuple of int
        Of one axis or none, the shape as it is.

    Examples
    --------
    >>> from torch import nn
    >>> from fastinit.torch.layers import catalogue_shape
    >>> layer = nn.Conv2d(16, 32, 3)
    >>> catalogue_shape(layer, layer.weight)
    (3, 3, 16, 32)
    """
    shape = tuple(parameter.shape)
    if len(shape) < 2:
        return shape
    channels = shape[:2] if transposed(module) else (shape[1], shape[0])
    return (*shape[2:], *channels)


def groups_of(module: nn.Module) -> int:
    """Return into how many independent groups a layer's units fall.

    Parameters
    ----------
    module : Module
        A layer.

    Returns
    -------
    int
        A convolution's ``groups``, 1 for all else.

    Examples
    --------
    >>> from torch import nn
    >>> from fastinit.torch.layers import groups_of
    >>> groups_of(nn.Conv2d(16, 32, 3, groups=4))
    4
    """
    return module.groups if isinstance(module, _ConvNd) else 1


# What wrappers put between the names of modules: torch.compile, activation checkpointing, FSDP1.
WRAPPERS = ("_orig_mod.", "_checkpoint_wrapped_module.", "_fsdp_wrapped_module.")


def unwrapped(name: str) -> str:
    """Return the qualified name that a parameter has where no module is wrapped.

    Parameters
    ----------
    name : str
        Its name in a model that ``torch.compile``, activation checkpointing or FSDP1 may have
        wrapped.

    Returns
    -------
    str
        The same without their steps.

    Examples
    --------
    >>> from fastinit.torch.layers import unwrapped
    >>> unwrapped("_orig_mod.head.weight")
    'head.weight'
    """
    if "._" in name or name[0] == "_":
        for wrapper in WRAPPERS:
            name = name.replace(wrapper, "")
    return name


def places(model: nn.Module) -> Iterator[tuple[nn.Module, str, tuple[str, ...], Tensor]]:
    """Go through a model's parameters, each once: its module, own name, qualified names, itself.

    A tied parameter has several qualified names; its module is the first one's.

    Parameters
    ----------
    model : Module
        Any.

    Yields
    ------
    (Module, str, tuple of str, Tensor)
        The module, the parameter's name in it, its names in the model, and the parameter.

    Examples
    --------
    >>> from torch import nn
    >>> from fastinit.torch.layers import places
    >>> [names for _, _, names, _ in places(nn.Sequential(nn.Linear(3, 2)))]
    [('0.weight',), ('0.bias',)]
    """
    found: dict[int, tuple[nn.Module, str, list[str], Tensor]] = {}
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            qualified = unwrapped(f"{prefix}.{name}" if prefix else name)
            place = found.setdefault(id(parameter), (module, name, [], parameter))
            place[2].append(qualified)
    for module, name, names, parameter in found.values():
        yield module, name, tuple(names), parameter
