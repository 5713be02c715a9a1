"""Import of a certificate that another authority signed, such as a company's: found, put in order, checked and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from trusted_registry import files
from trusted_registry.certificate import inspect, make, rules, signer
from trusted_registry.certificate.foreign_files import UNREADABLE, Contents
from trusted_registry.certificate.issue import Issued
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_LONGEST_CHAIN = 10
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
"""Curves of the registry's TLS (Go, crypto/tls)."""


@dataclass(frozen=True)
class Imported:
    """A certificate with its key, its issuers, nearest first, and the root that clients trust."""

    key: PrivateKeyTypes
    server: x509.Certificate
    issuers: tuple[x509.Certificate, ...]
    root: x509.Certificate

    def issued(self, folder: Path) -> Issued:
        """Return the certificates as those of a folder.

        Raises:
            RegistryError: One of them is well formed and of no use.
        """
        server, *issuers = (_facts(folder / "domain.crt", it) for it in (self.server, *self.issuers))
        return Issued(server, _facts(folder / "ca.crt", self.root), tuple(issuers))


def _facts(path: Path, certificate: x509.Certificate) -> inspect.Certificate:
    try:
        return inspect.of(path, certificate)
    except UNREADABLE as error:
        wrong = f"The certificate of {certificate.subject.rfc4514_string()} holds what no client can read: {error}."
        raise RegistryError(wrong, cure="Ask its authority for another one.") from error


def find(contents: Contents, authority: Path | None = None) -> Imported:
    """Return the certificate whose key is there, and its chain, whatever order they are in.

    Args:
        contents: Certificates and keys of the files.
        authority: File that the root must be from; any by default.

    Raises:
        RegistryError: A part is missing, or the registry cannot use the key.
    """
    key, server = _pair(contents)
    roots = {it for it in contents.of(authority) if _is_root(it)} if authority else None
    if authority and not roots:
        wrong = f"{authority} holds no root: many clients trust only a certificate that signed itself."
        raise RegistryError(wrong, cure="Name the root's file with --authority, and this one with --chain.")
    if _is_root(server):
        cure = "./inv cert --self-signed makes one like that; a company's is signed by its authority."
        raise RegistryError("The certificate signed itself, so it has no authority.", cure=cure)
    pool = [it for it, _ in contents.certificates]
    chain = _climb([server], pool, roots, set())
    if chain is None:
        raise _broken(server, pool, roots)
    return Imported(key, server, tuple(chain[1:-1]), chain[-1])


def _pair(contents: Contents) -> tuple[PrivateKeyTypes, x509.Certificate]:
    if not contents.keys:
        raise RegistryError("None of the files holds a private key.", cure="Name its file: --key FILE")
    for key, _ in contents.keys:
        fitting = [it for it, _ in contents.certificates if _is_of(key, it)]
        if fitting:
            _check_kind(key)
            return key, max(fitting, key=lambda it: it.not_valid_after_utc)
    path = contents.keys[0][1]
    names = "; ".join(it.subject.rfc4514_string() for it, _ in contents.certificates) or "none"
    wrong = f"{path} holds the key of none of the certificates: {names}."
    raise RegistryError(wrong, cure="Name the key that the certificate was requested with: --key FILE")


def _is_of(key: PrivateKeyTypes, certificate: x509.Certificate) -> bool:
    try:
        return bool(certificate.public_key() == key.public_key())
    except UNREADABLE:
        return False


def _check_kind(key: PrivateKeyTypes) -> None:
    usable = isinstance(key, (rsa.RSAPrivateKey, ed25519.Ed25519PrivateKey))
    if not usable and not (isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES):
        cure = "Request a new certificate for an RSA key or one on P-256."
        raise RegistryError("The registry cannot serve a certificate with a key of this kind.", cure=cure)


def _is_root(certificate: x509.Certificate) -> bool:
    return certificate.subject == certificate.issuer


def _climb(
    chain: list[x509.Certificate],
    pool: Sequence[x509.Certificate],
    roots: set[x509.Certificate] | None,
    seen: set[x509.Certificate],
) -> list[x509.Certificate] | None:
    """Return a chain continued to a root; each certificate is tried once, those that signed themselves first."""
    last = chain[-1]
    if _is_root(last):
        return chain if roots is None or last in roots else None
    seen.add(last)
    above = [it for it in dict.fromkeys(pool) if it not in seen and _signed(last, it)]
    for it in sorted(above, key=lambda it: (not _is_root(it), -it.not_valid_after_utc.timestamp())):
        if len(chain) < _LONGEST_CHAIN and (found := _climb([*chain, it], pool, roots, seen)):
            return found
    return None


def _signed(below: x509.Certificate, above: x509.Certificate) -> bool:
    try:
        below.verify_directly_issued_by(above)
    except (*UNREADABLE, TypeError, InvalidSignature):
        return False
    return True


def _broken(
    server: x509.Certificate, pool: Sequence[x509.Certificate], roots: set[x509.Certificate] | None
) -> RegistryError:
    """Return the error of a chain that does not reach a root."""
    chain = [server]
    while above := next((it for it in pool if it not in chain and _signed(chain[-1], it)), None):
        chain.append(above)
    last = chain[-1]
    if _is_root(last) and roots is not None:
        wrong = f"The certificate's root, {last.subject.rfc4514_string()}, is not in the file of --authority."
        return RegistryError(wrong, cure="Name the file of that root with --authority; clients will trust it.")
    wrong = (
        f"The certificate of {last.issuer.rfc4514_string()}, which signed {last.subject.rfc4514_string()}, is missing."
    )
    return RegistryError(wrong, cure="Name its file: --chain FILE, or --authority FILE where it is the root.")


def refusals(issued: Issued, hosts: Sequence[str]) -> list[rules.Violation]:
    """Return the rules of clients that certificates break."""
    found = rules.check(issued.server, issued.authority, hosts, inspect.now(), issuers=issued.issuers)
    return [it for it in found if not it.own]


def save(imported: Imported, folder: Path) -> None:
    """Write a certificate with its issuers, its key and the root into a folder, all or none.

    The keys of an authority that was made here go: nothing here could be signed with them any more.

    Raises:
        RegistryError: The folder cannot be written.
    """
    with files.locked(folder), files.staging(folder) as staged:
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        key = imported.key.private_bytes(pem, form, serialization.NoEncryption())
        files.write(staged / "domain.key", key, files.PRIVATE_FILE)
        shown = b"".join(it.public_bytes(pem) for it in (imported.server, *imported.issuers))
        files.write(staged / "domain.crt", shown)
        files.write(staged / "ca.crt", imported.root.public_bytes(pem))
        for name in set(signer.FILES) - {"ca.crt"}:
            if files.exists(folder / name):
                (staged / name).touch()
        files.install(staged, folder, make.MODES)
