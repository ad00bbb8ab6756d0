"""Who survives whose death: the table of the daemon flag, cell by cell.

Two services, one of either kind, each with a tree in which everything is that tries to get away.
"""

import errno
import os
import resource
import signal
import time

import pytest

import sandbox
from foster import alive, cgroup_of_ours, start_time, until
from test_death import loggers_of, processes_of

PROMISED = 0.1  # seconds until what must go is gone
ALLOWED = 10.0  # what a busy machine may take: a test is no measurement
KINDS = {"main", "child", "grandchild", "setsid", "orphan", "stubborn"}


@pytest.fixture(autouse=True)
def plain_segv(monkeypatch):
    """SIGSEGV is sent on purpose: a sanitizer is not to take it for a finding."""
    monkeypatch.setenv("ASAN_OPTIONS", f"{os.environ.get('ASAN_OPTIONS', '')}:handle_segv=0")

SIGNALS = [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV]
VICTIMS = ["fosterd", "manager", "both", "logger"]

with_cgroups = cgroup_of_ours() and os.access(cgroup_of_ours(), os.W_OK)


def no_core():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Tree:
    """One service, its options, and the processes that its start has made."""

    def __init__(self, f, name, options="", arguments=()):
        self.f, self.name = f, name
        self.file = f.directory / f"tree-{name}"
        self.file.touch()
        if f.identity:
            os.chown(self.file, *f.identity)
        words = [str(f.builddir / "test-tree"), *arguments, str(self.file)]
        self.config = "service %s { command = {%s} stop-timeout = \"50ms\" %s }\n" % (
            name, ", ".join(f'"{word}"' for word in words), options)
        self.seen = 0
        self.pids, self.born = {}, {}

    def kinds(self):
        return KINDS if self.f.identity or os.geteuid() != 0 else KINDS | {"user"}

    def lines(self):
        return [line.split() for line in self.file.read_text().splitlines()]

    def wait_born(self):
        """Waits for the tree of one more start."""
        n = len(self.kinds())
        until(lambda: len(self.lines()) >= self.seen + n,
              f"{self.name} has made its tree: {self.lines()[self.seen:]}\n{self.f.output()}", 10)
        self.pids = {kind: int(pid) for kind, pid in self.lines()[self.seen:]}
        assert set(self.pids) == self.kinds()
        self.born = {kind: start_time(pid) for kind, pid in self.pids.items()}
        self.seen += n
        return self

    def living(self):
        found = set()
        for kind, pid in self.pids.items():
            try:
                if alive(pid) and start_time(pid) == self.born[kind]:
                    found.add(kind)
            except OSError:
                pass
        return found

    def check_untouched(self):
        assert self.living() == self.kinds(), f"{self.name}: {self.f.output()}"
        assert len(self.lines()) == self.seen, f"{self.name} was started again: {self.lines()}"

    def check_gone_since(self, moment):
        while (left := self.living()) and time.monotonic() - moment < 10 * ALLOWED:
            time.sleep(0.002)
        took = time.monotonic() - moment
        assert not left, f"{self.name}: {left} are alive after {took} s: {self.f.output()}"
        assert took < ALLOWED, \
            f"{self.name}: gone after {took * 1000:.0f} ms; {PROMISED * 1000:.0f} are promised"

    def check_status(self, adopted=None):
        """Status and reality agree; there is one copy."""
        s = self.f.wait_state(self.name, "running")
        assert s["pid"] == self.pids["main"]
        assert adopted is None or s["adopted"] == adopted
        copies = processes_of(str(self.file))
        assert sorted(copies) == sorted(self.pids.values()), f"{self.name}: {copies}, {self.pids}"


def make(foster, cgroup, identity, refused=None):
    f = foster("", start=False, identity=identity)
    trees = {"keeper": Tree(f, "keeper"), "servant": Tree(f, "servant", "daemon = true"),
             "away": Tree(f, "away", "daemon = true ready = forking", ["--fork-away"])}
    if not identity and os.geteuid() == 0:
        trees["changed"] = Tree(f, "changed", "daemon = true", ["--change-user"])
    f.write(f"cgroup = {cgroup}\n" + "".join(tree.config for tree in trees.values()))

    def before_exec():
        no_core()
        if refused:
            sandbox.refuse(*refused)

    f.before_exec = before_exec
    f.start().wait_up()
    for name, tree in trees.items():
        tree.wait_born().check_status(adopted=False)
        if cgroup == "no":
            assert f.service(name)["cgroup"] is None
        elif with_cgroups and not identity:
            assert f.service(name)["cgroup"] is not None
    return f, trees


def daemons(trees):
    return [tree for name, tree in trees.items() if name != "keeper"]


def check_all_untouched(trees):
    for tree in trees.values():
        tree.check_untouched()
        tree.check_status(adopted=False)


def start_again(f, trees):
    """The next fosterd: it keeps the one, and starts the others anew."""
    gone = {tree.name: dict(tree.pids) for tree in daemons(trees)}
    f.start().wait_up()
    moment = time.monotonic()
    for tree in daemons(trees):
        tree.check_gone_since(moment)
        tree.wait_born().check_status(adopted=False)
        assert not set(gone[tree.name].values()) & set(tree.pids.values())
    trees["keeper"].check_untouched()
    trees["keeper"].check_status(adopted=True)
    # It can be stopped, all of it, although it is nobody's child.
    moment = time.monotonic()
    assert f.post("/v1/services/keeper/stop").json["result"] == "ok"
    trees["keeper"].check_gone_since(moment)
    assert f.state("keeper") == "stopped"


@pytest.mark.parametrize("cgroup", ["auto", "no"])
@pytest.mark.parametrize("signo", SIGNALS, ids=lambda s: s.name)
def test_fosterd(foster, cgroup, identity, signo):
    f, trees = make(foster, cgroup, identity)
    manager = f.manager_pid()
    f.process.send_signal(signo)
    moment = time.monotonic()
    for tree in daemons(trees):
        tree.check_gone_since(moment)
    assert f.wait_end() == (0 if signo == signal.SIGTERM else -signo)
    until(lambda: not alive(manager), "the manager leaves", 2)
    trees["keeper"].check_untouched()
    start_again(f, trees)


@pytest.mark.parametrize("cgroup", ["auto", "no"])
@pytest.mark.parametrize("signo", SIGNALS, ids=lambda s: s.name)
def test_manager(foster, cgroup, identity, signo):
    f, trees = make(foster, cgroup, identity)
    manager = f.kill_manager(signo)
    until(lambda: not alive(manager), "the manager is gone", 2)
    assert f.manager_pid() != manager
    check_all_untouched(trees)
    moment = time.monotonic()
    assert f.post("/v1/services/servant/restart").json["result"] == "ok"
    assert time.monotonic() - moment < ALLOWED
    until(lambda: len(trees["servant"].living()) == 0, "the old tree is gone", 1)
    trees["servant"].wait_born().check_status()


def kill_both(f, signo):
    """The manager must see nothing of the other's death."""
    manager = f.manager_pid()
    if signo == signal.SIGTERM:
        # One that stands still would not act on it; it is the orderly end, without its manager.
        os.kill(manager, signal.SIGKILL)
        f.process.send_signal(signo)
        return 0
    os.kill(manager, signal.SIGSTOP)
    f.process.send_signal(signo)
    f.process.wait(10)
    os.kill(manager, signal.SIGKILL)
    until(lambda: not alive(manager), "the manager is gone", 2)
    return -signo


def check_both(f, trees, signo):
    code = kill_both(f, signo)
    moment = time.monotonic()
    if signo == signal.SIGTERM:
        for tree in daemons(trees):
            tree.check_gone_since(moment)
    else:
        until(lambda: "main" not in trees["servant"].living(), "the kernel ends it", ALLOWED)
    assert f.wait_end() == code
    trees["keeper"].check_untouched()
    start_again(f, trees)


@pytest.mark.parametrize("cgroup", ["auto", "no"])
@pytest.mark.parametrize("signo", SIGNALS, ids=lambda s: s.name)
def test_both(foster, cgroup, identity, signo):
    f, trees = make(foster, cgroup, identity)
    check_both(f, trees, signo)


@pytest.mark.parametrize("cgroup", ["auto", "no"])
@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EPERM], ids=["ENOSYS", "EPERM"])
@pytest.mark.parametrize("calls", [["clone3"], ["close_range"], ["clone3", "close_range"]],
                         ids="+".join)
def test_both_with_calls_refused(foster, cgroup, identity, calls, code):
    f, trees = make(foster, cgroup, identity, (calls, code))
    check_both(f, trees, signal.SIGKILL)


@pytest.mark.parametrize("cgroup", ["auto", "no"])
@pytest.mark.parametrize("signo", SIGNALS, ids=lambda s: s.name)
def test_logger(foster, cgroup, identity, signo):
    f, trees = make(foster, cgroup, identity)
    logger, = loggers_of(f)
    os.kill(logger, signo)
    if signo == signal.SIGTERM:  # it ignores that: the logs go on until all is over
        assert loggers_of(f) == [logger] and alive(logger)
    else:
        until(lambda: not alive(logger), "the logger is gone", 2)
        until(lambda: len(loggers_of(f)) == 1 and loggers_of(f) != [logger], "the next one", 5)
    check_all_untouched(trees)
