"""Checks of the engine: what keeps it from the registry, and what does not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.doctor.conftest import ADDRESS, found, only
from trusted_registry.doctor.checks_engine import passes
from trusted_registry.doctor.facts import Proxy
from trusted_registry.errors import RegistryError
from trusted_registry.trust.local.unverified import Unverified

if TYPE_CHECKING:
    from tests.doctor.conftest import DoctorBox


def test_an_engine_that_does_not_answer_is_told_with_its_cure(box: DoctorBox) -> None:
    silent = replace(box.facts, engine=None, engine_error=RegistryError("none answers", cure="./inv engine"))
    assert only(silent, "engine").cure == ("./inv engine",)


def test_an_engine_that_is_too_old_is_found(box: DoctorBox) -> None:
    assert box.facts.engine
    assert found(replace(box.facts, engine=replace(box.facts.engine, version="18.09.1"))) == ["engine"]


def test_containers_that_the_engine_lost_are_found_with_what_ends_them(box: DoctorBox) -> None:
    finding = only(replace(box.facts, lost_containers=(678, 679)), "engine")
    assert finding.evidence.endswith("process 678, 679")
    assert finding.cure == ("sudo kill -KILL 678 679", "./inv up")


def test_podman_is_no_docker_that_is_too_old(box: DoctorBox) -> None:
    assert box.facts.engine
    podman = replace(box.facts.engine, version="4.3.1", product="Podman")
    assert found(replace(box.facts, engine=podman)) == []


def test_this_machine_s_engine_that_is_reached_by_tcp_is_no_finding(box: DoctorBox) -> None:
    assert box.facts.engine
    assert found(replace(box.facts, engine=replace(box.facts.engine, socket="http://127.0.0.1:2375"))) == []


@pytest.mark.parametrize("version", ["19.03.15", "20.10.24+dfsg1", "28.5.2", "29.0.0-rc.1", "dev"])
def test_an_engine_that_will_do_is_no_finding(version: str, box: DoctorBox) -> None:
    assert box.facts.engine
    assert found(replace(box.facts, engine=replace(box.facts.engine, version=version))) == []


def test_a_registry_that_the_engine_does_not_verify_is_found(box: DoctorBox) -> None:
    finding = only(replace(box.facts, unverified=(Unverified(ADDRESS, ADDRESS),)), "insecure")
    assert ADDRESS in finding.evidence
    assert finding.cure == ("./inv trust.insecure --remove  # where ./inv trust.insecure put it there",)


def test_a_name_that_means_loopback_is_found_once_and_cured_where_names_are_kept(box: DoctorBox) -> None:
    skipped = tuple(Unverified(it, "reg.example", "127.0.1.1") for it in ("reg.example", "reg.example:443"))
    finding = only(replace(box.facts, unverified=skipped), "insecure")
    assert finding.evidence == "reg.example means 127.0.1.1 here: loopback, which Docker never verifies"
    assert (finding.cure[0].startswith("sudo editor /etc/hosts"), finding.instead) == (True, ())


def test_a_proxy_that_swallows_the_registry_is_found_and_its_password_not_shown(box: DoctorBox) -> None:
    proxy = Proxy("the engine", "http://me:secret@10.9.9.9:3128", "localhost,.corp")
    finding = only(replace(box.facts, proxies=(proxy,)), "proxy")
    assert ("secret" in str(finding), f"localhost,.corp,{ADDRESS}" in finding.cure[0]) == (False, True)


def test_the_engine_s_proxy_is_the_engine_s_trouble_alone_and_mended_as_this_system_does_it(box: DoctorBox) -> None:
    proxy = Proxy("the engine", "http://10.9.9.9", "")
    for systemd, wanted in ((True, "systemctl restart docker"), (False, "service docker restart")):
        finding = only(replace(box.facts, proxies=(proxy,), systemd=systemd), "proxy")
        assert (finding.client, wanted in finding.cure[0]) == ("docker", True)


def test_the_shell_s_proxy_is_every_program_s_trouble_and_mended_in_the_shell(box: DoctorBox) -> None:
    finding = only(replace(box.facts, proxies=(Proxy("this shell", "http://10.9.9.9", ""),)), "proxy")
    assert (finding.client, finding.cure) == ("", (f'export NO_PROXY="${{NO_PROXY:+$NO_PROXY,}}{ADDRESS}"',))


def test_a_proxy_that_the_registry_goes_past_is_no_finding(box: DoctorBox) -> None:
    assert found(replace(box.facts, proxies=(Proxy("the engine", "http://10.9.9.9", "192.168.0.0/16"),))) == []


@pytest.mark.parametrize(
    ("host", "past", "is_past"),
    [
        ("192.168.0.12", "192.168.0.12", True),
        ("192.168.0.12", "192.168.0.12:443", True),
        ("192.168.0.12", "192.168.0.12:8443", False),
        ("192.168.0.12", "10.0.0.0/8, 192.168.0.0/16", True),
        ("192.168.0.12", "192.168", False),
        ("192.168.0.12", "*", True),
        ("192.168.0.12", "", False),
        ("192.168.0.12", "*.corp,,", False),
        ("fd00::12", "fd00::/8", True),
        ("registry.local", ".local", True),
        ("registry.local", "local", True),
        ("registry.local", "*.local", True),
        ("registry.local", "registry.local:443", True),
        ("registry.local", "ocal", False),
        ("registry.local", "10.0.0.0/8", False),
    ],
)
def test_what_goes_past_a_proxy_is_known_as_go_knows_it(host: str, past: str, is_past: bool) -> None:  # noqa: FBT001 - a parameter
    assert passes(host, 443, past) is is_past


def test_plain_http_that_is_allowed_for_a_registry_that_is_gone_is_a_finding(box: DoctorBox) -> None:
    assert box.facts.engine
    plain = f"{ADDRESS}:5000"
    listed = replace(box.facts, engine=replace(box.facts.engine, insecure=(plain,)))
    finding = only(replace(listed, allowed=(plain,)), "insecure")
    assert finding.evidence == f"plain HTTP on {plain} is still allowed, and no plain registry of this checkout runs"
    assert finding.cure == ("./inv trust.insecure --remove",)


def test_plain_http_that_is_not_this_checkout_s_doing_or_not_the_engine_s_any_more_is_none(box: DoctorBox) -> None:
    assert box.facts.engine
    plain = f"{ADDRESS}:5000"
    listed = replace(box.facts, engine=replace(box.facts.engine, insecure=(plain,)))
    assert found(listed) == []
    assert found(replace(box.facts, allowed=(plain,))) == []
