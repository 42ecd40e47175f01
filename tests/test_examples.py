"""The programs in examples/ run as a user runs them, and print what they promise."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.frameworks import require

FOLDER = Path(__file__).parents[1] / "examples"
# program: words that its output has
EXPECTED = {
    "fsdp_gpt": ["1 ranks, 103616 of 103616", "first weights", "trained weights"],
    "jax_mesh_linen": ["mesh {'data': 4, 'model': 2}", "on one device: the same", "100%"],
    "jax_mesh_nnx": ["on each device (64, 128)", "meshes: the same", "name: the same", "trained"],
    "own_loop_numba": ["dead units", "test accuracy"],
    "own_loop_numpy": ["loss", "test"],
    "transfer_learning": ["from scratch", "fine-tuned", "gain"],
    "zarr_larger_than_memory": ["chunks", "read again: equal"],
}
# program: the packages it needs beyond the library's own, and how it is called
NEEDS = {
    "fsdp_gpt": ["torch"],
    "jax_mesh_linen": ["jax", "flax"],
    "jax_mesh_nnx": ["jax", "flax"],
    "zarr_larger_than_memory": ["dask", "zarr"],
}
ARGUMENTS = {"fsdp_gpt": ["--steps", "3"], "zarr_larger_than_memory": ["0.1"]}


def run(name):
    for package in NEEDS.get(name, ()):
        require(package)
    result = subprocess.run(
        [sys.executable, "-W", "error", FOLDER / f"{name}.py", *ARGUMENTS.get(name, ())],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 100
    return result.stdout


@pytest.mark.parametrize("name", EXPECTED)
def test_examples_run(name):
    output = run(name)
    for words in EXPECTED[name]:
        assert words in output
    if name == "own_loop_numba":
        rows = [line.split() for line in output.splitlines()[1:]]
        assert [row[-2] for row in rows if "anew" in row] == ["0%"] * 3
        accuracies = [float(row[-1].rstrip("%")) for row in rows]
        assert min(accuracies[1::2]) > 95 > 90 > max(accuracies[2::2])
    if name == "transfer_learning":
        gains = [float(line.split()[-3]) for line in output.splitlines()[2:]]
        assert len(gains) == 3
        assert min(gains) > 0


def test_every_example_is_run():
    assert {path.stem for path in FOLDER.glob("*.py")} == set(EXPECTED)
