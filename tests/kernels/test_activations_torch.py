"""Activations and their gradients against PyTorch's, in float32."""

import numpy as np
import pytest

from fastinit.kernels.activations import CODES, SAVES_INPUT, activate, activate_backward
from tests.frameworks import require

torch = require("torch")
F = torch.nn.functional

ALPHA = 0.3
PEERS = {
    "linear": lambda z: z * 1,
    "relu": F.relu,
    "leaky_relu": lambda z: F.leaky_relu(z, ALPHA),
    "elu": lambda z: F.elu(z, ALPHA),
    "selu": F.selu,
    "gelu": F.gelu,
    "gelu_tanh": lambda z: F.gelu(z, approximate="tanh"),
    "silu": F.silu,
    "swish": F.silu,
    "softplus": F.softplus,
    "mish": F.mish,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softmax": lambda z: F.softmax(z, dim=1),
    "log_softmax": lambda z: F.log_softmax(z, dim=1),
}


def both(name, z, grad_out):
    """Return (output, gradient) of ours and of PyTorch's."""
    output, grad_in = np.empty_like(z), np.empty_like(z)
    activate(CODES[name], ALPHA, z, output)
    saved = z if CODES[name] in SAVES_INPUT else output
    activate_backward(CODES[name], ALPHA, saved, grad_out, grad_in)
    tensor = torch.tensor(z, requires_grad=True)
    peer = PEERS[name](tensor)
    peer.backward(torch.tensor(grad_out))
    return (output, grad_in), (peer.detach().numpy(), tensor.grad.numpy())


def test_every_activation_has_its_peer():
    assert PEERS.keys() == CODES.keys()


@pytest.mark.parametrize("name", CODES)
def test_outputs_and_gradients_agree(name):
    rng = np.random.default_rng(0)
    z = (rng.standard_normal((64, 33)) * 3).astype(np.float32)
    grad_out = rng.standard_normal((64, 33)).astype(np.float32)
    for ours, theirs in zip(*both(name, z, grad_out), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", CODES)
def test_kinks_infinities_and_nan_agree(name):
    # PyTorch's exact gelu is NaN at infinity; ours is infinite there.
    far = 1e3 if name == "gelu" else np.inf
    z = np.array([[0.0], [-0.0], [far], [-far], [np.nan]], np.float32)
    z = np.concatenate([z, np.ones_like(z)], axis=1)
    (ours, our_grad), (theirs, their_grad) = both(name, z, np.ones_like(z))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(our_grad[:2], their_grad[:2], rtol=1e-6, atol=1e-7)


def test_a_wrong_derivative_is_found():
    z = np.linspace(-3, 3, 64, dtype=np.float32).reshape(8, 8)
    (_, exact), _ = both("gelu", z, np.ones_like(z))
    _, (_, approximate) = both("gelu_tanh", z, np.ones_like(z))
    assert not np.allclose(exact, approximate, rtol=1e-5, atol=2e-6)
