"""Certificates and keys in the files that companies hand out: PEM in any order, DER, PKCS #7, PKCS #12.

A key may be of PKCS #8, PKCS #1 or SEC 1, and may have a passphrase. All input is foreign, so each read is bounded.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12

from trusted_registry import files
from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError

_LONGEST = 1 << 20
"""Bytes of a file: the certificates of a whole company fit."""
_MOST = 200
"""Certificates and keys of a file."""
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----.*?-----END \1-----", re.DOTALL)
_CERTIFICATES = (b"CERTIFICATE", b"X509 CERTIFICATE")
UNREADABLE = (
    ValueError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
)
"""Exceptions of the cryptography package for what it cannot read or use."""
_KEYSTORE = b"\xfe\xed\xfe\xed"
_PFX = re.compile(rb"\x30(?:[\x00-\x80]|[\x81-\x84].{1,4}?)\x02\x01\x03\x30", re.DOTALL)
"""Beginning of PKCS #12: a sequence of version 3 and a further sequence (RFC 7292, appendix D)."""

T = TypeVar("T")

Ask = Callable[[str], str]
"""Asks a person for a passphrase, by a question."""


@dataclass
class Contents:
    """Contents of files: certificates and keys, each with its file."""

    certificates: list[tuple[x509.Certificate, Path]] = field(default_factory=list)
    keys: list[tuple[PrivateKeyTypes, Path]] = field(default_factory=list)

    def of(self, path: Path) -> list[x509.Certificate]:
        """Return the certificates of one file."""
        return [certificate for certificate, source in self.certificates if source == path]


def read(paths: Iterable[Path], ask: Ask) -> Contents:
    """Return the certificates and keys that files hold.

    Args:
        paths: The files; the same one may be named twice.
        ask: Asks for a passphrase, at most once for each file that has one.

    Raises:
        RegistryError: A file cannot be read, holds neither a certificate nor a key, or has another passphrase.
    """
    found, passphrases = Contents(), _Passphrases(ask)
    for path in dict.fromkeys(paths):
        with files.explained(path, "read"):
            content = _content(path)
        before = len(found.certificates) + len(found.keys)
        for it in _parsed(path, content, passphrases):
            if isinstance(it, x509.Certificate):
                found.certificates.append((it, path))
            else:
                found.keys.append((it, path))
        if len(found.certificates) + len(found.keys) == before:
            raise _nothing(path, content)
    return found


def _content(path: Path) -> bytes:
    if files.exists(path) and not path.is_file():
        raise RegistryError(f"{path} is not a file.", cure=f"Look: {pasteable(['ls', '-ld', str(path)])}")
    with path.open("rb") as file:
        content = file.read(_LONGEST + 1)
    if len(content) > _LONGEST:
        raise RegistryError(f"{path} has more than {_LONGEST >> 20} MiB.", cure="Name the file of the certificate.")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):  # text of Windows' PowerShell
        return content.decode("utf-16", errors="replace").encode()
    return content


def _nothing(path: Path, content: bytes) -> RegistryError:
    wrong, name = f"{path} holds neither a certificate nor a key that can be read.", str(path)
    if content.startswith(_KEYSTORE):
        argv = ["keytool", "-importkeystore", "-srckeystore", name, "-destkeystore", f"{name}.p12"]
        cure = pasteable([*argv, "-deststoretype", "PKCS12"])
        return RegistryError(f"{path} is a Java keystore.", cure=f"{cure}  # then name {name}.p12")
    if b"-----BEGIN TRUSTED CERTIFICATE-----" in content:
        cure = pasteable(["openssl", "x509", "-in", name, "-out", f"{name}.pem"])
        return RegistryError(f"{path} is in OpenSSL's own format.", cure=f"{cure}  # then name {name}.pem")
    if b"-----BEGIN OPENSSH PRIVATE KEY-----" in content:
        return RegistryError(f"{path} is a key for SSH, not for TLS.", cure="Name the key of the certificate.")
    return RegistryError(wrong, cure=f"See what it is: {pasteable(['openssl', 'asn1parse', '-in', name])}")


class _Passphrases:
    """Passphrases that a person has typed; the next file often has the same."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._known: list[bytes] = []

    def open(self, path: Path, load: Callable[[bytes], T]) -> T:
        """Return a file's content, opened with a passphrase.

        Raises:
            RegistryError: The typed passphrase does not open the file.
        """
        for known in self._known:
            with contextlib.suppress(ValueError):
                return load(known)
        typed = self._ask(f"Passphrase of {path}").encode()
        try:
            opened = load(typed)
        except ValueError as error:
            raise RegistryError(f"That is not the passphrase of {path}.", cure="Repeat the command.") from error
        self._known.append(typed)
        return opened


Item = x509.Certificate | PrivateKeyTypes


def _parsed(path: Path, content: bytes, passphrases: _Passphrases) -> Iterator[Item]:
    blocks = [*_BLOCK.finditer(content)][:_MOST]
    for block in blocks:
        yield from _of_block(path, block[1], block[0], passphrases)
    if blocks:
        return
    if _PFX.match(content):
        yield from _of_pkcs12(path, content, passphrases)
        return
    for load in (_certificate, pkcs7.load_der_pkcs7_certificates):
        with contextlib.suppress(*UNREADABLE):
            yield from load(content)
            return
    with contextlib.suppress(*UNREADABLE):
        yield _key(path, content, serialization.load_der_private_key, passphrases)


def _certificate(content: bytes) -> list[x509.Certificate]:
    return [x509.load_der_x509_certificate(content)]


def _of_block(path: Path, label: bytes, block: bytes, passphrases: _Passphrases) -> Iterator[Item]:
    try:
        if label in _CERTIFICATES:
            yield x509.load_pem_x509_certificate(block.replace(b"X509 CERTIFICATE", b"CERTIFICATE"))
        elif label == b"PKCS7":
            yield from pkcs7.load_pem_pkcs7_certificates(block)
        elif label.endswith(b"PRIVATE KEY") and label != b"OPENSSH PRIVATE KEY":
            yield _key(path, block, serialization.load_pem_private_key, passphrases)
    except UNREADABLE as error:
        kind = label.decode().lower()
        cure = f"Ask for a new copy; this shows what is in it: {pasteable(['openssl', 'asn1parse', '-in', str(path)])}"
        raise RegistryError(f"{path} holds a {kind} that cannot be read.", cure=cure) from error


def _key(
    path: Path,
    content: bytes,
    load: Callable[[bytes, bytes | None], PrivateKeyTypes],
    passphrases: _Passphrases,
) -> PrivateKeyTypes:
    try:
        return load(content, None)
    except TypeError:  # it has a passphrase
        return passphrases.open(path, lambda phrase: load(content, phrase or b"\0"))


def _of_pkcs12(path: Path, content: bytes, passphrases: _Passphrases) -> Iterator[Item]:
    def load(phrase: bytes | None) -> pkcs12.PKCS12KeyAndCertificates:
        return pkcs12.load_pkcs12(content, phrase)

    opened = next(_opened(load, (None, b"")), None) or passphrases.open(path, load)
    if opened.key is not None:
        yield opened.key
    named = (opened.cert, *opened.additional_certs)
    yield from (it.certificate for it in named if it is not None)


def _opened(load: Callable[[bytes | None], T], passphrases: Iterable[bytes | None]) -> Iterator[T]:
    for passphrase in passphrases:
        with contextlib.suppress(ValueError):
            yield load(passphrase)
