"""Clients of what is offered may be anybody: those that ask too much, too slowly, too often, or nothing."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.marks import on_linux
from tests.trust.remote.offered import HOST, ask, say, wait_for
from trusted_registry.trust.remote import connections, kit_server
from trusted_registry.trust.remote.kit_server import Offer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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
    assert time.monotonic() - begun < PATIENT


def test_a_client_that_dribbles_is_hung_up_on(start: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kit_server, "REQUEST_SECONDS", 0.4)
    with socket.create_connection((HOST, start()), timeout=5) as client, pytest.raises(ConnectionError):
        _dribble(client)


def _dribble(client: socket.socket) -> None:
    for _ in range(40):  # each byte in time, all of them not
        client.sendall(b"G")
        time.sleep(0.05)


# One client, and the others


PATIENT = 20
"""Seconds that a client waits on a busy machine: less than those after which the others are hung up on."""
BIG = (Offer("/", "text/plain", b"x" * 5_000_000),)


def _idle(client: socket.socket) -> None:
    """Say nothing at all."""


def _half(client: socket.socket) -> None:
    client.sendall(b"GET / HTTP/1.1\r\nX: ")


def _deaf(client: socket.socket) -> None:
    client.sendall(b"GET / HTTP/1.0\r\n\r\n")


@contextlib.contextmanager
def _crowd(port: int, addresses: Iterable[str], behaviour: Callable[[socket.socket], None]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for address in addresses:
            client = stack.enter_context(socket.create_connection((HOST, port), PATIENT, (address, 0)))
            with contextlib.suppress(ConnectionError):
                behaviour(client)
        yield


def _asks(port: int, address: str) -> int:
    with socket.create_connection((HOST, port), PATIENT, (address, 0)) as client:
        client.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
        return int(client.makefile("rb").readline().split()[1])


@on_linux
@pytest.mark.parametrize("behaviour", [_idle, _half, _deaf])
@pytest.mark.parametrize("count", [16, 100])
def test_one_client_s_connections_keep_nobody_else_away(
    count: int, behaviour: Callable[[socket.socket], None], start: Callable[..., int]
) -> None:
    port = start(BIG)
    with _crowd(port, ["127.0.0.2"] * count, behaviour):
        assert [_asks(port, f"127.0.0.{it}") for it in range(10, 30)] == [200] * 20


@on_linux
def test_a_client_with_many_addresses_keeps_nobody_away_either(start: Callable[..., int]) -> None:
    port = start(BIG)
    with _crowd(port, [f"127.0.1.{it % 100 + 1}" for it in range(2 * connections.MOST)], _idle):
        assert [_asks(port, f"127.0.0.{it}") for it in range(10, 30)] == [200] * 20


def test_a_client_s_newest_connection_is_answered_and_its_oldest_closed(start: Callable[..., int]) -> None:
    port = start()
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection((HOST, port), PATIENT)) for _ in range(8)]
        assert ask(port, "/ca.crt")[0] == 200
        assert idle[0].recv(1) == b""
        idle[-1].sendall(b"HEAD / HTTP/1.0\r\n\r\n")
        assert idle[-1].recv(12) == b"HTTP/1.0 200"


@pytest.fixture
def pairs() -> Iterator[Iterator[socket.socket]]:
    """Sockets that are connected."""
    with contextlib.ExitStack() as stack:

        def more() -> Iterator[socket.socket]:
            while True:
                one, other = socket.socketpair()
                stack.enter_context(other)
                yield stack.enter_context(one)

        yield more()


def test_no_more_are_open_than_there_is_room_for_though_one_does_not_end(
    pairs: Iterator[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_ENDS", 0.05)
    room = connections.Connections()
    first = [next(pairs) for _ in range(connections.MOST_OF_AN_ADDRESS)]
    assert all(room.admit("192.168.0.9", it) for it in first)
    assert not room.admit("192.168.0.9", next(pairs))
    assert room.admit("192.168.0.10", next(pairs))
    room.forget(first[0])
    assert room.admit("192.168.0.9", next(pairs))


def test_where_all_places_are_taken_the_address_with_most_gives_one_up(
    pairs: Iterator[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST", 4)
    room, closed = connections.Connections(), list[socket.socket]()

    def ends(request: socket.socket) -> None:
        closed.append(request)
        room.forget(request)

    monkeypatch.setattr(connections, "close", ends)
    made = {it: next(pairs) for it in ("a 1", "b 1", "b 2", "c 1")}
    for name, request in made.items():
        assert room.admit(name[0], request)
    assert room.admit("d", next(pairs))
    assert closed == [made["b 1"]]


def test_a_client_that_goes_away_is_no_trouble_and_took_nothing(
    start: Callable[..., int], taken: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    port = start((Offer("/", "text/plain", b"x" * 20_000_000),))
    with socket.create_connection((HOST, port)) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        client.recv(100)
    time.sleep(0.2)
    assert (taken, capsys.readouterr().err) == ([], "")
