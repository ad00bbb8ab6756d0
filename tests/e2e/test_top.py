# SPDX-License-Identifier: MIT
"""fosterctl top and list, and the usage behind them, on a real supervisor."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import termios

from foster import alive, until
from test_services import SLEEP, shell

BUSY = shell("while :; do :; done")


def usage(f):
    return {s["name"]: s for s in f.get("/v1/usage").json["services"]}


def test_list(foster):
    f = foster(f"service b {{ command = {SLEEP} }}\nservice a {{ command = {SLEEP} autostart = false }}")
    done = f.ctl("list", check=0)
    assert done.stdout == "b\na\n"
    listed = json.loads(f.ctl("list", "--json", check=0).stdout)
    assert [s["name"] for s in listed["services"]] == ["b", "a"]
    f.ctl("list", "a", check=2)


def test_list_of_nothing(foster):
    assert foster("").ctl("list", check=0).stdout == ""


def test_usage_of_a_tree(foster):
    """All of the tree counts: what it forked, what left its session, what became an orphan."""
    tree = shell("sleep 1000 & setsid sleep 1000 & (sh -c 'sleep 1000 & exec setsid sleep 1000' &) ; wait")
    f = foster(f"service a {{ command = {tree} }}\nservice b {{ command = {SLEEP} }}\n"
               f"service off {{ command = {SLEEP} autostart = false }}")
    found = until(lambda: (u := usage(f)) and u["a"]["processes"] == 5 and u, "all five are there")
    assert found["a"]["tasks"] == 5 and found["a"]["rss"] > found["b"]["rss"] > 0
    assert found["b"]["processes"] == 1 and found["b"]["restarts"] == 0
    assert found["off"] == {"name": "off", "state": "stopped", "pid": 0, "restarts": 0, "cpu_us": 0,
                            "rss": 0, "processes": 0, "tasks": 0}


def test_usage_of_many_processes(foster):
    """More than are looked at in one piece."""
    fork = shell("i=0; while [ $i -lt 300 ]; do sleep 1000 & i=$((i+1)); done; wait")
    f = foster(f"service a {{ command = {fork} }}")
    until(lambda: usage(f)["a"]["processes"] == 301, "all are counted", 20)


def test_usage_of_adopted_services(foster):
    """The orphans of one that another fosterd started went elsewhere: they are known by the mark."""
    f = foster(f"service a {{ command = {shell('(setsid sleep 1000 &); exec sleep 1000')} }}")
    until(lambda: usage(f)["a"]["processes"] == 2, "both are there")
    pid = f.service_pid("a")
    f.kill_supervisor()
    f.start()
    f.wait_up()
    assert f.service("a")["adopted"] and f.service_pid("a") == pid
    until(lambda: usage(f)["a"]["processes"] == 2, "both are still there")
    f.post("/v1/shutdown?all=1")
    f.wait_end()
    assert not alive(pid)


def test_one_table_elsewhere(foster):
    f = foster(f"service idle {{ command = {SLEEP} }}\nservice busy {{ command = {BUSY} }}")
    f.wait_state("busy", "running")
    done = f.ctl("top", "--interval", "500ms", check=0)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["NAME", "CPU%", "RSS", "TASKS", "RESTARTS", "STATE"]
    assert [line[0] for line in lines[1:]] == ["busy", "idle"]
    # How much it gets is the machine's; that it runs all the time is its own.
    assert float(lines[1][1]) > float(lines[2][1]) == 0.0
    assert lines[1][3:] == ["1", "0", "running"]


def test_as_json(foster):
    f = foster(f"service busy {{ command = {BUSY} }}")
    f.wait_state("busy", "running")
    done = f.ctl("top", "--json", "-n", "2", "--interval", "200ms", check=0)
    first, second = [json.loads(line) for line in done.stdout.splitlines()]
    assert 0 < first["services"][0]["cpu_percent"] < 500
    assert second["services"][0]["cpu_us"] > first["services"][0]["cpu_us"]
    assert second["time_us"] - first["time_us"] >= 200_000


def test_options(foster):
    f = foster("")
    assert "at least 1" in f.ctl("top", "-n", "0", check=2).stderr
    assert "at least 1" in f.ctl("top", "--count=x", check=2).stderr
    assert "100ms" in f.ctl("top", "--interval", "1ms", check=2).stderr
    assert f.ctl("top", "-n3", "--interval", "100ms", check=0).stdout.count("CPU%") == 3


def test_terminal(foster):
    """It is made anew from time to time, and cut where the terminal ends."""
    services = "".join(f"service s{i} {{ command = {SLEEP} }}\n" for i in range(20))
    f = foster(services)
    f.wait_state("s19", "running")
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 60, 0, 0))
    process = subprocess.Popen([str(f.builddir / "fosterctl"), "--run-directory", str(f.run), "top",
                                "--interval", "100ms", "-n", "3"], stdin=subprocess.DEVNULL,
                               stdout=slave, env={**os.environ, "TERM": "xterm"})
    os.close(slave)
    data = b""
    try:
        while piece := os.read(master, 65536):
            data += piece
    except OSError:
        pass  # EIO: the other side is closed
    assert process.wait(timeout=20) == 0
    os.close(master)
    frames = data.decode().split("\033[H\033[2J")[1:]
    assert len(frames) == 3
    for frame in frames:
        lines = frame.splitlines()
        assert lines[0].startswith("20 services: CPU ") and len(lines) <= 9


def test_ends_when_nobody_reads(foster):
    f = foster(f"service a {{ command = {SLEEP} }}")
    f.wait_state("a", "running")
    read, write = os.pipe()
    process = subprocess.Popen([str(f.builddir / "fosterctl"), "--run-directory", str(f.run), "top",
                                "-n", "1000000", "--interval", "100ms"], stdout=write,
                               stderr=subprocess.DEVNULL)
    os.close(write)
    assert os.read(read, 100)
    os.close(read)
    process.wait(timeout=20)
