"""Accounts of the chat room: from fosterctl to SASL, with the clients that people use."""

import base64
import hashlib
import hmac
import os
import pty
import re
import select
import signal
import socket
import subprocess
import termios

import pytest

from chat_clients import Chatd, IrcClient
from conftest import SANITIZER_WORDS, ordinary_user
from foster import until
from test_chat_tls import TlsRoom, client as tls_client, fingerprint_of, make_certificate

ON = 'accounts = on\nstate-directory = "state"\n'
PASSWORD = "correct horse"


@pytest.fixture
def chatd(any_room):
    """Makes chat rooms with accounts; chatd(options, start=False) only writes the config."""
    return lambda options="", **arguments: any_room(Chatd, ON + options, **arguments)


def fosterctl(room, *words, password=None, check=True):
    """fosterctl chat account ...; returns what it printed."""
    result = subprocess.run(
        [str(room.builddir / "fosterctl"), "chat", "account", "--config", str(room.config), *words],
        input=password + "\n" if password else "", capture_output=True, text=True,
        **({"user": room.user[0], "group": room.user[1], "extra_groups": []} if room.user else {}))
    assert not any(word in result.stderr for word in SANITIZER_WORDS), result.stderr
    if check:
        assert result.returncode == 0, result.stderr
        return result.stdout
    return result


def plain(client, name, password):
    text = base64.b64encode(f"\0{name}\0{password}".encode()).decode()
    client.send("AUTHENTICATE PLAIN")
    client.expect(r"^AUTHENTICATE \+$")
    client.send(f"AUTHENTICATE {text}")


def test_fosterctl_looks_after_accounts(chatd):
    """While the room does not run, and while it does: then it takes notice at once."""
    room = chatd(start=False)
    fosterctl(room, "add", "lily", password=PASSWORD)
    assert re.fullmatch(r"lily\t\d{4}-\d\d-\d\d\n", fosterctl(room, "list"))
    room.start()
    room.wait_output(r'accounts: .*: added "lily"')
    assert os.stat(room.directory / "state/accounts.db").st_mode & 0o777 == 0o600
    with IrcClient(room.irc, "tom") as tom:
        plain(tom, "lily", "wrong horse")
        tom.expect("^:chat.foster 904 tom ")
        plain(tom, "lily", PASSWORD)
        tom.expect("^:chat.foster 900 tom tom!~tom@127.0.0.1 lily :You are now logged in as lily$")
        tom.expect("^:chat.foster 903 tom ")
        fosterctl(room, "add", "rose", password=PASSWORD)
        room.wait_output(r'accounts: .*: added "rose"')
        tom.send("NICK rose")
        tom.expect("^:chat.foster 433 tom rose ")
        fosterctl(room, "nick", "add", "lily", "lil")
        room.wait_output(r'gave the nick lil to "lily"')
        tom.send("NICK lil")
        tom.expect("^:tom!~tom@127.0.0.1 NICK :lil$")
        fosterctl(room, "passwd", "lily", password="another horse")
        with IrcClient(room.irc, "jack") as jack:
            plain(jack, "lily", PASSWORD)
            jack.expect(" 904 ")
            plain(jack, "lily", "another horse")
            jack.expect(" 903 ")
        fosterctl(room, "remove", "lily")
        tom.expect("^:chat.foster 901 lil lil!~tom@127.0.0.1 :You are now logged out$")
    assert fosterctl(room, "list").startswith("rose\t")
    assert room.stop() == 0


def test_what_fosterctl_refuses(chatd):
    room = chatd(start=False)
    fosterctl(room, "add", "lily", password=PASSWORD)
    for words, password, reason in (
            (["add", "LILY"], PASSWORD, '"LILY" belongs to the account "lily"'),
            (["add", "a b"], PASSWORD, '"a b" is no name'),
            (["add", "x"], "short", "a password has at least 8 bytes"),
            (["add", "x"], "y" * 301, "a password has at most 300 bytes"),
            (["add", "x"], "y" * 400, "a password has at most 300 bytes"),
            (["cert", "list", "tom"], None, 'there is no account "tom"'),
            (["nick", "list", "tom"], None, 'there is no account "tom"'),
            (["list", "--json"], None, "--json is not for chat account"),
            (["add", "x"], None, "no password came from the standard input"),
            (["passwd", "tom"], PASSWORD, 'there is no account "tom"'),
            (["remove", "tom"], None, 'there is no account "tom"'),
            (["cert", "add", "lily", "abc"], None, "64 hexadecimal digits"),
            (["cert", "remove", "lily", "ab" * 32], None, "does not belong to"),
            (["nick", "add", "lily", "lily"], None, "belongs to the account"),
            (["add", "x", "password1"], None, "usage: fosterctl chat account"),
            (["frobnicate"], None, "usage: fosterctl chat account")):
        result = fosterctl(room, *words, password=password, check=False)
        assert result.returncode in (1, 2) and reason in result.stderr, (words, result)
    fosterctl(room, "cert", "add", "lily", "sha256 Fingerprint=" + ":".join(["AB"] * 32))
    assert fosterctl(room, "cert", "list") == f"lily\t{'ab' * 32}\n"
    assert fosterctl(room, "nick", "list", "lily") == ""


def test_the_terminal_shows_no_password(chatd):
    room = chatd(start=False)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(room.builddir / "fosterctl"), "chat", "account", "--config", str(room.config),
         "add", "lily"], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""

    def wait_for(text):
        nonlocal shown
        while text not in shown:
            assert select.select([ours], [], [], 10)[0], shown
            shown += os.read(ours, 4096)

    wait_for(b"Password: ")
    os.write(ours, PASSWORD.encode() + b"\n")
    wait_for(b"The same again: ")
    os.write(ours, PASSWORD.encode() + b"\n")
    assert process.wait(10) == 0, shown
    os.close(ours)
    assert PASSWORD.encode() not in shown
    assert fosterctl(room, "list").startswith("lily\t")


def test_an_interrupted_question_leaves_the_terminal_as_it_was(chatd):
    room = chatd(start=False)
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    process = subprocess.Popen(
        [str(room.builddir / "fosterctl"), "chat", "account", "--config", str(room.config),
         "add", "lily"], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    shown = b""
    while b"Password: " not in shown:
        assert select.select([ours], [], [], 10)[0], shown
        shown += os.read(ours, 4096)
    assert not termios.tcgetattr(theirs)[3] & termios.ECHO
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == -signal.SIGINT
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)
    assert fosterctl(room, "list") == ""


def test_the_admin_child_has_no_copy_of_the_database(chatd):
    room = chatd()

    def open_files(pid):
        names = []
        for entry in os.scandir(f"/proc/{pid}/fd"):
            try:
                names.append(os.readlink(entry.path))
            except FileNotFoundError:  # closed meanwhile
                pass
        return names

    assert any("accounts.db" in name for name in open_files(room.pid))
    until(lambda: not any("accounts.db" in name or "inotify" in name
                          for name in open_files(room.admin())), "the copies are closed")


def scram(client, name, password, spoil=lambda proof: proof):
    """RFC 7677 by the client's side. Returns the server's last message."""
    def say(text):
        client.send("AUTHENTICATE " + base64.b64encode(text.encode()).decode())

    client.send("AUTHENTICATE SCRAM-SHA-256")
    client.expect(r"^AUTHENTICATE \+$")
    first = f"n={name},r=clientnonce"
    say("n,," + first)
    server_first = base64.b64decode(client.expect("^AUTHENTICATE (.*)$").group(1)).decode()
    fields = dict(part.split("=", 1) for part in server_first.split(","))
    assert fields["r"].startswith("clientnonce") and len(fields["r"]) > 30
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields["s"]),
                                 int(fields["i"]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    message = f"{first},{server_first},c=biws,r={fields['r']}".encode()
    signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
    proof = spoil(bytes(a ^ b for a, b in zip(key, signature)))
    say(f"c=biws,r={fields['r']},p={base64.b64encode(proof).decode()}")
    answer = client.expect("^AUTHENTICATE (.*)$| 904 ").group(1)
    if answer is None:
        return None
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    expected = base64.b64encode(hmac.digest(server_key, message, "sha256")).decode()
    assert base64.b64decode(answer).decode() == f"v={expected}"
    client.send("AUTHENTICATE +")
    client.expect(" 903 ")
    return fields


def test_scram(chatd):
    room = chatd(start=False)
    fosterctl(room, "add", "Lily", password=PASSWORD)
    room.start()
    with IrcClient(room.irc) as client:
        client.send("CAP LS 302")
        client.expect(r" sasl=PLAIN,SCRAM-SHA-256( |$)")
        client.send("CAP REQ sasl", "NICK tom", "USER tom 0 * :Tom")
        assert scram(client, "lily", PASSWORD, lambda p: p[:-1] + bytes([p[-1] ^ 1])) is None
        assert scram(client, "lily", "wrong") is None
        assert scram(client, "nobody", PASSWORD) is None
        assert scram(client, "lily", PASSWORD)["i"] == "50000"
        client.send("CAP END")
        client.expect(" 001 tom ")
        client.send("WHOIS tom")
        client.expect("^:chat.foster 330 tom tom Lily :is logged in as$")


def test_registering(chatd):
    room = chatd("account-registration = on\n")
    with IrcClient(room.irc) as client:
        client.send("CAP LS 302")
        client.expect(" draft/account-registration=before-connect( |$)")
        client.send("NICK lily", "USER x 0 * :x", f"REGISTER * * :{PASSWORD}")
        client.expect("^:chat.foster REGISTER SUCCESS lily :")
        client.expect(" 900 lily ")
        client.send("CAP END")
        client.expect(" 001 lily ")
    room.wait_output('accounts: "lily" was registered')
    assert room.stop(9) == -9  # what was acknowledged survives that
    room.start()
    with IrcClient(room.irc, "tom") as tom:
        plain(tom, "lily", PASSWORD)
        tom.expect(" 903 ")


def test_without_sasl(chatd):
    """PASS logs in, the owner takes his nick, GHOST ends his other connection, PASSWD."""
    room = chatd()
    with IrcClient(room.irc, "lily") as squatter, IrcClient(room.irc) as client:
        fosterctl(room, "add", "lily", password=PASSWORD)
        squatter.expect("NOTICE lily :lily is an account's nick now")
        client.send("NICK lily")
        client.expect(" 433 ")
        client.send(f"PASS :lily:{PASSWORD}", "NICK tom", "USER x 0 * :x")
        client.expect(" 900 tom tom!~x@127.0.0.1 lily :")
        client.expect(" 001 tom ")
        client.send("NICK lily")
        client.expect("^:tom!~x@127.0.0.1 NICK :lily$")
        squatter.expect("^:lily!~lily@127.0.0.1 NICK :Guest1$")
        client.send("PASSWD wrong :another horse")
        client.expect("FAIL PASSWD WRONG_PASSWORD lily ")
        with IrcClient(room.irc) as again:
            again.send(f"PASS :lily:{PASSWORD}", "NICK lily")
            again.expect(" 900 ")
            again.send("NICK lily")
            again.expect(" 433 .* GHOST lily ")
            again.send("GHOST lily", "NICK lily", "USER x 0 * :x")
            again.expect("NOTE GHOST GONE lily ")
            again.expect(" 001 lily ")
            client.expect(r"^ERROR :Closing Link: 127.0.0.1 \(Ended by \*\)$")
    fosterctl(room, "passwd", "lily", password="horsecorrect")
    with IrcClient(room.irc, "tom") as client:
        plain(client, "lily", "horsecorrect")
        client.expect(" 903 ")
        client.send(f"PASSWD horsecorrect :{PASSWORD}")
        client.expect("NOTE PASSWD SUCCESS lily ")
    room.wait_output('accounts: "lily" has another password')
    with IrcClient(room.irc) as client:
        client.send("PASS lily:horsecorrect", "NICK tom", "USER x 0 * :x")
        client.expect(" 464 ")
        client.expect(r"^ERROR :Closing Link: 127.0.0.1 \(Bad password\)$")


def test_a_certificate_for_a_password(builddir, directory):
    room = TlsRoom(builddir, directory / "tls", ON)
    lilys, others = make_certificate(directory, "lily"), make_certificate(directory, "other")
    try:
        fosterctl(room, "add", "lily", password=PASSWORD)
        fosterctl(room, "cert", "add", "lily", fingerprint_of(lilys[0]).upper())
        room.start()
        with IrcClient(room.tls, tls=tls_client(certificate=lilys)) as client:
            client.send("CAP LS 302")
            client.expect(r" sasl=PLAIN,SCRAM-SHA-256,EXTERNAL( |$)")
            client.send("NICK lily", "USER lily 0 * :Lily", "AUTHENTICATE EXTERNAL")
            client.expect(r"^AUTHENTICATE \+$")
            client.send("AUTHENTICATE +")
            client.expect(" 900 lily .* lily :You are now logged in as lily$")
            client.send("CAP END")
            client.expect(" 001 lily ")
            fosterctl(room, "cert", "remove", "lily", fingerprint_of(lilys[0]))
            client.send("AUTHENTICATE EXTERNAL", "AUTHENTICATE +")
            client.expect(" 904 lily ")
        for context in (tls_client(certificate=others), tls_client()):
            with IrcClient(room.tls, "tom", tls=context) as client:
                client.send("AUTHENTICATE EXTERNAL", "AUTHENTICATE +")
                client.expect(" 904 tom ")
                plain(client, "lily", PASSWORD)
                client.expect(" 903 tom ")
    finally:
        room.end()
    assert not any(word in room.output() for word in SANITIZER_WORDS), room.output()


def test_a_flood_of_wrong_passwords_holds_up_nobody(chatd):
    room = chatd("registration-timeout = infinity\n", start=False)
    fosterctl(room, "add", "lily", password=PASSWORD)
    room.start()
    wrong = base64.b64encode(b"\0lily\0wrong horse").decode()
    attackers = []
    try:
        for _ in range(80):
            s = socket.create_connection(room.irc, source_address=("127.0.0.2", 0))
            attackers.append(s)
            s.sendall(f"AUTHENTICATE PLAIN\r\nAUTHENTICATE {wrong}\r\n".encode())
        told = [b""] * len(attackers)

        def listen(i, words):
            while words not in told[i]:
                assert select.select([attackers[i]], [], [], 30)[0], told[i]
                told[i] += attackers[i].recv(1000)

        for i in range(len(attackers)):
            listen(i, b"AUTHENTICATE +")  # all have been heard
        with IrcClient(room.irc, "tom") as tom:
            plain(tom, "lily", PASSWORD)
            tom.expect(" 903 ")
            for i, s in enumerate(attackers):
                if select.select([s], [], [], 0)[0]:
                    told[i] += s.recv(1000)
            answered = sum(b" 904 " in text for text in told)
            assert answered < len(attackers) - 10, "they were all answered first"
        for i in range(len(attackers)):
            listen(i, b" 904 ")
    finally:
        for s in attackers:
            s.close()


def test_server_operators(chatd):
    """OPER by account, KLINE over a restart, REHASH with a config that is wrong, and right."""
    room = chatd('server-operators = {"lily"}\n', start=False)
    fosterctl(room, "add", "lily", password=PASSWORD)
    room.start()

    def operator():
        client = IrcClient(room.irc, "boss")
        plain(client, "lily", PASSWORD)
        client.expect(" 903 ")
        client.send("OPER lily x")
        client.expect(" 381 ")
        return client

    with operator() as boss, IrcClient(room.irc, "tom") as tom:
        boss.send("KILL tom :no more")
        tom.expect(r"^ERROR :Closing Link: 127.0.0.1 \(Killed \(boss \(no more\)\)\)$")
        room.wait_output(r"boss!~boss@127.0.0.1 \(lily\) throws out tom!~tom@127.0.0.1: no more")
        boss.send("KLINE ~spam*@127.0.0.1 :spam", "KLINE ~other@127.0.0.1 :other",
                  "UNKLINE ~other@127.0.0.1")
        boss.sync()
        room.config.write_text(room.config.read_text() + "nonsense = 1\n")
        boss.send("REHASH")
        boss.expect("^:chat.foster 382 boss ")
        boss.expect(r"NOTICE boss :\*\*\* The config stays as it was; the log says why$")
        room.write_config(ON + 'server-operators = {"lily"}\nmotd = {"tea"}\nnetwork = other\n'
                          'nick-length = 20\n')
        boss.send("REHASH")
        boss.expect(r"NOTICE boss :\*\*\* The config was read again; a restart takes: network, "
                    "nick-length$")
        room.wait_output("network, nick-length have changed")
        room.write_config(ON + 'server-operators = {"lily"}\nmotd = {"tea"}\n')
        boss.send("REHASH")
        boss.expect(r"NOTICE boss :\*\*\* The config was read again$")
        boss.send("MOTD")
        boss.expect(":- tea$")
    assert room.stop() == 0
    room.messages.clear()
    while select.select([room.notify], [], [], 0)[0]:
        room.notify.recv(4096)  # of the REHASHes
    room.start()
    with IrcClient(room.irc) as client:
        client.send("NICK x", "USER spammer 0 * :x")
        client.expect("^:chat.foster 465 x :You are banned from this server: spam$")
        client.expect_end()
    with IrcClient(room.irc) as client:
        client.send("NICK x", "USER other 0 * :x")
        client.expect(" 001 x ")
    with operator() as boss:
        boss.send("STATS k")
        boss.expect(r"^:chat.foster 216 boss K 127.0.0.1 \* ~spam\* :spam$")
        room.write_config(ON)
        room.process.send_signal(signal.SIGHUP)
        boss.expect("^:boss MODE boss :-o$")


def test_failed_logins_are_logged(chatd):
    """With address and account, as who guards against guessing reads it; nothing is forged."""
    room = chatd(f'cloak-key = "{"k" * 20}"\n', start=False)
    fosterctl(room, "add", "lily", password=PASSWORD)
    room.start()
    with IrcClient(room.irc, "tom") as tom:
        for name, shown in (("lily", "lily"), ("nobody", "nobody"), ("a\nb\" c", "a?b??c"),
                            ("\x1b[1m", r"\?\[1m"), ("x" * 100, "x" * 64)):
            text = base64.b64encode(f"\0{name}\0wrong horse".encode()).decode()
            tom.send("AUTHENTICATE PLAIN", f"AUTHENTICATE {text}")
            tom.expect(" 904 ")
            shown = shown.replace("a?b??c", r"a\?b\?\?c")
            room.wait_output(f'foster-chatd: accounts: 127.0.0.1: log-in failed, account "{shown}"\n')
        plain(tom, "lily", PASSWORD)
        tom.expect(" 903 ")
    # Who does not wait for the answer is told of all the same.
    with socket.create_connection(room.irc) as s:
        text = base64.b64encode(b"\0hasty\0wrong horse").decode()
        s.sendall(f"NICK x\r\nUSER x 0 * :x\r\nAUTHENTICATE PLAIN\r\nAUTHENTICATE {text}\r\n"
                  .encode())
        until(lambda: b" 001 " in s.recv(4096), "coming in")
    room.wait_output('127.0.0.1: log-in failed, account "hasty"')
    assert room.output().count("log-in failed") == 6


def test_locked_out(chatd):
    """A K-line that fits all who know the way: undone from the shell, or by who is an operator."""
    room = chatd('server-operators = {"lily"}\n', start=False)
    fosterctl(room, "add", "lily", password=PASSWORD)
    room.start()

    def kline(*words, check=0):
        result = subprocess.run(
            [str(room.builddir / "fosterctl"), "chat", "kline", "--config", str(room.config),
             *words], capture_output=True, text=True,
            **({"user": room.user[0], "group": room.user[1], "extra_groups": []}
               if room.user else {}))
        assert result.returncode == check, result.stderr
        return result.stdout + result.stderr

    def expect_refused(nick):
        with IrcClient(room.irc) as client:
            client.send(f"NICK {nick}", "USER tom 0 * :x")
            client.expect(f"^:chat.foster 465 {nick} ")
            client.expect_end()

    with IrcClient(room.irc, "boss") as boss:
        plain(boss, "lily", PASSWORD)
        boss.expect(" 903 ")
        boss.send("OPER", "KLINE 127.0.0.0/8 :careless")
        boss.expect("FAIL KLINE INVALID_MASK :.* would keep out almost everybody$")
        boss.send("KLINE ~?o?@127.0.0.0/8 :careless", "KLINE 1d 192.0.2.0/24")
        boss.expect(r"keeps out \*@192.0.2.0/24: ")
    expect_refused("tom")
    with IrcClient(room.irc) as boss:
        boss.send("CAP REQ sasl", "NICK boss", "USER bob 0 * :x")
        plain(boss, "lily", PASSWORD)
        boss.expect(" 903 ")
        boss.send("CAP END")
        boss.expect("^:chat.foster 001 boss ")
    first, second = kline("list").splitlines()
    assert first.startswith("~?o?@127.0.0.0/8\tfor ever\tboss!~boss@127.0.0.1 (lily)\tcareless")
    assert re.match(r"\*@192.0.2.0/24\t\d{4}-\d\d-\d\dT", second)
    kline("remove", "~?o?@127.0.0.0/8")
    room.wait_output(r'accounts: .*: let in again "~\?o\?@127.0.0.0/8"')

    def comes_in():
        with IrcClient(room.irc) as client:
            client.send("NICK tom", "USER tom 0 * :x")
            return " 001 " in client.expect(" (001|465) tom ")[0]
    until(comes_in)
    assert "nobody is kept out by" in kline("remove", "~?o?@127.0.0.0/8", check=1)
    assert "usage: fosterctl chat kline VERB" in kline(check=2)
    assert room.stop() == 0
    kline("remove", "192.0.2.0/24")
    assert kline("list") == ""


# --- what may be wrong with the database ------------------------------------------------------

def expect_no_start(room, pattern):
    room.start(wait=False)
    assert room.process.wait(10) == 1
    assert re.search(pattern, room.output()), room.output()


def test_no_database(chatd):
    room = chatd(start=False)
    (room.directory / "state").mkdir()
    (room.directory / "state/accounts.db").write_text("no database " * 20)
    expect_no_start(room, r"/state/accounts\.db: file is not a database")
    room.write_config('state-directory = "state"\n')  # without accounts it need not be one
    room.start()
    with IrcClient(room.irc) as client:
        client.send("CAP LS 302")
        assert "sasl" not in client.expect("CAP .* LS").string


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
def test_a_database_that_cannot_be_written(chatd):
    user = ordinary_user()
    room = chatd(start=False, user=user)
    state = room.directory / "state"
    state.mkdir()
    os.chown(state, *user)
    fosterctl(room, "add", "lily", password=PASSWORD)
    os.chown(state / "accounts.db", 0, 0)
    expect_no_start(room, r"/state/accounts\.db: Permission denied")
    os.chown(state / "accounts.db", *user)
    os.chmod(state / "accounts.db", 0o400)
    os.chmod(state, 0o500)
    expect_no_start(room, r"/state/accounts\.db: (attempt to write a readonly database|"
                    r"unable to open database file)")
    os.chmod(state, 0o700)
    os.chmod(state / "accounts.db", 0o600)
    room.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
def test_root_leaves_the_servers_files_to_its_user(chatd):
    """The accounts are made by root before the server of another user was ever started."""
    user = ordinary_user()
    room = chatd(start=False, user=user)
    os.mkdir(room.directory / "state")
    os.chown(room.directory / "state", *user)
    room.user = None
    fosterctl(room, "add", "lily", password=PASSWORD)
    room.user = user
    room.start()
    room.user = None
    fosterctl(room, "passwd", "lily", password="another horse")
    with IrcClient(room.irc, "tom") as tom:
        plain(tom, "lily", "another horse")
        tom.expect(" 903 ")
