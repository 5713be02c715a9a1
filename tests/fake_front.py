"""A front on loopback, which passes connections on as haproxy does: an open one stays with whom it was opened to."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
from typing import TYPE_CHECKING

from tests import loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def passing_on(port: int, leads: Callable[[], int | None]) -> Iterator[None]:
    """Pass on what comes to a port of loopback to the port that it leads to by then; close it where there is none."""
    with socket.create_server((loopback.HOST, port)) as listening:
        thread = threading.Thread(target=_accept, args=(listening, leads))
        thread.start()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextlib.contextmanager
def counting(port: int, said: Callable[[], str]) -> Iterator[None]:
    """Answer what is counted, at a port of loopback, as a splitter does by HTTP."""

    class Counts(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(said().encode())

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer((loopback.HOST, port), Counts) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def _accept(listening: socket.socket, leads: Callable[[], int | None]) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listening.accept()
            # At once, as haproxy does: a thread may begin only when whom it led to is gone.
            registry = _connect(leads())
            threading.Thread(target=_pass_on, args=(client, registry), daemon=True).start()


def _connect(port: int | None) -> socket.socket | None:
    with contextlib.suppress(OSError):
        return socket.create_connection((loopback.HOST, port)) if port else None
    return None


def _pass_on(client: socket.socket, registry: socket.socket | None) -> None:
    with client, contextlib.suppress(OSError):
        if registry is None:
            return
        with registry:
            back = threading.Thread(target=_copy, args=(registry, client), daemon=True)
            back.start()
            _copy(client, registry)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while said := source.recv(1 << 16):
            target.sendall(said)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
