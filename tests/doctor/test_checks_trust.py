"""Checks of trust, with real files in a folder that plays the machine's disk."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.doctor.conftest import ADDRESS, found, stored
from trusted_registry.doctor import checks
from trusted_registry.doctor.facts import Proxy, Stored
from trusted_registry.doctor.finding import Chmod, Trust
from trusted_registry.errors import RegistryError
from trusted_registry.trust.clients.containerd import Advice
from trusted_registry.trust.lines import blocks
from trusted_registry.trust.local.ledger import entry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.doctor.conftest import Machine
    from trusted_registry.doctor.finding import Finding
    from trusted_registry.trust.local.ledger import Entry

ALL = ("docker", "docker-rootless", "containers", "containerd", "k3s", "system-debian")
OTHER = b"-----BEGIN CERTIFICATE-----\nsomebody else's\n-----END CERTIFICATE-----\n"


def folder(machine: Machine, above: str = "etc/docker/certs.d") -> Path:
    """Return the registry's folder under certs.d."""
    path = machine.folder / above / ADDRESS
    path.mkdir(parents=True, exist_ok=True)
    return path


def wrong(machine: Machine, *keys: str, known: Sequence[Entry] = (), client: str = "") -> list[Finding]:
    """Return what is wrong with stores of a machine."""
    return checks.judge(replace(machine.facts, stores=stored(machine, *keys, known=known)), client)


@pytest.mark.parametrize("key", ["docker", "docker-rootless", "containers", "containerd", "system-debian"])
def test_a_store_that_trusts_is_no_finding_and_one_that_does_not_is_told_to(key: str, machine: Machine) -> None:
    (finding,) = wrong(machine, key)
    name = machine.store(key).name
    assert (finding.check, finding.cure, finding.fix) == ("certs.d", (f"./inv trust.linux --only {name}",), Trust(name))
    assert finding.asks
    machine.trusts(key)
    assert wrong(machine, key) == []


def test_another_machine_s_registry_is_named_in_the_cure(machine: Machine) -> None:
    settings = replace(machine.facts.settings, port=8443)
    there = replace(machine.facts, settings=settings, remote=True, stores=stored(machine, "docker"))
    cures = [finding.cure for finding in checks.judge(there) if finding.check == "certs.d"]
    assert cures == [(f"./inv trust.linux --only docker --address {ADDRESS} --port 8443",)]


def test_of_another_machine_that_does_not_answer_the_one_cause_is_named_and_nothing_that_follows(
    machine: Machine,
) -> None:
    proxy = Proxy("the engine", "http://10.9.9.9", "")
    there = replace(machine.facts, issued=None, remote=True, proxies=(proxy,), stores=stored(machine, *ALL))
    assert {"certs.d", "proxy"} == set(found(there))
    assert there.wire
    gone = replace(there, wire=replace(there.wire, silent="Connection refused", shown=None, status=0))
    assert found(gone) == found(gone, "docker") == ["served"]
    assert found(replace(gone, resolved={"registry.local": ()})) == ["dns"]
    for reason in ("no answer within 3 seconds", "who knows"):
        (finding,) = checks.judge(replace(gone, wire=replace(there.wire, silent=reason)))
        assert "container" not in finding.cause, "nobody here knows whether one runs there"
    assert "certs.d" in found(replace(gone, remote=False)), "of this machine's own registry all is told"


def test_one_client_s_store_can_be_asked_about_alone(machine: Machine) -> None:
    assert [finding.client for finding in wrong(machine, "docker", "containers", client="podman")] == ["podman"]


def test_another_s_certificate_is_found_and_never_mended(machine: Machine) -> None:
    (folder(machine) / "ca.crt").write_bytes(OTHER)
    foreign = [finding for finding in wrong(machine, "docker") if "did not write" in finding.evidence]
    assert [finding.fix for finding in foreign] == [None]


@pytest.mark.parametrize(("mark", "away"), [(blocks.MARK, "sed -i 2,6d"), ("# theirs:", "editor")])
def test_a_shared_file_with_another_s_lines_is_not_taken_away(mark: str, away: str, machine: Machine) -> None:
    block = machine.store("k3s").blocks(machine.subject)[0]
    path = machine.where.path(block.path)
    path.parent.mkdir(parents=True)
    path.write_text(blocks.added("", block).replace("https", "http").replace(blocks.MARK, mark))
    (finding,) = (finding for finding in wrong(machine, "k3s") if "did not write" in finding.evidence)
    assert (finding.fix, finding.cure[1].startswith(f"sudo {away} {path} && ")) == (None, True)


def test_trust_of_ours_in_an_earlier_authority_is_mended_without_a_question(machine: Machine) -> None:
    machine.trusts("docker")
    paths = [machine.where.path(file.path) for file in machine.store("docker").files(machine.subject)]
    for path in paths:
        path.write_bytes(OTHER)
    (finding,) = wrong(machine, "docker", known=[entry("docker", path, OTHER, by=machine.folder) for path in paths])
    assert (finding.check, finding.fix, finding.asks) == ("stale", Trust("docker"), False)


def test_a_pem_file_in_certs_d_is_found(machine: Machine) -> None:
    (folder(machine) / "ca.pem").write_bytes(machine.subject.content)
    assert any("ca.pem counts for nothing" in finding.evidence for finding in wrong(machine, "docker"))


@pytest.mark.parametrize("name", ["domain.key", "ca.cert"])
def test_half_a_client_s_certificate_is_found_and_a_whole_one_is_none_of_ours(name: str, machine: Machine) -> None:
    machine.trusts("docker")
    stray = folder(machine) / name
    stray.write_bytes(OTHER)
    (finding,) = wrong(machine, "docker")
    assert (finding.check, str(stray) in finding.evidence, finding.fix) == ("certs.d", True, None)
    stray.with_suffix({".key": ".cert", ".cert": ".key"}[stray.suffix]).write_bytes(OTHER)
    assert wrong(machine, "docker") == []


def test_a_folder_that_is_a_link_to_elsewhere_is_found_and_not_followed(machine: Machine) -> None:
    machine.trusts("docker")
    folder(machine).rename(machine.folder / "elsewhere")
    (machine.folder / "etc/docker/certs.d" / ADDRESS).symlink_to(machine.folder / "elsewhere")
    (finding,) = wrong(machine, "docker")
    assert ("link" in finding.evidence, finding.fix) == (True, None)


def test_what_keeps_a_store_from_being_looked_at_is_told_with_its_cure(machine: Machine) -> None:
    broken = Stored(machine.store("docker"), problem=RegistryError("a.key has no certificate", cure="sudo rm a.key"))
    (finding,) = checks.judge(replace(machine.facts, stores=(broken,)))
    assert (finding.check, finding.cure) == ("certs.d", ("sudo rm a.key",))


def test_hosts_toml_hides_ca_crt_from_an_engine_with_containerd_s_store_alone(machine: Machine) -> None:
    machine.trusts("docker")
    (folder(machine) / "hosts.toml").write_text("server = 'x'\n")
    assert wrong(machine, "docker") == []
    assert machine.facts.engine
    machine.facts = replace(machine.facts, engine=replace(machine.facts.engine, store="containerd"))
    (finding,) = wrong(machine, "docker")
    assert "hosts.toml" in finding.evidence


def test_an_empty_folder_of_the_user_that_hides_the_system_s_is_found(machine: Machine) -> None:
    machine.trusts("containers")
    hidden = machine.where.home / ".config/containers/certs.d" / ADDRESS
    hidden.mkdir(parents=True)
    (finding,) = wrong(machine, "containers")
    assert (finding.check, str(hidden) in finding.evidence) == ("shadowed", True)
    (hidden / "ca.crt").write_bytes(machine.subject.content)
    assert wrong(machine, "containers") == []


def test_a_folder_of_another_spelling_is_found_only_where_the_right_one_is_missing(machine: Machine) -> None:
    other = machine.folder / "etc/docker/certs.d/https:" / "ca.crt"
    other.parent.mkdir(parents=True)
    other.write_bytes(machine.subject.content)
    assert [finding.check for finding in wrong(machine, "docker")] == ["certs.d", "spelling"]
    machine.trusts("docker")
    assert wrong(machine, "docker") == []


def test_a_certificate_that_not_everybody_may_read_is_found(machine: Machine) -> None:
    machine.trusts("docker")
    path = folder(machine) / "ca.crt"
    path.chmod(0o640)
    (finding,) = wrong(machine, "docker")
    assert (finding.check, finding.cure, finding.fix) == ("readable", (f"sudo chmod go+r {path}",), None)
    (finding,) = wrong(machine, "docker", known=[entry("docker", path, OTHER, by=machine.folder)])
    assert finding.fix == Chmod(path, "go+r")
    path.chmod(0o644)
    path.parent.chmod(0o700)
    (finding,) = wrong(machine, "docker")
    assert finding.cure == (f"sudo chmod go+rx {path.parent}",)


def test_what_containerd_does_not_read_is_told_and_what_needs_no_cure_is_not(machine: Machine) -> None:
    advice = (Advice("config_path is not set", "Write into x", ("[a]", "b = 1")), Advice("CRI is disabled"))
    (finding,) = checks.judge(replace(machine.facts, containerd=advice))
    assert ("config_path is not set" in finding.evidence, "[a]; b = 1" in finding.cure[0]) == (True, True)


@pytest.mark.parametrize(
    ("vouched", "changed", "wanted"), [(True, 20.0, True), (True, 5.0, False), (False, 20.0, False)]
)
def test_a_system_s_store_that_changed_after_the_engine_read_it_is_found(
    machine: Machine,
    *,
    vouched: bool,
    changed: float,
    wanted: bool,
) -> None:
    facts = replace(machine.facts, vouched=vouched, engine_since=10.0, bundle_since=changed)
    assert ("os-store" in found(replace(facts, stores=stored(machine, "docker")))) is wanted
    machine.trusts("docker")
    assert found(replace(facts, stores=stored(machine, "docker"))) == []
