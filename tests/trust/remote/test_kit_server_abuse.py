"""Clients of what is offered may be anybody: those that ask too much, too slowly, too often, or nothing."""

from __future__ import annotations

import re
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.trust.remote.offered import HOST, ask, say, wait_for
from trusted_registry.trust.remote import kit_server
from trusted_registry.trust.remote.kit_server import Offer

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("loopback_is_ours")


def test_each_download_is_told_once_with_who_took_it(start: Callable[..., int], taken: list[str]) -> None:
    port = start()
    for path in ("/nothing", "/ca.crt", "/"):
        ask(port, path)
    wait_for(lambda: len(taken) > 1)
    assert sorted(taken) == ["127.0.0.1 /", "127.0.0.1 /ca.crt"]


@pytest.mark.parametrize(
    "words",
    [
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 2000 + b"\r\n",
    ],
    ids=["line", "header", "headers"],
)
def test_a_request_that_is_too_long_is_refused(words: bytes, start: Callable[..., int], taken: list[str]) -> None:
    assert re.match(rb"HTTP/1\.0 431 |\Z", say(start(), words))
    assert taken == []


@pytest.mark.parametrize(
    "words", [b"\x16\x03\x01\x02\x00\x01\x00", b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]
)
def test_what_is_no_request_is_no_trouble(
    words: bytes, start: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    port = start()
    with socket.create_connection((HOST, port), timeout=5) as client:
        client.sendall(words)
        client.shutdown(socket.SHUT_WR)
        client.recv(100)
    assert ask(port, "/ca.crt")[0] == 200
    assert capsys.readouterr().err == ""


def test_a_client_that_says_nothing_is_hung_up_on(start: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kit_server, "REQUEST_SECONDS", 0.3)
    begun = time.monotonic()
    assert say(start(), b"") == b""
    assert time.monotonic() - begun < 5


def test_a_client_that_dribbles_is_hung_up_on(start: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kit_server, "REQUEST_SECONDS", 0.4)
    with socket.create_connection((HOST, start()), timeout=5) as client, pytest.raises(ConnectionError):
        _dribble(client)


def _dribble(client: socket.socket) -> None:
    for _ in range(40):  # each byte in time, all of them not
        client.sendall(b"G")
        time.sleep(0.05)


def test_those_who_come_when_it_is_full_are_turned_away_and_later_ones_served(
    start: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kit_server, "MOST_CLIENTS", 2)
    port = start()
    with socket.create_connection((HOST, port)), socket.create_connection((HOST, port)):
        time.sleep(0.1)
        assert say(port, b"GET /ca.crt HTTP/1.0\r\n\r\n") == b""
    time.sleep(0.1)
    assert ask(port, "/ca.crt")[0] == 200


def test_a_client_that_goes_away_is_no_trouble_and_took_nothing(
    start: Callable[..., int], taken: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    port = start((Offer("/", "text/plain", b"x" * 20_000_000),))
    with socket.create_connection((HOST, port)) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        client.recv(100)
    time.sleep(0.2)
    assert (taken, capsys.readouterr().err) == ([], "")
