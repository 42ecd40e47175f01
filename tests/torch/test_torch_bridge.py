"""Networks that go over to PyTorch and come back: the same outputs, statistics and settings."""

import importlib
import subprocess
import sys

import numpy as np
import pytest

from fastinit import nn
from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.kernels.activations import CODES
from tests.bridged import CELLS, FEATURES, STEPS, every_layer, inputs, randomize, recurrent
from tests.frameworks import require

torch = require("torch")
bridge = importlib.import_module("fastinit.torch")
t = torch.nn


def outputs_of(module, x):
    with torch.no_grad():
        return module.eval()(torch.from_numpy(x)).numpy()


def same(network, module, x, dtype=np.float32):
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    expected = outputs_of(module, x)
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(network.predict(x), expected, rtol=tolerance, atol=tolerance)


def equal(a, b):
    assert [(x.name, repr(x), x.trainable) for x in a.layers] == [
        (x.name, repr(x), x.trainable) for x in b.layers
    ]
    for x, y in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_layer_there_and_back(dtype):
    network, x = every_layer(dtype), inputs((FEATURES,), dtype)
    module = bridge.to_torch(network)
    same(network, module, x, dtype)
    again = bridge.from_torch(module, FEATURES)
    np.testing.assert_array_equal(again.predict(x), network.predict(x))
    equal(again, network)


@pytest.mark.parametrize("activation", CODES)
def test_every_activation(activation):
    network = nn.Sequential([nn.Activation(activation), nn.Dense(4, activation)], seed=0)
    network.build(FEATURES)
    x = inputs((FEATURES,), np.float32, scale=4)
    module = bridge.to_torch(network)
    same(network, module, x)
    again = bridge.from_torch(module, FEATURES)
    np.testing.assert_array_equal(again.predict(x), network.predict(x))
    name = "silu" if activation == "swish" else activation
    assert [layer.activation for layer in again.layers] == [name, name]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("use_bias", [False, True])
def test_recurrent_layers(cell, return_sequences, use_bias):
    network = recurrent(cell, return_sequences, use_bias)
    x = inputs((STEPS, FEATURES))
    module = bridge.to_torch(network)
    same(network, module, x)
    again = bridge.from_torch(module, (STEPS, FEATURES))
    equal(again, network)


@pytest.mark.parametrize("kind", [t.RNN, t.LSTM, t.GRU])
def test_stacked_recurrent_layers_and_both_biases(kind):
    cells = kind(FEATURES, 5, num_layers=3, batch_first=True, dropout=0.5)
    module = t.Sequential(bridge.Recurrent(cells), t.Linear(5, 2))
    network = bridge.from_torch(module, (STEPS, FEATURES))
    same(network, module, inputs((STEPS, FEATURES)))
    kinds = [type(layer).__name__ for layer in network.layers]
    name = kind.__name__
    assert kinds == [name, "Dropout", name, "Dropout", name, "Dense"]


def test_modules_of_pytorchs_own_making():
    module = t.Sequential(
        t.Sequential(t.Linear(FEATURES, 6, bias=False), t.LeakyReLU(0.3), t.ELU(0.5)),
        t.BatchNorm1d(6, momentum=0.3, affine=False),
        t.Dropout(0.25),
        t.LayerNorm(6, bias=False),
        t.Softplus(),
        t.Identity(),
        t.Softmax(dim=1),
    )
    module[0][0].weight.requires_grad_(False)
    module(3 * torch.randn(50, FEATURES) + 1)  # moves the statistics
    network = bridge.from_torch(module, FEATURES, seed=3)
    same(network, module, inputs((FEATURES,)))
    dense, _, elu, normalization, dropout = network.layers[:5]
    assert not dense.trainable
    assert elu.alpha == 0.5
    assert normalization.momentum == pytest.approx(0.7)
    assert (normalization.center, normalization.scale) == (False, False)
    assert dropout.rate == 0.25
    assert network.seed == 3


def test_names_of_nested_modules_and_clashes():
    inner = torch.nn.Sequential()
    inner.add_module("fc", t.Linear(FEATURES, 3))
    module = t.Sequential()
    module.add_module("body", inner)
    module.add_module("head", t.Linear(3, 2))
    network = bridge.from_torch(module, FEATURES)
    assert [layer.name for layer in network.layers] == ["body.fc", "head"]
    clash = nn.Sequential([nn.Dense(2, "relu", name="a"), nn.Dense(2, name="a_activation")])
    clash.build(FEATURES)
    with pytest.raises(ValueError, match="two modules would be named 'a_activation'"):
        bridge.to_torch(clash)


def test_what_is_frozen_or_missing_stays_so():
    network = every_layer(np.float32)
    network.layers[0].trainable = False
    module = bridge.to_torch(network)
    assert not any(p.requires_grad for p in module[0].parameters())
    fixed = nn.Sequential([nn.BatchNorm(scale=False), nn.LayerNorm(center=False)])
    fixed.build(FEATURES)
    module = bridge.to_torch(fixed)
    assert {name: p.requires_grad for name, p in module.named_parameters()} == {
        "batch_norm_0.weight": False,
        "batch_norm_0.bias": True,
        "layer_norm_1.weight": True,
        "layer_norm_1.bias": False,
    }
    again = bridge.from_torch(module, FEATURES)
    np.testing.assert_array_equal(again.predict(inputs((FEATURES,))), fixed.predict(inputs((4,))))


def test_no_memory_is_shared():
    network = every_layer(np.float32)
    module, before = bridge.to_torch(network), network.get_weights()
    again = bridge.from_torch(module, FEATURES)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1)
    for found in (network, again):
        for a, b in zip(found.get_weights(), before, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("shape", [(FEATURES,), (STEPS, FEATURES)], ids=str)
def test_a_step_of_training_is_the_same_on_both_sides(shape):
    network = every_layer(np.float64, dropout=False)
    if len(shape) == 2:
        network = nn.Sequential([nn.GRU(5), nn.Dense(3)], seed=1, dtype=np.float64)
        network.build(shape)
    x, y = inputs(shape, network.dtype), np.arange(9) % 3
    module = bridge.to_torch(network).train()
    network.compile(optimizer=nn.SGD(0.1))
    network.fit(x, y, batch_size=len(x), shuffle=False, verbose=0)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    t.functional.cross_entropy(module(torch.from_numpy(x)), torch.from_numpy(y)).backward()
    optimizer.step()
    again = bridge.from_torch(module, shape)
    states = {"moving_variance"}  # the unbiased one, in PyTorch
    for a, b in zip(network.layers, again.layers, strict=True):
        for name in a._arrays.keys() - states:
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-6, atol=1e-9)


class Own(t.Linear):
    pass


REFUSED = [
    (t.Conv1d(4, 4, 1), "'0', Conv1d"),
    (t.LSTM(4, 4, batch_first=True), "wrap it in fastinit.torch.Recurrent"),
    (Own(4, 4), "'0', Own"),
    (t.Softplus(beta=2), "beta"),
    (t.Softmax(dim=0), "dim"),
    (t.BatchNorm1d(4, momentum=None), "momentum"),
    (t.BatchNorm1d(4, track_running_stats=False), "track_running_stats"),
    (t.LayerNorm((2, 4)), "normalized_shape"),
    (t.PReLU(), "'0', PReLU"),
]


@pytest.mark.parametrize(("module", "message"), REFUSED, ids=lambda value: str(value)[:30])
def test_modules_without_counterpart_are_named(module, message):
    with pytest.raises(ValueError, match=message):
        bridge.from_torch(t.Sequential(module), 4)


def test_other_refusals():
    for options in ({"bidirectional": True}, {"proj_size": 2}):
        cells = t.LSTM(FEATURES, 5, batch_first=True, **options)
        with pytest.raises(ArgumentError, match=f"no counterpart.*: {next(iter(options))}"):
            bridge.from_torch(t.Sequential(bridge.Recurrent(cells)), (STEPS, FEATURES))
    with pytest.raises(ValueError, match="batch_first=True"):
        bridge.Recurrent(t.GRU(3, 4))
    with pytest.raises(ArgumentTypeError, match=r"must be a torch\.nn\.Sequential"):
        bridge.from_torch(t.Linear(3, 4), 3)
    with pytest.raises(ArgumentError, match="all parameters must be float32, or all float64"):
        bridge.from_torch(t.Sequential(t.Linear(3, 4).half()), 3)
    with pytest.raises(ArgumentError, match="has the shape"):
        bridge.from_torch(t.Sequential(t.Linear(3, 4)), 5)
    with pytest.raises(ValueError, match="call build"):
        bridge.to_torch(nn.Sequential([nn.Dense(2)]))
    with pytest.raises(ValueError, match=r"'0'.*order of a sequence's axes"):
        bridge.from_torch(t.Sequential(t.BatchNorm1d(FEATURES)), (STEPS, FEATURES))

    class Own(nn.Dense):
        pass

    for layer, message in ((Own(2), "'dense_0'.*no counterpart"), (nn.BatchNorm(), "sequences")):
        network = nn.Sequential([layer])
        network.build((STEPS, FEATURES))
        with pytest.raises(ArgumentError, match=message):
            bridge.to_torch(network)


def test_swapped_gates_would_be_seen(monkeypatch):
    """Control: without the reordering of the GRU's gates the outputs differ."""
    network, x = recurrent("GRU", False, True), inputs((STEPS, FEATURES))
    module = sys.modules["fastinit.torch.bridge"]
    monkeypatch.setattr(module, "_reorder", lambda kind, columns: columns)
    with pytest.raises(AssertionError):
        same(network, bridge.to_torch(network), x)


def test_randomize_leaves_nothing_at_its_default():
    """Control: the comparisons see every parameter and statistic."""
    network = every_layer(np.float32)
    x = inputs((FEATURES,))
    expected = network.predict(x)
    for layer in network.layers:
        for name in layer._arrays:
            kept = getattr(layer, name).copy()
            setattr(layer, name, np.roll(kept, 1, axis=-1))
            assert np.abs(network.predict(x) - expected).max() > 1e-4, f"{layer.name}.{name}"
            setattr(layer, name, kept)
    randomize(network)


def test_importing_the_adapter_does_not_load_the_networks():
    code = "import fastinit.torch, sys; assert 'fastinit.nn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
