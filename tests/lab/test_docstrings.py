"""The examples in the docstrings of the lab and of the command line run."""

import doctest
import importlib
from pathlib import Path

import pytest

import fastinit

PACKAGE = Path(fastinit.__file__).parent
# These need a framework: tests/torch and tests/keras run their examples.
OTHERS = {"torch.py", "torch_trace.py", "keras.py", "keras_layers.py"}
OTHERS |= {"keras_passes.py", "keras_trace.py"}


def modules():
    for folder in ("lab", "cli"):
        for path in sorted((PACKAGE / folder).rglob("*.py")):
            if ">>> " in path.read_text("utf-8") and path.name not in OTHERS:
                parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
                yield ".".join(part for part in parts if part != "__init__")


@pytest.mark.parametrize("name", list(modules()))
def test_examples(name):
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0
    assert found.failed == 0
