"""Run the tutorials, and write what they print and draw into them.

Each tutorial is a page of text with blocks of Python. They run one after the other, in one
namespace and in an empty folder; what they save in its images/ comes here, and a block of ```text
behind a block of Python holds what it printed. After a change, of a tutorial or of what it shows:

    python docs/tutorials/make.py              all of them
    python docs/tutorials/make.py 02 04        those whose names begin so
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot
from PIL import Image

FOLDER = Path(__file__).resolve().parent

# How the committed pictures look; a reader's own look as Matplotlib is set up there.
STYLE: dict[Any, Any] = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "figure.figsize": (7.0, 3.2),
    "figure.constrained_layout.use": True,
    "font.size": 9.0,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "savefig.dpi": 120,
}

_BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?:\n```text\n(?P<output>.*?)```\n)?", re.DOTALL)


def pages() -> list[Path]:
    """Return the tutorials, in their order."""
    return sorted(FOLDER.glob("[0-9]*.md"))


def code_blocks(page: Path) -> list[str]:
    """Return the blocks of Python of a page."""
    return [match["code"] for match in _BLOCK.finditer(page.read_text("utf-8"))]


def outputs(page: Path) -> list[str]:
    """Return what stands behind each block of Python, "" where there is nothing."""
    return [match["output"] or "" for match in _BLOCK.finditer(page.read_text("utf-8"))]


def run(page: Path) -> Iterator[str]:
    """Run a page's blocks in the current folder, and yield what each prints."""
    namespace: dict[str, Any] = {"__name__": "tutorial"}
    matplotlib.use("Agg")
    with matplotlib.rc_context(STYLE):
        for number, code in enumerate(code_blocks(page)):
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(code, f"{page.name}, block {number + 1}", "exec"), namespace)
            matplotlib.pyplot.close("all")
            yield "".join(line.rstrip() + "\n" for line in printed.getvalue().splitlines())


def keep(picture: Path) -> None:
    """Put a picture into images/: on white, and in so many colours that it stays small."""
    image = Image.open(picture).convert("RGBA")
    paper = Image.new("RGBA", image.size, "white")
    paper.alpha_composite(image)
    paper.thumbnail((900, 900))
    paper.convert("RGB").quantize(256, Image.Quantize.FASTOCTREE).save(
        FOLDER / "images" / picture.name, optimize=True
    )


def rewrite(page: Path) -> None:
    """Put what its blocks print into a page."""
    printed = run(page)

    def block(match: re.Match[str]) -> str:
        output = next(printed)
        code = f"```python\n{match['code']}```\n"
        return f"{code}\n```text\n{output}```\n" if output else code

    text = _BLOCK.sub(block, page.read_text("utf-8"))
    page.write_text(text, "utf-8")


if __name__ == "__main__":
    (FOLDER / "images").mkdir(exist_ok=True)
    for page in pages():
        if page.name.startswith(tuple(sys.argv[1:])) or len(sys.argv) == 1:
            print(page.name, flush=True)
            with tempfile.TemporaryDirectory() as folder:
                os.chdir(folder)
                os.mkdir("images")
                rewrite(page)
                for picture in Path("images").iterdir():
                    keep(picture)
                os.chdir(FOLDER)
