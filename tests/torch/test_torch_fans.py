"""The fans of layers, by what counts: the variance of the real layer's outputs and gradients.

Inputs have variance 1 and weights 1 / fan, so that outputs have variance 1 where the fan is right.
PyTorch's own fans are the negative control: the variance is wrong by the factor that the tests say.
"""

import numpy as np
import pytest

import fastinit
from fastinit.fans import convolution_fans, dense_fans, embedding_fans
from tests.frameworks import require

torch = require("torch")
functional = torch.nn.functional

# Weights or outputs, whichever are fewer, are tens of thousands: 5% are five standard errors.
CLOSE = 0.05


def draw(shape, seed):
    return torch.from_numpy(fastinit.normal(shape, 0.0, 1.0, seed=seed))


def weights(shape, mode, fans):
    w = fastinit.variance_scaling(shape, 1.0, mode, "normal", fans=fans, seed=1)
    return torch.from_numpy(w).requires_grad_()


def moment(x):
    return float((x.detach() ** 2).mean())


def interior(x, margin, strides):
    """Cut the borders off, and to a length at which every phase of the strides comes as often."""
    for axis, step in enumerate(strides, 2):
        x = x.narrow(axis, margin, (x.shape[axis] - 2 * margin) // step * step)
    return x


def run(shape, mode, fans, options):
    """Return the second moment of a convolution's outputs, or of the gradients on the way back."""
    options = dict(options)
    sides = len(shape) - 2
    strides = np.broadcast_to(options.get("stride", 1), sides)
    transposed = options.pop("transposed", False)
    name = f"conv{'_transpose' if transposed else ''}{sides}d"
    channels = shape[0] if transposed else shape[1] * options.get("groups", 1)
    size = 200 if sides == 1 else 34
    x = draw((max(1, 256 // channels), channels, *[size] * sides), 2).requires_grad_()
    w = weights(shape, mode, fans)
    y = getattr(functional, name)(x, w, **options)
    reach = options.get("dilation", 1) * (max(shape[2:]) - 1) + max(strides)
    if mode == "fan_in":
        return moment(interior(y, reach, strides))
    (back,) = torch.autograd.grad(y, x, draw(tuple(y.shape), 3))
    return moment(interior(back, reach, strides))


# shape, options, by which factors PyTorch's fan_in and fan_out are too large
CONVOLUTIONS = {
    "plain": ((64, 32, 3, 3), {}, 1, 1),
    "groups": ((128, 16, 3, 3), {"groups": 8}, 1, 8),
    "depthwise": ((2048, 1, 3, 3), {"groups": 1024}, 1, 1024),
    "strides": ((64, 32, 3, 3), {"stride": 2}, 1, 4),
    "strides and dilation": ((64, 32, 2, 3), {"stride": (2, 1), "dilation": 2}, 1, 2),
    "1-D": ((64, 48, 5), {"stride": 3, "groups": 2}, 1, 6),
    "transposed": ((64, 48, 4, 4), {"transposed": True, "stride": 2}, 3, 4 / 3),
    "transposed, uneven": ((48, 64, 3, 3), {"transposed": True, "stride": 2}, 16 / 3, 3 / 4),
    "transposed, groups": (
        (64, 32, 2, 3),
        {"transposed": True, "stride": 2, "groups": 4, "output_padding": 1, "dilation": 2},
        8,
        2,
    ),
    "transposed, gaps": ((96, 96, 2), {"transposed": True, "stride": 3}, 3, 1),
}


@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name, mode):
    shape, options, *factors = CONVOLUTIONS[name]
    fans = convolution_fans(
        shape,
        "torch",
        groups=options.get("groups", 1),
        strides=options.get("stride", 1),
        transposed=options.get("transposed", False),
    )
    assert run(shape, mode, fans, options) == pytest.approx(1.0, rel=CLOSE)
    theirs = torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))
    assert np.divide(theirs, fans) == pytest.approx(factors)
    factor = factors[mode == "fan_out"]
    if factor != 1:
        assert run(shape, mode, theirs, options) == pytest.approx(1 / factor, rel=CLOSE)


def test_packed_query_key_value():
    """Glorot's initializer: PyTorch gives the packed kernel half the variance of three alone."""
    attention = torch.nn.MultiheadAttention(256, 8, bias=False)
    x = draw((1, 500, 256), 0)  # one position, so that the output is that of the values alone

    def values(kernel):
        with torch.no_grad():
            attention.in_proj_weight.copy_(kernel)
            attention.out_proj.weight.copy_(torch.eye(256))
            return attention(x, x, x)[0]

    shape = tuple(attention.in_proj_weight.shape)
    fans = dense_fans(shape, in_axis=1, out_axis=0, parts=3)
    packed = torch.from_numpy(fastinit.glorot_normal(shape, fans=fans, seed=1))
    assert moment(values(packed)) == pytest.approx(1.0, rel=CLOSE)
    torch.nn.init.xavier_normal_(packed, generator=torch.Generator().manual_seed(0))
    assert moment(values(packed)) == pytest.approx(0.5, rel=CLOSE)


@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3)])
def test_gates(kind, gates):
    """With saturated gates and no recurrence, the cell's output tells its pre-activation."""
    layer = getattr(torch.nn, kind)(200, 200).double()
    shape = tuple(layer.weight_ih_l0.shape)

    def pre_activations(kernel):
        with torch.no_grad():
            layer.weight_ih_l0.copy_(kernel)
            layer.weight_hh_l0.zero_()
            layer.bias_hh_l0.zero_()
            # Input gate open and output gate open; the GRU's update gate lets the new state in.
            bias = {"LSTM": (99.0, 0.0, 0.0, 99.0), "GRU": (0.0, -99.0, 0.0)}[kind]
            layer.bias_ih_l0.copy_(torch.tensor(bias).repeat_interleave(200))
            output, state = layer(draw((1, 500, 200), 0).double())
            return torch.atanh(state[1] if kind == "LSTM" else output)

    fans = dense_fans(shape, in_axis=1, out_axis=0, parts=gates)
    kernel = torch.from_numpy(fastinit.glorot_normal(shape, fans=fans, seed=1))
    assert moment(pre_activations(kernel)) == pytest.approx(1.0, rel=CLOSE)
    torch.nn.init.xavier_normal_(kernel, generator=torch.Generator().manual_seed(0))
    wrong = moment(pre_activations(kernel))
    assert wrong == pytest.approx(2 / (1 + gates), rel=CLOSE)  # 0.4 and 0.5


def test_embedding():
    shape = (1000, 64)
    rows = torch.arange(0, 1000, 2)
    table = weights(shape, "fan_in", embedding_fans(shape))
    assert moment(functional.embedding(rows, table)) == pytest.approx(1.0, rel=CLOSE)
    torch.nn.init.kaiming_normal_(
        table, nonlinearity="linear", generator=torch.Generator().manual_seed(0)
    )
    assert moment(functional.embedding(rows, table)) == pytest.approx(1 / 64, rel=CLOSE)
