"""The reports on a diagnosis, a recording, a propagation and a phase diagram."""

from __future__ import annotations

import json

import numpy as np
import pandas
import pytest

from fastinit import nn
from fastinit.lab import report
from fastinit.lab.diagnosis import diagnose
from fastinit.lab.propagation import phase_diagram, propagate
from fastinit.lab.recording import Recorder, Recording
from fastinit.lab.symptoms import RULES
from tests.lab.pages import check_page

EVIL = "<script>alert('`|*')</script>"


def network(initializer, activation="sigmoid", depth=8):
    layers = [nn.Dense(16, activation, kernel_initializer=initializer) for _ in range(depth)]
    model = nn.Sequential([*layers, nn.Dense(2)], seed=0)
    model.build(4)
    model.compile("categorical_crossentropy")
    return model


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4)).astype(np.float32)
    return x, (x[:, 0] > 0).astype(np.int64)


@pytest.fixture(scope="module")
def results(data, tmp_path_factory):
    x, y = data
    path = tmp_path_factory.mktemp("recording") / "run.jsonl"
    model = network("he_normal", "relu", depth=3)
    recorder = Recorder(path, model, x, y, every=2)
    model.fit(x, y, epochs=3, verbose=0, callbacks=[recorder.callback()])
    return {
        "sick": diagnose(network("normal(std=0.01)"), x, y, steps=5),
        "healthy": diagnose(network("he_normal", "relu", depth=3), x, y, steps=5),
        "recording": Recording.load(path),
        "propagation": propagate("tanh", 1.5, 0.1, depth=6, width=16, networks=2),
        "phases": phase_diagram(
            "tanh", points=4, depth=4, width=16, networks=1, places=[(1.0, 0.1, EVIL)]
        ),
    }


KINDS = ["sick", "healthy", "recording", "propagation", "phases"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lang", ["en", "pt", "es"])
def test_pages(results, kind, lang):
    page = report.page(results[kind], lang=lang, command=EVIL)
    elements = check_page(page, lang)
    assert elements.count("svg") >= 1
    assert "&lt;script&gt;" in page
    heading = {"en": "How to read this", "pt": "Como ler isto", "es": "Cómo leer esto"}
    for code, text in heading.items():
        assert (text in page) == (code == lang)


@pytest.mark.parametrize("kind", KINDS)
def test_what_repeats_it(results, kind):
    """Without a command, the page has the call; a recording has kept its command."""
    result = results[kind]
    page = report.page(result)
    if kind == "recording":
        assert result.command
    else:
        assert '<pre tabindex="0"><code>fastinit.lab.' in page


@pytest.mark.parametrize("kind", KINDS)
def test_formats(results, kind, tmp_path):
    result = results[kind]
    text, *rest = report.write(result, tmp_path, format="md")
    assert text.read_text("utf-8").startswith("# ")
    pictures = [path for path in rest if path.suffix == ".png"]
    assert pictures
    for picture in pictures:
        assert f"({picture.parent.name}/{picture.name})" in text.read_text("utf-8")
    [path] = report.write(result, tmp_path / "x.json")
    assert json.loads(path.read_text("utf-8"))
    [path] = report.write(result, tmp_path / "x.csv")
    assert len(pandas.read_csv(path)) == len(result.to_frame())


def test_the_verdict_comes_first(results):
    for kind in ("sick", "healthy"):
        page = report.page(results[kind])
        answer = page[page.index('class="answer') : page.index("Run it again")]
        for sentence in results[kind].sentences[:2]:
            assert sentence.replace("'", "&#x27;") in answer
    assert 'class="answer good"' in page
    for rule in RULES:
        assert f">{rule.name}</span>" in page


def test_a_recording_says_what_became_of_it(results):
    page = report.page(results["recording"])
    assert "The verdict at step 0: healthy; at step 6: healthy." in page
    assert "The loss went from" in page


def test_a_recording_of_one_record(data, tmp_path):
    x, y = data
    recorder = Recorder(tmp_path / "one.jsonl", network("zeros", "relu", 2), x, y)
    recorder.begin()
    page = report.page(Recording.load(tmp_path / "one.jsonl"))
    check_page(page)


def test_figures_that_are_not_finite(data, tmp_path):
    x, y = data
    model = network("normal(std=1e30)", "relu", 3)
    with np.errstate(all="ignore"):
        check_page(report.page(diagnose(model, x, y, steps=2)))
        recorder = Recorder(tmp_path / "nan.jsonl", model, x, y)
        recorder.begin()
    check_page(report.page(Recording.load(tmp_path / "nan.jsonl")))
