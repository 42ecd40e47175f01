"""Names of initializers: what `get` finds, `names` lists and `register` adds."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, TypeAlias, TypeVar, overload

from fastinit.errors import ArgumentError, ArgumentTypeError, unknown_name
from fastinit.fans import Axes, Fans
from fastinit.initializers import (
    ELEMENTWISE,
    NAMED_SCALINGS,
    Elementwise,
    Initializer,
    Law,
    Mode,
    VarianceScaling,
    named_scaling,
)
from fastinit.sampling import Constant, Distribution

__all__ = ["ALIASES", "InitializerLike", "get", "names", "register"]

Factory: TypeAlias = Callable[..., Initializer]
InitializerLike: TypeAlias = "str | Initializer | type[Initializer] | Callable[..., Any]"
T = TypeVar("T", bound="Initializer | type[Initializer] | Callable[..., Any]")

ALIASES = {
    "eye": "identity",
    "kaiming_normal": "he_normal",
    "kaiming_uniform": "he_uniform",
    "xavier_normal": "glorot_normal",
    "xavier_uniform": "glorot_uniform",
}


def _elementwise(law: Callable[..., Distribution]) -> Factory:
    def make(*args: Any, **params: Any) -> Initializer:
        return Elementwise(law(*args, **params))

    make.__signature__ = inspect.signature(law)  # type: ignore[attr-defined]
    return make


def _variance_scaling(
    scale: float = 1.0,
    mode: Mode = "fan_in",
    distribution: Law = "truncated_normal",
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    fans: Fans | None = None,
) -> Initializer:
    return VarianceScaling(scale, mode, distribution, in_axis, out_axis, batch_axis, fans)


def _zeros() -> Initializer:
    return Elementwise(Constant(0.0))


def _ones() -> Initializer:
    return Elementwise(Constant(1.0))


_factories: dict[str, Factory] = {
    "zeros": _zeros,
    "ones": _ones,
    **{name: _elementwise(law) for name, law in ELEMENTWISE.items()},
    "variance_scaling": _variance_scaling,
    **{name: partial(named_scaling, name) for name in NAMED_SCALINGS},
}
# What else the catalogue has takes as long to load as all the rest, and most never ask for it.
LATER = {"fastinit.depth": "DEPTH", "fastinit.structured": "STRUCTURED"}


def _all_factories() -> dict[str, Factory]:
    for module, table in LATER.items():
        for name, factory in getattr(import_module(module), table).items():
            _factories.setdefault(name, factory)
    return _factories


def names() -> list[str]:
    """Return the names of all initializers, in alphabetical order, without aliases.

    Returns
    -------
    list of str
        The library's own, and those that were registered.

    Examples
    --------
    >>> import fastinit
    >>> "he_normal" in fastinit.names()
    True
    """
    return sorted(_all_factories())


def get(spec: InitializerLike, **params: Any) -> Initializer:
    """Return the initializer that a name, a call in words, a class or a function stands for.

    Parameters
    ----------
    spec : str, Initializer, subclass of Initializer, or callable
        A name (see `names`; ``xavier_*`` and ``kaiming_*`` are aliases), a call of one such as
        ``"normal(std=0.01)"`` with literal arguments, an initializer (returned as it is), a
        subclass (made with `params`), or a function ``f(shape, *, seed, dtype)`` that returns an
        array; it gets a `Key` as seed.
    **params
        The initializer's own parameters, for instance ``std=0.01``.

    Returns
    -------
    Initializer
        Callable, comparable, picklable; ``get(repr(x)) == x`` for every named one.

    Raises
    ------
    UnknownNameError
        If there is no such name; the nearest ones are proposed.
    ArgumentError, ArgumentTypeError
        If the parameters do not fit.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.get("kaiming_normal")
    he_normal()
    >>> fastinit.get("normal(std=0.01)") == fastinit.get("normal", std=0.01)
    True
    """
    if isinstance(spec, str):
        name, args, written = _parse(spec)
        name = ALIASES.get(name, name)
        if name not in _factories and name not in _all_factories():
            raise unknown_name("initializer", name, [*_factories, *ALIASES])
        return _make(name, _factories[name], args, {**written, **params})
    if isinstance(spec, type) and issubclass(spec, Initializer):
        return _make(spec.__name__, spec, (), params)
    if params:
        raise ArgumentTypeError(f"{spec!r} takes no parameters here, got {params}")
    if isinstance(spec, Initializer):
        return spec
    if callable(spec):
        from fastinit.structured import FunctionInitializer

        return FunctionInitializer(spec)
    raise ArgumentTypeError(f"an initializer is a name, an Initializer or a function, got {spec!r}")


@overload
def register(name: str, initializer: T) -> T: ...
@overload
def register(name: str) -> Callable[[T], T]: ...
def register(name: str, initializer: Any = None) -> Any:
    """Give an initializer a name, under which it then works wherever a name does.

    Parameters
    ----------
    name : str
        A Python identifier that is not taken yet.
    initializer : Initializer, subclass of Initializer, or callable, optional
        As for `get`. Without it, a decorator is returned.

    Returns
    -------
    Initializer, class or callable
        The initializer as it was given; without one, the decorator.

    Raises
    ------
    ArgumentError
        If the name is taken or is not an identifier.
    ArgumentTypeError
        If `initializer` cannot be used as one.

    Examples
    --------
    >>> import fastinit, numpy
    >>> @fastinit.register("alternating")
    ... def alternating(shape, *, seed, dtype):
    ...     return (numpy.indices(shape).sum(axis=0) % 2).astype(dtype)
    >>> fastinit.get("alternating")((2, 2)).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    if initializer is None:
        return lambda given: register(name, given)
    if not (isinstance(name, str) and name.isidentifier()):
        raise ArgumentError(f"a name must be a Python identifier, got {name!r}")
    if name in _all_factories() or name in ALIASES:
        raise ArgumentError(f"the name {name!r} is taken")
    if isinstance(initializer, type) and issubclass(initializer, Initializer):
        _factories[name] = initializer
    else:
        made = get(initializer)
        _factories[name] = lambda: made
    return initializer


def _make(
    name: str, factory: Factory, args: tuple[Any, ...], params: dict[str, Any]
) -> Initializer:
    signature = inspect.signature(factory)
    try:
        signature.bind(*args, **params)
    except TypeError as error:
        accepted = ", ".join(f"{p.name}={p.default!r}" for p in signature.parameters.values())
        raise ArgumentTypeError(
            f"{name}: {error}; it takes {accepted or 'no parameters'}"
        ) from None
    return factory(*args, **params)


def _parse(spec: str) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """Split ``"normal(std=0.01)"`` into its name and its literal arguments."""
    if spec.isidentifier():
        return spec, (), {}
    try:
        call = ast.parse(spec.strip(), mode="eval").body
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
            raise ValueError
        args = tuple(ast.literal_eval(arg) for arg in call.args)
        params = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
    except (SyntaxError, ValueError):
        raise ArgumentError(
            f"an initializer is written as a name or as name(parameter=number), got {spec!r}"
        ) from None
    return call.func.id, args, params
