"""/metrics: the format, that the numbers are right, and what does not make them go back."""

import os
import shutil
import signal
import subprocess
import time

import pytest

import exposition
from foster import logger_of, until
from test_logs import python, service, shell

QUIET = "restart-delay = 10ms restart-delay-max = 10ms"


def metrics(f):
    reply = f.request("GET", "/metrics", parse=False)
    assert reply.status == 200
    found = exposition.parse(reply.body)
    exposition.lint(found)
    return found


def of_log(f, name, service, stream="output", **labels):
    return metrics(f)[f"foster_service_log_{name}"].of(service=service, stream=stream, **labels)


def test_format(foster):
    f = foster(service("a", shell("echo one; echo two; exec sleep 1000"))
               + service("b", shell("exit 3"))
               + service("c", shell("sleep 1000"), "autostart = false")
               + service("e", shell("sleep 1000"), "log = none")
               + service("two.apart", shell("exec sleep 1000"), "log-stderr = apart"))
    f.wait_state("b", "failed")
    for name in ("a", "e", "two.apart"):
        f.wait_state(name, "running")
    until(lambda: of_log(f, "lines_total", "a") == 2, "two lines are counted")
    m = metrics(f)
    names = ("a", "b", "c", "e", "two.apart")
    states = m["foster_service_state"].samples
    assert {dict(s)["service"]: dict(s)["state"] for s in states} == dict(
        zip(names, ("running", "failed", "stopped", "running", "running")))
    assert m["foster_services"].of(state="running") == 3
    assert m["foster_services"].of(state="failed") == 1
    assert sum(m["foster_services"].samples.values()) == 5
    assert [m["foster_service_ready"].of(service=n) for n in names] == [1, 0, 0, 1, 1]
    assert [m["foster_service_wanted"].of(service=n) for n in names] == [1, 1, 0, 1, 1]
    started = m["foster_service_start_time_seconds"]
    assert len(started.samples) == 3 and abs(started.of(service="a") - time.time()) < 600
    assert abs(m["foster_start_time_seconds"].of() - time.time()) < 600
    assert m["foster_service_log_bytes_total"].of(service="a", stream="output") == 8
    streams = {(dict(s)["service"], dict(s)["stream"])
               for s in m["foster_service_log_lines_total"].samples}
    assert streams == {("a", "output"), ("b", "output"), ("two.apart", "stdout"),
                       ("two.apart", "stderr")}
    info = f.get("/v1/version").json
    assert m["foster_info"].of(version=info["version"]) == 1


def test_content_type_and_method(foster):
    f = foster(service("a", shell("exec sleep 1000")))
    done = subprocess.run(["curl", "-s", "-i", "--unix-socket", f.run / "control",
                           "http://foster/metrics"], capture_output=True, text=True, check=True)
    assert "Content-Type: text/plain; version=0.0.4; charset=utf-8" in done.stdout
    assert f.post("/metrics").status == 405


def test_no_services(foster):
    m = metrics(foster(""))
    assert m["foster_service_state"].samples == {}
    assert set(m["foster_services"].samples.values()) == {0}


def test_exits_and_restarts(foster):
    """How it ended is told apart, and outlives the manager."""
    f = foster(service("well", shell("exit 0")) + service("ill", shell("exit 1"))
               + service("killed", shell("kill -TERM $$"))
               + service("lost", '{"/no/such/program"}')
               + f'service again {{ command = {shell("exit 1")} restart = on-failure '
                 f'restart-limit = 3 {QUIET} }}\n')
    for name, state in (("well", "exited"), ("ill", "failed"), ("killed", "failed"),
                        ("lost", "failed"), ("again", "failed")):
        f.wait_state(name, state)

    def check():
        exits = metrics(f)["foster_service_exits_total"]
        for name, result, n in (("well", "success", 1), ("ill", "failure", 1),
                                ("killed", "signal", 1), ("lost", "failure", 1),
                                ("again", "failure", 4), ("again", "success", 0)):
            assert exits.of(service=name, result=result) == n, (name, result)
        assert metrics(f)["foster_service_restarts_total"].of(service="again") == 3

    check()
    starts = metrics(f)["foster_manager_starts_total"].of()
    old = f.kill_manager()
    until(lambda: f.manager_pid() != old, "there is another manager")
    check()
    assert metrics(f)["foster_manager_starts_total"].of() == starts + 1


WRITER = python("import os; [os.write(1, b'x' * 9 + b'\\n') for line in open(os.environ['FIFO']) "
                "for i in range(int(line))]")


@pytest.fixture
def writer(foster):
    """A service that writes so many lines when it is told to."""
    opened = []

    def make(options=""):
        f = foster("", start=False)
        fifo = f.directory / "fifo"
        os.mkfifo(fifo)
        f.environment["FIFO"] = str(fifo)
        f.write(service("a", WRITER, options))
        f.start().wait_up()
        f.tell = os.open(fifo, os.O_RDWR)
        opened.append(f.tell)
        return f

    yield make
    for fd in opened:
        os.close(fd)


def test_lines_do_not_go_back(writer):
    """Whoever is replaced: the counts lie with fosterd."""
    f = writer()

    def write(n, total):
        os.write(f.tell, b"%d\n" % n)
        until(lambda: of_log(f, "lines_total", "a") == total, f"{total} lines are counted")
        assert of_log(f, "bytes_total", "a") == 10 * total

    write(5, 5)
    old = f.kill_manager()
    until(lambda: f.manager_pid() != old, "there is another manager")
    assert of_log(f, "lines_total", "a") == 5
    write(6, 11)
    restarts = metrics(f)["foster_logger_restarts_total"].of()
    old = logger_of(f)
    os.kill(old, signal.SIGKILL)
    until(lambda: logger_of(f) not in (0, old), "there is another logger")
    assert of_log(f, "lines_total", "a") == 11
    write(7, 18)
    assert metrics(f)["foster_logger_restarts_total"].of() == restarts + 1
    f.ctl("upgrade", check=0)
    until(lambda: metrics(f)["foster_upgrades_total"].of() == 1, "it was upgraded")
    write(8, 26)


def test_a_service_that_comes_back_begins_at_0(writer):
    f = writer()
    os.write(f.tell, b"5\n")
    until(lambda: of_log(f, "lines_total", "a") == 5)
    config = f.config_path.read_text()
    f.write(service("b", shell("echo one; exec sleep 1000")))
    assert f.post("/v1/reload").status == 200
    until(lambda: "a" not in f.services(), "a is gone")
    f.write(config + service("b", shell("echo one; exec sleep 1000")))
    assert f.post("/v1/reload").status == 200
    f.wait_state("a", "running")
    assert of_log(f, "lines_total", "a") == 0
    os.write(f.tell, b"2\n")
    until(lambda: of_log(f, "lines_total", "a") == 2)
    assert of_log(f, "lines_total", "b") == 1


def test_rate_limited_lines_are_counted(writer):
    f = writer("log-rate = 100/h")
    os.write(f.tell, b"1000\n")
    until(lambda: of_log(f, "dropped_lines_total", "a", reason="rate") == 900, "900 are dropped")
    m = metrics(f)
    assert m["foster_service_log_lines_total"].of(service="a", stream="output") == 100
    assert m["foster_service_log_dropped_lines_total"].of(
        service="a", stream="output", reason="full") == 0
    assert f.service("a")["log_dropped"] == 900
    old = logger_of(f)
    os.kill(old, signal.SIGKILL)  # it need not have told anybody
    until(lambda: logger_of(f) not in (0, old), "there is another logger")
    assert of_log(f, "dropped_lines_total", "a", reason="rate") == 900


@pytest.mark.parametrize("full", ["drop", "block"])
def test_what_cannot_be_written_is_counted(writer, full):
    """Nothing is missing in the sum of what was written and what was dropped."""
    f = writer(f"log-full = {full}")
    log = f.run / "log"
    os.write(f.tell, b"1\n")
    until(lambda: of_log(f, "lines_total", "a") == 1)
    shutil.move(log, f.directory / "away")
    log.write_text("no directory")
    (f.directory / "away" / "a.log").unlink()
    os.write(f.tell, b"1000\n")
    until(lambda: of_log(f, "blocked", "a") == 1, "it is known that nothing can be written")
    if full == "drop":
        os.write(f.tell, b"20000\n")
        until(lambda: of_log(f, "dropped_lines_total", "a", reason="full") > 10000, "many are lost")
    log.unlink()
    total = 1001 if full == "block" else 21001
    until(lambda: of_log(f, "lines_total", "a")
          + of_log(f, "dropped_lines_total", "a", reason="full") == total, "all are accounted for")
    until(lambda: of_log(f, "blocked", "a") == 0, "it is written again")
    assert (of_log(f, "dropped_lines_total", "a", reason="full") > 0) == (full == "drop")
