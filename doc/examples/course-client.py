#!/usr/bin/env python3
"""A client of the course's chat protocol: UDP, one datagram a message.

    L name         log in; the answer is OK, or the reason why not
    C name text    say something; the others get "\\nname : text"
    Q name         leave; the answer is EXIT

As in the course, one process receives and one sends, and both use one socket: it is shared
after the fork.

Usage: course-client.py [HOST [PORT]]      (127.0.0.1 8888; ::1 will do, too)
"""

import os
import signal
import socket
import sys


def log_in(room):
    """Asks for a name until the room takes it."""
    while True:
        name = input("name: ").strip()
        if not name or " " in name:
            print("a name is one word")
            continue
        room.send(f"L {name}".encode())
        answer = room.recv(1024).decode()
        if answer == "OK":
            return name
        print(answer)


def receive(room):
    """Shows what comes, until the room says EXIT."""
    while True:
        text = room.recv(1024).decode()
        if text == "EXIT":
            return
        print(text + "\n", end="", flush=True)  # at once: what is typed comes not in between


def send(room, name):
    """Sends what is typed, until the end of input or the word quit."""
    for line in sys.stdin:
        text = line.rstrip("\n")
        if text == "quit":
            break
        if text:
            room.send(f"C {name} {text}".encode())
    room.send(f"Q {name}".encode())


def main():
    host = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 8888
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except OSError as error:
        sys.exit(f"{host}: {error.strerror}")
    room = socket.socket(family, kind)
    room.connect(address)
    try:
        name = log_in(room)
    except ConnectionRefusedError:
        sys.exit(f"no room at {host}:{port}")
    except EOFError:
        sys.exit()
    receiver = os.fork()
    if receiver == 0:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the sender's: it says goodbye
        receive(room)
        os._exit(0)
    try:
        send(room, name)
    except KeyboardInterrupt:
        room.send(f"Q {name}".encode())
    os.waitpid(receiver, 0)


if __name__ == "__main__":
    main()
