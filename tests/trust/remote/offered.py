"""What is offered to a test's own clients, and how those ask for it."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from typing import TYPE_CHECKING

from tests.trust import sample
from trusted_registry.trust.remote.kit_server import Offer

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "127.0.0.1"
KIT = b'#!/bin/sh\nprintf "trusted %s" "$*" > "$DONE"\n'
OFFERED = (
    Offer("/", "text/html; charset=utf-8", b"<!doctype html>", policy="default-src 'none'; style-src 'sha256-x'"),
    Offer("/trust-r.sh", "application/x-sh", KIT, "trust-r.sh"),
    Offer("/ca.crt", "application/pem-certificate-chain", sample.CERTIFICATE, "ca.crt"),
)


def ask(port: int, path: str, method: str = "GET", host: str = HOST) -> tuple[int, dict[str, str], bytes]:
    """Return the answer to a request: its status, its headers and its content."""
    connection = http.client.HTTPConnection(host, port, timeout=20)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait for what the server does once a client has all that it asked for."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def say(port: int, words: bytes) -> bytes:
    """Send bytes and return all that comes back until the other side ends it."""
    with socket.create_connection((HOST, port), timeout=10) as client:
        client.sendall(words)
        said = b""
        with contextlib.suppress(ConnectionError):
            while part := client.recv(65536):
                said += part
        return said
