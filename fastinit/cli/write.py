"""``fastinit write``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from fastinit.cli.arguments import EXIT_INTERRUPTED, EXIT_OUTPUT, fail
from fastinit.cli.models import add_rule_options, bar, rules_of

__all__ = ["add", "run"]

EXAMPLES = """\
examples:
  fastinit write config.json checkpoint --seed 0 --dtype bfloat16
  fastinit write mine.json x.safetensors --recipe '*.bias=zeros,*=he_normal'
  fastinit write trained.safetensors fresh.safetensors --recipe recipe.json
"""
UNITS = ("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("bytes", 1)
RESUMED = "what is written is kept, and the same command goes on from there"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser.

    Parameters
    ----------
    commands : argparse subparsers
    """
    parser = commands.add_parser(
        "write",
        help="write a model's initial weights into safetensors files, of any size",
        description="Write a model's initial weights into safetensors files, in little memory. "
        "What\nis interrupted goes on when the same command is given again.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=Path,
        help="a JSON description, a config.json of Hugging Face (gpt2, llama), or a safetensors "
        "file, index or folder, for its names and shapes",
    )
    parser.add_argument(
        "out", metavar="OUT", type=Path, help="a folder, or a file NAME.safetensors"
    )
    add_rule_options(parser, "what the model says, or 0")
    parser.add_argument(
        "--shard-size",
        metavar="BYTES",
        help="of a file, such as 500MB or 5GB (default: 5GB in a folder, no limit for a file)",
    )
    parser.add_argument("--force", action="store_true", help="replace what is there")


def run(arguments: argparse.Namespace) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : argparse.Namespace

    Returns
    -------
    int
        The exit status.
    """
    from fastinit.checkpoints import describe, write

    options = rules_of(arguments)
    seed = options.pop("seed")
    description = describe(arguments.model, **options)
    if seed is None and description.seed is None:
        seed = 0
    began = time.perf_counter()
    try:
        with bar("writing", of_bytes=True) as progress:
            made = write(
                description,
                arguments.out,
                seed=seed,
                shard_size=arguments.shard_size,
                force=arguments.force,
                progress=progress,
            )
    except OSError as error:
        return fail(f"{error.strerror} ({error.filename or arguments.out}); {RESUMED}", EXIT_OUTPUT)
    except KeyboardInterrupt:
        return fail(f"interrupted; {RESUMED}", EXIT_INTERRUPTED)
    seconds = time.perf_counter() - began
    print(
        f"{made}\n{len(description)} tensors, {description.parameters:,} parameters, "
        f"{_size(description.nbytes)} in {seconds:.3g} s"
    )
    return 0


def _size(count: int) -> str:
    unit, factor = next(row for row in UNITS if count >= row[1] or row[1] == 1)
    return f"{count / factor:.3g} {unit}"
