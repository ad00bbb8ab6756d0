# SPDX-License-Identifier: MIT
"""A control socket without a manager behind it: what fosterctl asks is recorded, what it gets is
what the test says. One thread a connection; every thread and the socket are gone after close()."""

import json
import os
import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit


class Break(Exception):
    """Raised by a reply function: the connection ends without another byte."""


class Request:
    def __init__(self, method, target, body):
        parts = urlsplit(target)
        self.method = method
        self.target = target
        self.path = unquote(parts.path)
        self.query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        self.body = body

    def __repr__(self):
        return f"{self.method} {self.target}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def address_string(self):
        return "unix"

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        request = Request(self.command, self.path, self.rfile.read(length).decode())
        with self.server.lock:
            self.server.requests.append(request)
        self.close_connection = True
        try:
            status, document = self.server.reply(request)
            if isinstance(document, dict):
                self.send_document(status, document)
            elif isinstance(document, bytes):
                self.wfile.write(document)
            else:
                self.send_stream(status, document)
        except (Break, BrokenPipeError):
            self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_POST = answer

    def send_document(self, status, document):
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def send_stream(self, status, lines):
        self.send_response(status)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in lines:
            data = (line if isinstance(line, str) else json.dumps(line) + "\n").encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.write(b"0\r\n\r\n")


class FakeControl(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """reply(request) returns (status, document): a dict, raw bytes for the whole answer, or an
    iterable of objects that are streamed one a line."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, directory, reply):
        os.makedirs(directory, exist_ok=True)
        self.directory = str(directory)
        self.path = os.path.join(self.directory, "control")
        self.reply = reply
        self.requests = []
        self.lock = threading.Lock()
        # A path that is too long for a socket's address is reached through its directory.
        fd = os.open(self.directory, os.O_PATH)
        try:
            super().__init__(f"/proc/self/fd/{fd}/control", Handler)
        finally:
            os.close(fd)
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def asked(self):
        return [repr(r) for r in self.requests]

    def close(self):
        self.shutdown()
        self.thread.join()
        self.server_close()
        os.unlink(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def service(name, state="running", **more):
    """What the manager says of a service."""
    up = state == "running"
    return {
        "name": name, "description": f"the {name}", "state": state,
        "desired": "up" if state != "stopped" else "down",
        "reason": "" if up else "exit 1", "ready": up, "pid": 4711 if up else 0,
        "uptime_us": 3_200_000 if up else None, "since": "2026-11-23T21:10:05Z", "restarts": 2,
        "daemon": False, "next": None, "exit_code": None, "exit": None, "status": None,
        "pending": None, **more,
    }
