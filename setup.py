"""Where the optional ahead-of-time compiled extension is declared; all else is in pyproject.toml."""

from setuptools import setup

setup()
