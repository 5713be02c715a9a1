"""A machine that means harm, on a host of the lab; Python's own library is all it needs.

`crowd HOST PORT COUNT FIRST` keeps connections to a server, new ones for those that it closes; `registry PORT ANSWER`
shows /srv/shown.crt and then an answer; `engine SOCKET ANSWER` answers in an engine's place. Each ends in two minutes.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable

SECONDS = 120

OK = b"HTTP/1.1 200 OK\r\nDocker-Distribution-Api-Version: registry/2.0\r\n"
WHOLE = b"Content-Length: 2\r\n\r\n{}"
ENDLESS = b"x" * 65536
CURSOR = b"\x1b]0;x\x07\x1b[2J"
ANSWERS = {
    "as it should": (OK + WHOLE, b""),
    "a date of many digits": (OK + b"Date: Thu, 26 Nov " + b"9" * 20 + b" 09:11:10 GMT\r\n" + WHOLE, b""),
    "headers without end": (OK, b"X-More: and more\r\n" * 1000),
    "one header without end": (OK + b"X-Long: ", ENDLESS),
    "a body without end": (OK + b"\r\n", ENDLESS),
    "a length beyond all memory": (OK + b"Content-Length: 99999999999999\r\n\r\n", ENDLESS),
    "what moves a cursor": (b"HTTP/1.1 500 " + CURSOR + b"\r\nContent-Length: 40\r\n\r\n" + CURSOR * 4, b""),
    "a way back to itself": (b"HTTP/1.1 307 Go on\r\nLocation: /v2/\r\nContent-Length: 0\r\n\r\n", b""),
    "no HTTP": (bytes(range(256)) * 4, b""),
    "nothing": (b"", b""),
}
"""What is sent first, and then again and again."""

ENGINE = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\n"


def _of_engine(body: bytes) -> tuple[bytes, bytes]:
    return ENGINE + b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body, b""


VERSION = _of_engine(
    b'{"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux", "Arch": "amd64"}'
)
"""What is said to the first questions, so that others follow."""
FIRST_QUESTIONS = (b"GET /_ping ", b"GET /version ")

ENGINE_ANSWERS = {
    name: _of_engine(body)
    for name, body in {
        "null": b"null",
        "a list": b"[[], 5, null]",
        "a number": b"17",
        "other kinds": b'{"Id": 5, "Version": [], "Names": null, "State": "x", "Containers": {}, "Platform": 1}',
        "half of it": b'{"Version": ',
        "what moves a cursor": b'{"message": "\x1b]0;owned\x07", "Version": "\x1b[2J", "ApiVersion": "\x1b[1A"}',
    }.items()
} | {
    "an answer without end": (ENGINE + b"\r\n[", b"[" * 65536),
    "chunks without end": (ENGINE + b"Transfer-Encoding: chunked\r\n\r\n", b"10\r\n" + b"[" * 16 + b"\r\n"),
    "one header without end": (ENGINE + b"X-Long: ", ENDLESS),
    "nothing": (b"", b""),
}
"""What is sent first, and then again and again; nothing at all is said from the first question on."""


def crowd(host: str, port: str, count: str, first: str) -> None:
    """Keep connections open, which say something first and then neither speak nor listen."""
    held: list[socket.socket] = []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            while len(held) < int(count):
                held.append(socket.create_connection((host, int(port)), timeout=1))
                held[-1].sendall(first.encode().decode("unicode_escape").encode())
        closed = [it for it in select.select(held, [], [], 0.05)[0] if _is_closed(it)]
        held = [it for it in held if it not in closed]


def _is_closed(connection: socket.socket) -> bool:
    """Whether the other side ended; what it sends is left where it is."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def registry(port: str, answer: str) -> None:
    """Answer in a registry's place, with the pair in /srv."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain("/srv/shown.crt", "/srv/shown.key")
    listening = socket.create_server(("", int(port)))
    _serve(listening, answer, ANSWERS[answer], context)


def engine(path: str, answer: str) -> None:
    """Answer in an engine's place."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    os.chmod(path, 0o666)  # noqa: PTH101, S103 - the ordinary user asks
    listening.listen()
    _serve(listening, answer, ENGINE_ANSWERS[answer], None)


def _serve(listening: socket.socket, name: str, answer: tuple[bytes, bytes], context: ssl.SSLContext | None) -> None:
    sys.stdout.write(f"listens: {name}\n")
    sys.stdout.flush()
    threading.Timer(SECONDS, os._exit, [0]).start()
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=_answer, args=(connection, answer, context), daemon=True).start()


def _answer(connection: socket.socket, answer: tuple[bytes, bytes], context: ssl.SSLContext | None) -> None:
    with contextlib.suppress(OSError), connection:
        spoken = context.wrap_socket(connection, server_side=True) if context else connection
        while asked := spoken.recv(65536):
            first, then = VERSION if any(answer) and asked.startswith(FIRST_QUESTIONS) else answer
            spoken.sendall(first)
            while then:
                spoken.sendall(then)
            if not first:
                time.sleep(SECONDS)
            if b"Content-Length" not in first:
                return


if __name__ == "__main__":
    kinds: dict[str, Callable[..., None]] = {"crowd": crowd, "registry": registry, "engine": engine}
    kinds[sys.argv[1]](*sys.argv[2:])
