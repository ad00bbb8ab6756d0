"""The control API and fosterctl on a real supervisor; reload; shutdown in all its forms."""

import http.client
import json
import os
import signal
import socket
import subprocess
import threading

import pytest

from conftest import ordinary_user
from foster import Connection, alive, until
from test_services import SLEEP, shell

THREE = f"""
service a {{ command = {SLEEP} description = "the first" }}
service b {{ command = {SLEEP} daemon = true }}
service c {{ command = {SLEEP} autostart = false }}
"""


def test_status(foster, identity):
    f = foster(THREE, identity=identity)
    f.wait_state("a", "running")
    f.wait_state("b", "running")
    table = f.ctl("status", check=3).stdout
    lines = table.splitlines()
    assert lines[0].split()[:4] == ["NAME", "STATE", "READY", "PID"]
    assert [line.split()[:2] for line in lines[1:]] == [["a", "running"], ["b", "running"],
                                                        ["c", "stopped"]]
    listed = json.loads(f.ctl("status", "--json", check=3).stdout)
    assert {s["name"]: s["state"] for s in listed["services"]} == {
        "a": "running", "b": "running", "c": "stopped"}
    one = f.ctl("status", "a", check=0).stdout
    assert "the first" in one and str(f.service_pid("a")) in one
    f.ctl("status", "nobody", check=4)


def test_verbs(foster):
    f = foster(THREE)
    pid = f.wait_state("a", "running")["pid"]
    assert f.ctl("pid", "a", check=0).stdout.strip() == str(pid)
    f.ctl("is-alive", "a", check=0)
    f.ctl("is-alive", "c", check=3)
    f.ctl("is-alive", "x", check=4)
    f.ctl("restart", "a", check=0)
    assert f.service_pid("a") not in (0, pid)
    f.ctl("stop", "a", check=0)
    assert f.state("a") == "stopped"
    f.ctl("start", "a", "c", check=0)
    assert f.state("a") == f.state("c") == "running"
    f.ctl("stop", check=0)
    assert {s["state"] for s in f.services().values()} == {"stopped"}
    f.ctl("start", check=0)
    assert f.state("a") == "running" and f.state("c") == "stopped"
    f.ctl("signal", "KILL", "a", check=0)
    until(lambda: f.service("a")["restarts"] == 1, "it was restarted")
    assert "foster" in f.ctl("version", check=0).stdout


def test_no_wait(foster):
    f = foster(f'service a {{ command = {shell("trap : TERM; while :; do sleep 0.01; done")} '
               'stop-timeout = "30s" }')
    f.wait_state("a", "running")
    f.ctl("stop", "--no-wait", "a", check=0, timeout=5)
    until(lambda: f.state("a") == "stopping")
    os.kill(f.service_pid("a"), signal.SIGKILL)
    f.wait_state("a", "stopped")


def test_join_blocks_until_that_one_has_ended(foster):
    f = foster(f'service job {{ command = {shell("sleep 0.3; exit 5")} restart = no }}\n'
               f"service other {{ command = {SLEEP} }}")
    f.wait_state("other", "running")
    assert f.ctl("join", "other", "--timeout", "50ms").returncode == 124
    f.ctl("join", "job", check=5)
    assert f.state("other") == "running"
    f.ctl("join", "job", check=5)  # it has ended: at once


def test_events(foster):
    f = foster(THREE)
    f.wait_state("a", "running")
    connection = Connection(f.run / "control")
    connection.request("GET", "/v1/events?follow=1")
    response = connection.getresponse()
    f.post("/v1/services/a/restart")
    states = []
    while states[-2:] != ["starting", "running"]:
        event = json.loads(response.readline())
        if event["type"] == "service" and event["service"] == "a":
            states.append(event["state"])
    assert states[0] == "stopping"
    connection.close()
    assert "stopping" in f.ctl("events", check=0).stdout


def test_requests_are_events(foster):
    """Who asked, and for whom: the log has it, too."""
    f = foster(THREE)
    f.wait_state("a", "running")
    f.ctl("stop", "a", check=0)
    assert f.post("/v1/services/a/start?for=alice%20%F0%9F%90%BB").status == 200
    f.post("/v1/services/a/signal?signal=HUP&for=bob")
    f.ctl("restart", check=0)
    f.ctl("reload", check=0)
    lines = f.get("/v1/events?type=request").body.splitlines()
    events = [json.loads(line) for line in lines]
    assert [(e["verb"], e["service"], e["for"]) for e in events] == [
        ("stop", "a", None), ("start", "a", "alice 🐻"), ("SIGHUP", "a", "bob"),
        ("restart", None, None), ("reload", None, None)]
    assert events[0]["command"] == "fosterctl" and events[0]["uid"] == os.getuid()
    assert events[1]["pid"] == os.getpid()
    assert f"start asked for by uid {os.getuid()}, pid {os.getpid()}, for alice 🐻" in f.output()
    assert "request a stop by fosterctl" in f.ctl("events", check=0).stdout
    for bad in ("", "a%0Ab", "a%7Fb", "%FF", "x" * 101):
        answer = f.post(f"/v1/services/a/stop?for={bad}")
        assert answer.status == 400 and "at most 100 bytes" in answer.json["error"]
    assert f.state("a") == "running"


def test_peers_are_checked(foster):
    f = foster(THREE)
    uid, gid = ordinary_user() or (None, None)
    if uid is None:
        pytest.skip("needs root, to be somebody else")
    done = subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups",
                           str(f.builddir / "fosterctl"), "--run-directory", str(f.run), "stop", "a"],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and "may not do that" in done.stderr
    assert f.wait_state("a", "running")


def test_read_group_may_only_ask(foster):
    identity = ordinary_user()
    if identity is None:
        pytest.skip("needs root, to be somebody else")
    f = foster('control-read-group = "games"\n' + THREE)
    f.wait_state("a", "running")

    def as_reader(*arguments):
        return subprocess.run(["setpriv", f"--reuid={identity[0]}", "--regid=games",
                               "--clear-groups", str(f.builddir / "fosterctl"), "--run-directory",
                               str(f.run), *arguments], capture_output=True, text=True, timeout=20)

    assert as_reader("status", "a").returncode == 0
    assert as_reader("stop", "a").returncode == 1
    assert f.state("a") == "running"


def test_control_socket_appears_again(foster):
    f = foster(THREE)
    for _ in range(3):
        (f.run / "control").unlink()
        until((f.run / "control").exists, "the socket is there again")
        until(f.answers, "and answers")


@pytest.mark.parametrize("request_bytes", [
    b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"DELETE /v1/services HTTP/1.1\r\n\r\n",
    b"POST /v1/announce HTTP/1.1\r\nContent-Length: 5\r\n\r\n{\"a\"",
    b"GET /v1/services/" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n",
    b"GET /v1/services/%00%ff HTTP/1.1\r\n\r\n",
    b"POST /v1/services/a/signal?signal=NONSENSE HTTP/1.1\r\n\r\n",
    b"GET /v1/services/a/join?timeout_us=soon HTTP/1.1\r\n\r\n",
])
def test_bad_requests_hurt_nobody(foster, request_bytes):
    f = foster(THREE)
    manager = f.manager_pid()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(f.run / "control"))
        client.sendall(request_bytes)
        client.shutdown(socket.SHUT_WR)
        try:
            while client.recv(65536):
                pass
        except ConnectionResetError:
            pass
    assert f.manager_pid() == manager


# --- reload ---------------------------------------------------------------------------------

def plan_of(reply):
    return {step["name"]: step["action"] for step in reply.json["plan"]}


def test_reload_touches_only_what_changed(foster):
    f = foster(THREE)
    before = {n: f.wait_state(n, "running")["pid"] for n in "ab"}
    f.write(f"""
        service a {{ command = {SLEEP} description = "another word" stop-timeout = "3s" }}
        service b {{ command = {SLEEP} daemon = true environment = {{"NEW=1"}} }}
        service d {{ command = {SLEEP} }}
    """)
    dry = f.post("/v1/reload?dry_run=1")
    assert plan_of(dry) == {"a": "keep", "b": "restart", "c": "stop", "d": "start"}
    assert {n: s["pid"] for n, s in f.services().items() if s["pid"]} == before
    reply = f.post("/v1/reload")
    assert plan_of(reply) == plan_of(dry)
    differs = {step["name"]: step["differs"] for step in reply.json["plan"]}
    assert differs["b"] == "environment" and "stop-timeout" in differs["a"]
    f.wait_state("b", "running")
    f.wait_state("d", "running")
    after = until(lambda: (s := f.services()) and "c" not in s and s, "c is forgotten")
    assert after["a"]["pid"] == before["a"] and after["b"]["pid"] != before["b"]
    assert after["a"]["description"] == "another word"


def test_attributes_hold_from_the_next_start(foster):
    """As in the notes: what is set after start does nothing to the one that runs."""
    f = foster(THREE)
    pid = f.wait_state("a", "running")["pid"]
    f.write(THREE.replace('description = "the first"', "daemon = true"))
    reply = f.post("/v1/reload")
    assert plan_of(reply)["a"] == "pending"
    s = f.service("a")
    assert s["pid"] == pid and "daemon" in s["pending"]
    f.kill_manager()
    assert "daemon" in f.service("a")["pending"]
    f.post("/v1/services/a/restart")
    assert f.service("a")["pending"] is None


def test_pending_daemon_flag_is_not_yet_true_at_the_end(foster):
    """What was set before the start counts, until the next start."""
    f = foster(f"service a {{ command = {SLEEP} }}\nservice b {{ command = {SLEEP} daemon = true }}")
    pids = {n: f.wait_state(n, "running")["pid"] for n in "ab"}
    f.write(f"service b {{ command = {SLEEP} }}\nservice a {{ command = {SLEEP} daemon = true }}")
    assert plan_of(f.post("/v1/reload")) == {"a": "pending", "b": "pending"}
    f.kill_manager()
    assert f.service("b")["daemon"] and not f.service("a")["daemon"]
    f.ctl("shutdown", check=0)
    assert f.wait_end() == 0
    assert alive(pids["a"]) and not alive(pids["b"])
    f.start().wait_up()
    assert f.service_pid("a") == pids["a"]


def test_signal_to_the_whole_tree(foster):
    script = "trap 'echo main' USR1; setsid sh -c 'trap \\\"echo other\\\" USR1; echo ready; " \
             "while :; do sleep 0.01; done' & while :; do sleep 0.01; done"
    f = foster(f'service a {{ command = {{"/bin/sh", "-c", "{script}"}} }}')
    until(lambda: "ready" in f.log("a"))
    f.ctl("signal", "USR1", "a", check=0)
    until(lambda: "main" in f.log("a"))
    assert "other" not in f.log("a")
    f.ctl("signal", "--whole", "USR1", "a", check=0)
    until(lambda: "other" in f.log("a"))


def test_reload_of_a_bad_config_changes_nothing(foster):
    f = foster(THREE)
    before = {n: f.wait_state(n, "running")["pid"] for n in "ab"}
    f.write(THREE + "\nservice e { comand = {x} }\nservice d { command = {x} requires = {nope} }")
    reply = f.post("/v1/reload")
    assert reply.status == 400
    texts = " ".join(p["text"] for p in reply.json["problems"])
    assert "comand" in texts and "command" in texts and "nope" in texts
    assert {n: s["pid"] for n, s in f.services().items() if s["pid"]} == before
    assert f.ctl("reload").returncode == 1
    f.process.send_signal(signal.SIGHUP)
    until(lambda: "nothing was changed" in f.output(), "it is said in the log")
    assert {n: s["pid"] for n, s in f.services().items() if s["pid"]} == before


def test_reload_with_a_port_that_is_taken(foster):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        f = foster(THREE)
        before = f.wait_state("a", "running")["pid"]
        f.write(THREE + f'socket s {{ listen = {{"127.0.0.1:{port}"}} }}\n'
                f"service d {{ command = {SLEEP} sockets = {{s}} }}")
        reply = f.post("/v1/reload")
        assert reply.status == 409 and f"127.0.0.1:{port}: Address already in use" in reply.json["error"]
        assert "d" not in f.services() and f.service_pid("a") == before


# --- the end --------------------------------------------------------------------------------

def test_shutdown_leaves_what_is_no_daemon(foster):
    f = foster(THREE)
    pids = {n: f.wait_state(n, "running")["pid"] for n in "ab"}
    assert f.ctl("shutdown", check=0)
    assert f.wait_end() == 0
    assert alive(pids["a"]) and not alive(pids["b"])
    f.start().wait_up()
    assert f.wait_state("a", "running")["pid"] == pids["a"]
    f.ctl("shutdown", "--all", check=0)
    assert f.wait_end() == 0
    assert not alive(pids["a"])


def test_shutdown_while_somebody_waits(foster):
    """Who waits for one that goes on running loses the connection, and the manager ends well."""
    f = foster(THREE)
    pid = f.wait_state("a", "running")["pid"]
    connection = Connection(f.run / "control")
    connection.request("GET", "/v1/services/a/join")
    usage = Connection(f.run / "control")
    usage.request("GET", "/v1/usage")
    f.ctl("shutdown", check=0)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        connection.getresponse()
    connection.close()
    usage.close()
    assert f.wait_end() == 0 and alive(pid)
    f.start()
    f.wait_up()
    assert f.service_pid("a") == pid
    f.ctl("shutdown", "--all", check=0)


def test_shutdown_join_waits_for_the_own_end(foster):
    f = foster(f"""
        service job {{ command = {shell("read x <$FIFO; sleep 0.1")} }}
        service helper {{ command = {SLEEP} daemon = true }}
    """, start=False)
    os.mkfifo(f.directory / "fifo")
    f.environment["FIFO"] = str(f.directory / "fifo")
    f.start().wait_up()
    job = f.wait_state("job", "running")["pid"]
    helper = f.wait_state("helper", "running")["pid"]
    shutdown = threading.Thread(target=f.ctl, args=("shutdown", "--join"))
    shutdown.start()
    try:
        until(lambda: f.service("job")["desired"] == "down")
        assert alive(job) and alive(helper)
    finally:
        (f.directory / "fifo").write_text("go\n")
        shutdown.join()
    assert f.wait_end() == 0
    assert not alive(job) and not alive(helper)


def test_stop_of_one_that_a_shutdown_waits_for(foster):
    f = foster(f"service job {{ command = {SLEEP} }}")
    f.wait_state("job", "running")
    shutdown = threading.Thread(target=f.ctl, args=("shutdown", "--join"))
    shutdown.start()
    until(lambda: f.service("job")["desired"] == "down")
    f.post("/v1/services/job/stop?wait=0")
    assert f.wait_end() == 0
    shutdown.join()


def test_stop_is_in_reverse_order(foster):
    script = "trap 'sleep 0.05; echo $FOSTER_SERVICE >>$ORDER; exit 0' TERM; echo ready; " \
             "while :; do sleep 0.01; done"
    command = '{"/bin/sh", "-c", "%s"}' % script
    f = foster(f"""
        service db {{ command = {command} daemon = true }}
        service web {{ command = {command} daemon = true requires = {{db}} }}
        service front {{ command = {command} daemon = true after = {{web}} }}
    """, start=False)
    f.environment["ORDER"] = str(f.directory / "order")
    f.start().wait_up()
    for name in ("db", "web", "front"):
        until(lambda: "ready" in f.log(name), f"{name} is ready")
    f.process.terminate()
    assert f.wait_end() == 0
    assert (f.directory / "order").read_text().split() == ["front", "web", "db"]


def test_join_option(foster):
    """fosterd --join NAME: the daemons run beside it; its exit code is ours; nothing is left."""
    f = foster(f"""
        service db {{ command = {SLEEP} daemon = true }}
        service plain {{ command = {SLEEP} }}
        service tests {{ command = {shell("sleep 0.1; exit 42")} restart = no requires = {{db}}
                         autostart = false }}
    """, arguments=["--join", "tests"], start=False).start()
    assert f.wait_end() == 42


@pytest.mark.parametrize("command, code", [
    (shell("exit 0"), 0), (shell("kill -9 $$"), 137), ('{"/nonexistent"}', 127),
    ('{"/etc/passwd"}', 126)])
def test_join_exit_codes(foster, command, code):
    f = foster(f"service tests {{ command = {command} restart = no }}",
               arguments=["--join", "tests"], start=False).start()
    assert f.wait_end() == code


@pytest.mark.parametrize("command, code", [
    (shell("exit 0"), 0), (shell("exit 7"), 7), (shell("kill -9 $$"), 137),
    ('{"/nonexistent"}', 127)])
def test_on_exit_shutdown(foster, command, code):
    """A container's contract: the service that it is about ends it, with its own code."""
    f = foster(f"service db {{ command = {SLEEP} }}\n"
               f"service app {{ command = {command} restart = no on-exit = shutdown requires = {{db}} }}",
               start=False).start()
    assert f.wait_end() == code
    assert not (f.run / "control").exists()


def test_on_exit_shutdown_is_about_its_own_end(foster):
    """Restarts come first, and a stop that somebody asked for ends nothing else."""
    f = foster(f"service app {{ command = {SLEEP} on-exit = shutdown restart = always }}\n"
               f"service limited {{ command = {shell('exit 3')} on-exit = shutdown "
               "restart-limit = 2 restart-delay = \"1ms\" autostart = false }")
    pid = f.wait_state("app", "running")["pid"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: f.service_pid("app") not in (0, pid))
    f.post("/v1/services/app/stop")
    assert f.state("app") == "stopped"
    f.post("/v1/services/limited/start?wait=0")
    assert f.wait_end() == 3


def test_interrupted_join_leaves_nothing(foster):
    f = foster(f"service db {{ command = {SLEEP} }}\n"
               f"service tests {{ command = {SLEEP} restart = no }}", arguments=["--join", "tests"])
    f.wait_state("tests", "running")
    f.process.terminate()
    assert f.wait_end() == 143


def test_join_of_nobody(foster):
    f = foster(THREE, arguments=["--join", "x"], start=False).start()
    assert f.wait_end() == 78
    assert "--join x: the configuration has no such service" in f.output()
