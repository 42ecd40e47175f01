"""Keras' initializers from fastinit, against Keras' own."""

import copy
import inspect
import os
import pickle
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from scipy import stats

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError, UnknownNameError
from tests.frameworks import require

keras = require("keras")
ours = pytest.importorskip("fastinit.keras")
theirs = keras.initializers
BACKEND = keras.backend.backend()
on_jax = pytest.mark.skipif(BACKEND != "jax", reason="of the jax backend")
on_torch = pytest.mark.skipif(BACKEND != "torch", reason="of the torch backend")

# Keras' own way to NumPy
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
CLASSES = sorted({cls.__name__ for cls in vars(theirs).values() if isinstance(cls, type)})
CLASSES.remove("Initializer")
RANDOM = {
    "GlorotNormal": {},
    "GlorotUniform": {},
    "HeNormal": {},
    "HeUniform": {},
    "LecunNormal": {},
    "LecunUniform": {},
    "RandomNormal": {"mean": 0.1, "stddev": 0.2},
    "RandomUniform": {"minval": -0.1, "maxval": 0.3},
    "TruncatedNormal": {"mean": 0.1, "stddev": 0.2},
    "VarianceScaling": {"scale": 3.0, "mode": "fan_out", "distribution": "untruncated_normal"},
}


def array(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_of_keras_is_there_with_its_signature_and_configuration(name):
    mine, known = getattr(ours, name), getattr(theirs, name)
    assert issubclass(mine, known)
    assert mine is not known
    assert inspect.signature(mine) == inspect.signature(known)
    assert mine().get_config() == known().get_config()
    assert keras.saving.get_registered_name(mine) == f"fastinit>{name}"


def test_every_public_name_of_keras_is_there():
    for name, known in vars(theirs).items():
        if not name.startswith("_"):
            mine = getattr(ours, name)
            assert name in ours.__all__
            if isinstance(known, type) and name != "Initializer":
                assert ours.NAMES[name] is mine
                assert mine.__name__ == known.__name__


@pytest.mark.parametrize(("name", "params"), RANDOM.items())
def test_the_law_is_that_of_keras(name, params):
    mine, known = (
        array(getattr(module, name)(**params, seed=5)((200, 300))).ravel()
        for module in (ours, theirs)
    )
    assert stats.ks_2samp(mine, known).pvalue > 1e-3
    assert np.isclose(mine.mean(), known.mean(), atol=6 * known.std() / 245)
    assert np.isclose(mine.std(), known.std(), rtol=0.02)
    if "Uniform" in name or name == "TruncatedNormal":
        assert np.isclose(mine.max(), known.max(), rtol=0.01)
        assert np.isclose(mine.min(), known.min(), rtol=0.01)


def test_another_law_would_be_noticed():
    mine = array(ours.HeNormal(seed=5)((200, 300))).ravel()
    untruncated = ours.VarianceScaling(2.0, distribution="untruncated_normal", seed=6)
    assert np.isclose(mine.std(), array(untruncated((200, 300))).std(), rtol=0.02)
    assert stats.ks_2samp(mine, array(untruncated((200, 300))).ravel()).pvalue < 1e-6
    uncorrected = ours.TruncatedNormal(stddev=0.1, seed=6)((200, 300))
    assert stats.ks_2samp(mine, array(uncorrected).ravel()).pvalue < 1e-6


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((), (None, None)),
        ((7,), (None, None)),
        ((6, 4), (None, None)),
        ((3, 3, 6, 4), (None, None)),
        ((0, 4), (None, None)),
        ((6, 4, 5), ([0], [1, 2])),
        ((6, 4, 5), ([-3, 1], None)),
    ],
)
def test_fans_are_those_of_keras(shape, axes):
    from keras.src.initializers.random_initializers import compute_fans

    fan_in, fan_out = compute_fans(shape, *axes)
    means = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
    for mode, n in means.items():
        made = ours.VarianceScaling(2.0, mode, "untruncated_normal", None, *axes)
        assert made.rule(shape).law.std == np.sqrt(2.0 / max(1.0, n))


def test_an_axis_that_does_not_exist_is_the_error_of_keras():
    for module in (ours, theirs):
        with pytest.raises(IndexError):
            module.HeNormal(input_axes=[5], output_axes=[0])((2, 3))


def test_an_integer_decides_the_values_and_they_are_those_of_the_core():
    init = ours.HeUniform(seed=3)
    np.testing.assert_array_equal(array(init((4, 5))), fastinit.he_uniform((4, 5), seed=3))
    np.testing.assert_array_equal(array(init((4, 5))), array(init((4, 5))))
    assert not np.array_equal(array(ours.HeUniform(seed=4)((4, 5))), array(init((4, 5))))
    assert array(ours.HeUniform(seed=-3)((4, 5))).std() > 0


def test_no_seed_is_one_drawn_at_construction():
    keras.utils.set_random_seed(1)
    first, second = ours.GlorotNormal(), ours.GlorotNormal()
    values = array(first((4, 5)))
    np.testing.assert_array_equal(values, array(first((4, 5))))
    assert not np.array_equal(values, array(second((4, 5))))
    keras.utils.set_random_seed(1)
    np.testing.assert_array_equal(values, array(ours.GlorotNormal()((4, 5))))


def test_a_seed_generator_advances():
    init = ours.RandomNormal(seed=keras.random.SeedGenerator(3))
    first, second, third = (array(init((50,))) for _ in range(3))
    np.testing.assert_array_equal(first, array(ours.RandomNormal(seed=3)((50,))))
    assert len({values.tobytes() for values in (first, second, third)}) == 3
    again = ours.RandomNormal.from_config(init.get_config())
    np.testing.assert_array_equal(array(again((50,))), first)
    np.testing.assert_array_equal(array(again((50,))), second)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", None])
@pytest.mark.parametrize("name", ["HeNormal", "Orthogonal", "Zeros"])
def test_dtypes(name, dtype):
    if BACKEND == "jax" and dtype == "float64":
        pytest.skip("JAX has no float64 unless it is switched on")
    made = getattr(ours, name)()((6, 4), dtype=dtype)
    assert keras.backend.standardize_dtype(made.dtype) == (dtype or "float32")
    if name == "HeNormal":
        seeded = array(ours.HeNormal(seed=1)((6, 4), dtype=dtype))
        core = ours.HeNormal().rule((6, 4))((6, 4), seed=1, dtype=dtype or "float32")
        np.testing.assert_array_equal(seeded.astype(core.dtype), core)


def test_bfloat16_is_float32_rounded():
    half = array(ours.HeNormal(seed=1)((60, 40), dtype="bfloat16"))
    single = array(ours.HeNormal(seed=1)((60, 40), dtype="float32"))
    np.testing.assert_array_equal(
        half.astype(ml_dtypes.bfloat16), single.astype(ml_dtypes.bfloat16)
    )


def test_floatx_is_the_default():
    keras.config.set_floatx("float16")
    try:
        assert "float16" in str(ours.HeNormal()((2, 3)).dtype)
    finally:
        keras.config.set_floatx("float32")


@pytest.mark.parametrize(
    ("name", "params", "shape"),
    [
        ("VarianceScaling", {"scale": -1.0}, None),
        ("VarianceScaling", {"mode": "fan"}, None),
        ("VarianceScaling", {"distribution": "cauchy"}, None),
        ("HeNormal", {"seed": "zero"}, None),
        ("HeNormal", {"gain": 2.0}, None),
        ("Identity", {}, (2, 3, 4)),
        ("Orthogonal", {}, (3,)),
        ("STFT", {"side": "left"}, None),
    ],
)
def test_errors_are_those_of_keras(name, params, shape):
    def attempt(module):
        getattr(module, name)(**params)(shape)

    with pytest.raises(Exception) as theirs_raised:  # noqa: PT011 - the oracle says which
        attempt(theirs)
    with pytest.raises(theirs_raised.type):
        attempt(ours)


@pytest.mark.parametrize(
    ("init", "error", "words"),
    [
        (lambda: ours.RandomNormal(stddev=-0.5)((2,)), (ValueError, RuntimeError), "-0.5"),
        (lambda: ours.TruncatedNormal(stddev=-0.5)((2,)), (ValueError, RuntimeError), "-0.5"),
        (lambda: ours.RandomUniform(2.0, 1.0)((2,)), (ArgumentError,), "low=2.0"),
        (lambda: ours.FastInit("he_norml"), (UnknownNameError,), "he_normal"),
        (lambda: ours.HeNormal()((2, 3), "int32"), (ArgumentTypeError,), "int32"),
    ],
)
def test_errors_of_its_own(init, error, words):
    for kind in error:
        with pytest.raises(kind, match=words):
            init()


def test_an_initializer_that_cannot_be_saved_is_refused():
    assert ours.FastInit(fastinit.get("rademacher", scale=0.5)).spec == "rademacher(scale=0.5)"
    with pytest.raises(ArgumentTypeError, match=r"fastinit\.register"):
        ours.FastInit(fastinit.get(lambda shape, *, seed, dtype: np.zeros(shape, dtype)))


def test_orthogonal_is_orthogonal():
    for shape in ((8, 5), (5, 8), (3, 3, 4, 6)):
        q = array(ours.Orthogonal(2.0, seed=0)(shape)).reshape(-1, shape[-1])
        gram = q.T @ q if q.shape[0] >= q.shape[1] else q @ q.T
        np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-5)


# Names, copies, models


def test_by_string():
    for text, cls in {
        "fastinit>HeNormal": ours.HeNormal,
        "fastinit>he_normal": ours.HeNormal,
        "fastinit>zeros": ours.Zeros,
    }.items():
        assert type(keras.layers.Dense(2, kernel_initializer=text).kernel_initializer) is cls
    config = {"class_name": "fastinit>FastInit", "config": {"spec": "rademacher(scale=0.5)"}}
    layer = keras.layers.Dense(2, kernel_initializer=config)
    layer.build((None, 3))
    assert set(np.abs(array(layer.kernel)).ravel()) == {0.5}


def test_get():
    assert type(ours.get("HeNormal")) is ours.HeNormal
    assert type(ours.get("uniform")) is ours.RandomUniform
    assert type(ours.get("fastinit>HeNormal")) is ours.HeNormal
    assert ours.get("rademacher(scale=0.5)").spec == "rademacher(scale=0.5)"
    assert ours.get(None) is None
    init = ours.HeNormal()
    assert ours.get(init) is init
    with pytest.raises(ValueError, match="nothing_like_it"):
        ours.get("nothing_like_it")
    with keras.saving.custom_object_scope({"mine": ours.Ones}):
        assert type(ours.get("mine")) is ours.Ones


def test_patch_reaches_defaults_and_strings():
    with ours.patch():
        inner = keras.layers.MultiHeadAttention(2, 4, kernel_initializer="he_normal")
        layer = keras.layers.LSTM(3)
    assert type(inner._kernel_initializer) is ours.HeNormal
    assert type(layer.cell.recurrent_initializer) is ours.Orthogonal
    assert type(keras.layers.Dense(2).kernel_initializer) is theirs.GlorotUniform


@pytest.mark.parametrize("name", [*RANDOM, "Orthogonal", "FastInit"])
def test_copies(name):
    params = RANDOM.get(name, {}) | ({"spec": "normal(std=0.5)"} if name == "FastInit" else {})
    init = getattr(ours, name)(**params, seed=1)
    values = array(init((4, 3)))
    for other in (init.clone(), copy.deepcopy(init), pickle.loads(pickle.dumps(init))):
        assert type(other) is type(init)
        assert other.get_config() == init.get_config()
        np.testing.assert_array_equal(array(other((4, 3))), values)


def every_initializer():
    for name in CLASSES:
        if name not in ("STFT", "STFTInitializer"):
            yield getattr(ours, name)()
    yield ours.HeNormal(seed=3, input_axes=[0], output_axes=[1])
    yield ours.FastInit("rademacher(scale=0.5)", seed=keras.random.SeedGenerator(4))


def test_a_model_saved_and_loaded_is_the_same(tmp_path):
    layers = [keras.layers.Dense(4, kernel_initializer=init) for init in every_initializer()]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for before, after in zip(model.layers, loaded.layers, strict=True):
        assert before.get_config() == after.get_config()
        assert type(before.kernel_initializer) is type(after.kernel_initializer)
        np.testing.assert_array_equal(array(before.kernel), array(after.kernel))
    clone = keras.models.clone_model(model)
    assert [type(layer.kernel_initializer) for layer in clone.layers] == [
        type(layer.kernel_initializer) for layer in model.layers
    ]


def trained(inputs, outputs, x):
    model = keras.Model(inputs, outputs)
    y = (x.reshape(len(x), -1).mean(axis=1) > 0).astype("int64")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, jit_compile=False)
    losses = model.fit(x, y, epochs=4, batch_size=32, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


def test_layers_of_all_kinds_are_built_and_learn():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = keras.Input((4, 4, 2))
    h = layers.Conv2D(8, 3, activation="relu", kernel_initializer=ours.HeNormal())(inputs)
    h = layers.Reshape((4, 8))(h)
    h = layers.EinsumDense("abc,cd->abd", (4, 8), kernel_initializer="fastinit>glorot_normal")(h)
    h = layers.MultiHeadAttention(2, 4, kernel_initializer=ours.GlorotUniform())(h, h)
    h = layers.GlobalAveragePooling1D()(h)
    outputs = layers.Dense(2, kernel_initializer=ours.FastInit("normal(std=0.1)"))(h)
    trained(inputs, outputs, fastinit.normal((64, 4, 4, 2), 0.0, 1.0, seed=0))


def test_a_recurrent_layer():
    with ours.patch():
        layer = keras.layers.LSTM(8)
    assert array(layer(np.ones((2, 3, 4), "float32"))).shape == (2, 8)
    kernel = array(layer.cell.recurrent_kernel)
    np.testing.assert_allclose(kernel @ kernel.T, np.eye(8), atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16"])
def test_policies(policy):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((20,))
    layer = keras.layers.Dense(8, "relu", kernel_initializer=ours.HeNormal(), dtype=policy)
    outputs = keras.layers.Dense(2, kernel_initializer=ours.LecunNormal())(layer(inputs))
    assert keras.backend.standardize_dtype(layer.kernel.dtype) == layer.variable_dtype
    trained(inputs, outputs, fastinit.normal((64, 20), 0.0, 1.0, seed=0))


# Torch


@on_torch
def test_the_layer_keeps_the_memory_that_was_filled():
    class Remembering(ours.HeNormal):
        def __call__(self, *args, **kwargs):
            self.made = super().__call__(*args, **kwargs)
            return self.made

    init = Remembering()
    layer = keras.layers.Dense(4, kernel_initializer=init)
    layer.build((None, 3))
    assert layer.kernel.value.data_ptr() == init.made.data_ptr()


@on_torch
def test_on_the_meta_device_nothing_is_drawn():
    generator = keras.random.SeedGenerator(0)
    with keras.device("meta"):
        made = ours.HeNormal(seed=generator)((2**20, 2**20))
    assert made.is_meta
    assert made.shape == (2**20, 2**20)
    assert array(generator.state)[1] == 0


# JAX


@on_jax
def test_under_jit_the_values_are_the_same():
    import jax

    init = ours.HeNormal(seed=1)
    np.testing.assert_array_equal(jax.jit(lambda: init((4, 5)))(), init((4, 5)))
    abstract = jax.eval_shape(lambda: init((2**20, 2**20), "bfloat16"))  # nothing is drawn
    assert (abstract.shape, abstract.dtype.name) == ((2**20, 2**20), "bfloat16")


@on_jax
def test_a_traced_seed_generator():
    import jax

    generator = keras.random.SeedGenerator(3)
    init = ours.HeNormal(seed=generator)

    @jax.jit
    def draw(state):
        with keras.StatelessScope([(generator.state, state)]) as scope:
            values = init((4, 5))
        return values, scope.get_current_value(generator.state)

    state = generator.state.value
    for _ in range(3):
        values, state = draw(state)
        np.testing.assert_array_equal(values, init((4, 5)))


@on_jax
def test_a_model_built_while_shapes_are_inferred():
    class Block(keras.layers.Layer):
        def build(self, input_shape):
            self.kernel = self.add_weight((input_shape[-1], 4), ours.HeNormal(seed=1))

        def call(self, x):
            return x @ self.kernel

    inputs = keras.Input((3,))
    model = keras.Model(inputs, Block()(inputs))
    np.testing.assert_array_equal(model.layers[-1].kernel.value, ours.HeNormal(seed=1)((3, 4)))


SHARDED = """
import keras, numpy as np
import fastinit.keras as ours
devices = keras.distribution.list_devices()
assert len(devices) == 4
mesh = keras.distribution.DeviceMesh((2, 2), ["batch", "model"], devices)
layouts = keras.distribution.LayoutMap(mesh)
layouts[".*kernel"] = (None, "model")
keras.distribution.set_distribution(
    keras.distribution.ModelParallel(layout_map=layouts, batch_dim_name="batch")
)
for name in ("HeNormal", "Orthogonal"):
    init = getattr(ours, name)(seed=1)
    layer = keras.layers.Dense(8, kernel_initializer=init)
    layer.build((None, 6))
    assert tuple(layer.kernel.value.sharding.spec) == (None, "model")
    np.testing.assert_array_equal(layer.kernel.value, init((6, 8)))
"""


@on_jax
def test_each_device_draws_its_own_part():
    environment = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    subprocess.run([sys.executable, "-c", SHARDED], check=True, env=os.environ | environment)
