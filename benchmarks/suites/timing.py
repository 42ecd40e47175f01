"""The time of a call: a class for each module of `cases`."""

from cases import (
    activations,
    arithmetic,
    catalogue,
    dense,
    losses,
    models,
    normalization,
    optimizers,
    recurrent,
    sampling,
    training,
)

from suites.suite import Suite, by_contestant


class Timing(Suite):
    def time_call(self, *_):
        self.run()


class Fill(Timing):
    cases = sampling.CASES
    params = by_contestant(cases, sampling.DTYPES, sampling.ELEMENTS, sampling.THREADS)
    param_names = ("law", "dtype", "elements", "threads", "contestant")


class Arithmetic(Timing):
    cases = arithmetic.CASES
    params = by_contestant(cases)
    param_names = ("case", "contestant")


class Catalogue(Timing):
    cases = catalogue.CASES
    params = by_contestant(cases, catalogue.SIZES)
    param_names = ("case", "units", "contestant")


class Models(Timing):
    cases = models.CASES
    params = by_contestant(cases, models.SIZES)
    param_names = ("case", "layers", "contestant")


class Dense(Timing):
    cases = dense.CASES
    params = by_contestant(cases, dense.SIZES)
    param_names = ("case", "size", "contestant")


class Activations(Timing):
    cases = activations.CASES
    params = by_contestant(cases, activations.SIZES)
    param_names = ("case", "rows", "contestant")


class ActivationGradients(Activations):
    cases = activations.GRADIENTS


class Losses(Timing):
    cases = losses.CASES
    params = by_contestant(cases, losses.SIZES)
    param_names = ("case", "rows", "contestant")


class Normalization(Timing):
    cases = normalization.CASES
    params = by_contestant(cases, normalization.SIZES)
    param_names = ("case", "rows", "contestant")


class Recurrent(Timing):
    cases = recurrent.CASES
    params = by_contestant(cases, recurrent.SIZES)
    param_names = ("case", "size", "contestant")


class Optimizers(Timing):
    cases = optimizers.CASES
    params = by_contestant(cases, optimizers.SIZES)
    param_names = ("case", "parameters", "contestant")


class Training(Timing):
    cases = training.CASES
    params = by_contestant(cases, training.SIZES)
    param_names = ("case", "epochs", "contestant")
