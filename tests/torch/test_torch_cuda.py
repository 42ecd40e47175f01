"""Tensors and models on a GPU have the CPU's bits; the lab looks into networks there."""

import os
from contextlib import ExitStack

import pytest

import fastinit
from fastinit import lab
from tests.frameworks import require

torch = require("torch")

DEVICE = os.environ.get("FASTINIT_TEST_DEVICE", "cuda")
if DEVICE == "cuda" and not torch.cuda.is_available():
    pytest.skip("there is no CUDA device", allow_module_level=True)

from torch import nn  # noqa: E402

from fastinit.torch import check, data_dependent, init, lsuv, materialize, patch, recipes  # noqa: E402
from tests.torch.models import GPT, MODELS  # noqa: E402
from tests.torch.test_torch_init import FILLS  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")  # those of drivers are none of ours

FILLS = {
    **FILLS,
    "lecun_normal_": ((), (200, 100)),
    "lecun_uniform_": ((), (200, 100)),
    "trunc_normal_tf_": ((0.1, 0.5), (200, 100)),
    "variance_scaling_": ((2.0, "fan_avg", "uniform"), (200, 100)),
}
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]


def same(here, there):
    """Say whether a tensor on the GPU has a CPU tensor's bits."""
    return (
        here.device.type == DEVICE and here.dtype == there.dtype and torch.equal(here.cpu(), there)
    )


def same_models(model, other):
    theirs = {**dict(other.named_parameters()), **dict(other.named_buffers())}
    ours = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    assert list(ours) == list(theirs)
    for name, value in ours.items():
        assert value.device.type == DEVICE, name
        assert torch.equal(value.detach().cpu(), theirs[name].detach()), name


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", FILLS)
def test_a_fill_has_the_bits_of_the_cpu(name, dtype):
    arguments, shape = FILLS[name]
    if name == "sparse_" and dtype != torch.float32:
        pytest.skip("one dtype is enough")
    filled = []
    for device in (DEVICE, "cpu"):
        torch.manual_seed(3)
        tensor = torch.full(shape, float("nan"), device=device, dtype=dtype)
        version = tensor._version
        assert getattr(init, name)(tensor, *arguments) is tensor
        assert tensor._version > version
        filled.append(tensor)
    assert same(*filled)
    assert not (name in ("normal_", "orthogonal_") and same(filled[0], torch.zeros(shape)))


def test_strides_views_and_parameters():
    made = []
    for device in (DEVICE, "cpu"):
        torch.manual_seed(4)
        wide = torch.zeros(6, 100, 7, device=device)
        init.normal_(wide[:, ::2].transpose(0, 2), std=2.0)
        init.uniform_(wide[3:, 1])
        parameter = nn.Parameter(torch.empty(50, 30, device=device))
        init.kaiming_uniform_(parameter, nonlinearity="relu")
        assert parameter.requires_grad
        assert parameter.grad_fn is None
        made.append((wide, parameter.detach(), init.normal_(torch.empty(0, 3, device=device))))
    for here, there in zip(*made, strict=True):
        assert same(here, there)


def test_a_generator_of_the_device_decides():
    def drawn(seed):
        generator = torch.Generator(DEVICE).manual_seed(seed)
        state = torch.get_rng_state()
        made = [init.normal_(torch.empty(300, device=DEVICE), generator=generator) for _ in "ab"]
        assert torch.equal(torch.get_rng_state(), state)
        return made

    (first, second), (again, _), (other, _) = drawn(1), drawn(1), drawn(2)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert not torch.equal(first, other)
    assert not torch.equal(init.xavier_normal_(torch.empty(20, 20, device=DEVICE)), other[:20])


@pytest.mark.parametrize("rule", ["orthogonal(gain=2.0)", "delta_orthogonal", "he_normal", "dirac"])
def test_apply_and_shards(rule):
    key, shape = fastinit.key(0, "conv.weight"), (16, 12, 3, 3)
    whole = init.shard_(torch.empty(shape), rule, shape, ..., seed=key)
    assert same(init.shard_(torch.empty(shape, device=DEVICE), rule, shape, ..., seed=key), whole)
    part = init.shard_(torch.empty(8, 12, 3, 3, device=DEVICE), rule, shape, slice(8, 16), seed=key)
    assert same(part, whole[8:])
    flat = init.shard_(torch.empty(500, device=DEVICE), rule, shape, range(77, 577), seed=key)
    assert same(flat, whole.flatten()[77:577])


def test_patch():
    made = []
    for device in (DEVICE, "cpu"):
        with patch(seed=5):
            layers = [
                nn.Linear(30, 20, device=device),
                nn.Conv2d(3, 8, 3, device=device),
                nn.LSTM(5, 7, device=device),
                nn.Embedding(11, 4, padding_idx=2, device=device),
            ]
            made.append(nn.Sequential(*layers))
            extra = torch.randn(9, device=device), torch.rand(9, 2, device=device)
            made[-1].extra = nn.ParameterList([*extra, torch.randn_like(extra[0])])
            weight = torch.empty(40, 10, device=device)
            nn.init.trunc_normal_(weight, std=0.5)
            made[-1].weight = nn.Parameter(nn.init.orthogonal_(weight))
    same_models(*made)


@pytest.mark.parametrize("name", MODELS)
def test_materialize_builds_there(name):
    here = materialize(lambda: MODELS[name]().to(DEVICE), seed=6)
    there = materialize(MODELS[name], seed=6)
    ours, theirs = dict(here.named_parameters()), dict(there.named_parameters())
    for key, value in ours.items():
        assert value.device.type == DEVICE
        assert torch.equal(value.detach().cpu(), theirs[key].detach()), key


@pytest.mark.parametrize("dtype", [None, torch.bfloat16], ids=str)
def test_materialize_in_the_device_s_context_with_a_recipe(dtype):
    def build():
        with torch.device(DEVICE):
            return GPT()

    model = materialize(build, seed=7, recipe=recipes.gpt2(2), dtype=dtype)
    same_models(model, materialize(GPT, seed=7, recipe=recipes.gpt2(2), dtype=dtype))
    assert model.lm_head.weight is model.transformer.wte.weight
    tokens = torch.randint(65, (2, 8), device=DEVICE)
    assert model(tokens).isfinite().all()
    model = materialize(build, seed=7, recipe={nn.Linear: "orthogonal"}, dtype=dtype)
    same_models(model, materialize(GPT, seed=7, recipe={nn.Linear: "orthogonal"}, dtype=dtype))


def test_autocast_changes_nothing():
    made = []
    for enabled in (True, False):
        with torch.autocast(DEVICE, dtype=torch.bfloat16, enabled=enabled):
            model = materialize(lambda: MODELS["vit"]().to(DEVICE), seed=8)
            torch.manual_seed(0)
            extra = init.orthogonal_(torch.empty(30, 20, device=DEVICE))
        made.append([*(p.detach() for p in model.parameters()), extra])
    for one, other in zip(*made, strict=True):
        assert one.dtype == torch.float32
        assert torch.equal(one, other)


def test_a_compiled_model():
    def build():
        return nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 4)).to(DEVICE)

    plain = materialize(build, seed=9)
    compiled = materialize(lambda: torch.compile(build(), backend="eager"), seed=9)
    for one, other in zip(plain.parameters(), compiled.parameters(), strict=True):
        assert torch.equal(one, other)
    x = torch.randn(5, 8, device=DEVICE)
    torch.testing.assert_close(compiled(x), plain(x))
    torch.manual_seed(1)
    init.xavier_normal_(next(compiled.parameters()))  # what was compiled reads the same memory
    torch.manual_seed(1)
    init.xavier_normal_(plain[0].weight)
    torch.testing.assert_close(compiled(x), plain(x))


def test_data_driven_initialization():
    x = torch.randn(200, 20, generator=torch.Generator().manual_seed(0))

    def model(device):
        return nn.Sequential(nn.Linear(20, 50), nn.ReLU(), nn.Linear(50, 9)).to(device)

    for method in (lsuv, data_dependent):
        here, there = model(DEVICE), model("cpu")
        records = method(here, x.to(DEVICE), seed=0), method(there, x, seed=0)
        for one, other in zip(*records, strict=True):
            assert one.std_after == pytest.approx(other.std_after, rel=1e-3)
        for one, other in zip(here.parameters(), there.parameters(), strict=True):
            torch.testing.assert_close(one.detach().cpu(), other.detach(), rtol=1e-3, atol=1e-4)


def test_check():
    model = materialize(lambda: MODELS["vit"]().to(DEVICE), seed=10)
    assert check(model).ok
    with torch.no_grad():
        model.blocks[0].mlp.c_fc.weight.mul_(1000.0)
    assert [finding.name for finding in check(model) if finding.problem] == [
        "blocks.0.mlp.c_fc.weight"
    ]


# ---------------------------------------------------------------- DTensor


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh

    store = tmp_path_factory.mktemp("store") / "file"
    backend = "cpu:gloo,cuda:nccl" if DEVICE == "cuda" and dist.is_nccl_available() else "gloo"
    dist.init_process_group(backend, init_method=f"file://{store}", rank=0, world_size=1)
    yield init_device_mesh(DEVICE, (1,))
    dist.destroy_process_group()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", FILLS)
def test_a_dtensor_of_one_rank(mesh, name, dtype):
    from torch.distributed.tensor import Shard, distribute_tensor

    arguments, shape = FILLS[name]
    empty = torch.zeros(shape, device=DEVICE, dtype=dtype)
    tensor = distribute_tensor(empty, mesh, [Shard(0)])
    torch.manual_seed(3)
    assert getattr(init, name)(tensor, *arguments) is tensor
    torch.manual_seed(3)
    whole = getattr(init, name)(torch.zeros(shape, dtype=dtype), *arguments)
    assert same(tensor.to_local(), whole)
    assert same(tensor.full_tensor(), whole)


@pytest.mark.parametrize("policy", ["plain", "mixed", "offloaded"])
def test_fsdp2(mesh, policy):
    from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, fully_shard

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.norm = nn.Embedding(13, 16, padding_idx=0), nn.LayerNorm(16)
            self.hidden, self.head = nn.Linear(16, 16), nn.Linear(16, 13)

        def forward(self, tokens):
            return self.head(self.hidden(self.norm(self.embed(tokens))))

    def sharded():
        with torch.device("meta"):
            model = Net()
        options = {}
        if policy == "mixed":
            options = {"mp_policy": MixedPrecisionPolicy(param_dtype=torch.bfloat16)}
        if policy == "offloaded":
            options = {"offload_policy": CPUOffloadPolicy(pin_memory=DEVICE == "cuda")}
        fully_shard(model.hidden, mesh=mesh, **options)
        return fully_shard(model, mesh=mesh, **options)

    def on_the_cpu():
        model = sharded().to_empty(device="cpu")
        for module in model.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
        return model

    whole = materialize(Net, seed=11)
    model = materialize(on_the_cpu if policy == "offloaded" else sharded(), seed=11)
    device = "cpu" if policy == "offloaded" else DEVICE
    for (name, ours), theirs in zip(model.named_parameters(), whole.parameters(), strict=True):
        assert ours.to_local().device.type == device
        assert torch.equal(ours.to_local().detach().cpu(), theirs.detach()), name
    tokens = torch.arange(13, device=DEVICE)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    losses = []
    for _ in range(5):
        loss = nn.functional.cross_entropy(model(tokens).float(), tokens)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


# ---------------------------------------------------------------- the lab


@pytest.fixture(scope="module")
def digits():
    data = lab.load_data("digits")
    x, y = torch.as_tensor(data.x_train[:64]), torch.as_tensor(data.y_train[:64])
    return x.to(DEVICE), y.to(DEVICE)


def chain(std):
    def build():
        layers = []
        for inputs, outputs in [(64, 32), *[(32, 32)] * 10]:
            layers += [nn.Linear(inputs, outputs), nn.Tanh()]
        return nn.Sequential(*layers, nn.Linear(32, 10)).to(DEVICE)

    recipe = {nn.Linear: {"weight": f"normal(std={std})", "bias": "zeros"}}
    return materialize(build, seed=1, recipe=recipe)


def test_diagnose(digits):
    sick = lab.diagnose(chain(0.01), *digits)
    assert sick.verdict == "vanishing"
    assert any("cures it" in sentence for sentence in sick.sentences)
    assert lab.diagnose(chain(32**-0.5), *digits).verdict != "vanishing"


def test_the_recorder(digits, tmp_path):
    x, y = digits
    made = []
    for watched in (False, True):
        model = chain(0.2)
        optimizer = torch.optim.SGD(model.parameters(), 0.05)
        with ExitStack() as stack:
            if watched:
                recorder = lab.Recorder(tmp_path / "run.jsonl", model, x, y, every=2)
                stack.enter_context(recorder)
            for _ in range(6):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(x), y)
                loss.backward()
                optimizer.step()
                if watched:
                    recorder.step(loss)
        made.append([p.detach().clone() for p in model.parameters()])
    for one, other in zip(*made, strict=True):
        assert torch.equal(one, other)
    found = lab.Recording.load(tmp_path / "run.jsonl")
    assert found.steps.tolist() == [0, 2, 4, 6]
    assert found.framework == "torch"
