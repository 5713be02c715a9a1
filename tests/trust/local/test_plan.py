"""What is to be written is planned whole before anything is: foreign anywhere means nothing anywhere."""

from __future__ import annotations

import os
import pwd
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests import programs
from tests.disk import mode, snapshot
from tests.recorder import Recorder
from tests.trust import sample
from tests.trust.engines import nobody
from tests.trust.machines import SPELLINGS, Machine, entry, row, states
from trusted_registry import files
from trusted_registry.errors import RegistryError
from trusted_registry.files import Remove, Write
from trusted_registry.trust.lines import blocks
from trusted_registry.trust.local import apply, here, ledger, look, plan, takeback
from trusted_registry.trust.local.here import Choice
from trusted_registry.trust.local.look import State
from trusted_registry.trust.row import MACHINE, USER

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.settings import Settings
    from trusted_registry.trust.local.plan import Plan
    from trusted_registry.trust.row import Subject

DOCKER = "/etc/docker/certs.d"
REGISTRIES = "/etc/rancher/k3s/registries.yaml"
USERS = "{home}/.config/containers/certs.d"
ANCHORS = "/usr/local/share/ca-certificates"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
OLD, THEIRS = b"our old certificate", b"another's certificate"
SHARED = "# ours, since 2019\nmirrors:\n    docker.io: # theirs\n        endpoint: [https://mirror.example]\n"

pytestmark = pytest.mark.usefixtures("docker_podman_k3s")


def _install(machine: Machine, key: str, ours: Subject) -> Plan:
    return plan.install(row(key), machine.look(key, ours), ours)


def _trust(settings: Settings, edge: Recorder, choice: Choice = here.EVERY) -> set[str]:
    return {store.key for store in here.trust(settings, nobody(), edge, choice).written}


# One store


def test_what_is_absent_is_written_for_every_user_to_read(machine: Machine, ours: Subject) -> None:
    path = machine.where.path(f"{DOCKER}/{SPELLINGS[1]}/ca.crt")
    machine.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", ours.content)
    assert _install(machine, "docker", ours).operations == (Write(path, ours.content, 0o644),)


def test_what_is_stale_is_written_anew(machine: Machine, ours: Subject) -> None:
    path = machine.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", OLD)
    found = machine.look("docker", ours, [entry(path, OLD)])
    assert Write(path, ours.content) in plan.install(row("docker"), found, ours).operations


def test_what_is_trusted_already_needs_nothing(machine: Machine, ours: Subject) -> None:
    for it in SPELLINGS:
        machine.file(f"{DOCKER}/{it}/ca.crt", ours.content)
    its_plan = _install(machine, "docker", ours)
    assert (bool(its_plan), its_plan.typed) == (False, ())


def test_another_s_certificate_is_refused_with_what_to_look_at(machine: Machine, ours: Subject) -> None:
    path = machine.file(f"{DOCKER}/{SPELLINGS[1]}/ca.crt", THEIRS)
    with pytest.raises(RegistryError, match="was not written here; nothing was changed") as caught:
        _install(machine, "docker", ours)
    assert f"cat {path}" in caught.value.cure
    assert "--skip docker" in caught.value.cure


@pytest.mark.process
@pytest.mark.parametrize("key", ["k3s", "buildkit", "buildx"])
def test_lines_of_ours_that_another_hand_changed_are_refused_and_the_cure_is_one(
    key: str, machine: Machine, ours: Subject
) -> None:
    files.carry_out(list(_install(machine, key, ours).operations))
    path = machine.look(key, ours)[-1].path
    path.write_text(path.read_text().replace(ours.name, "theirs", 1))
    changed = snapshot(machine.root)
    with pytest.raises(RegistryError, match="was not written here; nothing was changed") as caught:
        _install(machine, key, ours)
    assert (f"{path}, between our marks in lines" in caught.value.message, snapshot(machine.root)) == (True, changed)
    see, _, rest = caught.value.cure.removeprefix("See what it is: ").partition("; then remove it: ")
    away, _, instead = rest.partition("; or go on without it: ")
    assert instead == f"--skip {row(key).name}"
    assert (away.startswith("sudo "), row(key).scope) in ((True, MACHINE), (False, USER))
    shown = subprocess.run(shlex.split(see), capture_output=True, text=True, check=True).stdout.splitlines()
    assert (blocks.MARK in shown[0], "theirs" in "".join(shown), shown[-1].strip()) == (True, True, blocks.END)
    subprocess.run(shlex.split(away.removeprefix("sudo ")), check=True)
    files.carry_out(list(_install(machine, key, ours).operations))
    assert {item.state for item in machine.look(key, ours)} == {State.TRUSTED}
    assert "theirs" not in path.read_text()


@pytest.mark.process
@pytest.mark.parametrize("key", ["docker", "containerd", "k3s", "buildkit", "system-rhel"])
def test_the_commands_that_a_person_would_type_do_the_same(
    key: str, machine: Machine, ours: Subject, tmp_path: Path
) -> None:
    its_plan = plan.install(row(key), machine.look(key, ours), ours)
    before = snapshot(machine.root)
    files.carry_out(list(its_plan.operations))
    done = snapshot(machine.root)
    for path in set(done) - set(before):
        target = machine.root / path
        if target.is_file():
            target.unlink()
    for command in its_plan.typed:
        assert subprocess.run(command, cwd=tmp_path, check=False, umask=0o022).returncode == 0, shlex.join(command)
    assert snapshot(machine.root) == done


def test_a_file_of_others_keeps_its_mode_and_every_byte_around_ours(machine: Machine, ours: Subject) -> None:
    path = machine.file(REGISTRIES, SHARED, 0o600)
    files.carry_out(list(_install(machine, "k3s", ours).operations))
    kept = [line for line in path.read_text().splitlines() if line in SHARED.splitlines()]
    assert (mode(path), kept) == (0o600, SHARED.splitlines())


def test_a_new_shared_file_is_every_user_s_to_read(machine: Machine, ours: Subject) -> None:
    files.carry_out(list(_install(machine, "k3s", ours).operations))
    assert mode(machine.where.path(REGISTRIES)) == 0o644


def test_what_is_added_to_a_file_of_others_is_shown_and_nothing_around_it(machine: Machine, ours: Subject) -> None:
    machine.file(REGISTRIES, f"{SHARED}configs:\n  docker.io:\n    auth: {{password: secret}}\n")
    its_plan = _install(machine, "k3s", ours)
    assert ("editor", str(machine.where.path(REGISTRIES))) in its_plan.typed
    (note,) = its_plan.notes.values()
    assert f'+        - "https://{SPELLINGS[0]}"' in note.splitlines()
    assert "secret" not in note
    edge = Recorder(dry=True)
    apply.carry_out(its_plan, edge)
    assert edge.said == [note]


def test_a_second_time_there_is_nothing_to_write_in_shared_files(machine: Machine, ours: Subject) -> None:
    machine.file(REGISTRIES, SHARED)
    files.carry_out(list(_install(machine, "k3s", ours).operations))
    assert not _install(machine, "k3s", ours)


@pytest.mark.parametrize("text", ["mirrors: [\n", f'mirrors:\n  "{SPELLINGS[0]}":\n    endpoint: []\n'])
def test_a_shared_file_that_cannot_be_added_to_is_named_with_its_line(
    text: str, machine: Machine, ours: Subject
) -> None:
    path = machine.file(REGISTRIES, text)
    with pytest.raises(RegistryError, match=r"line \d.*It was left as it is"):
        _install(machine, "k3s", ours)
    assert path.read_text() == text


def test_the_system_s_store_is_refreshed_once_and_only_after_a_change(machine: Machine, ours: Subject) -> None:
    machine.folder(ANCHORS)
    its_plan = _install(machine, "system-debian", ours)
    assert its_plan.runs == (("update-ca-certificates",),)
    files.carry_out(list(its_plan.operations))
    assert not _install(machine, "system-debian", ours)


def test_a_run_that_was_cut_short_before_the_refresh_is_finished_by_the_next(machine: Machine, ours: Subject) -> None:
    machine.file(BUNDLE, b"")
    files.carry_out(list(_install(machine, "system-debian", ours).operations))
    assert _install(machine, "system-debian", ours).runs == (("update-ca-certificates",),)


# All of them


@pytest.mark.parametrize(
    ("template", "content"),
    [
        (f"{DOCKER}/{SPELLINGS[1]}/ca.crt", "another's"),
        (f"{USERS}/{SPELLINGS[0]}/ca.crt", "another's"),
        (f"/etc/containers/certs.d/{SPELLINGS[0]}/client.key", ""),
        (REGISTRIES, "mirrors: ["),
        (REGISTRIES, f"configs:\n  {SPELLINGS[0]}:\n"),
    ],
    ids=["file", "user's file", "stray key", "broken", "another's lines"],
)
def test_what_is_wrong_in_one_store_leaves_every_store_as_it_was(
    template: str, content: str, machine: Machine, settings: Settings, edge: Recorder
) -> None:
    machine.file(template, content)
    before = snapshot(machine.root)
    with pytest.raises(RegistryError) as caught:
        _trust(settings, edge)
    assert caught.value.cure
    assert (snapshot(machine.root), ledger.read(ledger.where()), edge.commands) == (before, [], [])


def test_what_is_wrong_in_one_store_is_no_matter_when_that_is_skipped(
    machine: Machine, settings: Settings, edge: Recorder
) -> None:
    machine.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", THEIRS)
    assert _trust(settings, edge, Choice(skip=("docker",))) == {"containers", "k3s"}


def test_every_client_found_is_told_and_the_second_time_none(
    machine: Machine, settings: Settings, edge: Recorder
) -> None:
    assert _trust(settings, edge) == {"docker", "containers", "k3s"}
    before, again = snapshot(machine.root), Recorder()
    outcome = here.trust(settings, nobody(), again)
    assert (outcome.written, {store.key for store in outcome.already}) == ((), {"docker", "containers", "k3s"})
    assert (snapshot(machine.root), again.commands) == (before, [])


def test_a_dry_run_shows_every_command_and_changes_nothing(machine: Machine, settings: Settings) -> None:
    edge = Recorder(dry=True)
    machine.folder(ANCHORS)
    before = snapshot(machine.root)
    _trust(settings, edge, Choice(system=True))
    assert snapshot(machine.root) == before
    assert not ledger.where().exists()
    assert [command[0] for command in edge.commands].count("update-ca-certificates") == 1


def test_what_is_read_instead_is_written_too(machine: Machine, settings: Settings, edge: Recorder) -> None:
    folder = machine.folder(f"{USERS}/{SPELLINGS[0]}")
    _trust(settings, edge)
    content = (settings.folder / "ca.crt").read_bytes()
    assert (folder / "ca.crt").read_bytes() == content
    assert machine.where.path(f"/etc/containers/certs.d/{SPELLINGS[0]}/ca.crt").read_bytes() == content
    assert set(states(settings, nobody(), Choice(only=("podman",))).values()) == {State.TRUSTED}


def test_certificates_that_count_for_nothing_are_told(machine: Machine, settings: Settings, edge: Recorder) -> None:
    path = machine.file(f"{DOCKER}/{SPELLINGS[0]}/ca.pem", THEIRS)
    _trust(settings, edge)
    assert [line for line in edge.warned if str(path) in line]


# Without root


@pytest.fixture
def no_root(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who is not root, whose PATH leads to no sudo, and who may write his own home alone."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(apply, "writable", lambda path: machine.home in path.parents)
    monkeypatch.setenv("PATH", str(machine.programs))


@pytest.mark.usefixtures("no_root")
def test_without_root_one_s_own_stores_are_written_and_the_others_told(
    machine: Machine, settings: Settings, edge: Recorder
) -> None:
    machine.folder("{home}/.docker/desktop")
    outcome = here.trust(settings, nobody(), edge)
    assert {store.key for store in outcome.written} == {"docker-desktop"}
    assert {store.key for store in outcome.left} == {"docker", "containers", "k3s"}
    assert edge.warned[0].endswith("To tell it too: sudo ./inv trust.linux --address 192.168.0.12 --only docker")


@pytest.mark.usefixtures("no_root")
def test_without_root_what_podman_reads_of_one_s_own_is_written_all_the_same(
    machine: Machine, settings: Settings, edge: Recorder
) -> None:
    folder = machine.folder(f"{USERS}/{SPELLINGS[0]}")
    _trust(settings, edge)
    assert (folder / "ca.crt").exists()
    assert not machine.where.path("/etc/containers").exists()


@pytest.mark.usefixtures("no_root")
def test_without_root_a_store_that_was_asked_for_is_an_error(
    machine: Machine, settings: Settings, edge: Recorder
) -> None:
    before = snapshot(machine.root)
    with pytest.raises(RegistryError, match="needs root"):
        _trust(settings, edge, Choice(only=("podman",)))
    assert snapshot(machine.root) == before


@pytest.mark.usefixtures("no_root")
def test_without_root_the_answering_engine_s_store_is_an_error(machine: Machine, settings: Settings) -> None:
    before = snapshot(machine.root)
    with pytest.raises(RegistryError, match="needs root"):
        here.trust(settings, nobody(rootful=True), Recorder())
    assert snapshot(machine.root) == before


@pytest.mark.usefixtures("no_root")
@pytest.mark.process
def test_without_root_a_database_of_the_machine_is_left_before_anything_is_done(
    machine: Machine, settings: Settings, edge: Recorder
) -> None:
    machine.program("keytool").write_text("#!/bin/sh\nexit 1\n")
    outcome = here.trust(settings, nobody(), edge, Choice(skip=("docker", "podman", "k3s"), system=True))
    assert [store.key for store in outcome.left] == ["java"]
    assert [command for command in edge.commands if "-importcert" in command] == []


@pytest.mark.process
def test_a_sudo_that_refuses_to_run_a_command_leaves_that_store_and_no_other(
    machine: Machine, settings: Settings, edge: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    programs.put("sudo", "echo 'sudo: a password is required' >&2; exit 1", machine.root, monkeypatch)
    programs.put("keytool", "exit 1", machine.root, monkeypatch)
    outcome = here.trust(settings, nobody(), edge, Choice(system=True))
    assert [store.key for store in outcome.left] == ["java"]
    assert {store.key for store in outcome.written} == {"docker", "containers", "k3s"}
    with pytest.raises(RegistryError, match="a password is required"):
        here.trust(settings, nobody(), edge, Choice(only=("java",)))


@pytest.mark.process
def test_a_database_s_own_refusal_is_an_error(
    machine: Machine, settings: Settings, edge: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.put("keytool", "echo 'keytool error: cacerts is broken'; exit 1", machine.root, monkeypatch)
    with pytest.raises(RegistryError, match="cacerts is broken"):
        here.trust(settings, nobody(), edge, Choice(only=("java",)))


def test_what_root_may_not_write_is_told_in_one_s_own_words(
    machine: Machine, settings: Settings, edge: Recorder, read_only: Path
) -> None:
    (machine.folder("/etc") / "docker").symlink_to(read_only)
    with pytest.raises(RegistryError, match=r"Read-only file system|Permission denied") as caught:
        _trust(settings, edge, Choice(only=("docker",)))
    assert "sudo" not in caught.value.message
    assert caught.value.cure


def test_a_cure_can_be_pasted_though_a_path_has_spaces(machine: Machine) -> None:
    with pytest.raises(RegistryError) as caught:
        look.read(machine.file("/a b/registries.yaml", b"\xff"))
    assert caught.value.cure == f"See what it is: file '{machine.root}/a b/registries.yaml'"
    wanted = sample.subject("a b")
    machine.file(f"{DOCKER}/a b/ca.crt", THEIRS)
    with pytest.raises(RegistryError) as caught:
        plan.install(row("docker"), machine.look("docker", wanted), wanted)
    path = machine.where.path(f"{DOCKER}/a b/ca.crt")
    assert f"cat '{path}'; then remove it: sudo rm '{path}';" in caught.value.cure


# As root in another user's home folder


@pytest.fixture
def borrowed(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root, by a sudo that kept HOME."""
    if os.geteuid():
        pytest.skip("only root may give a folder away")
    monkeypatch.setenv("HOME", str(machine.home))
    os.chown(machine.home, 1234, 1234)
    root = pwd.struct_passwd(("root", "x", 0, 0, "", str(machine.folder("/root")), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: root)


@pytest.mark.usefixtures("borrowed")
def test_root_writes_nothing_into_another_user_s_home_and_says_so_once(
    machine: Machine, settings: Settings, edge: Recorder
) -> None:
    for sign in ("{home}/.docker/desktop", f"{USERS}/{SPELLINGS[0]}"):
        machine.folder(sign)
    before = snapshot(machine.home)
    outcome = here.trust(settings, nobody(), edge)
    assert snapshot(machine.home) == before
    assert machine.where.path(f"/etc/containers/certs.d/{SPELLINGS[0]}/ca.crt").exists()
    assert {store.key for store in outcome.left} == {"docker-desktop"}
    (warned,) = edge.warned
    assert "Docker Desktop; podman" in warned
    assert warned.endswith("As that user, the same command without sudo.")
    assert ledger.where() == machine.where.path("/root/.local/state/trusted-registry/ledger.json")
    takeback.remove(settings, nobody(), edge)
    assert ledger.read(ledger.where()) == []
    assert not machine.where.path(f"/etc/containers/certs.d/{SPELLINGS[0]}/ca.crt").exists()


@pytest.mark.usefixtures("borrowed")
def test_a_store_of_another_user_s_home_that_was_asked_for_is_an_error_and_nothing_is_written(
    machine: Machine, settings: Settings, edge: Recorder
) -> None:
    machine.folder("{docker}/buildx/instances")
    before = snapshot(machine.home)
    with pytest.raises(RegistryError, match="root in another user's home folder"):
        here.trust(settings, nobody(), edge, Choice(only=("podman", "buildkit")))
    assert (snapshot(machine.home), ledger.read(ledger.where())) == (before, [])
    assert not machine.where.path("/etc/containers/certs.d").exists()


@pytest.mark.usefixtures("borrowed")
def test_another_user_s_keychain_is_not_root_s_to_change(settings: Settings, edge: Recorder) -> None:
    with pytest.raises(RegistryError, match="root in another user's home folder"):
        here.trust_keychain(settings, edge, "login")
    assert ledger.read(ledger.where()) == []


# Taken back


def _taken_back(key: str, *entries: ledger.Entry) -> tuple[Plan, list[Path]]:
    return plan.taken_back(key, list(entries))


def test_what_was_written_is_taken_back_with_its_folders_and_no_further(machine: Machine) -> None:
    path = machine.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", OLD)
    machine.file("/etc/docker/daemon.json", "{}")
    its_plan, changed = _taken_back("docker", entry(path, OLD))  # of a ledger that knew no `keep` yet
    assert its_plan.operations == (Remove(path, keep=machine.where.path("/etc/docker")),)
    files.carry_out(list(its_plan.operations))
    assert (changed, {it.name for it in machine.where.path("/etc/docker").iterdir()}) == ([], {"daemon.json"})


def test_what_was_changed_since_stays_and_is_named(machine: Machine) -> None:
    path = machine.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", THEIRS)
    its_plan, changed = _taken_back("docker", entry(path, OLD))
    assert (its_plan.operations, changed) == ((), [path])


def test_what_is_gone_already_needs_no_removal(tmp_path: Path) -> None:
    its_plan, changed = _taken_back("docker", entry(tmp_path / "gone", OLD))
    assert (bool(its_plan), changed) == (False, [])


def test_the_system_s_store_is_refreshed_though_a_run_was_cut_short_after_the_file(tmp_path: Path) -> None:
    its_plan, _ = _taken_back("system-debian", entry(tmp_path / "gone", OLD, "system-debian"))
    assert its_plan.runs == (("update-ca-certificates", "--fresh"),)


def test_removal_of_what_may_not_be_looked_at_takes_root(forbidden: Path) -> None:
    with pytest.raises(look.NoRoot):
        _taken_back("docker", entry(forbidden / SPELLINGS[0] / "ca.crt", OLD))


def test_the_commands_that_take_it_back_name_file_and_folder(machine: Machine) -> None:
    path = machine.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", OLD)
    its_plan, _ = _taken_back("docker", entry(path, OLD))
    assert its_plan.typed == (("rm", str(path)), ("rmdir", str(path.parent)))
