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


def _broken(
    server: Forged, authority: Forged | None, folder: Path, hosts: tuple[str, ...] = HOSTS
) -> list[rules.Violation]:
    """Return the rules that are broken."""
    server_facts = inspect.of(folder / "domain.crt", server.certificate)
    authority_facts = inspect.of(folder / "ca.crt", authority.certificate) if authority else None
    found = rules.check(server_facts, authority_facts, hosts, inspect.now())
    assert all(finding.clients for finding in found)
    return found


def _check(server: Forged, authority: Forged | None, folder: Path, hosts: tuple[str, ...] = HOSTS) -> list[str]:
    """Return the rules that are broken, each after the name of the file that breaks it."""
    return [f"{it.path.name} {it.rule}" for it in _broken(server, authority, folder, hosts)]


def test_a_flawless_certificate_breaks_no_rule(tmp_path: Path) -> None:
    authority = forge.authority()
    assert _check(forge.server(authority), authority, tmp_path) == []


def test_a_flawless_self_signed_certificate_breaks_no_rule(tmp_path: Path) -> None:
    assert _check(forge.server(None), None, tmp_path) == []


SERVER_FLAWS: list[tuple[str, dict[str, object]]] = [
    ("is an authority too (CA:TRUE)", {"ca": True}),
    ("has a key usage without digitalSignature", {"usage": ("key_encipherment",)}),
    ("has a key usage for no server at all", {"usage": ("crl_sign",)}),
    (
        "may sign certificates (keyUsage keyCertSign) and is no authority",
        {"usage": ("digital_signature", "key_encipherment", "key_cert_sign")},
    ),
    ("is marked for something else than servers (extendedKeyUsage)", {"serves": False, "other_use": True}),
    ("is not marked for servers (extendedKeyUsage serverAuth)", {"serves": False}),
    ("has no authority key id", {"signer_id": False}),
    ("has no subject, and names that are not critical", {"subject": None}),
    ("lives for more than 825 days", {"days": 826}),
    ("does not name registry.local", {"names": ("192.168.0.12",)}),
    ("does not name 192.168.0.12", {"names": ("registry.local",)}),
    ("names 8.8.8.8, which ca.crt may not vouch for", {"names": (*HOSTS, "8.8.8.8")}),
    ("names example.com, which ca.crt may not vouch for", {"names": (*HOSTS, "example.com")}),
    ("has a weak key", {"key": "weak"}),
]
OWN_SERVER_FLAWS: list[tuple[str, dict[str, object]]] = [
    ("does not say, as critical, that it is no authority", {"ca": None}),
    ("does not say, as critical, that it is no authority", {"critical": False}),
    ("has no key usage for a server", {"usage": None}),
    ("has an address among its DNS names", {"mistyped": ("192.168.0.13",)}),
    ("has no subject key id", {"own_id": False}),
    ("has a serial that is not random", {"serial": 1}),
    ("lives for more than 397 days", {"days": 398}),
    ("lives for more than 397 days", {"days": 825}),
]
"""What no client was seen to refuse (each was shown to ten of them), and what is made here does not do."""


@pytest.mark.parametrize(("rule", "changes"), OWN_SERVER_FLAWS)
def test_a_rule_of_this_project_s_own_is_told_apart(rule: str, changes: dict[str, object], tmp_path: Path) -> None:
    authority = forge.authority()
    found = _broken(forge.server(authority, **changes), authority, tmp_path)
    assert [(it.rule, it.own) for it in found] == [(rule, True)]


@pytest.mark.parametrize(("rule", "changes"), SERVER_FLAWS)
def test_a_server_certificate_that_breaks_one_rule_is_found_by_that_rule(
    rule: str, changes: dict[str, object], tmp_path: Path
) -> None:
    authority = forge.authority()
    found = _broken(forge.server(authority, **changes), authority, tmp_path)
    refused = [it for it in found if not it.own]
    assert rule in {it.rule for it in refused}
    # One usage that is for no server at all breaks two rules, of different clients.
    assert len(refused) == (2 if changes.get("usage") == ("crl_sign",) else 1)
    assert all(it.clients != rules.OWN for it in refused)


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


AUTHORITY_FLAWS: list[tuple[str, dict[str, object], bool]] = [
    ("may make further authorities (no pathlen:0)", {"pathlen": None}, True),
    ("may make further authorities (no pathlen:0)", {"pathlen": 1}, True),
    ("has no key usage", {"usage": None}, False),
    ("may sign no certificates (keyUsage without keyCertSign)", {"usage": ("crl_sign",)}, False),
    ("has no key usage keyCertSign and cRLSign", {"usage": ("key_cert_sign",)}, True),
    ("may vouch for any site (no name constraints on both DNS names and addresses)", {"permitted": None}, True),
    ("has no subject key id", {"own_id": False}, False),
    ("is an authority, and does not say so as critical", {"critical": False}, False),
    ("has a serial that is not random", {"serial": 7}, True),
    ("has a weak key", {"key": "weak"}, False),
    ("lives for more than 3650 days", {"days": 3651}, True),
    ("has no common name or organization to know it by", {"subject": None}, True),
]


@pytest.mark.parametrize(("rule", "changes", "own"), AUTHORITY_FLAWS)
def test_an_authority_that_breaks_one_rule_is_found_by_that_rule(
    rule: str, changes: dict[str, object], *, own: bool, tmp_path: Path
) -> None:
    authority = forge.authority(**changes)
    found = _broken(forge.server(authority), authority, tmp_path)
    assert (rule, own) in {(it.rule, it.own) for it in found}
    assert {it.path.name for it in found} == {"ca.crt"}
    assert len([it for it in found if not it.own]) == (0 if own else 1)


def test_an_authority_that_is_none_is_found(tmp_path: Path) -> None:
    authority = forge.authority(ca=False, pathlen=None)
    assert "ca.crt is not an authority (CA:TRUE)" in _check(forge.server(authority), authority, tmp_path)


@pytest.mark.parametrize("permitted", [("local",), ("192.168.0.0/16",)])
def test_an_authority_limited_in_names_or_addresses_alone_is_found(permitted: tuple[str, ...], tmp_path: Path) -> None:
    authority = forge.authority(permitted=permitted)
    found = _check(forge.server(authority), authority, tmp_path)
    assert "ca.crt may vouch for any site (no name constraints on both DNS names and addresses)" in found


def test_an_authority_that_allows_none_below_it_is_found_where_there_is_one(tmp_path: Path) -> None:
    root = forge.authority(pathlen=0)
    middle = forge.issuer(root)
    server, issuer, authority = (inspect.of(tmp_path, it.certificate) for it in (forge.server(middle), middle, root))
    found = rules.check(server, authority, HOSTS, inspect.now(), issuers=[issuer])
    (refused,) = (it for it in found if not it.own)
    assert "pathlen less than 1" in refused.rule


def test_a_company_s_certificate_breaks_no_rule_of_any_client(tmp_path: Path) -> None:
    root = forge.authority(pathlen=None, permitted=None)
    middle = forge.issuer(root, pathlen=None, permitted=None, serves=False)
    leaf = forge.server(middle, critical=False, usage=None, days=825, own_id=False)
    server, issuer, authority = (inspect.of(tmp_path, it.certificate) for it in (leaf, middle, root))
    found = rules.check(server, authority, HOSTS, inspect.now(), issuers=[issuer, authority])
    assert found
    assert all(it.own for it in found)


def test_a_common_name_that_looks_like_a_host_s_is_judged_where_there_is_no_dns_name(tmp_path: Path) -> None:
    authority = forge.authority()
    (found,) = _broken(
        forge.server(authority, subject="reg.corp.example", names=HOSTS[:1]), authority, tmp_path, HOSTS[:1]
    )
    assert "common name reg.corp.example" in found.rule
    assert "Go" not in found.clients
    named = forge.server(authority, subject="reg.local", names=HOSTS[:1])
    assert _broken(named, authority, tmp_path, HOSTS[:1]) == []


def test_an_authority_out_of_its_time_is_found(tmp_path: Path) -> None:
    authority = forge.authority(age=30, days=29)
    (found,) = _check(forge.server(authority), authority, tmp_path)
    assert found.startswith("ca.crt expired on")


# Reading
