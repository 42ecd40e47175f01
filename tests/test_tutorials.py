"""docs/tutorials: translations say the same. That their code runs is tested in test_docs.py."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from tests.printed import NUMBER

FOLDER = Path(__file__).parents[1] / "docs" / "tutorials"
PAGES = sorted(page.name for page in FOLDER.glob("[0-9]*.md"))
TRANSLATED = {"01_what_initialization_does.md": ("pt", "es")}


@pytest.fixture
def make(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER.parent)
    return importlib.import_module("make")


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


def test_every_page_is_listed():
    index = (FOLDER / "README.md").read_text("utf-8")
    assert {name for name in PAGES if f"({name})" in index} == set(PAGES)
