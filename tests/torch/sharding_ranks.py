"""The ranks of test_torch_sharding: `python -m tests.torch.sharding_ranks RANKS STORE`.

Every case compares what the ranks hold with the tensor or the model that one process makes. It
prints the names of the cases that held, on rank 0.
"""

import itertools
import multiprocessing
import sys
import warnings
from contextlib import contextmanager

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import (
    DTensor,
    Partial,
    Replicate,
    Shard,
    distribute_tensor,
    empty,
    rand,
    randn,
)
from torch.distributed.tensor.debug import CommDebugMode
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    parallelize_module,
)
from torch.distributed.tensor.placement_types import _StridedShard

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.torch import check, data_dependent, init, lsuv, materialize, patch, recipes
from fastinit.torch.layers import unwrapped

LAWS = {
    "uniform_": (-0.5, 2.0),
    "normal_": (0.5, 2.0),
    "trunc_normal_": (0.0, 0.7, -1.0, 0.5),
    "trunc_normal_tf_": (0.1, 0.5),
    "xavier_uniform_": (2.0,),
    "xavier_normal_": (),
    "kaiming_uniform_": (5**0.5,),
    "kaiming_normal_": (0, "fan_out", "relu"),
    "variance_scaling_": (2.0, "fan_avg", "uniform"),
    "lecun_normal_": (),
    "lecun_uniform_": (),
    "orthogonal_": (3.0,),
    "constant_": (0.5,),
    "ones_": (),
    "zeros_": (),
}
MATRICES = {"sparse_": (0.25, 0.3), "eye_": ()}
CONVOLUTIONS = {"dirac_": (2,)}
# Even and uneven, with ranks that hold nothing, square and not.
SHAPES = [(12, 8), (7, 5), (8, 8), (1, 9), (8, 6, 3)]


@contextmanager
def silent():
    """No rank may talk to another here."""
    with CommDebugMode() as comm:
        yield
    assert comm.get_total_counts() == 0, comm.get_comm_counts()


def assert_part(tensor, whole, what, together=True):
    """Require that every rank holds its part of the whole; and that all together are the whole."""
    expected = distribute_tensor(whole, tensor.device_mesh, tensor.placements, src_data_rank=None)
    local = tensor.to_local().detach()
    assert local.dtype == whole.dtype, what
    assert local.numel() == expected.to_local().numel(), what
    assert torch.equal(local.reshape(expected.to_local().shape), expected.to_local()), what
    if together:
        assert torch.equal(tensor.detach().full_tensor(), whole), what


def assert_model(model, whole):
    theirs = dict(whole.named_parameters())
    ours = {unwrapped(name): parameter for name, parameter in model.named_parameters()}
    assert ours.keys() == theirs.keys()
    for name, parameter in ours.items():
        assert isinstance(parameter, DTensor), name
        assert_part(parameter, theirs[name].detach(), name)


def layouts(mesh):
    """Return the ways to place a matrix on a mesh."""
    ways = [Shard(0), Shard(1), Replicate()]
    found = list(itertools.product(ways, repeat=mesh.ndim))
    if mesh.ndim == 2:  # as FSDP2 places what tensor parallelism has cut
        found += [(_StridedShard(axis, split_factor=mesh.size(1)), Shard(axis)) for axis in (0, 1)]
    return found


def fills(mesh):
    """Every initializer, every layout: the parts of the tensor that one process makes."""
    for shape, placements in itertools.product(SHAPES, layouts(mesh)):
        calls = {**LAWS, **(MATRICES if len(shape) == 2 else CONVOLUTIONS)}
        tensors = [empty(shape, device_mesh=mesh, placements=placements) for _ in calls]
        wholes = [torch.empty(shape) for _ in calls]
        states = []
        with silent():
            for targets in (tensors, wholes):
                torch.manual_seed(3)
                for (name, arguments), target in zip(calls.items(), targets, strict=True):
                    assert getattr(init, name)(target, *arguments) is target
                states.append(torch.get_rng_state())
        assert torch.equal(*states)
        for name, tensor, whole in zip(calls, tensors, wholes, strict=True):
            assert_part(tensor, whole, (name, shape, placements), together=name == "normal_")


def rules(mesh):
    """What has structure, by its name; dtypes; views; generators."""
    for rule, dtype in itertools.product(
        ("orthogonal", "delta_orthogonal", "sparse(sparsity=0.5)", "he_normal", "rademacher"),
        (torch.float64, torch.bfloat16),
    ):
        shape = (6, 10) if rule.startswith("sparse") else (9, 4, 3)
        for placements in layouts(mesh):
            with silent():
                tensor = empty(shape, dtype=dtype, device_mesh=mesh, placements=placements)
                view = tensor.transpose(0, 1)  # its local tensors are not contiguous
                whole = torch.empty(shape, dtype=dtype)
                rows = shape[1] > shape[0] or not rule.startswith("delta")
                for target in (view, whole.transpose(0, 1)) if rows else (tensor, whole):
                    init.apply_(target, rule, generator=torch.Generator().manual_seed(2))
            together = dtype == torch.bfloat16 and rule == "orthogonal"
            assert_part(tensor, whole, (rule, dtype, placements), together)


def patched(mesh):
    """Code that calls PyTorch's methods, constructors and functions."""
    placements = [Shard(0), *[Replicate()] * (mesh.ndim - 1)]

    def draw(make, new, like):
        tensors = [new(rand, torch.rand), new(randn, torch.randn)]
        tensors.append(make(9, 4).normal_(0.0, 2.0))
        tensors.append(make(9, 4).uniform_(-1, 1))
        tensors.append(torch.randn_like(like))
        tensors.append(nn.init.kaiming_uniform_(make(9, 4)))
        tensors.append(nn.init.trunc_normal_(make(9, 4), std=0.2))
        tensors.append(nn.init.orthogonal_(make(9, 4)))
        tensors.append(nn.init.eye_(make(9, 4)))
        tensors.append(nn.init.normal_(nn.Parameter(make(9, 4))))
        return tensors

    with patch(seed=4), silent():
        ours = draw(
            lambda *shape: empty(shape, device_mesh=mesh, placements=placements),
            lambda theirs, _: theirs(9, 4, device_mesh=mesh, placements=placements),
            empty(9, 4, device_mesh=mesh, placements=placements),
        )
    with patch(seed=4):
        wholes = draw(torch.empty, lambda _, plain: plain(9, 4), torch.empty(9, 4))
    for i, (tensor, whole) in enumerate(zip(ours, wholes, strict=True)):
        assert isinstance(tensor, DTensor), i
        assert_part(tensor, whole.detach(), i)


def refused(mesh):
    """Sums over ranks have no elements; layers that are cut cannot be scaled to data."""
    placements = [Partial(), *[Replicate()] * (mesh.ndim - 1)]
    for call in (
        init.normal_,
        init.kaiming_uniform_,
        init.orthogonal_,
        init.eye_,
        lambda t: init.apply_(t, "he_normal"),
    ):
        tensor = DTensor.from_local(torch.zeros(4, 4), mesh, placements)
        raises(ArgumentTypeError, "Partial", call, tensor)
    with patch(0):
        raises(ArgumentTypeError, "Partial", tensor.normal_)
    assert not tensor.to_local().any()
    wrong = DTensor.from_local(
        torch.zeros(3 + mesh.get_coordinate()[0], 2),
        mesh,
        [Shard(0), *[Replicate()] * (mesh.ndim - 1)],
        shape=(40, 2),
        stride=(2, 1),
    )
    raises(ArgumentTypeError, "expected", init.normal_, wrong)
    sharded = fully_shard(nn.Linear(6, 4), mesh=line(mesh))
    for method in (lsuv, data_dependent):
        raises(ArgumentTypeError, "before it is sharded", method, sharded, torch.randn(9, 6))
    raises(
        ArgumentError, "before it is sharded", materialize, on_meta(line(mesh)), 0, None, torch.half
    )
    raises(ArgumentTypeError, "bernoulli", materialize, lambda: Dropped(line(mesh)), 0)
    raises(ArgumentError, "not initialized", materialize, lambda: Untouched(line(mesh)), 0)


class Dropped(nn.Module):
    def __init__(self, mesh):
        super().__init__()
        self.weight = nn.Parameter(empty(4, 4, device_mesh=mesh, placements=[Shard(0)]))
        with torch.no_grad():
            self.weight.bernoulli_(0.5)


class Untouched(Dropped):
    def __init__(self, mesh):
        nn.Module.__init__(self)
        self.weight = nn.Parameter(empty(40, 4, device_mesh=mesh, placements=[Shard(0)]))


def raises(kind, words, call, *args):
    with pytest.raises(kind, match=words):
        call(*args)


def seeds(mesh):
    """Ranks that are seeded differently, and ranks that draw alone, do not make one tensor."""
    for seed, apart in ((0, False), (dist.get_rank(), True)):
        torch.manual_seed(seed)
        copies = empty(5, 4, device_mesh=mesh, placements=[Replicate()] * mesh.ndim)
        gathered = [None] * dist.get_world_size()
        dist.all_gather_object(gathered, init.normal_(copies).to_local())
        assert any(not torch.equal(one, gathered[0]) for one in gathered) == apart
    torch.manual_seed(0)
    whole = init.normal_(torch.empty(12, 8))
    torch.manual_seed(0)
    tensor = empty(12, 8, device_mesh=mesh, placements=[Shard(0)] * mesh.ndim)
    init.normal_(tensor.to_local())  # as if the local tensor were the whole one
    assert not torch.equal(tensor.full_tensor(), whole)
    with CommDebugMode() as comm:
        tensor.full_tensor()
    assert comm.get_total_counts() > 0  # it does count


# ---------------------------------------------------------------- models


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.ln, self.attn = nn.LayerNorm(width), nn.MultiheadAttention(width, 2)
        self.c_fc, self.c_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        y = self.ln(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        return x + self.c_proj(torch.relu(self.c_fc(x)))


class Own(nn.Module):
    """A rule of its own: arithmetic on what it drew, and two draws."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(3, 10)), nn.Parameter(torch.empty(7))
        self.frozen = nn.Parameter(torch.empty(5, 2), requires_grad=False)
        self.reset_parameters()

    def reset_parameters(self):
        nn.init.trunc_normal_(self.weight, std=0.3)
        nn.init.normal_(self.frozen)
        with torch.no_grad():
            self.weight.mul_(0.5).clamp_(-0.2, 0.2)
            self.bias.uniform_(-1, 1).mul_(3)
            self.frozen.add_(torch.ones_like(self.frozen))
            self.frozen += torch.randn_like(self.frozen)


class Net(nn.Module):
    def __init__(self, width=10):
        super().__init__()
        self.embed = nn.Embedding(11, width, padding_idx=3)
        self.blocks = nn.ModuleList([Block(width) for _ in range(2)])
        self.conv, self.own = nn.Conv2d(3, 5, 3), Own()
        self.head = nn.Linear(width, 11)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def line(mesh):
    return init_device_mesh("cpu", (mesh.size(),))


def on_meta(mesh, wrapped=False, tensor_parallel=False, **options):
    with torch.device("meta"):
        model = Net()
    data = mesh
    if tensor_parallel:
        data, rows = mesh["data"], mesh["tensor"]
        for block in model.blocks:
            parallelize_module(
                block, rows, {"c_fc": ColwiseParallel(), "c_proj": RowwiseParallel()}
            )
    if wrapped:
        for i in range(len(model.blocks)):
            model.blocks[i] = checkpoint_wrapper(model.blocks[i])
    for block in model.blocks:
        fully_shard(block, mesh=data, **options)
    return fully_shard(model, mesh=data, **options)


RECIPES = [
    None,
    recipes.gpt2(2),
    {"*c_fc.weight": "orthogonal", "conv.weight": "delta_orthogonal", nn.Linear: "he_normal"},
]


def models(mesh):
    """FSDP2 built on the meta device is the model that one process makes."""
    options = [{}, {"wrapped": True}, {"mp_policy": MixedPrecisionPolicy(torch.bfloat16)}]
    meshes = [(line(mesh), one) for one in options]
    if mesh.ndim == 2:
        meshes = [(mesh, {}), (mesh, {"tensor_parallel": True})]
    for recipe, (where, option) in itertools.product(RECIPES, meshes):
        with torch.random.fork_rng():
            torch.manual_seed(dist.get_rank())  # not used
            model = on_meta(where, **option)
            with silent():
                assert materialize(model, 5, recipe) is model
        whole = materialize(Net, 5, recipe)
        assert_model(model, whole)
        if "tensor_parallel" not in option:
            assert model.head.weight is model.embed.weight


def by_hand(mesh):
    """`to_empty`, then the modules' own rules, inside `patch` and inside `materialize`."""

    def reset(model):
        model.to_empty(device="cpu")
        if model.head.weight is not model.embed.weight:  # PyTorch unties what is no DTensor
            model.head.weight = model.embed.weight
        for module in reversed(list(model.modules())):
            for name in ("reset_parameters", "_reset_parameters"):
                if hasattr(module, name):
                    getattr(module, name)()
                    break
        return model

    def meta():
        with torch.device("meta"):
            return Net()

    made = []
    for model in (on_meta(line(mesh)), meta()):
        with patch(seed=6):
            made.append(reset(model))
    assert_model(*made)
    sharded = on_meta(line(mesh))
    assert_model(materialize(lambda: reset(sharded), 5), materialize(Net, 5))


class Summed(nn.Module):
    """Sums over all elements, of which one is read at once and the other is not."""

    def __init__(self, make):
        super().__init__()
        self.one, self.read = (nn.Parameter(make(rows, 4)) for rows in (1, 7))
        nn.init.normal_(self.one)
        nn.init.normal_(self.read)
        with torch.no_grad():
            self.one.div_(self.one.norm())
            total = self.read.abs().sum()
        if getattr(total, "full_tensor", lambda: total)().item() > 1e-3:
            self.read.data.mul_(2)


def summed(mesh):
    """Where a rule needs all elements PyTorch's ranks talk, also one that holds none."""
    ours = materialize(
        lambda: Summed(lambda *s: empty(s, device_mesh=mesh, placements=[Shard(0)])), 5
    )
    whole = materialize(lambda: Summed(torch.empty), 5)
    assert_part(ours.read, whole.read.detach(), "read")
    torch.testing.assert_close(ours.one.full_tensor(), whole.one)


def training(mesh):
    """A sharded model learns as the whole one does, and `check` says the same of both."""
    model, whole = materialize(on_meta(line(mesh)), 5), materialize(Net, 5)
    assert str(check(model)) == str(check(whole))
    with torch.no_grad():
        for one in (model, whole):
            one.conv.weight.mul_(1000)
    assert [f.kind for f in check(model)] == [f.kind for f in check(whole)] == ["scale"]
    tokens = torch.arange(11)
    losses = []
    for one in (model, whole):
        optimizer = torch.optim.SGD(one.parameters(), 0.1)
        losses.append([])
        for _ in range(4):
            loss = nn.functional.cross_entropy(one(tokens), tokens)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses[-1].append(loss.item())
    torch.testing.assert_close(*map(torch.tensor, losses), rtol=1e-4, atol=1e-5)
    assert losses[0][-1] < losses[0][0]


def flat(mesh):
    """The flat parameters of FSDP1 and ZeRO: a range of the elements of all parameters in a row."""
    rules = {"*c_fc.weight": "orthogonal", "*": "truncated_normal(std=0.3)"}
    whole = materialize(Net, 5, rules)
    names = dict(whole.named_parameters())
    everything = torch.cat([p.detach().flatten() for p in names.values()])
    share = -(-len(everything) // dist.get_world_size())
    first = min(share * dist.get_rank(), len(everything))
    mine = torch.zeros(min(share, len(everything) - first))
    place = 0
    for name, parameter in names.items():
        start = max(first - place, 0)
        stop = min(first + len(mine) - place, parameter.numel())
        if start < stop:
            init.shard_(
                mine[place + start - first : place + stop - first],
                rules["*c_fc.weight" if name.endswith("c_fc.weight") else "*"],
                parameter.shape,
                range(start, stop),
                seed=fastinit.key(5, name),
            )
        place += parameter.numel()
    assert torch.equal(mine, everything[first : first + len(mine)])


CASES = [fills, rules, patched, refused, seeds, models, by_hand, summed, training, flat]
FEW = [fills, models, flat]  # what depends on how many ranks there are
SQUARE = [fills, rules, patched, models]  # what differs on a mesh of two axes


def main(rank, ranks, store):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=ranks)
    todo = [(init_device_mesh("cpu", (ranks,)), CASES if ranks == 2 else FEW)]
    if ranks == 4:
        square = init_device_mesh("cpu", (2, 2), mesh_dim_names=("data", "tensor"))
        todo.append((square, SQUARE))
    for mesh, cases in todo:
        for case in cases:
            case(mesh)
            if rank == 0:
                print(case.__name__, "x".join(map(str, mesh.shape)), flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    ranks, store = int(sys.argv[1]), sys.argv[2]
    warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
    fork = multiprocessing.get_context("fork")  # so that PyTorch is imported once
    processes = [fork.Process(target=main, args=(rank, ranks, store)) for rank in range(ranks)]
    for process in processes:
        process.start()
    while any(process.exitcode is None for process in processes):
        for process in processes:
            process.join(0.05)
        if any(process.exitcode for process in processes):  # the others would wait for it
            for process in processes:
                process.kill()
    sys.exit(any(process.exitcode for process in processes))
