"""foster-chat, in a script and on a terminal, with foster-chatd's doors and with rooms that misbehave."""

import fcntl
import functools
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import time

import pytest

from chat_clients import Chatd, CourseClient, IrcClient, free_port
from conftest import SANITIZER_WORDS
from foster import children_of, until
from real_clients import Terminal
from test_chat_accounts import ON, PASSWORD, fosterctl
from test_chat_tls import TlsRoom, fingerprint_of, make_certificate

DEADLINE = 10.0
UTF8 = {"LANG": "en_US.UTF-8", "LC_ALL": "", "LC_MESSAGES": "", "TERM": "xterm", "NO_COLOR": ""}


@pytest.fixture
def room(any_room):
    return any_room(Chatd)


@pytest.fixture
def rooms(any_room):
    """Makes rooms of a class with options; they are not started yet."""
    return functools.partial(any_room, start=False)


class Script:
    """foster-chat with pipes."""

    def __init__(self, builddir, *arguments, **environment):
        self.process = subprocess.Popen(
            [str(builddir / "foster-chat"), *map(str, arguments)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **UTF8, **environment})
        self.out = b""

    def say(self, *lines):
        self.process.stdin.write("".join(line + "\n" for line in lines).encode())
        self.process.stdin.flush()

    def expect(self, pattern):
        """Waits for a line in what it wrote since the last one found."""
        deadline = time.monotonic() + DEADLINE
        fd = self.process.stdout.fileno()
        while not (match := re.search(pattern, self.out.decode(), re.M)):
            left = deadline - time.monotonic()
            data = os.read(fd, 65536) if left > 0 and select.select([fd], [], [], left)[0] else b""
            assert data, f"{pattern!r} is not in {self.out.decode()!r}; {self.process.poll()}"
            self.out += data
        self.out = self.out.decode()[match.end():].encode()
        return match

    def end(self, *lines):
        """Says the last lines; the exit code, what is left of the output, and the errors."""
        out, err = self.process.communicate("".join(line + "\n" for line in lines).encode(), 30)
        assert not any(word in err.decode() for word in SANITIZER_WORDS), err.decode()
        return self.process.returncode, (self.out + out).decode(), err.decode()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def at(address):
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"


class Seat:
    """foster-chat on a terminal of its own. The screen is as wide as any line here."""

    def __init__(self, builddir, *arguments, columns=200, **environment):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.modes = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [str(builddir / "foster-chat"), *map(str, arguments)], stdin=self.slave,
            stdout=self.slave, stderr=self.slave, start_new_session=True,
            env={**os.environ, **UTF8, **environment},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.bytes = b""

    def screen(self):
        """The lines on the screen: what was erased is not there."""
        while select.select([self.master], [], [], 0)[0]:
            self.bytes += os.read(self.master, 65536)
        text = re.sub(r"\033\[2?m", "", self.bytes.decode(errors="replace"))
        lines = [line.split("\r\033[K")[-1] for line in text.split("\r\n")]
        assert not re.search("[\0-\x1f\x7f-\x9f]", "".join(lines)), self.bytes
        return lines

    def until_last(self, line):
        """Waits until the last line, where one types, is this."""
        until(lambda: self.screen()[-1] == line, f"{line!r} below {self.screen()}")

    def until_shown(self, line):
        until(lambda: line in self.screen()[:-1], f"{line!r} above in {self.screen()}")

    def type(self, text):
        os.write(self.master, text.encode() if isinstance(text, str) else text)

    def end(self):
        """Waits for its end; the modes must be as they were, and the last line empty."""
        code = self.process.wait(DEADLINE)
        assert termios.tcgetattr(self.slave) == self.modes
        return code

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


# --- scripts ------------------------------------------------------------------------------------

@pytest.mark.parametrize("family", [4, 6])
def test_a_script_in_the_course_s_room(builddir, room, family):
    address = room.course if family == 4 else room.course6
    with CourseClient(room.course, "tom") as tom, Script(builddir, at(address)) as lily:
        lily.say("tom", "lily")  # the first name is taken
        lily.expect("^-- you are in the room at")
        assert tom.receive() == "\n欢迎 'lily' 进入聊天室"
        tom.say("hi  there ")
        lily.expect("^tom : hi  there $")
        code, out, err = lily.end("大家  好", "quit", "not said")
        assert (code, out.strip()) == (0, "-- you have left the room")
        assert err == "foster-chat: 该用户存在\n"
        assert tom.receive() == "\nlily : 大家  好"
        assert tom.receive() == "\nlily 退出聊天室"
    assert room.stop() == 0


def test_the_end_of_the_input_leaves(builddir, room):
    with CourseClient(room.course, "tom") as tom, \
            Script(builddir, "--name", "lily", at(room.course)) as lily:
        assert lily.end("one", "", "two")[0] == 0
        assert [tom.receive() for _ in range(4)] == [
            "\n欢迎 'lily' 进入聊天室", "\nlily : one", "\nlily : two", "\nlily 退出聊天室"]


def test_a_refused_name_from_the_command_line_ends_a_script(builddir, room):
    with CourseClient(room.course, "tom") as tom, \
            Script(builddir, "--name", "tom", at(room.course)) as script:
        assert script.end("hello")[0] == 1
        tom.say("x")
        assert tom.nothing_came()
    with IrcClient(room.irc, "jim"), \
            Script(builddir, "--irc", "--name", "jim", at(room.irc)) as script:
        code, _, err = script.end("hello")
        assert code == 1 and "already in use" in err


def test_the_course_s_own_client_in_the_same_room(builddir, srcdir, room):
    reference = subprocess.Popen(
        [sys.executable, str(srcdir / "doc/examples/course-client.py"), "127.0.0.1",
         str(room.course_port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with Script(builddir, "-n", "lily", at(room.course)) as lily, \
            Script(builddir, "--irc", "-n", "rose", at(room.irc)) as rose:
        lily.expect("^-- you are in the room")
        rose.expect("^-- you are in #chat$")
        lily.expect("^欢迎 'rose' 进入聊天室$")
        reference.stdin.write("老师\n同学们好\n".encode())
        reference.stdin.flush()
        for each in lily, rose:
            each.expect("^老师 : 同学们好$")
        lily.say("老师好")
        rose.expect("^lily : 老师好$")
        rose.say("/me waves")
        lily.expect(r"^\* rose waves$")
        assert lily.end()[0] == 0
        rose.expect("^-- lily has left")
        out = reference.communicate(b"quit\n", DEADLINE)[0].decode()
        assert reference.returncode == 0
        assert "\nlily : 老师好\n\n* rose waves\n\nlily 退出聊天室\n" in out
        rose.expect("^-- 老师 has left")
        assert rose.end()[0] == 0


def test_a_script_is_held_up_rather_than_dropped(builddir, room):
    """The room takes 40 datagrams at once, then ten a second."""
    lines = [f"line {i}" for i in range(48)]
    with CourseClient(room.course, "tom") as tom, \
            Script(builddir, "-n", "lily", at(room.course)) as lily:
        code, out, _ = lily.end(*lines)
        assert code == 0 and "发言太快" not in out
        tom.receive()
        assert [tom.receive() for _ in lines] == [f"\nlily : {line}" for line in lines]


def test_a_long_irc_script_arrives_whole(builddir, rooms):
    """The server reads what it is told more slowly than it is sent."""
    room = rooms(Chatd, "flood-burst = 20\nflood-rate = 200\n").start()
    lines = [f"line {i} {'中' * 300}" for i in range(60)]
    with IrcClient(room.irc, "tom", "#chat") as tom, \
            Script(builddir, "--irc", "-n", "lily", at(room.irc)) as lily:
        assert lily.end(*lines)[0] == 0
        said = []
        while not (said and said[-1] == "end"):
            match = tom.expect("^:lily!.* (?:PRIVMSG #chat :(.*)|(QUIT) .*)$")
            said.append("end" if match[2] else match[1])
        assert "".join(said[:-1]) == "".join(lines)


@pytest.mark.parametrize("family", [4, 6])
def test_irc_commands(builddir, room, family):
    address = room.irc if family == 4 else room.irc6
    with IrcClient(room.irc, "tom", "#tea") as tom, \
            Script(builddir, "--irc", "--channel", "tea", "-n", "lily", at(address)) as lily:
        tom.expect("^:lily!.* JOIN #tea")
        lily.expect("^-- in #tea: .*tom")
        lily.say("/msg tom psst  you", "/topic two", "/nick rose", "/names", "/raw PING x", "/x")
        tom.expect("PRIVMSG tom :psst  you$")
        tom.expect("^:lily!.* NICK :?rose")
        tom.send("PRIVMSG rose :\1ACTION nods\1", "PRIVMSG #tea :\00304red\003 \033[31m",
                 "TOPIC #tea :green", "NOTICE #tea :hm")
        lily.expect("^-- you are now called rose$")
        lily.expect(r"^\(tom\) \* tom nods$")
        lily.expect(r"^tom : red  \[31m$")
        lily.expect("^-- tom has changed the topic of #tea: green$")
        lily.expect("^-- tom : hm$")
        lily.say("/join #milk", "moo")
        lily.expect("^-- you are in #milk$")
        tom.send("PRIVMSG #tea :here")
        lily.expect(r"^\[#tea\] tom : here$")
        lily.say("/part #milk")
        lily.expect("^-- you have left #milk$")
        code, _, err = lily.end("/quit", "never")
        assert code == 0
        assert "no command /x" in err
        tom.expect("^:rose!.* QUIT ")


def test_a_closed_channel_ends_a_script(builddir, room):
    with IrcClient(room.irc, "tom", "#x") as tom:
        tom.send("MODE #x +i")
        tom.expect(r"MODE #x \+i")
        with Script(builddir, "--irc", "--channel", "#x", "-n", "lily", at(room.irc)) as lily:
            code, _, err = lily.end("hello")
            assert code == 1 and "#x" in err


def test_a_reader_that_has_gone(builddir, room):
    with CourseClient(room.course, "tom") as tom, \
            Script(builddir, "-n", "lily", at(room.course)) as lily:
        lily.expect("^-- you are in")
        lily.process.stdout.close()
        lily.process.stdout = open(os.devnull, "rb")
        tom.receive()
        tom.say("hello")
        assert lily.process.wait(DEADLINE) == 1
        assert b"cannot write: Broken pipe" in lily.process.stderr.read()
        assert tom.receive() == "\nlily 退出聊天室"


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_script(builddir, room, signo):
    with CourseClient(room.course, "tom") as tom, \
            Script(builddir, "-n", "lily", at(room.course)) as lily:
        lily.expect("^-- you are in")
        tom.receive()
        lily.process.send_signal(signo)
        assert lily.process.wait(DEADLINE) == 128 + signo
        assert tom.receive() == "\nlily 退出聊天室"


@pytest.mark.parametrize("arguments, environment, prompt", [
    (["--lang", "zh"], {}, "发言:"),
    ([], {"LC_ALL": "zh_CN.UTF-8"}, "发言:"),
    (["--lang", "en"], {"LC_ALL": "zh_CN.UTF-8"}, "say: "),
    ([], {"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "say: "),
])
def test_languages(builddir, room, arguments, environment, prompt):
    with Seat(builddir, *arguments, "-n", "x", at(room.course), **environment) as seat:
        seat.until_last(prompt)
        seat.type("quit\n")
        assert seat.end() == 0


@pytest.mark.parametrize("arguments, complaint", [
    (["--irc", "--course"], "two protocols"),
    (["--tls"], "for --irc"),
    (["--channel", "x"], "for --irc"),
    (["--account", "x"], "for --irc"),
    (["--irc", "--insecure"], "for --irc --tls"),
    (["--irc", "--tls", "--ca", "x", "--insecure"], "choose one"),
    (["--irc", "--tls", "--key", "x"], "belong together"),
    (["--irc", "--tls", "--key", "x", "--certificate", "x", "--account", "a"], "choose one"),
    (["--irc", "--channel", "a b"], "no blanks"),
    (["--irc", "--channel", ""], "1 to"),
    (["--lang", "fr"], "en and zh"),
    (["--nonsense"], "usage:"),
    (["a", "b"], 'unexpected argument "b"'),
    (["host:"], "a port is"),
    (["host:99999"], "a port is"),
    (["[::1"], "in brackets"),
    ([":8888"], "HOST:PORT"),
])
def test_wrong_arguments(builddir, arguments, complaint):
    with Script(builddir, *arguments) as script:
        code, out, err = script.end()
        assert (code, out) == (2, "") and complaint in err


# --- rooms that are not there, or misbehave -----------------------------------------------------

def test_nobody_listens(builddir):
    for arguments, kind in ([], socket.SOCK_DGRAM), (["--irc"], socket.SOCK_STREAM):
        place = f"127.0.0.1:{free_port(kind)}"
        with Script(builddir, *arguments, "-n", "x", place) as script:
            code, out, err = script.end("hello")
            assert (code, out) == (1, "")
            assert err.startswith(f"foster-chat: nobody listens at {place}: ")
    with Script(builddir, "-n", "x", "nowhere.invalid") as script:
        code, _, err = script.end()
        assert code == 1 and "nowhere.invalid" in err


def test_another_address_of_the_host(builddir, rooms):
    """localhost may be ::1 first, where nobody listens."""
    room = rooms(Chatd, 'course-listen = {"127.0.0.1:@course@"}\n').start()
    with Script(builddir, "-n", "x", f"localhost:{room.course_port}") as script:
        assert script.end("hello")[0] == 0


@pytest.fixture
def silent_room():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        s.settimeout(DEADLINE)
        yield s


def test_lost_datagrams(builddir, silent_room):
    """The first request and the first EXIT are lost."""
    with Script(builddir, "-n", "x", at(silent_room.getsockname())) as script:
        assert silent_room.recv(1024) == b"L x"
        data, client = silent_room.recvfrom(1024)
        assert data == b"L x"
        silent_room.sendto(b"OK", client)
        script.say("hi", "quit")
        assert [silent_room.recv(1024) for _ in range(3)] == [b"C x hi", b"Q x", b"Q x"]
        silent_room.sendto(b"EXIT", client)
        assert script.end()[0] == 0


def test_what_a_room_sends_cannot_command_the_terminal(builddir, silent_room):
    evil = b"\nx : \033]0;title\a\033[2J\x9b31m\xc2\x9b\b\r\x7f\x00end\n-- forged\xff"
    shown = "x :  ]0;title  [2J\ufffd31m    "
    with Seat(builddir, "-n", "x", at(silent_room.getsockname())) as seat:
        client = silent_room.recvfrom(1024)[1]
        silent_room.sendto(b"OK", client)
        silent_room.sendto(evil, client)
        seat.until_shown("  -- forged\ufffd")
        assert any(line.startswith(shown) for line in seat.screen())  # which looks for controls
        silent_room.sendto(b"EXIT", client)
        assert seat.end() == 1


# --- terminals ----------------------------------------------------------------------------------

def test_what_others_say_goes_above_what_is_typed(builddir, room):
    with CourseClient(room.course, "tom") as tom, \
            Seat(builddir, at(room.course), LANG="zh_CN.UTF-8") as seat:
        seat.until_last("请输入姓名:")
        seat.type("tom\n")
        seat.until_shown("-- 该用户存在")
        seat.until_last("请输入姓名:")
        seat.type("张三\r")
        seat.until_last("发言:")
        tom.receive()
        seat.type("大家好")
        seat.until_last("发言:大家好")
        tom.say("hello")
        seat.until_shown("tom : hello")
        seat.until_last("发言:大家好")
        seat.type("\x7f")
        seat.until_last("发言:大家")
        seat.type(" one two\x17")
        seat.until_last("发言:大家 one ")
        seat.type("\033[D\033[A\033[B\x15")
        seat.until_last("发言:")
        seat.type("再见\n")
        assert tom.receive() == "\n张三 : 再见"
        seat.until_shown("发言:再见")
        seat.type("\033[A")
        seat.until_last("发言:再见")
        seat.type("\x15quit\n")
        assert tom.receive() == "\n张三 退出聊天室"
        assert seat.end() == 0
        assert seat.screen()[-2:] == ["-- 退出聊天室", ""]


def test_a_long_line_stays_in_its_row(builddir, room):
    with CourseClient(room.course, "tom") as tom, \
            Seat(builddir, "-n", "x", at(room.course), columns=20) as seat:
        tom.receive()
        seat.until_last("say: ")
        seat.type("中文" * 10)
        seat.until_last("say: " + "文" + "中文" * 3)
        fcntl.ioctl(seat.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
        seat.until_last("say: " + "中文" * 10)
        seat.type("\n")
        assert tom.receive() == "\nx : " + "中文" * 10
        seat.type("\4")
        assert seat.end() == 0


@pytest.mark.parametrize("how, code", [
    (b"\3", 0), (b"\4", 0), (b"\x1c", 128 + signal.SIGQUIT),
    (signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGHUP, 128 + signal.SIGHUP),
    (signal.SIGABRT, -signal.SIGABRT), (signal.SIGSEGV, -signal.SIGSEGV)])
def test_every_end_gives_the_terminal_back(builddir, room, how, code):
    with CourseClient(room.course, "tom") as tom, \
            Seat(builddir, "-n", "x", at(room.course), ASAN_OPTIONS="handle_segv=0") as seat:
        tom.receive()
        seat.until_last("say: ")
        assert termios.tcgetattr(seat.slave) != seat.modes
        if isinstance(how, bytes):
            seat.type(how)
        else:
            os.kill(seat.process.pid, how)
        assert seat.end() == code
        if code >= 0:
            assert tom.receive() == "\nx 退出聊天室"


@pytest.mark.skipif(not shutil.which("tmux"), reason="needs tmux")
@pytest.mark.parametrize("by", ["key", "signal"])
def test_stopped_and_continued(builddir, room, directory, by):
    """In a shell with job control, which has its own modes while the client is stopped."""
    home = directory / "home"
    home.mkdir()
    terminal = Terminal(home)
    try:
        with CourseClient(room.course, "tom") as tom:
            terminal.open("shell", "env", "PS1=$ ", "sh", "-i")
            terminal.type("shell", f"{builddir}/foster-chat -n x --lang en {at(room.course)}")
            until(lambda: "\nsay:" in terminal.screen("shell"), "the prompt")
            tom.receive()
            terminal.tmux("send-keys", "-t", "test:shell", "-l", "half")
            until(lambda: "say: half" in terminal.screen("shell"), "what is typed")
            if by == "key":
                terminal.tmux("send-keys", "-t", "test:shell", "C-z")
            else:
                os.kill(children_of(terminal.pid("shell"))[0], signal.SIGSTOP)
            until(lambda: "Stopped" in terminal.screen("shell"), "its stop")
            # Who is stopped without being asked leaves the terminal as it is, to the shell.
            sane = "stty sane; " if by == "signal" else ""
            terminal.type("shell", sane + "stty -a | tr ' ;' '\\n\\n' | "
                          "grep -x -e icanon -e echo | tr a-z A-Z")
            until(lambda: {"ICANON", "ECHO"} <= set(terminal.screen("shell").split()),
                  "the terminal's own modes")
            tom.say("meanwhile")
            terminal.type("shell", "fg")
            until(lambda: "tom : meanwhile\nsay: half" in terminal.screen("shell"), "its return")
            terminal.tmux("send-keys", "-t", "test:shell", "C-w")
            terminal.tmux("send-keys", "-t", "test:shell", "-l", "all the way")
            until(lambda: "\nsay: all the way" in terminal.screen("shell"), "its keys")
            terminal.type("shell", "")
            assert tom.receive() == "\nx : all the way"
            terminal.type("shell", "quit")
            assert tom.receive() == "\nx 退出聊天室"
            until(lambda: terminal.screen("shell").rstrip().endswith("$"), "the shell")
            terminal.type("shell", "exit")
    finally:
        terminal.end()


def test_irc_on_a_terminal(builddir, room):
    with IrcClient(room.irc, "tom", "#chat") as tom, \
            Seat(builddir, "--irc", at(room.irc)) as seat:
        seat.until_last("name: ")
        seat.type("tom\n")
        seat.until_shown("-- tom Nickname is already in use")
        seat.type("lily\n")
        seat.until_last("say: ")
        tom.expect("^:lily!.* JOIN #chat")
        seat.type("hel")
        tom.send("PRIVMSG #chat :hi")
        seat.until_shown("tom : hi")
        seat.until_last("say: hel")
        seat.type("lo\n")
        tom.expect("PRIVMSG #chat :hello$")
        assert b"\033[2m-- you are in #chat\033[m" in seat.bytes
        seat.type("quit\n")
        assert seat.end() == 0
        tom.expect("^:lily!.* QUIT ")


def test_a_terminal_that_knows_nothing(builddir, room):
    with CourseClient(room.course, "tom") as tom, \
            Seat(builddir, "-n", "x", at(room.course), TERM="dumb") as seat:
        tom.receive()
        until(lambda: any("-- you are in" in line for line in seat.screen()), "its greeting")
        assert termios.tcgetattr(seat.slave) == seat.modes
        seat.type("hello\n")
        assert tom.receive() == "\nx : hello"
        seat.type("quit\n")
        assert seat.end() == 0
        assert b"\033" not in seat.bytes


def test_no_colour(builddir, room):
    with Seat(builddir, "-n", "x", at(room.course), NO_COLOR="1") as seat:
        seat.until_last("say: ")
        seat.type("quit\n")
        assert seat.end() == 0
        assert b"\033[2m" not in seat.bytes


# --- TLS and accounts ---------------------------------------------------------------------------

def certificate_for_localhost(directory):
    certificate, key = directory / "local.pem", directory / "local.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=x",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


@pytest.fixture
def tls_room(directory, rooms):
    certificate, key = certificate_for_localhost(directory)
    room = rooms(TlsRoom, f'{ON}tls-certificate = "{certificate}"\ntls-key = "{key}"\n')
    room.trusted = certificate
    return room


def test_tls_with_a_certificate_that_is_trusted(builddir, tls_room):
    tls_room.start()
    with IrcClient(tls_room.irc, "tom", "#chat") as tom:
        for host in "127.0.0.1", "localhost":
            with Script(builddir, "--irc", "--tls", "--ca", tls_room.trusted, "-n", "lily",
                        f"{host}:{tls_room.tls_port}") as lily:
                lily.expect("^-- you are in #chat$")
                tom.send("WHOIS lily")
                tom.expect(" 671 tom lily ")
                assert lily.end("hello " + "中" * 2000)[0] == 0
                tom.expect("^:lily!.* PRIVMSG #chat :hello ")
                tom.expect("^:lily!.* QUIT ")


@pytest.mark.parametrize("host, options, complaint", [
    ("127.0.0.1", [], "is not trusted: self-signed certificate"),
    ("[::1]", ["--ca", "trusted"], "is not trusted: IP address mismatch"),
    ("127.0.0.1", ["--ca", "other"], "is not trusted"),
    ("127.0.0.1", ["--ca", "/nowhere"], "/nowhere: "),
])
def test_tls_with_a_certificate_that_is_not(builddir, directory, tls_room, host, options, complaint):
    tls_room.start()
    files = {"trusted": tls_room.trusted, "other": make_certificate(directory, "other")[0]}
    with Script(builddir, "--irc", "--tls", *(files.get(word, word) for word in options), "-n",
                "lily", f"{host}:{tls_room.tls_port}") as lily:
        code, out, err = lily.end("hello")
        assert (code, out) == (1, "") and complaint in err, err
    with Script(builddir, "--irc", "--tls", "--insecure", "-n", "lily",
                f"{host}:{tls_room.tls_port}") as lily:
        assert lily.end("hello")[0] == 0


def test_tls_with_a_server_that_speaks_none(builddir, room):
    with Script(builddir, "--irc", "--tls", "-n", "lily", at(room.irc)) as lily:
        code, out, err = lily.end("hello")
        assert (code, out) == (1, "") and "TLS" in err


def test_login_by_password(builddir, tls_room):
    fosterctl(tls_room, "add", "lily", password=PASSWORD)
    tls_room.start()
    for place in (["--tls", "--ca", tls_room.trusted, at(tls_room.tls)],
                  [at(tls_room.irc)]):
        with IrcClient(tls_room.irc, "tom", "#chat") as tom:
            with Script(builddir, "--irc", "--account", "lily", *place) as lily:
                lily.say(PASSWORD)
                lily.expect("^-- You are now logged in as lily$")
                lily.expect("^-- you are in #chat$")
                tom.send("WHOIS lily")
                tom.expect(" 330 tom lily lily ")
                assert lily.end()[0] == 0
            with Script(builddir, "--irc", "--account", "lily", *place) as lily:
                code, _, err = lily.end("wrong horse", "hello")
                assert code == 1 and "SASL" in err
            assert not any("JOIN" in line for line in tom.sync()[-1:])


def test_a_password_goes_to_no_other_machine_in_the_open(builddir):
    for options in [], ["--tls", "--insecure"]:
        with Script(builddir, "--irc", *options, "--account", "lily", "192.0.2.1") as lily:
            code, _, err = lily.end(PASSWORD)
            assert code == 1 and "goes to another machine only by TLS" in err


def test_a_password_is_not_shown(builddir, tls_room):
    fosterctl(tls_room, "add", "lily", password=PASSWORD)
    tls_room.start()
    with Seat(builddir, "--irc", "--account", "lily", at(tls_room.irc)) as seat:
        seat.until_last("password: ")
        seat.type(PASSWORD + "\n")
        seat.until_shown("-- You are now logged in as lily")
        seat.until_last("say: ")
        seat.type("\033[A")  # nor is it a line of before
        seat.type("x")
        seat.until_last("say: x")
        assert b"horse" not in seat.bytes
        seat.type("\3")
        assert seat.end() == 0


def test_login_by_certificate(builddir, directory, tls_room):
    certificate, key = make_certificate(directory, "lily")
    fosterctl(tls_room, "add", "lily", password=PASSWORD)
    fosterctl(tls_room, "cert", "add", "lily", fingerprint_of(certificate))
    tls_room.start()
    with Script(builddir, "--irc", "--tls", "--ca", tls_room.trusted, "--certificate", certificate,
                "--key", key, "-n", "lily", at(tls_room.tls)) as lily:
        lily.expect("^-- You are now logged in as lily$")
        assert lily.end()[0] == 0
