"""docs/tutorials: every block runs, prints what stands behind it, and draws the pictures."""

import ast
import importlib
import math
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "tutorials"
PAGES = sorted(page.name for page in FOLDER.glob("[0-9]*.md"))
TRANSLATED = {"01_what_initialization_does.md": ("pt", "es")}
NUMBER = re.compile(r"(?<![\w.=(])[-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?(?![\w.]*\w)")


@pytest.fixture
def make(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module("make")


def unit(text):
    """Return what one more in the last digit of a number is worth."""
    mantissa, _, exponent = text.partition("e")
    decimals = len(mantissa.partition(".")[2])
    return 10.0 ** (int(exponent or 0) - decimals)


def agree(printed, written):
    """Return whether two outputs have the same words, and numbers within one of the last digit."""
    if NUMBER.sub("#", printed).split() != NUMBER.sub("#", written).split():
        return False
    pairs = zip(NUMBER.findall(printed), NUMBER.findall(written), strict=True)
    values = [(float(a.replace(",", "")), float(b.replace(",", "")), unit(b)) for a, b in pairs]
    return all(math.isclose(a, b, rel_tol=1e-9, abs_tol=1.01 * last) for a, b, last in values)


def pictures(page):
    return set(re.findall(r"!\[[^\]]+\]\((images/[^)]+)\)", (FOLDER / page).read_text("utf-8")))


@pytest.mark.parametrize("page", PAGES)
def test_it_prints_and_draws_what_stands_there(page, make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    written = make.outputs(FOLDER / page)
    for number, printed in enumerate(make.run(FOLDER / page)):
        assert agree(printed, written[number]), f"block {number + 1} prints\n{printed}"
    assert number + 1 == len(written)
    drawn = {f"images/{path.name}" for path in (tmp_path / "images").iterdir()}
    assert drawn == pictures(page) != set()
    for picture in drawn:
        assert (FOLDER / picture).stat().st_size < 80_000


def test_every_picture_is_of_a_page():
    assert {f"images/{p.name}" for p in (FOLDER / "images").iterdir()} == {
        picture for page in PAGES for picture in pictures(page)
    }


class Wordless(ast.NodeTransformer):
    def visit_Constant(self, node):
        return ast.Constant("") if isinstance(node.value, str) else node


def test_translations_have_the_same_code_and_numbers(make):
    for page, languages in TRANSLATED.items():
        for language in languages:
            other = FOLDER / page.replace(".md", f"_{language}.md")
            blocks = [make.code_blocks(path) for path in (FOLDER / page, other)]
            for mine, theirs in zip(*blocks, strict=True):
                trees = [ast.dump(Wordless().visit(ast.parse(code))) for code in (mine, theirs)]
                assert trees[0] == trees[1]
            outputs = ["\n".join(make.outputs(path)) for path in (FOLDER / page, other)]
            assert NUMBER.findall(outputs[0]) == NUMBER.findall(outputs[1])
            texts = [path.read_text("utf-8") for path in (FOLDER / page, other)]
            headings, formulas = (
                [re.findall(pattern, text, re.M | re.S) for text in texts]
                for pattern in (r"^#+ ", r"```math\n.*?```")
            )
            assert headings[0] == headings[1]
            assert formulas[0] == formulas[1] != []


def test_every_page_is_listed_and_links_lead_somewhere():
    index = (FOLDER / "README.md").read_text("utf-8")
    assert {name for name in PAGES if f"({name})" in index} == set(PAGES)
    for page in ["README.md", *PAGES]:
        text = re.sub(r"```.*?```", "", (FOLDER / page).read_text("utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", text):
            assert (FOLDER / target).exists(), f"{page}: {target}"


@pytest.mark.parametrize(
    ("printed", "written", "same"),
    [
        ("loss 2.303, 10 %\n", "loss 2.303, 10 %\n", True),
        ("loss 2.304\n", "loss 2.303\n", True),
        ("loss 2.305\n", "loss 2.303\n", False),
        ("1.5e-06 nan\n", "1.6e-06 nan\n", True),
        ("1.5e-06\n", "1.5e-05\n", False),
        ("trains 1\n", "slow 1\n", False),
        ("he_normal 1\n", "he_normal 1 2\n", False),
        ("std=0.01 4\n", "std=0.1 4\n", False),
        ("", "left over\n", False),
    ],
)
def test_what_counts_as_the_same(printed, written, same):
    assert agree(printed, written) is same
