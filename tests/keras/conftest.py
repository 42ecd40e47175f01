"""Keras runs on one backend a process: the one of KERAS_BACKEND, else one that is installed."""

import os
from importlib.util import find_spec

found = [name for name in ("torch", "jax") if find_spec(name)]
os.environ.setdefault("KERAS_BACKEND", found[0] if found else "numpy")
