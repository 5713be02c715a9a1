"""What the certificates must say, worked out from settings and this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jinja2
import pytest

from tests.certificate.profiles import planned
from tests.conftest import ADDRESS, ROOT
from trusted_registry import templates
from trusted_registry.certificate import profile

if TYPE_CHECKING:
    from tests.conftest import MakeSettings
    from trusted_registry.certificate.profile import Profile


def _plan(make_settings: MakeSettings, *own: str, machine: str | None = "box", **given: str) -> Profile:
    return profile.plan(make_settings(**given), machine=machine, own=own, mark="2026-01-02 abcd")


def test_openssl_cnf_is_the_golden_file() -> None:
    assert profile.config(planned("rsa:2048")) == (ROOT / "tests/golden/openssl.cnf").read_text()


def test_a_template_that_names_what_was_not_given_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        templates.render("openssl.cnf", server=planned().server, organization="x")


def test_the_certificate_carries_the_address_the_names_and_every_address_of_the_machine(
    make_settings: MakeSettings,
) -> None:
    found = _plan(make_settings, "10.0.0.7", ADDRESS, names="registry.local,fd00::12").server
    assert found.addresses == (ADDRESS, "fd00::12", "10.0.0.7", "127.0.0.1", "::1")


def test_the_certificate_carries_the_names_the_machine_s_own_and_localhost(make_settings: MakeSettings) -> None:
    assert _plan(make_settings, names="registry.local,10.0.0.9").server.dns == ("registry.local", "box", "localhost")


def test_a_machine_without_a_usable_name_adds_none(make_settings: MakeSettings) -> None:
    assert _plan(make_settings, machine=None).server.dns == ("localhost",)


def test_the_subject_is_the_address(make_settings: MakeSettings) -> None:
    assert _plan(make_settings).server.subject == ADDRESS


def test_a_name_too_long_for_a_subject_gives_way_to_the_project_s(make_settings: MakeSettings) -> None:
    assert _plan(make_settings, address="a" * 60 + ".local").server.subject == "trusted-registry"


def test_a_subject_may_be_as_long_as_the_rule_says(make_settings: MakeSettings) -> None:
    name = "a" * 58 + ".local"
    assert _plan(make_settings, address=name).server.subject == name


def test_the_authority_s_subject_fits_a_common_name_whatever_the_machine_is_called(make_settings: MakeSettings) -> None:
    assert len(_plan(make_settings, machine="m" * 63).authority.subject) <= profile.MAX_COMMON_NAME


@pytest.mark.parametrize("ip", ["10.1.2.3", "172.31.0.1", "192.168.7.7", "100.64.0.1", "fd00::12", "fe80::1"])
def test_a_private_address_adds_nothing_to_what_the_authority_may_vouch_for(
    ip: str, make_settings: MakeSettings
) -> None:
    assert _plan(make_settings, address=ip).authority.networks == profile.PRIVATE_RANGES


@pytest.mark.parametrize(
    ("ip", "network"),
    [("203.0.113.7", "203.0.113.7/32"), ("2001:db8::7", "2001:db8::7/128"), ("172.32.0.1", "172.32.0.1/32")],
)
def test_a_public_address_adds_itself_alone(ip: str, network: str, make_settings: MakeSettings) -> None:
    assert _plan(make_settings, address=ip).authority.networks == (*profile.PRIVATE_RANGES, network)


def test_a_local_name_adds_nothing_to_what_the_authority_may_vouch_for(make_settings: MakeSettings) -> None:
    assert _plan(make_settings, machine=None, names="registry.local").authority.dns == ("localhost", "local")


def test_a_public_name_adds_itself_alone(make_settings: MakeSettings) -> None:
    found = _plan(make_settings, machine=None, names="registry.example.com").authority.dns
    assert found == ("localhost", "local", "registry.example.com")


@pytest.mark.parametrize(
    ("name", "permitted"),
    [
        ("local", True),
        ("a.local", True),
        ("b.a.local", True),
        ("notlocal", False),
        ("local.com", False),
        ("com", False),
    ],
)
def test_a_permitted_name_is_itself_and_what_ends_in_it_after_a_dot(name: str, *, permitted: bool) -> None:
    assert profile.permits_name(["local"], name) is permitted


@pytest.mark.parametrize(
    ("ip", "permitted"), [("10.0.0.0", True), ("10.255.255.255", True), ("11.0.0.0", False), ("fd00::1", False)]
)
def test_a_permitted_network_holds_its_addresses_and_no_others(ip: str, *, permitted: bool) -> None:
    assert profile.permits_address(["10.0.0.0/8"], ip) is permitted


@pytest.mark.parametrize(
    ("key", "usage"),
    [("ec:P-256", ("digitalSignature",)), ("rsa:4096", ("digitalSignature", "keyEncipherment"))],
)
def test_an_rsa_key_may_also_encrypt_others(key: str, usage: tuple[str, ...]) -> None:
    assert planned(key).server.key_usage == usage


def test_a_self_signed_certificate_has_the_document_s_key(make_settings: MakeSettings) -> None:
    found = profile.plan(make_settings(), machine=None, own=(), mark="x", self_signed=True)
    assert found.server.key == "rsa:4096"


def test_the_life_of_both_certificates_is_the_settings(make_settings: MakeSettings) -> None:
    found = _plan(make_settings, days="7", authority_days="70")
    assert (found.server.days, found.authority.days) == (7, 70)
