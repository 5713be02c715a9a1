"""What may not be written: without root, by a sudo that refuses, as root in another user's home folder."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

import pytest

from tests import programs
from tests.disk import snapshot
from tests.marks import by_root
from tests.recorder import Recorder
from tests.trust.engines import nobody
from tests.trust.machines import SPELLINGS, USERS, Machine
from trusted_registry.errors import RegistryError
from trusted_registry.trust.local import apply, here, ledger, takeback
from trusted_registry.trust.local.here import Choice

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.settings import Settings

pytestmark = pytest.mark.usefixtures("docker_podman_k3s")


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
    here.trust(settings, nobody(), edge)
    assert (folder / "ca.crt").exists()
    assert not machine.where.path("/etc/containers").exists()


@pytest.mark.usefixtures("no_root")
def test_without_root_a_store_that_was_asked_for_is_an_error(
    machine: Machine, settings: Settings, edge: Recorder
) -> None:
    before = snapshot(machine.root)
    with pytest.raises(RegistryError, match="needs root"):
        here.trust(settings, nobody(), edge, Choice(only=("podman",)))
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
        here.trust(settings, nobody(), edge, Choice(only=("docker",)))
    assert "sudo" not in caught.value.message
    assert caught.value.cure


# As root in another user's home folder


@pytest.fixture
def borrowed(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root, by a sudo that kept HOME."""
    monkeypatch.setenv("HOME", str(machine.home))
    os.chown(machine.home, 1234, 1234)
    root = pwd.struct_passwd(("root", "x", 0, 0, "", str(machine.folder("/root")), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: root)


@by_root
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


@by_root
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


@by_root
@pytest.mark.usefixtures("borrowed")
def test_another_user_s_keychain_is_not_root_s_to_change(settings: Settings, edge: Recorder) -> None:
    with pytest.raises(RegistryError, match="root in another user's home folder"):
        here.trust_keychain(settings, edge, "login")
    assert ledger.read(ledger.where()) == []
