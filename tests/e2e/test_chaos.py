"""Random injuries, always the same ones: tests/chaos/chaos.py goes on longer by hand."""

import subprocess
import sys


def test_chaos(builddir, srcdir, directory):
    done = subprocess.run([sys.executable, str(srcdir / "tests/chaos/chaos.py"), "--seed=1",
                           "--rounds=60", "--cgroup=auto", f"--builddir={builddir}",
                           f"--directory={directory / 'f'}"],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
