"""Many tensors at once: a tree of named shapes becomes the same tree of arrays, in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastinit.errors import ArgumentError, ArgumentTypeError, FastinitError
from fastinit.fans import as_shape
from fastinit.initializers import Initializer, law_of, target_of
from fastinit.keys import Key, Seed, keys_below
from fastinit.recipes import Mixed, Recipe
from fastinit.registry import InitializerLike, get
from fastinit.sampling import Draw, draw_of, fill_many
from fastinit.sampling.dtypes import COMPLEX, FLOATS, DType, find

__all__ = ["initialize"]

DTYPES = (*FLOATS, *COMPLEX)
INTEGERS = frozenset({int})


def initialize(
    shapes: Any,
    recipe: InitializerLike | Recipe,
    seed: Seed = None,
    *,
    dtype: DTypeLike | None = None,
    out: Any = None,
) -> Any:
    """Return the same tree with an array in the place of each shape, all drawn in one pass.

    The tensor called `name` has, bit for bit, the values of

        fastinit.get(initializer)(shape, seed=fastinit.key(seed, name), dtype=dtype)

    whatever else is in the tree. A name is the path to the tensor, its steps joined by dots: keys
    of a mapping, fields of a named tuple, places in a list or tuple, from 0 on. So
    ``{"blocks": [{"kernel": (4, 8)}]}`` holds one tensor, called ``"blocks.0.kernel"``. A key may
    have dots in it, as in PyTorch's ``state_dict``; two tensors of one name are an error.

    Parameters
    ----------
    shapes : tree
        Mappings with strings as keys, lists, tuples and named tuples, nested in any way; None
        stays None. A leaf is a shape, written as a tuple of integers (``()`` is a scalar, ``(20,)``
        a vector), or anything that has a ``shape``, such as an array. A tuple of anything else, and
        any list or named tuple, is a node. A tree that is a leaf is a tensor called ``""``.
    recipe : initializer, or mapping of str to initializer, or Mixed
        What `fastinit.get` accepts, for every tensor; or patterns of names and their initializers,
        of which the first that fits decides, see `fastinit.Mixed`. Nothing is taken for granted:
        biases have a pattern, or the one of the other tensors.
    seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
        See `fastinit.key`. It is read once: a ``Generator`` advances as for one tensor.
    dtype : dtype-like, optional
        Of every tensor. By default each has that of its array in `out`, else that of its leaf, and
        float32 where the leaf is a shape.
    out : tree of ndarray, optional
        An array for each name, filled in place, in a tree of any kind that gives the same names. It
        may be `shapes` itself. None of its arrays may share memory with another.

    Returns
    -------
    tree
        `out` if given. Else new arrays in a tree like `shapes`: mappings of the same type in the
        same order, lists, tuples and named tuples.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If a leaf is no shape, no pattern fits a name, two tensors have one name, or an initializer
        refuses a shape or a dtype; the message names the tensor. Nothing in `out` has changed then,
        unless it is an initializer with structure (such as orthogonal) or a user's function that
        refuses: these are called one by one, before all others are drawn.

    Examples
    --------
    >>> import fastinit
    >>> shapes = {"hidden": {"kernel": (64, 20), "bias": (20,)}, "head": [(20, 3), (3,)]}
    >>> recipe = {"*.bias": "zeros", "head.1": "zeros", "*": "he_normal"}
    >>> weights = fastinit.initialize(shapes, recipe, seed=0)
    >>> weights["head"][0].shape
    (20, 3)
    >>> alone = fastinit.he_normal((64, 20), seed=fastinit.key(0, "hidden.kernel"))
    >>> bool((weights["hidden"]["kernel"] == alone).all())
    True

    Other initial weights for a network of scikit-learn, which takes none itself: one epoch makes
    its arrays, this fills them, and with ``warm_start`` its `fit` goes on from there. (The entry of
    that epoch stays in ``loss_curve_``, and ``best_loss_`` knows it.)

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> x, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((32, 32), warm_start=True, max_iter=1000, random_state=0)
    >>> model = model.partial_fit(x, y, classes=[0, 1, 2])
    >>> weights = {"coefs": model.coefs_, "intercepts": model.intercepts_}
    >>> recipe = {"coefs.*": "he_normal", "intercepts.*": "zeros"}
    >>> _ = fastinit.initialize(weights, recipe, seed=0, out=weights)
    >>> bool(model.fit(x, y).score(x, y) > 0.95)
    True
    """
    leaves = _leaves(shapes)
    targets = {} if out is None else _targets(out, leaves)
    if dtype is not None:
        find(dtype, DTYPES)
    initializers = _initializers(recipe, leaves)
    plans: dict[Any, _Plan] = {}
    arrays, independent, structured = [], [], []
    for (name, leaf), initializer, key in zip(
        leaves.items(), initializers, keys_below(seed, leaves), strict=True
    ):
        target = targets.get(name)
        shape = leaf if isinstance(leaf, tuple) else tuple(leaf.shape)
        wanted: Any = dtype
        if dtype is None:
            wanted = getattr(leaf if target is None else target, "dtype", np.float32)
        case = id(initializer), shape, wanted  # of which there are few
        try:
            plan = plans.get(case)
            if plan is None:
                plan = plans[case] = _plan(initializer, shape, wanted)
            shape, row, draw = plan
            array = np.empty(shape, row.array) if target is None else target_of(shape, row, target)
        except FastinitError as error:
            raise _with_name(name, error) from None
        arrays.append(array)
        if draw is None:
            structured.append((name, initializer, shape, key, wanted, array))
        else:
            independent.append((array, draw, key))
    for name, initializer, shape, key, wanted, array in structured:
        try:
            made = initializer(shape, seed=Key(key), dtype=wanted, out=array)
        except FastinitError as error:
            raise _with_name(name, error) from None
        if made is not array:  # a `__call__` of someone else's, which does not know `out`
            array[...] = made
    fill_many(independent)
    return _rebuilt(shapes, iter(arrays)) if out is None else out


# The shape with its sizes checked, the dtype, and what to draw where elements are independent.
_Plan: TypeAlias = "tuple[tuple[int, ...], DType, Draw | None]"


def _plan(initializer: Initializer, shape: tuple[Any, ...], dtype: DTypeLike) -> _Plan:
    sizes, kind = as_shape(shape), type(initializer)
    if kind._drawn is not Initializer._drawn or kind.__call__ is not Initializer.__call__:
        return sizes, find(dtype, DTYPES), None
    law = law_of(initializer, sizes)
    row = find(dtype, law.dtypes)
    return sizes, row, draw_of(law, row)


def _with_name(name: str, error: FastinitError) -> FastinitError:
    return type(error)(f"{name!r}: {error}")


def _initializers(recipe: InitializerLike | Recipe, names: Iterable[str]) -> list[Initializer]:
    if isinstance(recipe, Mapping):
        recipe = Mixed(recipe)
    if isinstance(recipe, Mixed):
        return recipe.for_names(names)
    return [get(recipe)] * len(list(names))


def _targets(out: Any, names: dict[str, Any]) -> dict[str, Any]:
    """Return the arrays of `out` by their names, which must be these."""
    targets = _leaves(out)
    for where, held, asked in ("out", targets, names), ("shapes", names, targets):
        for name in asked:
            if name not in held:
                raise ArgumentError(f"{where} holds no tensor called {name!r}")
    first: dict[int, str] = {}
    for name, target in targets.items():
        if first.setdefault(id(target), name) != name:
            raise ArgumentError(f"out holds one array twice: {first[id(target)]!r} and {name!r}")
    return targets


# ---------------------------------------------------------------- trees


def _leaves(tree: Any) -> dict[str, Any]:
    """Return the leaves of a tree by name, in its order."""
    leaves: dict[str, Any] = {}
    _collect(tree, None, leaves)
    return leaves


def _collect(node: Any, name: str | None, leaves: dict[str, Any]) -> None:
    children = _children(node)
    if children is not None:
        for step, child in children:
            if not isinstance(step, str):
                raise ArgumentTypeError(f"a name is a string, got {step!r} below {name or ''!r}")
            _collect(child, step if name is None else f"{name}.{step}", leaves)
        return
    name = name or ""
    if not isinstance(node, tuple) and not hasattr(node, "shape"):
        raise ArgumentTypeError(
            f"{name!r}: a leaf is a shape, written as a tuple of integers, or has one, got {node!r}"
        )
    if name in leaves:
        raise ArgumentError(f"two tensors are called {name!r}")
    leaves[name] = node


def _rebuilt(node: Any, arrays: Iterator[NDArray[Any]]) -> Any:
    """Return a tree like `node` with the next of the arrays in the place of each leaf."""
    children = _children(node)
    if children is None:
        return next(arrays)
    if node is None:
        return None
    values = [_rebuilt(child, arrays) for _, child in children]
    if isinstance(node, Mapping):
        new = copy(node) if isinstance(node, dict) else {}
        new.update(zip(node, values, strict=True))
        return new
    if isinstance(node, list):
        return values
    return type(node)(*values) if hasattr(node, "_fields") else tuple(values)


def _children(node: Any) -> Iterable[tuple[Any, Any]] | None:
    """Return the nodes right below a node, each with the step to it; None for a leaf."""
    if type(node) is tuple and INTEGERS.issuperset(map(type, node)):  # spares most what follows
        return None
    if isinstance(node, Mapping):
        return node.items()
    if isinstance(node, (list, tuple)):
        if isinstance(node, tuple) and not hasattr(node, "_fields") and _is_shape(node):
            return None
        steps = getattr(node, "_fields", map(str, range(len(node))))
        return zip(steps, node, strict=True)
    return () if node is None else None


def _is_shape(node: tuple[Any, ...]) -> bool:
    return all(hasattr(size, "__index__") and not isinstance(size, bool) for size in node)
