"""Networks with every kind of layer, and finite differences of their losses."""

import numpy as np
from hypothesis import strategies as st

from fastinit import nn
from fastinit.nn.compiled import engine
from fastinit.nn.passes import Pass
from fastinit.nn.training import batch_of, target_of

PENALTY = nn.Regularizer(l1=0.01, l2=0.02)

# Name to (shape of an example, layers): every kind of layer, with and without its options.
NETWORKS = {
    "dense": (
        (4,),
        lambda: [
            nn.Dense(13, "gelu", kernel_regularizer=PENALTY),
            nn.Dense(9, "softmax", use_bias=False, kernel_regularizer=PENALTY),
            nn.Dense(3),
        ],
    ),
    "batch_norm": (
        (4,),
        lambda: [
            nn.BatchNorm(scale=False),
            nn.Dense(21, use_bias=False),
            nn.BatchNorm(),
            nn.Activation("leaky_relu", 0.2),
            nn.Dropout(0.3),
            nn.Dense(5, "tanh"),
            nn.BatchNorm(center=False),
            nn.BatchNorm(center=False, scale=False),
            nn.Dense(3),
        ],
    ),
    "layer_norm": (
        (4,),
        lambda: [
            nn.LayerNorm(),
            nn.Dense(18, "mish"),
            nn.LayerNorm(center=False),
            nn.Activation("selu"),
            nn.Dropout(0.5),
            nn.LayerNorm(scale=False),
            nn.Dense(3),
        ],
    ),
    "frozen": (
        (4,),
        lambda: [
            nn.Dense(7, "tanh", trainable=False),
            nn.Dense(8, "silu"),
            nn.BatchNorm(trainable=False),
            nn.Dense(5, "elu", trainable=False, kernel_regularizer=PENALTY),
            nn.LayerNorm(trainable=False),
            nn.Dense(3),
        ],
    ),
    "rnn": (
        (5, 2),
        lambda: [
            nn.RNN(7, return_sequences=True, kernel_regularizer=PENALTY),
            nn.Dropout(0.2),
            nn.RNN(4, "relu", use_bias=False),
            nn.Dense(3),
        ],
    ),
    "lstm": (
        (5, 2),
        lambda: [
            nn.Dense(3, "tanh"),
            nn.LSTM(6, return_sequences=True),
            nn.BatchNorm(),
            nn.LSTM(5, use_bias=False, kernel_regularizer=PENALTY),
            nn.Dense(3),
        ],
    ),
    "gru": (
        (5, 2),
        lambda: [
            nn.GRU(6, return_sequences=True, use_bias=False),
            nn.LayerNorm(),
            nn.GRU(4, return_sequences=True, kernel_regularizer=PENALTY),
            nn.GRU(5, trainable=False),
            nn.Dense(3),
        ],
    ),
    "sequences": (
        (5, 2),
        lambda: [
            nn.GRU(4, return_sequences=True),
            nn.Activation("softplus"),
            nn.Dense(3, "sigmoid"),
            nn.Dense(2, use_bias=False),
        ],
    ),
}


def make(name, loss="mean_squared_error", optimizer="adam", dtype=np.float64, seed=1):
    """Return a built and compiled network, with biases and scales that are not the usual ones."""
    shape, layers = NETWORKS[name]
    return prepared(layers(), shape, loss, optimizer, dtype, seed)


def prepared(layers, shape, loss="mean_squared_error", optimizer="adam", dtype=np.float64, seed=1):
    """Return a network of these layers, built and compiled; see `make`."""
    network = nn.Sequential(layers, seed=seed, dtype=dtype)
    network.compile(loss=loss, optimizer=optimizer)
    network.build(shape)
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        for vector in ("bias", "gamma", "beta"):
            if getattr(layer, vector, None) is not None:
                array = getattr(layer, vector)
                array += 0.1 * rng.standard_normal(array.shape)
    return network


def examples(network, count, seed=0):
    """Return inputs and targets for a network, those of its loss."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, *network.input_shape))
    if network.loss.takes_labels:
        return x, rng.integers(0, network.output_size, count)
    if network.loss.name == "binary_crossentropy":
        return x, rng.integers(0, 2, (count, *network.output_shape))
    return x, rng.standard_normal((count, *network.output_shape))


def loss_function(network, x, y):
    """Return a function of nothing: the loss of a step of training, with the penalties."""
    data = network._data(x, y)
    found = Pass(network, data.x.reshape(np.shape(x)), True, left_out=network.loss.left_out)
    batch = batch_of(data, network.output_size, len(data.x), 0, network.memory.trained)
    batch = batch._replace(labels=data.labels)
    if not network.loss.takes_labels:
        batch = batch._replace(values=data.values)
    target = target_of(network.loss, ())

    def loss():
        found.forward()
        return found.judge(target, batch) + engine.penalty_of(found.program, batch.sums)

    return loss


def numeric_gradients(network, x, y, step=1e-6):
    """Return central differences of the loss in every parameter, in the form of `gradients`."""
    loss, found = loss_function(network, x, y), []
    for layer, shape in zip(network.layers, network.shapes, strict=True):
        gradients = {}
        for name in layer.parameter_shapes(shape):
            parameter = getattr(layer, name)
            gradients[name] = np.zeros_like(parameter)
            for index in np.ndindex(parameter.shape) if layer.trainable else ():
                value = parameter[index]
                parameter[index] = value + step
                above = loss()
                parameter[index] = value - step
                gradients[name][index] = (above - loss()) / (2 * step)
                parameter[index] = value
        found.append(gradients)
    return found


def relative_error(got, expected):
    """Return the norm of the difference over that of what is expected, for one layer or array."""
    got, expected = (np.concatenate([v.ravel() for v in d.values()]) for d in (got, expected))
    return np.linalg.norm(got - expected) / max(np.linalg.norm(expected), 1e-3)


def assert_gradients_are_differences(network, x, y, tolerance=1e-6):
    """Compare the gradients of every layer with finite differences."""
    got, expected = network.gradients(x, y), numeric_gradients(network, x, y)
    for layer, ours, theirs in zip(network.layers, got, expected, strict=True):
        assert ours.keys() == theirs.keys()
        if ours:
            assert relative_error(ours, theirs) < tolerance, layer


# Random architectures

widths = st.integers(1, 7)
flat_layers = st.one_of(
    st.builds(
        nn.Dense,
        widths,
        st.sampled_from(["tanh", "sigmoid", "gelu", "softplus", "softmax", "linear"]),
        use_bias=st.booleans(),
        kernel_regularizer=st.sampled_from([None, PENALTY]),
        trainable=st.booleans(),
    ),
    st.builds(nn.Activation, st.sampled_from(["silu", "mish", "gelu_tanh", "log_softmax"])),
    st.builds(nn.Dropout, st.sampled_from([0.0, 0.4])),
    st.builds(
        nn.BatchNorm,
        epsilon=st.just(0.1),
        center=st.booleans(),
        scale=st.booleans(),
        trainable=st.booleans(),
    ),
    st.builds(nn.LayerNorm, epsilon=st.just(0.1), center=st.booleans(), scale=st.booleans()),
)
recurrent_layers = st.one_of(
    *(
        st.builds(
            kind,
            widths,
            use_bias=st.booleans(),
            return_sequences=st.just(True),
            trainable=st.booleans(),
        )
        for kind in (nn.RNN, nn.LSTM, nn.GRU)
    )
)


@st.composite
def networks(draw, dtype=np.float64):
    """Draw a network whose last layer learns."""
    if draw(st.booleans()):
        shape = (draw(widths),)
        layers = draw(st.lists(flat_layers, max_size=5))
    else:
        shape = (draw(st.integers(1, 4)), draw(widths))
        layers = draw(st.lists(st.one_of(flat_layers, recurrent_layers), max_size=4))
        layers.append(draw(st.sampled_from([nn.RNN, nn.LSTM, nn.GRU]))(draw(widths)))
    layers.append(nn.Dense(draw(widths)))
    return prepared(layers, shape, dtype=dtype, seed=draw(st.integers(0, 2**32)))
