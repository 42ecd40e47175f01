"""Recipes: which initializer a parameter gets, by its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase, translate
from typing import Any, TypeAlias

from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.initializers import Initializer
from fastinit.registry import InitializerLike, get

__all__ = ["Mixed", "Recipe", "match", "matches"]

Recipe: TypeAlias = "Mapping[str, InitializerLike] | Mixed"


@dataclass(frozen=True, init=False, repr=False)
class Mixed:
    """Initializers by patterns of parameters' names; the first pattern that fits decides.

    Parameters
    ----------
    recipe : mapping of str to initializer
        The patterns, in the order in which they are tried, and for each what `fastinit.get`
        accepts. In a pattern ``*`` stands for any characters, dots too, ``?`` for one, and
        ``[ab]`` for one of those; upper and lower case differ.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If a pattern is no string, or an initializer none; the pattern is named.

    References
    ----------
    MXNet's ``Mixed``, whose patterns are regular expressions.

    Examples
    --------
    >>> import fastinit
    >>> mixed = fastinit.Mixed({"*.bias": "zeros", "head.*": "normal(std=0.02)", "*": "he_normal"})
    >>> mixed.for_name("head.bias"), mixed.for_name("head.kernel")
    (zeros(), normal(std=0.02))
    """

    rules: tuple[tuple[str, Initializer], ...]

    def __init__(self, recipe: Mapping[str, InitializerLike]) -> None:
        if not isinstance(recipe, Mapping):
            raise ArgumentTypeError(
                f"a recipe is a mapping of patterns to initializers, got {recipe!r}"
            )
        rules = tuple((pattern, _rule(pattern, spec)) for pattern, spec in recipe.items())
        object.__setattr__(self, "rules", rules)

    def for_name(self, name: str) -> Initializer:
        """Return the initializer of the parameter called `name`.

        Parameters
        ----------
        name : str
            A parameter's qualified name, such as ``"blocks.3.attention.bias"``.

        Returns
        -------
        Initializer
            That of the first pattern that fits.

        Raises
        ------
        ArgumentError
            If no pattern fits it.
        """
        found = match(self, name)
        if found is None:
            patterns = ", ".join(repr(pattern) for pattern, _ in self.rules)
            raise ArgumentError(
                f"no pattern fits the parameter {name!r}; there are {patterns or 'none'}, "
                "and a last one '*' would take all others"
            )
        return found

    def for_names(self, names: Iterable[str]) -> list[Initializer]:
        """Return the initializers of many parameters.

        Parameters
        ----------
        names : iterable of str
            Their qualified names.

        Returns
        -------
        list of Initializer
            One for each name; each pattern is read once for all of them.

        Raises
        ------
        ArgumentError
            If no pattern fits one of them.
        """
        rules = [(re.compile(translate(pattern)).match, rule) for pattern, rule in self.rules]
        found = []
        for name in names:
            for fits, rule in rules:
                if fits(name):
                    found.append(rule)
                    break
            else:
                found.append(self.for_name(name))  # which says that there is none
        return found

    def __repr__(self) -> str:
        return f"Mixed({dict(self.rules)!r})"


def match(recipe: Recipe, name: str) -> Initializer | None:
    """Return the initializer that the first fitting pattern of a recipe gives, or None.

    Parameters
    ----------
    recipe : mapping of str to initializer, or Mixed
        See `Mixed`.
    name : str
        A parameter's qualified name, such as ``"blocks.3.attention.bias"``.

    Returns
    -------
    Initializer or None
        None if no pattern fits.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If the rule that fits is no initializer.

    Examples
    --------
    >>> from fastinit.recipes import match
    >>> match({"*.bias": "zeros", "*.kernel": "he_normal"}, "layer1.kernel")
    he_normal()
    """
    for pattern, spec in recipe.rules if isinstance(recipe, Mixed) else recipe.items():
        if matches(pattern, name):
            return spec if isinstance(spec, Initializer) else _rule(pattern, spec)
    return None


def matches(pattern: str, name: str) -> bool:
    """Say whether a parameter's name fits a pattern; see `Mixed` for how one is written.

    Parameters
    ----------
    pattern : str
        With ``*``, ``?`` and ``[...]``, which match dots, too.
    name : str
        A parameter's qualified name.

    Returns
    -------
    bool
        Whether all of the name fits.

    Examples
    --------
    >>> from fastinit.recipes import matches
    >>> matches("blocks.*.bias", "blocks.3.attention.bias")
    True
    >>> matches("bias", "head.bias")
    False
    """
    return fnmatchcase(name, pattern)


def _rule(pattern: Any, spec: InitializerLike) -> Initializer:
    """Return the initializer of one line of a recipe, and name the line where it is none."""
    if not isinstance(pattern, str):
        raise ArgumentTypeError(f"a pattern is a string, got {pattern!r}")
    try:
        return get(spec)
    except (ArgumentError, ArgumentTypeError) as error:
        raise type(error)(f"recipe[{pattern!r}]: {error}") from None
