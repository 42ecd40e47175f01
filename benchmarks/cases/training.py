"""Whole training runs, by the loops of `peers.py`, and the lab's sweep: sizes are epochs.

A result is the mean loss of the last epoch; all begin with the same weights, but take the examples
in other orders.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from cases import Case, Run, recurrent, table, use_this_tree

use_this_tree()

SIZES = [1, 5]
ROWS, STEPS, UNITS, BATCH = 320, 16, 32, 32  # of the LSTM

# ---------------------------------------------------------------- what is learnt


def small(epochs: int) -> Any:
    from peers import Problem
    from training import clusters, dense

    return Problem(*clusters((1000, 20), 2, 0.6), dense([20, 64, 1]), 32, epochs)


def medium(epochs: int) -> Any:
    from peers import Problem
    from training import clusters, dense

    return Problem(*clusters((1792, 64), 10, 0.5), dense([64, 128, 128, 10]), 64, epochs)


def lstm(epochs: int) -> Any:
    from peers import Problem
    from training import clusters, drawn

    shapes = {
        "lstm_0.kernel": (UNITS, 4 * UNITS),
        "lstm_0.recurrent_kernel": (UNITS, 4 * UNITS),
        "lstm_0.bias": (4 * UNITS,),
        "dense_1.kernel": (UNITS, 10),
        "dense_1.bias": (10,),
    }
    return Problem(*clusters((ROWS, STEPS, UNITS), 10, 1.0), drawn(shapes), BATCH, epochs)


# ---------------------------------------------------------------- the contestants


def ours(problem: Any) -> Any:
    from peers import ours

    return ours(problem, 1)


def numpy(problem: Any) -> Any:
    from peers import Contestant, NumPyNetwork

    network = (numpy_lstm() if problem.recurrent else NumPyNetwork)(problem)
    return Contestant(network.start, lambda: [network.epoch() for _ in range(problem.epochs)][-1])


def numpy_lstm() -> Any:
    from peers import NumPyNetwork, categorical

    class NumPyLSTM(NumPyNetwork):
        """The twin of an LSTM layer, of which a dense layer sees the last hidden state."""

        def __init__(self, problem: Any) -> None:
            super().__init__(problem)
            self.twin = recurrent.Twin("lstm", (BATCH, STEPS, UNITS, UNITS))
            layer = self.twin.layer
            layer.kernel, layer.recurrent, layer.bias, self.head, self.head_bias = self.weights
            layer.grad[:] = 0

        def gradient(self, x: np.ndarray, y: np.ndarray) -> float:
            np.copyto(self.twin.x, x.swapaxes(0, 1))
            last = self.twin.forward()[:, -1]
            loss, grad = categorical(last @ self.head + self.head_bias, y)
            np.matmul(grad, self.head.T, out=self.twin.layer.grad[:, -1])
            found = *self.twin.backward()[1:], last.T @ grad, grad.sum(axis=0)
            for view, value in zip(self.gradients, found, strict=True):
                view[...] = value
            return loss

    return NumPyLSTM


def pytorch(problem: Any) -> Any:
    from peers import pytorch

    return pytorch(problem, 1)


def jax(problem: Any) -> Any:
    from peers import jax_scan

    return jax_scan(problem)


def keras(problem: Any) -> Any:
    from peers import keras_fit

    return keras_fit(problem, -(-len(problem.x) // problem.batch))


MAKERS = {"fastinit": ours, "NumPy": numpy, "PyTorch": pytorch, "JAX": jax, "Keras": keras}


def fit(make: Callable[[Any], Any], problem: Callable[[int], Any], epochs: int) -> Run:
    contestant = make(problem(epochs))

    def run() -> float:
        contestant()
        return contestant.result

    run.start = contestant.start
    return run


# ---------------------------------------------------------------- the lab's sweep

INITIALIZERS, SEEDS = ("glorot_uniform", "he_normal"), 2


def compare(epochs: int) -> Run:
    from fastinit import lab

    def run() -> int:
        found = lab.compare(
            INITIALIZERS,
            activations=("relu",),
            hidden=(64, 64),
            epochs=epochs,
            optimizer="adam",
            learning_rate=1e-3,
            seeds=SEEDS,
            jobs=1,
        )
        return len(found.runs)

    return run


def as_many_trainings(make: Callable[[Any], Any], epochs: int) -> Run:
    """Return the same trainings alone: nothing is evaluated, recorded or compared."""
    from peers import Problem
    from training import dense

    from fastinit import lab

    data = lab.load_data("digits")
    problem = Problem(data.x_train, data.y_train, dense([64, 64, 64, 10]), 32, epochs)
    contestant = make(problem)

    def run() -> int:
        for _ in range(trainings := len(INITIALIZERS) * SEEDS):
            contestant.start()
            contestant()
        return trainings

    return run


def case(name: str, problem: Callable[[int], Any]) -> Case:
    return Case(name, {who: partial(fit, make, problem) for who, make in MAKERS.items()}, True)


CASES = table(
    [
        case("20-64-1", small),
        case("64-128-128-10", medium),
        case("LSTM", lstm),
        Case(
            "lab.compare",
            {"fastinit": compare}
            | {
                who: partial(as_many_trainings, make)
                for who, make in MAKERS.items()
                if who != "fastinit"
            },
        ),
    ]
)
