"""LSUV and data-dependent initialization: the algorithms, and `fastinit.nn`."""

import numpy as np
import pytest

import fastinit
from fastinit import nn
from fastinit.datadriven import Scaler
from fastinit.errors import ArgumentError, ArgumentTypeError
from tests.datadriven import DEPTH, FEATURES, WIDTH, X, spread


def network(activation="relu", initializer="normal(std=0.02)", seed=0, **options):
    hidden = [nn.Dense(WIDTH, activation, initializer, **options) for _ in range(DEPTH)]
    made = nn.Sequential([*hidden, nn.Dense(10)], seed=seed)
    made.compile()
    made.build(FEATURES)
    return made


def stds(net):
    return np.array([z.std() for z, _ in net.forward(X)])


def gradient_norms(net):
    """Return the norms of the gradients in the hidden layers' kernels, which have one shape."""
    labels = np.arange(len(X)) % 10
    return [np.linalg.norm(layer["kernel"]) for layer in net.gradients(X, labels)[1:-1]]


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_lsuv_gives_every_layer_variance_one(activation):
    net = network(activation)
    assert abs(stds(net) - 1.0).max() > 0.9
    records = nn.lsuv(net, X)
    np.testing.assert_allclose(stds(net), 1.0, atol=0.1)
    np.testing.assert_allclose([r.std_after for r in records], stds(net), rtol=1e-4)
    assert all(r.converged and r.tries <= 1 for r in records)
    assert [r.name for r in records] == [f"dense_{i}.kernel" for i in range(DEPTH + 1)]


@pytest.mark.parametrize("redraw", [True, False])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_lsuv_balances_the_gradients(activation, redraw):
    net = network(activation, "he_normal")
    for layer in net.layers[::2]:
        layer.kernel *= 30.0
    before = spread(gradient_norms(net))
    nn.lsuv(net, X, redraw=redraw)
    assert spread(gradient_norms(net)) < 10
    assert before > 20


def test_lsuv_starts_from_the_orthogonal_initializer():
    net = network("linear", use_bias=False)
    nn.lsuv(net, X)
    q = net.layers[2].kernel
    gram = q.T @ q
    np.testing.assert_allclose(gram, gram[0, 0] * np.eye(WIDTH), atol=1e-5 * gram[0, 0])
    same = fastinit.get("orthogonal")(q.shape, seed=fastinit.key(0, "dense_2.kernel"))
    np.testing.assert_allclose(q / np.sqrt(gram[0, 0]), same, atol=1e-5)


def test_the_seed_and_the_name_decide():
    first, same, other = network(seed=3), network(seed=3), network(seed=4)
    for net in (first, same, other):
        nn.lsuv(net, X)
    np.testing.assert_array_equal(first.layers[1].kernel, same.layers[1].kernel)
    assert not np.allclose(first.layers[1].kernel, other.layers[1].kernel)
    nn.lsuv(other, X, seed=3)
    np.testing.assert_array_equal(first.layers[1].kernel, other.layers[1].kernel)
    rng = np.random.default_rng(0)
    nn.lsuv(other, X, seed=rng)
    assert rng.bit_generator.state == _after_16_bytes()


def _after_16_bytes():
    rng = np.random.default_rng(0)
    rng.bytes(16)
    return rng.bit_generator.state


def test_weights_may_be_kept_and_a_bias_takes_more_tries():
    net = network(initializer="he_normal", bias_initializer="normal(std=0.5)")
    start = [layer.kernel.copy() for layer in net.layers]
    records = nn.lsuv(net, X, redraw=False, tolerance=1e-3)
    assert max(r.tries for r in records) > 1
    np.testing.assert_allclose(stds(net), 1.0, atol=1e-3)
    for layer, kernel in zip(net.layers, start, strict=True):
        ratio = layer.kernel / kernel
        np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-4)


def test_what_does_not_converge_is_said():
    net = network(initializer="he_normal", bias_initializer="normal(std=3.0)")
    with np.errstate(all="raise"):
        records = nn.lsuv(net, X, redraw=False, tries=2)
    assert not all(r.converged for r in records)
    assert max(r.tries for r in records) == 2


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_data_dependent_normalizes_each_unit(activation):
    net = network(activation)
    records = nn.data_dependent(net, X, rates=False)
    for z, _ in net.forward(X):
        np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=0.01)
        np.testing.assert_allclose(z.std(axis=0), 1.0, atol=0.01)
    assert all(r.converged and r.rate is None for r in records)
    nn.lsuv(net, X)  # the negative control: not each unit by itself
    assert max(abs(z.mean(axis=0)).max() for z, _ in net.forward(X)) > 0.5


def test_rates_become_equal_and_relu_outputs_stay():
    net, control = network(), network()
    records = nn.data_dependent(net, X)
    unequal = nn.data_dependent(control, X, rates=False)
    assert spread([r.rate for r in records]) < 1.001
    assert all(r.rate is None for r in unequal)
    np.testing.assert_allclose(net.predict(X), control.predict(X), rtol=1e-3, atol=1e-4)
    assert spread(rates(net)) < 1.01
    assert spread(rates(control)) > 3


def rates(net):
    """Return rms(gradient) / rms(weights) of each layer for one random gradient, by hand."""
    grad = fastinit.normal((len(X), 10), 0.0, 1.0, seed=fastinit.key(0, "gradient"))
    passes = net.forward(X)
    found = []
    for i in reversed(range(len(net.layers))):
        inputs = passes[i - 1][1] if i else X
        kernel = net.layers[i].kernel
        found.append(np.sqrt(np.mean((inputs.T @ grad) ** 2) / np.mean(kernel**2)))
        grad = (grad @ kernel.T) * (inputs > 0)
    return found


def test_rates_of_a_network_that_is_not_homogeneous_come_near():
    assert spread([r.rate for r in nn.data_dependent(network("tanh"), X)]) < 1.1


def mixed(seed=0):
    """Return a network with layers of other kinds between the dense ones."""
    layers = [
        nn.Dense(WIDTH, "linear", "normal(std=0.02)"),
        nn.BatchNorm(),
        nn.Activation("relu"),
        nn.Dropout(0.5),
        nn.Dense(WIDTH, "linear", "normal(std=0.02)", use_bias=False),
        nn.LayerNorm(),
        nn.Activation("tanh"),
        nn.Dense(10),
    ]
    made = nn.Sequential(layers, seed=seed)
    made.compile()
    made.build(FEATURES)
    return made


def test_lsuv_passes_through_other_layers():
    net = mixed()
    records = nn.lsuv(net, X)
    assert [r.name for r in records] == ["dense_0.kernel", "dense_4.kernel", "dense_7.kernel"]
    passes = net.forward(X)
    np.testing.assert_allclose([passes[i][0].std() for i in (0, 4, 7)], 1.0, atol=0.1)
    assert all(r.converged for r in records)
    assert net.layers[1].gamma.tolist() == [1.0] * WIDTH
    assert not net.layers[1].moving_mean.any()


def test_data_dependent_passes_through_other_layers():
    net = mixed()
    records = nn.data_dependent(net, X, rates=False)
    passes = net.forward(X)
    for i in (0, 7):  # the one between has no bias to center by
        np.testing.assert_allclose(passes[i][0].mean(axis=0), 0.0, atol=0.01)
        np.testing.assert_allclose(passes[i][0].std(axis=0), 1.0, atol=0.01)
    assert all(r.rate is None for r in records)
    assert all(r.rate > 0 for r in nn.data_dependent(mixed(), X))


def test_networks_of_sequences():
    x = np.random.default_rng(0).normal(1.0, 3.0, (100, 5, 4))
    net = nn.Sequential([nn.Dense(8, "relu"), nn.LSTM(6), nn.Dense(2)], seed=0)
    records = nn.lsuv(net, x)
    assert [r.name for r in records] == ["dense_0.kernel", "dense_2.kernel"]
    passes = net.forward(x)
    np.testing.assert_allclose([passes[i][0].std() for i in (0, 2)], 1.0, atol=0.1)


@pytest.mark.parametrize("call", [nn.lsuv, nn.data_dependent])
@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.full((5, FEATURES), np.nan), "finite"),
        (np.ones((5, FEATURES)), "the same for all"),
        (np.ones((0, FEATURES)), "no data"),
        (np.ones((5, FEATURES + 1)), "features"),
    ],
)
def test_data_that_cannot_be_used_changes_nothing(call, x, words):
    net = network(initializer="he_normal")
    before = net.get_weights()
    if words == "the same for all" and call is nn.lsuv:
        x = 0 * x
    with pytest.raises(ArgumentError, match=words):
        call(net, x)
    for old, new in zip(before, net.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_layer_that_dies_later_is_named_and_nothing_changes():
    net = network(initializer="he_normal")
    net.layers[1].bias = np.full(WIDTH, -1e4)
    before = net.get_weights()
    with pytest.raises(ArgumentError, match=r"dense_2\.kernel"):
        nn.lsuv(net, X, redraw=False, tries=1)
    for old, new in zip(before, net.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("option", "error"),
    [
        ({"tries": 0}, ArgumentError),
        ({"tries": 1.5}, ArgumentTypeError),
        ({"tolerance": -1.0}, ArgumentError),
        ({"tolerance": "small"}, ArgumentTypeError),
        ({"seed": "zero"}, ArgumentTypeError),
    ],
)
def test_options_that_do_not_fit(option, error):
    with pytest.raises(error):
        nn.lsuv(network(), X, **option)


def test_no_layer_is_an_error():
    scaler = Scaler(per_channel=False, tolerance=0.1, tries=10, redraw=True, seed=0)
    with pytest.raises(ArgumentError, match="no layer"), scaler.running():
        pass
