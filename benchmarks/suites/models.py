"""Whole models' parameters at once."""

from cases import models

from suites.suite import Suite, by_contestant


class Models(Suite):
    cases = models.CASES
    params = by_contestant(cases, models.SIZES)
    param_names = ("case", "layers", "contestant")

    def time_call(self, *_):
        self.run()
