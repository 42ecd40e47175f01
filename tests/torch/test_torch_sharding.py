"""DTensors, FSDP2, tensor parallelism, flat parameters: each rank holds its part of the whole.

The ranks are processes that talk by gloo; what they check stands in sharding_ranks.py.
"""

import doctest
import itertools
import math
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastinit
from fastinit.errors import ArgumentError, ArgumentIndexError, ArgumentTypeError
from tests.frameworks import require

torch = require("torch")
pytest.importorskip("torch.distributed.tensor")

from torch.distributed.tensor import Partial, Replicate, Shard  # noqa: E402
from torch.distributed.tensor.placement_types import _StridedShard  # noqa: E402

from fastinit.torch import init, materialize, sharding  # noqa: E402

ROOT = Path(__file__).parents[2]
LINE = ["fills", "rules", "patched", "refused", "seeds", "models", "by_hand", "summed"]
LINE += ["training", "flat"]
FEW, SQUARE = ["fills", "models", "flat"], ["fills", "rules", "patched", "models"]
HELD = {
    2: [f"{case} 2" for case in LINE],
    3: [f"{case} 3" for case in FEW],
    4: [f"{case} 4" for case in FEW] + [f"{case} 2x2" for case in SQUARE],
}
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@pytest.mark.parametrize("ranks", HELD)
def test_ranks_hold_parts_of_one_tensor(ranks, tmp_path):
    result = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-m",
            "tests.torch.sharding_ranks",
            str(ranks),
            tmp_path / "store",
        ],
        cwd=ROOT,
        env=ONE_THREAD,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == HELD[ranks]


def test_the_example_saves_on_two_ranks_and_loads_on_three(tmp_path):
    def torchrun(ranks, *arguments):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        run = [sys.executable, "-m", "torch.distributed.run", f"--master-port={port}"]
        for _ in range(2):
            result = subprocess.run(
                [*run, f"--nproc-per-node={ranks}", ROOT / "examples" / "fsdp_gpt.py", *arguments],
                capture_output=True,
                text=True,
                check=False,
                env=ONE_THREAD,
            )
            # On a busy machine a thread of gloo, now and then, wants Python when that has ended.
            if "terminate called without an active exception" not in result.stderr:
                break
        assert result.returncode == 0, result.stderr
        return dict(line.rsplit(" ", 1) for line in result.stdout.splitlines())

    saved = torchrun(2, "--steps=3", "--save", tmp_path / "checkpoint")
    loaded = torchrun(3, "--load", tmp_path / "checkpoint")
    assert saved["first weights"] == loaded["first weights"]
    assert saved["trained weights"] == loaded["loaded weights"] != saved["first weights"]


# ---------------------------------------------------------------- which elements a rank holds


@st.composite
def layouts(draw):
    shape = draw(st.lists(st.integers(0, 13), min_size=1, max_size=3))
    mesh = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    axes = st.integers(0, len(shape) - 1)
    strided = st.builds(
        lambda axis, sf: _StridedShard(axis, split_factor=sf), axes, st.integers(1, 4)
    )
    ways = st.one_of(st.just(Replicate()), st.builds(Shard, axes), strided)
    return tuple(shape), tuple(mesh), tuple(draw(ways) for _ in mesh)


def split(whole, mesh, place, placements, order=None):
    """Cut a tensor as PyTorch's placements do."""
    for i in order or range(len(mesh)):
        if not placements[i].is_replicate():
            parts, _ = placements[i]._split_tensor(
                whole, mesh[i], with_padding=False, contiguous=False
            )
            whole = parts[place[i]]
    return whole


def taken(whole, runs):
    """Return what runs select."""
    places = [[i for run in axis for i in run] for axis in runs]
    return whole[np.ix_(*places)]


@settings(deadline=None, max_examples=300)
@given(layouts())
def test_a_rank_holds_what_pytorch_would_give_it(layout):
    shape, mesh, placements = layout
    whole = torch.arange(math.prod(shape)).reshape(shape)
    for place in itertools.product(*map(range, mesh)):
        runs = sharding.held(shape, mesh, place, placements)
        expected = split(whole, mesh, place, placements)
        assert tuple(sum(map(len, axis)) for axis in runs) == tuple(expected.shape)
        assert np.array_equal(taken(whole.numpy(), runs), expected.numpy())
        for axis in runs:  # as few runs as there can be
            assert all(one.stop != other.start for one, other in itertools.pairwise(axis))


@pytest.mark.parametrize("size", [5, 12, 13])
def test_mesh_axes_may_cut_in_another_order(size):
    mesh, placements = (2, 3), (Shard(0), Shard(0))
    for place in itertools.product(*map(range, mesh)):
        runs = sharding.held((size,), mesh, place, placements, order=(1, 0))
        expected = split(torch.arange(size), mesh, place, placements, order=(1, 0))
        assert np.array_equal(taken(np.arange(size), runs), expected.numpy())


UNEVEN = """
import torch, torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module
from torch.testing._internal.distributed.fake_pg import FakeStore
from fastinit.torch import materialize

dist.init_process_group("fake", rank=10, world_size=12, store=FakeStore())  # that talks to nobody
mesh = init_device_mesh("cpu", (3, 4), mesh_dim_names=("data", "tensor"))
sizes = 27, 38, 14, 9
whole = materialize(lambda: torch.nn.Sequential(*(torch.nn.Linear(2, n) for n in sizes)), 0)
with torch.device("meta"):
    model = torch.nn.Sequential(*(torch.nn.Linear(2, n) for n in sizes))
parallelize_module(model, mesh["tensor"], {str(i): ColwiseParallel() for i in range(len(sizes))})
materialize(fully_shard(model, mesh=mesh["data"]), 0)
for ours, theirs in zip(model.parameters(), whole.parameters()):
    rows = theirs.chunk(4)[2:3] or [theirs[:0]]
    mine = rows[0].chunk(3)[2:3] or [theirs[:0]]
    assert torch.equal(ours.to_local(), mine[0]), (ours.shape, ours.to_local(), mine)
"""


def test_fsdp_cuts_what_tensor_parallelism_has_cut_unevenly():
    subprocess.run([sys.executable, "-W", "ignore", "-c", UNEVEN], check=True)


def test_what_is_no_part_is_refused():
    with pytest.raises(ArgumentTypeError, match="Partial"):
        sharding.held((4,), (2,), (0,), (Partial(),))


def test_dtensors_are_known_without_being_loaded():
    code = (
        "import sys, torch, fastinit.torch as f; f.normal_(torch.empty(3)); "
        "f.materialize(lambda: torch.nn.Linear(2, 2), 0); "
        "assert 'torch.distributed.tensor' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---------------------------------------------------------------- shard_

RULES = ["he_normal", "uniform(0, 2)", "orthogonal", "delta_orthogonal", "constant(0.5)", "dirac"]
SHAPE = (9, 7, 3)
WHOLE = {
    rule: init.shard_(torch.empty(SHAPE), rule, SHAPE, ..., seed=fastinit.Key(3)) for rule in RULES
}


def places(size):
    edges = st.one_of(st.none(), st.integers(-size - 2, size + 2))
    steps = st.integers(-3, 3).filter(bool)
    return st.one_of(st.builds(slice, edges, edges, steps), st.integers(-size, size - 1))


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(RULES), st.tuples(*map(places, SHAPE)), st.integers(0, 3))
def test_a_shard_is_that_part_of_the_whole(rule, index, axes):
    index = index[:axes]
    expected = WHOLE[rule].numpy()[index]
    wide = torch.full((*expected.shape, 2), math.nan)
    for target in (torch.full(expected.shape, math.nan), wide[..., 0]):
        assert init.shard_(target, rule, SHAPE, index, seed=fastinit.Key(3)) is target
        assert np.array_equal(target.numpy(), expected)
    assert wide[..., 1].isnan().all()


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(RULES), st.lists(st.integers(0, 189), min_size=2, max_size=2).map(sorted))
def test_a_range_of_the_flattened_whole(rule, ends):
    target = torch.full((ends[1] - ends[0],), math.nan)
    init.shard_(target, rule, SHAPE, range(*ends), seed=fastinit.Key(3))
    assert torch.equal(target, WHOLE[rule].flatten()[slice(*ends)])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("rule", ["lecun_normal", "orthogonal"])
def test_the_whole_is_that_of_materialize_and_apply(rule, dtype):
    layer = materialize(lambda: torch.nn.Linear(6, 9), 4, {"weight": rule}, dtype)
    shard = torch.nn.Parameter(torch.empty(3, 6, dtype=dtype))
    version = shard._version
    init.shard_(shard, rule, (9, 6), slice(2, 5), seed=fastinit.key(4, "weight"))
    assert torch.equal(shard, layer.weight[2:5])
    assert shard._version > version
    assert shard.requires_grad
    generator = torch.Generator().manual_seed(1)
    applied = init.apply_(torch.empty(9, 6, dtype=dtype), rule, generator=generator)
    word = torch.empty((), dtype=torch.int64).random_(generator=generator.manual_seed(1))
    init.shard_(shard, rule, (9, 6), slice(2, 5), seed=fastinit.Key(int(word)))
    assert torch.equal(shard, applied[2:5])


def test_inside_materialize_a_shard_keeps_its_seed():
    class Cut(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.empty(2, 4))
            init.shard_(self.weight, "he_normal", (6, 4), slice(2, 4), seed=7)

    whole = init.shard_(torch.empty(6, 4), "he_normal", (6, 4), ..., seed=7)
    assert torch.equal(materialize(Cut, 0).weight, whole[2:4])


def test_a_meta_tensor_stays_and_a_number_is_filled():
    assert init.shard_(torch.empty(2, 4, device="meta"), "zeros", (6, 4), slice(2), seed=0).is_meta
    whole = init.shard_(torch.empty(()), "normal", (), (), seed=1)
    assert torch.equal(init.shard_(torch.empty(1), "normal", (), range(1), seed=1)[0], whole)


@pytest.mark.parametrize(
    ("shape", "index", "seed", "error", "words"),
    [
        ((2, 4), slice(2), None, ArgumentError, "same on all ranks"),
        ((3, 4), slice(2), 0, ArgumentError, r"shape \(2, 4\)"),
        ((4,), slice(2), 0, ArgumentError, r"shape \(2, 4\)"),
        ((4,), 6, 0, ArgumentIndexError, "out of bounds"),
        ((4,), [0], 0, ArgumentTypeError, "made of integers"),
        ((5,), range(20, 25), 0, ArgumentIndexError, "24 elements"),
        ((5,), range(0, 10, 2), 0, ArgumentIndexError, "step 1"),
        ((5,), range(0, 5), -1, ArgumentError, "negative"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_written(shape, index, seed, error, words):
    target = torch.zeros(shape)
    with pytest.raises(error, match=words):
        init.shard_(target, "ones", (6, 4), index, seed=seed)
    assert not target.any()


def test_a_tensor_that_cannot_be_filled():
    with pytest.raises(ArgumentTypeError, match="int32"):
        init.shard_(torch.zeros(4, dtype=torch.int32), "ones", (6, 4), 0, seed=0)


def test_doctest():
    assert doctest.testmod(sharding, raise_on_error=True).attempted
