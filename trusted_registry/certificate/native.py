"""The same certificates made by the cryptography package, for machines without an openssl program."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from trusted_registry.certificate import openssl, profile
from trusted_registry.errors import RegistryError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address | ipaddress.IPv4Network | ipaddress.IPv6Network

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Signer = tuple[Key, x509.Certificate]
"""Key and certificate that sign another certificate."""

_CURVES = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1}
_SERVERS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])


class Life(NamedTuple):
    """First and last moment of a certificate, in UTC."""

    begins: datetime.datetime
    ends: datetime.datetime


def new_key(kind: str) -> Key:
    """Return a key of a kind such as ec:P-256 or rsa:4096."""
    family, _, size = kind.partition(":")
    if family == "ec":
        return ec.generate_private_key(_CURVES[size]())
    return rsa.generate_private_key(public_exponent=65537, key_size=int(size))


def authority(authority: profile.Authority) -> tuple[x509.Certificate, Signer]:
    """Return a new root's certificate, and an issuer signed by that root, whose key ends with this call."""
    root_key, key = new_key(authority.key), new_key(authority.key)
    permitted = x509.NameConstraints(_general(authority.dns, map(ipaddress.ip_network, authority.networks)), None)
    begin = _now()
    life = Life(begin, begin + datetime.timedelta(days=authority.days))
    subject = _name(authority.subject)
    root = _signs(_started(subject, subject, root_key, life), root_key, path_length=1)
    root_made = root.add_extension(permitted, critical=True).sign(root_key, hashes.SHA256())
    issuer = (
        _signs(_started(_name(authority.issuer), subject, key, life), key, path_length=0, serves=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .add_extension(permitted, critical=True)
    )
    return root_made, (key, issuer.sign(root_key, hashes.SHA256()))


def _signs(
    builder: x509.CertificateBuilder, key: Key, *, path_length: int, serves: bool = False
) -> x509.CertificateBuilder:
    """Return the builder with the extensions of an authority; with `serves`, of one for servers alone."""
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    builder = builder.add_extension(_key_usage("key_cert_sign", "crl_sign"), critical=True)
    if serves:
        builder = builder.add_extension(_SERVERS, critical=False)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def server(server: profile.Server, signer: Signer | None) -> tuple[Key, x509.Certificate]:
    """Return a new server key and certificate, self-signed without a signer."""
    key, begin = new_key(server.key), _now()
    ends = begin + datetime.timedelta(days=server.days)
    signing_key, issuer = (signer[0], signer[1].subject) if signer else (key, _name(server.subject))
    life = Life(begin, min(ends, signer[1].not_valid_after_utc) if signer else ends)
    named = _general(server.dns, map(ipaddress.ip_address, server.addresses))
    builder = (
        _started(_name(server.subject), issuer, key, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(*(_SNAKE[name] for name in server.key_usage)), critical=True)
        .add_extension(_SERVERS, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName(named), critical=False)
    )
    return key, builder.sign(signing_key, hashes.SHA256())


def load_signer(certificate: Path) -> Signer:
    """Return a signer from the file of its certificate and the key's file in the same folder."""
    key = serialization.load_pem_private_key(certificate.with_suffix(".key").read_bytes(), password=None)
    if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise RegistryError("The authority's key is of a kind not made here.", cure="./inv cert --tool openssl")
    return key, x509.load_pem_x509_certificate(certificate.read_bytes())


def pem(key: Key) -> bytes:
    """Return a key as unencrypted PKCS #8 PEM, like `openssl req -nodes`."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


_SNAKE = {"digitalSignature": "digital_signature", "keyEncipherment": "key_encipherment"}


def _key_usage(*on: str) -> x509.KeyUsage:
    bits = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{bit: bit in on for bit in bits})


def _name(common_name: str) -> x509.Name:
    parts = ((NameOID.ORGANIZATION_NAME, profile.ORGANIZATION), (NameOID.COMMON_NAME, common_name))
    return x509.Name([x509.NameAttribute(*part) for part in parts])


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


def _started(subject: x509.Name, issuer: x509.Name, key: Key, life: Life) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(int(openssl.serial(), 16))
        .not_valid_before(life.begins)
        .not_valid_after(life.ends)
    )


def _general(dns: Iterable[str], addresses: Iterable[Address]) -> list[x509.GeneralName]:
    return [*map(x509.DNSName, dns), *map(x509.IPAddress, addresses)]
