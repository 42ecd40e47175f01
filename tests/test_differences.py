"""docs/differences.md, row by row, against the installed frameworks and fastinit's adapters.

A test has the name of its row, and a case for each framework that the row speaks of.
"""

import math
import os
import re
import warnings
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import fastinit
from fastinit import fans
from tests.frameworks import require

DOC = Path(__file__).parents[1] / "docs" / "differences.md"
# Keras runs on one backend a process: the one of KERAS_BACKEND, else one that is installed.
BACKENDS = [name for name in ("torch", "jax") if find_spec(name)]
os.environ.setdefault("KERAS_BACKEND", BACKENDS[0] if BACKENDS else "numpy")
# Keras' own way from PyTorch to NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

MODULES = {
    "torch": ("torch.nn.init", "fastinit.torch.init"),
    "keras": ("keras.initializers", "fastinit.keras"),
    "jax": ("jax.nn.initializers", "fastinit.jax"),
    "fastinit": ("fastinit",),
}
TRUNCATED = 0.8796256610342398


def both(framework):
    """Return a framework's module of initializers and fastinit's for it."""
    if framework != "fastinit":
        require(framework)
    return [import_module(name) for name in MODULES[framework]]


def numbers(values, dtype=None):
    """Return a tensor of any framework as a NumPy array, in float64 unless said otherwise."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = (values if values.dtype.is_complex else values.double()).numpy()
    return np.asarray(values).astype(dtype or np.float64)


def drawn(module, name, shape, *args, dtype=None, seed=0, **params):
    """Draw with one of a module's initializers, called as its framework calls them."""
    make = getattr(module, name)
    if "torch" in module.__name__:
        torch = require("torch")
        torch.manual_seed(seed)
        tensor = torch.empty(shape, dtype=getattr(torch, dtype or "float32"))
        return make(tensor, *args, **params)
    if "keras" in module.__name__:
        return make(*args, **params, seed=seed)(shape, dtype=dtype)
    if "jax" in module.__name__:
        return make(*args, **params)(require("jax").random.key(seed), shape, dtype)
    return make(shape, *args, **params, seed=seed, dtype=dtype or "float32")


@pytest.fixture(autouse=True)
def _seeded(request):
    framework = (
        getattr(request.node, "callspec", None) and request.node.callspec.params["framework"]
    )
    if framework == "torch":
        require("torch").manual_seed(0)
    elif framework == "keras":
        require("keras").utils.set_random_seed(0)


def shape_given(layer, shape):
    """Return the shape for which a Flax layer asks its kernel_init, made without computing."""
    jax, seen = require("jax"), []

    def spy(key, shape, dtype):
        seen.append(shape)
        return jax.numpy.zeros(shape, dtype)

    made = jax.eval_shape(layer(kernel_init=spy).init, jax.random.key(0), np.zeros(shape))
    return seen[-1], made["params"]["kernel"].shape


def span(values):
    values = numbers(values)
    return [values.min(), values.max()]


def frameworks(*names):
    return pytest.mark.parametrize("framework", names)


def is_cut(values, at=2.05 / TRUNCATED):
    """Say whether values end where a normal cut at two sigma does, or go on as a normal."""
    values = numbers(values)
    farthest = np.abs(values).max() / values.std()
    assert farthest < at or farthest > 3.5
    return farthest < at


def rows():
    return re.findall(r"^\| `([a-z-]+)` \|", DOC.read_text(), re.MULTILINE)


def test_every_row_has_a_test_and_every_test_a_row():
    tests = [name for name in globals() if name.startswith("test_") and name not in OTHER]
    assert sorted(row.replace("-", "_") for row in rows()) == sorted(t[5:] for t in tests)
    assert len(rows()) == len(set(rows())) > 20


OTHER = {"test_every_row_has_a_test_and_every_test_a_row"}

# ---------------------------------------------------------------- what a name stands for

LONG = (20000,)


@frameworks("torch", "keras", "jax", "fastinit")
def test_uniform_range(framework):
    name, low, high = {
        "torch": ("uniform_", 0.0, 1.0),
        "keras": ("RandomUniform", -0.05, 0.05),
        "jax": ("uniform", 0.0, 0.01),
        "fastinit": ("uniform", -0.05, 0.05),
    }[framework]
    for module in both(framework):
        values = numbers(drawn(module, name, LONG))
        assert span(values) == pytest.approx([low, high], abs=0.002 * (high - low))
        assert values.min() >= low


@frameworks("torch", "keras", "jax", "fastinit")
def test_normal_spread(framework):
    name, std = {
        "torch": ("normal_", 1.0),
        "keras": ("RandomNormal", 0.05),
        "jax": ("normal", 0.01),
        "fastinit": ("normal", 0.05),
    }[framework]
    for module in both(framework):
        assert numbers(drawn(module, name, LONG)).std() == pytest.approx(std, rel=0.03)


@frameworks("torch", "keras", "jax", "fastinit")
def test_truncation_bounds(framework):
    """With a std of a half: do the bounds stay where they are?"""
    for module in both(framework):
        if framework == "torch":
            values = drawn(module, "trunc_normal_", LONG, 0.0, 0.5)
            assert np.abs(span(values)).min() > 3.0 * 0.5  # the bounds, +-2, are four sigma away
            values = drawn(module, "trunc_normal_", LONG, 0.0, 0.5, -0.5, 0.25)
            assert span(values) == pytest.approx([-0.5, 0.25], abs=0.01)
            continue
        name = {"keras": "TruncatedNormal"}.get(framework, "truncated_normal")
        values = drawn(module, name, LONG, **{std_of(framework): 0.5})
        assert span(values) == pytest.approx([-1.0, 1.0], abs=0.02)
    if framework == "keras":
        with pytest.raises(TypeError):
            module.TruncatedNormal(lower=-1.0)
    if framework in ("jax", "fastinit"):
        values = drawn(module, name, LONG, **{std_of(framework): 0.5}, lower=-1.0, upper=0.5)
        assert span(values) == pytest.approx([-0.5, 0.25], abs=0.01)
    if framework == "fastinit":
        options = {"std": 0.5, "lower": -0.5, "upper": 0.25, "absolute": True}
        assert span(drawn(module, name, LONG, **options)) == pytest.approx([-0.5, 0.25], abs=0.01)


def std_of(framework):
    return {"keras": "stddev", "jax": "stddev"}.get(framework, "std")


@frameworks("torch", "keras", "jax", "fastinit")
def test_truncated_std(framework):
    scaling = {"keras": "VarianceScaling"}.get(framework, "variance_scaling")
    for module in both(framework):
        if framework == "torch":
            values = drawn(module, "trunc_normal_", LONG)
        else:
            name = {"keras": "TruncatedNormal"}.get(framework, "truncated_normal")
            values = drawn(module, name, LONG, **{std_of(framework): 1.0})
            right = drawn(module, scaling, (200, 100), 200.0, "fan_in", "truncated_normal")
            assert numbers(right).std() == pytest.approx(1.0, rel=0.02)
            assert is_cut(right)
        assert numbers(values).std() == pytest.approx(TRUNCATED, rel=0.02)
        assert is_cut(values)


@frameworks("torch", "keras", "jax", "fastinit")
def test_named_normals(framework):
    names = {
        "torch": ["kaiming_normal_", "xavier_normal_"],
        "keras": ["HeNormal", "GlorotNormal", "LecunNormal"],
    }.get(framework, ["he_normal", "glorot_normal", "lecun_normal"])
    for module in both(framework):
        for name in names:
            assert is_cut(drawn(module, name, (200, 100))) == (framework in ("keras", "jax"))


@frameworks("keras", "jax", "fastinit")
def test_distribution_normal(framework):
    name = {"keras": "VarianceScaling"}.get(framework, "variance_scaling")
    for module in both(framework):
        values = drawn(module, name, (200, 100), 1.0, "fan_in", "normal")
        assert is_cut(values) == (framework == "keras")
        if framework == "keras":
            values = drawn(module, name, (200, 100), 1.0, "fan_in", "untruncated_normal")
            assert not is_cut(values)


@frameworks("torch", "keras", "jax", "fastinit")
def test_stray_draws(framework):
    name = {"torch": "trunc_normal_", "keras": "TruncatedNormal"}.get(framework, "truncated_normal")
    for module in both(framework):
        strays = 0
        for seed in range(2):
            options = {} if framework == "torch" else {std_of(framework): 1.0}
            values = drawn(module, name, (2**20,), seed=seed, **options)
            strays += int((np.abs(numbers(values)) > 2.0 + 1e-6).sum())
        theirs = module.__name__ == "keras.initializers"
        assert (strays > 0) == (theirs and os.environ["KERAS_BACKEND"] == "torch")


# ---------------------------------------------------------------- shapes and fans


@frameworks("torch", "keras", "jax", "fastinit")
def test_layout(framework):
    """Which of two axes is the input?"""
    name = {"torch": "kaiming_uniform_", "keras": "HeUniform"}.get(framework, "he_uniform")
    options = {"nonlinearity": "relu"} if framework == "torch" else {}
    for module in both(framework):
        for shape, fan_in in (((20, 500), 20), ((3, 3, 20, 500), 180)):
            if framework == "torch":
                shape = (shape[-1], shape[-2], *shape[:-2])
            bound = math.sqrt(6 / fan_in)
            assert span(drawn(module, name, shape, **options))[1] == pytest.approx(bound, rel=0.01)
    if framework == "fastinit":
        w = fastinit.he_uniform((500, 20, 3, 3), in_axis=1, out_axis=0, seed=0)
        assert w.max() == pytest.approx(bound, rel=0.01)


@frameworks("torch", "keras", "jax", "fastinit")
def test_one_dimensional_shapes(framework):
    name = {"torch": "kaiming_uniform_", "keras": "HeUniform"}.get(framework, "he_uniform")
    for module in both(framework):
        if framework == "keras":
            values = drawn(module, name, (5000,))
            assert span(values)[1] == pytest.approx(math.sqrt(6 / 5000), rel=0.01)
            scalar = float(numbers(drawn(module, name, ())))
            assert abs(scalar) <= math.sqrt(6)
            continue
        with pytest.raises(ValueError, match=r"dimension|axes"):
            drawn(module, name, (5000,))


@frameworks("torch", "keras", "jax", "fastinit")
def test_empty_tensors(framework):
    name = {"torch": "kaiming_normal_", "keras": "HeNormal"}.get(framework, "he_normal")
    for module in both(framework):
        if module.__name__ == "jax.nn.initializers":
            with pytest.raises(ZeroDivisionError):
                drawn(module, name, (0, 3))
            continue
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert tuple(drawn(module, name, (0, 3)).shape) == (0, 3)
        assert ("zero-element" in "".join(str(w.message) for w in caught)) == (framework == "torch")


@frameworks("torch", "keras", "jax", "fastinit")
def test_orthogonal_flattening(framework):
    name = {"torch": "orthogonal_", "keras": "Orthogonal"}.get(framework, "orthogonal")
    shape = (4, 3, 5)
    for module in both(framework):
        values = numbers(drawn(module, name, shape))
        matrix = values.reshape(4, 15).T if framework == "torch" else values.reshape(12, 5)
        np.testing.assert_allclose(matrix.T @ matrix, np.eye(matrix.shape[1]), atol=1e-5)
        if framework in ("jax", "fastinit"):
            values = numbers(drawn(module, name, shape, column_axis=1))
            matrix = np.moveaxis(values, 1, -1).reshape(20, 3)
            np.testing.assert_allclose(matrix.T @ matrix, np.eye(3), atol=1e-5)


@frameworks("torch", "jax", "fastinit")
def test_even_windows(framework):
    for module in both(framework):
        if framework == "torch":
            assert numbers(drawn(module, "dirac_", (2, 2, 4)))[0, 0].tolist() == [0, 0, 1, 0]
        else:
            values = numbers(drawn(module, "delta_orthogonal", (4, 3, 3)))
            assert np.abs(values).sum(axis=(1, 2)).nonzero()[0].tolist() == [1]
        if framework == "fastinit":
            assert fastinit.dirac((4, 2, 2))[:, 0, 0].tolist() == [0, 0, 1, 0]


@frameworks("torch", "keras", "jax")
def test_transposed_fans(framework):
    """A kernel from 30 channels to 4: which of the two has the initializer for fan_in?"""
    require(framework)
    if framework == "torch":
        layer = require("torch").nn.ConvTranspose2d(30, 4, 3)
        theirs = require("torch").nn.init._calculate_fan_in_and_fan_out(layer.weight)
        shape = tuple(layer.weight.shape)
        assert (shape, theirs) == ((30, 4, 3, 3), (36, 270))
    elif framework == "keras":
        keras = require("keras")
        layer = keras.layers.Conv2DTranspose(4, 3, kernel_initializer="he_uniform")
        layer.build((None, 8, 8, 30))
        shape = tuple(layer.kernel.shape)
        assert shape == (3, 3, 4, 30)
        assert span(layer.kernel)[1] == pytest.approx(math.sqrt(6 / 36), rel=0.02)
    else:
        layer = partial(require("flax.linen").ConvTranspose, 4, (3, 3))
        for swapped, fan_in in ((False, 270), (True, 36)):
            given, shape = shape_given(partial(layer, transpose_kernel=swapped), (1, 8, 8, 30))
            assert given == shape == ((3, 3, 4, 30) if swapped else (3, 3, 30, 4))
            for module in both("jax"):
                values = drawn(module, "he_uniform", shape)
                assert span(values)[1] == pytest.approx(math.sqrt(6 / fan_in), rel=0.02)
        shape = (3, 3, 30, 4)
    assert fans.convolution_fans(shape, framework, transposed=True) == (270, 36)


@frameworks("torch", "keras", "jax")
def test_grouped_fans(framework):
    require(framework)
    if framework == "torch":
        torch = require("torch")
        weight = torch.nn.Conv2d(32, 64, 3, groups=8).weight
        assert torch.nn.init._calculate_fan_in_and_fan_out(weight) == (36, 576)
        assert fans.convolution_fans(weight.shape, "torch", groups=8) == (36, 72)
    elif framework == "keras":
        layer = require("keras").layers.DepthwiseConv2D(3, depthwise_initializer="he_uniform")
        layer.build((None, 8, 8, 64))
        assert span(layer.kernel)[1] == pytest.approx(math.sqrt(6 / (9 * 64)), rel=0.02)
        assert fans.convolution_fans((3, 3, 64, 1), depthwise=True) == (9, 9)
    else:
        layer = partial(require("flax.linen").Conv, 64, (3, 3), feature_group_count=8)
        given, shape = shape_given(layer, (1, 8, 8, 32))
        assert given == shape == (3, 3, 4, 64)
        for module in both("jax"):
            values = drawn(module, "variance_scaling", shape, 3.0, "fan_out", "uniform")
            assert span(values)[1] == pytest.approx(3 / math.sqrt(576), rel=0.02)
        assert fans.convolution_fans(shape, "jax", groups=8) == (36, 72)


@frameworks("torch", "keras", "jax", "fastinit")
def test_packed_projections(framework):
    size = 32
    apart, packed = math.sqrt(6 / (2 * size)), math.sqrt(6 / (4 * size))
    if framework == "torch":
        layer = require("torch").nn.MultiheadAttention(size, 4)
        assert tuple(layer.in_proj_weight.shape) == (3 * size, size)
        assert span(layer.in_proj_weight)[1] == pytest.approx(packed, rel=0.01)
    elif framework == "keras":
        layer = require("keras").layers.MultiHeadAttention(4, size // 4)
        layer.build((None, 5, size), (None, 5, size))
        for kernel in (layer.query_dense.kernel, layer.key_dense.kernel):
            assert tuple(kernel.shape) == (size, 4, size // 4)
            assert span(kernel)[1] == pytest.approx(apart, rel=0.03)
    elif framework == "jax":
        nn, jax = require("flax.linen"), require("jax")
        layer = nn.MultiHeadDotProductAttention(4, kernel_init=jax.nn.initializers.glorot_uniform())
        kernels = layer.init(jax.random.key(0), np.zeros((1, 5, size)))["params"]
        for name in ("query", "key", "value"):
            assert kernels[name]["kernel"].shape == (size, 4, size // 4)
            assert span(kernels[name]["kernel"])[1] == pytest.approx(apart, rel=0.03)
    else:
        shape = (3 * size, size)
        right = fans.dense_fans(shape, in_axis=1, out_axis=0, parts=3)
        w = fastinit.glorot_uniform(shape, fans=right, seed=0)
        assert w.max() == pytest.approx(apart, rel=0.01)


@frameworks("keras", "jax", "fastinit")
def test_several_axes(framework):
    if framework == "keras":
        keras = require("keras")
        layer = keras.layers.EinsumDense("ab,bcd->acd", (8, 12), kernel_initializer="he_uniform")
        layer.build((None, 40))
        assert span(layer.kernel)[1] == pytest.approx(math.sqrt(6 / 40), rel=0.02)
        for module in both(framework):  # left to itself, a window of 40 and 8 inputs
            values = drawn(module, "HeUniform", (40, 8, 12))
            assert span(values)[1] == pytest.approx(math.sqrt(6 / 320), rel=0.02)
            values = drawn(module, "HeUniform", (40, 8, 12), input_axes=[0], output_axes=[1, 2])
            assert span(values)[1] == pytest.approx(math.sqrt(6 / 40), rel=0.02)
    elif framework == "jax":
        general = require("flax.linen").DenseGeneral
        assert shape_given(partial(general, (8, 12)), (5, 40)) == ((40, 96), (40, 8, 12))
        batched = partial(general, 12, batch_dims=(0,))
        assert shape_given(batched, (6, 5, 40)) == ((6 * 40, 12), (6, 40, 12))
    else:
        assert fans.dense_fans((40, 8, 12), in_axis=0, out_axis=(1, 2)) == (40, 96)
        assert fans.dense_fans((6, 40, 12), batch_axis=0) == (40, 12)


# ---------------------------------------------------------------- what a layer starts with


@frameworks("torch", "keras", "jax", "fastinit")
def test_linear_default(framework):
    if framework == "torch":
        layer = require("torch").nn.Linear(400, 300)
        for values in (layer.weight, layer.bias):
            assert span(values) == pytest.approx([-1 / 20, 1 / 20], rel=0.02)
        assert numbers(layer.weight).var() == pytest.approx(1 / 3 / 400, rel=0.02)
        for module in both(framework):
            values = drawn(module, "kaiming_uniform_", (300, 400), a=math.sqrt(5))
            assert span(values) == pytest.approx([-1 / 20, 1 / 20], rel=0.01)
    elif framework == "keras":
        layer = require("keras").layers.Dense(300)
        layer.build((None, 400))
        assert span(layer.kernel)[1] == pytest.approx(math.sqrt(6 / 700), rel=0.01)
        assert not numbers(layer.bias).any()
    elif framework == "jax":
        nn, jax = require("flax.linen"), require("jax")
        layer = nn.Dense(300).init(jax.random.key(0), np.zeros((1, 400)))["params"]
        assert numbers(layer["kernel"]).std() == pytest.approx(1 / 20, rel=0.02)
        assert is_cut(layer["kernel"])
        assert not numbers(layer["bias"]).any()
    else:
        model = fastinit.nn.Sequential([fastinit.nn.Dense(300)], seed=0)
        model.build(400)
        kernel, bias = model.layers[0].kernel, model.layers[0].bias
        assert span(kernel)[1] == pytest.approx(math.sqrt(6 / 700), rel=0.01)
        assert not bias.any()


@frameworks("torch", "keras", "jax")
def test_embedding_default(framework):
    if framework == "torch":
        table = numbers(require("torch").nn.Embedding(500, 64).weight)
        assert table.std() == pytest.approx(1.0, rel=0.02)
        assert np.abs(table).max() > 3.5
    elif framework == "keras":
        layer = require("keras").layers.Embedding(500, 64)
        layer.build(None)
        assert span(layer.embeddings) == pytest.approx([-0.05, 0.05], rel=0.01)
    else:
        nn, jax = require("flax.linen"), require("jax")
        table = nn.Embed(500, 64).init(jax.random.key(0), np.zeros(1, int))["params"]["embedding"]
        assert numbers(table).std() == pytest.approx(1 / 8, rel=0.02)
        assert not is_cut(table)


@frameworks("torch", "keras", "jax")
def test_recurrent_default(framework):
    units = 16
    if framework == "torch":
        layer = require("torch").nn.LSTM(30, units)
        for values in layer.parameters():
            assert 0.2 < np.abs(span(values)).min() < np.abs(span(values)).max() <= 1 / 4
        return
    if framework == "keras":
        layer = require("keras").layers.LSTM(units)
        layer.build((None, 5, 30))
        kernel, recurrent, bias = map(numbers, layer.weights)
        assert span(kernel)[1] == pytest.approx(math.sqrt(6 / (30 + 4 * units)), rel=0.02)
        np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(units), atol=1e-5)
        assert bias.reshape(4, units).mean(axis=1).tolist() == [0, 1, 0, 0]
        return
    nn, jax = require("flax.linen"), require("jax")
    cell = nn.OptimizedLSTMCell(units)
    carry = cell.initialize_carry(jax.random.key(0), (1, 30))
    gates = cell.init(jax.random.key(0), carry, np.zeros((1, 30)))["params"]
    assert numbers(gates["if"]["kernel"]).std() == pytest.approx(1 / math.sqrt(30), rel=0.1)
    recurrent = numbers(gates["hf"]["kernel"])
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(units), atol=1e-5)
    assert not numbers(gates["hf"]["bias"]).any()


# ---------------------------------------------------------------- seeds and precision


@frameworks("torch", "keras", "jax", "fastinit")
def test_seed_repeats(framework):
    for module in both(framework):
        if framework == "torch":
            torch = require("torch")
            generator = torch.Generator().manual_seed(1)
            calls = [lambda: module.normal_(torch.empty(9), generator=generator)]  # noqa: B023
            repeats = [False]
        elif framework == "keras":
            moving = require("keras").random.SeedGenerator(1)
            inits = [module.RandomNormal(seed=seed) for seed in (1, None, moving)]
            calls = [lambda init=init: init((9,)) for init in inits]
            repeats = [True, True, False]
        elif framework == "jax":
            key = require("jax").random.key(1)
            calls, repeats = [lambda: module.normal()(key, (9,))], [True]  # noqa: B023
        else:
            calls = [lambda: module.normal(9, seed=1), lambda: module.normal(9)]  # noqa: B023
            repeats = [True, False]
        for call, same in zip(calls, repeats, strict=True):
            assert np.array_equal(numbers(call()), numbers(call())) == same


@frameworks("torch", "jax", "fastinit")
def test_half_precision_draws(framework):
    names = {"torch": ["normal_", "uniform_"]}.get(framework, ["normal", "uniform"])
    for module in both(framework):
        theirs = "fastinit" not in module.__name__
        for name in names:
            wide, half = (drawn(module, name, LONG, dtype=d) for d in ("float32", "bfloat16"))
            ml_dtypes = pytest.importorskip("ml_dtypes")
            rounded = numbers(wide, np.float32).astype(ml_dtypes.bfloat16)
            same = np.array_equal(numbers(half), rounded.astype(np.float64))
            assert same == (not theirs or name == "normal_")


@frameworks("torch", "keras", "jax", "fastinit")
def test_half_precision_variance(framework):
    """A fan for which bfloat16 holds neither the variance, 1 / (3 * 771), nor the bound."""
    names = {"torch": "kaiming_uniform_", "keras": "VarianceScaling"}
    fan, name = 771, names.get(framework, "variance_scaling")
    args = () if framework == "torch" else (1 / 3, "fan_in", "uniform")
    for module in both(framework):
        shape = (fan, 3000) if framework != "torch" else (3000, fan)
        options = {"a": math.sqrt(5)} if framework == "torch" else {}
        values = numbers(drawn(module, name, shape, *args, dtype="bfloat16", **options))
        ratio = values.std() * math.sqrt(3 * fan)
        by = os.environ["KERAS_BACKEND"] if framework == "keras" else framework
        rounds = by == "jax" and "fastinit" not in module.__name__
        assert abs(ratio - 1) > 0.0012 if rounds else abs(ratio - 1) < 0.0008


@frameworks("torch", "keras", "jax", "fastinit")
def test_half_precision_orthogonal(framework):
    name = {"torch": "orthogonal_", "keras": "Orthogonal"}.get(framework, "orthogonal")
    for module in both(framework):
        if "fastinit" not in module.__name__:
            with pytest.raises(NotImplementedError):
                drawn(module, name, (16, 16), dtype="bfloat16")
            continue
        wide, half = (drawn(module, name, (16, 16), dtype=d) for d in ("float32", "bfloat16"))
        np.testing.assert_allclose(numbers(half), numbers(wide), rtol=2**-8, atol=1e-6)


@frameworks("torch", "jax", "fastinit")
def test_complex_draws(framework):
    for module in both(framework):
        name, args = ("normal_", ()) if framework == "torch" else ("normal", (1.0,))
        args = (0.0, 1.0) if framework == "fastinit" else args
        values = numbers(drawn(module, name, LONG, *args, dtype="complex64"), np.complex128)
        for part in (values.real, values.imag):
            assert part.std() == pytest.approx(math.sqrt(0.5), rel=0.02)
        if framework == "torch":
            values = numbers(drawn(module, "uniform_", LONG, dtype="complex64"), np.complex128)
            for part in (values.real, values.imag):
                assert span(part) == pytest.approx([0.0, 1.0], abs=0.002)
        else:
            scaling = (1.0, "fan_in", "uniform")
            w = numbers(
                drawn(module, "variance_scaling", (2, 9999), *scaling, dtype="complex64"), complex
            )
            assert np.abs(w).max() == pytest.approx(1.0, abs=0.002)  # sqrt(2 * variance)
            assert np.abs(w.real).max() == pytest.approx(1.0, abs=0.02)
