"""What counts as a seed, and which keys it gives."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError

# Recorded: every value the library draws depends on these.
RECORDED = [
    ((0,), 0x7EFE026F09F746A2),
    ((1,), 0x508998AE34DE0558),
    ((18446744073709551616,), 0x26E9393F6CCA52E2),
    ((0, "layer1.kernel"), 0x0DE2F4822D89C919),
    ((0, "layer1", "kernel"), 0xC09D4569AF3D754F),
    ((fastinit.Key(5), "é"), 0xB627AE15D0C970E9),
]


@pytest.mark.parametrize(("arguments", "value"), RECORDED)
def test_recorded_keys(arguments, value):
    assert int(fastinit.key(*arguments)) == value


@given(st.integers(0, 2**200), st.lists(st.text(), max_size=3))
def test_a_key_is_a_pure_function_of_seed_and_names(seed, names):
    assert fastinit.key(seed, *names) == fastinit.key(seed, *names)
    assert fastinit.key(np.array(seed % 2**63), *names) == fastinit.key(seed % 2**63, *names)


def test_keys_differ_wherever_seed_or_names_differ():
    cases = [
        (0,), (1,), (256,), (2**64,), (2**64 + 1,), (0, "a"), (0, "b"), (0, "a", "b"), (0, "ab"),
        (0, ""), (0, "", ""), (0, "a.b"), (1, "a"),
    ]  # fmt: skip
    assert len({fastinit.key(*case) for case in cases}) == len(cases)


def test_names_nest_below_a_key():
    parent = fastinit.key(0, "encoder")
    assert fastinit.key(parent) is parent
    assert fastinit.key(parent, "kernel") != fastinit.key(0, "kernel")
    assert fastinit.key(parent, "kernel") == fastinit.key(parent, "kernel")


def test_a_generator_advances_and_a_seed_sequence_does_not():
    generator, twin = np.random.default_rng(5), np.random.default_rng(5)
    first, second = fastinit.key(generator), fastinit.key(generator)
    assert first != second
    assert (first, second) == (fastinit.key(twin), fastinit.key(twin))
    sequence = np.random.SeedSequence(5)
    assert fastinit.key(sequence) == fastinit.key(sequence)
    assert fastinit.key(sequence) != fastinit.key(sequence.spawn(1)[0])


def test_no_seed_means_fresh_entropy():
    assert fastinit.key() != fastinit.key()
    assert not np.array_equal(fastinit.normal(4), fastinit.normal(4))


def test_keys_can_be_stored():
    key = fastinit.key(3, "x")
    assert pickle.loads(pickle.dumps(key)) == key
    assert eval(repr(key), {"Key": fastinit.Key}) == key
    assert fastinit.key(fastinit.Key(int(key))) == key


@pytest.mark.parametrize("seed", [-1, np.int64(-5)])
def test_negative_seeds_are_refused(seed):
    with pytest.raises(ArgumentError, match=f"must not be negative, got {int(seed)}"):
        fastinit.key(seed)


@pytest.mark.parametrize("seed", [1.0, "0", True, np.random, np.random.RandomState(0)])
def test_other_seeds_are_refused(seed):
    with pytest.raises(ArgumentTypeError, match="seed must be an integer"):
        fastinit.he_normal((2, 2), seed=seed)


def test_names_are_strings():
    with pytest.raises(ArgumentTypeError, match="a name is a string, got 5"):
        fastinit.key(0, 5)


@pytest.mark.parametrize(
    ("value", "error"),
    [(-1, ArgumentError), (2**64, ArgumentError), (0.5, ArgumentTypeError)],
)
def test_a_key_has_64_bits(value, error):
    with pytest.raises(error, match=str(value)):
        fastinit.Key(value)
