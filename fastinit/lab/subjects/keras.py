"""Looking into a Keras model, on the backends jax and torch.

The model runs as it is: for the time of a pass each layer's ``call`` is replaced by one that also
notes what it puts out, and the variables have their values inside a ``StatelessScope``, so that
nothing of the model changes: weights, statistics, seeds.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.gains import ACTIVATIONS
from fastinit.initializers import Initializer, VarianceScaling
from fastinit.keras import data_dependent
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
from fastinit.lab.subjects.keras_layers import (
    Place,
    activation_name,
    inner_layers,
    main_place,
    places_of,
)
from fastinit.lab.subjects.keras_passes import PASSES
from fastinit.lab.subjects.keras_trace import Row, Tape, output_of

__all__ = ["KerasSubject"]


class KerasSubject:
    """A ``keras.Model``, see `fastinit.lab.subjects.Subject`.

    Batch normalization has the statistics of the batch; dropout, noise and augmentation are off.
    An activation of its own is folded into the layer before it. Additions in a residual network
    are rows of kind "Add": the ``Add`` layer, ``+`` in a functional model, and a block whose
    output is its input plus something. Inside of what a recurrent layer or ``TimeDistributed``
    wraps nothing is seen.

    Parameters
    ----------
    model : keras.Model
        Sequential, functional or subclassed; built where it is not when the first examples come.

    Raises
    ------
    ArgumentError
        If the backend is neither jax nor torch.
    ArgumentTypeError
        If it is no model.

    Examples
    --------
    >>> import keras, numpy
    >>> from fastinit.lab.subjects.keras import KerasSubject
    >>> hidden = keras.layers.Dense(8, "relu", name="hidden")
    >>> model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(2, name="out")])
    >>> found = KerasSubject(model).observe(numpy.eye(4, dtype="float32"), numpy.arange(4) % 2)
    >>> [(layer.name, layer.activation, layer.fan_in) for layer in found.layers]
    [('hidden', 'relu', 4), ('out', None, 8)]
    """

    framework = "keras"

    def __init__(self, model: Any) -> None:
        backend = keras.backend.backend()
        if backend not in PASSES:
            raise ArgumentError(f"Keras' backend {backend} is not looked into; use jax or torch")
        if not isinstance(model, keras.layers.Layer):
            raise ArgumentTypeError(f"model must be a keras.Model, got {type(model)}")
        self.model = model
        # What runs is the model that this one was copied from, with the values of this one: so
        # that copies need no compilation of their own, and their layers keep their names.
        self._origin = self
        self._tape: Tape | None = None  # of the last pass that was traced
        self._programs: dict[Any, Any] = {}  # compiled passes
        self._inputs: Any = None  # zeros like the last examples

    # Looking

    def observe(
        self,
        x: Any,
        y: Any = None,
        *,
        loss: Any = None,
        learning_rate: float = 0.01,
        layers: Patterns = None,
    ) -> Observation:
        """Look at one forward and one backward pass; see `fastinit.lab.subjects.Subject.observe`.

        On the backend jax the pass is compiled when examples of a new shape come.

        Parameters
        ----------
        x : array, tensor, or list or dict of these
            What the model is called with.
        y, loss, learning_rate, layers
            As there. By default the loss is the compiled one, with its penalties.

        Returns
        -------
        Observation
        """
        patterns, x, y = as_patterns(layers), _arrays(x), _arrays(y)
        self._build(x)
        found = self._pass(x, y, loss)
        rows = [row for row in found.rows if selected(row.name, patterns)]
        require_selection(bool(rows), layers, (row.name for row in found.rows))
        with one_thread(), np.errstate(all="ignore"):
            figures = tuple(self._figures(row, found, learning_rate) for row in rows)
        first = as_numpy(keras.tree.flatten(x)[0])
        value = None if y is None else float(found.loss)
        return Observation(figures, len(first), value, *input_figures(first))

    def _figures(self, row: Row, found: Found, learning_rate: float) -> LayerFigures:
        layer, seen = row.layer, found.seen[row.name]
        places, main = places_of(layer), main_place(layer)
        through_time = seen.get("through_time")
        kernel = fans = expected = None
        if main is not None:
            kernel, fans = main.matrix(self._value(main.variable)), main.fans
            if fans is not None and main.role == "kernel":
                expected = expected_std(found.tape.activation_behind(row), *fans)
        state = next((place for place in places if place.role == "recurrent"), None)
        return layer_figures(
            row.name,
            row.kind,
            _part(seen["outputs"], layer),
            activation=row.activation if row.activation in ACTIVATIONS else None,
            gradient=_size(seen.get("gradient"), found.examples),
            kernel=kernel,
            recurrent=None if state is None else state.matrix(self._value(state.variable)),
            bias=self._bias(places, kernel),
            kernel_gradient=_size(seen.get("kernel")),
            fans=fans,
            expected=expected,
            learning_rate=learning_rate,
            features=math.prod(row.shape[1:]),
            gradient_through_time=_a_step(layer, through_time),
            steps=found.tape.calls[row.call].steps,
        )

    def _bias(self, places: list[Place], kernel: Any) -> NDArray[Any] | None:
        for place in places:
            if place.variable.name == "bias" and kernel is not None:
                bias = self._value(place.variable)
                bias = (
                    bias[0] if bias.ndim == 2 and len(bias) == 2 else bias
                )  # of a GRU, the input's
                return bias.reshape(-1) if bias.size == kernel.shape[1] else None
        return None

    def weights(self) -> dict[str, NDArray[Any]]:
        """Return a copy of each layer's main kernel."""
        self._synchronize()
        found = {}
        for name, layer in self._origin.named():
            main = main_place(layer)
            if main is not None:
                found[name] = self._value(main.variable).copy()
        return found

    # Parameters

    def kernels(self) -> list[Kernel]:
        """Return the parameters, in the order in which the layers run where it is known."""
        self._require_built()
        tape = self._known_tape()
        rows = {} if tape is None else {row.layer: row for row in reversed(tape.rows())}
        branches = {} if tape is None else tape.branches()
        order = {layer: place for place, layer in enumerate(reversed(rows))}
        named = sorted(self._origin.named(), key=lambda item: order.get(item[1], len(order)))
        with_kernel = [layer for _, layer in named if main_place(layer) is not None]
        found = []
        for name, layer in named:
            main, (branch, end) = main_place(layer), branches.get(layer, (None, False))
            behind = activation_name(getattr(layer, "activation", None))
            if tape is not None and layer in rows:
                behind = tape.activation_behind(rows[layer])
            for place in places_of(layer):
                is_main = main is not None and place.variable is main.variable
                role = place.role
                if is_main and role == "kernel" and layer is with_kernel[-1]:
                    role = "output"
                found.append(
                    Kernel(
                        name=f"{name}.{place.name}",
                        layer=name,
                        kind=type(layer).__name__,
                        shape=place.shape,
                        fan_in=None if place.fans is None else place.fans[0],
                        fan_out=None if place.fans is None else place.fans[1],
                        activation=behind if behind in ACTIVATIONS else None,
                        role=role,
                        branch=branch,
                        branch_end=end and is_main,
                        trainable=bool(place.variable.trainable),
                    )
                )
        return found

    def reinitialized(self, draw: Mapping[str, Initializer], seed: int) -> KerasSubject:
        """Return a copy, some of whose parameters are drawn anew.

        The copy is made from the model's configuration, and compiled with the same loss and an
        optimizer like the model's.

        Raises
        ------
        ArgumentError
            If there is no such parameter, or the model is subclassed and has no ``get_config``.
        """
        require_names(draw, (kernel.name for kernel in self.kernels()))
        made = KerasSubject(_copy(self.model, self._origin._inputs))
        made._origin = self._origin
        for name, layer in self._origin.named():
            for place in places_of(layer):
                qualified = f"{name}.{place.name}"
                rule = draw.get(qualified)
                if rule is None:
                    continue
                if type(rule) is VarianceScaling and rule.fans is None and place.fans is not None:
                    rule = dataclasses.replace(rule, fans=place.fans)
                values = rule(place.shape, seed=fastinit.key(seed, qualified), dtype="float32")
                made._own(place.variable).assign(place.own_layout(values))
        return made

    def train(
        self,
        x: Any,
        y: Any,
        *,
        steps: int,
        learning_rate: float,
        loss: Any = None,
        seed: int = 0,
    ) -> list[float]:
        """Train a copy of the values for some steps of Adam; return the loss of each."""
        x, y = _arrays(x), _arrays(y)
        self._build(x)
        count = len(as_numpy(keras.tree.flatten(x)[0]))
        size = min(64, count)
        trained, others = self._state()
        slots = [(np.zeros(t.shape, np.float32), np.zeros(t.shape, np.float32)) for t in trained]
        order: NDArray[Any] = np.empty(0, np.int64)
        losses = []
        for step in range(steps):
            if len(order) < size:
                key = fastinit.key(seed, "lab.train", str(step))
                order = fastinit.permutation(count, seed=key)
            rows, order = order[:size], order[size:]
            some_x, some_y = _rows_of(x, rows), _rows_of(y, rows)
            program = self._program(some_x, some_y, loss, look=False)
            value, gradients = program(trained, others, _tensors(some_x), _tensors(some_y))
            losses.append(float(as_numpy(value)))
            trained = [
                _adam(tensor, gradient, slot, step + 1, learning_rate)
                for tensor, gradient, slot in zip(trained, gradients, slots, strict=True)
            ]
        return losses

    def scale_on_data(self, x: Any, seed: int) -> None:
        """Scale the kernels in place by `fastinit.keras.data_dependent`."""
        data_dependent(self.model, x, rates=False, seed=seed)

    def loss_called(self, name: str) -> Any:
        """Return what ``keras.losses`` has."""
        try:
            return keras.losses.get(name)
        except ValueError:
            raise ArgumentError(f"Keras has no loss {name!r}") from None

    def input_shape(self) -> tuple[int, ...] | None:
        """Return the shape of one example, where the model has one input of known sizes."""
        shape = getattr(self.model, "input_shape", None)
        if not isinstance(shape, tuple) or not all(isinstance(size, int) for size in shape[1:]):
            return None
        return shape[1:]

    # Running

    def _pass(self, x: Any, y: Any, loss: Any) -> Found:
        program = self._program(x, y, loss, look=True)
        value, (seen, gaps) = program(*self._state(), _tensors(x), _tensors(y))
        tape = self._origin._tape = program.tape
        self._origin._inputs = keras.tree.map_structure(
            lambda array: np.zeros_like(as_numpy(array)[:1]), x
        )
        for index, gap in gaps.items():
            beside, branch = as_numpy(gap)
            if not beside <= 1e-5 * branch:
                tape.added.discard(index)
        rows = [row for row in tape.rows() if row.name in seen]
        return Found(tape, rows, seen, as_numpy(value), len(keras.tree.flatten(x)[0]))

    def _program(self, x: Any, y: Any, loss: Any, look: bool) -> Any:
        """Return the pass for such examples, compiled where it was not."""
        kind = keras.tree.map_structure(
            lambda a: (np.shape(a), str(getattr(a, "dtype", ""))), (x, y)
        )
        trainable = tuple(v.trainable for v in self._origin.model.variables)
        compiled = id(getattr(self._origin.model, "loss", None))
        key = repr(kind), loss, look, trainable, compiled
        programs = self._origin._programs
        if key not in programs:
            programs[key] = PASSES[keras.backend.backend()](self._origin, loss, look)
        return programs[key]

    def _state(self) -> tuple[list[Any], list[Any]]:
        """Return the values of the variables that are trained, and of the others."""
        self._synchronize()
        trained, others = self._origin.split()
        return [self._tensor(v) for v in trained], [self._tensor(v) for v in others]

    def split(self) -> tuple[list[Any], list[Any]]:
        """Return the variables that are trained, and the others."""
        trained = list(self.model.trainable_variables)
        known = {id(variable) for variable in trained}
        return trained, [v for v in self.model.variables if id(v) not in known]

    def _tensor(self, variable: Any) -> Any:
        return self._own(variable).value

    def _own(self, variable: Any) -> Any:
        """Return the model's own variable for one of the model that it was copied from."""
        if self._origin is self:
            return variable
        known = self._origin.model.variables
        return self.model.variables[next(i for i, v in enumerate(known) if v is variable)]

    def _value(self, variable: Any) -> NDArray[Any]:
        return as_numpy(keras.ops.cast(self._tensor(variable), "float32"))

    def run(self, tape: Tape, trained: Any, others: Any, x: Any, y: Any, loss: Any) -> Any:
        """Run the model with these values of its variables; return the loss."""
        trainable, fixed = self.split()
        state = list(zip([*trainable, *fixed], [*trained, *others], strict=True))
        with keras.StatelessScope(state_mapping=state), tape.watching(self.named()):
            outputs = self.model(x, training=False)
            return self._loss(tape, x, y, outputs, loss)

    def _loss(self, tape: Tape, x: Any, y: Any, outputs: Any, loss: Any) -> Any:
        ops, output = keras.ops, output_of(outputs)
        if y is None:
            wanted = direction(tuple(output.shape)) / output.shape[0]
            return ops.sum(ops.cast(output, "float32") * ops.convert_to_tensor(wanted))
        if loss is not None:
            return ops.mean(loss(output, y))
        if getattr(self.model, "loss", None) is not None:
            return self.model.compute_loss(x=x, y=y, y_pred=outputs, training=False)
        output = ops.cast(output, "float32")
        if "float" in keras.backend.standardize_dtype(y.dtype):
            return ops.mean(ops.square(output - ops.reshape(y, output.shape)))
        activation = tape.activation_of(output)
        if output.shape[-1] == 1:
            target = ops.cast(ops.reshape(y, output.shape), output.dtype)
            logits = activation != "sigmoid"
            return ops.mean(ops.binary_crossentropy(target, output, from_logits=logits))
        logits = activation != "softmax"
        return ops.mean(ops.sparse_categorical_crossentropy(y, output, from_logits=logits))

    def named(self) -> list[tuple[str, Any]]:
        """Return each layer that can be watched with its name."""
        found: dict[str, Any] = {}
        seen: set[int] = set()

        def walk(layer: Any, prefix: str) -> None:
            for inner in inner_layers(layer):
                if id(inner) in seen:
                    continue
                seen.add(id(inner))
                name, number = prefix + inner.name, 2
                while name in found:
                    name, number = f"{prefix}{inner.name}_{number}", number + 1
                found[name] = inner
                walk(inner, f"{name}.")

        walk(self.model, "")
        return list(found.items())

    def _build(self, x: Any) -> None:
        first = keras.tree.flatten(x)[0]
        if not len(first):
            raise ArgumentError("x must hold at least one example, got none")
        if not all(layer.built for layer in self.model._flatten_layers()):
            self.model(_tensors(x), training=False)

    def _require_built(self) -> None:
        if not all(layer.built for layer in self.model._flatten_layers()):
            raise ArgumentError("the model has no parameters yet: observe it first, or build it")

    def _synchronize(self) -> None:
        """Have the variables up to date: in Keras' ``fit`` on jax they are not."""
        getattr(self.model, "jax_state_sync", lambda: None)()

    def _known_tape(self) -> Tape | None:
        """Return in which order the layers run; from the shapes of the inputs if need be."""
        origin = self._origin
        if origin._tape is None and getattr(origin.model, "inputs", None):
            zeros = keras.tree.map_structure(
                lambda one: np.zeros([size or 2 for size in one.shape], str(one.dtype)),
                getattr(origin.model, "_inputs_struct", origin.model.inputs),
            )
            single = isinstance(zeros, list) and len(zeros) == 1
            x = _tensors(zeros[0] if single else zeros)
            origin._tape = PASSES[keras.backend.backend()](origin, None, True).trace(
                *self._state(), x
            )
        return origin._tape


@dataclass
class Found:
    """What a pass brought."""

    tape: Tape
    rows: list[Row]
    seen: dict[str, dict[str, Any]]
    loss: Any
    examples: int


def _copy(model: Any, inputs: Any) -> Any:
    """Return a model of the same configuration and values."""
    state = random.getstate()  # Keras seeds each initializer and each dropout from here
    try:
        if isinstance(model, keras.Sequential) or hasattr(model, "operations"):
            made = keras.models.clone_model(model)
        else:
            made = type(model).from_config(model.get_config())
        if not all(layer.built for layer in made._flatten_layers()):
            if inputs is None:
                raise ArgumentError("the model has to be observed before it can be copied")
            made(_tensors(inputs), training=False)
    except (NotImplementedError, TypeError) as error:
        raise ArgumentError(f"the model cannot be copied: {error}") from error
    finally:
        random.setstate(state)
    for mine, theirs in zip(made.variables, model.variables, strict=True):
        mine.trainable = theirs.trainable
        mine.assign(theirs.value)
    if getattr(model, "loss", None) is not None:
        optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
        made.compile(optimizer=optimizer, loss=model.loss)
    return made


def _arrays(x: Any) -> Any:
    """Return what a model is called with, lists of numbers as arrays."""
    if isinstance(x, (list, tuple)) and not all(hasattr(one, "shape") for one in x):
        return np.asarray(x)
    return x


def _part(tensor: Any, layer: Any) -> NDArray[np.float32]:
    """Return the part of an output that is looked at, as (examples, positions, features)."""
    ops, shape = keras.ops, tuple(tensor.shape)
    if getattr(layer, "data_format", "channels_last") == "channels_first" and len(shape) > 2:
        tensor = ops.moveaxis(tensor, 1, -1)
        shape = tuple(tensor.shape)
    whole = (shape[0], math.prod(shape[1:-1]), shape[-1]) if len(shape) > 1 else (*shape, 1, 1)
    slices = sample(whole)
    if any(one.step != 1 for one in slices):
        return as_numpy(ops.cast(ops.reshape(tensor, whole)[slices], "float32"))
    return as_numpy(ops.cast(tensor, "float32")).reshape(whole)


def _size(gradient: Any, times: int = 1) -> float | None:
    if gradient is None:
        return None
    return root_mean_square(as_numpy(keras.ops.cast(gradient, "float32"))) * times


def _a_step(layer: Any, gradient: Any) -> float | None:
    """Return the factor a step of a gradient of shape (examples, steps, features)."""
    if gradient is None:
        return None
    steps = np.moveaxis(as_numpy(keras.ops.cast(gradient, "float32")), 1, 0)
    sizes = np.array([root_mean_square(one) for one in steps])
    return factor_a_step(sizes[::-1] if layer.go_backwards else sizes)


def _rows_of(x: Any, rows: NDArray[Any]) -> Any:
    return keras.tree.map_structure(lambda array: as_numpy(array)[rows], x)


def _tensors(x: Any) -> Any:
    def tensor(array: Any) -> Any:
        kind = str(getattr(array, "dtype", ""))
        wide = "float64" in kind
        return keras.ops.convert_to_tensor(array, dtype=keras.config.floatx() if wide else None)

    return None if x is None else keras.tree.map_structure(tensor, x)


def as_numpy(tensor: Any) -> NDArray[Any]:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def _adam(tensor: Any, gradient: Any, slots: Any, step: int, rate: float) -> Any:
    """Return a tensor after a step of Adam, whose two means are in `slots`."""
    values, change = as_numpy(tensor).astype(np.float32), as_numpy(gradient).astype(np.float32)
    first, second = slots
    with np.errstate(all="ignore"):
        first += 0.1 * (change - first)
        second += 0.001 * (change * change - second)
        scale = rate * math.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        values = values - scale * first / (np.sqrt(second) + 1e-7)
    return keras.ops.convert_to_tensor(values, dtype=keras.backend.standardize_dtype(tensor.dtype))
