"""The suites: every benchmark runs, as asv runs it, at its smallest parameters."""

import importlib
import inspect
import itertools
import json
import pkgutil
import re
from pathlib import Path

import pytest

pytest.importorskip("sklearn", reason="the lab is not installed: pip install '.[lab]'")
import suites
from cases import CONTESTANTS

import fastinit

# What asv takes for a benchmark, and the names it reads beside it.
PREFIX = re.compile(r"(time|timeraw|peakmem|mem|track)_")
READ = {"setup", "teardown", "processes", "rounds", "repeat", "number", "params", "timer", "env"}


def modules():
    names = [module.name for module in pkgutil.iter_modules(suites.__path__)]
    return [importlib.import_module(f"suites.{name}") for name in names]


def benchmarks():
    for module in modules():
        for name, kind in vars(module).items():
            if inspect.isclass(kind) and not inspect.isabstract(kind):
                for method in dir(kind):
                    if PREFIX.match(method):
                        yield pytest.param(kind, method, id=f"{module.__name__}.{name}.{method}")


BENCHMARKS = list(benchmarks())


def least(parameters):
    """Return the first of each parameter but the contestant, with fastinit and with NumPy."""
    *rest, contestants = parameters if isinstance(parameters[0], list) else [parameters]
    assert contestants[:2] == list(CONTESTANTS[:2])
    assert set(contestants) <= set(CONTESTANTS)
    return [(*(values[0] for values in rest), who) for who in contestants[:2]]


@pytest.mark.parametrize(("kind", "method"), BENCHMARKS)
def test_runs_at_its_smallest(kind, method, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # asv runs in an empty folder
    parameters = [list(p) if isinstance(p, tuple) else p for p in kind.params]
    assert len(kind.param_names) == (len(parameters) if isinstance(parameters[0], list) else 1)
    if method.startswith("peakmem"):  # of what is large: another size is enough here
        parameters = [[16] if isinstance(p[0], int) and p[0] > 16 else p for p in parameters]
    for given in least(parameters):
        instance = kind()
        instance.setup(*given)
        code = getattr(instance, method)(*given)
        instance.setup(*given)  # as before each sample
        if method.startswith("timeraw"):
            assert "shape" not in code
            compile(code, "code", "exec")
        elif not method.startswith("peakmem"):
            assert instance.number >= 1


def test_setting_up_again_makes_nothing_anew():
    from suites.timing import Training

    suite = Training()
    suite.setup("20-64-1", 1, "NumPy")
    run, first = suite.run, suite.run()
    suite.setup("20-64-1", 1, "NumPy")
    assert suite.run is run
    assert suite.number == 1  # its weights are set back before each call
    assert suite.run() == pytest.approx(first, rel=0.1)


def test_the_issues_list_is_there():
    groups = {tuple(parameter.id.split(".")[1:3]) for parameter in BENCHMARKS}
    assert groups == {
        *(("fresh", name) for name in ("Import", "ColdStart", "FirstKernel", "FirstFit")),
        *(("memory", name) for name in ("Fill", "Catalogue", "Models", "Training")),
        *(("timing", name) for name in ("Fill", "Arithmetic", "Catalogue", "Models", "Dense")),
        *(("timing", name) for name in ("Activations", "ActivationGradients", "Losses")),
        *(("timing", name) for name in ("Normalization", "Recurrent", "Optimizers", "Training")),
    }
    from suites.timing import Fill

    laws, dtypes, elements, threads, contestants = Fill.params
    assert (laws, dtypes[:2]) == (["uniform", "normal", "truncated normal"], ["float32", "float64"])
    assert (min(elements), max(elements)) == (64, 2**27)
    assert threads == [1, 2, "all"]
    assert contestants == list(CONTESTANTS)


def test_parameters_are_told_apart():
    for parameter in BENCHMARKS:
        kind, _ = parameter.values
        lists = kind.params if isinstance(kind.params[0], list) else [kind.params]
        for values in lists:
            assert len({repr(value) for value in values}) == len(values)
        assert len(list(itertools.product(*lists))) <= 1000


def test_no_module_has_a_name_that_asv_reads():
    for module in modules():
        assert not READ & set(vars(module))


def test_the_configuration_names_what_is_there():
    folder = Path(suites.__file__).parents[1]
    text = (folder / "asv.conf.json").read_text()
    conf = json.loads("\n".join(line for line in text.splitlines() if "//" not in line))
    assert (folder / conf["benchmark_dir"]).resolve() == Path(suites.__file__).parent
    assert (folder / conf["repo"] / "pyproject.toml").exists()
    assert "FASTINIT_REQUIRE_CYTHON=1" in conf["build_command"][0]
    for key in ("env_dir", "results_dir", "html_dir"):
        assert conf[key].startswith(".asv/")  # git ignores it


def test_an_older_commit_has_no_bench(monkeypatch):
    """The tree's own `fastinit.bench` is used, whatever is installed."""
    import cases.sampling  # noqa: F401

    from fastinit import bench

    tree = Path(suites.__file__).parents[2]
    assert Path(bench.__file__).is_relative_to(tree) or fastinit.__file__.startswith(str(tree))
