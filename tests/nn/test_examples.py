import doctest
import importlib

import pytest

MODULES = [
    "activations",
    "layers",
    "losses",
    "network",
    "optimizers",
    "saving",
    "training",
    "transfer",
]


@pytest.mark.parametrize("module", MODULES)
def test_examples(module):
    result = doctest.testmod(importlib.import_module(f"fastinit.nn.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
