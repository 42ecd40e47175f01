"""Imports and first calls, in fresh processes."""

import os
import subprocess
import sys
from importlib.util import find_spec

from cases import CONTESTANTS, fresh


def need(codes, contestant):
    """Raise what asv takes for a reason to skip, unless there is something to time."""
    if contestant not in codes:
        raise NotImplementedError(f"{contestant} is not in this contest")
    if find_spec(fresh.PACKAGES[contestant]) is None:
        raise NotImplementedError(f"{contestant} is not installed")


class Fresh:
    """`setup` runs the code once, so that files are in memory and kernels in Numba's cache."""

    version = "1"
    timeout = 600
    rounds, repeat, warmup_time = 1, (3, 5, 5.0), 0.0
    params = CONTESTANTS
    param_names = ("contestant",)
    codes = fresh.IMPORTS

    def setup(self, contestant, *rest):
        need(self.codes, contestant)
        os.environ.setdefault("KERAS_BACKEND", "jax" if find_spec("jax") else "torch")
        if not hasattr(self, "warm"):
            code = self.code(contestant, *rest)
            subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
            self.warm = True

    def code(self, contestant):
        return self.codes[contestant]


class Import(Fresh):
    def timeraw_import(self, contestant):
        return self.code(contestant)


class ColdStart(Fresh):
    """The first weights of a process."""

    params = (fresh.SHAPES, CONTESTANTS)
    param_names = ("shape", "contestant")
    codes = fresh.COLD_START

    def setup(self, shape, contestant):
        super().setup(contestant, shape)

    def code(self, contestant, shape):
        return self.codes[contestant].format(shape=shape)

    def timeraw_weights(self, shape, contestant):
        return self.code(contestant, shape)


class FirstKernel(Fresh):
    codes = fresh.FIRST_KERNEL

    def timeraw_dense_layer(self, contestant):
        return self.code(contestant)


class FirstFit(Fresh):
    codes = fresh.FIRST_FIT

    def timeraw_two_steps(self, contestant):
        return self.code(contestant)
