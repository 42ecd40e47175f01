"""The gate's decisions, with measurements that are given."""

import json
import statistics
import time

import pytest

pytest.importorskip("sklearn", reason="the lab is not installed: pip install '.[lab]'")
import gate


def given(*figures):
    """Return a measurement whose ratios are these, three of each, one after the other."""
    left = iter(figures)
    return lambda: [next(left)] * 3


def test_what_is_as_fast_as_it_was_passes_at_once():
    assert gate.judge("row", 2.0, given(3.1)) == ("row", 3.1, 2.0)
    assert gate.judge("row", 2.0, given(3.1)).passes


def test_noise_is_measured_further():
    assert gate.judge("row", 2.0, given(1.2, 2.9, 3.0)).passes


def test_a_slower_kernel_fails_and_luck_does_not_help():
    assert gate.judge("row", gate.ROOM * 3.0, given(1.5, 1.6, 1.4)) == ("row", 1.5, gate.ROOM * 3.0)
    assert not gate.judge("row", gate.ROOM * 3.0, given(1.5, 1.6, 9.0)).passes


def test_every_kind_of_machine_has_all_floors():
    recorded = json.loads(gate.FLOORS.read_text())
    kinds = {f"{backend}, {simd}" for backend in ("cython", "numba") for simd in ("avx2", "avx512")}
    assert set(recorded) == kinds
    for kind in kinds:
        floors = gate.floors_of(kind, recorded)
        assert list(floors) == list(gate.ROWS)
        assert all(floor > 0 for floor in floors.values())


def test_a_missing_floor_is_an_error():
    floors = dict.fromkeys(gate.ROWS, 1.0)
    del floors["gelu"]
    with pytest.raises(SystemExit, match=r"no floor for gelu on cython, avx2.*--record"):
        gate.floors_of("cython, avx2", {"cython, avx2": floors})
    with pytest.raises(SystemExit, match="on a new kind"):
        gate.floors_of("a new kind", {"cython, avx2": floors})


def run(monkeypatch, figure, *options):
    """Run the program with one figure for all rows, and floors of 1."""
    monkeypatch.setattr("sys.argv", ["gate.py", *options])
    monkeypatch.setattr(gate, "ratios", lambda row: [figure])
    with pytest.raises(SystemExit) as ended:
        gate.main()
    return ended.value.code


@pytest.fixture
def floors(monkeypatch, tmp_path):
    path = tmp_path / "floors.json"
    path.write_text(json.dumps({gate.machine(): dict.fromkeys(gate.ROWS, 1.0)}))
    monkeypatch.setattr(gate, "FLOORS", path)
    return path


def test_the_program_passes(monkeypatch, floors):
    assert run(monkeypatch, 1.2) == 0


def test_the_program_names_what_became_slower(monkeypatch, floors, capsys):
    assert run(monkeypatch, 0.5, "--only", "relu") == 1
    assert "relu: 0.50 times as fast as NumPy, and must be 1.00" in capsys.readouterr().out


def test_recording_leaves_room_and_other_machines_alone(monkeypatch, floors):
    recorded = json.loads(floors.read_text()) | {"another": {"relu": 9.0}}
    floors.write_text(json.dumps(recorded))
    monkeypatch.setattr("sys.argv", ["gate.py", "--record"])
    monkeypatch.setattr(gate, "ratios", lambda row: [4.0])
    gate.main()
    recorded = json.loads(floors.read_text())
    assert recorded["another"] == {"relu": 9.0}
    assert set(recorded[gate.machine()].values()) == {gate.ROOM * 4.0}


class Busy:
    """A case whose contestants count up, fastinit's `slowness` times as far."""

    def __init__(self, slowness):
        self.counts = {"NumPy": 2000, "fastinit": int(1000 * slowness)}

    def make(self, contestant, *size):
        return lambda: sum(range(self.counts[contestant]))


def test_a_kernel_made_twice_slower_has_half_the_figure(monkeypatch):
    clock = iter(range(10**9))
    elapsed = 0.0

    def thread_time():
        return elapsed

    class Timed(Busy):
        def make(self, contestant, *size):
            def run():
                nonlocal elapsed
                elapsed += self.counts[contestant] * 1e-6 * (1 + next(clock) % 3 / 10)

            return run

    monkeypatch.setattr(time, "thread_time", thread_time)
    figures = [
        statistics.median(gate.ratios(gate.Row({"case": Timed(n)}, "case", ()))) for n in (1, 2)
    ]
    assert figures[0] == pytest.approx(2.0, rel=0.15)
    assert figures[1] == pytest.approx(1.0, rel=0.15)
    assert not gate.judge("row", gate.ROOM * figures[0], lambda: [figures[1]]).passes
