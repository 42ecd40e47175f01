"""The examples in the docstrings of the catalogue run; other parts test their own."""

import doctest
import importlib

import pytest

import fastinit
from fastinit import registry

MODULES = [
    "fastinit.config",
    "fastinit.depth",
    "fastinit.draws",
    "fastinit.errors",
    "fastinit.fans",
    "fastinit.gains",
    "fastinit.initializers",
    "fastinit.keys",
    "fastinit.meanfield",
    "fastinit.recipes",
    "fastinit.registry",
    "fastinit.sampling.orthogonal",
    "fastinit.sampling.threads",
    "fastinit.structured",
    "fastinit.trees",
    "fastinit.kernels.draws",
    "fastinit.nn.callbacks",
    "fastinit.nn.network",
    "fastinit.nn.training",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, monkeypatch):
    monkeypatch.setattr(registry, "_factories", dict(registry._factories))
    threads = fastinit.get_num_threads()
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    fastinit.set_num_threads(threads)
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize("name", fastinit.__all__)
def test_every_public_function_has_an_example(name):
    public = getattr(fastinit, name)
    if callable(public):
        assert ">>> " in public.__doc__
