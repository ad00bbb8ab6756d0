"""Trees without cgroups: the mark that stays with who lost the one in its environment."""

import os
import re
import signal

import pytest

from foster import alive, until
from test_cgroup import escaping, read_pid
from test_services import SLEEP


@pytest.fixture
def escape(directory):
    directory.chmod(0o777)
    return directory / "escaped"


def make(foster, escape, identity, options=""):
    f = foster(f"cgroup = no\nservice a {{ command = {escaping(escape)} stop-timeout = \"100ms\" "
               f"{options} }}\nservice b {{ command = {SLEEP} }}", identity=identity)
    f.wait_state("b", "running")  # one that is on its way ends when fosterd does
    return f, read_pid(escape)


def rttime(pid):
    with open(f"/proc/{pid}/limits") as file:
        return re.search(r"Max realtime timeout +(\S+) +(\S+)", file.read()).groups()


def test_unique_and_inherited(foster, escape, identity):
    f, pid = make(foster, escape, identity)
    soft, hard = rttime(pid)
    assert soft == hard and int(soft) >= 2 ** 62
    assert rttime(f.service_pid("a")) == (soft, hard) != rttime(f.service_pid("b"))
    f.post("/v1/services/b/restart")
    assert rttime(f.service_pid("b")) != (soft, hard)


def test_a_stop_ends_who_escaped(foster, escape, identity):
    f, pid = make(foster, escape, identity)
    other = f.service_pid("b")
    assert f.post("/v1/services/a/stop").json["state"] == "stopped"
    until(lambda: not alive(pid), "it is ended", 2)
    assert f.service_pid("b") == other and alive(other)


@pytest.mark.parametrize("both", [False, True], ids=["fosterd", "fosterd and manager"])
def test_killed_with_escaped_daemons(foster, escape, identity, both):
    f, pid = make(foster, escape, identity, "daemon = true")
    other, manager = f.service_pid("b"), f.manager_pid()
    if both:
        os.kill(manager, signal.SIGSTOP)
    f.kill_supervisor()
    if both:
        os.kill(manager, signal.SIGKILL)
        assert alive(pid)
        f.start().wait_up()
    until(lambda: not alive(pid), f"it is ended: {f.output()}", 2)
    assert alive(other)
    if not both:
        f.start().wait_up()


def test_a_limit_of_its_own_stays(foster):
    f = foster(f"cgroup = no\nservice a {{ command = {SLEEP} limit-rttime = \"10s\" }}\n"
               f"service b {{ command = {SLEEP} limit-rttime = infinity }}")
    assert rttime(f.wait_state("a", "running")["pid"]) == ("10000000", "10000000")
    assert rttime(f.wait_state("b", "running")["pid"]) == ("unlimited", "unlimited")
