"""What dies, and what must not: manager, supervisor, logger, services, in turn."""

import datetime
import json
import os
import re
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "chaos"))

from children import Children  # noqa: E402
from foster import alive, comm_of, logger_of, start_time, until  # noqa: E402
from test_services import SLEEP, shell  # noqa: E402

TWO = f"""
service keeper {{ command = {SLEEP} }}
service servant {{ command = {SLEEP} daemon = true }}
"""


def moment(service):
    """When it came into its state, in seconds; two clocks make it: it may be off by one."""
    return datetime.datetime.fromisoformat(service["since"].replace("Z", "+00:00")).timestamp()


def test_manager_killed_nobody_notices(foster, identity):
    f = foster(TWO, identity=identity)
    before = {n: f.wait_state(n, "running") for n in ("keeper", "servant")}
    manager = f.kill_manager()
    after = f.services()
    assert f.manager_pid() != manager
    for name in before:
        assert after[name]["pid"] == before[name]["pid"]
        assert after[name]["state"] == "running"
        assert abs(moment(after[name]) - moment(before[name])) <= 1
        assert after[name]["uptime_us"] >= before[name]["uptime_us"]


def test_the_next_manager_tells_no_old_news(foster):
    """Those who follow, the chat room among them, have heard that the services run."""
    f = foster(TWO)
    for name in ("keeper", "servant"):
        f.wait_state(name, "running")
    f.kill_manager()
    f.post("/v1/services/keeper/restart")
    f.wait_state("keeper", "running")
    events = [json.loads(line) for line in f.get("/v1/events").body.splitlines()]
    assert {e["service"] for e in events if e["type"] == "service"} == {"keeper"}
    assert f.output().count("servant[") == 1


def test_manager_that_hangs_is_replaced(foster):
    f = foster(TWO)
    before = {n: f.wait_state(n, "running")["pid"] for n in ("keeper", "servant")}
    manager = f.manager_pid()
    os.kill(manager, signal.SIGSTOP)
    # Whoever asks meanwhile waits, and is answered by the next one.
    after = f.services()
    assert not alive(manager) and f.manager_pid() != manager
    assert {n: after[n]["pid"] for n in before} == before
    assert f"foster-manager[{manager}]: no sign of life: it is killed" in f.output()


def test_manager_that_hangs_when_a_service_ends(foster):
    """Nobody asks anything: that a service ended is reason enough."""
    f = foster(f"service a {{ command = {SLEEP} restart = always }}")
    pid = f.wait_state("a", "running")["pid"]
    manager = f.manager_pid()
    os.kill(manager, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(manager), "it is killed", 10)
    s = until(lambda: (s := f.service("a"))["state"] == "running" and s["pid"] != pid and s)
    assert s["restarts"] == 1


def test_manager_at_rest_is_left_alone(foster):
    """No heartbeat while nothing happens: nothing wakes up, and who is stopped is not missed."""
    f = foster(TWO)
    for name in ("keeper", "servant"):
        f.wait_state(name, "running")
    manager = f.manager_pid()
    before = until(lambda: at_rest([f.pid, manager]), "both are at rest")
    os.kill(manager, signal.SIGSTOP)
    assert at_rest([f.pid]) == before[:1]
    os.kill(manager, signal.SIGCONT)
    assert f.manager_pid() == manager


def switches(pid):
    with open(f"/proc/{pid}/status") as file:
        return sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)


def at_rest(pids):
    """The context switches of processes that have none for a while, longer than until a ping."""
    before = [switches(pid) for pid in pids]
    threading.Event().wait(0.6)
    return before if [switches(pid) for pid in pids] == before else None


def test_manager_killed_remembers_decisions(foster):
    f = foster(f"""
        service stopped {{ command = {SLEEP} }}
        service failed  {{ command = {shell("exit 3")} restart = no }}
        service backing {{ command = {shell("exit 4")} restart-delay = "100s" restart-delay-max = "100s" }}
        service crashed {{ command = {SLEEP} restart-delay = "1ms" }}
    """)
    f.post("/v1/services/stopped/stop")
    os.kill(f.wait_state("crashed", "running")["pid"], signal.SIGKILL)
    until(lambda: f.service("crashed")["restarts"] == 1, "it was restarted")
    f.wait_state("failed", "failed")
    f.wait_state("backing", "backoff")
    f.wait_state("crashed", "running")
    before = f.services()
    for _ in range(3):
        f.kill_manager()
        after = f.services()
        for name in before:
            assert abs(moment(after[name]) - moment(before[name])) <= 1
            for key in ("state", "desired", "pid", "restarts", "exit"):
                assert after[name][key] == before[name][key], (name, key)
    assert after["backing"]["reason"].startswith("exit 4, 2nd retry in ")


def test_child_that_ends_while_no_manager_is_there(foster):
    """Its end is kept for the next manager."""
    f = foster(f"service a {{ command = {SLEEP} restart = always }}\n"
               f"service b {{ command = {shell('sleep 0.1; exit 9')} restart = no }}")
    pid = f.wait_state("a", "running")["pid"]
    manager = f.manager_pid()
    os.kill(manager, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not os.path.exists(f"/proc/{pid}"), "the supervisor reaps by itself")
    os.kill(manager, signal.SIGKILL)
    s = until(lambda: (s := f.service("a"))["state"] == "running" and s["pid"] != pid and s)
    assert s["restarts"] == 1 and s["exit"] == "killed by SIGKILL"
    assert f.wait_state("b", "failed")["exit_code"] == 9


def test_config_in_force_outlives_the_file(foster):
    f = foster(TWO)
    pids = {n: f.wait_state(n, "running")["pid"] for n in ("keeper", "servant")}
    f.write("this is { no configuration")
    f.kill_manager()
    assert {n: s["pid"] for n, s in f.services().items()} == pids
    f.config_path.unlink()
    f.kill_manager()
    assert {n: s["pid"] for n, s in f.services().items()} == pids


def test_clients_wait_while_the_manager_is_replaced(foster):
    f = foster(TWO)
    f.wait_state("keeper", "running")
    failures, answers = [], []
    stop = threading.Event()

    def ask():
        while not stop.is_set():
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(20)
            try:
                client.connect(str(f.run / "control"))
                client.sendall(b"GET /v1/version HTTP/1.0\r\n\r\n")
                client.recv(4096)
                answers.append(1)
            except (ConnectionResetError, BrokenPipeError):
                pass  # it was being answered when the manager was killed
            except OSError as error:
                failures.append(error)
            finally:
                client.close()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        for _ in range(5):
            f.kill_manager()
            until(lambda: f.answers(), "the next manager answers")
    finally:
        stop.set()
        thread.join()
    assert not failures and answers


def test_supervisor_killed_takes_daemons_along(foster, identity):
    """Child, grandchild, setsid'ed and twice-forked: all of a daemon's tree goes."""
    script = ("setsid sleep 1000 & (setsid sh -c 'sleep 1000 & sleep 1000' &) ; sleep 1000 & "
              "echo ready; wait")
    f = foster(f'service a {{ command = {{"/bin/sh", "-c", "{script}"}} daemon = true }}',
               identity=identity)
    until(lambda: "ready" in f.log("a"), "its tree is there")
    manager = f.manager_pid()
    f.kill_supervisor()
    until(lambda: not alive(manager), "the manager leaves")
    # that no process of the test is left is what the suite checks after each test


def test_death_signal(foster):
    """Who chose a gentler signal than SIGKILL gets it, and a moment to act on it."""
    script = "trap 'echo gentle >$OUT; exit' TERM; echo ready; while :; do sleep 0.002; done"
    f = foster(f"""service a {{ command = {{"/bin/sh", "-c", "{script}"}}
                                daemon = true death-signal = TERM }}""", start=False)
    f.environment["OUT"] = str(f.directory / "out")
    f.start().wait_up()
    until(lambda: "ready" in f.log("a"), "it is ready")
    pid = f.service_pid("a")
    f.kill_supervisor()
    until(lambda: not alive(pid), "it is gone")
    assert (f.directory / "out").read_text() == "gentle\n"


def test_supervisor_killed_leaves_the_others(foster, identity):
    f = foster(f"""
        service keeper {{ command = {shell("while :; do echo line; sleep 0.02; done")} }}
        service servant {{ command = {SLEEP} daemon = true }}
    """, identity=identity)
    keeper = f.wait_state("keeper", "running")["pid"]
    servant = f.wait_state("servant", "running")["pid"]
    born = start_time(keeper)
    f.kill_supervisor()
    until(lambda: not alive(servant), "the daemon is gone")
    assert alive(keeper)
    lines = f.log("keeper").count("\n")
    until(lambda: f.log("keeper").count("\n") > lines, "its log goes on being written")
    # the next supervisor adopts it, and starts no second copy
    f.start().wait_up()
    s = f.wait_state("keeper", "running")
    assert s["pid"] == keeper and start_time(keeper) == born and s["adopted"]
    assert f.wait_state("servant", "running")["pid"] != servant
    # it can be stopped, although it is nobody's child
    assert f.post("/v1/services/keeper/stop").json["result"] == "ok"
    assert not alive(keeper)


def test_tree_of_an_adopted_service_is_stopped(foster):
    """Its orphans went to init, not to the next supervisor: they are found all the same."""
    script = "setsid sleep 1000 & (setsid sh -c 'sleep 1000 & sleep 1000' &) ; sleep 1000 & " \
             "echo ready; wait"
    f = foster(f'service a {{ command = {{"/bin/sh", "-c", "{script}"}} stop-timeout = "1min" }}')
    until(lambda: "ready" in f.log("a"), "its tree is there")
    f.kill_supervisor()
    f.start().wait_up()
    assert f.service("a")["adopted"]
    assert f.post("/v1/services/a/stop").json["result"] == "ok"
    # that no process of the test is left is what the suite checks after each test


def test_everything_killed_at_once(foster):
    f = foster(TWO)
    keeper = f.wait_state("keeper", "running")["pid"]
    servant = f.wait_state("servant", "running")["pid"]
    manager = f.manager_pid()
    os.kill(manager, signal.SIGSTOP)
    f.process.kill()
    os.kill(manager, signal.SIGKILL)
    f.process.wait(10)
    until(lambda: not alive(servant), "the kernel ends the daemon")
    assert alive(keeper)
    f.start().wait_up()
    assert f.wait_state("keeper", "running")["pid"] == keeper
    assert f.wait_state("servant", "running")["pid"] != servant


@pytest.mark.parametrize("cgroup", ["auto", "no"])
def test_main_process_ended_while_nobody_watched(foster, cgroup, identity):
    """No daemon, but what is left of a tree without its main process goes, as it always does."""
    f = foster(f"cgroup = {cgroup}\n"
               f"service a {{ command = {shell('setsid sleep 12345 & echo ready; wait')} }}",
               identity=identity)
    until(lambda: "ready" in f.log("a"), "its tree is there")
    rest, = until(lambda: processes_of("sleep\0" + "12345"))
    pid = f.service_pid("a")
    f.kill_both()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)  # it came to us, and must be gone for good
    assert alive(rest)
    f.start().wait_up()
    until(lambda: not alive(rest), "the old tree is ended", 2)
    f.wait_state("a", "running")
    until(lambda: len(processes_of("sleep\0" + "12345")) == 1, "there is one copy")


STUBBORN = "sleep\0" + "12345"


def make_end_slow(foster, cgroup, identity, adopted):
    """A service whose main process was killed, and whose tree has a stop-timeout to go."""
    script = "(trap '' TERM; echo ready; exec sleep 12345) & exec sleep 777"
    f = foster(f"cgroup = {cgroup}\n"
               f"service a {{ command = {shell(script)} restart = always stop-timeout = 1min }}",
               identity=identity)
    until(lambda: "ready" in f.log("a"), "its tree is there")
    if adopted:
        f.kill_supervisor()
        f.start().wait_up()
    rest, = until(lambda: processes_of(STUBBORN))
    os.kill(f.service_pid("a"), signal.SIGKILL)
    f.wait_state("a", "stopping")
    return f, rest


def check_started_anew(f, rest):
    f.wait_state("a", "running")
    new, = until(lambda: [pid for pid in processes_of(STUBBORN) if pid != rest])
    assert not alive(rest)
    os.kill(new, signal.SIGKILL)


@pytest.mark.parametrize("cgroup", ["auto", "no"])
def test_manager_killed_while_a_tree_ends(foster, cgroup, identity):
    """Where the rest of an adopted service's tree is to be looked for, the next one knows, too."""
    f, rest = make_end_slow(foster, cgroup, identity, adopted=True)
    f.kill_manager()
    assert f.state("a") == "stopping"
    assert processes_of(STUBBORN) == [rest]
    os.kill(rest, signal.SIGKILL)
    check_started_anew(f, rest)


@pytest.mark.parametrize("cgroup", ["auto", "no"])
def test_both_killed_while_a_tree_ends(foster, cgroup, identity):
    f, rest = make_end_slow(foster, cgroup, identity, adopted=False)
    f.kill_both()
    f.start().wait_up()
    check_started_anew(f, rest)


@pytest.mark.parametrize("cgroup", ["auto", "no"])
def test_adopted_service_and_manager_killed_at_once(foster, cgroup, identity):
    """The end is told to the next manager alone: what is left of the tree is ended all the same."""
    f = foster(f"cgroup = {cgroup}\n"
               f"service a {{ command = {shell('sleep 12345 & echo ready; wait')} restart = always }}",
               identity=identity)
    until(lambda: "ready" in f.log("a"), "its tree is there")
    f.kill_supervisor()
    f.start().wait_up()
    pid, manager, (rest,) = f.service_pid("a"), f.manager_pid(), processes_of(STUBBORN)
    os.kill(manager, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)  # it came to us
    os.kill(manager, signal.SIGKILL)
    until(lambda: (s := f.service("a"))["state"] == "running" and s["pid"] != pid)
    until(lambda: not alive(rest), "the rest of the old tree is ended")


@pytest.mark.parametrize("cgroup", ["auto", "no"])
def test_who_left_the_session_of_an_adopted_service_is_ended_with_it(foster, cgroup, identity):
    """Nothing is left of its process group, and its orphans are no children of this fosterd."""
    f = foster(f"cgroup = {cgroup}\nservice a {{ restart = always "
               f"command = {shell('setsid sleep 12345 & echo ready; exec sleep 777')} }}",
               identity=identity)
    until(lambda: "ready" in f.log("a"), "its tree is there")
    rest, = until(lambda: processes_of(STUBBORN))
    until(lambda: os.getsid(rest) == rest, "it has left")
    f.kill_supervisor()
    f.start().wait_up()
    pid, manager = f.service_pid("a"), f.manager_pid()
    os.kill(manager, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)  # a zombie would be one of its group still
    os.kill(manager, signal.SIGCONT)
    until(lambda: (s := f.service("a"))["state"] == "running" and s["pid"] != pid)
    until(lambda: not alive(rest), "what left its session is ended")


@pytest.mark.parametrize("cgroup", ["auto", "no"])
def test_manager_that_hung_when_fosterd_was_killed(foster, cgroup, identity):
    """It must not wake up some day and end the daemons of the next fosterd."""
    f = foster(f"cgroup = {cgroup}\n{TWO}", identity=identity)
    keeper = f.wait_state("keeper", "running")["pid"]
    f.wait_state("servant", "running")
    manager = f.manager_pid()
    os.kill(manager, signal.SIGSTOP)
    f.kill_supervisor()
    f.start().wait_up()
    assert not alive(manager)
    assert f.service_pid("keeper") == keeper
    servant = f.wait_state("servant", "running")["pid"]
    assert f.manager_pid() != manager and alive(servant)


def loggers_of(f):
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            mark = f"FOSTER_TEST={os.environ['FOSTER_TEST']}".encode()
            if comm_of(entry) == "foster-log" and \
                    mark in pathlib.Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                found.append(int(entry))
        except OSError:
            pass
    return found


HEADLESS = """
import ctypes, os, sys, threading, time
if os.fork() == 0:
    os.setsid()
    def go_on():
        with open(sys.argv[1] + ".new", "w") as f: f.write(f"{os.getpid()} {threading.get_native_id()}")
        os.rename(sys.argv[1] + ".new", sys.argv[1])
        while True: time.sleep(1)
    threading.Thread(target=go_on).start()
    ctypes.CDLL(None).pthread_exit(None)
time.sleep(1000)
"""


@pytest.mark.parametrize("how", ("stop", "fosterd", "all"))
@pytest.mark.parametrize("cgroup", ("auto", "no"))
def test_process_whose_main_thread_has_ended(foster, directory, cgroup, how):
    """It is shown as a zombie, and goes on: with it its service has not ended."""
    script, said = directory / "headless.py", directory / "said"
    script.write_text(HEADLESS)
    f = foster(f"""cgroup = {cgroup}
        service a {{ command = {{"/usr/bin/python3", "{script}", "{said}"}} daemon = true
                     kill-mode = tree stop-timeout = "100ms" }}""")
    until(said.exists, "its thread runs")
    pid, thread = said.read_text().split()
    until(lambda: not alive(int(pid)), "its main thread has ended")
    task = pathlib.Path(f"/proc/{pid}/task/{thread}")
    assert task.exists()
    if how == "stop":
        f.ctl("stop", "a", check=0)
    elif how == "fosterd":
        f.kill_supervisor()
    else:
        manager = f.manager_pid()
        f.process.send_signal(signal.SIGSTOP)
        os.kill(manager, signal.SIGKILL)
        f.kill_supervisor()
        said.unlink()
        f.start().wait_up()
        until(said.exists, "the next one runs")
    until(lambda: not task.exists(), "its last thread is gone", 2)


def test_log_outlives_all_of_foster(foster):
    """Supervisor, manager and logger killed at once: a service that writes gets no SIGPIPE, and
    the next logger takes its pipe over: every line is there once."""
    script = shell("i=0; while [ $i -lt 400 ]; do echo $i; i=$((i+1)); sleep 0.002; done; "
                   "exec sleep 1000")
    f = foster(f"service a {{ command = {script} }}")
    until(lambda: f.log("a").count("\n") > 20, "it writes")
    pid = f.service_pid("a")
    victims = [f.manager_pid(), logger_of(f), f.pid]
    for signo in (signal.SIGSTOP, signal.SIGKILL):
        for victim in victims:
            os.kill(victim, signo)
    f.process.wait(10)
    assert alive(pid)
    f.start().wait_up()
    until(lambda: "399\n" in f.log("a"), "its last line is there", 20)
    assert f.service_pid("a") == pid
    lines = f.log("a").split()
    assert lines == [str(i) for i in range(400)]


def test_who_waits_in_vfork_stands_still(foster, builddir):
    """He stops only when his child has executed, which is stopped: that is not waited for."""
    f = foster("", start=False)
    file = f.directory / "pids"
    script = shell(f"{builddir}/test-vfork {file} & exec sleep 1000")
    f.write(f"cgroup = no\nservice a {{ command = {script} daemon = true }}\n")
    f.start().wait_up()
    pids = [int(p) for p in until(lambda: file.exists() and file.read_text().split())]
    f.kill_supervisor()
    until(lambda: not any(map(alive, pids)), "they are ended", 1)


def test_logger_whose_start_was_not_recorded_is_dismissed(foster):
    """fosterd was killed between the fork and the note of who that is."""
    f = foster(f"service keeper {{ command = {SLEEP} }}")
    f.wait_state("keeper", "running")
    children = Children(f.builddir, f.run)
    logger = logger_of(f)
    f.kill_supervisor()
    children.forget_identity(".logger")
    f.start().wait_up()
    until(lambda: not alive(logger), "the old one has left")
    until(lambda: len(loggers_of(f)) == 1, "there is one")


def descriptors_at_rest(pid):
    """Its numbers, once connections have been closed: the same for a while."""
    before = os.listdir(f"/proc/{pid}/fd")
    threading.Event().wait(0.2)
    return before if os.listdir(f"/proc/{pid}/fd") == before else None


def squeeze(pid, lowest, more):
    """No number from lowest on is free, but so many more. Returns what was allowed before."""
    used = set(map(int, until(lambda: descriptors_at_rest(pid))))
    limit = min(set(range(lowest, max(used) + 2)) - used) + more
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    return before


@pytest.mark.parametrize("where", ["fosterd", "manager"])
def test_control_socket_that_could_not_be_kept_is_made_again(foster, where):
    f = foster(TWO)
    # fosterd can receive it, but not keep it; the manager can make it, but not send a copy.
    pid, lowest, more = (f.pid, 128, 0) if where == "fosterd" else (f.manager_pid(), 0, 1)
    before = squeeze(pid, lowest, more)
    (f.run / "control").unlink()
    # It is kept by its name and that of its file.
    until(lambda: re.search(r"control:\S+: cannot", f.output()), "it could not be kept")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    f.kill_manager()
    until(lambda: f.answers(), "the next manager answers")


def test_control_socket_that_could_not_be_made_is_tried_again(foster):
    f = foster(TWO)
    manager = f.manager_pid()
    before = squeeze(manager, 0, 0)
    (f.run / "control").unlink()
    until(lambda: "control: Too many open files" in f.output(), "it could not be made")
    resource.prlimit(manager, resource.RLIMIT_NOFILE, before)
    until(lambda: f.answers(), "it is there again")
    assert f.manager_pid() == manager


def test_one_logger_after_an_adoption(foster):
    f = foster(f"service a {{ command = {shell('while :; do echo x; sleep 0.01; done')} }}")
    until(lambda: f.log("a"), "it writes")
    for _ in range(3):
        f.kill_supervisor()
        f.start().wait_up()
    until(lambda: len(loggers_of(f)) == 1, "one logger")
    lines = f.log("a").count("\n")
    until(lambda: f.log("a").count("\n") > lines, "its log goes on")


def test_a_logger_that_hangs_is_not_left_beside_the_next(foster):
    f = foster(f"service a {{ command = {shell('while :; do echo x; sleep 0.01; done')} }}")
    until(lambda: f.log("a"), "it writes")
    old = logger_of(f)
    os.kill(old, signal.SIGSTOP)
    f.kill_supervisor()
    f.start().wait_up()
    until(lambda: not alive(old), "it is gone")
    lines = f.log("a").count("\n")
    until(lambda: f.log("a").count("\n") > lines, "its log goes on")


def test_adopted_child_ends(foster):
    """Its exit status is known where the kernel tells it, and never made up."""
    f = foster(f"service a {{ command = {shell('read x < /dev/fifo-of-test; exit 7')} restart = no }}"
               .replace("/dev/fifo-of-test", "$FIFO"),
               environment={"FIFO": ""}, start=False)
    fifo = f.directory / "fifo"
    os.mkfifo(fifo)
    f.environment["FIFO"] = str(fifo)
    f.start().wait_up()
    pid = f.wait_state("a", "running")["pid"]
    f.kill_supervisor()
    f.start().wait_up()
    assert f.service_pid("a") == pid
    fifo.write_text("go\n")
    s = f.wait_state("a", "failed")
    assert s["exit"] in ("exit 7", "ended, nobody saw how")


def test_the_next_one_is_let_in_as_soon_as_shutdown_returns(foster):
    f = foster(f"service a {{ command = {SLEEP} }}\nservice d {{ command = {SLEEP} daemon = true }}")
    for arguments in ([], ["--all"]) * 5:
        for name in ("a", "d"):
            f.wait_state(name, "running")
        f.ctl("shutdown", *arguments, check=0)
        f.start().wait_up()


def test_second_supervisor_is_refused(foster):
    f = foster(TWO)
    second = foster(TWO, run_directory=f.run, start=False).start()
    assert second.wait_end() == 1
    assert "is in use by another fosterd, pid" in second.output()
    second.process = None
    assert f.answers()


def test_logger_killed(foster):
    script = shell("i=0; while [ $i -lt 200 ]; do echo $i; i=$((i+1)); sleep 0.005; done; "
                   "exec sleep 1000")
    f = foster(f"service a {{ command = {script} }}")
    until(lambda: f.log("a").count("\n") > 20, "it writes")
    os.kill(logger_of(f), signal.SIGKILL)
    until(lambda: "199\n" in f.log("a"), "the next logger goes on")
    assert f.state("a") == "running"


def test_logger_that_hangs_does_not_hold_up_the_end_for_ever(foster):
    f = foster(TWO)
    for name in ("keeper", "servant"):
        f.wait_state(name, "running")
    logger = logger_of(f)
    os.kill(logger, signal.SIGSTOP)
    f.ctl("shutdown", "--all", check=0, timeout=40)
    assert f.wait_end() == 0 and not alive(logger)
    assert "foster-log does not leave" in f.output()


def test_stopped_manager_does_not_hold_up_the_reaping(foster):
    f = foster(f"service a {{ command = {shell('while :; do (true &); sleep 0.001; done')} }}")
    f.wait_state("a", "running")
    manager = f.manager_pid()
    os.kill(manager, signal.SIGSTOP)
    pid = f.pid
    until(lambda: pathlib.Path(f"/proc/{pid}/stat").exists())
    os.kill(manager, signal.SIGCONT)
    before = f.get("/v1/version").json["orphans_reaped"]
    until(lambda: f.get("/v1/version").json["orphans_reaped"] > before, "orphans are reaped")


def processes_of(command_part):
    """Live processes of this test whose command line holds the text."""
    mark = f"FOSTER_TEST={os.environ['FOSTER_TEST']}".encode()
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if command_part.encode() in pathlib.Path(f"/proc/{entry}/cmdline").read_bytes() and \
                    mark in pathlib.Path(f"/proc/{entry}/environ").read_bytes().split(b"\0") and \
                    alive(entry):
                found.append(int(entry))
        except OSError:
            pass
    return found


def test_ends_during_a_hand_over_are_not_lost(foster):
    """Services that end while the next manager reads what the last one left."""
    f = foster("\n".join(f"service s{i} {{ command = {SLEEP} restart = always }}" for i in range(30)))
    until(lambda: all(s["state"] == "running" for s in f.services().values()))
    for _ in range(4):
        pids = [s["pid"] for s in f.services().values()]
        f.kill_manager()
        for pid in pids[:15]:
            os.kill(pid, signal.SIGKILL)
        until(lambda: all(s["state"] == "running" and alive(s["pid"])
                          for s in f.services().values()), "all run again")


def test_end_asked_for_during_a_hand_over(foster):
    for _ in range(3):
        f = foster(TWO)
        f.wait_state("servant", "running")
        f.kill_manager()
        f.process.terminate()
        assert f.wait_end() == 0
        assert "SIGSEGV" not in f.output()
        f.start().wait_up().end()


def test_end_goes_on_when_the_manager_is_killed_in_it(foster):
    script = shell("trap : TERM; echo ready; while :; do sleep 0.01; done")
    f = foster(f'service a {{ command = {script} daemon = true stop-timeout = "1s" }}')
    until(lambda: "ready" in f.log("a"))
    manager = f.manager_pid()
    f.process.terminate()
    until(lambda: f.state("a") == "stopping")
    os.kill(manager, signal.SIGKILL)
    assert f.wait_end() == 0


def test_end_leaves_the_others_alone_when_the_manager_is_killed_in_it(foster):
    slow = shell("trap '' TERM; echo ready; while :; do sleep 0.01; done")
    f = foster(f"service keeper {{ command = {SLEEP} }}\n"
               f"service servant {{ command = {slow} daemon = true stop-timeout = 1s }}")
    until(lambda: "ready" in f.log("servant"))
    keeper = f.wait_state("keeper", "running")["pid"]
    f.process.terminate()
    f.wait_state("servant", "stopping")
    f.kill_manager()
    assert f.wait_end() == 0
    assert alive(keeper)
    f.start().wait_up()
    assert f.wait_state("keeper", "running")["pid"] == keeper
    assert f.post("/v1/services/keeper/stop", timeout=10).json["result"] == "ok"


def test_end_without_any_manager(foster, builddir, directory):
    """The manager's program cannot be run any more: an end that is asked for still comes."""
    programs = directory / "programs"
    programs.mkdir()
    for name in ("fosterd", "foster-manager", "foster-log", "fosterctl"):
        shutil.copy(builddir / name, programs / name)
    f = foster(TWO, start=False)
    f.builddir = programs
    f.start().wait_up()
    f.wait_state("servant", "running")
    manager = f.manager_pid()
    (programs / "foster-manager").chmod(0o644)
    os.kill(manager, signal.SIGKILL)
    f.process.terminate()
    assert f.wait_end() == 1
    f.builddir = builddir
    f.start().wait_up()


def test_end_without_any_manager_takes_the_trees_along(foster, builddir, directory):
    """Also without cgroups: nobody but fosterd is there to find them."""
    programs = directory / "programs"
    programs.mkdir()
    for name in ("fosterd", "foster-manager", "foster-log", "fosterctl"):
        shutil.copy(builddir / name, programs / name)
    away = "(setsid sleep 1000 & echo $! > {file}); exec sleep 1000"
    files = {name: directory / name for name in ("keeper", "servant")}
    f = foster("cgroup = no\n" + "".join(
        f"service {name} {{ command = {shell(away.format(file=file))} "
        f"daemon = {'true' if name == 'servant' else 'false'} }}\n"
        for name, file in files.items()), start=False)
    f.builddir = programs
    f.start().wait_up()
    pids = {name: int(until(lambda: file.exists() and file.read_text()))
            for name, file in files.items()}
    manager = f.manager_pid()
    (programs / "foster-manager").chmod(0o644)
    os.kill(manager, signal.SIGKILL)
    f.process.terminate()
    assert f.wait_end() == 1
    assert not alive(pids["servant"]) and alive(pids["keeper"])
    f.builddir = builddir
    f.start().wait_up()


BOMB = """
import os, sys, time
end = time.monotonic() + 5
for i in range(30):
    if os.fork() == 0:
        while time.monotonic() < end:
            if os.fork():
                os._exit(0)
            os.setsid()
        os._exit(0)
time.sleep(1000)
"""


def test_a_bomb_does_not_outrun_its_end(foster, directory):
    """Thirty that fork and end all the time, each in a session of its own, without a cgroup."""
    (directory / "bomb.py").write_text(BOMB)
    f = foster("cgroup = no\n"
               f'service a {{ command = {{"{sys.executable}", "{directory}/bomb.py"}} daemon = true }}')
    f.wait_state("a", "running")
    manager = f.manager_pid()
    begin = time.monotonic()
    f.kill_supervisor()

    def gone():
        while True:  # the orphans come to us
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    break
            except ChildProcessError:
                break
        return not alive(manager) and subprocess.run(
            ["pgrep", "-f", str(directory / "bomb.py")], stdout=subprocess.DEVNULL).returncode == 1

    until(gone, "it is ended", 4)
    assert time.monotonic() - begin < 4.5  # it would have ended by itself


def test_lock_removed_lets_nobody_in(foster):
    f = foster(TWO)
    servant = f.wait_state("servant", "running")["pid"]
    (f.run / "lock").unlink()
    second = foster(TWO, run_directory=f.run, start=False).start()
    assert second.wait_end() == 1
    second.process = None
    assert f.service_pid("servant") == servant


def test_killed_in_the_middle_of_starting(foster):
    """Whenever it dies: no child is lost, and none is there twice."""
    n = 60
    f = foster("\n".join(f'service s{i} {{ command = {{"/bin/sleep", "1000{i}"}} }}'
                         for i in range(n)), start=False)
    for _ in range(4):
        f.start()
        until(lambda: processes_of("/bin/sleep"), "it starts them")
        f.kill_supervisor()
    f.start().wait_up()
    until(lambda: all(s["state"] == "running" for s in f.services().values()))
    assert len(processes_of("/bin/sleep")) == n


def test_too_few_descriptors_start_no_second_copy(foster):
    f = foster("\n".join(f"service s{i} {{ command = {SLEEP} log = none }}" for i in range(20)))
    until(lambda: all(s["state"] == "running" for s in f.services().values()))
    pids = sorted(s["pid"] for s in f.services().values())
    f.kill_supervisor()
    limited = resource.getrlimit(resource.RLIMIT_NOFILE)
    f.before_exec = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (140, 140))
    f.start()
    assert f.wait_end() == 1 and "cannot be adopted" in f.output()
    f.before_exec = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limited)
    f.start().wait_up()
    assert sorted(s["pid"] for s in f.services().values()) == pids


@pytest.mark.parametrize("cgroup", ["auto", "no"])
def test_manager_without_descriptors_sees_a_tree_and_ends_it(foster, cgroup):
    """Else it takes what it cannot see for empty, and starts a second copy."""
    script = "(trap '' TERM; echo ready; exec sleep 12345) & exec sleep 777"
    f = foster(f"cgroup = {cgroup}\nservice a {{ command = {shell(script)} restart = always "
               "stop-timeout = 1s }")
    until(lambda: "ready" in f.log("a"), "its tree is there")
    rest, = until(lambda: processes_of(STUBBORN))
    pid, manager = f.service_pid("a"), f.manager_pid()
    before = squeeze(manager, 0, 0)
    os.kill(pid, signal.SIGKILL)
    while new := until(lambda: processes_of(STUBBORN)):
        assert len(new) == 1, f.output()
        if new != [rest]:
            break
    resource.prlimit(manager, resource.RLIMIT_NOFILE, before)
    f.wait_state("a", "running")
    os.kill(new[0], signal.SIGKILL)


def test_service_removed_and_added_again(foster):
    f = foster(TWO)
    f.wait_state("keeper", "running")
    f.kill_manager()
    f.write(f"service servant {{ command = {SLEEP} daemon = true }}")
    f.post("/v1/reload")
    until(lambda: "keeper" not in f.services())
    f.write(TWO)
    f.post("/v1/reload")
    f.wait_state("keeper", "running")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a file system")
def test_a_full_run_directory(foster, directory):
    """What its table has no room for is not started; what runs goes on."""
    small = directory / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(small)], check=True)
    try:
        few = "".join(f"service s{i} {{ command = {SLEEP} log = none }}\n" for i in range(3))
        f = foster(few, run_directory=small / "run")
        until(lambda: all(s["state"] == "running" for s in f.services().values()))
        pids = {name: s["pid"] for name, s in f.services().items()}
        with open(small / "fill", "wb", buffering=0) as fill:
            try:
                while True:
                    fill.write(b"x" * 4096)
            except OSError:
                pass
        f.write(few + "".join(f"service t{i} {{ command = {SLEEP} log = none start-timeout = \"1s\" }}\n"
                              for i in range(60)))
        f.post("/v1/reload?wait=0")
        until(lambda: "no room for its record in the run directory" in f.output(), "it is said")
        assert {name: f.service_pid(name) for name in pids} == pids
        (small / "fill").unlink()
        until(lambda: all(s["state"] == "running" for s in f.services().values()), "all run", 30)
        assert {name: f.service_pid(name) for name in pids} == pids
        f.end()
    finally:
        subprocess.run(["umount", str(small)], check=True)
