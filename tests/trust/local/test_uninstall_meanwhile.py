"""Removal leaves what others did meanwhile: what they added, changed, linked or took away."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.disk import mode
from tests.trust.boxes import DOCKER, REGISTRIES, SPELLINGS, Box
from tests.trust.local.uninstalls import THEIRS, remove, trust
from trusted_registry.errors import RegistryError
from trusted_registry.trust.local import ledger
from trusted_registry.trust.local.install import StoreSelection

if TYPE_CHECKING:
    from tests.recorder import Recorder
    from trusted_registry.settings import Settings

pytestmark = pytest.mark.usefixtures("this_machine")


def test_what_others_added_to_a_shared_file_meanwhile_stays(box: Box, settings: Settings) -> None:
    trust(settings)
    path = box.machine.path(REGISTRIES)
    path.write_text(path.read_text() + "# mine, since today\n")
    path.chmod(0o600)
    remove(settings)
    assert (path.read_text(), mode(path)) == ("# mine, since today\n", 0o600)


def test_lines_that_were_changed_between_our_marks_stay_with_a_warning_and_with_the_certificate_that_they_name(
    box: Box, settings: Settings, console: Recorder
) -> None:
    trust(settings)
    path = box.machine.path("{docker}/buildx/buildkitd.default.toml")
    ours = f'# trusted-registry: {SPELLINGS[0]}\n[registry."{SPELLINGS[0]}"]\n'
    assert ours in path.read_text()
    path.write_text(path.read_text().replace(ours, f"{ours}  http = true\n"))
    remove(settings, console)
    left = path.read_text()
    assert (left.startswith(f"{ours}  http = true\n  ca = "), left.count("[registry.")) == (True, 1)
    (named,) = path.parent.glob("*.crt")
    stays = f"{named} stays: an entry of {path} that was not written here names it."
    take = f"Remove its line: editor {path}; then repeat this"
    assert console.warned == [f"{path}: lines between our marks were changed since; they stay.", f"{stays} {take}"]
    assert sorted(it for it in box.root.rglob("*") if it.is_file()) == sorted([path, named])
    assert [it.path for it in ledger.read(ledger.path())] == [str(named)]
    path.unlink()
    remove(settings, console)
    assert (named.exists(), ledger.read(ledger.path())) == (False, [])


def test_lines_of_ours_are_known_whatever_margin_and_line_ends_they_were_given(
    box: Box, settings: Settings, console: Recorder
) -> None:
    trust(settings)
    path = box.machine.path(REGISTRIES)
    path.write_text(path.read_text().replace("  ", "    ").replace("\n", "\r\n"), newline="")
    remove(settings, console)
    assert (SPELLINGS[0] in path.read_text(), console.warned) == (False, [])


def test_lines_that_an_older_ledger_knew_by_their_marks_alone_go(
    box: Box, settings: Settings, console: Recorder
) -> None:
    trust(settings, StoreSelection(only=("k3s",)))
    said = json.loads(ledger.path().read_text())
    for entry in said["entries"]:
        entry["sha256"] = ledger.digest(b"") if entry["value"] else entry["sha256"]
    ledger.path().write_text(json.dumps(said))
    path = box.machine.path(REGISTRIES)
    path.write_text(path.read_text().replace("tls:", "tls: # mine"))
    remove(settings, console)
    assert (path.exists(), console.warned) == (False, [])


def test_a_shared_file_that_became_a_link_is_not_followed(box: Box, settings: Settings) -> None:
    trust(settings, StoreSelection(only=("k3s", "docker")))
    path, theirs = box.machine.path(REGISTRIES), box.root / "theirs.yaml"
    path.rename(theirs)
    path.symlink_to(theirs)
    before = theirs.read_bytes()
    with pytest.raises(RegistryError, match=r"is a link to .*; it is not followed"):
        remove(settings)
    assert (theirs.read_bytes(), path.is_symlink()) == (before, True)
    assert {entry.store for entry in ledger.read(ledger.path())} == {"k3s"}
    assert not box.machine.path("/etc/docker").exists()


def test_what_others_put_into_our_folders_meanwhile_stays(box: Box, settings: Settings) -> None:
    trust(settings)
    path = box.file(f"{DOCKER}/{SPELLINGS[0]}/theirs.crt", THEIRS)
    remove(settings)
    assert [it.name for it in path.parent.iterdir()] == ["theirs.crt"]


def test_a_file_that_was_changed_since_stays_with_a_warning_and_all_else_goes(
    box: Box, settings: Settings, console: Recorder
) -> None:
    trust(settings)
    path = box.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", THEIRS)
    remove(settings, console)
    assert [line for line in console.warned if str(path) in line]
    assert [it for it in box.machine.path("/etc").rglob("*") if it.is_file()] == [path]


def test_what_is_gone_already_is_forgotten(box: Box, settings: Settings) -> None:
    trust(settings)
    for template in ("/etc", "{docker}"):
        shutil.rmtree(box.machine.path(template))
    assert remove(settings) == []
    assert ledger.read(ledger.path()) == []


def test_one_store_s_trouble_keeps_no_other_store_s_trust(box: Box, settings: Settings, console: Recorder) -> None:
    trust(settings)
    path = box.machine.path(REGISTRIES)
    path.write_bytes(b"\xff")
    with pytest.raises(RegistryError, match="is not text"):
        remove(settings, console)
    assert not box.machine.path("/etc/docker").exists()
    assert not box.machine.path("/etc/buildkit").exists()
    assert {entry.store for entry in ledger.read(ledger.path())} == {"k3s"}
    assert f"removed: {box.machine.path(DOCKER)}/{SPELLINGS[0]}/ca.crt" in console.said
