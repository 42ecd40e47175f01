"""`fastinit bench`: what it prints and writes, and its exit codes."""

from __future__ import annotations

import json
import re
import sys

import pytest
from rich.console import Console

import fastinit
from fastinit import cli
from fastinit.bench import fills, running, table, writing
from fastinit.bench.page import description, document
from fastinit.bench.picture import draw
from fastinit.bench.results import Results, Row, Spread
from fastinit.errors import ArgumentError
from fastinit.lab.report.pictures.style import png

FRAMEWORKS = {"PyTorch": "torch", "JAX": "jax", "Keras": "keras"}
TINY = ["bench", "--quick", "--sizes", "64,512"]


def run(*arguments):
    """Return the exit code of the command, from argparse too."""
    try:
        return cli.main(arguments)
    except SystemExit as stop:
        return stop.code


def row(what, elements, noise=0.04, **nanoseconds):
    """Return a row with these medians, and a middle half that is so wide on each side."""
    names = {"SFC": "NumPy SFC64", "PCG": "NumPy PCG64", "fill": "plain fill"}
    return Row(
        what,
        elements,
        {
            names.get(name, name): Spread(
                *(ns * elements * 1e-9 * side for side in (1 - noise, 1, 1 + noise))
            )
            for name, ns in nanoseconds.items()
        },
    )


@pytest.fixture
def found():
    about = {
        "processor": "Some Processor, x86_64, AVX2, 8 cores",
        "backend": "cython",
        "threads": 8,
        "dtype": "float32",
        "versions": {"fastinit": "0.1.0", "NumPy": "2.4.6", "JAX": "0.10.2"},
        "absent": {"PyTorch": "No module named 'torch'", "Keras": "No module named 'keras'"},
    }
    rows = [
        row(law, size, fastinit=ours, SFC=9.0, PCG=10.0, JAX=20.0, fill=0.3, memset=0.2)
        for law in fills.LAWS
        for size, ours in ((64, 30.0), (4096, 2.0), (2**24, 0.5))
    ]
    rows.append(row("he_normal", 1280, fastinit=2.0, NumPy=4.0, JAX=100.0))
    rows.append(row("cold start", 4096**2, fastinit=20.0, NumPy=30.0))
    return Results(about, rows)


def printed(found):
    console = Console(width=80, color_system=None, highlight=False)
    with console.capture() as capture:
        console.print(table.render(found))
    return capture.get()


def test_the_table(found):
    text = printed(found)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "…" not in text  # nothing is cut
    assert "Some Processor, x86_64, AVX2, 8 cores; cython backend, 8 threads" in text
    assert "16 Mi elements of float32: ns an element" in text
    assert re.search(r"^fastinit +0\.50 0\.48-0\.52 +0\.50", text, re.MULTILINE)
    # the faster of NumPy's two generators, and of the two ways to write
    assert re.search(r"^NumPy +9\.00 8\.64-9\.36 +18\.0x", text, re.MULTILINE)
    assert re.search(r"^memory +0\.20 0\.19-0\.21 +0\.40x", text, re.MULTILINE)
    assert re.search(r"^fastinit +30\.0 +2\.00 +0\.50$", text, re.MULTILINE)
    assert re.search(r"^fastinit +2\.56 2\.46-2\.66 +0\.34 0\.32-0\.35", text, re.MULTILINE)
    flat = " ".join(text.split())
    assert "fastinit draws 16 Mi normals in 8.39 ms. NumPy takes 18.0 times as long, JAX" in flat
    assert "It is the fastest from 4 Ki elements on." in flat
    assert "not installed: PyTorch, Keras (pip install torch keras)." in flat
    assert "busy" not in text


def test_colours_add_nothing_but_colours(found):
    console = Console(width=80, color_system="truecolor", force_terminal=True, highlight=False)
    with console.capture() as capture:
        console.print(table.render(found))
    assert "\x1b[32m" in capture.get()  # green, where fastinit is faster
    assert re.sub(r"\x1b\[[\d;]*m", "", capture.get()) == printed(found)


def test_where_it_is_never_or_always_the_fastest(found):
    slow = [r for r in found.rows if r.elements == 64]
    assert "fastest" not in printed(Results(found.about, slow))
    fast = [r for r in found.rows if r.elements > 64]
    assert "It is the fastest at every size." in printed(Results(found.about, fast))


def test_a_busy_machine_is_named(found):
    noisy = Results(found.about, [row("normal", 64, noise=0.2, fastinit=1.0, NumPy=2.0)])
    assert "The machine is busy: samples of the same typically differ by 40%" in printed(noisy)


@pytest.mark.parametrize("count", range(1, 12))
def test_a_part_of_the_rows_is_printed_too(found, count):
    text = printed(Results(found.about, found.rows[:count]))
    assert "fastinit" in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80


def test_many_sizes_leave_some_out_but_not_the_largest(found):
    rows = [row("normal", 2**i, fastinit=1.0, NumPy=9.0) for i in range(1, 28)]
    text = printed(Results(found.about, rows))
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert re.search(r" 128 Mi$", text, re.MULTILINE)


def test_json_and_back(found):
    assert Results.from_json(found.to_json()) == found
    for text in ("[]", "{", '{"about": {}, "rows": [{"what": "normal"}]}'):
        with pytest.raises(ArgumentError, match="no results of fastinit bench"):
            Results.from_json(text)


def test_the_picture(found):
    figure = draw(found)
    assert png(figure).startswith(b"\x89PNG")
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(fills.LAWS)
    axes = figure.axes[1]
    lines = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
    assert lines["fastinit"] == pytest.approx([30.0, 2.0, 0.5])
    assert lines["NumPy"] == pytest.approx([9.0] * 3)
    assert lines["memory"] == pytest.approx([0.2] * 3)
    assert len(axes.collections) == 3  # a band each for fastinit, NumPy and JAX
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert "normal, 4 Ki elements: fastinit 2.00, NumPy 9.00, JAX 20.0" in description(found)


def test_the_page(found):
    page = writing._content(found, ".html", "fastinit bench")
    assert page.count("<svg") == 1
    assert "pip install torch keras" in page
    assert "9.00 (8.64 - 9.36), 18.0x" in page
    assert document(found, "").answer == table.summary(found)
    assert all(text not in page for text in ("http:", "https:", "src="))  # needs no network


@pytest.fixture
def alone(monkeypatch):
    """Let no framework be installed."""
    for package in FRAMEWORKS.values():
        monkeypatch.setitem(sys.modules, package, None)
    fills.absent.cache_clear()
    yield
    fills.absent.cache_clear()


@pytest.mark.usefixtures("alone")
def test_without_any_framework(capsys):
    threads = fastinit.get_num_threads()
    assert run(*TINY, "--threads", "1") == 0
    assert fastinit.get_num_threads() == threads
    out, err = capsys.readouterr()
    assert max(map(len, out.splitlines())) <= 80
    flat = " ".join(out.split())
    assert "not installed: PyTorch, JAX, Keras (pip install torch jax keras)." in flat
    assert "1 thread" in flat
    assert all(re.search(rf"^{name} ", out, re.MULTILINE) for name in ("NumPy", "memory"))
    assert not any(re.search(rf"^{name} ", out, re.MULTILINE) for name in FRAMEWORKS)
    assert err == ""


@pytest.mark.usefixtures("alone")
def test_json_and_files(capsys, tmp_path):
    assert run(*TINY, "--dtype", "float64", "--json", "--out", str(tmp_path / "report")) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["about"]["dtype"] == "float64"
    assert document["about"]["absent"].keys() == FRAMEWORKS.keys()
    assert [r["elements"] for r in document["rows"] if r["what"] == "normal"] == [64, 512]
    for r in document["rows"]:
        assert all(0 < low <= middle <= high for low, middle, high in r["seconds"].values())
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [
        "index.html",
        "results.json",
    ]
    assert (tmp_path / "report" / "results.json").read_text() == out
    assert "wrote" in err


@pytest.mark.parametrize("suffix", [".html", ".png", ".svg", ".json"])
def test_one_file(found, tmp_path, suffix):
    target = tmp_path / f"figures{suffix}"
    assert writing.write(found, target, "fastinit bench") == [target]
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    assert target.stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dtype", "int8"], "dtype must be float32, float64, float16 or bfloat16, got int8"),
        (["--dtype", "flaot"], "dtype must be float32, float64, float16 or bfloat16, got 'flaot'"),
        (
            ["--sizes", "64,many"],
            "--sizes must be numbers of elements, like 64,4096, got '64,many'",
        ),
        (["--sizes", "64,,1"], "must be numbers of elements, like 64,4096, got '64,,1'"),
        (["--sizes", "0"], "a size must be 1 to 2^31 elements, got 0"),
        (["--sizes", "4294967296"], "a size must be 1 to 2^31 elements, got 4294967296"),
        (["--threads", "0"], "the number of threads must be at least 1, got 0"),
        (["--threads", "two"], "argument --threads: invalid int value: 'two'"),
        (["--bogus"], "unrecognized arguments: --bogus"),
    ],
)
def test_mistakes(monkeypatch, capsys, arguments, message):
    monkeypatch.setattr(running, "measured", None)  # nothing is measured
    monkeypatch.setattr(running, "about", None)  # and no framework is loaded
    assert run("bench", *arguments) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert err.count("\n") == 1
    assert out == ""


def interrupting(monkeypatch, after):
    """Let Ctrl-C be pressed after so many contests."""
    left = iter(range(after))

    def measured(contest):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return row(contest.what, contest.elements, fastinit=1.0, NumPy=2.0)

    monkeypatch.setattr(running, "measured", measured)


@pytest.mark.usefixtures("alone")
def test_ctrl_c_prints_what_there_is_and_writes_nothing(monkeypatch, capsys, tmp_path):
    interrupting(monkeypatch, after=3)
    assert run(*TINY, "--out", str(tmp_path / "x.html")) == 130
    out, err = capsys.readouterr()
    assert re.search(r"^NumPy +2\.00 .* 2\.00x", out, re.MULTILINE)
    assert err == "fastinit: error: interrupted after 3 of 8 contests; no file is written\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("alone")
def test_ctrl_c_at_once(monkeypatch, capsys):
    interrupting(monkeypatch, after=0)
    threads = fastinit.get_num_threads()
    assert run(*TINY, "--threads", str(threads + 1)) == 130
    assert fastinit.get_num_threads() == threads
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("alone")
def test_a_folder_that_cannot_be_written_is_reported_first(monkeypatch, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    said = []

    def measured(contest):
        said.append(capsys.readouterr().err)
        return row(contest.what, contest.elements, fastinit=1.0, NumPy=2.0)

    monkeypatch.setattr(running, "measured", measured)
    assert run(*TINY, "--out", str(tmp_path / "file")) == 1
    assert "cannot write into the folder" in said[0]
    assert "fastinit draws" in capsys.readouterr().out  # the results are printed all the same
