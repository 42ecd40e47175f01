"""The lab's words in every language: none is missing, and none lost a number."""

from __future__ import annotations

import ast
import datetime
import re
import threading
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import fastinit
from fastinit.errors import ArgumentError
from fastinit.lab import diagnosis, rules, symptoms
from fastinit.lab.report import languages
from fastinit.lab.report.languages import _, date, language, listing, ngettext, number

PACKAGE = Path(fastinit.__file__).parent
OTHERS = [code for code in languages.LANGUAGES if code != "en"]


def messages():
    """Return every text that the sources and the templates mark, with where it stands."""
    found = {}
    for file, line, message, *_rest in extract_from_dir(
        PACKAGE,
        method_map=[("**.py", "python"), ("**/templates/**.html", "jinja2")],
        keywords={"_": None, "N_": None, "ngettext": (1, 2)},
    ):
        found[message] = f"{file}:{line}"
    return found


def catalogue(code):
    path = PACKAGE / "lab" / "report" / "catalogues" / f"{code}.po"
    with path.open("rb") as stream:
        return read_po(stream, locale=code)


def placeholders(text):
    return sorted(re.findall(r"\{\w*[^}]*\}", text))


@pytest.fixture(scope="module")
def found():
    return messages()


def test_messages_are_found(found):
    """Of sources in Python, of templates, plurals, and constants that are marked."""
    assert "Train loss" in found
    assert "Run it again" in found
    assert ("{count} seed", "{count} seeds") in found
    assert symptoms.HEALTHY in found
    assert len(found) > 200


def test_no_message_hides_in_an_f_string(found):
    """There Babel does not look before Python 3.12: what stands only there has no translation."""
    for path in (PACKAGE / "lab").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"_", "N_"}:
                text = node.args[0]
                if isinstance(text, ast.Constant):
                    assert text.value in found, f"{path}:{node.lineno}"


@pytest.mark.parametrize("code", OTHERS)
def test_every_message_is_translated(found, code):
    known = catalogue(code)
    missing = []
    for message, place in found.items():
        singular = message if isinstance(message, str) else message[0]
        entry = known.get(singular)
        texts = (
            [] if entry is None else [entry.string] if isinstance(message, str) else entry.string
        )
        if not texts or not all(texts) or entry.fuzzy:
            missing.append(f"{place}: {singular!r}")
    assert not missing, f"without a translation into {code}:\n" + "\n".join(missing)


@pytest.mark.parametrize("code", OTHERS)
def test_translations_keep_the_placeholders(found, code):
    for entry in catalogue(code):
        if not entry.id:
            continue
        singular = entry.id if isinstance(entry.id, str) else entry.id[1]
        for text in [entry.string] if isinstance(entry.string, str) else entry.string:
            assert placeholders(text) == placeholders(singular)
            assert text.count("`") == singular.count("`")
            # Headings of two lines stay so, and what ends a sentence goes on ending it.
            assert text.count("\n") == singular.count("\n")
            if "\n" not in text:
                assert (text[-1] in ".:?") == (singular[-1] in ".:?"), text


@pytest.mark.parametrize("code", OTHERS)
def test_nothing_is_left_over(found, code):
    """A translation of a text that is no more would hide that its successor has none."""
    singulars = {message if isinstance(message, str) else message[0] for message in found}
    entries = [entry.id for entry in catalogue(code) if entry.id]
    assert {one if isinstance(one, str) else one[0] for one in entries} <= singulars


@pytest.mark.parametrize("code", OTHERS)
def test_names_that_the_code_makes_are_translated(code):
    """What is looked up by a variable: no extraction finds a name that is not marked."""
    known = catalogue(code)
    names = [rule.name for rule in symptoms.RULES] + [rule.verdict for rule in rules.RULES]
    for name in names:
        assert known.get(name), name
    for rule in (*symptoms.RULES, *rules.RULES):
        assert known.get(rule.when), rule
        assert known.get(rule.means), rule
    with language(code):
        assert diagnosis.headings(None)[0] != "\nlayer"


def test_language_and_back():
    assert _("layer") == "layer"
    with language("pt"):
        assert _("layer") == "camada"
        with language("es"):
            assert _("layer") == "capa"
        assert _("layer") == "camada"
    assert _("layer") == "layer"


def test_an_error_ends_the_language():
    with pytest.raises(ZeroDivisionError), language("pt"):
        raise ZeroDivisionError
    assert languages.current() == "en"


@pytest.mark.parametrize("code", ["", "fr", "PT", "pt-BR", "../pt", None])
def test_unknown_languages(code):
    with pytest.raises(ArgumentError, match=r"en \(English\), pt \(Português\), es \(Español\)"):
        language(code).__enter__()


def test_a_thread_has_its_own_language():
    heard = []
    with language("pt"):
        thread = threading.Thread(target=lambda: heard.append(_("layer")))
        thread.start()
        thread.join()
    assert heard == ["layer"]


def test_plurals():
    def count(n):
        return ngettext("{count} seed", "{count} seeds", n).format(count=n)

    assert [count(0), count(1), count(2)] == ["0 seeds", "1 seed", "2 seeds"]
    with language("pt"):
        assert [count(0), count(1), count(2)] == ["0 semente", "1 semente", "2 sementes"]
    with language("es"):
        assert [count(0), count(1), count(2)] == ["0 semillas", "1 semilla", "2 semillas"]


def test_numbers_dates_and_lists():
    moment = datetime.datetime(2026, 3, 7, 15, 4, tzinfo=datetime.timezone.utc)
    assert number(12345.678, ",.2f") == "12,345.68"
    assert number(1e-9, ".0e") == "1e-09"
    assert "March 7, 2026" in date(moment)
    assert listing(["a", "b"]) == "a and b"
    with language("pt"):
        assert number(12345.678, ",.2f") == "12.345,68"
        assert number(float("nan")) == "nan"
        assert "7 de março de 2026" in date(moment)
        assert listing(["a", "b", "c"]) == "a, b e c"
    with language("es"):
        assert number(0.5) == "0,5"
        assert "7 de marzo de 2026" in date(moment)
        assert listing(["a", "b"]) == "a y b"
