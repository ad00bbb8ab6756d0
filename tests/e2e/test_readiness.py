"""sd_notify, sockets that are passed, the watchdog."""

import os
import pathlib
import socket
import subprocess
import sys
import time

import pytest

from conftest import ordinary_user
from foster import alive, until
from test_services import SLEEP

NOTIFY = '''
import os, socket, sys, time
def notify(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(os.environ["NOTIFY_SOCKET"]); s.send(text.encode())
'''


def python(f, name, body):
    path = f.directory / f"{name}.py"
    path.write_text(NOTIFY + body)
    return path


def make(foster, body, options="", more=""):
    f = foster("service placeholder { command = {x} autostart = false }", start=False)
    path = python(f, "service", body)
    f.write(f'{more}service s {{ command = {{"/usr/bin/python3", "{path}"}} ready = notify {options} }}')
    return f.start().wait_up()


def test_ready_and_status(foster):
    f = make(foster, 'notify("STATUS=warming up")\nopen(sys.argv[0] + ".up", "w").close()\n'
             'while not os.path.exists(sys.argv[0] + ".go"): time.sleep(0.005)\n'
             'notify("READY=1\\nSTATUS=serving")\ntime.sleep(1000)\n')
    until(lambda: (f.directory / "service.py.up").exists())
    s = until(lambda: (s := f.service("s"))["status"] and s)
    assert s["state"] == "starting" and not s["ready"] and s["status"] == "warming up"
    (f.directory / "service.py.go").touch()
    s = f.wait_state("s", "running")
    assert s["ready"] and s["status"] == "serving"
    f.kill_manager()
    assert f.service("s")["status"] == "serving"


def test_not_ready_in_time(foster):
    f = make(foster, "time.sleep(1000)\n", 'start-timeout = "300ms" restart = no')
    assert f.wait_state("s", "failed")["reason"] == "not ready in time"


BARRIER = '''
def barrier():
    """As sd_notify_barrier(3): returns when all that was sent before has been handled."""
    ours, theirs = os.pipe()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(os.environ["NOTIFY_SOCKET"]); socket.send_fds(s, [b"BARRIER=1"], [theirs])
    os.close(theirs)
    assert os.read(ours, 1) == b""
'''


def test_child_of_the_service_may_notify(foster):
    """It waits at a barrier, as systemd-notify does: of a process that is gone nobody can say
    whose it was."""
    f = make(foster, BARRIER + 'if os.fork() == 0:\n notify("READY=1"); barrier(); os._exit(0)\n'
             'os.wait()\ntime.sleep(1000)\n')
    f.wait_state("s", "running")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_below_the_service_may_not_notify(foster):
    """As one whom the service has logged in. The main process may, whoever it has become."""
    uid = ordinary_user()[0]
    f = make(foster, BARRIER + f'''
notify("READY=1")
if os.fork() == 0:
    os.setgroups([]); os.setuid({uid})
    notify(f"MAINPID={{os.getpid()}}\\nSTATUS=taken"); barrier()
    open("/dev/stdout", "a").write("said\\n"); time.sleep(1000)
time.sleep(1000)
''')
    s = f.wait_state("s", "running")
    until(lambda: "said" in f.log("s"), "it has been handled")
    assert f.service("s")["status"] is None and f.service_pid("s") == s["pid"]
    f = make(foster, f'os.setgroups([]); os.setuid({uid}); notify("READY=1"); time.sleep(1000)\n')
    f.wait_state("s", "running")


def test_strangers_may_not_notify(foster):
    f = make(foster, "time.sleep(1000)\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(str(f.run / "notify"))
        s.send(b"READY=1")
    f.get("/v1/version")
    assert f.state("s") == "starting"


def test_watchdog(foster):
    f = make(foster, 'notify("READY=1")\nfor i in range(20):\n notify("WATCHDOG=1"); time.sleep(0.02)\n'
             'time.sleep(1000)\n', 'watchdog = "250ms" restart = no')
    assert f.wait_state("s", "running")["ready"]
    s = f.wait_state("s", "failed")
    assert s["reason"].startswith("watchdog")


def test_notify_socket_appears_again(foster):
    f = make(foster, 'notify("READY=1")\ntime.sleep(1000)\n')
    f.wait_state("s", "running")
    (f.run / "notify").unlink()
    until((f.run / "notify").exists, "the socket is there again")
    assert f.post("/v1/services/s/restart").json["result"] == "ok"


def test_unix_socket_is_removed_at_the_end(foster):
    f = foster("service placeholder { command = {x} autostart = false }", start=False)
    f.write(f'socket u {{ listen = {{"{f.directory}/u.sock"}} }}\n'
            f"service a {{ command = {SLEEP} daemon = true sockets = {{u}} }}")
    f.start().wait_up()
    assert (f.directory / "u.sock").exists()
    f.kill_manager()
    f.process.terminate()
    assert f.wait_end() == 0
    assert not (f.directory / "u.sock").exists()


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


SERVER = '''
assert os.environ["LISTEN_PID"] == str(os.getpid()), os.environ
assert os.environ["LISTEN_FDS"] == "2" and os.environ["LISTEN_FDNAMES"] == "web:web"
listener = socket.socket(fileno=3)
listener.setblocking(True)
notify("READY=1")
while True:
    client, _ = listener.accept()
    client.sendall(b"%d" % os.getpid()); client.close()
'''


def test_sockets_outlive_the_service(foster):
    """One bind serves every instance: a client that connects between two of them waits."""
    port = free_port()
    unix = "UNIX"
    f = foster("service placeholder { command = {x} autostart = false }", start=False)
    path = python(f, "server", SERVER)
    f.write(f'socket web {{ listen = {{"127.0.0.1:{port}", "{f.directory}/web.sock"}} }}\n'
            f'service s {{ command = {{"/usr/bin/python3", "{path}"}} ready = notify sockets = {{web}} }}')
    f.start().wait_up()

    def ask():
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            return int(client.recv(100))

    pid = f.wait_state("s", "running")["pid"]
    assert ask() == pid
    os.kill(pid, 9)
    # One that is being killed may still take a connection into its grave.
    until(lambda: not alive(pid))
    second = ask()  # at once: nobody listens at this moment, and nothing is refused
    assert second not in (0, pid)
    f.post("/v1/services/s/stop")
    with socket.create_connection(("127.0.0.1", port), timeout=20) as waiting:
        f.kill_manager()
        f.post("/v1/services/s/start")
        assert int(waiting.recv(100)) == f.service_pid("s")


def test_port_in_use_is_said(foster):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        f = foster(f'socket w {{ listen = {{"127.0.0.1:{port}"}} }}\n'
                   f"service a {{ command = {SLEEP} sockets = {{w}} }}", start=False).start()
        assert f.wait_end() == 1
        assert f"cannot bind 127.0.0.1:{port}: Address already in use" in f.output()
        assert "choose another address" in f.output()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_forged_mark_is_not_believed(foster, directory):
    """A mark in one's own environment proves nothing: not the user, and not who the parent is."""
    f = foster(f"service a {{ command = {SLEEP} }}")
    pid = f.wait_state("a", "running")["pid"]
    mark = next(line for line in pathlib.Path(f"/proc/{pid}/environ").read_text().split("\0")
                if line.startswith("FOSTER_INSTANCE="))
    run_id, instance = mark.split("=")[1].split(".")
    script = ("import os, socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); "
              f"s.sendto(b'STATUS=forged', '{f.run}/notify')")
    for identity in (None, ordinary_user()):
        for number in (instance, "99999999"):
            demote = ["setpriv", f"--reuid={identity[0]}", "--clear-groups"] if identity else []
            subprocess.run([*demote, "/usr/bin/python3", "-c", script], check=True,
                           env=dict(os.environ, FOSTER_INSTANCE=f"{run_id}.{number}"))
    f.kill_manager()  # what came is read by now, or by the next one
    assert f.service("a")["status"] is None


def test_a_forged_mark_of_a_start_to_come_holds_up_nobody(foster):
    """An orphan of a service that says it is of a start which has not been told of yet."""
    user = "user = nobody" if os.geteuid() == 0 else ""
    f = make(foster, '''
if len(sys.argv) == 1:
    if os.fork() == 0:
        os.setsid()
        if os.fork(): os._exit(0)
        run = os.environ["FOSTER_INSTANCE"].split(".")[0]
        os.environ["FOSTER_INSTANCE"] = run + ".99999999"
        os.execv(sys.executable, [sys.executable, *sys.argv, "orphan"])
    os.wait()
    notify("READY=1")
    time.sleep(1000)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"])
while True:
    s.send(b"STATUS=forged"); time.sleep(0.01)
''', user)
    f.wait_state("s", "running")
    manager = f.manager_pid()
    for _ in range(10):
        begun = time.monotonic()
        assert f.service("s")["status"] is None
        assert time.monotonic() - begun < 0.5
        time.sleep(0.1)
    assert f.manager_pid() == manager
