"""Who may import whom, read from the sources; and what `import fastinit` loads."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fastinit
from fastinit.sampling import backend

PACKAGE = Path(fastinit.__file__).parent
CATALOGUE = {"keys", "fans", "gains", "initializers", "registry", "draws", "recipes", "structured"}
CATALOGUE |= {"depth", "meanfield", "trees"}
LAB = {"errors", "sampling", "kernels", "nn", *CATALOGUE, "fastinit"}
# part of the package: the parts it may import
ALLOWED = {
    "errors": set(),
    "sampling": {"errors"},
    "kernels": {"errors", "sampling", "fans", "keys"},
    **{name: {"errors", "sampling", *CATALOGUE} for name in CATALOGUE},
    "config": {"errors", "sampling", "fastinit"},
    "datadriven": {"errors", "sampling", *CATALOGUE},
    "nn": {"errors", "sampling", "kernels", *CATALOGUE, "datadriven", "fastinit"},
    "lab": LAB,
    "lab.subjects": {*LAB, "lab", "torch", "keras"},  # each of them when such a model comes
    "torch": {"errors", "sampling", *CATALOGUE, "datadriven", "nn", "fastinit"},  # bridge: lazily
    "keras": {"errors", "sampling", *CATALOGUE, "datadriven", "nn", "fastinit"},  # bridge: lazily
    "jax": {"errors", "sampling", *CATALOGUE, "fastinit"},
    "bench": {"errors", "sampling", "lab", "fastinit"},  # frameworks: to be measured
    "checkpoints": {"errors", "sampling", *CATALOGUE, "fastinit"},
    "dask": {"errors", "sampling", *CATALOGUE},
    "cli": {"errors", "bench", "checkpoints", "lab", "fastinit"},
    "__main__": {"cli"},
    "__init__": {"errors", "sampling", "kernels", "nn", "lab", "checkpoints", "config", *CATALOGUE},
}
# the parts that may load these packages
HEAVY = {
    "numba": {"sampling", "kernels", "nn"},
    "scipy": {"structured", "lab"},
    "pandas": {"checkpoints", "lab"},
    "matplotlib": {"bench", "lab"},
    "sklearn": {"lab"},
    "joblib": {"lab"},
    "dask": {"dask", "lab"},
    "jinja2": {"lab"},
    "babel": {"lab"},
    "threadpoolctl": {"lab"},
    "ml_dtypes": {"sampling"},
    "rich": {"bench", "lab", "cli", "nn"},
    "torch": {"bench", "torch", "keras", "lab.subjects"},
    "keras": {"bench", "keras", "lab.subjects"},
    "jax": {"bench", "jax", "keras", "lab.subjects"},
}


def part_of(path):
    first, *rest = path.relative_to(PACKAGE).parts
    inner = f"{first}.{rest[0]}" if rest else first
    return inner if inner in ALLOWED else first.removesuffix(".py")


def imported(path):
    """Yield the dotted names that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "fastinit":  # from fastinit import nn
                yield from (f"fastinit.{alias.name}" for alias in node.names)
            else:
                yield node.module


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down_only(path):
    part = part_of(path)
    assert part in ALLOWED, f"say in ALLOWED what {part} may import"
    for name in imported(path):
        top, *rest = name.split(".")
        if top == "fastinit":
            target = rest[0] if rest and rest[0] in ALLOWED else "fastinit"
            assert target in ALLOWED[part] | {part}, f"{part} must not import {name}"
        elif top in HEAVY:
            assert part in HEAVY[top], f"{part} must not import {name}"


def run(code):
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_importing_the_library_is_light():
    heavy = "('numba', 'scipy', 'matplotlib', 'pandas', 'sklearn', 'torch', 'jax', 'ml_dtypes')"
    run(f"import fastinit, sys; assert not [m for m in {heavy} if m in sys.modules]")


def test_the_catalogue_needs_no_numba_until_it_draws():
    run(
        "import fastinit, sys\n"
        "fastinit.get('he_normal'), fastinit.compute_fans((3, 4)), fastinit.gain('gelu')\n"
        "fastinit.zeros((3, 4)), fastinit.key(0)\n"
        "assert 'numba' not in sys.modules\n"
        "fastinit.he_normal((3, 4))\n"
        f"assert ('numba' in sys.modules) == {backend.name() == 'numba'}\n"
    )


def test_parts_load_when_they_are_used():
    run(
        "import fastinit, sys\n"
        "assert not {'fastinit.structured', 'fastinit.depth'} & set(sys.modules)\n"
        "assert fastinit.get('sparse') and fastinit.small_init\n"
        "fastinit.nn.Sequential\n"
        "assert 'fastinit.nn' in sys.modules and 'fastinit.lab' not in sys.modules\n"
    )


def test_every_public_name_exists():
    for name in fastinit.__all__:
        assert getattr(fastinit, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'he_norml'"):
        fastinit.he_norml  # noqa: B018
