"""Reads certificates, and says what each client would hold against them."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from trusted_registry import address
from trusted_registry.certificate import profile
from trusted_registry.errors import RegistryError
from trusted_registry.settings import MAX_AUTHORITY_DAYS, MAX_SERVER_DAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

Extension = TypeVar("Extension", bound=x509.ExtensionType)

MIN_SERIAL_BITS = 64
"""CA/Browser Forum Baseline Requirements, 7.1: at least 64 bits from a random source."""
MIN_RSA_BITS = 2048
_SETTLES = datetime.timedelta(seconds=30)

GO = "docker, containerd, podman"
OPENSSL = "curl, git"
STRICT = "Python 3.13"
RUSTLS = "rustls, Firefox"
APPLE = "macOS"
EVERYONE = "every client"


_UNREADABLE = (x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, UnsupportedAlgorithm)
"""What the cryptography package raises over certificates that are well-formed and no good; none is a ValueError."""


@dataclass(frozen=True)
class Facts:
    """A certificate in words: times are aware and in UTC, the fingerprint is SHA-256 in lower-case hex."""

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
        """Return when it begins to be valid, where that is yet to come; clocks are set back by seconds all the time."""
        return f"{self.not_before:%Y-%m-%d %H:%M} UTC" if self.not_before > at + _SETTLES else ""

    def days_left(self, now: datetime.datetime) -> int:
        """Return whole days until it expires; negative once it has."""
        return (self.not_after - now).days

    @property
    def sha1(self) -> str:
        """The SHA-1 fingerprint in hex: no proof of anything, but the name that a Mac's keychain and Windows know."""
        return self.certificate.fingerprint(hashes.SHA1()).hex()  # noqa: S303 - a name, see above

    def missing(self, hosts: Iterable[str]) -> tuple[str, ...]:
        """Return those of the hosts that it does not name."""
        return tuple(host for host in hosts if host not in (*self.dns, *self.addresses))


@dataclass(frozen=True)
class Finding:
    """A rule that a certificate breaks, and the clients that refuse it for that."""

    path: Path
    rule: str
    clients: str


def now() -> datetime.datetime:
    """Return the present time in UTC."""
    return datetime.datetime.now(datetime.timezone.utc)


def read(path: Path) -> Facts:
    """Return what a PEM file's first certificate says.

    Raises:
        RegistryError: There is no such file, it cannot be read, or it holds no certificate.
    """
    try:
        return facts(path, x509.load_pem_x509_certificate(path.read_bytes()))
    except OSError as error:
        raise RegistryError(f"{path} cannot be read: {error.strerror}.", cure=f"Look: ls -l {path}") from error
    except ValueError as error:
        raise RegistryError(
            f"{path} holds no certificate that can be read.",
            cure=f"See what it is: head {path}; to make another: ./inv cert --force",
        ) from error


def shown(path: Path, der: bytes) -> Facts:
    """Return what a certificate says that somebody else's server shows; `path` is what errors call it.

    Raises:
        ValueError: It is none, or one that no client could read.
    """
    try:
        return facts(path, x509.load_der_x509_certificate(der))
    except _UNREADABLE as error:
        raise ValueError(f"no certificate that can be read: {error}") from error


def facts(path: Path, certificate: x509.Certificate) -> Facts:
    """Return what a parsed certificate says."""
    names = extension(certificate, x509.SubjectAlternativeName)
    return Facts(
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


def _common_name(name: x509.Name) -> str:
    values = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(values[0].value) if values else name.rfc4514_string()


def _kind(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return {"secp256r1": "ec:P-256", "secp384r1": "ec:P-384"}.get(key.curve.name, f"ec:{key.curve.name}")
    return f"rsa:{key.key_size}" if isinstance(key, rsa.RSAPublicKey) else type(key).__name__


def extension(certificate: x509.Certificate, kind: type[Extension]) -> x509.Extension[Extension] | None:
    """Return an extension of a certificate, or None where it has none of that kind."""
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def is_pair(key: Path, certificate: Facts) -> bool:
    """Whether a key file holds the private half of a certificate's key.

    Raises:
        RegistryError: The file cannot be read or holds no key.
    """
    try:
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except OSError as error:
        raise RegistryError(f"{key} cannot be read: {error.strerror}.", cure=f"Look: ls -l {key}") from error
    except (ValueError, TypeError) as error:
        raise RegistryError(
            f"{key} holds no private key that can be read.",
            cure=f"Put its backup back, or move it away: mv {key} {key}.broken",
        ) from error
    return private.public_key() == certificate.certificate.public_key()


def signed_by(server: Facts, authority: Facts) -> bool:
    """Whether an authority's name and key stand behind a certificate's signature."""
    try:
        server.certificate.verify_directly_issued_by(authority.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def allowed(authority: Facts, hosts: Iterable[str]) -> tuple[str, ...]:
    """Return those of the hosts that an authority's name constraints let it vouch for."""
    limits = extension(authority.certificate, x509.NameConstraints)
    permitted = (limits.value.permitted_subtrees or []) if limits else None
    if permitted is None:
        return tuple(hosts)
    dns = [entry.value for entry in permitted if isinstance(entry, x509.DNSName)]
    networks = [str(entry.value) for entry in permitted if isinstance(entry, x509.IPAddress)]
    return tuple(
        host
        for host in hosts
        if (profile.permits_address(networks, host) if address.is_ip(host) else profile.permits_name(dns, host))
    )


def check(server: Facts, authority: Facts | None, hosts: Iterable[str], at: datetime.datetime) -> list[Finding]:
    """Return every rule that a server certificate and its authority break.

    Args:
        server: What the registry shows.
        authority: What clients trust; None where the certificate is its own trust.
        hosts: The names that clients type.
        at: The time to judge the dates by.
    """
    findings = [Finding(server.path, rule, who) for rule, who, holds in _SERVER_RULES if not holds(server.certificate)]
    findings += _dates(server, at, MAX_SERVER_DAYS, APPLE)
    findings += [Finding(server.path, f"does not name {host}", EVERYONE) for host in server.missing(hosts)]
    if authority is None:
        return (
            findings
            if signed_by(server, server)
            else [*findings, Finding(server.path, "is signed by nobody at hand", EVERYONE)]
        )
    findings += [
        Finding(authority.path, rule, who) for rule, who, holds in _AUTHORITY_RULES if not holds(authority.certificate)
    ]
    findings += _dates(authority, at, MAX_AUTHORITY_DAYS, "no client, but ten years is long enough for a key")
    if not signed_by(server, authority):
        findings.append(Finding(server.path, f"is not signed by {authority.path.name}", EVERYONE))
    vouched = allowed(authority, (*server.dns, *server.addresses))
    findings += [
        Finding(server.path, f"names {name}, which {authority.path.name} may not vouch for", EVERYONE)
        for name in (*server.dns, *server.addresses)
        if name not in vouched
    ]
    return findings


def _dates(found: Facts, at: datetime.datetime, most: int, who: str) -> list[Finding]:
    findings = []
    if at < found.not_before:
        findings.append(Finding(found.path, f"is not valid before {found.not_before:%Y-%m-%d %H:%M} UTC", EVERYONE))
    if at > found.not_after:
        findings.append(Finding(found.path, f"expired on {found.not_after:%Y-%m-%d %H:%M} UTC", EVERYONE))
    if (found.not_after - found.not_before).days > most:
        findings.append(Finding(found.path, f"lives for more than {most} days", who))
    return findings


Rule = tuple[str, str, "Callable[[x509.Certificate], bool]"]


def _has_basic(certificate: x509.Certificate, *, ca: bool) -> bool:
    found = extension(certificate, x509.BasicConstraints)
    return found is not None and found.critical and found.value.ca is ca


def _has_usage(certificate: x509.Certificate, *bits: str) -> bool:
    found = extension(certificate, x509.KeyUsage)
    return found is not None and all(getattr(found.value, bit) for bit in bits)


def _has_server_usage(certificate: x509.Certificate) -> bool:
    needed = ["digital_signature"]
    if isinstance(certificate.public_key(), rsa.RSAPublicKey):
        needed.append("key_encipherment")
    return _has_usage(certificate, *needed)


def _serves(certificate: x509.Certificate) -> bool:
    found = extension(certificate, x509.ExtendedKeyUsage)
    return found is not None and ExtendedKeyUsageOID.SERVER_AUTH in found.value


def _names_are_typed(certificate: x509.Certificate) -> bool:
    found = extension(certificate, x509.SubjectAlternativeName)
    return found is None or not any(address.is_ip(name) for name in found.value.get_values_for_type(x509.DNSName))


def _limited(certificate: x509.Certificate) -> bool:
    found = extension(certificate, x509.NameConstraints)
    kinds = {type(entry) for entry in (found.value.permitted_subtrees or [])} if found else set()
    return {x509.DNSName, x509.IPAddress} <= kinds


def _pathlen_zero(certificate: x509.Certificate) -> bool:
    found = extension(certificate, x509.BasicConstraints)
    return found is not None and found.value.path_length == 0


def _sound_key(certificate: x509.Certificate) -> bool:
    key = certificate.public_key()
    strong = not isinstance(key, rsa.RSAPublicKey) or key.key_size >= MIN_RSA_BITS
    return strong and not isinstance(certificate.signature_hash_algorithm, (hashes.SHA1, hashes.MD5))


_ANY_RULES: list[Rule] = [
    ("has no subject key id", STRICT, lambda it: extension(it, x509.SubjectKeyIdentifier) is not None),
    (
        "has a serial that is not random",
        "none today; two alike confuse Firefox",
        lambda it: it.serial_number.bit_length() >= MIN_SERIAL_BITS,
    ),
    ("has a weak key or signature", EVERYONE, _sound_key),
    ("has no common name or organization to know it by", "people", lambda it: bool(list(it.subject))),
]

_SERVER_RULES: list[Rule] = [
    ("is an authority too (CA:TRUE), or does not say that it is none", RUSTLS, lambda it: _has_basic(it, ca=False)),
    ("has no key usage for a server", f"{RUSTLS}, {APPLE}", _has_server_usage),
    ("is not marked for servers (extendedKeyUsage serverAuth)", APPLE, _serves),
    ("has no authority key id", STRICT, lambda it: extension(it, x509.AuthorityKeyIdentifier) is not None),
    (
        "names nothing but its common name (no subjectAltName)",
        EVERYONE,
        lambda it: extension(it, x509.SubjectAlternativeName) is not None,
    ),
    ("has an address among its DNS names", f"{GO}, {OPENSSL}", _names_are_typed),
    *_ANY_RULES,
]

_AUTHORITY_RULES: list[Rule] = [
    ("is no authority (CA:TRUE, critical)", EVERYONE, lambda it: _has_basic(it, ca=True)),
    ("may make further authorities (no pathlen:0)", "none; it should not be able to", _pathlen_zero),
    ("has no key usage keyCertSign and cRLSign", STRICT, lambda it: _has_usage(it, "key_cert_sign", "crl_sign")),
    ("may vouch for any site (no name constraints on both DNS names and addresses)", "none; people should", _limited),
    *_ANY_RULES,
]
