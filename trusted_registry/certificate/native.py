"""The same certificates made by the cryptography package, for machines without an openssl program."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from trusted_registry.certificate import openssl, profile
from trusted_registry.errors import RegistryError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address | ipaddress.IPv4Network | ipaddress.IPv6Network

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_CURVES = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1}


def new_key(kind: str) -> Key:
    """Return a key of a kind such as ec:P-256 or rsa:4096."""
    family, _, size = kind.partition(":")
    if family == "ec":
        return ec.generate_private_key(_CURVES[size]())
    return rsa.generate_private_key(public_exponent=65537, key_size=int(size))


def authority(authority: profile.Authority) -> tuple[Key, x509.Certificate]:
    """Return a new authority's key and certificate."""
    key = new_key(authority.key)
    permitted = _general(authority.dns, map(ipaddress.ip_network, authority.networks))
    builder = (
        _started(_name(authority.subject), _name(authority.subject), key, authority.days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
    )
    return key, builder.sign(key, hashes.SHA256())


def server(server: profile.Server, signer: tuple[Key, x509.Certificate] | None) -> tuple[Key, x509.Certificate]:
    """Return a new server key and certificate, self-signed without a signer."""
    key = new_key(server.key)
    signing_key, issuer = (signer[0], signer[1].subject) if signer else (key, _name(server.subject))
    named = _general(server.dns, map(ipaddress.ip_address, server.addresses))
    builder = (
        _started(_name(server.subject), issuer, key, server.days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(*(_SNAKE[name] for name in server.key_usage)), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName(named), critical=False)
    )
    return key, builder.sign(signing_key, hashes.SHA256())


def load_signer(folder: Path) -> tuple[Key, x509.Certificate]:
    """Return the authority that a folder holds as ca.key and ca.crt."""
    key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
    if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise RegistryError("The authority's key is of a kind not made here.", cure="./inv cert --tool openssl")
    return key, x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())


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


def _started(subject: x509.Name, issuer: x509.Name, key: Key, days: int) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(int(openssl.serial(), 16))
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _general(dns: Iterable[str], addresses: Iterable[Address]) -> list[x509.GeneralName]:
    return [*map(x509.DNSName, dns), *map(x509.IPAddress, addresses)]
