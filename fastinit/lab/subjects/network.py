"""Looking into a network of `fastinit.nn`."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import fastinit
from fastinit import nn
from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.fans import Fans
from fastinit.gains import ACTIVATIONS
from fastinit.initializers import Initializer, VarianceScaling
from fastinit.kernels.recurrent import recurrent_backward_inputs
from fastinit.lab.figures import (
    expected_std,
    factor_a_step,
    layer_figures,
    one_thread,
    root_mean_square,
    sample,
)
from fastinit.lab.observation import LayerFigures, Observation
from fastinit.lab.subjects import (
    Kernel,
    Patterns,
    as_patterns,
    direction,
    input_figures,
    require_names,
    require_selection,
    selected,
)
from fastinit.nn.checks import as_features, same_length
from fastinit.nn.compiled import engine, table
from fastinit.nn.compiled.table import Data
from fastinit.nn.layers import Layer, Recurrent
from fastinit.nn.losses import Loss, get_loss
from fastinit.nn.passes import Pass
from fastinit.nn.program import lowest_that_learns
from fastinit.nn.training import batch_of, target_of

__all__ = ["NetworkSubject"]


@dataclass(frozen=True)
class _Row:
    """A layer, and the activation that was folded into it."""

    layer: Layer
    first: int  # its number
    last: int  # that of the layer whose outputs are looked at
    activation: str | None


class NetworkSubject:
    """A `fastinit.nn.Sequential`, see `fastinit.lab.subjects.Subject`.

    An `Activation` is folded into the layer before it. Dropout is left out of the pass.

    Parameters
    ----------
    model : Sequential
        Built where it is not when the first examples come.

    Raises
    ------
    ArgumentTypeError
        If it is none.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import nn
    >>> from fastinit.lab.subjects.network import NetworkSubject
    >>> network = nn.Sequential([nn.Dense(8, "relu"), nn.Dense(2)], seed=0)
    >>> found = NetworkSubject(network).observe(numpy.eye(4), [0, 1, 0, 1])
    >>> [(layer.name, layer.activation, layer.fan_in) for layer in found.layers]
    [('dense_0', 'relu', 4), ('dense_1', None, 8)]
    """

    framework = "fastinit"

    def __init__(self, model: nn.Sequential) -> None:
        if not isinstance(model, nn.Sequential):
            raise ArgumentTypeError(
                "model must be a fastinit.nn.Sequential, a torch.nn.Module or a keras.Model, got "
                f"{type(model)}"
            )
        self.model = model

    def observe(
        self,
        x: ArrayLike,
        y: ArrayLike | None = None,
        *,
        loss: str | Loss | None = None,
        learning_rate: float = 0.01,
        layers: Patterns = None,
    ) -> Observation:
        """Look at one forward and one backward pass; see `fastinit.lab.subjects.Subject.observe`.

        Parameters
        ----------
        x, y, learning_rate, layers
            As there.
        loss : str or Loss, optional
            By default that of `compile`, else by the targets.

        Returns
        -------
        Observation
        """
        patterns, network = as_patterns(layers), self.model
        features = as_features(x, network.input_shape, network.dtype)
        if not len(features):
            raise ArgumentError("x must hold at least one example, got none")
        if network.input_shape is None:
            network.build(features.shape[1:])
        rows = [row for row in self._rows() if selected(str(row.layer.name), patterns)]
        require_selection(bool(rows), layers, (str(row.layer.name) for row in self._rows()))
        before = network.memory.gradients.copy()
        try:
            with one_thread(), np.errstate(all="ignore"):
                found = _Look(network, features, y, self._loss(y, loss))
                figures = tuple(self._figures(row, found, learning_rate) for row in rows)
        finally:
            network.memory.gradients[...] = before
        return Observation(figures, len(features), found.loss, *input_figures(features))

    def kernels(self) -> list[Kernel]:
        """Return the parameters, in the order of the layers."""
        rows = list(self._rows())
        with_kernel = [row.layer for row in rows if "kernel" in row.layer.initializers]
        kernels = []
        for number, row in enumerate(rows):
            layer = row.layer
            for name, shape in layer.parameter_shapes(self.model.shapes[row.first]).items():
                role = _ROLES.get(name, "other")
                if role == "kernel" and layer is with_kernel[-1] and isinstance(layer, nn.Dense):
                    role = "output"
                fans = _fans(layer, name, shape)
                kernels.append(
                    Kernel(
                        name=f"{layer.name}.{name}",
                        layer=str(layer.name),
                        kind=type(layer).__name__,
                        shape=shape,
                        fan_in=None if fans is None else fans[0],
                        fan_out=None if fans is None else fans[1],
                        activation=_activation_behind(rows, number),
                        role=role,
                        trainable=layer.trainable,
                    )
                )
        return kernels

    def weights(self) -> dict[str, NDArray[Any]]:
        """Return a copy of each layer's kernel."""
        layers: Any = (row.layer for row in self._rows())
        return {str(one.name): one.kernel.copy() for one in layers if hasattr(type(one), "kernel")}

    def reinitialized(self, draw: Mapping[str, Initializer], seed: int) -> NetworkSubject:
        """Return a copy, some of whose parameters are drawn anew."""
        require_names(draw, (kernel.name for kernel in self.kernels()))
        model = copy.deepcopy(self.model)
        for layer, shape in zip(model.layers, model.shapes, strict=True):
            for name in layer.parameter_shapes(shape):
                rule = draw.get(f"{layer.name}.{name}")
                if rule is None:
                    continue
                out = getattr(layer, name)
                fans = _fans(layer, name, out.shape)
                if type(rule) is VarianceScaling and rule.fans is None and fans is not None:
                    rule = replace(rule, fans=fans)
                key = fastinit.key(seed, f"{layer.name}.{name}")
                rule(out.shape, seed=key, dtype=out.dtype, out=out)
        return NetworkSubject(model)

    def train(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        steps: int,
        learning_rate: float,
        loss: str | Loss | None = None,
        seed: int = 0,
    ) -> list[float]:
        """Train a copy for some steps of Adam; return the loss of each."""
        model = copy.deepcopy(self.model)
        model.seed = seed
        chosen = self._loss(y, loss)
        assert chosen is not None
        model.compile(chosen, nn.Adam(learning_rate=learning_rate), metrics=())
        losses = _Losses(steps)
        size = min(64, len(np.asarray(x)))
        model.fit(x, y, epochs=steps, batch_size=size, verbose=0, callbacks=[losses])
        return losses.found

    def scale_on_data(self, x: ArrayLike, seed: int) -> None:
        """Scale the kernels in place by `fastinit.nn.data_dependent`."""
        nn.data_dependent(self.model, x, rates=False, seed=seed)

    def loss_called(self, name: str) -> str:
        """Return the name: `fastinit.nn` takes names."""
        return name

    def input_shape(self) -> tuple[int, ...] | None:
        """Return the shape of one example."""
        return self.model.input_shape

    def _rows(self) -> Iterator[_Row]:
        """Yield the layers, activations folded into those before them."""
        row: _Row | None = None
        for number, layer in enumerate(self.model.layers):
            if isinstance(layer, nn.Dropout):
                continue
            if isinstance(layer, nn.Activation) and row is not None and row.first == row.last:
                own = getattr(row.layer, "activation", "linear")
                if own == "linear":
                    row = replace(row, last=number, activation=_known(layer.activation))
                    continue
            if row is not None:
                yield row
            row = _Row(layer, number, number, _known(getattr(layer, "activation", "linear")))
        if row is not None:
            yield row

    def _loss(self, y: ArrayLike | None, loss: str | Loss | None) -> Loss | None:
        network = self.model
        if y is None:
            return None
        if loss is None:
            chosen = network.loss or get_loss(_customary_loss(y, network.output_size))
        else:
            chosen = get_loss(loss)
        last = network.layers[-1]
        chosen.require_output(getattr(last, "code", 0), getattr(last, "activation", "linear"))
        return chosen

    def _figures(self, row: _Row, found: _Look, learning_rate: float) -> LayerFigures:
        layer: Any = row.layer
        outputs = found.outputs(row.last)
        kernel: Any = None
        bias = recurrent = gradient = fans = expected = None
        if isinstance(layer, nn.Dense | Recurrent):
            kernel, bias = layer.kernel, layer.bias
            fans = _fans(layer, "kernel", kernel.shape)
            rows = list(self._rows())
            behind = _activation_behind(rows, [one.first for one in rows].index(row.first))
            assert fans is not None
            expected = expected_std(behind, *fans)
            if layer.trainable and found.gradients[row.first]:
                gradient = root_mean_square(found.gradients[row.first]["kernel"])
        steps = rate = None
        if isinstance(layer, Recurrent):
            recurrent, bias = layer.recurrent_kernel, None if bias is None else bias.reshape(-1)
            bias = None if bias is None or len(bias) != kernel.shape[1] else bias
            steps, rate = found.through_time(row.first)
        return layer_figures(
            str(layer.name),
            type(layer).__name__,
            outputs[sample(outputs.shape)],
            activation=row.activation,
            gradient=found.output_gradients[row.last],
            kernel=kernel,
            recurrent=recurrent,
            bias=bias,
            kernel_gradient=gradient,
            fans=fans,
            expected=expected,
            learning_rate=learning_rate,
            features=outputs.shape[1] * outputs.shape[2],
            gradient_through_time=rate,
            steps=steps,
        )


_ROLES = {
    "kernel": "kernel",
    "recurrent_kernel": "recurrent",
    "bias": "bias",
    "gamma": "scale",
    "beta": "bias",
}


class _Look:
    """One pass forward and back, and what is left of it.

    Attributes
    ----------
    loss : float or None
        The mean loss.
    gradients : list of dict
        Of each layer the name of each parameter to its gradient; empty where none arrives.
    output_gradients : list of float or None
        Of each layer the root mean square gradient by its output, times the examples.
    """

    def __init__(
        self, network: nn.Sequential, x: NDArray[Any], y: ArrayLike | None, loss: Loss | None
    ) -> None:
        self._network, self.examples, self.loss = network, len(x), None
        view: Any = SimpleNamespace(
            layers=[_awake(layer) for layer in network.layers],
            shapes=network.shapes,
            output_shape=network.output_shape,
            memory=network.memory,
            key=network.key,
            steps=network.steps,
        )
        left_out = -1 if loss is None else loss.left_out
        self.pass_ = Pass(view, x, training=True, left_out=left_out)
        network.memory.gradients[...] = 0
        batch: Any = None if loss is None else self._batch(x, y, loss)
        self.pass_.forward()
        last = len(network.layers) - 1
        if loss is None:
            out = self.pass_.output_gradients(last)
            out[...] = direction(out.shape) / len(x)
        else:
            self.loss = self.pass_.judge(target_of(loss, ()), batch)
        self._backward()

    def _batch(self, x: NDArray[Any], y: Any, loss: Loss) -> Any:
        network, examples = self._network, len(x)
        same_length(x, y)
        array = np.asarray(y)
        if array.ndim == 3 and array.shape[1:] == network.output_shape:
            array = array.reshape(examples, -1)
        target = loss.prepare(array, network.output_size, network.dtype)
        batch = batch_of(
            Data(x.reshape(examples, -1), target, target, np.ones(examples)),
            network.output_size,
            examples,
            0,
            network.memory.trained,
        )
        return batch._replace(labels=target) if loss.takes_labels else batch._replace(values=target)

    def _backward(self) -> None:
        """Go back layer by layer, and measure the gradient by each one's output on the way."""
        found, program = self.pass_, self.pass_.program
        smallest, layers = lowest_that_learns(program.layers), len(program.layers)
        self.output_gradients: list[float | None] = [None] * layers
        self.of_last_step: dict[int, bool] = {}
        for i in range(layers - 1, smallest - 1, -1):
            gradient = found.output_gradients(i)
            self.output_gradients[i] = root_mean_square(gradient) * self.examples
            self.of_last_step[i] = gradient.ndim == 2 or not gradient[:, :-1].any()
            self._back_through(i)
        self._through_time = {
            i: self._steps_of(i)
            for i, layer in enumerate(self._network.layers)
            if isinstance(layer, Recurrent)
            and self.of_last_step.get(i)
            and self.output_gradients[i]
        }
        if smallest < layers:
            words = found._words
            engine.parameter_gradients(program, smallest, self.examples, found.step, 0, 1, words)
            engine.add_penalties(program, smallest)
        self.gradients = [
            layer.gradients() if i >= smallest else {}
            for i, layer in enumerate(self._network.layers)
        ]

    def _back_through(self, number: int) -> None:
        found = self.pass_
        program = found.program._replace(layers=found.program.layers[: number + 1])
        engine.run_backward(
            program, number, self.examples, found.step, found._counter, 0, 0, 1, found._words
        )

    def outputs(self, number: int) -> NDArray[Any]:
        """Return a layer's outputs, shape (examples, positions, features)."""
        outputs = self.pass_.outputs(number)
        return outputs.reshape(len(outputs), -1, outputs.shape[-1])

    def through_time(self, number: int) -> tuple[int, float | None]:
        """Return a recurrent layer's steps, and the factor a step of its inputs' gradient.

        Of the gradient that came if the last step's output alone was used, else of a random
        direction there.
        """
        if number not in self._through_time:
            found = self.pass_
            found.forward(number, number + 1)  # the first way back wrote over its gates
            gradient = found.output_gradients(number)
            gradient[...] = 0
            last = gradient if gradient.ndim == 2 else gradient[:, -1]
            last[...] = direction(last.shape)
            self._back_through(number)
            self._through_time[number] = self._steps_of(number)
        return self._through_time[number]

    def _steps_of(self, number: int) -> tuple[int, float | None]:
        layer: Any = self._network.layers[number]
        inputs = self.pass_.inputs(number)
        width = layer.kernel.shape[1] + (layer.units if isinstance(layer, nn.GRU) else 0)
        gates = self.pass_._array(number, table.SAVED, (*inputs.shape[:2], width))
        gradient = np.empty_like(inputs)
        recurrent_backward_inputs(np.ascontiguousarray(layer.kernel), gates, gradient)
        sizes = [root_mean_square(gradient[:, t]) for t in range(inputs.shape[1])]
        return inputs.shape[1], factor_a_step(np.array(sizes))


class _Losses(nn.Callback):
    """Keeps the loss of each step, and stops after some."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps, self.found = steps, []

    found: list[float]

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float]) -> None:
        """Take the loss."""
        self.found.append(float(logs["loss"]))
        if len(self.found) >= self.steps:
            self.model.stop_training = True


def _awake(layer: Layer) -> Layer:
    """Return a layer that drops nothing out."""
    return nn.Dropout(0.0, name=layer.name) if isinstance(layer, nn.Dropout) else layer


def _known(activation: str) -> str | None:
    return activation if activation in ACTIVATIONS and activation != "linear" else None


def _activation_behind(rows: list[_Row], number: int) -> str | None:
    """Return what a layer's output goes through, behind normalizations or not."""
    for row in rows[number:]:
        if row.activation is not None:
            return row.activation
        if isinstance(row.layer, nn.Dense | Recurrent) and row is not rows[number]:
            return None
    return None


def _fans(layer: Any, name: str, shape: tuple[int, ...]) -> Fans | None:
    if name not in ("kernel", "recurrent_kernel"):
        return None
    return shape[0], shape[1] // getattr(layer, "blocks", 1)


def _customary_loss(y: ArrayLike, units: int) -> str:
    array = np.asarray(y)
    if array.dtype.kind not in "biu":
        return "mean_squared_error"
    return "binary_crossentropy" if units == 1 else "categorical_crossentropy"
