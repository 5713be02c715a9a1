"""A registry's front door on loopback: a real TLS or plain HTTP server in a thread."""

from __future__ import annotations

import base64
import contextlib
import http.server
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import bcrypt
from cryptography import x509
from cryptography.x509.oid import NameOID

from trusted_registry.registry import users

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST = "127.0.0.1"


class _Registry(http.server.BaseHTTPRequestHandler):
    """Answers as a registry does where nobody logged in."""

    def do_GET(self) -> None:
        """Say what /v2/ says."""
        ready = self._status()
        known = {"/v2/": (ready, b"{}"), "/v2/_catalog": (200, b'{"repositories": ["app", "other"]}')}
        self._answer(*known.get(self.path, (404, b"")))

    def _status(self) -> int:
        """Say 200 only to a user of the folder, as a registry with a login does."""
        assert isinstance(self.server, _Server)
        if self.server.users is None:
            return self.server.status
        sent = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic "))
        name, _, password = sent.decode().partition(":")
        hashed = users._entries(self.server.users).get(name, "")
        return 200 if hashed and bcrypt.checkpw(password.encode(), hashed.encode()) else 401

    def do_DELETE(self) -> None:
        """Forget one manifest, and no other."""
        self._answer(202 if self.path == "/v2/app/manifests/sha256:00" else 404, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Keep quiet."""


class _Server(http.server.ThreadingHTTPServer):
    tls: ssl.SSLContext | None = None
    status = 200
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


@contextlib.contextmanager
def registry(certificate: Path | None, *, port: int = 0, status: int = 200, users: Path | None = None) -> Iterator[int]:
    """Serve on loopback and lend the port: by TLS with a certificate (its key beside it), by plain HTTP without.

    Args:
        certificate: What to show.
        port: Where to listen; anywhere by default.
        status: What to answer when asked whether all is well.
        users: The certificates' folder whose users are let in; everybody by default.
    """
    with _Server((HOST, port), _Registry) as server:
        server.status, server.users = status, users
        if certificate:
            server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            server.tls.load_cert_chain(certificate, certificate.with_suffix(".key"))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def silence() -> Iterator[int]:
    """Lend a port on which nobody answers."""
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
    yield int(port)


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
