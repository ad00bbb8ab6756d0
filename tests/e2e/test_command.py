"""`fosterd -- COMMAND`: an init for one command, in a container and elsewhere."""

import contextlib
import os
import pty
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest

from conftest import SANITIZER_WORDS, marked_processes, ordinary_user
from foster import alive, children_of, state, until, zombies_of

GRACE = 5.0
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a PID namespace here")

# Tells each signal that it gets, and that it is ready for them; a child of the same group, too.
LISTENER = """
import os, signal, sys
who = "child" if os.fork() == 0 else "command"
def tell(signo, frame):
    os.write(1, f"{who} {signo}\\n".encode())
own = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}
for signo in signal.valid_signals() - own:
    signal.signal(signo, tell)
os.write(1, f"{who} ready\\n".encode())
while True:
    signal.pause()
"""

# Two that no longer belong to the command's session, one whose parent has ended, all of them deaf.
DEAF_TREE = """
import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
def stay():
    os.write(1, f"{os.getpid()}\\n".encode())
    while True:
        signal.pause()
if os.fork() == 0:
    stay()
if os.fork() == 0:
    os.setsid()
    stay()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        stay()
    os._exit(0)
while len(open(sys.argv[1]).read().split()) < 3:
    pass
os._exit(9)
"""


def as_identity(identity):
    if not identity:
        return []
    return ["setpriv", f"--reuid={identity[0]}", f"--regid={identity[1]}", "--clear-groups"]


class Command:
    """fosterd -- command, its output in files so that nobody is waited for who holds a pipe."""

    def __init__(self, builddir, directory, identity, command, before=(), **options):
        self.out, self.err = directory / "out", directory / "err"
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen(
                [*before, *as_identity(identity), str(builddir / "fosterd"), "--", *map(str, command)],
                **{"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err, **options})

    @property
    def pid(self):
        return self.process.pid

    def output(self):
        return self.out.read_text(errors="replace")

    def errors(self):
        return self.err.read_text(errors="replace")

    def signal(self, signo):
        os.kill(self.pid, signo)

    def wait(self, seconds=20):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"fosterd does not end: {self.errors()}") from None

    def wait_output(self, *texts, seconds=10):
        def all_there():
            output = self.output()
            return all(text in output for text in texts)
        until(all_there, f"{texts} in the output", seconds)

    def child(self):
        """The command's pid, once it has exec'd."""
        def found():
            for pid in children_of(self.pid):
                with contextlib.suppress(OSError):
                    if os.readlink(f"/proc/{pid}/exe") != os.readlink(f"/proc/{self.pid}/exe"):
                        return pid
            return None
        return until(found, "the command runs")


@pytest.fixture
def start(builddir, directory, identity):
    """Starts fosterd -- command as root and as an ordinary user."""
    made = []

    def run(*command, **options):
        place = directory / f"c{len(made)}"
        place.mkdir()
        made.append(Command(builddir, place, identity, command, **options))
        return made[-1]

    run.identity = identity
    yield run
    for c in made:
        if c.process.poll() is None:
            c.process.kill()
            c.process.wait(10)
        assert not any(word in c.errors() for word in SANITIZER_WORDS), c.errors()


@pytest.fixture
def start_python(start):
    return lambda code, *arguments, **options: start(sys.executable, "-c", code, *arguments,
                                                     **options)


def pids_in(text):
    return [int(word) for word in text.split() if word.isdigit()]


# --- how it ends -----------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_exits_with_the_code_of_the_command(start, code):
    c = start("sh", "-c", f"exit {code}")
    assert c.wait() == code
    assert c.errors() == ""


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGKILL, signal.SIGUSR1,
                                   signal.SIGRTMIN + 3])
def test_a_signal_becomes_128_and_its_number(start, signo):
    c = start("sh", "-c", f"kill -{int(signo)} $$")
    assert c.wait() == 128 + signo


def test_arguments_and_environment_are_passed_as_they_are(start):
    c = start("printf", "%s|", "a b", "", "--config", "--", "é", env=dict(os.environ, LANG="x y"))
    assert c.wait() == 0
    assert c.output() == "a b||--config|--|é|"


def test_a_command_that_is_not_there(start, directory):
    for command in "no-such-command", f"{directory}/none", "/etc/passwd/none", "":
        c = start(command)
        assert c.wait() == 127
        text = "Not a directory" if "passwd" in command else "No such file or directory"
        assert c.errors() == f"fosterd: {command}: cannot be run: {text}\n"


def test_the_search_path(start, directory):
    closed, bare = directory / "closed", directory / "bare"
    closed.mkdir(0o700)
    bare.mkdir()
    (bare / "bad-script").write_text("#!/no/such/interpreter\n")
    (bare / "bad-script").chmod(0o755)
    environment = dict(os.environ, PATH=f"{closed}:{os.environ['PATH']}")
    assert start("no-such-command", env=environment).wait() == 127
    assert start("sh", "-c", "exit 5", env=environment).wait() == 5
    environment["PATH"] = f"{bare}:/bin:/usr/bin"
    c = start("bad-script", env=environment)
    assert c.wait() == 126
    assert "bad-script" in c.errors() and "interpreter" in c.errors()


def test_a_command_that_cannot_be_executed(start, directory):
    plain, script = directory / "plain", directory / "script"
    plain.write_text("no program")
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    for command, text in ((plain, "Permission denied"), (directory, "Permission denied"),
                          (script, "interpreter")):
        c = start(command)
        assert c.wait() == 126
        assert str(command) in c.errors() and text in c.errors()


def test_what_stands_before_the_dashes(builddir, directory):
    def ask(*arguments):
        done = subprocess.run([builddir / "fosterd", *arguments], capture_output=True, text=True,
                              cwd=directory)
        assert done.returncode == 2
        return done.stderr

    for option in (("--config", "x"), ("-c", "x"), ("--join", "x"), ("--run-directory", "x"),
                   ("--check",)):
        assert "cannot stand before '--'" in ask(*option, "--", "true")
    assert "write 'fosterd -- true'" in ask("true")
    assert "no command behind '--'" in ask("--")
    assert os.listdir(directory) == []


# --- signals ---------------------------------------------------------------------------------


def test_every_signal_reaches_the_whole_group_once(start_python):
    c = start_python(LISTENER)
    c.wait_output("command ready", "child ready")
    own = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGILL, signal.SIGTRAP,
           signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV, signal.SIGSYS}
    sent = sorted(signal.valid_signals() - own)
    assert signal.SIGRTMIN in sent and signal.SIGRTMAX in sent and signal.SIGABRT in sent
    for signo in sent:
        c.signal(signo)
        c.wait_output(f"command {int(signo)}\n", f"child {int(signo)}\n")
    told = sorted(line for line in c.output().splitlines() if "ready" not in line)
    assert told == sorted(f"{who} {int(signo)}" for who in ("child", "command") for signo in sent)
    c.process.kill()
    kill_marked()


def kill_marked():
    """Ends what carries this test's mark: what a killed fosterd has left."""
    for pid in marked_processes(os.environ["FOSTER_TEST"]):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_realtime_signals_are_counted(start_python):
    c = start_python("""
import os, signal
def tell(signo, frame): os.write(1, b"x")
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN + 1])
os.write(1, b"ready ")
for i in range(20): signal.sigwait([signal.SIGRTMIN + 1]); os.write(1, b"x")
""")
    c.wait_output("ready")
    for _ in range(20):
        c.signal(signal.SIGRTMIN + 1)
    assert c.wait() == 0
    assert c.output() == "ready " + 20 * "x"


def status_lines(text):
    lines = (line.split() for line in text.splitlines())
    return {name: int(value, 16) for name, value in lines}


def test_mask_and_dispositions_are_those_that_were_inherited(start, identity):
    def change():
        for signo in signal.SIGHUP, signal.SIGCHLD, signal.SIGTTOU, signal.SIGUSR1:
            signal.signal(signo, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2, signal.SIGTERM])

    look = "grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"
    c = start(*look, preexec_fn=change)
    direct = status_lines(subprocess.run(look, preexec_fn=change, capture_output=True,
                                         text=True).stdout)
    assert direct["SigBlk:"] and direct["SigIgn:"] & 1 << signal.SIGHUP - 1
    direct["SigIgn:"] &= ~(1 << signal.SIGCHLD - 1)
    assert c.wait() == 0
    assert status_lines(c.output()) == direct


def test_an_ignored_sigchld_loses_no_exit_code(start):
    c = start("sh", "-c", "exit 6",
              preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert c.wait() == 6


def test_the_command_dies_with_fosterd(start):
    c = start("sleep", "1000")
    pid = c.child()
    c.process.kill()
    c.process.wait(10)
    until(lambda: not alive(pid), "the command is gone")


# --- descriptors -----------------------------------------------------------------------------


def read_to_end(fd):
    """All that comes through the pipe until nobody holds its other end any more."""
    os.set_blocking(fd, False)
    seen = b""

    def at_end():
        nonlocal seen
        with contextlib.suppress(BlockingIOError):
            data = os.read(fd, 65536)
            seen += data
            return not data
        return False

    try:
        until(at_end, "the end of the pipe")
    finally:
        os.close(fd)
    return seen.decode()


def test_inherited_descriptors_are_the_commands_alone(start_python):
    ours, theirs = os.pipe()
    c = start_python("""
import os, signal, sys
fd = int(sys.argv[1])
os.write(fd, " ".join(sorted(os.listdir("/proc/self/fd"))).encode())
os.close(fd)
signal.pause()
""", theirs, pass_fds=[theirs])
    os.close(theirs)
    # Its end comes though the command, and fosterd, go on: nobody else holds it.
    listed = read_to_end(ours).split()
    assert c.process.poll() is None
    # One number is that of the directory that was listed.
    assert set(listed) - {"0", "1", "2", str(theirs)} == {str(min({3, 4, 5} - {theirs}))}
    c.signal(signal.SIGTERM)
    assert c.wait() == 128 + signal.SIGTERM


def test_a_reader_sees_the_end_of_the_commands_output(start):
    ours, theirs = os.pipe()
    c = start("sh", "-c", "echo all; exec >&-; exec sleep 1000", stdout=theirs)
    os.close(theirs)
    assert read_to_end(ours) == "all\n"
    c.signal(signal.SIGTERM)
    assert c.wait() == 128 + signal.SIGTERM


def test_closed_standard_streams_stay_closed(start):
    c = start("sh", "-c", "for n in 0 1 2 3; do [ -e /proc/$$/fd/$n ]; echo $?; done >/dev/full;"
              "[ ! -e /proc/$$/fd/0 ] && [ -e /proc/$$/fd/1 ]", preexec_fn=lambda: os.close(0))
    assert c.wait() == 0
    c = start("sh", "-c", "exit 4", preexec_fn=lambda: os.closerange(0, 3))
    assert c.wait() == 4


def test_variables_that_name_fosterds_pid_name_the_command(builddir, identity, start):
    script = ('[ "$LISTEN_PID" = $$ ] && [ "$WATCHDOG_PID" = $$ ] && [ "$LISTEN_FDS" = 1 ] && '
              '[ -z "${LISTEN_PIDFDID+x}" ]')
    c = start("sh", "-c", script, before=[
        "sh", "-c", 'LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_PIDFDID=5 WATCHDOG_PID=$$ exec "$@"', "sh"])
    assert c.wait() == 0
    c = start("sh", "-c", '[ "$LISTEN_PID" = 1 ] && [ "$LISTEN_PIDFDID" = 5 ]',
              env=dict(os.environ, LISTEN_PID="1", LISTEN_PIDFDID="5"))
    assert c.wait() == 0


# --- orphans ---------------------------------------------------------------------------------

ORPHANS = """
import os, signal, sys
for i in range(3000):
    pid = os.fork()
    if pid == 0:
        os.fork()
        os._exit(0)
    os.waitpid(pid, 0)
os.write(1, b"done")
signal.pause()
"""


def test_orphans_are_reaped(start_python):
    c = start_python(ORPHANS)
    c.wait_output("done", seconds=180)  # beside tests that fork as fast as they can
    command = c.child()
    until(lambda: children_of(c.pid) == [command], "all orphans are reaped")
    assert zombies_of(c.pid) == []
    c.signal(signal.SIGTERM)
    assert c.wait() == 128 + signal.SIGTERM


def test_orphans_that_have_heaped_up_are_reaped(start_python):
    """One SIGCHLD stands for all of them."""
    c = start_python("import signal; signal.sigwait([signal.SIGUSR1])\n" + ORPHANS,
                     preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1]))
    command = c.child()
    c.signal(signal.SIGSTOP)
    os.kill(command, signal.SIGUSR1)
    c.wait_output("done", seconds=180)
    until(lambda: len(zombies_of(c.pid)) == 3000, "all have ended", 60)
    c.signal(signal.SIGCONT)
    until(lambda: children_of(c.pid) == [command], "all orphans are reaped")
    c.signal(signal.SIGTERM)
    assert c.wait() == 128 + signal.SIGTERM


def test_a_storm_of_orphans_keeps_no_signal_waiting(start_python):
    c = start_python("""
import os, signal, time
end = time.monotonic() + 40
signal.signal(signal.SIGUSR1, lambda *a: os._exit(8))
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.write(1, b"ready")
while time.monotonic() < end:
    if os.fork() == 0:
        os.fork()
        os._exit(0)
""")
    c.wait_output("ready")
    c.signal(signal.SIGUSR1)
    assert c.wait() == 8


def switches(pid):
    with open(f"/proc/{pid}/status") as f:
        return [line for line in f if "ctxt_switches" in line]


def test_nothing_happens_while_nothing_happens(start):
    c = start("sleep", "1000")
    c.child()
    until(lambda: state(c.pid) == "S")
    before = switches(c.pid)
    time.sleep(0.5)  # this is the measurement
    assert switches(c.pid) == before
    c.signal(signal.SIGTERM)
    c.wait()


# --- the rest of the tree --------------------------------------------------------------------


def test_what_is_left_is_ended_though_it_is_deaf(start_python, directory):
    c = start_python(DEAF_TREE, directory / "c0" / "out")
    until(lambda: len(pids_in(c.output())) == 3)
    began = time.monotonic()
    assert c.wait() == 9
    assert [pid for pid in pids_in(c.output()) if alive(pid)] == []
    assert GRACE - 0.5 < time.monotonic() - began < GRACE + 3


def test_what_is_left_gets_sigterm_and_time(start_python):
    c = start_python("""
import os, signal, time
def end(*a):
    time.sleep(0.3)
    os.write(1, b"ended well")
    os._exit(0)
for stopped in False, True:
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, end)
        os.write(1, b"ready ")
        if stopped: os.kill(os.getpid(), signal.SIGSTOP)
        while True: signal.pause()
signal.signal(signal.SIGUSR1, lambda *a: os._exit(0))
signal.pause()
""")
    until(lambda: c.output().count("ready") == 2)
    until(lambda: any(state(pid) == "T" for pid in children_of(c.child())))
    began = time.monotonic()
    c.signal(signal.SIGUSR1)
    assert c.wait() == 0
    assert c.output().count("ended well") == 2
    assert time.monotonic() - began < GRACE - 1


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_a_second_request_cuts_the_grace_period(start_python, directory, signo):
    c = start_python(DEAF_TREE, directory / "c0" / "out")
    until(lambda: len(pids_in(c.output())) == 3)
    until(lambda: sorted(children_of(c.pid)) == sorted(pids_in(c.output())), "the command ended")
    began = time.monotonic()
    c.signal(signo)
    assert c.process.poll() is None
    until(lambda: not pending(c.pid, signo) and state(c.pid) == "S")
    assert all(alive(pid) for pid in pids_in(c.output()))
    c.signal(signo)
    assert c.wait() == 9
    assert time.monotonic() - began < GRACE - 1
    assert [pid for pid in pids_in(c.output()) if alive(pid)] == []


def pending(pid, signo):
    with open(f"/proc/{pid}/status") as f:
        mask = next(int(line.split()[1], 16) for line in f if line.startswith("ShdPnd"))
    return mask & 1 << signo - 1


# Whatever becomes of the test, what forks here ends by itself.
BOMB = """
import os, signal, time
end = time.monotonic() + 40
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGUSR1, lambda *a: os._exit(0))
if os.fork() == 0:
    os.setsid()
    os.write(1, b"ready ")
    while time.monotonic() < end:
        try:
            if os.fork() and os.fork(): os._exit(0)
        except OSError:
            pass
    os._exit(1)
while True: signal.pause()
"""


def processes_of(uid):
    n = 0
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            n += entry.isdigit() and os.stat(f"/proc/{entry}").st_uid == uid
    return n


def end_while_it_forks(c):
    """The command ends, then the grace period; what forks all the while must be gone, too."""
    command = c.child()
    c.signal(signal.SIGUSR1)
    until(lambda: not alive(command))
    for _ in range(2):
        c.signal(signal.SIGTERM)
        until(lambda: c.process.poll() is not None or not pending(c.pid, signal.SIGTERM))
    assert c.wait(25) == 0
    assert marked_processes(os.environ["FOSTER_TEST"]) == {}


def test_a_fork_bomb_does_not_outrun_it(start, start_python):
    if start.identity is None and os.geteuid() == 0:
        pytest.skip("no limit of processes holds for root")
    uid = (start.identity or (os.getuid(), 0))[0]
    limit = processes_of(uid) + 150
    c = start_python(BOMB, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NPROC,
                                                                 (limit, limit)))
    c.wait_output("ready")
    until(lambda: processes_of(uid) > limit - 50, "the bomb has gone off")
    end_while_it_forks(c)


RUNNERS = """
import os, signal, time
end = time.monotonic() + 40
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGUSR1, lambda *a: os._exit(0))
for i in range(4):
    if os.fork() == 0:
        os.setsid()
        os.write(1, b"ready ")
        while time.monotonic() < end:
            if os.fork(): os._exit(0)
        os._exit(1)
while True: signal.pause()
"""


def test_what_is_another_process_each_moment_does_not_outrun_it(start_python):
    c = start_python(RUNNERS)
    until(lambda: c.output().count("ready") == 4)
    end_while_it_forks(c)


@needs_root
def test_what_may_not_be_signalled_is_told_and_left(builddir, directory):
    helper = directory / "setpriv"
    shutil.copy(shutil.which("setpriv"), helper)
    helper.chmod(0o4755)
    if os.statvfs(directory).f_flag & os.ST_NOSUID:
        pytest.skip("the directory's file system knows no set-user-ID programs")
    c = Command(builddir, directory, ordinary_user(),
                ["sh", "-c", f"{helper} --reuid=0 sh -c 'echo $$; exec sleep 1000' & read x; exit 3"],
                stdin=subprocess.PIPE)
    try:
        pid = int(until(c.output))
        until(lambda: os.readlink(f"/proc/{pid}/exe").endswith("sleep"))
        c.process.stdin.close()
        until(lambda: children_of(c.pid) == [pid])
        for _ in range(2):
            c.signal(signal.SIGTERM)
            until(lambda: c.process.poll() is not None or not pending(c.pid, signal.SIGTERM))
        assert c.wait() == 3
        assert f"process {pid} cannot be ended and is left" in c.errors()
    finally:
        kill_marked()


def ticks(pid):
    with open(f"/proc/{pid}/stat") as f:
        return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))


@needs_root
def test_a_message_that_nobody_reads_is_no_signal(builddir, directory):
    """What fosterd says of a signal that it may not send would be the next such signal."""
    helper = directory / "setpriv"
    shutil.copy(shutil.which("setpriv"), helper)
    helper.chmod(0o4755)
    if os.statvfs(directory).f_flag & os.ST_NOSUID:
        pytest.skip("the directory's file system knows no set-user-ID programs")
    ours, theirs = os.pipe()
    os.close(ours)
    c = Command(builddir, directory, ordinary_user(), [helper, "--reuid=0", "sleep", "1000"],
                stderr=theirs)
    os.close(theirs)
    command = c.child()
    until(lambda: os.readlink(f"/proc/{command}/exe").endswith("sleep"))
    c.signal(signal.SIGUSR1)
    until(lambda: not pending(c.pid, signal.SIGUSR1))
    before = ticks(c.pid)
    time.sleep(0.3)  # this is the measurement
    assert ticks(c.pid) - before < 5
    os.kill(command, signal.SIGKILL)
    assert c.wait() == 137


# --- as the first process of a PID namespace ---------------------------------------------------


class Container(Command):
    """The same, as PID 1. The process is unshare's; pid is fosterd's own."""

    def __init__(self, builddir, directory, identity, command, namespace=("--mount-proc",),
                 **options):
        super().__init__(builddir, directory, identity, command,
                         before=["unshare", "--pid", "--fork", *namespace], **options)

    @property
    def pid(self):
        return until(lambda: [pid for pid in children_of(self.process.pid)
                              if "fosterd" in os.readlink(f"/proc/{pid}/exe")])[0]


@pytest.fixture
def contain(builddir, directory, identity):
    made = []

    def run(*command, **options):
        made.append(Container(builddir, directory, identity, command, **options))
        return made[-1]

    yield run
    for c in made:
        if c.process.poll() is None:
            kill_marked()
            c.process.wait(10)
        assert not any(word in c.errors() for word in SANITIZER_WORDS), c.errors()


@needs_root
def test_as_pid_1_it_exits_with_the_commands_code(contain):
    assert contain("sh", "-c", "[ $PPID = 1 ] && exit 7").wait() == 7
    assert contain("sh", "-c", "kill -9 $$").wait() == 137
    assert contain("no-such-command").wait() == 127


@needs_root
def test_as_pid_1_it_forwards_and_reaps(contain):
    c = contain(sys.executable, "-c", ORPHANS.replace("signal.pause()", """
signal.signal(signal.SIGRTMIN, lambda *a: os._exit(11))
signal.signal(signal.SIGHUP, lambda *a: os.write(1, b"HUP"))
os.write(1, b" and ready")
while True: signal.pause()
"""))
    c.wait_output("done", "ready", seconds=60)
    until(lambda: len(children_of(c.pid)) == 1, "all orphans are reaped")
    c.signal(signal.SIGHUP)
    c.wait_output("HUP")
    c.signal(signal.SIGRTMIN)
    assert c.wait() == 11


@needs_root
def test_as_pid_1_nothing_is_left(contain, directory):
    c = contain(sys.executable, "-c", DEAF_TREE, directory / "out")
    until(lambda: len(pids_in(c.output())) == 3)
    began = time.monotonic()
    assert c.wait() == 9
    assert GRACE - 0.5 < time.monotonic() - began < GRACE + 3
    assert marked_processes(os.environ["FOSTER_TEST"]) == {}


@needs_root
def test_as_pid_1_it_ends_those_who_came_from_outside(contain, directory, identity):
    c = contain("sh", "-c", "read x", stdin=subprocess.PIPE)
    until(lambda: children_of(c.pid))
    with open(directory / "guest", "wb") as out:
        guest = subprocess.Popen(
            ["nsenter", "-t", str(c.pid), "-p", *as_identity(identity), sys.executable, "-c", """
import os, signal, time
def end(*a):
    time.sleep(0.3)
    os.write(1, b" ended well")
    os._exit(0)
signal.signal(signal.SIGTERM, end)
os.write(1, b"ready")
while True: signal.pause()
"""], stdout=out)
    until(lambda: (directory / "guest").read_text() == "ready")
    c.process.stdin.close()
    assert c.wait() == 1
    guest.wait(10)
    assert (directory / "guest").read_text() == "ready ended well"


@needs_root
def test_a_foreign_proc_is_not_believed(builddir, directory):
    c = Command(builddir, directory, None,
                ["sh", "-c", "sleep 1000 & exit 3"],
                before=["unshare", "--pid", "--fork", "sh", "-c", '"$@"; exit $?', "sh"])
    assert c.wait() == 3
    assert "what sh started cannot be found and is left: " in c.errors()


# --- terminals -------------------------------------------------------------------------------


class Terminal:
    """A program on a terminal of its own, whose session it leads."""

    def __init__(self, *command):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp(command[0], list(map(str, command)))
        self.seen = self.all = ""
        self.status = None

    def send(self, text):
        os.write(self.fd, text.encode())

    def read(self):
        with contextlib.suppress(BlockingIOError, OSError):
            os.set_blocking(self.fd, False)
            text = os.read(self.fd, 65536).decode(errors="replace")
            self.seen += text
            self.all += text
        return self.seen

    def expect(self, text, seconds=10):
        """Waits for the text and forgets it and what came before."""
        try:
            until(lambda: text in self.read(), text, seconds)
        except AssertionError:
            raise AssertionError(f"{text!r} is not in {self.seen!r}") from None
        before, _, self.seen = self.seen.partition(text)
        return before

    def foreground(self):
        return os.tcgetpgrp(self.fd)

    def ended(self):
        self.read()
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def wait(self):
        until(self.ended, f"{self.pid} ends; seen: {self.seen!r}")
        return self.status

    def close(self):
        os.close(self.fd)
        if self.status is None:
            with contextlib.suppress(AssertionError):
                until(self.ended, seconds=1)
            if self.status is None:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            kill_marked()


@pytest.fixture
def terminal(builddir, identity):
    made = []

    def run(*command):
        made.append(Terminal("env", f"PATH={builddir}:{os.environ['PATH']}", "PS1=prompt> ",
                             *as_identity(identity), *command))
        return made[-1]

    run.identity = identity
    yield run
    for t in made:
        t.close()
        assert not any(word in t.all for word in SANITIZER_WORDS), t.all


# Tells each Ctrl-C and each line.
TALKER = """
import os, signal, sys
signal.signal(signal.SIGINT, lambda *a: os.write(1, b"<INT>"))
signal.signal(signal.SIGCONT, lambda *a: os.write(1, b"<CONT>"))
os.write(1, f"ready {os.getpid()}.".encode())
while True:
    line = sys.stdin.readline().strip()
    if line == "end": os._exit(3)
    if line: os.write(1, f"got {line}.".encode())
    else: signal.pause()
"""


@pytest.fixture
def talker(directory):
    path = directory / "talker"
    path.write_text(f"#!{sys.executable}\n{TALKER}")
    path.chmod(0o755)
    return path


def group_of_talker(t):
    t.expect("ready ")
    return int(t.expect("."))


def test_the_terminal_is_handed_over_and_given_back(terminal, talker):
    t = terminal("sh", "-c", f"fosterd -- {talker}; echo code $?; read x; echo back $x")
    command = group_of_talker(t)
    assert t.foreground() == command != t.pid
    t.send("hello\n")
    t.expect("got hello.")
    t.send("\x03")
    t.expect("<INT>")
    t.send("end\n")
    assert "<INT>" not in t.expect("code 3")
    until(lambda: t.foreground() == t.pid)
    t.send("me\n")
    t.expect("back me")
    assert t.wait() == 0


def test_the_command_begins_in_the_foreground(terminal):
    look = "import os; print(os.tcgetpgrp(0) == os.getpgrp() == os.getpid())"
    t = terminal("fosterd", "--", sys.executable, "-c", look)
    assert t.wait() == 0
    assert t.seen.strip() == "True"


def test_the_terminal_is_lent_again_to_one_that_does_not_read_it(terminal):
    t = shell(terminal)
    t.send("fosterd -- sh -c 'echo rea''dy $$; exec sleep 1000'\n")
    t.expect("ready ")
    command = int(t.expect("\r"))
    assert t.foreground() == command
    t.send("\x1a")
    t.expect("prompt> ")
    t.send("fg\n")
    until(lambda: t.foreground() == command)
    t.send("\x03")
    t.expect("prompt> ")
    t.send("echo code $?\n")
    t.expect("code 130")
    end_shell(t)


def test_a_command_that_dies_of_ctrl_c(terminal):
    t = terminal("sh", "-c", "trap : INT; fosterd -- sh -c 'echo ready; exec sleep 1000';"
                 " echo code $?")
    t.expect("ready")
    until(lambda: t.foreground() != t.pid)
    t.send("\x03")
    t.expect("code 130")
    assert t.wait() == 0


def test_a_second_ctrl_c_cuts_the_grace_period(terminal):
    t = terminal("sh", "-c", "trap : INT; fosterd -- sh -c "
                 "'(trap \"\" INT TERM; echo ready; exec sleep 1000) & wait'; echo code $?")
    t.expect("ready")
    began = time.monotonic()
    t.send("\x03")
    until(lambda: t.foreground() == t.pid)
    t.send("\x03")
    t.expect("code 130")
    assert time.monotonic() - began < GRACE - 1
    assert t.wait() == 0


def shell(terminal):
    t = terminal("bash", "--norc", "--noprofile", "-i")
    t.expect("prompt> ")
    t.send("bind 'set enable-bracketed-paste off'; stty -echo; set +o emacs; echo O''K\n")
    t.expect("OK")
    t.expect("prompt> ")
    return t


def end_shell(t):
    t.send("exit\n")
    t.expect("exit")
    t.wait()


def test_stop_and_continue_under_a_shell(terminal, talker):
    t = shell(terminal)
    t.send(f"fosterd -- {talker}\n")
    command = group_of_talker(t)
    assert t.foreground() == command
    for _ in range(3):
        t.send("\x1a")
        t.expect("Stopped")
        t.expect("prompt> ")
        assert t.foreground() == t.pid
        t.send("fg\n")
        t.expect("<CONT>")
        until(lambda: t.foreground() == command)
        t.send("hello\n")
        t.expect("got hello.")
    t.send("\x1a")
    t.expect("prompt> ")
    t.send("bg\n")
    until(lambda: "<CONT>" in t.read() and "prompt> " in t.seen)
    t.seen = ""
    assert t.foreground() == t.pid
    # It wants to read, but has no terminal: like any job, it waits for that.
    t.send("\n")
    t.expect("prompt> ")
    until(lambda: "Stopped" in t.seen or t.send("jobs\n") or "Stopped" in t.read(), every=0.2)
    t.send("fg\n")
    until(lambda: t.foreground() == command)
    t.send("end\n")
    t.expect("prompt> ")
    t.send("echo code $?\n")
    t.expect("code 3")
    end_shell(t)


def test_a_job_of_the_background_gets_the_terminal_when_it_comes_to_the_front(terminal, talker):
    t = shell(terminal)
    t.send(f"fosterd -- {talker} & \n")
    t.expect("ready ")
    command = int(t.expect("."))
    assert t.foreground() == t.pid
    until(lambda: "Stopped" in t.read() or t.send("jobs\n"), every=0.2)
    t.send("fg\n")
    until(lambda: t.foreground() == command)
    t.send("hello\n")
    t.expect("got hello.")
    t.send("end\n")
    t.expect("prompt> ")
    end_shell(t)


def test_a_command_that_reads_no_terminal_is_in_the_background(terminal, talker):
    """In a pipeline the terminal is another's; Ctrl-C and Ctrl-Z come to the command through us."""
    t = shell(terminal)
    t.send(f"fosterd -- {talker} </dev/null | sh -c 'trap \"\" INT; cat'\n")
    command = group_of_talker(t)
    assert t.foreground() not in (command, t.pid)
    t.send("\x03")
    t.expect("<INT>")
    t.send("\x1a")
    t.expect("Stopped")
    assert "<INT>" not in t.expect("prompt> ")
    t.send("fg\n")
    t.expect("<CONT>")
    assert t.foreground() not in (command, t.pid)
    os.kill(command, signal.SIGKILL)
    t.expect("prompt> ")
    end_shell(t)


def test_a_command_that_opens_the_terminal_gets_it(terminal):
    t = shell(terminal)
    t.send("echo text | fosterd -- sh -c 'read a; echo rea''dy; read b </dev/tty; echo $a-$b'\n")
    t.expect("ready")
    t.send("typed\n")
    t.expect("text-typed")
    t.expect("prompt> ")
    end_shell(t)


def test_nobody_is_left_stopped_where_nobody_could_continue_him(terminal, talker):
    """The group of a session's leader is orphaned: there Ctrl-Z stops no program."""
    t = terminal("fosterd", "--", talker)
    command = group_of_talker(t)
    t.send("\x1a")
    t.expect("<CONT>")
    until(lambda: t.foreground() == command)
    t.send("end\n")
    assert t.wait() == 3


@needs_root
def test_the_terminal_of_a_pid_namespace(terminal, talker):
    if terminal.identity:
        pytest.skip("only root makes a PID namespace here")
    t = terminal("unshare", "--pid", "--fork", "--mount-proc", "fosterd", "--", talker)
    group_of_talker(t)
    t.send("hello\n")
    t.expect("got hello.")
    t.send("\x03")
    t.expect("<INT>")
    t.send("\x1a")
    t.expect("<CONT>")
    t.send("end\n")
    assert t.wait() == 3


@needs_root
def test_a_pid_namespace_in_the_background_takes_no_terminal(terminal):
    if terminal.identity:
        pytest.skip("only root makes a PID namespace here")
    t = shell(terminal)
    t.send("unshare --pid --fork --mount-proc fosterd -- sh -c 'echo rea''dy; exec sleep 1000' &\n")
    t.expect("ready")
    assert t.foreground() == t.pid
    t.send("kill -9 $(cat /proc/$!/task/$!/children)\n")
    end_shell(t)


def test_a_hang_up_reaches_the_command(terminal, directory):
    told = directory / "told"
    told.touch()
    told.chmod(0o666)
    t = terminal("fosterd", "--", "sh", "-c",
                 f"trap 'echo HUP >>{told}; exit 0' HUP; echo ready; while :; do sleep 0.05; done")
    t.expect("ready")
    os.close(t.fd)
    until(lambda: told.read_text() == "HUP\n")
    t.fd = os.open("/dev/null", os.O_RDONLY)
    t.wait()


def test_a_command_that_left_its_group_is_reached(terminal):
    t = terminal("fosterd", "--", sys.executable, "-c", """
import os, signal
if os.fork() == 0:
    os.setpgid(0, 0)
    signal.pause()
child = int(open(f"/proc/self/task/{os.getpid()}/children").read())
while os.getpgid(child) != child: pass
signal.signal(signal.SIGUSR1, lambda *a: (os.kill(child, 9), os._exit(5)))
os.setpgid(0, child)
os.write(1, b"ready")
while True: signal.pause()
""")
    t.expect("ready")
    os.kill(t.pid, signal.SIGUSR1)
    assert t.wait() == 5


def test_without_a_terminal_the_command_leads_a_session(start, terminal):
    look = "sh", "-c", "cut -d' ' -f1,5,6 /proc/$$/stat"
    c = start(*look, start_new_session=True)
    assert c.wait() == 0
    pid, group, session = c.output().split()
    assert pid == group == session
    t = terminal("fosterd", "--", *look)
    assert t.wait() == 0
    pid, group, session = t.read().split()
    assert pid == group and session == str(t.pid)
