"""The operators' channel, with the supervisor above it: what is told, and who may command."""

import base64
import os
import signal

import pytest

from chat_clients import CourseClient, IrcClient, free_ports
from foster import alive, children_of, comm_of, until
from test_services import SLEEP, shell

PASSWORD = "correct horse"


class OpsRoom:
    def __init__(self, foster, options="", services="", accounts=("alice",),
                 requires=None):
        self.irc_port, self.course_port = free_ports()
        self.f = f = foster("", start=False)
        f.write(f'irc-listen = {{"127.0.0.1:{self.irc_port}"}}\n'
                f'course-listen = {{"127.0.0.1:{self.course_port}"}}\n'
                f'accounts = on state-directory = "state"\n{options}\n', "chat.conf")
        f.write(f'service chat {{ command = {{"{f.builddir}/foster-chatd", "--config", '
                f'"{f.directory}/chat.conf"}} ready = notify daemon = true restart = always '
                f'start-timeout = "20s" restart-delay = "10ms" '
                f'{f"requires = {{{requires}}}" if requires else ""} }}\n{services}')
        for name in accounts:
            f.ctl("chat", "account", "add", name, "--config", str(f.directory / "chat.conf"),
                  text_input=PASSWORD + "\n", check=0)
        f.start().wait_up()
        f.wait_state("chat", "running")

    def reload_chat(self, options):
        path = self.f.directory / "chat.conf"
        keep = path.read_text().splitlines()[:3]
        path.write_text("\n".join([*keep, options]) + "\n")
        os.kill(self.f.service_pid("chat"), signal.SIGHUP)
        until(lambda: "config read again" in self.f.log("chat"), self.f.log("chat"))

    def enter(self, nick, account=None, channel="#ops"):
        client = IrcClient(("127.0.0.1", self.irc_port), nick)
        if account:
            text = base64.b64encode(f"\0{account}\0{PASSWORD}".encode()).decode()
            client.send("AUTHENTICATE PLAIN", f"AUTHENTICATE {text}")
            client.expect(" 903 ")
        if channel:
            client.join(channel)
        return client


@pytest.fixture
def ops(foster):
    return lambda *arguments, **options: OpsRoom(foster, *arguments, **options)


def ask(client, text, answer):
    client.send(f"PRIVMSG #ops :{text}")
    return client.expect(rf"^:foster!foster@chat.foster NOTICE #ops :{answer}")


OPEN = 'operators-open = on\nnick-protection = off\noperators = {"alice"}'
DB = f"service db {{ command = {SLEEP} }}\n"


def test_ends_are_told_with_their_last_lines(ops):
    """Of the services whose log may be shown, and without what is to be hidden."""
    loud = shell("echo shown token=12345 >&2; exec sleep 1000")
    room = ops(OPEN + '\noperators-log = {"web"}\noperators-redact = {"token=[0-9]+"}',
               f"service web {{ command = {loud} }}\nservice bank {{ command = {loud} }}\n")
    with room.enter("a") as a:
        for name in ("web", "bank"):
            pid = room.f.wait_state(name, "running")["pid"]
            until(lambda: "shown" in room.f.log(name))
            os.kill(pid, signal.SIGKILL)
        seen = {}
        while len(seen) < 2:
            match = a.expect("PRIVMSG #ops :((web|bank): ended: .*)$")
            seen[match[2]] = match[1]
        assert "killed by SIGKILL" in seen["web"] and "; running, pid" in seen["web"] and \
            "shown [...]" in seen["web"]
        assert "shown" not in seen["bank"]
        room.f.ctl("stop", "web", check=0)
        a.expect(r"PRIVMSG #ops :web: stop asked for by fosterctl \(uid \d+, pid \d+\)$")
        a.expect("PRIVMSG #ops :web: stopped")


def test_reading_the_config_again_is_no_start(ops):
    """And uses up nothing: what ends after it is told as ever."""
    room = ops(OPEN, DB)
    chat = room.f.service_pid("chat")
    with room.enter("a") as a:
        for n in range(1, 7):
            os.kill(chat, signal.SIGHUP)
            until(lambda n=n: room.f.log("chat").count("config read again") == n)
        os.kill(room.f.service_pid("db"), signal.SIGKILL)
        lines = []
        while "db: ended: killed by SIGKILL" not in "".join(lines):
            lines.append(a.expect("PRIVMSG #ops :(.*)$")[1])
        started = [line for line in lines if line.startswith("chat: running")]
        assert len(started) <= 1, lines
        # Nor for who has not seen its start: the events themselves tell.
        admin, = [p for p in children_of(chat) if comm_of(p) == "chatd: admin"]
        os.kill(admin, signal.SIGKILL)
        until(lambda: room_answers(a, "a"))
        os.kill(chat, signal.SIGHUP)
        until(lambda: room.f.log("chat").count("config read again") == 7)
        room.f.ctl("stop", "db", check=0)
        lines = [a.expect("PRIVMSG #ops :(.*)$")[1]]
        while "db: stopped" not in lines[-1]:
            lines.append(a.expect("PRIVMSG #ops :(.*)$")[1])
        assert not any("chat: running" in line for line in lines), lines


def test_what_is_redacted(ops):
    """Also within colours, and of lines that are longer than what is read of a log."""
    script = (r"printf 'token=\033[1m12345 seen\n'; printf 'password='; printf '%09000d\n' 7; "
              "echo after; exec sleep 1000")
    room = ops(OPEN + '\noperators-log = {"*"}\n'
               "operators-redact = {'token=\\S+', 'password=[^ ]*'}",
               f"service web {{ command = {shell('echo alone; ' + script)} }}\n"
               f"service low {{ command = {shell(script.partition(';')[0] + '; exec sleep 99')} }}")
    until(lambda: "after" in room.f.log("web") and "seen" in room.f.log("low"))
    with room.enter("a") as a:
        ask(a, "!log low", r"low\| \[\.\.\.\] seen$")
        a.send("PRIVMSG #ops :!log web", "PRIVMSG #ops :!log nix")
        lines = []
        while not lines or "no service" not in lines[-1]:
            lines.append(a.expect("NOTICE #ops :(.*)$")[1])
        assert "web| after" in lines and not any("000" in line for line in lines)


def test_commands_take_an_account(ops):
    room = ops(OPEN, DB)
    pid = room.f.wait_state("db", "running")["pid"]
    with room.enter("alice") as stranger, room.enter("boss", "alice") as boss:
        # Who has the name of the account is not its owner.
        ask(stranger, "!stop db", "refused: log in to an operator's account first$")
        ask(stranger, "!status db", rf"db: running, pid {pid}, up ")
        assert room.f.service("db")["pid"] == pid
        ask(boss, "!restart db", "db: restart: ")
        boss.expect(r"PRIVMSG #ops :db: restart asked for by alice, through chatd: admin \(uid")
        boss.expect("PRIVMSG #ops :db: running, pid ")
        assert room.f.wait_state("db", "running")["pid"] != pid
        ask(boss, "!stop db", "db: stop: ")
        room.f.wait_state("db", "stopped")
        boss.send("PRIVMSG foster :start db")
        boss.expect("^:foster!foster@chat.foster NOTICE boss :db: start: ")
        room.f.wait_state("db", "running")
        ask(boss, "!stop nix", "stop: no service 'nix'$")
        ask(boss, "!stop", "!stop SERVICE$")
        ask(boss, "!reload", "reload: done$")
        boss.expect("NOTICE #ops :keep 2 services$")
        whole = (room.f.directory / "foster.conf").read_text()
        room.f.write(whole + "nonsense = 1\n")
        ask(boss, "!reload", "reload: the configuration has errors; nothing was changed$")
        boss.expect(r"NOTICE #ops :\S*foster.conf:\d+: there is no option nonsense")
        room.f.write(whole)
        ask(boss, "!why db", "db: running")
    log = room.f.log("chat")
    assert "refused: stop db" in log and "(account alice): restart db" in log
    assert "restart asked for by uid" in room.f.output() and ", for alice" in room.f.output()


def test_what_is_not_understood_is_not_done(ops):
    """Words too many may mean something else; colours are no part of a name, CTCP is no command."""
    room = ops(OPEN, DB)
    pid = room.f.wait_state("db", "running")["pid"]
    with room.enter("a", "alice") as a:
        for words, form in (("status db x", r"status \[SERVICE\]"), ("why db x", "why SERVICE"),
                            ("log db 5 x", r"log SERVICE \[LINES\]"), ("start db && x", "start SERVICE"),
                            ("restart db  now", "restart SERVICE"), ("stop db db", "stop SERVICE"),
                            ("reload x", "reload"), ("confirm 12345678 now", "confirm CODE")):
            ask(a, f"!{words}", f"!{form}, and nothing more: nothing was done$")
        for words, form in (("stop", "stop SERVICE"), ("ack", r"ack SERVICE \[TEXT\]"),
                            ("confirm", "confirm CODE")):
            ask(a, f"!{words}", f"!{form}$")
        assert room.f.service("db")["pid"] == pid
        ask(a, "!status \2db\2 ", rf"db: running, pid {pid}")
        a.send("PRIVMSG foster :\1VERSION\1", "PRIVMSG foster :status db")
        assert "db: running" in a.expect("NOTICE a :(.*)$")[1]


def test_rights_by_service(ops):
    room = ops('operators-open = on\noperators = {"alice:web*", "bob:db:start"}', DB,
               accounts=("alice", "bob"))
    with room.enter("a", "alice") as a, room.enter("b", "bob") as b:
        ask(a, "!stop db", "refused: the account alice has no right to that$")
        ask(b, "!stop db", "refused: the account bob has no right to that$")
        ask(b, "!start db", "db: start: ")
        ask(b, "!reload", "refused: ")
        # A reload of the room changes the rights of those who are in.
        room.reload_chat('operators-open = on\noperators = {"bob"}')
        until(lambda: ask(b, "!stop db", "(.*)$")[1].startswith("db: stop"))
        room.f.wait_state("db", "stopped")
        # And those who take the admin child's place know of it, both of them.
        for _ in range(2):
            admin = list(filter(alive, children_of(room.f.service_pid("chat"))))[0]
            os.kill(admin, signal.SIGKILL)
            until(lambda: not alive(admin), "its end")
            ask(a, "!start db", "refused: the account alice has no right to that$")
            ask(b, "!start db", "db: start")
            room.f.wait_state("db", "running")
            ask(b, "!stop db", "db: stop")
            room.f.wait_state("db", "stopped")


def test_never_from_a_notice_or_the_other_door(ops):
    room = ops(OPEN, DB)
    pid = room.f.wait_state("db", "running")["pid"]
    with room.enter("boss", "alice") as boss, \
            CourseClient(("127.0.0.1", room.course_port), "alice") as course:
        boss.send("NOTICE #ops :!stop db", "NOTICE foster :stop db", "PRIVMSG #chat :!stop db")
        course.say("!stop db")
        boss.join("#chat")
        boss.send("PRIVMSG #chat :!stop db")
        ask(boss, "!status db", f"db: running, pid {pid}, ")
        assert room.f.service("db")["pid"] == pid


def test_protected_services_are_asked_back_for(ops):
    room = ops(OPEN.replace('"alice"', '"alice", "bob"') + '\noperators-protected = {"d*"}', DB,
               accounts=("alice", "bob"))
    pid = room.f.wait_state("db", "running")["pid"]
    with room.enter("a", "alice") as a, room.enter("b", "bob") as b:
        code = ask(a, "!restart db", r"db is protected: !confirm (\w{8}) within 30 s")[1]
        ask(b, f"!confirm {code}", "nothing waits for that code of yours$")
        ask(a, "!confirm 00000000", "nothing waits")
        assert room.f.service("db")["pid"] == pid
        ask(a, f"!confirm {code}", "db: restart: ")
        until(lambda: room.f.service("db")["pid"] not in (0, pid))
        ask(a, f"!confirm {code}", "nothing waits")
        ask(a, "!start db", "db: start: ")  # hurts nobody


def test_the_room_itself_is_asked_back_for(ops):
    """Also when it would go with another: nobody could start it from within."""
    room = ops(OPEN, DB + f"service below {{ command = {SLEEP} }}\n", requires="below")
    pid = room.f.service_pid("chat")
    with room.enter("a", "alice") as a:
        for service, words in (("chat", "to stop it"), ("below", "to stop below")):
            ask(a, f"!stop {service}", "chat is this room itself"
                rf".*: !confirm \w{{8}} within 30 s {words}$")
        ask(a, "!stop db", "db: stop: ")
        room.f.wait_state("db", "stopped")
        assert room.f.service_pid("chat") == pid
        code = ask(a, "!stop chat", r"chat is .*!confirm (\w{8})")[1]
        a.send(f"PRIVMSG #ops :!confirm {code}")
        room.f.wait_state("chat", "stopped")


def test_what_a_protected_service_requires_is_protected(ops):
    """A stop takes with it what requires the service, at any distance."""
    room = ops('operators = {"alice:db"}\noperators-protected = {"shop"}',
               DB + f"service web {{ command = {SLEEP} requires = {{db}} }}\n"
               f"service shop {{ command = {SLEEP} requires = {{web}} }}\n")
    pid = room.f.wait_state("shop", "running")["pid"]
    with room.enter("a", "alice") as a:
        for verb in ("restart", "stop"):
            code = ask(a, f"!{verb} db", r"shop is protected, and ends with db: "
                       rf"!confirm (\w{{8}}) within 30 s to {verb} db$")[1]
        assert room.f.service("shop")["pid"] == pid
        ask(a, f"!confirm {code}", "db: stop: ")
        room.f.wait_state("shop", "stopped")
        room.f.wait_state("db", "stopped")
        ask(a, "!start db", "db: start: ")
        room.f.wait_state("db", "running")
        ask(a, "!stop db", "db: stop: ")  # the other one does not run


def test_only_operators_may_read(ops):
    room = ops('operators = {"alice"}')
    with room.enter("a", channel=None) as a:
        a.send("JOIN #ops")
        a.expect(r"^:chat.foster 473 a #ops :Cannot join channel: log in to an operator's account$")
    with room.enter("b", "alice") as b:
        ask(b, "!status", r"\d+ services?|chat: running")


def test_nothing_is_lost_while_the_room_is_away(ops):
    """What happened meanwhile is told to the first who comes; and that the room was away."""
    room = ops(OPEN, DB)
    f = room.f
    chat = f.service_pid("chat")
    os.kill(chat, signal.SIGSTOP)  # it hears nothing of what comes now
    os.kill(f.wait_state("db", "running")["pid"], signal.SIGKILL)
    until(lambda: f.service("db")["restarts"] == 1)
    os.kill(chat, signal.SIGKILL)
    until(lambda: (s := f.service("chat"))["state"] == "running" and s["pid"] != chat)
    with IrcClient(("127.0.0.1", room.irc_port), "a") as a:
        a.send("JOIN #ops")
        a.expect(r"PRIVMSG #ops :.*db: ended: killed by SIGKILL")
        a.expect(r"PRIVMSG #ops :.*chat: ended: killed by SIGKILL")


def test_admin_child_and_manager_are_replaced(ops):
    room = ops(OPEN, DB)
    f = room.f
    with room.enter("boss", "alice") as boss:
        for _ in range(3):
            f.kill_manager()
            f.ctl("restart", "db", check=0)
            boss.expect("PRIVMSG #ops :db: restart asked for by fosterctl")
            boss.expect("PRIVMSG #ops :db: running, pid ")
            admin, = [p for p in children_of(f.service_pid("chat")) if comm_of(p) == "chatd: admin"]
            os.kill(admin, signal.SIGKILL)
            f.ctl("restart", "db", check=0)  # nobody follows just now
            boss.expect("PRIVMSG #ops :db: restart asked for by fosterctl")
            boss.expect("PRIVMSG #ops :db: running, pid ")
            until(lambda: room_answers(boss))


def room_answers(client, nick="boss"):
    client.send("PRIVMSG foster :status db")
    return "db: running" in client.expect(f"NOTICE {nick} :(.*)$")[1]


def test_an_orderly_stop_is_no_failure(ops):
    room = ops(OPEN)
    with room.enter("a") as a, room.enter("b"):
        room.f.ctl("stop", "chat", check=0)
        a.expect("^ERROR :Closing Link: .*Server shutting down")
        room.f.wait_state("chat", "stopped")
    assert "have both ended" not in room.f.log("chat")


def test_no_supervisor_no_channel(builddir, directory):
    """By itself the room has no such channel of its own: the name is anybody's."""
    from chat_clients import Chatd
    room = Chatd(builddir, directory / "c", 'operators-open = on\n').start()
    try:
        with IrcClient(room.irc, "a", "#ops") as a:
            a.send("NAMES #ops")
            a.expect(" 353 a = #ops :@a$")
    finally:
        room.end()


@pytest.mark.parametrize("line, message", [
    ('operators = {"a b"}', '"a b" is no operator: an account, or "account:services"'),
    ('operators = {"a:b:kill"}', '"kill" is none of start, stop, restart, reload, ack'),
    ('operators = {"alice"}', "chat.conf: operators is set; it needs accounts = on"),
    ('server-operators = {"alice"}', "server-operators is set; it needs accounts = on"),
    ('operators-redact = {"["}', 'is no regular expression: '),
    ('operators-channel = "ops"', '"ops" is no channel'),
    ('operators-channel = "#CHAT"', "operators-channel and course-channel are both #chat"),
])
def test_bad_options(builddir, directory, line, message):
    import subprocess
    (directory / "chat.conf").write_text(line + "\n")
    done = subprocess.run([builddir / "foster-chatd", "--check", "-c", directory / "chat.conf"],
                          capture_output=True, text=True)
    assert done.returncode == 78 and message in done.stderr
