"""`materialize`: what a model is made of, by its own code; and which name decides which values."""

import copy
import gc
import itertools
import math
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError
from tests.frameworks import require

torch = require("torch")
nn = torch.nn

from fastinit.torch import materialize, materializing, recipes, recording  # noqa: E402
from tests.torch.models import GPT, MODELS, trained  # noqa: E402


def values_of(model):
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def assert_equal(model, other, except_for=()):
    ours, theirs = values_of(model), values_of(other)
    for name in ours.keys() & theirs.keys() - set(except_for):
        assert torch.equal(ours[name], theirs[name]), name


def drawn(seed, name, law, shape, dtype="float32"):
    """Draw as the docstring says, by the catalogue alone."""
    return torch.from_numpy(fastinit.get(law)(shape, seed=fastinit.key(seed, name), dtype=dtype))


class Odd(nn.Module):
    """What constructors do besides: views, arithmetic, tables, values read, plain attributes."""

    def __init__(self, depth=4):
        super().__init__()
        self.rates = [x.item() for x in torch.linspace(0, 0.1, depth)]
        self.by_hand = nn.Parameter(torch.randn(8, 300) * 0.02)
        self.data_of = nn.Parameter(torch.empty(8, 300))
        self.data_of.data = self.data_of.data.normal_() * 0.5
        self.packed = nn.Parameter(torch.empty(900, 10))
        for part in self.packed.data.chunk(3):
            nn.init.xavier_uniform_(part)
        self.clamped = nn.Parameter(torch.rand(2000) * 4 - 2)
        with torch.no_grad():
            self.clamped.clamp_(-1, 1)[:5] = 7.0
        self.ramp = nn.Parameter(torch.arange(12.0).reshape(3, 4).t())
        self.table = nn.Embedding(50, 16, padding_idx=3)
        self.frozen = nn.Parameter(torch.ones(2, 3), requires_grad=False)
        self.empty = nn.Parameter(torch.empty(0, 5))
        self.register_buffer("mask", torch.tril(torch.ones(6, 6)).view(1, 1, 6, 6))
        self.register_buffer("inverse", 1 / 10000 ** (torch.arange(0, 8, 2) / 8), persistent=False)
        self.register_buffer("order", torch.randperm(100))
        self.norm = nn.BatchNorm1d(4)
        self.noise = torch.randn(7)
        self.twin = copy.deepcopy(self.table)
        self.shape = nn.Conv1d(1, 2, 3)(torch.rand(1, 1, 20)).shape


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_what_it_would_be_but_for_the_draws(name):
    torch.manual_seed(0)
    plain = MODELS[name]()
    before = torch.get_rng_state()
    model = materialize(MODELS[name], 0)
    assert torch.equal(torch.get_rng_state(), before)
    ours, theirs = values_of(model), values_of(plain)
    assert list(ours) == list(theirs)
    for key, value in ours.items():
        other = theirs[key]
        assert type(value) is type(other)
        assert (value.shape, value.stride(), value.dtype) == (
            other.shape,
            other.stride(),
            other.dtype,
        )
        assert value.requires_grad == other.requires_grad
        assert value.is_leaf
        if not other.is_floating_point() or other.numel() < 2 or not other.std():
            assert torch.equal(value, other), key  # buffers, biases, normalizations
            continue
        assert not torch.equal(value, other), key
        n, std = other.numel(), other.std().item()
        assert value.std().item() == pytest.approx(std, rel=6 * math.sqrt(1.5 / n))
        assert abs(value.mean() - other.mean()) < 6 * std * math.sqrt(2 / n)
    for a, b in itertools.combinations(plain.state_dict(keep_vars=True), 2):
        tied = plain.state_dict(keep_vars=True)[a] is plain.state_dict(keep_vars=True)[b]
        assert (model.state_dict(keep_vars=True)[a] is model.state_dict(keep_vars=True)[b]) == tied
    losses = trained(model, 6)
    assert losses[-1] < losses[0]


def test_the_laws_are_those_of_the_models_own_code():
    torch.manual_seed(0)
    plain, model = Odd(), materialize(Odd, 0)
    for name, value in values_of(plain).items():
        if name in ("by_hand", "data_of", "packed", "clamped", "table.weight"):
            ours, theirs = (t.detach().flatten().numpy() for t in (values_of(model)[name], value))
            assert stats.ks_2samp(ours, theirs).pvalue > 1e-4, name
            wrong = theirs + 0.3 * theirs.std()
            assert stats.ks_2samp(ours, wrong).pvalue < 1e-3, name
    assert model.clamped[:5].tolist() == [7.0] * 5
    assert not model.table.weight[3].any()
    for name in ("ramp", "frozen", "empty", "mask", "inverse", "norm.running_var"):
        assert torch.equal(values_of(model)[name], values_of(plain)[name]), name
    assert model.rates == plain.rates
    assert model.shape == plain.shape
    assert sorted(model.order.tolist()) == list(range(100))
    assert 0.2 < model.noise.std() < 3
    assert torch.equal(model.table.weight, model.twin.weight)  # a copy is one
    assert model.ramp.stride() == (1, 4)
    assert not model.frozen.requires_grad
    thirds = [part.std() for part in model.packed.detach().chunk(3)]
    assert not torch.equal(*model.packed.detach().chunk(3)[:2])
    assert max(thirds) / min(thirds) < 1.1


def test_a_parameters_name_is_its_key():
    model = materialize(lambda: nn.Sequential(nn.Linear(300, 20), nn.Embedding(9, 5)), 7)
    bound = 1 / math.sqrt(300)
    assert torch.equal(
        model[0].weight, drawn(7, "0.weight", f"uniform({-bound}, {bound})", (20, 300))
    )
    assert torch.equal(model[1].weight, drawn(7, "1.weight", "normal(std=1)", (9, 5)))
    packed = materialize(Odd, 7).packed
    for number, names in enumerate([("packed",), ("packed", "1"), ("packed", "2")]):
        bound = math.sqrt(6 / 310)
        part = fastinit.uniform((300, 10), -bound, bound, seed=fastinit.key(7, *names))
        assert np.array_equal(packed.detach().chunk(3)[number], part)


def test_a_tied_parameter_has_its_first_name():
    model = materialize(GPT, 0)
    assert model.lm_head.weight is model.transformer.wte.weight
    name = next(name for name, p in model.named_parameters() if p is model.lm_head.weight)
    assert torch.equal(
        model.lm_head.weight, drawn(0, name, "normal(std=0.02)", model.lm_head.weight.shape)
    )


def test_copies_of_a_draw_have_the_first_name_and_what_they_read_stays():
    def build():
        table = torch.ones(6, 5)
        draw = torch.randn(6, 5)
        second = draw.clone()
        first = draw * table
        table.fill_(100.0)  # after it was read
        return nn.ParameterList([first, second, table])

    model = materialize(build, 0)
    expected = drawn(0, "0", "normal(std=1)", (6, 5))
    assert all(torch.equal(model[i], expected) for i in (0, 1))
    assert (model[2] == 100).all()


def test_other_parameters_do_not_matter():
    def wider():
        model = Odd()
        model.more = nn.Linear(30, 40)
        return model

    def in_another_order():
        early = nn.Linear(5, 5)
        model = Odd()
        model.early = early
        return model

    model = materialize(Odd, 0)
    for build in (wider, in_another_order, Odd):
        assert_equal(materialize(build, 0), model)
    other = materialize(Odd, 1)
    assert not torch.equal(other.by_hand, model.by_hand)
    assert not torch.equal(other.order, model.order)


def test_threads_do_not_matter():
    build = lambda: nn.Linear(1000, 300)  # noqa: E731
    before = fastinit.get_num_threads()
    try:
        fastinit.set_num_threads(1)
        alone = materialize(build, 0)
        fastinit.set_num_threads(2)
        assert_equal(materialize(build, 0), alone)
    finally:
        fastinit.set_num_threads(before)


def test_draws_over_one_another_keep_their_order():
    def build():
        w = nn.Parameter(torch.empty(200_000))
        with torch.no_grad():  # the second is cut into pieces, which one pass makes first
            w[:100].fill_(0.0).uniform_(1.0, 2.0)
            w[50:].uniform_(3.0, 4.0)
            w[150:200].uniform_(5.0, 6.0)
        return nn.ParameterList([w])

    (w,) = materialize(build, 0)
    for part, low in ((w[:50], 1), (w[50:150], 3), (w[150:200], 5), (w[200:], 3)):
        assert low <= part.min() <= part.max() <= low + 1


def test_what_is_overwritten_is_never_drawn(monkeypatch):
    ran = []
    run = recording.run
    noting = lambda steps: (ran.extend(steps), run(steps))  # noqa: E731
    monkeypatch.setattr(materializing, "run", noting)
    monkeypatch.setattr(recording, "run", noting)
    model = materialize(GPT, 0)
    matrices = {id(p) for p in model.parameters() if p.ndim > 1}
    assert len([step for step in ran if step.random]) == len(matrices)
    ran.clear()

    def dummy():  # a forward pass to see a shape
        inner = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten())
        return nn.Linear(inner(torch.randn(1, 3, 9, 9)).shape[1], 2)

    assert materialize(dummy, 0).weight.shape == (2, 8 * 49)
    assert len(ran) == 2


def test_memory_that_nothing_touched_is_an_error_that_names_it():
    class Forgotten(nn.Module):
        def __init__(self):
            super().__init__()
            self.good = nn.Linear(3, 3)
            self.scale = nn.Parameter(torch.empty(4))
            self.most = nn.Parameter(torch.Tensor(4, 4))
            nn.init.normal_(self.most.data[:3])
            self.copied = nn.Parameter(self.scale.data.clone() * 2)
            self.parts = nn.Parameter(torch.empty(6, 2))
            for part in self.parts.data.split(2):
                part.fill_(1.0)
            self.whole = nn.Parameter(self.parts.data.clone())

    with pytest.raises(ArgumentError, match=r"not initialized by anything: scale, most, copied$"):
        materialize(Forgotten, 0)
    recipe = {"scale": "ones", "most": "he_normal", "copied": "zeros"}
    assert materialize(Forgotten, 0, recipe).scale.tolist() == [1.0] * 4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_another_dtype_has_the_same_values_rounded(dtype):
    model, single = materialize(Odd, 0, dtype=dtype), materialize(Odd, 0)
    for name, value in values_of(model).items():
        reference = values_of(single)[name]
        if not reference.is_floating_point():
            assert torch.equal(value, reference)
            continue
        assert value.dtype == dtype
        if dtype == torch.float64:
            assert torch.allclose(value, reference.double(), rtol=1e-6, atol=1e-7), name
        else:
            assert torch.equal(value, reference.to(dtype)), name
    gpt = materialize(GPT, 0, dtype=dtype)
    assert gpt.lm_head.weight is gpt.transformer.wte.weight
    wide = materialize(lambda: nn.Linear(50, 50), 0, dtype=torch.float64)
    assert not torch.equal(wide.weight, wide.weight.float().double())  # more digits


def test_parametrizations_and_weight_norm():
    from torch.nn.utils import parametrizations

    def build():
        return nn.Sequential(
            parametrizations.weight_norm(nn.Linear(30, 20)),
            parametrizations.spectral_norm(nn.Linear(30, 20)),
            parametrizations.orthogonal(nn.Linear(20, 20)),
        )

    model = materialize(build, 0)
    assert_equal(materialize(build, 0), model)
    g, v = (getattr(model[0].parametrizations.weight, f"original{i}") for i in (0, 1))
    assert torch.allclose(g, v.norm(dim=1, keepdim=True))
    assert torch.allclose(model[2].weight @ model[2].weight.T, torch.eye(20), atol=1e-5)
    assert torch.linalg.matrix_norm(model[1].weight, 2) < 1.2


def test_a_models_code_may_read_what_was_drawn():
    def build():
        layer = nn.Linear(40, 40)
        layer.read = layer.weight.abs().max().item()
        layer.listed = layer.bias.tolist()
        layer.array = layer.weight.detach().numpy()
        if (torch.rand(3) > 2).any():
            raise AssertionError
        return layer

    model = materialize(build, 0)
    assert model.read == model.weight.abs().max()
    assert model.listed == model.bias.tolist()
    assert np.array_equal(model.array, model.weight.detach())
    assert model.weight.std().item() == pytest.approx(1 / math.sqrt(120), rel=0.1)
    assert_equal(materialize(build, 0), model)


def test_a_pretrained_model_keeps_its_values():
    state = nn.Linear(5, 4).state_dict()

    def build():
        model = nn.Linear(5, 4)
        model.load_state_dict(state)
        return model

    assert_equal(materialize(build, 0), build())


@pytest.mark.filterwarnings("ignore:mean is more than 2 std")
def test_truncated_normals_of_every_make():
    """PyTorch's own, and the copies of its older code that go by the inverse error function."""

    def by_erfinv(tensor, mean, std, a, b):
        low, high = (math.erf((bound - mean) / std / math.sqrt(2)) for bound in (a, b))
        with torch.no_grad():
            tensor.uniform_(low, high).erfinv_().mul_(std * math.sqrt(2)).add_(mean)
            return tensor.clamp_(min=a, max=b)

    for fill in (nn.init.trunc_normal_, by_erfinv):
        for mean, std, a, b in ((0, 0.02, -0.04, 0.04), (0.5, 1, 0, 2), (0, 0.02, -2, 2)):
            model = materialize(
                lambda f=fill, n=(mean, std, a, b): nn.ParameterList([f(torch.empty(4000), *n)]), 0
            )
            law = stats.truncnorm((a - mean) / std, (b - mean) / std, mean, std)
            sample = model[0].detach().numpy()
            assert stats.kstest(sample, law.cdf).pvalue > 1e-3
            assert a <= sample.min() <= sample.max() <= b
            assert stats.kstest(sample, stats.norm(mean, 1.2 * std).cdf).pvalue < 1e-3


def test_devices_in_the_code_and_plain_attributes():
    def build():
        model = nn.Linear(6, 5, device="cpu")
        model.alias = model.weight.data
        model.hook = model.register_forward_hook(lambda *_: None)
        return model

    model = materialize(build, 0)
    assert model.alias.data_ptr() == model.weight.data_ptr()
    assert len(model._forward_hooks) == 1
    half = materialize(build, 0, dtype=torch.bfloat16)  # as with model.to(dtype), no alias then
    assert torch.equal(half.alias, model.alias)
    assert torch.equal(half.weight, model.weight.bfloat16())


def test_in_another_dtype_nothing_is_drawn_twice(monkeypatch):
    single = []
    convert = materializing._convert
    monkeypatch.setattr(
        materializing,
        "_convert",
        lambda tensors, *rest: (single.extend(tensors if rest[1] else []), convert(tensors, *rest)),
    )
    model = materialize(GPT, 0, dtype=torch.bfloat16)
    assert {id(t) for t in single} == {id(p) for p in model.parameters() if p.ndim > 1}


def test_a_model_on_the_meta_device_is_initialized_by_its_modules():
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4), nn.MultiheadAttention(8, 2))
        model[0].tied = model[2].out_proj.weight
    made = materialize(model, 3)
    assert made is model
    assert made[0].tied is made[2].out_proj.weight
    direct = materialize(
        lambda: nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4), nn.MultiheadAttention(8, 2)), 3
    )
    assert_equal(made, direct, ["2.out_proj.weight"])
    with torch.device("meta"):
        lost = Odd(0)
    with pytest.raises(ArgumentError, match="by anything: by_hand, data_of"):
        materialize(lost, 0)
    with pytest.raises(ArgumentError, match="must lie on the meta device"):
        materialize(nn.Linear(2, 2), 0)


def test_seeds():
    build = lambda: nn.Linear(4, 4)  # noqa: E731
    torch.manual_seed(5)
    one = materialize(build)
    two = materialize(build)
    torch.manual_seed(5)
    assert_equal(materialize(build), one)
    assert not torch.equal(two.weight, one.weight)
    generator = np.random.default_rng(0)
    first = materialize(build, generator)
    assert_equal(materialize(build, np.random.default_rng(0)), first)
    assert not torch.equal(materialize(build, generator).weight, first.weight)
    key = fastinit.key(3)
    assert torch.equal(
        materialize(build, key).weight, drawn(key, "weight", "uniform(-0.5, 0.5)", (4, 4))
    )


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((5,), ArgumentTypeError, "build must be a function or a module, got 5"),
        ((lambda: 5, 0), ArgumentTypeError, "must return a module, got int"),
        ((nn.Identity, -1), ArgumentError, "seed must not be negative, got -1"),
        ((nn.Identity, "a"), ArgumentTypeError, "got 'a'"),
        ((nn.Identity, 0, None, torch.int8), ArgumentTypeError, "got torch.int8"),
        ((nn.Identity, 0, 5), ArgumentTypeError, "a recipe is a mapping, got 5"),
        ((lambda: nn.LazyLinear(3), 0), ArgumentError, "lazy: weight, bias"),
        ((lambda: nn.Linear(3, 3, device="meta"), 0), ArgumentError, "meta device: weight, bias"),
    ],
)
def test_arguments_that_do_not_fit(arguments, error, message):
    with pytest.raises(error, match=message):
        materialize(*arguments)


def test_everything_is_as_before_after_an_exception():
    before = (torch.Tensor.numpy, torch.Tensor.normal_, nn.init.orthogonal_, torch.randn)

    def build():
        nn.Linear(3, 3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        materialize(build, 0)
    assert before == (torch.Tensor.numpy, torch.Tensor.normal_, nn.init.orthogonal_, torch.randn)
    assert "numpy" not in vars(torch.Tensor)
    torch.manual_seed(0)
    assert torch.randn(1).item() == pytest.approx(1.5409961)
    assert fastinit.torch.normal_(torch.zeros(3)).all()


def test_other_threads_draw_for_themselves():
    seen = {}

    def other():
        torch.manual_seed(0)
        seen["values"] = torch.empty(3).normal_(generator=torch.Generator().manual_seed(0)).tolist()
        seen["ours"] = fastinit.torch.normal_(torch.zeros(3))

    def build():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        return nn.Linear(3, 3)

    materialize(build, 0)
    expected = torch.empty(3).normal_(generator=torch.Generator().manual_seed(0)).tolist()
    assert seen["values"] == expected
    assert seen["ours"].all()


def test_memory_is_let_go():
    def alive():
        gc.collect()
        ours = (recording.Recorder, recording.Step, recording.Store)
        return [one for one in gc.get_objects() if type(one) in ours]

    before = alive()  # what a traceback of another test still holds
    materialize(Odd, 0)
    assert not [one for one in alive() if not any(one is other for other in before)]


OPERATIONS = {
    "normal": lambda w: w.normal_(1.0, 0.5),
    "zero": lambda w: w.zero_(),
    "scale": lambda w: w.mul_(-2.0),
    "part": lambda w: w[1:].fill_(3.0),
    "column": lambda w: w[:, 0].copy_(w[:, 1]),
    "transposed": lambda w: w.t().add_(torch.arange(4.0)[:, None]),
    "sum": lambda w: w.sub_(w.sum(0)),
    "copy": lambda w: w.copy_(w.clone() * 2),
    "ramp": lambda w: w.copy_(torch.arange(24.0).view(6, 4)),
    "read": lambda w: w.max().item(),
}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(sorted(OPERATIONS)), min_size=1, max_size=8))
def test_any_program_does_what_it_does_without_recording(program):
    """With draws of a standard deviation of 0, the values are known whoever draws them."""
    operations = {**OPERATIONS, "normal": lambda w: w.normal_(1.0, 0.0)}

    def build():
        weight = torch.empty(6, 4).normal_(2.0, 0.0)
        other = weight.view(4, 6)[:2]  # the same memory
        model = nn.ParameterList([weight, torch.zeros(2, 6)])
        with torch.no_grad():
            for name in program:
                operations[name](weight)
            model[1].copy_(other)
        return model

    assert_equal(materialize(build, 0), build())


def test_a_recipe_takes_the_place_of_the_models_own_rules():
    recipe = {
        "*.c_proj.weight": "zeros",
        nn.Linear: {"weight": "orthogonal", "bias": "constant(0.5)"},
        "*wpe*": None,
        nn.Embedding: "normal(std=3)",
    }
    model, own = materialize(GPT, 0, recipe), materialize(GPT, 0)
    for name, parameter in model.named_parameters():
        if name.endswith("c_proj.weight"):
            assert not parameter.any()
        elif name.endswith("c_fc.bias"):
            assert (parameter == 0.5).all()
        elif name.endswith("c_fc.weight"):
            gram = parameter.detach().T @ parameter.detach()
            assert torch.allclose(gram, torch.eye(len(gram)), atol=1e-5)
    assert_equal(
        model,
        own,
        [n for n, _ in own.named_parameters() if "c_" in n or n == "transformer.wte.weight"],
    )
    assert model.lm_head.weight.std().item() == pytest.approx(3, rel=0.1)
    gpt2 = materialize(GPT, 0, recipes.gpt2(2))
    assert_equal(gpt2, own)  # the model's own rule, by the recipe
