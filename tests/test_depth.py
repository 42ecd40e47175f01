"""Rules for deep and for wide networks, by what their papers say of the networks."""

import math

import numpy as np
import pytest
from scipy import stats

import fastinit
from fastinit.depth import (
    branch_multiplier,
    deepnorm,
    fixup,
    gpt2_residual_std,
    mimetic_attention,
    mup,
    siren_uniform,
    small_init,
    t_fixup,
)
from fastinit.errors import ArgumentError, ArgumentTypeError, UnknownNameError
from fastinit.meanfield import fixed_point

WIDTH = 64


def layer_norm(x):
    centered = x - x.mean(axis=1, keepdims=True)
    return centered / np.sqrt((centered**2).mean(axis=1, keepdims=True) + 1e-12)


def layer_norm_backward(x, grad):
    y, std = layer_norm(x), np.sqrt(x.var(axis=1, keepdims=True) + 1e-12)
    inner = grad - grad.mean(axis=1, keepdims=True) - y * (grad * y).mean(axis=1, keepdims=True)
    return inner / std


class Residual:
    """x' = norm(alpha x + a relu(x W) V) for each pair of kernels; norm may be nothing."""

    def __init__(self, blocks, first, second, a=1.0, alpha=1.0, norm=False, scale=1.0):
        self.kernels = [
            tuple(
                factor * fastinit.he_normal((WIDTH, WIDTH), seed=fastinit.key(0, f"{i}{name}"))
                for factor, name in ((first, "W"), (second, "V"))
            )
            for i in range(blocks)
        ]
        self.a, self.alpha, self.norm = a, alpha, norm
        self.x = scale * fastinit.normal((200, WIDTH), 0.0, 1.0, seed=1, dtype="float64")

    def output(self):
        x, self.states = self.x, []
        for w, v in self.kernels:
            hidden = np.maximum(x @ w, 0.0)
            total = self.alpha * x + self.a * hidden @ v
            self.states.append((x, hidden, total))
            x = layer_norm(total) if self.norm else total
        return x

    def gradients(self):
        """Return those of a random projection of the outputs, block by block, and of the input."""
        self.output()
        grad = fastinit.normal(self.x.shape, 0.0, 1.0, seed=2, dtype="float64") / len(self.x)
        found = []
        for (w, v), (x, hidden, total) in zip(self.kernels[::-1], self.states[::-1], strict=True):
            grad = layer_norm_backward(total, grad) if self.norm else grad
            back = self.a * grad @ v.T * (hidden > 0.0)
            found.append((x.T @ back, self.a * hidden.T @ grad))
            grad = self.alpha * grad + back @ w.T
        return found[::-1], grad

    def squares(self):
        """Return the squared norm of each block's gradients: a descent step moves the output so."""
        return [float((w**2).sum() + (v**2).sum()) for w, v in self.gradients()[0]]


def growth(make, blocks=(4, 64)):
    """Return how many times as far a step of gradient descent moves a deep network's output."""
    small, large = (sum(make(number).squares()) for number in blocks)
    return large / small


def test_the_gradients_are_right():
    for norm in (False, True):
        network = Residual(3, 0.5, 0.7, a=0.9, alpha=1.3, norm=norm)
        seed = fastinit.normal(network.x.shape, 0.0, 1.0, seed=2, dtype="float64") / 200
        found, _ = network.gradients()
        for block, side in ((0, 0), (1, 1), (2, 0)):
            kernel = network.kernels[block][side].astype(np.float64)
            sides = list(network.kernels[block])
            values = []
            for step in (1e-6, -1e-6):
                sides[side] = kernel.copy()
                sides[side][3, 4] += step
                network.kernels[block] = tuple(sides)
                values.append((seed * network.output()).sum())
            sides[side] = kernel
            network.kernels[block] = tuple(sides)
            slope = (values[0] - values[1]) / 2e-6
            assert found[block][side][3, 4] == pytest.approx(slope, rel=1e-5)


def test_fixup():
    """Zhang et al. 2019: a step changes the output as much at any depth; He's grows with it."""
    assert fixup(16, 3) == (0.5, 0.0, 1.0, 0.0)
    assert fixup(100).inner == 0.1
    np.testing.assert_array_equal(Residual(20, fixup(20).inner, 0.0).output(), Residual(1, 1, 0).x)
    assert growth(lambda blocks: Residual(blocks, *fixup(blocks)[:2])) == pytest.approx(1, rel=0.1)
    # without the factor: as many times as there are blocks; without the zero, beyond all bounds
    assert growth(lambda blocks: Residual(blocks, 1.0, 0.0)) == pytest.approx(16, rel=0.1)
    assert growth(lambda blocks: Residual(blocks, 1.0, 1.0)) > 1e6


def test_t_fixup():
    """Huang et al. 2020: the embeddings' factor, too, makes a step's size free of the depth."""
    assert t_fixup(1) == pytest.approx((0.67, 9**-0.25, 9**-0.25))
    assert t_fixup(6).encoder == pytest.approx(0.67 / 6**0.25)
    assert t_fixup(6).decoder == t_fixup(6).embedding == pytest.approx(54**-0.25)

    def network(layers, embedding=True):  # two sublayers a layer of the encoder
        rule = t_fixup(layers)
        scale = rule.embedding if embedding else 1.0
        return Residual(2 * layers, rule.encoder, rule.encoder, scale=scale)

    assert growth(network) == pytest.approx(1.0, rel=0.15)
    assert growth(lambda layers: network(layers, embedding=False)) > 3.0
    assert growth(lambda layers: Residual(2 * layers, 1.0, 1.0)) > 1e6


@pytest.mark.parametrize("method", ["rezero", "skipinit"])
def test_branches_that_start_at_zero(method):
    """Bachlechner et al. 2020, De & Smith 2020: the identity, with gradients to match."""
    network = Residual(50, 1.0, 1.0, a=branch_multiplier(method, 50))
    np.testing.assert_array_equal(network.output(), network.x)
    _, grad = network.gradients()
    expected = fastinit.normal(network.x.shape, 0.0, 1.0, seed=2, dtype="float64") / len(network.x)
    np.testing.assert_array_equal(grad, expected)
    assert np.mean(Residual(50, 1.0, 1.0).output() ** 2) > 1e6  # without


def test_layer_scale():
    """Touvron et al. 2021, section 2: 0.1 to depth 18, 1e-5 to 24, 1e-6 deeper."""
    values = [branch_multiplier("layerscale", depth) for depth in (1, 18, 19, 24, 25, 48)]
    assert values == [0.1, 0.1, 1e-5, 1e-5, 1e-6, 1e-6]
    network = Residual(48, 1.0, 1.0, a=values[-1])
    assert np.abs(network.output() - network.x).max() < 1e-3


def test_deepnorm():
    """Wang et al. 2022: a step changes the output as much at any depth; post-norm's grows."""
    assert deepnorm(encoder=8) == {"encoder": (2.0, pytest.approx(1 / 8**0.5))}
    assert deepnorm(decoder=100) == {"decoder": pytest.approx((200**0.25, 800**-0.25))}
    both = deepnorm(16, 27)
    assert both["encoder"] == pytest.approx((0.81 * 2 * 27 ** (1 / 16), 0.435 / 27 ** (1 / 16)))
    assert both["decoder"] == pytest.approx((3.0, 324**-0.25))

    def network(layers):  # two sublayers a layer
        ((alpha, beta),) = deepnorm(layers).values()
        return Residual(2 * layers, beta, beta, alpha=alpha, norm=True)

    assert growth(network) == pytest.approx(1.0, rel=0.15)
    squares = network(64).squares()
    assert 0.2 < squares[0] / squares[-1] < 5.0
    assert growth(lambda layers: Residual(2 * layers, 1.0, 1.0, norm=True)) > 8.0


def test_gpt2_residual_std():
    """The projections of all layers together add as much at any depth."""
    assert gpt2_residual_std(12) == pytest.approx(0.02 / math.sqrt(24))
    assert gpt2_residual_std(2, std=1.0) == 0.5

    def added(layers, std, width=250):
        x = stream = fastinit.normal((50, width), 0.0, 0.02, seed=0)
        for branch in range(2 * layers):
            w = fastinit.normal((width, width), 0.0, 0.05, seed=fastinit.key(0, f"w{branch}"))
            p = fastinit.normal((width, width), 0.0, std, seed=fastinit.key(0, f"p{branch}"))
            stream = stream + np.maximum(layer_norm(stream) @ w, 0.0) @ p
        return np.mean((stream - x) ** 2)

    right = [added(layers, gpt2_residual_std(layers)) for layers in (2, 16)]
    assert right[1] / right[0] == pytest.approx(1.0, rel=0.1)
    assert added(16, 0.02) / added(2, 0.02) == pytest.approx(8.0, rel=0.2)


def test_small_init():
    """Nguyen & Salazar 2019: N(0, 2 / (d + 4 d)), Glorot's variance of a (d, 4 d) kernel."""
    std = fastinit.glorot_normal((200, 800), seed=0).std()
    for shape in ((200, 200), (200, 800), (800, 200)):
        w = small_init(shape, seed=1)
        assert w.std() == pytest.approx(math.sqrt(2 / (5 * 200)), rel=0.02)
        assert w.std() == pytest.approx(std, rel=0.02)
    # U(+-sqrt(6 / (in + 4 out))) has the same variance where the kernel is square.
    bound = math.sqrt(6 / (200 + 4 * 200))
    assert small_init((200, 200), seed=1).std() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    torch = small_init((600, 200), seed=1, in_axis=1, out_axis=0)
    assert torch.std() == pytest.approx(math.sqrt(2 / 1000), rel=0.02)
    assert fastinit.get("small_init", in_axis=[0], out_axis=1).in_axis == 0


def siren(hidden, width=512, layers=6):
    """Return what the last sines are taken of."""
    x = fastinit.uniform((2000, 2), -1.0, 1.0, seed=0)
    x = np.sin(30.0 * x @ siren_uniform((2, width), first=True, seed=1))
    for layer in range(layers):
        z = 30.0 * x @ hidden((width, width), seed=fastinit.key(2, str(layer)))
        x = np.sin(z)
    return z


def test_siren():
    """Sitzmann et al. 2020, theorem 1.8: normal before the sines, nearly arcsine after them."""
    arcsine = stats.arcsine(-1.0, 2.0).cdf
    # The paper neglects that the sine of a standard normal has a variance of 0.43, not 1/2.
    deep = math.sqrt(fixed_point(np.sin, math.sqrt(2), 0.0))
    for layers, std in ((1, 1.0), (6, deep)):
        z = siren(siren_uniform, layers=layers).astype(np.float64)
        assert z.mean() == pytest.approx(0.0, abs=0.05)
        assert z.std() == pytest.approx(std, rel=0.05)
        few = z[::40, ::16].ravel()
        assert stats.kstest(few / std, "norm").statistic < 0.04
        assert stats.kstest(np.sin(few), arcsine).statistic < 0.12
    assert siren(fastinit.glorot_uniform).std() > 10.0  # without omega in mind
    assert fastinit.get("siren_uniform(first=True)") == fastinit.get("siren_uniform", first=True)
    for options, bound in (({"omega": 2.0}, math.sqrt(6 / 50) / 2), ({"first": True}, 1 / 50)):
        w = siren_uniform((50, 400), seed=0, **options)
        assert 0.99 * bound < abs(w).max() <= bound


def mlp_updates(width, optimizer, rule, steps=3, base=32):
    """Train a network for some steps; return how far they move the hidden and output activations.

    `rule(role, fans, base_fans)` says with which factors. The coordinate check of the muP paper.
    """
    sizes = {"input": (16, width), "hidden": (width, width), "output": (width, 4)}
    bases = {"input": (16, base), "hidden": (base, base), "output": (base, 4)}
    factors = {role: rule(role, sizes[role], bases[role], optimizer) for role in sizes}
    kernels, moments = {}, {}
    for role, (fan_in, fan_out) in sizes.items():
        std = bases[role][0] ** -0.5 * factors[role].std
        key = fastinit.key(0, role, str(width))
        kernels[role] = fastinit.normal((fan_in, fan_out), 0.0, std, seed=key, dtype="float64")
        moments[role] = [0.0, 0.0]
    x = fastinit.normal((64, 16), 0.0, 1.0, seed=1, dtype="float64")
    y = fastinit.normal((64, 4), 0.0, 1.0, seed=2, dtype="float64")

    def forward():
        first = np.tanh(x @ kernels["input"])
        second = np.tanh(first @ kernels["hidden"])
        return first, second, factors["output"].multiplier * second @ kernels["output"]

    start = forward()
    for step in range(1, steps + 1):
        first, second, logits = forward()
        grad = (logits - y) / len(x) * factors["output"].multiplier
        grads = {"output": second.T @ grad}
        grad = grad @ kernels["output"].T * (1 - second**2)
        grads["hidden"] = first.T @ grad
        grad = grad @ kernels["hidden"].T * (1 - first**2)
        grads["input"] = x.T @ grad
        for role, g in grads.items():
            rate = factors[role].learning_rate
            if optimizer == "sgd":
                kernels[role] -= 0.1 * rate * g
                continue
            moments[role][0] = 0.9 * moments[role][0] + 0.1 * g
            moments[role][1] = 0.999 * moments[role][1] + 0.001 * g**2
            mean = moments[role][0] / (1 - 0.9**step)
            square = moments[role][1] / (1 - 0.999**step)
            kernels[role] -= 0.003 * rate * mean / (np.sqrt(square) + 1e-12)
    moved = [np.sqrt(np.mean((a - b) ** 2)) for a, b in zip(forward(), start, strict=True)]
    return np.array(moved)


def standard(role, fans, base_fans, optimizer):
    """The standard parametrization: LeCun's initializer, one learning rate."""
    return mup(role, fans, fans)._replace(std=math.sqrt(base_fans[0] / fans[0]))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_mup(optimizer):
    """Yang et al. 2022, figure 5: steps move activations as much at any width."""
    narrow, wide = (mlp_updates(width, optimizer, mup) for width in (64, 1024))
    assert 0.5 < (wide / narrow).min() <= (wide / narrow).max() < 2.0
    narrow, wide = (mlp_updates(width, optimizer, standard) for width in (64, 1024))
    assert (wide / narrow).max() > 3.0


def test_mup_factors():
    """Table 8, and the base model itself."""
    for role, fans, base in (
        ("input", (10, 64), (10, 16)),
        ("hidden", (64, 32), (16, 16)),
        ("output", (64, 10), (16, 10)),
    ):
        for optimizer in ("adam", "sgd"):
            assert mup(role, base, base, optimizer) == (1.0, 1.0, 1.0)
            found = mup(role, fans, base, optimizer)
            expected = {
                ("input", "adam"): (1.0, 1.0, 1.0),
                ("input", "sgd"): (1.0, 4.0, 1.0),
                ("hidden", "adam"): (0.5, 0.25, 1.0),
                ("hidden", "sgd"): (0.5, 0.5, 1.0),
                ("output", "adam"): (1.0, 1.0, 0.25),
                ("output", "sgd"): (1.0, 4.0, 0.25),
            }[role, optimizer]
            assert found == expected


def test_mimetic_attention():
    """Trockman & Kolter 2023: W_Q W_K^T ~ 0.7 Z + 0.7 I a head, W_V W_proj = 0.4 Z - 0.4 I."""
    width, heads = 96, 3
    layer = mimetic_attention(width, heads, seed=3, dtype="float64")
    noise = (layer.value @ layer.projection + 0.4 * np.eye(width)) / 0.4
    assert noise.std() == pytest.approx(width**-0.5, rel=0.05)
    assert stats.kstest(noise.ravel() * width**0.5, "norm").statistic < 0.02
    products = []
    for head in range(heads):
        columns = slice(head * 32, (head + 1) * 32)
        query, keys = layer.query[:, columns], layer.key[:, columns]
        product = query @ keys.T
        products.append(product)
        root = fastinit.key(fastinit.key(3), "query_key", str(head))
        z = fastinit.normal((width, width), 0.0, width**-0.5, seed=root, dtype="float64")
        target = 0.7 * z + 0.7 * np.eye(width)
        values = np.linalg.svd(target, compute_uv=False)
        assert np.linalg.norm(target - product, 2) == pytest.approx(
            values[32]
        )  # nearest of rank 32
        np.testing.assert_allclose((query**2).sum(axis=0), values[:32])  # the roots, to each side
        np.testing.assert_allclose((keys**2).sum(axis=0), values[:32])
        assert product.diagonal().mean() > 0.3
        assert abs(product[~np.eye(width, dtype=bool)].mean()) < 0.01
    assert abs(products[0] - products[1]).max() > 0.1  # heads are independent
    # Glorot's products have no diagonal to speak of.
    w = fastinit.glorot_normal((2, width, width), seed=0, batch_axis=0)
    assert abs((w[0] @ w[1].T).diagonal().mean()) < 0.05

    again = mimetic_attention(width, heads, seed=3)
    assert all(kernel.dtype == np.float32 for kernel in again)
    np.testing.assert_array_equal(again.query, layer.query.astype(np.float32))
    assert abs(mimetic_attention(width, heads, seed=4).query - again.query).max() > 0.1
    assert mimetic_attention(8, 2, seed=0, dtype="bfloat16").key.dtype.name == "bfloat16"


BAD = [
    (lambda: gpt2_residual_std(0), ArgumentError, "layers must be at least 1, got 0"),
    (lambda: gpt2_residual_std(1.5), ArgumentTypeError, "layers must be an integer, got 1.5"),
    (lambda: gpt2_residual_std(2, -1.0), ArgumentError, "std must not be negative"),
    (lambda: t_fixup(True), ArgumentTypeError, "got True"),
    (lambda: fixup(4, 1), ArgumentError, "layers must be 2, got 1"),
    (lambda: branch_multiplier("layer_scale", 4), UnknownNameError, "did you mean 'layerscale'"),
    (lambda: branch_multiplier("rezero", 0), ArgumentError, "depth must be at least 1"),
    (lambda: deepnorm(), ArgumentError, r"encoder \+ decoder must be at least 1, got 0"),
    (lambda: deepnorm(-1), ArgumentError, "encoder must be at least 0, got -1"),
    (lambda: mup("middle", (1, 1), (1, 1)), UnknownNameError, "unknown role 'middle'"),
    (lambda: mup("input", (1, 1), (1, 1), "lion"), UnknownNameError, "unknown optimizer 'lion'"),
    (lambda: mup("input", (2, 4), (1, 1)), ArgumentError, "of an input, only one fan grows"),
    (lambda: mup("output", (2, 4), (1, 1)), ArgumentError, "of an output, only one fan grows"),
    (lambda: mup("hidden", (0, 4), (1, 1)), ArgumentError, "fans must be positive"),
    (lambda: mup("hidden", 4, (1, 1)), ArgumentTypeError, "got 4"),
    (lambda: mimetic_attention(10, 3), ArgumentError, "width=10, heads=3"),
    (lambda: mimetic_attention(10, 2, dtype="int8"), ArgumentTypeError, "got int8"),
    (lambda: siren_uniform((2, 3), first=1), ArgumentTypeError, "first must be True or False"),
    (lambda: siren_uniform((2, 3), omega=0.0), ArgumentError, "omega must be positive, got 0.0"),
    (lambda: small_init(5), ArgumentError, "at least two axes"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
