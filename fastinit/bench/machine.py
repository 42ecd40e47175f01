"""The machine that figures come from, since they mean nothing without it."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from fastinit.sampling import threads

__all__ = ["processor", "versions"]

CPUINFO = Path("/proc/cpuinfo")
SIMD = {"AVX-512": "avx512f", "AVX2": "avx2", "NEON": "asimd"}
"""What instructions are called -> their flag in Linux' list."""


def processor() -> str:
    """Return the kind of processor and how many cores this process may use.

    Examples
    --------
    >>> from fastinit.bench.machine import processor
    >>> processor().endswith(("core", "cores"))
    True
    """
    text = CPUINFO.read_text() if CPUINFO.exists() else ""
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    name = re.sub(r"\((R|TM)\)|\bCPU\b|@.*", "", named[1] if named else _name())
    flags = set(text.split())
    simd = next((instructions for instructions, flag in SIMD.items() if flag in flags), "")
    cores = threads._processors()
    parts = (" ".join(name.split()), platform.machine(), simd, f"{cores} core{'s' * (cores > 1)}")
    return ", ".join(dict.fromkeys(filter(None, parts)))


def _name() -> str:
    """Return what the system calls the processor where it is not Linux."""
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return platform.processor()


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return package -> version, of those that are installed.

    Parameters
    ----------
    packages : iterable of str
        As they are called where they are installed from.

    Examples
    --------
    >>> from fastinit.bench.machine import versions
    >>> list(versions(["numpy", "no-such-package"]))
    ['numpy']
    """
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
