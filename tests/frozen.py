"""Hashes of drawn values: stream version 1 is what tests/frozen.json records.

python -m tests.frozen            # compare with what is recorded
python -m tests.frozen --write    # record; whoever does says in CHANGELOG.md which values changed
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

import fastinit

RECORD = Path(__file__).with_suffix(".json")
DTYPES = (np.float32, np.float64)
# (shape, index): what kinds of tensors and regions there are
SHAPES = {
    "dense": ((300, 70), None),
    "convolution": ((3, 3, 5, 7), None),
    "rows of a large one": ((2**20, 2**20), (slice(2**19, 2**19 + 2), slice(-700, None))),
    "columns of a large one": ((2**20, 2**20), (slice(1, 1000, 7), slice(11, 5, -2))),
}
# Parameters under which a name draws in another way than by default.
VARIANTS = (
    "uniform(low=0.0, high=1.0)",
    "normal(mean=1.0, std=2.0)",
    "truncated_normal(mean=0.5, std=1.0, lower=-3.0, upper=2.5)",
    "truncated_normal(lower=0.5, upper=4.0)",
    "truncated_normal(lower=-8.0, upper=-6.0)",
    "variance_scaling(mode='fan_out', distribution='uniform')",
    "variance_scaling(scale=3.0, mode='fan_geo_avg', distribution='normal')",
)


def specs():
    """Return every built-in name, and the variants."""
    return [*(name for name in fastinit.names() if hasattr(fastinit, name)), *VARIANTS]


def digest(spec, kind, dtype):
    """Return the first 16 hex digits of the SHA-256 of the values, in little-endian bytes."""
    shape, index = SHAPES[kind]
    values = fastinit.get(spec)(shape, seed=1234, dtype=dtype, index=index)
    little = values.astype(values.dtype.newbyteorder("<"))
    return hashlib.sha256(little.tobytes()).hexdigest()[:16]


def digests():
    """Return spec -> "kind, dtype" -> digest."""
    return {
        spec: {
            f"{kind}, {np.dtype(dtype).name}": digest(spec, kind, dtype)
            for kind in SHAPES
            for dtype in DTYPES
        }
        for spec in specs()
    }


if __name__ == "__main__":
    if "--write" in sys.argv:
        RECORD.write_text(json.dumps(digests(), indent=1) + "\n")
    elif digests() != json.loads(RECORD.read_text()):
        sys.exit("the values differ from those recorded")
