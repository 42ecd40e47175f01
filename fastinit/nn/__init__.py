"""Dense and recurrent networks on compiled kernels, with the words of Keras.

Import it explicitly, ``from fastinit import nn``: unlike ``import fastinit``, it loads Numba.
"""

from fastinit.nn.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from fastinit.nn.datadriven import data_dependent, lsuv
from fastinit.nn.layers import (
    GRU,
    LSTM,
    RNN,
    Activation,
    BatchNorm,
    Dense,
    Dropout,
    Layer,
    LayerNorm,
    Regularizer,
)
from fastinit.nn.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
)
from fastinit.nn.network import Sequential
from fastinit.nn.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from fastinit.nn.schedules import (
    CosineDecay,
    ExponentialDecay,
    LinearWarmup,
    PiecewiseConstantDecay,
    Schedule,
)
from fastinit.nn.training import History

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "SGD",
    "Activation",
    "Adagrad",
    "Adam",
    "AdamW",
    "BatchNorm",
    "BinaryCrossentropy",
    "CSVLogger",
    "Callback",
    "CategoricalCrossentropy",
    "CosineDecay",
    "Dense",
    "Dropout",
    "EarlyStopping",
    "ExponentialDecay",
    "History",
    "Huber",
    "Layer",
    "LayerNorm",
    "LearningRateScheduler",
    "LinearWarmup",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "ModelCheckpoint",
    "Optimizer",
    "PiecewiseConstantDecay",
    "RMSprop",
    "ReduceLROnPlateau",
    "Regularizer",
    "Schedule",
    "Sequential",
    "TerminateOnNaN",
    "data_dependent",
    "lsuv",
]
