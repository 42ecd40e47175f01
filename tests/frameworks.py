"""Which frameworks the tests of the adapters find."""

import importlib
import os
from types import ModuleType

import pytest


def require(name: str) -> ModuleType:
    """Return a framework's module; skip the tests where it is not installed.

    With ``FASTINIT_REQUIRE_FRAMEWORKS=1``, as in CI, one that does not load is a failure.
    """
    if os.environ.get("FASTINIT_REQUIRE_FRAMEWORKS") == "1":
        return importlib.import_module(name)
    return pytest.importorskip(name, reason=f"{name} is not installed: pip install '.[{name}]'")
