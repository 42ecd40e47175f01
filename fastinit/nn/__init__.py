"""Dense networks on compiled kernels, with the words of Keras.

Import it explicitly, ``from fastinit import nn``: unlike ``import fastinit``, it loads Numba.
"""

from fastinit.nn.datadriven import data_dependent, lsuv
from fastinit.nn.layers import Dense
from fastinit.nn.network import Sequential
from fastinit.nn.optimizers import SGD, Adam, Optimizer
from fastinit.nn.training import Callback, History

__all__ = [
    "SGD",
    "Adam",
    "Callback",
    "Dense",
    "History",
    "Optimizer",
    "Sequential",
    "data_dependent",
    "lsuv",
]
