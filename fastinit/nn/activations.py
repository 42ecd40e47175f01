"""The activations that a layer can name."""

from __future__ import annotations

from fastinit.errors import ArgumentTypeError, unknown_name
from fastinit.kernels.activations import CODES, ELU, LEAKY_RELU

__all__ = ["activation_code", "default_alpha"]

# PyTorch's slope, which fastinit.gain("leaky_relu") assumes, too; and everybody's elu.
_ALPHAS = {LEAKY_RELU: 0.01, ELU: 1.0}


def activation_code(name: str) -> int:
    """Return the number by which the kernels know an activation.

    Parameters
    ----------
    name : str
        A key of `fastinit.kernels.activations.CODES`.

    Returns
    -------
    int
        Its number.

    Raises
    ------
    ArgumentTypeError
        If `name` is not a string.
    UnknownNameError
        If there is no activation of that name; the nearest names are given.

    Examples
    --------
    >>> from fastinit import kernels
    >>> from fastinit.nn.activations import activation_code
    >>> activation_code("tanh") == kernels.activations.TANH
    True
    """
    if not isinstance(name, str):
        raise ArgumentTypeError(f"activation must be a name such as 'relu', got {name!r}")
    if name not in CODES:
        raise unknown_name("activation", name, CODES)
    return CODES[name]


def default_alpha(code: int) -> float:
    """Return the parameter that an activation has if none is given, 0 where it has none.

    Parameters
    ----------
    code : int
        Its number.

    Returns
    -------
    float
        The slope of leaky_relu for negative numbers, or the limit of elu.

    Examples
    --------
    >>> from fastinit.nn.activations import activation_code, default_alpha
    >>> default_alpha(activation_code("leaky_relu"))
    0.01
    """
    return _ALPHAS.get(code, 0.0)
