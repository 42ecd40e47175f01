"""docs/frameworks.md: its tables are complete, and its names exist."""

import importlib
import sys
from operator import attrgetter
from pathlib import Path

import pytest

import fastinit
from tests.frameworks import require

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tools"))
features = importlib.import_module("features")
PAGE = features.PAGE.read_text()
# Names that are no initializers, or other names of one in the table.
OTHER = {
    "torch": {"constant", "dirac", "eye", "kaiming_normal", "kaiming_uniform", "normal"}
    | {"orthogonal", "sparse", "uniform", "xavier_normal", "xavier_uniform"},
    "keras": {"Initializer", "IdentityInitializer", "OrthogonalInitializer", "STFTInitializer"},
    "jax": {"Initializer", "kaiming_normal", "kaiming_uniform", "xavier_normal", "xavier_uniform"},
}


def names_of(framework):
    """Return the public names of a framework's initializers."""
    if framework == "torch":
        module = require("torch.nn.init")
        return module, {name for name in module.__all__ if callable(getattr(module, name))}
    if framework == "keras":
        module = require("keras").initializers
        return module, {name for name in dir(module) if name[0].isupper()}
    require("jax")
    module = importlib.import_module("jax.nn.initializers")
    return module, {name for name in dir(module) if not name.startswith("_")}


@pytest.mark.parametrize("framework", ["torch", "keras", "jax"])
def test_every_name_of_a_framework_is_in_the_table(framework):
    _, names = names_of(framework)
    listed = {getattr(feature, framework) for feature in features.SHARED} - {""}
    assert listed == names - OTHER[framework]


@pytest.mark.parametrize("framework", ["torch", "keras", "jax"])
def test_the_adapter_has_every_public_name(framework):
    _, names = names_of(framework)
    adapter = importlib.import_module(f"fastinit.{framework}")
    assert names <= set(adapter.__all__)


def test_every_name_of_the_catalogue_is_in_the_tables():
    listed = {feature.name for feature in features.SHARED} | set(features.OURS)
    assert {name for name in fastinit.names() if hasattr(fastinit, name)} <= listed


@pytest.mark.parametrize("name", [f.name for f in features.SHARED] + list(features.OURS))
def test_every_name_exists(name):
    first, *rest = name.split(".")
    if first in ("torch", "keras", "jax", "dask"):
        require(first)
    assert attrgetter(name)(fastinit) is not None or rest


def test_the_tables_are_those_of_the_tool():
    assert features.START + features.tables() + features.END in PAGE
