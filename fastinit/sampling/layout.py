"""Constants of stream version 1: how the elements of a tensor map to the generator's words.

Element ``i`` belongs to tile ``i // TILE``. A tile is made of ``LANES`` consecutive counters, each
of which gives four words, stored word-major: word ``w`` of lane ``l`` stands at ``w * LANES + l``.
So element ``i`` is word ``(i % TILE) // LANES`` of counter ``(i // TILE) * LANES + i % LANES``, and
a loop over the lanes computes and stores whole SIMD vectors.
"""

LANES = 16
TILE = 4 * LANES
