"""Dense layers, forward and backward."""

from cases import dense

from suites.suite import Suite, by_contestant


class Dense(Suite):
    cases = dense.CASES
    params = by_contestant(cases, dense.SIZES)
    param_names = ("case", "size", "contestant")

    def time_call(self, *_):
        self.run()
