"""Random injuries, of seeds that are always the same and of one that is new each time (it is
printed, and stands in a failure's text). tests/chaos/chaos.py goes on longer by hand."""

import subprocess
import sys

import pytest

import sandbox

ROUNDS = 150
SECONDS = 18  # of rounds: a slow machine does fewer


def run(builddir, srcdir, *options):
    done = subprocess.run(
        [sys.executable, str(srcdir / "tests/chaos/chaos.py"), f"--builddir={builddir}",
         f"--rounds={ROUNDS}", f"--seconds={SECONDS}", *options],
        capture_output=True, text=True, timeout=300)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("seed, cgroup", [(1, "auto"), (2, "no")])
def test_chaos(builddir, srcdir, seed, cgroup):
    run(builddir, srcdir, "--seed", str(seed), "--cgroup", cgroup)


def test_chaos_of_a_new_seed(builddir, srcdir):
    """Where that can be had, with so few pids that they recycle."""
    run(builddir, srcdir, *(["--pid-max", "500"] if sandbox.has_own_pid_max() else []))
