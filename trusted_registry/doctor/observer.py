"""Probes of a registry's address: name, connection, TLS, certificate, protocol, login, clock."""

from __future__ import annotations

import email.utils
import http.client
import socket
import ssl
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trusted_registry.address import bracketed
from trusted_registry.certificate import inspect
from trusted_registry.doctor.facts import Observation
from trusted_registry.registry import probe

if TYPE_CHECKING:
    import datetime

    from trusted_registry.certificate.inspect import Certificate

ANSWER_SECONDS = 3.0
"""Seconds to wait for a connection on a local network; a firewall that drops packets costs all of them."""


def observe(host: str, port: int, anchor: Path | None, now: datetime.datetime) -> Observation:
    """Probe a registry's address, and verify the certificate shown there.

    Args:
        host: Host name or address to connect to, and the name that the certificate must have.
        port: TCP port.
        anchor: Path of the trust anchor; None skips the verification with one.
        now: Present time of this machine's clock.
    """
    observation = Observation(host, port)
    try:
        socket.create_connection((host, port), timeout=ANSWER_SECONDS).close()
    except OSError as error:
        return replace(observation, connect_error=_reason(error))
    at = probe.Endpoint(host, port)
    observation = replace(observation, plain=probe.speaks_plain(at))
    try:
        shown, protocol = _shown(host, port)
    except (OSError, ValueError) as error:
        return replace(observation, refused=_reason(error))
    observation = replace(observation, certificate=shown, protocol=protocol, outdated_tls=_takes_outdated(host, port))
    observation = replace(observation, system=_distrust(at, ssl.create_default_context()))
    if anchor:
        observation = replace(observation, distrust=_distrust(at, probe.context(anchor)))
    return _answer(observation, at, now)


def resolve(name: str) -> tuple[str, ...]:
    """Return a name's addresses, as this machine resolves them; () if unknown."""
    try:
        return tuple(dict.fromkeys(str(entry[4][0]) for entry in socket.getaddrinfo(name, None)))
    except OSError:
        return ()


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {ANSWER_SECONDS:.0f} seconds"
    return str(getattr(error, "strerror", None) or error)


def _unverified() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


def _shown(host: str, port: int) -> tuple[Certificate, str]:
    with (
        socket.create_connection((host, port), timeout=ANSWER_SECONDS) as raw,
        _unverified().wrap_socket(raw, server_hostname=None if ":" in host else host) as wrapped,
    ):
        der, protocol = wrapped.getpeercert(binary_form=True) or b"", str(wrapped.version())
    name = Path(f"the certificate that {bracketed(host)}:{port} shows")
    return inspect.from_der(name, der), protocol


def _takes_outdated(host: str, port: int) -> bool:
    """Return whether TLS 1.0 or 1.1 is accepted; RFC 8996 forbids both."""
    old = _unverified()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    try:
        old.set_ciphers("DEFAULT:@SECLEVEL=0")
        with (
            socket.create_connection((host, port), timeout=ANSWER_SECONDS) as raw,
            old.wrap_socket(raw, server_hostname=None if ":" in host else host),
        ):
            return True
    except (OSError, ValueError):
        return False


def _distrust(at: probe.Endpoint, trust: ssl.SSLContext) -> str:
    try:
        probe.request(at, "GET", "/v2/", trust)
    except ssl.SSLCertVerificationError as error:
        return str(error.verify_message)
    except (OSError, http.client.HTTPException):
        return ""
    return ""


def _answer(observation: Observation, at: probe.Endpoint, now: datetime.datetime) -> Observation:
    try:
        status, headers, _ = probe.request(at, "GET", "/v2/", _unverified())
    except (OSError, http.client.HTTPException) as error:
        return replace(observation, refused=_reason(error))
    login = headers.get("www-authenticate", "").partition(" ")[0]
    api = headers.get("docker-distribution-api-version", "")
    return replace(observation, status=status, api=api, login=login, skew=_skew(headers.get("date", ""), now))


def _skew(date: str, now: datetime.datetime) -> float | None:
    try:
        return (now - email.utils.parsedate_to_datetime(date)).total_seconds()
    except (ValueError, TypeError):
        return None
