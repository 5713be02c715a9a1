"""Broken answers: whatever a server sends, a reader ends in time, in little memory, with an error that callers know."""

from __future__ import annotations

import contextlib
import gc
import http.client
import itertools
import json
import os
import socket
import threading
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests import forge, loopback
from tests.fake_engine import FakeEngine
from tests.recorder import Recorder
from trusted_registry.engine import connection, responses
from trusted_registry.engine import types as engine_types
from trusted_registry.errors import RegistryError
from trusted_registry.mirror import reach
from trusted_registry.mirror.upstream import Upstream
from trusted_registry.registry import api, observe, probe
from trusted_registry.registry.api import MANIFEST, Manifest, RegistryClient
from trusted_registry.registry.probe import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KNOWN = (OSError, http.client.HTTPException)
"""What `probe.request` may raise, and its callers turn into words."""
LIMIT = 0.25
"""Seconds for an answer here; people wait for five."""
BUSY = 3.0
"""Seconds that a busy machine may take besides; what never ends takes more."""
MEMORY = 32 << 20

Script = list[tuple[bytes, float]]
"""What a server sends, and how many seconds it waits after each piece; a last piece of b"" is sent without end."""


class Server:
    """Sends the script that it was last given to whoever connects, after reading a request."""

    def __init__(self) -> None:
        self.script: Script = []
        self.speaks_first = False
        self._socket = socket.create_server((loopback.HOST, 0))
        self.at = Endpoint(loopback.HOST, self._socket.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._answer, args=(connection, self.script), daemon=True).start()

    def _answer(self, connection: socket.socket, script: Script) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(5)
            if not self.speaks_first:
                connection.recv(65536)
            for piece, pause in script:
                connection.sendall(piece)
                time.sleep(pause)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    def close(self) -> None:
        """Listen no more."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that answers as it is told to."""
    made = Server()
    yield made
    made.close()


@pytest.fixture(scope="module")
def anchor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority's certificate."""
    return forge.save(forge.authority(), tmp_path_factory.mktemp("anchor"), "ca")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_ANSWER", LIMIT)
    monkeypatch.setattr(probe, "_SLOWEST", 1 << 30)
    monkeypatch.setattr(api, "_ADMITTED", 0.0)
    monkeypatch.setattr(observe, "CONNECT_SECONDS", LIMIT)


def _ends(ask: Callable[[], object], *, seconds: float = 3 * LIMIT, memory: int = MEMORY) -> object:
    """Insist on an end in time and in little memory, and return what it was: an answer, or an error that is known."""
    tracemalloc.start()
    begun = time.monotonic()
    try:
        result = ask()
    except (*KNOWN, RegistryError) as error:
        result = error
    took, (_, peak) = time.monotonic() - begun, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took < seconds + BUSY
    assert peak < memory
    return result


OK = b"HTTP/1.1 200 OK\r\n"
BLOCK = b"x" * (1 << 16)
LONG = [(BLOCK, 0.0)] * 400  # 26 MB: more than a reader may keep
BROKEN: dict[str, Script] = {
    "nothing": [],
    "half a line": [(b"HTTP/1.", 0)],
    "no status": [(b"HTTP/1.1\r\n\r\n", 0)],
    "a status of letters": [(b"HTTP/1.1 abc OK\r\n\r\n", 0)],
    "a status that is too large": [(b"HTTP/1.1 99999999999999999999 OK\r\n\r\n", 0)],
    "another protocol": [(b"SSH-2.0-OpenSSH_9.2p1\r\n", 0)],
    "a TLS alert": [(b"\x15\x03\x01\x00\x02\x02\x46", 0)],
    "zeros": [(b"\0" * 4096, 0)],
    "half a head": [(OK + b"Content-Type: applic", 0)],
    "a head of one endless line": [(OK + b"X: ", 0), *LONG],
    "a head of endless lines": [(OK, 0), *[(b"X: y\r\n" * 10000, 0.0)] * 40],
    "a status line without end": [(b"HTTP/1.1 200 ", 0), *LONG],
    "continued for ever": [(b"HTTP/1.1 100 Continue\r\n\r\n" * 40000, 0.0)] * 30,
    "continued for ever, slowly": [(b"HTTP/1.1 100 Continue\r\n\r\n", 0.05)] * 100,
    "a slow head": [(OK, 0), *[(b"X", 0.05)] * 100],
    "a slow body": [(OK + b"Content-Length: 1000\r\n\r\n", 0), *[(b"x", 0.05)] * 100],
    "silence": [(b"", 60)],
    "silence after the head": [(OK + b"Content-Length: 10\r\n\r\n", 60)],
    "a length that is no number": [(OK + b"Content-Length: abc\r\n\r\n{}", 0)],
    "a negative length": [(OK + b"Content-Length: -1\r\n\r\n", 0), *LONG],
    "a length that is too large": [(OK + b"Content-Length: 99999999999999999999999\r\n\r\n{}", 0)],
    "a body that was cut short": [(OK + b"Content-Length: 100\r\n\r\n{}", 0)],
    "a body without end": [(OK + b"\r\n", 0), *LONG],
    "a chunk that is no number": [(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 0)],
    "a chunk of a negative size": [(OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", 0), *LONG],
    "a chunk of a size that no read takes": [(OK + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n", 0), *LONG],
    "a chunk that is too large": [(OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", 0), *LONG],
    "a chunk that was cut short": [(OK + b"Transfer-Encoding: chunked\r\n\r\n10\r\nabc", 0)],
    "empty chunks for ever": [(OK + b"Transfer-Encoding: chunked\r\n\r\n", 0), *[(b"1\r\nx\r\n" * 10000, 0.0)] * 300],
    "a trailer without end": [
        (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", 0),
        *[(b"X: y\r\n" * 10000, 0.0)] * 400,
    ],
    "letters of no alphabet": [(b"HTTP/1.1 200 \xff\xfe\r\n\xff: \xfe\r\n\r\n\xff", 0)],
}
every_break = pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN.keys())


@every_break
def test_a_request_ends_with_an_answer_or_an_error_that_is_known(script: Script, server: Server) -> None:
    server.script = script
    result = _ends(lambda: probe.request(server.at, "GET", "/v2/", None))
    assert isinstance(result, (tuple, *KNOWN))


@every_break
def test_waiting_for_a_registry_ends_with_an_error_or_an_answer(script: Script, server: Server) -> None:
    server.script = script
    ask = lambda: probe.request(server.at, "GET", "/v2/", None)[0]  # noqa: E731 - as running.py asks
    result = _ends(lambda: probe.await_answer(ask, lambda: True, patience=0.1), seconds=4 * LIMIT)
    assert result is None or isinstance(result, RegistryError)


@every_break
def test_looking_for_plain_http_ends(script: Script, server: Server) -> None:
    server.script = script
    assert isinstance(_ends(lambda: probe.speaks_plain(server.at)), bool)
    assert _ends(lambda: RegistryClient(server.at, None).delete_manifest("a", "sha256:00")) is False


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
DIGEST = f"sha256:{'0a' * 32}"
CALLS: dict[str, Callable[[RegistryClient], object]] = {
    "ping": lambda client: client.ping(),
    "admits": lambda client: client.admits(),
    "catalog": lambda client: list(itertools.islice(client.catalog(), 200_000)),
    "tags": lambda client: list(itertools.islice(client.tags("app"), 200_000)),
    "manifest": lambda client: client.manifest("app", "1"),
    "put_manifest": lambda client: client.put_manifest("app", "1", Manifest(MANIFEST, DIGEST, b"{}")),
    "delete_manifest": lambda client: client.delete_manifest("app", DIGEST),
    "blob_size": lambda client: client.blob_size("app", DIGEST),
    "blob": lambda client: sum(len(chunk) for chunk in client.blob("app", DIGEST, 5 << 20)),
    "has_blob": lambda client: client.has_blob("app", DIGEST),
    "mount": lambda client: client.mount("app", DIGEST, "other"),
    "upload_stream": lambda client: client.upload_stream("app", DIGEST, 2, iter([b"{}"])),
    "upload": lambda client: client.upload("app", b"{}"),
    "is_read_only": lambda client: client.is_read_only("app"),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())


def test_every_call_of_the_client_is_among_those_that_are_tried() -> None:
    assert set(CALLS) == {name for name, it in vars(RegistryClient).items() if callable(it) and name[0] != "_"}


@every_break
def test_the_question_whether_an_upstream_answers_ends_with_an_answer_or_an_error_that_is_known(
    script: Script, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "PATIENCE", 0.0)
    server.script = script
    _ends(lambda: reach.find(Upstream("ghcr.io"), RegistryClient(server.at, None), "mirror", FakeEngine()))


@every_break
@every_call
def test_every_call_of_the_client_ends_with_an_answer_or_an_error_that_is_known(
    script: Script, call: Callable[[RegistryClient], object], server: Server
) -> None:
    server.script = script
    _ends(lambda: call(RegistryClient(server.at, None)), memory=4 * MEMORY)


@every_break
def test_looking_what_answers_ends_with_an_observation(script: Script, server: Server, anchor: Path) -> None:
    server.script = script
    seen = _ends(lambda: observe.ask(server.at, anchor, thorough=True), seconds=4 * LIMIT)
    assert isinstance(seen, observe.Observation)
    assert (seen.certificate, seen.status, bool(seen.refused)) == (None, 0, True)


@every_break
def test_a_handshake_with_something_else_ends_with_an_error(script: Script, server: Server) -> None:
    server.script = script
    assert isinstance(_ends(lambda: probe.fingerprint(server.at)), OSError)


@pytest.mark.parametrize("step", [0.05, 0.3])
def test_a_handshake_byte_by_byte_ends_in_time(step: float, server: Server) -> None:
    record = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03" + b"\0" * 1000
    server.script = [(record[at : at + 1], step) for at in range(len(record))]
    assert isinstance(_ends(lambda: probe.fingerprint(server.at)), OSError)


def test_a_body_without_end_over_tls_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = forge.authority()
    anchor = forge.save(authority, tmp_path, "ca")
    certificate = forge.save(forge.server(authority, names=(loopback.HOST, "registry.local")), tmp_path, "domain")

    def endless(handler: Any) -> None:  # noqa: ANN401 - a handler of http.server
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(400):
                handler.wfile.write(BLOCK)

    monkeypatch.setattr(loopback._Registry, "do_GET", endless)
    with loopback.registry(certificate) as port:
        context = probe.context(anchor)
        result = _ends(lambda: probe.request(Endpoint(loopback.HOST, port), "GET", "/v2/", context))
    assert isinstance(result, tuple)
    assert len(result[2]) == 1 << 20


def test_a_whole_answer_is_read_whole(server: Server) -> None:
    body = b'{"repositories": ["app"]}'
    server.script = [
        (OK + f"Content-Length: {len(body)}\r\nX-Y: z\r\n\r\n".encode(), 0.01),
        (body[:9], 0.01),
        (body[9:], 0),
    ]
    status, headers, read = probe.request(server.at, "GET", "/v2/", None)
    assert (status, headers["x-y"], read) == (200, "z", body)


def test_an_answer_that_is_continued_once_is_read(server: Server) -> None:
    server.script = [(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\n{}", 0)]
    assert probe.request(server.at, "GET", "/v2/", None)[0] == 200


quick = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

HEADS = st.one_of(
    st.binary(max_size=200),
    st.builds(
        lambda status, names, body: b"HTTP/1.1 %d \r\n%s\r\n%s" % (status, b"".join(names), body),
        st.integers(0, 9999),
        st.lists(
            st.sampled_from(
                [
                    b"Content-Length: 3\r\n",
                    b"Content-Length: -5\r\n",
                    b"Transfer-Encoding: chunked\r\n",
                    b"X\r\n",
                    b" y\r\n",
                    *(
                        b"Connection: close\r\n",
                        b": z\r\n",
                        b"Content-Length: 1\r\nContent-Length: 9\r\n",
                        b"\xff: \0\r\n",
                    ),
                ]
            ),
            max_size=5,
        ),
        st.one_of(st.binary(max_size=100), st.sampled_from([b"0\r\n\r\n", b"-3\r\nabc", b"5\r\nabc", b"{}"])),
    ),
)


CLOSING = b"Connection: close\r\n"


@pytest.mark.parametrize("head", [b"", CLOSING], ids=["kept", "closing"])
@pytest.mark.parametrize("rest", [b"Content-Length: 9\r\n\r\n{}", b"Transfer-Encoding: chunked\r\n\r\n9\r\n{}"])
def test_an_answer_that_stalls_leaves_no_socket_open(head: bytes, rest: bytes, server: Server) -> None:
    server.script = [(OK + head + rest, 2 * LIMIT)]
    # What is caught here keeps the frames alive that it came through, and all that they hold.
    with pytest.raises(TimeoutError) as caught:
        probe.request(server.at, "GET", "/v2/", None)
    assert caught.tb
    assert [it for it in gc.get_objects() if isinstance(it, socket.socket) and _leads_to(it, server)] == []


def _leads_to(it: socket.socket, server: Server) -> bool:
    with contextlib.suppress(OSError):
        return it.family == socket.AF_INET and bool(it.getpeername()[1] == server.at.port)  # others have no port
    return False


@quick
@given(pieces=st.lists(HEADS, max_size=4))
def test_no_bytes_at_all_get_past_the_errors_that_are_known(pieces: list[bytes], server: Server) -> None:
    server.script = [(piece, 0) for piece in pieces]
    assert _ends(lambda: probe.speaks_plain(server.at)) in {True, False}
    _ends(lambda: probe.request(server.at, "GET", "/v2/", None))


HEADERS = st.sampled_from(
    [
        *(b"Link: </v2/_catalog?last=b>; rel=next", b"Link: <http://[/?a b>; rel=next", b"Link: <?\xff>; rel=next"),
        *(b"Location: /v2/app/blobs/uploads/1", b"Location: http://[", b"Location: /a b?\xff", b"Location: //\0"),
        *(b"Content-Type: " + MANIFEST.encode(), b"Content-Type: \xff;;", b"Docker-Content-Digest: sha256:"),
        *(b"Content-Length: 3", b"WWW-Authenticate: Basic", b"Date: Thu, 99 Xxx 9999 99:99:99 -9999"),
    ]
)
ANSWERS = st.builds(
    lambda status, headers, body: (
        b"HTTP/1.1 %d \r\n%s\r\n%s" % (status, b"".join(header + b"\r\n" for header in headers), body)
    ),
    st.sampled_from([200, 201, 202, 204, 307, 401, 404, 500]),
    st.lists(HEADERS, max_size=4),
    st.binary(max_size=60)
    | st.builds(
        lambda key, inner: json.dumps({key: inner}).encode(), st.sampled_from(["repositories", "tags", "x"]), JSON
    ),
)


@quick
@given(answer=ANSWERS, call=st.sampled_from(sorted(CALLS)))
def test_no_answer_at_all_gets_past_the_errors_of_the_client(answer: bytes, call: str, server: Server) -> None:
    server.script = [(answer, 0)]
    _ends(lambda: CALLS[call](RegistryClient(server.at, None)), memory=4 * MEMORY)


# The engine's streams

EVENTS = JSON | st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["Pushed", f"digest: {DIGEST} size: 5"]) | JSON,
        "id": JSON,
        "progressDetail": st.fixed_dictionaries({}, optional={"current": JSON, "total": JSON}) | JSON,
        "aux": st.fixed_dictionaries({}, optional={"Digest": JSON}) | JSON,
        "errorDetail": st.fixed_dictionaries({}, optional={"message": JSON}) | JSON,
    },
)


@given(events=st.lists(EVENTS, max_size=6))
@example(events=[{"error": None}])
@example(events=[{"errorDetail": {"message": 1}, "error": []}])
def test_a_stream_of_anything_is_read_to_its_end_and_yields_a_digest_or_none(events: list[Any]) -> None:
    told = any(isinstance(event, dict) and "error" in event for event in events)
    try:
        found = engine_types.follow_transfer(events, Recorder(), "Pushing")
    except RegistryError:
        assert told
    else:
        assert not told
        assert found is None or isinstance(found, str)


@given(events=st.lists(EVENTS, max_size=4), error=JSON, detail=JSON)
def test_an_error_anywhere_in_a_stream_of_anything_is_raised(events: list[Any], error: object, detail: object) -> None:
    said = [*events, {"error": error, "errorDetail": detail}, {"status": f"digest: {DIGEST}"}]
    with pytest.raises(RegistryError, match="Pushing"):
        engine_types.follow_transfer(said, Recorder(), "Pushing")


@given(said=st.dictionaries(st.sampled_from(["OperatingSystem", "ServerVersion", "Name"]), JSON, max_size=3))
@example(said={"ServerVersion": ["28"]})
def test_what_an_engine_says_of_itself_is_text_or_no_answer_of_an_engine(said: dict[str, Any]) -> None:
    is_text = all(isinstance(said.get(key), str | None) for key in ("OperatingSystem", "ServerVersion"))
    refused = pytest.raises(RegistryError, match="is not one of a Docker Engine")
    with contextlib.nullcontext() if is_text else refused, connection.errors_explained("What it is"):
        assert isinstance(responses.info(json.loads(json.dumps(said)), os.devnull).version, str)
