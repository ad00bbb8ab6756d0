# SPDX-License-Identifier: MIT
"""fosterctl against a fake control socket: requests, what is printed, exit codes, breaks."""

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
import time

import pytest

from fake_control import Break, FakeControl, service

CTL = os.path.join(os.environ["FOSTER_BUILDDIR"], "fosterctl")


def run(server, *args, **more):
    env = {**os.environ, "FOSTER_RUN_DIRECTORY": server.directory}
    return subprocess.run([CTL, *args], capture_output=True, text=True, timeout=30, env=env, **more)


@pytest.fixture
def serve(tmp_path):
    """serve(reply) starts a server; all are closed at the end."""
    servers = []

    def start(reply, directory=None):
        servers.append(FakeControl(directory or tmp_path / "run", reply))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def fixed(*answers):
    """A reply function from path -> document; others are 404."""
    table = dict(answers)

    def reply(request):
        if request.path in table:
            return 200, table[request.path]
        return 404, {"error": f"there is no service {request.path.split('/')[-1]}",
                     "hint": "did you mean web?"}
    return reply


WEB, DB = service("web"), service("db", "failed", next="restart in 3.2s", reason="exit 1")
LIST = ("/v1/services", {"services": [WEB, DB]})


# --- status ---------------------------------------------------------------------------------

def test_status_table(serve):
    server = serve(fixed(LIST))
    done = run(server, "status")
    assert done.stdout.splitlines() == [
        "NAME  STATE    READY   PID  UPTIME  RESTARTS  DAEMON  NEXT/REASON",
        "web   running  yes    4711    3.2s         2  no",
        "db    failed   no        -       -         2  no      restart in 3.2s",
    ]
    assert done.returncode == 3 and done.stderr == ""
    assert server.asked() == ["GET /v1/services"]


def test_status_codes(serve):
    server = serve(fixed(LIST, ("/v1/services/web", WEB), ("/v1/services/db", DB)))
    assert run(server, "status", "web").returncode == 0
    assert run(server, "status", "db").returncode == 3
    assert run(server, "status", "web", "db").returncode == 3
    assert run(server, "status", "w*").returncode == 0
    done = run(server, "status", "wbe")
    assert done.returncode == 4
    assert done.stderr == "fosterctl: there is no service wbe; did you mean web?\n"
    done = run(server, "status", "web", "wbe")
    assert done.returncode == 4 and "\nweb " in done.stdout
    assert "fosterctl: no service 'wbe' (did you mean web?)\n" in done.stderr
    done = run(server, "status", "x*")
    assert done.returncode == 4 and "no service matches x*" in done.stderr
    assert run(server, "status", "-q").stdout == ""


def test_status_without_services(serve):
    done = run(serve(fixed(("/v1/services", {"services": []}))), "status")
    assert (done.returncode, done.stdout) == (0, "There are no services.\n")


def test_status_json(serve):
    server = serve(fixed(LIST, ("/v1/services/web", WEB)))
    assert json.loads(run(server, "status", "--json").stdout) == LIST[1]
    assert json.loads(run(server, "status", "--json", "web").stdout) == WEB
    assert json.loads(run(server, "--json", "status", "d*", "web").stdout) == {
        "services": [DB, WEB]}


def test_one_service(serve):
    one = service("web", status="42 users", pending="command, nice", requires=["db"], after=["net"],
                  command=["/bin/web", "-x"], log_file="/var/log/web.log", daemon=True,
                  exit="killed by SIGSEGV (core)", log=["first", "evil \x1b[31mline\x07\u009b31m"])
    done = run(serve(fixed(("/v1/services/web", one))), "status", "web")
    assert done.stdout.splitlines() == [
        "web - the web",
        "       state: running, ready since 2026-11-23T21:10:05Z, up 3.2s",
        "         pid: 4711",
        "    last end: killed by SIGSEGV (core)",
        "        says: 42 users",
        "     pending: command, nice",
        "    restarts: 2",
        "      daemon: yes",
        "    requires: db",
        "       after: net",
        "     command: /bin/web -x",
        "    log file: /var/log/web.log",
        "",
        "first",
        "evil ?[31mline???31m",
    ]


def on_terminal(server, columns, *args, **env):
    """What is printed on a terminal of so many columns."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    base = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")}
    process = subprocess.Popen(
        [CTL, *args], stdin=subprocess.DEVNULL, stdout=slave, stderr=subprocess.PIPE,
        env={**base, "FOSTER_RUN_DIRECTORY": server.directory, "TERM": "xterm", **env})
    os.close(slave)
    data = b""
    try:
        while True:
            piece = os.read(master, 65536)
            if not piece:
                break
            data += piece
    except OSError:
        pass  # EIO: the other side is closed
    process.stderr.close()
    process.wait(timeout=30)
    os.close(master)
    return data.decode().replace("\r\n", "\n")


def test_terminal(serve):
    server = serve(fixed(("/v1/services", {"services": [
        WEB, service("聊天室", "failed", reason="原因很长很长很长")]})))
    text = on_terminal(server, 70, "status")
    assert "\033[32mrunning\033[0m" in text and "\033[31mfailed\033[0m" in text
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\033" not in on_terminal(server, 70, "status", **env)
    plain = on_terminal(server, 70, "status", "--no-color").splitlines()
    assert plain[1] == "web     running  yes    4711    3.2s         2  no"
    # 聊天室 takes six places; the last column is cut at 70.
    assert plain[2] == "聊天室  failed   no        -       -         2  no      原因很长很长…"
    wide = on_terminal(server, 200, "status", "--no-color").splitlines()
    assert wide[2].endswith("原因很长很长很长")
    assert run(server, "status").stdout.splitlines()[2].endswith("原因很长很长很长")


# --- actions --------------------------------------------------------------------------------

def result(name, how="ok", state="running", pid=12, reason=""):
    return {"name": name, "result": how, "state": state, "reason": reason, "pid": pid}


def test_start_several_at_once(serve):
    """All three requests are there before the first is answered."""
    barrier = threading.Barrier(3, timeout=20)

    def reply(request):
        barrier.wait()
        return 200, result(request.path.split("/")[3])

    server = serve(reply)
    done = run(server, "start", "a", "b", "c")
    assert done.returncode == 0
    assert sorted(done.stdout.splitlines()) == [f"{x}: running, pid 12" for x in "abc"]
    assert sorted(server.asked()) == [f"POST /v1/services/{x}/start" for x in "abc"]


def test_many_at_once(serve):
    """More than connections are opened at a time."""
    server = serve(lambda r: (200, result(r.path.split("/")[3])))
    names = [f"s{i}" for i in range(200)]
    done = run(server, "stop", *names)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 200
    assert len(server.requests) == 200


def test_action_failures(serve):
    def reply(request):
        name = request.path.split("/")[3]
        if name == "bad":
            return 200, result(name, "failed", "backoff", 0, "chdir /srv/x: No such file")
        if name == "slow":
            return 200, result(name, "timeout", "starting", 5, "not ready after 1 min")
        if name == "none":
            return 404, {"error": "there is no service none"}
        return 200, result(name)

    server = serve(reply)
    done = run(server, "start", "bad", "good")
    assert done.returncode == 1 and done.stdout == "good: running, pid 12\n"
    assert done.stderr == "fosterctl: bad: failed, it is backoff: chdir /srv/x: No such file\n"
    done = run(server, "start", "slow")
    assert done.returncode == 1
    assert done.stderr == "fosterctl: slow: not done in time, it is starting: not ready after 1 min\n"
    assert run(server, "start", "none", "bad").returncode == 4
    assert run(server, "-q", "start", "good").stdout == ""
    assert json.loads(run(server, "start", "--json", "good").stdout) == result("good")


def test_action_on_all(serve):
    server = serve(lambda r: (200, {"services": [result("a"), result("b", "failed", "failed", 0,
                                                                     "exit 1")]}))
    done = run(server, "start")
    assert done.returncode == 1 and done.stdout == "a: running, pid 12\n"
    assert done.stderr == "fosterctl: b: failed: exit 1\n"
    run(server, "stop", "--no-wait")
    run(server, "restart")
    assert server.asked() == ["POST /v1/start", "POST /v1/stop?wait=0", "POST /v1/restart"]


def test_patterns(serve):
    def reply(request):
        if request.path == "/v1/services":
            return 200, {"services": [service(x) for x in ("web1", "web2", "db")]}
        return 200, result(request.path.split("/")[3])

    server = serve(reply)
    done = run(server, "restart", "--no-wait", "web*", "web1")
    assert sorted(server.asked()) == ["GET /v1/services", "POST /v1/services/web1/restart?wait=0",
                                      "POST /v1/services/web2/restart?wait=0"]
    assert done.returncode == 0


def test_names_are_escaped(serve):
    server = serve(fixed())
    run(server, "start", "a/b c%x\u4f60")
    assert server.asked() == ["POST /v1/services/a%2Fb%20c%25x%E4%BD%A0/start"]


def test_signal(serve):
    server = serve(lambda r: (200, result(r.path.split("/")[3])))
    assert run(server, "signal", "hup", "web").returncode == 0
    assert run(server, "signal", "--whole", "RTMIN+1", "web").returncode == 0
    assert server.asked() == ["POST /v1/services/web/signal?signal=SIGHUP",
                              "POST /v1/services/web/signal?signal=SIGRTMIN%2B1&whole=1"]


def test_errors_of_the_manager(serve):
    server = serve(lambda r: (403, {"error": "you may only ask", "hint": "join the group foster"}))
    done = run(server, "stop", "web")
    assert done.returncode == 1
    assert done.stderr == "fosterctl: web: you may only ask; join the group foster\n"
    server.reply = lambda r: (200, b"garbage\r\n\r\n")
    assert "does not speak HTTP" in run(server, "status").stderr
    server.reply = lambda r: (500, [])
    assert "status 500" in run(server, "status").stderr
    server.reply = lambda r: (200, b"HTTP/1.1 200 OK\r\n\r\nno json")
    assert "is not a list of services" in run(server, "status").stderr
    assert "is not JSON" in run(server, "status", "web").stderr


# --- the manager is replaced ----------------------------------------------------------------

def breaks_first(times, then):
    left = [times]

    def reply(request):
        if left[0]:
            left[0] -= 1
            raise Break
        return then(request)
    return reply


def test_start_is_repeated(serve):
    server = serve(breaks_first(2, lambda r: (200, result("web"))))
    done = run(server, "start", "web")
    assert (done.returncode, done.stdout, done.stderr) == (0, "web: running, pid 12\n", "")
    assert server.asked() == ["POST /v1/services/web/start"] * 3


def test_status_is_repeated(serve):
    server = serve(breaks_first(1, fixed(LIST)))
    assert "web" in run(server, "status").stdout


def test_half_an_answer_is_repeated(serve):
    whole = json.dumps(LIST[1]).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(whole)
    answers = [head[:20], head + whole[:30], head + whole]
    server = serve(lambda r: (200, answers.pop(0)))
    assert run(server, "status", "--json").stdout.strip() == whole.decode()
    assert len(server.requests) == 3


def test_signal_is_not_repeated(serve):
    server = serve(breaks_first(1, lambda r: (200, result("web"))))
    done = run(server, "signal", "HUP", "web")
    assert done.returncode == 1 and "broke" in done.stderr
    assert len(server.requests) == 1


def test_restart_is_followed(serve):
    """The restart had begun: it is not asked for twice, but waited for."""
    states = [service("web", pid=10), "break",
              service("web", "stopping"), service("web", "starting"), service("web", pid=11)]

    def reply(request):
        now = states.pop(0)
        if now == "break":
            raise Break
        return 200, now

    server = serve(reply)
    done = run(server, "restart", "web")
    assert (done.returncode, done.stdout) == (0, "web: running, pid 11\n")
    assert server.asked() == ["GET /v1/services/web", "POST /v1/services/web/restart"] + [
        "GET /v1/services/web"] * 3


def test_restart_that_was_lost(serve):
    """The manager ended before it did anything: the process is the old one."""
    states = [service("web", pid=10), "break", service("web", pid=10), result("web", pid=12)]

    def reply(request):
        now = states.pop(0)
        if now == "break":
            raise Break
        return 200, now

    server = serve(reply)
    done = run(server, "restart", "web")
    assert (done.returncode, done.stdout) == (0, "web: running, pid 12\n")
    assert server.asked()[-1] == "POST /v1/services/web/restart"


def test_restart_that_failed_meanwhile(serve):
    states = [service("web", pid=10), "break", service("web", "failed", reason="exit 1")]

    def reply(request):
        now = states.pop(0)
        if now == "break":
            raise Break
        return 200, now

    done = run(serve(reply), "restart", "web")
    assert done.returncode == 1 and done.stderr == "fosterctl: web: failed: exit 1\n"


def test_restart_of_all_is_followed(serve):
    lists = ["break", {"services": [service("a", "starting"), service("b", "stopped")]},
             {"services": [service("a"), service("b", "stopped")]}]

    def reply(request):
        now = lists.pop(0)
        if now == "break":
            raise Break
        return 200, now

    done = run(serve(reply), "restart")
    assert (done.returncode, done.stdout) == (0, "a: running, pid 4711\n")


# --- waiting --------------------------------------------------------------------------------

def test_join(serve):
    def reply(request):
        name = request.path.split("/")[3]
        table = {
            "ok": {"result": "ended", "exit_code": 0, "exit": "exit 0"},
            "three": {"result": "ended", "exit_code": 3, "exit": "exit 3"},
            "killed": {"result": "ended", "exit_code": 137, "exit": "killed by SIGKILL"},
            "slow": {"result": "timeout", "exit_code": None, "exit": None},
            "never": {"result": "not-running", "exit_code": None, "exit": None},
            "over": {"result": "not-running", "exit_code": 5, "exit": "exit 5"},
        }
        return (200, {"name": name, **table[name]}) if name in table else (404, {"error": "no"})

    server = serve(reply)
    done = run(server, "join", "three")
    assert (done.returncode, done.stdout) == (3, "three: exit 3\n")
    assert run(server, "join", "ok").returncode == 0
    assert run(server, "join", "killed").returncode == 137
    assert run(server, "join", "never").returncode == 3
    assert run(server, "join", "over").returncode == 5
    assert run(server, "join", "nothing").returncode == 4
    done = run(server, "join", "slow", "--timeout", "1.5s")
    assert done.returncode == 124 and "slow: still running" in done.stderr
    assert 1_000_000 < int(server.requests[-1].query["timeout_us"]) <= 1_500_000
    assert run(server, "join", "ok", "killed", "three").returncode == 137
    assert run(server, "join", "ok", "three", "killed").returncode == 3


def test_join_goes_on_after_a_break(serve):
    server = serve(breaks_first(1, lambda r: (200, {"result": "ended", "exit_code": 9,
                                                    "exit": "exit 9"})))
    assert run(server, "join", "web").returncode == 9
    assert len(server.requests) == 2


def test_is_alive_and_pid(serve):
    server = serve(fixed(("/v1/services/web", WEB), ("/v1/services/db", DB)))
    done = run(server, "is-alive", "web")
    assert (done.returncode, done.stdout) == (0, "alive\n")
    done = run(server, "is-alive", "db")
    assert (done.returncode, done.stdout) == (3, "dead\n")
    assert run(server, "is-alive", "x").returncode == 4
    assert run(server, "is-alive", "--quiet", "web").stdout == ""
    done = run(server, "pid", "web")
    assert (done.returncode, done.stdout) == (0, "4711\n")
    done = run(server, "pid", "db")
    assert (done.returncode, done.stdout) == (3, "")
    assert run(server, "pid", "x").returncode == 4


# --- events ---------------------------------------------------------------------------------

def event(seq, **more):
    return {"seq": seq, "time": "2026-11-23T21:10:05Z", "type": "state", "service": "web",
            "state": "running", "reason": "", "pid": 12, **more}


def test_events(serve):
    server = serve(lambda r: (200, [event(1), event(2, state="stopped", pid=0, reason="asked \x1b")]))
    done = run(server, "events")
    assert done.stdout.splitlines() == [
        "2026-11-23T21:10:05Z state web running, pid 12",
        "2026-11-23T21:10:05Z state web stopped: asked ?"]
    assert done.returncode == 0
    assert [json.loads(x)["seq"] for x in run(server, "events", "--json").stdout.splitlines()] == [1, 2]
    run(server, "events", "--since", "1")
    assert server.asked() == ["GET /v1/events", "GET /v1/events", "GET /v1/events?since=1"]


def test_events_follow(serve):
    """Each event at once; after a break on from the last; nothing twice; half a line is no event."""
    more = threading.Event()

    def first():
        yield event(1)
        yield event(2)
        more.wait(20)
        yield json.dumps(event(3))[:20]
        raise Break

    def second():
        yield event(2)
        yield event(3)
        raise Break

    def third():
        yield event(4)
        more.wait(20)

    answers = [first(), second(), third()]
    server = serve(lambda r: (200, answers.pop(0)) if answers else (400, {"error": "end"}))
    process = subprocess.Popen([CTL, "events", "-f", "--json"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "FOSTER_RUN_DIRECTORY": server.directory})
    try:
        seen = [json.loads(process.stdout.readline())["seq"] for _ in range(2)]
        more.set()
        seen += [json.loads(process.stdout.readline())["seq"] for _ in range(2)]
        assert seen == [1, 2, 3, 4]
        assert process.stdout.read() == ""
        assert process.wait(timeout=30) == 1
    finally:
        process.kill()
        process.communicate()
    assert server.asked()[:3] == ["GET /v1/events?follow=1", "GET /v1/events?follow=1&since=2",
                                  "GET /v1/events?follow=1&since=3"]


def test_events_end_when_nobody_reads(serve):
    def forever():
        i = 0
        while True:
            i += 1
            yield event(i)

    server = serve(lambda r: (200, forever()))
    read, write = os.pipe()
    process = subprocess.Popen([CTL, "events", "-f"], stdout=write, stderr=subprocess.DEVNULL,
                               env={**os.environ, "FOSTER_RUN_DIRECTORY": server.directory})
    os.close(write)
    os.read(read, 100)
    os.close(read)
    assert process.wait(timeout=30) in (1, -signal.SIGPIPE)


# --- what is waited for ---------------------------------------------------------------------

def waiting(name, state="stopping", **more):
    return {"name": name, "state": state, "waits_for": "end", "next": "SIGKILL in 4s", "awaits": [],
            **more}


def test_progress(serve):
    """Of those that are meant, those that are waited for; each change once; nothing after it."""
    looks = [[waiting("web"), waiting("db"), waiting("x", waits_for=None)],
             [waiting("web", next="SIGKILL in 3s")], [waiting("web", waits_for="tree")]]
    over = threading.Event()

    def reply(request):
        if request.path == "/v1/why":
            if not looks:
                over.set()  # the one before has been read
            return 200, {"services": looks.pop(0) if looks else []}
        over.wait(20)
        return 200, result(request.path.split("/")[3], state="stopped", pid=0)

    server = serve(reply)
    done = run(server, "stop", "web", "x")
    assert done.returncode == 0
    assert sorted(done.stdout.splitlines()) == ["web: stopped", "x: stopped"]
    assert done.stderr == ("waiting for web: stopping\n"
                           "waiting for web: stopping, waits for the rest of its tree\n")


def test_progress_that_cannot_be_had(serve):
    """An older manager, or one that refuses: the command is not the worse for it."""
    asked = threading.Event()

    def reply(request):
        if request.path == "/v1/why":
            asked.set()
            return 404, {"error": "no such path"}
        asked.wait(20)
        return 200, result("web")

    done = run(serve(reply), "start", "web")
    assert (done.returncode, done.stdout, done.stderr) == (0, "web: running, pid 12\n", "")


def test_progress_beside_many(serve):
    """It does not wait for its turn among more services than have a connection at a time."""
    asked = threading.Event()

    def reply(request):
        if request.path == "/v1/why":
            asked.set()
            return 200, {"services": []}
        in_time.append(asked.wait(10))
        return 200, result(request.path.split("/")[3])

    in_time = []
    done = run(serve(reply), "start", *[f"s{i}" for i in range(70)])
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 70
    assert in_time == [True] * 70


# --- the whole ------------------------------------------------------------------------------

def test_reload(serve):
    plan = [{"name": "web", "action": "restart", "differs": "command, environment"},
            {"name": "db", "action": "keep", "differs": ""},
            {"name": "new", "action": "start", "differs": ""}]
    server = serve(lambda r: (200, {"result": "ok", "plan": plan}))
    done = run(server, "reload")
    assert done.returncode == 0
    assert done.stdout.splitlines() == ["ACTION   NAME  DIFFERS",
                                        "restart  web   command, environment",
                                        "start    new", "keep: 1 service"]
    done = run(server, "reload", "--dry-run")
    assert done.stdout.splitlines()[-1] == "keep: 1 service; nothing was done"
    assert server.asked() == ["POST /v1/reload", "POST /v1/reload?dry_run=1"]
    server.reply = lambda r: (400, {"error": "the config has 1 problem, nothing was changed",
                                    "problems": [{"file": "/etc/x.conf", "line": 3,
                                                  "text": "service has no option x"}]})
    done = run(server, "reload")
    assert done.returncode == 1
    assert done.stderr == ("/etc/x.conf:3: service has no option x\n"
                           "fosterctl: the config has 1 problem, nothing was changed\n")


def test_shutdown(serve):
    server = serve(lambda r: (200, [{"text": "waiting for web (stopping, 3 s left)"},
                                    {"result": "ok"}]))
    done = run(server, "shutdown", "--all", "--join")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = run(server, "shutdown", "--json")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"text": "waiting for web (stopping, 3 s left)"}, {"result": "ok"}]
    assert server.asked() == ["POST /v1/shutdown?all=1&join=1", "POST /v1/shutdown"]
    server.reply = lambda r: (200, [{"error": "web did not end"}, {"result": "failed"}])
    assert run(server, "shutdown").returncode == 1


def test_shutdown_ends_with_fosterd(tmp_path):
    """The connection breaks and the socket is gone: that is what was asked for."""
    def reply(request):
        os.rename(server.path, server.path + ".gone")
        raise Break

    with FakeControl(tmp_path / "run", reply) as server:
        started = time.monotonic()
        done = run(server, "shutdown")
        assert (done.returncode, done.stderr) == (0, "")
        assert time.monotonic() - started < 5
        os.rename(server.path + ".gone", server.path)


def test_chat_say(serve):
    server = serve(lambda r: (200, {"result": "ok", "listeners": 1}))
    done = run(server, "chat", "say", "大家好", "-", '"all"')
    assert (done.returncode, done.stdout) == (0, "said to 1 chat room\n")
    assert json.loads(server.requests[0].body) == {"text": '大家好 - "all"'}
    server.reply = lambda r: (503, {"error": "no chat room listens"})
    done = run(server, "chat", "say", "x")
    assert done.returncode == 1 and "no chat room listens" in done.stderr
    server.requests.clear()
    server.reply = breaks_first(1, lambda r: (200, {"result": "ok", "listeners": 1}))
    assert run(server, "chat", "say", "x").returncode == 1
    assert len(server.requests) == 1


def test_version(serve):
    server = serve(lambda r: (200, {"version": "0.1.0", "api": 1, "pid": 5, "manager_pid": 6}))
    done = run(server, "version")
    assert done.stdout.splitlines()[1:] == ["foster-manager 0.1.0, pid 6", "fosterd pid 5"]


def test_long_run_directory(serve, tmp_path):
    """Longer than a socket's address can be."""
    server = serve(fixed(LIST), tmp_path / ("x" * 100) / ("y" * 100))
    assert run(server, "status", "-q").returncode == 3


def test_big_list(serve):
    server = serve(fixed(("/v1/services", {"services": [service(f"s{i}") for i in range(10000)]})))
    done = run(server, "status")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 10001
