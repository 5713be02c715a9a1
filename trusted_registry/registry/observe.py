"""Answers at a registry's endpoint: observed by one function, and judged by whoever needs to know."""

from __future__ import annotations

import email.utils
import http.client
import socket
import ssl
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from trusted_registry.certificate import inspect, issue, unsent
from trusted_registry.certificate.inspect import Certificate
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import OpenToAllError, RegistryError
from trusted_registry.registry import probe, users
from trusted_registry.registry.probe import READY_STATUSES, Endpoint, Request
from trusted_registry.settings import Settings

_IGNORES = "The image ignores /config/registry.yml; use registry:2 or registry:3."

CONNECT_SECONDS = 1.5
"""Seconds to wait for a connection on a local network, in which Linux asks twice; a registry that is off costs all."""

_NOT_SIGNED = (2, 7, 18, 19, 20, 21)
"""OpenSSL's X509_V_ERR_… for a certificate of another authority: no issuer, a signature that is not the issuer's,
a self-signed certificate, a self-signed one at the end of the chain, no local issuer, nothing that can be verified."""


@dataclass(frozen=True)
class Observation:
    """Result of a connection to a registry's endpoint.

    Args:
        host: Host that was asked.
        port: TCP port that was asked.
        connect_error: Reason why nothing answered; "" if something did.
        plain: Whether the port answers plain HTTP; asked where TLS fails, and on request.
        refused: Reason why TLS, or the request over TLS, failed; "" if neither did.
        distrust: Reason why the trust anchor does not verify the certificate; "" if verified, or without an anchor.
        foreign: Reason why another authority than the anchor signed the certificate; "" if that very one did.
        unsent: Name of an issuer that is missing between the certificates sent and the anchor; "" if none is, or the
            anchor is another authority's. A client says of both that the authority is unknown.
        system: Reason why the operating system's store does not verify the certificate; asked on request.
        certificate: Certificate that the registry shows; None if none was seen.
        issuers: Certificates that the registry sends behind its own, nearest first; a client needs all but the trusted
            one.
        protocol: Version of TLS, such as TLSv1.3.
        outdated_tls: Whether TLS 1.1 or older is accepted, which no server should do; asked on request.
        status: HTTP status of /v2/; 0 without an answer.
        api: Header Docker-Distribution-Api-Version, which a registry sends with errors too; or "".
        login: Scheme of the login that is required, such as Basic or Bearer; "" if none is.
        skew: Seconds by which this machine's clock is ahead of the registry's; None if the answer has no date.
    """

    host: str
    port: int
    connect_error: str = ""
    plain: bool = False
    refused: str = ""
    distrust: str = ""
    foreign: str = ""
    unsent: str = ""
    system: str = ""
    certificate: Certificate | None = None
    issuers: tuple[Certificate, ...] = ()
    protocol: str = ""
    outdated_tls: bool = False
    status: int = 0
    api: str = ""
    login: str = ""
    skew: float | None = None

    @property
    def is_strange(self) -> bool:
        """Whether something other than a registry answers, by error or status."""
        return bool(self.refused or (self.status and self.status not in READY_STATUSES and not self.api))

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the certificate that is shown; "" if none was seen."""
        return self.certificate.fingerprint if self.certificate else ""


def ask(at: Endpoint, anchor: Path | None = None, *, plain: bool = False, thorough: bool = False) -> Observation:
    """Return an observation of an endpoint, made by one connection if all is well.

    Args:
        at: Endpoint, whose host the certificate must name.
        anchor: Path of the trust anchor; None skips the verification with one.
        plain: Whether to ask for plain HTTP too, even where TLS answers.
        thorough: Whether to ask that, for the system's trust, and for outdated TLS.
    """
    observation = Observation(at.host, at.port)
    try:
        connection = probe.connect(at, None, seconds=CONNECT_SECONDS)
    except OSError as error:
        return replace(observation, connect_error=_reason(error))
    observation = _over_tls(observation, connection, at, probe.context(anchor) if anchor else probe.unverified())
    if anchor and observation.distrust:
        observation = _with_unsent(_distrusted(observation, at, anchor), anchor)
    if plain or thorough or observation.refused:
        observation = replace(observation, plain=probe.speaks_plain(at))
    if thorough and observation.certificate:
        system = str(getattr(_shake_hands(at, ssl.create_default_context()), "verify_message", ""))
        observation = replace(observation, outdated_tls=_takes_outdated(at), system=system)
    return observation


def _over_tls(seen: Observation, connection: socket.socket, at: Endpoint, tls: ssl.SSLContext) -> Observation:
    """Add the certificate and the answer of /v2/, or the reason why there is none."""
    try:
        wrapped = probe.shake_hands(connection, at, tls)
        protocol, (shown, *sent) = str(wrapped.version()), probe.sent_chain(wrapped) or (b"",)
        seen = replace(seen, certificate=inspect.from_der(Path(f"the certificate that {at} shows"), shown))
        behind = Path(f"a certificate that {at} sends behind its own")
        seen = replace(seen, issuers=tuple(inspect.from_der(behind, it) for it in sent))
        answer = probe.send(wrapped, at, Request("GET", "/v2/"))
    except ssl.SSLCertVerificationError as error:
        return replace(seen, distrust=str(error.verify_message))
    except (*probe.NO_ANSWER, ValueError) as error:
        return replace(seen, refused=_reason(error))
    return replace(
        seen,
        protocol=protocol,
        status=answer.status,
        api=answer.headers.get("docker-distribution-api-version", ""),
        login=answer.headers.get("www-authenticate", "").partition(" ")[0],
        skew=skew(answer.headers.get("date", "")),
    )


def _distrusted(seen: Observation, at: Endpoint, anchor: Path) -> Observation:
    """Add the certificate, which the anchor does not verify, and whether the signer is another authority."""
    # The names and the form of the server certificate say nothing about its authority.
    by_authority = probe.context(anchor)
    by_authority.check_hostname = False
    by_authority.verify_flags &= ~ssl.VERIFY_X509_STRICT
    error = _shake_hands(at, by_authority)
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _NOT_SIGNED:
        seen = replace(seen, foreign=str(error.verify_message))
    try:
        connection = probe.connect(at, None)
    except OSError as gone:
        return replace(seen, refused=_reason(gone))
    return _over_tls(seen, connection, at, probe.unverified())


def _with_unsent(seen: Observation, anchor: Path) -> Observation:
    if not (seen.foreign and seen.certificate):
        return seen
    return replace(seen, unsent=unsent.issuer(seen.certificate, seen.issuers, inspect.read(anchor)))


def _shake_hands(at: Endpoint, tls: ssl.SSLContext) -> Exception | None:
    """Return the error of a handshake, or None."""
    try:
        probe.connect(at, tls, seconds=CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        return error
    return None


def _takes_outdated(at: Endpoint) -> bool:
    """Return whether TLS 1.0 or 1.1 is accepted; RFC 8996 forbids both."""
    old = probe.unverified()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    try:
        old.set_ciphers("DEFAULT:@SECLEVEL=0")
    except ssl.SSLError:
        return False
    return _shake_hands(at, old) is None


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_SECONDS:.0f} seconds"
    return str(getattr(error, "strerror", None) or error)


def skew(date: str) -> float | None:
    """Return the seconds by which this machine's clock is ahead of a Date header; None if that has no date."""
    try:
        return (inspect.now() - email.utils.parsedate_to_datetime(date)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None


def serves(endpoint: Endpoint, settings: Settings, wanted: str, *, asks: bool = True) -> bool:
    """Whether the registry there shows the certificate of this fingerprint, and asks for a login if one is due.

    One that does not send its issuer shows the right certificate, and no client accepts it. A mirror never asks.
    """
    seen = ask(endpoint, issue.trust_anchor(settings.folder).path)
    return seen.fingerprint == wanted and not seen.unsent and (not asks or turns_away(seen, settings))


def sending_cure(settings: Settings) -> str:
    """Return the cure by which our own registry sends its issuer: the file on disk is whole, or is made so first."""
    try:
        issue.find(settings.folder, dry=True)
    except RegistryError as error:
        return error.cure
    return f"{unsent.SERVE} has it send that."


def turns_away(seen: Observation, settings: Settings) -> bool:
    """Whether a request without a login was refused, where there are users."""
    return not users.is_login_required(settings.folder) or seen.status == http.client.UNAUTHORIZED


def is_up(engine: Engine, name: str) -> bool:
    """Whether a container of this name runs."""
    container = engine.find(name)
    return container is not None and container.state == "running"


def check_tls(
    endpoint: Endpoint, settings: Settings, still_up: Callable[[], bool], wanted: str = "", *, asks: bool = True
) -> None:
    """Insist on the certificate of a fingerprint, whoever its signer, and on the login where there is one.

    By default that is the certificate on disk, which is verified, and plain HTTP must be refused. A mirror never asks
    for a login.
    """
    anchor = None if wanted else issue.trust_anchor(settings.folder).path
    wanted = wanted or inspect.read(settings.folder / "domain.crt").fingerprint
    tls = probe.context(anchor) if anchor else probe.unverified()
    probe.await_answer(lambda: probe.request(endpoint, "GET", "/v2/", tls)[0], still_up)
    seen = ask(endpoint, anchor, plain=anchor is not None)
    if lost := seen.connect_error or seen.refused:
        raise ConnectionError(lost)
    if seen.fingerprint != wanted:
        raise RegistryError(
            f"{endpoint} shows another certificate ({seen.fingerprint[:16]}…) than domain.crt ({wanted[:16]}…).",
            cure="Something else answers at that address: see `ip address` and INVOKE_REGISTRY_ADDRESS.",
        )
    if seen.plain:
        raise RegistryError(f"{endpoint} answers plain HTTP.", cure=_IGNORES)
    if asks and not turns_away(seen, settings):
        raise OpenToAllError(f"{endpoint} lets everybody in, although there are users.", cure=_IGNORES)
