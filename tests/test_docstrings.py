"""The examples in all docstrings of the package run, and each is found."""

import ast
import doctest
import importlib
import sys
from pathlib import Path

import pytest

import fastinit
from fastinit import registry
from tests.frameworks import require

# Keras' own, of PyTorch's tensors in NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PACKAGE = Path(fastinit.__file__).parent
FRAMEWORKS = ("torch", "keras", "jax", "dask")
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def documented(source):
    """Yield the docstrings with examples that a source has."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            docstring = ast.get_docstring(node)
            if docstring and ">>> " in docstring:
                yield docstring


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        if ">>> " in path.read_text("utf-8"):
            parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
            yield ".".join(part for part in parts if part != "__init__")


def load(name):
    """Import a module of the package; skip where it needs a framework that is not there."""
    for part in name.split("."):
        for framework in FRAMEWORKS:
            if part.startswith(framework):  # fastinit.lab.subjects.keras_layers
                require(framework)
    return importlib.import_module(name)


def run(module):
    """Return how many docstrings with examples doctest found, and how many lines failed."""
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    found = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    for test in found:
        runner.run(test)
    return len(found), runner.failures


@pytest.mark.parametrize("name", list(modules()))
def test_examples(name, monkeypatch):
    monkeypatch.setattr(registry, "_factories", dict(registry._factories))
    module = load(name)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
    threads = fastinit.get_num_threads()
    found, failures = run(module)
    fastinit.set_num_threads(threads)
    assert failures == 0
    assert found == len(list(documented(Path(module.__file__).read_text("utf-8"))))


def test_a_wrong_example_is_noticed(capsys):
    module = type(sys)("module")
    module.__doc__ = ">>> 1 + 1\n3\n"
    assert run(module) == (1, 1)
    assert "Got:\n    2" in capsys.readouterr().out
