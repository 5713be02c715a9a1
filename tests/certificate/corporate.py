"""A company's certificates, as its people hand them out: a root, an intermediate, and a leaf for a registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12

from tests import forge

if TYPE_CHECKING:
    from pathlib import Path

    from tests.forge import Forged

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
HOST = "reg.corp.example"
LOOSE: dict[str, object] = {"pathlen": None, "permitted": None}
"""What companies' authorities mostly lack, and no client insists on."""


@dataclass(frozen=True)
class Company:
    """Certificates with their keys."""

    root: Forged
    middle: Forged
    leaf: Forged


def company(names: tuple[str, ...] = (HOST, "192.168.0.12"), **changes: object) -> Company:
    """Return a company whose leaf names some hosts; the changes are the leaf's."""
    root = forge.authority(subject="Corp Root", **LOOSE)
    middle = forge.issuer(root, subject="Corp Issuing", serves=False, **LOOSE)
    return Company(root, middle, forge.server(middle, names=names, **changes))


def pem(*forged: Forged) -> bytes:
    """Return certificates as PEM, in this order."""
    return b"".join(it.certificate.public_bytes(PEM) for it in forged)


def key(
    forged: Forged,
    *,
    encoding: serialization.Encoding = PEM,
    form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8,
    passphrase: bytes = b"",
) -> bytes:
    """Return a key in one of its forms."""
    kept = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return forged.key.private_bytes(encoding, form, kept)


def p12(made: Company, passphrase: bytes = b"", *, whole: bool = True) -> bytes:
    """Return leaf and key, with what signed them or without, as PKCS #12."""
    kept = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    behind = [made.middle.certificate, made.root.certificate] if whole else None
    leaf = made.leaf
    return pkcs12.serialize_key_and_certificates(b"registry", leaf.key, leaf.certificate, behind, kept)


def p7b(*forged: Forged, encoding: serialization.Encoding = DER) -> bytes:
    """Return certificates as PKCS #7, as Windows exports a chain."""
    return pkcs7.serialize_certificates([it.certificate for it in forged], encoding)


def put(folder: Path, **contents: bytes) -> dict[str, Path]:
    """Write files, and return their paths by their names."""
    folder.mkdir(exist_ok=True)
    paths = {name: folder / name for name in contents}
    for name, content in contents.items():
        paths[name].write_bytes(content)
    return paths
