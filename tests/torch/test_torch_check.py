"""`check`: each fault is found and named, and models in order raise no alarm."""

import math

import pytest

from fastinit.errors import ArgumentTypeError
from tests.frameworks import require

torch = require("torch")
nn = torch.nn

from fastinit.torch import check, materialize, recipes  # noqa: E402
from fastinit.torch.checking import _std, _truncated_std  # noqa: E402
from tests.torch.models import MODELS, trained  # noqa: E402


def found(model, recipe=None):
    report = check(model, recipe)
    return {(one.name, one.kind) for one in report}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", MODELS)
def test_models_in_order_raise_no_alarm(name, dtype):
    model = materialize(MODELS[name], 0, dtype=dtype)
    assert not [one for one in check(model) if one.problem]
    if dtype == torch.float32:
        trained(model, 3)
        assert check(model)


def test_layers_of_every_kind_raise_no_alarm():
    torch.manual_seed(0)
    model = nn.ModuleList(
        [
            nn.Conv2d(960, 960, 3, groups=960),
            nn.ConvTranspose2d(64, 32, 2, stride=2),
            nn.Bilinear(20, 30, 10),
            nn.GRU(30, 40, 2, bidirectional=True),
            nn.Transformer(32, 4, 1, 1, 64, batch_first=True),
            nn.PReLU(),
            nn.Linear(1, 5000),
            nn.Linear(5000, 1),
            nn.EmbeddingBag(10, 3),
        ]
    )
    # As the mobile networks have it: the fan_out of torch.nn.init, which counts all groups.
    nn.init.kaiming_normal_(model[0].weight, mode="fan_out")
    assert not list(check(model)), check(model)


def layers():
    return nn.ModuleList([nn.Linear(300, 200) for _ in range(4)])


FAULTS = {
    "non-finite": [
        lambda w: w[3, 4].fill_(math.nan),
        lambda w: w[0].fill_(-math.inf),
    ],
    "uninitialized": [
        lambda w: w[5, 6].fill_(1e-41),
        lambda w: w[5, 6].fill_(-3e30),
    ],
    "symmetric": [
        lambda w: w.fill_(0.05),
        lambda w: w[7].copy_(w[150]),
        lambda w: w.copy_(w[:1].expand_as(w)),
    ],
    "scale": [
        lambda w: w.mul_(30),
        lambda w: w.normal_(0, 1),
        lambda w: w.mul_(1e-3),
    ],
    "zero": [lambda w: w.zero_()],
}


@pytest.mark.parametrize("kind", FAULTS)
def test_each_fault_is_found(kind):
    for fault in FAULTS[kind]:
        torch.manual_seed(0)
        model = layers()
        fault(model[2].weight.data)
        report = check(model)
        assert {(one.name, one.kind) for one in report} == {("2.weight", kind)}
        assert report.ok == bool(report) == (kind == "zero")


def test_what_is_not_there():
    model = nn.ModuleList([nn.Linear(3, 3, device="meta"), nn.LazyLinear(4)])
    report = check(model)
    assert [one.name for one in report] == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert {one.kind for one in report} == {"uninitialized"}


def test_copies_are_found_and_ties_are_not():
    torch.manual_seed(0)
    model = layers()
    model[1].weight = model[0].weight
    assert not found(model)
    model[3].weight.data.copy_(model[0].weight)
    assert found(model) == {("3.weight", "identical")}
    # What PyTorch itself warns of: all layers begin as copies of the one given.
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 2)
    assert ("layers.1.linear1.weight", "identical") in found(encoder)


def test_groups_have_other_inputs():
    model = nn.Conv2d(8, 8, 5, groups=8)
    model.weight.data.copy_(model.weight[:1].expand(8, -1, -1, -1).clone())
    assert not found(model)
    model = nn.Conv2d(8, 16, 5, groups=8)
    model.weight.data[3].copy_(model.weight[2])
    assert found(model) == {("weight", "symmetric")}
    up = nn.ConvTranspose2d(8, 4, 5)
    up.weight.data[:, 3] = up.weight.data[:, 1]
    assert found(up) == {("weight", "symmetric")}


def test_with_a_recipe_the_std_is_known():
    recipe = recipes.resnet()
    model = materialize(MODELS["resnet"], 0, recipe)
    assert check(model, recipe)
    model.conv1.weight.data.mul_(1.3)
    model.layers[1].bn3.weight.data.fill_(1.0)
    (scale,) = (one for one in check(model, recipe) if one.name == "conv1.weight")
    assert scale.kind == "scale"
    assert scale.factor == pytest.approx(1.3, rel=0.1)
    assert scale.fans == (147, 8 * 49 / 4)
    assert scale.expected == pytest.approx(math.sqrt(2 / (8 * 49)))  # the paper's fan_out
    assert not check(model, recipe).ok
    assert check(model).ok  # 30% are nothing to speak of otherwise


def test_the_report_is_a_table_of_80_columns():
    model = nn.ModuleDict({"a_rather_long_name_for_a_part_" * 2: layers(), "b": layers()})
    model["b"][0].weight.data.zero_()
    model["b"][1].weight.data.mul_(40)
    next(iter(model.values()))[3].weight.data[3].fill_(math.nan)
    report = check(model)
    lines = str(report).splitlines()
    assert len(lines) == 2 + 2 * len(report)
    assert lines[0] == "16 parameters; problems: 2, notes: 1"
    assert max(map(len, lines)) <= 80
    assert [line.index("non-finite") for line in lines if "non-finite" in line]
    header, rows = lines[1], lines[2::2]
    assert all(row[header.index("finding") - 1] == " " for row in rows)
    assert rows[0].startswith("...")
    assert "0.0577" in rows[2]
    assert str(check(layers())) == "8 parameters: nothing found"


def test_what_is_no_model_is_refused():
    with pytest.raises(ArgumentTypeError, match="model must be a module, got list"):
        check([])


def test_standard_deviations():
    for lower, upper in ((-2.0, 2.0), (0.0, math.inf), (1.0, 3.0)):
        from scipy.stats import truncnorm

        assert _truncated_std(lower, upper) == pytest.approx(truncnorm.std(lower, upper), rel=1e-9)
    generator = torch.Generator().manual_seed(0)
    samples = torch.randn(400, 100, generator=generator) * 1e-20
    estimates = [_std(sample) for sample in samples]
    spread = torch.tensor([std for std, _ in estimates]).double().std().item()
    mean = sum(error for _, error in estimates) / 400
    assert spread == pytest.approx(mean, rel=0.15)
