"""Requests to the registry itself: its TLS, its certificate, its refusal of plain HTTP, its logins."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import io
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from trusted_registry.address import bracketed
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from _typeshed import WriteableBuffer

READY_STATUSES = (200, 401)
"""Statuses of /v2/ when all is well; 401 asks for a login (OCI distribution specification, "end-1")."""

ANSWER_SECONDS = 30.0
"""Seconds to wait for a registry to answer; a warm one does within half a second."""

_NOT_YET_VALID = 9
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID: a clock that was set back by seconds since the certificate was made."""

_ANSWER = 5.0
"""Seconds for each of: the connection, the handshake, the entire answer."""

_LONGEST = 8 << 20
"""Bytes of an answer, head included, beyond which no registry goes; http.client bounds neither a head that says
100 Continue for ever, nor a chunk of a negative size."""

_BODY = 1 << 20
"""Bytes of a body that are read."""


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


def request(  # noqa: PLR0913, PLR0917 - a request has so many parts
    endpoint: Endpoint,
    method: str,
    path: str,
    tls: ssl.SSLContext | None,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers (lower case) and body of one request.

    With `tls` the request uses HTTPS and verifies the certificate, otherwise plain HTTP.

    Raises:
        OSError: Nothing answers, or TLS fails (ssl.SSLError).
        http.client.HTTPException: The answer is not HTTP.
    """
    connection: http.client.HTTPConnection
    if tls:
        connection = http.client.HTTPSConnection(endpoint.host, endpoint.port, timeout=_ANSWER, context=tls)
    else:
        connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=_ANSWER)
    connection.response_class = _bounded  # type: ignore[assignment]  # it is only ever called
    try:
        if endpoint.via:
            connection.sock = _connected(endpoint, tls)
        connection.request(method, path, body=body or None, headers=dict(headers or {}))
        with connection.getresponse() as answer:
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read(_BODY)
    except OSError:  # first, since a certificate that is refused is a ValueError too
        raise
    except ValueError as error:  # http.client hands a chunk's size on as it came, and no read takes -2
        raise http.client.HTTPException(f"what answers does not speak HTTP: {error}") from error
    finally:
        connection.close()


def _connected(endpoint: Endpoint, tls: ssl.SSLContext | None) -> socket.socket:
    """Return a connection to the address that stands in for an endpoint's host."""
    raw = socket.create_connection((endpoint.via, endpoint.port), timeout=_ANSWER)
    if tls is None:
        return raw
    try:
        return tls.wrap_socket(raw, server_hostname=endpoint.host)
    except BaseException:
        raw.close()
        raise


def _bounded(sock: socket.socket, **known: Any) -> http.client.HTTPResponse:  # noqa: ANN401 - http.client's own
    """Return an HTTP response that comes to an end, whatever the server does."""
    return http.client.HTTPResponse(cast("socket.socket", _Bounded(sock)), **known)


class _Bounded(io.RawIOBase):
    """Bytes from a socket, limited in time and size; a socket's own timeout begins anew with every byte."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._end = time.monotonic() + _ANSWER
        self._size = 0

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
            raise TimeoutError(f"the answer did not end within {_ANSWER:.0f} seconds")
        self._sock.settimeout(left)
        received = self._raw.readinto(buffer)
        self._size += received or 0
        if self._size > _LONGEST:
            raise OSError("the answer has no end")
        return received

    def close(self) -> None:
        """Release the socket."""
        self._raw.close()
        super().close()


def fingerprint(endpoint: Endpoint) -> str:
    """Return the fingerprint of the certificate shown, trusted or not.

    The fingerprint is SHA-256 in lower-case hex.

    Raises:
        OSError: Nothing answers, or the server does not speak TLS.
    """
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    with socket.create_connection((endpoint.via or endpoint.host, endpoint.port), timeout=_ANSWER) as raw:
        name = None if ":" in endpoint.host else endpoint.host
        with unverified.wrap_socket(raw, server_hostname=name) as wrapped:
            shown = wrapped.getpeercert(binary_form=True) or b""
    return hashlib.sha256(shown).hexdigest()


def speaks_plain(endpoint: Endpoint) -> bool:
    """Return whether a registry answers plain HTTP there.

    Go's TLS server answers plain HTTP with status 400, which is a refusal.
    """
    try:
        status, _, _ = request(endpoint, "GET", "/v2/", None)
    except (OSError, http.client.HTTPException):
        return False
    return status in READY_STATUSES


def admits(endpoint: Endpoint, tls: ssl.SSLContext | None, login: Mapping[str, str]) -> bool:
    """Return whether a registry accepts a login, given as headers.

    A registry may take a moment to see a user file that was just changed.
    """
    end = time.monotonic() + _ANSWER
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if request(endpoint, "GET", "/v2/", tls, login)[0] == http.client.OK:
                return True
        if time.monotonic() > end:
            return False
        time.sleep(0.1)


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
    end = time.monotonic() + patience
    pause = 0.005
    while True:
        try:
            status = ask()
        except ssl.SSLError as error:
            _check_speech(error)
            last = str(error)
        except (OSError, http.client.HTTPException) as error:
            last = str(error)
        else:
            if status in READY_STATUSES:
                return
            last = f"status {status}"
        if not still_up():
            raise RegistryError("The registry stopped as soon as it was started.", cure="./inv registry.logs says why.")
        if time.monotonic() > end:
            raise RegistryError(
                f"The registry did not answer within {patience:.0f} seconds ({last}).",
                cure="./inv registry.logs says why.",
            )
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)


def _check_speech(error: ssl.SSLError) -> None:
    """Raise if waiting cannot help: the certificate is refused, or no TLS."""
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code != _NOT_YET_VALID:
        raise error
    if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        raise RegistryError(
            "The registry answers plain HTTP.",
            cure="Its image does not read /config/registry.yml; use registry:2 or registry:3.",
        ) from error


def delete_manifest(
    endpoint: Endpoint,
    repository: str,
    digest: str,
    tls: ssl.SSLContext | None,
    headers: Mapping[str, str] | None = None,
) -> bool:
    """Delete a manifest from the registry; return whether that succeeded."""
    try:
        status, _, _ = request(endpoint, "DELETE", f"/v2/{repository}/manifests/{digest}", tls, headers)
    except (OSError, http.client.HTTPException):
        return False
    return status == http.client.ACCEPTED
