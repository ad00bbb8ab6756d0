"""TLS at the chat room's door, from outside: versions, certificates, reload, and bad clients."""

import functools
import hashlib
import os
import signal
import socket
import ssl
import subprocess
import warnings

import pytest

from chat_clients import Chatd, IrcClient, free_ports
from foster import until

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def make_certificate(directory, name, days="30"):
    """A certificate that signs itself, and its key."""
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", days, "-subj", f"/CN={name}",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


def fingerprint_of(certificate):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()


def client(version=None, certificate=None):
    """What an IRC client has that looks at no name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version:
        context.minimum_version = context.maximum_version = VERSIONS[version]
    if certificate:
        context.load_cert_chain(*certificate)
    return context


class TlsRoom(Chatd):
    def __init__(self, builddir, directory, options, **arguments):
        directory.mkdir()
        self.certificate, self.key = make_certificate(directory, "server")
        self.tls_port = free_ports()[0]
        self.tls = ("127.0.0.1", self.tls_port)
        self.tls6 = ("::1", self.tls_port)
        super().__init__(builddir, directory, options, **arguments)

    def write_config(self, options):
        text = ""
        if "tls-listen" not in options:
            text = f'tls-listen = {{"127.0.0.1:{self.tls_port}", "[::1]:{self.tls_port}"}}\n'
        if "tls-certificate" not in options:
            text += f'tls-certificate = "server.pem"\ntls-key = "{self.key}"\n'
        super().write_config(text + options)

    def reload(self):
        self.process.send_signal(signal.SIGHUP)
        self.expect_message("^RELOADING=1$")
        self.expect_message("^READY=1$")


@pytest.fixture
def rooms(any_room):
    return functools.partial(any_room, TlsRoom)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("version", VERSIONS)
def test_tls_and_plain_text_in_one_room(rooms, version, family):
    room = rooms()
    at = room.tls if family == 4 else room.tls6
    with IrcClient(at, "alice", "#x", tls=client(version)) as alice, \
            IrcClient(room.irc, "bob", "#x") as bob:
        assert alice.socket.version() == f"TLSv{version}"
        alice.expect("^:bob!.* JOIN #x")
        bob.send("PRIVMSG #x :plain")
        alice.expect("^:bob!.* PRIVMSG #x :plain")
        alice.send("PRIVMSG #x :" + "中" * 100)
        bob.expect("^:alice!.* PRIVMSG #x :" + "中" * 100)
        bob.send("WHOIS alice", "WHOIS bob")
        bob.expect("^:chat.foster 671 bob alice :is using a secure connection$")
        seen = bob.sync()
        assert not any(" 671 bob bob " in line or " 276 " in line for line in seen)
        alice.send("QUIT :bye")
        alice.expect("^ERROR ")
        alice.expect_end()
        assert not alice.reset  # it was ended in TLS, too
    assert room.stop() == 0


def test_tls_1_1_is_refused(rooms):
    room = rooms()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match="protocol version|unsupported protocol"):
        IrcClient(room.tls, "a", tls=context)
    with IrcClient(room.tls, "a", tls=client()):
        pass


def test_no_renegotiation_and_no_sessions(rooms):
    room = rooms()
    done = subprocess.run(
        ["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{room.tls_port}"],
        input=b"R\n", capture_output=True, timeout=20)
    assert b"no renegotiation" in done.stderr
    assert b"Secure Renegotiation IS supported" in done.stdout  # the safe kind is all that is spoken
    assert b"Session-ID: \n" in done.stdout and b"session ticket" not in done.stdout


@pytest.mark.parametrize("version", VERSIONS)
def test_the_fingerprint_of_a_client_certificate(rooms, directory, version):
    """Any certificate is taken; its fingerprint is shown to its owner alone."""
    room = rooms()
    certificate = make_certificate(directory, "alice")
    with IrcClient(room.tls, "alice", tls=client(version, certificate)) as alice, \
            IrcClient(room.tls, "bob", tls=client(version)) as bob:
        alice.send("WHOIS alice")
        alice.expect("^:chat.foster 276 alice alice :has client certificate fingerprint "
                     f"{fingerprint_of(certificate[0])}$")
        bob.send("WHOIS alice", "WHOIS bob")
        bob.expect(" 671 bob alice ")
        assert not any(" 276 " in line for line in bob.sync())


# --- bad clients ------------------------------------------------------------------------------

def client_hello():
    """The first bytes of a handshake that goes no further."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    half = client().wrap_bio(incoming, outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        half.do_handshake()
    return outgoing.read()


def ended(s):
    """Reads to the end; what came."""
    data = b""
    try:
        while more := s.recv(65536):
            data += more
    except ConnectionError:
        pass
    return data


def test_half_handshakes_time_out(rooms):
    room = rooms("registration-timeout = 4s\n")
    hello = client_hello()
    halves = []
    with IrcClient(room.tls, "a", "#x", tls=client()) as a:
        for i in range(40):
            s = socket.create_connection(room.tls)
            s.settimeout(20)
            s.sendall(hello[:i * len(hello) // 39])
            halves.append(s)
        until(lambda: a.send("LUSERS") or " 253 a 40 " in a.expect(" 253 .*").group(0),
              "all have been let in")
        for s in halves:
            ended(s)
            s.close()
        until(lambda: a.send("LUSERS") or " 253 a 0 " in a.expect(" 253 .*").group(0),
              "they are forgotten")


def test_garbage(rooms):
    room = rooms()
    with IrcClient(room.tls, "a", tls=client()) as a:
        a.sync()
        for data in (b"\x16\x03\x01\xff\xff" + os.urandom(2000), b"\x16" * 3000, b"\x16\x03\x01",
                     client_hello() + os.urandom(500), b"\x80" + bytes(500), bytes(5)):
            with socket.create_connection(room.tls) as s:
                s.settimeout(20)
                s.sendall(data)
                try:
                    s.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # it has been closed already
                ended(s)
        assert a.sync() == []


def test_plain_text_at_the_door_for_tls_is_told_why(rooms):
    room = rooms()
    with socket.create_connection(room.tls) as s:
        s.settimeout(20)
        s.sendall(b"CAP LS 302\r\nNICK a\r\nUSER a 0 * :a\r\n")
        assert b"ERROR :Closing Link: (This port speaks TLS alone" in ended(s)


def test_garbage_after_the_handshake(rooms):
    room = rooms()
    with IrcClient(room.tls, "a", "#x", tls=client()) as a, \
            IrcClient(room.tls, "b", "#x", tls=client()) as b:
        a.expect("^:b!.* JOIN")
        raw = socket.socket(fileno=os.dup(b.socket.fileno()))
        raw.sendall(os.urandom(100))
        raw.close()
        a.expect("^:b!.* QUIT :TLS error$")


def test_who_does_not_read_is_dropped(rooms):
    room = rooms('send-queue = "64K"\nflood-rate = 0\n')
    with IrcClient(room.tls, "a", "#x", tls=client()) as a, \
            IrcClient(room.tls, "slow", "#x", tls=client()), \
            IrcClient(room.tls, "c", "#x", tls=client()) as c:
        a.sync()
        for _ in range(400):
            a.send(*[f"PRIVMSG #x :{'x' * 400}"] * 100)
            c.sync()
            if any("QUIT :Send queue exceeded" in line for line in a.sync()):
                break
        else:
            raise AssertionError("the one who does not read is still there")


def test_who_reads_slowly_gets_all_in_order(rooms):
    """Writes that the kernel takes in part are gone on with, however often."""
    room = rooms('send-queue = "64M"\nsend-queue-total = "256M"\nflood-rate = 0\n')
    lines = 20000
    with IrcClient(room.tls, "a", "#x", tls=client()) as a, \
            IrcClient(room.irc, "b", "#x") as b:
        a.sync()
        for i in range(0, lines, 100):
            b.send(*[f"PRIVMSG #x :{k} {'y' * 300}" for k in range(i, i + 100)])
        b.sync()
        for i in range(lines):
            a.expect(rf"^:b!\S+ PRIVMSG #x :{i} y+$")


def test_max_connections(rooms):
    room = rooms("max-connections = 1\n")
    with IrcClient(room.tls, "a", tls=client()):
        with pytest.raises((ssl.SSLError, OSError)):
            IrcClient(room.tls, "b", tls=client())


# --- certificates -----------------------------------------------------------------------------

def served(room):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(
        ssl.get_server_certificate(room.tls))).hexdigest()


def test_a_new_certificate_disconnects_nobody(rooms, directory):
    room = rooms()
    old = fingerprint_of(room.certificate)
    assert served(room) == old
    with IrcClient(room.tls, "a", "#x", tls=client()) as a:
        new, key = make_certificate(directory, "new")
        os.replace(new, room.certificate)
        assert served(room) == old
        # A key of another certificate: the old pair goes on, whole.
        room.reload()
        room.wait_output(rf"the config stays as it was: .*tls-key {room.key}: key values mismatch")
        assert served(room) == old
        os.replace(key, room.key)
        room.reload()
        assert served(room) == fingerprint_of(room.certificate) != old
        assert a.sync() == []
        for text, reason in [("", "it holds none in PEM"), ("garbage\n", "it holds none in PEM"),
                             (None, "No such file or directory")]:
            if text is None:
                room.certificate.unlink()
            else:
                room.certificate.write_text(text)
            room.reload()
            room.wait_output(rf"tls-certificate {room.certificate}: {reason}")
        room.write_config('tls-listen = {}\ntls-certificate = ""\n')
        room.reload()
        room.write_config('# tls-certificate, tls-listen\n')
        room.reload()
        room.wait_output("TLS sockets are open, and it has no tls-certificate any more")
        assert served(room) != old
        with IrcClient(room.tls, "b", tls=client()) as b:
            b.send("PRIVMSG a :hello")
            a.expect(":b!.* PRIVMSG a :hello")


def test_an_encrypted_key_is_refused_without_a_question(rooms):
    room = rooms(start=False)
    subprocess.run(["openssl", "ec", "-aes256", "-passout", "pass:x", "-in", room.key, "-out",
                    room.key], check=True, capture_output=True)
    room.start(wait=False)
    assert room.process.wait(10) == 78
    assert f"tls-key {room.key}: it is encrypted, and nobody is there to be asked; " in \
        room.output()


def test_goodbye_is_answered(rooms):
    """close_notify by close_notify (RFC 8446, 6.1), and not by a bare end of the connection."""
    room = rooms()
    context = client()
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    a = IrcClient(room.tls, "a", tls=context)
    try:
        a.sync()
        a.socket.unwrap()  # raises when it is not
    finally:
        a.socket.close()


def test_keys_that_are_none_of_the_certificate(rooms):
    """Each is told in words that say what is wrong with it."""
    room = rooms(start=False)

    def expect_refused(words):
        done = check(room.builddir, room.config)
        assert done.returncode == 78 and f"tls-key {room.key}{words}" in done.stderr, done.stderr
    subprocess.run(["openssl", "genrsa", "-out", room.key, "2048"], check=True,
                   capture_output=True)
    expect_refused(": it is of another kind than that of the certificate")
    for text in ("", "garbage\n", room.certificate.read_text()):
        room.key.write_text(text)
        expect_refused(": it holds none in PEM")
    room.key.unlink()
    os.mkfifo(room.key)
    expect_refused(" is no regular file")


def test_a_certificate_that_expires_is_warned_of(rooms):
    room = rooms(start=False)
    certificate, key = make_certificate(room.directory, "short", "2")
    os.replace(certificate, room.certificate)
    os.replace(key, room.key)
    room.start()
    room.wait_output(rf"tls-certificate {room.certificate} expires in [12] days?")


def test_passed_sockets(rooms):
    """The name says that it is TLS; then no default address is bound."""
    with socket.create_server(("127.0.0.1", 0)) as tls, \
            socket.create_server(("127.0.0.1", 0)) as plain:
        rooms('tls-listen = {}\n', descriptors=[tls.fileno(), plain.fileno()],
              environment={"LISTEN_FDNAMES": "ircs:irc"})
        with IrcClient(tls.getsockname(), "a", tls=client()) as a, \
                IrcClient(plain.getsockname(), "b") as b:
            a.send("PRIVMSG b :x")
            b.expect("PRIVMSG b :x")


# --- plain text -------------------------------------------------------------------------------

PLAINTEXT = "plain text from other machines is not allowed; speak TLS"


def check(builddir, config):
    return subprocess.run([builddir / "foster-chatd", "--config", config, "--check"],
                          capture_output=True, text=True)


def test_plain_text_from_elsewhere_must_be_allowed(builddir, directory):
    config = directory / "chat.conf"
    for address, refused in [("*:6667", True), ("[::]:6667", True), ("192.0.2.1:6667", True),
                             ("127.3.4.5:6667", False), ("[::1]:6667", False)]:
        config.write_text(f'irc-listen = {{"{address}"}}\n')
        done = check(builddir, config)
        assert (f"irc-listen {address}: {PLAINTEXT}" in done.stderr) == refused
        assert done.returncode == (78 if refused else 0)
        config.write_text(f'irc-listen = {{"{address}"}}\nplaintext = anywhere\n')
        assert check(builddir, config).returncode == 0


def test_a_passed_socket_for_plain_text_from_elsewhere(rooms):
    with socket.create_server(("0.0.0.0", 0)) as plain:
        room = rooms(start=False, descriptors=[plain.fileno()])
        room.start(wait=False)
        assert room.process.wait(10) == 78
        assert PLAINTEXT in room.output()
        room.end()
        allowed = rooms("plaintext = anywhere\n", descriptors=[plain.fileno()])
        with IrcClient(("127.0.0.1", plain.getsockname()[1]), "a"):
            pass
        assert allowed.stop() == 0


@pytest.mark.parametrize("text, error", [
    ('plaintext = "maybe"', 'chat.conf:1: plaintext: "maybe" is none of: loopback anywhere'),
    ('tls-listen = {"[::1]:6697"}', "tls-listen is set; it needs tls-certificate"),
    ('tls-key = "x"', "tls-key is set; it needs tls-certificate"),
    ('sts-duration = "1d"', "sts-duration is set; it needs tls-certificate"),
    ('tls-certificate = "none.pem"', "none.pem: No such file or directory"),
])
def test_config_errors(builddir, directory, text, error):
    config = directory / "chat.conf"
    config.write_text(text + "\n")
    done = check(builddir, config)
    assert done.returncode == 78
    assert error in done.stderr and len(done.stderr.splitlines()) == 1


def test_strict_transport_security(rooms):
    """Told to who asks with 302: where to go in plain text, for how long over TLS."""
    room = rooms('sts-duration = "30d"\nsts-port = 7000\n')
    with IrcClient(room.irc) as plain, IrcClient(room.tls, tls=client()) as tls, \
            IrcClient(room.irc) as old:
        plain.send("CAP LS 302")
        assert "sts=port=7000" in plain.expect(r" CAP \* LS :(.*)").group(1).split()
        tls.send("CAP LS 302")
        assert "sts=duration=2592000" in tls.expect(r" CAP \* LS :(.*)").group(1).split()
        old.send("CAP LS")
        assert "sts" not in old.expect(r" CAP \* LS :(.*)").group(1)
        plain.send("CAP REQ :sts")
        plain.expect("CAP .* NAK :sts")
