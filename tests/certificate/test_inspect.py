"""What is read of a certificate, a key, and of how they belong together."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from tests import forge
from trusted_registry.certificate import inspect
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_read_certificate_says_who_it_is_for_how_long_and_with_which_key(tmp_path: Path) -> None:
    certificate = inspect.read(forge.save(forge.server(None), tmp_path, "domain"))
    assert (certificate.subject, certificate.dns, certificate.addresses, certificate.key, certificate.self_issued) == (
        "192.168.0.12",
        ("registry.local",),
        ("192.168.0.12",),
        "ec:P-256",
        True,
    )


@pytest.mark.process
def test_a_fingerprint_is_the_one_that_openssl_prints(tmp_path: Path) -> None:
    import subprocess

    path = forge.save(forge.server(None), tmp_path, "domain")
    argv = ["openssl", "x509", "-in", str(path), "-noout", "-fingerprint", "-sha256"]
    said = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    assert said.strip().rpartition("=")[2].replace(":", "").lower() == inspect.read(path).fingerprint


@pytest.mark.parametrize(("days", "age", "left"), [(10, 0, 9), (10, 9, 0), (10, 10, -1), (10, 12, -3)])
def test_days_left_are_whole_days_and_negative_after_the_end(days: int, age: int, left: int, tmp_path: Path) -> None:
    certificate = inspect.of(tmp_path, forge.server(None, days=days, age=age).certificate)
    assert certificate.days_left(inspect.now() + datetime.timedelta(seconds=5)) == left


@pytest.mark.parametrize(
    "content",
    [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\xff\xfe\x00", None],
)
def test_a_file_without_a_certificate_is_named_with_a_cure(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "domain.crt"
    path.write_bytes(content) if content is not None else path.mkdir()
    with pytest.raises(RegistryError, match=r"domain\.crt (holds no certificate|cannot be read)") as caught:
        inspect.read(path)
    assert caught.value.cure


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"domain\.crt cannot be read: No such file"):
        inspect.read(tmp_path / "domain.crt")


def test_a_key_and_its_certificate_are_a_pair(tmp_path: Path) -> None:
    path = forge.save(forge.server(None), tmp_path, "domain")
    assert inspect.is_pair(path.with_suffix(".key"), inspect.read(path))


def test_a_key_and_another_certificate_are_no_pair(tmp_path: Path) -> None:
    forge.save(forge.server(None), tmp_path, "other")
    path = forge.save(forge.server(None), tmp_path, "domain")
    assert not inspect.is_pair(tmp_path / "other.key", inspect.read(path))


def _encrypted() -> bytes:
    secret = serialization.BestAvailableEncryption(b"passphrase")
    key = forge.server(None).key
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret)


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_a_key_that_cannot_be_read_is_named_with_a_cure(content: bytes, tmp_path: Path) -> None:
    path = forge.save(forge.server(None), tmp_path, "domain")
    path.with_suffix(".key").write_bytes(content)
    with pytest.raises(RegistryError, match=r"domain\.key holds no private key") as caught:
        inspect.is_pair(path.with_suffix(".key"), inspect.read(path))
    assert "mv" in caught.value.cure


def test_a_key_with_a_passphrase_is_named_with_the_command_that_opens_it(tmp_path: Path) -> None:
    path = forge.save(forge.server(None), tmp_path, "domain")
    path.with_suffix(".key").write_bytes(_encrypted())
    with pytest.raises(RegistryError, match=r"domain\.key has a passphrase") as caught:
        inspect.is_pair(path.with_suffix(".key"), inspect.read(path))
    assert caught.value.cure.startswith("(umask 077 && openssl pkey -in ")


def test_what_an_authority_may_vouch_for_is_let_through_and_the_rest_is_not(tmp_path: Path) -> None:
    authority = inspect.of(tmp_path, forge.authority().certificate)
    hosts = ("192.168.0.12", "10.0.0.1", "registry.local", "example.com", "local")
    assert inspect.allowed(authority, hosts) == ("192.168.0.12", "registry.local", "local")


def test_an_authority_without_limits_may_vouch_for_all(tmp_path: Path) -> None:
    authority = inspect.of(tmp_path, forge.authority(permitted=None).certificate)
    assert inspect.allowed(authority, ("8.8.8.8", "example.com")) == ("8.8.8.8", "example.com")


def test_what_a_server_shows_is_read(tmp_path: Path) -> None:
    der = forge.authority().certificate.public_bytes(serialization.Encoding.DER)
    assert inspect.from_der(tmp_path, der).self_issued


@pytest.mark.parametrize("version", [b"\xa0\x03\x02\x01\x03", b"\xa0\x03\x02\x01\x00"])
def test_what_a_hostile_server_shows_is_one_error_whatever_is_wrong_with_it(version: bytes, tmp_path: Path) -> None:
    der = forge.authority().certificate.public_bytes(serialization.Encoding.DER)
    broken = der.replace(b"\xa0\x03\x02\x01\x02", version, 1)
    assert broken != der
    with pytest.raises(ValueError, match=r"can be read|parsing"):
        inspect.from_der(tmp_path, broken)
