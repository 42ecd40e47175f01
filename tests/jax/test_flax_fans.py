"""The fans of layers, by the variance of the real Flax layer's outputs; JAX' own for control."""

import numpy as np
import pytest

import fastinit
from fastinit.fans import convolution_fans, dense_fans
from tests.frameworks import require

jax = require("jax")
nn = require("flax.linen")

INPUTS = (4, 34, 34, 32)
# layer, inputs, fans from the kernel's shape, by which factor JAX' fan_in is too large
LAYERS = {
    "groups": (
        nn.Conv(128, (3, 3), feature_group_count=8, padding="CIRCULAR", use_bias=False),
        INPUTS,
        lambda shape: convolution_fans(shape, "jax", groups=8),
        1,
    ),
    "transposed": (
        nn.ConvTranspose(48, (4, 4), strides=(2, 2), padding="CIRCULAR", use_bias=False),
        INPUTS,
        lambda shape: convolution_fans(shape, "jax", strides=2, transposed=True),
        4,
    ),
    "transposed kernel": (
        nn.ConvTranspose(
            64, (4, 4), (2, 2), padding="CIRCULAR", transpose_kernel=True, use_bias=False
        ),
        INPUTS,
        lambda shape: convolution_fans(shape, "keras", strides=2, transposed=True),
        8,
    ),
    "heads": (
        nn.DenseGeneral((8, 12), use_bias=False),
        (500, 96),
        lambda shape: dense_fans(shape, in_axis=0, out_axis=(1, 2)),
        1,  # DenseGeneral gives its initializer a matrix
    ),
    "batch": (
        nn.DenseGeneral(40, batch_dims=(0,), use_bias=False),
        (6, 300, 96),
        lambda shape: dense_fans(shape, batch_axis=0),
        6,
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_keep_the_variance(name):
    layer, shape, fans_of, factor = LAYERS[name]
    x = fastinit.normal(shape, 0.0, 1.0, seed=0)
    theirs = layer.init(jax.random.key(0), x)  # lecun_normal
    kernel = theirs["params"]["kernel"].shape
    ours = fastinit.lecun_normal(kernel, fans=fans_of(kernel), seed=1)
    right = np.mean(np.square(layer.apply({"params": {"kernel": ours}}, x)))
    assert right == pytest.approx(1.0, rel=0.05)
    wrong = np.mean(np.square(layer.apply(theirs, x)))
    assert wrong == pytest.approx(1 / factor, rel=0.05)
