"""What a training shows, and that kernels are being compiled."""

import contextlib
import io
import multiprocessing
import os
import subprocess
import sys
import time

import numpy as np
import problems
import pytest
from numba.core import event

from fastinit import nn
from fastinit.nn import compiling, progress
from fastinit.sampling.jit import template

LINE = "Epoch 2/2 - "


class Terminal(io.StringIO):
    def isatty(self):
        return True


def make():
    network = nn.Sequential([nn.Dense(4, "tanh"), nn.Dense(3)], seed=0)
    network.compile()
    return network


def fit(**options):
    x, y = problems.rings(40)
    return make().fit(x, y, epochs=2, validation_data=(x, y), **options)


@pytest.fixture
def terminal(monkeypatch):
    """Return a context in which both outputs are a terminal, whose text it gives."""
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")

    @contextlib.contextmanager
    def use(file=None):
        file = file or Terminal()
        with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
            yield file

    return use


@pytest.mark.parametrize("verbose", [1, 2, True])
def test_progress_is_a_line_an_epoch(verbose, capsys):
    fit(verbose=verbose)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith(LINE)
    for name in ("loss: ", "accuracy: ", "val_loss: ", "val_accuracy: "):
        assert name in lines[1]


def test_silence(terminal):
    with terminal() as shown:
        fit(verbose=0)
    assert shown.getvalue() == ""


def test_short_epochs_have_no_bar(terminal):
    with terminal() as shown:
        fit()
    assert shown.getvalue().splitlines()[1].startswith(LINE)
    assert "\x1b" not in shown.getvalue()


@pytest.fixture
def long_epochs(monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(nn.training, "FIRST_SPAN_OPERATIONS", 1.0)  # spans of few steps


@pytest.mark.parametrize("verbose", [1, 2])
def test_long_epochs_have_a_bar_that_leaves_the_lines(verbose, terminal, long_epochs):
    with terminal() as shown:
        fit(verbose=verbose, batch_size=2)
    text = shown.getvalue()
    assert ("━" in text) == ("20/20" in text) == (verbose == 1)
    assert text.count("\x1b[?25h") == text.count("\x1b[?25l") == 2 - verbose  # the cursor is back
    # The lines of epochs, and what erases the bar that stood there.
    lines = [line for line in text.splitlines() if " - loss: " in line]
    assert [line.split(" - ")[0].split("\x1b[2K")[-1] for line in lines] == [
        "Epoch 1/2",
        "Epoch 2/2",
    ]


def test_the_bar_is_taken_away_when_training_fails(terminal, long_epochs):
    def fail(epoch, logs):
        raise RuntimeError("out of paper")

    with terminal() as shown, pytest.raises(RuntimeError, match="out of paper"):
        fit(batch_size=2, callbacks=[fail])
    text = shown.getvalue()
    assert text.count("\x1b[?25h") == text.count("\x1b[?25l") == 1
    assert text.endswith("\x1b[2K")  # the line of the bar is empty
    assert compiling._announcer._shows == []


@pytest.mark.parametrize("why", ["a file", "a dumb terminal", "no rich"])
def test_where_no_bar_can_be_drawn_there_are_lines(why, terminal, long_epochs, monkeypatch):
    if why == "a dumb terminal":
        monkeypatch.setenv("TERM", "dumb")
    if why == "no rich":
        monkeypatch.setitem(sys.modules, "rich.progress", None)
    with terminal(io.StringIO() if why == "a file" else None) as shown:
        fit(batch_size=2)
    assert "\x1b" not in shown.getvalue()
    assert shown.getvalue().splitlines()[1].startswith(LINE)


def test_numbers_have_four_digits():
    logs = {"loss": 1.23456789e-5, "accuracy": 0.0, "val_loss": 123.456, "mae": float("nan")}
    line = progress.progress_line(9, 100, 61.0, logs)
    assert line == (
        "Epoch  10/100 - 61.00s - loss: 1.2346e-05 - accuracy: 0.0000 - val_loss: 123.4560 "
        "- mae: nan"
    )


# Compiling


def compiled(seconds, module="fastinit.nn.test", inner=None):
    """Let Numba say that it compiles a function of a module, for so long."""

    def function():
        pass

    function.__module__ = module
    dispatcher = type("Dispatcher", (), {"py_func": staticmethod(function)})
    with event.trigger_event("numba:compile", data={"dispatcher": dispatcher}):
        time.sleep(seconds)
        if inner is not None:
            compiled(*inner)


@pytest.fixture
def announcer(monkeypatch):
    """An announcer at its beginning, in place of the library's."""
    monkeypatch.delenv("FASTINIT_QUIET", raising=False)
    monkeypatch.setattr(compiling, "PATIENCE", 0.05)
    monkeypatch.setattr(compiling, "TERMINAL_SECONDS", 0.01)
    event.unregister("numba:compile", compiling._announcer)
    new = compiling.Announcer()
    event.register("numba:compile", new)
    yield new
    event.unregister("numba:compile", new)
    event.register("numba:compile", compiling._announcer)


ANNOUNCED = "fastinit: compiling kernels, once on this machine: "


def test_a_log_has_a_line_when_compiling_lasts(announcer, capsys):
    compiled(0.2, "fastinit.nn", (0.2, "fastinit.kernels"))
    compiled(0.2)
    assert capsys.readouterr().err == f"{ANNOUNCED}0 done, 0 s (function)\n"
    assert announcer.compiled == 3
    assert 0.5 < announcer.seconds < 5


def test_a_log_has_another_line_after_a_while(announcer, capsys, monkeypatch):
    monkeypatch.setattr(compiling, "LOG_SECONDS", 0.1)
    announcer._said = -0.1
    compiled(0.5)
    compiled(0.5)
    assert capsys.readouterr().err.count(ANNOUNCED) >= 4


def test_a_terminal_has_a_line_that_vanishes(announcer, terminal):
    with terminal() as shown:
        compiled(0.2)
    *texts, last = shown.getvalue().split("\r")
    assert sum(ANNOUNCED in text for text in texts) >= 2
    assert all(len(text) < 80 for text in texts)
    assert last == ""
    assert texts[-1] == " " * 79


def test_who_draws_shows_the_line_instead(announcer, terminal):
    shown = []
    with terminal() as text:
        announcer.hand_over(shown.append)
        compiled(0.2)
        announcer.hand_back(shown.append)
    assert text.getvalue() == ""
    assert "compiling kernels" in shown[0]
    assert shown[-1] == ""


@pytest.mark.parametrize("why", ["short", "of others", "so asked", "in a worker"])
def test_what_is_not_announced(why, announcer, capsys, monkeypatch):
    if why == "so asked":
        monkeypatch.setenv("FASTINIT_QUIET", "1")
    if why == "in a worker":
        monkeypatch.setattr(multiprocessing.current_process(), "name", "LokyProcess-1")
    compiled(0.0 if why == "short" else 0.2, "numpy" if why == "of others" else "fastinit.nn")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("stderr", [None, io.BytesIO()], ids=["none", "one that takes no text"])
def test_nothing_is_raised_where_nothing_can_be_shown(stderr, announcer, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stderr)
    compiled(0.2)
    assert announcer.compiled == 1


def test_numba_announces_what_it_compiles(announcer):
    def function(x):
        return x + 1

    function.__module__ = "fastinit.nn.test"
    assert template(function)(1) == 2  # not kept between processes
    assert announcer.compiled == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_forked_while_its_parent_compiles_begins_anew(announcer, monkeypatch):
    monkeypatch.setattr(compiling, "_announcer", announcer)
    os.register_at_fork(after_in_child=announcer.forget)
    with announcer._lock:
        announcer._compiling.append(test_silence)
        child = os.fork()
        if child == 0:
            compiled(0.0)
            os._exit(announcer.compiled != 1 or bool(announcer._compiling))
    assert os.waitpid(child, 0)[1] == 0


def test_a_second_process_compiles_nothing():
    code = (
        "import numpy as np\n"
        "from fastinit import nn\n"
        "from fastinit.nn import compiling\n"
        "network = nn.Sequential([nn.Dense(4, 'tanh'), nn.Dense(3)], seed=0)\n"
        "network.compile()\n"
        "network.fit(np.ones((8, 2)), [0, 1, 2, 0, 1, 2, 0, 1], epochs=2)\n"
        "network.evaluate(np.ones((3, 2)), [0, 1, 2])\n"
        "print(compiling._announcer.compiled)\n"
    )
    environment = {**os.environ, "FASTINIT_QUIET": "1"}
    for _ in range(2):  # the first may be the first on this machine
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "0"
    assert np.all(["Epoch" in line for line in done.stdout.splitlines()[:-1]])
