"""foster-chatd as a program, from outside: both doors, its supervisor's side, its limits."""

import functools
import os
import pathlib
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import time

import pytest

from chat_clients import Chatd, CourseClient, IrcClient, MockControl, free_ports
from conftest import ordinary_user
from foster import alive, children_of, comm_of, until


@pytest.fixture
def chatd(any_room):
    """Makes chat rooms: chatd(options, ...) starts one and waits until it is ready."""
    return functools.partial(any_room, Chatd)


# --- the doors --------------------------------------------------------------------------------

@pytest.mark.parametrize("as_root", [True, False], ids=["root", "user"])
@pytest.mark.parametrize("family", [4, 6])
def test_both_doors_one_room(chatd, as_root, family):
    if as_root and os.geteuid() != 0:
        pytest.skip("not root")
    room = chatd(user=None if as_root else ordinary_user())
    irc_at, course_at = (room.irc, room.course) if family == 4 else (room.irc6, room.course6)
    host = "127.0.0.1" if family == 4 else "0::1"
    with IrcClient(irc_at, "alice", "#chat") as alice, IrcClient(irc_at, "bob", "#chat") as bob, \
            CourseClient(course_at, "张三") as zhang, CourseClient(course_at, "lily") as lily:
        assert zhang.receive() == "\n欢迎 'lily' 进入聊天室"
        alice.expect(f"^:张三!udp@{host} JOIN #chat$")
        zhang.say("你好  all ")
        assert lily.receive() == "\n张三 : 你好  all "
        alice.expect(f"^:张三!udp@{host} PRIVMSG #chat :你好  all $")
        bob.expect("PRIVMSG #chat :你好")
        bob.send("PRIVMSG #chat :hello 张三")
        assert zhang.receive() == "\nbob : hello 张三"
        assert lily.receive() == "\nbob : hello 张三"
        alice.expect(f"^:bob!~bob@{host} PRIVMSG #chat :hello 张三$")
        alice.send("PRIVMSG #chat :\1ACTION waves\1", "PRIVMSG 张三 :psst")
        assert zhang.receive() == "\n* alice waves"
        assert zhang.receive() == "\n(alice) : psst"
        assert lily.receive() == "\n* alice waves"
        zhang.quit()
        assert zhang.receive() == "EXIT"
        assert lily.receive() == "\n张三 退出聊天室"
        alice.expect("^:张三!udp@.* QUIT :")
        bob.send("QUIT :bye")
        assert lily.receive() == "\nbob 退出聊天室"
        bob.expect(r"^ERROR :Closing Link: .* \(Quit: bye\)$")
        bob.expect_end()
        with CourseClient(course_at) as late:
            assert late.login("lily") == "该用户存在"
            assert late.login("alice") == "该用户存在"
            assert late.login("管理员") == "该用户存在"
            assert late.login("王 五") == "名字无效"
        assert zhang.nothing_came() and lily.nothing_came()
    assert room.stop() == 0


def test_answers_come_from_the_address_that_was_asked(chatd):
    room = chatd('course-listen = {"*:@course@"}\n')
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.connect(("127.0.0.2", room.course_port))  # takes datagrams from there alone
        client.send(b"L lily")
        assert client.recv(128) == b"OK"


def test_malformed_datagrams_hurt_nobody(chatd):
    room = chatd()
    with CourseClient(room.course, "lily") as lily, CourseClient(room.course, "tom") as tom:
        assert lily.receive() == "\n欢迎 'tom' 进入聊天室"
        for data in (b"", b"L", b"C", b"Q", b"C a", b"\xff\xfe", b"X" * 1500, b"L " + b"x" * 1400,
                     b"Q nobody", b"C lily stolen", b"\0" * 10, "C 管理员 obey".encode()):
            tom.send(data)
        tom.say("中" * 500)
        text = lily.receive()
        assert text == "\ntom : " + "中" * ((1024 - len("C tom ")) // 3) or \
            text.startswith("\ntom : 中中中")
        assert lily.nothing_came()


def test_a_pipe_full_of_lines_and_a_quit(chatd):
    """What is sent before a QUIT is done, and the ERROR is read though more was sent behind it."""
    room = chatd()
    with IrcClient(room.irc, "a", "#x") as a, IrcClient(room.irc, "b", "#x") as b:
        a.expect("JOIN #x")
        b.send(*[f"PRIVMSG #x :{i}" for i in range(100)], "QUIT", *["PING late"] * 5000)
        for i in range(100):
            a.expect(f"PRIVMSG #x :{i}$")
        a.expect("^:b!.* QUIT ")
        b.expect("^ERROR ")
        b.expect_end()
        assert not b.reset


def test_lines_in_pieces_and_of_any_length(chatd):
    room = chatd()
    with IrcClient(room.irc, "a") as a:
        for byte in b"PING in-pieces\r\n":
            a.socket.sendall(bytes([byte]))
        a.expect("PONG .* :in-pieces")
        a.socket.sendall(b"PING bare-lf\n")
        a.expect("PONG .* :bare-lf")
        a.send("PING :" + "x" * 600)
        a.expect(" 417 ")
        a.send("PING " + "x" * 505, "PING after")
        assert a.expect("PONG .* :(x+)$").group(1) == "x" * 479  # cut to a whole line of 512
        a.expect("PONG .* :after")
        a.send("@" + "t" * 4000 + " PING tagged", "@" + "t" * 5000 + " PING too-long", "PING end")
        a.expect("PONG .* :tagged")
        a.expect(" 417 ")
        a.expect("PONG .* :end")
        # The limit is that of the tags, with '@' and blank, whatever follows them.
        for size, answer in (4094, "PONG .* :x"), (4095, " 417 "), (4400, " 417 "):
            a.send("@" + "t" * size + " PING x", "PING next")
            a.expect(answer)
            a.expect("PONG .* :next")
        for _ in range(40):  # a line without an end takes no memory
            a.socket.sendall(b"y" * 65536)
        a.send("", "PING alive")
        a.expect(" 417 ")
        a.expect("PONG .* :alive")


@pytest.mark.parametrize("path", ["/", "/" + "x" * 3000])
def test_a_web_page_says_nothing(chatd, path):
    room = chatd()
    with IrcClient(room.irc, "a") as a:
        with socket.create_connection(room.irc, timeout=30) as s:
            s.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\nNICK h\r\n"
                      "USER u 0 * :r\r\nPRIVMSG a :forged\r\n".encode())
            answer = b""
            while data := s.recv(4096):
                answer += data
            assert b"ERROR :Closing Link: 127.0.0.1 (This is no web server)" in answer
            assert b" 001 " not in answer
        a.send("PRIVMSG a :mine")
        assert "forged" not in a.expect("PRIVMSG a :(.*)$").group(0)


# --- limits -----------------------------------------------------------------------------------

def test_a_paste_is_slowed_down_and_not_lost(chatd):
    room = chatd("flood-rate = 200\nflood-burst = 50\n")
    with IrcClient(room.irc, "a", "#x") as a, IrcClient(room.irc, "b", "#x") as b:
        b.sync()
        start = time.monotonic()
        a.send(*[f"PRIVMSG #x :{i}" for i in range(150)])
        for i in range(150):
            b.expect(f"PRIVMSG #x :{i}$")
        assert time.monotonic() - start > 0.3  # 100 of them waited for 200 a second
        a.sync()


@pytest.mark.parametrize("options", ['send-queue = "16K"', 'send-queue = "256M"\n'
                                     'send-queue-total = "1M"'], ids=["own", "total"])
def test_who_does_not_read_is_dropped(chatd, options):
    room = chatd(f"{options}\nflood-rate = 0\n")
    with IrcClient(room.irc, "slow", "#x") as slow, IrcClient(room.irc, "a", "#x") as a:
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line = "PRIVMSG #x :" + "x" * 400
        for _ in range(200):
            a.send(*[line] * 100)
            if any(" QUIT " in text for text in a.sync()):
                break
        else:
            pytest.fail("the slow reader is still there")
        a.send("WHOIS slow")
        a.expect(" 401 ")


def test_max_connections(chatd):
    room = chatd("max-connections = 2\n")
    with IrcClient(room.irc, "a") as a, IrcClient(room.irc, "b") as b:
        with IrcClient(room.irc) as c:
            assert c.expect_end() == ["ERROR :Closing Link: (The server is full)"]
        b.send("QUIT")
        b.expect_end()
        b.close()
        a.sync()
        # The place is free once the server has seen that b closed too.
        def again():
            with IrcClient(room.irc) as d:
                d.send("NICK d", "USER d 0 * :d")
                while d.receive():
                    if any(" 001 " in line for line in d.lines):
                        return True
        until(again, "a free place")


def other_address():
    """An IPv4 address of this machine that is not loopback, or None."""
    out = subprocess.run(["ip", "-4", "-o", "addr"], capture_output=True, text=True).stdout
    for line in out.splitlines():
        address = line.split()[3].split("/")[0]
        if not address.startswith("127."):
            return address
    return None


def test_max_connections_of_an_address(chatd):
    address = other_address()
    if not address:
        pytest.skip("this machine has no address but loopback")
    room = chatd('plaintext = anywhere\nirc-listen = {"*:@irc@"}\n'
                 'max-connections-per-address = 2\n')
    at = (address, room.irc_port)
    with IrcClient(at, "a") as a, IrcClient(at, "b"):
        with IrcClient(at) as c:
            assert c.expect_end() == \
                ["ERROR :Closing Link: (Too many connections from your address)"]
        with IrcClient(room.irc, "d"), IrcClient(room.irc, "e"), IrcClient(room.irc, "f"):
            a.sync()  # loopback is not counted


def test_without_descriptors_the_room_goes_on(chatd):
    room = chatd(environment={"NOFILE": "40"})
    with IrcClient(room.irc, "a", "#x") as a, IrcClient(room.irc, "b", "#x") as b:
        more = [IrcClient(room.irc) for _ in range(60)]
        room.wait_output("connections are turned away: Too many open files")
        until(lambda: any(client.receive(0) and "(The server is full)" in client.lines[-1]
                          for client in more), "somebody who is told")
        a.send("PRIVMSG #x :still here")
        b.expect("PRIVMSG #x :still here")
        for client in more:
            client.close()

        def again():
            with IrcClient(room.irc) as c:
                c.send("NICK c", "USER c 0 * :c")
                while c.receive():
                    if any(" 001 " in line for line in c.lines):
                        return True
        until(again, "a free descriptor")


def test_timeouts(chatd):
    room = chatd("registration-timeout = 1s\nping-interval = 1s\nping-timeout = 1s\n"
                 "course-timeout = 1s\n")
    with IrcClient(room.irc) as silent, IrcClient(room.irc, "a", "#chat") as a, \
            CourseClient(room.course, "lily") as lily:
        silent.expect(r"^ERROR .*\(Registration timed out\)")
        silent.expect_end()
        assert lily.receive() == "EXIT"
        a.expect(r"^:lily!.* QUIT :Timed out")
        a.expect("^PING :")  # answered by the client
        a.expect("^PING :")
        a.expect("^PING :")
    with socket.create_connection(room.irc) as mute:
        mute.sendall(b"NICK m\r\nUSER m 0 * :m\r\n")
        data = b""
        mute.settimeout(10)
        while more := mute.recv(4096):
            data += more
        assert b"(Ping timeout: 1 seconds)" in data


# --- the supervisor's side --------------------------------------------------------------------

def test_notifications(chatd):
    room = chatd(environment={"WATCHDOG_USEC": "200000"})
    room.expect_message("^WATCHDOG=1$")
    with IrcClient(room.irc, "a", "#x"), IrcClient(room.irc, "b", "#y"), \
            CourseClient(room.course, "lily"):
        room.expect_message("^STATUS=3 users in 3 channels$")
    room.expect_message("^STATUS=1 user in 1 channel$")
    room.process.send_signal(signal.SIGTERM)
    room.expect_message("^STOPPING=1$")
    assert room.process.wait(10) == 0


def test_passed_sockets(chatd):
    """Which door a socket is follows from the socket; it keeps its port and its queue."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as course, \
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as irc:
        course.bind(("127.0.0.1", 0))
        irc.bind(("127.0.0.1", 0))
        irc.listen(64)
        with IrcClient(irc.getsockname()) as early, CourseClient(course.getsockname()) as lily:
            early.send("NICK early", "USER early 0 * :x", "JOIN #chat")
            lily.send("L lily")
            room = chatd(descriptors=[course.fileno(), irc.fileno()])
            early.expect(" 366 ")
            assert lily.receive() == "OK"
            with pytest.raises(ConnectionRefusedError):
                IrcClient(room.irc)  # what chat.conf lists is not bound then
            assert room.stop() == 0
            # The queue is ours still: who comes now waits for the next chat room.
            with IrcClient(irc.getsockname()) as waiting:
                waiting.send("NICK w", "USER w 0 * :x")
                chatd(descriptors=[course.fileno(), irc.fileno()])
                waiting.expect(" 001 ")


def test_sigterm_says_goodbye(chatd):
    room = chatd()
    with IrcClient(room.irc, "a", "#chat") as a, CourseClient(room.course, "lily") as lily:
        start = time.monotonic()
        assert room.stop() == 0
        assert time.monotonic() - start < 1.9
        a.expect(r"^ERROR :Closing Link: 127.0.0.1 \(Server shutting down\)$")
        a.expect_end()
        assert lily.receive() == "\n管理员 : 聊天室关闭"


def test_reload(chatd):
    room = chatd('motd = {"old"}\n')
    with IrcClient(room.irc, "a") as a:
        room.write_config('motd = {"new"}\nserver-name = other\nnick-length = 20\nhistory = on\n')
        room.process.send_signal(signal.SIGHUP)
        room.expect_message("^RELOADING=1$")
        room.expect_message("^READY=1$")
        a.send("MOTD")
        a.expect("^:chat.foster 372 a :- new$")
        room.wait_output("server-name, history, nick-length have changed; that takes a restart")
        room.write_config('motd = {"broken"\n')
        room.process.send_signal(signal.SIGHUP)
        room.wait_output("the config stays as it was: .*chat.conf:")
        a.send("MOTD")
        a.expect("^:chat.foster 372 a :- new$")


def test_a_config_that_is_no_file(chatd):
    """What a reload finds in its place ends nothing, and is not waited for."""
    room = chatd('motd-file = "motd"\n', start=False)
    motd = room.directory / "motd"
    motd.write_text("tea\n")
    room.start()
    with IrcClient(room.irc, "a") as a:
        for path in (room.config, motd):
            before = path.read_bytes()
            for make, what in ((os.mkdir, "Is a directory"), (os.mkfifo, "is no regular file"),
                               (lambda p: p.write_bytes(b"motd = \0x"), "is no text: it has a NUL")):
                path.unlink()
                make(path)
                room.process.send_signal(signal.SIGHUP)
                room.wait_output(f"the config stays as it was: .*{path}.*{what}")
                room.expect_message("^RELOADING=1$")
                room.expect_message("^READY=1$")
                a.sync()
                if path.is_dir():
                    path.rmdir()
                    path.touch()
            path.write_bytes(before)


def test_strings_are_what_they_look_like(chatd):
    """No expansion of variables, and no backslash that vanishes; a BOM is none of the text."""
    room = chatd(start=False)
    room.config.write_text('\ufeff' + room.config.read_text() + "motd = {'a\\S', \"b\\\\S\", "
                           '"${HOME}", "\\$x"}\npassword = "a${HOME}b"\n')
    room.start()
    with IrcClient(room.irc) as a:
        a.send("PASS a${HOME}b", "NICK a", "USER a 0 * :x")
        for line in (r"a\\S", r"b\\S", r"\$\{HOME\}", r"\$x"):
            a.expect(f"^:chat.foster 372 a :- {line}$")


def test_what_a_start_would_find(builddir, directory):
    """As far as --check can know; and who is started again and again says what ends that."""
    config = directory / "chat.conf"
    config.write_text("user = nobody-of-that-name\n")

    def run(*options, **environment):
        return subprocess.run([builddir / "foster-chatd", *options, "--config", config],
                              capture_output=True, text=True, env=os.environ | environment)
    done = run("--check")
    assert done.returncode == 78
    assert "user nobody-of-that-name: there is no such user here" in done.stderr
    config.write_text("irc-listen = {}\ncourse-listen = {}\n")
    done = run("--check", FOSTER_SERVICE="room")
    assert done.returncode == 0 and done.stderr == ""
    assert "right, for a supervisor that passes sockets: all listen lists are empty" in done.stdout
    hint = "starting again does not help before that is mended; fosterctl stop room ends the trying"
    done = run(FOSTER_SERVICE="room")
    assert done.returncode == 78 and hint in done.stderr.splitlines()[-1]
    config.write_text("nonsense\n")
    done = run(FOSTER_SERVICE="room")
    assert done.returncode == 78 and hint in done.stderr.splitlines()[-1]
    assert hint not in run().stderr + run("--check", FOSTER_SERVICE="room").stderr


def check_config(builddir, path):
    done = subprocess.run([builddir / "foster-chatd", "--check", "--config", path],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_examples_are_right(builddir, directory):
    """Of the manual; and the installed config has the room read the file that it comes with."""
    root = pathlib.Path(__file__).parents[2]
    manual = (root / "man/chat.conf.5").read_text().partition(".Sh EXAMPLES")[2]
    examples = re.findall(r"\.Bd [^\n]*\n(.*?)\n\.Ed", manual, re.DOTALL)
    assert examples
    for text in examples:
        (directory / "chat.conf").write_text(text + "\n")
        check_config(builddir, directory / "chat.conf")
    check_config(builddir, root / "etc/chat.conf")
    installed = (pathlib.Path(builddir) / "foster.conf").read_text()
    assert re.search(r'command += \{"foster-chatd", "--config", "/[^"@]*/foster/chat.conf"\}',
                     installed)


def test_a_port_in_use_is_said(builddir, directory):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.bind(("127.0.0.1", 0))
        s.listen(1)
        room = Chatd(builddir, directory / "c")
        room.write_config(f'irc-listen = {{"127.0.0.1:{s.getsockname()[1]}"}}\n')
        room.start(wait=False)
        assert room.process.wait(10) == 1
        assert f"127.0.0.1:{s.getsockname()[1]}: another program has this port" in room.output()
        room.end()


CONFIG_ERRORS = [
    ('max-conections = 5', 'chat.conf:1: there is no option "max-conections"; '
     'did you mean "max-connections"?'),
    ('flood-rate = 1\nflood-rate = 2', "chat.conf:2: flood-rate is set twice"),
    ('motd = {"a"}\n\nmotd = {"b"}', "chat.conf:3: motd is set twice"),
    ('motd = {"a"}\nmotd += {"b"}', "chat.conf:2: += is not supported: write motd = and the"),
    ('\noperators-redact = {"password=\\S+"}', "chat.conf:2: \\S is no escape; a backslash is \\\\ "
     "between double quotes"),
    ('operators-redact = {"\\bpassword"}', "operators-redact: has control characters in it; a "
     "backslash is \\\\ between double quotes"),
    ('motd = a\nmotd = b', "chat.conf:2: motd is set twice"),
    ('network = x\nmotd = a', 'chat.conf:2: motd is a list: {"a"}'),
    ('irc-listen = {"localhost:6667"}', 'chat.conf:1: irc-listen: "localhost:6667" is no address'),
    ('ping-interval = 5', 'chat.conf:1: ping-interval: "5" is no duration'),
    ('ping-interval = "0"', 'ping-interval: "0" is no duration from 1s to 1d'),
    ('history-age = "0"', 'history-age: "0" is no duration from 1s to '),
    ('course-timeout = "8d"', 'course-timeout: "8d" is no duration from 1s to 7d'),
    ('registration-timeout = "0ms"', 'registration-timeout: "0ms" is no duration from 1s to 1h'),
    ('send-queue = "1"', 'chat.conf:1: send-queue: "1" is no size from 16K to 256M'),
    ('nick-length = 200', "is no whole number from 9 to 64"),
    ('course-channel = chat', 'course-channel: "chat" is no channel'),
    ('server-name = "a b"', "server-name: has a blank in it"),
    ('motd-file = "none"', "motd-file"),
    ('motd = {"x"}\nmotd-file = "y"', "motd and motd-file are both set"),
    ('network = "\xff"', "network: is not UTF-8"),
    ('section { }', 'chat.conf:1: there is no section "section", nor any other'),
    ('irc-listen = {"127.0.0.1:6667"', "chat.conf:"),
]


@pytest.mark.parametrize("text, error", CONFIG_ERRORS)
def test_config_errors(builddir, directory, text, error):
    config = directory / "chat.conf"
    config.write_bytes(text.encode("latin-1") + b"\n")
    done = subprocess.run([builddir / "foster-chatd", "--config", config, "--check"],
                          capture_output=True, text=True)
    assert done.returncode == 78
    assert error in done.stderr and len(done.stderr.splitlines()) == 1


def test_config_that_is_right(builddir, srcdir):
    for arguments in ([], ["--config", srcdir / "etc" / "chat.conf"]):
        done = subprocess.run([builddir / "foster-chatd", "--check"] + arguments,
                              capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_idle_costs_nothing(chatd):
    room = chatd()
    with IrcClient(room.irc, "a", "#x") as a:
        a.send("QUIT")
        a.expect_end()
    room.expect_message("^STATUS=0 users in 0 channels$")

    def switches(pid):
        with open(f"/proc/{pid}/status") as f:
            return sum(int(line.split()[1]) for line in f if "ctxt_switches" in line)

    pids = [room.pid, room.admin()]
    # Until it has come to rest: the closed connection and its timer are done with.
    until(lambda: switches(room.pid) == (select.select([], [], [], 1.2), switches(room.pid))[1],
          "rest", 20)
    before = [switches(pid) for pid in pids]
    select.select([], [], [], 2.5)  # what is measured is that nothing happens in this time
    assert [switches(pid) for pid in pids] == before


# --- the admin child --------------------------------------------------------------------------

@pytest.fixture
def control(directory):
    mock = MockControl(directory / "control")
    yield mock
    mock.close()


def test_announcements_reach_the_users_of_now(chatd, control):
    room = chatd(environment={"FOSTER_CONTROL": control.path})
    control.accept()
    assert control.requests[0].startswith("GET /v1/events?follow=1 HTTP/1.1\r\n")
    # All of them come after the fork.
    with IrcClient(room.irc, "alice", "#chat") as alice, IrcClient(room.irc, "bob") as bob, \
            CourseClient(room.course, "lily") as lily:
        control.send_event(seq=1, type="state", service="web")
        control.announce("服务器将重启", 2)
        for client in alice, bob:
            client.expect(rf"^:chat.foster NOTICE {client.nick} :\[管理员\] 服务器将重启$")
        assert lily.receive() == "\n管理员 : 服务器将重启"
        control.announce("two\nlines\x1b[2J\r\nQUIT", 3)
        alice.expect(r"NOTICE alice :\[管理员\] two$")
        alice.expect(r"NOTICE alice :\[管理员\] lines \[2J $")
        alice.expect(r"NOTICE alice :\[管理员\] QUIT$")
        assert [lily.receive() for _ in range(3)] == \
            ["\n管理员 : two", "\n管理员 : lines [2J ", "\n管理员 : QUIT"]


def test_the_manager_may_be_replaced(chatd, control):
    room = chatd(environment={"FOSTER_CONTROL": control.path})
    control.accept()
    with CourseClient(room.course, "lily") as lily:
        control.announce("one", 5)
        assert lily.receive() == "\n管理员 : one"
        control.hang_up()
        control.accept()
        assert "&since=5 HTTP/1.1" in control.requests[1]  # what it missed meanwhile
        control.announce("one", 5)  # and not twice what it did not
        control.announce("two", 6)
        assert lily.receive() == "\n管理员 : two"
        control.close()  # away altogether
        room.wait_output("admin: .*control")
        control.open()
        control.accept()
        control.announce("three", 7)
        assert lily.receive() == "\n管理员 : three"


def test_a_clock_that_was_set_back(chatd, control):
    """A manager numbers its events from the time of its start: the next one may count from less."""
    room = chatd(environment={"FOSTER_CONTROL": control.path})
    control.accept()
    with CourseClient(room.course, "lily") as lily:
        control.announce("one", 5000)
        assert lily.receive() == "\n管理员 : one"
        control.hang_up()
        control.accept()
        control.announce("two", 1000)
        control.announce("three", 1001)
        assert [lily.receive(), lily.receive()] == ["\n管理员 : two", "\n管理员 : three"]
        os.kill(room.admin(), signal.SIGKILL)
        control.accept()
        assert "&since=1001 HTTP/1.1" in control.requests[2]


def test_the_admin_child_is_started_again(chatd, control):
    room = chatd(environment={"FOSTER_CONTROL": control.path})
    control.accept()
    first = room.admin()
    with CourseClient(room.course, "lily") as lily, IrcClient(room.irc, "a", "#chat") as a:
        assert lily.receive() == "\n欢迎 'a' 进入聊天室"
        for n in range(3):
            os.kill(room.admin(), signal.SIGKILL)
            control.accept()
            control.announce(f"after {n}", 10 + n)
            assert lily.receive() == f"\n管理员 : after {n}"
        assert room.admin() != first
        # The child of now holds copies of no client's socket: the end of one is seen.
        a.send("QUIT")
        a.expect("^ERROR")
        a.expect_end()
    assert "ended after" in room.output()


def test_what_is_held_outlives_the_admin_child(chatd, control):
    """An end waits for its last lines; an admin child that dies over that does not lose it, and
    what was announced meanwhile is not announced twice."""
    room = chatd("operators-open = on\n", environment={"FOSTER_CONTROL": control.path})
    control.accept()
    events = [dict(type="service", service="web", state="backoff", reason="exit 1", seq=10),
              dict(type="announce", text="tea", by="root", seq=11),
              dict(type="note", text="the configuration was reloaded", seq=12)]
    with IrcClient(room.irc, "a", "#ops") as a:
        for event in events:
            control.send_event(**event)
        a.expect("NOTICE a :.*tea$")
        a.expect("PRIVMSG #ops :the configuration was reloaded$")
        os.kill(room.admin(), signal.SIGKILL)
        control.accept()
        since = int(re.search("since=([0-9]+)", control.requests[1])[1])
        for event in events:
            if event["seq"] > since:
                control.send_event(**event)
        control.announce("coffee", 13)
        said = []
        while not said or "coffee" not in said[-1]:
            said.append(a.expect(" :(.*)$")[1])
        assert not any("tea" in line for line in said)
        if not any("web: backoff: exit 1" in line for line in said):
            a.expect("PRIVMSG #ops :web: backoff: exit 1$")


def test_kill_takes_the_admin_child_along(chatd, control):
    room = chatd(environment={"FOSTER_CONTROL": control.path})
    control.accept()
    admin = room.admin()
    os.kill(admin, signal.SIGSTOP)  # it cannot see for itself that its parent has gone
    room.process.kill()
    room.process.wait()
    until(lambda: not alive(admin), "the end of the admin child")


def pair_of(room):
    """The admin child and its stand-in, by their names."""
    def both():
        names = {comm_of(pid): pid for pid in children_of(room.pid) if alive(pid)}
        return names if set(names) == {"chatd: admin", "chatd: stand-in"} else None
    return until(both, "the admin child and its stand-in")


def test_either_of_the_two_is_replaced(chatd, control):
    """The room is in a sandbox and forks none itself: each of the two looks after the other."""
    room = chatd(environment={"FOSTER_CONTROL": control.path})
    control.accept()
    with CourseClient(room.course, "lily") as lily:
        for n in range(1, 4):
            before = pair_of(room)
            os.kill(before["chatd: stand-in"], signal.SIGKILL)
            until(lambda: not alive(before["chatd: stand-in"]), "its end")
            now = pair_of(room)
            assert now["chatd: admin"] == before["chatd: admin"]
            assert now["chatd: stand-in"] not in before.values()
            control.announce(f"a{n}", 2 * n)  # over the same connection
            assert lily.receive() == f"\n管理员 : a{n}"
            os.kill(now["chatd: admin"], signal.SIGKILL)
            control.accept()
            assert f"&since={2 * n} HTTP/1.1" in control.requests[-1]
            then = pair_of(room)
            assert then["chatd: admin"] == now["chatd: stand-in"]
            control.announce(f"b{n}", 2 * n + 1)
            assert lily.receive() == f"\n管理员 : b{n}"
    assert room.stop() == 0


def descriptors_of(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_a_stand_in_that_is_reaped_before_it_is_heard_of(chatd):
    """Nothing is kept of it: neither its guard nor a place among those that live."""
    room = chatd()
    pair = pair_of(room)
    os.kill(pair["chatd: stand-in"], signal.SIGKILL)
    pair_of(room)
    before = descriptors_of(room.pid)
    for _ in range(3):
        # The end of the first is heard of together with what the second said, before it.
        os.kill(room.pid, signal.SIGSTOP)
        for _ in range(2):
            stand_in = until(lambda: next((pid for pid in children_of(room.pid) if alive(pid) and
                                           comm_of(pid) == "chatd: stand-in"), None), "one")
            os.kill(stand_in, signal.SIGKILL)
            until(lambda: not alive(stand_in), "its end")
        os.kill(room.pid, signal.SIGCONT)
        pair_of(room)
    until(lambda: descriptors_of(room.pid) <= before, "as many descriptors as before")
    assert room.stop() == 0


def sleeps_of(pid):
    """How often it has waited for something."""
    return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)$",
                         pathlib.Path(f"/proc/{pid}/status").read_text(), re.M).group(1))


def set_processes(pid, soft, hard, user):
    """By its own user, for others may not."""
    subprocess.run([sys.executable, "-c", "import resource, sys; "
                    "pid, *limits = map(int, sys.argv[1:]); "
                    "resource.prlimit(pid, resource.RLIMIT_NPROC, tuple(limits))",
                    str(pid), str(soft), str(hard)], check=True,
                   **({"user": user[0], "group": user[1], "extra_groups": []} if user else {}))


def test_no_process_can_be_had(chatd):
    """The admin child stays alone for a while, says so once, and goes on trying."""
    user = ordinary_user()
    room = chatd(user=user)
    pair = pair_of(room)
    limit = resource.getrlimit(resource.RLIMIT_NPROC)[1]  # which it inherited
    set_processes(pair["chatd: admin"], 0, limit, user)
    os.kill(pair["chatd: stand-in"], signal.SIGKILL)
    room.wait_output("no stand-in can be made")
    sleeps = sleeps_of(pair["chatd: admin"])
    until(lambda: sleeps_of(pair["chatd: admin"]) >= sleeps + 3, "two more attempts")
    set_processes(pair["chatd: admin"], limit, limit, user)
    assert pair_of(room)["chatd: admin"] == pair["chatd: admin"]
    assert room.output().count("no stand-in can be made") == 1


def test_kill_takes_those_along_that_it_did_not_fork(chatd, control):
    room = chatd(environment={"FOSTER_CONTROL": control.path})
    control.accept()
    for _ in range(2):
        os.kill(pair_of(room)["chatd: admin"], signal.SIGKILL)
        control.accept()
    pids = list(pair_of(room).values())
    # What is announced comes after the guard of the one that was made last.
    with CourseClient(room.course, "lily") as lily:
        control.announce("here", 5)
        assert lily.receive() == "\n管理员 : here"
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    room.process.kill()
    room.process.wait()
    until(lambda: not any(map(alive, pids)), "their end")


def test_without_both_of_them_the_room_is_started_anew(chatd, control):
    room = chatd(environment={"FOSTER_CONTROL": control.path})
    control.accept()
    pids = list(pair_of(room).values())
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)  # or one is quick enough to replace the other
    with IrcClient(room.irc, "a", "#chat") as a:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        a.expect("^ERROR .*Server shutting down")
    assert room.process.wait(10) == 1
    assert "have both ended" in room.output()


def test_without_a_supervisor_the_admin_child_waits(chatd):
    room = chatd()
    admin = room.admin()
    with open(f"/proc/{admin}/comm") as f:
        assert until(lambda: (f.seek(0), f.read())[1] == "chatd: admin\n", "its name")
    # It has given up its copies of the doors.
    sockets = [os.readlink(f"/proc/{admin}/fd/{fd}") for fd in os.listdir(f"/proc/{admin}/fd")]
    listening = until(lambda: set(os.readlink(f"/proc/{room.pid}/fd/{fd}")
                                  for fd in os.listdir(f"/proc/{room.pid}/fd")), "its sockets")
    tcp = set()
    for table in "tcp", "tcp6", "udp", "udp6":
        with open(f"/proc/net/{table}") as f:
            tcp |= {f"socket:[{line.split()[9]}]" for line in list(f)[1:]}
    assert tcp & listening
    assert not tcp & set(sockets)
    os.kill(admin, signal.SIGTERM)
    until(lambda: room.admin() != admin and alive(room.admin()), "the next one")
    assert room.stop() == 0


def test_every_option_is_documented(srcdir):
    table = (srcdir / "src" / "chat" / "chat-options.c").read_text()
    names = re.findall(r'^\t\{ "([a-z-]+)",', table, re.M)
    assert len(names) > 20
    manual = (srcdir / "man" / "chat.conf.5").read_text()
    example = (srcdir / "etc" / "chat.conf").read_text()
    assert [n for n in names if f".It Ic {n} No = " not in manual] == []
    assert [n for n in names if not re.search(rf"^# {n} +=", example, re.M)] == []
