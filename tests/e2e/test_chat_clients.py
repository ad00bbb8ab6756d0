"""The chat room with the clients that people use: irssi, weechat and ii, in one room with a client
of the course. Each must hear all the others, and be heard by them."""

import glob
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from chat_clients import Chatd, CourseClient, IrcClient
from conftest import SANITIZER_WORDS
from foster import until
from test_chat_tls import TlsRoom, fingerprint_of, make_certificate

NEEDED = ("irssi", "weechat-headless", "ii", "tmux")


class Terminal:
    """A tmux server of our own: one window a client."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith(("TMUX", "XDG_", "WEECHAT"))}
        self.environment.update(HOME=str(directory), LANG="C.UTF-8", LC_ALL="C.UTF-8",
                                TERM="xterm-256color")
        self.windows = 0

    def tmux(self, *arguments):
        return subprocess.run(["tmux", "-u", "-S", str(self.directory / "tmux"), "-f", "/dev/null",
                               *arguments], env=self.environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, check=True).stdout

    def open(self, name, *command):
        verb = ["new-session", "-s", "test", "-x", "160", "-y", "50"] if self.windows == 0 \
            else ["new-window", "-t", "test"]
        self.tmux(*verb, "-d", "-n", name, *command)
        self.windows += 1

    def type(self, name, text):
        self.tmux("send-keys", "-t", f"test:{name}", "-l", text)
        self.tmux("send-keys", "-t", f"test:{name}", "Enter")

    def screen(self, name):
        return self.tmux("capture-pane", "-p", "-S", "-200", "-t", f"test:{name}")

    def pid(self, name):
        return int(self.tmux("list-panes", "-t", f"test:{name}", "-F", "#{pane_pid}"))

    def end(self):
        """Ends what is left; the server has ended if all windows have."""
        command = ["tmux", "-S", str(self.directory / "tmux")]
        panes = subprocess.run([*command, "list-panes", "-s", "-t", "test", "-F", "#{pane_pid}"],
                               capture_output=True, text=True)
        for pid in map(int, panes.stdout.split()):  # not all end when the terminal hangs up
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        until(lambda: subprocess.run([*command, "kill-server"], capture_output=True).returncode,
              "the terminal's end")


def sentence(client):
    return f"{client.nick} 说 你好"


class Ear:
    """What a course client hears, without what weechat repeats."""

    def __init__(self, course):
        self.course = course
        self.repeated = set()

    def next(self):
        while True:
            text = self.course.receive()
            if text not in self.repeated:
                return text

    def ignore(self, text):
        self.repeated.add(text)


class Irssi:
    nick = "irssi_user"

    def __init__(self, terminal, port):
        self.terminal = terminal
        terminal.open("irssi", "irssi", f"--home={terminal.directory}/irssi", "--nick", self.nick,
                      "-c", "127.0.0.1", "-p", str(port))

    def join(self):
        self.wait("End of|Welcome to the foster", "irssi's welcome", self.terminal)
        self.terminal.type("irssi", "/join #chat")

    def wait(self, words, what, terminal):
        until(lambda: any(word in terminal.screen("irssi") for word in words.split("|")), what)

    def heard(self):
        return self.terminal.screen("irssi")

    def say(self, text):
        self.terminal.type("irssi", text)

    def quit(self):
        self.terminal.type("irssi", "/quit gone")


class Weechat:
    """Without a screen it takes commands only at its start: so it says its sentence every second."""
    nick = "weechat_user"

    def __init__(self, terminal, port):
        self.terminal = terminal
        self.home = terminal.directory / "weechat"
        self.port = port

    def join(self):
        commands = ["/set logger.file.flush_delay 0",
                    f"/server add t 127.0.0.1/{self.port}", "/set irc.server.t.ssl off",
                    "/set irc.server.t.tls off", f"/set irc.server.t.nicks {self.nick}",
                    "/set irc.server.t.autojoin #chat", "/connect t",
                    f"/repeat -interval 1s 600 /msg -server t #chat {sentence(self)}"]
        arguments = [word for command in commands for word in ("-r", command)]
        self.terminal.open("weechat", "weechat-headless", "-d", str(self.home), *arguments)

    def heard(self):
        files = glob.glob(f"{self.home}/logs/irc.t.#chat.weechatlog")
        return pathlib.Path(files[0]).read_text() if files else ""

    def say(self, text):
        pass

    def quit(self):
        os.kill(self.terminal.pid("weechat"), signal.SIGTERM)


class IrssiByTls(Irssi):
    """It shows a certificate of its own, too."""

    def __init__(self, terminal, port, certificate):
        self.terminal = terminal
        terminal.open("irssi", "irssi", f"--home={terminal.directory}/irssi", "--nick", self.nick,
                      "--noconnect")
        self.wait("Irssi v", "irssi", terminal)
        terminal.type("irssi", f"/connect -tls -notls_verify -tls_cert {certificate[0]} "
                               f"-tls_pkey {certificate[1]} 127.0.0.1 {port}")


class WeechatByTls(Weechat):
    def join(self):
        commands = ["/set logger.file.flush_delay 0", f"/server add t 127.0.0.1/{self.port}",
                    "/set irc.server.t.ssl on", "/set irc.server.t.tls on",
                    "/set irc.server.t.ssl_verify off", "/set irc.server.t.tls_verify off",
                    f"/set irc.server.t.nicks {self.nick}", "/set irc.server.t.autojoin #chat",
                    "/connect t"]
        arguments = [word for command in commands for word in ("-r", command)]
        self.terminal.open("weechat", "weechat-headless", "-d", str(self.home), *arguments)


class Ii:
    nick = "ii_user"

    def __init__(self, terminal, port):
        self.directory = terminal.directory / "ii" / "127.0.0.1"
        terminal.open("ii", "ii", "-i", str(terminal.directory / "ii"), "-s", "127.0.0.1",
                      "-p", str(port), "-n", self.nick)

    @staticmethod
    def write(path, text):
        until(path.exists, f"{path}")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text + "\n")

    def join(self):
        until(lambda: (self.directory / "out").exists() and
              "Welcome to the foster" in (self.directory / "out").read_text(), "ii's welcome")
        self.write(self.directory / "in", "/j #chat")

    def heard(self):
        out = self.directory / "#chat" / "out"
        return out.read_text() if out.exists() else ""

    def say(self, text):
        self.write(self.directory / "#chat" / "in", text)

    def quit(self):
        self.write(self.directory / "in", "/q gone")


@pytest.fixture
def terminal(directory):
    home = directory / "home"
    home.mkdir()
    made = Terminal(home)
    yield made
    made.end()


@pytest.mark.skipif(any(not shutil.which(name) for name in NEEDED),
                    reason="needs " + ", ".join(name for name in NEEDED if not shutil.which(name)))
def test_real_clients_and_a_course_client_in_one_room(builddir, directory, terminal):
    room = Chatd(builddir, directory / "c").start()
    try:
        with IrcClient(room.irc, "watcher", "#chat") as watcher, \
                CourseClient(room.course, "张三") as course:
            watcher.expect("JOIN #chat")
            ear = Ear(course)
            clients = [Irssi(terminal, room.irc_port), Ii(terminal, room.irc_port),
                       Weechat(terminal, room.irc_port)]
            for client in clients:
                client.join()
                watcher.expect(f"^:{client.nick}!.* JOIN :?#chat")
                assert ear.next() == f"\n欢迎 '{client.nick}' 进入聊天室"
            for client in reversed(clients):
                speak(client, clients, watcher, ear)
            speak_to_all(clients, watcher, course, ear)
            names = ask_names(watcher)
            assert all(client.nick in names for client in clients) and "张三" in names
            for client in clients:
                client.quit()
                watcher.expect(f"^:{client.nick}!.* QUIT ")
                assert ear.next() == f"\n{client.nick} 退出聊天室"
    finally:
        room.end()


def ask_names(watcher):
    watcher.send("NAMES #chat")
    return " ".join(line for line in watcher.sync() if " 353 " in line)


def speak(speaker, clients, watcher, ear):
    text = sentence(speaker)
    speaker.say(text)
    watcher.expect(f"^:{speaker.nick}!.* PRIVMSG #chat :{text}$")
    assert ear.next() == f"\n{speaker.nick} : {text}"
    if isinstance(speaker, Weechat):
        ear.ignore(f"\n{speaker.nick} : {text}")
    for listener in clients:
        until(lambda: text in listener.heard(), f"{listener.nick} hears {speaker.nick}")


def speak_to_all(clients, watcher, course, ear):
    course.say("大家好")
    watcher.expect("^:张三!udp@127.0.0.1 PRIVMSG #chat :大家好$")
    watcher.send("PRIVMSG #chat :\1ACTION 挥手\1")
    assert ear.next() == "\n* watcher 挥手"
    for listener in clients:
        until(lambda: "大家好" in listener.heard() and "张三" in listener.heard(),
              f"{listener.nick} hears the course")
        until(lambda: "挥手" in listener.heard(), f"{listener.nick} sees the action")


@pytest.mark.skipif(any(not shutil.which(name) for name in NEEDED),
                    reason="needs " + ", ".join(name for name in NEEDED if not shutil.which(name)))
def test_real_clients_by_tls_see_what_was_said_before_a_restart(builddir, directory, terminal):
    """irssi has no times in its lines, weechat asks for them."""
    room = TlsRoom(builddir, directory / "c", 'history = on\nhistory-on-join = 5\n'
                   f'state-directory = "{directory}/state"\n').start()
    try:
        with IrcClient(room.irc, "earlier", "#chat") as earlier:
            earlier.send("PRIVMSG #chat :said 之前")
            earlier.sync()
        assert room.stop() == 0
        room.start()
        with IrcClient(room.irc, "watcher", "#chat") as watcher:
            own = make_certificate(directory, "irssi")
            clients = [IrssiByTls(terminal, room.tls_port, own),
                       WeechatByTls(terminal, room.tls_port)]
            for client in clients:
                client.join()
                watcher.expect(f"^:{client.nick}!.* JOIN :?#chat")
                until(lambda: "said 之前" in client.heard(), f"{client.nick} is shown history")
                watcher.send(f"WHOIS {client.nick}")
                watcher.expect(f" 671 watcher {client.nick} ")
            terminal.type("irssi", "/window goto 1")  # its answers stand there
            terminal.type("irssi", f"/whois {Irssi.nick}")
            until(lambda: fingerprint_of(own[0])[:16] in terminal.screen("irssi").replace("\n", ""),
                  "irssi's fingerprint")
            for client in clients:
                client.quit()
                watcher.expect(f"^:{client.nick}!.* QUIT ")
    finally:
        room.end()
    assert not any(word in room.output() for word in SANITIZER_WORDS), room.output()
