"""Recipes and fans of PyTorch's layers: by name, by type, and by what the real layer computes."""

import math

import numpy as np
import pytest

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError
from tests.frameworks import require

torch = require("torch")
nn = torch.nn

from fastinit.torch import checking, layers, materialize, recipes  # noqa: E402
from tests.torch.models import MODELS, ResNet, ViT, trained  # noqa: E402

# Layer, parameter, and the shape of an input of the layer.
KERNELS = {
    "linear": (nn.Linear(400, 300), "weight", (200, 400)),
    "convolution": (nn.Conv2d(16, 32, 3), "weight", (8, 16, 24, 24)),
    "strided": (nn.Conv2d(16, 64, 4, stride=2), "weight", (8, 16, 34, 34)),
    "grouped": (nn.Conv1d(64, 128, 3, groups=8), "weight", (16, 64, 100)),
    "depthwise": (nn.Conv2d(256, 256, 3, groups=256), "weight", (4, 256, 20, 20)),
    "transposed": (nn.ConvTranspose2d(32, 16, 4, stride=2), "weight", (8, 32, 20, 20)),
    "bilinear": (nn.Bilinear(40, 50, 200), "weight", None),
    "embedding": (nn.Embedding(500, 64), "weight", None),
    "lstm": (nn.LSTMCell(300, 256), "weight_ih", (200, 300)),
}


@pytest.mark.parametrize("name", KERNELS)
def test_fan_in_is_what_keeps_the_variance_of_the_real_layer(name):
    layer, parameter, shape = KERNELS[name]
    fan_in, _ = layers.fans(layer, parameter)
    generator = torch.Generator().manual_seed(0)
    weight = getattr(layer, parameter)
    with torch.no_grad():
        for each in layer.parameters():
            each.zero_()
        weight.normal_(0, 1 / math.sqrt(fan_in), generator=generator)
        if name == "embedding":
            out = layer(torch.arange(500))
        elif name == "bilinear":
            out = layer(
                torch.randn(300, 40, generator=generator), torch.randn(300, 50, generator=generator)
            )
        elif name == "lstm":
            out = torch.randn(shape, generator=generator) @ weight.T
        else:
            out = layer(torch.randn(shape, generator=generator))
    if name == "transposed":
        out = out[..., 4:-4, 4:-4]  # away from the borders
    assert out.var().item() == pytest.approx(1.0, rel=0.08)
    if name in ("transposed", "embedding"):  # what torch.nn.init would take for the fan_in
        theirs = nn.init._calculate_fan_in_and_fan_out(weight)[0]
        assert not 0.6 < fan_in / theirs < 1.6


def test_fans_by_hand():
    attention = nn.MultiheadAttention(64, 4, kdim=32, vdim=16)
    cases = [
        (nn.MultiheadAttention(64, 4), "in_proj_weight", (64, 64)),
        (attention, "k_proj_weight", (32, 64)),
        (attention.out_proj, "weight", (64, 64)),
        (nn.LSTM(10, 20, num_layers=2, proj_size=5), "weight_ih_l1", (5, 20)),
        (nn.LSTM(10, 20, proj_size=5), "weight_hr_l0", (20, 5)),
        (nn.GRU(10, 20, bidirectional=True), "weight_hh_l0_reverse", (20, 20)),
        (nn.RNNCell(10, 20), "weight_ih", (10, 20)),
        (nn.EmbeddingBag(10, 20), "weight", (1, 20)),
        (nn.Conv3d(4, 8, 3, stride=(1, 2, 1)), "weight", (108, 108)),
        (nn.Linear(10, 20), "bias", None),
        (nn.LayerNorm(10), "weight", None),
        (attention, "in_proj_bias", None),
    ]
    for layer, name, expected in cases:
        assert layers.fans(layer, name) == expected, layer
    with pytest.raises(ArgumentError, match="Linear has no parameter 'wight'"):
        layers.fans(nn.Linear(2, 2), "wight")


class Mixture(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(16, 64, 3, groups=4), nn.BatchNorm2d(64))
        self.up = nn.ConvTranspose2d(64, 32, 4, stride=2)
        self.head = nn.Linear(300, 200)
        self.table = nn.Embedding(100, 300)
        self.tied = nn.Linear(300, 100, bias=False)
        self.tied.weight = self.table.weight
        self.token = nn.Parameter(torch.empty(5, 100))


def test_the_first_key_that_fits_decides():
    recipe = {
        "head.bias": "ones",
        "tied.*": "normal(std=2)",
        "body.1.*": None,
        (nn.Conv2d, nn.ConvTranspose2d): {"weight": "lecun_normal"},
        nn.modules.conv._ConvNd: {"bias": "constant(3)", "weight": "zeros"},
        nn.Linear: "variance_scaling(2, 'fan_in', 'normal')",
        "*": "constant(0.5)",
    }
    model = materialize(Mixture, 0, recipe)
    assert (model.head.bias == 1).all()
    assert model.table.weight.std().item() == pytest.approx(2, rel=0.05)  # by its other name
    assert (model.body[1].weight == 1).all()
    assert model.body[0].weight.std().item() == pytest.approx(1 / math.sqrt(4 * 9), rel=0.1)
    assert model.up.weight.std().item() == pytest.approx(1 / math.sqrt(64 * 16 / 4), rel=0.05)
    assert (model.up.bias == 3).all()
    assert model.head.weight.std().item() == pytest.approx(math.sqrt(2 / 300), rel=0.05)
    assert (model.token == 0.5).all()


def test_a_recipes_values_are_the_catalogues():
    fans = (16 // 4 * 9, 64 // 4 * 9)
    recipe = {nn.Conv2d: "glorot_uniform", nn.Embedding: "normal(std=2)", "token": "he_normal"}
    model = materialize(Mixture, 5, recipe)
    expected = fastinit.glorot_uniform(
        (64, 4, 3, 3), seed=fastinit.key(5, "body.0.weight"), fans=fans
    )
    assert np.array_equal(model.body[0].weight.detach(), expected)
    expected = fastinit.normal((100, 300), 0.0, 2.0, seed=fastinit.key(5, "table.weight"))
    assert np.array_equal(model.table.weight.detach(), expected)
    # A parameter of no known layer is taken as (out, in).
    assert model.token.std().item() == pytest.approx(math.sqrt(2 / 100), rel=0.2)


def test_structure_knows_the_axes():
    recipe = {nn.Linear: "orthogonal", nn.ConvTranspose2d: "delta_orthogonal"}
    build = lambda: nn.Sequential(nn.Linear(30, 50), nn.ConvTranspose2d(8, 16, 3))  # noqa: E731
    model = materialize(build, 0, recipe)
    weight = model[0].weight.detach()
    assert torch.allclose(weight.T @ weight, torch.eye(30), atol=1e-5)
    tap = model[1].weight.detach()[:, :, 1, 1]  # (in, out)
    assert torch.allclose(tap @ tap.T, torch.eye(8), atol=1e-5)
    assert not model[1].weight[:, :, 0].any()


@pytest.mark.parametrize(
    ("recipe", "error", "message"),
    [
        ({5: "zeros"}, ArgumentTypeError, "a type of module or a tuple of types, got 5"),
        ({int: "zeros"}, ArgumentTypeError, "a tuple of types, got <class 'int'>"),
        ({"*": "zeroes"}, ArgumentError, r"recipe\['\*'\]: unknown initializer 'zeroes'"),
        ({"*": {"weight": "zeros"}}, ArgumentTypeError, "only a type of module has a mapping"),
        ({nn.Linear: {"weight": 3}}, ArgumentTypeError, "Linear.*got 3"),
        ({"*bias": "he_normal"}, ArgumentError, r"^bias: .*two axes, got \(3,\)"),
        ({"*": "truncated_normal(std=1e39)"}, ArgumentError, "does not fit float32"),
    ],
)
def test_recipes_that_do_not_fit(recipe, error, message):
    with pytest.raises(error, match=message):
        materialize(lambda: nn.Linear(4, 3), 0, recipe)


def test_the_ready_made_ones_fit_their_models():
    vit = materialize(ViT, 0, recipes.vit())
    assert vit.pos_embed.std().item() == pytest.approx(0.0176, rel=0.1)
    assert vit.pos_embed.abs().max() <= 0.04
    assert not vit.head.weight.any()
    assert vit.cls_token.abs().max() < 1e-5
    attention = vit.blocks[0].attn
    assert attention.in_proj_weight.std().item() == pytest.approx(0.0176, rel=0.05)

    resnet = materialize(ResNet, 0, recipes.resnet())
    assert not any(block.bn3.weight.any() for block in resnet.layers)
    assert (resnet.bn1.weight == 1).all()
    strided = resnet.layers[1].conv2  # which does not count
    assert strided.weight.std().item() == pytest.approx(math.sqrt(2 / (16 * 9)), rel=0.1)
    for model in (vit, resnet):
        losses = trained(model, 8)
        assert losses[-1] < losses[0]
    ready = {"gpt": recipes.gpt2(2), "vit": recipes.vit(), "resnet": recipes.resnet()}
    for name, recipe in ready.items():
        report = checking.check(materialize(MODELS[name], 1, recipe), recipe)
        assert report, report


def test_t5_by_its_names():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.k, self.v = (nn.Linear(64, 4 * 8, bias=False) for _ in range(3))
            self.o = nn.Linear(4 * 8, 64, bias=False)

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = Attention()
            self.wi, self.wo = nn.Linear(64, 128, bias=False), nn.Linear(128, 64, bias=False)
            self.layer_norm = nn.RMSNorm(64)

    model = materialize(
        lambda: nn.ModuleDict({"shared": nn.Embedding(99, 64), "block": Layer()}),
        0,
        recipes.t5(64, 4, 8, 128),
    )
    block = model["block"]
    for layer, expected in [
        (block.attention.q, (64 * 8) ** -0.5),
        (block.attention.k, 64**-0.5),
        (block.attention.o, 32**-0.5),
        (block.wi, 64**-0.5),
        (block.wo, 128**-0.5),
        (model["shared"], 1.0),
    ]:
        assert layer.weight.std().item() == pytest.approx(expected, rel=0.08)
    with pytest.raises(ArgumentError, match="sizes are positive"):
        recipes.t5(64, 0, 8, 128)


def perceptron(width):
    return nn.Sequential(
        nn.Linear(20, width, bias=False),
        nn.ReLU(),
        nn.Linear(width, width, bias=False),
        nn.ReLU(),
        nn.Linear(width, 5, bias=False),
    )


def test_mup_changes_activations_as_much_at_any_width():
    """After a step of Adam: outputs move as much in a wide network, and more without muP."""
    x = torch.from_numpy(fastinit.normal((64, 20), 0.0, 1.0, seed=0))
    target = torch.from_numpy(fastinit.normal((64, 5), 0.0, 1.0, seed=1))
    base = perceptron(32)

    def moved(width, mup):
        factors = recipes.mup_factors(perceptron(width), base)
        recipe = recipes.mup(perceptron(width), base, 0.2) if mup else {nn.Linear: "normal(std=.2)"}
        model = materialize(lambda: perceptron(width), 0, recipe)
        multiplier = factors["4.weight"].multiplier if mup else 1.0
        groups = [
            {"params": [p], "lr": 0.01 * (factors[n].learning_rate if mup else 1.0)}
            for n, p in model.named_parameters()
        ]
        optimizer = torch.optim.Adam(groups)
        before = multiplier * model(x)
        ((before - target) ** 2).mean().backward()
        optimizer.step()
        return (multiplier * model(x) - before).abs().mean().item()

    with_it, without = ([moved(width, mup) for width in (64, 512)] for mup in (True, False))
    assert 0.5 < with_it[1] / with_it[0] < 2.0
    assert without[1] / without[0] > 3.0
    with pytest.raises(ArgumentError, match=r"have not the same kernels: 2.weight, 4.weight"):
        recipes.mup_factors(perceptron(4), perceptron(4)[:2])
    with pytest.raises(ArgumentError, match=r"no pattern that fits '2.weight'"):
        recipes.mup(perceptron(4), base, {"0.*": 0.1})
