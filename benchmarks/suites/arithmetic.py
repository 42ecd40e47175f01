"""Fans, gains and keys."""

from cases import arithmetic

from suites.suite import Suite, by_contestant


class Arithmetic(Suite):
    cases = arithmetic.CASES
    params = by_contestant(cases)
    param_names = ("case", "contestant")

    def time_call(self, *_):
        self.run()
