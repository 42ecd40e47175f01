"""The gate's decisions, with measurements that are given."""

import json
import statistics
import time

import pytest

pytest.importorskip("sklearn", reason="the lab is not installed: pip install '.[lab]'")
import gate


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(gate, "PAUSE", 0)


def failing(monkeypatch, floor, *figures):
    """Return the failing figure of a row whose attempts have these ratios, three of each."""
    left = iter(figures)
    monkeypatch.setattr(gate, "ratios", lambda row: [next(left)] * 3)
    failed = gate.check(["relu"], {"relu": floor})
    return failed.get("relu"), list(left)


def test_what_is_as_fast_as_it_was_passes_at_once(monkeypatch):
    assert failing(monkeypatch, 2.0, 3.1, 3.0) == (None, [3.0])


def test_noise_is_measured_further(monkeypatch):
    assert failing(monkeypatch, 2.0, 1.2, 1.3, 2.9, 3.0, 3.1) == (None, [3.1])


def test_a_slower_kernel_fails_and_luck_does_not_help(monkeypatch):
    assert failing(monkeypatch, 2.1, 1.5, 1.6, 1.4, 1.5, 1.4) == (1.5, [])
    assert failing(monkeypatch, 2.1, 1.5, 1.6, 1.5, 9.0, 9.0) == (1.6, [])


HERE, THERE = "here; NumPy 9.9", "there; NumPy 9.9"


def recorded(on=HERE, **figures):
    return {"on": on, "ratios": dict.fromkeys(gate.ROWS, 2.0) | figures}


def test_all_rows_are_recorded_on_every_kind_of_machine():
    kinds = json.loads(gate.RECORDED.read_text())
    assert set(kinds) == {
        f"{b}, {simd}" for b in ("cython", "numba") for simd in ("avx2", "avx512")
    }
    for kind in kinds.values():
        assert list(kind["ratios"]) == list(gate.ROWS)
        assert all(ratio > 0 for ratio in kind["ratios"].values())


def test_floors_leave_more_room_elsewhere():
    kinds = {"a": recorded(gelu=9.0), "b": recorded(gelu=5.0, adam=3.0)}
    assert gate.floors_of("a", HERE, kinds)["gelu"] == gate.ROOM * 9.0
    assert gate.floors_of("a", THERE, kinds)["gelu"] == gate.ELSEWHERE * 9.0
    floors = gate.floors_of("c", HERE, kinds)  # the lowest of all
    assert (floors["gelu"], floors["adam"]) == (gate.ELSEWHERE * 5.0, gate.ELSEWHERE * 2.0)
    assert list(floors) == list(gate.ROWS)


@pytest.fixture
def program(monkeypatch, tmp_path):
    """Return what runs the program with one figure for all rows; 2 is recorded for each."""
    path = tmp_path / "gate.json"
    monkeypatch.setattr(gate, "RECORDED", path)
    kind, place = gate.kind_of_machine(), gate.place_of_machine()
    path.write_text(json.dumps({kind: recorded(place), "another": recorded(THERE)}))

    def run(figure, *options, at=place):
        monkeypatch.setattr("sys.argv", ["gate.py", *options])
        monkeypatch.setattr(gate, "place_of_machine", lambda: at)
        monkeypatch.setattr(gate, "ratios", lambda row: [figure])
        gate.main()
        kinds = json.loads(path.read_text())
        return kinds.pop(kind), kinds

    return run


def test_the_program_passes(program, capsys):
    program(2 * gate.ROOM)
    assert "elsewhere" not in capsys.readouterr().out


def test_the_program_names_what_became_slower_and_what_to_do(program, capsys):
    with pytest.raises(SystemExit) as ended:
        program(1.0, "--only", "relu")
    assert "gate.py --record" in ended.value.code
    assert "relu: 1.00 times as fast as NumPy, and must be 1.24" in capsys.readouterr().out


def test_another_machine_does_not_fail_for_being_another(program, capsys):
    program(1.0, at=THERE)
    assert "Recorded elsewhere" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        program(0.7, at=THERE)


def test_recording_leaves_the_others_alone(program):
    own, others = program(4.0, "--record", "--only", "relu")
    assert own["ratios"] == recorded(relu=4.0)["ratios"]
    own, others = program(5.0, "--record", at=THERE)
    assert own == {"on": THERE, "ratios": dict.fromkeys(gate.ROWS, 5.0)}
    assert others == {"another": recorded(THERE)}
    with pytest.raises(SystemExit, match=r"other rows were recorded on there; .*, not on here"):
        program(4.0, "--record", "--only", "relu", at=HERE)


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
    assert figures[1] < gate.ROOM * figures[0]
