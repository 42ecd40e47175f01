"""What draws here, and with which versions: for bug reports."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from fastinit.errors import ArgumentError
from fastinit.sampling import backend
from fastinit.sampling.threads import get_num_threads

__all__ = ["show_config"]


def show_config(mode: str = "stdout") -> dict[str, Any] | None:
    """Print the backend that draws, its SIMD level, the number of threads, and versions.

    Parameters
    ----------
    mode : {"stdout", "dicts"}, default "stdout"
        Print, or return a dict.

    Returns
    -------
    dict or None
        With ``mode="dicts"``: under ``"backend"`` ``"cython"`` or ``"numba"``, under ``"reason"``
        why this one, under ``"simd"`` the instructions it uses, under ``"threads"`` how many
        threads a large fill uses, under ``"platform"`` the system, and the versions of fastinit,
        Python and the packages that fastinit uses, each under its name.

    Raises
    ------
    ArgumentError
        If `mode` is another one.
    BackendError
        If the environment variable ``FASTINIT_BACKEND`` asks for a backend that is not there.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.show_config("dicts")["threads"] == fastinit.get_num_threads()
    True
    """
    if mode not in ("stdout", "dicts"):
        raise ArgumentError(f"mode must be 'stdout' or 'dicts', got {mode!r}")
    config = _config()
    if mode == "dicts":
        return config
    for name, value in config.items():
        print(f"{name:10}{value}")
    return None


def _config() -> dict[str, Any]:
    import platform  # not at the top: `import fastinit` stays light

    from fastinit import __version__

    name = backend.name()
    return {
        "fastinit": __version__,
        "backend": name,
        "reason": _reason(),
        "simd": backend.load().simd() if name == "cython" else "chosen by LLVM",
        "threads": get_num_threads(),
        "python": platform.python_version(),
        **{package: _version(package) for package in ("numpy", "numba", "scipy", "ml_dtypes")},
        "platform": platform.platform(),
    }


def _reason() -> str:
    if os.environ.get("FASTINIT_BACKEND"):
        return "FASTINIT_BACKEND asks for it"
    try:
        import_module("fastinit.sampling.cython_fill")
    except ImportError as error:
        return f"the compiled extension does not load: {error}"
    return "the compiled extension is there"


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
