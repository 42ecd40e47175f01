import naive
import naive_recurrent
import numpy as np
import pytest
from naive_recurrent import BLOCKS, forward, gradients, parameters

from fastinit.errors import ArgumentError
from fastinit.kernels import recurrent

every_cell = pytest.mark.parametrize("cell", BLOCKS)
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
# batch, time, features, units
every_size = pytest.mark.parametrize(
    "sizes", [(1, 1, 1, 1), (1, 5, 3, 1), (3, 1, 1, 5), (5, 4, 7, 33), (37, 3, 2, 16)]
)


def layer(cell, batch, time, features, units, dtype=np.float64):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, time, features)).astype(dtype)
    grad_hidden = rng.standard_normal((batch, time, units)).astype(dtype)
    return x, parameters(cell, features, units, dtype), grad_hidden


@every_cell
@both_dtypes
@every_size
def test_forward_agrees_with_numpy(cell, sizes, dtype):
    x, given, _ = layer(cell, *sizes, dtype)
    hidden, _, _ = forward(cell, x, *given)
    expected = naive_recurrent.hidden_states(cell, x, *given)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(hidden, expected, rtol=64 * eps, atol=64 * eps)


@every_cell
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (2, 4, 3, 5), (3, 5, 2, 1)])
def test_backward_is_the_derivative(cell, sizes):
    x, given, weights = layer(cell, *sizes)
    grads = gradients(cell, x, *given, weights)
    arguments = [x, *given]
    for i, got in enumerate(grads):

        def weighted_sum(at, i=i):
            return np.sum(weights * forward(cell, *arguments[:i], at, *arguments[i + 1 :])[0])

        numeric = naive.gradient(weighted_sum, arguments[i])
        scale = np.abs(numeric).max()
        np.testing.assert_allclose(got, numeric, rtol=1e-6, atol=1e-7 * scale)


@every_cell
def test_float32_gradients_agree_with_float64(cell):
    x, given, grad_hidden = layer(cell, 7, 6, 5, 19, np.float32)
    got = gradients(cell, x, *given, grad_hidden)
    doubles = [array.astype(np.float64) for array in (x, *given, grad_hidden)]
    for single, double in zip(got, gradients(cell, *doubles), strict=True):
        np.testing.assert_allclose(single, double, rtol=1e-5, atol=1e-5 * np.abs(double).max())


@every_cell
@both_dtypes
def test_parts_give_the_same_bits_as_the_whole(cell, dtype):
    x, given, grad_hidden = layer(cell, 13, 5, 4, 21, dtype)
    whole = gradients(cell, x, *given, grad_hidden)
    # the last rows: 4 of the kernel, 21 of the recurrent kernel, the bias
    parts = gradients(cell, x, *given, grad_hidden, (0, 1, 8, 13), (0, 3, 10, 24, 25, 26))
    for got, expected in zip(parts, whole, strict=True):
        np.testing.assert_array_equal(got, expected)
    hidden, cut = forward(cell, x, *given)[0], forward(cell, x, *given, (0, 6, 13))[0]
    np.testing.assert_array_equal(cut, hidden)


@every_cell
@pytest.mark.parametrize(("first", "last"), [(1, 3), (3, 5), (4, 6), (2, 2)])
def test_other_rows_of_the_gradients_are_left_alone(cell, first, last):
    x, given, grad_hidden = layer(cell, 3, 4, 2, 3)
    _, *part, bias = gradients(cell, x, *given, grad_hidden, rows=(first, last))
    _, *whole, whole_bias = gradients(cell, x, *given, grad_hidden)
    part, whole = np.concatenate(part), np.concatenate(whole)
    np.testing.assert_array_equal(part[first:last], whole[first:last])
    assert np.isnan(part[:first]).all()
    assert np.isnan(part[last:]).all()
    np.testing.assert_array_equal(bias, whole_bias if last == 6 else np.nan)


@every_cell
def test_an_example_does_not_see_the_others(cell):
    x, given, grad_hidden = layer(cell, 4, 3, 2, 5)
    alone = gradients(cell, x[2:3], *given, grad_hidden[2:3])
    others = np.delete(grad_hidden, 2, axis=0)
    assert others.any()
    grad_hidden[[0, 1, 3]] = 0
    together = gradients(cell, x, *given, grad_hidden)
    np.testing.assert_array_equal(together[0][2], alone[0][0])
    assert not together[0][[0, 1, 3]].any()
    for got, expected in zip(together[1:], alone[1:], strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-14, atol=1e-15)


@every_cell
def test_a_step_does_not_see_later_ones(cell):
    x, given, grad_hidden = layer(cell, 2, 6, 3, 4)
    hidden = forward(cell, x, *given)[0]
    short = forward(cell, np.ascontiguousarray(x[:, :4]), *given)[0]
    np.testing.assert_array_equal(hidden[:, :4], short)
    grad_hidden[:, 4:] = 0
    grad_x = gradients(cell, x, *given, grad_hidden)[0]
    assert grad_x[:, :4].any()
    assert not grad_x[:, 4:].any()


@every_cell
def test_saturated_gates_have_no_gradient_and_no_nan(cell):
    x, given, grad_hidden = layer(cell, 2, 3, 2, 4, np.float32)
    if cell == "relu":
        given[2][:] = -1e4
    else:
        given[2][:] = 1e4
    assert not np.isnan(forward(cell, x, *given)[0]).any()
    for grad in gradients(cell, x, *given, grad_hidden):
        assert not grad.any()


@every_cell
@both_dtypes
def test_nan_stays_nan(cell, dtype):
    x, given, grad_hidden = layer(cell, 3, 4, 2, 17, dtype)
    x[1, 2, 0] = np.nan
    hidden = forward(cell, x, *given)[0]
    expected = np.zeros(hidden.shape, bool)
    expected[1, 2:] = True
    np.testing.assert_array_equal(np.isnan(hidden), expected)
    grad_x, *grads = gradients(cell, x, *given, grad_hidden)
    assert not np.isnan(grad_x[[0, 2]]).any()
    assert np.isnan(grads[0]).any()
    if cell != "relu":  # whose slope at a NaN is 1, as in PyTorch
        assert np.isnan(grad_x[1, 2:]).all()
        assert all(np.isnan(grad).any() for grad in grads)


@every_cell
@pytest.mark.parametrize("sizes", [(0, 3, 2, 4), (3, 0, 2, 4)])
def test_without_examples_or_steps_there_is_no_gradient(cell, sizes):
    x, given, grad_hidden = layer(cell, *sizes)
    for grad in gradients(cell, x, *given, grad_hidden):
        assert not grad.any()


def shapes(cell):
    """Arrays of a layer with batch 2, time 3, 4 features and 5 units."""
    (x, given, grad_hidden), columns = layer(cell, 2, 3, 4, 5), BLOCKS[cell] * 5
    states = 10 if columns == 5 else 20
    arrays = dict(zip(("kernel", "recurrent_kernel", "bias"), given, strict=True))
    arrays |= {"x": x, "grad_hidden": grad_hidden, "workspace": np.empty(5 * columns + states)}
    arrays |= {name: np.zeros((2, 3, 5)) for name in ("hidden", "cells")}
    arrays |= {"gates": np.zeros((2, 3, 5 if columns == 5 else 20)), "grad_x": np.empty_like(x)}
    return arrays | {f"grad_{name}": np.empty_like(arrays[name]) for name in list(arrays)[:3]}


CALLS = {
    "rnn_forward": ("tanh", "x kernel recurrent_kernel bias relu hidden"),
    "rnn_backward": ("tanh", "recurrent_kernel relu hidden grad_hidden gates workspace"),
    "lstm_forward": ("lstm", "x kernel recurrent_kernel bias gates cells hidden"),
    "lstm_backward": ("lstm", "recurrent_kernel cells grad_hidden gates workspace"),
    "gru_forward": ("gru", "x kernel recurrent_kernel bias gates hidden"),
    "gru_backward": ("gru", "recurrent_kernel hidden grad_hidden gates workspace"),
    "recurrent_backward_inputs": ("lstm", "kernel gates grad_x"),
    "recurrent_backward_parameters": (
        "gru",
        "x hidden gates first last grad_kernel grad_recurrent_kernel grad_bias",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_shapes_are_checked(name):
    """Each array in turn gets one element too few along each of its axes."""
    cell, names = CALLS[name]
    arguments = {"relu": False, "first": 0, "last": 10, **shapes(cell)}
    call = getattr(recurrent, name)
    call(*(arguments[key] for key in names.split()))
    for key in names.split():
        right = arguments[key]
        for axis in range(np.ndim(right)):
            shape = list(right.shape)
            shape[axis] -= 1
            wrong = arguments | {key: np.zeros(shape)}
            with pytest.raises(ArgumentError, match=r"must|too small|fit"):
                call(*(wrong[key] for key in names.split()))


@pytest.mark.parametrize(("first", "last"), [(-1, 3), (3, 2), (0, 11)])
def test_rows_are_checked(first, last):
    cell, names = CALLS["recurrent_backward_parameters"]
    arguments = shapes(cell) | {"first": first, "last": last}
    with pytest.raises(ArgumentError, match="rows"):
        recurrent.recurrent_backward_parameters(*(arguments[key] for key in names.split()))
