"""The losses against PyTorch's, and how its weighted mean differs."""

import numpy as np
import pytest

from fastinit.kernels import losses
from tests.frameworks import require

torch = require("torch")
functional = torch.nn.functional


def batch(dtype, shape=(33, 6)):
    rng = np.random.default_rng(3)
    output = (3 * rng.standard_normal(shape)).astype(dtype)
    values = rng.standard_normal(shape).astype(dtype)
    yes = rng.integers(0, 2, shape).astype(dtype)
    return output, values, yes, rng.integers(0, shape[1], shape[0])


CLASS_WEIGHTS = np.array([0.5, 2.0, 1.0, 3.0, 0.25, 1.5])


def agree(kernel, reference, output, target, *arguments, factor=1.0):
    leaf = torch.tensor(output, requires_grad=True)
    expected = factor * reference(leaf, torch.tensor(target))
    expected.backward()
    grad = np.empty_like(output)
    value = kernel(output, target, grad, *arguments)
    narrow = output.dtype == np.float32
    assert value == pytest.approx(expected.item(), rel=1e-5 if narrow else 1e-13)
    tolerance = {"rtol": 1e-5, "atol": 1e-7} if narrow else {"rtol": 1e-11, "atol": 1e-15}
    np.testing.assert_allclose(grad, leaf.grad.numpy(), **tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_with_torch(dtype):
    output, values, yes, labels = batch(dtype)
    agree(losses.mean_squared_error, functional.mse_loss, output, values)
    agree(losses.mean_absolute_error, functional.l1_loss, output, values)
    for delta in (1.0, 0.3):
        agree(
            losses.huber,
            lambda o, t, d=delta: functional.huber_loss(o, t, delta=d),
            output,
            values,
            delta,
        )
    binary = losses.binary_crossentropy_from_logits
    torch_binary = functional.binary_cross_entropy_with_logits
    for smoothing in (0.0, 0.2):
        agree(
            binary,
            lambda o, t, s=smoothing: torch_binary(o, t * (1 - s) + s / 2),
            output,
            yes,
            smoothing,
        )
        agree(
            losses.categorical_crossentropy_from_logits,
            lambda o, t, s=smoothing: functional.cross_entropy(o, t, label_smoothing=s),
            output,
            labels,
            smoothing,
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights(dtype):
    output, _, yes, labels = batch(dtype)
    tensor = torch.tensor(CLASS_WEIGHTS.astype(dtype))
    categorical = losses.categorical_crossentropy_from_logits
    weighted = CLASS_WEIGHTS[labels]
    # PyTorch divides by the sum of the weights, Keras and we by the number of rows.
    agree(
        categorical,
        lambda o, t: functional.cross_entropy(o, t, weight=tensor),
        output, labels, 0.0, CLASS_WEIGHTS,
        factor=weighted.sum() / len(labels),
    )  # fmt: skip
    # With smoothing a row has here the weight of its label.
    rows = torch.tensor(weighted.astype(dtype))
    agree(
        categorical,
        lambda o, t: (
            rows * functional.cross_entropy(o, t, label_smoothing=0.1, reduction="none")
        ).mean(),
        output, labels, 0.1, CLASS_WEIGHTS,
    )  # fmt: skip
    agree(
        losses.binary_crossentropy_from_logits,
        lambda o, t: functional.binary_cross_entropy_with_logits(
            o, t, pos_weight=torch.tensor(3.0, dtype=o.dtype)
        ),
        output, yes, 0.0, np.array([1.0, 3.0]),
    )  # fmt: skip


def test_with_smoothing_torch_weights_each_share_of_the_target():
    output, _, _, labels = batch(np.float64)
    weighted = CLASS_WEIGHTS[labels]
    ours = losses.categorical_crossentropy_from_logits(
        output, labels, np.empty_like(output), 0.1, CLASS_WEIGHTS
    ) * (len(labels) / weighted.sum())
    theirs = functional.cross_entropy(
        torch.tensor(output), torch.tensor(labels), torch.tensor(CLASS_WEIGHTS), label_smoothing=0.1
    ).item()
    shares = 0.9 * np.eye(6)[labels] + 0.1 / 6
    logs = output - np.logaddexp.reduce(output, axis=1, keepdims=True)
    documented = -(shares * CLASS_WEIGHTS * logs).sum() / weighted.sum()
    assert theirs == pytest.approx(documented, rel=1e-12)
    assert abs(ours - theirs) > 1e-3 * theirs


def test_extreme_and_infinite_logits():
    logits = np.array([[1e4, -1e4, 0.0], [88.0, -104.0, 3.0]], np.float32)
    for label in range(3):
        agree(
            losses.categorical_crossentropy_from_logits,
            functional.cross_entropy,
            logits,
            np.array([label, label]),
        )
    target = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]], np.float32)
    agree(
        losses.binary_crossentropy_from_logits,
        functional.binary_cross_entropy_with_logits,
        logits,
        target,
    )
    excluded = np.array([[0.0, 1.0, -np.inf]])
    agree(
        losses.categorical_crossentropy_from_logits,
        functional.cross_entropy,
        excluded,
        np.array([0]),
    )
