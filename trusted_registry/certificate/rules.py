"""Rules that a certificate is checked against, and the clients that enforce them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from trusted_registry import address
from trusted_registry.certificate import inspect
from trusted_registry.settings import MAX_AUTHORITY_DAYS, MAX_SERVER_DAYS

MIN_SERIAL_BITS = 64
"""Bits of a serial from a random source (CA/Browser Forum Baseline Requirements, 7.1)."""
MIN_RSA_BITS = 2048

GO = "docker, containerd, podman"
OPENSSL = "curl, git"
STRICT = "Python 3.13"
RUSTLS = "rustls, Firefox"
APPLE = "macOS"
EVERY_CLIENT = "every client"


@dataclass(frozen=True)
class Violation:
    """A rule that a certificate breaks, and the clients that refuse the certificate for that."""

    path: Path
    rule: str
    clients: str


def check(
    server: inspect.Certificate, authority: inspect.Certificate | None, hosts: Iterable[str], at: datetime.datetime
) -> list[Violation]:
    """Return every rule that a server certificate and its authority break.

    Args:
        server: The certificate that the registry shows.
        authority: The certificate that clients trust; None for a self-signed server certificate.
        hosts: The names that clients type.
        at: The time at which the dates are judged.
    """
    findings = [*_broken(server, _SERVER_RULES), *_dates(server, at, MAX_SERVER_DAYS, APPLE)]
    findings += [Violation(server.path, f"does not name {host}", EVERY_CLIENT) for host in server.missing(hosts)]
    if authority is None:
        unsigned = [] if inspect.signed_by(server, server) else ["is signed by nobody at hand"]
        return [*findings, *(Violation(server.path, rule, EVERY_CLIENT) for rule in unsigned)]
    findings += _broken(authority, _AUTHORITY_RULES)
    findings += _dates(authority, at, MAX_AUTHORITY_DAYS, "no client, but ten years is long enough for a key")
    if not inspect.signed_by(server, authority):
        findings.append(Violation(server.path, f"is not signed by {authority.path.name}", EVERY_CLIENT))
    names = (*server.dns, *server.addresses)
    vouched, beyond = inspect.allowed(authority, names), f"which {authority.path.name} may not vouch for"
    rules = [f"names {name}, {beyond}" for name in names if name not in vouched]
    return [*findings, *(Violation(server.path, rule, EVERY_CLIENT) for rule in rules)]


def _broken(certificate: inspect.Certificate, rules: Iterable[Rule]) -> Iterator[Violation]:
    return (Violation(certificate.path, rule, who) for rule, who, holds in rules if not holds(certificate.certificate))


def _dates(certificate: inspect.Certificate, at: datetime.datetime, most: int, who: str) -> Iterator[Violation]:
    path, begins, ends = certificate.path, certificate.not_before, certificate.not_after
    if at < begins:
        yield Violation(path, f"is not valid before {begins:%Y-%m-%d %H:%M} UTC", EVERY_CLIENT)
    if at > ends:
        yield Violation(path, f"expired on {ends:%Y-%m-%d %H:%M} UTC", EVERY_CLIENT)
    if (ends - begins).days > most:
        yield Violation(path, f"lives for more than {most} days", who)


Rule = tuple[str, str, Callable[[x509.Certificate], bool]]


def _has(
    certificate: x509.Certificate,
    kind: type[inspect.Extension],
    fits: Callable[[inspect.Extension], bool] = lambda _: True,
) -> bool:
    """Return whether a certificate has an extension of a kind, and one that fits."""
    found = inspect.extension(certificate, kind)
    return found is not None and fits(found.value)


def _has_basic(certificate: x509.Certificate, *, ca: bool) -> bool:
    found = inspect.extension(certificate, x509.BasicConstraints)
    return found is not None and found.critical and found.value.ca is ca


def _has_usage(certificate: x509.Certificate, *bits: str) -> bool:
    return _has(certificate, x509.KeyUsage, lambda usage: all(getattr(usage, bit) for bit in bits))


def _has_server_usage(certificate: x509.Certificate) -> bool:
    needed = ["digital_signature"]
    if isinstance(certificate.public_key(), rsa.RSAPublicKey):
        needed.append("key_encipherment")
    return _has_usage(certificate, *needed)


def _serves(certificate: x509.Certificate) -> bool:
    return _has(certificate, x509.ExtendedKeyUsage, lambda usages: ExtendedKeyUsageOID.SERVER_AUTH in usages)


def _names_hosts(certificate: x509.Certificate) -> bool:
    return _has(certificate, x509.SubjectAlternativeName)


def _names_are_typed(certificate: x509.Certificate) -> bool:
    found = inspect.extension(certificate, x509.SubjectAlternativeName)
    return found is None or not any(address.is_ip(name) for name in found.value.get_values_for_type(x509.DNSName))


def _limited(certificate: x509.Certificate) -> bool:
    found = inspect.extension(certificate, x509.NameConstraints)
    kinds = {type(entry) for entry in (found.value.permitted_subtrees or [])} if found else set()
    return {x509.DNSName, x509.IPAddress} <= kinds


def _pathlen_zero(certificate: x509.Certificate) -> bool:
    return _has(certificate, x509.BasicConstraints, lambda basic: basic.path_length == 0)


def _has_random_serial(certificate: x509.Certificate) -> bool:
    return certificate.serial_number.bit_length() >= MIN_SERIAL_BITS


def _sound_key(certificate: x509.Certificate) -> bool:
    key = certificate.public_key()
    strong = not isinstance(key, rsa.RSAPublicKey) or key.key_size >= MIN_RSA_BITS
    try:
        signed_over = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:  # whatever it is, no client knows it either
        return False
    return strong and not isinstance(signed_over, (hashes.SHA1, hashes.MD5))


_ANY_RULES: list[Rule] = [
    ("has no subject key id", STRICT, lambda it: _has(it, x509.SubjectKeyIdentifier)),
    ("has a serial that is not random", "none today; two alike confuse Firefox", _has_random_serial),
    ("has a weak key or signature", EVERY_CLIENT, _sound_key),
    ("has no common name or organization to know it by", "people", lambda it: bool(list(it.subject))),
]

_SERVER_RULES: list[Rule] = [
    ("is an authority too (CA:TRUE), or does not say that it is none", RUSTLS, lambda it: _has_basic(it, ca=False)),
    ("has no key usage for a server", f"{RUSTLS}, {APPLE}", _has_server_usage),
    ("is not marked for servers (extendedKeyUsage serverAuth)", APPLE, _serves),
    ("has no authority key id", STRICT, lambda it: _has(it, x509.AuthorityKeyIdentifier)),
    ("names nothing but its common name (no subjectAltName)", EVERY_CLIENT, _names_hosts),
    ("has an address among its DNS names", f"{GO}, {OPENSSL}", _names_are_typed),
    *_ANY_RULES,
]

_AUTHORITY_RULES: list[Rule] = [
    ("is no authority (CA:TRUE, critical)", EVERY_CLIENT, lambda it: _has_basic(it, ca=True)),
    ("may make further authorities (no pathlen:0)", "none; it should not be able to", _pathlen_zero),
    ("has no key usage keyCertSign and cRLSign", STRICT, lambda it: _has_usage(it, "key_cert_sign", "crl_sign")),
    ("may vouch for any site (no name constraints on both DNS names and addresses)", "none; people should", _limited),
    *_ANY_RULES,
]
