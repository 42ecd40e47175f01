"""show_config tells what draws; the suite itself runs over both backends."""

import importlib.metadata
import os
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest

from fastinit import config
from fastinit.config import show_config
from fastinit.errors import ArgumentError
from fastinit.sampling import backend
from fastinit.sampling.threads import get_num_threads

LEVELS = {"avx512", "avx2", "sse2", "neon", "scalar"}


def test_what_it_tells():
    told = show_config("dicts")
    assert told["backend"] == backend.name()
    assert told["threads"] == get_num_threads()
    assert told["numpy"] == np.__version__
    assert told["numba"] == importlib.metadata.version("numba")
    if told["backend"] == "cython":
        assert told["simd"] in LEVELS
    else:
        assert told["simd"] == "chosen by LLVM"


def test_it_prints_what_it_tells(capsys):
    assert show_config() is None
    lines = capsys.readouterr().out.splitlines()
    pairs = dict(line.split(maxsplit=1) for line in lines)
    assert pairs == {name: str(value) for name, value in show_config("dicts").items()}


@pytest.mark.parametrize("mode", ["print", None])
def test_an_unknown_mode_is_refused(mode):
    with pytest.raises(ArgumentError, match=f"'stdout' or 'dicts', got {mode!r}"):
        show_config(mode)


def test_why_a_backend_serves(monkeypatch):
    extension = "fastinit.sampling.cython_fill"
    monkeypatch.setenv("FASTINIT_BACKEND", "numba")
    assert config._reason() == "FASTINIT_BACKEND asks for it"
    monkeypatch.delenv("FASTINIT_BACKEND")
    monkeypatch.setitem(sys.modules, extension, ModuleType(extension))
    assert config._reason() == "the compiled extension is there"
    monkeypatch.setitem(sys.modules, extension, None)  # cannot be imported
    assert config._reason().startswith("the compiled extension does not load: ")


def test_a_package_that_is_not_there():
    assert config._version("no-such-package-as-this") == "not installed"


def test_numba_is_not_loaded_to_tell_its_version():
    pytest.importorskip("fastinit.sampling.cython_fill")
    code = (
        "import sys; from fastinit.config import show_config\n"
        "print(show_config('dicts')['backend'], 'numba' in sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "FASTINIT_BACKEND": "cython"},
    )
    assert (result.returncode, result.stdout) == (0, "cython False\n"), result.stderr
