"""Asks the registry itself: does it speak TLS, whose certificate does it show, does it refuse plain HTTP?"""

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
"""What /v2/ answers when all is well; 401 where it wants a login (OCI distribution specification, "end-1")."""

ANSWER_SECONDS = 30.0
"""Seconds to wait for a registry to answer; a warm one does within half a second."""

_NOT_YET_VALID = 9
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID: a clock that was set back by seconds since the certificate was made."""

_ANSWER = 5.0
"""Seconds for each of: the connection, the handshake, the whole of the answer."""

_LONGEST = 8 << 20
"""Bytes of an answer, its head included, after which it is no registry's; http.client bounds neither a head that says
100 Continue for ever, nor a chunk of a negative size."""

_BODY = 1 << 20
"""Bytes of a body that are looked at."""


@dataclass(frozen=True)
class Endpoint:
    """Where a registry is asked, and by which name it must prove itself."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return host:port."""
        return f"{bracketed(self.host)}:{self.port}"


def context(anchor: Path) -> ssl.SSLContext:
    """Return a TLS context that trusts this certificate alone, and is as strict as Python 3.13 and later are."""
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
    """Return status, headers (lower case) and body of one request; verified where a context is given.

    Raises:
        OSError: Nothing answers, or TLS fails (ssl.SSLError).
        http.client.HTTPException: What answers does not speak HTTP.
    """
    connection: http.client.HTTPConnection
    if tls:
        connection = http.client.HTTPSConnection(endpoint.host, endpoint.port, timeout=_ANSWER, context=tls)
    else:
        connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=_ANSWER)
    connection.response_class = _bounded  # type: ignore[assignment]  # it is only ever called
    try:
        connection.request(method, path, body=body or None, headers=dict(headers or {}))
        with connection.getresponse() as answer:
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read(_BODY)
    except OSError:  # first, since a certificate that is refused is a ValueError too
        raise
    except ValueError as error:  # http.client hands a chunk's size on as it came, and no read takes -2
        raise http.client.HTTPException(f"what answers does not speak HTTP: {error}") from error
    finally:
        connection.close()


def _bounded(sock: socket.socket, **known: Any) -> http.client.HTTPResponse:  # noqa: ANN401 - http.client's own
    """Return a reader of an answer that comes to an end, whatever the server does."""
    return http.client.HTTPResponse(cast("socket.socket", _Bounded(sock)), **known)


class _Bounded(io.RawIOBase):
    """What a socket receives, up to a moment and a size; its timeout alone begins anew with every byte."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._end = time.monotonic() + _ANSWER
        self._size = 0

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return what http.client reads from."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Whether this can be read: io's question to every stream."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """Receive once.

        Raises:
            OSError: It takes too long, or is too long.
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
        """Let go of the socket."""
        self._raw.close()
        super().close()


def fingerprint(endpoint: Endpoint) -> str:
    """Return the SHA-256 fingerprint (lower-case hex) of the certificate that is shown there, trusted or not.

    Raises:
        OSError: Nothing answers, or it does not speak TLS.
    """
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    with socket.create_connection((endpoint.host, endpoint.port), timeout=_ANSWER) as raw:
        name = None if ":" in endpoint.host else endpoint.host
        with unverified.wrap_socket(raw, server_hostname=name) as wrapped:
            shown = wrapped.getpeercert(binary_form=True) or b""
    return hashlib.sha256(shown).hexdigest()


def speaks_plain(endpoint: Endpoint) -> bool:
    """Whether a registry answers plain HTTP there; Go's TLS server says 400 to it, which is a refusal."""
    try:
        status, _, _ = request(endpoint, "GET", "/v2/", None)
    except (OSError, http.client.HTTPException):
        return False
    return status in READY_STATUSES


def admits(endpoint: Endpoint, tls: ssl.SSLContext | None, login: Mapping[str, str]) -> bool:
    """Whether a registry takes a login, given as headers; a file that was just changed may take it a moment to see."""
    end = time.monotonic() + _ANSWER
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if request(endpoint, "GET", "/v2/", tls, login)[0] == http.client.OK:
                return True
        if time.monotonic() > end:
            return False
        time.sleep(0.1)


def await_answer(ask: Callable[[], int], still_up: Callable[[], bool], *, patience: float = ANSWER_SECONDS) -> None:
    """Ask until the answer is one of READY.

    Args:
        ask: Makes one request and returns its status; may raise what `request` raises.
        still_up: Whether there is any hope left: False once the container has died.
        patience: Seconds to go on for.

    Raises:
        ssl.SSLCertVerificationError: It answers with a certificate that is not trusted: waiting would not help.
        RegistryError: It died, speaks plain HTTP, or did not answer in time.
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
    """Raise where waiting would not help: the certificate is refused, or it is no TLS that answers."""
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
    """Ask the registry to forget a manifest; return whether it did."""
    try:
        status, _, _ = request(endpoint, "DELETE", f"/v2/{repository}/manifests/{digest}", tls, headers)
    except (OSError, http.client.HTTPException):
        return False
    return status == http.client.ACCEPTED
