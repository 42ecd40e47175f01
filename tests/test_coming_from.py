"""docs/coming_from: the tables of names are complete, and a row means the same on all sides."""

import importlib
import os
import re
from pathlib import Path

import numpy as np
import pytest

import fastinit
from tests.frameworks import require
from tests.test_differences import BACKENDS, numbers

PAGES = Path(__file__).parents[1] / "docs" / "coming_from"
os.environ.setdefault("KERAS_BACKEND", BACKENDS[0] if BACKENDS else "numpy")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
frameworks = pytest.mark.parametrize("framework", ["torch", "keras", "jax"])

MODULES = {"torch": "torch.nn.init", "keras": "keras.initializers", "jax": "jax.nn.initializers"}
SHAPE = (30, 20)
# For what is no word of Python in a table's calls.
WORDS = {"shape": SHAPE, "value": 0.5, "scale": 0.01, "stddev": 0.01}
# What no table of one (30, 20) matrix can show, and arguments that have no default.
OTHER = {"calculate_gain", "dirac_", "STFT", "Initializer", "delta_orthogonal"}
ARGUMENTS = {
    "constant_": (0.5,),
    "sparse_": (0.9,),
    "kaiming_uniform_": (0.0, "fan_in", "relu"),
    "kaiming_normal_": (0.0, "fan_in", "relu"),
    "Constant": (0.5,),
    "constant": (0.5,),
}


def words_in(cell):
    return re.findall(r"`([^`]+)`", cell)


def rows(page):
    """Return the rows of a page's table of names, each a list of cells."""
    section = (PAGES / f"{page}.md").read_text().split("\n## Names\n")[1]
    lines = section.split("\n|---")[1].split("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]


def rows_of(framework):
    return rows({"torch": "pytorch"}.get(framework, framework))


@frameworks
def test_the_table_has_every_name_once_and_the_adapter_has_them(framework):
    require(framework)
    module = importlib.import_module(MODULES[framework])
    public = {name for name in getattr(module, "__all__", dir(module)) if name[0] != "_"}
    listed = [name for row in rows_of(framework) for name in words_in(row[0])]
    assert sorted(listed) == sorted(public)
    adapter = importlib.import_module(f"fastinit.{framework}")
    assert public <= set(adapter.__all__)
    for theirs, ours, *_ in rows_of(framework):
        assert ours.startswith("the same") or words_in(ours)[:1] == words_in(theirs)


def test_numpys_table_has_every_method_of_a_generator_once():
    listed = [name for row in rows("numpy") for name in words_in(row[0])]
    assert sorted(listed) == sorted(name for name in dir(np.random.Generator) if name[0] != "_")
    for _, ours in rows("numpy"):
        assert ours == "-" or hasattr(fastinit, words_in(ours)[0].partition("(")[0])


def in_torch(name):
    """Return what the adapter draws, and the key under which fastinit draws the same."""
    torch, adapter = require("torch"), importlib.import_module("fastinit.torch")
    torch.manual_seed(5)
    tensor = getattr(adapter, name)(torch.empty(SHAPE), *ARGUMENTS.get(name, ()))
    torch.manual_seed(5)
    return tensor, fastinit.Key(torch.empty((), dtype=torch.int64).random_().item())


def in_keras(name):
    require("keras")
    made = getattr(importlib.import_module("fastinit.keras"), name)
    seed = {"seed": 5} if hasattr(made(*ARGUMENTS.get(name, ())), "seed") else {}
    return made(*ARGUMENTS.get(name, ()), **seed)(SHAPE), 5


def in_jax(name):
    made = getattr(importlib.import_module("fastinit.jax"), name)
    if name == "variance_scaling":
        made = made(1.0, "fan_in", "truncated_normal")
    elif name not in ("zeros", "ones"):
        made = made(*ARGUMENTS.get(name, ()))
    return made(require("jax").random.key(5), SHAPE), 5


def called(call, **options):
    """Return what a call in the third column gives."""
    name, _, arguments = call.partition("(")
    given = f"dict_of({arguments or 'shape)'}"
    positional, named = eval(given, {"dict_of": lambda *a, **k: (a, k)} | WORDS)
    return getattr(fastinit, name)(*positional, **named, **options)


@frameworks
def test_the_function_beside_a_name_gives_the_same_values(framework):
    require(framework)
    compared = 0
    for theirs, _, ours in rows_of(framework):
        name = words_in(theirs)[0]
        if name in OTHER or not words_in(ours):
            continue
        values, seed = {"torch": in_torch, "keras": in_keras, "jax": in_jax}[framework](name)
        call = words_in(ours)[0]
        has_fans = call.startswith(("glorot", "he_", "lecun", "variance"))
        axes = {"in_axis": 1, "out_axis": 0} if framework == "torch" and has_fans else {}
        np.testing.assert_array_equal(
            numbers(values, np.float32), called(call, seed=seed, **axes), err_msg=name
        )
        compared += 1
    assert compared > 10
