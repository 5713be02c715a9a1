"""Reads certificates; each rule is broken once, by a certificate made for it, and found."""

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

    from tests.forge import Forged

HOSTS = ("192.168.0.12", "registry.local")


def _check(server: Forged, authority: Forged | None, folder: Path, hosts: tuple[str, ...] = HOSTS) -> list[str]:
    """Return the rules that are broken, each after the name of the file that breaks it."""
    server_facts = inspect.facts(folder / "domain.crt", server.certificate)
    authority_facts = inspect.facts(folder / "ca.crt", authority.certificate) if authority else None
    found = inspect.check(server_facts, authority_facts, hosts, inspect.now())
    assert all(finding.clients for finding in found)
    return [f"{finding.path.name} {finding.rule}" for finding in found]


def test_a_flawless_certificate_breaks_no_rule(tmp_path: Path) -> None:
    authority = forge.authority()
    assert _check(forge.server(authority), authority, tmp_path) == []


def test_a_flawless_self_signed_certificate_breaks_no_rule(tmp_path: Path) -> None:
    assert _check(forge.server(None), None, tmp_path) == []


SERVER_FLAWS: list[tuple[str, dict[str, object]]] = [
    ("is an authority too (CA:TRUE), or does not say that it is none", {"ca": True}),
    ("is an authority too (CA:TRUE), or does not say that it is none", {"ca": None}),
    ("has no key usage for a server", {"usage": ("key_encipherment",)}),
    ("has no key usage for a server", {"usage": None}),
    ("is not marked for servers (extendedKeyUsage serverAuth)", {"serves": False}),
    ("has no authority key id", {"signer_id": False}),
    ("has an address among its DNS names", {"mistyped": ("192.168.0.13",)}),
    ("has no subject key id", {"own_id": False}),
    ("has a serial that is not random", {"serial": 1}),
    ("has no common name or organization to know it by", {"subject": None}),
    ("lives for more than 397 days", {"days": 398}),
    ("does not name registry.local", {"names": ("192.168.0.12",)}),
    ("does not name 192.168.0.12", {"names": ("registry.local",)}),
    ("names 8.8.8.8, which ca.crt may not vouch for", {"names": (*HOSTS, "8.8.8.8")}),
    ("names example.com, which ca.crt may not vouch for", {"names": (*HOSTS, "example.com")}),
]


@pytest.mark.parametrize(("rule", "changes"), SERVER_FLAWS)
def test_a_server_certificate_that_breaks_one_rule_is_found_by_that_rule(
    rule: str, changes: dict[str, object], tmp_path: Path
) -> None:
    authority = forge.authority()
    expected = [f"domain.crt {rule}"]
    if "mistyped" in changes:  # what stands as a DNS name is also judged as one
        expected.append("domain.crt names 192.168.0.13, which ca.crt may not vouch for")
    found = _check(forge.server(authority, **changes), authority, tmp_path)
    assert [it for it in found if it in expected] == found
    assert expected[0] in found


def test_a_weak_key_is_found(tmp_path: Path) -> None:
    authority = forge.authority()
    found = _check(forge.server(authority, key="weak"), authority, tmp_path)
    assert found == ["domain.crt has a weak key or signature"]


def test_an_rsa_key_that_may_not_encrypt_others_is_found(tmp_path: Path) -> None:
    authority = forge.authority()
    found = _check(forge.server(authority, key="weak", usage=("digital_signature",)), authority, tmp_path)
    assert "domain.crt has no key usage for a server" in found


def test_an_elliptic_key_need_not_encrypt_others(tmp_path: Path) -> None:
    authority = forge.authority()
    assert _check(forge.server(authority, usage=("digital_signature",)), authority, tmp_path) == []


def test_a_certificate_without_alternative_names_is_found_and_names_nothing(tmp_path: Path) -> None:
    authority = forge.authority()
    assert _check(forge.server(authority, names=None), authority, tmp_path) == [
        "domain.crt names nothing but its common name (no subjectAltName)",
        "domain.crt does not name 192.168.0.12",
        "domain.crt does not name registry.local",
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"age": 30, "days": 29}, "domain.crt expired on"), ({"age": -2}, "domain.crt is not valid before")],
)
def test_a_certificate_out_of_its_time_is_found(changes: dict[str, object], said: str, tmp_path: Path) -> None:
    authority = forge.authority()
    (found,) = _check(forge.server(authority, **changes), authority, tmp_path)
    assert found.startswith(said)


def test_a_certificate_of_another_authority_is_found(tmp_path: Path) -> None:
    found = _check(forge.server(forge.authority()), forge.authority(), tmp_path)
    assert found == ["domain.crt is not signed by ca.crt"]


def test_a_certificate_that_neither_it_nor_anybody_at_hand_signed_is_found(tmp_path: Path) -> None:
    assert _check(forge.server(forge.authority()), None, tmp_path) == ["domain.crt is signed by nobody at hand"]


AUTHORITY_FLAWS: list[tuple[str, dict[str, object]]] = [
    ("may make further authorities (no pathlen:0)", {"pathlen": None}),
    ("may make further authorities (no pathlen:0)", {"pathlen": 1}),
    ("has no key usage keyCertSign and cRLSign", {"usage": None}),
    ("has no key usage keyCertSign and cRLSign", {"usage": ("key_cert_sign",)}),
    ("may vouch for any site (no name constraints on both DNS names and addresses)", {"permitted": None}),
    ("has no subject key id", {"own_id": False}),
    ("has a serial that is not random", {"serial": 7}),
    ("has a weak key or signature", {"key": "weak"}),
    ("lives for more than 3650 days", {"days": 3651}),
    ("has no common name or organization to know it by", {"subject": None}),
]


@pytest.mark.parametrize(("rule", "changes"), AUTHORITY_FLAWS)
def test_an_authority_that_breaks_one_rule_is_found_by_that_rule(
    rule: str, changes: dict[str, object], tmp_path: Path
) -> None:
    authority = forge.authority(**changes)
    assert _check(forge.server(authority), authority, tmp_path) == [f"ca.crt {rule}"]


def test_an_authority_that_is_none_is_found(tmp_path: Path) -> None:
    authority = forge.authority(ca=False, pathlen=None)
    assert "ca.crt is no authority (CA:TRUE, critical)" in _check(forge.server(authority), authority, tmp_path)


@pytest.mark.parametrize("permitted", [("local",), ("192.168.0.0/16",)])
def test_an_authority_limited_in_names_or_addresses_alone_is_found(permitted: tuple[str, ...], tmp_path: Path) -> None:
    authority = forge.authority(permitted=permitted)
    found = _check(forge.server(authority), authority, tmp_path)
    assert "ca.crt may vouch for any site (no name constraints on both DNS names and addresses)" in found


def test_an_authority_out_of_its_time_is_found(tmp_path: Path) -> None:
    authority = forge.authority(age=30, days=29)
    (found,) = _check(forge.server(authority), authority, tmp_path)
    assert found.startswith("ca.crt expired on")


# Reading


def test_a_read_certificate_says_who_it_is_for_how_long_and_with_which_key(tmp_path: Path) -> None:
    found = inspect.read(forge.save(forge.server(None), tmp_path, "domain"))
    assert (found.subject, found.dns, found.addresses, found.key, found.self_issued) == (
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
    found = inspect.facts(tmp_path, forge.server(None, days=days, age=age).certificate)
    assert found.days_left(inspect.now() + datetime.timedelta(seconds=5)) == left


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
    "content", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", _encrypted()]
)
def test_a_key_that_cannot_be_read_is_named_with_a_cure(content: bytes, tmp_path: Path) -> None:
    path = forge.save(forge.server(None), tmp_path, "domain")
    path.with_suffix(".key").write_bytes(content)
    with pytest.raises(RegistryError, match=r"domain\.key holds no private key") as caught:
        inspect.is_pair(path.with_suffix(".key"), inspect.read(path))
    assert "mv" in caught.value.cure


def test_what_an_authority_may_vouch_for_is_let_through_and_the_rest_is_not(tmp_path: Path) -> None:
    authority = inspect.facts(tmp_path, forge.authority().certificate)
    hosts = ("192.168.0.12", "10.0.0.1", "registry.local", "example.com", "local")
    assert inspect.allowed(authority, hosts) == ("192.168.0.12", "registry.local", "local")


def test_an_authority_without_limits_may_vouch_for_all(tmp_path: Path) -> None:
    authority = inspect.facts(tmp_path, forge.authority(permitted=None).certificate)
    assert inspect.allowed(authority, ("8.8.8.8", "example.com")) == ("8.8.8.8", "example.com")


def test_what_a_server_shows_is_read(tmp_path: Path) -> None:
    der = forge.authority().certificate.public_bytes(serialization.Encoding.DER)
    assert inspect.shown(tmp_path, der).self_issued


@pytest.mark.parametrize("version", [b"\xa0\x03\x02\x01\x03", b"\xa0\x03\x02\x01\x00"])
def test_what_a_hostile_server_shows_is_one_error_whatever_is_wrong_with_it(version: bytes, tmp_path: Path) -> None:
    der = forge.authority().certificate.public_bytes(serialization.Encoding.DER)
    broken = der.replace(b"\xa0\x03\x02\x01\x02", version, 1)
    assert broken != der
    with pytest.raises(ValueError, match=r"can be read|parsing"):
        inspect.shown(tmp_path, broken)
