"""A whole model: a tree of shapes becomes a tree of arrays over several devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
from jax.sharding import PartitionSpec, Sharding

from fastinit.errors import ArgumentError, FastinitError
from fastinit.fans import as_shape
from fastinit.jax.arrays import as_dtype, concrete, is_key, make, words_of
from fastinit.jax.draws import Draw, key_of
from fastinit.jax.initializers import Init
from fastinit.keys import Key, Seed, keys_below
from fastinit.recipes import Mixed, Recipe
from fastinit.registry import InitializerLike, get

__all__ = ["initialize"]


def initialize(
    shapes: Any,
    recipe: InitializerLike | Init | Recipe,
    seed: Seed | jax.Array = None,
    *,
    shardings: Any = None,
    dtype: Any = None,
) -> Any:
    """Return the same tree with an array for each shape, each shard made where it lives.

    The array called `name` has, bit for bit, the values that `fastinit.initialize` gives to it:

        fastinit.get(initializer)(shape, seed=fastinit.key(seed, name), dtype=dtype)

    whatever the mesh, and whatever else is in the tree. A name is the path to the array, its steps
    joined by dots: keys, fields, places from 0 on. A field ``value`` at the end of a path, as in
    Flax' variables and boxes, is left out: an ``nnx.List`` of layers has names such as
    ``"layers.0.kernel"``, and what Linen's `init` makes, such as ``"params.Dense_0.kernel"``.

    Parameters
    ----------
    shapes : pytree
        Of anything with a shape and a dtype: what ``jax.eval_shape`` or ``nnx.eval_shape`` returns,
        or arrays, which are left as they are.
    recipe : initializer, or mapping of str to initializer, or Mixed
        As for `fastinit.initialize`; also one of this module's init functions for all arrays.
    seed : int, Key, numpy.random.Generator, numpy.random.SeedSequence or JAX key, optional
        As for `make_array`.
    shardings : pytree of jax.sharding.Sharding or PartitionSpec, optional
        Like `shapes`, or a tree that begins like it: one sharding stands for all arrays below its
        place. Specs are over the mesh of ``jax.set_mesh``. By default those that `shapes` says, and
        JAX's default device where it says none.
    dtype : dtype-like, optional
        Of every array, by default its own.

    Returns
    -------
    pytree of jax.Array
        Like `shapes`.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If no pattern fits a name, two arrays have one name, an initializer refuses a shape or a
        dtype, a sharding does not fit the shape, or `seed` is None in one of several processes;
        the message names the array. Nothing has been drawn then.
    ValueError
        If `shardings` is another tree than `shapes`.

    Examples
    --------
    >>> import jax, fastinit.jax
    >>> from jax.sharding import PartitionSpec
    >>> mesh = jax.make_mesh((1,), ("model",))
    >>> shapes = {"hidden": {"kernel": jax.ShapeDtypeStruct((64, 20), "float32")}}
    >>> with jax.set_mesh(mesh):
    ...     weights = fastinit.jax.initialize(
    ...         shapes, {"*": "he_normal"}, seed=0, shardings=PartitionSpec(None, "model")
    ...     )
    >>> alone = fastinit.he_normal((64, 20), seed=fastinit.key(0, "hidden.kernel"))
    >>> bool((weights["hidden"]["kernel"] == alone).all())
    True
    """
    if seed is None and jax.process_count() > 1:
        raise ArgumentError("seed is None, and each process would draw another; give a number")
    if is_key(seed):
        seed = key_of(words_of(seed))
    leaves = _leaves(shapes)
    tree = jax.tree.structure(shapes)
    if shardings is None:
        places = [getattr(leaf, "sharding", None) for leaf in leaves.values()]
    else:
        whole = jax.tree.broadcast(shardings, shapes, is_leaf=_is_sharding)
        places = tree.flatten_up_to(whole)
    plans = []
    for (name, leaf), initializer, key, place in zip(
        leaves.items(), _initializers(recipe, leaves), keys_below(seed, leaves), places, strict=True
    ):
        try:
            what = Draw(
                initializer, as_shape(leaf.shape), as_dtype(leaf.dtype if dtype is None else dtype)
            )
            what.check()
            sharding = concrete(place)
            if sharding is not None:
                sharding.shard_shape(what.shape)
        except FastinitError as error:
            raise type(error)(f"{name!r}: {error}") from None
        except ValueError as error:  # JAX's, of a sharding that does not fit
            raise ArgumentError(f"{name!r}: {error}") from None
        except IndexError:
            raise ArgumentError(
                f"{name!r}: the shape {what.shape} has fewer axes than {sharding}"
            ) from None
        plans.append((what, Key(key), sharding))
    return jax.tree.unflatten(tree, [make(*plan) for plan in plans])


def _leaves(tree: Any) -> dict[str, Any]:
    """Return the leaves of a tree by name, in its order."""
    leaves: dict[str, Any] = {}
    for path, leaf in jax.tree.leaves_with_path(tree):
        if path and path[-1] == jax.tree_util.GetAttrKey("value"):
            path = path[:-1]
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        if not (hasattr(leaf, "shape") and hasattr(leaf, "dtype")):
            raise ArgumentError(f"{name!r}: a leaf has a shape and a dtype, got {leaf!r}")
        if name in leaves:
            raise ArgumentError(f"two arrays are called {name!r}")
        leaves[name] = leaf
    return leaves


def _initializers(recipe: Any, names: dict[str, Any]) -> list[Any]:
    if isinstance(recipe, Mapping):
        recipe = Mixed(recipe)
    if isinstance(recipe, Mixed):
        return recipe.for_names(names)
    return [recipe.initializer if isinstance(recipe, Init) else get(recipe)] * len(names)


def _is_sharding(value: Any) -> bool:
    return value is None or isinstance(value, (Sharding, PartitionSpec))
