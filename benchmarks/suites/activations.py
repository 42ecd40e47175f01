"""Activation functions and their gradients."""

from cases import activations

from suites.suite import Suite, by_contestant


class Forward(Suite):
    cases = activations.CASES
    params = by_contestant(cases, activations.SIZES)
    param_names = ("function", "rows", "contestant")

    def time_call(self, *_):
        self.run()


class Backward(Forward):
    cases = activations.GRADIENTS
