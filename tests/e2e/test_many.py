"""Everything of foster's killed at once, with a thousand services: what the next start finds.

2 seconds are promised until all is right again. Here the count is exact and the time is printed
(pytest -s), for a test is no measurement.
"""

import os
import signal
import time

import pytest

from foster import alive, logger_of, start_time, until

EACH = 500
ALLOWED = 60  # seconds


def config(cgroup):
    return f"cgroup = {cgroup}\n" + "".join(
        f'service {kind}{i} {{ command = {{"/bin/sleep", "100000"}} daemon = {daemon} }}\n'
        for kind, daemon in (("keep", "false"), ("daemon", "true")) for i in range(EACH))


def copies():
    """{service: [pid]} of all that live."""
    mark = f"FOSTER_TEST={os.environ['FOSTER_TEST']}".encode()
    found = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:
                variables = file.read().split(b"\0")
        except OSError:
            continue
        names = [v.split(b"=", 1)[1].decode() for v in variables if v.startswith(b"FOSTER_SERVICE=")]
        if mark in variables and names and not names[0].startswith(".") and alive(entry):
            found.setdefault(names[0], []).append(int(entry))
    return found


def wait_running(f):
    def running():
        services = f.services()
        return len(services) == 2 * EACH and services if all(
            s["state"] == "running" for s in services.values()) else None

    return until(running, "all run", ALLOWED, every=0.05)


def kill_everything(f):
    """All of foster's stand still first: none sees another one's end."""
    own = [f.pid, f.manager_pid(), logger_of(f)]
    assert len(own) == 3
    for signo in (signal.SIGSTOP, signal.SIGKILL):
        for pid in own:
            os.kill(pid, signo)
    f.process.wait(10)


@pytest.mark.parametrize("cgroup", ["auto", "no"])
def test_everything_killed_with_a_thousand_services(foster, cgroup):
    f = foster(config(cgroup))
    before = {name: s["pid"] for name, s in wait_running(f).items()}
    born = {name: start_time(pid) for name, pid in before.items()}
    kill_everything(f)
    moment = time.monotonic()
    f.start().wait_up()
    after = {name: s["pid"] for name, s in wait_running(f).items()}
    print(f"cgroup = {cgroup}: all is right again after {time.monotonic() - moment:.2f} s")
    assert copies() == {name: [pid] for name, pid in after.items()}
    for i in range(EACH):
        assert after[f"keep{i}"] == before[f"keep{i}"]
        assert start_time(after[f"keep{i}"]) == born[f"keep{i}"]
    gone = {before[f"daemon{i}"] for i in range(EACH)}
    assert not [pid for pid in gone if alive(pid)]
    services = f.services()
    for i in range(EACH):
        assert services[f"daemon{i}"]["daemon"] and services[f"daemon{i}"]["restarts"] == 0
    assert f.service("keep0")["adopted"] and not f.service("daemon0")["adopted"]
    kill_everything(f)  # an orderly stop of so many that are nobody's children takes long
    for pid in after.values():
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
