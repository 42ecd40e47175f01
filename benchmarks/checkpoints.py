"""How fast `fastinit write` is and what memory it takes, beside what bounds it: disk and cores.

    python benchmarks/checkpoints.py                      # 4.4 GB in a temporary folder
    python benchmarks/checkpoints.py --folder /data --json benchmarks/checkpoints.json

In turns, for each dtype: plain writes of as many bytes (the disk); the same tensors made and
checksummed but not written (the cores); `fastinit write` in a process of its own, which says how
much memory it took; then `fastinit verify` and `fastinit diff` of what was written. Making and
writing overlap, so the time that is predicted is the longer of the first two.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import fastinit
from fastinit.bench import machine
from fastinit.checkpoints import describe, writing

# The shape of TinyLlama, 1.1 billion parameters; in 16 bits twice as many layers.
CONFIG = {
    "model_type": "llama",
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
}
LAYERS = {"float32": 22, "bfloat16": 46}
COMMAND = """
import sys
from pathlib import Path
from fastinit import cli
status = cli.main(sys.argv[1:])
words = Path("/proc/self/status").read_text().split()
print("peak", int(words[words.index("VmHWM:") + 1]) * 1024)
sys.exit(status)
"""


def timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def plain(path: Path, size: int) -> None:
    """Write so many bytes as `write` does, and no more than that."""
    places = iter(range(0, size, writing.PIECE))
    turn = threading.Lock()
    path.touch()

    def work() -> None:
        memory = mmap.mmap(-1, writing.PIECE)
        with writing._open(path, hasattr(os, "O_DIRECT")) as stream:
            while True:
                with turn:
                    place = next(places, None)
                if place is None:
                    return
                stream.seek(place)
                stream.write(memory)

    hands = [threading.Thread(target=work) for _ in range(2)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    with open(path, "r+b") as stream:
        os.fsync(stream.fileno())
    path.unlink()


def made(model: Path, out: Path, dtype: str) -> None:
    """Do all that `write` does but the writing."""
    with mock.patch.object(writing._Hand, "_write", return_value=None):
        fastinit.checkpoints.write(model, out, seed=0, dtype=dtype)


def command(*arguments: object) -> tuple[float, int]:
    """Return the seconds and the peak memory of a command."""
    start = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-c", COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    return time.perf_counter() - start, int(result.stdout.split()[-1])


def measured(folder: Path, dtype: str, rounds: int) -> dict[str, Any]:
    model = folder / "config.json"
    model.write_text(json.dumps(CONFIG | {"num_hidden_layers": LAYERS[dtype]}))
    size = describe(model, dtype=dtype).nbytes
    seconds: dict[str, list[float]] = {}
    peak: dict[str, int] = {}
    out = folder / "model"

    def note(name: str, took: float) -> None:
        seconds.setdefault(name, []).append(took)

    for _ in range(rounds):
        note("disk", timed(lambda: plain(folder / "plain", size)))
        note("cores", timed(lambda: made(model, out, dtype)))
        shutil.rmtree(out)
        commands = {
            "write": ("write", model, out, "--seed", 0, "--dtype", dtype),
            "verify": ("verify", out),
            "diff": ("diff", out),
        }
        for name, arguments in commands.items():
            took, memory = command(*arguments)
            note(name, took)
            peak[name] = max(memory, peak.get(name, 0))
        shutil.rmtree(out)
    middle = {name: statistics.median(each) for name, each in seconds.items()}
    predicted = max(middle["disk"], middle["cores"])
    return {"bytes": size, "seconds": middle, "predicted": predicted, "peak": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="on the disk to measure")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures into this file")
    options = parser.parse_args()
    results: dict[str, Any] = {
        "processor": machine.processor(),
        "threads": fastinit.get_num_threads(),
    }
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for dtype in LAYERS:
            found = results[dtype] = measured(Path(folder), dtype, options.rounds)
            size = found["bytes"]
            print(f"{dtype}, {size / 1e9:.2f} GB; predicted {found['predicted']:.2f} s")
            for name, took in found["seconds"].items():
                memory = found["peak"].get(name)
                held = "" if memory is None else f"{memory / 1e6:6.0f} MB of memory"
                print(f"  {name:8}{took:8.2f} s {size / took / 1e9:6.2f} GB/s {held}")
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
