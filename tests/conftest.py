"""What all tests share."""

from hypothesis import settings

import fastinit

# A shared machine may pause anywhere; speed is the benchmarks' matter.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_report_header():
    config = fastinit.show_config("dicts")
    return f"fastinit: {config['backend']} backend, {config['simd']}, {config['reason']}"
