"""What the tests of LSUV and data-dependent initialization share."""

import numpy as np

import fastinit

DEPTH, WIDTH, FEATURES = 15, 60, 20
# Neither centred nor of variance 1.
X = fastinit.normal((300, FEATURES), 1.0, 3.0, seed=1)


def spread(values):
    """Return the largest of positive numbers over the smallest."""
    return float(np.max(values) / np.min(values))
