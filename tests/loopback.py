"""A registry's front door on loopback: a real TLS or plain HTTP server in a thread."""

from __future__ import annotations

import atexit
import base64
import collections
import contextlib
import hashlib
import http.server
import json
import re
import select
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import bcrypt
from cryptography import x509
from cryptography.x509.oid import NameOID

from trusted_registry.registry import users

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping
    from pathlib import Path

HOST = "127.0.0.1"
RESERVED = 64
NEIGHBOURS = 2
"""Ports after a reserved one that are reserved with it: where a port is taken, the next free one is offered."""
_RESERVED: collections.deque[contextlib.ExitStack] = collections.deque()


class _Registry(http.server.BaseHTTPRequestHandler):
    """Answers as a registry does where nobody logged in."""

    api = "registry/2.0"

    def do_GET(self) -> None:
        """Say what /v2/ says."""
        ready = self._status()
        known = {"/v2/": (ready, b"{}"), "/v2/_catalog": (200, b'{"repositories": ["app", "other"]}')}
        known |= {path: (200, content) for path, content in self._held.items()} | self._lists()
        at, _, name = self.path.rpartition("/")
        known |= {self.path: (200, self._held[name])} if at.endswith("/blobs") and name in self._held else {}
        kind = {"Content-Type": "application/vnd.docker.distribution.manifest.v2+json"}
        self._answer(*known.get(self.path, (404, b"")), kind if "/manifests/" in self.path else None)

    def do_HEAD(self) -> None:
        """Say what it would, without the content."""
        self.do_GET()

    def _lists(self) -> dict[str, tuple[int, bytes]]:
        """Say what a client is told that asks for pages: the repositories of manifests, and their tags."""
        tags: dict[str, list[str]] = {}
        for path in self._held:
            if found := re.fullmatch(r"/v2/(.+)/manifests/([^:]+)", path):
                tags.setdefault(found[1], []).append(found[2])
        listed = {f"/v2/{name}/tags/list?n=100": json.dumps({"tags": them}) for name, them in tags.items()}
        listed["/v2/_catalog?n=100"] = json.dumps({"repositories": sorted(tags)})
        return {path: (200, text.encode()) for path, text in listed.items()}

    def _status(self) -> int:
        """Say 200 only to a user of the folder, as a registry with a login does."""
        assert isinstance(self.server, _Server)
        if self.server.users is None:
            return self.server.status
        sent = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic "))
        name, _, password = sent.decode().partition(":")
        hashed = users._entries(self.server.users).get(name, "")
        return 200 if hashed and bcrypt.checkpw(password.encode(), hashed.encode()) else 401

    def do_POST(self) -> None:
        """Begin the upload of a blob, if this user may."""
        status = self._status()
        self._answer(202 if status == 200 else status, b"", {"Location": f"{self.path}one?state=begun"})

    def do_PUT(self) -> None:
        """Take a blob that has the digest it is said to have, or a manifest."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        path, _, query = self.path.partition("?")
        if "/manifests/" not in path and query != f"state=begun&digest={_digest(content)}":
            self._answer(400, b"another digest")
            return
        self._held[path if "/manifests/" in path else _digest(content)] = content
        self._answer(201, b"")

    def do_DELETE(self) -> None:
        """Forget by its digest a manifest that was put here, or one that always was."""
        digest = self.path.rpartition("/")[2]
        put = [at for at, content in self._held.items() if "/manifests/" in at and _digest(content) == digest]
        for at in put:
            del self._held[at]
        self._answer(202 if put or self.path == "/v2/app/manifests/sha256:00" else 404, b"")

    @property
    def _held(self) -> MutableMapping[str, bytes]:
        assert isinstance(self.server, _Server)
        return self.server.held

    def _answer(self, status: int, body: bytes, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for header, value in (more or {}).items():
            self.send_header(header, value)
        self.send_header("Docker-Distribution-Api-Version", self.api)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Keep quiet."""


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class _Server(http.server.ThreadingHTTPServer):
    tls: ssl.SSLContext | None = None
    status = 200
    held: MutableMapping[str, bytes]
    users: Path | None = None

    def finish_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Shake hands in the connection's own thread; a client that turns away is no error here."""
        assert isinstance(request, socket.socket)
        with contextlib.suppress(OSError):
            if self.tls is None:
                _Registry(request, client_address, self)
                return
            with self.tls.wrap_socket(request, server_side=True) as wrapped:
                _Registry(wrapped, client_address, self)
                wrapped.settimeout(1)
                wrapped.unwrap()  # says goodbye, as Go's server does: OpenSSL takes silence for a cut line


@contextlib.contextmanager
def registry(  # noqa: PLR0913 - a server has so many sides
    certificate: Path | None,
    *,
    host: str = HOST,
    port: int = 0,
    status: int = 200,
    users: Path | None = None,
    held: MutableMapping[str, bytes] | None = None,
    weak: bool = False,
) -> Iterator[int]:
    """Serve on loopback and lend the port: by TLS with a certificate (its key beside it), by plain HTTP without.

    Args:
        certificate: What to show.
        host: Address to listen at; "" is all of them.
        port: Where to listen; anywhere by default.
        status: What to answer when asked whether all is well.
        users: The certificates' folder whose users are let in; everybody by default.
        weak: Whether the certificate may be one that OpenSSL would not show otherwise.
        held: Where blobs (by digest) and manifests (by path) are kept that are put here.
    """
    with _Server((host, port), _Registry) as server:
        server.status, server.users = status, users
        server.held = {} if held is None else held
        if certificate:
            server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            if weak:
                server.tls.set_ciphers("DEFAULT:@SECLEVEL=0")
            server.tls.load_cert_chain(certificate, certificate.with_suffix(".key"))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()
            while select.select([server], [], [], 0)[0]:  # a registry has long taken what waits: its loop is no poll
                server.handle_request()


@atexit.register
def _release() -> None:
    for reserved in _RESERVED:
        reserved.close()


def free_port() -> int:
    """Return a port that nobody listens on, and that the system gives to nobody else for a while."""
    port, reserved = _reserve()
    _RESERVED.append(reserved)
    if len(_RESERVED) > RESERVED:
        _RESERVED.popleft().close()
    return port


@contextlib.contextmanager
def silence() -> Iterator[int]:
    """Lend a port on which nobody answers, and that the system gives to nobody else while it is lent."""
    port, reserved = _reserve()
    with reserved:
        yield port


def _reserve() -> tuple[int, contextlib.ExitStack]:
    """Bind a port and its neighbours without listening: clients are refused, whoever asks for one by number gets it.

    A port that is only looked up and let go is given to the next one that asks for any port: on a busy machine
    before the test came to use it. One of a single address is given away at another one, and then nobody can listen
    at all of them.
    """
    while True:
        with contextlib.ExitStack() as bound:
            port = _bind(bound, 0)
            with contextlib.suppress(OSError, OverflowError):  # a neighbour is somebody's, or past the last port
                for neighbour in range(port + 1, port + 1 + NEIGHBOURS):
                    _bind(bound, neighbour)
                return port, bound.pop_all()


def _bind(bound: contextlib.ExitStack, port: int) -> int:
    reserved = bound.enter_context(socket.socket())
    reserved.bind(("", port))
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as all servers here do: from now on they may share
    return int(reserved.getsockname()[1])


def shake_hands(port: int, anchor: Path, host: str = HOST) -> str:
    """Connect as the strictest Python does, insisting on a name, and return the subject of what is shown.

    Raises:
        ssl.SSLCertVerificationError: The certificate is not accepted.
    """
    context = ssl.create_default_context(cafile=str(anchor))
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    with (
        socket.create_connection((HOST, port), timeout=5) as raw,
        context.wrap_socket(raw, server_hostname=host) as wrapped,
    ):
        shown = x509.load_der_x509_certificate(wrapped.getpeercert(binary_form=True) or b"")
    (common_name,) = shown.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common_name.value)
