"""Asks the registry itself: does it speak TLS, whose certificate does it show, does it refuse plain HTTP?"""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trusted_registry.address import bracketed
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

READY = (200, 401)
"""What /v2/ answers when all is well; 401 where it wants a login (OCI distribution specification, "end-1")."""

PATIENCE = 30.0
"""Seconds to wait for a registry to answer; a warm one does within half a second."""

_NOT_YET_VALID = 9
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID: a clock that was set back by seconds since the certificate was made."""

_ANSWER = 5.0
"""Seconds for one connection and one answer."""


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


def request(
    endpoint: Endpoint, method: str, path: str, tls: ssl.SSLContext | None, headers: dict[str, str] | None = None
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
    try:
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read(1 << 20)
    finally:
        connection.close()


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
    return status in READY


def await_answer(ask: Callable[[], int], still_up: Callable[[], bool], *, patience: float = PATIENCE) -> None:
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
            if status in READY:
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


def delete_manifest(endpoint: Endpoint, repository: str, digest: str, tls: ssl.SSLContext | None) -> bool:
    """Ask the registry to forget a manifest; return whether it did."""
    try:
        status, _, _ = request(endpoint, "DELETE", f"/v2/{repository}/manifests/{digest}", tls)
    except (OSError, http.client.HTTPException):
        return False
    return status == http.client.ACCEPTED


def repositories(endpoint: Endpoint, tls: ssl.SSLContext | None) -> list[str]:
    """Return the names of the repositories that the registry lists on its first page."""
    _, _, body = request(endpoint, "GET", "/v2/_catalog", tls)
    names = json.loads(body).get("repositories") or []
    return [str(name) for name in names]
