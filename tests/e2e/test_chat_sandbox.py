"""The sandbox of the process that faces the network, from outside; from inside: test-sandbox.c."""

import functools
import os
import pathlib
import pwd
import signal
import socket
import subprocess

import pytest

import sandbox
from chat_clients import DEADLINE, Chatd, CourseClient, IrcClient, MockControl, free_ports
from conftest import ordinary_user
from foster import Foster, alive, children_of, until


@pytest.fixture
def chatd(any_room):
    return functools.partial(any_room, Chatd)


@pytest.fixture
def control(directory):
    mock = MockControl(directory / "control")
    yield mock
    mock.close()


@pytest.fixture(scope="module")
def other():
    """Another user than the tests', who has no rights."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    return pwd.getpwnam("nobody")


def status_of(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines())


def is_walled(pid):
    status = status_of(pid)
    return status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"


def test_who_is_in_it(chatd, control):
    """The process with the doors is; those that may reach the supervisor are not."""
    room = chatd(environment={"FOSTER_CONTROL": control.path})
    control.accept()
    assert is_walled(room.pid)
    assert int(status_of(room.pid)["CapEff"], 16) & ~2 == 0  # CAP_DAC_OVERRIDE, of root
    assert int(status_of(room.pid)["CapInh"], 16) == 0
    children = until(lambda: (lambda c: c if len(c) == 2 else None)(children_of(room.pid)), "both")
    assert [is_walled(pid) for pid in children] == [False, False]
    room.wait_output("sandbox: user .*, its own files alone, its own system calls alone")


def test_threads_are_in_it(chatd):
    """Those that come later: the one that works on the history, say."""
    room = chatd('history = on\nstate-directory = "state"\n')
    with IrcClient(room.irc, "a", "#chat") as a:
        a.send("PRIVMSG #chat :hello")
        threads = until(lambda: (lambda t: t if len(t) > 1 else None)(
            os.listdir(f"/proc/{room.pid}/task")), "a thread")
        for thread in threads:
            assert is_walled(f"{room.pid}/task/{thread}")


def test_off(chatd):
    room = chatd("sandbox = off\n")
    assert not is_walled(room.pid)
    assert "sandbox" not in room.output()


def test_required(chatd):
    assert is_walled(chatd("sandbox = required\n").pid)


@pytest.mark.parametrize("calls, what, rest",
                         [(["landlock_create_ruleset"], "Landlock", "its own system calls alone"),
                          (sandbox.SECCOMP, "seccomp", "its own files alone")],
                         ids=["Landlock", "seccomp"])
def test_a_kernel_without(chatd, calls, what, rest):
    """If it is required there is no room then; else the rest of it is there, and what is not is told."""
    room = chatd("sandbox = required\n", start=False)
    room.refused = calls
    room.start(wait=False)
    assert room.process.wait(DEADLINE) == 1
    assert f"sandbox = required, and there is no {what}" in room.output()
    assert not room.messages
    room.write_config("")
    room.start()
    room.wait_output(f"sandbox: user .*no walls .*\\({what}\\)")
    assert rest in room.output()
    with IrcClient(room.irc, "a") as a:
        a.sync()


def test_a_link_on_the_way_to_a_file_is_led_elsewhere(chatd):
    """As who renews certificates does: the directory is a link, and all of it is replaced at once."""
    room = chatd(start=False)
    for name in ("v1", "v2"):
        (room.directory / name).mkdir()
        (room.directory / name / "motd").write_text(f"words of {name}\n")
    (room.directory / "current").symlink_to("v1")
    room.write_config('motd-file = "current/motd"\n')
    room.start()
    with IrcClient(room.irc, "a") as a:
        (room.directory / "next").symlink_to("v2")
        (room.directory / "next").rename(room.directory / "current")
        room.process.send_signal(signal.SIGHUP)
        room.expect_message("^READY=1$")
        a.send("MOTD")
        a.expect("words of v2")


def test_another_user(chatd, control, other):
    """All of the room's work goes on, and what its admin child does; it has none of root's groups."""
    room = chatd('user = nobody\naccounts = on\nhistory = on\nstate-directory = "state"\n',
                 environment={"FOSTER_CONTROL": control.path}, start=False)
    os.chmod(room.directory / "notify", 0o666)  # as the supervisor's is
    room.start()
    control.accept()
    status = status_of(room.pid)
    assert status["Uid"].split() == [str(other.pw_uid)] * 4
    assert status["Gid"].split() == [str(other.pw_gid)] * 4
    assert str(0) not in status["Groups"].split()
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    state = room.directory / "state"
    assert state.stat().st_uid == other.pw_uid and state.stat().st_mode & 0o777 == 0o700
    with IrcClient(room.irc, "a", "#chat") as a, CourseClient(room.course, "lily") as lily:
        control.announce("tea", 5)
        a.expect("tea$")
        assert lily.receive() == "\n管理员 : tea"
        a.send("PRIVMSG #chat :kept", "REHASH")
        assert lily.receive() == "\na : kept"
        room.config.write_text(room.config.read_text() + 'motd = {"new words"}\n')
        room.process.send_signal(signal.SIGHUP)
        room.expect_message("^READY=1$")
        a.send("MOTD")
        a.expect("new words")
        # The admin child stays root, and is ended by one who may not signal it.
        for _ in range(2):
            os.kill(room.admin(), signal.SIGKILL)
            control.accept()
        control.announce("cake", 6)
        a.expect("cake$")
    assert {file.owner() for file in state.iterdir()} == {"nobody"}
    children = children_of(room.pid)
    assert len(children) == 2
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    room.process.kill()
    room.process.wait()
    until(lambda: not any(map(alive, children)), "their end")


def test_the_death_signal_outlives_the_change_of_user(builddir, directory, other):
    """Of what holds a daemon to its parent it is what does not take a live one."""
    os.chmod(directory, 0o755)
    config = directory / "chat.conf"
    config.write_text(f'irc-listen = {{"127.0.0.1:{free_ports()[0]}"}}\ncourse-listen = {{}}\n'
                      'user = nobody\n')
    foster = Foster(builddir, directory / "f", (
        'cgroup = no\n'
        f'service chat {{ command = {{"{builddir}/foster-chatd", "--config", "{config}"}} '
        'daemon = true ready = notify start-timeout = "20s" }\n'))
    try:
        foster.wait_up()
        pid = foster.wait_state("chat", "running")["pid"]
        assert status_of(pid)["Uid"].split()[0] == str(other.pw_uid)
        manager = foster.manager_pid()
        os.kill(manager, signal.SIGSTOP)  # it cannot sweep
        os.kill(foster.pid, signal.SIGKILL)
        until(lambda: not alive(pid), "its end")
        os.kill(manager, signal.SIGKILL)
    finally:
        foster.end()


@pytest.mark.parametrize("user, reason", [("no-such-user", "there is no such user"),
                                          ("root", "takes a start as root")])
def test_a_user_that_cannot_be_had(chatd, user, reason):
    if user == "root" and os.geteuid() != 0:
        pytest.skip("the tests are no root that could start one who is not")
    room = chatd(f"user = {user}\n", start=False, user=ordinary_user() if user == "root" else None)
    room.start(wait=False)
    assert room.process.wait(10) == 78
    assert reason in room.output()


def test_root_in_a_directory_of_another(chatd, other):
    """Which is his to write to, although he can give nothing to its owner."""
    room = chatd('accounts = on\nhistory = on\nstate-directory = "state"\n', start=False)
    state = room.directory / "state"
    state.mkdir(mode=0o700)
    os.chown(state, other.pw_uid, other.pw_gid)
    room.start()
    assert (state / "accounts.db").owner() == "root"


def test_an_account_before_the_first_start(chatd, other):
    """Root makes it; the database is the room's user's all the same, and so is what comes later."""
    room = chatd('user = nobody\naccounts = on\nstate-directory = "state"\n', start=False)
    os.chmod(room.directory / "notify", 0o666)  # as the supervisor's is
    state = room.directory / "state"

    def add(name):
        return subprocess.run([room.builddir / "fosterctl", "chat", "account", "--config",
                               room.config, "add", name], input="correct horse\n",
                              capture_output=True, text=True)
    done = add("lily")
    assert done.returncode == 0, done.stderr
    assert state.owner() == "nobody" and state.stat().st_mode & 0o777 == 0o700
    room.start()
    room.wait_output(r'accounts: root.*: added "lily"')
    assert add("rose").returncode == 0
    room.wait_output(r'accounts: root.*: added "rose"')
    assert {file.owner() for file in state.iterdir()} == {"nobody"}
    assert room.stop() == 0
    # One that is not his is refused, rather than changed behind the room's back.
    os.chown(state, 0, 0)
    done = add("tom")
    assert done.returncode == 1 and "Permission denied" in done.stderr


def test_a_directory_of_another(chatd, other):
    """Which is told, with what would be right."""
    room = chatd('user = nobody\naccounts = on\nstate-directory = "state"\n', start=False)
    (room.directory / "state").mkdir(mode=0o700)
    room.start(wait=False)
    assert room.process.wait(10) == 1
    assert "Permission denied" in room.output()
    with socket.socket() as s:
        assert s.connect_ex(room.irc) != 0
