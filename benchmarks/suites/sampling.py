"""Fills of one buffer, by law, dtype, number of elements and of threads."""

from cases import sampling

from suites.suite import Suite, by_contestant


class Fill(Suite):
    cases = sampling.CASES
    params = by_contestant(cases, sampling.DTYPES, sampling.ELEMENTS, sampling.THREADS)
    param_names = ("law", "dtype", "elements", "threads", "contestant")

    def time_fill(self, *_):
        self.run()
