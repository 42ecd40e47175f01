"""Recurrent layers, forward and back through time: sizes are (rows, steps, features, units).

The result of a forward pass is the hidden states of all steps, that of a backward pass the
gradients of inputs, kernel, recurrent kernel and bias. The blocks of the gates stand in fastinit's
and Keras' order: i, f, c, o and z, r, h.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from cases import Run, case, empty, jax_call, normal, table, torch

SIZES = [(4, 8, 16, 16), (32, 64, 64, 64)]
GATES = {"rnn": 1, "lstm": 4, "gru": 3}
Size = tuple[int, int, int, int]


class Layer:
    def __init__(self, kind: str, size: Size) -> None:
        rows, steps, features, units = size
        wide = GATES[kind] * units
        self.rows, self.steps, self.units, self.wide = rows, steps, units, wide
        self.x = normal((rows, steps, features), 0.0, 1.0, 0)
        self.kernel = normal((features, wide), 0.0, 0.2, 1)
        self.recurrent = normal((units, wide), 0.0, 0.2, 2)
        self.bias = normal((2, wide) if kind == "gru" else wide, 0.0, 0.2, 3)
        self.grad = normal((rows, steps, units), 0.0, 1.0, 4)
        self.hidden = empty((rows, steps, units))
        self.gates = empty((rows, steps, 4 * units))
        self.cells = empty(self.hidden.shape)

    @property
    def parameters(self) -> tuple[np.ndarray, ...]:
        return self.kernel, self.recurrent, self.bias


# ---------------------------------------------------------------- fastinit


def ours(kind: str, size: Size) -> Run:
    from fastinit import kernels

    a = Layer(kind, size)
    forward = getattr(kernels, f"{kind}_forward")
    arrays = {
        "rnn": (False, a.hidden),
        "lstm": (a.gates, a.cells, a.hidden),
        "gru": (a.gates, a.hidden),
    }[kind]

    def run() -> np.ndarray:
        forward(a.x, *a.parameters, *arrays)
        return a.hidden

    run.layer = a
    return run


def ours_backward(kind: str, size: Size) -> Run:
    from fastinit import kernels

    forward = ours(kind, size)
    forward()
    a = forward.layer
    saved, gates = a.gates.copy(), a.gates if kind != "rnn" else empty(a.hidden.shape)
    workspace = np.empty(a.recurrent.size + 2 * a.rows * a.units, np.float32)
    out = tuple(empty(v.shape) for v in (a.x, *a.parameters))
    rows = len(a.kernel) + a.units + 1

    def run() -> tuple[np.ndarray, ...]:
        if kind == "rnn":
            kernels.rnn_backward(a.recurrent, False, a.hidden, a.grad, gates, workspace)
        else:
            np.copyto(gates, saved)  # overwritten by each call
            states = a.cells if kind == "lstm" else a.hidden
            backward = getattr(kernels, f"{kind}_backward")
            backward(a.recurrent, states, a.grad, gates, workspace)
        kernels.recurrent_backward_inputs(a.kernel, gates, out[0])
        kernels.recurrent_backward_parameters(a.x, a.hidden, gates, 0, rows, *out[1:])
        return out

    return run


# ---------------------------------------------------------------- NumPy
# All steps' inputs are projected at once; arrays are time-major, so that a step's is one block.


class Twin:
    """NumPy's layer: `gates` and `states` hold each step's, for the way back."""

    def __init__(self, kind: str, size: Size) -> None:
        self.layer = a = Layer(kind, size)
        self.x = np.ascontiguousarray(a.x.swapaxes(0, 1))
        self.step, self.step_back = STEPS[kind]
        self.z = np.empty((a.steps, a.rows, a.wide), np.float32)
        self.q = np.empty((a.steps, a.rows, a.units), np.float32)  # of a GRU
        self.hidden, self.cells = np.zeros((2, a.steps + 1, a.rows, a.units), np.float32)

    def forward(self) -> np.ndarray:
        a = self.layer
        np.matmul(self.x, a.kernel, out=self.z)
        self.z += a.bias.reshape(-1, a.wide)[0]
        for t in range(a.steps):
            self.step(self, t)
        return self.hidden[1:].swapaxes(0, 1)

    def backward(self) -> tuple[np.ndarray, ...]:
        """Return the gradients; `dz` are those of the inputs' share, `dr` of the hidden state's."""
        a = self.layer
        dz = empty(self.z.shape)
        dr = empty(self.z.shape) if a.bias.ndim == 2 else dz
        dh = np.zeros((a.rows, a.units), np.float32)
        self.dc = np.zeros_like(dh)
        grad = a.grad.swapaxes(0, 1)
        for t in reversed(range(a.steps)):
            dh += grad[t]
            kept = self.step_back(self, t, dh, dz[t], dr[t])
            np.matmul(dr[t], a.recurrent.T, out=dh)
            if kept is not None:
                dh += kept
        flat, flat_r = dz.reshape(-1, a.wide), dr.reshape(-1, a.wide)
        grad_bias = flat.sum(axis=0)
        if dr is not dz:
            grad_bias = np.stack([grad_bias, flat_r.sum(axis=0)])
        return (
            np.matmul(dz, a.kernel.T).swapaxes(0, 1),
            self.x.reshape(-1, len(a.kernel)).T @ flat,
            self.hidden[:-1].reshape(-1, a.units).T @ flat_r,
            grad_bias,
        )

    def block(self, array: np.ndarray, i: int) -> np.ndarray:
        units = self.layer.units
        return array[..., i * units : (i + 1) * units]


def sigmoid(z: np.ndarray) -> None:
    np.negative(z, out=z)
    np.exp(z, out=z)
    z += 1
    np.reciprocal(z, out=z)


def rnn_step(a: Twin, t: int) -> None:
    z = a.z[t]
    z += a.hidden[t] @ a.layer.recurrent
    np.tanh(z, out=a.hidden[t + 1])


def rnn_step_back(a: Twin, t: int, dh: Any, dz: Any, dr: Any) -> None:
    np.multiply(a.hidden[t + 1], a.hidden[t + 1], out=dz)
    np.subtract(1, dz, out=dz)
    dz *= dh


def lstm_step(a: Twin, t: int) -> None:
    z = a.z[t]
    z += a.hidden[t] @ a.layer.recurrent
    i, f, c, o = (a.block(z, k) for k in range(4))
    sigmoid(a.z[t, :, : 2 * a.layer.units])
    np.tanh(c, out=c)
    sigmoid(o)
    np.multiply(f, a.cells[t], out=a.cells[t + 1])
    a.cells[t + 1] += i * c
    np.tanh(a.cells[t + 1], out=a.hidden[t + 1])
    a.hidden[t + 1] *= o


def lstm_step_back(a: Twin, t: int, dh: Any, dz: Any, dr: Any) -> None:
    i, f, c, o = (a.block(a.z[t], k) for k in range(4))
    di, df, dc, do = (a.block(dz, k) for k in range(4))
    bent = np.tanh(a.cells[t + 1])
    np.multiply(dh, bent, out=do)
    do *= o * (1 - o)
    a.dc += dh * o * (1 - bent * bent)
    np.multiply(a.dc, c * i * (1 - i), out=di)
    np.multiply(a.dc, a.cells[t] * f * (1 - f), out=df)
    np.multiply(a.dc, i * (1 - c * c), out=dc)
    a.dc *= f


def gru_step(a: Twin, t: int) -> None:
    units = a.layer.units
    share = a.hidden[t] @ a.layer.recurrent
    share += a.layer.bias[1]
    gates, n = a.z[t, :, : 2 * units], a.block(a.z[t], 2)
    gates += share[:, : 2 * units]
    sigmoid(gates)
    z, r = a.block(gates, 0), a.block(gates, 1)
    a.q[t] = a.block(share, 2)
    n += r * a.q[t]
    np.tanh(n, out=n)
    np.subtract(a.hidden[t], n, out=a.hidden[t + 1])
    a.hidden[t + 1] *= z
    a.hidden[t + 1] += n


def gru_step_back(a: Twin, t: int, dh: Any, dz: Any, dr: Any) -> np.ndarray:
    z, r, n = (a.block(a.z[t], k) for k in range(3))
    d_update, d_reset, d_new = (a.block(dz, k) for k in range(3))
    np.multiply(dh, (a.hidden[t] - n) * z * (1 - z), out=d_update)
    np.multiply(dh, (1 - z) * (1 - n * n), out=d_new)
    np.multiply(d_new, a.q[t] * r * (1 - r), out=d_reset)
    dr[:] = dz
    a.block(dr, 2)[:] = d_new * r
    return dh * z


STEPS = {
    "rnn": (rnn_step, rnn_step_back),
    "lstm": (lstm_step, lstm_step_back),
    "gru": (gru_step, gru_step_back),
}


def numpy(kind: str, size: Size) -> Run:
    return Twin(kind, size).forward


def numpy_backward(kind: str, size: Size) -> Run:
    twin = Twin(kind, size)
    twin.forward()
    return twin.backward


# ---------------------------------------------------------------- PyTorch and JAX


def in_torch(kind: str, a: Layer) -> Any:
    """Return PyTorch's layer with these weights; its GRU's gates stand in the order r, z, h."""
    layer = getattr(torch().nn, kind.upper())(len(a.kernel), a.units, batch_first=True)
    order = [1, 0, 2] if kind == "gru" else range(GATES[kind])
    biases = a.bias if kind == "gru" else (a.bias, np.zeros_like(a.bias))
    with torch().no_grad():
        for parameter, value in zip(
            layer.parameters(), (a.kernel, a.recurrent, *biases), strict=True
        ):
            blocks = np.split(value, GATES[kind], axis=-1)
            value = np.concatenate([blocks[i] for i in order], axis=-1)
            parameter.copy_(torch().from_numpy(np.ascontiguousarray(value.T)))
    return layer


def pytorch(kind: str, size: Size) -> Run:
    a = Layer(kind, size)
    layer, x = in_torch(kind, a), torch().from_numpy(a.x)
    return torch().inference_mode()(lambda: layer(x)[0].numpy())


def pytorch_backward(kind: str, size: Size) -> Run:
    a = Layer(kind, size)
    layer, x, grad = in_torch(kind, a), torch().from_numpy(a.x), torch().from_numpy(a.grad)
    leaves = [x.requires_grad_(), *layer.parameters()]
    out = layer(x)[0]

    def run() -> tuple[Any, ...]:
        d_x, *found = torch().autograd.grad(out, leaves, grad, retain_graph=True)
        blocks = [np.split(d.numpy().T, GATES[kind], axis=-1) for d in found]
        order = [1, 0, 2] if kind == "gru" else range(GATES[kind])
        d_kernel, d_recurrent, *d_bias = (
            np.concatenate([parts[i] for i in order], axis=-1) for parts in blocks
        )
        return d_x, d_kernel, d_recurrent, np.stack(d_bias) if kind == "gru" else d_bias[0]

    return run


def in_jax(kind: str, x: Any, kernel: Any, recurrent: Any, bias: Any) -> Any:
    import jax
    from jax import numpy as jnp

    def rnn(state: Any, z: Any) -> Any:
        h = jnp.tanh(z + state[0] @ recurrent)
        return (h, h), h

    def lstm(state: Any, z: Any) -> Any:
        i, f, c, o = jnp.split(z + state[0] @ recurrent, 4, axis=-1)
        cell = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jnp.tanh(c)
        h = jax.nn.sigmoid(o) * jnp.tanh(cell)
        return (h, cell), h

    def gru(state: Any, a: Any) -> Any:
        (az, ar, an), h = jnp.split(a, 3, axis=-1), state[0]
        bz, br, bn = jnp.split(h @ recurrent + bias[1], 3, axis=-1)
        z, r = jax.nn.sigmoid(az + bz), jax.nn.sigmoid(ar + br)
        h = z * h + (1 - z) * jnp.tanh(an + r * bn)
        return (h, h), h

    zeros = jnp.zeros((len(x), recurrent.shape[0]), x.dtype)
    inputs = jnp.swapaxes(x, 0, 1) @ kernel + bias.reshape(-1, kernel.shape[1])[0]
    step = {"rnn": rnn, "lstm": lstm, "gru": gru}[kind]
    return jnp.swapaxes(jax.lax.scan(step, (zeros, zeros), inputs)[1], 0, 1)


def jax(kind: str, size: Size) -> Run:
    a = Layer(kind, size)
    return jax_call(partial(in_jax, kind), a.x, *a.parameters)


def jax_backward(kind: str, size: Size) -> Run:
    import jax

    a = Layer(kind, size)
    x = jax.numpy.asarray(a.x), *map(jax.numpy.asarray, a.parameters)
    _, back = jax.vjp(partial(in_jax, kind), *x)
    return jax_call(back, a.grad)


FORWARD = {"fastinit": ours, "NumPy": numpy, "PyTorch": pytorch, "JAX": jax}
BACKWARD = {
    "fastinit": ours_backward,
    "NumPy": numpy_backward,
    "PyTorch": pytorch_backward,
    "JAX": jax_backward,
}

CASES = table(
    [case(kind, FORWARD, kind) for kind in GATES]
    + [case(f"{kind}_backward", BACKWARD, kind) for kind in GATES]
)
