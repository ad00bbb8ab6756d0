"""Who survives whose death: the table of the daemon flag, cell by cell.

Two services, one of either kind, each with a tree in which everything is that tries to get away.

What the kernel lacks or refuses (VARIANTS) is tried with those cells that stand on it most. All
cells with all variants: FOSTER_MATRIX=full, by hand, for it takes long.
"""

import errno
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "chaos"))

import sandbox  # noqa: E402
from children import Children  # noqa: E402
from foster import alive, cgroup_of_ours, end_of, logger_of, start_time, until  # noqa: E402
from test_death import loggers_of, processes_of  # noqa: E402

PROMISED = 0.1  # seconds until what must go is gone
ALLOWED = 10.0  # what a busy machine may take: a test is no measurement
KINDS = {"main", "child", "grandchild", "setsid", "orphan", "stubborn"}


@pytest.fixture(autouse=True)
def plain_segv(monkeypatch):
    """SIGSEGV is sent on purpose: a sanitizer is not to take it for a finding."""
    monkeypatch.setenv("ASAN_OPTIONS", f"{os.environ.get('ASAN_OPTIONS', '')}:handle_segv=0")

SIGNALS = [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV]
VICTIMS = ["fosterd", "manager", "both", "logger"]

VARIANTS = {
    "all-calls": {},
    "clone3-ENOSYS": {"refused": (["clone3"], errno.ENOSYS)},
    "clone3-EPERM": {"refused": (["clone3"], errno.EPERM)},
    "close_range-ENOSYS": {"refused": (["close_range"], errno.ENOSYS)},
    "clone3+close_range-EPERM": {"refused": (["clone3", "close_range"], errno.EPERM)},
    "no-pidfs": {"refused": (sandbox.PIDFS, errno.EINVAL)},
    "no-cgroup.kill": {"preload": "test-no-cgroup-kill.so"},
}
CHOSEN = list(VARIANTS) if os.environ.get("FOSTER_MATRIX") == "full" else \
    [os.environ.get("FOSTER_PIDS_RECYCLE", "all-calls")]

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

    def identities(self):
        """Pids alone may be another's by now."""
        return {(pid, self.born[kind]) for kind, pid in self.pids.items()}

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


@pytest.fixture(params=CHOSEN)
def variant(request):
    return request.param


def make(foster, cgroup, identity, variant):
    f = foster("", start=False, identity=identity)
    refused, preload = (VARIANTS[variant].get(key) for key in ("refused", "preload"))
    if preload:
        f.preload(preload, NO_CGROUP_KILL_MARK=str(f.directory / "asked-for-cgroup.kill"))
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
    gone = {tree.name: tree.identities() for tree in daemons(trees)}
    f.start().wait_up()
    moment = time.monotonic()
    for tree in daemons(trees):
        tree.check_gone_since(moment)
        tree.wait_born().check_status(adopted=False)
        assert not gone[tree.name] & tree.identities()
    trees["keeper"].check_untouched()
    trees["keeper"].check_status(adopted=True)
    # It can be stopped, all of it, although it is nobody's child.
    moment = time.monotonic()
    assert f.post("/v1/services/keeper/stop").json["result"] == "ok"
    trees["keeper"].check_gone_since(moment)
    assert f.state("keeper") == "stopped"


def check_fosterd(f, trees, signo):
    manager_ended = end_of(f.manager_pid())
    f.process.send_signal(signo)
    moment = time.monotonic()
    for tree in daemons(trees):
        tree.check_gone_since(moment)
    assert f.wait_end() == (0 if signo == signal.SIGTERM else -signo)
    until(manager_ended, "the manager leaves", 2)
    trees["keeper"].check_untouched()
    start_again(f, trees)


@pytest.mark.parametrize("cgroup", ["auto", "no"])
@pytest.mark.parametrize("signo", SIGNALS, ids=lambda s: s.name)
def test_fosterd(foster, cgroup, identity, variant, signo):
    f, trees = make(foster, cgroup, identity, variant)
    check_fosterd(f, trees, signo)


@pytest.mark.parametrize("cgroup", ["auto", "no"])
@pytest.mark.parametrize("signo", SIGNALS, ids=lambda s: s.name)
def test_manager(foster, cgroup, identity, variant, signo):
    f, trees = make(foster, cgroup, identity, variant)
    manager_ended = end_of(f.manager_pid())
    f.kill_manager(signo)
    until(manager_ended, "the manager is gone", 2)
    assert f.manager_pid()  # the next one
    check_all_untouched(trees)
    moment = time.monotonic()
    assert f.post("/v1/services/servant/restart").json["result"] == "ok"
    assert time.monotonic() - moment < ALLOWED
    until(lambda: len(trees["servant"].living()) == 0, "the old tree is gone", 1)
    trees["servant"].wait_born().check_status()


def kill_both(f, signo):
    """The manager must see nothing of the other's death."""
    manager = f.manager_pid()
    manager_ended = end_of(manager)
    if signo == signal.SIGTERM:
        # One that stands still would not act on it; it is the orderly end, without its manager.
        os.kill(manager, signal.SIGKILL)
        f.process.send_signal(signo)
        return 0
    os.kill(manager, signal.SIGSTOP)
    f.process.send_signal(signo)
    f.process.wait(10)
    os.kill(manager, signal.SIGKILL)
    until(manager_ended, "the manager is gone", 2)
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
def test_both(foster, cgroup, identity, variant, signo):
    f, trees = make(foster, cgroup, identity, variant)
    check_both(f, trees, signo)


def test_what_is_lacking_is(foster):
    """A variant that changed nothing would prove nothing."""
    f, _ = make(foster, "auto", None, "no-pidfs")
    slot = Children(f.builddir, f.run).read()["keeper"]
    assert slot["inode"] == 0 and slot["ticks"] == start_time(slot["pid"])
    f, _ = make(foster, "auto", None, "no-cgroup.kill")
    if with_cgroups:
        f.post("/v1/services/servant/restart")
        assert (f.directory / "asked-for-cgroup.kill").exists()


@pytest.mark.parametrize("cgroup", ["auto", "no"])
@pytest.mark.parametrize("variant", list(VARIANTS)[1:])
def test_both_where_something_is_lacking(foster, cgroup, identity, variant):
    f, trees = make(foster, cgroup, identity, variant)
    check_both(f, trees, signal.SIGKILL)


@pytest.mark.parametrize("variant", ["no-pidfs", "no-cgroup.kill"])
def test_stop_and_death_where_something_is_lacking(foster, identity, variant):
    f, trees = make(foster, "auto", identity, variant)
    moment = time.monotonic()
    assert f.post("/v1/services/servant/restart").json["result"] == "ok"
    trees["servant"].check_gone_since(moment)
    trees["servant"].wait_born().check_status(adopted=False)
    check_fosterd(f, trees, signal.SIGKILL)


# --- pids that recycle ----------------------------------------------------------------------

# As PID 1, so that the runner of the tests can be itself in there; and what forks all the time.
RECYCLING = """
echo 400 > /proc/sys/kernel/pid_max || exit 99
(while :; do /bin/true; done) &
"$@"
code=$?
kill $!
exit $code
"""
REPRESENTATIVE = "(test_both and SIGKILL) or (test_fosterd and SIGKILL) or (test_manager and SEGV)"


@pytest.mark.skipif(not sandbox.has_own_pid_max() or "FOSTER_PIDS_RECYCLE" in os.environ,
                    reason="needs root, and Linux 6.14: a pid_max of the PID namespace's own")
@pytest.mark.parametrize("variant", ["all-calls", "no-pidfs"])
def test_with_pids_that_recycle(variant):
    """These tests again, in a PID namespace in which a pid is another's within a moment."""
    cells = REPRESENTATIVE if len(CHOSEN) == 1 else ""
    done = subprocess.run(
        ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", RECYCLING, "sh",
         sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", cells],
        capture_output=True, text=True, timeout=1800,
        env={**os.environ, "FOSTER_PIDS_RECYCLE": variant})
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("cgroup", ["auto", "no"])
@pytest.mark.parametrize("signo", SIGNALS, ids=lambda s: s.name)
def test_logger(foster, cgroup, identity, variant, signo):
    f, trees = make(foster, cgroup, identity, variant)
    logger = logger_of(f)
    logger_ended = end_of(logger)
    os.kill(logger, signo)
    if signo == signal.SIGTERM:  # it ignores that: the logs go on until all is over
        assert loggers_of(f) == [logger] and alive(logger)
    else:
        until(logger_ended, "the logger is gone", 2)
        until(lambda: len(loggers_of(f)) == 1, "the next one", 5)
    check_all_untouched(trees)
