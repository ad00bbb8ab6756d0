"""ready = fd, forking and oneshot, and MAINPID=: services whose start is more than an exec."""

import os
import pathlib
import signal
import time

import pytest

from conftest import ordinary_user
from foster import alive, children_of, cgroup_of_ours, descriptors_of, state, until
from test_readiness import BARRIER, NOTIFY
from test_death import Children
from test_services import SLEEP, shell

with_cgroups = cgroup_of_ours() and os.access(cgroup_of_ours(), os.W_OK)

# A daemon as they were written for init: says its pid in a file, waits for leave at gates.
DAEMON = NOTIFY + BARRIER + '''
import pathlib, signal
here = pathlib.Path(sys.argv[0]).parent
def say(name):
    with open(here / "pids", "a") as f: print(name, os.getpid(), file=f)
def gate(name):
    while not (here / name).exists(): time.sleep(0.002)
def write_pid(pid=None):
    (here / "d.pid.new").write_text(f"{pid or os.getpid()}\\n")
    (here / "d.pid.new").rename(here / "d.pid")
def stay():
    while True: time.sleep(1000)
def double_fork(wait=True):
    """Returns in the daemon; the process that was started goes on to exit."""
    pid = os.fork()
    if pid:
        if wait: os.waitpid(pid, 0)
        return False
    os.setsid()
    if os.fork(): os._exit(0)
    return True
'''


def python(f, body, name="d"):
    path = f.directory / f"{name}.py"
    path.write_text(DAEMON + body)
    path.chmod(0o644)
    return '{"/usr/bin/python3", "%s"}' % path


def make(foster, body, options="", cgroup="auto", identity=None, more="", start=True):
    f = foster("service placeholder { command = {x} autostart = false }", start=False,
               identity=identity)
    f.write(f"cgroup = {cgroup}\n{more}\nservice d {{ command = {python(f, body)} {options} }}")
    return f.start().wait_up() if start else f


def said(f, name):
    """The pid of the process that said this name last."""
    path = f.directory / "pids"
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    found = [int(pid) for what, pid in lines if what == name]
    return found[-1] if found else None


def wait_said(f, name):
    return until(lambda: said(f, name), f"{name} has been there\n{f.output()}\n{f.log('d')}")


def open_gate(f, name):
    (f.directory / name).touch()


cgroups = pytest.mark.parametrize("cgroup", ["auto", "no"])

# --- ready = fd -----------------------------------------------------------------------------


def test_fd_newline(foster):
    f = make(foster, 'os.write(3, b"warming up"); say("d"); gate("go"); os.write(3, b"... done\\n")\n'
             "stay()\n", "ready = fd", more=f'service after {{ command = {SLEEP} requires = {{d}} }}')
    wait_said(f, "d")
    assert f.state("d") == "starting" and f.state("after") == "waiting"
    open_gate(f, "go")
    s = f.wait_state("d", "running")
    assert s["ready"] and s["pid"] == said(f, "d")
    f.wait_state("after", "running")


@pytest.mark.parametrize("number", [1, 4, 98])
def test_fd_number(foster, number):
    """Also standard output, and one behind a gap, in which nothing of fosterd's lies."""
    f = make(foster, 'fds = os.listdir("/proc/self/fd")\n'
             'fds = sorted(int(n) for n in fds if os.path.lexists("/proc/self/fd/" + n))\n'
             'say("d" + ",".join(map(str, fds)))\n'
             f'os.write({number}, b"\\n"); stay()\n', f"ready = fd ready-fd = {number}")
    f.wait_state("d", "running")
    fds = sorted({0, 1, 2, number})
    assert said(f, "d" + ",".join(map(str, fds)))


def test_fd_beside_sockets(foster, directory):
    f = make(foster, 'assert os.environ["LISTEN_FDS"] == "2"\nos.write(5, b"\\n"); stay()\n',
             "ready = fd ready-fd = 5 sockets = {w}",
             more=f'socket w {{ listen = {{"{directory}/a", "{directory}/b"}} }}')
    f.wait_state("d", "running")


def test_fd_that_is_a_sockets_is_refused(foster, directory):
    f = make(foster, "", "ready = fd sockets = {w}", start=False,
             more=f'socket w {{ listen = {{"{directory}/a", "{directory}/b"}} }}')
    f.start()
    assert f.wait_end() == 78
    assert "ready-fd = 3 is the number of one of its sockets, or of what it stores: it takes 5 or more, or 1" in f.output()


@pytest.mark.parametrize("daemon", ["true", "false"])
def test_fd_closed_without_a_newline(foster, daemon):
    f = make(foster, 'os.write(3, b"not"); os.close(3); stay()\n',
             f"ready = fd restart = no daemon = {daemon}")
    s = f.wait_state("d", "failed")
    assert s["reason"] == "closed its readiness descriptor without a newline"


@pytest.mark.parametrize("code", [0, 7])
def test_fd_end_before_ready(foster, code):
    """Its end closes the descriptor, too: what is told is the end. Nobody starts behind it."""
    f = make(foster, f"sys.exit({code})\n", "ready = fd restart = no",
             more=f"service after {{ command = {SLEEP} requires = {{d}} }}")
    s = f.wait_state("d", "failed")
    assert s["reason"] == f"exit {code} before it was ready"
    assert f.state("after") == "waiting"


def test_fd_not_ready_in_time(foster):
    f = make(foster, "stay()\n", 'ready = fd restart = no start-timeout = "200ms"')
    assert f.wait_state("d", "failed")["reason"] == "not ready in time"


def test_fd_outlives_managers(foster):
    """The newline is said while no manager is there; the next one finds it."""
    f = make(foster, 'say("d"); gate("go"); os.write(3, b"\\n"); say("done"); stay()\n', "ready = fd")
    wait_said(f, "d")
    for _ in range(3):
        f.kill_manager()
        assert f.state("d") == "starting"
    manager = f.manager_pid()
    os.kill(manager, signal.SIGSTOP)
    open_gate(f, "go")
    wait_said(f, "done")
    os.kill(manager, signal.SIGKILL)
    assert f.wait_state("d", "running")["pid"] == said(f, "d")
    assert pipes_of_readiness(f) == []


def pipes_of_readiness(f):
    """The descriptors of fosterd and its manager that a service's descriptor 3 is at the other
    end of; there are none when nobody waits."""
    with_write_end = os.readlink(f"/proc/{said(f, 'd')}/fd/3")
    found = []
    for pid in (f.pid, f.manager_pid()):
        found += [(pid, fd) for fd, target in descriptors_of(pid).items()
                  if target == with_write_end]
    return found


def test_fd_leaves_no_descriptor(foster):
    f = make(foster, 'say("d"); os.write(3, b"\\n"); stay()\n', "ready = fd")
    f.wait_state("d", "running")
    until(lambda: pipes_of_readiness(f) == [], "nobody holds the pipe any more")
    before = len(os.listdir(f"/proc/{f.pid}/fd")), len(os.listdir(f"/proc/{f.manager_pid()}/fd"))
    for _ in range(5):
        assert f.post("/v1/services/d/restart").json["result"] == "ok"
    until(lambda: before == (len(os.listdir(f"/proc/{f.pid}/fd")),
                             len(os.listdir(f"/proc/{f.manager_pid()}/fd"))), "as before")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_fd_opened_anew_as_another_user(foster):
    user = ordinary_user()
    f = make(foster, 'with open("/dev/fd/3", "w") as f: print("up", file=f)\nstay()\n',
             f'ready = fd user = "{user[0]}"')
    f.wait_state("d", "running")


# --- ready = oneshot ------------------------------------------------------------------------

def test_oneshot(foster):
    f = make(foster, 'say("d"); gate("go")\n', "ready = oneshot",
             more=f"service after {{ command = {SLEEP} requires = {{d}} }}")
    wait_said(f, "d")
    assert f.state("d") == "starting" and f.state("after") == "waiting"
    f.kill_manager()
    assert f.state("d") == "starting"
    open_gate(f, "go")
    s = f.wait_state("d", "exited")
    assert s["exit_code"] == 0 and s["ready"]
    f.wait_state("after", "running")
    assert f.ctl("status", "d").returncode == 0
    assert [s["name"] for s in f.get("/v1/why").json["services"]] == []
    # It has run: whoever needs it later does not make it run again, a start by name does.
    pid = said(f, "d")
    assert f.post("/v1/services/after/restart").json["result"] == "ok"
    assert said(f, "d") == pid
    assert f.post("/v1/services/d/start").json["state"] == "exited"
    assert said(f, "d") != pid


def test_oneshot_that_fails(foster):
    f = make(foster, "sys.exit(3)\n", "ready = oneshot restart = no",
             more=f"service after {{ command = {SLEEP} requires = {{d}} }}")
    assert f.wait_state("d", "failed")["reason"] == "exit 3"
    assert f.state("after") == "waiting"


def test_oneshot_is_tried_again(foster):
    f = make(foster, 'say("d"); sys.exit(0 if (here / "go").exists() else 3)\n',
             'ready = oneshot restart-delay = "10ms"',
             more=f"service after {{ command = {SLEEP} requires = {{d}} }}")
    until(lambda: f.service("d")["restarts"] > 1)
    assert f.state("after") == "waiting"
    open_gate(f, "go")
    f.wait_state("d", "exited")
    f.wait_state("after", "running")


def test_oneshot_too_slow(foster):
    f = make(foster, "stay()\n", 'ready = oneshot restart = no start-timeout = "200ms"')
    assert f.wait_state("d", "failed")["reason"] == "not ready in time"


def test_oneshot_outlives_fosterd(foster):
    """It is adopted in the middle of its work, and its exit code is known."""
    f = make(foster, 'say("d"); gate("go"); say("done")\n', "ready = oneshot",
             more=f"service after {{ command = {SLEEP} requires = {{d}} daemon = true }}")
    pid = wait_said(f, "d")
    f.kill_supervisor()
    f.start().wait_up()
    s = f.service("d")
    assert s["state"] == "starting" and s["pid"] == pid and s["adopted"]
    assert f.state("after") == "waiting"
    open_gate(f, "go")
    wait_said(f, "done")
    s = f.wait_state("d", "exited", "running", "failed", "starting", "backoff")
    if s["exit"] != "ended, nobody saw how":  # where the kernel tells how
        f.wait_state("d", "exited")
        f.wait_state("after", "running")


# --- ready = forking ------------------------------------------------------------------------

@cgroups
@pytest.mark.parametrize("wait", [True, False])
def test_forking_without_a_pid_file(foster, cgroup, identity, wait):
    f = make(foster, f'say("start")\nif double_fork({wait}): say("d"); stay()\n',
             "ready = forking", cgroup, identity,
             more=f"service after {{ command = {SLEEP} requires = {{d}} }}")
    f.wait_state("after", "running")
    s = until(lambda: (s := f.service("d"))["pid"] == said(f, "d") and s)
    assert s["state"] == "running" and s["restarts"] == 0
    # Its end is the service's, with its own status.
    os.kill(s["pid"], signal.SIGUSR1)
    s = until(lambda: (s := f.service("d"))["restarts"] == 1 and s["pid"] and s)
    assert s["exit"] == "killed by SIGUSR1"
    # And a stop reaches it.
    until(lambda: f.service("d")["pid"] == said(f, "d"))
    pid = f.wait_state("d", "running")["pid"]
    assert f.post("/v1/services/d/stop").json["result"] == "ok"
    assert not alive(pid)


@cgroups
def test_forking_with_a_pid_file(foster, cgroup, identity):
    """It comes late; until then nobody is believed to be the main process."""
    f = make(foster, 'if double_fork():\n'
             ' if os.fork() == 0: stay()\n'
             ' say("d"); gate("go"); write_pid(); stay()\n',
             'ready = forking pid-file = "/nonexistent/d.pid"', cgroup, identity, start=False)
    f.write(f.config_path.read_text().replace("/nonexistent", str(f.directory)))
    f.start().wait_up()
    pid = wait_said(f, "d")
    until(lambda: f.service("d")["pid"] == 0 and f.state("d") == "starting")
    f.kill_manager()
    assert f.state("d") == "starting"
    open_gate(f, "go")
    s = f.wait_state("d", "running")
    assert s["pid"] == pid
    f.kill_manager()
    assert f.service("d")["pid"] == pid
    assert f.post("/v1/services/d/stop").json["result"] == "ok"
    assert not alive(pid) and not (f.directory / "d.pid").exists()
    assert f.service("d")["exit"] == "killed by SIGTERM"


def with_pid_file(foster, body, options="", cgroup="auto", **more):
    f = make(foster, body, "", cgroup, start=False, **more)
    text = f.config_path.read_text()
    f.write(text.replace("service d {", f'service d {{ ready = forking pid-file = "{f.directory}/d.pid" {options} '))
    return f.start().wait_up()


@cgroups
def test_a_pid_of_somebody_else_is_not_believed(foster, cgroup):
    f = with_pid_file(foster, 'if double_fork(): say("d"); gate("go"); write_pid(); stay()\n',
                      cgroup=cgroup, more=f"service other {{ command = {SLEEP} }}")
    pid = wait_said(f, "d")
    other = f.wait_state("other", "running")["pid"]
    for wrong in (str(os.getpid()), str(other), str(f.pid), str(f.manager_pid()), "1", "0", "-1", "x",
                  "999999999999"):
        (f.directory / "d.pid").write_text(wrong)
        until(lambda: wrong in (f.service("d")["next"] or ""), f.service("d"), 2)
        assert f.state("d") == "starting"
    open_gate(f, "go")
    assert f.wait_state("d", "running")["pid"] == pid
    assert f.service("other")["pid"] == other


def test_a_pid_file_that_may_be_anybodys_is_not_believed(foster):
    f = with_pid_file(foster, 'if double_fork(): say("d"); write_pid(); (here / "d.pid").rename(here / "real");'
                      ' say("there"); gate("go"); (here / "real").rename(here / "d.pid"); stay()\n')
    pid = wait_said(f, "there")
    path = f.directory / "d.pid"
    path.symlink_to(f.directory / "real")
    until(lambda: "is a symbolic link" in (f.service("d")["next"] or ""))
    path.unlink()
    if os.geteuid() == 0:
        other = path.with_name("other")
        other.write_text(f"{pid}\n")
        os.chown(other, *ordinary_user())
        other.rename(path)
        until(lambda: "neither root nor the service's" in (f.service("d")["next"] or ""))
        path.unlink()
    path.mkdir()
    until(lambda: "no regular file" in (f.service("d")["next"] or ""))
    path.rmdir()
    assert f.state("d") == "starting"
    open_gate(f, "go")
    assert f.wait_state("d", "running")["pid"] == pid


@cgroups
@pytest.mark.parametrize("body, reason", [
    ("sys.exit(0)", "was to fork away, and left no process behind"),
    ("sys.exit(4)", "exit 4 before it was ready"),
    ("if double_fork(): stay()\nos.kill(os.getpid(), 9)", "killed by SIGKILL before it was ready"),
    ('if double_fork(): say("d"); sys.exit(5)\nwhile not gone(): time.sleep(0.002)',
     "was to fork away, and left no process behind"),
])
def test_forking_that_fails(foster, cgroup, body, reason):
    """One of them: the daemon has died already when the process that was started ends."""
    gone = """def gone():
 path = here / "pids"
 return path.exists() and path.read_text().endswith("\\n") and \\
  not os.path.exists("/proc/" + path.read_text().split()[1])
"""
    f = make(foster, gone + body + "\n", "ready = forking restart = no",
             cgroup, more=f"service after {{ command = {SLEEP} requires = {{d}} }}")
    assert f.wait_state("d", "failed")["reason"] == reason
    assert f.state("after") == "waiting"
    until(lambda: children_of(f.pid) and not [p for p in children_of(f.pid)
                                              if "d.py" in command_of(p)], "its tree is gone")


def command_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


@cgroups
def test_forking_stopped_while_its_daemon_is_looked_for(foster, cgroup):
    f = with_pid_file(foster, 'if double_fork(): say("d"); stay()\n', cgroup=cgroup)
    pid = wait_said(f, "d")
    until(lambda: f.service("d")["pid"] == 0)
    f.kill_manager()
    assert f.post("/v1/services/d/stop").json["state"] == "stopped"
    assert not alive(pid)
    f.kill_manager()
    assert f.state("d") == "stopped"
    assert f.post("/v1/services/d/start?wait=0").json["result"] == "ok"
    until(lambda: said(f, "d") != pid)


@cgroups
def test_forking_not_in_time(foster, cgroup):
    f = with_pid_file(foster, 'if double_fork(): say("d"); stay()\n',
                      'restart = no start-timeout = "300ms"', cgroup)
    assert f.wait_state("d", "failed")["reason"] == "not ready in time"
    assert not alive(said(f, "d"))


@cgroups
@pytest.mark.parametrize("daemon", ["true", "false"])
@pytest.mark.parametrize("victims", ["fosterd", "manager", "both"])
def test_forking_and_deaths(foster, cgroup, identity, daemon, victims):
    f = make(foster, 'if double_fork(): say("d"); stay()\n', f"ready = forking daemon = {daemon}",
             cgroup, identity)
    pid = f.wait_state("d", "running")["pid"]
    assert pid == wait_said(f, "d")
    injure(f, victims)
    if victims == "manager":
        assert f.service("d")["pid"] == pid
        return
    if victims == "fosterd" and daemon == "true":
        until(lambda: not alive(pid), "it ends with fosterd", 2)
    f.start().wait_up()
    if daemon == "true":
        until(lambda: not alive(pid), "the next fosterd ends it", 2)
        assert f.wait_state("d", "running")["pid"] != pid
        return
    s = f.service("d")
    assert s["pid"] == pid and s["state"] == "running" and s["adopted"]
    assert len([line for line in (f.directory / "pids").read_text().splitlines()]) == 1
    assert f.post("/v1/services/d/stop").json["result"] == "ok"
    assert not alive(pid)


def injure(f, victims):
    manager = f.manager_pid()
    if victims == "both":
        os.kill(manager, signal.SIGSTOP)
    if victims in ("both", "fosterd"):
        f.kill_supervisor()
    if victims in ("both", "manager"):
        os.kill(manager, signal.SIGKILL)
        until(lambda: not alive(manager))


# The manager dies when it has read a message, when it has done what that says, and when it has
# taken it from the socket.
moments = pytest.mark.parametrize("moment", ["read", "handled", "consumed"])
NO_PRELOAD = 'environment = {"LD_PRELOAD="}'


def die_at_message(f, moment, text, **more):
    f.preload("test-kill-at-message.so", KILL_AT=moment, KILL_AT_TEXT=text,
              KILL_AT_MARK=str(f.directory / "killed"), **more)
    return f.start().wait_up()


@pytest.mark.parametrize("name", ["control", "notify"])
def test_manager_dies_when_it_makes_a_socket_again(foster, name):
    """The file is there, and its socket is gone with the manager: the next one makes it again."""
    f = make(foster, 'notify("READY=1"); stay()\n', f"ready = notify {NO_PRELOAD}", start=False)
    (f.directory / "killed").touch()  # not at the start
    die_at_message(f, "bind", f"/{name}")
    f.wait_state("d", "running")
    manager = f.manager_pid()
    (f.directory / "killed").unlink()
    (f.run / name).unlink()
    until((f.directory / "killed").exists, "it died over it")
    until(lambda: answers(f) not in (None, manager), f.output())
    pid = f.service_pid("d")
    assert f.post("/v1/services/d/restart").json["result"] == "ok"
    assert f.service_pid("d") != pid and f.state("d") == "running"


def answers(f):
    try:
        return f.manager_pid()
    except OSError:
        return None


@moments
@cgroups
def test_manager_dies_at_what_is_said_once(foster, moment, cgroup):
    """Nobody says again that he is ready, or who the main process is."""
    f = make(foster, 'if double_fork(): notify(f"MAINPID={os.getpid()}\\nREADY=1\\nSTATUS=up"); '
             'barrier(); say("d"); stay()\nstay()\n', f"ready = notify {NO_PRELOAD}", cgroup,
             start=False)
    die_at_message(f, moment, "READY=1")
    pid = wait_said(f, "d")
    assert (f.directory / "killed").exists()
    s = until(lambda: (s := f.service("d"))["state"] == "running" and s["pid"] == pid and s)
    assert s["restarts"] == 0 and s["status"] == "up" and len(copies(f)) == 2


def copies(f):
    return [p for p in os.listdir("/proc") if p.isdigit() and f"{f.directory}/d.py" in command_of(p)
            and alive(int(p))]


@cgroups
@pytest.mark.parametrize("body, options", [
    ('if double_fork(False): say("d"); stay()\n', "ready = forking"),
    ('if double_fork(): notify(f"MAINPID={os.getpid()}\\nREADY=1"); barrier(); say("d"); stay()\n'
     'gate("pids")\n', "ready = notify"),
], ids=["forking", "MAINPID"])
def test_managers_killed_at_any_moment(foster, cgroup, body, options):
    """Of a start: whichever manager goes on with it, there is one daemon, and it is the main one."""
    for i in range(12):
        if i % 4 == 0:  # one that loses more of them makes ever longer pauses
            f = make(foster, body, options, cgroup)
        until(lambda: f.wait_state("d", "running")["pid"] == said(f, "d"))
        (f.directory / "pids").unlink()
        manager = f.manager_pid()
        f.post("/v1/services/d/restart?wait=0")
        # A moment that moves on through all that happens; nothing is waited for here.
        moment = time.monotonic() + i * 0.005
        until(lambda: time.monotonic() > moment, every=0.0005)
        os.kill(manager, signal.SIGKILL)
        until(lambda: (s := f.service("d"))["state"] == "running" and s["pid"] and
              s["pid"] == said(f, "d"), f.output())
        until(lambda: len(copies(f)) == 1, "there is one")
        s = f.service("d")
        assert s["pid"] == said(f, "d") and s["restarts"] == 0
        if i % 4 == 3:
            f.end()


# Its parent lives, and leaves it unreaped; another process is what was started.
NOT_REAPED = '''
said = (here / "pids").exists()
if os.fork():
 gate("d.pid"); sys.exit(0)
if os.fork() == 0:
 os.setsid(); say("again" if said else "d"); write_pid(); stay()
if not said: gate("go")
sys.exit(0)
'''


@cgroups
def test_forking_daemon_that_its_parent_does_not_reap(foster, cgroup):
    """When the parent has ended, too, fosterd gets to reap it: its end is not told a second time."""
    f = with_pid_file(foster, NOT_REAPED, "kill-mode = process", cgroup,
                      more=f"service other {{ command = {SLEEP} autostart = false }}")
    first = f.wait_state("d", "running")["pid"]
    manager = f.manager_pid()
    os.kill(manager, signal.SIGSTOP)
    os.kill(first, signal.SIGUSR1)
    until(lambda: Children(f.builddir, f.run).read()["d"]["state"] == "exited", "fosterd knows of it")
    open_gate(f, "go")
    until(lambda: not os.path.exists(f"/proc/{first}"), "fosterd has reaped it")
    os.kill(manager, signal.SIGCONT)
    again = wait_said(f, "again")
    until(lambda: f.service("d")["pid"] == again)
    f.post("/v1/services/other/start")
    f.wait_state("other", "running")  # what fosterd had to tell before has been told
    s = f.service("d")
    assert s["state"] == "running" and s["pid"] == again and s["restarts"] == 1


@cgroups
def test_fosterd_dies_while_the_daemon_is_looked_for(foster, cgroup):
    f = with_pid_file(foster, 'if double_fork(): say("d"); stay()\n', "daemon = true", cgroup)
    pid = wait_said(f, "d")
    until(lambda: f.service("d")["pid"] == 0)
    f.kill_supervisor()
    until(lambda: not alive(pid), "the manager ends it", 2)


@cgroups
@pytest.mark.parametrize("daemon", ["true", "false"])
def test_all_die_while_the_daemon_is_looked_for(foster, cgroup, daemon):
    """What is no daemon of ours goes on, and is found by the next fosterd; the other is ended."""
    f = with_pid_file(foster, 'if double_fork(): say("d"); gate("go"); write_pid(); stay()\n',
                      f"daemon = {daemon}", cgroup)
    pid = wait_said(f, "d")
    until(lambda: f.service("d")["pid"] == 0)
    injure(f, "both")
    f.start().wait_up()
    if daemon == "true":
        until(lambda: not alive(pid), "it is ended", 2)
        until(lambda: said(f, "d") != pid, "and started anew")
        open_gate(f, "go")
        assert f.wait_state("d", "running")["pid"] == said(f, "d")
        return
    assert f.state("d") == "starting" and alive(pid)
    f.kill_manager()
    open_gate(f, "go")
    s = f.wait_state("d", "running")
    assert s["pid"] == pid and said(f, "d") == pid
    assert f.post("/v1/services/d/stop").json["result"] == "ok"
    assert not alive(pid)


@cgroups
def test_forking_goes_on_in_another_process(foster, cgroup):
    """As a server that replaces itself by a newer version: the old one leaves in good order."""
    f = with_pid_file(foster, '''if double_fork():
 say("old"); write_pid()
 def replace(*args):
  if os.fork() == 0:
   signal.signal(signal.SIGUSR2, signal.SIG_DFL)
   say("new"); write_pid(); gate("go")
   os.kill(os.getppid(), signal.SIGQUIT); stay()
 signal.signal(signal.SIGQUIT, lambda *args: os._exit(0))
 signal.signal(signal.SIGUSR2, replace)
 stay()
''', cgroup=cgroup)
    old = f.wait_state("d", "running")["pid"]
    os.kill(old, signal.SIGUSR2)
    new = wait_said(f, "new")
    assert f.service("d")["pid"] == old
    open_gate(f, "go")
    until(lambda: f.service("d")["pid"] == new, "it is the main process")
    s = f.service("d")
    assert s["state"] == "running" and s["restarts"] == 0 and not alive(old)
    os.kill(new, signal.SIGKILL)
    until(lambda: f.service("d")["restarts"] == 1)


# --- MAINPID= -------------------------------------------------------------------------------

MAINPID = '''
if double_fork():
 say("d")
 if os.fork() == 0: say("child"); stay()
 gate("go"); stay()
'''


@cgroups
def test_mainpid(foster, cgroup, identity):
    """Told by the process that was started, at the moment of its end."""
    f = make(foster, '''
pid = os.fork()
if pid == 0: os.setsid(); say("d"); stay()
while not (here / "pids").exists(): time.sleep(0.002)
notify(f"MAINPID={pid}\\nREADY=1")
sys.exit(0)
''', "ready = notify", cgroup, identity)
    pid = wait_said(f, "d")
    s = until(lambda: (s := f.service("d"))["pid"] == pid and s)
    assert s["state"] == "running" and s["restarts"] == 0
    f.kill_manager()
    s = f.service("d")
    assert s["pid"] == pid and s["state"] == "running"
    os.kill(pid, signal.SIGUSR1)
    until(lambda: f.service("d")["restarts"] == 1)
    assert f.service("d")["exit"] == "killed by SIGUSR1"


@cgroups
def test_mainpid_of_a_grandchild(foster, cgroup):
    """One whose parent lives is watched by its pidfd, and whoever reaps it, its end is known."""
    f = make(foster, '''
pid = os.fork()
if pid == 0:
 if os.fork() == 0: say("d"); notify(f"MAINPID={os.getpid()}\\nREADY=1"); barrier(); say("told"); stay()
 signal.signal(signal.SIGCHLD, signal.SIG_IGN); stay()
stay()
''', "ready = notify", cgroup)
    wait_said(f, "told")
    pid = said(f, "d")
    assert until(lambda: f.service("d")["pid"] == pid) and f.state("d") == "running"
    os.kill(pid, signal.SIGUSR1)
    s = until(lambda: (s := f.service("d"))["restarts"] == 1 and s)
    assert s["exit"] in ("killed by SIGUSR1", "ended, nobody saw how")
    if os.uname().release.split(".")[:2] >= ["6", "15"]:
        assert s["exit"] == "killed by SIGUSR1"


@cgroups
def test_mainpid_of_somebody_else_is_not_believed(foster, cgroup):
    f = make(foster, 'say("d"); gate("go")\n'
             'for pid in (here / "go").read_text().split(): notify(f"MAINPID={pid}")\n'
             'barrier(); say("told"); stay()\n', "ready = notify", cgroup,
             more=f"service other {{ command = {SLEEP} }}")
    pid = wait_said(f, "d")
    other = f.wait_state("other", "running")["pid"]
    new = f.directory / "go.new"
    new.write_text(f"{os.getpid()} {other} {f.pid} {f.manager_pid()} 1 0 -5 99999999 x")
    new.rename(f.directory / "go")
    wait_said(f, "told")
    assert f.service("d")["pid"] == pid and f.service("other")["pid"] == other
    assert f"MAINPID={other}: none of its tree, or gone: not believed" in f.output()


# It names another process for the main one, and ends.
LAST_BREATH = '''
pid = os.fork()
if pid == 0: os.setsid(); say("d"); stay()
say("parent"); gate("go")
notify(f"MAINPID={pid}\\nREADY=1")
sys.exit(0)
'''


@cgroups
def test_mainpid_said_with_the_last_breath(foster, cgroup):
    """It is heard before the end of its sender, also by a manager that was not there."""
    f = make(foster, LAST_BREATH, "ready = notify", cgroup)
    parent = wait_said(f, "parent")
    manager = f.manager_pid()
    os.kill(manager, signal.SIGSTOP)
    open_gate(f, "go")
    until(lambda: not os.path.exists(f"/proc/{parent}"), "fosterd has reaped it")
    os.kill(manager, signal.SIGCONT if cgroup == "auto" else signal.SIGKILL)
    s = until(lambda: (s := f.service("d"))["pid"] and s)
    assert s["pid"] == said(f, "d") and s["state"] == "running" and s["restarts"] == 0


@cgroups
def test_end_is_known_when_another_takes_over(foster, cgroup):
    """The manager hears of both in one breath: the end is not the service's any more."""
    f = make(foster, LAST_BREATH, f"ready = notify {NO_PRELOAD}", cgroup, start=False)
    die_at_message(f, "handled", "MAINPID", KILL_AT_SIGNAL=str(int(signal.SIGSTOP)))
    parent, daemon, manager = wait_said(f, "parent"), wait_said(f, "d"), f.manager_pid()
    os.kill(manager, signal.SIGSTOP)
    open_gate(f, "go")
    until(lambda: not os.path.exists(f"/proc/{parent}"), "fosterd has reaped it, and told")
    os.kill(manager, signal.SIGCONT)
    until(lambda: Children(f.builddir, f.run).read()["d"]["pid"] == daemon, "fosterd took the other")
    until(lambda: state(manager) == "T", "it stops when it has handled that")
    os.kill(manager, signal.SIGCONT)
    s = f.wait_state("d", "running")
    assert s["pid"] == daemon and s["restarts"] == 0 and f.manager_pid() == manager


def test_ready_said_with_the_last_breath(foster):
    f = make(foster, 'say("d"); gate("go"); notify("READY=1")\n', "ready = notify")
    pid = wait_said(f, "d")
    manager = f.manager_pid()
    os.kill(manager, signal.SIGSTOP)
    open_gate(f, "go")
    until(lambda: not os.path.exists(f"/proc/{pid}"), "fosterd has reaped it")
    os.kill(manager, signal.SIGCONT)
    assert f.wait_state("d", "exited", "failed", "starting")["state"] == "exited"


# --- what else is said ----------------------------------------------------------------------

def talker(foster, options="", ready="notify"):
    """A service that says what it finds in the file "say", line by line."""
    return make(foster, '''
signal.signal(signal.SIGTERM, lambda *args: None)
n = 0
while True:
 lines = (here / "say").read_text().splitlines() if (here / "say").exists() else []
 for line in lines[n:]:
  if line.startswith("exit"): sys.exit(int(line.split()[1]))
  notify(line.replace(";", "\\n")); barrier(); say("said")
 n = len(lines)
 time.sleep(0.002)
''', f"ready = {ready} {options}")


def tell(f, line):
    """Makes the talker say that, and waits until it was heard."""
    count = lambda: (f.directory / "pids").read_text().count("said") \
        if (f.directory / "pids").exists() else 0
    before = count()
    with open(f.directory / "say", "a") as file:
        print(line, file=file)
    if not line.startswith("exit"):
        until(lambda: count() > before, f"{line} was said")


def test_reloading_and_stopping(foster):
    f = talker(foster)
    tell(f, "READY=1")
    assert f.service("d")["phase"] is None
    tell(f, "RELOADING=1;MONOTONIC_USEC=1;STATUS=anew")
    for _ in range(2):
        s = f.service("d")
        assert s["phase"] == "reloading" and s["status"] == "anew" and s["state"] == "running"
        f.kill_manager()
    assert "running, ready, reloading" in f.ctl("status", "d").stdout
    tell(f, "READY=1")
    assert f.service("d")["phase"] is None
    tell(f, "STOPPING=1")
    assert f.service("d")["phase"] == "stopping"
    tell(f, "exit 0")
    assert f.wait_state("d", "exited")["phase"] is None


def test_errno(foster):
    f = talker(foster, "restart = no")
    tell(f, "READY=1")
    tell(f, "ERRNO=13")
    tell(f, "exit 1")
    assert f.wait_state("d", "failed")["errno"] == 13
    assert "failed: exit 1; it said: Permission denied" in f.output()
    assert "13 (Permission denied)" in f.ctl("status", "d").stdout


def test_watchdog_of_the_services_own(foster):
    """In place of the configured one, for the next manager, too; 0: none."""
    f = talker(foster, 'watchdog = "400ms" restart = no')
    tell(f, "READY=1;WATCHDOG_USEC=0")
    pid = f.service_pid("d")
    f.kill_manager()
    quiet = time.monotonic() + 1
    until(lambda: time.monotonic() > quiet)
    assert f.service("d")["pid"] == pid and f.state("d") == "running"
    tell(f, "WATCHDOG_USEC=100000")
    assert f.wait_state("d", "failed")["reason"].startswith("watchdog")


def test_watchdog_is_off_while_it_stops(foster):
    f = talker(foster, 'watchdog = "300ms" restart = no')
    tell(f, "READY=1;STOPPING=1")
    quiet = time.monotonic() + 0.8
    until(lambda: time.monotonic() > quiet)
    tell(f, "exit 0")
    f.wait_state("d", "exited")


def test_watchdog_trigger(foster):
    f = talker(foster, "restart = no")
    tell(f, "READY=1")
    with open(f.directory / "say", "a") as file:
        print("WATCHDOG=trigger", file=file)
    assert f.wait_state("d", "failed")["reason"].startswith("watchdog")


def test_extended_timeout_outlives_the_manager(foster):
    f = talker(foster, 'start-timeout = "1s" restart = no stop-timeout = "50ms"')
    tell(f, "EXTEND_TIMEOUT_USEC=60000000")
    f.kill_manager()
    patient = time.monotonic() + 1.2
    until(lambda: time.monotonic() > patient)
    assert f.state("d") == "starting"
    tell(f, "READY=1")
    f.wait_state("d", "running")


@pytest.mark.parametrize("cgroup", ["auto", "no"])
def test_the_eldest_orphan_though_all_are_born_in_one_tick(foster, builddir, cgroup):
    """Each daemon has at once an orphan of its own: the clock of /proc is too slow to tell them apart."""
    names = [f"a{i}" for i in range(40)]
    f = foster("", start=False)
    f.write(f"cgroup = {cgroup}\n" + "".join(
        f'service {n} {{ command = {{"{builddir}/test-tree", "--fork-away", "{f.directory}/{n}"}} '
        f'ready = forking daemon = true stop-timeout = "50ms" }}\n' for n in names))
    f.start().wait_up()
    for name in names:
        pid = f.wait_state(name, "running")["pid"]
        told = until(lambda: [line.split()[1] for line in (f.directory / name).read_text().splitlines()
                              if line.startswith("main ")], "it has told its pid")
        assert pid == int(told[0])
