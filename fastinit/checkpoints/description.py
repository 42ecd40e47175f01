"""What a model's tensors are called, which shapes they have, and which rule makes each of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import index
from pathlib import Path
from typing import Any, Literal, SupportsIndex, TypeAlias, get_args

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastinit.checkpoints.families import family_of
from fastinit.checkpoints.files import METADATA, Checkpoint, PathLike, open_checkpoint, read_json
from fastinit.errors import ArgumentError, ArgumentTypeError, FastinitError, unknown_name
from fastinit.fans import as_shape
from fastinit.initializers import Initializer, law_of
from fastinit.keys import Key, Seed, key
from fastinit.recipes import Mixed, Recipe, match, matches
from fastinit.registry import InitializerLike, get
from fastinit.sampling import Distribution, draw_of
from fastinit.sampling.dtypes import FLOATS, DType, find

__all__ = [
    "STREAM",
    "Description",
    "Layout",
    "Tensor",
    "describe",
    "dtype_name",
    "seed_of",
    "whole",
]

Layout: TypeAlias = Literal["torch", "keras"]
LAYOUTS = get_args(Layout)
# What a file's metadata say of who wrote it, and how its matrices lie.
FORMATS: dict[str, Layout] = {"pt": "torch", "flax": "keras", "tf": "keras", "keras": "keras"}

# The version of the stream of random numbers, docs/stream.md.
STREAM = 1
# The entry of a file's metadata that describes it.
ENTRY = "fastinit"


@dataclass(frozen=True)
class Tensor:
    """A tensor of a description.

    Parameters
    ----------
    shape : tuple of int
        The shape.
    dtype : DType
        A row of the table of dtypes; ``dtype.name`` is the name.
    initializer : Initializer
        The rule.

    Examples
    --------
    >>> from fastinit.checkpoints import describe
    >>> tensor = describe({"kernel": (784, 10)}, "he_normal", dtype="bfloat16")["kernel"]
    >>> tensor.shape, tensor.dtype.name, tensor.initializer, tensor.nbytes
    ((784, 10), 'bfloat16', he_normal(), 15680)
    """

    shape: tuple[int, ...]
    dtype: DType
    initializer: Initializer

    @property
    def size(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes it takes."""
        return self.size * self.dtype.storage.itemsize

    @property
    def law(self) -> Distribution | None:
        """The distribution of its elements; None where they are no independent draws."""
        kind = type(self.initializer)
        if kind._drawn is not Initializer._drawn or kind.__call__ is not Initializer.__call__:
            return None
        return law_of(self.initializer, self.shape)


def whole(tensor: Tensor, key: int) -> NDArray[Any]:
    """Return all elements of a tensor, flat and as they are stored."""
    out = np.empty(tensor.shape, tensor.dtype.storage)
    made = tensor.initializer(tensor.shape, seed=Key(key), dtype=tensor.dtype.name, out=out)
    return (out if made is out else tensor.dtype.stored(made)).reshape(-1)


def _check(tensor: Tensor) -> None:
    """Raise what making the tensor would raise."""
    law = tensor.law
    if law is not None:
        draw_of(law, tensor.dtype)
    elif type(tensor.initializer).__call__ is Initializer.__call__ and tensor.shape:
        nothing = np.empty((0, *tensor.shape[1:]), tensor.dtype.storage)
        tensor.initializer(
            tensor.shape, seed=0, dtype=tensor.dtype.name, out=nothing, index=slice(0, 0)
        )


class Description(Mapping[str, Tensor]):
    """A model's tensors by name, in order: their shapes, dtypes and rules; made by `describe`.

    The tensor called `name` is, bit for bit,
    ``self[name].initializer(shape, seed=fastinit.key(seed, name), dtype=dtype)``.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        The tensors.
    seed : int or Key, optional
        The one that the description's source holds, if any.
    layout : {"torch", "keras"}, optional
        How its matrices lie; None where that is not known.

    Attributes
    ----------
    shapes : dict of str to tuple of int
        As `fastinit.initialize` takes them.
    recipe : dict of str to Initializer
        The rule of each tensor.
    nbytes, parameters : int
        How many bytes and how many elements there are.

    Examples
    --------
    >>> from fastinit.checkpoints import describe
    >>> shapes = {"kernel": (784, 10), "bias": (10,)}
    >>> description = describe(shapes, {"bias": "zeros", "*": "he_normal"})
    >>> description["bias"].initializer, description.parameters
    (zeros(), 7850)
    >>> description.make("kernel", seed=0, index=slice(0, 2)).shape
    (2, 10)
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        seed: int | Key | None = None,
        layout: Layout | None = None,
    ) -> None:
        self._tensors, self.seed, self.layout = dict(tensors), seed, layout

    def __getitem__(self, name: str) -> Tensor:
        try:
            return self._tensors[name]
        except KeyError:
            if not isinstance(name, str):
                raise
            raise NoTensorError(str(unknown_name("tensor", name, self._tensors))) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __repr__(self) -> str:
        return f"Description({len(self)} tensors, {self.parameters} parameters)"

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor."""
        return {name: tensor.shape for name, tensor in self.items()}

    @property
    def recipe(self) -> dict[str, Initializer]:
        """The rule of each tensor."""
        return {name: tensor.initializer for name, tensor in self.items()}

    @property
    def parameters(self) -> int:
        """How many elements there are in all."""
        return sum(tensor.size for tensor in self.values())

    @property
    def nbytes(self) -> int:
        """How many bytes they take."""
        return sum(tensor.nbytes for tensor in self.values())

    def make(self, name: str, seed: Seed = None, *, index: Any = None) -> NDArray[Any]:
        """Return a tensor, or a part of it, from the seed.

        Parameters
        ----------
        name : str
            The tensor.
        seed : int, Key, numpy.random.Generator or numpy.random.SeedSequence, optional
            By default the one that the description holds.
        index : int, slice, Ellipsis or tuple of these, optional
            Make only this part.

        Returns
        -------
        ndarray
            The values, in the tensor's dtype.

        Raises
        ------
        ArgumentError, ArgumentIndexError
            If there is no such tensor, or no seed, or `index` does not fit.
        """
        tensor = self[name]
        return tensor.initializer(
            tensor.shape,
            seed=key(seed_of(self, seed), name),
            dtype=tensor.dtype.name,
            index=index,
        )


class NoTensorError(ArgumentError, KeyError):
    """A description has no tensor of this name."""

    __str__ = Exception.__str__


def describe(
    model: PathLike | Mapping[str, Any],
    recipe: InitializerLike | Recipe | None = None,
    *,
    dtype: DTypeLike | None = None,
    layout: Layout | None = None,
    exclude: Sequence[str] = (),
) -> Description:
    """Read which tensors a model has, and decide by which rule each of them is made.

    Parameters
    ----------
    model : str, path, or mapping
        One of

        - a JSON file: ``{"tensors": {name: shape, ...}, "recipe": {pattern: initializer, ...}}``.
          In the place of a shape may stand ``{"shape": ..., "dtype": ..., "init": ...}``; beside
          ``tensors`` the ``dtype``, ``layout`` and ``seed`` of all;
        - a ``config.json`` of Hugging Face for GPT-2 or Llama, by its ``model_type``: their names,
          shapes and initialization;
        - a ``*.safetensors`` file, an index ``*.safetensors.index.json`` with its files, or a
          folder that has one of these: names, shapes and dtypes; the rules and the seed too, where
          `write` made it;
        - a mapping of names to shapes, or to anything that has a ``shape``, such as arrays.

    recipe : initializer, or mapping of str to initializer, or Mixed, optional
        As for `fastinit.initialize`. It goes before the rules that `model` has; a tensor for which
        neither has one is an error.
    dtype : dtype-like, optional
        float32, float64, float16 or bfloat16, for all tensors; by default what `model` says, and
        float32 if it says nothing.
    layout : {"torch", "keras"}, optional
        Where the inputs and outputs of a kernel are, for rules that scale by a fan or have axes of
        their own at the defaults: "torch" is (out, in, window), "keras" (window, in, out). By
        default what `model` says, by its configuration, or by the ``format`` in a file's metadata;
        "keras", as everywhere in fastinit, for a JSON file and a mapping.
    exclude : sequence of str, default ()
        Patterns of names to leave out, such as buffers of integers, which no rule makes.

    Returns
    -------
    Description
        The tensors, in the order of `model`.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If a file cannot be read or does not keep to its format, no rule fits a tensor, a tensor has
        a dtype that is not drawn, the layout matters and is not known, or an initializer refuses a
        shape or dtype; the message names the tensor.

    Notes
    -----
    Hugging Face's code sets the embedding of ``pad_token_id``, if there is one, to zero; here it
    is drawn as the others.

    Examples
    --------
    >>> from fastinit.checkpoints import describe
    >>> description = describe({"head.weight": (10, 64)}, "he_normal", layout="torch")
    >>> description["head.weight"].initializer
    he_normal(in_axis=1, out_axis=0)
    """
    if layout is not None and layout not in LAYOUTS:
        raise unknown_name("layout", layout, LAYOUTS)
    row = None if dtype is None else find(dtype, FLOATS)
    read = _read(model)
    above = _as_recipe(recipe)
    tensors = {}
    for name, (shape, own, rule) in read.tensors.items():
        if any(matches(pattern, name) for pattern in exclude):
            continue
        try:
            _check_name(name)
            tensor = Tensor(
                as_shape(shape),
                _row(own, row),
                read.rule(name, above, rule, layout, len(shape)),
            )
            _check(tensor)
        except FastinitError as error:
            raise type(error)(f"{name!r}: {error}") from None
        tensors[name] = tensor
    return Description(tensors, read.seed, layout or read.layout)


def _check_name(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ArgumentError("a name must be Unicode text, which this is not") from None
    if name == METADATA:
        raise ArgumentError("no tensor can have this name in a safetensors file")


def _row(dtype: Any, wanted: DType | None) -> DType:
    """Return the dtype to draw: the one wanted, for any floating one, or a tensor's own."""
    if wanted is not None and str(dtype).lower().startswith(("f", "bf")):
        return wanted
    try:
        return find(dtype, FLOATS)
    except TypeError:  # NumPy's own, of a name that it does not know, too
        raise ArgumentTypeError(
            f"dtype must be one of {', '.join(FLOATS)}, got {dtype!r}"
        ) from None


def seed_of(description: Description, seed: Seed) -> int | Key:
    """Return `seed`, or the description's, as it can be written down: a generator is asked once."""
    if seed is None:
        seed = description.seed
    if seed is None:
        raise ArgumentError("no seed is given, and the model's description holds none")
    made = key(seed)  # complains of what is none
    return made if isinstance(seed, Key) or not isinstance(seed, SupportsIndex) else index(seed)


# ---------------------------------------------------------------- what the sources say


@dataclass
class _Read:
    """What a source says: (shape, dtype, rule) by name, rules by patterns, and the layout."""

    tensors: dict[str, tuple[Sequence[int], Any, InitializerLike | None]]
    recipe: Mixed
    layout: Layout | None = None
    seed: int | Key | None = None
    in_out: tuple[str, ...] = ()

    def rule(
        self,
        name: str,
        above: Mixed,
        own: InitializerLike | None,
        layout: Layout | None,
        axes: int,
    ) -> Initializer:
        """Return the rule of a tensor, its axes those of the layout."""
        rule = match(above, name)
        if rule is None:
            rule = match(self.recipe, name) if own is None else get(own)
            if rule is None:
                known = ", ".join(repr(p) for p, _ in (*above.rules, *self.recipe.rules))
                raise ArgumentError(
                    f"no rule fits it, there are {known or 'none'}; give a recipe that has one"
                )
            if isinstance(own, Initializer):  # a file's, which is exact
                return rule
        own_axes = getattr(rule, "in_axis", None), getattr(rule, "out_axis", None)
        if axes < 2 or own_axes != (-2, -1) or getattr(rule, "fans", None) is not None:
            return rule
        if layout is None:
            layout = "keras" if any(matches(p, name) for p in self.in_out) else self.layout
        if layout is None:
            raise ArgumentError(
                f"{rule!r} needs the layout, of which the file says nothing: "
                "'torch' is (out, in, window), 'keras' (window, in, out)"
            )
        return replace(rule, in_axis=1, out_axis=0) if layout == "torch" else rule  # type: ignore[type-var]


def _as_recipe(recipe: InitializerLike | Recipe | None) -> Mixed:
    if recipe is None:
        return Mixed({})
    if isinstance(recipe, Mixed):
        return recipe
    return Mixed(recipe if isinstance(recipe, Mapping) else {"*": recipe})


def _read(model: PathLike | Mapping[str, Any]) -> _Read:
    if isinstance(model, Description):
        return _Read(
            {name: (t.shape, t.dtype.name, t.initializer) for name, t in model.items()},
            Mixed({}),
            model.layout,
            model.seed,
        )
    if isinstance(model, Checkpoint):
        return _from_checkpoint(model)
    if isinstance(model, Mapping):
        return _Read(dict(_leaves(model)), Mixed({}), "keras")
    path = Path(model)
    if path.suffix == ".json" and not path.name.endswith(".index.json"):
        document = read_json(path)
        try:
            return _from_json(document)
        except FastinitError as error:
            raise type(error)(f"{str(path)!r}: {error}") from None
    return _from_checkpoint(open_checkpoint(path))


def _leaves(model: Mapping[str, Any]) -> Iterable[tuple[str, tuple[Any, Any, None]]]:
    for name, leaf in model.items():
        if not isinstance(name, str):
            raise ArgumentTypeError(f"a name is a string, got {name!r}")
        shape = getattr(leaf, "shape", leaf)
        if not isinstance(shape, Sequence) or isinstance(shape, str):
            raise ArgumentTypeError(f"{name!r}: expected a shape, or what has one, got {leaf!r}")
        yield name, (tuple(shape), dtype_name(leaf) or "float32", None)


def dtype_name(array: Any) -> str | None:
    """Return the name of the dtype of any framework's array; None if it has none."""
    dtype = getattr(array, "dtype", None)
    return None if dtype is None else str(getattr(dtype, "name", dtype)).removeprefix("torch.")


def _from_json(document: Any) -> _Read:
    if not isinstance(document, dict):
        raise ArgumentTypeError(f"a description is an object, got {document!r:.80}")
    if "model_type" in document and "tensors" not in document:
        family = family_of(document)
        return _Read(
            {name: (shape, family.dtype, None) for name, shape in family.shapes.items()},
            Mixed(family.recipe),
            "torch",
            None,
            family.in_out,
        )
    _require_keys("a description", document, {"tensors", "recipe", "dtype", "layout", "seed"})
    if not isinstance(document.get("tensors"), dict):
        raise ArgumentError(
            "a description has 'tensors', names and their shapes; a configuration a 'model_type'"
        )
    layout = document.get("layout", "keras")
    if layout not in LAYOUTS:
        raise unknown_name("layout", layout, LAYOUTS)
    default = document.get("dtype", "float32")
    tensors = {}
    for name, leaf in document["tensors"].items():
        entry = leaf if isinstance(leaf, dict) else {"shape": leaf}
        _require_keys(repr(name), entry, {"shape", "dtype", "init"})
        if not isinstance(entry.get("shape"), list):
            raise ArgumentTypeError(f"{name!r}: a shape is a list, got {entry.get('shape')!r}")
        tensors[name] = entry["shape"], entry.get("dtype", default), entry.get("init")
    return _Read(
        tensors, Mixed(document.get("recipe", {})), layout, _seed_from(document.get("seed"))
    )


def _require_keys(what: str, entry: Mapping[str, Any], known: set[str]) -> None:
    for word in entry:
        if word not in known:
            raise unknown_name(f"entry of {what}", word, known)


def _from_checkpoint(checkpoint: Checkpoint) -> _Read:
    formats = {metadata.get("format", "") for metadata in checkpoint.metadata.values()}
    own = [_own_entry(path, held) for path, held in checkpoint.metadata.items() if ENTRY in held]
    rules: dict[str, str] = {}
    for entry in own:
        rules |= entry["rules"]
    seeds = [_seed_from(entry["seed"]) for entry in own]
    if any(seed != seeds[0] for seed in seeds):
        raise ArgumentError(f"the files of {str(checkpoint.path)!r} have several seeds: {seeds}")
    tensors: dict[str, tuple[Sequence[int], Any, InitializerLike | None]] = {}
    read = {words: get(words) for words in set(rules.values())}  # few, of many tensors
    for name, place in checkpoint.items():
        dtype = place.code if place.dtype is None else place.dtype.name
        tensors[name] = place.shape, dtype, read[rules[name]] if name in rules else None
    layouts = {FORMATS.get(format) for format in formats} | {e["layout"] for e in own}
    layouts.discard(None)
    return _Read(
        tensors,
        Mixed({}),
        layouts.pop() if len(layouts) == 1 else None,
        seeds[0] if seeds else None,
    )


def _own_entry(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return what `write` put into a file's metadata."""
    try:
        entry = json.loads(metadata[ENTRY])
        stream = entry["stream"]
        whole = all(
            isinstance(entry[part], dict) and all(isinstance(v, str) for v in entry[part].values())
            for part in ("rules", "crc32")
        )
        whole = whole and entry["layout"] in (None, *LAYOUTS) and "seed" in entry
    except (ValueError, TypeError, KeyError, RecursionError):
        whole = False
    if not whole:
        raise ArgumentError(f"{str(path)!r} is damaged: its metadata do not say how it was made")
    if stream != STREAM:
        raise ArgumentError(
            f"{str(path)!r} was made of version {stream} of the random stream, this is {STREAM}"
        )
    found: dict[str, Any] = entry
    return found


def _seed_from(value: Any) -> int | Key | None:
    """Return a seed as JSON holds it: an integer, or ``{"key": integer}``."""
    if isinstance(value, dict) and set(value) == {"key"}:
        return Key(value["key"])
    if value is None:
        return None
    if type(value) is not int:
        raise ArgumentTypeError(f"a seed is an integer, got {value!r}")
    key(value)
    return value
