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
from fastinit.errors import ArgumentError
from fastinit.sampling import Bits, Constant, Permutation
from fastinit.sampling.dtypes import FLOATS
from fastinit.structured import Structured

RECORD = Path(__file__).with_suffix(".json")
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
    "truncated_normal(mean=0.5, std=1.0, lower=0.0, upper=2.0, absolute=True)",
    "truncated_normal(std=0.1, lower=0.55, upper=2.0, absolute=True)",
    "truncated_normal(std=1.0, lower=-4.0, upper=4.0)",
    "truncated_normal(std=1.0, lower=-0.01, upper=0.01)",
    "rademacher(scale=0.3)",
    "variance_scaling(mode='fan_out', distribution='uniform')",
    "variance_scaling(scale=3.0, mode='fan_geo_avg', distribution='normal')",
)
# Shapes and indices for initializers without a law, and the parameters that matter.
MATRIX = {"dense": ((300, 70), None), "wide": ((70, 300), (slice(3, 40, 7), slice(290, 5, -3)))}
LARGE = {**MATRIX, "part of a large one": ((2**20, 2**20), (slice(5, 9), slice(9, None, -1)))}
KERNEL = {"convolution": ((3, 3, 5, 7), None), "part": ((4, 5, 8), (slice(1, 3), ..., 2))}
STRUCTURED = {
    "identity(gain=0.3)": LARGE,
    "dirac": KERNEL,
    "dirac(groups=2, in_axis=1, out_axis=0)": {"convolution": ((6, 4, 3), None)},
    "hadamard": {**LARGE, **KERNEL},
    "hadamard(gain=0.3, in_axis=1, out_axis=0)": {"dense": ((300, 70), None)},
    "orthogonal": MATRIX | KERNEL,
    "orthogonal(gain=0.3, column_axis=0)": MATRIX | KERNEL,
    "delta_orthogonal": KERNEL,
    "convolution_orthogonal": KERNEL,
    "sparse": MATRIX,
    "sparse(sparsity=0.3, std=1.0)": {**MATRIX, "tall": ((5000, 9), (slice(70, None, 9), 2))},
    "sparse(sparsity=0.6, std=1.0, axis=1)": MATRIX,
    "bilinear": {"convolution": ((3, 4, 5, 5), None), "part": ((4, 1, 9), (slice(1, 3), ..., 2))},
    "stft": {"frames": ((60, 1, 33), None), "part": ((60, 1, 33), (slice(50, 5, -3), 0))},
    "stft(side='imag', window='blackman', scaling='spectrum', periodic=True)": {
        "frames": ((60, 1, 33), None)
    },
    "lstm_forget_bias(value=0.3)": {"bias": ((40,), None), "part": ((40,), slice(15, None, -2))},
}
# What is no initializer, with its law for rows of 70.
DRAWS = {"bits": Bits(), "permutation": Permutation(70)}


def specs():
    """Return every built-in name that has a law, the variants, the other draws, those without."""
    builtin = (name for name in fastinit.names() if hasattr(fastinit, name))
    lawful = (name for name in builtin if not isinstance(fastinit.get(name), Structured))
    return [*lawful, *VARIANTS, *DRAWS, *STRUCTURED]


def laws(spec):
    """Return dtype -> the law of the backend's that a spec draws in it."""
    if spec in STRUCTURED:
        return dict.fromkeys(fastinit.get(spec).dtypes, "structured")
    law = DRAWS[spec] if spec in DRAWS else fastinit.get(spec).distribution((300, 70))
    drawn = {}
    for dtype in law.dtypes:
        try:
            drawn[dtype] = "constant" if isinstance(law, Constant) else law.plan(dtype)[0]
        except ArgumentError:  # complex, with bounds that are not symmetric
            continue
    return drawn


def values(spec, kind, dtype):
    """Return what is recorded: draws, or draws added to a tensor (`kind` "added")."""
    if kind == "added":
        out = fastinit.normal((300, 70), seed=4321, dtype=dtype)
        return fastinit.perturb(out, 0.3, spec, seed=1234)
    shape, index = STRUCTURED.get(spec, SHAPES)[kind]
    if spec == "permutation":
        return fastinit.permutation(shape, seed=1234, index=index)
    draw = fastinit.bits if spec == "bits" else fastinit.get(spec)
    return draw(shape, seed=1234, dtype=dtype, index=index)


def digest(spec, kind, dtype):
    """Return the first 16 hex digits of the SHA-256 of the values, in little-endian bytes."""
    drawn = values(spec, kind, dtype)
    drawn = drawn.view(np.uint16) if drawn.itemsize == 2 else drawn
    little = drawn.astype(drawn.dtype.newbyteorder("<"))
    return hashlib.sha256(little.tobytes()).hexdigest()[:16]


def digests_of(spec):
    """Return "kind, dtype" -> digest."""
    return {
        f"{kind}, {dtype}": digest(spec, kind, dtype)
        for dtype in laws(spec)
        for kind in STRUCTURED.get(spec, (*SHAPES, "added"))
        if kind != "added" or (dtype in FLOATS and spec not in DRAWS)
    }


def digests():
    """Return spec -> "kind, dtype" -> digest."""
    return {spec: digests_of(spec) for spec in specs()}


if __name__ == "__main__":
    if "--write" in sys.argv:
        RECORD.write_text(json.dumps(digests(), indent=1) + "\n")
    elif digests() != json.loads(RECORD.read_text()):
        sys.exit("the values differ from those recorded")
