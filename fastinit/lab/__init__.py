"""The lab: see what initial weights do, and be told which to use.

`compare` trains the same network from several initializers; `diagnose` looks into a model of one's
own, says what is wrong and tries a cure; `propagate` and `phase_diagram` set theory beside random
networks; `Recorder` writes down what a training does to each layer. Each result prints a table,
draws itself, and becomes a page by `fastinit.lab.report.write`.

Examples
--------
>>> from fastinit import lab
>>> result = lab.compare(["zeros", "he_normal"], activations=["relu"], hidden=[32], epochs=5,
...                      learning_rate=0.05, seeds=1, jobs=1)
>>> result.verdicts[("relu", (32,), "he_normal")]
'trains'
"""

from __future__ import annotations

from importlib.util import find_spec

if _missing := [
    name
    for name in ("babel", "jinja2", "joblib", "matplotlib", "pandas", "rich", "sklearn")
    if find_spec(name) is None
]:
    raise ModuleNotFoundError(
        f"fastinit.lab needs {', '.join(_missing)}: pip install 'fastinit[lab]'", name=_missing[0]
    )

from fastinit.lab.comparison import Comparison, Group, Interrupted, compare
from fastinit.lab.data import Dataset, load_data
from fastinit.lab.diagnosis import Diagnosis, diagnose
from fastinit.lab.observation import LayerFigures, Observation
from fastinit.lab.plan import Plan
from fastinit.lab.propagation import (
    PhaseDiagram,
    Propagation,
    phase_diagram,
    propagate,
    sigma_w_of,
)
from fastinit.lab.recording import Recorder, Recording
from fastinit.lab.records import Record
from fastinit.lab.rules import RULES, Rule
from fastinit.lab.runs import Network, Run, Task, Training

__all__ = [
    "RULES",
    "Comparison",
    "Dataset",
    "Diagnosis",
    "Group",
    "Interrupted",
    "LayerFigures",
    "Network",
    "Observation",
    "PhaseDiagram",
    "Plan",
    "Propagation",
    "Record",
    "Recorder",
    "Recording",
    "Rule",
    "Run",
    "Task",
    "Training",
    "compare",
    "diagnose",
    "load_data",
    "phase_diagram",
    "propagate",
    "sigma_w_of",
]
