"""Trees as cgroups, and without them."""

import errno
import os
import pathlib
import signal

import pytest

import sandbox
from foster import alive, cgroup_of_ours, until
from test_services import SLEEP, shell

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not os.access(cgroup_of_ours() or "", os.W_OK),
                                reason="there is no cgroup v2 to write to, or we are not root")

# An orphan in a session of its own that knows nothing of where it came from.
ESCAPED = "(env -i setsid /bin/sh -c \"trap '' TERM; echo \\$\\$ > {file}; while :; do sleep 1; done\" &)"


def escaping(file, then="exec sleep 1000"):
    return shell(f"{ESCAPED.format(file=file)}; {then}")


def vanishing(file):
    """The same, and the mark among its limits is gone, too."""
    escaped = ESCAPED.format(file=file).replace("setsid", "prlimit --rttime=99999999 setsid")
    return shell(f"{escaped}; exec sleep 1000")


def group_of(f, name):
    """Polled for: a service runs a moment before the manager has heard of it."""
    return pathlib.Path(until(lambda: f.service(name)["cgroup"], f"{name} has a cgroup"))


def members(group):
    return [int(pid) for pid in (group / "cgroup.procs").read_text().split()]


def read_pid(file):
    return int(until(lambda: file.exists() and file.read_text().strip(), f"{file} is written"))


@pytest.fixture
def escape(directory):
    """A file for the pid of one that escapes."""
    directory.chmod(0o777)
    return directory / "escaped"


def test_born_into_it(foster):
    f = foster(f"service a {{ command = {SLEEP} }}\n"
               f"service b {{ command = {shell('sleep 1000 & wait')} user = \"nobody\" }}")
    for name in ("a", "b"):
        pid = f.wait_state(name, "running")["pid"]
        group = group_of(f, name)
        assert group.name == f"{name}.service" and group.parent.name.startswith("foster-")
        assert pid in members(group)
    until(lambda: len(members(group_of(f, "b"))) == 2)
    assert f.manager_pid() not in members(group.parent)


def without_inotify_watches():
    """In a user namespace of its own, which has a limit of its own."""
    sandbox.own_user_namespace()
    pathlib.Path("/proc/sys/user/max_inotify_watches").write_text("0")


def test_an_end_is_seen_without_watches(foster, escape):
    """inotify has no watch left: the cgroup is looked at now and then, and never taken for empty."""
    f = foster(f"service a {{ command = {escaping(escape)} stop-timeout = \"100ms\" }}", start=False)
    f.before_exec = without_inotify_watches
    f.start().wait_up()
    pid = read_pid(escape)
    f.ctl("stop", "a", check=0)
    assert not alive(pid) and "is looked at now and then" in f.output()


def test_a_stop_ends_who_escaped(foster, escape):
    f = foster(f"service a {{ command = {escaping(escape)} stop-timeout = \"100ms\" }}")
    pid = read_pid(escape)
    f.post("/v1/services/a/stop")
    assert f.state("a") == "stopped" and not alive(pid)


def test_started_again_after_a_kill(foster, escape):
    """A cgroup that was killed once kills who is born into it: it must be made anew."""
    f = foster(f"service a {{ command = {escaping(escape)} stop-timeout = \"50ms\" }}")
    for _ in range(3):
        read_pid(escape)
        escape.unlink()
        f.post("/v1/services/a/restart")
    s = f.wait_state("a", "running")
    read_pid(escape)
    assert f.service("a")["pid"] == s["pid"] and s["restarts"] == 0
    manager = f.kill_manager()
    until(lambda: f.manager_pid() != manager)
    f.post("/v1/services/a/restart")
    s = f.wait_state("a", "running")
    until(lambda: f.service("a")["uptime_us"] > 200000)
    assert f.service("a")["pid"] == s["pid"] and s["restarts"] == 0


def test_its_own_end_ends_the_rest(foster, escape):
    go = escape.with_name("go")
    f = foster(f"service a {{ command = "
               f"{escaping(escape, f'while [ ! -e {go} ]; do sleep 0.01; done')} "
               "restart = no stop-timeout = \"50ms\" }")
    pid = read_pid(escape)
    go.touch()
    assert f.wait_state("a", "exited")["exit_code"] == 0
    assert not alive(pid)


@pytest.mark.parametrize("both", [False, True], ids=["fosterd", "fosterd and manager"])
def test_killed_with_escaped_daemons(foster, escape, both):
    f = foster(f"service a {{ command = {escaping(escape)} daemon = true stop-timeout = \"50ms\" }}\n"
               f"service keeper {{ command = {SLEEP} }}")
    pid, keeper = read_pid(escape), f.wait_state("keeper", "running")["pid"]
    if both:
        f.kill_both()
        assert alive(pid)
        escape.unlink()
        f.start().wait_up()
        until(lambda: not alive(pid), "the next fosterd ends it")
        assert f.service_pid("keeper") == keeper
        assert keeper in members(group_of(f, "keeper"))
        read_pid(escape)
    else:
        f.kill_supervisor()
        until(lambda: not alive(pid), "the manager ends it", 1)
        assert alive(keeper)
        f.start().wait_up()
        assert f.service_pid("keeper") == keeper


def test_big_daemon_left_over_is_started_once(foster):
    """Its processes take a moment to go, in which a cgroup that was killed cannot be made anew."""
    script = shell("for i in $(seq 100); do setsid sleep 1000 & done; echo ready; wait")
    f = foster(f"service a {{ command = {script} daemon = true }}")
    for _ in range(3):
        until(lambda: "ready" in f.log("a"), "its tree is there")
        pid = f.service_pid("a")
        f.kill_both()
        (f.run / "log" / "a.log").unlink()
        f.start().wait_up()
        until(lambda: "ready" in f.log("a"), "its next tree is there")
        s = f.service("a")
        assert s["pid"] != pid and s["restarts"] == 0


def test_stopped_before_everything_was_killed(foster):
    """No child is left to remember that the cgroup was killed, only the cgroup."""
    f = foster(f"service a {{ command = {SLEEP} stop-timeout = \"50ms\" }}")
    f.wait_state("a", "running")
    group = group_of(f, "a")
    f.post("/v1/services/a/stop")
    (group / "cgroup.kill").write_text("1")
    f.kill_both()
    f.start().wait_up()
    pid = f.wait_state("a", "running")["pid"]
    until(lambda: f.service("a")["uptime_us"] > 200000)
    assert f.service_pid("a") == pid and f.service("a")["restarts"] == 0


def test_adopted_ones_keep_their_cgroup(foster, escape):
    f = foster(f"service a {{ command = {escaping(escape)} stop-timeout = \"50ms\" }}")
    pid = read_pid(escape)
    group = group_of(f, "a")
    manager = f.manager_pid()
    f.kill_supervisor()
    until(lambda: not alive(manager))
    f.start().wait_up()
    assert group_of(f, "a") == group
    f.post("/v1/services/a/stop")
    assert not alive(pid)


@pytest.mark.parametrize("option", ["no", "auto"])
def test_nothing_of_it_is_left(foster, option):
    f = foster(f"cgroup = {option}\nservice a {{ command = {SLEEP} }}")
    f.wait_state("a", "running")
    path = f.service("a")["cgroup"]
    assert (path is None) == (option == "no")
    assert f.post("/v1/shutdown?all=1").status == 200
    assert f.wait_end() == 0
    assert not (f.run / "cgroup").exists()
    assert path is None or not pathlib.Path(path).parent.exists()


def test_a_place_of_ones_own(foster, identity):
    """A subtree that was given to an ordinary user."""
    base = cgroup_of_ours() / f"delegated-{os.getpid()}"
    base.mkdir()
    try:
        if identity:
            for path in (base, base / "cgroup.procs"):
                os.chown(path, *identity)
        f = foster(f"cgroup = \"{base}\"\nservice a {{ command = {shell('sleep 1000 & wait')} }}",
                   identity=identity)
        f.wait_state("a", "running")
        # An ordinary user may not move a process in from outside: it runs without.
        if not identity:
            assert group_of(f, "a").parent.parent == base
        f.post("/v1/services/a/stop")
        f.end()
    finally:
        for path in sorted(base.rglob("*/"), reverse=True):
            if path.is_dir():
                path.rmdir()
        base.rmdir()


def test_a_bad_place_is_told(foster, directory):
    f = foster(f"cgroup = \"{directory}\"\nservice a {{ command = {SLEEP} }}")
    f.wait_state("a", "running")
    assert f.service("a")["cgroup"] is None
    assert f"no cgroups: {directory}/foster-" in f.output()


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EPERM], ids=["ENOSYS", "EPERM"])
@pytest.mark.parametrize("calls", [["clone3"], ["close_range"], ["clone3", "close_range"]],
                         ids="+".join)
def test_calls_refused(foster, escape, calls, code):
    """As in a container's sandbox, or on an old kernel: nothing is lost by it."""
    f = foster(f"service a {{ command = {escaping(escape)} stop-timeout = \"50ms\" }}\n"
               "service missing { command = {\"/nonexistent\"} restart = no }", start=False)
    f.before_exec = lambda: sandbox.refuse(calls, code)
    f.start().wait_up()
    pid = read_pid(escape)
    assert pid in members(group_of(f, "a"))
    assert f.wait_state("missing", "failed")["reason"] == "execve /nonexistent: No such file or directory"
    for _ in range(3):
        escape.unlink()
        f.post("/v1/services/a/restart")
        assert not alive(pid)
        pid = read_pid(escape)


def test_cgroup_that_goes_away(foster):
    """Somebody removes it between two starts: it is made again."""
    f = foster(f"service a {{ command = {SLEEP} }}")
    f.wait_state("a", "running")
    group = group_of(f, "a")
    f.post("/v1/services/a/stop")
    group.rmdir()
    f.post("/v1/services/a/start")
    assert f.service_pid("a") in members(group)


def test_a_fork_bomb_ends(foster, escape):
    """It may have ended by itself, when nothing more could be forked; the rest of it has not."""
    bomb = shell(f"echo $$ > {escape}; f() {{ (f & f &) 2>/dev/null; }}; f; exec sleep 1000")
    for cgroup in ("auto", "no"):
        f = foster(f"cgroup = {cgroup}\nservice bomb {{ command = {bomb} user = \"nobody\" "
                   "limit-nproc = 200 stop-timeout = \"50ms\" restart = no }")
        pid = read_pid(escape)
        f.wait_state("bomb", "running", "failed", "exited")
        f.post("/v1/services/bomb/stop")
        assert f.state("bomb") in ("stopped", "failed", "exited")
        until(lambda: not of_session(pid), "nothing of it is left")
        f.end()
        escape.unlink()


def of_session(session):
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            found.append(int(entry))
    return found


def test_a_cgroup_below_its_own(foster):
    """A service that makes cgroups itself, as a container runtime does."""
    inner = "mkdir $D/in && echo 0 > $D/in/cgroup.procs && exec sleep 1000"
    script = f"D=$(sed -n 's/^0:://p' /proc/self/cgroup); D={{point}}$D; ({inner}) & exec sleep 1000"
    point = next(line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text()
                 .splitlines() if " - cgroup2 " in line)
    f = foster(f"service a {{ command = {shell(script.format(point=point))} stop-timeout = \"1s\" }}")
    f.wait_state("a", "running")
    inside = group_of(f, "a") / "in"
    pid = until(lambda: inside.exists() and members(inside))[0]
    f.post("/v1/services/a/restart")
    assert not alive(pid) and f.state("a") == "running"
    f.post("/v1/shutdown?all=1")
    f.wait_end()
    assert not inside.parent.parent.exists()


def test_kill_mode_process(foster):
    f = foster(f"service a {{ command = {shell('sleep 1000 & exec sleep 1000')} kill-mode = process }}")
    pid = f.wait_state("a", "running")["pid"]
    rest = until(lambda: [p for p in members(group_of(f, "a")) if p != pid])
    f.post("/v1/services/a/stop")
    assert f.state("a") == "stopped" and not alive(pid) and alive(rest[0])
    f.post("/v1/services/a/start")
    f.wait_state("a", "running")
    assert alive(rest[0])
    os.kill(rest[0], signal.SIGKILL)
    f.write(f"service a {{ command = {shell('sleep 1000 & exec sleep 1000')} }}")
    f.post("/v1/reload")
    assert f.service_pid("a") != pid  # the one that was started again: no change of it restarts it
    group = group_of(f, "a")
    f.post("/v1/services/a/stop")
    assert not members(group)


@pytest.mark.parametrize("how", ["all", "signal", "join"])
def test_an_end_that_leaves_nothing_ends_who_escaped_without_a_cgroup(foster, escape, how):
    """Nobody knows whose it was, but it is below fosterd, and all are to go."""
    f = foster(f"""
        cgroup = no
        service a {{ command = {vanishing(escape)} daemon = true stop-timeout = "100ms" }}
        service job {{ command = {shell('trap "exit 3" TERM; while :; do sleep 0.05; done')}
                       restart = no daemon = {"false" if how == "join" else "true"} }}
        """, arguments=["--join", "job"] if how == "join" else [])
    pid = read_pid(escape)
    job = f.wait_state("job", "running")["pid"]
    f.post("/v1/services/a/stop")
    f.wait_state("a", "stopped")
    assert alive(pid)
    if how == "all":
        f.ctl("shutdown", "--all", check=0)
    else:
        os.kill(f.pid if how == "signal" else job, signal.SIGTERM)
    assert f.wait_end() == (3 if how == "join" else 0)
    assert not alive(pid)


def test_an_end_spares_what_kill_mode_spares(foster, escape):
    f = foster(f"""
        cgroup = no
        service a {{ command = {escaping(escape)} daemon = true kill-mode = process }}
        """)
    pid = read_pid(escape)
    f.ctl("shutdown", "--all", check=0)
    assert f.wait_end() == 0 and alive(pid)
    os.kill(pid, signal.SIGKILL)
