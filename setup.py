"""The place of the optional compiled extension; all else is in pyproject.toml."""

from setuptools import setup

setup()
