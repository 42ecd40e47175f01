"""Write initial weights larger than the memory that this program allows itself, and read a part.

    pip install 'fastinit[dask,zarr]'
    python zarr_larger_than_memory.py [GIGABYTES [FOLDER]]

Dask makes a chunk, Zarr writes it, and its memory is free again. On Linux the program allows itself
less memory than the array has, so that it would fail if it ever held the whole.
"""

import sys
import tempfile
import time
from pathlib import Path

import dask
import numpy as np
import zarr

import fastinit
import fastinit.dask

gigabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 4.0
columns, chunk = 16384, (1024, 4096)  # of float32: 16 MB
rows = round(gigabytes * 10**9 / (4 * columns))

# Each thread holds a few chunks, and a stack.
dask.config.set(scheduler="threads", num_workers=4)
zarr.config.set({"threading.max_workers": 4})
fastinit.set_num_threads(4)


def memory(what):
    """Return what Linux says of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(what))


if sys.platform == "linux":
    import resource

    allowed = memory("VmData") + 500 * 10**6
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
    print("allowed: 0.50 GB of memory beyond what the libraries took")

weights = fastinit.dask.array("he_normal", (rows, columns), chunk, seed=0)
print(f"weights: {weights.nbytes / 10**9:.2f} GB in {weights.npartitions} chunks")

with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as folder:
    path = Path(folder) / "weights.zarr"
    start = time.perf_counter()
    weights.to_zarr(path, compressors=None)  # random bits do not compress
    seconds = time.perf_counter() - start
    print(f"written: {weights.nbytes / 10**9 / seconds:.2f} GB/s, {seconds:.1f} s")

    stored = zarr.open_array(path, mode="r")
    part = slice(rows // 3, rows // 3 + 5), slice(None, None, 1000)
    expected = fastinit.he_normal((rows, columns), seed=0, index=part)
    print("read again:", "equal" if np.array_equal(stored[part], expected) else "DIFFERENT")

if sys.platform == "linux":
    print(f"peak memory: {memory('VmHWM') / 10**9:.2f} GB, the libraries included")
