"""Looking into PyTorch modules: the same figures as by hand, and nothing left behind."""

import dataclasses
import itertools
import math
import warnings

import numpy as np
import pytest

import fastinit
from fastinit import nn as ours
from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.lab.observation import HISTOGRAMS
from fastinit.lab.subjects import subject_of
from tests.frameworks import require

torch = require("torch")
nn, functional = torch.nn, torch.nn.functional

from fastinit.torch import materialize, to_torch  # noqa: E402
from tests.torch.models import MODELS  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 5)).astype(np.float32)
LABELS = RNG.integers(0, 3, 30)


class Block(nn.Module):
    """A block of a transformer, by functions where one can."""

    def __init__(self, width):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc, self.out = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        heads = [
            one.unflatten(-1, (2, -1)).transpose(1, 2) for one in self.qkv(self.ln1(x)).chunk(3, -1)
        ]
        mixed = functional.scaled_dot_product_attention(*heads, is_causal=True, dropout_p=0.5)
        x = x + functional.dropout(self.proj(mixed.transpose(1, 2).flatten(2)), 0.5)
        return x + self.out(functional.gelu(self.fc(self.ln2(x))))


class Language(nn.Module):
    def __init__(self, blocks=2, width=16, tied=False):
        super().__init__()
        self.tok, self.pos = nn.Embedding(20, width), nn.Embedding(8, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.ln, self.head = nn.LayerNorm(width), nn.Linear(width, 20, bias=False)
        if tied:
            self.head.weight = self.tok.weight

    def forward(self, ids):
        x = self.tok(ids) + self.pos(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return {"hidden": x, "logits": self.head(self.ln(x))}


class Residual(nn.Module):
    """A block of a residual network, with a shortcut of its own."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.one = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.two = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.short = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.bn2(self.two(self.relu(self.bn1(self.one(x)))))
        out += x if self.short is None else self.short(x)
        return self.relu(out)


def residual_network():
    layers = [nn.Conv2d(3, 4, 3), nn.ReLU(), Residual(4, 4), Residual(4, 6)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))


IDS = torch.randint(0, 20, (6, 8), generator=torch.Generator().manual_seed(0))
IMAGES = torch.randn(10, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def same(one, other, exact=("kind",), rel=1e-5):
    """Compare two layers' figures."""
    for field, value in dataclasses.asdict(one).items():
        found = getattr(other, field)
        if field in (*exact, *HISTOGRAMS):
            continue
        close = pytest.approx(value, rel=rel, abs=1e-7) if isinstance(value, float) else value
        assert found == close, (one.name, field)


@pytest.mark.parametrize("targets", [LABELS, None, RNG.normal(size=(30, 3))])
def test_the_same_network_in_both_frameworks(targets):
    layers = [ours.Dense(9, "relu"), ours.Dense(7), ours.BatchNorm(), ours.Activation("tanh")]
    layers += [ours.Dropout(0.5), ours.LayerNorm(), ours.Dense(6, "gelu"), ours.Dense(3)]
    network = ours.Sequential(layers, seed=0)
    network.build(5)
    one = subject_of(network).observe(X, targets)
    other = subject_of(to_torch(network)).observe(X, targets)
    assert len(one.layers) == len(other.layers) == 6
    for left, right in zip(one.layers, other.layers, strict=True):
        same(left, right)
    expected = None if targets is None else pytest.approx(one.loss, rel=1e-5)
    assert other.loss == expected
    assert (one.input_std, one.input_spread) == (other.input_std, other.input_spread)


@pytest.mark.parametrize("cell", [ours.RNN, ours.LSTM, ours.GRU])
@pytest.mark.parametrize("targets", [LABELS, None])
def test_the_same_recurrent_network_in_both_frameworks(cell, targets):
    layers = [cell(6, return_sequences=True), cell(4), ours.Dense(3)]
    network = ours.Sequential(layers, seed=0)
    network.build((9, 5))
    x = RNG.normal(size=(30, 9, 5)).astype(np.float32)
    one = subject_of(network).observe(x, targets).layers
    other = subject_of(to_torch(network)).observe(x, targets).layers
    same(one[0], other[0], exact=("kind", "name"))
    for field in ("gradient_through_time", "weight_gradient", "weight_std", "steps", "fan_out"):
        value = getattr(one[1], field)
        assert getattr(other[1], field) == pytest.approx(value, rel=1e-4), field
    same(one[2], other[2])


def test_a_transformer():
    subject = subject_of(Language())
    found = {layer.name: layer for layer in subject.observe(IDS, IDS).layers}
    assert list(found)[:10] == [
        "tok",
        "pos",
        "add",
        "blocks.0.ln1",
        "blocks.0.qkv",
        "blocks.0.proj",
        "blocks.0.add",
        "blocks.0.ln2",
        "blocks.0.fc",
        "blocks.0.out",
    ]
    assert found["blocks.1.fc"].activation == "gelu"
    assert found["blocks.1.add@2"].kind == "Add"
    assert found["tok"].expected_std is None
    assert found["blocks.0.fc"].features == 8 * 64
    kernels = {one.name: one for one in subject.kernels()}
    assert [one.role for one in kernels.values()][:2] == ["embedding", "embedding"]
    assert kernels["head.weight"].role == "output"
    assert kernels["blocks.0.ln1.weight"].role == "scale"
    assert kernels["blocks.0.fc.weight"].activation == "gelu"
    assert kernels["blocks.0.fc.weight"].shape == (16, 64)
    ends = {one.name: one.branch for one in kernels.values() if one.branch_end and one.fan_in}
    assert ends == {
        f"blocks.{i}.{name}.weight": f"blocks.{i}.{add}"
        for i in range(2)
        for name, add in (("proj", "add"), ("out", "add@2"))
    }
    assert kernels["blocks.1.qkv.weight"].branch == "blocks.1.add"
    assert kernels["head.weight"].branch is kernels["tok.weight"].branch is None


def test_the_residual_stream_by_hand():
    model = Language()
    found = {layer.name: layer for layer in subject_of(model).observe(IDS, IDS).layers}
    kept = {}
    with torch.no_grad():
        x = model.tok(IDS) + model.pos(torch.arange(8))
        for i, block in enumerate(model.blocks):
            heads = [
                one.unflatten(-1, (2, -1)).transpose(1, 2)
                for one in block.qkv(block.ln1(x)).chunk(3, -1)
            ]
            mixed = functional.scaled_dot_product_attention(*heads, is_causal=True)
            x = kept[f"blocks.{i}.add"] = x + block.proj(mixed.transpose(1, 2).flatten(2))
            x = kept[f"blocks.{i}.add@2"] = x + block.out(functional.gelu(block.fc(block.ln2(x))))
    for name, values in kept.items():
        assert found[name].std == pytest.approx(float(values.std(correction=0)), rel=1e-5)
        spread = float((values - values.mean(dim=0)).square().mean().sqrt())
        assert found[name].spread == pytest.approx(spread, rel=1e-5)


def test_a_residual_network_of_convolutions():
    model = residual_network()
    with torch.no_grad():
        model[0].bias[1] = -100.0  # a channel that is dead
    subject = subject_of(model)
    found = {layer.name: layer for layer in subject.observe(IMAGES, LABELS[:10]).layers}
    assert found["0"].activation == "relu"  # a module behind it
    assert found["2.bn1"].activation == "relu"  # in place
    assert found["2.one"].activation is None
    assert (found["2.add"].kind, found["2.add"].activation) == ("Add", "relu")
    with torch.no_grad():
        out = model[1](model[0](IMAGES))
    assert found["0"].dead == float((out.amax(dim=(0, 2, 3)) == 0).float().mean()) >= 0.25
    assert found["0"].rank_limit == found["2.add"].rank_limit == 4  # the channels
    assert found["0"].zeros == pytest.approx(float((out == 0).float().mean()))
    assert found["0"].units == 4
    assert found["0"].features == 4 * 6 * 6
    kernels = {one.name: one for one in subject.kernels()}
    assert kernels["2.one.weight"].activation == "relu"  # behind the normalization
    assert kernels["2.one.weight"].fan_in == 36
    assert [one.branch for one in kernels.values() if one.branch_end and one.fan_in] == [
        "2.add",
        "3.add",
    ]
    assert kernels["3.two.weight"].branch_end
    assert kernels["3.short.weight"].branch is None
    assert kernels["6.weight"].role == "output"


ACTIVATED = {
    "relu": [functional.relu, torch.relu, lambda x: x.relu(), lambda x: x.clamp(min=0), nn.ReLU()],
    "tanh": [torch.tanh, lambda x: x.tanh_(), nn.Tanh(), functional.tanh],
    "sigmoid": [torch.sigmoid, lambda x: x.sigmoid(), nn.Sigmoid()],
    "gelu": [functional.gelu, nn.GELU()],
    "gelu_tanh": [nn.GELU("tanh")],
    "leaky_relu": [functional.leaky_relu, nn.LeakyReLU(inplace=True), nn.PReLU()],
    "relu6": [nn.ReLU6(), nn.Hardtanh(0, 6)],
    "hard_tanh": [nn.Hardtanh(), functional.hardtanh],
    "silu": [nn.SiLU()],
    "elu": [nn.ELU(inplace=True)],
    "selu": [nn.SELU()],
    "softplus": [nn.Softplus()],
    "mish": [nn.Mish()],
    "hard_silu": [nn.Hardswish()],
    "softsign": [nn.Softsign()],
}


@pytest.mark.parametrize("name", ACTIVATED)
def test_an_activation_is_known_however_it_is_called(name):
    for function in ACTIVATED[name]:

        class Net(nn.Module):
            def __init__(self, function=function):
                super().__init__()
                self.first, self.last, self.function = nn.Linear(5, 8), nn.Linear(8, 3), function

            def forward(self, x):
                return self.last(self.function(self.first(x).view(-1, 8)))

        model = Net()
        first, last = subject_of(model).observe(X, LABELS).layers
        assert (first.activation, last.activation) == (name, None), function
        with torch.no_grad():
            expected = model.function(model.first(torch.from_numpy(X)))
        assert first.mean == pytest.approx(float(expected.mean()), abs=1e-6)


def state(model):
    generator = torch.get_rng_state().tolist()
    values = {name: one.clone() for name, one in model.state_dict().items()}
    grads = [None if p.grad is None else (id(p.grad), p.grad.clone()) for p in model.parameters()]
    modules = [
        (m.training, len(m._forward_hooks), len(m._forward_pre_hooks), getattr(m, "dropout", None))
        for m in model.modules()
    ]
    buffers = [id(one) for one in model.buffers()]
    frozen = [p.requires_grad for p in model.parameters()]
    hooks = [p._backward_hooks for p in model.parameters()]
    return generator, values, grads, modules, buffers, frozen, hooks


def unchanged(before, after):
    torch.testing.assert_close(before[1], after[1], rtol=0, atol=0)
    for one, other in zip(before[2], after[2], strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert one[0] == other[0]
            assert torch.equal(one[1], other[1])
    assert before[0] == after[0]
    assert before[3:] == after[3:]


class Noisy(nn.Module):
    """All that a pass can change; fails when it is told to."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Linear(5, 8), nn.BatchNorm1d(8)
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.3, batch_first=True)
        self.rnn = nn.LSTM(8, 8, 2, dropout=0.4, batch_first=True)
        self.last, self.fails = nn.Linear(8, 3), False

    def forward(self, x):
        x = self.norm(torch.relu(self.first(x)))
        x = functional.dropout(x + torch.randn_like(x), 0.5, self.training)[:, None]
        x = self.rnn(self.attention(x, x, x)[0])[0][:, -1]
        if self.fails:
            raise ZeroDivisionError("on purpose")
        return self.last(x)


@pytest.mark.parametrize("mode", [True, False])
def test_all_is_put_back(mode):
    model = Noisy().train(mode)
    model.norm.train(False)
    model.first.weight.requires_grad_(False)
    model(torch.from_numpy(X)).sum().backward()
    before = state(model)
    subject = subject_of(model)
    one = subject.observe(X, LABELS)
    assert one == subject.observe(X, LABELS)  # noise and all
    unchanged(before, state(model))
    model.fails = True
    with pytest.raises(ZeroDivisionError):
        subject.observe(X, LABELS)
    unchanged(before, state(model))
    model.fails = False
    with pytest.raises(IndexError):
        subject.observe(X, LABELS + 9)
    with pytest.raises(ArgumentError, match="no layer is named"):
        subject.observe(X, LABELS, layers="nothing")
    unchanged(before, state(model))


def test_training_mode_is_the_batchs_statistics():
    model = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)).eval()
    norm = subject_of(model).observe(X).layers[1]
    assert (norm.mean, norm.std) == pytest.approx((0.0, 1.0), abs=1e-3)
    model.train()
    model[1].eval()  # frozen on purpose
    assert subject_of(model).observe(X).layers[1].std < 0.9


def test_gradients_are_those_of_backward():
    model = residual_network()
    found = {one.name: one for one in subject_of(model).observe(IMAGES, LABELS[:10]).layers}
    kept = {}
    model[0].register_forward_hook(lambda m, i, o: kept.setdefault("conv", o).retain_grad())
    out = model(IMAGES)
    functional.cross_entropy(out, torch.from_numpy(LABELS[:10])).backward()
    for name in ("0", "2.one", "3.two", "3.short", "6"):
        expected = float(model.get_submodule(name).weight.grad.square().mean().sqrt())
        assert found[name].weight_gradient == pytest.approx(expected, rel=1e-4)
    logits = out.detach().requires_grad_()
    functional.cross_entropy(logits, torch.from_numpy(LABELS[:10])).backward()
    assert found["6"].gradient == pytest.approx(
        10 * float(logits.grad.square().mean().sqrt()), rel=1e-5
    )


def test_vanishing_gradients_are_not_rounded_away():
    layers = [layer for _ in range(30) for layer in (nn.Linear(8, 8), nn.Tanh())]
    model = nn.Sequential(*layers, nn.Linear(8, 3))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.15)
    found = subject_of(model).observe(torch.randn(20, 8), LABELS[:20]).layers
    sizes = [layer.gradient for layer in found]
    assert 0 < sizes[0] < 1e-25
    assert all(a < b for a, b in itertools.pairwise(sizes))


@pytest.mark.parametrize("use", ["sequence", "last", "state"])
@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_gradients_through_time_however_the_output_is_used(kind, use):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.last = kind(3, 6), nn.Linear(6, 3)  # time comes first

        def forward(self, x):
            out, hidden = self.rnn(x.transpose(0, 1))
            hidden = hidden[0] if isinstance(hidden, tuple) else hidden
            used = {"sequence": out.mean(dim=0), "last": out[-1], "state": hidden[-1]}
            return self.last(used[use])

    torch.manual_seed(0)
    model = Net()
    x = torch.randn(30, 40, 3)
    found = subject_of(model).observe(x, LABELS).layers[0]
    assert found.steps == 40
    assert found.gradient > 0
    entrance = x.clone().requires_grad_()
    model.rnn(entrance.transpose(0, 1))[0][-1].sum().backward()
    sizes = entrance.grad.square().mean(dim=(0, 2)).sqrt()
    expected = float((sizes[0] / sizes[-1]) ** (1 / 39))
    assert found.gradient_through_time == pytest.approx(expected, rel=0.05)


def test_cells_in_a_loop_are_one_layer():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.last = nn.RNNCell(3, 6), nn.Linear(6, 3)

        def forward(self, x):
            state = torch.zeros(len(x), 6)
            for t in range(x.shape[1]):
                state = self.cell(x[:, t], state)
            return self.last(state)

    torch.manual_seed(0)
    model = Net()
    found = subject_of(model).observe(torch.randn(30, 50, 3), LABELS).layers
    assert [layer.name for layer in found] == ["cell", "last"]
    assert found[0].steps == 50
    radius = float(torch.linalg.eigvals(model.cell.weight_hh.detach()).abs().max())
    assert 0.5 * radius < found[0].gradient_through_time < 1.1 * radius


def test_calls_ties_and_frozen_parameters():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.last = nn.Linear(5, 5), nn.Linear(5, 3)

        def forward(self, x):
            return self.last(self.fc(self.fc(x).relu()).tanh())

    model = Net()
    found = subject_of(model).observe(X, LABELS).layers
    assert [(one.name, one.activation) for one in found] == [
        ("fc", "relu"),
        ("fc@2", "tanh"),
        ("last", None),
    ]
    assert found[0].std != found[1].std
    assert found[0].weight_gradient == found[1].weight_gradient
    model.fc.requires_grad_(False)
    first, *_, last = subject_of(model).observe(X, LABELS).layers
    assert first.gradient is first.weight_gradient is None
    assert last.gradient > 0
    assert not subject_of(model).kernels()[0].trainable
    model.requires_grad_(False)
    assert all(one.gradient is None for one in subject_of(model).observe(X, LABELS).layers)

    tied = Language(tied=True)
    subject = subject_of(tied)
    names = [layer.name for layer in subject.observe(IDS, IDS).layers]
    assert names[-1] == "head"
    roles = {one.name: one.role for one in subject.kernels()}
    assert roles["tok.weight"] == "embedding"
    assert "head.weight" not in roles


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_dtypes(dtype):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 64), nn.ReLU(), nn.Linear(64, 3))
    wide = subject_of(model).observe(X, LABELS)
    narrow = subject_of(model.to(dtype)).observe(X, LABELS)
    for one, other in zip(wide.layers, narrow.layers, strict=True):
        same(one, other, exact=("bias_mean", "mean"), rel=0.1 if dtype is torch.bfloat16 else 1e-5)


def test_half_a_model_of_attention_and_encoder_layers():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5, batch_first=True)
    model = nn.Sequential(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False))
    subject = subject_of(model.eval())
    names = [one.name for one in subject.observe(torch.randn(4, 7, 8)).layers]
    first = [name.removeprefix("0.layers.0.") for name in names[: len(names) // 2]]
    assert first == ["self_attn", "add", "norm1", "linear1", "linear2", "add@2", "norm2"]
    kernels = {one.name: one for one in subject.kernels()}
    attention = kernels["0.layers.0.self_attn.in_proj_weight"]
    assert (attention.fan_in, attention.fan_out, attention.branch) == (8, 8, "0.layers.0.add")
    assert kernels["0.layers.0.linear1.weight"].activation == "relu"


@pytest.mark.parametrize("name", MODELS)
def test_models_as_others_write_them(name):
    """Every model is looked at whole, and each layer that runs has numbers."""
    model, batch = MODELS[name](), {}
    model.register_forward_pre_hook(lambda module, args: batch.setdefault("x", args[0].clone()))
    model.loss(torch.Generator().manual_seed(0))
    subject = subject_of(model)
    found = subject.observe(batch["x"])
    assert all(math.isfinite(one.std) and one.gradient >= 0 for one in found.layers)
    kernels = [one for one in subject.kernels() if one.fan_in is not None]
    ends = sum(one.branch_end for one in kernels)
    assert ends == {"gpt": 4, "vit": 4, "resnet": 2, "recurrent": 0}[name]
    layers = {one.name: one for one in found.layers}
    if name == "vit":
        assert layers["patch_embed"].features == 16 * 32  # channels come second there
        assert layers["blocks.0.add"].features == 17 * 32  # and last here
        assert layers["blocks.0.add"].rank_limit == 32
    if name == "resnet":
        assert layers["layers.0.bn3"].std == 0.0
        assert layers["layers.1.add"].activation == "relu"


def test_several_inputs_and_named_outputs():
    @dataclasses.dataclass
    class Result:
        attentions: object
        logits: object

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = nn.Linear(5, 3), nn.Linear(4, 3)

        def forward(self, a, b=None):
            return Result(torch.zeros(1), self.left(a) + self.right(b))

    subject = subject_of(Net())
    x = {"a": X, "b": X[:, :4]}
    one = subject.observe(x, LABELS)
    assert one == subject.observe((x["a"], x["b"]), LABELS)
    assert [layer.kind for layer in one.layers] == ["Linear", "Linear", "Add"]
    own = subject.observe(x, LABELS, loss=lambda out, y: out.logits.square().mean())
    assert own.loss != one.loss
    assert len(subject.train(x, LABELS, steps=3, learning_rate=0.01)) == 3


def test_what_cannot_be_looked_at_is_refused():
    with torch.device("meta"):
        model = nn.Linear(3, 4)
    with pytest.raises(ArgumentError, match=r"on the meta device: weight, bias"):
        subject_of(model)
    with pytest.raises(ArgumentError, match="lazy: weight, bias"):
        subject_of(nn.LazyLinear(4))
    with pytest.raises(ArgumentError, match="at least one example"):
        subject_of(nn.Linear(5, 3)).observe(X[:0])
    with pytest.raises(ArgumentError, match="no floating tensor"):
        subject_of(nn.Sequential(nn.Linear(5, 3), Argmax())).observe(X)
    from fastinit.lab.subjects.torch import TorchSubject

    with pytest.raises(ArgumentTypeError, match=r"must be a torch\.nn\.Module"):
        TorchSubject(3)


class Argmax(nn.Module):
    def forward(self, x):
        return x.argmax(dim=-1)


def test_an_exploding_model_is_a_result():
    model = nn.Sequential(*(nn.Linear(8, 8) for _ in range(40)), nn.Linear(8, 3))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = subject_of(model).observe(torch.randn(20, 8), LABELS[:20])
    assert not math.isfinite(found.layers[-1].std)
    assert found.layers[0].std > 10


def test_drawn_anew_as_materialize_draws():
    rules = {
        "blocks.0.fc.weight": fastinit.get("he_normal"),
        "blocks.1.proj.weight": fastinit.get("orthogonal"),
        "tok.weight": fastinit.get("normal(std=0.02)"),
        "blocks.0.ln1.bias": fastinit.get("constant(0.5)"),
    }
    model = Language()
    before = {name: one.clone() for name, one in model.state_dict().items()}
    subject = subject_of(model)
    subject.observe(IDS)
    twin = subject.reinitialized(rules, 7)
    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)
    expected = materialize(Language, 7, rules).state_dict()
    for name, values in twin.model.state_dict().items():
        other = expected[name] if name in rules else before[name]
        assert torch.equal(values, other), name
    assert twin.kernels() == subject.kernels()  # the trace goes with it
    convolution = subject_of(nn.Conv2d(64, 64, 3, groups=64))
    drawn = convolution.reinitialized({"weight": fastinit.get("he_normal")}, 0).model.weight
    assert float(drawn.detach().std()) == pytest.approx(
        math.sqrt(2 / 9), rel=0.1
    )  # the fan of a group
    with pytest.raises(ArgumentError, match="no parameter is named 'nothing'"):
        subject.reinitialized({"nothing": fastinit.get("zeros")}, 0)


def test_training_a_copy_learns_and_leaves_the_model_alone():
    model = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2)).eval()
    before = state(model)
    x = RNG.normal(size=(200, 5))
    y = (x[:, 0] > 0).astype(int)
    subject = subject_of(model)
    losses = subject.train(x, y, steps=60, learning_rate=0.02)
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:5])
    assert losses == subject.train(x, y, steps=60, learning_rate=0.02)
    unchanged(before, state(model))


def test_weights_are_copies_under_the_layers_names():
    model = residual_network()
    found = subject_of(model).weights()
    assert set(found) == {"0", "2.one", "2.two", "3.one", "3.two", "3.short", "6"}
    np.testing.assert_array_equal(found["6"], model[6].weight.detach().numpy().T)
    found["6"][...] = 0
    assert model[6].weight.any()
