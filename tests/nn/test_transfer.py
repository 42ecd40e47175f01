"""Trained layers in another network: what is kept, what is new, what learns."""

import numpy as np
import pytest

import fastinit
from fastinit import nn
from fastinit.errors import ArgumentError, ArgumentTypeError, FastinitError

X = np.random.default_rng(0).standard_normal((60, 6))
Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)


def base(**options):
    layers = [nn.Dense(8, "tanh"), nn.BatchNorm(), nn.Dense(4, "tanh", name="code"), nn.Dense(3)]
    network = nn.Sequential(layers, seed=0, **options)
    network.compile(optimizer=nn.Adam(0.05))
    network.fit(X, Y, epochs=3, verbose=0)
    return network


def arrays(layer):
    return {name: getattr(layer, name).copy() for name in layer._arrays}


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for name, array in a.items():
        np.testing.assert_array_equal(array, b[name])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kept_layers_are_equal_and_the_head_is_new(dtype):
    network = base(dtype=dtype)
    before = [arrays(layer) for layer in network.layers]
    made = network.with_head([nn.Dropout(0.1), nn.Dense(2, name="head")], seed=7)
    assert [layer.name for layer in made.layers] == [
        "dense_0", "batch_norm_1", "code", "dropout_3", "head",
    ]  # fmt: skip
    for old, new, values in zip(network.layers[:3], made.layers[:3], before, strict=False):
        assert new is not old
        assert repr(new) == repr(old)
        assert_equal(arrays(new), values)
    key = fastinit.key(7, "head.kernel")
    np.testing.assert_array_equal(
        made.layers[4].kernel, fastinit.glorot_uniform((4, 2), seed=key, dtype=dtype)
    )
    assert [layer.trainable for layer in made.layers] == [False] * 3 + [True] * 2
    assert all(layer.trainable for layer in network.layers)
    assert (made.dtype, made.loss, made.input_shape) == (network.dtype, None, (6,))
    for layer in made.layers[:3]:  # no memory is shared
        for name in layer._arrays:
            getattr(layer, name)[...] = 1
    for layer, values in zip(network.layers, before, strict=True):
        assert_equal(arrays(layer), values)


def test_frozen_layers_stay_and_thawed_ones_learn():
    network = base()
    made = network.with_head(nn.Dense(2), seed=1)
    kept = [arrays(layer) for layer in made.layers[:3]]
    made.compile(optimizer=nn.Adam(0.05))
    first = made.fit(X, Y > 0, epochs=5, verbose=0).history["loss"]
    for layer, values in zip(made.layers[:3], kept, strict=True):
        assert_equal(arrays(layer), values)  # the moving statistics, too
    assert first[-1] < first[0]
    for layer in made.layers:
        layer.trainable = True
    made.compile(optimizer=nn.Adam(0.001))
    made.fit(X, Y > 0, epochs=2, verbose=0)
    for layer, values in zip(made.layers[:3], kept, strict=True):
        assert all((array != values[name]).any() for name, array in arrays(layer).items())


def test_a_frozen_layer_of_the_base_stays_frozen():
    network = base()
    network.layers[0].trainable = False
    made = network.with_head(nn.Dense(2), freeze=False)
    assert [layer.trainable for layer in made.layers] == [False, True, True, True]


def test_layers_behind_all_and_only_the_first():
    network = base()
    longer = network.with_head(nn.Activation("softmax"), drop=0)
    expected = np.exp(network.predict(X))
    np.testing.assert_allclose(
        longer.predict(X), expected / expected.sum(axis=1, keepdims=True), rtol=1e-5
    )
    shorter = network.with_head(nn.Dense(1), drop=3)
    assert [layer.name for layer in shorter.layers] == ["dense_0", "dense_1"]


def test_initializers_of_ones_own_come_along():
    def twos(shape, *, seed, dtype):
        return np.full(shape, 2, dtype)

    network = nn.Sequential([nn.Dense(2, kernel_initializer=twos), nn.Dense(2)])
    network.build(3)
    made = network.with_head(nn.Dense(1))
    made.build(3)
    assert (made.layers[0].kernel == 2).all()


def test_from_file_to_new_head(tmp_path):
    network = base()
    network.save(tmp_path / "base")
    made = nn.Sequential.load(tmp_path / "base").with_head(nn.Dense(2), seed=3)
    direct = network.with_head(nn.Dense(2), seed=3)
    for a, b in zip(made.get_weights(), direct.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_refusals():
    network = base()
    for drop in (4, 5, -1):
        with pytest.raises(ArgumentError, match=f"drop must .*{drop}"):
            network.with_head(nn.Dense(2), drop=drop)
    with pytest.raises(ArgumentError, match="two layers are named 'code'"):
        network.with_head(nn.Dense(2, name="code"))
    with pytest.raises(ArgumentTypeError, match="layers must be layers"):
        network.with_head(["dense"])
    with pytest.raises(FastinitError, match="build or train it first"):
        nn.Sequential([nn.Dense(2), nn.Dense(2)]).with_head(nn.Dense(2))
    with pytest.raises(ArgumentError, match="see with_head"):
        nn.Sequential([*network.layers[:-1], nn.Dense(2)])
