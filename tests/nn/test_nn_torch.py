"""Equal networks in PyTorch: outputs, gradients, losses and whole trainings."""

import architectures
import numpy as np
import pytest

from fastinit import nn
from tests.frameworks import require

torch = require("torch")
F = torch.nn.functional

ACTIVATIONS = {
    "linear": lambda z: z,
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
    "gelu_tanh": lambda z: F.gelu(z, approximate="tanh"),
    "silu": F.silu,
    "softplus": F.softplus,
    "mish": F.mish,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softmax": lambda z: F.softmax(z, dim=-1),
    "log_softmax": lambda z: F.log_softmax(z, dim=-1),
}


class Twin:
    """A network's layers in PyTorch, with its parameters in the network's own layout."""

    def __init__(self, network):
        self.layers, self.loss = network.layers, network.loss
        self.parameters = [
            {
                name: torch.tensor(getattr(layer, name), requires_grad=layer.trainable)
                for name in layer.parameter_shapes(shape)
            }
            for layer, shape in zip(network.layers, network.shapes, strict=True)
        ]

    def all(self):
        return [p for group in self.parameters for p in group.values() if p.requires_grad]

    def outputs(self, x, training):
        x = torch.tensor(x)
        for layer, parameters in zip(self.layers, self.parameters, strict=True):
            x = self.through(layer, parameters, x, training)
        return x

    def through(self, layer, p, x, training):
        if isinstance(layer, nn.Dense):
            return ACTIVATIONS[layer.activation](F.linear(x, p["kernel"].T, p.get("bias")))
        if isinstance(layer, nn.Activation):
            if layer.activation in ("leaky_relu", "elu"):
                return getattr(F, layer.activation)(x, layer.alpha)
            return ACTIVATIONS[layer.activation](x)
        if isinstance(layer, nn.BatchNorm):
            moving = (torch.tensor(a) for a in (layer.moving_mean, layer.moving_variance))
            flat = x.reshape(-1, x.shape[-1])
            learns = training and layer.trainable
            flat = F.batch_norm(
                flat, *moving, p.get("gamma"), p.get("beta"), learns, 0.0, layer.epsilon
            )
            return flat.reshape(x.shape)
        if isinstance(layer, nn.LayerNorm):
            return F.layer_norm(x, x.shape[-1:], p.get("gamma"), p.get("beta"), layer.epsilon)
        return self.recurrent(layer, p, x)

    def recurrent(self, layer, p, x):
        kernels = [p["kernel"].T, p["recurrent_kernel"].T]
        biases = [torch.zeros(len(kernels[0]), dtype=x.dtype)] * 2
        if "bias" in p:  # PyTorch has two of them, which for RNN and LSTM are added
            biases = list(p["bias"]) if isinstance(layer, nn.GRU) else [p["bias"], biases[0]]
        state = torch.zeros(1, len(x), layer.units, dtype=x.dtype)
        options = (True, 1, 0.0, False, False, True)
        if isinstance(layer, nn.LSTM):
            out = torch.lstm(x, (state, state), kernels + biases, *options)[0]
        elif isinstance(layer, nn.GRU):  # z, r, h here, and r, z, h there
            order = torch.arange(3 * layer.units).reshape(3, -1)[[1, 0, 2]].ravel()
            swapped = [w[order] for w in kernels + biases]
            out = torch.gru(x, state, swapped, *options)[0]
        else:
            function = torch.rnn_tanh if layer.activation == "tanh" else torch.rnn_relu
            out = function(x, state, kernels + biases, *options)[0]
        return out if layer.return_sequences else out[:, -1]

    def mean_loss(self, x, y):
        """Return the loss with the penalties; the last layer is linear."""
        out, loss = self.outputs(x, training=True), self.loss
        smoothing = getattr(loss, "label_smoothing", 0.0)
        y = torch.tensor(y)
        if loss.name == "categorical_crossentropy":
            mean = F.cross_entropy(out, y, label_smoothing=smoothing)
        elif loss.name == "binary_crossentropy":
            target = y.to(out.dtype) * (1 - smoothing) + smoothing / 2
            mean = F.binary_cross_entropy_with_logits(out, target)
        elif loss.name == "huber":
            mean = F.huber_loss(out, y.to(out.dtype), delta=loss.delta)
        else:
            function = F.l1_loss if loss.name == "mean_absolute_error" else F.mse_loss
            mean = function(out, y.to(out.dtype))
        for layer, parameters in zip(self.layers, self.parameters, strict=True):
            penalty = getattr(layer, "kernel_regularizer", None)
            if penalty is not None:
                kernel = parameters["kernel"]
                mean = mean + penalty.l1 * kernel.abs().sum() + penalty.l2 * (kernel**2).sum()
        return mean


def without_dropout(name, loss="mean_squared_error", dtype=np.float32, optimizer="adam"):
    shape, layers = architectures.NETWORKS[name]
    layers = [layer for layer in layers() if not isinstance(layer, nn.Dropout)]
    network = architectures.prepared(layers, shape, loss, optimizer, dtype)
    for layer in network.layers:
        if isinstance(layer, nn.BatchNorm):
            layer.moving_mean += 0.3
            layer.moving_variance *= 1.5
    return network


def data(network, count):
    x, y = architectures.examples(network, count)
    return x.astype(network.dtype), y


def assert_near(got, expected, tolerance, scale=0.0):
    """Compare in relation to the norm of what is expected, or a scale where that is next to 0."""
    expected = expected.detach().numpy()
    assert np.linalg.norm(got - expected) <= tolerance * max(np.linalg.norm(expected), scale)


def compare(network, tolerance=1e-5):
    x, y = data(network, 33)
    twin = Twin(network)
    assert_near(network.predict(x), twin.outputs(x, training=False), tolerance)
    twin.mean_loss(x, y).backward()
    scale = 0.1 * max(p.grad.norm().item() for p in twin.all())
    for ours, theirs in zip(network.gradients(x, y), twin.parameters, strict=True):
        for name, parameter in theirs.items():
            if parameter.requires_grad:
                assert_near(ours[name], parameter.grad, tolerance, scale)


@pytest.mark.parametrize("name", architectures.NETWORKS)
def test_outputs_and_gradients(name):
    compare(without_dropout(name))


def test_a_wrong_order_of_gates_would_be_seen():
    network = without_dropout("gru")
    x, _ = data(network, 5)
    twin = Twin(network)
    with torch.no_grad():
        kernel = twin.parameters[0]["kernel"]
        kernel[:] = kernel.reshape(2, 3, 6)[:, [1, 0, 2]].reshape(2, 18)
    with pytest.raises(AssertionError):
        assert_near(network.predict(x), twin.outputs(x, training=False), 1e-3)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation):
    layers = [nn.Dense(9, activation), nn.Dense(7), nn.Activation(activation), nn.Dense(2)]
    compare(architectures.prepared(layers, (4,), dtype=np.float32))


@pytest.mark.parametrize(
    "loss",
    [
        nn.CategoricalCrossentropy(),
        nn.CategoricalCrossentropy(0.1),
        nn.BinaryCrossentropy(),
        nn.BinaryCrossentropy(0.1),
        nn.MeanAbsoluteError(),
        nn.Huber(0.7),
    ],
)
def test_every_loss(loss):
    compare(without_dropout("layer_norm", loss))


OPTIMIZERS = [
    (nn.SGD(0.05), lambda p: torch.optim.SGD(p, 0.05)),
    (
        nn.SGD(0.05, momentum=0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
    ),
    # The definitions differ in where epsilon is added, and agree where there is next to none.
    (nn.Adam(0.01, epsilon=1e-14), lambda p: torch.optim.Adam(p, 0.01, eps=1e-14)),
    (
        nn.AdamW(0.01, weight_decay=0.1, epsilon=1e-14),
        lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1, eps=1e-14),
    ),
    (
        nn.RMSprop(0.01, epsilon=1e-28),
        lambda p: torch.optim.RMSprop(p, 0.01, alpha=0.9, eps=1e-14),
    ),
]


@pytest.mark.parametrize("name", ["dense", "batch_norm", "layer_norm", "frozen", "lstm", "gru"])
def test_ten_steps_of_every_optimizer(name):
    # Parameters in front of a batch normalization that have no effect have noise for a gradient,
    # which the others turn into steps.
    for ours, theirs in OPTIMIZERS[:2] if name == "batch_norm" else OPTIMIZERS:
        network = without_dropout(name, dtype=np.float64, optimizer=ours)
        train_both(network, theirs, tolerance=1e-5)


def test_ten_steps_in_float32():
    network = without_dropout("dense", optimizer=nn.SGD(0.05))
    train_both(network, OPTIMIZERS[0][1], tolerance=1e-5)


def test_clipping_by_the_norm():
    network = without_dropout(
        "frozen", dtype=np.float64, optimizer=nn.SGD(1.0, global_clipnorm=0.1)
    )
    train_both(network, lambda p: torch.optim.SGD(p, 1.0), 1e-5, norm=0.1)


def train_both(network, optimizer, tolerance, norm=None):
    """Train on batches of 8, 8 and 4 examples; compare losses and parameters."""
    x, y = data(network, 20)
    twin = Twin(network)
    stepper = optimizer(twin.all())
    history = network.fit(x, y, epochs=4, batch_size=8, shuffle=False, verbose=0).history["loss"]
    for epoch in range(4):
        total = 0.0
        for start in range(0, 20, 8):
            rows = slice(start, start + 8)
            stepper.zero_grad()
            loss = twin.mean_loss(x[rows], y[rows])
            loss.backward()
            if norm is not None:
                torch.nn.utils.clip_grad_norm_(twin.all(), norm)
            stepper.step()
            total += loss.item() * len(x[rows])
        assert history[epoch] == pytest.approx(total / 20, rel=tolerance)
    for layer, parameters in zip(network.layers, twin.parameters, strict=True):
        for name, parameter in parameters.items():
            assert_near(getattr(layer, name), parameter, tolerance, 1e-2)
