"""Training: what is learnt, what is recorded, what is refused."""

import numpy as np
import problems
import pytest

from fastinit import kernels, nn
from fastinit.errors import ArgumentError, ArgumentTypeError, FastinitError, UnknownNameError


def make(seed=0, initializer="glorot_uniform", activation="tanh", last="linear", units=3):
    hidden = [nn.Dense(16, activation, initializer) for _ in range(2)]
    network = nn.Sequential([*hidden, nn.Dense(units, last, initializer)], seed=seed)
    network.compile(optimizer=nn.Adam(learning_rate=0.01))
    return network


def fit(network, **options):
    x, y = problems.rings()
    return network.fit(x, y, verbose=0, **options)


def same_weights(a, b):
    return all(map(np.array_equal, a.get_weights(), b.get_weights()))


@pytest.mark.parametrize(
    ("loss", "last", "units"),
    [
        ("binary_crossentropy", "sigmoid", 1),
        ("mean_squared_error", "sigmoid", 1),
        ("categorical_crossentropy", "softmax", 2),
    ],
)
@pytest.mark.parametrize("optimizer", [nn.Adam(learning_rate=0.1), nn.SGD(learning_rate=2.0)])
def test_learns_xor(loss, last, units, optimizer):
    network = nn.Sequential([nn.Dense(8, "tanh"), nn.Dense(units, last)], seed=3)
    network.compile(loss, optimizer)
    network.fit(problems.XOR_X, problems.XOR_Y, epochs=400, batch_size=4, verbose=0)
    outputs = network.predict(problems.XOR_X)
    decisions = outputs.argmax(axis=1) if units == 2 else (outputs[:, 0] > 0.5).astype(int)
    np.testing.assert_array_equal(decisions, problems.XOR_Y)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh"])
def test_learns_rings_and_generalizes(activation):
    network = make(activation=activation, initializer="glorot_normal")
    history = fit(network, epochs=60, validation_data=problems.rings(200, seed=1)).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert history["val_accuracy"][-1] > 0.85


def test_the_same_seed_gives_the_same_bits():
    first, second, third = make(seed=5), make(seed=5), make(seed=6)
    records = [fit(network, epochs=3).history for network in (first, second, third)]
    assert records[0] == records[1] != records[2]
    assert same_weights(first, second)
    assert not same_weights(first, third)


def test_training_can_be_continued():
    whole, parts = make(), make()
    expected = fit(whole, epochs=5).history["loss"]
    got = fit(parts, epochs=2).history["loss"] + fit(parts, epochs=3).history["loss"]
    assert got == expected
    assert same_weights(whole, parts)


def test_building_anew_starts_anew():
    network, fresh = make(), make()
    fit(network, epochs=2)
    network.build(2)
    assert fit(network, epochs=2).history == fit(fresh, epochs=2).history


def test_one_optimizer_serves_many_networks():
    optimizer = nn.Adam()
    first, second = make(), make()
    first.compile(optimizer=optimizer)
    second.compile(optimizer=optimizer)
    assert fit(first, epochs=2).history == fit(second, epochs=2).history


def test_shuffling_changes_the_order_and_can_be_left_out():
    assert fit(make()).history != fit(make(), shuffle=False).history
    x, y = problems.rings()
    first, second = make(), make()
    order = np.argsort(y)
    first.fit(x[order], y[order], shuffle=False, verbose=0)
    second.fit(x, y, shuffle=False, verbose=0)
    assert not same_weights(first, second)


def test_one_full_batch_of_sgd_is_one_step_down_the_gradient():
    x, y = problems.rings(10)
    network = make()
    network.compile(optimizer=nn.SGD(learning_rate=0.25))
    pairs = network.gradients(x, y)
    before = network.get_weights()
    network.fit(x, y, batch_size=10, verbose=0, shuffle=False)
    gradients = [gradient for pair in pairs for gradient in pair]
    for after, start, gradient in zip(network.get_weights(), before, gradients, strict=True):
        np.testing.assert_array_equal(after, start - np.float32(0.25) * gradient)


def test_full_batches_of_adam_are_its_steps():
    x, y = problems.rings(10)
    network = make()
    optimizer = nn.Adam(learning_rate=0.1, beta_1=0.5, beta_2=0.6, epsilon=0.01)
    network.compile(optimizer=optimizer)
    network.build(2)
    start = network.get_weights()
    moments = [(np.zeros_like(weight), np.zeros_like(weight)) for weight in start]
    for step in (1, 2, 3):
        weights = network.get_weights()
        gradients = [gradient for pair in network.gradients(x, y) for gradient in pair]
        for weight, gradient, memory in zip(weights, gradients, moments, strict=True):
            kernels.adam_step(weight, gradient, *memory, step, 0.1, 0.5, 0.6, 0.01)
        network.set_weights(weights)
    expected = network.get_weights()
    network.set_weights(start)
    network.fit(x, y, epochs=3, batch_size=10, verbose=0, shuffle=False)
    for got, weight in zip(network.get_weights(), expected, strict=True):
        np.testing.assert_allclose(got, weight, rtol=1e-5, atol=1e-6)


def test_every_epoch_has_a_new_order():
    network = make()
    network.compile(optimizer="sgd")
    network.build(2)
    start = network.get_weights()
    first = fit(network)
    network.set_weights(start)
    assert fit(network).history != first.history


@pytest.mark.parametrize("batch_size", [1, 7, 10, 64])
def test_every_example_counts_once(batch_size):
    x, y = problems.rings(10)
    network = make()
    network.compile(optimizer=nn.SGD(learning_rate=0.0))
    expected = network.evaluate(x, y)
    record = network.fit(x, y, batch_size=batch_size, verbose=0).history
    assert record["loss"] == [pytest.approx(expected["loss"], rel=1e-5)]
    assert record["accuracy"] == [expected["accuracy"]]


@pytest.mark.parametrize("initializer", ["zeros", "constant(0.3)"])
def test_equal_units_stay_equal(initializer):
    network = make(initializer=initializer)
    fit(network, epochs=5)
    for layer in network.layers[:-1]:
        np.testing.assert_allclose(layer.kernel, layer.kernel[:, :1].repeat(16, axis=1), rtol=1e-4)
        np.testing.assert_allclose(layer.bias, layer.bias[0], rtol=1e-4)


def test_random_units_differ():
    network = make()
    fit(network)
    assert len(np.unique(network.layers[0].kernel, axis=1).T) == 16


def test_history_has_one_value_an_epoch():
    record = fit(make(), epochs=4, validation_data=problems.rings(40, seed=1))
    assert record.epoch == [0, 1, 2, 3]
    assert list(record.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert {len(values) for values in record.history.values()} == {4}
    assert list(fit(make()).history) == ["loss", "accuracy"]
    network = make()
    network.compile(metrics=())
    assert list(fit(network).history) == ["loss"]


def test_validation_is_evaluation_after_the_epoch():
    network, held_out = make(), problems.rings(40, seed=1)
    record = fit(network, epochs=3, validation_data=held_out).history
    result = network.evaluate(*held_out)
    assert (record["val_loss"][-1], record["val_accuracy"][-1]) == tuple(result.values())


class StopAfter(nn.Callback):
    def __init__(self, epochs):
        self.epochs = epochs

    def on_epoch_end(self, epoch, logs):
        self.model.stop_training = epoch + 1 == self.epochs


def test_callbacks_are_called_and_can_stop():
    seen = []
    network = make()
    record = fit(
        network,
        epochs=9,
        callbacks=[StopAfter(3), lambda epoch, logs: seen.append((epoch, logs["loss"]))],
    )
    assert seen == list(enumerate(record.history["loss"]))
    assert record.epoch == [0, 1, 2]
    assert len(fit(network, epochs=2).epoch) == 2


def test_an_exploding_loss_is_recorded():
    network = nn.Sequential([nn.Dense(1, kernel_initializer="ones")])
    network.compile("mean_squared_error", nn.SGD(learning_rate=1e6))
    x = np.linspace(-100, 100, 64)[:, None]
    losses = network.fit(x, 2 * x, epochs=40, verbose=0).history["loss"]
    assert len(losses) == 40
    assert np.isfinite(losses[0])
    assert np.isnan(losses[-1])
    assert np.isnan(network.predict(x)).all()


def test_progress_is_a_line_an_epoch(capsys):
    x, y = problems.rings(40)
    make().fit(x, y, epochs=2, validation_data=(x, y))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("Epoch 2/2 - ")
    for name in ("loss: ", "accuracy: ", "val_loss: ", "val_accuracy: "):
        assert name in lines[1]
    make().fit(x, y, verbose=0)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "labels",
    [
        np.uint8,
        np.int32,
        np.int64,
        np.float32,
        np.float64,
        lambda y: np.eye(3)[y],
        lambda y: list(y),
    ],
)
def test_every_form_of_labels_is_the_same_problem(labels):
    x, y = problems.rings(50)
    network, other = make(), make()
    network.fit(x, y, verbose=0)
    other.fit(x, np.asarray(y).astype(labels) if isinstance(labels, type) else labels(y), verbose=0)
    assert same_weights(network, other)


X, Y = problems.rings(6)


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (Y[:-1], ArgumentError, "x has 6 examples, but y has 5"),
        ([0, 1, 2, 3, 0, 1], ArgumentError, r"label 3 at y\[3\] is out of range.*0 to 2"),
        ([0, 1, 2, -1, 0, 1], ArgumentError, r"label -1 at y\[3\]"),
        ([0, 1, 0.5, 2, 0, 1], ArgumentError, r"whole numbers, got 0.5 at y\[2\]"),
        ([0, 1, np.nan, 2, 0, 1], ArgumentError, r"whole numbers, got nan at y\[2\]"),
        (np.full((6, 3), 1 / 3), ArgumentError, "one-hot row"),
        (np.zeros((6, 3)), ArgumentError, "one-hot row"),
        (np.zeros((6, 2)), ArgumentError, r"got the shape \(6, 2\)"),
        (list("abcdef"), ArgumentTypeError, "y must hold real numbers"),
    ],
)
def test_bad_labels_are_refused_before_anything_is_computed(y, error, message):
    network = make()
    with pytest.raises(error, match=message):
        network.fit(X, y)
    assert network.input_dim is None


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        ("mean_squared_error", np.zeros((6, 2)), r"shape \(examples, 1\).*got \(6, 2\)"),
        ("mean_squared_error", [0, 1, np.inf, 0, 0, 0], r"got inf at y\[2, 0\]"),
        ("binary_crossentropy", [0, 1, 2, 0, 0, 0], "between 0 and 1, got 2.0 at row 2"),
    ],
)
def test_bad_targets_are_refused(loss, y, message):
    network = make(units=1)
    network.compile(loss)
    with pytest.raises(ArgumentError, match=message):
        network.fit(X, y)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": 0}, ArgumentError, "batch_size must be at least 1, got 0"),
        ({"batch_size": 2.0}, ArgumentTypeError, "batch_size must be an integer"),
        ({"epochs": 0}, ArgumentError, "epochs must be at least 1, got 0"),
        ({"callbacks": [3]}, ArgumentTypeError, "got 3"),
        ({"validation_data": (X,)}, ArgumentTypeError, "pair"),
        ({"validation_data": (X, Y[:2])}, ArgumentError, "x has 6 examples, but y has 2"),
    ],
)
def test_bad_options_are_refused(options, error, message):
    network = make()
    before = network_weights(network)
    with pytest.raises(error, match=message):
        network.fit(X, Y, **options)
    assert all(map(np.array_equal, network.get_weights(), before))


def network_weights(network):
    network.build(2)
    return network.get_weights()


def test_training_on_nothing_is_refused():
    with pytest.raises(ArgumentError, match="at least one example"):
        make().fit(np.empty((0, 2)), [])


def test_using_a_loss_before_compile_is_refused():
    network = nn.Sequential([nn.Dense(3)])
    for use in (network.fit, network.evaluate, network.gradients):
        with pytest.raises(FastinitError, match=r"call compile\(loss"):
            use(X, Y)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"loss": "mean_square_error"}, UnknownNameError, "did you mean 'mean_squared_error'"),
        ({"loss": abs}, ArgumentTypeError, "loss must be a name"),
        ({"optimizer": "adm"}, UnknownNameError, "did you mean 'adam'"),
        ({"optimizer": nn.Adam}, ArgumentTypeError, "optimizer must be"),
        ({"metrics": ("acuracy",)}, UnknownNameError, "did you mean 'accuracy'"),
        ({"loss": "mean_squared_error", "metrics": ("accuracy",)}, ArgumentError, "no meaning"),
        ({"loss": "binary_crossentropy"}, ArgumentError, "'sigmoid' or 'linear'.*got 'softmax'"),
    ],
)
def test_bad_choices_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        make(last="softmax").compile(**options)


@pytest.mark.parametrize(
    ("make_optimizer", "error", "message"),
    [
        (lambda: nn.SGD(-0.1), ArgumentError, "learning_rate must be at least 0 and finite"),
        (lambda: nn.SGD(float("nan")), ArgumentError, "got nan"),
        (lambda: nn.Adam(float("inf")), ArgumentError, "got inf"),
        (lambda: nn.Adam("fast"), ArgumentTypeError, "learning_rate must be a number, got 'fast'"),
        (lambda: nn.Adam(beta_1=1.0), ArgumentError, "beta_1 must be at least 0 and below 1"),
        (lambda: nn.Adam(beta_2=-1), ArgumentError, "beta_2 .* got -1"),
        (lambda: nn.Adam(epsilon=-1e-8), ArgumentError, "epsilon"),
    ],
)
def test_bad_hyperparameters_are_refused(make_optimizer, error, message):
    with pytest.raises(error, match=message):
        make_optimizer()
