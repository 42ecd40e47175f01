"""The reference, from docstrings and from what the commands say of themselves.

    ```{names} fastinit.nn
    Dense
    Dropout
    ```

becomes a table of these names and below it what their docstrings say; ``{commands}`` the help of
every command of ``fastinit``.
"""

import argparse
import os
from importlib import import_module
from importlib.util import find_spec
from inspect import isclass, signature
from unittest.mock import patch

from docutils.nodes import literal, literal_block, reference, section, title
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

FRAMEWORKS = {"dask", "jax", "keras", "torch"}


def is_absent(name):
    """Return whether a name is that of an adapter whose framework is not installed."""
    adapter = name.partition("fastinit.")[2].partition(".")[0]
    return adapter in FRAMEWORKS and not find_spec(adapter)


def entry(module, name):
    """Return what Sphinx is told of a public name."""
    home = import_module(module)
    thing, full = getattr(home, name), f"{module}.{name}"
    own, where = getattr(thing, "__name__", name), str(getattr(thing, "__module__", module))
    kind = "class" if isclass(thing) else "function" if callable(thing) else "data"
    if own != name and getattr(home, own, None) is thing:
        return [f".. py:{kind}:: {name}", "", f"   Another name of `{module}.{own}`."]
    if not where.startswith("fastinit"):
        return [f".. py:{kind}:: {name}", "", f"   ``{where}.{own}``, as it is."]
    if kind == "data":
        value = repr(thing)
        short = value if len(value) < 60 else f"{value[:56]} ..."
        return [f".. py:data:: {name}", f"   :value: {short}"]
    if hasattr(thing, "py_func"):  # compiled, and so no function in the eyes of Sphinx
        return [f".. autofunction:: {full}{signature(thing.py_func)}"]
    return [f".. auto{kind}:: {full}"]


class Names(SphinxDirective):
    """``{names} module``: a table of public names, and their docstrings."""

    has_content = True
    required_arguments = 1

    def run(self):
        """Return the nodes."""
        module = self.arguments[0]
        names = [name for line in self.content for name in line.split()]
        if is_absent(module):
            said = f"`{module}` has {', '.join(names)}. Its framework was not there to show more."
            return self.parse_text_to_nodes(StringList([said]))
        seen = self.env.temp_data.setdefault("modules", {"fastinit"})
        start = "currentmodule" if module in seen else "module"
        seen.add(module)
        lines = ["````{eval-rst}", f".. {start}:: {module}", "", ".. autosummary::", ""]
        lines += [f"   {name}" for name in names]
        for name in names:
            lines += ["", *entry(module, name)]
        return self.parse_text_to_nodes(StringList([*lines, "````"]), allow_section_headings=False)


class Commands(SphinxDirective):
    """``{commands}``: a section for each command, with its help."""

    def run(self):
        """Return the nodes."""
        from fastinit import cli

        with patch.dict(os.environ, COLUMNS="88", NO_COLOR="1"):
            parser = cli._parser()
            [commands] = [
                action.choices
                for action in parser._actions
                if isinstance(action, argparse._SubParsersAction)
            ]
            return [
                section(
                    "",
                    title("", f"fastinit {name}"),
                    literal_block("", command.format_help(), language="text"),
                    ids=[f"fastinit-{name}"],
                    names=[f"fastinit {name}"],
                )
                for name, command in commands.items()
            ]


def leave_internal_names(app, env, node, contnode):
    """Leave a name that is there, but internal, without a link; one that is not is a mistake."""
    if is_absent(str(node.get("reftarget"))):
        return contnode
    steps = str(node.get("reftarget")).split(".")
    for split in range(len(steps), 0, -1):
        try:
            thing = import_module(".".join(steps[:split]))
            for step in steps[split:]:
                thing = getattr(thing, step)
        except (ImportError, AttributeError):
            continue
        return contnode
    return None


def link_names(app, doctree, docname):
    """Let the library's names in the pages lead to what the reference says of them."""
    domain = app.env.get_domain("py")
    for node in list(doctree.findall(literal)):
        name = node.astext().partition("(")[0]
        name = f"fastinit.{name}" if name.startswith("lab.") else name
        found = domain.objects.get(name)
        if not found or not name.startswith("fastinit.") or isinstance(node.parent, reference):
            continue
        link = make_refnode(app.builder, docname, found.docname, found.node_id, node.deepcopy())
        node.replace_self(link)


def setup(app):
    """Add the directives."""
    app.connect("doctree-resolved", link_names)
    app.connect("missing-reference", leave_internal_names)
    app.add_directive("names", Names)
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
