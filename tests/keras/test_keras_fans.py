"""The fans of layers, by the variance of the real Keras layer's outputs; Keras' own for control.

Where the factor is 1 Keras is right; all kernels are LeCun's.
"""

import numpy as np
import pytest

import fastinit
from fastinit.fans import convolution_fans, dense_fans
from tests.frameworks import require

keras = require("keras")
# Keras' own way from PyTorch to NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

OPTIONS = {"use_bias": False, "kernel_initializer": keras.initializers.LecunNormal(seed=1)}
IMAGES = (4, 34, 34, 32)
# layer, inputs, fans from the kernel's shape, by which factor Keras' fan_in is too large
LAYERS = {
    "groups": (
        lambda: keras.layers.Conv2D(128, 3, groups=8, **OPTIONS),
        IMAGES,
        lambda shape: convolution_fans(shape, groups=8),
        1,
    ),
    "depthwise": (
        lambda: keras.layers.DepthwiseConv2D(
            3,
            depth_multiplier=2,
            use_bias=False,
            depthwise_initializer=keras.initializers.LecunNormal(seed=1),
        ),
        (1, 12, 12, 1024),
        lambda shape: convolution_fans(shape, depthwise=True),
        1024,
    ),
    "transposed": (
        lambda: keras.layers.Conv2DTranspose(64, 4, strides=2, **OPTIONS),
        IMAGES,
        lambda shape: convolution_fans(shape, strides=2, transposed=True),
        8,
    ),
    "heads": (
        lambda: keras.layers.EinsumDense(
            "ab,bcd->acd", (8, 12), kernel_initializer=OPTIONS["kernel_initializer"]
        ),
        (500, 96),
        lambda shape: dense_fans(shape, in_axis=0, out_axis=(1, 2)),
        1,
    ),
}


def inner(y):
    """Cut off what a transposed convolution pads."""
    return y[:, 8:-8, 8:-8] if y.ndim == 4 and y.shape[1] > 40 else y


@pytest.mark.parametrize("name", LAYERS)
def test_layers_keep_the_variance(name):
    make, shape, fans_of, factor = LAYERS[name]
    layer = make()
    x = fastinit.normal(shape, 0.0, 1.0, seed=0)
    wrong = inner(keras.ops.convert_to_numpy(layer(x)))
    kernel = tuple(layer.weights[0].shape)
    layer.set_weights([fastinit.lecun_normal(kernel, fans=fans_of(kernel), seed=1)])
    right = inner(keras.ops.convert_to_numpy(layer(x)))
    assert np.mean(right**2) == pytest.approx(1.0, rel=0.05)
    assert np.mean(wrong**2) == pytest.approx(1 / factor, rel=0.05)
