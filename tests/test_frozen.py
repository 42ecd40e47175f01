"""The values of stream version 1 are those recorded, whatever vectors the processor has."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import frozen

RECORDED = json.loads(frozen.RECORD.read_text())


@pytest.mark.parametrize("spec", frozen.specs())
def test_values_are_those_recorded(spec):
    assert spec in RECORDED, "record it: python -m tests.frozen --write"
    expected = {
        f"{kind}, {dtype.__name__}": frozen.digest(spec, kind, dtype)
        for kind in frozen.SHAPES
        for dtype in frozen.DTYPES
    }
    assert RECORDED[spec] == expected


def test_nothing_is_recorded_that_is_not_there():
    assert set(RECORDED) == set(frozen.specs())


def test_a_changed_value_would_be_noticed(monkeypatch):
    before = frozen.digest("normal", "dense", "float32")
    real = frozen.fastinit.get
    monkeypatch.setattr(
        frozen.fastinit, "get", lambda spec: lambda *a, **k: real(spec)(*a, **k) * 2
    )
    assert frozen.digest("normal", "dense", "float32") != before


def test_code_for_another_processor_gives_the_same_values(tmp_path):
    """Compile for the plainest processor of this family: no wide vectors, no fused operations."""
    environment = {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    result = subprocess.run(
        [sys.executable, "-m", "tests.frozen"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent,
        env=os.environ | environment,
    )
    assert result.returncode == 0, result.stderr
