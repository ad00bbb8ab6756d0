"""fosterd with a configuration as PID 1 of a PID namespace, as in a container: its end is the end
of all, and so an orderly one stops all, in order."""

import os
import pathlib
import signal

import pytest

from conftest import marked_processes
from foster import Foster, alive, children_of, until, zombies_of
from test_services import SLEEP, shell

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a PID namespace")

LAST_WORDS = "trap 'sleep 0.05; echo $FOSTER_SERVICE >>$ORDER; exit 0' TERM; echo ready; " \
             "while :; do sleep 0.01; done"


class Contained(Foster):
    """The process is unshare's; pid is fosterd's own, as it is seen from outside."""

    def as_identity(self, command):
        return ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
                *super().as_identity(command)]

    @property
    def pid(self):
        return until(lambda: [pid for pid in children_of(self.process.pid)
                              if os.readlink(f"/proc/{pid}/exe").endswith("fosterd")])[0]


@pytest.fixture
def contain(builddir, directory, identity):
    made = []

    def run(config, **arguments):
        made.append(Contained(builddir, directory / "f", config, identity=identity, **arguments))
        return made[-1]

    yield run
    for f in made:
        f.end()


@pytest.fixture
def order(directory, identity):
    """A file that services of any user may write to."""
    path = directory / "order"
    path.touch()
    if identity:
        os.chown(path, *identity)
    return path


def check_nothing_left():
    until(lambda: not marked_processes(os.environ["FOSTER_TEST"]), "nothing is left")


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT, signal.SIGPWR],
                         ids=lambda s: s.name)
def test_an_orderly_end_stops_both_kinds_in_order(contain, order, signo):
    f = contain(f"""
        service db    {{ command = {shell(LAST_WORDS)} }}
        service web   {{ command = {shell(LAST_WORDS)} daemon = true requires = {{db}} }}
        service front {{ command = {shell(LAST_WORDS)} after = {{web}} }}
    """, environment={"ORDER": str(order)})
    f.wait_up()
    for name in ("db", "web", "front"):
        until(lambda: "ready" in f.log(name), f"{name} is ready")
    os.kill(f.pid, signo)
    assert f.wait_end() == 0
    assert order.read_text().split() == ["front", "web", "db"]
    assert not (f.run / "children").exists() and not (f.run / "control").exists()
    check_nothing_left()


def test_a_shutdown_that_is_asked_for_stops_both_kinds(contain, order):
    f = contain(f"service keeper {{ command = {shell(LAST_WORDS)} }}",
                environment={"ORDER": str(order)})
    f.wait_up()
    until(lambda: "ready" in f.log("keeper"))
    f.post("/v1/shutdown")
    assert f.wait_end() == 0
    assert order.read_text() == "keeper\n"


def test_orphans_are_reaped(contain):
    """Those of its services, and whoever else ends in the namespace: it is everybody's parent."""
    script = "for i in 1 2 3 4 5 6 7 8 9; do (setsid sh -c 'sleep 0.0$0 & sleep 0.0$0 &' $i &); " \
             "done; echo done; exec sleep 1000"
    f = contain(f"service a {{ command = {shell(script)} }}")
    f.wait_up()
    until(lambda: "done" in f.log("a"))
    until(lambda: len(children_of(f.pid)) == 3, "manager, logger and the service are left")
    assert zombies_of(f.pid) == []
    os.kill(f.pid, signal.SIGTERM)
    assert f.wait_end() == 0


@pytest.mark.parametrize("command, code", [(shell("exit 7"), 7), (shell("kill -9 $$"), 137),
                                           ('{"/nonexistent"}', 127)])
def test_on_exit_shutdown(contain, command, code):
    f = contain(f"service db {{ command = {SLEEP} }}\n"
                f"service app {{ command = {command} restart = no on-exit = shutdown }}")
    assert f.wait_end() == code
    check_nothing_left()


def test_join(contain):
    f = contain(f"service db {{ command = {SLEEP} daemon = true }}\n"
                f"service plain {{ command = {SLEEP} }}\n"
                f"service tests {{ command = {shell('sleep 0.1; exit 42')} restart = no }}",
                arguments=["--join", "tests"])
    assert f.wait_end() == 42
    check_nothing_left()


def test_join_that_is_interrupted(contain):
    f = contain(f"service tests {{ command = {SLEEP} restart = no }}",
                arguments=["--join", "tests"])
    f.wait_up().wait_state("tests", "running")
    os.kill(f.pid, signal.SIGTERM)
    assert f.wait_end() == 143


def test_manager_killed(contain):
    f = contain(f"service keeper {{ command = {SLEEP} }}")
    f.wait_up()
    pid = f.wait_state("keeper", "running")["pid"]
    manager, = [child for child in children_of(f.pid) if
                pathlib.Path(f"/proc/{child}/comm").read_text() == "foster-manager\n"]
    os.kill(manager, signal.SIGKILL)
    until(lambda: not alive(manager))
    assert f.wait_state("keeper", "running")["pid"] == pid
    assert zombies_of(f.pid) == []


def test_killed(contain):
    """The kernel ends all; the next one begins anew, whatever the table says of pids."""
    config = f"service keeper {{ command = {SLEEP} }}\nservice servant {{ command = {SLEEP} daemon = true }}"
    f = contain(config)
    f.wait_up()
    for name in ("keeper", "servant"):
        f.wait_state(name, "running")
    os.kill(f.pid, signal.SIGKILL)
    f.wait_end()
    check_nothing_left()
    f.start().wait_up()
    for name in ("keeper", "servant"):
        f.wait_state(name, "running")
        assert not f.service(name)["adopted"]
    os.kill(f.pid, signal.SIGTERM)
    assert f.wait_end() == 0
