"""The chat room with the clients that people use, by all its doors at once; see real_clients.py."""

import re
import signal

import pytest

from chat_clients import CourseClient, IrcClient
from foster import until
from real_clients import (CourseProgram, FosterChat, FosterChatByIrc, Ii, Irssi, Login, Terminal,
                          Weechat)
from test_chat_accounts import ON, PASSWORD as WORDS, fosterctl
from test_chat_tls import TlsRoom, fingerprint_of, make_certificate

PASSWORD = WORDS.replace(" ", "-")


@pytest.fixture
def terminal(directory):
    home = directory / "home"
    home.mkdir()
    made = Terminal(home)
    yield made
    made.end()


def doors_of(room):
    """{name: (address, whether it is TLS)}"""
    return {"plain4": (room.irc, False), "plain6": (room.irc6, False),
            "tls4": (room.tls, True), "tls6": (room.tls6, True),
            "course4": (room.course, False), "course6": (room.course6, False)}


IRC_DOORS = ("plain4", "plain6", "tls4", "tls6")
COURSE_DOORS = ("course4", "course6")
PLACES = [
    *((Irssi, f"irssi-{door}", door) for door in IRC_DOORS),
    *((Weechat, f"weechat-{door}", door) for door in IRC_DOORS),
    *((FosterChatByIrc, f"王五-{door}", door) for door in IRC_DOORS),
    (Ii, "ii-plain4", "plain4"), (Ii, "ii-plain6", "plain6"),  # it speaks no TLS
    *((FosterChat, f"张三-{door}", door) for door in COURSE_DOORS),
    *((CourseProgram, f"李四-{door}", door) for door in COURSE_DOORS)]


def enter_one_by_one(terminal, room, watcher, places):
    clients = []
    for kind, nick, door in places:
        address, tls = doors_of(room)[door]
        clients.append(kind(terminal, nick, address, tls))
        host = watcher.expect(rf"^:{nick}!\S+@(\S+) JOIN :?#chat").group(1)
        assert host == address[0].replace("::1", "0::1")  # as IRC has it: no word begins with a colon
    return clients


def until_all_heard(clients, said):
    """Each shows what each of the others has said: once, whole, and in this order."""
    for client in clients:
        others = [(nick, text) for nick, text in said if nick != client.nick]
        until(lambda: len(client.heard()) >= len(others), f"{client.nick} hears all")
        assert client.heard() == others, client.nick


def speak_one_by_one(clients, watcher):
    """Who speaks has heard the rest: what he types is not shown within what he hears."""
    for n, client in enumerate(clients):
        until(lambda: len(client.heard()) >= n, f"{client.nick} hears all so far")
        client.say()
        watcher.expect(f"^:{client.nick}!.* PRIVMSG #chat :{client.sentence()}$")
    return [(client.nick, client.sentence()) for client in clients]


def test_every_client_by_every_door(any_room, terminal):
    """Eighteen in one room at once. What each says all the others see."""
    room = any_room(TlsRoom)
    with IrcClient(room.irc, "watcher", "#chat") as watcher:
        clients = enter_one_by_one(terminal, room, watcher, PLACES)
        watcher.send("NAMES #chat")
        names = re.findall("[^ :@]+", " ".join(line.split(" :", 1)[1] for line in watcher.sync()
                                               if " 353 " in line))
        assert sorted(names) == sorted(["watcher", *(client.nick for client in clients)])
        said = speak_one_by_one(clients, watcher)
        until_all_heard(clients, said)
        waving = [client for client in clients if client.knows_actions]
        for client in waving:
            client.wave()
            watcher.expect(f"^:{client.nick}!.* PRIVMSG #chat :\1ACTION waves\1$")
        for client in clients:
            for other in waving:
                until(lambda: client is other or client.sees_waving(other.nick),
                      f"{client.nick} sees {other.nick} wave")
        for client in clients:
            client.quit()
            watcher.expect(f"^:{client.nick}!.* QUIT ")


# The account's name, and how it logs in: irssi has no SCRAM in Debian 12.
ACCOUNTS = [
    (Irssi, "irssi-plain", "plain4", "PLAIN"), (Irssi, "irssi-plain-tls", "tls6", "PLAIN"),
    (Irssi, "irssi-external", "tls4", "EXTERNAL"),
    (Weechat, "weechat-plain-tls", "tls4", "PLAIN"), (Weechat, "weechat-external", "tls6", "EXTERNAL"),
    (Weechat, "weechat-scram", "plain6", "SCRAM-SHA-256"),
    (Weechat, "weechat-scram-tls", "tls4", "SCRAM-SHA-256"),
    (FosterChatByIrc, "foster-plain-tls", "tls6", "PLAIN"),
    (FosterChatByIrc, "foster-external", "tls4", "EXTERNAL")]


def enter_with_accounts(terminal, room, watcher, logins):
    clients = []
    for kind, nick, door, _ in ACCOUNTS:
        address, tls = doors_of(room)[door]
        clients.append(kind(terminal, nick, address, tls, logins[nick]))
        expect_logged_in(watcher, clients[-1])
    return clients


def expect_logged_in(watcher, client):
    def whois():
        watcher.send(f"WHOIS {client.nick}")
        told = " ".join(watcher.sync())
        return f" 330 watcher {client.nick} {client.nick} :is logged in as" in told and told
    told = until(whois, f"{client.nick} is logged in")
    assert (f" 671 watcher {client.nick} :is using a secure connection" in told) == client.tls, told


def make_accounts(room, directory):
    """{account: how to log in to it}"""
    logins = {}
    for _, name, _, mechanism in ACCOUNTS:
        fosterctl(room, "add", name, password=PASSWORD)
        if mechanism == "EXTERNAL":
            logins[name] = Login(mechanism, certificate=make_certificate(directory, name))
            fosterctl(room, "cert", "add", name, fingerprint_of(logins[name].certificate[0]))
        else:
            logins[name] = Login(mechanism, PASSWORD)
    return logins


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_clients_log_in_and_see_what_was_said_before_a_restart(any_room, directory, terminal, end):
    """By each mechanism that they have; before the restart, and when they come again after it."""
    room = any_room(TlsRoom, f"{ON}history = on\nhistory-on-join = 100\n", start=False)
    logins = make_accounts(room, directory)
    room.start()
    with IrcClient(room.irc, "watcher", "#chat") as watcher:
        clients = enter_with_accounts(terminal, room, watcher, logins)
        said = speak_one_by_one(clients, watcher)
        with CourseClient(room.course6, "张三") as course:
            course.say("再  见")
            watcher.expect("^:张三!udp@0::1 PRIVMSG #chat :再  见$")
        said.append(("张三", "再  见"))
        until_all_heard(clients, said)
        for client in clients:
            client.forget()
        room.stop(end)
    room.start()
    with IrcClient(room.irc, "watcher", "#chat") as watcher:
        for client in clients:
            client.come_again()
        for client in clients:
            expect_logged_in(watcher, client)
            until(lambda: len(client.conversation()) >= len(said),
                  f"{client.nick} is shown what was said")
            assert client.conversation() == said, client.nick
        for client in clients:
            client.quit()
            watcher.expect(f"^:{client.nick}!.* QUIT ")
