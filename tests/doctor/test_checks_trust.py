"""Checks of trust, with real files in a folder that plays the machine's disk."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from tests import forge
from tests.doctor.conftest import ADDRESS, found, stored_states
from trusted_registry.doctor import checks
from trusted_registry.doctor.facts import Proxy, StoreState
from trusted_registry.doctor.finding import ChmodFix, TrustFix
from trusted_registry.errors import RegistryError
from trusted_registry.trust.local.ledger import entry
from trusted_registry.trust.managed_blocks import editing
from trusted_registry.trust.specifics.containerd import Advice

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.doctor.conftest import DoctorBox
    from trusted_registry.doctor.finding import Finding
    from trusted_registry.trust.local.ledger import Entry

ALL = ("docker", "docker-rootless", "containers", "containerd", "k3s", "system-debian")
OTHER = b"-----BEGIN CERTIFICATE-----\nsomebody else's\n-----END CERTIFICATE-----\n"


def folder(box: DoctorBox, above: str = "etc/docker/certs.d") -> Path:
    """Return the registry's folder under certs.d."""
    path = box.folder / above / ADDRESS
    path.mkdir(parents=True, exist_ok=True)
    return path


def wrong(box: DoctorBox, *keys: str, known: Sequence[Entry] = (), client: str = "") -> list[Finding]:
    """Return what is wrong with stores of a machine."""
    return checks.judge(replace(box.facts, store_states=stored_states(box, *keys, known=known)), client)


@pytest.mark.parametrize("key", ["docker", "docker-rootless", "containers", "containerd", "system-debian"])
def test_a_store_that_trusts_is_no_finding_and_one_that_does_not_is_told_to(key: str, box: DoctorBox) -> None:
    (finding,) = wrong(box, key)
    name = box.store(key).name
    assert (finding.check, finding.cure, finding.fix) == (
        "certs.d",
        (f"./inv trust.linux --only {name}",),
        TrustFix(name),
    )
    assert finding.asks
    box.trusts(key)
    assert wrong(box, key) == []


def test_another_machine_s_registry_is_named_in_the_cure(box: DoctorBox) -> None:
    settings = replace(box.facts.settings, port=8443)
    there = replace(box.facts, settings=settings, remote=True, store_states=stored_states(box, "docker"))
    cures = [finding.cure for finding in checks.judge(there) if finding.check == "certs.d"]
    assert cures == [(f"./inv trust.linux --only docker --address {ADDRESS} --port 8443",)]


def test_of_another_machine_that_does_not_answer_the_one_cause_is_named_and_nothing_that_follows(
    box: DoctorBox,
) -> None:
    proxy = Proxy("the engine", "http://10.9.9.9", "")
    there = replace(box.facts, issued=None, remote=True, proxies=(proxy,), store_states=stored_states(box, *ALL))
    assert {"certs.d", "proxy"} == set(found(there))
    assert there.observation
    gone = replace(
        there, observation=replace(there.observation, connect_error="Connection refused", certificate=None, status=0)
    )
    assert found(gone) == found(gone, "docker") == ["served"]
    assert found(replace(gone, resolved={"registry.local": ()})) == ["dns"]
    for reason in ("no answer within 3 seconds", "who knows"):
        (finding,) = checks.judge(replace(gone, observation=replace(there.observation, connect_error=reason)))
        assert "container" not in finding.cause, "nobody here knows whether one runs there"
    assert "certs.d" in found(replace(gone, remote=False)), "of this machine's own registry all is told"


def test_one_client_s_store_can_be_asked_about_alone(box: DoctorBox) -> None:
    assert [finding.client for finding in wrong(box, "docker", "containers", client="podman")] == ["podman"]


def test_another_s_certificate_is_found_and_never_mended(box: DoctorBox) -> None:
    (folder(box) / "ca.crt").write_bytes(OTHER)
    foreign = [finding for finding in wrong(box, "docker") if "did not write" in finding.evidence]
    assert [finding.fix for finding in foreign] == [None]


@pytest.mark.parametrize(("mark", "away"), [(editing.MARK, "sed -i 2,6d"), ("# theirs:", "editor")])
def test_a_shared_file_with_another_s_lines_is_not_taken_away(mark: str, away: str, box: DoctorBox) -> None:
    block = box.store("k3s").blocks(box.anchor)[0]
    path = box.machine.path(block.path)
    path.parent.mkdir(parents=True)
    path.write_text(editing.added("", block).replace("https", "http").replace(editing.MARK, mark))
    (finding,) = (finding for finding in wrong(box, "k3s") if "did not write" in finding.evidence)
    assert (finding.fix, finding.cure[1].startswith(f"sudo {away} {path} && ")) == (None, True)


def test_trust_of_ours_in_an_earlier_authority_is_mended_without_a_question(box: DoctorBox) -> None:
    box.trusts("docker")
    paths = [box.machine.path(file.path) for file in box.store("docker").files(box.anchor)]
    for path in paths:
        path.write_bytes(OTHER)
    (finding,) = wrong(box, "docker", known=[entry("docker", path, OTHER, by=box.folder) for path in paths])
    assert (finding.check, finding.fix, finding.asks) == ("stale", TrustFix("docker"), False)


def test_a_pem_file_in_certs_d_is_found(box: DoctorBox) -> None:
    (folder(box) / "ca.pem").write_bytes(box.anchor.content)
    assert any("ca.pem is ignored" in finding.evidence for finding in wrong(box, "docker"))


@pytest.mark.parametrize(("key", "sudo"), [("docker", "sudo "), ("docker-rootless", "")])
def test_what_is_in_the_way_goes_as_root_but_not_in_one_s_own_home(key: str, sudo: str, box: DoctorBox) -> None:
    box.trusts(key)
    paths = [box.machine.path(file.path) for file in box.store(key).files(box.anchor)]
    paths[0].write_bytes(OTHER)
    copy = paths[1].with_suffix(".pem")
    copy.write_bytes(box.anchor.content)
    (paths[1].parent / "hosts.toml").write_text("server = 'x'\n")
    assert box.facts.engine
    box.facts = replace(box.facts, engine=replace(box.facts.engine, store="containerd"))
    cures = "\n".join(line for finding in wrong(box, key) for line in finding.cure)
    assert f"\n{sudo}mv {paths[0]} {paths[0]}.old && ./inv trust.linux" in cures
    assert f"\n{sudo}rm {copy}  # a copy" in cures
    assert f"\n{sudo}mv {paths[1].parent}/hosts.toml {paths[1].parent}/hosts.toml.unused" in cures


@pytest.mark.parametrize("name", ["domain.key", "ca.cert"])
def test_half_a_client_s_certificate_is_found_and_a_whole_one_is_none_of_ours(name: str, box: DoctorBox) -> None:
    box.trusts("docker")
    stray = folder(box) / name
    stray.write_bytes(OTHER)
    (finding,) = wrong(box, "docker")
    assert (finding.check, str(stray) in finding.evidence, finding.fix) == ("certs.d", True, None)
    pair = forge.server(box.signer)
    stray.with_suffix(".key").write_bytes(forge.pem(pair.key))
    stray.with_suffix(".cert").write_bytes(pair.certificate.public_bytes(serialization.Encoding.PEM))
    assert wrong(box, "docker") == []


def test_a_folder_that_is_a_link_to_elsewhere_is_found_and_not_followed(box: DoctorBox) -> None:
    box.trusts("docker")
    folder(box).rename(box.folder / "elsewhere")
    (box.folder / "etc/docker/certs.d" / ADDRESS).symlink_to(box.folder / "elsewhere")
    (finding,) = wrong(box, "docker")
    assert ("link" in finding.evidence, finding.fix) == (True, None)


def test_what_keeps_a_store_from_being_looked_at_is_told_with_its_cure(box: DoctorBox) -> None:
    broken = StoreState(box.store("docker"), problem=RegistryError("a.key has no certificate", cure="sudo rm a.key"))
    (finding,) = checks.judge(replace(box.facts, store_states=(broken,)))
    assert (finding.check, finding.cure) == ("certs.d", ("sudo rm a.key",))


def test_hosts_toml_hides_ca_crt_from_an_engine_with_containerd_s_store_alone(box: DoctorBox) -> None:
    box.trusts("docker")
    (folder(box) / "hosts.toml").write_text("server = 'x'\n")
    assert wrong(box, "docker") == []
    assert box.facts.engine
    box.facts = replace(box.facts, engine=replace(box.facts.engine, store="containerd"))
    (finding,) = wrong(box, "docker")
    assert "hosts.toml" in finding.evidence


def test_an_empty_folder_of_the_user_that_hides_the_system_s_is_found(box: DoctorBox) -> None:
    box.trusts("containers")
    hidden = box.machine.home / ".config/containers/certs.d" / ADDRESS
    hidden.mkdir(parents=True)
    (finding,) = wrong(box, "containers")
    assert (finding.check, str(hidden) in finding.evidence) == ("shadowed", True)
    (hidden / "ca.crt").write_bytes(box.anchor.content)
    assert wrong(box, "containers") == []


def test_a_folder_of_another_spelling_is_found_only_where_the_right_one_is_missing(box: DoctorBox) -> None:
    other = box.folder / "etc/docker/certs.d/https:" / "ca.crt"
    other.parent.mkdir(parents=True)
    other.write_bytes(box.anchor.content)
    assert [finding.check for finding in wrong(box, "docker")] == ["certs.d", "spelling"]
    box.trusts("docker")
    assert wrong(box, "docker") == []


def test_a_certificate_that_not_everybody_may_read_is_found(box: DoctorBox) -> None:
    box.trusts("docker")
    path = folder(box) / "ca.crt"
    path.chmod(0o640)
    (finding,) = wrong(box, "docker")
    assert (finding.check, finding.cure, finding.fix) == ("readable", (f"sudo chmod go+r {path}",), None)
    (finding,) = wrong(box, "docker", known=[entry("docker", path, OTHER, by=box.folder)])
    assert finding.fix == ChmodFix(path, "go+r")
    path.chmod(0o644)
    path.parent.chmod(0o700)
    (finding,) = wrong(box, "docker")
    assert finding.cure == (f"sudo chmod go+rx {path.parent}",)


def test_another_s_authority_beside_that_not_everybody_may_read_is_found_too(box: DoctorBox) -> None:
    box.trusts("containers")
    path = folder(box, "etc/containers/certs.d") / "theirs.crt"
    path.write_bytes(OTHER)
    assert wrong(box, "containers") == []
    path.chmod(0o600)
    (finding,) = wrong(box, "containers")
    assert (finding.check, finding.cure, finding.fix) == ("readable", (f"sudo chmod go+r {path}",), None)


def test_a_link_to_nothing_beside_ca_crt_is_found_with_its_cure(box: DoctorBox) -> None:
    box.trusts("docker")
    path = folder(box) / "node-client-ca.crt"
    path.symlink_to("/nonexistent")
    (finding,) = wrong(box, "docker")
    assert (finding.check, finding.cure, finding.fix) == ("certs.d", (f"Take it away: rm {path}",), None)


def test_what_containerd_does_not_read_is_told_and_what_needs_no_cure_is_not(box: DoctorBox) -> None:
    advice = (Advice("config_path is not set", "Write into x", ("[a]", "b = 1")), Advice("CRI is disabled"))
    (finding,) = checks.judge(replace(box.facts, containerd=advice))
    assert ("config_path is not set" in finding.evidence, "[a]; b = 1" in finding.cure[0]) == (True, True)


@pytest.mark.parametrize(
    ("vouched", "changed", "wanted"), [(True, 20.0, True), (True, 5.0, False), (False, 20.0, False)]
)
def test_a_system_s_store_that_changed_after_the_engine_read_it_is_found(
    box: DoctorBox,
    *,
    vouched: bool,
    changed: float,
    wanted: bool,
) -> None:
    facts = replace(box.facts, vouched=vouched, engine_since=10.0, bundle_since=changed)
    assert ("os-store" in found(replace(facts, store_states=stored_states(box, "docker")))) is wanted
    box.trusts("docker")
    assert found(replace(facts, store_states=stored_states(box, "docker"))) == []
