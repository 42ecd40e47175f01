"""Dense layers: sizes are (rows, inputs, units)."""

from __future__ import annotations

from typing import Any

import numpy as np

from cases import Case, Run, empty, jax_call, normal, table, torch

SIZES = [(32, 64, 64), (128, 784, 512)]


def arrays(size: tuple[int, int, int]) -> tuple[np.ndarray, ...]:
    """Return inputs, kernel, bias and the gradient of the outputs."""
    rows, inputs, units = size
    shapes = (rows, inputs), (inputs, units), (units,), (rows, units)
    return tuple(normal(shape, 0.0, 0.1, i) for i, shape in enumerate(shapes))


# ---------------------------------------------------------------- forward, with relu


def ours_forward(size: Any) -> Run:
    from fastinit.kernels import RELU, dense_forward

    x, kernel, bias, out = arrays(size)

    def run() -> np.ndarray:
        dense_forward(x, kernel, bias, out, RELU)
        return out

    return run


def numpy_forward(size: Any) -> Run:
    x, kernel, bias, out = arrays(size)

    def run() -> np.ndarray:
        np.matmul(x, kernel, out=out)
        np.add(out, bias, out=out)
        return np.maximum(out, 0, out=out)

    return run


def torch_forward(size: Any) -> Run:
    functional = torch().nn.functional
    x, kernel, bias, _ = (torch().from_numpy(a) for a in arrays(size))
    kernel = kernel.T.contiguous()
    return torch().inference_mode()(
        lambda: functional.relu_(functional.linear(x, kernel, bias)).numpy()
    )


def jax_forward(size: Any) -> Run:
    import jax

    return jax_call(lambda x, kernel, bias: jax.nn.relu(x @ kernel + bias), *arrays(size)[:3])


# ---------------------------------------------------------------- backward


def ours_backward(size: Any) -> Run:
    from fastinit.kernels import dense_backward

    x, kernel, bias, grad = arrays(size)
    out = empty(x.shape), empty(kernel.shape), empty(bias.shape)

    def run() -> tuple[np.ndarray, ...]:
        dense_backward(x, kernel, grad, *out)
        return out

    return run


def numpy_backward(size: Any) -> Run:
    x, kernel, bias, grad = arrays(size)
    out = empty(x.shape), empty(kernel.shape), empty(bias.shape)

    def run() -> tuple[np.ndarray, ...]:
        np.matmul(grad, kernel.T, out=out[0])
        np.matmul(x.T, grad, out=out[1])
        grad.sum(axis=0, out=out[2])
        return out

    return run


def torch_backward(size: Any) -> Run:
    x, kernel, bias, grad = (torch().from_numpy(a) for a in arrays(size))
    leaves = [a.requires_grad_() for a in (x, kernel, bias)]
    out = torch().addmm(bias, x, kernel)
    return lambda: torch().autograd.grad(out, leaves, grad, retain_graph=True)


def jax_backward(size: Any) -> Run:
    x, kernel, _, grad = arrays(size)
    return jax_call(lambda x, k, g: (g @ k.T, x.T @ g, g.sum(0)), x, kernel, grad)


CASES = table(
    [
        Case(
            "forward",
            {
                "fastinit": ours_forward,
                "NumPy": numpy_forward,
                "PyTorch": torch_forward,
                "JAX": jax_forward,
            },
        ),
        Case(
            "backward",
            {
                "fastinit": ours_backward,
                "NumPy": numpy_backward,
                "PyTorch": torch_backward,
                "JAX": jax_backward,
            },
        ),
    ]
)
