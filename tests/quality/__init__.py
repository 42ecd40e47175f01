"""How good the random numbers are: statistical tests that anyone can run.

    python -m tests.quality

`streams` is what is judged, and the faults that must be found; `p_values` turns numbers into
p-values; `checks` is the list of what is tested; `__main__` runs it and gives the verdict.
"""
