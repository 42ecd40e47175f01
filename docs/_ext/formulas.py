"""Formulas as MathML, which browsers draw themselves: no scripts, no fonts from elsewhere."""

import re

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

SIGN = re.compile(
    r"((?:<math[^>]*>|<mrow>|<mo[^>]*>(?:&#x0003D;|&#x00028;|&#x0005B;|&#x0002C;|\(|\[|,|=)</mo>)"
    r"(?:<mrow>)*)<mo>(?=&#x02212;|&#x000B1;|-)"
)
BAR = re.compile(r'<mo stretchy="false">(?=&#x0007C;|\|)')
PRIME = re.compile(r"<mi>(&#x02032;)</mi>")


def mathml(formula, display):
    """Return a formula as MathML, with what the converter leaves as it is put right."""
    text = SIGN.sub(r'\1<mo form="prefix">', convert(formula, display=display))
    text = BAR.sub('<mo stretchy="false" lspace="0" rspace="0">', text)
    return PRIME.sub(r"<mo>\1</mo>", text).replace("\\_", "_")


def write(self, node):
    """Write a formula within a line."""
    self.body.append(mathml(node.astext(), "inline"))
    raise SkipNode


def write_block(self, node):
    """Write a formula on lines of its own."""
    self.body.append(f'<div class="formula">{mathml(node.astext(), "block")}</div>\n')
    raise SkipNode


def setup(app):
    """Take the place of Sphinx' own ways, which need TeX or a script from elsewhere."""
    app.add_html_math_renderer("mathml", (write, None), (write_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
