"""Checks of certificates, engine and registry: each reports what is broken, and a healthy machine has nothing."""

from __future__ import annotations

import dataclasses
import datetime
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests import forge
from tests.doctor.conftest import ADDRESS, contained, found, observed, only, stored_states
from trusted_registry.certificate import inspect
from trusted_registry.doctor import checks
from trusted_registry.doctor.facts import Disk, Facts, FileMode
from trusted_registry.doctor.finding import ChmodFix, RestartFix
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from tests.doctor.conftest import DoctorBox

DAY = datetime.timedelta(days=1)


def test_nothing_is_wrong_with_a_healthy_machine(box: DoctorBox) -> None:
    assert checks.judge(box.facts) == []


def test_no_check_is_listed_twice() -> None:
    assert len({*checks.CHECKS}) == len(checks.CHECKS)


def test_every_finding_has_a_cure(box: DoctorBox) -> None:
    broken = replace(box.facts, engine_error=RegistryError("x", cure="y"), tracked=("ca.key",), container=None)
    findings = checks.judge(broken)
    assert findings
    assert all(finding.cure and all(finding.cure) for finding in findings)


def test_a_machine_on_which_nothing_was_made_yet_is_told_so(box: DoctorBox) -> None:
    empty = Facts(box.facts.settings, box.facts.now)
    assert only(empty, "container").cure == ("./inv up",)


# Certificates and keys


def test_certificates_that_do_not_fit_together_are_told_with_their_own_cure(box: DoctorBox) -> None:
    facts = replace(box.facts, issued=None, broken=RegistryError("not a pair", cure="./inv cert.renew"))
    finding = only(facts, "files")
    assert (finding.evidence, finding.cure) == ("not a pair", ("./inv cert.renew",))


@pytest.mark.parametrize(
    ("order", "check"),
    [
        ({"names": ("registry.local",)}, "names"),
        ({"names": None}, "names"),
        ({"age": 40, "days": 30}, "dates"),
        ({"age": 340}, "dates"),
        ({"age": -5}, "dates"),
        ({"ca": True}, "rules"),
        ({"serves": False}, "rules"),
        ({"usage": ("key_encipherment",)}, "rules"),
        ({"days": 900}, "rules"),
        ({"key": "weak"}, "rules"),
        ({"signer_id": False}, "rules"),
    ],
)
def test_a_server_certificate_with_a_fault_is_found_and_the_cure_makes_another(
    order: dict[str, object], check: str, box: DoctorBox
) -> None:
    box.serves(forge.server(box.signer, **order))
    findings = [finding for finding in checks.judge(box.facts) if finding.check == check]
    assert findings
    assert any("./inv cert.renew" in line for finding in findings for line in finding.cure)


def test_a_certificate_of_another_authority_is_found(box: DoctorBox) -> None:
    box.serves(forge.server(forge.authority()))
    assert "chain" in found(box.facts)


def test_an_authority_that_ends_soon_is_found(box: DoctorBox) -> None:
    assert box.facts.anchor
    late = replace(box.facts, now=box.facts.anchor.not_after - DAY)
    assert any("./inv cert.renew-authority " in line for finding in checks.judge(late) for line in finding.cure)


def test_a_new_address_of_the_machine_that_the_certificate_lacks_is_found(box: DoctorBox) -> None:
    finding = only(replace(box.facts, own_addresses=(ADDRESS, "192.168.0.99")), "names")
    assert finding.cure == ("./inv cert.renew",), "what a flag says stays, and its own addresses are in without one"


def test_a_new_address_that_the_authority_may_not_vouch_for_needs_a_new_one(box: DoctorBox) -> None:
    finding = only(replace(box.facts, own_addresses=(ADDRESS, "203.0.113.9")), "names")
    assert finding.cure[0].startswith("./inv cert.renew-authority --names 203.0.113.9 ")
    assert finding.fix is None


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o606, 0o620])
def test_a_key_that_others_may_read_is_found_and_can_be_mended(mode: int, box: DoctorBox) -> None:
    key = box.facts.settings.folder / "domain.key"
    finding = only(replace(box.facts, file_modes=(FileMode(key, mode, owned=True),)), "keys")
    assert (finding.fix, finding.asks) == (ChmodFix(key, "go-rwx"), False)


def test_a_key_of_another_user_is_found_and_not_touched(box: DoctorBox) -> None:
    key = box.facts.settings.folder / "domain.key"
    assert only(replace(box.facts, file_modes=(FileMode(key, 0o644, owned=False),)), "keys").fix is None


def test_a_folder_that_others_may_write_to_is_found(box: DoctorBox) -> None:
    folder = box.facts.settings.folder
    assert only(replace(box.facts, file_modes=(FileMode(folder, 0o777, owned=True),)), "keys").cure == (
        f"chmod go-w {folder}",
    )


def test_a_key_that_git_tracks_is_found(box: DoctorBox) -> None:
    assert "rm --cached ca.key" in only(replace(box.facts, tracked=("ca.key",)), "keys").cure[0]


def test_a_container_that_was_given_the_authority_s_key_is_found_and_left_alone(box: DoctorBox) -> None:
    finding = only(replace(box.facts, key_mounts=(("builder", "/w/certs"),)), "keys")
    assert ("builder" in finding.evidence, finding.fix) == (True, None)


@pytest.mark.parametrize(("days", "wanted"), [(6, ["dates"]), (8, [])])
def test_another_machine_s_certificate_is_worth_a_word_in_its_last_week(
    days: int, wanted: list[str], box: DoctorBox
) -> None:
    assert box.facts.issued
    at = box.facts.issued.server.not_after - DAY * days - DAY / 2
    assert found(replace(box.facts, remote=True, issued=None, now=at)) == wanted


# The registry


def test_certificates_without_a_registry_are_found(box: DoctorBox) -> None:
    assert only(replace(box.facts, container=None, observation=None), "container").cure == ("./inv up",)


@pytest.mark.parametrize(("change", "fixes"), [({"role": None}, False), ({"state": "exited"}, True)])
def test_a_container_that_is_another_s_or_stopped_is_found(
    change: dict[str, object],
    fixes: bool,  # noqa: FBT001 - a parameter
    box: DoctorBox,
) -> None:
    finding = only(replace(contained(box, **change), observation=None), "container")
    assert (finding.fix is not None) is fixes


def test_a_container_of_earlier_settings_is_found_and_made_anew_only_when_asked(box: DoctorBox) -> None:
    assert only(replace(box.facts, wanted="other"), "container").asks


def test_a_configuration_that_somebody_edited_is_found(box: DoctorBox) -> None:
    assert "another registry.yml than" in only(replace(box.facts, edited="registry.yml"), "container").evidence


def test_a_port_that_another_holds_is_found_with_its_holder(box: DoctorBox) -> None:
    stopped = replace(contained(box, state="exited"), observation=None, port_holder="nginx (process 7)")
    assert any("nginx" in finding.evidence for finding in checks.judge(stopped) if finding.check == "port")


def test_the_registry_itself_is_no_holder_of_its_port(box: DoctorBox) -> None:
    assert found(replace(box.facts, port_holder="docker-proxy")) == []


def test_a_low_port_is_found_where_the_engine_runs_without_root(box: DoctorBox) -> None:
    assert box.facts.engine
    rootless = replace(box.facts, engine=replace(box.facts.engine, rootless=True), container=None, observation=None)
    assert found(rootless) == ["container", "port"]
    assert found(replace(rootless, first_port=443)) == ["container"]


def test_a_registry_that_was_not_restarted_after_a_renewal_is_found_and_restarted(box: DoctorBox) -> None:
    assert box.facts.observation
    before = box.facts.observation
    box.serves(forge.server(box.signer))
    assert only(replace(box.facts, observation=before), "served").fix == RestartFix()


def test_a_registry_that_does_not_answer_is_found(box: DoctorBox) -> None:
    assert found(observed(box, connect_error="Connection refused", certificate=None, status=0)) == ["served"]


def test_an_address_that_the_machine_has_no_more_is_named_as_the_cause(box: DoctorBox) -> None:
    facts = replace(
        observed(box, connect_error="no answer", certificate=None, status=0), own_addresses=("192.168.0.44",)
    )
    assert "address" in found(facts)
    assert "served" not in found(facts)


@pytest.mark.parametrize(
    ("given", "cure"), [({}, "INVOKE_REGISTRY_ADDRESS= ./inv up"), ({"address": ADDRESS}, './inv up --address ""')]
)
def test_an_address_that_a_flag_said_is_taken_back_and_not_gone_round_once(
    given: dict[str, str], cure: str, box: DoctorBox
) -> None:
    facts = replace(
        observed(box, connect_error="no answer", certificate=None, status=0), own_addresses=("192.168.0.44",)
    )
    found = checks.judge(replace(facts, settings=replace(facts.settings, saved_flags=given)))
    assert [finding.cure[0].partition("  #")[0] for finding in found if finding.check == "address"] == [cure]


@pytest.mark.parametrize(
    "change",
    [
        {"plain": True, "certificate": None},
        {"refused": "handshake failure", "certificate": None},
        {"outdated_tls": True},
        {"status": 404},
        {"status": 503},
    ],
)
def test_a_registry_that_does_not_speak_as_it_should_is_found(change: dict[str, object], box: DoctorBox) -> None:
    assert found(observed(box, **change)) == ["protocol"]


@pytest.mark.parametrize(
    "change", [{"status": 404}, {"refused": "wrong version number", "status": 0, "certificate": None}]
)
def test_of_what_is_no_registry_at_another_machine_nothing_else_is_told(
    change: dict[str, object], box: DoctorBox
) -> None:
    forge.save(forge.server(box.signer, names=("10.9.9.9",)), box.folder, "other")
    other = inspect.read(box.folder / "other.crt")
    facts = replace(observed(box, **{"certificate": other, "distrust": "unknown", **change}), remote=True, issued=None)
    finding = only(replace(facts, store_states=stored_states(box, "docker")), "protocol")
    assert finding.fix is None
    assert "on the registry's machine" in finding.cure[0]


@pytest.mark.parametrize("change", [{"status": 200}, {"status": 401}, {"status": 503, "api": "registry/2.0"}])
def test_of_a_registry_at_another_machine_the_rest_is_told_too(change: dict[str, object], box: DoctorBox) -> None:
    facts = replace(observed(box, **change), remote=True, issued=None, store_states=stored_states(box, "docker"))
    assert "certs.d" in found(facts)


def test_a_login_that_is_asked_for_is_healthy(box: DoctorBox) -> None:
    assert found(replace(observed(box, status=401, login="Basic"), login=True)) == []


def test_a_registry_that_lets_everybody_in_though_there_are_users_is_found(box: DoctorBox) -> None:
    assert found(replace(box.facts, login=True)) == ["login"]


def test_a_hash_that_the_registry_does_not_read_is_found(box: DoctorBox) -> None:
    facts = replace(observed(box, status=401), login=True, unread_users=("ann",))
    assert only(facts, "login").cure == ("./inv registry.user.add ann",)


@pytest.mark.parametrize("skew", [-3600.0, 90.0])
def test_a_clock_that_is_far_off_is_found(skew: float, box: DoctorBox) -> None:
    assert found(observed(box, skew=skew)) == ["clock"]


@pytest.mark.parametrize("skew", [-20.0, 0.0, 59.0, None])
def test_a_clock_that_is_near_enough_is_no_finding(skew: float | None, box: DoctorBox) -> None:
    assert found(observed(box, skew=skew)) == []


@pytest.mark.parametrize("disk", [Disk("/v", 1 << 20, 0, 0), Disk("/v", 10 << 30, 1000, 3)])
def test_a_disk_without_room_is_found(disk: Disk, box: DoctorBox) -> None:
    assert found(replace(box.facts, disk=disk)) == ["disk"]


@pytest.mark.parametrize(("growth", "keys"), [(0, []), (1 << 29, []), (1 << 30, ["disk"])])
def test_a_disk_that_will_be_full_within_two_weeks_is_told(growth: float, keys: list[str], box: DoctorBox) -> None:
    facts = replace(box.facts, disk=Disk("/v", 10 << 30, 0, 0), growth=growth)
    assert found(facts) == keys


def test_a_disk_that_counts_no_inodes_is_not_out_of_them(box: DoctorBox) -> None:
    assert found(replace(box.facts, disk=Disk("/v", 10 << 30, 0, 0))) == []


@pytest.mark.parametrize("addresses", [(), ("10.9.9.9",)])
def test_a_name_that_leads_nowhere_or_elsewhere_is_found(addresses: tuple[str, ...], box: DoctorBox) -> None:
    finding = only(replace(box.facts, resolved={"registry.local": addresses}), "dns")
    assert finding.cure == (f"echo '{ADDRESS} registry.local' | sudo tee -a /etc/hosts",)


@pytest.mark.parametrize("addresses", [(ADDRESS,), ("127.0.1.1",), ("10.9.9.9", ADDRESS)])
def test_a_name_that_leads_here_is_no_finding(addresses: tuple[str, ...], box: DoctorBox) -> None:
    assert found(replace(box.facts, resolved={"registry.local": addresses})) == []


def test_the_plain_registry_of_the_first_chapter_is_no_finding(box: DoctorBox) -> None:
    plain = contained(box, role="plain", port=5000)
    assert found(replace(plain, observation=dataclasses.replace(plain.observation, plain=True, certificate=None))) == []  # type: ignore[type-var]
