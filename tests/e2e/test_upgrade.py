"""Another fosterd in the place of the running one: nobody notices, or the old one goes on."""

import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading

import pytest

from chat_clients import free_port
from conftest import ordinary_user
from foster import (Connection, alive, children_of, descriptors_of, logger_of, start_time, until,
                    zombies_of)
from test_services import SLEEP, shell

TWO = f"""
service keeper {{ command = {SLEEP} }}
service servant {{ command = {SLEEP} daemon = true }}
"""
EXIT_7 = shell('trap "exit 7" TERM; while :; do sleep 0.1; done')
COUNTER = shell("i=0; while :; do echo $i; i=$((i+1)); done")


def upgrade(f, *arguments, code=0):
    return f.ctl("upgrade", *arguments, check=code)


def state(f):
    return f.get("/v1/upgrade").json


def who(f, *names):
    return {n: (s["pid"], s["restarts"]) for n, s in f.services().items() if n in names}


def command(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_the_same_processes_go_on(foster, identity):
    f = foster(TWO, identity=identity)
    for name in ("keeper", "servant"):
        f.wait_state(name, "running")
    before = who(f, "keeper", "servant")
    manager, logger, started = f.manager_pid(), logger_of(f), start_time(f.pid)
    done = upgrade(f)
    assert done.stdout.startswith("foster ") and "no service was touched" in done.stdout
    assert who(f, "keeper", "servant") == before
    assert start_time(f.pid) == started and f.process.poll() is None
    assert f.manager_pid() != manager and not alive(manager)
    logger_of(f, other_than=logger)
    assert state(f) | {"version": "", "manager_pid": 0} == {
        "version": "", "manager_pid": 0, "upgrades": 1, "outcome": "taken-over", "reason": None}
    events = [json.loads(line) for line in f.get("/v1/events").body.splitlines()]
    assert [e["type"] for e in events].count("upgrade") == 1


def test_children_end_and_are_told_of_as_ever(foster):
    """What was reaped, started, signalled before still is: the parent is the same process."""
    f = foster(f"""
        service ends {{ command = {EXIT_7} restart = no }}
        service dies {{ command = {SLEEP} restart = always }}
        """)
    for name in ("ends", "dies"):
        f.wait_state(name, "running")
    upgrade(f)
    os.kill(f.service_pid("ends"), signal.SIGTERM)
    assert f.wait_state("ends", "failed", "exited")["exit_code"] == 7
    pid = f.service_pid("dies")
    os.kill(pid, signal.SIGKILL)
    s = until(lambda: (s := f.service("dies"))["state"] == "running" and s["pid"] != pid and s)
    assert s["restarts"] == 1
    assert zombies_of(f.pid) == []


def test_an_end_in_the_middle_of_it_is_not_lost(foster):
    """Children that end while one program gives way to the next."""
    names = [f"s{i}" for i in range(40)]
    f = foster("".join(
        f'service {n} {{ command = {shell("exec sleep 1000")} restart = no }}\n' for n in names))
    pids = [f.wait_state(n, "running")["pid"] for n in names]
    asking = threading.Thread(target=lambda: [upgrade(f) for _ in range(5)])
    asking.start()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    asking.join()
    for name in names:
        s = f.wait_state(name, "failed", "exited")
        assert s["exit"] == "killed by SIGKILL", s
    assert state(f)["upgrades"] == 5 and zombies_of(f.pid) == []


@pytest.mark.parametrize("kind", ["keeper", "servant"])
def test_the_daemon_flag_holds_after_it(foster, kind):
    f = foster(TWO)
    pids = {n: f.wait_state(n, "running")["pid"] for n in ("keeper", "servant")}
    upgrade(f)
    f.kill_supervisor()
    until(lambda: not alive(pids["servant"]), "the daemon has ended with its parent", 2)
    assert alive(pids["keeper"])
    f.start().wait_up()
    assert f.wait_state("keeper", "running")["pid"] == pids["keeper"]
    assert f.wait_state("servant", "running")["pid"] != pids["servant"]


def test_adopted_services_stay_adopted(foster):
    """Those of an earlier fosterd are held by pidfds, which are handed over, too."""
    f = foster(f"service keeper {{ command = {EXIT_7} restart = no }}")
    pid = f.wait_state("keeper", "running")["pid"]
    f.kill_supervisor()
    f.start().wait_up()
    assert f.wait_state("keeper", "running")["pid"] == pid
    upgrade(f)
    upgrade(f)
    assert f.service_pid("keeper") == pid
    os.kill(pid, signal.SIGTERM)
    s = f.wait_state("keeper", "failed", "exited")
    assert s["exit_code"] in (7, None)


def test_listening_sockets_stay_bound(foster):
    f = foster(f"""
        socket web {{ listen = {{"127.0.0.1:{free_port(socket.SOCK_STREAM)}"}} }}
        service server {{ command = {SLEEP} sockets = {{web}} }}
        """)
    pid = f.wait_state("server", "running")["pid"]

    def listening():
        with open("/proc/net/tcp") as table:
            return {line.split()[9] for line in table if line.split()[3] == "0A"}

    held = {target[8:-1] for target in descriptors_of(f.pid).values()
            if target.startswith("socket:")} & listening()
    assert len(held) == 1
    upgrade(f)
    f.post("/v1/services/server/restart")
    assert f.wait_state("server", "running")["pid"] != pid
    assert held <= listening()


def test_a_signal_that_comes_meanwhile_is_heard(foster):
    f = foster(TWO)
    for name in ("keeper", "servant"):
        f.wait_state(name, "running")
    keeper = f.service_pid("keeper")
    asking = threading.Thread(target=f.ctl, args=("upgrade",))
    asking.start()
    os.kill(f.pid, signal.SIGTERM)
    assert f.wait_end() == 0
    asking.join()
    assert alive(keeper)
    os.kill(keeper, signal.SIGKILL)


def test_join_goes_on(foster):
    f = foster(f"""
        service job {{ command = {EXIT_7} restart = no }}
        service help {{ command = {SLEEP} daemon = true }}
        """, arguments=["--join", "job"])
    f.wait_state("job", "running")
    upgrade(f)
    os.kill(f.service_pid("job"), signal.SIGTERM)
    assert f.wait_end() == 7


# --- many times, under load ------------------------------------------------------------------


def ask_all_the_time(f, stop, failures):
    """What any HTTP client does: one connection a request. None may be refused or cut off."""
    n = 0
    while not stop.is_set():
        connection = Connection(f.run / "control", 20)
        try:
            connection.request("GET", "/v1/services")
            reply = connection.getresponse()
            body = reply.read()
            if reply.status != 200 or not body.endswith(b"\n"):
                failures.append((n, reply.status, body[-100:]))
        except (OSError, http.client.HTTPException) as error:
            failures.append((n, repr(error)))
        finally:
            connection.close()
        n += 1
    f.asked = n


def test_two_hundred_times_under_load(foster):
    """No service is restarted, no request refused, no line of a log lost."""
    f = foster(f"""
        service counter {{ command = {COUNTER} }}
        service restless {{ command = {shell("sleep 0.05")} restart = always restart-delay = "10ms"
                            restart-delay-max = "20ms" }}
        """ + TWO)
    for name in ("keeper", "servant", "counter"):
        f.wait_state(name, "running")
    before = who(f, "keeper", "servant", "counter")
    manager, held = f.manager_pid(), len(descriptors_of(f.pid))
    stop, failures = threading.Event(), []
    asking = threading.Thread(target=ask_all_the_time, args=(f, stop, failures))
    asking.start()
    try:
        for _ in range(200):
            upgrade(f, "--quiet")
    finally:
        stop.set()
        asking.join()
    assert failures == [] and f.asked > 200
    assert state(f)["upgrades"] == 200
    assert f.manager_pid() != manager and who(f, "keeper", "servant", "counter") == before
    assert f.service("restless")["restarts"] > 0
    until(lambda: zombies_of(f.pid) == [] and abs(len(descriptors_of(f.pid)) - held) <= 4)
    f.post("/v1/services/counter/stop")
    f.post("/v1/shutdown?all=1")
    f.wait_end()
    numbers = f.log("counter").split()
    assert len(numbers) > 1000
    assert numbers == [str(i) for i in range(len(numbers))]


def test_replaced_in_the_middle_of_it(foster, directory):
    """The client is told, and does not wait for what will not come."""
    f = foster(TWO)
    f.wait_state("servant", "running")
    fifo = directory / "fifo"
    os.mkfifo(fifo)
    path = script(directory / "slow", f"read line < {fifo}; exit 1")
    asking = subprocess.Popen([f"{f.builddir}/fosterctl", "--run-directory", str(f.run), "upgrade",
                               str(path)], stderr=subprocess.PIPE, text=True)
    until(lambda: any(b"slow" in command(p)
                      for p in children_of(f.pid)), "it is tried")
    f.kill_manager()
    assert asking.wait(5) == 1 and "ask again" in asking.stderr.read()
    assert state(f)["upgrades"] == 0
    until(lambda: len(children_of(f.pid)) == 4, "the rehearsal is ended")


# --- the new one does not come up ------------------------------------------------------------


@pytest.fixture
def release(builddir, directory):
    """A copy of what is built, to be broken."""
    for name in ("fosterd", "foster-manager", "foster-log"):
        shutil.copy(pathlib.Path(builddir) / name, directory / name)
    return directory


def refused(f, program, *words):
    before, manager = who(f, "keeper", "servant"), f.manager_pid()
    done = upgrade(f, str(program), code=1)
    assert "nothing has changed" in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr
    assert who(f, "keeper", "servant") == before and f.manager_pid() == manager
    assert state(f)["upgrades"] == 0


def goes_on(f, program, outcome, *words):
    before = who(f, "keeper", "servant")
    done = upgrade(f, str(program), code=1)
    for word in words + ("goes on",):
        assert word in done.stderr, done.stderr
    assert state(f)["outcome"] == outcome
    assert who(f, "keeper", "servant") == before
    # Once more, now that it knows of it, and with what is whole again.
    upgrade(f)
    assert who(f, "keeper", "servant") == before and state(f)["outcome"] == "taken-over"
    f.kill_supervisor()
    until(lambda: not alive(before["servant"][0]))
    os.kill(before["keeper"][0], signal.SIGKILL)


@pytest.fixture
def running(foster):
    f = foster(TWO)
    for name in ("keeper", "servant"):
        f.wait_state(name, "running")
    return f


def script(path, text):
    path.unlink(missing_ok=True)
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def test_what_is_no_fosterd_is_refused(running, directory):
    refused(running, "/bin/true", "no fosterd")
    refused(running, directory / "nothing", "No such file")
    refused(running, script(directory / "loud", "echo oh no >&2; exit 3"), "oh no")
    refused(running, script(directory / "killed", "kill -9 $$"), "KILL")
    refused(running, script(directory / "forks", "sleep 1000 & exit 1"), "exit 1")
    services = [s["pid"] for s in running.services().values()]
    until(lambda: not any(b"sleep" in command(p) for p in children_of(running.pid)
                          if p not in services), "what it left is ended")
    refused(running, script(directory / "talker", "yes"), "")


def test_relative_path_of_a_program(running, release):
    done = subprocess.run([f"{running.builddir}/fosterctl", "--run-directory", str(running.run),
                           "upgrade", "./fosterd"], cwd=release, capture_output=True, text=True)
    assert done.returncode == 0, done
    assert os.readlink(f"/proc/{running.pid}/exe") == f"{release}/fosterd"


def test_another_version_of_the_table_is_refused(running):
    with open(running.run / "children", "r+b") as table:
        table.seek(8)
        was = table.read(4)
        table.seek(8)
        table.write(struct.pack("=I", 4711))
        table.flush()
        refused(running, running.builddir / "fosterd", "version 4711", "start it again")
        table.seek(8)
        table.write(was)
    upgrade(running)


def test_a_manager_that_cannot_take_over_is_refused(running, release):
    script(release / "foster-manager", "echo I am of another release >&2; exit 1")
    refused(running, release / "fosterd", "I am of another release")


def test_a_manager_that_does_not_come_up(running, release):
    manager = shutil.move(release / "foster-manager", release / "whole")
    script(release / "foster-manager",
           f'case "$*" in *--rehearse*) exec {manager} "$@";; esac\nexit 41')
    goes_on(running, release / "fosterd", "fell-back", "exit 41")


def test_a_manager_that_crashes(running, release):
    manager = shutil.move(release / "foster-manager", release / "whole")
    script(release / "foster-manager",
           f'case "$*" in *--rehearse*) exec {manager} "$@";; esac\nkill -SEGV $$')
    goes_on(running, release / "fosterd", "fell-back", "SEGV")


def offset_of(path, function):
    """Where in the file a function's code is."""
    out = subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout
    address = next(int(line.split()[0], 16) for line in out.splitlines()
                   if line.split()[1:] in (["T", function], ["t", function]))
    segments = subprocess.run(["readelf", "-lW", path], capture_output=True, text=True,
                              check=True).stdout
    for line in segments.splitlines():
        if line.split()[:1] == ["LOAD"]:
            offset, start, size = (int(line.split()[i], 16) for i in (1, 2, 4))
            if start <= address < start + size:
                return address - start + offset
    raise AssertionError(function)


def test_a_fosterd_that_crashes(running, release):
    """Its code is damaged where only one that takes over comes along."""
    with open(release / "fosterd", "r+b") as program:
        program.seek(offset_of(release / "fosterd", "keeper_start"))
        program.write(b"\x0f\x0b" * 4)  # ud2
    goes_on(running, release / "fosterd", "crashed", "ILL")


def test_a_fosterd_that_cannot_be_run(running, release):
    path = script(release / "once", f'rm -- "$0"\nexec {release}/fosterd "$@"')
    goes_on(running, path, "exec-failed", "No such file")


def test_no_process_is_left_for_the_next_manager(foster, builddir, directory):
    """The old one has left by then: it is tried again, and nothing ends for it."""
    f = foster(TWO, identity=ordinary_user())
    for name in ("keeper", "servant"):
        f.wait_state(name, "running")
    before = who(f, "keeper", "servant")
    fifo = directory / "fifo"
    os.mkfifo(fifo)
    fifo.chmod(0o644)
    path = script(directory / "slow", f'case "$1" in --rehearse) read line < {fifo};; esac\n'
                                      f'exec {builddir}/fosterd "$@"')
    asking = subprocess.Popen(f.as_identity([
        f"{builddir}/fosterctl", "--run-directory", str(f.run), "upgrade", str(path)]),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    until(lambda: any(b"slow" in command(p) for p in children_of(f.pid)), "it is tried")

    def limit_processes(soft):  # of another user's process: not even root may everywhere
        subprocess.run(f.as_identity(["prlimit", "--pid", str(f.pid), f"--nproc={soft}:"]),
                       check=True)

    soft = re.search(r"Max processes +(\S+)",
                     pathlib.Path(f"/proc/{f.pid}/limits").read_text())[1]
    limit_processes(1)
    fifo.write_text("go on\n")
    until(lambda: "cannot start foster-manager" in f.output(), "there is no process for it")
    limit_processes(soft)
    assert asking.wait(20) == 0, asking.stdout.read()
    assert who(f, "keeper", "servant") == before and f.process.poll() is None
    asking.stdout.close()


def test_one_at_a_time(running, directory):
    """A second one is refused, and the first goes on; so does all else while it is tried."""
    fifo = directory / "fifo"
    os.mkfifo(fifo)
    path = script(directory / "slow", f"read line < {fifo}; exit 1")
    first = subprocess.Popen([f"{running.builddir}/fosterctl", "--run-directory",
                              str(running.run), "upgrade", str(path)], stderr=subprocess.PIPE,
                             text=True)
    until(lambda: any(b"slow" in command(p)
                      for p in children_of(running.pid)), "it is tried")
    done = upgrade(running, code=1)
    assert "under way already" in done.stderr
    assert len(running.services()) == 2
    fifo.write_text("go on\n")
    assert first.wait(10) == 1 and first.stderr.read()
    upgrade(running)


# --- installing over what runs ---------------------------------------------------------------


def test_a_manager_is_of_the_same_release(foster, release):
    """A newer one was installed: those that replace a crashed one still understand fosterd."""
    f = foster(TWO, start=False)
    f.builddir = release
    f.start().wait_up()
    pid = f.wait_state("keeper", "running")["pid"]
    script(release / "foster-manager", "exit 1")
    manager = f.kill_manager()
    assert f.manager_pid() != manager and f.service_pid("keeper") == pid


def test_a_logger_is_of_the_same_release(foster, release):
    f = foster(f"service talker {{ command = {shell('while :; do echo hello; sleep 0.05; done')} }}",
               start=False)
    f.builddir = release
    f.start().wait_up()
    until(lambda: "hello" in f.log("talker"))
    script(release / "foster-log", "exit 1")
    before, size = logger_of(f), len(f.log("talker"))
    os.kill(before, signal.SIGKILL)
    logger_of(f, other_than=before)
    until(lambda: len(f.log("talker")) > size, "which writes")


def test_what_a_symbolic_link_leads_to_by_now(foster, release, directory):
    """Releases side by side, and a link to the one in use."""
    link = directory / "current"
    f = foster(TWO, start=False)
    built = f.builddir
    link.symlink_to(built)
    f.builddir = link
    f.start().wait_up()
    f.builddir = built
    link.unlink()
    link.symlink_to(release)
    upgrade(f)
    assert os.readlink(f"/proc/{f.pid}/exe") == f"{release}/fosterd"
    assert os.readlink(f"/proc/{f.manager_pid()}/exe") == f"{release}/foster-manager"


def test_a_stranger_may_not(foster):
    f = foster(TWO)
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "curl",
                           "-s", "-XPOST", "--unix-socket", str(f.run / "control"),
                           "http://foster/v1/upgrade"], capture_output=True, text=True)
    assert "may not do that" in done.stdout, done
    assert f.get("/v1/upgrade").json["upgrades"] == 0


@pytest.mark.parametrize("program", ["relative/path", "x" * 5000])
def test_a_path_that_cannot_be(running, program):
    reply = running.post(f"/v1/upgrade?program={program}")
    assert reply.status == 400 and "absolute path" in reply.json["error"]
