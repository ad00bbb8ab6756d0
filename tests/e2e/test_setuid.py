"""Services whose program is set-user-ID root, in a foster of an ordinary user's.

The exec of such a program clears the death signal, and nobody but root may read its environment.
"""

import os
import shutil
import signal
import time

import pytest

from conftest import ordinary_user
from foster import alive, until
from test_death import processes_of
from test_matrix import Tree, daemons, kill_both, start_again
from test_services import SLEEP

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make such a program")


class SetuidTree(Tree):
    """It lies in the directory of the test as root's."""

    def __init__(self, f, name, options="", arguments=()):
        super().__init__(f, name, options, arguments)
        path = f.directory / "setuid-tree"
        if not path.exists():
            shutil.copy(f.builddir / "test-tree", path)
            os.chown(path, 0, 0)
            path.chmod(0o4755)
        self.config = self.config.replace(str(f.builddir / "test-tree"), str(path))


def make(foster, arguments=(), more=""):
    f = foster("", start=False, identity=ordinary_user())
    trees = {"keeper": SetuidTree(f, "keeper"),
             "servant": SetuidTree(f, "servant", "daemon = true", arguments)}
    f.write("".join(tree.config for tree in trees.values()) + more)
    f.start().wait_up()
    for tree in trees.values():
        tree.wait_born().check_status(adopted=False)
        assert os.stat(f"/proc/{tree.pids['main']}").st_uid == 0
    return f, trees


def test_fosterd(foster):
    f, trees = make(foster)
    f.kill_supervisor()
    moment = time.monotonic()
    for tree in daemons(trees):
        tree.check_gone_since(moment)
    trees["keeper"].check_untouched()
    start_again(f, trees)


def test_manager(foster):
    f, trees = make(foster)
    f.kill_manager()
    f.manager_pid()
    for tree in trees.values():
        tree.check_untouched()
        tree.check_status(adopted=False)
    assert f.post("/v1/services/servant/restart").json["result"] == "ok"
    until(lambda: not trees["servant"].living(), "the old tree is gone", 2)


def test_both(foster):
    f, trees = make(foster)
    kill_both(f, signal.SIGKILL)
    # Nobody has ended it: the kernel does not, and the manager was not there.
    assert "main" in trees["servant"].living()
    trees["keeper"].check_untouched()
    start_again(f, trees)


@pytest.fixture
def out_of_reach(foster):
    """A daemon whose main process is root's for good. It is ended by the test."""
    f, trees = make(foster, ["--become-root"], f"service other {{ command = {SLEEP} daemon = true }}")
    main = trees["servant"].pids["main"]
    until(lambda: open(f"/proc/{main}/status").read().split("Uid:")[1].split()[0] == "0")
    yield f, trees["servant"], main
    f.end()
    # Nobody but root can end what it has left.
    for pid in processes_of(str(trees["servant"].file)):
        os.kill(pid, signal.SIGKILL)


def test_out_of_reach_is_said(out_of_reach):
    f, tree, main = out_of_reach
    f.write(f.config_path.read_text().replace('"50ms"', '"20ms"'))
    f.post("/v1/services/servant/stop?wait=0")
    s = until(lambda: (s := f.service("servant"))["next"] and "SIGKILL again" in s["next"] and s)
    assert s["state"] == "stopping" and s["pid"] == main
    assert "it cannot be signalled (Operation not permitted)" in s["next"]
    assert "it cannot be signalled (Operation not permitted)" in f.ctl("why", "servant").stdout
    until(lambda: f.output().count("it has become another user's") == 1, f.output())
    until(lambda: "SIGKILL again in 2s" in f.service("servant")["next"] or
          "SIGKILL again in 1." in f.service("servant")["next"], "ever less often", 10)
    assert f.output().count("it has become another user's") == 1
    os.kill(main, signal.SIGKILL)
    assert f.wait_state("servant", "stopped")["exit"] == "killed by SIGKILL"


def test_out_of_reach_does_not_hold_up_the_end(out_of_reach):
    """And the next fosterd, which cannot end it either, does not start a second one."""
    f, tree, main = out_of_reach
    f.process.terminate()
    assert f.wait_end() == 0
    assert f"servant[{main}]: cannot be ended, and is left" in f.output()
    assert alive(main)
    f.start().wait_up()
    s = f.service("servant")
    assert s["pid"] == main and s["adopted"] and s["state"] == "running"
    assert f.wait_state("other", "running")["pid"]
    os.kill(main, signal.SIGKILL)
    until(lambda: f.service("servant")["pid"] not in (0, main), "it is started again")


def test_check_says_so(foster, builddir):
    f = foster("", start=False, identity=ordinary_user())
    tree = SetuidTree(f, "servant")
    f.write(tree.config + f"service plain {{ command = {SLEEP} }}")
    done = f.ctl("check", str(f.config_path))
    assert done.returncode == 0
    text = done.stdout + done.stderr
    assert "foster.conf:1: note: service servant:" in text and "setuid-tree is a set-user-ID" in text
    assert "plain" not in text
