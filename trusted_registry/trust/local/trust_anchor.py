"""What this machine is to trust: the certificate at hand, if it is the authority of the registry that answers."""

from __future__ import annotations

import http.client
import ssl
from typing import TYPE_CHECKING

from trusted_registry import address
from trusted_registry.certificate import inspect, issue
from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError
from trusted_registry.registry import probe
from trusted_registry.trust.model import TrustAnchor

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.certificate.inspect import Certificate
    from trusted_registry.settings import Settings

_NOT_SERVED = (2, 7, 18, 19, 20, 21)
"""OpenSSL's X509_V_ERR_… for a certificate that somebody else signed: no issuer is at hand, the signature is not its,
the certificate or the end of its chain is its own trust, no issuer is at hand here, nothing of it can be verified."""

_PUT_BACK = f"Put the ca.crt back that belongs to the keys here. {issue.FORCE}"
_ANOTHER_S = "Where this machine runs it: ./inv up. Else, there: ./inv trust.serve; type here the line that it shows."
_AGAIN = "Copy ca.crt from the registry's machine again; there, ./inv status says what it serves."


def load(settings: Settings, *, dry: bool = False, required: bool = False) -> TrustAnchor:
    """Return what clients must trust, and by which names.

    Args:
        settings: Where the certificate is, and the registry's names.
        dry: Whether nothing may be changed, and none need be there yet; the subject has no content then.
        required: Whether one must be there even so.

    Raises:
        RegistryError: There is none, it is no authority's, or it has expired.
    """
    registry_hosts = address.registry_hosts(settings.hosts, settings.port)
    try:
        anchor = issue.trust_anchor(settings.folder, dry=dry)
    except RegistryError:
        if dry and not required:
            return TrustAnchor(b"", "0" * 64, registry_hosts, str(settings.folder / "ca.crt"))
        raise
    _check_authority(anchor)
    content = anchor.path.read_bytes()
    if content.count(b"-----BEGIN ") > 1:
        alone = pasteable(["openssl", "x509", "-in", str(anchor.path), "-out", str(anchor.path)])
        raise RegistryError(
            f"{anchor.path} holds more than one certificate, and clients would get all that is in it.",
            cure=f"Keep the first alone: {alone}",
        )
    return TrustAnchor(content, anchor.fingerprint, registry_hosts, str(anchor.path))


def _check_authority(anchor: Certificate) -> None:
    folder = anchor.path.parent
    if not anchor.self_issued:
        raise RegistryError(
            f"{anchor.path} is no authority's certificate: {anchor.issuer} signed it.",
            cure=_cure(folder, _PUT_BACK, "Copy certs/ca.crt, not domain.crt, from the registry's machine."),
        )
    if anchor.days_left(inspect.now()) < 0:
        anew = "On the registry's machine: ./inv cert --force; then copy the new ca.crt here."
        raise RegistryError(
            f"{anchor.path} expired on {anchor.not_after:%Y-%m-%d}: no client would accept it.",
            cure=_cure(folder, issue.FORCE, anew),
        )


def _cure(folder: Path, own: str, handed: str) -> str:
    """Return the cure for the registry's own machine, or for one that was handed the certificate."""
    return own if issue.keeps_keys(folder) else handed


def check_serves(settings: Settings) -> None:
    """Refuse to trust an authority that is not the one behind the registry, where that answers.

    Raises:
        RegistryError: The registry shows a certificate that another authority signed.
    """
    anchor = issue.trust_anchor(settings.folder).path
    tls = probe.context(anchor)
    # Which names it is for, and how well it is made, is not the authority's to answer for.
    tls.check_hostname = False
    tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
    try:
        probe.request(probe.Endpoint(settings.address, settings.port), "GET", "/v2/", tls)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code not in _NOT_SERVED:
            return  # such as one that has expired: a renewal mends it, under the same authority
        raise RegistryError(
            f"{anchor} is not the authority of the registry at {settings.address}: {error.verify_message}.",
            cure=_cure(settings.folder, _ANOTHER_S, _AGAIN),
        ) from error
    except (OSError, ValueError, http.client.HTTPException):
        return
