"""Whether a program prints what a page says."""

import math
import re

NUMBER = re.compile(r"(?<![\w.=(])[-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?(?![\w.]*\w)")


def unit(text):
    """Return what one more in the last digit of a number is worth."""
    mantissa, _, exponent = text.partition("e")
    decimals = len(mantissa.partition(".")[2])
    return 10.0 ** (int(exponent or 0) - decimals)


def agree(printed, written):
    """Return whether two outputs have the same words, and numbers within one of the last digit."""
    if NUMBER.sub("#", printed).split() != NUMBER.sub("#", written).split():
        return False
    pairs = zip(NUMBER.findall(printed), NUMBER.findall(written), strict=True)
    values = [(float(a.replace(",", "")), float(b.replace(",", "")), unit(b)) for a, b in pairs]
    return all(math.isclose(a, b, rel_tol=1e-9, abs_tol=1.01 * last) for a, b, last in values)


def shown(printed, written):
    """Return whether an output is what stands there, where a line ``...`` is any lines."""
    parts = re.split(r"^\.\.\.\n", written, flags=re.MULTILINE)
    if len(parts) == 1:
        return agree(printed, written)
    lines, at = printed.splitlines(keepends=True), 0
    for number, part in enumerate(parts):
        size = part.count("\n")
        last = len(lines) - size
        places = {0: [0], len(parts) - 1: [last]}.get(number, range(at, last + 1))
        fits = (i for i in places if i >= at and agree("".join(lines[i : i + size]), part))
        found = next(fits, None)
        if found is None:
            return False
        at = found + size
    return True
