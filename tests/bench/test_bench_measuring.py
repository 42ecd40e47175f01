"""Contestants take turns, and all do the same work."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
from scipy import stats

import fastinit
from fastinit.bench import calls, contests, fills, machine
from fastinit.errors import ArgumentError
from tests.frameworks import require

LIBRARY = {"NumPy": "numpy", "PyTorch": "torch", "JAX": "jax", "Keras": "keras"}


class Clock:
    """Time that passes only where a contestant says so."""

    def __init__(self, monkeypatch):
        self.now, self.log = 0.0, []
        monkeypatch.setattr(contests.time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(contests, "rest", lambda: None)

    def takes(self, name, *seconds):
        durations = iter(seconds)

        def fill():
            self.log.append(name)
            self.now += next(durations)

        return fill


def test_contestants_take_turns_and_the_first_round_does_not_count(monkeypatch):
    clock = Clock(monkeypatch)
    pair = {"a": clock.takes("a", 100, 1, 2), "b": clock.takes("b", 200, 3, 4)}
    assert contests.measure(pair, rounds=2) == {"a": [1, 2], "b": [3, 4]}
    assert clock.log == ["a", "b"] * 3


def test_without_a_warm_up_every_round_counts(monkeypatch):
    clock = Clock(monkeypatch)
    assert contests.measure({"a": clock.takes("a", 5, 6)}, 2, warm_up=False) == {"a": [5, 6]}


def test_a_sample_of_several_calls_is_divided_by_them(monkeypatch):
    clock = Clock(monkeypatch)
    fill = clock.takes("a", 9, 9, 1, 3)
    assert contests.measure({"a": fill}, rounds=1, repeats=2) == {"a": [2]}


def test_what_prepares_a_sample_is_not_measured(monkeypatch):
    clock = Clock(monkeypatch)

    class Fill:
        start = staticmethod(clock.takes("start", 50, 50))
        __call__ = staticmethod(clock.takes("fill", 1, 2))

    assert contests.measure({"a": Fill()}, rounds=1) == {"a": [2]}
    assert clock.log == ["start", "fill"] * 2


def test_slow_contestants_get_fewer_rounds_but_enough_for_a_spread(monkeypatch):
    clock = Clock(monkeypatch)
    samples = contests.measure({"a": clock.takes("a", *[10] * 8)}, rounds=7, seconds=45)
    assert len(samples["a"]) == 4
    samples = contests.measure({"a": clock.takes("a", *[10] * 8)}, rounds=7, seconds=1)
    assert len(samples["a"]) == contests.LEAST_ROUNDS


def distribution(law):
    return {
        "uniform": stats.uniform(),
        "normal": stats.norm(),
        "truncated normal": stats.truncnorm(-2, 2),
    }[law]


def drawn(fill, out):
    made = fill()
    return np.asarray(out if made is None else made).astype(np.float64).ravel()


@pytest.mark.parametrize("library", ["fastinit", *LIBRARY])
@pytest.mark.parametrize("law", fills.LAWS)
def test_all_draw_the_same_law(library, law):
    if library not in ("fastinit", "NumPy"):
        require(LIBRARY[library])
        assert library not in fills.absent()  # which also chooses a backend for Keras
    out = np.full(100_000, np.nan, np.float32)
    contestants = fills.fills(law, out, 2, [library])
    assert contestants
    for name, fill in contestants.items():
        assert name.startswith(library)
        values = drawn(fill, out)
        assert values.shape == out.shape
        others = {other for other in fills.LAWS if other != law}
        assert stats.kstest(values, distribution(law).cdf).pvalue > 1e-6
        assert all(stats.kstest(values, distribution(o).cdf).pvalue < 1e-9 for o in others)


@pytest.mark.parametrize("size", [100, 200_000])
def test_memory_is_written_whole(size):
    out = np.full(size, np.nan, np.float32)
    contestants = fills.fills("normal", out, 2, ["memory"])
    assert tuple(contestants) == fills.MEMORY
    contestants["plain fill"]()
    assert (out == 1).all()
    contestants["memset"]()
    assert (out == 0).all()


def test_fastinit_comes_first_and_uses_the_threads_it_is_told_to():
    contestants = fills.fills("normal", np.empty(8, np.float32), 3, ["fastinit"])
    before = fastinit.get_num_threads()
    contestants["fastinit"].start()
    assert fastinit.get_num_threads() == 3
    fastinit.set_num_threads(before)
    assert next(iter(fills.fills("uniform", np.empty(8), 1))) == "fastinit"


def test_an_unknown_law():
    with pytest.raises(ArgumentError, match=r"law must be one of uniform, .*, got 'gamma'"):
        fills.fills("gamma", np.empty(8), 1)


def test_orthogonal_matrices_are():
    for make in calls.orthogonal((24, 16)).values():
        q = np.asarray(make())
        np.testing.assert_allclose(q.T @ q, np.eye(16), atol=1e-5)


def test_small_calls_draw_he_normal():
    for call in calls.small((400, 100)).values():
        made = call()
        if made is not None:  # Keras'
            fan = 400 if not hasattr(made, "numpy") else 100  # PyTorch's kernels lie the other way
            assert np.std(np.asarray(made)) == pytest.approx((2 / fan) ** 0.5, rel=0.05)


def test_fresh_processes_draw():
    assert calls.fresh((8, 8), 1)["fastinit"]() == ""
    assert calls.fresh((8, 8), 1)["NumPy"]() == ""


CPUINFO = """\
processor	: 0
model name	: Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz
flags		: fpu sse2 avx avx2
"""


def test_the_processor(monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text(CPUINFO)
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(machine.threads, "_processors", lambda: 8)
    assert machine.processor() == "Intel Core i7-8550U, x86_64, AVX2, 8 cores"
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "none")
    monkeypatch.setattr(machine.platform, "processor", lambda: "arm")
    monkeypatch.setattr(machine.threads, "_processors", lambda: 1)
    assert machine.processor() == "arm, x86_64, 1 core"
    monkeypatch.setattr(machine.platform, "system", lambda: "Darwin")
    answer = subprocess.CompletedProcess([], 0, stdout="Apple M2 Pro\n")
    monkeypatch.setattr(machine.subprocess, "run", lambda *_, **__: answer)
    assert machine.processor() == "Apple M2 Pro, x86_64, 1 core"
