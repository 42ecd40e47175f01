"""The values of stream version 1 are those recorded, whatever vectors the processor has."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastinit
from fastinit.sampling import numba_fill
from fastinit.sampling.dtypes import FLOATS
from fastinit.structured import STRUCTURED
from tests import frozen

RECORDED = json.loads(frozen.RECORD.read_text())


@pytest.mark.parametrize("spec", frozen.specs())
def test_values_are_those_recorded(spec):
    assert spec in RECORDED, "record it: python -m tests.frozen --write"
    assert RECORDED[spec] == frozen.digests_of(spec)


def test_nothing_is_recorded_that_is_not_there():
    assert set(RECORDED) == set(frozen.specs())


ENTRY = re.compile(r"([a-z]\w*)_(float32|float64|complex64|complex128|uint32|uint64|int64)")


def laws_of_the_backend():
    """Return (law, dtype, add) for every entry point, and what is composed of those of floats."""
    entries = filter(None, map(ENTRY.fullmatch, vars(numba_fill)))
    laws = {(*entry.groups(), False) for entry in entries}
    floats = {law for law, dtype, _ in laws if dtype == "float32"}
    return laws | {(law, dtype, add) for law in floats for dtype in FLOATS for add in (False, True)}


def laws_recorded():
    laws = {spec: frozen.laws(spec) for spec in RECORDED}
    return {
        (laws[spec][dtype], dtype, kind == "added")
        for spec, kinds in RECORDED.items()
        for kind, dtype in (name.split(", ") for name in kinds)
        if laws[spec][dtype] not in ("constant", "structured")
    }


def test_every_initializer_without_a_law_is_recorded():
    recorded = {fastinit.get(spec).name for spec in frozen.STRUCTURED}
    assert recorded == set(STRUCTURED)


def test_every_law_is_recorded_in_every_dtype():
    assert laws_recorded() == laws_of_the_backend()


def test_a_law_without_a_record_would_be_noticed(monkeypatch):
    monkeypatch.setattr(numba_fill, "cauchy_float32", None, raising=False)
    assert ("cauchy", "bfloat16", True) in laws_of_the_backend() - laws_recorded()


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
        "FASTINIT_BACKEND": "numba",
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
