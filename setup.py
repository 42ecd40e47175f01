"""The optional compiled extension; all else is in pyproject.toml.

Where it cannot be compiled, the installation goes on without it and Numba draws. With
FASTINIT_REQUIRE_CYTHON=1 the installation fails instead.
"""

import os
import sys
import tempfile
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, ExecError

SAMPLING = "fastinit/sampling"
SIMD = f"{SAMPLING}/simd"

if sys.platform == "win32":
    FLAGS = ["/O2", "/std:c11", "/fp:precise"]
else:
    # Bits must not depend on the compiler: no fused multiply-add. Vectors are passed between
    # inlined functions only, so their calling convention is no matter.
    FLAGS = ["-O3", "-std=c11", "-g0", "-ffp-contract=off", "-fno-math-errno"]
    FLAGS += ["-fno-trapping-math", "-Wno-psabi"]

# GCC's scheduler interleaves the long dependent chains of several vectors: up to two fifths of the
# time.
SCHEDULING = ["-fschedule-insns", "-fsched-pressure", "--param=sched-pressure-algorithm=2"]


class BuildExtension(build_ext):
    """Compiles with the flags for scheduling where the compiler knows them."""

    def build_extensions(self):
        """Build all; called by setuptools."""
        if self._knows(SCHEDULING):
            for extension in self.extensions:
                extension.extra_compile_args += SCHEDULING
        super().build_extensions()

    def _knows(self, flags):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "empty.c")
            source.write_text("int empty;\n")
            try:
                self.compiler.compile([str(source)], output_dir=folder, extra_postargs=flags)
            except (CCompilerError, ExecError):
                return False
        return True


sources = [f"{SAMPLING}/cython_fill.pyx"]
sources += [f"{SIMD}/{name}.c" for name in ("baseline", "avx2", "avx512", "levels")]
headers = [f"{SIMD}/{name}.h" for name in ("fills", "fill", "reflect", "vectors", "coefficients")]

extensions = cythonize(
    [
        Extension(
            "fastinit.sampling.cython_fill",
            sources,
            depends=headers,
            include_dirs=[SAMPLING],
            extra_compile_args=FLAGS,
        )
    ]
)
for extension in extensions:  # cythonize() forgets it
    extension.optional = os.environ.get("FASTINIT_REQUIRE_CYTHON", "0") in ("", "0")

setup(ext_modules=extensions, cmdclass={"build_ext": BuildExtension})
