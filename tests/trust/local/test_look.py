"""What stands in a store is told as it is: trusted, absent, stale, foreign, shadowed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot
from tests.programs import on_host
from tests.trust.machines import SPELLINGS, Machine, entry, row, subject
from trusted_registry.trust.lines import shared
from trusted_registry.trust.local import look
from trusted_registry.trust.local.look import State
from trusted_registry.trust.row import Block, Subject

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trusted_registry.trust.local.ledger import Entry

DOCKER = "/etc/docker/certs.d"
USERS = "{home}/.config/containers/certs.d"
REGISTRIES = "/etc/rancher/k3s/registries.yaml"
ANCHORS = "/usr/local/share/ca-certificates"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
OLD, THEIRS = b"our old certificate", b"another's certificate"


def _states(machine: Machine, key: str, ours: Subject, ledger: Iterable[Entry] = ()) -> list[State]:
    return [item.state for item in machine.look(key, ours, ledger)]


# Files


def test_nothing_there_is_absent(machine: Machine, ours: Subject) -> None:
    assert _states(machine, "docker", ours) == [State.ABSENT, State.ABSENT]


def test_this_very_certificate_is_trusted_and_only_in_its_own_spelling(machine: Machine, ours: Subject) -> None:
    machine.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", ours.content)
    assert _states(machine, "docker", ours) == [State.TRUSTED, State.ABSENT]


def test_an_older_certificate_that_we_wrote_is_stale(machine: Machine, ours: Subject) -> None:
    path = machine.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", OLD)
    assert _states(machine, "docker", ours, [entry(path, OLD)])[0] is State.STALE


def test_a_certificate_that_the_ledger_does_not_know_is_foreign(machine: Machine, ours: Subject) -> None:
    machine.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", THEIRS)
    assert _states(machine, "docker", ours) == [State.FOREIGN, State.ABSENT]


def test_a_certificate_that_replaced_ours_is_foreign(machine: Machine, ours: Subject) -> None:
    path = machine.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", THEIRS)
    assert _states(machine, "docker", ours, [entry(path, OLD)])[0] is State.FOREIGN


def test_our_old_certificate_in_another_place_is_foreign(machine: Machine, ours: Subject, tmp_path: Path) -> None:
    machine.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", OLD)
    assert _states(machine, "docker", ours, [entry(tmp_path / "elsewhere", OLD)])[0] is State.FOREIGN


def test_containerd_trusts_when_it_has_both_files_of_a_spelling(machine: Machine, ours: Subject) -> None:
    files = row("containerd").files(ours)
    machine.file(files[0].path, files[0].content)
    found = look.by_spelling(machine.look("containerd", ours), SPELLINGS)
    assert found["containerd", SPELLINGS[0]] is State.ABSENT
    machine.file(files[1].path, files[1].content)
    found = look.by_spelling(machine.look("containerd", ours), SPELLINGS)
    assert found == {("containerd", SPELLINGS[0]): State.TRUSTED, ("containerd", SPELLINGS[1]): State.ABSENT}


def test_looking_changes_nothing(machine: Machine, ours: Subject) -> None:
    machine.file(REGISTRIES, "mirrors:\n")
    before = snapshot(machine.root)
    for key in ("docker", "containers", "containerd", "k3s", "buildx", "system-debian"):
        machine.look(key, ours)
    assert snapshot(machine.root) == before


# Shared files


def _merged(machine: Machine, key: str, ours: Subject, text: str = "") -> Path:
    found = [machine.where.block(block) for block in row(key).blocks(ours)]
    return machine.file(found[0].path, shared.merged(text, found))


@pytest.mark.parametrize("key", ["k3s", "buildx", "buildkit"])
def test_lines_are_trusted_when_they_and_the_certificate_are_there(key: str, machine: Machine, ours: Subject) -> None:
    assert set(_states(machine, key, ours)) == {State.ABSENT}
    _merged(machine, key, ours)
    assert set(_states(machine, key, ours)) == {State.ABSENT, State.TRUSTED}  # the certificate is not there yet
    (file,) = row(key).files(ours)
    machine.file(file.path, file.content)
    assert set(_states(machine, key, ours)) == {State.TRUSTED}


@pytest.mark.parametrize("key", ["k3s", "buildx", "buildkit"])
def test_lines_of_ours_that_name_another_authority_are_stale(
    key: str, machine: Machine, ours: Subject, tmp_path: Path
) -> None:
    _merged(machine, key, subject(tmp_path / "older"))
    assert State.STALE in _states(machine, key, ours)


def test_lines_of_somebody_else_s_are_foreign(machine: Machine, ours: Subject) -> None:
    machine.file(REGISTRIES, f'mirrors:\n  "{SPELLINGS[0]}":\n    endpoint: []\n')
    found = {item.what.under: item.state for item in machine.look("k3s", ours) if isinstance(item.what, Block)}
    assert found["configs:"] is State.ABSENT
    assert State.FOREIGN in _states(machine, "k3s", ours)


@pytest.mark.parametrize("key", ["k3s", "buildx", "buildkit"])
def test_lines_of_ours_that_another_hand_changed_are_foreign(
    key: str, machine: Machine, ours: Subject, tmp_path: Path
) -> None:
    for whose in (ours, subject(tmp_path / "older")):
        path = _merged(machine, key, whose)
        path.write_text(path.read_text().replace(f"{whose.name}.crt", "theirs.crt", 1))
        states = [item.state for item in machine.look(key, ours) if isinstance(item.what, Block)]
        assert states.count(State.FOREIGN) == 1


# What is read instead


def test_a_user_s_folder_that_does_not_exist_hides_nothing(machine: Machine, ours: Subject) -> None:
    machine.folder(f"{USERS}/other.example")
    assert len(machine.look("containers", ours)) == len(SPELLINGS)


def test_a_user_s_folder_hides_the_system_s_even_when_it_is_empty(machine: Machine, ours: Subject) -> None:
    machine.file(f"/etc/containers/certs.d/{SPELLINGS[0]}/ca.crt", ours.content)
    folder = machine.folder(f"{USERS}/{SPELLINGS[0]}")
    first, second, _ = machine.look("containers", ours)
    assert (first.state, second.state, second.path) == (State.TRUSTED, State.HIDDEN, folder / "ca.crt")
    found = look.by_spelling(machine.look("containers", ours), SPELLINGS)
    assert found["containers", SPELLINGS[0]] is State.HIDDEN


def test_a_user_s_folder_with_the_certificate_hides_nothing(machine: Machine, ours: Subject) -> None:
    for folder in ("/etc/containers/certs.d", USERS):
        machine.file(f"{folder}/{SPELLINGS[0]}/ca.crt", ours.content)
    found = look.by_spelling(machine.look("containers", ours), SPELLINGS)
    assert found["containers", SPELLINGS[0]] is State.TRUSTED


def test_another_s_certificate_in_a_user_s_folder_is_foreign(machine: Machine, ours: Subject) -> None:
    machine.file(f"{USERS}/{SPELLINGS[0]}/ca.crt", THEIRS)
    assert State.FOREIGN in _states(machine, "containers", ours)


# What makes a change count


def test_the_system_s_store_is_trusted_when_its_bundle_has_the_certificate(machine: Machine, ours: Subject) -> None:
    (file,) = row("system-debian").files(ours)
    machine.file(file.path, file.content)
    bundle = machine.file(BUNDLE, b"")
    assert _states(machine, "system-debian", ours) == [State.ABSENT]
    bundle.write_bytes(b"# theirs\n" + ours.content.replace(b"\n", b"\r\n"))
    assert _states(machine, "system-debian", ours) == [State.TRUSTED]


def test_the_bundle_alone_is_not_enough(machine: Machine, ours: Subject) -> None:
    machine.file(BUNDLE, ours.content)
    assert _states(machine, "system-debian", ours) == [State.ABSENT]


def test_another_certificate_of_ours_in_the_bundle_is_not_enough(
    machine: Machine, ours: Subject, tmp_path: Path
) -> None:
    (file,) = row("system-debian").files(ours)
    machine.file(file.path, file.content)
    machine.file(BUNDLE, subject(tmp_path / "older").content)
    assert _states(machine, "system-debian", ours) == [State.ABSENT]


# Databases


@on_host("certutil")
@pytest.mark.process
def test_a_browser_s_database_has_it_once_it_was_added(machine: Machine, ours: Subject) -> None:
    from trusted_registry import run

    folders = [machine.folder(it) for it in ("{home}/.pki/nssdb", "{home}/.mozilla/firefox/abc.default")]
    machine.folder("{home}/.mozilla/firefox/Crash Reports")
    for folder in folders:
        assert run.look(["certutil", "-N", "-d", f"sql:{folder}", "--empty-password"]).ok
    assert {item.path: item.state for item in machine.look("nss", ours)} == dict.fromkeys(folders, State.ABSENT)
    store = row("nss")
    assert store.database
    add = look.handed(store.database.add, ours, folders[1])
    assert run.look(add).ok
    assert {item.path: item.state for item in machine.look("nss", ours)} == {
        folders[0]: State.ABSENT,
        folders[1]: State.TRUSTED,
    }


def test_the_worst_of_several_states_is_a_store_s(machine: Machine, ours: Subject) -> None:
    path = machine.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", OLD)
    machine.file(f"{DOCKER}/{SPELLINGS[1]}/ca.crt", THEIRS)
    found = look.by_spelling(machine.look("docker", ours, [entry(path, OLD)]), SPELLINGS)
    assert list(found.values()) == [State.STALE, State.FOREIGN]
    assert Path(path).exists()
