"""Rules that a certificate is checked against, and the clients that enforce them."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
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

# Clients that were seen to refuse: ten were asked about each rule, by a certificate that breaks no other.
GO = "docker 28.2 (Go 1.24)"
GNUTLS = "wget 1.21 (GnuTLS)"
JAVA = "Java 17, 25"
OPENSSL = "OpenSSL 3.0: curl 7.88, Python, Node.js 20"
RUSTLS = "uv 0.13 (rustls), Firefox"
STRICT = "Python 3.13"
APPLE = "macOS, by Apple's rules (support.apple.com/103769; not tried)"
EVERY_CLIENT = "every client"
OWN = "none"
"""Of a rule of this project's own, which no client was seen to insist on."""

MAX_APPLE_DAYS = 825


@dataclass(frozen=True)
class Violation:
    """A rule that a certificate breaks, and the clients that were seen to refuse the certificate for that."""

    path: Path
    rule: str
    clients: str

    @property
    def own(self) -> bool:
        """Whether only this project has the rule, for certificates made here: no client refuses the certificate."""
        return self.clients == OWN


def check(
    server: inspect.Certificate,
    authority: inspect.Certificate | None,
    hosts: Iterable[str],
    at: datetime.datetime,
    *,
    issuers: Sequence[inspect.Certificate] = (),
) -> list[Violation]:
    """Return every rule that a server certificate and its signers break.

    Args:
        server: The certificate that the registry shows.
        authority: The certificate that clients trust; None for a self-signed server certificate.
        hosts: The names that clients type.
        at: The time at which the dates are judged.
        issuers: The certificates between the two, which the registry sends; nearest to the server's first.
    """
    findings = [*_broken(server, _SERVER_RULES), *_dates(server, at, MAX_SERVER_DAYS)]
    if (server.not_after - server.not_before).days > MAX_APPLE_DAYS:
        findings.append(Violation(server.path, f"lives for more than {MAX_APPLE_DAYS} days", APPLE))
    findings += [Violation(server.path, f"does not name {host}", EVERY_CLIENT) for host in server.missing(hosts)]
    if authority is None:
        unsigned = [] if inspect.signed_by(server, server) else ["is signed by nobody at hand"]
        return [*findings, *(Violation(server.path, rule, EVERY_CLIENT) for rule in unsigned)]
    issuers = [it for it in issuers if it.fingerprint != authority.fingerprint]  # a root may be sent too
    signers = (*issuers, authority)
    findings += _broken(server, [_KEY_ID])
    for below, signer in enumerate(signers):
        more = [_KEY_ID, *_ISSUER_RULES] if signer in issuers else []
        findings += _broken(signer, [*_AUTHORITY_RULES, *_bounded(below), *more])
        findings += _dates(signer, at, MAX_AUTHORITY_DAYS)
    for signed, signer in itertools.pairwise((server, *signers)):
        if not inspect.signed_by(signed, signer):
            findings.append(Violation(signed.path, f"is not signed by {signer.path.name}", EVERY_CLIENT))
    return [*findings, *(it for signer in reversed(signers) for it in _beyond(server, signer))]


def told(violation: Violation) -> str:
    """Return the line about a rule of clients that is broken."""
    return f"{violation.path.name} {violation.rule}; refused by: {violation.clients}"


def _beyond(server: inspect.Certificate, signer: inspect.Certificate) -> Iterator[Violation]:
    """Yield the names of a server certificate that one of its signers may not vouch for."""
    names = (*server.dns, *server.addresses)
    vouched = inspect.allowed(signer, names)
    for name in names:
        if name not in vouched:
            yield Violation(server.path, f"names {name}, which {signer.path.name} may not vouch for", EVERY_CLIENT)
    # Without DNS names OpenSSL and GnuTLS judge a common name as if it were one.
    common = "" if server.dns or address.is_ip(server.subject) or "." not in server.subject else server.subject
    if common and common not in inspect.allowed(signer, [common]):
        rule = f"has the common name {common}, which {signer.path.name} may not vouch for, and no DNS name"
        yield Violation(server.path, rule, f"{OPENSSL}; {GNUTLS}; {JAVA}")


def _broken(certificate: inspect.Certificate, rules: Iterable[Rule]) -> Iterator[Violation]:
    return (Violation(certificate.path, rule, who) for rule, who, holds in rules if not holds(certificate.certificate))


def _dates(certificate: inspect.Certificate, at: datetime.datetime, most: int) -> Iterator[Violation]:
    path, begins, ends = certificate.path, certificate.not_before, certificate.not_after
    if at < begins:
        yield Violation(path, f"is not valid before {begins:%Y-%m-%d %H:%M} UTC", EVERY_CLIENT)
    if at > ends:
        yield Violation(path, f"expired on {ends:%Y-%m-%d %H:%M} UTC", EVERY_CLIENT)
    if (ends - begins).days > most:
        yield Violation(path, f"lives for more than {most} days", OWN)


Rule = tuple[str, str, Callable[[x509.Certificate], bool]]
"""Words for a rule that is broken, the clients that were seen to refuse it, and whether a certificate keeps it."""


def _has(
    certificate: x509.Certificate,
    kind: type[inspect.Extension],
    fits: Callable[[inspect.Extension], bool] = lambda _: True,
) -> bool:
    """Return whether a certificate has an extension of a kind, and one that fits."""
    found = inspect.extension(certificate, kind)
    return found is not None and fits(found.value)


def _is_ca(certificate: x509.Certificate) -> bool:
    return _has(certificate, x509.BasicConstraints, lambda basic: basic.ca)


def _says_so_critically(certificate: x509.Certificate) -> bool:
    found = inspect.extension(certificate, x509.BasicConstraints)
    return found is not None and found.critical


def _has_usage(certificate: x509.Certificate, *bits: str) -> bool:
    return _has(certificate, x509.KeyUsage, lambda usage: all(getattr(usage, bit) for bit in bits))


def _may(certificate: x509.Certificate, *bits: str) -> bool:
    """Return whether a key usage, if there is any, allows one of these."""
    usage = inspect.extension(certificate, x509.KeyUsage)
    return usage is None or any(getattr(usage.value, bit) for bit in bits)


def _has_server_usage(certificate: x509.Certificate) -> bool:
    needed = ["digital_signature"]
    if isinstance(certificate.public_key(), rsa.RSAPublicKey):
        needed.append("key_encipherment")
    return _has_usage(certificate, *needed)


def _serves(certificate: x509.Certificate) -> bool:
    return _has(certificate, x509.ExtendedKeyUsage, lambda usages: ExtendedKeyUsageOID.SERVER_AUTH in usages)


def _may_serve(certificate: x509.Certificate) -> bool:
    return inspect.extension(certificate, x509.ExtendedKeyUsage) is None or _serves(certificate)


def _has_extended_usage(certificate: x509.Certificate) -> bool:
    return _has(certificate, x509.ExtendedKeyUsage)


def _has_subject(certificate: x509.Certificate) -> bool:
    return bool(list(certificate.subject))


def _is_named_somehow(certificate: x509.Certificate) -> bool:
    found = inspect.extension(certificate, x509.SubjectAlternativeName)
    return _has_subject(certificate) or found is None or found.critical


def _is_key_id_here(certificate: x509.Certificate) -> bool:
    return _has(certificate, x509.AuthorityKeyIdentifier, lambda it: it.key_identifier is not None)


def _names_hosts(certificate: x509.Certificate) -> bool:
    return _has(certificate, x509.SubjectAlternativeName)


def _names_are_typed(certificate: x509.Certificate) -> bool:
    found = inspect.extension(certificate, x509.SubjectAlternativeName)
    return found is None or not any(address.is_ip(name) for name in found.value.get_values_for_type(x509.DNSName))


def _limited(certificate: x509.Certificate) -> bool:
    found = inspect.extension(certificate, x509.NameConstraints)
    kinds = {type(entry) for entry in (found.value.permitted_subtrees or [])} if found else set()
    return {x509.DNSName, x509.IPAddress} <= kinds


def _bounded(below: int) -> list[Rule]:
    """Return the rules about the authorities that may stand below one, where so many do."""

    def allows(certificate: x509.Certificate) -> bool:
        found = inspect.extension(certificate, x509.BasicConstraints)
        return found is None or found.value.path_length is None or found.value.path_length >= below

    def allows_no_more(certificate: x509.Certificate) -> bool:
        return _has(certificate, x509.BasicConstraints, lambda it: it.path_length == below)

    few = f"may have fewer authorities below it than there are (pathlen less than {below})"
    return [
        (few, f"{GO}; {OPENSSL}; {GNUTLS}", allows),
        (f"may make further authorities (no pathlen:{below})", OWN, allows_no_more),
    ]


def _has_random_serial(certificate: x509.Certificate) -> bool:
    return certificate.serial_number.bit_length() >= MIN_SERIAL_BITS


def _sound_key(certificate: x509.Certificate) -> bool:
    key = certificate.public_key()
    return not isinstance(key, rsa.RSAPublicKey) or key.key_size >= MIN_RSA_BITS


def _soundly_signed(certificate: x509.Certificate) -> bool:
    """Return whether a signature counts; nobody looks at the one that a root made of itself."""
    if certificate.subject == certificate.issuer:
        return True
    try:
        return not isinstance(certificate.signature_hash_algorithm, (hashes.SHA1, hashes.MD5))
    except UnsupportedAlgorithm:  # whatever it is, no client knows it either
        return False


_ANY_RULES: list[Rule] = [
    ("has a serial that is not random", OWN, _has_random_serial),
    ("has a weak key", f"{OPENSSL}; {RUSTLS}", _sound_key),
    ("has a weak signature", f"{GO}; {OPENSSL}; {GNUTLS}; {RUSTLS}", _soundly_signed),
    ("has no common name or organization to know it by", OWN, _has_subject),
]

_ELSE = "is marked for something else than servers (extendedKeyUsage)"
_KEY_ID: Rule = ("has no authority key id", STRICT, _is_key_id_here)

_SERVER_RULES: list[Rule] = [
    ("is an authority too (CA:TRUE)", RUSTLS, lambda it: not _is_ca(it)),
    ("does not say, as critical, that it is no authority", OWN, lambda it: _is_ca(it) or _says_so_critically(it)),
    (
        "may sign certificates (keyUsage keyCertSign) and is no authority",
        STRICT,
        lambda it: _is_ca(it) or not _has_usage(it, "key_cert_sign"),
    ),
    ("has a key usage without digitalSignature", JAVA, lambda it: _may(it, "digital_signature")),
    (
        "has a key usage for no server at all",
        OPENSSL,
        lambda it: _may(it, "digital_signature", "key_encipherment", "key_agreement"),
    ),
    ("has no key usage for a server", OWN, _has_server_usage),
    (_ELSE, f"{GO}; {OPENSSL}; {RUSTLS}; {JAVA}", _may_serve),
    ("is not marked for servers (extendedKeyUsage serverAuth)", APPLE, _has_extended_usage),
    ("names nothing but its common name (no subjectAltName)", f"{EVERY_CLIENT} but curl", _names_hosts),
    ("has an address among its DNS names", OWN, _names_are_typed),
    ("has no subject, and names that are not critical", f"{STRICT}; {JAVA}", _is_named_somehow),
    ("has no subject key id", OWN, lambda it: _has(it, x509.SubjectKeyIdentifier)),
    *_ANY_RULES,
]

_SIGNING = f"{GO}; {OPENSSL}; {GNUTLS}; {JAVA}"

_AUTHORITY_RULES: list[Rule] = [
    ("is not an authority (CA:TRUE)", f"{GO}; {STRICT}; {JAVA}", _is_ca),
    ("is an authority, and does not say so as critical", STRICT, lambda it: not _is_ca(it) or _says_so_critically(it)),
    ("has no key usage", STRICT, lambda it: _has(it, x509.KeyUsage)),
    ("may sign no certificates (keyUsage without keyCertSign)", _SIGNING, lambda it: _may(it, "key_cert_sign")),
    ("has no key usage keyCertSign and cRLSign", OWN, lambda it: _has_usage(it, "key_cert_sign", "crl_sign")),
    ("has no subject key id", STRICT, lambda it: _has(it, x509.SubjectKeyIdentifier)),
    ("may vouch for any site (no name constraints on both DNS names and addresses)", OWN, _limited),
    *_ANY_RULES,
]

_ISSUER_RULES: list[Rule] = [
    (_ELSE, f"{GO}; {OPENSSL}; {RUSTLS}", _may_serve),
    ("may sign for more than servers (no extendedKeyUsage serverAuth)", OWN, _serves),
]
"""Rules for those between the server's and the authority's: by a stolen key one could sign programs and mail."""
