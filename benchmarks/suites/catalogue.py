"""Every initializer of the catalogue, and LSUV."""

from cases import catalogue

from suites.suite import Suite, by_contestant


class Catalogue(Suite):
    cases = catalogue.CASES
    params = by_contestant(cases, catalogue.SIZES)
    param_names = ("case", "units", "contestant")

    def time_call(self, *_):
        self.run()
