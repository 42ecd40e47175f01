"""What a command line names: a model, examples for it, a loss."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import fastinit
from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.lab.imports import import_object, names_object
from fastinit.lab.subjects import Subject, subject_of

__all__ = ["load_examples", "load_loss", "load_subject"]


def load_subject(text: str) -> Subject:
    """Return the subject of the model that a text names.

    Parameters
    ----------
    text : str
        A ``.safetensors`` file that a network of `fastinit.nn` was saved into; or ``module:name``
        or ``file.py:name``: a model, its class or a function that returns one. The working folder
        is among those where modules are looked for.

    Returns
    -------
    Subject

    Raises
    ------
    ArgumentError
        If there is no such file or name, its code fails, or what it gives is no model.
    """
    if text.endswith(".safetensors"):
        from fastinit import nn

        try:
            return subject_of(nn.Sequential.load(text))
        except OSError as error:
            raise ArgumentError(f"cannot read {text!r}: {error.strerror or error}") from None
    if not names_object(text):
        raise ArgumentError(
            f"model must be a .safetensors file, module:name or file.py:name, got {text!r}"
        )
    folder = str(Path.cwd())
    sys.path.insert(0, folder)  # a module may import its neighbours, as under python itself
    try:
        found = import_object(text)
        try:
            return subject_of(found)
        except ArgumentTypeError:
            if not callable(found):
                raise ArgumentError(
                    f"{text!r} is no model of fastinit.nn, PyTorch or Keras and no function that "
                    f"returns one, but a {type(found).__name__}"
                ) from None
        try:
            made = found()
        except Exception as error:  # the user's code may raise anything
            raise ArgumentError(f"{text!r} failed: {_one_line(error)}") from error
        try:
            return subject_of(made)
        except ArgumentTypeError:
            raise ArgumentError(
                f"{text!r} returned no model of fastinit.nn, PyTorch or Keras, but a "
                f"{type(made).__name__}"
            ) from None
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def load_examples(
    subject: Subject,
    data: Any = None,
    *,
    target: str | None = None,
    shape: tuple[int, ...] | None = None,
    count: int = 128,
) -> tuple[Any, Any]:
    """Return inputs and targets for a model.

    Parameters
    ----------
    subject : Subject
    data : optional
        As for :func:`fastinit.lab.load_data`. By default standard normal inputs, or whole numbers
        where the model's first layer is an embedding, and no targets.
    target : str, optional
        The column with the targets.
    shape : tuple of int, optional
        Of one example; by default the model's, where it has one.
    count : int, default 128
        How many examples.

    Returns
    -------
    x : ndarray
    y : ndarray or None

    Raises
    ------
    ArgumentError
        If the shape is not known and no data is given, or the data cannot be read.
    """
    if count < 2:
        raise ArgumentError(f"examples must be at least 2, got {count}")
    shape = shape or subject.input_shape()
    if data is not None:
        from fastinit.lab.data import load_data

        found = load_data(data, target)
        x, y = found.x_train[:count], found.y_train[:count]
        if shape is not None and math.prod(shape) == math.prod(x.shape[1:]):
            x = x.reshape(len(x), *shape)
        return x, y
    if shape is None:
        raise ArgumentError(
            "the shape of this model's inputs is not known: pass --input-shape, such as "
            "3,32,32, or --data"
        )
    first, seed = subject.kernels()[:1], fastinit.key(0, "lab.inputs")
    if first and first[0].role == "embedding":
        rows = first[0].shape[-2]
        drawn = fastinit.uniform((count, *shape), 0.0, float(rows), seed=seed)
        return drawn.astype(int).clip(0, rows - 1), None
    return fastinit.normal((count, *shape), 0.0, 1.0, seed=seed), None


def load_loss(subject: Subject, text: str | None) -> Any:
    """Return the loss that a text names, as the subject's framework has it.

    Parameters
    ----------
    subject : Subject
    text : str or None
        ``module:function``, or the name of a loss: in ``torch.nn.functional``, ``keras.losses`` or
        `fastinit.nn`. None for none.

    Returns
    -------
    callable, str or None

    Raises
    ------
    ArgumentError
        If there is no such loss.
    """
    if text is None:
        return None
    if names_object(text):
        return import_object(text)
    return subject.loss_called(text)


def _one_line(error: Exception) -> str:
    reason = str(error).splitlines()
    return f"{type(error).__name__}: {reason[0]}" if reason else type(error).__name__
