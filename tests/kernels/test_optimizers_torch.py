"""The optimizers and the clipping, step by step against PyTorch's."""

import numpy as np
import pytest

from fastinit.kernels import gradients, optimizers
from tests.frameworks import require

torch = require("torch")

STEPS, SIZE = 15, 40
SGD, ADAGRAD, RMSPROP, ADAM = (
    optimizers.SGD,
    optimizers.ADAGRAD,
    optimizers.RMSPROP,
    optimizers.ADAM,
)
# PyTorch's optimizer and its arguments; ours: code, hyperparameters, arrays, options
CASES = [
    (torch.optim.SGD, {}, SGD, (0.0, 0), 0, {}),
    (torch.optim.SGD, {"momentum": 0.9}, SGD, (0.9, 0), 1, {}),
    (torch.optim.SGD, {"momentum": 0.6, "nesterov": True}, SGD, (0.6, 1), 1, {}),
    (torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.2}, SGD, (0.9, 0), 1, {"l2": 0.1}),
    (torch.optim.Adagrad, {}, ADAGRAD, (1e-10, 1), 1, {}),
    (torch.optim.Adagrad, {"eps": 0.01, "weight_decay": 0.2}, ADAGRAD, (0.01, 1), 1, {"l2": 0.1}),
    (torch.optim.RMSprop, {}, RMSPROP, (0.99, 0.0, 1e-8, 1), 1, {}),
    (
        torch.optim.RMSprop,
        {"alpha": 0.9, "momentum": 0.8, "eps": 0.01},
        RMSPROP,
        (0.9, 0.8, 0.01, 1),
        2,
        {},
    ),
    (torch.optim.Adam, {}, ADAM, (0.9, 0.999, 1e-8, 0), 2, {}),
    (torch.optim.Adam, {"betas": (0.5, 0.8), "eps": 0.1}, ADAM, (0.5, 0.8, 0.1, 0), 2, {}),
    (torch.optim.Adam, {"weight_decay": 0.2}, ADAM, (0.9, 0.999, 1e-8, 0), 2, {"l2": 0.1}),
    (torch.optim.AdamW, {}, ADAM, (0.9, 0.999, 1e-8, 0), 2, {"weight_decay": 0.01}),
    (
        torch.optim.AdamW,
        {"weight_decay": 0.5, "betas": (0.7, 0.99)},
        ADAM,
        (0.7, 0.99, 1e-8, 0),
        2,
        {"weight_decay": 0.5},
    ),
]


def problem(dtype):
    rng = np.random.default_rng(0)
    return rng.standard_normal(SIZE).astype(dtype), rng.standard_normal((STEPS, SIZE)).astype(dtype)


def torch_steps(kind, arguments, dtype, rates):
    start, steps = problem(dtype)
    parameter = torch.tensor(start, requires_grad=True)
    optimizer = kind([parameter], lr=rates[0], **arguments)
    for rate, gradient in zip(rates, steps, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
        yield parameter.detach().numpy()


def our_steps(code, hyper, slots, options, dtype, rates):
    parameter, steps = problem(dtype)
    memory = [np.zeros_like(parameter) if i < slots else parameter[:0] for i in range(2)]
    numbers = {"l1": 0.0, "l2": 0.0, "weight_decay": 0.0, "scale": 1.0, "limit": np.inf} | options
    values = np.empty(optimizers.STEP_VALUES)
    for t, (rate, gradient) in enumerate(zip(rates, steps, strict=True), start=1):
        optimizers.prepare_step(code, np.array(hyper, float), t, rate, values)
        arrays = parameter, gradient, *memory
        optimizers.optimizer_step(code, values, *arrays, *numbers.values())
        yield parameter


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 1e-12)], ids=["float32", "float64"]
)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0].__name__}-{case[1]}")
def test_every_step_is_pytorchs(case, dtype, tolerance):
    kind, arguments, *ours = case
    rates = [0.02] * STEPS
    theirs = torch_steps(kind, arguments, dtype, rates)
    for got, expected in zip(our_steps(*ours, dtype, rates), theirs, strict=True):
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def last(steps):
    return list(steps)[-1]


@pytest.mark.parametrize(
    ("kind", "arguments", "ours"),
    [
        (torch.optim.Adagrad, {"eps": 0.01}, (ADAGRAD, (0.01, 0), 1, {})),
        (torch.optim.RMSprop, {"eps": 0.01}, (RMSPROP, (0.99, 0.0, 0.01, 0), 1, {})),
        (torch.optim.Adam, {"eps": 0.01}, (ADAM, (0.9, 0.999, 0.01, 1), 2, {})),
    ],
)
def test_the_other_place_of_epsilon_is_told_apart(kind, arguments, ours):
    rates = [0.02] * STEPS
    got, expected = (
        last(our_steps(*ours, float, rates)),
        last(torch_steps(kind, arguments, float, rates)),
    )
    assert np.abs(got - expected).max() > 1e-4


def test_momentum_differs_where_the_rate_changes_and_a_buffer_can_be_scaled():
    rates = [0.02] * 5 + [0.01] * (STEPS - 5)
    expected = last(torch_steps(torch.optim.SGD, {"momentum": 0.9}, float, rates))
    assert np.abs(last(our_steps(SGD, (0.9, 0), 1, {}, float, rates)) - expected).max() > 1e-3
    parameter, steps = problem(float)
    velocity = np.zeros_like(parameter)
    for t, (rate, gradient) in enumerate(zip(rates, steps, strict=True)):
        velocity *= rate / rates[max(t - 1, 0)]
        optimizers.momentum_step(parameter, gradient, velocity, rate, 0.9)
    np.testing.assert_allclose(parameter, expected, rtol=1e-12)


@pytest.mark.parametrize("limit", [0.5, 1e3])
def test_clipping_is_pytorchs(limit):
    (_, (gradient, *_)) = problem(np.float32)
    parameter = torch.zeros(SIZE)
    parameter.grad = torch.tensor(gradient)
    norm = torch.nn.utils.clip_grad_norm_([parameter], limit)
    ours = gradient.copy()
    assert gradients.clip_by_global_norm(ours, limit) == pytest.approx(norm.item(), rel=1e-6)
    np.testing.assert_allclose(ours, parameter.grad.numpy(), rtol=2e-6)

    parameter.grad = torch.tensor(gradient)
    torch.nn.utils.clip_grad_value_([parameter], limit)
    gradients.clip_by_value(gradient, limit)
    np.testing.assert_array_equal(gradient, parameter.grad.numpy())
