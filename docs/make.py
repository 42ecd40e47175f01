"""Run the pages of the documentation, and write what they print and draw into them.

The blocks of Python of a page run one after the other, in one namespace and in an empty folder.
A block of ```text behind one holds what it printed. Commands in a block of ```console run there,
too, and what they print stands below them, where ``...`` is anything. What a page saves in images/
is put into the folder images beside it. After a change, of a page or of what it shows:

    python docs/make.py                        all pages
    python docs/make.py lab tutorials/02       those whose paths begin so

The tests run all pages, and compare what they print with what stands there.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any
from unittest.mock import patch

FOLDER = Path(__file__).resolve().parent
# What a page with one of them needs a process of its own for: settings, threads, workers.
FRAMEWORKS = ("dask", "flax", "jax", "keras", "torch", "transformers")

# How the pictures look; a reader's own look as Matplotlib is set up there.
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


@dataclass(frozen=True)
class Block:
    """Something between fences: its language, its lines, and where they are in the page."""

    language: str
    lines: tuple[str, ...]
    first: int
    last: int

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "".join(f"{line}\n" for line in self.lines)

    def commands(self) -> Iterator[tuple[str, str]]:
        """Yield the commands of a console, each with what stands below it."""
        text = self.text.replace("\\\n", "")
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


def pages() -> list[Path]:
    """Return the pages that have something to run, in the order of their paths."""
    found = sorted(page for page in FOLDER.rglob("*.md") if "_build" not in page.parts)
    return [page for page in found if any(code for code, _ in steps(page))]


def blocks(page: Path) -> list[Block]:
    """Return everything between fences."""
    found: list[Block] = []
    fence, start = "", 0
    lines = page.read_text("utf-8").splitlines()
    for number, line in enumerate(lines):
        mark = line.lstrip()
        if not fence and (opening := re.match(r"(`{3,}|~{3,})\s*(.*)", mark)):
            fence, language, start = opening[1], opening[2], number + 1
        elif fence and mark.rstrip() == fence:
            found.append(Block(language, tuple(lines[start:number]), start, number))
            fence = ""
    if fence:
        raise ValueError(f"{page}: the block in line {start} has no end")
    return found


def steps(page: Path) -> list[tuple[Block, Block | None]]:
    """Return the blocks that run, each with the block that holds what it prints."""
    every = blocks(page)
    found: list[tuple[Block, Block | None]] = []
    for block, after in zip_longest(every, every[1:]):
        if block.language == "python":
            beside = after is not None and after.language == "text" and after.first < block.last + 4
            found.append((block, after if beside else None))
        elif block.language == "console":
            found.append((block, block))
    return found


def code_blocks(page: Path) -> list[str]:
    """Return what runs."""
    return [block.text for block, _ in steps(page)]


def outputs(page: Path) -> list[str]:
    """Return what stands behind each block that runs, "" where there is nothing."""
    return [output.text if output else "" for _, output in steps(page)]


def frameworks(page: Path) -> list[str]:
    """Return the frameworks that a page imports."""
    code = "\n".join(block.text for block, _ in steps(page) if block.language == "python")
    names = set()
    for node in ast.parse(code).body:  # one within an `if` is not needed
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    parts = {part for name in names for part in name.removeprefix("fastinit.").split(".")[:1]}
    return sorted(parts.intersection(FRAMEWORKS))


def run(page: Path) -> Iterator[str]:
    """Run a page's blocks in the current folder, and yield what each prints."""
    import matplotlib
    import matplotlib.pyplot

    namespace: dict[str, Any] = {"__name__": "__main__"}
    matplotlib.use("Agg")
    with matplotlib.rc_context(STYLE):
        for number, (block, _) in enumerate(steps(page), 1):
            where = f"{page.name}, block {number}"
            printed = io.StringIO()
            if block.language == "console":
                for command, _ in block.commands():
                    printed.write(f"$ {command}\n")
                    _command(command, printed, where)
            else:
                with contextlib.redirect_stdout(printed):
                    exec(compile(block.text, where, "exec"), namespace)
            matplotlib.pyplot.close("all")
            yield "".join(line.rstrip() + "\n" for line in printed.getvalue().splitlines())


def _command(command: str, printed: io.StringIO, where: str) -> None:
    from fastinit.cli import main

    program, *arguments = shlex.split(command, comments=True)
    if program != "fastinit":
        raise ValueError(f"{where}: only fastinit is run, not {command!r}; write it as ```sh")
    said = io.StringIO()
    with (
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(said),
        patch.object(sys, "argv", [program, *arguments]),
    ):
        status = main(arguments)
    if status:
        raise AssertionError(f"{where}: {command} ends with {status}:\n{said.getvalue()}")


def keep(picture: Path, folder: Path) -> None:
    """Put a picture into a folder: on white, and in so many colours that it stays small."""
    from PIL import Image

    image = Image.open(picture).convert("RGBA")
    paper = Image.new("RGBA", image.size, "white")
    paper.alpha_composite(image)
    paper.thumbnail((900, 900))
    folder.mkdir(exist_ok=True)
    paper.convert("RGB").quantize(256, Image.Quantize.FASTOCTREE).save(
        folder / picture.name, optimize=True
    )


def rewrite(page: Path) -> None:
    """Put what its blocks print into a page, and what they draw beside it."""
    lines = page.read_text("utf-8").splitlines()
    shift = 0
    for (block, output), printed in zip(steps(page), run(page), strict=True):
        new = printed.splitlines()
        if output is None:
            if not new:
                continue
            at = block.last + 1 + shift
            lines[at:at] = new = ["", "```text", *new, "```"]
            shift += len(new)
        else:
            if block.language == "console" and _is_left(output):
                continue
            lines[output.first + shift : output.last + shift] = new
            shift += len(new) - len(output.lines)
    page.write_text("\n".join(lines) + "\n", "utf-8")
    for picture in sorted(Path("images").iterdir()):
        keep(picture, page.parent / "images")


def _is_left(console: Block) -> bool:
    """Say whether a console shows commands alone, or leaves something out."""
    shown = [output for _, output in console.commands()]
    return not any(shown) or any("..." in output.splitlines() for output in shown)


def _alone(page: Path, *options: str) -> None:
    """Do something with a page in a process of its own, in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "images").mkdir()
        # What frameworks say of one another's old ways is not this page's matter.
        strict = ["-W", "error", "-W", "default::DeprecationWarning"]
        command = [sys.executable, *strict, __file__, "--one", str(page), *options]
        subprocess.run(command, cwd=folder, check=True)


def run_alone(page: Path) -> tuple[list[str], list[str]]:
    """Return what the blocks of a page print in a process of its own, and what pictures it has."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "found.json")
        _alone(page, str(file))
        printed, drawn = json.loads(file.read_text("utf-8"))
        return printed, drawn


if __name__ == "__main__":
    os.environ.setdefault("KERAS_BACKEND", "torch")
    os.environ["COLUMNS"] = "80"
    match sys.argv[1:]:
        case ["--one", page]:
            rewrite(Path(page))
        case ["--one", page, file]:
            found = list(run(Path(page))), sorted(path.name for path in Path("images").iterdir())
            Path(file).write_text(json.dumps(found), "utf-8")
            sys.stdout.flush()
            os._exit(0)  # a thread of a framework may, now and then, abort a Python that ends
        case wanted:
            failed = []
            for page in pages():
                name = page.relative_to(FOLDER).as_posix()
                if name.startswith(tuple(wanted)) or not wanted:
                    print(name, flush=True)
                    try:
                        _alone(page)
                    except subprocess.CalledProcessError:  # which has said why
                        failed.append(name)
            sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
