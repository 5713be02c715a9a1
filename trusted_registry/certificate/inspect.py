"""Certificates and keys: their fields, and checks that they belong together.

The cryptography package is imported by the functions: that takes a fortieth of a second, in which openssl can run.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from trusted_registry import address
from trusted_registry.certificate import profile
from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from cryptography import x509

Extension = TypeVar("Extension", bound="x509.ExtensionType")

_SETTLES = datetime.timedelta(seconds=30)


def load() -> None:
    """Import the cryptography package ahead of its first use."""
    import cryptography.hazmat.primitives.serialization
    import cryptography.x509  # noqa: F401 - see above


@dataclass(frozen=True)
class Certificate:
    """A certificate's fields: times are aware and in UTC, the fingerprint is SHA-256 in lower-case hex."""

    path: Path
    subject: str
    issuer: str
    not_before: datetime.datetime
    not_after: datetime.datetime
    dns: tuple[str, ...]
    addresses: tuple[str, ...]
    key: str
    fingerprint: str
    self_issued: bool
    certificate: x509.Certificate

    def begins(self, at: datetime.datetime) -> str:
        """Return the time at which validity begins, or "" once begun.

        Thirty seconds are tolerated, since clocks are set back by seconds all the time.
        """
        return f"{self.not_before:%Y-%m-%d %H:%M} UTC" if self.not_before > at + _SETTLES else ""

    def days_left(self, now: datetime.datetime) -> int:
        """Return whole days until expiry; negative once expired."""
        return (self.not_after - now).days

    @property
    def sha1(self) -> str:
        """SHA-1 fingerprint in hex, the name in a Mac's keychain and in Windows.

        A name alone: SHA-1 proves nothing.
        """
        from cryptography.hazmat.primitives import hashes

        return self.certificate.fingerprint(hashes.SHA1()).hex()  # noqa: S303 - a name, see above

    def missing(self, hosts: Iterable[str]) -> tuple[str, ...]:
        """Return those of the hosts that the certificate does not name, exactly or by a wildcard."""
        named = {name.lower() for name in self.dns} | set(self.addresses)
        return tuple(host for host in hosts if host not in named and _wildcard(host) not in named)


def _wildcard(host: str) -> str:
    """Return the wildcard that stands for a host; "" of an address and of a name below a single word.

    OpenSSL takes no wildcard with fewer than two labels behind the star (x509v3/v3_utl.c, valid_star).
    """
    _, _, above = host.partition(".")
    return f"*.{above}" if "." in above and not address.is_ip(host) else ""


def now() -> datetime.datetime:
    """Return the current time in UTC."""
    return datetime.datetime.now(datetime.timezone.utc)


def fingerprint(pem: bytes) -> str:
    """Return the fingerprint of the first certificate in PEM; "" where there is none."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    with contextlib.suppress(ValueError, *_unusable()):
        return x509.load_pem_x509_certificates(pem)[0].fingerprint(hashes.SHA256()).hex()
    return ""


def read(path: Path) -> Certificate:
    """Return the first certificate in a PEM file.

    Raises:
        RegistryError: The file does not exist, cannot be read, or holds no certificate.
    """
    return read_chain(path)[0]


def read_chain(path: Path) -> tuple[Certificate, ...]:
    """Return all certificates in a PEM file: a server's own first, then those that signed, nearest first.

    Raises:
        RegistryError: The file does not exist, cannot be read, or holds no certificate.
    """
    from cryptography import x509

    faults: tuple[type[Exception], ...] = (ValueError, *_unusable())
    try:
        return tuple(of(path, it) for it in x509.load_pem_x509_certificates(path.read_bytes()))
    except OSError as error:
        raise RegistryError(
            f"{path} cannot be read: {error.strerror}.", cure=f"Look: {pasteable(['ls', '-l', path])}"
        ) from error
    except faults as error:
        raise _unreadable(path) from error


def _unusable() -> tuple[type[Exception], ...]:
    """Return the package's exceptions for well-formed but unusable certificates; none is a ValueError."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    return (x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, UnsupportedAlgorithm)


def _unreadable(path: Path) -> RegistryError:
    """Return the error of a file that holds no certificate in PEM."""
    from cryptography import x509

    with contextlib.suppress(ValueError, *_unusable()):
        x509.load_der_x509_certificate(path.read_bytes())
        converted = pasteable(["openssl", "x509", "-inform", "DER", "-in", path, "-out", f"{path}.pem"])
        cure = f"{converted} && {pasteable(['mv', f'{path}.pem', path])}"
        return RegistryError(f"{path} holds its certificate as DER; it must be PEM.", cure=cure)
    cure = f"See what it is: {pasteable(['head', path])}; to make another: ./inv cert --force"
    return RegistryError(f"{path} holds no certificate that can be read.", cure=cure)


def from_der(path: Path, der: bytes) -> Certificate:
    """Return a certificate from DER bytes, such as a foreign server shows.

    Args:
        path: The name that errors use.
        der: The certificate.

    Raises:
        ValueError: The bytes are no certificate, or one that no client could read.
    """
    from cryptography import x509

    try:
        return of(path, x509.load_der_x509_certificate(der))
    except _unusable() as error:
        raise ValueError(f"no certificate that can be read: {error}") from error


def of(path: Path, certificate: x509.Certificate) -> Certificate:
    """Return the fields of a parsed certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    names = extension(certificate, x509.SubjectAlternativeName)
    return Certificate(
        path=path,
        subject=_common_name(certificate.subject),
        issuer=_common_name(certificate.issuer),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        dns=tuple(names.value.get_values_for_type(x509.DNSName)) if names else (),
        addresses=tuple(str(ip) for ip in names.value.get_values_for_type(x509.IPAddress)) if names else (),
        key=_kind(certificate),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        self_issued=certificate.subject == certificate.issuer,
        certificate=certificate,
    )


def pem(certificate: Certificate) -> bytes:
    """Return a certificate as PEM."""
    from cryptography.hazmat.primitives import serialization

    return certificate.certificate.public_bytes(serialization.Encoding.PEM)


def organizations(name: x509.Name) -> set[str]:
    """Return the organizations in a certificate's name."""
    from cryptography.x509.oid import NameOID

    return {str(it.value) for it in name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)}


def _common_name(name: x509.Name) -> str:
    from cryptography.x509.oid import NameOID

    values = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(values[0].value) if values else name.rfc4514_string()


def _kind(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return {"secp256r1": "ec:P-256", "secp384r1": "ec:P-384"}.get(key.curve.name, f"ec:{key.curve.name}")
    return f"rsa:{key.key_size}" if isinstance(key, rsa.RSAPublicKey) else type(key).__name__


def extension(certificate: x509.Certificate, kind: type[Extension]) -> x509.Extension[Extension] | None:
    """Return a certificate's extension of one kind, or None if absent."""
    from cryptography import x509

    with contextlib.suppress(x509.ExtensionNotFound):
        return certificate.extensions.get_extension_for_class(kind)
    return None


def is_pair(key: Path, certificate: Certificate) -> bool:
    """Return whether a key file holds a certificate's private key.

    Raises:
        RegistryError: The file cannot be read or holds no key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except OSError as error:
        raise RegistryError(
            f"{key} cannot be read: {error.strerror}.", cure=f"Look: {pasteable(['ls', '-l', key])}"
        ) from error
    except TypeError as error:
        opened = pasteable(["openssl", "pkey", "-in", key, "-out", f"{key}.open"])
        cure = f"(umask 077 && {opened} && {pasteable(['mv', f'{key}.open', key])})"
        raise RegistryError(f"{key} has a passphrase, and a registry cannot ask for it.", cure=cure) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        cure = f"Put its backup back, or move it away: {pasteable(['mv', key, f'{key}.broken'])}"
        raise RegistryError(f"{key} holds no private key that can be read.", cure=cure) from error
    return private.public_key() == certificate.certificate.public_key()


def signed_by(certificate: Certificate, authority: Certificate) -> bool:
    """Return whether issuer name and signature are those of an authority."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    with contextlib.suppress(ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        certificate.certificate.verify_directly_issued_by(authority.certificate)
        return True
    return False


def allowed(authority: Certificate, hosts: Iterable[str]) -> tuple[str, ...]:
    """Return those of the hosts that an authority's name constraints permit."""
    from cryptography import x509

    limits = extension(authority.certificate, x509.NameConstraints)
    permitted = (limits.value.permitted_subtrees or []) if limits else None
    if permitted is None:
        return tuple(hosts)
    dns = [entry.value for entry in permitted if isinstance(entry, x509.DNSName)]
    networks = [str(entry.value) for entry in permitted if isinstance(entry, x509.IPAddress)]

    def permits(host: str) -> bool:
        return profile.permits_address(networks, host) if address.is_ip(host) else profile.permits_name(dns, host)

    return tuple(filter(permits, hosts))
