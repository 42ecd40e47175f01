"""Blocks of reflectors for the kernels of every backend, instruction set and build."""

import numpy as np

from fastinit.sampling import Normal, fill

KEY = 0x299F31D0A4093822
# groups of vectors, rows, width of the panel
BLOCKS = [(1, 1, 16), (1, 5, 32), (2, 17, 48), (2, 32, 16), (4, 64, 64), (4, 300, 64), (3, 257, 48)]


def run_block(kernels, dtype, groups, rows, width):
    """Make reflectors, and apply them to a panel whose last rows are zero; return all there is."""
    vectors, panel = np.empty((groups, rows, 16), dtype), np.empty((rows, width), dtype)
    fill(vectors, Normal(0.0, 1.0), KEY)
    fill(panel, Normal(0.0, 1.0), KEY + 1)
    live = rows // 2 + 1
    panel[live:] = 0
    system = np.zeros((groups * 16, groups * 16), dtype)
    kernels.reflectors(vectors, system)
    kernels.reflect(vectors, system, panel, live)
    return vectors, system, panel
