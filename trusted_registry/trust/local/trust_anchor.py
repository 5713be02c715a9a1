"""Trust anchor for this machine: the certificate on disk, if its authority is that of the registry that answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from trusted_registry import address, installation
from trusted_registry.certificate import changeover, inspect, issue
from trusted_registry.certificate.inspect import Certificate
from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError
from trusted_registry.registry import observe
from trusted_registry.registry.probe import Endpoint
from trusted_registry.settings import Settings
from trusted_registry.trust.model import Mirror, TrustAnchor

_PUT_BACK = f"Put the ca.crt back that belongs to the keys here. {issue.FORCE}"
_ANOTHER_S = "Where this machine runs it: ./inv up. Else, there: ./inv trust.serve; paste here the line that it prints."
_AGAIN = "Copy ca.crt from the registry's machine again; there, ./inv status says what it serves."


def load(settings: Settings, *, dry: bool = False, required: bool = False) -> TrustAnchor:
    """Return the certificate that clients trust, with its registry hosts.

    Args:
        settings: The folder of the certificate, and the registry's names.
        dry: Whether nothing may be changed; the certificate may be absent then, and the anchor is without content.
        required: Whether the certificate must be present even in a dry run.

    Raises:
        RegistryError: The certificate is absent, no authority's, expired, or not alone in its file.
    """
    try:
        certificate = issue.trust_anchor(settings.folder, dry=dry)
    except RegistryError:
        if dry and not required:
            registry_hosts = address.registry_hosts(settings.hosts, settings.port)
            return TrustAnchor(b"", "0" * 64, registry_hosts, str(settings.folder / "ca.crt"))
        raise
    _check_authority(certificate)
    anchor = of(certificate, settings)
    if anchor.content.count(b"-----BEGIN ") > 1:
        alone = pasteable(["openssl", "x509", "-in", anchor.file, "-out", anchor.file])
        raise RegistryError(
            f"{anchor.file} holds more than one certificate, and clients would get all that is in it.",
            cure=f"Keep the first alone: {alone}",
        )
    return _in_changeover(anchor, settings)


def _in_changeover(anchor: TrustAnchor, settings: Settings) -> TrustAnchor:
    """Return a certificate with those that a changeover has beside it, or before."""
    new, old = changeover.next_root(settings.folder), changeover.old_root(settings.folder)
    return replace(anchor, beside=of(new, settings) if new else None, before=old.fingerprint if old else "")


def of(certificate: Certificate, settings: Settings) -> TrustAnchor:
    """Return a certificate with the registry hosts that it is for, and the mirrors here."""
    registry_hosts = address.registry_hosts(settings.hosts, settings.port)
    content, file = certificate.path.read_bytes(), str(certificate.path)
    made = TrustAnchor(content, certificate.fingerprint, registry_hosts, file)
    return replace(made, mirrors=_mirrors(settings, used=True), retired=_mirrors(settings, used=False))


def _mirrors(settings: Settings, *, used: bool) -> tuple[Mirror, ...]:
    noted = installation.known(settings.folder).mirrors.items()
    hosts = {name: address.registry_host(settings.address, it.port) for name, it in noted if it.used is used}
    return tuple(Mirror(name, host) for name, host in hosts.items())


def _check_authority(anchor: Certificate) -> None:
    folder = anchor.path.parent
    if not anchor.self_issued:
        raise RegistryError(
            f"{anchor.path} is not an authority's certificate: {anchor.issuer} signed it.",
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


def check_serves(settings: Settings) -> str:
    """Refuse an authority that did not sign the registry's certificate.

    Returns:
        Why the registry does not answer, and so was not checked; "" for one that does.

    Raises:
        RegistryError: The registry shows a certificate that another authority signed, or does not send its issuer.
    """
    anchor = issue.trust_anchor(settings.folder).path
    seen = observe.ask(Endpoint(settings.address, settings.port), anchor)
    if seen.unsent:
        asked = pasteable(["./inv", "doctor", "--remote", f"{address.bracketed(settings.address)}:{settings.port}"])
        raise RegistryError(
            f"The registry at {settings.address} does not send its issuer ({seen.unsent}): no trust would help.",
            cure=_cure(settings.folder, observe.sending_cure(settings), f"{asked} says who can fix that, and how."),
        )
    if seen.foreign:  # one that has merely expired is mended by a renewal, under the same authority
        raise RegistryError(
            f"{anchor} is not the authority of the registry at {settings.address}: {seen.foreign}.",
            cure=_cure(settings.folder, _ANOTHER_S, _AGAIN),
        )
    return seen.connect_error
