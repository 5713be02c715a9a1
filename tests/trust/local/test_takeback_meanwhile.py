"""Removal leaves what others did meanwhile: what they added, changed, linked or took away."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.disk import mode
from tests.trust.local.takebacks import THEIRS, remove, trust
from tests.trust.machines import DOCKER, REGISTRIES, SPELLINGS, Machine
from trusted_registry.errors import RegistryError
from trusted_registry.trust.local import ledger
from trusted_registry.trust.local.here import Choice

if TYPE_CHECKING:
    from tests.recorder import Recorder
    from trusted_registry.settings import Settings

pytestmark = pytest.mark.usefixtures("this_machine")


def test_what_others_added_to_a_shared_file_meanwhile_stays(machine: Machine, settings: Settings) -> None:
    trust(settings)
    path = machine.where.path(REGISTRIES)
    path.write_text(path.read_text() + "# mine, since today\n")
    path.chmod(0o600)
    remove(settings)
    assert (path.read_text(), mode(path)) == ("# mine, since today\n", 0o600)


def test_lines_that_were_changed_between_our_marks_stay_with_a_warning_and_all_else_goes(
    machine: Machine, settings: Settings, edge: Recorder
) -> None:
    trust(settings)
    path = machine.where.path("{docker}/buildx/buildkitd.default.toml")
    ours = f'# trusted-registry: {SPELLINGS[0]}\n[registry."{SPELLINGS[0]}"]\n'
    assert ours in path.read_text()
    path.write_text(path.read_text().replace(ours, f"{ours}  http = true\n"))
    remove(settings, edge)
    left = path.read_text()
    assert (left.startswith(f"{ours}  http = true\n  ca = "), left.count("[registry.")) == (True, 1)
    assert edge.warned == [f"{path}: lines between our marks were changed since; they stay."]
    assert [it for it in machine.root.rglob("*") if it.is_file()] == [path]
    assert ledger.read(ledger.where()) == []


def test_lines_of_ours_are_known_whatever_margin_and_line_ends_they_were_given(
    machine: Machine, settings: Settings, edge: Recorder
) -> None:
    trust(settings)
    path = machine.where.path(REGISTRIES)
    path.write_text(path.read_text().replace("  ", "    ").replace("\n", "\r\n"), newline="")
    remove(settings, edge)
    assert (SPELLINGS[0] in path.read_text(), edge.warned) == (False, [])


def test_lines_that_an_older_ledger_knew_by_their_marks_alone_go(
    machine: Machine, settings: Settings, edge: Recorder
) -> None:
    trust(settings, Choice(only=("k3s",)))
    said = json.loads(ledger.where().read_text())
    for entry in said["entries"]:
        entry["sha256"] = ledger.digest(b"") if entry["value"] else entry["sha256"]
    ledger.where().write_text(json.dumps(said))
    path = machine.where.path(REGISTRIES)
    path.write_text(path.read_text().replace("tls:", "tls: # mine"))
    remove(settings, edge)
    assert (path.exists(), edge.warned) == (False, [])


def test_a_shared_file_that_became_a_link_is_not_followed(machine: Machine, settings: Settings) -> None:
    trust(settings, Choice(only=("k3s", "docker")))
    path, theirs = machine.where.path(REGISTRIES), machine.root / "theirs.yaml"
    path.rename(theirs)
    path.symlink_to(theirs)
    before = theirs.read_bytes()
    with pytest.raises(RegistryError, match=r"is a link to .*; it is not followed"):
        remove(settings)
    assert (theirs.read_bytes(), path.is_symlink()) == (before, True)
    assert {entry.store for entry in ledger.read(ledger.where())} == {"k3s"}
    assert not machine.where.path("/etc/docker").exists()


def test_what_others_put_into_our_folders_meanwhile_stays(machine: Machine, settings: Settings) -> None:
    trust(settings)
    path = machine.file(f"{DOCKER}/{SPELLINGS[0]}/theirs.crt", THEIRS)
    remove(settings)
    assert [it.name for it in path.parent.iterdir()] == ["theirs.crt"]


def test_a_file_that_was_changed_since_stays_with_a_warning_and_all_else_goes(
    machine: Machine, settings: Settings, edge: Recorder
) -> None:
    trust(settings)
    path = machine.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", THEIRS)
    remove(settings, edge)
    assert [line for line in edge.warned if str(path) in line]
    assert [it for it in machine.where.path("/etc").rglob("*") if it.is_file()] == [path]


def test_what_is_gone_already_is_forgotten(machine: Machine, settings: Settings) -> None:
    trust(settings)
    for template in ("/etc", "{docker}"):
        shutil.rmtree(machine.where.path(template))
    assert remove(settings) == []
    assert ledger.read(ledger.where()) == []


def test_one_store_s_trouble_keeps_no_other_store_s_trust(machine: Machine, settings: Settings, edge: Recorder) -> None:
    trust(settings)
    path = machine.where.path(REGISTRIES)
    path.write_bytes(b"\xff")
    with pytest.raises(RegistryError, match="is no text"):
        remove(settings, edge)
    assert not machine.where.path("/etc/docker").exists()
    assert not machine.where.path("/etc/buildkit").exists()
    assert {entry.store for entry in ledger.read(ledger.where())} == {"k3s"}
    assert f"removed: {machine.where.path(DOCKER)}/{SPELLINGS[0]}/ca.crt" in edge.said
