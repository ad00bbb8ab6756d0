# SPDX-License-Identifier: MIT
"""fosterctl without a fosterd: the command line, where the socket is looked for, check."""

import os
import stat
import subprocess

import pytest

BUILD = os.environ["FOSTER_BUILDDIR"]
CTL = os.path.join(BUILD, "fosterctl")


def run(*args, **env):
    base = {k: v for k, v in os.environ.items() if k != "FOSTER_RUN_DIRECTORY"}
    return subprocess.run([CTL, *args], capture_output=True, text=True, timeout=30,
                          env={**base, **env})


@pytest.mark.parametrize("args, text", [
    ([], "usage: fosterctl [OPTION...] VERB"),
    (["statsu"], "there is no verb statsu (did you mean status?)"),
    (["frobnicate"], "there is no verb frobnicate; see fosterctl help"),
    (["status", "--jsno"], "there is no option --jsno (did you mean --json?)"),
    (["--xyzzy"], "there is no option --xyzzy"),
    (["-x", "status"], "there is no option -x"),
    (["status", "--no-wait"], "the verb status takes no option --no-wait"),
    (["--dry-run"], "fosterctl without a verb takes no option --dry-run"),
    (["start", "--no-wait=1"], "--no-wait takes no value"),
    (["status", "--run-directory"], "--run-directory needs a value: --run-directory DIR"),
    (["join"], "usage: fosterctl join NAME..."),
    (["join", "a", "--timeout", "5"], "--timeout=5: this takes a duration"),
    (["pid", "a", "b"], "usage: fosterctl pid NAME"),
    (["signal", "HUP"], "usage: fosterctl signal SIGNAL NAME..."),
    (["signal", "HUPP", "a"], "HUPP is no signal"),
    (["events", "--since", "x"], "--since=x: this takes the number of an event"),
    (["chat", "say", ""], "there is no text to say"),
    (["chat", "say"], "usage: fosterctl chat say TEXT..."),
    (["chat", "sing", "x"], "usage: fosterctl chat say TEXT..."),
    (["help", "nothing"], "there is no verb nothing"),
    (["check", "a", "b"], "usage: fosterctl check [FILE]"),
])
def test_usage(args, text):
    done = run(*args)
    assert done.returncode == 2
    assert text in done.stderr
    assert done.stdout == ""


def test_help():
    done = run("--help")
    assert done.returncode == 0 and done.stderr == ""
    for verb in ("status", "list", "why", "top", "start", "stop", "restart", "signal", "join", "is-alive", "pid",
                 "events", "check", "reload", "shutdown", "chat", "version", "help"):
        assert f"\n  {verb}" in done.stdout
        own = run("help", verb)
        assert own.returncode == 0 and own.stdout.startswith(f"usage: fosterctl {verb}")
        assert run(verb, "-h").stdout == own.stdout
    assert "--no-wait" in run("help", "start").stdout
    assert "--no-wait" not in run("help", "pid").stdout


def test_version():
    done = run("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("fosterctl ")


def test_not_running(tmp_path):
    for args in (["status"], ["why"], ["why", "a"], ["top"], ["list"], ["start", "a"], ["join", "a"], ["events", "-f"], ["shutdown"],
                 ["chat", "say", "x"], ["reload"], ["restart", "a"], ["signal", "HUP", "a"]):
        done = run(*args, "--run-directory", str(tmp_path))
        assert done.returncode == 1
        assert f"fosterd is not running (no socket {tmp_path}/control); start fosterd" in done.stderr


def test_socket_is_looked_for(tmp_path):
    """The option wins over FOSTER_RUN_DIRECTORY, that over the user's own place."""
    option, variable, runtime = (str(tmp_path / x) for x in "abc")
    places = {"FOSTER_RUN_DIRECTORY": variable, "XDG_RUNTIME_DIR": runtime}
    assert f"{option}/control" in run("status", "--run-directory=" + option, **places).stderr
    assert f"{variable}/control" in run("status", **places).stderr
    as_user = run("status", XDG_RUNTIME_DIR=runtime).stderr
    if os.geteuid() == 0:
        assert "/foster/control" in as_user and runtime not in as_user
    else:
        assert f"{runtime}/foster/control" in as_user
        assert "set FOSTER_RUN_DIRECTORY or XDG_RUNTIME_DIR" in run("status",
                                                                    XDG_RUNTIME_DIR="").stderr


def test_a_dead_socket(tmp_path):
    """A socket file that nobody listens on is no fosterd."""
    import socket
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(tmp_path / "control"))
    done = run("status", "--run-directory", str(tmp_path))
    assert done.returncode == 1 and "fosterd is not running" in done.stderr


def fake_install(directory, *below):
    """A copy of fosterctl with a foster-manager that prints how it was called."""
    ctl = directory / "bin" / "fosterctl"
    ctl.parent.mkdir(parents=True)
    ctl.write_bytes(open(CTL, "rb").read())
    manager = directory.joinpath(*below) / "foster-manager"
    manager.parent.mkdir(parents=True, exist_ok=True)
    manager.write_text('#!/bin/sh\necho "$@"\nexit 7\n')
    for path in (ctl, manager):
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(ctl)


@pytest.mark.parametrize("below", [("bin",), ("libexec", "foster")])
def test_check_runs_the_manager(tmp_path, below):
    """In a build tree it lies beside fosterctl, installed in libexec."""
    ctl = fake_install(tmp_path, *below)
    done = subprocess.run([ctl, "check", "some/file"], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (7, "--check some/file\n")
    done = subprocess.run([ctl, "check"], capture_output=True, text=True, timeout=30)
    assert done.stdout.startswith("--check /") and done.stdout.endswith("/foster.conf\n")


def test_full_disk():
    with open("/dev/full", "w") as full:
        done = subprocess.run([CTL, "--help"], stdout=full, stderr=subprocess.PIPE, text=True,
                              timeout=30)
    assert done.returncode == 1 and "cannot write" in done.stderr
