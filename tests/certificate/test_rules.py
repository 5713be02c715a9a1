"""Each rule is broken once, by a certificate made for it, and found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import forge
from trusted_registry.certificate import inspect, rules

if TYPE_CHECKING:
    from pathlib import Path

    from tests.forge import Forged

HOSTS = ("192.168.0.12", "registry.local")


def _check(server: Forged, authority: Forged | None, folder: Path, hosts: tuple[str, ...] = HOSTS) -> list[str]:
    """Return the rules that are broken, each after the name of the file that breaks it."""
    server_facts = inspect.of(folder / "domain.crt", server.certificate)
    authority_facts = inspect.of(folder / "ca.crt", authority.certificate) if authority else None
    found = rules.check(server_facts, authority_facts, hosts, inspect.now())
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
