"""Recipes: patterns of names, the first of which decides."""

import pickle

import pytest

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError, UnknownNameError
from fastinit.recipes import Mixed, match, matches

RECIPE = {
    "*.bias": "zeros",
    "blocks.?.mlp.*": fastinit.get("normal", std=0.02),
    "Head.*": "glorot_normal(in_axis=1, out_axis=0)",
    "blocks.*": "he_normal",
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("blocks.3.mlp.bias", "zeros()"),
        ("blocks.3.mlp.fc.weight", "normal(std=0.02)"),
        ("blocks.13.mlp.fc.weight", "he_normal()"),
        ("Head.weight", "glorot_normal(in_axis=1, out_axis=0)"),
        ("head.weight", "None"),
        ("bias", "None"),
    ],
)
def test_the_first_pattern_that_fits_decides(name, expected):
    assert repr(match(RECIPE, name)) == expected
    assert repr(match(Mixed(RECIPE), name)) == expected


def test_one_object_for_all_names():
    mixed = fastinit.Mixed(RECIPE)
    assert mixed == Mixed(RECIPE)
    assert mixed != Mixed(dict(reversed(RECIPE.items())))
    assert hash(mixed) == hash(Mixed(RECIPE))
    assert pickle.loads(pickle.dumps(mixed)) == mixed
    assert repr(Mixed({"*": "he_normal"})) == "Mixed({'*': he_normal()})"
    assert mixed.for_name("a.bias") == fastinit.get("zeros")
    with pytest.raises(ArgumentError, match=r"the parameter 'head.weight'; there are '\*.bias', "):
        mixed.for_name("head.weight")
    with pytest.raises(ArgumentError, match="there are none"):
        Mixed({}).for_name("a")


def test_a_function_is_an_initializer_too():
    def ramp(shape, *, seed, dtype):
        return fastinit.ones(shape, dtype=dtype)

    assert match({"*": ramp}, "a")((2,)).tolist() == [1.0, 1.0]


def test_bad_recipes_are_refused():
    with pytest.raises(
        UnknownNameError, match=r"recipe\['\*.kernel'\]: .*did you mean 'he_normal'"
    ):
        Mixed({"*.bias": "zeros", "*.kernel": "he_norml"})
    with pytest.raises(ArgumentTypeError, match=r"recipe\['\*'\]: .*got 5"):
        match({"*": 5}, "a")
    with pytest.raises(ArgumentTypeError, match="a pattern is a string, got 3"):
        Mixed({3: "zeros"})
    with pytest.raises(ArgumentTypeError, match="a mapping of patterns"):
        Mixed(["zeros"])


def test_patterns():
    assert matches("*", "")
    assert matches("layer[12].*", "layer2.kernel")
    assert not matches("layer[12].*", "layer3.kernel")
    assert not matches("layer", "layer.kernel")
