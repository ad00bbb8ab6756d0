"""What every end-to-end test stands on.

Each test gets a private directory and a mark in the environment (FOSTER_TEST) that every process
it starts inherits. After the test the suite itself looks: no process with that mark, no child of
the test runner (it is a child subreaper, so orphans come to it), no descriptor more than before,
and nothing from a sanitizer in what foster wrote.
"""

import ctypes
import os
import pathlib
import pwd
import shutil
import signal
import sys
import tempfile
import time
import uuid

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from foster import CGROUPS, Foster, until  # noqa: E402

PR_SET_CHILD_SUBREAPER = 36
SANITIZER_WORDS = ("AddressSanitizer", "LeakSanitizer", "runtime error:", "UndefinedBehavior")
USERS = ("nobody", "daemon", "games")


def pytest_configure(config):
    if not os.environ.get("FOSTER_BUILDDIR"):
        raise pytest.UsageError("FOSTER_BUILDDIR must name the build directory; "
                                "./quickstart test sets it")
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # A shell in the background, or nohup, has them ignored, and so would all that is tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for signo in signal.SIGHUP, signal.SIGQUIT:
        signal.signal(signo, signal.SIG_DFL)


def kill_one(pid, signo, kill=os.kill):
    """os.kill() for tests: 0, the pid of a service without a process, would be the runner itself."""
    assert pid > 1, f"{signal.Signals(signo).name} for pid {pid}"
    kill(pid, signo)


os.kill = kill_one


@pytest.fixture(scope="session")
def builddir():
    return pathlib.Path(os.environ["FOSTER_BUILDDIR"]).resolve()


@pytest.fixture(scope="session")
def srcdir():
    return pathlib.Path(__file__).resolve().parents[2]


def marked_processes(mark):
    """Live processes that carry the mark, as {pid: command line}."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as f:
                if f"FOSTER_TEST={mark}".encode() in f.read().split(b"\0"):
                    with open(f"/proc/{entry}/cmdline", "rb") as g:
                        found[int(entry)] = g.read().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
    return found


def reap_orphans():
    """Reaps what came to us; returns how many children are still there."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                with open(f"/proc/self/task/{os.getpid()}/children") as f:
                    return f.read().split()
        except ChildProcessError:
            return []


def removed(path):
    """Removes a cgroup and those below; False while a process is in one of them."""
    try:
        for below in sorted((p for p in path.rglob("*") if p.is_dir()), reverse=True):
            below.rmdir()
        if path.exists():
            path.rmdir()
    except OSError:
        return False
    return True


def open_descriptors():
    return {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
            if os.path.islink(f"/proc/self/fd/{fd}")}


@pytest.fixture(autouse=True)
def nothing_is_left(request, monkeypatch):
    mark = uuid.uuid4().hex
    monkeypatch.setenv("FOSTER_TEST", mark)
    for name in ("FOSTER_RUN_DIRECTORY", "NOTIFY_SOCKET", "FOSTER_INSTANCE"):
        monkeypatch.delenv(name, raising=False)
    before = set(open_descriptors().values())
    yield
    deadline = time.monotonic() + 5
    while True:
        left, children = marked_processes(mark), reap_orphans()
        if not left and not children or time.monotonic() > deadline:
            break
        time.sleep(0.01)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    reap_orphans()
    assert not left, f"processes are left: {left}"
    assert not children, f"children of the test runner are left: {children}"
    more = {target for target in open_descriptors().values()
            if target not in before and target.startswith(("socket:", "pipe:", "/tmp"))}
    assert not more, f"descriptors are left: {more}"
    # A supervisor that was killed leaves an empty one to the next; its run directory is gone here.
    while CGROUPS:
        path = CGROUPS.pop()
        until(lambda: removed(path), f"{path} is empty")


def tree_removed(path):
    """False when a manager that is on its way out removed a file of it at the same time."""
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return not path.exists()
    return True


@pytest.fixture
def directory():
    """A private directory whose path is short enough for Unix sockets, for any user."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="foster-"))
    path.chmod(0o755)
    yield path
    until(lambda: tree_removed(path), f"{path} is removed")


def ordinary_user():
    """The uid and gid of a user who is not root, or None when we are one ourselves."""
    if os.geteuid() != 0:
        return None
    for name in USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise RuntimeError("no ordinary user to test as")


@pytest.fixture(params=["root", "user"] if os.geteuid() == 0 else ["user"])
def identity(request):
    """Runs a test twice where we are root: as root, and as an ordinary user."""
    return None if request.param == "root" else ordinary_user()


@pytest.fixture
def foster(builddir, directory):
    """Makes supervisors: foster(config text, ...) starts one and waits until it answers."""
    made = []

    def make(config, **arguments):
        instance = Foster(builddir, directory / f"f{len(made)}", config, **arguments)
        made.append(instance)
        if arguments.get("start", True):
            instance.wait_up()
        return instance

    yield make
    for instance in made:
        instance.end()
    for instance in made:
        text = instance.output()
        assert not any(word in text for word in SANITIZER_WORDS), text


@pytest.fixture
def any_room(builddir, directory):
    """any_room(class, options, start=True, ...): a chat room, which is ended and looked through."""
    made = []

    def make(kind, options="", start=True, **arguments):
        room = kind(builddir, directory / f"c{len(made)}", options, **arguments)
        made.append(room)
        return room.start() if start else room

    yield make
    for room in made:
        room.end()
    for room in made:
        assert not any(word in room.output() for word in SANITIZER_WORDS), room.output()
