"""Whole training runs, and the lab's sweep."""

from cases import training

from suites.suite import Suite, by_contestant


class Training(Suite):
    cases = training.CASES
    params = by_contestant(cases, training.SIZES)
    param_names = ("case", "epochs", "contestant")

    def time_call(self, *_):
        self.run()
