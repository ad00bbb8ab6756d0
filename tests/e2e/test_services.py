"""Starting, ending and restarting services."""

import os
import pathlib
import signal
import threading
import time

import pytest

from foster import alive, descriptors_of, logger_of, until, zombies_of

SLEEP = '{"/bin/sleep", "1000"}'


def shell(script):
    return '{"/bin/sh", "-c", "%s"}' % script.replace("\\", "\\\\").replace('"', '\\"')


def test_runs_as_root_and_as_user(foster, identity):
    f = foster(f"service a {{ command = {SLEEP} }}", identity=identity)
    s = f.wait_state("a", "running")
    assert alive(s["pid"])
    uid = os.stat(f"/proc/{s['pid']}").st_uid
    assert uid == (identity[0] if identity else os.geteuid())
    f.post("/v1/shutdown?all=1")
    assert f.wait_end() == 0
    assert not alive(s["pid"])


def test_end_is_orderly_and_leaves_nothing(foster):
    f = foster(f"service a {{ command = {SLEEP} daemon = true }}")
    f.wait_state("a", "running")
    f.process.terminate()
    assert f.wait_end() == 0
    assert sorted(os.listdir(f.run)) == ["log"]


def test_child_gets_what_its_section_says(foster, directory):
    (directory / "wd").mkdir()
    f = foster("""
        service a {
            command = %s
            directory = "%s"
            environment = {"COLOUR=blue", "EMPTY="}
            umask = "027"
            nice = 5
            limit-nofile = "64:128"
            limit-core = "0"
        }""" % (shell("pwd; echo $COLOUR-$EMPTY-$FOSTER_SERVICE; umask; nice; ulimit -n; ulimit -Hn;"
                      "ulimit -c; exec sleep 1000"), directory / "wd"))
    until(lambda: f.log("a").count("\n") == 7, "its log has all lines")
    assert f.log("a").split("\n") == [str(directory / "wd"), "blue--a", "0027", "5", "64", "128",
                                      "0", ""]


def test_child_starts_clean(foster):
    """Nothing of foster's but stdio: no descriptor, no blocked or ignored signal; own session."""
    inherited, end = os.pipe()
    f = foster(f"service a {{ command = {SLEEP} }}\nservice b {{ command = {SLEEP} }}",
               pass_fds=(inherited,))
    os.close(inherited)
    os.close(end)
    for name in "ab":
        pid = f.wait_state(name, "running")["pid"]
        # Its libraries are closed again.
        fds = until(lambda: sorted(fds := descriptors_of(pid)) == [0, 1, 2] and fds, "no more")
        assert fds[0] == "/dev/null" and fds[1] == fds[2] and fds[1].startswith("pipe:")
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        for mask in ("SigBlk", "SigIgn"):
            assert f"{mask}:\t0000000000000000" in status
        assert os.getsid(pid) == pid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change users")
def test_user_and_groups(foster):
    f = foster("""service a {
        command = %s
        user = "daemon" group = "games" groups = {"mail"}
    }""" % shell("id -un; id -gn; id -Gn; echo $HOME $USER; echo on-stdout >/dev/stdout;"
                 "exec sleep 1000"))
    until(lambda: f.log("a").count("\n") == 5, "its log has all lines")
    user, group, groups, home, stdout = f.log("a").split("\n")[:5]
    assert (user, group) == ("daemon", "games")
    assert {"games", "mail"} <= set(groups.split())
    assert home == "/usr/sbin daemon"
    assert stdout == "on-stdout"


@pytest.mark.parametrize("option, words", [
    ('directory = "/nonexistent/place"', "chdir /nonexistent/place: No such file or directory"),
    ('command = {"/nonexistent/program"}', "execve /nonexistent/program: No such file or directory"),
    ('command = {"no-such-program"}', "execve no-such-program: No such file or directory"),
    ('command = {"/etc/passwd"}', "execve /etc/passwd: Permission denied"),
])
def test_failed_step_is_named(foster, option, words):
    command = "" if option.startswith("command") else f"command = {SLEEP}"
    f = foster(f"service a {{ {command} {option} restart = no }}")
    s = f.wait_state("a", "failed")
    assert words in s["reason"]
    assert s["pid"] == 0


def test_restart_policies(foster):
    f = foster(f"""
        service never   {{ command = {shell("exit 1")} restart = no }}
        service failing {{ command = {shell("exit 1")} restart = on-failure restart-delay = "5ms"
                           restart-limit = 3 }}
        service fine    {{ command = {shell("exit 0")} restart = on-failure }}
        service always  {{ command = {shell("sleep 0.05")} restart = always restart-delay = "1ms"
                           restart-delay-max = "5ms" }}
    """)
    assert f.wait_state("never", "failed")["reason"] == "exit 1"
    assert f.wait_state("failing", "failed")["reason"] == "exit 1, gave up after 3 retries"
    assert f.service("failing")["restarts"] == 3
    assert f.wait_state("fine", "exited")["exit_code"] == 0
    until(lambda: f.service("always")["restarts"] >= 3, "it was restarted three times")


def test_restart_is_at_once_then_backs_off(foster):
    f = foster(f"""service a {{ command = {shell("exit 7")} restart-delay = "10s" }}""")
    s = f.wait_state("a", "backoff")
    assert s["restarts"] == 2 and s["reason"].startswith("exit 7, 2nd retry in ")
    assert s["next"].startswith("restart in ")


def test_start_that_fails_is_said(foster):
    f = foster('service a { command = {"/nonexistent"} autostart = false restart-delay = "10s" }')
    reply = f.post("/v1/services/a/start").json
    assert reply["result"] == "failed" and reply["state"] == "backoff"
    assert reply["reason"].startswith("execve /nonexistent: No such file or directory")


def test_killed_child_is_restarted(foster):
    f = foster(f"service a {{ command = {SLEEP} restart = always }}")
    pid = f.wait_state("a", "running")["pid"]
    os.kill(pid, signal.SIGKILL)
    s = until(lambda: (s := f.service("a"))["pid"] not in (0, pid) and s, "a new process is there")
    assert s["restarts"] == 1 and s["exit"] == "killed by SIGKILL" and s["exit_code"] == 137


def test_stop_escalates(foster):
    script = shell("trap '' TERM; echo ready; while :; do sleep 1000; done")
    f = foster(f"""service a {{ command = {script} stop-timeout = "200ms" }}""")
    until(lambda: "ready" in f.log("a"), "it ignores SIGTERM")
    pid = f.service_pid("a")
    reply = f.post("/v1/services/a/stop").json
    assert reply["result"] == "ok" and reply["exit"] == "killed by SIGKILL"
    assert not alive(pid)


def test_stop_signal(foster):
    script = shell("trap 'echo got usr1; exit 0' USR1; echo ready; while :; do sleep 0.01; done")
    f = foster(f"service a {{ command = {script} stop-signal = USR1 }}")
    until(lambda: "ready" in f.log("a"), "it is ready")
    assert f.post("/v1/services/a/stop").json["exit_code"] == 0
    until(lambda: "got usr1" in f.log("a"), "its last line is there")


ESCAPE = ("trap '' TERM; "
          "setsid sh -c 'trap \\\"\\\" TERM; sleep 1000' & "
          "(setsid sh -c 'trap \\\"\\\" TERM; (sleep 1000 & sleep 1000) & sleep 1000' &) ; "
          "sh -c 'trap \\\"\\\" TERM; sleep 1000' & "
          "echo ready; wait")


def test_stop_ends_the_whole_tree(foster):
    """A grandchild, a setsid'ed one, a twice-forked one, all ignoring SIGTERM: none is left."""
    f = foster('service a { command = {"/bin/sh", "-c", "%s"} stop-timeout = "300ms" }' % ESCAPE)
    until(lambda: "ready" in f.log("a"), "its tree is there")
    mark = pathlib.Path(f"/proc/{f.service_pid('a')}/environ").read_bytes()
    mark = next(v for v in mark.split(b"\0") if v.startswith(b"FOSTER_INSTANCE="))

    def tree():
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                if mark in pathlib.Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                    found.append(int(entry))
            except OSError:
                pass
        return found

    until(lambda: len(tree()) >= 8, "the whole tree is there")
    assert f.post("/v1/services/a/stop").json["result"] == "ok"
    assert not [pid for pid in tree() if alive(pid)]


LEAVES_ITS_GROUP = """
import os, signal, sys, time
here = sys.argv[1]
signal.signal(signal.SIGTERM, lambda *args: None)  # the main process waits for the others
children = []
for i in range(20):
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        while not os.path.exists(here + "/go"): time.sleep(0.002)
        os.setsid()
        open(here + f"/left{i}", "w").close()
        while True: signal.pause()
    children.append(pid)
open(here + "/ready", "w").close()
for pid in children: os.waitpid(pid, 0)
"""


@pytest.mark.parametrize("cgroup", ["auto", "no"])
def test_who_leaves_the_group_while_it_is_stopped(foster, directory, cgroup):
    """Its signal goes to the group a moment after the others have got theirs: nobody is left out."""
    (directory / "leaves.py").write_text(LEAVES_ITS_GROUP)
    f = foster(f"cgroup = {cgroup}\nservice a {{ command = "
               f'{{"/usr/bin/python3", "{directory}/leaves.py", "{directory}"}} stop-timeout = "60s" }}')
    until(lambda: (directory / "ready").exists(), "all are there")
    f.process.send_signal(signal.SIGSTOP)
    f.post("/v1/services/a/stop?wait=0")
    assert f.state("a") == "stopping"
    (directory / "go").touch()
    until(lambda: len(list(directory.glob("left*"))) == 20, "all have left")
    f.process.send_signal(signal.SIGCONT)
    s = f.wait_state("a", "stopped")
    assert s["exit"] == "exit 0"


def test_orphans_are_reaped(foster):
    """A service that double-forks and leaves orphans by the thousand: no zombie stays."""
    script = shell("i=0; while [ $i -lt 2000 ]; do (true &) ; i=$((i+1)); done; echo done;"
                   "exec sleep 1000")
    f = foster(f"service a {{ command = {script} }}")
    worst = 0.0
    since = {}
    while "done" not in f.log("a"):
        now = time.monotonic()
        since = {child: since.get(child, now) for child in zombies_of(f.pid)}
        worst = max([worst, *(now - t for t in since.values())])
    until(lambda: f.get("/v1/version").json["orphans_reaped"] >= 2000, "all were reaped")
    assert worst < 1.0
    assert f.state("a") == "running"


def test_restart_starts_what_it_needs(foster):
    """As a start does: it would wait for ever for what nobody starts."""
    f = foster(f"service db {{ command = {SLEEP} }}\n"
               f"service web {{ command = {SLEEP} requires = {{db}} }}")
    f.post("/v1/services/db/stop")
    assert f.state("web") == "stopped"
    assert f.post("/v1/services/web/restart").json["result"] == "ok"
    assert f.state("db") == f.state("web") == "running"


def test_requires_and_after(foster):
    f = foster(f"""
        service web {{ command = {SLEEP} requires = {{db}} }}
        service db  {{ command = {shell("sleep 0.2; systemd-notify --ready || exit 1; exec sleep 1000")}
                       ready = notify }}
        service late {{ command = {SLEEP} after = {{web}} }}
    """ if os.path.exists("/usr/bin/systemd-notify") else f"""
        service web {{ command = {SLEEP} requires = {{db}} }}
        service db  {{ command = {SLEEP} }}
        service late {{ command = {SLEEP} after = {{web}} }}
    """)
    for name in ("db", "web", "late"):
        f.wait_state(name, "running")
    # One look at all: two of them a request apart may swap their places.
    uptime = {name: s["uptime_us"] for name, s in f.services().items()}
    assert uptime["db"] > uptime["web"] > uptime["late"]
    # stopping what is needed stops those that need it first; starting one starts what it needs
    assert f.post("/v1/services/db/stop").json["result"] == "ok"
    assert f.state("web") == "stopped" and f.state("late") == "running"
    assert f.post("/v1/services/web/start").json["result"] == "ok"
    assert f.state("db") == "running"


def test_waits_for_a_failed_dependency(foster):
    f = foster(f"""
        service web {{ command = {SLEEP} requires = {{db}} }}
        service db  {{ command = {{"/nonexistent"}} restart = no }}
    """)
    f.wait_state("db", "failed")
    s = f.wait_state("web", "waiting")
    assert s["next"] == "waits for db (failed)"
    assert f.post("/v1/services/web/restart").json["result"] == "failed"


def test_restart_takes_dependents_along(foster):
    f = foster(f"""
        service db  {{ command = {SLEEP} }}
        service web {{ command = {SLEEP} requires = {{db}} }}
        service other {{ command = {SLEEP} }}
    """)
    for name in ("db", "web", "other"):
        f.wait_state(name, "running")
    before = {n: s["pid"] for n, s in f.services().items()}
    assert f.post("/v1/services/db/restart").json["result"] == "ok"
    f.wait_state("web", "running")
    after = {n: s["pid"] for n, s in f.services().items()}
    assert after["db"] != before["db"] and after["web"] != before["web"]
    assert after["other"] == before["other"]


def test_restart_of_a_stopped_one_starts_what_it_needs(foster):
    f = foster(f"""
        service db  {{ command = {SLEEP} autostart = false }}
        service web {{ command = {SLEEP} requires = {{db}} autostart = false }}
    """)
    assert f.state("db") == "stopped"
    assert f.post("/v1/services/web/restart").json["result"] == "ok"
    assert f.state("db") == f.state("web") == "running"


SLOW_TO_STOP = shell("trap 'sleep 0.3; exit' TERM; echo ready; while :; do sleep 0.01; done")


def test_stop_that_a_start_takes_back_is_not_waited_for(foster):
    f = foster(f"service a {{ command = {SLOW_TO_STOP} }}")
    until(lambda: "ready" in f.log("a"))
    results = []
    stop = threading.Thread(
        target=lambda: results.append(f.post("/v1/services/a/stop", timeout=10).json["result"]))
    stop.start()
    f.wait_state("a", "stopping")
    assert f.post("/v1/services/a/start").json["result"] == "ok"
    stop.join(15)
    assert results == ["failed"]


def test_start_takes_back_the_stop_of_what_it_needs(foster):
    f = foster(f"""
        service db  {{ command = {SLOW_TO_STOP} }}
        service web {{ command = {SLEEP} requires = {{db}} }}
    """)
    until(lambda: "ready" in f.log("db"))
    f.wait_state("web", "running")
    f.post("/v1/services/db/stop?wait=0")
    f.wait_state("db", "stopping")
    assert f.post("/v1/services/web/start").json["result"] == "ok"
    assert f.state("db") == f.state("web") == "running"


def test_log_directory_comes_back(foster):
    f = foster(f"service a {{ command = {shell('while :; do echo x; sleep 0.01; done')} }}")
    until(lambda: f.log("a"))
    (f.run / "log" / "a.log").unlink()
    (f.run / "log").rmdir()
    # It has the removed file open still: the next one opens it anew.
    os.kill(logger_of(f), signal.SIGKILL)
    until(lambda: f.log("a"), "its output is in a file again")
