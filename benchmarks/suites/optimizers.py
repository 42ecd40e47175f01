"""Steps of optimizers."""

from cases import optimizers

from suites.suite import Suite, by_contestant


class Optimizers(Suite):
    cases = optimizers.CASES
    params = by_contestant(cases, optimizers.SIZES)
    param_names = ("case", "parameters", "contestant")

    def time_call(self, *_):
        self.run()
