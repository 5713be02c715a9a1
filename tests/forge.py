"""Certificates to order, good ones and broken ones, by one builder."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from pathlib import Path

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
SERIAL = 1 << 126 | 12345
USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


@dataclass(frozen=True)
class Order:
    """A certificate to be made; whatever is None is left out of it."""

    subject: str | None
    ca: bool | None
    pathlen: int | None
    usage: tuple[str, ...] | None
    names: tuple[str, ...] | None
    permitted: tuple[str, ...] | None = None
    serves: bool = True
    own_id: bool = True
    signer_id: bool = True
    serial: int = SERIAL
    days: int = 365
    age: int = 0
    key: str = "ec"
    mistyped: tuple[str, ...] = field(default=())
    critical: bool = True
    other_use: bool = False


@dataclass(frozen=True)
class Forged:
    """A key and its certificate."""

    key: Key
    certificate: x509.Certificate


SERVER = Order(
    "192.168.0.12",
    ca=False,
    pathlen=None,
    usage=("digital_signature", "key_encipherment"),
    names=("192.168.0.12", "registry.local"),
)
AUTHORITY = Order(
    "authority",
    ca=True,
    pathlen=0,
    usage=("key_cert_sign", "crl_sign"),
    names=None,
    permitted=("local", "192.168.0.0/16", "127.0.0.0/8"),
    serves=False,
    signer_id=False,
    days=3650,
)
ISSUER = replace(AUTHORITY, subject="issuer", serves=True, signer_id=True)


def server(signer: Forged | None, **changes: object) -> Forged:
    """Return a server certificate, flawless but for the changes; its own signer where none is given."""
    return _made(replace(SERVER, **changes), signer)  # type: ignore[arg-type]


def authority(**changes: object) -> Forged:
    """Return an authority, flawless but for the changes."""
    return _made(replace(AUTHORITY, **changes), None)  # type: ignore[arg-type]


def issuer(root: Forged, **changes: object) -> Forged:
    """Return an issuer between a root and its servers, flawless but for the changes."""
    return _made(replace(ISSUER, **changes), root)  # type: ignore[arg-type]


def save(forged: Forged, folder: Path, stem: str, *behind: Forged) -> Path:
    """Write STEM.key and STEM.crt, with other certificates behind its own in there, and return the latter's path.

    An authority that has its key, as versions before made one, takes the place of a root and its issuer.
    """
    folder.mkdir(exist_ok=True)
    if stem == "ca":
        for name in ("issuer.key", "issuer.crt"):
            (folder / name).unlink(missing_ok=True)
    (folder / f"{stem}.key").write_bytes(pem(forged.key))
    path = folder / f"{stem}.crt"
    path.write_bytes(b"".join(it.certificate.public_bytes(serialization.Encoding.PEM) for it in (forged, *behind)))
    return path


def fill(folder: Path, names: tuple[str, ...] = SERVER.names or (), changes: dict[str, object] | None = None) -> Forged:
    """Fill a folder with a root whose key is nowhere, an issuer, and a server certificate, and return the issuer.

    The changes are those of root and issuer.
    """
    changes = changes or {}
    root = authority(pathlen=1, **changes)
    middle = issuer(root, **changes)
    save(root, folder, "ca")
    (folder / "ca.key").unlink()
    save(middle, folder, "issuer")
    save(server(middle, names=names), folder, "domain", middle)
    return middle


def load(folder: Path, stem: str) -> Forged:
    """Return what `save`, or the project, wrote."""
    key = serialization.load_pem_private_key((folder / f"{stem}.key").read_bytes(), password=None)
    assert isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey))
    return Forged(key, x509.load_pem_x509_certificate((folder / f"{stem}.crt").read_bytes()))


def pem(key: Key) -> bytes:
    """Return a key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@cache
def weak_key() -> rsa.RSAPrivateKey:
    """Return a key that nobody should use."""
    return rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - weak on purpose


def _made(order: Order, signer: Forged | None) -> Forged:
    key: Key = weak_key() if order.key == "weak" else ec.generate_private_key(ec.SECP256R1())
    subject = _name(order.subject)
    signing_key = signer.key if signer else key
    begin = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) - datetime.timedelta(
        days=order.age, minutes=1
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.certificate.subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(order.serial)
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=order.days))
    )
    for extension, critical in _extensions(order, key, signing_key):
        builder = builder.add_extension(extension, critical=critical)
    return Forged(key, builder.sign(signing_key, hashes.SHA256()))


def _name(common_name: str | None) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])


def _extensions(order: Order, key: Key, signing_key: Key) -> list[tuple[x509.ExtensionType, bool]]:
    made: list[tuple[x509.ExtensionType, bool]] = []
    if order.ca is not None:
        made.append((x509.BasicConstraints(order.ca, order.pathlen), order.critical))
    if order.usage is not None:
        made.append((x509.KeyUsage(**{usage: usage in order.usage for usage in USAGES}), True))
    if order.serves:
        made.append((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False))
    if order.other_use:
        made.append((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False))
    if order.own_id:
        made.append((x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False))
    if order.signer_id:
        made.append((x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), False))
    if order.permitted is not None:
        made.append((x509.NameConstraints([_general(name) for name in order.permitted], None), True))
    if order.names is not None:
        mistyped = [x509.DNSName(name) for name in order.mistyped]
        made.append((x509.SubjectAlternativeName([*(_general(name) for name in order.names), *mistyped]), False))
    return made


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_network(name) if "/" in name else ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
