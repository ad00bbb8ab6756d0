"""foster as a service of systemd's, without one: a socket that hears what systemd would be told,
and a launcher that passes what systemd would pass."""

import errno
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

import pytest

from conftest import ordinary_user
from foster import Foster, alive, until
from test_services import SLEEP

CONFIG_H = (pathlib.Path(os.environ["FOSTER_BUILDDIR"]) / "config.h").read_text()
TOLD = "#define HAVE_SYSTEMD 1" in CONFIG_H
told = pytest.mark.skipif(not TOLD, reason="built without libsystemd")

# Becomes fosterd: its pid is known only then, and descriptors must begin at 3.
LAUNCHER = """
import fcntl, os, sys
fds = [int(fd) for fd in sys.argv[1].split(",") if fd]
copies = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in fds]
for fd in fds:
    os.close(fd)
for i, fd in enumerate(copies):
    os.dup2(fd, 3 + i)
for name in ("LISTEN_PID", "WATCHDOG_PID"):
    if os.environ.get(name) == "self":
        os.environ[name] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


class Message:
    def __init__(self, text, pid):
        self.time = time.monotonic()
        self.pid = pid
        self.text = text
        self.fields = dict(line.split("=", 1) for line in text.split("\n") if line)

    def __contains__(self, name):
        return name in self.fields

    def __getitem__(self, name):
        return self.fields[name]

    def __repr__(self):
        return f"{self.pid}: {self.text!r}"


class Hearer:
    """systemd's end of NOTIFY_SOCKET. What was heard stays in order; wait() goes on from where the
    last one found what it looked for."""

    def __init__(self, directory):
        self.path = directory / "hearer"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(str(self.path))
        self.path.chmod(0o666)
        self.heard = []
        self.next = 0
        self.store = {}

    def close(self):
        self.socket.close()
        for fd in self.store.values():
            os.close(fd)

    def hear(self, seconds=0.0):
        """Takes one message; False when none comes in time."""
        if not select.select([self.socket], [], [], max(seconds, 0))[0]:
            return False
        data, ancillary, _, _ = self.socket.recvmsg(8192, 1024)
        pid = next(struct.unpack("iii", value[:12])[0] for _, kind, value in ancillary
                   if kind == socket.SCM_CREDENTIALS)
        m = Message(data.decode(), pid)
        self.heard.append(m)
        fds = [fd for _, kind, value in ancillary if kind == socket.SCM_RIGHTS
               for fd in struct.unpack(f"{len(value) // 4}i", value)]
        if "FDSTORE" in m:
            self.store[m["FDNAME"]] = fds.pop()
        elif "FDSTOREREMOVE" in m and m["FDNAME"] in self.store:
            os.close(self.store.pop(m["FDNAME"]))
        for fd in fds:
            os.close(fd)
        return True

    def wait(self, *names, seconds=10.0, **fields):
        """The next message with these names, and these values (regular expressions)."""
        deadline = time.monotonic() + seconds
        while True:
            while self.next < len(self.heard):
                m = self.heard[self.next]
                self.next += 1
                if all(name in m for name in names) and all(
                        name in m and re.search(value, m[name]) for name, value in fields.items()):
                    return m
            if not self.hear(deadline - time.monotonic()):
                raise AssertionError(f"{names} {fields} did not come; heard: {self.heard}")

    def quiet(self, seconds):
        """True when nothing is said for so long."""
        return not self.hear(seconds)

    def all(self):
        while self.hear():
            pass
        return self.heard


class Unit(Foster):
    """fosterd started as systemd starts a unit's main process. sockets are passed, names are theirs."""

    def __init__(self, *arguments, hearer=None, watchdog=None, sockets=(), names=None, **more):
        self.environment_of_unit = {"INVOCATION_ID": "0" * 32, "RUNTIME_DIRECTORY": "/run/x"}
        if hearer:
            self.environment_of_unit["NOTIFY_SOCKET"] = str(hearer.path)
        if watchdog:
            self.environment_of_unit.update(WATCHDOG_USEC=str(watchdog), WATCHDOG_PID="self")
        self.passed = []
        if sockets:
            self.set_passed([s.fileno() for s in sockets], names)
        more.setdefault("environment", {}).update(self.environment_of_unit)
        super().__init__(*arguments, pass_fds=self.passed, **more)

    def set_passed(self, fds, names):
        self.passed = self.pass_fds = list(fds)
        self.environment_of_unit.update(LISTEN_PID="self", LISTEN_FDS=str(len(self.passed)))
        if names:
            self.environment_of_unit["LISTEN_FDNAMES"] = ":".join(names)

    def start_with(self, store):
        """Again, with what systemd has stored."""
        self.set_passed(store.values(), store.keys())
        self.environment.update(self.environment_of_unit)
        return self.start()

    def as_identity(self, command):
        if command[0].endswith("fosterd"):
            command = ["/usr/bin/python3", "-c", LAUNCHER, ",".join(map(str, self.passed)), *command]
        return super().as_identity(command)


@pytest.fixture
def hearer(directory):
    h = Hearer(directory)
    yield h
    h.close()


@pytest.fixture
def unit(builddir, directory, hearer):
    """Makes supervisors whose NOTIFY_SOCKET is the hearer's."""
    made = []

    def make(config, **arguments):
        arguments.setdefault("hearer", hearer)
        instance = Unit(builddir, directory / f"f{len(made)}", config, **arguments)
        made.append(instance)
        return instance

    yield make
    for instance in made:
        instance.end()
        text = instance.output()
        assert "Sanitizer" not in text and "runtime error" not in text, text


def ready_on_file(path):
    """A command that says READY=1 when the file is there."""
    script = (f"import os, socket, time\\nwhile not os.path.exists('{path}'): time.sleep(0.005)\\n"
              "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\\n"
              "s.connect(os.environ['NOTIFY_SOCKET']); s.send(b'READY=1')\\ntime.sleep(1000)")
    return f'{{"/usr/bin/python3", "-c", "{script}"}}'


# --- readiness, status ----------------------------------------------------------------------

@told
def test_ready_when_all_are(unit, hearer, directory):
    f = unit(f"service slow {{ command = {ready_on_file(directory / 'go')} ready = notify }}\n"
             f"service next {{ command = {SLEEP} requires = {{slow}} }}\n"
             f"service fast {{ command = {SLEEP} }}\n"
             f"service off {{ command = {SLEEP} autostart = false }}")
    m = hearer.wait(STATUS="^1 service running, 1 starting, 1 waiting$")
    assert not any("READY" in m for m in hearer.all())
    (directory / "go").touch()
    m = hearer.wait("READY")
    assert m.fields == {"READY": "1", "STATUS": "3 services running"}
    assert f.state("next") == "running"


@told
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may speak for another process")
def test_it_speaks_for_the_main_process(unit, hearer):
    """So NotifyAccess=main is enough, and no service can say anything in foster's name."""
    f = unit(f"service a {{ command = {SLEEP} }}")
    assert hearer.wait("READY").pid == f.pid


@told
def test_an_ordinary_user_speaks_in_his_own_name(unit, hearer):
    f = unit(f"service a {{ command = {SLEEP} }}", identity=ordinary_user())
    assert hearer.wait("READY").pid == f.manager_pid()


@told
def test_a_service_that_fails_holds_up_nothing(unit, hearer):
    unit("service bad { command = {\"/bin/false\"} restart = no }\n"
         "service worse { command = {\"/nonexistent\"} restart-delay = 1min restart-delay-max = 1min }\n"
         f"service needs {{ command = {SLEEP} requires = {{worse}} }}\n"
         f"service good {{ command = {SLEEP} }}")
    m = hearer.wait("READY")
    m = m if "failed" in m["STATUS"] else hearer.wait(STATUS="failed")
    if "to be restarted" not in m["STATUS"]:
        m = hearer.wait(STATUS="to be restarted")
    assert m["STATUS"] == "1 service running, 1 waiting, 1 to be restarted: worse, 1 failed: bad"


@told
def test_a_service_that_may_start_for_ever_is_not_waited_for(unit, hearer, directory):
    unit(f"service slow {{ command = {ready_on_file(directory / 'go')} ready = notify "
         f"start-timeout = infinity }}\nservice a {{ command = {SLEEP} }}")
    assert hearer.wait("READY")["STATUS"] == "1 service running, 1 starting"
    (directory / "go").touch()
    hearer.wait(STATUS="^2 services running$")


@told
def test_without_services(unit, hearer):
    unit("")
    assert hearer.wait("READY")["STATUS"] == "0 services running"


@told
def test_status_follows_and_rests(unit, hearer):
    f = unit("".join(f"service s{i} {{ command = {SLEEP} restart = no }}\n" for i in range(6)))
    hearer.wait("READY", STATUS="^6 services running$")
    assert hearer.quiet(1.0)
    f.post("/v1/services/s0/stop")
    assert hearer.wait("STATUS").text == "STATUS=5 services running"
    for i in range(1, 6):
        os.kill(f.service_pid(f"s{i}"), signal.SIGKILL)
    m = hearer.wait(STATUS="5 failed")
    assert m["STATUS"] == "0 services running, 5 failed: s1, s2, s3 and 2 more"
    assert sum("READY" in m for m in hearer.heard) == 1


@told
def test_a_service_in_a_loop_is_told_of_at_most_a_few_times(unit, hearer):
    f = unit("service s { command = {\"/bin/sleep\", \"0.01\"} restart = always restart-delay = 5ms "
             "restart-delay-max = 5ms }")
    hearer.wait("READY")
    begin, before = time.monotonic(), len(hearer.heard)
    until(lambda: f.service("s")["restarts"] > 60, seconds=30)
    assert len(hearer.all()) - before <= 6 * (time.monotonic() - begin) + 1


@told
def test_the_next_manager_goes_on(unit, hearer):
    f = unit(f"service a {{ command = {SLEEP} }}")
    hearer.wait("READY")
    f.wait_up().kill_manager()
    assert hearer.wait("STATUS").fields == {"READY": "1", "STATUS": "1 service running"}
    assert not {"STOPPING", "ERRNO"} & {name for m in hearer.heard for name in m.fields}


@told
def test_nobody_reads(unit, hearer):
    """A manager waits for nobody: with the queue full it goes on, and tells later."""
    f = unit(f"service a {{ command = {SLEEP} }}\nservice b {{ command = {SLEEP} }}")
    hearer.wait("READY")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.setblocking(False)
        s.connect(str(hearer.path))
        with pytest.raises(BlockingIOError):
            while True:
                s.send(b"X=1")
    f.wait_up().post("/v1/services/a/stop")
    f.wait_state("a", "stopped")
    assert f.post("/v1/reload", timeout=5).status == 200
    hearer.wait(STATUS="^1 service running$")


# --- reload, end, failing start -------------------------------------------------------------

@told
def test_reload(unit, hearer):
    f = unit(f"service a {{ command = {SLEEP} }}")
    hearer.wait("READY")
    f.ctl("reload", "--dry-run", check=0)
    assert not any("RELOADING" in m for m in hearer.all())
    f.write(f"service a {{ command = {SLEEP} }}\nservice b {{ command = {SLEEP} }}")
    before = time.monotonic()
    f.ctl("reload", check=0)
    m = hearer.wait("RELOADING")
    assert before * 1e6 <= int(m["MONOTONIC_USEC"]) <= m.time * 1e6
    assert hearer.heard[hearer.next]["READY"] == "1" if hearer.hear() else hearer.wait("READY")
    hearer.wait(STATUS="^2 services running$")


@told
def test_refused_reload(unit, hearer):
    f = unit(f"service a {{ command = {SLEEP} }}")
    hearer.wait("READY")
    f.wait_up().write("service a { }")
    f.process.send_signal(signal.SIGHUP)
    hearer.wait("RELOADING")
    assert hearer.wait("READY")["STATUS"] == "1 service running; the last reload was refused"
    f.write(f"service a {{ command = {SLEEP} }}")
    f.process.send_signal(signal.SIGHUP)
    hearer.wait("RELOADING")
    assert hearer.wait("READY")["STATUS"] == "1 service running"


STUBBORN = '{"/bin/sh", "-c", "trap : TERM; while :; do sleep 0.05; done"}'


@told
def test_the_end_takes_its_time(unit, hearer):
    f = unit(f"service a {{ command = {STUBBORN} daemon = true stop-timeout = 1500ms }}\n"
             f"service b {{ command = {SLEEP} }}")
    hearer.wait("READY")
    f.process.terminate()
    hearer.wait(STOPPING="1")
    assert int(hearer.wait("EXTEND_TIMEOUT_USEC")["EXTEND_TIMEOUT_USEC"]) >= 5_000_000
    assert f.wait_end() == 0
    assert sum("STOPPING" in m for m in hearer.all()) == 1
    assert "stopping: a" in "".join(m.fields.get("STATUS", "") for m in hearer.heard)
    assert not any("READY" in m for m in hearer.heard[hearer.next:])
    f.start().wait_up()  # for its survivor


@told
def test_a_start_takes_its_time(unit, hearer, directory):
    unit(f"service slow {{ command = {ready_on_file(directory / 'go')} ready = notify }}")
    m = hearer.wait("EXTEND_TIMEOUT_USEC", seconds=20)
    assert int(m["EXTEND_TIMEOUT_USEC"]) >= 10_000_000
    assert not any("READY" in m for m in hearer.all())
    (directory / "go").touch()
    hearer.wait("READY")
    assert hearer.quiet(0.5)


@told
def test_wrong_configuration(unit, hearer):
    f = unit("service a { comand = {x} }")
    assert f.wait_end() == 78
    m = hearer.wait("ERRNO")
    assert m["ERRNO"] == "22"
    assert m["STATUS"].startswith(f"cannot start: {f.config_path}:1: service has no option comand")
    assert not any("READY" in m for m in hearer.all())


def test_run_directory_in_use(unit, hearer, directory):
    f = unit(f"service a {{ command = {SLEEP} }}").wait_up()
    g = unit("", run_directory=f.run)
    assert g.wait_end() == 1
    assert hearer.wait("ERRNO")["ERRNO"] == "16"


@pytest.mark.skipif(TOLD, reason="built with libsystemd")
def test_without_libsystemd_nothing_is_told(unit, hearer):
    unit(f"service a {{ command = {SLEEP} }}").wait_up()
    assert hearer.quiet(0.5)


# --- the watchdog ---------------------------------------------------------------------------

def beats(hearer):
    return [m for m in hearer.all() if "WATCHDOG" in m]


def hears_beat(hearer, seconds):
    deadline = time.monotonic() + seconds
    while hearer.hear(deadline - time.monotonic()):
        if "WATCHDOG" in hearer.heard[-1]:
            return True
    return False


def test_watchdog(unit, hearer):
    f = unit(f"service a {{ command = {SLEEP} }}", watchdog=400_000).wait_up()
    signs = until(lambda: (b := beats(hearer)) and len(b) >= 8 and b, seconds=20)
    assert all(m.text == "WATCHDOG=1" and m.pid == f.pid for m in signs)
    # Twice as often as asked for: in eight no more than one comes late on a busy machine.
    gaps = [b.time - a.time for a, b in zip(signs, signs[1:])]
    assert sorted(gaps)[-2] < 0.4 and min(gaps[1:]) > 0.1, gaps


def test_a_manager_that_hangs_or_dies_stops_no_heart(unit, hearer):
    f = unit(f"service a {{ command = {SLEEP} }}", watchdog=200_000).wait_up()
    pid = f.manager_pid()
    os.kill(pid, signal.SIGSTOP)
    before = len(beats(hearer))
    until(lambda: len(beats(hearer)) >= before + 3)
    os.kill(pid, signal.SIGKILL)
    before = len(beats(hearer))
    until(lambda: len(beats(hearer)) >= before + 3)


def test_a_supervisor_that_hangs_is_noticed(unit, hearer):
    f = unit(f"service a {{ command = {SLEEP} }}", watchdog=200_000).wait_up()
    until(lambda: beats(hearer))
    f.process.send_signal(signal.SIGSTOP)
    beats(hearer)
    heard = hears_beat(hearer, 0.5)
    f.process.send_signal(signal.SIGCONT)
    assert not heard
    before = len(beats(hearer))
    until(lambda: len(beats(hearer)) > before)


def test_watchdog_only_when_asked(unit, hearer):
    for environment in ({}, {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}):
        unit(f"service a {{ command = {SLEEP} }}", environment=environment).wait_up()
        assert not hears_beat(hearer, 0.5) and not beats(hearer)


def test_a_manager_dies_after_a_restart_of_the_unit(unit):
    """What an earlier supervisor's end left behind is not stopped by what that end had wanted."""
    f = unit(f"service a {{ command = {SLEEP} }}").wait_up()
    pid = f.wait_state("a", "running")["pid"]
    f.process.terminate()
    assert f.wait_end() == 0
    f.start().wait_up()
    manager = f.kill_manager()
    until(lambda: f.manager_pid() != manager)
    s = f.service("a")
    assert (s["state"], s["pid"]) == ("running", pid) and alive(pid)
    assert s["reason"] == "adopted from an earlier supervisor"


# --- what services see ----------------------------------------------------------------------

def test_services_get_nothing_of_the_unit(unit):
    """But what foster itself says to them under the same names."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        f = unit(f"service a {{ command = {SLEEP} }}\n"
                 f"service b {{ command = {SLEEP} ready = notify }}",
                 watchdog=60_000_000, sockets=[s]).wait_up()
    f.wait_state("a", "running")
    for name in "ab":
        pid = until(lambda: f.service_pid(name))
        until(lambda: b"sleep" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes())
        text = pathlib.Path(f"/proc/{pid}/environ").read_text()
        environment = dict(line.split("=", 1) for line in text.split("\0") if line)
        assert not {"WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",
                    "INVOCATION_ID", "RUNTIME_DIRECTORY"} & set(environment)
        assert environment.get("NOTIFY_SOCKET") == (str(f.run / "notify") if name == "b" else None)
        # The program's own, as those of its libraries, are closed again.
        until(lambda: sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"], "nothing else")


# --- sockets --------------------------------------------------------------------------------

# Answers each connection with its own pid, the names and the number of the socket.
ANSWER = '''
import fcntl, os, select, socket, sys
n = int(os.environ["LISTEN_FDS"])
assert os.environ["LISTEN_PID"] == str(os.getpid())
listeners = [socket.socket(fileno=3 + i) for i in range(n)]
assert all(fcntl.fcntl(s, fcntl.F_GETFL) & os.O_NONBLOCK for s in listeners)
while True:
    for s in select.select(listeners, [], [])[0]:
        try:
            c, _ = s.accept()
        except BlockingIOError:
            continue
        with c:
            c.sendall(f"{os.getpid()} {os.environ['LISTEN_FDNAMES']} {s.fileno() - 3}".encode())
'''


@pytest.fixture
def listeners():
    made = []

    def make(n):
        for _ in range(n):
            s = socket.socket()
            s.bind(("127.0.0.1", 0))
            s.listen(64)
            made.append(s)
        return made[-n:]

    yield make
    for s in made:
        s.close()


def ask(port):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        return s.makefile().read().split()


def answerer(f, sections, options=""):
    path = f.directory / "answer.py"
    path.write_text(ANSWER)
    return f'service s {{ command = {{"/usr/bin/python3", "{path}"}} sockets = {sections} {options} }}\n'


def test_sockets_from_systemd(unit, listeners):
    three = listeners(3)
    ports = [s.getsockname()[1] for s in three]
    f = unit("", start=False, sockets=three, names=["web", "admin.socket", "web"])
    web = 'socket http { from-systemd = web }\n'
    admin = 'socket admin { from-systemd = "admin.socket" }\n'
    f.write(web + answerer(f, "{http}"))
    f.start().wait_up()
    for s in three:
        s.close()  # now foster alone has them, as systemd's own stay out of the way
    pid = f.wait_state("s", "running")["pid"]
    assert ask(ports[0]) == [str(pid), "http:http", "0"]
    assert ask(ports[2]) == [str(pid), "http:http", "1"]

    # Another manager, another process of the service: the same sockets.
    manager = f.kill_manager()
    until(lambda: f.manager_pid() != manager)
    os.kill(pid, signal.SIGKILL)
    again = until(lambda: (p := f.service_pid("s")) and p != pid and p)
    assert ask(ports[0]) == [str(again), "http:http", "0"]

    # What no section named until now is still there, with the connection that waited.
    early = socket.create_connection(("127.0.0.1", ports[1]), timeout=20)
    f.write(web + admin + answerer(f, "{admin, http}"))
    f.ctl("reload", check=0)
    with early:
        third, names, number = early.makefile().read().split()
    assert (names, number) == ("admin:http:http", "0") and int(third) != again
    assert ask(ports[1])[2] == "0" and ask(ports[0])[2] == "1"

    # A reload that names what nobody gave changes nothing.
    f.write(web + answerer(f, "{http}").replace("http", "other") + "socket other { from-systemd = x }")
    done = f.ctl("reload", check=1)
    assert "systemd gave no socket named x" in done.stderr
    assert "it gave: web, admin.socket" in done.stderr
    assert f.service_pid("s") == int(third)


def test_missing_socket(unit, hearer, listeners):
    f = unit("socket http { from-systemd = web }", sockets=listeners(1))
    assert f.wait_end() == 78
    assert f"{f.config_path.name}:1: socket http: systemd gave no socket named web" in f.output()
    assert "it gave: unknown" in f.output()
    if TOLD:
        assert "named web" in hearer.wait("ERRNO")["STATUS"]
    f = unit("socket http { from-systemd = web }")
    assert f.wait_end() == 78
    assert "it gave none" in f.output()


def test_what_is_for_another_process_is_not_taken(unit, listeners):
    f = unit("socket http { from-systemd = unknown }", sockets=listeners(1), start=False)
    f.environment["LISTEN_PID"] = "1"
    f.start()
    assert f.wait_end() == 78
    assert "it gave none" in f.output()


def test_a_name_that_is_too_long(unit, listeners):
    f = unit("socket http { from-systemd = web }", sockets=listeners(2), names=["n" * 64, "web"])
    f.wait_up()
    assert "descriptor 3 of systemd's has a name of more than 63 bytes" in f.output()


@pytest.fixture
def port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def stored_unit(unit, directory, port, more=""):
    f = unit("", start=False, environment={"FDSTORE": "16"})
    f.sections = (f'socket tcp {{ listen = {{"127.0.0.1:{port}"}} }}\n'
                  f'socket unix {{ listen = {{"{directory}/socket"}} }}\n'
                  + answerer(f, "{tcp, unix}", "daemon = true"))
    f.write(f.sections + more)
    return f.start().wait_up()


def kill_all_of(f):
    """fosterd and its manager at the same moment; the logger and services have no part in it."""
    manager = f.manager_pid()
    os.kill(f.pid, signal.SIGSTOP)
    os.kill(manager, signal.SIGKILL)
    f.kill_supervisor()


def is_refused(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


@told
def test_listening_sockets_outlive_all(unit, hearer, directory, port):
    f = stored_unit(unit, directory, port)
    pid = f.wait_state("s", "running")["pid"]
    hearer.wait("READY")
    stores = [m for m in hearer.all() if "FDSTORE" in m]
    assert len(stores) == 3 and all(m["FDPOLL"] == "0" for m in stores)
    assert all(re.fullmatch("foster-[0-9a-f.]+", name) for name in hearer.store)
    f.kill_manager()
    kill_all_of(f)
    until(lambda: not alive(pid))

    waiting = [socket.create_connection(("127.0.0.1", port), timeout=20)]
    for path in (directory / "socket", f.run / "control"):
        waiting.append(socket.socket(socket.AF_UNIX))
        waiting[-1].settimeout(20)
        waiting[-1].connect(str(path))
    waiting[2].send(b"GET /v1/version HTTP/1.1\r\nConnection: close\r\n\r\n")
    seen = len(hearer.heard)
    f.start_with(hearer.store)
    answers = [s.makefile().read() for s in waiting]
    for s in waiting:
        s.close()
    assert [a.split()[1:] for a in answers[:2]] == [["tcp:unix", "0"], ["tcp:unix", "1"]]
    assert answers[2].startswith("HTTP/1.1 200")
    hearer.wait("READY")
    assert not any({"FDSTORE", "FDSTOREREMOVE"} & set(m.fields) for m in hearer.heard[seen:])
    assert ask(port)[2] == "0"


@told
def test_stored_sockets_that_nobody_needs_are_let_go(unit, hearer, directory, port):
    f = stored_unit(unit, directory, port)
    hearer.wait("READY")
    assert len(hearer.store) == 3
    f.write(f'socket tcp {{ listen = {{"127.0.0.1:{port}"}} }}')
    f.ctl("reload", check=0)
    until(lambda: hearer.all() and len(hearer.store) == 2)

    # While nothing of foster ran: another file is there now, and the port is no longer asked for.
    f.write(f.sections)
    f.ctl("reload", check=0)
    until(lambda: hearer.all() and len(hearer.store) == 3)
    kill_all_of(f)
    (directory / "socket").unlink()
    f.write(f'socket unix {{ listen = {{"{directory}/socket"}} }}\n' + answerer(f, "{unix}"))
    old = dict(hearer.store)
    f.start_with(hearer.store).wait_up()
    hearer.wait("READY")
    until(lambda: hearer.all() and len(hearer.store) == 2)
    assert len(set(old) & set(hearer.store)) == 1  # the control socket
    until(lambda: is_refused(port))
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(str(directory / "socket"))
        assert s.makefile().read().split()[1] == "unix"


@told
def test_nothing_is_stored_unasked(unit, hearer, port):
    unit(f'socket tcp {{ listen = {{"127.0.0.1:{port}"}} }}')
    hearer.wait("READY")
    assert not hearer.store


# --- the files ------------------------------------------------------------------------------

@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
def test_unit_file(builddir, directory):
    """Its programs may not be installed where it says: those of any kind do for the check."""
    text = (builddir / "foster.service").read_text()
    assert ("Type=notify" if TOLD else "Type=exec") in text
    text = re.sub(r"^(Exec\w+=-?)\S+", r"\1/bin/true", text, flags=re.M)
    path = directory / "foster.service"
    path.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(path)],
                          capture_output=True, text=True, timeout=60)
    mine = [line for line in done.stderr.splitlines() if "foster.service" in line]
    assert done.returncode == 0 and not mine, done.stderr


def test_release_cgroup_outside_of_a_unit(srcdir):
    done = subprocess.run([str(srcdir / "etc/release-cgroup")], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
