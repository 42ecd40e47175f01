"""A network of layers in a row: building, training, looking inside."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError, FastinitError
from fastinit.kernels.jit import FloatArray
from fastinit.keys import Key, Seed
from fastinit.nn import saving, transfer
from fastinit.nn.callbacks import Callbacks
from fastinit.nn.checks import as_count, as_features, as_weights, same_length
from fastinit.nn.compiled import engine
from fastinit.nn.compiled.table import Batch, Data, Program
from fastinit.nn.layers import Layer, Shape
from fastinit.nn.losses import LOSSES, Loss, get_loss
from fastinit.nn.metrics import Metric, choose_metrics
from fastinit.nn.optimizers import Optimizer, get_optimizer
from fastinit.nn.passes import Pass
from fastinit.nn.program import Memory, compile_program
from fastinit.nn.progress import Display
from fastinit.nn.schedules import Schedule, get_schedule
from fastinit.nn.training import History, Trainer, batch_of, mean_logs, target_of, threads_for
from fastinit.sampling import threads

__all__ = ["Sequential"]

# Examples that predict() and evaluate() push through at once: enough to keep all cores busy, few
# enough for their activations to stay in the cache.
INFERENCE_ROWS = 256

_TRAINING_LOCK = threading.Lock()


class Sequential:
    """A network of layers in a row.

    Parameters
    ----------
    layers : iterable of Layer
        The layers, first to last, at least one. A layer belongs to one network.
    seed : int, Key, numpy.random.SeedSequence or numpy.random.Generator, optional
        Source of the initial parameters, of the order of the examples and of dropout; left out,
        a new one each time. With the same seed a training gives the same bits, with any number of
        threads, on any processor that has fused multiply-add (x86-64 since 2013, aarch64).
    dtype : dtype-like, default float32
        numpy.float32 or numpy.float64, of the parameters and of all computing.

    Attributes
    ----------
    layers : list of Layer
        The layers.
    dtype : numpy.dtype
        The dtype.
    input_shape : tuple of int or None
        Shape of an example, (features,) or (time, features); None before the network is built.
    loss : Loss or None
        The loss, None before the network is compiled.
    optimizer : Optimizer or None
        The optimizer, likewise.
    metrics : tuple of Metric
        The metrics.
    learning_rate : float or Schedule
        The optimizer's; may be set at any time, also during training.
    steps, epochs : int
        Steps and epochs taken since the network was built or compiled.
    stop_training : bool
        Set it during training, in a callback, to stop after the epoch, or at once after a batch.
    history : History or None
        That of the last training, also of one that an exception or Ctrl-C ended.

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
        self, layers: Iterable[Layer], seed: Seed = None, dtype: DTypeLike = np.float32
    ) -> None:
        self.layers = list(layers)
        self.seed = seed
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.float32, np.float64):
            raise ArgumentError(f"dtype must be float32 or float64, got {self.dtype}")
        _take_layers(self.layers)
        self.input_shape: Shape | None = None
        self.loss: Loss | None = None
        self.optimizer: Optimizer | None = None
        self.metrics: tuple[Metric, ...] = ()
        self.learning_rate: float | Schedule = 0.0
        self.stop_training = False
        self.history: History | None = None
        self._in_training = False
        self._forget_training()

    # Building

    def build(self, input_shape: int | Shape) -> None:
        """Create the parameters and draw their initial values.

        The parameter "kernel" of the layer "dense_0" is
        ``layer.kernel_initializer(shape, seed=fastinit.key(seed, "dense_0.kernel"))``, and so on:
        it depends on no other layer. Building anew draws anew and forgets what the optimizer
        remembered; `fit`, `predict` and their like build a network that is not built yet.

        Parameters
        ----------
        input_shape : int or tuple of int
            Number of features of an example, at least 1; for recurrent layers (time, features).

        Raises
        ------
        ArgumentError
            If a size is below 1, or a layer cannot take what comes to it.

        Examples
        --------
        >>> from fastinit import nn
        >>> network = nn.Sequential([nn.Dense(3)], seed=0)
        >>> network.build(2)
        >>> network.layers[0].kernel.shape
        (2, 3)
        """
        self.allocate(input_shape)
        for layer in self.layers:
            layer.initialize(self.key)

    def allocate(self, input_shape: int | Shape) -> None:
        """Do what `build` does, but leave all parameters 0.

        Parameters
        ----------
        input_shape : int or tuple of int
            As of `build`.

        Raises
        ------
        ArgumentError
            If a size is not positive, or a layer cannot take such examples.
        ArgumentTypeError
            If a size is not an integer.
        FastinitError
            If the network is in training.
        """
        self._require_idle("build")
        sizes = input_shape if isinstance(input_shape, tuple) else (input_shape,)
        if len(sizes) not in (1, 2):
            raise ArgumentError(
                f"input_shape must be features or (time, features), got {input_shape!r}"
            )
        shapes = [tuple(as_count("input_shape", size) for size in sizes)]
        for layer in self.layers:
            shapes.append(layer.output_shape(shapes[-1]))
        self.input_shape = shapes[0]
        self.shapes, self.output_shape = shapes[:-1], shapes[-1]
        self.memory = Memory(self.layers, self.shapes, self.dtype)
        self._forget_training()

    def key(self, name: str) -> Key:
        """Return the key of the network's draws of that name.

        Parameters
        ----------
        name : str
            For instance "dense_0.kernel".

        Returns
        -------
        Key
            The key.
        """
        return fastinit.key(self.seed, name)

    def _forget_training(self) -> None:
        self._moments: tuple[FloatArray, FloatArray] | None = None
        self.steps = 0
        self.epochs = 0

    def _slots(self) -> Iterator[tuple[Layer, str]]:
        """Yield layer and name of every parameter and statistic, in the order of `get_weights`."""
        if self.input_shape is None:
            raise FastinitError("the network has no parameters yet: call build(input_shape) first")
        for layer, shape in zip(self.layers, self.shapes, strict=True):
            for name in (*layer.parameter_shapes(shape), *layer.state_shapes(shape)):
                yield layer, name

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._in_training = False
        if self.input_shape is not None:  # copying made the layers' views into arrays of their own
            self.memory.attach()

    @property
    def output_size(self) -> int:
        """How many numbers the built network gives for an example."""
        return math.prod(self.output_shape)

    def operations(self, examples: int, backward: bool = False) -> float:
        """Return about how many floating-point operations so many examples take.

        Parameters
        ----------
        examples : int
            How many.
        backward : bool, default False
            Whether to count the backward pass, too.

        Returns
        -------
        float
            The number.
        """
        weights = sum(
            math.prod(shape[:-1]) * sum(map(math.prod, layer.parameter_shapes(shape).values()))
            for layer, shape in zip(self.layers, self.shapes, strict=True)
        )
        return (6.0 if backward else 2.0) * examples * weights

    def program(self, capacity: int, **options: Any) -> Program:
        """Return what the engine runs; see `fastinit.nn.program.compile_program`.

        Parameters
        ----------
        capacity : int
            Examples of a batch at most.
        **options
            As of `fastinit.nn.program.compile_program`.

        Returns
        -------
        Program
            A table of the layers, with room for a batch.
        """
        return compile_program(self.layers, self.shapes, self.memory, self.key, capacity, **options)

    def compile(
        self,
        loss: str | Loss = "categorical_crossentropy",
        optimizer: str | Optimizer = "adam",
        metrics: Sequence[str] | None = None,
    ) -> None:
        """Choose loss, optimizer and metrics; forget what the optimizer remembered.

        Parameters
        ----------
        loss : str or Loss, default "categorical_crossentropy"
            "categorical_crossentropy" takes class numbers or one-hot rows, and a last layer that
            is softmax or linear; "binary_crossentropy" takes probabilities, and a last layer that
            is sigmoid or linear; "mean_squared_error", "mean_absolute_error" and "huber" take any.
            The outputs of a linear layer are logits to both cross-entropies, which compute from
            logits in any case.
        optimizer : str or Optimizer, default "adam"
            "sgd", "adagrad", "rmsprop", "adam", "adamw", or an optimizer with hyperparameters.
        metrics : sequence of str, optional
            "accuracy", "top_k_categorical_accuracy" (k = 5), "mean_absolute_error" ("mae") or
            "mean_squared_error" ("mse"). Left out, it is the accuracy for the cross-entropies and
            nothing for the others, where it has no meaning.

        Raises
        ------
        ArgumentError
            If a name is unknown, the last layer cannot feed the loss, or a metric has no meaning.
        ArgumentTypeError
            If an argument has a type that cannot be used.

        Examples
        --------
        >>> from fastinit import nn
        >>> network = nn.Sequential([nn.Dense(1)])
        >>> network.compile(loss="mean_squared_error", optimizer=nn.SGD(learning_rate=0.1))
        """
        self._require_idle("compile")
        chosen = get_loss(loss)
        last = self.layers[-1]
        chosen.require_output(getattr(last, "code", 0), getattr(last, "activation", "linear"))
        self.metrics = choose_metrics(metrics, chosen)
        self.optimizer = get_optimizer(optimizer)
        self.learning_rate = self.optimizer.learning_rate
        self.loss = chosen
        self._forget_training()

    # Training

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        epochs: int = 1,
        batch_size: int = 32,
        verbose: int = 1,
        validation_data: tuple[ArrayLike, ...] | None = None,
        shuffle: bool = True,
        callbacks: Iterable[Any] = (),
        class_weight: Mapping[int, float] | None = None,
        sample_weight: ArrayLike | None = None,
        validation_split: float = 0.0,
    ) -> History:
        """Train the network.

        Parameters
        ----------
        x : array_like, shape (examples, features) or (examples, time, features)
            Finite numbers.
        y : array_like
            Targets, in the form that the loss takes, see `compile`.
        epochs : int, default 1
            Passes over the data, at least 1.
        batch_size : int, default 32
            Examples a step, at least 1. The last batch of an epoch may be smaller; where there are
            fewer examples, a batch is all of them.
        verbose : {0, 1, 2}, default 1
            0 is silent, 2 prints a line an epoch, and 1 also shows a bar during long epochs, where
            the output is a terminal and rich is installed.
        validation_data : (x, y) or (x, y, sample_weight), optional
            Evaluated after every epoch.
        shuffle : bool, default True
            Whether to go through the examples in a new order every epoch.
        callbacks : iterable, default ()
            `Callback` objects, or anything that is called ``callback(epoch, logs)``.
        class_weight : mapping of int to float, optional
            Weight of the examples of each class, 1 for those left out; for the cross-entropies,
            the binary one with a single unit and targets 0 and 1.
        sample_weight : array_like, shape (examples,), optional
            Weight of each example, at least 0. As in Keras the loss is the sum of the weighted
            losses over the number of examples, not over the sum of the weights.
        validation_split : float, default 0
            Share of the examples, the last ones, to be held back as validation data.

        Returns
        -------
        History
            Loss and metrics of every epoch: the means over its batches, while the parameters
            changed; and those of the validation data after it. A loss that is not finite is
            recorded, and the training goes on (see `TerminateOnNaN`).

        Raises
        ------
        ArgumentError
            If data or numbers cannot be used; nothing has been computed then.
        ArgumentTypeError
            If an argument has a type that cannot be used.
        FastinitError
            If the network is not compiled, no layer can be trained, or the network is in training
            already: in another thread, or because a callback calls this.

        Notes
        -----
        Ctrl-C comes through within a fraction of a second, between two steps: the network stays
        usable, with what it has learnt in `history`. Different networks may be trained in threads
        at the same time. What a callback changes of a layer's `trainable` counts from the next
        training on.

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
        self._require_compiled("fit")
        epochs, batch_size = as_count("epochs", epochs), as_count("batch_size", batch_size)
        if validation_split:
            if validation_data is not None:
                raise ArgumentError("pass validation_data or validation_split, not both")
            x, y, sample_weight, validation_data = _split(x, y, sample_weight, validation_split)
        data = self._data(x, y, sample_weight, class_weight)
        validation = None
        if validation_data is not None:
            if len(validation_data) not in (2, 3):
                raise ArgumentTypeError("validation_data must be (x, y) or (x, y, sample_weight)")
            held_x, held_y, *weight = validation_data
            validation = self._data(held_x, held_y, weight[0] if weight else None)
        if not any(layer.trainable for layer, _ in self._slots()):
            raise FastinitError("fit has nothing to train: no layer with parameters is trainable")
        hooks = Callbacks(callbacks, self)
        with self._training(), Display(verbose, epochs) as display:
            return self._train(data, validation, epochs, batch_size, shuffle, hooks, display)

    @contextmanager
    def _training(self) -> Iterator[None]:
        """Keep others from training the network, or from building it anew, at the same time."""
        with _TRAINING_LOCK:
            self._require_idle("fit")
            self._in_training = True
        try:
            yield
        finally:
            self._in_training = False

    def _require_idle(self, what: str) -> None:
        if self._in_training:
            raise FastinitError(
                f"{what} must not be called while the network is in training, from a callback or "
                "from another thread"
            )

    def _train(
        self,
        data: Data,
        validation: Data | None,
        epochs: int,
        batch_size: int,
        shuffle: bool,
        hooks: Callbacks,
        display: Display,
    ) -> History:
        trainer = Trainer(self, data, batch_size, shuffle, hooks.stop_at_nan)
        history = self.history = History()
        self.stop_training = False
        hooks.call("on_train_begin", {})
        each = hooks.of_epochs or validation is not None or display.shown
        while len(history.epoch) < epochs and not self.stop_training:
            first = len(history.epoch)
            if each:
                hooks.call("on_epoch_begin", first, {})
                display.begin_epoch(first, trainer.steps_of_an_epoch)
            self._take_steps(trainer, 1 if each else epochs - first, hooks, display)
            for epoch, means in enumerate(trainer.finished, start=first):
                logs = mean_logs(self, means)
                if validation is not None:
                    values = mean_logs(self, self._evaluate(validation))
                    logs |= {f"val_{name}": value for name, value in values.items()}
                hooks.call("on_epoch_end", epoch, logs)
                history.append(epoch, logs)
                display.end_epoch(epoch, logs)
            trainer.finished.clear()
        hooks.call("on_train_end", {name: values[-1] for name, values in history.history.items()})
        return history

    def _take_steps(
        self, trainer: Trainer, epochs: int, hooks: Callbacks, display: Display
    ) -> None:
        steps = epochs * trainer.steps_of_an_epoch
        while steps:
            before = trainer.sums()
            taken = trainer.run(min(steps, hooks.batches()) if hooks.of_batches else steps)
            steps -= taken
            display.advance(taken, trainer.mean_loss)
            if hooks.of_batches:
                hooks.after_batches(taken, *trainer.last_batches(taken, before))
            self.stop_training |= trainer.diverged and hooks.stop_at_nan
            if self.stop_training and (hooks.of_batches or trainer.diverged):
                trainer.close_epoch()
                return

    def moments(self) -> tuple[FloatArray, FloatArray]:
        """Return what the optimizer remembers.

        Returns
        -------
        (ndarray, ndarray)
            Of the size of all parameters, or empty where the rule needs none; not copies.
        """
        assert self.optimizer is not None
        if self._moments is None:
            size, value = self.memory.parameters.size, self.optimizer.slot_value
            sizes = (size if self.optimizer.slots > i else 0 for i in range(2))
            first, second = (np.full(size, value, self.dtype) for size in sizes)
            self._moments = first, second
        return self._moments

    def rates(self, steps: int) -> NDArray[np.float64]:
        """Return the learning rates of the next steps.

        Parameters
        ----------
        steps : int
            How many.

        Returns
        -------
        ndarray of float64, shape (steps,)
            The rates.

        Raises
        ------
        ArgumentError, ArgumentTypeError
            If `steps` is no count, or the learning rate was set to what is no rate.
        """
        rate = get_schedule(self.learning_rate)
        if isinstance(rate, Schedule):
            return rate.rates(self.steps, steps)
        return np.full(steps, rate)

    # Using

    def predict(self, x: ArrayLike, batch_size: int = INFERENCE_ROWS) -> FloatArray:
        """Return the outputs of the last layer.

        Parameters
        ----------
        x : array_like, shape (examples, features) or (examples, time, features)
            Finite numbers; there may be no example.
        batch_size : int, default 256
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
        data = self._examples(features)
        output = np.empty((len(features), self.output_size), self.dtype)
        self._infer(data, as_count("batch_size", batch_size), output)
        return output.reshape(len(features), *self.output_shape)

    def evaluate(
        self,
        x: ArrayLike,
        y: ArrayLike,
        batch_size: int = INFERENCE_ROWS,
        sample_weight: ArrayLike | None = None,
    ) -> dict[str, float]:
        """Return the loss and the metrics on data, without training.

        Parameters
        ----------
        x : array_like, shape (examples, features) or (examples, time, features)
            Finite numbers.
        y : array_like
            Targets, as for `fit`.
        batch_size : int, default 256
            Examples that are computed at once: bounds the memory.
        sample_weight : array_like, shape (examples,), optional
            Weight of each example in the loss, as for `fit`.

        Returns
        -------
        dict
            "loss", with the penalties of regularizers, and the metrics.

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
        self._require_compiled("evaluate")
        batch_size = as_count("batch_size", batch_size)
        return mean_logs(self, self._evaluate(self._data(x, y, sample_weight), batch_size))

    def _evaluate(self, data: Data, batch_size: int = INFERENCE_ROWS) -> NDArray[np.float64]:
        loss = self._require_compiled("evaluate")
        examples = len(data.x)
        losses, scores = np.empty(examples), np.empty((len(self.metrics), examples))
        nothing = np.empty((0, self.output_size), self.dtype)
        program, batch = self._infer(data, batch_size, nothing, loss, losses, scores)
        sums = [engine.total(row, examples) for row in (losses, *scores)]
        means = np.array(sums) / examples
        means[0] += engine.penalty_of(program, batch.sums)
        return means

    def _infer(
        self,
        data: Data,
        batch_size: int,
        output: FloatArray,
        loss: Loss | None = None,
        losses: FloatArray | None = None,
        scores: FloatArray | None = None,
    ) -> tuple[Program, Batch]:
        capacity = max(1, min(batch_size, len(data.x)))
        left_out = -1 if loss is None else loss.left_out
        metrics = () if loss is None else self.metrics
        losses = np.empty(0) if losses is None else losses
        scores = np.empty((0, 0)) if scores is None else scores
        program = self.program(capacity, left_out=left_out)
        target = target_of(loss or LOSSES["mean_squared_error"](), metrics)
        size = self.memory.trained
        batch = batch_of(data, self.output_size, capacity, len(metrics), size)

        whole = len(data.x) // capacity * capacity
        for begin, end in ((0, whole), (whole, len(data.x))):
            if begin < end:
                work = partial(
                    engine.infer, program, data, target, batch, output, losses, scores, begin, end
                )
                rows = min(capacity, end - begin)
                threads.run_together(work, threads_for(self.operations(rows)))
        return program, batch

    # Looking inside

    def forward(self, x: ArrayLike) -> list[tuple[FloatArray, FloatArray]]:
        """Return what every layer computes.

        Parameters
        ----------
        x : array_like, shape (examples, features) or (examples, time, features)
            Finite numbers, computed all at once.

        Returns
        -------
        list of (ndarray, ndarray)
            For each layer its pre-activations and its outputs, shape ``(examples, units)``; equal
            where the layer has no activation.

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
        found = Pass(self, self._features(x))
        found.forward()
        layers = range(len(self.layers))
        return [(found.pre_activations(i).copy(), found.outputs(i).copy()) for i in layers]

    def gradients(self, x: ArrayLike, y: ArrayLike) -> list[dict[str, FloatArray]]:
        """Return the gradient of the mean loss in every parameter, and change nothing.

        It is that of a step of training: with the statistics of the batch, the next step's dropout
        and the penalties of regularizers. That of a frozen layer is 0.

        Parameters
        ----------
        x : array_like, shape (examples, features) or (examples, time, features)
            Finite numbers, computed all at once.
        y : array_like
            Targets, as for `fit`.

        Returns
        -------
        list of dict
            For each layer the name of each parameter, "kernel", "bias" ..., to its gradient.

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
        >>> [gradient] = network.gradients([[2.0]], [3.0])
        >>> gradient["kernel"].item(), gradient["bias"].item()
        (-12.0, -6.0)
        """
        loss = self._require_compiled("gradients")
        data = self._data(x, y)
        examples = len(data.x)
        found = Pass(self, data.x, training=True, left_out=loss.left_out)
        batch = batch_of(data, self.output_size, examples, 0, self.memory.trained)
        batch = batch._replace(values=data.values, labels=data.labels)
        if loss.takes_labels:
            batch = batch._replace(values=np.empty((examples, self.output_size), self.dtype))
        self.memory.gradients[...] = 0
        found.forward()
        found.judge(target_of(loss, ()), batch)
        found.backward()
        return [layer.gradients() for layer in self.layers]

    def get_weights(self) -> list[FloatArray]:
        """Return copies of all parameters and moving statistics: kernel, bias, kernel, bias ...

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
        return [getattr(layer, name).copy() for layer, name in self._slots()]

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
        slots = list(self._slots())
        if len(weights) != len(slots):
            raise ArgumentError(f"the network has {len(slots)} parameters, got {len(weights)}")
        arrays = [np.asarray(weight) for weight in weights]
        for (layer, name), array in zip(slots, arrays, strict=True):
            shape = getattr(layer, name).shape
            if array.shape != shape:
                raise ArgumentError(f"{layer.name}.{name} has the shape {shape}, got {array.shape}")
        for (layer, name), array in zip(slots, arrays, strict=True):
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
        layer    output  activation  initializer  parameters
        dense_0  (8,)    relu        he_normal()          40
        total                                             40
        """
        sizes = dict.fromkeys(self.layers, 0)
        frozen = 0
        for layer, name in self._slots():
            size = getattr(layer, name).size
            sizes[layer] += size
            frozen += 0 if layer.trainable and name in layer.gradients() else size
        rows = [("layer", "output", "activation", "initializer", "parameters")]
        for layer, shape in zip(self.layers, [*self.shapes[1:], self.output_shape], strict=True):
            initializer = layer.initializers.get("kernel")
            rows.append(
                (
                    str(layer.name),
                    str(shape),
                    getattr(layer, "activation", ""),
                    "" if initializer is None else repr(initializer),
                    f"{sizes[layer]:,}",
                )
            )
        rows.append(("total", "", "", "", f"{sum(sizes.values()):,}"))
        if frozen:
            rows.append(("not trained", "", "", "", f"{frozen:,}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        text = "\n".join(
            "  ".join([*map(str.ljust, row[:-1], widths), row[-1].rjust(widths[-1])])
            for row in rows
        )
        print(text)
        return text

    # Files and transfer

    save = saving.save
    save_weights = saving.save_weights
    load_weights = saving.load_weights
    with_head = transfer.with_head

    @classmethod
    def load(cls: type[saving.Network], path: saving.PathLike) -> saving.Network:
        """Return the network that `save` wrote into a file, ready to predict or to train on.

        Parameters
        ----------
        path : str or path
            The file.

        Returns
        -------
        Sequential
            Built, and compiled if the network was and the optimizer has been saved with it.

        Raises
        ------
        ArgumentError
            If the file is damaged, holds no network, or was written by a later version.
        ImportError
            If safetensors is not installed.
        OSError
            If the file cannot be read.

        Warns
        -----
        UserWarning
            If an initializer is not in the catalogue, as a function of one's own is not: the
            layer's default stands in for it. It drew none of the parameters, which are the file's.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> from fastinit import nn
        >>> network = nn.Sequential([nn.Dense(1)], seed=0)
        >>> network.compile(loss="mean_squared_error", optimizer=nn.SGD(learning_rate=0.1))
        >>> history = network.fit([[1.0], [2.0]], [2.0, 4.0], epochs=3, verbose=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     network.save(pathlib.Path(folder, "network.safetensors"))
        ...     again = nn.Sequential.load(pathlib.Path(folder, "network.safetensors"))
        >>> again.optimizer, again.epochs
        (SGD(learning_rate=0.1), 3)
        """
        return saving.load(cls, path)

    # Checks

    def _require_compiled(self, what: str) -> Loss:
        if self.loss is None:
            raise FastinitError(f"{what} needs a loss: call compile(loss=..., optimizer=...) first")
        return self.loss

    def _features(self, x: ArrayLike) -> FloatArray:
        features = as_features(x, self.input_shape, self.dtype)
        if self.input_shape is None:
            self.build(features.shape[1:])
        return features

    def _examples(
        self, features: FloatArray, target: NDArray[Any] | None = None, weights: Any = None
    ) -> Data:
        examples = len(features)
        labels, values = np.empty(0, np.int64), np.empty((0, self.output_size), self.dtype)
        if target is not None:
            if target.dtype == np.int64:
                labels = target
            else:
                values = target
        weights = np.ones(examples) if weights is None else weights
        rows = features.reshape(examples, math.prod(features.shape[1:]))
        return Data(rows, values, labels, weights)

    def _data(
        self,
        x: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | None = None,
    ) -> Data:
        """Return checked examples; build the network if all is well with them."""
        loss = self._require_compiled("fit")
        features = as_features(x, self.input_shape, self.dtype)
        same_length(features, y)
        shape = features.shape[1:]
        for layer in self.layers:
            shape = layer.output_shape(shape)
        if loss.takes_labels and len(shape) > 1:
            raise ArgumentError(
                f"{loss.name} takes one class an example, but the network gives sequences, outputs "
                f"of the shape {shape}"
            )
        target = loss.prepare(_flat(y, shape), math.prod(shape), self.dtype)
        weights = as_weights(sample_weight, class_weight, target)
        return self._examples(self._features(features), target, weights)


def _take_layers(layers: list[Layer]) -> None:
    """Check the layers of a new network, and name those that have no name."""
    if not layers:
        raise ArgumentError("a network needs at least one layer, got none")
    for layer in layers:
        if not isinstance(layer, Layer):
            raise ArgumentTypeError(f"layers must be layers such as nn.Dense(64), got {layer!r}")
    names = [layer.name or f"{layer.kind}_{i}" for i, layer in enumerate(layers)]
    for name in names:
        if names.count(name) > 1:
            raise ArgumentError(f"two layers are named {name!r}: their parameters would be equal")
    for layer in layers:
        if layer.taken:
            raise ArgumentError(
                f"{layer.name!r} belongs to a network already: make a new layer, or see with_head"
            )
    for layer, name in zip(layers, names, strict=True):
        layer.name, layer.taken = name, True


def _flat(y: ArrayLike, shape: Shape) -> ArrayLike:
    """Return targets of sequences with all steps of an example in one row."""
    array = np.asarray(y)
    if len(shape) == 2 and array.ndim == 3 and array.shape[1:] == shape:
        return array.reshape(len(array), -1)
    return array


def _split(
    x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None, share: float
) -> tuple[Any, Any, Any, tuple[Any, ...]]:
    """Return the first examples, and the rest for validation."""
    if not 0.0 < share < 1.0:
        raise ArgumentError(f"validation_split must be at least 0 and below 1, got {share!r}")
    x, y = np.asarray(x), np.asarray(y)
    cut = int(len(x) * (1.0 - share))
    if not 0 < cut < len(x):
        raise ArgumentError(f"validation_split={share!r} of {len(x)} examples leaves a part empty")
    weights = None if sample_weight is None else np.asarray(sample_weight)
    rest = (x[cut:], y[cut:]) if weights is None else (x[cut:], y[cut:], weights[cut:])
    return x[:cut], y[:cut], None if weights is None else weights[:cut], rest
