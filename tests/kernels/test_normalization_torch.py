import numpy as np
import pytest
from test_normalization import EPSILON, MOMENTUM, backward, data, forward, inference, layer

from tests.frameworks import require

torch = require("torch")
functional = torch.nn.functional
every_norm = pytest.mark.parametrize("norm", ["batch", "layer"])
shapes = pytest.mark.parametrize("shape", [(32, 20), (64, 128), (5, 37)])


def assert_close(got, expected):
    np.testing.assert_allclose(got, expected.detach().numpy(), rtol=1e-5, atol=1e-5)


@every_norm
@shapes
def test_agrees_with_torch(norm, shape):
    a = layer(norm, data(*shape, np.float32, mean=1.0))
    x, gamma, beta = (torch.tensor(array, requires_grad=True) for array in (a.x, a.gamma, a.beta))
    if norm == "batch":
        moving = torch.tensor(a.moving_mean), torch.tensor(a.moving_variance)
        before = moving[1].clone()
        out = functional.batch_norm(x, *moving, gamma, beta, True, 1 - MOMENTUM, EPSILON)
    else:
        out = functional.layer_norm(x, shape[1:], gamma, beta, EPSILON)
    assert_close(forward(norm, a), out)
    out.backward(torch.tensor(a.grad_out))
    for got, leaf in zip(backward(norm, a), (x, gamma, beta), strict=True):
        assert_close(got, leaf.grad)
    if norm == "batch":
        assert_close(a.moving_mean, moving[0])
        # PyTorch moves the unbiased variance.
        unbiased = (moving[1] - MOMENTUM * before) * (shape[0] - 1) / shape[0]
        assert_close(a.moving_variance, MOMENTUM * before + unbiased)
        assert np.abs(a.moving_variance - moving[1].numpy()).max() > 1e-4


@shapes
def test_inference_agrees_with_torch(shape):
    a = layer("batch", data(*shape, np.float32, mean=1.0))
    arrays = (a.x, a.moving_mean, a.moving_variance, a.gamma, a.beta)
    out = functional.batch_norm(*map(torch.tensor, arrays), False, 0.1, EPSILON)
    assert_close(inference(a), out)
