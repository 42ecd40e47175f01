"""The catalogue: moments, equality of objects and functions, and bad arguments."""

import math
import pickle
from dataclasses import dataclass

import numpy as np
import pytest

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError, UnknownNameError
from fastinit.registry import ALIASES
from fastinit.sampling import Normal
from fastinit.structured import STRUCTURED

SHAPE = (300, 500)
# name: (standard deviation over SHAPE, largest possible magnitude)
EXPECTED = {
    "zeros": (0.0, 0.0),
    "ones": (0.0, 1.0),
    "constant": (0.0, 0.0),
    "uniform": (0.05 / math.sqrt(3), 0.05),
    "normal": (0.05, math.inf),
    "rademacher": (1.0, 1.0),
    "truncated_normal": (0.05 * 0.8796256610342398, 0.1),
    "variance_scaling": (math.sqrt(1 / 300), 2 * math.sqrt(1 / 300) / 0.8796256610342398),
    "glorot_uniform": (math.sqrt(2 / 800), math.sqrt(6 / 800)),
    "glorot_normal": (math.sqrt(2 / 800), math.inf),
    "he_uniform": (math.sqrt(2 / 300), math.sqrt(6 / 300)),
    "he_normal": (math.sqrt(2 / 300), math.inf),
    "lecun_uniform": (math.sqrt(1 / 300), math.sqrt(3 / 300)),
    "lecun_normal": (math.sqrt(1 / 300), math.inf),
    "siren_uniform": (math.sqrt(2 / 300) / 30, math.sqrt(6 / 300) / 30),
    "small_init": (math.sqrt(0.4 / 300), math.inf),
}


def test_every_name_is_expected():
    builtin = [name for name in fastinit.names() if hasattr(fastinit, name)]
    assert builtin == sorted([*EXPECTED, *STRUCTURED])  # the latter are in test_structured.py


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_moments(name, dtype):
    std, bound = EXPECTED[name]
    w = fastinit.get(name)(SHAPE, seed=0, dtype=dtype)
    assert w.shape == SHAPE
    assert w.dtype == dtype
    wide = w.astype(np.float64)
    assert wide.std() == pytest.approx(std, rel=0.01)
    assert abs(wide.mean() - (1.0 if name == "ones" else 0.0)) <= 4 * std / math.sqrt(w.size)
    assert np.abs(wide).max() <= bound * (1 + 1e-6)


@pytest.mark.parametrize("name", sorted([*EXPECTED, *ALIASES]))
def test_function_and_object_agree(name):
    function, initializer = getattr(fastinit, name), fastinit.get(name)
    expected = initializer(SHAPE, seed=4)
    np.testing.assert_array_equal(function(SHAPE, seed=4), expected)
    out = np.empty(SHAPE, np.float32)
    assert function(SHAPE, seed=4, out=out) is out
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(function(SHAPE, seed=4, index=(slice(3, 5), 7)), expected[3:5, 7])


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_objects_can_be_compared_pickled_and_written(name):
    initializer = fastinit.get(name)
    assert initializer == fastinit.get(name)
    assert hash(initializer) == hash(fastinit.get(name))
    assert pickle.loads(pickle.dumps(initializer)) == initializer
    assert fastinit.get(repr(initializer)) == initializer
    assert len({fastinit.get(other) for other in EXPECTED}) == len(EXPECTED) - 1  # zeros, constant


@pytest.mark.parametrize(
    ("spec", "written"),
    [
        ("he_normal", "he_normal()"),
        ("kaiming_uniform", "he_uniform()"),
        ("xavier_normal(in_axis=1, out_axis=0)", "glorot_normal(in_axis=1, out_axis=0)"),
        ("normal(0.0, 0.01)", "normal(std=0.01)"),
        ("uniform(low=-1, high=1)", "uniform(low=-1.0, high=1.0)"),
        ("constant(0.1)", "constant(value=0.1)"),
        ("constant(1)", "ones()"),
        ("truncated_normal(upper=3)", "truncated_normal(upper=3.0)"),
        (
            "truncated_normal(0, 1, -1, 1, absolute=True)",
            "truncated_normal(std=1.0, lower=-1.0, upper=1.0, absolute=True)",
        ),
        ("rademacher(2)", "rademacher(scale=2.0)"),
        ("variance_scaling(3, 'fan_out')", "variance_scaling(scale=3.0, mode='fan_out')"),
        ("variance_scaling(2, distribution='normal')", "he_normal()"),
    ],
)
def test_repr_says_what_it_is(spec, written):
    assert repr(fastinit.get(spec)) == written
    assert fastinit.get(written) == fastinit.get(spec)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "complex64", "complex128"])
@pytest.mark.parametrize("law", ["uniform", "normal", "truncated_normal"])
def test_variance_scaling_has_its_variance_in_every_dtype(law, dtype):
    w = fastinit.variance_scaling((400, 600), 2.0, "fan_in", law, seed=0, dtype=dtype)
    assert w.dtype.name == dtype
    wide = w.astype(np.complex128)
    assert (np.abs(wide) ** 2).mean() == pytest.approx(2.0 / 400, rel=0.01)
    assert abs(wide.mean()) < 4 * math.sqrt(2.0 / 400 / w.size)


def test_absolute_bounds_are_values():
    w = fastinit.truncated_normal(10**5, 1.0, 2.0, 0.5, 2.0, absolute=True, seed=0)
    assert 0.5 <= w.min() < 0.51
    assert 1.99 < w.max() <= 2.0


def test_a_complex_rademacher_is_refused():
    with pytest.raises(ArgumentTypeError, match="float16 or bfloat16, got complex64"):
        fastinit.rademacher(3, dtype="complex64")


def test_axes_say_what_a_fan_is():
    torch_layout = fastinit.he_normal((64, 3, 7, 7), seed=0, in_axis=1, out_axis=0)
    assert torch_layout.std() == pytest.approx(math.sqrt(2 / (3 * 49)), rel=0.02)
    stacked = fastinit.lecun_normal((16, 100, 30), seed=0, batch_axis=0)
    assert stacked.std() == pytest.approx(math.sqrt(1 / 100), rel=0.02)


def test_fan_geo_avg():
    w = fastinit.variance_scaling((50, 800), 3.0, "fan_geo_avg", "normal", seed=0)
    assert w.std() == pytest.approx(math.sqrt(3.0 / 200), rel=0.02)


def test_fan_in_is_what_keeps_the_variance_of_relu_layers():
    x = fastinit.normal((2000, 256), 0.0, 1.0, seed=0)
    for layer in range(10):
        x = np.maximum(x @ fastinit.he_normal((256, 256), seed=fastinit.key(1, str(layer))), 0.0)
    assert 0.5 < np.mean(x**2) < 2.0


@dataclass(frozen=True)
class Halves(fastinit.Initializer):
    scale: float = 1.0

    def distribution(self, shape):
        return Normal(0.0, self.scale / 2)


class Wrong(fastinit.Initializer):
    def distribution(self, shape):
        return 0.5


def checkerboard(shape, *, seed, dtype):
    assert isinstance(seed, fastinit.Key)
    return (np.indices(shape).sum(axis=0) % 2).astype(dtype)


@pytest.fixture
def _clean_registry(monkeypatch):
    from fastinit import registry

    monkeypatch.setattr(registry, "_factories", dict(registry._factories))


@pytest.mark.usefixtures("_clean_registry")
def test_a_users_own_class_and_function_work_like_names():
    fastinit.register("halves", Halves)
    fastinit.register("quarters", Halves(0.5))
    assert fastinit.register("checkerboard")(checkerboard) is checkerboard
    assert {"halves", "quarters", "checkerboard"} <= set(fastinit.names())

    assert fastinit.get("halves(scale=4.0)") == Halves(4.0) == fastinit.get(Halves, scale=4.0)
    assert fastinit.get("halves", scale=4.0)(SHAPE, seed=0).std() == pytest.approx(2.0, rel=0.02)
    assert fastinit.get("quarters") == Halves(0.5)

    board = fastinit.get("checkerboard")
    assert board == fastinit.get(checkerboard)
    assert repr(board) == "checkerboard"
    assert pickle.loads(pickle.dumps(board)) == board
    np.testing.assert_array_equal(board((2, 2)), [[0, 1], [1, 0]])
    np.testing.assert_array_equal(board((2, 2), dtype=np.float64, index=0), [0, 1])
    out = np.empty((2, 2), np.float32)
    assert board((2, 2), out=out) is out
    assert out.sum() == 2

    with pytest.raises(ArgumentError, match="'halves' is taken"):
        fastinit.register("halves", Halves)
    with pytest.raises(ArgumentError, match="'kaiming_normal' is taken"):
        fastinit.register("kaiming_normal", Halves)
    with pytest.raises(ArgumentError, match="identifier, got 'my init'"):
        fastinit.register("my init", Halves)
    with pytest.raises(ArgumentTypeError, match="got 5"):
        fastinit.register("five", 5)
    with pytest.raises(ArgumentTypeError, match=r"returned 0\.5, no Distribution"):
        Wrong()((2, 2))
    with pytest.raises(ArgumentError, match=r"returned shape \(1,\), expected \(2, 2\)"):
        fastinit.get(lambda shape, *, seed, dtype: np.zeros(1))((2, 2))


@pytest.mark.parametrize(
    "arguments", [{"dtype": "int8"}, {"out": np.zeros(3, np.float32)}, {"index": 9}, {"index": 0.5}]
)
def test_a_function_is_not_called_for_arguments_that_do_not_fit(arguments):
    called = []
    with pytest.raises(fastinit.errors.FastinitError):
        fastinit.get(lambda *_, **__: called.append(1))((2, 2), **arguments)
    assert not called


READ_ONLY = np.zeros((4, 4), np.float32)
READ_ONLY.flags.writeable = False

BAD = [
    # a call, the error, what its message says
    (lambda: fastinit.he_normal((4, -1)), ArgumentError, r"no negative size, got \(4, -1\)"),
    (lambda: fastinit.he_normal((4, 2.5)), ArgumentTypeError, r"got \(4, 2.5\)"),
    (lambda: fastinit.he_normal((4,)), ArgumentError, r"at least two axes, got \(4,\)"),
    (lambda: fastinit.normal(4, std=-0.5), ArgumentError, "std must not be negative, got -0.5"),
    (lambda: fastinit.normal(4, std=math.nan), ArgumentError, "std must be a number, got nan"),
    (lambda: fastinit.normal(4, std=math.inf), ArgumentError, "std must be finite, got inf"),
    (lambda: fastinit.normal(4, mean="a"), ArgumentTypeError, "mean must be a number, got 'a'"),
    (lambda: fastinit.normal(4, std=1e39), ArgumentError, "std=1e[+]39 does not fit float32"),
    (lambda: fastinit.uniform(4, 1.0, 0.0), ArgumentError, "low=1.0, high=0.0"),
    (lambda: fastinit.uniform(4, -1e308, 1.7e308), ArgumentError, "high - low must be finite"),
    (lambda: fastinit.truncated_normal(4, lower=2, upper=2), ArgumentError, "lower=2.0, upper=2.0"),
    (lambda: fastinit.truncated_normal(4, lower=math.inf, upper=math.inf), ArgumentError, "inf"),
    (lambda: fastinit.constant(4, math.nan), ArgumentError, "value must be a number, got nan"),
    (lambda: fastinit.normal(4, dtype=np.int32), ArgumentTypeError, "complex128, got int32"),
    (lambda: fastinit.zeros(4, dtype="int8"), ArgumentTypeError, "complex128, got int8"),
    (lambda: fastinit.zeros(4, dtype="floaty"), ArgumentTypeError, "got 'floaty'"),
    (lambda: fastinit.normal((4, 4), out=READ_ONLY), ArgumentError, "out is read-only"),
    (lambda: fastinit.zeros((4, 4), out=READ_ONLY), ArgumentError, "out is read-only"),
    (lambda: fastinit.normal((4, 5), out=READ_ONLY), ArgumentError, r"\(4, 4\), expected \(4, 5\)"),
    (
        lambda: fastinit.normal(3, out=np.zeros(3)),
        ArgumentTypeError,
        "out has dtype float64, expected float32",
    ),
    (lambda: fastinit.normal(3, out=[0, 0, 0]), ArgumentTypeError, "must be an array, got list"),
    (
        lambda: fastinit.variance_scaling((4, 4), -1.0),
        ArgumentError,
        "scale must not be negative, got -1.0",
    ),
    (lambda: fastinit.variance_scaling((4, 4), mode="fan"), UnknownNameError, "mode 'fan'"),
    (
        lambda: fastinit.variance_scaling((4, 4), distribution="unifrom"),
        UnknownNameError,
        "distribution 'unifrom'; did you mean 'uniform'",
    ),
    (lambda: fastinit.get("he_norml"), UnknownNameError, "'he_norml'; did you mean 'he_normal'"),
    (lambda: fastinit.get("normal(stddev=1)"), ArgumentTypeError, "it takes mean=0.0, std=0.05"),
    (lambda: fastinit.get("normal(1 + 1)"), ArgumentError, r"got 'normal\(1 \+ 1\)'"),
    (lambda: fastinit.get("normal("), ArgumentError, r"got 'normal\('"),
    (lambda: fastinit.get(5), ArgumentTypeError, "got 5"),
    (lambda: fastinit.get(Halves(), scale=1), ArgumentTypeError, "takes no parameters here"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_nothing_is_written_when_an_argument_is_bad():
    out = np.full((4, 4), 7.0, np.float32)
    for arguments in ({"seed": -1}, {"index": 9}, {"dtype": np.float64}, {"in_axis": 5}):
        with pytest.raises(fastinit.errors.FastinitError):
            fastinit.he_normal((4, 4), **{"out": out, **arguments})
    assert (out == 7.0).all()
