"""Recurrent layers against PyTorch's, by the mapping of weights that the kernels' module states."""

import naive_recurrent
import numpy as np
import pytest
from naive_recurrent import BLOCKS

from tests.frameworks import require

torch = require("torch")


def torch_order(cell, parameter):
    """Blocks of columns in PyTorch's order; the mapping is its own inverse."""
    if cell != "gru":
        return parameter
    z, r, h = np.split(parameter, 3, axis=-1)
    return np.concatenate([r, z, h], axis=-1)


def torch_layer(cell, kernel, recurrent_kernel, bias):
    features, units = len(kernel), len(recurrent_kernel)
    make = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}.get(cell, torch.nn.RNN)
    options = {"nonlinearity": cell} if make is torch.nn.RNN else {}
    layer = make(features, units, batch_first=True, **options)
    bias_ih, bias_hh = bias if cell == "gru" else (bias, np.zeros_like(bias))
    ours = {"weight_ih_l0": kernel.T, "weight_hh_l0": recurrent_kernel.T}
    ours |= {"bias_ih_l0": bias_ih, "bias_hh_l0": bias_hh}
    state = {
        name: torch.tensor(np.ascontiguousarray(torch_order(cell, value.T).T))
        for name, value in ours.items()
    }
    layer.load_state_dict(state)
    return layer


@pytest.mark.parametrize("cell", BLOCKS)
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (3, 12, 5, 20), (8, 30, 16, 33)])
@pytest.mark.parametrize("last_only", [False, True])
def test_agrees_with_pytorch(cell, sizes, last_only):
    batch, time, features, units = sizes
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, time, features)).astype(np.float32)
    grad_hidden = rng.standard_normal((batch, time, units)).astype(np.float32)
    if last_only:
        grad_hidden[:, :-1] = 0
    given = naive_recurrent.parameters(cell, features, units, np.float32)
    layer, inputs = torch_layer(cell, *given), torch.tensor(x, requires_grad=True)
    output = layer(inputs)[0]
    output.backward(torch.tensor(grad_hidden))

    hidden = naive_recurrent.forward(cell, x, *given)[0]
    np.testing.assert_allclose(hidden, output.detach().numpy(), rtol=1e-5, atol=1e-5)
    grads = dict(layer.named_parameters())
    biases = grads["bias_ih_l0"].grad, grads["bias_hh_l0"].grad
    expected = [inputs.grad.numpy()]
    expected += [
        torch_order(cell, grads[name].grad.numpy().T) for name in ("weight_ih_l0", "weight_hh_l0")
    ]
    expected.append(torch_order(cell, np.stack(biases)) if cell == "gru" else biases[0].numpy())
    got = naive_recurrent.gradients(cell, x, *given, grad_hidden)
    for ours, theirs in zip(got, expected, strict=True):
        scale = max(1.0, np.abs(theirs).max())
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * scale)
