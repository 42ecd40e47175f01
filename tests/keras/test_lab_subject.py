"""The lab looking into Keras models: against NumPy, the framework itself and known answers."""

import math
import random

import numpy as np
import pytest

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.fans import convolution_fans
from fastinit.lab.subjects import subject_of
from tests.frameworks import require

keras = require("keras")
if keras.backend.backend() not in ("jax", "torch"):
    pytest.skip("only jax and torch are looked into", allow_module_level=True)

from keras import layers as kl  # noqa: E402

from fastinit.lab.subjects.keras import KerasSubject  # noqa: E402

# Keras' own way from PyTorch to NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(autouse=True, scope="module")
def _compiled_quickly():
    """Most of the time goes into compiling, on jax: once, for a pass, optimized is no faster."""
    if keras.backend.backend() != "jax":
        yield
        return
    import jax

    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


X = fastinit.normal((32, 6), 0.0, 1.0, seed=1)
IMAGES = fastinit.normal((8, 8, 8, 3), 0.0, 1.0, seed=2)


def drawn(model, seed=0):
    """Give a model values of which each is another."""
    for number, variable in enumerate(model.trainable_variables):
        key = fastinit.key(seed, str(number))
        shape = tuple(variable.shape)
        values = fastinit.normal(shape, 0.0, 1.0 / math.sqrt(math.prod(shape[:-1]) or 1), seed=key)
        variable.assign(np.asarray(values) + (variable.name == "gamma"))
    return model


def by_name(found):
    return {layer.name: layer for layer in found.layers}


def rms(values):
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def test_a_dense_network_against_numpy():
    model = drawn(
        keras.Sequential(
            [
                keras.Input((6,)),
                kl.Dense(5, name="first"),
                kl.Activation("tanh", name="folded"),
                kl.Dropout(0.9),
                kl.Dense(4, "relu", name="second"),
                kl.Dense(3, name="last"),
            ]
        )
    )
    w1, b1, w2, b2, w3, b3 = (np.asarray(v, np.float64) for v in model.get_weights())
    labels = np.arange(32) % 3
    found = KerasSubject(model).observe(X, labels, learning_rate=0.5)

    h1 = np.tanh(X @ w1 + b1)
    h2 = np.maximum(h1 @ w2 + b2, 0)
    z = h2 @ w3 + b3
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    g3 = (p - np.eye(3)[labels]) / 32
    g2 = g3 @ w3.T
    g1 = ((g2 * (h2 > 0)) @ w2.T) * 1.0
    assert found.loss == pytest.approx(-np.log(p[range(32), labels]).mean(), rel=1e-5)
    expected = [
        ("first", "tanh", h1, g1, w1, X.T @ (g1 * (1 - h1**2))),
        ("second", "relu", h2, g2, w2, h1.T @ (g2 * (h2 > 0))),
        ("last", None, z, g3, w3, h2.T @ g3),
    ]
    for layer, (name, activation, out, gradient, kernel, change) in zip(
        found.layers, expected, strict=True
    ):
        assert (layer.name, layer.activation) == (name, activation)
        assert layer.fan_in, layer.fan_out == kernel.shape
        assert layer.mean == pytest.approx(out.mean(), abs=1e-6)
        assert layer.std == pytest.approx(out.std(), rel=1e-5)
        assert layer.zeros == pytest.approx((out == 0).mean())
        assert layer.gradient == pytest.approx(rms(gradient) * 32, rel=1e-4)
        assert layer.weight_std == pytest.approx(kernel.std(), rel=1e-5)
        assert layer.weight_gradient == pytest.approx(rms(change), rel=1e-4)
        assert layer.update_ratio == pytest.approx(0.5 * rms(change) / rms(kernel), rel=1e-4)


def convolutional():
    inputs = keras.Input((8, 8, 3))
    h = kl.Conv2D(8, 3, padding="same", name="c1")(inputs)
    h = kl.BatchNormalization(name="bn")(h)
    h = residual = kl.ReLU(name="r1")(h)
    h = kl.Conv2D(8, 3, padding="same", activation="relu", name="c2")(h)
    h = kl.Conv2D(8, 3, padding="same", name="c3")(h)
    h = kl.Add(name="sum")([residual, h])
    h = kl.Activation("relu", name="r2")(h)
    h = kl.Flatten()(kl.MaxPooling2D()(kl.Dropout(0.5, seed=1)(h)))
    dense = keras.Sequential([kl.Dense(6, name="inner")], name="nested")
    h = dense(h)
    h = h + kl.Dense(6, "tanh", name="d2")(h)
    model = keras.Model(inputs, kl.Dense(10, "softmax", name="out")(h))
    model.compile("adam", "sparse_categorical_crossentropy")
    return drawn(model)


def test_a_convolutional_network_against_the_framework():
    model, labels = convolutional(), np.arange(8) % 10
    subject = KerasSubject(model)
    found = subject.observe(IMAGES, labels)
    layers = by_name(found)
    assert [(layer.name, layer.kind, layer.activation) for layer in found.layers] == [
        ("c1", "Conv2D", None),
        ("bn", "BatchNormalization", "relu"),
        ("c2", "Conv2D", "relu"),
        ("c3", "Conv2D", None),
        ("sum", "Add", "relu"),
        ("nested.inner", "Dense", None),
        ("d2", "Dense", "tanh"),
        (next(n for n in layers if "add" in n), "Add", None),
        ("out", "Dense", None),
    ]
    # With batch statistics and without dropout, as a model without dropout is in training.
    (dropout,) = (layer for layer in model.layers if isinstance(layer, kl.Dropout))
    dropout.rate = 0.0
    ends = [model.get_layer(name).output for name in ("r1", "c3", "r2")]
    last = model.get_layer("out")
    with keras.StatelessScope():
        parts = keras.Model(model.input, [*ends, last.input, last.output])(IMAGES, training=True)
    *parts, h, p = (np.asarray(keras.ops.convert_to_numpy(one), np.float64) for one in parts)
    for name, out in zip(("bn", "c3", "sum"), parts, strict=True):
        assert layers[name].std == pytest.approx(out.std(), rel=1e-4)
    assert found.loss == pytest.approx(-np.log(p[range(8), labels]).mean(), rel=1e-4)
    # The gradient of the last kernel by hand.
    change = h.T @ (p - np.eye(10)[labels]) / 8
    assert layers["out"].weight_gradient == pytest.approx(rms(change), rel=1e-3)
    # That of a convolution by the loss alone: its mean square slope along random signs.
    kernel, slopes = model.get_layer("c2").kernel, []
    values = np.array(kernel)
    for seed in range(24):
        step = 1e-2 * np.sign(fastinit.normal(values.shape, 0.0, 1.0, seed=seed))
        pair = []
        for sign in (1, -1):
            kernel.assign(values + sign * step)
            pair.append(subject.observe(IMAGES, labels).loss)
        slopes.append((pair[0] - pair[1]) / 2e-2)
    assert layers["c2"].weight_gradient == pytest.approx(
        rms(slopes) / math.sqrt(values.size), rel=0.3
    )


def test_nothing_changes():
    model = convolutional()
    before = [np.array(v) for v in model.variables]
    flags = [(layer.trainable, dict(vars(layer)).get("call")) for layer in model._flatten_layers()]
    state = random.getstate()
    subject = KerasSubject(model)
    subject.observe(IMAGES, np.zeros(8, int))
    subject.kernels()
    subject.weights()["c1"][...] = 7.0
    copy = subject.reinitialized({"c1.kernel": fastinit.get("he_normal")}, 0)
    copy.train(IMAGES, np.zeros(8, int), steps=2, learning_rate=0.1)
    assert random.getstate() == state
    for variable, values in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(np.array(variable), values)
        assert getattr(variable.value, "grad", None) is None
    after = [(layer.trainable, dict(vars(layer)).get("call")) for layer in model._flatten_layers()]
    assert after == flags


class Breaks(kl.Layer):
    on = False

    def call(self, x):
        if Breaks.on:
            raise RuntimeError("broken")
        return 2.0 * x


def test_an_error_leaves_the_model_as_it_was():
    model = keras.Sequential([keras.Input((6,)), kl.Dense(3), Breaks(), kl.Dense(2)])
    Breaks.on = True
    try:
        with pytest.raises(RuntimeError, match="broken"):
            KerasSubject(model).observe(X)
    finally:
        Breaks.on = False
    assert not any("call" in vars(layer) for layer in model._flatten_layers())
    assert len(KerasSubject(model).observe(X).layers) == 2


class Block(kl.Layer):
    def __init__(self, mixed, name):
        super().__init__(name=name)
        self.mixed = mixed
        self.norm = kl.LayerNormalization(name="norm")
        self.up, self.down = kl.Dense(9, "gelu", name="up"), kl.Dense(4, name="down")

    def call(self, x):
        made = self.down(self.up(self.norm(x)))
        return x * made if self.mixed else x + made


class Net(keras.Model):
    def __init__(self, mixed=False):
        super().__init__()
        self.first = kl.Dense(4, name="first")
        self.blocks = [Block(mixed, f"block{i}") for i in range(2)]
        self.head = kl.Dense(1, name="head")

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls()

    def call(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return {"hidden": x, "logits": self.head(x)}


def test_a_subclassed_model_and_its_residual_blocks():
    subject = KerasSubject(Net())
    found = subject.observe(X, np.arange(32) % 2)
    kinds = {layer.name: layer.kind for layer in found.layers}
    assert [name for name, kind in kinds.items() if kind == "Add"] == ["block0", "block1"]
    assert list(kinds)[:4] == ["first", "block0.norm", "block0.up", "block0.down"]
    kernels = {kernel.name: kernel for kernel in subject.kernels()}
    up, down = kernels["block1.up.kernel"], kernels["block1.down.kernel"]
    assert (up.branch, up.branch_end, up.activation) == ("block1", False, "gelu")
    assert (down.branch, down.branch_end, down.shape) == ("block1", True, (9, 4))
    assert kernels["head.kernel"].role == "output"
    assert kernels["first.kernel"].branch is None
    chosen = subject.observe(X, layers="block1.*").layers
    assert {layer.name for layer in chosen} == {"block1.norm", "block1.up", "block1.down"}
    copy = subject.reinitialized({"first.kernel": fastinit.get("zeros")}, 1)
    assert by_name(copy.observe(X))["first"].std == 0
    assert not np.array(copy.model.first.kernel).any()

    mixed = KerasSubject(Net(mixed=True)).observe(X, np.arange(32) % 2)
    assert "Add" not in {layer.kind for layer in mixed.layers}


def test_a_residual_branch_of_a_functional_model():
    kernels = {k.name: k for k in KerasSubject(convolutional()).kernels()}
    found = {name: (k.branch, k.branch_end) for name, k in kernels.items() if "kernel" in name}
    assert found["c1.kernel"] == (None, False)
    assert found["c2.kernel"] == ("sum", False)
    assert found["c3.kernel"] == ("sum", True)
    assert kernels["c1.kernel"].activation == "relu"  # behind the normalization
    assert kernels["bn.gamma"].role == "scale"
    assert kernels["out.kernel"].role == "output"


LAYERS = {
    "grouped": (kl.Conv2D(8, 3, strides=2, groups=4), (8, 8, 4), (9, 4.5), (3, 3, 1, 8)),
    "depthwise": (kl.DepthwiseConv2D(3, depth_multiplier=2), (8, 8, 4), (9, 18), (3, 3, 1, 8)),
    "transposed": (kl.Conv2DTranspose(5, 4, strides=2), (8, 8, 3), (12, 80), (4, 4, 3, 5)),
    "separable": (kl.SeparableConv2D(5, 3), (8, 8, 3), (3, 5), (1, 1, 3, 5)),
    "einsum": (kl.EinsumDense("ab,bcd->acd", (2, 3)), (7,), (7, 6), (7, 6)),
    "lstm": (kl.LSTM(5), (4, 3), (3, 5), (3, 20)),
    "gru": (kl.GRU(5), (4, 3), (3, 5), (3, 15)),
    "embedding": (kl.Embedding(11, 3), (4,), (1, 3), (11, 3)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_fans_and_layouts(name):
    layer, shape, fans, catalogue = LAYERS[name]
    dtype = "int32" if name == "embedding" else "float32"
    model = keras.Sequential([keras.Input(shape, dtype=dtype), layer])
    subject = KerasSubject(model)
    kernels = {kernel.name: kernel for kernel in subject.kernels()}
    (main,) = subject.weights()
    names = {"embedding": "embeddings", "separable": "pointwise_kernel"}
    kernel = kernels[f"{main}.{names.get(name, 'kernel')}"]
    assert (kernel.fan_in, kernel.fan_out) == fans
    assert kernel.shape == catalogue
    copy = subject.reinitialized({kernel.name: fastinit.get("lecun_normal")}, 3)
    key = fastinit.key(3, kernel.name)
    expected = fastinit.lecun_normal(catalogue, seed=key, fans=fans)
    got = copy.weights()[main]
    if name == "transposed":
        expected = expected.swapaxes(-1, -2)
    np.testing.assert_array_equal(got, np.asarray(expected).reshape(got.shape))
    if name in ("lstm", "gru"):
        assert kernels[f"{main}.recurrent_kernel"].role == "recurrent"
        assert kernels[f"{main}.recurrent_kernel"].fan_in == 5
    if name == "transposed":
        assert fans == convolution_fans((4, 4, 5, 3), strides=2, transposed=True)


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
def test_gradients_through_time_of_a_linear_recurrence(sequences, backwards):
    layer = kl.SimpleRNN(
        4, activation=None, return_sequences=sequences, go_backwards=backwards, name="rnn"
    )
    model = keras.Sequential([keras.Input((30, 4)), layer])
    layer.set_weights([np.eye(4), 0.5 * np.eye(4), np.zeros(4)])
    x = fastinit.normal((16, 30, 4), 0.0, 1.0, seed=0)
    (row,) = KerasSubject(model).observe(x).layers
    assert row.gradient_through_time == pytest.approx(0.5, rel=1e-4)
    assert (row.steps, row.features) == (30, 120 if sequences else 4)


def test_both_directions_have_gradients_of_their_own():
    both = kl.Bidirectional(kl.SimpleRNN(3, activation=None, name="rnn"), name="both")
    model = keras.Sequential([keras.Input((20, 3)), kl.Dense(3, name="in"), both])
    both.set_weights(
        [np.eye(3), 0.5 * np.eye(3), np.zeros(3), np.eye(3), 0.9 * np.eye(3), np.zeros(3)]
    )
    rows = by_name(KerasSubject(model).observe(fastinit.normal((8, 20, 3), 0.0, 1.0, seed=0)))
    assert rows["both.forward_rnn"].gradient_through_time == pytest.approx(0.5, rel=1e-4)
    assert rows["both.backward_rnn"].gradient_through_time == pytest.approx(0.9, rel=1e-4)


def test_attention():
    inputs = keras.Input((10,), dtype="int32")
    h = kl.Embedding(50, 12, name="tokens")(inputs)
    h = kl.Add(name="sum")([h, kl.MultiHeadAttention(2, 6, dropout=0.5, name="mha")(h, h)])
    model = drawn(keras.Model(inputs, kl.Dense(50, name="head")(h)))
    tokens = np.arange(160).reshape(16, 10) % 50
    found = KerasSubject(model).observe(tokens, tokens)
    names = [layer.name for layer in found.layers]
    parts = ["query", "key", "value", "attention_output"]
    assert names == ["tokens", *(f"mha.{part}" for part in parts), "sum", "head"]
    assert (by_name(found)["mha.query"].fan_in, by_name(found)["mha.query"].fan_out) == (12, 12)
    assert all(layer.gradient > 0 for layer in found.layers)
    assert found.input_std == 0
    # The way for one example beside the other's: nothing is dropped, so twice the same.
    again = KerasSubject(model).observe(tokens, tokens)
    assert [layer.gradient for layer in again.layers] == [layer.gradient for layer in found.layers]


def test_losses():
    model = drawn(keras.Sequential([keras.Input((6,)), kl.Dense(1, "sigmoid", name="d")]))
    out = keras.ops.convert_to_numpy(model(X))[:, 0].astype(np.float64)
    y = np.arange(32) % 2
    subject = KerasSubject(model)
    bce = -np.where(y, np.log(out), np.log(1 - out)).mean()
    assert subject.observe(X, y).loss == pytest.approx(bce, rel=1e-5)
    assert subject.observe(X, y.astype(float)).loss == pytest.approx(np.square(out - y).mean())
    absolute = subject.observe(X, y, loss=lambda a, b: keras.ops.abs(a[:, 0] - b))
    assert absolute.loss == pytest.approx(np.abs(out - y).mean(), rel=1e-5)
    assert subject.observe(X).loss is None
    assert subject.observe(X.tolist(), y.tolist()).loss == pytest.approx(bce, rel=1e-5)
    model.compile(loss="mean_absolute_error")
    compiled = KerasSubject(model).observe(X, y.astype(np.float32)).loss
    assert compiled == pytest.approx(np.abs(out - y).mean(), rel=1e-5)


def test_training_of_a_copy():
    model = drawn(
        keras.Sequential([keras.Input((6,)), kl.Dense(16, "relu"), kl.Dense(2, name="out")])
    )
    y = (X[:, 0] > 0).astype(int)
    subject = KerasSubject(model)
    losses = subject.train(X, y, steps=40, learning_rate=0.03)
    assert len(losses) == 40
    assert losses[0] == pytest.approx(subject.observe(X, y).loss, rel=1e-5)
    assert losses[-1] < 0.3 * losses[0]
    assert losses == subject.train(X, y, steps=40, learning_rate=0.03)


@pytest.mark.parametrize("shape_known", [True, False])
def test_copies_have_values_of_their_own_and_kernels_need_no_look(shape_known):
    made = [kl.Dense(8, "tanh", name="a"), kl.Dense(2, name="b")]
    model = keras.Sequential([*([keras.Input((6,))] if shape_known else []), *made])
    subject, y = KerasSubject(model), (X[:, 0] > 0).astype(int)
    losses = subject.train(X, y, steps=2, learning_rate=0.01)
    assert [kernel.name for kernel in subject.kernels()] == [
        "a.kernel",
        "a.bias",
        "b.kernel",
        "b.bias",
    ]
    copy = subject.reinitialized({"a.kernel": fastinit.get("lecun_normal")}, 1)
    for one in (copy, KerasSubject(copy.model)):
        other = one.train(X, y, steps=2, learning_rate=0.01)
        assert other[0] == pytest.approx(one.observe(X, y).loss, rel=1e-5)
        assert other != losses
    assert subject.train(X, y, steps=2, learning_rate=0.01) == losses


def test_numbers_that_float32_cannot_square():
    layers = [kl.Dense(6, use_bias=False, name=f"d{i}") for i in range(7)]
    model = keras.Sequential([keras.Input((6,)), *layers])
    for layer in layers:
        layer.kernel.assign(1e5 * np.eye(6))
    found = KerasSubject(model).observe(X)
    first, second = found.layers[0].gradient, found.layers[1].gradient
    assert first > 1e28
    assert first / second == pytest.approx(1e5, rel=1e-4)
    for layer in layers:
        layer.kernel.assign(np.zeros((6, 6)))
    assert KerasSubject(model).observe(X).layers[0].gradient == 0


def test_frozen_layers_and_layers_called_twice():
    shared = kl.Dense(6, "tanh", name="shared")
    inputs = keras.Input((6,))
    model = keras.Model(inputs, kl.Dense(2, name="out")(shared(shared(inputs))))
    shared.trainable = False
    found = by_name(KerasSubject(model).observe(X))
    assert list(found) == ["shared", "shared@2", "out"]
    assert found["shared"].gradient > 0
    assert found["shared"].weight_gradient is None
    assert found["out"].weight_gradient > 0
    assert [k.trainable for k in KerasSubject(model).kernels() if k.layer == "shared"] == [
        False,
        False,
    ]


def test_examples_of_another_shape_and_changed_weights():
    model = drawn(keras.Sequential([keras.Input((6,)), kl.Dense(3, name="d")]))
    subject = subject_of(model)
    first = subject.observe(X)
    assert subject.observe(X[:7]).examples == 7
    model.layers[0].kernel.assign(2 * np.array(model.layers[0].kernel))
    (row,) = subject.observe(X).layers
    assert row.weight_std == pytest.approx(2 * first.layers[0].weight_std, rel=1e-6)
    assert row.std > 1.5 * first.layers[0].std


def test_errors():
    with pytest.raises(ArgumentTypeError, match=r"keras\.Model"):
        KerasSubject(3)
    model = keras.Sequential([kl.Dense(3, name="d")])
    with pytest.raises(ArgumentError, match="observe it first"):
        KerasSubject(model).kernels()
    with pytest.raises(ArgumentError, match="at least one example"):
        KerasSubject(model).observe(X[:0])
    with pytest.raises(ArgumentError, match=r"no layer is named 'e\*'; there are d"):
        KerasSubject(model).observe(X, layers="e*")
    with pytest.raises(ArgumentError, match=r"no parameter is named 'd\.weight'"):
        KerasSubject(model).reinitialized({"d.weight": fastinit.get("zeros")}, 0)
