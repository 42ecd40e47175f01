"""PyTorch models that are sick, each with a cure that works, and sound ones without an alarm."""

from __future__ import annotations

import pytest

from fastinit.lab.data import load_data
from fastinit.lab.diagnosis import diagnose
from tests.frameworks import require

torch = require("torch")
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402


@pytest.fixture(autouse=True)
def _one_thread_and_seed():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the models are small
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def digits():
    data = load_data("digits")
    return torch.as_tensor(data.x_train[:64]), torch.as_tensor(data.y_train[:64])


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x):
        return x + self.fc2(functional.relu(self.fc1(x)))


def residual(blocks, width=32):
    model = nn.Sequential(nn.Linear(64, width), *[Block(width) for _ in range(blocks)])
    model.append(nn.Linear(width, 10))
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight)
            nn.init.zeros_(module.bias)
    return model


class Attention(nn.Module):
    def __init__(self, width, heads=2):
        super().__init__()
        self.heads = heads
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        parts = (part.unflatten(-1, (self.heads, -1)) for part in self.c_attn(x).chunk(3, -1))
        q, k, v = (part.transpose(1, 2) for part in parts)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(mixed.transpose(1, 2).flatten(2))


class GPTBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.ln_1, self.attn, self.ln_2 = nn.LayerNorm(width), Attention(width), nn.LayerNorm(width)
        self.c_fc, self.c_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.c_proj(functional.gelu(self.c_fc(self.ln_2(x))))


class GPT(nn.Module):
    def __init__(self, std, blocks=3, width=128, words=17, length=12, last=1.0):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(words, width), nn.Embedding(length, width)
        self.h = nn.ModuleList(GPTBlock(width) for _ in range(blocks))
        self.ln_f, self.lm_head = nn.LayerNorm(width), nn.Linear(width, words, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, 0.0, std * (last if "c_proj" in name else 1.0))
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


def sentences():
    tokens = torch.randint(0, 17, (32, 13))
    return tokens[:, :-1], tokens[:, :-1].roll(1, 1)  # copy the word before


class Recurrent(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.rnn, self.head = kind(4, 24, batch_first=True, **options), nn.Linear(24, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


def sequences(steps):
    x = torch.randn(64, steps, 4)
    return x, (x[:, 0, 0] > 0).long()


def convolutions(layers, channels=16, norm=False):
    model, inputs = nn.Sequential(nn.Unflatten(1, (1, 8, 8))), 1
    for _ in range(layers):
        model.append(nn.Conv2d(inputs, channels, 3, padding=1))
        if norm:
            model.append(nn.BatchNorm2d(channels))
        model.append(nn.ReLU())
        inputs = channels
    return model.append(nn.Flatten()).append(nn.Linear(64 * channels, 10))


def dense(layers, activation=nn.ReLU, width=64):
    model = nn.Sequential()
    for _ in range(layers):
        model.append(nn.Linear(64, width)).append(activation())
    return model.append(nn.Linear(width, 10))


def test_residual_network_of_100_layers_without_scaling(digits):
    found = diagnose(residual(50), *digits, steps=20)
    assert found.verdict.startswith("exploding")
    assert "multiplies the gradients by 1.3, from" in " ".join(found.sentences)
    assert "branch ends / sqrt(50)" in found.cure.name
    assert found.cured
    assert found.cure.losses[-1] < 1.0 < found.losses[-1]


def test_gpt_with_std_one_fifth():
    found = diagnose(GPT(0.2), *sentences(), steps=30)
    assert "mis-scaled" in found.verdict
    assert "attn.c_attn" in " ".join(found.findings[-1].layers)
    assert "std 0.2, fan_in" in " ".join(found.sentences)
    assert found.cured
    assert found.cure.losses[0] < 0.85 * found.losses[0]
    assert found.cure.losses[-1] < 0.9 * found.losses[-1]


def test_fifty_convolutions_as_pytorch_draws_them(digits):
    x, y = digits
    found = diagnose(convolutions(50), x[:32], y[:32], steps=25)
    assert found.verdict.startswith("vanishing")
    assert "fan_in 144" in found.sentences[0]
    assert found.cured
    assert found.cure.losses[-1] < 0.5 * found.losses[-1]


@pytest.mark.parametrize(
    ("spoil", "expected", "words"),
    [
        (lambda weight: nn.init.normal_(weight, 0.0, 0.05), "vanishing", " of them over its"),
        (lambda weight: nn.init.normal_(weight, 0.0, 0.6), "exploding", ": by "),
    ],
)
def test_recurrent_network_over_200_steps(spoil, expected, words):
    model = Recurrent(nn.RNN)
    spoil(model.rnn.weight_hh_l0)
    found = diagnose(model, *sequences(200), steps=30)
    assert found.verdict == expected
    assert words in found.sentences[0]
    assert "in rnn" in found.sentences[0]
    assert found.cured
    assert found.cure.losses[-1] < 0.9 * found.losses[-1]


def test_dead_by_a_large_negative_bias(digits):
    model = dense(4)
    for module in model:
        if isinstance(module, nn.Linear):
            nn.init.constant_(module.bias, -10.0)
    found = diagnose(model, *digits)
    assert found.verdict == "dead"
    assert found.cured
    assert found.cure.losses[-1] < 0.5 * found.losses[-1]


def test_layers_that_are_copies_of_each_other():
    # PyTorch's stack copies one layer, weights and all.
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0)
    model = nn.Sequential(nn.TransformerEncoder(layer, 3), nn.Flatten(), nn.Linear(16 * 5, 2))
    x = torch.randn(32, 5, 16)
    found = diagnose(model, x, try_cure=False)
    assert "copied" in found.verdict
    assert "layers.0" in found.sentences[0]


@pytest.mark.parametrize(
    "model",
    [
        lambda: dense(2),
        lambda: dense(3),
        lambda: dense(3, nn.Tanh),
        lambda: convolutions(3),
        lambda: convolutions(12, norm=True),
    ],
    ids=["two layers", "three layers", "tanh", "convolutions", "batch norm"],
)
def test_no_alarm_for_what_pytorch_draws(model, digits):
    assert diagnose(model(), *digits).verdict == "healthy"


def test_no_alarm_for_gpt_2(digits):
    found = diagnose(GPT(0.02, last=6**-0.5), *sentences())
    assert found.verdict == "healthy"


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_no_alarm_for_gates(kind):
    assert diagnose(Recurrent(kind), *sequences(16)).verdict == "healthy"


def test_no_alarm_for_branches_that_start_at_zero(digits):
    model = residual(10)
    for module in model.modules():
        if isinstance(module, Block):
            nn.init.zeros_(module.fc2.weight)
    assert diagnose(model, *digits).verdict == "healthy"
