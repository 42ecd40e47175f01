"""Losses with their gradients."""

from cases import losses

from suites.suite import Suite, by_contestant


class Losses(Suite):
    cases = losses.CASES
    params = by_contestant(cases, losses.SIZES)
    param_names = ("case", "rows", "contestant")

    def time_call(self, *_):
        self.run()
