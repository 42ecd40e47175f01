"""docs: what stands there runs and prints that, links lead somewhere, and no name is missing."""

import ast
import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import fastinit
from fastinit import kernels, registry
from tests.frameworks import require
from tests.printed import agree, shown

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS))
make = importlib.import_module("make")
sys.path.remove(str(DOCS))

PAGES = sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)
OTHERS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
LINKED = [*PAGES, *OTHERS, ROOT / "benchmarks" / "README.md"]
LANGUAGES = {"python", "console", "text", "math", "sh", "toml", "json", "c"}
DIRECTIVES = {"commands", "grid", "grid-item-card", "include", "names", "toctree"}


def name_of(page):
    return page.relative_to(ROOT).as_posix()


# ---------------------------------------------------------------- what runs


@pytest.fixture
def as_it_was(monkeypatch):
    monkeypatch.setattr(registry, "_factories", dict(registry._factories))
    threads = fastinit.get_num_threads()
    yield
    fastinit.set_num_threads(threads)


def wrong(page, printed):
    """Yield what a page says that its blocks did not print."""
    for number, (text, (block, output)) in enumerate(zip(printed, make.steps(page), strict=True)):
        where = f"block {number + 1} prints\n{text}"
        if block.language == "python":
            if not agree(text, output.text if output else ""):
                yield where
            continue
        parts = re.split(r"^\$ .*\n", text, flags=re.MULTILINE)[1:]
        for part, (_, written) in zip(parts, block.commands(), strict=True):
            if written and not shown(part, written):
                yield where


def pictures(page):
    return set(re.findall(r"!\[[^\]]+\]\((images/[^)]+)\)", page.read_text("utf-8")))


@pytest.mark.parametrize("page", make.pages(), ids=name_of)
def test_it_prints_and_draws_what_stands_there(page, tmp_path, monkeypatch, as_it_was):
    frameworks = make.frameworks(page)
    for framework in frameworks:
        require(framework)
    if frameworks:  # what they are set to holds for a whole process
        printed, drawn = make.run_alone(page)
    else:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("COLUMNS", "80")
        (tmp_path / "images").mkdir()
        printed = list(make.run(page))
        drawn = [path.name for path in (tmp_path / "images").iterdir()]
    assert list(wrong(page, printed)) == []
    assert {f"images/{name}" for name in drawn} == pictures(page)
    for picture in pictures(page):
        assert (page.parent / picture).stat().st_size < 80_000


def test_what_a_page_says_and_does_not_print_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(1.25)\n```\n\n```text\n1.27\n```\n\n```python\nx = 1\n```\n")
    assert list(wrong(page, make.run(page))) == ["block 1 prints\n1.25\n"]
    page.write_text("```console\n$ fastinit info\nbackend none\n```\n")
    assert len(list(wrong(page, make.run(page)))) == 1
    page.write_text("```console\n$ fastinit info\n...\n```\n")
    assert list(wrong(page, make.run(page))) == []
    page.write_text("```python\nprint(1)\n```\n")  # what is printed must stand there
    assert len(list(wrong(page, make.run(page)))) == 1


@pytest.mark.parametrize("page", [*PAGES, *OTHERS[:2]], ids=name_of)
def test_no_block_is_passed_over(page):
    text = page.read_text("utf-8")
    for block in make.blocks(page):
        directive = re.fullmatch(r"\{([\w-]+)\}.*", block.language)
        if directive:
            assert directive[1] in DIRECTIVES, f"line {block.first}"
        else:
            assert block.language in LANGUAGES, f"line {block.first}: ```{block.language}"
        if block.language == "sh":  # programs that others run are there
            for program in re.findall(r"[\w./-]+\.py\b", block.text):
                assert re.fullmatch(r"\.venv/.*", program) or (ROOT / program).exists(), program
    assert ">>> " not in text
    runs = re.findall(r"^\s*(?:```+|~~~+)\s*(?:py|ipy|console|doctest|pycon)", text, re.M | re.I)
    assert len(runs) == len(make.steps(page))


def test_every_picture_is_of_a_page():
    held = {path for folder in DOCS.rglob("images") for path in folder.iterdir()}
    targets = ((page.parent / link).resolve() for page in LINKED for link in links(page))
    assert {path for path in held if "_build" not in path.parts} - {*targets} == set()


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
        ("one\ntwo\nthree\n", "one\n...\nthree\n", True),
        ("one\ntwo\nthree\n", "...\ntwo\n...\n", True),
        ("one\ntwo\nthree\n", "one\n...\ntwo\n", False),
        ("one\ntwo\nthree\n", "two\n...\n", False),
        ("one\n", "one\n...\none\n", False),
    ],
)
def test_what_counts_as_the_same(printed, written, same):
    assert shown(printed, written) is same


# ---------------------------------------------------------------- links


def prose(page):
    """Return the text of a page without code."""
    text = re.sub(r"^(\s*)(```+|~~~+).*?^\s*\2\s*$", "", page.read_text("utf-8"), flags=re.M | re.S)
    return re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "code", text, flags=re.S)


def links(page):
    """Return what a page links to."""
    text = prose(page)
    beside = re.findall(r"\]\(\s*<?([^)\s>]+)", text) + re.findall(
        r"^\[[^\]]+\]:\s*(\S+)", text, re.M
    )
    cards = re.findall(r"^:link:\s*(\S+)", page.read_text("utf-8"), re.M)
    return [*beside, *(f"{card}.md" for card in cards)]


def anchors(page):
    """Return the anchors of a page's headings, as forges and Sphinx name them."""
    text = re.sub(r"^(\s*)(```+|~~~+).*?^\s*\2\s*$", "", page.read_text("utf-8"), flags=re.M | re.S)
    found = []
    for heading in re.findall(r"^#+\s+(.*?)\s*#*$", text, re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        again = sum(
            other == slug or re.fullmatch(rf"{slug}-\d+", other) is not None for other in found
        )
        found.append(f"{slug}-{again}" if again else slug)
    return found


def broken(page):
    """Yield the links of a page that lead nowhere."""
    for link in links(page):
        parts = urlsplit(link)
        if parts.scheme:
            if parts.scheme != "https" or "." not in parts.netloc:
                yield link
            continue
        target = page.parent.joinpath(parts.path).resolve() if parts.path else page
        if not target.exists() or (parts.fragment and parts.fragment not in anchors(target)):
            yield link


@pytest.mark.parametrize("page", LINKED, ids=name_of)
def test_links_lead_somewhere(page):
    assert list(broken(page)) == []


def test_broken_links_are_found(tmp_path):
    page, other = tmp_path / "page.md", tmp_path / "other.md"
    other.write_text("# One `two`, three\n\n## Again\n\n## Again\n")
    page.write_text(
        "# Here\n[a](other.md) [b](other.md#one-two-three) [c](other.md#again-1) [d](#here)\n"
        "[e](https://example.org/x) `[code](nowhere)`\n\n```text\n[f](nowhere.md)\n```\n"
    )
    assert list(broken(page)) == []
    page.write_text("[a](no.md) [b](other.md#again-2) [c](#there) [d](http://x) [e]:\n\n[e]: no\n")
    assert list(broken(page)) == ["no.md", "other.md#again-2", "#there", "http://x", "no"]


# ---------------------------------------------------------------- where everything is found


def toctree(page):
    """Return the pages that the tables of contents of a page lead to."""
    return [
        (page.parent / f"{line}.md").resolve()
        for block in make.blocks(page)
        if block.language == "{toctree}"
        for line in block.lines
        if line and not line.startswith(":")
    ]


def test_every_page_is_two_clicks_from_the_first():
    first = [DOCS / "index.md"]
    second = toctree(first[0])
    third = [page for parent in second for page in toctree(parent)]
    assert sorted({*first, *second, *third}) == PAGES


def reference():
    """Return the names that the reference has, by module."""
    found = {}
    for page in sorted((DOCS / "api").glob("*.md")):
        for block in make.blocks(page):
            if block.language.startswith("{names} "):
                module = block.language.removeprefix("{names} ")
                found.setdefault(module, []).extend(block.text.split())
    return found


REFERENCE = reference()
# Modules right below the package that users need not know, and those that the top hands on.
INTERNAL = {"__main__", "bench", "cli", "datadriven"}
HANDED_ON = {"config", "draws", "initializers", "keys", "registry", "structured", "trees"}
# What public modules have for the others of the package, and types that are words in docstrings.
UNLISTED = {
    "fastinit": {"__version__"},
    "fastinit.errors": {"unknown_name"},
    "fastinit.fans": {"Axes", "Fans", "Shape", "as_axes", "as_shape", "position_of"},
    "fastinit.gains": {"ACTIVATIONS", "Activation"},
    "fastinit.recipes": {"Recipe"},
    "fastinit.sampling": {"Bits", "Draw", "Permutation", "Region"}
    | {"draw_of", "fill", "fill_many", "fill_whole", "region_of"},
}


def public(module):
    """Return a module's ``__all__`` without importing it: it may need a framework."""
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    raise AssertionError(f"{module} has no __all__")


def test_the_reference_has_every_module():
    modules = {module.name for module in pkgutil.iter_modules(fastinit.__path__)}
    listed = {name.split(".")[1] for name in REFERENCE if "." in name}
    assert modules - INTERNAL - HANDED_ON - listed == {"gains"}  # whose one function the top has
    for module in HANDED_ON | {"gains"}:
        own = {name for name in public(f"fastinit.{module}") if name[0].islower()}
        handed = set(public("fastinit")) | UNLISTED.get(f"fastinit.{module}", set())
        assert own - handed <= {"key_bits"}, module


@pytest.mark.parametrize("module", REFERENCE)
def test_the_reference_has_every_name(module):
    listed = REFERENCE[module]
    assert len(listed) == len(set(listed))
    at_top = set(REFERENCE["fastinit"]) if module != "fastinit" else set()
    with_pages = {name.rpartition(".")[2] for name in REFERENCE if name.startswith(f"{module}.")}
    missing = {*public(module)} - {*listed} - at_top - with_pages - UNLISTED.get(module, set())
    assert missing == set()
    assert {*listed} <= {*public(module)}


# ---------------------------------------------------------------- tables


OPTIONS = "l1=0.0, l2=0.0, weight_decay=0.0, scale=1.0, limit=inf"


def signature(name):
    kernel = getattr(kernels, name)
    parameters = inspect.signature(getattr(kernel, "py_func", kernel)).parameters.values()
    texts = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters]
    return f"{name}({', '.join(texts)})".replace(OPTIONS, "...")


def test_the_tables_have_every_kernel():
    tables = (DOCS / "embedding.md").read_text("utf-8").split("## The kernels\n")[1]
    assert f"`{OPTIONS}`" in tables
    names = [name for name in kernels.__all__ if callable(getattr(kernels, name))]
    listed = re.findall(r"(?<=\| )`(\w+)(\(.*?\))` \|", tables)
    signatures = [name + arguments for name, arguments in listed if name in names]
    assert sorted(signatures) == sorted(signature(name) for name in names)
