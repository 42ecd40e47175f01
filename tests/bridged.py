"""Networks that the tests of the bridges take across: every layer, no parameter at its default."""

import numpy as np

from fastinit import nn

FEATURES, STEPS = 4, 6
CELLS = ("RNN", "LSTM", "GRU")


def randomize(network):
    rng = np.random.default_rng(7)
    for layer in network.layers:
        for name in layer._arrays:
            shape = getattr(layer, name).shape
            draw = rng.uniform(0.5, 1.5, shape) if "var" in name else rng.normal(0.0, 0.7, shape)
            setattr(layer, name, draw)
    return network


def every_layer(dtype, dropout=True):
    layers = [
        nn.Dense(7, "tanh", name="first"),
        nn.BatchNorm(momentum=0.75, epsilon=0.25),
        nn.Dropout(0.25),
        nn.Dense(5, use_bias=False),
        nn.Activation("leaky_relu", 0.25),
        nn.LayerNorm(epsilon=0.5),
        nn.Activation("elu", 0.5),
        nn.Dense(6, "gelu", trainable=False),
        nn.Dense(3, name="head"),
    ]
    network = nn.Sequential([x for x in layers if dropout or x.kind != "dropout"], 0, dtype)
    network.build(FEATURES)
    return randomize(network)


def recurrent(cell, return_sequences, use_bias):
    make = getattr(nn, cell)
    options = {"use_bias": use_bias, "return_sequences": return_sequences}
    layers = [make(5, use_bias=use_bias, return_sequences=True), make(3, **options), nn.Dense(2)]
    network = nn.Sequential(layers, seed=0)
    network.build((STEPS, FEATURES))
    return randomize(network)


def inputs(shape, dtype=np.float32, scale=1.0):
    return np.random.default_rng(1).normal(0.0, scale, (9, *shape)).astype(dtype)
