"""Batch and layer normalization."""

from cases import normalization

from suites.suite import Suite, by_contestant


class Normalization(Suite):
    cases = normalization.CASES
    params = by_contestant(cases, normalization.SIZES)
    param_names = ("case", "rows", "contestant")

    def time_call(self, *_):
        self.run()
