"""`patch`: while it lasts, PyTorch's own random initialization draws from fastinit.

What is replaced are attributes: of ``torch.Tensor`` the in-place methods, to which most functions
of ``torch.nn.init`` come down, under whatever name they were imported; of ``torch.nn.init`` the
functions that do more than call one such method; of ``torch`` the constructors of random tensors. A
``TorchFunctionMode`` would be called for these, and for each of the thousand other calls that
building a model makes, at twice the cost, and would not see ``trunc_normal_`` or ``orthogonal_``.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ContextDecorator
from functools import wraps
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function
from torch.utils._device import _device_constructors

from fastinit.keys import Seed, key, key_bits
from fastinit.sampling import Distribution, Normal
from fastinit.torch import init
from fastinit.torch.sharding import is_distributed, zero_row
from fastinit.torch.tensors import plain, thread

__all__ = ["patch"]


class patch(ContextDecorator):  # noqa: N801 - it is used like a function
    r"""Let the initialization inside, of this thread, draw its values from fastinit.

    Existing code, also of third parties, is not changed: what it draws has the same law, and other
    values. The calls replaced are

    - ``Tensor.normal_`` and ``Tensor.uniform_``, and with them ``torch.nn.init``'s ``normal_``,
      ``uniform_``, ``xavier_*``, ``kaiming_*``, every ``reset_parameters`` of ``torch.nn`` and
      ``weight.data.normal_()``;
    - ``torch.nn.init``'s ``trunc_normal_``, ``orthogonal_`` and ``sparse_``. The last two only
      where they are looked up in the module; imported by name before, they remain PyTorch's, on
      numbers from fastinit;
    - ``timm.layers.trunc_normal_`` and ``trunc_normal_tf_``, where timm is loaded;
    - ``torch.randn``, ``rand``, ``randn_like`` and ``rand_like``, where they are looked up in
      ``torch``; and ``torch.distributed.tensor``'s ``randn`` and ``rand``, where that is loaded.

    Of a DTensor, each rank fills its part with the values that it has in the whole tensor: give all
    ranks the same seed. So do ``torch.nn.init``'s ``eye_`` and ``dirac_`` and the zeros of an
    embedding's padding, of which PyTorch makes something else.

    Everything else, such as ``bernoulli_`` and ``randperm``, stays PyTorch's and draws from its
    generator; so do tensors that `fastinit.torch.init` leaves to PyTorch, and in-place draws that
    autograd is to record. Other threads draw as ever. At the end, also after an exception, all is
    as it was before. It nests, and it decorates functions. Not for code inside ``torch.compile``.

    Parameters
    ----------
    seed : int, Key, numpy.random.Generator, numpy.random.SeedSequence or None, default None
        If None, PyTorch's default generator decides, and so ``torch.manual_seed``: a word a draw.
        Otherwise the draws inside are numbered from 0 on, number `n` has the key
        ``fastinit.key(seed, str(n))``, and PyTorch's generator stays as it is. A Generator or
        SeedSequence is first made a Key, once. A draw with a generator of its own is decided by
        that one in either case.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If `seed` is no seed.

    Examples
    --------
    >>> import torch, fastinit
    >>> with fastinit.torch.patch(seed=0):
    ...     model = torch.nn.Linear(20, 64)
    >>> @fastinit.torch.patch(seed=0)
    ... def build():
    ...     return torch.nn.Linear(20, 64)
    >>> torch.equal(build().weight, model.weight)
    True
    """

    def __init__(self, seed: Seed = None) -> None:
        if isinstance(seed, (np.random.Generator, np.random.SeedSequence)):
            seed = key(seed)
        if seed is not None:
            key_bits(seed, "0")  # complains of what is no seed
        self._seed = seed

    def __enter__(self) -> patch:
        """Replace PyTorch's functions, if nobody has yet."""
        _entered(self, None if self._seed is None else _numbered(self._seed))
        with _lock:
            if not _installed.users:
                _install()
            _installed.users += 1
        return self

    def __exit__(self, *error: object) -> None:
        """Put PyTorch's functions back, if nobody else is inside."""
        _left(self)
        with _lock:
            _installed.users -= 1
            if not _installed.users:
                _restore()


class _Entries(threading.local):
    """The patches that a thread is inside, the outermost first, and what each draws words from."""

    def __init__(self) -> None:
        self.open: list[tuple[patch, Iterator[int] | None]] = []


class _Installed:
    """How many patches are open in all threads, and what stood where their functions stand."""

    def __init__(self) -> None:
        self.users = 0
        self.before: list[tuple[Any, str, Any]] = []


_entries, _installed, _lock = _Entries(), _Installed(), threading.RLock()
_NOTHING = object()


def _numbered(seed: Seed) -> Iterator[int]:
    return (key_bits(seed, str(n)) for n in itertools.count())


def _entered(entry: patch, words: Iterator[int] | None) -> None:
    _entries.open.append((entry, words))
    thread.words = words


def _left(entry: patch) -> None:
    """Forget an entry; generators may leave in another order than that in which they entered."""
    open_ = _entries.open
    del open_[max(i for i, (other, _) in enumerate(open_) if other is entry)]
    thread.words = open_[-1][1] if open_ else None


def _install() -> None:
    # PyTorch remembers which functions a device context serves; those must not be ours.
    _device_constructors()
    timm = sys.modules.get("timm.layers.weight_init")  # it has a copy of PyTorch's former function
    copies = [(timm, "_trunc_normal_", _TRUNCATED)] if hasattr(timm, "_trunc_normal_") else []
    distributed = sys.modules.get("torch.distributed.tensor._api")  # its rand would be each rank's
    if hasattr(distributed, "_dtensor_init_helper"):
        copies.append((distributed, "_dtensor_init_helper", _distributed))
    for owner, name, ours in (*_REPLACEMENTS, *copies):
        _installed.before.append((owner, name, vars(owner).get(name, _NOTHING)))
        setattr(owner, name, _inside_only(ours, getattr(owner, name)))


def _restore() -> None:
    while _installed.before:
        owner, name, before = _installed.before.pop()
        if before is _NOTHING:
            delattr(owner, name)
        else:
            setattr(owner, name, before)


def _inside_only(ours: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is `ours` where this thread is inside a patch, else the original."""

    @wraps(original)
    def replacement(*args: Any, **kwargs: Any) -> Any:
        if _entries.open:
            return ours(original, *args, **kwargs)
        return original(*args, **kwargs)

    return replacement


def _filled(tensor: Tensor, law: Distribution | None, generator: torch.Generator | None) -> bool:
    """Fill a tensor, unless autograd is to record or refuse it."""
    if tensor.requires_grad and torch.is_grad_enabled():
        return False
    return init.filled(tensor, law, generator)


def _dispatched(
    original: Callable[..., Tensor], tensor: Tensor, *args: Any, **named: Any
) -> Tensor:
    """Let a mode see the call, which then comes back, and a subclass see PyTorch's method."""
    if plain(tensor):
        return original(tensor, *args, **named)
    return handle_torch_function(original, (tensor,), tensor, *args, **named)


def _normal_(
    original: Callable[..., Tensor],
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    if has_torch_function((tensor,)):
        return _dispatched(original, tensor, mean, std, generator=generator)
    if _filled(tensor, init.law(init.gaussian, mean, std), generator):
        return tensor
    return original(tensor, mean, std, generator=generator)


def _uniform_(
    original: Callable[..., Tensor],
    tensor: Tensor,
    *bounds: float,
    generator: torch.Generator | None = None,
    **named: float,  # one is called "from", which no parameter of Python's can be
) -> Tensor:
    if has_torch_function((tensor,)):
        return _dispatched(original, tensor, *bounds, generator=generator, **named)
    numbers = {**dict(zip(("from", "to"), bounds, strict=False)), **named}
    if len(bounds) <= 2 and numbers.keys() <= {"from", "to"}:
        law = init.law(init.RealUniform, numbers.get("from", 0.0), numbers.get("to", 1.0))
        if _filled(tensor, law, generator):
            return tensor
    return original(tensor, *bounds, generator=generator, **named)


def _made(empty: Callable[..., Tensor], law: Distribution) -> Callable[..., Tensor]:
    """Return a constructor of random tensors, by way of that of empty ones."""

    def construct(
        original: Callable[..., Tensor],
        *args: Any,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> Tensor:
        if options.get("out") is None and options.get("names") is None:
            tensor = empty(*args, **options)
            if init.filled(tensor, law, generator):
                return tensor
        given = {} if generator is None else {"generator": generator}
        return original(*args, **given, **options)

    return construct


def _distributed(original: Callable[..., Tensor], kind: Any, *args: Any, **options: Any) -> Tensor:
    """Make a random DTensor by way of an empty one."""
    law = {torch.rand: init.RealUniform(0.0, 1.0), torch.randn: Normal(0.0, 1.0)}.get(kind)
    if law is not None:
        tensor = original(torch.empty, *args, **options)
        if init.filled(tensor, law):
            return tensor
    return original(kind, *args, **options)


def _padding(original: Callable[..., None], module: Any) -> None:
    """Zero the padding's row; of a DTensor, PyTorch would gather the weight and zero a copy."""
    if not is_distributed(module.weight):
        original(module)
    elif module.padding_idx is not None:
        zero_row(module.weight, module.padding_idx)


def _instead(ours: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda original, *args, **kwargs: ours(*args, **kwargs)


_TRUNCATED = _instead(init._no_grad_trunc_normal_)
_REPLACEMENTS: list[tuple[Any, str, Callable[..., Tensor]]] = [
    (Tensor, "normal_", _normal_),
    (Tensor, "uniform_", _uniform_),
    (torch.nn.init, "_no_grad_trunc_normal_", _TRUNCATED),
    (torch.nn.init, "orthogonal_", _instead(init.orthogonal_)),
    (torch.nn.init, "sparse_", _instead(init.sparse_)),
    (torch.nn.init, "eye_", _instead(init.eye_)),
    (torch.nn.init, "dirac_", _instead(init.dirac_)),
    (torch.nn.Embedding, "_fill_padding_idx_with_zero", _padding),
    (torch.nn.EmbeddingBag, "_fill_padding_idx_with_zero", _padding),
    (torch, "rand", _made(torch.empty, init.RealUniform(0.0, 1.0))),
    (torch, "randn", _made(torch.empty, Normal(0.0, 1.0))),
    (torch, "rand_like", _made(torch.empty_like, init.RealUniform(0.0, 1.0))),
    (torch, "randn_like", _made(torch.empty_like, Normal(0.0, 1.0))),
]
