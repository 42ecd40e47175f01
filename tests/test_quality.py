"""The quality program with fewer draws, its statistics, and the page with its figures."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.quality import __main__ as program
from tests.quality import checks, p_values, verdict

ROOT = Path(__file__).parent.parent
RESULTS = json.loads(program.RESULTS.read_text())


@pytest.fixture(scope="module")
def rows():
    return program.run(checks.all_checks(300_000, seed=1))


def test_the_stream_passes_and_every_faulty_one_fails(rows):
    assert verdict.faults(rows) == []
    controlled = {row.group for row in rows if row.control}
    assert controlled == {row.group for row in rows}
    for row in rows:
        if row.control:
            assert min(row.p.values()) < verdict.SMALLEST, row


def test_short_permutations_are_uniform():
    # Too few rounds for a few bits once made some orders 2 to 16 percent too frequent or too rare,
    # which shows from two million elements on.
    finer = [c for c in checks.all_checks(2 * 10**7, seed=1) if c.name.startswith("orders of")]
    assert len(finer) == 7
    assert verdict.faults(program.run(finer)) == []


def test_every_law_and_dtype_is_judged(rows):
    names = " ".join(row.name for row in rows)
    for dtype in ("float16", "bfloat16", "float32", "float64", "complex64", "complex128"):
        assert dtype in names


def test_faults_are_told(rows):
    numbers = next(row for row in rows if not row.control)
    control = next(row for row in rows if row.control)
    assert "p = 1e-11" in verdict.faults([replace(numbers, p={"KS": 1e-11})])[0]
    assert "p = nan" in verdict.faults([replace(numbers, p={"KS": np.nan})])[0]
    assert "let pass" in verdict.faults([replace(control, p={"KS": 0.5})])[0]
    crowded = [replace(numbers, group="laws", p={str(i): 0.4 + i / 1000 for i in range(100)})]
    assert "not uniform" in verdict.faults(crowded)[0]


# Of the limiting law; Marsaglia and Marsaglia 2004.
@pytest.mark.parametrize(
    ("statistic", "above"), [(1.9329578, 0.1), (2.492367, 0.05), (3.878125, 0.01)]
)
def test_anderson_darling_known_quantiles(statistic, above):
    assert p_values.anderson_darling(statistic)[1] == pytest.approx(above, rel=0.001)


def test_anderson_darling_has_no_seams():
    for seam in (2.0, 8.0):
        before, after = (p_values.anderson_darling(seam + step)[1] for step in (-1e-9, 1e-9))
        assert before == pytest.approx(after, rel=0.05)


def test_statistics_of_a_law_are_scipys():
    sample = np.random.default_rng(3).uniform(size=2000)
    found = p_values.of_law(sample.copy(), lambda x: x, lambda x: 1 - x)
    p = stats.kstest(sample, "uniform").pvalue
    assert found["KS"] == pytest.approx(p_values.two_sided(1 - p, p), abs=0.02)


def test_p_values_of_perfect_numbers_are_uniform():
    generator = np.random.Generator(np.random.PCG64DXSM(0))

    def words(start, count):
        return generator.integers(2**32, size=count, dtype=np.uint32)

    found = [
        p
        for _ in range(50)
        for p in (
            *p_values.of_birthdays(words, 4096, 100).values(),
            *p_values.of_bits(words, lambda *a: words(*a), 10_000).values(),
            *p_values.of_law(words(0, 10_000) / 2.0**32, lambda x: x, lambda x: 1 - x).values(),
        )
    ]
    assert stats.kstest(found, "uniform").pvalue > 1e-3


def test_dieharders_report_is_read():
    report = [
        "#=====#",
        "        test_name   |ntup| tsamples |psamples|  p-value |Assessment",
        "  diehard_birthdays|   0|       100|     100|0.93025376|  PASSED  ",
        "         sts_serial|   3|    100000|     100|0.00000000|  FAILED  ",
    ]
    assert p_values.dieharder_report(report) == {
        "diehard_birthdays 0 (0)": pytest.approx(0.13949248),
        "sts_serial 3 (1)": 0.0,
    }


def test_the_pages_table_is_the_recorded_one():
    page = (ROOT / "docs" / "quality.md").read_text()
    recorded = program.load(program.RESULTS)
    assert verdict.markdown(recorded, RESULTS["draws"]) in page
    assert verdict.faults(recorded) == []
    groups = {check.group for check in checks.all_checks(RESULTS["draws"], RESULTS["seed"])}
    assert groups <= {row.group for row in recorded}
