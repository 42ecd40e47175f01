"""Dask arrays: whatever the chunks, slices, workers and their deaths, the values of the whole.

Real processes of a cluster on this machine, and Zarr files larger than the memory that is allowed.
"""

import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError, UnknownNameError
from tests.frameworks import require

dask = require("dask")

import fastinit.dask  # noqa: E402 - once Dask is known to be there

ELEMENTWISE = ["he_normal", "uniform(low=-1.0)", "rademacher", "truncated_normal(std=0.5)"]
STRUCTURED = ["orthogonal", "sparse(sparsity=0.5)", "hadamard"]  # of matrices


def chunked(size):
    """Return strategies of chunks along an axis: sizes that add up to it."""
    cuts = st.sets(st.integers(1, max(size - 1, 1)), max_size=4)
    edges = cuts.map(lambda cuts: sorted({0, size, *(cut for cut in cuts if cut < size)}))
    return edges.map(lambda edges: tuple(np.diff(edges).tolist()) or (0,))


def picks(size):
    """Return strategies of what selects along an axis."""
    ends = st.none() | st.integers(-size, size)  # beyond them Dask itself differs from NumPy
    slices = st.builds(slice, ends, ends, st.sampled_from([None, 1, 2, 5, -1, -3]))
    return slices | st.integers(-size, size - 1) if size else slices


@st.composite
def cases(draw):
    shape = draw(st.lists(st.integers(0, 20), min_size=2, max_size=3).map(tuple))
    spec = draw(st.sampled_from(ELEMENTWISE + (STRUCTURED if len(shape) == 2 else [])))
    chunks = tuple(draw(chunked(size)) for size in shape)
    return spec, shape, chunks, tuple(draw(picks(size)) for size in shape)


@settings(max_examples=60)
@given(cases(), st.integers(0, 2**64))
def test_chunks_and_slices_are_parts_of_the_whole(case, seed):
    spec, shape, chunks, index = case
    lazy = fastinit.dask.array(spec, shape, chunks, seed)
    whole = fastinit.get(spec)(shape, seed=seed)
    assert (lazy.shape, lazy.dtype) == (whole.shape, whole.dtype)
    np.testing.assert_array_equal(lazy.compute(scheduler="sync"), whole)
    np.testing.assert_array_equal(lazy[index].compute(scheduler="sync"), whole[index])


def test_another_seed_and_another_place_are_told_apart():
    lazy = fastinit.dask.array("normal", (8, 8), 4, 0).compute(scheduler="sync")
    assert not np.array_equal(lazy, fastinit.normal((8, 8), seed=1))
    assert not np.array_equal(lazy[:4], lazy[4:])
    fresh = fastinit.dask.array("normal", (8, 8), 4)
    np.testing.assert_array_equal(fresh.compute(), fresh.rechunk(3).compute())


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16", "complex64"])
def test_dtypes(dtype):
    lazy = fastinit.dask.array("he_normal", (30, 20), (7, 9), 3, dtype)
    made = lazy.compute()
    assert lazy.dtype == made.dtype == lazy._meta.dtype
    assert made.dtype.name == dtype
    np.testing.assert_array_equal(made, fastinit.he_normal((30, 20), seed=3, dtype=dtype))


def test_shapes_of_few_axes_and_seeds_of_other_kinds():
    assert fastinit.dask.array("normal", (), seed=3).compute() == fastinit.normal((), seed=3)
    key = fastinit.key(3, "head.kernel")
    made = fastinit.dask.array("normal", 10, 3, key).compute()
    np.testing.assert_array_equal(made, fastinit.normal(10, seed=key))
    generator = np.random.default_rng(5)
    first, second = (fastinit.dask.array("normal", 10, 3, generator) for _ in range(2))
    assert first.name != second.name  # as with one tensor after the other

    def ramp(shape, *, seed, dtype):
        return np.arange(np.prod(shape), dtype=dtype).reshape(shape)

    made = fastinit.dask.array(ramp, (5, 6), 2, 0).compute()
    np.testing.assert_array_equal(made, np.arange(30.0).reshape(5, 6))


def test_names_say_what_the_array_is():
    given = {"init": "he_normal", "shape": (8, 6), "chunks": 4, "seed": 0, "dtype": "float32"}
    name = fastinit.dask.array(**given).name
    same = {
        "init": fastinit.get("kaiming_normal"),
        "shape": [8, 6],
        "dtype": None,
        "seed": np.int8(0),
    }
    for changed, value in same.items():
        assert fastinit.dask.array(**{**given, changed: value}).name == name, changed
    others = [
        *(("init", init) for init in ("he_uniform", "orthogonal", "normal", "normal(std=2.0)")),
        *[("shape", (6, 8)), ("chunks", 2), ("seed", 1), ("seed", None)],
        *(("dtype", dtype) for dtype in ("float16", "bfloat16", "float64")),
    ]
    names = {fastinit.dask.array(**{**given, changed: value}).name for changed, value in others}
    assert len(names | {name}) == len(others) + 1
    code = f"import fastinit.dask; print(fastinit.dask.array(**{given!r}).name)"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == name  # in another process too


def test_functions_of_one_name_are_told_apart():
    def constant(value):
        return lambda shape, *, seed, dtype: np.full(shape, value, dtype)

    class Constant(fastinit.Initializer):
        def __init__(self, value):
            object.__setattr__(self, "value", value)

        def distribution(self, shape):
            return fastinit.get("constant", value=self.value).distribution(shape)

    for kind in constant, Constant:
        arrays = [fastinit.dask.array(kind(value), (4, 4), 2, 0) for value in (1, 2, 1)]
        assert arrays[0].name != arrays[1].name
        assert sum(array.sum() for array in arrays).compute(scheduler="sync") == 64
    assert arrays[0].name == arrays[2].name


def test_chunks_that_dask_chooses_are_told_apart_by_their_sizes():
    with dask.config.set({"array.chunk-size": "2kiB"}):
        small = fastinit.dask.array("he_normal", (100, 60), seed=0)
    large = fastinit.dask.array("he_normal", (100, 60), seed=0)
    assert small.chunks != large.chunks
    assert (small == large).all().compute(scheduler="sync")
    assert fastinit.dask.array("he_normal", (100, 60), ((100,), (60,)), seed=0).name == large.name


def test_a_graph_holds_no_arrays_and_a_slice_makes_its_chunks_alone(monkeypatch):
    lazy = fastinit.dask.array("he_normal", (10**6, 10**6), 1000, 0)
    assert lazy.npartitions == 10**6
    assert len(pickle.dumps(lazy.__dask_graph__())) < 10**5
    made, read = [], fastinit.dask._Tensor.__getitem__

    def spy(tensor, index):
        made.append(tuple((one.start, one.stop) for one in index))
        return read(tensor, index)

    monkeypatch.setattr(fastinit.dask._Tensor, "__getitem__", spy)
    part = lazy[1999:2001, ::333_333].compute(scheduler="sync")
    assert len(made) == len(set(made)) == 8
    assert {place[0] for place in made} == {(1000, 2000), (2000, 3000)}
    index = slice(1999, 2001), slice(None, None, 333_333)
    np.testing.assert_array_equal(part, fastinit.he_normal((10**6, 10**6), seed=0, index=index))


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"init": "he_norml"}, UnknownNameError, "did you mean 'he_normal'"),
        ({"shape": (8,), "chunks": 4}, ArgumentError, "at least two axes"),
        ({"shape": (8, -6)}, ArgumentError, "-6"),
        ({"seed": -1}, ArgumentError, "negative"),
        ({"seed": 0.5}, ArgumentTypeError, "0.5"),
        ({"dtype": "int8"}, ArgumentTypeError, "int8"),
        ({"init": "normal(std=1e6)", "dtype": "float16"}, ArgumentError, "does not fit float16"),
        ({"init": "orthogonal", "shape": (8,), "chunks": 4}, ArgumentError, "two axes"),
        ({"chunks": (4, 4, 4)}, ValueError, "Chunks and shape"),
        ({"chunks": ((4, 3), 6)}, ValueError, "add up"),
        ({"chunks": ((np.nan, np.nan), 6)}, ArgumentError, "must be known"),
    ],
)
def test_errors_come_before_anything_is_computed(given, error, words):
    arguments = {"init": "he_normal", "shape": (8, 6), "chunks": 4, "seed": 0, **given}
    with pytest.raises(error, match=words):
        fastinit.dask.array(**arguments)


def test_dask_loads_when_it_is_asked_for_and_is_missed_in_words():
    codes = (
        "import fastinit, sys; assert 'dask' not in sys.modules\n"
        "import fastinit.dask; assert 'dask' in sys.modules and 'distributed' not in sys.modules",
        "import sys; sys.modules['dask'] = None\n"
        "try: import fastinit.dask\n"
        "except ImportError as error: assert \"pip install 'fastinit[dask]'\" in str(error)\n"
        "else: raise AssertionError",
    )
    for code in codes:
        subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


# ---------------------------------------------------------------- workers in other processes


@pytest.fixture(scope="module")
def cluster():
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2, threads_per_worker=2, dashboard_address=None, silence_logs=50
        ) as running,
        Client(running),
    ):
        yield running


def test_workers_in_other_processes_make_the_same(cluster):
    for spec in ("he_normal", "orthogonal"):
        lazy = fastinit.dask.array(spec, (300, 200), (64, 48), 3)
        pids = lazy.map_blocks(lambda block: np.full(block.shape, os.getpid())).compute()
        assert len(set(pids.ravel())) == 2
        assert os.getpid() not in pids
        np.testing.assert_array_equal(lazy.compute(), fastinit.get(spec)((300, 200), seed=3))


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_what_a_killed_worker_held_is_made_again(cluster):
    from distributed import futures_of, get_client, wait

    def slowly(block):
        time.sleep(0.1)
        return block

    shape = (400, 300)
    lazy = fastinit.dask.array("he_normal", shape, (50, 50), 3)
    held = get_client().persist(lazy.map_blocks(slowly))
    futures = futures_of(held)
    while not any(future.status == "finished" for future in futures):
        time.sleep(0.01)
    assert any(future.status == "pending" for future in futures)
    pid = next(iter(cluster.workers.values())).pid
    os.kill(pid, signal.SIGKILL)
    wait(held)
    np.testing.assert_array_equal(held.compute(), fastinit.he_normal(shape, seed=3))


# ---------------------------------------------------------------- arrays larger than memory

WRITER = """
import resource, sys
import dask, zarr
import fastinit, fastinit.dask
folder, rows = sys.argv[1], int(sys.argv[2])
fastinit.set_num_threads(2)
zarr.config.set({"threading.max_workers": 2})

def memory(what):
    lines = open("/proc/self/status").read().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(what))

fastinit.dask.array("normal", (), seed=0).compute()
before = memory("VmRSS")
allowed = memory("VmData") + 250 * 10**6
resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
lazy = fastinit.dask.array("he_normal", (rows, 8192), (512, 2048), seed=0)
try:
    fastinit.he_normal(lazy.shape, seed=0)
except MemoryError:
    print("too large")
with dask.config.set(scheduler="threads", num_workers=2):
    lazy.to_zarr(folder, compressors=None)
print(memory("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits and peaks of Linux")
def test_zarr_is_written_in_less_memory_than_it_has(tmp_path):
    zarr = require("zarr")
    folder, rows = tmp_path / "weights.zarr", 12288  # 403 MB
    command = [sys.executable, "-W", "error", "-c", WRITER, str(folder), str(rows)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    refused, peak = result.stdout.splitlines()
    assert refused == "too large"
    assert int(peak) < 200 * 10**6
    stored = zarr.open_array(folder, mode="r")
    assert stored.shape == (rows, 8192)
    assert stored.chunks == (512, 2048)
    for index in (
        (slice(None, None, 701), slice(None)),
        (slice(None), slice(5000, 5001)),
        (slice(rows - 3, None), slice(-3, None)),
    ):
        expected = fastinit.he_normal((rows, 8192), seed=0, index=index)
        np.testing.assert_array_equal(stored[index], expected)
