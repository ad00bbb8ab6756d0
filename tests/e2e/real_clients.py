"""Clients that people use, each in a window of one tmux: irssi, weechat and ii, our foster-chat, and
the course's own. Of each it can be asked what it shows that others have said."""

import glob
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

from foster import until

CHANNEL = "#chat"


class Terminal:
    """A tmux server of our own: one window a client."""

    def __init__(self, directory):
        assert shutil.which("tmux"), "tmux is not installed; ./quickstart test does it"
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
        assert shutil.which(command[0]), f"{command[0]} is not installed; ./quickstart test does it"
        verb = ["new-session", "-s", "test", "-x", "160", "-y", "50"] if self.windows == 0 \
            else ["new-window", "-t", "test"]
        self.tmux(*verb, "-d", "-n", name, *map(str, command))
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


class Login:
    """To an account: by a mechanism of SASL, with a password or a certificate and its key."""

    def __init__(self, mechanism, password=None, certificate=None):
        self.mechanism = mechanism
        self.password = password
        self.certificate = certificate


class Client:
    """One in the room. Its name, which is its window's, too, is its account's where it logs in."""
    program = None
    SAID = None  # finds nick and text in a line of what it shows
    knows_actions = True

    def __init__(self, terminal, nick, address, tls=False, login=None):
        self.terminal = terminal
        self.nick = nick
        self.host, self.port = address
        self.tls = tls
        self.login = login
        self.directory = terminal.directory / nick
        self.directory.mkdir()
        self.past = 0
        self.start()

    def shown(self):
        """All that it has shown, or written to its log."""
        return self.terminal.screen(self.nick)

    def conversation(self):
        """What was said in the channel, as far as it shows it: [(nick, text)]."""
        return re.findall(self.SAID, self.shown()[self.past:], re.M)

    def heard(self):
        """The same, of others."""
        return [said for said in self.conversation() if said[0] != self.nick]

    def sees_waving(self, nick):
        return re.search(rf"\*[ \t].?{nick} waves|{nick}> .ACTION waves", self.shown())

    def forget(self):
        """Both begin anew, with what is shown from now on."""
        self.past = len(self.shown())

    def sentence(self):
        return f"{self.nick} 说：你好，世界！ Grüße  from {self.program}"

    def say(self):
        """Its sentence."""
        self.terminal.type(self.nick, self.sentence())

    def wave(self):
        self.terminal.type(self.nick, "/me waves")


class Irssi(Client):
    program = "irssi"
    SAID = r"^\d\d:\d\d <.([^ >\n]+)> (.*)$"

    def start(self):
        server = {"address": self.host, "port": self.port, "chatnet": "t", "autoconnect": "yes",
                  "use_tls": "yes" if self.tls else "no", "tls_verify": "no"}
        net = {"type": "IRC", "nick": self.nick}
        if self.login:
            net["sasl_mechanism"] = self.login.mechanism
            net["sasl_username"] = self.nick
            net["sasl_password"] = self.login.password or ""
            if self.login.certificate:
                server["tls_cert"], server["tls_pkey"] = self.login.certificate
        (self.directory / "config").write_text(
            f"servers = ( {self.block(server)} );\nchatnets = {{ t = {self.block(net)} }};\n"
            f'channels = ( {{ name = "{CHANNEL}"; chatnet = "t"; autojoin = "yes"; }} );\n'
            f'settings = {{ core = {{ nick = "{self.nick}"; user_name = "x"; }}; "fe-common/core" = '
            f'{{ autolog = "yes"; autolog_path = "{self.directory}/$0.log"; }}; }};\n')
        self.terminal.open(self.nick, "irssi", f"--home={self.directory}")

    @staticmethod
    def block(options):
        return "{ " + " ".join(f'{name} = "{value}";' for name, value in options.items()) + " };"

    def shown(self):
        log = self.directory / f"{CHANNEL}.log"
        return log.read_text() if log.exists() else ""

    def go_to(self, window):
        self.terminal.type(self.nick, f"/window goto {window}")

    def say(self):
        self.go_to(CHANNEL)
        super().say()

    def wave(self):
        self.go_to(CHANNEL)
        super().wave()

    def come_again(self):
        self.terminal.type(self.nick, "/rmreconns")  # which it would do in five minutes
        self.terminal.type(self.nick, "/connect t")

    def quit(self):
        self.terminal.type(self.nick, "/quit gone")


class Weechat(Client):
    """Without a screen it takes commands only at its start, and does others when it gets a signal."""
    program = "weechat-headless"
    SAID = r"^[^\t\n]*\t[@+~&%]?([^ \t\n]+)\t(.*)$"

    def start(self):
        # Before release 4 options of TLS begin with ssl, later with tls.
        options = {"ssl": "on" if self.tls else "off", "ssl_verify": "off", "nicks": self.nick,
                   "autojoin": CHANNEL, "autoreconnect_delay": 1, "autoreconnect_delay_growing": 1}
        if self.login:
            options["sasl_mechanism"] = self.login.mechanism.lower()
            options["sasl_username"] = self.nick
            options["sasl_password"] = self.login.password or ""
            if self.login.certificate:
                both = self.directory / "both.pem"
                both.write_text("".join(file.read_text() for file in self.login.certificate))
                options["ssl_cert"] = both
        commands = ["/set logger.file.flush_delay 0", f"/server add t {self.host}/{self.port}"]
        for name, value in options.items():
            commands.append(f"/set irc.server.t.{name} {value}")
            if name.startswith("ssl"):
                commands.append(f"/set irc.server.t.{name.replace('ssl', 'tls')} {value}")
        commands += [f'/set weechat.signal.sigusr1 "/msg -server t {CHANNEL} {self.sentence()}"',
                     f'/set weechat.signal.sigusr2 "/command -buffer irc.t.{CHANNEL} * /me waves"',
                     "/connect t"]
        self.terminal.open(self.nick, "weechat-headless", "-d", self.directory,
                           *[word for command in commands for word in ("-r", command)])

    def shown(self):
        files = glob.glob(f"{self.directory}/logs/irc.t.{CHANNEL}.weechatlog")
        return pathlib.Path(files[0]).read_text() if files else ""

    def conversation(self):
        return [said for said in super().conversation()
                if said[0] not in ("--", "-->", "<--", "*", "=!=")]

    def say(self):
        os.kill(self.terminal.pid(self.nick), signal.SIGUSR1)

    def wave(self):
        os.kill(self.terminal.pid(self.nick), signal.SIGUSR2)

    def come_again(self):
        """It does by itself."""

    def quit(self):
        os.kill(self.terminal.pid(self.nick), signal.SIGTERM)


class Ii(Client):
    """It speaks in the open only, and takes what is written to its files."""
    program = "ii"
    SAID = r"^\d+ <([^>]+)> (.*)$"

    def start(self):
        self.terminal.open(self.nick, "ii", "-i", self.directory, "-s", self.host, "-p", self.port,
                           "-n", self.nick)
        out = self.directory / self.host / "out"
        until(lambda: out.exists() and "Welcome to the foster" in out.read_text(), "ii's welcome")
        self.write("", f"/j {CHANNEL}")

    def write(self, channel, text):
        path = self.directory / self.host / channel / "in"
        until(path.exists, f"{path}")
        path.open("w", encoding="utf-8").write(text + "\n")

    def shown(self):
        out = self.directory / self.host / CHANNEL / "out"
        return out.read_text() if out.exists() else ""

    def say(self):
        self.write(CHANNEL, self.sentence())

    def wave(self):
        self.write(CHANNEL, "\1ACTION waves\1")

    def quit(self):
        self.write("", "/q gone")


class OnScreen(Client):
    """Our own two. When one has ended its exit code is shown, until Enter."""
    SAID = r"^([^ \n]+) : (.*)$"

    def open(self, *command):
        self.terminal.open(self.nick, "sh", "-c", '"$@"; echo "ended with $?"; read -r line', "sh",
                           *command)

    def quit(self):
        self.terminal.type(self.nick, "quit")
        until(lambda: re.search(r"^ended with \d+$", self.shown(), re.M), f"{self.nick}'s end")
        shown = self.shown()
        assert "\nended with 0\n" in shown, shown
        self.terminal.type(self.nick, "")


class FosterChat(OnScreen):
    program = "foster-chat"
    by_irc = knows_actions = False

    def start(self):
        builddir = os.environ["FOSTER_BUILDDIR"]
        options = ["--irc"] if self.by_irc else []
        if self.tls:
            options += ["--tls", "--insecure"]
        if self.login and self.login.certificate:
            options += ["--certificate", self.login.certificate[0],
                        "--key", self.login.certificate[1], "--name", self.nick]
        elif self.login:
            options += ["--account", self.nick]
        else:
            options += ["--name", self.nick]
        at = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        self.open(f"{builddir}/foster-chat", "--lang", "en", *options, at)
        if self.login and self.login.password:
            until(lambda: "password:" in self.shown(), "the question for a password")
            self.terminal.type(self.nick, self.login.password)


class FosterChatByIrc(FosterChat):
    by_irc = knows_actions = True
    SAID = r"^([^ \n]+) : (?:\[[-\d]+ [\d:]+\] )?(.*)$"  # what was said before has its time

    def come_again(self):
        """Its connection is lost, and with that it ends."""
        until(lambda: "\nended with 1\n" in self.shown(), f"{self.nick} ends")
        self.terminal.type(self.nick, "")
        self.past = 0
        self.start()


class CourseProgram(OnScreen):
    program = "course-client.py"
    knows_actions = False

    def start(self):
        source = pathlib.Path(__file__).resolve().parents[2] / "doc/examples/course-client.py"
        self.open(sys.executable, source, self.host, self.port)
        until(lambda: "name:" in self.shown(), "the question for a name")
        self.terminal.type(self.nick, self.nick)
