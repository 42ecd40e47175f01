"""What all tests share."""

import os
from importlib.util import find_spec

from hypothesis import settings

import fastinit

# A shared machine may pause anywhere; speed is the benchmarks' matter.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

# Keras runs on one backend a process, and on TensorFlow if it is not told.
found = [name for name in ("torch", "jax") if find_spec(name)]
os.environ.setdefault("KERAS_BACKEND", found[0] if found else "numpy")


def pytest_report_header():
    config = fastinit.show_config("dicts")
    return f"fastinit: {config['backend']} backend, {config['simd']}, {config['reason']}"
