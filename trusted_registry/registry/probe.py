"""Connections and requests to a registry, each bounded in time and size, whatever the server does."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from trusted_registry.address import bracketed
from trusted_registry.errors import RegistryError
from trusted_registry.registry.body import Stream

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

READY_STATUSES = (200, 401)
"""Statuses of /v2/ when all is well; 401 asks for a login (OCI distribution specification, "end-1")."""

ANSWER_SECONDS = 30.0
"""Seconds to wait for a registry to answer; a warm one does within half a second."""

_LOOK_SECONDS = 0.05
"""Seconds between two looks at a container that does not answer yet: each takes some of its processor's time."""

_DER = 2
"""OpenSSL's X509_FILETYPE_ASN1, as `_ssl.ENCODING_DER`."""

_NOT_YET_VALID = 9
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID: a clock that was set back by seconds since the certificate was made."""

_ANSWER = 5.0
"""Seconds for each of: the connection, the handshake, the entire answer."""

_STALL = 60.0
"""Seconds in which a server takes another chunk of a large body: its disk may be slow for a while."""

_LONGEST = 8 << 20
"""Bytes of an answer beyond its body, after which no registry goes on; http.client bounds neither a head that says
100 Continue for ever, nor a chunk of a negative size."""

_BODY = 1 << 20
"""Bytes of a body that are read, unless a request says otherwise."""

_SLOWEST = 1 << 16
"""Bytes a second of the slowest line that a large body may take."""

NO_ANSWER = (OSError, http.client.HTTPException)
"""Errors of a connection: nothing answers, TLS fails (ssl.SSLError), or the answer is not HTTP."""


@dataclass(frozen=True)
class Endpoint:
    """Host and port of a registry; the certificate must name that host.

    Args:
        host: The name or address that clients use.
        port: TCP port.
        via: Address to connect to in place of the host, for a registry that is tried beside the one there.
    """

    host: str
    port: int
    via: str = ""

    def __str__(self) -> str:
        """Return host:port."""
        return f"{bracketed(self.host)}:{self.port}"


def context(anchor: Path) -> ssl.SSLContext:
    """Return a TLS context that trusts this certificate alone.

    The context is as strict as those of Python 3.13 and later.
    """
    made = ssl.create_default_context(cafile=str(anchor))
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    # Lets a certificate that is not an authority be trusted by itself, as Go and browsers do; 3.13's default too.
    made.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    return made


def unverified() -> ssl.SSLContext:
    """Return a TLS context that accepts any certificate, to see which one is shown."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


def connect(endpoint: Endpoint, tls: ssl.SSLContext | None, *, seconds: float = 0.0) -> socket.socket:
    """Return a connection, with TLS if there is a context; `seconds` are for TCP alone, not for the handshake of TLS.

    Raises:
        OSError: Nothing answers, or TLS fails (ssl.SSLError).
    """
    plain = socket.create_connection((endpoint.via or endpoint.host, endpoint.port), timeout=seconds or _ANSWER)
    plain.settimeout(_ANSWER)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return shake_hands(plain, endpoint, tls) if tls else plain


def shake_hands(plain: socket.socket, endpoint: Endpoint, tls: ssl.SSLContext) -> ssl.SSLSocket:
    """Return a connection with TLS on top, which takes the place of the plain one.

    Raises:
        OSError: TLS fails (ssl.SSLError); the connection is closed.
    """
    try:
        return tls.wrap_socket(plain, server_hostname=endpoint.host)
    except BaseException:
        plain.close()
        raise


@dataclass(frozen=True)
class Request:
    """A request, and the bytes of the answer's body that are read; the time for the answer grows with both.

    The patience is further seconds, for a server that asks another one first.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Stream = b""
    limit: int = _BODY
    patience: float = 0.0


class Answer(NamedTuple):
    """Status, headers (names in lower case) and body of an answer."""

    status: int
    headers: dict[str, str]
    body: bytes


def request(  # noqa: PLR0913, PLR0917 - a request has so many parts
    endpoint: Endpoint,
    method: str,
    path: str,
    tls: ssl.SSLContext | None,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Answer:
    """Return the answer to one request.

    With `tls` the request uses HTTPS and verifies the certificate, otherwise plain HTTP.

    Raises:
        OSError: Nothing answers, or TLS fails (ssl.SSLError).
        http.client.HTTPException: The answer is not HTTP.
    """
    return send(connect(endpoint, tls), endpoint, Request(method, path, headers or {}, body))


def send(connection: socket.socket, endpoint: Endpoint, request: Request) -> Answer:
    """Send a request, return its answer, and close the connection.

    Raises:
        OSError: The connection fails, or the answer takes too long.
        http.client.HTTPException: The answer is not HTTP.
    """
    with answered(connection, endpoint, request) as answer:
        return read(answer, request)


def read(answer: http.client.HTTPResponse, request: Request) -> Answer:
    """Read an answer, within the bounds of its request."""
    headers = {key.lower(): value for key, value in answer.getheaders()}
    return Answer(answer.status, headers, answer.read(request.limit))


@contextlib.contextmanager
def answered(connection: socket.socket, endpoint: Endpoint, request: Request) -> Iterator[http.client.HTTPResponse]:
    """Send a request, yield the answer to be read, and close the connection; errors are those of `send`."""
    http_connection = http.client.HTTPConnection(endpoint.host, endpoint.port)
    if isinstance(connection, ssl.SSLSocket):
        http_connection.default_port = http.client.HTTPS_PORT  # which the Host header leaves out
    http_connection.sock = connection
    http_connection.response_class = functools.partial(_bounded, request)  # type: ignore[assignment]  # only called
    try:
        if isinstance(request.body, Stream):
            connection.settimeout(_STALL)
        http_connection.request(request.method, request.path, body=request.body or None, headers=dict(request.headers))
        with http_connection.getresponse() as answer:
            yield answer
    except OSError:  # first, since a certificate that is refused is a ValueError too
        raise
    except ValueError as error:  # http.client hands a chunk's size on as it came, and no read takes -2
        raise http.client.HTTPException(f"what answers does not speak HTTP: {error}") from error
    finally:
        http_connection.close()


def _bounded(request: Request, sock: socket.socket, **known: Any) -> http.client.HTTPResponse:  # noqa: ANN401 - http.client's own
    """Return an HTTP response that comes to an end, whatever the server does."""
    return http.client.HTTPResponse(cast("socket.socket", _Bounded(sock, request)), **known)


class _Bounded(io.RawIOBase):
    """Bytes from a socket, limited in time and size; a socket's own timeout begins anew with every byte."""

    def __init__(self, sock: socket.socket, request: Request) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        large = max(request.limit - _BODY, 0) + len(request.body)
        self._seconds = _ANSWER + request.patience + large / _SLOWEST
        self._end = time.monotonic() + self._seconds
        self._left = request.limit + _LONGEST

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return the stream that http.client reads from."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Return True; io asks every stream."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """Receive once.

        Raises:
            OSError: The answer takes too long, or is too long.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"the answer did not end within {self._seconds:.0f} seconds")
        self._sock.settimeout(left)
        received = self._raw.readinto(buffer)
        self._left -= received or 0
        if self._left < 0:
            raise OSError("the answer has no end")
        return received

    def close(self) -> None:
        """Release the socket."""
        self._raw.close()
        super().close()


def fingerprint(endpoint: Endpoint) -> str:
    """Return the fingerprint of the certificate shown, trusted or not: SHA-256 in lower-case hex.

    Raises:
        OSError: Nothing answers, or the server does not speak TLS.
    """
    with cast("ssl.SSLSocket", connect(endpoint, unverified())) as wrapped:
        shown = wrapped.getpeercert(binary_form=True) or b""
    return hashlib.sha256(shown).hexdigest()


def sent_chain(connection: ssl.SSLSocket) -> tuple[bytes, ...]:
    """Return the certificates that a server sent, its own first, each as DER, whether they verify or not."""
    if ask := getattr(connection, "get_unverified_chain", None):  # from Python 3.13 on; the same is private before
        return tuple(ask())
    sent = cast("Any", connection)._sslobj.get_unverified_chain()  # noqa: SLF001 - see above
    return tuple(it.public_bytes(_DER) for it in sent or ())


def speaks_plain(endpoint: Endpoint) -> bool:
    """Return whether a registry answers plain HTTP there; the 400 of Go's TLS server is a refusal."""
    try:
        status, _, _ = request(endpoint, "GET", "/v2/", None)
    except NO_ANSWER:
        return False
    return status in READY_STATUSES


def await_answer(ask: Callable[[], int], still_up: Callable[[], bool], *, patience: float = ANSWER_SECONDS) -> None:
    """Ask until the answer is one of `READY_STATUSES`.

    Args:
        ask: Makes one request and returns its status; may raise the errors of `request`.
        still_up: Returns False once the container has died and no hope is left.
        patience: Seconds to wait.

    Raises:
        ssl.SSLCertVerificationError: The certificate is not trusted: waiting would not help.
        RegistryError: The registry died, speaks plain HTTP, or did not answer in time.
    """
    looked = time.monotonic()
    end, pause = looked + patience, 0.012
    while True:
        try:
            status = ask()
        except NO_ANSWER as error:
            _check_speech(error)
            last = str(error)
        else:
            if status in READY_STATUSES:
                return
            last = f"status {status}"
        now, cure = time.monotonic(), "./inv registry.logs says why."
        if now > min(looked + _LOOK_SECONDS, end):
            looked = now
            if not still_up():
                raise RegistryError("The registry stopped as soon as it was started.", cure=cure)
        if now > end:
            raise RegistryError(f"The registry did not answer within {patience:.0f} seconds ({last}).", cure=cure)
        time.sleep(pause)
        pause = min(pause * 1.1, 0.5)  # a tenth of the wait is the most that is lost


def _check_speech(error: Exception) -> None:
    """Raise if waiting cannot help: the certificate is refused, or no TLS."""
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code != _NOT_YET_VALID:
        raise error
    if getattr(error, "reason", "") in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        cure = "Its image does not read /config/registry.yml; use registry:2 or registry:3."
        raise RegistryError("The registry answers plain HTTP.", cure=cure) from error
