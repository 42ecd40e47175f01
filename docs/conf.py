"""How Sphinx makes the site: python -m sphinx -W --keep-going -b html docs docs/_build/html."""

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))
backend = next((name for name in ("torch", "jax") if find_spec(name)), "numpy")
os.environ.setdefault("KERAS_BACKEND", backend)  # Keras' own default is TensorFlow

import fastinit  # noqa: E402

project = "fastinit"
author = "the fastinit developers"
copyright = author
version = release = fastinit.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "formulas",
    "reference",
]
exclude_patterns = ["_build", "README.md"]

# Markdown: the pages also read well where they lie, so they have few directives.
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 4
suppress_warnings = [
    "myst.xref_missing_suffix",
]

# The reference. A single pair of backticks is a name of the library, or of a parameter.
default_role = "py:obj"
numpydoc_show_class_members = False
autodoc_typehints = "none"  # the docstrings say more
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autosummary_generate = False

# Every name with a dot must lead somewhere; those without one may be parameters.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"[^.]+"),
    (r"py:.*", r"(torch|keras|jax|flax|numpy|numba|dask|scipy|pandas|matplotlib|collections)\..*"),
]

html_math_renderer = "mathml"
html_theme = "furo"
html_title = f"fastinit {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
pygments_style = "tango"
pygments_dark_style = "github-dark"
copybutton_exclude = ".linenos, .gp, .go"  # commands without their prompt and output

# Pages here that stand for files elsewhere in the tree.
STANDING_FOR = {
    "benchmarks": "benchmarks/README.md",
    "changelog": "CHANGELOG.md",
    "contributing": "CONTRIBUTING.md",
}


def lead_to_pages(app, docname, source):
    """Put such a file in the place of its page, and let links to it lead there."""
    folder = HERE.joinpath(docname).parent
    if docname in STANDING_FOR:
        file = HERE.parent / STANDING_FOR[docname]
        source[0], folder = file.read_text("utf-8"), file.parent

    def moved(match):
        path, mark, anchor = match[1].partition("#")
        if not path or ":" in path:
            return match[0]
        target = folder.joinpath(path).resolve()
        for page, file in STANDING_FOR.items():
            if target == HERE.parent / file:
                target = HERE / f"{page}.md"
        here = HERE.joinpath(docname).parent
        return f"]({os.path.relpath(target, here)}{mark}{anchor})".replace(os.sep, "/")

    source[0] = re.sub(r"\]\(([^()\s]+)\)", moved, source[0])


def setup(app):
    """Connect what is above."""
    app.connect("source-read", lead_to_pages)
