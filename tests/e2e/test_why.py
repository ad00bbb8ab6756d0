# SPDX-License-Identifier: MIT
"""fosterctl why on a real supervisor: who wanted it, what it waits for, how it ended; what holds a
shutdown; names that need escapes; what is told while a command waits."""

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
import threading

import pytest

from conftest import ordinary_user
from foster import Connection, alive, until
from test_services import SLEEP, shell

STUBBORN = shell("trap : TERM; echo trapped; while :; do sleep 0.02; done")


def why(f, name):
    return f.get(f"/v1/services/{name}/why").json


def wait_stubborn(f, name):
    """It runs, and ignores the stop signal from now on. Its process number."""
    until(lambda: "trapped" in f.log(name), f"{name} ignores the signal")
    return f.service_pid(name)


def background(f, *arguments):
    """A fosterctl whose process number is known."""
    return subprocess.Popen([str(f.builddir / "fosterctl"), "--run-directory", str(f.run),
                             *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wanted(f, name):
    """The line of who wanted it, without when."""
    lines = f.ctl("why", name, check=0).stdout.splitlines()
    return next(line for line in lines if " wanted: " in line).split(": ", 1)[1]


# --- who ------------------------------------------------------------------------------------

def test_autostart_is_told(foster):
    f = foster(f"service a {{ command = {SLEEP} }}")
    f.wait_state("a", "running")
    assert wanted(f, "a").startswith("up; started, as it is set to autostart, ")
    wish = why(f, "a")["wish"]
    assert (wish["verb"], wish["why"], wish["pid"]) == ("start", "autostart", None)
    assert f.ctl("why", check=0).stdout == "All is as wanted: 1 service.\n"


def test_who_stopped_it(foster):
    f = foster(f"service a {{ command = {SLEEP} }}")
    f.wait_state("a", "running")
    process = background(f, "stop", "a")
    process.communicate()
    assert f.state("a") == "stopped"
    wish = why(f, "a")["wish"]
    assert (wish["verb"], wish["pid"], wish["uid"], wish["command"]) == (
        "stop", process.pid, os.geteuid(), "fosterctl")
    assert f"(fosterctl[{process.pid}])" in wanted(f, "a")
    assert wanted(f, "a").startswith("down; stopped by ")
    assert f.ctl("why", check=0).stdout == "All is as wanted: 1 service.\n"


def test_who_asks_again_changed_nothing(foster):
    f = foster(f"service a {{ command = {SLEEP} }}")
    f.wait_state("a", "running")
    process = background(f, "restart", "a")
    process.communicate()
    f.ctl("start", "a", check=0)
    assert why(f, "a")["wish"]["pid"] == process.pid


def test_another_user_is_named(foster):
    identity = ordinary_user()
    if identity is None:
        pytest.skip("needs root, to be somebody else")
    f = foster('control-group = "games"\n' + f"service a {{ command = {SLEEP} }}")
    f.wait_state("a", "running")
    done = subprocess.run(["setpriv", f"--reuid={identity[0]}", "--regid=games", "--clear-groups",
                           str(f.builddir / "fosterctl"), "--run-directory", str(f.run),
                           "restart", "a"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    assert why(f, "a")["wish"]["uid"] == identity[0]
    assert wanted(f, "a").startswith("up; restarted by nobody (fosterctl[")


def test_through_another_service(foster):
    f = foster(f"""
        service db {{ command = {SLEEP} autostart = false }}
        service web {{ command = {SLEEP} requires = {{db}} autostart = false }}
    """)
    f.ctl("start", "web", check=0)
    assert ", because web needs it, " in wanted(f, "db")
    assert "because" not in wanted(f, "web")
    f.ctl("stop", "db", check=0)
    assert ", with db, which it needs, " in wanted(f, "web")
    wish = why(f, "web")["wish"]
    assert (wish["verb"], wish["service"], wish["command"]) == ("stop", "db", "fosterctl")


def test_reload_is_told(foster):
    f = foster(f"service a {{ command = {SLEEP} }}")
    f.wait_state("a", "running")
    f.write(f'service a {{ command = {SLEEP} environment = {{"A=1"}} }}\n'
            f"service b {{ command = {SLEEP} }}")
    f.ctl("reload", check=0)
    f.wait_state("a", "running")
    f.wait_state("b", "running")
    assert "(fosterctl[" in wanted(f, "a") and "its configuration changed" in wanted(f, "a")
    assert "(fosterctl[" in wanted(f, "b") and "new in the configuration" in wanted(f, "b")


def test_signal_is_told(foster):
    f = foster(f"service a {{ command = {STUBBORN} daemon = true stop-timeout = \"60s\" }}")
    pid = wait_stubborn(f, "a")
    os.kill(f.pid, signal.SIGTERM)
    until(lambda: why(f, "a")["state"] == "stopping", "it is being stopped")
    wish = why(f, "a")["wish"]
    assert (wish["why"], wish["pid"], wish["uid"]) == ("shutdown", os.getpid(), os.geteuid())
    os.kill(pid, signal.SIGKILL)
    f.wait_end()


# --- what it waits for ----------------------------------------------------------------------

def test_chain_down_to_the_cause(foster):
    f = foster(f"""
        service disk {{ command = {SLEEP} directory = "/nonexistent" restart = no }}
        service db {{ command = {SLEEP} requires = {{disk}} }}
        service net {{ command = {SLEEP} ready = notify start-timeout = "60s" }}
        service web {{ command = {SLEEP} requires = {{db}} after = {{net}} }}
    """)
    f.wait_state("disk", "failed")
    f.wait_state("net", "starting")
    chain = why(f, "web")["waits"]
    assert [(x["by"], x["name"], x["state"]) for x in chain] == [
        ("web", "db", "waiting"), ("web", "net", "starting"), ("db", "disk", "failed")]
    assert chain[2]["reason"] == "chdir /nonexistent: No such file or directory"
    text = f.ctl("why", "web", check=0).stdout
    assert "for disk, which db waits for: failed, chdir /nonexistent: No such" in text
    assert "for net: starting" in text and "must be ready in" in text
    assert "for its READY=1" in f.ctl("why", "net", check=0).stdout
    text = f.ctl("why", check=3).stdout
    assert "waits: for db (waiting), net (starting)" in text
    assert text.count(": failed since ") == 1
    assert {s["name"] for s in f.get("/v1/why").json["services"]} == {"disk", "db", "net", "web"}


def test_neighbours(foster):
    f = foster(f"""
        service db {{ command = {SLEEP} }}
        service log {{ command = {SLEEP} }}
        service web {{ command = {SLEEP} requires = {{db}} after = {{log}} }}
    """)
    f.wait_state("web", "running")
    assert "needs: db (running), log (running; order only)" in f.ctl("why", "web", check=0).stdout
    assert "needed by: web (running)\n" in f.ctl("why", "db", check=0).stdout
    assert "needed by: web (running; order only)\n" in f.ctl("why", "log", check=0).stdout
    two = f.ctl("why", "web", "db", check=0).stdout
    assert "\nweb: " in f"\n{two}" and "\ndb: " in two
    several = f.ctl("why", "--json", "web", "db", check=0).stdout.splitlines()
    assert [json.loads(line)["name"] for line in several] == ["web", "db"]


def test_backoff_has_a_number_and_a_time(foster):
    f = foster(f'service a {{ command = {shell("exit 1")} restart-delay = "50s" '
               'restart-delay-max = "100s" }')
    # The first retry is at once.
    f.wait_state("a", "backoff")
    w = why(f, "a")
    assert w["waits_for"] == "restart" and w["retry"] == 2
    assert 30_000_000 < w["deadline_us"] <= 50_000_000
    assert ", 2nd retry\n" in f.ctl("why", "a", check=0).stdout


def test_who_holds_it(foster):
    """The processes that are still there, by name; one that waits for another's end says so."""
    f = foster(f"""
        service db {{ command = {SLEEP} }}
        service web {{ command = {STUBBORN}
                       requires = {{db}} stop-timeout = "60s" }}
    """)
    pid = wait_stubborn(f, "web")
    f.post("/v1/services/db/stop?wait=0")
    until(lambda: f.state("web") == "stopping")
    w = why(f, "web")
    assert w["waits_for"] == "end" and {"pid": pid, "command": "sh"} in w["processes"]
    assert 50_000_000 < w["deadline_us"] <= 60_000_000
    assert f"sh[{pid}]" in f.ctl("why", "web", check=0).stdout
    w = why(f, "db")
    assert (w["state"], w["desired"], w["waits_for"]) == ("running", "down", "services")
    assert [(x["by"], x["name"], x["state"]) for x in w["waits"]] == [("db", "web", "stopping")]
    os.kill(pid, signal.SIGKILL)
    f.wait_state("db", "stopped")


def test_the_rest_of_a_tree_holds_it(foster):
    f = foster(f"""
        service a {{ command = {shell("setsid sh -c 'trap : TERM; echo trapped; "
                                      "while :; do sleep 0.02; done' & exec sleep 1000")} stop-timeout = "60s" }}
    """)
    pid = f.wait_state("a", "running")["pid"]
    wait_stubborn(f, "a")
    f.post("/v1/services/a/stop?wait=0")
    until(lambda: why(f, "a")["waits_for"] == "tree", "only the rest is left")
    w = until(lambda: (w := why(f, "a")) and any(p["command"] == "sh" for p in w["processes"]) and w)
    assert not alive(pid) and pid not in [p["pid"] for p in w["processes"]]
    os.kill(next(p["pid"] for p in w["processes"] if p["command"] == "sh"), signal.SIGKILL)
    f.wait_state("a", "stopped")


# --- its ends -------------------------------------------------------------------------------

def test_last_ends(foster):
    f = foster(f"service a {{ command = {SLEEP} restart-delay = \"1ms\" }}\n"
               f'service b {{ command = {SLEEP} directory = "/nonexistent" restart = no }}')
    for n in range(1, 8):
        pid = f.wait_state("a", "running")["pid"]
        os.kill(pid, signal.SIGSEGV if n == 7 else signal.SIGKILL)
        until(lambda: f.service("a")["restarts"] == n and f.state("a") == "running")
    ends = why(f, "a")["ends"]
    assert [e["signal"] for e in ends] == ["SIGSEGV"] + ["SIGKILL"] * 4
    assert all(e["up_us"] > 0 and e["exit_code"] is None and e["why"] == "ended" for e in ends)
    assert ends[0]["attempts"] == 7 and ends[0]["followed"] in ("starting", "backoff")
    text = f.ctl("why", "a", check=0).stdout
    assert text.count("killed by SIGKILL, was up ") == 4
    f.wait_state("b", "failed")
    end = why(f, "b")["ends"][0]
    assert (end["step"], end["errno"], end["followed"]) == ("chdir", 2, "failed")
    assert "chdir: No such file or directory; failed" in f.ctl("why", "b", check=0).stdout


def test_history_outlives_the_manager(foster):
    f = foster(f'service a {{ command = {shell("exit 4")} restart = no }}\n'
               f"service b {{ command = {SLEEP} }}\nservice c {{ command = {SLEEP} }}")
    f.wait_state("a", "failed")
    for name in "bc":
        f.wait_state(name, "running")
    process = background(f, "stop", "b")
    process.communicate()
    before = {name: why(f, name) for name in "abc"}
    old = f.kill_manager()
    until(lambda: f.answers() and f.manager_pid() != old, "there is another manager")
    after = {name: why(f, name) for name in "abc"}
    for name in "abc":
        for member in ("uid", "pid", "command", "service", "verb", "why"):
            assert before[name]["wish"][member] == after[name]["wish"][member], (name, member)
    assert after["b"]["wish"]["pid"] == process.pid
    for member in ("text", "why", "followed", "exit_code"):
        assert before["a"]["ends"][0][member] == after["a"]["ends"][0][member]
    assert after["b"]["ends"][0]["signal"] == "SIGTERM" and after["b"]["ends"][0]["why"] == "command"
    assert after["c"]["ends"] == []


# --- what holds a shutdown ------------------------------------------------------------------

def names_of(blocking):
    return [s["name"] for s in blocking["services"]]


def test_what_a_shutdown_would_wait_for(foster):
    f = foster(f"""
        service d {{ command = {SLEEP} daemon = true }}
        service n {{ command = {SLEEP} }}
        service off {{ command = {SLEEP} daemon = true autostart = false }}
    """)
    pid = f.wait_state("d", "running")["pid"]
    f.wait_state("n", "running")
    blocking = f.get("/v1/blocking").json
    assert not blocking["under_way"] and names_of(blocking) == ["d"]
    assert blocking["services"][0]["processes"] == [{"pid": pid, "command": "sleep"}]
    assert names_of(f.get("/v1/blocking?all=1").json) == ["d", "n"]
    text = f.ctl("why", "--blocking", check=0).stdout
    assert text.startswith("No shutdown is under way; one would wait for 1 service:\nd: running")
    assert f"sleep[{pid}]" in text
    text = f.ctl("why", "--blocking", "--join", check=0).stdout
    assert "n: running" in text and "for its own end (--join)" in text
    f.ctl("why", "--blocking", "d", check=2)
    f.ctl("why", "--all", check=2)


def test_what_a_shutdown_waits_for(foster):
    f = foster(f"""
        service db {{ command = {SLEEP} daemon = true }}
        service web {{ command = {STUBBORN} daemon = true requires = {{db}} stop-timeout = "60s" }}
        service n {{ command = {SLEEP} }}
    """)
    pid = wait_stubborn(f, "web")
    f.wait_state("n", "running")
    process = background(f, "shutdown", "--all")
    # db is held by web; n has ended already, or is about to.
    blocking = until(lambda: (b := f.get("/v1/blocking").json)["under_way"] and
                     names_of(b) == ["db", "web"] and b, "two are left")
    assert blocking["all"] and blocking["by"]["pid"] == process.pid
    db, web = blocking["services"]
    assert db["awaits"] == [{"name": "web", "state": "stopping"}] and db["state"] == "running"
    assert {"pid": pid, "command": "sh"} in web["processes"] and web["deadline_us"] > 0
    text = f.ctl("why", "--blocking", check=0).stdout
    assert f"(fosterctl[{process.pid}]); it waits for 2 services:\n" in text
    assert "waits: for web (stopping)\n" in text and "SIGKILL in " in text and f"sh[{pid}]" in text
    os.kill(pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == 0 and f.wait_end() == 0


def test_a_join_waits_for_the_own_end(foster):
    f = foster(f"service job {{ command = {SLEEP} restart = no }}\n"
               f"service d {{ command = {SLEEP} daemon = true }}")
    pid = f.wait_state("job", "running")["pid"]
    process = background(f, "shutdown", "--join")
    until(lambda: f.get("/v1/blocking").json["joining"], "it waits for the job")
    blocking = f.get("/v1/blocking").json
    assert names_of(blocking) == ["job"] and blocking["services"][0]["own_end"]
    assert "for its own end (--join)" in f.ctl("why", "--blocking", check=0).stdout
    assert why(f, "job")["waits_for"] == "own-end"
    os.kill(pid, signal.SIGTERM)
    process.communicate()
    assert f.wait_end() == 0


def test_main_job_is_told(foster):
    f = foster(f"service job {{ command = {SLEEP} restart = no }}", arguments=("--join", "job"))
    f.wait_state("job", "running")
    assert "It begins by itself when job has ended" in f.ctl("why", "--blocking", check=0).stdout


def test_clients_that_leave_in_the_middle(foster):
    """A census is given up with its client, and the manager goes on."""
    f = foster(f"service a {{ command = {SLEEP} daemon = true }}")
    f.wait_state("a", "running")
    manager = f.manager_pid()
    for path in ("/v1/blocking", "/v1/usage") * 20:
        connection = Connection(f.run / "control")
        connection.request("GET", path)
        connection.close()
    connections = []
    for _ in range(20):
        connections.append(Connection(f.run / "control"))
        connections[-1].request("GET", "/v1/usage")
    for connection in connections:
        assert connection.getresponse().status == 200
        connection.close()
    assert f.manager_pid() == manager


def test_readers_may_ask_why(foster):
    identity = ordinary_user()
    if identity is None:
        pytest.skip("needs root, to be somebody else")
    f = foster('control-read-group = "games"\n' + f"service a {{ command = {SLEEP} }}")
    f.wait_state("a", "running")

    def as_reader(*arguments):
        return subprocess.run(["setpriv", f"--reuid={identity[0]}", "--regid=games",
                               "--clear-groups", str(f.builddir / "fosterctl"), "--run-directory",
                               str(f.run), *arguments], capture_output=True, text=True, timeout=20)

    for arguments in (["why"], ["why", "a"], ["why", "--blocking"], ["top"], ["list"]):
        assert as_reader(*arguments).returncode == 0, arguments


# --- names that need escapes ----------------------------------------------------------------

@pytest.mark.parametrize("name, escaped", [
    ("a/b", "a%2Fb"), ("a%2Fb", "a%252Fb"), ("/", "%2F"), ("", ""), ("..", ".."), ("a b", "a%20b"),
    ("a&x=1#y", "a%26x%3D1%23y"), ("a/start", "a%2Fstart"), ("\u4f60", "%E4%BD%A0")])
def test_names_with_escapes(foster, name, escaped):
    f = foster(f"service a {{ command = {SLEEP} }}")
    f.wait_state("a", "running")
    for method, rest in (("GET", "/why"), ("POST", "/start"), ("POST", "/stop"), ("GET", "/join"),
                         ("GET", "")):
        reply = f.request(method, f"/v1/services/{escaped}{rest}")
        assert (reply.status, reply.json) == (404, {"error": f"no service '{name}'"})
    for verb in ("start", "stop", "restart", "why", "join", "pid", "is-alive", "status"):
        done = f.ctl(verb, "--", name, check=4)
        assert done.stderr == f"fosterctl: no service '{name}'\n", verb
    assert f.state("a") == "running"


def test_escapes_in_the_rest_of_a_path(foster):
    f = foster(f"service a {{ command = {SLEEP} }}")
    f.wait_state("a", "running")
    assert f.get("/v1/services/%61").json["name"] == "a"
    assert f.get("/%761/services").status == 200
    assert f.get("/v1/services/a/w%68y").json["name"] == "a"
    assert f.get("/v1/services/a/b/c").json == {"error": "no such path"}
    assert f.get("/v1/services/a%2Fwhy").json == {"error": "no service 'a/why'"}
    assert f.get("/v1/services/a%00").status == 404
    assert f.get("/v1/services/a/start").status == 405


# --- what is told meanwhile -----------------------------------------------------------------

def test_quick_commands_are_silent(foster):
    f = foster(f"service a {{ command = {SLEEP} }}")
    f.wait_state("a", "running")
    for arguments in (["restart", "a"], ["stop", "a"], ["start", "a"], ["stop"], ["shutdown", "--all"]):
        done = f.ctl(*arguments, check=0)
        assert done.stderr == "", arguments
    f.wait_end()


def test_a_line_a_change_elsewhere(foster):
    f = foster(f"""
        service db {{ command = {SLEEP} }}
        service web {{ command = {STUBBORN} requires = {{db}} stop-timeout = "60s" }}
    """)
    pid = wait_stubborn(f, "web")
    process = background(f, "stop", "db", "web")
    # Two rounds of it: what stays the same is not said again.
    lines = {process.stderr.readline(), process.stderr.readline()}
    assert lines == {"waiting for db: running, waits for web (stopping)\n",
                     "waiting for web: stopping\n"}
    asked = f.output().count("stop asked for")
    assert asked == 2
    until(lambda: why(f, "web")["for_us"] > 2_500_000, "two more looks have passed", 10, 0.05)
    os.kill(pid, signal.SIGKILL)
    out, err = process.communicate()
    assert process.returncode == 0 and err == ""
    assert sorted(out.splitlines()) == ["db: stopped", "web: stopped"]


def test_shutdown_tells_what_it_waits_for(foster):
    f = foster(f'service a {{ command = {STUBBORN} daemon = true stop-timeout = "60s" }}')
    pid = wait_stubborn(f, "a")
    process = background(f, "shutdown")
    assert process.stderr.readline() == "waiting for a: stopping\n"
    os.kill(pid, signal.SIGKILL)
    out, err = process.communicate()
    assert (process.returncode, out, err) == (0, "", "")
    f.wait_end()


def test_quiet_is_quiet(foster):
    f = foster(f'service a {{ command = {STUBBORN} daemon = true stop-timeout = "60s" }}')
    pid = wait_stubborn(f, "a")
    process = background(f, "stop", "-q", "a")
    until(lambda: f.state("a") == "stopping")
    until(lambda: why(f, "a")["for_us"] > 1_500_000, "it has lasted", 10, 0.05)
    os.kill(pid, signal.SIGKILL)
    out, err = process.communicate()
    assert (process.returncode, out, err) == (0, "", "")


def test_one_line_on_a_terminal(foster):
    f = foster(f'service a {{ command = {STUBBORN} stop-timeout = "60s" }}')
    pid = wait_stubborn(f, "a")
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen([str(f.builddir / "fosterctl"), "--run-directory", str(f.run),
                                "stop", "a"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=slave, text=True)
    os.close(slave)
    seen = []

    def read():
        try:
            while data := os.read(master, 4096):
                seen.append(data.decode())
        except OSError:
            pass  # EIO: the other side is closed

    reader = threading.Thread(target=read)
    reader.start()
    try:
        until(lambda: "".join(seen).count("waiting for a: stopping, SIGKILL in ") >= 2,
              "it is kept up to date")
    finally:
        os.kill(pid, signal.SIGKILL)
        out, _ = process.communicate()
        reader.join()
        os.close(master)
    text = "".join(seen)
    assert "\n" not in text and text.endswith("\r\033[K")
    assert out == "a: stopped\n" and process.returncode == 0
