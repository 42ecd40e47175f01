"""Networks in files: all that a training needs to go on, in one file of the safetensors format.

The tensors are the parameters and moving statistics under their names, "dense_0.kernel", and what
the optimizer remembers of each, "optimizer.first.dense_0.kernel"; so any program that reads the
format can use them. The rest is text in the file's metadata:

============= ======================================================================
key           value
============= ======================================================================
format        "fastinit.nn/1"
configuration JSON: layers, dtype, shape of an example, seed; loss, optimizer, metrics, learning
              rate, steps and epochs taken; CRC-32 of the bytes of each tensor
crc32         that of the text of the configuration
============= ======================================================================

Nothing in a file is ever run: an initializer of one's own, a function, is not stored but named.
"""

from __future__ import annotations

import json
import os
import secrets
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError, FastinitError
from fastinit.kernels.jit import FloatArray
from fastinit.keys import Key, Seed
from fastinit.nn import layers
from fastinit.nn.layers import Layer, Shape
from fastinit.nn.losses import LOSSES
from fastinit.nn.optimizers import OPTIMIZERS
from fastinit.nn.schedules import SCHEDULES, Schedule, get_schedule

if TYPE_CHECKING:
    from fastinit.nn.network import Sequential

__all__ = ["load", "load_weights", "save", "save_weights"]

FORMAT = "fastinit.nn/1"
LAYERS: dict[str, type[Layer]] = {
    kind.kind: kind
    for kind in (
        layers.Activation,
        layers.BatchNorm,
        layers.Dense,
        layers.Dropout,
        layers.GRU,
        layers.LayerNorm,
        layers.LSTM,
        layers.RNN,
    )
}
MOMENTS = "optimizer.first", "optimizer.second"

Network = TypeVar("Network", bound="Sequential")
PathLike = str | os.PathLike[str]
Tensors = dict[str, NDArray[Any]]


class File(NamedTuple):
    """What a file holds; the configuration is empty where it is not ours."""

    path: Path
    configuration: dict[str, Any]
    tensors: Tensors


# ---------------------------------------------------------------- saving


def save(network: Sequential, path: PathLike, include_optimizer: bool = True) -> None:
    """Write the network into one file, from which `load` makes an equal one.

    With `compile`'s choices and what the optimizer remembers, so that training goes on as if it had
    never stopped, bit for bit. The file is written beside its place, then moved there: whoever
    reads it sees the old file or the new one, and if writing fails the old one stays.

    Parameters
    ----------
    network : Sequential
        Built; this is a method of it.
    path : str or path
        The file, customarily ``*.safetensors``; an existing one is replaced.
    include_optimizer : bool, default True
        Whether to write what `compile` and training gave. Without, the file is a third as large
        where the optimizer is Adam, and the network has to be compiled again.

    Raises
    ------
    ArgumentTypeError
        If a layer, the loss, the optimizer or its schedule is of a class of one's own.
    FastinitError
        If the network is not built.
    ImportError
        If safetensors is not installed.
    OSError
        If the file cannot be written.

    Notes
    -----
    An initializer that the catalogue has no words for, such as a function of one's own, is noted as
    such: see `load`. A seed that is neither an integer nor a `Key` is not stored; None stands for
    it.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastinit import nn
    >>> network = nn.Sequential([nn.Dense(3, "relu"), nn.Dense(2)], seed=0)
    >>> network.build(4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     network.save(pathlib.Path(folder, "network.safetensors"))
    ...     again = nn.Sequential.load(pathlib.Path(folder, "network.safetensors"))
    >>> again.layers
    [Dense(3, activation='relu'), Dense(2)]
    >>> bool((again.layers[0].kernel == network.layers[0].kernel).all())
    True
    """
    tensors = _weights(network)
    configuration = {
        "fastinit": fastinit.__version__,
        "dtype": network.dtype.name,
        "input_shape": network.input_shape,
        "seed": _seed_config(network.seed),
        "layers": [_layer_config(layer) for layer in network.layers],
        "training": None,
    }
    if include_optimizer and network.loss is not None:
        configuration["training"] = _training_config(network)
        for moment, flat in zip(MOMENTS, network._moments or (), strict=False):
            if flat.size:
                parts = _parts_of(network, flat).items()
                tensors |= {f"{moment}.{name}": part for name, part in parts}
    _write(path, configuration, tensors)


def save_weights(network: Sequential, path: PathLike) -> None:
    """Write the parameters and moving statistics alone, for `load_weights`.

    Parameters
    ----------
    network : Sequential
        Built; this is a method of it.
    path : str or path
        The file, customarily ``*.safetensors``; an existing one is replaced, as by `save`.

    Raises
    ------
    FastinitError
        If the network is not built.
    ImportError
        If safetensors is not installed.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastinit import nn
    >>> trained, other = (nn.Sequential([nn.Dense(2)], seed=seed) for seed in (0, 1))
    >>> trained.build(3), other.build(3)
    (None, None)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     trained.save_weights(pathlib.Path(folder, "weights.safetensors"))
    ...     other.load_weights(pathlib.Path(folder, "weights.safetensors"))
    []
    >>> bool((other.layers[0].kernel == trained.layers[0].kernel).all())
    True
    """
    _write(path, {"fastinit": fastinit.__version__}, _weights(network))


def _weights(network: Sequential) -> Tensors:
    return {f"{layer.name}.{name}": getattr(layer, name) for layer, name in network._slots()}


def _parts_of(network: Sequential, flat: FloatArray) -> dict[str, FloatArray]:
    """Return the part of each parameter in an array of all."""
    parts = {}
    for layer, shape in zip(network.layers, network.shapes, strict=True):
        for name, of_one in layer.parameter_shapes(shape).items():
            start = network.memory.start(layer, name)
            size = int(np.prod(of_one))
            parts[f"{layer.name}.{name}"] = flat[start : start + size].reshape(of_one)
    return parts


def _layer_config(layer: Layer) -> dict[str, Any]:
    _require_own(layer, LAYERS.get(layer.kind), "layer")
    arguments = layer.get_config()
    for name, text in arguments.items():
        if name.endswith("initializer") and not _says(text, getattr(layer, name)):
            arguments[name] = {"custom": text}
    return {
        "kind": layer.kind,
        "name": layer.name,
        "trainable": bool(layer.trainable),
        "arguments": arguments,
    }


def _says(text: str, initializer: object) -> bool:
    """Return whether the catalogue makes an equal initializer of its text."""
    try:
        return bool(fastinit.get(text) == initializer)
    except (FastinitError, ValueError):  # NumPy's, of arrays that are compared
        return False


def _seed_config(seed: Seed) -> Any:
    if isinstance(seed, Key):
        return {"key": seed.value}
    return int(seed) if isinstance(seed, int | np.integer) else None


def _training_config(network: Sequential) -> dict[str, Any]:
    loss, optimizer, rate = network.loss, network.optimizer, get_schedule(network.learning_rate)
    assert loss is not None
    assert optimizer is not None
    _require_own(loss, LOSSES.get(loss.name), "loss")
    _require_own(optimizer, OPTIMIZERS.get(optimizer.name), "optimizer")
    for schedule in (rate, optimizer.learning_rate):
        while isinstance(schedule, Schedule):
            _require_own(schedule, SCHEDULES.get(schedule.name), "schedule")
            schedule = getattr(schedule, "learning_rate", 0.0)  # what follows a warm-up
    return {
        "loss": {"name": loss.name, **asdict(loss)},
        "optimizer": optimizer.get_config(),
        "metrics": [metric.name for metric in network.metrics],
        "learning_rate": rate.get_config() if isinstance(rate, Schedule) else rate,
        "steps": network.steps,
        "epochs": network.epochs,
        "moments": sum(flat.size > 0 for flat in network._moments or ()),
    }


def _require_own(value: object, known: type | None, what: str) -> None:
    if type(value) is not known:
        raise ArgumentTypeError(
            f"only layers, losses, optimizers and schedules of fastinit.nn can be saved, got the "
            f"{what} {value!r}: save_weights saves the weights of any network"
        )


def _write(path: PathLike, configuration: dict[str, Any], tensors: Tensors) -> None:
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    configuration["crc32"] = {name: zlib.crc32(tensor) for name, tensor in tensors.items()}
    text = json.dumps(configuration, allow_nan=False)
    crc = str(zlib.crc32(text.encode()))
    metadata = {"format": FORMAT, "configuration": text, "crc32": crc}
    _write_whole(Path(path).resolve(), _safetensors().save(tensors, metadata))


def _write_whole(path: Path, data: bytes) -> None:
    """Write beside the file and rename: whoever reads it sees the old bytes or the new."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(temporary, "xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _safetensors() -> ModuleType:
    try:
        import safetensors.numpy
    except ModuleNotFoundError as error:
        raise ImportError(
            "networks are saved with safetensors: pip install 'fastinit[nn]'", name="safetensors"
        ) from error
    return safetensors.numpy


# ---------------------------------------------------------------- loading


def load(cls: type[Network], path: PathLike) -> Network:
    """Return the network that `save` wrote into a file; see `Sequential.load`."""
    file = _read(path)
    if "layers" not in file.configuration:
        held = "weights alone: build the network, then call load_weights"
        raise ArgumentError(
            f"{_quoted(file)} holds {held if file.configuration else 'no network of fastinit.nn'}"
        )
    try:
        network = _network(cls, file)
    except (FastinitError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ArgumentError(f"{_quoted(file)} cannot be loaded: {error}") from error
    return network


def _network(cls: type[Network], file: File) -> Network:
    configuration, tensors = file.configuration, dict(file.tensors)
    shape = tuple(configuration["input_shape"])
    made = [_layer(config) for config in configuration["layers"]]
    network = cls(made, seed=_seed(configuration["seed"]), dtype=configuration["dtype"])
    training = configuration["training"]
    moments = MOMENTS[: training["moments"]] if training else ()
    # Before memory is taken for the shapes that the file names: those of its tensors are real.
    _require_same(_expected(made, shape, moments), tensors, network.dtype)
    network.allocate(shape)
    for layer, name in network._slots():
        setattr(layer, name, tensors[f"{layer.name}.{name}"])
    if training:
        _resume(network, training, tensors)
    return network


def _layer(config: Mapping[str, Any]) -> Layer:
    kind, arguments = LAYERS[config["kind"]], dict(config["arguments"])
    for name in [name for name in arguments if name.endswith("initializer")]:
        try:
            fastinit.get(arguments[name])
        except FastinitError:
            text = arguments.pop(name)
            text = text["custom"] if isinstance(text, Mapping) else text
            warnings.warn(
                f"{config['name']}.{name} was {text}, which is not in the catalogue: the default "
                "stands in for it; the weights are those of the file",
                UserWarning,
                stacklevel=6,  # the caller of Sequential.load
            )
    layer = kind(**arguments, name=config["name"])
    layer.trainable = config["trainable"]
    return layer


def _seed(config: Any) -> Seed:
    if config is None:
        return None
    seed: Seed = Key(config["key"]) if isinstance(config, Mapping) else config
    fastinit.key(seed)  # raises unless it is one
    return seed


def _expected(made: Sequence[Layer], shape: Shape, moments: Sequence[str]) -> dict[str, Shape]:
    """Return the shapes of all tensors that a network's file has, by name."""
    shapes: dict[str, Shape] = {}
    for layer in made:
        trained = {f"{layer.name}.{n}": s for n, s in layer.parameter_shapes(shape).items()}
        shapes |= trained | {f"{layer.name}.{n}": s for n, s in layer.state_shapes(shape).items()}
        shapes |= {f"{moment}.{n}": s for moment in moments for n, s in trained.items()}
        shape = layer.output_shape(shape)
    return shapes


def _resume(network: Sequential, training: Mapping[str, Any], tensors: Tensors) -> None:
    loss = dict(training["loss"])
    network.compile(
        LOSSES[loss.pop("name")](**loss), training["optimizer"], metrics=training["metrics"]
    )
    network.learning_rate = get_schedule(training["learning_rate"])
    network.steps, network.epochs = training["steps"], training["epochs"]
    if training["moments"]:
        for moment, flat in zip(MOMENTS, network.moments(), strict=True):
            if flat.size:
                for name, part in _parts_of(network, flat).items():
                    part[...] = tensors[f"{moment}.{name}"]


def load_weights(network: Sequential, path: PathLike, skip_mismatch: bool = False) -> list[str]:
    """Copy the parameters and moving statistics of a file into the layers of the same names.

    A layer is loaded whole or not at all. The numbers are rounded to the network's dtype.

    Parameters
    ----------
    network : Sequential
        Built; this is a method of it.
    path : str or path
        The file, by `save`, by `save_weights`, or by any program that knows the names.
    skip_mismatch : bool, default False
        Whether to leave layers as they are that the file does not have, or has in other shapes, and
        to pass over what the network does not have: for instance a head of another size.

    Returns
    -------
    list of str
        Names of the layers with parameters that were left as they are.

    Raises
    ------
    ArgumentError
        If the file is damaged, or does not fit and `skip_mismatch` is False, or no layer fits; no
        parameter has been changed then.
    FastinitError
        If the network is not built.
    ImportError
        If safetensors is not installed.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastinit import nn
    >>> ten, five = (nn.Sequential([nn.Dense(8), nn.Dense(n, name="head")]) for n in (10, 5))
    >>> ten.build(4), five.build(4)
    (None, None)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ten.save_weights(pathlib.Path(folder, "ten.safetensors"))
    ...     five.load_weights(pathlib.Path(folder, "ten.safetensors"), skip_mismatch=True)
    ['head']
    """
    slots: dict[Layer, dict[str, str]] = {}
    for layer, name in network._slots():
        slots.setdefault(layer, {})[name] = f"{layer.name}.{name}"
    file = _read(path)
    tensors = {n: t for n, t in file.tensors.items() if not n.startswith(MOMENTS)}
    fitting: list[Layer] = []
    faults: list[ArgumentError] = []
    for layer, names in slots.items():
        shapes = {full: getattr(layer, name).shape for name, full in names.items()}
        try:
            _require_same(shapes, {n: tensors[n] for n in shapes if n in tensors})
            fitting.append(layer)
        except ArgumentError as error:
            faults.append(error)
    if not skip_mismatch:
        faults += _superfluous(tensors, [n for names in slots.values() for n in names.values()])
    if faults and not (skip_mismatch and fitting):
        raise ArgumentError(f"{_quoted(file)} does not fit the network: {faults[0]}")
    for layer in fitting:
        for name, full in slots[layer].items():
            setattr(layer, name, tensors[full])
    return [str(layer.name) for layer in slots if layer not in fitting]


def _require_same(
    expected: Mapping[str, Shape], tensors: Tensors, dtype: np.dtype[Any] | None = None
) -> None:
    """Raise unless the tensors have these names and shapes, and are of a dtype, if one is given."""
    for name, shape in expected.items():
        if name not in tensors:
            raise ArgumentError(f"it has no tensor {name!r} (expected one of shape {shape})")
        tensor = tensors[name]
        if tensor.shape != shape:
            raise ArgumentError(f"{name!r} has the shape {tensor.shape}, expected {shape}")
        if tensor.dtype.kind != "f" or dtype not in (None, tensor.dtype):
            wanted = "floating-point numbers" if dtype is None else dtype
            raise ArgumentError(f"{name!r} is of the dtype {tensor.dtype}, expected {wanted}")
    for fault in _superfluous(tensors, expected):
        raise fault


def _superfluous(tensors: Tensors, known: Any) -> list[ArgumentError]:
    """Return an error for each tensor that nobody asks for."""
    names = [name for name in tensors if name not in known]
    return [
        ArgumentError(f"it has a tensor {name!r}, which the network does not") for name in names
    ]


def _read(path: PathLike) -> File:
    """Return what is in a file, after checking that it is whole."""
    numpy_format = _safetensors()
    from safetensors import SafetensorError

    data = Path(path).read_bytes()
    try:
        tensors = dict(numpy_format.load(data))
    except (SafetensorError, KeyError) as error:  # KeyError: a dtype that NumPy does not have
        raise ArgumentError(f"{os.fspath(path)!r} is no whole safetensors file: {error}") from error
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    metadata = header.get("__metadata__") or {}
    if not metadata.get("format", "").startswith("fastinit.nn/"):
        return File(Path(path), {}, tensors)
    file = File(Path(path), _configuration(path, metadata), tensors)
    for name, crc in file.configuration["crc32"].items():
        if name in tensors and zlib.crc32(tensors[name]) != crc:
            raise ArgumentError(f"{_quoted(file)} is damaged: {name!r} fails its checksum")
    return file


def _configuration(path: PathLike, metadata: Mapping[str, str]) -> dict[str, Any]:
    if metadata["format"] != FORMAT:
        raise ArgumentError(
            f"{os.fspath(path)!r} is of the format {metadata['format']!r}, expected {FORMAT!r}: "
            "a later fastinit wrote it"
        )
    text = metadata.get("configuration", "")
    if metadata.get("crc32") != str(zlib.crc32(text.encode())):
        raise ArgumentError(f"{os.fspath(path)!r} is damaged: its configuration fails its checksum")
    configuration: dict[str, Any] = json.loads(text)
    return configuration


def _quoted(file: File) -> str:
    return repr(os.fspath(file.path))
