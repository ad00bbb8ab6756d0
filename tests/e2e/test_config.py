"""Bad configurations: a clear error each, and nothing is done."""

import resource
import subprocess

import pytest

from foster import Foster
from test_services import SLEEP

GOOD = f"service a {{ command = {SLEEP} }}\n"

# What is written, and what the message must say: the place, the mistake, what is allowed.
BAD = [
    ("service b { comand = {x} }", ["2", "comand", "command"]),
    ("service b { command = \"sleep 5\" }", ["2", "command", "{"]),
    ("service b { }", ["2", "command"]),
    ("service b { command = {} }", ["2", "command"]),
    (f"service a {{ command = {SLEEP} }}", ["2", "a"]),
    (f"service \"b c\" {{ command = {SLEEP} }}", ["2", "b c"]),
    (f"service b {{ command = {SLEEP} restart = sometimes }}", ["2", "sometimes", "on-failure"]),
    (f"service b {{ command = {SLEEP} restart = no restart = no }}", ["2", "restart"]),
    (f"service b {{ command = {SLEEP} stop-timeout = \"10\" }}", ["2", "stop-timeout", "10s"]),
    (f"service b {{ command = {SLEEP} stop-signal = HUPP }}", ["2", "HUPP"]),
    (f"service b {{ command = {SLEEP} requires = {{aa}} }}", ["2", "aa", "a"]),
    (f"service b {{ command = {SLEEP} requires = {{b}} }}", ["2", "b"]),
    (f"service b {{ command = {SLEEP} requires = {{c}} }}\n"
     f"service c {{ command = {SLEEP} requires = {{b}} }}", ["b", "c", "->"]),
    (f"service b {{ command = {SLEEP} sockets = {{irc}} }}", ["2", "irc"]),
    (f"service b {{ command = {SLEEP} user = \"no-such-user\" }}", ["2", "no-such-user"]),
    (f"service b {{ command = {SLEEP} umask = \"999\" }}", ["2", "umask", "999"]),
    (f"service b {{ command = {SLEEP} nice = 77 }}", ["2", "nice", "77"]),
    (f"service b {{ command = {SLEEP} directory = \"here\" }}", ["2", "directory", "here"]),
    (f"service b {{ command = {SLEEP} environment = {{\"1 2\"}} }}", ["2", "environment"]),
    (f"service b {{ command = {SLEEP} environment-file = \"/nonexistent\" }}", ["2", "/nonexistent"]),
    ("socket s { listen = {\"example.org:80\"} }", ["2", "example.org:80"]),
    ("socket s { listen = {\"127.0.0.1:99999\"} }", ["2", "99999"]),
    ("socket s { listen = {\"127.0.0.1:1\"} }\nsocket t { listen = {\"127.0.0.1:1\"} }", ["3", "127.0.0.1:1"]),
    ("service b { command = {\"x }", ["2"]),
    (f"service b {{ command = {SLEEP}", ["2"]),
    ("include = \"/nonexistent/file.conf\"", ["2", "/nonexistent/file.conf"]),
    ("servise b { command = {x} }", ["2", "servise", "service"]),
]


@pytest.mark.parametrize("text, words", BAD)
def test_check_says_what_is_wrong(builddir, directory, text, words):
    path = directory / "bad.conf"
    path.write_text(GOOD + text + "\n")
    for command in (["fosterd", "--check", "-c", path], ["fosterctl", "check", path]):
        done = subprocess.run([builddir / command[0], *command[1:]], capture_output=True, text=True,
                              timeout=20)
        assert done.returncode != 0
        assert "bad.conf:" in done.stderr
        for word in words:
            assert word in done.stderr, done.stderr


def test_running_services_are_untouched_by_any_of_them(foster):
    f = foster(GOOD)
    pid = f.wait_state("a", "running")["pid"]
    for text, words in BAD:
        f.write(GOOD + text + "\n")
        reply = f.post("/v1/reload")
        assert reply.status == 400 and reply.json["problems"], text
        assert f.service_pid("a") == pid


def test_supervisor_does_not_start_on_a_bad_config(foster):
    f = foster(GOOD + BAD[0][0], start=False).start()
    assert f.wait_end() == 78
    assert "foster.conf:2" in f.output()


def test_good_config_is_called_good(builddir, directory):
    path = directory / "good.conf"
    path.write_text(GOOD)
    done = subprocess.run([builddir / "fosterd", "--check", "-c", path], capture_output=True,
                          text=True, timeout=20)
    assert done.returncode == 0 and "good, 1 service" in done.stdout


def test_more_pipes_than_may_be_open(builddir, directory):
    """That is worth a note: what is over the limit could not be started."""
    config = directory / "foster.conf"
    for n, noted in ((100, False), (300, True)):
        config.write_text("".join(f'service s{i} {{ command = {{"/bin/true"}} log-stderr = apart }}\n'
                                  for i in range(n)))
        done = subprocess.run([builddir / "fosterd", "--check", "-c", config], capture_output=True,
                              text=True, preexec_fn=lambda: resource.setrlimit(
                                  resource.RLIMIT_NOFILE, (512, 512)))
        assert done.returncode == 0 and ("the hard limit of 512: raise it" in done.stderr) == noted


def test_examples_are_good(builddir, srcdir):
    done = subprocess.run([builddir / "fosterd", "--check", "-c", srcdir / "etc/quickstart.conf"],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr


def test_includes(foster):
    f = foster('include = "conf.d/*.conf"\ndefaults { nice = 3 }\n', start=False)
    f.write(GOOD, "conf.d/a.conf")
    f.start().wait_up()
    pid = f.wait_state("a", "running")["pid"]
    assert open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[16] == "3"
    f.write(GOOD.replace("service a", "service z"), "conf.d/z.conf")
    f.post("/v1/reload")
    f.wait_state("z", "running")
    assert f.service_pid("a") == pid
