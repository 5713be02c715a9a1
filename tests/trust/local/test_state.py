"""What stands in a store is told as it is: trusted, absent, stale, foreign, shadowed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot
from tests.programs import on_host
from tests.trust.boxes import SPELLINGS, Box, anchor, entry, store_of
from trusted_registry.trust.local import databases
from trusted_registry.trust.local import state as store_state
from trusted_registry.trust.local.state import State
from trusted_registry.trust.managed_blocks import merging
from trusted_registry.trust.model import ManagedBlock, TrustAnchor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trusted_registry.trust.local.ledger import Entry

DOCKER = "/etc/docker/certs.d"
USERS = "{home}/.config/containers/certs.d"
REGISTRIES = "/etc/rancher/k3s/registries.yaml"
ANCHORS = "/usr/local/share/ca-certificates"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
OLD, THEIRS = b"our old certificate", b"another's certificate"


def _states(box: Box, key: str, ours: TrustAnchor, ledger: Iterable[Entry] = ()) -> list[State]:
    return [item.state for item in box.look(key, ours, ledger)]


# Files


def test_nothing_there_is_absent(box: Box, ours: TrustAnchor) -> None:
    assert _states(box, "docker", ours) == [State.ABSENT, State.ABSENT]


def test_this_very_certificate_is_trusted_and_only_in_its_own_spelling(box: Box, ours: TrustAnchor) -> None:
    box.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", ours.content)
    assert _states(box, "docker", ours) == [State.TRUSTED, State.ABSENT]


def test_an_older_certificate_that_we_wrote_is_stale(box: Box, ours: TrustAnchor) -> None:
    path = box.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", OLD)
    assert _states(box, "docker", ours, [entry(path, OLD)])[0] is State.STALE


def test_a_certificate_that_the_ledger_does_not_know_is_foreign(box: Box, ours: TrustAnchor) -> None:
    box.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", THEIRS)
    assert _states(box, "docker", ours) == [State.FOREIGN, State.ABSENT]


def test_a_certificate_that_replaced_ours_is_foreign(box: Box, ours: TrustAnchor) -> None:
    path = box.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", THEIRS)
    assert _states(box, "docker", ours, [entry(path, OLD)])[0] is State.FOREIGN


def test_our_old_certificate_in_another_place_is_foreign(box: Box, ours: TrustAnchor, tmp_path: Path) -> None:
    box.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", OLD)
    assert _states(box, "docker", ours, [entry(tmp_path / "elsewhere", OLD)])[0] is State.FOREIGN


def test_containerd_trusts_when_it_has_both_files_of_a_spelling(box: Box, ours: TrustAnchor) -> None:
    files = store_of("containerd").files(ours)
    box.file(files[0].path, files[0].content)
    found = store_state.by_registry_host(box.look("containerd", ours), SPELLINGS)
    assert found["containerd", SPELLINGS[0]] is State.ABSENT
    box.file(files[1].path, files[1].content)
    found = store_state.by_registry_host(box.look("containerd", ours), SPELLINGS)
    assert found == {("containerd", SPELLINGS[0]): State.TRUSTED, ("containerd", SPELLINGS[1]): State.ABSENT}


def test_looking_changes_nothing(box: Box, ours: TrustAnchor) -> None:
    box.file(REGISTRIES, "mirrors:\n")
    before = snapshot(box.root)
    for key in ("docker", "containers", "containerd", "k3s", "buildx", "system-debian"):
        box.look(key, ours)
    assert snapshot(box.root) == before


# Shared files


def _merged(box: Box, key: str, ours: TrustAnchor, text: str = "") -> Path:
    found = [box.machine.resolve(block) for block in store_of(key).blocks(ours)]
    return box.file(found[0].path, merging.merge(text, found))


@pytest.mark.parametrize("key", ["k3s", "buildx", "buildkit"])
def test_lines_are_trusted_when_they_and_the_certificate_are_there(key: str, box: Box, ours: TrustAnchor) -> None:
    assert set(_states(box, key, ours)) == {State.ABSENT}
    _merged(box, key, ours)
    assert set(_states(box, key, ours)) == {State.ABSENT, State.TRUSTED}  # the certificate is not there yet
    (file,) = store_of(key).files(ours)
    box.file(file.path, file.content)
    assert set(_states(box, key, ours)) == {State.TRUSTED}


@pytest.mark.parametrize("key", ["k3s", "buildx", "buildkit"])
def test_lines_of_ours_that_name_another_authority_are_stale(
    key: str, box: Box, ours: TrustAnchor, tmp_path: Path
) -> None:
    _merged(box, key, anchor(tmp_path / "older"))
    assert State.STALE in _states(box, key, ours)


def test_lines_of_somebody_else_s_are_foreign(box: Box, ours: TrustAnchor) -> None:
    box.file(REGISTRIES, f'mirrors:\n  "{SPELLINGS[0]}":\n    endpoint: []\n')
    found = {item.what.under: item.state for item in box.look("k3s", ours) if isinstance(item.what, ManagedBlock)}
    assert found["configs:"] is State.ABSENT
    assert State.FOREIGN in _states(box, "k3s", ours)


@pytest.mark.parametrize("key", ["k3s", "buildx", "buildkit"])
def test_lines_of_ours_that_another_hand_changed_are_foreign(
    key: str, box: Box, ours: TrustAnchor, tmp_path: Path
) -> None:
    for whose in (ours, anchor(tmp_path / "older")):
        path = _merged(box, key, whose)
        path.write_text(path.read_text().replace(f"{whose.name}.crt", "theirs.crt", 1))
        states = [item.state for item in box.look(key, ours) if isinstance(item.what, ManagedBlock)]
        assert states.count(State.FOREIGN) == 1


# What is read instead


def test_a_user_s_folder_that_does_not_exist_hides_nothing(box: Box, ours: TrustAnchor) -> None:
    box.folder(f"{USERS}/other.example")
    assert len(box.look("containers", ours)) == len(SPELLINGS)


def test_a_user_s_folder_hides_the_system_s_even_when_it_is_empty(box: Box, ours: TrustAnchor) -> None:
    box.file(f"/etc/containers/certs.d/{SPELLINGS[0]}/ca.crt", ours.content)
    folder = box.folder(f"{USERS}/{SPELLINGS[0]}")
    first, second, _ = box.look("containers", ours)
    assert (first.state, second.state, second.path) == (State.TRUSTED, State.SHADOWED, folder / "ca.crt")
    found = store_state.by_registry_host(box.look("containers", ours), SPELLINGS)
    assert found["containers", SPELLINGS[0]] is State.SHADOWED


def test_a_user_s_folder_with_the_certificate_hides_nothing(box: Box, ours: TrustAnchor) -> None:
    for folder in ("/etc/containers/certs.d", USERS):
        box.file(f"{folder}/{SPELLINGS[0]}/ca.crt", ours.content)
    found = store_state.by_registry_host(box.look("containers", ours), SPELLINGS)
    assert found["containers", SPELLINGS[0]] is State.TRUSTED


def test_another_s_certificate_in_a_user_s_folder_is_foreign(box: Box, ours: TrustAnchor) -> None:
    box.file(f"{USERS}/{SPELLINGS[0]}/ca.crt", THEIRS)
    assert State.FOREIGN in _states(box, "containers", ours)


# What makes a change count


def test_the_system_s_store_is_trusted_when_its_bundle_has_the_certificate(box: Box, ours: TrustAnchor) -> None:
    (file,) = store_of("system-debian").files(ours)
    box.file(file.path, file.content)
    bundle = box.file(BUNDLE, b"")
    assert _states(box, "system-debian", ours) == [State.ABSENT]
    bundle.write_bytes(b"# theirs\n" + ours.content.replace(b"\n", b"\r\n"))
    assert _states(box, "system-debian", ours) == [State.TRUSTED]


def test_the_bundle_alone_is_not_enough(box: Box, ours: TrustAnchor) -> None:
    box.file(BUNDLE, ours.content)
    assert _states(box, "system-debian", ours) == [State.ABSENT]


def test_another_certificate_of_ours_in_the_bundle_is_not_enough(box: Box, ours: TrustAnchor, tmp_path: Path) -> None:
    (file,) = store_of("system-debian").files(ours)
    box.file(file.path, file.content)
    box.file(BUNDLE, anchor(tmp_path / "older").content)
    assert _states(box, "system-debian", ours) == [State.ABSENT]


# Databases


@on_host("certutil")
@pytest.mark.process
def test_a_browser_s_database_has_it_once_it_was_added(box: Box, ours: TrustAnchor) -> None:
    from trusted_registry import program

    folders = [box.folder(it) for it in ("{home}/.pki/nssdb", "{home}/.mozilla/firefox/abc.default")]
    box.folder("{home}/.mozilla/firefox/Crash Reports")
    for folder in folders:
        assert program.capture(["certutil", "-N", "-d", f"sql:{folder}", "--empty-password"]).ok
    assert {item.path: item.state for item in box.look("nss", ours)} == dict.fromkeys(folders, State.ABSENT)
    store = store_of("nss")
    assert store.database
    add = databases.command_about(store.database.add, ours, folders[1])
    assert program.capture(add).ok
    assert {item.path: item.state for item in box.look("nss", ours)} == {
        folders[0]: State.ABSENT,
        folders[1]: State.TRUSTED,
    }


def test_the_worst_of_several_states_is_a_store_s(box: Box, ours: TrustAnchor) -> None:
    path = box.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", OLD)
    box.file(f"{DOCKER}/{SPELLINGS[1]}/ca.crt", THEIRS)
    found = store_state.by_registry_host(box.look("docker", ours, [entry(path, OLD)]), SPELLINGS)
    assert list(found.values()) == [State.STALE, State.FOREIGN]
    assert Path(path).exists()
