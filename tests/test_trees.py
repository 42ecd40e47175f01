"""Trees of tensors made in one pass: the same bits as one by one, in the same tree."""

from collections import OrderedDict, defaultdict, namedtuple
from contextlib import contextmanager
from fnmatch import fnmatchcase
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastinit
from fastinit import sampling
from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.sampling import backend, draw_of, fill_many, numba_fill, threads
from fastinit.sampling.dtypes import find

try:
    from fastinit.sampling import cython_fill
except ImportError:
    cython_fill = None

BUILDS = ["numba", *(cython_fill.available() if cython_fill else ())]
Layer = namedtuple("Layer", "kernel bias")

# Initializers of every law, of constants, of a function, and one that is no independent draw.
INITIALIZERS = [
    "he_normal",
    "glorot_uniform",
    "uniform(low=-1.0, high=1.0)",
    "normal(std=0.02)",
    "truncated_normal",
    "truncated_normal(lower=1.0, upper=4.0)",
    "truncated_normal(lower=6.0, upper=9.0)",
    "rademacher",
    "zeros",
    "constant(value=-0.0)",
    "constant(value=2.5)",
]


@contextmanager
def using(build):
    """Draw with a backend, or with an instruction set of the compiled one."""
    load, level = backend.load, cython_fill and cython_fill.simd()
    if build != "numba":
        cython_fill.use(build)
    backend.load = lambda: numba_fill if build == "numba" else cython_fill
    sampling._plan.cache_clear()
    try:
        yield
    finally:
        backend.load = load
        if cython_fill:
            cython_fill.use(level)
        sampling._plan.cache_clear()


@pytest.fixture(params=BUILDS)
def build(request):
    with using(request.param):
        yield request.param


@pytest.fixture(params=[1, 2, 3], ids="{} threads".format)
def count(request):
    before = fastinit.get_num_threads()
    fastinit.set_num_threads(request.param)
    yield request.param
    fastinit.set_num_threads(before)


def named(tree, path=()):
    """Yield the names and leaves of a tree of dicts, lists and tuples: a slow readable oracle."""
    if isinstance(tree, dict):
        steps = tree.items()
    elif isinstance(tree, Layer):
        steps = tree._asdict().items()
    elif isinstance(tree, list) or (
        isinstance(tree, tuple) and not all(isinstance(size, int) for size in tree)
    ):
        steps = enumerate(tree)
    elif tree is None:
        return
    else:
        yield ".".join(path), tree
        return
    for step, child in steps:
        yield from named(child, (*path, str(step)))


def separately(shapes, recipe, seed, dtype="float32"):
    """The arrays by name, each made by itself."""
    arrays = {}
    for name, shape in named(shapes):
        fitting = [spec for pattern, spec in recipe.items() if fnmatchcase(name, pattern)]
        initializer = fastinit.get(fitting[0])
        arrays[name] = initializer(shape, seed=fastinit.key(seed, name), dtype=dtype)
    return arrays


def assert_same(tree, expected):
    """The same names in the same order, and the same bits."""
    arrays = dict(named(tree))
    assert list(arrays) == list(expected)
    for name, array in arrays.items():
        assert array.dtype == expected[name].dtype
        assert array.shape == expected[name].shape, name
        assert array.tobytes() == expected[name].tobytes(), name


SHAPES = {
    "embed": (1000, 32),
    "blocks": [
        {"attention": Layer((32, 96), (96,)), "mlp": Layer((32, 65), (65,))} for _ in range(12)
    ],
    "odd": [(1,), (63,), (64, 1), (65,), (3, 3, 5, 7), (0,), (4, 0, 2), ()],
    "head": {"kernel": (32, 1000), "bias": (1000,)},
}
RECIPE = {
    "*.bias": "zeros",
    "blocks.0.*": "glorot_uniform",
    "blocks.1?.*": "truncated_normal",
    "blocks.*": "he_normal",
    "odd.*": "normal(std=0.5)",
    "*": "uniform",
}


# ---------------------------------------------------------------- the values


def test_as_one_by_one_on_every_backend_and_any_number_of_threads(build, count, monkeypatch):
    monkeypatch.setattr(sampling, "SERIAL", 3000)  # so that little work is much
    monkeypatch.setattr(sampling, "GROUP", 1000)
    monkeypatch.setattr(sampling, "TASK", 2000)
    assert_same(fastinit.initialize(SHAPES, RECIPE, 7), separately(SHAPES, RECIPE, 7))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_mixed_laws_in_every_dtype(build, dtype):
    shapes = {f"{i}": (7, 11 + i) for i in range(len(INITIALIZERS))}
    recipe = {f"{i}": initializer for i, initializer in enumerate(INITIALIZERS)}
    made = fastinit.initialize(shapes, recipe, 1, dtype=dtype)
    assert_same(made, separately(shapes, recipe, 1, dtype))


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_tensors(build, dtype):
    shapes = {"a": (5, 9), "b": (33,), "c": (40, 2), "d": ()}
    recipe = {"a": "he_normal", "b": "uniform", "c": "truncated_normal", "d": "ones"}
    made = fastinit.initialize(shapes, recipe, 1, dtype=dtype)
    assert_same(made, separately(shapes, recipe, 1, dtype))


def test_large_and_small_together(count):
    shapes = {f"small.{i}": (64, 20 + i) for i in range(40)} | {"large": (2200, 1000)}
    shapes |= {"constant": (400, 400), "tiny": (3,)}
    recipe = {"constant": "ones", "*": "normal"}
    assert_same(fastinit.initialize(shapes, recipe, 3), separately(shapes, recipe, 3))


names = st.text(st.characters(codec="utf-8"), max_size=4)
shape = st.lists(st.integers(0, 9), max_size=3).map(tuple)
trees = st.recursive(
    shape,
    lambda below: st.one_of(
        st.dictionaries(names, below, max_size=4),
        st.lists(below, max_size=4),
        st.tuples(below, below),
        st.builds(Layer, below, below),
        st.none(),
    ),
    max_leaves=12,
)


@given(trees, st.integers(0, 2**70), st.sampled_from(INITIALIZERS[2:]))
def test_any_tree_has_the_values_of_its_names(tree, seed, initializer):
    leaves = list(named(tree))
    if len({name for name, _ in leaves}) < len(leaves):
        with pytest.raises(ArgumentError, match="two tensors are called"):
            fastinit.initialize(tree, initializer, seed)
        return
    made = fastinit.initialize(tree, initializer, seed)
    assert_same(made, separately(tree, {"*": initializer}, seed))
    # and filled in place, in a tree of another kind with the same names
    arrays = {name: np.empty(shape, np.float32) for name, shape in reversed(leaves)}
    assert fastinit.initialize(tree, initializer, seed, out=arrays) is arrays
    assert_same(dict(named(made)), {name: arrays[name] for name, _ in leaves})


def test_a_tensor_does_not_depend_on_what_else_is_in_the_tree():
    alone = fastinit.initialize({"a": {"b": (3, 4)}}, "he_normal", 0)["a"]["b"]
    tree = {"z": (2,), "a": {"c": (9,), "b": (3, 4)}}
    among = fastinit.initialize(tree, {"a.b": "he_normal", "*": "normal"}, 0)["a"]["b"]
    np.testing.assert_array_equal(alone, among)
    by_name = fastinit.initialize({"a.b": (3, 4)}, "he_normal", 0)["a.b"]
    np.testing.assert_array_equal(alone, by_name)
    other = fastinit.initialize({"a": {"B": (3, 4)}}, "he_normal", 0)["a"]["B"]
    assert (alone != other).any()


def test_initializers_that_are_no_independent_draws():
    class Walk(fastinit.Initializer):
        def distribution(self, shape):
            return sampling.Normal()

        def _drawn(self, shape, seed, dtype, out, index):
            return super()._drawn(shape, seed, dtype, out, index).cumsum(axis=0, out=out)

    def level(shape, *, seed, dtype):
        return np.full(shape, fastinit.normal((), seed=seed, dtype=dtype))

    shapes = {"walk": (9, 2), "level": [(3,), (4, 2)], "rest": (5,), "square": (6, 6)}
    recipe = {"walk": Walk(), "level*": level, "square": "orthogonal", "*": "normal"}
    assert_same(fastinit.initialize(shapes, recipe, 3), separately(shapes, recipe, 3))


def test_structured_tensors_in_place_and_an_error_of_theirs():
    out = {"a": np.zeros((4, 6), order="F"), "b": np.zeros((5, 5)), "c": np.zeros(3)}
    recipe = {"a": "orthogonal", "b": "sparse(sparsity=0.5)", "c": "normal"}
    fastinit.initialize(out, recipe, 0, out=out)
    for name, spec in recipe.items():
        key = fastinit.key(0, name)
        expected = fastinit.get(spec)(out[name].shape, seed=key, dtype="float64")
        np.testing.assert_array_equal(out[name], expected)
    with pytest.raises(ArgumentError, match="'c': "):
        fastinit.initialize(out, "orthogonal", 0)


def test_a_call_that_knows_no_out_is_copied_from():
    class Own(fastinit.Initializer):
        def distribution(self, shape):
            raise NotImplementedError

        def __call__(self, shape, **_):
            return np.full(shape, 3.0)

    made = fastinit.initialize({"a": (2, 2)}, Own(), 0)["a"]
    assert made.dtype == np.float32
    assert (made == 3.0).all()


# ---------------------------------------------------------------- seeds


def test_a_generator_is_read_once():
    generator, twin = np.random.default_rng(5), np.random.default_rng(5)
    made = fastinit.initialize({"a": (3,), "b": (3,)}, "normal", generator)
    np.testing.assert_array_equal(made["a"], fastinit.normal(3, seed=fastinit.key(twin, "a")))
    assert generator.random() == twin.random()
    assert (made["a"] != made["b"]).all()


def test_seeds_of_other_kinds_and_none():
    for seed in (fastinit.key(1, "model"), np.random.SeedSequence(9), np.int64(4)):
        made = fastinit.initialize({"a": (3,)}, "normal", seed)
        assert_same(made, separately({"a": (3,)}, {"*": "normal"}, seed))
    first, second = (fastinit.initialize([(3,), (3,)], "normal") for _ in range(2))
    assert len({array.tobytes() for array in (*first, *second)}) == 4


# ---------------------------------------------------------------- the tree


def test_the_tree_keeps_its_kinds_and_its_order():
    tree = OrderedDict(
        z=defaultdict(list, b=(2,), a=None),
        pair=((1,), [(2, 2)]),
        layer=Layer(kernel=(2, 3), bias=None),
        empty={},
        none=[],
        scalar=(),
        frozen=MappingProxyType({"x": (1,)}),
    )
    made = fastinit.initialize(tree, "normal", 0)
    assert type(made) is OrderedDict
    assert list(made) == list(tree)
    assert type(made["z"]) is defaultdict
    assert made["z"].default_factory is list
    assert list(made["z"]) == ["b", "a"]
    assert made["z"]["a"] is None
    assert type(made["pair"]) is tuple
    assert type(made["pair"][1]) is list
    assert type(made["layer"]) is Layer
    assert made["layer"].bias is None
    assert made["layer"].kernel.shape == (2, 3)
    assert (made["empty"], made["none"]) == ({}, [])
    assert made["scalar"].shape == ()
    assert type(made["frozen"]) is dict
    assert tree["pair"] == ((1,), [(2, 2)])
    assert tree["z"]["b"] == (2,)


def test_a_tuple_of_integers_is_a_leaf_and_any_other_a_node():
    made = fastinit.initialize(((2, 3), (np.int64(4),), [()], Layer((1,), (2,))), "normal", 0)
    assert [array.shape for _, array in named(list(made))] == [(2, 3), (4,), (), (1,), (2,)]
    below = fastinit.initialize({"": {"": (3,), "a": (2,)}}, "normal", 0)[""]
    np.testing.assert_array_equal(below[""], fastinit.normal(3, seed=fastinit.key(0, ".")))
    np.testing.assert_array_equal(below["a"], fastinit.normal(2, seed=fastinit.key(0, ".a")))
    alone = fastinit.initialize((2, 3), "normal", 0)
    np.testing.assert_array_equal(alone, fastinit.normal((2, 3), seed=fastinit.key(0, "")))
    assert fastinit.initialize({}, "normal", 0) == {}
    assert fastinit.initialize(None, "normal", 0) is None


def test_leaves_that_have_a_shape_and_a_dtype():
    tree = {
        "double": np.empty((2, 3)),
        "half": np.empty(4, np.float16),
        "words": SimpleNamespace(shape=[2, 2], dtype="float64"),
        "only": SimpleNamespace(shape=(5,)),
        "tuple": (5,),
    }
    made = fastinit.initialize(tree, "normal", 0)
    dtypes = {name: array.dtype.name for name, array in made.items()}
    assert dtypes == {
        "double": "float64",
        "half": "float16",
        "words": "float64",
        "only": "float32",
        "tuple": "float32",
    }
    twins = fastinit.initialize([np.empty(3), np.empty(3, np.float32)], "normal", 0)
    assert [array.dtype.name for array in twins] == ["float64", "float32"]
    single = fastinit.initialize(tree, "normal", 0, dtype="float32")
    assert {array.dtype.name for array in single.values()} == {"float32"}
    np.testing.assert_array_equal(made["half"], single["half"].astype(np.float16))


# ---------------------------------------------------------------- in place


def test_arrays_are_filled_in_place_where_they_are(count):
    whole = np.zeros((600, 70), np.float32)
    weights = [np.zeros((300, 40), order="F"), whole[::2, 1:], np.zeros(7), whole[1::2, 1:]]
    before = list(weights)
    assert fastinit.initialize(weights, "normal", 0, out=weights) is weights
    for place, (array, same) in enumerate(zip(before, weights, strict=True)):
        assert array is same
        key = fastinit.key(0, str(place))
        expected = fastinit.normal(array.shape, seed=key, dtype=array.dtype)
        np.testing.assert_array_equal(array, expected)
    assert not whole[:, 0].any()


def test_the_dtype_of_out_decides_unless_one_is_given():
    out = {"a": np.zeros((3, 4)), "b": np.zeros(3, np.float16)}
    fastinit.initialize({"a": (3, 4), "b": (3,)}, "normal", 0, out=out)
    assert_same(out, {
        "a": fastinit.normal((3, 4), seed=fastinit.key(0, "a"), dtype="float64"),
        "b": fastinit.normal(3, seed=fastinit.key(0, "b"), dtype="float16"),
    })  # fmt: skip
    words = {"a": np.zeros(5, np.uint16)}
    fastinit.initialize({"a": (5,)}, "normal", 0, dtype="bfloat16", out=words)
    expected = fastinit.normal(5, seed=fastinit.key(0, "a"), dtype="bfloat16")
    assert words["a"].tobytes() == expected.tobytes()


# ---------------------------------------------------------------- errors


READ_ONLY = np.zeros(3, np.float32)
READ_ONLY.flags.writeable = False
SAME = np.zeros(3, np.float32)
WRONG = [
    ({"a": (3, -1)}, "normal", {}, ArgumentError, "'a': a shape has no negative size"),
    ({"a": [3, 4]}, "normal", {}, ArgumentTypeError, r"'a.0': a leaf is a shape, .* got 3"),
    ({"a": (3, 4.0)}, "normal", {}, ArgumentTypeError, r"'a.0': a leaf is a shape, .* got 3"),
    ({"a": (True, 2)}, "normal", {}, ArgumentTypeError, r"'a.0': a leaf is .* got True"),
    ({"a": "zeros"}, "normal", {}, ArgumentTypeError, "'a': a leaf is .* got 'zeros'"),
    ({"a": {1: (3,)}}, "normal", {}, ArgumentTypeError, "a name is a string, got 1 below 'a'"),
    ({"a.b": (3,), "a": {"b": (3,)}}, "normal", {}, ArgumentError, "two .* are called 'a.b'"),
    ({"w": (3, 2), "b": (3,)}, "he_normal", {}, ArgumentError, "'b': .*two axes"),
    ({"w": (3,), "b": (3,)}, {"w": "normal"}, {}, ArgumentError, "no pattern fits .* 'b'"),
    ({"w": (3,)}, {"*": "norml"}, {}, ArgumentError, "unknown initializer 'norml'"),
    ({"w": (3,)}, 5, {}, ArgumentTypeError, "an initializer is"),
    ({"w": (3,)}, "normal", {"dtype": "int8"}, ArgumentTypeError, "dtype must be .* got int8"),
    ({"w": (3,)}, "normal", {"dtype": ["f"]}, ArgumentTypeError, "dtype must be .*"),
    ({"w": np.zeros(3, int)}, "normal", {}, ArgumentTypeError, "'w': dtype must be .* int64"),
    ({"w": (3,)}, "rademacher", {"dtype": "complex64"}, ArgumentTypeError, "'w': dtype must be"),
    ({"w": (3,)}, "normal(std=1e9)", {"dtype": "float16"}, ArgumentError, "'w': std=.* not fit"),
    ({"w": (3,)}, "constant(value=1e9)", {"dtype": "float16"}, ArgumentError, "'w': value=.* fit"),
    ({"w": (3,)}, "normal", {"out": {}}, ArgumentError, "out holds no tensor called 'w'"),
    ({}, "normal", {"out": {"w": SAME}}, ArgumentError, "shapes holds no tensor called 'w'"),
    ({"w": (3,)}, "normal", {"out": {"w": [0.0]}}, ArgumentTypeError, "'w.0': a leaf is"),
    ({"w": (3,)}, "normal", {"out": {"w": (3,)}}, ArgumentTypeError, "'w': out must be an array"),
    ({"w": (4,)}, "normal", {"out": {"w": SAME}}, ArgumentError, "'w': out has shape .* expected"),
    ({"w": (3,)}, "normal", {"out": {"w": READ_ONLY}}, ArgumentError, "'w': out is read-only"),
    (
        {"w": (3,)},
        "normal",
        {"out": {"w": SAME}, "dtype": "float64"},
        ArgumentTypeError,
        "'w': out has dtype float32, expected float64",
    ),
    ([(3,), (3,)], "normal", {"out": [SAME, SAME]}, ArgumentError, "one array twice: '0' and '1'"),
]


@pytest.mark.parametrize(("shapes", "recipe", "options", "error", "message"), WRONG)
def test_what_does_not_fit_is_named(shapes, recipe, options, error, message):
    with pytest.raises(error, match=message):
        fastinit.initialize(shapes, recipe, 0, **options)


def test_nothing_is_drawn_before_everything_fits():
    out = {"a": np.zeros((3, 3), np.float32), "b": np.zeros(3, np.float32)}
    with pytest.raises(ArgumentError, match="'b': "):
        fastinit.initialize(out, "he_normal", 0, out=out)
    assert not out["a"].any()


# ---------------------------------------------------------------- the pass over the threads


def plain(elements, dtype="float32"):
    row = find(dtype, (dtype,))
    return np.empty(elements, row.storage), draw_of(sampling.Normal(), row), elements


def test_a_hundred_small_tensors_are_one_call_of_the_backend(monkeypatch):
    calls = []
    drawn = backend.load().fill_many
    module = SimpleNamespace(
        fill_many=lambda tensors: (calls.append(len(tensors)), drawn(tensors)),
        kernel=backend.load().kernel,
    )
    monkeypatch.setattr(backend, "load", lambda: module)
    fastinit.initialize([(16, 20)] * 100, "he_normal", 0)
    assert calls == [100]
    calls.clear()
    fastinit.initialize([(64, 20)] * 1000, "he_normal", 0)
    assert sum(calls) == 1000
    most = -(-sampling.GROUP // (64 * 20))
    assert set(calls) <= {most, 1000 % most}


def test_much_work_is_cut_into_tasks_of_about_the_same_size(monkeypatch):
    counts = []
    run = threads.run
    monkeypatch.setattr(threads, "run", lambda task, n: (counts.append(n), run(task, n)))
    fill_many([plain(100)] * 900)
    assert counts == []  # too little to wake another thread
    fill_many([plain(2**14)] * 40 + [plain(3 * sampling.TASK)])
    assert counts == [3 + 40 * 2**14 // sampling.GROUP + 1]


def test_an_interrupt_comes_through(monkeypatch):
    def interrupt(tensors):
        raise KeyboardInterrupt

    module = SimpleNamespace(fill_many=interrupt, kernel=backend.load().kernel)
    monkeypatch.setattr(backend, "load", lambda: module)
    with pytest.raises(KeyboardInterrupt):
        fill_many([plain(2**14) for _ in range(20)])


@pytest.mark.skipif(cython_fill is None, reason="the compiled extension is not built")
def test_the_compiled_kernel_refuses_what_would_leave_memory():
    out, draw, key = plain(100)
    good = (draw.kernel, out, key, draw.parameters)
    kernel = cython_fill.kernel("normal", "float32")
    assert type(kernel) is type(draw.kernel) or backend.name() == "numba"
    out[:] = 7
    good = (kernel, out, key, draw.parameters)
    scattered, frozen = np.zeros(100, np.float32)[::2], READ_ONLY
    for wrong, error in [
        ((kernel, scattered, key, draw.parameters), ValueError),
        ((kernel, frozen, key, draw.parameters), ValueError),
        ((kernel, out, -1, draw.parameters), OverflowError),
        ((kernel, out, key, draw.parameters * 5), ValueError),
        ((print, out, key, draw.parameters), TypeError),
    ]:
        with pytest.raises(error):
            cython_fill.fill_many([good, wrong])
        assert (out == 7).all()  # nor was what came before
    out.resize(200, refcheck=False)  # no buffer is still held
    cython_fill.fill_many([])
