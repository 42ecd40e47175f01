"""What every page must be; the tests of all kinds of reports ask it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = frozenset({"meta", "path", "use", "rect", "line", "image", "br", "hr", "polygon"})


class Elements(HTMLParser):
    """Collects the elements of a page, and complains of one that is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def count(self, tag: str) -> int:
        return sum(found == tag for found, _ in self.found)


def check_page(text: str, lang: str = "en") -> Elements:
    """Make sure that a page is whole, needs nothing from elsewhere, and names its pictures."""
    assert text.lstrip().startswith("<!doctype html>")
    assert f'<html lang="{lang}">' in text
    elements = Elements(text)
    assert elements.open == []
    # Nothing is fetched: no address, no script, no import of a style.
    assert "http" not in text
    assert "@import" not in text
    ids: list[str] = []
    for tag, attributes in elements.found:
        assert tag not in {"script", "link", "img", "iframe", "object", "embed"}
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,"))
        if "id" in attributes:
            ids.append(attributes["id"])
        if tag == "svg":
            assert attributes["role"] == "img"
            assert len(attributes["aria-label"]) > 10
    for address in re.findall(r"url\(([^)]*)\)", text):
        assert address.startswith("#")
    assert elements.count("style") == 1  # one of a drawing would hold for the whole page
    # Two pictures with one id would show each other's clip paths.
    clips = [set(re.findall(r'<clipPath id="([^"]*)"', svg)) for svg in svgs(text)]
    assert len(set().union(*clips)) == sum(map(len, clips))
    return elements


def svgs(text: str) -> list[str]:
    """Return the drawings of a page."""
    return re.findall(r"<svg.*?</svg>", text, re.DOTALL)
