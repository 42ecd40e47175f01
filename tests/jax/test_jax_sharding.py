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


@pytest.mark.parametrize("case", ["shards", "programs", "explicit"])
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
    for bad, error in [
        (lambda: ours.make_array((7, 24), meshes[0], "he_normal", 0), ValueError),
        (lambda: ours.make_array((8,), meshes[0], "he_normal", 0), fastinit.errors.ArgumentError),
        (
            lambda: ours.make_array(SHAPE, meshes[0], "he_norml", 0),
            fastinit.errors.UnknownNameError,
        ),
        (lambda: ours.make_array(SHAPE, meshes[0], "he_normal", 0, "int8"), ValueError),
        (lambda: ours.make_array(SHAPE, meshes[0], "he_normal", -1), ValueError),
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


def processes(address, number):
    jax, np, fastinit, ours, over = tools()
    jax.distributed.initialize(address, 2, int(number))
    assert (len(jax.devices()), len(jax.local_devices())) == (8, 4)
    array = ours.make_array(SHAPE, over((8,), "x"), "he_normal", 5)
    whole = fastinit.he_normal(SHAPE, seed=5)
    assert not array.is_fully_addressable
    assert len(array.addressable_shards) == 4
    for shard in array.addressable_shards:
        np.testing.assert_array_equal(shard.data, whole[shard.index])
    try:
        ours.make_array(SHAPE, over((8,), "x"), "he_normal")
    except fastinit.errors.ArgumentError as error:
        assert "seed is None" in str(error)  # noqa: PT017 - there is no pytest here
    else:
        raise AssertionError


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
    print("done")
