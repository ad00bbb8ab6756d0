"""Descriptors that a service leaves for its next start: FDSTORE=1."""

import os
import signal
import socket

import pytest

from foster import until
from test_ready_modes import NO_PRELOAD, die_at_message, make, moments, open_gate, wait_said

# Says which descriptors it was given, then stores what "store" names, once.
STORING = '''
given = os.environ.get("LISTEN_FDNAMES", "")
count = int(os.environ.get("LISTEN_FDS", "0"))
assert count == (len(given.split(":")) if given else 0), (count, given)
assert not count or os.environ["LISTEN_PID"] == str(os.getpid())
def content(fd):
    try: return os.pread(fd, 100, 0).decode()
    except OSError: return "-"
contents = ",".join(content(3 + i) for i in range(count))
say(f"given[{given}][{contents}]")
def store(fds, text="FDSTORE=1"):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(os.environ["NOTIFY_SOCKET"]); socket.send_fds(s, [text.encode()], fds)
def memory(text):
    fd = os.memfd_create(text); os.write(fd, text.encode()); return fd
first = not (here / "stored").exists()
'''


def storing(foster, first, options="", more="", cgroup="auto", start=True):
    """first is done by the first start only."""
    body = STORING + "if first:\n" + "".join(f" {line}\n" for line in first.splitlines())
    body += ' barrier(); (here / "stored").touch()\nnotify("READY=1"); say("up"); stay()\n'
    return make(foster, body, f"ready = notify fd-store-max = 4 {options}", cgroup, more=more,
                start=start)


def given(f):
    """What the last start was given: names and contents."""
    lines = [line.split()[0] for line in (f.directory / "pids").read_text().splitlines()
             if line.startswith("given")]
    return lines[-1]


def restart_by_death(f):
    pid = f.wait_state("d", "running")["pid"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: f.service("d")["pid"] not in (0, pid) and f.state("d") == "running", "it is back")


@moments
def test_manager_dies_at_the_message(foster, moment):
    """What is stored is there once."""
    f = storing(foster, 'store([memory("one")], "FDSTORE=1\\nFDNAME=data")', NO_PRELOAD, start=False)
    die_at_message(f, moment, "FDSTORE=1")
    f.wait_state("d", "running")
    assert (f.directory / "killed").exists()
    restart_by_death(f)
    assert given(f) == "given[data][one]"


def test_come_back(foster):
    f = storing(foster, 'store([memory("one"), memory("two")], "FDSTORE=1\\nFDNAME=data")\n'
                'store([memory("three")])')
    f.wait_state("d", "running")
    assert given(f) == "given[][]"
    for injury in (lambda: None, f.kill_manager):
        injury()
        restart_by_death(f)
        assert given(f) == "given[data:data:stored][one,two,three]"
    assert f.post("/v1/services/d/restart").json["result"] == "ok"
    assert given(f) == "given[data:data:stored][one,two,three]"
    # A stop is the end of it: nobody would ask for them.
    before = len(os.listdir(f"/proc/{f.pid}/fd"))
    f.post("/v1/services/d/stop")
    assert f.post("/v1/services/d/start").json["result"] == "ok"
    assert given(f) == "given[][]"
    until(lambda: len(os.listdir(f"/proc/{f.pid}/fd")) == before - 3, "fosterd has let go")


def test_behind_the_sockets(foster, directory):
    f = storing(foster, 'store([memory("one")], "FDSTORE=1\\nFDNAME=data")', "sockets = {w}",
                more=f'socket w {{ listen = {{"{directory}/w"}} }}')
    restart_by_death(f)
    assert given(f) == "given[w:data][-,one]"


def test_stored_with_the_last_breath(foster):
    f = make(foster, STORING + 'if first:\n say("d"); gate("go"); (here / "stored").touch()\n'
             ' store([memory("late")]); sys.exit(1)\nnotify("READY=1"); stay()\n',
             "ready = notify fd-store-max = 4")
    pid = wait_said(f, "d")
    manager = f.manager_pid()
    os.kill(manager, signal.SIGSTOP)
    open_gate(f, "go")
    until(lambda: not os.path.exists(f"/proc/{pid}"), "fosterd has reaped it")
    os.kill(manager, signal.SIGCONT)
    f.wait_state("d", "running")
    assert given(f) == "given[stored][late]"


def test_the_same_one_twice(foster):
    f = storing(foster, 'fd = memory("one")\nstore([fd, os.dup(fd)])\nstore([fd], "FDSTORE=1\\nFDNAME=b")')
    restart_by_death(f)
    assert given(f) == "given[stored][one]"


def test_no_more_than_allowed(foster):
    f = storing(foster, 'store([memory(str(i)) for i in range(6)])')
    restart_by_death(f)
    assert given(f) == "given[stored:stored:stored:stored][0,1,2,3]"
    assert "it stores more descriptors than fd-store-max = 4" in f.output()


def test_not_asked_for(foster):
    f = storing(foster, 'store([memory("one")])')
    f.write(f.config_path.read_text().replace("fd-store-max = 4", ""))
    (f.directory / "stored").unlink(missing_ok=True)
    assert f.post("/v1/reload").status == 200
    until(lambda: f.state("d") == "running")
    restart_by_death(f)
    assert given(f) == "given[][]"


def test_removed_by_name(foster):
    f = storing(foster, 'for name in "aba": store([memory(name)], f"FDSTORE=1\\nFDNAME={name}")\n'
                'notify("FDSTOREREMOVE=1\\nFDNAME=a")')
    restart_by_death(f)
    assert given(f) == "given[b][b]"


def test_bad_names(foster):
    f = storing(foster, 'store([memory("1")], "FDSTORE=1\\nFDNAME=a:b")\n'
                'store([memory("2")], "FDSTORE=1\\nFDNAME=" + "x" * 61)\n'
                'store([memory("3")], "FDSTORE=1\\nFDNAME=" + "x" * 60)')
    restart_by_death(f)
    assert given(f) == f"given[{'x' * 60}][3]"
    assert "FDNAME=a:b is no name of a descriptor" in f.output()


@pytest.mark.parametrize("killed", [False, True], ids=["same manager", "next manager"])
def test_hung_up(foster, killed):
    """What has no other end any more is let go, unless it is not to be looked at."""
    f = storing(foster, 'a, b = os.pipe()\nc, d = os.pipe()\nstore([a], "FDSTORE=1\\nFDNAME=polled")\n'
                'store([c], "FDSTORE=1\\nFDNAME=plain\\nFDPOLL=0")\n'
                'os.set_inheritable(b, True); os.set_inheritable(d, True)')
    f.wait_state("d", "running")
    if killed:
        f.kill_manager()
        f.manager_pid()
    restart_by_death(f)
    if given(f) != "given[plain][-]":  # the end that it held itself went with it
        restart_by_death(f)
    assert given(f) == "given[plain][-]"


def test_strangers_store_nothing(foster, directory):
    f = storing(foster, 'pass')
    f.wait_state("d", "running")
    before = len(os.listdir(f"/proc/{f.pid}/fd"))
    ours, theirs = os.pipe()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(str(f.run / "notify"))
        socket.send_fds(s, [b"FDSTORE=1"], [theirs])
    os.close(theirs)
    assert os.read(ours, 1) == b""  # closed by the manager
    os.close(ours)
    assert len(os.listdir(f"/proc/{f.pid}/fd")) == before
