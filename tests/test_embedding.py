"""docs/embedding.md: its code runs, and its tables have every kernel as it is."""

import inspect
import re
from pathlib import Path

from fastinit import kernels

PAGE = (Path(__file__).parents[1] / "docs" / "embedding.md").read_text()
OPTIONS = "l1=0.0, l2=0.0, weight_decay=0.0, scale=1.0, limit=inf"


def test_python_blocks_run():
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 5
    namespace = {"__name__": "page"}
    for block in blocks:
        exec(block, namespace)  # one after the other, as a reader would type them


def signature(name):
    kernel = getattr(kernels, name)
    parameters = inspect.signature(getattr(kernel, "py_func", kernel)).parameters.values()
    texts = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters]
    return f"{name}({', '.join(texts)})".replace(OPTIONS, "...")


def test_the_tables_have_every_kernel():
    tables = PAGE.split("## The kernels\n")[1]
    assert f"`{OPTIONS}`" in tables
    names = [name for name in kernels.__all__ if callable(getattr(kernels, name))]
    listed = re.findall(r"(?<=\| )`(\w+)(\(.*?\))` \|", tables)
    signatures = [name + arguments for name, arguments in listed if name in names]
    assert sorted(signatures) == sorted(signature(name) for name in names)
