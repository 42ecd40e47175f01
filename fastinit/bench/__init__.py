"""fastinit measured beside NumPy and the frameworks, for `fastinit bench` and benchmarks/."""
