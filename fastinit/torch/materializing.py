"""Models whose parameters are drawn once, by name: `materialize`."""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import count

import numpy as np
import torch
from torch import Tensor, nn

from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.keys import Key, Seed, key, key_bits
from fastinit.torch.layers import unwrapped
from fastinit.torch.patching import patch
from fastinit.torch.recipes import Recipe, apply_recipe, check_recipe
from fastinit.torch.recording import (
    Recorder,
    Step,
    first_users,
    needed,
    run,
    same,
    storage_of,
    uses,
)
from fastinit.torch.sharding import is_distributed, local_of
from fastinit.torch.tensors import word

__all__ = ["materialize"]


def materialize(
    build: Callable[[], nn.Module] | nn.Module,
    seed: Seed = None,
    recipe: Recipe | None = None,
    dtype: torch.dtype | None = None,
) -> nn.Module:
    """Build a model, and draw each of its parameters once, with values that its name decides.

    While `build` runs, nothing random is drawn: what would be is noted down. When the model stands,
    each parameter is drawn with the key ``fastinit.key(seed, name)`` by the rule that the model's
    own code has, or by `recipe`'s, and what that code does to the drawn values follows. A draw that
    another one overwrites is left out. What is not random, such as masks, tables and running
    statistics, is made as always, and is what it would be without `materialize`.

    A parameter's values depend on the seed, on its name, and on the rules it is made by. They do
    not depend on other parameters, on the order in which the model makes them, nor on the number of
    threads. PyTorch's generator is not used, and generators that the model's code passes are not
    asked.

    Parameters
    ----------
    build : callable or Module
        A function without arguments that returns the model, such as ``lambda: Net(width=64)`` or
        the class itself. Or a model on the meta device, whose modules are initialized by their
        ``reset_parameters``; that is not enough for buffers that are computed. DTensors, as FSDP2
        and tensor parallelism make them, are filled shard by shard: each rank holds its part of
        what it would be without sharding, and waits for no other. All ranks need the same `seed`.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`. With None, PyTorch's generator gives it, so that ``torch.manual_seed``
        decides.
    recipe : mapping, optional
        Which initializers take the place of the model's own, by patterns of parameters' names or by
        types of modules: see `fastinit.torch.recipes`.
    dtype : torch.dtype, optional
        A floating one, for all floating parameters and buffers, as ``model.to(dtype)``. Parameters
        are made in it at once, with the values of float32 rounded (float64 has more digits).

    Returns
    -------
    Module
        The model, its tied parameters still tied, on the device that `build` puts it on; from the
        meta device to the CPU, and DTensors to their mesh's device.

    Raises
    ------
    ArgumentError
        If a parameter is not initialized by anything, is lazy, or is on the meta device: all of
        them are named. If there are DTensors, and a `dtype` is given.
    ArgumentTypeError
        If an argument has a wrong type, or `build` returns no module; of DTensors, if one is a sum
        over ranks, or is drawn by something else than normal, uniform or truncated normal laws.

    Notes
    -----
    A parameter made from several draws, such as a packed projection, takes one key after the other:
    ``key(seed, name)``, ``key(seed, name, "1")``, ... Where several parameters come from one
    draw (tied, copied by ``copy.deepcopy``), the first one's name decides. Draws whose values
    the model's code reads while it is being built (``if w.abs().max() > 1``) have to be made before
    they have a name, and are numbered in the order of reading. Normal, uniform and truncated normal
    draws are fastinit's; others (``randperm``, ``exponential_``) PyTorch's, with a generator that
    the key seeds. Python's and NumPy's generators are left alone. What wrappers add to names
    (``torch.compile``, activation checkpointing, FSDP1) does not count.

    Examples
    --------
    >>> import torch
    >>> from fastinit.torch import materialize
    >>> model = materialize(lambda: torch.nn.Linear(20, 10), seed=0)
    >>> deeper = materialize(
    ...     lambda: torch.nn.Sequential(torch.nn.Linear(20, 10), torch.nn.Linear(10, 5)), seed=0
    ... )
    >>> again = materialize(lambda: torch.nn.Sequential(torch.nn.Linear(20, 10)), seed=0)
    >>> torch.equal(deeper[0].weight, again[0].weight)
    True
    """
    rules = check_recipe(recipe)
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise ArgumentTypeError(f"dtype must be a floating torch.dtype, got {dtype!r}")
    if not callable(build):
        raise ArgumentTypeError(f"build must be a function or a module, got {build!r}")
    base = _base(seed)
    numbers = count()
    recorder = Recorder(lambda: key_bits(base, "", str(next(numbers))))
    with patch(0), recorder.recording():  # the seed is not used: the draws are recorded
        model = _rebuilt(build) if isinstance(build, nn.Module) else build()
        if not isinstance(model, nn.Module):
            raise ArgumentTypeError(f"build must return a module, got {type(model).__name__}")
        parameters = list(model.named_parameters())
        _refuse(parameters, nn.parameter.is_lazy, "lazy")
        _refuse(parameters, lambda p: p.is_meta, "on the meta device")
        apply_recipe(model, rules)
    untouched = "not initialized by anything"
    _refuse(parameters, lambda p: not recorder.initialized(local_of(p)), untouched)
    if isinstance(build, nn.Module):
        _refuse(model.named_buffers(), lambda b: not recorder.initialized(local_of(b)), untouched)
    if dtype is not None:
        own_dtype = "a DTensor, whose dtype is to be given before it is sharded, as model.to(dtype)"
        _refuse(parameters, is_distributed, own_dtype)
    _draw(model, recorder, base, dtype, lambda: key_bits(base, "", str(next(numbers))))
    return model


def _base(seed: Seed) -> int | Key:
    """Return a seed that is the same for each name: a generator is asked once."""
    if isinstance(seed, Key):
        return seed
    if seed is None:
        return Key(word())
    if isinstance(seed, (np.random.Generator, np.random.SeedSequence)):
        return key(seed)
    key_bits(seed, "")  # complains of what is no seed
    return operator.index(seed)


def _refuse(
    named: Iterable[tuple[str, Tensor]], fault: Callable[[Tensor], bool], what: str
) -> None:
    names = [name for name, tensor in named if fault(tensor)]
    if names:
        raise ArgumentError(f"{what}: {', '.join(names)}")


def _draw(
    model: nn.Module,
    recorder: Recorder,
    base: int | Key,
    dtype: torch.dtype | None,
    unnamed: Callable[[], int],
) -> None:
    """Give each draw that matters its key, and run the tape."""
    ranks: dict[int, int] = {}
    names: list[str] = []
    parts: dict[int, Tensor] = {}  # local tensors, which may cover less than their storage
    for name, tensor in _named_tensors(model):
        if tensor.layout == torch.strided:
            local = local_of(tensor)
            ranks.setdefault(storage_of(local), len(names))
            names.append(unwrapped(name))
            if local is not tensor:
                parts[storage_of(local)] = local
    for step in recorder.tape:
        if step.part is not None and (own := parts.get(step.writes[0])) is not None:
            step.overwrites = same(step.target, own)
    tape = needed(recorder.tape, recorder.unreachable() - ranks.keys())
    drawn = [0] * len(names)
    for step, rank in zip(tape, first_users(tape, ranks), strict=True):
        if not step.random:
            continue
        if rank is None:
            step.key = unnamed()
            continue
        number = drawn[rank]
        drawn[rank] += 1
        step.key = key_bits(base, names[rank], *([str(number)] if number else []))
    recorder.tape, recorder.stores = [], {}
    if dtype is None:
        run(tape)
        return
    late = _converted_first(model, tape, dtype)
    run(tape)
    with torch.no_grad():
        _convert(late, dtype, {})


def _named_tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Return the parameters, the buffers and the other attributes that are tensors."""
    modules = list(model.named_modules())  # once: a walk takes as long as some hundred draws
    for attributes in ("_parameters", "_buffers", "__dict__"):
        for prefix, module in modules:
            for name, value in getattr(module, attributes).items():
                if isinstance(value, Tensor):
                    yield (f"{prefix}.{name}" if prefix else name), value


def _converted_first(model: nn.Module, tape: list[Step], dtype: torch.dtype) -> list[Tensor]:
    """Give what a single draw makes its dtype before it is drawn; return what remains."""
    touching: dict[int, list[Step]] = defaultdict(list)
    for step in tape:
        for i in {*step.reads, *step.writes}:
            touching[i].append(step)
    tensors: dict[int, list[Tensor]] = defaultdict(list)
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point() and tensor.dtype != dtype:
            tensors[storage_of(tensor)].append(tensor)
    after: list[Tensor] = []
    for place, own in tensors.items():
        steps, storage = touching[place], own[0].untyped_storage()
        single = len(steps) == 1 and steps[0].what is not None and steps[0].overwrites
        if not single or own[0].dtype != torch.float32:
            after += own
            continue
        (step,) = steps
        if uses(place) > len(step.tensors) + len(own) + 1:  # others want what is there now
            after += own
            continue
        size = storage.nbytes() // own[0].element_size()
        memory = torch.empty(size, dtype=dtype, device=own[0].device)
        step.target = _view_of(step.target, memory)
        _convert(own, dtype, {place: memory})
    return after


def _convert(tensors: list[Tensor], dtype: torch.dtype, memory: dict[int, Tensor]) -> None:
    """Give tensors memory of another dtype: their storage's in `memory`, or a converted one."""
    kept = [tensor.detach() for tensor in tensors]  # so that no storage's address is taken anew
    for tensor, old in zip(tensors, kept, strict=True):
        place = storage_of(old)
        if place not in memory:
            size = old.untyped_storage().nbytes() // old.element_size()
            memory[place] = old.as_strided((size,), (1,), 0).to(dtype)
        tensor.data = _view_of(old, memory[place])


def _view_of(tensor: Tensor, memory: Tensor) -> Tensor:
    return memory.as_strided(tensor.size(), tensor.stride(), tensor.storage_offset())


def _rebuilt(model: nn.Module) -> nn.Module:
    """Give a model on the meta device memory, and let its modules initialize it."""
    if any(not tensor.is_meta for tensor in (*model.parameters(), *model.buffers())):
        raise ArgumentError(
            "a model that is given must lie on the meta device (with torch.device('meta'): ...); "
            "or give a function that returns it"
        )
    made: dict[int, Tensor] = {}

    def in_memory(tensor: Tensor) -> Tensor:
        if id(tensor) not in made:
            device = tensor.device_mesh.device_type if is_distributed(tensor) else "cpu"
            new: Tensor = torch.empty_like(tensor, device=device)
            if isinstance(tensor, nn.Parameter):
                new = nn.Parameter(new, requires_grad=tensor.requires_grad)
            made[id(tensor)] = new
        return made[id(tensor)]

    for module in model.modules():
        for tensors_of in (module._parameters, module._buffers):
            for name, tensor in tensors_of.items():
                if tensor is not None:
                    tensors_of[name] = in_memory(tensor)
    for module in reversed(list(model.modules())):  # the inner ones first, as when they are made
        for method in ("reset_parameters", "_reset_parameters"):
            if callable(getattr(module, method, None)):
                getattr(module, method)()
                break
    return model
