"""Build a model with its random values left for later: a tape of what is still to be drawn.

Tensors are made where the model asks for them, in memory that nothing has touched yet, and whatever
does not depend on a random value is computed at once: shapes, masks, tables, ``.item()`` of them.
Random draws, and all that reads them, are steps of a tape. When the model stands, its parameters
have names, and the steps that still matter are run, each draw with the key of the parameter it is
for. A draw that another overwrote is never made.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from statistics import NormalDist
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from fastinit.errors import ArgumentTypeError
from fastinit.sampling import (
    Distribution,
    Draw,
    Normal,
    TruncatedNormal,
    Uniform,
    draw_of,
    fill,
    fill_many,
)
from fastinit.torch.sharding import Part, distributes, is_distributed, local_of, part_of
from fastinit.torch.tensors import Write, memory_of, row_of, thread, written

__all__ = ["Recorder", "Step", "first_users", "needed", "run", "same", "storage_of", "uses"]

aten = torch.ops.aten
unrecorded = torch._C._DisableTorchDispatch

# In-place operations after which nothing is left of what was there.
OVERWRITING = {
    *("bernoulli_", "cauchy_", "copy_", "exponential_", "fill_", "geometric_", "log_normal_"),
    *("normal_", "random_", "uniform_", "zero_"),
}
# They make a tensor without reading the one whose shape they take.
UNREAD = {"empty_like", "full_like", "new_empty", "new_empty_strided", "new_full", "new_ones"}
UNREAD |= {"new_zeros", "ones_like", "rand_like", "randint_like", "randn_like", "zeros_like"}
UNREAD |= {"sym_numel", "sym_size", "sym_storage_offset", "sym_stride", "is_same_size"}


class Store:
    """What is known of a storage: which values are still to come, and which never came."""

    __slots__ = ("filled", "parts", "pending", "pinned", "storage")

    def __init__(self, storage: torch.UntypedStorage, filled: bool) -> None:
        self.storage = storage  # so that its address stays its own
        self.filled = filled
        self.parts: list[Tensor] = []  # what has been written, while it is not filled
        self.pending = False  # a step writes it
        self.pinned = False  # a step reads it


class Step:
    """An operation that waits: what it does, and the storages it does it on.

    Either fastinit draws `what` into `target` by `write`, or PyTorch calls `func`. A target that is
    the local tensor of a DTensor is that `part` of the whole.
    """

    def __init__(
        self,
        reads: Sequence[Tensor],
        writes: Sequence[Tensor],
        *,
        overwrites: bool,
        random: bool,
        what: Any = None,
        write: Write = fill,
        part: Part | None = None,
        func: Any = None,
        args: Any = (),
        kwargs: Any = None,
        outputs: Sequence[Tensor] = (),
    ) -> None:
        self.tensors = (*reads, *writes)
        self.reads = tuple(storage_of(tensor) for tensor in reads)
        self.writes = tuple(storage_of(tensor) for tensor in writes)
        self.overwrites = overwrites
        self.random = random
        self.key = 0
        self.target, self.what, self.write, self.part = writes[0], what, write, part
        self.func, self.args, self.kwargs, self.outputs = func, args, kwargs, outputs

    def run(self) -> None:
        """Do it, with `key` if it is random."""
        if self.func is None:
            self._draw()
            return
        state = torch.default_generator.get_state() if self.random else None
        try:
            if state is not None:
                torch.default_generator.manual_seed(self.key >> 1)
            result = self.func(*self.args, **self.kwargs)
        finally:
            if state is not None:
                torch.default_generator.set_state(state)
        if self.func.namespace == "_c10d_functional":  # communication goes on meanwhile
            result = _map(result, torch.ops._c10d_functional.wait_tensor)
        for output, value in zip(self.outputs, _flat(result), strict=False):
            output.copy_(value)

    def ready(self) -> tuple[NDArray[Any], Draw, int] | None:
        """Return what `fill_many` takes, if that is all there is to do."""
        if self.func is not None or self.write is not fill or not self.target.is_cpu:
            return None
        if self.part is not None:
            return None
        row, array = row_of(self.target), memory_of(self.target)
        return None if row is None or array is None else (array, draw_of(self.what, row), self.key)

    def _draw(self) -> None:
        row = row_of(self.target)
        assert row is not None  # else no step was made of it
        written(self.target, self.part, self.what, self.key, self.write, row)


class Form(NamedTuple):
    """What an operation's schema says: the arguments it writes, and what it returns."""

    written: tuple[int | str, ...]
    returned: tuple[int | str | None, ...]  # the written argument that is returned, or None
    overwrites: bool
    unread: bool
    random: bool
    makes: bool  # a tensor that nothing has been written to
    fills: bool  # its first argument, with numbers
    resizes: bool
    at_once: bool  # it reads and writes no values: a view, a constant tensor
    tensors_only: bool  # it returns no numbers
    draw: Callable[..., Any] | None  # how fastinit draws in its place


class Recorder(TorchDispatchMode):
    """The mode under which a model is built; `materialize` works on its `tape`."""

    def __init__(self, forced_key: Callable[[], int]) -> None:
        super().__init__()
        self.tape: list[Step] = []
        self.stores: dict[int, Store] = {}
        self.forced_key = forced_key

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # it would import torch._dynamo, which takes seconds

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        form = FORMS.get(func) or _form(func)
        if types and any(map(distributes, types)):
            return self._distributed(func, form, args, kwargs)
        if form.at_once:
            return func(*args, **kwargs)
        if form.makes:
            result = func(*args, **kwargs)
            if not result.is_meta and result.layout is torch.strided:
                self._store(result, filled=False)
            return result
        if form.fills:
            store = self.stores.get(storage_of(args[0])) if _simple(args[0]) else None
            if store is None or not (store.pending or store.pinned):
                result = func(*args, **kwargs)
                if store is not None and not store.filled:
                    self._wrote(result, garbage=False)
                return result
        if form.draw is not None:
            result = form.draw(self, *args, **kwargs)
            if result is not None:
                return result
        if form.resizes:
            return self._resize(func, args, kwargs)
        tensors = list(_tensors(args, kwargs))
        if not all(_simple(tensor) for tensor in tensors):
            self.force(tensors)
            return func(*args, **kwargs)
        written = [_argument(place, args, kwargs) for place in form.written]
        written = [tensor for one in written for tensor in _flat(one)]
        reads = () if form.unread else tensors
        if (
            (form.random and not _on_meta(tensors, kwargs))
            or any((store := self._known(t)) and store.pending for t in reads)
            or any((store := self._known(t)) and (store.pending or store.pinned) for t in written)
        ):
            if func in FUSED and self._fuse(func, args, kwargs):
                return args[0]
            return self._record(func, form, args, kwargs, tensors, written)
        result = func(*args, **kwargs)
        self._note(form, tensors, written, result)
        return result

    def _distributed(
        self, func: Any, form: Form, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Draw the part of a DTensor here; else let it come back with the local tensors."""
        if not form.random:
            return NotImplemented
        if form.draw is not None:
            result = form.draw(self, *args, **kwargs)
            if result is not None:
                return result
        raise ArgumentTypeError(f"{func} cannot be drawn part by part, for a DTensor")

    # What a tensor's storage is like.

    def _known(self, tensor: Tensor) -> Store | None:
        return self.stores.get(storage_of(tensor))

    def _store(self, tensor: Tensor, filled: bool = True) -> Store:
        place = storage_of(tensor)
        if place not in self.stores:
            self.stores[place] = Store(tensor.untyped_storage(), filled)
        return self.stores[place]

    def initialized(self, tensor: Tensor) -> bool:
        """Say whether every element of a tensor has been written, or will be."""
        store = self._known(tensor)
        if store is None or store.filled or not tensor.numel():
            return True
        if not store.parts:
            return False
        with unrecorded():
            written = torch.zeros(store.storage.nbytes(), dtype=torch.bool)
            for part in store.parts:
                _bytes_of(part, written).fill_(True)
            return bool(_bytes_of(tensor, written).all())

    def _wrote(self, tensor: Tensor, garbage: bool) -> None:
        """Note that a tensor has new values: what is still uninitialized, if they are garbage."""
        store = self._known(tensor)
        if garbage:
            store = store or self._store(tensor)
            store.filled, store.parts = False, []
        elif store is not None and not store.filled:
            if _whole(tensor):
                store.filled, store.parts = True, []
            else:
                store.parts.append(tensor.detach())

    def _note(self, form: Form, tensors: list[Tensor], written: list[Tensor], result: Any) -> None:
        if not self.stores:
            return
        places = {id(tensor) for tensor in written} if form.overwrites else ()
        garbage = not form.unread and any(
            id(tensor) not in places and not self.initialized(tensor) for tensor in tensors
        )
        if written:
            for tensor in written:
                if not garbage or form.overwrites:
                    self._wrote(tensor, garbage)
        elif garbage:
            for tensor in _flat(result):
                if _simple(tensor):
                    self._wrote(tensor, garbage=True)

    def _resize(self, func: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        """Resize a tensor; where that gives its storage more bytes, they are garbage."""
        before = args[0].untyped_storage().nbytes()
        result = func(*args, **kwargs)
        if result.untyped_storage().nbytes() > before:
            self._wrote(result, garbage=True)
        return result

    # Steps.

    def draw(self, tensor: Tensor, what: Any, write: Write = fill) -> bool:
        """Leave a draw into `tensor` for later; False where fastinit cannot make it."""
        elements, part = tensor.numel(), None
        if is_distributed(tensor):
            with unrecorded():
                part, tensor = part_of(tensor), local_of(tensor)
            if tensor.is_meta:
                return True
        row = row_of(tensor)
        if row is None or (isinstance(what, Distribution) and row.name not in what.dtypes):
            return False
        with unrecorded():
            target = tensor.detach()
            if elements:
                store, whole = self._store(target), _whole(target)
                store.pending = True
                if whole:
                    store.filled, store.parts = True, []
                elif not store.filled:
                    store.parts.append(target.detach())
                self.tape.append(
                    Step(
                        (),
                        (target,),
                        overwrites=whole,
                        random=True,
                        what=what,
                        write=write,
                        part=part,
                    )
                )
        return True

    def _fuse(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Change the law of the draw recorded last, where that is all an operation does."""
        step = self.tape[-1] if self.tape else None
        if (
            step is None
            or not isinstance(step.what, Distribution)
            or not same(step.target, args[0])
        ):
            return False
        law = FUSED[func](step.what, *args[1:], **kwargs)
        if law is None:
            return False
        step.what = law
        return True

    def _record(
        self,
        func: Any,
        form: Form,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        tensors: list[Tensor],
        written: list[Tensor],
    ) -> Any:
        """Append an operation to the tape, and return tensors for its results."""
        fresh = [None] if not form.returned else list(form.returned)
        out = isinstance(form.written[0], str) if form.written else False
        made: list[Tensor] = []
        if None in fresh or out:
            try:
                if not form.tensors_only:
                    raise NotImplementedError
                inferred = _on_meta_device(func, args, kwargs)
            except Exception:  # it needs values, or does not know the meta device
                self.force(tensors)
                result = func(*args, **kwargs)
                self._note(form, tensors, written, result)
                return result
        if out and isinstance(inferred, Tensor) and inferred.shape != written[0].shape:
            written[0].resize_(inferred.shape)
        if form.random:
            kwargs = {k: v for k, v in kwargs.items() if k != "generator"}
        if None in fresh:
            device = kwargs.get("device") or (tensors[0].device if tensors else "cpu")
            result = _map(
                inferred,
                lambda m: torch.empty_strided(m.size(), m.stride(), dtype=m.dtype, device=device),
            )
            made = list(_flat(result))
        elif len(fresh) == 1:
            result = _argument(fresh[0], args, kwargs)
        else:
            result = tuple(_argument(place, args, kwargs) for place in fresh)

        # The user may give his tensors other memory (`parameter.data = ...`); these keep theirs.
        alias = {id(tensor): tensor.detach() for tensor in (*tensors, *written, *made)}
        places = {id(tensor) for tensor in written} if form.overwrites else set()
        read = [] if form.unread else [t for t in tensors if id(t) not in places]
        garbage = any(not self.initialized(tensor) for tensor in read)
        args, kwargs = _map((args, kwargs), lambda tensor: alias[id(tensor)])
        reads = [alias[id(tensor)] for tensor in read]
        outputs = [alias[id(tensor)] for tensor in made]
        targets = [*outputs, *(alias[id(tensor)] for tensor in written)]
        for tensor in targets:
            self._wrote(tensor, garbage)
            self._store(tensor).pending = True
        for tensor in reads:
            self._store(tensor).pinned = True
        self.tape.append(
            Step(
                reads,
                targets,
                overwrites=(not written or form.overwrites) and all(map(_whole, targets)),
                random=form.random,
                func=func,
                args=args,
                kwargs=kwargs,
                outputs=outputs,
            )
        )
        return result

    def force(self, tensors: Iterable[Tensor]) -> None:
        """Run what tensors that are read now depend on, and everything that depends on it.

        They have no names yet: their draws are numbered.
        """
        wanted = {
            storage_of(tensor)
            for tensor in tensors
            if tensor.layout == torch.strided
            and (store := self._known(tensor)) is not None
            and store.pending
        }
        if not wanted:
            return
        size = -1
        while len(wanted) != size:  # all that one of them is written with or read for
            size = len(wanted)
            for step in self.tape:
                touched = [*step.writes, *(i for i in step.reads if self.stores[i].pending)]
                if not wanted.isdisjoint(touched):
                    wanted.update(touched)
        now = [step for step in self.tape if not wanted.isdisjoint(step.writes)]
        self.tape = [step for step in self.tape if wanted.isdisjoint(step.writes)]
        pinned = {i for step in self.tape for i in step.reads}
        for i in wanted:
            self.stores[i].pending = False
        for i, store in self.stores.items():
            store.pinned = i in pinned
        for step in now:
            step.key = self.forced_key() if step.random else 0
        run(now)

    def unreachable(self) -> set[int]:
        """Return the storages that the tape alone still holds: intermediate results."""
        held = {id(tensor): tensor for step in self.tape for tensor in step.tensors}
        own = Counter(storage_of(tensor) for tensor in held.values())
        for store in self.stores.values():
            own.update(storage_of(part) for part in store.parts)
        return {i for i, number in own.items() if uses(i) <= number + 1}  # and Store.storage

    def read(self, tensor: Tensor) -> None:
        """Bring a tensor's values, which NumPy or Python is about to see, up to date."""
        if tensor.layout == torch.strided and not tensor.is_meta and not self._wrapped(tensor):
            self.force([tensor])
            store = self._known(tensor)
            if store is not None:  # whoever has the memory may write there
                store.filled, store.parts = True, []

    @staticmethod
    def _wrapped(tensor: Tensor) -> bool:
        return torch._C._functorch.is_functorch_wrapped_tensor(tensor)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record what this thread does: by PyTorch's operations, and by fastinit's own draws."""

        def read_first(method: Callable[..., Any]) -> Callable[..., Any]:
            def call(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
                self.read(tensor)
                return method(tensor, *args, **kwargs)

            return call

        with ExitStack() as stack:
            stack.callback(setattr, thread, "later", thread.later)
            thread.later = self.draw
            for name in ("numpy", "tolist"):  # values leave PyTorch there without an operation
                method = read_first(getattr(Tensor, name))
                stack.enter_context(replaced(Tensor, name, method))
            stack.enter_context(self)
            yield


@contextmanager
def replaced(owner: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Put a function in the place of another, for this thread."""
    own, before = vars(owner).get(name), getattr(owner, name)
    here = threading.get_ident()

    def call(*args: Any, **kwargs: Any) -> Any:
        return (function if threading.get_ident() == here else before)(*args, **kwargs)

    setattr(owner, name, call)
    try:
        yield
    finally:
        if own is None:
            delattr(owner, name)
        else:
            setattr(owner, name, own)


# Running.


def run(steps: list[Step]) -> None:
    """Run steps, and let go of each when it is done: in order, but draws in a row in one pass."""
    steps.reverse()
    with unrecorded(), torch.no_grad():
        while steps:
            draws: list[tuple[NDArray[Any], Draw, int]] = []
            written: set[int] = set()
            while steps and written.isdisjoint(steps[-1].writes):
                draw = steps[-1].ready()
                if draw is None:
                    break
                draws.append(draw)
                written.update(steps.pop().writes)
            if draws:
                fill_many(draws)
            else:
                steps.pop().run()


def storage_of(tensor: Tensor) -> int:
    """Return what tells a tensor's storage from the others that are alive."""
    address: int = tensor.untyped_storage()._cdata
    return address


def uses(storage: int) -> float:
    """Return how many tensors, or Python objects, hold a storage; inf where that is not known."""
    count = getattr(torch._C, "_storage_Use_Count", None)
    return math.inf if count is None else float(count(storage))


def needed(tape: list[Step], dead: set[int]) -> list[Step]:
    """Return the steps whose values are still there at the end. `dead`: storages none will read."""
    alive: dict[int, bool] = dict.fromkeys(dead, False)
    kept = []
    for step in reversed(tape):
        if not any(alive.get(i, True) for i in step.writes):
            continue
        kept.append(step)
        if step.overwrites:
            alive.update(dict.fromkeys(step.writes, False))
        alive.update(dict.fromkeys(step.reads, True))
    return kept[::-1]


def first_users(tape: list[Step], ranks: dict[int, int]) -> list[int | None]:
    """Return for each step the lowest rank of the named storages that its result reaches."""
    rank = dict(ranks)
    found: list[int | None] = []
    for step in reversed(tape):
        lowest = min((rank[i] for i in step.writes if i in rank), default=None)
        found.append(lowest)
        if step.overwrites:
            for i in step.writes:
                rank.pop(i, None)
        if lowest is not None:
            for i in (*step.reads, *(() if step.overwrites else step.writes)):
                rank[i] = min(rank.get(i, lowest), lowest)
    return found[::-1]


# What PyTorch's operations are.

AT_ONCE = {"set_", "detach_", "requires_grad_", "record_stream"}
FORMS: dict[Any, Form] = {}


def _form(func: Any) -> Form:
    """Read an operation's schema, once."""
    schema = func._schema
    name = schema.name.split("::")[1]
    written: list[int | str] = []
    aliases: dict[str, int | str] = {}
    for i, argument in enumerate(schema.arguments):
        info = argument.alias_info
        if info is not None and info.is_write:
            place = argument.name if argument.kwarg_only else i
            written.append(place)
            for alias in info.before_set:
                aliases[alias] = place
    returned = tuple(
        next((aliases[a] for a in one.alias_info.before_set if a in aliases), None)
        if one.alias_info is not None
        else None
        for one in schema.returns
    )
    random = torch.Tag.nondeterministic_seeded in func.tags
    takes = sum("Tensor" in str(argument.type) for argument in schema.arguments)
    makes = not written and name.startswith(("empty", "new_empty"))
    resizes = name in ("resize_", "resize_as_")
    view = func.is_view and not written
    form = FORMS[func] = Form(
        written=tuple(written),
        returned=returned,
        overwrites=name in OVERWRITING or any(isinstance(place, str) for place in written),
        unread=name in UNREAD,
        random=random,
        makes=makes,
        fills=takes == 1 and name in ("fill_", "zero_"),
        resizes=resizes,
        at_once=not (random or makes or resizes)
        and (view or not takes or name in AT_ONCE or torch.Tag.inplace_view in func.tags),
        tensors_only=all("Tensor" in str(one.type) for one in schema.returns),
        draw=_unwrapped if name == "_wrap_tensor_autograd" else DRAWS.get(func),
    )
    return form


def _tensors(args: Iterable[Any], kwargs: dict[str, Any]) -> Iterator[Tensor]:
    yield from _flat(args)
    if kwargs:
        yield from _flat(kwargs.values())


def _flat(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif not isinstance(value, (str, torch.Size)) and isinstance(value, Iterable):
        for one in value:
            yield from _flat(one)


def _map(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
        items = [_map(one, function) for one in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, dict):
        return {key: _map(one, function) for key, one in value.items()}
    return value


def _argument(place: int | str | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[place] if isinstance(place, int) else kwargs.get(str(place))


def _simple(tensor: Any) -> bool:
    return isinstance(tensor, Tensor) and tensor.layout is torch.strided


def _on_meta(tensors: list[Tensor], kwargs: dict[str, Any]) -> bool:
    device = kwargs.get("device")
    if device is not None:
        return torch.device(device).type == "meta"
    return any(tensor.is_meta for tensor in tensors)


def _on_meta_device(func: Any, args: Any, kwargs: Any) -> Any:
    """Run an operation without values: what it would return, and of which shape."""
    args, kwargs = _map(
        (args, kwargs),
        lambda t: torch.empty_strided(t.size(), t.stride(), dtype=t.dtype, device="meta"),
    )
    takes_device = any(argument.name == "device" for argument in func._schema.arguments)
    if takes_device:
        kwargs = {**kwargs, "device": "meta"}
    if kwargs.get("pin_memory"):
        kwargs["pin_memory"] = False
    return func(*args, **{k: v for k, v in kwargs.items() if k != "generator"})


def _whole(tensor: Tensor) -> bool:
    """Say whether a tensor covers all of its storage."""
    if tensor.numel() * tensor.element_size() != tensor.untyped_storage().nbytes():
        return False
    if tensor.is_contiguous():
        return True
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1 and stride != expected:
            return False
        expected *= size
    return True


def _bytes_of(tensor: Tensor, like: Tensor) -> Tensor:
    """Return the bytes of `like`, one for each of a storage, that a tensor there consists of."""
    width = tensor.element_size()
    return like.as_strided(
        (*tensor.shape, width),
        (*(step * width for step in tensor.stride()), 1),
        tensor.storage_offset() * width,
    )


def same(one: Tensor, other: Tensor) -> bool:
    """Say whether two tensors are the same elements of the same storage, in the same order."""
    return (
        storage_of(one) == storage_of(other)
        and one.shape == other.shape
        and one.stride() == other.stride()
        and one.storage_offset() == other.storage_offset()
        and one.dtype == other.dtype
    )


# What operations on a draw make of its law. Code older than PyTorch's rejection sampling, and most
# copies of it, draw a truncated normal by uniform_, erfinv_, mul_, add_, clamp_: five passes, the
# second a slow one that in 16 bits loses the tails.


def _erfinv_(law: Distribution) -> Distribution | None:
    if not isinstance(law, Uniform) or not -1.0 <= law.low < law.high <= 1.0:
        return None
    lower, upper = (_quantile(0.5 + 0.5 * bound) for bound in (law.low, law.high))
    return TruncatedNormal(0.0, math.sqrt(0.5), lower, upper) if lower < upper else None


def _quantile(mass: float) -> float:
    return NormalDist().inv_cdf(mass) if 0.0 < mass < 1.0 else math.copysign(math.inf, mass - 0.5)


def _mul_(law: Distribution, factor: Any) -> Distribution | None:
    if not isinstance(factor, (int, float)) or not 0.0 < factor < math.inf:
        return None
    if isinstance(law, Uniform):
        return replace(law, low=law.low * factor, high=law.high * factor)
    if isinstance(law, Normal) or (isinstance(law, TruncatedNormal) and not law.absolute):
        return replace(law, mean=law.mean * factor, std=law.std * factor)
    return None


def _add_(law: Distribution, shift: Any, alpha: Any = 1) -> Distribution | None:
    if not isinstance(shift, (int, float)) or not math.isfinite(shift) or alpha != 1:
        return None
    if isinstance(law, Uniform):
        return replace(law, low=law.low + shift, high=law.high + shift)
    if isinstance(law, Normal) or (isinstance(law, TruncatedNormal) and not law.absolute):
        return replace(law, mean=law.mean + shift)
    return None


def _clamp_(law: Distribution, min: Any = None, max: Any = None) -> Distribution | None:
    """Take the bounds exactly, where they are the law's but for rounding, or beyond all mass."""
    if not isinstance(law, TruncatedNormal) or law.absolute or not law.std:
        return None
    if not isinstance(min, (int, float)) or not isinstance(max, (int, float)):
        return None
    lower, upper = (min - law.mean) / law.std, (max - law.mean) / law.std
    for bound, own in ((-lower, -law.lower), (upper, law.upper)):
        if abs(bound - own) > 1e-3 and not (bound > 6.0 and own > 5.0):
            return None
    return TruncatedNormal(law.mean, law.std, min, max, absolute=True)


FUSED: dict[Any, Callable[..., Distribution | None]] = {
    aten.erfinv_.default: _erfinv_,
    aten.mul_.Tensor: _mul_,
    aten.mul_.Scalar: _mul_,
    aten.add_.Tensor: _add_,
    aten.add_.Scalar: _add_,
    aten.clamp_.default: _clamp_,
}


# The draws that fastinit makes itself.


@lru_cache(maxsize=1024)
def _unwrapped(recorder: Recorder, tensor: Tensor) -> Tensor | None:
    """Return what other ranks still have to send as it is: the step that gets it waits for it."""
    store = recorder.stores.get(storage_of(tensor))
    return tensor.detach() if store is not None and store.pending else None


def _normal(mean: float, std: float) -> Normal:
    return Normal(mean, std)


@lru_cache(maxsize=1024)
def _uniform(low: float, high: float) -> Uniform:
    return Uniform(low, high)


def _normal_(
    recorder: Recorder, tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None
) -> Tensor | None:
    return tensor if std >= 0 and recorder.draw(tensor, _normal(mean, std)) else None


def _uniform_(
    recorder: Recorder, tensor: Tensor, low: float = 0.0, high: float = 1.0, generator: Any = None
) -> Tensor | None:
    return tensor if low <= high and recorder.draw(tensor, _uniform(low, high)) else None


def _new(law: Distribution, empty: Any, recorder: Recorder, *args: Any, **kwargs: Any) -> Any:
    kwargs.pop("generator", None)
    tensor = empty(*args, **kwargs)
    if tensor.is_meta or tensor.layout != torch.strided:
        return tensor
    recorder._store(tensor, filled=False)
    return tensor if recorder.draw(tensor, law) else None


def _normal_of(
    recorder: Recorder, mean: float, std: float, size: Any, *, generator: Any = None, **kwargs: Any
) -> Any:
    return _new(_normal(mean, std), torch.empty, recorder, size, **kwargs) if std >= 0 else None


DRAWS: dict[Any, Callable[..., Any]] = {
    aten.normal_.default: _normal_,
    aten.uniform_.default: _uniform_,
    aten.randn.default: partial(_new, Normal(0.0, 1.0), torch.empty),
    aten.randn.generator: partial(_new, Normal(0.0, 1.0), torch.empty),
    aten.rand.default: partial(_new, Uniform(0.0, 1.0), torch.empty),
    aten.rand.generator: partial(_new, Uniform(0.0, 1.0), torch.empty),
    aten.randn_like.default: partial(_new, Normal(0.0, 1.0), torch.empty_like),
    aten.rand_like.default: partial(_new, Uniform(0.0, 1.0), torch.empty_like),
    aten.normal.float_float: _normal_of,
}
