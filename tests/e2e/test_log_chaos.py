"""No line is lost, whatever is killed: a few dozen rounds of tests/chaos/logs.py, which makes a
thousand of them by hand."""

import sys

import pytest

sys.path.insert(0, __file__.rsplit("/e2e/", 1)[0] + "/chaos")

from logs import LogChaos  # noqa: E402

@pytest.mark.parametrize("seed, options", [(1, ""), (2, "log-timestamps = true")])
def test_nothing_is_lost(builddir, directory, seed, options):
    chaos = LogChaos(builddir, directory, seed, options)
    try:
        for _ in range(30):
            chaos.round()
        assert chaos.finish() > 0
    finally:
        chaos.foster.end()
        chaos.kill([chaos.pid, *chaos.loggers(), *chaos.managers()])
