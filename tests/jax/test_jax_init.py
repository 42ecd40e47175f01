"""fastinit.jax against jax.nn.initializers: signatures, laws, dtypes, errors; and one set of values
however a program draws them."""

import doctest
import hashlib
import inspect
import math
import os
import shutil
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from scipy.stats import ks_2samp

import fastinit
from tests.frameworks import require

jax = require("jax")
jnp = jax.numpy
theirs = jax.nn.initializers

import fastinit.jax as ours  # noqa: E402 - once JAX is known to be there
from fastinit.jax import custom_call, draws  # noqa: E402

KEY = jax.random.key(7)
SHAPE = (64, 20)
NAMES = sorted(name for name in dir(theirs) if not name.startswith("_"))
DIRECT = {"zeros", "ones", "Initializer"}


def described(function):
    """Return the names, defaults and kinds of a function's parameters."""
    return [(p.name, p.default, p.kind) for p in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_jax_signature(name):
    assert name in ours.__all__
    assert described(getattr(ours, name)) == described(getattr(theirs, name))


def test_init_functions_have_jax_signature():
    init = ours.he_normal()
    assert described(init) == described(theirs.he_normal())
    assert isinstance(init, theirs.Initializer)
    assert ours.zeros_init()(KEY, SHAPE).sum() == 0
    assert ours.ones_init()(KEY, SHAPE).sum() == 64 * 20


# ---------------------------------------------------------------- the law

WIDE = (400, 600)
# name, arguments
LAWS = [
    ("uniform", (), {}),
    ("uniform", (-3.0,), {}),
    ("normal", (), {}),
    ("normal", (2.0,), {}),
    ("truncated_normal", (), {}),
    ("truncated_normal", (0.5, None, -1.0, 3.0), {}),
    *(
        ("variance_scaling", (3.0, mode, law), {})
        for mode, law in [
            ("fan_in", "uniform"),
            ("fan_out", "normal"),
            ("fan_avg", "truncated_normal"),
            ("fan_geo_avg", "normal"),
        ]
    ),
    *((name, (), {}) for name in NAMES if name.endswith(("_uniform", "_normal")) and "_n" in name),
    *((name, (), {}) for name in ("glorot_uniform", "lecun_uniform", "he_uniform")),
]
LAWS = [law for i, law in enumerate(LAWS) if law not in LAWS[:i]]


def both(name, args, params, shape=WIDE, dtype=None):
    return [
        np.asarray(getattr(module, name)(*args, **params)(KEY, shape, dtype))
        for module in (ours, theirs)
    ]


@pytest.mark.parametrize(("name", "args", "params"), LAWS)
def test_the_law_is_that_of_jax(name, args, params):
    a, b = both(name, args, params)
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    std = float(b.std())
    assert a.std() == pytest.approx(std, rel=0.01)
    assert abs(a.mean() - b.mean()) < 5 * std * math.sqrt(2 / b.size)
    if np.abs(b).max() < 4 * std:  # where the law ends, it ends there
        assert [a.min(), a.max()] == pytest.approx([b.min(), b.max()], abs=0.02 * std)
    assert ks_2samp(a.ravel(), b.ravel()).pvalue > 1e-3


def test_another_law_is_told_apart():
    named, core = (
        init(KEY, WIDE).ravel() for init in (ours.he_normal(), ours.initializer("he_normal"))
    )
    reference = np.asarray(theirs.he_normal()(KEY, WIDE)).ravel()
    assert ks_2samp(named, reference).pvalue > 1e-3
    assert ks_2samp(core, reference).pvalue < 1e-12
    shifted = np.asarray(ours.normal(0.0103)(KEY, WIDE)).ravel()
    assert ks_2samp(shifted, np.asarray(theirs.normal()(KEY, WIDE)).ravel()).pvalue < 1e-3


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((3, 3, 32, 64), {}),
        ((96, 8, 16), {"in_axis": 0, "out_axis": (1, 2)}),
        ((6, 100, 60), {"batch_axis": 0}),
        ((64, 32, 3, 3), {"in_axis": [1], "out_axis": [0]}),
    ],
)
def test_axes_are_those_of_jax(shape, axes):
    for mode in ("fan_in", "fan_out", "fan_geo_avg"):
        a, b = both("variance_scaling", (1.0, mode, "uniform"), axes, shape)
        assert np.abs(a).max() == pytest.approx(np.abs(b).max(), rel=0.002)
    assert np.abs(a).max() != pytest.approx(
        np.abs(both("he_uniform", (), {}, shape)[1]).max(), 0.01
    )


# ---------------------------------------------------------------- dtypes

DTYPES = ["float16", "bfloat16", "float32", "float64", "complex64", "complex128"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["he_normal", "he_uniform"])
def test_dtypes(name, dtype):
    init = getattr(ours, name)()
    with jax.enable_x64(True):
        a, b = both(name, (), {}, dtype=dtype)
        assert a.dtype == b.dtype == jnp.dtype(dtype)
        compiled = jax.jit(lambda key: init(key, WIDE, dtype))(KEY)
        np.testing.assert_array_equal(compiled, a)
    power = [np.mean(np.abs(w.astype(np.complex128)) ** 2) for w in (a, b)]
    assert power[0] == pytest.approx(power[1], rel=0.02)
    single = np.asarray(init(KEY, WIDE))
    if dtype in ("float16", "bfloat16"):
        np.testing.assert_array_equal(a, single.astype(a.dtype))


def test_the_default_dtype_is_that_of_jax():
    init = ours.normal()
    assert init(KEY, SHAPE).dtype == np.float32
    assert ours.normal(dtype=jnp.bfloat16)(KEY, SHAPE).dtype == jnp.bfloat16
    assert ours.normal(dtype=jnp.bfloat16)(KEY, SHAPE, jnp.float16).dtype == jnp.float16
    assert init(KEY, SHAPE, float).dtype == np.float32
    with pytest.warns(UserWarning, match="float64 is not available") as caught:
        assert init(KEY, SHAPE, jnp.float64).dtype == np.float32
    assert caught[0].filename == __file__
    with jax.enable_x64(True):
        assert init(KEY, SHAPE).dtype == np.float64


# ---------------------------------------------------------------- values

INITS = [
    ours.he_normal(),
    ours.uniform(1.0),
    ours.orthogonal(),
    ours.initializer("rademacher"),
    ours.initializer("truncated_normal", std=0.02),
]


@pytest.mark.parametrize("init", INITS, ids=lambda init: repr(init.initializer))
def test_values_do_not_depend_on_how_they_are_drawn(init):
    draw = partial(init, shape=SHAPE)
    keys = jax.random.split(KEY, (2, 3))
    expected = np.stack([[draw(key) for key in row] for row in keys])
    for mapped in (jax.vmap(jax.vmap(draw)), jax.jit(jax.vmap(jax.vmap(draw)))):
        np.testing.assert_array_equal(mapped(keys), expected)
    np.testing.assert_array_equal(jax.jit(draw)(keys[1, 2]), expected[1, 2])
    _, scanned = jax.lax.scan(lambda carry, key: (carry, draw(key)), 0, keys[0])
    np.testing.assert_array_equal(scanned, expected[0])
    np.testing.assert_array_equal(jax.jit(partial(jax.lax.map, draw))(keys[0]), expected[0])
    shape = jax.eval_shape(draw, KEY)
    assert (shape.shape, shape.dtype) == (SHAPE, np.float32)
    assert len({row.tobytes() for row in expected.reshape(6, -1)}) == 6


def test_keys_of_either_style_and_any_implementation():
    init = ours.he_normal()
    values = init(KEY, SHAPE)
    np.testing.assert_array_equal(init(jax.random.PRNGKey(7), SHAPE), values)
    np.testing.assert_array_equal(init(np.array([0, 7], np.uint32), SHAPE), values)
    for implementation in ("rbg", "unsafe_rbg"):
        keys = jax.random.split(jax.random.key(7, impl=implementation), 2)
        drawn = [np.asarray(init(key, SHAPE)) for key in keys]
        assert not np.array_equal(*drawn)
        np.testing.assert_array_equal(jax.vmap(lambda key: init(key, SHAPE))(keys), drawn)
    # Words that differ in one place, of an rbg key too, are other keys.
    words = np.zeros((4, 4), np.uint32) + np.eye(4, dtype=np.uint32)
    keys = jax.random.wrap_key_data(words, impl="rbg")
    assert len({init(key, SHAPE).tobytes() for key in keys}) == 4


@pytest.mark.parametrize("seed", [0, 7, 2**31])
def test_the_key_of_a_seed_stands_for_the_seed(seed):
    expected = fastinit.he_normal(SHAPE, seed=seed)
    init = ours.initializer("he_normal")
    np.testing.assert_array_equal(init(jax.random.key(seed), SHAPE), expected)
    assert not np.array_equal(init(jax.random.key(seed + 1), SHAPE), expected)


def test_a_gradient_goes_around_a_draw():
    init = ours.he_normal()
    total = float(init(KEY, SHAPE).sum())

    def loss(x, key):
        return (x * init(key, SHAPE)).sum()

    keys = jnp.stack([KEY, KEY])
    scan = lambda x, keys: jax.lax.scan(lambda c, key: (c + loss(x, key), None), 0.0, keys)[0]  # noqa: E731
    for function, key, factor in ((loss, KEY, 1), (jax.checkpoint(loss), KEY, 1), (scan, keys, 2)):
        for gradient in (jax.grad(function), jax.jit(jax.grad(function))):
            assert float(gradient(2.0, key)) == pytest.approx(factor * total, rel=1e-5)


def test_memory_is_taken_over_and_left_alone(monkeypatch):
    from fastinit.jax import arrays

    made = []
    aligned = arrays.aligned

    def spy(*args):
        made.append(aligned(*args).ctypes.data)
        memory = aligned(*args)
        made.append(memory.ctypes.data)
        return memory

    monkeypatch.setattr(arrays, "aligned", spy)
    init = ours.normal()
    drawn = [init(jax.random.key(seed), (300, 300)) for seed in range(3)]
    assert [array.unsafe_buffer_pointer() for array in drawn] == made[1::2]
    before = [hashlib.sha256(array.tobytes()).digest() for array in drawn]
    for seed in range(20):
        init(jax.random.key(seed), (300, 300))
    donated = init(KEY, (300, 300))
    kept = np.array(donated)
    np.testing.assert_array_equal(jax.jit(lambda x: x + 1, donate_argnums=0)(donated), kept + 1)
    assert [hashlib.sha256(array.tobytes()).digest() for array in drawn] == before


def test_arrays_lie_where_the_key_does():
    device = jax.devices()[-1]
    committed = jax.device_put(KEY, device)
    assert ours.normal()(committed, SHAPE).committed
    assert ours.normal()(committed, SHAPE).devices() == {device}
    assert not ours.normal()(KEY, SHAPE).committed


@pytest.mark.parametrize("spec", ["he_normal", "normal(std=0.1)", "siren_uniform(first=True)"])
def test_programs_say_in_words_what_they_draw(spec):
    what = draws.Draw(fastinit.get(spec), (3, 4), np.dtype(np.float32))
    assert draws.read(what.text()) == what


def test_any_initializer_works(monkeypatch):
    init = ours.initializer(
        lambda shape, *, seed, dtype: fastinit.normal(shape, seed=seed, dtype=dtype)
    )
    expected = fastinit.normal(SHAPE, seed=fastinit.key(7))
    np.testing.assert_array_equal(init(KEY, SHAPE), expected)
    what = draws.Draw(init.initializer, SHAPE, np.dtype(np.float32))
    assert what.text() is None  # a function has no words
    np.testing.assert_array_equal(jax.jit(partial(init, shape=SHAPE))(KEY), expected)
    keys = jax.random.split(KEY, 2)
    mapped = jax.jit(jax.vmap(partial(init, shape=SHAPE)))(keys)
    np.testing.assert_array_equal(mapped[1], init(keys[1], SHAPE))
    # as where XLA does not know the call
    monkeypatch.setattr(custom_call, "available", False)
    draw = partial(ours.normal(0.125), shape=(5, 3))
    np.testing.assert_array_equal(jax.jit(draw)(KEY), draw(KEY))


def test_scalars_and_empty_shapes():
    for shape in ((), (0,), (3, 0)):
        drawn = ours.normal()(KEY, shape)
        assert drawn.shape == shape
        np.testing.assert_array_equal(jax.jit(partial(ours.normal(), shape=shape))(KEY), drawn)
    assert ours.he_normal()(KEY, (0, 3)).shape == (0, 3)  # JAX divides by zero


def test_init_functions_compare_and_hash():
    assert ours.he_normal() == ours.he_normal() != ours.he_uniform()
    assert hash(ours.he_normal(dtype="float16")) == hash(ours.he_normal(dtype="float16"))
    assert "he_normal" in repr(ours.initializer("he_normal"))


# ---------------------------------------------------------------- errors

ERRORS = [
    lambda module: module.he_normal()(KEY, (5,)),
    lambda module: module.glorot_uniform()(KEY, ()),
    lambda module: jax.eval_shape(partial(module.he_normal(), shape=(5,)), KEY),
    lambda module: jax.jit(partial(module.he_normal(), shape=(5,)))(KEY),
    lambda module: module.variance_scaling(1.0, "fan", "normal")(KEY, SHAPE),
    lambda module: module.variance_scaling(1.0, "fan_in", "gamma")(KEY, SHAPE),
    lambda module: module.normal()(KEY, SHAPE, jnp.int32),
    lambda module: module.he_normal()(KEY, SHAPE, "int8"),
    lambda module: module.normal()(KEY, SHAPE, "floaty"),
    lambda module: module.normal()(KEY, (2, 1.5)),
    lambda module: module.normal()(jax.random.split(KEY), SHAPE),
    lambda module: module.normal()(5, SHAPE),
    lambda module: module.normal()(None, SHAPE),
    lambda module: module.normal()(jnp.zeros(2), SHAPE),
    lambda module: module.normal()(KEY, SHAPE, out_sharding=5),
    lambda module: module.normal()(KEY, SHAPE, out_sharding=jax.sharding.PartitionSpec("x")),
    lambda module: module.orthogonal()(KEY, (5,)),
    lambda module: module.delta_orthogonal()(KEY, (5, 5)),
    lambda module: module.delta_orthogonal()(KEY, (3, 5, 4)),
]


@pytest.mark.parametrize("call", ERRORS)
def test_errors_are_those_of_jax(call):
    with pytest.raises((ValueError, TypeError, IndexError)) as expected:
        call(theirs)
    with pytest.raises(expected.type):
        call(ours)


class Late(fastinit.Initializer):
    """Fails when it is too late to be caught before the program runs."""

    def distribution(self, shape):
        raise AssertionError

    def _drawn(self, shape, seed, dtype, out, index):
        if index is None:
            raise RuntimeError("too late")
        return out


def test_an_error_in_a_running_program_comes_through():
    draw = jax.jit(partial(ours.initializer(Late()), shape=SHAPE))
    with pytest.raises(jax.errors.JaxRuntimeError, match="RuntimeError: too late"):
        draw(KEY).block_until_ready()
    assert np.isfinite(jax.jit(partial(ours.normal(), shape=SHAPE))(KEY)).all()


# ---------------------------------------------------------------- the call from compiled programs

STRUCTURES = {
    "XLA_FFI_Extension_Base": custom_call.Extension,
    "XLA_FFI_Api_Version": custom_call.Version,
    "XLA_FFI_Metadata": custom_call.Metadata,
    "XLA_FFI_Metadata_Extension": custom_call.MetadataExtension,
    "XLA_FFI_Buffer": custom_call.Buffer,
    "XLA_FFI_Args": custom_call.Buffers,
    "XLA_FFI_Rets": custom_call.Buffers,
    "XLA_FFI_ByteSpan": custom_call.Span,
    "XLA_FFI_Attrs": custom_call.Attributes,
    "XLA_FFI_Error_Create_Args": custom_call.ErrorArguments,
    "XLA_FFI_Api": custom_call.Api,
    "XLA_FFI_CallFrame": custom_call.CallFrame,
}
FIELDS = {  # ours: theirs, where they differ
    "extension": "extension_start",
    "version": "api_version",
    "major": "major_version",
    "minor": "minor_version",
    "base": "extension_base",
    "context": "ctx",
    "arguments": "args",
    "results": "rets",
    "attributes": "attrs",
    "internal": "internal_api",
    "create_error": "XLA_FFI_Error_Create",
    "code": "errc",
}
OWN = {
    ("XLA_FFI_Args", "items"): "args",
    ("XLA_FFI_Rets", "items"): "rets",
    ("XLA_FFI_Attrs", "items"): "attrs",
    ("XLA_FFI_ByteSpan", "data"): "ptr",
    ("XLA_FFI_ByteSpan", "size"): "len",
}


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_structures_are_those_of_the_header(tmp_path):
    lines, expected = [], []
    for name, structure in STRUCTURES.items():
        for field, *_ in structure._fields_:
            member = OWN.get((name, field), FIELDS.get(field, field))
            lines.append(f'printf("%zu ", offsetof(struct {name}, {member}));')
            expected.append(getattr(structure, field).offset)
    code = "XLA_FFI_DataType_{} "
    named = {"bfloat16": "BF16", "float16": "F16", "float32": "F32", "float64": "F64"}
    named |= {"complex64": "C64", "complex128": "C128", "uint32": "U32"}
    for number, dtype in custom_call.DTYPES.items():
        lines.append(f'printf("%d ", {code.format(named[dtype.name])});')
        expected.append(number)
    for constant in ("XLA_FFI_ExecutionStage_EXECUTE", "XLA_FFI_Extension_Metadata"):
        lines.append(f'printf("%d ", {constant});')
    expected += [custom_call.EXECUTE, custom_call.METADATA_EXTENSION]
    source = tmp_path / "offsets.c"
    source.write_text(
        '#include <stdio.h>\n#include "xla/ffi/api/c_api.h"\nint main(void) {'
        + "\n".join(lines)
        + "return 0; }"
    )
    program = tmp_path / "offsets"
    subprocess.run(["cc", "-I", jax.ffi.include_dir(), source, "-o", program], check=True)
    printed = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    assert [int(number) for number in printed.split()] == expected


def test_a_program_calls_back_into_its_own_memory_and_can_be_cached(tmp_path):
    assert custom_call.available
    code = (
        "import jax, fastinit.jax, hashlib\n"
        "hits = []\n"
        "jax.monitoring.register_event_listener(lambda name, **_: hits.append(name))\n"
        "draw = jax.jit(lambda key: fastinit.jax.he_normal()(key, (2000, 50)) + 1)\n"
        "print(hashlib.sha256(draw(jax.random.PRNGKey(3)).tobytes()).hexdigest())\n"
        "print('/jax/compilation_cache/cache_hits' in hits)\n"
    )
    environment = {
        **os.environ,
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "JAX_PLATFORMS": "cpu",
    }
    first, second = (
        subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        for _ in range(2)
    )
    assert first[0] == second[0]
    assert second[1] == "True"


def test_examples():
    from fastinit.jax import initializers, trees

    for module, number in ((initializers, 20), (trees, 5)):
        found = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
        assert found.attempted > number
        assert found.failed == 0
    for name in set(ours.__all__) - {"Initializer", "constant", "zeros", "ones"}:
        assert ">>> " in getattr(ours, name).__doc__
