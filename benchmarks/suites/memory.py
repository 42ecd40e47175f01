"""The most memory that a process has in use: it, what is made, and what making needs beside."""

from cases import catalogue, models, sampling, training

from suites.suite import Suite, by_contestant, some


class Memory(Suite):
    """Nothing is called before the call that counts."""

    def warm(self):
        pass


class Fill(Memory):
    cases = sampling.CASES
    params = by_contestant(cases, ["float32"], [2**26], [1])
    param_names = ("law", "dtype", "elements", "threads", "contestant")

    def peakmem_fill(self, *_):
        self.run()


class Catalogue(Memory):
    cases = some(catalogue.CASES, "he_normal", "orthogonal", "sparse")
    params = by_contestant(cases, [2048])
    param_names = ("case", "units", "contestant")

    def peakmem_call(self, *_):
        self.kept = self.run()


class Models(Memory):
    cases = some(models.CASES, "large tree", "PyTorch, materialize")
    params = by_contestant(cases, [12])
    param_names = ("case", "layers", "contestant")

    def peakmem_call(self, *_):
        self.kept = self.run()


class Training(Memory):
    cases = some(training.CASES, "64-128-128-10")
    params = by_contestant(cases, [1])
    param_names = ("case", "epochs", "contestant")

    def peakmem_call(self, *_):
        self.run()
