"""Arrays over several devices: each shard is made where it lives, and is part of the whole.

The devices are simulated, eight to a process that has to be told before JAX starts: the tests run
in processes of their own, this file being their program.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.frameworks import require

require("jax")

SHAPE = (16, 24)


def start(case, *arguments, devices=8):
    environment = {
        **os.environ,
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    command = [sys.executable, "-W", "error", __file__, case, *arguments]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(*processes):
    for process in processes:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
        assert output.endswith("done\n")


@pytest.mark.parametrize(
    "case", ["shards", "programs", "cuts", "cached", "explicit", "trees", "flax", "memory"]
)
def test_eight_devices(case):
    finish(start(case))


def test_two_processes_make_their_own_shards_alone():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    finish(*(start("processes", address, str(i), devices=4) for i in range(2)))


# ---------------------------------------------------------------- what the processes run


def tools():
    import jax
    import numpy as np
    from jax.sharding import AxisType, NamedSharding, PartitionSpec

    import fastinit
    import fastinit.jax as ours

    def over(sizes, *spec, kind=AxisType.Auto):
        names = ("x", "y")[: len(sizes)]
        mesh = jax.make_mesh(sizes, names, axis_types=(kind,) * len(sizes))
        return NamedSharding(mesh, PartitionSpec(*spec))

    return jax, np, fastinit, ours, over


def shards():
    jax, np, fastinit, ours, over = tools()

    meshes = [
        over((8,), "x"),
        over((4, 2), "x", "y"),
        over((2, 4), "y", "x"),
        over((4, 2), None, "y"),
        over((4, 2), ("x", "y")),
        over((8,)),
        jax.sharding.SingleDeviceSharding(jax.devices()[3]),
    ]
    specs = [
        "he_normal",
        "uniform(low=-1.0)",
        "orthogonal",
        fastinit.get("rademacher"),
        ours.he_normal(),
    ]
    for spec in specs:
        init = (
            spec.initializer if isinstance(spec, ours.he_normal().__class__) else fastinit.get(spec)
        )
        whole = init(SHAPE, seed=5)
        for sharding in meshes:
            array = ours.make_array(SHAPE, sharding, spec, 5)
            assert array.sharding == sharding
            np.testing.assert_array_equal(array, whole)
            for shard in array.addressable_shards:
                assert shard.data.shape == sharding.shard_shape(SHAPE)
    assert not np.array_equal(ours.make_array(SHAPE, meshes[0], "he_normal", 6), whole)

    # Each place is made once, whoever holds it, and nothing else is.
    drawn = []

    class Spy(fastinit.Initializer):
        def distribution(self, shape):
            return fastinit.sampling.Normal(0.0, 1.0)

        def _drawn(self, shape, seed, dtype, out, index):
            drawn.append(out.shape)
            return super()._drawn(shape, seed, dtype, out, index)

    counts = (8, 8, 8, 2, 8, 1)  # four devices of the fourth hold the same, and all of the sixth
    for sharding, count in zip(meshes, counts, strict=False):
        drawn.clear()
        ours.make_array(SHAPE, sharding, Spy(), 5)
        assert drawn == [sharding.shard_shape(SHAPE)] * count, (sharding, drawn)

    for dtype in ("float16", "bfloat16", "complex64"):
        array = ours.make_array(SHAPE, meshes[1], "he_normal", 5, dtype)
        assert array.dtype.name == dtype
        np.testing.assert_array_equal(array, fastinit.he_normal(SHAPE, seed=5, dtype=dtype))
    key = jax.random.key(5)
    array = ours.make_array(SHAPE, meshes[1], ours.he_normal(), key)
    np.testing.assert_array_equal(array, ours.he_normal()(key, SHAPE))
    assert np.isfinite(ours.make_array(SHAPE, meshes[1], "he_normal")).all()
    for seed in np.uint32(5), jax.numpy.uint32(5), jax.numpy.int32(5):  # numbers are no keys
        array = ours.make_array(SHAPE, meshes[1], "he_normal", seed)
        np.testing.assert_array_equal(array, fastinit.he_normal(SHAPE, seed=5))
    for bad, error in [
        (lambda: ours.make_array((7, 24), meshes[0], "he_normal", 0), ValueError),
        (lambda: ours.make_array((8,), meshes[0], "he_normal", 0), fastinit.errors.ArgumentError),
        (
            lambda: ours.make_array(SHAPE, meshes[0], "he_norml", 0),
            fastinit.errors.UnknownNameError,
        ),
        (lambda: ours.make_array(SHAPE, meshes[0], "he_normal", 0, "int8"), ValueError),
        (lambda: ours.make_array(SHAPE, meshes[0], "he_normal", -1), ValueError),
        (lambda: ours.make_array(SHAPE, "x", "he_normal", 0), fastinit.errors.ArgumentTypeError),
    ]:
        try:
            bad()
        except error:
            continue
        raise AssertionError


def programs():
    jax, np, _, ours, over = tools()
    from functools import partial

    init, key, sharding = ours.he_normal(), jax.random.key(5), over((4, 2), "x", "y")
    whole = np.asarray(init(key, SHAPE))
    compiled = jax.jit(partial(init, shape=SHAPE), out_shardings=sharding)(key)
    assert compiled.sharding == sharding
    np.testing.assert_array_equal(compiled, whole)

    # Within shard_map each device has its own key, or all have the same.
    keys, spec = jax.random.split(key, 8), jax.sharding.PartitionSpec
    every = partial(
        jax.shard_map, mesh=sharding.mesh, in_specs=spec(("x", "y")), out_specs=spec(("x", "y"))
    )
    draw = every(lambda keys: init(keys[0], (3, 4))[None])
    expected = np.stack([init(one, (3, 4)) for one in keys])
    np.testing.assert_array_equal(jax.jit(draw)(keys), expected)
    np.testing.assert_array_equal(draw(keys), expected)
    same = jax.shard_map(
        lambda key: init(key, SHAPE), mesh=sharding.mesh, in_specs=spec(), out_specs=spec()
    )
    np.testing.assert_array_equal(same(key), whole)

    device = jax.devices()[3]
    bound = jax.device_put(key, device)
    assert init(bound, SHAPE).devices() == {device}
    replicated = jax.device_put(key, over((8,)))
    assert init(replicated, SHAPE).devices() == set(jax.devices())
    np.testing.assert_array_equal(init(replicated, SHAPE), whole)


def spied():
    """Return a list that fills with the shapes that are drawn from now on."""
    from fastinit.jax.draws import Draw

    drawn, fill = [], Draw.fill

    def spy(self, out, key, index=None):
        if out.size:
            drawn.append(out.shape)
        fill(self, out, key, index)

    Draw.fill = spy
    return drawn


def cuts():
    """Under jit each device draws its own part alone."""
    jax, np, _, ours, over = tools()
    from functools import partial

    jnp, spec = jax.numpy, jax.sharding.PartitionSpec
    key, shape, drawn = jax.random.key(5), SHAPE, spied()
    init, whole = ours.he_normal(), np.asarray(ours.he_normal()(key, SHAPE))
    keys = jax.random.split(key, 16)
    stack = np.stack([init(one, (8, 6)) for one in keys])

    def check(function, argument, sharding, expected, parts, number=8):
        drawn.clear()
        array = jax.block_until_ready(jax.jit(function, out_shardings=sharding)(argument))
        np.testing.assert_array_equal(array, expected)
        assert (set(drawn), len(drawn)) == (parts, number), (sharding, drawn)

    devices = np.array(jax.devices()[::-1]).reshape(2, 4)
    backwards = jax.sharding.Mesh(devices, ("x", "y"))
    draw = partial(init, shape=SHAPE)
    for sharding in (
        over((8,), "x"),
        over((8,)),
        over((4, 2), "x", "y"),
        over((4, 2), None, "y"),
        over((2, 4), None, ("y", "x")),
        jax.sharding.NamedSharding(backwards, spec("y", "x")),
    ):
        check(draw, key, sharding, whole, {sharding.shard_shape(SHAPE)})
    mesh = over((4, 2)).mesh

    def constrained(function, *axes):
        sharding = jax.sharding.NamedSharding(mesh, spec(*axes))
        return lambda key: jax.lax.with_sharding_constraint(function(key), sharding)

    check(constrained(draw, "x", "y"), key, None, whole, {(4, 12)})
    with jax.set_mesh(mesh):
        check(draw, key, spec("y"), whole, {(8, 24)})

    # 10 x 7 on 4 x 2 devices: the parts are of 3 x 4, and the last ones have less.
    uneven = constrained(lambda key: jnp.pad(init(key, (10, 7)), ((0, 2), (0, 1))), "x", "y")
    expected = np.pad(init(key, (10, 7)), ((0, 2), (0, 1)))
    check(uneven, key, None, expected, {(3, 4), (3, 3), (1, 4), (1, 3)})

    # Many keys at once, cut along them or within, or one after the other.
    many = jax.vmap(partial(init, shape=(8, 6)))
    twice = lambda keys: jax.vmap(many)(keys.reshape(4, 4)).reshape(16, 8, 6)  # noqa: E731
    scan = lambda keys: jax.lax.scan(lambda _, key: (0, init(key, (8, 6))), 0, keys)[1]  # noqa: E731
    check(many, keys, over((4, 2), "x", None, "y"), stack, {(8, 3)}, 32)
    check(many, jax.device_put(keys, over((8,), "x")), over((8,), "x"), stack, {(8, 6)}, 16)
    check(twice, keys, over((4, 2), None, "x", "y"), stack, {(2, 3)}, 128)
    check(scan, keys, over((4, 2), None, "x", "y"), stack, {(2, 3)}, 128)

    # Initializers with structure make their part, and so do laws that are no numbers of their own.
    for spec_ in ("orthogonal", "sparse", "hadamard"):
        rule = ours.initializer(spec_)
        check(partial(rule, shape=shape), key, over((4, 2), "x", "y"), rule(key, shape), {(4, 12)})

    # Within shard_map over some axes of the mesh each device draws all, as it is told.
    for inner in (draw, lambda key: jax.lax.with_sharding_constraint(draw(key), spec("y"))):
        manual = partial(jax.shard_map, mesh=mesh, in_specs=spec(), out_specs=spec())
        check(manual(inner, axis_names={"x"}), key, None, whole, {SHAPE})
    gradient = jax.grad(lambda x: (x * init(key, SHAPE)).sum())
    check(gradient, jnp.ones(SHAPE), over((4, 2), "x"), whole, {(4, 24)})

    jax.config.update("jax_use_shardy_partitioner", False)  # with GSPMD each draws all
    check(draw, key, over((4, 2), "x", "y"), whole, {SHAPE})


def explicit():
    jax, np, _, ours, over = tools()
    spec = jax.sharding.PartitionSpec
    theirs = jax.nn.initializers
    init, key = ours.he_normal(), jax.random.key(5)
    whole = np.asarray(init(key, SHAPE))
    sharding = over((4, 2), "x", "y", kind=jax.sharding.AxisType.Explicit)
    np.testing.assert_array_equal(init(key, SHAPE, out_sharding=sharding), whole)
    with jax.set_mesh(sharding.mesh):
        for given in (spec(("x", "y")), spec(None, "y"), sharding):
            like = theirs.he_normal()(key, SHAPE, out_sharding=given)
            eager = init(key, SHAPE, out_sharding=given)
            compiled = jax.jit(lambda key, given=given: init(key, SHAPE, out_sharding=given))(key)
            for array in (eager, compiled):
                np.testing.assert_array_equal(array, whole)
                assert array.sharding == like.sharding
        typed = jax.eval_shape(lambda key: init(key, SHAPE, out_sharding=spec("x", "y")), key)
        assert typed.sharding.spec == spec("x", "y")
        np.testing.assert_array_equal(jax.jit(lambda key: init(key, SHAPE))(key), whole)
        zeros = ours.zeros(key, SHAPE, out_sharding=spec("x"))
        assert zeros.sharding.spec == spec("x", None)
    automatic = over((4, 2), "x", "y")
    for given, shape in ((automatic, SHAPE), (spec("x"), SHAPE), (5, SHAPE), (sharding, (7, 24))):
        errors = []
        for module in (ours, theirs):
            try:
                module.he_normal()(key, shape, out_sharding=given)
            except (ValueError, TypeError) as error:
                errors.append(type(error))
        assert errors[0] == errors[1], (given, errors)


def cached():
    """Programs kept on disk without what tells them apart in memory are told apart by the text."""
    jax, np, _, ours, over = tools()
    from functools import partial
    from tempfile import TemporaryDirectory

    found = []
    jax.monitoring.register_event_listener(lambda event, **_: found.append(event.split("/")[-1]))
    jax.config.update("jax_remove_custom_partitioning_ptr_from_cache_key", True)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    key, sharding = jax.random.key(5), over((4, 2), "x", "y")
    expected = {init: np.asarray(init(key, SHAPE)) for init in (ours.he_normal(), ours.normal())}
    with TemporaryDirectory() as folder:
        jax.config.update("jax_compilation_cache_dir", folder)
        for init in 2 * tuple(expected):
            found.clear()
            jax.clear_caches()
            array = jax.jit(partial(init, shape=SHAPE), out_shardings=sharding)(key)
            np.testing.assert_array_equal(array, expected[init])
    assert "cache_hits" in found


def named(tree, recipe, seed):
    """Return what the core makes of a flat tree of names."""
    import fastinit

    shapes = {name: tuple(leaf.shape) for name, leaf in tree.items()}
    dtypes = {name: leaf.dtype for name, leaf in tree.items()}
    return {
        name: fastinit.initialize({name: shapes[name]}, recipe, seed, dtype=dtypes[name])[name]
        for name in tree
    }


def trees():
    jax, np, fastinit, ours, over = tools()
    spec, Leaf = jax.sharding.PartitionSpec, jax.ShapeDtypeStruct
    both = over((4, 2), "x", "y")
    shapes = {
        "blocks": [{"kernel": Leaf((16, 24), "float32"), "bias": Leaf((24,), "bfloat16")}] * 2,
        "head": Leaf((24, 8), "float32", sharding=over((4, 2), "y")),
        "none": None,
    }
    recipe = {"*.bias": "normal(std=0.5)", "head": "orthogonal", "*": "he_normal"}
    drawn = spied()
    tree = ours.initialize(shapes, recipe, 7)
    assert (12, 8) in drawn
    assert (24, 8) not in drawn
    assert jax.tree.structure(tree) == jax.tree.structure(shapes)
    assert tree["head"].sharding == shapes["head"].sharding
    assert len(tree["blocks"][0]["kernel"].devices()) == 1
    names = {
        f"blocks.{i}.{name}": leaf
        for i, block in enumerate(tree["blocks"])
        for name, leaf in block.items()
    }
    names["head"] = tree["head"]
    for name, values in named(names, recipe, 7).items():
        np.testing.assert_array_equal(names[name], values)
        assert names[name].dtype == values.dtype
    assert not np.array_equal(*(block["kernel"] for block in tree["blocks"]))

    # One sharding for all that is below, specs over the mesh of the context, arrays for shapes.
    rows = over((4, 2), "x")
    prefix = {"blocks": [rows, {"kernel": both, "bias": rows}], "head": None, "none": None}
    again = ours.initialize(shapes, recipe, 7, shardings=prefix)
    assert again["blocks"][0]["kernel"].sharding == rows
    assert again["blocks"][1]["kernel"].sharding == both
    with jax.set_mesh(both.mesh):
        other = ours.initialize(tree, recipe, 7, shardings=spec("x"))
        assert other["head"].sharding == rows
    for one in (again, other):
        jax.tree.map(np.testing.assert_array_equal, one, tree)
    key = fastinit.jax.draws.key_of(jax.random.key_data(jax.random.key(7)))
    matrix = {"w": Leaf((16, 24), "float32")}
    half = ours.initialize(matrix, ours.he_normal(), jax.random.key(7), dtype="float16")["w"]
    rule = ours.he_normal().initializer
    expected = rule((16, 24), seed=fastinit.key(key, "w"), dtype="float16")
    np.testing.assert_array_equal(half, expected)

    deep = over((8,), None, None, "x")
    for call, words in [
        (lambda: ours.initialize(shapes, {"*.kernel": "he_normal"}, 7), "no pattern fits"),
        (lambda: ours.initialize({"a": Leaf((3,), "float32")}, "he_normal", 7), "'a': "),
        (lambda: ours.initialize({"a": Leaf((3,), "int32")}, "normal", 7), "'a': dtype"),
        (lambda: ours.initialize({"a": 3}, "normal", 7), "'a': a leaf has a shape"),
        (
            lambda: ours.initialize({"a.b": matrix["w"], "a": {"b": matrix["w"]}}, "normal", 7),
            "two arrays are called 'a.b'",
        ),
        (lambda: ours.initialize(matrix, "normal", 7, shardings=spec("x")), "use jax.set_mesh"),
        (
            lambda: ours.initialize(matrix, "normal", 7, shardings=deep),
            "'w': the shape (16, 24) has",
        ),
        (lambda: ours.initialize(matrix, "normal", 7, shardings={"v": rows}), ""),
        (
            lambda: ours.initialize({"w": Leaf((3, 3), "float32")}, "normal", 7, shardings=rows),
            "'w': ",
        ),
    ]:
        drawn.clear()
        try:
            call()
        except ValueError as error:
            assert words in str(error), error  # noqa: PT017
            assert not drawn
        else:
            raise AssertionError(words)


def flax():
    """What Flax's own init functions make, and what they say of shardings."""
    jax, np, fastinit, ours, _ = tools()
    import flax.linen as nn
    from flax import nnx

    recipe = {"*.kernel": "he_normal", "*.scale": "ones", "*.var": "ones", "*": "zeros"}
    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    jnp = jax.numpy

    class Block(nnx.Module):
        def __init__(self, rngs):
            kernel = nnx.with_partitioning(nnx.initializers.lecun_normal(), (None, "model"))
            self.layers = nnx.List(
                [nnx.Linear(8, 8, kernel_init=kernel, rngs=rngs) for _ in range(2)]
            )
            self.norm = nnx.BatchNorm(8, rngs=rngs)

        def __call__(self, x):
            for layer in self.layers:
                x = layer(x)
            return self.norm(x)

    with jax.set_mesh(mesh):
        graph, shapes = nnx.split(nnx.eval_shape(lambda: Block(nnx.Rngs(0))))
        state = ours.initialize(shapes, recipe, 7)
        kernel = nnx.merge(graph, state).layers[1].kernel
        assert nnx.merge(graph, state)(jnp.ones((4, 8))).shape == (4, 8)
    value = kernel.get_value()
    assert value.sharding == jax.sharding.NamedSharding(
        mesh, jax.sharding.PartitionSpec(None, "model")
    )
    expected = fastinit.he_normal((8, 8), seed=fastinit.key(7, "layers.1.kernel"))
    np.testing.assert_array_equal(value, expected)

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            kernel = nn.with_partitioning(nn.initializers.lecun_normal(), (None, "model"))
            return nn.BatchNorm(False)(nn.Dense(8, kernel_init=kernel)(x))

    shapes = jax.eval_shape(Net().init, jax.random.key(0), jnp.ones((4, 8)))
    variables = ours.initialize(shapes, recipe, 7, shardings=nn.get_sharding(shapes, mesh))
    kernel = variables["params"]["Dense_0"]["kernel"]
    assert isinstance(kernel, nn.Partitioned)
    expected = fastinit.he_normal((8, 8), seed=fastinit.key(7, "params.Dense_0.kernel"))
    np.testing.assert_array_equal(kernel.value, expected)
    assert kernel.value.sharding.shard_shape((8, 8)) == (8, 4)
    np.testing.assert_array_equal(variables["batch_stats"]["BatchNorm_0"]["var"], np.ones(8))


def peak():
    """Return the most memory that this process has used, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def memory():
    """The whole is in memory once, in shards; where every device draws it, as often."""
    if sys.platform != "linux":
        return
    jax, _, _, ours, over = tools()
    from functools import partial

    shape, size = (2**12, 2**13), 2**27
    sharding, init = over((4, 2), "x", "y"), ours.he_normal()
    program = partial(init, shape=shape)
    jax.block_until_ready(jax.jit(init, static_argnums=1)(jax.random.key(0), (8, 8)))
    ours.make_array((8, 8), sharding, init, 0)
    before = peak()
    for make in (
        lambda: ours.make_array(shape, sharding, init, 0),
        lambda: jax.jit(program, out_shardings=sharding)(jax.random.key(0)),
    ):
        jax.block_until_ready(make())
        assert peak() - before < 1.2 * size, (peak() - before) / size
    jax.config.update("jax_use_shardy_partitioner", False)
    jax.block_until_ready(jax.jit(program, out_shardings=sharding)(jax.random.key(0)))
    assert peak() - before > 2 * size


def processes(address, number):
    jax, np, fastinit, ours, over = tools()
    from functools import partial

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(address, 2, int(number))
    assert (len(jax.devices()), len(jax.local_devices())) == (8, 4)
    whole, init = fastinit.he_normal(SHAPE, seed=5), ours.initializer("he_normal")
    leaf = jax.ShapeDtypeStruct(SHAPE, "float32")
    drawn = spied()
    for sharding in (
        over((8,), "x"),
        over((4, 2), "x", "y"),
        over((2, 4), "y"),  # both processes hold all
        over((8,)),
        over((2, 4), None, ("y", "x")),
    ):
        made = []
        program = jax.jit(partial(init, shape=SHAPE), out_shardings=sharding)
        for make in (
            partial(ours.make_array, SHAPE, sharding, "he_normal", 5),
            partial(program, jax.random.key(5)),
        ):
            drawn.clear()
            made.append(jax.block_until_ready(make()))
            assert set(drawn) == {sharding.shard_shape(SHAPE)}
            assert len(drawn) <= 4
        for array in made:
            assert array.sharding == sharding
            assert not array.is_fully_addressable
            assert len(array.addressable_shards) == 4
            for shard in array.addressable_shards:
                np.testing.assert_array_equal(shard.data, whole[shard.index])
        difference = jax.jit(lambda a, b: abs(a - b).max())  # over both processes
        assert float(difference(*made)) == 0.0
        assert float(difference(made[0], 2 * made[1])) > 0.0
    tree = ours.initialize({"w": leaf}, "he_normal", 5, shardings=over((4, 2), "x", "y"))
    expected = fastinit.initialize({"w": SHAPE}, "he_normal", 5)["w"]
    for shard in tree["w"].addressable_shards:
        np.testing.assert_array_equal(shard.data, expected[shard.index])

    for call in (
        lambda: ours.make_array(SHAPE, over((8,), "x"), "he_normal"),
        lambda: ours.initialize({"w": leaf}, "he_normal"),
    ):
        try:
            call()
        except fastinit.errors.ArgumentError as error:
            assert "seed is None" in str(error)  # noqa: PT017 - there is no pytest here
        else:
            raise AssertionError

    if sys.platform == "linux":  # a process has no more than its own shards
        before, size = peak(), 2**27
        sharding = over((4, 2), "x", "y")
        jax.block_until_ready(ours.make_array((2**12, 2**13), sharding, "he_normal", 0))
        assert peak() - before < 0.7 * size, (peak() - before) / size


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
    print("done")
