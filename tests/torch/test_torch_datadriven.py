"""LSUV and data-dependent initialization of PyTorch modules."""

from itertools import pairwise

import numpy as np
import pytest

from fastinit.errors import ArgumentError
from tests.datadriven import DEPTH, FEATURES, WIDTH, X, spread
from tests.frameworks import require

torch = require("torch")
from torch import nn  # noqa: E402

import fastinit.torch  # noqa: E402

DATA = torch.from_numpy(X)


def perceptron(activation=nn.ReLU, std=0.02):
    torch.manual_seed(0)
    sizes = [FEATURES] + DEPTH * [WIDTH]
    layers = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), activation())]
    model = nn.Sequential(*layers, nn.Linear(WIDTH, 10))
    for module in model:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=std)
    return model


class Convolutions(nn.Module):
    """Every kind of layer, registered in another order than it is called in."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(8, 3)
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2, groups=2)
        self.grouped = nn.Conv2d(12, 16, 3, groups=4, bias=False)
        self.norm = nn.BatchNorm2d(12)
        self.first = nn.Conv2d(3, 12, 3, padding=1)
        self.drop = nn.Dropout(0.5)
        self.unused = nn.Linear(5, 5)

    def forward(self, x, scale=1.0):
        h = torch.relu(self.norm(self.first(scale * x)))
        h = torch.relu(self.up(self.drop(torch.relu(self.grouped(h)))))
        return self.head(h.mean(dim=(2, 3)))


IMAGES = torch.randn(24, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 3 + 1
CALLED = ["first.weight", "grouped.weight", "up.weight", "head.weight"]


def outputs(model, x=DATA, kinds=(nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
    """Return what each layer makes of the data, by hooks of the test's own."""
    made = []
    handles = [
        module.register_forward_hook(lambda module, args, output: made.append(output))
        for module in model.modules()
        if isinstance(module, kinds)
    ]
    training = model.training
    model.eval()
    with torch.no_grad():
        model(x)
    model.train(training)
    for handle in handles:
        handle.remove()
    return made


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.GELU])
def test_lsuv_gives_every_layer_variance_one(activation):
    model = perceptron(activation)
    assert abs(outputs(model)[-1].std() - 1) > 0.9
    records = fastinit.torch.lsuv(model, DATA, seed=0)
    stds = [float(made.std()) for made in outputs(model)]
    np.testing.assert_allclose(stds, 1.0, atol=0.1)
    np.testing.assert_allclose([r.std_after for r in records], stds, rtol=1e-3)
    assert [r.name for r in records] == [f"{2 * i}.weight" for i in range(DEPTH + 1)]


def test_lsuv_balances_the_gradients():
    def norms(model):
        model.zero_grad()
        nn.functional.cross_entropy(model(DATA), torch.arange(len(DATA)) % 10).backward()
        return [float(m.weight.grad.norm()) for m in model if isinstance(m, nn.Linear)][1:-1]

    model = perceptron(nn.Tanh, std=1.0)
    before = spread(norms(model))
    fastinit.torch.lsuv(model, DATA, seed=0)
    assert spread(norms(model)) < 10
    assert before > 100


def test_convolutions_of_all_kinds_in_the_order_of_the_calls():
    model = Convolutions()
    records = fastinit.torch.lsuv(model, IMAGES, seed=0)
    assert [r.name for r in records] == CALLED
    for made in outputs(model, IMAGES):
        assert abs(float(made.std()) - 1) < 0.1
    kernel = model.first.weight.detach().reshape(12, -1)
    gram = kernel @ kernel.T
    torch.testing.assert_close(gram, gram[0, 0] * torch.eye(12), atol=1e-5, rtol=0)


def test_nothing_else_of_the_model_changes():
    model = Convolutions()
    model.drop.eval()
    model.first.weight.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    pointers = [p.data_ptr() for p in model.parameters()]
    state = torch.get_rng_state()
    fastinit.torch.lsuv(model, IMAGES, seed=0)
    after = model.state_dict()
    scaled = {"grouped.weight", "up.weight", "up.bias", "head.weight", "head.bias"}
    assert {name for name in before if not torch.equal(before[name], after[name])} == scaled
    assert [p.data_ptr() for p in model.parameters()] == pointers
    assert model.training
    assert not model.drop.training
    assert not any(module._forward_hooks for module in model.modules())
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(state, torch.get_rng_state())


def test_data_dependent_normalizes_each_channel():
    model = Convolutions()
    fastinit.torch.data_dependent(model, IMAGES, rates=False, seed=0)
    for made in outputs(model, IMAGES):
        channels = made.transpose(0, 1).flatten(1)
        assert float((channels.std(dim=1) - 1).abs().max()) < 0.03
        if made.shape[1] != 16:  # that layer has no bias
            assert float(channels.mean(dim=1).abs().max()) < 0.01


def test_rates_become_equal_and_outputs_stay():
    model, control = perceptron(), perceptron()
    records = fastinit.torch.data_dependent(model, DATA, seed=0)
    fastinit.torch.data_dependent(control, DATA, rates=False, seed=0)
    assert spread([r.rate for r in records]) < 1.001
    torch.testing.assert_close(model(DATA), control(DATA), rtol=1e-3, atol=1e-3)

    def rates(model):
        gradient = torch.randn(300, 10, generator=torch.Generator().manual_seed(5))
        weights = [m.weight for m in model if isinstance(m, nn.Linear)]
        found = torch.autograd.grad(model(DATA), weights, gradient)
        return [float(g.norm() / w.detach().norm()) for g, w in zip(found, weights, strict=True)]

    assert spread(rates(model)) < 1.5  # for another gradient than the one it was done with
    assert spread(rates(control)) > 3


def test_inputs_of_all_forms():
    expected = fastinit.torch.lsuv(Convolutions(), IMAGES, seed=0)
    for x in ((IMAGES,), {"x": IMAGES}, lambda: IMAGES, lambda: (IMAGES, 1.0)):
        assert fastinit.torch.lsuv(Convolutions(), x, seed=0) == expected
    assert fastinit.torch.lsuv(Convolutions(), {"x": IMAGES, "scale": 9.0}, seed=0) != expected


def test_a_weight_that_two_layers_share_is_scaled_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(6, 6), nn.Linear(6, 6)
            self.two.weight = self.one.weight

        def forward(self, x):
            return self.two(torch.relu(self.one(torch.relu(self.one(x)))))

    records = fastinit.torch.lsuv(Tied(), torch.randn(50, 6), seed=0)
    assert [r.name for r in records] == ["one.weight"]


def test_a_transformer():
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    records = fastinit.torch.lsuv(layer, torch.randn(8, 5, 16), seed=0)
    assert [r.name for r in records] == ["linear1.weight", "linear2.weight"]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_dtypes(dtype):
    model = perceptron().to(dtype)
    records = fastinit.torch.lsuv(model, DATA.to(dtype), seed=0)
    assert all(abs(r.std_after - 1) < 0.1 for r in records)
    assert model[0].weight.dtype == dtype


@pytest.mark.parametrize(
    ("model", "x", "words"),
    [
        (perceptron(), torch.full((4, FEATURES), torch.nan), "finite"),
        (perceptron(), torch.zeros(4, FEATURES), r"0\.weight.*the same for all"),
        (perceptron(), torch.zeros(0, FEATURES), "no data"),
        (nn.Sequential(nn.ReLU()), DATA, "no layer"),
        (perceptron().requires_grad_(False), DATA, "no layer"),
    ],
)
def test_errors_change_nothing(model, x, words):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ArgumentError, match=words):
        fastinit.torch.lsuv(model, x, seed=0)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert not any(module._forward_hooks for module in model.modules())
