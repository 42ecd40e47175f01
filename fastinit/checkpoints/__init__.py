"""Checkpoints from a description: initial weights written, checked and compared, never held whole.

`describe` reads which tensors a model has and by which rules they are made; `write` streams them to
safetensors files; `verify` makes them again and compares; `diff` says how far training has moved
them. NumPy is all that is needed.
"""

from __future__ import annotations

from fastinit.checkpoints.description import Description, Tensor, describe
from fastinit.checkpoints.difference import Change, Difference, diff
from fastinit.checkpoints.files import Checkpoint, open_checkpoint
from fastinit.checkpoints.verifying import Fault, Verification, verify
from fastinit.checkpoints.writing import write

__all__ = [
    "Change",
    "Checkpoint",
    "Description",
    "Difference",
    "Fault",
    "Tensor",
    "Verification",
    "describe",
    "diff",
    "open_checkpoint",
    "verify",
    "write",
]
