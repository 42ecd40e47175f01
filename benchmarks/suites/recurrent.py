"""Recurrent layers, forward and back through time."""

from cases import recurrent

from suites.suite import Suite, by_contestant


class Recurrent(Suite):
    cases = recurrent.CASES
    params = by_contestant(cases, recurrent.SIZES)
    param_names = ("case", "size", "contestant")

    def time_call(self, *_):
        self.run()
