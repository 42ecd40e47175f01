"""The lab: train the same network from several initializers and see what each one does.

Examples
--------
>>> from fastinit import lab
>>> result = lab.compare(["zeros", "he_normal"], activations=["relu"], hidden=[32], epochs=5,
...                      seeds=1, jobs=1)
>>> result.verdicts[("relu", (32,), "he_normal")]
'trains'
"""

from __future__ import annotations

from importlib.util import find_spec

if _missing := [
    name
    for name in ("jinja2", "joblib", "matplotlib", "pandas", "rich", "sklearn")
    if find_spec(name) is None
]:
    raise ModuleNotFoundError(
        f"fastinit.lab needs {', '.join(_missing)}: pip install 'fastinit[lab]'", name=_missing[0]
    )

from fastinit.lab.comparison import Comparison, Group, Interrupted, compare
from fastinit.lab.data import Dataset, load_data
from fastinit.lab.plan import Plan
from fastinit.lab.records import Record
from fastinit.lab.rules import RULES, Rule
from fastinit.lab.runs import Run, Task, Training

__all__ = [
    "RULES",
    "Comparison",
    "Dataset",
    "Group",
    "Interrupted",
    "Plan",
    "Record",
    "Rule",
    "Run",
    "Task",
    "Training",
    "compare",
    "load_data",
]
