"""A network of layers in a row: building, training, looking inside."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError, FastinitError, unknown_name
from fastinit.kernels.jit import FloatArray
from fastinit.keys import Key, Seed
from fastinit.nn.batch import Batch
from fastinit.nn.checks import as_count, as_features, same_length
from fastinit.nn.layers import Dense
from fastinit.nn.losses import Loss, get_loss
from fastinit.nn.optimizers import Optimizer, get_optimizer
from fastinit.nn.training import History, epoch_end, progress_line

__all__ = ["Sequential"]

# Rows that predict() and evaluate() push through at once: enough to keep BLAS busy.
INFERENCE_ROWS = 1024


class Sequential:
    """A network of layers in a row.

    Parameters
    ----------
    layers : iterable of Dense
        The layers, first to last, at least one. A layer belongs to one network.
    seed : int, Key, numpy.random.SeedSequence, numpy.random.Generator or None, default None
        Source of the initial parameters and of the order of the examples; None is a new one each
        time. With the same seed a training gives the same bits on one machine, as long as BLAS has
        the same number of threads: their number changes the order of its additions.
    dtype : dtype, default numpy.float32
        numpy.float32 or numpy.float64, of the parameters and of all computing.

    Attributes
    ----------
    layers : list of Dense
        The layers.
    dtype : numpy.dtype
        The dtype.
    input_dim : int or None
        Number of features, None before the network is built.
    loss : Loss or None
        The loss, None before the network is compiled.
    optimizer : Optimizer or None
        The optimizer, likewise.
    stop_training : bool
        Set it during training, in a callback, to stop after the epoch.

    Raises
    ------
    ArgumentError
        If there is no layer, two have one name, one belongs to a network already, or the dtype
        cannot be used.
    ArgumentTypeError
        If a layer is none.

    Examples
    --------
    >>> import numpy
    >>> from fastinit import nn
    >>> x = numpy.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> y = numpy.array([0, 1, 1, 0])
    >>> network = nn.Sequential([nn.Dense(8, activation="tanh"), nn.Dense(2)], seed=0)
    >>> network.compile(optimizer=nn.Adam(learning_rate=0.05))
    >>> history = network.fit(x, y, epochs=200, verbose=0)
    >>> network.predict(x).argmax(axis=1).tolist()
    [0, 1, 1, 0]
    """

    def __init__(
        self, layers: Iterable[Dense], seed: Seed = None, dtype: DTypeLike = np.float32
    ) -> None:
        self.layers = list(layers)
        self.seed = seed
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.float32, np.float64):
            raise ArgumentError(f"dtype must be float32 or float64, got {self.dtype}")
        _take_layers(self.layers)
        self.input_dim: int | None = None
        self.loss: Loss | None = None
        self.optimizer: Optimizer | None = None
        self.stop_training = False
        self._accuracy = False

    # Building

    def build(self, input_dim: int) -> None:
        """Create the parameters and draw their initial values.

        The parameter "kernel" of the layer "dense_0" is
        ``layer.kernel_initializer(shape, seed=fastinit.key(seed, "dense_0.kernel"))``, and so on:
        it depends on no other layer. Building anew draws anew and forgets what the optimizer
        remembered; `fit`, `predict` and their like build a network that is not built yet.

        Parameters
        ----------
        input_dim : int
            Number of features of an example, at least 1.

        Raises
        ------
        ArgumentError
            If `input_dim` is below 1.

        Examples
        --------
        >>> from fastinit import nn
        >>> network = nn.Sequential([nn.Dense(3)], seed=0)
        >>> network.build(2)
        >>> network.layers[0].kernel.shape
        (2, 3)
        """
        self.input_dim = as_count("input_dim", input_dim)
        size = sum(math.prod(shape) for _, _, shape in self._parameter_shapes())
        # One array holds all parameters, one all gradients: an optimizer takes one pass.
        self._parameters = np.zeros(size, self.dtype)
        self._gradients = np.zeros(size, self.dtype)
        self._attach_layers()
        for layer in self.layers:
            layer.initialize(self._key)
        self._forget_training()

    def _key(self, name: str) -> Key:
        return fastinit.key(self.seed, name)

    def _forget_training(self) -> None:
        self._memory: tuple[FloatArray, ...] | None = None
        self._steps = 0
        self._epochs = 0

    def _parameter_shapes(self) -> Iterator[tuple[Dense, str, tuple[int, ...]]]:
        if self.input_dim is None:
            raise FastinitError("the network has no parameters yet: call build(input_dim) first")
        inputs = self.input_dim
        for layer in self.layers:
            for name, shape in layer.parameter_shapes(inputs).items():
                yield layer, name, shape
            inputs = layer.units

    def _attach_layers(self) -> None:
        views: dict[Dense, tuple[dict[str, FloatArray], dict[str, FloatArray]]]
        views = {layer: ({}, {}) for layer in self.layers}
        start = 0
        for layer, name, shape in self._parameter_shapes():
            stop = start + math.prod(shape)
            views[layer][0][name] = self._parameters[start:stop].reshape(shape)
            views[layer][1][name] = self._gradients[start:stop].reshape(shape)
            start = stop
        for layer, (parameters, gradients) in views.items():
            layer.attach(parameters, gradients)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.input_dim is not None:  # pickling made the layers' views into arrays of their own
            self._attach_layers()

    def compile(
        self,
        loss: str = "categorical_crossentropy",
        optimizer: str | Optimizer = "adam",
        metrics: Sequence[str] | None = None,
    ) -> None:
        """Choose loss, optimizer and metrics; forget what the optimizer remembered.

        Parameters
        ----------
        loss : str, default "categorical_crossentropy"
            "categorical_crossentropy" takes class numbers or one-hot rows, and a last layer that
            is softmax or linear; "binary_crossentropy" takes probabilities, and a last layer that
            is sigmoid or linear; "mean_squared_error" takes any. The outputs of a linear layer are
            logits to both cross-entropies, which compute from logits in any case.
        optimizer : str or Optimizer, default "adam"
            "adam", "sgd", or `Adam` or `SGD` with hyperparameters of your own.
        metrics : sequence of str, optional
            "accuracy" or nothing. Left out, it is the accuracy for the cross-entropies and nothing
            for the mean squared error, where it has no meaning.

        Raises
        ------
        ArgumentError
            If a name is unknown, the last layer cannot feed the loss, or the loss has no accuracy.
        ArgumentTypeError
            If an argument has a type that cannot be used.

        Examples
        --------
        >>> from fastinit import nn
        >>> network = nn.Sequential([nn.Dense(1)])
        >>> network.compile(loss="mean_squared_error", optimizer=nn.SGD(learning_rate=0.1))
        """
        chosen = get_loss(loss)
        chosen.require_output(self.layers[-1].activation)
        if metrics is None:
            metrics = ("accuracy",) if chosen.correct else ()
        for name in metrics:
            if name != "accuracy":
                raise unknown_name("metric", name, ["accuracy"])
            if chosen.correct is None:
                raise ArgumentError(f"accuracy has no meaning for {loss}: pass metrics=()")
        self.optimizer = get_optimizer(optimizer)
        self.loss = chosen
        self._accuracy = "accuracy" in metrics
        self._forget_training()

    # Training

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        epochs: int = 1,
        batch_size: int = 32,
        verbose: int = 1,
        validation_data: tuple[ArrayLike, ArrayLike] | None = None,
        shuffle: bool = True,
        callbacks: Iterable[Any] = (),
    ) -> History:
        """Train the network.

        Parameters
        ----------
        x : array_like, shape (examples, features)
            Finite numbers.
        y : array_like
            Targets, in the form that the loss takes, see `compile`.
        epochs : int, default 1
            Passes over the data, at least 1.
        batch_size : int, default 32
            Examples a step, at least 1. The last batch of an epoch may be smaller.
        verbose : int, default 1
            1 prints a line an epoch, 0 is silent.
        validation_data : (x, y), optional
            Evaluated after every epoch.
        shuffle : bool, default True
            Whether to go through the examples in a new order every epoch.
        callbacks : iterable, default ()
            `Callback` objects, or anything that is called ``callback(epoch, logs)``.

        Returns
        -------
        History
            Loss and metrics of every epoch: the means over its batches, while the parameters
            changed; and those of the validation data after it. A loss that is not finite is
            recorded, and the training goes on.

        Raises
        ------
        ArgumentError
            If data or numbers cannot be used; nothing has been computed then.
        ArgumentTypeError
            If an argument has a type that cannot be used.
        FastinitError
            If the network is not compiled.

        Examples
        --------
        >>> import numpy
        >>> from fastinit import nn
        >>> x = numpy.linspace(-1, 1, 50)[:, None]
        >>> network = nn.Sequential([nn.Dense(1)], seed=0)
        >>> network.compile(loss="mean_squared_error", optimizer=nn.SGD(learning_rate=0.5))
        >>> history = network.fit(x, 3 * x + 1, epochs=20, verbose=0)
        >>> network.layers[0].kernel.round(2).item(), network.layers[0].bias.round(2).item()
        (3.0, 1.0)
        """
        loss, optimizer = self._require_compiled("fit")
        epochs, batch_size = as_count("epochs", epochs), as_count("batch_size", batch_size)
        features, target = self._prepare(x, y, loss)
        if validation_data is not None:
            if len(validation_data) != 2:
                raise ArgumentTypeError("validation_data must be a pair (x, y)")
            validation_data = self._prepare(*validation_data, loss)
        hooks = [epoch_end(callback, self) for callback in callbacks]
        if self._memory is None:
            self._memory = optimizer.start(self._parameters)
        rows = len(features)
        batches = {size: Batch(self.layers, size) for size in _batch_sizes(rows, batch_size)}
        history = History()
        self.stop_training = False
        for epoch in range(epochs):
            started = time.perf_counter()
            order = self._order(rows) if shuffle else np.arange(rows)
            logs = self._run_epoch(features, target, order, batch_size, batches)
            if validation_data is not None:
                validation = self._evaluate(*validation_data, INFERENCE_ROWS)
                logs |= {f"val_{name}": value for name, value in validation.items()}
            history.append(epoch, logs)
            if verbose:
                print(progress_line(epoch, epochs, time.perf_counter() - started, logs))
            for hook in hooks:
                hook(epoch, logs)
            if self.stop_training:
                break
        return history

    def _order(self, rows: int) -> NDArray[np.intp]:
        # Ranks of the library's own numbers: the same order wherever the seed is the same.
        key = self._key(f"order.{self._epochs}")
        numbers = fastinit.uniform(rows, low=0.0, high=1.0, seed=key, dtype=np.float64)
        return np.argsort(numbers, kind="stable")

    def _run_epoch(
        self,
        features: FloatArray,
        target: NDArray[Any],
        order: NDArray[np.intp],
        batch_size: int,
        batches: dict[int, Batch],
    ) -> dict[str, float]:
        loss, optimizer = self._require_compiled("fit")
        assert self._memory is not None
        total_loss, right = 0.0, 0
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            batch = batches[len(chosen)]
            # mode="clip" lets NumPy write into x directly; the indices are all in range.
            features.take(chosen, axis=0, out=batch.x, mode="clip")
            wanted = target.take(chosen, axis=0)
            batch.forward()
            total_loss += len(chosen) * batch.loss(loss, wanted)
            right += self._correct(batch, wanted)
            batch.backward(loss)
            self._steps += 1
            optimizer.update(self._parameters, self._gradients, self._memory, self._steps)
        self._epochs += 1
        return self._logs(total_loss / len(features), right / target.size)

    def _correct(self, batch: Batch, target: NDArray[Any]) -> int:
        """Return how many targets a batch meets, 0 where nobody asked."""
        if not self._accuracy or self.loss is None or self.loss.correct is None:
            return 0
        return self.loss.correct(batch.z[-1], target)

    def _logs(self, loss: float, accuracy: float) -> dict[str, float]:
        return {"loss": loss, "accuracy": accuracy} if self._accuracy else {"loss": loss}

    # Using

    def predict(self, x: ArrayLike, batch_size: int = INFERENCE_ROWS) -> FloatArray:
        """Return the activations of the last layer.

        Parameters
        ----------
        x : array_like, shape (examples, features)
            Finite numbers; there may be no example.
        batch_size : int, default 1024
            Examples that are computed at once: bounds the memory.

        Returns
        -------
        ndarray, shape (examples, units)
            A new array. The outputs of a linear last layer are logits.

        Raises
        ------
        ArgumentError
            If `x` cannot be used or `batch_size` is below 1.

        Examples
        --------
        >>> import numpy
        >>> from fastinit import nn
        >>> network = nn.Sequential([nn.Dense(2, activation="softmax", kernel_initializer="zeros")])
        >>> network.predict(numpy.ones((1, 4))).tolist()
        [[0.5, 0.5]]
        """
        features = self._features(x)
        result = np.empty((len(features), self.layers[-1].units), self.dtype)
        for rows, batch in self._passes(features, as_count("batch_size", batch_size)):
            result[rows] = batch.a[-1]
        return result

    def evaluate(
        self, x: ArrayLike, y: ArrayLike, batch_size: int = INFERENCE_ROWS
    ) -> dict[str, float]:
        """Return the loss and the metrics on data, without training.

        Parameters
        ----------
        x : array_like, shape (examples, features)
            Finite numbers.
        y : array_like
            Targets, as for `fit`.
        batch_size : int, default 1024
            Examples that are computed at once: bounds the memory.

        Returns
        -------
        dict
            "loss" and, if it was asked for, "accuracy".

        Raises
        ------
        ArgumentError
            If data cannot be used or `batch_size` is below 1.
        FastinitError
            If the network is not compiled.

        Examples
        --------
        >>> import numpy
        >>> from fastinit import nn
        >>> network = nn.Sequential([nn.Dense(2, kernel_initializer="zeros")])
        >>> network.compile()
        >>> network.evaluate(numpy.ones((4, 3)), [0, 0, 0, 1])["accuracy"]
        0.75
        """
        loss, _ = self._require_compiled("evaluate")
        batch_size = as_count("batch_size", batch_size)
        return self._evaluate(*self._prepare(x, y, loss), batch_size)

    def _evaluate(
        self, features: FloatArray, target: NDArray[Any], batch_size: int
    ) -> dict[str, float]:
        loss, _ = self._require_compiled("evaluate")
        total_loss, right = 0.0, 0
        for rows, batch in self._passes(features, batch_size):
            wanted = target[rows]
            total_loss += len(wanted) * batch.loss(loss, wanted)
            right += self._correct(batch, wanted)
        return self._logs(total_loss / len(features), right / target.size)

    def _passes(self, features: FloatArray, batch_size: int) -> Iterator[tuple[slice, Batch]]:
        """Yield slices of the rows, each with the batch that has gone forward on it."""
        rows = len(features)
        batches = {size: Batch(self.layers, size) for size in _batch_sizes(rows, batch_size)}
        for start in range(0, rows, batch_size):
            chosen = slice(start, min(start + batch_size, rows))
            batch = batches[chosen.stop - start]
            batch.x[...] = features[chosen]
            batch.forward()
            yield chosen, batch

    # Looking inside

    def forward(self, x: ArrayLike) -> list[tuple[FloatArray, FloatArray]]:
        """Return what every layer computes.

        Parameters
        ----------
        x : array_like, shape (examples, features)
            Finite numbers, computed all at once.

        Returns
        -------
        list of (ndarray, ndarray)
            For each layer its pre-activations and its activations, shape ``(examples, units)``.

        Raises
        ------
        ArgumentError
            If `x` cannot be used.

        Examples
        --------
        >>> import numpy
        >>> from fastinit import nn
        >>> network = nn.Sequential([nn.Dense(1, "relu", kernel_initializer="ones")])
        >>> [(z, a)] = network.forward(numpy.array([[-1.0, -2.0]]))
        >>> z.item(), a.item()
        (-3.0, 0.0)
        """
        batch = self._forward(self._features(x))
        return list(zip(batch.z, batch.a, strict=True))

    def gradients(self, x: ArrayLike, y: ArrayLike) -> list[tuple[FloatArray, FloatArray | None]]:
        """Return the gradient of the mean loss in every parameter, and change nothing.

        Parameters
        ----------
        x : array_like, shape (examples, features)
            Finite numbers, computed all at once.
        y : array_like
            Targets, as for `fit`.

        Returns
        -------
        list of (ndarray, ndarray or None)
            For each layer the gradient in its kernel and that in its bias, None without one.

        Raises
        ------
        ArgumentError
            If data cannot be used.
        FastinitError
            If the network is not compiled.

        Examples
        --------
        >>> import numpy
        >>> from fastinit import nn
        >>> network = nn.Sequential([nn.Dense(1, kernel_initializer="zeros")])
        >>> network.compile(loss="mean_squared_error")
        >>> [(kernel, bias)] = network.gradients([[2.0]], [3.0])
        >>> kernel.item(), bias.item()
        (-12.0, -6.0)
        """
        loss, _ = self._require_compiled("gradients")
        features, target = self._prepare(x, y, loss)
        batch = self._forward(features)
        batch.loss(loss, target)
        batch.backward(loss)
        return [layer.gradients() for layer in self.layers]

    def _forward(self, features: FloatArray) -> Batch:
        batch = Batch(self.layers, len(features))
        batch.x[...] = features
        batch.forward()
        return batch

    def get_weights(self) -> list[FloatArray]:
        """Return copies of all parameters: kernel, bias, kernel, bias ...

        Returns
        -------
        list of ndarray
            In the order of the layers.

        Raises
        ------
        FastinitError
            If the network is not built.

        Examples
        --------
        >>> from fastinit import nn
        >>> network = nn.Sequential([nn.Dense(3)])
        >>> network.build(2)
        >>> [weight.shape for weight in network.get_weights()]
        [(2, 3), (3,)]
        """
        return [getattr(layer, name).copy() for layer, name, _ in self._parameter_shapes()]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Copy values into all parameters.

        Parameters
        ----------
        weights : sequence of array_like
            In the order and the shapes of `get_weights`.

        Raises
        ------
        ArgumentError
            If number or shapes differ; no parameter has been changed then.
        FastinitError
            If the network is not built.

        Examples
        --------
        >>> from fastinit import nn
        >>> network = nn.Sequential([nn.Dense(1, use_bias=False)])
        >>> network.build(2)
        >>> network.set_weights([[[1.0], [2.0]]])
        >>> network.predict([[10.0, 100.0]]).item()
        210.0
        """
        slots = list(self._parameter_shapes())
        if len(weights) != len(slots):
            raise ArgumentError(f"the network has {len(slots)} parameters, got {len(weights)}")
        arrays = [np.asarray(weight) for weight in weights]
        for (layer, name, shape), array in zip(slots, arrays, strict=True):
            if array.shape != shape:
                raise ArgumentError(f"{layer.name}.{name} has the shape {shape}, got {array.shape}")
        for (layer, name, _), array in zip(slots, arrays, strict=True):
            setattr(layer, name, array)

    def summary(self) -> str:
        """Print a table of the layers, and return it.

        Returns
        -------
        str
            The table.

        Raises
        ------
        FastinitError
            If the network is not built.

        Examples
        --------
        >>> from fastinit import nn
        >>> network = nn.Sequential([nn.Dense(8, "relu", kernel_initializer="he_normal")])
        >>> network.build(4)
        >>> table = network.summary()
        layer    kernel  activation  initializer  parameters
        dense_0  (4, 8)  relu        he_normal()          40
        total                                             40
        """
        rows = [("layer", "kernel", "activation", "initializer", "parameters")]
        sizes = dict.fromkeys(self.layers, 0)
        for layer, _, shape in self._parameter_shapes():
            sizes[layer] += math.prod(shape)
        for layer, size in sizes.items():
            kernel, initializer = str(layer.kernel.shape), repr(layer.kernel_initializer)
            rows.append((str(layer.name), kernel, layer.activation, initializer, f"{size:,}"))
        rows.append(("total", "", "", "", f"{sum(sizes.values()):,}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        text = "\n".join(
            "  ".join([*map(str.ljust, row[:-1], widths), row[-1].rjust(widths[-1])])
            for row in rows
        )
        print(text)
        return text

    # Checks

    def _require_compiled(self, what: str) -> tuple[Loss, Optimizer]:
        if self.loss is None or self.optimizer is None:
            raise FastinitError(f"{what} needs a loss: call compile(loss=..., optimizer=...) first")
        return self.loss, self.optimizer

    def _features(self, x: ArrayLike) -> FloatArray:
        features = as_features(x, self.input_dim, self.dtype)
        if self.input_dim is None:
            self.build(features.shape[1])
        return features

    def _prepare(self, x: ArrayLike, y: ArrayLike, loss: Loss) -> tuple[FloatArray, NDArray[Any]]:
        """Return checked features and targets; build the network if all is well with them."""
        features = as_features(x, self.input_dim, self.dtype)
        same_length(features, y)
        target = loss.prepare(y, self.layers[-1].units, self.dtype)
        return self._features(features), target


def _take_layers(layers: list[Dense]) -> None:
    """Check the layers of a new network, and name those that have no name."""
    if not layers:
        raise ArgumentError("a network needs at least one layer, got none")
    for layer in layers:
        if not isinstance(layer, Dense):
            raise ArgumentTypeError(f"layers must be layers such as nn.Dense(64), got {layer!r}")
    names = [layer.name or f"{layer.kind}_{i}" for i, layer in enumerate(layers)]
    for name in names:
        if names.count(name) > 1:
            raise ArgumentError(f"two layers are named {name!r}: their parameters would be equal")
    for layer in layers:
        if layer.taken:
            raise ArgumentError(f"{layer.name!r} belongs to a network already: make a new layer")
    for layer, name in zip(layers, names, strict=True):
        layer.name, layer.taken = name, True


def _batch_sizes(rows: int, batch_size: int) -> set[int]:
    """Return the sizes that occur when so many rows are cut into batches."""
    return {min(batch_size, rows), rows % batch_size} - {0}
